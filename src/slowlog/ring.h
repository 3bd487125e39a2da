/*
 * ring.h
 *	  The last slow statements, in shared memory. Private to slowlog.
 */
#ifndef HONE_SLOWLOG_RING_H
#define HONE_SLOWLOG_RING_H

#include "base/params.h"
#include "base/record.h"
#include "utils/dsa.h"
#include "utils/timestamp.h"

#define HONE_SLOW_ADDRESS_LEN 64

/* An entry but for its text, parameters and plan. */
typedef struct HoneSlowEntry
{
	uint64		id;				/* 0: the place is empty */
	TimestampTz logged_at;
	uint64		queryid;
	Oid			userid;
	Oid			dbid;
	CommandTag	command;
	HoneOutcome outcome;
	int			sqlerrcode;
	uint64		exec_ns;
	uint64		plan_ns;
	uint64		rows;
	HoneUsage	usage;
	char		application_name[NAMEDATALEN];
	char		client_addr[HONE_SLOW_ADDRESS_LEN]; /* empty: no network */

	/* The rest is one block of the arena: parameters, text, plan. */
	dsa_pointer block;
	uint32		params_len;		/* MAXALIGNed; 0: none */
	uint32		text_len;
	uint32		plan_len;		/* 0: none */
} HoneSlowEntry;

typedef struct HoneSlowCounters
{
	uint64		captured;
	uint64		overwritten;
	uint64		rate_limited;
	uint64		lost;
	uint64		plans_lost;
	uint64		entries;
	uint64		memory_bytes;
} HoneSlowCounters;

/* An entry copied out of the ring, in the current memory context. */
typedef struct HoneSlowCopy
{
	HoneSlowEntry entry;
	char	   *block;			/* NULL: nothing but the entry */
} HoneSlowCopy;

extern void hone_slow_ring_init(void);
extern bool hone_slow_ring_ready(void);

/* Is one more entry of this query in this minute allowed? Counts it. */
extern bool hone_slow_ring_admit(uint64 queryid, Oid dbid, TimestampTz now, int limit);

/*
 * Add an entry; the lengths in it tell what the three pointers hold. Fills in
 * the entry's id and block.
 */
extern void hone_slow_ring_add(HoneSlowEntry *entry, const HoneParams *params,
							   const char *text, const char *plan);
extern void hone_slow_ring_count_lost_plan(void);
extern void hone_slow_ring_counters(HoneSlowCounters *counters);

/*
 * The highest id so far, and the lowest that may still be there. Every entry
 * up to the highest is complete. False when there is none.
 */
extern bool hone_slow_ring_range(uint64 *lowest, uint64 *highest);
extern bool hone_slow_ring_copy(uint64 id, Oid dbid, bool with_block, HoneSlowCopy *copy);

#endif							/* HONE_SLOWLOG_RING_H */
