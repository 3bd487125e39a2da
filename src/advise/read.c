/*
 * read.c
 *	  What a statement does with each of its tables, as the planner sees it.
 *
 * Reads no text and walks no tree of its own making: while a statement is
 * planned (without any candidate), a hook looks at each base relation after
 * the planner has flattened views and subqueries, pulled up sublinks, pushed
 * restrictions into UNION arms, folded constants and derived equalities
 * (a = b and b = 1 make a = 1). What is left at each relation is exactly what
 * an index could serve: restrictions, join clauses, equivalence classes and
 * wanted orders. min() and max() are planned as subqueries with an order and a
 * limit, and are seen so. What a clause means is said in clause.c.
 *
 * The hook is inert unless hone_advise_read_begin was called in this backend.
 * A function folded while planning may be planned meanwhile, and its tables
 * are then read too: harmless, because a candidate nobody's plan uses is
 * dropped. Nodes are copied to the run's memory with varno 1; names come later
 * (hone_advise_name_uses), outside the planner and under a safe search_path.
 */
#include "postgres.h"

#include "access/sysattr.h"
#include "access/transam.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/cost.h"
#include "optimizer/optimizer.h"
#include "optimizer/paths.h"
#include "optimizer/tlist.h"
#include "parser/parsetree.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

#include "advise/read.h"
#include "base/compat.h"

#define MAX_RELATIONS 200		/* of one statement */
#define MAX_ORDERS 6			/* of one relation */

static set_rel_pathlist_hook_type prev_set_rel_pathlist = NULL;
MemoryContext hone_advise_reading = NULL;
static List *found = NIL;

static void
read_restrictions(PlannerInfo *root, RelOptInfo *rel, RangeTblEntry *rte,
				  HoneRelUse *use)
{
	ListCell   *lc;

	foreach(lc, rel->baserestrictinfo)
	{
		RestrictInfo *rinfo = lfirst_node(RestrictInfo, lc);
		double		selectivity;

		if (rinfo->pseudoconstant)
			continue;
		selectivity = clause_selectivity(root, (Node *) rinfo, 0, JOIN_INNER, NULL);
		hone_advise_read_clause(root, rel, use, (Node *) rinfo->clause, selectivity,
								false, NULL);
		if (!(IsA(rinfo->clause, NullTest) &&
			  ((NullTest *) rinfo->clause)->nulltesttype == IS_NOT_NULL))
			use->nfilters++;
		/* a definition is public: no constants of rows that a policy hides */
		if (rinfo->security_level == 0 && rte->securityQuals == NIL)
			hone_advise_read_predicate(root, rel, use, rinfo, selectivity);
	}
}

/* The relation's expressions in an equivalence, each of which joins. */
static void
read_equivalence(RelOptInfo *rel, HoneRelUse *use, EquivalenceClass *ec)
{
	List	   *members = hone_ec_members(ec, rel->relid);
	Relids		others = NULL;
	ListCell   *lm;

	foreach(lm, members)
	{
		EquivalenceMember *em = lfirst(lm);

		if (!em->em_is_const && !em->em_is_child &&
			!bms_overlap(em->em_relids, rel->relids))
			others = bms_add_members(others, em->em_relids);
	}
	/* A child's class also holds its parent: that is no partner. */
	if (rel->top_parent_relids)
		others = bms_del_members(others, rel->top_parent_relids);
	if (bms_is_empty(others))
		return;
	foreach(lm, members)
	{
		EquivalenceMember *em = lfirst(lm);
		Node	   *expr;
		HoneUse    *made;
		MemoryContext old;

		if (!bms_equal(em->em_relids, rel->relids))
			continue;
		expr = hone_advise_indexable(rel, (Node *) em->em_expr);
		if (expr == NULL ||
			!list_member_oid(ec->ec_opfamilies, hone_advise_default_family(expr)))
			continue;
		made = hone_advise_make_use(rel, HONE_USE_JOIN, expr, InvalidOid,
									hone_advise_default_family(expr), ec->ec_collation, 1.0);
		if (made == NULL)
			continue;
		old = MemoryContextSwitchTo(hone_advise_reading);
		made->partners = bms_copy(others);
		MemoryContextSwitchTo(old);
		hone_advise_add_use(use, made);
	}
}

/* Join clauses: those the planner keeps as clauses, and equivalences. */
static void
read_joins(PlannerInfo *root, RelOptInfo *rel, HoneRelUse *use)
{
	ListCell   *lc;

	foreach(lc, rel->joininfo)
	{
		RestrictInfo *rinfo = lfirst_node(RestrictInfo, lc);

		hone_advise_read_clause(root, rel, use, (Node *) rinfo->clause, 1.0, false,
								bms_difference(rinfo->clause_relids, rel->relids));
	}
	foreach(lc, root->eq_classes)
	{
		EquivalenceClass *ec = lfirst(lc);

		if (!ec->ec_has_const && !ec->ec_has_volatile)
			read_equivalence(rel, use, ec);
	}
}

/* What the relation has of one column of a wanted order. */
static HoneUse *
read_pathkey(RelOptInfo *rel, HoneRelUse *use, PathKey *pk, bool first)
{
	ListCell   *lm;

	foreach(lm, hone_ec_members(pk->pk_eclass, rel->relid))
	{
		EquivalenceMember *em = lfirst(lm);
		HoneUse    *made;
		Node	   *expr;

		if (!bms_equal(em->em_relids, rel->relids))
			continue;
		made = hone_advise_read_distance(rel, (Node *) em->em_expr);
		if (made)
		{
			if (first && !hone_pathkey_descending(pk) && !pk->pk_nulls_first)
				hone_advise_add_use(use, made);
			return NULL;
		}
		expr = hone_advise_indexable(rel, (Node *) em->em_expr);
		if (expr == NULL || hone_advise_default_family(expr) != pk->pk_opfamily)
			continue;
		made = hone_advise_make_use(rel, HONE_USE_RANGE, expr, InvalidOid, pk->pk_opfamily,
									pk->pk_eclass->ec_collation, 1.0);
		if (made)
		{
			made->key.desc = hone_pathkey_descending(pk);
			made->key.nulls_first = pk->pk_nulls_first;
		}
		return made;
	}
	return NULL;
}

/* As much of a wanted order as this relation can deliver. */
static void
read_order(RelOptInfo *rel, HoneRelUse *use, List *pathkeys, bool required)
{
	HoneOrder  *order;
	ListCell   *lc;

	if (pathkeys == NIL)
		return;
	order = MemoryContextAllocZero(hone_advise_reading, sizeof(HoneOrder));
	order->required = required;
	foreach(lc, pathkeys)
	{
		PathKey    *pk = lfirst(lc);
		HoneUse    *made;

		if (pk->pk_eclass->ec_has_volatile || list_length(order->uses) >= HONE_MAX_KEYS)
			break;
		made = read_pathkey(rel, use, pk, order->uses == NIL);
		if (made == NULL)
			break;
		order->uses = hone_advise_append(order->uses, made);
	}
	if (order->uses != NIL)
		use->orders = hone_advise_append(use->orders, order);
}

/* The planner names the order of the first window; others want theirs too. */
static void
read_windows(PlannerInfo *root, RelOptInfo *rel, HoneRelUse *use)
{
	ListCell   *lc;

	if (root->window_pathkeys != root->query_pathkeys)
		read_order(rel, use, root->window_pathkeys, false);
	if (list_length(root->parse->windowClause) < 2)
		return;
	foreach(lc, root->parse->windowClause)
	{
		WindowClause *wc = lfirst_node(WindowClause, lc);
		List	   *clauses = list_concat_copy(wc->partitionClause, wc->orderClause);

		if (grouping_is_sortable(clauses) && list_length(use->orders) < MAX_ORDERS)
			read_order(rel, use,
					   make_pathkeys_for_sortclauses(root, clauses, root->processed_tlist),
					   false);
	}
}

static bool
others_are_filtered(PlannerInfo *root, RelOptInfo *rel)
{
	for (int i = 1; i < root->simple_rel_array_size; i++)
	{
		RelOptInfo *other = root->simple_rel_array[i];

		if (other && other != rel && other->reloptkind == RELOPT_BASEREL &&
			!bms_is_member(i, rel->top_parent_relids) &&
			other->baserestrictinfo != NIL)
			return true;
	}
	return false;
}

/* Tables that are worth an index and could get one. */
static bool
is_interesting(PlannerInfo *root, RelOptInfo *rel, RangeTblEntry *rte)
{
	if (rte->rtekind != RTE_RELATION || IS_DUMMY_REL(rel) ||
		rte->relid < FirstNormalObjectId ||
		(rte->relkind != RELKIND_RELATION && rte->relkind != RELKIND_MATVIEW &&
		 rte->relkind != RELKIND_PARTITIONED_TABLE))
		return false;
	if (rte->relkind != RELKIND_PARTITIONED_TABLE && rte->inh)
		return false;			/* it comes again as its own child */
	if (rel->reloptkind == RELOPT_OTHER_MEMBER_REL)
	{
		AppendRelInfo *appinfo = root->append_rel_array[rel->relid];

		if (appinfo && planner_rt_fetch(appinfo->parent_relid, root)->relkind ==
			RELKIND_PARTITIONED_TABLE &&
			planner_rt_fetch(appinfo->parent_relid, root)->rtekind == RTE_RELATION)
			return false;		/* the index belongs to the parent */
	}
	if (get_rel_persistence(rte->relid) == RELPERSISTENCE_TEMP)
		return false;
	return get_rel_namespace(rte->relid) != get_namespace_oid("hone", true);
}

/* Rows of the partitions that are looked at, which the planner has counted. */
static double
partition_tuples(PlannerInfo *root, RelOptInfo *parent)
{
	double		tuples = 0;
	ListCell   *lc;

	foreach(lc, root->append_rel_list)
	{
		AppendRelInfo *appinfo = lfirst_node(AppendRelInfo, lc);
		RelOptInfo *child;

		if (appinfo->parent_relid != parent->relid)
			continue;
		child = root->simple_rel_array[appinfo->child_relid];
		if (child == NULL || IS_DUMMY_REL(child))
			continue;
		tuples += planner_rt_fetch(appinfo->child_relid, root)->inh ?
			partition_tuples(root, child) : child->tuples;
	}
	return tuples;
}

/*
 * Of a partitioned table the planner keeps as tuples, when the hook comes, the
 * rows that pass the restrictions. Where the values of a column are known to be
 * many in proportion to the rows, or not known at all (nobody but ANALYZE by
 * hand looks at a partitioned table), selectivities would come out near 1.
 */
static double
all_tuples(PlannerInfo *root, RelOptInfo *rel, RangeTblEntry *rte)
{
	return rte->relkind == RELKIND_PARTITIONED_TABLE ?
		Max(rel->tuples, partition_tuples(root, rel)) : rel->tuples;
}

static void
read_relation(PlannerInfo *root, RelOptInfo *rel, Index rti, RangeTblEntry *rte)
{
	HoneRelUse *use;
	MemoryContext old;
	ListCell   *lc;
	double		tuples = rel->tuples;

	if (prev_set_rel_pathlist)
		prev_set_rel_pathlist(root, rel, rti, rte);
	if (hone_advise_reading == NULL || list_length(found) >= MAX_RELATIONS ||
		!is_interesting(root, rel, rte))
		return;

	use = MemoryContextAllocZero(hone_advise_reading, sizeof(HoneRelUse));
	use->relid = rte->relid;
	use->pages = rel->pages;
	rel->tuples = all_tuples(root, rel, rte);
	use->tuples = rel->tuples;
	use->allvisfrac = rel->allvisfrac;
	use->limited = root->parse->limitCount != NULL;
	use->filtered_elsewhere = others_are_filtered(root, rel);
	read_restrictions(root, rel, rte, use);
	rel->tuples = tuples;
	read_joins(root, rel, use);
	/* With GROUP BY they are its own, which may or may not be the final order. */
	read_order(rel, use, root->query_pathkeys,
			   root->parse->sortClause != NIL && root->sort_pathkeys != NIL &&
			   pathkeys_contained_in(root->sort_pathkeys, root->query_pathkeys));
	if (root->sort_pathkeys != root->query_pathkeys)
		read_order(rel, use, root->sort_pathkeys, true);
	if (root->group_pathkeys != root->query_pathkeys)
		read_order(rel, use, root->group_pathkeys, false);
	if (root->distinct_pathkeys != root->query_pathkeys)
		read_order(rel, use, root->distinct_pathkeys, false);
	read_windows(root, rel, use);

	old = MemoryContextSwitchTo(hone_advise_reading);
	pull_varattnos((Node *) rel->reltarget->exprs, rel->relid, &use->selected);
	use->read = bms_copy(use->selected);
	foreach(lc, rel->baserestrictinfo)
		pull_varattnos((Node *) lfirst_node(RestrictInfo, lc)->clause, rel->relid, &use->read);
	found = lappend(found, use);
	MemoryContextSwitchTo(old);
}

/* Installed when the first advice is asked for in this process. */
static void
install_hook(void)
{
	static bool installed = false;

	if (installed)
		return;
	installed = true;
	prev_set_rel_pathlist = set_rel_pathlist_hook;
	set_rel_pathlist_hook = read_relation;
}

/*
 * A function that is folded may ask for advice itself. What is read for the
 * outer statement is put aside while the inner one is at work, on error too.
 */
HoneReadState
hone_advise_read_suspend(void)
{
	HoneReadState state = {hone_advise_reading, found};

	(void) hone_advise_read_end();
	return state;
}

void
hone_advise_read_resume(HoneReadState state)
{
	hone_advise_reading = state.memory;
	found = state.found;
}

/* From here on, planning is read. Must be ended on error too. */
void
hone_advise_read_begin(MemoryContext memory)
{
	install_hook();
	hone_advise_reading = memory;
	found = NIL;
}

/* List of HoneRelUse. */
List *
hone_advise_read_end(void)
{
	List	   *result = found;

	hone_advise_reading = NULL;
	found = NIL;
	return result;
}

/* A word for the key in the name of an index. */
static const char *
key_label(Oid relid, HoneUse *use)
{
	int			first = bms_next_member(use->key.columns, -1);

	if (IsA(use->expr, FuncExpr))
	{
		char	   *name = get_func_name(((FuncExpr *) use->expr)->funcid);

		if (name)
			return name;
	}
	return first > 0 ? get_attname(relid, first, false) : "expr";
}

static void
name_use(Oid relid, HoneUse *use)
{
	use->key.sql = hone_health_expression_sql(relid, use->expr, true);
	use->key.label = key_label(relid, use);
}

/*
 * Give uses and predicates their text. Under search_path pg_catalog, pg_temp,
 * so that everything else comes out qualified.
 */
void
hone_advise_name_uses(List *rels)
{
	ListCell   *lr;
	ListCell   *lc;
	ListCell   *lo;

	foreach(lr, rels)
	{
		HoneRelUse *rel = lfirst(lr);

		foreach(lc, rel->uses)
			name_use(rel->relid, lfirst(lc));
		foreach(lo, rel->orders)
			foreach(lc, ((HoneOrder *) lfirst(lo))->uses)
				name_use(rel->relid, lfirst(lc));
		/* those of groups are among the uses */
		foreach(lc, rel->predicates)
		{
			HonePredicate *predicate = lfirst(lc);

			predicate->sql = hone_health_expression_sql(rel->relid, predicate->clause, false);
		}
	}
}
