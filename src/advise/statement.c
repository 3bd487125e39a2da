/*
 * statement.c
 *	  One statement, analysed as the role that ran it, and given to a piece of
 *	  work; and the first such work, reading it.
 *
 * Everything happens inside an internal subtransaction that is rolled back:
 * locks, settings, user and caches go with it. Because the locks go, the
 * analysed tree is never kept: each piece of work analyses again (a small part
 * of the price of planning) and does all its planning at once. An error makes
 * the statement leave the run with the reason, unless the run is strict (the
 * caller's own statements), when it is raised with the statement's number.
 * Cancels and shutdowns are always raised.
 *
 * Planning folds immutable functions, and those of a role whose statement was
 * captured can take as long as it likes, while the caller's snapshot holds up
 * vacuum. So each piece of work on a captured statement has a limit of time.
 */
#include "postgres.h"

#include "access/sysattr.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/partition.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_type.h"
#include "commands/explain.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "parser/parsetree.h"
#include "rewrite/rewriteHandler.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/resowner.h"
#include "utils/syscache.h"
#include "utils/timeout.h"

#include "advise/internal.h"
#include "base/compat.h"
#include "base/owner.h"
#include "base/record.h"
#include "base/settings.h"

/* Of pg_hone.advisor_time_limit, for one piece of work; but not below. */
#define WORK_SHARE 4
#define MIN_WORK_MS 1000

static volatile sig_atomic_t took_too_long = false;

/* A function that is folded may call the advisor: the outermost clock counts. */
static int	clocks = 0;

/* In a signal handler: what a cancel request does. */
static void
cancel_work(void)
{
	took_too_long = true;
	InterruptPending = true;
	QueryCancelPending = true;
}

static TimeoutId
work_timeout(void)
{
	static TimeoutId id = MAX_TIMEOUTS;

	if (id == MAX_TIMEOUTS)
		id = RegisterTimeout(USER_TIMEOUT, cancel_work);
	return id;
}

void
hone_advise_start_clock(void)
{
	if (clocks++ > 0)
		return;
	took_too_long = false;
	enable_timeout_after(work_timeout(),
						 Max(hone_advise_time_limit / WORK_SHARE, MIN_WORK_MS));
}

/*
 * True when the time was up. A cancel of our own that nobody has noticed yet
 * must not hit what comes next; whoever else asks for one meanwhile asks again.
 */
bool
hone_advise_stop_clock(void)
{
	if (--clocks > 0)
		return false;
	disable_timeout(work_timeout(), false);
	if (took_too_long)
		QueryCancelPending = false;
	return took_too_long;
}

static void
statement_error_callback(void *arg)
{
	HoneStatement *st = arg;
	int			position = geterrposition();

	/* A position is one in the statement, not in the caller's query. */
	if (position > 0)
	{
		errposition(0);
		internalerrposition(position);
		internalerrquery(st->text);
	}
	if (st->position > 0)
		errcontext("statement %d", st->position);
}

/*
 * A safe search_path, and names, constants and expressions that read the same in
 * every session: for what is written down, such as an index's definition.
 */
void
hone_advise_enter_plain(HoneScope *scope)
{
	hone_enter_role(scope, GetUserId(), NULL);
	hone_settings_be_plain();
}

/* Values of a sample were printed in a session with plain settings. */
static ParamListInfo
values_of(const HoneStatement *st, const Oid *types, int ntypes)
{
	HoneScope	scope;
	ParamListInfo params;

	if (st->as_caller)
		return hone_whatif_params(types, ntypes, st->values);
	hone_advise_enter_plain(&scope);
	params = hone_whatif_params(types, ntypes, st->values);
	hone_leave(&scope);
	return params;
}

static void
analyze_and_work(HoneRun *run, HoneStatement *st, hone_statement_work work, void *arg)
{
	HoneScope	scope;
	List	   *queries;
	Oid		   *types;
	int			ntypes;
	ParamListInfo params = NULL;

	if (!st->as_caller)
	{
		hone_enter_role(&scope, st->userid, st->search_path);
		hone_settings_take_on(st->settings, st->nsettings);
	}
	queries = hone_whatif_analyze(st->text, st->ntypes > 0 ? st->types : NULL,
								  st->ntypes, &types, &ntypes);
	if (st->has_values)
	{
		if (st->as_caller ? ntypes != st->nvalues : ntypes > st->nvalues)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("\"parameters\" has %d values, but the statement has %d parameters",
							st->nvalues, ntypes)));
		if (ntypes > 0)
			params = values_of(st, types, ntypes);
	}
	hone_advise_check_tables(run, st, false);
	work(run, st, queries, params, arg);
	if (!st->as_caller)
		hone_leave(&scope);
}

/* False when the statement failed; st->failure then says why. */
bool
hone_advise_with_statement(HoneRun *run, HoneStatement *st,
						   hone_statement_work work, void *arg)
{
	MemoryContext caller = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;
	ErrorContextCallback callback;
	bool		old_paused = hone_capture_paused;
	HoneReadState outer;

	if (st->failure)
		return false;
	if (!st->as_caller && !SearchSysCacheExists1(AUTHOID, ObjectIdGetDatum(st->userid)))
	{
		st->failure = "the role that ran it does not exist any more";
		return false;
	}
	CHECK_FOR_INTERRUPTS();

	callback.callback = statement_error_callback;
	callback.arg = st;
	callback.previous = error_context_stack;
	error_context_stack = &callback;

	BeginInternalSubTransaction(NULL);
	MemoryContextReset(run->scratch);
	MemoryContextSwitchTo(run->scratch);
	hone_capture_paused = true; /* that it is rolled back is no error caught */
	if (!st->as_caller)
		hone_advise_start_clock();
	outer = hone_advise_read_suspend();
	PG_TRY();
	{
		analyze_and_work(run, st, work, arg);
		if (!st->as_caller)
			(void) hone_advise_stop_clock();
		RollbackAndReleaseCurrentSubTransaction();
		hone_capture_paused = old_paused;
	}
	PG_CATCH();
	{
		ErrorData  *edata;
		bool		late = !st->as_caller && hone_advise_stop_clock();

		hone_advise_read_resume(outer);
		MemoryContextSwitchTo(run->memory);
		edata = CopyErrorData();
		FlushErrorState();
		RollbackAndReleaseCurrentSubTransaction();
		hone_capture_paused = old_paused;
		error_context_stack = callback.previous;
		CurrentResourceOwner = owner;
		if (late && edata->sqlerrcode == ERRCODE_QUERY_CANCELED)
			edata->message = pstrdup("planning it takes too long");
		else if (run->strict || edata->sqlerrcode == ERRCODE_QUERY_CANCELED ||
			ERRCODE_TO_CATEGORY(edata->sqlerrcode) == ERRCODE_OPERATOR_INTERVENTION ||
			edata->sqlerrcode == ERRCODE_OUT_OF_MEMORY)
		{
			MemoryContextSwitchTo(caller);
			ReThrowError(edata);
		}
		st->failure = MemoryContextStrdup(run->memory, edata->message ? edata->message : "error");
		FreeErrorData(edata);
	}
	PG_END_TRY();
	hone_advise_read_resume(outer);
	error_context_stack = callback.previous;
	MemoryContextSwitchTo(caller);
	CurrentResourceOwner = owner;
	return st->failure == NULL;
}

static const char *
node_name(Plan *plan)
{
	switch (nodeTag(plan))
	{
		case T_Result:
			return "Result";
		case T_ModifyTable:
			return "ModifyTable";
		case T_Append:
			return "Append";
		case T_MergeAppend:
			return "Merge Append";
		case T_SeqScan:
			return "Seq Scan";
		case T_IndexScan:
			return "Index Scan";
		case T_IndexOnlyScan:
			return "Index Only Scan";
		case T_BitmapHeapScan:
			return "Bitmap Scan";
		case T_SubqueryScan:
			return "Subquery Scan";
		case T_NestLoop:
			return "Nested Loop";
		case T_MergeJoin:
			return "Merge Join";
		case T_HashJoin:
			return "Hash Join";
		case T_Material:
			return "Materialize";
		case T_Memoize:
			return "Memoize";
		case T_Hash:
			return "Hash";
		case T_Sort:
			return "Sort";
		case T_IncrementalSort:
			return "Incremental Sort";
		case T_Group:
			return "Group";
		case T_Agg:
			return "Aggregate";
		case T_WindowAgg:
			return "WindowAgg";
		case T_Unique:
			return "Unique";
		case T_Gather:
			return "Gather";
		case T_GatherMerge:
			return "Gather Merge";
		case T_Limit:
			return "Limit";
		case T_LockRows:
			return "LockRows";
		default:
			return "...";
	}
}

static void
summarize(StringInfo buf, PlannedStmt *pstmt, Plan *plan, int depth)
{
	Index		scanrelid = 0;

	if (plan == NULL || depth > 12 || buf->len > 300)
		return;
	if (buf->len > 0)
		appendStringInfoString(buf, " > ");
	appendStringInfoString(buf, node_name(plan));
	switch (nodeTag(plan))
	{
		case T_SeqScan:
		case T_IndexScan:
		case T_IndexOnlyScan:
		case T_BitmapHeapScan:
			scanrelid = ((Scan *) plan)->scanrelid;
			break;
		default:
			break;
	}
	if (scanrelid > 0)
	{
		char	   *name = get_rel_name(rt_fetch(scanrelid, pstmt->rtable)->relid);

		appendStringInfo(buf, " on %s", name ? quote_identifier(name) : "?");
		return;
	}
	switch (nodeTag(plan))
	{
		case T_Append:
			if (((Append *) plan)->appendplans != NIL)
				summarize(buf, pstmt, linitial(((Append *) plan)->appendplans), depth + 1);
			return;
		case T_MergeAppend:
			if (((MergeAppend *) plan)->mergeplans != NIL)
				summarize(buf, pstmt, linitial(((MergeAppend *) plan)->mergeplans), depth + 1);
			return;
		case T_SubqueryScan:
			summarize(buf, pstmt, ((SubqueryScan *) plan)->subplan, depth + 1);
			return;
		default:
			break;
	}
	if (innerPlan(plan) && outerPlan(plan))
	{
		appendStringInfoString(buf, " (");
		{
			StringInfoData side;

			initStringInfo(&side);
			summarize(&side, pstmt, outerPlan(plan), depth + 1);
			appendStringInfo(buf, "%s; ", side.data);
			resetStringInfo(&side);
			summarize(&side, pstmt, innerPlan(plan), depth + 1);
			appendStringInfo(buf, "%s)", side.data);
		}
		return;
	}
	summarize(buf, pstmt, outerPlan(plan), depth + 1);
}

/* "Limit > Index Scan on orders": one line for a reader. */
char *
hone_advise_plan_summary(PlannedStmt *plan)
{
	StringInfoData buf;

	initStringInfo(&buf);
	summarize(&buf, plan, plan->planTree, 0);
	return buf.data;
}

/* And the stored generated columns that are made of them. */
static Bitmapset *
add_generated(Oid relid, Bitmapset *changed)
{
	Relation	relation = table_open(relid, NoLock);
	TupleDesc	desc = RelationGetDescr(relation);
	Bitmapset  *result = changed;

	for (int i = 0; desc->constr && desc->constr->has_generated_stored && i < desc->natts; i++)
	{
		Bitmapset  *attnos = NULL;
		int			col = -1;

		if (TupleDescAttr(desc, i)->attgenerated != ATTRIBUTE_GENERATED_STORED)
			continue;
		pull_varattnos(build_column_default(relation, i + 1), 1, &attnos);
		while ((col = bms_next_member(attnos, col)) >= 0)
			if (bms_is_member(col + FirstLowInvalidHeapAttributeNumber, changed))
				result = bms_add_member(bms_copy(result), i + 1);
	}
	table_close(relation, NoLock);
	return result;
}

/* Attributes an UPDATE's target list changes. */
Bitmapset *
hone_advise_changed_columns(Query *query, List *targetlist)
{
	Bitmapset  *changed = NULL;
	ListCell   *lc;

	foreach(lc, targetlist)
	{
		TargetEntry *tle = lfirst_node(TargetEntry, lc);
		Var		   *var = (Var *) tle->expr;

		if (tle->resjunk)
			continue;
		if (IsA(var, Var) && var->varno == query->resultRelation &&
			var->varattno == tle->resno && var->varlevelsup == 0)
			continue;			/* set to itself */
		changed = bms_add_member(changed, tle->resno);
	}
	return add_generated(rt_fetch(query->resultRelation, query->rtable)->relid, changed);
}

static void
add_write(HoneStatement *st, Oid relid, CmdType command, double rows, double share,
		  Bitmapset *changed)
{
	HoneWrite  *write = palloc0(sizeof(HoneWrite));

	write->relid = relid;
	write->command = command;
	write->rows = rows;
	write->share = share;
	write->known = true;
	write->changed = changed;
	st->writes = lappend(st->writes, write);
}

/* Rows that a plan expects to write to a table. */
static double
planned_rows(PlannedStmt *pstmt, Oid relid, CmdType command)
{
	List	   *plans = list_concat(list_make1(pstmt->planTree), pstmt->subplans);
	ListCell   *lc;

	foreach(lc, plans)
	{
		ModifyTable *node = lfirst(lc);

		if (node && IsA(node, ModifyTable) && node->operation == command &&
			rt_fetch(node->nominalRelation, pstmt->rtable)->relid == relid &&
			outerPlan(node))
			return Max(1, outerPlan(node)->plan_rows);
	}
	return 1;
}

/*
 * What one query writes: counted says whether its rows are those that the
 * statement reports. How rows divide over the actions of a MERGE, or over INSERT
 * and ON CONFLICT DO UPDATE, nobody says: evenly.
 */
static void
read_query_writes(HoneStatement *st, Query *query, PlannedStmt *plan, bool counted)
{
	Oid			relid;
	double		rows;
	double		share;
	int			kinds = 0;
	ListCell   *lc;

	if (query->commandType == CMD_SELECT || query->resultRelation == 0)
		return;
	relid = rt_fetch(query->resultRelation, query->rtable)->relid;
	rows = planned_rows(plan, relid, query->commandType);
	if (query->commandType == CMD_MERGE)
	{
		foreach(lc, query->mergeActionList)
			kinds += lfirst_node(MergeAction, lc)->commandType != CMD_NOTHING;
		share = 1.0 / Max(kinds, 1);
		foreach(lc, query->mergeActionList)
		{
			MergeAction *action = lfirst_node(MergeAction, lc);

			if (action->commandType != CMD_NOTHING)
				add_write(st, relid, action->commandType, rows * share, counted ? share : 0,
						  action->commandType == CMD_UPDATE ?
						  hone_advise_changed_columns(query, action->targetList) : NULL);
		}
		return;
	}
	share = query->onConflict && query->onConflict->action == ONCONFLICT_UPDATE ? 0.5 : 1;
	add_write(st, relid, query->commandType, rows * share, counted ? share : 0,
			  query->commandType == CMD_UPDATE ?
			  hone_advise_changed_columns(query, query->targetList) : NULL);
	if (share < 1)
		add_write(st, relid, CMD_UPDATE, rows * share, counted ? share : 0,
				  hone_advise_changed_columns(query, query->onConflict->onConflictSet));
}

static void
read_write(HoneStatement *st, Query *query, PlannedStmt *plan)
{
	ListCell   *lc;

	foreach(lc, query->cteList)
	{
		CommonTableExpr *cte = lfirst_node(CommonTableExpr, lc);

		if (IsA(cte->ctequery, Query))
			read_query_writes(st, castNode(Query, cte->ctequery), plan, false);
	}
	read_query_writes(st, query, plan, query->canSetTag);
	if (query->commandType == CMD_SELECT || query->resultRelation == 0)
		return;
	st->command = query->commandType;
	st->target = rt_fetch(query->resultRelation, query->rtable)->relid;
	st->rows_written = planned_rows(plan, st->target, st->command);
	foreach(lc, st->writes)
	{
		HoneWrite  *write = lfirst(lc);

		if (write->relid == st->target)
			st->changed = bms_add_members(st->changed, write->changed);
	}
}

static void
add_relids(HoneStatement *st, List *relids)
{
	ListCell   *lc;
	ListCell   *la;

	foreach(lc, relids)
	{
		st->relids = list_append_unique_oid(st->relids, lfirst_oid(lc));
		if (get_rel_relispartition(lfirst_oid(lc)))
			foreach(la, get_partition_ancestors(lfirst_oid(lc)))
				st->relids = list_append_unique_oid(st->relids, lfirst_oid(la));
	}
}

/* Not relationOids, which holds every constant of type oid, too. */
static List *
tables_of(const PlannedStmt *plan)
{
	List	   *relids = NIL;
	ListCell   *lc;

	foreach(lc, plan->rtable)
	{
		RangeTblEntry *rte = lfirst_node(RangeTblEntry, lc);

		if (rte->rtekind == RTE_RELATION)
			relids = list_append_unique_oid(relids, rte->relid);
	}
	return relids;
}

static bool
has_constant_walker(Node *node, void *context)
{
	if (node == NULL)
		return false;
	return IsA(node, Const) || expression_tree_walker(node, has_constant_walker, context);
}

static bool
has_expression(const HoneRelUse *rel, Node *expr)
{
	ListCell   *lu;
	ListCell   *lo;

	foreach(lu, rel->uses)
		if (equal(expr, ((HoneUse *) lfirst(lu))->expr))
			return true;
	foreach(lo, rel->orders)
		foreach(lu, ((HoneOrder *) lfirst(lo))->uses)
			if (equal(expr, ((HoneUse *) lfirst(lu))->expr))
				return true;
	return false;
}

/* An expression with a constant in it that the generic plan has not. */
static void
mark_expression(HoneUse *use, Oid relid, List *generic)
{
	ListCell   *lg;

	if (use->key.attno != 0 || !has_constant_walker(use->expr, NULL))
		return;
	use->literal = false;
	foreach(lg, generic)
	{
		HoneRelUse *other = lfirst(lg);

		use->literal |= other->relid == relid && has_expression(other, use->expr);
	}
}

/* Which predicates does the generic plan see too? Those stand in the text. */
static void
mark_literals(List *rels, List *generic)
{
	ListCell   *lr;
	ListCell   *lg;
	ListCell   *lo;
	ListCell   *lp;
	ListCell   *lq;

	foreach(lr, rels)
	{
		HoneRelUse *rel = lfirst(lr);

		foreach(lp, rel->predicates)
		{
			HonePredicate *predicate = lfirst(lp);

			foreach(lg, generic)
			{
				HoneRelUse *other = lfirst(lg);

				if (other->relid != rel->relid)
					continue;
				foreach(lq, other->predicates)
					if (equal(predicate->clause, ((HonePredicate *) lfirst(lq))->clause))
						predicate->literal = true;
			}
		}
		foreach(lp, rel->uses)
			mark_expression(lfirst(lp), rel->relid, generic);
		foreach(lo, rel->orders)
			foreach(lp, ((HoneOrder *) lfirst(lo))->uses)
				mark_expression(lfirst(lp), rel->relid, generic);
	}
}

/* How many rows a LIMIT at the top lets through, OFFSET included; 0: all. */
static double
limit_of(const PlannedStmt *plan)
{
	const Limit *limit = (const Limit *) plan->planTree;
	const Const *count;
	const Const *offset;

	if (!IsA(limit, Limit) || limit->limitCount == NULL || !IsA(limit->limitCount, Const))
		return 0;
	count = (const Const *) limit->limitCount;
	offset = (const Const *) limit->limitOffset;
	if (count->constisnull || count->consttype != INT8OID ||
		(offset && (!IsA(offset, Const) || offset->consttype != INT8OID)))
		return 0;
	return DatumGetInt64(count->constvalue) +
		(offset && !offset->constisnull ? DatumGetInt64(offset->constvalue) : 0);
}

static double
plan_and_read(HoneRun *run, HoneStatement *st, List *queries,
			  ParamListInfo params, bool generic, List **rels)
{
	HoneConfiguration nothing = {NIL, NIL};
	double		cost = 0;
	ListCell   *lc;

	hone_advise_read_begin(run->memory);
	foreach(lc, queries)
	{
		Query	   *query = lfirst_node(Query, lc);
		PlannedStmt *plan = hone_whatif_plan(query, st->text, params, &nothing);
		MemoryContext old;

		run->planner_calls++;
		cost += hone_without_penalty(hone_whatif_cost(plan));
		if (generic)
			continue;
		old = MemoryContextSwitchTo(run->memory);
		add_relids(st, tables_of(plan));
		st->real = list_concat_unique_oid(st->real, hone_whatif_used_real(plan));
		if (st->base_plan == NULL)
			st->base_plan = hone_advise_plan_summary(plan);
		st->limit_rows = limit_of(plan);
		read_write(st, query, plan);
		if (st->group->queryid == 0)
			st->group->queryid = (int64) query->queryId;
		MemoryContextSwitchTo(old);
	}
	*rels = hone_advise_read_end();
	return cost;
}

static void
read_work(HoneRun *run, HoneStatement *st, List *queries, ParamListInfo params,
		  void *arg pg_attribute_unused())
{
	HoneScope	scope;
	List	   *generic = NIL;
	ListCell   *lc;
	MemoryContext old;

	if (queries == NIL)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("statement leaves nothing to plan")));
	st->base_cost = plan_and_read(run, st, queries, params, false, &st->rels);
	if (params)
	{
		st->generic_cost = plan_and_read(run, st, queries, NULL, true, &generic);
		mark_literals(st->rels, generic);
	}
	else
		mark_literals(st->rels, st->rels);

	old = MemoryContextSwitchTo(run->memory);
	hone_advise_enter_plain(&scope);
	foreach(lc, st->rels)
		add_relids(st, list_make1_oid(((HoneRelUse *) lfirst(lc))->relid));
	hone_advise_name_uses(st->rels);
	foreach(lc, st->rels)
		hone_advise_read_existing(run, ((HoneRelUse *) lfirst(lc))->relid);
	foreach(lc, st->writes)
		hone_advise_read_existing(run, ((HoneWrite *) lfirst(lc))->relid);
	hone_leave(&scope);
	hone_advise_check_tables(run, st, true);
	MemoryContextSwitchTo(old);
}

/* Fill in what can be learned of a statement before there are candidates. */
void
hone_advise_read_statement(HoneRun *run, HoneStatement *st)
{
	(void) hone_advise_with_statement(run, st, read_work, NULL);
}
