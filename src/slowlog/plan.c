/*
 * plan.c
 *	  The plan of a statement that is running or has just run.
 *
 * Printing a plan reads the catalog and runs output functions, so it can fail
 * for reasons that are none of the user's business. It runs in an internal
 * subtransaction, whose failure undoes itself and leaves the statement as it was.
 * Its commit advances the command counter; the statement's own snapshot and command
 * id were taken before and do not change. (Rolling it back instead is not
 * allowed while a transaction commits, when deferred triggers and cursors end
 * up here.) Interrupts are held meanwhile: a cancel request must reach the
 * statement, not vanish in here.
 *
 * Not possible where a subtransaction is not (parallel mode), and not done for
 * plans with custom scans, whose extensions may do anything when asked to
 * explain themselves, such as ask another server, or take a plan whose rows
 * are counted for EXPLAIN ANALYZE.
 */
#include "postgres.h"

#include "access/parallel.h"
#include "access/xact.h"
#include "executor/instrument.h"
#include "fmgr.h"
#include "nodes/nodeFuncs.h"
#include "nodes/plannodes.h"
#include "utils/fmgrprotos.h"
#include "utils/memutils.h"
#include "utils/resowner.h"

#include "base/compat.h"
#include "base/record.h"
#include "slowlog/plan.h"

#define MAX_PLAN_DEPTH 1000

static bool
has_custom_scan(PlanState *state, void *context)
{
	if (IsA(state, CustomScanState))
		return true;
	return planstate_tree_walker(state, has_custom_scan, context);
}

static bool is_plain(const Plan *plan, int depth);

static bool
are_plain(const List *plans, int depth)
{
	ListCell   *cell;

	foreach(cell, plans)
	{
		if (!is_plain((const Plan *) lfirst(cell), depth))
			return false;
	}
	return true;
}

/* Core has no walker for plans. A tree deeper than any real one is not plain. */
static bool
is_plain(const Plan *plan, int depth)
{
	const List *more = NIL;

	if (plan == NULL)
		return true;
	if (depth > MAX_PLAN_DEPTH)
		return false;
	switch (nodeTag(plan))
	{
		case T_CustomScan:
			return false;
		case T_Append:
			more = ((const Append *) plan)->appendplans;
			break;
		case T_MergeAppend:
			more = ((const MergeAppend *) plan)->mergeplans;
			break;
		case T_BitmapAnd:
			more = ((const BitmapAnd *) plan)->bitmapplans;
			break;
		case T_BitmapOr:
			more = ((const BitmapOr *) plan)->bitmapplans;
			break;
		case T_SubqueryScan:
			if (!is_plain(((const SubqueryScan *) plan)->subplan, depth + 1))
				return false;
			break;
		default:
			break;
	}
	return are_plain(more, depth + 1) &&
		is_plain(plan->lefttree, depth + 1) &&
		is_plain(plan->righttree, depth + 1);
}

bool
hone_slow_plan_is_plain(const PlannedStmt *stmt)
{
	return is_plain(stmt->planTree, 0) && are_plain(stmt->subplans, 0);
}

/*
 * Readers take a plan for jsonb, and one that is none would break the view and
 * the collector for everybody. EXPLAIN prints such a one: with planner costs set
 * high enough, by anybody, a cost is Infinity, which JSON has no word for.
 */
static void
require_json(char *plan)
{
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "pg_hone plan check",
												  ALLOCSET_DEFAULT_SIZES);
	MemoryContext old_context = MemoryContextSwitchTo(context);

	(void) DirectFunctionCall1(jsonb_in, CStringGetDatum(plan));
	MemoryContextSwitchTo(old_context);
	MemoryContextDelete(context);
}

static char *
print_plan(QueryDesc *query_desc, bool has_run, int max_length)
{
	ExplainState *es = NewExplainState();
	int			counted = has_run ? query_desc->estate->es_instrument : 0;

	/* Whoever wanted it counted: what there is, is shown. */
	es->format = EXPLAIN_FORMAT_JSON;
	es->verbose = false;
	es->costs = true;
	es->analyze = counted != 0;
	es->timing = (counted & INSTRUMENT_TIMER) != 0;
	es->buffers = (counted & INSTRUMENT_BUFFERS) != 0;
	es->wal = (counted & INSTRUMENT_WAL) != 0;
	ExplainBeginOutput(es);
	ExplainPrintPlan(es, query_desc);
	if (es->analyze && query_desc->operation != CMD_SELECT)
		ExplainPrintTriggers(es, query_desc);
	if (has_run)
		ExplainPrintJITSummary(es, query_desc);
	ExplainEndOutput(es);

	/* As auto_explain does: one object, not a list of one. */
	if (es->str->len > 0 && es->str->data[es->str->len - 1] == '\n')
		es->str->data[--es->str->len] = '\0';
	if (es->str->len < 2 || es->str->len > max_length)
		return NULL;
	es->str->data[0] = '{';
	es->str->data[es->str->len - 1] = '}';
	require_json(es->str->data);
	return es->str->data;
}

char *
hone_slow_plan(QueryDesc *query_desc, bool has_run, int max_length)
{
	char	   *volatile plan = NULL;
	MemoryContext old_context = CurrentMemoryContext;
	ResourceOwner old_owner = CurrentResourceOwner;
	uint32		old_holdoff = InterruptHoldoffCount;
	bool		old_paused = hone_capture_paused;

	if (query_desc->planstate == NULL || query_desc->estate == NULL ||
		!IsTransactionState() || IsAbortedTransactionBlockState() ||
		IsInParallelMode() || IsParallelWorker() ||
		has_custom_scan(query_desc->planstate, NULL))
		return NULL;

	HOLD_INTERRUPTS();
	BeginInternalSubTransaction(NULL);

	/* What printing runs, and a rollback of it, is not the statement's. */
	hone_capture_paused = true;
	MemoryContextSwitchTo(query_desc->estate->es_query_cxt);
	PG_TRY();
	{
		plan = print_plan(query_desc, has_run, max_length);
		ReleaseCurrentSubTransaction();
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(old_context);
		FlushErrorState();
		RollbackAndReleaseCurrentSubTransaction();
		plan = NULL;
	}
	PG_END_TRY();
	MemoryContextSwitchTo(old_context);
	CurrentResourceOwner = old_owner;
	InterruptHoldoffCount = old_holdoff;
	hone_capture_paused = old_paused;
	return plan;
}
