/*
 * door.h
 *	  Who gets into a full table.
 *
 * In a bounded table every newcomer pushes somebody out. That is right as long
 * as newcomers are few, and a waste of everybody's time in a flood of queries
 * that are all equally rare: each comes in, at some cost, only to be pushed out
 * before it comes again. So a full table has a door, which lets in
 *
 *	- a few newcomers in any case: there is a number of passes, which grows again
 *	  with time. On a quiet server nobody is ever turned away.
 *	- who comes often. Those who were turned away are counted as ghosts; the
 *	  counts fade as others come, so that only what is frequent now adds up.
 *	- who takes so long that what he costs here does not matter.
 *
 * (After the idea of TinyLFU: Einziger, Friedman and Manes 2017, with the frequency
 * kept only of those outside.) Ghosts are a direct-mapped table of tags; of two
 * that want one place the more frequent one wins in the end. A tag that is
 * mistaken for another lets in somebody too early, and does no other harm.
 *
 * Door and ghosts belong to a partition of the table. Its lock protects them, or
 * nothing does, where it does no harm that a count gets lost. Nothing here
 * allocates or raises an error. All of it starts as zeroes, which are as many
 * passes as there can be: the last time they were filled is long ago.
 */
#ifndef HONE_DOOR_H
#define HONE_DOOR_H

#include "datatype/timestamp.h"

#define HONE_DOOR_PASSES 64		/* at most */

/* Executions that take longer are let in: 1 ms. */
#define HONE_DOOR_SLOW_NS UINT64CONST(1000000)

typedef struct HoneGhost
{
	uint16		tag;
	uint8		count;
	uint8		epoch;			/* of the door, when it was counted last */
} HoneGhost;

typedef struct HoneDoor
{
	TimestampTz filled_at;
	int32		passes;
	uint32		counted;		/* in this epoch */
	uint8		epoch;
} HoneDoor;

/* How many passes are there, if one comes back each interval (us)? */
static inline int
hone_door_passes(HoneDoor *door, TimestampTz now, int64 interval)
{
	int64		more = (now - door->filled_at) / interval;

	if (more <= 0)
	{
		/* A clock that was set back must not close the door for long. */
		if (now < door->filled_at)
			door->filled_at = now;
	}
	else if (more >= HONE_DOOR_PASSES - door->passes)
	{
		door->passes = HONE_DOOR_PASSES;
		door->filled_at = now;
	}
	else
	{
		door->passes += (int32) more;
		door->filled_at += more * interval;
	}
	return door->passes;
}

/*
 * Count somebody who wants to come in, for so many executions; returns how many
 * he has had lately, 255 at most. nghosts is a power of two; after that many
 * have been counted, all counts are halved.
 */
static inline int
hone_door_count(HoneDoor *door, HoneGhost *ghosts, int nghosts, uint32 hash, uint64 by)
{
	HoneGhost  *ghost = &ghosts[(hash >> 8) & (uint32) (nghosts - 1)];
	uint16		tag = (uint16) (hash ^ (hash >> 16));
	uint8		age = (uint8) (door->epoch - ghost->epoch);
	uint64		count = age < 8 ? ghost->count >> age : 0;

	if (ghost->tag == tag)
		count += by;
	else if (count > by)
	{
		count -= by;
		by = 0;
	}
	else
	{
		ghost->tag = tag;
		count = by;
	}
	ghost->count = (uint8) (count < 255 ? count : 255);
	ghost->epoch = door->epoch;
	if (++door->counted >= (uint32) nghosts)
	{
		door->counted = 0;
		door->epoch++;
	}
	return ghost->tag == tag ? ghost->count : (int) by;
}

#endif							/* HONE_DOOR_H */
