/*
 * hide.c
 *	  Who hides indexes from the planner, and shows them again.
 *
 * hone.hide_index and hone.show_index for people, hone_whatif_hide() and its
 * like for those who try indexes. All of it is rows of hone.hidden_index_store,
 * written by static statements as the extension's owner, and an invalidation of
 * the store and of the tables whose plans may have changed (hidden.c says what
 * follows). Both are undone by a rollback, in this session too.
 *
 * What is refused: what backs a constraint or a foreign key, and replica
 * identities, since the server itself queries by them; system catalogs, whose
 * plans must not depend on us; temporary tables, which nobody else plans. For a
 * partitioned index its partitions count as well.
 *
 * The row has the index's OID and its table's, and nothing removes it when the
 * index is dropped. It harms nobody: both OIDs would have to be used again
 * together. hone_whatif_forget_gone() sweeps. REINDEX, CLUSTER and ALTER INDEX
 * keep the OID, so the index stays hidden. REINDEX CONCURRENTLY makes a copy that
 * takes the index's place: the copy is hidden the same way in the transaction
 * that makes it, if this session has the library and track_activities is on (the
 * server says there what is being copied). What ALTER TABLE builds anew for a
 * changed column type, and what is restored from a dump, is another index, and
 * not hidden.
 *
 * Locks: the table and then the index in AccessShareLock until the end of the
 * transaction, as DROP INDEX takes them, so that neither goes meanwhile; the
 * store's rows as any statement. Standby: refused. Not preloaded: works, and
 * counts for the sessions that have the library. No state of our own.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/catalog.h"
#include "catalog/dependency.h"
#include "catalog/index.h"
#include "catalog/namespace.h"
#include "catalog/objectaccess.h"
#include "catalog/pg_class.h"
#include "catalog/pg_index.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_type.h"
#include "commands/progress.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "optimizer/optimizer.h"
#include "storage/lmgr.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

#include "base/arm.h"
#include "base/compat.h"
#include "base/sql.h"
#include "whatif/hidden.h"
#include "whatif/whatif.h"

PG_FUNCTION_INFO_V1(hone_hide_index);
PG_FUNCTION_INFO_V1(hone_show_index);
PG_FUNCTION_INFO_V1(hone_hide_for_trial);
PG_FUNCTION_INFO_V1(hone_turn_trial);
PG_FUNCTION_INFO_V1(hone_plan_arms);

static object_access_hook_type prev_object_access = NULL;

/* Telling everybody */

static void
invalidate(Oid relid)
{
	if (SearchSysCacheExists1(RELOID, ObjectIdGetDatum(relid)))
		CacheInvalidateRelcacheByRelid(relid);
}

/*
 * Parents of any kind: a query of theirs that is being planned right now in
 * another session has no plan yet that its partitions' invalidation could hit.
 */
static void
invalidate_parents(Oid relid)
{
	Relation	rel = table_open(InheritsRelationId, AccessShareLock);
	List	   *found = NIL;
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	tuple;
	ListCell   *lc;

	ScanKeyInit(&key, Anum_pg_inherits_inhrelid, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(relid));
	scan = systable_beginscan(rel, InheritsRelidSeqnoIndexId, true, NULL, 1, &key);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
		found = lappend_oid(found, ((Form_pg_inherits) GETSTRUCT(tuple))->inhparent);
	systable_endscan(scan);
	table_close(rel, AccessShareLock);

	foreach(lc, found)
	{
		invalidate(lfirst_oid(lc));
		invalidate_parents(lfirst_oid(lc));
	}
}

static void
invalidate_store(void)
{
	invalidate(get_relname_relid(HONE_HIDDEN_STORE,
								 get_namespace_oid(HONE_HIDDEN_SCHEMA, false)));
}

/*
 * All plans on the table are to be made anew, by copies of the store that have
 * what was just written. For this session that begins when the command counter
 * moves, which it does only if somebody has used it.
 */
static void
tell_everybody(Oid relid)
{
	ListCell   *lc;

	invalidate_store();
	foreach(lc, find_all_inheritors(relid, NoLock, NULL))
		invalidate(lfirst_oid(lc));
	invalidate_parents(relid);
	(void) GetCurrentCommandId(true);
	CommandCounterIncrement();
}

/* The store */

/* All that is tried is in the same turn: on one table, on the same side. */
#define INSERT_SQL \
	"INSERT INTO hone.hidden_index_store" \
	" (index_oid, relid, kind, trial, arms, hidden_by, turn)" \
	" VALUES ($1, $2, $3, $4, $5, $6, COALESCE((SELECT pg_catalog.max(h.turn)" \
	" FROM hone.hidden_index_store h WHERE h.trial IS NOT NULL AND $4 IS NOT NULL), 0))" \
	" ON CONFLICT (index_oid) DO UPDATE SET"

static void
add_row(Arguments *args, Oid index_oid, Oid relid, const char *kind, int64 trial, bool arms)
{
	add(args, OIDOID, ObjectIdGetDatum(index_oid), false);
	add(args, OIDOID, ObjectIdGetDatum(relid), false);
	add(args, TEXTOID, CStringGetTextDatum(kind), false);
	add(args, INT8OID, Int64GetDatum(trial), trial == 0);
	add(args, BOOLOID, BoolGetDatum(arms), false);
	add(args, OIDOID, ObjectIdGetDatum(GetUserId()), false);
}

/* Run what returns the tables concerned, and tell everybody. */
static void
change_rows(const char *sql, Arguments *args)
{
	List	   *relids = NIL;
	ListCell   *lc;

	run(sql, args);
	for (uint64 row = 0; row < SPI_processed; row++)
		relids = list_append_unique_oid(relids, DatumGetObjectId(column_of(row, 1)));
	foreach(lc, relids)
		tell_everybody(lfirst_oid(lc));
}

void
hone_whatif_hide(Oid index_oid, const char *kind, int64 trial, bool arms)
{
	Arguments	args = {0};

	if (arms && (trial <= 0 || trial > HONE_MAX_TRIAL))
		ereport(ERROR,
				(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
				 errmsg("trial " INT64_FORMAT " cannot have arms", trial)));
	SPI_connect();
	add_row(&args, index_oid, IndexGetRelation(index_oid, false), kind, trial, arms);
	change_rows(INSERT_SQL " relid = excluded.relid, kind = excluded.kind,"
				" trial = excluded.trial, arms = excluded.arms, turn = excluded.turn"
				" RETURNING relid", &args);
	if (trial > 0)
	{
		memset(&args, 0, sizeof(args));
		add(&args, INT8OID, Int64GetDatum(trial), false);
		add(&args, TEXTOID, CStringGetTextDatum(kind), false);
		add(&args, BOOLOID, BoolGetDatum(arms), false);
		change_rows("UPDATE hone.hidden_index_store SET kind = $2, arms = $3,"
					" turn = (SELECT pg_catalog.max(h.turn)"
					" FROM hone.hidden_index_store h WHERE h.trial IS NOT NULL)"
					" WHERE trial OPERATOR(pg_catalog.=) $1"
					" AND (kind OPERATOR(pg_catalog.<>) $2 OR arms OPERATOR(pg_catalog.<>) $3)"
					" RETURNING relid", &args);
	}
	SPI_finish();
}

void
hone_whatif_show_trial(int64 trial)
{
	Arguments	args = {0};

	SPI_connect();
	add(&args, INT8OID, Int64GetDatum(trial), false);
	change_rows("DELETE FROM hone.hidden_index_store"
				" WHERE trial OPERATOR(pg_catalog.=) $1 RETURNING relid", &args);
	SPI_finish();
}

void
hone_whatif_turn(int64 trial)
{
	Arguments	args = {0};

	SPI_connect();
	add(&args, INT8OID, Int64GetDatum(trial), false);
	change_rows("UPDATE hone.hidden_index_store SET turn = turn OPERATOR(pg_catalog.+) 1"
				" WHERE trial OPERATOR(pg_catalog.=) $1 RETURNING relid", &args);
	SPI_finish();
}

void
hone_whatif_forget_gone(void)
{
	Arguments	args = {0};

	SPI_connect();
	/* Who is about to do the same is not waited for. */
	if (run("DELETE FROM hone.hidden_index_store d WHERE d.index_oid"
			" OPERATOR(pg_catalog.=) ANY (ARRAY("
			"SELECT s.index_oid FROM hone.hidden_index_store s WHERE NOT EXISTS ("
			"SELECT 1 FROM pg_catalog.pg_index i"
			" WHERE i.indexrelid OPERATOR(pg_catalog.=) s.index_oid"
			" AND i.indrelid OPERATOR(pg_catalog.=) s.relid) FOR UPDATE SKIP LOCKED))", &args) > 0)
	{
		invalidate_store();
		(void) GetCurrentCommandId(true);
		CommandCounterIncrement();
	}
	SPI_finish();
}

/* What may be hidden, and by whom */

static void
no_such_index(Oid index_oid)
{
	ereport(ERROR,
			(errcode(ERRCODE_UNDEFINED_OBJECT),
			 errmsg("index with OID %u does not exist", index_oid)));
}

/* Its table, if the caller may change that one's indexes. */
static Oid
check_owner(Oid index_oid)
{
	char		relkind = get_rel_relkind(index_oid);
	Oid			relid;

	if (relkind == '\0')
		no_such_index(index_oid);
	if (relkind != RELKIND_INDEX && relkind != RELKIND_PARTITIONED_INDEX)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("\"%s\" is not an index", get_rel_name(index_oid))));
	relid = IndexGetRelation(index_oid, true);
	if (!OidIsValid(relid))
		no_such_index(index_oid);
	if (!hone_owns_relation(relid, GetUserId()))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("must be owner of table %s", get_rel_name(relid))));
	return relid;
}

/* Looked at again with locks: time has passed while they were waited for. */
static Oid
lock_and_check_owner(Oid index_oid)
{
	Oid			relid = check_owner(index_oid);

	LockRelationOid(relid, AccessShareLock);
	LockRelationOid(index_oid, AccessShareLock);
	return check_owner(index_oid);
}

static void
check_table(Oid relid)
{
	if (IsCatalogRelationOid(relid) || IsToastNamespace(get_rel_namespace(relid)))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("permission denied: \"%s\" is a system catalog",
						get_rel_name(relid))));
	if (get_rel_persistence(relid) == RELPERSISTENCE_TEMP)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("cannot hide an index of temporary table \"%s\"",
						get_rel_name(relid)),
				 errdetail("No other session plans with it.")));
}

/* NULL if nothing needs it. */
static const char *
needed_for(Oid index_oid)
{
	HeapTuple	tuple = SearchSysCache1(INDEXRELID, ObjectIdGetDatum(index_oid));
	bool		identity;

	if (!HeapTupleIsValid(tuple))
		return NULL;			/* a partition that is being dropped */
	identity = ((Form_pg_index) GETSTRUCT(tuple))->indisreplident;
	ReleaseSysCache(tuple);
	if (OidIsValid(get_index_constraint(index_oid)))
		return "Index \"%s\" belongs to a constraint.";
	if (get_index_ref_constraints(index_oid) != NIL)
		return "A foreign key references the columns of index \"%s\".";
	if (identity)
		return "Index \"%s\" is its table's replica identity.";
	return NULL;
}

static void
check_not_needed(Oid index_oid)
{
	ListCell   *lc;

	foreach(lc, find_all_inheritors(index_oid, NoLock, NULL))
	{
		const char *reason = needed_for(lfirst_oid(lc));

		if (reason != NULL)
			ereport(ERROR,
					(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
					 errmsg("index \"%s\" cannot be hidden", get_rel_name(index_oid)),
					 errdetail_internal(reason, get_rel_name(lfirst_oid(lc)))));
	}
}

/* hone.hide_index and hone.show_index are not for those under trial. */
static void
refuse_trial(Oid index_oid, const char *kind, int64 trial)
{
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 strcmp(kind, "trial") == 0 ?
			 errmsg("index \"%s\" is on trial", get_rel_name(index_oid)) :
			 errmsg("index \"%s\" is about to be dropped", get_rel_name(index_oid)),
			 errhint("Use CALL hone.revert() with the recommendation of action " INT64_FORMAT ".",
					 trial)));
}

/* The statement returned kind and trial of the index's row. */
static void
check_manual(Oid index_oid)
{
	char	   *kind = TextDatumGetCString(column(1));

	if (strcmp(kind, "manual") != 0)
		refuse_trial(index_oid, kind, DatumGetInt64(column(2)));
}

static Oid
take_index(FunctionCallInfo fcinfo, const char *command)
{
	if (PG_ARGISNULL(0))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("argument \"index\" must not be null")));
	PreventCommandDuringRecovery(command);
	PreventCommandIfReadOnly(command);
	return PG_GETARG_OID(0);
}

Datum
hone_hide_index(PG_FUNCTION_ARGS)
{
	Oid			index_oid = take_index(fcinfo, "hone.hide_index()");
	Oid			relid = lock_and_check_owner(index_oid);
	Arguments	args = {0};

	check_table(relid);
	check_not_needed(index_oid);
	hone_whatif_forget_gone();

	SPI_connect();
	add_row(&args, index_oid, relid, "manual", 0, false);
	run(INSERT_SQL " relid = excluded.relid RETURNING kind, trial", &args);
	check_manual(index_oid);
	SPI_finish();
	tell_everybody(relid);
	PG_RETURN_VOID();
}

Datum
hone_show_index(PG_FUNCTION_ARGS)
{
	Oid			index_oid = take_index(fcinfo, "hone.show_index()");
	Oid			ancestor;
	Arguments	args = {0};

	(void) lock_and_check_owner(index_oid);
	SPI_connect();
	add(&args, OIDOID, ObjectIdGetDatum(index_oid), false);
	if (run("SELECT kind, trial FROM hone.hidden_index_store"
			" WHERE index_oid OPERATOR(pg_catalog.=) $1 FOR UPDATE", &args) > 0)
	{
		check_manual(index_oid);
		change_rows("DELETE FROM hone.hidden_index_store"
					" WHERE index_oid OPERATOR(pg_catalog.=) $1 RETURNING relid", &args);
	}
	SPI_finish();

	ancestor = hone_hidden_ancestor(index_oid);
	if (OidIsValid(ancestor) && ancestor != index_oid)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("index \"%s\" is hidden as a partition of index \"%s\"",
						get_rel_name(index_oid), get_rel_name(ancestor)),
				 errhint("Show that one.")));
	PG_RETURN_VOID();
}

/* The same for trials, from SQL: for tests and for whoever repairs by hand. */

Datum
hone_hide_for_trial(PG_FUNCTION_ARGS)
{
	Oid			index_oid = take_index(fcinfo, "hone.hide_for_trial()");
	const char *kind;
	Oid			relid;

	if (PG_ARGISNULL(1) || PG_ARGISNULL(2) || PG_ARGISNULL(3))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("argument \"%s\" must not be null",
						PG_ARGISNULL(1) ? "kind" : PG_ARGISNULL(2) ? "trial" : "arms")));
	kind = text_to_cstring(PG_GETARG_TEXT_PP(1));
	if (strcmp(kind, "trial") != 0 && strcmp(kind, "drop") != 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("argument \"kind\" must be \"trial\" or \"drop\"")));
	if (PG_GETARG_INT64(2) <= 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("argument \"trial\" must be positive")));
	relid = lock_and_check_owner(index_oid);
	check_table(relid);
	check_not_needed(index_oid);
	hone_whatif_hide(index_oid, kind, PG_GETARG_INT64(2), PG_GETARG_BOOL(3));
	PG_RETURN_VOID();
}

Datum
hone_turn_trial(PG_FUNCTION_ARGS)
{
	PreventCommandDuringRecovery("hone.turn_trial()");
	PreventCommandIfReadOnly("hone.turn_trial()");
	hone_whatif_turn(PG_GETARG_INT64(0));
	PG_RETURN_VOID();
}

/* The arms of the plans this session would make, without running them. */
Datum
hone_plan_arms(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	char	   *statement = text_to_cstring(PG_GETARG_TEXT_PP(0));
	Oid		   *types;
	int			ntypes;
	ListCell   *lc;

	InitMaterializedSRF(fcinfo, 0);
	foreach(lc, hone_whatif_analyze(statement, NULL, 0, &types, &ntypes))
	{
		Query	   *query = lfirst_node(Query, lc);
		PlannedStmt *plan;
		ListCell   *item;

		if (query->commandType == CMD_UTILITY)
			continue;
		plan = planner(query, statement, CURSOR_OPT_PARALLEL_OK, NULL);
		hone_check_plan_permissions(plan);
		foreach(item, plan->invalItems)
		{
			HoneArm		arm;
			Datum		values[3];
			bool		nulls[3] = {false};

			if (!hone_is_arm(lfirst(item)))
				break;
			arm = hone_arm(lfirst(item));
			values[0] = Int64GetDatum((int64) arm.trial);
			values[1] = BoolGetDatum(arm.visible);
			values[2] = BoolGetDatum(arm.used);
			tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
		}
	}
	PG_RETURN_VOID();
}

/* REINDEX CONCURRENTLY */

/* The index of which a copy is being made, if that is what this process does. */
static Oid
being_reindexed(void)
{
	const PgBackendStatus *status = MyBEEntry;

	if (status == NULL || status->st_progress_command != PROGRESS_COMMAND_CREATE_INDEX ||
		status->st_progress_param[PROGRESS_CREATEIDX_COMMAND] !=
		PROGRESS_CREATEIDX_COMMAND_REINDEX_CONCURRENTLY)
		return InvalidOid;
	return (Oid) status->st_progress_param[PROGRESS_CREATEIDX_INDEX_OID];
}

static void
hide_copy(Oid original, Oid copy)
{
	Arguments	args = {0};

	CommandCounterIncrement();
	SPI_connect();
	add(&args, OIDOID, ObjectIdGetDatum(original), false);
	add(&args, OIDOID, ObjectIdGetDatum(copy), false);
	change_rows("INSERT INTO hone.hidden_index_store"
				" (index_oid, relid, kind, trial, arms, turn, hidden_by, hidden_at)"
				" SELECT $2, relid, kind, trial, arms, turn, hidden_by, hidden_at"
				" FROM hone.hidden_index_store WHERE index_oid OPERATOR(pg_catalog.=) $1"
				" ON CONFLICT (index_oid) DO NOTHING RETURNING relid", &args);
	SPI_finish();
}

static void
follow_reindex(ObjectAccessType access, Oid class_id, Oid object_id, int sub_id, void *arg)
{
	if (prev_object_access)
		prev_object_access(access, class_id, object_id, sub_id, arg);
	if (access == OAT_POST_CREATE && class_id == RelationRelationId && sub_id == 0)
	{
		Oid			original = being_reindexed();

		if (OidIsValid(original) && hone_hidden_ancestor(original) == original)
			hide_copy(original, object_id);
	}
}

void
hone_hide_init(void)
{
	prev_object_access = object_access_hook;
	object_access_hook = follow_reindex;
}
