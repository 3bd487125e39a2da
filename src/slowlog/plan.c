/*
 * plan.c
 *	  The plan of a statement that has just run.
 *
 * Printing a plan reads the catalog and runs output functions, so it can fail
 * for reasons that are none of the user's business. It runs in an internal
 * subtransaction, whose failure undoes itself and leaves the statement as it was.
 * Interrupts are held meanwhile: a cancel request must reach the statement, not
 * vanish in here.
 *
 * Not possible where a subtransaction is not (parallel mode), and not done for
 * plans with custom scans, whose extensions may do anything when asked to
 * explain themselves, such as ask another server.
 */
#include "postgres.h"

#include "access/parallel.h"
#include "access/xact.h"
#include "nodes/nodeFuncs.h"
#include "utils/memutils.h"
#include "utils/resowner.h"

#include "base/compat.h"
#include "slowlog/plan.h"

static bool
has_custom_scan(PlanState *state, void *context)
{
	if (IsA(state, CustomScanState))
		return true;
	return planstate_tree_walker(state, has_custom_scan, context);
}

static char *
print_plan(QueryDesc *query_desc)
{
	ExplainState *es = NewExplainState();

	es->format = EXPLAIN_FORMAT_JSON;
	es->verbose = false;
	es->costs = true;
	ExplainBeginOutput(es);
	ExplainPrintPlan(es, query_desc);
	ExplainEndOutput(es);

	/* As auto_explain does: one object, not a list of one. */
	if (es->str->len > 0 && es->str->data[es->str->len - 1] == '\n')
		es->str->data[--es->str->len] = '\0';
	if (es->str->len < 2)
		return NULL;
	es->str->data[0] = '{';
	es->str->data[es->str->len - 1] = '}';
	return es->str->data;
}

char *
hone_slow_plan(QueryDesc *query_desc)
{
	char	   *volatile plan = NULL;
	MemoryContext old_context = CurrentMemoryContext;
	ResourceOwner old_owner = CurrentResourceOwner;
	uint32		old_holdoff = InterruptHoldoffCount;

	if (query_desc->planstate == NULL || query_desc->estate == NULL ||
		!IsTransactionState() || IsAbortedTransactionBlockState() ||
		IsInParallelMode() || IsParallelWorker() ||
		has_custom_scan(query_desc->planstate, NULL))
		return NULL;

	HOLD_INTERRUPTS();
	BeginInternalSubTransaction(NULL);
	MemoryContextSwitchTo(query_desc->estate->es_query_cxt);
	PG_TRY();
	{
		plan = print_plan(query_desc);
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
	return plan;
}
