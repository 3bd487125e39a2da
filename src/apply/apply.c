/*
 * apply.c
 *	  What a user calls: CALL hone.apply, apply_all, revert.
 *
 * A call checks, queues, and unless told otherwise waits for the builder
 * (builder.c), which does the work. Waiting is only possible in a procedure
 * called outside a transaction block: CREATE INDEX CONCURRENTLY waits for all
 * older snapshots, the caller's included, and nobody would notice that
 * deadlock. So the call commits before it waits, and between two looks at the
 * action's state it has no snapshot.
 *
 * In a transaction block, wait => false queues; the builder is started when
 * the transaction commits, without any possibility to fail: a worker that
 * cannot be started then is started by the next round of the collector.
 *
 * Cancelling a waiting call does not cancel the action. Who waits looks after his
 * action himself: he starts a builder when it is due, and when its builder is
 * gone. Builders that end before they looked at it (the library cannot be loaded)
 * are started a few times only.
 *
 * An action that is put off goes on being waited for, and the call says for what;
 * unless it is for a time of the day or a daily limit, which is an error at once.
 *
 * Memory: ids live in SPI's procedure context, which in a non-atomic
 * connection outlives the commits.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/xlog.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "nodes/parsenodes.h"
#include "pgstat.h"
#include "storage/latch.h"
#include "utils/guc.h"

#include "apply/apply.h"
#include "apply/internal.h"
#include "base/compat.h"
#include "base/owner.h"
#include "jobs/jobs.h"

#define FIRST_WAIT_MS 5
#define MAX_WAIT_MS 250
#define MAX_STARTS 3
#define RESTART_MS 1000
#define NEWS_MS 500				/* a turn that comes sooner is not worth a notice */

int			hone_apply_build_lock_timeout_ms = 10 * 60 * 1000;
int			hone_apply_build_timeout_ms = 0;

PG_FUNCTION_INFO_V1(hone_apply_one);
PG_FUNCTION_INFO_V1(hone_apply_all);
PG_FUNCTION_INFO_V1(hone_apply_revert);
PG_FUNCTION_INFO_V1(hone_apply_reindex);
PG_FUNCTION_INFO_V1(hone_apply_reconcile);
PG_FUNCTION_INFO_V1(hone_apply_action_progress);

void
hone_apply_init(void)
{
	DefineCustomIntVariable("pg_hone.build_lock_timeout",
							"Sets how long building or dropping an index waits for locks and old transactions.",
							"Each wait counts for itself. Zero waits without limit.",
							&hone_apply_build_lock_timeout_ms,
							10 * 60 * 1000, 0, INT_MAX,
							PGC_SUSET,
							GUC_UNIT_MS,
							NULL, NULL, NULL);
	DefineCustomIntVariable("pg_hone.build_timeout",
							"Sets how long building or dropping an index may take.",
							"Zero sets no limit.",
							&hone_apply_build_timeout_ms,
							0, 0, INT_MAX,
							PGC_SUSET,
							GUC_UNIT_MS,
							NULL, NULL, NULL);
	hone_apply_trial_init();
	hone_apply_limits_init();
}

/* The call */

static bool
is_atomic(FunctionCallInfo fcinfo)
{
	return !(fcinfo->context && IsA(fcinfo->context, CallContext) &&
			 !castNode(CallContext, fcinfo->context)->atomic);
}

static int64
required_int8(FunctionCallInfo fcinfo, int number, const char *name)
{
	if (PG_ARGISNULL(number))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("argument \"%s\" must not be null", name)));
	return PG_GETARG_INT64(number);
}

static bool
required_bool(FunctionCallInfo fcinfo, int number, const char *name)
{
	if (PG_ARGISNULL(number))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("argument \"%s\" must not be null", name)));
	return PG_GETARG_BOOL(number);
}

/* Not by a worker: those do not capture themselves. */
static bool
is_capturing(void)
{
	const char *enabled = GetConfigOption("pg_hone.enabled", true, false);
	const char *track = GetConfigOption("pg_hone.track", true, false);

	return enabled != NULL && strcmp(enabled, "on") == 0 &&
		track != NULL && strcmp(track, "none") != 0;
}

static bool
wants_trial(FunctionCallInfo fcinfo, int number)
{
	bool		wanted = PG_ARGISNULL(number) ? hone_apply_trial : PG_GETARG_BOOL(number);

	return wanted && is_capturing();
}

static void
begin(FunctionCallInfo fcinfo, bool wait)
{
	bool		atomic = is_atomic(fcinfo);

	if (RecoveryInProgress())
		ereport(ERROR,
				(errcode(ERRCODE_READ_ONLY_SQL_TRANSACTION),
				 errmsg("cannot change indexes during recovery"),
				 errhint("Connect to the primary server.")));
	if (wait && atomic)
		ereport(ERROR,
				(errcode(ERRCODE_ACTIVE_SQL_TRANSACTION),
				 errmsg("cannot wait for an index inside a transaction block or a function"),
				 errdetail("The index would wait for this transaction to end."),
				 errhint("Use CALL outside a transaction block, or wait => false.")));
	SPI_connect_ext(atomic ? 0 : SPI_OPT_NONATOMIC);
}

/* What will hold it up */

#define OLDEST_TRANSACTION_SQL \
	"SELECT s.pid, pg_catalog.date_part('epoch', pg_catalog.clock_timestamp()" \
	" OPERATOR(pg_catalog.-) s.xact_start)::pg_catalog.int4" \
	" FROM pg_catalog.pg_stat_activity s" \
	" WHERE s.datname OPERATOR(pg_catalog.=) pg_catalog.current_database()" \
	" AND s.pid OPERATOR(pg_catalog.<>) pg_catalog.pg_backend_pid()" \
	" AND (s.backend_xid IS NOT NULL OR s.backend_xmin IS NOT NULL)" \
	" AND s.xact_start OPERATOR(pg_catalog.<) (pg_catalog.clock_timestamp()" \
	" OPERATOR(pg_catalog.-) '5 s'::pg_catalog.interval)" \
	" ORDER BY s.xact_start LIMIT 1"

static void
notice_old_transaction(void)
{
	HoneScope	scope;

	hone_enter_owner(&scope);
	SPI_execute(OLDEST_TRANSACTION_SQL, true, 0);
	hone_leave(&scope);

	if (SPI_processed > 0)
		ereport(NOTICE,
				(errmsg("the index has to wait for process %s, whose transaction has been open for %s s",
						SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1),
						SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 2))));
}

/* Waiting */

typedef struct Wait
{
	int64		action_id;
	BackgroundWorkerHandle *handle; /* of the builder we started; NULL if none */
	int			starts;			/* since a builder looked at the action */
	TimestampTz started_at;
	TimestampTz looked_at;
	char	   *news;			/* what it waits for now, */
	TimestampTz news_at;		/* and since when */
	char	   *waiting_for;	/* as the caller was told */
} Wait;

/* Is there something for a builder to do, and none that will? */
static bool
needs_builder(Wait *wait, const HoneProgress *progress)
{
	pid_t		pid;

	if (progress->is_building ? progress->builder_alive :
		!progress->is_due || progress->builders >= hone_apply_max_builds)
		return false;
	if (wait->handle != NULL && GetBackgroundWorkerPid(wait->handle, &pid) != BGWH_STOPPED)
		return false;
	return wait->started_at == 0 ||
		TimestampDifferenceExceeds(wait->started_at, GetCurrentTimestamp(), RESTART_MS);
}

static void
start_builder(Wait *wait)
{
	const char *problem = NULL;
	bool		no_slot = wait->starts++ < MAX_STARTS;

	wait->started_at = GetCurrentTimestamp();
	if (!no_slot)
		problem = "57P01: the worker ended before the action did";
	else if (!hone_apply_start_builder(&wait->handle))
		problem = "53400: no free worker slot";
	if (problem == NULL)
		return;

	hone_apply_give_up(wait->action_id, problem);
	SPI_commit();
	ereport(ERROR,
			(errcode(ERRCODE_INSUFFICIENT_RESOURCES),
			 errmsg("could not start a background worker"),
			 errdetail_internal("%s", problem),
			 no_slot ? errhint("You may need to increase max_worker_processes.") :
			 errhint("See the server log.")));
}

/*
 * What the action waits for, once. Not its turn if that is over in a moment: a
 * builder that has just finished may still have its slot.
 */
static void
tell(Wait *wait, const HoneProgress *progress)
{
	const char *news = progress->waiting_for;

	if (progress->looked_at != wait->looked_at || progress->is_building)
		wait->starts = 0;
	wait->looked_at = progress->looked_at;
	if (news == NULL || (wait->waiting_for != NULL && strcmp(news, wait->waiting_for) == 0))
		return;
	if (wait->news == NULL || strcmp(news, wait->news) != 0)
	{
		wait->news = pstrdup(news);
		wait->news_at = GetCurrentTimestamp();
	}
	if (strncmp(news, HONE_WAITS_FOR_TURN, strlen(HONE_WAITS_FOR_TURN)) == 0 &&
		!TimestampDifferenceExceeds(wait->news_at, GetCurrentTimestamp(), NEWS_MS))
		return;
	wait->waiting_for = wait->news;
	if (strcmp(news, HONE_ANOTHER_ATTEMPT) == 0 && progress->error != NULL)
		ereport(NOTICE,
				(errmsg("attempt %d failed, and is to be repeated", progress->attempts),
				 errdetail_internal("%s", progress->error)));
	else
		ereport(NOTICE,
				(errmsg("the index has to wait for %s", news)));
}

/* Until the action is finished, or waits for what a call shall not wait for. */
static void
wait_for_action(int64 action_id, HoneProgress *progress)
{
	Wait		wait = {.action_id = action_id};
	long		ms = FIRST_WAIT_MS;

	for (;;)
	{
		/* Ended, and so is its snapshot, before anything can wait for us. */
		SPI_commit();
		hone_apply_progress(action_id, progress);
		if (!progress->exists || progress->finished || progress->is_limited ||
			progress->is_after_trial)
			break;
		tell(&wait, progress);
		if (needs_builder(&wait, progress))
			start_builder(&wait);
		SPI_commit();

		(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH,
						 ms, PG_WAIT_EXTENSION);
		ResetLatch(MyLatch);
		CHECK_FOR_INTERRUPTS();
		ms = Min(ms * 2, MAX_WAIT_MS);
	}
	SPI_commit();
	if (!progress->exists)
		progress->error = "42704: the action does not exist any more";
}

static int
error_code(const char *error)
{
	if (error == NULL || strlen(error) < 5)
		return ERRCODE_INTERNAL_ERROR;
	return MAKE_SQLSTATE(error[0], error[1], error[2], error[3], error[4]);
}

static void
report(const HoneProgress *progress, int elevel)
{
	if (progress->ok)
		return;
	if (progress->is_after_trial)
		ereport(NOTICE,
				(errmsg("recommendation " INT64_FORMAT " has to wait for %s",
						progress->recommendation_id, progress->waiting_for),
				 errdetail("It stays queued.")));
	else if (progress->is_limited)
		ereport(elevel,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("the index has to wait for %s", progress->waiting_for),
				 errdetail("It stays queued.")));
	else if (progress->index_name != NULL)
		ereport(elevel,
				(errcode(error_code(progress->error)),
				 errmsg("index \"%s\" could not be rebuilt", progress->index_name),
				 errdetail_internal("%s", progress->error ? progress->error : "")));
	else
		ereport(elevel,
				(errcode(error_code(progress->error)),
				 errmsg("recommendation " INT64_FORMAT " could not be %s",
						progress->recommendation_id,
						progress->is_revert ? "reverted" : "applied"),
				 errdetail_internal("%s", progress->error ? progress->error : "")));
}

/*
 * Nobody means to wait until the evening. The caller's transaction is undone,
 * and with it what was queued.
 */
static void
refuse_limits(bool is_reindex)
{
	HoneAction	action = {.makes_index = true, .is_reindex = is_reindex};
	int			retry_s;
	char	   *why = hone_apply_why_not_now(&action, &retry_s);

	if (why != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("the index has to wait for %s", why),
				 errhint("Use wait => false to have it done when that is over.")));
}

/* The last step of a call that queued one action. */
static void
end_one(int64 action_id, HoneProgress *about, bool wait)
{
	HoneProgress progress;

	if (!wait)
	{
		hone_apply_start_builder_at_commit();
		return;
	}
	notice_old_transaction();
	wait_for_action(action_id, &progress);
	progress.recommendation_id = about->recommendation_id;
	progress.is_revert = about->is_revert;
	progress.index_name = about->index_name;
	report(&progress, ERROR);
}

/* CALL hone.apply(id, wait, trial) */
Datum
hone_apply_one(PG_FUNCTION_ARGS)
{
	int64		id = required_int8(fcinfo, 0, "id");
	bool		wait = required_bool(fcinfo, 1, "wait");
	bool		trial = wants_trial(fcinfo, 2);
	HoneProgress about = {.recommendation_id = id};
	HoneAction	action;
	int64		action_id;

	begin(fcinfo, wait);
	action_id = hone_apply_queue(id, false, trial, ERROR, &action);
	if (wait && action.makes_index)
		refuse_limits(false);
	end_one(action_id, &about, wait);
	SPI_finish();
	PG_RETURN_VOID();
}

/* CALL hone.revert(id, wait) */
Datum
hone_apply_revert(PG_FUNCTION_ARGS)
{
	int64		id = required_int8(fcinfo, 0, "id");
	bool		wait = required_bool(fcinfo, 1, "wait");

	HoneProgress about = {.recommendation_id = id, .is_revert = true};
	int64		action_id;

	begin(fcinfo, wait);
	action_id = hone_apply_queue_revert(id);
	if (action_id != 0)
		end_one(action_id, &about, wait);
	SPI_finish();
	PG_RETURN_VOID();
}

/* CALL hone.reindex(index, wait) */
Datum
hone_apply_reindex(PG_FUNCTION_ARGS)
{
	bool		wait = required_bool(fcinfo, 1, "wait");
	HoneProgress about = {0};
	int64		action_id;
	char	   *index_name;

	if (PG_ARGISNULL(0))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("argument \"%s\" must not be null", "index")));
	begin(fcinfo, wait);
	action_id = hone_apply_queue_reindex(PG_GETARG_OID(0), &index_name);
	about.index_name = pstrdup(index_name);
	if (wait)
		refuse_limits(true);
	end_one(action_id, &about, wait);
	SPI_finish();
	PG_RETURN_VOID();
}

/* Queue all that can be; returns how many, leaves only those in ids. */
static int
queue_all(int64 *ids, int count, bool trial, int64 *action_ids, bool *creates)
{
	int			queued = 0;

	*creates = false;
	for (int i = 0; i < count; i++)
	{
		int64		id = ids[i];
		HoneAction	action;
		int64		action_id = hone_apply_queue(id, true, trial, WARNING, &action);

		if (action_id == 0)
			continue;
		*creates |= action.makes_index;
		ids[queued] = id;
		action_ids[queued++] = action_id;
	}
	return queued;
}

static int
wait_for_all(const int64 *ids, int count, const int64 *action_ids)
{
	int			succeeded = 0;

	for (int i = 0; i < count; i++)
	{
		HoneProgress progress;

		wait_for_action(action_ids[i], &progress);
		progress.recommendation_id = ids[i];
		report(&progress, WARNING);
		if (progress.ok || progress.is_after_trial)
			succeeded++;
	}
	return succeeded;
}

/* CALL hone.apply_all(max_actions, wait, trial) */
Datum
hone_apply_all(PG_FUNCTION_ARGS)
{
	int64		limit = PG_ARGISNULL(0) ? 0 : PG_GETARG_INT32(0);
	bool		wait = required_bool(fcinfo, 1, "wait");
	bool		trial = wants_trial(fcinfo, 2);
	int64	   *ids;
	int64	   *action_ids;
	int			count;
	int			succeeded;
	bool		creates;

	if (!PG_ARGISNULL(0) && limit < 1)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("argument \"%s\" must be positive", "max_actions")));

	begin(fcinfo, wait);
	ids = hone_apply_proposals(limit, &count);
	if (count == 0)
		ereport(NOTICE,
				(errmsg("nothing to apply: your latest run of the advisor left no proposals")));

	action_ids = palloc(sizeof(int64) * (count + 1));
	succeeded = queue_all(ids, count, trial, action_ids, &creates);
	if (wait && creates)
		refuse_limits(false);
	if (!wait)
		hone_apply_start_builder_at_commit();
	else if (succeeded > 0)
	{
		notice_old_transaction();
		succeeded = wait_for_all(ids, succeeded, action_ids);
	}
	SPI_finish();

	if (wait && succeeded < count)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("%d of %d recommendations were not applied",
						count - succeeded, count),
				 errhint("See the warnings above, and hone.actions.")));
	PG_RETURN_VOID();
}

/* hone.reconcile_actions(): never waits, never fails for want of a worker. */
Datum
hone_apply_reconcile(PG_FUNCTION_ARGS pg_attribute_unused())
{
	bool		needed;
	bool		unfinished;

	if (RecoveryInProgress())
		ereport(ERROR,
				(errcode(ERRCODE_READ_ONLY_SQL_TRANSACTION),
				 errmsg("cannot change indexes during recovery")));
	SPI_connect();
	needed = hone_apply_has_work();
	unfinished = hone_apply_has_unfinished();
	SPI_finish();
	if (unfinished)
		hone_jobs_mark_database(MyDatabaseId);	/* look again */
	if (needed)
		hone_apply_start_builder_at_commit();
	PG_RETURN_VOID();
}

/* hone.action_progress(action_id) */
Datum
hone_apply_action_progress(PG_FUNCTION_ARGS)
{
	TupleDesc	desc;
	Datum		values[HONE_PROGRESS_COLUMNS] = {0};
	bool		nulls[HONE_PROGRESS_COLUMNS];
	MemoryContext context = CurrentMemoryContext;

	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	SPI_connect();
	hone_apply_build_progress(PG_GETARG_INT64(0), context, values, nulls);
	SPI_finish();
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(desc), values, nulls)));
}
