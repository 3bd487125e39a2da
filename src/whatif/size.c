/*
 * size.c
 *	  How large an index would be, from the statistics of its table.
 *
 * B-tree: rows per distinct key decide how many posting lists the build folds
 * duplicates into (10 % of a page each, as _bt_load does), the widths of the
 * key columns do the rest. GIN: see gin.c, which counts what the operator class
 * really extracts from a sample.
 *
 * Statistics are read through the planner's own functions for a relation
 * that stands alone in a query of the current user, so that what they may tell
 * him is decided where it always is.
 */
#include "postgres.h"

#include <math.h>

#include "access/nbtree.h"
#include "access/table.h"
#include "catalog/pg_am.h"
#include "catalog/pg_statistic.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "optimizer/pathnode.h"
#include "utils/lsyscache.h"
#include "utils/rls.h"
#include "utils/selfuncs.h"

#include "base/compat.h"
#include "whatif/details.h"

/* Bytes of a page that hold items. */
#define PAGE_ROOM ((double) (BLCKSZ - SizeOfPageHeaderData - MAXALIGN(sizeof(BTPageOpaqueData))))

/* A planner's view of one table and nothing else. */
RelOptInfo *
hone_whatif_lone_relation(Oid relid, PlannerInfo **root_out)
{
	Query	   *query = makeNode(Query);
	PlannerGlobal *glob = makeNode(PlannerGlobal);
	PlannerInfo *root = makeNode(PlannerInfo);
	RangeTblEntry *rte = makeNode(RangeTblEntry);

	query->commandType = CMD_SELECT;
	root->parse = query;
	root->glob = glob;
	root->query_level = 1;
	root->planner_cxt = CurrentMemoryContext;
	root->wt_param_id = -1;

	rte->rtekind = RTE_RELATION;
	rte->relid = relid;
	rte->relkind = get_rel_relkind(relid);
	rte->rellockmode = AccessShareLock;
	rte->inFromCl = true;
	query->rtable = list_make1(rte);
	hone_add_rte_permissions(query, rte);

	/* Under row security only leakproof estimates may read statistics. */
	if (check_enable_rls(relid, InvalidOid, true) == RLS_ENABLED)
		rte->securityQuals = list_make1(makeBoolConst(true, false));

	setup_simple_rel_arrays(root);
	*root_out = root;
	return build_simple_rel(root, 1, NULL);
}

/* What we need to know of one column of an index. */
typedef struct ColumnFigures
{
	double		ndistinct;
	double		null_frac;
	double		width;
	bool		varying;		/* width differs from row to row */
	char		align;
} ColumnFigures;

static void
figure_column(PlannerInfo *root, Node *expr, HeapTuple sample_stats, double rows,
			  ColumnFigures *figures)
{
	VariableStatData vardata;
	bool		isdefault;
	int16		len;
	bool		byval;
	double		width = 0;

	get_typlenbyvalalign(exprType(expr), &len, &byval, &figures->align);
	figures->null_frac = 0;
	figures->varying = len < 0;

	examine_variable(root, expr, 0, &vardata);
	if (!HeapTupleIsValid(vardata.statsTuple) && sample_stats != NULL)
	{
		vardata.statsTuple = sample_stats;
		vardata.freefunc = hone_whatif_keep_stats;
	}
	figures->ndistinct = get_variable_numdistinct(&vardata, &isdefault);
	if (isdefault && !HeapTupleIsValid(vardata.statsTuple))
		figures->ndistinct = Max(rows / 10, Min(rows, figures->ndistinct));
	if (HeapTupleIsValid(vardata.statsTuple))
	{
		Form_pg_statistic stats = (Form_pg_statistic) GETSTRUCT(vardata.statsTuple);

		figures->null_frac = stats->stanullfrac;
		width = stats->stawidth;
	}
	ReleaseVariableStats(vardata);

	if (len > 0)
		figures->width = len;
	else
		figures->width = width > 0 ? width : get_typavgwidth(exprType(expr), exprTypmod(expr));
}

/* Expected distinct values among n rows drawn from ndistinct equally likely ones. */
static double
distinct_in(double n, double ndistinct)
{
	if (n <= 0 || ndistinct <= 0)
		return 0;
	return Max(1.0, ndistinct * -expm1(-n / ndistinct));
}

/* Bytes of one key, header included, on average. */
static double
key_bytes(const ColumnFigures *columns, int ncolumns)
{
	double		fixed = 0;
	bool		varying = false;
	double		no_nulls = 1;

	for (int i = 0; i < ncolumns; i++)
	{
		/* Short varlena values are not aligned. */
		if (!columns[i].varying)
			fixed = att_align_nominal((long) ceil(fixed), columns[i].align);
		fixed += columns[i].width * (1 - columns[i].null_frac);
		no_nulls *= 1 - columns[i].null_frac;
		varying |= columns[i].varying;
	}

	/* A tuple with a null also has a bitmap: 8 more bytes when aligned. */
	fixed += sizeof(IndexTupleData) + 8 * (1 - no_nulls);
	return varying ? fixed + (MAXIMUM_ALIGNOF - 1) / 2.0 :
		MAXALIGN((long) ceil(fixed));
}

static bool
can_deduplicate(const HoneIndex *index)
{
	const HoneIndexDetails *details = index->details;

	if (!details->deduplicate || index->ncolumns != index->nkeycolumns)
		return false;
	for (int i = 0; i < index->nkeycolumns; i++)
	{
		Oid			proc = get_opfamily_proc(details->opfamilies[i],
											 details->opcintypes[i],
											 details->opcintypes[i],
											 BTEQUALIMAGE_PROC);

		if (!OidIsValid(proc) ||
			!DatumGetBool(OidFunctionCall1Coll(proc, details->collations[i],
											   ObjectIdGetDatum(details->opcintypes[i]))))
			return false;
	}
	return true;
}

/* Leaf bytes, line pointers included, of `count` rows with the same key. */
static double
group_bytes(double count, double key, bool deduplicate)
{
	double		most = floor((MAXALIGN_DOWN(BLCKSZ / 10) - sizeof(ItemIdData) - key) /
							 sizeof(ItemPointerData));
	double		lists;
	double		rest;
	double		full;

	if (!deduplicate || count <= 1 || most <= 1)
		return count * (key + sizeof(ItemIdData));
	lists = floor(count / most);
	rest = count - lists * most;
	full = MAXALIGN((long) (key + most * sizeof(ItemPointerData))) + sizeof(ItemIdData);
	if (rest <= 1)
		return lists * full + rest * (key + sizeof(ItemIdData));

	/* The remainder is rounded up to alignment, half of it on average. */
	return lists * full + key + rest * sizeof(ItemPointerData) +
		(MAXIMUM_ALIGNOF - 2) / 2.0 + sizeof(ItemIdData);
}

/*
 * Bytes per row of the leaves. A single column's most common values are
 * counted one by one, because a group's bytes are not proportional to its size.
 */
static double
leaf_bytes(PlannerInfo *root, Node *only_column, double tuples, double ndistinct,
		   double null_frac, double key, bool deduplicate)
{
	double		rest = tuples * (1 - null_frac);
	double		groups = ndistinct;
	double		bytes = 0;

	if (tuples <= 0)
		return 0;
	if (deduplicate && null_frac > 0)
		bytes += group_bytes(tuples * null_frac, 2 * MAXALIGN(sizeof(IndexTupleData)), true);
	else
		rest = tuples;

	if (deduplicate && only_column != NULL)
	{
		VariableStatData vardata;
		AttStatsSlot slot;

		examine_variable(root, only_column, 0, &vardata);
		if (HeapTupleIsValid(vardata.statsTuple) && vardata.acl_ok &&
			get_attstatsslot(&slot, vardata.statsTuple, STATISTIC_KIND_MCV,
							 InvalidOid, ATTSTATSSLOT_NUMBERS))
		{
			for (int i = 0; i < slot.nnumbers; i++)
			{
				double		count = Min(slot.numbers[i] * tuples, rest);

				bytes += group_bytes(count, key, true);
				rest -= count;
				groups--;
			}
			free_attstatsslot(&slot);
		}
		ReleaseVariableStats(vardata);
	}
	if (rest > 0)
	{
		groups = Min(Max(groups, 1), rest);
		bytes += groups * group_bytes(rest / groups, key, deduplicate);
	}
	return bytes;
}

/* From bytes on leaves to pages of the whole tree. */
static void
btree_pages(const HoneIndex *index, HoneIndexPlace *place, double bytes, double key)
{
	double		fill = PAGE_ROOM - BLCKSZ * (100 - index->details->fillfactor) / 100.0 -
		(key + sizeof(ItemIdData));
	double		fanout = Max(2.0, floor(PAGE_ROOM * BTREE_NONLEAF_FILLFACTOR / 100 /
										(key + sizeof(ItemIdData))));
	double		level = ceil(Max(bytes, 1) / Max(fill, key + sizeof(ItemIdData)));

	place->pages = 1 + level;	/* and the meta page */
	place->tree_height = 0;
	while (level > 1)
	{
		level = ceil(level / fanout);
		place->pages += level;
		place->tree_height++;
	}
}

static void
estimate_btree(const HoneIndex *index, HoneIndexPlace *place, PlannerInfo *root,
			   List *columns)
{
	ColumnFigures figures[INDEX_MAX_KEYS];
	double		ndistinct = 1;
	double		key;
	double		bytes;
	bool		single = index->ncolumns == 1;
	int			i = 0;
	ListCell   *lc;

	foreach(lc, columns)
	{
		figure_column(root, lfirst(lc),
					  index->details->stats ? index->details->stats[i] : NULL,
					  place->rel_tuples, &figures[i]);
		if (i < index->nkeycolumns)
			ndistinct *= Max(figures[i].ndistinct, 1) + (figures[i].null_frac > 0 && !single);
		i++;
	}

	/* Of the combinations that are possible, those that n rows would show. */
	if (index->nkeycolumns > 1)
		ndistinct = distinct_in(place->tuples, ndistinct);
	else if (place->tuples < place->rel_tuples)
		ndistinct = Min(ndistinct,
						ndistinct * -expm1(-place->tuples / Max(ndistinct, 1)));
	ndistinct = Max(Min(ndistinct, place->tuples), 1);

	key = key_bytes(figures, index->ncolumns);
	bytes = leaf_bytes(root, single ? linitial(columns) : NULL, place->tuples,
					   ndistinct, single ? figures[0].null_frac : 0, key,
					   can_deduplicate(index));
	btree_pages(index, place, bytes, key);
}

static void
estimate_place(const HoneIndex *index, HoneIndexPlace *place)
{
	PlannerInfo *root;
	RelOptInfo *rel = hone_whatif_lone_relation(place->relid, &root);
	List	   *columns = hone_whatif_index_columns(place, index->ncolumns, 1);

	place->rel_tuples = rel->tuples;
	place->tuples = rel->tuples;
	if (place->predicate != NIL)
		place->tuples *= clauselist_selectivity(root, place->predicate, 0,
												JOIN_INNER, NULL);
	if (index->amoid == GIN_AM_OID)
		hone_whatif_estimate_gin(index, place, rel, columns);
	else
		estimate_btree(index, place, root, columns);
}

void
hone_whatif_estimate_size(HoneIndex *index)
{
	double		pages = 0;
	ListCell   *lc;

	/* Not to be answered by indexes of a question that is being asked. */
	hone_whatif_push(NULL);
	PG_TRY();
	{
		foreach(lc, index->details->places)
		{
			HoneIndexPlace *place = lfirst(lc);

			estimate_place(index, place);
			pages += place->pages;
			index->tuples += place->tuples;
			index->tree_height = Max(index->tree_height, place->tree_height);
		}
	}
	PG_FINALLY();
	{
		hone_whatif_pop();
	}
	PG_END_TRY();

	index->pages = (BlockNumber) Min(pages, (double) MaxBlockNumber);
	index->size_bytes = (int64) pages * BLCKSZ;
}
