/*
 * history.c
 *	  What the stored history of query statistics needs from C: its settings,
 *	  and arithmetic on stored histograms.
 *
 * The history itself is in tables, written by SQL (stats.sql). A histogram is
 * stored as two arrays of the same length: numbers of buckets, as laid out in
 * histogram.h, and how many executions fell in each. Buckets without any are
 * left out. The functions here read such pairs into a whole histogram, with
 * every number checked, since anybody may call them with anything.
 *
 * Nothing here touches shared memory, so it works without preloading, on a
 * standby and in parallel workers. Memory: one whole histogram (5 kB) for each
 * group of the aggregate.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "fmgr.h"
#include "funcapi.h"
#include "utils/array.h"
#include "utils/guc.h"

#include "base/compat.h"
#include "stats/histogram.h"
#include "stats/stats.h"

PG_FUNCTION_INFO_V1(hone_histogram_quantile_sql);
PG_FUNCTION_INFO_V1(hone_histogram_difference);
PG_FUNCTION_INFO_V1(hone_histogram_accumulate);
PG_FUNCTION_INFO_V1(hone_histogram_finish);

/* So that neither a bucket nor the sum over all of them overflows. */
#define LARGEST_COUNT ((uint64) PG_INT64_MAX / HONE_HISTOGRAM_BUCKETS)

typedef struct Histogram
{
	uint64		counts[HONE_HISTOGRAM_BUCKETS];
} Histogram;

static int	rollup_queries = 200;
static int	minute_retention_min = 24 * 60;
static int	hour_retention_min = 14 * 24 * 60;

/* The values are read in SQL, by their names. */
void
hone_stats_history_init(void)
{
	DefineCustomIntVariable("pg_hone.rollup_queries",
							"Sets how many queries of a minute, an hour or a day have a row of their own in the history.",
							"Those that took most time do; the figures of the others are added up in one row.",
							&rollup_queries,
							200, 1, 10000,
							PGC_SIGHUP,
							0,
							NULL, NULL, NULL);
	DefineCustomIntVariable("pg_hone.minute_retention",
							"Sets how long the history of query statistics is kept by the minute.",
							"Never longer than pg_hone.retention.",
							&minute_retention_min,
							24 * 60, 1, INT_MAX / 60,
							PGC_SIGHUP,
							GUC_UNIT_MIN,
							NULL, NULL, NULL);
	DefineCustomIntVariable("pg_hone.hour_retention",
							"Sets how long the history of query statistics is kept by the hour.",
							"Never longer than pg_hone.retention.",
							&hour_retention_min,
							14 * 24 * 60, 1, INT_MAX / 60,
							PGC_SIGHUP,
							GUC_UNIT_MIN,
							NULL, NULL, NULL);
}

/* The elements of a plain array of fixed-width integers. */
static void *
plain_elements(ArrayType *array, const char *argument, int *n)
{
	*n = ArrayGetNItems(ARR_NDIM(array), ARR_DIMS(array));
	if (ARR_NDIM(array) > 1)
		ereport(ERROR,
				(errcode(ERRCODE_ARRAY_SUBSCRIPT_ERROR),
				 errmsg("\"%s\" must be a one-dimensional array", argument)));
	if (ARR_HASNULL(array) && array_contains_nulls(array))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("\"%s\" must not contain nulls", argument)));
	return ARR_DATA_PTR(array);
}

/* Add what two arrays say to a whole histogram, or take it away. */
static void
add_sparse(Histogram *histogram, ArrayType *bucket_array, ArrayType *count_array,
		   bool subtract)
{
	int			nbuckets;
	int			ncounts;
	const int32 *buckets = plain_elements(bucket_array, "buckets", &nbuckets);
	const int64 *counts = plain_elements(count_array, "counts", &ncounts);

	if (nbuckets != ncounts)
		ereport(ERROR,
				(errcode(ERRCODE_ARRAY_SUBSCRIPT_ERROR),
				 errmsg("\"buckets\" and \"counts\" must have the same length")));

	for (int i = 0; i < nbuckets; i++)
	{
		uint64	   *sum;

		if (buckets[i] < 0 || buckets[i] >= HONE_HISTOGRAM_BUCKETS)
			ereport(ERROR,
					(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
					 errmsg("\"buckets\" contains %d, which is not the number of a bucket",
							buckets[i])));
		if (counts[i] < 0)
			ereport(ERROR,
					(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
					 errmsg("\"counts\" must not contain negative numbers")));

		sum = &histogram->counts[buckets[i]];
		if (!subtract)
			*sum = Min(*sum + (uint64) counts[i], LARGEST_COUNT);
		else
			*sum -= Min(*sum, (uint64) counts[i]);
	}
}

/* A hone.histogram, of the buckets that are not empty. */
static Datum
make_sparse(FunctionCallInfo fcinfo, const Histogram *histogram)
{
	Datum		buckets[HONE_HISTOGRAM_BUCKETS];
	Datum		counts[HONE_HISTOGRAM_BUCKETS];
	Datum		values[2];
	bool		nulls[2] = {false, false};
	TupleDesc	desc;
	int			n = 0;

	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");

	for (int i = 0; i < HONE_HISTOGRAM_BUCKETS; i++)
	{
		if (histogram->counts[i] == 0)
			continue;
		buckets[n] = Int32GetDatum(i);
		counts[n++] = Int64GetDatum((int64) histogram->counts[i]);
	}
	values[0] = PointerGetDatum(construct_array(buckets, n, INT4OID, sizeof(int32),
												true, TYPALIGN_INT));
	values[1] = PointerGetDatum(construct_array(counts, n, INT8OID, sizeof(int64),
												FLOAT8PASSBYVAL, TYPALIGN_DOUBLE));
	return HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(desc), values, nulls));
}

/* hone.histogram_quantile(buckets, counts, q): in ms; NULL when it is empty. */
Datum
hone_histogram_quantile_sql(PG_FUNCTION_ARGS)
{
	float8		q = PG_GETARG_FLOAT8(2);
	Histogram	histogram = {{0}};
	uint64		total = 0;

	/* Written so that NaN is refused too. */
	if (!(q > 0 && q <= 1))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("\"q\" must be greater than 0 and at most 1")));

	add_sparse(&histogram, PG_GETARG_ARRAYTYPE_P(0), PG_GETARG_ARRAYTYPE_P(1), false);
	for (int i = 0; i < HONE_HISTOGRAM_BUCKETS && total == 0; i++)
		total += histogram.counts[i];
	if (total == 0)
		PG_RETURN_NULL();
	PG_RETURN_FLOAT8(hone_histogram_quantile(histogram.counts, q, 0, PG_UINT64_MAX) / 1000000.0);
}

/* hone.histogram_difference(buckets, counts, less_buckets, less_counts) */
Datum
hone_histogram_difference(PG_FUNCTION_ARGS)
{
	Histogram	histogram = {{0}};

	add_sparse(&histogram, PG_GETARG_ARRAYTYPE_P(0), PG_GETARG_ARRAYTYPE_P(1), false);
	add_sparse(&histogram, PG_GETARG_ARRAYTYPE_P(2), PG_GETARG_ARRAYTYPE_P(3), true);
	PG_RETURN_DATUM(make_sparse(fcinfo, &histogram));
}

/* The transition function of hone.histogram_sum. */
Datum
hone_histogram_accumulate(PG_FUNCTION_ARGS)
{
	Histogram  *state = PG_ARGISNULL(0) ? NULL : (Histogram *) PG_GETARG_POINTER(0);
	MemoryContext context;

	if (!AggCheckCallContext(fcinfo, &context))
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("this function can only be called by an aggregate")));
	if (PG_ARGISNULL(1) || PG_ARGISNULL(2))
	{
		if (state == NULL)
			PG_RETURN_NULL();
		PG_RETURN_POINTER(state);
	}
	if (state == NULL)
		state = MemoryContextAllocZero(context, sizeof(Histogram));
	add_sparse(state, PG_GETARG_ARRAYTYPE_P(1), PG_GETARG_ARRAYTYPE_P(2), false);
	PG_RETURN_POINTER(state);
}

/* Its final function; NULL when there was nothing to add. */
Datum
hone_histogram_finish(PG_FUNCTION_ARGS)
{
	if (!AggCheckCallContext(fcinfo, NULL))
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("this function can only be called by an aggregate")));
	if (PG_ARGISNULL(0))
		PG_RETURN_NULL();
	PG_RETURN_DATUM(make_sparse(fcinfo, (Histogram *) PG_GETARG_POINTER(0)));
}
