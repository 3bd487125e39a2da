/*
 * cache.c
 *	  What was read from samples, kept until the transaction ends.
 *
 * An advisor imagines thousands of indexes in a run, many over the same
 * expressions, or the same index again, and reading a sample of the table
 * takes a thousand times as long as the rest. So sizes that come from a
 * sample, and statistics of expressions, are kept.
 *
 * What must stay true: a role gets back only what it has read itself, while it
 * may still read it (the caller asks hone_whatif_may_sample first), and nothing
 * that an invalidation message of the table, or of a function, has come for since,
 * nor what was read when the table had a tenth more or fewer rows.
 *
 * Backend-local, no locks. The memory belongs to the top transaction, so that a
 * subtransaction may be rolled back around each question; it is emptied when it
 * becomes large.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/xact.h"
#include "miscadmin.h"
#include "nodes/nodeFuncs.h"
#include "utils/inval.h"
#include "utils/memutils.h"
#include "utils/syscache.h"

#include "whatif/details.h"

#define MOST_BYTES (32 * 1024 * 1024)

typedef struct Kept
{
	struct Kept *next;
	Oid			userid;
	Oid			relid;
	bool		stale;

	/* Either the size of an index, ... */
	char	   *definition;
	HoneIndexPlace place;		/* of stats, too: its figures only */

	/* ... the statistics of an expression ... */
	Node	   *expr;
	Oid			collation;
	HeapTuple	stats;			/* may be NULL: there are none */

	/* ... or rows of the table: see groups.c. */
	HoneGroups *groups;
} Kept;

static MemoryContext context = NULL;
static Kept *all = NULL;

static void
forget_all(XactEvent event, void *arg pg_attribute_unused())
{
	switch (event)
	{
		case XACT_EVENT_PRE_COMMIT:
		case XACT_EVENT_PARALLEL_PRE_COMMIT:
		case XACT_EVENT_PRE_PREPARE:
			return;
		default:
			/* The memory goes with the transaction. */
			context = NULL;
			all = NULL;
	}
}

/* Messages may come at any time, so nothing is freed here. */
static void
forget_relation(Datum arg pg_attribute_unused(), Oid relid)
{
	for (Kept *kept = all; kept != NULL; kept = kept->next)
	{
		if (relid == InvalidOid || kept->relid == relid)
			kept->stale = true;
	}
}

static void
forget_functions(Datum arg, int cacheid pg_attribute_unused(),
				 uint32 hashvalue pg_attribute_unused())
{
	forget_relation(arg, InvalidOid);
}

static void
prepare(void)
{
	static bool registered = false;

	if (!registered)
	{
		registered = true;
		RegisterXactCallback(forget_all, NULL);
		CacheRegisterRelcacheCallback(forget_relation, (Datum) 0);
		CacheRegisterSyscacheCallback(PROCOID, forget_functions, (Datum) 0);
	}
	if (context != NULL && MemoryContextMemAllocated(context, true) > MOST_BYTES)
	{
		all = NULL;
		MemoryContextReset(context);
	}
	if (context == NULL)
		context = AllocSetContextCreate(TopTransactionContext, "pg_hone what-if samples",
										ALLOCSET_DEFAULT_SIZES);
}

static bool
about_as_many(double a, double b)
{
	return a <= b * 1.1 && b <= a * 1.1;
}

static bool
counts_for(const Kept *kept, const HoneIndexPlace *place)
{
	return !kept->stale && kept->relid == place->relid && kept->userid == GetUserId() &&
		about_as_many(kept->place.rel_tuples, place->rel_tuples);
}

/* Not in the list yet: what it is to hold may fail to be copied. */
static Kept *
make_kept(const HoneIndexPlace *place)
{
	Kept	   *kept = palloc0(sizeof(Kept));

	kept->userid = GetUserId();
	kept->relid = place->relid;
	kept->place = *place;
	return kept;
}

static void
add_kept(Kept *kept)
{
	kept->next = all;
	all = kept;
}

/* Take the figures that an equal index in the same table was given; false if none was. */
bool
hone_whatif_recall_size(const HoneIndex *index, HoneIndexPlace *place)
{
	for (Kept *kept = all; kept != NULL; kept = kept->next)
	{
		if (!counts_for(kept, place) || kept->definition == NULL ||
			strcmp(kept->definition, index->definition) != 0)
			continue;
		place->pages = kept->place.pages;
		place->entry_pages = kept->place.entry_pages;
		place->data_pages = kept->place.data_pages;
		place->entries = kept->place.entries;
		return true;
	}
	return false;
}

void
hone_whatif_keep_size(const HoneIndex *index, const HoneIndexPlace *place)
{
	MemoryContext old;
	Kept	   *kept;

	prepare();
	old = MemoryContextSwitchTo(context);
	kept = make_kept(place);
	kept->definition = pstrdup(index->definition);
	add_kept(kept);
	MemoryContextSwitchTo(old);
}

/* *stats is a copy, or NULL if there are none for this expression. */
bool
hone_whatif_recall_stats(const HoneIndexPlace *place, Node *expr, Oid collation,
						 HeapTuple *stats)
{
	for (Kept *kept = all; kept != NULL; kept = kept->next)
	{
		if (!counts_for(kept, place) || kept->expr == NULL ||
			kept->collation != collation || !equal(kept->expr, expr))
			continue;
		*stats = kept->stats ? heap_copytuple(kept->stats) : NULL;
		return true;
	}
	return false;
}

void
hone_whatif_keep_stats_of(const HoneIndexPlace *place, Node *expr, Oid collation,
						  HeapTuple stats)
{
	MemoryContext old;
	Kept	   *kept;

	prepare();
	old = MemoryContextSwitchTo(context);
	kept = make_kept(place);
	kept->expr = copyObject(expr);
	kept->collation = collation;
	kept->stats = stats ? heap_copytuple(stats) : NULL;
	add_kept(kept);
	MemoryContextSwitchTo(old);
}

/* Where what is to be kept is made; what was kept may be gone after this. */
MemoryContext
hone_whatif_keeping(void)
{
	prepare();
	return context;
}

/* NULL if no rows of this table are known. */
HoneGroups *
hone_whatif_recall_groups(const HoneIndexPlace *place)
{
	for (Kept *kept = all; kept != NULL; kept = kept->next)
	{
		if (counts_for(kept, place) && kept->groups != NULL)
			return kept->groups;
	}
	return NULL;
}

/* Made in hone_whatif_keeping. */
void
hone_whatif_keep_groups(const HoneIndexPlace *place, HoneGroups *groups)
{
	MemoryContext old = MemoryContextSwitchTo(context);
	Kept	   *kept = make_kept(place);

	kept->groups = groups;
	add_kept(kept);
	MemoryContextSwitchTo(old);
}
