/*
 * arms.c
 *	  Executions under the arms of a trial: who saw the index, and what it took.
 *
 * A plan that was made while an index is on trial carries its arm (base/arm.h),
 * one for each trial that its tables have. When probe ends an execution of such
 * a plan, it is counted here for each of them, by query, role, block and arm. A
 * block is a group of backends: comparisons are made within blocks, so that what
 * one backend does against another is no effect of the index.
 *
 * Counted are executions that completed, and cancelled ones (timeouts too) with
 * the time they had taken by then: a plan so bad that it is cancelled must not be
 * invisible. Failed ones, and what never ran, are not. A cursor is one execution,
 * however it is read. Parallel workers leave all to their leader, as elsewhere;
 * their plans carry no arm.
 *
 * Beside plain sums there are those of ln(time) and ln(1 + blocks), and of their
 * squares, as integers: logarithms in units of 2^-20, their squares in two parts,
 * of 2^-20 and of 2^-40. So nothing is lost however many are added, and what does
 * not vary has a variance of zero. A time of zero counts as one nanosecond. What
 * fits in a row: 4.6e9 executions of any length (each adds at most ln(2^63)
 * squared, 1907); of a millisecond (13.8, 191) ten times as many. Plain times add
 * up to 292 years.
 *
 * The tally (tally.c) says what holds for locks, memory and crashes. Its rows are
 * bounded; one that is evicted begins anew when it comes back, and what a trial
 * has lost that way nobody can tell but by trial_evictions. Nothing is drained
 * here: what has ended is counted. A row knows its database, because trials are
 * numbered in each; a number that is given again must be forgotten first.
 *
 * hone_stats_count_arms neither raises an error nor allocates, so that it may be
 * called while an error is handled. On a standby all of it works.
 */
#include "postgres.h"

#include <math.h>

#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#include "base/arm.h"
#include "base/compat.h"
#include "base/shmem.h"
#include "stats/spread.h"
#include "stats/stats.h"

#define ARM_ROWS 4096			/* 16 for each query, role and trial at most */
#define LOG_UNIT 1048576		/* 2^20 */
#define LN_NS_PER_MS 13.815510557964274

PG_FUNCTION_INFO_V1(hone_trial_executions_memory);
PG_FUNCTION_INFO_V1(hone_forget_trial);

static int
rows_of_arms(void)
{
	return ARM_ROWS;
}

HoneTally	hone_stats_arm_tally = {
	.key_size = sizeof(HoneArmKey),
	.counters = HONE_ARM_COUNTERS,
	.dense = HONE_ARM_COUNTERS,
	.partitions = 16,
	.wanted_rows = rows_of_arms,
};

/*
 * ------------------------------------------------------------------
 * Counting
 * ------------------------------------------------------------------
 */

/*
 * The number's lowest bit tells the arm (whatif/hidden.c) and is left out: so
 * neighbours, who are on different sides, share a block. Numbers are given out
 * one after the other, which is as even as any hash.
 */
static inline int32
own_block(void)
{
	return (int32) (((uint32) hone_backend_index() >> 1) % HONE_ARM_BLOCKS);
}

/* x at least 1 */
static inline int64
fixed_log(double x)
{
	return (int64) rint(log(x) * LOG_UNIT);
}

void
hone_stats_count_marked(const HoneExecution *execution, const List *items)
{
	const HoneUsage *u = &execution->usage;
	int64		blocks = u->shared_blks_hit + u->shared_blks_read +
		u->local_blks_hit + u->local_blks_read;
	int64		log_ns = fixed_log((double) Max(execution->exec_ns, 1));
	int64		log_blocks = fixed_log(1.0 + (double) Max(blocks, 0));
	HoneArmKey	key = {
		.queryid = execution->key.queryid,
		.userid = execution->key.userid,
		.dbid = execution->key.dbid,
		.block = own_block(),
	};
	ListCell   *lc;

	Assert(execution->outcome != HONE_FAILED);
	foreach(lc, items)
	{
		const PlanInvalItem *item = lfirst_node(PlanInvalItem, lc);
		HoneArm		arm = hone_arm(item);
		HoneTallyChange change[] = {
			{HONE_ARM_EXECUTIONS, 1},
			{HONE_ARM_CANCELS, execution->outcome == HONE_CANCELLED},
			{HONE_ARM_USED, arm.used},
			{HONE_ARM_ROWS, (int64) execution->rows},
			{HONE_ARM_EXEC_NS, (int64) execution->exec_ns},
			{HONE_ARM_LOG_NS, log_ns},
			{HONE_ARM_LOG_NS_SQUARED, log_ns * log_ns / LOG_UNIT},
			{HONE_ARM_LOG_NS_SQUARED_REST, log_ns * log_ns % LOG_UNIT},
			{HONE_ARM_READ_BLOCKS, blocks},
			{HONE_ARM_LOG_BLOCKS, log_blocks},
			{HONE_ARM_LOG_BLOCKS_SQUARED, log_blocks * log_blocks / LOG_UNIT},
			{HONE_ARM_LOG_BLOCKS_SQUARED_REST, log_blocks * log_blocks % LOG_UNIT},
			{HONE_ARM_WAL_BYTES, u->wal_bytes},
		};

		if (!hone_is_arm(item))
			break;
		key.trial = arm.trial;
		key.visible = arm.visible;
		hone_tally_add(&hone_stats_arm_tally, &key, change, lengthof(change), true);
	}
}

/*
 * ------------------------------------------------------------------
 * Reading
 * ------------------------------------------------------------------
 */

#ifdef HAVE_INT128
typedef int128 Exact;
#else
typedef double Exact;			/* nearly */
#endif

/* sums: of the logarithms, and the two of their squares. */
static HoneLogFigures
log_figures(int64 n, const int64 *sums)
{
	Exact		sum = (Exact) sums[0];
	Exact		squares = (Exact) sums[1] * LOG_UNIT + (Exact) sums[2];
	double		deviations = (double) ((Exact) n * squares - sum * sum) / (double) n;
	HoneLogFigures figures = {.mean = (double) sums[0] / LOG_UNIT / (double) n};

	if (n > 1)
		figures.variance = Max(deviations, 0) / (double) (n - 1) / LOG_UNIT / LOG_UNIT;
	return figures;
}

typedef struct ArmReader
{
	uint32		trial;			/* 0: all of this database */
	HoneArmCallback callback;
	void	   *arg;
} ArmReader;

static void
read_arm(const void *tally_key, const int64 *counters, void *arg)
{
	const HoneArmKey *key = tally_key;
	const ArmReader *reader = arg;
	HoneArmRow	row;

	/* What was evicted is no trial's any more. */
	if (key == NULL || key->dbid != MyDatabaseId ||
		(reader->trial != 0 && key->trial != reader->trial))
		return;
	row.trial = (uint32) key->trial;
	row.queryid = key->queryid;
	row.userid = key->userid;
	row.block = key->block;
	row.visible = key->visible != 0;
	row.executions = counters[HONE_ARM_EXECUTIONS];
	row.cancels = counters[HONE_ARM_CANCELS];
	row.used = counters[HONE_ARM_USED];
	row.rows = counters[HONE_ARM_ROWS];
	row.exec_ns = counters[HONE_ARM_EXEC_NS];
	row.log_ns = log_figures(row.executions, &counters[HONE_ARM_LOG_NS]);
	row.blocks = counters[HONE_ARM_READ_BLOCKS];
	row.log_blocks = log_figures(row.executions, &counters[HONE_ARM_LOG_BLOCKS]);
	row.wal_bytes = counters[HONE_ARM_WAL_BYTES];
	reader->callback(&row, reader->arg);
}

void
hone_stats_read_arms(uint32 trial, HoneArmCallback callback, void *arg)
{
	ArmReader	reader = {trial, callback, arg};

	hone_shmem_require();
	hone_tally_read(&hone_stats_arm_tally, read_arm, &reader);
}

static bool
of_trial(const void *row, const void *arg)
{
	const HoneArmKey *key = row;
	const uint64 *trial = arg;

	return key->dbid == MyDatabaseId && key->trial == *trial;
}

void
hone_stats_forget_arms(uint32 trial)
{
	uint64		number = trial;

	if (hone_shmem_ready())
		hone_tally_remove(&hone_stats_arm_tally, of_trial, &number);
}

/*
 * ------------------------------------------------------------------
 * SQL
 * ------------------------------------------------------------------
 */

/* Columns of hone.trial_executions_memory, in order. */
enum
{
	COL_TRIAL, COL_QUERYID, COL_USERID, COL_BLOCK, COL_VISIBLE,
	COL_EXECUTIONS, COL_CANCELS, COL_USED, COL_ROWS,
	COL_TOTAL, COL_MEAN_LOG_MS, COL_VAR_LOG_MS,
	COL_BLOCKS, COL_MEAN_LOG_BLOCKS, COL_VAR_LOG_BLOCKS,
	COL_WAL, COL_QUERY,
	NUM_COLUMNS
};

typedef struct RowWriter
{
	ReturnSetInfo *rsinfo;
	MemoryContext row_context;	/* reset with each row */
	bool		texts;
} RowWriter;

static void
fill_log(const HoneArmRow *row, const HoneLogFigures *figures, double unit,
		 Datum *mean, Datum *variance, bool *no_variance)
{
	*mean = Float8GetDatum(figures->mean - unit);
	*variance = Float8GetDatum(figures->variance);
	*no_variance = row->executions < 2;
}

static void
put_arm(const HoneArmRow *row, void *arg)
{
	const RowWriter *writer = arg;
	MemoryContext old_context = MemoryContextSwitchTo(writer->row_context);
	HoneQueryKey query = {
		.queryid = row->queryid, .userid = row->userid, .dbid = MyDatabaseId
	};
	Datum		values[NUM_COLUMNS] = {0};
	bool		nulls[NUM_COLUMNS] = {0};

	values[COL_TRIAL] = Int64GetDatum((int64) row->trial);
	values[COL_QUERYID] = Int64GetDatum((int64) row->queryid);
	values[COL_USERID] = ObjectIdGetDatum(row->userid);
	values[COL_BLOCK] = Int32GetDatum(row->block);
	values[COL_VISIBLE] = BoolGetDatum(row->visible);
	values[COL_EXECUTIONS] = Int64GetDatum(row->executions);
	values[COL_CANCELS] = Int64GetDatum(row->cancels);
	values[COL_USED] = Int64GetDatum(row->used);
	values[COL_ROWS] = Int64GetDatum(row->rows);
	values[COL_TOTAL] = Float8GetDatum((double) row->exec_ns / 1000000.0);
	fill_log(row, &row->log_ns, LN_NS_PER_MS, &values[COL_MEAN_LOG_MS],
			 &values[COL_VAR_LOG_MS], &nulls[COL_VAR_LOG_MS]);
	values[COL_BLOCKS] = Int64GetDatum(row->blocks);
	fill_log(row, &row->log_blocks, 0, &values[COL_MEAN_LOG_BLOCKS],
			 &values[COL_VAR_LOG_BLOCKS], &nulls[COL_VAR_LOG_BLOCKS]);
	values[COL_WAL] = Int64GetDatum(row->wal_bytes);
	if (writer->texts)
		values[COL_QUERY] = hone_stats_visible_text(&query, &nulls[COL_QUERY]);
	else
		nulls[COL_QUERY] = true;

	tuplestore_putvalues(writer->rsinfo->setResult, writer->rsinfo->setDesc, values, nulls);
	MemoryContextSwitchTo(old_context);
	MemoryContextReset(writer->row_context);
}

/* hone.trial_executions_memory(texts): this database's trials. */
Datum
hone_trial_executions_memory(PG_FUNCTION_ARGS)
{
	RowWriter	writer;

	hone_shmem_require();
	InitMaterializedSRF(fcinfo, 0);
	writer.rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	writer.texts = PG_GETARG_BOOL(0);
	writer.row_context = AllocSetContextCreate(CurrentMemoryContext,
											   "pg_hone statistics row",
											   ALLOCSET_DEFAULT_SIZES);
	hone_stats_read_arms(0, put_arm, &writer);
	MemoryContextDelete(writer.row_context);
	return (Datum) 0;
}

/* hone.forget_trial(trial): a number that is none has nothing to be forgotten. */
Datum
hone_forget_trial(PG_FUNCTION_ARGS)
{
	int64		trial = PG_GETARG_INT64(0);

	hone_shmem_require();
	if (trial > 0 && trial <= (int64) HONE_MAX_TRIAL)
		hone_stats_forget_arms((uint32) trial);
	PG_RETURN_VOID();
}
