/*
 * welch.h
 *	  Comparing two arms of a trial: pure functions of figures.
 */
#ifndef HONE_APPLY_WELCH_H
#define HONE_APPLY_WELCH_H

/* What one block saw of one arm: logarithms, their mean and sample variance. */
typedef struct HoneArmSample
{
	int64		n;
	double		mean;
	double		variance;		/* not used if n < 2 */
} HoneArmSample;

typedef struct HoneBlock
{
	HoneArmSample with;			/* the index is seen */
	HoneArmSample without;
} HoneBlock;

typedef struct HoneComparison
{
	int64		n_with;			/* in all blocks, compared or not */
	int64		n_without;
	int			blocks;			/* that were compared */
	int			blocks_left_out;	/* because an arm was empty, or no spread known */
	double		difference;		/* of the logarithms: with less without */
	double		error;			/* its standard error */
	double		df;				/* and its degrees of freedom; 0: nothing known */
	double		p;				/* of no difference, two-sided; 1 if nothing known */
} HoneComparison;

/* P(|T| > t) of Student's distribution; df > 0. */
extern double hone_apply_student_tail(double t, double df);

/* The t with P(|T| > t) = p; 0 < p <= 1. */
extern double hone_apply_student_quantile(double p, double df);

extern void hone_apply_compare(const HoneBlock *blocks, int count, HoneComparison *result);

/* Limits of exp(difference), at confidence 1 - alpha; 0 and infinity if nothing is known. */
extern void hone_apply_limits(const HoneComparison *comparison, double alpha,
							  double *low, double *high);

/* Adjusted p values by Holm's step-down: those of at most alpha are rejected. */
extern void hone_apply_holm(const double *p, int count, double *adjusted);

#endif							/* HONE_APPLY_WELCH_H */
