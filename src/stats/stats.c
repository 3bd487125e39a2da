/*
 * stats.c
 *	  Query statistics: settings and SQL functions of the room.
 *
 * The way of a figure: probe measures a statement, pending.c adds it up in the
 * backend's own area, the launcher or a reader drains the areas into the table
 * (store.c) and from there to the tallies (spread.c); the functions here and in
 * view.c show them.
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
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "base/compat.h"
#include "base/owner.h"
#include "base/shmem.h"
#include "stats/identity.h"
#include "stats/stats.h"
#include "stats/spread.h"
#include "stats/store.h"

#define INFO_COLUMNS 18

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
	hone_shmem_register(&hone_stats_spread_part);
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
sparse_histogram(const HoneStatsRow *row, const uint64 *histogram,
				 Datum *buckets, Datum *counts)
{
	Datum		b[HONE_HISTOGRAM_BUCKETS];
	Datum		c[HONE_HISTOGRAM_BUCKETS];
	int			n = 0;

	for (int i = row->first_bucket; i < row->end_bucket; i++)
	{
		if (histogram[i] == 0)
			continue;
		b[n] = Int32GetDatum(i);
		c[n++] = Int64GetDatum((int64) histogram[i]);
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
	COL_FIRST, COL_LAST, COL_CAUGHT, COL_CUSTOM, COL_GENERIC,
	COL_SHARED_DIRTIED, COL_SHARED_WRITTEN,
	COL_LOCAL_HIT, COL_LOCAL_READ, COL_LOCAL_DIRTIED, COL_LOCAL_WRITTEN,
	COL_TEMP_READ, COL_READ_MS, COL_WRITE_MS, COL_WAL_RECORDS, COL_WAL_FPI,
	COL_JIT_FUNCTIONS, COL_JIT_MS, COL_BUCKETS, COL_COUNTS,
	NUM_COLUMNS
};

Datum
hone_stats_visible_text(const HoneQueryKey *key, bool *isnull)
{
	char	   *text;

	*isnull = false;
	if (key->queryid == HONE_NO_QUERY)
		return CStringGetTextDatum("<never became a query>");
	if (!hone_may_see_role(key->userid))
		return CStringGetTextDatum("<insufficient privilege>");
	text = hone_stats_text_get(key);
	if (text)
		return CStringGetTextDatum(text);
	*isnull = true;
	return (Datum) 0;
}

static void
fill_identity(const HoneStatsRow *row, Datum *values, bool *nulls)
{
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
	values[COL_QUERY] = hone_stats_visible_text(&row->key, &nulls[COL_QUERY]);
}

static Datum
quantile_ms(const HoneStatsRow *row, const uint64 *histogram, double q)
{
	const HoneCounters *c = &row->counters;

	return Float8GetDatum(ms(hone_histogram_quantile_between(histogram,
															 row->first_bucket,
															 row->end_bucket, q,
															 c->min_ns, c->max_ns)));
}

static void
fill_times(const HoneStatsRow *row, const uint64 *histogram, Datum *values, bool *nulls)
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
	values[COL_P50] = quantile_ms(row, histogram, 0.50);
	values[COL_P95] = quantile_ms(row, histogram, 0.95);
	values[COL_P99] = quantile_ms(row, histogram, 0.99);
}

static void
fill_usage(const HoneCounters *c, Datum *values)
{
	const HoneUsage *u = &c->usage;

	values[COL_HIT] = Int64GetDatum(u->shared_blks_hit);
	values[COL_READ] = Int64GetDatum(u->shared_blks_read);
	values[COL_TEMP] = Int64GetDatum(u->temp_blks_written);
	values[COL_WAL] = Int64GetDatum(u->wal_bytes);
	values[COL_SHARED_DIRTIED] = Int64GetDatum(u->shared_blks_dirtied);
	values[COL_SHARED_WRITTEN] = Int64GetDatum(u->shared_blks_written);
	values[COL_LOCAL_HIT] = Int64GetDatum(u->local_blks_hit);
	values[COL_LOCAL_READ] = Int64GetDatum(u->local_blks_read);
	values[COL_LOCAL_DIRTIED] = Int64GetDatum(u->local_blks_dirtied);
	values[COL_LOCAL_WRITTEN] = Int64GetDatum(u->local_blks_written);
	values[COL_TEMP_READ] = Int64GetDatum(u->temp_blks_read);
	values[COL_READ_MS] = Float8GetDatum(ms((double) u->read_ns));
	values[COL_WRITE_MS] = Float8GetDatum(ms((double) u->write_ns));
	values[COL_WAL_RECORDS] = Int64GetDatum(u->wal_records);
	values[COL_WAL_FPI] = Int64GetDatum(u->wal_fpi);
	values[COL_JIT_FUNCTIONS] = Int64GetDatum(c->jit_functions);
	values[COL_JIT_MS] = Float8GetDatum(ms((double) c->jit_ns));
}

typedef struct StatsReader
{
	ReturnSetInfo *rsinfo;
	MemoryContext row_context;	/* reset with each row */
	bool		histograms;		/* the arrays cost more than all the rest */
} StatsReader;

static void
put_row(const HoneStatsRow *row, const uint64 *histogram, void *arg)
{
	StatsReader *reader = (StatsReader *) arg;
	MemoryContext old_context = MemoryContextSwitchTo(reader->row_context);
	const HoneCounters *c = &row->counters;
	Datum		values[NUM_COLUMNS] = {0};
	bool		nulls[NUM_COLUMNS] = {0};

	fill_identity(row, values, nulls);
	fill_times(row, histogram, values, nulls);
	fill_usage(c, values);
	values[COL_CALLS] = Int64GetDatum(c->calls);
	values[COL_ERRORS] = Int64GetDatum(c->errors);
	values[COL_CANCELS] = Int64GetDatum(c->cancels);
	values[COL_ROWS] = Int64GetDatum(c->rows);
	values[COL_PLANS] = Int64GetDatum(c->plans);
	values[COL_TOTAL_PLAN] = Float8GetDatum(ms((double) c->plan_ns));
	values[COL_FIRST] = TimestampTzGetDatum(row->first_seen);
	values[COL_LAST] = TimestampTzGetDatum(row->last_seen);
	values[COL_CAUGHT] = Int64GetDatum(c->caught);
	values[COL_CUSTOM] = Int64GetDatum(c->custom);
	values[COL_GENERIC] = Int64GetDatum(c->generic);
	if (reader->histograms)
		sparse_histogram(row, histogram, &values[COL_BUCKETS], &values[COL_COUNTS]);
	else
		nulls[COL_BUCKETS] = nulls[COL_COUNTS] = true;

	tuplestore_putvalues(reader->rsinfo->setResult, reader->rsinfo->setDesc, values, nulls);
	MemoryContextSwitchTo(old_context);
	MemoryContextReset(reader->row_context);
}

/* hone.query_stats_memory(histograms): what the server has counted since it started. */
Datum
hone_query_stats_memory(PG_FUNCTION_ARGS)
{
	StatsReader reader;

	hone_shmem_require();
	InitMaterializedSRF(fcinfo, 0);
	reader.rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	reader.histograms = PG_GETARG_BOOL(0);
	reader.row_context = AllocSetContextCreate(CurrentMemoryContext,
											   "pg_hone statistics row",
											   ALLOCSET_DEFAULT_SIZES);
	hone_stats_drain();
	hone_stats_store_read(put_row, &reader);
	MemoryContextDelete(reader.row_context);
	return (Datum) 0;
}

void
hone_stats_put_histogram(const uint64 *histogram, ReturnSetInfo *rsinfo)
{
	uint64		seen = 0;

	for (int i = 0; i < HONE_HISTOGRAM_BUCKETS; i++)
	{
		Datum		values[2];
		bool		nulls[2] = {false, false};

		if (histogram[i] == 0)
			continue;
		seen += histogram[i];
		values[0] = Float8GetDatum(ms(hone_histogram_upper_ns(i)));
		values[1] = Int64GetDatum((int64) seen);
		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
	}
}

typedef struct LatencySum
{
	uint64		queryid;
	uint64		histogram[HONE_HISTOGRAM_BUCKETS];
} LatencySum;

static void
sum_latency(const HoneStatsRow *row, const uint64 *histogram, void *arg)
{
	LatencySum *sum = (LatencySum *) arg;

	if (row->key.queryid != sum->queryid || row->key.dbid != MyDatabaseId)
		return;
	for (int i = row->first_bucket; i < row->end_bucket; i++)
		sum->histogram[i] += histogram[i];
}

/* hone.query_latency(queryid): its cumulative histogram in this database. */
Datum
hone_query_latency(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	LatencySum *sum = palloc0_object(LatencySum);

	hone_shmem_require();
	InitMaterializedSRF(fcinfo, 0);
	sum->queryid = (uint64) PG_GETARG_INT64(0);
	hone_stats_drain();
	hone_stats_store_read(sum_latency, sum);

	hone_stats_put_histogram(sum->histogram, rsinfo);
	return (Datum) 0;
}

/* hone.query_stats_info: one row about ourselves. */
Datum
hone_query_stats_info(PG_FUNCTION_ARGS)
{
	static const HoneTally *const tallies[] = {
		&hone_stats_error_tally, &hone_stats_table_tally,
		&hone_stats_nested_tally, &hone_stats_latency_tally,
		&hone_stats_arm_tally
	};
	TupleDesc	desc;
	HoneStatsInfo info;
	Datum		values[INFO_COLUMNS];
	bool		nulls[INFO_COLUMNS] = {0};
	int			n = 0;

	hone_shmem_require();
	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	hone_stats_drain();
	hone_stats_store_info(&info);
	hone_stats_text_info(&info);

	values[n++] = Int64GetDatum(info.entries);
	values[n++] = Int64GetDatum(info.max_entries);
	values[n++] = Int64GetDatum(info.evictions);
	values[n++] = Int64GetDatum(info.texts);
	values[n++] = Int64GetDatum(info.texts_lost);
	values[n++] = Int64GetDatum((int64) hone_fixed_size());
	values[n++] = Int64GetDatum((int64) hone_arena_size());
	values[n++] = TimestampTzGetDatum(info.reset_at);
	for (int i = 0; i < (int) lengthof(tallies); i++)
	{
		int64		entries;
		int64		evictions;

		hone_tally_info(tallies[i], &entries, &evictions);
		values[n++] = Int64GetDatum(entries);
		values[n++] = Int64GetDatum(evictions);
	}
	Assert(n == INFO_COLUMNS);
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
	hone_stats_spread_remove(userid, dbid, queryid);
	PG_RETURN_INT64(hone_stats_store_remove(userid, dbid, queryid));
}
