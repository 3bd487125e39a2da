/*
 * known.h
 *	  Queries known to be slow, and which of their executions to look at more
 *	  closely. Private to slowlog, but for what slowlog.h repeats.
 */
#ifndef HONE_SLOWLOG_KNOWN_H
#define HONE_SLOWLOG_KNOWN_H

#include "slowlog/slowlog.h"

extern void hone_known_slow_init(void);

/*
 * A slow execution was kept. ended_early: it was cancelled or failed, so that
 * it had no plan unless one was printed beforehand.
 */
extern void hone_known_slow_note(uint64 queryid, bool ended_early);

/*
 * Is this execution one to look at? Counts it. *ended_early tells how the
 * last one that was kept ended.
 */
extern bool hone_known_slow_pick(uint64 queryid, bool *ended_early);

#endif							/* HONE_SLOWLOG_KNOWN_H */
