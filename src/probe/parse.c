/*
 * parse.c
 *	  Parse analysis and planning.
 *
 * At parse analysis the text of a statement is made known to stats: the only
 * moment at which the places of its constants are known. Planning is timed, and
 * counted apart from execution; the execution that follows is told, and whether
 * the plan was made for its parameter values. Functions that planning runs are
 * nested statements like any other.
 *
 * An error while planning is that statement's failure: it took as long as the
 * planning did.
 */
#include "postgres.h"

#include <ctype.h>

#include "optimizer/planner.h"
#include "parser/analyze.h"
#include "parser/scansup.h"

#include "probe/internal.h"
#include "stats/stats.h"
#include "workload/workload.h"

/* A planning under way. */
typedef struct Planning
{
	HoneExecution *outer;
	uint64		queryid;
	CmdType		command;
	const Query *parse;			/* may be gone when the transaction aborts */
	const char *source;
	ParamListInfo params;
	uint64		start;
} Planning;

/*
 * The one at level 0, which has no PG_TRY of ours: not on the stack, because the
 * log hook looks at it when that is gone.
 */
static Planning top_planning;
static bool under_way = false;

static post_parse_analyze_hook_type prev_post_parse_analyze = NULL;
static planner_hook_type prev_planner = NULL;

/*
 * Does a source text, after white space, comments and parentheses, begin like
 * a statement? PL/pgSQL has its expressions analysed as queries whose text is
 * the bare expression, which says nothing to a reader.
 */
static bool
begins_statement(const char *text)
{
	static const char *const words[] = {
		"select", "insert", "update", "delete", "merge", "with", "values",
		"table", "prepare", "explain", "declare", "create", "copy", "refresh"
	};

	for (;;)
	{
		if (scanner_isspace(*text) || *text == '(')
			text++;
		else if (text[0] == '-' && text[1] == '-')
			text += strcspn(text, "\r\n");
		else if (text[0] == '/' && text[1] == '*' && strstr(text + 2, "*/") != NULL)
			text = strstr(text + 2, "*/") + 2;
		else
			break;
	}
	for (int i = 0; i < (int) lengthof(words); i++)
	{
		size_t		len = strlen(words[i]);

		if (pg_strncasecmp(text, words[i], len) == 0)
			return !isalnum((unsigned char) text[len]) && text[len] != '_';
	}
	return false;
}

/* In a function, parameters have names. */
static inline bool
has_named_params(const ParseState *pstate)
{
	return pstate->p_post_columnref_hook != NULL || pstate->p_pre_columnref_hook != NULL;
}

/*
 * Is the text of a query that was just identified wanted? Each time where its
 * parameters have names, whose places must be noted.
 */
static inline bool
text_is_wanted(const HoneQueryKey *key, const ParseState *pstate, int *location, int *len)
{
	return (has_named_params(pstate) || !hone_stats_text_known(key)) &&
		hone_probe_place_text(pstate->p_sourcetext, location, len);
}

/*
 * The query inside a utility statement that runs one. Its own text, and what
 * the slow log and the samples see of it, is its part of the statement's.
 */
static pg_noinline void
learn_inner(const ParseState *pstate, const Query *outer)
{
	const char *source = pstate->p_sourcetext;
	HoneInnerText part;
	HoneQueryKey key;
	JumbleState *jstate;
	Query	   *query = hone_inner_identify(outer, source, &part, &jstate);
	char	   *without_into = NULL;
	const char *text;

	if (query == NULL)
		return;
	hone_probe_fill_key(&key, hone_stats_identify(query, (uint64) query->queryId, source));
	if (query->stmt_location < 0 || !text_is_wanted(&key, pstate, &part.location, &part.len))
		return;
	if (part.into_len > 0)
		without_into = hone_inner_text_without_into(source, &part);
	text = without_into ? without_into : source + part.location;
	hone_stats_remember_query(&key, query, source, text, part.len, part.location, jstate);
	if (has_named_params(pstate))
		hone_workload_learn(key.queryid, query, text, part.len, part.location);
	if (without_into)
		pfree(without_into);
}

/*
 * A query is identified even when its text is not wanted: what runs later is
 * known by its id.
 */
static void
probe_post_parse_analyze(ParseState *pstate, Query *query, JumbleState *jstate)
{
	const char *text = pstate->p_sourcetext;
	int			location = query->stmt_location;
	int			len = query->stmt_len;
	HoneQueryKey key;

	if (prev_post_parse_analyze)
		prev_post_parse_analyze(pstate, query, jstate);

	if (text == NULL || !hone_probe_tracking())
		return;
	if (query->utilityStmt != NULL)
	{
		if (IsA(query->utilityStmt, DeclareCursorStmt) ||
			IsA(query->utilityStmt, CreateTableAsStmt))
			learn_inner(pstate, query);
		return;
	}
	if (unlikely(query->queryId == 0))
	{
		/* compute_query_id is off: identify it ourselves. */
		jstate = hone_jumble_query(query, text);
		if (query->queryId == 0)
			return;
	}
	hone_probe_fill_key(&key, hone_stats_identify(query, (uint64) query->queryId, text));
	if (!text_is_wanted(&key, pstate, &location, &len))
		return;
	text = CleanQuerytext(text, &location, &len);
	if (!begins_statement(text))
		return;
	hone_stats_remember_query(&key, query, pstate->p_sourcetext, text, len, location, jstate);
	if (has_named_params(pstate))
		hone_workload_learn(key.queryid, query, text, len, location);
}

static PlannedStmt *
call_planner(Query *parse, const char *query_string, int cursor_options,
			 ParamListInfo bound_params)
{
	if (prev_planner)
		return prev_planner(parse, query_string, cursor_options, bound_params);
	return standard_planner(parse, query_string, cursor_options, bound_params);
}

/*
 * A planning for which no execution came (EXPLAIN, a portal that never ran). One that was
 * followed by its execution is counted with that.
 */
void
hone_planned_count(void)
{
	HonePlanned *planned = &hone_probe.planned;

	hone_stats_record_plan(&planned->key, planned->top_queryid,
						   hone_probe_command_tag(planned->command), planned->ns);
	planned->key.queryid = 0;
}

static inline void
begin_planning(Planning *planning, const Query *parse, const char *query_string,
			   ParamListInfo params)
{
	planning->queryid = hone_stats_identity((uint64) parse->queryId);
	planning->command = parse->commandType;
	planning->parse = parse;
	planning->source = query_string;
	planning->params = params;
	planning->outer = hone_probe_enter_planning(planning->queryid);
	planning->start = hone_now_ns();
}

/* It succeeded: leave word for the execution that follows. */
static inline void
end_planning(const Planning *planning)
{
	HonePlanned *planned = &hone_probe.planned;
	uint64		now = hone_now_ns();

	hone_probe_leave(planning->outer);

	/* Functions that were folded may have been planned meanwhile. */
	hone_planned_flush();
	hone_probe_fill_key(&planned->key, planning->queryid);
	planned->top_queryid = hone_probe_top_queryid();
	planned->command = planning->command;
	planned->with_values = planning->params != NULL;
	planned->ns = now - planning->start;
}

/* The planner has failed; the time it took is what this execution took. */
static void
record_failure(const Planning *planning, int sqlerrcode)
{
	const Query *parse = planning->parse;
	HoneExecution execution;

	hone_probe_leave(planning->outer);
	memset(&execution, 0, sizeof(execution));
	hone_probe_fill_key(&execution.key, planning->queryid);
	execution.command = hone_probe_command_tag(planning->command);
	execution.nesting = hone_probe.nesting;
	execution.top_queryid = hone_probe_top_queryid();
	execution.exec_ns = hone_now_ns() - planning->start;
	if (sqlerrcode != 0)
	{
		execution.params = planning->params;
		hone_probe_set_text(&execution, planning->source, parse->stmt_location,
							parse->stmt_len);
	}
	hone_failure_set(&execution, sqlerrcode);
	hone_probe_hand_over(&execution);
	hone_failure_passed(&execution);
}

/* An error is on its way to the log. Was it the planning at level 0 that failed? */
bool
hone_planning_failed(int sqlerrcode)
{
	if (!under_way)
		return false;
	under_way = false;
	record_failure(&top_planning, sqlerrcode);
	return true;
}

static pg_noinline PlannedStmt *
plan_guarded(Query *parse, const char *query_string, int cursor_options,
			 ParamListInfo bound_params)
{
	Planning	planning;
	PlannedStmt *plan;

	begin_planning(&planning, parse, query_string, bound_params);
	PG_TRY();
	{
		plan = call_planner(parse, query_string, cursor_options, bound_params);
	}
	PG_CATCH();
	{
		record_failure(&planning, geterrcode());
		PG_RE_THROW();
	}
	PG_END_TRY();
	end_planning(&planning);
	return plan;
}

static PlannedStmt *
probe_planner(Query *parse, const char *query_string, int cursor_options,
			  ParamListInfo bound_params)
{
	PlannedStmt *plan;

	if (parse->queryId == 0 || !hone_probe_tracking())
		return call_planner(parse, query_string, cursor_options, bound_params);
	hone_planned_flush();
	if (unlikely(!hone_probe_may_go_unguarded(GetCurrentSubTransactionId())))
		return plan_guarded(parse, query_string, cursor_options, bound_params);

	begin_planning(&top_planning, parse, query_string, bound_params);
	under_way = true;
	plan = call_planner(parse, query_string, cursor_options, bound_params);
	under_way = false;
	end_planning(&top_planning);
	return plan;
}

void
hone_parse_init(void)
{
	prev_post_parse_analyze = post_parse_analyze_hook;
	post_parse_analyze_hook = probe_post_parse_analyze;
	prev_planner = planner_hook;
	planner_hook = probe_planner;
}
