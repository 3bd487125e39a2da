/*
 * store.h
 *	  The shared table of query statistics, private to this room.
 */
#ifndef HONE_STATS_STORE_H
#define HONE_STATS_STORE_H

#include "nodes/execnodes.h"

#include "base/record.h"
#include "base/shmem.h"
#include "stats/histogram.h"

/* What is counted. Everything is additive but min and max. */
typedef struct HoneCounters
{
	int64		calls;			/* that completed */
	int64		errors;			/* that failed, cancels included */
	int64		cancels;
	int64		rows;
	uint64		exec_ns;		/* of all executions, failed ones included */
	uint64		min_ns;
	uint64		max_ns;
	double		square_ms;		/* sum of squared durations, ms^2 */
	int64		plans;
	uint64		plan_ns;
	int64		caught;			/* errors raised inside and caught there */
	int64		custom;			/* executions of a plan made for their values */
	int64		generic;		/* executions of a plan made for any values */
	int64		jit_functions;
	uint64		jit_ns;
	HoneUsage	usage;
} HoneCounters;

/* A batch of executions of one query on its way from a backend to the table. */
#define HONE_BATCH_DIRECT 32
#define HONE_BATCH_STRAYS 16
#define HONE_BATCH_BUCKETS (HONE_BATCH_DIRECT + HONE_BATCH_STRAYS)
#define HONE_BATCH_TABLES 8
typedef struct HoneBatch
{
	HoneQueryKey key;
	uint64		top_queryid;	/* all were run for this statement; 0: themselves */
	CommandTag	command;
	TimestampTz last_seen;
	HoneCounters counters;

	/*
	 * Which tables were read, each once, and how much of each by all these
	 * executions.
	 */
	int			ntables;
	HoneTableRead tables[HONE_BATCH_TABLES];

	/*
	 * Histogram increments: direct-mapped by bucket % HONE_BATCH_DIRECT, then
	 * those whose place was taken by another bucket, one by one. What has no
	 * count is not in use.
	 */
	int			nstrays;
	uint16		bucket[HONE_BATCH_BUCKETS];
	uint32		count[HONE_BATCH_BUCKETS];
} HoneBatch;

/* One row as a reader gets it. */
typedef struct HoneStatsRow
{
	HoneQueryKey key;			/* all zero: the sum of what was evicted */
	CommandTag	command;
	TimestampTz first_seen;
	TimestampTz last_seen;
	HoneCounters counters;

	/* Of its histogram only the buckets [first_bucket, end_bucket) have a value. */
	int			first_bucket;
	int			end_bucket;
} HoneStatsRow;

typedef void (*HoneStatsCallback) (const HoneStatsRow *row, const uint64 *histogram,
								   void *arg);

typedef struct HoneStatsInfo
{
	int64		entries;
	int64		max_entries;
	int64		evictions;
	int64		texts;
	int64		texts_lost;
	TimestampTz reset_at;
} HoneStatsInfo;

/* in store.c */
extern const HoneShmemPart hone_stats_store_part;
extern void hone_stats_store_settings(void);
extern bool hone_stats_store_has_room(const HoneQueryKey *key);
extern void hone_stats_store_prefetch(const HoneQueryKey *key, bool first);
extern bool hone_stats_store_add(const HoneBatch *batch);
extern void hone_stats_store_read(HoneStatsCallback callback, void *arg);
extern int64 hone_stats_store_remove(Oid userid, Oid dbid, uint64 queryid);
extern int	hone_stats_store_limit(void);
extern void hone_stats_store_info(HoneStatsInfo *info);

/*
 * in spread.c: count a drained batch in the tallies, too; call it after
 * hone_stats_store_add, and say whether the query has a row there.
 */
extern const HoneShmemPart hone_stats_spread_part;
extern void hone_stats_spread(const HoneBatch *batch, bool has_row);

/*
 * in stats.c: the text of a query for the current user, who may be told that
 * he may not see it; and a cumulative histogram as rows (le_ms, count).
 */
extern Datum hone_stats_visible_text(const HoneQueryKey *key, bool *isnull);
extern void hone_stats_put_histogram(const uint64 *histogram, ReturnSetInfo *rsinfo);

/* in pending.c */
extern const HoneShmemPart hone_stats_pending_part;

/* in text.c */
extern const HoneShmemPart hone_stats_text_part;
extern void hone_stats_text_settings(void);
extern bool hone_stats_text_kept(const HoneQueryKey *key);
extern void hone_stats_text_pin(const HoneQueryKey *key);
extern void hone_stats_text_unpin(const HoneQueryKey *key);
extern char *hone_stats_text_get(const HoneQueryKey *key);
extern void hone_stats_text_info(HoneStatsInfo *info);

#endif							/* HONE_STATS_STORE_H */
