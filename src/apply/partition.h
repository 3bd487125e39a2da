/*
 * partition.h
 *	  Shared between the files that work on partitioned tables' indexes: the
 *	  parts of an action, and what is to be done next about them.
 */
#ifndef HONE_APPLY_PARTITION_H
#define HONE_APPLY_PARTITION_H

#include "nodes/pg_list.h"

#include "apply/internal.h"

/* A row of hone.action_part_store. */
typedef struct HonePart
{
	Oid			relid;
	char	   *index_name;		/* NULL: nothing done yet */
	Oid			index_oid;		/* InvalidOid: not made yet */
	char	   *state;
	bool		was_there;		/* somebody else's index */
} HonePart;

typedef enum HonePartTaskKind
{
	HONE_PART_NOTHING,			/* the index is valid, or all is removed */
	HONE_PART_WAIT,				/* only what was put off is left to do */
	HONE_PART_PARENT,			/* CREATE INDEX ... ON ONLY a partitioned table */
	HONE_PART_BUILD,			/* CREATE INDEX CONCURRENTLY on a leaf */
	HONE_PART_ATTACH,			/* ALTER INDEX ... ATTACH PARTITION */
	HONE_PART_DROP,				/* DROP INDEX CONCURRENTLY of a leaf's */
	HONE_PART_DROP_PARENT		/* DROP INDEX of a partitioned one */
} HonePartTaskKind;

typedef struct HonePartTask
{
	HonePartTaskKind kind;
	Oid			relid;			/* the table it is about */
	Oid			index_oid;		/* to be dropped; else InvalidOid */
	Oid			owner;			/* of that index */
	char	   *statement;
	List	   *keep;			/* OIDs of indexes that survive a DROP_PARENT */
} HonePartTask;

/* in partition_plan.c: in a transaction, connected to SPI */

/* Begin anew if an earlier attempt was cleaned up after. */
extern void hone_apply_plan_start(HoneAction *action);

/*
 * What to do next so that the action's index gets valid; tables in put_off are
 * passed over. Writes down what it finds on the way. The task is made in the
 * given context.
 */
extern void hone_apply_plan_make(HoneAction *action, List *put_off,
								 MemoryContext context, HonePartTask *task);

/* What to do next so that nothing is left of what the action made. */
extern void hone_apply_plan_remove(HoneAction *action, List *put_off,
								   MemoryContext context, HonePartTask *task);

/* Indexes that were made for partitions which then went away, before they
 * were attached. */
extern void hone_apply_plan_tidy(HoneAction *action, List *put_off,
								 MemoryContext context, HonePartTask *task);

/* Choose a name for a leaf's index, write it down; the statement. The caller
 * has locked the leaf. */
extern char *hone_apply_leaf_statement(const HoneAction *action, Oid relid);

/* Is it (still) the action's table, or one of its partitions? */
extern bool hone_apply_is_part(const HoneAction *action, Oid relid);

/* in partition_store.c: connected to SPI */

extern List *hone_apply_parts(int64 action_id);
extern void hone_apply_parts_sync(int64 action_id, List *relids);
extern void hone_apply_part_building(int64 action_id, Oid relid, const char *name);
extern void hone_apply_part_found(int64 action_id, Oid relid, Oid index_oid);
extern void hone_apply_part_state(int64 action_id, Oid relid, const char *state);
extern void hone_apply_parts_forget(int64 action_id);
extern void hone_apply_forget_index(HoneAction *action);

/* Indexes of a table that are valid, and no partition of another one: OIDs. */
extern List *hone_apply_free_indexes(Oid relid);

#endif							/* HONE_APPLY_PARTITION_H */
