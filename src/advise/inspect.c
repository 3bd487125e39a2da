/*
 * inspect.c
 *	  What the advisor sees: hone.index_costs(), what each existing index costs
 *	  the writes, and hone.advisor_workload(), the captured statements as it weighs
 *	  them.
 *
 * Both store nothing. index_costs() plans each statement once and gives the
 * advisor's own figures (write_cost.c) with their parts, for the tables that
 * the statements touch. Given statements run as the caller, who gets their errors;
 * of the captured workload the caller sees what hone.recommend() would consider.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "commands/defrem.h"
#include "funcapi.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/acl.h"
#include "utils/lsyscache.h"

#include "advise/internal.h"
#include "base/compat.h"
#include "base/shmem.h"

PG_FUNCTION_INFO_V1(hone_index_costs);
PG_FUNCTION_INFO_V1(hone_advisor_workload);

static bool
is_used(HoneRun *run, const HoneExisting *e)
{
	for (int i = 0; i < run->nstatements; i++)
		if (list_member_oid(run->statements[i]->real, e->oid))
			return true;
	return false;
}

static void
return_index(ReturnSetInfo *rsinfo, HoneRun *run, const HoneExisting *e)
{
	HoneWriteCost cost = hone_advise_existing_write_costs(run, e);
	Datum		values[13];
	bool		nulls[13] = {false};

	values[0] = CStringGetTextDatum(
		quote_qualified_identifier(get_namespace_name(get_rel_namespace(e->relid)),
								   get_rel_name(e->relid)));
	values[1] = CStringGetTextDatum(e->name);
	values[2] = CStringGetTextDatum(get_am_name(e->amoid));
	values[3] = Int64GetDatum(e->size_bytes);
	values[4] = BoolGetDatum(is_used(run, e));
	values[5] = BoolGetDatum(e->droppable);
	values[6] = Float8GetDatum(cost.entries);
	values[7] = Float8GetDatum(cost.hot_lost);
	values[8] = Float8GetDatum(cost.cpu);
	values[9] = Float8GetDatum(cost.wal_bytes);
	values[10] = Float8GetDatum(cost.pages_dirtied);
	values[11] = Float8GetDatum(cost.vacuum);
	values[12] = Float8GetDatum(cost.total);
	tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
}

Datum
hone_index_costs(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	HoneRun    *run;
	ListCell   *lc;

	if (PG_ARGISNULL(0) && !PG_ARGISNULL(1))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("argument \"weights\" needs \"statements\"")));
	if (PG_ARGISNULL(0))
		hone_shmem_require();
	InitMaterializedSRF(fcinfo, 0);
	run = hone_advise_run_create(-1, -1);
	if (PG_ARGISNULL(0))
		hone_advise_load_workload(run);
	else
		hone_advise_load_given(run, PG_GETARG_ARRAYTYPE_P(0),
							   PG_ARGISNULL(1) ? NULL : PG_GETARG_ARRAYTYPE_P(1));
	for (int i = 0; i < run->nstatements; i++)
		hone_advise_read_statement(run, run->statements[i]);
	hone_advise_hold_tables(run);
	foreach(lc, run->existing)
	{
		HoneExisting *e = lfirst(lc);

		if (get_rel_name(e->relid) != NULL)
			return_index(rsinfo, run, e);
	}
	return (Datum) 0;
}

static Datum
text_array(char **values, int n)
{
	Datum	   *datums = palloc0(sizeof(Datum) * (n + 1));
	bool	   *nulls = palloc0(sizeof(bool) * (n + 1));
	int			lower = 1;

	for (int i = 0; i < n; i++)
	{
		nulls[i] = values[i] == NULL;
		if (!nulls[i])
			datums[i] = CStringGetTextDatum(values[i]);
	}
	return PointerGetDatum(construct_md_array(datums, nulls, 1, &n, &lower, TEXTOID, -1,
											  false, TYPALIGN_INT));
}

Datum
hone_advisor_workload(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	HoneRun    *run;

	hone_shmem_require();
	InitMaterializedSRF(fcinfo, 0);
	run = hone_advise_run_create(-1, -1);
	hone_advise_load_workload(run);
	for (int i = 0; i < run->nstatements; i++)
	{
		HoneStatement *st = run->statements[i];
		char	   *role = GetUserNameFromId(st->userid, true);
		Datum		values[8];
		bool		nulls[8] = {false};

		values[0] = Int64GetDatum(st->group->queryid);
		nulls[1] = role == NULL;
		values[1] = role ? CStringGetTextDatum(role) : (Datum) 0;
		values[2] = CStringGetTextDatum(st->text);
		nulls[3] = st->nvalues == 0;
		values[3] = st->nvalues == 0 ? (Datum) 0 : text_array(st->values, st->nvalues);
		values[4] = BoolGetDatum(st->generic);
		values[5] = Float8GetDatum(st->calls);
		values[6] = Float8GetDatum(st->duration_ms);
		nulls[7] = st->group->mean_rows < 0;
		values[7] = Float8GetDatum(st->group->mean_rows);
		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
	}
	return (Datum) 0;
}
