/*
 * groups.c
 *	  How many different combinations of values some columns of a table have.
 *
 * Statistics tell it of one column, and of several only where somebody has made
 * extended ones; a product of single figures is far too large where columns
 * depend on each other (a part and who supplies it). But what duplicates save in
 * a b-tree depends on it. So rows of some whole pages, taken at random, are
 * read once for all columns of a table, and hashed.
 *
 * Rows of one page are no random rows: what was written together stands
 * together. So what is counted is on how many of the pages a combination
 * stands, not how often; and the estimator that ANALYZE uses for rows (Haas and
 * Stokes, 1998: n d / (n - f1 + f1 n / N)) is applied to these.
 *
 * That estimator takes all groups for equally large, and a sample shows the
 * larger ones: of a few rows from many groups it tells too few groups. Sizes
 * that come by chance vary like a Poisson distribution, so its answer is taken
 * for that of such groups.
 *
 * Kept until the transaction ends: see cache.c. Reading obeys sample.c. Nothing
 * is written or locked beyond what the query locks.
 */
#include "postgres.h"

#include <math.h>

#include "access/htup_details.h"
#include "access/sysattr.h"
#include "catalog/pg_class.h"
#include "catalog/pg_type.h"
#include "common/hashfn.h"
#include "nodes/makefuncs.h"
#include "storage/itemptr.h"
#include "utils/datum.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/syscache.h"

#include "whatif/details.h"

#define SAMPLE_ROWS 12000
#define SAMPLE_MAX_ROWS (SAMPLE_ROWS + SAMPLE_ROWS / 2)
#define MOST_WIDTH 64			/* of a value, on average */
#define MOST_CELLS (1024 * 1024)	/* rows times columns */

typedef struct Counted
{
	Bitmapset  *columns;
	double		ndistinct;
} Counted;

struct HoneGroups
{
	int			ncolumns;
	AttrNumber *columns;
	int			most_rows;
	int			nrows;
	int			npages;
	double		share;			/* of the table's rows that were read */
	BlockNumber *pages;			/* of each row */
	uint32	   *hashes;			/* [row * ncolumns + column]; 0: null */
	List	   *counted;		/* of Counted */
};

static bool
take_row(HeapTuple tuple, TupleDesc desc, void *arg)
{
	HoneGroups *groups = arg;
	uint32	   *hashes = groups->hashes + (Size) groups->nrows * groups->ncolumns;
	bool		isnull;
	ItemPointer tid = (ItemPointer) DatumGetPointer(heap_getattr(tuple, 1, desc, &isnull));
	BlockNumber page = ItemPointerGetBlockNumberNoCheck(tid);

	for (int i = 0; i < groups->ncolumns; i++)
	{
		Form_pg_attribute att = TupleDescAttr(desc, i + 1);
		Datum		value = heap_getattr(tuple, i + 2, desc, &isnull);

		hashes[i] = isnull ? 0 :
			datum_image_hash(value, att->attbyval, att->attlen) | 1;
	}
	if (groups->nrows == 0 || groups->pages[groups->nrows - 1] != page)
		groups->npages++;
	groups->pages[groups->nrows++] = page;
	return groups->nrows < groups->most_rows;
}

/* The columns that are short, as Vars, behind the place of the row. */
static List *
short_columns(HoneGroups *groups, Oid relid)
{
	HeapTuple	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(relid));
	List	   *vars = list_make1(makeVar(1, SelfItemPointerAttributeNumber, TIDOID, -1,
										  InvalidOid, 0));
	int			natts;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for relation %u", relid);
	natts = ((Form_pg_class) GETSTRUCT(tuple))->relnatts;
	ReleaseSysCache(tuple);
	groups->columns = palloc(natts * sizeof(AttrNumber));
	for (AttrNumber attno = 1; attno <= natts; attno++)
	{
		Oid			type = get_atttype(relid, attno);
		Oid			collation;
		int32		typmod;

		if (!OidIsValid(type) || get_attavgwidth(relid, attno) > MOST_WIDTH ||
			(get_typlen(type) < 0 && get_attavgwidth(relid, attno) <= 0))
			continue;
		get_atttypetypmodcoll(relid, attno, &type, &typmod, &collation);
		groups->columns[groups->ncolumns++] = attno;
		vars = lappend(vars, makeVar(1, attno, type, typmod, collation, 0));
	}
	return vars;
}

/* The sample, in the current context; with no rows when nothing may be read. */
static HoneGroups *
read_sample(const HoneIndex *index, const HoneIndexPlace *place)
{
	HoneGroups *groups = palloc0(sizeof(HoneGroups));
	List	   *vars = short_columns(groups, place->relid);

	groups->most_rows = Min(SAMPLE_MAX_ROWS, MOST_CELLS / Max(groups->ncolumns, 1));
	groups->most_rows = Max(1, Min(groups->most_rows, (int) Min(place->rel_tuples * 2 + 100, 1e6)));
	groups->pages = palloc(groups->most_rows * sizeof(BlockNumber));
	groups->hashes = palloc((Size) groups->most_rows * Max(groups->ncolumns, 1) * sizeof(uint32));
	if (groups->ncolumns > 0)
		(void) hone_whatif_sample_pages(index, place, vars, SAMPLE_ROWS, take_row, groups);
	groups->share = Min(1, groups->nrows / Max(place->rel_tuples, 1));
	return groups;
}

typedef struct Slot
{
	uint64		hash;
	BlockNumber page;			/* the last it was seen on */
	int			pages;			/* 0: the slot is free */
} Slot;

/* Which column of the sample it is, or -1 */
static int
position(const HoneGroups *groups, int attno)
{
	for (int i = 0; i < groups->ncolumns; i++)
		if (groups->columns[i] == attno)
			return i;
	return -1;
}

/*
 * From how many places were seen (a combination counted on each page where it
 * stands), of which combinations, how many of them once, in a share of the table.
 */
static double
extrapolate(double places, double distinct, double once, double share)
{
	double		equal;
	double		others;			/* of a place, with the same combination */
	double		by_chance;

	if (places <= 0 || share <= 0)
		return 0;
	equal = places * distinct / (places - once + once * share);
	others = places / share / equal - 1;
	by_chance = others > 1e-6 ? places / share * -expm1(-others) / others : places / share;
	return Max(equal, distinct + (1 - share) * (by_chance - distinct));
}

/* Distinct combinations, none of them null, in the whole table. */
static double
estimate(const HoneGroups *groups, const int *positions, int n)
{
	uint32		mask = 2 * pg_nextpower2_32(Max(groups->nrows, 16)) - 1;
	Slot	   *slots = palloc0((Size) (mask + 1) * sizeof(Slot));
	double		distinct = 0;
	double		standing = 0;	/* combinations, each counted on each page */
	double		once = 0;		/* those on one page */

	for (int row = 0; row < groups->nrows; row++)
	{
		const uint32 *hashes = groups->hashes + (Size) row * groups->ncolumns;
		uint64		hash = 0;
		bool		null = false;
		uint32		at;

		for (int i = 0; i < n; i++)
		{
			null |= hashes[positions[i]] == 0;
			hash = hash_combine64(hash, murmurhash32(hashes[positions[i]]));
		}
		if (null)
			continue;
		at = (uint32) (hash ^ (hash >> 32)) & mask;
		while (slots[at].pages > 0 && slots[at].hash != hash)
			at = (at + 1) & mask;
		if (slots[at].pages > 0 && slots[at].page == groups->pages[row])
			continue;
		standing++;
		distinct += slots[at].pages == 0;
		once += slots[at].pages == 0;
		once -= slots[at].pages == 1;
		slots[at].hash = hash;
		slots[at].page = groups->pages[row];
		slots[at].pages++;
	}
	pfree(slots);
	return extrapolate(standing, distinct, once, groups->share);
}

/*
 * Distinct combinations of these columns (attribute numbers) in the table the
 * place is in, nulls left out; -1 if it is not known.
 */
double
hone_whatif_combinations(const HoneIndex *index, const HoneIndexPlace *place, Bitmapset *columns)
{
	HoneGroups *groups;
	Counted    *counted;
	int			positions[INDEX_MAX_KEYS];
	int			n = 0;
	int			attno = -1;
	MemoryContext old;
	ListCell   *lc;

	if (!hone_whatif_may_sample(index, place->relid))
		return -1;
	groups = hone_whatif_recall_groups(place);
	if (groups == NULL)
	{
		old = MemoryContextSwitchTo(hone_whatif_keeping());
		groups = read_sample(index, place);
		hone_whatif_keep_groups(place, groups);
		MemoryContextSwitchTo(old);
	}
	if (groups->nrows == 0)
		return -1;
	foreach(lc, groups->counted)
	{
		counted = lfirst(lc);
		if (bms_equal(counted->columns, columns))
			return counted->ndistinct;
	}
	while ((attno = bms_next_member(columns, attno)) >= 0)
	{
		if (n == INDEX_MAX_KEYS || (positions[n] = position(groups, attno)) < 0)
			return -1;
		n++;
	}
	old = MemoryContextSwitchTo(GetMemoryChunkContext(groups));
	counted = palloc(sizeof(Counted));
	counted->columns = bms_copy(columns);
	counted->ndistinct = estimate(groups, positions, n);
	groups->counted = lappend(groups->counted, counted);
	MemoryContextSwitchTo(old);
	return counted->ndistinct;
}
