/*
 * identity.c
 *	  Which query is it? The core's id, but for what does not count: the length
 *	  of lists, and the OIDs of temporary tables.
 *
 * Nobody else sees a difference: the id in the trees, in pg_stat_activity and
 * in pg_stat_statements stays the core's. Ours is computed when a query is
 * analysed, by jumbling it once more while its lists are cut short (lists.c
 * tells where), its temporary tables stand by name, and its parameters are
 * numbered as they appear (drivers write IN ($1, $2) LIMIT $3). Until the query
 * is executed all that is remembered is "this core id is that id of ours".
 *
 * Where it is remembered:
 *
 *	local	a direct-mapped table in each backend, asked for each statement.
 *			It also knows which ids stay as they are.
 *	shared	SETS sets of WAYS pairs, for the ids that differ, and asked when a
 *			statement prepared long ago finds its local place taken. One of the
 *			set makes room, in turn. What is lost there is counted under the core's
 *			id until it is parsed again; so is, after a crash, nothing: the
 *			backends' prepared statements are gone as well.
 *
 * The tree is changed only between two calls, and put back in any case. A query
 * analysed while capture is off keeps the core's id.
 *
 * Locks: readers of the shared map take none: a pair is stored as (key ^ own,
 * own), so that a torn one matches nothing. Writers take a spinlock for the
 * few instructions of a change. Nothing allocates or raises an error when an id
 * is asked for; analysing may, for want of memory, like the parser around it.
 *
 * Works on a standby as well. Parallel workers count nothing and ask nothing.
 */
#include "postgres.h"

#include "common/hashfn.h"
#include "miscadmin.h"
#include "nodes/nodeFuncs.h"
#include "port/atomics.h"
#include "storage/spin.h"
#include "utils/guc.h"

#include "base/compat.h"
#include "base/shmem.h"
#include "stats/identity.h"
#include "stats/stats.h"

#define SETS 4096				/* a power of two */
#define WAYS 4
#define TEMPORARY_WAY (WAYS - 1)	/* the last */

/* So that a folded id never equals a plain one. */
#define SALT UINT64CONST(0x686F6E65666F6C64)

/* Parameters numbered anew start here: out of the way of real numbers. */
#define FIRST_NEW_PARAM 0x40000000
#define MAX_PARAMS 65536

typedef struct Pair
{
	pg_atomic_uint64 mixed;		/* key ^ own */
	pg_atomic_uint64 own;		/* 0: empty */
} Pair;

typedef struct IdentityMap
{
	slock_t		lock;			/* of writers */
	pg_atomic_uint32 used;		/* 0: there is nothing to be found */
	uint32		hand;
	Pair		pair[SETS][WAYS];
} IdentityMap;

static IdentityMap *map = NULL;

HoneIdentity hone_stats_identities[HONE_IDENTITIES];

static bool merge_temporary_tables = true;

static Size
identity_size(void)
{
	return sizeof(IdentityMap);
}

static void
forget_identities(void)
{
	memset(hone_stats_identities, 0, sizeof(hone_stats_identities));
}

static void
identity_startup(void *memory, bool found)
{
	map = (IdentityMap *) memory;
	forget_identities();
	if (found)
		return;
	SpinLockInit(&map->lock);
	pg_atomic_init_u32(&map->used, 0);
	map->hand = 0;
	for (int set = 0; set < SETS; set++)
	{
		for (int way = 0; way < WAYS; way++)
		{
			pg_atomic_init_u64(&map->pair[set][way].mixed, 0);
			pg_atomic_init_u64(&map->pair[set][way].own, 0);
		}
	}
}

const HoneShmemPart hone_stats_identity_part = {
	.name = "pg_hone query identities",
	.size = identity_size,
	.startup = identity_startup,
};

/*
 * ------------------------------------------------------------------
 * The shared map
 * ------------------------------------------------------------------
 */

/* The same core id may be another query in another database. */
static inline uint64
map_key(uint64 core)
{
	return core ^ ((uint64) MyDatabaseId * UINT64CONST(0x9E3779B97F4A7C15));
}

static inline Pair *
map_set(uint64 key)
{
	return map->pair[(key ^ (key >> 32)) % SETS];
}

/* Our id of a core id, 0 if there is none. */
static uint64
find_own(uint64 core)
{
	uint64		key = map_key(core);
	Pair	   *pair;

	if (map == NULL || pg_atomic_read_u32(&map->used) == 0)
		return 0;
	pair = map_set(key);
	for (int way = 0; way < WAYS; way++)
	{
		uint64		own = pg_atomic_read_u64(&pair[way].own);

		if (own != 0 && (pg_atomic_read_u64(&pair[way].mixed) ^ own) == key)
			return own;
	}
	return 0;
}

static inline void
set_pair(Pair *pair, uint64 key, uint64 own)
{
	pg_atomic_write_u64(&pair->own, own);
	pg_atomic_write_u64(&pair->mixed, own ? key ^ own : 0);
}

/*
 * Make it known that core is own; or no longer, where they are equal. Queries on
 * temporary tables, which may be new by the thousand, have a place of their own
 * in each set, and push nobody else out.
 */
static void
map_identity(uint64 core, uint64 own, bool temporary)
{
	uint64		known = find_own(core);
	uint64		key = map_key(core);
	Pair	   *pair;
	int			place = -1;

	if (map == NULL || known == (own == core ? 0 : own))
		return;
	pair = map_set(key);
	SpinLockAcquire(&map->lock);
	for (int way = 0; way < WAYS; way++)
	{
		uint64		other = pg_atomic_read_u64(&pair[way].own);

		if (other != 0 && (pg_atomic_read_u64(&pair[way].mixed) ^ other) == key)
		{
			place = way;
			break;
		}
		if (other == 0 && place < 0 && temporary == (way == TEMPORARY_WAY))
			place = way;
	}
	if (place < 0)
		place = temporary ? TEMPORARY_WAY : (int) (map->hand++ % TEMPORARY_WAY);
	set_pair(&pair[place], key, own == core ? 0 : own);
	pg_atomic_write_u32(&map->used, 1);
	SpinLockRelease(&map->lock);
}

/* Not in the local table: a statement that was prepared long ago. */
uint64
hone_stats_look_up_identity(uint64 core)
{
	HoneIdentity *local = &hone_stats_identities[core % HONE_IDENTITIES];
	uint64		own = find_own(core);

	local->core = core;
	local->own = own != 0 ? own : core;
	local->analysed = false;
	return local->own;
}

/*
 * ------------------------------------------------------------------
 * Computing it
 * ------------------------------------------------------------------
 */

typedef struct Renumbering
{
	HoneFolds  *folds;
	int			count;
	int			size;
	int		   *number;			/* by old number; 0: not seen */
} Renumbering;

static void
renumber(Renumbering *state, Param *param)
{
	int			id = param->paramid;

	/* Numbered already: one node in two places. */
	if (param->paramkind != PARAM_EXTERN || id < 0 || id >= MAX_PARAMS)
		return;
	if (id >= state->size)
	{
		int			size = Min(Max(id + 1, state->size * 2), MAX_PARAMS);
		int		   *grown = palloc0(size * sizeof(int));

		memcpy(grown, state->number, state->size * sizeof(int));
		pfree(state->number);
		state->number = grown;
		state->size = size;
	}
	if (state->number[id] == 0)
		state->number[id] = ++state->count;
	hone_stats_add_edit(state->folds, &param->paramid,
						FIRST_NEW_PARAM + state->number[id], false);
	hone_stats_swap_edit(&state->folds->edits[state->folds->nedits - 1]);
}

static bool
renumber_walker(Node *node, void *context)
{
	if (node == NULL)
		return false;
	if (IsA(node, Param))
		renumber((Renumbering *) context, (Param *) node);
	if (IsA(node, Query))
		return query_tree_walker((Query *) node, renumber_walker, context,
								 QTW_IGNORE_JOINALIASES);
	return expression_tree_walker(node, renumber_walker, context);
}

void
hone_stats_free_jumble(JumbleState *state)
{
	pfree(state->jumble);
	pfree(state->clocations);
	pfree(state);
}

/* Jumble the query without what does not count, and leave it as it was. */
static uint64
jumble_folded(Query *query, const char *source, HoneFolds *folds)
{
	uint64		core = (uint64) query->queryId;
	Renumbering params = {.folds = folds, .size = 64};
	volatile uint64 own = 0;

	params.number = palloc0(params.size * sizeof(int));
	for (int i = 0; i < folds->nedits; i++)
		hone_stats_swap_edit(&folds->edits[i]);
	PG_TRY();
	{
		if (folds->nlists > 0)
			(void) renumber_walker((Node *) query, &params);
		hone_stats_free_jumble(hone_jumble_query(query, source));
		own = hash_combine64((uint64) query->queryId, SALT);
	}
	PG_FINALLY();
	{
		/* Backwards, so that what was changed twice gets its first value. */
		for (int i = folds->nedits - 1; i >= 0; i--)
			hone_stats_swap_edit(&folds->edits[i]);
		query->queryId = core;
	}
	PG_END_TRY();
	pfree(params.number);
	return own != 0 ? own : 1;
}

/* Our id of a query that this backend has not analysed before, or long ago. */
uint64
hone_stats_identify_anew(Query *query, uint64 core, const char *source)
{
	HoneIdentity *local = &hone_stats_identities[core % HONE_IDENTITIES];
	HoneFolds	folds;
	uint64		own = core;

	hone_stats_find_folds(query, source, merge_temporary_tables, &folds);
	if (folds.nedits > 0)
		own = jumble_folded(query, source, &folds);
	hone_stats_free_folds(&folds);

	map_identity(core, own, folds.temporary);
	local->core = core;
	local->own = own;
	local->analysed = true;
	return own;
}

/* Queries are looked at anew when the setting changes. */
static void
assign_merge_temporary_tables(bool newval, void *extra pg_attribute_unused())
{
	if (newval != merge_temporary_tables)
		forget_identities();
}

void
hone_stats_identity_settings(void)
{
	DefineCustomBoolVariable("pg_hone.merge_temporary_tables",
							 "Counts queries on temporary tables of one name as one query.",
							 "Otherwise each temporary table created makes new queries of "
							 "those that use it.",
							 &merge_temporary_tables,
							 true,
							 PGC_SUSET,
							 0,
							 NULL, assign_merge_temporary_tables, NULL);
}
