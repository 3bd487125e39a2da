/*
 * welch.c
 *	  Is one arm of a trial faster than the other, and by how much?
 *
 * Times of executions are far from normal: their logarithms are nearly so, and
 * what an index changes is a factor anyway. So means of logarithms are
 * compared, and the answer is a ratio with its confidence limits.
 *
 * Executions come in blocks, each a few backends, and backends differ: one
 * serves reports, another one a queue. Within a block the difference of the
 * arms' means is taken, and of these the mean with weights n1 n0 / (n1 + n0)
 * (those of Mantel and Haenszel): what one block does against another is then
 * no difference of the arms, however the executions are spread over them. A
 * block with an empty arm says nothing and is left out.
 *
 * The variance of the result is that of Welch: each arm of each block has its
 * own, and the degrees of freedom are those of Satterthwaite,
 *		df = (sum s)^2 / sum (s^2 / f),
 * s being a part's share of the variance and f its own degrees of freedom. An
 * arm of a block that has only a few executions knows little about its variance;
 * such parts share one for each arm, of all of them together.
 *
 * Variances have a floor, since logical reads are often the same number every
 * time: without it a difference in the ninth digit would be significant.
 *
 * Student's distribution is the incomplete beta function,
 *		P(|T| > t) = I(df/2, 1/2; df / (df + t^2))
 * (Abramowitz and Stegun, 26.7.1), by the continued fraction DLMF 8.17.22,
 * evaluated from the front by the method of Lentz as modified by Thompson and
 * Barnett (J. Comput. Phys. 64, 1986, 490). Quantiles are found by bisection.
 *
 * Pure functions: no state, no allocation but in the functions for SQL, at the
 * end. These are what the tests call.
 */
#include "postgres.h"

#include <math.h>

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "funcapi.h"
#include "utils/array.h"
#include "utils/float.h"

#include "apply/welch.h"
#include "base/compat.h"

#define SMALL 8					/* an arm's n in a block that has no variance of its own */
#define LEAST_VARIANCE 1e-6		/* one in a thousand, as a standard deviation */
#define MOST_DF 1e6				/* from there on it is the normal distribution */
#define MAX_BLOCKS 1024			/* in the function for SQL */

PG_FUNCTION_INFO_V1(hone_apply_sql_student_tail);
PG_FUNCTION_INFO_V1(hone_apply_sql_student_quantile);
PG_FUNCTION_INFO_V1(hone_apply_sql_compare);
PG_FUNCTION_INFO_V1(hone_apply_sql_holm);

/* Student's distribution */

static double
away_from_zero(double value)
{
	return fabs(value) < 1e-300 ? 1e-300 : value;
}

/* The continued fraction, for x < (a + 1) / (a + b + 2), where it converges fast. */
static double
beta_fraction(double a, double b, double x)
{
	double		f = 1;
	double		c = 1;
	double		d = 1 / away_from_zero(1 - (a + b) * x / (a + 1));

	f = d;
	for (int m = 1; m < 100000; m++)
	{
		double		even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m));
		double		odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1));
		double		step;

		d = 1 / away_from_zero(1 + even * d);
		c = away_from_zero(1 + even / c);
		f *= c * d;
		d = 1 / away_from_zero(1 + odd * d);
		c = away_from_zero(1 + odd / c);
		step = c * d;
		f *= step;
		if (fabs(step - 1) < 1e-15)
			break;
	}
	return f;
}

/* I(a, b; x), y being 1 - x, which the caller may know better. */
static double
incomplete_beta(double a, double b, double x, double y)
{
	double		front;

	if (x <= 0)
		return 0;
	if (y <= 0)
		return 1;
	front = exp(lgamma(a + b) - lgamma(a) - lgamma(b) + a * log(x) + b * log(y));
	if (x < (a + 1) / (a + b + 2))
		return front * beta_fraction(a, b, x) / a;
	return 1 - front * beta_fraction(b, a, y) / b;
}

double
hone_apply_student_tail(double t, double df)
{
	t = fabs(t);
	if (isinf(t))
		return 0;
	if (df >= MOST_DF)
		return erfc(t / sqrt(2));
	return incomplete_beta(df / 2, 0.5, df / (df + t * t), t * t / (df + t * t));
}

double
hone_apply_student_quantile(double p, double df)
{
	double		low = 0;
	double		high = 1;

	while (hone_apply_student_tail(high, df) > p && high < 1e300)
	{
		low = high;
		high *= 2;
	}
	for (int i = 0; i < 200 && high - low > 1e-13 * high; i++)
	{
		double		middle = low + (high - low) / 2;

		if (hone_apply_student_tail(middle, df) > p)
			low = middle;
		else
			high = middle;
	}
	return low + (high - low) / 2;
}

/* The comparison */

/* Arms of blocks with few executions, put together. */
typedef struct Pool
{
	double		squares;		/* of deviations */
	int64		df;
	double		variance;
	double		share;			/* sum of w^2 / n */
} Pool;

typedef struct Sum
{
	double		variance;
	double		squares;		/* of variances, each by its degrees of freedom */
} Sum;

static void
add_part(Sum *sum, double variance, double df)
{
	sum->variance += variance;
	sum->squares += variance * variance / df;
}

static void
pool_add(Pool *pool, const HoneArmSample *arm)
{
	if (arm->n > SMALL || arm->n < 2)
		return;
	pool->squares += arm->variance * (arm->n - 1);
	pool->df += arm->n - 1;
}

static void
pool_finish(Pool *pool)
{
	if (pool->df > 0)
		pool->variance = Max(pool->squares / pool->df, LEAST_VARIANCE);
}

/* Is it known how much this arm of a block spreads? */
static bool
spread_is_known(const HoneArmSample *arm, const Pool *pool)
{
	return arm->n > SMALL || pool->df > 0;
}

static bool
is_compared(const HoneBlock *block, const Pool *with, const Pool *without)
{
	return block->with.n > 0 && block->without.n > 0 &&
		spread_is_known(&block->with, with) && spread_is_known(&block->without, without);
}

static double
weight(const HoneBlock *block)
{
	double		n1 = (double) block->with.n;
	double		n0 = (double) block->without.n;

	return n1 * n0 / (n1 + n0);
}

static void
add_arm(Sum *sum, Pool *pool, const HoneArmSample *arm, double w)
{
	double		share = w * w / (double) arm->n;

	if (arm->n > SMALL)
		add_part(sum, share * Max(arm->variance, LEAST_VARIANCE), (double) (arm->n - 1));
	else
		pool->share += share;
}

static void
add_pool(Sum *sum, const Pool *pool)
{
	if (pool->share > 0)
		add_part(sum, pool->share * pool->variance, (double) pool->df);
}

void
hone_apply_compare(const HoneBlock *blocks, int count, HoneComparison *result)
{
	Pool		with = {0};
	Pool		without = {0};
	Sum			sum = {0};
	double		total = 0;
	double		difference = 0;

	memset(result, 0, sizeof(*result));
	result->p = 1;
	for (int i = 0; i < count; i++)
	{
		result->n_with += blocks[i].with.n;
		result->n_without += blocks[i].without.n;
		if (blocks[i].with.n == 0 || blocks[i].without.n == 0)
			continue;
		pool_add(&with, &blocks[i].with);
		pool_add(&without, &blocks[i].without);
	}
	pool_finish(&with);
	pool_finish(&without);

	for (int i = 0; i < count; i++)
	{
		const HoneBlock *block = &blocks[i];
		double		w;

		if (block->with.n == 0 && block->without.n == 0)
			continue;
		if (!is_compared(block, &with, &without))
		{
			result->blocks_left_out++;
			continue;
		}
		result->blocks++;
		w = weight(block);
		total += w;
		difference += w * (block->with.mean - block->without.mean);
		add_arm(&sum, &with, &block->with, w);
		add_arm(&sum, &without, &block->without, w);
	}
	if (result->blocks == 0)
		return;
	add_pool(&sum, &with);
	add_pool(&sum, &without);

	result->difference = difference / total;
	result->error = sqrt(sum.variance) / total;
	result->df = sum.variance * sum.variance / sum.squares;
	result->p = hone_apply_student_tail(result->difference / result->error, result->df);
}

void
hone_apply_limits(const HoneComparison *comparison, double alpha, double *low, double *high)
{
	double		reach;

	*low = 0;
	*high = get_float8_infinity();
	if (comparison->df <= 0)
		return;
	reach = comparison->error * hone_apply_student_quantile(alpha, comparison->df);
	*low = exp(comparison->difference - reach);
	*high = exp(comparison->difference + reach);
}

/* The smallest p times count, the next times count - 1 ...; never decreasing. */
void
hone_apply_holm(const double *p, int count, double *adjusted)
{
	double		least = 0;

	/* Few queries: the next greater one is looked for each time. */
	for (int i = 0; i < count; i++)
		adjusted[i] = -1;
	for (int rank = 0; rank < count; rank++)
	{
		int			next = -1;

		for (int i = 0; i < count; i++)
			if (adjusted[i] < 0 && (next < 0 || p[i] < p[next]))
				next = i;
		least = Max(least, Min(1, p[next] * (count - rank)));
		adjusted[next] = least;
	}
}

/* For SQL */

static void
check_positive(double value, const char *name)
{
	if (!(value > 0) || isinf(value))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("argument \"%s\" must be positive", name)));
}

static void
check_probability(double value, const char *name)
{
	if (!(value > 0 && value < 1))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("argument \"%s\" must be between 0 and 1", name)));
}

/* hone.student_t_tail(t, df) */
Datum
hone_apply_sql_student_tail(PG_FUNCTION_ARGS)
{
	double		t = PG_GETARG_FLOAT8(0);
	double		df = PG_GETARG_FLOAT8(1);

	check_positive(df, "df");
	if (isnan(t))
		PG_RETURN_NULL();
	PG_RETURN_FLOAT8(hone_apply_student_tail(t, df));
}

/* hone.student_t_quantile(p, df) */
Datum
hone_apply_sql_student_quantile(PG_FUNCTION_ARGS)
{
	double		p = PG_GETARG_FLOAT8(0);
	double		df = PG_GETARG_FLOAT8(1);

	check_probability(p, "p");
	check_positive(df, "df");
	PG_RETURN_FLOAT8(hone_apply_student_quantile(p, df));
}

typedef struct Column
{
	Datum	   *values;
	bool	   *nulls;
	int			count;
} Column;

static Column
column(FunctionCallInfo fcinfo, int number, Oid type)
{
	Column		result;

	deconstruct_array(PG_GETARG_ARRAYTYPE_P(number), type, 8, FLOAT8PASSBYVAL,
					  TYPALIGN_DOUBLE, &result.values, &result.nulls, &result.count);
	return result;
}

static double
float_of(const Column *column, int i)
{
	return column->nulls[i] ? 0 : DatumGetFloat8(column->values[i]);
}

static HoneArmSample
sample(const Column *columns, int i)
{
	HoneArmSample arm = {
		.n = columns[0].nulls[i] ? 0 : DatumGetInt64(columns[0].values[i]),
		.mean = float_of(&columns[1], i),
		.variance = float_of(&columns[2], i),
	};

	if (arm.n < 0 || isnan(arm.mean) || isinf(arm.mean) || !(arm.variance >= 0) ||
		isinf(arm.variance))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("figures of block %d are not those of a sample", i + 1)));
	return arm;
}

static HoneBlock *
blocks_given(FunctionCallInfo fcinfo, int *count)
{
	static const Oid types[] = {INT8OID, FLOAT8OID, FLOAT8OID};
	Column		columns[6];
	HoneBlock  *blocks;

	for (int i = 0; i < 6; i++)
	{
		columns[i] = column(fcinfo, i, types[i % 3]);
		if (columns[i].count != columns[0].count)
			ereport(ERROR,
					(errcode(ERRCODE_ARRAY_SUBSCRIPT_ERROR),
					 errmsg("the arrays must have the same number of elements")));
	}
	*count = columns[0].count;
	if (*count > MAX_BLOCKS)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("cannot compare more than %d blocks", MAX_BLOCKS)));
	blocks = palloc(sizeof(HoneBlock) * (*count + 1));
	for (int i = 0; i < *count; i++)
	{
		blocks[i].with = sample(columns, i);
		blocks[i].without = sample(columns + 3, i);
	}
	return blocks;
}

/* hone.compare_arms(...) */
Datum
hone_apply_sql_compare(PG_FUNCTION_ARGS)
{
	double		alpha = PG_GETARG_FLOAT8(6);
	Datum		values[10];
	bool		nulls[10] = {false};
	TupleDesc	tupdesc;
	HoneBlock  *blocks;
	HoneComparison result;
	double		low;
	double		high;
	int			count;

	check_probability(alpha, "alpha");
	if (get_call_result_type(fcinfo, NULL, &tupdesc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	blocks = blocks_given(fcinfo, &count);
	hone_apply_compare(blocks, count, &result);
	hone_apply_limits(&result, alpha, &low, &high);

	values[0] = Int64GetDatum(result.n_with);
	values[1] = Int64GetDatum(result.n_without);
	values[2] = Float8GetDatum(exp(result.difference));
	values[3] = Float8GetDatum(low);
	values[4] = Float8GetDatum(high);
	values[5] = Float8GetDatum(result.p);
	values[6] = Float8GetDatum(result.error);
	values[7] = Float8GetDatum(result.df);
	values[8] = Int32GetDatum(result.blocks);
	values[9] = Int32GetDatum(result.blocks_left_out);
	if (result.df <= 0)
		for (int i = 2; i <= 7; i++)
			nulls[i] = true;
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(tupdesc), values, nulls)));
}

/* hone.holm(p) */
Datum
hone_apply_sql_holm(PG_FUNCTION_ARGS)
{
	Column		given = column(fcinfo, 0, FLOAT8OID);
	double	   *p = palloc(sizeof(double) * (given.count + 1));
	double	   *adjusted = palloc(sizeof(double) * (given.count + 1));

	/* What is not known is not rejected. */
	for (int i = 0; i < given.count; i++)
		p[i] = given.nulls[i] ? 1 : DatumGetFloat8(given.values[i]);
	hone_apply_holm(p, given.count, adjusted);
	for (int i = 0; i < given.count; i++)
		given.values[i] = Float8GetDatum(adjusted[i]);
	PG_RETURN_ARRAYTYPE_P(construct_array(given.values, given.count, FLOAT8OID, 8,
										  FLOAT8PASSBYVAL, TYPALIGN_DOUBLE));
}
