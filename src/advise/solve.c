/*
 * solve.c
 *	  Finds the set: greedy in several ways, then local search.
 *
 * Greedy steps are taken by gain per size to the power of 1, 1/2 and 0, over
 * single items and over sets that some plan uses together (alone each may gain
 * nothing). The best start is improved by forcing a move in and evicting what is
 * worth least, by exchanging, and by banning one item and filling up again,
 * until nothing helps. bound.c says how far that can be from the optimum, and
 * proposes further starts.
 *
 * Pure functions of the problem; memory from the current context. All loops look
 * for interrupts and at the clock.
 */
#include "postgres.h"

#include <math.h>

#include "miscadmin.h"
#include "portability/instr_time.h"
#include "utils/float.h"

#include "advise/internal.h"
#include "advise/solving.h"

#define MAX_MOVES 4000
#define MAX_MOVE_ITEMS 12
#define SEARCH_ROUNDS 6

double
hone_distrust(double cost, double base)
{
	if (cost >= base)
		return cost;
	return Min(base, Max(2 * cost, sqrt(cost * base)));
}

static bool
has_all(const bool *in, const int *items, int n)
{
	for (int i = 0; i < n; i++)
		if (!in[items[i]])
			return false;
	return true;
}

static double
way_cost(const HoneWay *way, const bool *in, double limit)
{
	double		cost = way->rest;

	if (!has_all(in, way->fixed, way->nfixed))
		return get_float8_infinity();
	for (int l = 0; l < way->nleaves; l++)
	{
		const HoneChoices *leaf = &way->leaves[l];
		int			k = 0;

		while (k < leaf->n && !has_all(in, leaf->choices[k].items, leaf->choices[k].nitems))
			k++;
		if (k == leaf->n)
			return get_float8_infinity();
		cost += leaf->choices[k].value;
		if (cost >= limit && way->rest >= 0 && leaf->choices[0].value >= 0)
			return cost;
	}
	return cost;
}

double
hone_solve_task_cost(const HoneTask *task, const bool *in)
{
	double		best = get_float8_infinity();

	for (int w = 0; w < task->nways; w++)
	{
		double		cost = way_cost(&task->ways[w], in, get_float8_infinity());

		if (task->ways[w].guess)
			cost = hone_distrust(cost, task->base);
		best = Min(best, cost);
	}
	return isinf(best) ? task->base : best;
}

double
hone_solve_cost(const HoneProblem *p, const bool *in)
{
	double		cost = 0;

	for (int i = 0; i < p->nitems; i++)
		if (in[i])
			cost += p->price[i];
	for (int t = 0; t < p->ntasks; t++)
		cost += p->tasks[t].weight * hone_solve_task_cost(&p->tasks[t], in);
	return cost;
}

static bool
is_late(HoneSolver *s)
{
	instr_time	now;

	CHECK_FOR_INTERRUPTS();
	if (s->evaluations >= s->effort.evaluations)
		return true;
	INSTR_TIME_SET_CURRENT(now);
	INSTR_TIME_SUBTRACT(now, s->started);
	return INSTR_TIME_GET_MILLISEC(now) >= s->effort.time_limit_ms / 2;
}

/* How much the objective would fall if these came in, or go out. */
static double
gain_of(HoneSolver *s, const int *items, int n, bool in)
{
	double		before = s->cost;
	double		gain;
	bool		was[MAX_MOVE_ITEMS];

	for (int i = 0; i < n; i++)
	{
		was[i] = s->in[items[i]];
		hone_solver_put(s, items[i], in);
	}
	gain = before - s->cost;
	for (int i = n - 1; i >= 0; i--)
		hone_solver_put(s, items[i], was[i]);
	s->cost = before;			/* no drift */
	return gain;
}

static bool
fits(HoneSolver *s, int64 bytes, int count)
{
	return (s->p->budget < 0 || s->bytes + bytes <= s->p->budget) &&
		(s->p->max_items < 0 || s->count + count <= s->p->max_items);
}

/* What a move would add: items not there yet, and their bytes. */
static int
missing(HoneSolver *s, const HoneMove *move, int *items, int64 *bytes)
{
	int			n = 0;

	*bytes = 0;
	for (int i = 0; i < move->n; i++)
		if (!s->in[move->items[i]])
		{
			items[n++] = move->items[i];
			*bytes += s->p->size[move->items[i]];
		}
	return n;
}

static bool
is_banned(HoneSolver *s, const HoneMove *move)
{
	for (int i = 0; i < move->n; i++)
		if (s->banned[move->items[i]])
			return true;
	return false;
}

static void
evaluate(HoneSolver *s, HoneMove *move, double power)
{
	int			items[MAX_MOVE_ITEMS];
	int64		bytes;
	int			n = missing(s, move, items, &bytes);

	move->round = s->round;
	move->key = -1;
	if (n == 0 || is_banned(s, move) || !fits(s, bytes, n))
		return;
	move->gain = gain_of(s, items, n, true);
	if (move->gain > 0)
		move->key = move->gain / pow((double) bytes + 8192, power);
}

/*
 * Add the best move until none gains. Gains mostly shrink as the set grows, so
 * only the best by its last known key is evaluated again, until it stays best
 * (Minoux's lazy greedy).
 */
void
hone_solver_fill(HoneSolver *s, double power)
{
	s->round++;
	for (int i = 0; i < s->nmoves; i++)
		evaluate(s, &s->moves[i], power);
	for (;;)
	{
		HoneMove   *best;

		s->round++;
		for (;;)
		{
			best = NULL;
			for (int i = 0; i < s->nmoves; i++)
				if (s->moves[i].key > 0 && (best == NULL || s->moves[i].key > best->key))
					best = &s->moves[i];
			if (best == NULL || best->round == s->round)
				break;
			evaluate(s, best, power);
		}
		if (best == NULL || is_late(s))
			return;
		for (int i = 0; i < best->n; i++)
			hone_solver_put(s, best->items[i], true);
	}
}

/* Take out what is not worth its price, least valuable first. */
void
hone_solver_clean(HoneSolver *s)
{
	for (;;)
	{
		int			worst = -1;
		double		most = -1e-9 * fabs(s->cost);

		for (int i = 0; i < s->p->nitems; i++)
		{
			double		gain;

			if (!s->in[i])
				continue;
			gain = gain_of(s, &i, 1, false);
			if (gain > most)
			{
				most = gain;
				worst = i;
			}
		}
		if (worst < 0 || is_late(s))
			return;
		hone_solver_put(s, worst, false);
	}
}

/* Remember the set if it is the best so far. */
bool
hone_solver_keep(HoneSolver *s)
{
	if (!fits(s, 0, 0) || !(s->cost < s->best_cost * (1 - 1e-9)))
		return false;
	s->best_cost = s->cost;
	memcpy(s->best, s->in, s->p->nitems * sizeof(bool));
	return true;
}

/* Evict what is worth least per byte until the rest fits, but none of the move. */
static bool
make_room(HoneSolver *s, const HoneMove *move)
{
	while (!fits(s, 0, 0))
	{
		int			worst = -1;
		double		least = 0;

		for (int i = 0; i < s->p->nitems; i++)
		{
			double		loss;
			bool		mine = false;

			if (!s->in[i])
				continue;
			for (int k = 0; k < move->n; k++)
				mine |= move->items[k] == i;
			if (mine)
				continue;
			loss = -gain_of(s, &i, 1, false) / (s->p->budget >= 0 && s->bytes > s->p->budget ?
												s->p->size[i] + 8192.0 : 1.0);
			if (worst < 0 || loss < least)
			{
				worst = i;
				least = loss;
			}
		}
		if (worst < 0)
			return false;
		hone_solver_put(s, worst, false);
	}
	return true;
}

/* Force one move in; true when the result is better than the best. */
static bool
force(HoneSolver *s, const HoneMove *move)
{
	int			items[MAX_MOVE_ITEMS];
	int64		bytes;
	int			n;

	hone_solver_go_to(s, s->best);
	n = missing(s, move, items, &bytes);
	if (n == 0 || is_banned(s, move) ||
		(s->p->budget >= 0 && bytes > s->p->budget) ||
		gain_of(s, items, n, true) <= 0)
		return false;
	for (int i = 0; i < n; i++)
		hone_solver_put(s, items[i], true);
	if (!make_room(s, move))
		return false;
	hone_solver_clean(s);
	if (s->cost >= s->best_cost * 1.02)
		return false;			/* too far behind for filling up to help */
	hone_solver_fill(s, 0.5);
	hone_solver_clean(s);
	return hone_solver_keep(s);
}

/* One item for another, where the two serve common tasks. */
static bool
exchange(HoneSolver *s, int out)
{
	bool		better = false;

	hone_solver_go_to(s, s->best);
	if (!s->in[out])
		return false;
	hone_solver_put(s, out, false);
	for (int i = 0; i < s->nmoves; i++)
	{
		HoneMove   *move = &s->moves[i];
		int			items[MAX_MOVE_ITEMS];
		int64		bytes;
		int			n = missing(s, move, items, &bytes);

		if (n == 0 || is_banned(s, move) || !fits(s, bytes, n))
			continue;
		if (s->cost - gain_of(s, items, n, true) >= s->best_cost * (1 - 1e-9))
			continue;
		for (int k = 0; k < n; k++)
			hone_solver_put(s, items[k], true);
		hone_solver_clean(s);
		better |= hone_solver_keep(s);
		hone_solver_go_to(s, s->best);
		hone_solver_put(s, out, false);
	}
	return better;
}

/* Without one item, filled up again. */
static bool
ban(HoneSolver *s, int out)
{
	bool		better;

	hone_solver_go_to(s, s->best);
	hone_solver_put(s, out, false);
	s->banned[out] = true;
	hone_solver_fill(s, 0.5);
	hone_solver_clean(s);
	better = hone_solver_keep(s);
	s->banned[out] = s->p->banned && s->p->banned[out];
	return better;
}

/* Improve the best set until nothing helps. */
void
hone_solver_improve(HoneSolver *s)
{
	for (int round = 0; round < SEARCH_ROUNDS; round++)
	{
		bool		better = false;

		for (int i = 0; i < s->p->nitems && !is_late(s); i++)
			if (s->best[i])
				better |= exchange(s, i);
		for (int i = 0; i < s->nmoves && !is_late(s); i++)
			better |= force(s, &s->moves[i]);
		for (int i = 0; i < s->p->nitems && !is_late(s); i++)
			if (s->best[i])
				better |= ban(s, i);
		if (!better || is_late(s))
			return;
	}
}

static int
compare_ints(const void *a, const void *b)
{
	return *(const int *) a - *(const int *) b;
}

static void
add_move(HoneSolver *s, int *items, int n)
{
	HoneMove   *move;

	if (n == 0 || n > MAX_MOVE_ITEMS || s->nmoves >= MAX_MOVES)
		return;
	qsort(items, n, sizeof(int), compare_ints);
	for (int i = 0; n > 1 && i < s->nmoves; i++)
		if (s->moves[i].n == n && memcmp(s->moves[i].items, items, n * sizeof(int)) == 0)
			return;
	move = &s->moves[s->nmoves++];
	memset(move, 0, sizeof(*move));
	move->n = n;
	move->items = palloc(n * sizeof(int));
	memcpy(move->items, items, n * sizeof(int));
}

static void
add_item(int *items, int *n, int item)
{
	for (int i = 0; i < *n; i++)
		if (items[i] == item)
			return;
	if (*n <= MAX_MOVE_ITEMS)
		items[(*n)++] = item;
}

/* The sets that a way works best with: all leaves, and each pair of leaves. */
static void
add_way_moves(HoneSolver *s, const HoneWay *way)
{
	int			items[MAX_MOVE_ITEMS + HONE_READING_ITEMS + 1];
	int			n = 0;

	for (int i = 0; i < way->nfixed && n <= MAX_MOVE_ITEMS; i++)
		add_item(items, &n, way->fixed[i]);
	if (n > 0)
		add_move(s, items, n);
	for (int l = 0; l < way->nleaves; l++)
		for (int i = 0; i < way->leaves[l].n && i < 1; i++)
			for (int k = 0; k < way->leaves[l].choices[i].nitems; k++)
				add_item(items, &n, way->leaves[l].choices[i].items[k]);
	if (n > 1)
		add_move(s, items, n);
	for (int l = 0; l < way->nleaves; l++)
		for (int i = 0; i < way->leaves[l].n; i++)
			if (way->leaves[l].choices[i].nitems > 1)
			{
				n = way->leaves[l].choices[i].nitems;
				memcpy(items, way->leaves[l].choices[i].items, n * sizeof(int));
				add_move(s, items, n);
			}
	for (int a = 0; a < way->nleaves; a++)
		for (int b = a + 1; b < way->nleaves && way->nleaves <= 8; b++)
		{
			n = 0;
			if (way->leaves[a].n == 0 || way->leaves[b].n == 0 ||
				way->leaves[a].choices[0].nitems == 0 || way->leaves[b].choices[0].nitems == 0)
				continue;
			for (int k = 0; k < way->leaves[a].choices[0].nitems; k++)
				add_item(items, &n, way->leaves[a].choices[0].items[k]);
			for (int k = 0; k < way->leaves[b].choices[0].nitems; k++)
				add_item(items, &n, way->leaves[b].choices[0].items[k]);
			if (n > 1)
				add_move(s, items, n);
		}
}

static void
make_moves(HoneSolver *s)
{
	const HoneProblem *p = s->p;

	s->moves = palloc(MAX_MOVES * sizeof(HoneMove));
	for (int i = 0; i < p->nitems; i++)
		if (s->first_task[i + 1] > s->first_task[i] && !s->banned[i])
			add_move(s, &i, 1);
	for (int t = 0; t < p->ntasks; t++)
		for (int w = 0; w < p->tasks[t].nways; w++)
			add_way_moves(s, &p->tasks[t].ways[w]);
}

static void
mark_items(const HoneWay *way, int *marks, int mark)
{
	for (int i = 0; i < way->nfixed; i++)
		marks[way->fixed[i]] = mark;
	for (int l = 0; l < way->nleaves; l++)
		for (int k = 0; k < way->leaves[l].n; k++)
			for (int j = 0; j < way->leaves[l].choices[k].nitems; j++)
				marks[way->leaves[l].choices[k].items[j]] = mark;
}

/* Which tasks know which item. */
static void
make_task_lists(HoneSolver *s)
{
	const HoneProblem *p = s->p;
	int		   *marks = palloc0(p->nitems * sizeof(int) + sizeof(int));
	int		   *next;

	s->first_task = palloc0((p->nitems + 1) * sizeof(int));
	for (int pass = 0; pass < 2; pass++)
	{
		next = palloc(p->nitems * sizeof(int) + sizeof(int));
		memcpy(next, s->first_task, p->nitems * sizeof(int));
		for (int t = 0; t < p->ntasks; t++)
		{
			for (int w = 0; w < p->tasks[t].nways; w++)
				mark_items(&p->tasks[t].ways[w], marks, pass * p->ntasks + t + 1);
			for (int i = 0; i < p->nitems; i++)
			{
				if (marks[i] != pass * p->ntasks + t + 1)
					continue;
				if (pass == 0)
					s->first_task[i + 1]++;
				else
					s->tasks_of[next[i]++] = t;
			}
		}
		if (pass == 0)
		{
			for (int i = 0; i < p->nitems; i++)
				s->first_task[i + 1] += s->first_task[i];
			s->tasks_of = palloc((s->first_task[p->nitems] + 1) * sizeof(int));
		}
		pfree(next);
	}
	pfree(marks);
}

static void
begin(HoneSolver *s, const HoneProblem *p, const HoneEffort *effort)
{
	memset(s, 0, sizeof(*s));
	s->p = p;
	s->effort = *effort;
	INSTR_TIME_SET_CURRENT(s->started);
	s->in = palloc0(p->nitems + 1);
	s->best = palloc0(p->nitems + 1);
	s->banned = palloc0(p->nitems + 1);
	if (p->banned)
		memcpy(s->banned, p->banned, p->nitems);
	s->task_cost = palloc0((p->ntasks + 1) * sizeof(double));
	make_task_lists(s);
	hone_solver_begin_state(s);
	make_moves(s);
	hone_solver_set(s, NULL);
	s->best_cost = s->cost;
}

void
hone_solve(const HoneProblem *problem, const bool *start, const HoneEffort *effort,
		   HoneSolution *solution)
{
	static const double powers[] = {1.0, 0.5, 0.0};
	HoneSolver	s;

	begin(&s, problem, effort);
	if (start)
	{
		hone_solver_set(&s, start);
		(void) hone_solver_keep(&s);
	}
	for (int i = 0; i < (int) lengthof(powers); i++)
	{
		hone_solver_set(&s, NULL);
		hone_solver_fill(&s, powers[i]);
		hone_solver_clean(&s);
		(void) hone_solver_keep(&s);
	}
	hone_solver_improve(&s);
	s.effort.evaluations = s.evaluations + problem->ntasks + effort->evaluations / 4;
	hone_solver_bound(&s);

	solution->in = s.best;
	solution->cost = s.best_cost;
	solution->bound = Min(s.bound, s.best_cost);
	solution->evaluations = s.evaluations;
}
