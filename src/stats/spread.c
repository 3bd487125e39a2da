/*
 * spread.c
 *	  What is counted beside each query's own statistics.
 *
 * A drained batch goes to its query's row (store.c), and from there on to
 * what is asked across queries: which statement ran it (nested), what it read
 * of which tables, and how long statements on those tables take. Errors are
 * counted by SQLSTATE when they happen, because a batch only knows their sum;
 * what runs under an arm of a trial, when it has ended (arms.c).
 * Each of the five is a tally (tally.c), which says what holds for locks, memory
 * and crashes; nothing here raises an error or allocates.
 *
 * A query that was turned away from a full table of statistics (store.c) has
 * no row here, either.
 *
 * What must stay true: the totals of each tally, its "other" row included, are
 * what was executed. In the tallies by table a statement counts under each of
 * its tables, so there the totals are larger than the number of statements; one
 * that changes a table counts for latency under that alone.
 *
 * A plan that was made but not executed is in none of them. A batch of what a
 * parallel worker read has tables, but no execution: that is its leader's.
 */
#include "postgres.h"

#include "access/transam.h"
#include "utils/timestamp.h"

#include "stats/spread.h"
#include "stats/stats.h"

#define LATENCY_ROWS 512		/* 5 kB each: not for every pair there could be */

static int
rows_by_query(void)
{
	return hone_stats_store_limit();
}

/* Most statements read one table or two. */
static int
rows_by_table(void)
{
	return 2 * hone_stats_store_limit();
}

/* Few queries fail, and most of them in one way. */
static int
rows_by_error(void)
{
	return Max(hone_stats_store_limit() / 4, 256);
}

static int
rows_of_latency(void)
{
	return LATENCY_ROWS;
}

HoneTally	hone_stats_nested_tally = {
	.key_size = sizeof(HoneNestedKey),
	.counters = HONE_NESTED_COUNTERS,
	.dense = HONE_NESTED_COUNTERS,
	.partitions = 64,
	.wanted_rows = rows_by_query,
};

HoneTally	hone_stats_table_tally = {
	.key_size = sizeof(HoneTableKey),
	.counters = HONE_TABLE_COUNTERS,
	.dense = HONE_TABLE_COUNTERS,
	.partitions = 64,
	.wanted_rows = rows_by_table,
};

HoneTally	hone_stats_latency_tally = {
	.key_size = sizeof(HoneLatencyKey),
	.counters = HONE_LATENCY_COUNTERS,
	.dense = HONE_LATENCY_BUCKET,
	.maxima = 2,
	.partitions = 16,
	.wanted_rows = rows_of_latency,
};

HoneTally	hone_stats_error_tally = {
	.key_size = sizeof(HoneErrorKey),
	.counters = HONE_ERROR_COUNTERS,
	.dense = HONE_ERROR_COUNTERS,
	.maxima = 1,
	.partitions = 16,
	.wanted_rows = rows_by_error,
};

static HoneTally *const tallies[] = {
	&hone_stats_nested_tally, &hone_stats_table_tally,
	&hone_stats_latency_tally, &hone_stats_error_tally, &hone_stats_arm_tally
};

static Size
spread_size(void)
{
	Size		size = 0;

	for (int i = 0; i < (int) lengthof(tallies); i++)
		size = add_size(size, hone_tally_size(tallies[i]));
	return size;
}

static void
spread_startup(void *memory, bool found)
{
	char	   *place = memory;

	for (int i = 0; i < (int) lengthof(tallies); i++)
	{
		hone_tally_startup(tallies[i], place, found);
		place += hone_tally_size(tallies[i]);
	}
}

const HoneShmemPart hone_stats_spread_part = {
	.name = "pg_hone tallies",
	.size = spread_size,
	.startup = spread_startup,
};

static void
spread_nested(const HoneBatch *batch, bool has_row)
{
	const HoneCounters *c = &batch->counters;
	HoneNestedKey key = {
		.top_queryid = batch->top_queryid,
		.queryid = batch->key.queryid,
		.userid = batch->key.userid,
		.dbid = batch->key.dbid,
	};
	HoneTallyChange change[] = {
		{HONE_NESTED_CALLS, c->calls},
		{HONE_NESTED_ERRORS, c->errors},
		{HONE_NESTED_ROWS, c->rows},
		{HONE_NESTED_EXEC_NS, (int64) c->exec_ns},
	};

	hone_tally_add(&hone_stats_nested_tally, &key, change, lengthof(change), has_row);
}

static void
spread_table(const HoneBatch *batch, const HoneTableRead *table, bool has_row)
{
	int64		executions = batch->counters.calls + batch->counters.errors;
	HoneTableKey key = {
		.queryid = batch->key.queryid,
		.userid = batch->key.userid,
		.dbid = batch->key.dbid,
		.relid = table->relid,
	};
	HoneTallyChange change[] = {
		{HONE_TABLE_EXECUTIONS, executions},
		{HONE_TABLE_TARGETED, table->is_target ? executions : 0},
		{HONE_TABLE_SEQ_ROWS, table->seq_rows},
		{HONE_TABLE_INDEX_ROWS, table->index_rows},
		{HONE_TABLE_RETURNED, batch->counters.rows},
	};

	hone_tally_add(&hone_stats_table_tally, &key, change, lengthof(change), has_row);
}

/* The changes that a batch makes to the latency of each of its tables. */
static int
latency_changes(const HoneBatch *batch, HoneTallyChange *change)
{
	const HoneCounters *c = &batch->counters;
	int			n = 0;

	change[n++] = (HoneTallyChange) {HONE_LATENCY_CALLS, c->calls};
	change[n++] = (HoneTallyChange) {HONE_LATENCY_ERRORS, c->errors};
	change[n++] = (HoneTallyChange) {HONE_LATENCY_EXEC_NS, (int64) c->exec_ns};
	change[n++] = (HoneTallyChange) {HONE_LATENCY_SHORTNESS,
		PG_INT64_MAX - (int64) Min(c->min_ns, (uint64) PG_INT64_MAX)};
	change[n++] = (HoneTallyChange) {HONE_LATENCY_MAX_NS, (int64) c->max_ns};
	for (int i = 0; i < HONE_BATCH_BUCKETS; i++)
	{
		if (batch->count[i] > 0)
			change[n++] = (HoneTallyChange) {HONE_LATENCY_BUCKET + batch->bucket[i],
				batch->count[i]};
	}
	return n;
}

static void
spread_latency(const HoneBatch *batch)
{
	HoneTallyChange change[HONE_LATENCY_BUCKET + HONE_BATCH_BUCKETS];
	int			n = 0;
	bool		has_target = false;

	for (int i = 0; i < batch->ntables; i++)
		has_target |= batch->tables[i].is_target;

	for (int i = 0; i < batch->ntables; i++)
	{
		const HoneTableRead *table = &batch->tables[i];
		HoneLatencyKey key = {
			.dbid = batch->key.dbid,
			.relid = table->relid,
			.command = (int32) batch->command,
		};

		/* Everything reads the catalogs, which says nothing of them. */
		if (table->relid < FirstNormalObjectId || has_target != table->is_target)
			continue;
		if (n == 0)
			n = latency_changes(batch, change);
		hone_tally_add(&hone_stats_latency_tally, &key, change, n, true);
	}
}

void
hone_stats_spread(const HoneBatch *batch, bool has_row)
{
	bool		executed = batch->counters.calls + batch->counters.errors > 0;

	if (executed && batch->top_queryid != 0)
		spread_nested(batch, has_row);
	for (int i = 0; i < batch->ntables; i++)
		spread_table(batch, &batch->tables[i], has_row);
	if (executed && batch->ntables > 0)
		spread_latency(batch);
}

static void
count_error(const HoneQueryKey *query, int sqlerrcode, int counter)
{
	HoneErrorKey key = {.query = *query, .sqlerrcode = sqlerrcode};
	HoneTallyChange change[] = {
		{counter, 1},
		{HONE_ERROR_LAST_SEEN, GetCurrentTimestamp()},
	};

	hone_tally_add(&hone_stats_error_tally, &key, change, lengthof(change), true);
}

void
hone_stats_count_error(const HoneQueryKey *key, int sqlerrcode)
{
	count_error(key, sqlerrcode, HONE_ERROR_RAISED);
}

void
hone_stats_count_caught(const HoneQueryKey *key, int sqlerrcode)
{
	count_error(key, sqlerrcode, HONE_ERROR_CAUGHT);
}

/*
 * ------------------------------------------------------------------
 * Forgetting
 * ------------------------------------------------------------------
 */

typedef struct Criteria
{
	Oid			userid;
	Oid			dbid;
	uint64		queryid;
} Criteria;

static bool
matches(const Criteria *criteria, Oid userid, Oid dbid)
{
	return (!OidIsValid(criteria->userid) || criteria->userid == userid) &&
		(!OidIsValid(criteria->dbid) || criteria->dbid == dbid);
}

/* A query takes along what ran it and what it ran. */
static bool
nested_matches(const void *row, const void *arg)
{
	const HoneNestedKey *key = row;
	const Criteria *criteria = arg;

	return matches(criteria, key->userid, key->dbid) &&
		(criteria->queryid == 0 || criteria->queryid == key->queryid ||
		 criteria->queryid == key->top_queryid);
}

static bool
table_matches(const void *row, const void *arg)
{
	const HoneTableKey *key = row;
	const Criteria *criteria = arg;

	return matches(criteria, key->userid, key->dbid) &&
		(criteria->queryid == 0 || criteria->queryid == key->queryid);
}

/* Nobody's and no query's alone: these go with their database only. */
static bool
latency_matches(const void *row, const void *arg)
{
	const HoneLatencyKey *key = row;
	const Criteria *criteria = arg;

	return !OidIsValid(criteria->userid) && criteria->queryid == 0 &&
		criteria->dbid == key->dbid;
}

static bool
error_matches(const void *row, const void *arg)
{
	const HoneErrorKey *key = row;
	const Criteria *criteria = arg;

	return matches(criteria, key->query.userid, key->query.dbid) &&
		(criteria->queryid == 0 || criteria->queryid == key->query.queryid);
}

/* The trial goes on, and its figures begin anew. */
static bool
arm_matches(const void *row, const void *arg)
{
	const HoneArmKey *key = row;
	const Criteria *criteria = arg;

	return matches(criteria, key->userid, key->dbid) &&
		(criteria->queryid == 0 || criteria->queryid == key->queryid);
}

void
hone_stats_spread_remove(Oid userid, Oid dbid, uint64 queryid)
{
	Criteria	criteria = {userid, dbid, queryid};
	bool		all = !OidIsValid(userid) && !OidIsValid(dbid) && queryid == 0;

	hone_tally_remove(&hone_stats_nested_tally, all ? NULL : nested_matches, &criteria);
	hone_tally_remove(&hone_stats_table_tally, all ? NULL : table_matches, &criteria);
	hone_tally_remove(&hone_stats_latency_tally, all ? NULL : latency_matches, &criteria);
	hone_tally_remove(&hone_stats_error_tally, all ? NULL : error_matches, &criteria);
	hone_tally_remove(&hone_stats_arm_tally, all ? NULL : arm_matches, &criteria);
}
