/*
 * advise.c
 *	  What SQL calls: recommend, recommend_for, advise, dismiss.
 *
 * recommend and recommend_for write (not on a standby); advise only reads, and
 * works without preloading and on a standby. Arguments are checked before any
 * work. All run in the caller's transaction and can be cancelled.
 */
#include "postgres.h"

#include "access/xlog.h"
#include "catalog/pg_type.h"
#include "commands/defrem.h"
#include "executor/spi.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "tcop/utility.h"
#include "utils/acl.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"

#include "advise/advise.h"
#include "advise/hint.h"
#include "advise/internal.h"
#include "base/compat.h"
#include "base/owner.h"
#include "base/shmem.h"

PG_FUNCTION_INFO_V1(hone_recommend);
PG_FUNCTION_INFO_V1(hone_recommend_for);
PG_FUNCTION_INFO_V1(hone_advise);
PG_FUNCTION_INFO_V1(hone_dismiss);

int			hone_advise_time_limit = 60000;

void
hone_advise_init(void)
{
	DefineCustomIntVariable("pg_hone.advisor_time_limit",
							"Sets for how long a run of the advisor asks the planner.",
							"Then it decides with the prices it knows, and verifies its choice.",
							&hone_advise_time_limit, 60000, 0, INT_MAX,
							PGC_USERSET, GUC_UNIT_MS, NULL, NULL, NULL);
	DefineCustomRealVariable("pg_hone.write_cost_factor",
							 "Sets by what the advisor multiplies the estimated cost of keeping an index up to date.",
							 "Above one it proposes fewer indexes on tables that are written to, at zero it ignores writes.",
							 &hone_advise_write_cost_factor, 1.0, 0, 1000,
							 PGC_USERSET, 0, NULL, NULL, NULL);
}

static int64
budget_argument(FunctionCallInfo fcinfo, int n)
{
	if (PG_ARGISNULL(n))
		return -1;
	if (PG_GETARG_INT64(n) < 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("argument \"storage_budget_bytes\" must not be negative")));
	return PG_GETARG_INT64(n);
}

static int
max_indexes_argument(FunctionCallInfo fcinfo, int n)
{
	if (PG_ARGISNULL(n))
		return -1;
	if (PG_GETARG_INT32(n) < 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("argument \"max_indexes\" must not be negative")));
	return PG_GETARG_INT32(n);
}

static void
reject_null(FunctionCallInfo fcinfo, int n, const char *name)
{
	if (PG_ARGISNULL(n))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("argument \"%s\" must not be null", name)));
}

static void
require_writable(const char *what)
{
	PreventCommandDuringRecovery(what);
	PreventCommandIfReadOnly(what);
}

/* The rows of hone.recommendations that a run made. */
static void
return_run(FunctionCallInfo fcinfo, int64 run_id)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	Oid			types[] = {INT8OID};
	Datum		values[] = {Int64GetDatum(run_id)};
	HoneScope	scope;

	hone_enter_owner(&scope);
	SPI_connect();
	CommandCounterIncrement();
	if (SPI_execute_with_args("SELECT * FROM hone.recommendations WHERE run_id = $1 ORDER BY id",
							  1, types, values, NULL, false, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not read the recommendations");
	for (uint64 i = 0; i < SPI_processed; i++)
		tuplestore_puttuple(rsinfo->setResult, SPI_tuptable->vals[i]);
	SPI_finish();
	hone_leave(&scope);
}

/* Is there something captured, although the library is not preloaded now? */
static bool
has_samples(void)
{
	HoneScope	scope;
	bool		found;

	hone_enter_owner(&scope);
	SPI_connect();
	found = SPI_execute("SELECT 1 FROM hone.sample_store", true, 1) == SPI_OK_SELECT &&
		SPI_processed > 0;
	SPI_finish();
	hone_leave(&scope);
	return found;
}

static HoneRun *
begin_run(int64 budget, int max_indexes)
{
	double		cpu_ms = hone_advise_cpu_ms();
	HoneRun    *run = hone_advise_run_create(budget, max_indexes);

	run->cpu_started_ms = cpu_ms;
	return run;
}

int64
hone_advise_workload(int64 budget, int max_indexes)
{
	HoneRun    *run = begin_run(budget, max_indexes);

	hone_advise_load_refused(run);
	hone_advise_load_workload(run);
	hone_advise_run(run);
	hone_advise_find_hints(run, false);
	return hone_advise_store(run);
}

Datum
hone_recommend(PG_FUNCTION_ARGS)
{
	int64		budget = budget_argument(fcinfo, 0);
	int			max_indexes = max_indexes_argument(fcinfo, 1);

	require_writable("hone.recommend()");
	if (!hone_shmem_ready() && !has_samples())
		hone_shmem_require();
	InitMaterializedSRF(fcinfo, 0);
	return_run(fcinfo, hone_advise_workload(budget, max_indexes));
	return (Datum) 0;
}

Datum
hone_recommend_for(PG_FUNCTION_ARGS)
{
	int64		budget = budget_argument(fcinfo, 2);
	int			max_indexes = max_indexes_argument(fcinfo, 3);
	HoneRun    *run;

	reject_null(fcinfo, 0, "statements");
	require_writable("hone.recommend_for()");
	InitMaterializedSRF(fcinfo, 0);
	run = begin_run(budget, max_indexes);
	hone_advise_load_given(run, PG_GETARG_ARRAYTYPE_P(0),
						   PG_ARGISNULL(1) ? NULL : PG_GETARG_ARRAYTYPE_P(1));
	hone_advise_load_refused(run);
	hone_advise_run(run);
	hone_advise_find_hints(run, false);
	return_run(fcinfo, hone_advise_store(run));
	return (Datum) 0;
}

/* What would help instead of an index, or besides: without a definition. */
static void
return_hint(ReturnSetInfo *rsinfo, const HoneHint *hint)
{
	Datum		values[9] = {0};
	bool		nulls[9] = {false, true, true, true, true, false, true, true, false};
	StringInfoData reason;

	initStringInfo(&reason);
	appendStringInfoString(&reason, hint->hint);
	if (hint->evidence)
		appendStringInfo(&reason, " Found: %s.", hint->evidence);
	if (hint->example)
		appendStringInfo(&reason, " For example: %s", hint->example);
	values[0] = CStringGetTextDatum("hint");
	if (OidIsValid(hint->relid) && get_rel_name(hint->relid) != NULL)
	{
		values[1] = CStringGetTextDatum(
			quote_qualified_identifier(get_namespace_name(get_rel_namespace(hint->relid)),
									   get_rel_name(hint->relid)));
		nulls[1] = false;
	}
	values[5] = Float8GetDatum(hint->st->base_cost);
	values[8] = CStringGetTextDatum(reason.data);
	tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
}

static void
return_advice(ReturnSetInfo *rsinfo, const char *action, Oid relid, const char *am,
			  const char *definition, int64 size_bytes, const HoneFigures *figures,
			  const char *reason)
{
	Datum		values[9];
	bool		nulls[9] = {false};

	values[0] = CStringGetTextDatum(action);
	values[1] = CStringGetTextDatum(
		quote_qualified_identifier(get_namespace_name(get_rel_namespace(relid)),
								   get_rel_name(relid)));
	values[2] = CStringGetTextDatum(am);
	values[3] = CStringGetTextDatum(definition);
	values[4] = Int64GetDatum(size_bytes);
	values[5] = Float8GetDatum(figures->cost_before);
	values[6] = Float8GetDatum(figures->cost_after);
	values[7] = Float8GetDatum(figures->improvement);
	values[8] = CStringGetTextDatum(reason);
	tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
}

Datum
hone_advise(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	HoneRun    *run;
	const char **names;
	ListCell   *lc;
	int			i = -1;

	reject_null(fcinfo, 0, "statement");
	InitMaterializedSRF(fcinfo, 0);
	run = hone_advise_run_create(-1, -1);
	hone_advise_load_one(run, text_to_cstring(PG_GETARG_TEXT_PP(0)),
						 PG_ARGISNULL(1) ? NULL : PG_GETARG_ARRAYTYPE_P(1));
	hone_advise_run(run);
	hone_advise_find_hints(run, true);
	names = hone_advise_name_chosen(run);
	while ((i = bms_next_member(run->chosen, i)) >= 0)
	{
		HoneCandidate *c = run->candidates[i];
		HoneFigures figures;

		hone_advise_figures(run, c, &figures);
		return_advice(rsinfo, "create", c->relid, get_am_name(c->amoid),
					  psprintf("CREATE INDEX %s %s", quote_identifier(names[i]), c->body),
					  c->index->size_bytes, &figures, hone_advise_reason(run, c));
	}
	foreach(lc, run->drops)
	{
		HoneDrop   *drop = lfirst(lc);
		HoneFigures figures = {0};

		figures.cost_before = drop->cost_before;
		figures.cost_after = drop->cost_after;
		return_advice(rsinfo, "drop", drop->existing->relid, get_am_name(drop->existing->amoid),
					  hone_advise_drop_definition(drop), drop->existing->size_bytes, &figures,
					  hone_advise_drop_reason(run, drop, hone_advise_cover_name(drop, names)));
	}
	foreach(lc, run->hints)
		return_hint(rsinfo, lfirst(lc));
	return (Datum) 0;
}

/* May the caller decide about this recommendation? */
static bool
may_decide(Oid caller, Oid requested_by, Oid relid)
{
	return has_privs_of_role(caller, requested_by) ||
		(get_rel_name(relid) != NULL && hone_owns_relation(relid, caller));
}

Datum
hone_dismiss(PG_FUNCTION_ARGS)
{
	Oid			types[] = {INT8OID, TEXTOID};
	Datum		values[2];
	char		nulls[3] = "  ";
	Oid			caller = GetUserId();
	HoneScope	scope;
	bool		isnull;
	bool		allowed = false;
	char	   *status = NULL;

	reject_null(fcinfo, 0, "id");
	require_writable("hone.dismiss()");
	values[0] = PG_GETARG_DATUM(0);
	if (PG_ARGISNULL(1))
		nulls[1] = 'n';
	values[1] = PG_ARGISNULL(1) ? (Datum) 0 : PG_GETARG_DATUM(1);

	hone_enter_owner(&scope);
	SPI_connect();
	if (SPI_execute_with_args("SELECT requested_by, relid, status FROM hone.recommendation_store"
							  " WHERE id = $1 FOR UPDATE", 1, types, values, NULL, false, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not read the recommendation");
	if (SPI_processed == 1)
	{
		HeapTuple	tuple = SPI_tuptable->vals[0];
		TupleDesc	desc = SPI_tuptable->tupdesc;

		allowed = may_decide(caller,
							 DatumGetObjectId(SPI_getbinval(tuple, desc, 1, &isnull)),
							 DatumGetObjectId(SPI_getbinval(tuple, desc, 2, &isnull)));
		status = SPI_getvalue(tuple, desc, 3);
	}
	/* The same words whether it is not there or not theirs. */
	if (!allowed)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("recommendation " INT64_FORMAT " does not exist", PG_GETARG_INT64(0)),
				 errdetail("Or it is neither yours nor about a table of yours.")));
	if (strcmp(status, "proposed") != 0)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("recommendation " INT64_FORMAT " is %s, not proposed",
						PG_GETARG_INT64(0), status)));
	SPI_execute_with_args("UPDATE hone.recommendation_store SET status = 'dismissed', dismiss_reason = $2"
						  " WHERE id = $1", 2, types, values, nulls, false, 0);
	SPI_finish();
	hone_leave(&scope);
	PG_RETURN_VOID();
}
