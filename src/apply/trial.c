/*
 * trial.c
 *	  The life of a trial: from the index's first moment to the verdict.
 *
 *	   CREATE INDEX's own             builder            collector: turn, look,
 *	   transaction                    finished it        measure, judge
 *	  note_created() ─▶ hidden ─▶ begin_trial(): arms ─────────┬─▶ kept: shown to all
 *	                                                           ├─▶ hidden from all, and
 *	  a drop without a cover:                                  │   queued: reverted
 *	  the builder ─▶ begin_trial(): arms ─▶ hidden from all ───┼─▶ queued: dropped
 *	                                                           └─▶ shown again: reverted
 *
 * A new index is hidden (whatif/hidden.c) in the very transaction that makes its
 * catalog entry, so nobody ever plans with it before its trial begins. From then
 * on half of the planner calls see it, and who does changes at every turn. Each
 * plan knows its arm (base/arm.h), executions are counted by it (stats/arms.c),
 * and after every second turn, when each backend has been on both sides equally
 * long, hone.look_at_trials() (trial_verdict.sql) measures (trial_measure.sql),
 * compares (welch.c) and asks the policy (verdict.c). It is a step of the
 * collector, each trial in a subtransaction, so that one that fails does not stop
 * the others.
 *
 * The verdict, the state of the action and what the planner sees change in one
 * transaction. A revert hides the index from everybody at once; dropping it is
 * the builder's work, like that of hone.revert(), and if it fails it is queued
 * again (hone.mend_trials()) while the index stays hidden.
 *
 * A crash or restart loses what was counted in memory, and nothing else: turns,
 * looks and the alpha they spent are in tables. A trial without the library in
 * shared_preload_libraries ends, because nobody counts any more.
 *
 * Here is what the builder calls, and what trial.sql cannot do in SQL. All of it
 * runs in the caller's transaction, as the extension's owner.
 *
 * Locks: rows of our own tables, and what changing a hidden index's row takes.
 * None on users' tables. Error: raised, the builder knows what to do. Standby and
 * parallel workers never come here.
 */
#include "postgres.h"

#include "fmgr.h"
#include "miscadmin.h"
#include "utils/guc.h"
#include "utils/syscache.h"

#include "apply/apply.h"
#include "apply/internal.h"
#include "base/sql.h"
#include "whatif/whatif.h"

bool		hone_apply_trial = true;
int			hone_apply_trial_turn_s = 10;
static int	trial_time_s = 3 * 24 * 60 * 60;
static int	drop_watch_s = 7 * 24 * 60 * 60;

PG_FUNCTION_INFO_V1(hone_apply_sql_hide);
PG_FUNCTION_INFO_V1(hone_apply_sql_show_all);
PG_FUNCTION_INFO_V1(hone_apply_sql_forget_gone);

/* The times are read in SQL, by their names. */
void
hone_apply_trial_init(void)
{
	DefineCustomBoolVariable("pg_hone.trial",
							 "Tries a new index against not having it before it is kept.",
							 "Likewise going without one before it is dropped. Read when an action is queued.",
							 &hone_apply_trial,
							 true,
							 PGC_USERSET,
							 0,
							 NULL, NULL, NULL);
	DefineCustomIntVariable("pg_hone.trial_turn",
							"Sets how long a session keeps its side in a trial, at least.",
							"Sides change in a round of the collector.",
							&hone_apply_trial_turn_s,
							10, 1, 3600,
							PGC_SUSET,
							GUC_UNIT_S,
							NULL, NULL, NULL);
	DefineCustomIntVariable("pg_hone.trial_time",
							"Sets how long the trial of a new index lasts at most.",
							"Where queries it is for are rare, 7/3 of that.",
							&trial_time_s,
							3 * 24 * 60 * 60, 1, INT_MAX / 3,
							PGC_SUSET,
							GUC_UNIT_S,
							NULL, NULL, NULL);
	DefineCustomIntVariable("pg_hone.drop_watch",
							"Sets how long it is watched what happens without an index before it is dropped.",
							NULL,
							&drop_watch_s,
							7 * 24 * 60 * 60, 1, INT_MAX / 3,
							PGC_SUSET,
							GUC_UNIT_S,
							NULL, NULL, NULL);
}

void
hone_apply_trial_created(const HoneAction *action, Oid index_oid)
{
	Arguments	args = {0};

	add_int8(&args, action->id);
	add_oid(&args, index_oid);
	run("SELECT hone.prepare_trial($1, $2)", &args);
}

/*
 * Actions are numbered anew when the extension is made anew; what the server's
 * memory has of this number is about another trial.
 */
#define FORGET_SQL \
	"SELECT hone.forget_trial($1)" \
	" WHERE (SELECT c.preloaded FROM hone.collector_cost() c)"

bool
hone_apply_trial_begin(const HoneAction *action)
{
	Arguments	args = {0};

	add_int8(&args, action->id);
	run(FORGET_SQL, &args);
	add_text(&args, action->makes_index ? "create" : "drop");
	run("SELECT hone.begin_trial($1, $2)", &args);
	return DatumGetBool(column(1));
}

void
hone_apply_trial_impossible(const HoneAction *action, const char *reason)
{
	Arguments	args = {0};

	add_int8(&args, action->id);
	add_text(&args, reason);
	run("SELECT hone.give_up_trial($1, $2)", &args);
}

int64
hone_apply_trial_stop(int64 recommendation_id, Oid roleid)
{
	Arguments	args = {0};

	add_int8(&args, recommendation_id);
	add_oid(&args, roleid);
	run("SELECT hone.stop_trial($1, $2)", &args);
	return DatumGetInt64(column(1));
}

/* What trial.sql calls */

/* hone.trial_hide(index_oid, kind, trial, arms) */
Datum
hone_apply_sql_hide(PG_FUNCTION_ARGS)
{
	if (!SearchSysCacheExists1(INDEXRELID, ObjectIdGetDatum(PG_GETARG_OID(0))))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("index with OID %u does not exist", PG_GETARG_OID(0))));
	hone_whatif_hide(PG_GETARG_OID(0), text_to_cstring(PG_GETARG_TEXT_PP(1)),
					 PG_GETARG_INT64(2), PG_GETARG_BOOL(3));
	PG_RETURN_BOOL(true);
}

/* hone.trial_show_all(trial) */
Datum
hone_apply_sql_show_all(PG_FUNCTION_ARGS)
{
	hone_whatif_show_trial(PG_GETARG_INT64(0));
	PG_RETURN_VOID();
}

/* hone.trial_forget_gone() */
Datum
hone_apply_sql_forget_gone(PG_FUNCTION_ARGS pg_attribute_unused())
{
	hone_whatif_forget_gone();
	PG_RETURN_VOID();
}
