/*
 * harvest.c
 *	  Which candidates matter to which statement, and which work together.
 *
 * Each statement is planned with each of its candidates alone, then with
 * variants (INCLUDE, partial) of those that helped most, then with candidates
 * that other statements brought for the same leading key, then with all at
 * once, repeatedly without the most valuable of the last plan. A candidate
 * that gains nothing alone and appears in no such plan is forgotten for the
 * statement; the sets of indexes that plans use become moves of the search, so
 * that two indexes which only help together are found.
 */
#include "postgres.h"

#include "miscadmin.h"

#include "advise/internal.h"
#include "base/owner.h"

#define MIN_GAIN 0.01			/* of a statement's cost */
#define VARIANTS_OF 4			/* best candidates that get variants */
#define JOIN_VARIANTS 8			/* join columns that get variants */
#define DIVERSIFY 4				/* further plans */
#define MAX_TOGETHER 64			/* candidates in one plan */

static void
price_singles(HoneRun *run, HoneStatement *st, Bitmapset *ids)
{
	int			n = 0;
	int			i = -1;
	Bitmapset **sets = palloc(sizeof(Bitmapset *) * (bms_num_members(ids) + 1));

	sets[n++] = NULL;
	while ((i = bms_next_member(ids, i)) >= 0)
		sets[n++] = bms_make_singleton(i);
	(void) hone_advise_prices(run, st, sets, n);

	/* Prices are compared with one made in the same way. */
	for (i = 0; !st->failure && i < list_length(st->prices); i++)
	{
		HonePrice  *price = list_nth(st->prices, i);

		if (bms_is_empty(price->set))
			st->base_cost = price->planner_cost;
	}
}

/* The price with one candidate alone, if the planner was asked. */
static HonePrice *
single_price(HoneStatement *st, int id)
{
	ListCell   *lc;

	foreach(lc, st->prices)
	{
		HonePrice  *price = lfirst(lc);

		if (bms_membership(price->set) == BMS_SINGLETON && bms_is_member(id, price->set))
			return price;
	}
	return NULL;
}

static double
single_gain(HoneStatement *st, int id)
{
	HonePrice  *price = single_price(st, id);

	return price && bms_is_member(id, price->used) ? st->base_cost - price->cost : 0;
}

/*
 * A partial index on the value of a parameter serves custom plans only. The
 * server stays with them as long as the generic plan is dearer.
 */
static bool
would_go_generic(HoneStatement *st, HoneCandidate *c)
{
	HonePrice  *price = single_price(st, c->id);

	return c->predicate && !c->predicate->literal && st->generic_cost > 0 &&
		price && st->generic_cost <= price->planner_cost * 1.1;
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

/*
 * Candidates on a join column: fetching each row may cost what the index saves,
 * and reading the index alone not, so they get variants without having gained.
 */
static Bitmapset *
join_bases(HoneRun *run, HoneStatement *st, Bitmapset *ids)
{
	Bitmapset  *bases = NULL;
	int			i = -1;
	ListCell   *lr;
	ListCell   *lu;

	while ((i = bms_next_member(ids, i)) >= 0)
	{
		HoneCandidate *c = run->candidates[i];

		if (bms_num_members(bases) >= JOIN_VARIANTS)
			break;
		foreach(lr, st->rels)
			foreach(lu, ((HoneRelUse *) lfirst(lr))->uses)
		{
			HoneUse    *use = lfirst(lu);

			if (c->nkeys == 1 && use->kind == HONE_USE_JOIN &&
				((HoneRelUse *) lfirst(lr))->relid == c->relid &&
				strcmp(use->key.sql, c->keys[0].sql) == 0)
				bases = bms_add_member(bases, i);
		}
	}
	return bases;
}

static void
make_variants(HoneRun *run, HoneStatement *st)
{
	Bitmapset  *before = bms_copy(st->relevant);
	Bitmapset  *bases = NULL;

	for (int round = 0; round < VARIANTS_OF; round++)
	{
		int			best = -1;
		int			i = -1;

		while ((i = bms_next_member(before, i)) >= 0)
			if (!bms_is_member(i, bases) &&
				(best < 0 || single_gain(st, i) > single_gain(st, best)))
				best = i;
		if (best < 0 || single_gain(st, best) < MIN_GAIN * st->base_cost)
			break;
		bases = bms_add_member(bases, best);
	}
	bases = bms_add_members(bases, join_bases(run, st, before));
	if (bms_is_empty(bases) ||
		!hone_advise_with_statement(run, st, variants_work, bases))
		return;
	price_singles(run, st, bms_difference(st->relevant, before));
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

/* Candidates of other statements. */
static void
borrow(HoneRun *run, HoneStatement *st)
{
	Bitmapset  *others = NULL;
	MemoryContext old;

	for (int i = 0; i < run->ncandidates; i++)
	{
		HoneCandidate *c = run->candidates[i];

		if (c->rejection == NULL && !bms_is_member(i, st->relevant) &&
			list_member_oid(st->relids, c->relid) && knows_leading_key(st, c))
			others = bms_add_member(others, i);
	}
	price_singles(run, st, others);
	old = MemoryContextSwitchTo(run->memory);
	st->relevant = bms_add_members(st->relevant, others);
	MemoryContextSwitchTo(old);
}

/* Keep what gains alone; the rest must earn its place in a common plan. */
static void
combine(HoneRun *run, HoneStatement *st)
{
	Bitmapset  *useful = NULL;
	Bitmapset  *together = NULL;
	int			i = -1;
	MemoryContext old = MemoryContextSwitchTo(run->memory);

	while ((i = bms_next_member(st->relevant, i)) >= 0)
	{
		if (would_go_generic(st, run->candidates[i]))
			continue;
		if (single_gain(st, i) >= MIN_GAIN * st->base_cost)
			useful = bms_add_member(useful, i);
	}
	/* Those that gain first; then the others as far as there is room. */
	together = bms_copy(useful);
	for (i = -1; (i = bms_next_member(st->relevant, i)) >= 0;)
		if (bms_num_members(together) < MAX_TOGETHER &&
			!would_go_generic(st, run->candidates[i]))
			together = bms_add_member(together, i);

	for (int round = 0; round <= DIVERSIFY && !bms_is_empty(together); round++)
	{
		HonePrice  *price;
		int			best = -1;

		(void) hone_advise_prices(run, st, &together, 1);
		st->relevant = together;
		price = hone_advise_price(run, st, together);
		if (price == NULL || bms_is_empty(price->used))
			break;
		useful = bms_add_members(useful, price->used);
		for (i = -1; (i = bms_next_member(price->used, i)) >= 0;)
			if (best < 0 || single_gain(st, i) > single_gain(st, best))
				best = i;
		together = bms_del_member(bms_copy(together), best);
	}
	st->relevant = useful;
	MemoryContextSwitchTo(old);
}

/* Fill in st->relevant and prices of all statements. */
void
hone_advise_harvest(HoneRun *run)
{
	for (int i = 0; i < run->nstatements; i++)
	{
		price_singles(run, run->statements[i], run->statements[i]->relevant);
		make_variants(run, run->statements[i]);
	}
	for (int i = 0; i < run->nstatements; i++)
		borrow(run, run->statements[i]);
	for (int i = 0; i < run->nstatements; i++)
	{
		HoneStatement *st = run->statements[i];
		int			id = -1;

		if (st->failure)
			continue;
		while ((id = bms_next_member(st->relevant, id)) >= 0)
			run->candidates[id]->best_gain += st->weight * Max(0, single_gain(st, id));
		combine(run, st);
	}
}

static List *
add_move(List *moves, Bitmapset *set)
{
	ListCell   *lc;

	foreach(lc, moves)
		if (bms_equal(lfirst(lc), set))
			return moves;
	return lappend(moves, bms_copy(set));
}

/* Single candidates, and sets that some plan uses together. */
List *
hone_advise_moves(HoneRun *run)
{
	List	   *moves = NIL;
	Bitmapset  *singles = NULL;
	int			i = -1;
	MemoryContext old = MemoryContextSwitchTo(run->memory);

	for (int s = 0; s < run->nstatements; s++)
	{
		HoneStatement *st = run->statements[s];
		ListCell   *lc;

		if (st->failure)
			continue;
		singles = bms_add_members(singles, st->relevant);
		foreach(lc, st->prices)
			if (bms_membership(((HonePrice *) lfirst(lc))->used) == BMS_MULTIPLE)
				moves = add_move(moves, ((HonePrice *) lfirst(lc))->used);
	}
	while ((i = bms_next_member(singles, i)) >= 0)
		moves = lappend(moves, bms_make_singleton(i));
	MemoryContextSwitchTo(old);
	return moves;
}
