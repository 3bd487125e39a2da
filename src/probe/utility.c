/*
 * utility.c
 *	  Utility statements, one query for each command tag.
 *
 * Their texts differ in names and values at every turn (temporary tables,
 * DEALLOCATE, SET), so each command is one query whose text is its tag. The
 * slow log keeps the text itself only of commands that cannot carry a password
 * or a connection string.
 */
#include "postgres.h"

#include "common/hashfn.h"
#include "nodes/parsenodes.h"
#include "tcop/utility.h"

#include "probe/internal.h"
#include "stats/stats.h"

static ProcessUtility_hook_type prev_ProcessUtility = NULL;

/*
 * EXECUTE runs a statement that is measured itself; PREPARE and DEALLOCATE are
 * bookkeeping around it.
 */
static bool
utility_is_transparent(const Node *statement)
{
	return IsA(statement, ExecuteStmt) || IsA(statement, PrepareStmt) ||
		IsA(statement, DeallocateStmt);
}

/* Options of foreign tables and their columns can be anything. */
static bool
alter_table_is_safe(const AlterTableStmt *statement)
{
	ListCell   *lc;

	foreach(lc, statement->cmds)
	{
		const AlterTableCmd *cmd = lfirst(lc);

		if (cmd->subtype == AT_GenericOptions ||
			cmd->subtype == AT_AlterColumnGenericOptions)
			return false;
		if (cmd->def != NULL && IsA(cmd->def, ColumnDef) &&
			((const ColumnDef *) cmd->def)->fdwoptions != NIL)
			return false;
	}
	return true;
}

/*
 * May the text of a utility statement be kept? Only of those that cannot carry
 * a password or a connection string.
 */
static bool
utility_text_is_safe(const Node *statement)
{
	switch (nodeTag(statement))
	{
		case T_IndexStmt:
		case T_ReindexStmt:
		case T_VacuumStmt:
		case T_ClusterStmt:
		case T_CreateTableAsStmt:
		case T_RefreshMatViewStmt:
		case T_TruncateStmt:
		case T_ExplainStmt:
		case T_DeclareCursorStmt:
		case T_FetchStmt:
		case T_LockStmt:
		case T_CheckPointStmt:
		case T_DropStmt:
			return true;
		case T_AlterTableStmt:
			return alter_table_is_safe((const AlterTableStmt *) statement);
		case T_CopyStmt:
			return !((const CopyStmt *) statement)->is_program;
		default:
			return false;
	}
}

/* The id of each command, once it has been needed. */
uint64
hone_utility_id(CommandTag command)
{
	static uint64 ids[HONE_COMMAND_TAGS];

	if (ids[command] == 0)
	{
		const char *name = GetCommandTagName(command);
		uint64		id = hash_bytes_extended((const unsigned char *) name,
											 (int) strlen(name), 0);

		ids[command] = id ? id : 1;
	}
	return ids[command];
}

static void
call_ProcessUtility(PlannedStmt *pstmt, const char *query_string, bool read_only_tree,
					ProcessUtilityContext context, ParamListInfo params,
					QueryEnvironment *env, DestReceiver *dest, QueryCompletion *qc)
{
	if (prev_ProcessUtility)
		prev_ProcessUtility(pstmt, query_string, read_only_tree, context,
							params, env, dest, qc);
	else
		standard_ProcessUtility(pstmt, query_string, read_only_tree, context,
								params, env, dest, qc);
}

/* The text of a command is its tag. */
static pg_noinline void
remember_tag(const HoneQueryKey *key, CommandTag command)
{
	const char *name = GetCommandTagName(command);

	hone_stats_remember_text(key, name, (int) strlen(name), 0, NULL);
}

static void
begin_utility(HoneExecution *execution, const PlannedStmt *pstmt, const char *query_string)
{
	execution->command = CreateCommandTag(pstmt->utilityStmt);
	hone_probe_fill_key(&execution->key, hone_utility_id(execution->command));
	execution->nesting = hone_probe.nesting;
	execution->top_queryid = hone_probe_top_queryid();
	hone_probe_begin_record(execution);
	execution->plan_ns = 0;
	execution->plan_kind = HONE_PLAN_UNKNOWN;
	execution->ntables = 0;
	execution->tables = NULL;
	execution->early_plan = NULL;
	hone_probe_set_text(execution, query_string, pstmt->stmt_location, pstmt->stmt_len);
	if (!utility_text_is_safe(pstmt->utilityStmt))
		execution->text_is_safe = false;
	if (!hone_stats_text_known(&execution->key))
		remember_tag(&execution->key, execution->command);
}

/* What is put back when a utility statement has ended. */
typedef struct Around
{
	HoneExecution *outer;
	HoneSource	source;
	HoneUsageMark mark;
} Around;

static void
enter_utility(HoneExecution *execution, Around *around, const PlannedStmt *pstmt,
			  const char *query_string)
{
	around->source = hone_probe.utility;
	hone_probe.utility.text = query_string;
	hone_probe.utility.location = pstmt->stmt_location;
	hone_probe.utility.len = pstmt->stmt_len;
	hone_probe.utility.is_safe = execution->text_is_safe;
	if (hone_probe.nesting == 0)
		hone_probe.top_utility = execution;
	around->outer = hone_probe_enter(execution);
	hone_probe_mark_usage(&around->mark);
	execution->exec_ns -= hone_now_ns();
}

static void
leave_utility(HoneExecution *execution, const Around *around)
{
	execution->exec_ns += hone_now_ns();
	hone_probe_add_usage(execution, &around->mark);
	hone_probe_leave(around->outer);
	hone_probe.utility = around->source;
	if (hone_probe.nesting == 0)
		hone_probe.top_utility = NULL;
}

/*
 * What COMMIT asks for is done when it has returned: deferred triggers run inside
 * it. Not so where it found only something to roll back.
 */
static void
expect_ending(const HoneExecution *execution, const QueryCompletion *qc)
{
	if (hone_probe.nesting > 0 || qc == NULL || qc->commandTag == CMDTAG_ROLLBACK)
		return;
	hone_probe.ending = execution->command;
	hone_probe.ending_since_ns = hone_now_ns();
	hone_probe.nesting = 1;
	hone_probe.top_queryid = execution->key.queryid;
}

static void
probe_ProcessUtility(PlannedStmt *pstmt, const char *query_string, bool read_only_tree,
					 ProcessUtilityContext context, ParamListInfo params,
					 QueryEnvironment *env, DestReceiver *dest, QueryCompletion *qc)
{
	HoneExecution execution;
	Around		around;

	if (!hone_probe_tracking() || utility_is_transparent(pstmt->utilityStmt))
	{
		call_ProcessUtility(pstmt, query_string, read_only_tree, context,
							params, env, dest, qc);
		return;
	}

	/*
	 * The statement may be gone when the call comes back (ROLLBACK in a
	 * procedure frees it), so everything is taken from it now.
	 */
	begin_utility(&execution, pstmt, query_string);
	enter_utility(&execution, &around, pstmt, query_string);
	PG_TRY();
	{
		call_ProcessUtility(pstmt, query_string, read_only_tree, context,
							params, env, dest, qc);
	}
	PG_CATCH();
	{
		leave_utility(&execution, &around);
		hone_failure_set(&execution, geterrcode());
		hone_probe_hand_over(&execution);
		hone_failure_passed(&execution);
		PG_RE_THROW();
	}
	PG_END_TRY();

	leave_utility(&execution, &around);
	execution.outcome = HONE_COMPLETED;
	execution.rows = qc ? qc->nprocessed : 0;
	hone_probe_hand_over(&execution);
	if (execution.command == CMDTAG_COMMIT || execution.command == CMDTAG_PREPARE_TRANSACTION)
		expect_ending(&execution, qc);
}

void
hone_utility_init(void)
{
	prev_ProcessUtility = ProcessUtility_hook;
	ProcessUtility_hook = probe_ProcessUtility;
}
