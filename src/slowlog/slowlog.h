/*
 * slowlog.h
 *	  Slow, failed and cancelled statements with their plans.
 */
#ifndef HONE_SLOWLOG_H
#define HONE_SLOWLOG_H

#include "port/atomics.h"

#include "base/record.h"

/*
 * pg_hone.slow_query_ms in nanoseconds; PG_UINT64_MAX when the log is off.
 * Kept apart from the setting so that a fast statement costs one comparison.
 */
extern uint64 hone_slow_query_ns;

/* Would a completed statement of this duration be logged? */
static inline bool
hone_slowlog_wants(uint64 exec_ns)
{
	return unlikely(exec_ns >= hone_slow_query_ns);
}

/*
 * Queries known to be slow (known.c): sets of words whose upper bits are those
 * of a query id. NULL when the library was not preloaded.
 */
#define HONE_KNOWN_SETS 2048
#define HONE_KNOWN_WAYS 2
#define HONE_KNOWN_STATE UINT64CONST(0xFFFF)

extern pg_atomic_uint64 *hone_slow_known;

static inline bool
hone_known_is(uint64 word, uint64 queryid)
{
	return ((word ^ queryid) & ~HONE_KNOWN_STATE) == 0;
}

static inline pg_atomic_uint64 *
hone_known_set(uint64 queryid)
{
	return &hone_slow_known[(queryid & (HONE_KNOWN_SETS - 1)) * HONE_KNOWN_WAYS];
}

/* Is this query known to be slow? Asked by hooks that are there only if preloaded. */
static inline bool
hone_slowlog_expects(uint64 queryid)
{
	pg_atomic_uint64 *set = hone_known_set(queryid);

	return unlikely(hone_known_is(pg_atomic_read_u64(&set[0]), queryid) ||
					hone_known_is(pg_atomic_read_u64(&set[1]), queryid));
}

extern void hone_slowlog_init(void);

/*
 * An execution that hone_slowlog_expects() is about to start: has its rows
 * counted, if it is one of those to look at. True when
 * hone_slowlog_after_start() shall be asked for the plan, because the last
 * execution ended before it could be printed. Neither raises an error.
 */
extern bool hone_slowlog_before_start(QueryDesc *query_desc, const HoneQueryKey *key);

/*
 * The plan with its estimates, to be handed over as early_plan should the
 * statement fail; empty when it cannot be had. Lives as long as the execution.
 */
extern const char *hone_slowlog_after_start(QueryDesc *query_desc);

/*
 * Log a statement that ended, if it was slow (however quickly, if it was
 * cancelled or failed: call it for all of these, nested ones first). May be
 * called while an error is being caught, with query_desc NULL: then it only
 * copies and takes LWLocks. Never raises an error on its own account.
 */
extern void hone_slowlog_keep(const HoneExecution *execution);

#endif							/* HONE_SLOWLOG_H */
