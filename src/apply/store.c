/*
 * store.c
 *	  Reads and writes of the tables of actions and recommendations.
 *
 * Everything here is one static statement as the extension's owner; whether
 * the caller may do it is decided before, as the caller (check.c). Callers are
 * connected to SPI and decide where transactions end.
 *
 * The row of the recommendation is locked while one of its actions is queued,
 * so that it cannot be queued twice.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/ruleutils.h"

#include "apply/internal.h"
#include "base/compat.h"
#include "base/owner.h"

#define MAX_ARGS 12

typedef struct Arguments
{
	int			count;
	Oid			types[MAX_ARGS];
	Datum		values[MAX_ARGS];
	char		nulls[MAX_ARGS];
} Arguments;

static void
add(Arguments *args, Oid type, Datum value, bool isnull)
{
	Assert(args->count < MAX_ARGS);
	args->types[args->count] = type;
	args->values[args->count] = value;
	args->nulls[args->count] = isnull ? 'n' : ' ';
	args->count++;
}

static void
add_int8(Arguments *args, int64 value)
{
	add(args, INT8OID, Int64GetDatum(value), false);
}

static void
add_oid(Arguments *args, Oid value)
{
	add(args, OIDOID, ObjectIdGetDatum(value), !OidIsValid(value));
}

static void
add_bool(Arguments *args, bool value)
{
	add(args, BOOLOID, BoolGetDatum(value), false);
}

static void
add_text(Arguments *args, const char *value)
{
	add(args, TEXTOID, value ? CStringGetTextDatum(value) : (Datum) 0, value == NULL);
}

/* Run it as the extension's owner; the number of rows. */
static uint64
run(const char *sql, Arguments *args)
{
	HoneScope	scope;
	int			result;

	hone_enter_owner(&scope);
	result = SPI_execute_with_args(sql, args->count, args->types, args->values,
								   args->nulls, false, 0);
	hone_leave(&scope);
	if (result < 0)
		elog(ERROR, "SPI failed: %s", SPI_result_code_string(result));
	return SPI_processed;
}

/* Columns of the result's first row, copied to the current context. */
static char *
column_text(int column)
{
	char	   *value = SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, column);

	return value ? pstrdup(value) : NULL;
}

static Datum
column(int number)
{
	bool		isnull;
	Datum		value = SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc,
									  number, &isnull);

	return isnull ? (Datum) 0 : value;
}

/* Recommendations */

typedef struct Recommendation
{
	char	   *status;
	Oid			requested_by;
	bool		creates;
	char	   *undo_definition;
	HoneAction	action;			/* as it would be queued */
} Recommendation;

#define RECOMMENDATION_SQL \
	"SELECT status, requested_by, action OPERATOR(pg_catalog.=) 'create'," \
	" relid, table_name, index_name, definition, undo_definition, needs_index" \
	" FROM hone.recommendation_store WHERE id OPERATOR(pg_catalog.=) $1 FOR UPDATE"

static void
read_recommendation(int64 id, Recommendation *rec)
{
	Arguments	args = {0};

	add_int8(&args, id);
	if (run(RECOMMENDATION_SQL, &args) == 0 ||
		!hone_may_see_role(DatumGetObjectId(column(2))))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("recommendation " INT64_FORMAT " does not exist", id)));

	memset(rec, 0, sizeof(*rec));
	rec->status = column_text(1);
	rec->requested_by = DatumGetObjectId(column(2));
	rec->creates = DatumGetBool(column(3));
	rec->undo_definition = column_text(8);
	rec->action.recommendation_id = id;
	rec->action.makes_index = rec->creates;
	rec->action.relid = DatumGetObjectId(column(4));
	rec->action.table_name = column_text(5);
	rec->action.index_name = column_text(6);
	rec->action.definition = column_text(7);
	rec->action.needs_index = column_text(9);
}

static bool
is_pending(int64 recommendation_id)
{
	Arguments	args = {0};

	add_int8(&args, recommendation_id);
	return run("SELECT 1 FROM hone.action_store"
			   " WHERE recommendation_id OPERATOR(pg_catalog.=) $1"
			   " AND state IN ('queued', 'building')", &args) > 0;
}

static bool
check_status(const Recommendation *rec, const char *wanted, int elevel)
{
	int64		id = rec->action.recommendation_id;

	if (strcmp(rec->status, wanted) != 0)
	{
		ereport(elevel,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("recommendation " INT64_FORMAT " is %s, not %s",
						id, rec->status, wanted)));
		return false;
	}
	if (is_pending(id))
	{
		ereport(elevel,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("recommendation " INT64_FORMAT " is being worked on already", id)));
		return false;
	}
	return true;
}

/* How to make an index that is to be dropped, all of it. */
static char *
current_definition(Oid index_oid)
{
	HoneScope	scope;
	char	   *definition;

	hone_enter_owner(&scope);	/* for the search_path */
	definition = pg_get_indexdef_string(index_oid);
	hone_leave(&scope);
	return definition;
}

#define QUEUE_SQL \
	"INSERT INTO hone.action_store (recommendation_id, requested_by, operation," \
	" action, state, relid, table_name, index_name, index_oid, definition," \
	" undo_definition, after_creates, needs_index)" \
	" VALUES ($1, $2, 'apply', CASE WHEN $3 THEN 'create' ELSE 'drop' END," \
	" 'queued', $4, $5, $6, $7, $8, $9, $10, $11) RETURNING id"

static int64
insert_action(const Recommendation *rec, Oid index_oid, const char *undo,
			  bool after_creates)
{
	const HoneAction *action = &rec->action;
	Arguments	args = {0};

	add_int8(&args, action->recommendation_id);
	add_oid(&args, GetUserId());
	add_bool(&args, rec->creates);
	add_oid(&args, action->relid);
	add_text(&args, action->table_name);
	add_text(&args, action->index_name);
	add_oid(&args, index_oid);
	add_text(&args, action->definition);
	add_text(&args, undo);
	add_bool(&args, after_creates);
	add_text(&args, action->needs_index);
	run(QUEUE_SQL, &args);
	return DatumGetInt64(column(1));
}

int64
hone_apply_queue(int64 recommendation_id, bool after_creates, int elevel)
{
	Recommendation rec;
	Oid			index_oid = InvalidOid;
	const char *undo;

	read_recommendation(recommendation_id, &rec);
	if (!check_status(&rec, "proposed", elevel) ||
		!hone_apply_check_table(rec.action.relid, rec.action.table_name,
								GetUserId(), elevel))
		return 0;

	undo = rec.undo_definition;
	if (rec.creates)
	{
		if (!hone_apply_check_create(&rec.action, elevel))
			return 0;
	}
	else
	{
		index_oid = hone_apply_check_drop(&rec.action, elevel);
		if (!OidIsValid(index_oid))
			return 0;
		/* What is queued before it may be what it needs: then the builder asks. */
		if (!after_creates && !hone_apply_check_cover(&rec.action, elevel))
			return 0;
		undo = current_definition(index_oid);
	}
	return insert_action(&rec, index_oid, undo, after_creates && !rec.creates);
}

#define KEPT_SQL \
	"SELECT id, index_oid, undo_definition FROM hone.action_store" \
	" WHERE recommendation_id OPERATOR(pg_catalog.=) $1" \
	" AND state OPERATOR(pg_catalog.=) 'kept'" \
	" ORDER BY id USING OPERATOR(pg_catalog.>) LIMIT 1"

#define QUEUE_REVERT_SQL \
	"UPDATE hone.action_store SET operation = 'revert', state = 'queued'," \
	" requested_by = $2, queued_at = pg_catalog.now(), finished_at = NULL," \
	" attempts = 0, error = NULL, index_oid = CASE WHEN action OPERATOR(pg_catalog.=) 'create'" \
	" THEN index_oid END" \
	" WHERE id OPERATOR(pg_catalog.=) $1"

int64
hone_apply_queue_revert(int64 recommendation_id)
{
	Recommendation rec;
	HoneAction *action = &rec.action;
	Arguments	args = {0};

	read_recommendation(recommendation_id, &rec);
	(void) check_status(&rec, "applied", ERROR);
	add_int8(&args, recommendation_id);
	if (run(KEPT_SQL, &args) == 0)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("there is no record of recommendation " INT64_FORMAT " being applied",
						recommendation_id)));
	action->id = DatumGetInt64(column(1));
	action->index_oid = DatumGetObjectId(column(2));
	action->definition = column_text(3);

	(void) hone_apply_check_table(action->relid, action->table_name, GetUserId(), ERROR);
	if (!rec.creates)
		(void) hone_apply_check_create(action, ERROR);
	else if (hone_apply_index_state(action) != HONE_INDEX_ABSENT)
		(void) hone_apply_check_drop(action, ERROR);

	args.count = 0;
	add_int8(&args, action->id);
	add_oid(&args, GetUserId());
	run(QUEUE_REVERT_SQL, &args);
	return action->id;
}

#define PROPOSALS_SQL \
	"SELECT id FROM hone.recommendation_store" \
	" WHERE status OPERATOR(pg_catalog.=) 'proposed' AND run_id OPERATOR(pg_catalog.=)" \
	" (SELECT pg_catalog.max(run_id) FROM hone.advisor_run_store" \
	"  WHERE requested_by OPERATOR(pg_catalog.=) $1)" \
	" ORDER BY action OPERATOR(pg_catalog.=) 'drop', id LIMIT $2"

int64 *
hone_apply_proposals(int64 limit, int *count)
{
	Arguments	args = {0};
	int64	   *ids;

	add_oid(&args, GetUserId());
	add(&args, INT8OID, Int64GetDatum(limit), limit <= 0);
	*count = (int) run(PROPOSALS_SQL, &args);

	ids = palloc(sizeof(int64) * (*count + 1));
	for (int i = 0; i < *count; i++)
	{
		bool		isnull;

		ids[i] = DatumGetInt64(SPI_getbinval(SPI_tuptable->vals[i],
											 SPI_tuptable->tupdesc, 1, &isnull));
	}
	return ids;
}

/* Actions, for the builder */

#define BUILDER_ALIVE \
	"SELECT FROM pg_catalog.pg_stat_activity s" \
	" WHERE s.datid OPERATOR(pg_catalog.=) (SELECT d.oid FROM pg_catalog.pg_database d" \
	" WHERE d.datname OPERATOR(pg_catalog.=) pg_catalog.current_database())" \
	" AND s.backend_type OPERATOR(pg_catalog.=) '" HONE_BUILDER_TYPE "'" \
	" AND s.pid OPERATOR(pg_catalog.<>) pg_catalog.pg_backend_pid()"

#define WHERE_QUEUED "a.state OPERATOR(pg_catalog.=) 'queued'"
#define WHERE_LOST \
	"a.state OPERATOR(pg_catalog.=) 'building' AND NOT EXISTS (" \
	BUILDER_ALIVE " AND s.pid OPERATOR(pg_catalog.=) a.pid)"
#define WHERE_LEFTOVER \
	"a.leftover AND a.retry_at OPERATOR(pg_catalog.<=) pg_catalog.now()"

#define TAKE_SQL(condition) \
	"SELECT a.id, a.recommendation_id, a.requested_by," \
	" a.operation OPERATOR(pg_catalog.=) 'revert'," \
	" a.action OPERATOR(pg_catalog.=) 'create'," \
	" a.relid, a.table_name, a.index_name, a.index_oid," \
	" CASE WHEN a.operation OPERATOR(pg_catalog.=) 'revert'" \
	" THEN a.undo_definition ELSE a.definition END, a.after_creates, a.needs_index" \
	" FROM hone.action_store a WHERE " condition " ORDER BY a.id LIMIT 1"

static const char *const take_sql[] = {
	[HONE_TAKE_QUEUED] = TAKE_SQL(WHERE_QUEUED),
	[HONE_TAKE_LOST] = TAKE_SQL(WHERE_LOST),
	[HONE_TAKE_LEFTOVER] = TAKE_SQL(WHERE_LEFTOVER),
};

HoneAction *
hone_apply_take(HoneTake kind, MemoryContext context)
{
	Arguments	args = {0};
	MemoryContext old;
	HoneAction *action;

	if (run(take_sql[kind], &args) == 0)
		return NULL;

	old = MemoryContextSwitchTo(context);
	action = palloc0(sizeof(HoneAction));
	action->id = DatumGetInt64(column(1));
	action->recommendation_id = DatumGetInt64(column(2));
	action->requested_by = DatumGetObjectId(column(3));
	action->is_revert = DatumGetBool(column(4));
	action->makes_index = DatumGetBool(column(5)) != action->is_revert;
	action->relid = DatumGetObjectId(column(6));
	action->table_name = column_text(7);
	action->index_name = column_text(8);
	action->index_oid = DatumGetObjectId(column(9));
	action->definition = column_text(10);
	action->after_creates = DatumGetBool(column(11));
	action->needs_index = column_text(12);
	MemoryContextSwitchTo(old);
	action->partitioned = hone_apply_is_partitioned(action);
	return action;
}

bool
hone_apply_has_work(void)
{
	Arguments	args = {0};

	return run("SELECT 1 FROM hone.action_store a WHERE ("
			   WHERE_QUEUED " OR (" WHERE_LOST ") OR (" WHERE_LEFTOVER "))"
			   " AND NOT EXISTS (" BUILDER_ALIVE ") LIMIT 1", &args) > 0;
}

bool
hone_apply_has_unfinished(void)
{
	Arguments	args = {0};

	return run("SELECT 1 FROM hone.action_store"
			   " WHERE state IN ('queued', 'building') OR leftover LIMIT 1", &args) > 0;
}

bool
hone_apply_record_start(const HoneAction *action)
{
	Arguments	args = {0};

	add_int8(&args, action->id);
	return run("UPDATE hone.action_store SET state = 'building',"
			   " started_at = pg_catalog.clock_timestamp(), pid = pg_catalog.pg_backend_pid(),"
			   " attempts = attempts OPERATOR(pg_catalog.+) 1"
			   " WHERE id OPERATOR(pg_catalog.=) $1"
			   " AND state OPERATOR(pg_catalog.=) 'queued'", &args) > 0;
}

/* Only the index itself, not what an event trigger may make beside it. */
bool
hone_apply_record_index(const HoneAction *action, Oid index_oid)
{
	Arguments	args = {0};

	add_int8(&args, action->id);
	add_oid(&args, index_oid);
	return run("UPDATE hone.action_store a SET index_oid = c.oid FROM pg_catalog.pg_class c"
			   " WHERE a.id OPERATOR(pg_catalog.=) $1 AND c.oid OPERATOR(pg_catalog.=) $2"
			   " AND c.relkind IN ('i', 'I')"
			   " AND c.relname OPERATOR(pg_catalog.=) a.index_name::pg_catalog.name"
			   " AND a.index_oid IS NULL", &args) > 0;
}

#define END_SQL \
	"UPDATE hone.action_store SET state = $2, error = $3, leftover = $4," \
	" operation = CASE WHEN $2 OPERATOR(pg_catalog.=) 'kept' THEN 'apply' ELSE operation END," \
	" finished_at = pg_catalog.clock_timestamp(), pid = NULL," \
	" retry_at = CASE WHEN $4 THEN pg_catalog.now() OPERATOR(pg_catalog.+)" \
	" '1 minute'::pg_catalog.interval END" \
	" WHERE id OPERATOR(pg_catalog.=) $1"

void
hone_apply_record_end(const HoneAction *action, const char *state,
					  const char *error, bool leftover)
{
	Arguments	args = {0};

	add_int8(&args, action->id);
	add_text(&args, state);
	add_text(&args, error);
	add_bool(&args, leftover);
	run(END_SQL, &args);

	args.count = 0;
	add_int8(&args, action->recommendation_id);
	if (strcmp(state, "kept") == 0)
		run("UPDATE hone.recommendation_store SET status = 'applied'"
			" WHERE id OPERATOR(pg_catalog.=) $1", &args);
	else if (strcmp(state, "reverted") == 0)
		run("UPDATE hone.recommendation_store SET status = 'reverted'"
			" WHERE id OPERATOR(pg_catalog.=) $1", &args);
}

void
hone_apply_record_leftover(const HoneAction *action, bool leftover)
{
	Arguments	args = {0};

	add_int8(&args, action->id);
	add_bool(&args, leftover);
	run("UPDATE hone.action_store SET leftover = $2, retry_at ="
		" pg_catalog.now() OPERATOR(pg_catalog.+) '1 minute'::pg_catalog.interval"
		" WHERE id OPERATOR(pg_catalog.=) $1", &args);
}

bool
hone_apply_creates_missing(const HoneAction *action)
{
	Arguments	args = {0};

	add_int8(&args, action->recommendation_id);
	return run("SELECT 1 FROM hone.recommendation_store d JOIN hone.recommendation_store c"
			   " ON c.run_id OPERATOR(pg_catalog.=) d.run_id"
			   " AND c.relid OPERATOR(pg_catalog.=) d.relid"
			   " WHERE d.id OPERATOR(pg_catalog.=) $1"
			   " AND c.action OPERATOR(pg_catalog.=) 'create'"
			   " AND c.status OPERATOR(pg_catalog.=) 'proposed' LIMIT 1", &args) > 0;
}

/* Actions, for those who wait */

void
hone_apply_progress(int64 action_id, HoneProgress *progress)
{
	Arguments	args = {0};

	memset(progress, 0, sizeof(*progress));
	add_int8(&args, action_id);
	if (run("SELECT a.state IN ('queued', 'building'),"
			" a.state IN ('kept', 'reverted') AND a.error IS NULL,"
			" a.state OPERATOR(pg_catalog.=) 'building',"
			" EXISTS (" BUILDER_ALIVE "), a.error"
			" FROM hone.action_store a WHERE a.id OPERATOR(pg_catalog.=) $1", &args) == 0)
		return;
	progress->exists = true;
	progress->finished = !DatumGetBool(column(1));
	progress->ok = DatumGetBool(column(2));
	progress->is_building = DatumGetBool(column(3));
	progress->builder_alive = DatumGetBool(column(4));
	progress->error = column_text(5);
}

void
hone_apply_give_up(int64 action_id, const char *error)
{
	Arguments	args = {0};

	add_int8(&args, action_id);
	add_text(&args, error);
	run("UPDATE hone.action_store SET"
		" state = CASE WHEN operation OPERATOR(pg_catalog.=) 'revert' THEN 'kept'"
		" ELSE 'failed' END, operation = 'apply',"
		" error = $2, finished_at = pg_catalog.clock_timestamp()"
		" WHERE id OPERATOR(pg_catalog.=) $1"
		" AND state OPERATOR(pg_catalog.=) 'queued'", &args);
}
