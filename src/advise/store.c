/*
 * store.c
 *	  A finished run into its tables, all of it or nothing.
 *
 * Two steps, because planning is done as the statements' roles and writing as
 * the extension's owner: first everything that asks the planner (plans to be
 * shown, costs without each index, why not) is prepared in run->memory, then it
 * is written by static SQL. The caller's transaction decides whether it stays.
 * Plans are made for a bounded number of queries of each recommendation; the
 * others are listed with their costs.
 */
#include "postgres.h"

#include <sys/resource.h>

#include "catalog/pg_type.h"
#include "commands/defrem.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/ruleutils.h"

#include "advise/hint.h"
#include "advise/internal.h"
#include "base/compat.h"
#include "base/owner.h"
#include "base/settings.h"

#define MAX_REJECTED 200		/* kept of one run */
#define LEAST_GAP 1e-9			/* less is the rounding of sums */
#define MAX_QUERIES 200			/* listed with one recommendation */
#define MAX_PAYING 20			/* of those that only pay for it */
#define MAX_PLANS 20			/* shown with one recommendation */
#define MAX_WITHOUT_CALLS 2000	/* of the planner in one run, to ask what it is like without */

/* A query listed with a recommendation. */
typedef struct Shown
{
	HoneStatement *st;			/* the sample that is explained */
	Bitmapset  *set;			/* chosen ones on its tables */
	List	   *hide;
	double		cost_before;	/* of one execution, mean of the samples */
	double		cost_after;
	double		write_cost;
	double		planned_before; /* of the sample, as explained */
	double		planned_after;
	char	   *before;
	char	   *after;
} Shown;

/* Plans of samples that were explained before, for another index: of Shown. */
typedef struct Explained
{
	List	   *shown;
	int			calls_left;		/* for costs without */
} Explained;

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
	HoneConfiguration chosen = {NIL, shown->hide};
	Query	   *query = linitial_node(Query, queries);
	PlannedStmt *plan;
	int			i = -1;

	while ((i = bms_next_member(shown->set, i)) >= 0)
		chosen.create = lappend(chosen.create, run->candidates[i]->index);
	plan = hone_whatif_plan(query, st->text, params, &nothing);
	shown->planned_before = hone_without_penalty(hone_whatif_cost(plan));
	shown->before = explain_plainly(run, st, plan, params, &nothing);
	plan = hone_whatif_plan(query, st->text, params, &chosen);
	shown->planned_after = hone_without_penalty(hone_whatif_cost(plan));
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

/* CPU time of this process so far. */
double
hone_advise_cpu_ms(void)
{
	struct rusage usage;

	if (getrusage(RUSAGE_SELF, &usage) != 0)
		return 0;
	return (usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000.0 +
		(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1000.0;
}

static int64
store_run(HoneRun *run)
{
	Oid			types[] = {OIDOID, FLOAT8OID, INT4OID, INT4OID, INT8OID, INT8OID,
	FLOAT8OID, FLOAT8OID, INT8OID, TEXTOID, INT4OID, FLOAT8OID, FLOAT8OID, FLOAT8OID, FLOAT8OID};
	Datum		values[lengthof(types)] = {0};
	char		nulls[lengthof(types) + 1] = "               ";
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
	values[10] = Int32GetDatum(run->max_indexes);
	if (run->max_indexes < 0)
		nulls[10] = 'n';
	values[11] = Float8GetDatum(run->lower_bound);
	if (run->lower_bound > 0 && run->objective > 0)
	{
		double		gap = (run->objective - run->lower_bound) / run->objective;

		values[12] = Float8GetDatum(gap < LEAST_GAP ? 0 : gap);
	}
	else
		nulls[11] = nulls[12] = nulls[14] = 'n';	/* nothing was proven */
	values[13] = Float8GetDatum(hone_advise_cpu_ms() - run->cpu_started_ms);
	values[14] = Float8GetDatum(run->objective);
	execute("INSERT INTO hone.advisor_run_store (requested_by, elapsed_ms, queries, candidates,"
			" planner_calls, priced_configurations, cost_before, cost_after,"
			" storage_budget_bytes, skipped, max_indexes, lower_bound, gap, cpu_ms, objective)"
			" VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10::pg_catalog.jsonb, $11, $12, $13, $14, $15)"
			" RETURNING run_id",
			lengthof(types), types, values, nulls);
	return returned_id();
}

static void
supersede(HoneRun *run)
{
	Oid			types[] = {OIDOID};
	Datum		values[] = {ObjectIdGetDatum(run->caller)};

	/* What somebody is about to dismiss or apply is left to him. */
	execute("UPDATE hone.recommendation_store SET status = 'superseded'"
			" WHERE id = ANY (ARRAY(SELECT r.id FROM hone.recommendation_store r"
			" WHERE r.status = 'proposed' AND r.requested_by = $1 FOR NO KEY UPDATE SKIP LOCKED))",
			1, types, values, NULL);
}

/* What is stored of one recommendation. */
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
	double		cost_without;	/* of creations */
	double		write_cost;
	const char *reason;
	List	   *key_roles;		/* of char * */
	List	   *risks;
	List	   *queries;		/* of Shown */
	const char *needs_index;	/* of drops, see hone_advise_cover_name; or NULL */
} Row;

static Datum
text_array(List *texts)
{
	Datum	   *datums = palloc(sizeof(Datum) * (list_length(texts) + 1));
	ListCell   *lc;
	int			n = 0;

	foreach(lc, texts)
		datums[n++] = CStringGetTextDatum(lfirst(lc));
	return PointerGetDatum(construct_array(datums, n, TEXTOID, -1, false, TYPALIGN_INT));
}

static Datum
text_or_null(const char *text, char *isnull)
{
	*isnull = text ? ' ' : 'n';
	return text ? CStringGetTextDatum(text) : (Datum) 0;
}

static int64
store_recommendation(HoneRun *run, int64 run_id, const Row *row)
{
	Oid			types[] = {INT8OID, OIDOID, TEXTOID, OIDOID, TEXTOID, TEXTOID, TEXTOID,
		TEXTOID, TEXTOID, INT8OID, FLOAT8OID, FLOAT8OID, FLOAT8OID, FLOAT8OID, INT4OID,
	INT4OID, TEXTOID, FLOAT8OID, TEXTARRAYOID, TEXTARRAYOID, TEXTOID};
	Datum		values[lengthof(types)];
	char		nulls[lengthof(types) + 1] = "                     ";

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
	values[17] = Float8GetDatum(row->cost_without);
	if (strcmp(row->action, "create") != 0)
		nulls[17] = 'n';
	values[18] = text_array(row->key_roles);
	values[19] = text_array(row->risks);
	values[20] = text_or_null(row->needs_index, &nulls[20]);
	execute("INSERT INTO hone.recommendation_store (run_id, requested_by, action, relid, table_name,"
			" access_method, index_name, definition, undo_definition, size_bytes, cost_before,"
			" cost_after, improvement, write_cost, queries_helped, queries_hurt, reason,"
			" cost_without, key_roles, risks, needs_index)"
			" VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17,"
			" $18, $19, $20, $21)"
			" RETURNING id",
			lengthof(types), types, values, nulls);
	return returned_id();
}

static void
store_query(int64 id, int ordinal, const Shown *shown)
{
	HoneStatement *st = shown->st;
	Oid			types[] = {INT8OID, INT4OID, INT8OID, OIDOID, TEXTOID, FLOAT8OID, FLOAT8OID,
	FLOAT8OID, TEXTOID, TEXTOID, FLOAT8OID};
	Datum		values[lengthof(types)] = {0};
	char		nulls[lengthof(types) + 1] = "           ";

	values[0] = Int64GetDatum(id);
	values[1] = Int32GetDatum(ordinal);
	values[2] = Int64GetDatum(st->group->queryid);
	if (st->group->queryid == 0)
		nulls[2] = 'n';
	values[3] = ObjectIdGetDatum(st->group->userid);
	values[4] = CStringGetTextDatum(st->group->text);
	values[5] = Float8GetDatum(st->group->calls);
	values[6] = Float8GetDatum(shown->cost_before);
	values[7] = Float8GetDatum(shown->cost_after);
	if (shown->before && shown->after)
	{
		values[8] = CStringGetTextDatum(shown->before);
		values[9] = CStringGetTextDatum(shown->after);
	}
	else
		nulls[8] = nulls[9] = 'n';
	values[10] = Float8GetDatum(shown->write_cost);
	execute("INSERT INTO hone.recommendation_query_store (recommendation_id, ordinal, queryid,"
			" userid, query, calls, cost_before, cost_after, plan_before, plan_after, write_cost)"
			" VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9::pg_catalog.jsonb, $10::pg_catalog.jsonb, $11)",
			lengthof(types), types, values, nulls);
}

static Shown *
show_effect(const HoneEffect *effect)
{
	Shown	   *shown = palloc0(sizeof(Shown));

	shown->st = effect->example;
	shown->set = effect->example->final ? effect->example->final->set : NULL;
	shown->cost_before = effect->example->base_cost;
	shown->cost_after = effect->example->final ?
		effect->example->final->planner_cost : effect->example->base_cost;
	if (effect->weight > 0)
	{
		shown->cost_before = effect->before / effect->weight;
		shown->cost_after = effect->after / effect->weight;
	}
	shown->write_cost = effect->write_cost / Max(effect->group->calls, 1);
	return shown;
}

/* Under all the chosen indexes a sample has one plan, whichever index asks. */
static bool
explain_once(HoneRun *run, Explained *explained, Shown *shown)
{
	ListCell   *lc;

	foreach(lc, explained->shown)
	{
		const Shown *other = lfirst(lc);

		if (other->st != shown->st)
			continue;
		shown->before = other->before;
		shown->after = other->after;
		return true;
	}
	if (!hone_advise_with_statement(run, shown->st, explain_work, shown))
		return false;
	explained->shown = lappend(explained->shown, shown);
	return true;
}

/*
 * The queries whose plans use the index, and those that only pay for it; those
 * that gain most and those that got dearer get plans.
 */
static List *
queries_of_candidate(HoneRun *run, HoneCandidate *c, Explained *explained)
{
	List	   *effects = hone_advise_effects(run, c);
	List	   *result = NIL;
	int			n = list_length(effects);
	int			plans = 0;
	ListCell   *lc;

	foreach(lc, effects)
	{
		int			at = foreach_current_index(lc);
		Shown	   *shown;

		/* What gains most comes first, and what is hurt last. */
		if (n > MAX_QUERIES && at >= MAX_QUERIES / 2 && at < n - MAX_QUERIES / 2)
			continue;
		shown = show_effect(lfirst(lc));
		if (at < MAX_PLANS / 2 || n - at <= MAX_PLANS - plans)
		{
			plans++;
			if (!explain_once(run, explained, shown))
				continue;
		}
		result = lappend(result, shown);
	}
	foreach(lc, hone_advise_paying(run, c))
		if (foreach_current_index(lc) < MAX_PAYING)
			result = lappend(result, show_effect(lfirst(lc)));
	return result;
}

/* One sample of each query whose plan uses an index that is to be dropped. */
static List *
queries_of_drop(HoneRun *run, HoneDrop *drop)
{
	List	   *result = NIL;
	List	   *groups = NIL;

	for (int i = 0; i < run->nstatements && list_length(result) < MAX_PLANS; i++)
	{
		HoneStatement *st = run->statements[i];
		Shown	   *shown;

		if (st->failure || !list_member_oid(st->real, drop->existing->oid) ||
			list_member_ptr(groups, st->group))
			continue;
		groups = lappend(groups, st->group);
		shown = palloc0(sizeof(Shown));
		shown->st = st;
		shown->set = st->final ? st->final->set : NULL;
		shown->hide = list_make1_oid(drop->existing->oid);
		if (!hone_advise_with_statement(run, st, explain_work, shown))
			continue;
		shown->cost_before = shown->planned_before;
		shown->cost_after = shown->planned_after;
		result = lappend(result, shown);
	}
	return result;
}

static const char *
schema_of(Oid relid)
{
	return quote_identifier(get_namespace_name(get_rel_namespace(relid)));
}

static void
store_rejected(HoneRun *run, int64 run_id, List *rejected)
{
	Oid			types[] = {INT8OID, INT4OID, TEXTOID, TEXTOID, FLOAT8OID, INT8OID};
	ListCell   *lc;

	foreach(lc, rejected)
	{
		const HoneRejected *r = lfirst(lc);
		const HoneCandidate *c = r->candidate;
		Datum		values[lengthof(types)];
		char		nulls[lengthof(types) + 1] = "      ";

		values[0] = Int64GetDatum(run_id);
		values[1] = Int32GetDatum(foreach_current_index(lc) + 1);
		values[2] = CStringGetTextDatum(psprintf("CREATE INDEX %s", c->body));
		values[3] = CStringGetTextDatum(r->reason);
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

static void
store_hints(HoneRun *run, int64 run_id)
{
	Oid			types[] = {INT8OID, INT4OID, INT8OID, OIDOID, TEXTOID, TEXTOID, TEXTOID,
	TEXTOID, TEXTOID, OIDOID};
	ListCell   *lc;

	foreach(lc, run->hints)
	{
		const HoneHint *hint = lfirst(lc);
		Datum		values[lengthof(types)] = {0};
		char		nulls[lengthof(types) + 1] = "          ";

		values[0] = Int64GetDatum(run_id);
		values[1] = Int32GetDatum(foreach_current_index(lc) + 1);
		if (hint->st)
		{
			values[2] = Int64GetDatum(hint->st->group->queryid);
			values[3] = ObjectIdGetDatum(hint->st->group->userid);
		}
		if (hint->st == NULL || hint->st->group->queryid == 0)
			nulls[2] = 'n';
		if (hint->st == NULL)
			nulls[3] = 'n';
		values[4] = text_or_null(hint->st ? hint->st->group->text : NULL, &nulls[4]);
		values[5] = CStringGetTextDatum(hint->kind);
		values[6] = CStringGetTextDatum(hint->hint);
		values[7] = text_or_null(hint->evidence, &nulls[7]);
		values[8] = text_or_null(hint->example, &nulls[8]);
		values[9] = ObjectIdGetDatum(hint->relid);
		if (!OidIsValid(hint->relid))
			nulls[9] = 'n';
		execute("INSERT INTO hone.advisor_hint_store"
				" (run_id, ordinal, queryid, userid, query, kind, hint, evidence, example, relid)"
				" VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)", lengthof(types), types, values, nulls);
	}
}

/* What to store, in words. */
static Row *
row_of_candidate(HoneRun *run, HoneCandidate *c, const char *name, Explained *explained)
{
	Row		   *row = palloc0(sizeof(Row));

	row->action = "create";
	row->relid = c->relid;
	row->access_method = get_am_name(c->amoid);
	row->index_name = name;
	row->definition = psprintf("CREATE INDEX %s %s", quote_identifier(name), c->body);
	row->undo = psprintf("DROP INDEX %s.%s", schema_of(c->relid), quote_identifier(name));
	row->size_bytes = c->index->size_bytes;
	hone_advise_figures(run, c, &row->figures);
	row->cost_without = hone_advise_cost_without(run, c, &explained->calls_left);
	row->write_cost = c->write_cost;
	row->reason = hone_advise_reason(run, c);
	row->key_roles = hone_advise_key_roles(run, c);
	row->risks = hone_advise_risks(run, c);
	row->queries = queries_of_candidate(run, c, explained);
	return row;
}

static Row *
row_of_drop(HoneRun *run, HoneDrop *drop, const char *cover)
{
	HoneExisting *e = drop->existing;
	Row		   *row = palloc0(sizeof(Row));
	HoneScope	scope;

	row->action = "drop";
	row->relid = e->relid;
	row->access_method = get_am_name(e->amoid);
	row->index_name = e->name;
	row->definition = hone_advise_drop_definition(drop);
	hone_advise_enter_plain(&scope);	/* to read the same in every session */
	row->undo = TextDatumGetCString(DirectFunctionCall1(pg_get_indexdef, ObjectIdGetDatum(e->oid)));
	hone_leave(&scope);
	row->size_bytes = e->size_bytes;
	row->figures.cost_before = drop->cost_before;
	row->figures.cost_after = drop->cost_after;
	row->write_cost = 0 - drop->write_saving;
	row->reason = hone_advise_drop_reason(run, drop, cover);
	row->queries = queries_of_drop(run, drop);
	row->needs_index = cover;
	if (drop->ban)
		row->risks = list_make1(unconstify(char *, hone_advise_ban_risk(drop->ban)));
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

/* Everything that asks the planner or names things: list of Row. */
static List *
prepare(HoneRun *run, const char **names)
{
	List	   *rows = NIL;
	Explained	explained = {NIL, MAX_WITHOUT_CALLS};
	ListCell   *lc;
	int			i = -1;

	while ((i = bms_next_member(run->chosen, i)) >= 0)
		rows = lappend(rows, row_of_candidate(run, run->candidates[i], names[i], &explained));
	foreach(lc, run->drops)
	{
		HoneDrop   *drop = lfirst(lc);

		rows = lappend(rows, row_of_drop(run, drop, hone_advise_cover_name(drop, names)));
	}
	return rows;
}

int64
hone_advise_store(HoneRun *run)
{
	MemoryContext old = MemoryContextSwitchTo(run->memory);
	const char **names = hone_advise_name_chosen(run);
	double		cpu_ms = hone_advise_cpu_ms();
	List	   *rows = prepare(run, names);
	List	   *rejected = hone_advise_rejected(run, names, MAX_REJECTED);
	HoneScope	scope;
	int64		run_id;
	ListCell   *lc;
	ListCell   *lq;

	elog(DEBUG1, "pg_hone: explaining took %.1f ms of CPU", hone_advise_cpu_ms() - cpu_ms);
	hone_enter_owner(&scope);
	SPI_connect();
	supersede(run);
	run_id = store_run(run);
	foreach(lc, rows)
	{
		const Row  *row = lfirst(lc);
		int64		id = store_recommendation(run, run_id, row);

		foreach(lq, row->queries)
			store_query(id, foreach_current_index(lq) + 1, lfirst(lq));
	}
	store_rejected(run, run_id, rejected);
	store_hints(run, run_id);
	SPI_finish();
	hone_leave(&scope);
	MemoryContextSwitchTo(old);
	return run_id;
}
