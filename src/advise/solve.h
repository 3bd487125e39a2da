/*
 * solve.h
 *	  The selection as a problem of numbers: no planner, no catalog.
 *
 * minimise  sum over tasks t of weight_t * cost_t(X)  +  sum over i in X of price_i
 * with      sum of sizes <= budget,  number of counted items <= max_items
 *
 * cost_t(X) is the least over the task's ways of rest + sum over leaves of the
 * cheapest choice all of whose items are in X.
 */
#ifndef HONE_ADVISE_SOLVE_H
#define HONE_ADVISE_SOLVE_H

#include "advise/pool.h"

typedef struct HoneChoice
{
	double		value;
	int			nitems;
	int			items[HONE_READING_ITEMS];
	int			slots[HONE_READING_ITEMS];	/* the solver's own */
} HoneChoice;

typedef struct HoneChoices
{
	int			group;			/* leaves of the same table in other ways have
								 * the same group */
	int			n;
	HoneChoice *choices;		/* cheapest first */
} HoneChoices;

typedef struct HoneWay
{
	double		rest;
	bool		guess;			/* its cost is not to be believed, see price.c */
	int			nfixed;
	int		   *fixed;			/* items it needs in any case */
	int		   *fixed_slots;
	int			nleaves;
	HoneChoices *leaves;
} HoneWay;

typedef struct HoneTask
{
	double		weight;
	double		base;			/* cost without any item */
	int			nways;
	HoneWay    *ways;
} HoneTask;

typedef struct HoneProblem
{
	int			nitems;
	double	   *price;
	int64	   *size;
	bool	   *banned;			/* not to be chosen */
	int			ntasks;
	HoneTask   *tasks;
	int64		budget;			/* -1: none */
	int			max_items;		/* -1: none */
} HoneProblem;

typedef struct HoneSolution
{
	bool	   *in;
	double		cost;			/* of the objective */
	double		bound;			/* no set can do better in this model */
	int64		evaluations;	/* of a task's cost */
} HoneSolution;

/*
 * How much to do. Counted, so that the answer does not depend on how busy the
 * server is; the clock is there for problems of unforeseen size.
 */
typedef struct HoneEffort
{
	int64		evaluations;	/* of a task's cost, by the search */
	int64		relaxations;	/* of the problem, by the proof */
	double		time_limit_ms;	/* both together */
} HoneEffort;

/*
 * Find a good set and prove how good it is. start may be NULL; the result is not
 * worse. Stops with what it has when the effort is spent; can be cancelled.
 */
extern void hone_solve(const HoneProblem *problem, const bool *start,
					   const HoneEffort *effort, HoneSolution *solution);

/*
 * Take out items that others replace everywhere; the optimum stays. Returns
 * which; choices that need them are gone from the problem.
 */
extern bool *hone_solve_reduce(HoneProblem *problem);

/* The objective of a set. */
extern double hone_solve_cost(const HoneProblem *problem, const bool *in);

/* What one task costs under a set; a plan that is a guess counts as such. */
extern double hone_solve_task_cost(const HoneTask *task, const bool *in);

/* Between a guess and the cost without it: see price.c. */
extern double hone_distrust(double cost, double base);

#endif							/* HONE_ADVISE_SOLVE_H */
