/*
 * exprstats.c
 *	  Statistics of an imagined index's expressions.
 *
 * For a real expression index ANALYZE keeps statistics of its expressions, and
 * without them the planner knows nothing of them (0.5 % for any equality). So
 * the expressions are evaluated over a bounded sample of the table and the
 * values are given to the type's own ANALYZE functions. The result has the
 * shape of a pg_statistic row; it lives with the index and is given to the
 * planner by get_index_stats_hook. Nothing is written.
 *
 * Expressions of a partitioned table are sampled in its largest partition.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/pg_am.h"
#include "catalog/pg_statistic.h"
#include "catalog/pg_type.h"
#include "commands/vacuum.h"
#include "nodes/nodeFuncs.h"
#include "utils/array.h"
#include "utils/datum.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/syscache.h"

#include "base/compat.h"
#include "whatif/details.h"

#define SAMPLE_ROWS 20000
#define SAMPLE_MAX_ROWS (SAMPLE_ROWS + SAMPLE_ROWS / 2)
#define SAMPLE_BYTES (16.0 * 1024 * 1024)

typedef struct Collecting
{
	MemoryContext context;
	int			ncolumns;
	int			nrows;
	double		bytes;
	Datum	   *values;			/* [row * ncolumns + column] */
	bool	   *nulls;
} Collecting;

static bool
collect_row(HeapTuple tuple, TupleDesc desc, void *arg)
{
	Collecting *collecting = arg;
	MemoryContext old = MemoryContextSwitchTo(collecting->context);
	int			first = collecting->nrows * collecting->ncolumns;

	for (int i = 0; i < collecting->ncolumns; i++)
	{
		Form_pg_attribute att = TupleDescAttr(desc, i);
		Datum		value = heap_getattr(tuple, i + 1, desc, &collecting->nulls[first + i]);

		if (collecting->nulls[first + i])
			continue;
		collecting->values[first + i] = datumCopy(value, att->attbyval, att->attlen);
		if (!att->attbyval)
			collecting->bytes += datumGetSize(value, false, att->attlen);
	}
	collecting->nrows++;
	MemoryContextSwitchTo(old);
	return collecting->nrows < SAMPLE_MAX_ROWS && collecting->bytes < SAMPLE_BYTES;
}

static Datum
fetch_value(VacAttrStatsP stats, int row, bool *isnull)
{
	*isnull = stats->exprnulls[row * stats->rowstride];
	return stats->exprvals[row * stats->rowstride];
}

/* What ANALYZE sets up for the column of an expression index. */
static VacAttrStats *
prepare_analysis(Node *expr, Oid collation)
{
	VacAttrStats *stats = palloc0(sizeof(VacAttrStats));
	HeapTuple	type = SearchSysCacheCopy1(TYPEOID, ObjectIdGetDatum(exprType(expr)));
	bool		ok;

	if (!HeapTupleIsValid(type))
		elog(ERROR, "cache lookup failed for type %u", exprType(expr));
	stats->attrtype = (Form_pg_type) GETSTRUCT(type);
	stats->attrtypid = exprType(expr);
	stats->attrtypmod = exprTypmod(expr);
	stats->attrcollid = collation;
	stats->anl_context = CurrentMemoryContext;
	hone_set_statistics_target(stats, -1);
	for (int i = 0; i < STATISTIC_NUM_SLOTS; i++)
	{
		stats->statypid[i] = stats->attrtypid;
		stats->statyplen[i] = stats->attrtype->typlen;
		stats->statypbyval[i] = stats->attrtype->typbyval;
		stats->statypalign[i] = stats->attrtype->typalign;
	}

	if (OidIsValid(stats->attrtype->typanalyze))
		ok = DatumGetBool(OidFunctionCall1(stats->attrtype->typanalyze,
										   PointerGetDatum(stats)));
	else
		ok = std_typanalyze(stats);
	return ok && stats->compute_stats != NULL && stats->minrows > 0 ? stats : NULL;
}

static Datum
numbers_array(const float4 *numbers, int n)
{
	Datum	   *elems = palloc(sizeof(Datum) * n);

	for (int i = 0; i < n; i++)
		elems[i] = Float4GetDatum(numbers[i]);
	return PointerGetDatum(construct_array(elems, n, FLOAT4OID, sizeof(float4), true,
										   TYPALIGN_INT));
}

static HeapTuple
form_statistics(const VacAttrStats *stats)
{
	Relation	rel = table_open(StatisticRelationId, AccessShareLock);
	Datum		values[Natts_pg_statistic] = {0};
	bool		nulls[Natts_pg_statistic] = {false};
	HeapTuple	tuple;

	values[Anum_pg_statistic_stanullfrac - 1] = Float4GetDatum(stats->stanullfrac);
	values[Anum_pg_statistic_stawidth - 1] = Int32GetDatum(stats->stawidth);
	values[Anum_pg_statistic_stadistinct - 1] = Float4GetDatum(stats->stadistinct);
	for (int k = 0; k < STATISTIC_NUM_SLOTS; k++)
	{
		values[Anum_pg_statistic_stakind1 - 1 + k] = Int16GetDatum(stats->stakind[k]);
		values[Anum_pg_statistic_staop1 - 1 + k] = ObjectIdGetDatum(stats->staop[k]);
		values[Anum_pg_statistic_stacoll1 - 1 + k] = ObjectIdGetDatum(stats->stacoll[k]);
		nulls[Anum_pg_statistic_stanumbers1 - 1 + k] = stats->numnumbers[k] <= 0;
		if (stats->numnumbers[k] > 0)
			values[Anum_pg_statistic_stanumbers1 - 1 + k] =
				numbers_array(stats->stanumbers[k], stats->numnumbers[k]);
		nulls[Anum_pg_statistic_stavalues1 - 1 + k] = stats->numvalues[k] <= 0;
		if (stats->numvalues[k] > 0)
			values[Anum_pg_statistic_stavalues1 - 1 + k] =
				PointerGetDatum(construct_array(stats->stavalues[k],
												stats->numvalues[k],
												stats->statypid[k],
												stats->statyplen[k],
												stats->statypbyval[k],
												stats->statypalign[k]));
	}
	tuple = heap_form_tuple(RelationGetDescr(rel), values, nulls);
	table_close(rel, AccessShareLock);
	return tuple;
}

static HoneIndexPlace *
largest_place(const HoneIndex *index)
{
	HoneIndexPlace *largest = NULL;
	ListCell   *lc;

	foreach(lc, index->details->places)
	{
		HoneIndexPlace *place = lfirst(lc);

		if (largest == NULL || place->rel_tuples > largest->rel_tuples)
			largest = place;
	}
	return largest;
}

static void
analyse_expressions(HoneIndex *index, const HoneIndexPlace *place,
					Collecting *collecting, MemoryContext keep)
{
	int			nexpr = 0;

	for (int i = 0; i < index->nkeycolumns; i++)
	{
		Node	   *expr;
		VacAttrStats *stats;
		MemoryContext old;

		if (place->keys[i] != 0)
			continue;
		expr = list_nth(place->exprs, nexpr);
		stats = prepare_analysis(expr, index->details->collations[i]);
		if (stats != NULL)
		{
			stats->exprvals = collecting->values + nexpr;
			stats->exprnulls = collecting->nulls + nexpr;
			stats->rowstride = collecting->ncolumns;
			stats->compute_stats(stats, fetch_value, collecting->nrows,
								 place->rel_tuples);
			old = MemoryContextSwitchTo(keep);
			if (stats->stats_valid)
				index->details->stats[i] = form_statistics(stats);
			MemoryContextSwitchTo(old);
		}
		hone_whatif_keep_stats_of(place, expr, index->details->collations[i],
								  index->details->stats[i]);
		nexpr++;
	}
}

/* Are all of them known already? */
static bool
recall_expressions(HoneIndex *index, const HoneIndexPlace *place)
{
	int			nexpr = 0;

	for (int i = 0; i < index->nkeycolumns; i++)
	{
		if (place->keys[i] == 0 &&
			!hone_whatif_recall_stats(place, list_nth(place->exprs, nexpr++),
									  index->details->collations[i],
									  &index->details->stats[i]))
			return false;
	}
	return true;
}

/* rel_tuples of the places are known. */
void
hone_whatif_analyse_expressions(HoneIndex *index)
{
	HoneIndexPlace *place = largest_place(index);
	Collecting	collecting = {0};
	MemoryContext keep = GetMemoryChunkContext(index);
	MemoryContext old;
	bool		known;
	Size		cells;

	if (place == NULL || place->exprs == NIL)
		return;
	old = MemoryContextSwitchTo(keep);
	index->details->stats = palloc0(sizeof(HeapTuple) * index->ncolumns);
	known = !hone_whatif_may_sample(index, place->relid) || recall_expressions(index, place);
	MemoryContextSwitchTo(old);
	if (known)
		return;

	collecting.context = AllocSetContextCreate(CurrentMemoryContext,
											   "pg_hone expression sample",
											   ALLOCSET_DEFAULT_SIZES);
	MemoryContextSwitchTo(collecting.context);
	collecting.ncolumns = list_length(place->exprs);
	cells = (Size) SAMPLE_MAX_ROWS * collecting.ncolumns;
	collecting.values = palloc_extended(sizeof(Datum) * cells, MCXT_ALLOC_HUGE);
	collecting.nulls = palloc_extended(sizeof(bool) * cells, MCXT_ALLOC_HUGE);

	if (hone_whatif_sample(index, place, place->exprs, false, SAMPLE_ROWS,
						   collect_row, &collecting) > 0)
		analyse_expressions(index, place, &collecting, keep);
	MemoryContextSwitchTo(old);
	MemoryContextDelete(collecting.context);
}
