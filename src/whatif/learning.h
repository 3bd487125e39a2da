/*
 * learning.h
 *	  What learn.c and skeleton.c share; nobody else includes it.
 */
#ifndef HONE_LEARNING_H
#define HONE_LEARNING_H

#include "nodes/pathnodes.h"

#include "whatif/learn.h"

/* A level of the query that was met in this call. */
typedef struct HoneKnownRoot
{
	PlannerInfo *root;
	uint64		hash;
	uint64		key;
} HoneKnownRoot;

/* One hone_whatif_learn() under way. */
typedef struct HoneLearning
{
	MemoryContext memory;		/* where what is learned stays */
	HoneLearned *learned;
	const HoneConfiguration *configuration; /* that the plan is made under */
	List	   *others;			/* HoneIndex * the plan does not see */
	List	   *indexes;		/* all */
	List	   *roots;			/* of HoneKnownRoot * */
	List	   *subplans;		/* numbers of those that were taken apart */
	bool		finished;		/* the plan was taken apart */
} HoneLearning;

/* learn.c */
extern int	hone_learn_rel(HoneLearning *state, PlannerInfo *root, RelOptInfo *rel);
extern void hone_learn_requirement(HoneRequirement *to, Path *path, int norder);
extern void hone_learn_indexes(HoneLearning *state, Path *path, List **imagined,
							   List **real);
extern HoneAccess *hone_learn_access(HoneLearning *state, int rel, Path *path);

/* skeleton.c */
extern void hone_learn_skeleton(HoneLearning *state, PlannerInfo *root,
								RelOptInfo *final_rel);

/* inject.c: IndexOptInfos of those of the indexes that are on the table. */
extern List *hone_whatif_imagine(Oid relid, RelOptInfo *rel, List *indexes);

/* whatif.c: not one that a function folded meanwhile has made. */
extern bool hone_whatif_is_planning(const HoneConfiguration *configuration);

#endif							/* HONE_LEARNING_H */
