/*
 * stats.h
 *	  Query statistics: counters and a latency histogram for each query of each
 *	  role in each database.
 */
#ifndef HONE_STATS_H
#define HONE_STATS_H

#include "base/record.h"

struct JumbleState;

/* Under this query id stands what failed before it was a query. */
#define HONE_NO_QUERY PG_UINT64_MAX

/* in stats.c */
extern void hone_stats_init(void);

/* in history.c */
extern void hone_stats_history_init(void);

/*
 * in pending.c: called for every statement; never raise an error. Returns true
 * when this is the first of its query since the last drain.
 */
extern bool hone_stats_record(const HoneExecution *execution);
extern void hone_stats_record_plan(const HoneQueryKey *key, uint64 top_queryid,
								   CommandTag command, uint64 plan_ns);

/* What a parallel worker read; its leader reports the rest of the execution. */
extern void hone_stats_record_tables(const HoneExecution *execution);

/*
 * in spread.c: count an error by its SQLSTATE (0: not known), when it happens:
 * one that ended the statement, or one that a function caught, in the statement
 * or around it. Never raise an error nor allocate.
 */
extern void hone_stats_count_error(const HoneQueryKey *key, int sqlerrcode);
extern void hone_stats_count_caught(const HoneQueryKey *key, int sqlerrcode);

/*
 * Bring what the backends have counted since the last time into the shared
 * table: done by the launcher about once a second and by every reader.
 */
extern void hone_stats_drain(void);

/*
 * in text.c: make the text of a query known, normalised (each constant a
 * parameter symbol) when jstate tells where its constants are. Cheap when it
 * is known already.
 */
extern void hone_stats_remember_text(const HoneQueryKey *key,
									 const char *text, int text_len,
									 int text_location,
									 const struct JumbleState *jstate);

#endif							/* HONE_STATS_H */
