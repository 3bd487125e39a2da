/*
 * run.c
 *	  One run from the first statement to the chosen set.
 *
 * Changes nothing but memory: what is stored is stored by store.c afterwards,
 * so an error on the way leaves no trace. Work is bounded by a number of
 * planner calls and by pg_hone.advisor_time_limit, and can be cancelled at any call.
 */
#include "postgres.h"

#include <math.h>

#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#include "advise/internal.h"
#include "base/compat.h"
#include "base/owner.h"

#define CALLS_PER_STATEMENT 80
#define MIN_CALLS 4000
#define MAX_RATIO 10.0			/* correction of a weight by measured time */

HoneRun *
hone_advise_run_create(int64 budget, int max_indexes)
{
	MemoryContext memory = AllocSetContextCreate(CurrentMemoryContext, "pg_hone advisor run",
												 ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(memory);
	HoneRun    *run = palloc0(sizeof(HoneRun));

	run->memory = memory;
	run->scratch = AllocSetContextCreate(memory, "pg_hone advisor statement",
										 ALLOCSET_DEFAULT_SIZES);
	run->caller = GetUserId();
	run->budget = budget;
	run->max_indexes = max_indexes;
	initStringInfo(&run->skipped);
	INSTR_TIME_SET_CURRENT(run->started);
	MemoryContextSwitchTo(old);
	return run;
}

static int
compare_doubles(const void *a, const void *b)
{
	double		x = *(const double *) a;
	double		y = *(const double *) b;

	return x < y ? -1 : x > y ? 1 : 0;
}

/* What one execution of a query costs on average, over its samples. */
static double
mean_cost(HoneRun *run, const HoneQueryGroup *group)
{
	double		calls = 0;
	double		cost = 0;

	for (int i = 0; i < run->nstatements; i++)
	{
		const HoneStatement *st = run->statements[i];

		if (st->group != group || st->failure)
			continue;
		calls += st->calls;
		cost += st->calls * st->base_cost;
	}
	return calls > 0 ? cost / calls : 0;
}

/*
 * Was it measured, in part at least, before the server had an index that its
 * plan uses now? Then its time says nothing about its cost: it would look slow
 * for what it costs, and the next run would build still more for it.
 */
static bool
measured_before_index(HoneRun *run, const HoneQueryGroup *group)
{
	for (int i = 0; i < run->nstatements && run->new_indexes != NIL; i++)
	{
		const HoneStatement *st = run->statements[i];
		ListCell   *lc;

		if (st->group != group || st->failure)
			continue;
		foreach(lc, st->real)
			if (list_member_oid(run->new_indexes, lfirst_oid(lc)))
				return true;
	}
	return false;
}

/*
 * Weight: executions, corrected by how much more or less time the query takes
 * for its estimated cost than the median query does; within limits, because
 * either figure can be far off. The same for all samples of a query, so that the
 * slow ones count by their cost and once.
 */
static void
set_weights(HoneRun *run)
{
	double	   *ratios = palloc(sizeof(double) * (list_length(run->groups) + 1));
	int			n = 0;
	double		median = 0;
	ListCell   *lc;

	foreach(lc, run->groups)
	{
		HoneQueryGroup *group = lfirst(lc);
		double		cost = mean_cost(run, group);

		group->ms_per_cost = group->mean_ms > 0 && cost > 0 &&
			!measured_before_index(run, group) ? group->mean_ms / cost : 0;
		if (group->ms_per_cost > 0)
			ratios[n++] = group->ms_per_cost;
	}
	if (n > 0)
	{
		qsort(ratios, n, sizeof(double), compare_doubles);
		median = ratios[n / 2];
	}
	for (int i = 0; i < run->nstatements; i++)
	{
		HoneStatement *st = run->statements[i];
		double		correction = 1;

		if (st->failure)
			continue;
		if (median > 0 && st->group->ms_per_cost > 0)
			correction = Max(1 / MAX_RATIO, Min(MAX_RATIO, st->group->ms_per_cost / median));
		st->weight = st->calls * correction;
		run->cost_before += st->weight * st->base_cost;
	}
	pfree(ratios);
}

/* Candidates of one statement; as its role, under a safe search_path. */
static void
propose_work(HoneRun *run, HoneStatement *st, List *queries pg_attribute_unused(),
			 ParamListInfo params pg_attribute_unused(), void *arg pg_attribute_unused())
{
	HoneScope	scope;
	ListCell   *lc;

	hone_advise_enter_plain(&scope);
	foreach(lc, st->rels)
		hone_advise_families(run, st, lfirst(lc));
	hone_leave(&scope);
}

static void
report_failures(HoneRun *run)
{
	for (int i = 0; i < run->nstatements; i++)
	{
		HoneStatement *st = run->statements[i];

		if (st->failure)
			hone_advise_skip(run, st->group->queryid, st->group->userid, st->failure);
	}
}

static void
add_up(HoneRun *run)
{
	int			i = -1;

	run->cost_after = 0;
	for (int s = 0; s < run->nstatements; s++)
	{
		HoneStatement *st = run->statements[s];

		if (!st->failure)
			run->cost_after += st->weight *
				(st->final ? st->final->planner_cost : st->base_cost);
	}
	while ((i = bms_next_member(run->chosen, i)) >= 0)
		run->candidates[i]->chosen = true;
}

void
hone_advise_run(HoneRun *run)
{
	MemoryContext old = MemoryContextSwitchTo(run->memory);

	run->max_planner_calls = Max(MIN_CALLS, (uint64) run->nstatements * CALLS_PER_STATEMENT);
	for (int i = 0; i < run->nstatements; i++)
		hone_advise_read_statement(run, run->statements[i]);
	hone_advise_add_key_checks(run);
	set_weights(run);
	hone_advise_count_sharing(run);
	hone_advise_count_predicates(run);
	for (int i = 0; i < run->nstatements; i++)
		(void) hone_advise_with_statement(run, run->statements[i], propose_work, NULL);
	hone_advise_harvest(run);
	hone_advise_hold_tables(run);
	for (int i = 0; i < run->ncandidates; i++)
		if (run->candidates[i]->rejection == NULL)
			run->candidates[i]->write_cost = hone_advise_write_cost(run, run->candidates[i]);
	hone_advise_search(run);
	add_up(run);
	hone_advise_find_drops(run);
	report_failures(run);
	MemoryContextSwitchTo(old);
}
