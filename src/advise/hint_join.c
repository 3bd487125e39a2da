/*
 * hint_join.c
 *	  Hints about joins on a column that is converted: a.id::text = b.reference.
 *
 * Two scans and a hash may be the best plan for such a join whatever is written,
 * so here the rewrite is tried: the column is compared as it is, with the other
 * side cast to its type, and the whole statement is planned so. Only when that
 * costs half or less it is said, with both figures. The tree tried is a copy,
 * and never run.
 */
#include "postgres.h"

#include "catalog/pg_am.h"
#include "catalog/pg_type.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/clauses.h"
#include "optimizer/optimizer.h"
#include "parser/parse_coerce.h"
#include "parser/parse_oper.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

#include "advise/hint.h"
#include "base/compat.h"

#define MUCH_CHEAPER 0.5

typedef struct Replace
{
	Node	   *what;			/* found by its address */
	Node	   *with;
} Replace;

static Node *
replace_mutator(Node *node, void *context)
{
	Replace    *replace = context;

	if (node == NULL)
		return NULL;
	if (node == replace->what)
		return replace->with;
	if (IsA(node, Query))
		return (Node *) query_tree_mutator((Query *) node, replace_mutator, context, 0);
	return expression_tree_mutator(node, replace_mutator, context);
}

/* The column under a cast, and whether the cast was written. */
static Node *
cast_column(Node *side, bool *written)
{
	CoercionForm form;
	Node	   *arg;

	side = hone_hint_strip(side);
	if (side && IsA(side, FuncExpr) && ((FuncExpr *) side)->args != NIL)
	{
		form = ((FuncExpr *) side)->funcformat;
		arg = linitial(((FuncExpr *) side)->args);
	}
	else if (side && IsA(side, CoerceViaIO))
	{
		form = ((CoerceViaIO *) side)->coerceformat;
		arg = (Node *) ((CoerceViaIO *) side)->arg;
	}
	else
		return NULL;
	if (form != COERCE_IMPLICIT_CAST && form != COERCE_EXPLICIT_CAST)
		return NULL;
	*written = form == COERCE_EXPLICIT_CAST;
	return hone_hint_strip(arg);
}

/* column = other::type; NULL when there is no such operator or cast. */
static Node *
rewritten(Node *column, Node *other)
{
	Oid			type = exprType(column);
	Oid			opno;
	Node	   *value;

	if (!can_coerce_type(1, (Oid[]) {exprType(other)}, &type, COERCION_EXPLICIT))
		return NULL;
	get_sort_group_operators(type, false, false, false, NULL, &opno, NULL, NULL);
	if (!OidIsValid(opno))
		return NULL;
	value = coerce_to_target_type(NULL, copyObject(other), exprType(other), type,
								  exprTypmod(column), COERCION_EXPLICIT, COERCE_EXPLICIT_CAST, -1);
	if (value == NULL)
		return NULL;
	return (Node *) make_opclause(opno, BOOLOID, false, copyObject((Expr *) column),
								  (Expr *) value, InvalidOid, exprCollation(column));
}

/* With the indexes there are: the rewrite may make a recommended one needless. */
static double
cost_as_it_is(HoneHintWalk *walk, Query *query)
{
	HoneConfiguration nothing = {NIL, NIL};

	walk->run->planner_calls++;
	return hone_without_penalty(hone_whatif_cost(hone_whatif_plan(query, walk->st->text,
																   walk->params, &nothing)));
}

static void
look_at_side(HoneHintWalk *walk, OpExpr *op, Node *side, Node *other)
{
	bool		written;
	Node	   *bare = cast_column(side, &written);
	HoneColumn	column;
	Replace		replace;
	double		before;
	double		after;
	char	   *name;

	if (bare == NULL || !hone_hint_column(walk, bare, &column) ||
		!hone_hint_is_large(walk, column.relid) || contain_subplans(other) ||
		hone_hint_index_on(walk, &column, BTREE_AM_OID) == NULL)
		return;
	replace.what = (Node *) op;
	replace.with = rewritten(bare, hone_hint_strip(other));
	if (replace.with == NULL)
		return;
	before = hone_without_penalty(hone_whatif_cost(walk->before));
	after = cost_as_it_is(walk, (Query *) replace_mutator((Node *) walk->top, &replace));
	if (after > MUCH_CHEAPER * before)
		return;
	name = hone_hint_column_text(&column);
	hone_hint_add(walk, column.relid, written ? "cast_on_column" : "type_mismatch",
				  psprintf("The join converts %s (%s) to %s in every row, so no index on the column can be used for it. Cast the"
						   " other side to the column's type, or give both columns one type. To check: values of the other"
						   " side that are no %s raise an error then.", name, format_type_be(exprType(bare)),
						   format_type_be(exprType(side)), format_type_be(exprType(bare))),
				  psprintf("estimated cost %.2f as it is, %.2f so", before, after),
				  psprintf("%s = (...)::%s", name, format_type_be(exprType(bare))));
}

/* Both sides have columns, of different tables. */
void
hone_hint_look_at_join(HoneHintWalk *walk, OpExpr *op)
{
	Node	   *left = linitial(op->args);
	Node	   *right = lsecond(op->args);
	Relids		left_rels = pull_varnos(NULL, left);
	Relids		right_rels = pull_varnos(NULL, right);

	if (bms_membership(left_rels) != BMS_SINGLETON || bms_membership(right_rels) != BMS_SINGLETON ||
		bms_equal(left_rels, right_rels) || !hone_hint_is_equality(op->opno))
		return;
	look_at_side(walk, op, left, right);
	look_at_side(walk, op, right, left);
}
