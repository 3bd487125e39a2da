/*
 * round.c
 *	  One round of the collector in one database.
 *
 * What a round does is said in SQL (jobs.sql): hone.collector_steps() names
 * them, and hone.collect_step() does one. hone.collect(), called by hand or by
 * pg_cron, does them all in its caller's transaction. The worker here does each
 * in a transaction of its own, so that none holds a snapshot or a lock longer
 * than it needs, and what is done stays done when a later one fails. It leaves
 * its outcome in shared memory for the launcher and hone.collector_status.
 *
 * One round at a time in a database: both take a lock that no SQL command can,
 * hone.collect() for its transaction, the worker for its session. A lock that
 * anybody can take and keep (an ordinary advisory one, or one on the extension,
 * by ALTER ... DEPENDS ON EXTENSION) would let anybody stop the collector. DROP
 * EXTENSION waits for hone.collect(), and for a step of the worker; after one,
 * the round ends when the extension has gone.
 *
 * On error: collect_step() notes what a step raises. What ends its transaction
 * (time limits are what that is for: they keep a round from being long in the
 * way of DROP DATABASE) is noted here, and the next step goes on. An aborted
 * transaction releases the session's lock too, so it is taken again. It must be
 * given back before the process exits, which the server does not do by itself
 * outside a transaction.
 *
 * A database without the extension is not an error: the launcher is told.
 */
#include "postgres.h"

#include <sys/resource.h>

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "storage/ipc.h"
#include "storage/lock.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/timeout.h"

#include "base/compat.h"
#include "base/owner.h"
#include "jobs/internal.h"
#include "jobs/jobs.h"

#define ROUND_TIMEOUT_MS (60 * 1000)
#define STEP_TIMEOUT_MS (20 * 1000)
#define ROUND_LOCK_TIMEOUT "2s"
#define MAX_STEPS 32
#define LOCK_KEY 0x686f6e65
#define LOCK_CLASS 10			/* SQL functions use 1 and 2, apply uses 9 */

PG_FUNCTION_INFO_V1(hone_jobs_hold_collector);

PGDLLEXPORT void hone_jobs_round_main(Datum arg);

typedef struct RoundState
{
	HonePresence presence;
	TimestampTz started;
	int			nsteps;
	NameData	step[MAX_STEPS];
} RoundState;

typedef struct StepState
{
	const char *name;
	int			timeout_ms;
	TimestampTz started;
	bool		refused;		/* another round began, or the extension has gone */
	const char *problem;		/* to be noted */
} StepState;

/* Does this worker's session hold the lock? */
static bool held = false;

static void
set_tag(LOCKTAG *tag)
{
	SET_LOCKTAG_ADVISORY(*tag, MyDatabaseId, LOCK_KEY, 0, LOCK_CLASS);
}

/*
 * hone.hold_collector(): no other round until this transaction ends. Waits for
 * one that is going on, as long as lock_timeout says.
 */
Datum
hone_jobs_hold_collector(PG_FUNCTION_ARGS pg_attribute_unused())
{
	LOCKTAG		tag;

	/* In this order: a round at work, waited for here, holds the extension. */
	set_tag(&tag);
	(void) LockAcquire(&tag, ExclusiveLock, false, false);
	(void) hone_hold_extension();
	PG_RETURN_VOID();
}

/* The same for this session; false if there is a round already. */
static bool
hold_round(void)
{
	LOCKTAG		tag;

	if (held)
		return true;
	set_tag(&tag);
	held = LockAcquire(&tag, ExclusiveLock, true, true) != LOCKACQUIRE_NOT_AVAIL;
	return held;
}

static void
release_round(void)
{
	LOCKTAG		tag;

	set_tag(&tag);
	if (held)
		LockRelease(&tag, ExclusiveLock, true);
	held = false;
}

static void
leave(int code pg_attribute_unused(), Datum arg pg_attribute_unused())
{
	release_round();
	if (hone_jobs_shared != NULL)
		pg_atomic_fetch_add_u64(&hone_jobs_shared->collector_cpu_us, hone_jobs_cpu_us());
}

/* CPU time of this process, in microseconds. */
uint64
hone_jobs_cpu_us(void)
{
	struct rusage usage;

	if (getrusage(RUSAGE_SELF, &usage) != 0)
		return 0;
	return (uint64) (usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000000 +
		(uint64) (usage.ru_utime.tv_usec + usage.ru_stime.tv_usec);
}

static void
begin_round(void *arg)
{
	RoundState *round = arg;
	HoneScope	scope;

	round->presence = OidIsValid(hone_extension_oid()) ? HONE_PRESENT : HONE_ABSENT;
	if (round->presence == HONE_ABSENT || !hold_round())
		return;

	enable_timeout_after(STATEMENT_TIMEOUT, STEP_TIMEOUT_MS);
	hone_enter_owner(&scope);
	SPI_connect();
	if (SPI_execute("SELECT s.step::pg_catalog.name FROM hone.collector_steps() s WHERE s.due",
					true, MAX_STEPS) != SPI_OK_SELECT)
		elog(ERROR, "could not read the steps of the collector");
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		bool		isnull;
		Datum		name = SPI_getbinval(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 1, &isnull);

		if (!isnull)
			round->step[round->nsteps++] = *DatumGetName(name);
	}
	SPI_finish();
	hone_leave(&scope);
	disable_timeout(STATEMENT_TIMEOUT, false);
}

static void
run_step(void *arg)
{
	StepState  *step = arg;
	HoneScope	scope;
	Oid			types[1] = {TEXTOID};
	Datum		values[1];

	step->refused = !OidIsValid(hone_extension_oid()) || !hold_round();
	if (step->refused)
		return;

	values[0] = CStringGetTextDatum(step->name);
	enable_timeout_after(STATEMENT_TIMEOUT, step->timeout_ms);
	hone_enter_owner(&scope);
	SPI_connect();
	SPI_execute_with_args("SELECT hone.collect_step($1)", 1, types, values, NULL, false, 0);
	SPI_finish();
	hone_leave(&scope);
	disable_timeout(STATEMENT_TIMEOUT, false);
}

static void
note_step(void *arg)
{
	StepState  *step = arg;
	HoneScope	scope;
	Oid			types[3] = {TEXTOID, TIMESTAMPTZOID, TEXTOID};
	Datum		values[3];

	values[0] = CStringGetTextDatum(step->name);
	values[1] = TimestampTzGetDatum(step->started);
	values[2] = CStringGetTextDatum(step->problem);
	hone_enter_owner(&scope);
	SPI_connect();
	SPI_execute_with_args("SELECT hone.note_step($1, $2, $3)", 3, types, values, NULL, false, 0);
	SPI_finish();
	hone_leave(&scope);
}

/* Takes the lock anew at its next use, as aborting has released it. */
static void
try_step(HoneTryFunction function, StepState *step, HoneTryResult *result)
{
	hone_jobs_try(function, step, result);
	if (!result->ok)
		held = false;
}

/* False when there is no time left, or the rest is not ours to do. */
static bool
do_step(const RoundState *round, const char *name, HoneTryResult *outcome)
{
	StepState	step = {.name = name, .started = GetCurrentTimestamp()};
	HoneTryResult result;
	char		activity[NAMEDATALEN + 40];
	int64		left_ms = ROUND_TIMEOUT_MS - (step.started - round->started) / 1000;

	if (left_ms <= 0)
		return false;
	step.timeout_ms = (int) Min(left_ms, STEP_TIMEOUT_MS);

	snprintf(activity, sizeof(activity), "SELECT hone.collect_step('%s')", name);
	pgstat_report_activity(STATE_RUNNING, activity);
	try_step(run_step, &step, &result);
	if (result.ok)
		return !step.refused;

	if (outcome->ok)
		*outcome = result;
	step.problem = psprintf("%s: %s", unpack_sql_state(result.sqlerrcode), result.message);
	try_step(note_step, &step, &result);
	return true;
}

static void
leave_outcome(const RoundState *round, const HoneTryResult *result)
{
	HoneDatabase *database;
	TimestampTz now = GetCurrentTimestamp();

	if (hone_jobs_shared == NULL)
		return;

	if (round->presence == HONE_PRESENT)
		pg_atomic_fetch_add_u64(&hone_jobs_shared->rounds, 1);

	LWLockAcquire(&hone_jobs_shared->lock, LW_EXCLUSIVE);
	database = hone_jobs_find_database(MyDatabaseId, false);
	if (database != NULL)
	{
		database->presence = round->presence;
		database->last_run = now;
		database->duration_ms = (now - round->started) / 1000.0;
		database->failures = result->ok ? 0 : database->failures + 1;
		database->last_error[0] = '\0';
		if (!result->ok)
			strlcpy(database->last_error, result->message, HONE_ERROR_LENGTH);
	}
	LWLockRelease(&hone_jobs_shared->lock);
}

void
hone_jobs_round_main(Datum arg)
{
	RoundState	round = {.presence = HONE_PRESENCE_UNKNOWN, .started = GetCurrentTimestamp()};
	HoneTryResult outcome;

	hone_jobs_worker_connect(DatumGetObjectId(arg), "pg_hone collector");
	before_shmem_exit(leave, (Datum) 0);
	SetConfigOption("lock_timeout", ROUND_LOCK_TIMEOUT, PGC_SUSET, PGC_S_OVERRIDE);
	/* Compiling would cost more than it saves. */
	SetConfigOption("jit", "off", PGC_SUSET, PGC_S_OVERRIDE);

	pgstat_report_activity(STATE_RUNNING, "SELECT hone.collector_steps()");
	hone_jobs_try(begin_round, &round, &outcome);
	if (!outcome.ok)
		held = false;
	else
	{
		for (int i = 0; i < round.nsteps; i++)
			if (!do_step(&round, NameStr(round.step[i]), &outcome))
				break;
	}
	release_round();
	leave_outcome(&round, &outcome);
	proc_exit(0);
}
