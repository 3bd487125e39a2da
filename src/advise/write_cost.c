/*
 * write_cost.c
 *	  What an index costs the writes, in planner cost units, over the same
 *	  executions the gains are counted over.
 *
 * Counted from the statements of the run: each INSERT makes an entry in every
 * index, each UPDATE that cannot be HOT too; an UPDATE that could be HOT stops
 * being it when a new index depends on a column that it changes, and then also
 * writes to all other indexes of the table. Which share of updates is HOT now
 * is taken from the table's counters. An entry costs its descent, its share of
 * a page to be dirtied and written back, and its WAL. Counters since the last
 * reset are not used for amounts: they would charge the initial load of a
 * table to whatever is asked after it.
 */
#include "postgres.h"

#include <math.h>

#include "access/htup_details.h"
#include "catalog/partition.h"
#include "catalog/pg_am.h"
#include "catalog/pg_class.h"
#include "optimizer/cost.h"
#include "optimizer/optimizer.h"
#include "pgstat.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

#include "advise/internal.h"

#define DEFAULT_HOT 0.9			/* of updates that may be, without counters */
#define LOAD_CALLS 2
#define LOAD_ROWS 1000.0
#define LOAD_SHARE 0.05			/* of the rows there are */
#define GIN_FACTOR 4.0			/* entries per row, softened by fastupdate */

/* Does a write to one relation write to an index of the other? */
static bool
same_table(Oid written, Oid indexed)
{
	if (written == indexed)
		return true;
	if (get_rel_relispartition(written) &&
		list_member_oid(get_partition_ancestors(written), indexed))
		return true;
	return get_rel_relispartition(indexed) &&
		list_member_oid(get_partition_ancestors(indexed), written);
}

static double
hot_share(Oid relid)
{
	PgStat_StatTabEntry *stat = pgstat_fetch_stat_tabentry(relid);

	if (stat == NULL || stat->tuples_updated < 100)
		return DEFAULT_HOT;
	return (double) stat->tuples_hot_updated / stat->tuples_updated;
}

/* Existing indexes of a table, and whether one depends on these columns. */
static int
count_existing(HoneRun *run, Oid relid, Bitmapset *changed, Oid except, bool *touched)
{
	ListCell   *lc;
	int			n = 0;

	*touched = false;
	foreach(lc, run->existing)
	{
		HoneExisting *e = lfirst(lc);

		if (e->relid != relid || e->oid == except)
			continue;
		n++;
		*touched |= bms_overlap(e->columns, changed);
	}
	return n;
}

/*
 * A captured INSERT that ran once or twice and made a good part of the table is
 * how the table was loaded, not how it is used: an index is built after it.
 */
static bool
is_load(HoneStatement *st)
{
	HeapTuple	tuple;
	double		tuples = 0;

	if (st->position > 0 || st->command != CMD_INSERT || st->group->calls > LOAD_CALLS)
		return false;
	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(st->target));
	if (HeapTupleIsValid(tuple))
	{
		tuples = ((Form_pg_class) GETSTRUCT(tuple))->reltuples;
		ReleaseSysCache(tuple);
	}
	return st->rows_written >= Max(LOAD_ROWS, LOAD_SHARE * tuples);
}

/* Index entries that the statements of the run would write. */
static double
entries(HoneRun *run, Oid relid, Bitmapset *columns, double selectivity, Oid except)
{
	double		total = 0;
	double		hot = hot_share(relid);

	for (int i = 0; i < run->nstatements; i++)
	{
		HoneStatement *st = run->statements[i];
		double		rows = st->calls * st->rows_written;
		bool		touched;
		int			others;

		if (st->failure || !OidIsValid(st->target) || !same_table(st->target, relid) ||
			is_load(st))
			continue;
		if (st->command == CMD_INSERT)
			total += rows * selectivity;
		else if (st->command == CMD_DELETE)
			total += rows * selectivity * 0.1;	/* vacuum, later */
		if (st->changed == NULL)
			continue;
		others = count_existing(run, st->target, st->changed, except, &touched);
		if (touched)
			total += rows * selectivity;
		else if (bms_overlap(columns, st->changed))
			total += rows * (1 - hot) * selectivity + rows * hot * (1 + others);
		else
			total += rows * (1 - hot) * selectivity;
	}
	return total;
}

static double
cost_of_entries(double n, double pages, double tuples, int height, int ncolumns,
				int64 size_bytes, bool gin)
{
	double		per_entry;
	double		bytes = tuples > 0 ? size_bytes / tuples : 16;
	double		dirtied;
	double		miss;

	if (n <= 0)
		return 0;
	pages = Max(pages, 1);
	miss = pages > effective_cache_size ? 1 - effective_cache_size / pages : 0;
	per_entry = cpu_operator_cost * (ncolumns * log2(Max(tuples, 2)) + 50 * (height + 1)) +
		cpu_index_tuple_cost + random_page_cost * miss;
	if (gin)
		per_entry *= GIN_FACTOR;
	dirtied = pages * (1 - exp(-n / pages));
	return n * per_entry + seq_page_cost * (n * (60 + Min(bytes, 1000)) / BLCKSZ + 2 * dirtied);
}

double
hone_advise_write_cost(HoneRun *run, const HoneCandidate *c)
{
	double		selectivity = c->predicate ? c->predicate->selectivity : 1.0;
	Bitmapset  *columns = hone_advise_candidate_columns(c);

	return cost_of_entries(entries(run, c->relid, columns, selectivity, InvalidOid),
						   c->index->pages, c->index->tuples,
						   Max(c->index->tree_height, 0), c->index->ncolumns,
						   c->index->size_bytes, c->amoid == GIN_AM_OID);
}

double
hone_advise_existing_write_cost(HoneRun *run, const HoneExisting *e)
{
	return cost_of_entries(entries(run, e->relid, e->columns, 1.0, e->oid),
						   e->pages, e->pages * 200.0, 2, e->nkeys, e->size_bytes,
						   e->amoid == GIN_AM_OID);
}
