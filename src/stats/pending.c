/*
 * pending.c
 *	  What backends have counted and nobody has collected yet.
 *
 * Each backend has an area in shared memory in which it adds up its own
 * executions, query by query. A statement costs a look-up in a backend-local
 * map and a handful of additions under a spinlock that nobody else wants;
 * contention on a hot query, the trouble with one shared counter a query,
 * cannot arise. The launcher, once a second, and every reader drain the areas
 * of all backends into the shared table (store.c): readers see every statement
 * that has ended, idle backends included, and a backend itself goes to the table
 * only when its area is full.
 *
 * Owner and drainers: only the owner adds entries and takes them all out of use
 * (after draining them). A drainer, which may be any process, copies an entry
 * and zeroes its figures under the area's spinlock, and adds the copy to the
 * table after letting go. Two drainers of the same area do not disturb each
 * other. Between the copy and the addition the figures are in flight, and a
 * concurrent reader may miss them for a moment; they are never lost or doubled.
 *
 * The area outlives its backend: what a backend leaves behind is drained like
 * the rest, and the next owner of the slot drains before it starts. A crash
 * loses the areas along with the table.
 *
 * A query was last seen when its figures were drained, at most a second later
 * than it ran: that spares each statement a look at the time. Durations are
 * counted in a few places of a batch; when they fall too far apart for those,
 * the entry is drained early.
 *
 * Nothing here raises an error or allocates memory, so it may be called while an
 * error is being handled. Parallel workers only report what they read
 * (hone_stats_record_tables), straight to the tallies.
 */
#include "postgres.h"

#include "access/xact.h"
#include "miscadmin.h"
#include "storage/spin.h"
#include "utils/timestamp.h"

#include "base/compat.h"
#include "stats/stats.h"
#include "stats/store.h"

#define PENDING_ENTRIES 32
#define PARALLEL_PLANS 8
#define MAP_SIZE 64				/* a power of two, at least twice the entries */

typedef struct PendingEntry
{
	bool		dirty;
	HoneBatch	batch;
} PendingEntry;

/* A statement that has, or had, parallel workers, and how they know it. */
typedef struct ParallelPlan
{
	HoneQueryKey key;
	uint64		range_table;
} ParallelPlan;

typedef struct PendingArea
{
	/* Written by the owner, before the workers that read it are started. */
	unsigned int next_parallel;
	ParallelPlan parallel[PARALLEL_PLANS];

	slock_t		lock;			/* protects everything below */
	int			used;
	PendingEntry entry[PENDING_ENTRIES];
} PendingArea;

static PendingArea *areas = NULL;

/* This backend's own area, and where in it each query is. */
static PendingArea *my_area = NULL;
static PendingEntry *map[MAP_SIZE];

static Size
pending_size(void)
{
	return mul_size(MaxBackends, sizeof(PendingArea));
}

static void
pending_startup(void *memory, bool found)
{
	areas = (PendingArea *) memory;
	my_area = NULL;
	if (found)
		return;
	for (int i = 0; i < MaxBackends; i++)
	{
		SpinLockInit(&areas[i].lock);
		areas[i].used = 0;
		areas[i].next_parallel = 0;
		memset(areas[i].parallel, 0, sizeof(areas[i].parallel));
		memset(areas[i].entry, 0, sizeof(areas[i].entry));
	}
}

const HoneShmemPart hone_stats_pending_part = {
	.name = "pg_hone pending statistics",
	.size = pending_size,
	.startup = pending_startup,
};

static void
clear_batch(HoneBatch *batch)
{
	memset(&batch->counters, 0, sizeof(batch->counters));
	batch->counters.min_ns = PG_UINT64_MAX;
	batch->ntables = 0;
	batch->nstrays = 0;
	memset(batch->count, 0, sizeof(batch->count));
}

/* Move one entry's figures to the table. */
static pg_noinline void
drain_entry(PendingArea *area, PendingEntry *entry, TimestampTz now)
{
	HoneBatch	copy;
	bool		dirty;

	SpinLockAcquire(&area->lock);
	dirty = entry < &area->entry[area->used] && entry->dirty;
	if (dirty)
	{
		copy = entry->batch;
		clear_batch(&entry->batch);
		entry->dirty = false;
	}
	SpinLockRelease(&area->lock);

	if (dirty)
	{
		copy.last_seen = now;
		hone_stats_spread(&copy, hone_stats_store_add(&copy));
	}
}

static void
drain_area(PendingArea *area)
{
	/* An unlocked look: an entry being added now belongs to the next drain. */
	int			used = *(volatile int *) &area->used;
	TimestampTz now = used > 0 ? GetCurrentTimestamp() : 0;

	for (int i = 0; i < used; i++)
	{
		if (*(volatile bool *) &area->entry[i].dirty)
			drain_entry(area, &area->entry[i], now);
	}
}

void
hone_stats_drain(void)
{
	if (areas == NULL)
		return;
	for (int i = 0; i < MaxBackends; i++)
		drain_area(&areas[i]);
}

/*
 * Take all entries of our own area out of use. Nobody else touches an entry that
 * is not dirty, so there is no need for a copy.
 */
static void
empty_my_area(void)
{
	TimestampTz now = my_area->used > 0 ? GetCurrentTimestamp() : 0;

	for (int i = 0; i < my_area->used; i++)
		hone_stats_store_prefetch(&my_area->entry[i].batch.key, true);
	for (int i = 0; i < my_area->used; i++)
		hone_stats_store_prefetch(&my_area->entry[i].batch.key, false);
	for (int i = 0; i < my_area->used; i++)
	{
		PendingEntry *entry = &my_area->entry[i];
		bool		dirty;

		SpinLockAcquire(&my_area->lock);
		dirty = entry->dirty;
		entry->dirty = false;
		SpinLockRelease(&my_area->lock);
		if (dirty)
		{
			entry->batch.last_seen = now;
			hone_stats_spread(&entry->batch, hone_stats_store_add(&entry->batch));
		}
	}
	SpinLockAcquire(&my_area->lock);
	my_area->used = 0;
	SpinLockRelease(&my_area->lock);
	memset(map, 0, sizeof(map));
}

static bool
have_area(void)
{
	int			index;

	if (likely(my_area != NULL))
		return true;
	if (areas == NULL)
		return false;
	index = hone_backend_index();
	if (index < 0 || index >= MaxBackends)
		return false;
	my_area = &areas[index];
	empty_my_area();
	return true;
}

static inline unsigned int
place_of(const HoneQueryKey *key, uint64 top_queryid)
{
	return (unsigned int) ((key->queryid ^ (key->queryid >> 32) ^ top_queryid ^ key->userid) %
				  MAP_SIZE);
}

static pg_noinline PendingEntry *
add_entry(const HoneQueryKey *key, uint64 top_queryid, CommandTag command)
{
	PendingEntry *entry;
	int			position;

	if (my_area->used == PENDING_ENTRIES)
		empty_my_area();
	entry = &my_area->entry[my_area->used];
	position = place_of(key, top_queryid);
	while (map[position] != NULL)
		position = (position + 1) % MAP_SIZE;

	SpinLockAcquire(&my_area->lock);
	entry->batch.key = *key;
	entry->batch.top_queryid = top_queryid;
	entry->batch.command = command;
	clear_batch(&entry->batch);
	entry->dirty = false;
	my_area->used++;
	SpinLockRelease(&my_area->lock);
	map[position] = entry;
	return entry;
}

static inline bool
same_key(const HoneQueryKey *a, const HoneQueryKey *b)
{
	return a->queryid == b->queryid && a->userid == b->userid &&
		a->dbid == b->dbid && a->toplevel == b->toplevel;
}

/*
 * The entry of a query, or NULL. Only the owner writes keys, so it may read them
 * without the lock.
 */
static inline PendingEntry *
find_entry(const HoneQueryKey *key, uint64 top_queryid)
{
	unsigned int position = place_of(key, top_queryid);
	PendingEntry *entry;

	while ((entry = map[position]) != NULL)
	{
		if (likely(same_key(&entry->batch.key, key) &&
				   entry->batch.top_queryid == top_queryid))
			return entry;
		position = (position + 1) % MAP_SIZE;
	}
	return NULL;
}

/* A bucket whose place is taken by another one. */
static pg_noinline bool
count_stray(HoneBatch *batch, int bucket)
{
	int			i = HONE_BATCH_DIRECT + batch->nstrays;

	if (batch->nstrays == HONE_BATCH_STRAYS)
		return false;
	batch->nstrays++;
	batch->bucket[i] = (uint16) bucket;
	batch->count[i] = 1;
	return true;
}

/* Count a duration in a batch; false if there is no place left for it. */
static inline bool
count_bucket(HoneBatch *batch, int bucket)
{
	unsigned int i = (unsigned int) bucket % HONE_BATCH_DIRECT;

	if (unlikely(batch->count[i] != 0 && batch->bucket[i] != bucket))
		return count_stray(batch, bucket);
	batch->bucket[i] = (uint16) bucket;
	batch->count[i]++;
	return true;
}

/* What most executions do not have. */
static pg_noinline void
count_unusual(HoneCounters *counters, const HoneExecution *execution)
{
	if (execution->outcome != HONE_COMPLETED)
	{
		counters->calls--;
		counters->errors++;
		if (execution->outcome == HONE_CANCELLED)
			counters->cancels++;
	}
	counters->caught += execution->caught_errors;
	counters->jit_functions += execution->jit_functions;
	counters->jit_ns += execution->jit_ns;
	counters->usage.shared_blks_hit -= execution->usage.shared_blks_hit;
	hone_usage_add(&counters->usage, &execution->usage);
}

static inline void
count_execution(HoneCounters *counters, const HoneExecution *execution)
{
	uint64		ns = execution->exec_ns;
	double		ms = (double) (int64) ns * 1e-6;

	counters->calls++;
	counters->rows += (int64) execution->rows;
	counters->exec_ns += ns;
	counters->min_ns = Min(counters->min_ns, ns);
	counters->max_ns = Max(counters->max_ns, ns);
	counters->square_ms += ms * ms;
	counters->usage.shared_blks_hit += execution->usage.shared_blks_hit;
	if (execution->plan_ns != 0)
	{
		counters->plans++;
		counters->plan_ns += execution->plan_ns;
	}
	if (execution->plan_kind == HONE_PLAN_GENERIC)
		counters->generic++;
	else if (execution->plan_kind == HONE_PLAN_CUSTOM)
		counters->custom++;
	if (unlikely(execution->unusual))
		count_unusual(counters, execution);
}

/*
 * Add what was read of a table. A plan reads its tables in the same order each
 * time, so a table is mostly in its place. More tables than there is room for
 * are left out.
 */
static pg_noinline void
count_table(HoneBatch *batch, const HoneTableRead *read)
{
	int			i = 0;

	while (i < batch->ntables && batch->tables[i].relid != read->relid)
		i++;
	if (i == HONE_BATCH_TABLES)
		return;
	if (i == batch->ntables)
	{
		batch->tables[i] = *read;
		batch->ntables++;
		return;
	}
	batch->tables[i].is_target |= read->is_target;
	batch->tables[i].seq_rows += read->seq_rows;
	batch->tables[i].index_rows += read->index_rows;
}

static inline void
count_tables(HoneBatch *batch, const HoneExecution *execution)
{
	for (int i = 0; i < execution->ntables; i++)
	{
		const HoneTableRead *read = &execution->tables[i];
		HoneTableRead *sum = &batch->tables[i];

		if (likely(i < batch->ntables && sum->relid == read->relid &&
				   sum->is_target == read->is_target))
		{
			sum->seq_rows += read->seq_rows;
			sum->index_rows += read->index_rows;
		}
		else
			count_table(batch, read);
	}
}

/*
 * Normally the text came when the statement was parsed. Not so for one that
 * was prepared before its text was evicted, or by another role. Asked once for
 * each entry; not while an error is handled.
 */
static pg_noinline void
bring_text(const HoneExecution *execution)
{
	int			length;
	const char *text = hone_record_text(execution, &length);

	if (execution->outcome == HONE_COMPLETED && execution->query_desc != NULL &&
		execution->text_is_safe)
		hone_stats_remember_text(&execution->key, text, length, 0, NULL);
}

bool
hone_stats_record(const HoneExecution *execution)
{
	int			bucket = hone_histogram_bucket(execution->exec_ns);
	PendingEntry *entry;

	if (unlikely(my_area == NULL) && !have_area())
		return false;
	entry = find_entry(&execution->key, execution->top_queryid);
	if (unlikely(entry == NULL))
	{
		bring_text(execution);
		entry = add_entry(&execution->key, execution->top_queryid, execution->command);
	}
	if (unlikely(execution->unusual) && execution->outcome != HONE_COMPLETED)
		hone_stats_count_error(&execution->key, execution->sqlerrcode);

	for (;;)
	{
		bool		first;

		SpinLockAcquire(&my_area->lock);
		first = !entry->dirty;
		if (likely(count_bucket(&entry->batch, bucket)))
		{
			count_execution(&entry->batch.counters, execution);
			count_tables(&entry->batch, execution);
			entry->dirty = true;
			SpinLockRelease(&my_area->lock);
			return first;
		}
		SpinLockRelease(&my_area->lock);
		/* Empty the entry, then it fits. */
		drain_entry(my_area, entry, GetCurrentTimestamp());
	}
}

void
hone_stats_record_plan(const HoneQueryKey *key, uint64 top_queryid, CommandTag command,
					   uint64 plan_ns)
{
	PendingEntry *entry;

	if (!have_area())
		return;
	entry = find_entry(key, top_queryid);
	if (entry == NULL)
		entry = add_entry(key, top_queryid, command);

	SpinLockAcquire(&my_area->lock);
	entry->batch.counters.plans++;
	entry->batch.counters.plan_ns += plan_ns;
	entry->dirty = true;
	SpinLockRelease(&my_area->lock);
}

/*
 * The server tells a parallel worker the id of the top level statement, which
 * need not be that of the one it works for. So the leader says it here before
 * it starts workers, and says so of one that is not to be counted. A function in
 * the plan can run a statement that has workers too, while the others are still
 * at work: so each is told by its range table, in a place that only another
 * plan over the same tables takes, or the PARALLEL_PLANS-th one after it.
 */
void
hone_stats_announce_parallel(const HoneQueryKey *key, uint64 range_table)
{
	ParallelPlan *plan = NULL;

	if (!have_area())
		return;
	for (int i = 0; i < PARALLEL_PLANS && plan == NULL; i++)
	{
		if (my_area->parallel[i].range_table == range_table)
			plan = &my_area->parallel[i];
	}
	if (plan == NULL)
		plan = &my_area->parallel[my_area->next_parallel++ % PARALLEL_PLANS];
	memset(&plan->key, 0, sizeof(plan->key));
	if (key)
		plan->key = *key;
	plan->range_table = range_table;
}

/* Whom this parallel worker works for; queryid 0 if that is not to be counted. */
static HoneQueryKey
announced(uint64 range_table)
{
	int			leader = hone_parallel_leader_index();
	HoneQueryKey none = {0};

	if (leader < 0 || leader >= MaxBackends)
		return none;
	for (int i = 0; i < PARALLEL_PLANS; i++)
	{
		if (areas[leader].parallel[i].range_table == range_table)
			return areas[leader].parallel[i].key;
	}
	return none;
}

/* Once for each parallel worker and execution: not worth an entry. */
void
hone_stats_record_tables(const HoneExecution *execution, uint64 range_table)
{
	HoneBatch	batch;

	if (areas == NULL || execution->ntables == 0)
		return;
	memset(&batch, 0, sizeof(batch));

	/* What a function runs in a worker has an id of its own. */
	batch.key = execution->nesting > 0 ? execution->key : announced(range_table);
	if (batch.key.queryid == 0)
		return;
	batch.command = execution->command;
	batch.last_seen = GetCurrentTimestamp();
	count_tables(&batch, execution);
	hone_stats_spread(&batch, true);
}
