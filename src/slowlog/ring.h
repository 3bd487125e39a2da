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
	HonePlanKind plan_kind;
	int			sqlerrcode;
	bool		toplevel;
	bool		stored;			/* the collector has it in the table */
	uint64		top_queryid;	/* 0: not known, or at top level */
	uint64		exec_ns;
	uint64		plan_ns;
	uint64		jit_ns;
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
	uint64		overwritten_unstored;	/* of these, not in the table */
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

/* Would it be? Counts nothing. */
extern bool hone_slow_ring_would_admit(uint64 queryid, Oid dbid, TimestampTz now,
									   int limit);

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
extern bool hone_slow_ring_copy(uint64 id, Oid dbid, bool only_unstored, HoneSlowCopy *copy);

/* The collector has stored this database's entries up to this id. */
extern void hone_slow_ring_mark_stored(Oid dbid, uint64 highest);

/*
 * For the file that bridges a restart (save.c); only while no other process is
 * there. An entry read out must not be freed. Entries are put back newest
 * first, after the counter; false when there is no room for one.
 */
extern const HoneSlowEntry *hone_slow_ring_peek(uint64 id, const char **block);
extern Size hone_slow_ring_block_size(const HoneSlowEntry *entry);
extern void hone_slow_ring_resume(uint64 next_id);
extern bool hone_slow_ring_put_back(const HoneSlowEntry *entry, const char *block);
extern void hone_slow_ring_count_unrestored(const HoneSlowEntry *entry);

#endif							/* HONE_SLOWLOG_RING_H */
