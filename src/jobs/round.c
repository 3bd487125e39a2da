/*
 * round.c
 *	  One round of the collector in one database: SELECT hone.collect().
 *
 * Everything a round does is in that SQL function, so that a pg_cron job which
 * calls it is as good as the launcher. The worker adds a time limit, so that
 * it is never long in the way of DROP DATABASE, and leaves its outcome in
 * shared memory for the launcher and hone.collector_status.
 *
 * A database without the extension is not an error: the launcher is told.
 */
#include "postgres.h"

#include "executor/spi.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "storage/ipc.h"
#include "utils/guc.h"
#include "utils/timeout.h"

#include "base/compat.h"
#include "base/owner.h"
#include "jobs/internal.h"
#include "jobs/jobs.h"

#define ROUND_TIMEOUT_MS (60 * 1000)
#define ROUND_LOCK_TIMEOUT "2s"

PGDLLEXPORT void hone_jobs_round_main(Datum arg);

static void
collect(void *arg)
{
	HonePresence *presence = arg;
	HoneScope	scope;

	*presence = OidIsValid(hone_extension_oid()) ? HONE_PRESENT : HONE_ABSENT;
	if (*presence == HONE_ABSENT)
		return;

	enable_timeout_after(STATEMENT_TIMEOUT, ROUND_TIMEOUT_MS);
	hone_enter_owner(&scope);
	SPI_connect();
	SPI_execute("SELECT hone.collect()", false, 0);
	SPI_finish();
	hone_leave(&scope);
	disable_timeout(STATEMENT_TIMEOUT, false);
}

static void
leave_outcome(TimestampTz started, HonePresence presence, const HoneTryResult *result)
{
	HoneDatabase *database;
	TimestampTz now = GetCurrentTimestamp();

	if (hone_jobs_shared == NULL)
		return;

	LWLockAcquire(&hone_jobs_shared->lock, LW_EXCLUSIVE);
	database = hone_jobs_find_database(MyDatabaseId, false);
	if (database != NULL)
	{
		database->presence = presence;
		database->last_run = now;
		database->duration_ms = (now - started) / 1000.0;
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
	TimestampTz started = GetCurrentTimestamp();
	HonePresence presence = HONE_PRESENCE_UNKNOWN;
	HoneTryResult result;

	hone_jobs_worker_connect(DatumGetObjectId(arg), "pg_hone collector");
	SetConfigOption("lock_timeout", ROUND_LOCK_TIMEOUT, PGC_SUSET, PGC_S_OVERRIDE);

	pgstat_report_activity(STATE_RUNNING, "SELECT hone.collect()");
	hone_jobs_try(collect, &presence, &result);
	leave_outcome(started, presence, &result);
	proc_exit(0);
}
