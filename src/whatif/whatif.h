/*
 * whatif.h
 *	  Planning a statement as if other indexes existed.
 *
 * Works in any backend, with or without preloading, on a standby too. The
 * caller has an active snapshot, and has become the role whose statement it
 * plans (base/owner.h).
 *
 * Nothing here undoes what it does: analysis takes the statement's relation
 * locks, an index takes AccessShareLock on its table and partitions, and
 * functions run by the planner may do anything the role may. So do a batch in
 * an internal subtransaction and roll that back, keeping what is wanted in a
 * memory context from outside, and catch errors there. An error leaves no state
 * behind: no statement but the one given to hone_whatif_plan ever sees an
 * imagined index.
 */
#ifndef HONE_WHATIF_H
#define HONE_WHATIF_H

#include "nodes/params.h"
#include "nodes/parsenodes.h"
#include "nodes/plannodes.h"
#include "storage/block.h"

/*
 * An index that could be built. Opaque but for what a reader may want;
 * lives in the memory context that was current when it was made.
 */
typedef struct HoneIndex
{
	Oid			relid;			/* table */
	Oid			amoid;			/* access method */
	Oid			fakeoid;		/* how plans name it while it does not exist */
	char	   *definition;		/* canonical CREATE INDEX ... without a name,
								 * everything qualified and quoted */
	int			ncolumns;		/* key columns and included ones */
	int			nkeycolumns;

	/* Estimated from statistics, see size.c */
	BlockNumber pages;
	double		tuples;
	int			tree_height;
	int64		size_bytes;

	struct HoneIndexDetails *details;
} HoneIndex;

/* A configuration: what exists, plus some, minus some. */
typedef struct HoneConfiguration
{
	List	   *create;			/* of HoneIndex * */
	List	   *hide;			/* of Oid (real indexes), an OID list */
} HoneConfiguration;

/*
 * Parse one CREATE INDEX statement (a name, CONCURRENTLY and IF NOT EXISTS are
 * accepted and ignored) into an index that could be built. Errors as CREATE
 * INDEX itself would give them: syntax, unknown relation, column or operator
 * class, mutable expression, and a row for which an expression fails. The
 * caller needs SELECT on the table (ERRCODE_INSUFFICIENT_PRIVILEGE). All access
 * methods of the core (btree, hash, gist, spgist, gin, brin), with the
 * parameters of their operator classes; those of extensions, and UNIQUE, are
 * ERRCODE_FEATURE_NOT_SUPPORTED.
 *
 * For expressions, GIN, GiST and SP-GiST a sample of some 3000 to 20000 rows is
 * read, as the current user (tens of milliseconds, once in a transaction for
 * the same index or expression: cache.c); under row security it is not, and the
 * estimates are coarser. On a partitioned table the index is imagined in every
 * partition.
 *
 * The definition means what it says where nothing is in front of pg_catalog in
 * the search_path: build it under "pg_catalog, pg_temp".
 */
extern HoneIndex *hone_whatif_index(const char *create_index);

/*
 * Analyse and rewrite exactly one optimisable statement (SELECT, INSERT,
 * UPDATE, DELETE, MERGE) as the current user. param_types may be NULL: they
 * are inferred. Returns NULL when the rewriter leaves nothing to plan.
 * Raises ERRCODE_SYNTAX_ERROR for none or several statements, and
 * ERRCODE_FEATURE_NOT_SUPPORTED for utility statements. *param_types_out gets
 * the types in effect.
 */
extern List *hone_whatif_analyze(const char *statement,
								 const Oid *param_types, int nparams,
								 Oid **param_types_out, int *nparams_out);

/*
 * Values for $1..$n given as text, by the types' input functions, as constants
 * a custom plan would see. nulls in the array are NULLs.
 */
extern ParamListInfo hone_whatif_params(const Oid *param_types, int nparams,
										char **values);

/*
 * Plan one analysed query (it is copied, not scribbled on) under the
 * configuration. params may be NULL: a generic plan. Never run the result: it
 * may name indexes that do not exist. Checks the current user's privileges on
 * everything the plan touches, as execution would.
 */
extern PlannedStmt *hone_whatif_plan(Query *query, const char *statement,
									 ParamListInfo params,
									 const HoneConfiguration *configuration);

/*
 * Total cost of a plan, and the imagined indexes of the configuration (the one
 * it was made under) that it uses.
 */
extern double hone_whatif_cost(PlannedStmt *plan);
extern List *hone_whatif_used(PlannedStmt *plan, const HoneConfiguration *configuration);

/* OIDs of the real indexes a plan uses. */
extern List *hone_whatif_used_real(PlannedStmt *plan);

/*
 * EXPLAIN (FORMAT JSON) of a plan made under the configuration: an array of one
 * object, as the command gives it.
 */
extern char *hone_whatif_explain(PlannedStmt *plan, const char *statement,
								 ParamListInfo params,
								 const HoneConfiguration *configuration);

/*
 * Hidden indexes: real ones that the planner does not see in ordinary sessions,
 * rows of hone.hidden_index_store. What changes is seen by everybody when the
 * transaction commits, and by the caller's own next command; plans kept by
 * sessions are made anew. These connect to SPI themselves, and check nothing but
 * that the index exists: who may do it is the caller's to say.
 *
 * kind is "trial" or "drop", with the number of its action, or "manual" with 0.
 * With arms one half of the backends sees the index, and the plans they make
 * say so (base/arm.h); trial is at most HONE_MAX_TRIAL then. A row that is there
 * is changed. To show those of a trial that has none is to do nothing.
 *
 * The indexes of one trial share its fate (there may be several: partitions, and
 * what REINDEX CONCURRENTLY has put in an index's place): hiding one another way
 * does the same to the others, and they are shown together.
 */
extern void hone_whatif_hide(Oid index_oid, const char *kind, int64 trial, bool arms);
extern void hone_whatif_show_trial(int64 trial);

/* The next turn of a trial: all backends change sides. */
extern void hone_whatif_turn(int64 trial);

/* Remove the rows of indexes that do not exist any more. */
extern void hone_whatif_forget_gone(void);

/* Install the hooks that are always there. */
extern void hone_whatif_init(void);

#endif							/* HONE_WHATIF_H */
