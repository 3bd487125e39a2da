/*
 * bound.c
 *	  How good could any set be? A proof by prices.
 *
 * Lagrangian relaxation of the compact form of index selection (CoPhy: Dash,
 * Polyzotis, Ailamaki, PVLDB 2011). That a task may use an item in a leaf only
 * if the item is chosen is relaxed: the task pays a price pi for it instead.
 * For any prices
 *
 *	 L(pi) = sum over t of min over its ways (weighted cost + prices of what it uses)
 *		   + min over x of sum over i (price_i - sum of the item's pi) x_i
 *
 * is a lower bound of the objective, where x only has to respect the budget as a
 * fractional knapsack, or the number of items. The prices are improved by
 * subgradient steps (Held, Wolfe, Crowder 1974) with a smoothed direction, from a
 * start that shares each item's price among the tasks in proportion to what it
 * gains for them in the best set known. What the relaxation would choose is
 * rounded from time to time, and may be a better set than the search has found.
 *
 * Where that leaves a gap, branch and bound halves the problem on one item that
 * the relaxation is of two minds about: with it (its price is paid, its bytes are
 * taken, using it is free) and without. The least bound of the open halves is
 * the proof. Best bound first, until the gap is closed or the
 * effort is spent.
 *
 * A plan that is a guess counts for at least twice its cost (hone_distrust), so
 * twice its cost bounds it from below.
 *
 * Pure functions of the problem; memory from the current context.
 */
#include "postgres.h"

#include <math.h>

#include "miscadmin.h"
#include "utils/float.h"
#include "utils/hsearch.h"

#include "advise/internal.h"
#include "advise/solving.h"

#define MAX_ROUNDS 800
#define ROUND_EVERY 25			/* rounds between two roundings */
#define PATIENCE 15				/* rounds without progress before smaller steps */
/* A gap that is not worth more effort; more so, the more was spent. */
#define CLOSE_ENOUGH 1e-3
#define CLOSE_LATER 5e-3
#define LATER 0.4				/* of the effort */
#define PART_ROUNDS 40			/* subgradient steps of a half */
#define MAX_PARTS 2000
#define PART_BYTES (64 * 1024 * 1024)	/* of the prices kept for them */

#define IN 1
#define OUT 2

/* A part of the problem: some items are decided. */
typedef struct Part
{
	double		bound;
	int			depth;
	int		   *items;			/* decided, of the path from the root */
	char	   *decisions;
	double	   *pi;
	int			branch_on;		/* -1: nothing is left to decide */
} Part;

typedef struct Relaxed
{
	HoneSolver *s;
	char	   *decided;		/* of each item: 0, IN or OUT */
	double		forced_price;	/* of the items that are in */
	double		forced_bytes;
	int			forced_count;
	int			nslots;
	int		   *item_of;		/* of each slot */
	double	   *pi;
	double	   *best_pi;
	double	   *direction;
	bool	   *used;			/* slot is used by the relaxed tasks */
	double	   *reduced;		/* price_i - sum of pi */
	double	   *x;				/* relaxed choice */
	int		   *order;			/* scratch: items by density */
	double		best;
	int		   *picks;			/* scratch: choice of each leaf */
	int		   *best_picks;
} Relaxed;

typedef struct SlotKey
{
	int			task;
	int			group;
	int			item;
} SlotKey;

typedef struct SlotEntry
{
	SlotKey		key;
	int			slot;
} SlotEntry;

static int
slot_of(HTAB *slots, Relaxed *r, int task, int group, int item)
{
	SlotKey		key = {task, group, item};
	bool		found;
	SlotEntry  *entry = hash_search(slots, &key, HASH_ENTER, &found);

	if (!found)
		entry->slot = r->nslots++;
	return entry->slot;
}

/*
 * One price per task, table and item: leaves of the same table in different
 * ways share it, since only one way is taken. Returns the most leaves of a way.
 */
static int
number_slots(Relaxed *r)
{
	const HoneProblem *p = r->s->p;
	HASHCTL		ctl = {0};
	HTAB	   *slots;
	HASH_SEQ_STATUS status;
	SlotEntry  *entry;
	int			most = 1;

	ctl.keysize = sizeof(SlotKey);
	ctl.entrysize = sizeof(SlotEntry);
	ctl.hcxt = CurrentMemoryContext;
	slots = hash_create("pg_hone prices", 4096, &ctl, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	for (int t = 0; t < p->ntasks; t++)
		for (int w = 0; w < p->tasks[t].nways; w++)
		{
			HoneWay    *way = &p->tasks[t].ways[w];

			most = Max(most, way->nleaves);
			for (int i = 0; i < way->nfixed; i++)
				way->fixed_slots[i] = slot_of(slots, r, t, -1, way->fixed[i]);
			for (int l = 0; l < way->nleaves; l++)
				for (int k = 0; k < way->leaves[l].n; k++)
				{
					HoneChoice *choice = &way->leaves[l].choices[k];

					for (int j = 0; j < choice->nitems; j++)
						choice->slots[j] = slot_of(slots, r, t, way->leaves[l].group,
												   choice->items[j]);
				}
		}
	r->item_of = palloc((r->nslots + 1) * sizeof(int));
	hash_seq_init(&status, slots);
	while ((entry = hash_seq_search(&status)) != NULL)
		r->item_of[entry->slot] = entry->key.item;
	hash_destroy(slots);
	return most;
}

/* What does not fit any more beside the items that are in counts as out. */
static bool
is_out(const Relaxed *r, int item)
{
	const HoneProblem *p = r->s->p;

	if (r->s->banned[item] || r->decided[item] == IN)
		return r->s->banned[item];
	return (p->budget >= 0 && p->size[item] > p->budget - r->forced_bytes) ||
		(p->max_items >= 0 && r->forced_count >= p->max_items);
}

static bool
has_out(const Relaxed *r, const int *items, int n)
{
	for (int i = 0; i < n; i++)
		if (is_out(r, items[i]))
			return true;
	return false;
}

/* The cheapest way of a task at these prices; its choices in r->picks. */
static double
relaxed_way(Relaxed *r, const HoneWay *way, double weight, double limit)
{
	double		factor = weight * (way->guess ? 2 : 1);
	double		cost = factor * way->rest;

	if (has_out(r, way->fixed, way->nfixed))
		return get_float8_infinity();
	for (int i = 0; i < way->nfixed; i++)
		cost += r->pi[way->fixed_slots[i]];
	for (int l = 0; l < way->nleaves; l++)
	{
		const HoneChoices *leaf = &way->leaves[l];
		double		best = get_float8_infinity();

		for (int k = 0; k < leaf->n && factor * leaf->choices[k].value < best; k++)
		{
			const HoneChoice *choice = &leaf->choices[k];
			double		value = factor * choice->value;

			if (has_out(r, choice->items, choice->nitems))
				continue;
			for (int j = 0; j < choice->nitems; j++)
				value += r->pi[choice->slots[j]];
			if (value < best)
			{
				best = value;
				r->picks[l] = k;
			}
		}
		cost += best;
		if (isinf(cost) || (cost >= limit && way->rest >= 0))
			return get_float8_infinity();
	}
	return cost;
}

static void
mark_used(Relaxed *r, const HoneWay *way, const int *picks)
{
	for (int i = 0; i < way->nfixed; i++)
		r->used[way->fixed_slots[i]] = true;
	for (int l = 0; l < way->nleaves; l++)
	{
		const HoneChoice *choice = &way->leaves[l].choices[picks[l]];

		for (int j = 0; j < choice->nitems; j++)
			r->used[choice->slots[j]] = true;
	}
}

static double
relaxed_tasks(Relaxed *r)
{
	const HoneProblem *p = r->s->p;
	double		sum = 0;

	memset(r->used, 0, r->nslots * sizeof(bool));
	for (int t = 0; t < p->ntasks; t++)
	{
		const HoneTask *task = &p->tasks[t];
		double		best = get_float8_infinity();
		const HoneWay *of = NULL;

		for (int w = 0; w < task->nways; w++)
		{
			double		cost = relaxed_way(r, &task->ways[w], task->weight, best);

			if (cost < best)
			{
				best = cost;
				of = &task->ways[w];
				memcpy(r->best_picks, r->picks, of->nleaves * sizeof(int));
			}
		}
		if (of == NULL || best > task->weight * task->base)
		{
			sum += task->weight * task->base;
			continue;
		}
		sum += best;
		mark_used(r, of, r->best_picks);
	}
	return sum;
}

static int
by_density(const void *a, const void *b, void *arg)
{
	const Relaxed *r = arg;
	int			x = *(const int *) a;
	int			y = *(const int *) b;
	double		dx = r->reduced[x] / (r->s->p->size[x] + 1.0);
	double		dy = r->reduced[y] / (r->s->p->size[y] + 1.0);

	return dx < dy ? -1 : dx > dy ? 1 : x - y;
}

static int
by_reduced(const void *a, const void *b, void *arg)
{
	const Relaxed *r = arg;
	double		dx = r->reduced[*(const int *) a];
	double		dy = r->reduced[*(const int *) b];

	return dx < dy ? -1 : dx > dy ? 1 : 0;
}

/* As many as are allowed, of those in r->order; the bytes do not count. */
static double
best_by_number(Relaxed *r, int n, bool choose)
{
	double		sum = 0;

	qsort_arg(r->order, n, sizeof(int), by_reduced, r);
	for (int i = 0; i < n; i++)
	{
		bool		in = i < r->s->p->max_items - r->forced_count;

		if (in)
			sum += r->reduced[r->order[i]];
		if (choose)
			r->x[r->order[i]] = in ? 1 : 0;
	}
	return sum;
}

/*
 * The fractional knapsack of what has a negative reduced price. Where their
 * number is limited too, that alone bounds it as well: the larger of both counts,
 * and says what is chosen.
 */
static double
relaxed_items(Relaxed *r)
{
	const HoneProblem *p = r->s->p;
	double		sum = 0;
	double		counted = 0;
	double		room = p->budget - r->forced_bytes;
	int			n = 0;

	for (int i = 0; i < p->nitems; i++)
	{
		r->reduced[i] = p->price[i];
		r->x[i] = r->decided[i] == IN ? 1 : 0;
	}
	for (int k = 0; k < r->nslots; k++)
		r->reduced[r->item_of[k]] -= r->pi[k];
	for (int i = 0; i < p->nitems; i++)
		if (r->reduced[i] < 0 && r->decided[i] == 0 && !is_out(r, i))
			r->order[n++] = i;
	if (p->max_items >= 0)
		counted = best_by_number(r, n, false);
	qsort_arg(r->order, n, sizeof(int), by_density, r);
	for (int i = 0; i < n; i++)
	{
		int			item = r->order[i];
		double		part = p->budget < 0 || p->size[item] <= room ? 1 :
			room / Max(p->size[item], 1);

		sum += part * r->reduced[item];
		r->x[item] = part;
		room -= part * p->size[item];
		if (part < 1)
			break;
	}
	if (p->max_items >= 0 && counted > sum)
		sum = best_by_number(r, n, true);
	return r->forced_price + sum;
}

static double
relax(Relaxed *r)
{
	double		bound = relaxed_tasks(r);

	r->s->relaxations++;
	bound += relaxed_items(r);
	if (bound > r->best)
	{
		r->best = bound;
		memcpy(r->best_pi, r->pi, r->nslots * sizeof(double));
	}
	return bound;
}

/* Slots of one item that a task would use under the set in r->s->in. */
static void
add_share(Relaxed *r, int t, int item, double gain, double *share)
{
	const HoneTask *task = &r->s->p->tasks[t];
	double		best = get_float8_infinity();
	const HoneWay *of = NULL;

	for (int w = 0; w < task->nways; w++)
	{
		HoneTask	one = *task;
		double		cost;

		one.nways = 1;
		one.ways = &task->ways[w];
		cost = hone_solve_task_cost(&one, r->s->in);
		if (cost < best)
		{
			best = cost;
			of = one.ways;
		}
	}
	if (of == NULL)
		return;
	for (int i = 0; i < of->nfixed; i++)
		if (of->fixed[i] == item)
			share[of->fixed_slots[i]] += gain;
	for (int l = 0; l < of->nleaves; l++)
		for (int k = 0; k < of->leaves[l].n; k++)
		{
			const HoneChoice *choice = &of->leaves[l].choices[k];
			bool		possible = true;

			for (int j = 0; j < choice->nitems; j++)
				possible &= r->s->in[choice->items[j]];
			if (!possible)
				continue;
			for (int j = 0; j < choice->nitems; j++)
				if (choice->items[j] == item)
					share[choice->slots[j]] += gain;
			break;
		}
}

/*
 * What each item is worth to each task beside the best set: for chosen ones what
 * would be lost without them, for the others what they would add.
 */
static double *
shares(Relaxed *r)
{
	HoneSolver *s = r->s;
	double	   *share = palloc0((r->nslots + 1) * sizeof(double));

	hone_solver_set(s, s->best);
	for (int i = 0; i < s->p->nitems; i++)
	{
		bool		was = s->in[i];

		if (s->banned[i])
			continue;
		for (int k = s->first_task[i]; k < s->first_task[i + 1]; k++)
		{
			int			t = s->tasks_of[k];
			double		gain;

			s->in[i] = !was;
			gain = s->task_cost[t] -
				s->p->tasks[t].weight * hone_solve_task_cost(&s->p->tasks[t], s->in);
			s->in[i] = true;
			if (fabs(gain) > 0)
				add_share(r, t, i, fabs(gain), share);
			s->in[i] = was;
		}
	}
	return share;
}

/*
 * Each item's price, and its bytes at lambda or its place among max_items, paid by
 * the tasks by their shares.
 */
static void
set_prices(Relaxed *r, const double *share, double lambda, double place)
{
	const HoneProblem *p = r->s->p;
	double	   *sum = palloc0((p->nitems + 1) * sizeof(double));
	int		   *count = palloc0((p->nitems + 1) * sizeof(int));

	for (int k = 0; k < r->nslots; k++)
	{
		sum[r->item_of[k]] += share[k];
		count[r->item_of[k]]++;
	}
	for (int k = 0; k < r->nslots; k++)
	{
		int			i = r->item_of[k];
		double		all = p->price[i] + lambda * p->size[i] + place;

		r->pi[k] = sum[i] > 0 ? all * share[k] / sum[i] : all / count[i];
	}
	pfree(sum);
	pfree(count);
}

static int
compare_doubles(const void *a, const void *b)
{
	double		x = *(const double *) a;
	double		y = *(const double *) b;

	return x < y ? -1 : x > y ? 1 : 0;
}

/* Start from the best of some prices per byte, or per item: what chosen items are worth. */
static void
find_start(Relaxed *r)
{
	HoneSolver *s = r->s;
	double	   *share = shares(r);
	double	   *worth = palloc0((s->p->nitems + 1) * sizeof(double));
	double	   *lambdas = palloc((s->p->nitems + 2) * sizeof(double));
	int			n = 0;

	lambdas[n++] = 0;
	for (int k = 0; k < r->nslots; k++)
		worth[r->item_of[k]] += share[k];
	for (int i = 0; i < s->p->nitems && s->p->budget >= 0; i++)
		if (s->best[i] && s->p->size[i] > 0)
			lambdas[n++] = Max(worth[i] - s->p->price[i], 0) / s->p->size[i];
	qsort(lambdas, n, sizeof(double), compare_doubles);
	for (int i = 0; i < n; i = Max(i + 1, i + n / 12))
	{
		set_prices(r, share, lambdas[i], 0);
		(void) relax(r);
	}
	n = 0;
	for (int i = 0; i < s->p->nitems && s->p->max_items >= 0; i++)
		if (s->best[i])
			lambdas[n++] = Max(worth[i] - s->p->price[i], 0);
	qsort(lambdas, n, sizeof(double), compare_doubles);
	for (int i = 0; i < n; i = Max(i + 1, i + n / 12))
	{
		set_prices(r, share, 0, lambdas[i]);
		(void) relax(r);
	}
	memcpy(r->pi, r->best_pi, r->nslots * sizeof(double));
	pfree(share);
	pfree(worth);
	pfree(lambdas);
}

/* What the relaxation likes best, made whole. */
static void
round_up(Relaxed *r)
{
	HoneSolver *s = r->s;
	bool	   *in = palloc0(s->p->nitems + 1);
	double		room = s->p->budget - r->forced_bytes;
	int			count = r->forced_count;

	for (int i = 0; i < s->p->nitems; i++)
	{
		if (r->decided[i] == IN)
		{
			in[i] = true;
			continue;
		}
		if (r->x[i] < 0.999 || (s->p->max_items >= 0 && count >= s->p->max_items) ||
			(s->p->budget >= 0 && s->p->size[i] > room))
			continue;
		in[i] = true;
		count++;
		room -= s->p->size[i];
	}
	hone_solver_set(s, in);
	hone_solver_clean(s);
	if (s->cost < s->best_cost * 1.05)
	{
		hone_solver_fill(s, 0.5);
		hone_solver_clean(s);
		(void) hone_solver_keep(s);
	}
	pfree(in);
}

static bool
time_is_up(HoneSolver *s)
{
	instr_time	now;

	CHECK_FOR_INTERRUPTS();
	if (s->relaxations >= s->effort.relaxations)
		return true;
	INSTR_TIME_SET_CURRENT(now);
	INSTR_TIME_SUBTRACT(now, s->started);
	return INSTR_TIME_GET_MILLISEC(now) >= s->effort.time_limit_ms;
}

static bool is_closed(const HoneSolver *s, double bound);

/* Better prices, step by step, from those that r->pi has. */
static void
climb(Relaxed *r, int rounds, double theta)
{
	HoneSolver *s = r->s;
	int			stalled = 0;

	memset(r->direction, 0, r->nslots * sizeof(double));
	for (int round = 0; round < rounds && !time_is_up(s); round++)
	{
		double		before = r->best;
		double		bound = relax(r);
		double		norm = 0;
		double		step;

		if (is_closed(s, r->best))
			return;
		stalled = r->best > before + 1e-7 * fabs(before) ? 0 : stalled + 1;
		if (stalled >= PATIENCE)
		{
			stalled = 0;
			theta *= 0.7;
			memcpy(r->pi, r->best_pi, r->nslots * sizeof(double));
			memset(r->direction, 0, r->nslots * sizeof(double));
			bound = relax(r);
			if (theta < 1e-4)
				return;
		}
		if (round % ROUND_EVERY == ROUND_EVERY - 1)
			round_up(r);
		for (int k = 0; k < r->nslots; k++)
		{
			double		d = (r->used[k] ? 1 : 0) - r->x[r->item_of[k]];

			/* a price that is zero and should fall does not count */
			if ((d < 0 && r->pi[k] <= 0) || r->decided[r->item_of[k]])
				d = 0;
			r->direction[k] = 0.5 * r->direction[k] + 0.5 * d;
			norm += r->direction[k] * r->direction[k];
		}
		if (norm < 1e-12)
			return;
		step = theta * (1.0005 * s->best_cost - bound) / norm;
		for (int k = 0; k < r->nslots; k++)
			r->pi[k] = Max(0, r->pi[k] + step * r->direction[k]);
	}
}

/* Decide an item, and pay for it. */
static void
decide(Relaxed *r, int item, int decision)
{
	const HoneProblem *p = r->s->p;

	r->decided[item] = decision;
	if (decision == OUT)
	{
		r->s->banned[item] = true;
		return;
	}
	r->forced_price += p->price[item];
	r->forced_bytes += p->size[item];
	r->forced_count++;
}

/* Back to the whole problem, then to the part. */
static void
enter(Relaxed *r, const Part *part)
{
	const HoneProblem *p = r->s->p;

	for (int i = 0; i < p->nitems; i++)
		if (r->decided[i])
		{
			r->decided[i] = 0;
			r->s->banned[i] = p->banned && p->banned[i];
		}
	r->forced_price = 0;
	r->forced_bytes = 0;
	r->forced_count = 0;
	r->best = -get_float8_infinity();
	if (part == NULL)
		return;
	for (int i = 0; i < part->depth; i++)
		decide(r, part->items[i], part->decisions[i]);
	memcpy(r->pi, part->pi, r->nslots * sizeof(double));
	for (int k = 0; k < r->nslots; k++)
		if (r->decided[r->item_of[k]])
			r->pi[k] = 0;
}

/*
 * The item that tasks and knapsack disagree about most, in money: the one used
 * but not (wholly) chosen, or chosen but not used.
 */
static int
disputed(Relaxed *r)
{
	const HoneProblem *p = r->s->p;
	double	   *dispute = palloc0((p->nitems + 1) * sizeof(double));
	double		most = 0;
	int			item = -1;

	memcpy(r->pi, r->best_pi, r->nslots * sizeof(double));
	(void) relax(r);
	for (int k = 0; k < r->nslots; k++)
		dispute[r->item_of[k]] += r->pi[k] * fabs((r->used[k] ? 1 : 0) - r->x[r->item_of[k]]);
	for (int i = 0; i < p->nitems; i++)
	{
		double		d = dispute[i] + 1e-9 * p->price[i] * (r->x[i] > 0 && r->x[i] < 1);

		if (r->decided[i] == 0 && !is_out(r, i) && d > most)
		{
			most = d;
			item = i;
		}
	}
	pfree(dispute);
	return item;
}

static Part *
make_part(const Part *parent, int item, int decision)
{
	Part	   *part = palloc0(sizeof(Part));

	part->depth = parent ? parent->depth + 1 : 0;
	part->items = palloc((part->depth + 1) * sizeof(int));
	part->decisions = palloc(part->depth + 1);
	if (parent)
	{
		memcpy(part->items, parent->items, parent->depth * sizeof(int));
		memcpy(part->decisions, parent->decisions, parent->depth);
		part->items[parent->depth] = item;
		part->decisions[parent->depth] = decision;
		part->pi = parent->pi;
	}
	return part;
}

/* Bound a part, and choose what to branch on. */
static void
bound_part(Relaxed *r, Part *part, double least)
{
	const HoneProblem *p = r->s->p;

	enter(r, part);
	if ((p->budget >= 0 && r->forced_bytes > p->budget) ||
		(p->max_items >= 0 && r->forced_count > p->max_items))
	{
		part->bound = get_float8_infinity();
		return;
	}
	(void) relax(r);
	climb(r, PART_ROUNDS, 0.5);
	part->bound = Max(r->best, least);
	part->pi = palloc(r->nslots * sizeof(double) + sizeof(double));
	memcpy(part->pi, r->best_pi, r->nslots * sizeof(double));
	part->branch_on = disputed(r);
}

/* The gap that is let be after this part of the effort. */
static double
tolerance(const HoneSolver *s)
{
	double		spent = (double) s->relaxations / s->effort.relaxations;

	spent = Min(Max((spent - LATER) / (1 - LATER), 0), 1);
	return CLOSE_ENOUGH + spent * (CLOSE_LATER - CLOSE_ENOUGH);
}

static bool
is_closed(const HoneSolver *s, double bound)
{
	return s->best_cost - bound <= tolerance(s) * fabs(s->best_cost);
}

static void
free_part(Part *part, const Part *keep)
{
	if (part->pi && (keep == NULL || part->pi != keep->pi))
		pfree(part->pi);
	pfree(part->items);
	pfree(part->decisions);
	pfree(part);
}

/* Best bound first; returns the proven bound of the whole. */
static double
branch(Relaxed *r, double root_bound)
{
	HoneSolver *s = r->s;
	int			most = Min(MAX_PARTS, (int) (PART_BYTES / (r->nslots * sizeof(double) + 64)));
	Part	  **open = palloc((most + 2) * sizeof(Part *));
	int			nopen = 0;
	double		settled = get_float8_infinity();	/* least bound of parts given up */
	Part	   *root = make_part(NULL, 0, 0);

	root->bound = root_bound;
	root->pi = palloc(r->nslots * sizeof(double) + sizeof(double));
	memcpy(root->pi, r->best_pi, r->nslots * sizeof(double));
	root->branch_on = disputed(r);
	open[nopen++] = root;
	while (nopen > 0)
	{
		int			best = 0;
		Part	   *part;

		for (int i = 1; i < nopen; i++)
			if (open[i]->bound < open[best]->bound)
				best = i;
		part = open[best];
		if (is_closed(s, Min(part->bound, settled)) || time_is_up(s) || nopen >= most)
			break;
		open[best] = open[--nopen];
		if (part->branch_on < 0)
		{
			settled = Min(settled, part->bound);
			free_part(part, NULL);
			continue;
		}
		for (int decision = IN; decision <= OUT; decision++)
		{
			Part	   *half = make_part(part, part->branch_on, decision);

			bound_part(r, half, part->bound);
			if (is_closed(s, half->bound))
				free_part(half, part);
			else
				open[nopen++] = half;
		}
		free_part(part, NULL);
	}
	for (int i = 0; i < nopen; i++)
		settled = Min(settled, open[i]->bound);
	enter(r, NULL);
	/* parts that were closed are no better than this */
	return Min(settled, s->best_cost * (1 - tolerance(s)));
}

/* Fill in s->bound; may improve s->best on the way. */
void
hone_solver_bound(HoneSolver *s)
{
	/* once from afar, then with smaller steps from the best */
	static const double steps[] = {0.5, 0.1};
	Relaxed		r = {0};
	int			most;

	r.s = s;
	most = number_slots(&r);
	r.decided = palloc0(s->p->nitems + 1);
	r.pi = palloc0((r.nslots + 1) * sizeof(double));
	r.best_pi = palloc0((r.nslots + 1) * sizeof(double));
	r.direction = palloc0((r.nslots + 1) * sizeof(double));
	r.used = palloc0(r.nslots + 1);
	r.reduced = palloc0((s->p->nitems + 1) * sizeof(double));
	r.x = palloc0((s->p->nitems + 1) * sizeof(double));
	r.order = palloc0((s->p->nitems + 1) * sizeof(int));
	r.picks = palloc0((most + 1) * sizeof(int));
	r.best_picks = palloc0((most + 1) * sizeof(int));
	r.best = -get_float8_infinity();
	(void) relax(&r);
	find_start(&r);
	for (int i = 0; i < (int) lengthof(steps) && !is_closed(s, r.best); i++)
	{
		memcpy(r.pi, r.best_pi, r.nslots * sizeof(double));
		climb(&r, MAX_ROUNDS, steps[i]);
	}
	s->bound = r.best;
	if (!is_closed(s, s->bound))
		s->bound = branch(&r, s->bound);
}
