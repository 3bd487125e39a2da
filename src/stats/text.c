/*
 * text.c
 *	  Query texts: normalised once, kept once a query and role.
 *
 * A text arrives when its statement is parsed, the only moment at which the
 * places of its constants are known. The statistics of the query come later
 * and pin the text as long as they are kept; a text nobody has pinned (parsed,
 * never executed; or its statistics were evicted) makes room for others. There
 * is no file: texts live in the arena, cut at pg_hone.max_query_length.
 *
 * Each role has its own copy, because the same query can be written with other
 * comments and aliases, which are nobody else's business.
 *
 * A backend remembers in a small local cache which texts it has seen to be
 * known; the cache is void as soon as any text is removed (a generation
 * counter). So a statement that was parsed before costs a comparison.
 *
 * A statement that was prepared long ago, or by another role, may be executed
 * when its text is gone: pending.c then brings the text as it was written.
 * A role has two rows for a query that runs both nested and at top level; a
 * row made before the text came holds no pin but lets go of one, so the text of
 * the other row may be evicted early, and comes back in the same way.
 *
 * Locks: NUM_PARTITIONS partitions with an LWLock each, taken last (statistics
 * partition, then text partition, then the arena's own). Texts are normalised
 * before any lock is taken.
 */
#include "postgres.h"

#include "common/hashfn.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "parser/scanner.h"
#include "port/atomics.h"
#include "utils/guc.h"

#include "base/compat.h"
#include "stats/stats.h"
#include "stats/store.h"

#define NUM_PARTITIONS 64
#define CACHE_SIZE 512

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
} TextPartition;

typedef struct TextStore
{
	pg_atomic_uint64 generation;	/* of removals */
	int			slots;			/* per partition */
	TextPartition partition[NUM_PARTITIONS];
	TextSlot	slot[FLEXIBLE_ARRAY_MEMBER];
} TextStore;

static TextStore *store = NULL;
static int	max_query_length = 8192;

/* Texts this backend knows to be known. */
static uint64 cache[CACHE_SIZE];
static uint64 cache_generation = 0;

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
					mul_size(NUM_PARTITIONS * sizeof(TextSlot), slots_per_partition()));
}

static void
text_startup(void *memory, bool found)
{
	store = (TextStore *) memory;
	memset(cache, 0, sizeof(cache));
	if (found)
		return;
	pg_atomic_init_u64(&store->generation, 1);
	store->slots = slots_per_partition();
	memset(store->slot, 0, NUM_PARTITIONS * sizeof(TextSlot) * store->slots);
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

/*
 * Slots are found by probing onward from the hash's place. A free slot does
 * not end the search, since removal leaves holes; MAX_PROBES does, on both
 * looking up and inserting.
 */
#define MAX_PROBES 32

/* Caller holds the partition's lock. */
static TextSlot *
find_slot(const HoneQueryKey *key)
{
	uint64		hash = hash_identity(key);
	TextSlot   *slot = partition_slots((int) (hash % NUM_PARTITIONS));
	int			start = (int) ((hash / NUM_PARTITIONS) % store->slots);
	int			probes = Min(MAX_PROBES, store->slots);

	for (int i = 0; i < probes; i++)
	{
		TextSlot   *s = &slot[(start + i) % store->slots];

		if (DsaPointerIsValid(s->text) && s->queryid == key->queryid &&
			s->dbid == key->dbid && s->userid == key->userid)
			return s;
	}
	return NULL;
}

/* Remove a text nobody needs. Caller holds the partition's lock exclusively. */
static void
remove_text(TextPartition *part, TextSlot *slot)
{
	hone_arena_free(slot->text);
	slot->text = InvalidDsaPointer;
	part->kept--;
	part->bytes -= slot->length + 1;
	pg_atomic_fetch_add_u64(&store->generation, 1);
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

/*
 * Remove texts nobody needs until there are size bytes left of the partition's
 * share of the arena (texts as a whole may fill a third of it). Lock held.
 */
static bool
make_air(int p, Size size)
{
	TextPartition *part = &store->partition[p];
	TextSlot   *slot = partition_slots(p);
	Size		share = hone_arena_size() / 3 / NUM_PARTITIONS;

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
	part->kept++;
	part->bytes += length + 1;
}

static void
keep_text(const HoneQueryKey *key, const char *text, int length)
{
	uint64		hash = hash_identity(key);
	int			p = (int) (hash % NUM_PARTITIONS);
	TextPartition *part = &store->partition[p];

	/* Attach before locking: the first time allocates, and could fail. */
	(void) hone_arena();

	LWLockAcquire(&part->lock, LW_EXCLUSIVE);
	if (find_slot(key) == NULL)
	{
		TextSlot   *slot = make_air(p, length + 1) ? make_room(p, hash) : NULL;
		dsa_pointer pointer = slot ? hone_arena_alloc(length + 1) : InvalidDsaPointer;

		if (DsaPointerIsValid(pointer))
			fill_slot(part, slot, key, text, length, pointer);
		else
			part->lost++;
	}
	LWLockRelease(&part->lock);
}

static bool
is_known(const HoneQueryKey *key)
{
	uint64		hash = hash_identity(key);
	uint64		generation = pg_atomic_read_u64(&store->generation);
	int			p = (int) (hash % NUM_PARTITIONS);
	bool		known;

	if (cache_generation != generation)
	{
		memset(cache, 0, sizeof(cache));
		cache_generation = generation;
	}
	if (cache[hash % CACHE_SIZE] == hash)
		return true;

	LWLockAcquire(&store->partition[p].lock, LW_SHARED);
	known = find_slot(key) != NULL;
	LWLockRelease(&store->partition[p].lock);
	if (known)
		cache[hash % CACHE_SIZE] = hash;
	return known;
}

static int
compare_locations(const void *a, const void *b)
{
	const LocationLen *left = a;
	const LocationLen *right = b;

	return (left->location > right->location) - (left->location < right->location);
}

/*
 * Copy the text with each constant replaced by a parameter symbol, numbered on
 * from the highest one the text uses itself. The jumble knows where constants
 * begin; the core's scanner finds out where they end.
 */
static char *
normalise(const char *text, int length, int location, const JumbleState *jstate,
		  int *result_length)
{
	LocationLen *constants = palloc_array(LocationLen, jstate->clocations_count);
	StringInfoData out;
	char	   *piece = pnstrdup(text, length);
	core_yy_extra_type extra;
	core_yyscan_t scanner;
	core_YYSTYPE value;
	YYLTYPE		token;
	int			copied = 0;
	int			number = jstate->highest_extern_param_id;

	memcpy(constants, jstate->clocations, jstate->clocations_count * sizeof(LocationLen));
	qsort(constants, jstate->clocations_count, sizeof(LocationLen), compare_locations);

	initStringInfo(&out);
	scanner = scanner_init(piece, &extra, &ScanKeywords, ScanKeywordTokens);
	extra.escape_string_warning = false;

	for (int i = 0; i < jstate->clocations_count; i++)
	{
		int			start = constants[i].location - location;
		int			symbol = 1;

		if (start < copied || start >= length)
			continue;			/* one constant jumbled twice, or not in this piece */

		/* Go on to the constant's token, and past the sign of a negative one. */
		do
			symbol = core_yylex(&value, &token, scanner);
		while (symbol != 0 && token < start);
		if (symbol == '-' && token == start)
			symbol = core_yylex(&value, &token, scanner);
		if (symbol == 0)
			break;

		appendBinaryStringInfo(&out, piece + copied, start - copied);
		appendStringInfo(&out, "$%d", ++number);
		/* The scanner has put a terminator behind the token in its own buffer. */
		copied = token + (int) strlen(extra.scanbuf + token);
	}
	scanner_finish(scanner);
	appendBinaryStringInfo(&out, piece + copied, length - copied);

	pfree(constants);
	pfree(piece);
	*result_length = out.len;
	return out.data;
}

void
hone_stats_remember_text(const HoneQueryKey *key, const char *text, int text_len,
						 int text_location, const JumbleState *jstate)
{
	char	   *normalised = NULL;

	if (store == NULL || is_known(key))
		return;
	if (jstate != NULL && jstate->clocations_count > 0)
	{
		normalised = normalise(text, text_len, text_location, jstate, &text_len);
		text = normalised;
	}
	if (text_len > max_query_length)
		text_len = pg_mbcliplen(text, text_len, max_query_length);
	keep_text(key, text, text_len);
	if (normalised)
		pfree(normalised);
}

static void
change_pins(const HoneQueryKey *key, int change)
{
	int			p = (int) (hash_identity(key) % NUM_PARTITIONS);
	TextSlot   *slot;

	LWLockAcquire(&store->partition[p].lock, LW_EXCLUSIVE);
	slot = find_slot(key);
	if (slot != NULL && slot->pins + change >= 0)
		slot->pins += change;
	LWLockRelease(&store->partition[p].lock);
}

void
hone_stats_text_pin(const HoneQueryKey *key)
{
	change_pins(key, 1);
}

void
hone_stats_text_unpin(const HoneQueryKey *key)
{
	change_pins(key, -1);
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
