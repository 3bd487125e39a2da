/*
 * histogram.c
 *	  Reading a latency histogram. The layout is described in histogram.h.
 */
#include "postgres.h"

#include <math.h>

#include "utils/float.h"

#include "stats/histogram.h"

static double
lower_ns(int bucket)
{
	int			octave;
	int			step;

	if (bucket == 0)
		return 0;
	octave = (bucket - 1) / HONE_HISTOGRAM_STEPS + HONE_HISTOGRAM_MIN_LOG2;
	step = (bucket - 1) % HONE_HISTOGRAM_STEPS;
	return ldexp(1.0 + (double) step / HONE_HISTOGRAM_STEPS, octave);
}

double
hone_histogram_upper_ns(int bucket)
{
	if (bucket >= HONE_HISTOGRAM_BUCKETS - 1)
		return get_float8_infinity();
	return lower_ns(bucket + 1);
}

static double
representative_ns(int bucket)
{
	double		lower = lower_ns(bucket);
	double		upper = hone_histogram_upper_ns(bucket);

	if (isinf(upper))
		return lower;
	return 2 * lower * upper / (lower + upper);
}

double
hone_histogram_quantile(const uint64 *counts, double q, uint64 min_ns, uint64 max_ns)
{
	return hone_histogram_quantile_between(counts, 0, HONE_HISTOGRAM_BUCKETS,
										   q, min_ns, max_ns);
}

double
hone_histogram_quantile_between(const uint64 *counts, int first, int end,
								double q, uint64 min_ns, uint64 max_ns)
{
	uint64		total = 0;
	uint64		rank;
	uint64		seen = 0;

	for (int i = first; i < end; i++)
		total += counts[i];
	if (total == 0)
		return 0;

	/* The smallest duration that at least q of all do not exceed. */
	rank = (uint64) ceil(q * (double) total);
	for (int i = first; i < end; i++)
	{
		seen += counts[i];
		if (seen >= rank)
			return Min(Max(representative_ns(i), (double) min_ns), (double) max_ns);
	}
	return (double) max_ns;
}
