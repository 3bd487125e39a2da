/*
 * owner.c
 *	  Acting as somebody else, safely.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/indexing.h"
#include "catalog/pg_authid.h"
#include "catalog/pg_extension.h"
#include "commands/extension.h"
#include "miscadmin.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "storage/lmgr.h"
#include "utils/acl.h"
#include "utils/fmgroids.h"
#include "utils/guc.h"
#include "utils/inval.h"
#include "utils/syscache.h"

#include "base/compat.h"
#include "base/owner.h"

#define SAFE_SEARCH_PATH "pg_catalog, pg_temp"

/* For the extension. */
#define WAIT_MS 20
#define MAX_WAIT_MS 1000

Oid
hone_extension_oid(void)
{
	return get_extension_oid("pg_hone", true);
}

static Oid
extension_owner(Oid extension)
{
	Relation	rel;
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	tuple;
	Oid			owner = InvalidOid;

	rel = table_open(ExtensionRelationId, AccessShareLock);
	ScanKeyInit(&key, Anum_pg_extension_oid, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(extension));
	scan = systable_beginscan(rel, ExtensionOidIndexId, true, NULL, 1, &key);
	tuple = systable_getnext(scan);
	if (HeapTupleIsValid(tuple))
		owner = ((Form_pg_extension) GETSTRUCT(tuple))->extowner;
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	return owner;
}

static void
enter(HoneScope *scope, Oid roleid, int flags, const char *search_path)
{
	GetUserIdAndSecContext(&scope->userid, &scope->sec_context);
	scope->guc_level = NewGUCNestLevel();
	SetUserIdAndSecContext(roleid, scope->sec_context | flags);
	(void) set_config_option("search_path", search_path,
							 PGC_USERSET, PGC_S_SESSION,
							 GUC_ACTION_SAVE, true, 0, false);
}

/*
 * The lock that DROP EXTENSION takes first. Anybody can take it too, and keep it
 * as long as a transaction (ALTER FUNCTION his_own DEPENDS ON EXTENSION ...), so
 * nothing of ours waits for it for long: then we go on without, and it is the
 * deadlock detector that keeps a real DROP EXTENSION from harm.
 */
static void
lock_extension(Oid extension)
{
	static TimestampTz gave_up = 0; /* in the transaction that began then */
	TimestampTz transaction = GetCurrentTransactionStartTimestamp();
	int			waits = gave_up == transaction ? 0 : MAX_WAIT_MS / WAIT_MS;
	LOCKTAG		tag;

	SET_LOCKTAG_OBJECT(tag, MyDatabaseId, ExtensionRelationId, extension, 0);
	while (LockAcquire(&tag, AccessShareLock, false, true) == LOCKACQUIRE_NOT_AVAIL)
	{
		if (waits-- <= 0)
		{
			gave_up = transaction;
			break;
		}
		(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH,
						 WAIT_MS, PG_WAIT_EXTENSION);
		ResetLatch(MyLatch);
		CHECK_FOR_INTERRUPTS();
	}
	AcceptInvalidationMessages();
}

/*
 * DROP EXTENSION locks the extension first and then its tables, in an order of
 * its own. Whoever is to lock several of our tables holds the extension
 * before, so that one waits for the other and neither deadlocks.
 */
Oid
hone_hold_extension(void)
{
	Oid			extension = hone_extension_oid();

	if (OidIsValid(extension))
	{
		lock_extension(extension);
		/* It may have gone while we waited. */
		extension = hone_extension_oid();
	}
	if (!OidIsValid(extension))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("extension \"pg_hone\" does not exist in this database"),
				 errhint("Use CREATE EXTENSION pg_hone.")));
	return extension;
}

void
hone_enter_owner(HoneScope *scope)
{
	Oid			extension = hone_hold_extension();

	enter(scope, extension_owner(extension), SECURITY_LOCAL_USERID_CHANGE,
		  SAFE_SEARCH_PATH);
}

void
hone_enter_role(HoneScope *scope, Oid roleid, const char *search_path)
{
	enter(scope, roleid,
		  SECURITY_LOCAL_USERID_CHANGE | SECURITY_RESTRICTED_OPERATION,
		  search_path ? search_path : SAFE_SEARCH_PATH);
}

void
hone_leave(const HoneScope *scope)
{
	AtEOXact_GUC(false, scope->guc_level);
	SetUserIdAndSecContext(scope->userid, scope->sec_context);
}

bool
hone_may_see_role(Oid roleid)
{
	return has_privs_of_role(GetUserId(), roleid) ||
		has_privs_of_role(GetUserId(), ROLE_PG_READ_ALL_STATS);
}

Oid
hone_relation_owner(Oid relid)
{
	HeapTuple	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(relid));
	Oid			owner;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for relation %u", relid);
	owner = ((Form_pg_class) GETSTRUCT(tuple))->relowner;
	ReleaseSysCache(tuple);
	return owner;
}
