/*
 * partition.c
 *	  The index of a partitioned table: made and removed.
 *
 * The server cannot do either concurrently, but it can do all that takes time
 * concurrently, and the rest in milliseconds:
 *
 *	 1. CREATE INDEX ... ON ONLY the table, and each partitioned partition:
 *		entries in the catalogs, INVALID. From here on partitions that others
 *		add get their index from the server.
 *	 2. CREATE INDEX CONCURRENTLY on each leaf, one after the other; a leaf
 *		that has an equal index already keeps that one.
 *	 3. ALTER INDEX ... ATTACH PARTITION, the deepest first. With the last one
 *		the server declares the index valid, and that is when we are done.
 *
 * Locks. What the statements take beyond AccessShareLocks (source of 15):
 *
 *	 CREATE ON ONLY		ShareLock on the one table: behind us wait those who
 *						write through it. Not on its partitions.
 *	 CONCURRENTLY		as ever, on the leaf only: ShareUpdateExclusiveLock, which
 *						we take before, without standing in a queue (limits.c).
 *	 ATTACH				ShareUpdateExclusiveLock on the parent's index, which
 *						nobody minds; AccessExclusiveLock on the leaf's index,
 *						for which whoever plans a statement on the leaf waits.
 *						Never the parent table, as long as an index is complete
 *						before it is attached itself: hence deepest first.
 *	 DROP				AccessExclusiveLock on the table and all partitions:
 *						all statements on them wait.
 *
 * So all but CONCURRENTLY are tried with a lock timeout of SHORT_WAIT_MS: nobody
 * waits behind us longer than that, plus the milliseconds it takes to write the
 * catalogs. For the many locks of DROP it is the sum that counts (lock_tree()).
 * Whoever cannot be had is put off: what can be done elsewhere is done first,
 * then there is a pause that grows; all in all not longer than
 * pg_hone.build_lock_timeout without any progress. (Then the attempt has failed;
 * the next one, if one is left, goes on from there.) Between statements we hold
 * no lock: a lock on the parent all the while would keep others from adding or
 * dropping partitions. Everything is therefore looked up anew each time, by OID.
 *
 * Crash, kill, cancel: see partition_plan.c. A worker that is lost leaves a
 * state from which the next one goes on; one that gives up has everything
 * removed that the action made.
 *
 * Indexes of others: an equal index that was there is attached, like the server
 * does it. DROP would take it along; so, in the same transaction and with all
 * tables locked, it is made independent again before (by the function with
 * which the server detaches the indexes of a partition that is detached). It
 * survives the revert with name, OID and all.
 *
 * Roles: as builder.c, with the role that asked for all that makes the index.
 * It must own every partition (check.c).
 *
 * Memory: the caller's context, some hundred bytes for each statement.
 */
#include "postgres.h"

#include "access/relation.h"
#include "access/xact.h"
#include "catalog/index.h"
#include "catalog/partition.h"
#include "catalog/pg_class.h"
#include "catalog/pg_inherits.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/syscache.h"
#include "utils/timestamp.h"

#include "apply/partition.h"

#define SHORT_WAIT_MS 50
#define FIRST_PAUSE_MS 100
#define MAX_PAUSE_MS 10000
#define CLEANUP_TIME_MS 10000
#define MAX_DEADLOCKS 5
#define MAX_RACES 3

typedef void (*Planner) (HoneAction *action, List *put_off, MemoryContext context,
						 HonePartTask *task);

typedef struct Work
{
	HoneAction *action;
	Planner		plan;
	Oid			roleid;			/* InvalidOid: an index's owner drops it */
	int			patience_ms;	/* 0: without limit */
	MemoryContext context;

	HonePartTask task;
	char	   *statement;		/* of a leaf */
	HonePartTask last;			/* that succeeded */
	List	   *put_off;
	int			deadlocks;
	int			races;			/* without anything done between */
	int			pause_ms;
	TimestampTz stuck_since;	/* 0: is not */
	HoneTryResult stuck_by;
} Work;

/* Steps, each a transaction */

static void
plan_step(void *arg)
{
	Work	   *work = arg;

	SPI_connect();
	work->plan(work->action, work->put_off, work->context, &work->task);
	SPI_finish();
}

static void
start_step(void *arg)
{
	Work	   *work = arg;

	SPI_connect();
	hone_apply_plan_start(work->action);
	SPI_finish();
}

/* A leaf that others got rid of is no reason to fail. */
static void
leaf_step(void *arg)
{
	Work	   *work = arg;
	HoneAction *action = work->action;
	Oid			relid = work->task.relid;

	if (!hone_apply_try_lock_table(relid))
		ereport(ERROR,
				(errcode(ERRCODE_LOCK_NOT_AVAILABLE),
				 errmsg("table %s is locked by somebody else",
						hone_apply_qualified_name(relid))));
	if (!hone_apply_is_part(action, relid))
	{
		hone_apply_unlock_table(relid);
		return;
	}
	SPI_connect();
	work->statement = MemoryContextStrdup(work->context,
										  hone_apply_leaf_statement(action, relid));
	SPI_finish();
}

typedef struct Question
{
	HoneAction *action;
	Oid			relid;
	bool		answer;
} Question;

static void
is_part_step(void *arg)
{
	Question   *question = arg;

	question->answer = hone_apply_is_part(question->action, question->relid);
}

static bool
is_part(Work *work)
{
	Question	question = {work->action, work->task.relid, true};
	HoneTryResult result;

	hone_jobs_try(is_part_step, &question, &result);
	return question.answer;
}

static void
set_lock_timeout(int ms)
{
	char		value[16];

	snprintf(value, sizeof(value), "%d", ms);
	SetConfigOption("lock_timeout", value, PGC_SUSET, PGC_S_OVERRIDE);
}

/* Before a partitioned index is dropped, in the same transaction */

/*
 * Lock the table and its partitions, in the order in which everybody does. All
 * waits together are not longer than one may be.
 */
static void
lock_tree(Oid relid)
{
	TimestampTz until = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), SHORT_WAIT_MS);
	ListCell   *lc;

	foreach(lc, find_all_inheritors(relid, NoLock, NULL))
	{
		long		left = TimestampDifferenceMilliseconds(GetCurrentTimestamp(), until);

		set_lock_timeout(Max(left, 1));
		LockRelationOid(lfirst_oid(lc), AccessExclusiveLock);
	}
	set_lock_timeout(SHORT_WAIT_MS);
}

static void
make_independent(Oid index_oid, Oid root)
{
	Relation	index;

	if (!SearchSysCacheExists1(RELOID, ObjectIdGetDatum(index_oid)) ||
		!get_rel_relispartition(index_oid) ||
		!list_member_oid(get_partition_ancestors(index_oid), root))
		return;
	index = relation_open(index_oid, AccessExclusiveLock);
	IndexSetParentIndex(index, InvalidOid);
	relation_close(index, NoLock);
}

static void
before_drop(void *arg)
{
	HonePartTask *task = arg;
	ListCell   *lc;

	lock_tree(task->relid);
	foreach(lc, task->keep)
		make_independent(lfirst_oid(lc), task->index_oid);
	CommandCounterIncrement();
}

/* Statements */

static bool
is_short(HonePartTaskKind kind)
{
	return kind == HONE_PART_PARENT || kind == HONE_PART_ATTACH ||
		kind == HONE_PART_DROP_PARENT;
}

static void
run_statement(Work *work, const char *statement, HoneTryResult *result)
{
	HoneAction *action = work->action;
	HonePartTask *task = &work->task;
	HoneDdl		ddl = {0};
	bool		drops = task->kind == HONE_PART_DROP || task->kind == HONE_PART_DROP_PARENT;

	ddl.roleid = drops && !OidIsValid(work->roleid) ? task->owner : work->roleid;
	ddl.statement = statement;
	ddl.timeout_ms = is_short(task->kind) ? 0 : hone_apply_build_timeout_ms;
	ddl.lock_timeout_ms = is_short(task->kind) ? SHORT_WAIT_MS :
		drops ? CLEANUP_TIME_MS : hone_apply_build_lock_timeout_ms;
	if (task->kind == HONE_PART_DROP_PARENT)
	{
		ddl.before = before_drop;
		ddl.before_arg = task;
	}
	if (task->kind == HONE_PART_PARENT || task->kind == HONE_PART_BUILD)
	{
		ddl.created = hone_apply_note_created;
		ddl.created_arg = action;
		action->part_relid = task->relid == action->relid ? InvalidOid : task->relid;
		action->part_index_oid = InvalidOid;
	}
	hone_jobs_run_ddl(&ddl, result);
	action->part_relid = InvalidOid;
}

static void
build_leaf(Work *work, HoneTryResult *result)
{
	work->statement = NULL;
	hone_jobs_try(leaf_step, work, result);
	if (!result->ok || work->statement == NULL)
		return;
	run_statement(work, work->statement, result);
	/* An abort has released it already. */
	if (result->ok)
		hone_apply_unlock_table(work->task.relid);
}

static void
run_task(Work *work, HoneTryResult *result)
{
	HonePartTask *task = &work->task;

	if (task->kind == HONE_PART_BUILD)
		build_leaf(work, result);
	else
		run_statement(work, task->statement, result);
	if (result->ok && task->kind == HONE_PART_DROP_PARENT &&
		task->index_oid == work->action->index_oid && work->plan == hone_apply_plan_make)
		hone_jobs_try(start_step, work, result);
}

/* Not to be had now: perhaps later. */
static bool
may_be_put_off(Work *work, const HoneTryResult *result)
{
	HonePartTaskKind kind = work->task.kind;

	/*
	 * Somebody who drops the partition has locked its parent, which the build
	 * looks at for a moment; one of the two is told to give way.
	 */
	if (result->sqlerrcode == ERRCODE_T_R_DEADLOCK_DETECTED)
	{
		if (++work->deadlocks > MAX_DEADLOCKS)
			return false;
	}
	else if (result->sqlerrcode != ERRCODE_LOCK_NOT_AVAILABLE ||
			 (kind == HONE_PART_BUILD && work->statement != NULL))
		return false;
	work->put_off = lappend_oid(work->put_off, work->task.relid);
	work->stuck_by = *result;
	return true;
}

/* False: that is the end of it. */
static bool
go_on_after(Work *work, HoneTryResult *result)
{
	HonePartTask *task = &work->task;

	if (result->ok)
	{
		work->stuck_since = 0;
		work->pause_ms = 0;
		work->races = 0;
		if (task->kind != work->last.kind || task->relid != work->last.relid)
		{
			work->last = *task;
			return true;
		}
		/* It did not do what it should, and would not the next time. */
		result->ok = false;
		result->sqlerrcode = ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE;
		result->message = psprintf("index \"%s\" does not become valid",
								   work->action->index_name);
		return false;
	}
	if (may_be_put_off(work, result))
		return true;
	return result->sqlerrcode != ERRCODE_QUERY_CANCELED && !is_part(work);
}

/* Everything that can be done has been: wait a little and try again. */
static bool
pause_work(Work *work, HoneTryResult *result)
{
	TimestampTz now = GetCurrentTimestamp();

	if (work->stuck_since == 0)
		work->stuck_since = now;
	else if (work->patience_ms > 0 &&
			 TimestampDifferenceExceeds(work->stuck_since, now, work->patience_ms))
	{
		*result = work->stuck_by;
		return false;
	}
	work->pause_ms = work->pause_ms ? Min(work->pause_ms * 2, MAX_PAUSE_MS) : FIRST_PAUSE_MS;
	hone_jobs_pause(work->patience_ms ? Min(work->pause_ms, work->patience_ms) : work->pause_ms,
					result);
	list_free(work->put_off);
	work->put_off = NIL;
	return result->ok;
}

/* What was being looked at was dropped under our eyes: look again. */
static bool
plan(Work *work, HoneTryResult *result)
{
	for (;;)
	{
		set_lock_timeout(hone_apply_build_lock_timeout_ms);
		hone_jobs_try(plan_step, work, result);
		set_lock_timeout(HONE_STEP_LOCK_TIMEOUT_MS);
		if (result->ok ||
			(result->sqlerrcode != ERRCODE_INTERNAL_ERROR &&
			 result->sqlerrcode != ERRCODE_UNDEFINED_TABLE) ||
			++work->races > MAX_RACES)
			return result->ok;
	}
}

static void
do_all(Work *work, HoneTryResult *result)
{
	for (;;)
	{
		if (!plan(work, result) || work->task.kind == HONE_PART_NOTHING)
			return;
		if (work->task.kind == HONE_PART_WAIT)
		{
			if (!pause_work(work, result))
				return;
			continue;
		}
		run_task(work, result);
		if (!go_on_after(work, result))
			return;
	}
}

void
hone_apply_run_partitioned(HoneAction *action, HoneTryResult *result)
{
	Work		work = {.action = action, .roleid = action->requested_by};

	work.patience_ms = hone_apply_build_lock_timeout_ms;
	work.context = CurrentMemoryContext;
	if (action->makes_index)
	{
		hone_jobs_try(start_step, &work, result);
		if (!result->ok)
			return;
		work.plan = hone_apply_plan_make;
	}
	else
		work.plan = hone_apply_plan_remove;
	do_all(&work, result);
}

/* What the catalogs say */

typedef struct Look
{
	HoneAction *action;
	HoneIndexState state;
	HonePartTask task;			/* of removing the rest */
} Look;

static void
look_step(void *arg)
{
	Look	   *look = arg;

	SPI_connect();
	look->state = hone_apply_index_state(look->action);
	if (look->state == HONE_INDEX_ABSENT)
		hone_apply_plan_remove(look->action, NIL, CurrentMemoryContext, &look->task);
	SPI_finish();
}

static bool
look_at(Look *look)
{
	HoneTryResult result;

	hone_jobs_try(look_step, look, &result);
	return result.ok;
}

bool
hone_apply_look_partitioned(HoneAction *action, HoneIndexState *state)
{
	Look		look = {.action = action};
	Work		work = {.action = action, .patience_ms = CLEANUP_TIME_MS};
	HoneTryResult result;

	work.context = CurrentMemoryContext;
	if (!look_at(&look))
		return false;
	if (look.state == HONE_INDEX_VALID && !action->makes_index)
	{
		*state = look.state;
		return true;
	}
	work.plan = look.state == HONE_INDEX_VALID ? hone_apply_plan_tidy : hone_apply_plan_remove;
	do_all(&work, &result);
	if (!look_at(&look))
		return false;
	*state = look.state;
	/* The whole is gone, some of its parts are not. */
	if (look.state == HONE_INDEX_ABSENT && look.task.kind != HONE_PART_NOTHING)
		*state = HONE_INDEX_INVALID;
	return true;
}
