/*
 * verdict.h
 *	  What is done about an index on trial, given the figures: a pure function.
 */
#ifndef HONE_APPLY_VERDICT_H
#define HONE_APPLY_VERDICT_H

typedef enum HoneFinding
{
	HONE_FINDING_OPEN,
	HONE_FINDING_SAME,
	HONE_FINDING_BETTER,
	HONE_FINDING_WORSE
} HoneFinding;

/*
 * A query of the trial. Better and worse mean: with the change that is tried,
 * which is the index being there, or being gone.
 */
typedef struct HoneTrialQuery
{
	bool		expected;		/* the advisor promised it something */
	bool		affected;		/* its plans use the index, where it is seen */
	double		weight;			/* its share of the database's time */
	int64		executions;		/* in the arm that has fewer */
	int			looks;
	HoneFinding finding;
	double		ratio;			/* of its last look: changed to unchanged */
	double		low;			/* its limits */
	double		high;
	double		gain_ms;		/* in all, as if every execution had the change */
	double		most_gain_ms;	/* the same by the better limit */
	double		total_ms;		/* it took */
} HoneTrialQuery;

typedef struct HoneTrialFigures
{
	bool		is_drop;
	bool		hidden;			/* a drop: from everybody */
	bool		over;			/* cannot go on */
	double		age_s;
	double		limit_s;
	double		what_if_gain;	/* the advisor's, 0 to 1 */
	int64		executions;		/* of all statements on the table, in the smaller arm */

	bool		to_come;		/* a query of weight on the table has not run since it began */

	bool		writes_expected;	/* the table was written to before */
	int64		writes;			/* executions since then */
	double		writes_low;		/* limit of their ratio, after to before */
	double		writes_loss_ms; /* what they took longer in all, if that is certain */

	int			count;
	HoneTrialQuery *queries;
} HoneTrialFigures;

typedef enum HoneDecision
{
	HONE_GO_ON,
	HONE_KEEP,					/* the change */
	HONE_REVERT,
	HONE_HIDE					/* a drop: from everybody, and watch */
} HoneDecision;

typedef struct HoneVerdict
{
	HoneDecision decision;
	bool		conclusive;
	const char *rule;
	const char *reason;
} HoneVerdict;

extern HoneVerdict hone_apply_judge(const HoneTrialFigures *figures);

#endif							/* HONE_APPLY_VERDICT_H */
