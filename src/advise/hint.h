/*
 * hint.h
 *	  What the files that look for hints share.
 *
 * A hint says that an index is not, or not alone, what helps: the query should
 * be written otherwise, or something around it is set or kept badly. hint.c
 * chooses the statements and collects; hint_tree.c knows whose column an
 * expression is about; hint_where.c and hint_column.c look at conditions,
 * hint_query.c at a query as a whole, hint_plan.c at plans and measurements.
 */
#ifndef HONE_ADVISE_HINT_H
#define HONE_ADVISE_HINT_H

#include "advise/internal.h"

/* What was measured of a query, if anything was. */
typedef struct HoneMeasured
{
	int64		queryid;
	Oid			userid;
	double		calls;
	double		rows;
	double		total_ms;
	double		jit_ms;
	double		temp_blocks;
	double		blocks_hit;
	double		blocks_read;
} HoneMeasured;

struct HoneHint
{
	HoneStatement *st;			/* NULL: the workload as a whole */
	Oid			relid;			/* the table it is about, if one */
	const char *kind;
	const char *hint;			/* names tables and columns, no values */
	const char *evidence;		/* may show values of the statement */
	const char *example;		/* the same, or NULL */
};

/* One statement being looked at. */
typedef struct HoneHintWalk
{
	HoneRun    *run;
	HoneStatement *st;
	ParamListInfo params;
	Query	   *top;			/* as it was analysed */
	List	   *levels;			/* Query nodes, the innermost first */
	PlannedStmt *before;		/* plan without the chosen indexes */
	PlannedStmt *after;			/* and with them */
	const HoneMeasured *measured;	/* NULL: nothing */
	List	   *hints;			/* of HoneHint, in run->memory */
} HoneHintWalk;

/* A column of a table, at its place in a query. */
typedef struct HoneColumn
{
	Query	   *query;
	int			rtindex;
	Oid			relid;
	AttrNumber	attno;
} HoneColumn;

/* How a plan scans a table. */
typedef struct HoneScans
{
	bool		whole;			/* all of it is read */
	double		rows;			/* that such a scan returns */
	bool		index_only;
} HoneScans;

/* in hint.c */
extern void hone_hint_add(HoneHintWalk *walk, Oid relid, const char *kind,
						  const char *hint, const char *evidence, const char *example);

/* in hint_tree.c */
extern bool hone_hint_resolve(HoneHintWalk *walk, Var *var, HoneColumn *column);
extern bool hone_hint_column(HoneHintWalk *walk, Node *node, HoneColumn *column);
extern bool hone_hint_only_column(HoneHintWalk *walk, Node *node, HoneColumn *column);
extern bool hone_hint_is_value(Node *node);
extern Node *hone_hint_folded(HoneHintWalk *walk, Node *node);
extern char *hone_hint_text(Node *node);
extern char *hone_hint_column_text(const HoneColumn *column);
extern char *hone_hint_expression_text(HoneHintWalk *walk, Node *node, const HoneColumn *column);
extern HoneRelUse *hone_hint_table(HoneHintWalk *walk, Oid relid);
extern bool hone_hint_is_large(HoneHintWalk *walk, Oid relid);
extern HoneExisting *hone_hint_index_on(HoneHintWalk *walk, const HoneColumn *column, Oid amoid);
extern List *hone_hint_conditions(Query *query);
extern Node *hone_hint_strip(Node *node);

/* in hint_plan.c */
extern void hone_hint_scans(PlannedStmt *plan, Oid relid, HoneScans *scans);
extern bool hone_hint_any_plan(PlannedStmt *plan, bool (*test) (PlannedStmt *, Plan *, void *),
							   void *arg);
extern void hone_hint_look_at_plan(HoneHintWalk *walk, Query *query);
extern void hone_hint_look_at_workload(HoneRun *run, List *measured, List **hints);

/* in hint_query.c, hint_where.c, hint_join.c, hint_column.c */
extern void hone_hint_look_at_query(HoneHintWalk *walk, Query *query);
extern void hone_hint_look_at_condition(HoneHintWalk *walk, Query *query, Node *condition);
extern void hone_hint_look_at_expression(HoneHintWalk *walk, OpExpr *op, Node *side,
										 Node *value, bool commuted);
extern void hone_hint_look_at_join(HoneHintWalk *walk, OpExpr *op);
extern void hone_hint_look_at_cast_in_list(HoneHintWalk *walk, ScalarArrayOpExpr *saop);
extern bool hone_hint_may_scan_less(HoneHintWalk *walk, const HoneColumn *column,
									bool instead, char **evidence);
extern int	hone_hint_strategy(Oid opno);
extern bool hone_hint_is_comparison(Oid opno);
extern bool hone_hint_is_equality(Oid opno);

#endif							/* HONE_ADVISE_HINT_H */
