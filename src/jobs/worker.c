/*
 * worker.c
 *	  What all our dynamic workers have in common: starting, connecting,
 *	  surviving errors.
 *
 * A worker connects as the bootstrap superuser, because on 15 a worker cannot
 * connect as a role that may not log in, and never runs a user's text as that:
 * our own tables are used as the extension's owner (base/owner.h), DDL as the
 * role that asked for it (ddl.c).
 *
 * A worker is never restarted by the postmaster, and is forgotten after a
 * crash. Whatever it was doing must be found in a table by the next one.
 */
#include "postgres.h"

#include "access/xact.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "postmaster/bgworker.h"
#include "postmaster/interrupt.h"
#include "storage/latch.h"
#include "tcop/tcopprot.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/timeout.h"

#include "base/compat.h"
#include "jobs/internal.h"
#include "jobs/jobs.h"

bool
hone_jobs_start_worker(const char *type, const char *function, Oid dbid,
					   BackgroundWorkerHandle **handle)
{
	BackgroundWorker worker;

	memset(&worker, 0, sizeof(worker));
	worker.bgw_flags = BGWORKER_SHMEM_ACCESS | BGWORKER_BACKEND_DATABASE_CONNECTION;
	worker.bgw_start_time = BgWorkerStart_RecoveryFinished;
	worker.bgw_restart_time = BGW_NEVER_RESTART;
	strlcpy(worker.bgw_library_name, "pg_hone", sizeof(worker.bgw_library_name));
	strlcpy(worker.bgw_function_name, function, sizeof(worker.bgw_function_name));
	strlcpy(worker.bgw_name, type, sizeof(worker.bgw_name));
	strlcpy(worker.bgw_type, type, sizeof(worker.bgw_type));
	worker.bgw_main_arg = ObjectIdGetDatum(dbid);
	worker.bgw_notify_pid = handle ? MyProcPid : 0;
	return RegisterDynamicBackgroundWorker(&worker, handle);
}

/* What is to be started when the transaction commits. */
#define MAX_AT_COMMIT 4

static struct
{
	const char *type;
	const char *function;
}			at_commit[MAX_AT_COMMIT];
static int	count_at_commit = 0;

/* The transaction has committed: nothing in here may raise an error. */
static void
at_transaction_end(XactEvent event, void *arg pg_attribute_unused())
{
	if (count_at_commit == 0 ||
		(event != XACT_EVENT_COMMIT && event != XACT_EVENT_ABORT && event != XACT_EVENT_PREPARE))
		return;
	for (int i = 0; i < count_at_commit && event == XACT_EVENT_COMMIT; i++)
		(void) hone_jobs_start_worker(at_commit[i].type, at_commit[i].function,
									  MyDatabaseId, NULL);
	count_at_commit = 0;
}

void
hone_jobs_start_at_commit(const char *type, const char *function)
{
	static bool registered = false;

	if (!registered)
	{
		RegisterXactCallback(at_transaction_end, NULL);
		registered = true;
	}
	for (int i = 0; i < count_at_commit; i++)
		if (strcmp(at_commit[i].function, function) == 0)
			return;
	if (count_at_commit == MAX_AT_COMMIT)
		elog(ERROR, "too many workers to be started at commit");
	at_commit[count_at_commit].type = type;
	at_commit[count_at_commit++].function = function;
}

static void
set_option(const char *name, const char *value)
{
	SetConfigOption(name, value, PGC_SUSET, PGC_S_OVERRIDE);
}

void
hone_jobs_worker_connect(Oid dbid, const char *application_name)
{
	pqsignal(SIGTERM, die);
	pqsignal(SIGHUP, SignalHandlerForConfigReload);
	BackgroundWorkerUnblockSignals();
	BackgroundWorkerInitializeConnectionByOid(dbid, InvalidOid, 0);

	/* Whatever the database or the superuser's own settings say. */
	set_option("application_name", application_name);
	set_option("search_path", "pg_catalog, pg_temp");
	set_option("default_transaction_read_only", "off");
	set_option("default_transaction_isolation", "read committed");
	set_option("statement_timeout", "0");
	set_option("lock_timeout", CppAsString2(HONE_STEP_LOCK_TIMEOUT_MS));

	/*
	 * What we do ourselves is no workload; and a round that was captured would
	 * mark its database active for ever. (There is no such setting when the
	 * library was not preloaded.)
	 */
	if (GetConfigOption("pg_hone.enabled", true, false) != NULL)
		set_option("pg_hone.enabled", "off");
}

/*
 * The order matters: interrupts held first, then timeouts and a pending
 * cancel forgotten, so that neither hits the clean-up; a pending die stays
 * pending and ends the worker at the next check.
 */
static void
recover(MemoryContext context, HoneTryResult *result)
{
	ErrorData  *error;

	HOLD_INTERRUPTS();
	disable_all_timeouts(false);
	QueryCancelPending = false;

	MemoryContextSwitchTo(context);
	error = CopyErrorData();
	result->sqlerrcode = error->sqlerrcode;
	result->message = pstrdup(error->message ? error->message : "");
	EmitErrorReport();
	AbortCurrentTransaction();
	FlushErrorState();
	MemoryContextSwitchTo(context);
	FreeErrorData(error);
	RESUME_INTERRUPTS();
}

void
hone_jobs_try_raw(HoneTryFunction function, void *arg, HoneTryResult *result)
{
	MemoryContext context = CurrentMemoryContext;

	memset(result, 0, sizeof(*result));
	PG_TRY();
	{
		function(arg);
		result->ok = true;
	}
	PG_CATCH();
	{
		recover(context, result);
	}
	PG_END_TRY();
	MemoryContextSwitchTo(context);
}

typedef struct TryInTransaction
{
	HoneTryFunction function;
	void	   *arg;
} TryInTransaction;

static void
run_in_transaction(void *arg)
{
	TryInTransaction *call = arg;

	SetCurrentStatementStartTimestamp();
	StartTransactionCommand();
	PushActiveSnapshot(GetTransactionSnapshot());
	call->function(call->arg);
	PopActiveSnapshot();
	CommitTransactionCommand();
}

void
hone_jobs_try(HoneTryFunction function, void *arg, HoneTryResult *result)
{
	TryInTransaction call = {function, arg};

	hone_jobs_try_raw(run_in_transaction, &call, result);
}

/* Woken early by anything else, it only comes back early. */
static void
sleep_a_little(void *arg)
{
	int		   *ms = arg;

	(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH,
					 *ms, PG_WAIT_EXTENSION);
	ResetLatch(MyLatch);
	CHECK_FOR_INTERRUPTS();
}

void
hone_jobs_pause(int ms, HoneTryResult *result)
{
	hone_jobs_try_raw(sleep_a_little, &ms, result);
}
