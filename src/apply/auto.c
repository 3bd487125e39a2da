/*
 * auto.c
 *	  Automatic mode: advice on schedule, and carrying out what keeps coming back.
 *
 * What is due is decided in SQL (auto.sql: hone.auto_tune(), a step of the
 * collector). A run of the advisor takes longer than a round may, so it has a
 * worker of its own, one at a time in a database: it takes an advisory lock that
 * no SQL command can, and goes away if there is one already.
 *
 * Who: the run is the database owner's. It sees of the workload what he may see,
 * and plans captured statements as the roles that ran them, as any run does. He is
 * entered in a security-restricted operation. What is built is queued as asked for
 * by him, so he must own the table or be a member of its owner; the builder
 * (builder.c) runs the statement as him.
 *
 * Whether: by pg_hone.auto as it is set for the database or the server. Anybody may
 * set it in a session or for his role, for the sake of the database's owner, who
 * could not say ALTER DATABASE ... SET otherwise; so neither counts here, whoever
 * calls and as whom the worker is connected: hone_auto_mode() reads the catalog and
 * the configuration file.
 *
 * Transactions of the worker: one that notes the attempt, one with the run and what
 * follows from it, and if that fails one that notes why. A worker that is killed
 * leaves the attempt, as a failure, and the time of the next one; so it does not
 * come back at once. Nothing is started during recovery, or without preloading.
 */
#include "postgres.h"

#include "access/xlog.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "storage/ipc.h"
#include "storage/lock.h"
#include "utils/guc.h"

#include "advise/advise.h"
#include "apply/apply.h"
#include "apply/internal.h"
#include "base/compat.h"
#include "base/shmem.h"
#include "base/sql.h"
#include "jobs/jobs.h"

#define ADVISOR_TYPE "pg_hone advisor"
#define LOCK_KEY 0x686f6e65
#define LOCK_CLASS 14			/* SQL functions use 1 and 2, jobs and builds 9 to 12 */
#define LOCK_TIMEOUT "5s"

PG_FUNCTION_INFO_V1(hone_auto_mode);
PG_FUNCTION_INFO_V1(hone_auto_start);
PG_FUNCTION_INFO_V1(hone_auto_queue);

PGDLLEXPORT void hone_apply_advisor_main(Datum arg);

enum AutoMode
{
	AUTO_OFF,
	AUTO_ADVISE,
	AUTO_APPLY
};

static const struct config_enum_entry auto_options[] = {
	{"off", AUTO_OFF, false},
	{"advise", AUTO_ADVISE, false},
	{"apply", AUTO_APPLY, false},
	{NULL, 0, false}
};

/* Read by name, in SQL. */
static int	auto_mode = AUTO_ADVISE;
static int	advise_interval_s = 24 * 60 * 60;
static int	auto_runs = 3;
static int	auto_builds_per_day = 2;
static int	auto_max_trials = 5;
static int	auto_size_limit = 10;

void
hone_apply_auto_init(void)
{
	DefineCustomEnumVariable("pg_hone.auto",
							 "Sets what is done for a database without being asked.",
							 "Only what is set for the database or the server counts, not for a role or in a session.",
							 &auto_mode, AUTO_ADVISE, auto_options,
							 PGC_USERSET, 0, NULL, NULL, NULL);
	DefineCustomIntVariable("pg_hone.advise_interval",
							"Sets the time between two automatic runs of the advisor in a database.",
							NULL,
							&advise_interval_s, 24 * 60 * 60, 1, INT_MAX,
							PGC_SUSET, GUC_UNIT_S, NULL, NULL, NULL);
	DefineCustomIntVariable("pg_hone.auto_runs",
							"Sets in how many automatic runs of the advisor in a row something must be proposed to be carried out.",
							"Twice as many where a trial took it back before.",
							&auto_runs, 3, 1, 1000,
							PGC_SUSET, 0, NULL, NULL, NULL);
	DefineCustomIntVariable("pg_hone.auto_builds_per_day",
							"Sets how many indexes are built automatically in a database in a day.",
							NULL,
							&auto_builds_per_day, 2, 0, 1000,
							PGC_SUSET, 0, NULL, NULL, NULL);
	DefineCustomIntVariable("pg_hone.auto_max_trials",
							"Sets with how many trials at work in a database nothing more is begun automatically.",
							NULL,
							&auto_max_trials, 5, 0, 1000,
							PGC_SUSET, 0, NULL, NULL, NULL);
	DefineCustomIntVariable("pg_hone.auto_size_limit",
							"Sets how large all automatically built indexes together may be, in percent of the database.",
							NULL,
							&auto_size_limit, 10, 0, 100,
							PGC_SUSET, 0, NULL, NULL, NULL);
}

/*
 * What the database's setting is, then everybody's (ALTER ROLE ALL), then the
 * server's: as this process has it, unless it was set for the role or by the
 * session, then as the file has it.
 */
#define MODE_SQL \
	"WITH here AS (SELECT s.setdatabase, pg_catalog.lower(pg_catalog.substr(c.v, 14)) AS mode" \
	"  FROM pg_catalog.pg_db_role_setting s CROSS JOIN pg_catalog.unnest(s.setconfig) AS c (v)" \
	"  WHERE s.setrole = 0 AND pg_catalog.lower(pg_catalog.left(c.v, 13)) = 'pg_hone.auto=')" \
	" SELECT coalesce(" \
	"  (SELECT h.mode FROM here h JOIN pg_catalog.pg_database d ON d.oid = h.setdatabase" \
	"   WHERE d.datname = pg_catalog.current_database())," \
	"  (SELECT h.mode FROM here h WHERE h.setdatabase = 0)," \
	"  (SELECT g.setting FROM pg_catalog.pg_settings g WHERE g.name = 'pg_hone.auto'" \
	"   AND g.source IN ('default', 'configuration file', 'command line', 'environment variable'))," \
	"  (SELECT pg_catalog.lower(f.setting) FROM pg_catalog.pg_file_settings f" \
	"   WHERE pg_catalog.lower(f.name) = 'pg_hone.auto' AND f.error IS NULL" \
	"   ORDER BY f.seqno DESC LIMIT 1)," \
	"  'advise')"

/* hone.auto_mode(): off unless it is certain to be something else */
Datum
hone_auto_mode(PG_FUNCTION_ARGS pg_attribute_unused())
{
	HoneScope	scope;
	const char *mode = "off";
	char	   *found;

	hone_enter_owner(&scope);
	SPI_connect();
	if (SPI_execute(MODE_SQL, true, 1) != SPI_OK_SELECT || SPI_processed != 1)
		elog(ERROR, "could not read the setting");
	found = SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1);
	for (int i = 0; auto_options[i].name; i++)
		if (found && strcmp(found, auto_options[i].name) == 0)
			mode = auto_options[i].name;
	SPI_finish();
	hone_leave(&scope);
	PG_RETURN_TEXT_P(cstring_to_text(mode));
}

/* hone.start_advisor(): when this transaction commits, if there is a slot */
Datum
hone_auto_start(PG_FUNCTION_ARGS pg_attribute_unused())
{
	if (!RecoveryInProgress() && hone_shmem_ready())
		hone_jobs_start_at_commit(ADVISOR_TYPE, "hone_apply_advisor_main");
	PG_RETURN_VOID();
}

/* hone.auto_queue(recommendation_id, role): the action's id */
Datum
hone_auto_queue(PG_FUNCTION_ARGS)
{
	Arguments	args = {0};
	HoneScope	role;
	int64		action_id;

	SPI_connect();
	hone_enter_role(&role, PG_GETARG_OID(1), NULL);
	action_id = hone_apply_queue(PG_GETARG_INT64(0), false, true, ERROR, NULL);
	hone_leave(&role);

	add_int8(&args, action_id);
	run("UPDATE hone.action_store SET automatic = true WHERE id = $1", &args);
	SPI_finish();
	hone_jobs_mark_database(MyDatabaseId);	/* have a round that builds it */
	PG_RETURN_INT64(action_id);
}

/* The worker */

typedef struct Advice
{
	bool		wanted;			/* still due */
	Oid			role;			/* the database's owner */
	const char *error;
} Advice;

static void
begin_advice(void *arg)
{
	Advice	   *advice = arg;
	Arguments	args = {0};

	if (!OidIsValid(hone_extension_oid()))
		return;
	SPI_connect();
	run("SELECT hone.auto_begin()", &args);
	advice->wanted = !column_is_null(1);
	advice->role = DatumGetObjectId(column(1));
	SPI_finish();
}

static void
make_advice(void *arg)
{
	Advice	   *advice = arg;
	Arguments	args = {0};
	HoneScope	scope;

	hone_enter_role(&scope, advice->role, NULL);
	add_int8(&args, hone_advise_workload(-1, -1));
	hone_leave(&scope);
	CommandCounterIncrement();

	SPI_connect();
	run("SELECT hone.auto_note_run($1)", &args);
	SPI_finish();
}

static void
note_error(void *arg)
{
	Advice	   *advice = arg;
	Arguments	args = {0};

	add_text(&args, advice->error);
	SPI_connect();
	run("UPDATE hone.auto_store SET last_error = $1", &args);
	SPI_finish();
}

static bool
only_one(void)
{
	LOCKTAG		tag;

	SET_LOCKTAG_ADVISORY(tag, MyDatabaseId, LOCK_KEY, 0, LOCK_CLASS);
	return LockAcquire(&tag, ExclusiveLock, true, true) != LOCKACQUIRE_NOT_AVAIL;
}

void
hone_apply_advisor_main(Datum arg)
{
	Advice		advice = {0};
	HoneTryResult result;

	hone_jobs_worker_connect(DatumGetObjectId(arg), ADVISOR_TYPE);
	SetConfigOption("lock_timeout", LOCK_TIMEOUT, PGC_SUSET, PGC_S_OVERRIDE);
	SetConfigOption("jit", "off", PGC_SUSET, PGC_S_OVERRIDE);
	if (!only_one())
		proc_exit(0);

	hone_jobs_try(begin_advice, &advice, &result);
	if (!result.ok || !advice.wanted)
		proc_exit(result.ok ? 0 : 1);

	pgstat_report_activity(STATE_RUNNING, "SELECT hone.recommend()");
	hone_jobs_try(make_advice, &advice, &result);
	if (!result.ok)
	{
		advice.error = psprintf("%s: %s", unpack_sql_state(result.sqlerrcode), result.message);
		hone_jobs_try(note_error, &advice, &result);
	}
	hone_jobs_mark_database(MyDatabaseId);	/* have a round that sees what to do now */
	proc_exit(0);
}
