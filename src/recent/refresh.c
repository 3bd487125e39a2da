/*
 * refresh.c
 *	  Renewing a stored feed, and comparing it with its definition.
 *
 * A refresh is REFRESH MATERIALIZED VIEW CONCURRENTLY (plain where the view is
 * not filled), as the feed's owner, with a locked search_path. The user's
 * expressions run in the restricted operation that the server itself opens
 * around the defining query; one around the whole command would forbid the
 * temporary table that CONCURRENTLY compares with.
 *
 * Two refreshes at once: ExclusiveLock on the materialized view, taken only if
 * it is free, is what tells them apart; no advisory key that others could
 * hold. Readers are not stopped by it. The one that does not get it writes
 * nothing, not even that it was here: the state row is locked by the other
 * one until it commits.
 *
 * One transaction, the caller's: an error, a cancel or a crash leaves
 * everything as it was.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_class.h"
#include "executor/spi.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "portability/instr_time.h"
#include "storage/lmgr.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

#include "base/compat.h"
#include "recent/recent.h"

#define LOCK_TIMEOUT_MS 5000

PG_FUNCTION_INFO_V1(hone_recent_refresh_feed);
PG_FUNCTION_INFO_V1(hone_recent_verify_feed);
PG_FUNCTION_INFO_V1(hone_recent_feed_failed);

static HoneFeed *
open_built(FunctionCallInfo fcinfo)
{
	HoneFeed   *feed;

	feed = hone_recent_open(PG_ARGISNULL(0) ? NULL : NameStr(*PG_GETARG_NAME(0)), false);
	if (feed->built_mode == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("feed \"%s\" has not been built", feed->name),
				 errhint("Use hone.build_feed().")));
	if (!OidIsValid(feed->feed_relid) || !OidIsValid(feed->live_relid))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("a view of feed \"%s\" was dropped", feed->name),
				 errhint("Use hone.build_feed() to make it again.")));
	return feed;
}

static bool
is_populated(Oid relid)
{
	HeapTuple	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(relid));
	bool		populated;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for relation %u", relid);
	populated = ((Form_pg_class) GETSTRUCT(tuple))->relispopulated;
	ReleaseSysCache(tuple);
	return populated;
}

/* Not to queue up behind a reader of a view that is filled for the first time. */
static void
limit_lock_waits(void)
{
	char		value[16];

	if (LockTimeout > 0 && LockTimeout <= LOCK_TIMEOUT_MS)
		return;
	snprintf(value, sizeof(value), "%d", LOCK_TIMEOUT_MS);
	(void) set_config_option("lock_timeout", value, PGC_USERSET, PGC_S_SESSION,
							 GUC_ACTION_SAVE, true, 0, false);
}

static void
execute(const char *sql, bool read_only)
{
	int			rc = SPI_execute(sql, read_only, 0);

	if (rc < 0)
		elog(ERROR, "SPI failed: %s", SPI_result_code_string(rc));
}

static int64
result_number(int column)
{
	bool		isnull;

	return DatumGetInt64(SPI_getbinval(SPI_tuptable->vals[0],
									   SPI_tuptable->tupdesc, column, &isnull));
}

/* Renew the locked materialized view; returns the rows it holds then. */
static int64
refresh_store(const HoneFeed *feed, bool full)
{
	const char *name = hone_recent_qualified_name(feed->feed_relid);
	bool		concurrently = !full && is_populated(feed->feed_relid);
	HoneScope	scope;

	hone_recent_enter_feed_owner(&scope, feed);
	limit_lock_waits();
	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	execute(psprintf("REFRESH MATERIALIZED VIEW %s %s",
					 concurrently ? "CONCURRENTLY" : "", name), false);
	SPI_finish();
	hone_leave(&scope);
	return hone_recent_count_rows(feed);
}

/*
 * Rows of the stored feed. A restricted operation: the owner of its schema
 * might have put something else under the name just now.
 */
int64
hone_recent_count_rows(const HoneFeed *feed)
{
	HoneScope	scope;
	int64		rows;

	hone_enter_role(&scope, feed->owner, NULL);
	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	execute(psprintf("SELECT pg_catalog.count(*) FROM %s",
					 hone_recent_qualified_name(feed->feed_relid)), false);
	rows = result_number(1);
	SPI_finish();
	hone_leave(&scope);
	return rows;
}

static Datum
refresh_result(FunctionCallInfo fcinfo, const char *outcome, int64 rows, double ms)
{
	TupleDesc	desc;
	Datum		values[3];
	bool		nulls[3] = {false, rows < 0, false};

	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	values[0] = CStringGetTextDatum(outcome);
	values[1] = Int64GetDatum(rows);
	values[2] = Float8GetDatum(ms);
	return HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(desc), values, nulls));
}

Datum
hone_recent_refresh_feed(PG_FUNCTION_ARGS)
{
	HoneFeed   *feed;
	int64		rows;
	instr_time	start;
	instr_time	duration;

	PreventCommandDuringRecovery("hone.refresh_feed()");
	if (PG_ARGISNULL(1))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("full must not be null")));
	feed = open_built(fcinfo);

	INSTR_TIME_SET_CURRENT(start);
	if (strcmp(feed->built_mode, "live") == 0)
		return refresh_result(fcinfo, "nothing_to_do", -1, 0);
	if (!ConditionalLockRelationOid(feed->feed_relid, ExclusiveLock))
		return refresh_result(fcinfo, "skipped_locked", -1, 0);
	if (get_rel_relkind(feed->feed_relid) != RELKIND_MATVIEW)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_IN_USE),
				 errmsg("feed \"%s\" was rebuilt meanwhile", feed->name)));

	rows = refresh_store(feed, PG_GETARG_BOOL(1));
	INSTR_TIME_SET_CURRENT(duration);
	INSTR_TIME_SUBTRACT(duration, start);
	hone_recent_record_refresh(feed, rows, INSTR_TIME_GET_MILLISEC(duration));
	return refresh_result(fcinfo, "refreshed", rows, INSTR_TIME_GET_MILLISEC(duration));
}

/* Rows of the definition that the feed lacks, and those it has besides. */
Datum
hone_recent_verify_feed(PG_FUNCTION_ARGS)
{
	HoneFeed   *feed = open_built(fcinfo);
	const char *name;
	const char *live;
	HoneScope	scope;
	TupleDesc	desc;
	Datum		values[2];
	bool		nulls[2] = {false, false};

	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");

	name = hone_recent_qualified_name(feed->feed_relid);
	live = hone_recent_qualified_name(feed->live_relid);
	hone_enter_role(&scope, feed->owner, NULL);
	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	execute(psprintf("SELECT (SELECT pg_catalog.count(*) FROM (TABLE %s EXCEPT ALL TABLE %s) m),"
					 " (SELECT pg_catalog.count(*) FROM (TABLE %s EXCEPT ALL TABLE %s) e)",
					 live, name, name, live), true);
	values[0] = Int64GetDatum(result_number(1));
	values[1] = Int64GetDatum(result_number(2));
	SPI_finish();
	hone_leave(&scope);

	return HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(desc), values, nulls));
}

/* Note a failure that hone.refresh_feeds() caught. */
Datum
hone_recent_feed_failed(PG_FUNCTION_ARGS)
{
	HoneFeed   *feed;

	feed = hone_recent_open(PG_ARGISNULL(0) ? NULL : NameStr(*PG_GETARG_NAME(0)), false);
	hone_recent_record_failure(feed, PG_ARGISNULL(1) ? "" :
							   text_to_cstring(PG_GETARG_TEXT_PP(1)));
	PG_RETURN_VOID();
}
