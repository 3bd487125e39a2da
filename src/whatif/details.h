/*
 * details.h
 *	  What the files of this room know of an index that could be built.
 *	  Nobody else includes it.
 */
#ifndef HONE_WHATIF_DETAILS_H
#define HONE_WHATIF_DETAILS_H

#include "access/amapi.h"
#include "access/htup.h"
#include "access/spgist.h"
#include "access/tupdesc.h"
#include "nodes/pathnodes.h"
#include "utils/relcache.h"
#include "utils/selfuncs.h"

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

	/* Estimated when the table had rel_tuples rows in rel_pages. */
	double		rel_tuples;
	double		rel_pages;
	double		tuples;
	double		pages;
	int			tree_height;	/* -1: left to the cost function */

	/* Of those pages. GIN: see gin.c; BRIN: data_pages are the revmap's. */
	double		entry_pages;
	double		data_pages;
	double		entries;

	int			pages_per_range;	/* BRIN */
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

	bool	   *returnable;		/* per column: index-only scans may read it */
	Datum	   *opclass_options;	/* per key column: a text array, or 0 */
	bytea	  **parsed_options; /* the same as the operator class reads them */

	int			fillfactor;		/* percent; of methods that have it */
	bool		deduplicate;	/* not switched off by an option */
	int			pages_per_range;	/* BRIN */

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

/* plan.c: OIDs of all indexes a plan reads. */
extern List *hone_whatif_plan_indexes(PlannedStmt *plan);

/* opclass.c */
extern void hone_whatif_take_opclass_options(HoneIndex *index, int i, List *options);
extern void hone_whatif_find_returnable(HoneIndex *index, const Oid *types);
extern Oid	hone_whatif_support_proc(const HoneIndex *index, int i, int number);
extern Oid	hone_whatif_stored_type(const HoneIndex *index, int i, Oid column_type);

extern bool hone_whatif_spgist_config(const HoneIndex *index, Oid column_type,
									  spgConfigOut *config);

/* inject.c */
extern void hone_whatif_inject(Oid relid, RelOptInfo *rel, List *create);
extern void hone_whatif_remove(RelOptInfo *rel, List *hide);
extern List *hone_whatif_index_columns(const HoneIndexPlace *place, int ncolumns,
									   Index varno);

/* definition.c */
extern char *hone_whatif_definition(const HoneIndex *index, const int *keys);

#define HONE_WIDTHS 32

/* What we need to know of one column of an index. */
typedef struct HoneColumnFigures
{
	double		ndistinct;
	double		null_frac;		/* in the index */
	double		table_null_frac;
	int			widths[HONE_WIDTHS];	/* a sample, at equal distances in the
									 * order of values */
	bool		aligned;		/* always, not only when long */
	char		align;
} HoneColumnFigures;

/* figures.c */
extern RelOptInfo *hone_whatif_lone_relation(Oid relid, PlannerInfo **root_out);
extern void hone_whatif_examine_column(PlannerInfo *root, Node *expr,
									   HeapTuple sample_stats, VariableStatData *vardata);
extern void hone_whatif_figure_column(PlannerInfo *root, Node *expr,
									  HeapTuple sample_stats, double rows,
									  HoneColumnFigures *figures);
extern void hone_whatif_apply_predicate(HoneColumnFigures *figures, Node *expr,
										List *predicate);
extern HeapTuple hone_whatif_sampled_stats(const HoneIndex *index, int column);

/*
 * size.c: hone_whatif_estimate_size fills the sizes of places and index; the
 * others are one access method each, and fill those of one place.
 */
extern void hone_whatif_estimate_size(HoneIndex *index);
extern void hone_whatif_estimate_gin(const HoneIndex *index, HoneIndexPlace *place,
									 List *columns);
extern void hone_whatif_estimate_hash(const HoneIndex *index, HoneIndexPlace *place,
									  PlannerInfo *root, List *columns);
extern void hone_whatif_estimate_brin(const HoneIndex *index, HoneIndexPlace *place,
									  PlannerInfo *root, List *columns);
extern void hone_whatif_estimate_tree(const HoneIndex *index, HoneIndexPlace *place,
									  PlannerInfo *root, List *columns);

/* gistfill.c: a leaf's key columns as stored, and its bytes with its line pointer. */
typedef struct HoneIndexLeaf
{
	Datum	   *keys;
	bool	   *isnull;
	double		size;
} HoneIndexLeaf;

extern double hone_whatif_gist_fill(const HoneIndex *index, Oid relid, HoneIndexLeaf **leaves,
									int nleaves, const int16 *len, double *inner_bytes);

/* cost.c: what IndexOptInfo.amcostestimate of an imagined index is. */
extern void hone_whatif_set_cost(IndexOptInfo *info, const HoneIndex *index,
								 const HoneIndexPlace *place);
extern const HoneIndexPlace *hone_whatif_place_of(const IndexOptInfo *info);

/* gincost.c */
extern void hone_whatif_gin_cost(PlannerInfo *root, IndexPath *path, double loop_count,
								 Cost *startup, Cost *total, Selectivity *selectivity,
								 double *correlation, double *index_pages);

/* sample.c: a reader returns whether it wants more. */
typedef bool (*HoneSampleReader) (HeapTuple tuple, TupleDesc desc, void *arg);
extern int	hone_whatif_sample(const HoneIndex *index, const HoneIndexPlace *place,
							   List *columns, bool indexed_only, int rows,
							   HoneSampleReader reader, void *arg);

extern int	hone_whatif_sample_pages(const HoneIndex *index, const HoneIndexPlace *place,
									 List *columns, int rows,
									 HoneSampleReader reader, void *arg);
extern bool hone_whatif_may_sample(const HoneIndex *index, Oid relid);

/* cache.c: see there */
extern bool hone_whatif_recall_size(const HoneIndex *index, HoneIndexPlace *place);
extern void hone_whatif_keep_size(const HoneIndex *index, const HoneIndexPlace *place);
extern bool hone_whatif_recall_stats(const HoneIndexPlace *place, Node *expr,
									 Oid collation, HeapTuple *stats);
extern void hone_whatif_keep_stats_of(const HoneIndexPlace *place, Node *expr,
									  Oid collation, HeapTuple stats);

typedef struct HoneGroups HoneGroups;

extern MemoryContext hone_whatif_keeping(void);
extern HoneGroups *hone_whatif_recall_groups(const HoneIndexPlace *place);
extern void hone_whatif_keep_groups(const HoneIndexPlace *place, HoneGroups *groups);

/* groups.c */
extern double hone_whatif_combinations(const HoneIndex *index, const HoneIndexPlace *place,
									   Bitmapset *columns);

/* exprstats.c */
extern void hone_whatif_analyse_expressions(HoneIndex *index);

#endif							/* HONE_WHATIF_DETAILS_H */
