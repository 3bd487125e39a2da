/*
 * hint_column.c
 *	  Hints about conditions on something made of a column, where the column
 *	  itself could be compared: casts, dates of times, arithmetic, COALESCE,
 *	  the first characters; and functions that no index can be made on.
 *
 * "expression OP value" is looked at with the column's expression on either
 * side. A rewrite is offered where it is an identity but for what the hint says
 * must be checked. Where the advisor can index the expression it does, and says
 * nothing here, unless an index on the column exists that the rewrite would use.
 */
#include "postgres.h"

#include "access/stratnum.h"
#include "access/transam.h"
#include "catalog/pg_am.h"
#include "catalog/pg_type.h"
#include "mb/pg_wchar.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "parser/parse_coerce.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/typcache.h"

#include "advise/hint.h"

/*
 * Of a table: no index would be read for more. Less than the third that the
 * planner takes for an inequality it knows nothing of.
 */
#define MOST_ROWS 0.3

/* A condition being looked at. */
typedef struct Comparison
{
	HoneHintWalk *walk;
	Node	   *side;			/* the expression over the column */
	Node	   *value;
	Oid			opno;			/* as if the expression stood at the left */
	const char *op;				/* its name */
	bool		in_list;		/* = ANY (value) */
	HoneColumn	column;
	Oid			type;			/* of the column */
	const char *name;			/* of the column, with its table */
} Comparison;

/* The btree strategy in the default order of its left type; 0: none. */
int
hone_hint_strategy(Oid opno)
{
	Oid			left;
	Oid			right;
	TypeCacheEntry *entry;

	op_input_types(opno, &left, &right);
	entry = lookup_type_cache(left, TYPECACHE_BTREE_OPFAMILY);
	return OidIsValid(entry->btree_opf) ? get_op_opfamily_strategy(opno, entry->btree_opf) : 0;
}

/* Is it one of <, <=, =, >=, > of some order? */
bool
hone_hint_is_comparison(Oid opno)
{
	return hone_hint_strategy(opno) != 0;
}

bool
hone_hint_is_equality(Oid opno)
{
	return hone_hint_strategy(opno) == BTEqualStrategyNumber;
}

/*
 * Is the table scanned as a whole for few of its rows? With "instead", the
 * rewrite would make a recommended index needless, so the plan without those
 * counts.
 */
bool
hone_hint_may_scan_less(HoneHintWalk *walk, const HoneColumn *column, bool instead,
						char **evidence)
{
	HoneRelUse *rel = hone_hint_table(walk, column->relid);
	HoneScans	scans;

	if (!hone_hint_is_large(walk, column->relid))
		return false;
	hone_hint_scans(instead ? walk->before : walk->after, column->relid, &scans);
	if (!scans.whole || (rel->tuples > 0 && scans.rows > MOST_ROWS * rel->tuples))
		return false;
	*evidence = rel->tuples > 0 ?
		psprintf("%.0f rows are scanned for about %.0f", rel->tuples, scans.rows) :
		psprintf("all partitions are scanned for about %.0f rows", scans.rows);
	return true;
}

static bool
is_number(Oid type)
{
	char		category;
	bool		preferred;

	get_type_category_preferred(type, &category, &preferred);
	return category == TYPCATEGORY_NUMERIC;
}

static bool
is_integer(Oid type)
{
	return type == INT2OID || type == INT4OID || type == INT8OID;
}

static bool
is_timestamp(Oid type)
{
	return type == TIMESTAMPOID || type == TIMESTAMPTZOID;
}

static bool
has_index(const Comparison *c)
{
	return hone_hint_index_on(c->walk, &c->column, BTREE_AM_OID) != NULL;
}

static void
add(const Comparison *c, const char *kind, const char *hint, const char *scanned,
	const char *example)
{
	char	   *condition = psprintf(c->in_list ? "%s %s ANY (%s)" : "%s %s %s",
									 hone_hint_expression_text(c->walk, c->side, &c->column),
									 c->op, hone_hint_text(c->value));

	hone_hint_add(c->walk, c->column.relid, kind, hint,
				  psprintf("%s: %s", condition, scanned), example);
}

/* The value in the column's type. */
static char *
value_as_column(const Comparison *c)
{
	if (c->in_list)
		return psprintf("%s = ANY ((%s)::%s[])", c->name, hone_hint_text(c->value),
						format_type_be(c->type));
	return psprintf("%s %s (%s)::%s", c->name, c->op, hone_hint_text(c->value),
					format_type_be(c->type));
}

/* The column is converted only because the value has another type. */
static void
type_mismatch(const Comparison *c)
{
	char	   *scanned;

	if (!hone_hint_may_scan_less(c->walk, &c->column, true, &scanned))
		return;
	add(c, "type_mismatch",
		psprintf("The column %s (%s) is converted to %s in every row, because the value it is compared with is of that type;"
				 " no index on the column can be used so. Give the value in the column's type: cast it, or declare the"
				 " parameter so in the application. To check: values that the column's type cannot hold, such as"
				 " fractions, raise an error or are rounded then.",
				 c->name, format_type_be(c->type), format_type_be(exprType(c->side))),
		scanned, value_as_column(c));
}

/* ts::date OP day, as a range of times. */
static char *
day_example(const Comparison *c)
{
	char	   *day = hone_hint_text(c->value);

	switch (hone_hint_strategy(c->opno))
	{
		case BTEqualStrategyNumber:
			return psprintf("%s >= %s AND %s < (%s) + 1", c->name, day, c->name, day);
		case BTLessStrategyNumber:
			return psprintf("%s < %s", c->name, day);
		case BTLessEqualStrategyNumber:
			return psprintf("%s < (%s) + 1", c->name, day);
		case BTGreaterEqualStrategyNumber:
			return psprintf("%s >= %s", c->name, day);
		case BTGreaterStrategyNumber:
			return psprintf("%s >= (%s) + 1", c->name, day);
		default:
			return NULL;
	}
}

static void
day_of_time(const Comparison *c)
{
	char	   *scanned;

	if (exprType(c->value) != DATEOID ||
		!hone_hint_may_scan_less(c->walk, &c->column,
								 has_index(c) || contain_mutable_functions(c->side), &scanned))
		return;
	add(c, "cast_on_column",
		psprintf("The day of %s is compared, not the time itself, so no index on the column can be used. Ask for a range of"
				 " times from the beginning of the day to that of the next one.%s", c->name,
				 c->type == TIMESTAMPTZOID ?
				 " Both begin at midnight in the session's time zone; an index on the day itself cannot be made for that"
				 " reason." : " The result is the same."),
		scanned, day_example(c));
}

/* Would col = value::type mean the same as col::other = value? */
static bool
may_cast_value(const Comparison *c)
{
	Oid			target = exprType(c->side);

	if (is_number(c->type) && is_number(target))
		return !(is_integer(target) && !is_integer(c->type));
	return hone_hint_strategy(c->opno) == BTEqualStrategyNumber &&
		(target == TEXTOID || target == VARCHAROID || target == BPCHAROID);
}

static void
explicit_cast(const Comparison *c)
{
	char	   *scanned;
	Oid			target = exprType(c->side);

	if (target == DATEOID && is_timestamp(c->type))
	{
		day_of_time(c);
		return;
	}
	if (!may_cast_value(c) || !hone_hint_may_scan_less(c->walk, &c->column, true, &scanned))
		return;
	add(c, "cast_on_column",
		psprintf("The column %s (%s) is cast to %s in every row, so no index on the column can be used. Cast the value to the"
				 " column's type instead. To check: a value that is no %s raises an error then, where it just found"
				 " nothing before; and two spellings of one value are equal then.",
				 c->name, format_type_be(c->type), format_type_be(target), format_type_be(c->type)),
		scanned, value_as_column(c));
}

/* The text of a known argument, or NULL. */
static char *
known_text(HoneHintWalk *walk, Node *node)
{
	Const	   *c;

	if (!hone_hint_is_value(node))
		return NULL;
	c = (Const *) hone_hint_folded(walk, node);
	if (!IsA(c, Const) || c->constisnull || c->consttype != TEXTOID)
		return NULL;
	return TextDatumGetCString(c->constvalue);
}

/* date_trunc('hour', ts) = value */
static bool
truncated_time(const Comparison *c, FuncExpr *func)
{
	static const char *const units[] = {"second", "minute", "hour", "day", "week", "month", "year"};
	char	   *unit = known_text(c->walk, linitial(func->args));
	char	   *scanned;
	char	   *value = hone_hint_text(c->value);

	if (unit == NULL || list_length(func->args) != 2 || !is_timestamp(c->type) ||
		hone_hint_strategy(c->opno) != BTEqualStrategyNumber)
		return false;
	for (int i = 0; i < (int) lengthof(units); i++)
	{
		if (pg_strcasecmp(unit, units[i]) != 0)
			continue;
		if (hone_hint_may_scan_less(c->walk, &c->column,
									has_index(c) || contain_mutable_functions(c->side), &scanned))
			add(c, "function_on_column",
				psprintf("Every time in %s is truncated to compare it, so no index on the column can be used. Ask for a range"
						 " from the value to the next one. To check: the value is itself truncated (otherwise the query as"
						 " it is finds nothing).", c->name),
				scanned, psprintf("%s >= %s AND %s < (%s) + interval '1 %s'",
								  c->name, value, c->name, value, units[i]));
		return true;
	}
	return false;
}

/* extract(year from ts) = 2026 */
static bool
year_of_time(const Comparison *c, FuncExpr *func)
{
	char	   *field = known_text(c->walk, linitial(func->args));
	char	   *scanned;
	char	   *value = hone_hint_text(c->value);

	if (field == NULL || pg_strcasecmp(field, "year") != 0 || list_length(func->args) != 2 ||
		!(is_timestamp(c->type) || c->type == DATEOID) ||
		hone_hint_strategy(c->opno) != BTEqualStrategyNumber)
		return false;
	if (hone_hint_may_scan_less(c->walk, &c->column,
								has_index(c) || contain_mutable_functions(c->side), &scanned))
		add(c, "function_on_column",
			psprintf("The year of %s is compared, not the time itself, so no index on the column can be used, and the planner"
					 " does not know how many rows a year has. Ask for a range from the first of January to the next.",
					 c->name),
			scanned, psprintf("%s >= make_date((%s)::int, 1, 1) AND %s < make_date((%s)::int + 1, 1, 1)",
							  c->name, value, c->name, value));
	return true;
}

/* left(code, 3) = 'abc', substr(code, 1, 3) = 'abc' */
static bool
first_characters(const Comparison *c, FuncExpr *func, const char *name)
{
	Const	   *length;
	char	   *prefix = known_text(c->walk, c->value);
	char	   *scanned;
	bool		from_first = strcmp(name, "left") == 0;

	if (prefix == NULL || hone_hint_strategy(c->opno) != BTEqualStrategyNumber || strpbrk(prefix, "%_\\'"))
		return false;
	if (!from_first && list_length(func->args) == 3)
	{
		Const	   *from = (Const *) hone_hint_folded(c->walk, lsecond(func->args));

		from_first = IsA(from, Const) && !from->constisnull && from->consttype == INT4OID &&
			DatumGetInt32(from->constvalue) == 1;
	}
	length = (Const *) hone_hint_folded(c->walk, llast(func->args));
	if (!from_first || !IsA(length, Const) || length->constisnull || length->consttype != INT4OID ||
		DatumGetInt32(length->constvalue) != pg_mbstrlen(prefix) || prefix[0] == '\0')
		return false;
	if (hone_hint_may_scan_less(c->walk, &c->column, has_index(c), &scanned))
		add(c, "function_on_column",
			psprintf("The first characters of %s are cut off to compare them, so no index on the column can be used. LIKE with"
					 " a fixed beginning asks the same, and an index on the column (text_pattern_ops, unless its collation"
					 " is C) serves it.", c->name),
			scanned, psprintf("%s LIKE '%s%%'", c->name, prefix));
	return true;
}

/* No rewrite is known; say so where the advisor has no answer either. */
static void
other_function(const Comparison *c, const char *name)
{
	bool		mutable = contain_mutable_functions(c->side);
	char	   *scanned;

	if (!(mutable || has_index(c)) || contain_volatile_functions(c->side) ||
		!hone_hint_may_scan_less(c->walk, &c->column, false, &scanned))
		return;
	if (mutable)
		add(c, "function_on_column",
			psprintf("%s() of the column %s is compared; its result depends on settings of the session (it is not immutable),"
					 " so it cannot be indexed, and an index on the column cannot be used. Compare the column itself, by a"
					 " range if possible, or keep the result in a column of its own.", name, c->name),
			scanned, NULL);
	else
		add(c, "function_on_column",
			psprintf("%s() of the column %s is compared, so the index on the column cannot be used. Index the expression, or"
					 " keep the column in the form that is asked for.", name, c->name),
			scanned, NULL);
}

static void
function_call(const Comparison *c, FuncExpr *func)
{
	char	   *name = get_func_name(func->funcid);
	bool		built_in = func->funcid < FirstNormalObjectId;

	if (name == NULL || func->args == NIL)
		return;
	if (built_in && strcmp(name, "date") == 0 && list_length(func->args) == 1 && is_timestamp(c->type))
		day_of_time(c);
	else if (built_in && strcmp(name, "date_trunc") == 0 && truncated_time(c, func))
		return;
	else if (built_in && (strcmp(name, "extract") == 0 || strcmp(name, "date_part") == 0) &&
			 year_of_time(c, func))
		return;
	else if (built_in && (strcmp(name, "left") == 0 || strcmp(name, "substr") == 0 ||
						  strcmp(name, "substring") == 0) && first_characters(c, func, name))
		return;
	else
		other_function(c, name);
}

/* col + value OP other: the value belongs to the other side. */
static void
arithmetic(const Comparison *c, OpExpr *op)
{
	const char *name = get_opname(op->opno);
	HoneColumn	unused;
	Node	   *operand_node;
	bool		column_left;
	bool		times = is_timestamp(c->type) || c->type == DATEOID;
	char	   *operand;
	char	   *scanned;

	if (list_length(op->args) != 2 || name == NULL || op->opno >= FirstNormalObjectId ||
		!(is_number(c->type) || times))
		return;
	column_left = hone_hint_column(c->walk, linitial(op->args), &unused);
	if (!column_left && !hone_hint_column(c->walk, lsecond(op->args), &unused))
		return;
	operand_node = column_left ? lsecond(op->args) : linitial(op->args);
	operand = hone_hint_text(operand_node);
	if (!hone_hint_is_value(operand_node) ||
		!(strcmp(name, "+") == 0 || (strcmp(name, "-") == 0 && column_left)) ||
		!hone_hint_may_scan_less(c->walk, &c->column,
								 has_index(c) || contain_mutable_functions(c->side), &scanned))
		return;
	add(c, "arithmetic_on_column",
		psprintf("The column %s is computed with before it is compared, so no index on the column can be used. Move what is"
				 " added or subtracted to the other side. To check: %s", c->name,
				 times ? "months and days with a change of clocks have different lengths, so a row at the edge may differ." :
				 "the result of the other side must not overflow its type."),
		scanned, psprintf("%s %s %s %s (%s)", c->name, c->op, hone_hint_text(c->value),
						  strcmp(name, "+") == 0 ? "-" : "+", operand));
}

/* coalesce(col, default) = value */
static void
coalesced(const Comparison *c, CoalesceExpr *coalesce)
{
	HoneColumn	unused;
	Node	   *other;
	Node	   *wanted;
	char	   *scanned;
	char	   *value = hone_hint_text(c->value);
	char	   *example;

	if (list_length(coalesce->args) != 2 || hone_hint_strategy(c->opno) != BTEqualStrategyNumber ||
		!hone_hint_column(c->walk, linitial(coalesce->args), &unused) ||
		!hone_hint_is_value(lsecond(coalesce->args)) ||
		!hone_hint_may_scan_less(c->walk, &c->column, has_index(c), &scanned))
		return;
	other = hone_hint_folded(c->walk, lsecond(coalesce->args));
	wanted = hone_hint_folded(c->walk, c->value);
	if (!IsA(other, Const) || !IsA(wanted, Const))
		example = psprintf("(%s = %s OR (%s IS NULL AND %s = %s))", c->name, value, c->name,
						   hone_hint_text(lsecond(coalesce->args)), value);
	else if (equal(other, wanted))
		example = psprintf("(%s = %s OR %s IS NULL)", c->name, value, c->name);
	else
		example = psprintf("%s = %s", c->name, value);
	add(c, "coalesce_on_column",
		psprintf("COALESCE hides the column %s from its indexes. Compare the column itself, and ask for IS NULL besides where"
				 " the value that stands in for null is the wanted one: an index serves both.", c->name),
		scanned, example);
}

/* side OP value, where side is made of one column and is not just that. */
void
hone_hint_look_at_expression(HoneHintWalk *walk, OpExpr *op, Node *side, Node *value,
							 bool commuted)
{
	Comparison	c = {0};
	HoneColumn	unused;

	c.walk = walk;
	c.side = hone_hint_strip(side);
	c.value = value;
	c.opno = commuted ? get_commutator(op->opno) : op->opno;
	if (!OidIsValid(c.opno) || !hone_hint_is_comparison(c.opno) ||
		!hone_hint_only_column(walk, c.side, &c.column))
		return;
	c.op = get_opname(c.opno);
	c.type = get_atttype(c.column.relid, c.column.attno);
	c.name = hone_hint_column_text(&c.column);

	if (IsA(c.side, FuncExpr))
	{
		FuncExpr   *func = (FuncExpr *) c.side;
		bool		of_column = func->args != NIL &&
			hone_hint_column(walk, linitial(func->args), &unused);

		if (func->funcformat == COERCE_IMPLICIT_CAST && of_column)
			type_mismatch(&c);
		else if (func->funcformat == COERCE_EXPLICIT_CAST && of_column)
			explicit_cast(&c);
		else
			function_call(&c, func);
	}
	else if (IsA(c.side, CoerceViaIO) &&
			 hone_hint_column(walk, (Node *) ((CoerceViaIO *) c.side)->arg, &unused))
	{
		if (((CoerceViaIO *) c.side)->coerceformat == COERCE_IMPLICIT_CAST)
			type_mismatch(&c);
		else
			explicit_cast(&c);
	}
	else if (IsA(c.side, OpExpr))
		arithmetic(&c, (OpExpr *) c.side);
	else if (IsA(c.side, CoalesceExpr))
		coalesced(&c, (CoalesceExpr *) c.side);
}

/* side IN (values), where side is a cast of a column; not of a day. */
void
hone_hint_look_at_cast_in_list(HoneHintWalk *walk, ScalarArrayOpExpr *saop)
{
	Comparison	c = {0};
	HoneColumn	unused;
	Node	   *arg;
	CoercionForm form;

	c.walk = walk;
	c.side = hone_hint_strip(linitial(saop->args));
	c.value = lsecond(saop->args);
	c.opno = saop->opno;
	c.in_list = true;
	if (!saop->useOr || !hone_hint_is_equality(saop->opno) || !hone_hint_is_value(c.value))
		return;
	if (IsA(c.side, FuncExpr) && ((FuncExpr *) c.side)->args != NIL)
	{
		arg = linitial(((FuncExpr *) c.side)->args);
		form = ((FuncExpr *) c.side)->funcformat;
	}
	else if (IsA(c.side, CoerceViaIO))
	{
		arg = (Node *) ((CoerceViaIO *) c.side)->arg;
		form = ((CoerceViaIO *) c.side)->coerceformat;
	}
	else
		return;
	if (!hone_hint_column(walk, arg, &unused) || !hone_hint_only_column(walk, c.side, &c.column))
		return;
	c.op = get_opname(c.opno);
	c.type = get_atttype(c.column.relid, c.column.attno);
	c.name = hone_hint_column_text(&c.column);
	if (form == COERCE_IMPLICIT_CAST)
		type_mismatch(&c);
	else if (form == COERCE_EXPLICIT_CAST && exprType(c.side) != DATEOID)
		explicit_cast(&c);
}
