/*
 * limits.c
 *	  May an action begin now? And which locks keep builds apart.
 *
 * Nobody waits for anything here: what does not allow a build puts it off, and
 * the builder that asked goes on to the next one or ends. What is asked, and
 * when it is asked again:
 *
 *	the build window, builds in a day	when it opens, at most an hour later
 *	disk space							10 s later, then 20 s ... up to an hour
 *	a lock on the table					the same
 *	a transaction that has been open for long	the same
 *
 * Window and daily limit are for what makes load that can wait: applying a
 * create, and rebuilding. They do not hold up taking something back.
 *
 * Locks, all of a class that SQL functions cannot take, so that no ordinary role
 * can hold builds up; all given up with the process, however it ends:
 *
 *	slot (n), server-wide	one of pg_hone.max_builds, as long as a builder works
 *	table (relid)			one action on a table at a time. Who has it may settle
 *							what a dead builder left of that table.
 *	snapshots				shared by builds that others do not wait for; alone
 *							by an index with an expression or a predicate, whose
 *							build keeps a snapshot that every other build of the
 *							database waits out
 *
 * Besides, the builder takes the table's own ShareUpdateExclusiveLock before the
 * statement does, without ever standing in a queue: CREATE INDEX CONCURRENTLY has
 * a snapshot when it asks for that lock, and somebody else's build that has the
 * lock may be waiting for just that snapshot, which is a deadlock. Having it
 * already, the statement never waits for it.
 *
 * The time of day is the server's (log_timezone), the same for all sessions.
 */
#include "postgres.h"

#include <sys/statvfs.h>
#include <unistd.h>

#include "catalog/pg_tablespace_d.h"
#include "commands/tablespace.h"
#include "miscadmin.h"
#include "nodes/parsenodes.h"
#include "pgtime.h"
#include "storage/lock.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/timestamp.h"

#include "apply/internal.h"
#include "base/compat.h"

#define LOCK_KEY 0x686f6e65
#define LOCK_CLASS 9			/* SQL functions use 1 and 2, jobs uses 10 */
#define LOCK_CLASS_SNAPSHOTS 11
#define LOCK_CLASS_SLOT 12

#define FIRST_RETRY_S 10
#define LAST_RETRY_S 3600
#define MINUTES_A_DAY (24 * 60)
#define MAX_BUILDS 64

int			hone_apply_max_builds = 1;
int			hone_apply_builds_per_day = 0;
int			hone_apply_build_attempts = 5;
int			hone_apply_max_transaction_age_s = 300;
static int	max_disk_usage = 90;
static char *build_window = NULL;

/* Settings */

/* "22:00-06:00" in minutes of the day; false if it is not like that. */
static bool
parse_window(const char *text, int *from, int *to)
{
	int			h1,
				m1,
				h2,
				m2,
				length = 0;

	if (sscanf(text, "%2d:%2d-%2d:%2d%n", &h1, &m1, &h2, &m2, &length) != 4 ||
		text[length] != '\0' || strspn(text, "0123456789:-") != strlen(text))
		return false;
	if (h1 < 0 || h2 < 0 || m1 < 0 || m2 < 0 || m1 > 59 || m2 > 59)
		return false;
	*from = h1 * 60 + m1;
	*to = h2 * 60 + m2;
	return *from < MINUTES_A_DAY && *to <= MINUTES_A_DAY && *from != *to;
}

static bool
check_window(char **value, void **extra pg_attribute_unused(),
			 GucSource source pg_attribute_unused())
{
	int			from,
				to;

	if (*value == NULL || **value == '\0' || parse_window(*value, &from, &to))
		return true;
	GUC_check_errdetail("A window is two different times of the day, such as \"22:00-06:00\".");
	return false;
}

void
hone_apply_limits_init(void)
{
	DefineCustomIntVariable("pg_hone.max_builds",
							"Sets how many indexes are built or dropped at the same time on this server.",
							"Never two on one table.",
							&hone_apply_max_builds,
							1, 1, MAX_BUILDS,
							PGC_SIGHUP,
							0,
							NULL, NULL, NULL);
	DefineCustomIntVariable("pg_hone.builds_per_day",
							"Sets how many recommended indexes are built in a database within 24 hours.",
							"Zero sets no limit.",
							&hone_apply_builds_per_day,
							0, 0, INT_MAX,
							PGC_SUSET,
							0,
							NULL, NULL, NULL);
	DefineCustomIntVariable("pg_hone.build_attempts",
							"Sets how often building or dropping an index is tried when it fails for a reason that may pass.",
							"Such as a lock timeout, a deadlock, a full disk, or a worker that was lost.",
							&hone_apply_build_attempts,
							5, 1, 1000,
							PGC_SUSET,
							0,
							NULL, NULL, NULL);
	DefineCustomIntVariable("pg_hone.max_transaction_age",
							"Sets the age of a transaction from which on an index that would have to wait for it is put off.",
							"Zero puts it off for none: it waits for all of them.",
							&hone_apply_max_transaction_age_s,
							300, 0, INT_MAX,
							PGC_SUSET,
							GUC_UNIT_S,
							NULL, NULL, NULL);
	DefineCustomIntVariable("pg_hone.max_disk_usage",
							"Sets up to which use of its file system, in percent, an index is built.",
							"The estimated size counts twice. 100 asks for the space only.",
							&max_disk_usage,
							90, 1, 100,
							PGC_SUSET,
							0,
							NULL, NULL, NULL);
	DefineCustomStringVariable("pg_hone.build_window",
							   "Sets the time of the day in which recommended indexes are built, and indexes rebuilt.",
							   "Such as 22:00-06:00, in the time zone of log_timezone. Empty is always.",
							   &build_window,
							   "",
							   PGC_SUSET,
							   0,
							   check_window, NULL, NULL);
}

int
hone_apply_retry_s(int times)
{
	return times >= 9 ? LAST_RETRY_S : Min(FIRST_RETRY_S << Max(times, 0), LAST_RETRY_S);
}

/* Window and daily limit */

/* Minutes until the window opens; 0: it is open. */
static int
minutes_to_window(void)
{
	pg_time_t	now = timestamptz_to_time_t(GetCurrentTimestamp());
	struct pg_tm *tm;
	int			from,
				to,
				at;

	if (build_window == NULL || !parse_window(build_window, &from, &to))
		return 0;
	tm = pg_localtime(&now, log_timezone);
	at = tm->tm_hour * 60 + tm->tm_min;
	if (from < to ? (at >= from && at < to) : (at >= from || at < to))
		return 0;
	return (from - at + MINUTES_A_DAY) % MINUTES_A_DAY;
}

static bool
can_wait(const HoneAction *action)
{
	return action->is_reindex || (action->makes_index && !action->is_revert);
}

char *
hone_apply_why_not_now(const HoneAction *action, int *retry_s)
{
	int			minutes = minutes_to_window();

	if (!can_wait(action))
		return NULL;
	if (minutes > 0)
	{
		*retry_s = Min(minutes * 60, LAST_RETRY_S);
		return psprintf(HONE_WAITS_FOR_TIME "the build window is %s", build_window);
	}
	if (!action->is_reindex && hone_apply_builds_per_day > 0 &&
		hone_apply_built_today(retry_s) >= hone_apply_builds_per_day)
	{
		*retry_s = Max(FIRST_RETRY_S, Min(*retry_s, LAST_RETRY_S));
		return psprintf(HONE_WAITS_FOR_TIME "%d indexes, the daily limit, were built in the last 24 hours",
						hone_apply_builds_per_day);
	}
	return NULL;
}

/* Disk space */

/* Where the index will be; the database's own tablespace if that is not said. */
static Oid
tablespace_of(const HoneAction *action)
{
	Oid			tablespace = InvalidOid;

	if (action->is_reindex)
		tablespace = hone_apply_index_tablespace(action->index_oid);
	else
	{
		IndexStmt  *statement = hone_apply_parse_index(action->definition);

		if (statement == NULL || statement->tableSpace == NULL)
			tablespace = GetDefaultTablespace(RELPERSISTENCE_PERMANENT, false);
		else
			tablespace = get_tablespace_oid(statement->tableSpace, true);
	}
	return OidIsValid(tablespace) ? tablespace : MyDatabaseTableSpace;
}

char *
hone_apply_why_no_space(const HoneAction *action)
{
	struct statvfs fs;
	char	   *path;
	Oid			tablespace;
	double		block,
				needed,
				available,
				used;

	if (!action->makes_index)
		return NULL;
	tablespace = tablespace_of(action);
	path = tablespace == DEFAULTTABLESPACE_OID ? pstrdup("base") :
		psprintf("pg_tblspc/%u", tablespace);
	/* What cannot be asked is no reason to build nothing. */
	if (statvfs(path, &fs) != 0 || fs.f_blocks == 0)
		return NULL;

	block = (double) fs.f_frsize;
	needed = 2.0 * (double) action->size_bytes;
	available = block * (double) fs.f_bavail;
	used = block * ((double) fs.f_blocks - (double) fs.f_bfree) + needed;
	if (needed > available)
		return psprintf("disk space: %.0f MB are free of the %.0f MB that it may need",
						available / 1048576, needed / 1048576);
	/* As df counts: what is reserved for root is not there. */
	if (max_disk_usage < 100 && used * 100 > max_disk_usage * (used - needed + available))
		return psprintf("disk space: with it, more than %d %% of the file system would be in use",
						max_disk_usage);
	return NULL;
}

/* Locks */

static bool
lock(Oid database, uint32 key, uint16 lock_class, LOCKMODE mode, bool release)
{
	LOCKTAG		tag;

	SET_LOCKTAG_ADVISORY(tag, database, LOCK_KEY, key, lock_class);
	if (release)
		return LockRelease(&tag, mode, true);
	return LockAcquire(&tag, mode, true, true) != LOCKACQUIRE_NOT_AVAIL;
}

int
hone_apply_take_slot(void)
{
	for (int slot = 1; slot <= hone_apply_max_builds; slot++)
		if (lock(InvalidOid, slot, LOCK_CLASS_SLOT, ExclusiveLock, false))
			return slot;
	return 0;
}

void
hone_apply_give_slot(int slot)
{
	(void) lock(InvalidOid, slot, LOCK_CLASS_SLOT, ExclusiveLock, true);
}

bool
hone_apply_claim_table(Oid relid)
{
	return lock(MyDatabaseId, relid, LOCK_CLASS, ExclusiveLock, false);
}

void
hone_apply_release_table(Oid relid)
{
	(void) lock(MyDatabaseId, relid, LOCK_CLASS, ExclusiveLock, true);
}

static LOCKMODE
snapshot_mode(const HoneAction *action)
{
	return action->keeps_snapshot ? ExclusiveLock : ShareLock;
}

bool
hone_apply_claim_snapshots(const HoneAction *action)
{
	return !action->makes_index ||
		lock(MyDatabaseId, 0, LOCK_CLASS_SNAPSHOTS, snapshot_mode(action), false);
}

void
hone_apply_release_snapshots(const HoneAction *action)
{
	if (action->makes_index)
		(void) lock(MyDatabaseId, 0, LOCK_CLASS_SNAPSHOTS, snapshot_mode(action), true);
}
