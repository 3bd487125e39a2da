/*
 * scans.c
 *	  How many rows an execution read of each table.
 *
 * The server counts for each relation the rows that scans return and fetch
 * (the counters behind pg_stat_user_tables), in this process and at no extra
 * cost. An execution notes, when it begins to run, the relations that its plan scans:
 * the table for sequential and bitmap scans, the index for index scans, because
 * that is where the server counts them. Their counters are read before and after
 * each stretch of execution. Nothing is measured row by row.
 *
 * Nested statements may read the same relations. What one has counted is
 * taken out of the executions around it, so each row counts for one statement.
 *
 * A parallel worker counts in its own process, and reports for itself
 * (probe.c). Partitions are reported as their partitioned table. Foreign tables
 * have no such counters. With track_counts off, or for system catalogs, nothing
 * is known and nothing reported.
 *
 * The counters may be made for a relation here, which allocates memory: when the
 * execution begins to run, where the scan itself would do the same. Afterwards
 * nothing can fail.
 */
#include "postgres.h"

#include "access/transam.h"
#include "catalog/pg_inherits.h"
#include "nodes/execnodes.h"
#include "nodes/nodeFuncs.h"
#include "parser/parsetree.h"
#include "pgstat.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"

#include "probe/internal.h"

#define MAX_SCANS 4096

/* Collecting: where to, and the statement's range table. */
typedef struct Collector
{
	HoneFrame  *frame;
	HoneExecution *execution;
	const PlannedStmt *plan;
	ListCell   *hint;			/* in plan->appendRelations */
} Collector;

/*
 * The table that a scan of a range table entry is reported as: for a partition
 * or child, its topmost parent. Children mostly come in the order of the list,
 * so the search goes on where the last one ended.
 */
static Oid
topmost_parent(Collector *collector, Index rti)
{
	const List *appends = collector->plan->appendRelations;
	int			start = collector->hint ? list_cell_number(appends, collector->hint) : 0;
	int			length = list_length(appends);

	for (int i = 0; i < length; i++)
	{
		ListCell   *cell = list_nth_cell(appends, (start + i) % length);
		AppendRelInfo *info = lfirst_node(AppendRelInfo, cell);

		if (info->child_relid != rti)
			continue;
		if (rt_fetch(info->parent_relid, collector->plan->rtable)->rtekind != RTE_RELATION)
			break;				/* an arm of UNION ALL */
		collector->hint = cell;
		return topmost_parent(collector, info->parent_relid);
	}
	return rt_fetch(rti, collector->plan->rtable)->relid;
}

/*
 * A parallel worker is not told which entries belong together, only which had
 * children: the query's own come first, so the first that relid inherits from is
 * the topmost. (A partition that the query names itself, beside one of its
 * parents, is taken for part of that.)
 */
static Oid
parent_in_worker(Collector *collector, Oid relid)
{
	ListCell   *lc;

	foreach(lc, collector->plan->rtable)
	{
		RangeTblEntry *rte = lfirst_node(RangeTblEntry, lc);

		if (rte->rtekind == RTE_RELATION && rte->inh && rte->relid != relid &&
			typeInheritsFrom(get_rel_type_id(relid), get_rel_type_id(rte->relid)))
			return rte->relid;
	}
	return relid;
}

/* relid is the range table entry's own. */
static pg_noinline Oid
parent_of(Collector *collector, Index rti, Oid relid)
{
	if (collector->plan->appendRelations != NIL)
		return topmost_parent(collector, rti);
	return IsParallelWorker() ? parent_in_worker(collector, relid) : relid;
}

static inline Oid
reported_relid(Collector *collector, Index rti, Oid relid)
{
	if (unlikely(collector->plan->appendRelations != NIL || IsParallelWorker()))
		return parent_of(collector, rti, relid);
	return relid;
}

/* The place of a table; -1 if there are too many. */
static inline int
table_of(Collector *collector, Oid relid)
{
	HoneTableRead *tables = collector->frame->tables;
	int			n = collector->execution->ntables;

	for (int i = 0; i < n; i++)
	{
		if (tables[i].relid == relid)
			return i;
	}
	if (n == HONE_MAX_TABLES)
		return -1;
	tables[n].relid = relid;
	tables[n].is_target = false;
	tables[n].seq_rows = 0;
	tables[n].index_rows = 0;
	collector->execution->ntables++;
	return n;
}

static pg_noinline bool
more_room(HoneFrame *frame, MemoryContext context)
{
	int			room = frame->scans_room * 4;
	HoneScan   *grown;

	if (room > MAX_SCANS)
		return false;
	grown = MemoryContextAllocExtended(context, room * sizeof(HoneScan),
									   MCXT_ALLOC_NO_OOM);
	if (grown == NULL)
		return false;
	memcpy(grown, frame->scans, frame->nscans * sizeof(HoneScan));
	frame->scans = grown;
	frame->scans_room = room;
	return true;
}

/* The relation that counts what a node reads; NULL if it is no scan. */
static inline Relation
counting_relation(PlanState *state, bool *is_index)
{
	switch (nodeTag(state))
	{
		case T_IndexScanState:
			*is_index = true;
			return ((IndexScanState *) state)->iss_RelationDesc;
		case T_IndexOnlyScanState:
			*is_index = true;
			return ((IndexOnlyScanState *) state)->ioss_RelationDesc;
		case T_SeqScanState:
		case T_SampleScanState:
		case T_BitmapHeapScanState:
		case T_TidScanState:
		case T_TidRangeScanState:
			*is_index = false;
			return ((ScanState *) state)->ss_currentRelation;
		default:
			return NULL;
	}
}

static inline bool
is_counted(Relation rel)
{
	return rel != NULL && rel->rd_id >= FirstNormalObjectId &&
		pgstat_should_count_relation(rel);
}

static void
add_node(Collector *collector, PlanState *state)
{
	HoneFrame  *frame = collector->frame;
	bool		is_index;
	Relation	rel = counting_relation(state, &is_index);
	HoneScan   *scan;
	int			table;

	if (!is_counted(rel))
		return;
	table = table_of(collector,
					 reported_relid(collector, ((Scan *) state->plan)->scanrelid,
									((ScanState *) state)->ss_currentRelation->rd_id));
	if (table < 0)
		return;
	if (unlikely(frame->nscans == frame->scans_room) &&
		!more_room(frame, frame->query_desc->estate->es_query_cxt))
		return;
	scan = &frame->scans[frame->nscans++];
	scan->rel = rel;
	scan->counts = rel->pgstat_info;
	scan->is_index = is_index;
	scan->table = table;
}

/*
 * Does a node have children other than left, right and subplans? Those that do
 * are the business of planstate_tree_walker.
 */
static inline bool
has_other_children(const PlanState *state)
{
	switch (nodeTag(state))
	{
		case T_AppendState:
		case T_MergeAppendState:
		case T_BitmapAndState:
		case T_BitmapOrState:
		case T_SubqueryScanState:
		case T_CustomScanState:
			return true;
		default:
			return state->initPlan != NIL || state->subPlan != NIL;
	}
}

/* The walker costs a multiple of a node, so it is left to those that need it. */
static bool
visit_node(PlanState *state, void *arg)
{
	check_stack_depth();
	add_node((Collector *) arg, state);
	if (unlikely(has_other_children(state)))
		return planstate_tree_walker(state, visit_node, arg);
	if (outerPlanState(state) != NULL)
		visit_node(outerPlanState(state), arg);
	if (innerPlanState(state) != NULL)
		visit_node(innerPlanState(state), arg);
	return false;
}

static int
compare_scans(const void *a, const void *b)
{
	uintptr_t	left = (uintptr_t) ((const HoneScan *) a)->rel;
	uintptr_t	right = (uintptr_t) ((const HoneScan *) b)->rel;

	return (left > right) - (left < right);
}

/* A relation scanned twice has one set of counters: it stands here once. */
static void
remove_duplicates(HoneFrame *frame)
{
	int			n = 1;

	qsort(frame->scans, frame->nscans, sizeof(HoneScan), compare_scans);
	for (int i = 1; i < frame->nscans; i++)
	{
		if (frame->scans[i].rel != frame->scans[n - 1].rel)
			frame->scans[n++] = frame->scans[i];
	}
	frame->nscans = n;
}

/* The table that a statement changes, also if it does not scan it. */
static void
add_target(Collector *collector)
{
	Index		rti = linitial_int(collector->plan->resultRelations);
	Oid			relid = reported_relid(collector, rti, rt_fetch(rti, collector->plan->rtable)->relid);
	int			table;

	if (relid < FirstNormalObjectId)
		return;
	table = table_of(collector, relid);
	if (table >= 0)
		collector->frame->tables[table].is_target = true;
}

/* For all but the simplest plans. */
static pg_noinline void
collect_tree(HoneFrame *frame, QueryDesc *query_desc)
{
	Collector	collector = {
		.frame = frame,
		.execution = &frame->execution,
		.plan = query_desc->plannedstmt
	};

	if (collector.plan->resultRelations != NIL)
		add_target(&collector);
	visit_node(query_desc->planstate, &collector);
	if (frame->nscans > 1)
		remove_duplicates(frame);
}

/* A scan of one table that has nothing below it. */
static inline bool
is_single_scan(const PlanState *state)
{
	return (IsA(state, IndexScanState) || IsA(state, SeqScanState) ||
			IsA(state, IndexOnlyScanState)) &&
		state->initPlan == NIL && state->subPlan == NIL;
}

static inline void
begin_table(HoneTableRead *table, Oid relid, bool is_target)
{
	table->relid = relid;
	table->is_target = is_target;
	table->seq_rows = 0;
	table->index_rows = 0;
}

static inline void
add_single_scan(HoneFrame *frame, PlanState *state)
{
	bool		is_index;
	Relation	rel = counting_relation(state, &is_index);
	int			n = frame->execution.ntables;
	Oid			relid;

	if (!is_counted(rel))
		return;
	relid = ((ScanState *) state)->ss_currentRelation->rd_id;
	if (n == 0 || frame->tables[0].relid != relid)
	{
		begin_table(&frame->tables[n++], relid, false);
		frame->execution.ntables = n;
	}
	frame->few[0].rel = rel;
	frame->few[0].counts = rel->pgstat_info;
	frame->few[0].is_index = is_index;
	frame->few[0].table = n - 1;
	frame->nscans = 1;
}

/* One table is changed, through one scan or without. False if it is not so. */
static pg_noinline bool
collect_change(HoneFrame *frame, PlanState *top, const PlannedStmt *plan)
{
	PlanState  *source = outerPlanState(top);
	Oid			relid;

	if (!IsA(top, ModifyTableState) || top->initPlan != NIL || top->subPlan != NIL ||
		list_length(plan->resultRelations) != 1 || source == NULL ||
		!(is_single_scan(source) ||
		  (IsA(source, ResultState) && outerPlanState(source) == NULL &&
		   source->initPlan == NIL && source->subPlan == NIL)))
		return false;
	relid = ((ModifyTableState *) top)->resultRelInfo->ri_RelationDesc->rd_id;
	if (relid >= FirstNormalObjectId)
	{
		begin_table(&frame->tables[0], relid, true);
		frame->execution.ntables = 1;
	}
	add_single_scan(frame, source);
	return true;
}

/*
 * What the execution that has just been started will scan and change. The
 * commonest plans need no walk.
 */
void
hone_scans_collect(HoneFrame *frame, QueryDesc *query_desc)
{
	PlanState  *top = query_desc->planstate;
	const PlannedStmt *plan = query_desc->plannedstmt;

	frame->nscans = 0;
	frame->scans_room = HONE_INLINE_SCANS;
	frame->scans = frame->few;
	frame->execution.ntables = 0;
	frame->execution.tables = frame->tables;
	if (unlikely(top == NULL))
		return;
	if (likely(plan->appendRelations == NIL && !IsParallelWorker()))
	{
		if (is_single_scan(top))
		{
			add_single_scan(frame, top);
			return;
		}
		if (plan->resultRelations != NIL && collect_change(frame, top, plan))
			return;
	}
	collect_tree(frame, query_desc);
}

/* A nested statement's rows are its own, not those of the ones around it. */
void
hone_scans_give_to_outer(const HoneFrame *frame, const HoneScan *scan,
						 int64 returned, int64 fetched)
{
	for (HoneFrame *outer = frame->below; outer != NULL; outer = outer->below)
	{
		if (!outer->running)
			continue;
		for (int i = 0; i < outer->nscans; i++)
		{
			HoneScan   *other = &outer->scans[i];

			if (other->rel == scan->rel)
			{
				other->start_returned += returned;
				other->start_fetched += fetched;
			}
		}
	}
}
