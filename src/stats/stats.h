/*
 * stats.h
 *	  Query statistics: counters and a latency histogram for each query of each
 *	  role in each database.
 */
#ifndef HONE_STATS_H
#define HONE_STATS_H

#include "base/arm.h"
#include "base/record.h"

struct JumbleState;
struct Query;

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

/*
 * What a parallel worker read; its leader reports the rest of the execution, and
 * announces before whose execution it is (NULL: one that is not counted).
 * range_table is a hash by which they know each other.
 */
extern void hone_stats_announce_parallel(const HoneQueryKey *key, uint64 range_table);
extern void hone_stats_record_tables(const HoneExecution *execution, uint64 range_table);

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
 * in identity.c: which query is it? Lists of any length, and temporary tables of
 * one name, make one query of ours out of many of the core's. Told when a query
 * has been analysed, which must be done for each; asked by the core's id for
 * each statement that runs. The tree keeps the core's id.
 */
extern uint64 hone_stats_identify_anew(struct Query *query, uint64 core, const char *source);
extern uint64 hone_stats_look_up_identity(uint64 core);

typedef struct HoneIdentity
{
	uint64		core;
	uint64		own;
	bool		analysed;		/* here, and not only looked up */
} HoneIdentity;

#define HONE_IDENTITIES 1024	/* a power of two */
extern HoneIdentity hone_stats_identities[HONE_IDENTITIES];

static inline uint64
hone_stats_identify(struct Query *query, uint64 core, const char *source)
{
	const HoneIdentity *known = &hone_stats_identities[core % HONE_IDENTITIES];

	return likely(known->core == core && known->analysed)
		? known->own : hone_stats_identify_anew(query, core, source);
}

static inline uint64
hone_stats_identity(uint64 core)
{
	const HoneIdentity *known = &hone_stats_identities[core % HONE_IDENTITIES];

	return likely(known->core == core) ? known->own : hone_stats_look_up_identity(core);
}

/*
 * in text.c: make the text of a query known. remember_query is for one that has
 * just been analysed: text, at text_location in source, is normalised (each
 * constant a parameter symbol, lists cut after their first element). With
 * remember_text and no jstate, whatever looks like a constant becomes a symbol.
 * Neither raises an error for what it finds in the text. Both are cheap when the
 * text is known; text_known is two comparisons, and may say no of one that is.
 */
extern bool hone_stats_text_known(const HoneQueryKey *key);
extern void hone_stats_remember_query(const HoneQueryKey *key, struct Query *query,
									  const char *source, const char *text,
									  int text_len, int text_location,
									  const struct JumbleState *jstate);
extern void hone_stats_remember_text(const HoneQueryKey *key,
									 const char *text, int text_len,
									 int text_location,
									 const struct JumbleState *jstate);

/*
 * in arms.c: count an execution under the arms of the trials in which its plan
 * was made. To be told of each that completed or was cancelled; costs a look at
 * the plan if that carries none. Never raises an error nor allocates.
 */
extern void hone_stats_count_marked(const HoneExecution *execution, const List *items);

static inline void
hone_stats_count_arms(const HoneExecution *execution, const PlannedStmt *plan)
{
	const List *items = plan->invalItems;

	if (unlikely(items != NIL) && hone_is_arm(linitial_node(PlanInvalItem, items)))
		hone_stats_count_marked(execution, items);
}

/*
 * What was counted, row by row: of one trial of this database, or (0) of all. A
 * variance is a sample's, so mean, variance and executions of rows can be put
 * together; it is 0 for less than two executions. The callback may raise errors.
 */
#define HONE_ARM_BLOCKS 8

typedef struct HoneLogFigures
{
	double		mean;
	double		variance;
} HoneLogFigures;

typedef struct HoneArmRow
{
	uint32		trial;
	uint64		queryid;
	Oid			userid;
	int			block;			/* 0 to HONE_ARM_BLOCKS - 1 */
	bool		visible;		/* the arm: did the planner see the index? */
	int64		executions;		/* completed or cancelled */
	int64		cancels;
	int64		used;			/* executions of plans that read the index */
	int64		rows;
	int64		exec_ns;
	HoneLogFigures log_ns;		/* of ln(ns); for ms, subtract ln(1e6) */
	int64		blocks;			/* shared and local, hit or read */
	HoneLogFigures log_blocks;	/* of ln(1 + blocks) */
	int64		wal_bytes;
} HoneArmRow;

typedef void (*HoneArmCallback) (const HoneArmRow *row, void *arg);

extern void hone_stats_read_arms(uint32 trial, HoneArmCallback callback, void *arg);

/* Takes effect at once, whatever becomes of the transaction. */
extern void hone_stats_forget_arms(uint32 trial);

#endif							/* HONE_STATS_H */
