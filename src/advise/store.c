/*
 * store.c
 *	  A finished run into its tables, all of it or nothing.
 *
 * Written as the extension's owner by static SQL; the caller's transaction
 * decides whether it stays. Plans shown to people are made here once more, as
 * the statements' roles, before anything is written.
 */
#include "postgres.h"

#include "catalog/pg_am.h"
#include "catalog/pg_type.h"
#include "commands/defrem.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/ruleutils.h"

#include "advise/internal.h"
#include "base/compat.h"
#include "base/owner.h"
#include "base/settings.h"

#define MAX_REJECTED 200		/* kept of one run */
#define MAX_QUERIES_SHOWN 20	/* of one recommendation */

/* A query shown with a recommendation. */
typedef struct Shown
{
	HoneCandidate *candidate;
	HoneStatement *st;
	int			ordinal;
	char	   *before;
	char	   *after;
} Shown;

/* A plan to be read by others than the session whose statement it is. */
static char *
explain_plainly(HoneRun *run, const HoneStatement *st, PlannedStmt *plan,
				ParamListInfo params, const HoneConfiguration *configuration)
{
	int			guc_level = NewGUCNestLevel();
	char	   *json;

	hone_settings_be_plain();
	json = MemoryContextStrdup(run->memory,
							   hone_whatif_explain(plan, st->text, params, configuration));
	AtEOXact_GUC(true, guc_level);
	return json;
}

static void
explain_work(HoneRun *run, HoneStatement *st, List *queries, ParamListInfo params, void *arg)
{
	Shown	   *shown = arg;
	HoneConfiguration nothing = {NIL, NIL};
	HoneConfiguration chosen = {NIL, NIL};
	Query	   *query = linitial_node(Query, queries);
	PlannedStmt *plan;
	int			i = -1;

	while ((i = bms_next_member(st->final->set, i)) >= 0)
		chosen.create = lappend(chosen.create, run->candidates[i]->index);
	plan = hone_whatif_plan(query, st->text, params, &nothing);
	shown->before = explain_plainly(run, st, plan, params, &nothing);
	plan = hone_whatif_plan(query, st->text, params, &chosen);
	shown->after = explain_plainly(run, st, plan, params, &chosen);
	run->planner_calls += 2;
}

static void
execute(const char *sql, int nargs, Oid *types, Datum *values, const char *nulls)
{
	int			rc = SPI_execute_with_args(sql, nargs, types, values, nulls, false, 0);

	if (rc < 0)
		elog(ERROR, "SPI_execute_with_args failed: %s", SPI_result_code_string(rc));
}

static int64
returned_id(void)
{
	bool		isnull;

	return DatumGetInt64(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull));
}

static int64
store_run(HoneRun *run)
{
	Oid			types[] = {OIDOID, FLOAT8OID, INT4OID, INT4OID, INT8OID, INT8OID,
	FLOAT8OID, FLOAT8OID, INT8OID, TEXTOID};
	Datum		values[lengthof(types)];
	char		nulls[lengthof(types) + 1] = "          ";
	instr_time	now;

	INSTR_TIME_SET_CURRENT(now);
	INSTR_TIME_SUBTRACT(now, run->started);
	values[0] = ObjectIdGetDatum(run->caller);
	values[1] = Float8GetDatum(INSTR_TIME_GET_MILLISEC(now));
	values[2] = Int32GetDatum(list_length(run->groups));
	values[3] = Int32GetDatum(run->ncandidates);
	values[4] = Int64GetDatum((int64) run->planner_calls);
	values[5] = Int64GetDatum((int64) run->priced);
	values[6] = Float8GetDatum(run->cost_before);
	values[7] = Float8GetDatum(run->cost_after);
	values[8] = Int64GetDatum(run->budget);
	if (run->budget < 0)
		nulls[8] = 'n';
	values[9] = CStringGetTextDatum(psprintf("[%s]", run->skipped.data));
	execute("INSERT INTO hone.advisor_run_store (requested_by, elapsed_ms, queries, candidates,"
			" planner_calls, priced_configurations, cost_before, cost_after,"
			" storage_budget_bytes, skipped)"
			" VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10::pg_catalog.jsonb) RETURNING run_id",
			lengthof(types), types, values, nulls);
	return returned_id();
}

static void
supersede(HoneRun *run)
{
	Oid			types[] = {OIDOID};
	Datum		values[] = {ObjectIdGetDatum(run->caller)};

	execute("UPDATE hone.recommendation_store SET status = 'superseded'"
			" WHERE status = 'proposed' AND requested_by = $1", 1, types, values, NULL);
}

typedef struct Row
{
	const char *action;
	Oid			relid;
	const char *access_method;
	const char *index_name;
	const char *definition;
	const char *undo;
	int64		size_bytes;
	HoneFigures figures;
	double		write_cost;
	const char *reason;
} Row;

static int64
store_recommendation(HoneRun *run, int64 run_id, const Row *row)
{
	Oid			types[] = {INT8OID, OIDOID, TEXTOID, OIDOID, TEXTOID, TEXTOID, TEXTOID,
		TEXTOID, TEXTOID, INT8OID, FLOAT8OID, FLOAT8OID, FLOAT8OID, FLOAT8OID, INT4OID,
	INT4OID, TEXTOID};
	Datum		values[lengthof(types)];

	values[0] = Int64GetDatum(run_id);
	values[1] = ObjectIdGetDatum(run->caller);
	values[2] = CStringGetTextDatum(row->action);
	values[3] = ObjectIdGetDatum(row->relid);
	values[4] = CStringGetTextDatum(
		quote_qualified_identifier(get_namespace_name(get_rel_namespace(row->relid)),
								   get_rel_name(row->relid)));
	values[5] = CStringGetTextDatum(row->access_method);
	values[6] = CStringGetTextDatum(row->index_name);
	values[7] = CStringGetTextDatum(row->definition);
	values[8] = CStringGetTextDatum(row->undo);
	values[9] = Int64GetDatum(row->size_bytes);
	values[10] = Float8GetDatum(row->figures.cost_before);
	values[11] = Float8GetDatum(row->figures.cost_after);
	values[12] = Float8GetDatum(row->figures.improvement);
	values[13] = Float8GetDatum(row->write_cost);
	values[14] = Int32GetDatum(row->figures.helped);
	values[15] = Int32GetDatum(row->figures.hurt);
	values[16] = CStringGetTextDatum(row->reason);
	execute("INSERT INTO hone.recommendation_store (run_id, requested_by, action, relid, table_name,"
			" access_method, index_name, definition, undo_definition, size_bytes, cost_before,"
			" cost_after, improvement, write_cost, queries_helped, queries_hurt, reason)"
			" VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17)"
			" RETURNING id",
			lengthof(types), types, values, NULL);
	return returned_id();
}

/* The sample of a query whose plan shows the index best. */
static HoneStatement *
example_of(HoneRun *run, HoneQueryGroup *group, HoneCandidate *c)
{
	HoneStatement *best = NULL;

	for (int i = 0; i < run->nstatements; i++)
	{
		HoneStatement *st = run->statements[i];

		if (st->group != group || st->failure || st->final == NULL ||
			!bms_is_member(c->id, st->final->used))
			continue;
		if (best == NULL || st->base_cost - st->final->planner_cost >
			best->base_cost - best->final->planner_cost)
			best = st;
	}
	return best;
}

static void
store_query(int64 id, const Shown *shown)
{
	HoneStatement *st = shown->st;
	Oid			types[] = {INT8OID, INT4OID, INT8OID, OIDOID, TEXTOID, FLOAT8OID, FLOAT8OID,
	FLOAT8OID, TEXTOID, TEXTOID};
	Datum		values[lengthof(types)];
	char		nulls[lengthof(types) + 1] = "          ";

	values[0] = Int64GetDatum(id);
	values[1] = Int32GetDatum(shown->ordinal);
	values[2] = Int64GetDatum(st->group->queryid);
	if (st->group->queryid == 0)
		nulls[2] = 'n';
	values[3] = ObjectIdGetDatum(st->group->userid);
	values[4] = CStringGetTextDatum(st->group->text);
	values[5] = Float8GetDatum(st->group->calls);
	values[6] = Float8GetDatum(st->base_cost);
	values[7] = Float8GetDatum(st->final->planner_cost);
	values[8] = CStringGetTextDatum(shown->before);
	values[9] = CStringGetTextDatum(shown->after);
	execute("INSERT INTO hone.recommendation_query_store (recommendation_id, ordinal, queryid,"
			" userid, query, calls, cost_before, cost_after, plan_before, plan_after)"
			" VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9::pg_catalog.jsonb, $10::pg_catalog.jsonb)",
			lengthof(types), types, values, nulls);
}

/* Plan what is to be shown; as the statements' roles, so not while storing. */
static List *
explain_queries(HoneRun *run)
{
	List	   *result = NIL;
	int			i = -1;

	while ((i = bms_next_member(run->chosen, i)) >= 0)
	{
		ListCell   *lc;
		int			ordinal = 0;

		foreach(lc, run->groups)
		{
			HoneStatement *st = example_of(run, lfirst(lc), run->candidates[i]);
			Shown	   *shown;

			if (st == NULL || ordinal >= MAX_QUERIES_SHOWN)
				continue;
			shown = palloc0(sizeof(Shown));
			shown->candidate = run->candidates[i];
			shown->st = st;
			if (!hone_advise_with_statement(run, st, explain_work, shown))
				continue;
			shown->ordinal = ++ordinal;
			result = lappend(result, shown);
		}
	}
	return result;
}

static const char *
schema_of(Oid relid)
{
	return quote_identifier(get_namespace_name(get_rel_namespace(relid)));
}

static void
store_rejected(HoneRun *run, int64 run_id)
{
	Oid			types[] = {INT8OID, INT4OID, TEXTOID, TEXTOID, FLOAT8OID, INT8OID};
	int			ordinal = 0;

	for (int i = 0; i < run->ncandidates && ordinal < MAX_REJECTED; i++)
	{
		HoneCandidate *c = run->candidates[i];
		Datum		values[lengthof(types)];
		char		nulls[lengthof(types) + 1] = "      ";

		if (c->chosen)
			continue;
		values[0] = Int64GetDatum(run_id);
		values[1] = Int32GetDatum(++ordinal);
		values[2] = CStringGetTextDatum(psprintf("CREATE INDEX %s", c->body));
		values[3] = CStringGetTextDatum(hone_advise_rejection(run, c));
		values[4] = Float8GetDatum(run->cost_before > 0 ?
								   Min(1, c->best_gain / run->cost_before) : 0);
		values[5] = Int64GetDatum(c->index ? c->index->size_bytes : 0);
		if (c->index == NULL)
			nulls[5] = 'n';
		execute("INSERT INTO hone.rejected_candidate_store"
				" (run_id, ordinal, definition, reason, improvement, size_bytes)"
				" VALUES ($1, $2, $3, $4, $5, $6)", lengthof(types), types, values, nulls);
	}
}

/* What to store, in words. */
static Row
row_of_candidate(HoneRun *run, HoneCandidate *c, const char *name)
{
	Row			row = {0};

	row.action = "create";
	row.relid = c->relid;
	row.access_method = c->amoid == GIN_AM_OID ? "gin" : "btree";
	row.index_name = name;
	row.definition = psprintf("CREATE INDEX %s %s", quote_identifier(name), c->body);
	row.undo = psprintf("DROP INDEX %s.%s", schema_of(c->relid), quote_identifier(name));
	row.size_bytes = c->index->size_bytes;
	hone_advise_figures(run, c, &row.figures);
	row.write_cost = c->write_cost;
	row.reason = hone_advise_reason(run, c);
	return row;
}

static Row
row_of_drop(HoneRun *run, HoneDrop *drop, const char *cover)
{
	HoneExisting *e = drop->existing;
	Row			row = {0};

	row.action = "drop";
	row.relid = e->relid;
	row.access_method = get_am_name(e->amoid);
	row.index_name = e->name;
	row.definition = hone_advise_drop_definition(drop);
	row.undo = TextDatumGetCString(DirectFunctionCall1(pg_get_indexdef, ObjectIdGetDatum(e->oid)));
	row.size_bytes = e->size_bytes;
	row.figures.cost_before = drop->cost_before;
	row.figures.cost_after = drop->cost_after;
	row.write_cost = 0 - drop->write_saving;
	row.reason = hone_advise_drop_reason(run, drop, cover);
	return row;
}

/* DROP INDEX, qualified. */
char *
hone_advise_drop_definition(HoneDrop *drop)
{
	return psprintf("DROP INDEX %s.%s", schema_of(drop->existing->oid),
					quote_identifier(drop->existing->name));
}

/* Name the chosen ones: array by candidate id. */
const char **
hone_advise_name_chosen(HoneRun *run)
{
	const char **names = palloc0(sizeof(char *) * (run->ncandidates + 1));
	List	   *taken = NIL;
	int			i = -1;

	while ((i = bms_next_member(run->chosen, i)) >= 0)
	{
		names[i] = hone_advise_index_name(run, run->candidates[i], taken);
		taken = lappend(taken, unconstify(char *, names[i]));
	}
	return names;
}

int64
hone_advise_store(HoneRun *run)
{
	MemoryContext old = MemoryContextSwitchTo(run->memory);
	const char **names = hone_advise_name_chosen(run);
	HoneScope	scope;
	int64		run_id;
	List	   *shown = explain_queries(run);
	int64	   *ids = palloc0(sizeof(int64) * (run->ncandidates + 1));
	ListCell   *lc;
	int			i = -1;

	hone_enter_owner(&scope);
	SPI_connect();
	supersede(run);
	run_id = store_run(run);
	while ((i = bms_next_member(run->chosen, i)) >= 0)
	{
		Row			row = row_of_candidate(run, run->candidates[i], names[i]);

		ids[i] = store_recommendation(run, run_id, &row);
	}
	foreach(lc, run->drops)
	{
		HoneDrop   *drop = lfirst(lc);
		Row			row = row_of_drop(run, drop, hone_advise_cover_name(drop, names));

		(void) store_recommendation(run, run_id, &row);
	}
	store_rejected(run, run_id);
	foreach(lc, shown)
		store_query(ids[((Shown *) lfirst(lc))->candidate->id], lfirst(lc));
	SPI_finish();
	hone_leave(&scope);
	MemoryContextSwitchTo(old);
	return run_id;
}
