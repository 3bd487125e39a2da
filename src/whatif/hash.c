/*
 * hash.c
 *	  How large a hash index would be.
 *
 * The build makes as many buckets as the whole table's rows need at the fill
 * factor, rounded up to what the method allocates at once; a bucket that gets
 * more items than its page holds has overflow pages. Rows with equal values
 * share a bucket, so it is the repeating values that overflow. Nulls are not
 * stored.
 */
#include "postgres.h"

#include <math.h>

#include "access/hash.h"
#include "access/itup.h"
#include "catalog/pg_statistic.h"
#include "utils/lsyscache.h"

#include "whatif/details.h"

#define ITEM_BYTES \
	(MAXALIGN(sizeof(IndexTupleData)) + MAXALIGN(sizeof(uint32)) + sizeof(ItemIdData))
#define PAGE_ITEMS \
	floor((BLCKSZ - SizeOfPageHeaderData - MAXALIGN(sizeof(HashPageOpaqueData))) / \
		  (double) ITEM_BYTES)
#define MOST_BUCKETS 1073741824.0

/* Rows a bucket is meant to hold. */
static double
bucket_rows(int fillfactor)
{
	return Max(10, BLCKSZ * fillfactor / 100 / (int) ITEM_BYTES);
}

/* Bucket pages there are when so many buckets are in use: they are made in groups. */
static double
allocated_buckets(double buckets)
{
	if (buckets <= 2)
		return 2;
	if (buckets >= MOST_BUCKETS)
		return MOST_BUCKETS;
	return _hash_get_totalbuckets(_hash_spareindex((uint32) buckets));
}

/*
 * Overflow pages of a bucket that holds `fixed` rows, and besides a Poisson
 * number of groups, `mean` on average, of `size` rows each.
 */
static double
overflow(double fixed, double mean, double size)
{
	double		sum = 0;
	double		weights = 0;

	if (mean > 10)
	{
		for (int step = -8; step <= 8; step++)
		{
			double		z = step / 2.0;
			double		weight = exp(-z * z / 2);
			double		load = fixed + Max(0, mean + z * sqrt(mean)) * size;

			sum += weight * Max(0, ceil(load / PAGE_ITEMS) - 1);
			weights += weight;
		}
		return sum / weights;
	}

	/* Few groups: a normal curve would mislead. */
	weights = exp(-mean);
	for (int n = 0; n <= 40; n++)
	{
		sum += weights * Max(0, ceil((fixed + n * size) / PAGE_ITEMS) - 1);
		weights *= mean / (n + 1);
	}
	return sum;
}

/* The values of a bucket that is not split yet are those of two. */
static double
overflow_of_all(double buckets, double groups, double size)
{
	double		slots = exp2(ceil(log2(buckets)));
	double		whole = slots - buckets;	/* not split */

	return whole * overflow(0, 2 * groups / slots, size) +
		(buckets - whole) * overflow(0, groups / slots, size);
}

void
hone_whatif_estimate_hash(const HoneIndex *index, HoneIndexPlace *place,
						  PlannerInfo *root, List *columns)
{
	HoneColumnFigures figures;
	VariableStatData vardata;
	HeapTuple	sampled = hone_whatif_sampled_stats(index, 0);
	AttStatsSlot slot;
	double		wanted = bucket_rows(index->details->fillfactor);
	double		allocated = allocated_buckets(place->rel_tuples / wanted);
	double		buckets = allocated;
	double		rows;
	double		groups;
	double		pages = 0;

	hone_whatif_figure_column(root, linitial(columns), sampled, place->rel_tuples, &figures);
	hone_whatif_apply_predicate(&figures, linitial(columns), place->predicate);
	rows = place->tuples * (1 - figures.null_frac);
	groups = Max(1, Min(figures.ndistinct, rows));

	/* What was made for the rows expected is split when more come. */
	if (rows > wanted * buckets)
	{
		buckets = ceil(rows / wanted);
		allocated = allocated_buckets(buckets);
	}

	hone_whatif_examine_column(root, linitial(columns), sampled, &vardata);
	if (groups > 1 && HeapTupleIsValid(vardata.statsTuple) && vardata.acl_ok &&
		get_attstatsslot(&slot, vardata.statsTuple, STATISTIC_KIND_MCV,
						 InvalidOid, ATTSTATSSLOT_NUMBERS))
	{
		for (int i = 0; i < slot.nnumbers; i++)
		{
			double		share = slot.numbers[i] / Max(1 - figures.table_null_frac, 1e-6);
			double		count = Min(share * place->tuples * (1 - figures.null_frac), rows);

			rows -= count;
			pages += overflow(count, rows / buckets, 1);
			groups--;
		}
		free_attstatsslot(&slot);
	}
	ReleaseVariableStats(vardata);

	groups = Max(1, Min(groups, rows));
	if (rows >= 1)
		pages += overflow_of_all(buckets, groups, rows / groups);

	/* The meta page and the first bitmap of overflow pages. */
	place->pages = 2 + allocated + ceil(pages);
}
