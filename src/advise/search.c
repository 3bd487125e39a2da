/*
 * search.c
 *	  Which candidates: solved by arithmetic, confirmed by the planner.
 *
 * Minimises the weighted cost of all statements, plus what the indexes cost
 * the writes, plus a price per index (PRICE_PER_INDEX of what the workload would
 * cost with all of them: half of the indexes an optimum without it would have
 * bring almost nothing), plus a trifle per byte that decides between equals,
 * under the storage budget and the number of indexes. The pool's plans make the
 * problem, solve.c solves it; then every touched statement is planned under the
 * chosen set. What the planner found cheaper than the pool knew is a new plan in
 * the pool, and the problem is solved again, until the planner brings nothing new.
 *
 * A set under which a statement would be dearer by more than MAX_REGRESSION is
 * not taken: the index that brings least of those that statement's plan uses is
 * left out. What no plan uses is taken out at the end.
 */
#include "postgres.h"

#include <math.h>

#include "miscadmin.h"
#include "optimizer/optimizer.h"
#include "utils/float.h"

#include "advise/internal.h"
#include "advise/pool.h"
#include "advise/solve.h"

#define PRICE_PER_INDEX 0.001	/* of the yardstick */
#define LEAST_YARDSTICK 0.005	/* of the workload's cost */
#define PRICE_PER_BYTE 1e-13	/* of the same */
#define MAX_REGRESSION 1.1
#define ROUNDS 8
#define NEARLY 0.999			/* of the objective: proven well enough */
#define LOOK_AROUND 2			/* first rounds that also try neighbours */
#define NEWS 0.002				/* cheaper than the pool knew, worth another round */

/* While the pool still learns; and at the end, about two seconds at most. */
static const HoneEffort while_learning = {400000, 1000, 2000};
static const HoneEffort to_prove = {1500000, 10000, 4000};

/* Candidates of the problem, and its numbers for them. */
typedef struct Selection
{
	HoneRun    *run;
	HoneProblem problem;
	int		   *ids;			/* of each item */
	int		   *item_of;		/* of each candidate; -1: none */
	HoneStatement **statements; /* of each task */
} Selection;

static int64
size_of(HoneRun *run, Bitmapset *set)
{
	int64		bytes = 0;
	int			i = -1;

	while ((i = bms_next_member(set, i)) >= 0)
		bytes += run->candidates[i]->index->size_bytes;
	return bytes;
}

/* What an index costs by being there. */
static double
keeping_cost(HoneRun *run, const HoneCandidate *c)
{
	return c->write_cost + run->yardstick *
		(PRICE_PER_INDEX + PRICE_PER_BYTE * c->index->size_bytes);
}

/* Does the statement use this candidate in a plan that is a guess, or bounded? */
static bool
is_one(HoneRun *run, HoneStatement *st, const HoneReading *reading,
	   bool (*test) (HoneStatement *, HoneCandidate *))
{
	for (int i = 0; i < reading->nitems; i++)
		if (test(st, run->candidates[reading->items[i]]))
			return true;
	return false;
}

/* False when an item of the reading is not part of the problem. */
static bool
take_choice(Selection *sel, HoneStatement *st, const HoneOption *option,
			bool with_guesses, HoneChoice *choice, bool *guess)
{
	const HoneReading *reading = option->reading;

	choice->nitems = reading->nitems;
	choice->value = option->value;
	for (int i = 0; i < reading->nitems; i++)
	{
		choice->items[i] = sel->item_of[reading->items[i]];
		if (choice->items[i] < 0 || !bms_is_member(reading->items[i], st->relevant))
			return false;
	}
	if (is_one(sel->run, st, reading, hone_advise_is_guess))
	{
		*guess = true;
		return with_guesses;
	}
	if (is_one(sel->run, st, reading, hone_advise_is_bounded))
		choice->value *= HONE_BOUNDED_BONUS;
	return true;
}

static int
by_value(const void *a, const void *b)
{
	const HoneChoice *x = a;
	const HoneChoice *y = b;

	return x->value < y->value ? -1 : x->value > y->value ? 1 : x->nitems - y->nitems;
}

/* False when the plan is not possible with the problem's items. */
static bool
take_plan(Selection *sel, HoneStatement *st, const HonePlan *plan, uint64 *groups,
		  int *ngroups, bool with_guesses, HoneWay *way, bool *guess)
{
	int			i = -1;

	memset(way, 0, sizeof(*way));
	way->rest = plan->rest;
	way->fixed = palloc((bms_num_members(plan->fixed) + 1) * sizeof(int));
	way->fixed_slots = palloc((bms_num_members(plan->fixed) + 1) * sizeof(int));
	while ((i = bms_next_member(plan->fixed, i)) >= 0)
	{
		if (sel->item_of[i] < 0 || !bms_is_member(i, st->relevant))
			return false;
		if (hone_advise_is_guess(st, sel->run->candidates[i]))
		{
			*guess = true;
			if (!with_guesses)
				return false;
		}
		way->fixed[way->nfixed++] = sel->item_of[i];
	}
	way->nleaves = plan->nleaves;
	way->leaves = palloc0((plan->nleaves + 1) * sizeof(HoneChoices));
	for (int l = 0; l < plan->nleaves; l++)
	{
		HoneChoices *leaf = &way->leaves[l];
		int			g = 0;

		while (g < *ngroups && groups[g] != plan->leaves[l].key)
			g++;
		if (g == *ngroups)
			groups[(*ngroups)++] = plan->leaves[l].key;
		leaf->group = g;
		leaf->choices = palloc(Max(plan->leaves[l].noptions, 1) * sizeof(HoneChoice));
		for (int k = 0; k < plan->leaves[l].noptions; k++)
			if (take_choice(sel, st, &plan->leaves[l].options[k], with_guesses,
							&leaf->choices[leaf->n], guess))
				leaf->n++;
		if (leaf->n == 0)
			return false;
		qsort(leaf->choices, leaf->n, sizeof(HoneChoice), by_value);
	}
	return true;
}

static void
take_statement(Selection *sel, HoneStatement *st, HoneTask *task)
{
	int			nplans = list_length(st->plans);
	int			nleaves = 0;
	int			ngroups = 0;
	uint64	   *groups;
	ListCell   *lc;

	task->weight = st->weight;
	task->base = st->base_cost;
	task->ways = palloc(2 * Max(nplans, 1) * sizeof(HoneWay));
	/* fills in the options, too */
	(void) hone_advise_pool_price(sel->run, st, NULL, NULL, NULL);
	foreach(lc, st->plans)
		nleaves += ((HonePlan *) lfirst(lc))->nleaves;
	groups = palloc((nleaves + 1) * sizeof(uint64));
	foreach(lc, st->plans)
	{
		HoneWay    *way = &task->ways[task->nways];
		bool		guess = false;

		if (take_plan(sel, st, lfirst(lc), groups, &ngroups, false, way, &guess))
			way = &task->ways[++task->nways];
		if (guess && !hone_advise_reads_all(st) &&
			take_plan(sel, st, lfirst(lc), groups, &ngroups, true, way, &guess))
		{
			way->guess = true;
			task->nways++;
		}
	}
}

/* The problem of numbers that the pool describes now. */
static void
make_selection(HoneRun *run, Selection *sel)
{
	HoneProblem *p = &sel->problem;
	Bitmapset  *all = NULL;
	int			i = -1;

	memset(sel, 0, sizeof(*sel));
	sel->run = run;
	for (int s = 0; s < run->nstatements; s++)
		if (!run->statements[s]->failure && run->statements[s]->weight > 0)
			all = bms_add_members(all, run->statements[s]->relevant);
	sel->item_of = palloc((run->ncandidates + 1) * sizeof(int));
	memset(sel->item_of, -1, (run->ncandidates + 1) * sizeof(int));
	sel->ids = palloc((bms_num_members(all) + 1) * sizeof(int));
	p->price = palloc((bms_num_members(all) + 1) * sizeof(double));
	p->size = palloc((bms_num_members(all) + 1) * sizeof(int64));
	while ((i = bms_next_member(all, i)) >= 0)
	{
		HoneCandidate *c = run->candidates[i];

		if (c->rejection || (run->budget >= 0 && c->index->size_bytes > run->budget))
			continue;
		sel->item_of[i] = p->nitems;
		sel->ids[p->nitems] = i;
		p->price[p->nitems] = keeping_cost(run, c);
		p->size[p->nitems++] = c->index->size_bytes;
	}
	p->budget = run->budget;
	p->max_items = run->max_indexes;
	p->tasks = palloc0((run->nstatements + 1) * sizeof(HoneTask));
	sel->statements = palloc((run->nstatements + 1) * sizeof(HoneStatement *));
	for (int s = 0; s < run->nstatements; s++)
	{
		HoneStatement *st = run->statements[s];

		if (st->failure || st->weight <= 0)
			continue;
		sel->statements[p->ntasks] = st;
		take_statement(sel, st, &p->tasks[p->ntasks++]);
	}
}

static bool *
as_items(Selection *sel, Bitmapset *set)
{
	bool	   *in = palloc0(sel->problem.nitems + 1);
	int			i = -1;

	while ((i = bms_next_member(set, i)) >= 0)
		if (sel->item_of[i] >= 0)
			in[sel->item_of[i]] = true;
	return in;
}

static Bitmapset *
as_set(Selection *sel, const bool *in)
{
	Bitmapset  *set = NULL;

	for (int i = 0; i < sel->problem.nitems; i++)
		if (in[i])
			set = bms_add_member(set, sel->ids[i]);
	return set;
}

/*
 * The measure of what an index must gain: what the workload would cost if all
 * indexes were there. Not what could be saved, because one statement that an
 * index makes a thousand times cheaper would hide all others; and not less than
 * a small part of the whole, because a thousandth of almost nothing is nothing.
 */
static double
measure_yardstick(HoneRun *run)
{
	double		least = 0;
	double		total = 0;

	for (int i = 0; i < run->nstatements; i++)
	{
		HoneStatement *st = run->statements[i];
		double		best;

		if (st->failure)
			continue;
		best = hone_advise_pool_price(run, st, st->relevant, NULL, NULL);
		least += st->weight * (best < 0 ? st->base_cost : Min(best, st->base_cost));
		total += st->weight * st->base_cost;
	}
	return Max(least, LEAST_YARDSTICK * total);
}

/* Members of the set on tables of the statement. */
static Bitmapset *
on_its_tables(HoneRun *run, HoneStatement *st, Bitmapset *set)
{
	Bitmapset  *mine = NULL;
	int			i = -1;

	while ((i = bms_next_member(set, i)) >= 0)
		if (list_member_oid(st->relids, run->candidates[i]->relid))
			mine = bms_add_member(mine, i);
	return mine;
}

/* What the planner says of a whole set. */
typedef struct Verdict
{
	double		objective;		/* with the prices of the indexes */
	Bitmapset  *used;
	bool		news;			/* the pool learned of better plans */
	int			culprit;		/* makes a statement too dear; -1: none */
} Verdict;

/* Of the candidates in a plan that is too dear, the one that brings least. */
static void
blame(HoneRun *run, HoneStatement *st, double *worst_ratio, Verdict *verdict)
{
	double		ratio = st->final->planner_cost / st->base_cost;
	int			i = -1;

	if (st->weight <= 0 || ratio <= *worst_ratio || bms_is_empty(st->final->used))
		return;
	*worst_ratio = ratio;
	verdict->culprit = -1;
	while ((i = bms_next_member(st->final->used, i)) >= 0)
		if (verdict->culprit < 0 || run->candidates[i]->best_gain <
			run->candidates[verdict->culprit]->best_gain)
			verdict->culprit = i;
	run->candidates[verdict->culprit]->hurts = st;
	run->candidates[verdict->culprit]->hurts_ratio = ratio;
}

/* Ask the planner about every touched statement under the whole set. */
static Verdict
verify(HoneRun *run, Bitmapset *set)
{
	Verdict		verdict = {0};
	double		worst_ratio = MAX_REGRESSION;
	int			i = -1;

	verdict.culprit = -1;
	while ((i = bms_next_member(set, i)) >= 0)
		verdict.objective += keeping_cost(run, run->candidates[i]);
	for (int s = 0; s < run->nstatements; s++)
	{
		HoneStatement *st = run->statements[s];
		Bitmapset  *mine;
		double		expected;

		st->final = NULL;
		if (st->failure)
			continue;
		mine = on_its_tables(run, st, set);
		if (bms_is_empty(mine))
		{
			verdict.objective += st->weight * st->base_cost;
			continue;
		}
		expected = hone_advise_pool_price(run, st, bms_intersect(mine, st->relevant), NULL, NULL);
		st->final = hone_advise_final_price(run, st, mine, NIL, &st->final_plan);
		if (st->final == NULL)
			continue;
		elog(DEBUG1, "pg_hone: statement %d: expected %.2f, planned %.2f of %.2f",
			 st->id, expected, st->final->planner_cost, st->base_cost);
		verdict.objective += st->weight * st->final->cost;
		verdict.used = bms_add_members(verdict.used, st->final->used);
		if (expected < 0 || st->final->planner_cost < expected * (1 - NEWS))
		{
			verdict.news = true;
			st->relevant = bms_add_members(st->relevant, st->final->used);
		}
		blame(run, st, &worst_ratio, &verdict);
	}
	return verdict;
}

/* Do two candidates have the same keys, in whatever order? */
static bool
has_same_keys(const HoneCandidate *a, const HoneCandidate *b)
{
	if (a->relid != b->relid || a->amoid != b->amoid || a->nkeys != b->nkeys ||
		(a->predicate == NULL) != (b->predicate == NULL) ||
		(a->predicate && strcmp(a->predicate->sql, b->predicate->sql) != 0))
		return false;
	for (int i = 0; i < a->nkeys; i++)
	{
		bool		found = false;

		for (int k = 0; k < b->nkeys; k++)
			found |= hone_health_key_equal(&a->keys[i], &b->keys[k], false);
		if (!found)
			return false;
	}
	return true;
}

/* Do two candidates hold the same, in another order of keys? */
static bool
is_permutation(const HoneCandidate *a, const HoneCandidate *b)
{
	return a->nincluded == b->nincluded &&
		memcmp(a->included, b->included, a->nincluded * sizeof(AttrNumber)) == 0 &&
		has_same_keys(a, b);
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

/*
 * Does one set save next to nothing each time against another: less than two
 * pages, and less than half of what the statements cost without it? Such as an
 * index beside the primary key that only spares the visit to the table.
 */
static bool
saves_a_trifle(HoneRun *run, Bitmapset *set, Bitmapset *other)
{
	double		saved = 0;
	double		before = 0;
	double		calls = 0;

	for (int s = 0; s < run->nstatements; s++)
	{
		HoneStatement *st = run->statements[s];
		HonePrice  *with;
		HonePrice  *without;

		if (st->failure || st->weight <= 0)
			continue;
		with = hone_advise_price(run, st, set);
		without = hone_advise_price(run, st, other);
		if (with == NULL || without == NULL || with->cost >= without->cost)
			continue;
		saved += st->calls * (without->cost - with->cost);
		before += st->calls * without->cost;
		calls += st->calls;
	}
	return calls > 0 && saved < 2 * random_page_cost * calls && saved < 0.5 * before;
}

/*
 * Exchange for plainer ones, as long as less is lost in all than an index must
 * gain; or next to nothing each time, where the keys are the same.
 */
static Bitmapset *
settle(HoneRun *run, Selection *sel, Bitmapset *set)
{
	const HoneProblem *p = &sel->problem;
	double		limit = hone_solve_cost(p, as_items(sel, set)) +
		PRICE_PER_INDEX * run->yardstick;
	int			i = -1;

	while ((i = bms_next_member(set, i)) >= 0)
	{
		int			best = -1;

		for (int k = 0; k < p->nitems; k++)
		{
			int			id = sel->ids[k];
			Bitmapset  *tried;

			if (bms_is_member(id, set) ||
				!is_plainer(run, run->candidates[id], run->candidates[best < 0 ? i : best]))
				continue;
			CHECK_FOR_INTERRUPTS();
			tried = bms_add_member(bms_del_member(bms_copy(set), i), id);
			if (run->budget >= 0 && size_of(run, tried) > run->budget)
				continue;
			if (hone_solve_cost(p, as_items(sel, tried)) <= limit ||
				(has_same_keys(run->candidates[i], run->candidates[id]) &&
				 saves_a_trifle(run, set, tried)))
				best = id;
		}
		if (best >= 0)
			set = bms_add_member(bms_del_member(bms_copy(set), i), best);
	}
	return set;
}

/*
 * The index that the planner itself would rather be without: plans of the
 * statements that use it cost no more than it does, when asked. -1: none.
 */
static int
least_worth(HoneRun *run, Bitmapset *set)
{
	int			worst = -1;
	double		least = 0;
	int			i = -1;

	while ((i = bms_next_member(set, i)) >= 0)
	{
		double		worth = -keeping_cost(run, run->candidates[i]);

		for (int s = 0; s < run->nstatements; s++)
		{
			HoneStatement *st = run->statements[s];
			HonePrice  *without;

			if (st->failure || st->final == NULL || !bms_is_member(i, st->final->used))
				continue;
			without = hone_advise_confirmed_price(run, st,
												  bms_del_member(bms_copy(st->final->set), i));
			if (without)
				worth += st->weight * (without->cost - st->final->cost);
		}
		if (worth < least)
		{
			worst = i;
			least = worth;
		}
	}
	return worst;
}

/* Take out what no plan uses, what hurts, and what is not worth a word. */
static Bitmapset *
confirm(HoneRun *run, Bitmapset *set, double *objective)
{
	for (;;)
	{
		Verdict		verdict = verify(run, set);
		int			petty = -1;
		int			i = -1;

		CHECK_FOR_INTERRUPTS();
		*objective = verdict.objective;
		if (verdict.culprit >= 0)
		{
			run->candidates[verdict.culprit]->rejection =
				"it makes a statement dearer by more than 10 %";
			set = bms_del_member(bms_copy(set), verdict.culprit);
			continue;
		}
		if (!bms_is_subset(set, verdict.used))
		{
			set = bms_intersect(set, verdict.used);
			continue;
		}
		while (petty < 0 && (i = bms_next_member(set, i)) >= 0)
			if (saves_a_trifle(run, set, bms_del_member(bms_copy(set), i)))
				petty = i;
		if (petty >= 0)
			run->candidates[petty]->rejection = "it would save less than two pages a call";
		else if (!hone_advise_is_spent(run))
			petty = least_worth(run, set);
		if (petty < 0)
			return set;
		set = bms_del_member(bms_copy(set), petty);
	}
}

/* Solve what the pool describes now. */
static Bitmapset *
solve(HoneRun *run, Selection *sel, Bitmapset *start, const HoneEffort *effort)
{
	HoneSolution solution;

	make_selection(run, sel);
	sel->problem.banned = hone_solve_reduce(&sel->problem);
	hone_solve(&sel->problem, as_items(sel, start), effort, &solution);
	run->priced += solution.evaluations;
	run->lower_bound = solution.bound;
	elog(DEBUG1, "pg_hone: %d items, %d tasks, %d chosen, objective %.2f, bound %.2f",
		 sel->problem.nitems, sel->problem.ntasks, bms_num_members(as_set(sel, solution.in)),
		 solution.cost, solution.bound);
	return as_set(sel, solution.in);
}

/*
 * Solve, ask the planner, and solve again with what it taught, until it teaches
 * nothing; then once more, with time for the proof.
 */
static Bitmapset *
solve_and_learn(HoneRun *run, Selection *sel)
{
	Bitmapset  *best = NULL;
	Bitmapset  *last = NULL;
	double		best_objective = get_float8_infinity();
	bool		settled = false;

	for (int round = 0; round < ROUNDS; round++)
	{
		Bitmapset  *set = solve(run, sel, best, settled ? &to_prove : &while_learning);
		Verdict		verdict;

		if (round > LOOK_AROUND && bms_equal(set, last))
		{
			if (settled || run->lower_bound >= NEARLY * best_objective)
				break;
			settled = true;
			continue;
		}
		last = set;
		verdict = verify(run, set);
		if (verdict.objective < best_objective && verdict.culprit < 0)
		{
			best = set;
			best_objective = verdict.objective;
		}
		if (verdict.culprit >= 0)
			run->candidates[verdict.culprit]->rejection =
				"it makes a statement dearer by more than 10 %";
		else if (round < LOOK_AROUND)
			hone_advise_look_around(run, set);
		else if (!verdict.news)
		{
			if (settled || run->lower_bound >= NEARLY * best_objective)
				break;
			settled = true;
		}
		if (hone_advise_is_spent(run))
			break;
	}
	/* none was without fault: confirm() takes out what makes statements dearer */
	return isinf(best_objective) ? last : best;
}

/* Fill in run->chosen and each touched statement's final price. */
void
hone_advise_search(HoneRun *run)
{
	MemoryContext old = MemoryContextSwitchTo(run->memory);
	Selection	sel;
	Bitmapset  *best;
	double		objective;

	run->yardstick = measure_yardstick(run);
	best = solve_and_learn(run, &sel);
	make_selection(run, &sel);
	best = settle(run, &sel, best);
	run->chosen = confirm(run, best, &objective);
	run->objective = objective;
	run->lower_bound = Min(run->lower_bound, objective);
	MemoryContextSwitchTo(old);
}
