/*
 * figures.c
 *	  What statistics tell of a table and of one column of an index.
 *
 * Statistics are read through the planner's own functions for a relation
 * that stands alone in a query of the current user, so that what they may tell
 * him is decided where it always is.
 */
#include "postgres.h"

#include <math.h>

#include "access/detoast.h"
#include "catalog/pg_statistic.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "optimizer/pathnode.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/rls.h"
#include "utils/selfuncs.h"

#include "base/compat.h"
#include "whatif/details.h"

/* A planner's view of one table and nothing else. */
RelOptInfo *
hone_whatif_lone_relation(Oid relid, PlannerInfo **root_out)
{
	Query	   *query = makeNode(Query);
	PlannerGlobal *glob = makeNode(PlannerGlobal);
	PlannerInfo *root = makeNode(PlannerInfo);
	RangeTblEntry *rte = makeNode(RangeTblEntry);

	query->commandType = CMD_SELECT;
	root->parse = query;
	root->glob = glob;
	root->query_level = 1;
	root->planner_cxt = CurrentMemoryContext;
	root->wt_param_id = -1;

	rte->rtekind = RTE_RELATION;
	rte->relid = relid;
	rte->relkind = get_rel_relkind(relid);
	rte->rellockmode = AccessShareLock;
	rte->inFromCl = true;
	query->rtable = list_make1(rte);
	hone_add_rte_permissions(query, rte);

	/* Under row security only leakproof estimates may read statistics. */
	if (check_enable_rls(relid, InvalidOid, true) == RLS_ENABLED)
		rte->securityQuals = list_make1(makeBoolConst(true, false));

	setup_simple_rel_arrays(root);
	*root_out = root;
	return build_simple_rel(root, 1, NULL);
}

/* As stored in an index: the length word is one byte when that is enough. */
static int
stored_width(Datum value, int16 len)
{
	Size		size;

	if (len == -2)
		return strlen(DatumGetCString(value)) + 1;
	size = toast_raw_datum_size(value) - VARHDRSZ;
	return size + (size + VARHDRSZ_SHORT <= VARATT_SHORT_MAX ? VARHDRSZ_SHORT : VARHDRSZ);
}

/*
 * The average is that of many more values than we look at: the widths are moved
 * to it. Unless it is far away, because values are compressed or stored elsewhere.
 */
static void
fit_average(int *widths, int average)
{
	double		sum = 0;
	double		mean;
	double		move = 0;

	for (int i = 0; i < HONE_WIDTHS; i++)
		sum += widths[i];
	mean = sum / HONE_WIDTHS;
	if (average < 0.7 * mean || average > 1.3 * mean)
		return;

	/* ANALYZE cuts off what is behind the decimal point. */
	if (mean < average)
		move = average - mean;
	else if (mean > average + 1)
		move = average + 1 - mean;
	for (int i = 0; i < HONE_WIDTHS; i++)
		widths[i] = Max(1, (int) rint(widths[i] + move));
}

/*
 * Widths of a varying column: of its most common values and of its histogram's
 * bounds, in proportion; the average for lack of either.
 */
static void
sample_widths(HoneColumnFigures *figures, VariableStatData *vardata, int16 len, int average)
{
	AttStatsSlot mcv = {0};
	AttStatsSlot histogram = {0};
	double		common = 0;
	double		position = 0;
	int			next = 0;

	if (HeapTupleIsValid(vardata->statsTuple) && vardata->acl_ok)
	{
		(void) get_attstatsslot(&mcv, vardata->statsTuple, STATISTIC_KIND_MCV,
								InvalidOid, ATTSTATSSLOT_VALUES | ATTSTATSSLOT_NUMBERS);
		(void) get_attstatsslot(&histogram, vardata->statsTuple,
								STATISTIC_KIND_HISTOGRAM, InvalidOid,
								ATTSTATSSLOT_VALUES);
	}
	for (int i = 0; i < mcv.nnumbers; i++)
		common += mcv.numbers[i];

	for (int i = 0; i < HONE_WIDTHS; i++)
	{
		double		some = 1 - figures->table_null_frac;
		double		want = (i + 0.5) / HONE_WIDTHS * some;
		double		rest = (want - common) / Max(some - common, 1e-6);

		figures->widths[i] = average;
		if (want < common)
		{
			while (next < mcv.nvalues - 1 && position + mcv.numbers[next] < want)
				position += mcv.numbers[next++];
			figures->widths[i] = stored_width(mcv.values[next], len);
		}
		else if (histogram.nvalues > 0)
			figures->widths[i] =
				stored_width(histogram.values[Min((int) (rest * histogram.nvalues),
												  histogram.nvalues - 1)], len);
	}
	free_attstatsslot(&mcv);
	free_attstatsslot(&histogram);
	fit_average(figures->widths, average);
}

void
hone_whatif_examine_column(PlannerInfo *root, Node *expr, HeapTuple sample_stats,
			   VariableStatData *vardata)
{
	examine_variable(root, expr, 0, vardata);
	if (!HeapTupleIsValid(vardata->statsTuple) && sample_stats != NULL)
	{
		vardata->statsTuple = sample_stats;
		vardata->freefunc = hone_whatif_keep_stats;
		vardata->acl_ok = true;
	}
}

void
hone_whatif_figure_column(PlannerInfo *root, Node *expr, HeapTuple sample_stats, double rows,
			  HoneColumnFigures *figures)
{
	VariableStatData vardata;
	bool		isdefault;
	int16		len;
	bool		byval;
	int			average = 0;

	get_typlenbyvalalign(exprType(expr), &len, &byval, &figures->align);
	figures->table_null_frac = 0;
	figures->aligned = len > 0;

	hone_whatif_examine_column(root, expr, sample_stats, &vardata);
	figures->ndistinct = get_variable_numdistinct(&vardata, &isdefault);
	if (isdefault)
		figures->ndistinct = Max(rows / 10, Min(rows, figures->ndistinct));
	if (HeapTupleIsValid(vardata.statsTuple))
	{
		Form_pg_statistic stats = (Form_pg_statistic) GETSTRUCT(vardata.statsTuple);

		figures->table_null_frac = stats->stanullfrac;
		average = stats->stawidth;
	}
	if (average <= 0)
		average = get_typavgwidth(exprType(expr), exprTypmod(expr));
	if (len > 0)
	{
		for (int i = 0; i < HONE_WIDTHS; i++)
			figures->widths[i] = len;
	}
	else
		sample_widths(figures, &vardata, len, average);
	ReleaseVariableStats(vardata);
	figures->null_frac = figures->table_null_frac;
}

/* What a partial index's predicate tells of its columns. */
void
hone_whatif_apply_predicate(HoneColumnFigures *figures, Node *expr, List *predicate)
{
	NullTest   *not_null = makeNode(NullTest);
	ListCell   *lc;

	if (predicate == NIL)
		return;
	not_null->arg = (Expr *) expr;
	not_null->nulltesttype = IS_NOT_NULL;
	not_null->location = -1;
	if (predicate_implied_by(list_make1(not_null), predicate, false))
		figures->null_frac = 0;

	/* column = constant */
	foreach(lc, predicate)
	{
		OpExpr	   *op = lfirst(lc);

		if (IsA(op, OpExpr) && list_length(op->args) == 2 &&
			get_oprrest(op->opno) == F_EQSEL &&
			IsA(lsecond(op->args), Const) && equal(linitial(op->args), expr))
			figures->ndistinct = 1;
	}
}

/* Statistics that we have made ourselves; NULL if the table's count. */
HeapTuple
hone_whatif_sampled_stats(const HoneIndex *index, int column)
{
	return index->details->stats ? index->details->stats[column] : NULL;
}
