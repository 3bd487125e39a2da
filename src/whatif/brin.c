/*
 * brin.c
 *	  How large a BRIN index would be.
 *
 * One summary a range, whose parts the operator class names: plain values
 * (minmax, inclusion) have the column's own width, the two serialized kinds are
 * computed from their parameters as they do it themselves. Beside them there is
 * a map from ranges to summaries, and the meta page.
 */
#include "postgres.h"

#include <math.h>

#include "access/brin_internal.h"
#include "access/brin_page.h"
#include "access/brin_tuple.h"
#include "access/htup_details.h"
#include "access/reloptions.h"
#include "catalog/pg_type.h"
#include "nodes/nodeFuncs.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

#include "whatif/details.h"

/* The operator classes' own defaults. */
#define DEFAULT_VALUES_PER_RANGE 32
#define DEFAULT_DISTINCT_PER_RANGE (-0.1)
#define DEFAULT_FALSE_POSITIVES 0.01
#define LEAST_DISTINCT 16

/* Smaller parts are stored as they are (TOAST_INDEX_TARGET). */
#define COMPRESSED_FROM (MaxHeapTupleSize / 16)
#define LEAST_SAVING 0.75

#define PAGE_ROOM \
	((double) (BLCKSZ - MAXALIGN(SizeOfPageHeaderData) - MAXALIGN(sizeof(BrinSpecialSpace))))

static double
option_value(Datum options, const char *name, double missing)
{
	Datum	   *elems;
	int			nelems;
	Size		length = strlen(name);
	double		result = missing;

	if (DatumGetPointer(options) == NULL)
		return missing;
	deconstruct_array(DatumGetArrayTypeP(options), TEXTOID, -1, false, TYPALIGN_INT,
					  &elems, NULL, &nelems);
	for (int i = 0; i < nelems; i++)
	{
		char	   *option = TextDatumGetCString(elems[i]);

		if (strncmp(option, name, length) == 0 && option[length] == '=')
			result = strtod(option + length + 1, NULL);
	}
	return result;
}

static double
average_width(const HoneColumnFigures *figures)
{
	double		sum = 0;

	for (int i = 0; i < HONE_WIDTHS; i++)
		sum += figures->widths[i];
	return sum / HONE_WIDTHS;
}

static double
bloom_width(Datum options, int pages_per_range, double distinct, double rows)
{
	double		most = (double) MaxHeapTuplesPerPage * pages_per_range;
	double		wanted = option_value(options, "n_distinct_per_range",
									  DEFAULT_DISTINCT_PER_RANGE);
	double		wrong = option_value(options, "false_positive_rate",
									 DEFAULT_FALSE_POSITIVES);
	double		bytes;
	double		hashes;
	double		set;			/* part of the bits */
	double		mixed;			/* part of the bytes that have both kinds */
	double		compressed;

	if (wanted < 0)
		wanted = -wanted * most;
	wanted = floor(Min(Max(wanted, LEAST_DISTINCT), most));
	bytes = ceil(ceil(-wanted * log(wrong) / (M_LN2 * M_LN2)) / 8);
	if (bytes > PAGE_ROOM)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("the bloom filter is too large (%d > %d)", (int) bytes,
						(int) PAGE_ROOM)));

	/* Bytes that are all zeros, or all ones, are about what compression saves. */
	hashes = rint(M_LN2 * bytes * 8 / wanted);
	set = -expm1(-hashes * Min(distinct, rows) / (bytes * 8));
	mixed = 1 - Max(pow(set, 8), pow(1 - set, 8));
	compressed = mixed * 1.3 + 0.02;
	if (bytes > COMPRESSED_FROM && compressed < LEAST_SAVING)
		bytes *= compressed;
	return 16 + bytes;
}

/* Bytes of one part of a summary. */
static double
part_width(const HoneIndex *index, int i, Oid part, const HoneColumnFigures *figures,
		   double rows)
{
	Datum		options = index->details->opclass_options[i];
	double		width = average_width(figures);
	double		values;

	switch (part)
	{
		case PG_BRIN_BLOOM_SUMMARYOID:
			return bloom_width(options, index->details->pages_per_range,
							   figures->ndistinct, rows);
		case PG_BRIN_MINMAX_MULTI_SUMMARYOID:
			values = option_value(options, "values_per_range", DEFAULT_VALUES_PER_RANGE);
			/* What is left of more values are ranges and single ones, about so many. */
			return 20 + Min(0.75 * values, Max(1, Min(rows, figures->ndistinct))) * width;
		case BOOLOID:
			return 1;
		default:
			return width;
	}
}

/* Bytes of the summary of one range of `rows` rows. */
static double
summary_bytes(const HoneIndex *index, PlannerInfo *root, List *columns,
			  const HoneIndexPlace *place, double rows)
{
	double		bytes = 0;
	bool		nulls = false;
	int			i = 0;
	ListCell   *lc;

	foreach(lc, columns)
	{
		Node	   *expr = lfirst(lc);
		HoneColumnFigures figures;
		Oid			type = hone_whatif_stored_type(index, i, exprType(expr));
		Oid			proc = hone_whatif_support_proc(index, i, BRIN_PROCNUM_OPCINFO);
		BrinOpcInfo *parts;

		hone_whatif_figure_column(root, expr, hone_whatif_sampled_stats(index, i),
								  place->rel_tuples, &figures);
		if (!OidIsValid(proc))
			elog(ERROR, "missing support function %d for operator class %u",
				 BRIN_PROCNUM_OPCINFO, index->details->opclasses[i]);
		parts = (BrinOpcInfo *) DatumGetPointer(OidFunctionCall1(proc, ObjectIdGetDatum(type)));
		for (int k = 0; k < parts->oi_nstored; k++)
		{
			TypeCacheEntry *part = parts->oi_typcache[k];

			if (part->typlen > 0)
				bytes = att_align_nominal((Size) bytes, part->typalign);
			bytes += part_width(index, i, part->type_id, &figures, rows);
		}
		nulls |= figures.table_null_frac > 0;
		i++;
	}
	return MAXALIGN((Size) (MAXALIGN(SizeOfBrinTuple +
									 (nulls ? BITMAPLEN(index->ncolumns * 2) : 0)) + bytes));
}

void
hone_whatif_estimate_brin(const HoneIndex *index, HoneIndexPlace *place,
						  PlannerInfo *root, List *columns)
{
	double		ranges = Max(ceil(place->rel_pages / index->details->pages_per_range), 1);
	double		rows = place->rel_tuples / ranges;
	double		bytes = summary_bytes(index, root, columns, place, rows);
	double		per_page = Max(1, floor(PAGE_ROOM / (bytes + sizeof(ItemIdData))));

	place->pages_per_range = index->details->pages_per_range;
	place->data_pages = ceil(ranges / REVMAP_PAGE_MAXITEMS);
	place->entries = ranges;
	place->pages = 1 + place->data_pages + ceil(ranges / per_page);
}
