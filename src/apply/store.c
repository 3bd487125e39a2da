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

#include "miscadmin.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/ruleutils.h"

#include "apply/internal.h"
#include "apply/sql.h"
#include "base/compat.h"

/* Recommendations */

typedef struct Recommendation
{
	char	   *status;
	Oid			requested_by;
	bool		creates;
	char	   *undo_definition;
	int64		size_bytes;
	bool		with_trial;
	HoneAction	action;			/* as it would be queued */
} Recommendation;

#define RECOMMENDATION_SQL \
	"SELECT status, requested_by, action OPERATOR(pg_catalog.=) 'create'," \
	" relid, table_name, index_name, definition, undo_definition, needs_index," \
	" size_bytes FROM hone.recommendation_store WHERE id OPERATOR(pg_catalog.=) $1 FOR UPDATE"

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
	rec->size_bytes = rec->creates ? DatumGetInt64(column(10)) : 0;
}

static bool
is_pending(int64 recommendation_id)
{
	Arguments	args = {0};

	add_int8(&args, recommendation_id);
	return run("SELECT 1 FROM hone.action_store"
			   " WHERE recommendation_id OPERATOR(pg_catalog.=) $1"
			   " AND state IN ('queued', 'building', 'trial')", &args) > 0;
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
						id, rec->status, wanted),
				 strcmp(wanted, "proposed") != 0 ? 0 :
				 strcmp(rec->status, "applied") == 0 ?
				 errhint("Use CALL hone.revert() to take it back.") :
				 strcmp(rec->status, "superseded") == 0 ?
				 errhint("A later run of the advisor replaced it; see hone.recommendations.") :
				 errhint("Its definition can be carried out by hand.")));
		return false;
	}
	if (is_pending(id))
	{
		ereport(elevel,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("recommendation " INT64_FORMAT " is being worked on already", id),
				 strcmp(wanted, "proposed") == 0 ?
				 errhint("See hone.actions for its state; CALL hone.revert() gives it up.") :
				 errhint("See hone.actions for its state.")));
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
	" undo_definition, after_creates, needs_index, wants_trial, size_bytes)" \
	" VALUES ($1, $2, 'apply', CASE WHEN $3 THEN 'create' ELSE 'drop' END," \
	" 'queued', $4, $5, $6, $7, $8, $9, $10, $11, $12, $13) RETURNING id"

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
	add_bool(&args, rec->with_trial);
	add_int8(&args, rec->size_bytes);
	run(QUEUE_SQL, &args);
	return DatumGetInt64(column(1));
}

int64
hone_apply_queue(int64 recommendation_id, bool after_creates, bool with_trial,
				 int elevel, HoneAction *queued)
{
	Recommendation rec;
	Oid			index_oid = InvalidOid;
	const char *undo;

	read_recommendation(recommendation_id, &rec);
	rec.with_trial = with_trial;
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
		rec.size_bytes = hone_apply_index_size(index_oid);
	}
	if (queued != NULL)
		*queued = rec.action;
	return insert_action(&rec, index_oid, undo, after_creates && !rec.creates);
}

#define INSERT_REINDEX_SQL \
	"INSERT INTO hone.action_store (requested_by, operation, action, state, relid," \
	" table_name, index_name, index_oid, definition, after_creates, size_bytes)" \
	" VALUES ($1, 'reindex', 'reindex', 'queued', $2, $3, $4, $5, $6, false, $7) RETURNING id"

int64
hone_apply_insert_reindex(const HoneAction *action)
{
	Arguments	args = {0};

	add_oid(&args, action->requested_by);
	add_oid(&args, action->relid);
	add_text(&args, action->table_name);
	add_text(&args, action->index_name);
	add_oid(&args, action->index_oid);
	add_text(&args, action->definition);
	add_int8(&args, action->size_bytes);
	run(INSERT_REINDEX_SQL, &args);
	return DatumGetInt64(column(1));
}

bool
hone_apply_index_is_busy(Oid index_oid)
{
	Arguments	args = {0};

	add_oid(&args, index_oid);
	return run("SELECT 1 FROM hone.action_store WHERE index_oid OPERATOR(pg_catalog.=) $1"
			   " AND state IN ('queued', 'building', 'trial')", &args) > 0;
}

#define KEPT_SQL \
	"SELECT id, index_oid, undo_definition FROM hone.action_store" \
	" WHERE recommendation_id OPERATOR(pg_catalog.=) $1" \
	" AND state IN ('kept', 'trial')" \
	" ORDER BY id USING OPERATOR(pg_catalog.>) LIMIT 1"

#define QUEUE_REVERT_SQL \
	"UPDATE hone.action_store SET operation = 'revert', state = 'queued'," \
	" requested_by = $2, queued_at = pg_catalog.now(), finished_at = NULL," \
	" attempts = 0, error = NULL, started_at = NULL, retry_at = NULL, postponements = 0," \
	" index_oid = CASE WHEN action OPERATOR(pg_catalog.=) 'create'" \
	" THEN index_oid END" \
	" WHERE id OPERATOR(pg_catalog.=) $1"

/* An index of parts, between two attempts. */
#define HAS_BEGUN \
	"(action OPERATOR(pg_catalog.=) 'create' AND index_oid IS NOT NULL)"

#define GIVE_UP_QUEUED_SQL \
	"UPDATE hone.action_store SET state = 'cancelled', waiting_for = NULL," \
	" leftover = leftover OR " HAS_BEGUN "," \
	" retry_at = CASE WHEN " HAS_BEGUN " THEN pg_catalog.now() END," \
	" error = '57014: taken back before it began', finished_at = pg_catalog.clock_timestamp()" \
	" WHERE recommendation_id OPERATOR(pg_catalog.=) $1" \
	" AND state OPERATOR(pg_catalog.=) 'queued' AND operation OPERATOR(pg_catalog.=) 'apply'"

/* What waits for its turn need not wait any more. */
static bool
give_up_queued(const Recommendation *rec)
{
	Arguments	args = {0};

	if (strcmp(rec->status, "proposed") != 0)
		return false;
	(void) hone_apply_check_table(rec->action.relid, rec->action.table_name,
								  GetUserId(), ERROR);
	add_int8(&args, rec->action.recommendation_id);
	if (run(GIVE_UP_QUEUED_SQL, &args) > 0)
		return true;
	(void) check_status(rec, "proposed", ERROR);	/* it may have begun */
	return false;
}

/* What is on trial is taken back with no more ado: its action's id, or 0. */
static int64
stop_trial(Recommendation *rec)
{
	HoneAction *action = &rec->action;
	Arguments	args = {0};

	add_int8(&args, action->recommendation_id);
	if (run("SELECT index_oid FROM hone.action_store"
			" WHERE recommendation_id OPERATOR(pg_catalog.=) $1"
			" AND state OPERATOR(pg_catalog.=) 'trial' FOR UPDATE", &args) == 0)
		return 0;
	action->index_oid = DatumGetObjectId(column(1));
	(void) hone_apply_check_table(action->relid, action->table_name, GetUserId(), ERROR);
	if (rec->creates && hone_apply_index_state(action) != HONE_INDEX_ABSENT)
		(void) hone_apply_check_drop(action, ERROR);
	return hone_apply_trial_stop(action->recommendation_id, GetUserId());
}

/* Dropped because this index was to do their work, or in the same run. */
#define DROPPED_FOR_SQL \
	"SELECT a.index_name, a.recommendation_id FROM hone.action_store a" \
	" LEFT JOIN hone.recommendation_store r ON r.id OPERATOR(pg_catalog.=) a.recommendation_id" \
	" WHERE a.relid OPERATOR(pg_catalog.=) $1 AND a.action OPERATOR(pg_catalog.=) 'drop'" \
	" AND a.operation OPERATOR(pg_catalog.=) 'apply' AND a.state OPERATOR(pg_catalog.=) 'kept'" \
	" AND (a.needs_index OPERATOR(pg_catalog.=) $2 OR a.needs_index IS NULL" \
	" AND r.run_id OPERATOR(pg_catalog.=) (SELECT c.run_id FROM hone.recommendation_store c" \
	" WHERE c.id OPERATOR(pg_catalog.=) $3)) ORDER BY a.id"

static void
warn_of_dropped(const Recommendation *rec)
{
	Arguments	args = {0};
	uint64		rows;

	if (!rec->creates)
		return;
	add_oid(&args, rec->action.relid);
	add_text(&args, rec->action.index_name);
	add_int8(&args, rec->action.recommendation_id);
	rows = run(DROPPED_FOR_SQL, &args);
	for (uint64 i = 0; i < rows; i++)
	{
		const char *dropped = SPI_getvalue(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 1);
		const char *id = SPI_getvalue(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 2);

		ereport(WARNING,
				(errmsg("neither index \"%s\" nor index \"%s\" will be there",
						rec->action.index_name, dropped),
				 errdetail("Recommendation %s dropped the latter because of the former.", id),
				 errhint("To have it back: CALL hone.revert(%s).", id)));
	}
}

int64
hone_apply_queue_revert(int64 recommendation_id)
{
	Recommendation rec;
	HoneAction *action = &rec.action;
	Arguments	args = {0};
	int64		stopped;

	read_recommendation(recommendation_id, &rec);
	stopped = stop_trial(&rec);
	if (stopped != 0)
		return stopped;
	if (give_up_queued(&rec))
		return 0;
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
	else if (OidIsValid(get_relname_relid(action->index_name,
										  get_rel_namespace(action->relid))))
		ereport(NOTICE,
				(errmsg("index \"%s\" is not the one that was built, and stays as it is",
						action->index_name),
				 errdetail("It was made anew since, by hand or by REINDEX CONCURRENTLY.")));

	args.count = 0;
	add_int8(&args, action->id);
	add_oid(&args, GetUserId());
	run(QUEUE_REVERT_SQL, &args);
	warn_of_dropped(&rec);
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

#define WHERE_LOST \
	"a.state OPERATOR(pg_catalog.=) 'building' AND NOT EXISTS (SELECT" \
	BUILDERS " AND s.pid OPERATOR(pg_catalog.=) a.pid)"
#define WHERE_LEFTOVER \
	"a.leftover AND a.retry_at OPERATOR(pg_catalog.<=) pg_catalog.clock_timestamp()" \
	" AND a.state OPERATOR(pg_catalog.<>) 'building'"
#define WHERE_ANY "((" WHERE_QUEUED ") OR (" WHERE_LOST ") OR (" WHERE_LEFTOVER "))"

#define CANDIDATES_SQL(condition) \
	"SELECT a.id, a.relid FROM hone.action_store a WHERE " condition \
	" ORDER BY a.queued_at, a.id LIMIT 200"

static const char *const candidates_sql[] = {
	[HONE_TAKE_QUEUED] = CANDIDATES_SQL(WHERE_QUEUED),
	[HONE_TAKE_LOST] = CANDIDATES_SQL(WHERE_LOST),
	[HONE_TAKE_LEFTOVER] = CANDIDATES_SQL(WHERE_LEFTOVER),
};

HoneCandidate *
hone_apply_candidates(HoneTake kind, MemoryContext context, int *count)
{
	Arguments	args = {0};
	HoneCandidate *candidates;

	*count = (int) run(candidates_sql[kind], &args);
	candidates = MemoryContextAlloc(context, sizeof(HoneCandidate) * (*count + 1));
	for (int i = 0; i < *count; i++)
	{
		HeapTuple	row = SPI_tuptable->vals[i];
		bool		isnull;

		candidates[i].id = DatumGetInt64(SPI_getbinval(row, SPI_tuptable->tupdesc, 1, &isnull));
		candidates[i].relid = DatumGetObjectId(SPI_getbinval(row, SPI_tuptable->tupdesc, 2, &isnull));
	}
	return candidates;
}

#define TAKE_SQL(condition) \
	"SELECT a.id, a.recommendation_id, a.requested_by," \
	" a.operation OPERATOR(pg_catalog.=) 'revert'," \
	" a.action OPERATOR(pg_catalog.=) 'create'," \
	" a.relid, a.table_name, a.index_name, a.index_oid," \
	" CASE WHEN a.operation OPERATOR(pg_catalog.=) 'revert'" \
	" THEN a.undo_definition ELSE a.definition END, a.after_creates, a.needs_index," \
	" a.operation OPERATOR(pg_catalog.=) 'reindex'," \
	" a.new_index_oid, a.size_bytes, a.attempts, a.postponements" \
	" FROM hone.action_store a WHERE " condition " AND a.id OPERATOR(pg_catalog.=) $1" \
	" FOR NO KEY UPDATE OF a SKIP LOCKED"

static const char *const take_sql[] = {
	[HONE_TAKE_QUEUED] = TAKE_SQL(WHERE_QUEUED),
	[HONE_TAKE_LOST] = TAKE_SQL(WHERE_LOST),
	[HONE_TAKE_LEFTOVER] = TAKE_SQL(WHERE_LEFTOVER),
};

static HoneAction *
make_action(void)
{
	HoneAction *action = palloc0(sizeof(HoneAction));

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
	action->is_reindex = DatumGetBool(column(13));
	if (action->is_reindex)
		action->makes_index = true;
	action->new_index_oid = DatumGetObjectId(column(14));
	action->size_bytes = DatumGetInt64(column(15));
	action->attempts = DatumGetInt32(column(16));
	action->postponements = DatumGetInt32(column(17));
	return action;
}

/*
 * Has somebody locked the row of the recommendation, which the end of the action
 * is to be noted in? (hone.dismiss() in a transaction that is left open, for one.)
 */
static bool
recommendation_is_locked(int64 recommendation_id)
{
	Arguments	args = {0};

	add_int8(&args, recommendation_id);
	return run("SELECT 1 FROM hone.recommendation_store WHERE id OPERATOR(pg_catalog.=) $1"
			   " FOR NO KEY UPDATE SKIP LOCKED", &args) == 0 &&
		run("SELECT 1 FROM hone.recommendation_store WHERE id OPERATOR(pg_catalog.=) $1",
			&args) > 0;
}

/*
 * What somebody has locked is left alone: who leaves a transaction open shall not
 * have a builder, which others wait for, wait for him.
 */
HoneAction *
hone_apply_take(HoneTake kind, int64 id, MemoryContext context)
{
	Arguments	args = {0};
	MemoryContext old;
	HoneAction *action;

	add_int8(&args, id);
	if (run(take_sql[kind], &args) == 0)
		return NULL;
	old = MemoryContextSwitchTo(context);
	action = make_action();
	MemoryContextSwitchTo(old);
	if (recommendation_is_locked(action->recommendation_id))
		return NULL;
	action->partitioned = !action->is_reindex && hone_apply_is_partitioned(action);
	return action;
}

bool
hone_apply_has_due(void)
{
	Arguments	args = {0};

	return run("SELECT 1 FROM hone.action_store a WHERE " WHERE_ANY " LIMIT 1", &args) > 0;
}

bool
hone_apply_has_work(void)
{
	Arguments	args = {0};

	add(&args, INT4OID, Int32GetDatum(hone_apply_max_builds), false);
	return run("SELECT 1 FROM hone.action_store a WHERE " WHERE_ANY
			   " AND (SELECT pg_catalog.count(*)" BUILDERS ") OPERATOR(pg_catalog.<) $1"
			   " LIMIT 1", &args) > 0;
}

bool
hone_apply_has_unfinished(void)
{
	Arguments	args = {0};

	return run("SELECT 1 FROM hone.action_store"
			   " WHERE state IN ('queued', 'building', 'trial') OR leftover LIMIT 1", &args) > 0;
}

bool
hone_apply_record_start(const HoneAction *action)
{
	Arguments	args = {0};

	add_int8(&args, action->id);
	return run("UPDATE hone.action_store SET state = 'building', waiting_for = NULL,"
			   " retry_at = NULL, postponements = 0, looked_at = pg_catalog.clock_timestamp(),"
			   " started_at = pg_catalog.clock_timestamp(), pid = pg_catalog.pg_backend_pid(),"
			   " attempts = attempts OPERATOR(pg_catalog.+) 1"
			   " WHERE id OPERATOR(pg_catalog.=) (" QUEUED_UNLOCKED ")", &args) > 0;
}

/* Only the index itself, not what an event trigger may make beside it. */
#define RECORD_INDEX_SQL \
	"UPDATE hone.action_store a SET index_oid = c.oid FROM pg_catalog.pg_class c" \
	" WHERE a.id OPERATOR(pg_catalog.=) $1 AND c.oid OPERATOR(pg_catalog.=) $2" \
	" AND c.relkind IN ('i', 'I')" \
	" AND c.relname OPERATOR(pg_catalog.=) a.index_name::pg_catalog.name" \
	" AND a.index_oid IS NULL"

/* The server gives it a name that ends so. */
#define RECORD_NEW_INDEX_SQL \
	"UPDATE hone.action_store a SET new_index_oid = c.oid FROM pg_catalog.pg_class c" \
	" JOIN pg_catalog.pg_index i ON i.indexrelid OPERATOR(pg_catalog.=) c.oid" \
	" WHERE a.id OPERATOR(pg_catalog.=) $1 AND c.oid OPERATOR(pg_catalog.=) $2" \
	" AND i.indrelid OPERATOR(pg_catalog.=) a.relid AND NOT i.indisvalid" \
	" AND c.relname OPERATOR(pg_catalog.~) '_ccnew[0-9]*$'" \
	" AND a.new_index_oid IS NULL"

bool
hone_apply_record_index(const HoneAction *action, Oid index_oid)
{
	Arguments	args = {0};

	add_int8(&args, action->id);
	add_oid(&args, index_oid);
	return run(action->is_reindex ? RECORD_NEW_INDEX_SQL : RECORD_INDEX_SQL, &args) > 0;
}

#define END_SQL \
	"UPDATE hone.action_store SET state = $2, error = $3, leftover = $4," \
	" operation = CASE WHEN $2 OPERATOR(pg_catalog.=) 'kept'" \
	" AND operation OPERATOR(pg_catalog.=) 'revert' THEN 'apply' ELSE operation END," \
	" waiting_for = NULL, finished_at = pg_catalog.clock_timestamp(), pid = NULL," \
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
	if (strcmp(state, "kept") == 0 || strcmp(state, "trial") == 0)
		run("UPDATE hone.recommendation_store SET status = 'applied'"
			" WHERE id OPERATOR(pg_catalog.=) $1", &args);
	else if (strcmp(state, "reverted") == 0)
		run("UPDATE hone.recommendation_store SET status = 'reverted'"
			" WHERE id OPERATOR(pg_catalog.=) $1", &args);
}

/* What is gone is forgotten, so that the next attempt can note its own. */
void
hone_apply_record_leftover(const HoneAction *action, bool leftover)
{
	Arguments	args = {0};

	add_int8(&args, action->id);
	add_bool(&args, leftover);
	run("UPDATE hone.action_store SET leftover = $2,"
		" index_oid = CASE WHEN $2 OR operation OPERATOR(pg_catalog.=) 'reindex'"
		" OR state OPERATOR(pg_catalog.<>) 'queued' THEN index_oid END,"
		" new_index_oid = CASE WHEN $2 OR state OPERATOR(pg_catalog.<>) 'queued'"
		" THEN new_index_oid END,"
		" retry_at = CASE WHEN $2 THEN pg_catalog.clock_timestamp() OPERATOR(pg_catalog.+)"
		" '1 minute'::pg_catalog.interval ELSE retry_at END"
		" WHERE id OPERATOR(pg_catalog.=) $1", &args);
}

/*
 * A rebuilt index has another OID; who knew it by the old one shall know it
 * still.
 */
void
hone_apply_record_built(const HoneAction *action)
{
	Arguments	args = {0};

	add_int8(&args, action->id);
	run("UPDATE hone.action_store SET built_at = pg_catalog.clock_timestamp()"
		" WHERE id OPERATOR(pg_catalog.=) $1", &args);
	if (!action->is_reindex)
		return;
	add_oid(&args, action->index_oid);
	add_oid(&args, action->new_index_oid);
	run("UPDATE hone.action_store SET index_oid = $3"
		" WHERE id OPERATOR(pg_catalog.<>) $1 AND index_oid OPERATOR(pg_catalog.=) $2"
		" AND operation OPERATOR(pg_catalog.<>) 'reindex'"
		" AND state IN ('kept', 'trial', 'queued')", &args);
}

#define RETRY_SQL \
	"UPDATE hone.action_store SET state = 'queued', error = $2, leftover = $3, pid = NULL," \
	" retry_at = pg_catalog.clock_timestamp() OPERATOR(pg_catalog.+)" \
	" pg_catalog.make_interval(secs => $4), waiting_for = '" HONE_ANOTHER_ATTEMPT "'," \
	" index_oid = CASE WHEN $3 OR $5 THEN index_oid END," \
	" new_index_oid = CASE WHEN $3 THEN new_index_oid END" \
	" WHERE id OPERATOR(pg_catalog.=) $1"

void
hone_apply_record_retry(const HoneAction *action, const char *error, bool leftover,
						int retry_s)
{
	Arguments	args = {0};

	add_int8(&args, action->id);
	add_text(&args, error);
	add_bool(&args, leftover);
	add(&args, INT4OID, Int32GetDatum(retry_s), false);
	add_bool(&args, action->is_reindex || !action->makes_index || action->partitioned);
	run(RETRY_SQL, &args);
}

bool
hone_apply_creates_missing(const HoneAction *action)
{
	Arguments	args = {0};

	add_int8(&args, action->recommendation_id);
	add_int8(&args, action->id);
	return run("SELECT 1 FROM hone.recommendation_store d JOIN hone.recommendation_store c"
			   " ON c.run_id OPERATOR(pg_catalog.=) d.run_id"
			   " AND c.relid OPERATOR(pg_catalog.=) d.relid"
			   " WHERE d.id OPERATOR(pg_catalog.=) $1"
			   " AND c.action OPERATOR(pg_catalog.=) 'create'"
			   " AND (c.status OPERATOR(pg_catalog.=) 'proposed'"
			   " OR c.status OPERATOR(pg_catalog.=) 'reverted' AND EXISTS ("
	/* by the verdict of a trial that the drop waited for */
			   "SELECT FROM hone.action_store t, hone.action_store o"
			   " WHERE t.recommendation_id OPERATOR(pg_catalog.=) c.id"
			   " AND t.trial OPERATOR(pg_catalog.=) 'create'"
			   " AND o.id OPERATOR(pg_catalog.=) $2"
			   " AND t.finished_at OPERATOR(pg_catalog.>) o.queued_at)) LIMIT 1", &args) > 0;
}

/* Actions, for those who wait */

#define PROGRESS_SQL \
	"SELECT a.state IN ('queued', 'building')," \
	" a.state IN ('kept', 'trial', 'reverted') AND a.error IS NULL," \
	" a.state OPERATOR(pg_catalog.=) 'building'," \
	" (" WHERE_QUEUED ") OR (" WHERE_LEFTOVER ")," \
	" a.state OPERATOR(pg_catalog.=) 'queued' AND pg_catalog.starts_with(a.waiting_for, '" \
	HONE_WAITS_FOR_TIME "')," \
	" a.state OPERATOR(pg_catalog.=) 'queued' AND pg_catalog.starts_with(a.waiting_for, '" \
	HONE_WAITS_FOR_TRIAL "')," \
	" EXISTS (SELECT" BUILDERS " AND s.pid OPERATOR(pg_catalog.=) a.pid)," \
	" (SELECT pg_catalog.count(*)::pg_catalog.int4" BUILDERS ")," \
	" a.attempts, a.error, a.waiting_for, a.looked_at" \
	" FROM hone.action_store a WHERE a.id OPERATOR(pg_catalog.=) $1"

void
hone_apply_progress(int64 action_id, HoneProgress *progress)
{
	Arguments	args = {0};

	memset(progress, 0, sizeof(*progress));
	add_int8(&args, action_id);
	if (run(PROGRESS_SQL, &args) == 0)
		return;
	progress->exists = true;
	progress->finished = !DatumGetBool(column(1));
	progress->ok = DatumGetBool(column(2));
	progress->is_building = DatumGetBool(column(3));
	progress->is_due = DatumGetBool(column(4));
	progress->is_limited = DatumGetBool(column(5));
	progress->is_after_trial = DatumGetBool(column(6));
	progress->builder_alive = DatumGetBool(column(7));
	progress->builders = DatumGetInt32(column(8));
	progress->attempts = DatumGetInt32(column(9));
	progress->error = column_text(10);
	progress->waiting_for = column_text(11);
	progress->looked_at = DatumGetTimestampTz(column(12));
}

#define BUILD_PROGRESS_SQL \
	"SELECT a.requested_by, CASE WHEN a.operation OPERATOR(pg_catalog.=) 'apply'" \
	" AND a.action OPERATOR(pg_catalog.=) 'drop' OR a.operation OPERATOR(pg_catalog.=) 'revert'" \
	" AND a.action OPERATOR(pg_catalog.=) 'create' THEN 'dropping index'" \
	" ELSE coalesce(p.phase, 'preparing') END," \
	" p.blocks_done, p.blocks_total, p.tuples_done, p.tuples_total," \
	" nullif(p.current_locker_pid, 0)" \
	" FROM hone.action_store a" \
	" LEFT JOIN pg_catalog.pg_stat_progress_create_index p" \
	" ON p.pid OPERATOR(pg_catalog.=) a.pid AND p.datname OPERATOR(pg_catalog.=)" \
	" pg_catalog.current_database()" \
	" WHERE a.id OPERATOR(pg_catalog.=) $1" \
	" AND a.state OPERATOR(pg_catalog.=) 'building'"

/* The server shows a worker's progress to few; the one who asked for it is one. */
void
hone_apply_build_progress(int64 action_id, MemoryContext context, Datum *values, bool *nulls)
{
	Arguments	args = {0};
	MemoryContext old;

	memset(nulls, true, HONE_PROGRESS_COLUMNS * sizeof(bool));
	add_int8(&args, action_id);
	if (run(BUILD_PROGRESS_SQL, &args) == 0 ||
		!hone_may_see_role(DatumGetObjectId(column(1))))
		return;
	old = MemoryContextSwitchTo(context);
	for (int i = 0; i < HONE_PROGRESS_COLUMNS; i++)
	{
		nulls[i] = column_is_null(i + 2);
		if (!nulls[i])
			values[i] = i == 0 ? CStringGetTextDatum(column_text(2)) : column(i + 2);
	}
	MemoryContextSwitchTo(old);
}

void
hone_apply_give_up(int64 action_id, const char *error)
{
	Arguments	args = {0};

	add_int8(&args, action_id);
	add_text(&args, error);
	run("UPDATE hone.action_store SET"
		" state = CASE WHEN operation OPERATOR(pg_catalog.=) 'revert' THEN 'kept'"
		" ELSE 'failed' END,"
		" operation = CASE WHEN operation OPERATOR(pg_catalog.=) 'revert' THEN 'apply'"
		" ELSE operation END, waiting_for = NULL,"
		" error = $2, finished_at = pg_catalog.clock_timestamp()"
		" WHERE id OPERATOR(pg_catalog.=) $1"
		" AND state OPERATOR(pg_catalog.=) 'queued'", &args);
}
