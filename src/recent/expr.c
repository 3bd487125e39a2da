/*
 * expr.c
 *	  Reading a user's scalar expression over one source.
 *
 * The text goes through the server's own parser and must come out as exactly
 * one expression that sees exactly one relation; what is put into a view is
 * the deparsed tree, never the text. Nothing is executed or folded here, so
 * it does not matter who the current user is. The relation must be locked by
 * the caller. Errors carry a context line that names the argument, and their
 * position is that in the user's text.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/clauses.h"
#include "optimizer/optimizer.h"
#include "parser/parse_coerce.h"
#include "parser/parse_collate.h"
#include "parser/parse_expr.h"
#include "parser/parse_relation.h"
#include "parser/parser.h"
#include "utils/builtins.h"
#include "utils/rel.h"
#include "utils/ruleutils.h"

#include "base/compat.h"
#include "recent/recent.h"

/* The line break ends a comment that the text may end in. */
#define PREFIX "SELECT ("
#define SUFFIX "\n)"

typedef struct ParseContext
{
	const char *text;
	const char *argument;
	Relation	rel;
} ParseContext;

const char *
hone_recent_argument_name(HoneFeedArgument argument)
{
	static const char *const names[] = {"title", "description", "severity", "filter"};

	return names[argument];
}

static void
add_context(void *arg)
{
	ParseContext *context = arg;
	int			position = geterrposition();

	if (position > 0)
	{
		position -= strlen(PREFIX);
		errposition(0);
		if (position > 0 && position <= (int) strlen(context->text) + 1)
		{
			internalerrposition(position);
			internalerrquery(context->text);
		}
	}
	errcontext("argument \"%s\" of the feed source \"%s\"",
			   context->argument, RelationGetRelationName(context->rel));
}

static void
refuse(const char *argument, int code, const char *what)
{
	ereport(ERROR,
			(errcode(code),
			 errmsg("%s must not contain %s", argument, what),
			 errhint("Give one scalar expression over the columns of the source.")));
}

/* The single expression in the text, or an error. */
static Node *
single_expression(const ParseContext *context, const char *statement)
{
	List	   *raw = raw_parser(statement, RAW_PARSE_DEFAULT);
	SelectStmt *select;

	if (list_length(raw) == 1 &&
		IsA(linitial_node(RawStmt, raw)->stmt, SelectStmt))
	{
		select = (SelectStmt *) linitial_node(RawStmt, raw)->stmt;

		if (select->op == SETOP_NONE && select->valuesLists == NIL &&
			select->distinctClause == NIL && select->intoClause == NULL &&
			select->fromClause == NIL && select->whereClause == NULL &&
			select->groupClause == NIL && select->havingClause == NULL &&
			select->windowClause == NIL && select->sortClause == NIL &&
			select->limitOffset == NULL && select->limitCount == NULL &&
			select->lockingClause == NIL && select->withClause == NULL &&
			list_length(select->targetList) == 1)
		{
			ResTarget  *target = linitial_node(ResTarget, select->targetList);

			if (target->name == NULL && target->indirection == NIL)
				return target->val;
		}
	}

	ereport(ERROR,
			(errcode(ERRCODE_SYNTAX_ERROR),
			 errmsg("%s is not one scalar expression", context->argument)));
	return NULL;				/* keep compiler quiet */
}

static Node *
analyse(const ParseContext *context, const char *statement, Oid target_type)
{
	ParseState *pstate;
	ParseNamespaceItem *item;
	Node	   *expr = single_expression(context, statement);
	Oid			type;

	pstate = make_parsestate(NULL);
	pstate->p_sourcetext = statement;
	item = addRangeTableEntryForRelation(pstate, context->rel, AccessShareLock,
										 NULL, false, true);
	addNSItemToQuery(pstate, item, true, true, true);

	expr = transformExpr(pstate, expr, EXPR_KIND_SELECT_TARGET);

	if (pstate->p_hasSubLinks)
		refuse(context->argument, ERRCODE_FEATURE_NOT_SUPPORTED, "a subquery");
	if (pstate->p_hasAggs)
		refuse(context->argument, ERRCODE_GROUPING_ERROR, "an aggregate function");
	if (pstate->p_hasWindowFuncs)
		refuse(context->argument, ERRCODE_WINDOWING_ERROR, "a window function");
	if (pstate->p_hasTargetSRFs || expression_returns_set(expr))
		refuse(context->argument, ERRCODE_FEATURE_NOT_SUPPORTED,
			   "a set-returning function");

	type = exprType(expr);
	if (target_type == BOOLOID)
		expr = coerce_to_boolean(pstate, expr, context->argument);
	else
		expr = coerce_to_target_type(pstate, expr, type, target_type, -1,
									 COERCION_EXPLICIT, COERCE_EXPLICIT_CAST, -1);
	if (expr == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("%s cannot be converted from type %s to type %s",
						context->argument, format_type_be(type),
						format_type_be(target_type))));

	assign_expr_collations(pstate, expr);

	if (contain_volatile_functions(expr))
		refuse(context->argument, ERRCODE_INVALID_OBJECT_DEFINITION,
			   "a volatile function");

	free_parsestate(pstate);
	return expr;
}

Node *
hone_recent_parse(Relation rel, const char *text, const char *argument,
				  Oid target_type)
{
	ParseContext context = {text, argument, rel};
	ErrorContextCallback callback;
	Node	   *expr;

	callback.callback = add_context;
	callback.arg = &context;
	callback.previous = error_context_stack;
	error_context_stack = &callback;

	if (text[strspn(text, " \t\r\n")] == '\0')
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("%s must not be empty", argument)));

	expr = analyse(&context, psprintf(PREFIX "%s" SUFFIX, text), target_type);

	error_context_stack = callback.previous;
	return expr;
}

/*
 * The expression as text, each column qualified by the alias. Other names are
 * qualified unless they are found through the search_path in force: lock it.
 */
char *
hone_recent_deparse(Node *expr, Relation rel, const char *alias)
{
	return deparse_expression(expr,
							  deparse_context_for(alias, RelationGetRelid(rel)),
							  true, false);
}
