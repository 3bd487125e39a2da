/*
 * launcher.c
 *	  The one permanent process: ticks, and who is collected when.
 *
 * Exists only when the library was preloaded. It is connected to no database,
 * so it never stands in the way of DROP DATABASE, and can read shared memory
 * and shared catalogs only. About once a second it calls the other rooms'
 * ticks. For every database that is due it starts a worker (round.c) which
 * connects, does one round and goes, at most pg_hone.max_workers of them at a
 * time.
 *
 * A database is due when pg_hone.collect_interval has passed and something
 * happened there since the last round, or IDLE_INTERVAL_MS has passed. At its
 * first chance the launcher lists all databases that accept connections, so
 * that each is looked at once; one that turns out not to have the extension
 * is looked at again only when it is active, and then rarely. A failed round
 * doubles the wait, up to MAX_BACKOFF_MS.
 *
 * Rounds begin at multiples of the interval, because statistics are collected
 * in the first round of each minute and should be those of the minute before.
 * For the same reason a database that was active has one more round when the
 * minute is over.
 *
 * On a standby only the ticks run: a round writes.
 *
 * An error anywhere in the loop is logged, at most once in ERROR_LOG_MS for
 * each tick, and the loop goes on. SIGTERM ends the launcher with code 1, so
 * that the postmaster starts it again unless it is itself shutting down. The
 * workers it started run on, and the next launcher finds their outcome in
 * shared memory. After a crash everything, shared memory included, is new.
 */
#include "postgres.h"

#include "access/heapam.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "access/xlog.h"
#include "catalog/pg_database.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "postmaster/bgworker.h"
#include "postmaster/interrupt.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "storage/proc.h"
#include "tcop/tcopprot.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

#include "base/compat.h"
#include "jobs/internal.h"
#include "jobs/jobs.h"

#define MAX_TICKS 8
#define MAX_ROUNDS 8
#define TICK_MS 1000
#define IDLE_INTERVAL_MS (10 * 60 * 1000)
#define ABSENT_INTERVAL_MS (60 * 1000)
#define MAX_BACKOFF_MS (10 * 60 * 1000)
#define ERROR_LOG_MS (60 * 1000)

typedef struct Tick
{
	HoneTick	function;
	TimestampTz error_logged;
} Tick;

/* A round that this launcher started. */
typedef struct Round
{
	Oid			dbid;			/* InvalidOid: unused */
	TimestampTz started;
	BackgroundWorkerHandle *handle;
} Round;

static Tick ticks[MAX_TICKS];
static int	nticks = 0;

static Round rounds[MAX_ROUNDS];
static bool databases_listed = false;

PGDLLEXPORT void hone_jobs_launcher_main(Datum arg);

void
hone_jobs_launcher_init(void)
{
	BackgroundWorker worker;

	if (!process_shared_preload_libraries_in_progress)
		return;

	memset(&worker, 0, sizeof(worker));
	worker.bgw_flags = BGWORKER_SHMEM_ACCESS | BGWORKER_BACKEND_DATABASE_CONNECTION;
	worker.bgw_start_time = BgWorkerStart_ConsistentState;
	worker.bgw_restart_time = 10;
	strlcpy(worker.bgw_library_name, "pg_hone", sizeof(worker.bgw_library_name));
	strlcpy(worker.bgw_function_name, "hone_jobs_launcher_main",
			sizeof(worker.bgw_function_name));
	strlcpy(worker.bgw_name, "pg_hone launcher", sizeof(worker.bgw_name));
	strlcpy(worker.bgw_type, "pg_hone launcher", sizeof(worker.bgw_type));
	RegisterBackgroundWorker(&worker);
}

void
hone_jobs_register_tick(HoneTick tick)
{
	if (!process_shared_preload_libraries_in_progress)
		return;
	if (nticks >= MAX_TICKS)
		elog(ERROR, "too many launcher ticks");
	ticks[nticks++].function = tick;
}

/*
 * After an error: leave nothing behind, and log it unless it was logged
 * lately.
 */
static void
recover(MemoryContext context, TimestampTz *logged)
{
	TimestampTz now = GetCurrentTimestamp();

	HOLD_INTERRUPTS();
	if (*logged == 0 || TimestampDifferenceExceeds(*logged, now, ERROR_LOG_MS))
	{
		EmitErrorReport();
		*logged = now;
	}
	AbortCurrentTransaction();
	LWLockReleaseAll();
	MemoryContextSwitchTo(context);
	FlushErrorState();
	RESUME_INTERRUPTS();
}

static void
run_tick(Tick *tick)
{
	MemoryContext context = CurrentMemoryContext;

	PG_TRY();
	{
		SetCurrentStatementStartTimestamp();
		StartTransactionCommand();
		tick->function();
		CommitTransactionCommand();
	}
	PG_CATCH();
	{
		recover(context, &tick->error_logged);
	}
	PG_END_TRY();
	MemoryContextSwitchTo(context);
}

/* OIDs of the databases that a worker can connect to and should look at. */
static List *
list_databases(void)
{
	MemoryContext context = CurrentMemoryContext;
	List	   *result = NIL;
	Relation	rel;
	TableScanDesc scan;
	HeapTuple	tuple;

	StartTransactionCommand();
	PushActiveSnapshot(GetTransactionSnapshot());
	rel = table_open(DatabaseRelationId, AccessShareLock);
	scan = table_beginscan_catalog(rel, 0, NULL);
	while (HeapTupleIsValid(tuple = heap_getnext(scan, ForwardScanDirection)))
	{
		Form_pg_database database = (Form_pg_database) GETSTRUCT(tuple);
		MemoryContext old;

		if (!database->datallowconn || database->datistemplate)
			continue;
		old = MemoryContextSwitchTo(context);
		result = lappend_oid(result, database->oid);
		MemoryContextSwitchTo(old);
	}
	table_endscan(scan);
	table_close(rel, AccessShareLock);
	PopActiveSnapshot();
	CommitTransactionCommand();
	MemoryContextSwitchTo(context);
	return result;
}

static bool
round_is_running(Oid dbid)
{
	for (int i = 0; i < MAX_ROUNDS; i++)
		if (rounds[i].dbid == dbid)
			return true;
	return false;
}

/* Give back the slots of databases that are gone; at first, list all. */
static void
update_databases(List *existing)
{
	ListCell   *cell;

	LWLockAcquire(&hone_jobs_shared->lock, LW_EXCLUSIVE);
	for (int i = 0; i < HONE_MAX_DATABASES; i++)
	{
		HoneDatabase *database = &hone_jobs_shared->databases[i];

		if (OidIsValid(database->dbid) && !round_is_running(database->dbid) &&
			!list_member_oid(existing, database->dbid))
			database->dbid = InvalidOid;
	}
	if (!databases_listed)
		foreach(cell, existing)
			(void) hone_jobs_find_database(lfirst_oid(cell), true);
	LWLockRelease(&hone_jobs_shared->lock);
	databases_listed = true;
}

static bool
is_due(HoneDatabase *database, TimestampTz now)
{
	bool		active = pg_atomic_read_u32(&database->active) != 0;

	if (!OidIsValid(database->dbid) || now < database->next_due ||
		round_is_running(database->dbid))
		return false;

	switch (database->presence)
	{
		case HONE_PRESENCE_UNKNOWN:
			return true;
		case HONE_ABSENT:
			return active;
		case HONE_PRESENT:
			return active || database->failures > 0 ||
				(database->settle_at != 0 && now >= database->settle_at) ||
				TimestampDifferenceExceeds(database->last_run, now, IDLE_INTERVAL_MS);
	}
	return false;
}

static bool
any_due(void)
{
	TimestampTz now = GetCurrentTimestamp();
	bool		result = false;

	LWLockAcquire(&hone_jobs_shared->lock, LW_SHARED);
	for (int i = 0; i < HONE_MAX_DATABASES && !result; i++)
		result = is_due(&hone_jobs_shared->databases[i], now);
	LWLockRelease(&hone_jobs_shared->lock);
	return result;
}

/* Of an interval in microseconds. Whole minutes are such of UTC's. */
static TimestampTz
next_multiple(TimestampTz now, int64 interval)
{
	return now - now % interval + interval;
}

/* The one that has been due for longest; InvalidOid if none is. */
static Oid
next_due_database(TimestampTz now)
{
	HoneDatabase *chosen = NULL;
	Oid			result = InvalidOid;

	LWLockAcquire(&hone_jobs_shared->lock, LW_EXCLUSIVE);
	for (int i = 0; i < HONE_MAX_DATABASES; i++)
	{
		HoneDatabase *database = &hone_jobs_shared->databases[i];

		if (is_due(database, now) &&
			(chosen == NULL || database->next_due < chosen->next_due))
			chosen = database;
	}
	if (chosen != NULL)
	{
		result = chosen->dbid;
		chosen->next_due = now;
		/* Before the round reads anything, so that no mark is missed. */
		chosen->settle_at = pg_atomic_exchange_u32(&chosen->active, 0) == 0 ? 0 :
			next_multiple(now, USECS_PER_MINUTE);
	}
	LWLockRelease(&hone_jobs_shared->lock);
	return result;
}

static int64
backoff_ms(int failures)
{
	int64		ms = (int64) Max(hone_jobs_collect_interval_s, 1) * 1000;

	return Min(ms << Min(failures, 10), MAX_BACKOFF_MS);
}

/* When to look at a database again, after a round that began at started. */
static void
plan_next(HoneDatabase *database, TimestampTz started)
{
	int64		ms = backoff_ms(database->failures);

	if (database->presence == HONE_ABSENT)
		ms = Max(ms, ABSENT_INTERVAL_MS);
	database->next_due = next_multiple(started, ms * 1000);
}

static void
note_failure(HoneDatabase *database, const char *message)
{
	database->failures++;
	strlcpy(database->last_error, message, HONE_ERROR_LENGTH);
}

/* A round that left no outcome was lost on the way, and counts as failed. */
static void
finish_round(Round *round)
{
	HoneDatabase *database;

	LWLockAcquire(&hone_jobs_shared->lock, LW_EXCLUSIVE);
	database = hone_jobs_find_database(round->dbid, false);
	if (database != NULL)
	{
		if (database->last_run < round->started)
			note_failure(database, "the worker ended before its round did");
		/* Not if somebody asked for another one meanwhile. */
		if (database->next_due >= round->started)
			plan_next(database, round->started);
	}
	LWLockRelease(&hone_jobs_shared->lock);

	pfree(round->handle);
	round->dbid = InvalidOid;
}

static void
finish_rounds(void)
{
	pid_t		pid;

	for (int i = 0; i < MAX_ROUNDS; i++)
		if (OidIsValid(rounds[i].dbid) &&
			GetBackgroundWorkerPid(rounds[i].handle, &pid) == BGWH_STOPPED)
			finish_round(&rounds[i]);
}

static Round *
free_round(void)
{
	int			limit = Min(hone_jobs_max_workers, MAX_ROUNDS);

	for (int i = 0; i < limit; i++)
		if (!OidIsValid(rounds[i].dbid))
			return &rounds[i];
	return NULL;
}

static void
start_failed(Oid dbid)
{
	HoneDatabase *database;

	LWLockAcquire(&hone_jobs_shared->lock, LW_EXCLUSIVE);
	database = hone_jobs_find_database(dbid, false);
	if (database != NULL)
	{
		note_failure(database, "no free worker slot (max_worker_processes)");
		plan_next(database, GetCurrentTimestamp());
	}
	LWLockRelease(&hone_jobs_shared->lock);
}

static void
start_rounds(void)
{
	Round	   *round;

	while ((round = free_round()) != NULL)
	{
		Oid			dbid;

		round->started = GetCurrentTimestamp();
		dbid = next_due_database(round->started);
		if (!OidIsValid(dbid))
			return;
		if (!hone_jobs_start_worker("pg_hone collector", "hone_jobs_round_main",
									dbid, &round->handle))
		{
			start_failed(dbid);
			return;
		}
		round->dbid = dbid;
	}
}

/* The handles must outlive the loop's memory. */
static void
manage_rounds(MemoryContext lasting, MemoryContext loop)
{
	finish_rounds();
	if (hone_jobs_collect_interval_s == 0 || RecoveryInProgress())
		return;
	if (databases_listed && !any_due())
		return;

	MemoryContextSwitchTo(loop);
	update_databases(list_databases());
	MemoryContextSwitchTo(lasting);
	start_rounds();
}

static void
detach(int code pg_attribute_unused(), Datum arg pg_attribute_unused())
{
	LWLockAcquire(&hone_jobs_shared->lock, LW_EXCLUSIVE);
	hone_jobs_shared->launcher = NULL;
	LWLockRelease(&hone_jobs_shared->lock);
}

static void
attach(void)
{
	LWLockAcquire(&hone_jobs_shared->lock, LW_EXCLUSIVE);
	hone_jobs_shared->launcher = MyLatch;
	LWLockRelease(&hone_jobs_shared->lock);
	before_shmem_exit(detach, (Datum) 0);
}

static void
account_cpu(void)
{
	static uint64 accounted = 0;
	uint64		now = hone_jobs_cpu_us();

	pg_atomic_fetch_add_u64(&hone_jobs_shared->launcher_cpu_us, now - accounted);
	accounted = now;
}

static void
run_once(MemoryContext lasting, MemoryContext loop)
{
	static TimestampTz error_logged = 0;

	account_cpu();

	for (int i = 0; i < nticks; i++)
		run_tick(&ticks[i]);

	PG_TRY();
	{
		manage_rounds(lasting, loop);
	}
	PG_CATCH();
	{
		recover(lasting, &error_logged);
	}
	PG_END_TRY();
	MemoryContextSwitchTo(lasting);
	MemoryContextReset(loop);
}

void
hone_jobs_launcher_main(Datum arg pg_attribute_unused())
{
	MemoryContext lasting;
	MemoryContext loop;

	pqsignal(SIGTERM, SignalHandlerForShutdownRequest);
	pqsignal(SIGHUP, SignalHandlerForConfigReload);
	BackgroundWorkerUnblockSignals();
	BackgroundWorkerInitializeConnection(NULL, NULL, 0);

	lasting = AllocSetContextCreate(TopMemoryContext, "pg_hone launcher",
									ALLOCSET_DEFAULT_SIZES);
	loop = AllocSetContextCreate(lasting, "pg_hone launcher loop",
								 ALLOCSET_DEFAULT_SIZES);
	MemoryContextSwitchTo(lasting);
	attach();
	pgstat_report_activity(STATE_IDLE, NULL);

	while (!ShutdownRequestPending)
	{
		run_once(lasting, loop);

		(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH,
						 TICK_MS, PG_WAIT_EXTENSION);
		ResetLatch(MyLatch);
		CHECK_FOR_INTERRUPTS();
		if (ConfigReloadPending)
		{
			ConfigReloadPending = false;
			ProcessConfigFile(PGC_SIGHUP);
		}
	}
	proc_exit(1);
}
