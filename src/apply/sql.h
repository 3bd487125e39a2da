/*
 * sql.h
 *	  Running one static statement on our tables, for store.c and waits.c.
 *
 * Arguments are bound in the order in which they are added; columns are those of
 * the last result's first row.
 */
#ifndef HONE_APPLY_SQL_H
#define HONE_APPLY_SQL_H

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

static inline Datum
column(int number)
{
	bool		isnull;
	Datum		value = SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc,
									  number, &isnull);

	return isnull ? (Datum) 0 : value;
}

/* Processes like this one in this database; whoever asks is not among them. */
#define BUILDERS \
	" FROM pg_catalog.pg_stat_activity s" \
	" WHERE s.datid OPERATOR(pg_catalog.=) (SELECT d.oid FROM pg_catalog.pg_database d" \
	" WHERE d.datname OPERATOR(pg_catalog.=) pg_catalog.current_database())" \
	" AND s.backend_type OPERATOR(pg_catalog.=) '" HONE_BUILDER_TYPE "'" \
	" AND s.pid OPERATOR(pg_catalog.<>) pg_catalog.pg_backend_pid()"

/*
 * What is due, and not on a table that is being worked on. A drop that depends on
 * others comes after what was queued before it for its table.
 */
#define WHERE_QUEUED \
	"a.state OPERATOR(pg_catalog.=) 'queued' AND NOT a.leftover" \
	" AND (a.retry_at IS NULL OR a.retry_at OPERATOR(pg_catalog.<=) pg_catalog.clock_timestamp())" \
	" AND NOT EXISTS (SELECT FROM hone.action_store b" \
	" WHERE b.relid OPERATOR(pg_catalog.=) a.relid AND b.id OPERATOR(pg_catalog.<>) a.id" \
	" AND (b.state OPERATOR(pg_catalog.=) 'building'" \
	" OR b.state OPERATOR(pg_catalog.=) 'queued'" \
	" AND (a.after_creates OR a.needs_index IS NOT NULL)" \
	" AND ROW(b.queued_at, b.id) OPERATOR(pg_catalog.<) ROW(a.queued_at, a.id)))"

/* The action $1 if it is queued, and nobody is about to take it back. */
#define QUEUED_UNLOCKED \
	"SELECT q.id FROM hone.action_store q WHERE q.id OPERATOR(pg_catalog.=) $1" \
	" AND q.state OPERATOR(pg_catalog.=) 'queued' FOR NO KEY UPDATE SKIP LOCKED"
#endif							/* HONE_APPLY_SQL_H */
