/*
 * hint_where.c
 *	  Hints about conditions: = ANY of an array column, a key of a jsonb column
 *	  that GIN indexes as a whole, patterns with nothing fixed at the beginning,
 *	  NOT IN, OR over several tables, very long lists, volatile functions,
 *	  collations and types that do not fit an index.
 *
 * Only conditions that must all hold (WHERE, ON; not inside an OR) are looked
 * at. Silence is the default: each needs the construct in the tree, a table
 * worth an index, and a plan that pays for it.
 */
#include "postgres.h"

#include "access/transam.h"
#include "catalog/pg_am.h"
#include "catalog/pg_class.h"
#include "catalog/pg_operator.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "commands/extension.h"
#include "mb/pg_wchar.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/clauses.h"
#include "optimizer/optimizer.h"
#include "parser/parsetree.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"

#include "advise/hint.h"

#define LONG_LIST 1000
#define MANY_ROWS 10000.0		/* that a join makes to throw most away */
#define LARGE_HASH 100000.0		/* rows of a subquery kept in memory */
#define TRIGRAM 3

/* value = ANY (array_column) */
static void
look_at_array_column(HoneHintWalk *walk, ScalarArrayOpExpr *saop)
{
	HoneColumn	column;
	char	   *scanned;
	char	   *name;

	if (!saop->useOr || !hone_hint_is_equality(saop->opno) ||
		!hone_hint_is_value(linitial(saop->args)) ||
		!hone_hint_column(walk, lsecond(saop->args), &column) ||
		!hone_hint_may_scan_less(walk, &column, true, &scanned))
		return;
	name = hone_hint_column_text(&column);
	hone_hint_add(walk, column.relid, "any_array_column",
				  psprintf("= ANY of the array column %s cannot use an index as it is written. Ask whether the array contains"
						   " the value (@>): %s. To check: a null value finds nothing in either form.", name,
						   hone_hint_index_on(walk, &column, GIN_AM_OID) ?
						   "the GIN index on the column serves that" : "a GIN index on the column would serve that"),
				  scanned, psprintf("%s @> ARRAY[%s]", name, hone_hint_text(linitial(saop->args))));
}

/* The key of column -> 'key' or column ->> 'key'; NULL when it is not that. */
static char *
jsonb_key(HoneHintWalk *walk, Node *node, HoneColumn *column, bool *as_text)
{
	OpExpr	   *op = (OpExpr *) hone_hint_strip(node);
	Const	   *key;
	Oid			function;

	if (op == NULL || !IsA(op, OpExpr) || list_length(op->args) != 2 ||
		!hone_hint_column(walk, linitial(op->args), column) || !hone_hint_is_value(lsecond(op->args)))
		return NULL;
	function = get_opcode(op->opno);
	if (function != F_JSONB_OBJECT_FIELD_TEXT && function != F_JSONB_OBJECT_FIELD)
		return NULL;
	*as_text = function == F_JSONB_OBJECT_FIELD_TEXT;
	key = (Const *) hone_hint_folded(walk, lsecond(op->args));
	if (!IsA(key, Const) || key->constisnull)
		return NULL;
	return TextDatumGetCString(key->constvalue);
}

static bool
look_at_jsonb_key(HoneHintWalk *walk, Oid opno, Node *side, Node *value, bool any)
{
	HoneColumn	column;
	bool		as_text;
	char	   *key = jsonb_key(walk, side, &column, &as_text);
	HoneExisting *gin;
	char	   *scanned;
	char	   *name;
	char	   *wanted;

	if (key == NULL || !hone_hint_is_equality(opno))
		return false;
	gin = hone_hint_index_on(walk, &column, GIN_AM_OID);
	if (gin == NULL || !hone_hint_may_scan_less(walk, &column, true, &scanned))
		return true;
	name = hone_hint_column_text(&column);
	wanted = hone_hint_text(value);
	hone_hint_add(walk, column.relid, "jsonb_key",
				  psprintf("A key of %s is taken out to compare it, which the GIN index %s on the column does not serve."
						   " Ask whether the column contains the key with that value (@>): it is served as it is. To check:"
						   " %s", name, quote_identifier(gin->name), as_text ?
						   "this finds strings only; a number or true must be written as one, not as text." :
						   "an object or array also contains its own parts, so only plain values mean the same."),
				  scanned,
				  any ? psprintf("%s @> ANY (ARRAY(SELECT jsonb_build_object(%s, v) FROM unnest(%s) AS v))",
								 name, quote_literal_cstr(key), wanted) :
				  psprintf("%s @> jsonb_build_object(%s, %s)", name, quote_literal_cstr(key), wanted));
	return true;
}

/* How many characters stand together at most that are not wildcards. */
static int
longest_literal(const char *pattern, bool regex)
{
	int			best = 0;
	int			run = 0;

	for (const char *p = pattern; *p; p += pg_mblen(p))
	{
		bool		plain = IS_HIGHBIT_SET(*p) || isalnum((unsigned char) *p) ||
			(!regex && *p != '%' && *p != '_' && *p != '\\');

		run = plain ? run + 1 : 0;
		best = Max(best, run);
	}
	return best;
}

/* LIKE '%x%', ILIKE, and regular expressions without a beginning. */
static void
look_at_pattern(HoneHintWalk *walk, OpExpr *op)
{
	bool		regex = false;
	bool		any_case = false;
	HoneColumn	column;
	Const	   *pattern;
	char	   *chars;
	char	   *scanned;

	switch (op->opno)
	{
		case OID_TEXT_LIKE_OP:
		case OID_BPCHAR_LIKE_OP:
			break;
		case OID_TEXT_ICLIKE_OP:
		case OID_BPCHAR_ICLIKE_OP:
			any_case = true;
			break;
		case OID_TEXT_REGEXEQ_OP:
		case OID_BPCHAR_REGEXEQ_OP:
			regex = true;
			break;
		case OID_TEXT_ICREGEXEQ_OP:
		case OID_BPCHAR_ICREGEXEQ_OP:
			regex = any_case = true;
			break;
		default:
			return;
	}
	if (OidIsValid(get_extension_oid("pg_trgm", true)) ||
		!hone_hint_column(walk, linitial(op->args), &column) || !hone_hint_is_value(lsecond(op->args)))
		return;
	pattern = (Const *) hone_hint_folded(walk, lsecond(op->args));
	if (!IsA(pattern, Const) || pattern->constisnull)
		return;
	chars = TextDatumGetCString(pattern->constvalue);
	if (!any_case && (regex ? chars[0] == '^' : chars[0] != '%' && chars[0] != '_'))
		return;
	if (longest_literal(chars, regex) < TRIGRAM ||
		!hone_hint_may_scan_less(walk, &column, false, &scanned))
		return;
	hone_hint_add(walk, column.relid, "pattern",
				  psprintf("A pattern%s on %s cannot be looked up in a btree index. The extension pg_trgm indexes what is"
						   " inside a text: install it, and ask for advice again, which can then propose a GIN index with"
						   " gin_trgm_ops.", any_case ? " without regard to case" : " with nothing fixed at its beginning",
						   hone_hint_column_text(&column)),
				  psprintf("%s: %s", hone_hint_text(lsecond(op->args)), scanned),
				  "CREATE EXTENSION pg_trgm");
}

/* A volatile function that hardly means to be one. */
static bool
needless_walker(Node *node, void *context)
{
	Oid		   *found = context;

	if (node == NULL || IsA(node, Query) || IsA(node, SubLink))
		return false;
	if (IsA(node, FuncExpr) && func_volatile(((FuncExpr *) node)->funcid) == PROVOLATILE_VOLATILE)
	{
		Oid			funcid = ((FuncExpr *) node)->funcid;
		char	   *name = get_func_name(funcid);

		if (funcid >= FirstNormalObjectId || (name && strcmp(name, "clock_timestamp") == 0))
		{
			*found = funcid;
			return true;
		}
	}
	return expression_tree_walker(node, needless_walker, context);
}

static void
look_at_volatile(HoneHintWalk *walk, const HoneColumn *column, Node *value)
{
	Oid			funcid = InvalidOid;
	char	   *scanned;
	const char *name;

	(void) needless_walker(value, &funcid);
	if (!OidIsValid(funcid) || !hone_hint_may_scan_less(walk, column, false, &scanned))
		return;
	name = quote_identifier(get_func_name(funcid));
	hone_hint_add(walk, column->relid, "volatile_function",
				  funcid < FirstNormalObjectId ?
				  psprintf("%s() may differ from row to row, so it is called for each, and no index on %s can be used."
						   " now() is the same for the whole transaction, and statement_timestamp() for the statement.",
						   name, hone_hint_column_text(column)) :
				  psprintf("The function %s() is volatile, so it is called for each row, and no index on %s can be used. If it"
						   " returns the same for the same arguments during one statement, declare it STABLE; or call it in"
						   " a subquery, once. To check: it changes nothing, and does not depend on what the statement"
						   " itself changes.", name, hone_hint_column_text(column)),
				  scanned,
				  funcid < FirstNormalObjectId ? NULL : psprintf("(SELECT %s(...))", name));
}

/* The index begins with the column, but not as it is compared. */
static void
look_at_fit(HoneHintWalk *walk, const HoneColumn *column, OpExpr *op, Node *side, Node *value)
{
	HoneExisting *e = hone_hint_index_on(walk, column, BTREE_AM_OID);
	Oid			type;
	int32		typmod;
	Oid			own;
	Oid			collation;
	char	   *scanned;
	char	   *name = hone_hint_column_text(column);

	if (e == NULL)
		return;
	get_atttypetypmodcoll(column->relid, column->attno, &type, &typmod, &own);
	collation = OidIsValid(e->keys[0].collation) ? e->keys[0].collation : own;
	if (get_op_opfamily_strategy(op->opno, e->keys[0].opfamily) == 0)
	{
		if (IsA(side, RelabelType) && exprType(side) != type && type >= FirstNormalObjectId &&
			hone_hint_may_scan_less(walk, column, true, &scanned))
			hone_hint_add(walk, column->relid, "type_mismatch",
						  psprintf("The column %s (%s) is compared as %s, because the value is of that type, and the index %s"
								   " does not know that comparison. Give the value in the column's type. To check: the"
								   " column's own type may call other values equal.", name, format_type_be(type),
								   format_type_be(exprType(side)), quote_identifier(e->name)),
						  scanned, psprintf("%s = (%s)::%s", name, hone_hint_text(value), format_type_be(type)));
		return;
	}
	if (OidIsValid(op->inputcollid) && OidIsValid(collation) && op->inputcollid != collation &&
		hone_hint_may_scan_less(walk, column, true, &scanned))
		hone_hint_add(walk, column->relid, "collation_mismatch",
					  psprintf("%s is compared by another collation than the index %s is sorted by, so the index cannot be"
							   " used. Leave out COLLATE, or index the column with that collation. To check: collations may"
							   " differ in order, and nondeterministic ones in what is equal.",
							   name, quote_identifier(e->name)),
					  psprintf("COLLATE %s, index %s: %s", quote_identifier(get_collation_name(op->inputcollid)),
							   quote_identifier(get_collation_name(collation)), scanned), NULL);
}

static void
look_at_sides(HoneHintWalk *walk, OpExpr *op, Node *side, Node *value, bool commuted)
{
	HoneColumn	column;
	Node	   *bare = side;

	if (!hone_hint_is_value(value) && !contain_volatile_functions(value))
		return;
	if (look_at_jsonb_key(walk, op->opno, side, value, false))
		return;
	if (IsA(bare, CollateExpr))
		bare = (Node *) ((CollateExpr *) bare)->arg;
	if (hone_hint_column(walk, bare, &column))
	{
		if (!hone_hint_is_comparison(op->opno))
			return;
		look_at_volatile(walk, &column, value);
		look_at_fit(walk, &column, op, side, value);
	}
	else
		hone_hint_look_at_expression(walk, op, side, value, commuted);
}

static void
look_at_operator(HoneHintWalk *walk, OpExpr *op)
{
	if (list_length(op->args) != 2)
		return;
	look_at_pattern(walk, op);
	hone_hint_look_at_join(walk, op);
	look_at_sides(walk, op, linitial(op->args), lsecond(op->args), false);
	if (OidIsValid(get_commutator(op->opno)))
		look_at_sides(walk, op, lsecond(op->args), linitial(op->args), true);
}

static void
look_at_list(HoneHintWalk *walk, ScalarArrayOpExpr *saop)
{
	ArrayExpr  *array = (ArrayExpr *) hone_hint_strip(lsecond(saop->args));
	HoneColumn	column;

	if (!saop->useOr || !IsA(array, ArrayExpr) || list_length(array->elements) < LONG_LIST ||
		!hone_hint_column(walk, linitial(saop->args), &column))
		return;
	hone_hint_add(walk, column.relid, "long_in_list",
				  psprintf("A list of very many values for %s stands in the text: it is parsed and planned anew each time, and"
						   " looked up value by value. Give the values as one array parameter, and join it; or put them into"
						   " a temporary table with statistics, when there are thousands. To check: the values must be"
						   " distinct in a join.", hone_hint_column_text(&column)),
				  psprintf("%d values", list_length(array->elements)),
				  psprintf("JOIN (SELECT DISTINCT unnest($1::%s[]) AS v) AS l ON l.v = %s",
						   format_type_be(get_atttype(column.relid, column.attno)),
						   hone_hint_column_text(&column)));
}

/* The subquery of NOT IN (or <> ALL); NULL when it is not that. */
static SubLink *
not_in_subquery(Node *condition)
{
	SubLink    *sublink = NULL;
	OpExpr	   *test;

	if (is_notclause(condition) && IsA(get_notclausearg((Expr *) condition), SubLink))
	{
		sublink = (SubLink *) get_notclausearg((Expr *) condition);
		if (sublink->subLinkType != ANY_SUBLINK)
			return NULL;
	}
	else if (IsA(condition, SubLink) && ((SubLink *) condition)->subLinkType == ALL_SUBLINK)
		sublink = (SubLink *) condition;
	if (sublink == NULL || sublink->testexpr == NULL || !IsA(sublink->testexpr, OpExpr))
		return NULL;
	test = (OpExpr *) sublink->testexpr;
	if (sublink->subLinkType == ALL_SUBLINK ? !OidIsValid(get_negator(test->opno)) ||
		!hone_hint_is_equality(get_negator(test->opno)) : !hone_hint_is_equality(test->opno))
		return NULL;
	return sublink;
}

typedef struct SubPlans
{
	PlannedStmt *stmt;
	bool		repeated;		/* one is run for each row */
	double		rows;			/* of the largest that is hashed */
} SubPlans;

static bool
subplan_walker(Node *node, void *context)
{
	SubPlans   *found = context;

	if (node == NULL)
		return false;
	if (IsA(node, SubPlan))
	{
		SubPlan    *subplan = (SubPlan *) node;

		if (subplan->subLinkType == ANY_SUBLINK || subplan->subLinkType == ALL_SUBLINK)
		{
			Plan	   *plan = list_nth(found->stmt->subplans, subplan->plan_id - 1);

			if (!subplan->useHashTable)
				found->repeated = true;
			else
				found->rows = Max(found->rows, plan->plan_rows);
		}
	}
	return expression_tree_walker(node, subplan_walker, context);
}

static bool
note_subplans(PlannedStmt *stmt, Plan *plan, void *arg)
{
	((SubPlans *) arg)->stmt = stmt;
	(void) subplan_walker((Node *) plan->qual, arg);
	if (IsA(plan, NestLoop) || IsA(plan, HashJoin) || IsA(plan, MergeJoin))
		(void) subplan_walker((Node *) ((Join *) plan)->joinqual, arg);
	return false;
}

static void
look_at_not_in(HoneHintWalk *walk, Node *condition)
{
	SubLink    *sublink = not_in_subquery(condition);
	SubPlans	plans = {0};

	if (sublink == NULL)
		return;
	(void) hone_hint_any_plan(walk->after, note_subplans, &plans);
	if (!plans.repeated && plans.rows < LARGE_HASH)
		return;
	hone_hint_add(walk, InvalidOid, "not_in",
				  "NOT IN with a subquery cannot be planned as a join, because one null in the subquery makes it find nothing at"
				  " all. NOT EXISTS can, and is nearly always what is meant. To check: the two differ where the subquery or"
				  " the left side has nulls.",
				  plans.repeated ? "the subquery's rows are searched again for each row outside" :
				  psprintf("about %.0f rows of the subquery are kept in memory", plans.rows),
				  "WHERE NOT EXISTS (SELECT FROM other AS o WHERE o.key = t.key)");
}

static bool
note_or_join(PlannedStmt *stmt pg_attribute_unused(), Plan *plan, void *arg)
{
	double	   *rows = arg;
	List	   *quals;
	ListCell   *lc;

	if (!IsA(plan, NestLoop) && !IsA(plan, HashJoin) && !IsA(plan, MergeJoin))
		return false;
	quals = list_concat_copy(((Join *) plan)->joinqual, plan->qual);
	foreach(lc, quals)
	{
		double		input = Max(outerPlan(plan)->plan_rows, innerPlan(plan)->plan_rows);

		if (is_orclause(lfirst(lc)) && input >= MANY_ROWS && plan->plan_rows * 10 < input)
			*rows = Max(*rows, input);
	}
	return false;
}

/* One arm knows one table, another arm another: no index serves both. */
static void
look_at_or(HoneHintWalk *walk, Query *query, BoolExpr *condition)
{
	int			first = 0;
	bool		several = false;
	double		rows = 0;
	ListCell   *lc;

	foreach(lc, condition->args)
	{
		Relids		relids = pull_varnos(NULL, lfirst(lc));
		int			relid;

		if (contain_subplans(lfirst(lc)) || !bms_get_singleton_member(relids, &relid) ||
			rt_fetch(relid, query->rtable)->rtekind == RTE_JOIN)
			return;
		several |= first > 0 && relid != first;
		first = relid;
	}
	if (!several)
		return;
	(void) hone_hint_any_plan(walk->after, note_or_join, &rows);
	if (rows == 0)
		return;
	hone_hint_add(walk, InvalidOid, "or_across_tables",
				  "OR between conditions on different tables can only be tested after the join, so neither condition can use an"
				  " index. Write the query once for each condition and put a UNION between: each part then begins with its"
				  " own index. To check: UNION removes duplicates, so select a key of each table (or use UNION ALL, and"
				  " exclude from the second part what the first one finds).",
				  psprintf("about %.0f rows are joined first", rows),
				  "SELECT ... WHERE <first condition> UNION SELECT ... WHERE <second condition>");
}

void
hone_hint_look_at_condition(HoneHintWalk *walk, Query *query, Node *condition)
{
	if (IsA(condition, OpExpr))
		look_at_operator(walk, (OpExpr *) condition);
	else if (IsA(condition, ScalarArrayOpExpr))
	{
		ScalarArrayOpExpr *saop = (ScalarArrayOpExpr *) condition;

		look_at_array_column(walk, saop);
		look_at_list(walk, saop);
		hone_hint_look_at_cast_in_list(walk, saop);
		if (saop->useOr && hone_hint_is_value(lsecond(saop->args)))
			(void) look_at_jsonb_key(walk, saop->opno, linitial(saop->args), lsecond(saop->args), true);
	}
	else if (is_orclause(condition))
		look_at_or(walk, query, (BoolExpr *) condition);
	else
		look_at_not_in(walk, condition);
}
