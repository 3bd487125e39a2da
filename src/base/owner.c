/*
 * owner.c
 *	  Acting as somebody else, safely.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/indexing.h"
#include "catalog/pg_authid.h"
#include "catalog/pg_extension.h"
#include "commands/extension.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "utils/acl.h"
#include "utils/fmgroids.h"
#include "utils/guc.h"

#include "base/compat.h"
#include "base/owner.h"

PG_FUNCTION_INFO_V1(hone_hold_extension);

#define SAFE_SEARCH_PATH "pg_catalog, pg_temp"

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
 * DROP EXTENSION locks the extension first and then its tables, in an order of
 * its own. Whoever is to lock several of our tables holds the extension
 * before, so that one waits for the other and neither deadlocks.
 */
static Oid
hold_extension(void)
{
	Oid			extension = hone_extension_oid();

	if (OidIsValid(extension))
	{
		LockDatabaseObject(ExtensionRelationId, extension, 0, AccessShareLock);
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

/* hone.hold_extension(): the same for functions written in SQL. */
Datum
hone_hold_extension(PG_FUNCTION_ARGS pg_attribute_unused())
{
	(void) hold_extension();
	PG_RETURN_VOID();
}

void
hone_enter_owner(HoneScope *scope)
{
	Oid			extension = hold_extension();

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
