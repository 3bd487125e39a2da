/*
 * measured.c
 *	  What was measured of the captured workload, beside its calls and times.
 *
 * Read as the extension's owner, when the queries are known: what each of them
 * read of which table, what all captured statements wrote, and what the
 * server counted for each table since hone.table_writes_store was begun. Rows
 * are amounts and name no statement; of texts writes.c looks only at those of
 * roles whose statements the caller may see.
 *
 * Executions of a query are divided over its samples by how long they took. Of
 * six samples two are the slowest ever seen; the latency histogram tells how
 * many executions were like which sample, so that their mean is near the
 * query's.
 *
 * Without preloading there is no memory to read; then nothing is known here.
 * Everything lives in run->memory.
 */
#include "postgres.h"

#include <math.h>

#include "catalog/partition.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

#include "advise/internal.h"
#include "advise/measured.h"
#include "base/owner.h"
#include "base/shmem.h"

#define MIN_DURATION_MS 0.001

#define COLUMN(n) SPI_getbinval(tuple, desc, (n), &isnull)

/* By query and table; commands are those of the query. */
static const char tables_sql[] =
	"WITH queries AS MATERIALIZED ("
	" SELECT q.queryid, q.userid, pg_catalog.max(q.command) AS command,"
	"  pg_catalog.sum(q.calls)::float8 AS calls, pg_catalog.max(q.query) AS query"
	" FROM hone.query_stats_memory(false) q"
	" WHERE q.dbid = (SELECT d.oid FROM pg_catalog.pg_database d"
	"  WHERE d.datname = pg_catalog.current_database())"
	" GROUP BY q.queryid, q.userid)"
	" SELECT t.queryid, t.userid, t.relid, t.executions::float8,"
	"  (t.seq_rows_read + t.index_rows_read)::float8, t.target_executions::float8,"
	"  t.rows_returned::float8, q.command, q.query"
	" FROM hone.query_tables_memory() t"
	" JOIN queries q ON q.queryid = t.queryid AND q.userid = t.userid"
	" WHERE t.dbid = (SELECT d.oid FROM pg_catalog.pg_database d"
	"  WHERE d.datname = pg_catalog.current_database())";

/* What was counted before the window began is not in it, in proportion. */
static const char counted_sql[] =
	"SELECT t.relid, c.inserted * s.share, c.most * s.share, c.updated * s.share, c.deleted * s.share"
	" FROM hone.table_writes_store t"
	" CROSS JOIN LATERAL (SELECT"
	"  greatest(pg_catalog.pg_stat_get_tuples_inserted(t.relid) - t.inserted, 0)::float8 AS inserted,"
	"  greatest(t.most_inserted,"
	"   pg_catalog.pg_stat_get_tuples_inserted(t.relid) - t.seen_inserted)::float8 AS most,"
	"  greatest(pg_catalog.pg_stat_get_tuples_updated(t.relid) - t.updated, 0)::float8 AS updated,"
	"  greatest(pg_catalog.pg_stat_get_tuples_deleted(t.relid) - t.deleted, 0)::float8 AS deleted) c"
	" CROSS JOIN LATERAL (SELECT least(1, $1 / greatest(1,"
	"  extract(epoch FROM pg_catalog.clock_timestamp() - t.since)))::float8 AS share) s"
	" WHERE c.inserted + c.updated + c.deleted > 0";

static HoneQueryGroup *
find_group(HoneRun *run, int64 queryid, Oid userid)
{
	ListCell   *lc;

	foreach(lc, run->groups)
	{
		HoneQueryGroup *group = lfirst(lc);

		if (group->queryid == queryid && group->userid == userid)
			return group;
	}
	return NULL;
}

static CmdType
command_of(const char *name)
{
	if (name == NULL)
		return CMD_UNKNOWN;
	if (strcmp(name, "INSERT") == 0)
		return CMD_INSERT;
	if (strcmp(name, "UPDATE") == 0)
		return CMD_UPDATE;
	return strcmp(name, "DELETE") == 0 ? CMD_DELETE : CMD_UNKNOWN;
}

static void
load_table_row(HoneRun *run, HeapTuple tuple, TupleDesc desc)
{
	bool		isnull;
	int64		queryid = DatumGetInt64(COLUMN(1));
	Oid			userid = DatumGetObjectId(COLUMN(2));
	Oid			relid = DatumGetObjectId(COLUMN(3));
	double		executions = DatumGetFloat8(COLUMN(4));
	double		rows_read = DatumGetFloat8(COLUMN(5));
	double		targeted = DatumGetFloat8(COLUMN(6));
	CmdType		command = command_of(SPI_getvalue(tuple, desc, 8));
	HoneQueryGroup *group = find_group(run, queryid, userid);

	if (group && executions > 0)
	{
		if (group->nreads % 8 == 0)
			group->reads = group->reads ?
				repalloc(group->reads, (group->nreads + 8) * sizeof(HoneMeasuredRead)) :
				palloc(8 * sizeof(HoneMeasuredRead));
		group->reads[group->nreads++] = (HoneMeasuredRead) {relid, executions, rows_read};
	}
	if (targeted > 0 && command != CMD_UNKNOWN)
	{
		HoneMeasuredWrite *write = palloc0(sizeof(HoneMeasuredWrite));

		write->queryid = queryid;
		write->userid = userid;
		write->relid = relid;
		write->command = command;
		write->calls = targeted;
		write->rows = DatumGetFloat8(COLUMN(7));
		write->text = SPI_getvalue(tuple, desc, 9);
		run->measured = lappend(run->measured, write);
	}
}

static void
load_tables(HoneRun *run)
{
	if (SPI_execute(tables_sql, true, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not read what queries read and write");
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		MemoryContext old = MemoryContextSwitchTo(run->memory);

		load_table_row(run, SPI_tuptable->vals[i], SPI_tuptable->tupdesc);
		MemoryContextSwitchTo(old);
	}
}

static void
load_window(HoneRun *run)
{
	bool		isnull;
	Datum		value;

	if (SPI_execute("SELECT extract(epoch FROM pg_catalog.clock_timestamp() - i.reset_at)::float8"
					" FROM hone.query_stats_info i", true, 0) != SPI_OK_SELECT ||
		SPI_processed != 1)
		elog(ERROR, "could not read since when queries are measured");
	value = SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull);
	run->window_s = isnull ? 0 : Max(0, DatumGetFloat8(value));
}

/* Indexes that were recommended, and built, while queries were measured. */
static const char new_indexes_sql[] =
	"SELECT c.oid FROM hone.recommendation_store r"
	" JOIN pg_catalog.pg_index i ON i.indrelid = r.relid"
	" JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid AND c.relname = r.index_name"
	" WHERE r.action = 'create' AND r.status = 'applied'"
	" AND r.created_at > pg_catalog.clock_timestamp() - pg_catalog.make_interval(secs => $1)";

static void
load_new_indexes(HoneRun *run)
{
	Oid			types[] = {FLOAT8OID};
	Datum		values[] = {Float8GetDatum(run->window_s)};

	if (SPI_execute_with_args(new_indexes_sql, 1, types, values, NULL, true, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not read which indexes are new");
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		MemoryContext old = MemoryContextSwitchTo(run->memory);
		HeapTuple	tuple = SPI_tuptable->vals[i];
		TupleDesc	desc = SPI_tuptable->tupdesc;
		bool		isnull;

		run->new_indexes = lappend_oid(run->new_indexes, DatumGetObjectId(COLUMN(1)));
		MemoryContextSwitchTo(old);
	}
}

static void
load_counted(HoneRun *run)
{
	Oid			types[] = {FLOAT8OID};
	Datum		values[] = {Float8GetDatum(run->window_s)};

	if (SPI_execute_with_args(counted_sql, 1, types, values, NULL, true, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not read what was written to tables");
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		MemoryContext old = MemoryContextSwitchTo(run->memory);
		HoneCountedWrites *counted = palloc0(sizeof(HoneCountedWrites));
		HeapTuple	tuple = SPI_tuptable->vals[i];
		TupleDesc	desc = SPI_tuptable->tupdesc;
		bool		isnull;

		counted->relid = DatumGetObjectId(COLUMN(1));
		counted->inserted = DatumGetFloat8(COLUMN(2));
		counted->most_inserted = DatumGetFloat8(COLUMN(3));
		counted->updated = DatumGetFloat8(COLUMN(4));
		counted->deleted = DatumGetFloat8(COLUMN(5));
		run->counted = lappend(run->counted, counted);
		MemoryContextSwitchTo(old);
	}
}

/* Inside SPI, as the extension's owner, when the run has its groups. */
void
hone_advise_load_measured(HoneRun *run)
{
	hone_advise_load_use(run);
	if (!hone_shmem_ready())
		return;
	load_window(run);
	load_new_indexes(run);
	load_tables(run);
	load_counted(run);
}

/*
 * Rows of a table, or of partitions of it, that one execution of the query read,
 * whether they passed its filters or not; -1: not measured.
 */
double
hone_advise_measured_read(const HoneQueryGroup *group, Oid relid)
{
	double		executions = 0;
	double		rows = 0;

	for (int i = 0; i < group->nreads; i++)
	{
		const HoneMeasuredRead *read = &group->reads[i];

		if (read->relid != relid &&
			!(get_rel_relispartition(read->relid) &&
			  list_member_oid(get_partition_ancestors(read->relid), relid)))
			continue;
		executions = Max(executions, read->executions);
		rows += read->rows;
	}
	return executions > 0 ? rows / executions : -1;
}

/* How far is one duration from another, by ratio? */
static double
distance(double a, double b)
{
	return fabs(log(Max(a, MIN_DURATION_MS)) - log(Max(b, MIN_DURATION_MS)));
}

/*
 * Executions that took as long as a bucket says were like the sample that is
 * nearest; samples that took about the same share them.
 */
static void
add_bucket(HoneStatement **samples, int n, double *shares, double ms, double calls)
{
	double		nearest = distance(samples[0]->duration_ms, ms);
	int			equals = 0;

	for (int i = 1; i < n; i++)
		nearest = Min(nearest, distance(samples[i]->duration_ms, ms));
	for (int i = 0; i < n; i++)
		equals += distance(samples[i]->duration_ms, ms) <= nearest + 0.05;
	for (int i = 0; i < n; i++)
		if (distance(samples[i]->duration_ms, ms) <= nearest + 0.05)
			shares[i] += calls / equals;
}

static void
weigh_group(HoneQueryGroup *group, HoneStatement **samples, int n)
{
	double	   *shares = palloc(sizeof(double) * n);
	double		sum = 0;

	/* Each of them did run. */
	for (int i = 0; i < n; i++)
		shares[i] = group->nbuckets > 0 ? Min(1, group->calls / n) : 1;
	for (int b = 0; b < group->nbuckets; b++)
		add_bucket(samples, n, shares, group->upto_ms[b], group->bucket_calls[b]);
	for (int i = 0; i < n; i++)
		sum += shares[i];
	for (int i = 0; i < n; i++)
		samples[i]->calls = group->calls * (1 - group->generic_share) * shares[i] / sum;
	pfree(shares);
}

/* The samples of a query come one after another; generic ones have no values. */
void
hone_advise_weigh_samples(HoneRun *run)
{
	for (int i = 0; i < run->nstatements;)
	{
		HoneQueryGroup *group = run->statements[i]->group;
		int			n = 0;

		while (i + n < run->nstatements && run->statements[i + n]->group == group &&
			   !run->statements[i + n]->generic)
			n++;
		weigh_group(group, &run->statements[i], n);
		i += n;
		if (i < run->nstatements && run->statements[i]->group == group)
			run->statements[i++]->calls = group->calls * group->generic_share;
	}
}
