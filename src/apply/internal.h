/*
 * internal.h
 *	  Shared between the files of apply/: an action and its life.
 *
 *	                 worker          catalogs say: done
 *	  apply() ─▶ queued ─▶ building ───────────────────▶ kept
 *	               │         │  │                         │
 *	     not what  │  error, │  │ cancel                  │ revert()
 *	     was       │  worker │  └────▶ cancelled          ▼
 *	     decided   │  lost   ▼                          queued ─▶ building ─▶ reverted
 *	               └──────▶ failed                        (an error: back to kept)
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

	/* An index of a partitioned table is made of parts (partition.c). */
	bool		partitioned;
	Oid			part_relid;		/* whose index is being made; InvalidOid: the
								 * action's own */
	bool		part_made;
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

/* Does the text make that index on that table, and is the name free (or that
 * of what was begun)? Can all partitions get one? */
extern bool hone_apply_check_create(const HoneAction *action, int elevel);

/* The index to be dropped: its OID, or InvalidOid after a WARNING. */
extern Oid	hone_apply_check_drop(const HoneAction *action, int elevel);

/* Is the index there that is to do the work of one that is dropped? */
extern bool hone_apply_check_cover(const HoneAction *action, int elevel);

extern HoneIndexState hone_apply_index_state(const HoneAction *action);

/* Keep a table from being dropped or renamed until it is unlocked, or a
 * transaction aborts; waits for at most the lock timeout. */
extern void hone_apply_lock_table(Oid relid);
extern void hone_apply_unlock_table(Oid relid);

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
 * any drop when the index is missing that does the work of the dropped one.
 */
extern int64 hone_apply_queue(int64 recommendation_id, bool after_creates,
							  int elevel);

/* Queue reverting one; its action's id. */
extern int64 hone_apply_queue_revert(int64 recommendation_id);

/* Ids of the caller's proposals of its latest run, creates first. */
extern int64 *hone_apply_proposals(int64 limit, int *count);

typedef enum HoneTake
{
	HONE_TAKE_QUEUED,
	HONE_TAKE_LOST,				/* building, and its worker is gone */
	HONE_TAKE_LEFTOVER
} HoneTake;

/* The next action of a kind, made in a memory context; NULL if there is none. */
extern HoneAction *hone_apply_take(HoneTake kind, MemoryContext context);

extern bool hone_apply_record_start(const HoneAction *action);	/* false: gone */

/* Is the new relation this action's index? Then it is written down. */
extern bool hone_apply_record_index(const HoneAction *action, Oid index_oid);
extern void hone_apply_record_end(const HoneAction *action, const char *state,
								  const char *error, bool leftover);
extern void hone_apply_record_leftover(const HoneAction *action, bool leftover);
extern bool hone_apply_creates_missing(const HoneAction *action);

/* Is there something a builder should do, and none at work? */
extern bool hone_apply_has_work(void);

/* Is there anything that is not in its final state? */
extern bool hone_apply_has_unfinished(void);

typedef struct HoneProgress
{
	bool		exists;
	bool		finished;
	bool		ok;
	bool		is_building;
	bool		builder_alive;
	char	   *error;			/* "SQLSTATE: message" or NULL */

	/* For the report; filled by those who wait. */
	int64		recommendation_id;
	bool		is_revert;
} HoneProgress;

extern void hone_apply_progress(int64 action_id, HoneProgress *progress);

/* No worker could be had: the action is not going to happen. */
extern void hone_apply_give_up(int64 action_id, const char *error);

/* in apply.c: settings */
extern int	hone_apply_build_lock_timeout_ms;
extern int	hone_apply_build_timeout_ms;

/* in partition_store.c: connected to SPI */

/* Is the action about a partitioned table, or was it? */
extern bool hone_apply_is_partitioned(const HoneAction *action);

/* Take over from a worker that is gone; false: it was tried often enough. */
extern bool hone_apply_record_resume(const HoneAction *action);
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

/* in builder.c */

/*
 * A relation was made by a statement for the action (arg), in the transaction
 * that does it: every index that we make passes here, parts included.
 */
extern void hone_apply_note_created(Oid relid, void *arg);
extern bool hone_apply_start_builder(BackgroundWorkerHandle **handle);

#endif							/* HONE_APPLY_INTERNAL_H */
