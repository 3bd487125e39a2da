/*
 * history.c
 *	  What the stored history of query statistics needs from C: its settings,
 *	  and arithmetic on stored histograms.
 *
 * The history itself is in tables, written by SQL (stats.sql). Most of a row
 * would be its histogram, so that is packed: for each bucket (histogram.h) that
 * is not empty, in ascending order, the distance from the bucket before, and how
 * many executions fell in it, both as numbers of seven bits a byte, the lowest
 * first, the eighth bit saying that more follow. Of two or three bytes a bucket
 * instead of twelve. What is read is checked byte by byte, since anybody may
 * call these functions with anything.
 *
 * Nothing here touches shared memory, so it works without preloading, on a
 * standby and in parallel workers. Memory: one whole histogram (5 kB) for each
 * group of the aggregate.
 */
#include "postgres.h"

#include "fmgr.h"
#include "funcapi.h"
#include "utils/array.h"
#include "utils/guc.h"

#include "base/compat.h"
#include "stats/histogram.h"
#include "stats/stats.h"

PG_FUNCTION_INFO_V1(hone_histogram_pack);
PG_FUNCTION_INFO_V1(hone_histogram_packed_quantile);
PG_FUNCTION_INFO_V1(hone_histogram_difference);
PG_FUNCTION_INFO_V1(hone_histogram_accumulate);
PG_FUNCTION_INFO_V1(hone_histogram_finish);
PG_FUNCTION_INFO_V1(hone_histogram_buckets);

/* Of a number of 64 bits. */
#define MAX_PACKED_LENGTH 10

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

static void
add_count(Histogram *histogram, uint64 bucket, uint64 count)
{
	uint64	   *sum = &histogram->counts[bucket];

	*sum = Min(*sum + Min(count, LARGEST_COUNT), LARGEST_COUNT);
}

static char *
pack_number(char *to, uint64 number)
{
	while (number >= 0x80)
	{
		*to++ = (char) (number | 0x80);
		number >>= 7;
	}
	*to++ = (char) number;
	return to;
}

static bytea *
pack(const Histogram *histogram)
{
	char		packed[HONE_HISTOGRAM_BUCKETS * 2 * MAX_PACKED_LENGTH];
	char	   *end = packed;
	int			last = 0;
	bytea	   *result;

	for (int i = 0; i < HONE_HISTOGRAM_BUCKETS; i++)
	{
		if (histogram->counts[i] == 0)
			continue;
		end = pack_number(end, (uint64) (i - last));
		end = pack_number(end, histogram->counts[i]);
		last = i;
	}
	result = palloc(VARHDRSZ + (end - packed));
	SET_VARSIZE(result, VARHDRSZ + (end - packed));
	memcpy(VARDATA(result), packed, end - packed);
	return result;
}

static void
invalid_histogram(void)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_BINARY_REPRESENTATION),
			 errmsg("invalid histogram")));
}

static uint64
unpack_number(const unsigned char **at, const unsigned char *end)
{
	uint64		number = 0;

	for (int shift = 0; *at < end && shift < 64; shift += 7)
	{
		unsigned char byte = *(*at)++;

		number |= (uint64) (byte & 0x7F) << shift;
		if ((byte & 0x80) == 0)
			return number;
	}
	invalid_histogram();
	return 0;
}

/* Add a packed histogram to a whole one. */
static void
unpack(Histogram *histogram, const bytea *packed)
{
	const unsigned char *at = (const unsigned char *) VARDATA_ANY(packed);
	const unsigned char *end = at + VARSIZE_ANY_EXHDR(packed);
	uint64		bucket = 0;

	while (at < end)
	{
		uint64		distance = unpack_number(&at, end);
		uint64		count = unpack_number(&at, end);

		if (distance >= HONE_HISTOGRAM_BUCKETS ||
			(bucket += distance) >= HONE_HISTOGRAM_BUCKETS)
			invalid_histogram();
		add_count(histogram, bucket, count);
	}
}

/* hone.histogram_pack(buckets, counts): of what hone.query_stats_memory gives. */
Datum
hone_histogram_pack(PG_FUNCTION_ARGS)
{
	Histogram	histogram = {{0}};
	int			nbuckets;
	int			ncounts;
	const int32 *buckets = plain_elements(PG_GETARG_ARRAYTYPE_P(0), "buckets", &nbuckets);
	const int64 *counts = plain_elements(PG_GETARG_ARRAYTYPE_P(1), "counts", &ncounts);

	if (nbuckets != ncounts)
		ereport(ERROR,
				(errcode(ERRCODE_ARRAY_SUBSCRIPT_ERROR),
				 errmsg("\"buckets\" and \"counts\" must have the same length")));
	for (int i = 0; i < nbuckets; i++)
	{
		if (buckets[i] < 0 || buckets[i] >= HONE_HISTOGRAM_BUCKETS)
			ereport(ERROR,
					(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
					 errmsg("\"buckets\" contains %d, which is not the number of a bucket",
							buckets[i])));
		if (counts[i] < 0)
			ereport(ERROR,
					(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
					 errmsg("\"counts\" must not contain negative numbers")));
		add_count(&histogram, (uint64) buckets[i], (uint64) counts[i]);
	}
	PG_RETURN_BYTEA_P(pack(&histogram));
}

/* hone.histogram_quantile(histogram, q): in ms; NULL when it is empty. */
Datum
hone_histogram_packed_quantile(PG_FUNCTION_ARGS)
{
	bytea	   *packed = PG_GETARG_BYTEA_PP(0);
	float8		q = PG_GETARG_FLOAT8(1);
	Histogram	histogram = {{0}};

	/* Written so that NaN is refused too. */
	if (!(q > 0 && q <= 1))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("\"q\" must be greater than 0 and at most 1")));

	unpack(&histogram, packed);
	for (int i = 0; i < HONE_HISTOGRAM_BUCKETS; i++)
		if (histogram.counts[i] > 0)
			PG_RETURN_FLOAT8(hone_histogram_quantile(histogram.counts, q, 0, PG_UINT64_MAX) / 1000000.0);
	PG_RETURN_NULL();
}

/* hone.histogram_difference(histogram, less) */
Datum
hone_histogram_difference(PG_FUNCTION_ARGS)
{
	Histogram	histogram = {{0}};
	Histogram	less = {{0}};

	unpack(&histogram, PG_GETARG_BYTEA_PP(0));
	unpack(&less, PG_GETARG_BYTEA_PP(1));
	for (int i = 0; i < HONE_HISTOGRAM_BUCKETS; i++)
		histogram.counts[i] -= Min(histogram.counts[i], less.counts[i]);
	PG_RETURN_BYTEA_P(pack(&histogram));
}

static MemoryContext
aggregate_context(FunctionCallInfo fcinfo)
{
	MemoryContext context;

	if (!AggCheckCallContext(fcinfo, &context))
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("this function can only be called by an aggregate")));
	return context;
}

/* The transition function of hone.histogram_sum. */
Datum
hone_histogram_accumulate(PG_FUNCTION_ARGS)
{
	MemoryContext context = aggregate_context(fcinfo);
	Histogram  *state = PG_ARGISNULL(0) ? NULL : (Histogram *) PG_GETARG_POINTER(0);

	if (state == NULL)
		state = MemoryContextAllocZero(context, sizeof(Histogram));
	if (!PG_ARGISNULL(1))
		unpack(state, PG_GETARG_BYTEA_PP(1));
	PG_RETURN_POINTER(state);
}

/* Its final function. */
Datum
hone_histogram_finish(PG_FUNCTION_ARGS)
{
	(void) aggregate_context(fcinfo);
	if (PG_ARGISNULL(0))
		PG_RETURN_NULL();
	PG_RETURN_BYTEA_P(pack((Histogram *) PG_GETARG_POINTER(0)));
}

/* hone.histogram_buckets(histogram): cumulative, as hone.query_latency shows it. */
Datum
hone_histogram_buckets(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	Histogram	histogram = {{0}};
	uint64		seen = 0;

	unpack(&histogram, PG_GETARG_BYTEA_PP(0));
	InitMaterializedSRF(fcinfo, 0);
	for (int i = 0; i < HONE_HISTOGRAM_BUCKETS; i++)
	{
		Datum		values[2];
		bool		nulls[2] = {false, false};

		if (histogram.counts[i] == 0)
			continue;
		seen += histogram.counts[i];
		values[0] = Float8GetDatum(hone_histogram_upper_ns(i) / 1000000.0);
		values[1] = Int64GetDatum((int64) seen);
		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
	}
	return (Datum) 0;
}
