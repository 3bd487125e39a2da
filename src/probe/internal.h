/*
 * internal.h
 *	  What the files of probe share: where this process is (how deep, inside
 *	  which statement), and the executions that have begun.
 *
 * What every statement passes through stands here, inline: it is the reason for
 * the room's cost.
 */
#ifndef HONE_PROBE_INTERNAL_H
#define HONE_PROBE_INTERNAL_H

#include "access/parallel.h"
#include "access/xact.h"
#include "executor/execdesc.h"
#include "executor/instrument.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "storage/bufmgr.h"
#include "utils/elog.h"
#include "utils/guc.h"
#include "utils/relcache.h"

#include "base/compat.h"
#include "base/record.h"

/*
 * The server's counters of blocks and WAL, at the beginning of a stretch of
 * work. They lie in the same order in core's structs and in HoneUsage.
 */
#define HONE_BUFFER_COUNTERS 10
#define HONE_WAL_COUNTERS 3

StaticAssertDecl(offsetof(BufferUsage, temp_blks_written) == 9 * sizeof(int64) &&
				 offsetof(HoneUsage, temp_blks_written) == 9 * sizeof(int64) &&
				 offsetof(WalUsage, wal_bytes) == 2 * sizeof(int64) &&
				 offsetof(HoneUsage, wal_bytes) == 12 * sizeof(int64),
				 "usage counters lie in another order");

typedef struct HoneUsageMark
{
	int64		counters[HONE_BUFFER_COUNTERS + HONE_WAL_COUNTERS];
	bool		io_timing;		/* track_io_timing was on */
	int64		read_ns;
	int64		write_ns;
} HoneUsageMark;

/* A relation whose counters tell how many rows an execution read. */
typedef struct HoneScan
{
	Relation	rel;			/* the table, or the index scanned */

	/*
	 * Its counters, which stay where they are until the transaction ends. Not
	 * to be looked up through rel: whoever opens it with track_counts off
	 * takes them from there.
	 */
	const PgStat_TableStatus *counts;
	bool		is_index;
	int			table;			/* in the frame's tables */
	int64		start_returned;
	int64		start_fetched;
} HoneScan;

#define HONE_INLINE_SCANS 4
#define HONE_MAX_TABLES 8

/* An execution that has started and not ended. */
typedef struct HoneFrame
{
	struct HoneFrame *below;
	const QueryDesc *query_desc;
	SubTransactionId subxact;	/* dies with this one */
	bool		running;		/* inside Run or Finish at this moment */
	bool		unguarded;		/* running without a PG_TRY of ours */
	HoneExecution *outer;		/* while running: the statement around it */
	HoneUsageMark mark;			/* while running: from here on */

	HoneExecution execution;	/* being added up */

	/* What it reads. */
	int			nscans;
	int			scans_room;
	HoneScan   *scans;			/* few, or in the executor's memory */
	HoneScan	few[HONE_INLINE_SCANS];
	HoneTableRead tables[HONE_MAX_TABLES];
} HoneFrame;

/* A planning that has ended and has not been counted yet. */
typedef struct HonePlanned
{
	HoneQueryKey key;			/* queryid 0: none */
	uint64		top_queryid;
	CmdType		command;
	bool		with_values;
	uint64		ns;
} HonePlanned;

/*
 * A utility statement at work, as a part of its source. What is inside it (the
 * query of EXPLAIN or COPY) has the same source, and often no place in it.
 */
typedef struct HoneSource
{
	const char *text;			/* NULL: there is none */
	int			location;
	int			len;
	bool		is_safe;		/* may it be kept? */
} HoneSource;

/* Where this process is. One struct, so that one address leads to all of it. */
typedef struct HoneProbe
{
	/*
	 * The deepest level that is captured: 0 with pg_hone.track = top, -1 when
	 * nothing is.
	 */
	int			deepest;

	/*
	 * Planner, executor and utility statements around this point. At 0 stands
	 * what a client sent.
	 */
	int			nesting;
	uint64		top_queryid;	/* of the statement at level 0 at work */
	HoneExecution *running;		/* the innermost measured statement at work */
	HoneExecution *top_utility; /* the one at level 0, if it is a utility */
	HoneFrame  *frames;			/* the newest first */

	/* The planning that has just happened, for the execution that follows. */
	HonePlanned planned;

	HoneSource	utility;		/* of the innermost utility statement at work */

	/* The execution being started at level 0. */
	const QueryDesc *starting;

	/*
	 * COMMIT or PREPARE TRANSACTION has run at level 0, and what it asked for is
	 * being done since then: constraints may still fail. CMDTAG_UNKNOWN: neither.
	 */
	CommandTag	ending;
	uint64		ending_since_ns;

	/*
	 * A plan that was printed at the start of an execution, which waits for it
	 * to run. NULL unless that is what was started last. Others may run before
	 * it (a cursor opened earlier), and it may never run.
	 */
	const char *early_plan;
	const QueryDesc *early_for; /* whose plan it is */

	/* Is what the hooks themselves take being measured for this statement? */
	bool		own_clock;
	uint32		until_own_clock;	/* top level statements */
} HoneProbe;

extern HoneProbe hone_probe;

/* Is a statement at this point captured? In a parallel worker, its rows are. */
static inline bool
hone_probe_capturing(void)
{
	return hone_probe.nesting <= hone_probe.deepest && !hone_capture_paused;
}

static inline bool
hone_probe_tracking(void)
{
	return hone_probe_capturing() && !IsParallelWorker();
}

/*
 * May an error at this point be left to the log hook (failure.c)? At the top of
 * a client's session, outside of subtransactions, every error ends the
 * transaction and goes to the log; when the log takes no errors, it does not.
 */
static inline bool
hone_probe_may_go_unguarded(SubTransactionId subxact)
{
	return hone_probe.nesting == 0 && MyBackendType == B_BACKEND &&
		log_min_messages <= ERROR && log_min_messages != LOG &&
		subxact == TopSubTransactionId;
}

static inline void
hone_probe_fill_key(HoneQueryKey *key, uint64 queryid)
{
	key->queryid = queryid;
	key->userid = GetUserId();
	key->dbid = MyDatabaseId;
	key->toplevel = (hone_probe.nesting == 0);
	memset(key->pad, 0, sizeof(key->pad));
}

/* What a record adds up, or may stay without. */
static inline void
hone_probe_begin_record(HoneExecution *execution)
{
	execution->exec_ns = 0;
	execution->rows = 0;
	memset(&execution->usage, 0, sizeof(execution->usage));
	execution->jit_functions = 0;
	execution->jit_ns = 0;
	execution->outcome = HONE_COMPLETED;
	execution->sqlerrcode = 0;
	execution->caught_errors = 0;
	execution->unusual = false;
	execution->text = NULL;
	execution->params = NULL;
	execution->query_desc = NULL;
}

static inline uint64
hone_probe_top_queryid(void)
{
	return hone_probe.nesting > 0 ? hone_probe.top_queryid : 0;
}

static inline CommandTag
hone_probe_command_tag(CmdType type)
{
	switch (type)
	{
		case CMD_SELECT:
			return CMDTAG_SELECT;
		case CMD_INSERT:
			return CMDTAG_INSERT;
		case CMD_UPDATE:
			return CMDTAG_UPDATE;
		case CMD_DELETE:
			return CMDTAG_DELETE;
		case CMD_MERGE:
			return CMDTAG_MERGE;
		default:
			return CMDTAG_UNKNOWN;
	}
}

static inline void
hone_probe_mark_usage(HoneUsageMark *mark)
{
	memcpy(mark->counters, &pgBufferUsage, HONE_BUFFER_COUNTERS * sizeof(int64));
	memcpy(mark->counters + HONE_BUFFER_COUNTERS, &pgWalUsage,
		   HONE_WAL_COUNTERS * sizeof(int64));
	mark->io_timing = track_io_timing;
	if (unlikely(mark->io_timing))
	{
		mark->read_ns = hone_read_ns();
		mark->write_ns = hone_write_ns();
	}
}

/* in frame.c */
extern void hone_probe_add_all(HoneExecution *execution, const HoneUsageMark *mark);

/*
 * Has anything moved but shared_blks_hit? What is not looked at moves only along
 * with something that is.
 */
static inline bool
hone_probe_rest_moved(const HoneUsageMark *mark)
{
	return ((pgBufferUsage.shared_blks_read ^ mark->counters[1]) |
			(pgBufferUsage.shared_blks_dirtied ^ mark->counters[2]) |
			(pgBufferUsage.shared_blks_written ^ mark->counters[3]) |
			(pgBufferUsage.local_blks_hit ^ mark->counters[4]) |
			(pgBufferUsage.local_blks_read ^ mark->counters[5]) |
			(pgBufferUsage.local_blks_written ^ mark->counters[7]) |
			(pgBufferUsage.temp_blks_read ^ mark->counters[8]) |
			(pgBufferUsage.temp_blks_written ^ mark->counters[9]) |
			(pgWalUsage.wal_records ^ mark->counters[HONE_BUFFER_COUNTERS])) != 0;
}

/*
 * Add what was used since the mark. Most statements only find their blocks in
 * the buffers: then one counter moves.
 */
static inline void
hone_probe_add_usage(HoneExecution *execution, const HoneUsageMark *mark)
{
	if (unlikely(hone_probe_rest_moved(mark)))
		hone_probe_add_all(execution, mark);
	else
		execution->usage.shared_blks_hit += pgBufferUsage.shared_blks_hit - mark->counters[0];
}

/*
 * A statement begins or ends being at work: it is the one that what happens
 * now belongs to, and at level 0 the one for which nested statements run.
 */
static inline HoneExecution *
hone_probe_enter(HoneExecution *execution)
{
	HoneExecution *outer = hone_probe.running;

	if (hone_probe.nesting == 0)
		hone_probe.top_queryid = execution->key.queryid;
	hone_probe.running = execution;
	hone_probe.nesting++;
	return outer;
}

/* Planning is no execution: what happens in it belongs to the one around it. */
static inline HoneExecution *
hone_probe_enter_planning(uint64 queryid)
{
	if (hone_probe.nesting == 0)
		hone_probe.top_queryid = queryid;
	hone_probe.nesting++;
	return hone_probe.running;
}

static inline void
hone_probe_leave(HoneExecution *outer)
{
	hone_probe.nesting--;
	hone_probe.running = outer;
}

/* in parse.c */
extern void hone_planned_count(void);

/* A planning that was followed by its execution is counted with that. */
static inline void
hone_planned_flush(void)
{
	if (unlikely(hone_probe.planned.key.queryid != 0))
		hone_planned_count();
}

/* in probe.c */
extern void hone_probe_hand_over(const HoneExecution *execution);
extern void hone_probe_fail_frame(HoneFrame *frame, int sqlerrcode);

/* in parse.c */
extern void hone_parse_init(void);
extern bool hone_planning_failed(int sqlerrcode);

/* in source.c */
extern bool hone_probe_place_text(const char *source, int *location, int *len);

/* in inner.c */
typedef struct HoneInnerText
{
	int			location;		/* in the source */
	int			len;
	int			into_location;	/* of SELECT INTO: the clause in it */
	int			into_len;		/* 0: there is none */
} HoneInnerText;

/*
 * Identify the query inside a DECLARE CURSOR or CREATE TABLE AS and find its
 * text, which it has none of when its stmt_location is -1 afterwards. NULL when
 * there is no query in it, or it has an id.
 */
extern Query *hone_inner_identify(const Query *outer, const char *source,
								  HoneInnerText *text, struct JumbleState **jstate);
extern char *hone_inner_text_without_into(const char *source, const HoneInnerText *text);

/* The text of a record; a statement that is not inside a utility has its place. */
static inline void
hone_probe_set_text(HoneExecution *execution, const char *source, int location, int len)
{
	execution->text_is_safe = true;
	if (unlikely(hone_probe.utility.text != NULL || location < 0) && source != NULL)
		execution->text_is_safe = hone_probe_place_text(source, &location, &len);
	execution->text = source;
	execution->text_len = -1;
	if (source != NULL && location >= 0)
	{
		execution->text = source + location;
		if (len > 0)
			execution->text_len = len;
	}
}

static inline void
hone_probe_set_query_text(HoneExecution *execution, const QueryDesc *query_desc)
{
	hone_probe_set_text(execution, query_desc->sourceText,
						query_desc->plannedstmt->stmt_location,
						query_desc->plannedstmt->stmt_len);
}

/* in frame.c */
extern HoneFrame *hone_frame_unused;
extern HoneFrame *hone_frame_allocate(void);
extern HoneFrame *hone_frame_search(const QueryDesc *query_desc);
extern void hone_frame_unlink(HoneFrame *frame);
extern void hone_frame_drop_subxact(SubTransactionId subxact);
extern void hone_frame_abandon(HoneFrame *frame);
extern void hone_frame_drop_all(void);

/* The execution's frame; nearly always the newest. */
static inline HoneFrame *
hone_frame_find(const QueryDesc *query_desc)
{
	HoneFrame  *frame = hone_probe.frames;

	if (frame == NULL || likely(frame->query_desc == query_desc))
		return frame;
	return hone_frame_search(query_desc);
}

static inline HoneFrame *
hone_frame_new(void)
{
	HoneFrame  *frame = hone_frame_unused;

	if (unlikely(frame == NULL))
		return hone_frame_allocate();
	hone_frame_unused = frame->below;
	return frame;
}

static inline void
hone_frame_drop(HoneFrame *frame)
{
	if (likely(hone_probe.frames == frame))
		hone_probe.frames = frame->below;
	else
		hone_frame_unlink(frame);

	/* An unused frame's record is empty but for what begins each execution. */
	if (unlikely(frame->execution.unusual))
		hone_probe_begin_record(&frame->execution);
	else
		frame->execution.usage.shared_blks_hit = 0;
	frame->below = hone_frame_unused;
	hone_frame_unused = frame;
}

/* in scans.c */
extern void hone_scans_collect(HoneFrame *frame, QueryDesc *query_desc);
extern void hone_scans_give_to_outer(const HoneFrame *frame, const HoneScan *scan,
									 int64 returned, int64 fetched);

/* in failure.c */
extern void hone_failure_init(void);
extern void hone_failure_at_start(const QueryDesc *starting);
extern void hone_failure_set(HoneExecution *execution, int sqlerrcode);
extern void hone_failure_passed(const HoneExecution *execution);

/* in own_time.c */
#define HONE_OWN_CLOCK_INTERVAL 1024
extern void hone_own_time_init(void);
extern uint32 hone_own_time_begin(void);
extern void hone_own_time_add(uint64 ns);

/* in utility.c */
extern void hone_utility_init(void);
extern uint64 hone_utility_id(CommandTag command);

#endif							/* HONE_PROBE_INTERNAL_H */
