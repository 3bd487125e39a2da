/*
 * slowlog.h
 *	  Slow, failed and cancelled statements with their plans.
 */
#ifndef HONE_SLOWLOG_H
#define HONE_SLOWLOG_H

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

extern void hone_slowlog_init(void);

/*
 * Log a statement that ended, if it was slow (or was cancelled, however
 * quickly). May be called while an error is being caught, with query_desc
 * NULL: then it only copies and takes LWLocks. Never raises an error on its
 * own account.
 */
extern void hone_slowlog_keep(const HoneExecution *execution);

#endif							/* HONE_SLOWLOG_H */
