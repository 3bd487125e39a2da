/*
 * spread.h
 *	  What is counted beside each query's own statistics, private to this room:
 *	  the five tallies, their keys and their counters.
 */
#ifndef HONE_STATS_SPREAD_H
#define HONE_STATS_SPREAD_H

#include "stats/store.h"
#include "stats/tally.h"

/* Which statement ran which: one row for each pair. */
typedef struct HoneNestedKey
{
	uint64		top_queryid;
	uint64		queryid;
	Oid			userid;			/* of the nested one */
	Oid			dbid;
} HoneNestedKey;

enum
{
	HONE_NESTED_CALLS,
	HONE_NESTED_ERRORS,
	HONE_NESTED_ROWS,
	HONE_NESTED_EXEC_NS,
	HONE_NESTED_COUNTERS
};

/* What a query read of which table. */
typedef struct HoneTableKey
{
	uint64		queryid;
	Oid			userid;
	Oid			dbid;
	Oid			relid;
	Oid			pad;
} HoneTableKey;

enum
{
	HONE_TABLE_EXECUTIONS,		/* failed ones included */
	HONE_TABLE_TARGETED,		/* of these, with the table as their target */
	HONE_TABLE_SEQ_ROWS,
	HONE_TABLE_INDEX_ROWS,
	HONE_TABLE_RETURNED,		/* rows of the statements, not of the table alone */
	HONE_TABLE_COUNTERS
};

/* How long statements on a table take, by command. */
typedef struct HoneLatencyKey
{
	Oid			dbid;
	Oid			relid;
	int32		command;		/* a CommandTag */
	int32		pad;
} HoneLatencyKey;

enum
{
	HONE_LATENCY_CALLS,
	HONE_LATENCY_ERRORS,
	HONE_LATENCY_EXEC_NS,
	HONE_LATENCY_SHORTNESS,		/* PG_INT64_MAX less the shortest, so a maximum */
	HONE_LATENCY_MAX_NS,
	HONE_LATENCY_BUCKET,		/* the first of HONE_HISTOGRAM_BUCKETS */
	HONE_LATENCY_COUNTERS = HONE_LATENCY_BUCKET + HONE_HISTOGRAM_BUCKETS
};

/* Which errors a query met. */
typedef struct HoneErrorKey
{
	HoneQueryKey query;
	int32		sqlerrcode;		/* 0: not known */
	int32		pad;
} HoneErrorKey;

enum
{
	HONE_ERROR_RAISED,			/* that ended the statement */
	HONE_ERROR_CAUGHT,			/* by a function, in it or around it */
	HONE_ERROR_LAST_SEEN,
	HONE_ERROR_COUNTERS
};

/* What a query took under one arm of a trial, in one block of backends. */
typedef struct HoneArmKey
{
	uint64		trial;			/* of this database */
	uint64		queryid;
	Oid			userid;
	Oid			dbid;
	int32		block;
	int32		visible;		/* the arm: did the planner see the index? */
} HoneArmKey;

enum
{
	HONE_ARM_EXECUTIONS,		/* completed or cancelled */
	HONE_ARM_CANCELS,
	HONE_ARM_USED,				/* executions of a plan that reads the index */
	HONE_ARM_ROWS,
	HONE_ARM_EXEC_NS,
	HONE_ARM_LOG_NS,			/* of ln(ns), in units of 2^-20 */
	HONE_ARM_LOG_NS_SQUARED,	/* the whole units */
	HONE_ARM_LOG_NS_SQUARED_REST,	/* and what is below, in units of 2^-40 */
	HONE_ARM_READ_BLOCKS,		/* shared and local, hit or read */
	HONE_ARM_LOG_BLOCKS,		/* of ln(1 + blocks), in the same way */
	HONE_ARM_LOG_BLOCKS_SQUARED,
	HONE_ARM_LOG_BLOCKS_SQUARED_REST,
	HONE_ARM_WAL_BYTES,
	HONE_ARM_COUNTERS
};

extern HoneTally hone_stats_nested_tally;
extern HoneTally hone_stats_table_tally;
extern HoneTally hone_stats_latency_tally;
extern HoneTally hone_stats_error_tally;
extern HoneTally hone_stats_arm_tally;	/* in arms.c */

/* Forget what matches; zero stands for all. */
extern void hone_stats_spread_remove(Oid userid, Oid dbid, uint64 queryid);

#endif							/* HONE_STATS_SPREAD_H */
