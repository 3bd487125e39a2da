/*
 * hint.c
 *	  Where the real cause is not a missing index: choosing the statements, and
 *	  collecting what is found.
 *
 * Runs after the search, because a hint is not needed where the chosen indexes
 * help, and before anything is stored. Of each query that makes a noticeable
 * part of the workload the dearest sample is analysed once more as its role
 * (statement.c: subtransaction, rolled back) and planned without and with the
 * chosen indexes; then its tree, its plans and what was measured of it are
 * looked at. A failure here costs the statement its hints, and nothing else.
 * Hints live in run->memory; their number is bounded.
 */
#include "postgres.h"

#include "executor/spi.h"
#include "miscadmin.h"
#include "nodes/nodeFuncs.h"
#include "utils/memutils.h"

#include "advise/hint.h"
#include "base/owner.h"
#include "base/shmem.h"

#define MIN_SHARE 0.01			/* of the workload's cost, to get hints */
#define MIN_COST 50.0			/* of one execution */
#define MAX_LOOKED_AT 100		/* queries of a run */
#define MAX_HINTS 200			/* of a run */
#define MAX_HINTS_OF_ONE 12

/* Hints about a table are the same for all queries on it. */
static bool
is_about_table(const char *kind)
{
	return strcmp(kind, "statistics") == 0 || strcmp(kind, "vacuum") == 0;
}

/* Two conditions on a column, such as those of BETWEEN, are one hint. */
static void
add_example(HoneHintWalk *walk, HoneHint *h, const char *example)
{
	if (example && h->example && strstr(h->kind, "_on_column") != NULL &&
		strstr(h->example, example) == NULL && strlen(h->example) < 1000)
		h->example = MemoryContextStrdup(walk->run->memory,
										 psprintf("%s AND %s", h->example, example));
}

static bool
is_known(HoneHintWalk *walk, Oid relid, const char *kind, const char *hint,
		 const char *example)
{
	ListCell   *lc;

	foreach(lc, walk->hints)
	{
		HoneHint   *h = lfirst(lc);

		if (strcmp(h->kind, kind) == 0 && strcmp(h->hint, hint) == 0)
		{
			add_example(walk, h, example);
			return true;
		}
	}
	if (!is_about_table(kind))
		return false;
	foreach(lc, walk->run->hints)
	{
		const HoneHint *h = lfirst(lc);

		if (strcmp(h->kind, kind) == 0 && h->relid == relid)
			return true;
	}
	return false;
}

void
hone_hint_add(HoneHintWalk *walk, Oid relid, const char *kind,
			  const char *hint, const char *evidence, const char *example)
{
	MemoryContext old;
	HoneHint   *h;

	if (is_known(walk, relid, kind, hint, example) ||
		list_length(walk->hints) >= MAX_HINTS_OF_ONE ||
		list_length(walk->run->hints) + list_length(walk->hints) >= MAX_HINTS)
		return;
	old = MemoryContextSwitchTo(walk->run->memory);
	h = palloc0(sizeof(HoneHint));
	h->st = walk->st;
	h->relid = relid;
	h->kind = kind;
	h->hint = pstrdup(hint);
	h->evidence = evidence ? pstrdup(evidence) : NULL;
	h->example = example ? pstrdup(example) : NULL;
	walk->hints = lappend(walk->hints, h);
	MemoryContextSwitchTo(old);
}

static void look_at_query(HoneHintWalk *walk, Query *query);

static bool
query_walker(Node *node, void *context)
{
	if (node == NULL)
		return false;
	if (IsA(node, Query))
	{
		look_at_query(context, (Query *) node);
		return false;
	}
	return expression_tree_walker(node, query_walker, context);
}

/* A query and all inside it. */
static void
look_at_query(HoneHintWalk *walk, Query *query)
{
	ListCell   *lc;

	check_stack_depth();
	CHECK_FOR_INTERRUPTS();
	walk->levels = lcons(query, walk->levels);
	hone_hint_look_at_query(walk, query);
	foreach(lc, hone_hint_conditions(query))
		hone_hint_look_at_condition(walk, query, lfirst(lc));
	(void) query_tree_walker(query, query_walker, walk, QTW_IGNORE_JOINALIASES);
	walk->levels = list_delete_first(walk->levels);
}

static void
hint_work(HoneRun *run, HoneStatement *st, List *queries, ParamListInfo params, void *arg)
{
	HoneHintWalk *walk = arg;
	HoneConfiguration nothing = {NIL, NIL};
	HoneConfiguration chosen = {NIL, NIL};
	ListCell   *lc;
	int			i = -1;

	while (st->final && (i = bms_next_member(st->final->set, i)) >= 0)
		chosen.create = lappend(chosen.create, run->candidates[i]->index);
	walk->params = params;
	foreach(lc, queries)
	{
		Query	   *query = lfirst_node(Query, lc);

		walk->before = hone_whatif_plan(query, st->text, params, &nothing);
		walk->after = walk->before;
		run->planner_calls++;
		if (chosen.create != NIL)
		{
			walk->after = hone_whatif_plan(query, st->text, params, &chosen);
			run->planner_calls++;
		}
		walk->top = query;
		walk->levels = NIL;
		look_at_query(walk, query);
		hone_hint_look_at_plan(walk, query);
	}
}

/* What the server measured of the queries of this database. */
static List *
load_measured(HoneRun *run)
{
	List	   *result = NIL;
	HoneScope	scope;
	bool		isnull;

	if (!hone_shmem_ready())
		return NIL;
	hone_enter_owner(&scope);
	SPI_connect();
	if (SPI_execute("SELECT q.queryid, q.userid, pg_catalog.sum(q.calls)::float8,"
					" pg_catalog.sum(q.rows)::float8, pg_catalog.sum(q.total_exec_ms)::float8,"
					" pg_catalog.sum(q.jit_ms)::float8, pg_catalog.sum(q.temp_blks_written)::float8,"
					" pg_catalog.sum(q.shared_blks_hit)::float8, pg_catalog.sum(q.shared_blks_read)::float8"
					" FROM hone.query_stats_memory(false) q"
					" WHERE q.dbid = (SELECT d.oid FROM pg_catalog.pg_database d"
					"  WHERE d.datname = pg_catalog.current_database()) AND q.calls > 0"
					" AND q.queryid IS NOT NULL AND q.userid IS NOT NULL"
					" GROUP BY q.queryid, q.userid", true, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not read query statistics");
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		HeapTuple	tuple = SPI_tuptable->vals[i];
		TupleDesc	desc = SPI_tuptable->tupdesc;
		MemoryContext old = MemoryContextSwitchTo(run->memory);
		HoneMeasured *m = palloc0(sizeof(HoneMeasured));
		double	   *figures[] = {&m->calls, &m->rows, &m->total_ms, &m->jit_ms,
		&m->temp_blocks, &m->blocks_hit, &m->blocks_read};

		m->queryid = DatumGetInt64(SPI_getbinval(tuple, desc, 1, &isnull));
		m->userid = DatumGetObjectId(SPI_getbinval(tuple, desc, 2, &isnull));
		for (int k = 0; k < (int) lengthof(figures); k++)
		{
			Datum		value = SPI_getbinval(tuple, desc, 3 + k, &isnull);

			*figures[k] = isnull ? 0 : DatumGetFloat8(value);
		}
		result = lappend(result, m);
		MemoryContextSwitchTo(old);
	}
	SPI_finish();
	hone_leave(&scope);
	return result;
}

static const HoneMeasured *
measured_of(List *measured, const HoneQueryGroup *group)
{
	ListCell   *lc;

	foreach(lc, measured)
	{
		const HoneMeasured *m = lfirst(lc);

		if (group->queryid != 0 && m->queryid == group->queryid && m->userid == group->userid)
			return m;
	}
	return NULL;
}

/* A query with its part of the workload. */
typedef struct Part
{
	HoneStatement *dearest;		/* sample */
	double		cost;
} Part;

static int
compare_parts(const void *a, const void *b)
{
	const Part *x = a;
	const Part *y = b;

	return x->cost > y->cost ? -1 : x->cost < y->cost ? 1 : 0;
}

/* The queries in the order of what they cost; their number. */
static int
make_parts(HoneRun *run, Part *parts)
{
	int			n = 0;

	for (int i = 0; i < run->nstatements; i++)
	{
		HoneStatement *st = run->statements[i];

		if (st->failure)
			continue;
		if (n == 0 || parts[n - 1].dearest->group != st->group)
		{
			parts[n].dearest = st;
			parts[n++].cost = 0;
		}
		if (st->base_cost > parts[n - 1].dearest->base_cost)
			parts[n - 1].dearest = st;
		parts[n - 1].cost += st->weight * st->base_cost;
	}
	qsort(parts, n, sizeof(Part), compare_parts);
	return n;
}

static void
look_at(HoneRun *run, HoneStatement *st, const HoneMeasured *measured)
{
	HoneHintWalk walk = {0};
	bool		strict = run->strict;
	bool		done;
	MemoryContext old;

	walk.run = run;
	walk.st = st;
	walk.measured = measured;
	run->strict = false;
	done = hone_advise_with_statement(run, st, hint_work, &walk);
	run->strict = strict;
	if (!done)
	{
		/* It was planned before: what failed is looking, not the statement. */
		st->failure = NULL;
		return;
	}
	old = MemoryContextSwitchTo(run->memory);
	run->hints = list_concat(run->hints, walk.hints);
	MemoryContextSwitchTo(old);
}

/*
 * Fill in run->hints. With all, cheap statements get hints too: somebody asks
 * about just this one.
 */
void
hone_advise_find_hints(HoneRun *run, bool all)
{
	MemoryContext old = MemoryContextSwitchTo(run->memory);
	Part	   *parts = palloc(sizeof(Part) * (run->nstatements + 1));
	int			n = make_parts(run, parts);
	List	   *measured = NIL;
	bool		captured = run->nstatements > 0 && !run->statements[0]->as_caller;
	double		cpu_ms = hone_advise_cpu_ms();

	if (captured)
		measured = load_measured(run);
	for (int i = 0; i < n && i < MAX_LOOKED_AT; i++)
	{
		HoneStatement *st = parts[i].dearest;

		if (!all && (parts[i].cost < MIN_SHARE * run->cost_before || st->base_cost < MIN_COST))
			continue;
		look_at(run, st, measured_of(measured, st->group));
	}
	if (captured)
		hone_hint_look_at_workload(run, measured, &run->hints);
	elog(DEBUG1, "pg_hone: looking for hints took %.1f ms of CPU", hone_advise_cpu_ms() - cpu_ms);
	MemoryContextSwitchTo(old);
}
