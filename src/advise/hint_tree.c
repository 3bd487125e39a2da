/*
 * hint_tree.c
 *	  Whose column is it? Reading analysed trees before they are planned.
 *
 * A column is followed through join aliases and through subqueries (views
 * among them) that the planner could flatten or push a condition into; where a
 * LIMIT, a window, an aggregate or a set operation stands between, it is not the
 * table's column any more. Only tables that one could index count. Pure
 * functions of the tree and the catalogs; memory is the caller's.
 */
#include "postgres.h"

#include "access/transam.h"
#include "catalog/pg_class.h"
#include "mb/pg_wchar.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/clauses.h"
#include "optimizer/optimizer.h"
#include "parser/parsetree.h"
#include "rewrite/rewriteManip.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/ruleutils.h"

#include "advise/hint.h"

#define MAX_TEXT 300			/* of a piece of a statement in a hint */

/* Without casts that change nothing. */
Node *
hone_hint_strip(Node *node)
{
	while (node && IsA(node, RelabelType))
		node = (Node *) ((RelabelType *) node)->arg;
	return node;
}

/* Could a condition on its output be a condition on its tables? */
static bool
is_transparent(Query *query)
{
	return query->commandType == CMD_SELECT && query->setOperations == NULL &&
		query->groupClause == NIL && query->groupingSets == NIL && !query->hasAggs &&
		!query->hasWindowFuncs && !query->hasTargetSRFs && query->distinctClause == NIL &&
		query->limitCount == NULL && query->limitOffset == NULL && query->rowMarks == NIL;
}

static bool
is_table(RangeTblEntry *rte)
{
	return rte->rtekind == RTE_RELATION && rte->relid >= FirstNormalObjectId &&
		(rte->relkind == RELKIND_RELATION || rte->relkind == RELKIND_MATVIEW ||
		 rte->relkind == RELKIND_PARTITIONED_TABLE);
}

static bool
resolve_in(Query *query, Var *var, HoneColumn *column)
{
	for (int depth = 0; depth < 50; depth++)
	{
		RangeTblEntry *rte;
		Node	   *next = NULL;
		TargetEntry *tle;

		if (var->varno <= 0 || var->varno > list_length(query->rtable) || var->varattno <= 0)
			return false;
		rte = rt_fetch(var->varno, query->rtable);
		switch (rte->rtekind)
		{
			case RTE_RELATION:
				if (!is_table(rte))
					return false;
				column->query = query;
				column->rtindex = var->varno;
				column->relid = rte->relid;
				column->attno = var->varattno;
				return true;
			case RTE_JOIN:
				next = list_nth(rte->joinaliasvars, var->varattno - 1);
				break;
			case RTE_SUBQUERY:
				if (!is_transparent(rte->subquery))
					return false;
				tle = get_tle_by_resno(rte->subquery->targetList, var->varattno);
				next = tle ? (Node *) tle->expr : NULL;
				query = rte->subquery;
				break;
			default:
				return false;
		}
		next = hone_hint_strip(next);
		if (next == NULL || !IsA(next, Var) || ((Var *) next)->varlevelsup != 0)
			return false;
		var = (Var *) next;
	}
	return false;
}

bool
hone_hint_resolve(HoneHintWalk *walk, Var *var, HoneColumn *column)
{
	if ((int) var->varlevelsup >= list_length(walk->levels))
		return false;
	return resolve_in(list_nth(walk->levels, var->varlevelsup), var, column);
}

/* Is it a column, but for casts that change nothing? */
bool
hone_hint_column(HoneHintWalk *walk, Node *node, HoneColumn *column)
{
	node = hone_hint_strip(node);
	return node && IsA(node, Var) && ((Var *) node)->varlevelsup == 0 &&
		hone_hint_resolve(walk, (Var *) node, column);
}

typedef struct OnlyColumn
{
	HoneHintWalk *walk;
	HoneColumn *column;
	bool		found;
} OnlyColumn;

/* Stops at anything that is not made of one column and values. */
static bool
other_walker(Node *node, void *context)
{
	OnlyColumn *only = context;

	if (node == NULL)
		return false;
	if (IsA(node, SubLink) || IsA(node, Query) || IsA(node, Aggref) ||
		IsA(node, WindowFunc) || IsA(node, GroupingFunc))
		return true;
	if (IsA(node, Var))
	{
		HoneColumn	column;

		if (((Var *) node)->varlevelsup != 0 ||
			!hone_hint_resolve(only->walk, (Var *) node, &column))
			return true;
		if (only->found && (column.query != only->column->query ||
							column.rtindex != only->column->rtindex ||
							column.attno != only->column->attno))
			return true;
		*only->column = column;
		only->found = true;
		return false;
	}
	return expression_tree_walker(node, other_walker, context);
}

/* Is it an expression over exactly one column? */
bool
hone_hint_only_column(HoneHintWalk *walk, Node *node, HoneColumn *column)
{
	OnlyColumn	only = {walk, column, false};

	return !other_walker(node, &only) && only.found;
}

/* Known before the scan: no column of this query, no subquery. */
bool
hone_hint_is_value(Node *node)
{
	return !contain_var_clause(node) && !contain_subplans(node) &&
		!contain_aggs_of_level(node, 0) && !contain_windowfuncs(node);
}

static Node *
params_mutator(Node *node, void *context)
{
	ParamListInfo params = context;

	if (node == NULL)
		return NULL;
	if (IsA(node, Param) && ((Param *) node)->paramkind == PARAM_EXTERN)
	{
		Param	   *param = (Param *) node;
		ParamExternData *value;
		int16		typlen;
		bool		typbyval;

		if (params == NULL || param->paramid <= 0 || param->paramid > params->numParams)
			return node;
		value = &params->params[param->paramid - 1];
		if (value->ptype != param->paramtype)
			return node;
		get_typlenbyval(param->paramtype, &typlen, &typbyval);
		return (Node *) makeConst(param->paramtype, param->paramtypmod, param->paramcollid,
								  typlen, value->value, value->isnull, typbyval);
	}
	if (IsA(node, Query))
		return node;
	return expression_tree_mutator(node, params_mutator, context);
}

/* With the sample's values put in and constants folded. */
Node *
hone_hint_folded(HoneHintWalk *walk, Node *node)
{
	return eval_const_expressions(NULL, params_mutator(copyObject(node), walk->params));
}

/* Cut for reading, at a character's end. */
static char *
cut(char *text)
{
	int			len = strlen(text);

	if (len <= MAX_TEXT)
		return text;
	text[pg_mbcliplen(text, len, MAX_TEXT)] = '\0';
	return psprintf("%s...", text);
}

/* A value as SQL. */
char *
hone_hint_text(Node *node)
{
	if (!hone_hint_is_value(node))
		return pstrdup("...");
	return cut(deparse_expression(node, NIL, false, false));
}

char *
hone_hint_column_text(const HoneColumn *column)
{
	return psprintf("%s.%s", quote_identifier(get_rel_name(column->relid)),
					quote_identifier(get_attname(column->relid, column->attno, false)));
}

typedef struct OneTable
{
	HoneHintWalk *walk;
	const HoneColumn *column;
} OneTable;

static Node *
table_mutator(Node *node, void *context)
{
	OneTable   *one = context;

	if (node == NULL)
		return NULL;
	if (IsA(node, Var))
	{
		Var		   *var = (Var *) node;

		return (Node *) makeVar(1, one->column->attno, var->vartype, var->vartypmod,
								var->varcollid, 0);
	}
	return expression_tree_mutator(node, table_mutator, context);
}

/* An expression over one column (hone_hint_only_column) as SQL. */
char *
hone_hint_expression_text(HoneHintWalk *walk, Node *node, const HoneColumn *column)
{
	OneTable	one = {walk, column};

	return cut(deparse_expression(table_mutator(copyObject(node), &one),
								  deparse_context_for(get_rel_name(column->relid), column->relid),
								  false, false));
}

/* What the planner saw of a table of the statement. */
HoneRelUse *
hone_hint_table(HoneHintWalk *walk, Oid relid)
{
	ListCell   *lc;

	foreach(lc, walk->st->rels)
		if (((HoneRelUse *) lfirst(lc))->relid == relid)
			return lfirst(lc);
	return NULL;
}

/* Large enough for an index to matter? (Of partitioned ones no size is known.) */
bool
hone_hint_is_large(HoneHintWalk *walk, Oid relid)
{
	HoneRelUse *use = hone_hint_table(walk, relid);

	return use && (use->pages == 0 ? get_rel_relkind(relid) == RELKIND_PARTITIONED_TABLE :
				   use->pages >= HONE_SMALL_PAGES);
}

/* A usable index that begins with the plain column. */
HoneExisting *
hone_hint_index_on(HoneHintWalk *walk, const HoneColumn *column, Oid amoid)
{
	ListCell   *lc;

	foreach(lc, walk->run->existing)
	{
		HoneExisting *e = lfirst(lc);

		if (e->relid == column->relid && e->amoid == amoid && e->valid &&
			e->predicate == NULL && e->nkeys > 0 && e->keys[0].attno == column->attno)
			return e;
	}
	return NULL;
}

static void
add_conjuncts(Node *quals, List **conditions)
{
	ListCell   *lc;

	if (quals == NULL)
		return;
	if (is_andclause(quals))
	{
		foreach(lc, ((BoolExpr *) quals)->args)
			add_conjuncts(lfirst(lc), conditions);
		return;
	}
	if (IsA(quals, List))
	{
		foreach(lc, (List *) quals)
			add_conjuncts(lfirst(lc), conditions);
		return;
	}
	*conditions = lappend(*conditions, quals);
}

static void
add_conditions(Node *jtnode, List **conditions)
{
	ListCell   *lc;

	if (jtnode == NULL)
		return;
	if (IsA(jtnode, FromExpr))
	{
		foreach(lc, ((FromExpr *) jtnode)->fromlist)
			add_conditions(lfirst(lc), conditions);
		add_conjuncts(((FromExpr *) jtnode)->quals, conditions);
	}
	else if (IsA(jtnode, JoinExpr))
	{
		add_conditions(((JoinExpr *) jtnode)->larg, conditions);
		add_conditions(((JoinExpr *) jtnode)->rarg, conditions);
		add_conjuncts(((JoinExpr *) jtnode)->quals, conditions);
	}
}

/* What WHERE and ON ask for, all of which must hold. */
List *
hone_hint_conditions(Query *query)
{
	List	   *conditions = NIL;

	add_conditions((Node *) query->jointree, &conditions);
	return conditions;
}
