/*
 * builder.c
 *	  The worker that carries actions out: one at a time, one per database.
 *
 * Whoever queued an action starts a builder. The first one takes the builder
 * lock and works until nothing is queued; one that finds the lock taken goes
 * away, because the holder looks at the queue once more after it let go of the
 * lock. So two CREATE INDEX CONCURRENTLY of ours never meet.
 *
 * The lock is an advisory one of a class that SQL functions cannot take, so
 * no ordinary role can hold builds up; and it survives the abort of a
 * transaction, which ordinary session locks do not. It goes with the process.
 * An action that is "building" while its process is gone was interrupted:
 * its outcome is read from the catalogs like any other (settle()).
 *
 * Transactions: each step of an action's life is one (internal.h), the DDL
 * makes its own. No snapshot is held between them. If a step that reads or
 * writes our tables fails, the builder ends; the next one (whoever waits, or
 * the next round of the collector) takes over from what is on disk.
 *
 * Roles: the DDL runs as the role that asked, the removal of an INVALID index
 * of ours as the table's owner, since the role may be gone or have lost its
 * right, our own tables as the extension's owner; nothing as superuser unless
 * that is who it is.
 *
 * If the extension is dropped meanwhile, the statement at work is finished or
 * cleaned up all the same, and there is nothing to record it in.
 */
#include "postgres.h"

#include "catalog/pg_class.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "storage/ipc.h"
#include "storage/lock.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/syscache.h"

#include "apply/internal.h"
#include "base/compat.h"
#include "jobs/jobs.h"

#define LOCK_KEY 0x686f6e65
#define LOCK_CLASS 9			/* SQL functions use 1 and 2, jobs uses 10 */
#define CLEANUP_LOCK_TIMEOUT_MS 10000

PGDLLEXPORT void hone_apply_builder_main(Datum arg);

bool
hone_apply_start_builder(BackgroundWorkerHandle **handle)
{
	return hone_jobs_start_worker(HONE_BUILDER_TYPE, "hone_apply_builder_main",
								  MyDatabaseId, handle);
}

static bool
builder_lock(bool release)
{
	LOCKTAG		tag;

	SET_LOCKTAG_ADVISORY(tag, MyDatabaseId, LOCK_KEY, 0, LOCK_CLASS);
	if (release)
		return LockRelease(&tag, ExclusiveLock, true);
	return LockAcquire(&tag, ExclusiveLock, true, true) != LOCKACQUIRE_NOT_AVAIL;
}

/*
 * Steps on our tables. Each is a transaction; when one fails, nothing can be
 * recorded, so the worker ends.
 */
typedef struct Step
{
	void		(*run) (struct Step *step);
	HoneAction *action;
	MemoryContext context;		/* for what is returned */

	/* in or out, by step */
	HoneTake	take;
	bool		found;
	HoneIndexState index_state;
	Oid			owner;			/* of the action's index */
	char	   *drop_statement;
	const char *end_state;
	const char *error;
	bool		leftover;
} Step;

static void
run_step(void *arg)
{
	Step	   *step = arg;

	SPI_connect();
	step->run(step);
	SPI_finish();
}

static void
do_step(Step *step, void (*run) (Step *step))
{
	HoneTryResult result;

	step->run = run;
	step->context = CurrentMemoryContext;
	hone_jobs_try(run_step, step, &result);
	if (!result.ok)
		proc_exit(1);
}

static void
step_take(Step *step)
{
	step->action = hone_apply_take(step->take, step->context);
}

static HoneAction *
take(HoneTake kind)
{
	Step		step = {.take = kind};

	do_step(&step, step_take);
	return step.action;
}

static void
step_start(Step *step)
{
	step->found = hone_apply_record_start(step->action);
}

static void
step_end(Step *step)
{
	hone_apply_record_end(step->action, step->end_state, step->error, step->leftover);
}

static void
step_leftover(Step *step)
{
	hone_apply_record_leftover(step->action, step->leftover);
}

static void
record_end(HoneAction *action, const char *state, const char *error, bool leftover)
{
	Step		step = {.action = action, .end_state = state, .error = error,
	.leftover = leftover};

	do_step(&step, step_end);
}

/* The catalogs need nothing of ours, but the same care. */
static void
step_look(Step *step)
{
	HeapTuple	tuple;
	MemoryContext old;

	step->index_state = hone_apply_index_state(step->action);
	if (step->index_state != HONE_INDEX_INVALID)
		return;

	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(step->action->index_oid));
	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for index %u", step->action->index_oid);
	step->owner = ((Form_pg_class) GETSTRUCT(tuple))->relowner;
	ReleaseSysCache(tuple);

	old = MemoryContextSwitchTo(step->context);
	step->drop_statement = hone_apply_drop_statement(step->action->index_oid);
	MemoryContextSwitchTo(old);
}

/*
 * What the catalogs say, after removing our index if it is INVALID. It may
 * still be after that, if something is in the way.
 */
static HoneIndexState
look_and_clean(HoneAction *action)
{
	Step		step = {.action = action};
	HoneDdl		ddl = {0};
	HoneTryResult result;

	if (action->partitioned)
	{
		if (!hone_apply_look_partitioned(action, &step.index_state))
			proc_exit(1);
		return step.index_state;
	}
	do_step(&step, step_look);
	if (step.index_state != HONE_INDEX_INVALID)
		return step.index_state;

	ddl.roleid = step.owner;
	ddl.statement = step.drop_statement;
	ddl.lock_timeout_ms = CLEANUP_LOCK_TIMEOUT_MS;
	hone_jobs_run_ddl(&ddl, &result);

	do_step(&step, step_look);
	return step.index_state;
}

static char *
error_text(const HoneTryResult *result)
{
	return psprintf("%s: %s", unpack_sql_state(result->sqlerrcode), result->message);
}

/* The statement succeeded, and yet the index is not what it should be. */
static char *
surprise_text(const HoneAction *action, HoneIndexState state)
{
	const char *sqlstate = unpack_sql_state(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE);

	switch (state)
	{
		case HONE_INDEX_FOREIGN:
			return psprintf("%s: index \"%s\" is not on table %s", sqlstate,
							action->index_name, action->table_name);
		case HONE_INDEX_VALID:
			return psprintf("%s: index \"%s\" is still there", sqlstate, action->index_name);
		case HONE_INDEX_INVALID:
			return psprintf("%s: index \"%s\" is invalid", sqlstate, action->index_name);
		case HONE_INDEX_ABSENT:
			break;
	}
	return psprintf("%s: index \"%s\" is not there", sqlstate, action->index_name);
}

/* building → kept or reverted */
static void
finish(HoneAction *action)
{
	record_end(action, action->is_revert ? "reverted" : "kept", NULL, false);
}

/*
 * building → failed or cancelled; or back to kept, when a revert changed
 * nothing (what it may have left of a new index is a leftover of the action).
 */
static void
fail(HoneAction *action, const HoneTryResult *result, HoneIndexState index_state)
{
	bool		leftover = index_state == HONE_INDEX_INVALID;
	bool		unchanged = action->makes_index || !leftover;
	const char *state = "failed";

	if (result->sqlerrcode == ERRCODE_QUERY_CANCELED && !result->timed_out)
		state = "cancelled";
	if (action->is_revert && unchanged)
		state = "kept";
	record_end(action, state,
			   result->ok ? surprise_text(action, index_state) : error_text(result),
			   leftover);
}

/*
 * Read the outcome from the catalogs and record it; result only says why it
 * is not what was wanted.
 */
static void
settle(HoneAction *action, const HoneTryResult *result)
{
	HoneIndexState wanted = action->makes_index ? HONE_INDEX_VALID : HONE_INDEX_ABSENT;
	HoneIndexState found = look_and_clean(action);

	if (found == wanted)
		finish(action);
	else
		fail(action, result, found);
}

/* building, and nobody is at it */
static void
settle_lost(HoneAction *action)
{
	HoneTryResult result = {0};

	result.sqlerrcode = ERRCODE_ADMIN_SHUTDOWN;
	result.message = "the worker ended before the action did";
	settle(action, &result);
}

/*
 * failed or cancelled, with an INVALID index left: if removing was what the
 * action was for, this finishes it.
 */
static void
settle_leftover(HoneAction *action)
{
	Step		step = {.action = action};

	step.leftover = look_and_clean(action) == HONE_INDEX_INVALID;
	if (!step.leftover && !action->makes_index)
		finish(action);
	else
		do_step(&step, step_leftover);
}

typedef struct Preparation
{
	HoneAction *action;
	MemoryContext context;
	char	   *statement;		/* NULL: nothing needs to be done */
} Preparation;

static char *
statement_for(HoneAction *action)
{
	if (action->makes_index)
	{
		(void) hone_apply_check_create(action, ERROR);
		return hone_apply_concurrently(action->definition);
	}
	if (hone_apply_index_state(action) == HONE_INDEX_ABSENT)
		return NULL;
	if (!action->is_revert)
		(void) hone_apply_check_cover(action, ERROR);
	return hone_apply_drop_statement(hone_apply_check_drop(action, ERROR));
}

/* With the table locked, which it stays unless this fails. */
static void
prepare(void *arg)
{
	Preparation *preparation = arg;
	HoneAction *action = preparation->action;
	char	   *statement;

	if (!SearchSysCacheExists1(AUTHOID, ObjectIdGetDatum(action->requested_by)))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("the role that requested this does not exist any more")));
	if (action->after_creates)
	{
		SPI_connect();
		if (hone_apply_creates_missing(action))
			ereport(ERROR,
					(errcode(ERRCODE_QUERY_CANCELED),
					 errmsg("an index of table %s that was to be built first is missing",
							action->table_name)));
		SPI_finish();
	}

	if (!action->partitioned)
		hone_apply_lock_table(action->relid);
	(void) hone_apply_check_table(action->relid, action->table_name,
								  action->requested_by, ERROR);
	statement = statement_for(action);
	if (statement != NULL)
		preparation->statement = MemoryContextStrdup(preparation->context, statement);
}

/* In the transaction that makes the index: what is ours is known from here on. */
void
hone_apply_note_created(Oid relid, void *arg)
{
	HoneAction *action = arg;
	bool		is_part = OidIsValid(action->part_relid);

	if (is_part ? action->part_made : OidIsValid(action->index_oid))
		return;
	CommandCounterIncrement();
	SPI_connect();
	if (is_part)
		action->part_made = hone_apply_record_part_index(action, relid);
	else if (hone_apply_record_index(action, relid))
		action->index_oid = relid;
	SPI_finish();
}

static void
set_lock_timeout(int ms)
{
	char		value[16];

	snprintf(value, sizeof(value), "%d", ms);
	SetConfigOption("lock_timeout", value, PGC_SUSET, PGC_S_OVERRIDE);
}

static void
run_ddl(HoneAction *action, const char *statement, HoneTryResult *result)
{
	HoneDdl		ddl = {0};

	ddl.roleid = action->requested_by;
	ddl.statement = statement;
	ddl.lock_timeout_ms = hone_apply_build_lock_timeout_ms;
	ddl.timeout_ms = hone_apply_build_timeout_ms;
	if (action->makes_index)
	{
		ddl.created = hone_apply_note_created;
		ddl.created_arg = action;
	}
	hone_jobs_run_ddl(&ddl, result);
}

static void
prepare_analyze(void *arg)
{
	Preparation *preparation = arg;
	char	   *statement = hone_apply_analyze_statement(preparation->action);

	if (statement != NULL)
		preparation->statement = MemoryContextStrdup(preparation->context, statement);
}

/*
 * A new index on an expression is planned by a guess until its table has been
 * analysed, and nobody does that soon for a table that is little written to. It
 * is there all the same if this fails.
 */
static void
analyze_expressions(HoneAction *action)
{
	Preparation preparation = {action, CurrentMemoryContext, NULL};
	HoneDdl		ddl = {0};
	HoneTryResult result;

	hone_jobs_try(prepare_analyze, &preparation, &result);
	if (result.ok && preparation.statement != NULL)
	{
		ddl.roleid = action->requested_by;
		ddl.statement = preparation.statement;
		ddl.lock_timeout_ms = hone_apply_build_lock_timeout_ms;
		ddl.timeout_ms = hone_apply_build_timeout_ms;
		hone_jobs_run_ddl(&ddl, &result);
	}
	if (!result.ok)
		ereport(LOG,
				(errmsg("pg_hone could not analyze table %s for its new index \"%s\": %s",
						action->table_name, action->index_name, result.message)));
}

/* building → the outcome */
static void
perform(HoneAction *action)
{
	Preparation preparation = {action, CurrentMemoryContext, NULL};
	HoneTryResult result;

	set_lock_timeout(hone_apply_build_lock_timeout_ms);
	hone_jobs_try(prepare, &preparation, &result);
	set_lock_timeout(0);

	if (result.ok && preparation.statement != NULL)
	{
		if (action->partitioned)
			hone_apply_run_partitioned(action, &result);
		else
			run_ddl(action, preparation.statement, &result);
	}
	/* An abort has released it already. */
	if (result.ok && !action->partitioned)
		hone_apply_unlock_table(action->relid);
	if (result.ok && action->makes_index)
		analyze_expressions(action);
	settle(action, &result);
}

/* queued → building → the outcome */
static void
carry_out(HoneAction *action)
{
	Step		step = {.action = action};

	do_step(&step, step_start);
	if (step.found)
		perform(action);
}

/*
 * building, and nobody is at it: of many parts some are done, and the rest may
 * be
 */
static void
step_resume(Step *step)
{
	step->found = step->action->partitioned && step->action->makes_index &&
		hone_apply_record_resume(step->action);
}

static void
take_over(HoneAction *action)
{
	Step		step = {.action = action};

	do_step(&step, step_resume);
	if (step.found)
		perform(action);
	else
		settle_lost(action);
}

static void
work(HoneTake kind, void (*one) (HoneAction *action))
{
	MemoryContext context;
	MemoryContext old;
	HoneAction *action;

	context = AllocSetContextCreate(CurrentMemoryContext, "pg_hone action",
									ALLOCSET_DEFAULT_SIZES);
	old = MemoryContextSwitchTo(context);
	while ((action = take(kind)) != NULL)
	{
		one(action);
		MemoryContextReset(context);
	}
	MemoryContextSwitchTo(old);
	MemoryContextDelete(context);
}

/* However this worker ends, a round shall look at what it left. */
static void
have_a_round(int code pg_attribute_unused(), Datum arg)
{
	hone_jobs_mark_database(DatumGetObjectId(arg));
}

void
hone_apply_builder_main(Datum arg)
{
	MemoryContext context;

	hone_jobs_worker_connect(DatumGetObjectId(arg), HONE_BUILDER_TYPE);
	before_shmem_exit(have_a_round, arg);
	context = AllocSetContextCreate(TopMemoryContext, HONE_BUILDER_TYPE,
									ALLOCSET_DEFAULT_SIZES);
	MemoryContextSwitchTo(context);

	do
	{
		if (!builder_lock(false))
			break;
		work(HONE_TAKE_LOST, take_over);
		work(HONE_TAKE_LEFTOVER, settle_leftover);
		work(HONE_TAKE_QUEUED, carry_out);
		(void) builder_lock(true);
	} while (take(HONE_TAKE_QUEUED) != NULL);
	proc_exit(0);
}
