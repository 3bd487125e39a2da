/*
 * text.c
 *	  Query texts: normalised once, kept once a query and role.
 *
 * A text arrives when its statement is parsed, the only moment at which the
 * places of its constants are known (normalise.c). The statistics of the query come later
 * and pin the text as long as they are kept; a text nobody has pinned (parsed,
 * never executed; or its statistics were evicted) makes room for others. There
 * is no file: texts live in the arena, cut at pg_hone.max_query_length.
 *
 * Each role has its own copy, because the same query can be written with other
 * comments and aliases, which are nobody else's business.
 *
 * A backend remembers in a small local cache where it has seen a text. A look
 * without a lock at that slot tells whether the text is still there, so that a
 * statement parsed before costs a few comparisons. If the text is being removed
 * at that very moment, it comes back in the way described next.
 *
 * A text that would push out another must get past the door (base/door.h), so
 * that a flood of queries that nobody will ask for is not normalised at all. When
 * a query has got a row nevertheless, its text is wanted, and kept when it comes
 * next.
 *
 * A statement that was prepared long ago, or by another role, may be executed
 * when its text is gone: pending.c then brings the text, of which everything
 * that looks like a constant is replaced.
 * A role has two rows for a query that runs both nested and at top level; of two
 * made before the text came only one holds a pin but both let go of one, so the
 * text of the other row may be evicted early, and comes back in the same way.
 *
 * Locks: NUM_PARTITIONS partitions with an LWLock each, taken last (statistics
 * partition, then text partition, then the arena's own). Texts are normalised
 * before any lock is taken. A search looks at tags, which lie close together,
 * and only at the slots whose tag fits.
 */
#include "postgres.h"

#include "common/hashfn.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/guc.h"
#include "utils/timestamp.h"

#include "base/compat.h"
#include "base/door.h"
#include "stats/identity.h"
#include "stats/stats.h"
#include "stats/store.h"

#define NUM_PARTITIONS 64
#define CACHE_SIZE 512
#define WANTED 16				/* a power of two */
#define PASS_INTERVAL_US USECS_PER_SEC

typedef struct TextSlot
{
	uint64		queryid;
	Oid			dbid;
	Oid			userid;
	int			pins;			/* rows of the statistics that need it */
	int			encoding;
	int			length;
	dsa_pointer text;			/* InvalidDsaPointer: the slot is free */
} TextSlot;

typedef struct TextPartition
{
	LWLock		lock;
	int			hand;
	int64		kept;
	int64		lost;
	Size		bytes;			/* of the texts kept */
	HoneDoor	door;
	uint32		wanted_hand;
	int			nwanted;		/* of those below that are not 0 */
	uint64		wanted[WANTED]; /* hashes of queries with a row and no text */
} TextPartition;

typedef struct TextStore
{
	int			slots;			/* per partition */
	TextPartition partition[NUM_PARTITIONS];
	TextSlot	slot[FLEXIBLE_ARRAY_MEMBER];
} TextStore;

static TextStore *store = NULL;
static uint16 *tags = NULL;		/* of the slots; 0: the slot is free */
static int	max_query_length = 8192;

/* Where this backend has seen texts; the hash spares looks at others' slots. */
typedef struct CachedText
{
	uint64		hash;
	const TextSlot *slot;
} CachedText;

static CachedText cache[CACHE_SIZE];

/* The text that was looked for last, and is neither there nor welcome. */
static uint64 turned_away = 0;

static int
slots_per_partition(void)
{
	/* Room for the unpinned, and for partitions that get more than their share. */
	return hone_stats_store_limit() / NUM_PARTITIONS * 2 + 16;
}

static Size
text_size(void)
{
	return add_size(offsetof(TextStore, slot),
					mul_size(NUM_PARTITIONS * (sizeof(TextSlot) + sizeof(uint16)),
							 slots_per_partition()));
}

static void
text_startup(void *memory, bool found)
{
	store = (TextStore *) memory;
	tags = (uint16 *) (store->slot + (Size) NUM_PARTITIONS * slots_per_partition());
	memset(cache, 0, sizeof(cache));
	if (found)
		return;
	store->slots = slots_per_partition();
	memset(store->slot, 0, NUM_PARTITIONS * sizeof(TextSlot) * store->slots);
	memset(tags, 0, NUM_PARTITIONS * sizeof(uint16) * store->slots);
	for (int p = 0; p < NUM_PARTITIONS; p++)
	{
		memset(&store->partition[p], 0, sizeof(TextPartition));
		hone_shmem_init_lock(&store->partition[p].lock);
	}
}

const HoneShmemPart hone_stats_text_part = {
	.name = "pg_hone query texts",
	.size = text_size,
	.startup = text_startup,
};

static inline uint64
hash_identity(const HoneQueryKey *key)
{
	uint64		owner = ((uint64) key->dbid << 32) | key->userid;

	return key->queryid ^ (owner * UINT64CONST(0x9E3779B97F4A7C15));
}

static inline TextSlot *
partition_slots(int p)
{
	return store->slot + (Size) p * store->slots;
}

static inline uint16 *
partition_tags(int p)
{
	return tags + (Size) p * store->slots;
}

static inline uint16
tag_of(uint64 hash)
{
	return (uint16) (hash >> 48) | 1;
}

/*
 * Slots are found by probing onward from the hash's place. A free slot does
 * not end the search, since removal leaves holes; MAX_PROBES does, on both
 * looking up and inserting.
 */
#define MAX_PROBES 32

/*
 * The slot of a text, or NULL; then has_hole says whether there is a free one for
 * it. Caller holds the partition's lock, or does not mind (is_welcome).
 */
static TextSlot *
search_slot(const HoneQueryKey *key, bool *has_hole)
{
	uint64		hash = hash_identity(key);
	int			p = (int) (hash % NUM_PARTITIONS);
	const uint16 *tag = partition_tags(p);
	uint16		wanted = tag_of(hash);
	int			i = (int) ((hash / NUM_PARTITIONS) % store->slots);

	*has_hole = false;
	for (int probes = Min(MAX_PROBES, store->slots); probes > 0; probes--)
	{
		TextSlot   *s = &partition_slots(p)[i];

		if (tag[i] == wanted && s->queryid == key->queryid &&
			s->dbid == key->dbid && s->userid == key->userid)
			return s;
		if (tag[i] == 0)
			*has_hole = true;
		if (++i == store->slots)
			i = 0;
	}
	return NULL;
}

static TextSlot *
find_slot(const HoneQueryKey *key)
{
	bool		has_hole;

	return search_slot(key, &has_hole);
}

/* Remove a text nobody needs. Caller holds the partition's lock exclusively. */
static void
remove_text(TextPartition *part, TextSlot *slot)
{
	hone_arena_free(slot->text);
	slot->text = InvalidDsaPointer;
	tags[slot - store->slot] = 0;
	part->kept--;
	part->bytes -= slot->length + 1;
}

/* Free a slot for a new text: a hole, else a text nobody needs. Lock held. */
static TextSlot *
make_room(int p, uint64 hash)
{
	TextSlot   *slot = partition_slots(p);
	int			start = (int) ((hash / NUM_PARTITIONS) % store->slots);
	int			probes = Min(MAX_PROBES, store->slots);
	TextSlot   *unpinned = NULL;

	for (int i = 0; i < probes; i++)
	{
		/* Start at the hand so that not always the same text must go. */
		TextSlot   *s = &slot[(start + (store->partition[p].hand + i) % probes) % store->slots];

		if (!DsaPointerIsValid(s->text))
			return s;
		if (s->pins == 0 && unpinned == NULL)
			unpinned = s;
	}
	store->partition[p].hand++;
	if (store->partition[p].hand >= probes)
		store->partition[p].hand = 0;
	if (unpinned != NULL)
		remove_text(&store->partition[p], unpinned);
	return unpinned;
}

static inline Size
partition_share(void)
{
	return hone_arena_size() / 3 / NUM_PARTITIONS;
}

/*
 * Remove texts nobody needs until there are size bytes left of the partition's
 * share of the arena (texts as a whole may fill a third of it). Lock held.
 */
static bool
make_air(int p, Size size)
{
	TextPartition *part = &store->partition[p];
	TextSlot   *slot = partition_slots(p);
	Size		share = partition_share();

	for (int i = 0; i < store->slots && part->bytes + size > share; i++)
	{
		if (DsaPointerIsValid(slot[i].text) && slot[i].pins == 0)
			remove_text(part, &slot[i]);
	}
	return part->bytes + size <= share;
}

static void
fill_slot(TextPartition *part, TextSlot *slot, const HoneQueryKey *key,
		  const char *text, int length, dsa_pointer pointer)
{
	char	   *place = hone_arena_address(pointer);

	memcpy(place, text, length);
	place[length] = '\0';
	slot->queryid = key->queryid;
	slot->dbid = key->dbid;
	slot->userid = key->userid;
	slot->pins = 0;
	slot->encoding = GetDatabaseEncoding();
	slot->length = length;
	slot->text = pointer;
	tags[slot - store->slot] = tag_of(hash_identity(key));
	part->kept++;
	part->bytes += length + 1;
}

/* Note that a query has a row and no text. Lock held exclusively. */
static void
want_text(TextPartition *part, uint64 hash)
{
	uint64	   *place = &part->wanted[part->wanted_hand++ % WANTED];

	for (int i = 0; i < WANTED; i++)
	{
		if (part->wanted[i] == hash)
			return;
	}
	part->nwanted += *place == 0;
	*place = hash;
}

/* It has its text, or no row any more. Lock held exclusively. */
static void
forget_wanted(TextPartition *part, int i)
{
	if (part->wanted[i] != 0)
		part->nwanted--;
	part->wanted[i] = 0;
}

/* Where in the list of the wanted, -1 if not there. Lock held. */
static int
find_wanted(const TextPartition *part, uint64 hash)
{
	for (int i = 0; i < WANTED; i++)
	{
		if (part->wanted[i] == hash)
			return i;
	}
	return -1;
}

static void
keep_text(const HoneQueryKey *key, const char *text, int length)
{
	uint64		hash = hash_identity(key);
	int			p = (int) (hash % NUM_PARTITIONS);
	TextPartition *part = &store->partition[p];
	bool		has_hole;

	/* Attach before locking: the first time allocates, and could fail. */
	(void) hone_arena();

	LWLockAcquire(&part->lock, LW_EXCLUSIVE);
	if (search_slot(key, &has_hole) == NULL)
	{
		TextSlot   *slot = make_air(p, length + 1) ? make_room(p, hash) : NULL;
		dsa_pointer pointer = slot ? hone_arena_alloc(length + 1) : InvalidDsaPointer;
		int			wanted = find_wanted(part, hash);

		if (DsaPointerIsValid(pointer))
		{
			fill_slot(part, slot, key, text, length, pointer);
			/* The row that wanted it could not pin it. */
			if (wanted >= 0)
				slot->pins = 1;
		}
		else
			part->lost++;
		if (wanted >= 0)
			forget_wanted(part, wanted);
	}
	LWLockRelease(&part->lock);
}

static inline bool
is_cached(const HoneQueryKey *key, uint64 hash)
{
	const CachedText *cached = &cache[hash % CACHE_SIZE];
	const volatile TextSlot *slot = cached->slot;

	return cached->hash == hash && slot != NULL && slot->queryid == key->queryid &&
		slot->userid == key->userid && slot->dbid == key->dbid &&
		DsaPointerIsValid(slot->text);
}

bool
hone_stats_text_known(const HoneQueryKey *key)
{
	uint64		hash = hash_identity(key);
	int			p = (int) (hash % NUM_PARTITIONS);

	if (is_cached(key, hash))
		return true;
	/* Who asks will want to know for certain in a moment. */
	if (store != NULL)
		__builtin_prefetch(partition_tags(p) + (hash / NUM_PARTITIONS) % store->slots);
	return false;
}

bool
hone_stats_text_kept(const HoneQueryKey *key)
{
	int			p = (int) (hash_identity(key) % NUM_PARTITIONS);
	const TextSlot *slot;

	LWLockAcquire(&store->partition[p].lock, LW_SHARED);
	slot = find_slot(key);
	LWLockRelease(&store->partition[p].lock);
	return slot != NULL;
}

/*
 * May a text come in for which there is no room? First a look without the lock,
 * which mostly says no; what it misses, the next will see.
 */
static bool
may_enter(TextPartition *part, const HoneQueryKey *key, uint64 hash)
{
	TimestampTz now = GetCurrentTimestamp();
	bool		may;

	/* There is room for a row, which will need its text. */
	if (hone_stats_store_has_room(key))
		return true;
	if (part->nwanted == 0 && part->door.passes == 0 &&
		now - part->door.filled_at < PASS_INTERVAL_US && now >= part->door.filled_at)
		return false;

	LWLockAcquire(&part->lock, LW_EXCLUSIVE);
	may = find_wanted(part, hash) >= 0;
	if (!may && hone_door_passes(&part->door, now, PASS_INTERVAL_US) > 0)
	{
		part->door.passes--;
		may = true;
	}
	LWLockRelease(&part->lock);
	return may;
}

/*
 * Is a text of about this length to be normalised and kept? The search takes no
 * lock: tags and slots are always there, and a slot that is changed at this very
 * moment makes a text be kept twice or not at all, which keep_text() and the next
 * execution put right.
 */
static bool
is_welcome(const HoneQueryKey *key, int length)
{
	uint64		hash = hash_identity(key);
	TextPartition *part = &store->partition[hash % NUM_PARTITIONS];
	TextSlot   *slot;
	bool		has_hole;
	bool		welcome;

	if (is_cached(key, hash))
		return false;

	slot = search_slot(key, &has_hole);
	if (slot != NULL)
	{
		cache[hash % CACHE_SIZE] = (CachedText) {.hash = hash, .slot = slot};
		return false;
	}
	welcome = (has_hole && part->bytes + Min(length, max_query_length) < partition_share()) ||
		may_enter(part, key, hash);
	turned_away = welcome ? 0 : hash;
	return welcome;
}

static void
keep_normalised(const HoneQueryKey *key, const char *text, int length, int location,
				const JumbleState *jstate, const HoneFolds *folds)
{
	/* Some more than is kept, so that the cut does not split a character. */
	char	   *normalised = hone_stats_normalise(text, length, location, jstate, folds,
												  max_query_length + MAX_MULTIBYTE_CHAR_LEN,
												  &length);

	if (normalised == NULL)
		return;
	if (length > max_query_length)
		length = pg_mbcliplen(normalised, length, max_query_length);
	keep_text(key, normalised, length);
	pfree(normalised);
}

void
hone_stats_remember_text(const HoneQueryKey *key, const char *text, int text_len,
						 int text_location, const JumbleState *jstate)
{
	/* It was turned away when it was parsed just now, and would be again. */
	if (turned_away != 0 && turned_away == hash_identity(key))
	{
		turned_away = 0;		/* but not for ever */
		return;
	}
	if (store != NULL && is_welcome(key, text_len))
		keep_normalised(key, text, text_len, text_location, jstate, NULL);
}

void
hone_stats_remember_query(const HoneQueryKey *key, Query *query, const char *source,
						  const char *text, int text_len, int text_location,
						  const JumbleState *jstate)
{
	HoneFolds	folds;
	JumbleState *own_jstate = NULL;

	if (store == NULL || !is_welcome(key, text_len))
		return;

	/* Another module has identified the query, and says nothing of constants. */
	if (jstate == NULL)
	{
		uint64		queryid = (uint64) query->queryId;

		jstate = own_jstate = hone_jumble_query(query, source);
		query->queryId = queryid;
	}

	/* Only a query whose identity is ours has lists that fold. */
	folds.nlists = 0;
	if (key->queryid != (uint64) query->queryId)
		hone_stats_find_folds(query, source, false, &folds);
	keep_normalised(key, text, text_len, text_location, jstate, &folds);
	if (key->queryid != (uint64) query->queryId)
		hone_stats_free_folds(&folds);
	if (own_jstate != NULL)
		hone_stats_free_jumble(own_jstate);
}

/* A new row needs the text, which has come, or will. */
void
hone_stats_text_pin(const HoneQueryKey *key)
{
	uint64		hash = hash_identity(key);
	TextPartition *part = &store->partition[hash % NUM_PARTITIONS];
	TextSlot   *slot;

	LWLockAcquire(&part->lock, LW_EXCLUSIVE);
	slot = find_slot(key);
	if (slot != NULL)
		slot->pins++;
	else
		want_text(part, hash);
	LWLockRelease(&part->lock);
}

void
hone_stats_text_unpin(const HoneQueryKey *key)
{
	uint64		hash = hash_identity(key);
	TextPartition *part = &store->partition[hash % NUM_PARTITIONS];
	TextSlot   *slot;
	int			wanted;

	LWLockAcquire(&part->lock, LW_EXCLUSIVE);
	slot = find_slot(key);
	if (slot != NULL && slot->pins > 0)
		slot->pins--;
	wanted = find_wanted(part, hash);
	if (slot == NULL && wanted >= 0)
		forget_wanted(part, wanted);
	LWLockRelease(&part->lock);
}

static bool
is_ascii(const char *text, int length)
{
	for (int i = 0; i < length; i++)
	{
		if (IS_HIGHBIT_SET(text[i]))
			return false;
	}
	return true;
}

/*
 * The text of a query, palloc'd, or NULL when it is not kept. A text of a
 * database in another encoding is shown only if it is plain ASCII: conversion
 * could fail, and a view must not.
 */
char *
hone_stats_text_get(const HoneQueryKey *key)
{
	int			p = (int) (hash_identity(key) % NUM_PARTITIONS);
	char	   *buffer = NULL;
	int			length = 0;
	int			encoding = 0;

	/* Attach before locking: the first time allocates, and could fail. */
	(void) hone_arena();

	for (;;)
	{
		TextSlot   *slot;
		int			needed = 0;

		LWLockAcquire(&store->partition[p].lock, LW_SHARED);
		slot = find_slot(key);
		if (slot != NULL)
		{
			needed = slot->length + 1;
			if (needed <= length)
			{
				memcpy(buffer, hone_arena_address(slot->text), needed);
				encoding = slot->encoding;
			}
		}
		LWLockRelease(&store->partition[p].lock);

		if (needed == 0)
			return NULL;
		if (needed <= length)
			break;
		/* Allocate outside the lock, and look again. */
		length = needed;
		buffer = buffer ? repalloc(buffer, length) : palloc(length);
	}
	if (encoding != GetDatabaseEncoding() && !is_ascii(buffer, (int) strlen(buffer)))
		return pstrdup("<text in another encoding>");
	return buffer;
}

void
hone_stats_text_info(HoneStatsInfo *info)
{
	info->texts = 0;
	info->texts_lost = 0;
	for (int p = 0; p < NUM_PARTITIONS; p++)
	{
		LWLockAcquire(&store->partition[p].lock, LW_SHARED);
		info->texts += store->partition[p].kept;
		info->texts_lost += store->partition[p].lost;
		LWLockRelease(&store->partition[p].lock);
	}
}

void
hone_stats_text_settings(void)
{
	DefineCustomIntVariable("pg_hone.max_query_length",
							"Sets the length at which the text of a query is cut.",
							NULL,
							&max_query_length,
							8192, 64, 1024 * 1024,
							PGC_SUSET,
							GUC_UNIT_BYTE,
							NULL, NULL, NULL);
}
