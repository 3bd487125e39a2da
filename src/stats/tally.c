/*
 * tally.c
 *	  A bounded table of sums in shared memory.
 *
 * A fixed number of rows is divided among partitions by the hash of the key.
 * Each partition is a chained hash table over its own rows with a lock of its
 * own, like the query statistics themselves (store.c). When a partition is
 * full, the CLOCK hand looks for a row that was not used for a while, whose sums
 * are added to the partition's "other" row: the totals over all rows are what was
 * added, whatever was evicted. Who adds may say that something is not worth a row;
 * then it goes to an "other" row at once.
 *
 * What a search looks at (hash, chain, usage) lies close together, apart from
 * keys and counters, so that looking for a row, or for a victim, does not pull
 * one cache line for each row passed.
 *
 * Locks: one LWLock a partition; nobody holds two, nobody takes another lock or
 * can fail while holding one. So a row can be added to from anywhere but a
 * signal handler, also while an error is being handled. A process without a
 * PGPROC cannot wait for a lock, and adds nothing.
 *
 * Memory: all of it is reserved at the start of the server. A row that is given
 * to a new key is cleared only where its last user wrote. After a crash
 * everything starts empty; on a standby all of it works alike.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "port/pg_bitutils.h"
#include "storage/lwlock.h"
#include "storage/proc.h"

#include "base/compat.h"
#include "stats/tally.h"

#define MAX_USAGE 20			/* of the CLOCK: rounds a busy row survives */
#define MAX_STEPS 64			/* of the CLOCK, for one eviction */

typedef struct TallyPartition
{
	LWLock		lock;
	int32		free;			/* first free row, -1 when full */
	int32		hand;
	int64		entries;
	int64		evictions;
	char		pad[PG_CACHE_LINE_SIZE - 2 * sizeof(int32) - 2 * sizeof(int64) -
					sizeof(LWLock)];	/* each lock in a cache line of its own */
} TallyPartition;

typedef struct TallyHead
{
	uint32		hash;
	int32		next;			/* in the bucket's chain, or in the free list */
	uint16		low;			/* the counters beyond the dense ones that are */
	uint16		high;			/* not zero are in [low, high) */
	uint8		usage;
	bool		used;
} TallyHead;

static int
slots_of(const HoneTally *tally)
{
	return (tally->wanted_rows() + tally->partitions - 1) / tally->partitions;
}

static inline Size
row_size(const HoneTally *tally)
{
	return tally->key_size + tally->counters * sizeof(int64);
}

static inline char *
key_of(const HoneTally *tally, int p, int32 i)
{
	return tally->row + ((Size) p * tally->slots + i) * row_size(tally);
}

static inline int64 *
counters_of(const HoneTally *tally, int p, int32 i)
{
	return (int64 *) (key_of(tally, p, i) + tally->key_size);
}

static inline TallyHead *
heads_of(const HoneTally *tally, int p)
{
	return tally->head + (Size) p * tally->slots;
}

static inline int64 *
other_of(const HoneTally *tally, int p)
{
	return tally->other + p * tally->counters;
}

/* The partition is told by other bits of the hash than the chain. */
static inline int32 *
chain_of(const HoneTally *tally, int p, uint32 hash)
{
	return &tally->chain[(Size) p * tally->buckets +
						 ((hash / tally->partitions) & (tally->buckets - 1))];
}

/* Fill in how large it is, and lay it out; returns its size. */
static Size
lay_out(HoneTally *tally, char *memory)
{
	Size		rows;
	Size		size = 0;

	tally->slots = slots_of(tally);
	tally->buckets = (int) pg_nextpower2_32(tally->slots);
	rows = mul_size(tally->partitions, tally->slots);

	tally->partition = (TallyPartition *) (memory + size);
	size = add_size(size, MAXALIGN(tally->partitions * sizeof(TallyPartition)));
	tally->head = (TallyHead *) (memory + size);
	size = add_size(size, MAXALIGN(mul_size(rows, sizeof(TallyHead))));
	tally->chain = (int32 *) (memory + size);
	size = add_size(size, MAXALIGN(mul_size(tally->partitions * sizeof(int32),
											tally->buckets)));
	tally->other = (int64 *) (memory + size);
	size = CACHELINEALIGN(add_size(size, tally->partitions * tally->counters * sizeof(int64)));
	tally->row = memory + size;
	return add_size(size, mul_size(rows, row_size(tally)));
}

Size
hone_tally_size(const HoneTally *tally)
{
	HoneTally	copy = *tally;

	return CACHELINEALIGN(lay_out(&copy, NULL));
}

static void
clear_partition(const HoneTally *tally, int p)
{
	TallyPartition *part = &tally->partition[p];
	TallyHead  *head = heads_of(tally, p);

	for (int b = 0; b < tally->buckets; b++)
		tally->chain[(Size) p * tally->buckets + b] = -1;
	for (int i = 0; i < tally->slots; i++)
	{
		head[i].used = false;
		head[i].next = (i + 1 < tally->slots) ? i + 1 : -1;
		/* Nobody knows what is there: the first user clears it all. */
		head[i].low = (uint16) tally->dense;
		head[i].high = (uint16) tally->counters;
	}
	part->free = 0;
	part->hand = 0;
	part->entries = 0;
	part->evictions = 0;
	memset(other_of(tally, p), 0, tally->counters * sizeof(int64));
}

void
hone_tally_startup(HoneTally *tally, void *memory, bool found)
{
	Assert(tally->key_size % sizeof(uint64) == 0);
	Assert(tally->maxima <= tally->dense && tally->dense <= tally->counters);

	(void) lay_out(tally, memory);
	if (found)
		return;
	for (int p = 0; p < tally->partitions; p++)
	{
		hone_shmem_init_lock(&tally->partition[p].lock);
		clear_partition(tally, p);
	}
}

static inline uint32
hash_key(const HoneTally *tally, const void *key)
{
	const uint64 *word = key;
	uint64		hash = 0;

	for (int i = 0; i < tally->key_size / (int) sizeof(uint64); i++)
	{
		hash = (hash ^ word[i]) * UINT64CONST(0x9E3779B97F4A7C15);
		hash ^= hash >> 32;
	}
	return (uint32) hash;
}

static inline bool
same_key(const HoneTally *tally, const void *a, const void *b)
{
	const uint64 *left = a;
	const uint64 *right = b;

	for (int i = 0; i < tally->key_size / (int) sizeof(uint64); i++)
	{
		if (left[i] != right[i])
			return false;
	}
	return true;
}

/* Caller holds the partition's lock. Returns -1 if there is no such row. */
static int32
find_row(const HoneTally *tally, int p, uint32 hash, const void *key)
{
	TallyHead  *head = heads_of(tally, p);

	for (int32 i = *chain_of(tally, p, hash); i >= 0; i = head[i].next)
	{
		if (head[i].hash == hash && same_key(tally, key_of(tally, p, i), key))
			return i;
	}
	return -1;
}

static inline void
merge(const HoneTally *tally, int64 *counters, int counter, int64 by)
{
	if (counter < tally->dense && counter >= tally->dense - tally->maxima)
		counters[counter] = Max(counters[counter], by);
	else
		counters[counter] += by;
}

/* Add a whole row to an "other" row. */
static void
merge_row(const HoneTally *tally, int64 *to, const int64 *from, const TallyHead *head)
{
	for (int i = 0; i < tally->dense; i++)
		merge(tally, to, i, from[i]);
	for (int i = head->low; i < head->high; i++)
		to[i] += from[i];
}

/* Take a row out of its chain and free it. Caller holds the lock exclusively. */
static void
unlink_row(const HoneTally *tally, int p, int32 i)
{
	TallyPartition *part = &tally->partition[p];
	TallyHead  *head = heads_of(tally, p);
	int32	   *link = chain_of(tally, p, head[i].hash);

	while (*link != i)
		link = &head[*link].next;
	*link = head[i].next;

	head[i].used = false;
	head[i].next = part->free;
	part->free = i;
	part->entries--;
}

/*
 * Make room in a full partition, without looking at too many: what was least
 * used of those looked at goes. Caller holds the lock exclusively.
 */
static void
evict_one(const HoneTally *tally, int p)
{
	TallyPartition *part = &tally->partition[p];
	TallyHead  *head = heads_of(tally, p);
	int32		victim = part->hand;

	for (int step = 0; step < MAX_STEPS; step++)
	{
		int32		i = part->hand;

		part->hand = (i + 1 < tally->slots) ? i + 1 : 0;
		if (head[i].usage < head[victim].usage)
			victim = i;
		if (head[i].usage == 0)
			break;
		head[i].usage--;
	}
	merge_row(tally, other_of(tally, p), counters_of(tally, p, victim), &head[victim]);
	unlink_row(tally, p, victim);
	part->evictions++;
}

static int32
insert_row(const HoneTally *tally, int p, uint32 hash, const void *key)
{
	TallyPartition *part = &tally->partition[p];
	TallyHead  *head = heads_of(tally, p);
	int32	   *chain = chain_of(tally, p, hash);
	int64	   *counters;
	int32		i;

	if (part->free < 0)
		evict_one(tally, p);
	i = part->free;
	part->free = head[i].next;
	part->entries++;

	memcpy(key_of(tally, p, i), key, tally->key_size);
	counters = counters_of(tally, p, i);
	memset(counters, 0, tally->dense * sizeof(int64));
	if (head[i].low < head[i].high)
		memset(counters + head[i].low, 0, (head[i].high - head[i].low) * sizeof(int64));

	head[i].hash = hash;
	head[i].low = (uint16) tally->counters;
	head[i].high = 0;
	head[i].usage = 0;
	head[i].used = true;
	head[i].next = *chain;
	*chain = i;
	return i;
}

/* Add to the sum of what has no row: always to the same of a backend. */
static void
add_to_own_other(const HoneTally *tally, const HoneTallyChange *changes, int n)
{
	int			p = hone_backend_index() & (tally->partitions - 1);
	TallyPartition *part = &tally->partition[p];
	int64	   *counters = other_of(tally, p);

	LWLockAcquire(&part->lock, LW_EXCLUSIVE);
	for (int c = 0; c < n; c++)
		merge(tally, counters, changes[c].counter, changes[c].by);
	part->evictions++;
	LWLockRelease(&part->lock);
}

void
hone_tally_add(const HoneTally *tally, const void *key,
			   const HoneTallyChange *changes, int n, bool own_row)
{
	uint32		hash = hash_key(tally, key);
	int			p = (int) (hash & (uint32) (tally->partitions - 1));
	TallyHead  *head;
	int64	   *counters;
	int32		i;

	if (tally->partition == NULL || MyProc == NULL)
		return;
	if (!own_row)
	{
		add_to_own_other(tally, changes, n);
		return;
	}

	LWLockAcquire(&tally->partition[p].lock, LW_EXCLUSIVE);
	i = find_row(tally, p, hash, key);
	if (i < 0)
		i = insert_row(tally, p, hash, key);

	head = &heads_of(tally, p)[i];
	if (head->usage < MAX_USAGE)
		head->usage++;
	counters = counters_of(tally, p, i);
	for (int c = 0; c < n; c++)
	{
		int			counter = changes[c].counter;

		merge(tally, counters, counter, changes[c].by);
		if (counter >= tally->dense)
		{
			head->low = Min(head->low, (uint16) counter);
			head->high = Max(head->high, (uint16) (counter + 1));
		}
	}
	LWLockRelease(&tally->partition[p].lock);
}

static bool
is_zero(const int64 *counters, int n)
{
	for (int i = 0; i < n; i++)
	{
		if (counters[i] != 0)
			return false;
	}
	return true;
}

/* Copy a partition's rows; adds its "other" row. Returns how many there are. */
static int
copy_partition(const HoneTally *tally, int p, char *copy, int64 *other)
{
	TallyPartition *part = &tally->partition[p];
	TallyHead  *head = heads_of(tally, p);
	const TallyHead all = {.low = (uint16) tally->dense, .high = (uint16) tally->counters};
	int			n = 0;

	LWLockAcquire(&part->lock, LW_SHARED);
	for (int i = 0; i < tally->slots; i++)
	{
		char	   *place = copy + n * row_size(tally);
		int64	   *to = (int64 *) (place + tally->key_size);
		int64	   *from = counters_of(tally, p, i);

		if (!head[i].used)
			continue;
		memcpy(place, key_of(tally, p, i), tally->key_size + tally->dense * sizeof(int64));
		memset(to + tally->dense, 0, (tally->counters - tally->dense) * sizeof(int64));
		if (head[i].low < head[i].high)
			memcpy(to + head[i].low, from + head[i].low,
				   (head[i].high - head[i].low) * sizeof(int64));
		n++;
	}
	merge_row(tally, other, other_of(tally, p), &all);
	LWLockRelease(&part->lock);
	return n;
}

/*
 * Hand a copy of every row to the callback, the sum of the evicted last, if
 * there is one. The callback runs without any lock of ours; it may raise errors.
 */
void
hone_tally_read(const HoneTally *tally, HoneTallyCallback callback, void *arg)
{
	char	   *copy = palloc(tally->slots * row_size(tally));
	int64	   *other = palloc0(tally->counters * sizeof(int64));

	for (int p = 0; p < tally->partitions; p++)
	{
		int			n = copy_partition(tally, p, copy, other);

		for (int i = 0; i < n; i++)
		{
			char	   *key = copy + i * row_size(tally);

			callback(key, (const int64 *) (key + tally->key_size), arg);
		}
		CHECK_FOR_INTERRUPTS();
	}
	if (!is_zero(other, tally->counters))
		callback(NULL, other, arg);
	pfree(copy);
	pfree(other);
}

void
hone_tally_remove(const HoneTally *tally, HoneTallyFilter filter, const void *arg)
{
	for (int p = 0; p < tally->partitions; p++)
	{
		TallyPartition *part = &tally->partition[p];
		TallyHead  *head = heads_of(tally, p);

		LWLockAcquire(&part->lock, LW_EXCLUSIVE);
		for (int i = 0; i < tally->slots; i++)
		{
			if (head[i].used && (filter == NULL || filter(key_of(tally, p, i), arg)))
				unlink_row(tally, p, i);
		}
		if (filter == NULL)
		{
			memset(other_of(tally, p), 0, tally->counters * sizeof(int64));
			part->evictions = 0;
		}
		LWLockRelease(&part->lock);
	}
}

void
hone_tally_info(const HoneTally *tally, int64 *entries, int64 *evictions)
{
	*entries = 0;
	*evictions = 0;
	for (int p = 0; p < tally->partitions; p++)
	{
		LWLockAcquire(&tally->partition[p].lock, LW_SHARED);
		*entries += tally->partition[p].entries;
		*evictions += tally->partition[p].evictions;
		LWLockRelease(&tally->partition[p].lock);
	}
}
