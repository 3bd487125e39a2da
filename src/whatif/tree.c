/*
 * tree.c
 *	  How large a GiST or SP-GiST index would be.
 *
 * What the leaves hold is what the operator class makes of a value, which its
 * width in the table does not tell: a sample of the table's values is given to
 * the operator class's own compress function. How full the pages get is
 * tried in GiST (gistfill.c), and a constant in SP-GiST.
 */
#include "postgres.h"

#include <math.h>

#include "access/gist.h"
#include "access/gist_private.h"
#include "access/htup_details.h"
#include "access/itup.h"
#include "access/spgist_private.h"
#include "access/table.h"
#include "catalog/pg_am.h"
#include "nodes/nodeFuncs.h"
#include "utils/datum.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"

#include "whatif/details.h"

#define SAMPLE_ROWS 3000		/* of all partitions */
#define LEAST_ROWS 600			/* of each */
#define SAMPLE_BYTES (8.0 * 1024 * 1024)

#define PAGE_ROOM ((double) (BLCKSZ - SizeOfPageHeaderData - MAXALIGN(sizeof(GISTPageOpaqueData))))

/* Where the sample does not tell. */
#define GIST_FILL 0.57
#define SPGIST_FILL 0.75

typedef struct Measuring
{
	const HoneIndex *index;
	FmgrInfo   *compress;		/* per key column; fn_oid 0 if there is none */
	Relation	rel;
	int16	   *len;			/* of what is stored, per column */
	bool		strips;			/* SP-GiST: beginnings are not in the leaves */
	bool	   *byval;
	char	   *align;
	Size		header;
	MemoryContext context;
	MemoryContext row_context;
	int			rows;
	double		bytes;			/* of all leaf tuples */
	HoneIndexLeaf  **leaves;			/* where wanted, those with a value in the first column */
	int			nleaves;
} Measuring;

/* Bytes that a value adds to a tuple of `size` bytes. */
static Size
add_value(Size size, Datum value, bool byval, int16 len, char align)
{
	Size		width = datumGetSize(value, byval, len);

	if (len != -1)
		return att_align_nominal(size, align) + width;
	if (VARATT_IS_SHORT(DatumGetPointer(value)))
		return size + width;
	if (width - VARHDRSZ + VARHDRSZ_SHORT <= VARATT_SHORT_MAX)
		return size + width - VARHDRSZ + VARHDRSZ_SHORT;
	return att_align_nominal(size, align) + width;
}

static Datum
stored_value(Measuring *measuring, int i, Datum value)
{
	GISTENTRY	entry;
	GISTENTRY  *compressed;

	if (i >= measuring->index->nkeycolumns || !OidIsValid(measuring->compress[i].fn_oid))
		return value;
	if (measuring->index->amoid == SPGIST_AM_OID)
		return FunctionCall1Coll(&measuring->compress[i],
								 measuring->index->details->collations[i], value);
	gistentryinit(entry, value, measuring->rel, (Page) NULL, (OffsetNumber) 0, true);
	compressed = (GISTENTRY *)
		DatumGetPointer(FunctionCall1Coll(&measuring->compress[i],
										  measuring->index->details->collations[i],
										  PointerGetDatum(&entry)));
	return compressed->key;
}

static void
keep_leaf(Measuring *measuring, const Datum *keys, const bool *isnull, double size)
{
	MemoryContext old = MemoryContextSwitchTo(measuring->context);
	int			ncolumns = measuring->index->nkeycolumns;
	HoneIndexLeaf   *leaf = palloc(sizeof(HoneIndexLeaf));

	leaf->keys = palloc(sizeof(Datum) * ncolumns);
	leaf->isnull = palloc(sizeof(bool) * ncolumns);
	leaf->size = size;
	for (int i = 0; i < ncolumns; i++)
	{
		int16		len = measuring->len[i];

		leaf->isnull[i] = isnull[i];
		if (!isnull[i])
			leaf->keys[i] = datumCopy(keys[i], measuring->byval[i], len);
	}
	measuring->leaves[measuring->nleaves++] = leaf;
	MemoryContextSwitchTo(old);
}

static bool
measure_row(HeapTuple tuple, TupleDesc desc, void *arg)
{
	Measuring  *measuring = arg;
	MemoryContext old = MemoryContextSwitchTo(measuring->row_context);
	Datum		values[INDEX_MAX_KEYS];
	bool		isnull[INDEX_MAX_KEYS];
	Size		size = 0;
	bool		nulls = false;

	for (int i = 0; i < measuring->index->ncolumns; i++)
	{
		values[i] = heap_getattr(tuple, i + 1, desc, &isnull[i]);
		nulls |= isnull[i];
		if (isnull[i])
			continue;
		values[i] = stored_value(measuring, i, values[i]);
		size = add_value(size, values[i], measuring->byval[i], measuring->len[i],
						 measuring->align[i]);
	}
	/* A null alone, in SP-GiST, is in a tree of its own. */
	if (measuring->index->amoid == SPGIST_AM_OID && measuring->index->ncolumns == 1)
		nulls = false;
	size += nulls ? MAXALIGN(measuring->header + 4) : measuring->header;
	measuring->rows++;
	measuring->bytes += sizeof(ItemIdData) + MAXALIGN(size);
	if (measuring->leaves != NULL && !isnull[0])
		keep_leaf(measuring, values, isnull,
				  measuring->strips ? size : sizeof(ItemIdData) + MAXALIGN(size));
	MemoryContextSwitchTo(old);
	MemoryContextReset(measuring->row_context);
	return measuring->rows < SAMPLE_ROWS && measuring->bytes < SAMPLE_BYTES;
}

static bool
strips_prefixes(const HoneIndex *index, Oid column_type)
{
	spgConfigOut config;

	return index->amoid == SPGIST_AM_OID && hone_whatif_spgist_config(index, column_type, &config) &&
		config.longValuesOK &&
		get_typlen(OidIsValid(config.leafType) ? config.leafType : column_type) == -1;
}

static void
prepare(Measuring *measuring, const HoneIndex *index, List *columns)
{
	int			number = index->amoid == GIST_AM_OID ? GIST_COMPRESS_PROC : SPGIST_COMPRESS_PROC;

	measuring->index = index;
	measuring->compress = palloc0(sizeof(FmgrInfo) * index->ncolumns);
	measuring->len = palloc0(sizeof(int16) * index->ncolumns);
	measuring->align = palloc0(sizeof(char) * index->ncolumns);
	measuring->byval = palloc0(sizeof(bool) * index->ncolumns);
	measuring->strips = strips_prefixes(index, exprType(linitial(columns)));
	if (index->amoid == GIST_AM_OID || measuring->strips)
		measuring->leaves = palloc(sizeof(HoneIndexLeaf *) * SAMPLE_ROWS);
	measuring->header = index->amoid == GIST_AM_OID ?
		sizeof(IndexTupleData) : MAXALIGN(sizeof(SpGistLeafTupleData));
	for (int i = 0; i < index->ncolumns; i++)
	{
		Oid			type = exprType(list_nth(columns, i));
		Oid			proc = InvalidOid;

		if (i < index->nkeycolumns)
		{
			proc = hone_whatif_support_proc(index, i, number);
			type = hone_whatif_stored_type(index, i, type);
		}
		if (OidIsValid(proc))
		{
			fmgr_info(proc, &measuring->compress[i]);
			set_fn_opclass_options(&measuring->compress[i],
								   index->details->parsed_options[i]);
		}
		get_typlenbyvalalign(type, &measuring->len[i], &measuring->byval[i],
							 &measuring->align[i]);
	}
}

/* From statistics, for when nothing may be read. */
static double
guess_bytes(const HoneIndex *index, const HoneIndexPlace *place, PlannerInfo *root,
			List *columns, Size header)
{
	double		bytes = 0;
	int			i = 0;
	ListCell   *lc;

	foreach(lc, columns)
	{
		HoneColumnFigures figures;

		hone_whatif_figure_column(root, lfirst(lc), hone_whatif_sampled_stats(index, i++),
								  place->rel_tuples, &figures);
		for (int k = 0; k < HONE_WIDTHS; k++)
			bytes += (double) figures.widths[k] / HONE_WIDTHS;
	}
	return sizeof(ItemIdData) + MAXALIGN((Size) (header + bytes));
}

/* Leaves, and levels of inner pages above them. */
static double
count_pages(double bytes, double fill, double inner)
{
	double		level = Max(1, ceil(bytes / (PAGE_ROOM * fill)));
	double		fanout = Max(2, floor(PAGE_ROOM * fill / inner));
	double		pages = level;

	while (level > 1)
	{
		level = ceil(level / fanout);
		pages += level;
	}
	return pages;
}

static double
gist_pages(Measuring *measuring, const HoneIndexPlace *place, double tuple)
{
	const HoneIndex *index = measuring->index;
	double		inner = tuple;
	double		fill = 0;

	if (measuring->nleaves > 0)
		fill = hone_whatif_gist_fill(index, place->relid, measuring->leaves,
									 measuring->nleaves, measuring->len, &inner);
	if (fill <= 0)
		fill = GIST_FILL * index->details->fillfactor / GIST_DEFAULT_FILLFACTOR;
	return count_pages(place->tuples * tuple, fill, inner);
}

static int
compare_bytes(const void *a, const void *b)
{
	Pointer		left = DatumGetPointer((*(HoneIndexLeaf *const *) a)->keys[0]);
	Pointer		right = DatumGetPointer((*(HoneIndexLeaf *const *) b)->keys[0]);
	Size		nleft = VARSIZE_ANY_EXHDR(left);
	Size		nright = VARSIZE_ANY_EXHDR(right);
	int			result = memcmp(VARDATA_ANY(left), VARDATA_ANY(right), Min(nleft, nright));

	return result != 0 ? result : (nleft > nright) - (nleft < nright);
}

static Size
common_prefix(const HoneIndexLeaf *a, const HoneIndexLeaf *b)
{
	Pointer		left = DatumGetPointer(a->keys[0]);
	Pointer		right = DatumGetPointer(b->keys[0]);
	Size		most = Min(VARSIZE_ANY_EXHDR(left), VARSIZE_ANY_EXHDR(right));
	Size		n = 0;

	while (n < most && VARDATA_ANY(left)[n] == VARDATA_ANY(right)[n])
		n++;
	return n;
}

/*
 * Operator classes that take long values keep in a leaf what is left after the
 * inner tuples have told the beginning: what the values of one page have in
 * common. In the sample these are as many neighbours as a page's part of it.
 */
static double
without_prefixes(Measuring *measuring, const HoneIndexPlace *place, double tuple)
{
	int			n = measuring->nleaves;
	double		page = PAGE_ROOM * SPGIST_FILL / tuple;
	int			distance = (int) (page / Max(place->tuples, 1) * n) + 1;
	double		saved = 0;

	if (n <= distance)
		return tuple;
	qsort(measuring->leaves, n, sizeof(HoneIndexLeaf *), compare_bytes);
	for (int i = 0; i < n; i++)
	{
		HoneIndexLeaf   *leaf = measuring->leaves[i];
		HoneIndexLeaf   *other = measuring->leaves[i + distance < n ? i + distance : i - distance];
		Size		common = common_prefix(leaf, other);

		/* Sizes are still those without alignment. */
		saved += (double) MAXALIGN((Size) leaf->size) -
			(double) MAXALIGN((Size) leaf->size - common);
	}
	return tuple - saved / n;
}

static double
spgist_pages(const HoneIndex *index, const HoneIndexPlace *place, double tuple)
{
	double		fill = SPGIST_FILL * index->details->fillfactor / SPGIST_DEFAULT_FILLFACTOR;

	/* The meta page and the root of nulls. */
	return 2 + count_pages(place->tuples * tuple, Min(fill, 0.95), tuple);
}

void
hone_whatif_estimate_tree(const HoneIndex *index, HoneIndexPlace *place,
						  PlannerInfo *root, List *columns)
{
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext,
												  "pg_hone tree sample",
												  ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(context);
	Measuring	measuring = {0};
	double		tuple;
	int			rows;

	prepare(&measuring, index, columns);
	measuring.context = context;
	measuring.row_context = AllocSetContextCreate(context, "pg_hone tree row",
												  ALLOCSET_DEFAULT_SIZES);
	measuring.rel = table_open(place->relid, NoLock);
	rows = Max(SAMPLE_ROWS / list_length(index->details->places), LEAST_ROWS);
	if (hone_whatif_sample(index, place, columns, true, rows, measure_row, &measuring) > 0)
		tuple = measuring.bytes / measuring.rows;
	else
		tuple = guess_bytes(index, place, root, columns, measuring.header);
	if (index->amoid == GIST_AM_OID)
		place->pages = gist_pages(&measuring, place, tuple);
	else
	{
		if (measuring.strips)
			tuple = without_prefixes(&measuring, place, tuple);
		place->pages = spgist_pages(index, place, tuple);
	}
	table_close(measuring.rel, NoLock);
	MemoryContextSwitchTo(old);
	MemoryContextDelete(context);
}
