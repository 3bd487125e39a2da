/*
 * learn.c
 *	  Learning from one planner call what every candidate would do in it.
 *
 * Two hooks act while hone_whatif_learn's own planner call is under way (the
 * outermost one, as in whatif.c: what a folded function plans is not looked
 * at), and do nothing otherwise:
 *
 * set_rel_pathlist_hook: for each table, each index alone is given to the
 * planner's create_index_paths() with an empty list of paths, and what comes out
 * is written down: which relations drive it, in which order rows come, startup
 * and total cost. The table's lists are put back as they were, so the plan is
 * the one without us. A microsecond or two per index.
 *
 * create_upper_paths_hook at the end of the outermost query: the chosen path is
 * still a tree of Paths, which skeleton.c takes apart into leaves and how much
 * each of them weighs.
 *
 * State is static and backend-local. On error it is cleared in PG_FINALLY; a
 * hook that is called without state does nothing. Nothing is locked, written or
 * allocated beyond the caller's context; nothing differs on a standby; parallel
 * workers do not plan.
 */
#include "postgres.h"

#include "catalog/pg_class.h"
#include "common/hashfn.h"
#include "miscadmin.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/geqo.h"
#include "optimizer/optimizer.h"
#include "optimizer/pathnode.h"
#include "optimizer/paths.h"
#include "optimizer/planner.h"
#include "parser/parsetree.h"
#include "utils/lsyscache.h"

#include "base/compat.h"
#include "whatif/details.h"
#include "whatif/learning.h"

static set_rel_pathlist_hook_type prev_set_rel_pathlist = NULL;
static create_upper_paths_hook_type prev_create_upper_paths = NULL;

static HoneLearning *learning = NULL;

/* What tells one level of a query from the others, whatever its plan. */
static uint64
query_hash(PlannerInfo *root)
{
	Query	   *parse = root->parse;
	uint64		hash = hash_combine64(root->query_level, parse->commandType);
	ListCell   *lc;

	hash = hash_combine64(hash, list_length(parse->targetList) * 4 +
						  (parse->limitCount != NULL) * 2 + parse->hasAggs);
	foreach(lc, parse->rtable)
	{
		RangeTblEntry *rte = lfirst_node(RangeTblEntry, lc);

		hash = hash_combine64(hash, ((uint64) rte->rtekind << 32) | rte->relid);
	}
	return hash;
}

/* The same query level has the same key in every call: its form, and which of that form. */
static uint64
root_key(PlannerInfo *root)
{
	ListCell   *lc;
	HoneKnownRoot *known;
	int			same = 0;

	foreach(lc, learning->roots)
	{
		known = lfirst(lc);
		if (known->root == root)
			return known->key;
	}
	known = palloc(sizeof(HoneKnownRoot));
	known->root = root;
	known->hash = query_hash(root);
	foreach(lc, learning->roots)
		same += ((HoneKnownRoot *) lfirst(lc))->hash == known->hash;
	known->key = hash_combine64(known->hash, same);
	learning->roots = lappend(learning->roots, known);
	return known->key;
}

int
hone_learn_rel(HoneLearning *state, PlannerInfo *root, RelOptInfo *rel)
{
	HoneLearned *learned = state->learned;
	uint64		key = hash_combine64(root_key(root), rel->relid);

	for (int i = 0; i < learned->nrels; i++)
		if (learned->rels[i] == key)
			return i;
	if (learned->nrels % 16 == 0)
	{
		Size		room = learned->nrels + 16;

		learned->rels = learned->rels ? repalloc(learned->rels, room * sizeof(uint64)) :
			palloc(room * sizeof(uint64));
		learned->relids = learned->relids ? repalloc(learned->relids, room * sizeof(Oid)) :
			palloc(room * sizeof(Oid));
	}
	learned->rels[learned->nrels] = key;
	learned->relids[learned->nrels] = planner_rt_fetch(rel->relid, root)->relid;
	return learned->nrels++;
}

/* A column of an order, as this relation has it; 0 if it has none. */
static uint32
order_hash(RelOptInfo *rel, PathKey *pathkey)
{
	ListCell   *lc;

	foreach(lc, hone_ec_members(pathkey->pk_eclass, rel->relid))
	{
		EquivalenceMember *em = lfirst(lc);
		Node	   *expr = (Node *) em->em_expr;
		uint32		hash;

		if (em->em_is_const || !bms_equal(em->em_relids, rel->relids))
			continue;
		while (expr && IsA(expr, RelabelType))
			expr = (Node *) ((RelabelType *) expr)->arg;
		if (IsA(expr, Var))
			hash = ((Var *) expr)->varattno + 1000;
		else
		{
			char	   *text = nodeToString(expr);

			hash = DatumGetUInt32(hash_any((unsigned char *) text, strlen(text)));
			pfree(text);
		}
		hash = hash_combine(hash, pathkey->pk_opfamily);
		return hash_combine(hash, hone_pathkey_descending(pathkey) * 2 +
							pathkey->pk_nulls_first) | 1;
	}
	return 0;
}

/* The first n columns of the order in which the path gives rows. */
void
hone_learn_requirement(HoneRequirement *to, Path *path, int norder)
{
	ListCell   *lc;

	to->outer = bms_copy(PATH_REQ_OUTER(path));
	to->workers = path->parallel_aware ? path->parallel_workers : 0;
	to->norder = 0;
	to->order = norder > 0 ? palloc(norder * sizeof(uint32)) : NULL;
	foreach(lc, path->pathkeys)
	{
		uint32		hash;

		if (to->norder == norder)
			break;
		hash = order_hash(path->parent, lfirst(lc));
		if (hash == 0)
			break;
		to->order[to->norder++] = hash;
	}
}

bool
hone_requirement_met(const HoneRequirement *needs, const HoneRequirement *delivers)
{
	return needs->workers == delivers->workers &&
		needs->norder <= delivers->norder &&
		(needs->norder == 0 ||
		 memcmp(needs->order, delivers->order, needs->norder * sizeof(uint32)) == 0) &&
		bms_equal(needs->outer, delivers->outer);
}

static void
add_index(HoneLearning *state, IndexOptInfo *info, List **imagined, List **real)
{
	ListCell   *lc;

	if (!info->hypothetical)
	{
		*real = list_append_unique_oid(*real, info->indexoid);
		return;
	}
	foreach(lc, state->indexes)
		if (((HoneIndex *) lfirst(lc))->fakeoid == info->indexoid)
			*imagined = list_append_unique_ptr(*imagined, lfirst(lc));
}

/* The indexes a scan of one table uses. */
void
hone_learn_indexes(HoneLearning *state, Path *path, List **imagined, List **real)
{
	ListCell   *lc;
	List	   *parts = NIL;

	switch (nodeTag(path))
	{
		case T_IndexPath:
			add_index(state, ((IndexPath *) path)->indexinfo, imagined, real);
			break;
		case T_BitmapHeapPath:
			hone_learn_indexes(state, ((BitmapHeapPath *) path)->bitmapqual, imagined, real);
			break;
		case T_BitmapAndPath:
			parts = ((BitmapAndPath *) path)->bitmapquals;
			break;
		case T_BitmapOrPath:
			parts = ((BitmapOrPath *) path)->bitmapquals;
			break;
		default:
			break;
	}
	foreach(lc, parts)
		hone_learn_indexes(state, lfirst(lc), imagined, real);
}

HoneAccess *
hone_learn_access(HoneLearning *state, int rel, Path *path)
{
	HoneAccess *access = palloc0(sizeof(HoneAccess));

	access->rel = rel;
	hone_learn_indexes(state, path, &access->imagined, &access->real);
	hone_learn_requirement(&access->delivers, path, list_length(path->pathkeys));
	access->startup = path->startup_cost;
	access->total = path->total_cost;
	return access;
}

/* All paths the table has now are written down. */
static void
take_paths(HoneLearning *state, int rel, List *paths)
{
	MemoryContext old = MemoryContextSwitchTo(state->memory);
	ListCell   *lc;

	foreach(lc, paths)
		state->learned->accesses = lappend(state->learned->accesses,
										   hone_learn_access(state, rel, lfirst(lc)));
	MemoryContextSwitchTo(old);
}

/* Each of the indexes alone. */
static void
try_indexes(HoneLearning *state, PlannerInfo *root, RelOptInfo *rel, int number, List *indexes)
{
	ListCell   *lc;

	foreach(lc, indexes)
	{
		rel->pathlist = NIL;
		rel->partial_pathlist = NIL;
		rel->indexlist = list_make1(lfirst(lc));
		create_index_paths(root, rel);
		take_paths(state, number, rel->pathlist);
		take_paths(state, number, rel->partial_pathlist);
	}
}

/*
 * Reading the whole table: alone, shared by workers, and, where an Append may
 * drive all its children by the same relations, driven by those.
 */
static void
try_scans(HoneLearning *state, PlannerInfo *root, RelOptInfo *rel, int number)
{
	List	   *paths = list_make1(create_seqscan_path(root, rel, rel->lateral_relids, 0));
	List	   *driven = NIL;
	ListCell   *lc;
	ListCell   *ld;

	if (rel->consider_parallel && rel->lateral_relids == NULL)
	{
		int			workers = compute_parallel_worker(rel, rel->pages, -1,
													  max_parallel_workers_per_gather);

		if (workers > 0)
			paths = lappend(paths, create_seqscan_path(root, rel, NULL, workers));
	}
	if (rel->reloptkind == RELOPT_OTHER_MEMBER_REL)
		foreach(lc, state->learned->accesses)
	{
		HoneAccess *access = lfirst(lc);
		bool		found = bms_is_empty(access->delivers.outer);

		if (access->rel != number)
			continue;
		foreach(ld, driven)
			found |= bms_equal(lfirst(ld), access->delivers.outer);
		if (found)
			continue;
		driven = lappend(driven, access->delivers.outer);
		paths = lappend(paths, create_seqscan_path(root, rel, access->delivers.outer, 0));
	}
	take_paths(state, number, paths);
}

static void
learn_table(HoneLearning *state, PlannerInfo *root, RelOptInfo *rel, RangeTblEntry *rte)
{
	List	   *pathlist = rel->pathlist;
	List	   *partial_pathlist = rel->partial_pathlist;
	List	   *indexlist = rel->indexlist;
	List	   *others = hone_whatif_imagine(rte->relid, rel, state->others);
	MemoryContext old = MemoryContextSwitchTo(state->memory);
	int			number = hone_learn_rel(state, root, rel);

	MemoryContextSwitchTo(old);
	if (others != NIL)
	{
		rel->indexlist = others;
		check_index_predicates(root, rel);
	}
	try_indexes(state, root, rel, number, indexlist);
	try_indexes(state, root, rel, number, others);
	try_scans(state, root, rel, number);

	rel->pathlist = pathlist;
	rel->partial_pathlist = partial_pathlist;
	rel->indexlist = indexlist;
}

static void
learn_pathlist(PlannerInfo *root, RelOptInfo *rel, Index rti, RangeTblEntry *rte)
{
	if (prev_set_rel_pathlist)
		prev_set_rel_pathlist(root, rel, rti, rte);
	if (learning == NULL || !hone_whatif_is_planning(learning->configuration) ||
		rte->rtekind != RTE_RELATION || rte->tablesample != NULL || rte->inh ||
		(rte->relkind != RELKIND_RELATION && rte->relkind != RELKIND_MATVIEW) ||
		IS_DUMMY_REL(rel))
		return;
	learn_table(learning, root, rel, rte);
}

static void
learn_upper_paths(PlannerInfo *root, UpperRelationKind stage, RelOptInfo *input_rel,
				  RelOptInfo *output_rel, void *extra)
{
	if (prev_create_upper_paths)
		prev_create_upper_paths(root, stage, input_rel, output_rel, extra);
	if (learning == NULL || stage != UPPERREL_FINAL || root->parent_root != NULL ||
		!hone_whatif_is_planning(learning->configuration))
		return;
	hone_learn_skeleton(learning, root, output_rel);
}

/* Installed when the first advice is asked for in this process. */
static void
install_hooks(void)
{
	static bool installed = false;

	if (installed)
		return;
	installed = true;
	prev_set_rel_pathlist = set_rel_pathlist_hook;
	set_rel_pathlist_hook = learn_pathlist;
	prev_create_upper_paths = create_upper_paths_hook;
	create_upper_paths_hook = learn_upper_paths;
}

/* Is the index part of what was taken apart, or known to be fixed? */
static bool
is_accounted_for(const HoneLearned *learned, const HoneIndex *index)
{
	ListCell   *lc;

	if (list_member_ptr(learned->fixed_imagined, index))
		return true;
	foreach(lc, learned->leaves)
		if (list_member_ptr(((HonePlanPart *) lfirst(lc))->access->imagined, index))
			return true;
	return false;
}

/*
 * What the plan costs beyond its leaves: known when it is finished. An index it
 * uses that was not met on the way (in another extension's node; or a plan of
 * the same cost was taken) is fixed.
 */
static void
finish(HoneLearning *state, PlannedStmt *plan, const HoneConfiguration *configuration)
{
	HoneLearned *learned = state->learned;
	ListCell   *lc;

	foreach(lc, hone_whatif_used(plan, configuration))
		if (!is_accounted_for(learned, lfirst(lc)))
		{
			learned->fixed_imagined = lappend(learned->fixed_imagined, lfirst(lc));
			learned->whole = false;
		}
	learned->total = hone_whatif_cost(plan);
	learned->rest = learned->total;
	foreach(lc, learned->leaves)
	{
		HonePlanPart *leaf = lfirst(lc);

		learned->rest -= leaf->per_startup * leaf->access->startup +
			leaf->per_run * (leaf->access->total - leaf->access->startup);
	}
}

PlannedStmt *
hone_whatif_learn(Query *query, const char *statement, ParamListInfo params,
				  const HoneConfiguration *configuration, List *others,
				  HoneLearned **learned)
{
	HoneLearning state = {0};
	HoneLearning *outer = learning;
	PlannedStmt *volatile plan = NULL;

	install_hooks();
	state.memory = CurrentMemoryContext;
	state.learned = palloc0(sizeof(HoneLearned));
	state.learned->whole = true;
	state.configuration = configuration;
	state.others = others;
	state.indexes = list_concat_copy(configuration->create, others);
	PG_TRY();
	{
		learning = &state;
		plan = hone_whatif_plan(query, statement, params, configuration);
	}
	PG_FINALLY();
	{
		learning = outer;
	}
	PG_END_TRY();

	*learned = NULL;
	if (state.finished)
	{
		finish(&state, plan, configuration);
		*learned = state.learned;
	}
	return plan;
}
