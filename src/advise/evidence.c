/*
 * evidence.c
 *	  Is an existing index of any use, and how do we know?
 *
 * Three witnesses must agree that it is of none: the server, which has counted
 * no scan of it for pg_hone.unused_index_age; the planner, which uses it for no
 * statement of the captured workload; and the catalog, by which no foreign key
 * whose parent loses rows is checked through it. Statistics say since when they
 * count, but not since when there is an index: so hone.index_use_store keeps since
 * when each index is known and its count has not changed, which also outlives
 * a reset of the statistics. It is kept by the collector (health.sql), as are
 * the counts of standbys, if somebody shows them: hone.standby_use_store. Else
 * what happens there is not counted, and the text says so.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "funcapi.h"
#include "pgstat.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "advise/internal.h"
#include "base/owner.h"

#define SECS_PER_DAY_F ((double) SECS_PER_DAY)

/* An index whose count of scans has not changed for some time. */
typedef struct HoneIndexUse
{
	Oid			index;
	double		scans;
	TimestampTz since;
} HoneIndexUse;

/* As the extension's owner, inside SPI. */
void
hone_advise_load_use(HoneRun *run)
{
	if (SPI_execute("SELECT u.index_oid, greatest(u.since, b.since), u.scans::pg_catalog.float8"
					" FROM hone.index_use_store u"
					" LEFT JOIN hone.standby_use_store b ON b.index_oid = u.index_oid",
					true, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not read the use of indexes");
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		MemoryContext old = MemoryContextSwitchTo(run->memory);
		HoneIndexUse *use = palloc0(sizeof(HoneIndexUse));
		HeapTuple	tuple = SPI_tuptable->vals[i];
		bool		isnull;

		use->index = DatumGetObjectId(SPI_getbinval(tuple, SPI_tuptable->tupdesc, 1, &isnull));
		use->since = DatumGetTimestampTz(SPI_getbinval(tuple, SPI_tuptable->tupdesc, 2, &isnull));
		use->scans = DatumGetFloat8(SPI_getbinval(tuple, SPI_tuptable->tupdesc, 3, &isnull));
		run->index_use = lappend(run->index_use, use);
		MemoryContextSwitchTo(old);
	}
}

static HoneIndexUse *
find_use(HoneRun *run, Oid index)
{
	ListCell   *lc;

	foreach(lc, run->index_use)
	{
		HoneIndexUse *use = lfirst(lc);

		if (use->index == index)
			return use;
	}
	return NULL;
}

/* Seconds for which it was not scanned; negative: it is not known. */
static double
unscanned_for(HoneRun *run, Oid index)
{
	HoneIndexUse *use = find_use(run, index);
	PgStat_StatTabEntry *stat = pgstat_fetch_stat_tabentry(index);

	if (use == NULL || (stat ? stat->numscans : 0) != use->scans)
		return -1;
	return (GetCurrentTimestamp() - use->since) / (double) USECS_PER_SEC;
}

/*
 * Does a plan of the run, or a statement that could not be planned again, keep it?
 * The latter are seen by the server's count.
 */
static bool
is_planned_with(HoneRun *run, const HoneExisting *e)
{
	for (int i = 0; i < run->nstatements; i++)
		if (list_member_oid(run->statements[i]->real, e->oid))
			return true;
	return false;
}

bool
hone_advise_is_unused(HoneRun *run, const HoneExisting *e)
{
	double		age;

	if (!run->captured || !e->droppable || is_planned_with(run, e))
		return false;
	age = unscanned_for(run, e->oid);
	return age >= 0 && age >= hone_health_unused_index_age * 60.0;
}

/* How many columns of a foreign key an index has first. */
static int
prefix_of(const HoneExisting *e, const ForeignKeyCacheInfo *fkey)
{
	int			n;

	for (n = 0; n < e->nkeys; n++)
	{
		bool		found = false;

		for (int i = 0; i < fkey->nkeys; i++)
			found |= fkey->conkey[i] == e->keys[n].attno;
		if (!found)
			break;
	}
	return n;
}

/* Is there another index to check a foreign key by? */
static bool
has_other_support(HoneRun *run, const HoneExisting *e, const ForeignKeyCacheInfo *fkey,
				  List *dropped)
{
	ListCell   *lc;
	ListCell   *lf;

	foreach(lc, run->existing)
	{
		HoneExisting *other = lfirst(lc);

		if (other == e || other->relid != e->relid || !other->valid ||
			list_member_oid(dropped, other->oid))
			continue;
		foreach(lf, other->fkeys)
			if (((ForeignKeyCacheInfo *) lfirst(lf))->conoid == fkey->conoid &&
				prefix_of(other, fkey) >= prefix_of(e, fkey))
				return true;
	}
	return false;
}

/*
 * Would rows of a parent that go, or change, have to be looked for without an
 * index? dropped: OIDs of indexes that go too.
 */
bool
hone_advise_needed_by_fkey(HoneRun *run, const HoneExisting *e, List *dropped)
{
	ListCell   *lc;

	foreach(lc, e->fkeys)
	{
		ForeignKeyCacheInfo *fkey = lfirst(lc);
		PgStat_StatTabEntry *parent = pgstat_fetch_stat_tabentry(fkey->confrelid);

		if (parent && parent->tuples_deleted == 0 && parent->tuples_updated == 0)
			continue;
		if (!has_other_support(run, e, fkey, dropped))
			return true;
	}
	return false;
}

static bool
has_unseen_standbys(void)
{
	bool		result;

	result = SPI_execute("SELECT FROM pg_catalog.pg_stat_get_wal_senders()"
						 " WHERE NOT EXISTS (SELECT FROM hone.standby_read_store) LIMIT 1", true, 0) == SPI_OK_SELECT &&
		SPI_processed > 0;
	return result;
}

/* Why it is of no use, in sentences, and what it costs. */
char *
hone_advise_evidence(HoneRun *run, const HoneExisting *e)
{
	StringInfoData buf;
	HoneWriteCost cost = hone_advise_existing_write_costs(run, e);
	double		age = unscanned_for(run, e->oid);
	HoneIndexUse *use = find_use(run, e->oid);
	int			touching = 0;
	HoneScope	scope;
	bool		standbys;

	for (int i = 0; i < run->nstatements; i++)
		touching += list_member_oid(run->statements[i]->relids, e->relid);
	hone_enter_owner(&scope);
	SPI_connect();
	standbys = has_unseen_standbys();
	SPI_finish();
	hone_leave(&scope);

	initStringInfo(&buf);
	appendStringInfo(&buf, "The server has counted no scan of it for %.0f %s",
					 age < SECS_PER_DAY ? Max(age, 0) / 3600 : age / SECS_PER_DAY_F,
					 age < SECS_PER_DAY ? "hours" : "days");
	if (use && use->scans > 0)
		appendStringInfo(&buf, " (%.0f before)", use->scans);
	appendStringInfo(&buf, ", and of %d captured %s of its table no plan uses it.",
					 touching, touching == 1 ? "statement" : "statements");
	appendStringInfo(&buf, " Writes made %.0f entries in it", cost.entries);
	if (cost.hot_lost >= 1)
		appendStringInfo(&buf, ", and %.0f updates could not be HOT because of it alone", cost.hot_lost);
	appendStringInfo(&buf, ": an estimated cost of %.2f.", cost.total);
	if (standbys)
		appendStringInfoString(&buf, " There are standbys, whose scans are not counted here: look there too.");
	return buf.data;
}
