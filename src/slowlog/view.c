/*
 * view.c
 *	  The slow log in memory, as rows.
 *
 * Reads one entry at a time, so that nobody who adds one waits for more than a
 * copy. Texts, values, plans and addresses of roles whose statements the reader
 * may not see are left out here, not in SQL, so the function can be called by anybody.
 *
 * The collector says what it has stored. That is true only when its transaction
 * commits, so until then it is kept in this process, and forgotten if the
 * transaction, or the savepoint in which it was said, is rolled back.
 */
#include "postgres.h"

#include "access/xact.h"
#include "fmgr.h"
#include "funcapi.h"
#include "libpq/pqformat.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "base/compat.h"
#include "base/owner.h"
#include "base/params.h"
#include "base/shmem.h"
#include "slowlog/ring.h"
#include "slowlog/slowlog.h"

PG_FUNCTION_INFO_V1(hone_slow_queries_memory);
PG_FUNCTION_INFO_V1(hone_slow_queries_info);
PG_FUNCTION_INFO_V1(hone_slow_queries_stored);

#define SLOW_COLUMNS 25
#define INFO_COLUMNS 8

static const char *
outcome_name(HoneOutcome outcome)
{
	switch (outcome)
	{
		case HONE_COMPLETED:
			return "completed";
		case HONE_FAILED:
			return "failed";
		case HONE_CANCELLED:
			return "cancelled";
	}
	return "unknown";
}

static Datum
text_datum(const char *bytes, Size len)
{
	return PointerGetDatum(cstring_to_text_with_len(bytes, (int) len));
}

static void
put_entry(const HoneSlowCopy *copy, bool visible, ReturnSetInfo *rsinfo)
{
	const HoneSlowEntry *entry = &copy->entry;
	const char *text = copy->block ? copy->block + entry->params_len : "";
	Datum		values[SLOW_COLUMNS];
	bool		nulls[SLOW_COLUMNS] = {0};
	int			i = 0;

	values[i++] = Int64GetDatum((int64) entry->id);
	values[i++] = TimestampTzGetDatum(entry->logged_at);
	values[i++] = ObjectIdGetDatum(entry->userid);
	values[i++] = CStringGetTextDatum(entry->application_name);
	if (!visible || entry->client_addr[0] == '\0')
		nulls[i++] = true;
	else
		values[i++] = DirectFunctionCall1(inet_in, CStringGetDatum(entry->client_addr));
	values[i++] = Int64GetDatum((int64) entry->queryid);
	values[i++] = visible ? text_datum(text, entry->text_len)
		: CStringGetTextDatum("<insufficient privilege>");
	if (visible && entry->params_len > 0)
	{
		values[i] = hone_params_values((const HoneParams *) copy->block, &nulls[i]);
		i++;
	}
	else
		nulls[i++] = true;
	values[i++] = Float8GetDatum(entry->exec_ns / 1e6);
	values[i++] = Float8GetDatum(entry->plan_ns / 1e6);
	values[i++] = Int64GetDatum((int64) entry->rows);
	if (visible && entry->plan_len > 0)
		values[i++] = text_datum(text + entry->text_len, entry->plan_len);
	else
		nulls[i++] = true;
	values[i++] = Int64GetDatum(entry->usage.shared_blks_hit);
	values[i++] = Int64GetDatum(entry->usage.shared_blks_read);
	values[i++] = Int64GetDatum(entry->usage.temp_blks_written);
	values[i++] = CStringGetTextDatum(outcome_name(entry->outcome));
	if (entry->sqlerrcode == 0)
		nulls[i++] = true;
	else
		values[i++] = CStringGetTextDatum(unpack_sql_state(entry->sqlerrcode));
	values[i++] = BoolGetDatum(entry->toplevel);
	if (entry->top_queryid == 0)
		nulls[i++] = true;
	else
		values[i++] = Int64GetDatum((int64) entry->top_queryid);
	values[i++] = CStringGetTextDatum(GetCommandTagName(entry->command));
	if (entry->plan_kind == HONE_PLAN_UNKNOWN)
		nulls[i++] = true;
	else
		values[i++] = CStringGetTextDatum(entry->plan_kind == HONE_PLAN_GENERIC
										  ? "generic" : "custom");
	values[i++] = Float8GetDatum(entry->jit_ns / 1e6);
	values[i++] = Float8GetDatum(entry->usage.read_ns / 1e6);
	values[i++] = Int64GetDatum(entry->usage.temp_blks_read);
	values[i++] = Int64GetDatum(entry->usage.wal_bytes);
	Assert(i == SLOW_COLUMNS);

	tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
}

/*
 * hone.slow_queries_memory(after_id, only_unstored): this database's entries
 * with a higher id, or of these what the collector has not stored yet.
 */
Datum
hone_slow_queries_memory(PG_FUNCTION_ARGS)
{
	uint64		after_id = (uint64) Max(PG_GETARG_INT64(0), 0);
	bool		only_unstored = PG_GETARG_BOOL(1);
	uint64		lowest;
	uint64		highest;
	MemoryContext row_context;
	MemoryContext old_context;

	hone_shmem_require();
	InitMaterializedSRF(fcinfo, 0);
	if (!hone_slow_ring_range(&lowest, &highest))
		return (Datum) 0;

	row_context = AllocSetContextCreate(CurrentMemoryContext, "pg_hone slow log row",
										ALLOCSET_DEFAULT_SIZES);
	old_context = MemoryContextSwitchTo(row_context);
	for (uint64 id = Max(lowest, after_id + 1); id <= highest; id++)
	{
		HoneSlowCopy copy;

		CHECK_FOR_INTERRUPTS();
		MemoryContextReset(row_context);
		if (hone_slow_ring_copy(id, MyDatabaseId, only_unstored, &copy))
			put_entry(&copy, hone_may_see_role(copy.entry.userid),
					  (ReturnSetInfo *) fcinfo->resultinfo);
	}
	MemoryContextSwitchTo(old_context);
	MemoryContextDelete(row_context);
	return (Datum) 0;
}

/* hone.slow_queries_info: what was kept and what was not. */
Datum
hone_slow_queries_info(PG_FUNCTION_ARGS)
{
	TupleDesc	desc;
	HoneSlowCounters counters;
	Datum		values[INFO_COLUMNS];
	bool		nulls[INFO_COLUMNS] = {0};
	int			i = 0;

	hone_shmem_require();
	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	hone_slow_ring_counters(&counters);
	values[i++] = Int64GetDatum((int64) counters.entries);
	values[i++] = Int64GetDatum((int64) counters.captured);
	values[i++] = Int64GetDatum((int64) counters.overwritten);
	values[i++] = Int64GetDatum((int64) counters.rate_limited);
	values[i++] = Int64GetDatum((int64) counters.lost);
	values[i++] = Int64GetDatum((int64) counters.plans_lost);
	values[i++] = Int64GetDatum((int64) counters.memory_bytes);
	values[i++] = Int64GetDatum((int64) counters.overwritten_unstored);
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(desc, values, nulls)));
}

/*
 * ------------------------------------------------------------------
 * What the collector has stored
 * ------------------------------------------------------------------
 */

static uint64 stored_highest = 0;	/* 0: nothing */
static SubTransactionId stored_subxact;

static void
mark_at_commit(XactEvent event, void *arg pg_attribute_unused())
{
	if (stored_highest != 0 && event == XACT_EVENT_COMMIT)
		hone_slow_ring_mark_stored(MyDatabaseId, stored_highest);
	if (event == XACT_EVENT_COMMIT || event == XACT_EVENT_ABORT ||
		event == XACT_EVENT_PREPARE)
		stored_highest = 0;
}

/* A savepoint's fate is that of the one around it. */
static void
forget_at_subxact_end(SubXactEvent event, SubTransactionId subxact,
					  SubTransactionId parent, void *arg pg_attribute_unused())
{
	if (stored_highest == 0 || stored_subxact != subxact)
		return;
	if (event == SUBXACT_EVENT_ABORT_SUB)
		stored_highest = 0;
	else if (event == SUBXACT_EVENT_COMMIT_SUB)
		stored_subxact = parent;
}

/* hone.slow_queries_stored(highest_id): entries up to this one are in the table. */
Datum
hone_slow_queries_stored(PG_FUNCTION_ARGS)
{
	static bool registered = false;
	int64		highest = PG_GETARG_INT64(0);

	hone_shmem_require();
	if (!registered)
	{
		RegisterXactCallback(mark_at_commit, NULL);
		RegisterSubXactCallback(forget_at_subxact_end, NULL);
		registered = true;
	}
	if (highest > 0)
	{
		stored_highest = (uint64) highest;
		stored_subxact = GetCurrentSubTransactionId();
	}
	PG_RETURN_VOID();
}
