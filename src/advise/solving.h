/*
 * solving.h
 *	  What solve.c and bound.c share; nobody else includes it.
 */
#ifndef HONE_ADVISE_SOLVING_H
#define HONE_ADVISE_SOLVING_H

#include "portability/instr_time.h"

#include "advise/solve.h"

/* Items to be added together. */
typedef struct HoneMove
{
	int			n;
	int		   *items;
	double		gain;			/* as last evaluated */
	double		key;
	int			round;			/* in which it was evaluated */
} HoneMove;

/* Where an item counts: as a choice of a leaf, or (leaf -1) fixed in a way. */
typedef struct HonePlace
{
	int			leaf;
	int			choice;			/* or the way */
} HonePlace;

typedef struct HoneLeafState
{
	const HoneChoices *choices;
	int			way;
	int			pick;			/* its cheapest possible choice; n: none */
} HoneLeafState;

typedef struct HoneWayState
{
	const HoneWay *way;
	int			task;
	int			first_leaf;
	int			missing;		/* fixed items that are not there */
	double		cost;
} HoneWayState;

typedef struct HoneSolver
{
	const HoneProblem *p;
	instr_time	started;
	HoneEffort	effort;
	int64		relaxations;

	/* the set under work */
	bool	   *in;
	double	   *task_cost;		/* weighted */
	double		cost;
	int64		bytes;
	int			count;

	bool	   *best;
	double		best_cost;
	bool	   *banned;
	double		bound;			/* proven: no set costs less */

	int			nmoves;
	HoneMove   *moves;
	int			round;
	int		   *first_task;		/* of each item, in tasks_of */
	int		   *tasks_of;

	/* state.c */
	int			nways;
	HoneWayState *ways;
	int			nleaves;
	HoneLeafState *leaves;
	int		   *first_way;		/* of each task */
	int		   *first_place;	/* of each item */
	HonePlace  *places;
	int			stamp;
	int		   *task_stamp;
	int		   *changed;		/* scratch: ways */
	int		   *changed_tasks;
	int64		evaluations;
} HoneSolver;

/* state.c */
extern void hone_solver_begin_state(HoneSolver *s);
extern void hone_solver_put(HoneSolver *s, int item, bool in);
extern void hone_solver_set(HoneSolver *s, const bool *in);
extern void hone_solver_go_to(HoneSolver *s, const bool *in);

/* solve.c */
extern void hone_solver_fill(HoneSolver *s, double power);
extern void hone_solver_clean(HoneSolver *s);
extern bool hone_solver_keep(HoneSolver *s);
extern void hone_solver_improve(HoneSolver *s);

/* bound.c */
extern void hone_solver_bound(HoneSolver *s);

#endif							/* HONE_ADVISE_SOLVING_H */
