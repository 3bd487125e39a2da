/*
 * tree.c
 *	  How large a GiST or SP-GiST index would be.
 *
 * What the leaves hold is what the operator class makes of a value, which its
 * width in the table does not tell: a sample of the table's values is given to
 * the operator class's own compress function. How full the pages get is
 * measured, not known: see the constants.
 */
#include "postgres.h"

#include <math.h>

#include "access/gist.h"
#include "access/gist_private.h"
#include "access/htup_details.h"
#include "access/itup.h"
#include "access/spgist_private.h"
#include "catalog/pg_am.h"
#include "nodes/nodeFuncs.h"
#include "utils/datum.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"

#include "whatif/details.h"

#define SAMPLE_ROWS 2000

#define PAGE_ROOM ((double) (BLCKSZ - SizeOfPageHeaderData - MAXALIGN(sizeof(GISTPageOpaqueData))))

#define INSERTED_FILL 0.65
#define SORTED_FILL 0.85
#define SPGIST_FILL 0.75

typedef struct Measuring
{
	const HoneIndex *index;
	FmgrInfo   *compress;		/* per key column; fn_oid 0 if there is none */
	int16	   *len;			/* of what is stored, per column */
	char	   *align;
	Size		header;
	MemoryContext row_context;
	int			rows;
	double		bytes;			/* of all leaf tuples */
} Measuring;

/* Bytes that a value adds to a tuple of `size` bytes. */
static Size
add_value(Size size, Datum value, int16 len, char align)
{
	Size		width = datumGetSize(value, len > 0 && len <= (int16) sizeof(Datum), len);

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
	gistentryinit(entry, value, (Relation) NULL, (Page) NULL, (OffsetNumber) 0, true);
	compressed = (GISTENTRY *)
		DatumGetPointer(FunctionCall1Coll(&measuring->compress[i],
										  measuring->index->details->collations[i],
										  PointerGetDatum(&entry)));
	return compressed->key;
}

static bool
measure_row(HeapTuple tuple, TupleDesc desc, void *arg)
{
	Measuring  *measuring = arg;
	MemoryContext old = MemoryContextSwitchTo(measuring->row_context);
	Size		size = 0;
	bool		nulls = false;

	for (int i = 0; i < measuring->index->ncolumns; i++)
	{
		bool		isnull;
		Datum		value = heap_getattr(tuple, i + 1, desc, &isnull);

		if (isnull)
			nulls = true;
		else
			size = add_value(size, stored_value(measuring, i, value),
							 measuring->len[i], measuring->align[i]);
	}
	measuring->rows++;
	measuring->bytes += sizeof(ItemIdData) +
		MAXALIGN(size + (nulls ? MAXALIGN(measuring->header + 4) : measuring->header));
	MemoryContextSwitchTo(old);
	MemoryContextReset(measuring->row_context);
	return measuring->rows < 2 * SAMPLE_ROWS;
}

static void
prepare(Measuring *measuring, const HoneIndex *index, List *columns)
{
	int			number = index->amoid == GIST_AM_OID ? GIST_COMPRESS_PROC : SPGIST_COMPRESS_PROC;

	measuring->index = index;
	measuring->compress = palloc0(sizeof(FmgrInfo) * index->ncolumns);
	measuring->len = palloc0(sizeof(int16) * index->ncolumns);
	measuring->align = palloc0(sizeof(char) * index->ncolumns);
	measuring->header = index->amoid == GIST_AM_OID ?
		sizeof(IndexTupleData) : MAXALIGN(sizeof(SpGistLeafTupleData));
	for (int i = 0; i < index->ncolumns; i++)
	{
		Oid			type = exprType(list_nth(columns, i));
		bool		byval;
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
		get_typlenbyvalalign(type, &measuring->len[i], &byval, &measuring->align[i]);
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

static double
page_fill(const HoneIndex *index)
{
	double		full = index->details->fillfactor;

	if (index->amoid == SPGIST_AM_OID)
		return SPGIST_FILL * full / SPGIST_DEFAULT_FILLFACTOR;
	for (int i = 0; i < index->nkeycolumns; i++)
	{
		if (!OidIsValid(hone_whatif_support_proc(index, i, GIST_SORTSUPPORT_PROC)))
			return INSERTED_FILL * full / GIST_DEFAULT_FILLFACTOR;
	}
	return SORTED_FILL * full / GIST_DEFAULT_FILLFACTOR;
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
	double		leaves;
	double		fanout;

	prepare(&measuring, index, columns);
	measuring.row_context = AllocSetContextCreate(context, "pg_hone tree row",
												  ALLOCSET_DEFAULT_SIZES);
	if (hone_whatif_sample(index, place, columns, true, SAMPLE_ROWS, measure_row,
						   &measuring) > 0)
		tuple = measuring.bytes / measuring.rows;
	else
		tuple = guess_bytes(index, place, root, columns, measuring.header);
	MemoryContextSwitchTo(old);
	MemoryContextDelete(context);

	leaves = Max(1, ceil(place->tuples * tuple / (PAGE_ROOM * page_fill(index))));
	fanout = Max(2, floor(PAGE_ROOM * page_fill(index) / tuple));
	place->pages = leaves;
	for (double level = leaves; level > 1;)
	{
		level = ceil(level / fanout);
		place->pages += level;
	}
	if (index->amoid == SPGIST_AM_OID)
		place->pages += 2;		/* meta page and the root of nulls */
}
