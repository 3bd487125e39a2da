/*
 * ring.c
 *	  The last slow statements, in shared memory.
 *
 * A ring of fixed places; what has variable size lies in the arena. When it
 * turns, or when its share of the arena is used up, the oldest entries go. The
 * collector copies entries to a table but does not remove them, so that whoever
 * reads table and ring together sees each entry at least once.
 *
 * Ids come from a counter that starts at the clock's microseconds when the
 * server starts, and so do not repeat over restarts: nobody logs a million
 * entries a second for long. After a clean shutdown it goes on where it was, with
 * the entries that were there (save.c). An id is given out and its entry made
 * visible under one lock, so all entries up to the highest id are complete.
 *
 * An entry is marked when the collector's transaction that stored it has
 * committed, so that it is stored once, and so that what is overwritten before
 * can be counted. Ids in the table say nothing of that: after a failover the
 * table has those that the former primary gave out.
 *
 * Locks: one LWLock for places, counter and rate limits. Entries are rare (slow
 * statements, after the rate limit), and are built before it is taken; under it
 * there is only copying, and freeing in the arena.
 *
 * The rate limit counts entries by query and minute in a small table of sets
 * of four; a query that finds its set full takes the place of the one with
 * the fewest entries, so the limit of a flood is kept, and a rare query at
 * worst gets some more entries than it should.
 */
#include "postgres.h"

#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/guc.h"

#include "base/shmem.h"
#include "slowlog/ring.h"
#include "slowlog/save.h"

#define SHORT_TEXT 1024

#define RATE_SETS 256
#define RATE_WAYS 4
#define RATE_WINDOW_US (INT64CONST(60) * USECS_PER_SEC)

typedef struct RateSlot
{
	uint64		key;
	int64		minute;
	int			count;
} RateSlot;

typedef struct Ring
{
	LWLock		lock;
	uint64		next_id;
	uint64		oldest_id;		/* nothing below is there any more */
	int			nplaces;
	Size		used_bytes;		/* of the arena */
	HoneSlowCounters counters;
	RateSlot	rates[RATE_SETS][RATE_WAYS];
	HoneSlowEntry places[FLEXIBLE_ARRAY_MEMBER];
} Ring;

static Ring *ring = NULL;
static int	ring_size = 1000;

static Size
ring_bytes(void)
{
	return offsetof(Ring, places) + (Size) ring_size * sizeof(HoneSlowEntry);
}

static void
ring_startup(void *memory, bool found)
{
	ring = (Ring *) memory;
	if (found)
		return;
	memset(ring, 0, ring_bytes());
	hone_shmem_init_lock(&ring->lock);
	ring->nplaces = ring_size;
	ring->next_id = (uint64) GetCurrentTimestamp();
	ring->oldest_id = ring->next_id;
}

static const HoneShmemPart ring_part = {
	.name = "pg_hone slow log",
	.size = ring_bytes,
	.startup = ring_startup,
};

void
hone_slow_ring_init(void)
{
	if (!process_shared_preload_libraries_in_progress)
		return;
	DefineCustomIntVariable("pg_hone.slow_log_entries",
							"Sets how many slow statements are kept in shared memory.",
							"The collector copies them to a table before they are overwritten.",
							&ring_size,
							1000, 16, 100000,
							PGC_POSTMASTER,
							0,
							NULL, NULL, NULL);
	hone_shmem_register(&ring_part);
	hone_shmem_at_restart(hone_slow_load, hone_slow_save);
}

bool
hone_slow_ring_ready(void)
{
	return ring != NULL;
}

/* The slow log may take this much of the arena. */
static inline Size
arena_share(void)
{
	return hone_arena_size() / 3;
}

/* A query id is a hash already. */
static inline uint64
rate_key(uint64 queryid, Oid dbid)
{
	return queryid ^ (dbid * UINT64CONST(0x9E3779B97F4A7C15));
}

static RateSlot *
look_up_rate(uint64 key, int64 minute)
{
	RateSlot   *set = ring->rates[key % RATE_SETS];

	for (int i = 0; i < RATE_WAYS; i++)
	{
		if (set[i].key == key && set[i].minute == minute)
			return &set[i];
	}
	return NULL;
}

static RateSlot *
find_rate(uint64 key, int64 minute)
{
	RateSlot   *set = ring->rates[key % RATE_SETS];
	RateSlot   *victim = look_up_rate(key, minute);

	if (victim != NULL)
		return victim;
	victim = &set[0];
	for (int i = 0; i < RATE_WAYS; i++)
	{
		if (set[i].key == key || set[i].minute != minute)
		{
			victim = &set[i];
			break;
		}
		if (set[i].count < victim->count)
			victim = &set[i];
	}
	victim->key = key;
	victim->minute = minute;
	victim->count = 0;
	return victim;
}

bool
hone_slow_ring_admit(uint64 queryid, Oid dbid, TimestampTz now, int limit)
{
	RateSlot   *slot;
	bool		admitted;

	if (limit <= 0)
		return true;
	LWLockAcquire(&ring->lock, LW_EXCLUSIVE);
	slot = find_rate(rate_key(queryid, dbid), now / RATE_WINDOW_US);
	admitted = slot->count < limit;
	if (admitted)
		slot->count++;
	else
		ring->counters.rate_limited++;
	LWLockRelease(&ring->lock);
	return admitted;
}

bool
hone_slow_ring_would_admit(uint64 queryid, Oid dbid, TimestampTz now, int limit)
{
	RateSlot   *slot;
	bool		admitted;

	if (limit <= 0)
		return true;
	LWLockAcquire(&ring->lock, LW_SHARED);
	slot = look_up_rate(rate_key(queryid, dbid), now / RATE_WINDOW_US);
	admitted = slot == NULL || slot->count < limit;
	LWLockRelease(&ring->lock);
	return admitted;
}

Size
hone_slow_ring_block_size(const HoneSlowEntry *entry)
{
	return (Size) entry->params_len + entry->text_len + entry->plan_len;
}

/* Empty the oldest place. Caller holds the lock. */
static void
drop_oldest(void)
{
	HoneSlowEntry *place = &ring->places[ring->oldest_id % ring->nplaces];

	if (place->id == ring->oldest_id)
	{
		hone_arena_free(place->block);
		if (DsaPointerIsValid(place->block))
			ring->used_bytes -= hone_slow_ring_block_size(place);
		place->id = 0;
		place->block = InvalidDsaPointer;
		ring->counters.overwritten++;
		if (!place->stored)
			ring->counters.overwritten_unstored++;
		ring->counters.entries--;
	}
	ring->oldest_id++;
}

/* Room in the arena, at the cost of the oldest entries. Caller holds the lock. */
static dsa_pointer
make_room(Size size)
{
	dsa_pointer block = InvalidDsaPointer;

	if (size > arena_share())
		return InvalidDsaPointer;
	while (ring->used_bytes + size > arena_share() && ring->oldest_id < ring->next_id)
		drop_oldest();

	/* Others may have filled the arena, or it may be in pieces. */
	for (int tries = 0; tries < 4; tries++)
	{
		block = hone_arena_alloc(size);
		if (DsaPointerIsValid(block) || ring->oldest_id >= ring->next_id)
			break;
		drop_oldest();
	}
	return block;
}

/*
 * The block of an entry. When there is no room even for what the ring has
 * given up, values, plan and most of the text are left out. False if nothing
 * helps. Caller holds the lock.
 */
static bool
add_block(HoneSlowEntry *entry, const HoneParams *params, const char *text,
		  const char *plan)
{
	char	   *to;

	if (hone_slow_ring_block_size(entry) == 0)
		return true;
	entry->block = make_room(hone_slow_ring_block_size(entry));
	if (!DsaPointerIsValid(entry->block))
	{
		if (entry->plan_len > 0)
			ring->counters.plans_lost++;
		entry->plan_len = 0;
		entry->params_len = 0;
		entry->text_len = (uint32) pg_mbcliplen(text, (int) entry->text_len, SHORT_TEXT);
		if (entry->text_len > 0)
			entry->block = make_room(entry->text_len);
		if (!DsaPointerIsValid(entry->block))
			return false;
	}

	to = hone_arena_address(entry->block);
	if (entry->params_len > 0)
		memcpy(to, params, entry->params_len);
	to += entry->params_len;
	memcpy(to, text, entry->text_len);
	to += entry->text_len;
	if (entry->plan_len > 0)
		memcpy(to, plan, entry->plan_len);
	return true;
}

void
hone_slow_ring_add(HoneSlowEntry *entry, const HoneParams *params,
				   const char *text, const char *plan)
{
	LWLockAcquire(&ring->lock, LW_EXCLUSIVE);
	if (!add_block(entry, params, text, plan))
		ring->counters.lost++;
	else
	{
		while (ring->next_id - ring->oldest_id >= (uint64) ring->nplaces)
			drop_oldest();
		entry->id = ring->next_id++;
		ring->places[entry->id % ring->nplaces] = *entry;
		ring->used_bytes += hone_slow_ring_block_size(entry);
		ring->counters.captured++;
		ring->counters.entries++;
	}
	LWLockRelease(&ring->lock);
}

void
hone_slow_ring_count_lost_plan(void)
{
	LWLockAcquire(&ring->lock, LW_EXCLUSIVE);
	ring->counters.plans_lost++;
	LWLockRelease(&ring->lock);
}

void
hone_slow_ring_counters(HoneSlowCounters *counters)
{
	LWLockAcquire(&ring->lock, LW_SHARED);
	*counters = ring->counters;
	counters->memory_bytes = ring_bytes() + ring->used_bytes;
	LWLockRelease(&ring->lock);
}

bool
hone_slow_ring_range(uint64 *lowest, uint64 *highest)
{
	bool		any;

	LWLockAcquire(&ring->lock, LW_SHARED);
	any = ring->oldest_id < ring->next_id;
	*lowest = ring->oldest_id;
	*highest = ring->next_id - 1;
	LWLockRelease(&ring->lock);
	return any;
}

bool
hone_slow_ring_copy(uint64 id, Oid dbid, bool only_unstored, HoneSlowCopy *copy)
{
	HoneSlowEntry *place = &ring->places[id % ring->nplaces];
	bool		found;
	bool		no_memory = false;

	/*
	 * No error under the lock: it would pass through the hooks, which may log
	 * the failing statement.
	 */
	LWLockAcquire(&ring->lock, LW_SHARED);
	found = place->id == id && place->dbid == dbid &&
		!(only_unstored && place->stored);
	if (found)
	{
		Size		size = hone_slow_ring_block_size(place);

		copy->entry = *place;
		copy->block = NULL;
		if (size > 0)
		{
			copy->block = palloc_extended(size, MCXT_ALLOC_NO_OOM | MCXT_ALLOC_HUGE);
			if (copy->block != NULL)
				memcpy(copy->block, hone_arena_address(place->block), size);
			else
				no_memory = true;
		}
	}
	LWLockRelease(&ring->lock);
	if (no_memory)
		ereport(ERROR,
				(errcode(ERRCODE_OUT_OF_MEMORY),
				 errmsg("out of memory"),
				 errdetail("Failed to copy an entry of the slow log.")));
	return found;
}

void
hone_slow_ring_mark_stored(Oid dbid, uint64 highest)
{
	LWLockAcquire(&ring->lock, LW_EXCLUSIVE);
	highest = Min(highest, ring->next_id - 1);

	/* What is below one that was stored earlier was stored then. */
	for (uint64 id = highest; id >= ring->oldest_id; id--)
	{
		HoneSlowEntry *place = &ring->places[id % ring->nplaces];

		if (place->id != id || place->dbid != dbid)
			continue;
		if (place->stored)
			break;
		place->stored = true;
	}
	LWLockRelease(&ring->lock);
}

/*
 * ------------------------------------------------------------------
 * Across a restart: the postmaster is alone, so no locks are needed
 * ------------------------------------------------------------------
 */

const HoneSlowEntry *
hone_slow_ring_peek(uint64 id, const char **block)
{
	const HoneSlowEntry *place = &ring->places[id % ring->nplaces];

	if (place->id != id)
		return NULL;
	*block = DsaPointerIsValid(place->block) ? hone_arena_address(place->block) : NULL;
	return place;
}

void
hone_slow_ring_resume(uint64 next_id)
{
	ring->next_id = next_id;
	ring->oldest_id = next_id;
}

bool
hone_slow_ring_put_back(const HoneSlowEntry *entry, const char *block)
{
	Size		size = hone_slow_ring_block_size(entry);
	HoneSlowEntry *place = &ring->places[entry->id % ring->nplaces];
	dsa_pointer to = InvalidDsaPointer;

	/* Older than all there are, and in reach of the ring. */
	if (entry->id >= ring->oldest_id ||
		ring->next_id - entry->id > (uint64) ring->nplaces)
		return false;
	if (size > 0)
	{
		if (ring->used_bytes + size > arena_share())
			return false;
		to = hone_arena_alloc(size);
		if (!DsaPointerIsValid(to))
			return false;
		memcpy(hone_arena_address(to), block, size);
	}
	*place = *entry;
	place->block = to;
	ring->used_bytes += size;
	ring->oldest_id = entry->id;
	ring->counters.entries++;
	return true;
}

void
hone_slow_ring_count_unrestored(const HoneSlowEntry *entry)
{
	ring->counters.overwritten++;
	if (!entry->stored)
		ring->counters.overwritten_unstored++;
}
