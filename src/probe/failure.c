/*
 * failure.c
 *	  Statements that do not complete.
 *
 * Where errors are seen, and what is made of them:
 *
 * - An error that passes through planner, Start, Run, Finish or a utility
 *	 statement is noted there, in PG_CATCH, as the failure of that statement:
 *	 nothing but assignments and locks of ours, then it goes on. Statements around
 *	 it fail in the same way when it reaches them.
 * - At level 0 of a client's session and outside of subtransactions, planner,
 *	 Start and Run do without that PG_TRY, which would be a tenth of what capturing
 *	 costs there. Every error ends the transaction then, and the session's main
 *	 loop sends it to the log before it cleans anything up: emit_log_hook records
 *	 the failure of what is at work. Where the log takes no errors
 *	 (log_min_messages), there is a PG_TRY. Should the hook not be called after all
 *	 (another module's does not pass it on), the abort callback finds what is
 *	 still at work and records its failure without SQLSTATE, text and values.
 * - One that a function catches ends with the rollback of a subtransaction,
 *	 below a statement that goes on: it counts as caught, for the statements it
 *	 had failed and for the one that goes on. What failed without being a
 *	 statement (an expression of PL/pgSQL) has no SQLSTATE left by then.
 * - What fails while the transaction is being committed (deferred constraints,
 *	 serialization) is COMMIT's error, beside that of the statement in which it
 *	 happened, if that was one.
 * - What no hook of the executor sees (syntax, names, a wait for a lock in parse
 *	 analysis) only arrives at the log, and is not counted when that takes no
 *	 errors. It belongs to no query: such failures are counted together, without
 *	 a text, which could be anything, a mistyped password too.
 * - A session that is terminated passes through no PG_CATCH. The log hook sees
 *	 the FATAL error too, and the statements at work then have failed by it.
 *
 * Nothing here allocates memory, reads a table or raises an error.
 */
#include "postgres.h"

#include "access/xact.h"

#include "probe/internal.h"
#include "stats/stats.h"

/*
 * Failures of nested statements of which it is not known yet whether somebody
 * catches the error. More than these are not counted as caught.
 */
#define MAX_UNDECIDED 16

typedef struct Undecided
{
	HoneQueryKey key;
	int			sqlerrcode;
} Undecided;

static Undecided undecided[MAX_UNDECIDED];
static int	nundecided = 0;

/* The error that is on its way to the log was noted as some statement's. */
static bool noted = false;

static emit_log_hook_type prev_emit_log = NULL;

void
hone_failure_set(HoneExecution *execution, int sqlerrcode)
{
	execution->unusual = true;
	execution->sqlerrcode = sqlerrcode;
	execution->outcome = sqlerrcode == ERRCODE_QUERY_CANCELED
		? HONE_CANCELLED : HONE_FAILED;
}

/* A failed statement was handed over, and the error goes on from it. */
void
hone_failure_passed(const HoneExecution *execution)
{
	noted = true;
	if (execution->nesting == 0)
		nundecided = 0;			/* nobody has caught it */
	else if (nundecided < MAX_UNDECIDED)
	{
		undecided[nundecided].key = execution->key;
		undecided[nundecided].sqlerrcode = execution->sqlerrcode;
		nundecided++;
	}
}

static void
count_caught(void)
{
	for (int i = 0; i < nundecided; i++)
		hone_stats_count_caught(&undecided[i].key, undecided[i].sqlerrcode);
	if (hone_probe.running != NULL)
	{
		hone_probe.running->caught_errors++;
		hone_probe.running->unusual = true;
		if (nundecided == 0)
			hone_stats_count_caught(&hone_probe.running->key, 0);
	}
	nundecided = 0;
	noted = false;
}

static void
at_subxact_end(SubXactEvent event, SubTransactionId subxact,
			   SubTransactionId parent pg_attribute_unused(),
			   void *arg pg_attribute_unused())
{
	if (event != SUBXACT_EVENT_ABORT_SUB)
		return;
	hone_frame_drop_subxact(subxact);
	if (hone_probe.nesting > 0 && hone_probe_tracking())
		count_caught();
	nundecided = 0;
	noted = false;
}

/* A record of an execution that was being started. */
static void
describe_start(HoneExecution *execution, const QueryDesc *starting)
{
	hone_probe_fill_key(&execution->key,
						hone_stats_identity((uint64) starting->plannedstmt->queryId));
	execution->command = hone_probe_command_tag(starting->operation);
	execution->nesting = hone_probe.nesting;
	execution->top_queryid = hone_probe_top_queryid();
	execution->params = starting->params;
	hone_probe_set_query_text(execution, starting);
}

/* A nested execution could not be started, by the error being caught. */
void
hone_failure_at_start(const QueryDesc *starting)
{
	HoneExecution execution;

	memset(&execution, 0, sizeof(execution));
	describe_start(&execution, starting);
	hone_failure_set(&execution, geterrcode());
	hone_probe_hand_over(&execution);
	hone_failure_passed(&execution);
}

/*
 * The execution at level 0 was just being started. Without a code the
 * transaction is being aborted already: only its id is still there.
 */
static bool
start_failed(int sqlerrcode)
{
	const QueryDesc *starting = hone_probe.starting;
	HoneExecution execution;

	if (starting == NULL)
		return false;
	hone_probe.starting = NULL;
	hone_probe.nesting = 0;
	memset(&execution, 0, sizeof(execution));
	if (sqlerrcode != 0)
		describe_start(&execution, starting);
	else
	{
		hone_probe_fill_key(&execution.key, hone_probe.top_queryid);
		execution.command = CMDTAG_UNKNOWN;
	}
	hone_failure_set(&execution, sqlerrcode);
	hone_probe_hand_over(&execution);
	return true;
}

/* An error on top level that no statement has noted. */
static void
record_unseen(int sqlerrcode)
{
	HoneExecution execution;

	memset(&execution, 0, sizeof(execution));
	hone_probe_fill_key(&execution.key, HONE_NO_QUERY);
	execution.command = CMDTAG_UNKNOWN;
	hone_failure_set(&execution, sqlerrcode);
	hone_probe_hand_over(&execution);
}

/*
 * COMMIT was done, and then what it asked for failed. That its execution counted
 * as completed before, stays so.
 */
static void
record_failed_ending(int sqlerrcode)
{
	CommandTag	command = hone_probe.ending;
	HoneExecution execution;

	hone_probe.ending = CMDTAG_UNKNOWN;
	hone_probe.nesting = 0;
	memset(&execution, 0, sizeof(execution));
	hone_probe_fill_key(&execution.key, hone_utility_id(command));
	execution.command = command;
	execution.exec_ns = hone_now_ns() - hone_probe.ending_since_ns;
	execution.text = GetCommandTagName(command);
	execution.text_len = -1;
	execution.text_is_safe = true;
	hone_failure_set(&execution, sqlerrcode);
	hone_probe_hand_over(&execution);
}

/* The session ends; what is at work will never hear of it. */
static void
record_terminated(int sqlerrcode)
{
	HoneExecution *utility = hone_probe.top_utility;

	while (hone_probe.frames != NULL)
	{
		if (hone_probe.frames->running)
			hone_probe_fail_frame(hone_probe.frames, sqlerrcode);
		else
			hone_frame_abandon(hone_probe.frames);
	}
	if (!start_failed(sqlerrcode))
		hone_planning_failed(sqlerrcode);
	if (utility != NULL)
	{
		utility->exec_ns += hone_now_ns();
		hone_failure_set(utility, sqlerrcode);
		hone_probe_hand_over(utility);
		hone_probe.top_utility = NULL;
	}
}

/*
 * Is it the session's main loop that sends this error to the log? It does so
 * first of all, with interrupts held. (An extension that catches an error and
 * goes on may log it too.)
 */
static bool
ends_transaction(void)
{
	return MyBackendType == B_BACKEND && InterruptHoldoffCount > 0 &&
		error_context_stack == NULL;
}

static HoneFrame *
unguarded_frame(void)
{
	for (HoneFrame *frame = hone_probe.frames; frame != NULL; frame = frame->below)
	{
		if (frame->running && frame->unguarded)
			return frame;
	}
	return NULL;
}

/* The failure of what was at work at level 0 without a PG_TRY of ours. */
static bool
record_unguarded(int sqlerrcode)
{
	HoneFrame  *frame = unguarded_frame();

	if (frame == NULL)
		return start_failed(sqlerrcode) || hone_planning_failed(sqlerrcode);
	hone_probe_fail_frame(frame, sqlerrcode);
	return true;
}

static void
record_error(int sqlerrcode)
{
	bool		seen = record_unguarded(sqlerrcode) || noted;

	if (unlikely(hone_probe.ending != CMDTAG_UNKNOWN))
		record_failed_ending(sqlerrcode);
	else if (!seen && hone_probe.nesting <= hone_probe.deepest)
		record_unseen(sqlerrcode);
	noted = false;
}

static void
at_xact_end(XactEvent event, void *arg pg_attribute_unused())
{
	if (likely(event == XACT_EVENT_PRE_COMMIT))
		return;
	if (event == XACT_EVENT_ABORT)
	{
		/* Should the log hook not have been called: nothing is at work any more. */
		record_unguarded(0);
		nundecided = 0;
		noted = false;
	}
	else if (event != XACT_EVENT_COMMIT && event != XACT_EVENT_PREPARE)
		return;
	if (unlikely(hone_probe.ending != CMDTAG_UNKNOWN))
	{
		hone_probe.ending = CMDTAG_UNKNOWN;
		hone_probe.nesting = 0;
	}
	if (unlikely(hone_probe.frames != NULL))
		hone_frame_drop_all();
	hone_planned_flush();
}

static void
probe_emit_log(ErrorData *edata)
{
	if (prev_emit_log)
		prev_emit_log(edata);

	if (edata->elevel < ERROR || edata->elevel >= PANIC || hone_capture_paused ||
		IsParallelWorker() || !OidIsValid(MyDatabaseId))
		return;
	if (edata->elevel == FATAL)
		record_terminated(edata->sqlerrcode);
	else if (ends_transaction())
		record_error(edata->sqlerrcode);
}

void
hone_failure_init(void)
{
	prev_emit_log = emit_log_hook;
	emit_log_hook = probe_emit_log;
	RegisterXactCallback(at_xact_end, NULL);
	RegisterSubXactCallback(at_subxact_end, NULL);
}
