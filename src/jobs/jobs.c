/*
 * jobs.c
 *	  The settings, the shared list of databases, and its SQL view.
 *
 * The list says for each database whether there is something to collect, and
 * when the next round is due. Backends mark (hone_jobs_mark_database), the
 * launcher (launcher.c) starts rounds, and each round (round.c) leaves its
 * outcome. Without shared_preload_libraries there is no list and no launcher;
 * then hone.collect() is called by hand or by pg_cron.
 *
 * Locks: one LWLock over the list, held for a moment. Nothing else is taken
 * under it. The mark of an active database is an atomic of its own, because
 * it is set in every statement.
 *
 * The list is of fixed size. A database that does not fit is not collected,
 * and said so once in the log by the backend that noticed.
 *
 * After a crash the list starts empty; the launcher probes every database once.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/xact.h"
#include "catalog/pg_authid.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/guc.h"

#include "base/compat.h"
#include "base/shmem.h"
#include "jobs/internal.h"
#include "jobs/jobs.h"

HoneJobsShared *hone_jobs_shared = NULL;
int			hone_jobs_collect_interval_s = 10;
int			hone_jobs_max_workers = 2;

static bool wake_at_commit = false;

PG_FUNCTION_INFO_V1(hone_jobs_databases);
PG_FUNCTION_INFO_V1(hone_jobs_wake);
PG_FUNCTION_INFO_V1(hone_jobs_cost);

static Size
shared_size(void)
{
	return MAXALIGN(sizeof(HoneJobsShared));
}

static void
shared_startup(void *memory, bool found)
{
	hone_jobs_shared = memory;
	if (found)
		return;

	memset(hone_jobs_shared, 0, sizeof(HoneJobsShared));
	hone_shmem_init_lock(&hone_jobs_shared->lock);
	pg_atomic_init_u64(&hone_jobs_shared->launcher_cpu_us, 0);
	pg_atomic_init_u64(&hone_jobs_shared->collector_cpu_us, 0);
	pg_atomic_init_u64(&hone_jobs_shared->rounds, 0);
	for (int i = 0; i < HONE_MAX_DATABASES; i++)
		pg_atomic_init_u32(&hone_jobs_shared->databases[i].active, 0);
}

static const HoneShmemPart shared_part = {
	"pg_hone databases", shared_size, shared_startup
};

void
hone_jobs_init(void)
{
	DefineCustomIntVariable("pg_hone.collect_interval",
							"Sets the time between two rounds of the collector in a database.",
							"Zero turns the collector off.",
							&hone_jobs_collect_interval_s,
							10, 0, 3600,
							PGC_SIGHUP,
							GUC_UNIT_S,
							NULL, NULL, NULL);
	DefineCustomIntVariable("pg_hone.max_workers",
							"Sets how many databases are collected at the same time.",
							"Each round takes one of max_worker_processes while it runs.",
							&hone_jobs_max_workers,
							2, 1, 8,
							PGC_SIGHUP,
							0,
							NULL, NULL, NULL);

	hone_shmem_register(&shared_part);
	hone_jobs_launcher_init();
}

HoneDatabase *
hone_jobs_find_database(Oid dbid, bool create)
{
	HoneDatabase *unused = NULL;

	for (int i = 0; i < HONE_MAX_DATABASES; i++)
	{
		HoneDatabase *database = &hone_jobs_shared->databases[i];

		if (database->dbid == dbid)
			return database;
		if (unused == NULL && !OidIsValid(database->dbid))
			unused = database;
	}
	if (!create || unused == NULL)
		return NULL;

	unused->presence = HONE_PRESENCE_UNKNOWN;
	unused->next_due = 0;
	unused->settle_at = 0;
	unused->last_run = 0;
	unused->duration_ms = 0;
	unused->failures = 0;
	unused->last_error[0] = '\0';
	pg_atomic_write_u32(&unused->active, 0);
	unused->dbid = dbid;
	return unused;
}

void
hone_jobs_mark_database(Oid dbid)
{
	static HoneDatabase *marked = NULL; /* the slot this process found last */
	static Oid	refused = InvalidOid;	/* the database that did not fit */

	if (hone_jobs_shared == NULL || !OidIsValid(dbid) || dbid == refused)
		return;

	/* The slot may have been given to another database since. */
	if (marked == NULL || marked->dbid != dbid)
	{
		LWLockAcquire(&hone_jobs_shared->lock, LW_EXCLUSIVE);
		marked = hone_jobs_find_database(dbid, true);
		LWLockRelease(&hone_jobs_shared->lock);
		if (marked == NULL)
		{
			refused = dbid;
			ereport(LOG,
					(errmsg("pg_hone does not collect database %u: its list of %d databases is full",
							dbid, HONE_MAX_DATABASES)));
			return;
		}
	}

	if (pg_atomic_read_u32(&marked->active) == 0)
		pg_atomic_write_u32(&marked->active, 1);
}

/* Have a round of this database at once, and look anew for the extension. */
static void
wake_collector(void)
{
	HoneDatabase *database;

	if (hone_jobs_shared == NULL)
		return;

	LWLockAcquire(&hone_jobs_shared->lock, LW_EXCLUSIVE);
	database = hone_jobs_find_database(MyDatabaseId, true);
	if (database != NULL)
	{
		database->presence = HONE_PRESENCE_UNKNOWN;
		database->next_due = 0;
		pg_atomic_write_u32(&database->active, 1);
	}
	if (hone_jobs_shared->launcher != NULL)
		SetLatch(hone_jobs_shared->launcher);
	LWLockRelease(&hone_jobs_shared->lock);
}

/* Nothing in here may raise an error: the transaction has committed. */
static void
at_transaction_end(XactEvent event, void *arg pg_attribute_unused())
{
	if (!wake_at_commit)
		return;
	if (event == XACT_EVENT_COMMIT)
		wake_collector();
	if (event == XACT_EVENT_COMMIT || event == XACT_EVENT_ABORT ||
		event == XACT_EVENT_PREPARE)
		wake_at_commit = false;
}

/*
 * hone.wake_collector(): when this transaction commits. The install script
 * calls it, so that a database is collected from the moment it has the
 * extension.
 */
Datum
hone_jobs_wake(PG_FUNCTION_ARGS pg_attribute_unused())
{
	static bool registered = false;

	if (!registered)
	{
		RegisterXactCallback(at_transaction_end, NULL);
		registered = true;
	}
	wake_at_commit = true;
	PG_RETURN_VOID();
}

static void
put_database(ReturnSetInfo *rsinfo, const HoneDatabase *database)
{
	Datum		values[5];
	bool		nulls[5] = {false};

	values[0] = ObjectIdGetDatum(database->dbid);
	values[1] = TimestampTzGetDatum(database->last_run);
	nulls[1] = database->last_run == 0;
	values[2] = Float8GetDatum(database->duration_ms);
	nulls[2] = nulls[1];
	values[3] = Int32GetDatum(database->failures);
	values[4] = CStringGetTextDatum(database->last_error);
	nulls[4] = database->last_error[0] == '\0';
	tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
}

/*
 * hone.collector_databases(): the list, for members of pg_read_all_stats;
 * nothing for others, and nothing when the library was not preloaded.
 */
Datum
hone_jobs_databases(PG_FUNCTION_ARGS)
{
	HoneDatabase *copy;

	InitMaterializedSRF(fcinfo, 0);
	if (hone_jobs_shared == NULL ||
		!has_privs_of_role(GetUserId(), ROLE_PG_READ_ALL_STATS))
		return (Datum) 0;

	copy = palloc(sizeof(hone_jobs_shared->databases));
	LWLockAcquire(&hone_jobs_shared->lock, LW_SHARED);
	memcpy(copy, hone_jobs_shared->databases, sizeof(hone_jobs_shared->databases));
	LWLockRelease(&hone_jobs_shared->lock);

	for (int i = 0; i < HONE_MAX_DATABASES; i++)
		if (OidIsValid(copy[i].dbid))
			put_database((ReturnSetInfo *) fcinfo->resultinfo, &copy[i]);
	return (Datum) 0;
}

/*
 * hone.collector_cost(): what the launcher and the collector's workers cost;
 * NULLs when the library was not preloaded.
 */
Datum
hone_jobs_cost(PG_FUNCTION_ARGS)
{
	TupleDesc	desc;
	Datum		values[4] = {0};
	bool		nulls[4] = {false, true, true, true};

	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");

	values[0] = BoolGetDatum(hone_jobs_shared != NULL);
	if (hone_jobs_shared != NULL)
	{
		memset(nulls, false, sizeof(nulls));
		values[1] = Float8GetDatum(pg_atomic_read_u64(&hone_jobs_shared->launcher_cpu_us) / 1000.0);
		values[2] = Float8GetDatum(pg_atomic_read_u64(&hone_jobs_shared->collector_cpu_us) / 1000.0);
		values[3] = Int64GetDatum((int64) pg_atomic_read_u64(&hone_jobs_shared->rounds));
	}
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(desc), values, nulls)));
}
