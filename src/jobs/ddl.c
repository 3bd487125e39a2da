/*
 * ddl.c
 *	  Index DDL of a worker, and ANALYZE, as the role that asked for it.
 *
 * CREATE, DROP and REINDEX INDEX CONCURRENTLY commit several times while they run, so
 * they must be a top-level statement; and they go through a portal, as a
 * client's statement does, because an event trigger needs one to take its
 * snapshot from.
 *
 * The role: the worker is connected as the bootstrap superuser and changes its
 * session user between transactions, which holds over the statement's inner
 * commits (a user set inside the transaction would not). From there to the
 * end nothing runs with more rights than the role has: parsing, permission
 * checks and the build itself, in which the server additionally becomes the
 * table's owner in a restricted operation, where SET SESSION AUTHORIZATION
 * is refused.
 *
 * Settings are set for the session rather than locally, for the same reason.
 * statement_timeout is armed by hand: only a client backend's main loop looks
 * at the setting.
 *
 * Memory: parse trees live in a context of their own below TopMemoryContext,
 * which the inner commits leave alone.
 *
 * On error: the transaction is aborted, the session user is put back, and the
 * caller is told. What the statement committed before is still there.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/namespace.h"
#include "catalog/objectaccess.h"
#include "catalog/pg_authid.h"
#include "catalog/pg_class.h"
#include "commands/defrem.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "tcop/pquery.h"
#include "tcop/tcopprot.h"
#include "tcop/utility.h"
#include "utils/acl.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/portal.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"
#include "utils/timeout.h"

#include "base/compat.h"
#include "jobs/internal.h"
#include "jobs/jobs.h"

/* The statement whose new relations are watched; NULL between statements. */
static const HoneDdl *watched = NULL;
static object_access_hook_type prev_object_access = NULL;

/* Lives as long as the statement, over its inner commits. */
static MemoryContext ddl_context = NULL;

static void
watch_creation(ObjectAccessType access, Oid class_id, Oid object_id, int sub_id,
			   void *arg)
{
	if (prev_object_access)
		prev_object_access(access, class_id, object_id, sub_id, arg);
	if (watched && access == OAT_POST_CREATE &&
		class_id == RelationRelationId && sub_id == 0)
		watched->created(object_id, watched->created_arg);
}

/* Only ever in a worker, so it is never taken out again. */
static void
watch(const HoneDdl *ddl)
{
	static bool installed = false;

	if (!installed)
	{
		prev_object_access = object_access_hook;
		object_access_hook = watch_creation;
		installed = true;
	}
	watched = ddl->created ? ddl : NULL;
}

typedef struct RoleLookup
{
	Oid			roleid;
	bool		is_superuser;
} RoleLookup;

static void
look_up_role(void *arg)
{
	RoleLookup *role = arg;

	if (!SearchSysCacheExists1(AUTHOID, ObjectIdGetDatum(role->roleid)))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("role with OID %u does not exist", role->roleid)));
	role->is_superuser = superuser_arg(role->roleid);
}

static bool
rebuilds_concurrently(ReindexStmt *statement)
{
	ListCell   *lc;

	foreach(lc, statement->params)
	{
		DefElem    *option = lfirst_node(DefElem, lc);

		if (strcmp(option->defname, "concurrently") == 0)
			return statement->kind == REINDEX_OBJECT_INDEX && defGetBoolean(option);
	}
	return false;
}

static char
kind_of(RangeVar *name)
{
	Oid			relid = RangeVarGetRelid(name, NoLock, true);

	return OidIsValid(relid) ? get_rel_relkind(relid) : '\0';
}

/*
 * What cannot be done concurrently, and has no need to, as it changes nothing
 * but catalogs: an index of a partitioned table without those of its
 * partitions, taking those in, dropping all. The caller sees to it that nobody
 * waits for long behind the locks. (Names are looked up once more by the
 * statement itself. If somebody renames things between, an index that is not
 * built concurrently makes writers wait, and so does what he does.)
 */
static bool
changes_catalogs_only(Node *statement)
{
	if (IsA(statement, IndexStmt))
	{
		RangeVar   *table = ((IndexStmt *) statement)->relation;

		return !table->inh && kind_of(table) == RELKIND_PARTITIONED_TABLE;
	}
	if (IsA(statement, AlterTableStmt))
	{
		AlterTableStmt *alter = (AlterTableStmt *) statement;

		return alter->objtype == OBJECT_INDEX && list_length(alter->cmds) == 1 &&
			linitial_node(AlterTableCmd, alter->cmds)->subtype == AT_AttachPartition;
	}
	if (IsA(statement, DropStmt))
	{
		DropStmt   *drop = (DropStmt *) statement;

		return drop->removeType == OBJECT_INDEX && drop->behavior == DROP_RESTRICT &&
			list_length(drop->objects) == 1 &&
			kind_of(makeRangeVarFromNameList(linitial(drop->objects))) == RELKIND_PARTITIONED_INDEX;
	}
	return false;
}

/* What blocks nobody's reads and writes. */
static bool
may_be_run(Node *statement)
{
	if (changes_catalogs_only(statement))
		return true;
	if (IsA(statement, VacuumStmt))
		return !((VacuumStmt *) statement)->is_vacuumcmd &&
			list_length(((VacuumStmt *) statement)->rels) == 1;
	if (IsA(statement, IndexStmt))
		return ((IndexStmt *) statement)->concurrent;
	if (IsA(statement, ReindexStmt))
		return rebuilds_concurrently((ReindexStmt *) statement);
	if (IsA(statement, DropStmt))
		return ((DropStmt *) statement)->removeType == OBJECT_INDEX &&
			((DropStmt *) statement)->concurrent &&
			list_length(((DropStmt *) statement)->objects) == 1;
	return false;
}

static RawStmt *
parse_one(const char *sql)
{
	List	   *parsed = pg_parse_query(sql);
	RawStmt    *raw;

	if (list_length(parsed) != 1)
		ereport(ERROR,
				(errcode(ERRCODE_SYNTAX_ERROR),
				 errmsg("expected exactly one statement")));
	raw = linitial_node(RawStmt, parsed);
	if (!may_be_run(raw->stmt))
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("only CREATE, DROP and REINDEX INDEX CONCURRENTLY, and ANALYZE, are run"),
				 errdetail("And what changes the catalogs only of partitioned indexes.")));
	return raw;
}

static void
run_portal(const char *sql)
{
	RawStmt    *raw;
	List	   *plans;
	Portal		portal;
	QueryCompletion qc;

	raw = parse_one(sql);
	PushActiveSnapshot(GetTransactionSnapshot());
	plans = pg_plan_queries(pg_analyze_and_rewrite_fixedparams(raw, sql, NULL, 0, NULL),
							sql, 0, NULL);
	PopActiveSnapshot();

	portal = CreatePortal("", true, true);
	portal->visible = false;
	PortalDefineQuery(portal, NULL, sql, CreateCommandTag(raw->stmt), plans, NULL);
	PortalStart(portal, NULL, 0, InvalidSnapshot);
	(void) hone_portal_run(portal, FETCH_ALL, true, None_Receiver, None_Receiver, &qc);
	PortalDrop(portal, false);
}

static void
run_statement(void *arg)
{
	const HoneDdl *ddl = arg;
	MemoryContext old;

	SetCurrentStatementStartTimestamp();
	debug_query_string = MemoryContextStrdup(ddl_context, ddl->statement);
	pgstat_report_activity(STATE_RUNNING, debug_query_string);

	StartTransactionCommand();
	if (ddl->timeout_ms > 0)
		enable_timeout_after(STATEMENT_TIMEOUT, ddl->timeout_ms);

	if (ddl->before)
	{
		PushActiveSnapshot(GetTransactionSnapshot());
		ddl->before(ddl->before_arg);
		PopActiveSnapshot();
	}
	old = MemoryContextSwitchTo(ddl_context);
	run_portal(debug_query_string);
	MemoryContextSwitchTo(old);

	disable_timeout(STATEMENT_TIMEOUT, false);
	CommitTransactionCommand();
}

static void
set_lock_timeout(int ms)
{
	char		value[16];

	snprintf(value, sizeof(value), "%d", ms);
	SetConfigOption("lock_timeout", value, PGC_SUSET, PGC_S_OVERRIDE);
}

static bool
reached_time_limit(const HoneDdl *ddl, TimestampTz started, const HoneTryResult *result)
{
	return !result->ok && ddl->timeout_ms > 0 &&
		result->sqlerrcode == ERRCODE_QUERY_CANCELED &&
		TimestampDifferenceExceeds(started, GetCurrentTimestamp(), ddl->timeout_ms);
}

void
hone_jobs_run_ddl(const HoneDdl *ddl, HoneTryResult *result)
{
	RoleLookup	role = {ddl->roleid, false};
	TimestampTz started;

	Assert(!IsTransactionState());

	hone_jobs_try(look_up_role, &role, result);
	if (!result->ok)
		return;

	ddl_context = AllocSetContextCreate(TopMemoryContext, "pg_hone ddl",
										ALLOCSET_DEFAULT_SIZES);
	started = GetCurrentTimestamp();
	watch(ddl);
	set_lock_timeout(ddl->lock_timeout_ms);
	SetSessionAuthorization(role.roleid, role.is_superuser);

	hone_jobs_try_raw(run_statement, unconstify(HoneDdl *, ddl), result);

	SetSessionAuthorization(BOOTSTRAP_SUPERUSERID, true);
	set_lock_timeout(HONE_STEP_LOCK_TIMEOUT_MS);
	watched = NULL;
	debug_query_string = NULL;
	MemoryContextDelete(ddl_context);
	pgstat_report_activity(STATE_IDLE, NULL);
	result->timed_out = reached_time_limit(ddl, started, result);
}
