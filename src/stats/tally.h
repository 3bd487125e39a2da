/*
 * tally.h
 *	  A bounded table of sums in shared memory, private to this room.
 *
 * What is counted by some key, and does not need more than additions (of which
 * the latest time is one, by maximum), is a tally: errors by query and SQLSTATE,
 * reads by query and table. A tally is described by its owner in a HoneTally;
 * several lie in one part of shared memory (spread.c).
 */
#ifndef HONE_STATS_TALLY_H
#define HONE_STATS_TALLY_H

#include "base/shmem.h"

struct TallyPartition;
struct TallyHead;

typedef struct HoneTally
{
	/*
	 * What it is. Keys are compared as bytes, eight at a time: zero one before
	 * filling it. The first "dense" counters are used by every row; of the
	 * others (a histogram) a row uses some that are close together, so only
	 * what lies between its lowest and its highest is ever touched.
	 */
	int			key_size;		/* bytes, a multiple of 8 */
	int			counters;
	int			dense;
	int			maxima;			/* the last so many dense ones keep the maximum */
	int			partitions;		/* a power of two */
	int			(*wanted_rows) (void);

	/* Where this process finds it. */
	int			slots;			/* per partition */
	int			buckets;		/* per partition, a power of two */
	struct TallyPartition *partition;
	struct TallyHead *head;		/* partitions * slots */
	int32	   *chain;			/* partitions * buckets */
	int64	   *other;			/* partitions * counters */
	char	   *row;			/* partitions * slots keys with their counters */
} HoneTally;

/* Add this much to this counter (or, of a maximum, raise it to this). */
typedef struct HoneTallyChange
{
	int			counter;
	int64		by;
} HoneTallyChange;

/* key is NULL in the sum of what was evicted. */
typedef void (*HoneTallyCallback) (const void *key, const int64 *counters, void *arg);
typedef bool (*HoneTallyFilter) (const void *key, const void *arg);

extern Size hone_tally_size(const HoneTally *tally);
extern void hone_tally_startup(HoneTally *tally, void *memory, bool found);

/*
 * Never raises an error nor allocates: may be called while one is handled. Unless
 * own_row is true, it is added to the sum of what was evicted.
 */
extern void hone_tally_add(const HoneTally *tally, const void *key,
						   const HoneTallyChange *changes, int n, bool own_row);

extern void hone_tally_read(const HoneTally *tally, HoneTallyCallback callback, void *arg);

/* Forget the rows the filter names; without a filter everything. */
extern void hone_tally_remove(const HoneTally *tally, HoneTallyFilter filter, const void *arg);
extern void hone_tally_info(const HoneTally *tally, int64 *entries, int64 *evictions);

#endif							/* HONE_STATS_TALLY_H */
