/*
 * load.c
 *	  The statements of a run: captured ones, or those given by the caller.
 *
 * Captured ones are read as the extension's owner, and then only those are
 * taken that the caller may see; each is planned as the role that ran it.
 * Given ones are planned as the caller, and an error in one of them is the
 * caller's.
 */
#include "postgres.h"

#include <math.h>

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/json.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"

#include "advise/internal.h"
#include "base/compat.h"
#include "base/owner.h"
#include "base/shmem.h"

#define MAX_WEIGHT 1e100		/* sums of weighted costs stay finite */
#define MAX_QUERIES 500
#define MAX_SAMPLES 6			/* of one query */
#define MAX_SKIPPED 1000		/* reported */
#define MIN_GENERIC 0.05		/* of the executions, to be planned for */

/* queryid and role are JSON. */
static void
append_skipped(HoneRun *run, const char *queryid, const char *role, const char *why)
{
	appendStringInfo(&run->skipped, "%s{\"queryid\": %s, \"role\": %s, \"reason\": ",
					 run->skipped.len > 0 ? ", " : "", queryid, role);
	escape_json(&run->skipped, why);
	appendStringInfoChar(&run->skipped, '}');
}

/* The samples of a query often fail alike. */
static bool
is_noted(HoneRun *run, int64 queryid, Oid userid, const char *why)
{
	bool		noted = run->skipped_last && run->skipped_queryid == queryid &&
		run->skipped_userid == userid && strcmp(run->skipped_last, why) == 0;

	run->skipped_queryid = queryid;
	run->skipped_userid = userid;
	run->skipped_last = why;
	return noted;
}

/* Note that a query is not part of the run, and why, which must stay. */
void
hone_advise_skip(HoneRun *run, int64 queryid, Oid userid, const char *why)
{
	const char *name = GetUserNameFromId(userid, true);
	StringInfoData role;

	if (is_noted(run, queryid, userid, why))
		return;
	if (run->nskipped++ >= MAX_SKIPPED)
	{
		if (run->nskipped == MAX_SKIPPED + 1)
			append_skipped(run, "null", "null", "there are more, which are not listed");
		return;
	}
	initStringInfo(&role);
	escape_json(&role, name ? name : "?");
	append_skipped(run, psprintf("\"" INT64_FORMAT "\"", queryid), role.data, why);
}

static void
append_statement(HoneRun *run, HoneStatement *st)
{
	st->id = run->nstatements;
	if (run->nstatements % 64 == 0)
		run->statements = run->statements ?
			repalloc(run->statements, (run->nstatements + 64) * sizeof(HoneStatement *)) :
			palloc(64 * sizeof(HoneStatement *));
	run->statements[run->nstatements++] = st;
}

static HoneStatement *
add_statement(HoneRun *run, HoneQueryGroup *group, const char *text, double calls)
{
	HoneStatement *st = palloc0(sizeof(HoneStatement));

	st->group = group;
	st->text = text;
	st->calls = calls;
	st->userid = group->userid;
	append_statement(run, st);
	group->nsamples++;
	return st;
}

/* For fkey.c. */
HoneStatement *
hone_advise_add_statement(HoneRun *run, HoneQueryGroup *group, const char *text, double calls)
{
	return add_statement(run, group, text, calls);
}

static HoneQueryGroup *
add_group(HoneRun *run, int64 queryid, Oid userid, const char *text, double calls)
{
	HoneQueryGroup *group = palloc0(sizeof(HoneQueryGroup));

	group->queryid = queryid;
	group->userid = userid;
	group->text = text;
	group->calls = calls;
	group->mean_rows = -1;
	run->groups = lappend(run->groups, group);
	return group;
}

static void
require_flat(ArrayType *array, const char *name)
{
	if (ARR_NDIM(array) > 1)
		ereport(ERROR,
				(errcode(ERRCODE_ARRAY_SUBSCRIPT_ERROR),
				 errmsg("argument \"%s\" must be a one-dimensional array", name)));
}

static void
set_values(HoneStatement *st, ArrayType *array)
{
	Datum	   *datums;
	bool	   *nulls;
	int			n;

	deconstruct_array(array, TEXTOID, -1, false, TYPALIGN_INT, &datums, &nulls, &n);
	st->has_values = true;
	st->nvalues = n;
	st->values = palloc0(sizeof(char *) * (n + 1));
	for (int i = 0; i < n; i++)
		st->values[i] = nulls[i] ? NULL : TextDatumGetCString(datums[i]);
}

static void
set_types(HoneStatement *st, ArrayType *array)
{
	Datum	   *datums;
	bool	   *nulls;
	int			n;

	deconstruct_array(array, OIDOID, sizeof(Oid), true, TYPALIGN_INT, &datums, &nulls, &n);
	st->ntypes = n;
	st->types = palloc0(sizeof(Oid) * (n + 1));
	for (int i = 0; i < n; i++)
		st->types[i] = nulls[i] ? InvalidOid : DatumGetObjectId(datums[i]);
}

static void
set_settings(HoneStatement *st, ArrayType *array)
{
	Datum	   *datums;
	bool	   *nulls;
	int			n;

	deconstruct_array(array, TEXTOID, -1, false, TYPALIGN_INT, &datums, &nulls, &n);
	st->nsettings = n / 2;
	st->settings = palloc0(sizeof(char *) * (n + 1));
	for (int i = 0; i < n; i++)
		st->settings[i] = nulls[i] ? pstrdup("") : TextDatumGetCString(datums[i]);
}

#define COLUMN(n) SPI_getbinval(tuple, desc, (n), &isnull)

/* Which query's rows are being read: its samples come one after another. */
typedef struct LoadState
{
	int64		queryid;
	Oid			userid;
	int			left_out;		/* queries */
} LoadState;

/* A histogram that comes as bounds and as how many took at most so long. */
static void
set_histogram(HoneQueryGroup *group, ArrayType *bounds, ArrayType *counts)
{
	Datum	   *upto;
	Datum	   *count;
	int			nupto;
	int			ncount;
	double		below = 0;

	deconstruct_array(bounds, FLOAT8OID, sizeof(float8), FLOAT8PASSBYVAL, TYPALIGN_DOUBLE,
					  &upto, NULL, &nupto);
	deconstruct_array(counts, INT8OID, sizeof(int64), FLOAT8PASSBYVAL, TYPALIGN_DOUBLE,
					  &count, NULL, &ncount);
	group->nbuckets = Min(nupto, ncount);
	group->upto_ms = palloc(sizeof(double) * (group->nbuckets + 1));
	group->bucket_calls = palloc(sizeof(double) * (group->nbuckets + 1));
	for (int i = 0; i < group->nbuckets; i++)
	{
		group->upto_ms[i] = DatumGetFloat8(upto[i]);
		group->bucket_calls[i] = DatumGetInt64(count[i]) - below;
		below = DatumGetInt64(count[i]);
	}
}

/* What all executions of the query had to say. */
static HoneQueryGroup *
load_group(HoneRun *run, int64 queryid, Oid userid, const char *query,
		   HeapTuple tuple, TupleDesc desc)
{
	HoneQueryGroup *group;
	bool		isnull;
	bool		no_counts;
	Datum		value = COLUMN(7);
	double		calls = isnull ? 1 : Max(1, DatumGetFloat8(value));
	Datum		counts;

	group = add_group(run, queryid, userid, query, calls);
	value = COLUMN(8);
	group->mean_ms = isnull ? 0 : DatumGetFloat8(value) / calls;
	value = COLUMN(12);
	if (!isnull)
		group->mean_rows = DatumGetFloat8(value);
	value = COLUMN(13);
	if (!isnull)
		group->generic_share = Max(0, Min(1, DatumGetFloat8(value)));
	counts = SPI_getbinval(tuple, desc, 15, &no_counts);
	value = COLUMN(14);
	if (!isnull && !no_counts)
		set_histogram(group, DatumGetArrayTypeP(value), DatumGetArrayTypeP(counts));
	return group;
}

/* The relations that the execution it was taken from had to do with. */
static void
set_traced(HoneStatement *st, ArrayType *array)
{
	Datum	   *datums;
	bool	   *nulls;
	int			n;

	deconstruct_array(array, OIDOID, sizeof(Oid), true, TYPALIGN_INT, &datums, &nulls, &n);
	for (int i = 0; i < n; i++)
		if (!nulls[i])
			st->traced_relids = lappend_oid(st->traced_relids, DatumGetObjectId(datums[i]));
}

/* What its text means and how it is planned depends on these. */
static void
set_surroundings(HoneStatement *st, HeapTuple tuple, TupleDesc desc)
{
	bool		isnull;
	Datum		value;

	value = COLUMN(5);
	if (!isnull)
		set_types(st, DatumGetArrayTypePCopy(value));
	value = COLUMN(6);
	if (!isnull)
		st->search_path = TextDatumGetCString(value);
	value = COLUMN(10);
	if (!isnull)
		set_settings(st, DatumGetArrayTypePCopy(value));
	value = COLUMN(16);
	st->traced = !isnull;
	if (!isnull)
		set_traced(st, DatumGetArrayTypeP(value));
}

/* Its text still says which columns it changes. */
static void
keep_unplannable(HoneRun *run, int64 queryid, Oid userid, const char *query,
				 HeapTuple tuple, TupleDesc desc)
{
	HoneStatement *st = palloc0(sizeof(HoneStatement));

	st->group = palloc0(sizeof(HoneQueryGroup));
	st->group->queryid = queryid;
	st->group->userid = userid;
	st->userid = userid;
	st->text = query;
	set_surroundings(st, tuple, desc);
	run->unplannable = lappend(run->unplannable, st);
}

/*
 * A sample that can be planned again becomes a statement. They come first, so a
 * query whose first one cannot has none.
 */
static void
load_row(HoneRun *run, LoadState *state, HeapTuple tuple, TupleDesc desc)
{
	HoneQueryGroup *group = run->groups ? llast(run->groups) : NULL;
	HoneStatement *st;
	bool		isnull;
	int64		queryid = DatumGetInt64(COLUMN(1));
	Oid			userid = DatumGetObjectId(COLUMN(2));
	char	   *query = SPI_getvalue(tuple, desc, 3);
	bool		is_first = queryid != state->queryid || userid != state->userid;
	Datum		value;

	state->queryid = queryid;
	state->userid = userid;
	if (query == NULL || !hone_may_see_role(userid))
		return;
	if (!DatumGetBool(COLUMN(9)))
	{
		if (is_first)
		{
			hone_advise_skip(run, queryid, userid,
							 "none of its samples can be planned again: parameter values "
							 "were not kept, or a table is temporary");
			keep_unplannable(run, queryid, userid, query, tuple, desc);
		}
		return;
	}
	if (group == NULL || group->queryid != queryid || group->userid != userid)
	{
		if (list_length(run->groups) >= MAX_QUERIES)
		{
			state->left_out += is_first;
			return;
		}
		group = load_group(run, queryid, userid, query, tuple, desc);
	}
	if (group->nsamples >= MAX_SAMPLES)
		return;
	st = add_statement(run, group, query, 1);
	value = COLUMN(4);
	if (!isnull)
		set_values(st, DatumGetArrayTypePCopy(value));
	set_surroundings(st, tuple, desc);
	value = COLUMN(11);
	st->duration_ms = isnull ? 0 : DatumGetFloat8(value);
}

/*
 * The server plans a prepared statement without its values when that is not
 * dearer on average. Executions with such plans are one more statement, without
 * values: in a group with generic plans, behind its samples.
 */
static void
add_generic(HoneRun *run)
{
	int			n = run->nstatements;
	HoneStatement **samples = run->statements;

	run->statements = NULL;
	run->nstatements = 0;
	for (int i = 0; i < n; i++)
	{
		HoneStatement *st = samples[i];
		HoneQueryGroup *group = st->group;
		bool		is_last = i + 1 == n || samples[i + 1]->group != group;

		append_statement(run, st);
		if (!is_last || group->generic_share < MIN_GENERIC)
		{
			if (is_last)
				group->generic_share = 0;
			continue;
		}
		if (st->nvalues == 0)
		{
			group->generic_share = 0;
			continue;
		}
		st = add_statement(run, group, st->text, 1);
		*st = *samples[i];
		st->id = run->nstatements - 1;
		st->generic = true;
		st->duration_ms = group->mean_ms;
		st->has_values = false;
		st->nvalues = 0;
		st->values = NULL;
	}
}

/* Settings as name, value, name, value; none is NULL. */
#define SETTINGS_SQL \
	"(SELECT pg_catalog.array_agg(ARRAY[e.key, e.value])" \
	" FROM pg_catalog.jsonb_each_text(s.settings) e)"

/* What was measured of each query, from rows of q. */
#define MEASURED_SQL(rows, histogram, generic) \
	"WITH summed AS (" \
	" SELECT q.queryid, q.userid, pg_catalog.sum(q.calls)::float8 AS calls," \
	"  pg_catalog.sum(q.total_exec_ms) AS total_ms," \
	"  pg_catalog.sum(q.rows)::float8 / nullif(pg_catalog.sum(q.calls), 0) AS mean_rows," \
	"  " generic "::float8 AS generic_share, hone.histogram_sum(" histogram ") AS histogram" \
	" FROM " rows " q GROUP BY q.queryid, q.userid)," \
	" measured AS MATERIALIZED (" \
	" SELECT m.*, ARRAY(SELECT b.le_ms FROM hone.histogram_buckets(m.histogram) b ORDER BY b.le_ms) AS upto," \
	"  ARRAY(SELECT b.count FROM hone.histogram_buckets(m.histogram) b ORDER BY b.le_ms) AS counts" \
	" FROM summed m)"

/*
 * After a restart samples are there before their query has been measured again:
 * they stand for themselves.
 */
#define SAMPLES_SQL(samples) \
	" SELECT s.queryid, s.userid, s.query, s.parameters, s.param_types, s.search_path," \
	"  s.calls, s.total_ms, s.replannable, " SETTINGS_SQL ", s.duration_ms," \
	"  s.mean_rows, s.generic_share, s.upto, s.counts, s.relids" \
	" FROM (SELECT k.*, coalesce(m.calls, pg_catalog.count(*) OVER one) AS calls," \
	"  coalesce(m.total_ms, pg_catalog.sum(k.duration_ms) OVER one) AS total_ms," \
	"  m.mean_rows, m.generic_share, m.upto, m.counts" \
	"  FROM " samples " k" \
	"  LEFT JOIN measured m ON m.queryid = k.queryid AND m.userid = k.userid" \
	"  WINDOW one AS (PARTITION BY k.queryid, k.userid)) s" \
	" ORDER BY s.total_ms DESC NULLS LAST, s.queryid, s.userid, s.replannable DESC," \
	"  s.duration_ms DESC"

/* In memory and stored. */
static const char captured_sql[] =
	MEASURED_SQL("(SELECT * FROM hone.query_stats_memory(true) k"
				 " WHERE k.dbid = (SELECT d.oid FROM pg_catalog.pg_database d"
				 "  WHERE d.datname = pg_catalog.current_database()))",
				 "hone.histogram_pack(q.buckets, q.counts)",
				 "pg_catalog.sum(q.generic_plans)"
				 " / nullif(pg_catalog.sum(q.generic_plans + q.custom_plans), 0)")
	SAMPLES_SQL("hone.workload_samples");

/* The views above ask shared memory; without preloading there is what was stored. */
static const char stored_sql[] =
	MEASURED_SQL("hone.query_history_store", "q.histogram",
				 "pg_catalog.sum(q.generic_plans) / nullif(pg_catalog.sum(q.calls), 0)")
	SAMPLES_SQL("hone.sample_store");

static void
note_left_out(HoneRun *run, int queries)
{
	if (queries > 0)
		append_skipped(run, "null", "null",
					   psprintf("%d queries that took less time than these %d were left out",
								queries, MAX_QUERIES));
}

/* Everything captured in this database that the caller may see. */
void
hone_advise_load_workload(HoneRun *run)
{
	HoneScope	scope;
	SPITupleTable *rows;
	uint64		nrows;
	MemoryContext old;
	LoadState	state = {0, InvalidOid, 0};

	hone_enter_owner(&scope);
	SPI_connect();
	if (SPI_execute(hone_shmem_ready() ? captured_sql : stored_sql, true, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not read the captured workload");
	rows = SPI_tuptable;
	nrows = SPI_processed;
	hone_leave(&scope);

	for (uint64 i = 0; i < nrows; i++)
	{
		old = MemoryContextSwitchTo(run->memory);
		CHECK_FOR_INTERRUPTS();
		load_row(run, &state, rows->vals[i], rows->tupdesc);
		MemoryContextSwitchTo(old);
	}
	run->captured = true;
	hone_enter_owner(&scope);
	hone_advise_load_measured(run);
	hone_leave(&scope);
	SPI_finish();
	old = MemoryContextSwitchTo(run->memory);
	add_generic(run);
	hone_advise_weigh_samples(run);
	note_left_out(run, state.left_out);
	MemoryContextSwitchTo(old);
}

static double
checked_weight(Datum weight, bool isnull, int position)
{
	double		value = isnull ? -1 : DatumGetFloat8(weight);

	if (isnan(value) || isinf(value) || value < 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("argument \"weights\" must contain finite numbers of zero or more"),
				 errdetail("Element %d does not.", position)));
	if (value > MAX_WEIGHT)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("argument \"weights\" must not contain numbers above %g", MAX_WEIGHT),
				 errdetail("Element %d is.", position)));
	return value;
}

static void
require_text(const char *text, const char *argument, int position)
{
	if (text == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("argument \"%s\" must not contain nulls", argument),
				 errdetail("Element %d is null.", position)));
}

/* Statements given by hand; weights may be NULL. */
void
hone_advise_load_given(HoneRun *run, ArrayType *statements, ArrayType *weights)
{
	MemoryContext old = MemoryContextSwitchTo(run->memory);
	Datum	   *texts;
	bool	   *nulls;
	int			n;
	Datum	   *weight = NULL;
	bool	   *weight_nulls = NULL;
	int			nweights = 0;

	require_flat(statements, "statements");
	deconstruct_array(statements, TEXTOID, -1, false, TYPALIGN_INT, &texts, &nulls, &n);
	if (n == 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("argument \"statements\" must not be empty")));
	if (weights)
	{
		require_flat(weights, "weights");
		deconstruct_array(weights, FLOAT8OID, sizeof(float8), FLOAT8PASSBYVAL,
						  TYPALIGN_DOUBLE, &weight, &weight_nulls, &nweights);
		if (nweights != n)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("argument \"weights\" must have as many elements as \"statements\""),
					 errdetail("There are %d weights for %d statements.", nweights, n)));
	}
	for (int i = 0; i < n; i++)
	{
		HoneStatement *st;
		char	   *statement;
		double		calls = weights ? checked_weight(weight[i], weight_nulls[i], i + 1) : 1;

		require_text(nulls[i] ? NULL : "", "statements", i + 1);
		statement = TextDatumGetCString(texts[i]);
		st = add_statement(run, add_group(run, 0, run->caller, statement, calls),
						   statement, calls);
		st->position = i + 1;
		st->as_caller = true;
	}
	run->strict = true;
	MemoryContextSwitchTo(old);
}

/* One statement, with or without values. */
void
hone_advise_load_one(HoneRun *run, const char *statement, ArrayType *parameters)
{
	MemoryContext old = MemoryContextSwitchTo(run->memory);
	char	   *text = pstrdup(statement);
	HoneStatement *st = add_statement(run, add_group(run, 0, run->caller, text, 1), text, 1);

	st->as_caller = true;
	if (parameters)
	{
		require_flat(parameters, "parameters");
		set_values(st, parameters);
	}
	run->strict = true;
	MemoryContextSwitchTo(old);
}

/*
 * Definitions that the caller dismissed before, or that somebody took back by
 * hand: not to be proposed again. What a trial took back is under a ban, which
 * ends.
 */
void
hone_advise_load_refused(HoneRun *run)
{
	Oid			types[1] = {OIDOID};
	Datum		values[1] = {ObjectIdGetDatum(run->caller)};
	HoneScope	scope;

	hone_enter_owner(&scope);
	SPI_connect();
	if (SPI_execute_with_args(
			"SELECT action, pg_catalog.substr(definition, CASE action"
			"  WHEN 'create' THEN pg_catalog.length('CREATE INDEX ' || pg_catalog.quote_ident(index_name) || ' ') + 1"
			"  ELSE 1 END)"
			" FROM hone.recommendation_store r"
			" WHERE (status = 'dismissed' AND requested_by = $1) OR (status = 'reverted'"
			"  AND NOT EXISTS (SELECT FROM hone.ban_store b WHERE r.id = ANY (b.recommendations)))",
			1, types, values, NULL, true, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not read earlier recommendations");
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		MemoryContext old = MemoryContextSwitchTo(run->memory);

		run->refused = lappend(run->refused,
							   SPI_getvalue(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 2));
		MemoryContextSwitchTo(old);
	}
	SPI_finish();
	hone_leave(&scope);
	hone_advise_load_bans(run);
}
