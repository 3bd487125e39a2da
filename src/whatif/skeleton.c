/*
 * skeleton.c
 *	  A plan taken apart into the scans of its tables and what weighs on them.
 *
 * From the top of the chosen path two numbers go down: by how much the cost of
 * the whole changes when the startup cost of this path changes, and when the
 * rest of its cost does. They start as (1, 1). What a sort or a hash table reads
 * becomes startup as a whole; the inner side of a nested loop counts as often
 * as it is run again; what a LIMIT stops counts in part. Together with what the
 * nodes above ask of a scan (order of rows, relations that drive it, workers)
 * they say what the plan costs with any other access path in its place.
 *
 * The rules for joins are not written down again here: the core's own cost
 * functions are called for the same join with one input dearer by a little, and
 * the difference is the factor. When they give a cost far from the planner's, a
 * join is left as it is, with all below it.
 *
 * Parts that are not taken apart keep the indexes they use: the plan then counts
 * only for configurations that have those.
 *
 * Reads the planner's data while it is still there; changes costs of paths only
 * between two calls of a cost function, which raise no errors.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/cost.h"
#include "optimizer/optimizer.h"
#include "optimizer/pathnode.h"
#include "optimizer/paths.h"

#include "base/compat.h"
#include "whatif/details.h"
#include "whatif/learning.h"

/* How a node's cost hangs on its startup cost and on the rest. */
typedef struct Weight
{
	double		startup;
	double		run;
	double		fraction;		/* of the rows that are read at all */
} Weight;

static void walk(HoneLearning *state, PlannerInfo *root, Path *path, Weight weight, int norder);
static void walk_root(HoneLearning *state, PlannerInfo *root, Path *path, Weight weight,
					  int norder);

static Weight
all_startup(Weight w)
{
	w.run = w.startup;
	w.fraction = 1;
	return w;
}

/* Not to be changed: only the indexes in it count. */
static void
keep_fixed(HoneLearning *state, Path *path)
{
	MemoryContext old = MemoryContextSwitchTo(state->memory);

	hone_learn_indexes(state, path, &state->learned->fixed_imagined,
					   &state->learned->fixed_real);
	MemoryContextSwitchTo(old);
}

static void
keep_all_fixed(HoneLearning *state, PlannerInfo *root, Path *path)
{
	Weight		nothing = {0, 0, 1};

	walk(state, root, path, nothing, 0);
}

static void
add_leaf(HoneLearning *state, PlannerInfo *root, Path *path, Weight weight, int norder)
{
	RelOptInfo *rel = path->parent;
	MemoryContext old;
	HonePlanPart *leaf;

	if (rel->rtekind != RTE_RELATION || (weight.startup == 0 && weight.run == 0) ||
		IsA(path, TidPath) || IsA(path, TidRangePath) || path->pathtype == T_SampleScan)
	{
		keep_fixed(state, path);
		return;
	}
	old = MemoryContextSwitchTo(state->memory);
	leaf = palloc0(sizeof(HonePlanPart));
	leaf->rel = hone_learn_rel(state, root, rel);
	hone_learn_requirement(&leaf->needs, path, Min(norder, list_length(path->pathkeys)));
	leaf->per_startup = weight.startup;
	leaf->per_run = weight.run;
	leaf->fraction = weight.fraction;
	leaf->access = hone_learn_access(state, leaf->rel, path);
	state->learned->accesses = lappend(state->learned->accesses, leaf->access);
	state->learned->leaves = lappend(state->learned->leaves, leaf);
	MemoryContextSwitchTo(old);
}

/* Conditions that a path took over because these relations drive it. */
static List *
driven_conditions(const Path *path, Relids drivers, List *conditions)
{
	ListCell   *lc;

	check_stack_depth();
	if (path->param_info)
		foreach(lc, path->param_info->ppi_clauses)
			if (bms_overlap(lfirst_node(RestrictInfo, lc)->clause_relids, drivers))
				conditions = list_append_unique_ptr(conditions, lfirst(lc));
	switch (nodeTag(path))
	{
		case T_NestPath:
		case T_MergePath:
		case T_HashPath:
			conditions = driven_conditions(((const JoinPath *) path)->outerjoinpath, drivers,
										   conditions);
			return driven_conditions(((const JoinPath *) path)->innerjoinpath, drivers,
									 conditions);
		case T_MaterialPath:
			return driven_conditions(((const MaterialPath *) path)->subpath, drivers,
									 conditions);
		case T_MemoizePath:
			return driven_conditions(((const MemoizePath *) path)->subpath, drivers,
									 conditions);
		default:
			return conditions;
	}
}

/* All conditions of a nested loop: its own, and those its inner side took over. */
static List *
all_conditions(const JoinPath *join)
{
	return driven_conditions(join->innerjoinpath, join->outerjoinpath->parent->relids,
							 list_copy(join->joinrestrictinfo));
}

/* The cost of a join as the core computes it for its inputs as they are now. */
static void
cost_nestloop(PlannerInfo *root, const NestPath *join, Path *result)
{
	NestPath	copy = *join;
	JoinCostWorkspace workspace;
	JoinPathExtraData extra = {0};
	SpecialJoinInfo plain;
	const JoinPath *j = &join->jpath;
	ListCell   *lc;

	extra.restrictlist = j->joinrestrictinfo;
	extra.inner_unique = j->inner_unique;
	if (j->jointype == JOIN_SEMI || j->jointype == JOIN_ANTI || j->inner_unique)
	{
		memset(&plain, 0, sizeof(plain));
		plain.type = T_SpecialJoinInfo;
		plain.min_lefthand = j->outerjoinpath->parent->relids;
		plain.min_righthand = j->innerjoinpath->parent->relids;
		plain.syn_lefthand = plain.min_lefthand;
		plain.syn_righthand = plain.min_righthand;
		plain.jointype = JOIN_INNER;
		extra.sjinfo = &plain;
		foreach(lc, root->join_info_list)
		{
			SpecialJoinInfo *sjinfo = lfirst(lc);

			if (sjinfo->jointype == j->jointype &&
				bms_is_subset(sjinfo->min_lefthand, plain.min_lefthand) &&
				bms_is_subset(sjinfo->min_righthand, plain.min_righthand))
				extra.sjinfo = sjinfo;
		}
		compute_semi_anti_join_factors(root, j->path.parent, j->outerjoinpath->parent,
									   j->innerjoinpath->parent, j->jointype, extra.sjinfo,
									   all_conditions(j), &extra.semifactors);
	}
	initial_cost_nestloop(root, &workspace, j->jointype, j->outerjoinpath,
						  j->innerjoinpath, &extra);
	final_cost_nestloop(root, &copy, &workspace, &extra);
	*result = copy.jpath.path;
}

static void
cost_mergejoin(PlannerInfo *root, const MergePath *join, Path *result)
{
	MergePath	copy = *join;
	JoinCostWorkspace workspace;
	JoinPathExtraData extra = {0};
	const JoinPath *j = &join->jpath;

	extra.restrictlist = j->joinrestrictinfo;
	extra.inner_unique = j->inner_unique;
	hone_initial_cost_mergejoin(root, &workspace, join, &extra);
	final_cost_mergejoin(root, &copy, &workspace, &extra);
	*result = copy.jpath.path;
}

static void
cost_join(PlannerInfo *root, const JoinPath *join, Path *result)
{
	if (IsA(join, NestPath))
		cost_nestloop(root, (const NestPath *) join, result);
	else
		cost_mergejoin(root, (const MergePath *) join, result);
}

/*
 * Close enough for its changes to be those of the planner's: some of what the
 * planner knew of the join (how many rows have a match) is derived anew.
 */
static bool
about_same_cost(Cost a, Cost b)
{
	return fabs(a - b) <= 0.05 * Max(fabs(a), fabs(b));
}

/* Make a path dearer, and what lies under a cache for its rows. */
static void
add_cost(Path *path, Cost startup, Cost run)
{
	path->startup_cost += startup;
	path->total_cost += startup + run;
	if (IsA(path, MemoizePath))
		add_cost(((MemoizePath *) path)->subpath, startup, run);
}

/* How the join's cost changes with one input's, from the core's own functions. */
static bool
join_weight(PlannerInfo *root, const JoinPath *join, Path *input, Weight above, Weight *below)
{
	Path		plain;
	Path		dearer;
	Path		slower;
	Cost		little = Max(input->total_cost, 1) * 1e-3;
	Cost		startup = input->startup_cost;
	Cost		total = input->total_cost;

	cost_join(root, join, &plain);
	if (!about_same_cost(plain.total_cost, join->path.total_cost) ||
		!about_same_cost(plain.startup_cost, join->path.startup_cost))
		return false;
	add_cost(input, little, 0);
	cost_join(root, join, &dearer);
	add_cost(input, -little, little);
	cost_join(root, join, &slower);
	add_cost(input, 0, -little);
	input->startup_cost = startup;
	input->total_cost = total;

	below->startup = (above.startup * (dearer.startup_cost - plain.startup_cost) +
					  above.run * (dearer.total_cost - dearer.startup_cost -
								   plain.total_cost + plain.startup_cost)) / little;
	below->run = (above.startup * (slower.startup_cost - plain.startup_cost) +
				  above.run * (slower.total_cost - slower.startup_cost -
							   plain.total_cost + plain.startup_cost)) / little;
	below->startup = Max(below->startup, 0);
	below->run = Max(below->run, 0);
	return true;
}

static void
walk_join(HoneLearning *state, PlannerInfo *root, JoinPath *join, Weight weight, int norder)
{
	Weight		outer = weight;
	Weight		inner = weight;
	int			outer_order = 0;
	int			inner_order = 0;
	bool		known = true;

	inner.fraction = 1;
	if (IsA(join, HashPath))
		inner = all_startup(weight);
	else
	{
		known = join_weight(root, join, join->outerjoinpath, weight, &outer) &&
			join_weight(root, join, join->innerjoinpath, weight, &inner);
		if (IsA(join, NestPath))
			outer_order = norder;
	}
	if (IsA(join, MergePath))
	{
		MergePath  *merge = (MergePath *) join;
		int			nclauses = list_length(merge->path_mergeclauses);

		if (merge->outersortkeys == NIL)
			outer_order = Max(nclauses, norder);
		if (merge->innersortkeys == NIL)
			inner_order = Max(nclauses, list_length(join->innerjoinpath->pathkeys));
	}
	if (!known)
	{
		keep_all_fixed(state, root, join->outerjoinpath);
		keep_all_fixed(state, root, join->innerjoinpath);
		return;
	}
	walk(state, root, join->outerjoinpath, outer, outer_order);
	walk(state, root, join->innerjoinpath, inner, inner_order);
}

/* Only part of the rows are read. */
static void
walk_limit(HoneLearning *state, PlannerInfo *root, LimitPath *limit, Weight weight, int norder)
{
	Path	   *path = &limit->path;
	Path	   *sub = limit->subpath;
	Cost		run = sub->total_cost - sub->startup_cost;

	if (run > 0)
	{
		double		before = Max((path->startup_cost - sub->startup_cost) / run, 0);
		double		during = Max((path->total_cost - path->startup_cost) / run, 0);

		weight.run = weight.startup * before + weight.run * during;
		weight.fraction *= Min(before + during, 1);
	}
	walk(state, root, sub, weight, norder);
}

static void
walk_incremental_sort(HoneLearning *state, PlannerInfo *root, IncrementalSortPath *sort,
					  Weight weight)
{
	Path	   *sub = sort->spath.subpath;
	Path		plain = sort->spath.path;
	Path		dearer = plain;
	Cost		little = Max(sub->total_cost, 1) * 1e-3;
	Cost		to_startup;

	hone_cost_incremental_sort(&plain, root, sort, sub->startup_cost, sub->total_cost);
	hone_cost_incremental_sort(&dearer, root, sort, sub->startup_cost,
							   sub->total_cost + little);
	to_startup = (dearer.startup_cost - plain.startup_cost) / little;
	weight.run = weight.startup * to_startup + weight.run * (1 - to_startup);
	walk(state, root, sub, weight, sort->nPresortedCols);
}

static void
walk_append(HoneLearning *state, PlannerInfo *root, AppendPath *append, Weight weight)
{
	Weight		later = weight;
	bool		ordered = append->path.pathkeys != NIL;
	ListCell   *lc;

	if (append->path.parallel_aware)
	{
		foreach(lc, append->subpaths)
			keep_all_fixed(state, root, lfirst(lc));
		return;
	}
	if (!ordered)
		later.startup = later.run;
	foreach(lc, append->subpaths)
	{
		Path	   *sub = lfirst(lc);
		Weight		w = lc == list_head(append->subpaths) ? weight : later;

		if (ordered && !pathkeys_contained_in(append->path.pathkeys, sub->pathkeys))
			walk(state, root, sub, all_startup(w), 0);
		else
			walk(state, root, sub, w, list_length(append->path.pathkeys));
	}
}

static void
walk_merge_append(HoneLearning *state, PlannerInfo *root, MergeAppendPath *merge, Weight weight)
{
	ListCell   *lc;

	foreach(lc, merge->subpaths)
	{
		Path	   *sub = lfirst(lc);

		if (pathkeys_contained_in(merge->path.pathkeys, sub->pathkeys))
			walk(state, root, sub, weight, list_length(merge->path.pathkeys));
		else
			walk(state, root, sub, all_startup(weight), 0);
	}
}

/* min() and max() by an index each; each is a query of its own that stops at once. */
static void
walk_min_max(HoneLearning *state, MinMaxAggPath *path, Weight weight)
{
	ListCell   *lc;

	foreach(lc, path->mmaggregates)
	{
		MinMaxAggInfo *info = lfirst(lc);
		Weight		w = weight;

		w.fraction = info->path->rows > 1 ? 1 / info->path->rows : 1;
		w.run = weight.startup * w.fraction;
		walk_root(state, info->subroot, info->path, w, list_length(info->path->pathkeys));
	}
}

static void
walk_aggregate(HoneLearning *state, PlannerInfo *root, AggPath *agg, Weight weight)
{
	switch (agg->aggstrategy)
	{
		case AGG_SORTED:
			walk(state, root, agg->subpath, weight,
				 Max(list_length(agg->groupClause), list_length(agg->path.pathkeys)));
			break;
		case AGG_PLAIN:
			/* from 16 on, ordered aggregates may have asked for the order */
			walk(state, root, agg->subpath, all_startup(weight),
				 list_length(agg->subpath->pathkeys));
			break;
		default:
			walk(state, root, agg->subpath, all_startup(weight), 0);
			break;
	}
}

/* All of what is below is needed before the first row, or not: its cost tells. */
static Weight
as_cost_tells(const Path *path, const Path *sub, Weight weight)
{
	return path->startup_cost >= sub->total_cost && sub->total_cost > sub->startup_cost ?
		all_startup(weight) : weight;
}

/* Both forms, of one input (until 17) and of two. */
static void
walk_setop(HoneLearning *state, PlannerInfo *root, Path *path, Weight weight)
{
	ListCell   *lc;

	foreach(lc, hone_setop_inputs((SetOpPath *) path))
		walk(state, root, lfirst(lc), as_cost_tells(path, lfirst(lc), weight),
			 list_length(((Path *) lfirst(lc))->pathkeys));
}

static void
walk_subquery(HoneLearning *state, SubqueryScanPath *scan, Weight weight, int norder)
{
	Path	   *sub = scan->subpath;

	walk_root(state, scan->path.parent->subroot, sub, weight,
			  norder > 0 ? list_length(sub->pathkeys) : 0);
}

static void
walk(HoneLearning *state, PlannerInfo *root, Path *path, Weight weight, int norder)
{
	Path	   *sub;

	check_stack_depth();
	switch (nodeTag(path))
	{
		case T_Path:
		case T_IndexPath:
		case T_BitmapHeapPath:
		case T_TidPath:
		case T_TidRangePath:
			if (path->pathtype == T_SeqScan || path->pathtype == T_SampleScan ||
				!IsA(path, Path))
				add_leaf(state, root, path, weight, norder);
			return;
		case T_NestPath:
		case T_MergePath:
		case T_HashPath:
			walk_join(state, root, (JoinPath *) path, weight, norder);
			return;
		case T_AppendPath:
			walk_append(state, root, (AppendPath *) path, weight);
			return;
		case T_MergeAppendPath:
			walk_merge_append(state, root, (MergeAppendPath *) path, weight);
			return;
		case T_SubqueryScanPath:
			walk_subquery(state, (SubqueryScanPath *) path, weight, norder);
			return;
		case T_LimitPath:
			walk_limit(state, root, (LimitPath *) path, weight, norder);
			return;
		case T_IncrementalSortPath:
			walk_incremental_sort(state, root, (IncrementalSortPath *) path, weight);
			return;
		case T_SortPath:
			walk(state, root, ((SortPath *) path)->subpath, all_startup(weight), 0);
			return;
		case T_AggPath:
			walk_aggregate(state, root, (AggPath *) path, weight);
			return;
		case T_MinMaxAggPath:
			walk_min_max(state, (MinMaxAggPath *) path, weight);
			return;
		case T_GroupingSetsPath:
			sub = ((GroupingSetsPath *) path)->subpath;
			walk(state, root, sub, ((GroupingSetsPath *) path)->aggstrategy == AGG_HASHED ?
				 all_startup(weight) : weight, list_length(sub->pathkeys));
			return;
		case T_UniquePath:
			sub = ((UniquePath *) path)->subpath;
			walk(state, root, sub, ((UniquePath *) path)->umethod == UNIQUE_PATH_NOOP ?
				 weight : all_startup(weight), 0);
			return;
		case T_SetOpPath:
			walk_setop(state, root, path, weight);
			return;
		case T_RecursiveUnionPath:
			walk(state, root, ((RecursiveUnionPath *) path)->leftpath, weight, 0);
			weight.startup = weight.run = weight.run * 10;	/* cost_recursive_union */
			walk(state, root, ((RecursiveUnionPath *) path)->rightpath, weight, 0);
			return;
		case T_WindowAggPath:
			sub = ((WindowAggPath *) path)->subpath;
			if (sub->total_cost > sub->startup_cost)
			{
				double		early = Min(Max((path->startup_cost - sub->startup_cost) /
											(sub->total_cost - sub->startup_cost), 0), 1);

				weight.run = weight.startup * early + weight.run * (1 - early);
			}
			walk(state, root, sub, weight, list_length(sub->pathkeys));
			return;
		case T_GroupPath:
			sub = ((GroupPath *) path)->subpath;
			walk(state, root, sub, weight, list_length(sub->pathkeys));
			return;
		case T_UpperUniquePath:
			sub = ((UpperUniquePath *) path)->subpath;
			walk(state, root, sub, weight, list_length(sub->pathkeys));
			return;
		case T_MaterialPath:
			walk(state, root, ((MaterialPath *) path)->subpath, weight, norder);
			return;
		case T_MemoizePath:
			walk(state, root, ((MemoizePath *) path)->subpath, weight, norder);
			return;
		case T_ProjectionPath:
			walk(state, root, ((ProjectionPath *) path)->subpath, weight, norder);
			return;
		case T_ProjectSetPath:
			walk(state, root, ((ProjectSetPath *) path)->subpath, weight, norder);
			return;
		case T_GatherPath:
			walk(state, root, ((GatherPath *) path)->subpath, weight, 0);
			return;
		case T_GatherMergePath:
			sub = ((GatherMergePath *) path)->subpath;
			walk(state, root, sub, weight, list_length(sub->pathkeys));
			return;
		case T_LockRowsPath:
			walk(state, root, ((LockRowsPath *) path)->subpath, weight, norder);
			return;
		case T_ModifyTablePath:
			walk(state, root, ((ModifyTablePath *) path)->subpath, weight, norder);
			return;
		case T_GroupResultPath:
		case T_ForeignPath:		/* no index of ours is there */
			return;
		default:
			/* another extension's: nothing is known of it */
			state->learned->whole = false;
			return;
	}
}

/* The path that a subplan was made of. */
static Path *
path_of_subplan(PlannerInfo *subroot, Plan *plan)
{
	RelOptInfo *final_rel = fetch_upper_rel(subroot, UPPERREL_FINAL, NULL);
	ListCell   *lc;

	foreach(lc, final_rel->pathlist)
		if (((Path *) lfirst(lc))->total_cost == plan->total_cost)
			return lfirst(lc);
	return NULL;
}

/*
 * Subplans that run once before the query (and WITH queries) are charged to the
 * startup of the level they belong to, as cost_subplan() counts them.
 */
static void
walk_init_plans(HoneLearning *state, PlannerInfo *root, Weight weight)
{
	ListCell   *lc;

	foreach(lc, root->init_plans)
	{
		SubPlan    *subplan = lfirst_node(SubPlan, lc);
		Plan	   *plan = list_nth(root->glob->subplans, subplan->plan_id - 1);
		PlannerInfo *subroot = list_nth(root->glob->subroots, subplan->plan_id - 1);
		Path	   *path = path_of_subplan(subroot, plan);
		Weight		w = all_startup(weight);

		if (path == NULL)
			continue;
		state->subplans = lappend_int(state->subplans, subplan->plan_id);
		if (subplan->subLinkType == EXISTS_SUBLINK)
		{
			w.fraction = 1 / Max(plan->plan_rows, 1);
			w.run *= w.fraction;
		}
		walk_root(state, subroot, path, w, 0);
	}
}

static void
walk_root(HoneLearning *state, PlannerInfo *root, Path *path, Weight weight, int norder)
{
	walk_init_plans(state, root, weight);
	/* what stands above it in the same level, a LIMIT for one, relies on its order */
	norder = Max(norder, list_length(root->query_pathkeys));
	walk(state, root, path, weight, Max(norder, list_length(root->sort_pathkeys)));
}

/*
 * Other subplans run once per row, or fill a hash table: their cost hides in the
 * costs of conditions. What they use is fixed.
 */
static void
keep_subplans(HoneLearning *state, PlannerInfo *root)
{
	int			id = 0;
	ListCell   *lc;
	ListCell   *lr;

	forboth(lc, root->glob->subplans, lr, root->glob->subroots)
	{
		PlannerInfo *subroot = lfirst(lr);
		Path	   *path;

		if (list_member_int(state->subplans, ++id))
			continue;
		state->learned->whole = false;
		path = path_of_subplan(subroot, lfirst(lc));
		if (path == NULL)
			continue;
		keep_all_fixed(state, subroot, path);
	}
}

/* Called when the outermost level has its paths: the cheapest will be the plan. */
void
hone_learn_skeleton(HoneLearning *state, PlannerInfo *root, RelOptInfo *final_rel)
{
	Weight		weight = {1, 1, 1};
	Path	   *best = NULL;
	ListCell   *lc;

	foreach(lc, final_rel->pathlist)
		if (best == NULL || ((Path *) lfirst(lc))->total_cost < best->total_cost)
			best = lfirst(lc);
	if (best == NULL)
		return;
	walk_root(state, root, best, weight, list_length(root->query_pathkeys));
	keep_subplans(state, root);
	state->finished = true;
}
