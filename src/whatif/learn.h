/*
 * learn.h
 *	  What a planner call tells beyond its plan: how else each table could have
 *	  been read, and how the plan's cost depends on that.
 *
 * With it a configuration is priced by arithmetic (the idea of INUM and PINUM:
 * Papadomanolakis et al., VLDB 2007; Maier et al., DASFAA 2010). Everything
 * lives in the memory context that was current when it was learned.
 */
#ifndef HONE_LEARN_H
#define HONE_LEARN_H

#include "nodes/bitmapset.h"
#include "nodes/pg_list.h"

#include "whatif/whatif.h"

/*
 * What is asked of an access path, and what one delivers: the relations whose
 * columns it is driven by, the order of rows, and how many workers share it.
 * Relations are known by their numbers in the query, and columns of an order by
 * a hash, so that the same means the same in the next call.
 */
typedef struct HoneRequirement
{
	Bitmapset  *outer;
	int			norder;
	uint32	   *order;
	int			workers;		/* 0: not shared */
} HoneRequirement;

/* One way to read a table. */
typedef struct HoneAccess
{
	int			rel;			/* in HoneLearned.rels */
	List	   *imagined;		/* HoneIndex * it needs */
	List	   *real;			/* OIDs of existing indexes it needs */
	HoneRequirement delivers;
	Cost		startup;
	Cost		total;
} HoneAccess;

/* A table of the plan, which could be read in another way. */
typedef struct HonePlanPart
{
	int			rel;
	HoneRequirement needs;
	double		per_startup;	/* change of the plan's cost with the access's */
	double		per_run;		/* startup cost, and with the rest of its cost */
	double		fraction;		/* of its rows the plan expects to read */
	HoneAccess *access;			/* the one in the plan */
} HonePlanPart;

typedef struct HoneLearned
{
	int			nrels;
	uint64	   *rels;			/* one occurrence of a table in the query */
	Oid		   *relids;
	List	   *accesses;		/* of HoneAccess *, of all tables */

	Cost		total;			/* of the plan */
	Cost		rest;			/* of it, what depends on no leaf */
	List	   *leaves;			/* of HonePlanPart * */
	List	   *fixed_imagined; /* used by parts that are not taken apart */
	List	   *fixed_real;
	bool		whole;			/* no part of it can change unseen */
} HoneLearned;

/*
 * Plan as hone_whatif_plan does, and learn. Indexes of "others" are not seen by
 * the plan, but what they would do for each table is learned too. *learned is
 * NULL if nothing can be said (GEQO, no plan of a known form).
 */
extern PlannedStmt *hone_whatif_learn(Query *query, const char *statement,
									  ParamListInfo params,
									  const HoneConfiguration *configuration,
									  List *others, HoneLearned **learned);

extern bool hone_requirement_met(const HoneRequirement *needs,
								 const HoneRequirement *delivers);

#endif							/* HONE_LEARN_H */
