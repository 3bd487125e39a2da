/*
 * lists.c
 *	  Finds in an analysed query what does not count for its identity: how long
 *	  its lists are, and which OIDs its temporary tables happen to have.
 *
 * A list is what IN (...), ARRAY[...] and VALUES (...), (...) have become in the
 * tree. It folds when it has two elements or more and all have the same shape:
 *
 *	constants		literals, external parameters, DEFAULT, and casts of those
 *					all count as the same, as in the core of 18
 *	other			elements with the same functions, operators and columns in
 *					the same places: VALUES (1, now()), (2, now())
 *
 * Lists of row values, (a, b) IN ((1, 2), (3, 4)), have become an OR of ANDs,
 * known by its place in the source text, which is where IN stands. So are the
 * other lists: what has not come from such a list in the text (the arguments of
 * a VARIADIC function) is left alone, and so is an IN with columns in it (18
 * does the same).
 *
 * Nothing is changed here. What is to be changed for a moment while the query is
 * jumbled again is noted as edits (identity.c swaps them in and out): the first
 * element stays, the second becomes a marker, the rest is cut off; a list of
 * constants becomes a single marker; constants in a row of VALUES become
 * markers, so that it does not matter which row comes first. The markers occur
 * in no real query, so a folded list never looks like a short one.
 *
 * Cost is linear in the query: elements behind the first are looked at once
 * more only by the shape of lists that contain them, to a fixed depth. Nothing
 * raises an error but for want of memory: a tree too deep for the stack is
 * given up, and then the query keeps the core's identity.
 */
#include "postgres.h"

#include "catalog/namespace.h"
#include "common/hashfn.h"
#include "nodes/nodeFuncs.h"
#include "parser/scansup.h"
#include "utils/lsyscache.h"

#include "base/shmem.h"
#include "stats/identity.h"

#define MAX_SHAPE_DEPTH 16

/* Stand for "a constant", "constants, any number" and "any number more". */
static Const marker_constant;
static Const marker_constants;
static Const marker_more;

/* Shapes of things that are not hashed. */
#define SHAPE_NULL UINT64CONST(1)
#define SHAPE_CONSTANT UINT64CONST(2)
#define SHAPE_END UINT64CONST(3)

typedef struct Finder
{
	HoneFolds  *folds;
	const char *source;
	int			source_len;
	bool		temporary_tables;
	bool		given_up;
	int			mixed_location; /* of an IN with columns in it; -1 */
} Finder;

static void
make_marker(Const *marker, Oid type)
{
	marker->xpr.type = T_Const;
	marker->consttype = type;	/* of no real type */
	marker->location = -1;
}

static void
add_list(HoneFolds *folds, HoneListKind kind, int location)
{
	if (folds->nlists == folds->max_lists)
	{
		HoneList   *grown = palloc(folds->max_lists * 2 * sizeof(HoneList));

		memcpy(grown, folds->lists, folds->nlists * sizeof(HoneList));
		if (folds->lists != folds->list_space)
			pfree(folds->lists);
		folds->lists = grown;
		folds->max_lists *= 2;
	}
	folds->lists[folds->nlists].kind = kind;
	folds->lists[folds->nlists++].location = location;
}

void
hone_stats_add_edit(HoneFolds *folds, void *place, uint64 value, bool wide)
{
	HoneTreeEdit *edit;

	if (folds->nedits == folds->max_edits)
	{
		HoneTreeEdit *grown = palloc(folds->max_edits * 2 * sizeof(HoneTreeEdit));

		memcpy(grown, folds->edits, folds->nedits * sizeof(HoneTreeEdit));
		if (folds->edits != folds->edit_space)
			pfree(folds->edits);
		folds->edits = grown;
		folds->max_edits *= 2;
	}
	edit = &folds->edits[folds->nedits++];
	edit->place = place;
	edit->value = value;
	edit->wide = wide;
}

void
hone_stats_free_folds(HoneFolds *folds)
{
	if (folds->lists != folds->list_space)
		pfree(folds->lists);
	if (folds->edits != folds->edit_space)
		pfree(folds->edits);
}

static void
set_length(Finder *finder, List *list, int length)
{
	hone_stats_add_edit(finder->folds, &list->length, length, false);
}

static void
set_cell(Finder *finder, List *list, int n, void *node)
{
	hone_stats_add_edit(finder->folds, &lfirst(list_nth_cell(list, n)),
						(uint64) (uintptr_t) node, true);
}

/*
 * ------------------------------------------------------------------
 * What the source text says
 * ------------------------------------------------------------------
 */

static bool
word_at(const Finder *finder, int location, const char *word)
{
	int			len = (int) strlen(word);
	unsigned char next;

	if (location < 0 || location > finder->source_len - len ||
		pg_strncasecmp(finder->source + location, word, len) != 0)
		return false;
	next = (unsigned char) finder->source[location + len];
	return !((next >= 'a' && next <= 'z') || (next >= 'A' && next <= 'Z') ||
			 (next >= '0' && next <= '9') || next == '_' || next == '$' ||
			 IS_HIGHBIT_SET(next));
}

/* The end of a comment that begins here: comments nest. */
static const char *
comment_end(const char *text)
{
	int			depth = 0;

	do
	{
		if (text[0] == '/' && text[1] == '*')
		{
			depth++;
			text += 2;
		}
		else if (text[0] == '*' && text[1] == '/')
		{
			depth--;
			text += 2;
		}
		else if (*text != '\0')
			text++;
	} while (depth > 0 && *text != '\0');
	return text;
}

/* The next thing after white space and comments. */
static int
skip_blank(const Finder *finder, int location)
{
	const char *text = finder->source + location;

	for (;;)
	{
		if (*text != '\0' && scanner_isspace(*text))
			text++;
		else if (text[0] == '-' && text[1] == '-')
			text += strcspn(text, "\r\n");
		else if (text[0] == '/' && text[1] == '*')
			text = comment_end(text);
		else
			return (int) (text - finder->source);
	}
}

static bool
is_not_in(const Finder *finder, int location)
{
	return word_at(finder, location, "not") &&
		word_at(finder, skip_blank(finder, location + 3), "in");
}

static bool
is_in(const Finder *finder, int location)
{
	return word_at(finder, location, "in") || is_not_in(finder, location);
}

static bool
is_array(const Finder *finder, int location)
{
	return location >= 0 && location < finder->source_len &&
		(finder->source[location] == '[' || word_at(finder, location, "array"));
}

/*
 * ------------------------------------------------------------------
 * Shapes
 * ------------------------------------------------------------------
 */

static bool is_constant_list(const List *elements, int depth);

/*
 * A literal, an external parameter, DEFAULT, or a cast of one. Only the first
 * argument of a cast may be anything but a plain Const.
 */
static bool
is_constant(const Node *node, int depth)
{
	for (; node != NULL && depth > 0; depth--)
	{
		switch (nodeTag(node))
		{
			case T_Const:
			case T_SetToDefault:
				return true;
			case T_Param:
				return ((const Param *) node)->paramkind == PARAM_EXTERN;
			case T_RelabelType:
				node = (const Node *) ((const RelabelType *) node)->arg;
				break;
			case T_CoerceViaIO:
				node = (const Node *) ((const CoerceViaIO *) node)->arg;
				break;
			case T_CoerceToDomain:
				node = (const Node *) ((const CoerceToDomain *) node)->arg;
				break;
			case T_ArrayCoerceExpr:
				node = (const Node *) ((const ArrayCoerceExpr *) node)->arg;
				break;
			case T_ArrayExpr:
				return is_constant_list(((const ArrayExpr *) node)->elements, depth - 1);
			case T_FuncExpr:
				{
					const FuncExpr *func = (const FuncExpr *) node;

					if ((func->funcformat != COERCE_IMPLICIT_CAST &&
						 func->funcformat != COERCE_EXPLICIT_CAST) ||
						func->args == NIL)
						return false;
					for (int i = 1; i < list_length(func->args); i++)
					{
						if (!IsA(list_nth(func->args, i), Const))
							return false;
					}
					node = linitial(func->args);
				}
				break;
			default:
				return false;
		}
	}
	return false;
}

static bool
is_constant_list(const List *elements, int depth)
{
	ListCell   *cell;

	foreach(cell, elements)
	{
		/* Long lists are of plain literals: don't pay a call for each. */
		if (!IsA(lfirst(cell), Const) && !is_constant(lfirst(cell), depth))
			return false;
	}
	return true;
}

typedef struct Shape
{
	uint64		hash;
	int			depth;
} Shape;

static inline void
mix(Shape *shape, uint64 value)
{
	shape->hash = hash_combine64(shape->hash, value);
}

/* Mix in what tells two nodes of one kind apart; false: a kind we don't know. */
static bool
mix_node(Shape *shape, const Node *node)
{
	mix(shape, nodeTag(node));
	switch (nodeTag(node))
	{
		case T_List:
			mix(shape, list_length((const List *) node));
			return true;
		case T_Var:
			mix(shape, ((uint64) ((const Var *) node)->varno << 32) |
				(uint32) ((const Var *) node)->varattno);
			mix(shape, ((const Var *) node)->varlevelsup);
			return true;
		case T_FuncExpr:
			mix(shape, ((const FuncExpr *) node)->funcid);
			return true;
		case T_OpExpr:
		case T_DistinctExpr:
		case T_NullIfExpr:
			mix(shape, ((const OpExpr *) node)->opno);
			return true;
		case T_ScalarArrayOpExpr:
			mix(shape, ((const ScalarArrayOpExpr *) node)->opno);
			mix(shape, ((const ScalarArrayOpExpr *) node)->useOr);
			return true;
		case T_BoolExpr:
			mix(shape, ((const BoolExpr *) node)->boolop);
			return true;
		case T_RowCompareExpr:
			{
				ListCell   *cell;

				foreach(cell, ((const RowCompareExpr *) node)->opnos)
					mix(shape, lfirst_oid(cell));
			}
			return true;
		case T_RelabelType:
			mix(shape, ((const RelabelType *) node)->resulttype);
			return true;
		case T_CoerceViaIO:
			mix(shape, ((const CoerceViaIO *) node)->resulttype);
			return true;
		case T_CoerceToDomain:
			mix(shape, ((const CoerceToDomain *) node)->resulttype);
			return true;
		case T_ArrayCoerceExpr:
			mix(shape, ((const ArrayCoerceExpr *) node)->resulttype);
			return true;
		case T_CollateExpr:
			mix(shape, ((const CollateExpr *) node)->collOid);
			return true;
		case T_MinMaxExpr:
			mix(shape, ((const MinMaxExpr *) node)->op);
			return true;
		case T_NullTest:
			mix(shape, ((const NullTest *) node)->nulltesttype);
			return true;
		case T_BooleanTest:
			mix(shape, ((const BooleanTest *) node)->booltesttype);
			return true;
		case T_SQLValueFunction:
			mix(shape, ((const SQLValueFunction *) node)->op);
			return true;
		case T_RowExpr:
		case T_ArrayExpr:
		case T_CoalesceExpr:
		case T_CaseExpr:
		case T_CaseWhen:
		case T_CaseTestExpr:
			return true;
		default:
			return false;
	}
}

static bool
shape_walker(Node *node, void *context)
{
	Shape	   *shape = (Shape *) context;

	if (node == NULL)
	{
		mix(shape, SHAPE_NULL);
		return false;
	}
	if (is_constant(node, MAX_SHAPE_DEPTH))
	{
		mix(shape, SHAPE_CONSTANT);
		return false;
	}
	if (shape->depth >= MAX_SHAPE_DEPTH || !mix_node(shape, node))
		return true;
	shape->depth++;
	if (expression_tree_walker(node, shape_walker, context))
		return true;
	shape->depth--;
	mix(shape, SHAPE_END);
	return false;
}

/* 0: there is something in it that we don't compare. */
static uint64
shape_of_expression(Node *node)
{
	Shape		shape = {0, 0};

	if (is_constant(node, MAX_SHAPE_DEPTH))
		return SHAPE_CONSTANT;
	if (shape_walker(node, &shape))
		return 0;
	return shape.hash != 0 ? shape.hash : 1;
}

static inline uint64
shape_of(Node *node)
{
	return IsA(node, Const) ? SHAPE_CONSTANT : shape_of_expression(node);
}

static bool
have_same_shape(const List *elements)
{
	uint64		first = shape_of(linitial(elements));

	for (int i = 1; first != 0 && i < list_length(elements); i++)
	{
		if (shape_of(list_nth(elements, i)) != first)
			first = 0;
	}
	return first != 0;
}

/*
 * ------------------------------------------------------------------
 * Lists
 * ------------------------------------------------------------------
 */

static bool find(Node *node, void *context);

/*
 * In a list that is folded only the first element is looked into for more, and
 * where that is a constant, only for lists to cut in the text.
 */
static bool
fold_elements(Finder *finder, List *elements, HoneListKind kind, int location)
{
	if (list_length(elements) < 2)
		return false;
	if (is_constant_list(elements, MAX_SHAPE_DEPTH))
	{
		/* Lists among the elements fold first, or they would be changed here. */
		if (find(linitial(elements), finder))
			return true;
		set_cell(finder, elements, 0, &marker_constants);
		set_length(finder, elements, 1);
	}
	else if (have_same_shape(elements))
	{
		if (find(linitial(elements), finder))
			return true;
		set_cell(finder, elements, 1, &marker_more);
		set_length(finder, elements, 2);
	}
	else
		return false;
	add_list(finder->folds, kind, location);
	return true;
}

static bool
find_in_array(Finder *finder, ArrayExpr *array)
{
	if (is_array(finder, array->location) &&
		fold_elements(finder, array->elements, HONE_LIST_ARRAY, array->location))
		return finder->given_up;
	return expression_tree_walker((Node *) array, find, finder);
}

/* The array that IN has made; it has no place of its own. */
static ArrayExpr *
in_list(const ScalarArrayOpExpr *op)
{
	Node	   *node = lsecond(op->args);

	for (;;)
	{
		if (IsA(node, RelabelType))
			node = (Node *) ((RelabelType *) node)->arg;
		else if (IsA(node, ArrayCoerceExpr))
			node = (Node *) ((ArrayCoerceExpr *) node)->arg;
		else if (IsA(node, ArrayExpr) && ((ArrayExpr *) node)->location < 0)
			return (ArrayExpr *) node;
		else
			return NULL;
	}
}

static bool
find_in_array_op(Finder *finder, ScalarArrayOpExpr *op)
{
	ArrayExpr  *array = in_list(op);

	if (array != NULL && op->location != finder->mixed_location &&
		is_in(finder, op->location) &&
		fold_elements(finder, array->elements, HONE_LIST_IN, op->location))
		return finder->given_up || find(linitial(op->args), finder);
	return expression_tree_walker((Node *) op, find, finder);
}

/*
 * IN with row values, or without an array type: a chain of ORs that leans to
 * the left, all at the place of IN; NOT IN is one of ANDs.
 */
static bool
is_chain(const Finder *finder, const BoolExpr *expr)
{
	if (expr->location < 0 || list_length(expr->args) != 2)
		return false;
	if (expr->boolop == OR_EXPR)
		return word_at(finder, expr->location, "in");
	return expr->boolop == AND_EXPR && is_not_in(finder, expr->location);
}

static BoolExpr *
next_in_chain(const BoolExpr *link)
{
	BoolExpr   *next = linitial(link->args);

	if (IsA(next, BoolExpr) && next->boolop == link->boolop &&
		next->location == link->location && list_length(next->args) == 2)
		return next;
	return NULL;
}

static bool
find_in_chain(Finder *finder, BoolExpr *top)
{
	BoolExpr   *link = top;
	BoolExpr   *next;
	uint64		shape = shape_of(lsecond(top->args));

	while ((next = next_in_chain(link)) != NULL)
	{
		link = next;
		if (shape != 0 && shape_of(lsecond(link->args)) != shape)
			shape = 0;
	}
	if (shape != 0 && shape_of(linitial(link->args)) == shape)
	{
		if (find(linitial(link->args), finder))
			return true;
		set_cell(finder, top->args, 0, linitial(link->args));
		set_cell(finder, top->args, 1, &marker_more);
		add_list(finder->folds, HONE_LIST_IN, top->location);
		return false;
	}

	/* Not alike. Go down here, where no link is looked at as a chain again. */
	for (link = top; link != NULL; link = next)
	{
		next = next_in_chain(link);
		if (find(lsecond(link->args), finder))
			return true;
		if (next == NULL)
		{
			finder->mixed_location = top->location;
			return find(linitial(link->args), finder);
		}
	}
	return false;
}

/* Are the rows alike, column by column? */
static bool
rows_have_same_shape(const List *rows)
{
	const List *first = linitial(rows);
	uint64	   *shapes = palloc(Max(list_length(first), 1) * sizeof(uint64));
	bool		same = true;

	for (int column = 0; same && column < list_length(first); column++)
		same = (shapes[column] = shape_of(list_nth(first, column))) != 0;
	for (int i = 1; same && i < list_length(rows); i++)
	{
		const List *row = list_nth(rows, i);

		same = list_length(row) == list_length(first);
		for (int column = 0; same && column < list_length(first); column++)
			same = shape_of(list_nth(row, column)) == shapes[column];
	}
	pfree(shapes);
	return same;
}

static bool
find_in_rows(Finder *finder, List *rows)
{
	List	   *first;
	int			location;

	if (list_length(rows) < 2)
		return find((Node *) rows, finder);
	first = linitial(rows);
	location = exprLocation((Node *) first);
	if (location < 0 || !rows_have_same_shape(rows))
		return find((Node *) rows, finder);

	if (find((Node *) first, finder))
		return true;
	for (int column = 0; column < list_length(first); column++)
	{
		if (is_constant(list_nth(first, column), MAX_SHAPE_DEPTH))
			set_cell(finder, first, column, &marker_constant);
	}
	set_cell(finder, rows, 1, &marker_more);
	set_length(finder, rows, 2);
	add_list(finder->folds, HONE_LIST_VALUES, location);
	return false;
}

/*
 * ------------------------------------------------------------------
 * The walk
 * ------------------------------------------------------------------
 */

/* A temporary table is known by its name: it has a new OID each time. */
static void
look_at_table(Finder *finder, RangeTblEntry *rte)
{
	char	   *name;

	if (!finder->temporary_tables ||
		get_rel_persistence(rte->relid) != RELPERSISTENCE_TEMP)
		return;
	name = get_rel_name(rte->relid);
	if (name == NULL)
		return;
	hone_stats_add_edit(finder->folds, &rte->relid,
						hash_bytes((const unsigned char *) name, (int) strlen(name)),
						false);
	pfree(name);
	finder->folds->temporary = true;
}

static bool
find_in_range_table(Finder *finder, List *rtable)
{
	ListCell   *cell;

	foreach(cell, rtable)
	{
		RangeTblEntry *rte = lfirst_node(RangeTblEntry, cell);
		bool		stop = false;

		switch (rte->rtekind)
		{
			case RTE_RELATION:
				look_at_table(finder, rte);
				stop = find((Node *) rte->tablesample, finder);
				break;
			case RTE_SUBQUERY:
				stop = find((Node *) rte->subquery, finder);
				break;
			case RTE_FUNCTION:
				stop = find((Node *) rte->functions, finder);
				break;
			case RTE_TABLEFUNC:
				stop = find((Node *) rte->tablefunc, finder);
				break;
			case RTE_VALUES:
				stop = find_in_rows(finder, rte->values_lists);
				break;
			default:
				break;
		}
		if (stop)
			return true;
	}
	return false;
}

static inline bool
is_leaf(const Node *node)
{
	return node == NULL || IsA(node, Var) || IsA(node, Const) || IsA(node, Param);
}

static bool
find(Node *node, void *context)
{
	Finder	   *finder = (Finder *) context;
	ListCell   *cell;

	/* The most frequent nodes are not worth the general walker. */
	while (!is_leaf(node))
	{
		if (IsA(node, TargetEntry))
			node = (Node *) ((TargetEntry *) node)->expr;
		else if (IsA(node, OpExpr))
			node = (Node *) ((OpExpr *) node)->args;
		else if (IsA(node, FuncExpr))
			node = (Node *) ((FuncExpr *) node)->args;
		else
			break;
	}
	if (is_leaf(node))
		return false;
	if (stack_is_too_deep())
	{
		finder->given_up = true;
		return true;
	}
	switch (nodeTag(node))
	{
		case T_List:
			foreach(cell, (List *) node)
			{
				if (!is_leaf(lfirst(cell)) && find(lfirst(cell), context))
					return true;
			}
			return false;
		case T_Query:
			return find_in_range_table(finder, ((Query *) node)->rtable) ||
				query_tree_walker((Query *) node, find, context,
								  QTW_IGNORE_RANGE_TABLE);
		case T_ArrayExpr:
			return find_in_array(finder, (ArrayExpr *) node);
		case T_ScalarArrayOpExpr:
			return find_in_array_op(finder, (ScalarArrayOpExpr *) node);
		case T_BoolExpr:
			if (is_chain(finder, (BoolExpr *) node))
				return find_in_chain(finder, (BoolExpr *) node);
			break;
		default:
			break;
	}
	return expression_tree_walker(node, find, context);
}

/* Has this session any temporary table? */
static bool
have_temporary_tables(void)
{
	Oid			schema;
	Oid			toast_schema;

	GetTempNamespaceState(&schema, &toast_schema);
	return OidIsValid(schema);
}

/* Find what does not count in a query. Free the result, whatever it is. */
void
hone_stats_find_folds(Query *query, const char *source, bool temporary_tables,
					  HoneFolds *folds)
{
	Finder		finder;

	make_marker(&marker_constant, (Oid) 1);
	make_marker(&marker_constants, (Oid) 2);
	make_marker(&marker_more, (Oid) 3);

	folds->lists = folds->list_space;
	folds->nlists = 0;
	folds->max_lists = lengthof(folds->list_space);
	folds->edits = folds->edit_space;
	folds->nedits = 0;
	folds->temporary = false;
	folds->max_edits = lengthof(folds->edit_space);

	finder.folds = folds;
	finder.source = source;
	/* One statement of a long script must not cost the length of all of it. */
	finder.source_len = query->stmt_location >= 0 && query->stmt_len > 0
		? query->stmt_location + query->stmt_len : (int) strlen(source);
	finder.temporary_tables = temporary_tables && have_temporary_tables();
	finder.given_up = false;
	finder.mixed_location = -1;
	if (find((Node *) query, &finder))
	{
		folds->nlists = 0;
		folds->nedits = 0;
	}
}
