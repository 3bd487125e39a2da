/*
 * writes.c
 *	  How many rows are written to which table over the window of the weights,
 *	  and which columns updates change.
 *
 * For given statements that is what their plans expect, times their weights.
 * For the captured workload it was measured, by three who each see something
 * that the others do not:
 * - The rows that a captured statement changed, over all of its calls, are
 *   counted with it; which columns, its tree says.
 * - Statements that changed rows of a table, but are not in the run (their
 *   samples cannot be planned again, or they weigh too little), are known by
 *   table and command. Their text is analysed for the columns they change; that
 *   needs no values.
 * - The server counts what happens to a table, whoever does it: COPY, logical
 *   replication, statements that were evicted. What it counted beyond the
 *   captured statements counts too. Which columns those updates changed is not
 *   known; they are taken to change what the known ones do.
 *
 * How a table was loaded is not how it is used, since an index is built after
 * it: an INSERT that ran once or twice and made a good part of the table does
 * not count, nor does the largest number of rows that the server saw come in
 * between two rounds of the collector.
 *
 * Everything lives in run->memory. Locks are those of statement.c, which are
 * gone with its subtransactions: a table may be dropped at any time, and then
 * its writes are nobody's.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/partition.h"
#include "catalog/pg_class.h"
#include "optimizer/optimizer.h"
#include "parser/parsetree.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

#include "advise/internal.h"
#include "advise/measured.h"
#include "base/owner.h"

#define LOAD_CALLS 2
#define LOAD_ROWS 1000.0
#define LOAD_SHARE 0.05			/* of the rows there are */
#define MAX_ANALYSED 200		/* texts, for the columns they change */

/* Rows of a table, or of all partitions of one, as last analysed. */
double
hone_advise_rows_of(Oid relid)
{
	HeapTuple	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(relid));
	double		rows = 0;

	if (HeapTupleIsValid(tuple))
	{
		rows = Max(0, ((Form_pg_class) GETSTRUCT(tuple))->reltuples);
		ReleaseSysCache(tuple);
	}
	return rows;
}

/* The table that writes to this one are counted under. */
Oid
hone_advise_root_of(Oid relid)
{
	List	   *ancestors;

	if (!get_rel_relispartition(relid))
		return relid;
	ancestors = get_partition_ancestors(relid);
	return ancestors == NIL ? relid : llast_oid(ancestors);
}

/* Which share of the rows written to one table goes to an index of the other? */
double
hone_advise_write_share(Oid written, Oid indexed)
{
	double		all;

	if (written == indexed)
		return 1;
	if (get_rel_relispartition(written) &&
		list_member_oid(get_partition_ancestors(written), indexed))
		return 1;
	if (!get_rel_relispartition(indexed) ||
		!list_member_oid(get_partition_ancestors(indexed), written))
		return 0;
	all = hone_advise_rows_of(written);
	return all > 0 ? Min(1, hone_advise_rows_of(indexed) / all) : 1;
}

/* Attribute numbers of one table as those of another one of its partition tree. */
Bitmapset *
hone_advise_map_columns(Bitmapset *columns, Oid from, Oid to)
{
	Bitmapset  *result = NULL;
	int			col = -1;

	if (from == to)
		return columns;
	while ((col = bms_next_member(columns, col)) >= 0)
	{
		char	   *name = get_attname(from, col, true);
		AttrNumber	attno = name ? get_attnum(to, name) : InvalidAttrNumber;

		if (attno > 0)
			result = bms_add_member(result, attno);
	}
	return result;
}

static void
add_write(HoneRun *run, Oid relid, CmdType command, double rows, double calls, bool known,
		  Bitmapset *changed)
{
	HoneWrite  *write;
	ListCell   *lc;

	if (rows <= 0 && calls <= 0)
		return;
	foreach(lc, run->writes)
	{
		write = lfirst(lc);
		if (write->relid == relid && write->command == command && write->known == known &&
			bms_equal(write->changed, changed))
		{
			write->rows += rows;
			write->calls += calls;
			return;
		}
	}
	write = palloc0(sizeof(HoneWrite));
	write->relid = relid;
	write->command = command;
	write->rows = rows;
	write->calls = calls;
	write->known = known;
	write->changed = bms_copy(changed);
	run->writes = lappend(run->writes, write);
}

/*
 * Rows that one call writes. An estimate is at most what the table has; an
 * INSERT's can be any number.
 */
static double
rows_per_call(HoneStatement *st, HoneWrite *write)
{
	double		most;

	if (write->share > 0 && st->group->mean_rows >= 0)
		return write->share * st->group->mean_rows;
	if (write->command == CMD_INSERT)
		return write->rows;
	most = hone_advise_rows_of(write->relid);
	return most > 0 ? Min(write->rows, most) : write->rows;
}

static bool
is_load(CmdType command, Oid relid, double calls, double rows_per_call)
{
	return command == CMD_INSERT && calls <= LOAD_CALLS &&
		rows_per_call >= Max(LOAD_ROWS, LOAD_SHARE * hone_advise_rows_of(relid));
}

static void
add_statements(HoneRun *run)
{
	for (int i = 0; i < run->nstatements; i++)
	{
		HoneStatement *st = run->statements[i];
		ListCell   *lc;

		if (st->failure)
			continue;
		foreach(lc, st->writes)
		{
			HoneWrite  *write = lfirst(lc);
			double		rows = rows_per_call(st, write);

			if (!run->captured ||
				!is_load(write->command, write->relid, st->group->calls, rows))
				add_write(run, write->relid, write->command, st->calls * rows, st->calls,
						  true, write->changed);
		}
	}
}

/* Is a statement of the query in the run, which then says it all? */
static bool
is_in_run(HoneRun *run, const HoneMeasuredWrite *measured)
{
	for (int i = 0; i < run->nstatements; i++)
	{
		HoneStatement *st = run->statements[i];

		if (!st->failure && st->writes != NIL && st->group->queryid == measured->queryid &&
			st->group->userid == measured->userid)
			return true;
	}
	return false;
}

static void
columns_work(HoneRun *run, HoneStatement *st, List *queries,
			 ParamListInfo params pg_attribute_unused(), void *arg)
{
	HoneMeasuredWrite *measured = arg;
	ListCell   *lc;

	foreach(lc, queries)
	{
		Query	   *query = lfirst_node(Query, lc);

		if (query->commandType == CMD_UPDATE && query->resultRelation > 0 &&
			rt_fetch(query->resultRelation, query->rtable)->relid == measured->relid)
		{
			MemoryContext old = MemoryContextSwitchTo(run->memory);

			measured->changed = hone_advise_changed_columns(query, query->targetList);
			measured->known = true;
			MemoryContextSwitchTo(old);
		}
	}
	(void) st;
}

/*
 * Only what it changes: the text alone is planned for nothing else. A sample's
 * text is the better one, as it comes with the types of its parameters.
 */
static void
find_columns(HoneRun *run, HoneMeasuredWrite *measured)
{
	HoneQueryGroup group = {0};
	HoneStatement st = {0};
	ListCell   *lc;

	group.queryid = measured->queryid;
	group.userid = measured->userid;
	st.group = &group;
	st.text = measured->text;
	st.userid = measured->userid;
	foreach(lc, run->unplannable)
	{
		HoneStatement *sample = lfirst(lc);

		if (sample->group->queryid == measured->queryid && sample->userid == measured->userid)
			st = *sample;
	}
	if (st.text)
		(void) hone_advise_with_statement(run, &st, columns_work, measured);
}

static void
add_measured(HoneRun *run)
{
	ListCell   *lc;
	int			analysed = 0;

	foreach(lc, run->measured)
	{
		HoneMeasuredWrite *measured = lfirst(lc);

		if (is_in_run(run, measured) ||
			is_load(measured->command, measured->relid, measured->calls,
					measured->rows / Max(measured->calls, 1)))
			continue;
		if (measured->command == CMD_UPDATE && hone_may_see_role(measured->userid) &&
			analysed++ < MAX_ANALYSED)
			find_columns(run, measured);
		add_write(run, measured->relid, measured->command, measured->rows, measured->calls,
				  measured->known, measured->changed);
	}
}

/* What captured statements wrote to the tree of a table, loads included. */
static double
captured_rows(HoneRun *run, Oid root, CmdType command)
{
	double		rows = 0;
	ListCell   *lc;

	foreach(lc, run->measured)
	{
		HoneMeasuredWrite *measured = lfirst(lc);

		if (measured->command == command && measured->root == root)
			rows += measured->rows;
	}
	return rows;
}

/*
 * What the server counted beyond that; given for each table with storage.
 * Less than a tenth more is nothing: the two are not read at the same moment.
 */
static void
add_uncaptured(HoneRun *run)
{
	List	   *roots = NIL;
	ListCell   *lc;

	if (run->counted == NIL)
		return;
	foreach(lc, run->existing_of)
		roots = list_append_unique_oid(roots, hone_advise_root_of(lfirst_oid(lc)));
	foreach(lc, run->measured)
		((HoneMeasuredWrite *) lfirst(lc))->root = hone_advise_root_of(((HoneMeasuredWrite *) lfirst(lc))->relid);
	foreach(lc, run->counted)
		((HoneCountedWrites *) lfirst(lc))->root = hone_advise_root_of(((HoneCountedWrites *) lfirst(lc))->relid);
	foreach(lc, roots)
	{
		Oid			root = lfirst_oid(lc);
		HoneCountedWrites sum = {0};
		double		captured;
		ListCell   *lt;

		foreach(lt, run->counted)
		{
			HoneCountedWrites *counted = lfirst(lt);

			if (counted->root != root)
				continue;
			sum.inserted += counted->inserted - counted->most_inserted;
			sum.updated += counted->updated;
			sum.deleted += counted->deleted;
		}
		captured = captured_rows(run, root, CMD_INSERT);
		if (sum.inserted > 1.1 * captured)
			add_write(run, root, CMD_INSERT, sum.inserted - captured, 0, false, NULL);
		captured = captured_rows(run, root, CMD_UPDATE);
		if (sum.updated > 1.1 * captured)
			add_write(run, root, CMD_UPDATE, sum.updated - captured, 0, false, NULL);
		captured = captured_rows(run, root, CMD_DELETE);
		if (sum.deleted > 1.1 * captured)
			add_write(run, root, CMD_DELETE, sum.deleted - captured, 0, false, NULL);
	}
}

/* After the statements were read. */
List *
hone_advise_writes(HoneRun *run)
{
	MemoryContext old;

	if (run->writes_read)
		return run->writes;
	run->writes_read = true;
	old = MemoryContextSwitchTo(run->memory);
	add_statements(run);
	add_measured(run);
	add_uncaptured(run);
	MemoryContextSwitchTo(old);
	return run->writes;
}
