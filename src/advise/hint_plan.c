/*
 * hint_plan.c
 *	  Hints that plans, statistics and measurements give: missing or old
 *	  statistics, columns that depend on each other, tables not vacuumed, work_mem,
 *	  compilation, settings of the session.
 *
 * What is said to be measured was measured by the server's own statistics of
 * the same query and role; without them these hints are not given. Plans are
 * those made with and without the chosen indexes, and never run.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/sysattr.h"
#include "access/table.h"
#include "catalog/partition.h"
#include "catalog/pg_am.h"
#include "catalog/pg_class.h"
#include "commands/defrem.h"
#include "miscadmin.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/cost.h"
#include "optimizer/optimizer.h"
#include "parser/parsetree.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/syscache.h"

#include "advise/hint.h"
#include "base/compat.h"

#define MUCH_GROWN 10.0			/* times as many rows as were counted */
#define SOME_ROWS 1000.0
#define VACUUM_PAGES 100
#define LOW_VISIBLE 0.5			/* share of pages index-only scans can trust */
#define TEMP_BLOCKS 128			/* written by one execution */
#define JIT_SHARE 0.3			/* of the time */
#define JIT_MS 1.0
#define MISJUDGED 10.0			/* times as many rows as estimated */
#define ENOUGH_BLOCKS 100000.0	/* to judge the cache by */
#define CACHED 0.999

typedef bool (*plan_test) (PlannedStmt *, Plan *, void *);

static bool any_plan(PlannedStmt *stmt, Plan *plan, plan_test test, void *arg);

static bool
any_of_list(PlannedStmt *stmt, List *plans, plan_test test, void *arg)
{
	ListCell   *lc;

	foreach(lc, plans)
		if (any_plan(stmt, lfirst(lc), test, arg))
			return true;
	return false;
}

static bool
any_plan(PlannedStmt *stmt, Plan *plan, plan_test test, void *arg)
{
	if (plan == NULL)
		return false;
	check_stack_depth();
	if (test(stmt, plan, arg))
		return true;
	switch (nodeTag(plan))
	{
		case T_Append:
			if (any_of_list(stmt, ((Append *) plan)->appendplans, test, arg))
				return true;
			break;
		case T_MergeAppend:
			if (any_of_list(stmt, ((MergeAppend *) plan)->mergeplans, test, arg))
				return true;
			break;
		case T_BitmapAnd:
			if (any_of_list(stmt, ((BitmapAnd *) plan)->bitmapplans, test, arg))
				return true;
			break;
		case T_BitmapOr:
			if (any_of_list(stmt, ((BitmapOr *) plan)->bitmapplans, test, arg))
				return true;
			break;
		case T_SubqueryScan:
			if (any_plan(stmt, ((SubqueryScan *) plan)->subplan, test, arg))
				return true;
			break;
		default:
			break;
	}
	return any_plan(stmt, plan->lefttree, test, arg) ||
		any_plan(stmt, plan->righttree, test, arg);
}

/* Is the test true of some node of the plan? */
bool
hone_hint_any_plan(PlannedStmt *plan, plan_test test, void *arg)
{
	return any_plan(plan, plan->planTree, test, arg) ||
		any_of_list(plan, plan->subplans, test, arg);
}

typedef struct ScansOf
{
	Oid			relid;
	HoneScans  *scans;
} ScansOf;

/* The table itself, or a partition of it. */
static bool
is_part_of(Oid relid, Oid table)
{
	return relid == table ||
		(get_rel_relispartition(relid) && list_member_oid(get_partition_ancestors(relid), table));
}

/* Every row is read: no condition narrows the scan. */
static bool
is_whole_scan(Plan *plan)
{
	switch (nodeTag(plan))
	{
		case T_SeqScan:
			return true;
		case T_IndexScan:
			return ((IndexScan *) plan)->indexqual == NIL &&
				((IndexScan *) plan)->indexorderby == NIL;
		case T_IndexOnlyScan:
			return ((IndexOnlyScan *) plan)->indexqual == NIL &&
				((IndexOnlyScan *) plan)->indexorderby == NIL;
		default:
			return false;
	}
}

static bool
note_scan(PlannedStmt *stmt, Plan *plan, void *arg)
{
	ScansOf    *of = arg;
	Oid			scanned;

	if (!IsA(plan, SeqScan) && !IsA(plan, IndexScan) && !IsA(plan, IndexOnlyScan))
		return false;
	scanned = rt_fetch(((Scan *) plan)->scanrelid, stmt->rtable)->relid;
	if (!is_part_of(scanned, of->relid))
		return false;
	of->scans->index_only |= IsA(plan, IndexOnlyScan);
	if (!is_whole_scan(plan))
		return false;
	/* Partitions add up; of several scans of a table the most selective counts. */
	if (scanned != of->relid)
		of->scans->rows += plan->plan_rows;
	else if (!of->scans->whole || plan->plan_rows < of->scans->rows)
		of->scans->rows = plan->plan_rows;
	of->scans->whole = true;
	return false;
}

void
hone_hint_scans(PlannedStmt *plan, Oid relid, HoneScans *scans)
{
	ScansOf		of = {relid, scans};

	memset(scans, 0, sizeof(HoneScans));
	(void) hone_hint_any_plan(plan, note_scan, &of);
}

static double
counted_rows(Oid relid)
{
	HeapTuple	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(relid));
	double		rows = -1;

	if (HeapTupleIsValid(tuple))
	{
		rows = ((Form_pg_class) GETSTRUCT(tuple))->reltuples;
		ReleaseSysCache(tuple);
	}
	return rows;
}

static char *
full_name(Oid relid)
{
	return quote_qualified_identifier(get_namespace_name(get_rel_namespace(relid)),
									  get_rel_name(relid));
}

static void
look_at_statistics(HoneHintWalk *walk, HoneRelUse *rel)
{
	double		counted = counted_rows(rel->relid);
	double		live = DatumGetInt64(DirectFunctionCall1(pg_stat_get_live_tuples,
														 ObjectIdGetDatum(rel->relid)));
	double		changed = DatumGetInt64(DirectFunctionCall1(pg_stat_get_mod_since_analyze,
															ObjectIdGetDatum(rel->relid)));
	char	   *example = psprintf("ANALYZE %s", full_name(rel->relid));
	const char *name = quote_identifier(get_rel_name(rel->relid));
	char	   *measured = NULL;

	if (!hone_advise_has_statistics(rel->relid))
	{
		if (get_rel_relkind(rel->relid) == RELKIND_PARTITIONED_TABLE)
			hone_hint_add(walk, rel->relid, "statistics",
						  psprintf("The partitioned table %s as a whole was never analyzed, and autovacuum does not do it:"
								   " estimates over all partitions are guesses. Run ANALYZE on it after larger changes.", name),
						  NULL, example);
		else
			hone_hint_add(walk, rel->relid, "statistics",
						  psprintf("The table %s was never analyzed: all estimates about it are guesses, and so is advice"
								   " that rests on them. Run ANALYZE, and ask again.", name),
						  NULL, example);
		return;
	}
	if (counted < 0 || get_rel_relkind(rel->relid) == RELKIND_PARTITIONED_TABLE)
		return;
	if (live > MUCH_GROWN * counted + SOME_ROWS)
		measured = psprintf("about %.0f rows now, %.0f when last counted", live, counted);
	else if (changed > Max(counted, SOME_ROWS))
		measured = psprintf("%.0f rows changed since, of %.0f counted", changed, counted);
	if (measured)
		hone_hint_add(walk, rel->relid, "statistics",
					  psprintf("The statistics of %s are old: the table has changed more since than it had rows then."
							   " Run ANALYZE, see why autovacuum did not, and ask again.", name),
					  measured, example);
}

/* An index that holds all columns the query reads, and begins with one it looks for. */
static HoneExisting *
covering_index(HoneHintWalk *walk, HoneRelUse *rel)
{
	ListCell   *lc;

	foreach(lc, walk->run->existing)
	{
		HoneExisting *e = lfirst(lc);
		bool		covers = !bms_is_empty(rel->read);
		bool		wanted = false;
		int			col = -1;
		ListCell   *lu;

		if (e->relid != rel->relid || e->amoid != BTREE_AM_OID || !e->valid ||
			e->predicate || e->expressions || e->nkeys == 0)
			continue;
		while ((col = bms_next_member(rel->read, col)) >= 0)
			covers &= col + FirstLowInvalidHeapAttributeNumber > 0 &&
				bms_is_member(col + FirstLowInvalidHeapAttributeNumber,
							  bms_union(e->columns, e->included));
		foreach(lu, rel->uses)
		{
			HoneUse    *use = lfirst(lu);

			wanted |= use->key.attno == e->keys[0].attno && use->kind != HONE_USE_ARM;
		}
		if (covers && wanted)
			return e;
	}
	return NULL;
}

static void
look_at_vacuum(HoneHintWalk *walk, HoneRelUse *rel)
{
	HoneScans	scans;
	HoneExisting *covering;
	double		counted = counted_rows(rel->relid);

	if (rel->pages < VACUUM_PAGES || rel->allvisfrac >= LOW_VISIBLE || counted < 0)
		return;
	hone_hint_scans(walk->after, rel->relid, &scans);
	covering = covering_index(walk, rel);
	if (!scans.index_only && covering == NULL)
		return;
	hone_hint_add(walk, rel->relid, "vacuum",
				  psprintf("An index holds all that is read of %s, but most of the table's pages are not marked all-visible,"
						   " so each row is looked up in the table nevertheless. VACUUM marks them; if it stays like this,"
						   " let autovacuum come more often (autovacuum_vacuum_scale_factor,"
						   " autovacuum_vacuum_insert_scale_factor), and look for old transactions that hold it up.",
						   quote_identifier(get_rel_name(rel->relid))),
				  psprintf("%.0f %% of %u pages are all-visible", rel->allvisfrac * 100, rel->pages),
				  psprintf("VACUUM %s", full_name(rel->relid)));
}

static bool
sorts_or_hashes(PlannedStmt *stmt pg_attribute_unused(), Plan *plan,
				void *arg pg_attribute_unused())
{
	return IsA(plan, Sort) || IsA(plan, Hash) || IsA(plan, Agg) || IsA(plan, Material) ||
		IsA(plan, WindowAgg) || IsA(plan, SetOp) || IsA(plan, CteScan);
}

/* Three times what was written, as memory needs more than files; in steps. */
static char *
suggested_work_mem(double bytes)
{
	double		mb = 4;

	while (mb * 1024 * 1024 < 3 * bytes && mb < 4096)
		mb *= 2;
	return psprintf("%.0fMB", mb);
}

static void
look_at_work_mem(HoneHintWalk *walk)
{
	double		blocks;
	char	   *role;

	if (walk->measured == NULL || walk->measured->calls < 1)
		return;
	blocks = walk->measured->temp_blocks / walk->measured->calls;
	if (blocks < TEMP_BLOCKS || !hone_hint_any_plan(walk->after, sorts_or_hashes, NULL))
		return;
	role = GetUserNameFromId(walk->st->userid, true);
	hone_hint_add(walk, InvalidOid, "work_mem",
				  "It sorts or hashes in temporary files, because work_mem is too small for its rows. Give this role or"
				  " transaction more, not the whole server: each sort and hash of each session may take as much.",
				  psprintf("%s written to temporary files by one execution; work_mem is %d kB",
						   hone_advise_size_text(blocks * BLCKSZ), work_mem),
				  psprintf("ALTER ROLE %s SET work_mem = '%s'", role ? quote_identifier(role) : "...",
						   suggested_work_mem(blocks * BLCKSZ)));
}

static void
look_at_jit(HoneHintWalk *walk)
{
	const HoneMeasured *m = walk->measured;

	if (m == NULL || m->calls < 1 || m->jit_ms < JIT_MS * m->calls ||
		m->jit_ms < JIT_SHARE * m->total_ms)
		return;
	hone_hint_add(walk, InvalidOid, "jit",
				  "A good part of its time goes into compiling it, at each execution. Switch compilation off for this"
				  " role, or raise jit_above_cost; plans whose costs are estimated far too high are the usual cause.",
				  psprintf("%.1f of %.1f ms of one execution", m->jit_ms / m->calls, m->total_ms / m->calls),
				  "SET jit = off");
}

/* Kinds of plans that the session had forbidden. */
static void
look_at_settings(HoneHintWalk *walk)
{
	static const char *const names[] = {"enable_seqscan", "enable_indexscan",
		"enable_indexonlyscan", "enable_bitmapscan", "enable_tidscan", "enable_nestloop",
		"enable_hashjoin", "enable_mergejoin", "enable_sort", "enable_incremental_sort",
		"enable_hashagg", "enable_material", "enable_memoize", "enable_partition_pruning",
	"enable_gathermerge", "enable_parallel_hash"};
	StringInfoData off;

	initStringInfo(&off);
	for (int i = 0; i < (int) lengthof(names); i++)
	{
		const char *value = GetConfigOption(names[i], true, false);

		if (value && strcmp(value, "off") == 0)
			appendStringInfo(&off, "%s%s", off.len > 0 ? ", " : "", names[i]);
	}
	if (off.len == 0)
		return;
	hone_hint_add(walk, InvalidOid, "setting",
				  psprintf("It is planned with %s switched off: a means to try things out, which also keeps the planner from"
						   " plans that would be better with other indexes or data. Find out why it was set (a role's or"
						   " database's setting, or the application's), and set it back.", off.data),
				  psprintf("%s = off", off.data), NULL);
}

/* How many rows the planner expects where it takes columns as independent. */
static double
independent_rows(HoneRun *run, HoneQueryGroup *group, Bitmapset **columns)
{
	double		most = 0;

	for (int i = 0; i < run->nstatements; i++)
	{
		HoneStatement *st = run->statements[i];
		HoneRelUse *rel;
		Bitmapset  *seen = NULL;
		double		rows;
		ListCell   *lc;

		if (st->group != group || st->failure || list_length(st->rels) != 1)
			continue;
		rel = linitial(st->rels);
		rows = rel->tuples;
		foreach(lc, rel->uses)
		{
			HoneUse    *use = lfirst(lc);

			if (use->kind != HONE_USE_EQUAL || use->key.attno <= 0)
				return 0;
			if (!bms_is_member(use->key.attno, seen))
				rows *= use->selectivity;
			seen = bms_add_member(seen, use->key.attno);
		}
		*columns = bms_add_members(*columns, seen);
		if (list_length(rel->uses) != rel->nfilters)
			return 0;			/* something else filters too */
		most = Max(most, rows);
	}
	return most;
}

static bool
has_extended_statistics(Oid relid)
{
	Relation	rel = table_open(relid, AccessShareLock);
	bool		result = RelationGetStatExtList(rel) != NIL;

	table_close(rel, NoLock);
	return result;
}

/* Equalities on several columns that select far more rows than they would alone. */
static void
look_at_dependence(HoneHintWalk *walk, Query *query)
{
	HoneRelUse *rel;
	Bitmapset  *columns = NULL;
	double		expected;
	double		found;
	StringInfoData list;
	int			col = -1;

	if (walk->measured == NULL || walk->measured->calls < 1 || list_length(walk->st->rels) != 1 ||
		query->commandType != CMD_SELECT || query->limitCount || query->limitOffset ||
		query->hasAggs || query->groupClause || query->distinctClause || query->setOperations ||
		query->hasTargetSRFs || query->hasSubLinks || list_length(query->rtable) != 1)
		return;
	rel = linitial(walk->st->rels);
	expected = independent_rows(walk->run, walk->st->group, &columns);
	found = walk->measured->rows / walk->measured->calls;
	if (bms_num_members(columns) < 2 || expected <= 0 || found < 100 ||
		found < MISJUDGED * Max(expected, 1) || has_extended_statistics(rel->relid))
		return;
	initStringInfo(&list);
	while ((col = bms_next_member(columns, col)) >= 0)
		appendStringInfo(&list, "%s%s", list.len > 0 ? ", " : "",
						 quote_identifier(get_attname(rel->relid, col, false)));
	hone_hint_add(walk, rel->relid, "correlated_columns",
				  psprintf("The columns %s of %s depend on each other, and the planner takes them as independent: it expects"
						   " far too few rows, and chooses plans for few. Extended statistics tell it.",
						   list.data, quote_identifier(get_rel_name(rel->relid))),
				  psprintf("%.0f rows a call, %.0f expected", found, expected),
				  psprintf("CREATE STATISTICS %s ON %s FROM %s; ANALYZE %s",
						   quote_identifier(makeObjectName(get_rel_name(rel->relid), NULL, "dependencies")),
						   list.data, full_name(rel->relid), full_name(rel->relid)));
}

void
hone_hint_look_at_plan(HoneHintWalk *walk, Query *query)
{
	ListCell   *lc;

	foreach(lc, walk->st->rels)
	{
		HoneRelUse *rel = lfirst(lc);

		if (!hone_hint_is_large(walk, rel->relid) || get_rel_name(rel->relid) == NULL)
			continue;
		look_at_statistics(walk, rel);
		look_at_vacuum(walk, rel);
	}
	look_at_work_mem(walk);
	look_at_jit(walk);
	look_at_settings(walk);
	look_at_dependence(walk, query);
}

/* Of all queries together: is what is read in memory anyway? */
void
hone_hint_look_at_workload(HoneRun *run, List *measured, List **hints)
{
	double		hit = 0;
	double		read = 0;
	ListCell   *lc;
	HoneHint   *h;

	foreach(lc, measured)
	{
		hit += ((HoneMeasured *) lfirst(lc))->blocks_hit;
		read += ((HoneMeasured *) lfirst(lc))->blocks_read;
	}
	if (random_page_cost < 3 * seq_page_cost || hit + read < ENOUGH_BLOCKS ||
		hit < CACHED * (hit + read))
		return;
	h = MemoryContextAllocZero(run->memory, sizeof(HoneHint));
	h->kind = "random_page_cost";
	h->hint = "Nearly all blocks are found in memory, yet the planner counts one read out of order as several in order:"
		" it avoids indexes where they would be faster. With data that stays in memory, or on solid state disks,"
		" random_page_cost between 1.1 and 2 is nearer to the truth. Try it in a session first: all plans may change.";
	h->evidence = psprintf("%.2f %% of %.0f blocks were hits; random_page_cost is %g, seq_page_cost %g",
						   hit / (hit + read) * 100, hit + read, random_page_cost, seq_page_cost);
	h->example = "SET random_page_cost = 1.1";
	*hints = lappend(*hints, h);
}
