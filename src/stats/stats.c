/*
 * stats.c
 *	  Query statistics: settings and SQL functions of the room.
 *
 * The way of a figure: probe measures a statement, pending.c adds it up in the
 * backend's own area, the launcher or a reader drains the areas into the table
 * (store.c), and the functions here show the table.
 */
#include "postgres.h"

#include <math.h>

#include "catalog/pg_type.h"
#include "common/hashfn.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "base/compat.h"
#include "base/owner.h"
#include "base/shmem.h"
#include "stats/identity.h"
#include "stats/stats.h"
#include "stats/store.h"

PG_FUNCTION_INFO_V1(hone_query_stats_memory);
PG_FUNCTION_INFO_V1(hone_query_latency);
PG_FUNCTION_INFO_V1(hone_query_stats_info);
PG_FUNCTION_INFO_V1(hone_reset_query_stats);

void
hone_stats_init(void)
{
	/* Without shared memory nothing is counted, and there is nothing to set. */
	if (!process_shared_preload_libraries_in_progress)
		return;
	hone_stats_store_settings();
	hone_stats_text_settings();
	hone_stats_identity_settings();
	hone_shmem_register(&hone_stats_store_part);
	hone_shmem_register(&hone_stats_pending_part);
	hone_shmem_register(&hone_stats_text_part);
	hone_shmem_register(&hone_stats_identity_part);
}

static double
ms(double ns)
{
	return ns / 1000000.0;
}

static double
stddev_ms(const HoneCounters *c, double n)
{
	double		mean = ms((double) c->exec_ns) / n;
	double		variance = c->square_ms / n - mean * mean;

	return variance > 0 ? sqrt(variance) : 0;
}

/* The buckets that are not empty, as two arrays of the same length. */
static void
sparse_histogram(const HoneStatsRow *row, Datum *buckets, Datum *counts)
{
	Datum		b[HONE_HISTOGRAM_BUCKETS];
	Datum		c[HONE_HISTOGRAM_BUCKETS];
	int			n = 0;

	for (int i = 0; i < HONE_HISTOGRAM_BUCKETS; i++)
	{
		if (row->histogram[i] == 0)
			continue;
		b[n] = Int32GetDatum(i);
		c[n++] = Int64GetDatum((int64) row->histogram[i]);
	}
	*buckets = PointerGetDatum(construct_array(b, n, INT4OID, sizeof(int32),
											   true, TYPALIGN_INT));
	*counts = PointerGetDatum(construct_array(c, n, INT8OID, sizeof(int64),
											  FLOAT8PASSBYVAL, TYPALIGN_DOUBLE));
}

/* Columns of hone.query_stats_memory, in order. */
enum
{
	COL_USERID, COL_DBID, COL_QUERYID, COL_TOPLEVEL, COL_COMMAND, COL_QUERY,
	COL_CALLS, COL_ERRORS, COL_CANCELS, COL_ROWS,
	COL_TOTAL, COL_MEAN, COL_MIN, COL_MAX, COL_STDDEV, COL_P50, COL_P95, COL_P99,
	COL_PLANS, COL_TOTAL_PLAN,
	COL_HIT, COL_READ, COL_TEMP, COL_WAL,
	COL_FIRST, COL_LAST, COL_BUCKETS, COL_COUNTS,
	NUM_COLUMNS
};

static void
fill_identity(const HoneStatsRow *row, Datum *values, bool *nulls)
{
	char	   *text;

	if (row->key.queryid == 0)
	{
		/* What was evicted: everybody's, so nobody's. */
		for (int i = COL_USERID; i <= COL_COMMAND; i++)
			nulls[i] = true;
		values[COL_QUERY] = CStringGetTextDatum("<other>");
		return;
	}
	values[COL_USERID] = ObjectIdGetDatum(row->key.userid);
	values[COL_DBID] = ObjectIdGetDatum(row->key.dbid);
	values[COL_QUERYID] = Int64GetDatum((int64) row->key.queryid);
	values[COL_TOPLEVEL] = BoolGetDatum(row->key.toplevel);
	values[COL_COMMAND] = CStringGetTextDatum(GetCommandTagName(row->command));

	if (!hone_may_see_role(row->key.userid))
	{
		values[COL_QUERY] = CStringGetTextDatum("<insufficient privilege>");
		return;
	}
	text = hone_stats_text_get(&row->key);
	if (text)
		values[COL_QUERY] = CStringGetTextDatum(text);
	else
		nulls[COL_QUERY] = true;
}

static void
fill_times(const HoneStatsRow *row, Datum *values, bool *nulls)
{
	const HoneCounters *c = &row->counters;
	double		n = (double) (c->calls + c->errors);

	values[COL_TOTAL] = Float8GetDatum(ms((double) c->exec_ns));
	if (n == 0)
	{
		/* Planned, but not executed yet. */
		for (int i = COL_MEAN; i <= COL_P99; i++)
			nulls[i] = true;
		return;
	}
	values[COL_MEAN] = Float8GetDatum(ms((double) c->exec_ns) / n);
	values[COL_MIN] = Float8GetDatum(ms((double) c->min_ns));
	values[COL_MAX] = Float8GetDatum(ms((double) c->max_ns));
	values[COL_STDDEV] = Float8GetDatum(stddev_ms(c, n));
	values[COL_P50] = Float8GetDatum(ms(hone_histogram_quantile(row->histogram, 0.50, c->min_ns, c->max_ns)));
	values[COL_P95] = Float8GetDatum(ms(hone_histogram_quantile(row->histogram, 0.95, c->min_ns, c->max_ns)));
	values[COL_P99] = Float8GetDatum(ms(hone_histogram_quantile(row->histogram, 0.99, c->min_ns, c->max_ns)));
}

static void
put_row(const HoneStatsRow *row, void *arg)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) arg;
	const HoneCounters *c = &row->counters;
	Datum		values[NUM_COLUMNS] = {0};
	bool		nulls[NUM_COLUMNS] = {0};

	fill_identity(row, values, nulls);
	fill_times(row, values, nulls);
	values[COL_CALLS] = Int64GetDatum(c->calls);
	values[COL_ERRORS] = Int64GetDatum(c->errors);
	values[COL_CANCELS] = Int64GetDatum(c->cancels);
	values[COL_ROWS] = Int64GetDatum(c->rows);
	values[COL_PLANS] = Int64GetDatum(c->plans);
	values[COL_TOTAL_PLAN] = Float8GetDatum(ms((double) c->plan_ns));
	values[COL_HIT] = Int64GetDatum(c->usage.shared_blks_hit);
	values[COL_READ] = Int64GetDatum(c->usage.shared_blks_read);
	values[COL_TEMP] = Int64GetDatum(c->usage.temp_blks_written);
	values[COL_WAL] = Int64GetDatum(c->usage.wal_bytes);
	values[COL_FIRST] = TimestampTzGetDatum(row->first_seen);
	values[COL_LAST] = TimestampTzGetDatum(row->last_seen);
	sparse_histogram(row, &values[COL_BUCKETS], &values[COL_COUNTS]);

	tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
}

/* hone.query_stats_memory(): what the server has counted since it started. */
Datum
hone_query_stats_memory(PG_FUNCTION_ARGS)
{
	hone_shmem_require();
	InitMaterializedSRF(fcinfo, 0);
	hone_stats_drain();
	hone_stats_store_read(put_row, fcinfo->resultinfo);
	return (Datum) 0;
}

typedef struct LatencySum
{
	uint64		queryid;
	uint64		histogram[HONE_HISTOGRAM_BUCKETS];
} LatencySum;

static void
sum_latency(const HoneStatsRow *row, void *arg)
{
	LatencySum *sum = (LatencySum *) arg;

	if (row->key.queryid != sum->queryid || row->key.dbid != MyDatabaseId)
		return;
	for (int i = 0; i < HONE_HISTOGRAM_BUCKETS; i++)
		sum->histogram[i] += row->histogram[i];
}

/* hone.query_latency(queryid): its cumulative histogram in this database. */
Datum
hone_query_latency(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	LatencySum *sum = palloc0_object(LatencySum);
	uint64		seen = 0;

	hone_shmem_require();
	InitMaterializedSRF(fcinfo, 0);
	sum->queryid = (uint64) PG_GETARG_INT64(0);
	hone_stats_drain();
	hone_stats_store_read(sum_latency, sum);

	for (int i = 0; i < HONE_HISTOGRAM_BUCKETS; i++)
	{
		Datum		values[2];
		bool		nulls[2] = {false, false};

		if (sum->histogram[i] == 0)
			continue;
		seen += sum->histogram[i];
		values[0] = Float8GetDatum(ms(hone_histogram_upper_ns(i)));
		values[1] = Int64GetDatum((int64) seen);
		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
	}
	return (Datum) 0;
}

/* hone.query_stats_info: one row about ourselves. */
Datum
hone_query_stats_info(PG_FUNCTION_ARGS)
{
	TupleDesc	desc;
	HoneStatsInfo info;
	Datum		values[8];
	bool		nulls[8] = {0};

	hone_shmem_require();
	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	hone_stats_drain();
	hone_stats_store_info(&info);
	hone_stats_text_info(&info);

	values[0] = Int64GetDatum(info.entries);
	values[1] = Int64GetDatum(info.max_entries);
	values[2] = Int64GetDatum(info.evictions);
	values[3] = Int64GetDatum(info.texts);
	values[4] = Int64GetDatum(info.texts_lost);
	values[5] = Int64GetDatum((int64) hone_fixed_size());
	values[6] = Int64GetDatum((int64) hone_arena_size());
	values[7] = TimestampTzGetDatum(info.reset_at);
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(desc), values, nulls)));
}

/* hone.reset_query_stats(userid, dbid, queryid): NULL stands for all. */
Datum
hone_reset_query_stats(PG_FUNCTION_ARGS)
{
	Oid			userid = PG_ARGISNULL(0) ? InvalidOid : PG_GETARG_OID(0);
	Oid			dbid = PG_ARGISNULL(1) ? InvalidOid : PG_GETARG_OID(1);
	uint64		queryid = PG_ARGISNULL(2) ? 0 : (uint64) PG_GETARG_INT64(2);

	hone_shmem_require();
	/* Zero matches nothing that exists; it must not come to mean "all". */
	if ((!PG_ARGISNULL(0) && !OidIsValid(userid)) ||
		(!PG_ARGISNULL(1) && !OidIsValid(dbid)) ||
		(!PG_ARGISNULL(2) && queryid == 0))
		PG_RETURN_INT64(0);

	hone_stats_drain();
	PG_RETURN_INT64(hone_stats_store_remove(userid, dbid, queryid));
}
