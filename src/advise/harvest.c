/*
 * harvest.c
 *	  Filling the pool: which candidates matter to which statement, and the plans
 *	  they could be part of.
 *
 * For each statement, in few planner calls:
 *	1. without any candidate, learning what each of its own would do for each
 *	   table; those that give nothing new are forgotten;
 *	2. with all that are left: the plan they make together;
 *	3. variants (INCLUDE, partial) of those that some plan profits from, and the
 *	   candidates of other statements on the same tables;
 *	4. with all, then again and again without the most valuable one of the last
 *	   plan, the same with those that have only keys, then with those of one table
 *	   only, and with a random one of each table: plans of different shapes, since
 *	   the price of a set is the least over the shapes that are known.
 *
 * A statement whose plans cannot be taken apart is asked with each candidate
 * alone, and its plans are known as they are.
 */
#include "postgres.h"

#include <math.h>

#include "common/pg_prng.h"
#include "miscadmin.h"
#include "utils/float.h"
#include "utils/memutils.h"

#include "advise/internal.h"
#include "advise/pool.h"
#include "base/owner.h"

#define MIN_GAIN 0.005			/* of a statement's cost */
#define VARIANTS_OF 24			/* best candidates that get variants */
#define JOIN_VARIANTS 16		/* join columns that get variants */
#define DIVERSIFY 5				/* plans without the best of the last */
#define IDLE 2					/* of them in a row that bring nothing new */
#define DIVERSIFY_PLAIN 3		/* of those without INCLUDE */
#define HEAVY 0.02				/* of the workload's cost */
#define STEPS 4					/* of a heavy statement that stays closed */
#define STEP_WIDTH 10			/* candidates tried in each */
#define EASY_TABLES 9			/* of a statement: all of these calls */
#define LEAST_EFFORT 0.4
#define NEIGHBOURS 5			/* of a chosen set, planned with per statement */
#define MAX_NEIGHBOURS 16		/* of one statement */
#define RANDOM_PLANS 2
#define MAX_TABLES 5			/* plans with one table's candidates */
#define MAX_TOGETHER 96			/* candidates in one plan */
#define MAX_ALONE 48			/* candidates asked alone */

/*
 * How often to ask: less for joins of many tables, whose planning takes longer
 * and longer. By their number, not by a clock, so that advice does not depend on
 * how busy the server is.
 */
static int
effort(const HoneStatement *st, int calls)
{
	int			ntables = list_length(st->rels);

	if (ntables <= EASY_TABLES)
		return calls;
	return (int) ceil(calls * Max(LEAST_EFFORT, (double) EASY_TABLES / ntables));
}

/* What the pool says one candidate alone would save. */
static double
gain_alone(HoneRun *run, HoneStatement *st, int id)
{
	Bitmapset  *set = bms_make_singleton(id);
	double		cost = hone_advise_pool_price(run, st, set, NULL, NULL);

	bms_free(set);
	return cost < 0 ? 0 : st->base_cost - cost;
}

/*
 * A partial index on the value of a parameter serves custom plans only. The
 * server stays with them as long as the generic plan is dearer.
 */
static bool
would_go_generic(HoneRun *run, HoneStatement *st, int id)
{
	HoneCandidate *c = run->candidates[id];

	return c->predicate && !c->predicate->literal && st->generic_cost > 0 &&
		st->generic_cost <= (st->base_cost - gain_alone(run, st, id)) * 1.1;
}

typedef struct Ranked
{
	int			id;
	double		gain;
} Ranked;

static int
by_gain(const void *a, const void *b)
{
	const Ranked *x = a;
	const Ranked *y = b;

	return x->gain > y->gain ? -1 : x->gain < y->gain ? 1 : x->id - y->id;
}

/* The most valuable candidates of a set. */
static Bitmapset *
best_of(HoneRun *run, HoneStatement *st, Bitmapset *ids, int most)
{
	Ranked	   *ranked;
	Bitmapset  *best = NULL;
	int			n = 0;
	int			i = -1;

	if (bms_num_members(ids) <= most)
		return bms_copy(ids);
	ranked = palloc(bms_num_members(ids) * sizeof(Ranked));
	while ((i = bms_next_member(ids, i)) >= 0)
	{
		ranked[n].id = i;
		ranked[n++].gain = gain_alone(run, st, i);
	}
	qsort(ranked, n, sizeof(Ranked), by_gain);
	for (i = 0; i < most; i++)
		best = bms_add_member(best, ranked[i].id);
	pfree(ranked);
	return best;
}

static void
set_relevant(HoneRun *run, HoneStatement *st, Bitmapset *ids)
{
	MemoryContext old = MemoryContextSwitchTo(run->memory);

	st->relevant = bms_copy(ids);
	MemoryContextSwitchTo(old);
}

/* Each alone, for a statement that teaches nothing. */
static void
ask_alone(HoneRun *run, HoneStatement *st, Bitmapset *ids)
{
	Bitmapset **sets;
	int			n = 0;
	int			i = -1;

	ids = best_of(run, st, ids, MAX_ALONE);
	sets = palloc(sizeof(Bitmapset *) * (bms_num_members(ids) + 1));
	while ((i = bms_next_member(ids, i)) >= 0)
		sets[n++] = bms_make_singleton(i);
	(void) hone_advise_prices(run, st, sets, n);
}

/* Learn of candidates, and forget those that could not change anything. */
static void
learn_of(HoneRun *run, HoneStatement *st, Bitmapset *ids)
{
	HonePrice  *price;

	if (st->failure)
		return;
	price = hone_advise_learn(run, st, NULL, ids);
	if (price == NULL)
		return;
	st->base_cost = price->planner_cost;
	if (!st->teaches)
		ask_alone(run, st, ids);
}

/* An arm of an OR needs indexes for the others too: alone it gives nothing. */
static Bitmapset *
arms(HoneRun *run, HoneStatement *st)
{
	Bitmapset  *ids = NULL;
	ListCell   *lr;
	ListCell   *lu;
	int			i = -1;

	while ((i = bms_next_member(st->relevant, i)) >= 0)
		foreach(lr, st->rels)
			foreach(lu, ((HoneRelUse *) lfirst(lr))->uses)
		{
			HoneUse    *use = lfirst(lu);

			if (use->kind == HONE_USE_ARM &&
				((HoneRelUse *) lfirst(lr))->relid == run->candidates[i]->relid &&
				strcmp(use->key.sql, run->candidates[i]->keys[0].sql) == 0)
				ids = bms_add_member(ids, i);
		}
	return ids;
}

/* Of those candidates that were learned of, which to plan with. */
static Bitmapset *
promising(HoneRun *run, HoneStatement *st)
{
	Bitmapset  *ids;
	Bitmapset  *result = NULL;
	int			i = -1;

	if (!st->teaches)
		return best_of(run, st, st->relevant, MAX_TOGETHER);
	ids = bms_union(bms_intersect(hone_advise_pool_promising(st), st->relevant),
					arms(run, st));
	while ((i = bms_next_member(ids, i)) >= 0)
		if (!would_go_generic(run, st, i))
			result = bms_add_member(result, i);
	return best_of(run, st, result, MAX_TOGETHER);
}

static void
first_plans(HoneRun *run, HoneStatement *st)
{
	Bitmapset  *together;

	learn_of(run, st, st->relevant);
	together = promising(run, st);
	if (!st->failure && !bms_is_empty(together))
		(void) hone_advise_learn(run, st, together, NULL);
}

static void
variants_work(HoneRun *run, HoneStatement *st, List *queries pg_attribute_unused(),
			  ParamListInfo params pg_attribute_unused(), void *arg)
{
	Bitmapset  *bases = arg;
	HoneScope	scope;
	ListCell   *lr;
	int			i = -1;

	hone_advise_enter_plain(&scope);
	while ((i = bms_next_member(bases, i)) >= 0)
		foreach(lr, st->rels)
			hone_advise_variants(run, st, lfirst(lr), run->candidates[i]);
	hone_leave(&scope);
}

static bool
is_join_key(HoneStatement *st, const HoneCandidate *c)
{
	ListCell   *lr;
	ListCell   *lu;

	foreach(lr, st->rels)
		foreach(lu, ((HoneRelUse *) lfirst(lr))->uses)
	{
		HoneUse    *use = lfirst(lu);

		if (use->kind == HONE_USE_JOIN && ((HoneRelUse *) lfirst(lr))->relid == c->relid &&
			strcmp(use->key.sql, c->keys[0].sql) == 0)
			return true;
	}
	return false;
}

/*
 * Candidates that get variants: those that some plan profits from; and some on
 * join columns, since fetching each row may cost what the index saves, and
 * reading the index alone not.
 */
static Bitmapset *
variant_bases(HoneRun *run, HoneStatement *st)
{
	Bitmapset  *useful = bms_intersect(hone_advise_pool_useful(run, st, MIN_GAIN * st->base_cost),
									   st->relevant);
	Bitmapset  *bases = best_of(run, st, useful, VARIANTS_OF);
	int			joins = 0;
	int			i = -1;

	while ((i = bms_next_member(st->relevant, i)) >= 0 && joins < JOIN_VARIANTS)
	{
		HoneCandidate *c = run->candidates[i];

		if (bms_is_member(i, bases) || c->nkeys > 2 || !is_join_key(st, c))
			continue;
		bases = bms_add_member(bases, i);
		joins++;
	}
	return bases;
}

static Bitmapset *
make_variants(HoneRun *run, HoneStatement *st)
{
	Bitmapset  *before = bms_copy(st->relevant);
	Bitmapset  *bases = st->failure ? NULL : variant_bases(run, st);

	if (bms_is_empty(bases) ||
		!hone_advise_with_statement(run, st, variants_work, bases))
		return NULL;
	return bms_difference(st->relevant, before);
}

/* Has the statement a use for an index that begins with this key? */
static bool
knows_leading_key(HoneStatement *st, HoneCandidate *c)
{
	ListCell   *lr;
	ListCell   *lu;
	ListCell   *lo;

	foreach(lr, st->rels)
	{
		HoneRelUse *rel = lfirst(lr);

		if (rel->relid != c->relid &&
			!list_member_oid(st->relids, c->relid))
			continue;
		foreach(lu, rel->uses)
			if (strcmp(((HoneUse *) lfirst(lu))->key.sql, c->keys[0].sql) == 0)
				return true;
		foreach(lo, rel->orders)
			if (strcmp(((HoneUse *) linitial(((HoneOrder *) lfirst(lo))->uses))->key.sql,
					   c->keys[0].sql) == 0)
				return true;
	}
	return false;
}

/* Candidates of other statements that this one could use too. */
static Bitmapset *
others_of(HoneRun *run, HoneStatement *st)
{
	Bitmapset  *others = NULL;

	for (int i = 0; i < run->ncandidates; i++)
	{
		HoneCandidate *c = run->candidates[i];

		if (c->rejection == NULL && !bms_is_member(i, st->relevant) &&
			list_member_oid(st->relids, c->relid) && knows_leading_key(st, c))
			others = bms_add_member(others, i);
	}
	return others;
}

/* Without the most valuable candidate of each plan, while plans change. */
static void
without_the_best(HoneRun *run, HoneStatement *st, Bitmapset *together, int rounds)
{
	Bitmapset  *visible = bms_copy(together);
	int			idle = 0;

	for (int round = 0; round <= rounds && idle < IDLE && !bms_is_empty(visible); round++)
	{
		HonePrice  *price = hone_advise_learn(run, st, visible, NULL);
		int			best = -1;
		double		most = 0;
		int			i = -1;

		if (price == NULL || bms_is_empty(price->used))
			return;
		idle = st->taught ? 0 : idle + 1;
		while ((i = bms_next_member(price->used, i)) >= 0)
		{
			Bitmapset  *rest = bms_del_member(bms_copy(price->used), i);
			double		cost = hone_advise_pool_price(run, st, rest, NULL, NULL);

			if (best < 0 || cost > most)
			{
				best = i;
				most = cost;
			}
			bms_free(rest);
		}
		visible = bms_del_member(visible, best);
	}
}

/* With the candidates of one table only, where several tables have some. */
static void
one_table_each(HoneRun *run, HoneStatement *st, Bitmapset *together)
{
	List	   *relids = NIL;
	ListCell   *lc;
	int			i = -1;

	while ((i = bms_next_member(together, i)) >= 0)
		relids = list_append_unique_oid(relids, run->candidates[i]->relid);
	if (list_length(relids) < 2 || list_length(relids) > effort(st, MAX_TABLES))
		return;
	foreach(lc, relids)
	{
		Bitmapset  *visible = NULL;

		for (i = -1; (i = bms_next_member(together, i)) >= 0;)
			if (run->candidates[i]->relid == lfirst_oid(lc))
				visible = bms_add_member(visible, i);
		(void) hone_advise_learn(run, st, visible, NULL);
	}
}

/*
 * With one candidate per table, taken at random, for most tables: what sets made
 * for other statements look like to this one.
 */
static void
at_random(HoneRun *run, HoneStatement *st, Bitmapset *together)
{
	pg_prng_state random;

	pg_prng_seed(&random, st->id + 1);
	for (int round = 0; round < effort(st, RANDOM_PLANS); round++)
	{
		Bitmapset  *visible = NULL;
		List	   *relids = NIL;
		int			n = 0;
		int			i = -1;

		while ((i = bms_next_member(together, i)) >= 0)
			relids = list_append_unique_oid(relids, run->candidates[i]->relid);
		if (list_length(relids) < 2)
			return;
		for (ListCell *lc = list_head(relids); lc != NULL; lc = lnext(relids, lc))
		{
			int			pick = -1;

			n = 0;
			for (i = -1; (i = bms_next_member(together, i)) >= 0;)
				if (run->candidates[i]->relid == lfirst_oid(lc) &&
					pg_prng_uint64_range(&random, 0, n++) == 0)
					pick = i;
			if (pg_prng_double(&random) < 0.75)
				visible = bms_add_member(visible, pick);
		}
		if (visible)
			(void) hone_advise_learn(run, st, visible, NULL);
	}
}

/* Those that have only keys: what a small budget will be made of. */
static Bitmapset *
without_included(HoneRun *run, Bitmapset *ids)
{
	Bitmapset  *plain = NULL;
	int			i = -1;

	while ((i = bms_next_member(ids, i)) >= 0)
		if (run->candidates[i]->nincluded == 0)
			plain = bms_add_member(plain, i);
	return plain;
}

/*
 * A statement with parts that are not taken apart, and of some weight: alone,
 * then step by step the one that helps most beside those taken before.
 */
static void
step_by_step(HoneRun *run, HoneStatement *st, Bitmapset *together)
{
	Bitmapset  *taken = NULL;
	Bitmapset  *tried;

	if (!st->opaque || st->weight * st->base_cost < HEAVY * run->cost_before)
		return;
	ask_alone(run, st, together);
	tried = best_of(run, st, together, STEP_WIDTH);
	for (int step = 0; step < STEPS; step++)
	{
		Bitmapset  *best = NULL;
		double		least = get_float8_infinity();
		int			i = -1;

		while ((i = bms_next_member(tried, i)) >= 0)
		{
			Bitmapset  *set = bms_add_member(bms_copy(taken), i);
			HonePrice  *price = bms_is_member(i, taken) ? NULL :
				hone_advise_learn(run, st, set, NULL);

			if (price && price->planner_cost < least)
			{
				least = price->planner_cost;
				best = set;
			}
		}
		if (best == NULL)
			return;
		taken = best;
	}
}

/* Plans of many shapes; then keep what one of them profits from. */
static void
combine(HoneRun *run, HoneStatement *st)
{
	Bitmapset  *together;
	Bitmapset  *plain;
	Bitmapset  *useful;
	int			i = -1;

	if (st->failure)
		return;
	together = promising(run, st);
	if (!bms_is_empty(together))
	{
		without_the_best(run, st, together, effort(st, DIVERSIFY));
		plain = without_included(run, together);
		if (!bms_equal(plain, together))
			without_the_best(run, st, plain, effort(st, DIVERSIFY_PLAIN));
		one_table_each(run, st, together);
		at_random(run, st, together);
		step_by_step(run, st, together);
	}
	useful = bms_intersect(hone_advise_pool_useful(run, st, MIN_GAIN * st->base_cost),
						   st->relevant);
	if (!st->teaches)
		useful = bms_copy(st->relevant);
	while ((i = bms_next_member(useful, i)) >= 0)
		if (would_go_generic(run, st, i))
			useful = bms_del_member(useful, i);
	set_relevant(run, st, useful);
	for (i = -1; (i = bms_next_member(useful, i)) >= 0;)
		run->candidates[i]->best_gain += st->weight * Max(0, gain_alone(run, st, i));
}

static void
do_all(HoneRun *run, void (*work) (HoneRun *run, HoneStatement *st))
{
	MemoryContext round = AllocSetContextCreate(run->memory, "pg_hone harvest",
												ALLOCSET_DEFAULT_SIZES);

	for (int i = 0; i < run->nstatements; i++)
	{
		MemoryContext old = MemoryContextSwitchTo(round);

		CHECK_FOR_INTERRUPTS();
		work(run, run->statements[i]);
		MemoryContextSwitchTo(old);
		MemoryContextReset(round);
	}
	MemoryContextDelete(round);
}

static void
learn_variants(HoneRun *run, HoneStatement *st)
{
	Bitmapset  *made = make_variants(run, st);

	if (!bms_is_empty(made))
		learn_of(run, st, made);
}

static void
borrow(HoneRun *run, HoneStatement *st)
{
	Bitmapset  *others = others_of(run, st);
	MemoryContext old;

	if (bms_is_empty(others))
		return;
	learn_of(run, st, others);
	old = MemoryContextSwitchTo(run->memory);
	st->relevant = bms_add_members(st->relevant, others);
	MemoryContextSwitchTo(old);
}

static bool
may_choose(HoneRun *run, int id)
{
	const HoneCandidate *c = run->candidates[id];

	return c->rejection == NULL && (run->budget < 0 || c->index->size_bytes <= run->budget);
}

/*
 * Candidates that the statement's best plans use and the set has not, the best
 * plan's first.
 */
static int
missing_from(HoneStatement *st, Bitmapset *set, int *ids, int most)
{
	Bitmapset  *seen = bms_copy(set);
	List	   *left = list_copy(st->prices);
	int			n = 0;

	while (left != NIL && n < most)
	{
		HonePrice  *best = NULL;
		ListCell   *lc;
		int			i = -1;

		foreach(lc, left)
			if (best == NULL || ((HonePrice *) lfirst(lc))->planner_cost < best->planner_cost)
				best = lfirst(lc);
		left = list_delete_ptr(left, best);
		while ((i = bms_next_member(best->used, i)) >= 0 && n < most)
			if (!bms_is_member(i, seen))
			{
				seen = bms_add_member(seen, i);
				ids[n++] = i;
			}
	}
	return n;
}

/* What a statement could gain, by the pool, with more than the set has for it. */
static double
hope(HoneRun *run, HoneStatement *st, Bitmapset *mine)
{
	double		here;
	double		best;

	if (st->failure || st->weight <= 0)
		return 0;
	here = hone_advise_pool_price(run, st, bms_intersect(mine, st->relevant), NULL, NULL);
	best = hone_advise_pool_price(run, st, st->relevant, NULL, NULL);
	return here - best <= MIN_GAIN * st->base_cost ? 0 : st->weight * (here - best);
}

/*
 * Plans with the set and all that one table could have, table by table: the
 * planner picks the best answer to the rest of the set. Then with one more of
 * those that the statement's best plans use.
 */
static void
try_neighbours(HoneRun *run, HoneStatement *st, Bitmapset *mine, int most)
{
	int			ids[MAX_NEIGHBOURS];
	List	   *relids = NIL;
	ListCell   *lc;
	int			n;
	int			i = -1;

	while ((i = bms_next_member(st->relevant, i)) >= 0)
		if (may_choose(run, i) && !bms_is_member(i, mine))
			relids = list_append_unique_oid(relids, run->candidates[i]->relid);
	foreach(lc, relids)
	{
		Bitmapset  *visible = bms_copy(mine);

		if (most-- <= 0)
			return;
		for (i = -1; (i = bms_next_member(st->relevant, i)) >= 0;)
			if (may_choose(run, i) && run->candidates[i]->relid == lfirst_oid(lc))
				visible = bms_add_member(visible, i);
		(void) hone_advise_learn(run, st, visible, NULL);
	}
	n = missing_from(st, mine, ids, Min(most, MAX_NEIGHBOURS));
	for (i = 0; i < n; i++)
		if (may_choose(run, ids[i]) && bms_is_member(ids[i], st->relevant))
			(void) hone_advise_learn(run, st, bms_add_member(bms_copy(mine), ids[i]), NULL);
}

/*
 * Plans next to a chosen set, for statements that could gain beyond it: on
 * average NEIGHBOURS each, more for those that could gain more.
 */
void
hone_advise_look_around(HoneRun *run, Bitmapset *set)
{
	Bitmapset **mine = palloc0((run->nstatements + 1) * sizeof(Bitmapset *));
	double	   *hopes = palloc0((run->nstatements + 1) * sizeof(double));
	double		all = 0;
	int			hopeful = 0;

	for (int s = 0; s < run->nstatements; s++)
	{
		HoneStatement *st = run->statements[s];
		int			i = -1;

		while ((i = bms_next_member(set, i)) >= 0)
			if (list_member_oid(st->relids, run->candidates[i]->relid))
				mine[s] = bms_add_member(mine[s], i);
		hopes[s] = hope(run, st, mine[s]);
		all += hopes[s];
		hopeful += hopes[s] > 0;
	}
	for (int s = 0; s < run->nstatements; s++)
		if (hopes[s] > 0)
			try_neighbours(run, run->statements[s], mine[s],
						   (int) rint(NEIGHBOURS * hopeful * hopes[s] / all));
	pfree(mine);
	pfree(hopes);
}

/* Fill in pool and st->relevant of all statements. */
void
hone_advise_harvest(HoneRun *run)
{
	do_all(run, first_plans);
	do_all(run, learn_variants);
	hone_advise_merge(run);
	do_all(run, borrow);
	do_all(run, combine);
}
