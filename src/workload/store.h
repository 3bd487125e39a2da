/*
 * store.h
 *	  Samples in shared memory. Private to workload.
 */
#ifndef HONE_WORKLOAD_STORE_H
#define HONE_WORKLOAD_STORE_H

#include "base/params.h"
#include "base/record.h"
#include "utils/timestamp.h"

#define HONE_SAMPLES_PER_QUERY 6
#define HONE_SAMPLE_MAX_RELATIONS 32
#define HONE_SAMPLE_MAX_SETTINGS 2048	/* bytes */

typedef struct HoneSampleKey
{
	uint64		queryid;
	Oid			userid;
	Oid			dbid;
} HoneSampleKey;

/*
 * What a sample says, in one block without pointers: this header, relation
 * OIDs, parameters, text, search_path, settings (base/settings.h).
 */
typedef struct HoneSampleBlock
{
	uint32		size;
	uint32		text_len;
	uint32		path_len;
	uint32		params_len;		/* MAXALIGNed; 0: none */
	uint32		settings_len;
	CommandTag	command;
	int32		nrelations;
	bool		replannable;
} HoneSampleBlock;

/* A sample on its way in. */
typedef struct HoneSampleParts
{
	HoneSampleBlock head;
	const Oid  *relations;
	const HoneParams *params;
	const char *text;
	const char *path;
	const char *settings;
	uint32		plan_settings_len;	/* those that make a sample another one */
	bool		typical;		/* HoneSampleAdvice said so */
	uint64		duration_ns;
	TimestampTz captured_at;
} HoneSampleParts;

/* A sample copied out, in the current memory context. */
typedef struct HoneSampleCopy
{
	HoneSampleKey key;
	uint64		id;
	uint64		hash;			/* of text, parameters, plan settings */
	uint64		duration_ns;
	TimestampTz captured_at;
	HoneSampleBlock *block;		/* NULL when only the header was asked for */
} HoneSampleCopy;

/* What a process must know to look away until the next visit. */
typedef struct HoneSampleAdvice
{
	bool		wanted;			/* a sample, now */
	bool		typical;		/* because it was its turn, not because it was slow */
	uint64		wait;			/* executions until the next visit */
	uint64		slowest_ns;		/* a slower one is wanted at any time */
} HoneSampleAdvice;

typedef struct HoneSampleCounters
{
	uint64		queries;
	uint64		samples;
	uint64		captured;
	uint64		evictions;
	uint64		lost;
	uint64		too_long;
	uint64		secrets;
	uint64		memory_bytes;
} HoneSampleCounters;

extern const Oid *hone_sample_relations(const HoneSampleBlock *block);
extern const HoneParams *hone_sample_params(const HoneSampleBlock *block);
extern const char *hone_sample_block_text(const HoneSampleBlock *block);
extern const char *hone_sample_path(const HoneSampleBlock *block);
extern const char *hone_sample_settings(const HoneSampleBlock *block);

extern void hone_sample_store_init(void);
extern bool hone_sample_store_ready(void);

/*
 * Is a query that this process does not know let in? To be asked before it is
 * looked at more closely.
 */
extern bool hone_sample_may_enter(const HoneSampleKey *key, uint64 duration_ns);

/*
 * Report executions since the last visit, and ask whether to sample this one,
 * which came because it was time (due) or because it was slow.
 */
extern void hone_sample_visit(const HoneSampleKey *key, uint64 executions, bool due,
							  uint64 duration_ns, HoneSampleAdvice *advice);
extern void hone_sample_add(const HoneSampleKey *key, const HoneSampleParts *parts);
extern void hone_sample_count_too_long(void);
extern void hone_sample_count_secret(void);
extern void hone_sample_counters(HoneSampleCounters *counters);

/* Highest id so far; every sample up to it is in its place. */
extern uint64 hone_sample_highest_id(void);

/*
 * Copy a database's samples with ids in (after_id, upto_id] out of one set of
 * slots, at most HONE_SAMPLE_MAX_COPIES. Returns how many, or -1 when memory ran
 * out.
 */
extern int	hone_sample_nsets(void);
extern int	hone_sample_copy_set(int set, Oid dbid, uint64 after_id, uint64 upto_id,
								 bool with_blocks, HoneSampleCopy *copies);

#define HONE_SAMPLE_SLOTS_PER_SET 16
#define HONE_SAMPLE_MAX_COPIES (HONE_SAMPLE_SLOTS_PER_SET * HONE_SAMPLES_PER_QUERY)

#endif							/* HONE_WORKLOAD_STORE_H */
