/*
 * arm.h
 *	  Under which arm of which trial a plan was made: written on the plan.
 *
 * While an index is on trial, some planner calls see it and the others do not
 * (whatif/hidden.c). Whether an execution belongs to one arm or the other is
 * decided when its plan is made, and a plan may run much later, in a session
 * that has changed sides since. So the answer travels with the plan: as items
 * of PlannedStmt.invalItems, which is copied with it into the plan cache and
 * left behind when it is sent to parallel workers. Their cacheId is none of
 * the server's, so that no invalidation ever matches them: the server skips
 * them after one comparison.
 *
 * whatif writes them, probe reads them. No locks, no state of our own.
 */
#ifndef HONE_ARM_H
#define HONE_ARM_H

#include "nodes/plannodes.h"

#define HONE_ARM_CACHE_ID (-0x686f)

/* A trial's number is its action's id, as far as it fits. */
#define HONE_MAX_TRIAL ((1U << 30) - 1)

typedef struct HoneArm
{
	uint32		trial;			/* 1 to HONE_MAX_TRIAL */
	bool		visible;		/* did the planner see the index? */
	bool		used;			/* and does the plan read it? */
} HoneArm;

static inline bool
hone_is_arm(const PlanInvalItem *item)
{
	return item->cacheId == HONE_ARM_CACHE_ID;
}

static inline HoneArm
hone_arm(const PlanInvalItem *item)
{
	HoneArm		arm = {
		.trial = item->hashValue >> 2,
		.visible = (item->hashValue & 2) != 0,
		.used = (item->hashValue & 1) != 0,
	};

	return arm;
}

/* In the current memory context, which should be the plan's. */
static inline void
hone_arm_attach(PlannedStmt *plan, HoneArm arm)
{
	PlanInvalItem *item = makeNode(PlanInvalItem);

	item->cacheId = HONE_ARM_CACHE_ID;
	item->hashValue = arm.trial << 2 | (arm.visible ? 2 : 0) | (arm.used ? 1 : 0);
	/* In front: a reader stops at the first that is none. */
	plan->invalItems = lcons(item, plan->invalItems);
}

#endif							/* HONE_ARM_H */
