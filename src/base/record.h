/*
 * record.h
 *	  One execution as probe measured it: what it hands, once and read-only,
 *	  to the three keepers (stats, workload, slowlog).
 *
 * Lives in base because the keepers are below probe and know nothing of it.
 * Pointers are valid only during the call.
 */
#ifndef HONE_RECORD_H
#define HONE_RECORD_H

#include "datatype/timestamp.h"
#include "executor/execdesc.h"
#include "nodes/params.h"
#include "tcop/cmdtag.h"

/* Identity of a query's statistics. Zero it before filling: it is hashed. */
typedef struct HoneQueryKey
{
	uint64		queryid;
	Oid			userid;
	Oid			dbid;
	bool		toplevel;
	char		pad[7];
} HoneQueryKey;

typedef enum HoneOutcome
{
	HONE_COMPLETED,
	HONE_FAILED,
	HONE_CANCELLED				/* query_canceled and its timeouts */
} HoneOutcome;

typedef struct HoneUsage
{
	int64		shared_blks_hit;
	int64		shared_blks_read;
	int64		temp_blks_written;
	int64		wal_bytes;
} HoneUsage;

typedef struct HoneExecution
{
	HoneQueryKey key;
	CommandTag	command;
	HoneOutcome outcome;
	int			sqlerrcode;		/* of a statement that did not complete */
	int			nesting;		/* 0 at top level */

	uint64		exec_ns;		/* inside the executor, not the client's time */
	uint64		plan_ns;		/* of the planning just before; 0 if none */
	uint64		rows;
	HoneUsage	usage;

	/*
	 * The statement's own part of the source text, not terminated. text_len
	 * is -1 where it is the whole terminated string (hone_record_text tells).
	 */
	const char *text;
	int			text_len;

	ParamListInfo params;		/* NULL when there are none */

	/*
	 * The executor's state, still alive, when an optimisable statement
	 * completed; NULL for utility statements and failures. Read only.
	 */
	QueryDesc  *query_desc;

	/* May text and parameter values be kept? False for utility statements
	 * that can carry a secret. */
	bool		text_is_safe;
} HoneExecution;

/*
 * Set to keep this process's own statements out of everything that is kept:
 * for good in our workers, and around what-if planning (restore it in
 * PG_FINALLY).
 */
extern bool hone_capture_paused;

/* The statement's text without surrounding white space, and its length. */
extern const char *hone_record_text(const HoneExecution *execution, int *length);

#endif							/* HONE_RECORD_H */
