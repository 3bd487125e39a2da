/*
 * probe.c
 *	  The hooks that see every execution, and the handing over of what they saw.
 *
 * What a statement passes through:
 *
 *	parse analysis   its text is made known to stats, once        (parse.c)
 *	planner          planning is timed, and counted apart         (parse.c)
 *	ExecutorStart    a failure to start is noted
 *	ExecutorRun      a frame is pushed that adds up this execution; clock, usage
 *	                 counters and rows read are taken before and after. A portal
 *	                 read in pieces (cursors, row limits) runs many times
 *	ExecutorFinish   the same, where there are AFTER triggers
 *	ExecutorEnd      the frame is popped and handed to the keepers, once. What
 *	                 never ran does not count
 *	ProcessUtility   utility statements, by command tag           (utility.c)
 *
 * So a statement is measured once, and one const record goes to stats,
 * workload and slowlog, which keep what they want of it.
 *
 * Nesting. One counter for planner, executor and utility statements, raised
 * around the call down and put back also on error, tells top level statements
 * (0) from those that functions and triggers run. Those are told which top
 * level statement they run for.
 *
 * Cost is what this file is about. An execution is added up in its frame, which
 * is also the record that is handed over: nothing is copied. There are two
 * readings of the clock for each stretch of execution, and none but the
 * server's own counters. Whatever needs a lock, a look into shared memory or a
 * text is done rarely, by the keepers.
 *
 * Errors: see failure.c. Whatever fails in keeping is counted and forgotten: a
 * hook never raises an error of its own after the statement's work is done.
 *
 * Parallel workers count only the rows they read, which their leader's counters
 * do not have; all else they leave to the leader. On a standby all of it works.
 * With pg_hone.enabled off, or in our own workers, each hook costs one branch.
 */
#include "postgres.h"

#include "common/hashfn.h"
#include "executor/executor.h"
#include "jit/jit.h"
#include "tcop/pquery.h"
#include "utils/guc.h"

#include "base/compat.h"
#include "jobs/jobs.h"
#include "probe/internal.h"
#include "probe/probe.h"
#include "slowlog/slowlog.h"
#include "stats/stats.h"
#include "workload/workload.h"

typedef enum TrackLevel
{
	TRACK_NONE,
	TRACK_TOP,
	TRACK_ALL
} TrackLevel;

static const struct config_enum_entry track_options[] = {
	{"none", TRACK_NONE, false},
	{"top", TRACK_TOP, false},
	{"all", TRACK_ALL, false},
	{NULL, 0, false}
};

static bool enabled = true;
static int	track = TRACK_ALL;

HoneProbe	hone_probe = {.deepest = INT_MAX,.until_own_clock = HONE_OWN_CLOCK_INTERVAL};

static ExecutorStart_hook_type prev_ExecutorStart = NULL;
static ExecutorRun_hook_type prev_ExecutorRun = NULL;
static ExecutorFinish_hook_type prev_ExecutorFinish = NULL;
static ExecutorEnd_hook_type prev_ExecutorEnd = NULL;

/* What the hooks take of the statement whose own time is measured (own_time.c). */
static uint64 own_ns;

static inline void
choose_own_clock(void)
{
	hone_probe.own_clock = (--hone_probe.until_own_clock == 0);
	if (unlikely(hone_probe.own_clock))
	{
		hone_probe.until_own_clock = HONE_OWN_CLOCK_INTERVAL;
		own_ns = 0;
	}
}

/*
 * ------------------------------------------------------------------
 * Handing over
 * ------------------------------------------------------------------
 */

static inline void
hand_over(const HoneExecution *execution)
{
	bool		first = hone_stats_record(execution);

	/* Once for each time that there is something new to collect. */
	if (unlikely(first))
		hone_jobs_mark_database(MyDatabaseId);
	if (hone_slowlog_wants(execution->exec_ns) ||
		execution->outcome != HONE_COMPLETED)
		hone_slowlog_keep(execution);
}

void
hone_probe_hand_over(const HoneExecution *execution)
{
	hand_over(execution);
}

/*
 * ------------------------------------------------------------------
 * Start
 * ------------------------------------------------------------------
 */

static inline void
call_ExecutorStart(QueryDesc *query_desc, int eflags)
{
	if (prev_ExecutorStart)
		prev_ExecutorStart(query_desc, eflags);
	else
		standard_ExecutorStart(query_desc, eflags);
}

static pg_noinline void
start_guarded(QueryDesc *query_desc, int eflags, uint64 queryid)
{
	uint64		top_queryid = hone_probe.top_queryid;

	if (hone_probe.nesting == 0)
		hone_probe.top_queryid = queryid;
	hone_probe.nesting++;
	PG_TRY();
	{
		call_ExecutorStart(query_desc, eflags);
	}
	PG_CATCH();
	{
		hone_probe.nesting--;
		hone_failure_at_start(query_desc);
		PG_RE_THROW();
	}
	PG_END_TRY();
	hone_probe.nesting--;
	hone_probe.top_queryid = top_queryid;
}

/*
 * At level 0 the log hook finds out about an error, and about whose it is.
 * Starting may run functions (to leave out partitions): what they run is nested.
 */
static inline void
start(QueryDesc *query_desc, int eflags, uint64 queryid)
{
	if (likely(hone_probe_may_go_unguarded(GetCurrentSubTransactionId())))
	{
		hone_probe.starting = query_desc;
		hone_probe.top_queryid = queryid;
		hone_probe.nesting = 1;
		call_ExecutorStart(query_desc, eflags);
		hone_probe.nesting = 0;
		hone_probe.starting = NULL;
	}
	else
		start_guarded(query_desc, eflags, queryid);
}

/* The slow log knows this query and may want to look at it more closely. */
static pg_noinline void
start_expected(QueryDesc *query_desc, int eflags, uint64 queryid)
{
	HoneQueryKey key;
	bool		early;

	hone_probe_fill_key(&key, queryid);
	early = hone_slowlog_before_start(query_desc, &key);
	start(query_desc, eflags, queryid);
	if (early)
	{
		hone_probe.early_plan = hone_slowlog_after_start(query_desc);
		hone_probe.early_for = query_desc;
	}
}

/* What is started and never runs (EXPLAIN, a cursor never read) does not count. */
static void
probe_ExecutorStart(QueryDesc *query_desc, int eflags)
{
	uint64		queryid = (uint64) query_desc->plannedstmt->queryId;

	if (!hone_probe_tracking() || queryid == 0)
	{
		call_ExecutorStart(query_desc, eflags);
		return;
	}
	hone_probe.early_plan = NULL;
	queryid = hone_stats_identity(queryid);
	if (unlikely(hone_slowlog_expects(queryid)) && !(eflags & EXEC_FLAG_EXPLAIN_ONLY))
		start_expected(query_desc, eflags, queryid);
	else
		start(query_desc, eflags, queryid);
}

/*
 * ------------------------------------------------------------------
 * Run and Finish
 * ------------------------------------------------------------------
 */

/*
 * A plan that was made just now, with the values at hand, was made for them. One
 * that has parameters and was not is made for any values.
 */
static pg_attribute_always_inline void
take_planning(HoneExecution *execution, const QueryDesc *query_desc)
{
	bool		just_planned = hone_probe.planned.key.queryid == execution->key.queryid;

	execution->plan_ns = 0;
	execution->plan_kind = HONE_PLAN_UNKNOWN;
	if (just_planned)
	{
		execution->plan_ns = hone_probe.planned.ns;
		hone_probe.planned.key.queryid = 0;
	}
	if (query_desc->params != NULL && query_desc->params->numParams > 0)
		execution->plan_kind = just_planned && hone_probe.planned.with_values
			? HONE_PLAN_CUSTOM : HONE_PLAN_GENERIC;
}

/* An execution begins to run; it has no frame yet. NULL if it is to have none. */
static pg_attribute_always_inline HoneFrame *
begin_execution(QueryDesc *query_desc, SubTransactionId subxact)
{
	uint64		queryid = (uint64) query_desc->plannedstmt->queryId;
	HoneExecution *execution;
	HoneFrame  *frame;

	if (queryid == 0 || !hone_probe_capturing())
		return NULL;
	frame = hone_frame_new();
	if (unlikely(frame == NULL))
		return NULL;
	frame->query_desc = query_desc;

	/* A cursor may be read first in a subtransaction that it outlives. */
	frame->subxact = subxact;
	if (ActivePortal != NULL && ActivePortal->queryDesc == query_desc)
		frame->subxact = ActivePortal->createSubid;

	execution = &frame->execution;
	execution->exec_ns = 0;
	execution->rows = 0;
	execution->text = NULL;
	execution->params = NULL;
	execution->query_desc = NULL;
	hone_probe_fill_key(&execution->key, hone_stats_identity(queryid));
	execution->command = hone_probe_command_tag(query_desc->operation);
	execution->nesting = hone_probe.nesting;
	execution->top_queryid = hone_probe_top_queryid();
	execution->text_is_safe = true;
	if (unlikely(hone_probe.utility.text != NULL ||
				 query_desc->plannedstmt->stmt_location < 0))
		hone_probe_set_query_text(execution, query_desc);
	take_planning(execution, query_desc);
	execution->early_plan = NULL;
	if (unlikely(hone_probe.early_plan != NULL) && hone_probe.early_for == query_desc)
	{
		execution->early_plan = hone_probe.early_plan;
		hone_probe.early_plan = NULL;
	}

	frame->below = hone_probe.frames;
	hone_probe.frames = frame;
	hone_scans_collect(frame, query_desc);
	return frame;
}

static inline void
begin_scans(HoneFrame *frame)
{
	for (int i = 0; i < frame->nscans; i++)
	{
		HoneScan   *scan = &frame->scans[i];

		scan->start_returned = hone_rows_returned(scan->counts);
		scan->start_fetched = hone_rows_fetched(scan->counts);
	}
}

/* Bitmap scans count as index scans: what they fetch, indexes have found. */
static inline void
end_scans(HoneFrame *frame)
{
	for (int i = 0; i < frame->nscans; i++)
	{
		HoneScan   *scan = &frame->scans[i];
		HoneTableRead *table = &frame->tables[scan->table];
		int64		returned = hone_rows_returned(scan->counts) - scan->start_returned;
		int64		fetched = hone_rows_fetched(scan->counts) - scan->start_fetched;

		if (scan->is_index)
			table->index_rows += returned;
		else
		{
			table->seq_rows += returned;
			table->index_rows += fetched;
		}
		if (unlikely(hone_probe.nesting > 0))
			hone_scans_give_to_outer(frame, scan, returned, fetched);
	}
}

/* A stretch of execution begins. The clock is read last, and first at the end. */
static pg_attribute_always_inline void
begin_stretch(HoneFrame *frame)
{
	frame->outer = hone_probe_enter(&frame->execution);
	begin_scans(frame);
	frame->running = true;
	hone_probe_mark_usage(&frame->mark);
	frame->execution.exec_ns -= hone_now_ns();
}

static pg_attribute_always_inline void
end_stretch(HoneFrame *frame)
{
	frame->execution.exec_ns += hone_now_ns();
	hone_probe_add_usage(&frame->execution, &frame->mark);
	hone_probe_leave(frame->outer);
	end_scans(frame);
	frame->running = false;
}

/* The same for where it does not matter what it costs. */
static pg_noinline void
end_stretch_elsewhere(HoneFrame *frame)
{
	end_stretch(frame);
}

/*
 * An error ends an execution that is at work. The frame is gone afterwards.
 * Without a code the transaction is being aborted already, and text and values
 * may be gone.
 */
void
hone_probe_fail_frame(HoneFrame *frame, int sqlerrcode)
{
	const QueryDesc *query_desc = frame->query_desc;
	HoneExecution *execution = &frame->execution;

	/* The executor's memory, where many scans are, may be gone as well. */
	if (sqlerrcode == 0)
		frame->nscans = 0;
	end_stretch_elsewhere(frame);
	if (!IsParallelWorker())
	{
		if (sqlerrcode == 0)
			execution->early_plan = NULL;
		else
		{
			execution->params = query_desc->params;
			hone_probe_set_query_text(execution, query_desc);
		}
		hone_failure_set(execution, sqlerrcode);
		if (execution->outcome == HONE_CANCELLED)
			hone_stats_count_arms(execution, query_desc->plannedstmt);
		hone_probe_hand_over(execution);
		hone_failure_passed(execution);
	}
	hone_frame_drop(frame);
}

static inline void
call_ExecutorRun(HONE_EXECUTOR_RUN_PARAMS)
{
	if (prev_ExecutorRun)
		prev_ExecutorRun(HONE_EXECUTOR_RUN_ARGS);
	else
		standard_ExecutorRun(HONE_EXECUTOR_RUN_ARGS);
}

/*
 * What tells a plan from others at work in the same leader and its workers: a
 * worker gets the whole range table, but not whose it is.
 */
static uint64
range_table_hash(const QueryDesc *query_desc)
{
	uint64		hash = 0;
	ListCell   *lc;

	foreach(lc, query_desc->plannedstmt->rtable)
		hash = hash_combine64(hash, lfirst_node(RangeTblEntry, lc)->relid);
	return hash;
}

/* Not measured, but what runs inside must know that it is nested. */
static pg_noinline void
run_unmeasured(HONE_EXECUTOR_RUN_PARAMS)
{
	if (queryDesc->plannedstmt->parallelModeNeeded)
		hone_stats_announce_parallel(NULL, range_table_hash(queryDesc));
	hone_probe.nesting++;
	PG_TRY();
	{
		call_ExecutorRun(HONE_EXECUTOR_RUN_ARGS);
	}
	PG_FINALLY();
	{
		hone_probe.nesting--;
	}
	PG_END_TRY();
}

static pg_noinline void
run_guarded(HoneFrame *frame, HONE_EXECUTOR_RUN_PARAMS)
{
	PG_TRY();
	{
		call_ExecutorRun(HONE_EXECUTOR_RUN_ARGS);
	}
	PG_CATCH();
	{
		hone_probe_fail_frame(frame, geterrcode());
		PG_RE_THROW();
	}
	PG_END_TRY();
}

static pg_attribute_always_inline void
run_measured(HoneFrame *frame, SubTransactionId subxact, HONE_EXECUTOR_RUN_PARAMS)
{
	frame->unguarded = hone_probe_may_go_unguarded(subxact);
	if (unlikely(queryDesc->plannedstmt->parallelModeNeeded))
		hone_stats_announce_parallel(&frame->execution.key, range_table_hash(queryDesc));
	begin_stretch(frame);
	if (likely(frame->unguarded))
		call_ExecutorRun(HONE_EXECUTOR_RUN_ARGS);
	else
		run_guarded(frame, HONE_EXECUTOR_RUN_ARGS);
	end_stretch(frame);
	frame->execution.rows += queryDesc->estate->es_processed;
}

/* What the hook took is what it took in all, less the execution. */
static pg_noinline void
run_with_own_clock(HONE_EXECUTOR_RUN_PARAMS)
{
	uint64		start = hone_now_ns();
	HoneFrame  *frame = hone_frame_find(queryDesc);
	uint64		before = frame ? frame->execution.exec_ns : 0;
	SubTransactionId subxact = GetCurrentSubTransactionId();

	if (frame == NULL)
		frame = begin_execution(queryDesc, subxact);
	if (frame == NULL)
	{
		run_unmeasured(HONE_EXECUTOR_RUN_ARGS);
		return;
	}
	run_measured(frame, subxact, HONE_EXECUTOR_RUN_ARGS);
	own_ns += hone_now_ns() - start - (frame->execution.exec_ns - before);
}

static void
probe_ExecutorRun(HONE_EXECUTOR_RUN_PARAMS)
{
	SubTransactionId subxact;
	HoneFrame  *frame;

	/* Switched off, and nothing begun before that is still to be measured. */
	if (hone_probe.deepest < 0 && hone_probe.frames == NULL)
	{
		call_ExecutorRun(HONE_EXECUTOR_RUN_ARGS);
		return;
	}
	if (hone_probe.nesting == 0)
		choose_own_clock();
	if (unlikely(hone_probe.own_clock))
	{
		run_with_own_clock(HONE_EXECUTOR_RUN_ARGS);
		return;
	}
	subxact = GetCurrentSubTransactionId();
	frame = hone_frame_find(queryDesc);
	if (likely(frame == NULL))
		frame = begin_execution(queryDesc, subxact);
	if (likely(frame != NULL))
		run_measured(frame, subxact, HONE_EXECUTOR_RUN_ARGS);
	else
		run_unmeasured(HONE_EXECUTOR_RUN_ARGS);
}

static inline void
call_ExecutorFinish(QueryDesc *query_desc)
{
	if (prev_ExecutorFinish)
		prev_ExecutorFinish(query_desc);
	else
		standard_ExecutorFinish(query_desc);
}

static pg_noinline void
finish_unmeasured(QueryDesc *query_desc)
{
	hone_probe.nesting++;
	PG_TRY();
	{
		call_ExecutorFinish(query_desc);
	}
	PG_FINALLY();
	{
		hone_probe.nesting--;
	}
	PG_END_TRY();
}

static pg_noinline void
finish_guarded(HoneFrame *frame, QueryDesc *query_desc)
{
	frame->unguarded = false;
	begin_stretch(frame);
	PG_TRY();
	{
		call_ExecutorFinish(query_desc);
	}
	PG_CATCH();
	{
		hone_probe_fail_frame(frame, geterrcode());
		PG_RE_THROW();
	}
	PG_END_TRY();
	end_stretch_elsewhere(frame);
}

/*
 * Is there anything to do in ExecutorFinish? Modifying CTEs are run to their
 * end there, and AFTER triggers fire.
 */
static inline bool
finish_has_work(const EState *estate)
{
	ListCell   *lc;

	if (estate->es_auxmodifytables != NIL || estate->es_tuple_routing_result_relations != NIL)
		return true;
	foreach(lc, estate->es_opened_result_relations)
	{
		if (((ResultRelInfo *) lfirst(lc))->ri_TrigDesc != NULL)
			return true;
	}
	return false;
}

static void
probe_ExecutorFinish(QueryDesc *query_desc)
{
	HoneFrame  *frame;

	if (likely(!finish_has_work(query_desc->estate)) || hone_probe.deepest < 0)
	{
		call_ExecutorFinish(query_desc);
		return;
	}
	frame = hone_frame_find(query_desc);
	if (frame != NULL)
		finish_guarded(frame, query_desc);
	else
		finish_unmeasured(query_desc);
}

/*
 * ------------------------------------------------------------------
 * End
 * ------------------------------------------------------------------
 */

static pg_noinline void
take_jit(HoneExecution *execution, const EState *estate)
{
	JitInstrumentation sum = {0};

	if (estate->es_jit != NULL)
		InstrJitAgg(&sum, &estate->es_jit->instr);
	if (estate->es_jit_worker_instr != NULL)
		InstrJitAgg(&sum, estate->es_jit_worker_instr);
	execution->unusual = true;
	execution->jit_functions = (int64) sum.created_functions;
	execution->jit_ns = hone_instr_ns(sum.generation_counter) +
		hone_instr_ns(sum.inlining_counter) +
		hone_instr_ns(sum.optimization_counter) +
		hone_instr_ns(sum.emission_counter);
}

static inline void
end_execution(HoneFrame *frame, QueryDesc *query_desc)
{
	HoneExecution *execution = &frame->execution;

	execution->params = query_desc->params;
	if (unlikely(IsParallelWorker()))
	{
		hone_stats_record_tables(execution, range_table_hash(query_desc));
		return;
	}
	if (unlikely(query_desc->estate->es_jit_flags != 0))
		take_jit(execution, query_desc->estate);
	execution->query_desc = query_desc;
	hand_over(execution);
	hone_stats_count_arms(execution, query_desc->plannedstmt);
	hone_workload_keep(execution);
}

static pg_noinline void
end_with_own_clock(HoneFrame *frame, QueryDesc *query_desc)
{
	uint64		start = hone_now_ns();

	end_execution(frame, query_desc);
	own_ns += hone_now_ns() - start;
	if (hone_probe.nesting == 0)
	{
		hone_probe.own_clock = false;
		hone_own_time_add(own_ns);
	}
}

static void
probe_ExecutorEnd(QueryDesc *query_desc)
{
	HoneFrame  *frame = hone_frame_find(query_desc);

	if (frame != NULL)
	{
		if (unlikely(hone_capture_paused))
			hone_probe.own_clock = false;
		else if (unlikely(hone_probe.own_clock))
			end_with_own_clock(frame, query_desc);
		else
			end_execution(frame, query_desc);
		hone_frame_drop(frame);
	}

	if (prev_ExecutorEnd)
		prev_ExecutorEnd(query_desc);
	else
		standard_ExecutorEnd(query_desc);
}

/*
 * ------------------------------------------------------------------
 * Start of the library
 * ------------------------------------------------------------------
 */

static void
set_deepest(bool is_enabled, int level)
{
	hone_probe.early_plan = NULL;
	if (!is_enabled || level == TRACK_NONE)
		hone_probe.deepest = -1;
	else
		hone_probe.deepest = level == TRACK_TOP ? 0 : INT_MAX;
}

static void
assign_enabled(bool newval, void *extra pg_attribute_unused())
{
	set_deepest(newval, track);
}

static void
assign_track(int newval, void *extra pg_attribute_unused())
{
	set_deepest(enabled, newval);
}

static void
define_settings(void)
{
	DefineCustomBoolVariable("pg_hone.enabled",
							 "Captures the statements that run.",
							 NULL,
							 &enabled,
							 true,
							 PGC_SUSET,
							 0,
							 NULL, assign_enabled, NULL);
	DefineCustomEnumVariable("pg_hone.track",
							 "Selects which statements are captured.",
							 "\"top\" are those that clients send, \"all\" also those that "
							 "functions and triggers run, \"none\" captures nothing.",
							 &track,
							 TRACK_ALL,
							 track_options,
							 PGC_SUSET,
							 0,
							 NULL, assign_track, NULL);
}

void
hone_probe_init(void)
{
	/* Capture needs shared memory; without it nothing is hooked. */
	if (!process_shared_preload_libraries_in_progress)
		return;

	define_settings();
	EnableQueryId();
	hone_own_time_init();

	prev_ExecutorStart = ExecutorStart_hook;
	ExecutorStart_hook = probe_ExecutorStart;
	prev_ExecutorRun = ExecutorRun_hook;
	ExecutorRun_hook = probe_ExecutorRun;
	prev_ExecutorFinish = ExecutorFinish_hook;
	ExecutorFinish_hook = probe_ExecutorFinish;
	prev_ExecutorEnd = ExecutorEnd_hook;
	ExecutorEnd_hook = probe_ExecutorEnd;
	hone_parse_init();
	hone_utility_init();
	hone_failure_init();
}
