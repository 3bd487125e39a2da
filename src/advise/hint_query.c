/*
 * hint_query.c
 *	  Hints about a query as a whole: OFFSET, IN with ORDER BY and LIMIT,
 *	  ORDER BY random(), count(*) of everything, UNION, DISTINCT over a join.
 *
 * Each is said only where the tree leaves no doubt that the construct is there,
 * and the plan that it costs something. What a rewrite must be checked for is
 * part of the hint.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/stratnum.h"
#include "access/transam.h"
#include "catalog/pg_attribute.h"
#include "catalog/pg_class.h"
#include "catalog/pg_collation.h"
#include "catalog/pg_type.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "optimizer/tlist.h"
#include "parser/parsetree.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

#include "advise/hint.h"
#include "base/compat.h"

#define LARGE_OFFSET 1000
#define MANY_ROWS 1000.0		/* sorted, to return a few */
#define COUNTED_ROWS 50000.0

/* The number that LIMIT or OFFSET has; -1 when not known. */
static int64
known_number(HoneHintWalk *walk, Node *node)
{
	Const	   *c;

	if (node == NULL || !hone_hint_is_value(node))
		return -1;
	c = (Const *) hone_hint_folded(walk, node);
	if (!IsA(c, Const) || c->constisnull || c->consttype != INT8OID)
		return -1;
	return DatumGetInt64(c->constvalue);
}

/* The text of a sort key: a column, or an expression over one. */
static char *
sort_key_text(HoneHintWalk *walk, Node *expr)
{
	HoneColumn	column;

	if (hone_hint_column(walk, expr, &column))
		return hone_hint_column_text(&column);
	if (hone_hint_only_column(walk, expr, &column))
		return hone_hint_expression_text(walk, expr, &column);
	return NULL;
}

static bool
sorts_descending(SortGroupClause *clause)
{
	return hone_hint_strategy(clause->sortop) == BTGreaterStrategyNumber;
}

/* WHERE (a, b) > (last a, last b) ORDER BY a, b; NULL when directions differ. */
static char *
keyset_example(HoneHintWalk *walk, Query *query, int64 limit)
{
	StringInfoData keys;
	StringInfoData last;
	StringInfoData order;
	bool		descending = false;
	ListCell   *lc;

	initStringInfo(&keys);
	initStringInfo(&last);
	initStringInfo(&order);
	foreach(lc, query->sortClause)
	{
		SortGroupClause *clause = lfirst_node(SortGroupClause, lc);
		char	   *key = sort_key_text(walk, get_sortgroupclause_expr(clause, query->targetList));
		const char *comma = foreach_current_index(lc) > 0 ? ", " : "";

		if (key == NULL)
			return NULL;
		if (foreach_current_index(lc) == 0)
			descending = sorts_descending(clause);
		else if (descending != sorts_descending(clause))
			return NULL;
		appendStringInfo(&keys, "%s%s", comma, key);
		appendStringInfo(&last, "%slast_%d", comma, foreach_current_index(lc) + 1);
		appendStringInfo(&order, "%s%s%s", comma, key, descending ? " DESC" : "");
	}
	return psprintf("WHERE (%s) %c (%s) ORDER BY %s LIMIT %s", keys.data,
					descending ? '<' : '>', last.data, order.data,
					limit >= 0 ? psprintf(INT64_FORMAT, limit) : "n");
}

static void
look_at_offset(HoneHintWalk *walk, Query *query)
{
	int64		offset = known_number(walk, query->limitOffset);
	int64		limit = known_number(walk, query->limitCount);

	if (offset < LARGE_OFFSET || query->rtable == NIL)
		return;
	if (query->sortClause == NIL)
		hone_hint_add(walk, InvalidOid, "offset",
					  "OFFSET reads and throws away all rows before the page, and without ORDER BY no page is"
					  " certain to follow another. Order by a unique key, and let each page begin after the last"
					  " row of the one before.",
					  psprintf("OFFSET " INT64_FORMAT, offset), NULL);
	else
		hone_hint_add(walk, InvalidOid, "offset",
					  "OFFSET reads and throws away all rows before the page, whatever index there is. Let the next"
					  " page begin after the last row of this one (keyset): an index on the order then reads only the"
					  " page. To check: the order must be unique (add the primary key to it) and its columns not null;"
					  " pages can then be followed, but not jumped to.",
					  psprintf("OFFSET " INT64_FORMAT " for " INT64_FORMAT " rows", offset, limit),
					  keyset_example(walk, query, limit));
}

static bool
is_sort_below(PlannedStmt *stmt pg_attribute_unused(), Plan *plan, void *arg)
{
	double	   *rows = arg;

	if (IsA(plan, Sort) && outerPlan(plan) && outerPlan(plan)->plan_rows > *rows)
		*rows = outerPlan(plan)->plan_rows;
	return false;
}

/* The most rows that some sort of the plan takes in. */
static double
sorted_rows(PlannedStmt *plan)
{
	double		rows = 0;

	(void) hone_hint_any_plan(plan, is_sort_below, &rows);
	return rows;
}

/* Does the recommended plan rest on a guess about LIMIT (price.c)? */
static bool
rests_on_guess(HoneHintWalk *walk)
{
	HoneStatement *st = walk->st;
	int			i = -1;

	while (st->final && (i = bms_next_member(st->final->used, i)) >= 0)
		if (hone_advise_is_guess(st, walk->run->candidates[i]))
			return true;
	return false;
}

/*
 * = ANY (several values) on a column that is not the one ordered by. Where a
 * recommended index on the order alone spares the sort, that is a guess.
 */
static void
look_at_in_with_order(HoneHintWalk *walk, Query *query)
{
	HoneColumn	ordered;
	SortGroupClause *first;
	ListCell   *lc;
	int64		limit = known_number(walk, query->limitCount);
	int64		offset = Max(known_number(walk, query->limitOffset), 0);

	if (query->sortClause == NIL || query->limitCount == NULL || query->groupClause != NIL ||
		query->hasAggs || query->hasWindowFuncs || query->distinctClause != NIL ||
		sorted_rows(walk->before) < Max(MANY_ROWS, 4.0 * (limit + offset)) ||
		(sorted_rows(walk->after) < MANY_ROWS && !rests_on_guess(walk)))
		return;
	first = linitial_node(SortGroupClause, query->sortClause);
	if (!hone_hint_column(walk, get_sortgroupclause_expr(first, query->targetList), &ordered) ||
		!hone_hint_is_large(walk, ordered.relid))
		return;
	foreach(lc, hone_hint_conditions(query))
	{
		ScalarArrayOpExpr *saop = lfirst(lc);
		HoneColumn	column;
		Const	   *values;
		ArrayType  *array;
		int			n;
		const char *table;
		const char *by;

		if (!IsA(saop, ScalarArrayOpExpr) || !saop->useOr || get_mergejoin_opfamilies(saop->opno) == NIL ||
			!hone_hint_column(walk, linitial(saop->args), &column) ||
			column.query != ordered.query || column.rtindex != ordered.rtindex ||
			column.attno == ordered.attno || !hone_hint_is_value(lsecond(saop->args)))
			continue;
		values = (Const *) hone_hint_folded(walk, lsecond(saop->args));
		if (!IsA(values, Const) || values->constisnull)
			continue;
		array = DatumGetArrayTypeP(values->constvalue);
		n = ArrayGetNItems(ARR_NDIM(array), ARR_DIMS(array));
		if (n < 2)
			continue;
		table = quote_identifier(get_rel_name(column.relid));
		by = psprintf("%s%s", quote_identifier(get_attname(ordered.relid, ordered.attno, false)),
					  sorts_descending(first) ? " DESC" : "");
		hone_hint_add(walk, column.relid, "in_list_order_limit",
					  psprintf("Several values of %s at once cannot be read in the order of %s: all their rows are"
							   " read and sorted, to return a few. Take the first rows of each value and order those:"
							   " with an index on (%s, %s) each is a short scan. To check: the values must be distinct,"
							   " and OFFSET belongs to the outer LIMIT only (the inner one needs both together).",
							   hone_hint_column_text(&column), hone_hint_column_text(&ordered),
							   quote_identifier(get_attname(column.relid, column.attno, false)), by),
					  psprintf("%d values; about %.0f rows are sorted", n, sorted_rows(walk->before)),
					  psprintf("SELECT s.* FROM (SELECT DISTINCT unnest(%s) AS v) AS l CROSS JOIN LATERAL"
							   " (SELECT * FROM %s AS t WHERE t.%s = l.v ORDER BY t.%s LIMIT %s) AS s"
							   " ORDER BY s.%s LIMIT %s",
							   hone_hint_text(lsecond(saop->args)), table,
							   quote_identifier(get_attname(column.relid, column.attno, false)), by,
							   limit >= 0 ? psprintf(INT64_FORMAT, limit + offset) : "n", by,
							   limit >= 0 ? psprintf(INT64_FORMAT, limit) : "n"));
		return;
	}
}

static bool
is_random_call(Node *node)
{
	char	   *name;

	if (node == NULL || !IsA(node, FuncExpr) || ((FuncExpr *) node)->args != NIL ||
		((FuncExpr *) node)->funcid >= FirstNormalObjectId)
		return false;
	name = get_func_name(((FuncExpr *) node)->funcid);
	return name && strcmp(name, "random") == 0;
}

static void
look_at_random_order(HoneHintWalk *walk, Query *query)
{
	SortGroupClause *first;

	if (query->sortClause == NIL || query->limitCount == NULL ||
		sorted_rows(walk->after) < MANY_ROWS)
		return;
	first = linitial_node(SortGroupClause, query->sortClause);
	if (is_random_call(get_sortgroupclause_expr(first, query->targetList)))
		hone_hint_add(walk, InvalidOid, "order_by_random",
					  "ORDER BY random() reads and sorts all rows to return a few, and no index can help. Take a sample"
					  " (TABLESAMPLE, which takes whole pages or rows by chance), or keep a random number in an indexed"
					  " column and read from a random place on. To check: neither is as evenly distributed, and a sample"
					  " may return fewer rows than asked for.",
					  psprintf("about %.0f rows are sorted", sorted_rows(walk->after)),
					  "SELECT ... FROM t TABLESAMPLE SYSTEM (1) ORDER BY random() LIMIT n");
}

static double
rows_of_table(Oid relid)
{
	HeapTuple	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(relid));
	double		rows = 0;

	if (HeapTupleIsValid(tuple))
	{
		rows = ((Form_pg_class) GETSTRUCT(tuple))->reltuples;
		ReleaseSysCache(tuple);
	}
	return rows;
}

static void
look_at_count(HoneHintWalk *walk, Query *query)
{
	RangeTblEntry *rte;
	Aggref	   *count;
	Node	   *from;

	if (query->commandType != CMD_SELECT || !query->hasAggs || query->groupClause != NIL ||
		query->groupingSets != NIL || query->havingQual != NULL || query->hasWindowFuncs ||
		query->setOperations != NULL || list_length(query->targetList) != 1 ||
		query->jointree->quals != NULL || list_length(query->jointree->fromlist) != 1)
		return;
	from = linitial(query->jointree->fromlist);
	count = (Aggref *) linitial_node(TargetEntry, query->targetList)->expr;
	if (!IsA(from, RangeTblRef) || !IsA(count, Aggref) || !count->aggstar ||
		count->aggfilter != NULL)
		return;
	rte = rt_fetch(((RangeTblRef *) from)->rtindex, query->rtable);
	if (rte->rtekind != RTE_RELATION || rte->relid < FirstNormalObjectId ||
		rte->relkind != RELKIND_RELATION || rte->securityQuals != NIL || rte->tablesample ||
		rows_of_table(rte->relid) < COUNTED_ROWS)
		return;
	hone_hint_add(walk, rte->relid, "count_all",
				  psprintf("Counting all rows of %s reads the whole table, or a whole index, at each call. Where about"
						   " is enough, the server keeps an estimate; where it must be exact, keep the number in a table"
						   " of its own by a trigger. To check: the estimate is as old as the last VACUUM or ANALYZE.",
						   quote_identifier(get_rel_name(rte->relid))),
				  psprintf("about %.0f rows", rows_of_table(rte->relid)),
				  psprintf("SELECT reltuples::bigint FROM pg_class WHERE oid = '%s'::regclass",
						   quote_qualified_identifier(get_namespace_name(get_rel_namespace(rte->relid)),
													  get_rel_name(rte->relid))));
}

/* The queries under a tree of nothing but UNIONs; false when there are others. */
static bool
union_arms(Query *query, Node *node, List **arms, bool *removes)
{
	SetOperationStmt *op = (SetOperationStmt *) node;

	if (IsA(node, RangeTblRef))
	{
		RangeTblEntry *rte = rt_fetch(((RangeTblRef *) node)->rtindex, query->rtable);

		if (rte->rtekind != RTE_SUBQUERY)
			return false;
		*arms = lappend(*arms, rte->subquery);
		return true;
	}
	if (!IsA(node, SetOperationStmt) || op->op != SETOP_UNION)
		return false;
	*removes |= !op->all;
	return union_arms(query, op->larg, arms, removes) &&
		union_arms(query, op->rarg, arms, removes);
}

/* Does each arm have its own constant in this column? */
static bool
is_disjoint_by(List *arms, int resno)
{
	List	   *constants = NIL;
	ListCell   *lc;
	ListCell   *lk;

	foreach(lc, arms)
	{
		TargetEntry *tle = get_tle_by_resno(((Query *) lfirst(lc))->targetList, resno);
		Const	   *c = tle ? (Const *) hone_hint_strip((Node *) tle->expr) : NULL;

		if (c == NULL || !IsA(c, Const) || c->constisnull)
			return false;
		foreach(lk, constants)
		{
			Const	   *other = lfirst(lk);

			/* The same in another spelling could be equal: only text is clear. */
			if (c->consttype != TEXTOID || other->consttype != TEXTOID ||
				DatumGetBool(DirectFunctionCall2Coll(texteq, C_COLLATION_OID,
													 c->constvalue, other->constvalue)))
				return false;
		}
		constants = lappend(constants, c);
	}
	return true;
}

static bool
is_append(PlannedStmt *stmt pg_attribute_unused(), Plan *plan, void *arg)
{
	double	   *rows = arg;

	if (IsA(plan, Append) || IsA(plan, MergeAppend))
		*rows = Max(*rows, plan->plan_rows);
	return false;
}

static void
look_at_union(HoneHintWalk *walk, Query *query)
{
	List	   *arms = NIL;
	bool		removes = false;
	double		rows = 0;
	int			ncolumns;

	(void) hone_hint_any_plan(walk->after, is_append, &rows);
	if (query->setOperations == NULL || rows < MANY_ROWS ||
		!union_arms(query, query->setOperations, &arms, &removes) || !removes ||
		list_length(arms) < 2)
		return;
	ncolumns = list_length(((SetOperationStmt *) query->setOperations)->colTypes);
	for (int resno = 1; resno <= ncolumns; resno++)
	{
		if (!is_disjoint_by(arms, resno))
			continue;
		hone_hint_add(walk, InvalidOid, "union_distinct",
					  psprintf("UNION removes duplicates from all its arms together, which cannot have any in common: each"
							   " has its own constant in column %d. UNION ALL spares that work, and lets a LIMIT stop"
							   " early. To check: no arm returns the same row twice by itself (or that is welcome).",
							   resno),
					  psprintf("%d arms, about %.0f rows", list_length(arms), rows), NULL);
		return;
	}
}

/* Are all relations of FROM joined by plain inner joins? Counts them. */
static bool
only_inner_joins(Node *jtnode, int *n)
{
	ListCell   *lc;

	if (IsA(jtnode, RangeTblRef))
	{
		(*n)++;
		return true;
	}
	if (IsA(jtnode, FromExpr))
	{
		foreach(lc, ((FromExpr *) jtnode)->fromlist)
			if (!only_inner_joins(lfirst(lc), n))
				return false;
		return true;
	}
	return IsA(jtnode, JoinExpr) && ((JoinExpr *) jtnode)->jointype == JOIN_INNER &&
		only_inner_joins(((JoinExpr *) jtnode)->larg, n) &&
		only_inner_joins(((JoinExpr *) jtnode)->rarg, n);
}

static bool
is_not_null(Oid relid, AttrNumber attno)
{
	HeapTuple	tuple = SearchSysCache2(ATTNUM, ObjectIdGetDatum(relid), Int16GetDatum(attno));
	bool		result = false;

	if (HeapTupleIsValid(tuple))
	{
		result = ((Form_pg_attribute) GETSTRUCT(tuple))->attnotnull;
		ReleaseSysCache(tuple);
	}
	return result;
}

/* Do these columns identify a row? */
static bool
hold_a_key(HoneRun *run, Oid relid, Bitmapset *columns)
{
	ListCell   *lc;

	foreach(lc, run->existing)
	{
		HoneExisting *e = lfirst(lc);
		bool		all = e->nkeys > 0;

		if (e->relid != relid || !e->unique || !e->valid || e->predicate)
			continue;
		for (int i = 0; i < e->nkeys; i++)
			all &= e->keys[i].attno > 0 && bms_is_member(e->keys[i].attno, columns) &&
				is_not_null(relid, e->keys[i].attno);
		if (all)
			return true;
	}
	return false;
}

/* DISTINCT over columns of one table with its key, joined to others. */
static void
look_at_distinct(HoneHintWalk *walk, Query *query)
{
	HoneColumn	first = {0};
	Bitmapset  *columns = NULL;
	int			nrels = 0;
	ListCell   *lc;

	if (query->distinctClause == NIL || query->hasDistinctOn || query->groupClause != NIL ||
		query->hasAggs || query->hasWindowFuncs || query->setOperations != NULL ||
		query->hasTargetSRFs || !only_inner_joins((Node *) query->jointree, &nrels) || nrels < 2)
		return;
	foreach(lc, query->targetList)
	{
		TargetEntry *tle = lfirst_node(TargetEntry, lc);
		HoneColumn	column;

		if (tle->resjunk)
			continue;
		if (!hone_hint_column(walk, (Node *) tle->expr, &column) || column.query != query ||
			(first.rtindex > 0 && column.rtindex != first.rtindex))
			return;
		first = column;
		columns = bms_add_member(columns, column.attno);
	}
	if (first.rtindex == 0 || !hold_a_key(walk->run, first.relid, columns))
		return;
	hone_hint_add(walk, first.relid, "distinct_join",
				  psprintf("DISTINCT removes what the join multiplied: the result has only columns of %s, with its key."
						   " Ask for the other tables by EXISTS: no row is multiplied, and nothing has to be removed."
						   " The result is the same.", quote_identifier(get_rel_name(first.relid))),
				  NULL,
				  psprintf("SELECT ... FROM %s AS t WHERE EXISTS (SELECT FROM ... WHERE <the join's condition>)",
						   quote_identifier(get_rel_name(first.relid))));
}

void
hone_hint_look_at_query(HoneHintWalk *walk, Query *query)
{
	if (query->commandType == CMD_UTILITY || query->jointree == NULL)
		return;
	look_at_offset(walk, query);
	look_at_in_with_order(walk, query);
	look_at_random_order(walk, query);
	look_at_count(walk, query);
	look_at_union(walk, query);
	look_at_distinct(walk, query);
}
