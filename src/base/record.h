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

/*
 * What the server counted meanwhile. Up to wal_bytes in the order of core's
 * BufferUsage and WalUsage, so that a compiler can copy and subtract in blocks.
 */
typedef struct HoneUsage
{
	int64		shared_blks_hit;
	int64		shared_blks_read;
	int64		shared_blks_dirtied;
	int64		shared_blks_written;
	int64		local_blks_hit;
	int64		local_blks_read;
	int64		local_blks_dirtied;
	int64		local_blks_written;
	int64		temp_blks_read;
	int64		temp_blks_written;
	int64		wal_records;
	int64		wal_fpi;
	int64		wal_bytes;
	int64		read_ns;		/* 0 unless track_io_timing is on */
	int64		write_ns;
} HoneUsage;

static inline void
hone_usage_add(HoneUsage *pg_restrict to, const HoneUsage *pg_restrict from)
{
	int64	   *pg_restrict sum = (int64 *) to;
	const int64 *pg_restrict term = (const int64 *) from;

	for (int i = 0; i < (int) (sizeof(HoneUsage) / sizeof(int64)); i++)
		sum[i] += term[i];
}

/* What a statement read of one table, or that it was its target. */
typedef struct HoneTableRead
{
	Oid			relid;			/* of a partition, the partitioned table */
	bool		is_target;		/* of INSERT, UPDATE, DELETE or MERGE */
	int64		seq_rows;		/* by sequential scans */
	int64		index_rows;		/* index entries and what bitmaps fetched */
} HoneTableRead;

/* Was the plan made for these values, or for any? */
typedef enum HonePlanKind
{
	HONE_PLAN_UNKNOWN,			/* there are no parameters, or it cannot be told */
	HONE_PLAN_CUSTOM,
	HONE_PLAN_GENERIC
} HonePlanKind;

typedef struct HoneExecution
{
	HoneQueryKey key;
	CommandTag	command;
	int			nesting;		/* 0 at top level */
	uint64		top_queryid;	/* of the top level statement it ran for; 0 for
								 * that itself, and when it is not known */

	/* May text and parameter values be kept? False for utility statements
	 * that can carry a secret. */
	bool		text_is_safe;
	HonePlanKind plan_kind;
	uint64		plan_ns;		/* of the planning just before; 0 if none */

	uint64		exec_ns;		/* inside the executor, not the client's time */
	uint64		rows;
	HoneUsage	usage;
	int64		jit_functions;
	uint64		jit_ns;			/* all stages of just-in-time compilation */
	HoneOutcome outcome;
	int			sqlerrcode;		/* of a statement that did not complete */
	int			caught_errors;	/* raised and caught inside it, in functions */
	bool		unusual;		/* else completed, without JIT and caught errors,
								 * and only shared_blks_hit is not 0 in usage */
	int			ntables;
	int			text_len;
	const HoneTableRead *tables;

	/*
	 * The statement's own part of the source text, not terminated. text_len is
	 * -1 where it is the whole terminated string. NULL when query_desc has it;
	 * hone_record_text tells in any case.
	 */
	const char *text;

	ParamListInfo params;		/* NULL when there are none */

	/*
	 * The executor's state, still alive, when an optimisable statement
	 * completed; NULL for utility statements and failures. Read only.
	 */
	QueryDesc  *query_desc;

	/*
	 * Of one that failed: what hone_slowlog_after_start() returned, or NULL if
	 * it was not asked. Not of utility statements.
	 */
	const char *early_plan;
} HoneExecution;

/*
 * Set to keep this process's own statements out of everything that is kept:
 * while a plan is printed for the slow log, and around what-if planning. Whoever
 * sets it restores it, also on error.
 */
extern bool hone_capture_paused;

/* The statement's text without surrounding white space, and its length. */
extern const char *hone_record_text(const HoneExecution *execution, int *length);

#endif							/* HONE_RECORD_H */
