/*
 * gin.c
 *	  How large a GIN index would be.
 *
 * Its size follows from how many entries the operator class extracts from a
 * value and how often each of them repeats, which no statistics tell. So
 * a bounded sample of the table is read, by an ordinary query of the current
 * user, and its values are given to the operator class's own function. Under
 * row security nothing is read and the size is a guess from the column's width.
 *
 * Of the sample we keep a hash and a count per entry, not the entries.
 */
#include "postgres.h"

#include <math.h>

#include "access/detoast.h"
#include "access/gin_private.h"
#include "access/htup_details.h"
#include "catalog/pg_collation.h"
#include "catalog/pg_opclass.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "nodes/nodeFuncs.h"
#include "utils/datum.h"
#include "utils/hsearch.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/syscache.h"

#include "whatif/details.h"

#define SAMPLE_ROWS 10000
#define SAMPLE_BYTES (32.0 * 1024 * 1024)
#define SAMPLE_ENTRIES 500000

#define STRATA_COLUMNS 4
#define STRATA_POSITIONS 16
#define STRATA_WIDTHS 16
#define STRATA (STRATA_COLUMNS * STRATA_POSITIONS * STRATA_WIDTHS)

typedef struct SeenEntry
{
	uint64		hash;			/* key; of column and value */
	int			rows;			/* rows of the sample that have it */
	int			last_row;
	int			width;
	int			stratum;
} SeenEntry;

/* How values of one column become entries. */
typedef struct Extractor
{
	FmgrInfo	function;
	Oid			collation;
	int16		key_len;
	bool		key_byval;
} Extractor;

static HTAB *
make_seen(void)
{
	HASHCTL		control = {0};

	control.keysize = sizeof(uint64);
	control.entrysize = sizeof(SeenEntry);
	control.hcxt = CurrentMemoryContext;
	return hash_create("pg_hone sampled entries", 4096, &control,
					   HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
}

static void
make_extractor(Extractor *extractor, const HoneIndex *index, int i, Oid column_type)
{
	const HoneIndexDetails *details = index->details;
	Oid			key_type = hone_whatif_stored_type(index, i, column_type);
	Oid			proc = hone_whatif_support_proc(index, i, GIN_EXTRACTVALUE_PROC);

	if (!OidIsValid(proc))
		elog(ERROR, "missing support function %d for operator class %u",
			 GIN_EXTRACTVALUE_PROC, details->opclasses[i]);
	fmgr_info(proc, &extractor->function);
	set_fn_opclass_options(&extractor->function, details->parsed_options[i]);
	extractor->collation = OidIsValid(details->collations[i]) ?
		details->collations[i] : DEFAULT_COLLATION_OID;

	get_typlenbyval(key_type, &extractor->key_len, &extractor->key_byval);
}

/* What reading the sample has given so far. */
typedef struct Counting
{
	const HoneIndex *index;
	Extractor  *extractors;
	HTAB	   *seen;
	MemoryContext row_context;
	int			row;
	double		postings;		/* entries of all rows */
	double		bytes;			/* looked at */
} Counting;

/*
 * The number of distinct values can be estimated for values of one kind: a
 * request's id and its region in the same document are not. What we have to
 * tell kinds apart is where in its row's list of entries an entry stood (the
 * fields of a jsonb come in a fixed order), and its width.
 */
static int
stratum_of(int column, int position, int width)
{
	return ((column % STRATA_COLUMNS) * STRATA_POSITIONS +
			Min(position, STRATA_POSITIONS - 1)) * STRATA_WIDTHS + width % STRATA_WIDTHS;
}

static void
count_entry(Counting *counting, int column, int position, uint32 hash, int width)
{
	uint64		key = ((uint64) column << 32) | hash;
	bool		found;
	SeenEntry  *entry = hash_search(counting->seen, &key, HASH_ENTER, &found);

	if (!found)
	{
		entry->rows = 0;
		entry->last_row = -1;
		entry->width = width;
		entry->stratum = stratum_of(column, position, width);
	}
	if (entry->last_row == counting->row)
		return;					/* twice in one row is stored once */
	entry->last_row = counting->row;
	entry->rows++;
	counting->postings++;
}

static int
entry_width(const Extractor *extractor, Datum value)
{
	Size		size = datumGetSize(value, extractor->key_byval, extractor->key_len);

	/* Stored with a short header when it fits. */
	if (extractor->key_len == -1 && !VARATT_IS_SHORT(DatumGetPointer(value)) &&
		size - VARHDRSZ + VARHDRSZ_SHORT <= VARATT_SHORT_MAX)
		size -= VARHDRSZ - VARHDRSZ_SHORT;
	return (int) Min(size, (Size) GinMaxItemSize);
}

static void
count_value(Counting *counting, int column, Datum value)
{
	Extractor  *extractor = &counting->extractors[column];
	int32		nentries = 0;
	bool	   *null_flags = NULL;
	Datum	   *entries;

	if (extractor->key_len == -1)
		counting->bytes += toast_raw_datum_size(value);
	entries = (Datum *)
		DatumGetPointer(FunctionCall3Coll(&extractor->function, extractor->collation,
										  value, PointerGetDatum(&nentries),
										  PointerGetDatum(&null_flags)));

	/* A value without entries still has a place in the index. */
	if (entries == NULL || nentries <= 0)
		count_entry(counting, column, 0, 1, 0);
	for (int i = 0; entries != NULL && i < nentries; i++)
	{
		if (null_flags != NULL && null_flags[i])
			count_entry(counting, column, i, 2, 0);
		else
			count_entry(counting, column, i,
						datum_image_hash(entries[i], extractor->key_byval,
										 extractor->key_len),
						entry_width(extractor, entries[i]));
	}
}

static bool
count_row(HeapTuple tuple, TupleDesc desc, void *arg)
{
	Counting   *counting = arg;
	MemoryContext old = MemoryContextSwitchTo(counting->row_context);

	for (int i = 0; i < counting->index->ncolumns; i++)
	{
		bool		isnull;
		Datum		value = heap_getattr(tuple, i + 1, desc, &isnull);

		if (isnull)
			count_entry(counting, i, 0, 0, 0);
		else
			count_value(counting, i, value);
	}
	counting->row++;
	MemoryContextSwitchTo(old);
	MemoryContextReset(counting->row_context);
	return counting->bytes < SAMPLE_BYTES &&
		hash_get_num_entries(counting->seen) < SAMPLE_ENTRIES;
}

/*
 * Bytes of one item pointer in a posting list, when `count` of the table's
 * rows have the entry, spread at random: the distance to the one before is
 * written in 7 bits a byte, and a page counts 2^11.
 */
static double
posting_bytes(double count, double rows, double rows_per_page)
{
	double		q = Min(count / Max(rows, 1), 1);
	double		page = -expm1(rows_per_page * log1p(-Min(q, 0.999999)));	/* has a match */
	double		same = Max(0, 1 - page / Max(q * rows_per_page, 1e-9));
	double		near = -expm1(7 * log1p(-Min(page, 0.999999)));
	double		mid = -expm1(1023 * log1p(-Min(page, 0.999999)));

	return same * 1 + (1 - same) * (near * 2 + (mid - near) * 3 + (1 - mid) * 4);
}

typedef struct GinPages
{
	double		entry_bytes;	/* of entry tuples */
	double		data_pages;		/* of posting trees */
	double		rows;
	double		rows_per_page;
	bool		multicolumn;
} GinPages;

/* A page's room for entries, and how full splits at its right end leave it. */
#define ENTRY_ROOM ((double) (BLCKSZ - SizeOfPageHeaderData - MAXALIGN(sizeof(GinPageOpaqueData))))
#define SPLIT_FILL 0.51

/*
 * Bytes that `times` entries of `size` bytes take, on pages that are SPLIT_FILL
 * full. Of large ones more than that stay on a page that is split: two of
 * three.
 */
static double
entry_bytes(double times, double size)
{
	double		tuple = size + (MAXIMUM_ALIGNOF - 1) / 2.0 + sizeof(ItemIdData);
	double		left = floor(ENTRY_ROOM / tuple / 2) + 1;

	return times * tuple * Min(1, SPLIT_FILL / (left * tuple / ENTRY_ROOM));
}

/*
 * Add `times` entries of `width` bytes that some `count` rows have each. Those
 * whose list does not fit beside the key get a tree of their own for it; where
 * that is near, chance decides for each, as their counts scatter.
 */
static void
add_entries(GinPages *pages, double times, double width, double count)
{
	double		item = posting_bytes(count, pages->rows, pages->rows_per_page);
	double		list = Max(count - 1, 0) * item;	/* the first is in the overhead */
	double		head = sizeof(IndexTupleData) + width + (pages->multicolumn ? 2 : 0);
	double		overhead = head + sizeof(ItemPointerData) + 2;
	double		most = Max(GinMaxItemSize - overhead, 0) / item;
	double		trees = times * 0.5 * erfc((most - count) / sqrt(2 * Max(count, 1)));
	double		inline_list = Min(list, most * item);

	if (trees < 0.01)
		trees = 0;
	if (trees > 0)
	{
		/* Segments of some 256 bytes have a header of 8. */
		double		leaves = ceil(list * 264 / 256 / GinDataPageMaxDataSize);

		pages->data_pages += trees * (leaves > 1 ? leaves + 1 : 1);
	}
	pages->entry_bytes += entry_bytes(trees, head) +
		entry_bytes(times - trees, overhead + inline_list);
}

/*
 * Distinct entries of the whole table, as ANALYZE estimates values (Haas and
 * Stokes), in one stratum and among those seen seldom: an estimate over all of
 * them would let the frequent ones hide how many rare ones there are.
 */
typedef struct Rare
{
	double		seen;
	double		once;
	double		rows;			/* sum of the counts */
	double		width;			/* sum over the ones seen once */
} Rare;

#define SELDOM 8

static double
all_distinct(const Rare *rare, double scale)
{
	double		total = rare->rows * scale;
	double		denominator = rare->rows - rare->once + rare->once / scale;

	return Min(Max(rare->rows * rare->seen / Max(denominator, 1), rare->seen), total);
}

static void
add_to_stratum(Rare *rare, const Rare *more)
{
	rare->seen += more->seen;
	rare->once += more->once;
	rare->rows += more->rows;
	rare->width += more->width;
}

/* Those seen once stand for all that were not seen; returns how many those are. */
static double
add_unseen(GinPages *pages, const Rare *rare, double scale)
{
	double		unseen;
	double		times;

	if (rare->once <= 0)
		return 0;
	unseen = all_distinct(rare, scale) - rare->seen;
	times = rare->once + unseen;
	add_entries(pages, times, rare->width / rare->once,
				Max(rare->once * scale / times, 1));
	return unseen;
}

/*
 * How full entry pages are after the build, which inserts sorted batches of
 * maintenance_work_mem. The first one leaves half-full pages behind, since
 * every split happens at the right end; the second fills them, then they
 * split at random.
 */
static double
entry_fill(double batches)
{
	if (batches > 2)
		return 0.70;
	return Min(SPLIT_FILL * Max(batches, 1), 0.80);
}

static double
entry_pages(double bytes, double distinct, double postings)
{
	/* A tree node and a first list of pointers for each entry, and its key. */
	double		memory = distinct * 112 + postings * sizeof(ItemPointerData) + bytes;
	double		leaves = ceil(bytes / (ENTRY_ROOM *
									   entry_fill(memory / (maintenance_work_mem * 1024.0))));

	return leaves > 1 ? leaves + ceil(leaves / 150) : 1;
}

/*
 * Of entries that are really about equally frequent, the sample shows some more
 * often than others; and an entry's place is decided by whether its list is
 * below or above a limit. So counts are drawn to the mean of their stratum by the
 * part of their variance that chance explains.
 */
typedef struct Often
{
	double		entries;
	double		sum;
	double		squares;
} Often;

static double
likely_rows(const Often *often, double rows)
{
	double		mean = often->sum / often->entries;
	double		variance = often->squares / often->entries - mean * mean;

	if (often->entries < 10 || variance <= 0)
		return rows;
	return mean + (rows - mean) * Max(0, 1 - mean / variance);
}

static Often *
count_often(const Counting *counting)
{
	Often	   *often = palloc0(sizeof(Often) * STRATA);
	HASH_SEQ_STATUS status;
	SeenEntry  *entry;

	hash_seq_init(&status, counting->seen);
	while ((entry = hash_seq_search(&status)) != NULL)
	{
		if (entry->rows < SELDOM)
			continue;
		often[entry->stratum].entries++;
		often[entry->stratum].sum += entry->rows;
		often[entry->stratum].squares += (double) entry->rows * entry->rows;
	}
	return often;
}

static void
gin_pages(const Counting *counting, GinPages *pages, HoneIndexPlace *place)
{
	double		scale = Max(place->tuples / counting->row, 1);
	double		distinct = hash_get_num_entries(counting->seen);
	Rare	   *strata = palloc0(sizeof(Rare) * STRATA);
	Often	   *often = count_often(counting);
	Rare		rest = {0};
	HASH_SEQ_STATUS status;
	SeenEntry  *entry;

	hash_seq_init(&status, counting->seen);
	while ((entry = hash_seq_search(&status)) != NULL)
	{
		Rare	   *rare = &strata[entry->stratum];

		if (entry->rows < SELDOM)
		{
			rare->seen++;
			rare->rows += entry->rows;
		}
		if (entry->rows == 1 && scale > 1)
		{
			rare->once++;
			rare->width += entry->width;
		}
		else if (entry->rows < SELDOM)
			add_entries(pages, 1, entry->width, entry->rows * scale);
		else
			add_entries(pages, 1, entry->width,
						likely_rows(&often[entry->stratum], entry->rows) * scale);
	}

	/* Too few to say anything of their kind: together. */
	for (int i = 0; i < STRATA; i++)
	{
		if (strata[i].rows < 0.02 * counting->row)
			add_to_stratum(&rest, &strata[i]);
		else
			distinct += add_unseen(pages, &strata[i], scale);
	}
	distinct += add_unseen(pages, &rest, scale);

	place->entries = distinct;
	place->data_pages = pages->data_pages;
	place->entry_pages = entry_pages(pages->entry_bytes, distinct,
									 counting->postings * scale);
	place->pages = 1 + place->data_pages + place->entry_pages;
}

/* Nothing may be read: ten entries a row, of the column's width together. */
static void
guess_pages(const HoneIndex *index, HoneIndexPlace *place)
{
	double		width = 0;

	for (int i = 0; i < index->ncolumns; i++)
	{
		if (place->keys[i] > 0)
			width += Max(get_attavgwidth(place->relid, place->keys[i]), 32);
		else
			width += 32;
	}
	place->pages = 2 + ceil(place->tuples * (10 * 3 + width / 10) / BLCKSZ);
	place->pages = Min(place->pages, 2.0 * place->rel_pages + 10);

	/* As the core takes any index to be that it knows nothing of. */
	place->entry_pages = Max(1, floor((place->pages - 1) * 0.9));
	place->data_pages = place->pages - 1 - place->entry_pages;
	place->entries = place->entry_pages * 100;
}

void
hone_whatif_estimate_gin(const HoneIndex *index, HoneIndexPlace *place,
						 List *columns)
{
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext,
												  "pg_hone gin sample",
												  ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(context);
	Counting	counting = {0};
	GinPages	pages = {0};
	int			nplaces = list_length(index->details->places);

	counting.index = index;
	counting.seen = make_seen();
	counting.row_context = AllocSetContextCreate(context, "pg_hone gin row",
												 ALLOCSET_DEFAULT_SIZES);
	counting.extractors = palloc0(sizeof(Extractor) * index->ncolumns);
	for (int i = 0; i < index->ncolumns; i++)
		make_extractor(&counting.extractors[i], index, i, exprType(list_nth(columns, i)));

	pages.rows = place->rel_tuples;
	pages.rows_per_page = place->rel_tuples / Max(place->rel_pages, 1);
	pages.multicolumn = index->ncolumns > 1;

	if (hone_whatif_sample(index, place, columns, true,
						   Max(SAMPLE_ROWS / nplaces, 300), count_row, &counting) > 0)
		gin_pages(&counting, &pages, place);
	else
		guess_pages(index, place);

	MemoryContextSwitchTo(old);
	MemoryContextDelete(context);
}
