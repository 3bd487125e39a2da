/*
 * answer.c
 *	  hone.what_if(): one statement, planned without and with a change of
 *	  indexes.
 *
 * The caller plans as himself, as EXPLAIN would. Everything is done in an
 * internal subtransaction that is rolled back: the locks of the statement, and
 * whatever a function run by the planner may have done, do not stay. Nothing is
 * written, so it works on a standby; it needs no shared memory.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_class.h"
#include "catalog/pg_type.h"
#include "fmgr.h"
#include "funcapi.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"
#include "utils/lsyscache.h"
#include "utils/resowner.h"

#include "base/compat.h"
#include "base/record.h"
#include "whatif/details.h"

PG_FUNCTION_INFO_V1(hone_what_if);

typedef struct Question
{
	char	   *statement;
	List	   *create;			/* of char * */
	List	   *hide;			/* OIDs */
	bool		has_parameters;
	char	  **parameters;		/* NULLs are nulls */
	int			nparameters;
} Question;

typedef struct Answer
{
	double		cost_before;
	double		cost_after;
	char	   *plan_before;
	char	   *plan_after;
	List	   *used;			/* of HoneIndex * */
	int64		size_bytes;
} Answer;

/* One-dimensional arrays only, so that nobody wonders about the rest. */
static void
check_shape(ArrayType *array, const char *argument)
{
	if (ARR_NDIM(array) > 1)
		ereport(ERROR,
				(errcode(ERRCODE_ARRAY_SUBSCRIPT_ERROR),
				 errmsg("\"%s\" must be a one-dimensional array", argument)));
}

static void
no_nulls(const char *argument)
{
	ereport(ERROR,
			(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
			 errmsg("\"%s\" must not contain nulls", argument)));
}

static int
take_texts(ArrayType *array, const char *argument, char ***texts)
{
	Datum	   *elems;
	bool	   *nulls;
	int			nelems;

	check_shape(array, argument);
	deconstruct_array(array, TEXTOID, -1, false, TYPALIGN_INT, &elems, &nulls, &nelems);
	*texts = palloc(sizeof(char *) * Max(nelems, 1));
	for (int i = 0; i < nelems; i++)
		(*texts)[i] = nulls[i] ? NULL : TextDatumGetCString(elems[i]);
	return nelems;
}

static List *
take_hidden(ArrayType *array)
{
	Datum	   *elems;
	bool	   *nulls;
	int			nelems;
	List	   *hide = NIL;

	check_shape(array, "hide_indexes");
	deconstruct_array(array, REGCLASSOID, sizeof(Oid), true, TYPALIGN_INT,
					  &elems, &nulls, &nelems);
	for (int i = 0; i < nelems; i++)
	{
		Oid			oid = nulls[i] ? InvalidOid : DatumGetObjectId(elems[i]);
		char		relkind = nulls[i] ? '\0' : get_rel_relkind(oid);

		if (nulls[i])
			no_nulls("hide_indexes");
		if (relkind == '\0')
			ereport(ERROR,
					(errcode(ERRCODE_UNDEFINED_OBJECT),
					 errmsg("\"hide_indexes\" names a relation that does not exist"),
					 errdetail("Its OID is %u.", oid)));
		if (relkind != RELKIND_INDEX && relkind != RELKIND_PARTITIONED_INDEX)
			ereport(ERROR,
					(errcode(ERRCODE_WRONG_OBJECT_TYPE),
					 errmsg("\"%s\" in \"hide_indexes\" is not an index",
							get_rel_name(oid))));
		hide = list_append_unique_oid(hide, oid);
	}
	return hide;
}

static void
take_arguments(FunctionCallInfo fcinfo, Question *question)
{
	char	  **texts;
	int			n = 0;

	memset(question, 0, sizeof(*question));
	if (PG_ARGISNULL(0))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("\"statement\" must not be null")));
	question->statement = text_to_cstring(PG_GETARG_TEXT_PP(0));

	if (!PG_ARGISNULL(1))
		n = take_texts(PG_GETARG_ARRAYTYPE_P(1), "create_indexes", &texts);
	for (int i = 0; i < n; i++)
	{
		if (texts[i] == NULL)
			no_nulls("create_indexes");
		question->create = lappend(question->create, texts[i]);
	}

	if (!PG_ARGISNULL(2))
		question->hide = take_hidden(PG_GETARG_ARRAYTYPE_P(2));
	if (question->create == NIL && question->hide == NIL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("\"create_indexes\" and \"hide_indexes\" are both empty")));

	if (!PG_ARGISNULL(3))
	{
		question->has_parameters = true;
		question->nparameters = take_texts(PG_GETARG_ARRAYTYPE_P(3), "parameters",
										   &question->parameters);
	}
}

static ParamListInfo
bind_parameters(const Question *question, const Oid *types, int ntypes)
{
	if (!question->has_parameters)
		return NULL;
	if (question->nparameters != ntypes)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("\"parameters\" has %d values, but the statement has %d parameters",
						question->nparameters, ntypes)));
	return hone_whatif_params(types, ntypes, question->parameters);
}

static double
plan_and_explain(Query *query, const Question *question, ParamListInfo params,
				 const HoneConfiguration *configuration, char **plan_json,
				 List **used)
{
	PlannedStmt *plan = hone_whatif_plan(query, question->statement, params,
										 configuration);

	*plan_json = hone_whatif_explain(plan, question->statement, params, configuration);
	*used = hone_whatif_used(plan, configuration);
	return hone_whatif_cost(plan);
}

static void
find_answer(const Question *question, Answer *answer)
{
	HoneConfiguration before = {NIL, NIL};
	HoneConfiguration after = {NIL, question->hide};
	ParamListInfo params;
	List	   *queries;
	List	   *none;
	Oid		   *types;
	int			ntypes;
	ListCell   *lc;

	queries = hone_whatif_analyze(question->statement, NULL, 0, &types, &ntypes);
	if (list_length(queries) != 1)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("the statement is rewritten into %d queries",
						list_length(queries)),
				 errdetail("Rules of its target relation do that; each query has a plan of its own.")));
	params = bind_parameters(question, types, ntypes);

	foreach(lc, question->create)
	{
		HoneIndex  *index = hone_whatif_index(lfirst(lc));

		after.create = lappend(after.create, index);
		answer->size_bytes += index->size_bytes;
	}

	answer->cost_before = plan_and_explain(linitial_node(Query, queries), question,
										   params, &before, &answer->plan_before, &none);
	answer->cost_after = plan_and_explain(linitial_node(Query, queries), question,
										  params, &after, &answer->plan_after,
										  &answer->used);
}

/* In a subtransaction that leaves nothing but the answer. */
static void
find_answer_aside(const Question *question, Answer *answer)
{
	MemoryContext context = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;
	bool		old_paused = hone_capture_paused;

	BeginInternalSubTransaction(NULL);
	MemoryContextSwitchTo(context);
	hone_capture_paused = true;
	PG_TRY();
	{
		find_answer(question, answer);
	}
	PG_CATCH();
	{
		ErrorData  *error;

		MemoryContextSwitchTo(context);
		error = CopyErrorData();
		FlushErrorState();
		RollbackAndReleaseCurrentSubTransaction();
		hone_capture_paused = old_paused;
		MemoryContextSwitchTo(context);
		CurrentResourceOwner = owner;
		ReThrowError(error);
	}
	PG_END_TRY();
	RollbackAndReleaseCurrentSubTransaction();
	hone_capture_paused = old_paused;
	MemoryContextSwitchTo(context);
	CurrentResourceOwner = owner;
}

static Datum
definitions_array(List *indexes)
{
	int			n = 0;
	Datum	   *elems = palloc(sizeof(Datum) * Max(list_length(indexes), 1));
	ListCell   *lc;

	foreach(lc, indexes)
		elems[n++] = CStringGetTextDatum(((HoneIndex *) lfirst(lc))->definition);
	return PointerGetDatum(construct_array(elems, n, TEXTOID, -1, false, TYPALIGN_INT));
}

Datum
hone_what_if(PG_FUNCTION_ARGS)
{
	Question	question;
	Answer		answer = {0};
	TupleDesc	desc;
	Datum		values[6];
	bool		nulls[6] = {false};

	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	take_arguments(fcinfo, &question);
	find_answer_aside(&question, &answer);

	values[0] = Float8GetDatum(answer.cost_before);
	values[1] = Float8GetDatum(answer.cost_after);
	values[2] = DirectFunctionCall1(jsonb_in, CStringGetDatum(answer.plan_before));
	values[3] = DirectFunctionCall1(jsonb_in, CStringGetDatum(answer.plan_after));
	values[4] = definitions_array(answer.used);
	values[5] = Int64GetDatum(answer.size_bytes);
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(desc), values, nulls)));
}
