/*
 * reduce.c
 *	  A smaller problem with the same optimum.
 *
 * An item that another one replaces everywhere, for no more cost, bytes and
 * price, is in no better set than the same set with the other one in its place:
 * it is taken out. Of an idea's variants (more columns, another order of keys)
 * most go so.
 *
 * Items that some choice needs together with others stay, since what replaces
 * one alone says nothing of that. Pure functions of the problem.
 */
#include "postgres.h"

#include "advise/internal.h"
#include "advise/solve.h"

/* Where an item is a choice. */
typedef struct Place
{
	int			leaf;			/* counted over all tasks and ways */
	double		value;
} Place;

typedef struct Places
{
	int			n;
	int			room;
	Place	   *places;			/* by leaf */
	bool		keep;			/* part of a choice of several */
} Places;

typedef struct Reduction
{
	HoneProblem *p;
	Places	   *of;				/* of each item */
	HoneChoices **leaves;
	bool	   *gone;
} Reduction;

static void
add_place(Places *places, int leaf, double value)
{
	if (places->n > 0 && places->places[places->n - 1].leaf == leaf)
		return;					/* dearer than the one there */
	if (places->n == places->room)
	{
		places->room = Max(8, places->room * 2);
		places->places = places->places ?
			repalloc(places->places, places->room * sizeof(Place)) :
			palloc(places->room * sizeof(Place));
	}
	places->places[places->n].leaf = leaf;
	places->places[places->n++].value = value;
}

static void
take_leaf(Reduction *r, HoneChoices *leaf, int number)
{
	r->leaves[number] = leaf;
	for (int k = 0; k < leaf->n; k++)
	{
		const HoneChoice *choice = &leaf->choices[k];

		if (choice->nitems == 1)
			add_place(&r->of[choice->items[0]], number, choice->value);
		for (int j = 0; j < choice->nitems && choice->nitems > 1; j++)
			r->of[choice->items[j]].keep = true;
	}
}

static void
take_places(Reduction *r)
{
	const HoneProblem *p = r->p;
	int			n = 0;

	for (int t = 0; t < p->ntasks; t++)
		for (int w = 0; w < p->tasks[t].nways; w++)
			n += p->tasks[t].ways[w].nleaves;
	r->leaves = palloc((n + 1) * sizeof(HoneChoices *));
	n = 0;
	for (int t = 0; t < p->ntasks; t++)
		for (int w = 0; w < p->tasks[t].nways; w++)
		{
			HoneWay    *way = &p->tasks[t].ways[w];

			for (int i = 0; i < way->nfixed; i++)
				r->of[way->fixed[i]].keep = true;
			for (int l = 0; l < way->nleaves; l++)
				take_leaf(r, &way->leaves[l], n++);
		}
}

/* Is one a choice wherever the other is, and never dearer? */
static bool
covers(const Places *better, const Places *worse)
{
	int			b = 0;

	if (better->n < worse->n)
		return false;
	for (int i = 0; i < worse->n; i++)
	{
		while (b < better->n && better->places[b].leaf < worse->places[i].leaf)
			b++;
		if (b == better->n || better->places[b].leaf != worse->places[i].leaf ||
			better->places[b].value > worse->places[i].value)
			return false;
	}
	return true;
}

static bool
replaces(const Reduction *r, int better, int worse)
{
	const HoneProblem *p = r->p;

	if (better == worse || r->gone[better] || p->size[better] > p->size[worse] ||
		p->price[better] > p->price[worse] ||
		(p->banned && p->banned[better]) || !covers(&r->of[better], &r->of[worse]))
		return false;
	return better < worse || p->size[better] < p->size[worse] ||
		p->price[better] < p->price[worse] || !covers(&r->of[worse], &r->of[better]);
}

/* What replaces an item stands before it, or beside it, where it is a choice. */
static bool
is_replaced(const Reduction *r, int item)
{
	const HoneChoices *leaf;

	if (r->of[item].keep)
		return false;
	if (r->of[item].n == 0)
		return true;
	leaf = r->leaves[r->of[item].places[0].leaf];
	for (int k = 0; k < leaf->n && leaf->choices[k].value <= r->of[item].places[0].value; k++)
		if (leaf->choices[k].nitems == 1 && replaces(r, leaf->choices[k].items[0], item))
			return true;
	return false;
}

static void
remove_choices(Reduction *r, HoneChoices *leaf)
{
	int			n = 0;

	for (int k = 0; k < leaf->n; k++)
		if (leaf->choices[k].nitems != 1 || !r->gone[leaf->choices[k].items[0]])
			leaf->choices[n++] = leaf->choices[k];
	leaf->n = n;
}

/* Returns which items were taken out; nothing refers to them any more. */
bool *
hone_solve_reduce(HoneProblem *problem)
{
	Reduction	r = {0};

	r.p = problem;
	r.of = palloc0((problem->nitems + 1) * sizeof(Places));
	r.gone = palloc0(problem->nitems + 1);
	take_places(&r);
	for (int i = 0; i < problem->nitems; i++)
		r.gone[i] = is_replaced(&r, i);
	for (int t = 0; t < problem->ntasks; t++)
		for (int w = 0; w < problem->tasks[t].nways; w++)
			for (int l = 0; l < problem->tasks[t].ways[w].nleaves; l++)
				remove_choices(&r, &problem->tasks[t].ways[w].leaves[l]);
	for (int i = 0; i < problem->nitems; i++)
		if (r.of[i].places)
			pfree(r.of[i].places);
	pfree(r.of);
	pfree(r.leaves);
	return r.gone;
}
