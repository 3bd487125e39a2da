/*
 * search.c
 *	  Which candidates: greedy in several ways, then cleaned, then verified.
 *
 * Minimises the weighted cost of all statements, plus what the indexes cost
 * the writes, plus a price per index (PRICE_PER_INDEX of what could be saved at
 * all: half of the indexes an optimum without it would have bring almost
 * nothing), plus a trifle per byte that decides between equals, under the storage budget and
 * the number of indexes. Greedy steps are taken by gain per size to the power
 * of 1, 1/2 and 0, each start from nothing; the best result is then polished
 * by removing and exchanging. A step that makes a statement dearer by more
 * than MAX_REGRESSION is not taken. At the end each touched statement is
 * planned under the whole set, and what no plan uses is taken out again.
 */
#include "postgres.h"

#include <math.h>

#include "miscadmin.h"
#include "optimizer/optimizer.h"
#include "utils/float.h"

#include "advise/internal.h"

#define PRICE_PER_INDEX 0.001
#define PRICE_PER_BYTE 1e-13	/* of the same */
#define MAX_REGRESSION 1.1
#define BEST_OF_TABLE 4			/* candidates tried in any other's place */

typedef struct Move
{
	Bitmapset  *set;
	double		gain;			/* as last evaluated */
	double		key;
	int			round;			/* in which it was evaluated; -1: not yet */
	bool		out;
} Move;

static int64
size_of(HoneRun *run, Bitmapset *set)
{
	int64		bytes = 0;
	int			i = -1;

	while ((i = bms_next_member(set, i)) >= 0)
		bytes += run->candidates[i]->index->size_bytes;
	return bytes;
}

static bool
fits(HoneRun *run, Bitmapset *set)
{
	return (run->budget < 0 || size_of(run, set) <= run->budget) &&
		(run->max_indexes < 0 || bms_num_members(set) <= run->max_indexes);
}

/* What indexes cost by being there. */
static double
keeping_cost(HoneRun *run, Bitmapset *set)
{
	double		cost = 0;
	int			i = -1;

	while ((i = bms_next_member(set, i)) >= 0)
		cost += run->candidates[i]->write_cost + run->improvable *
			(PRICE_PER_INDEX + PRICE_PER_BYTE * run->candidates[i]->index->size_bytes);
	return cost;
}

/* Would a statement suffer too much, and by an index? */
static bool
suffers(HoneStatement *st, HonePrice *price)
{
	return !bms_is_empty(price->used) &&
		price->planner_cost > MAX_REGRESSION * st->base_cost;
}

/* Infinite when a statement would suffer too much. */
static double
objective(HoneRun *run, Bitmapset *set)
{
	double		cost = keeping_cost(run, set);

	for (int i = 0; i < run->nstatements; i++)
	{
		HoneStatement *st = run->statements[i];
		HonePrice  *price;

		if (st->failure || st->weight <= 0)
			continue;
		price = hone_advise_price(run, st, set);
		if (price == NULL)
			continue;
		if (suffers(st, price))
			return get_float8_infinity();
		cost += st->weight * price->cost;
	}
	return cost;
}

static double
gain_of(HoneRun *run, Bitmapset *set, Bitmapset *extra)
{
	Bitmapset  *both = bms_union(set, extra);
	double		gain = -keeping_cost(run, extra);

	for (int i = 0; i < run->nstatements; i++)
	{
		HoneStatement *st = run->statements[i];
		HonePrice  *with;
		HonePrice  *without;

		if (st->failure || st->weight <= 0 || !bms_overlap(st->relevant, extra))
			continue;
		without = hone_advise_price(run, st, set);
		with = hone_advise_price(run, st, both);
		if (with == NULL || without == NULL)
			continue;
		if (suffers(st, with))
			return -1;
		gain += st->weight * (without->cost - with->cost);
	}
	return gain;
}

static void
evaluate(HoneRun *run, Move *move, Bitmapset *set, double power, int round)
{
	Bitmapset  *extra = bms_difference(move->set, set);

	move->round = round;
	move->gain = 0;
	move->out = bms_is_empty(extra);
	if (move->out || !fits(run, bms_union(set, extra)))
	{
		move->key = -1;
		return;
	}
	move->gain = gain_of(run, set, extra);
	move->key = move->gain <= 0 ? -1 :
		move->gain / pow((double) size_of(run, extra) + 1, power);
}

/*
 * Add the best move until none gains. Gains mostly shrink as the set grows, so
 * only the best by its last known gain is evaluated again, until it stays best.
 */
static Bitmapset *
greedy(HoneRun *run, List *moves, Bitmapset *start, double power)
{
	Bitmapset  *set = bms_copy(start);
	int			n = list_length(moves);
	Move	   *array = palloc0(sizeof(Move) * (n + 1));

	for (int i = 0; i < n; i++)
	{
		array[i].set = list_nth(moves, i);
		evaluate(run, &array[i], set, power, 0);
	}
	for (int round = 1;; round++)
	{
		Move	   *best;

		CHECK_FOR_INTERRUPTS();
		for (;;)
		{
			best = NULL;
			for (int i = 0; i < n; i++)
				if (!array[i].out && array[i].key > 0 &&
					(best == NULL || array[i].key > best->key))
					best = &array[i];
			if (best == NULL || best->round == round)
				break;
			evaluate(run, best, set, power, round);
		}
		if (best == NULL)
			break;
		set = bms_add_members(set, best->set);
		best->out = true;
	}
	pfree(array);
	return set;
}

/* Take out what is not worth its price any more, least valuable first. */
static Bitmapset *
clean(HoneRun *run, Bitmapset *set)
{
	double		now = objective(run, set);

	for (;;)
	{
		double		best = now;
		int			out = -1;
		int			i = -1;

		CHECK_FOR_INTERRUPTS();
		while ((i = bms_next_member(set, i)) >= 0)
		{
			double		without = objective(run, bms_del_member(bms_copy(set), i));

			if (without <= best)
			{
				best = without;
				out = i;
			}
		}
		if (out < 0)
			return set;
		set = bms_del_member(bms_copy(set), out);
		now = best;
	}
}

/*
 * Is it worth asking whether one could stand in for the other? If both begin
 * with the same key, or if the other is among the best of its table.
 */
static bool
may_replace(HoneRun *run, Bitmapset *all, HoneCandidate *out, HoneCandidate *in)
{
	int			better = 0;
	int			i = -1;

	if (in->relid != out->relid)
		return false;
	if (strcmp(in->keys[0].sql, out->keys[0].sql) == 0)
		return true;
	while ((i = bms_next_member(all, i)) >= 0)
		better += run->candidates[i]->relid == in->relid &&
			run->candidates[i]->best_gain > in->best_gain;
	return better < BEST_OF_TABLE;
}

/* Exchange one for another on the same table, while that gains. */
static Bitmapset *
exchange(HoneRun *run, Bitmapset *set, Bitmapset *all)
{
	double		now = objective(run, set);
	bool		changed = true;

	for (int round = 0; changed && round < 3; round++)
	{
		int			out = -1;

		changed = false;
		while ((out = bms_next_member(set, out)) >= 0)
		{
			Bitmapset  *rest = bms_del_member(bms_copy(set), out);
			int			in = -1;
			int			best_in = -1;
			double		best = now;

			CHECK_FOR_INTERRUPTS();
			while ((in = bms_next_member(all, in)) >= 0)
			{
				Bitmapset  *tried;
				double		cost;

				if (bms_is_member(in, set) ||
					!may_replace(run, all, run->candidates[out], run->candidates[in]))
					continue;
				tried = bms_add_member(bms_copy(rest), in);
				if (!fits(run, tried))
					continue;
				cost = objective(run, tried);
				if (cost < best)
				{
					best = cost;
					best_in = in;
				}
			}
			if (best_in >= 0)
			{
				set = bms_add_member(rest, best_in);
				now = best;
				changed = true;
			}
		}
	}
	return set;
}

/* Do two candidates hold the same, in another order of keys? */
static bool
is_permutation(const HoneCandidate *a, const HoneCandidate *b)
{
	if (a->relid != b->relid || a->amoid != b->amoid || a->nkeys != b->nkeys ||
		a->nincluded != b->nincluded ||
		memcmp(a->included, b->included, a->nincluded * sizeof(AttrNumber)) != 0 ||
		(a->predicate == NULL) != (b->predicate == NULL) ||
		(a->predicate && strcmp(a->predicate->sql, b->predicate->sql) != 0))
		return false;
	for (int i = 0; i < a->nkeys; i++)
	{
		bool		found = false;

		for (int k = 0; k < b->nkeys; k++)
			found |= hone_advise_key_equal(&a->keys[i], &b->keys[k], false);
		if (!found)
			return false;
	}
	return true;
}

/* Would some statement's work be bounded by its LIMIT with b, but not with a? */
static bool
loses_bound(HoneRun *run, HoneCandidate *a, HoneCandidate *b)
{
	for (int i = 0; i < run->nstatements; i++)
	{
		HoneStatement *st = run->statements[i];

		if (!st->failure && bms_is_member(b->id, st->relevant) &&
			hone_advise_is_bounded(st, b) && !hone_advise_is_bounded(st, a))
			return true;
	}
	return false;
}

/*
 * Is one the plainer of two that do about the same? The smaller one; or of two
 * orders of the same keys the one proposed first, which begins with what other
 * queries share, or with the more selective (the planner tells those apart by
 * the correlation of the first column, which is hardly ever worth it).
 */
static bool
is_plainer(HoneRun *run, HoneCandidate *a, HoneCandidate *b)
{
	if (is_permutation(a, b))
		return a->id < b->id;
	return a->relid == b->relid && a->amoid == b->amoid &&
		a->index->size_bytes < 0.8 * b->index->size_bytes && !loses_bound(run, a, b);
}

/* Exchange for plainer ones as long as less is lost than an index must gain. */
static Bitmapset *
settle(HoneRun *run, Bitmapset *set, Bitmapset *all)
{
	double		limit = objective(run, set) + PRICE_PER_INDEX * run->improvable;
	int			i = -1;

	while ((i = bms_next_member(set, i)) >= 0)
	{
		int			best = -1;
		int			k = -1;

		while ((k = bms_next_member(all, k)) >= 0)
		{
			Bitmapset  *tried;

			if (bms_is_member(k, set) ||
				!is_plainer(run, run->candidates[k], run->candidates[best < 0 ? i : best]))
				continue;
			tried = bms_add_member(bms_del_member(bms_copy(set), i), k);
			if (fits(run, tried) && objective(run, tried) <= limit)
				best = k;
		}
		if (best >= 0)
			set = bms_add_member(bms_del_member(bms_copy(set), i), best);
	}
	return set;
}

/* Ask the planner about every touched statement under the whole set. */
static bool
verify(HoneRun *run, Bitmapset **set)
{
	Bitmapset  *used = NULL;
	int			worst = -1;
	double		worst_ratio = MAX_REGRESSION;
	int			i;

	for (int s = 0; s < run->nstatements; s++)
	{
		HoneStatement *st = run->statements[s];
		Bitmapset  *mine = NULL;

		st->final = NULL;
		if (st->failure)
			continue;
		for (i = -1; (i = bms_next_member(*set, i)) >= 0;)
			if (list_member_oid(st->relids, run->candidates[i]->relid))
				mine = bms_add_member(mine, i);
		if (bms_is_empty(mine))
			continue;
		st->final = hone_advise_final_price(run, st, mine, NIL, &st->final_plan);
		if (st->final == NULL)
			continue;
		used = bms_add_members(used, st->final->used);
		if (st->weight > 0 && st->final->planner_cost > worst_ratio * st->base_cost)
			for (i = -1; (i = bms_next_member(st->final->used, i)) >= 0;)
				if (worst < 0 || run->candidates[i]->best_gain < run->candidates[worst]->best_gain)
				{
					worst = i;
					worst_ratio = st->final->planner_cost / st->base_cost;
				}
	}
	if (worst >= 0)
	{
		run->candidates[worst]->rejection = "it makes a statement dearer by more than 10 %";
		*set = bms_del_member(bms_copy(*set), worst);
		return false;
	}
	if (!bms_is_subset(*set, used))
	{
		*set = bms_intersect(*set, used);
		return false;
	}
	return true;
}

/*
 * What could be saved if indexes cost nothing: the measure of what an index must
 * gain. Not less than a tenth of the workload's cost, because what is left when
 * the large gains are taken would otherwise seem large again, run after run;
 * and not the whole of it, because one statement that no index helps would
 * hide the others.
 */
static double
improvable(HoneRun *run)
{
	double		saved = 0;
	double		total = 0;

	for (int i = 0; i < run->nstatements; i++)
	{
		HoneStatement *st = run->statements[i];
		double		best = st->base_cost;
		ListCell   *lc;

		if (st->failure)
			continue;
		foreach(lc, st->prices)
			best = Min(best, ((HonePrice *) lfirst(lc))->cost);
		saved += st->weight * (st->base_cost - best);
		total += st->weight * st->base_cost;
	}
	return Max(saved, 0.1 * total);
}

/*
 * Does an index save next to nothing each time: less than two pages, and less
 * than half of what the statement costs without it? Such as one beside the
 * primary key that only spares the visit to the table.
 */
static bool
is_petty(HoneRun *run, Bitmapset *set, int i)
{
	Bitmapset  *rest = bms_del_member(bms_copy(set), i);
	double		saved = 0;
	double		before = 0;
	double		calls = 0;

	for (int s = 0; s < run->nstatements; s++)
	{
		HoneStatement *st = run->statements[s];
		HonePrice  *with;
		HonePrice  *without;

		if (st->failure || st->weight <= 0 || !bms_is_member(i, st->relevant))
			continue;
		with = hone_advise_price(run, st, set);
		without = hone_advise_price(run, st, rest);
		if (with == NULL || without == NULL || with->cost >= without->cost)
			continue;
		saved += st->calls * (without->cost - with->cost);
		before += st->calls * without->cost;
		calls += st->calls;
	}
	return calls > 0 && saved < 2 * random_page_cost * calls && saved < 0.5 * before;
}

static bool
drop_petty(HoneRun *run, Bitmapset **set)
{
	int			i = -1;

	while ((i = bms_next_member(*set, i)) >= 0)
	{
		if (!is_petty(run, *set, i))
			continue;
		run->candidates[i]->rejection = "it would save less than two pages a call";
		*set = bms_del_member(bms_copy(*set), i);
		return true;
	}
	return false;
}

/* Fill in run->chosen and each touched statement's final price. */
void
hone_advise_search(HoneRun *run, List *moves)
{
	static const double powers[] = {1.0, 0.5, 0.0};
	MemoryContext old = MemoryContextSwitchTo(run->memory);
	Bitmapset  *best = NULL;
	Bitmapset  *all = NULL;
	double		best_cost = objective(run, NULL);	/* no index yet: no price */
	ListCell   *lc;

	run->improvable = improvable(run);
	foreach(lc, moves)
		all = bms_add_members(all, lfirst(lc));
	for (int i = 0; i < (int) lengthof(powers); i++)
	{
		Bitmapset  *set = clean(run, greedy(run, moves, NULL, powers[i]));
		double		cost = objective(run, set);

		if (cost < best_cost)
		{
			best = set;
			best_cost = cost;
		}
	}
	for (int round = 0; round < 3; round++)
	{
		Bitmapset  *set = clean(run, greedy(run, moves, exchange(run, best, all), 0.5));
		double		cost = objective(run, set);

		if (!(cost < best_cost))
			break;
		best = set;
		best_cost = cost;
	}
	best = settle(run, best, all);
	while (!verify(run, &best) || drop_petty(run, &best))
		CHECK_FOR_INTERRUPTS();
	run->chosen = best;
	MemoryContextSwitchTo(old);
}
