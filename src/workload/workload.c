/*
 * workload.c
 *	  Samples of real executions with their parameter values.
 *
 * Each process has a small direct-mapped table of the queries it runs: how
 * often until the next visit to shared memory, and how slow the slowest sample
 * is. Most executions only count themselves there:
 * no lock, no shared memory. A visit (store.c) adds the count, learns whether
 * this execution is wanted as a sample, and when to come again.
 *
 * A sample is the statement's own text, parameter types and values, the role,
 * its search_path and other settings of the session that change the plan, the
 * duration, and the tables the plan touches. Not sampled are
 * statements that read no user's table (constants, system catalogs, this
 * extension's own objects): there is nothing to advise on.
 *
 * Called inside everybody's statement after its work is done. Reads the syscache
 * for relations the statement itself has open, but no table; allocates next to
 * nothing (a function's statement is copied when it becomes a sample), and
 * raises no error on its own account. Works on a standby, in memory. Parallel
 * workers never come here. After a crash everything starts empty.
 */
#include "postgres.h"

#include "access/transam.h"
#include "access/xact.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "nodes/plannodes.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"

#include "base/compat.h"
#include "base/params.h"
#include "base/secret.h"
#include "base/settings.h"
#include "base/shmem.h"
#include "workload/named.h"
#include "workload/store.h"
#include "workload/text.h"
#include "workload/workload.h"

#define LOCAL_SLOTS 1024		/* a power of two */

/*
 * What this process knows of a query. Counts down, and is half a cache line,
 * because nearly all that is ever done is to look here.
 */
typedef struct Local
{
	uint64		queryid;
	uint64		slowest_ns;		/* visit for anything slower */
	Oid			userid;
	uint32		left;			/* executions until the next visit */
	uint32		wait;			/* left was this */
	uint32		counted;		/* executions since the last visit, before that */
} Local;

static Local locals[LOCAL_SLOTS] pg_attribute_aligned(PG_CACHE_LINE_SIZE);

static int	max_sample_length = 65536;

void
hone_workload_init(void)
{
	hone_params_init();
	hone_sample_store_init();
	DefineCustomIntVariable("pg_hone.max_sample_length",
							"Sets the length above which a statement is not sampled.",
							NULL,
							&max_sample_length,
							65536, 64, 1024 * 1024,
							PGC_SUSET,
							GUC_UNIT_BYTE,
							NULL, NULL, NULL);
}

/* Query ids are hashes already. */
static inline Local *
local_of(const HoneQueryKey *key)
{
	return &locals[((uint32) key->queryid ^ (key->userid * 0x9E3779B1)) &
				   (LOCAL_SLOTS - 1)];
}

static inline void
wait_for(Local *local, uint64 wait)
{
	local->wait = local->left = (uint32) Min(wait, PG_UINT32_MAX);
}

/* Executions since the last visit to shared memory. */
static inline uint64
count_of(const Local *local)
{
	return (uint64) local->counted + (local->wait - local->left);
}

/*
 * The tables a plan touches, without repetition. False when it touches no
 * user's table.
 */
static bool
collect_relations(const PlannedStmt *plan, Oid *relations, int *nrelations,
				  bool *any_temporary)
{
	Oid			own_schema = get_namespace_oid("hone", true);
	bool		any_user = false;
	ListCell   *lc;

	*nrelations = 0;
	*any_temporary = false;
	foreach(lc, plan->rtable)
	{
		RangeTblEntry *rte = (RangeTblEntry *) lfirst(lc);
		bool		known = false;

		if (!OidIsValid(rte->relid) || rte->rtekind == RTE_FUNCTION)
			continue;
		for (int i = 0; i < *nrelations && !known; i++)
			known = relations[i] == rte->relid;
		if (known || *nrelations == HONE_SAMPLE_MAX_RELATIONS)
			continue;
		relations[(*nrelations)++] = rte->relid;

		if (rte->relid >= FirstNormalObjectId)
		{
			Oid			schema = get_rel_namespace(rte->relid);

			/* A view stands beside the tables it was replaced with. */
			if (schema != own_schema && get_rel_relkind(rte->relid) != RELKIND_VIEW)
				any_user = true;
			if (isAnyTempNamespace(schema))
				*any_temporary = true;
		}
	}
	return any_user;
}

static void
take_sample(const HoneSampleKey *key, const HoneExecution *execution,
			const char *text, int text_len,
			const Oid *relations, int nrelations, bool any_temporary, bool typical)
{
	const HoneParams *params;
	char	   *without_into = NULL;
	char	   *numbered = NULL;
	char		settings[HONE_SAMPLE_MAX_SETTINGS];
	int			settings_len;
	int			plan_settings_len;
	HoneSampleParts parts = {0};

	params = hone_params_flatten(execution->params, true);
	if (hone_secret_in_text(text, text_len) ||
		(params != NULL && hone_params_have_secret(params)))
	{
		hone_sample_count_secret();
		return;
	}
	/* SELECT INTO is a utility statement, and runs its query inside. */
	if (execution->command == CMDTAG_SELECT && execution->nesting > 0)
		without_into = hone_sample_text_without_into(text, text_len);
	if (without_into)
		text = without_into;
	if (params != NULL && (params->by_name || !hone_sample_text_has_params(text, text_len)))
		numbered = hone_named_to_numbered(key->queryid, text, text_len, params, &text_len);

	parts.head.command = execution->command;
	parts.head.nrelations = nrelations;
	parts.head.text_len = (uint32) text_len;
	parts.path = namespace_search_path ? namespace_search_path : "";
	parts.head.path_len = (uint32) strlen(parts.path);
	parts.head.params_len = params ? (uint32) MAXALIGN(params->size) : 0;
	settings_len = hone_settings_collect(settings, sizeof(settings), &plan_settings_len);
	parts.head.replannable = !any_temporary && parts.head.path_len <= MAXPGPATH &&
		settings_len >= 0 &&
		(params == NULL ? !hone_sample_text_has_params(text, text_len) :
		 params->complete && (numbered != NULL ||
							  (!params->by_name && hone_sample_text_has_params(text, text_len))));
	parts.relations = relations;
	parts.params = params;
	parts.text = numbered ? numbered : text;
	parts.settings = settings;
	parts.head.settings_len = (uint32) Max(settings_len, 0);
	parts.plan_settings_len = settings_len > 0 ? (uint32) plan_settings_len : 0;
	parts.typical = typical;
	parts.duration_ns = execution->exec_ns;
	parts.captured_at = GetCurrentTimestamp();
	if (parts.head.path_len > MAXPGPATH)
		parts.head.path_len = 0;
	hone_sample_add(key, &parts);
	if (numbered)
		pfree(numbered);
	if (without_into)
		pfree(without_into);
}

/* This execution could not be sampled: wait for longer and longer. */
static void
look_away(Local *local)
{
	uint64		count = count_of(local);

	local->counted = (uint32) Min(count, PG_UINT32_MAX / 2);
	wait_for(local, count);
	if (local->slowest_ns == 0)
		local->slowest_ns = PG_UINT64_MAX;
}

/* Visit shared memory, and sample if that is wanted. */
static pg_noinline void
visit(Local *local, const HoneExecution *execution)
{
	const PlannedStmt *plan = execution->query_desc->plannedstmt;
	Oid			relations[HONE_SAMPLE_MAX_RELATIONS];
	int			nrelations;
	bool		any_temporary;
	HoneSampleKey key = {0};
	HoneSampleAdvice advice;
	const char *text;
	int			text_len;

	if (!execution->text_is_safe || !IsTransactionState())
	{
		look_away(local);
		return;
	}

	/* Never of interest, so never look again. */
	if (plan->commandType == CMD_UTILITY || plan->commandType == CMD_UNKNOWN ||
		!collect_relations(plan, relations, &nrelations, &any_temporary))
	{
		local->slowest_ns = PG_UINT64_MAX;
		wait_for(local, PG_UINT32_MAX);
		return;
	}

	/* The same query may come by another way (EXPLAIN). */
	text = hone_record_text(execution, &text_len);
	if (!hone_sample_text(&text, &text_len))
	{
		look_away(local);
		return;
	}
	if (text_len > max_sample_length)
	{
		hone_sample_count_too_long();
		look_away(local);
		return;
	}

	key.queryid = execution->key.queryid;
	key.userid = execution->key.userid;
	key.dbid = execution->key.dbid;
	hone_sample_visit(&key, count_of(local), local->left == 0, execution->exec_ns, &advice);
	local->counted = 0;
	wait_for(local, Max(advice.wait, 1));
	local->slowest_ns = advice.slowest_ns;
	if (!advice.wanted)
		return;
	local->slowest_ns = Max(advice.slowest_ns, execution->exec_ns);
	take_sample(&key, execution, text, text_len, relations, nrelations, any_temporary,
				advice.typical);
}

/*
 * The first execution here, or the first since another query took the place. One
 * that is not let in leaves no trace, so that its next execution asks again.
 */
static pg_noinline void
begin(Local *local, const HoneExecution *execution)
{
	HoneSampleKey key = {
		.queryid = execution->key.queryid,
		.userid = execution->key.userid,
		.dbid = execution->key.dbid,
	};

	if (!hone_sample_store_ready() || execution->key.queryid == 0 ||
		!hone_sample_may_enter(&key, execution->exec_ns))
		return;
	local->queryid = execution->key.queryid;
	local->userid = execution->key.userid;
	local->counted = 0;
	local->wait = 1;
	local->left = 0;
	visit(local, execution);
}

void
hone_workload_keep(const HoneExecution *execution)
{
	Local	   *local = local_of(&execution->key);

	if (unlikely(local->queryid != execution->key.queryid ||
				 local->userid != execution->key.userid))
		begin(local, execution);
	else if (unlikely(--local->left == 0 ||
					  execution->exec_ns > local->slowest_ns))
		visit(local, execution);
}
