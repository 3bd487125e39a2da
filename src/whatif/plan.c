/*
 * plan.c
 *	  Analysing, planning and explaining a statement under a configuration.
 *
 * Runs as the current user. Analysis takes the statement's own relation locks
 * and planning those on partitions and indexes; they stay until the end of the
 * (sub)transaction, which is why callers use one and roll it back. The hooks
 * after parse analysis are not called: a what-if question should not show up
 * in anybody's statistics as a statement, and the queries have no query id.
 *
 * A plan made here names indexes that may not exist. It is never run: to
 * explain it the executor is started with EXEC_FLAG_EXPLAIN_ONLY, which opens
 * no index.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "commands/explain.h"
#include "executor/executor.h"
#include "optimizer/optimizer.h"
#include "parser/analyze.h"
#include "parser/parse_node.h"
#include "parser/parse_param.h"
#include "rewrite/rewriteHandler.h"
#include "tcop/tcopprot.h"
#include "utils/lsyscache.h"
#include "utils/snapmgr.h"

#include "base/compat.h"
#include "whatif/details.h"

/* The position in an error is one in our text, not in the caller's. */
static void
point_at_text(void *text)
{
	int			position = geterrposition();

	if (position > 0)
	{
		errposition(0);
		internalerrposition(position);
		internalerrquery(text);
	}
	else
		errcontext("what-if text \"%s\"", (char *) text);
}

void
hone_whatif_push_text(ErrorContextCallback *context, const char *text)
{
	context->callback = point_at_text;
	context->arg = unconstify(char *, text);
	context->previous = error_context_stack;
	error_context_stack = context;
}

void
hone_whatif_pop_text(ErrorContextCallback *context)
{
	error_context_stack = context->previous;
}

static RawStmt *
parse_one(const char *statement)
{
	List	   *statements = pg_parse_query(statement);
	RawStmt    *raw;

	if (list_length(statements) != 1)
		ereport(ERROR,
				(errcode(ERRCODE_SYNTAX_ERROR),
				 errmsg("expected exactly one statement, got %d",
						list_length(statements))));
	raw = linitial_node(RawStmt, statements);
	switch (nodeTag(raw->stmt))
	{
		case T_SelectStmt:
		case T_InsertStmt:
		case T_UpdateStmt:
		case T_DeleteStmt:
		case T_MergeStmt:
			return raw;
		default:
			ereport(ERROR,
					(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
					 errmsg("utility statements have no plan"),
					 errdetail("Only SELECT, INSERT, UPDATE, DELETE and MERGE can be planned.")));
	}
	return NULL;				/* not reached */
}

static void
check_param_types(const Oid *types, int n)
{
	for (int i = 0; i < n; i++)
	{
		if (types[i] == InvalidOid || types[i] == UNKNOWNOID)
			ereport(ERROR,
					(errcode(ERRCODE_INDETERMINATE_DATATYPE),
					 errmsg("could not determine data type of parameter $%d", i + 1)));
	}
}

List *
hone_whatif_analyze(const char *statement, const Oid *param_types, int nparams,
					Oid **param_types_out, int *nparams_out)
{
	ErrorContextCallback context;
	RawStmt    *raw;
	ParseState *pstate = make_parsestate(NULL);
	Query	   *query;
	List	   *queries;
	Oid		   *types = NULL;
	int			ntypes = 0;

	hone_whatif_push_text(&context, statement);
	raw = parse_one(statement);

	if (param_types != NULL && nparams > 0)
	{
		types = palloc(sizeof(Oid) * nparams);
		memcpy(types, param_types, sizeof(Oid) * nparams);
		ntypes = nparams;
	}

	pstate->p_sourcetext = statement;
	setup_parse_variable_parameters(pstate, &types, &ntypes);
	query = transformTopLevelStmt(pstate, raw);
	check_variable_parameters(pstate, query);
	free_parsestate(pstate);
	check_param_types(types, ntypes);

	/* SELECT INTO looks like a query until it is analysed. */
	if (query->commandType == CMD_UTILITY)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("statements that create a table cannot be planned"),
				 errhint("Leave out the INTO clause.")));

	queries = QueryRewrite(query);
	hone_whatif_pop_text(&context);
	*param_types_out = types;
	*nparams_out = ntypes;
	return queries;
}

ParamListInfo
hone_whatif_params(const Oid *param_types, int nparams, char **values)
{
	ParamListInfo params = makeParamList(nparams);

	for (int i = 0; i < nparams; i++)
	{
		ParamExternData *param = &params->params[i];
		Oid			input;
		Oid			ioparam;

		getTypeInputInfo(param_types[i], &input, &ioparam);
		param->ptype = param_types[i];
		param->isnull = values[i] == NULL;
		param->pflags = PARAM_FLAG_CONST;
		param->value = OidInputFunctionCall(input, values[i], ioparam, -1);
	}
	return params;
}

PlannedStmt *
hone_whatif_plan(Query *query, const char *statement, ParamListInfo params,
				 const HoneConfiguration *configuration)
{
	static const HoneConfiguration nothing = {NIL, NIL};
	PlannedStmt *volatile plan = NULL;

	/* A rule may have put a NOTIFY behind the statement. */
	if (query->commandType == CMD_UTILITY)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("utility statements have no plan")));

	hone_whatif_push(configuration ? configuration : &nothing);
	PG_TRY();
	{
		plan = planner(copyObject(query), statement, CURSOR_OPT_PARALLEL_OK, params);
	}
	PG_FINALLY();
	{
		hone_whatif_pop();
	}
	PG_END_TRY();

	hone_check_plan_permissions(plan);
	return plan;
}

double
hone_whatif_cost(PlannedStmt *plan)
{
	return plan->planTree->total_cost;
}

static void collect_indexes(Plan *plan, List **oids);

static void
collect_indexes_of_list(List *plans, List **oids)
{
	ListCell   *lc;

	foreach(lc, plans)
		collect_indexes(lfirst(lc), oids);
}

static void
collect_indexes(Plan *plan, List **oids)
{
	if (plan == NULL)
		return;
	check_stack_depth();

	switch (nodeTag(plan))
	{
		case T_IndexScan:
			*oids = list_append_unique_oid(*oids, ((IndexScan *) plan)->indexid);
			break;
		case T_IndexOnlyScan:
			*oids = list_append_unique_oid(*oids, ((IndexOnlyScan *) plan)->indexid);
			break;
		case T_BitmapIndexScan:
			*oids = list_append_unique_oid(*oids, ((BitmapIndexScan *) plan)->indexid);
			break;
		case T_Append:
			collect_indexes_of_list(((Append *) plan)->appendplans, oids);
			break;
		case T_MergeAppend:
			collect_indexes_of_list(((MergeAppend *) plan)->mergeplans, oids);
			break;
		case T_BitmapAnd:
			collect_indexes_of_list(((BitmapAnd *) plan)->bitmapplans, oids);
			break;
		case T_BitmapOr:
			collect_indexes_of_list(((BitmapOr *) plan)->bitmapplans, oids);
			break;
		case T_SubqueryScan:
			collect_indexes(((SubqueryScan *) plan)->subplan, oids);
			break;
		case T_CustomScan:
			collect_indexes_of_list(((CustomScan *) plan)->custom_plans, oids);
			break;
		default:
			break;
	}
	collect_indexes(plan->lefttree, oids);
	collect_indexes(plan->righttree, oids);
}

/* OIDs of all indexes of the plan, imagined ones too. */
List *
hone_whatif_plan_indexes(PlannedStmt *plan)
{
	List	   *oids = NIL;

	collect_indexes(plan->planTree, &oids);
	collect_indexes_of_list(plan->subplans, &oids);
	return oids;
}

List *
hone_whatif_used(PlannedStmt *plan, const HoneConfiguration *configuration)
{
	List	   *oids = hone_whatif_plan_indexes(plan);
	List	   *used = NIL;
	ListCell   *lc;

	if (configuration == NULL)
		return NIL;
	foreach(lc, configuration->create)
	{
		HoneIndex  *index = lfirst(lc);

		if (list_member_oid(oids, index->fakeoid))
			used = lappend(used, index);
	}
	return used;
}

/* An imagined index has an OID that no relation has. */
List *
hone_whatif_used_real(PlannedStmt *plan)
{
	List	   *real = NIL;
	ListCell   *lc;

	foreach(lc, hone_whatif_plan_indexes(plan))
	{
		if (get_rel_relkind(lfirst_oid(lc)) != '\0')
			real = lappend_oid(real, lfirst_oid(lc));
	}
	return real;
}

static char *
explain(PlannedStmt *plan, const char *statement, ParamListInfo params)
{
	ExplainState *es = NewExplainState();
	QueryDesc  *desc;

	es->format = EXPLAIN_FORMAT_JSON;
	PushCopiedSnapshot(GetActiveSnapshot());
	desc = CreateQueryDesc(plan, statement, GetActiveSnapshot(), InvalidSnapshot,
						   None_Receiver, params, NULL, 0);
	ExecutorStart(desc, EXEC_FLAG_EXPLAIN_ONLY);

	ExplainBeginOutput(es);
	ExplainOpenGroup("Query", NULL, true, es);
	ExplainPrintPlan(es, desc);
	ExplainCloseGroup("Query", NULL, true, es);
	ExplainEndOutput(es);

	ExecutorEnd(desc);
	FreeQueryDesc(desc);
	PopActiveSnapshot();
	return es->str->data;
}

char *
hone_whatif_explain(PlannedStmt *plan, const char *statement, ParamListInfo params,
					const HoneConfiguration *configuration)
{
	PlannedStmt copy = *plan;
	char	   *volatile result = NULL;

	/* Starting the executor would compile code, even to explain only. */
	copy.jitFlags = 0;

	hone_whatif_push(configuration);
	PG_TRY();
	{
		result = explain(&copy, statement, params);
	}
	PG_FINALLY();
	{
		hone_whatif_pop();
	}
	PG_END_TRY();
	return result;
}
