/*
 * verdict.c
 *	  The policy: keep it, take it back, or go on.
 *
 * The rules stand in two tables, one for new indexes and one for drops, in the
 * order in which they are asked; the first that applies decides. Each is a pure
 * function of the figures (verdict.h) and says its reason. What is measured,
 * and when it counts as certain, is decided before (trial_measure.sql, welch.c).
 *
 * What the rules are made of:
 *
 * - A query is affected if its plans use the index in the arm that sees it. Only
 *	 such a query can be better or worse because of it.
 * - It has weight if it takes 1 % of the database's time or more. What has no
 *	 weight cannot turn a verdict against an index: only its time counts.
 * - The verdict waits for an affected query of weight that was not looked at
 *	 yet, or of which it is not excluded that it is much worse, and for one that
 *	 is due and has not run; but not longer than a third of the trial's time (by
 *	 default a day, which has seen each hour). One that ran too seldom to be
 *	 certain of still counts against keeping if it was much slower so far.
 * - Gains and losses are times: what all executions would have gained if all
 *	 had seen the change. Only what is certain counts, except where said.
 *
 * judge_trial() gives the policy figures from SQL; the tests ask it every rule.
 * No locks, no state.
 */
#include "postgres.h"

#include <math.h>

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "funcapi.h"
#include "utils/builtins.h"

#include "apply/verdict.h"
#include "base/compat.h"
#include "base/owner.h"

#define WEIGHT 0.01				/* share of the database's time that counts */
#define GREAT_WEIGHT 0.02		/* that lets one query decide alone */
#define MUCH_WORSE 1.5
#define CLEARLY_WORSE 1.1		/* what the lower limit must exceed */
#define LOOK 30					/* executions per arm */
#define ENOUGH 240
#define SMALL_GAIN 0.05			/* of the affected queries' time: not worth an index */
#define SURE_OF_ADVICE 0.2		/* gain the advisor must have seen when nothing is certain */
#define WAIT_SHARE (1.0 / 3)	/* of the trial's time */
#define RARE_FACTOR (7.0 / 3)	/* times the trial's time, for rare queries */
#define LOOK_SHARE (1.0 / 7)	/* of a drop's time: arms at most, if nothing uses it */
#define WRITES_WAIT_S 600		/* for figures of writes */

PG_FUNCTION_INFO_V1(hone_apply_sql_judge);

/* What the rules ask */

static bool
has_weight(const HoneTrialQuery *query)
{
	return query->affected && query->weight >= WEIGHT;
}

static double
confirmed_gain(const HoneTrialFigures *f)
{
	double		sum = 0;

	for (int i = 0; i < f->count; i++)
		if (f->queries[i].affected && f->queries[i].finding == HONE_FINDING_BETTER)
			sum += Max(f->queries[i].gain_ms, 0);
	return sum;
}

/* Of all that are worse; or only of those that are clearly so, and of weight. */
static double
confirmed_loss(const HoneTrialFigures *f, bool clearly)
{
	double		sum = 0;

	for (int i = 0; i < f->count; i++)
	{
		const HoneTrialQuery *query = &f->queries[i];

		if (!query->affected || query->finding != HONE_FINDING_WORSE)
			continue;
		if (!clearly || (query->low > CLEARLY_WORSE && has_weight(query)))
			sum -= Min(query->gain_ms, 0);
	}
	return sum;
}

/* What may be gained yet, by the figures so far. */
static double
open_gain(const HoneTrialFigures *f)
{
	double		sum = 0;

	for (int i = 0; i < f->count; i++)
		if (f->queries[i].affected && f->queries[i].finding == HONE_FINDING_OPEN)
			sum += Max(f->queries[i].gain_ms, 0);
	return sum;
}

/*
 * What may be lost yet: by queries of weight that are much slower so far, but ran
 * too seldom to be certain. The loss is of all executions, total_ms half of that
 * with and half without, so r times as slow is a loss of 2 (r - 1) / (r + 1).
 */
static double
open_loss(const HoneTrialFigures *f)
{
	double		much = 2 * (MUCH_WORSE - 1) / (MUCH_WORSE + 1);
	double		sum = 0;

	for (int i = 0; i < f->count; i++)
	{
		const HoneTrialQuery *query = &f->queries[i];

		if (has_weight(query) && query->finding == HONE_FINDING_OPEN &&
			-query->gain_ms > much * query->total_ms)
			sum -= query->gain_ms;
	}
	return sum;
}

static double
net_gain(const HoneTrialFigures *f)
{
	return confirmed_gain(f) - confirmed_loss(f, false) - f->writes_loss_ms;
}

/*
 * What the sum of gains and losses may be off because it is chance how often
 * which query came: its standard deviation, if they come independently.
 */
static double
chance_of_net_gain(const HoneTrialFigures *f)
{
	double		variance = 0;

	for (int i = 0; i < f->count; i++)
	{
		const HoneTrialQuery *query = &f->queries[i];

		if (query->affected && query->executions > 0 &&
			(query->finding == HONE_FINDING_BETTER || query->finding == HONE_FINDING_WORSE))
			variance += query->gain_ms * query->gain_ms / query->executions;
	}
	return sqrt(variance);
}

static bool
is_used(const HoneTrialFigures *f)
{
	for (int i = 0; i < f->count; i++)
		if (f->queries[i].affected)
			return true;
	return false;
}

static bool
is_waited_for(const HoneTrialFigures *f, const HoneTrialQuery *query)
{
	if (!has_weight(query) || f->age_s >= f->limit_s * WAIT_SHARE)
		return false;
	return query->looks == 0 || query->executions < LOOK ||
		(query->finding == HONE_FINDING_OPEN && query->high > MUCH_WORSE &&
		 query->executions < ENOUGH);
}

static bool
waits(const HoneTrialFigures *f)
{
	if (f->to_come && f->age_s < f->limit_s * WAIT_SHARE)
		return true;
	for (int i = 0; i < f->count; i++)
		if (is_waited_for(f, &f->queries[i]))
			return true;
	return false;
}

/* Does one of the queries matter? If none does, each of them has to. */
static bool
any_has_weight(const HoneTrialFigures *f)
{
	for (int i = 0; i < f->count; i++)
		if (has_weight(&f->queries[i]))
			return true;
	return false;
}

/* Was there enough to see of all affected queries that matter? */
static bool
saw_enough(const HoneTrialFigures *f)
{
	bool		weighty = any_has_weight(f);

	for (int i = 0; i < f->count; i++)
	{
		const HoneTrialQuery *query = &f->queries[i];

		if (query->affected && (!weighty || has_weight(query)) &&
			query->executions < ENOUGH)
			return false;
	}
	return true;
}

/* Were all that should have used it executed often enough? */
static bool
expected_came(const HoneTrialFigures *f)
{
	bool		any = false;

	for (int i = 0; i < f->count; i++)
	{
		if (!f->queries[i].expected)
			continue;
		any = true;
		if (f->queries[i].executions < ENOUGH)
			return false;
	}
	return any || f->executions >= ENOUGH;
}

static bool
has_rare(const HoneTrialFigures *f)
{
	for (int i = 0; i < f->count; i++)
		if ((f->queries[i].expected || has_weight(&f->queries[i])) &&
			f->queries[i].executions < LOOK)
			return true;
	return false;
}

static bool
time_is_up(const HoneTrialFigures *f)
{
	return f->over || f->age_s >= f->limit_s * (has_rare(f) ? RARE_FACTOR : 1);
}

static bool
writes_are_known(const HoneTrialFigures *f)
{
	return !f->writes_expected || f->writes >= LOOK || f->age_s >= WRITES_WAIT_S;
}

/* New indexes */

static bool
one_much_worse(const HoneTrialFigures *f)
{
	for (int i = 0; i < f->count; i++)
	{
		const HoneTrialQuery *query = &f->queries[i];

		if (query->affected && query->finding == HONE_FINDING_WORSE &&
			query->weight >= GREAT_WEIGHT &&
			query->ratio >= MUCH_WORSE && query->low > CLEARLY_WORSE)
			return true;
	}
	return false;
}

static bool
losses_outweigh(const HoneTrialFigures *f)
{
	double		loss = confirmed_loss(f, true);

	return loss > 0 && loss > confirmed_gain(f) + open_gain(f);
}

static bool
writes_outweigh(const HoneTrialFigures *f)
{
	return f->writes >= LOOK && f->writes_low > CLEARLY_WORSE && f->writes_loss_ms > 0 &&
		!waits(f) && net_gain(f) + open_gain(f) < 0;
}

static bool
nobody_uses(const HoneTrialFigures *f)
{
	return !is_used(f) && expected_came(f);
}

static bool
no_gain(const HoneTrialFigures *f)
{
	double		most = 0;
	double		total = 0;

	if (!is_used(f) || waits(f) || !saw_enough(f) || confirmed_gain(f) > 0)
		return false;
	for (int i = 0; i < f->count; i++)
	{
		if (!f->queries[i].affected)
			continue;
		total += f->queries[i].total_ms;
		most += Max(f->queries[i].most_gain_ms, 0);
	}
	return most < SMALL_GAIN * total;
}

static bool
no_net_gain(const HoneTrialFigures *f)
{
	return is_used(f) && !waits(f) && saw_enough(f) && writes_are_known(f) &&
		(confirmed_gain(f) > 0 || confirmed_loss(f, false) > 0) &&
		net_gain(f) + open_gain(f) <= 0;
}

static bool
gain_is_certain(const HoneTrialFigures *f)
{
	return confirmed_gain(f) > 0 &&
		net_gain(f) > open_loss(f) + 2 * chance_of_net_gain(f) &&
		!waits(f) && writes_are_known(f);
}

static bool
uncertain_but_used(const HoneTrialFigures *f)
{
	return time_is_up(f) && is_used(f) && f->what_if_gain >= SURE_OF_ADVICE &&
		net_gain(f) >= open_loss(f);
}

/* Drops: the change is that the index is gone. */

static bool
drop_hurts(const HoneTrialFigures *f)
{
	for (int i = 0; i < f->count; i++)
		if (f->queries[i].affected && f->queries[i].finding == HONE_FINDING_WORSE &&
			f->queries[i].low > CLEARLY_WORSE)
			return true;
	return false;
}

static bool
drop_cannot_be_watched(const HoneTrialFigures *f)
{
	return f->over;
}

static bool
drop_was_watched(const HoneTrialFigures *f)
{
	return f->hidden && f->age_s >= f->limit_s;
}

static bool
drop_seems_harmless(const HoneTrialFigures *f)
{
	if (f->hidden)
		return false;
	if (f->age_s >= f->limit_s / 2)
		return true;
	if (!is_used(f))
		return (f->executions >= ENOUGH && !waits(f)) || f->age_s >= f->limit_s * LOOK_SHARE;
	return !waits(f) && saw_enough(f);
}

typedef struct Rule
{
	const char *name;
	bool		(*applies) (const HoneTrialFigures *figures);
	HoneDecision decision;
	bool		conclusive;
	const char *reason;
} Rule;

static const Rule create_rules[] = {
	{"worse", one_much_worse, HONE_REVERT, true,
	"a query that takes 2 % of the time or more became at least 1.5 times slower"},
	{"losses", losses_outweigh, HONE_REVERT, true,
	"what queries lost outweighs what queries gained"},
	{"writes", writes_outweigh, HONE_REVERT, true,
	"writing to the table became slower, and that outweighs what queries gained"},
	{"unused", nobody_uses, HONE_REVERT, true,
	"no plan uses it"},
	{"no gain", no_gain, HONE_REVERT, true,
	"the queries that use it gain nothing by it"},
	{"no net gain", no_net_gain, HONE_REVERT, true,
	"what queries gained does not outweigh what it costs"},
	{"gain", gain_is_certain, HONE_KEEP, true,
	"what queries gained is certain, and outweighs what it costs"},
	{"uncertain, used", uncertain_but_used, HONE_KEEP, false,
	"the time is up and no gain is certain; it is used, and the advisor expected a gain of 20 % or more"},
	{"uncertain", time_is_up, HONE_REVERT, false,
	"the time is up and no gain is certain"},
	{.name = NULL}
};

static const Rule drop_rules[] = {
	{"worse", drop_hurts, HONE_REVERT, true,
	"a query became slower without it"},
	{"not watched", drop_cannot_be_watched, HONE_REVERT, false,
	"it could not be watched any longer what the drop does"},
	{"harmless", drop_was_watched, HONE_KEEP, true,
	"no query became slower without it"},
	{"hide", drop_seems_harmless, HONE_HIDE, false,
	"no session that did not see it was slower for it"},
	{.name = NULL}
};

HoneVerdict
hone_apply_judge(const HoneTrialFigures *figures)
{
	HoneVerdict verdict = {HONE_GO_ON, false, "open", "not certain yet"};

	for (const Rule *rule = figures->is_drop ? drop_rules : create_rules; rule->name; rule++)
	{
		if (!rule->applies(figures))
			continue;
		verdict.decision = rule->decision;
		verdict.conclusive = rule->conclusive;
		verdict.rule = rule->name;
		verdict.reason = rule->reason;
		break;
	}
	return verdict;
}

/* From SQL */

#define FIGURES_SQL \
	"SELECT coalesce(f.kind OPERATOR(pg_catalog.=) 'drop', false), coalesce(f.hidden, false)," \
	" coalesce(f.\"over\", false), coalesce(f.age_s, 0), coalesce(f.limit_s, 259200)," \
	" coalesce(f.what_if_gain, 0), coalesce(f.executions, 0)," \
	" coalesce(f.writes_expected, false), coalesce(f.writes, 0)," \
	" coalesce(f.writes_low, 0), coalesce(f.writes_loss_ms, 0), coalesce(f.to_come, false)" \
	" FROM pg_catalog.jsonb_to_record($1) AS f (kind text, hidden bool, \"over\" bool," \
	" age_s float8, limit_s float8, what_if_gain float8, executions bigint," \
	" writes_expected bool, writes bigint, writes_low float8, writes_loss_ms float8, to_come bool)"

#define QUERIES_SQL \
	"SELECT coalesce(q.expected, false), coalesce(q.affected, false), coalesce(q.weight, 0)," \
	" coalesce(q.executions, 0), coalesce(q.looks, 0), coalesce(q.finding, 'open')," \
	" coalesce(q.ratio, 1), coalesce(q.low, 0), coalesce(q.high, 'Infinity')," \
	" coalesce(q.gain_ms, 0), coalesce(q.most_gain_ms, 0), coalesce(q.total_ms, 0)" \
	" FROM pg_catalog.jsonb_to_recordset(coalesce($1 OPERATOR(pg_catalog.->) 'queries', '[]'))" \
	" AS q (expected bool, affected bool, weight float8, executions bigint, looks int," \
	" finding text, ratio float8, low float8, high float8, gain_ms float8," \
	" most_gain_ms float8, total_ms float8)"

static void
run(const char *sql, Datum given)
{
	Oid			types[1] = {JSONBOID};

	if (SPI_execute_with_args(sql, 1, types, &given, NULL, true, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not read the figures of a trial");
}

/* Columns of the result; none is null. */
static Datum
column(uint64 row, int number)
{
	bool		isnull;

	return SPI_getbinval(SPI_tuptable->vals[row], SPI_tuptable->tupdesc, number, &isnull);
}

static double
number_at(uint64 row, int number)
{
	return DatumGetFloat8(column(row, number));
}

static HoneFinding
finding_of(const char *name)
{
	if (strcmp(name, "better") == 0)
		return HONE_FINDING_BETTER;
	if (strcmp(name, "worse") == 0)
		return HONE_FINDING_WORSE;
	if (strcmp(name, "same") == 0)
		return HONE_FINDING_SAME;
	return HONE_FINDING_OPEN;
}

static void
read_figures(HoneTrialFigures *f, Datum given)
{
	run(FIGURES_SQL, given);
	f->is_drop = DatumGetBool(column(0, 1));
	f->hidden = DatumGetBool(column(0, 2));
	f->over = DatumGetBool(column(0, 3));
	f->age_s = number_at(0, 4);
	f->limit_s = number_at(0, 5);
	f->what_if_gain = number_at(0, 6);
	f->executions = DatumGetInt64(column(0, 7));
	f->writes_expected = DatumGetBool(column(0, 8));
	f->writes = DatumGetInt64(column(0, 9));
	f->writes_low = number_at(0, 10);
	f->writes_loss_ms = number_at(0, 11);
	f->to_come = DatumGetBool(column(0, 12));
}

static void
read_queries(HoneTrialFigures *f, Datum given)
{
	run(QUERIES_SQL, given);
	f->count = (int) SPI_processed;
	f->queries = palloc0(sizeof(HoneTrialQuery) * (SPI_processed + 1));
	for (int i = 0; i < f->count; i++)
	{
		HoneTrialQuery *query = &f->queries[i];

		query->expected = DatumGetBool(column(i, 1));
		query->affected = DatumGetBool(column(i, 2));
		query->weight = number_at(i, 3);
		query->executions = DatumGetInt64(column(i, 4));
		query->looks = DatumGetInt32(column(i, 5));
		query->finding = finding_of(TextDatumGetCString(column(i, 6)));
		query->ratio = number_at(i, 7);
		query->low = number_at(i, 8);
		query->high = number_at(i, 9);
		query->gain_ms = number_at(i, 10);
		query->most_gain_ms = number_at(i, 11);
		query->total_ms = number_at(i, 12);
	}
}

/* hone.judge_trial(figures) */
Datum
hone_apply_sql_judge(PG_FUNCTION_ARGS)
{
	static const char *const decisions[] = {
		[HONE_GO_ON] = "go on",
		[HONE_KEEP] = "keep",
		[HONE_REVERT] = "revert",
		[HONE_HIDE] = "hide",
	};
	HoneTrialFigures figures = {0};
	HoneScope	scope;
	HoneVerdict verdict;
	TupleDesc	tupdesc;
	Datum		values[4];
	bool		nulls[4] = {false};

	if (get_call_result_type(fcinfo, NULL, &tupdesc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	SPI_connect();
	hone_enter_owner(&scope);
	read_figures(&figures, PG_GETARG_DATUM(0));
	read_queries(&figures, PG_GETARG_DATUM(0));
	hone_leave(&scope);
	verdict = hone_apply_judge(&figures);
	SPI_finish();

	values[0] = CStringGetTextDatum(decisions[verdict.decision]);
	values[1] = BoolGetDatum(verdict.conclusive);
	values[2] = CStringGetTextDatum(verdict.rule);
	values[3] = CStringGetTextDatum(verdict.reason);
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(tupdesc), values, nulls)));
}
