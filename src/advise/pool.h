/*
 * pool.h
 *	  Known plans of a statement and what their parts could cost; for the files
 *	  of this room that price and solve.
 */
#ifndef HONE_ADVISE_POOL_H
#define HONE_ADVISE_POOL_H

#include "whatif/learn.h"

#define HONE_READING_ITEMS	4	/* candidates one reading may combine */

/* One way to read a table, and the candidates it needs. */
typedef struct HoneReading
{
	int			nitems;
	int			items[HONE_READING_ITEMS];
	bool		expression;		/* one of them is on an expression */
	HoneRequirement delivers;
	double		startup;
	double		total;
} HoneReading;

typedef struct HoneOption
{
	double		value;			/* added to the plan's cost */
	HoneReading *reading;
} HoneOption;

typedef struct HonePlanLeaf
{
	uint64		key;			/* which occurrence of which table */
	void	   *table;			/* how that can be read */
	HoneRequirement needs;
	double		per_startup;
	double		per_run;
	double		fraction;
	bool		by_expression;	/* read by an index on an expression */
	int			nreadings;		/* when the options were sorted */
	bool		with_expressions;
	int			noptions;
	HoneOption *options;		/* cheapest first; filled when needed */
} HonePlanLeaf;

typedef struct HonePlan
{
	double		rest;			/* cost beside the leaves */
	Bitmapset  *fixed;			/* candidates it cannot do without */
	bool		own;			/* its readings are its own */
	int			nleaves;
	HonePlanLeaf *leaves;
} HonePlan;

extern void hone_advise_pool_add(HoneRun *run, HoneStatement *st,
								 const HoneLearned *learned, double cost,
								 Bitmapset *visible, Bitmapset *used);
extern bool hone_advise_has_expression(const HoneCandidate *c);
extern double hone_advise_pool_price(HoneRun *run, HoneStatement *st,
									 const Bitmapset *set, const Bitmapset *banned,
									 Bitmapset **used);
extern Bitmapset *hone_advise_pool_useful(HoneRun *run, HoneStatement *st, double least);
extern Bitmapset *hone_advise_pool_promising(HoneStatement *st);

/* price.c: the candidate a what-if index was made for; -1: none. */
extern int	hone_advise_id_of(HoneRun *run, const HoneIndex *index);

#endif							/* HONE_ADVISE_POOL_H */
