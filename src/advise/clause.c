/*
 * clause.c
 *	  What one restriction or join clause means for an index on the relation.
 *
 * An operator counts when a btree of the key's type has it, else when another
 * access method's operator class has it (opclass.c). What only a planner
 * support function knows to turn into an index condition (LIKE 'x%', ~ '^x',
 * starts_with, <<= of networks, functions of geometries) is found by asking
 * that function, family by family, as the planner will.
 *
 * Called from the planner by read.c; see there. Support functions are C code
 * that the planner calls for every such clause anyway.
 */
#include "postgres.h"

#include "access/stratnum.h"
#include "access/sysattr.h"
#include "catalog/pg_am.h"
#include "catalog/pg_amop.h"
#include "catalog/pg_type.h"
#include "commands/defrem.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "nodes/supportnodes.h"
#include "optimizer/clauses.h"
#include "optimizer/optimizer.h"
#include "rewrite/rewriteManip.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

#include "advise/read.h"
#include "base/compat.h"

#define MAX_USES 64				/* of one relation */
#define MAX_GROUPS 8
#define RARELY 0.25				/* IS NOT NULL is worth an index below */

/* An expression of this relation alone that an index could be keyed by. */
Node *
hone_advise_indexable(RelOptInfo *rel, Node *expr)
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

/* Holds it what no index definition may hold? */
bool
hone_advise_unsuitable(Node *expr)
{
	return unsuitable_walker(expr, NULL);
}

Node *
hone_advise_copy_for_index(RelOptInfo *rel, Node *expr)
{
	MemoryContext old = MemoryContextSwitchTo(hone_advise_reading);
	Node	   *copy = copyObject(expr);

	if (rel->relid != 1)
		ChangeVarNodes(copy, rel->relid, 1, 0);
	/* a cast that nobody wrote must be written, or the text means the column */
	if (IsA(copy, FuncExpr) && ((FuncExpr *) copy)->funcformat == COERCE_IMPLICIT_CAST)
		((FuncExpr *) copy)->funcformat = COERCE_EXPLICIT_CAST;
	else if (IsA(copy, CoerceViaIO))
		((CoerceViaIO *) copy)->coerceformat = COERCE_EXPLICIT_CAST;
	MemoryContextSwitchTo(old);
	return copy;
}

/* Attribute numbers in an expression, in the run's memory. */
Bitmapset *
hone_advise_columns_of(RelOptInfo *rel, Node *expr)
{
	Bitmapset  *attnos = NULL;
	Bitmapset  *columns = NULL;
	int			col = -1;
	MemoryContext old = MemoryContextSwitchTo(hone_advise_reading);

	pull_varattnos(expr, rel->relid, &attnos);
	while ((col = bms_next_member(attnos, col)) >= 0)
		if (col + FirstLowInvalidHeapAttributeNumber > 0)
			columns = bms_add_member(columns, col + FirstLowInvalidHeapAttributeNumber);
	MemoryContextSwitchTo(old);
	return columns;
}

List *
hone_advise_append(List *list, void *item)
{
	MemoryContext old = MemoryContextSwitchTo(hone_advise_reading);

	list = lappend(list, item);
	MemoryContextSwitchTo(old);
	return list;
}

/* NULL when no index may have the expression. */
HoneUse *
hone_advise_make_use(RelOptInfo *rel, HoneUseKind kind, Node *expr, Oid opclass,
					 Oid opfamily, Oid collation, double selectivity)
{
	HoneUse    *use;

	if (hone_advise_unsuitable(expr))
		return NULL;
	use = MemoryContextAllocZero(hone_advise_reading, sizeof(HoneUse));
	use->kind = kind;
	use->expr = hone_advise_copy_for_index(rel, expr);
	use->key.attno = IsA(expr, Var) ? ((Var *) expr)->varattno : 0;
	use->key.columns = hone_advise_columns_of(rel, expr);
	use->key.opclass = opclass;
	use->key.opfamily = opfamily;
	if (OidIsValid(collation) && collation != exprCollation(expr))
		use->key.collation = collation;
	use->selectivity = selectivity;
	use->literal = true;
	return use;
}

void
hone_advise_add_use(HoneRelUse *rel, HoneUse *use)
{
	if (use && list_length(rel->uses) < MAX_USES)
		rel->uses = hone_advise_append(rel->uses, use);
}

/* The default btree family of an expression's type, if there is one. */
Oid
hone_advise_default_family(Node *expr)
{
	Oid			opclass = GetDefaultOpClass(exprType(expr), BTREE_AM_OID);

	return OidIsValid(opclass) ? get_opclass_family(opclass) : InvalidOid;
}

/* Is it a value while the relation is scanned? */
static bool
is_value(RelOptInfo *rel, Node *node)
{
	return !bms_overlap(pull_varnos(NULL, node), rel->relids) &&
		!contain_volatile_functions(node);
}

static void
set_partners(HoneUse *use, Relids partners)
{
	MemoryContext old = MemoryContextSwitchTo(hone_advise_reading);

	use->partners = bms_copy(partners);
	MemoryContextSwitchTo(old);
}

/* expr OP value, where value knows nothing of the relation. */
static bool
read_comparison(RelOptInfo *rel, HoneRelUse *use, Oid opno, Oid collation,
				Node *left, Node *right, double selectivity, bool arm, Relids partners)
{
	Node	   *expr = hone_advise_indexable(rel, left);
	Oid			family;
	int			strategy;
	HoneUseKind kind;
	HoneUse    *made;

	if (expr == NULL || !is_value(rel, right))
		return false;
	family = hone_advise_default_family(expr);
	strategy = OidIsValid(family) ? get_op_opfamily_strategy(opno, family) : 0;
	if (strategy == 0)
		return false;
	if (arm)
		kind = HONE_USE_ARM;
	else if (strategy == BTEqualStrategyNumber)
		kind = bms_is_empty(partners) ? HONE_USE_EQUAL : HONE_USE_JOIN;
	else
		kind = HONE_USE_RANGE;
	made = hone_advise_make_use(rel, kind, expr, InvalidOid, family, collation, selectivity);
	if (made && !bms_is_empty(partners))
		set_partners(made, partners);
	hone_advise_add_use(use, made);
	return made != NULL;
}

static HoneUse *
make_inside_use(RelOptInfo *rel, Node *expr, Oid opclass, double selectivity)
{
	HoneUse    *made = hone_advise_make_use(rel, HONE_USE_CONTAINS, expr, opclass,
											get_opclass_family(opclass), InvalidOid,
											selectivity);

	if (made)
		made->amoid = hone_advise_opclass_method(opclass);
	return made;
}

/* An operator that some other access method knows, and no btree does. */
static bool
read_contains(RelOptInfo *rel, HoneRelUse *use, Oid opno, Node *left,
			  Node *right, double selectivity)
{
	Node	   *expr = hone_advise_indexable(rel, left);
	bool		any = false;
	ListCell   *lc;

	if (expr == NULL || !is_value(rel, right))
		return false;
	foreach(lc, hone_advise_opclasses_with(opno, exprType(expr), AMOP_SEARCH))
	{
		hone_advise_add_use(use, make_inside_use(rel, expr, lfirst_oid(lc), selectivity));
		any = true;
	}
	return any;
}

/* Would the function make an index condition of its clause, in that family? */
static bool
makes_condition(PlannerInfo *root, RelOptInfo *rel, Oid support, Oid funcid,
				Node *clause, int arg, Oid amoid, Oid opfamily, Oid collation)
{
	SupportRequestIndexCondition request = {0};
	IndexOptInfo *index = makeNode(IndexOptInfo);

	index->rel = rel;
	index->relam = amoid;
	index->ncolumns = index->nkeycolumns = 1;
	index->opfamily = &opfamily;
	index->indexcollations = &collation;
	request.type = T_SupportRequestIndexCondition;
	request.root = root;
	request.funcid = funcid;
	request.node = clause;
	request.indexarg = arg;
	request.index = index;
	request.indexcol = 0;
	request.opfamily = opfamily;
	request.indexcollation = collation;
	request.lossy = true;
	return DatumGetPointer(OidFunctionCall1(support, PointerGetDatum(&request))) != NULL;
}

/*
 * A clause that its function knows to serve by an index: a range of a btree
 * (in the operator class that compares bytes, where the collation does not), or
 * a condition of a GiST or SP-GiST.
 */
static bool
read_supported(PlannerInfo *root, RelOptInfo *rel, HoneRelUse *use, Node *clause,
			   Oid funcid, List *args, Oid collation, double selectivity, bool arm)
{
	static const Oid methods[] = {BTREE_AM_OID, GIST_AM_OID, SPGIST_AM_OID};
	Oid			support = OidIsValid(funcid) ? get_func_support(funcid) : InvalidOid;

	if (!OidIsValid(support) || list_length(args) < 2)
		return false;
	for (int arg = 0; arg < 2; arg++)
	{
		Node	   *expr = hone_advise_indexable(rel, list_nth(args, arg));
		ListCell   *lc;

		if (expr == NULL || hone_advise_unsuitable(expr) ||
			!is_value(rel, list_nth(args, 1 - arg)))
			continue;
		for (int i = 0; i < (int) lengthof(methods); i++)
			foreach(lc, hone_advise_opclasses(methods[i], exprType(expr)))
		{
			Oid			opclass = lfirst_oid(lc);
			Oid			family = get_opclass_family(opclass);
			Oid			own = exprCollation(expr);

			if (!makes_condition(root, rel, support, funcid, clause, arg, methods[i],
								 family, OidIsValid(collation) ? collation : own))
				continue;
			if (methods[i] != BTREE_AM_OID)
				hone_advise_add_use(use, make_inside_use(rel, expr, opclass, selectivity));
			else
				hone_advise_add_use(use, hone_advise_make_use(rel,
					arm ? HONE_USE_ARM : HONE_USE_RANGE, expr,
					family == hone_advise_default_family(expr) ? InvalidOid : opclass,
					family, collation, selectivity));
			return true;
		}
	}
	return false;
}

static void
read_operator(PlannerInfo *root, RelOptInfo *rel, HoneRelUse *use, OpExpr *op,
			  double selectivity, bool arm, Relids partners)
{
	Node	   *left = linitial(op->args);
	Node	   *right = lsecond(op->args);
	Oid			commutator = get_commutator(op->opno);

	if (read_comparison(rel, use, op->opno, op->inputcollid, left, right,
						selectivity, arm, partners))
		return;
	if (OidIsValid(commutator) &&
		read_comparison(rel, use, commutator, op->inputcollid, right, left,
						selectivity, arm, partners))
		return;
	(void) read_supported(root, rel, use, (Node *) op, get_opcode(op->opno), op->args,
						  op->inputcollid, selectivity, arm);
	if (read_contains(rel, use, op->opno, left, right, selectivity))
		return;
	if (OidIsValid(commutator))
		(void) read_contains(rel, use, commutator, right, left, selectivity);
}

/* ORDER BY expr <-> value, when some access method returns rows in that order. */
HoneUse *
hone_advise_read_distance(RelOptInfo *rel, Node *node)
{
	OpExpr	   *op = (OpExpr *) node;

	if (!IsA(node, OpExpr) || list_length(op->args) != 2)
		return NULL;
	for (int arg = 0; arg < 2; arg++)
	{
		Oid			opno = arg == 0 ? op->opno : get_commutator(op->opno);
		Node	   *expr = hone_advise_indexable(rel, list_nth(op->args, arg));
		List	   *opclasses;
		Oid			foreign;
		HoneUse    *made;

		if (expr == NULL || !OidIsValid(opno) || !is_value(rel, list_nth(op->args, 1 - arg)))
			continue;
		opclasses = hone_advise_opclasses_with(opno, exprType(expr), AMOP_ORDER);
		foreign = opclasses == NIL ? hone_advise_foreign_order(opno, exprType(expr)) : InvalidOid;
		if (opclasses == NIL && !OidIsValid(foreign))
			continue;
		made = make_inside_use(rel, expr, opclasses ? linitial_oid(opclasses) : foreign, 1.0);
		if (made == NULL)
			return NULL;
		made->distance = true;
		if (OidIsValid(foreign))
			made->unusable = "its access method is one of an extension: what it finds may be "
				"approximate, and what it costs cannot be imagined; try it by hand";
		return made;
	}
	return NULL;
}

/* (a, b) > (x, y): a keyset; its columns are an order. */
static void
read_row_comparison(RelOptInfo *rel, HoneRelUse *use, RowCompareExpr *row,
					double selectivity)
{
	bool		left = is_value(rel, (Node *) row->rargs);
	List	   *mine = left ? row->largs : row->rargs;
	HoneOrder  *order;
	ListCell   *lc;

	if (!left && !is_value(rel, (Node *) row->largs))
		return;
	order = MemoryContextAllocZero(hone_advise_reading, sizeof(HoneOrder));
	foreach(lc, mine)
	{
		Node	   *expr = hone_advise_indexable(rel, lfirst(lc));
		HoneUse    *made;

		if (expr == NULL || !OidIsValid(hone_advise_default_family(expr)))
			break;
		made = hone_advise_make_use(rel, HONE_USE_RANGE, expr, InvalidOid,
									hone_advise_default_family(expr),
									list_nth_oid(row->inputcollids, foreach_current_index(lc)),
									selectivity);
		if (made == NULL)
			break;
		order->uses = hone_advise_append(order->uses, made);
	}
	if (order->uses != NIL)
		use->orders = hone_advise_append(use->orders, order);
}

/* Each arm needs an index of its own; what one arm combines, one index can. */
static void
read_or(PlannerInfo *root, RelOptInfo *rel, HoneRelUse *use, BoolExpr *expr,
		double selectivity, Relids partners)
{
	ListCell   *lc;

	foreach(lc, expr->args)
	{
		int			before = list_length(use->uses);
		List	   *group = NIL;

		hone_advise_read_clause(root, rel, use, lfirst(lc), selectivity, true, partners);
		for (int i = before; i < list_length(use->uses); i++)
			if (((HoneUse *) list_nth(use->uses, i))->kind == HONE_USE_ARM)
				group = hone_advise_append(group, list_nth(use->uses, i));
		if (list_length(group) > 1 && !is_orclause(lfirst(lc)) &&
			list_length(use->groups) < MAX_GROUPS)
			use->groups = hone_advise_append(use->groups, group);
	}
}

/*
 * key = ANY (values); or the other way round, value = ANY (key), which no index
 * serves: said, because the same question asked with @> could have one.
 */
static void
read_any(RelOptInfo *rel, HoneRelUse *use, ScalarArrayOpExpr *saop,
		 double selectivity, bool arm)
{
	Node	   *left = linitial(saop->args);
	Node	   *right = lsecond(saop->args);
	Node	   *expr = hone_advise_indexable(rel, left);
	Oid			family = expr ? hone_advise_default_family(expr) : InvalidOid;

	if (!saop->useOr)
		return;
	if (OidIsValid(family) && is_value(rel, right) &&
		get_op_opfamily_strategy(saop->opno, family) == BTEqualStrategyNumber)
		hone_advise_add_use(use, hone_advise_make_use(rel, arm ? HONE_USE_ARM : HONE_USE_IN,
													  expr, InvalidOid, family,
													  saop->inputcollid, selectivity));
	else if (is_value(rel, left) && (expr = hone_advise_indexable(rel, right)) != NULL)
	{
		Oid			opclass = GetDefaultOpClass(exprType(expr), GIN_AM_OID);
		HoneUse    *made = OidIsValid(opclass) ?
		make_inside_use(rel, expr, opclass, selectivity) : NULL;

		if (made == NULL)
			return;
		made->unusable = "value = ANY (array column) cannot use an index; "
			"array column @> ARRAY[value] could";
		hone_advise_add_use(use, made);
	}
}

static void
read_null_test(RelOptInfo *rel, HoneRelUse *use, NullTest *test, double selectivity,
			   bool arm)
{
	Node	   *expr = hone_advise_indexable(rel, (Node *) test->arg);
	HoneUseKind kind = test->nulltesttype == IS_NULL ? HONE_USE_IN : HONE_USE_RANGE;

	if (test->argisrow || expr == NULL || !OidIsValid(hone_advise_default_family(expr)) ||
		(test->nulltesttype == IS_NOT_NULL && selectivity > RARELY))
		return;
	hone_advise_add_use(use, hone_advise_make_use(rel, arm ? HONE_USE_ARM : kind, expr,
												  InvalidOid, hone_advise_default_family(expr),
												  InvalidOid, selectivity));
}

/* flag, NOT flag, flag IS TRUE, flag IS FALSE */
static void
read_boolean(RelOptInfo *rel, HoneRelUse *use, Node *clause, double selectivity, bool arm)
{
	Node	   *expr = clause;

	if (is_notclause(clause))
		expr = (Node *) get_notclausearg((Expr *) clause);
	else if (IsA(clause, BooleanTest))
	{
		BooleanTest *test = (BooleanTest *) clause;

		if (test->booltesttype != IS_TRUE && test->booltesttype != IS_FALSE)
			return;
		expr = (Node *) test->arg;
	}
	expr = exprType(expr) == BOOLOID ? hone_advise_indexable(rel, expr) : NULL;
	if (expr && IsA(expr, Var))
		hone_advise_add_use(use, hone_advise_make_use(rel, arm ? HONE_USE_ARM : HONE_USE_EQUAL,
													  expr, InvalidOid,
													  hone_advise_default_family(expr),
													  InvalidOid, selectivity));
}

/*
 * partners: of a join clause, the other relations; arm: below an OR.
 */
void
hone_advise_read_clause(PlannerInfo *root, RelOptInfo *rel, HoneRelUse *use,
						Node *clause, double selectivity, bool arm, Relids partners)
{
	if (clause == NULL)
		return;
	if (IsA(clause, RestrictInfo))
		clause = (Node *) ((RestrictInfo *) clause)->clause;

	if (is_orclause(clause))
		read_or(root, rel, use, (BoolExpr *) clause, selectivity, partners);
	else if (is_andclause(clause))
	{
		ListCell   *lc;

		foreach(lc, ((BoolExpr *) clause)->args)
			hone_advise_read_clause(root, rel, use, lfirst(lc), selectivity, arm, partners);
	}
	else if (IsA(clause, OpExpr) && list_length(((OpExpr *) clause)->args) == 2)
		read_operator(root, rel, use, (OpExpr *) clause, selectivity, arm, partners);
	else if (IsA(clause, ScalarArrayOpExpr))
		read_any(rel, use, (ScalarArrayOpExpr *) clause, selectivity, arm);
	else if (IsA(clause, NullTest))
		read_null_test(rel, use, (NullTest *) clause, selectivity, arm);
	else if (IsA(clause, RowCompareExpr))
	{
		if (!arm)
			read_row_comparison(rel, use, (RowCompareExpr *) clause, selectivity);
	}
	else if (IsA(clause, FuncExpr) &&
			 read_supported(root, rel, use, clause, ((FuncExpr *) clause)->funcid,
							((FuncExpr *) clause)->args, ((FuncExpr *) clause)->inputcollid,
							selectivity, arm))
		return;
	else
		read_boolean(rel, use, clause, selectivity, arm);
}
