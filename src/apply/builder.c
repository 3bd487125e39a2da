/*
 * builder.c
 *	  The worker that carries actions out, one after the other.
 *
 * Whoever queued an action starts a builder. It takes one of the server's slots
 * (limits.c), or goes away; and works until nothing is left that may begin now. It
 * waits for nothing: what may not begin yet is put off, and the next round of the
 * collector starts another builder when it is due. A builder that finds all slots
 * taken can go, because a holder in this database looks at the queue once more
 * after it gave its slot back, and for the others there are the rounds.
 *
 * One that begins an action while more are due has another builder started, if
 * there may be several. Two never work on one table (the claim on the table), so
 * two CREATE INDEX CONCURRENTLY of ours never meet. The claim also says who may
 * settle what was interrupted: an action that is "building" while its process is
 * gone has no claim on its table any more; its outcome is read from the catalogs
 * like any other (settle()).
 *
 * Transactions: each step of an action's life is one (internal.h), the DDL
 * makes its own. No snapshot is held between them. If a step that reads or
 * writes our tables fails, the builder ends; the next one (whoever waits, or
 * the next round of the collector) takes over from what is on disk.
 *
 * Locks: those of limits.c go with the process. The table's own lock is held
 * between transactions, where the server does not give it back when the process
 * ends, so that is done by us (lock.c).
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

#include "executor/spi.h"
#include "miscadmin.h"
#include "storage/ipc.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/syscache.h"

#include "apply/internal.h"
#include "base/compat.h"
#include "base/owner.h"
#include "jobs/jobs.h"

#define TABLE_PATIENCE_MS 1000
#define CLEANUP_PATIENCE_MS 10000
#define CLEANUP_LOCK_TIMEOUT_MS 10000

PGDLLEXPORT void hone_apply_builder_main(Datum arg);

bool
hone_apply_start_builder(BackgroundWorkerHandle **handle)
{
	return hone_jobs_start_worker(HONE_BUILDER_TYPE, "hone_apply_builder_main",
								  MyDatabaseId, handle);
}

void
hone_apply_start_builder_at_commit(void)
{
	hone_jobs_start_at_commit(HONE_BUILDER_TYPE, "hone_apply_builder_main");
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
	HoneCandidate *candidates;
	int			count;
	int64		id;
	bool		found;
	char	   *why;			/* it does not begin */
	int			retry_s;
	Oid			remains;		/* of a rebuilt index */
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
step_candidates(Step *step)
{
	step->candidates = hone_apply_candidates(step->take, step->context, &step->count);
}

static void
step_take(Step *step)
{
	step->action = hone_apply_take(step->take, step->id, step->context);
}

static void
step_has_due(Step *step)
{
	step->found = hone_apply_has_due();
}

static bool
has_due(void)
{
	Step		step = {0};

	do_step(&step, step_has_due);
	return step.found;
}

static void
step_no_slot(Step *step pg_attribute_unused())
{
	hone_apply_note_no_slot();
}

static void
step_postpone(Step *step)
{
	hone_apply_postpone(step->action, step->why, step->retry_s);
}

static void
step_note_waiting(Step *step)
{
	hone_apply_note_waiting(step->action, step->why);
}

/* Others may be due: then there is work for another builder. */
static void
step_start(Step *step)
{
	step->found = hone_apply_record_start(step->action);
	step->count = hone_apply_max_builds > 1 && hone_apply_has_due() ? 1 : 0;
}

static void
step_built(Step *step)
{
	hone_apply_record_built(step->action);
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

/* What is there, and what of it must go */

/* How to remove an index, and as whom. */
static void
note_drop(Step *step, Oid index_oid)
{
	MemoryContext old;

	step->owner = hone_relation_owner(index_oid);
	old = MemoryContextSwitchTo(step->context);
	step->drop_statement = hone_apply_drop_statement(index_oid);
	MemoryContextSwitchTo(old);
}

/* The catalogs need nothing of ours, but the same care. */
static void
step_look(Step *step)
{
	step->drop_statement = NULL;
	if (step->action->is_reindex)
	{
		step->found = hone_apply_reindex_state(step->action, &step->remains);
		if (OidIsValid(step->remains))
			note_drop(step, step->remains);
		return;
	}
	step->index_state = hone_apply_index_state(step->action);
	if (step->index_state == HONE_INDEX_INVALID)
		note_drop(step, step->action->index_oid);
}

/*
 * Look at the catalogs, remove what there is of ours and INVALID, and look
 * again: it may still be there, if something is in the way.
 */
static void
look_and_clean(Step *step)
{
	HoneDdl		ddl = {0};
	HoneTryResult result;

	if (step->action->partitioned)
	{
		if (!hone_apply_look_partitioned(step->action, &step->index_state))
			proc_exit(1);
		return;
	}
	do_step(step, step_look);
	if (step->drop_statement == NULL ||
		!hone_apply_enter_table(step->action->relid, CLEANUP_PATIENCE_MS))
		return;

	ddl.roleid = step->owner;
	ddl.statement = step->drop_statement;
	ddl.lock_timeout_ms = CLEANUP_LOCK_TIMEOUT_MS;
	hone_jobs_run_ddl(&ddl, &result);
	hone_apply_leave_table(&result);

	do_step(step, step_look);
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

/* Trials */

static void
step_begin_trial(void *arg)
{
	Step	   *step = arg;

	SPI_connect();
	step->found = hone_apply_trial_begin(step->action);
	SPI_finish();
}

static void
step_no_trial(Step *step)
{
	hone_apply_trial_impossible(step->action, step->error);
}

/* building → trial; false: there is none, or it could not begin. */
static bool
begin_trial(HoneAction *action, HoneTryResult *result)
{
	Step		step = {.action = action};

	hone_jobs_try(step_begin_trial, &step, result);
	return result->ok && step.found;
}

/* The index is there, and stays: seen by everybody if it cannot be tried. */
static bool
try_new_index(HoneAction *action)
{
	Step		step = {.action = action};
	HoneTryResult result;

	if (action->is_revert || action->is_reindex)
		return false;
	if (begin_trial(action, &result))
		return true;
	if (!result.ok)
	{
		step.error = error_text(&result);
		do_step(&step, step_no_trial);
	}
	return false;
}

/*
 * building → trial, kept or reverted. The index is there, or gone, as it was wanted.
 */
static void
finish(HoneAction *action)
{
	if (action->makes_index && try_new_index(action))
		return;
	record_end(action, action->is_revert ? "reverted" : "kept", NULL, false);
}

/* What may go better the next time. */
static bool
may_pass(const HoneTryResult *result)
{
	switch (result->sqlerrcode)
	{
		case ERRCODE_LOCK_NOT_AVAILABLE:
		case ERRCODE_T_R_DEADLOCK_DETECTED:
		case ERRCODE_T_R_SERIALIZATION_FAILURE:
		case ERRCODE_ADMIN_SHUTDOWN:
			return !result->ok;
		default:
			return !result->ok && ERRCODE_TO_CATEGORY(result->sqlerrcode) ==
				ERRCODE_INSUFFICIENT_RESOURCES;
	}
}

static void
step_retry(Step *step)
{
	hone_apply_record_retry(step->action, step->error, step->leftover, step->retry_s);
}

static bool
may_try_again(const HoneAction *action, const HoneTryResult *result)
{
	return may_pass(result) && action->attempts < hone_apply_build_attempts;
}

/* building → queued, if the failure may pass and attempts are left. */
static bool
try_again(HoneAction *action, const HoneTryResult *result, bool leftover)
{
	Step		step = {.action = action, .leftover = leftover};

	if (!may_try_again(action, result))
		return false;
	step.error = error_text(result);
	step.retry_s = hone_apply_retry_s(action->attempts - 1);
	do_step(&step, step_retry);
	return true;
}

/*
 * building → failed or cancelled; or back to kept, when a revert changed
 * nothing (what it may have left of a new index is a leftover of the action).
 * Or another attempt; not of a drop that got half-way, which cleaning up ends.
 */
static void
fail(HoneAction *action, const HoneTryResult *result, HoneIndexState index_state)
{
	bool		leftover = index_state == HONE_INDEX_INVALID;
	bool		unchanged = action->makes_index || !leftover;
	const char *state = "failed";

	/* With parts, what is left is what the next attempt goes on with. */
	if (unchanged && try_again(action, result, leftover && !(action->partitioned && action->makes_index)))
		return;
	if (result->sqlerrcode == ERRCODE_QUERY_CANCELED && !result->timed_out)
		state = "cancelled";
	if (action->is_revert && unchanged)
		state = "kept";
	record_end(action, state,
			   result->ok ? surprise_text(action, index_state) : error_text(result),
			   leftover);
}

static void
record_built(HoneAction *action)
{
	Step		step = {.action = action};

	do_step(&step, step_built);
}

/* The same for a rebuilt index; step says what is there. */
static void
settle_reindex(HoneAction *action, const HoneTryResult *result, const Step *step)
{
	bool		leftover = OidIsValid(step->remains);

	if (step->found)
	{
		record_built(action);
		record_end(action, "kept", NULL, leftover);
	}
	else
		fail(action, result, leftover ? HONE_INDEX_INVALID : HONE_INDEX_ABSENT);
}

/*
 * Read the outcome from the catalogs and record it; result only says why it
 * is not what was wanted.
 */
static void
settle(HoneAction *action, const HoneTryResult *result)
{
	HoneIndexState wanted = action->makes_index ? HONE_INDEX_VALID : HONE_INDEX_ABSENT;
	Step		step = {.action = action};

	/* Of many parts some are done, and the next attempt goes on from there. */
	if (action->partitioned && action->makes_index && may_try_again(action, result))
	{
		do_step(&step, step_look);
		if (step.index_state == HONE_INDEX_INVALID)
		{
			fail(action, result, step.index_state);
			return;
		}
	}
	look_and_clean(&step);
	if (action->is_reindex)
		settle_reindex(action, result, &step);
	else if (step.index_state != wanted)
		fail(action, result, step.index_state);
	else
	{
		if (action->makes_index)
			record_built(action);
		finish(action);
	}
}

/* building, and nobody is at it */
static bool
settle_lost(HoneAction *action)
{
	HoneTryResult result = {0};

	result.sqlerrcode = ERRCODE_ADMIN_SHUTDOWN;
	result.message = "the worker ended before the action did";
	settle(action, &result);
	return true;
}

/*
 * With an INVALID index left: if removing was what the action was for, this
 * finishes it.
 */
static bool
settle_leftover(HoneAction *action)
{
	Step		step = {.action = action};

	look_and_clean(&step);
	step.leftover = action->is_reindex ? OidIsValid(step.remains) :
		step.index_state == HONE_INDEX_INVALID;
	if (!step.leftover && !action->makes_index)
		finish(action);
	else
		do_step(&step, step_leftover);
	return true;
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
	if (action->is_reindex)
		return hone_apply_reindex_statement(action);
	if (action->makes_index)
	{
		if (action->partitioned && hone_apply_index_state(action) == HONE_INDEX_VALID)
			return NULL;
		(void) hone_apply_check_create(action, ERROR);
		return hone_apply_concurrently(action->definition);
	}
	if (hone_apply_index_state(action) == HONE_INDEX_ABSENT)
		return NULL;
	if (!action->is_revert)
		(void) hone_apply_check_cover(action, ERROR);
	return hone_apply_drop_statement(hone_apply_check_drop(action, ERROR));
}

/* With the table locked. */
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
	Oid		   *ours = is_part ? &action->part_index_oid :
		action->is_reindex ? &action->new_index_oid : &action->index_oid;

	if (OidIsValid(*ours))
		return;
	CommandCounterIncrement();
	SPI_connect();
	if (is_part ? hone_apply_record_part_index(action, relid) :
		hone_apply_record_index(action, relid))
	{
		*ours = relid;
		if (!action->is_reindex)
			hone_apply_trial_created(action, relid);
	}
	SPI_finish();
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
 * is there all the same if this fails. The table is locked until then, for ANALYZE
 * asks for the same lock.
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
	hone_apply_leave_table(&result);
}

/* Whether it begins */

static bool
put_off(HoneAction *action, char *why, int retry_s)
{
	Step		step = {.action = action, .why = why, .retry_s = retry_s};

	do_step(&step, step_postpone);
	return false;
}

/* A definition that cannot be read is no reason to wait: preparing says so. */
static void
ask_limits(void *arg)
{
	Step	   *step = arg;
	char	   *why;

	SPI_connect();
	step->action->keeps_snapshot = hone_apply_keeps_snapshot(step->action);
	why = hone_apply_why_not_now(step->action, &step->retry_s);
	if (why == NULL && (why = hone_apply_why_trial(step->action)) != NULL)
		step->retry_s = hone_apply_trial_turn_s;
	if (why == NULL)
		why = hone_apply_why_no_space(step->action);
	if (why != NULL)
		step->why = MemoryContextStrdup(step->context, why);
	SPI_finish();
}

static void
step_lock_holder(Step *step)
{
	step->why = MemoryContextStrdup(step->context, hone_apply_lock_holder(step->action));
}

static void
step_old_transaction(Step *step)
{
	char	   *why = hone_apply_old_transaction(step->action);

	if (why != NULL)
		step->why = MemoryContextStrdup(step->context, why);
}

/* If it may, the table is locked (if it needs to be); if not, it says why. */
static bool
may_begin(HoneAction *action)
{
	Step		step = {.action = action, .context = CurrentMemoryContext};
	int			retry_s = hone_apply_retry_s(action->postponements);
	HoneTryResult result;

	step.retry_s = retry_s;
	hone_jobs_try(ask_limits, &step, &result);
	if (result.ok && step.why != NULL)
		return put_off(action, step.why, step.retry_s);
	/* A partitioned table itself is locked for moments only (partition.c). */
	if (!action->partitioned && !hone_apply_enter_table(action->relid, TABLE_PATIENCE_MS))
	{
		do_step(&step, step_lock_holder);
		return put_off(action, step.why, retry_s);
	}
	do_step(&step, step_old_transaction);
	if (step.why == NULL)
		return true;
	hone_apply_leave_table(NULL);
	return put_off(action, step.why, retry_s);
}

/* queued → building → the outcome */
static void
carry_out(HoneAction *action)
{
	Step		step = {.action = action};
	Preparation preparation = {action, CurrentMemoryContext, NULL};
	HoneTryResult result;

	do_step(&step, step_start);
	if (!step.found)
	{
		hone_apply_leave_table(NULL);
		return;
	}
	action->attempts++;
	if (step.count > 0)
		(void) hone_apply_start_builder(NULL);

	hone_jobs_try(prepare, &preparation, &result);

	/* What is to be tried before it is dropped is not dropped if it cannot be. */
	if (result.ok && preparation.statement != NULL && !action->makes_index &&
		!action->is_revert && begin_trial(action, &result))
	{
		hone_apply_leave_table(&result);
		return;
	}
	if (result.ok && preparation.statement != NULL)
	{
		if (action->partitioned)
			hone_apply_run_partitioned(action, &result);
		else
			run_ddl(action, preparation.statement, &result);
	}
	if (result.ok && action->makes_index && !action->is_reindex)
		analyze_expressions(action);
	else
		hone_apply_leave_table(&result);
	settle(action, &result);
}

static bool
begin(HoneAction *action)
{
	Step		step = {.action = action};

	if (!may_begin(action))
		return true;
	if (!hone_apply_claim_snapshots(action))
	{
		hone_apply_leave_table(NULL);
		step.why = "another build of this database, one of which would wait for the other";
		do_step(&step, step_note_waiting);
		return false;
	}
	carry_out(action);
	hone_apply_release_snapshots(action);
	return true;
}

/* Tables */

/* If nobody else is at its table. False: there was nothing to do. */
static bool
work_on(HoneTake kind, const HoneCandidate *candidate, bool (*one) (HoneAction *action))
{
	Step		step = {.take = kind, .id = candidate->id};
	bool		done = false;

	if (!hone_apply_claim_table(candidate->relid))
		return false;
	do_step(&step, step_take);
	if (step.action != NULL)
		done = one(step.action);
	hone_apply_release_table(candidate->relid);
	return done;
}

/* The list is read anew after each, since time has passed. */
static bool
work(HoneTake kind, bool (*one) (HoneAction *action))
{
	MemoryContext context;
	MemoryContext old;
	bool		done;
	bool		any = false;

	context = AllocSetContextCreate(CurrentMemoryContext, "pg_hone action",
									ALLOCSET_DEFAULT_SIZES);
	old = MemoryContextSwitchTo(context);
	do
	{
		Step		step = {.take = kind};

		do_step(&step, step_candidates);
		done = false;
		for (int i = 0; i < step.count && !done; i++)
			done = work_on(kind, &step.candidates[i], one);
		any |= done;
		MemoryContextReset(context);
	} while (done);
	MemoryContextSwitchTo(old);
	MemoryContextDelete(context);
	return any;
}

/* However this worker ends, a round shall look at what it left. */
static void
have_a_round(int code pg_attribute_unused(), Datum arg)
{
	hone_jobs_mark_database(DatumGetObjectId(arg));
}

static bool
work_with_slot(int slot)
{
	bool		any;

	any = work(HONE_TAKE_LOST, settle_lost);
	any |= work(HONE_TAKE_LEFTOVER, settle_leftover);
	any |= work(HONE_TAKE_QUEUED, begin);
	hone_apply_give_slot(slot);
	return any;
}

void
hone_apply_builder_main(Datum arg)
{
	MemoryContext context;
	Step		step = {0};
	int			slot;
	bool		worked = true;
	int			idle = 0;		/* passes in a row in which nothing was done */

	/* Before connecting, so that it comes after the end of the transaction. */
	before_shmem_exit(hone_apply_leave_tables, (Datum) 0);
	hone_jobs_worker_connect(DatumGetObjectId(arg), HONE_BUILDER_TYPE);
	before_shmem_exit(have_a_round, arg);
	context = AllocSetContextCreate(TopMemoryContext, HONE_BUILDER_TYPE,
									ALLOCSET_DEFAULT_SIZES);
	MemoryContextSwitchTo(context);

	/*
	 * Once more than there is something to do: who came meanwhile may have found
	 * no slot. What is still due then is in the hands of another builder.
	 */
	do
	{
		idle = worked ? 0 : idle + 1;
		slot = hone_apply_take_slot();
		if (slot == 0)
		{
			do_step(&step, step_no_slot);
			break;
		}
		worked = work_with_slot(slot);
	} while (idle < 1 && has_due());
	proc_exit(0);
}
