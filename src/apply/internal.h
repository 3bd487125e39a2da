/*
 * internal.h
 *	  Shared between the files of apply/: an action and its life.
 *
 *	                 worker          catalogs say: done
 *	  apply() ─▶ queued ─▶ building ──────────────────▶ kept (or first a trial)
 *	              │  ▲ └─┐   │  │  │                      │
 *	              │  │ put   │  │  │ cancel               │ revert()
 *	     not what │  │ off   │  │  └────▶ cancelled       ▼
 *	     was      │  └───────┘  │ error               queued ─▶ building ─▶ reverted
 *	     decided  │   may pass  ▼                         (an error: back to kept)
 *	              └──────────▶ failed
 *
 * A queued action that may not begin yet (limits.c), or whose attempt failed for
 * a reason that may pass, stays queued until retry_at; nobody stays for it. A
 * rebuilt index (reindex.c) is an action of no recommendation, which ends kept.
 *
 * Between building and kept comes a trial, if there is to be one (trial.c): it ends
 * in kept, or goes on by itself as a revert that is queued. For a drop it comes
 * before building.
 *
 * One row per action, through its revert. Each arrow is a transaction of its
 * own; the intention is on disk before anything is done, and the outcome is
 * always read from the catalogs, never concluded from an error or its absence.
 *
 * An action is about one index, known by OID, name and table. For an index
 * that we build, the OID is written in the very transaction that makes the
 * catalog entry: so it is ours exactly if the row says so, whatever happens
 * when. No other index is ever touched.
 *
 * "leftover": an INVALID index of this action is still there, because its
 * removal failed too (an old transaction in the way, most likely). Removal is
 * tried again later; state tells the outcome meanwhile.
 */
#ifndef HONE_APPLY_INTERNAL_H
#define HONE_APPLY_INTERNAL_H

#include "jobs/jobs.h"
#include "utils/timestamp.h"

#define HONE_BUILDER_TYPE "pg_hone builder"

typedef struct HoneAction
{
	int64		id;
	int64		recommendation_id;
	bool		after_creates;	/* a drop that waits for what replaces it */
	Oid			requested_by;
	bool		is_revert;
	bool		makes_index;	/* what it does now: make or remove */
	Oid			relid;
	char	   *table_name;		/* qualified and quoted */
	char	   *index_name;		/* bare */
	Oid			index_oid;		/* InvalidOid: not made yet */
	char	   *definition;		/* CREATE INDEX ..., if makes_index */
	char	   *needs_index;	/* bare; to be dropped only while that one is
								 * there to do the work; or NULL */
	bool		is_reindex;		/* makes an index in index_oid's place */
	Oid			new_index_oid;	/* reindex: InvalidOid: not made yet */
	int64		size_bytes;		/* of what is to be made, estimated; 0: unknown */
	int			attempts;		/* before this one */
	int			postponements;	/* in a row */
	bool		keeps_snapshot; /* builds of other tables would wait for it */

	/* An index of a partitioned table is made of parts (partition.c). */
	bool		partitioned;
	Oid			part_relid;		/* whose index is being made; InvalidOid: the
								 * action's own */
	Oid			part_index_oid; /* InvalidOid: not made yet */
} HoneAction;

/* What the catalogs say about an action's index. */
typedef enum HoneIndexState
{
	HONE_INDEX_ABSENT,
	HONE_INDEX_INVALID,
	HONE_INDEX_VALID,
	HONE_INDEX_FOREIGN			/* that OID is not our index any more */
} HoneIndexState;

/* in check.c: all run in a transaction, and report at elevel (ERROR or
 * WARNING), returning false after a WARNING */

/* Is the table still the one that was meant, fit, and the role's to change? */
extern bool hone_apply_check_table(Oid relid, const char *table_name,
								   Oid roleid, int elevel);

/* The statement, if the text is one CREATE INDEX; else NULL. */
struct IndexStmt;
extern struct IndexStmt *hone_apply_parse_index(const char *definition);

/* Does the text make that index on that table, and is the name free (or that
 * of what was begun)? Can all partitions get one? */
extern bool hone_apply_check_create(const HoneAction *action, int elevel);

/* The index to be dropped: its OID, or InvalidOid after a WARNING. */
extern Oid	hone_apply_check_drop(const HoneAction *action, int elevel);

/* Is the index there that is to do the work of one that is dropped? */
extern bool hone_apply_check_cover(const HoneAction *action, int elevel);

extern HoneIndexState hone_apply_index_state(const HoneAction *action);

/* Will others' builds wait for this one's snapshot? */
extern bool hone_apply_keeps_snapshot(const HoneAction *action);

/* "CREATE INDEX CONCURRENTLY ..." from "CREATE INDEX ...". */
extern char *hone_apply_concurrently(const char *definition);

/* "DROP INDEX CONCURRENTLY ..." for the index as it is called now; without
 * CONCURRENTLY if it is partitioned. */
extern char *hone_apply_drop_statement(Oid index_oid);

/* Schema and name, quoted as needed; NULL if it does not exist. */
extern char *hone_apply_qualified_name(Oid relid);

/* "ANALYZE ..." if the action's index has expressions; else NULL. */
extern char *hone_apply_analyze_statement(const HoneAction *action);

/* in store.c: static SQL on our tables, as the extension's owner; callers are
 * connected to SPI */

/*
 * Queue applying a recommendation; its action's id, 0 after a WARNING. A drop
 * that comes after creates is given up when one of its table was not built;
 * any drop when the index is missing that does the work of the dropped one. Its
 * trial may turn out to be impossible. queued, unless NULL, is told what is to
 * be done.
 */
extern int64 hone_apply_queue(int64 recommendation_id, bool after_creates,
							  bool with_trial, int elevel, HoneAction *queued);

/* Queue reverting one; its action's id. One that was not begun yet is given up
 * instead, and nothing is left to do: 0. */
extern int64 hone_apply_queue_revert(int64 recommendation_id);

/* Ids of the caller's proposals of its latest run, creates first. */
extern int64 *hone_apply_proposals(int64 limit, int *count);

typedef enum HoneTake
{
	HONE_TAKE_QUEUED,
	HONE_TAKE_LOST,				/* building, and its worker is gone */
	HONE_TAKE_LEFTOVER
} HoneTake;

/* Which there are of a kind, in the order of their turn; at most some. */
typedef struct HoneCandidate
{
	int64		id;
	Oid			relid;
} HoneCandidate;

extern HoneCandidate *hone_apply_candidates(HoneTake kind, MemoryContext context,
											int *count);

/* One of them, made in a memory context; NULL if it is none any more. */
extern HoneAction *hone_apply_take(HoneTake kind, int64 id, MemoryContext context);
extern bool hone_apply_has_due(void);

/* in waits.c: the same */

/* Why a queued action does not begin, and when it is looked at again: */
extern void hone_apply_postpone(const HoneAction *action, const char *why, int retry_s);

/* when the one in its way is done. */
extern void hone_apply_note_waiting(const HoneAction *action, const char *why);
extern void hone_apply_note_no_slot(void);

/* Who has a lock on the table that the statement needs, and whose old transaction
 * it would wait for; NULL if nobody. */
extern char *hone_apply_lock_holder(const HoneAction *action);
extern char *hone_apply_old_transaction(const HoneAction *action);

/* How many recommended indexes were built in the last 24 hours, or are being
 * built; and in how many seconds it is one less. */
extern int	hone_apply_built_today(int *retry_s);

/* What it relies on may yet be taken back by a trial; NULL: nothing. */
#define HONE_WAITS_FOR_TRIAL "the trial of index "
extern char *hone_apply_why_trial(const HoneAction *action);

/* in store.c, again */

extern bool hone_apply_record_start(const HoneAction *action);	/* false: gone */

/* Is the new relation this action's index? Then it is written down. */
extern bool hone_apply_record_index(const HoneAction *action, Oid index_oid);
extern void hone_apply_record_end(const HoneAction *action, const char *state,
								  const char *error, bool leftover);
extern void hone_apply_record_leftover(const HoneAction *action, bool leftover);

/* building, and its index is there now */
extern void hone_apply_record_built(const HoneAction *action);

/* building → queued, for another attempt */
extern void hone_apply_record_retry(const HoneAction *action, const char *error,
									bool leftover, int retry_s);
extern bool hone_apply_creates_missing(const HoneAction *action);

/* Is there something that another builder could do? */
extern bool hone_apply_has_work(void);

/* Is there anything that is not in its final state? */
extern bool hone_apply_has_unfinished(void);

typedef struct HoneProgress
{
	bool		exists;
	bool		finished;
	bool		ok;
	bool		is_building;
	bool		is_due;			/* queued, and a builder would look at it */
	bool		is_limited;		/* queued, and waits for a time or a daily limit */
	bool		is_after_trial; /* or for a trial's end */
	bool		builder_alive;	/* of this action */
	int			builders;		/* of this database */
	int			attempts;
	char	   *error;			/* "SQLSTATE: message" or NULL */
	char	   *waiting_for;	/* or NULL */
	TimestampTz looked_at;		/* by a builder; 0: never */

	/* For the report; filled by those who wait. */
	int64		recommendation_id;
	bool		is_revert;
	const char *index_name;		/* reindex; otherwise NULL */
} HoneProgress;

extern void hone_apply_progress(int64 action_id, HoneProgress *progress);

/* How far a build is, for those who may see it: the columns of
 * hone.action_progress(), made in a memory context. */
#define HONE_PROGRESS_COLUMNS 6
extern void hone_apply_build_progress(int64 action_id, MemoryContext context,
									  Datum *values, bool *nulls);

/* No worker could be had: the action is not going to happen. */
extern void hone_apply_give_up(int64 action_id, const char *error);

/* in apply.c: settings */
extern int	hone_apply_build_lock_timeout_ms;
extern int	hone_apply_build_timeout_ms;

extern int	hone_apply_max_builds;
extern int	hone_apply_builds_per_day;
extern int	hone_apply_build_attempts;
extern int	hone_apply_max_transaction_age_s;

/* in limits.c */
extern void hone_apply_limits_init(void);

/* How long to wait, after that often. */
extern int	hone_apply_retry_s(int times);

/* NULL, or what holds the action up, for an error or hone.actions. The first
 * begins with these words, the third too, the second is the whole. */
#define HONE_WAITS_FOR_TIME "the right time: "
#define HONE_ANOTHER_ATTEMPT "another attempt"
#define HONE_WAITS_FOR_TURN "its turn: "
extern char *hone_apply_why_not_now(const HoneAction *action, int *retry_s);
extern char *hone_apply_why_no_space(const HoneAction *action);

/* Locks of this process, none of which ever waits */
extern int	hone_apply_take_slot(void); /* 0: all are taken */
extern void hone_apply_give_slot(int slot);
extern bool hone_apply_claim_table(Oid relid);
extern void hone_apply_release_table(Oid relid);
extern bool hone_apply_claim_snapshots(const HoneAction *action);
extern void hone_apply_release_snapshots(const HoneAction *action);

/* in reindex.c */

/* Queue rebuilding an index, after checking it as the caller; its action's id. */
extern int64 hone_apply_queue_reindex(Oid index_oid, char **index_name);
extern int64 hone_apply_insert_reindex(const HoneAction *action);	/* store.c */
extern bool hone_apply_index_is_busy(Oid index_oid);	/* store.c */
extern char *hone_apply_reindex_statement(const HoneAction *action);
extern Oid	hone_apply_index_tablespace(Oid index_oid);
extern int64 hone_apply_index_size(Oid index_oid);	/* 0: it is gone */
extern bool hone_apply_index_has_expressions(Oid index_oid);

/* Has the new index taken the old one's place, and which of the two is still
 * there that should not be (or InvalidOid)? */
extern bool hone_apply_reindex_state(const HoneAction *action, Oid *remains);

/*
 * in trial.c; callers are connected to SPI
 */
extern bool hone_apply_trial;	/* settings */
extern int	hone_apply_trial_turn_s;
extern void hone_apply_trial_init(void);

/* In the transaction that makes an action's index: hide it, if it is to be tried. */
extern void hone_apply_trial_created(const HoneAction *action, Oid index_oid);

/* building → trial, if the new index is to be tried, or going without the one to
 * be dropped; false: it is not. */
extern bool hone_apply_trial_begin(const HoneAction *action);

/* It was to be, and cannot: the index is shown. */
extern void hone_apply_trial_impossible(const HoneAction *action, const char *reason);

/* A recommendation on trial is reverted: its action's id; 0: it is not on trial. */
extern int64 hone_apply_trial_stop(int64 recommendation_id, Oid roleid);

/* in partition_store.c: connected to SPI */

/* Is the action about a partitioned table, or was it? */
extern bool hone_apply_is_partitioned(const HoneAction *action);
extern bool hone_apply_record_part_index(const HoneAction *action, Oid index_oid);

/* in partition.c: by a worker, outside any transaction, without locks */

/* Make or remove the action's index; goes on where an earlier worker was. */
extern void hone_apply_run_partitioned(HoneAction *action, HoneTryResult *result);

/*
 * What the catalogs say about its index, after removing what is of no use: all
 * that was made if it is not valid, what is not part of it if it is. False
 * if our tables could not be used.
 */
extern bool hone_apply_look_partitioned(HoneAction *action, HoneIndexState *state);

/* in lock.c */

/* Take the lock that the statement will need, if it is free, until it is given
 * back or a transaction aborts. It keeps the table from being dropped or renamed. */
extern bool hone_apply_try_lock_table(Oid relid);
extern void hone_apply_unlock_table(Oid relid);

/* The same by a worker outside any transaction, and with some patience. It is
 * given back after the last attempt at something, unless that aborted (NULL: none). */
extern bool hone_apply_enter_table(Oid relid, int patience_ms);
extern void hone_apply_leave_table(const HoneTryResult *result);
extern void hone_apply_leave_tables(int code, Datum arg);	/* at exit */

/* in builder.c */

/*
 * A relation was made by a statement for the action (arg), in the transaction
 * that does it: every index that we make passes here, parts included.
 */
extern void hone_apply_note_created(Oid relid, void *arg);
extern bool hone_apply_start_builder(BackgroundWorkerHandle **handle);
extern void hone_apply_start_builder_at_commit(void);

#endif							/* HONE_APPLY_INTERNAL_H */
