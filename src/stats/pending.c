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
 * Nothing here raises an error or allocates memory, so it may be called while an
 * error is being handled. Not called in parallel workers: their leader reports
 * for them.
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
#define MAP_SIZE 64				/* a power of two, at least twice the entries */

typedef struct PendingArea
{
	slock_t		lock;			/* protects everything below */
	int			used;
	bool		dirty[PENDING_ENTRIES];
	HoneBatch	batch[PENDING_ENTRIES];
} PendingArea;

static PendingArea *areas = NULL;

/* This backend's own area, and where in it each query is (0: nowhere). */
static PendingArea *my_area = NULL;
static uint8 map[MAP_SIZE];

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
		memset(areas[i].dirty, 0, sizeof(areas[i].dirty));
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
	memset(batch->count, 0, sizeof(batch->count));
}

/* Move one entry's figures to the table. */
static void
drain_entry(PendingArea *area, int i)
{
	HoneBatch	copy;
	bool		dirty;

	SpinLockAcquire(&area->lock);
	dirty = i < area->used && area->dirty[i];
	if (dirty)
	{
		copy = area->batch[i];
		clear_batch(&area->batch[i]);
		area->dirty[i] = false;
	}
	SpinLockRelease(&area->lock);

	if (dirty)
	{
		hone_stats_store_add(&copy);
		hone_stats_spread(&copy);
	}
}

static void
drain_area(PendingArea *area)
{
	/* An unlocked look: an entry being added now belongs to the next drain. */
	int			used = *(volatile int *) &area->used;

	for (int i = 0; i < used; i++)
	{
		if (*(volatile bool *) &area->dirty[i])
			drain_entry(area, i);
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

/* Take all entries of our own area out of use. */
static void
empty_my_area(void)
{
	drain_area(my_area);
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

static int
add_entry(int position, const HoneQueryKey *key, CommandTag command)
{
	int			i = my_area->used;

	SpinLockAcquire(&my_area->lock);
	my_area->batch[i].key = *key;
	my_area->batch[i].top_queryid = 0;
	my_area->batch[i].ntables = 0;
	my_area->batch[i].command = command;
	my_area->batch[i].last_seen = 0;
	clear_batch(&my_area->batch[i]);
	my_area->dirty[i] = false;
	my_area->used = i + 1;
	SpinLockRelease(&my_area->lock);
	map[position] = (uint8) (i + 1);
	return i;
}

/* Only the owner writes keys, so it may read them without the lock. */
static int
find_entry(const HoneQueryKey *key, CommandTag command, bool *is_new)
{
	int			position;

	for (position = (int) ((key->queryid ^ key->userid ^ key->toplevel) % MAP_SIZE);
		 map[position] != 0;
		 position = (position + 1) % MAP_SIZE)
	{
		int			i = map[position] - 1;

		if (memcmp(&my_area->batch[i].key, key, sizeof(*key)) == 0)
			return i;
	}
	if (my_area->used == PENDING_ENTRIES)
	{
		empty_my_area();
		position = (int) ((key->queryid ^ key->userid ^ key->toplevel) % MAP_SIZE);
	}
	*is_new = true;
	return add_entry(position, key, command);
}

/* Count a duration in a batch; false if its place is taken by another bucket. */
static inline bool
count_bucket(HoneBatch *batch, int bucket)
{
	int			i = bucket % HONE_BATCH_BUCKETS;

	if (batch->count[i] != 0 && batch->bucket[i] != bucket)
		return false;
	batch->bucket[i] = (uint16) bucket;
	batch->count[i]++;
	return true;
}

static inline void
count_execution(HoneCounters *counters, const HoneExecution *execution)
{
	double		ms = (double) execution->exec_ns / 1000000.0;

	if (execution->outcome == HONE_COMPLETED)
		counters->calls++;
	else
	{
		counters->errors++;
		if (execution->outcome == HONE_CANCELLED)
			counters->cancels++;
	}
	counters->rows += (int64) execution->rows;
	counters->exec_ns += execution->exec_ns;
	counters->min_ns = Min(counters->min_ns, execution->exec_ns);
	counters->max_ns = Max(counters->max_ns, execution->exec_ns);
	counters->square_ms += ms * ms;
	hone_usage_add(&counters->usage, &execution->usage);
}

/*
 * Normally the text came when the statement was parsed. Not so for one that
 * was prepared before its text was evicted, or by another role. Asked once for
 * each entry; not while an error is handled.
 */
static void
bring_text(const HoneExecution *execution)
{
	int			length;
	const char *text = hone_record_text(execution, &length);

	if (execution->outcome == HONE_COMPLETED && execution->query_desc != NULL &&
		execution->text_is_safe)
		hone_stats_remember_text(&execution->key, text, length, 0, NULL);
}

void
hone_stats_record(const HoneExecution *execution)
{
	int			bucket = hone_histogram_bucket(execution->exec_ns);
	int			i;
	bool		is_new = false;

	if (!have_area())
		return;
	if (execution->outcome != HONE_COMPLETED)
		hone_stats_count_error(&execution->key, execution->sqlerrcode);
	i = find_entry(&execution->key, execution->command, &is_new);
	if (is_new)
		bring_text(execution);

	for (;;)
	{
		HoneBatch  *batch = &my_area->batch[i];
		bool		counted;

		SpinLockAcquire(&my_area->lock);
		counted = count_bucket(batch, bucket);
		if (counted)
		{
			count_execution(&batch->counters, execution);
			batch->last_seen = GetCurrentStatementStartTimestamp();
			my_area->dirty[i] = true;
		}
		SpinLockRelease(&my_area->lock);
		if (counted)
			return;
		/* Two durations fell on one place: empty the entry, then it fits. */
		drain_entry(my_area, i);
	}
}

void
hone_stats_record_plan(const HoneQueryKey *key, CommandTag command, uint64 plan_ns)
{
	HoneBatch  *batch;
	int			i;
	bool		is_new;

	if (!have_area())
		return;
	i = find_entry(key, command, &is_new);
	batch = &my_area->batch[i];

	SpinLockAcquire(&my_area->lock);
	batch->counters.plans++;
	batch->counters.plan_ns += plan_ns;
	batch->last_seen = GetCurrentStatementStartTimestamp();
	my_area->dirty[i] = true;
	SpinLockRelease(&my_area->lock);
}
