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
 * A new query does not always get a row in a full partition: base/door.h says
 * who does. The figures of one that is turned away go to an "other" row at once,
 * and count as an eviction. So a flood of queries that are all rare costs little,
 * and leaves those that have a row alone; on a quiet server each new query has a
 * row at once. Passes that get scarce are for queries whose text is known.
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

#include "base/compat.h"
#include "base/door.h"
#include "stats/store.h"

#define NUM_PARTITIONS 64
#define MAX_USAGE 20			/* of the CLOCK: rounds a busy slot survives */
#define MAX_STEPS 64			/* of the CLOCK, for one eviction */
#define PASS_INTERVAL_US USECS_PER_SEC
#define ENOUGH_PASSES (HONE_DOOR_PASSES / 2)
#define HISTOGRAM_SIZE (HONE_HISTOGRAM_BUCKETS * sizeof(uint64))

/*
 * What a search looks at lies close together, apart from the figures, and these
 * apart from the histograms of 5 kB: a search touches few cache lines, and what
 * is touched at each batch is spread over few pages.
 */
typedef struct StatsHead
{
	uint32		hash;
	int32		next;			/* in the bucket's chain, or in the free list */
	uint8		usage;
	bool		used;
} StatsHead;

typedef struct StatsPartition
{
	LWLock		lock;
	int32		free;			/* first free slot, -1 when full */
	int32		hand;
	int64		entries;
	int64		evictions;
	HoneDoor	door;
} StatsPartition;

typedef struct StatsStore
{
	int			slots;			/* per partition */
	int			nghosts;		/* per partition, a power of two */
	int			buckets;		/* per partition, a power of two */
	TimestampTz reset_at;
	StatsPartition partition[NUM_PARTITIONS];
} StatsStore;

static StatsStore *store = NULL;
static int32 *chains = NULL;	/* NUM_PARTITIONS * buckets heads */
static StatsHead *heads = NULL; /* NUM_PARTITIONS * slots */

/* NUM_PARTITIONS * (slots + 1), the last of each partition its "other" row. */
static HoneStatsRow *rows = NULL;
static uint64 *histograms = NULL;
static HoneGhost *ghosts = NULL;	/* NUM_PARTITIONS * nghosts */

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

/* A few times as many as there are rows. */
static int
ghosts_per_partition(void)
{
	return 4 * buckets_per_partition();
}

static Size
store_size(void)
{
	Size		size = MAXALIGN(sizeof(StatsStore));

	size = add_size(size, MAXALIGN(mul_size(NUM_PARTITIONS * sizeof(int32),
											buckets_per_partition())));
	size = add_size(size, MAXALIGN(mul_size(NUM_PARTITIONS * sizeof(StatsHead),
											slots_per_partition())));
	size = add_size(size, mul_size(NUM_PARTITIONS * (sizeof(HoneStatsRow) + HISTOGRAM_SIZE),
								   slots_per_partition() + 1));
	return add_size(size, mul_size(NUM_PARTITIONS * sizeof(HoneGhost),
								   ghosts_per_partition()));
}

static inline StatsHead *
partition_heads(int p)
{
	return heads + (Size) p * store->slots;
}

static inline HoneStatsRow *
partition_rows(int p)
{
	return rows + (Size) p * (store->slots + 1);
}

static inline uint64 *
histogram_of(int p, int32 i)
{
	return histograms + ((Size) p * (store->slots + 1) + i) * HONE_HISTOGRAM_BUCKETS;
}

/*
 * Make a row empty. Of its histogram only what its last user wrote needs to be
 * cleared: most use a small part.
 */
static void
clear_row(HoneStatsRow *row, uint64 *histogram)
{
	if (row->first_bucket < row->end_bucket)
		memset(&histogram[row->first_bucket], 0,
			   (row->end_bucket - row->first_bucket) * sizeof(uint64));
	memset(row, 0, sizeof(*row));
	row->counters.min_ns = PG_UINT64_MAX;
	row->first_bucket = HONE_HISTOGRAM_BUCKETS;
}

/* The same for memory whose contents nobody knows. */
static void
clear_other(HoneStatsRow *other, uint64 *histogram)
{
	other->first_bucket = 0;
	other->end_bucket = HONE_HISTOGRAM_BUCKETS;
	clear_row(other, histogram);
}

static void
clear_partition(int p)
{
	StatsPartition *part = &store->partition[p];
	StatsHead  *head = partition_heads(p);
	HoneStatsRow *row = partition_rows(p);

	for (int b = 0; b < store->buckets; b++)
		chains[p * store->buckets + b] = -1;
	for (int i = 0; i < store->slots; i++)
	{
		head[i].used = false;
		head[i].next = (i + 1 < store->slots) ? i + 1 : -1;
		/* Nobody knows what is there: the first user clears it all. */
		row[i].first_bucket = 0;
		row[i].end_bucket = HONE_HISTOGRAM_BUCKETS;
	}
	part->free = 0;
	part->hand = 0;
	part->entries = 0;
	part->evictions = 0;
	memset(&part->door, 0, sizeof(part->door));
	memset(ghosts + (Size) p * store->nghosts, 0, store->nghosts * sizeof(HoneGhost));
	clear_other(&row[store->slots], histogram_of(p, store->slots));
}

static void
store_startup(void *memory, bool found)
{
	store = (StatsStore *) memory;
	chains = (int32 *) ((char *) memory + MAXALIGN(sizeof(StatsStore)));
	heads = (StatsHead *) ((char *) chains +
						   MAXALIGN(NUM_PARTITIONS * sizeof(int32) *
									buckets_per_partition()));
	rows = (HoneStatsRow *) ((char *) heads +
							 MAXALIGN(NUM_PARTITIONS * sizeof(StatsHead) *
									  slots_per_partition()));
	histograms = (uint64 *) (rows + (Size) NUM_PARTITIONS * (slots_per_partition() + 1));
	ghosts = (HoneGhost *) (histograms + (Size) NUM_PARTITIONS * (slots_per_partition() + 1) *
							HONE_HISTOGRAM_BUCKETS);
	if (found)
		return;

	store->nghosts = ghosts_per_partition();
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
							"Each query takes about 6 kB of shared memory.",
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

static inline int32 *
chain_of(int p, uint32 hash)
{
	return &chains[p * store->buckets + ((hash / NUM_PARTITIONS) & (store->buckets - 1))];
}

/* Caller holds the partition's lock. Returns -1 if there is no such row. */
static int32
find_slot(int p, uint32 hash, const HoneQueryKey *key)
{
	StatsHead  *head = partition_heads(p);
	HoneStatsRow *row = partition_rows(p);

	for (int32 i = *chain_of(p, hash); i >= 0; i = head[i].next)
	{
		if (head[i].hash == hash && memcmp(&row[i].key, key, sizeof(*key)) == 0)
			return i;
	}
	return -1;
}

/* Most of it is mostly zero, and then not worth a look at where it would go. */
static inline void
add_usage(HoneUsage *to, const HoneUsage *from)
{
	const int64 *term = (const int64 *) from;
	int64		rest = 0;

	StaticAssertStmt(offsetof(HoneUsage, shared_blks_hit) == 0, "not the first counter");
	for (int i = 1; i < (int) (sizeof(HoneUsage) / sizeof(int64)); i++)
		rest |= term[i];
	if (rest != 0)
		hone_usage_add(to, from);
	else
		to->shared_blks_hit += from->shared_blks_hit;
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
	add_usage(&to->usage, &from->usage);
}

static void
add_to_other(HoneStatsRow *other, uint64 *other_histogram,
			 const HoneStatsRow *row, const uint64 *histogram)
{
	add_counters(&other->counters, &row->counters);
	for (int i = row->first_bucket; i < row->end_bucket; i++)
		other_histogram[i] += histogram[i];
	other->first_bucket = Min(other->first_bucket, row->first_bucket);
	other->end_bucket = Max(other->end_bucket, row->end_bucket);
	if (other->first_seen == 0 || row->first_seen < other->first_seen)
		other->first_seen = row->first_seen;
	other->last_seen = Max(other->last_seen, row->last_seen);
}

/* Take a slot out of its chain and free it. Caller holds the lock exclusively. */
static void
unlink_slot(int p, int32 i)
{
	StatsPartition *part = &store->partition[p];
	StatsHead  *head = partition_heads(p);
	int32	   *link = chain_of(p, head[i].hash);

	while (*link != i)
		link = &head[*link].next;
	*link = head[i].next;

	hone_stats_text_unpin(&partition_rows(p)[i].key);
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
evict_one(int p)
{
	StatsPartition *part = &store->partition[p];
	StatsHead  *head = partition_heads(p);
	HoneStatsRow *row = partition_rows(p);
	int32		victim = part->hand;

	for (int step = 0; step < MAX_STEPS; step++)
	{
		int32		i = part->hand;

		part->hand = (i + 1 < store->slots) ? i + 1 : 0;
		if (head[i].usage < head[victim].usage)
			victim = i;
		if (head[i].usage == 0)
			break;
		head[i].usage--;
	}
	add_to_other(&row[store->slots], histogram_of(p, store->slots),
				 &row[victim], histogram_of(p, victim));
	unlink_slot(p, victim);
	part->evictions++;
}

static int32
insert_slot(int p, uint32 hash, const HoneBatch *batch)
{
	StatsPartition *part = &store->partition[p];
	StatsHead  *head = partition_heads(p);
	int32	   *chain = chain_of(p, hash);
	HoneStatsRow *row;
	int32		i;

	if (part->free < 0)
		evict_one(p);

	i = part->free;
	part->free = head[i].next;
	part->entries++;

	row = &partition_rows(p)[i];
	clear_row(row, histogram_of(p, i));
	row->key = batch->key;
	row->command = batch->command;
	row->first_seen = batch->last_seen;

	head[i].hash = hash;
	head[i].used = true;
	head[i].next = *chain;
	*chain = i;

	hone_stats_text_pin(&batch->key);
	return i;
}

/*
 * How many times the hand must pass a query that is not used any more: the more
 * often it was called, the longer it stays.
 */
static inline uint8
worth(uint64 calls)
{
	return (uint8) Min(pg_leftmost_one_pos64(1 + calls), MAX_USAGE);
}

/*
 * Has a query that was turned away become worth more than the next victim? Who
 * asks moves the hand on, so that what is not used any more loses worth.
 */
static bool
outweighs_next(int p, uint64 calls)
{
	StatsPartition *part = &store->partition[p];
	StatsHead  *head = &partition_heads(p)[part->hand];

	/* More than luck. */
	if (worth(calls) > head->usage + 1)
		return true;
	if (head->usage > 0)
		head->usage--;
	part->hand = (part->hand + 1 < store->slots) ? part->hand + 1 : 0;
	return false;
}

/* May a new query have a row in a full partition? Caller holds the lock exclusively. */
static bool
may_enter(int p, uint32 hash, const HoneBatch *batch)
{
	StatsPartition *part = &store->partition[p];
	uint64		executions = (uint64) (batch->counters.calls + batch->counters.errors);
	int			passes = hone_door_passes(&part->door, batch->last_seen, PASS_INTERVAL_US);
	int			lately;

	if (passes > ENOUGH_PASSES || (passes > 0 && hone_stats_text_kept(&batch->key)))
	{
		part->door.passes--;
		return true;
	}
	if (batch->counters.exec_ns > executions * HONE_DOOR_SLOW_NS)
		return true;
	lately = hone_door_count(&part->door, ghosts + (Size) p * store->nghosts,
							 store->nghosts, hash / NUM_PARTITIONS, executions);
	return lately > 1 && outweighs_next(p, (uint64) lately);
}

static void
add_batch(HoneStatsRow *row, uint64 *histogram, const HoneBatch *batch)
{
	add_counters(&row->counters, &batch->counters);
	for (int b = 0; b < HONE_BATCH_BUCKETS; b++)
	{
		int			bucket = batch->bucket[b];

		if (batch->count[b] == 0)
			continue;
		histogram[bucket] += batch->count[b];
		row->first_bucket = Min(row->first_bucket, bucket);
		row->end_bucket = Max(row->end_bucket, bucket + 1);
	}
	if (row->first_seen == 0)
		row->first_seen = batch->last_seen;
	row->last_seen = Max(row->last_seen, batch->last_seen);
}

/*
 * Add what has no row to an "other" row: not that of its partition, but always the
 * same of a backend, which is in the processor's cache.
 */
static void
add_to_own_other(const HoneBatch *batch)
{
	int			p = hone_backend_index() & (NUM_PARTITIONS - 1);
	StatsPartition *part = &store->partition[p];

	LWLockAcquire(&part->lock, LW_EXCLUSIVE);
	add_batch(&partition_rows(p)[store->slots], histogram_of(p, store->slots), batch);
	part->evictions++;
	LWLockRelease(&part->lock);
}

/* Would a new query find a free row? A look without the lock. */
bool
hone_stats_store_has_room(const HoneQueryKey *key)
{
	uint32		hash = hash_key(key);

	return *(volatile int32 *) &store->partition[hash % NUM_PARTITIONS].free >= 0;
}

/*
 * Batches come by the dozen, and where each has to look is mostly not in the
 * processor's cache. So it is told of all of them before the first one is added:
 * first where the chains begin, then what they lead to. Reads without a lock what
 * may be changing, and nothing depends on it.
 */
void
hone_stats_store_prefetch(const HoneQueryKey *key, bool first)
{
	uint32		hash = hash_key(key);
	int			p = hash % NUM_PARTITIONS;
	int32		i;

	if (first)
	{
		__builtin_prefetch(&store->partition[p], 1);
		__builtin_prefetch(chain_of(p, hash));
		return;
	}
	i = *(volatile int32 *) chain_of(p, hash);
	if (i >= 0 && i < store->slots)
	{
		const char *row = (const char *) &partition_rows(p)[i];

		__builtin_prefetch(&partition_heads(p)[i], 1);
		if (partition_heads(p)[i].hash != hash)
			return;
		for (int at = 0; at < 192; at += PG_CACHE_LINE_SIZE / 2)
			__builtin_prefetch(row + at, 1);
	}
}

/*
 * Add a batch to its query's row, making the row if need be, or to an "other"
 * row; returns whether it has one of its own.
 */
bool
hone_stats_store_add(const HoneBatch *batch)
{
	uint32		hash = hash_key(&batch->key);
	int			p = hash % NUM_PARTITIONS;
	StatsPartition *part = &store->partition[p];
	int32		i;

	LWLockAcquire(&part->lock, LW_EXCLUSIVE);
	i = find_slot(p, hash, &batch->key);
	if (i < 0 && (part->free >= 0 || may_enter(p, hash, batch)))
		i = insert_slot(p, hash, batch);
	if (i >= 0)
	{
		HoneStatsRow *row = &partition_rows(p)[i];

		add_batch(row, histogram_of(p, i), batch);
		partition_heads(p)[i].usage = worth((uint64) row->counters.calls);
	}
	LWLockRelease(&part->lock);
	if (i < 0)
		add_to_own_other(batch);
	return i >= 0;
}

static bool
has_figures(const HoneStatsRow *row)
{
	return row->counters.calls != 0 || row->counters.errors != 0 ||
		row->counters.plans != 0;
}

/*
 * Copy a partition's rows, and add its "other" row. Returns how many there are.
 * Their histograms are copied where they have a value.
 */
static int
copy_partition(int p, HoneStatsRow *copy, uint64 *histogram,
			   HoneStatsRow *other, uint64 *other_histogram)
{
	StatsPartition *part = &store->partition[p];
	StatsHead  *head = partition_heads(p);
	HoneStatsRow *row = partition_rows(p);
	int			n = 0;

	LWLockAcquire(&part->lock, LW_SHARED);
	for (int i = 0; i < store->slots; i++)
	{
		int			first = row[i].first_bucket;

		if (!head[i].used)
			continue;
		copy[n] = row[i];
		if (first < row[i].end_bucket)
			memcpy(&histogram[n * HONE_HISTOGRAM_BUCKETS + first], &histogram_of(p, i)[first],
				   (row[i].end_bucket - first) * sizeof(uint64));
		n++;
	}
	if (has_figures(&row[store->slots]))
		add_to_other(other, other_histogram,
					 &row[store->slots], histogram_of(p, store->slots));
	LWLockRelease(&part->lock);
	return n;
}

/*
 * Hand a copy of every row to the callback, the "other" row last. The callback
 * runs without any lock of ours.
 */
void
hone_stats_store_read(HoneStatsCallback callback, void *arg)
{
	HoneStatsRow *copy = palloc_array(HoneStatsRow, store->slots);
	uint64	   *histogram = palloc(store->slots * HISTOGRAM_SIZE);
	HoneStatsRow *other = palloc_object(HoneStatsRow);
	uint64	   *other_histogram = palloc(HISTOGRAM_SIZE);

	clear_other(other, other_histogram);
	for (int p = 0; p < NUM_PARTITIONS; p++)
	{
		int			n = copy_partition(p, copy, histogram, other, other_histogram);

		for (int i = 0; i < n; i++)
			callback(&copy[i], histogram + i * HONE_HISTOGRAM_BUCKETS, arg);
		CHECK_FOR_INTERRUPTS();
	}
	if (has_figures(other))
		callback(other, other_histogram, arg);
	pfree(copy);
	pfree(histogram);
	pfree(other);
	pfree(other_histogram);
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
		StatsHead  *head = partition_heads(p);
		HoneStatsRow *row = partition_rows(p);

		LWLockAcquire(&part->lock, LW_EXCLUSIVE);
		for (int i = 0; i < store->slots; i++)
		{
			const HoneQueryKey *key = &row[i].key;

			if (!head[i].used ||
				(OidIsValid(userid) && key->userid != userid) ||
				(OidIsValid(dbid) && key->dbid != dbid) ||
				(queryid != 0 && key->queryid != queryid))
				continue;
			unlink_slot(p, i);
			removed++;
		}
		if (all)
		{
			clear_other(&row[store->slots], histogram_of(p, store->slots));
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
