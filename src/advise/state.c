/*
 * state.c
 *	  A set of items and what it costs, kept up while items come and go.
 *
 * Each leaf remembers its cheapest possible choice, each way its cost, each task
 * the cost of its best way. An item that comes or goes touches only the leaves
 * it is a choice of, and there only matters if it is, or becomes, the cheapest.
 *
 * Pure functions of the problem; memory from the context current at the start.
 */
#include "postgres.h"

#include "utils/float.h"

#include "advise/internal.h"
#include "advise/solving.h"

static bool
is_possible(const HoneSolver *s, const HoneChoice *choice)
{
	for (int i = 0; i < choice->nitems; i++)
		if (!s->in[choice->items[i]])
			return false;
	return true;
}

static void
number_ways(HoneSolver *s)
{
	const HoneProblem *p = s->p;
	int			nways = 0;
	int			nleaves = 0;

	for (int t = 0; t < p->ntasks; t++)
		for (int w = 0; w < p->tasks[t].nways; w++)
		{
			nways++;
			nleaves += p->tasks[t].ways[w].nleaves;
		}
	s->ways = palloc0((nways + 1) * sizeof(HoneWayState));
	s->leaves = palloc0((nleaves + 1) * sizeof(HoneLeafState));
	s->first_way = palloc0((p->ntasks + 1) * sizeof(int));
	nways = 0;
	nleaves = 0;
	for (int t = 0; t < p->ntasks; t++)
	{
		s->first_way[t] = nways;
		for (int w = 0; w < p->tasks[t].nways; w++)
		{
			HoneWayState *way = &s->ways[nways];

			way->way = &p->tasks[t].ways[w];
			way->task = t;
			way->first_leaf = nleaves;
			for (int l = 0; l < way->way->nleaves; l++)
			{
				s->leaves[nleaves].choices = &way->way->leaves[l];
				s->leaves[nleaves++].way = nways;
			}
			nways++;
		}
	}
	s->first_way[p->ntasks] = nways;
	s->nways = nways;
	s->nleaves = nleaves;
}

/* Which leaves, as which choice, and which ways know an item. */
static void
number_places(HoneSolver *s)
{
	int		   *next;
	int			total = 0;

	s->first_place = palloc0((s->p->nitems + 2) * sizeof(int));
	for (int pass = 0; pass < 2; pass++)
	{
		next = palloc((s->p->nitems + 1) * sizeof(int));
		memcpy(next, s->first_place, (s->p->nitems + 1) * sizeof(int));
		for (int w = 0; w < s->nways; w++)
			for (int i = 0; i < s->ways[w].way->nfixed; i++)
			{
				int			item = s->ways[w].way->fixed[i];

				if (pass == 0)
					s->first_place[item + 1]++;
				else
				{
					HonePlace  *place = &s->places[next[item]++];

					place->leaf = -1;
					place->choice = w;
				}
			}
		for (int l = 0; l < s->nleaves; l++)
			for (int k = 0; k < s->leaves[l].choices->n; k++)
				for (int j = 0; j < s->leaves[l].choices->choices[k].nitems; j++)
				{
					int			item = s->leaves[l].choices->choices[k].items[j];

					if (pass == 0)
						s->first_place[item + 1]++;
					else
					{
						HonePlace  *place = &s->places[next[item]++];

						place->leaf = l;
						place->choice = k;
					}
				}
		if (pass == 0)
		{
			for (int i = 0; i < s->p->nitems; i++)
				s->first_place[i + 1] += s->first_place[i];
			total = s->first_place[s->p->nitems];
			s->places = palloc((total + 1) * sizeof(HonePlace));
		}
		pfree(next);
	}
}

void
hone_solver_begin_state(HoneSolver *s)
{
	number_ways(s);
	number_places(s);
	/* places are in the order of ways, fixed ones first: each way at most twice */
	s->changed = palloc((2 * s->nways + 1) * sizeof(int));
	s->changed_tasks = palloc((s->p->ntasks + 1) * sizeof(int));
	s->task_stamp = palloc0((s->p->ntasks + 1) * sizeof(int));
}

static void
pick(HoneSolver *s, HoneLeafState *leaf, int from)
{
	int			k = from;

	while (k < leaf->choices->n && !is_possible(s, &leaf->choices->choices[k]))
		k++;
	leaf->pick = k;
}

static void
add_up_way(HoneSolver *s, HoneWayState *way)
{
	double		cost = way->way->rest;

	for (int l = 0; l < way->way->nleaves; l++)
	{
		const HoneLeafState *leaf = &s->leaves[way->first_leaf + l];

		if (leaf->pick == leaf->choices->n)
		{
			way->cost = get_float8_infinity();
			return;
		}
		cost += leaf->choices->choices[leaf->pick].value;
	}
	way->cost = way->missing > 0 ? get_float8_infinity() : cost;
	if (way->way->guess && way->missing == 0)
		way->cost = hone_distrust(cost, s->p->tasks[way->task].base);
}

static void
add_up_task(HoneSolver *s, int t)
{
	const HoneTask *task = &s->p->tasks[t];
	double		best = get_float8_infinity();

	for (int w = s->first_way[t]; w < s->first_way[t + 1]; w++)
		best = Min(best, s->ways[w].cost);
	if (isinf(best))
		best = task->base;
	s->cost += task->weight * best - s->task_cost[t];
	s->task_cost[t] = task->weight * best;
	s->evaluations++;
}

/* Does a place change what its leaf picks? */
static bool
change_leaf(HoneSolver *s, const HonePlace *place, bool in)
{
	HoneLeafState *leaf = &s->leaves[place->leaf];

	if (in)
	{
		if (place->choice >= leaf->pick ||
			!is_possible(s, &leaf->choices->choices[place->choice]))
			return false;
		leaf->pick = place->choice;
		return true;
	}
	if (place->choice != leaf->pick)
		return false;
	pick(s, leaf, place->choice + 1);
	return true;
}

/* An item comes or goes. */
void
hone_solver_put(HoneSolver *s, int item, bool in)
{
	const HoneProblem *p = s->p;
	int			nchanged = 0;
	int			ntasks = 0;

	if (s->in[item] == in)
		return;
	s->in[item] = in;
	s->bytes += in ? p->size[item] : -p->size[item];
	s->count += in ? 1 : -1;
	s->cost += in ? p->price[item] : -p->price[item];
	for (int i = s->first_place[item]; i < s->first_place[item + 1]; i++)
	{
		const HonePlace *place = &s->places[i];
		int			w;

		if (place->leaf < 0)
		{
			w = place->choice;
			s->ways[w].missing += in ? -1 : 1;
		}
		else if (change_leaf(s, place, in))
			w = s->leaves[place->leaf].way;
		else
			continue;
		if (nchanged == 0 || s->changed[nchanged - 1] != w)
			s->changed[nchanged++] = w;
		if (s->task_stamp[s->ways[w].task] != s->stamp + 1)
		{
			s->task_stamp[s->ways[w].task] = s->stamp + 1;
			s->changed_tasks[ntasks++] = s->ways[w].task;
		}
	}
	for (int k = 0; k < nchanged; k++)
		add_up_way(s, &s->ways[s->changed[k]]);
	s->stamp++;
	for (int k = 0; k < ntasks; k++)
		add_up_task(s, s->changed_tasks[k]);
}

/* Make the solver's set this one; NULL: none. */
void
hone_solver_set(HoneSolver *s, const bool *in)
{
	const HoneProblem *p = s->p;

	s->bytes = 0;
	s->count = 0;
	s->cost = 0;
	for (int i = 0; i < p->nitems; i++)
	{
		s->in[i] = in && in[i];
		if (!s->in[i])
			continue;
		s->bytes += p->size[i];
		s->count++;
		s->cost += p->price[i];
	}
	for (int l = 0; l < s->nleaves; l++)
		pick(s, &s->leaves[l], 0);
	for (int w = 0; w < s->nways; w++)
	{
		HoneWayState *way = &s->ways[w];

		way->missing = 0;
		for (int i = 0; i < way->way->nfixed; i++)
			way->missing += !s->in[way->way->fixed[i]];
		add_up_way(s, way);
	}
	for (int t = 0; t < p->ntasks; t++)
	{
		s->task_cost[t] = 0;
		add_up_task(s, t);
	}
}

/* Make the solver's set this one, by what differs. */
void
hone_solver_go_to(HoneSolver *s, const bool *in)
{
	for (int i = 0; i < s->p->nitems; i++)
		if (s->in[i] != in[i])
			hone_solver_put(s, i, in[i]);
}
