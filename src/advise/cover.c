/*
 * cover.c
 *	  INCLUDE: columns a statement needs of a table, so that it is read from the
 *	  index alone.
 *
 * All that the statement reads and the keys have not; all or nothing, because
 * one missing column sends the scan to the table for each row. Not when the
 * index would be about as wide as the table (a second copy of it), nor when an
 * entry could become too long for a btree page: an INSERT would then fail
 * because of an index. How long a value can become is taken from its type's
 * limit, or else from the longest value the statistics have seen, with much to
 * spare; where the table has values that were too long for a page, a text
 * without limit must be short, or one of a known set of words.
 */
#include "postgres.h"

#include "access/detoast.h"
#include "access/htup_details.h"
#include "access/sysattr.h"
#include "catalog/pg_am.h"
#include "catalog/pg_class.h"
#include "catalog/pg_statistic.h"
#include "catalog/pg_type.h"
#include "access/relation.h"
#include "mb/pg_wchar.h"
#include "storage/bufmgr.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/syscache.h"

#include "advise/internal.h"

#define MAX_SHARE 0.75			/* of the table's width, with what each row costs */
#define HEAP_OVERHEAD 28		/* of a row */
#define INDEX_OVERHEAD 12		/* of an entry */
#define MAX_ENTRY_BYTES 2600	/* a third of a page, and some room */
#define SPARE 4					/* longer than the longest value seen */
#define UNSEEN_SPARE 16			/* longer than the average, if no value is known */
#define SHORT_BYTES 24			/* on average, of a text without limit */
#define WORD_BYTES 200			/* the longest of a known set */
#define MUCH_SMALLER 0.9		/* than with INCLUDE: worth to be keys */
#define MIN_VISIBLE 0.1			/* of the pages; else the table is read anyway */

typedef struct Seen
{
	int			longest;		/* value in the statistics, or 0 */
	bool		closed;			/* the number of values does not grow */
} Seen;

static Seen
seen_values(Oid relid, AttrNumber attno)
{
	static const int kinds[] = {STATISTIC_KIND_MCV, STATISTIC_KIND_HISTOGRAM};
	bool		inherited = get_rel_relkind(relid) == RELKIND_PARTITIONED_TABLE;
	HeapTuple	tuple = SearchSysCache3(STATRELATTINH, ObjectIdGetDatum(relid),
										Int16GetDatum(attno), BoolGetDatum(inherited));
	Seen		seen = {0, false};

	if (!HeapTupleIsValid(tuple))
		return seen;
	seen.closed = ((Form_pg_statistic) GETSTRUCT(tuple))->stadistinct > 0;
	for (int k = 0; k < (int) lengthof(kinds); k++)
	{
		AttStatsSlot slot;

		if (!get_attstatsslot(&slot, tuple, kinds[k], InvalidOid, ATTSTATSSLOT_VALUES))
			continue;
		for (int i = 0; i < slot.nvalues; i++)
			seen.longest = Max(seen.longest, (int) toast_raw_datum_size(slot.values[i]));
		free_attstatsslot(&slot);
	}
	ReleaseSysCache(tuple);
	return seen;
}

/* Has the table ever had a value too long for its row? */
static bool
has_long_values(Oid relid)
{
	HeapTuple	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(relid));
	Relation	toast;
	Oid			toastid;
	bool		any;

	if (!HeapTupleIsValid(tuple))
		return false;
	toastid = ((Form_pg_class) GETSTRUCT(tuple))->reltoastrelid;
	ReleaseSysCache(tuple);
	if (get_rel_relkind(relid) == RELKIND_PARTITIONED_TABLE)
		return true;			/* its partitions may */
	toast = OidIsValid(toastid) ? try_relation_open(toastid, AccessShareLock) : NULL;
	if (toast == NULL)
		return false;
	any = RelationGetNumberOfBlocks(toast) > 0;
	relation_close(toast, NoLock);
	return any;
}

static int
average_width(Oid relid, AttrNumber attno, Oid type, int32 typmod)
{
	int			width = get_attavgwidth(relid, attno);

	return width > 0 ? width : get_typavgwidth(type, typmod);
}

static int
greatest_width(Oid relid, AttrNumber attno, Oid type, int32 typmod, int average)
{
	Seen		seen;

	type = getBaseTypeAndTypmod(type, &typmod);
	if (get_typlen(type) >= 0)
		return get_typlen(type);
	if ((type == VARCHAROID || type == BPCHAROID) && typmod > VARHDRSZ)
		return (typmod - VARHDRSZ) * pg_database_encoding_max_length() + VARHDRSZ;
	if (type == NUMERICOID)
		return average * SPARE;
	if (get_typlen(type) != -1)
		return average * UNSEEN_SPARE;
	seen = seen_values(relid, attno);
	if (average > SHORT_BYTES && !(seen.closed && seen.longest <= WORD_BYTES) &&
		has_long_values(relid))
		return MAX_ENTRY_BYTES + 1;
	return seen.longest > 0 ? seen.longest * SPARE : average * UNSEEN_SPARE;
}

/* Widths of some columns together. */
typedef struct Widths
{
	int			average;
	int			greatest;
} Widths;

static void
add_width(Widths *sum, Oid relid, AttrNumber attno)
{
	Oid			type;
	Oid			collation;
	int32		typmod;
	int			average;

	get_atttypetypmodcoll(relid, attno, &type, &typmod, &collation);
	average = average_width(relid, attno, type, typmod);
	sum->average += average;
	sum->greatest += greatest_width(relid, attno, type, typmod, average);
}

static int
row_width(Oid relid)
{
	int			width = 0;
	HeapTuple	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(relid));
	int			natts;

	if (!HeapTupleIsValid(tuple))
		return 0;
	natts = ((Form_pg_class) GETSTRUCT(tuple))->relnatts;
	ReleaseSysCache(tuple);
	for (AttrNumber attno = 1; attno <= natts; attno++)
	{
		Oid			type = get_atttype(relid, attno);

		if (OidIsValid(type))	/* not dropped */
			width += average_width(relid, attno, type, -1);
	}
	return width;
}

/* Is the index narrower than the table, and can no entry become too long? */
bool
hone_advise_may_include(const HoneCandidate *c)
{
	Widths		widths = {0, 0};

	for (int i = 0; i < c->nkeys; i++)
		if (c->keys[i].attno > 0)
			add_width(&widths, c->relid, c->keys[i].attno);
	for (int i = 0; i < c->nincluded; i++)
		add_width(&widths, c->relid, c->included[i]);
	return widths.greatest <= MAX_ENTRY_BYTES &&
		INDEX_OVERHEAD + widths.average <= MAX_SHARE * (HEAP_OVERHEAD + row_width(c->relid));
}

/*
 * Fill in what the relation needs and the keys have not; false when there is
 * nothing, or when it should not be.
 */
bool
hone_advise_include(HoneRelUse *rel, HoneCandidate *c)
{
	int			col = -1;

	c->nincluded = 0;
	while ((col = bms_next_member(rel->read, col)) >= 0)
	{
		AttrNumber	attno = col + FirstLowInvalidHeapAttributeNumber;
		bool		key = false;

		if (attno <= 0)
			return false;		/* the whole row, or a system column */
		for (int i = 0; i < c->nkeys; i++)
			key |= c->keys[i].attno == attno;
		/* what the predicate says needs no looking up */
		key |= c->predicate && bms_is_member(attno, c->predicate->columns) &&
			!bms_is_member(col, rel->selected);
		if (key)
			continue;
		if (c->nincluded == HONE_MAX_INCLUDED)
			return false;
		c->included[c->nincluded++] = attno;
	}
	return c->nincluded > 0 && hone_advise_may_include(c);
}

/* Is it cheap to compare? */
static bool
is_short(Oid relid, AttrNumber attno)
{
	Oid			type = get_atttype(relid, attno);

	return get_typlen(type) > 0 || average_width(relid, attno, type, -1) <= SHORT_BYTES;
}

/*
 * The same columns, all of them keys; false when that cannot be. Entries with
 * equal keys are stored once, those with INCLUDE never are: where rows repeat
 * each other this is smaller, and gives all that the other one gives.
 */
static bool
all_keys(const HoneCandidate *covering, HoneCandidate *c)
{
	*c = *covering;
	c->nincluded = 0;
	for (int i = 0; i < covering->nincluded; i++)
	{
		if (c->nkeys == HONE_MAX_KEYS || !is_short(c->relid, covering->included[i]))
			return false;
		c->keys[c->nkeys] = hone_advise_column_key(c->relid, covering->included[i]);
		if (!OidIsValid(c->keys[c->nkeys++].opfamily))
			return false;
	}
	return true;
}

/* A covering candidate, or the same with all columns as keys: the smaller one. */
HoneCandidate *
hone_advise_propose_covering(HoneRun *run, HoneCandidate *given)
{
	HoneCandidate covering = *given;
	HoneCandidate keyed;
	MemoryContext old = MemoryContextSwitchTo(run->memory); /* keys stay */
	bool		possible = given->nincluded > 0 && all_keys(given, &keyed);

	MemoryContextSwitchTo(old);
	return possible ? hone_advise_propose_smaller(run, &covering, &keyed, MUCH_SMALLER) :
		hone_advise_propose(run, given);
}

/* The candidate, covering. */
void
hone_advise_cover(HoneRun *run, HoneStatement *st, HoneRelUse *rel, HoneCandidate *base)
{
	HoneCandidate c = *base;

	if (base->amoid != BTREE_AM_OID || base->relid != rel->relid ||
		(rel->allvisfrac < MIN_VISIBLE &&
		 get_rel_relkind(rel->relid) != RELKIND_PARTITIONED_TABLE))
		return;
	c.seeded = true;
	c.index = NULL;
	c.rejection = NULL;
	if (hone_advise_include(rel, &c))
		hone_advise_note(run, st, hone_advise_propose_covering(run, &c));
}
