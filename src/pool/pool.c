/*
 * pool.c
 *	  Peaks of sessions, and refused connections.
 *
 * A momentary number of sessions says little: bursts fall between two looks.
 * So the sessions are counted about each second by the launcher, and whenever
 * somebody reads, and the highest count is kept: per (database, role,
 * application, address) in a table of fixed size in shared memory, and over
 * all. When the table is full, the entry that has no sessions and was not seen
 * for the longest time makes room; what finds no room is counted as lost.
 * Peaks begin anew when the server starts or recovers from a crash.
 *
 * Refused connections are counted where the server reports them: a FATAL error
 * with SQLSTATE 53300, which a process may raise before it has a PGPROC. The
 * hook therefore takes no lock and no memory: one comparison, one atomic
 * addition. It does not see what log_min_messages keeps out of the server log
 * (only "panic" does that to a FATAL).
 *
 * Locks: state->lock around the table; nothing is called inside it.
 */
#include "postgres.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include "common/hashfn.h"
#include "common/ip.h"
#include "fmgr.h"
#include "funcapi.h"
#include "libpq/pqcomm.h"
#include "miscadmin.h"
#include "port/atomics.h"
#include "storage/lwlock.h"
#include "utils/builtins.h"
#include "utils/inet.h"
#include "utils/timestamp.h"

#include "base/compat.h"
#include "base/owner.h"
#include "base/shmem.h"
#include "jobs/jobs.h"
#include "pool/pool.h"

#define MAX_POOLS 512

/* Compared as bytes: zeroed before it is filled. */
typedef struct PoolKey
{
	Oid			dbid;
	Oid			userid;
	int			family;			/* AF_INET, AF_INET6, or 0: not a network client */
	unsigned char address[16];
	char		application[NAMEDATALEN];
} PoolKey;

typedef struct Pool
{
	PoolKey		key;
	uint32		hash;			/* of the key; 0 for a free entry */
	int			now;			/* sessions at the last look */
	int			peak;
	TimestampTz last_seen;
} Pool;

typedef struct PoolState
{
	pg_atomic_uint64 refused;
	LWLock		lock;			/* protects what follows */
	int			high_water_mark;
	TimestampTz high_water_mark_at;
	uint64		lost;
	Pool		pools[MAX_POOLS];
} PoolState;

static PoolState *state = NULL;
static emit_log_hook_type prev_emit_log_hook = NULL;

PG_FUNCTION_INFO_V1(hone_pool_counters);
PG_FUNCTION_INFO_V1(hone_pool_peaks);

static Size
state_size(void)
{
	return MAXALIGN(sizeof(PoolState));
}

static void
state_startup(void *memory, bool found)
{
	state = memory;
	if (found)
		return;
	memset(state, 0, sizeof(PoolState));
	pg_atomic_init_u64(&state->refused, 0);
	hone_shmem_init_lock(&state->lock);
}

static const HoneShmemPart part = {"pg_hone pool", state_size, state_startup};

static void
count_refused(ErrorData *edata)
{
	if (edata->sqlerrcode == ERRCODE_TOO_MANY_CONNECTIONS &&
		edata->elevel == FATAL && state != NULL)
		pg_atomic_fetch_add_u64(&state->refused, 1);
	if (prev_emit_log_hook)
		prev_emit_log_hook(edata);
}

void
hone_pool_init(void)
{
	if (!process_shared_preload_libraries_in_progress)
		return;
	hone_shmem_register(&part);
	prev_emit_log_hook = emit_log_hook;
	emit_log_hook = count_refused;
	hone_jobs_register_tick(hone_pool_sample);
}

/* Entry i (from 1) of the status snapshot, if it is a client's session. */
static const PgBackendStatus *
session(int i)
{
	LocalPgBackendStatus *local = hone_local_backend_status(i);

	if (local == NULL || local->backendStatus.st_procpid <= 0 ||
		local->backendStatus.st_backendType != B_BACKEND)
		return NULL;
	return &local->backendStatus;
}

static void
make_key(PoolKey *key, const PgBackendStatus *status)
{
	const struct sockaddr *address = (const struct sockaddr *) &status->st_clientaddr.addr;

	memset(key, 0, sizeof(PoolKey));
	key->dbid = status->st_databaseid;
	key->userid = status->st_userid;
	if (status->st_appname)
		strlcpy(key->application, status->st_appname, NAMEDATALEN);
	if (address->sa_family == AF_INET)
		memcpy(key->address, &((const struct sockaddr_in *) address)->sin_addr, 4);
	else if (address->sa_family == AF_INET6)
		memcpy(key->address, &((const struct sockaddr_in6 *) address)->sin6_addr, 16);
	else
		return;
	key->family = address->sa_family;
}

/* The entry of a key, a new one for it, or NULL when there is no room. */
static Pool *
find_pool(const PoolKey *key)
{
	uint32		hash = hash_bytes((const unsigned char *) key, sizeof(PoolKey)) | 1;
	Pool	   *room = NULL;

	for (int i = 0; i < MAX_POOLS; i++)
	{
		Pool	   *pool = &state->pools[i];

		if (pool->hash == hash && memcmp(&pool->key, key, sizeof(PoolKey)) == 0)
			return pool;
		if (pool->now == 0 && (room == NULL || pool->last_seen < room->last_seen))
			room = pool;		/* a free entry was last seen at 0 */
	}
	if (room == NULL)
		return NULL;

	if (room->hash != 0)
		state->lost++;
	memset(room, 0, sizeof(Pool));
	room->key = *key;
	room->hash = hash;
	return room;
}

static void
count_sessions(int n, TimestampTz now)
{
	int			total = 0;

	for (int i = 0; i < MAX_POOLS; i++)
		state->pools[i].now = 0;

	for (int i = 1; i <= n; i++)
	{
		const PgBackendStatus *status = session(i);
		PoolKey		key;
		Pool	   *pool;

		if (status == NULL)
			continue;
		total++;
		if (!OidIsValid(status->st_userid))
			continue;			/* not authenticated yet */
		make_key(&key, status);
		pool = find_pool(&key);
		if (pool == NULL)
		{
			state->lost++;
			continue;
		}
		pool->now++;
		pool->peak = Max(pool->peak, pool->now);
		pool->last_seen = now;
	}

	if (total > state->high_water_mark)
	{
		state->high_water_mark = total;
		state->high_water_mark_at = now;
	}
}

/* Count the sessions in this process's snapshot of the status array. */
static void
take_sample(void)
{
	int			n = pgstat_fetch_stat_numbackends();	/* may take memory */

	LWLockAcquire(&state->lock, LW_EXCLUSIVE);
	count_sessions(n, GetCurrentTimestamp());
	LWLockRelease(&state->lock);
}

void
hone_pool_sample(void)
{
	if (state == NULL)
		return;
	pgstat_clear_backend_activity_snapshot();
	take_sample();
	pgstat_clear_backend_activity_snapshot();
}

/* in_use, refused_connections, high_water_mark, high_water_mark_at, pools_lost */
Datum
hone_pool_counters(PG_FUNCTION_ARGS)
{
	TupleDesc	desc;
	Datum		values[5] = {0};
	bool		nulls[5] = {false, true, true, true, true};
	int			n = pgstat_fetch_stat_numbackends();
	int			in_use = 0;

	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");

	for (int i = 1; i <= n; i++)
		if (session(i) != NULL)
			in_use++;
	values[0] = Int32GetDatum(in_use);

	if (state != NULL)
	{
		take_sample();
		LWLockAcquire(&state->lock, LW_SHARED);
		values[2] = Int32GetDatum(state->high_water_mark);
		values[3] = TimestampTzGetDatum(state->high_water_mark_at);
		values[4] = Int64GetDatum((int64) state->lost);
		LWLockRelease(&state->lock);
		values[1] = Int64GetDatum((int64) pg_atomic_read_u64(&state->refused));
		memset(nulls, false, sizeof(nulls));
	}
	return HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(desc), values, nulls));
}

static bool
address_datum(const PoolKey *key, Datum *value)
{
	char		text[INET6_ADDRSTRLEN];

	if (key->family == 0 ||
		inet_ntop(key->family, key->address, text, sizeof(text)) == NULL)
		return false;
	*value = DirectFunctionCall1(inet_in, CStringGetDatum(text));
	return true;
}

/* Peaks of the roles that the caller may see; no row when not preloaded. */
Datum
hone_pool_peaks(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result;
	Pool	   *copy;

	InitMaterializedSRF(fcinfo, 0);
	result = (ReturnSetInfo *) fcinfo->resultinfo;
	if (state == NULL)
		return (Datum) 0;

	take_sample();
	copy = palloc(sizeof(state->pools));
	LWLockAcquire(&state->lock, LW_SHARED);
	memcpy(copy, state->pools, sizeof(state->pools));
	LWLockRelease(&state->lock);

	for (int i = 0; i < MAX_POOLS; i++)
	{
		Datum		values[5];
		bool		nulls[5] = {false, false, false, false, false};

		if (copy[i].hash == 0 || !hone_may_see_role(copy[i].key.userid))
			continue;
		values[0] = ObjectIdGetDatum(copy[i].key.dbid);
		values[1] = ObjectIdGetDatum(copy[i].key.userid);
		values[2] = CStringGetTextDatum(copy[i].key.application);
		nulls[3] = !address_datum(&copy[i].key, &values[3]);
		values[4] = Int32GetDatum(copy[i].peak);
		tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
	}
	return (Datum) 0;
}
