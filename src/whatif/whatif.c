/*
 * whatif.c
 *	  Which configuration the planner sees, and when.
 *
 * A configuration counts for exactly one planner call: the one we make
 * ourselves. Planning runs code (immutable functions are folded, stable ones
 * estimated), that code plans and *executes* statements of its own, and those
 * must never see an index that does not exist. So planner calls are counted
 * while a configuration is in effect, and get_relation_info_hook acts at the
 * outermost one only. While none is in effect the hooks do nothing.
 *
 * The stack of configurations is backend-local. It is popped in PG_FINALLY; the
 * transaction callbacks below empty it in case something left without passing
 * there. No locks, no shared memory; nothing here differs on a standby. A
 * parallel worker starts with an empty stack and plans nothing.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_class.h"
#include "catalog/pg_inherits.h"
#include "commands/explain.h"
#include "optimizer/plancat.h"
#include "optimizer/planner.h"
#include "utils/lsyscache.h"
#include "utils/selfuncs.h"

#include "whatif/details.h"
#include "whatif/hidden.h"
#include "whatif/learning.h"
#include "whatif/whatif.h"

/* A what-if question asked by a function folded in a what-if question, ... */
#define MAX_NESTED 16

typedef struct InEffect
{
	const HoneConfiguration *configuration; /* NULL: a shield */
	List	   *hide;			/* with the children of partitioned indexes */
	int			planner_depth;	/* planner calls under way since it is in effect */
	int			xact_level;
} InEffect;

static InEffect in_effect[MAX_NESTED];
static int	nested = 0;

static planner_hook_type prev_planner = NULL;
static get_relation_info_hook_type prev_get_relation_info = NULL;
static get_index_stats_hook_type prev_get_index_stats = NULL;
static explain_get_index_name_hook_type prev_explain_get_index_name = NULL;

static List *
with_partitions(List *hide)
{
	List	   *result = NIL;
	ListCell   *lc;

	foreach(lc, hide)
	{
		Oid			indexoid = lfirst_oid(lc);

		if (get_rel_relkind(indexoid) == RELKIND_PARTITIONED_INDEX)
			result = list_concat(result,
								 find_all_inheritors(indexoid, NoLock, NULL));
		else
			result = lappend_oid(result, indexoid);
	}
	return result;
}

void
hone_whatif_pop(void)
{
	Assert(nested > 0);
	nested--;
}

static const HoneConfiguration *
current_configuration(void)
{
	return nested > 0 ? in_effect[nested - 1].configuration : NULL;
}

/* Is the planner call under way the one that was made under this configuration? */
bool
hone_whatif_is_planning(const HoneConfiguration *configuration)
{
	return current_configuration() == configuration &&
		in_effect[nested - 1].planner_depth == 1;
}

bool
hone_whatif_is_asking(void)
{
	return current_configuration() != NULL && in_effect[nested - 1].planner_depth == 1;
}

static HoneIndex *
find_imagined(Oid fakeoid)
{
	const HoneConfiguration *configuration = current_configuration();
	ListCell   *lc;

	if (configuration == NULL)
		return NULL;
	foreach(lc, configuration->create)
	{
		HoneIndex  *index = lfirst(lc);

		if (index->fakeoid == fakeoid)
			return index;
	}
	return NULL;
}

static PlannedStmt *
call_planner(Query *parse, const char *query_string, int cursor_options,
			 ParamListInfo params)
{
	if (prev_planner)
		return prev_planner(parse, query_string, cursor_options, params);
	return standard_planner(parse, query_string, cursor_options, params);
}

static PlannedStmt *
count_planner(Query *parse, const char *query_string, int cursor_options,
			  ParamListInfo params)
{
	PlannedStmt *result;
	int			level = nested;

	if (current_configuration() == NULL)
		return call_planner(parse, query_string, cursor_options, params);

	in_effect[level - 1].planner_depth++;
	PG_TRY();
	{
		result = call_planner(parse, query_string, cursor_options, params);
	}
	PG_FINALLY();
	{
		in_effect[level - 1].planner_depth--;
	}
	PG_END_TRY();
	return result;
}

static void
change_indexes(PlannerInfo *root, Oid relid, bool inhparent, RelOptInfo *rel)
{
	const InEffect *top;

	if (prev_get_relation_info)
		prev_get_relation_info(root, relid, inhparent, rel);

	if (current_configuration() == NULL)
		return;
	top = &in_effect[nested - 1];
	if (top->planner_depth != 1)
		return;

	if (top->hide != NIL)
		hone_whatif_remove(rel, top->hide);
	if (!inhparent)
		hone_whatif_inject(relid, rel, top->configuration->create);
}

/* For VariableStatData: the tuple is the index's. */
void
hone_whatif_keep_stats(HeapTuple tuple pg_attribute_unused())
{
}

/*
 * Statistics of an imagined index's expressions come from our sample; of
 * plain columns there are the table's own.
 */
static bool
give_index_stats(PlannerInfo *root, Oid indexoid, AttrNumber column,
				 VariableStatData *vardata)
{
	HoneIndex  *index = find_imagined(indexoid);

	if (index != NULL)
	{
		HeapTuple  *stats = index->details->stats;

		if (stats == NULL || column > index->ncolumns || stats[column - 1] == NULL)
			return true;		/* none: there is no catalog row to look for */
		vardata->statsTuple = stats[column - 1];
		vardata->freefunc = hone_whatif_keep_stats;
		vardata->acl_ok = true; /* the sample was read as this role */
		return true;
	}
	if (prev_get_index_stats)
		return prev_get_index_stats(root, indexoid, column, vardata);
	return false;
}

static const char *
name_index(Oid indexoid)
{
	HoneIndex  *index = find_imagined(indexoid);

	if (index != NULL)
		return psprintf("imagined index on %s",
						index->definition + strlen("CREATE INDEX ON "));
	if (prev_explain_get_index_name)
		return prev_explain_get_index_name(indexoid);
	return NULL;
}

static void
forget_at_end(XactEvent event, void *arg pg_attribute_unused())
{
	if (event == XACT_EVENT_ABORT || event == XACT_EVENT_COMMIT)
		nested = 0;
}

static void
forget_at_subabort(SubXactEvent event,
				   SubTransactionId subid pg_attribute_unused(),
				   SubTransactionId parent pg_attribute_unused(),
				   void *arg pg_attribute_unused())
{
	if (event != SUBXACT_EVENT_ABORT_SUB)
		return;
	while (nested > 0 &&
		   in_effect[nested - 1].xact_level >= GetCurrentTransactionNestLevel())
		nested--;
}

/*
 * Hooks are installed when the first question is asked in this process: those
 * who never ask pay nothing for them. So they are outside of those for hidden
 * indexes (hidden.c), which are always there: a configuration is applied to what
 * those have left.
 */
static void
install_hooks(void)
{
	static bool installed = false;

	if (installed)
		return;
	installed = true;
	prev_planner = planner_hook;
	planner_hook = count_planner;
	prev_get_relation_info = get_relation_info_hook;
	get_relation_info_hook = change_indexes;
	prev_get_index_stats = get_index_stats_hook;
	get_index_stats_hook = give_index_stats;
	prev_explain_get_index_name = explain_get_index_name_hook;
	explain_get_index_name_hook = name_index;

	RegisterXactCallback(forget_at_end, NULL);
	RegisterSubXactCallback(forget_at_subabort, NULL);
}

void
hone_whatif_push(const HoneConfiguration *configuration)
{
	InEffect   *top;

	install_hooks();
	if (nested >= MAX_NESTED)
		ereport(ERROR,
				(errcode(ERRCODE_STATEMENT_TOO_COMPLEX),
				 errmsg("what-if questions are nested too deeply")));

	top = &in_effect[nested];
	top->configuration = configuration;
	top->hide = configuration ? with_partitions(configuration->hide) : NIL;
	top->planner_depth = 0;
	top->xact_level = GetCurrentTransactionNestLevel();
	nested++;
}

void
hone_whatif_init(void)
{
	hone_hidden_init();
	hone_hide_init();
}
