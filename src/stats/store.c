/*
 * store.c
 *	  The shared table of query statistics.
 *
 * A fixed number of slots (pg_hone.max_queries) is divided among
 * NUM_PARTITIONS partitions by the hash of the key. Each partition is a chained
 * hash table over its own slots with a lock of its own, so that whatever
 * happens in one (a lookup, an insertion, an eviction) is short and never stops
 * the others. Nobody ever holds two partition locks.
 *
 * Backends do not come here at every statement: they count in an area of their
 * own (pending.c), and what is drained from there arrives in batches. A batch
 * takes the partition's lock exclusively for a few hundred nanoseconds.
 *
 * When a partition is full, the CLOCK hand looks for a slot that was not used
 * for a while: each passing takes away what the last use gave it, and a query
 * called often is given more. The victim's figures are added to the partition's
 * "other" row, so the totals over all rows always equal what was executed.
 *
 * Locks: a partition's lock protects its slots, chains, hand and other row.
 * Text locks (text.c) are taken while holding a partition's lock, never the
 * other way round. Readers take partition locks shared, one after another:
 * they see each query's row consistent, not all rows at one instant.
 *
 * After a crash everything starts empty. On a standby all of it works alike.
 */
#include "postgres.h"

#include "common/hashfn.h"
#include "miscadmin.h"
#include "storage/lwlock.h"
#include "utils/guc.h"
#include "utils/timestamp.h"

#include "stats/store.h"

#define NUM_PARTITIONS 64
#define MAX_USAGE 20			/* of the CLOCK: rounds a busy slot survives */

typedef struct StatsSlot
{
	HoneStatsRow row;
	int32		next;			/* in the bucket's chain, or in the free list */
	uint8		usage;
	bool		used;
} StatsSlot;

typedef struct StatsPartition
{
	LWLock		lock;
	int32		free;			/* first free slot, -1 when full */
	int32		hand;
	int64		entries;
	int64		evictions;
	HoneStatsRow other;
} StatsPartition;

typedef struct StatsStore
{
	int			slots;			/* per partition */
	int			buckets;		/* per partition, a power of two */
	TimestampTz reset_at;
	StatsPartition partition[NUM_PARTITIONS];
} StatsStore;

static StatsStore *store = NULL;
static int32 *chains = NULL;	/* NUM_PARTITIONS * buckets heads */
static StatsSlot *slots = NULL; /* NUM_PARTITIONS * slots */

static int	max_queries = 5000;

static int
slots_per_partition(void)
{
	return (max_queries + NUM_PARTITIONS - 1) / NUM_PARTITIONS;
}

static int
buckets_per_partition(void)
{
	return (int) pg_nextpower2_32(slots_per_partition());
}

static Size
store_size(void)
{
	Size		size = MAXALIGN(sizeof(StatsStore));

	size = add_size(size, MAXALIGN(mul_size(NUM_PARTITIONS * sizeof(int32),
											buckets_per_partition())));
	return add_size(size, mul_size(NUM_PARTITIONS * sizeof(StatsSlot),
								   slots_per_partition()));
}

static void
clear_other(HoneStatsRow *other)
{
	memset(other, 0, sizeof(*other));
	other->counters.min_ns = PG_UINT64_MAX;
}

static void
clear_partition(int p)
{
	StatsPartition *part = &store->partition[p];
	StatsSlot  *slot = slots + (Size) p * store->slots;

	for (int b = 0; b < store->buckets; b++)
		chains[p * store->buckets + b] = -1;
	for (int i = 0; i < store->slots; i++)
	{
		slot[i].used = false;
		slot[i].next = (i + 1 < store->slots) ? i + 1 : -1;
	}
	part->free = 0;
	part->hand = 0;
	part->entries = 0;
	part->evictions = 0;
	clear_other(&part->other);
}

static void
store_startup(void *memory, bool found)
{
	store = (StatsStore *) memory;
	chains = (int32 *) ((char *) memory + MAXALIGN(sizeof(StatsStore)));
	slots = (StatsSlot *) ((char *) chains +
						   MAXALIGN(NUM_PARTITIONS * sizeof(int32) *
									buckets_per_partition()));
	if (found)
		return;

	store->slots = slots_per_partition();
	store->buckets = buckets_per_partition();
	store->reset_at = GetCurrentTimestamp();
	for (int p = 0; p < NUM_PARTITIONS; p++)
	{
		hone_shmem_init_lock(&store->partition[p].lock);
		clear_partition(p);
	}
}

const HoneShmemPart hone_stats_store_part = {
	.name = "pg_hone query statistics",
	.size = store_size,
	.startup = store_startup,
};

void
hone_stats_store_settings(void)
{
	DefineCustomIntVariable("pg_hone.max_queries",
							"Sets the number of queries whose statistics are kept apart.",
							"The figures of queries that do not fit are added up in one row. "
							"Each query takes about 5.5 kB of shared memory.",
							&max_queries,
							5000, 100, 1000000,
							PGC_POSTMASTER,
							0,
							NULL, NULL, NULL);
}

static inline uint32
hash_key(const HoneQueryKey *key)
{
	return hash_bytes((const unsigned char *) key, sizeof(*key));
}

static inline StatsSlot *
partition_slots(int p)
{
	return slots + (Size) p * store->slots;
}

static inline int32 *
chain_of(int p, uint32 hash)
{
	return &chains[p * store->buckets + ((hash / NUM_PARTITIONS) & (store->buckets - 1))];
}

/* Caller holds the partition's lock. */
static StatsSlot *
find_slot(int p, uint32 hash, const HoneQueryKey *key)
{
	StatsSlot  *slot = partition_slots(p);

	for (int32 i = *chain_of(p, hash); i >= 0; i = slot[i].next)
	{
		if (memcmp(&slot[i].row.key, key, sizeof(*key)) == 0)
			return &slot[i];
	}
	return NULL;
}

static void
add_counters(HoneCounters *to, const HoneCounters *from)
{
	to->calls += from->calls;
	to->errors += from->errors;
	to->cancels += from->cancels;
	to->rows += from->rows;
	to->exec_ns += from->exec_ns;
	to->min_ns = Min(to->min_ns, from->min_ns);
	to->max_ns = Max(to->max_ns, from->max_ns);
	to->square_ms += from->square_ms;
	to->plans += from->plans;
	to->plan_ns += from->plan_ns;
	to->caught += from->caught;
	to->custom += from->custom;
	to->generic += from->generic;
	to->jit_functions += from->jit_functions;
	to->jit_ns += from->jit_ns;
	hone_usage_add(&to->usage, &from->usage);
}

static void
add_to_other(HoneStatsRow *other, const HoneStatsRow *row)
{
	add_counters(&other->counters, &row->counters);
	for (int i = 0; i < HONE_HISTOGRAM_BUCKETS; i++)
		other->histogram[i] += row->histogram[i];
	if (other->first_seen == 0 || row->first_seen < other->first_seen)
		other->first_seen = row->first_seen;
	other->last_seen = Max(other->last_seen, row->last_seen);
}

/* Take a slot out of its chain and free it. Caller holds the lock exclusively. */
static void
unlink_slot(int p, StatsSlot *victim)
{
	StatsPartition *part = &store->partition[p];
	StatsSlot  *slot = partition_slots(p);
	int32		index = (int32) (victim - slot);
	int32	   *link = chain_of(p, hash_key(&victim->row.key));

	while (*link != index)
		link = &slot[*link].next;
	*link = victim->next;

	hone_stats_text_unpin(&victim->row.key);
	victim->used = false;
	victim->next = part->free;
	part->free = index;
	part->entries--;
}

/* Make room in a full partition. Caller holds its lock exclusively. */
static void
evict_one(int p)
{
	StatsPartition *part = &store->partition[p];
	StatsSlot  *slot = partition_slots(p);

	for (;;)
	{
		StatsSlot  *candidate = &slot[part->hand];

		part->hand = (part->hand + 1) % store->slots;
		if (candidate->usage > 0)
		{
			candidate->usage--;
			continue;
		}
		add_to_other(&part->other, &candidate->row);
		unlink_slot(p, candidate);
		part->evictions++;
		return;
	}
}

static StatsSlot *
insert_slot(int p, uint32 hash, const HoneBatch *batch)
{
	StatsPartition *part = &store->partition[p];
	StatsSlot  *slot;
	int32		index;
	int32	   *chain;

	if (part->free < 0)
		evict_one(p);

	index = part->free;
	slot = &partition_slots(p)[index];
	part->free = slot->next;
	part->entries++;

	memset(&slot->row, 0, sizeof(slot->row));
	slot->row.key = batch->key;
	slot->row.command = batch->command;
	slot->row.counters.min_ns = PG_UINT64_MAX;
	slot->row.first_seen = batch->last_seen;
	slot->used = true;

	chain = chain_of(p, hash);
	slot->next = *chain;
	*chain = index;

	hone_stats_text_pin(&batch->key);
	return slot;
}

/*
 * How many times the hand must pass a query that is not used any more: the more
 * often it was called, the longer it stays.
 */
static uint8
worth(const HoneStatsRow *row)
{
	return (uint8) Min(pg_leftmost_one_pos64(1 + (uint64) row->counters.calls), MAX_USAGE);
}

/* Add a batch to its query's row, making the row if need be. */
void
hone_stats_store_add(const HoneBatch *batch)
{
	uint32		hash = hash_key(&batch->key);
	int			p = hash % NUM_PARTITIONS;
	StatsSlot  *slot;

	LWLockAcquire(&store->partition[p].lock, LW_EXCLUSIVE);
	slot = find_slot(p, hash, &batch->key);
	if (slot == NULL)
		slot = insert_slot(p, hash, batch);

	add_counters(&slot->row.counters, &batch->counters);
	slot->usage = worth(&slot->row);
	for (int i = 0; i < HONE_BATCH_BUCKETS; i++)
	{
		if (batch->count[i] > 0)
			slot->row.histogram[batch->bucket[i]] += batch->count[i];
	}
	slot->row.last_seen = Max(slot->row.last_seen, batch->last_seen);
	LWLockRelease(&store->partition[p].lock);
}

static bool
has_figures(const HoneStatsRow *row)
{
	return row->counters.calls != 0 || row->counters.errors != 0 ||
		row->counters.plans != 0;
}

/*
 * Hand a copy of every row to the callback, the "other" row last. The callback
 * runs without any lock of ours.
 */
void
hone_stats_store_read(void (*callback) (const HoneStatsRow *row, void *arg), void *arg)
{
	HoneStatsRow *copy = palloc_array(HoneStatsRow, store->slots);
	HoneStatsRow *other = palloc_object(HoneStatsRow);

	clear_other(other);
	for (int p = 0; p < NUM_PARTITIONS; p++)
	{
		StatsPartition *part = &store->partition[p];
		StatsSlot  *slot = partition_slots(p);
		int			n = 0;

		LWLockAcquire(&part->lock, LW_SHARED);
		for (int i = 0; i < store->slots; i++)
		{
			if (slot[i].used)
				copy[n++] = slot[i].row;
		}
		if (has_figures(&part->other))
			add_to_other(other, &part->other);
		LWLockRelease(&part->lock);

		for (int i = 0; i < n; i++)
			callback(&copy[i], arg);
		CHECK_FOR_INTERRUPTS();
	}
	if (has_figures(other))
		callback(other, arg);
	pfree(copy);
	pfree(other);
}

/*
 * Forget the rows that match all given (non-zero) criteria; without any, also
 * the "other" row and the count of evictions. Returns the number of rows.
 */
int64
hone_stats_store_remove(Oid userid, Oid dbid, uint64 queryid)
{
	bool		all = !OidIsValid(userid) && !OidIsValid(dbid) && queryid == 0;
	int64		removed = 0;

	for (int p = 0; p < NUM_PARTITIONS; p++)
	{
		StatsPartition *part = &store->partition[p];
		StatsSlot  *slot = partition_slots(p);

		LWLockAcquire(&part->lock, LW_EXCLUSIVE);
		for (int i = 0; i < store->slots; i++)
		{
			const HoneQueryKey *key = &slot[i].row.key;

			if (!slot[i].used ||
				(OidIsValid(userid) && key->userid != userid) ||
				(OidIsValid(dbid) && key->dbid != dbid) ||
				(queryid != 0 && key->queryid != queryid))
				continue;
			unlink_slot(p, &slot[i]);
			removed++;
		}
		if (all)
		{
			clear_other(&part->other);
			part->evictions = 0;
		}
		LWLockRelease(&part->lock);
	}
	if (all)
		store->reset_at = GetCurrentTimestamp();
	return removed;
}

/* How many queries fit: pg_hone.max_queries, rounded up to whole partitions. */
int
hone_stats_store_limit(void)
{
	return slots_per_partition() * NUM_PARTITIONS;
}

void
hone_stats_store_info(HoneStatsInfo *info)
{
	info->entries = 0;
	info->evictions = 0;
	for (int p = 0; p < NUM_PARTITIONS; p++)
	{
		StatsPartition *part = &store->partition[p];

		LWLockAcquire(&part->lock, LW_SHARED);
		info->entries += part->entries;
		info->evictions += part->evictions;
		LWLockRelease(&part->lock);
	}
	info->max_entries = (int64) store->slots * NUM_PARTITIONS;
	info->reset_at = store->reset_at;
}
