/*
 * read.h
 *	  What read.c, clause.c and predicate.c share: they look at one relation
 *	  while the planner is at work. Nobody else includes it.
 *
 * Results live in hone_advise_reading, the run's memory; it is NULL when
 * nothing is being read.
 */
#ifndef HONE_ADVISE_READ_H
#define HONE_ADVISE_READ_H

#include "advise/internal.h"

/* in read.c */
extern MemoryContext hone_advise_reading;

/* in clause.c */
extern Node *hone_advise_indexable(RelOptInfo *rel, Node *expr);
extern bool hone_advise_unsuitable(Node *expr);
extern Node *hone_advise_copy_for_index(RelOptInfo *rel, Node *expr);
extern Bitmapset *hone_advise_columns_of(RelOptInfo *rel, Node *expr);
extern Oid	hone_advise_default_family(Node *expr);
extern HoneUse *hone_advise_make_use(RelOptInfo *rel, HoneUseKind kind, Node *expr,
									 Oid opclass, Oid opfamily, Oid collation,
									 double selectivity);
extern void hone_advise_add_use(HoneRelUse *rel, HoneUse *use);
extern List *hone_advise_append(List *list, void *item);
extern HoneUse *hone_advise_read_distance(RelOptInfo *rel, Node *expr);
extern void hone_advise_read_clause(PlannerInfo *root, RelOptInfo *rel, HoneRelUse *use,
									Node *clause, double selectivity, bool arm,
									Relids partners);

/* in predicate.c */
extern void hone_advise_read_predicate(PlannerInfo *root, RelOptInfo *rel,
									   HoneRelUse *use, RestrictInfo *rinfo,
									   double selectivity);

#endif							/* HONE_ADVISE_READ_H */
