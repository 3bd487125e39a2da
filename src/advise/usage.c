/*
 * usage.c
 *	  Who uses which existing index, and what if it were not there: what health
 *	  shows, and only the planner knows.
 *
 * hone.plan_captured(limit_ms) plans captured queries again, those first that
 * were not for the longest time, and keeps which indexes their plans use
 * (hone.index_usage_store), and what each index of their tables costs the
 * writes (hone.index_cost_store). Queries that there was no time for are left to
 * the next call; as far as they write, what was measured of them speaks for them.
 *
 * hone.plan_without_index() plans every captured statement that may touch an
 * index's table with the index and without. Whatever cannot be planned again,
 * or not in time, leaves the answer open: it proves nothing.
 *
 * hone.fresh_index_size() is how large an index would be if it were built now. Its
 * expressions are evaluated, so it is asked as the table's owner, in a
 * security-restricted operation and in a subtransaction that is rolled back,
 * which lets go of its locks.
 *
 * They need pg_read_all_stats where they read statements: an answer for a part
 * of them would be taken for one for all. Locks are those of the advisor
 * (statement.c). An error leaves everything as it was.
 */
#include "postgres.h"

#include "access/xact.h"
#include "access/xlog.h"
#include "catalog/index.h"
#include "catalog/pg_authid.h"
#include "catalog/pg_class.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "utils/acl.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/resowner.h"
#include "utils/ruleutils.h"
#include "utils/syscache.h"

#include "advise/internal.h"
#include "base/compat.h"
#include "base/record.h"
#include "base/settings.h"

#define MAX_WORSE 20			/* queries that are named */
#define NOISE 1.01				/* dearer than that is worse */

PG_FUNCTION_INFO_V1(hone_plan_captured);
PG_FUNCTION_INFO_V1(hone_plan_without_index);
PG_FUNCTION_INFO_V1(hone_fresh_index_size);

static void
require_all_stats(const char *what)
{
	if (!has_privs_of_role(GetUserId(), ROLE_PG_READ_ALL_STATS))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("permission denied for %s", what),
				 errdetail("It plans everybody's statements, so it needs the privileges of role \"pg_read_all_stats\".")));
}

/* Rows of a statement's arguments, one array for each column. */
typedef struct Rows
{
	int			n;
	int			max;
	Datum	   *column[4];
} Rows;

static void
add_row(Rows *rows, Datum a, Datum b, Datum c, Datum d)
{
	if (rows->n == rows->max)
	{
		rows->max = Max(64, 2 * rows->max);
		for (int i = 0; i < 4; i++)
			rows->column[i] = rows->column[i] ?
				repalloc(rows->column[i], rows->max * sizeof(Datum)) :
				palloc(rows->max * sizeof(Datum));
	}
	rows->column[0][rows->n] = a;
	rows->column[1][rows->n] = b;
	rows->column[2][rows->n] = c;
	rows->column[3][rows->n++] = d;
}

static Datum
array_of(const Rows *rows, int column, Oid type)
{
	int16		typlen;
	bool		typbyval;
	char		typalign;

	get_typlenbyvalalign(type, &typlen, &typbyval, &typalign);
	return PointerGetDatum(construct_array(rows->column[column], rows->n, type, typlen,
										   typbyval, typalign));
}

static void
run_sql(const char *sql, int n, Oid *types, Datum *values)
{
	if (SPI_execute_with_args(sql, n, types, values, NULL, false, 0) < 0)
		elog(ERROR, "could not keep the use of indexes");
}

/* Queries in the order in which they are to be planned: the longest ago first. */
static List *
groups_by_age(HoneRun *run)
{
	List	   *ordered = NIL;
	HoneScope	scope;
	ListCell   *lc;

	hone_enter_owner(&scope);
	SPI_connect();
	if (SPI_execute("SELECT p.queryid, p.userid FROM hone.planned_query_store p"
					" WHERE p.planned_at IS NOT NULL ORDER BY p.planned_at", true, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not read which queries were planned");
	foreach(lc, run->groups)
	{
		HoneQueryGroup *group = lfirst(lc);
		bool		known = false;

		for (uint64 i = 0; i < SPI_processed && !known; i++)
		{
			bool		isnull;
			HeapTuple	tuple = SPI_tuptable->vals[i];

			known = DatumGetInt64(SPI_getbinval(tuple, SPI_tuptable->tupdesc, 1, &isnull)) == group->queryid &&
				DatumGetObjectId(SPI_getbinval(tuple, SPI_tuptable->tupdesc, 2, &isnull)) == group->userid;
		}
		if (!known)
		{
			MemoryContext old = MemoryContextSwitchTo(run->memory);

			ordered = lappend(ordered, group);
			MemoryContextSwitchTo(old);
		}
	}
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		bool		isnull;
		HeapTuple	tuple = SPI_tuptable->vals[i];
		int64		queryid = DatumGetInt64(SPI_getbinval(tuple, SPI_tuptable->tupdesc, 1, &isnull));
		Oid			userid = DatumGetObjectId(SPI_getbinval(tuple, SPI_tuptable->tupdesc, 2, &isnull));

		foreach(lc, run->groups)
		{
			HoneQueryGroup *group = lfirst(lc);

			if (group->queryid == queryid && group->userid == userid)
			{
				MemoryContext old = MemoryContextSwitchTo(run->memory);

				ordered = lappend(ordered, group);
				MemoryContextSwitchTo(old);
			}
		}
	}
	SPI_finish();
	hone_leave(&scope);
	return ordered;
}

static bool
is_late(HoneRun *run, int limit_ms)
{
	instr_time	now;

	INSTR_TIME_SET_CURRENT(now);
	INSTR_TIME_SUBTRACT(now, run->started);
	return INSTR_TIME_GET_MILLISEC(now) >= limit_ms;
}

/* The queries that were planned, all of their samples, and what those use. */
static int
plan_groups(HoneRun *run, int limit_ms, Rows *planned, Rows *usage)
{
	ListCell   *lc;
	ListCell   *lu;
	int			nplanned = 0;
	bool		late = false;

	foreach(lc, groups_by_age(run))
	{
		HoneQueryGroup *group = lfirst(lc);
		List	   *used = NIL;
		bool		any = false;

		late = late || is_late(run, limit_ms);
		for (int i = 0; i < run->nstatements; i++)
		{
			HoneStatement *st = run->statements[i];

			if (st->group != group)
				continue;
			if (late)
				st->failure = "there was no time to plan it";
			else
				hone_advise_read_statement(run, st);
			used = list_concat_unique_oid(used, st->real);
			any |= st->failure == NULL;
		}
		/* What could not be planned now (its table is locked) uses what it did. */
		if (late || !any)
			continue;
		nplanned++;
		add_row(planned, Int64GetDatum(group->queryid), ObjectIdGetDatum(group->userid),
				CStringGetTextDatum(group->text), Float8GetDatum(group->calls));
		foreach(lu, used)
			if (lfirst_oid(lu) >= FirstNormalObjectId)
				add_row(usage, ObjectIdGetDatum(lfirst_oid(lu)), Int64GetDatum(group->queryid),
						ObjectIdGetDatum(group->userid), (Datum) 0);
	}
	return nplanned;
}

static void
store_usage(const Rows *planned, const Rows *usage)
{
	Oid			planned_types[] = {INT8ARRAYOID, OIDARRAYOID, TEXTARRAYOID, FLOAT8ARRAYOID};
	Oid			usage_types[] = {OIDARRAYOID, INT8ARRAYOID, OIDARRAYOID};
	Datum		values[4];

	if (planned->n == 0)
		return;
	/* one after the other, whoever calls */
	run_sql("LOCK TABLE hone.index_usage_store IN SHARE ROW EXCLUSIVE MODE", 0, NULL, NULL);
	values[0] = array_of(planned, 0, INT8OID);
	values[1] = array_of(planned, 1, OIDOID);
	values[2] = array_of(planned, 2, TEXTOID);
	values[3] = array_of(planned, 3, FLOAT8OID);
	run_sql("INSERT INTO hone.planned_query_store AS p (queryid, userid, query, calls, planned_at)"
			" SELECT r.*, pg_catalog.clock_timestamp()"
			" FROM unnest($1, $2, $3, $4) r ORDER BY 1, 2"
			" ON CONFLICT (queryid, userid) DO UPDATE SET query = excluded.query,"
			"  calls = excluded.calls, planned_at = excluded.planned_at", 4, planned_types, values);
	run_sql("UPDATE hone.index_usage_store u SET planned_at = NULL"
			" FROM unnest($1, $2) r (queryid, userid)"
			" WHERE u.queryid = r.queryid AND u.userid = r.userid AND u.planned_at IS NOT NULL",
			2, planned_types, values);
	if (usage->n > 0)
	{
		values[0] = array_of(usage, 0, OIDOID);
		values[1] = array_of(usage, 1, INT8OID);
		values[2] = array_of(usage, 2, OIDOID);
		run_sql("INSERT INTO hone.index_usage_store AS u (index_oid, queryid, userid, planned_at)"
				" SELECT r.*, pg_catalog.clock_timestamp() FROM unnest($1, $2, $3) r ORDER BY 1, 2, 3"
				" ON CONFLICT (index_oid, queryid, userid) DO UPDATE SET planned_at = excluded.planned_at",
				3, usage_types, values);
	}
	run_sql("DELETE FROM hone.index_usage_store u WHERE u.planned_at IS NULL AND u.logged_at IS NULL",
			0, NULL, NULL);
}

static void
store_costs(HoneRun *run)
{
	Rows		costs = {0};
	Oid			types[] = {OIDARRAYOID, FLOAT8ARRAYOID, FLOAT8ARRAYOID, FLOAT8ARRAYOID};
	Datum		values[4];
	HoneScope	scope;
	ListCell   *lc;

	foreach(lc, run->existing)
	{
		HoneExisting *e = lfirst(lc);
		HoneWriteCost cost;

		if (e->oid < FirstNormalObjectId || get_rel_name(e->relid) == NULL)
			continue;
		cost = hone_advise_existing_write_costs(run, e);
		add_row(&costs, ObjectIdGetDatum(e->oid), Float8GetDatum(cost.total),
				Float8GetDatum(cost.entries), Float8GetDatum(cost.hot_lost));
	}
	if (costs.n == 0)
		return;
	values[0] = array_of(&costs, 0, OIDOID);
	for (int i = 1; i < 4; i++)
		values[i] = array_of(&costs, i, FLOAT8OID);
	hone_enter_owner(&scope);
	SPI_connect();
	run_sql("INSERT INTO hone.index_cost_store AS c (index_oid, noted_at, write_cost, entries, hot_lost)"
			" SELECT r.o, pg_catalog.clock_timestamp(), r.w, r.e, r.h"
			" FROM unnest($1, $2, $3, $4) r (o, w, e, h) ORDER BY r.o"
			" ON CONFLICT (index_oid) DO UPDATE SET noted_at = excluded.noted_at,"
			"  write_cost = excluded.write_cost, entries = excluded.entries, hot_lost = excluded.hot_lost",
			4, types, values);
	SPI_finish();
	hone_leave(&scope);
}

Datum
hone_plan_captured(PG_FUNCTION_ARGS)
{
	int			limit_ms = PG_GETARG_INT32(0);
	Rows		planned = {0};
	Rows		usage = {0};
	HoneScope	scope;
	HoneRun    *run;
	int			n;

	require_all_stats("hone.plan_captured()");
	if (limit_ms < 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("argument \"limit_ms\" must not be negative")));
	PreventCommandDuringRecovery("hone.plan_captured()");
	run = hone_advise_run_create(-1, -1);
	hone_advise_load_workload(run);
	n = plan_groups(run, limit_ms, &planned, &usage);
	hone_enter_owner(&scope);
	SPI_connect();
	store_usage(&planned, &usage);
	SPI_finish();
	hone_leave(&scope);
	hone_advise_hold_tables(run);
	store_costs(run);
	PG_RETURN_INT32(n);
}

/* An index, or more, taken away. */
typedef struct Absence
{
	List	   *hide;
	Oid			root;			/* of the partition tree of its table */
	HoneStatement *st;
	double		with;
	double		without;
} Absence;

static double
plan_all(HoneRun *run, HoneStatement *st, List *queries, ParamListInfo params, List *hide)
{
	HoneConfiguration configuration = {NIL, hide};
	double		cost = 0;
	ListCell   *lc;

	foreach(lc, queries)
	{
		PlannedStmt *plan = hone_whatif_plan(lfirst_node(Query, lc), st->text, params, &configuration);

		run->planner_calls++;
		cost += hone_without_penalty(hone_whatif_cost(plan));
	}
	return cost;
}

static void
compare_work(HoneRun *run, HoneStatement *st, List *queries, ParamListInfo params, void *arg)
{
	Absence    *absence = arg;

	absence->with = plan_all(run, st, queries, params, NIL);
	absence->without = plan_all(run, st, queries, params, absence->hide);
}

/* May it have to do with the table? Partitions pruned when it ran may matter now. */
static bool
touches(const HoneStatement *st, Oid root)
{
	ListCell   *lc;

	if (!st->traced)
		return true;
	foreach(lc, st->traced_relids)
		if (lfirst_oid(lc) == root || hone_advise_root_of(lfirst_oid(lc)) == root)
			return true;
	return false;
}

static List *
with_partitions(Oid index)
{
	return get_rel_relkind(index) == RELKIND_PARTITIONED_INDEX ?
		find_all_inheritors(index, NoLock, NULL) : list_make1_oid(index);
}

static Oid
table_of(Oid index)
{
	char		relkind = get_rel_relkind(index);

	if (relkind == '\0')
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("index with OID %u does not exist", index)));
	if (relkind != RELKIND_INDEX && relkind != RELKIND_PARTITIONED_INDEX)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("\"%s\" is not an index", get_rel_name(index))));
	return IndexGetRelation(index, false);
}

static char *
name_worse(const Absence *absence, const HoneStatement *st)
{
	char	   *role = GetUserNameFromId(st->userid, true);

	return psprintf("query " INT64_FORMAT " of %s: cost %.2f, %.2f without it",
					st->group->queryid, role ? role : "?", absence->with, absence->without);
}

/* All that is to be hidden: an index and others, with their partitions. */
static List *
hidden_indexes(Oid index, ArrayType *also)
{
	List	   *hide = with_partitions(index);
	Datum	   *others;
	bool	   *isnull;
	int			n;

	if (also == NULL)
		return hide;
	deconstruct_array(also, REGCLASSOID, sizeof(Oid), true, TYPALIGN_INT, &others, &isnull, &n);
	for (int i = 0; i < n; i++)
		if (!isnull[i])
			hide = list_concat_unique_oid(hide, with_partitions(DatumGetObjectId(others[i])));
	return hide;
}

/*
 * hone.plan_without_index(index, also): without these too, OUT safe, statements,
 * worse, unproven.
 */
Datum
hone_plan_without_index(PG_FUNCTION_ARGS)
{
	Oid			index;
	Absence		absence = {0};
	HoneRun    *run;
	TupleDesc	desc;
	Datum		values[4];
	bool		nulls[4] = {false};
	Rows		worse = {0};
	HoneQueryGroup *last_worse = NULL;
	int			statements = 0;
	int			unproven = 0;
	ListCell   *lc;

	if (PG_ARGISNULL(0))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("argument \"index\" must not be null")));
	index = PG_GETARG_OID(0);
	require_all_stats("hone.plan_without_index()");
	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	absence.root = hone_advise_root_of(table_of(index));
	run = hone_advise_run_create(-1, -1);
	run->max_planner_calls = PG_UINT64_MAX;
	absence.hide = hidden_indexes(index, PG_ARGISNULL(1) ? NULL : PG_GETARG_ARRAYTYPE_P(1));
	hone_advise_load_workload(run);
	foreach(lc, run->unplannable)
		unproven += touches(lfirst(lc), absence.root);
	for (int i = 0; i < run->nstatements; i++)
	{
		HoneStatement *st = run->statements[i];

		if (!touches(st, absence.root))
			continue;
		if (hone_advise_is_spent(run) ||
			!hone_advise_with_statement(run, st, compare_work, &absence))
		{
			unproven++;
			continue;
		}
		statements++;
		if (absence.without <= NOISE * absence.with + 0.01 || st->group == last_worse)
			continue;
		last_worse = st->group;
		if (worse.n < MAX_WORSE)
			add_row(&worse, CStringGetTextDatum(name_worse(&absence, st)), 0, 0, 0);
	}
	nulls[0] = last_worse == NULL && unproven > 0;
	values[0] = BoolGetDatum(last_worse == NULL);
	values[1] = Int32GetDatum(statements);
	values[2] = worse.n > 0 ? array_of(&worse, 0, TEXTOID) :
		PointerGetDatum(construct_empty_array(TEXTOID));
	values[3] = Int32GetDatum(unproven);
	return HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(desc), values, nulls));
}

/* Without UNIQUE, which no imagined index has; it takes no space. */
static int64
imagined_size(Oid index, Oid relid)
{
	HoneScope	scope;
	char	   *definition;
	int64		size;

	hone_enter_role(&scope, hone_relation_owner(relid), NULL);
	hone_settings_be_plain();
	definition = pg_get_indexdef_string(index);
	if (strncmp(definition, "CREATE UNIQUE ", strlen("CREATE UNIQUE ")) == 0)
		definition = psprintf("CREATE %s", definition + strlen("CREATE UNIQUE "));
	size = hone_whatif_index(definition)->size_bytes;
	hone_leave(&scope);
	return size;
}

Datum
hone_fresh_index_size(PG_FUNCTION_ARGS)
{
	Oid			index = PG_GETARG_OID(0);
	Oid			relid = table_of(index);
	MemoryContext caller = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;
	bool		old_paused = hone_capture_paused;
	volatile int64 size = -1;

	if (!superuser() && !has_privs_of_role(GetUserId(), hone_relation_owner(relid)))
		aclcheck_error(ACLCHECK_NOT_OWNER, OBJECT_INDEX, get_rel_name(index));
	BeginInternalSubTransaction(NULL);
	hone_capture_paused = true;
	hone_advise_start_clock();
	PG_TRY();
	{
		/* whoever changes it now is not waited for */
		if (ConditionalLockRelationOid(relid, AccessShareLock) && get_rel_name(index) != NULL)
			size = imagined_size(index, relid);
		(void) hone_advise_stop_clock();
		RollbackAndReleaseCurrentSubTransaction();
		hone_capture_paused = old_paused;
	}
	PG_CATCH();
	{
		ErrorData  *edata;
		bool		late = hone_advise_stop_clock();

		MemoryContextSwitchTo(caller);
		edata = CopyErrorData();
		FlushErrorState();
		RollbackAndReleaseCurrentSubTransaction();
		hone_capture_paused = old_paused;
		CurrentResourceOwner = owner;
		late = late && edata->sqlerrcode == ERRCODE_QUERY_CANCELED;
		if (late)
			;					/* its owner's functions take too long */
		else if (edata->sqlerrcode == ERRCODE_QUERY_CANCELED || edata->sqlerrcode == ERRCODE_OUT_OF_MEMORY ||
			ERRCODE_TO_CATEGORY(edata->sqlerrcode) == ERRCODE_OPERATOR_INTERVENTION)
			ReThrowError(edata);
		FreeErrorData(edata);
	}
	PG_END_TRY();
	MemoryContextSwitchTo(caller);
	CurrentResourceOwner = owner;
	if (size < 0)
		PG_RETURN_NULL();
	PG_RETURN_INT64(size);
}
