/*
 * probe.c
 *	  The hooks that see every statement, and the only ones that do.
 *
 * What a statement passes through:
 *
 *	parse analysis   its text is made known to stats, once
 *	planner          planning is timed, and counted apart from execution
 *	ExecutorStart    a frame is pushed that will add up this execution
 *	ExecutorRun      clock and usage counters are read before and after; a
 *	                 portal read in pieces (cursors, row limits) runs many times
 *	ExecutorFinish   the same, for AFTER triggers
 *	ExecutorEnd      the frame is popped and handed to the keepers, once
 *	ProcessUtility   utility statements, by command tag
 *
 * So a statement is measured once, and one const record goes to stats,
 * workload and slowlog, which keep what they want of it.
 *
 * Frames. An execution is known by its QueryDesc. Frames stand on a stack,
 * because executions mostly nest; cursors end out of order, so a frame is
 * looked for from the top. An execution that dies with its (sub)transaction
 * never reaches ExecutorEnd: transaction callbacks drop its frame. The stack
 * grows up to MAX_FRAMES; deeper executions are not measured.
 *
 * Nesting. One counter for planner, executor and utility statements, raised
 * around the call down and put back also on error, tells top level statements
 * (0) from those that functions and triggers run.
 *
 * Errors. An error that passes through Run, Finish or a utility statement is
 * noted as that statement's failure on its way up, with nothing but plain
 * assignments and locks of ours, and goes on. Whatever fails in keeping is counted
 * and forgotten: a hook never raises an error of its own. What fails before the
 * executor runs (parsing, planning, permissions) is not recorded.
 *
 * Parallel workers stay silent; their leader's counters include theirs. On a
 * standby all of it works. With pg_hone.enabled off, or in our own workers, each
 * hook costs one branch.
 */
#include "postgres.h"

#include <ctype.h>

#include "access/parallel.h"
#include "access/xact.h"
#include "common/hashfn.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "optimizer/planner.h"
#include "parser/analyze.h"
#include "parser/scansup.h"
#include "tcop/utility.h"
#include "utils/guc.h"
#include "utils/memutils.h"

#include "base/compat.h"
#include "base/record.h"
#include "base/shmem.h"
#include "jobs/jobs.h"
#include "probe/probe.h"
#include "slowlog/slowlog.h"
#include "stats/stats.h"
#include "workload/workload.h"

#define INITIAL_FRAMES 32
#define MAX_FRAMES 4096

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

/* An execution that has started and not ended. */
typedef struct Frame
{
	const QueryDesc *query_desc;
	SubTransactionId subxact;	/* dies with this one */
	HoneQueryKey key;
	uint64		exec_ns;
	uint64		plan_ns;
	uint64		rows;
	HoneUsage	usage;
	bool		ran;
} Frame;

static Frame *frames = NULL;
static int	nframes = 0;
static int	max_frames = 0;

static int	nesting = 0;

/*
 * The source text of the utility statement at work whose text must not be kept:
 * a query inside it (COPY (SELECT ...) TO PROGRAM '...') has the same one.
 */
static const char *unsafe_text = NULL;

/* The planning that has just happened, for the execution that follows it. */
static uint64 planned_queryid = 0;
static uint64 planned_ns = 0;

static post_parse_analyze_hook_type prev_post_parse_analyze = NULL;
static planner_hook_type prev_planner = NULL;
static ExecutorStart_hook_type prev_ExecutorStart = NULL;
static ExecutorRun_hook_type prev_ExecutorRun = NULL;
static ExecutorFinish_hook_type prev_ExecutorFinish = NULL;
static ExecutorEnd_hook_type prev_ExecutorEnd = NULL;
static ProcessUtility_hook_type prev_ProcessUtility = NULL;

static inline bool
tracking(void)
{
	return enabled && !hone_capture_paused &&
		(track == TRACK_ALL || (track == TRACK_TOP && nesting == 0)) &&
		!IsParallelWorker();
}

static inline void
fill_key(HoneQueryKey *key, uint64 queryid)
{
	memset(key, 0, sizeof(*key));
	key->queryid = queryid;
	key->userid = GetUserId();
	key->dbid = MyDatabaseId;
	key->toplevel = (nesting == 0);
}

static inline void
read_usage(HoneUsage *usage)
{
	usage->shared_blks_hit = pgBufferUsage.shared_blks_hit;
	usage->shared_blks_read = pgBufferUsage.shared_blks_read;
	usage->shared_blks_dirtied = pgBufferUsage.shared_blks_dirtied;
	usage->shared_blks_written = pgBufferUsage.shared_blks_written;
	usage->local_blks_hit = pgBufferUsage.local_blks_hit;
	usage->local_blks_read = pgBufferUsage.local_blks_read;
	usage->local_blks_dirtied = pgBufferUsage.local_blks_dirtied;
	usage->local_blks_written = pgBufferUsage.local_blks_written;
	usage->temp_blks_read = pgBufferUsage.temp_blks_read;
	usage->temp_blks_written = pgBufferUsage.temp_blks_written;
	usage->wal_records = pgWalUsage.wal_records;
	usage->wal_fpi = pgWalUsage.wal_fpi;
	usage->wal_bytes = (int64) pgWalUsage.wal_bytes;
	usage->read_ns = 0;
	usage->write_ns = 0;
}

static inline void
add_usage_since(HoneUsage *to, const HoneUsage *start)
{
	HoneUsage	now;

	read_usage(&now);
	for (int i = 0; i < (int) (sizeof(HoneUsage) / sizeof(int64)); i++)
		((int64 *) to)[i] += ((const int64 *) &now)[i] - ((const int64 *) start)[i];
}

/* Outcome of a statement that an error is passing through. */
static void
set_failure(HoneExecution *execution)
{
	execution->sqlerrcode = geterrcode();
	execution->outcome = (execution->sqlerrcode == ERRCODE_QUERY_CANCELED)
		? HONE_CANCELLED : HONE_FAILED;
}

static CommandTag
command_tag(CmdType type)
{
	switch (type)
	{
		case CMD_SELECT:
			return CMDTAG_SELECT;
		case CMD_INSERT:
			return CMDTAG_INSERT;
		case CMD_UPDATE:
			return CMDTAG_UPDATE;
		case CMD_DELETE:
			return CMDTAG_DELETE;
		case CMD_MERGE:
			return CMDTAG_MERGE;
		default:
			return CMDTAG_UNKNOWN;
	}
}

/* The part of a source string that is this statement. */
static inline void
set_text(HoneExecution *execution, const char *source, int location, int len)
{
	execution->text = source;
	execution->text_len = -1;
	if (source != NULL && location >= 0)
	{
		execution->text = source + location;
		if (len > 0)
			execution->text_len = len;
	}
}

/*
 * ------------------------------------------------------------------
 * Frames
 * ------------------------------------------------------------------
 */

static Frame *
push_frame(const QueryDesc *query_desc)
{
	Frame	   *frame;

	if (nframes == max_frames)
	{
		int			wanted = max_frames ? max_frames * 2 : INITIAL_FRAMES;
		Frame	   *grown;

		if (wanted > MAX_FRAMES)
			return NULL;
		grown = MemoryContextAllocExtended(TopMemoryContext, wanted * sizeof(Frame),
										   MCXT_ALLOC_NO_OOM);
		if (grown == NULL)
			return NULL;
		if (frames)
		{
			memcpy(grown, frames, nframes * sizeof(Frame));
			pfree(frames);
		}
		frames = grown;
		max_frames = wanted;
	}
	frame = &frames[nframes++];
	memset(frame, 0, sizeof(*frame));
	frame->query_desc = query_desc;
	frame->subxact = GetCurrentSubTransactionId();
	return frame;
}

/*
 * Frames may move while a statement runs (a nested one may grow the stack), so
 * what is kept across a call down is looked up again.
 */
static inline Frame *
find_frame(const QueryDesc *query_desc)
{
	for (int i = nframes - 1; i >= 0; i--)
	{
		if (frames[i].query_desc == query_desc)
			return &frames[i];
	}
	return NULL;
}

static void
drop_frame(Frame *frame)
{
	int			index = (int) (frame - frames);

	nframes--;
	if (index < nframes)
		memmove(frame, frame + 1, (nframes - index) * sizeof(Frame));
}

static void
forget_at_xact_end(XactEvent event, void *arg pg_attribute_unused())
{
	if (event == XACT_EVENT_COMMIT || event == XACT_EVENT_ABORT ||
		event == XACT_EVENT_PREPARE)
		nframes = 0;
}

static void
forget_at_subxact_end(SubXactEvent event, SubTransactionId subxact,
					  SubTransactionId parent pg_attribute_unused(),
					  void *arg pg_attribute_unused())
{
	int			kept = 0;

	if (event != SUBXACT_EVENT_ABORT_SUB)
		return;
	for (int i = 0; i < nframes; i++)
	{
		if (frames[i].subxact < subxact)
			frames[kept++] = frames[i];
	}
	nframes = kept;
}

/*
 * ------------------------------------------------------------------
 * Handing over
 * ------------------------------------------------------------------
 */

static void
hand_over(const HoneExecution *execution)
{
	hone_stats_record(execution);
	if (hone_slowlog_wants(execution->exec_ns) ||
		execution->outcome == HONE_CANCELLED)
		hone_slowlog_keep(execution);
	if (execution->query_desc != NULL)
		hone_workload_keep(execution);
}

/* Fill a record from a frame; the executor's state is added by the caller. */
static void
fill_execution(HoneExecution *execution, const Frame *frame, const QueryDesc *query_desc)
{
	memset(execution, 0, sizeof(*execution));
	execution->key = frame->key;
	execution->command = command_tag(query_desc->operation);
	execution->nesting = nesting;
	execution->exec_ns = frame->exec_ns;
	execution->plan_ns = frame->plan_ns;
	execution->rows = frame->rows;
	execution->usage = frame->usage;
	execution->params = query_desc->params;
	execution->text_is_safe = query_desc->sourceText != unsafe_text || unsafe_text == NULL;
	set_text(execution, query_desc->sourceText,
			 query_desc->plannedstmt->stmt_location,
			 query_desc->plannedstmt->stmt_len);
}

static void
record_failure(const QueryDesc *query_desc)
{
	Frame	   *frame = find_frame(query_desc);
	HoneExecution execution;

	if (frame == NULL)
		return;
	fill_execution(&execution, frame, query_desc);
	drop_frame(frame);
	set_failure(&execution);
	hand_over(&execution);
}

/*
 * ------------------------------------------------------------------
 * Parse analysis and planning
 * ------------------------------------------------------------------
 */

/*
 * Does a source text, after white space, comments and parentheses, begin like
 * a statement? PL/pgSQL has its expressions analysed as queries whose text is
 * the bare expression, which says nothing to a reader.
 */
static bool
begins_statement(const char *text)
{
	static const char *const words[] = {
		"select", "insert", "update", "delete", "merge", "with", "values",
		"table", "prepare", "explain", "declare", "create", "copy", "refresh"
	};

	for (;;)
	{
		if (scanner_isspace(*text) || *text == '(')
			text++;
		else if (text[0] == '-' && text[1] == '-')
			text += strcspn(text, "\r\n");
		else if (text[0] == '/' && text[1] == '*' && strstr(text + 2, "*/") != NULL)
			text = strstr(text + 2, "*/") + 2;
		else
			break;
	}
	for (int i = 0; i < (int) lengthof(words); i++)
	{
		size_t		len = strlen(words[i]);

		if (pg_strncasecmp(text, words[i], len) == 0)
			return !isalnum((unsigned char) text[len]) && text[len] != '_';
	}
	return false;
}

static void
probe_post_parse_analyze(ParseState *pstate, Query *query, JumbleState *jstate)
{
	const char *text = pstate->p_sourcetext;
	int			location = query->stmt_location;
	int			len = query->stmt_len;
	bool		named = pstate->p_post_columnref_hook != NULL ||
		pstate->p_pre_columnref_hook != NULL;
	HoneQueryKey key;

	if (prev_post_parse_analyze)
		prev_post_parse_analyze(pstate, query, jstate);

	if (!tracking() || query->utilityStmt != NULL || text == NULL)
		return;
	if (query->queryId == 0)
	{
		/* compute_query_id is off: identify it ourselves. */
		jstate = hone_jumble_query(query, text);
		if (query->queryId == 0)
			return;
	}
	fill_key(&key, hone_stats_identify(query, (uint64) query->queryId, text));
	if (text == unsafe_text || (!named && hone_stats_text_known(&key)))
		return;
	text = CleanQuerytext(text, &location, &len);
	if (!begins_statement(text))
		return;
	hone_stats_remember_query(&key, query, pstate->p_sourcetext, text, len, location, jstate);

	/* In a function, parameters have names. */
	if (named)
		hone_workload_learn(key.queryid, query, text, len, location);
}

static PlannedStmt *
call_planner(Query *parse, const char *query_string, int cursor_options,
			 ParamListInfo bound_params)
{
	if (prev_planner)
		return prev_planner(parse, query_string, cursor_options, bound_params);
	return standard_planner(parse, query_string, cursor_options, bound_params);
}

static PlannedStmt *
probe_planner(Query *parse, const char *query_string, int cursor_options,
			  ParamListInfo bound_params)
{
	PlannedStmt *plan;
	HoneQueryKey key;
	uint64		start;
	CmdType		command = parse->commandType;

	if (!tracking() || parse->queryId == 0)
		return call_planner(parse, query_string, cursor_options, bound_params);

	fill_key(&key, hone_stats_identity((uint64) parse->queryId));
	start = hone_now_ns();
	nesting++;
	PG_TRY();
	{
		plan = call_planner(parse, query_string, cursor_options, bound_params);
	}
	PG_FINALLY();
	{
		nesting--;
	}
	PG_END_TRY();

	planned_ns = hone_now_ns() - start;
	planned_queryid = key.queryid;
	hone_stats_record_plan(&key, command_tag(command), planned_ns);
	return plan;
}

/*
 * ------------------------------------------------------------------
 * Execution
 * ------------------------------------------------------------------
 */

static void
probe_ExecutorStart(QueryDesc *query_desc, int eflags)
{
	uint64		queryid = (uint64) query_desc->plannedstmt->queryId;
	Frame	   *frame;

	if (prev_ExecutorStart)
		prev_ExecutorStart(query_desc, eflags);
	else
		standard_ExecutorStart(query_desc, eflags);

	if (!tracking() || queryid == 0 || (eflags & EXEC_FLAG_EXPLAIN_ONLY))
		return;
	frame = push_frame(query_desc);
	if (frame == NULL)
		return;
	fill_key(&frame->key, hone_stats_identity(queryid));
	if (planned_queryid == frame->key.queryid)
		frame->plan_ns = planned_ns;
	planned_queryid = 0;
}

/* What a call down into the executor added, goes to the frame if it is there. */
static void
add_to_frame(const QueryDesc *query_desc, uint64 start, const HoneUsage *before,
			 uint64 rows)
{
	Frame	   *frame = find_frame(query_desc);

	if (frame == NULL)
		return;
	frame->exec_ns += hone_now_ns() - start;
	add_usage_since(&frame->usage, before);
	frame->rows += rows;
	frame->ran = true;
}

static void
call_ExecutorRun(HONE_EXECUTOR_RUN_PARAMS)
{
	if (prev_ExecutorRun)
		prev_ExecutorRun(HONE_EXECUTOR_RUN_ARGS);
	else
		standard_ExecutorRun(HONE_EXECUTOR_RUN_ARGS);
}

static void
probe_ExecutorRun(HONE_EXECUTOR_RUN_PARAMS)
{
	volatile bool measured = find_frame(queryDesc) != NULL;
	HoneUsage	before;
	uint64		start;

	/* Switched off, and nothing begun before that is still to be measured. */
	if (!enabled && nframes == 0)
	{
		call_ExecutorRun(HONE_EXECUTOR_RUN_ARGS);
		return;
	}

	read_usage(&before);
	start = measured ? hone_now_ns() : 0;
	nesting++;
	PG_TRY();
	{
		call_ExecutorRun(HONE_EXECUTOR_RUN_ARGS);
		nesting--;
	}
	PG_CATCH();
	{
		nesting--;
		if (measured)
		{
			add_to_frame(queryDesc, start, &before, 0);
			record_failure(queryDesc);
		}
		PG_RE_THROW();
	}
	PG_END_TRY();

	if (measured)
		add_to_frame(queryDesc, start, &before, queryDesc->estate->es_processed);
}

static void
call_ExecutorFinish(QueryDesc *query_desc)
{
	if (prev_ExecutorFinish)
		prev_ExecutorFinish(query_desc);
	else
		standard_ExecutorFinish(query_desc);
}

static void
probe_ExecutorFinish(QueryDesc *query_desc)
{
	volatile bool measured = find_frame(query_desc) != NULL;
	HoneUsage	before;
	uint64		start;

	/* What only reads has no AFTER triggers to run here; or capture is off. */
	if ((!enabled && nframes == 0) ||
		(query_desc->operation == CMD_SELECT &&
		 !query_desc->plannedstmt->hasModifyingCTE))
	{
		call_ExecutorFinish(query_desc);
		return;
	}

	read_usage(&before);
	start = measured ? hone_now_ns() : 0;
	nesting++;
	PG_TRY();
	{
		call_ExecutorFinish(query_desc);
		nesting--;
	}
	PG_CATCH();
	{
		nesting--;
		if (measured)
		{
			add_to_frame(query_desc, start, &before, 0);
			record_failure(query_desc);
		}
		PG_RE_THROW();
	}
	PG_END_TRY();

	if (measured)
		add_to_frame(query_desc, start, &before, 0);
}

static void
probe_ExecutorEnd(QueryDesc *query_desc)
{
	Frame	   *frame = find_frame(query_desc);

	if (frame != NULL)
	{
		HoneExecution execution;
		bool		ran = frame->ran;

		fill_execution(&execution, frame, query_desc);
		drop_frame(frame);
		if (ran && !hone_capture_paused)
		{
			execution.outcome = HONE_COMPLETED;
			execution.query_desc = query_desc;
			hone_jobs_mark_database(MyDatabaseId);
			hand_over(&execution);
		}
	}

	if (prev_ExecutorEnd)
		prev_ExecutorEnd(query_desc);
	else
		standard_ExecutorEnd(query_desc);
}

/*
 * ------------------------------------------------------------------
 * Utility statements
 * ------------------------------------------------------------------
 */

/*
 * EXECUTE runs a statement that is measured itself; PREPARE and DEALLOCATE are
 * bookkeeping around it.
 */
static bool
utility_is_transparent(const Node *statement)
{
	return IsA(statement, ExecuteStmt) || IsA(statement, PrepareStmt) ||
		IsA(statement, DeallocateStmt);
}

/*
 * May the text of a utility statement be kept? Only of those that cannot carry
 * a password or a connection string.
 */
static bool
utility_text_is_safe(const Node *statement)
{
	switch (nodeTag(statement))
	{
		case T_IndexStmt:
		case T_ReindexStmt:
		case T_VacuumStmt:
		case T_ClusterStmt:
		case T_CreateTableAsStmt:
		case T_RefreshMatViewStmt:
		case T_AlterTableStmt:
		case T_TruncateStmt:
		case T_ExplainStmt:
		case T_DeclareCursorStmt:
		case T_FetchStmt:
		case T_LockStmt:
		case T_CheckPointStmt:
		case T_DropStmt:
			return true;
		case T_CopyStmt:
			return !((const CopyStmt *) statement)->is_program;
		default:
			return false;
	}
}

/* Utility statements are one query for each command, whose text is its tag. */
static void
fill_utility_key(HoneQueryKey *key, CommandTag command)
{
	const char *name = GetCommandTagName(command);
	int			len = (int) strlen(name);
	uint64		id = hash_bytes_extended((const unsigned char *) name, len, 0);

	fill_key(key, id ? id : 1);
	hone_stats_remember_text(key, name, len, 0, NULL);
}

static void
call_ProcessUtility(PlannedStmt *pstmt, const char *query_string, bool read_only_tree,
					ProcessUtilityContext context, ParamListInfo params,
					QueryEnvironment *env, DestReceiver *dest, QueryCompletion *qc)
{
	if (prev_ProcessUtility)
		prev_ProcessUtility(pstmt, query_string, read_only_tree, context,
							params, env, dest, qc);
	else
		standard_ProcessUtility(pstmt, query_string, read_only_tree, context,
								params, env, dest, qc);
}

static void
record_utility(HoneExecution *execution, uint64 start, const HoneUsage *before)
{
	execution->exec_ns = hone_now_ns() - start;
	add_usage_since(&execution->usage, before);
	hand_over(execution);
}

static void
probe_ProcessUtility(PlannedStmt *pstmt, const char *query_string, bool read_only_tree,
					 ProcessUtilityContext context, ParamListInfo params,
					 QueryEnvironment *env, DestReceiver *dest, QueryCompletion *qc)
{
	const char *outer_unsafe_text = unsafe_text;
	HoneExecution execution;
	HoneUsage	before;
	uint64		start;

	if (!tracking() || utility_is_transparent(pstmt->utilityStmt))
	{
		call_ProcessUtility(pstmt, query_string, read_only_tree, context,
							params, env, dest, qc);
		return;
	}

	/*
	 * The statement may be gone when the call comes back (ROLLBACK in a
	 * procedure frees it), so everything is taken from it now.
	 */
	memset(&execution, 0, sizeof(execution));
	execution.command = CreateCommandTag(pstmt->utilityStmt);
	fill_utility_key(&execution.key, execution.command);
	execution.nesting = nesting;
	execution.text_is_safe = utility_text_is_safe(pstmt->utilityStmt);
	set_text(&execution, query_string, pstmt->stmt_location, pstmt->stmt_len);

	read_usage(&before);
	start = hone_now_ns();
	nesting++;
	if (!execution.text_is_safe)
		unsafe_text = query_string;
	PG_TRY();
	{
		call_ProcessUtility(pstmt, query_string, read_only_tree, context,
							params, env, dest, qc);
		nesting--;
		unsafe_text = outer_unsafe_text;
	}
	PG_CATCH();
	{
		nesting--;
		unsafe_text = outer_unsafe_text;
		set_failure(&execution);
		record_utility(&execution, start, &before);
		PG_RE_THROW();
	}
	PG_END_TRY();

	execution.outcome = HONE_COMPLETED;
	execution.rows = qc ? qc->nprocessed : 0;
	record_utility(&execution, start, &before);
}

/*
 * ------------------------------------------------------------------
 * Start
 * ------------------------------------------------------------------
 */

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
							 NULL, NULL, NULL);
	DefineCustomEnumVariable("pg_hone.track",
							 "Selects which statements are captured.",
							 "\"top\" are those that clients send, \"all\" also those that "
							 "functions and triggers run, \"none\" captures nothing.",
							 &track,
							 TRACK_ALL,
							 track_options,
							 PGC_SUSET,
							 0,
							 NULL, NULL, NULL);
}

void
hone_probe_init(void)
{
	/* Capture needs shared memory; without it nothing is hooked. */
	if (!process_shared_preload_libraries_in_progress)
		return;

	define_settings();
	EnableQueryId();

	prev_post_parse_analyze = post_parse_analyze_hook;
	post_parse_analyze_hook = probe_post_parse_analyze;
	prev_planner = planner_hook;
	planner_hook = probe_planner;
	prev_ExecutorStart = ExecutorStart_hook;
	ExecutorStart_hook = probe_ExecutorStart;
	prev_ExecutorRun = ExecutorRun_hook;
	ExecutorRun_hook = probe_ExecutorRun;
	prev_ExecutorFinish = ExecutorFinish_hook;
	ExecutorFinish_hook = probe_ExecutorFinish;
	prev_ExecutorEnd = ExecutorEnd_hook;
	ExecutorEnd_hook = probe_ExecutorEnd;
	prev_ProcessUtility = ProcessUtility_hook;
	ProcessUtility_hook = probe_ProcessUtility;

	RegisterXactCallback(forget_at_xact_end, NULL);
	RegisterSubXactCallback(forget_at_subxact_end, NULL);
}
