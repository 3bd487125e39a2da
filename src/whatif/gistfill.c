/*
 * gistfill.c
 *	  How full the pages of a GiST index would be, by trying it.
 *
 * It depends on how an operator class splits a page and where it puts new
 * values, and on the order in which they come: between 0.45 and 0.85 in the
 * operator classes of the core. So a sample of the leaves, in the
 * table's order, is inserted into a tree of one level in memory, with the
 * operator class's own penalty, union and picksplit functions; where it can
 * sort, pages are filled and split in groups as the build does it.
 *
 * Nothing is opened or written. The functions get what the build would give
 * them, pages and the relation (here the table) included.
 */
#include "postgres.h"

#include <math.h>

#include "access/gist.h"
#include "access/gist_private.h"
#include "access/reloptions.h"
#include "access/table.h"
#include "catalog/pg_collation.h"
#include "miscadmin.h"
#include "storage/bufpage.h"
#include "utils/datum.h"
#include "utils/float.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/sortsupport.h"

#include "whatif/details.h"

#define PAGE_ROOM ((double) (BLCKSZ - SizeOfPageHeaderData - MAXALIGN(sizeof(GISTPageOpaqueData))))

/* The sorted build splits that many pages together. */
#define SORTED_PAGES 4

/* Deeper than any split of so few pages. */
#define MOST_SPLITS 16

typedef struct ColumnFunctions
{
	FmgrInfo	penalty;
	FmgrInfo	unite;
	FmgrInfo	picksplit;
	FmgrInfo	equal;
	FmgrInfo	decompress;
	Oid			collation;
} ColumnFunctions;

typedef struct TriedPage
{
	List	   *leaves;			/* of HoneIndexLeaf * */
	double		used;
	Datum	   *key;			/* per column: the union */
	bool	   *isnull;
} TriedPage;

typedef struct Trying
{
	int			ncolumns;
	ColumnFunctions *functions;
	Relation	rel;
	Page		leaf_page;
	Page		inner_page;
	double		limit;			/* bytes at which a page is split */
	List	   *pages;			/* of TriedPage * */
	uint32		dice;
} Trying;

static void
take_function(const HoneIndex *index, int i, int number, FmgrInfo *function)
{
	Oid			proc = hone_whatif_support_proc(index, i, number);

	if (!OidIsValid(proc))
		return;
	fmgr_info(proc, function);
	set_fn_opclass_options(function, index->details->parsed_options[i]);
}

static bool
take_functions(Trying *trying, const HoneIndex *index)
{
	trying->functions = palloc0(sizeof(ColumnFunctions) * index->nkeycolumns);
	for (int i = 0; i < index->nkeycolumns; i++)
	{
		ColumnFunctions *functions = &trying->functions[i];

		take_function(index, i, GIST_PENALTY_PROC, &functions->penalty);
		take_function(index, i, GIST_UNION_PROC, &functions->unite);
		take_function(index, i, GIST_PICKSPLIT_PROC, &functions->picksplit);
		take_function(index, i, GIST_EQUAL_PROC, &functions->equal);
		take_function(index, i, GIST_DECOMPRESS_PROC, &functions->decompress);
		if (!OidIsValid(functions->penalty.fn_oid) || !OidIsValid(functions->unite.fn_oid) ||
			!OidIsValid(functions->picksplit.fn_oid))
			return false;
		functions->collation = OidIsValid(index->details->collations[i]) ?
			index->details->collations[i] : DEFAULT_COLLATION_OID;
	}
	return true;
}

static Page
make_page(uint16 flags)
{
	Page		page = palloc0(BLCKSZ);

	PageInit(page, BLCKSZ, sizeof(GISTPageOpaqueData));
	GistPageGetOpaque(page)->flags = flags;
	GistPageGetOpaque(page)->rightlink = InvalidBlockNumber;
	GistPageGetOpaque(page)->gist_page_id = GIST_PAGE_ID;
	return page;
}

/* As keys are when they are read from a page. */
static void
decompress(Trying *trying, HoneIndexLeaf *leaf)
{
	for (int i = 0; i < trying->ncolumns; i++)
	{
		ColumnFunctions *functions = &trying->functions[i];
		GISTENTRY	entry;

		if (leaf->isnull[i] || !OidIsValid(functions->decompress.fn_oid))
			continue;
		gistentryinit(entry, leaf->keys[i], trying->rel, trying->leaf_page,
					  FirstOffsetNumber, false);
		leaf->keys[i] = ((GISTENTRY *)
						 DatumGetPointer(FunctionCall1Coll(&functions->decompress,
														   functions->collation,
														   PointerGetDatum(&entry))))->key;
	}
}

/* The union of a page's keys, or of its key and one more leaf's. */
static void
unite(Trying *trying, TriedPage *page, int column, List *leaves, bool with_key)
{
	ColumnFunctions *functions = &trying->functions[column];
	GistEntryVector *vector = palloc(GEVHDRSZ + sizeof(GISTENTRY) * (list_length(leaves) + 2));
	int			size;
	ListCell   *lc;

	vector->n = 0;
	if (with_key && !page->isnull[column])
	{
		gistentryinit(vector->vector[0], page->key[column], trying->rel,
					  trying->inner_page, FirstOffsetNumber, false);
		vector->n = 1;
	}
	foreach(lc, leaves)
	{
		HoneIndexLeaf   *leaf = lfirst(lc);

		if (leaf->isnull[column])
			continue;
		gistentryinit(vector->vector[vector->n], leaf->keys[column], trying->rel,
					  trying->leaf_page, FirstOffsetNumber, false);
		vector->n++;
	}
	page->isnull[column] = vector->n == 0;
	if (vector->n == 1)
	{
		/* The functions want two. */
		vector->vector[1] = vector->vector[0];
		vector->n = 2;
	}
	if (vector->n > 0)
		page->key[column] = FunctionCall2Coll(&functions->unite, functions->collation,
											  PointerGetDatum(vector),
											  PointerGetDatum(&size));
	pfree(vector);
}

static TriedPage *
add_page(Trying *trying)
{
	TriedPage  *page = palloc0(sizeof(TriedPage));

	page->key = palloc0(sizeof(Datum) * trying->ncolumns);
	page->isnull = palloc(sizeof(bool) * trying->ncolumns);
	memset(page->isnull, true, sizeof(bool) * trying->ncolumns);
	trying->pages = lappend(trying->pages, page);
	return page;
}

static void
fill_page(Trying *trying, TriedPage *page, List *leaves)
{
	ListCell   *lc;

	page->leaves = leaves;
	page->used = 0;
	foreach(lc, leaves)
		page->used += ((HoneIndexLeaf *) lfirst(lc))->size;
	for (int i = 0; i < trying->ncolumns; i++)
		unite(trying, page, i, leaves, false);
}

static bool
same_key(const ColumnFunctions *functions, Datum a, Datum b)
{
	bool		result = false;

	if (OidIsValid(functions->equal.fn_oid))
		(void) FunctionCall3Coll(unconstify(FmgrInfo *, &functions->equal),
								 functions->collation, a, b, PointerGetDatum(&result));
	return result;
}

static void
split_in_halves(List *leaves, List **left, List **right)
{
	int			half = list_length(leaves) / 2;

	*left = list_truncate(list_copy(leaves), half);
	*right = list_copy_tail(leaves, half);
}

/*
 * Into two, as the column's operator class likes it; by the next column if this
 * one does not tell them apart, in halves if none does.
 */
static void
pick_split(Trying *trying, List *leaves, int column, List **left, List **right)
{
	ColumnFunctions *functions = &trying->functions[column];
	int			n = list_length(leaves);
	GistEntryVector *vector = palloc0(GEVHDRSZ + sizeof(GISTENTRY) * (n + 1));
	GIST_SPLITVEC split = {0};
	bool		useless;

	vector->n = n + 1;
	for (int i = 0; i < n; i++)
	{
		HoneIndexLeaf   *leaf = list_nth(leaves, i);

		if (leaf->isnull[column])
		{
			split_in_halves(leaves, left, right);
			return;
		}
		gistentryinit(vector->vector[i + 1], leaf->keys[column], trying->rel,
					  trying->leaf_page, (OffsetNumber) (i + 1), false);
	}
	(void) FunctionCall2Coll(&functions->picksplit, functions->collation,
							 PointerGetDatum(vector), PointerGetDatum(&split));
	pfree(vector);
	useless = split.spl_nleft == 0 || split.spl_nright == 0;
	if (column + 1 < trying->ncolumns &&
		(useless || same_key(functions, split.spl_ldatum, split.spl_rdatum)))
	{
		pick_split(trying, leaves, column + 1, left, right);
		return;
	}
	if (useless)
	{
		split_in_halves(leaves, left, right);
		return;
	}
	*left = NIL;
	*right = NIL;
	for (int i = 0; i < split.spl_nleft; i++)
		*left = lappend(*left, list_nth(leaves, Min(Max(split.spl_left[i], 1), n) - 1));
	for (int i = 0; i < split.spl_nright; i++)
		*right = lappend(*right, list_nth(leaves, Min(Max(split.spl_right[i], 1), n) - 1));
}

static double
choose_penalty(Trying *trying, const TriedPage *page, const HoneIndexLeaf *leaf, int column)
{
	ColumnFunctions *functions = &trying->functions[column];
	GISTENTRY	orig;
	GISTENTRY	add;
	float		penalty = 0;

	if (page->isnull[column] || leaf->isnull[column])
		return page->isnull[column] == leaf->isnull[column] ? 0 : get_float4_infinity();
	gistentryinit(orig, page->key[column], trying->rel, trying->inner_page,
				  FirstOffsetNumber, false);
	gistentryinit(add, leaf->keys[column], trying->rel, NULL, (OffsetNumber) 0, false);
	(void) FunctionCall3Coll(&functions->penalty, functions->collation,
							 PointerGetDatum(&orig), PointerGetDatum(&add),
							 PointerGetDatum(&penalty));
	return isnan(penalty) || penalty < 0 ? 0 : penalty;
}

static bool
toss(Trying *trying)
{
	trying->dice = trying->dice * 1664525 + 1013904223;
	return (trying->dice >> 31) != 0;
}

/*
 * The page with the least penalty, column by column. Among equals a coin is
 * tossed at each, and a page without any penalty is taken at once if it says
 * so; that is why the first pages get more than the others.
 */
static TriedPage *
choose_page(Trying *trying, const HoneIndexLeaf *leaf)
{
	TriedPage  *best = NULL;
	double		least[INDEX_MAX_KEYS];
	bool		tossed = false;
	bool		keep = false;
	ListCell   *lc;

	foreach(lc, trying->pages)
	{
		TriedPage  *page = lfirst(lc);
		double		penalties[INDEX_MAX_KEYS];
		int			better = best == NULL ? 1 : 0;
		bool		none = true;

		for (int i = 0; i < trying->ncolumns && better >= 0; i++)
		{
			penalties[i] = choose_penalty(trying, page, leaf, i);
			none &= penalties[i] <= 0;
			if (better == 0 && penalties[i] != least[i])
				better = penalties[i] < least[i] ? 1 : -1;
		}
		if (better < 0)
			continue;
		if (better == 0 && !tossed)
			keep = toss(trying);
		if (better == 0 && keep)
		{
			tossed = true;
			continue;
		}
		best = page;
		memcpy(least, penalties, sizeof(double) * trying->ncolumns);
		tossed = none;
		if (none && (keep = toss(trying)))
			break;
	}
	return best;
}

static void
insert_leaf(Trying *trying, HoneIndexLeaf *leaf)
{
	TriedPage  *page = choose_page(trying, leaf);
	List	   *left;
	List	   *right;

	page->leaves = lappend(page->leaves, leaf);
	page->used += leaf->size;
	if (page->used <= trying->limit || list_length(page->leaves) < 4)
	{
		for (int i = 0; i < trying->ncolumns; i++)
			unite(trying, page, i, list_make1(leaf), true);
		return;
	}
	/* The parent gets the two as new entries. */
	pick_split(trying, page->leaves, 0, &left, &right);
	trying->pages = list_delete_ptr(trying->pages, page);
	fill_page(trying, add_page(trying), left);
	fill_page(trying, add_page(trying), right);
}

/* Until each part fits a page. */
static void
split_until_fit(Trying *trying, List *leaves, int depth)
{
	double		size = 0;
	List	   *left;
	List	   *right;
	ListCell   *lc;

	foreach(lc, leaves)
		size += ((HoneIndexLeaf *) lfirst(lc))->size;
	if (depth > 0 && (size <= PAGE_ROOM || depth > MOST_SPLITS || list_length(leaves) < 4))
	{
		fill_page(trying, add_page(trying), leaves);
		return;
	}
	pick_split(trying, leaves, 0, &left, &right);
	split_until_fit(trying, left, depth + 1);
	split_until_fit(trying, right, depth + 1);
}

static int
compare_leaves(const void *a, const void *b, void *arg)
{
	SortSupport sort = arg;

	return sort->comparator((*(HoneIndexLeaf *const *) a)->keys[0],
							(*(HoneIndexLeaf *const *) b)->keys[0], sort);
}

static void
build_sorted(Trying *trying, Oid sort_proc, HoneIndexLeaf **leaves, int nleaves)
{
	SortSupportData sort = {0};
	List	   *group = NIL;
	double		used = 0;

	sort.ssup_cxt = CurrentMemoryContext;
	sort.ssup_collation = trying->functions[0].collation;
	sort.ssup_attno = 1;
	(void) OidFunctionCall1(sort_proc, PointerGetDatum(&sort));
	qsort_arg(leaves, nleaves, sizeof(HoneIndexLeaf *), compare_leaves, &sort);

	for (int i = 0; i < nleaves; i++)
	{
		if (used + leaves[i]->size > SORTED_PAGES * trying->limit)
		{
			split_until_fit(trying, group, 0);
			group = NIL;
			used = 0;
		}
		group = lappend(group, leaves[i]);
		used += leaves[i]->size;
	}
	/* A group that is not complete would not tell much, unless it is all there is. */
	if (trying->pages == NIL && group != NIL)
		split_until_fit(trying, group, 1);
}

static Oid
sort_function(const HoneIndex *index)
{
	for (int i = 0; i < index->nkeycolumns; i++)
	{
		if (!OidIsValid(hone_whatif_support_proc(index, i, GIST_SORTSUPPORT_PROC)))
			return InvalidOid;
	}
	return hone_whatif_support_proc(index, 0, GIST_SORTSUPPORT_PROC);
}

/* Bytes of an inner tuple. */
static double
inner_size(const Trying *trying, const int16 *len)
{
	double		sum = 0;
	ListCell   *lc;

	foreach(lc, trying->pages)
	{
		TriedPage  *page = lfirst(lc);
		Size		size = sizeof(IndexTupleData);

		for (int i = 0; i < trying->ncolumns; i++)
		{
			if (!page->isnull[i])
				size += datumGetSize(page->key[i], len[i] > 0 && len[i] <= (int16) sizeof(Datum),
									 len[i]);
		}
		sum += MAXALIGN(size) + sizeof(ItemIdData);
	}
	return sum / list_length(trying->pages);
}

/*
 * Part of the room on leaves that is used, after all of these were inserted;
 * leaves have a value in the first column. Of two pages and less nothing can be
 * said: 0. len is the length of the stored type per key column.
 */
double
hone_whatif_gist_fill(const HoneIndex *index, Oid relid, HoneIndexLeaf **leaves, int nleaves,
					  const int16 *len, double *inner_bytes)
{
	Trying		trying = {0};
	Oid			sort_proc = sort_function(index);
	double		used = 0;
	ListCell   *lc;

	trying.ncolumns = index->nkeycolumns;
	if (nleaves == 0 || !take_functions(&trying, index))
		return 0;
	trying.rel = table_open(relid, NoLock);
	trying.leaf_page = make_page(F_LEAF);
	trying.inner_page = make_page(0);
	trying.limit = PAGE_ROOM - BLCKSZ * (100 - index->details->fillfactor) / 100;
	trying.dice = 1;

	for (int i = 0; i < nleaves; i++)
		decompress(&trying, leaves[i]);
	if (OidIsValid(sort_proc))
		build_sorted(&trying, sort_proc, leaves, nleaves);
	else
	{
		(void) add_page(&trying);
		for (int i = 0; i < nleaves; i++)
		{
			if (i % 100 == 0)
				CHECK_FOR_INTERRUPTS();
			insert_leaf(&trying, leaves[i]);
		}
	}
	table_close(trying.rel, NoLock);

	if (list_length(trying.pages) < 3)
		return 0;
	foreach(lc, trying.pages)
		used += ((TriedPage *) lfirst(lc))->used;
	*inner_bytes = inner_size(&trying, len);
	return used / (PAGE_ROOM * list_length(trying.pages));
}
