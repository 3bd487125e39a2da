/*
 * size.c
 *	  How large an index would be, from the statistics of its table.
 *
 * B-tree: rows per distinct key decide how many posting lists the build folds
 * duplicates into (10 % of a page each, as _bt_load does), the widths of the
 * key columns do the rest. The other access methods have files of their own:
 * hash.c, brin.c, gin.c, tree.c (GiST and SP-GiST).
 */
#include "postgres.h"

#include <math.h>

#include "access/detoast.h"
#include "access/itup.h"
#include "access/nbtree.h"
#include "access/table.h"
#include "catalog/pg_am.h"
#include "catalog/pg_statistic.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "optimizer/pathnode.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rls.h"
#include "utils/selfuncs.h"

#include "base/compat.h"
#include "whatif/details.h"

/* Bytes of a page that hold items. */
#define PAGE_ROOM ((double) (BLCKSZ - SizeOfPageHeaderData - MAXALIGN(sizeof(BTPageOpaqueData))))

/* Expected distinct values among n rows drawn from ndistinct equally likely ones. */
static double
distinct_in(double n, double ndistinct)
{
	if (n <= 0 || ndistinct <= 0)
		return 0;
	return Max(1.0, ndistinct * -expm1(-n / ndistinct));
}

/* Distinct values left when n of all rows are taken at random. */
static double
distinct_left(double n, double rows, double ndistinct)
{
	if (n >= rows || n <= 0 || ndistinct <= 0)
		return ndistinct;
	return ndistinct * -expm1(rows / ndistinct * log1p(-n / rows));
}

/*
 * Bytes of one key, header included, on average over made-up rows that combine
 * the columns' widths (in different orders, as if independent). Columns in the
 * set nulls are null.
 */
static double
key_bytes(const HoneColumnFigures *columns, int ncolumns, const Bitmapset *nulls)
{
	Size		header = sizeof(IndexTupleData);
	double		sum = 0;

	if (nulls != NULL)
		header = MAXALIGN(sizeof(IndexTupleData) + sizeof(IndexAttributeBitMapData));
	for (int row = 0; row < HONE_WIDTHS; row++)
	{
		Size		size = 0;

		for (int i = 0; i < ncolumns; i++)
		{
			int			width = columns[i].widths[row * (2 * i + 1) % HONE_WIDTHS];

			if (bms_is_member(i, nulls))
				continue;
			/* Short varlena values are not aligned. */
			if (columns[i].aligned || width > VARATT_SHORT_MAX)
				size = att_align_nominal(size, columns[i].align);
			size += width;
		}
		sum += MAXALIGN(header + size);
	}
	return sum / HONE_WIDTHS;
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

/* Leaf bytes, line pointers included, of a whole number of rows with one key. */
static double
whole_group_bytes(double count, double key)
{
	double		most = floor((MAXALIGN_DOWN(BLCKSZ / 10) - sizeof(ItemIdData) - key) /
							 sizeof(ItemPointerData));
	double		lists;
	double		rest;
	double		full;

	if (count <= 1 || most <= 1)
		return count * (key + sizeof(ItemIdData));
	lists = floor(count / most);
	rest = count - lists * most;
	full = MAXALIGN((long) (key + most * sizeof(ItemPointerData))) + sizeof(ItemIdData);
	if (rest <= 1)
		return lists * full + rest * (key + sizeof(ItemIdData));
	return lists * full + sizeof(ItemIdData) +
		MAXALIGN((long) (key + rest * sizeof(ItemPointerData)));
}

/* The same for groups of a fractional size: some are smaller, some larger. */
static double
group_bytes(double count, double key, bool deduplicate)
{
	double		below = floor(count);
	double		above = count - below;

	if (!deduplicate || count <= 1)
		return count * (key + sizeof(ItemIdData));
	return (1 - above) * whole_group_bytes(below, key) +
		above * whole_group_bytes(below + 1, key);
}

/*
 * Leaf bytes of rows with ndistinct keys. A single column's most common values
 * are counted one by one, because a group's bytes are not proportional to its
 * size.
 */
static double
leaf_bytes(const VariableStatData *only_column, double table_null_frac, double rows,
		   double ndistinct, double key, bool deduplicate)
{
	double		rest = rows;
	double		groups = ndistinct;
	double		bytes = 0;
	AttStatsSlot slot;

	if (deduplicate && only_column != NULL &&
		HeapTupleIsValid(only_column->statsTuple) && only_column->acl_ok &&
		get_attstatsslot(&slot, only_column->statsTuple, STATISTIC_KIND_MCV,
						 InvalidOid, ATTSTATSSLOT_NUMBERS))
	{
		for (int i = 0; i < slot.nnumbers; i++)
		{
			double		share = slot.numbers[i] / Max(1 - table_null_frac, 1e-6);
			double		count = Min(share * rows, rest);

			bytes += group_bytes(count, key, true);
			rest -= count;
			groups--;
		}
		free_attstatsslot(&slot);
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

#define WORTH_ROWS 1000.0		/* to be read for it */
#define WORTH_RATIO 1.1			/* of the possible figures */

/* Of these key columns; -1 if a sample need not, or cannot, tell. */
static double
sampled_combinations(const HoneIndex *index, const HoneIndexPlace *place,
					 const Bitmapset *nulls, double least, double most)
{
	Bitmapset  *columns = NULL;

	if (place->rel_tuples < WORTH_ROWS || most < least * WORTH_RATIO)
		return -1;
	for (int i = 0; i < index->nkeycolumns; i++)
	{
		if (bms_is_member(i, nulls))
			continue;
		if (place->keys[i] <= 0)
			return -1;
		columns = bms_add_member(columns, place->keys[i]);
	}
	return hone_whatif_combinations(index, place, columns);
}

/* Distinct keys among the rows whose null columns are these. */
static double
distinct_keys(const HoneIndex *index, const HoneIndexPlace *place,
			  const HoneColumnFigures *columns, const Bitmapset *nulls,
			  double table_rows, double rows)
{
	int			nkeys = index->nkeycolumns;
	double		combinations = 1;
	double		most = 1;		/* of one column */
	double		ndistinct;
	int			nvalues = 0;

	for (int i = 0; i < nkeys; i++)
	{
		if (bms_is_member(i, nulls))
			continue;
		combinations *= Max(columns[i].ndistinct, 1);
		most = Max(most, columns[i].ndistinct);
		nvalues++;
	}

	/* Of the combinations that are possible, those that the rows would show. */
	ndistinct = combinations;
	if (nvalues > 1)
	{
		double		sampled;

		ndistinct = Max(distinct_in(table_rows, combinations), most);
		sampled = sampled_combinations(index, place, nulls, most,
									   Min(ndistinct, table_rows));
		if (sampled >= 0)
			ndistinct = Max(Min(ndistinct, sampled), most);
	}
	ndistinct = distinct_left(rows, table_rows, Min(ndistinct, table_rows));
	return Max(Min(ndistinct, rows), 1);
}

/*
 * Rows are taken apart by which of their columns are null, since those with
 * nulls in the same places repeat each other most. Of many nullable columns
 * only the first few are looked at, or there would be too many patterns.
 */
#define MAX_NULLABLE 6

static double
estimate_leaves(const HoneIndex *index, const HoneIndexPlace *place,
				const HoneColumnFigures *columns, const VariableStatData *only_column,
				double *average_key)
{
	bool		deduplicate = can_deduplicate(index);
	int			nullable[MAX_NULLABLE];
	int			nnullable = 0;
	double		bytes = 0;

	*average_key = 0;
	for (int i = 0; i < index->ncolumns && nnullable < MAX_NULLABLE; i++)
	{
		if (columns[i].null_frac > 0)
			nullable[nnullable++] = i;
	}

	for (int pattern = 0; pattern < (1 << nnullable); pattern++)
	{
		Bitmapset  *nulls = NULL;
		double		share = 1;
		double		rows;
		double		key;

		for (int i = 0; i < nnullable; i++)
		{
			bool		isnull = (pattern & (1 << i)) != 0;
			double		null_frac = columns[nullable[i]].null_frac;

			share *= isnull ? null_frac : 1 - null_frac;
			if (isnull)
				nulls = bms_add_member(nulls, nullable[i]);
		}
		rows = place->tuples * share;
		key = key_bytes(columns, index->ncolumns, nulls);
		*average_key += share * key;
		if (rows > 0)
			bytes += leaf_bytes(nulls == NULL ? only_column : NULL,
								columns[0].table_null_frac, rows,
								deduplicate ?
								distinct_keys(index, place, columns, nulls,
											  place->rel_tuples * share, rows) : rows,
								key, deduplicate);
		bms_free(nulls);
	}
	return bytes;
}

static void
estimate_btree(const HoneIndex *index, HoneIndexPlace *place, PlannerInfo *root,
			   List *columns)
{
	HoneColumnFigures figures[INDEX_MAX_KEYS];
	VariableStatData only_column;
	bool		single = index->ncolumns == 1;
	double		key;
	double		bytes;
	int			i = 0;
	ListCell   *lc;

	foreach(lc, columns)
	{
		hone_whatif_figure_column(root, lfirst(lc), hone_whatif_sampled_stats(index, i),
								  place->rel_tuples, &figures[i]);
		hone_whatif_apply_predicate(&figures[i], lfirst(lc), place->predicate);
		i++;
	}

	if (single)
		hone_whatif_examine_column(root, linitial(columns),
								   hone_whatif_sampled_stats(index, 0), &only_column);
	bytes = estimate_leaves(index, place, figures, single ? &only_column : NULL, &key);
	if (single)
		ReleaseVariableStats(only_column);
	btree_pages(index, place, bytes, key);
}

#define HIDDEN_SELECTIVITY 0.1

/*
 * Part of the rows that belong in the index. Leakproof operators may look into
 * statistics even under row security; but nothing stands beside the predicate
 * here to blur the answer, which would be how many rows, hidden ones included,
 * have a value. So it is a constant then.
 */
static double
predicate_selectivity(const HoneIndex *index, const HoneIndexPlace *place,
					  PlannerInfo *root)
{
	if (place->predicate == NIL)
		return 1;
	if (check_enable_rls(place->relid, InvalidOid, true) == RLS_ENABLED ||
		check_enable_rls(index->relid, InvalidOid, true) == RLS_ENABLED)
		return HIDDEN_SELECTIVITY;
	return clauselist_selectivity(root, place->predicate, 0, JOIN_INNER, NULL);
}

/* Rows first: the sample of expressions wants to know them. */
static PlannerInfo *
count_rows(HoneIndexPlace *place)
{
	PlannerInfo *root;
	RelOptInfo *rel = hone_whatif_lone_relation(place->relid, &root);

	place->rel_tuples = rel->tuples;
	place->rel_pages = rel->pages;
	return root;
}

/* GIN, GiST, SP-GiST: what the sample has told once need not be read again. */
static void
estimate_sampled(const HoneIndex *index, HoneIndexPlace *place, PlannerInfo *root,
				 List *columns)
{
	bool		may_sample = hone_whatif_may_sample(index, place->relid);

	if (may_sample && hone_whatif_recall_size(index, place))
		return;
	if (index->amoid == GIN_AM_OID)
		hone_whatif_estimate_gin(index, place, columns);
	else
		hone_whatif_estimate_tree(index, place, root, columns);
	if (may_sample)
		hone_whatif_keep_size(index, place);
}

static void
estimate_place(const HoneIndex *index, HoneIndexPlace *place, PlannerInfo *root)
{
	List	   *columns = hone_whatif_index_columns(place, index->ncolumns, 1);


	place->tuples = place->rel_tuples * predicate_selectivity(index, place, root);
	place->tree_height = -1;
	switch (index->amoid)
	{
		case BTREE_AM_OID:
			estimate_btree(index, place, root, columns);
			break;
		case HASH_AM_OID:
			hone_whatif_estimate_hash(index, place, root, columns);
			break;
		case BRIN_AM_OID:
			hone_whatif_estimate_brin(index, place, root, columns);
			break;
		default:
			estimate_sampled(index, place, root, columns);
			break;
	}
}

static void
estimate_places(HoneIndex *index)
{
	double		pages = 0;
	List	   *roots = NIL;
	ListCell   *lc;
	ListCell   *lr;

	foreach(lc, index->details->places)
		roots = lappend(roots, count_rows(lfirst(lc)));
	hone_whatif_analyse_expressions(index);
	forboth(lc, index->details->places, lr, roots)
	{
		HoneIndexPlace *place = lfirst(lc);

		estimate_place(index, place, lfirst(lr));
		pages += place->pages;
		index->tuples += place->tuples;
		index->tree_height = Max(index->tree_height, place->tree_height);
	}
	index->pages = (BlockNumber) Min(pages, (double) MaxBlockNumber);
	index->size_bytes = (int64) pages * BLCKSZ;
}

/*
 * What the planner and the statistics give us is needed no longer than this
 * takes; an advisor keeps thousands of indexes.
 */
void
hone_whatif_estimate_size(HoneIndex *index)
{
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext,
												  "pg_hone index size",
												  ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(context);

	/* Not to be answered by indexes of a question that is being asked. */
	hone_whatif_push(NULL);
	PG_TRY();
	{
		estimate_places(index);
	}
	PG_FINALLY();
	{
		hone_whatif_pop();
	}
	PG_END_TRY();
	MemoryContextSwitchTo(old);
	MemoryContextDelete(context);
}
