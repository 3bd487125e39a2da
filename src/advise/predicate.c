/*
 * predicate.c
 *	  Restrictions that a partial index could have: which they are, and which
 *	  of them are steady.
 *
 * Read from the planner (see read.c): clauses of one relation whose values are
 * constants. Their constants must stand in the text, or be the same in nearly
 * all samples of the query (MIN_SAME), of which there must be some
 * (MIN_SAMPLES); that is decided once for all samples of a query, and likewise
 * for expressions that contain a constant. Comparisons and negations must stand
 * in the text. A limit on a time moves on, and is left to rolling indexes
 * (times have many values).
 *
 * A clause that most rows pass (deleted_at IS NULL) makes no partial index
 * alone, but is kept: with another one it can.
 */
#include "postgres.h"

#include "access/stratnum.h"
#include "catalog/pg_type.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/clauses.h"
#include "optimizer/optimizer.h"
#include "utils/array.h"
#include "utils/lsyscache.h"
#include "utils/selfuncs.h"

#include "advise/read.h"
#include "base/compat.h"

#define MAX_PREDICATES 8		/* of one relation */
#define MAX_IN_PREDICATE 8		/* values of an IN a partial index may have */
#define MAX_DISTINCT 20			/* of a column a partial index is about */
#define MAX_SHARE 0.9			/* of the rows, in a clause worth keeping */
#define MAX_PARTIAL 0.25		/* of the rows, in a partial index */
#define MAX_SECOND 0.7			/* of the rows, in the weaker one of two */
#define MAX_PARTIALS 6
#define MIN_SAME 0.95
#define MIN_SAMPLES 4

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

/* The number zero, of any numeric type. */
static bool
is_zero(Const *c)
{
	char		category;
	bool		preferred;
	Oid			output;
	bool		varlena;
	char	   *text;

	get_type_category_preferred(getBaseType(c->consttype), &category, &preferred);
	if (category != TYPCATEGORY_NUMERIC || c->constisnull)
		return false;
	getTypeOutputInfo(c->consttype, &output, &varlena);
	text = OidOutputFunctionCall(output, c->constvalue);
	return text[0] != '\0' && strspn(text, "0.") == strlen(text);
}

/*
 * column = value; column <> value, column < value. *firm: must be in the text.
 * A limit is a matter of the query (balance < 0, priority > 7), not of one
 * example, if it is zero or if there are few values.
 */
static bool
is_comparison(PlannerInfo *root, RelOptInfo *rel, OpExpr *op, bool *firm)
{
	Node	   *expr;
	Oid			family;
	Oid			negator;

	if (list_length(op->args) != 2 || !IsA(lsecond(op->args), Const))
		return false;
	expr = hone_advise_indexable(rel, linitial(op->args));
	family = expr ? hone_advise_default_family(expr) : InvalidOid;
	if (!OidIsValid(family))
		return false;
	switch (get_op_opfamily_strategy(op->opno, family))
	{
		case BTEqualStrategyNumber:
			return has_few_values(root, expr);
		case 0:
			negator = get_negator(op->opno);
			*firm = true;
			return OidIsValid(negator) &&
				get_op_opfamily_strategy(negator, family) == BTEqualStrategyNumber &&
				has_few_values(root, expr);
		default:
			*firm = true;
			return is_zero(lsecond(op->args)) || has_few_values(root, expr);
	}
}

static bool
may_be_predicate(PlannerInfo *root, RelOptInfo *rel, Node *clause, bool *firm)
{
	if (IsA(clause, OpExpr))
		return is_comparison(root, rel, (OpExpr *) clause, firm);
	if (IsA(clause, ScalarArrayOpExpr))
	{
		ScalarArrayOpExpr *saop = (ScalarArrayOpExpr *) clause;

		*firm = !saop->useOr;
		return IsA(lsecond(saop->args), Const) &&
			has_few_values(root, linitial(saop->args));
	}
	return IsA(clause, NullTest) || IsA(clause, Var) || is_notclause(clause) ||
		IsA(clause, BooleanTest);
}

/* Keep a restriction as a possible predicate of a partial index. */
void
hone_advise_read_predicate(PlannerInfo *root, RelOptInfo *rel, HoneRelUse *use,
						   RestrictInfo *rinfo, double selectivity)
{
	Node	   *clause = (Node *) rinfo->clause;
	HonePredicate *predicate;
	bool		firm = false;

	if (rinfo->pseudoconstant || selectivity > MAX_SHARE ||
		list_length(use->predicates) >= MAX_PREDICATES ||
		!may_be_predicate(root, rel, clause, &firm))
		return;
	if (hone_advise_unsuitable(clause) || not_constant_walker(clause, NULL) ||
		contain_mutable_functions(clause) ||
		!bms_equal(pull_varnos(NULL, clause), rel->relids))
		return;

	predicate = MemoryContextAllocZero(hone_advise_reading, sizeof(HonePredicate));
	predicate->clause = hone_advise_copy_for_index(rel, clause);
	predicate->selectivity = selectivity;
	predicate->columns = hone_advise_columns_of(rel, clause);
	if (bms_membership(predicate->columns) == BMS_SINGLETON)
		predicate->fixed = predicate->columns;
	predicate->nclauses = 1;
	predicate->firm = firm;
	use->predicates = hone_advise_append(use->predicates, predicate);
}

/* Both, as one predicate. */
static HonePredicate *
both_predicates(HoneRun *run, const HonePredicate *a, const HonePredicate *b)
{
	MemoryContext old = MemoryContextSwitchTo(run->memory);
	HonePredicate *both = palloc0(sizeof(HonePredicate));

	both->clause = (Node *) make_andclause(list_make2(a->clause, b->clause));
	both->sql = psprintf("%s AND %s", a->sql, b->sql);
	both->columns = bms_union(a->columns, b->columns);
	both->nclauses = a->nclauses + b->nclauses;
	both->fixed = bms_union(a->fixed, b->fixed);
	both->selectivity = a->selectivity * b->selectivity;
	both->literal = a->literal && b->literal;
	both->usable = a->usable && b->usable;
	MemoryContextSwitchTo(old);
	return both;
}

/*
 * The predicates a partial index on the relation may have: those that few rows
 * pass, and pairs that few rows pass of which each does its part.
 */
List *
hone_advise_partial_predicates(HoneRun *run, HoneRelUse *rel)
{
	List	   *result = NIL;
	ListCell   *la;
	ListCell   *lb;

	foreach(la, rel->predicates)
	{
		HonePredicate *a = lfirst(la);

		if (a->usable && a->selectivity <= MAX_PARTIAL)
			result = lappend(result, a);
	}
	foreach(la, rel->predicates)
		for_each_cell(lb, rel->predicates, lnext(rel->predicates, la))
		{
			HonePredicate *a = lfirst(la);
			HonePredicate *b = lfirst(lb);

			if (a->usable && b->usable && list_length(result) < MAX_PARTIALS &&
				a->selectivity * b->selectivity <= MAX_PARTIAL &&
				Max(a->selectivity, b->selectivity) <= MAX_SECOND)
				result = lappend(result, both_predicates(run, a, b));
		}
	return result;
}

static bool
has_predicate(HoneStatement *st, Oid relid, const char *sql)
{
	ListCell   *lr;
	ListCell   *lp;

	foreach(lr, st->rels)
	{
		HoneRelUse *rel = lfirst(lr);

		if (rel->relid != relid)
			continue;
		foreach(lp, rel->predicates)
			if (strcmp(((HonePredicate *) lfirst(lp))->sql, sql) == 0)
				return true;
	}
	return false;
}

static bool
names_key(List *uses, const char *sql)
{
	ListCell   *lu;

	foreach(lu, uses)
		if (strcmp(((HoneUse *) lfirst(lu))->key.sql, sql) == 0)
			return true;
	return false;
}

static bool
has_key(HoneStatement *st, Oid relid, const char *sql)
{
	ListCell   *lr;
	ListCell   *lo;

	foreach(lr, st->rels)
	{
		HoneRelUse *rel = lfirst(lr);

		if (rel->relid != relid)
			continue;
		if (names_key(rel->uses, sql))
			return true;
		foreach(lo, rel->orders)
			if (names_key(((HoneOrder *) lfirst(lo))->uses, sql))
				return true;
	}
	return false;
}

/* Have nearly all samples of the query the same predicate (or expression)? */
static bool
is_steady(HoneRun *run, HoneStatement *st, Oid relid, const char *sql,
		  bool (*has) (HoneStatement *, Oid, const char *), bool literal)
{
	double		same = 0;
	double		all = 0;

	for (int k = 0; k < run->nstatements; k++)
	{
		HoneStatement *other = run->statements[k];

		if (other->group != st->group || other->failure)
			continue;
		all += 1;
		if (has(other, relid, sql))
			same += 1;
	}
	return same >= MIN_SAME * all && (literal || all >= MIN_SAMPLES);
}

static void
count_expressions(HoneRun *run, HoneStatement *st, Oid relid, List *uses)
{
	ListCell   *lc;

	foreach(lc, uses)
	{
		HoneUse    *use = lfirst(lc);

		if (!use->literal && use->unusable == NULL &&
			!is_steady(run, st, relid, use->key.sql, has_key, false))
			use->unusable = "its expression holds the value of a parameter that varies";
	}
}

/*
 * Decide for each predicate, and each expression with a value of a parameter in
 * it, whether an index may be built on it.
 */
void
hone_advise_count_predicates(HoneRun *run)
{
	for (int i = 0; i < run->nstatements; i++)
	{
		HoneStatement *st = run->statements[i];
		ListCell   *lr;
		ListCell   *lc;

		foreach(lr, st->rels)
		{
			HoneRelUse *rel = lfirst(lr);

			foreach(lc, rel->predicates)
			{
				HonePredicate *predicate = lfirst(lc);

				predicate->usable = (predicate->literal || !predicate->firm) &&
					is_steady(run, st, rel->relid, predicate->sql, has_predicate,
							  predicate->literal);
			}
			count_expressions(run, st, rel->relid, rel->uses);
			foreach(lc, rel->orders)
				count_expressions(run, st, rel->relid, ((HoneOrder *) lfirst(lc))->uses);
		}
	}
}
