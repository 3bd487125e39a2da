/*
 * waits.c
 *	  What queued actions wait for: who is in the way, and noting it.
 *
 * Everything here is one static statement as the extension's owner, in a short
 * transaction of the builder's, or of a call that is about to wait; callers are
 * connected to SPI. A row that somebody has locked is not waited for: then it is
 * not noted. What it says of other processes is true at that moment only,
 * and nothing depends on its being true later: the statement has its time limits.
 */
#include "postgres.h"

#include "miscadmin.h"

#include "apply/internal.h"
#include "apply/sql.h"

void
hone_apply_postpone(const HoneAction *action, const char *why, int retry_s)
{
	Arguments	args = {0};

	add_int8(&args, action->id);
	add_text(&args, why);
	add(&args, INT4OID, Int32GetDatum(retry_s), false);
	run("UPDATE hone.action_store SET waiting_for = $2,"
		" postponements = postponements OPERATOR(pg_catalog.+) 1,"
		" looked_at = pg_catalog.clock_timestamp(),"
		" retry_at = pg_catalog.clock_timestamp() OPERATOR(pg_catalog.+)"
		" pg_catalog.make_interval(secs => $3)"
		" WHERE id OPERATOR(pg_catalog.=) (" QUEUED_UNLOCKED ")", &args);
}

void
hone_apply_note_waiting(const HoneAction *action, const char *why)
{
	Arguments	args = {0};

	add_int8(&args, action->id);
	add_text(&args, why);
	run("UPDATE hone.action_store SET waiting_for = $2, looked_at = pg_catalog.clock_timestamp()"
		" WHERE id OPERATOR(pg_catalog.=) (" QUEUED_UNLOCKED ")", &args);
}

void
hone_apply_note_no_slot(void)
{
	Arguments	args = {0};

	run("UPDATE hone.action_store a SET looked_at = pg_catalog.clock_timestamp(),"
		" waiting_for = '" HONE_WAITS_FOR_TURN "as many indexes as pg_hone.max_builds allows are being worked on'"
		" WHERE a.id OPERATOR(pg_catalog.=) ANY (ARRAY(SELECT a.id FROM hone.action_store a"
		" WHERE " WHERE_QUEUED " FOR NO KEY UPDATE OF a SKIP LOCKED))", &args);
}

/*
 * What a drop relies on may yet be taken back: the index that is to do its work,
 * or those that were to be built before it.
 */
#define TRIAL_SQL \
	"SELECT c.index_name FROM hone.action_store c" \
	" WHERE c.relid OPERATOR(pg_catalog.=) $2 AND c.trial OPERATOR(pg_catalog.=) 'create'" \
	" AND (c.state OPERATOR(pg_catalog.=) 'trial' OR c.state IN ('queued', 'building')" \
	" AND c.operation OPERATOR(pg_catalog.=) 'revert')" \
	" AND (c.index_name OPERATOR(pg_catalog.=) $3 OR $4 AND EXISTS (" \
	"SELECT FROM hone.recommendation_store r JOIN hone.recommendation_store o" \
	" ON o.run_id OPERATOR(pg_catalog.=) r.run_id" \
	" WHERE r.id OPERATOR(pg_catalog.=) $1" \
	" AND o.id OPERATOR(pg_catalog.=) c.recommendation_id))" \
	" ORDER BY c.id LIMIT 1"

char *
hone_apply_why_trial(const HoneAction *action)
{
	Arguments	args = {0};

	if (action->makes_index || action->is_reindex || action->is_revert)
		return NULL;
	add_int8(&args, action->recommendation_id);
	add_oid(&args, action->relid);
	add_text(&args, action->needs_index);
	add_bool(&args, action->after_creates);
	if (run(TRIAL_SQL, &args) == 0)
		return NULL;
	return psprintf(HONE_WAITS_FOR_TRIAL "\"%s\"", column_text(1));
}

/* One that is held by this process conflicts with nothing of it. */
#define LOCKS_ON_TABLE \
	" l.locktype OPERATOR(pg_catalog.=) 'relation' AND l.granted" \
	" AND l.relation OPERATOR(pg_catalog.=) $1" \
	" AND l.database OPERATOR(pg_catalog.=) (SELECT d.oid FROM pg_catalog.pg_database d" \
	" WHERE d.datname OPERATOR(pg_catalog.=) pg_catalog.current_database())" \
	" AND l.pid IS DISTINCT FROM pg_catalog.pg_backend_pid()"

/* A prepared transaction has no process; its lock on itself tells which it is. */
#define PREPARED_TRANSACTION \
	" LEFT JOIN (pg_catalog.pg_locks x JOIN pg_catalog.pg_prepared_xacts p" \
	" ON p.transaction OPERATOR(pg_catalog.=) x.transactionid)" \
	" ON l.pid IS NULL AND x.pid IS NULL" \
	" AND x.virtualtransaction OPERATOR(pg_catalog.=) l.virtualtransaction"

#define LOCK_HOLDER_SQL \
	"SELECT coalesce('process ' OPERATOR(pg_catalog.||) l.pid::pg_catalog.text," \
	" pg_catalog.format('the prepared transaction %L', p.gid))" \
	" FROM pg_catalog.pg_locks l" PREPARED_TRANSACTION \
	" WHERE" LOCKS_ON_TABLE \
	" AND l.mode IN ('ShareUpdateExclusiveLock', 'ShareLock', 'ShareRowExclusiveLock'," \
	" 'ExclusiveLock', 'AccessExclusiveLock') LIMIT 1"

char *
hone_apply_lock_holder(const HoneAction *action)
{
	Arguments	args = {0};

	add_oid(&args, action->relid);
	if (run(LOCK_HOLDER_SQL, &args) == 0)
		return psprintf("a lock on table %s", action->table_name);
	return psprintf("a lock on table %s that %s holds", action->table_name, column_text(1));
}

/*
 * A build waits for whoever may write to the table, in this or another way, and
 * for all snapshots in this database but those of VACUUM and of builds that can
 * be ignored; removing an index waits for whoever may use the table; rebuilding
 * does both. (Snapshots of prepared transactions are gone, their locks are not.)
 */
#define OLD_TRANSACTION_SQL \
	"SELECT o.who, pg_catalog.date_part('epoch', pg_catalog.clock_timestamp()" \
	" OPERATOR(pg_catalog.-) o.since)::pg_catalog.int8 FROM (" \
	"SELECT 'process ' OPERATOR(pg_catalog.||) s.pid::pg_catalog.text AS who, s.xact_start AS since" \
	" FROM pg_catalog.pg_stat_activity s" \
	" WHERE s.pid OPERATOR(pg_catalog.<>) pg_catalog.pg_backend_pid()" \
	" AND (EXISTS (SELECT FROM pg_catalog.pg_locks l WHERE" LOCKS_ON_TABLE \
	" AND l.pid OPERATOR(pg_catalog.=) s.pid" \
	" AND ($2 OR l.mode NOT IN ('AccessShareLock', 'RowShareLock')))" \
	" OR $3 AND s.backend_xmin IS NOT NULL" \
	" AND s.datname OPERATOR(pg_catalog.=) pg_catalog.current_database()" \
	" AND s.backend_type OPERATOR(pg_catalog.<>) 'autovacuum worker'" \
	" AND NOT EXISTS (SELECT FROM pg_catalog.pg_stat_progress_vacuum v" \
	" WHERE v.pid OPERATOR(pg_catalog.=) s.pid)" \
	" AND NOT EXISTS (SELECT FROM pg_catalog.pg_stat_progress_create_index c" \
	" JOIN pg_catalog.pg_index i ON i.indexrelid OPERATOR(pg_catalog.=) c.index_relid" \
	" AND i.indexprs IS NULL AND i.indpred IS NULL" \
	" WHERE c.pid OPERATOR(pg_catalog.=) s.pid" \
	" AND c.command OPERATOR(pg_catalog.~) 'CONCURRENTLY'))" \
	" UNION ALL" \
	" SELECT pg_catalog.format('the prepared transaction %L', p.gid), p.prepared" \
	" FROM pg_catalog.pg_locks l" PREPARED_TRANSACTION \
	" WHERE" LOCKS_ON_TABLE " AND ($2 OR l.mode NOT IN ('AccessShareLock', 'RowShareLock'))" \
	") o WHERE o.since OPERATOR(pg_catalog.<) (pg_catalog.clock_timestamp()" \
	" OPERATOR(pg_catalog.-) pg_catalog.make_interval(secs => $4))" \
	" ORDER BY o.since LIMIT 1"

char *
hone_apply_old_transaction(const HoneAction *action)
{
	Arguments	args = {0};

	if (hone_apply_max_transaction_age_s == 0)
		return NULL;
	add_oid(&args, action->relid);
	add_bool(&args, !action->makes_index || action->is_reindex);
	add_bool(&args, action->makes_index);
	add(&args, INT4OID, Int32GetDatum(hone_apply_max_transaction_age_s), false);
	if (run(OLD_TRANSACTION_SQL, &args) == 0)
		return NULL;
	return psprintf("%s, whose transaction has been open for " INT64_FORMAT " s",
					column_text(1), DatumGetInt64(column(2)));
}

#define BUILT_SQL \
	"SELECT pg_catalog.count(*)::pg_catalog.int4, pg_catalog.date_part('epoch'," \
	" pg_catalog.min(built_at) OPERATOR(pg_catalog.+) '24:00:00'::pg_catalog.interval" \
	" OPERATOR(pg_catalog.-) pg_catalog.clock_timestamp())::pg_catalog.int4" \
	" FROM hone.action_store WHERE action OPERATOR(pg_catalog.=) 'create'" \
	" AND (built_at OPERATOR(pg_catalog.>) (pg_catalog.clock_timestamp()" \
	" OPERATOR(pg_catalog.-) '24:00:00'::pg_catalog.interval)" \
	" OR state OPERATOR(pg_catalog.=) 'building' AND operation OPERATOR(pg_catalog.=) 'apply')"

int
hone_apply_built_today(int *retry_s)
{
	Arguments	args = {0};

	if (run(BUILT_SQL, &args) == 0)
		return 0;
	*retry_s = DatumGetInt32(column(2));
	return DatumGetInt32(column(1));
}
