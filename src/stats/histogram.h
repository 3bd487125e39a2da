/*
 * histogram.h
 *	  A latency histogram: log-linear, mergeable by addition.
 *
 * Each octave of [2^HONE_HISTOGRAM_MIN_LOG2, 2^HONE_HISTOGRAM_MAX_LOG2)
 * nanoseconds is cut into HONE_HISTOGRAM_STEPS buckets of equal width, so a
 * bucket's bounds L and U have U/L <= 1 + 1/STEPS. A quantile is reported as
 * their harmonic mean 2LU/(L+U), which is off by at most
 * (U-L)/(U+L) <= 1/(2*STEPS+1) = 2.7 % whatever the true value in the bucket.
 * Bucket 0 takes what is shorter (reported as 0 to 128 ns), the last one what
 * is longer than 2^42 ns = 73 minutes; quantiles are cut to the exact minimum
 * and maximum, which are kept beside. (The layout is that of HdrHistogram, with
 * a number of steps that is not a power of two because the error asks for 18.)
 */
#ifndef HONE_HISTOGRAM_H
#define HONE_HISTOGRAM_H

#include "port/pg_bitutils.h"

#define HONE_HISTOGRAM_STEPS 18
#define HONE_HISTOGRAM_MIN_LOG2 7
#define HONE_HISTOGRAM_MAX_LOG2 42
#define HONE_HISTOGRAM_BUCKETS \
	((HONE_HISTOGRAM_MAX_LOG2 - HONE_HISTOGRAM_MIN_LOG2) * HONE_HISTOGRAM_STEPS + 2)

/* The bucket a duration belongs to. */
static inline int
hone_histogram_bucket(uint64 ns)
{
	int			octave;
	uint64		step;

	if (ns < (UINT64CONST(1) << HONE_HISTOGRAM_MIN_LOG2))
		return 0;
	octave = pg_leftmost_one_pos64(ns);
	if (octave >= HONE_HISTOGRAM_MAX_LOG2)
		return HONE_HISTOGRAM_BUCKETS - 1;
	step = ((ns - (UINT64CONST(1) << octave)) * HONE_HISTOGRAM_STEPS) >> octave;
	return 1 + (octave - HONE_HISTOGRAM_MIN_LOG2) * HONE_HISTOGRAM_STEPS + (int) step;
}

/* Upper bound of a bucket in nanoseconds; infinity for the last. */
extern double hone_histogram_upper_ns(int bucket);

/* The q-quantile (0 < q < 1) in ns of a histogram with the given extremes. */
extern double hone_histogram_quantile(const uint64 *counts, double q,
									  uint64 min_ns, uint64 max_ns);

/* The same, knowing that there is nothing outside of buckets [first, end). */
extern double hone_histogram_quantile_between(const uint64 *counts, int first, int end,
											  double q, uint64 min_ns, uint64 max_ns);

#endif							/* HONE_HISTOGRAM_H */
