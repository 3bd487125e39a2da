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
 * wanted orders.
 *
 * The hook is inert unless hone_advise_read_begin was called in this backend.
 * A function folded while planning may be planned meanwhile, and its tables
 * are then read too: harmless, because a candidate nobody's plan uses is
 * dropped. Nodes are copied to the run's memory with varno 1; names come later
 * (hone_advise_name_uses), outside the planner and under a safe search_path.
 */
#include "postgres.h"

#include "access/stratnum.h"
#include "access/sysattr.h"
#include "access/transam.h"
#include "catalog/namespace.h"
#include "catalog/pg_am.h"
#include "catalog/pg_class.h"
#include "catalog/pg_collation.h"
#include "catalog/pg_operator.h"
#include "catalog/pg_type.h"
#include "commands/defrem.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/clauses.h"
#include "optimizer/cost.h"
#include "optimizer/optimizer.h"
#include "optimizer/paths.h"
#include "parser/parsetree.h"
#include "rewrite/rewriteManip.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/ruleutils.h"
#include "utils/selfuncs.h"
#include "utils/syscache.h"

#include "advise/internal.h"
#include "base/compat.h"

#define MAX_IN_PREDICATE 8		/* values of an IN a partial index may have */
#define MAX_DISTINCT 20			/* of a column a partial index is about */
#define MAX_RELATIONS 200		/* of one statement */

static set_rel_pathlist_hook_type prev_set_rel_pathlist = NULL;
static MemoryContext reading = NULL;
static List *found = NIL;

static void read_clause(PlannerInfo *root, RelOptInfo *rel, HoneRelUse *use,
						Node *clause, double selectivity, bool arm);

/* An expression of this relation alone that an index could be keyed by. */
static Node *
indexable(RelOptInfo *rel, Node *expr)
{
	Relids		relids;

	while (expr && IsA(expr, RelabelType))
		expr = (Node *) ((RelabelType *) expr)->arg;
	if (expr == NULL)
		return NULL;
	if (IsA(expr, Var))
	{
		Var		   *var = (Var *) expr;

		if (var->varno != (int) rel->relid || var->varlevelsup != 0 ||
			var->varattno <= 0)
			return NULL;
		return expr;
	}
	if (IsA(expr, Const) || IsA(expr, Param) || IsA(expr, PlaceHolderVar))
		return NULL;
	relids = pull_varnos(NULL, expr);
	if (!bms_equal(relids, rel->relids))
		return NULL;
	if (contain_mutable_functions(expr) || contain_subplans(expr) ||
		contain_aggs_of_level(expr, 0) || contain_windowfuncs(expr))
		return NULL;
	return expr;
}

static bool
unsuitable_walker(Node *node, void *context)
{
	if (node == NULL)
		return false;
	if (IsA(node, Param) || IsA(node, PlaceHolderVar) || IsA(node, SubPlan) ||
		IsA(node, AlternativeSubPlan) || IsA(node, SubLink))
		return true;
	if (IsA(node, Var) && ((Var *) node)->varattno <= 0)
		return true;
	return expression_tree_walker(node, unsuitable_walker, context);
}

static Node *
copy_for_index(RelOptInfo *rel, Node *expr)
{
	MemoryContext old = MemoryContextSwitchTo(reading);
	Node	   *copy = copyObject(expr);

	if (rel->relid != 1)
		ChangeVarNodes(copy, rel->relid, 1, 0);
	MemoryContextSwitchTo(old);
	return copy;
}

/* Attribute numbers in an expression, in the run's memory. */
static Bitmapset *
columns_of(RelOptInfo *rel, Node *expr)
{
	Bitmapset  *attnos = NULL;
	Bitmapset  *columns = NULL;
	int			col = -1;
	MemoryContext old = MemoryContextSwitchTo(reading);

	pull_varattnos(expr, rel->relid, &attnos);
	while ((col = bms_next_member(attnos, col)) >= 0)
		if (col + FirstLowInvalidHeapAttributeNumber > 0)
			columns = bms_add_member(columns, col + FirstLowInvalidHeapAttributeNumber);
	MemoryContextSwitchTo(old);
	return columns;
}

static HoneUse *
make_use(RelOptInfo *rel, HoneUseKind kind, Node *expr, Oid opclass,
		 Oid opfamily, Oid collation, double selectivity)
{
	HoneUse    *use;

	if (unsuitable_walker(expr, NULL))
		return NULL;
	use = MemoryContextAllocZero(reading, sizeof(HoneUse));
	use->kind = kind;
	use->expr = copy_for_index(rel, expr);
	use->key.attno = IsA(expr, Var) ? ((Var *) expr)->varattno : 0;
	use->key.columns = columns_of(rel, expr);
	use->key.opclass = opclass;
	use->key.opfamily = opfamily;
	if (OidIsValid(collation) && collation != exprCollation(expr))
		use->key.collation = collation;
	use->selectivity = selectivity;
	return use;
}

static void
add_use(HoneRelUse *rel, HoneUse *use)
{
	MemoryContext old;

	if (use == NULL || list_length(rel->uses) >= 64)
		return;
	old = MemoryContextSwitchTo(reading);
	rel->uses = lappend(rel->uses, use);
	MemoryContextSwitchTo(old);
}

/* The default btree family of an expression's type, if there is one. */
static Oid
default_family(Node *expr)
{
	Oid			opclass = GetDefaultOpClass(exprType(expr), BTREE_AM_OID);

	return OidIsValid(opclass) ? get_opclass_family(opclass) : InvalidOid;
}

/* Does a pattern begin with characters that a btree can look for? */
static bool
has_fixed_prefix(Oid opno, Node *pattern)
{
	char	   *chars;

	if (!IsA(pattern, Const))
		return true;			/* a value not known: it may */
	if (((Const *) pattern)->constisnull)
		return false;
	if (((Const *) pattern)->consttype == BYTEAOID)
		return false;
	chars = TextDatumGetCString(((Const *) pattern)->constvalue);
	if (opno == OID_TEXT_LIKE_OP || opno == OID_BPCHAR_LIKE_OP)
		return chars[0] != '\0' && chars[0] != '%' && chars[0] != '_';
	/* a regular expression */
	return chars[0] == '^' && chars[1] != '\0' &&
		strchr("\\.[(*+?|{$^", chars[1]) == NULL;
}

/* LIKE 'x%' and ~ '^x': a range, in the operator class that compares bytes. */
static bool
read_pattern(RelOptInfo *rel, HoneRelUse *use, Oid opno, Oid collation,
			 Node *left, Node *right, double selectivity)
{
	Node	   *expr;
	Oid			opclass = InvalidOid;
	Oid			type;

	switch (opno)
	{
		case OID_TEXT_LIKE_OP:
		case OID_BPCHAR_LIKE_OP:
		case OID_TEXT_REGEXEQ_OP:
		case OID_BPCHAR_REGEXEQ_OP:
			break;
		default:
			return false;
	}
	expr = indexable(rel, left);
	if (expr == NULL || !has_fixed_prefix(opno, right))
		return false;
	type = exprType(expr);
	if (type != TEXTOID && type != VARCHAROID && type != BPCHAROID)
		return false;
	if (!hone_collation_is_c(OidIsValid(collation) ? collation : DEFAULT_COLLATION_OID))
	{
		const char *name = type == BPCHAROID ? "bpchar_pattern_ops" : "text_pattern_ops";

		opclass = get_opclass_oid(BTREE_AM_OID,
								  list_make2(makeString("pg_catalog"),
											 makeString(pstrdup(name))), false);
	}
	add_use(use, make_use(rel, HONE_USE_RANGE, expr, opclass,
						  OidIsValid(opclass) ? get_opclass_family(opclass) : default_family(expr),
						  collation, selectivity));
	return true;
}

/* expr OP value, where value knows nothing of the relation. */
static bool
read_comparison(RelOptInfo *rel, HoneRelUse *use, Oid opno, Oid collation,
				Node *left, Node *right, double selectivity, HoneUseKind *kind,
				bool arm, Relids partners)
{
	Node	   *expr = indexable(rel, left);
	Oid			family;
	int			strategy;
	HoneUse    *made;

	if (expr == NULL || contain_volatile_functions(right) ||
		bms_overlap(pull_varnos(NULL, right), rel->relids))
		return false;
	family = default_family(expr);
	strategy = OidIsValid(family) ? get_op_opfamily_strategy(opno, family) : 0;
	if (strategy == 0)
		return false;
	if (arm)
		*kind = HONE_USE_ARM;
	else if (strategy == BTEqualStrategyNumber)
		*kind = bms_is_empty(partners) ? HONE_USE_EQUAL : HONE_USE_JOIN;
	else
		*kind = HONE_USE_RANGE;
	made = make_use(rel, *kind, expr, InvalidOid, family, collation, selectivity);
	if (made && !bms_is_empty(partners))
	{
		MemoryContext old = MemoryContextSwitchTo(reading);

		made->partners = bms_copy(partners);
		MemoryContextSwitchTo(old);
	}
	add_use(use, made);
	return made != NULL;
}

/* An operator that some GIN operator class knows, and no btree does. */
static void
read_contains(RelOptInfo *rel, HoneRelUse *use, Oid opno, Node *left,
			  Node *right, double selectivity)
{
	Node	   *expr = indexable(rel, left);
	ListCell   *lc;

	if (expr == NULL || bms_overlap(pull_varnos(NULL, right), rel->relids) ||
		contain_volatile_functions(right))
		return;
	foreach(lc, hone_advise_gin_opclasses(opno, exprType(expr)))
		add_use(use, make_use(rel, HONE_USE_CONTAINS, expr, lfirst_oid(lc),
							  get_opclass_family(lfirst_oid(lc)), InvalidOid,
							  selectivity));
}

static void
read_operator(RelOptInfo *rel, HoneRelUse *use, OpExpr *op, double selectivity,
			  bool arm, Relids partners)
{
	Node	   *left = linitial(op->args);
	Node	   *right = lsecond(op->args);
	Oid			commutator = get_commutator(op->opno);
	HoneUseKind kind;

	if (read_comparison(rel, use, op->opno, op->inputcollid, left, right,
						selectivity, &kind, arm, partners))
		return;
	if (OidIsValid(commutator) &&
		read_comparison(rel, use, commutator, op->inputcollid, right, left,
						selectivity, &kind, arm, partners))
		return;
	if (!arm)
		(void) read_pattern(rel, use, op->opno, op->inputcollid, left, right,
							selectivity);
	read_contains(rel, use, op->opno, left, right, selectivity);
	if (OidIsValid(commutator))
		read_contains(rel, use, commutator, right, left, selectivity);
}

/* (a, b) > (x, y): a keyset; its columns are an order. */
static void
read_row_comparison(RelOptInfo *rel, HoneRelUse *use, RowCompareExpr *row,
					double selectivity)
{
	HoneOrder  *order = MemoryContextAllocZero(reading, sizeof(HoneOrder));
	ListCell   *lc;
	MemoryContext old;

	foreach(lc, row->largs)
	{
		Node	   *expr = indexable(rel, lfirst(lc));
		HoneUse    *made;

		if (expr == NULL || !OidIsValid(default_family(expr)))
			break;
		made = make_use(rel, HONE_USE_RANGE, expr, InvalidOid,
						default_family(expr), InvalidOid, selectivity);
		if (made == NULL)
			break;
		old = MemoryContextSwitchTo(reading);
		order->uses = lappend(order->uses, made);
		MemoryContextSwitchTo(old);
	}
	if (order->uses == NIL)
		return;
	old = MemoryContextSwitchTo(reading);
	use->orders = lappend(use->orders, order);
	MemoryContextSwitchTo(old);
}

static void
read_or(PlannerInfo *root, RelOptInfo *rel, HoneRelUse *use, BoolExpr *expr,
		double selectivity)
{
	ListCell   *lc;

	foreach(lc, expr->args)
		read_clause(root, rel, use, lfirst(lc), selectivity, true);
}

static void
read_clause(PlannerInfo *root, RelOptInfo *rel, HoneRelUse *use, Node *clause,
			double selectivity, bool arm)
{
	if (clause == NULL)
		return;
	if (IsA(clause, RestrictInfo))
		clause = (Node *) ((RestrictInfo *) clause)->clause;

	if (is_orclause(clause))
		read_or(root, rel, use, (BoolExpr *) clause, selectivity);
	else if (is_andclause(clause))
	{
		ListCell   *lc;

		foreach(lc, ((BoolExpr *) clause)->args)
			read_clause(root, rel, use, lfirst(lc), selectivity, arm);
	}
	else if (IsA(clause, OpExpr) && list_length(((OpExpr *) clause)->args) == 2)
		read_operator(rel, use, (OpExpr *) clause, selectivity, arm, NULL);
	else if (IsA(clause, ScalarArrayOpExpr))
	{
		ScalarArrayOpExpr *saop = (ScalarArrayOpExpr *) clause;
		Node	   *expr = indexable(rel, linitial(saop->args));
		Oid			family = expr ? default_family(expr) : InvalidOid;

		if (saop->useOr && OidIsValid(family) &&
			get_op_opfamily_strategy(saop->opno, family) == BTEqualStrategyNumber &&
			!bms_overlap(pull_varnos(NULL, lsecond(saop->args)), rel->relids))
			add_use(use, make_use(rel, arm ? HONE_USE_ARM : HONE_USE_IN, expr,
								  InvalidOid, family, saop->inputcollid, selectivity));
	}
	else if (IsA(clause, NullTest) &&
			 ((NullTest *) clause)->nulltesttype == IS_NULL &&
			 !((NullTest *) clause)->argisrow)
	{
		Node	   *expr = indexable(rel, (Node *) ((NullTest *) clause)->arg);

		if (expr && OidIsValid(default_family(expr)))
			add_use(use, make_use(rel, arm ? HONE_USE_ARM : HONE_USE_IN, expr,
								  InvalidOid, default_family(expr), InvalidOid, selectivity));
	}
	else if (IsA(clause, RowCompareExpr))
	{
		if (!arm)
			read_row_comparison(rel, use, (RowCompareExpr *) clause, selectivity);
	}
	else
	{
		/* a boolean column, alone or under NOT */
		Node	   *expr = is_notclause(clause) ?
		(Node *) get_notclausearg((Expr *) clause) : clause;

		expr = exprType(expr) == BOOLOID ? indexable(rel, expr) : NULL;
		if (expr && IsA(expr, Var))
			add_use(use, make_use(rel, arm ? HONE_USE_ARM : HONE_USE_EQUAL, expr,
								  InvalidOid, default_family(expr), InvalidOid, selectivity));
	}
}

/* Are all values of the clause constants, and few? */
static bool
not_constant_walker(Node *node, void *context)
{
	if (node == NULL)
		return false;
	if (IsA(node, Const))
	{
		Const	   *c = (Const *) node;

		if (c->constisnull)
			return true;
		if (OidIsValid(get_element_type(c->consttype)))
		{
			ArrayType  *array = DatumGetArrayTypeP(c->constvalue);

			return ArrayGetNItems(ARR_NDIM(array), ARR_DIMS(array)) > MAX_IN_PREDICATE;
		}
		/* nobody wants a book in an index definition */
		return c->constlen == -1 && VARSIZE_ANY(DatumGetPointer(c->constvalue)) > 128;
	}
	return expression_tree_walker(node, not_constant_walker, context);
}

/*
 * Is it known to have few distinct values? A status has; a partial index on
 * one value of a name or a key would serve one example, not a query.
 */
static bool
has_few_values(PlannerInfo *root, Node *expr)
{
	VariableStatData vardata;
	bool		isdefault;
	double		ndistinct;

	examine_variable(root, expr, 0, &vardata);
	ndistinct = get_variable_numdistinct(&vardata, &isdefault);
	ReleaseVariableStats(vardata);
	return !isdefault && ndistinct <= MAX_DISTINCT;
}

/*
 * Keep a restriction as a possible predicate of a partial index: equality or
 * IN with constants, a null test, or a boolean column.
 */
static void
read_predicate(PlannerInfo *root, RelOptInfo *rel, HoneRelUse *use,
			   RestrictInfo *rinfo, double selectivity)
{
	Node	   *clause = (Node *) rinfo->clause;
	HonePredicate *predicate;
	MemoryContext old;

	if (rinfo->pseudoconstant || selectivity > 0.25 ||
		list_length(use->predicates) >= 8)
		return;
	if (IsA(clause, OpExpr))
	{
		OpExpr	   *op = (OpExpr *) clause;
		Node	   *expr;
		Oid			family;

		if (list_length(op->args) != 2 || !IsA(lsecond(op->args), Const))
			return;
		expr = indexable(rel, linitial(op->args));
		family = expr ? default_family(expr) : InvalidOid;
		if (!OidIsValid(family) ||
			get_op_opfamily_strategy(op->opno, family) != BTEqualStrategyNumber ||
			!has_few_values(root, expr))
			return;
	}
	else if (IsA(clause, ScalarArrayOpExpr))
	{
		ScalarArrayOpExpr *saop = (ScalarArrayOpExpr *) clause;

		if (!saop->useOr || !IsA(lsecond(saop->args), Const) ||
			!has_few_values(root, linitial(saop->args)))
			return;
	}
	else if (!IsA(clause, NullTest) && !IsA(clause, Var) && !is_notclause(clause))
		return;
	if (unsuitable_walker(clause, NULL) || not_constant_walker(clause, NULL) ||
		contain_mutable_functions(clause) ||
		!bms_equal(pull_varnos(NULL, clause), rel->relids))
		return;

	old = MemoryContextSwitchTo(reading);
	predicate = palloc0(sizeof(HonePredicate));
	predicate->clause = copy_for_index(rel, clause);
	predicate->selectivity = selectivity;
	predicate->columns = columns_of(rel, clause);
	use->predicates = lappend(use->predicates, predicate);
	MemoryContextSwitchTo(old);
}

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
		read_clause(root, rel, use, (Node *) rinfo->clause, selectivity, false);
		if (!(IsA(rinfo->clause, NullTest) &&
			  ((NullTest *) rinfo->clause)->nulltesttype == IS_NOT_NULL))
			use->nfilters++;
		/* a definition is public: no constants of rows that a policy hides */
		if (rinfo->security_level == 0 && rte->securityQuals == NIL)
			read_predicate(root, rel, use, rinfo, selectivity);
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
		Relids		others;

		if (!IsA(rinfo->clause, OpExpr) ||
			list_length(((OpExpr *) rinfo->clause)->args) != 2)
			continue;
		others = bms_difference(rinfo->clause_relids, rel->relids);
		read_operator(rel, use, (OpExpr *) rinfo->clause, 1.0, false, others);
	}
	foreach(lc, root->eq_classes)
	{
		EquivalenceClass *ec = lfirst(lc);
		EquivalenceMember *mine = NULL;
		Relids		others = NULL;
		Node	   *expr;
		HoneUse    *made;
		ListCell   *lm;

		if (ec->ec_has_const || ec->ec_has_volatile)
			continue;
		foreach(lm, hone_ec_members(ec, rel->relid))
		{
			EquivalenceMember *em = lfirst(lm);

			if (bms_equal(em->em_relids, rel->relids))
				mine = em;
			else if (!em->em_is_const && !em->em_is_child &&
					 !bms_overlap(em->em_relids, rel->relids))
				others = bms_add_members(others, em->em_relids);
		}
		/* A child's class also holds its parent: that is no partner. */
		if (rel->top_parent_relids)
			others = bms_del_members(others, rel->top_parent_relids);
		if (mine == NULL || bms_is_empty(others))
			continue;
		expr = indexable(rel, (Node *) mine->em_expr);
		if (expr == NULL || !list_member_oid(ec->ec_opfamilies, default_family(expr)))
			continue;
		made = make_use(rel, HONE_USE_JOIN, expr, InvalidOid, default_family(expr),
						ec->ec_collation, 1.0);
		if (made)
		{
			MemoryContext old = MemoryContextSwitchTo(reading);

			made->partners = bms_copy(others);
			MemoryContextSwitchTo(old);
		}
		add_use(use, made);
	}
}

/* As much of a wanted order as this relation can deliver. */
static void
read_order(RelOptInfo *rel, HoneRelUse *use, List *pathkeys, bool required)
{
	HoneOrder  *order;
	MemoryContext old;
	ListCell   *lc;

	if (pathkeys == NIL)
		return;
	order = MemoryContextAllocZero(reading, sizeof(HoneOrder));
	order->required = required;
	foreach(lc, pathkeys)
	{
		PathKey    *pk = lfirst(lc);
		HoneUse    *made = NULL;
		ListCell   *lm;

		if (pk->pk_eclass->ec_has_volatile || list_length(order->uses) >= HONE_MAX_KEYS)
			break;
		foreach(lm, hone_ec_members(pk->pk_eclass, rel->relid))
		{
			EquivalenceMember *em = lfirst(lm);
			Node	   *expr;

			if (!bms_equal(em->em_relids, rel->relids))
				continue;
			expr = indexable(rel, (Node *) em->em_expr);
			if (expr == NULL || default_family(expr) != pk->pk_opfamily)
				continue;
			made = make_use(rel, HONE_USE_RANGE, expr, InvalidOid, pk->pk_opfamily,
							pk->pk_eclass->ec_collation, 1.0);
			break;
		}
		if (made == NULL)
			break;
		made->key.desc = hone_pathkey_descending(pk);
		made->key.nulls_first = pk->pk_nulls_first;
		old = MemoryContextSwitchTo(reading);
		order->uses = lappend(order->uses, made);
		MemoryContextSwitchTo(old);
	}
	if (order->uses == NIL)
		return;
	old = MemoryContextSwitchTo(reading);
	use->orders = lappend(use->orders, order);
	MemoryContextSwitchTo(old);
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

static void
read_relation(PlannerInfo *root, RelOptInfo *rel, Index rti, RangeTblEntry *rte)
{
	HoneRelUse *use;
	MemoryContext old;
	ListCell   *lc;

	if (prev_set_rel_pathlist)
		prev_set_rel_pathlist(root, rel, rti, rte);
	if (reading == NULL || list_length(found) >= MAX_RELATIONS ||
		!is_interesting(root, rel, rte))
		return;

	use = MemoryContextAllocZero(reading, sizeof(HoneRelUse));
	use->relid = rte->relid;
	use->pages = rel->pages;
	use->tuples = rel->tuples;
	use->allvisfrac = rel->allvisfrac;
	use->limited = root->parse->limitCount != NULL;
	use->filtered_elsewhere = others_are_filtered(root, rel);
	read_restrictions(root, rel, rte, use);
	read_joins(root, rel, use);
	read_order(rel, use, root->query_pathkeys, root->parse->sortClause != NIL);
	if (root->sort_pathkeys != root->query_pathkeys)
		read_order(rel, use, root->sort_pathkeys, true);
	if (root->group_pathkeys != root->query_pathkeys)
		read_order(rel, use, root->group_pathkeys, false);
	if (root->distinct_pathkeys != root->query_pathkeys)
		read_order(rel, use, root->distinct_pathkeys, false);
	if (root->window_pathkeys != root->query_pathkeys)
		read_order(rel, use, root->window_pathkeys, false);

	old = MemoryContextSwitchTo(reading);
	pull_varattnos((Node *) rel->reltarget->exprs, rel->relid, &use->read);
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

/* From here on, planning is read. Must be ended on error too. */
void
hone_advise_read_begin(MemoryContext memory)
{
	install_hook();
	reading = memory;
	found = NIL;
}

/* List of HoneRelUse. */
List *
hone_advise_read_end(void)
{
	List	   *result = found;

	reading = NULL;
	found = NIL;
	return result;
}

/* Text of a column or expression, as it stands in CREATE INDEX. */
char *
hone_advise_expression_sql(Oid relid, Node *expr, bool as_key)
{
	char	   *text;

	if (as_key && IsA(expr, Var))
		return pstrdup(quote_identifier(get_attname(relid, ((Var *) expr)->varattno, false)));
	text = deparse_expression(expr, deparse_context_for(get_rel_name(relid), relid),
							  false, false);
	return as_key ? psprintf("(%s)", text) : text;
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
	use->key.sql = hone_advise_expression_sql(relid, use->expr, true);
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
		foreach(lc, rel->predicates)
		{
			HonePredicate *predicate = lfirst(lc);

			predicate->sql = hone_advise_expression_sql(rel->relid, predicate->clause, false);
		}
	}
}
