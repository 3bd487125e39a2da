/*
 * gincost.c
 *	  What a scan of an imagined GIN index costs.
 *
 * The core's function reads the number of entries and of their pages from the
 * index's meta page, and takes a hypothetical index to consist of 90 % entry
 * pages with 100 entries each. This one comes to the same result as the core's
 * for an index that is built, from the figures that gin.c has estimated: it
 * asks the operator class how many entries a condition searches for, and
 * charges for the pages of the entry tree and of the posting trees.
 *
 * Runs in the planner, in its memory; takes no locks, opens nothing.
 */
#include "postgres.h"

#include <math.h>

#include "access/gin.h"
#include "access/reloptions.h"
#include "catalog/pg_collation.h"
#include "catalog/pg_type.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/cost.h"
#include "optimizer/optimizer.h"
#include "utils/array.h"
#include "utils/lsyscache.h"
#include "utils/selfuncs.h"
#include "utils/spccache.h"

#include "base/compat.h"
#include "whatif/details.h"

/* What a prefix is taken to match. */
#define ENTRIES_OF_PREFIX 100.0

/* CPU of looking at a page, in operators. */
#define PAGE_OPERATORS 50.0

typedef struct Search
{
	double		entries;		/* looked for, in one scan */
	double		exact;
	double		prefixes;		/* times ENTRIES_OF_PREFIX */
	double		scans;			/* for = ANY */
	bool		restricted[INDEX_MAX_KEYS];	/* column has a condition with entries */
	bool		unrestricted[INDEX_MAX_KEYS];	/* column has one without */
} Search;

/* An operand as far as it is known; NULL if it is not. */
static Const *
known_operand(PlannerInfo *root, Node *operand)
{
	operand = estimate_expression_value(root, operand);
	if (IsA(operand, RelabelType))
		operand = (Node *) ((RelabelType *) operand)->arg;
	return IsA(operand, Const) ? (Const *) operand : NULL;
}

/* Add what the operator class searches for; false if nothing can match. */
static bool
count_entries(const IndexOptInfo *info, int column, Oid operator, Datum value,
			  Search *search)
{
	Oid			collation = info->indexcollations[column];
	Oid			proc = get_opfamily_proc(info->opfamily[column], info->opcintype[column],
										 info->opcintype[column], GIN_EXTRACTQUERY_PROC);
	int			strategy = get_op_opfamily_strategy(operator, info->opfamily[column]);
	FmgrInfo	extract;
	int32		n = 0;
	bool	   *is_prefix = NULL;
	Pointer    *extra = NULL;
	bool	   *null_flags = NULL;
	int32		mode = GIN_SEARCH_MODE_DEFAULT;

	if (!OidIsValid(proc) || strategy == 0)
		elog(ERROR, "missing support of operator %u in operator family %u",
			 operator, info->opfamily[column]);
	fmgr_info(proc, &extract);
	set_fn_opclass_options(&extract, info->opclassoptions[column]);
	(void) FunctionCall7Coll(&extract,
							 OidIsValid(collation) ? collation : DEFAULT_COLLATION_OID,
							 value, PointerGetDatum(&n), UInt16GetDatum(strategy),
							 PointerGetDatum(&is_prefix), PointerGetDatum(&extra),
							 PointerGetDatum(&null_flags), PointerGetDatum(&mode));
	if (n <= 0 && mode == GIN_SEARCH_MODE_DEFAULT)
		return false;

	for (int i = 0; i < n; i++)
	{
		if (is_prefix != NULL && is_prefix[i])
			search->prefixes += ENTRIES_OF_PREFIX;
		else
			search->exact++;
	}
	search->entries += Max(n, 0);
	if (mode == GIN_SEARCH_MODE_ALL)
	{
		search->unrestricted[column] = true;
		return true;
	}
	search->restricted[column] = true;
	if (mode == GIN_SEARCH_MODE_INCLUDE_EMPTY)
	{
		search->exact++;
		search->entries++;
	}
	return true;
}

/* Of a value that is only known at run time: one entry. */
static bool
count_unknown(Search *search)
{
	search->exact++;
	search->entries++;
	return true;
}

static bool
count_operator(PlannerInfo *root, const IndexOptInfo *info, int column, OpExpr *clause,
			   Search *search)
{
	Const	   *value = known_operand(root, lsecond(clause->args));

	if (value == NULL)
		return count_unknown(search);
	return !value->constisnull &&
		count_entries(info, column, clause->opno, value->constvalue, search);
}

/* One scan for each member of the array, of what they search for on average. */
static bool
count_array(PlannerInfo *root, const IndexOptInfo *info, int column,
			ScalarArrayOpExpr *clause, double all_entries, Search *search)
{
	Const	   *value = known_operand(root, lsecond(clause->args));
	Search		sum = {0};
	double		possible = 0;
	ArrayType  *array;
	Datum	   *elems;
	bool	   *nulls;
	int			nelems;
	int16		len;
	bool		byval;
	char		align;

	if (value == NULL)
	{
		search->scans *= hone_estimate_array_length(root, lsecond(clause->args));
		return count_unknown(search);
	}
	if (value->constisnull)
		return false;

	array = DatumGetArrayTypeP(value->constvalue);
	get_typlenbyvalalign(ARR_ELEMTYPE(array), &len, &byval, &align);
	deconstruct_array(array, ARR_ELEMTYPE(array), len, byval, align, &elems, &nulls, &nelems);
	for (int i = 0; i < nelems; i++)
	{
		Search		one = {0};

		if (nulls[i] || !count_entries(info, column, clause->opno, elems[i], &one))
			continue;
		possible++;
		if (one.unrestricted[column] && !one.restricted[column])
		{
			one.prefixes = 0;
			one.exact = all_entries;
			one.entries = all_entries;
		}
		sum.entries += one.entries;
		sum.exact += one.exact;
		sum.prefixes += one.prefixes;
	}
	if (possible == 0)
		return false;
	search->entries += sum.entries / possible;
	search->exact += sum.exact / possible;
	search->prefixes += sum.prefixes / possible;
	search->scans *= possible;
	return true;
}

/* What the scan's conditions search for; false if nothing can match. */
static bool
count_search(PlannerInfo *root, const IndexPath *path, double all_entries, Search *search)
{
	const IndexOptInfo *info = path->indexinfo;
	bool		possible = true;
	bool		everything = path->indexclauses == NIL;
	ListCell   *lc;

	memset(search, 0, sizeof(*search));
	search->scans = 1;

	/*
	 * The core goes on with the next column after a condition that nothing can
	 * match, and forgets about it if that can; so its word is the last one here
	 * too.
	 */
	foreach(lc, path->indexclauses)
	{
		IndexClause *iclause = lfirst_node(IndexClause, lc);
		ListCell   *lq;

		foreach(lq, iclause->indexquals)
		{
			Expr	   *clause = lfirst_node(RestrictInfo, lq)->clause;

			if (IsA(clause, OpExpr))
				possible = count_operator(root, info, iclause->indexcol,
										  (OpExpr *) clause, search);
			else if (IsA(clause, ScalarArrayOpExpr))
				possible = count_array(root, info, iclause->indexcol,
									   (ScalarArrayOpExpr *) clause, all_entries, search);
			else
				elog(ERROR, "unsupported GIN condition type: %d", (int) nodeTag(clause));
			if (!possible)
				break;
		}
	}

	for (int i = 0; i < info->nkeycolumns; i++)
		everything |= search->unrestricted[i] && !search->restricted[i];
	if (everything)
	{
		search->prefixes = 0;
		search->exact = all_entries;
		search->entries = all_entries;
	}
	return possible;
}

/* Pages read from disk a scan, of `reads` that it makes, when it is repeated. */
static double
pages_read(PlannerInfo *root, double reads, double pages, double loops, double scans)
{
	if (loops <= 1 && scans <= 1)
		return reads;
	return index_pages_fetched(reads * loops * scans, (BlockNumber) pages, pages, root) / loops;
}

void
hone_whatif_gin_cost(PlannerInfo *root, IndexPath *path, double loop_count,
					 Cost *startup, Cost *total, Selectivity *selectivity,
					 double *correlation, double *index_pages)
{
	IndexOptInfo *info = path->indexinfo;
	const HoneIndexPlace *place = hone_whatif_place_of(info);
	List	   *quals = get_quals_from_indexclauses(path->indexclauses);
	double		scale = info->pages / Max(place->pages, 1);
	double		entry_pages = Max(1, ceil(place->entry_pages * scale));
	double		data_pages = ceil(place->data_pages * scale);
	double		all_entries = Max(1, ceil(place->entries * scale));
	double		operator_cost = cpu_operator_cost * list_length(quals);
	double		argument_cost = index_other_operands_eval_cost(root, quals);
	Cost		random_page;
	Search		search;
	double		prefix_part;
	double		entry_reads;
	double		prefix_reads;
	double		data_reads;

	*correlation = 0;
	*index_pages = 0;
	*startup = 0;
	*total = 0;
	*selectivity = clauselist_selectivity(root, add_predicate_to_index_quals(info, quals),
										  info->rel->relid, JOIN_INNER, NULL);
	if (!count_search(root, path, all_entries, &search))
	{
		*selectivity = 0;
		return;
	}
	get_tablespace_page_costs(info->reltablespace, &random_page, NULL);

	/* Down the entry tree for each, along its leaves for prefixes. */
	prefix_part = Min(search.prefixes / all_entries, 1);
	entry_reads = ceil(search.entries * rint(pow(entry_pages, 0.15))) +
		ceil(entry_pages * prefix_part);

	/* The posting trees: those of prefixes are read first, as a whole. */
	prefix_reads = ceil(data_pages * prefix_part);
	data_reads = Max(ceil(data_pages * search.exact / all_entries),
					 ceil(*selectivity * (info->tuples / (BLCKSZ / 3))));

	if (hone_gin_charges_cpu())
	{
		double		descent = ceil(log2(all_entries)) * cpu_operator_cost * search.entries;
		double		page = PAGE_OPERATORS * cpu_operator_cost;

		*startup += descent + page * (entry_reads + prefix_reads + search.entries);
		*total += search.scans * (descent + page * (entry_reads + data_reads)) +
			(search.scans - 1) * page * prefix_reads +
			search.entries * search.scans * operator_cost;
	}
	else
		*total += info->tuples * *selectivity * operator_cost;

	entry_reads = pages_read(root, entry_reads, entry_pages, loop_count, search.scans);
	prefix_reads = pages_read(root, prefix_reads, data_pages, loop_count, search.scans);
	data_reads = pages_read(root, data_reads, data_pages, loop_count, search.scans);

	*startup += (entry_reads + prefix_reads) * random_page;
	*total += *startup + data_reads * random_page;
	*startup += argument_cost;
	*total += argument_cost + info->tuples * *selectivity * cpu_index_tuple_cost;
	*index_pages = data_reads;
}
