/*
 * sql.h
 *	  Running one static statement on our own tables, as the extension's owner.
 *
 * For files that are about such tables, who are connected to SPI. Arguments are
 * bound in the order in which they are added; columns are those of the last
 * result, of its first row where nothing else is said.
 */
#ifndef HONE_SQL_H
#define HONE_SQL_H

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "utils/builtins.h"

#include "base/owner.h"

#define MAX_ARGS 16

typedef struct Arguments
{
	int			count;
	Oid			types[MAX_ARGS];
	Datum		values[MAX_ARGS];
	char		nulls[MAX_ARGS];
} Arguments;

static inline void
add(Arguments *args, Oid type, Datum value, bool isnull)
{
	Assert(args->count < MAX_ARGS);
	args->types[args->count] = type;
	args->values[args->count] = value;
	args->nulls[args->count] = isnull ? 'n' : ' ';
	args->count++;
}

static inline void
add_int8(Arguments *args, int64 value)
{
	add(args, INT8OID, Int64GetDatum(value), false);
}

static inline void
add_oid(Arguments *args, Oid value)
{
	add(args, OIDOID, ObjectIdGetDatum(value), !OidIsValid(value));
}

static inline void
add_bool(Arguments *args, bool value)
{
	add(args, BOOLOID, BoolGetDatum(value), false);
}

static inline void
add_text(Arguments *args, const char *value)
{
	add(args, TEXTOID, value ? CStringGetTextDatum(value) : (Datum) 0, value == NULL);
}

/* Run it as the extension's owner; the number of rows. */
static inline uint64
run(const char *sql, Arguments *args)
{
	HoneScope	scope;
	int			result;

	hone_enter_owner(&scope);
	result = SPI_execute_with_args(sql, args->count, args->types, args->values,
								   args->nulls, false, 0);
	hone_leave(&scope);
	if (result < 0)
		elog(ERROR, "SPI failed: %s", SPI_result_code_string(result));
	return SPI_processed;
}

/* Columns of the result's first row, copied to the current context. */
static inline char *
column_text(int column)
{
	char	   *value = SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, column);

	return value ? pstrdup(value) : NULL;
}

static inline bool
column_is_null(int number)
{
	bool		isnull;

	(void) SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, number, &isnull);
	return isnull;
}

/* Of any row; zero if it is null. */
static inline Datum
column_of(uint64 row, int number)
{
	bool		isnull;
	Datum		value = SPI_getbinval(SPI_tuptable->vals[row], SPI_tuptable->tupdesc,
									  number, &isnull);

	return isnull ? (Datum) 0 : value;
}

static inline Datum
column(int number)
{
	return column_of(0, number);
}

#endif							/* HONE_SQL_H */
