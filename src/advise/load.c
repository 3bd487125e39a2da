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

#define MAX_QUERIES 500
#define MAX_SAMPLES 6			/* of one query */
#define MAX_SKIPPED 100			/* reported */

/* Note that a query is not part of the run, and why. */
void
hone_advise_skip(HoneRun *run, int64 queryid, Oid userid, const char *why)
{
	if (run->nskipped++ >= MAX_SKIPPED)
		return;
	appendStringInfo(&run->skipped, "%s{\"queryid\": \"" INT64_FORMAT "\", \"role\": ",
					 run->skipped.len > 0 ? ", " : "", queryid);
	escape_json(&run->skipped,
				GetUserNameFromId(userid, true) ? GetUserNameFromId(userid, true) : "?");
	appendStringInfoString(&run->skipped, ", \"reason\": ");
	escape_json(&run->skipped, why);
	appendStringInfoChar(&run->skipped, '}');
}

static HoneStatement *
add_statement(HoneRun *run, HoneQueryGroup *group, const char *text, double calls)
{
	HoneStatement *st = palloc0(sizeof(HoneStatement));

	st->id = run->nstatements;
	st->group = group;
	st->text = text;
	st->calls = calls;
	st->userid = group->userid;
	if (run->nstatements % 64 == 0)
		run->statements = run->statements ?
			repalloc(run->statements, (run->nstatements + 64) * sizeof(HoneStatement *)) :
			palloc(64 * sizeof(HoneStatement *));
	run->statements[run->nstatements++] = st;
	group->nsamples++;
	return st;
}

static HoneQueryGroup *
add_group(HoneRun *run, int64 queryid, Oid userid, const char *text, double calls)
{
	HoneQueryGroup *group = palloc0(sizeof(HoneQueryGroup));

	group->queryid = queryid;
	group->userid = userid;
	group->text = text;
	group->calls = calls;
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

/* Calls and mean time belong to the query, and are split over its samples. */
static void
split_calls(HoneRun *run)
{
	for (int i = 0; i < run->nstatements; i++)
		run->statements[i]->calls = run->statements[i]->group->calls /
			Max(run->statements[i]->group->nsamples, 1);
}

#define COLUMN(n) SPI_getbinval(tuple, desc, (n), &isnull)

/* Which query's rows are being read: its samples come one after another. */
typedef struct LoadState
{
	int64		queryid;
	Oid			userid;
} LoadState;

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
			hone_advise_skip(run, queryid, userid,
							 "none of its samples can be planned again: parameter values "
							 "were not kept, or a table is temporary");
		return;
	}
	if (group == NULL || group->queryid != queryid || group->userid != userid)
	{
		double		calls;
		double		total_ms;

		if (list_length(run->groups) >= MAX_QUERIES)
			return;
		value = COLUMN(7);
		calls = isnull ? 1 : Max(1, DatumGetFloat8(value));
		value = COLUMN(8);
		total_ms = isnull ? 0 : DatumGetFloat8(value);
		group = add_group(run, queryid, userid, query, calls);
		group->mean_ms = total_ms / calls;
	}
	if (group->nsamples >= MAX_SAMPLES)
		return;
	st = add_statement(run, group, query, 1);
	value = COLUMN(4);
	if (!isnull)
		set_values(st, DatumGetArrayTypePCopy(value));
	value = COLUMN(5);
	if (!isnull)
		set_types(st, DatumGetArrayTypePCopy(value));
	value = COLUMN(6);
	if (!isnull)
		st->search_path = TextDatumGetCString(value);
	value = COLUMN(10);
	if (!isnull)
		set_settings(st, DatumGetArrayTypePCopy(value));
}

/* Settings as name, value, name, value; none is NULL. */
#define SETTINGS_SQL \
	"(SELECT pg_catalog.array_agg(ARRAY[e.key, e.value])" \
	" FROM pg_catalog.jsonb_each_text(s.settings) e)"

/* In memory and stored. */
static const char captured_sql[] =
	"SELECT s.queryid, s.userid, s.query, s.parameters, s.param_types, s.search_path,"
	" w.calls::float8, w.weight::float8, s.replannable, " SETTINGS_SQL
	" FROM hone.workload_samples s"
	" JOIN hone.workload w ON w.queryid = s.queryid AND w.userid = s.userid"
	" ORDER BY w.weight DESC, s.queryid, s.userid, s.replannable DESC, s.duration_ms DESC";

/* The views above ask shared memory; without preloading there is what was stored. */
static const char stored_sql[] =
	"SELECT s.queryid, s.userid, s.query, s.parameters, s.param_types, s.search_path,"
	" h.calls, h.total_ms, s.replannable, " SETTINGS_SQL
	" FROM hone.sample_store s"
	" LEFT JOIN (SELECT q.queryid, q.userid, pg_catalog.sum(q.calls)::float8 AS calls,"
	"  pg_catalog.sum(q.total_exec_ms) AS total_ms FROM hone.query_history_store q"
	"  GROUP BY q.queryid, q.userid) h ON h.queryid = s.queryid AND h.userid = s.userid"
	" ORDER BY h.total_ms DESC NULLS LAST, s.queryid, s.userid, s.replannable DESC,"
	" s.duration_ms DESC";

/* Everything captured in this database that the caller may see. */
void
hone_advise_load_workload(HoneRun *run)
{
	HoneScope	scope;
	SPITupleTable *rows;
	uint64		nrows;
	LoadState	state = {0, InvalidOid};

	hone_enter_owner(&scope);
	SPI_connect();
	if (SPI_execute(hone_shmem_ready() ? captured_sql : stored_sql, true, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not read the captured workload");
	rows = SPI_tuptable;
	nrows = SPI_processed;
	hone_leave(&scope);

	for (uint64 i = 0; i < nrows; i++)
	{
		MemoryContext old = MemoryContextSwitchTo(run->memory);

		CHECK_FOR_INTERRUPTS();
		load_row(run, &state, rows->vals[i], rows->tupdesc);
		MemoryContextSwitchTo(old);
	}
	SPI_finish();
	split_calls(run);
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
 * Definitions that the caller dismissed before, or that were tried and
 * reverted: not to be proposed again.
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
			" FROM hone.recommendation_store"
			" WHERE status = 'reverted' OR (status = 'dismissed' AND requested_by = $1)",
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
}
