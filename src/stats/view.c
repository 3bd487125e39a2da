/*
 * view.c
 *	  The tallies as rows: errors, tables, nested queries, latency by table.
 *
 * Each function reads one tally (spread.h) and puts a row for each of its keys;
 * the sum of what was evicted is the row "<other>". Figures are for everybody,
 * as in hone.query_stats; texts of roles whose statements the reader may not
 * see are left out here, not in SQL, so the functions can be called by anybody.
 * Names of roles, databases and tables are looked up by the views.
 */
#include "postgres.h"

#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "base/compat.h"
#include "base/shmem.h"
#include "stats/spread.h"
#include "stats/stats.h"

PG_FUNCTION_INFO_V1(hone_query_errors_memory);
PG_FUNCTION_INFO_V1(hone_query_tables_memory);
PG_FUNCTION_INFO_V1(hone_nested_queries_memory);
PG_FUNCTION_INFO_V1(hone_table_latency_memory);
PG_FUNCTION_INFO_V1(hone_table_latency_histogram);

typedef struct ViewReader
{
	ReturnSetInfo *rsinfo;
	MemoryContext row_context;	/* reset with each row */
} ViewReader;

/* The row's values until they are put, in order of the function's columns. */
typedef struct ViewRow
{
	int			n;
	Datum		values[16];
	bool		nulls[16];
} ViewRow;

static inline void
put(ViewRow *row, Datum value)
{
	row->nulls[row->n] = false;
	row->values[row->n++] = value;
}

static inline void
put_null(ViewRow *row, int n)
{
	for (int i = 0; i < n; i++)
	{
		row->nulls[row->n] = true;
		row->values[row->n++] = (Datum) 0;
	}
}

static inline void
put_text(ViewRow *row, const char *text)
{
	put(row, CStringGetTextDatum(text));
}

static void
put_query(ViewRow *row, uint64 queryid, Oid userid, Oid dbid)
{
	HoneQueryKey key = {.queryid = queryid, .userid = userid, .dbid = dbid};
	bool		isnull;
	Datum		text = hone_stats_visible_text(&key, &isnull);

	if (isnull)
		put_null(row, 1);
	else
		put(row, text);
}

static double
ms(double ns)
{
	return ns / 1000000.0;
}

/* Read a tally into the function's result, bringing it up to date first. */
static void
read_tally(FunctionCallInfo fcinfo, const HoneTally *tally, HoneTallyCallback callback)
{
	ViewReader	reader;

	hone_shmem_require();
	InitMaterializedSRF(fcinfo, 0);
	reader.rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	reader.row_context = AllocSetContextCreate(CurrentMemoryContext,
											   "pg_hone statistics row",
											   ALLOCSET_DEFAULT_SIZES);
	hone_stats_drain();
	hone_tally_read(tally, callback, &reader);
	MemoryContextDelete(reader.row_context);
}

static void
finish_row(ViewReader *reader, ViewRow *row, MemoryContext old_context)
{
	Assert(row->n == reader->rsinfo->setDesc->natts);
	tuplestore_putvalues(reader->rsinfo->setResult, reader->rsinfo->setDesc,
						 row->values, row->nulls);
	MemoryContextSwitchTo(old_context);
	MemoryContextReset(reader->row_context);
}

/*
 * ------------------------------------------------------------------
 * Errors
 * ------------------------------------------------------------------
 */

/* What the first two characters of an SQLSTATE stand for. */
static const char *
sqlclass_name(const char *sqlstate)
{
	static const struct
	{
		char		code[3];
		const char *name;
	}			classes[] = {
		{"00", "successful completion"},
		{"01", "warning"},
		{"02", "no data"},
		{"03", "SQL statement not yet complete"},
		{"08", "connection exception"},
		{"09", "triggered action exception"},
		{"0A", "feature not supported"},
		{"0B", "invalid transaction initiation"},
		{"0F", "locator exception"},
		{"0L", "invalid grantor"},
		{"0P", "invalid role specification"},
		{"0Z", "diagnostics exception"},
		{"10", "XQuery error"},
		{"20", "case not found"},
		{"21", "cardinality violation"},
		{"22", "data exception"},
		{"23", "integrity constraint violation"},
		{"24", "invalid cursor state"},
		{"25", "invalid transaction state"},
		{"26", "invalid SQL statement name"},
		{"27", "triggered data change violation"},
		{"28", "invalid authorization specification"},
		{"2B", "dependent privilege descriptors still exist"},
		{"2D", "invalid transaction termination"},
		{"2F", "SQL routine exception"},
		{"34", "invalid cursor name"},
		{"38", "external routine exception"},
		{"39", "external routine invocation exception"},
		{"3B", "savepoint exception"},
		{"3D", "invalid catalog name"},
		{"3F", "invalid schema name"},
		{"40", "transaction rollback"},
		{"42", "syntax error or access rule violation"},
		{"44", "check option violation"},
		{"53", "insufficient resources"},
		{"54", "program limit exceeded"},
		{"55", "object not in prerequisite state"},
		{"57", "operator intervention"},
		{"58", "system error"},
		{"72", "snapshot failure"},
		{"F0", "configuration file error"},
		{"HV", "foreign data wrapper error"},
		{"P0", "PL/pgSQL error"},
		{"XX", "internal error"},
	};

	for (int i = 0; i < (int) lengthof(classes); i++)
	{
		if (strncmp(classes[i].code, sqlstate, 2) == 0)
			return classes[i].name;
	}
	return NULL;
}

static void
put_sqlstate(ViewRow *row, int sqlerrcode)
{
	const char *sqlstate = unpack_sql_state(sqlerrcode);
	const char *name = sqlclass_name(sqlstate);

	if (sqlerrcode == 0)
	{
		put_null(row, 3);
		return;
	}
	put_text(row, sqlstate);
	put_text(row, pnstrdup(sqlstate, 2));
	if (name)
		put_text(row, name);
	else
		put_null(row, 1);		/* made up by a RAISE */
}

static void
put_error(const void *tally_key, const int64 *counters, void *arg)
{
	const HoneErrorKey *key = tally_key;
	ViewReader *reader = arg;
	MemoryContext old_context = MemoryContextSwitchTo(reader->row_context);
	ViewRow		row = {0};

	if (key == NULL)
	{
		put_null(&row, 4);
		put_text(&row, "<other>");
		put_null(&row, 3);
	}
	else
	{
		put(&row, ObjectIdGetDatum(key->query.userid));
		put(&row, ObjectIdGetDatum(key->query.dbid));
		put(&row, Int64GetDatum((int64) key->query.queryid));
		put(&row, BoolGetDatum(key->query.toplevel));
		put_query(&row, key->query.queryid, key->query.userid, key->query.dbid);
		put_sqlstate(&row, key->sqlerrcode);
	}
	put(&row, Int64GetDatum(counters[HONE_ERROR_RAISED]));
	put(&row, Int64GetDatum(counters[HONE_ERROR_CAUGHT]));
	put(&row, TimestampTzGetDatum(counters[HONE_ERROR_LAST_SEEN]));
	finish_row(reader, &row, old_context);
}

/* hone.query_errors_memory(): errors by query and SQLSTATE. */
Datum
hone_query_errors_memory(PG_FUNCTION_ARGS)
{
	read_tally(fcinfo, &hone_stats_error_tally, put_error);
	return (Datum) 0;
}

/*
 * ------------------------------------------------------------------
 * Tables and nested queries
 * ------------------------------------------------------------------
 */

static void
put_table(const void *tally_key, const int64 *counters, void *arg)
{
	const HoneTableKey *key = tally_key;
	ViewReader *reader = arg;
	MemoryContext old_context = MemoryContextSwitchTo(reader->row_context);
	ViewRow		row = {0};

	if (key == NULL)
	{
		put_null(&row, 3);
		put_text(&row, "<other>");
		put_null(&row, 1);
	}
	else
	{
		put(&row, ObjectIdGetDatum(key->userid));
		put(&row, ObjectIdGetDatum(key->dbid));
		put(&row, Int64GetDatum((int64) key->queryid));
		put_query(&row, key->queryid, key->userid, key->dbid);
		put(&row, ObjectIdGetDatum(key->relid));
	}
	for (int i = 0; i < HONE_TABLE_COUNTERS; i++)
		put(&row, Int64GetDatum(counters[i]));
	finish_row(reader, &row, old_context);
}

/* hone.query_tables_memory(): what queries read of which tables. */
Datum
hone_query_tables_memory(PG_FUNCTION_ARGS)
{
	read_tally(fcinfo, &hone_stats_table_tally, put_table);
	return (Datum) 0;
}

static void
put_nested(const void *tally_key, const int64 *counters, void *arg)
{
	const HoneNestedKey *key = tally_key;
	ViewReader *reader = arg;
	MemoryContext old_context = MemoryContextSwitchTo(reader->row_context);
	ViewRow		row = {0};

	if (key == NULL)
	{
		put_null(&row, 3);
		put_text(&row, "<other>");
		put_null(&row, 2);
	}
	else
	{
		put(&row, Int64GetDatum((int64) key->top_queryid));
		/* Its text is the nested one's role's, if that ran it too. */
		put_query(&row, key->top_queryid, key->userid, key->dbid);
		put(&row, Int64GetDatum((int64) key->queryid));
		put_query(&row, key->queryid, key->userid, key->dbid);
		put(&row, ObjectIdGetDatum(key->userid));
		put(&row, ObjectIdGetDatum(key->dbid));
	}
	put(&row, Int64GetDatum(counters[HONE_NESTED_CALLS]));
	put(&row, Int64GetDatum(counters[HONE_NESTED_ERRORS]));
	put(&row, Int64GetDatum(counters[HONE_NESTED_ROWS]));
	put(&row, Float8GetDatum(ms((double) counters[HONE_NESTED_EXEC_NS])));
	finish_row(reader, &row, old_context);
}

/* hone.nested_queries_memory(): what functions and triggers ran for whom. */
Datum
hone_nested_queries_memory(PG_FUNCTION_ARGS)
{
	read_tally(fcinfo, &hone_stats_nested_tally, put_nested);
	return (Datum) 0;
}

/*
 * ------------------------------------------------------------------
 * Latency by table and command
 * ------------------------------------------------------------------
 */

static void
put_latency(const void *tally_key, const int64 *counters, void *arg)
{
	static const double quantiles[] = {0.50, 0.95, 0.99};
	const HoneLatencyKey *key = tally_key;
	ViewReader *reader = arg;
	MemoryContext old_context = MemoryContextSwitchTo(reader->row_context);
	const uint64 *histogram = (const uint64 *) &counters[HONE_LATENCY_BUCKET];
	uint64		min_ns = (uint64) (PG_INT64_MAX - counters[HONE_LATENCY_SHORTNESS]);
	uint64		max_ns = (uint64) counters[HONE_LATENCY_MAX_NS];
	double		total_ms = ms((double) counters[HONE_LATENCY_EXEC_NS]);
	int64		n = counters[HONE_LATENCY_CALLS] + counters[HONE_LATENCY_ERRORS];
	ViewRow		row = {0};

	if (key == NULL)
		put_null(&row, 3);
	else
	{
		put(&row, ObjectIdGetDatum(key->dbid));
		put_text(&row, GetCommandTagName((CommandTag) key->command));
		put(&row, ObjectIdGetDatum(key->relid));
	}
	put(&row, Int64GetDatum(counters[HONE_LATENCY_CALLS]));
	put(&row, Int64GetDatum(counters[HONE_LATENCY_ERRORS]));
	put(&row, Float8GetDatum(total_ms));
	put(&row, Float8GetDatum(total_ms / (double) Max(n, 1)));
	for (int i = 0; i < (int) lengthof(quantiles); i++)
		put(&row, Float8GetDatum(ms(hone_histogram_quantile(histogram, quantiles[i],
															min_ns, max_ns))));
	finish_row(reader, &row, old_context);
}

/* hone.table_latency_memory(): how long statements on tables take. */
Datum
hone_table_latency_memory(PG_FUNCTION_ARGS)
{
	read_tally(fcinfo, &hone_stats_latency_tally, put_latency);
	return (Datum) 0;
}

typedef struct TableLatencySum
{
	Oid			relid;
	CommandTag	command;		/* CMDTAG_UNKNOWN: all */
	uint64		histogram[HONE_HISTOGRAM_BUCKETS];
} TableLatencySum;

static void
sum_latency(const void *tally_key, const int64 *counters, void *arg)
{
	const HoneLatencyKey *key = tally_key;
	TableLatencySum *sum = arg;

	if (key == NULL || key->dbid != MyDatabaseId || key->relid != sum->relid ||
		(sum->command != CMDTAG_UNKNOWN && key->command != (int32) sum->command))
		return;
	for (int i = 0; i < HONE_HISTOGRAM_BUCKETS; i++)
		sum->histogram[i] += (uint64) counters[HONE_LATENCY_BUCKET + i];
}

/* hone.table_latency_histogram(relation, command): in this database. */
Datum
hone_table_latency_histogram(PG_FUNCTION_ARGS)
{
	TableLatencySum *sum = palloc0_object(TableLatencySum);

	hone_shmem_require();
	InitMaterializedSRF(fcinfo, 0);
	if (PG_ARGISNULL(0))
		return (Datum) 0;
	sum->relid = PG_GETARG_OID(0);
	sum->command = CMDTAG_UNKNOWN;
	if (!PG_ARGISNULL(1))
	{
		char	   *command = text_to_cstring(PG_GETARG_TEXT_PP(1));

		sum->command = GetCommandTagEnum(command);
		if (sum->command == CMDTAG_UNKNOWN)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("argument \"command\" is not a command tag: \"%s\"", command),
					 errhint("Write a command tag such as SELECT or UPDATE, or NULL for all.")));
	}
	hone_stats_drain();
	hone_tally_read(&hone_stats_latency_tally, sum_latency, sum);
	hone_stats_put_histogram(sum->histogram, (ReturnSetInfo *) fcinfo->resultinfo);
	return (Datum) 0;
}
