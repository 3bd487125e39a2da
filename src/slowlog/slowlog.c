/*
 * slowlog.c
 *	  Slow, failed and cancelled statements with their plans.
 *
 * Logged are statements that took pg_hone.slow_query_ms or longer, whatever
 * their outcome, all that were cancelled (somebody, or a timeout, found them
 * too slow), and, unless pg_hone.log_failed is off, all that failed. A fast
 * statement costs its caller one comparison. Of a slow one, the rate limit is
 * asked first (ring.c); then text, parameters and, from pg_hone.slow_plan_ms on,
 * the plan (plan.c) are put into the ring.
 *
 * An error passes all statements that are at work, the innermost first. Logged
 * are the one in which it was raised and the one at top level; what is between
 * would say the same again. An error that was caught and one that passes are
 * told apart by the subtransaction: catching ends it.
 *
 * Row counts and the plans of statements that do not complete have to be
 * arranged before the executor runs. That is done for some executions of queries
 * that were slow before (known.c), never for others, and never with clocks.
 *
 * Called inside everybody's statement, also while an error is being caught (then
 * query_desc is NULL): there nothing is allocated, the catalog is not read, and
 * only LWLocks are taken, which code that throws does not hold in our tranche.
 * What does not fit is counted.
 *
 * Works on a standby, in memory only. A crash loses what the collector has
 * not stored yet, a clean restart nothing (save.c). Parallel workers never
 * come here.
 */
#include "postgres.h"

#include "access/parallel.h"
#include "access/xact.h"
#include "common/ip.h"
#include "executor/instrument.h"
#include "fmgr.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/backend_status.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/timestamp.h"

#include "base/compat.h"
#include "base/params.h"
#include "base/secret.h"
#include "base/shmem.h"
#include "slowlog/known.h"
#include "slowlog/plan.h"
#include "slowlog/ring.h"
#include "slowlog/slowlog.h"

PG_FUNCTION_INFO_V1(hone_retention);

uint64		hone_slow_query_ns = PG_UINT64_MAX;

static uint64 slow_plan_ns = PG_UINT64_MAX;

static int	slow_query_ms = 100;
static int	slow_plan_ms = 1000;
static int	rate_limit = 10;
static int	max_text_length = 65536;
static int	max_plan_length = 262144;
static int	retention_min = 30 * 24 * 60;
static int	max_stored = 100000;
static int	max_stored_mb = 256;
static bool log_failed = true;

/* -1 is off, that is, for ever. */
static uint64
threshold_ns(int ms)
{
	return ms < 0 ? PG_UINT64_MAX : (uint64) ms * UINT64CONST(1000000);
}

static void
assign_slow_query_ms(int newval, void *extra pg_attribute_unused())
{
	hone_slow_query_ns = hone_slow_ring_ready() || process_shared_preload_libraries_in_progress
		? threshold_ns(newval) : PG_UINT64_MAX;
}

static void
assign_slow_plan_ms(int newval, void *extra pg_attribute_unused())
{
	slow_plan_ns = threshold_ns(newval);
}

static void
define_settings(void)
{
	DefineCustomIntVariable("pg_hone.slow_query_ms",
							"Sets the time from which on a statement is kept in the slow log.",
							"-1 turns the slow log off, 0 keeps every statement.",
							&slow_query_ms,
							100, -1, INT_MAX,
							PGC_SUSET,
							GUC_UNIT_MS,
							NULL, assign_slow_query_ms, NULL);
	DefineCustomIntVariable("pg_hone.slow_plan_ms",
							"Sets the time from which on a slow statement's plan is kept too.",
							"-1 keeps no plans.",
							&slow_plan_ms,
							1000, -1, INT_MAX,
							PGC_SUSET,
							GUC_UNIT_MS,
							NULL, assign_slow_plan_ms, NULL);
	DefineCustomIntVariable("pg_hone.slow_query_rate_limit",
							"Sets how many entries a minute one query may have in the slow log.",
							"0 is no limit.",
							&rate_limit,
							10, 0, INT_MAX,
							PGC_SUSET,
							0,
							NULL, NULL, NULL);
	DefineCustomBoolVariable("pg_hone.log_failed",
							 "Keeps failed statements in the slow log, however short they were.",
							 "Errors of parsing, planning and permissions are not among them.",
							 &log_failed,
							 true,
							 PGC_SUSET,
							 0,
							 NULL, NULL, NULL);
	DefineCustomIntVariable("pg_hone.max_slow_query_length",
							"Sets the length to which texts in the slow log are cut.",
							NULL,
							&max_text_length,
							65536, 64, 1024 * 1024,
							PGC_SUSET,
							GUC_UNIT_BYTE,
							NULL, NULL, NULL);
	DefineCustomIntVariable("pg_hone.max_plan_length",
							"Sets the length above which a plan is not kept in the slow log.",
							NULL,
							&max_plan_length,
							262144, 0, 16 * 1024 * 1024,
							PGC_SUSET,
							GUC_UNIT_BYTE,
							NULL, NULL, NULL);
	DefineCustomIntVariable("pg_hone.retention",
							"Sets how long stored slow statements and samples are kept.",
							NULL,
							&retention_min,
							30 * 24 * 60, 1, INT_MAX / 60,
							PGC_SIGHUP,
							GUC_UNIT_MIN,
							NULL, NULL, NULL);
	DefineCustomIntVariable("pg_hone.max_stored_slow_queries",
							"Sets how many slow statements of a database are kept in its table.",
							NULL,
							&max_stored,
							100000, 0, INT_MAX,
							PGC_SIGHUP,
							0,
							NULL, NULL, NULL);
	DefineCustomIntVariable("pg_hone.max_slow_log_size",
							"Sets how much of texts, values and plans a database's slow log keeps in its table.",
							"Counted before compression.",
							&max_stored_mb,
							256, 1, INT_MAX,
							PGC_SIGHUP,
							GUC_UNIT_MB,
							NULL, NULL, NULL);
}

void
hone_slowlog_init(void)
{
	hone_params_init();
	hone_slow_ring_init();
	hone_known_slow_init();
	define_settings();
}

/* hone.retention() */
Datum
hone_retention(PG_FUNCTION_ARGS pg_attribute_unused())
{
	Interval   *result = palloc0(sizeof(Interval));

	result->time = (TimeOffset) retention_min * USECS_PER_MINUTE;
	PG_RETURN_INTERVAL_P(result);
}

/* The client's address, once for each process: it does not change. */
static const char *
client_address(void)
{
	static char address[HONE_SLOW_ADDRESS_LEN];
	static bool known = false;

	if (known)
		return address;
	known = true;
	if (MyBEEntry != NULL)
	{
		const SockAddr *client = (const SockAddr *) &MyBEEntry->st_clientaddr;
		int			family = client->addr.ss_family;

		if (family != AF_INET && family != AF_INET6)
			return address;
		if (pg_getnameinfo_all(&client->addr, client->salen,
							   address, sizeof(address), NULL, 0,
							   NI_NUMERICHOST | NI_NUMERICSERV) != 0)
			address[0] = '\0';
		else
			clean_ipv6_addr(family, address);
	}
	return address;
}

static void
fill_entry(HoneSlowEntry *entry, const HoneExecution *execution, TimestampTz now)
{
	memset(entry, 0, sizeof(*entry));
	entry->logged_at = now;
	entry->queryid = execution->key.queryid;
	entry->userid = execution->key.userid;
	entry->dbid = execution->key.dbid;
	entry->command = execution->command;
	entry->outcome = execution->outcome;
	entry->sqlerrcode = execution->sqlerrcode;
	entry->toplevel = execution->key.toplevel;
	entry->top_queryid = execution->top_queryid;
	entry->plan_kind = execution->plan_kind;
	entry->exec_ns = execution->exec_ns;
	entry->jit_ns = execution->jit_ns;
	entry->plan_ns = execution->plan_ns;
	entry->rows = execution->rows;
	entry->usage = execution->usage;
	if (application_name != NULL)
		strlcpy(entry->application_name, application_name,
				sizeof(entry->application_name));
	strlcpy(entry->client_addr, client_address(), sizeof(entry->client_addr));
}

/* A custom plan's conditions have the values in place of the parameters. */
static inline bool
plan_shows_values(ParamListInfo params)
{
	return !hone_capture_parameters && params != NULL && params->numParams > 0;
}

/* Slow enough for its plan, or so slow that somebody gave up? */
static inline bool
wants_plan(const HoneExecution *execution)
{
	return slow_plan_ns != PG_UINT64_MAX &&
		(execution->exec_ns >= slow_plan_ns || execution->outcome == HONE_CANCELLED);
}

static const char *
plan_of(const HoneExecution *execution)
{
	const char *plan = execution->early_plan;

	if (!wants_plan(execution) || plan_shows_values(execution->params))
		return NULL;
	if (execution->outcome == HONE_COMPLETED)
	{
		if (execution->query_desc == NULL)
			return NULL;
		plan = hone_slow_plan(execution->query_desc, true, max_plan_length);
	}
	else if (plan == NULL)
		return NULL;

	if (plan == NULL || plan[0] == '\0')
	{
		hone_slow_ring_count_lost_plan();
		return NULL;
	}
	return plan;
}

/*
 * Does the error that ends this statement only pass through it, having been
 * raised in one inside it? To be asked of each failed statement, once.
 */
static bool
error_passes_through(const HoneExecution *execution)
{
	static SubTransactionId last_subxact = InvalidSubTransactionId;
	static TimestampTz last_xact = 0;
	static int	last_nesting = 0;

	SubTransactionId subxact = GetCurrentSubTransactionId();
	TimestampTz xact = GetCurrentTransactionStartTimestamp();
	bool		same_error = (subxact == last_subxact && xact == last_xact &&
							  execution->nesting < last_nesting);

	last_subxact = subxact;
	last_xact = xact;
	last_nesting = execution->nesting;
	return same_error && execution->nesting > 0;
}

static bool
is_to_be_kept(const HoneExecution *execution)
{
	if (execution->outcome != HONE_COMPLETED && error_passes_through(execution))
		return false;
	return execution->exec_ns >= hone_slow_query_ns ||
		execution->outcome == HONE_CANCELLED ||
		(execution->outcome == HONE_FAILED && log_failed);
}

bool
hone_slowlog_before_start(QueryDesc *query_desc, const HoneQueryKey *key)
{
	bool		ended_early;

	if (hone_slow_query_ns == PG_UINT64_MAX || slow_plan_ns == PG_UINT64_MAX ||
		IsParallelWorker() || query_desc->instrument_options != 0 ||
		plan_shows_values(query_desc->params) ||
		!hone_known_slow_pick(key->queryid, &ended_early) ||
		!hone_slow_plan_is_plain(query_desc->plannedstmt))
		return false;
	query_desc->instrument_options = INSTRUMENT_ROWS;
	return ended_early &&
		hone_slow_ring_would_admit(key->queryid, key->dbid, GetCurrentTimestamp(),
								   rate_limit);
}

const char *
hone_slowlog_after_start(QueryDesc *query_desc)
{
	const char *plan = hone_slow_plan(query_desc, false, max_plan_length);

	/* Empty is one that is lost, should the statement fail. */
	return plan ? plan : "";
}

void
hone_slowlog_keep(const HoneExecution *execution)
{
	bool		error = execution->outcome != HONE_COMPLETED;
	HoneSlowEntry entry;
	TimestampTz now;
	const HoneParams *params = NULL;
	const char *text;
	const char *plan = NULL;
	int			text_len;

	if (!hone_slow_ring_ready() || hone_slow_query_ns == PG_UINT64_MAX ||
		!is_to_be_kept(execution))
		return;

	now = GetCurrentTimestamp();
	if (!hone_slow_ring_admit(execution->key.queryid, execution->key.dbid, now,
							  rate_limit))
		return;
	if (wants_plan(execution))
		hone_known_slow_note(execution->key.queryid, error);
	fill_entry(&entry, execution, now);

	if (execution->text_is_safe && !hone_secret_in_execution(execution))
	{
		text = hone_record_text(execution, &text_len);
		if (text_len > max_text_length)
			text_len = pg_mbcliplen(text, text_len, max_text_length);
		plan = plan_of(execution);

		/* Last, since the values stay in a buffer that others use too. */
		params = hone_params_flatten(execution->params,
									 !error && IsTransactionState());
	}
	else
	{
		text = GetCommandTagName(execution->command);
		text_len = (int) strlen(text);
	}

	entry.text_len = (uint32) text_len;
	entry.plan_len = plan ? (uint32) strlen(plan) : 0;
	entry.params_len = params ? (uint32) MAXALIGN(params->size) : 0;
	hone_slow_ring_add(&entry, params, text, plan);
}
