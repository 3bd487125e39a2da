/*
 * known.c
 *	  Queries known to be slow.
 *
 * Rows cannot be counted after the fact, and a statement that is cancelled
 * cannot have its plan printed any more. So a query of which a slow execution
 * was kept is remembered here, by its id, and some of its next executions are
 * looked at more closely: the first few after each entry, then, as long as none of
 * them leads to an entry, fewer and fewer. A query that is always slow is
 * thus always counted, and one that is slow once in a million executions does
 * not pay for it a million times.
 *
 * Sets of two places, each one word: the upper 48 bits of the id (its lowest
 * choose the set), how the last entry ended, and the number of executions
 * since, as far as they were looked at. Two ids with the same 48 + 11 bits
 * are taken for one another: the worst that follows is some counting.
 *
 * No locks: a lost update costs or saves one look. Shared memory only, empty
 * after a restart. The common case, a query that is not here, reads one cache
 * line that hardly ever changes.
 */
#include "postgres.h"

#include "common/pg_prng.h"
#include "port/pg_bitutils.h"

#include "base/shmem.h"
#include "slowlog/known.h"

#define COUNT_MASK UINT64CONST(0x7FFF)
#define ENDED_EARLY UINT64CONST(0x8000)

#define ALWAYS 8				/* executions that are all looked at */
#define MAX_COUNT 16384			/* from here on one in 4096 is */

pg_atomic_uint64 *hone_slow_known = NULL;

static Size
known_bytes(void)
{
	return sizeof(pg_atomic_uint64) * HONE_KNOWN_SETS * HONE_KNOWN_WAYS;
}

static void
known_startup(void *memory, bool found)
{
	hone_slow_known = (pg_atomic_uint64 *) memory;
	if (found)
		return;
	for (int i = 0; i < HONE_KNOWN_SETS * HONE_KNOWN_WAYS; i++)
		pg_atomic_init_u64(&hone_slow_known[i], 0);
}

static const HoneShmemPart known_part = {
	.name = "pg_hone known slow queries",
	.size = known_bytes,
	.startup = known_startup,
};

void
hone_known_slow_init(void)
{
	hone_shmem_register(&known_part);
}

static pg_atomic_uint64 *
find(uint64 queryid)
{
	pg_atomic_uint64 *set = hone_known_set(queryid);

	for (int i = 0; i < HONE_KNOWN_WAYS; i++)
	{
		if (hone_known_is(pg_atomic_read_u64(&set[i]), queryid))
			return &set[i];
	}
	return NULL;
}

/* The place to give up: an empty one, or whose query has not been slow for longest. */
static pg_atomic_uint64 *
victim(uint64 queryid)
{
	pg_atomic_uint64 *set = hone_known_set(queryid);
	pg_atomic_uint64 *best = &set[0];

	for (int i = 0; i < HONE_KNOWN_WAYS; i++)
	{
		uint64		word = pg_atomic_read_u64(&set[i]);

		if (word == 0)
			return &set[i];
		if ((word & COUNT_MASK) > (pg_atomic_read_u64(best) & COUNT_MASK))
			best = &set[i];
	}
	return best;
}

void
hone_known_slow_note(uint64 queryid, bool ended_early)
{
	pg_atomic_uint64 *place;

	if (hone_slow_known == NULL || queryid == 0)
		return;
	place = find(queryid);
	if (place == NULL)
		place = victim(queryid);
	pg_atomic_write_u64(place, (queryid & ~HONE_KNOWN_STATE) |
						(ended_early ? ENDED_EARLY : 0));
}

bool
hone_known_slow_pick(uint64 queryid, bool *ended_early)
{
	pg_atomic_uint64 *place = find(queryid);
	uint64		word;
	uint64		count;
	uint32		step = 1;

	if (place == NULL)
		return false;
	word = pg_atomic_read_u64(place);
	count = word & COUNT_MASK;

	/*
	 * One in step, step a quarter of the count. By chance, and not by counting
	 * here, so that those passed over write nothing to shared memory.
	 */
	if (count >= ALWAYS)
	{
		step = UINT64CONST(1) << (pg_leftmost_one_pos32((uint32) count) - 2);
		if ((pg_prng_uint32(&pg_global_prng_state) & (step - 1)) != 0)
			return false;
	}
	count = Min(count + step, MAX_COUNT);
	(void) pg_atomic_compare_exchange_u64(place, &word, (word & ~COUNT_MASK) | count);
	*ended_early = (word & ENDED_EARLY) != 0;
	return true;
}
