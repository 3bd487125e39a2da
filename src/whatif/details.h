/*
 * details.h
 *	  What the files of this room know of an index that could be built.
 *	  Nobody else includes it.
 */
#ifndef HONE_WHATIF_DETAILS_H
#define HONE_WHATIF_DETAILS_H

#include "access/amapi.h"
#include "access/htup.h"
#include "access/tupdesc.h"
#include "nodes/pathnodes.h"
#include "utils/relcache.h"

#include "whatif/whatif.h"

/*
 * The index in one table that has storage: the table itself, or each leaf of a
 * partitioned table. Column numbers and expressions are that table's, with
 * varno 1.
 */
typedef struct HoneIndexPlace
{
	Oid			relid;
	int		   *keys;			/* attribute numbers; 0 for an expression */
	List	   *exprs;			/* as the relcache would hold them */
	List	   *predicate;		/* implicitly ANDed */

	/* Estimated when the table had rel_tuples rows. */
	double		rel_tuples;
	double		tuples;
	double		pages;
	int			tree_height;
} HoneIndexPlace;

typedef struct HoneIndexDetails
{
	IndexAmRoutine *am;
	bool		partitioned;	/* the table is */
	Oid			tablespace;
	bool		tablespace_named;	/* not the default */
	Datum		options;		/* WITH (...), a text array, or 0 */

	Oid		   *collations;		/* these four: key columns only */
	Oid		   *opclasses;
	Oid		   *opfamilies;
	Oid		   *opcintypes;
	bool	   *descending;
	bool	   *nulls_first;

	int			fillfactor;		/* percent, btree */
	bool		deduplicate;	/* not switched off by an option */

	List	   *raw_exprs;		/* as written, for the definition text */
	Node	   *raw_predicate;
	HeapTuple  *stats;			/* per column: a pg_statistic row of a sample,
								 * or NULL; expressions only */

	List	   *places;			/* of HoneIndexPlace * */
} HoneIndexDetails;

/*
 * whatif.c: hone_whatif_push makes the configuration count for the next
 * planner call in this backend (and the names of its indexes known to EXPLAIN)
 * until hone_whatif_pop, which must be called in a PG_FINALLY. NULL shields
 * what follows from whatever configuration is in effect.
 */
extern void hone_whatif_push(const HoneConfiguration *configuration);
extern void hone_whatif_pop(void);
extern void hone_whatif_keep_stats(HeapTuple tuple);

/* plan.c: errors between the two belong to this text. */
extern void hone_whatif_push_text(ErrorContextCallback *context, const char *text);
extern void hone_whatif_pop_text(ErrorContextCallback *context);

/* inject.c */
extern void hone_whatif_inject(Oid relid, RelOptInfo *rel, List *create);
extern void hone_whatif_remove(RelOptInfo *rel, List *hide);
extern List *hone_whatif_index_columns(const HoneIndexPlace *place, int ncolumns,
									   Index varno);

/* definition.c */
extern char *hone_whatif_definition(const HoneIndex *index, const int *keys);

/* size.c: hone_whatif_estimate_size fills the sizes of places and index. */
extern void hone_whatif_estimate_size(HoneIndex *index);

/* gin.c */
extern void hone_whatif_estimate_gin(const HoneIndex *index, HoneIndexPlace *place,
									 RelOptInfo *rel, List *columns);

/* sample.c: a reader returns whether it wants more. */
typedef bool (*HoneSampleReader) (HeapTuple tuple, TupleDesc desc, void *arg);
extern int	hone_whatif_sample(const HoneIndex *index, const HoneIndexPlace *place,
							   List *columns, bool indexed_only, int rows,
							   HoneSampleReader reader, void *arg);

/* exprstats.c */
extern void hone_whatif_analyse_expressions(HoneIndex *index);

#endif							/* HONE_WHATIF_DETAILS_H */
