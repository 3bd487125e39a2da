/*
 * store.c
 *	  Samples in shared memory.
 *
 * A fixed table of slots, one for each (query, role, database), in sets of 16:
 * a key belongs to one set, found by hash, so that nothing is ever searched but
 * 16 keys. A full set gives up its least used slot. Use is the logarithm of the
 * executions seen, and fades as others come and go, so a flood of queries
 * that run once pushes out its own kind and not what runs all the time. And only
 * so many of them: a full set has a door (base/door.h), which keeps out those
 * that would have to go before they come again.
 *
 * A slot has up to six samples, of two kinds. Typical ones were taken because it
 * was their turn, whatever they took: the first three executions, then one each
 * time the executions seen have doubled, at the latest after MAX_GAP. They are
 * a fair draw, so what most executions are like is among them. The others were
 * taken because each was slower than all before it. Of a full slot each kind
 * keeps at least its own: four places and two. There the sample goes that says
 * least: the one whose neighbours in duration, of the same kind, are closest to
 * each other on a logarithmic scale, and of equals the oldest. The slowest of
 * all never goes. So six samples show both modes of a query that is mostly fast,
 * and no row of outliers pushes out what is usual. The same text with the same
 * values, under settings that make the same plan, is kept once, with its longest
 * duration.
 *
 * Locks: LOCKS partition locks, each for every LOCKS-th set. Under them there
 * is comparing, copying and freeing in the arena, and never more than one is
 * held. A block is allocated and filled before its lock is taken. Ids are given
 * out under the lock of the set, so that who takes that lock later sees all
 * samples up to an id read before.
 *
 * Nothing here raises an error. Least of all under a lock: the error would pass
 * through the hooks, which may take the same lock.
 */
#include "postgres.h"

#include <math.h>

#include "access/xact.h"
#include "common/hashfn.h"
#include "miscadmin.h"
#include "port/atomics.h"
#include "port/pg_bitutils.h"
#include "utils/guc.h"

#include "base/door.h"
#include "base/shmem.h"
#include "workload/store.h"

#define LOCKS 16
#define SLOTS HONE_SAMPLE_SLOTS_PER_SET
#define SAMPLES HONE_SAMPLES_PER_QUERY
#define FIRST_SAMPLES 3
#define TYPICAL_SAMPLES 4		/* of SAMPLES */
#define MAX_GAP UINT64CONST(100000)
#define MAX_WAIT UINT64CONST(1000)	/* until the next visit, so that use shows */
#define FADE_EVERY 16			/* evictions in a set */
#define GHOSTS 64				/* in a set, a power of two */
#define PASS_INTERVAL_US (4 * USECS_PER_SEC)	/* in a set */

typedef struct Sample
{
	dsa_pointer block;
	uint64		id;
	uint64		hash;
	uint64		duration_ns;
	TimestampTz captured_at;
	uint32		size;
	bool		typical;
} Sample;

typedef struct Slot
{
	uint64		seen;			/* executions */
	uint64		next_at;		/* sample at this many */
	int			nsamples;
	Sample		samples[SAMPLES];
} Slot;

typedef struct Set
{
	HoneSampleKey keys[SLOTS];	/* queryid 0: free */
	int32		uses[SLOTS];
	uint32		evictions;
	Slot		slots[SLOTS];
} Set;

/*
 * What is looked at to turn somebody away: all sets' close together, so that it
 * stays in the processor's cache.
 */
typedef struct Front
{
	uint16		tags[SLOTS];	/* of keys; of a free one whatever it was */
	int			used;			/* slots */
	HoneDoor	door;
} Front;

typedef struct Store
{
	LWLock		locks[LOCKS];
	int			nsets;
	pg_atomic_uint64 next_id;
	pg_atomic_uint64 used_bytes;	/* of the arena */
	pg_atomic_uint64 captured;
	pg_atomic_uint64 evictions;
	pg_atomic_uint64 lost;
	pg_atomic_uint64 too_long;
	pg_atomic_uint64 secrets;
	Set			sets[FLEXIBLE_ARRAY_MEMBER];
} Store;

static Store *store = NULL;
static Front *fronts = NULL;	/* of the sets */
static HoneGhost *ghosts = NULL;	/* GHOSTS of each set */
static int	max_queries = 2000;

static int
wanted_sets(void)
{
	return (max_queries + SLOTS - 1) / SLOTS;
}

static Size
store_bytes(void)
{
	return offsetof(Store, sets) +
		(Size) wanted_sets() * (sizeof(Set) + sizeof(Front) + GHOSTS * sizeof(HoneGhost));
}

static void
store_startup(void *memory, bool found)
{
	store = (Store *) memory;
	fronts = (Front *) (store->sets + wanted_sets());
	ghosts = (HoneGhost *) (fronts + wanted_sets());
	if (found)
		return;
	memset(store, 0, store_bytes());
	for (int i = 0; i < LOCKS; i++)
		hone_shmem_init_lock(&store->locks[i]);
	store->nsets = wanted_sets();
	pg_atomic_init_u64(&store->next_id, (uint64) GetCurrentTimestamp());
	pg_atomic_init_u64(&store->used_bytes, 0);
	pg_atomic_init_u64(&store->captured, 0);
	pg_atomic_init_u64(&store->evictions, 0);
	pg_atomic_init_u64(&store->lost, 0);
	pg_atomic_init_u64(&store->too_long, 0);
	pg_atomic_init_u64(&store->secrets, 0);
}

static const HoneShmemPart store_part = {
	.name = "pg_hone samples",
	.size = store_bytes,
	.startup = store_startup,
};

void
hone_sample_store_init(void)
{
	if (!process_shared_preload_libraries_in_progress)
		return;
	DefineCustomIntVariable("pg_hone.max_sampled_queries",
							"Sets of how many queries samples are kept in shared memory.",
							NULL,
							&max_queries,
							2000, 16, 1000000,
							PGC_POSTMASTER,
							0,
							NULL, NULL, NULL);
	hone_shmem_register(&store_part);
}

bool
hone_sample_store_ready(void)
{
	return store != NULL;
}

/* Samples may take this much of the arena. */
static inline uint64
arena_share(void)
{
	return hone_arena_size() / 3;
}

/*
 * Blocks
 */

static inline Size
relations_offset(void)
{
	return MAXALIGN(sizeof(HoneSampleBlock));
}

static inline Size
params_offset(const HoneSampleBlock *block)
{
	return relations_offset() + MAXALIGN(block->nrelations * sizeof(Oid));
}

const Oid *
hone_sample_relations(const HoneSampleBlock *block)
{
	return (const Oid *) ((const char *) block + relations_offset());
}

const HoneParams *
hone_sample_params(const HoneSampleBlock *block)
{
	if (block->params_len == 0)
		return NULL;
	return (const HoneParams *) ((const char *) block + params_offset(block));
}

const char *
hone_sample_block_text(const HoneSampleBlock *block)
{
	return (const char *) block + params_offset(block) + block->params_len;
}

const char *
hone_sample_path(const HoneSampleBlock *block)
{
	return hone_sample_block_text(block) + block->text_len;
}

const char *
hone_sample_settings(const HoneSampleBlock *block)
{
	return hone_sample_path(block) + block->path_len;
}

static void
fill_block(HoneSampleBlock *block, const HoneSampleParts *parts, uint32 size)
{
	char	   *base = (char *) block;

	memcpy(block, &parts->head, sizeof(HoneSampleBlock));
	block->size = size;
	memcpy(base + relations_offset(), parts->relations,
		   parts->head.nrelations * sizeof(Oid));
	base += params_offset(block);
	if (parts->head.params_len > 0)
		memcpy(base, parts->params, parts->head.params_len);
	base += parts->head.params_len;
	memcpy(base, parts->text, parts->head.text_len);
	base += parts->head.text_len;
	memcpy(base, parts->path, parts->head.path_len);
	base += parts->head.path_len;
	memcpy(base, parts->settings, parts->head.settings_len);
}

static uint64
hash_parts(const HoneSampleParts *parts)
{
	uint64		hash;

	hash = hash_bytes_extended((const unsigned char *) parts->text,
							   (int) parts->head.text_len, 0);
	if (parts->head.params_len > 0)
		hash = hash_bytes_extended((const unsigned char *) parts->params,
								   (int) parts->head.params_len, hash);
	if (parts->plan_settings_len > 0)
		hash = hash_bytes_extended((const unsigned char *) parts->settings,
								   (int) parts->plan_settings_len, hash);
	return hash;
}

/*
 * Slots
 */

static inline uint64
hash_of(const HoneSampleKey *key)
{
	return hash_bytes_extended((const unsigned char *) key, sizeof(HoneSampleKey), 0);
}

static inline int
set_of(const HoneSampleKey *key)
{
	return (int) (hash_of(key) % store->nsets);
}

static inline LWLock *
lock_of(int set)
{
	return &store->locks[set % LOCKS];
}

static void
free_sample(Sample *sample)
{
	hone_arena_free(sample->block);
	pg_atomic_fetch_sub_u64(&store->used_bytes, sample->size);
	memset(sample, 0, sizeof(*sample));
}

static void
free_slot(int number, int i)
{
	Set		   *set = &store->sets[number];
	Slot	   *slot = &set->slots[i];

	for (int j = 0; j < slot->nsamples; j++)
		free_sample(&slot->samples[j]);
	memset(slot, 0, sizeof(*slot));
	memset(&set->keys[i], 0, sizeof(set->keys[i]));
	set->uses[i] = 0;
	fronts[number].used--;
}

/* The least used of a set's slots that are in use; -1 if none is. Lock held. */
static int
least_used(const Set *set)
{
	int			least = -1;

	for (int i = 0; i < SLOTS; i++)
	{
		if (set->keys[i].queryid != 0 && (least < 0 || set->uses[i] < set->uses[least]))
			least = i;
	}
	return least;
}

/* Give up the least used slot; returns which, -1 for none. Caller holds the lock. */
static int
evict(int number)
{
	Set		   *set = &store->sets[number];
	int			victim = least_used(set);

	if (victim < 0)
		return -1;
	free_slot(number, victim);
	pg_atomic_fetch_add_u64(&store->evictions, 1);
	if (++set->evictions % FADE_EVERY == 0)
	{
		for (int i = 0; i < SLOTS; i++)
			set->uses[i] = Max(set->uses[i] - 1, 0);
	}
	return victim;
}

static inline uint16
tag_of(uint64 hash)
{
	return (uint16) (hash >> 48);
}

/* The key's slot, or -1. Caller holds the lock, or does not mind. */
static inline int
search(int number, const HoneSampleKey *key, uint64 hash)
{
	const Set  *set = &store->sets[number];
	const Front *front = &fronts[number];

	for (int i = 0; i < SLOTS; i++)
	{
		if (front->tags[i] == tag_of(hash) && set->keys[i].queryid == key->queryid &&
			set->keys[i].userid == key->userid && set->keys[i].dbid == key->dbid)
			return i;
	}
	return -1;
}

/* The key's slot; a new one if need be. Caller holds the lock. */
static int
find_slot(int number, const HoneSampleKey *key)
{
	Set		   *set = &store->sets[number];
	Front	   *front = &fronts[number];
	uint64		hash = hash_of(key);
	int			i = search(number, key, hash);

	if (i >= 0)
		return i;
	for (i = 0; i < SLOTS && set->keys[i].queryid != 0; i++)
		;
	if (i == SLOTS)
	{
		i = evict(number);
		front->door.passes = Max(front->door.passes - 1, 0);
	}
	front->used++;
	front->tags[i] = tag_of(hash);
	set->keys[i] = *key;
	set->slots[i].next_at = FIRST_SAMPLES + 1;
	return i;
}

/*
 * Is a visit worth while? Not if the set is full, and the key is not let in. Who
 * came often lately is compared with who is used least.
 *
 * This takes no lock: passes are counted, and slots given away, by the visit. What
 * two processes do to a door or a ghost at the same moment may get lost, which
 * does no harm.
 */
bool
hone_sample_may_enter(const HoneSampleKey *key, uint64 duration_ns)
{
	uint64		hash = hash_of(key);
	int			number = (int) (hash % store->nsets);
	Front	   *front = &fronts[number];
	int			lately;
	int			victim;

	/* What is slow may cost something. */
	if (front->used < SLOTS || duration_ns > HONE_DOOR_SLOW_NS ||
		search(number, key, hash) >= 0 ||
		hone_door_passes(&front->door, GetCurrentStatementStartTimestamp(), PASS_INTERVAL_US) > 0)
		return true;
	lately = hone_door_count(&front->door, ghosts + number * GHOSTS, GHOSTS,
							 (uint32) (hash >> 32), 1);
	if (lately < 2)
		return false;
	/* More than luck. */
	victim = least_used(&store->sets[number]);
	return victim < 0 ||
		pg_leftmost_one_pos32((uint32) lately) > store->sets[number].uses[victim] + 1;
}

static uint64
slowest_of(const Slot *slot)
{
	uint64		slowest = 0;

	for (int i = 0; i < slot->nsamples; i++)
		slowest = Max(slowest, slot->samples[i].duration_ns);
	return slowest;
}

void
hone_sample_visit(const HoneSampleKey *key, uint64 executions, bool due,
				  uint64 duration_ns, HoneSampleAdvice *advice)
{
	int			number = set_of(key);
	Set		   *set = &store->sets[number];
	Slot	   *slot;
	int			i;

	LWLockAcquire(lock_of(number), LW_EXCLUSIVE);
	i = find_slot(number, key);
	slot = &set->slots[i];
	slot->seen += executions;
	set->uses[i] = Max(set->uses[i], pg_leftmost_one_pos64(slot->seen) + 1);

	advice->slowest_ns = slowest_of(slot);
	advice->typical = slot->nsamples == 0 ||
		(due && (slot->seen <= FIRST_SAMPLES || slot->seen >= slot->next_at));
	advice->wanted = advice->typical || duration_ns > advice->slowest_ns;
	if (due && slot->seen >= slot->next_at)
		slot->next_at = slot->seen + Min(slot->seen, MAX_GAP);
	advice->wait = slot->seen < FIRST_SAMPLES || slot->seen >= slot->next_at ? 1
		: Min(slot->next_at - slot->seen, MAX_WAIT);
	LWLockRelease(lock_of(number));
}

/*
 * The durations next to a sample's own among those of its kind and the new one.
 * At either end as if there were another: twice as fast, or none slower.
 */
static double
gap_around(const Slot *slot, int i, uint64 new_ns)
{
	const Sample *sample = &slot->samples[i];
	uint64		own = Max(sample->duration_ns, 2);
	uint64		below = 0;
	uint64		above = PG_UINT64_MAX;

	for (int j = 0; j <= slot->nsamples; j++)
	{
		uint64		other;

		if (j == i || (j < slot->nsamples && slot->samples[j].typical != sample->typical))
			continue;
		other = j < slot->nsamples ? slot->samples[j].duration_ns : new_ns;
		if (other <= own)
			below = Max(below, other);
		else
			above = Min(above, other);
	}
	if (below == 0)
		below = own / 2;
	if (above == PG_UINT64_MAX)
		above = own;
	return log((double) above) - log((double) below);
}

/*
 * Which sample of a full slot to give up for a new one: of the kind that has
 * more than its places.
 */
static int
least_telling(const Slot *slot, bool typical, uint64 duration_ns)
{
	int			ntypical = typical ? 1 : 0;
	int			victim = -1;
	int			slowest = 0;
	double		least = 0;
	bool		kind;

	for (int i = 0; i < slot->nsamples; i++)
	{
		ntypical += slot->samples[i].typical ? 1 : 0;
		if (slot->samples[i].duration_ns > slot->samples[slowest].duration_ns)
			slowest = i;
	}
	kind = ntypical > TYPICAL_SAMPLES;

	for (int i = 0; i < slot->nsamples; i++)
	{
		const Sample *sample = &slot->samples[i];
		double		gap;

		if (sample->typical != kind ||
			(i == slowest && duration_ns <= sample->duration_ns))
			continue;
		gap = gap_around(slot, i, duration_ns);
		if (victim < 0 || gap < least - 0.1 ||
			(gap < least + 0.1 && sample->id < slot->samples[victim].id))
		{
			victim = i;
			least = gap;
		}
	}
	return victim >= 0 ? victim : (slowest + 1) % slot->nsamples;
}

/*
 * Take room in the arena; when our share of it is used up, at the cost of
 * another slot of the set. When the arena itself is full, giving up samples
 * would not help: small pieces come out of blocks that others share.
 */
static dsa_pointer
allocate_block(int number, uint32 size)
{
	dsa_pointer block;

	for (int tries = 0; tries < 3; tries++)
	{
		if (pg_atomic_add_fetch_u64(&store->used_bytes, size) <= arena_share())
		{
			block = hone_arena_alloc(size);
			if (!DsaPointerIsValid(block))
				pg_atomic_fetch_sub_u64(&store->used_bytes, size);
			return block;
		}
		pg_atomic_fetch_sub_u64(&store->used_bytes, size);

		LWLockAcquire(lock_of(number), LW_EXCLUSIVE);
		(void) evict(number);
		LWLockRelease(lock_of(number));
	}
	return InvalidDsaPointer;
}

void
hone_sample_add(const HoneSampleKey *key, const HoneSampleParts *parts)
{
	int			number = set_of(key);
	Set		   *set = &store->sets[number];
	uint64		hash = hash_parts(parts);
	uint32		size;
	dsa_pointer block;
	Slot	   *slot;
	Sample	   *sample = NULL;
	int			place;
	bool		typical;

	size = (uint32) params_offset(&parts->head) + parts->head.params_len +
		parts->head.text_len + parts->head.path_len + parts->head.settings_len;
	block = allocate_block(number, size);
	if (!DsaPointerIsValid(block))
	{
		pg_atomic_fetch_add_u64(&store->lost, 1);
		return;
	}
	fill_block(hone_arena_address(block), parts, size);

	LWLockAcquire(lock_of(number), LW_EXCLUSIVE);
	place = find_slot(number, key);
	slot = &set->slots[place];
	set->uses[place] = Max(set->uses[place], 1);
	for (int i = 0; i < slot->nsamples; i++)
	{
		if (slot->samples[i].hash == hash)
			sample = &slot->samples[i];
	}
	if (sample != NULL && sample->duration_ns >= parts->duration_ns)
	{
		/* Still going on: let retention see that now and then. */
		if (parts->captured_at - sample->captured_at > USECS_PER_DAY)
		{
			sample->captured_at = parts->captured_at;
			sample->id = pg_atomic_add_fetch_u64(&store->next_id, 1);
		}
		LWLockRelease(lock_of(number));
		hone_arena_free(block);
		pg_atomic_fetch_sub_u64(&store->used_bytes, size);
		return;
	}
	if (sample == NULL)
		sample = slot->nsamples < SAMPLES ? &slot->samples[slot->nsamples++]
			: &slot->samples[least_telling(slot, parts->typical, parts->duration_ns)];
	typical = parts->typical || (sample->hash == hash && sample->typical);
	if (DsaPointerIsValid(sample->block))
		free_sample(sample);

	sample->block = block;
	sample->size = size;
	sample->typical = typical;
	sample->hash = hash;
	sample->duration_ns = parts->duration_ns;
	sample->captured_at = parts->captured_at;
	sample->id = pg_atomic_add_fetch_u64(&store->next_id, 1);
	LWLockRelease(lock_of(number));
	pg_atomic_fetch_add_u64(&store->captured, 1);
}

void
hone_sample_count_too_long(void)
{
	pg_atomic_fetch_add_u64(&store->too_long, 1);
}

void
hone_sample_count_secret(void)
{
	pg_atomic_fetch_add_u64(&store->secrets, 1);
}

/*
 * Reading
 */

uint64
hone_sample_highest_id(void)
{
	return pg_atomic_read_u64(&store->next_id);
}

int
hone_sample_nsets(void)
{
	return store->nsets;
}

int
hone_sample_copy_set(int number, Oid dbid, uint64 after_id, uint64 upto_id,
					 bool with_blocks, HoneSampleCopy *copies)
{
	Set		   *set = &store->sets[number];
	int			n = 0;

	LWLockAcquire(lock_of(number), LW_SHARED);
	for (int i = 0; i < SLOTS; i++)
	{
		Slot	   *slot = &set->slots[i];

		if (set->keys[i].queryid == 0 || set->keys[i].dbid != dbid)
			continue;
		for (int j = 0; j < slot->nsamples; j++)
		{
			Sample	   *sample = &slot->samples[j];
			HoneSampleCopy *copy = &copies[n];

			if (sample->id <= after_id || sample->id > upto_id)
				continue;
			copy->key = set->keys[i];
			copy->id = sample->id;
			copy->hash = sample->hash;
			copy->duration_ns = sample->duration_ns;
			copy->captured_at = sample->captured_at;
			copy->block = NULL;
			if (with_blocks)
			{
				copy->block = palloc_extended(sample->size, MCXT_ALLOC_NO_OOM);
				if (copy->block == NULL)
				{
					LWLockRelease(lock_of(number));
					return -1;
				}
				memcpy(copy->block, hone_arena_address(sample->block), sample->size);
			}
			n++;
		}
	}
	LWLockRelease(lock_of(number));
	return n;
}

void
hone_sample_counters(HoneSampleCounters *counters)
{
	memset(counters, 0, sizeof(*counters));
	for (int i = 0; i < store->nsets; i++)
	{
		LWLockAcquire(lock_of(i), LW_SHARED);
		for (int j = 0; j < SLOTS; j++)
		{
			if (store->sets[i].slots[j].nsamples == 0)
				continue;
			counters->queries++;
			counters->samples += store->sets[i].slots[j].nsamples;
		}
		LWLockRelease(lock_of(i));
	}
	counters->captured = pg_atomic_read_u64(&store->captured);
	counters->evictions = pg_atomic_read_u64(&store->evictions);
	counters->lost = pg_atomic_read_u64(&store->lost);
	counters->too_long = pg_atomic_read_u64(&store->too_long);
	counters->secrets = pg_atomic_read_u64(&store->secrets);
	counters->memory_bytes = store_bytes() + pg_atomic_read_u64(&store->used_bytes);
}
