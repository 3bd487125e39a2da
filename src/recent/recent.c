/*
 * recent.c
 *	  Declaring feeds: create, add a source, drop.
 *
 * A declaration is two kinds of rows (state.c) and nothing else until
 * hone.build_feed() makes the views. Who creates a feed owns it and all of
 * its objects; who has the owner's privileges may do what the owner may.
 * Everything about an argument is checked before anything is written.
 *
 * Locks: the feed's row (FOR UPDATE) by everything that changes the feed, so
 * that declarations of one feed follow each other.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/relation.h"
#include "catalog/catalog.h"
#include "catalog/dependency.h"
#include "common/int.h"
#include "catalog/namespace.h"
#include "catalog/pg_authid.h"
#include "catalog/pg_class.h"
#include "catalog/pg_namespace.h"
#include "catalog/pg_type.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "pgtime.h"
#include "storage/lmgr.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/syscache.h"
#include "utils/timestamp.h"

#include "base/compat.h"
#include "recent/recent.h"

PG_FUNCTION_INFO_V1(hone_recent_create_feed);
PG_FUNCTION_INFO_V1(hone_recent_add_feed_source);
PG_FUNCTION_INFO_V1(hone_recent_drop_feed);

void
hone_recent_init(void)
{
}

static void
require(FunctionCallInfo fcinfo, int arg, const char *name)
{
	if (PG_ARGISNULL(arg))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("%s must not be null", name)));
}

/* The feed, if the current user may change it. */
HoneFeed *
hone_recent_open(const char *name, bool for_update)
{
	HoneFeed   *feed;

	if (name == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("feed must not be null")));
	feed = hone_recent_load(name, for_update);
	if (feed == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("feed \"%s\" does not exist", name),
				 errhint("Use hone.create_feed().")));
	if (!has_privs_of_role(GetUserId(), feed->owner))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("must be owner of feed \"%s\"", name)));
	return feed;
}

/*
 * Become the feed's owner to make and renew its objects. Not a restricted
 * operation: see refresh.c. No expression of a user is evaluated in it
 * outside of the one the server opens for a materialized view.
 */
void
hone_recent_enter_feed_owner(HoneScope *scope, const HoneFeed *feed)
{
	if (!SearchSysCacheExists1(AUTHOID, ObjectIdGetDatum(feed->owner)))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("the owner of feed \"%s\" does not exist any more", feed->name),
				 errhint("Use hone.drop_feed() and declare the feed again.")));
	hone_enter_role(scope, feed->owner, NULL);
	SetUserIdAndSecContext(feed->owner,
						   scope->sec_context | SECURITY_LOCAL_USERID_CHANGE);
}

char *
hone_recent_qualified_name(Oid relid)
{
	char	   *name = get_rel_name(relid);

	if (name == NULL)
		elog(ERROR, "cache lookup failed for relation %u", relid);
	return quote_qualified_identifier(get_namespace_name(get_rel_namespace(relid)), name);
}

/* Drop a view of ours, refusing if anything depends on it. */
void
hone_recent_drop_relation(Oid relid)
{
	ObjectAddress object;
	char		relkind = OidIsValid(relid) ? get_rel_relkind(relid) : '\0';

	if (relkind != RELKIND_VIEW && relkind != RELKIND_MATVIEW)
		return;
	LockRelationOid(relid, AccessExclusiveLock);
	if (!SearchSysCacheExists1(RELOID, ObjectIdGetDatum(relid)))
		return;
	if (!hone_owns_relation(relid, GetUserId()))
		aclcheck_error(ACLCHECK_NOT_OWNER, get_relkind_objtype(relkind),
					   get_rel_name(relid));
	ObjectAddressSet(object, RelationRelationId, relid);
	performDeletion(&object, DROP_RESTRICT, 0);
}

/* A fixed length: days are 24 hours, months are refused. */
static int64
window_length(const Interval *window)
{
	int64		days;
	int64		length;

	if (window->month != 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("window must not be given in months or years"),
				 errhint("Give it in days of 24 hours.")));
	if (pg_mul_s64_overflow(window->day, USECS_PER_DAY, &days) ||
		pg_add_s64_overflow(days, window->time, &length) ||
		length < USECS_PER_SEC || length > INT64CONST(36500) * USECS_PER_DAY)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("window must be between 1 second and 36500 days")));
	return length;
}

static void
check_name(const char *name)
{
	if (name[0] == '\0')
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_NAME),
				 errmsg("feed must not be empty")));
	if (strlen(name) + strlen(HONE_FEED_LIVE_SUFFIX) >= NAMEDATALEN)
		ereport(ERROR,
				(errcode(ERRCODE_NAME_TOO_LONG),
				 errmsg("feed name \"%s\" is too long", name),
				 errdetail("\"%s\" is appended to it for the live view.",
						   HONE_FEED_LIVE_SUFFIX)));
	if (hone_recent_exists(name))
		ereport(ERROR,
				(errcode(ERRCODE_DUPLICATE_OBJECT),
				 errmsg("feed \"%s\" already exists", name)));
}

static Oid
check_schema(const char *name)
{
	Oid			schema = get_namespace_oid(name, false);

	if (IsCatalogNamespace(schema) || isAnyTempNamespace(schema) ||
		strncmp(name, "pg_", 3) == 0 || strcmp(name, "hone") == 0 ||
		strcmp(name, "information_schema") == 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_SCHEMA_NAME),
				 errmsg("schema \"%s\" cannot hold a feed", name)));
	if (!hone_may_create_in_schema(schema, GetUserId()))
		aclcheck_error(ACLCHECK_NO_PRIV, OBJECT_SCHEMA, name);
	return schema;
}

Datum
hone_recent_create_feed(PG_FUNCTION_ARGS)
{
	const char *name;
	const char *mode;
	Oid			schema;
	int64		window;
	int			per_source;

	PreventCommandDuringRecovery("hone.create_feed()");
	require(fcinfo, 0, "feed");
	require(fcinfo, 1, "window");
	require(fcinfo, 3, "mode");
	require(fcinfo, 4, "schema");

	name = NameStr(*PG_GETARG_NAME(0));
	mode = text_to_cstring(PG_GETARG_TEXT_PP(3));
	check_name(name);
	window = window_length(PG_GETARG_INTERVAL_P(1));
	per_source = PG_ARGISNULL(2) ? 0 : PG_GETARG_INT32(2);
	if (!PG_ARGISNULL(2) && per_source < 1)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("per_source must be at least 1"),
				 errhint("Use NULL for no cap.")));
	if (strcmp(mode, "auto") != 0 && strcmp(mode, "live") != 0 &&
		strcmp(mode, "stored") != 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("mode must be \"auto\", \"live\" or \"stored\"")));
	schema = check_schema(NameStr(*PG_GETARG_NAME(4)));

	hone_recent_insert_feed(name, schema, GetUserId(), window,
							PG_ARGISNULL(2) ? NULL : &per_source, mode);
	PG_RETURN_VOID();
}

/* The source, locked and allowed. */
static Relation
open_source(const HoneFeed *feed, Oid relid)
{
	Relation	rel = try_relation_open(relid, AccessShareLock);
	char		relkind;

	if (rel == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("relation with OID %u does not exist", relid)));
	relkind = rel->rd_rel->relkind;
	if (relkind != RELKIND_RELATION && relkind != RELKIND_PARTITIONED_TABLE &&
		relkind != RELKIND_VIEW && relkind != RELKIND_MATVIEW &&
		relkind != RELKIND_FOREIGN_TABLE)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("relation \"%s\" is not a table or view",
						RelationGetRelationName(rel))));
	if (rel->rd_rel->relpersistence == RELPERSISTENCE_TEMP)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("relation \"%s\" is temporary",
						RelationGetRelationName(rel))));
	if (pg_class_aclcheck(relid, GetUserId(), ACL_SELECT) != ACLCHECK_OK ||
		pg_class_aclcheck(relid, feed->owner, ACL_SELECT) != ACLCHECK_OK)
		aclcheck_error(ACLCHECK_NO_PRIV, get_relkind_objtype(relkind),
					   RelationGetRelationName(rel));
	if (relid == feed->feed_relid || relid == feed->live_relid)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("feed \"%s\" cannot be its own source", feed->name)));
	return rel;
}

static void
check_time(HoneFeedSource *source, Relation rel, const char *column,
		   const char *zone)
{
	Oid			type;

	source->time_attnum = get_attnum(RelationGetRelid(rel), column);
	if (source->time_attnum <= 0)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_COLUMN),
				 errmsg("time_column \"%s\" of relation \"%s\" does not exist",
						column, RelationGetRelationName(rel))));

	type = get_atttype(RelationGetRelid(rel), source->time_attnum);
	if (type != TIMESTAMPTZOID && type != TIMESTAMPOID && type != DATEOID)
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("time_column \"%s\" of relation \"%s\" is of type %s",
						column, RelationGetRelationName(rel), format_type_be(type)),
				 errdetail("It must be a timestamp or a date.")));
	if (type == TIMESTAMPTZOID && zone != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("time_zone must be null for time_column \"%s\" of relation \"%s\"",
						column, RelationGetRelationName(rel)),
				 errdetail("The column has a time zone.")));
	if (type != TIMESTAMPTZOID && zone == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("time_zone is required for time_column \"%s\" of relation \"%s\"",
						column, RelationGetRelationName(rel)),
				 errdetail("The column has type %s; what time it means would depend on the reader's setting.",
						   format_type_be(type)),
				 errhint("For example, time_zone => 'UTC'.")));
	if (zone != NULL)
	{
		pg_tz	   *tz = strlen(zone) <= TZ_STRLEN_MAX ? pg_tzset(zone) : NULL;

		if (tz == NULL || !pg_tz_acceptable(tz))
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("time_zone \"%s\" is not known", zone)));
	}
	source->time_zone = zone ? pstrdup(zone) : NULL;
}

/*
 * Read the expressions as the caller wrote them, with the caller's
 * search_path; keep them as the tree and as text qualified in full.
 */
static void
read_expressions(HoneFeedSource *source, Relation rel, FunctionCallInfo fcinfo,
				 const int *args)
{
	Node	   *exprs[HONE_FEED_ARGUMENTS] = {NULL};
	HoneScope	scope;

	for (int a = 0; a < HONE_FEED_ARGUMENTS; a++)
		if (!PG_ARGISNULL(args[a]))
			exprs[a] = hone_recent_parse(rel, text_to_cstring(PG_GETARG_TEXT_PP(args[a])),
										 hone_recent_argument_name(a),
										 a == HONE_FEED_FILTER ? BOOLOID : TEXTOID);

	hone_enter_role(&scope, GetUserId(), NULL);
	for (int a = 0; a < HONE_FEED_ARGUMENTS; a++)
		if (exprs[a])
		{
			source->tree[a] = nodeToString(exprs[a]);
			source->text[a] = hone_recent_deparse(exprs[a], rel,
												  RelationGetRelationName(rel));
		}
	hone_leave(&scope);
	source->tree_version = PG_VERSION_NUM / 10000;
}

Datum
hone_recent_add_feed_source(PG_FUNCTION_ARGS)
{
	static const int expression_args[HONE_FEED_ARGUMENTS] = {4, 5, 6, 7};
	HoneFeed   *feed;
	HoneFeedSource source = {0};
	Relation	rel;

	PreventCommandDuringRecovery("hone.add_feed_source()");
	require(fcinfo, 0, "feed");
	require(fcinfo, 1, "relation");
	require(fcinfo, 2, "type");
	require(fcinfo, 3, "time_column");
	require(fcinfo, 4, "title");

	feed = hone_recent_open(NameStr(*PG_GETARG_NAME(0)), true);
	if (list_length(feed->sources) >= HONE_FEED_MAX_SOURCES)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("feed \"%s\" has %d sources, which is the limit",
						feed->name, HONE_FEED_MAX_SOURCES)));

	rel = open_source(feed, PG_GETARG_OID(1));
	source.source_id = list_length(feed->sources) + 1;
	source.relid = RelationGetRelid(rel);
	source.type = text_to_cstring(PG_GETARG_TEXT_PP(2));
	if (source.type[0] == '\0')
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("type must not be empty")));
	check_time(&source, rel, NameStr(*PG_GETARG_NAME(3)),
			   PG_ARGISNULL(8) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(8)));
	read_expressions(&source, rel, fcinfo, expression_args);

	hone_recent_insert_source(feed, &source);
	relation_close(rel, NoLock);
	PG_RETURN_VOID();
}

Datum
hone_recent_drop_feed(PG_FUNCTION_ARGS)
{
	HoneFeed   *feed;

	PreventCommandDuringRecovery("hone.drop_feed()");
	require(fcinfo, 0, "feed");
	feed = hone_recent_open(NameStr(*PG_GETARG_NAME(0)), true);
	hone_recent_drop_relation(feed->live_relid);
	hone_recent_drop_relation(feed->feed_relid);
	hone_recent_delete(feed);
	PG_RETURN_VOID();
}
