/*
 * sql.h
 *	  Parts of statements on hone.action_store that store.c and waits.c share.
 */
#ifndef HONE_APPLY_SQL_H
#define HONE_APPLY_SQL_H

#include "base/sql.h"

/* Processes like this one in this database; whoever asks is not among them. */
#define BUILDERS \
	" FROM pg_catalog.pg_stat_activity s" \
	" WHERE s.datid OPERATOR(pg_catalog.=) (SELECT d.oid FROM pg_catalog.pg_database d" \
	" WHERE d.datname OPERATOR(pg_catalog.=) pg_catalog.current_database())" \
	" AND s.backend_type OPERATOR(pg_catalog.=) '" HONE_BUILDER_TYPE "'" \
	" AND s.pid OPERATOR(pg_catalog.<>) pg_catalog.pg_backend_pid()"

/*
 * What is due, and not on a table that is being worked on. A drop that depends on
 * others comes after what was queued before it for its table.
 */
#define WHERE_QUEUED \
	"a.state OPERATOR(pg_catalog.=) 'queued' AND NOT a.leftover" \
	" AND (a.retry_at IS NULL OR a.retry_at OPERATOR(pg_catalog.<=) pg_catalog.clock_timestamp())" \
	" AND NOT EXISTS (SELECT FROM hone.action_store b" \
	" WHERE b.relid OPERATOR(pg_catalog.=) a.relid AND b.id OPERATOR(pg_catalog.<>) a.id" \
	" AND (b.state OPERATOR(pg_catalog.=) 'building'" \
	" OR b.state OPERATOR(pg_catalog.=) 'queued'" \
	" AND (a.after_creates OR a.needs_index IS NOT NULL)" \
	" AND ROW(b.queued_at, b.id) OPERATOR(pg_catalog.<) ROW(a.queued_at, a.id)))"

/* The action $1 if it is queued, and nobody is about to take it back. */
#define QUEUED_UNLOCKED \
	"SELECT q.id FROM hone.action_store q WHERE q.id OPERATOR(pg_catalog.=) $1" \
	" AND q.state OPERATOR(pg_catalog.=) 'queued' FOR NO KEY UPDATE SKIP LOCKED"

#endif							/* HONE_APPLY_SQL_H */
