/*
 * slowlog.c
 *	  Slow, failed and cancelled statements with their plans.
 *
 * Logged are statements that took pg_hone.slow_query_ms or longer, whatever
 * their outcome, and all that were cancelled: somebody, or a timeout, found
 * them too slow. A fast statement costs its caller one comparison. Of a slow
 * one, the rate limit is asked first (ring.c); then text, parameters and, from
 * pg_hone.slow_plan_ms on, the plan (plan.c) are put into the ring.
 *
 * Called inside everybody's statement, also while an error is being caught (then
 * query_desc is NULL): there nothing is allocated, the catalog is not read, and
 * only LWLocks are taken, which code that throws does not hold in our tranche.
 * What does not fit is counted.
 *
 * Works on a standby, in memory only. A crash loses what the collector has
 * not stored yet. Parallel workers never come here.
 */
#include "postgres.h"

#include "access/xact.h"
#include "common/ip.h"
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
}

void
hone_slowlog_init(void)
{
	hone_params_init();
	hone_slow_ring_init();
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
	entry->exec_ns = execution->exec_ns;
	entry->plan_ns = execution->plan_ns;
	entry->rows = execution->rows;
	entry->usage = execution->usage;
	if (application_name != NULL)
		strlcpy(entry->application_name, application_name,
				sizeof(entry->application_name));
	strlcpy(entry->client_addr, client_address(), sizeof(entry->client_addr));
}

static char *
plan_of(const HoneExecution *execution)
{
	char	   *plan;

	if (execution->query_desc == NULL || execution->exec_ns < slow_plan_ns)
		return NULL;

	/* A custom plan's conditions have the values in place of the parameters. */
	if (!hone_capture_parameters && execution->params != NULL &&
		execution->params->numParams > 0)
		return NULL;
	plan = hone_slow_plan(execution->query_desc);
	if (plan == NULL || strlen(plan) > (Size) max_plan_length)
	{
		hone_slow_ring_count_lost_plan();
		return NULL;
	}
	return plan;
}

void
hone_slowlog_keep(const HoneExecution *execution)
{
	bool		error = execution->outcome != HONE_COMPLETED;
	HoneSlowEntry entry;
	TimestampTz now;
	const HoneParams *params = NULL;
	const char *text;
	char	   *plan = NULL;
	int			text_len;

	if (!hone_slow_ring_ready() || hone_slow_query_ns == PG_UINT64_MAX)
		return;
	if (execution->exec_ns < hone_slow_query_ns &&
		execution->outcome != HONE_CANCELLED)
		return;

	now = GetCurrentTimestamp();
	if (!hone_slow_ring_admit(execution->key.queryid, execution->key.dbid, now,
							  rate_limit))
		return;
	fill_entry(&entry, execution, now);

	if (execution->text_is_safe && !hone_secret_in_execution(execution))
	{
		text = hone_record_text(execution, &text_len);
		if (text_len > max_text_length)
			text_len = pg_mbcliplen(text, text_len, max_text_length);
		if (!error)
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
