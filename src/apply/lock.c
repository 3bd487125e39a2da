/*
 * lock.c
 *	  The table's own lock, which a builder holds before its statement asks for it.
 *
 * CREATE INDEX CONCURRENTLY has a snapshot when it asks for its lock, and somebody
 * else's build that has the lock may be waiting for just that snapshot: a deadlock
 * (limits.c). So the lock is asked for before, again and again and without a
 * snapshot, never standing in the queue; the statement then has it already.
 *
 * It is the session's, so it is held between transactions. An abort gives it back,
 * a commit does not; nor does the end of a process between two transactions, so
 * that is done by a callback. One table at a time (a partition's, which
 * partition.c locks for one statement, is not noted here).
 */
#include "postgres.h"

#include "miscadmin.h"
#include "pgstat.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "storage/lock.h"
#include "utils/inval.h"
#include "utils/timestamp.h"

#include "apply/internal.h"
#include "base/compat.h"

#define FIRST_LOOK_MS 10
#define MAX_LOOK_MS 200

/* Whose lock this process has; InvalidOid: none. */
static Oid	locked_table = InvalidOid;

static LOCKTAG
table_lock(Oid relid)
{
	LOCKTAG		tag;

	SET_LOCKTAG_RELATION(tag, MyDatabaseId, relid);
	return tag;
}

bool
hone_apply_try_lock_table(Oid relid)
{
	LOCKTAG		tag = table_lock(relid);

	if (LockAcquire(&tag, ShareUpdateExclusiveLock, true, true) == LOCKACQUIRE_NOT_AVAIL)
		return false;
	AcceptInvalidationMessages();
	return true;
}

void
hone_apply_unlock_table(Oid relid)
{
	LOCKTAG		tag = table_lock(relid);

	LockRelease(&tag, ShareUpdateExclusiveLock, true);
}

static void
try_lock(void *arg)
{
	Oid			relid = *(Oid *) arg;

	if (hone_apply_try_lock_table(relid))
		locked_table = relid;
}

/*
 * It may be had in a moment, from an ANALYZE for example; asking again and again,
 * without a snapshot, is what nobody can come to wait for.
 */
bool
hone_apply_enter_table(Oid relid, int patience_ms)
{
	TimestampTz started = GetCurrentTimestamp();
	long		ms = FIRST_LOOK_MS;
	HoneTryResult result;

	for (;;)
	{
		hone_jobs_try(try_lock, &relid, &result);
		if (!result.ok)
			proc_exit(1);
		if (OidIsValid(locked_table))
			return true;
		if (TimestampDifferenceExceeds(started, GetCurrentTimestamp(), patience_ms))
			return false;
		(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH,
						 ms, PG_WAIT_EXTENSION);
		ResetLatch(MyLatch);
		CHECK_FOR_INTERRUPTS();
		ms = Min(ms * 2, MAX_LOOK_MS);
	}
}

/* An abort has given it back already. */
void
hone_apply_leave_table(const HoneTryResult *result)
{
	if (OidIsValid(locked_table) && (result == NULL || result->ok))
		hone_apply_unlock_table(locked_table);
	locked_table = InvalidOid;
}

/*
 * Called when the process ends, after its transaction: an abort gives back all
 * locks on tables, but there is none when the process ends between two
 * transactions.
 */
void
hone_apply_leave_tables(int code pg_attribute_unused(), Datum arg pg_attribute_unused())
{
	LockReleaseAll(DEFAULT_LOCKMETHOD, true);
}
