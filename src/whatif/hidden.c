/*
 * hidden.c
 *	  Keeping the planner from seeing an index that exists.
 *
 * How it works. hone.hidden_index_store says which indexes are hidden; each
 * backend keeps a copy of what concerns it. get_relation_info_hook takes hidden
 * indexes out of the list from which the planner chooses, in every planner
 * call, and nothing else of the server looks at that list: the index is still
 * maintained, checked for uniqueness, reindexed and dumped.
 *
 * Why a result cannot change. The planner uses an index in two ways: as a path,
 * where any other path gives the same rows (a sequential scan always can, and
 * order is only promised by ORDER BY), and, if it is unique, as a proof that at
 * most one row matches. A proof that is missing keeps a join or a step that
 * could have been left out; it never makes one wrong. Everything that *needs* an
 * index asks the relation cache and not the planner's list: ON CONFLICT
 * (infer_arbiter_indexes), the check of unique and exclusion constraints, replica
 * identity and logical replication, REFRESH CONCURRENTLY, GROUP BY's functional
 * dependency (which wants a constraint). Foreign key checks are ordinary
 * queries, which would be slow: so what backs a constraint is not hidden.
 * CLUSTER and CREATE INDEX ask for the same list to plan a sort, outside of any
 * planner call; there nothing is hidden. An index that becomes a constraint's
 * later stays hidden until it is shown.
 *
 * Keeping up. Whoever changes the store sends relcache invalidations for it and
 * for the tables of the index (hide.c): transactional, so that everybody sees
 * them at commit, the session itself at the next command, and nobody after a
 * rollback; durable and replicated, because they are part of the commit. The
 * first makes the copy stale here. The second makes cached plans stale in the
 * server. Where there is no store, a new schema or relation makes it look again,
 * so CREATE EXTENSION by somebody else is noticed.
 *
 * A copy is read at the start of a planner call, and that call keeps it to its
 * end, so that one plan is made under one state. Planner calls nest, because
 * planning runs functions, which plan statements of their own: a nested call
 * takes the newest copy, since its plan may be cached. Hence the count of users.
 *
 * Arms. While an index is on trial one half of the backends sees it, according
 * to the backend's number, the row's turn and the table (of a partition, its
 * root): is_on_our_side() says how. So all that is tried on one table at a time is
 * there on one side, and nothing of it on the other, as it was advised; one index
 * without the next, which nobody wanted, is not measured. What is to be dropped is
 * there for the side that does not see the new ones. A plan that looked at the
 * index's table gets a note (base/arm.h) of the arm, and of whether it reads the
 * index.
 *
 * Partitions. Hiding a partitioned index hides its partitions, those attached
 * later too: the ancestors of a partition's indexes are looked up when it is
 * planned, if any partitioned index is hidden, and remembered.
 *
 * What-if questions (whatif.c) see indexes on trial, and not those hidden by
 * hand or about to be dropped: advice is about how things are to become.
 *
 * Locks: AccessShareLock on the store while it is read, and on two catalogs
 * to tell whose it is; they are never waited for. If one is not to be had, the
 * old copy counts and the next planner call tries again; when one succeeds, the
 * plans this session keeps are made anew. (pg_inherits is read as
 * the planner itself reads it.) Memory: the copy, some 32 bytes per hidden
 * index, in a context of its own; parents of at most MAX_PARENTS indexes. Errors:
 * none of our own; reading may fail as any reading can (I/O, out of memory), and
 * the copy stays stale. Standby: the same, nothing is written. Serializable
 * transactions: the store is read without predicate locks, see read_store().
 * Parallel worker: plans only what functions run in it, with its leader's side.
 * Crash: nothing is kept but the table. Not preloaded: the same in the sessions
 * that have the library. Another database: each has its store.
 */
#include "postgres.h"

#include "access/heapam.h"
#include "access/relation.h"
#include "access/tableam.h"
#include "access/transam.h"
#include "catalog/catalog.h"
#include "catalog/dependency.h"
#include "catalog/namespace.h"
#include "catalog/partition.h"
#include "catalog/pg_am.h"
#include "catalog/pg_class.h"
#include "catalog/pg_depend.h"
#include "catalog/pg_extension.h"
#include "catalog/pg_type.h"
#include "common/hashfn.h"
#include "miscadmin.h"
#include "optimizer/plancat.h"
#include "optimizer/planner.h"
#include "storage/bufmgr.h"
#include "storage/lmgr.h"
#include "utils/builtins.h"
#include "utils/hsearch.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/plancache.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"

#include "base/arm.h"
#include "base/compat.h"
#include "base/owner.h"
#include "whatif/details.h"
#include "whatif/hidden.h"
#include "whatif/whatif.h"

/* Indexes whose parents are remembered; then it starts anew. */
#define MAX_PARENTS 10000

typedef enum HiddenKind
{
	HIDDEN_MANUAL = 'm',
	HIDDEN_TRIAL = 't',
	HIDDEN_DROP = 'd'
} HiddenKind;

/* One row of the store. */
typedef struct HiddenIndex
{
	Oid			index_oid;
	Oid			relid;
	uint32		trial;			/* 0: none that could be noted */
	char		kind;			/* HiddenKind */
	bool		arms;			/* one half of the backends sees it */
	int32		turn;
	bool		on_our_side;	/* this one does */
	bool		partitioned;
} HiddenIndex;

/* What is hidden. Not changed once it was read; freed by the last who uses it. */
typedef struct HiddenState
{
	MemoryContext context;
	int			users;			/* planner calls, and one for the newest */
	bool		any_partitioned;
	int			count;
	HiddenIndex indexes[FLEXIBLE_ARRAY_MEMBER]; /* by relid */
} HiddenState;

/* A trial that a planner call has met. */
typedef struct ArmMet
{
	uint32		trial;
	bool		visible;
	List	   *indexes;		/* OIDs the plan may read, if visible */
} ArmMet;

typedef struct PlannerCall
{
	struct PlannerCall *outer;
	HiddenState *state;			/* NULL: nothing is hidden */
	bool		asking;			/* a what-if question's own */
	MemoryContext context;		/* in which the plan is made */
	List	   *arms;			/* of ArmMet * */
} PlannerCall;

/* The newest copy, NULL when nothing is hidden. */
static HiddenState *newest = NULL;

/* Stale while these differ: changes heard of, and those before the copy was read. */
static uint64 changes = 1;
static uint64 changes_read = 0;

/* A plan was made by a copy known to be stale, and may be kept. */
static bool planned_stale = false;

static Oid	store_oid = InvalidOid; /* found by its name */
static bool awaiting_store = false; /* there is the schema, but no store */

static PlannerCall *current_call = NULL;

typedef struct IndexParent
{
	Oid			index_oid;		/* key */
	Oid			parent;			/* InvalidOid: it is not a partition */
} IndexParent;

static HTAB *parents = NULL;
static bool parents_valid = false;

static planner_hook_type prev_planner = NULL;
static get_relation_info_hook_type prev_get_relation_info = NULL;

/* Hearing of changes. Callbacks may come at any time a lock is taken. */

static void
hear_of_relation(Datum arg pg_attribute_unused(), Oid relid)
{
	if (!OidIsValid(relid))
	{
		changes++;
		parents_valid = false;
		return;
	}
	if (relid == store_oid || awaiting_store)
		changes++;
	if (parents != NULL)
		(void) hash_search(parents, &relid, HASH_REMOVE, NULL);
}

static void
hear_of_schema(Datum arg pg_attribute_unused(), int cacheid pg_attribute_unused(),
			   uint32 hashvalue pg_attribute_unused())
{
	changes++;
}

static void
start_listening(void)
{
	static bool listening = false;

	if (listening)
		return;
	CacheRegisterRelcacheCallback(hear_of_relation, (Datum) 0);
	CacheRegisterSyscacheCallback(NAMESPACEOID, hear_of_schema, (Datum) 0);
	listening = true;
}

/* The store */

/*
 * Does the relation belong to the extension? Only a superuser can make one that
 * does. *known is false if it cannot be told without waiting.
 */
static bool
is_ours(Oid relid, bool *known)
{
	bool		ours = false;

	*known = false;
	if (!ConditionalLockRelationOid(ExtensionRelationId, AccessShareLock))
		return false;
	if (ConditionalLockRelationOid(DependRelationId, AccessShareLock))
	{
		Oid			extension = hone_extension_oid();

		ours = OidIsValid(extension) &&
			getExtensionOfObject(RelationRelationId, relid) == extension;
		*known = true;
		UnlockRelationOid(DependRelationId, AccessShareLock);
	}
	UnlockRelationOid(ExtensionRelationId, AccessShareLock);
	return ours;
}

/*
 * A list that was never used has not a single block, which is told in no time: a
 * new session need not open it, nor ask whose it is.
 */
static bool
has_no_blocks(Oid relid)
{
	HeapTuple	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(relid));
	bool		empty = true;

	if (!HeapTupleIsValid(tuple))
		return true;			/* it was dropped just now */
	else
	{
		Form_pg_class form = (Form_pg_class) GETSTRUCT(tuple);
		Oid			tablespace = OidIsValid(form->reltablespace) ?
			form->reltablespace : MyDatabaseTableSpace;

		empty = form->relkind == RELKIND_RELATION && OidIsValid(form->relfilenode) &&
			form->relpersistence == RELPERSISTENCE_PERMANENT &&
			hone_file_is_empty(tablespace, form->relfilenode);
	}
	ReleaseSysCache(tuple);
	return empty;
}

enum
{
	COLUMN_INDEX = 1,
	COLUMN_RELID,
	COLUMN_KIND,
	COLUMN_TRIAL,
	COLUMN_ARMS,
	COLUMN_TURN
};

/* The library may be newer or older than the extension's tables. */
static bool
has_our_columns(Relation rel)
{
	static const Oid types[] = {OIDOID, OIDOID, TEXTOID, INT8OID, BOOLOID, INT4OID};
	TupleDesc	desc = RelationGetDescr(rel);

	if (rel->rd_rel->relkind != RELKIND_RELATION || rel->rd_rel->relam != HEAP_TABLE_AM_OID ||
		desc->natts < (int) lengthof(types))
		return false;
	for (int i = 0; i < (int) lengthof(types); i++)
	{
		if (TupleDescAttr(desc, i)->atttypid != types[i])
			return false;
	}
	return true;
}

/* A partition's sides are its root's. */
static Oid
root_of(Oid relid)
{
	List	   *ancestors = get_rel_relispartition(relid) ? get_partition_ancestors(relid) : NIL;
	Oid			root = ancestors != NIL ? llast_oid(ancestors) : relid;

	list_free(ancestors);
	return root;
}

/*
 * Does this backend see what is tried on the table? Of two turns, the even one
 * and the next, one: so each pair of turns is a crossover for every backend. And
 * of two neighbours one. Otherwise it is left to chance, in each pair anew, so
 * that sides do not keep going along with something else: those of another table,
 * or with whom a pool lets a connection do what.
 */
static bool
is_on_our_side(Oid relid, int32 turn)
{
	int			leader = hone_parallel_leader_index();
	uint32		number = (uint32) (leader >= 0 ? leader : hone_backend_index());
	uint32		chance[] = {root_of(relid), (uint32) turn / 2, number / 2};

	return ((number ^ (uint32) turn ^
			 hash_bytes((const unsigned char *) chance, sizeof(chance))) & 1) == 0;
}

static HiddenIndex *
take_row(HeapTuple tuple, TupleDesc desc)
{
	HiddenIndex *row = palloc0(sizeof(HiddenIndex));
	Datum		values[COLUMN_TURN];
	bool		nulls[COLUMN_TURN];
	int64		trial;

	for (int i = 0; i < COLUMN_TURN; i++)
		values[i] = heap_getattr(tuple, i + 1, desc, &nulls[i]);
	row->index_oid = DatumGetObjectId(values[COLUMN_INDEX - 1]);
	row->relid = DatumGetObjectId(values[COLUMN_RELID - 1]);
	row->kind = VARDATA_ANY(DatumGetTextPP(values[COLUMN_KIND - 1]))[0];
	row->arms = DatumGetBool(values[COLUMN_ARMS - 1]);
	trial = nulls[COLUMN_TRIAL - 1] ? 0 : DatumGetInt64(values[COLUMN_TRIAL - 1]);
	if (trial > 0 && trial <= HONE_MAX_TRIAL)
		row->trial = (uint32) trial;
	else
		row->arms = false;		/* nobody could tell who saw it */
	row->turn = DatumGetInt32(values[COLUMN_TURN - 1]);
	return row;
}

/*
 * Rows as of now, with what this transaction has done in earlier commands,
 * whatever its own snapshot is. Not by a scan under that snapshot: it would
 * leave predicate locks in serializable transactions, and one of them could then
 * fail because of us. So the scan sees every version, and each is judged.
 */
static List *
read_store(Relation rel)
{
	Snapshot	snapshot = RegisterSnapshot(GetCatalogSnapshot(RelationGetRelid(rel)));
	TableScanDesc scan = table_beginscan(rel, SnapshotAny, 0, NULL);
	List	   *rows = NIL;
	HeapTuple	tuple;

	while ((tuple = heap_getnext(scan, ForwardScanDirection)) != NULL)
	{
		Buffer		buffer = ((HeapScanDesc) scan)->rs_cbuf;
		bool		visible;

		LockBuffer(buffer, BUFFER_LOCK_SHARE);
		visible = HeapTupleSatisfiesVisibility(tuple, snapshot, buffer);
		LockBuffer(buffer, BUFFER_LOCK_UNLOCK);
		if (visible)
			rows = lappend(rows, take_row(tuple, RelationGetDescr(rel)));
	}
	table_endscan(scan);
	UnregisterSnapshot(snapshot);
	return rows;
}

static int
compare_indexes(const void *a, const void *b)
{
	const HiddenIndex *x = a;
	const HiddenIndex *y = b;

	if (x->relid != y->relid)
		return x->relid < y->relid ? -1 : 1;
	return x->index_oid < y->index_oid ? -1 : x->index_oid > y->index_oid;
}

static HiddenState *
make_state(List *rows)
{
	MemoryContext context;
	HiddenState *state;
	ListCell   *lc;

	if (rows == NIL)
		return NULL;
	context = AllocSetContextCreate(CurrentMemoryContext, "pg_hone hidden indexes",
									ALLOCSET_SMALL_SIZES);
	state = MemoryContextAllocZero(context, offsetof(HiddenState, indexes) +
								   sizeof(HiddenIndex) * list_length(rows));
	state->context = context;
	foreach(lc, rows)
	{
		HiddenIndex *row = lfirst(lc);

		row->on_our_side = row->arms &&
			is_on_our_side(row->relid, row->turn) == (row->kind != HIDDEN_DROP);
		row->partitioned = get_rel_relkind(row->index_oid) == RELKIND_PARTITIONED_INDEX;
		state->any_partitioned |= row->partitioned;
		state->indexes[state->count++] = *row;
	}
	qsort(state->indexes, state->count, sizeof(HiddenIndex), compare_indexes);
	return state;
}

static void
leave_state(HiddenState *state)
{
	if (state != NULL && --state->users == 0)
		MemoryContextDelete(state->context);
}

static void
set_newest(HiddenState *state)
{
	HiddenState *old = newest;

	if (state != NULL)
	{
		MemoryContextSetParent(state->context, TopMemoryContext);
		state->users = 1;
	}
	newest = state;
	leave_state(old);
}

/* Read the store, which is locked; false if it cannot be told whose it is. */
static bool
read_locked(Oid relid)
{
	static Oid	ours = InvalidOid;
	Relation	rel;
	List	   *rows = NIL;
	bool		known = true;

	if (!has_no_blocks(relid))
	{
		if (relid != ours && is_ours(relid, &known))
			ours = relid;
		if (!known)
			return false;
		rel = relid == ours ? try_relation_open(relid, NoLock) : NULL;
		if (rel != NULL)
		{
			if (has_our_columns(rel))
				rows = read_store(rel);
			relation_close(rel, NoLock);
		}
	}
	set_newest(make_state(rows));
	return true;
}

/* False if it cannot be done without waiting. */
static bool
read_anew(void)
{
	Oid			schema;
	Oid			relid;
	bool		done = true;

	/* Decoding sees catalogs of the past, and they have no such tables. */
	if (!OidIsValid(MyDatabaseId) || HistoricSnapshotActive())
		return false;
	schema = get_namespace_oid(HONE_HIDDEN_SCHEMA, true);
	relid = OidIsValid(schema) ?
		get_relname_relid(HONE_HIDDEN_STORE, schema) : InvalidOid;
	store_oid = relid;
	awaiting_store = OidIsValid(schema) && !OidIsValid(relid);
	if (!OidIsValid(relid))
		set_newest(NULL);
	else if (ConditionalLockRelationOid(relid, AccessShareLock))
	{
		done = read_locked(relid);
		UnlockRelationOid(relid, AccessShareLock);
	}
	else
		done = false;
	return done;
}

/*
 * Get up to date, as far as that is possible. What is heard of meanwhile makes
 * the copy stale again, even if we have read it already: it may be that the store
 * is another one now.
 */
static bool
reload(void)
{
	uint64		heard = changes;

	start_listening();
	if (!read_anew())
	{
		planned_stale = true;
		return false;
	}
	changes_read = heard;
	/* The invalidation that would have removed such plans has come and gone. */
	if (planned_stale)
		ResetPlanCache();
	planned_stale = false;
	return true;
}

/* Partitions */

static void
prepare_parents(void)
{
	HASHCTL		control;

	if (parents != NULL && parents_valid && hash_get_num_entries(parents) < MAX_PARENTS)
		return;
	if (parents != NULL)
		hash_destroy(parents);
	parents = NULL;
	control.keysize = sizeof(Oid);
	control.entrysize = sizeof(IndexParent);
	control.hcxt = TopMemoryContext;
	parents = hash_create("pg_hone parents of indexes", 64, &control,
						  HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	parents_valid = true;
}

/* Which index is this one a partition of? */
static Oid
parent_of(Oid index_oid)
{
	IndexParent *known;
	Oid			parent = InvalidOid;

	prepare_parents();
	known = hash_search(parents, &index_oid, HASH_FIND, NULL);
	if (known != NULL)
		return known->parent;

	/* Changes heard of meanwhile are in what these two read. */
	if (get_rel_relispartition(index_oid))
	{
		List	   *ancestors = get_partition_ancestors(index_oid);

		if (ancestors != NIL)	/* else it is being detached */
			parent = linitial_oid(ancestors);
		list_free(ancestors);
	}
	known = hash_search(parents, &index_oid, HASH_ENTER, NULL);
	known->parent = parent;
	return parent;
}

static const HiddenIndex *
find_index(const HiddenState *state, Oid index_oid, bool partitioned)
{
	for (int i = 0; i < state->count; i++)
	{
		const HiddenIndex *index = &state->indexes[i];

		if (index->index_oid == index_oid && index->partitioned >= partitioned)
			return index;
	}
	return NULL;
}

Oid
hone_hidden_ancestor(Oid index_oid)
{
	if (changes != changes_read)
		(void) reload();
	if (newest == NULL)
		return InvalidOid;
	for (Oid oid = index_oid; OidIsValid(oid); oid = parent_of(oid))
	{
		if (find_index(newest, oid, false) != NULL)
			return oid;
	}
	return InvalidOid;
}

/* What a planner call sees */

static bool
is_visible(const PlannerCall *call, const HiddenIndex *index)
{
	if (call->asking)
		return index->kind == HIDDEN_TRIAL;
	return index->on_our_side;
}

/* The call has looked at the table of an index on trial. */
static ArmMet *
meet_arm(PlannerCall *call, const HiddenIndex *index)
{
	MemoryContext old;
	ArmMet	   *arm;
	ListCell   *lc;

	if (!index->arms || call->asking)
		return NULL;
	foreach(lc, call->arms)
	{
		arm = lfirst(lc);
		if (arm->trial == index->trial)
			return arm;
	}
	old = MemoryContextSwitchTo(call->context);
	arm = palloc0(sizeof(ArmMet));
	arm->trial = index->trial;
	arm->visible = index->on_our_side;
	call->arms = lappend(call->arms, arm);
	MemoryContextSwitchTo(old);
	return arm;
}

/* The row is about this index of the relation being planned: is it hidden? */
static bool
judge(PlannerCall *call, const HiddenIndex *hidden, Oid index_oid)
{
	ArmMet	   *arm = meet_arm(call, hidden);

	if (!is_visible(call, hidden))
		return true;
	if (arm != NULL)
	{
		MemoryContext old = MemoryContextSwitchTo(call->context);

		arm->indexes = list_append_unique_oid(arm->indexes, index_oid);
		MemoryContextSwitchTo(old);
	}
	return false;
}

/* The rows about a table. */
static int
rows_of_table(const HiddenState *state, Oid relid, int *first)
{
	int			low = 0;
	int			high = state->count;
	int			end;

	while (low < high)
	{
		int			middle = (low + high) / 2;

		if (state->indexes[middle].relid < relid)
			low = middle + 1;
		else
			high = middle;
	}
	for (end = low; end < state->count && state->indexes[end].relid == relid; end++)
		;
	*first = low;
	return end - low;
}

static bool
is_hidden(PlannerCall *call, Oid index_oid, const HiddenIndex *rows, int nrows)
{
	bool		hidden = false;

	for (int i = 0; i < nrows; i++)
	{
		if (rows[i].index_oid == index_oid)
			hidden |= judge(call, &rows[i], index_oid);
	}
	if (!call->state->any_partitioned)
		return hidden;
	for (Oid oid = parent_of(index_oid); OidIsValid(oid); oid = parent_of(oid))
	{
		const HiddenIndex *row = find_index(call->state, oid, true);

		if (row != NULL)
			hidden |= judge(call, row, index_oid);
	}
	return hidden;
}

static void
hide_indexes_of(PlannerCall *call, Oid relid, RelOptInfo *rel)
{
	const HiddenState *state = call->state;
	int			first;
	int			nrows;
	ListCell   *lc;

	if (state == NULL || IsCatalogRelationOid(relid))
		return;
	nrows = rows_of_table(state, relid, &first);
	if (nrows == 0 && !state->any_partitioned)
		return;
	/* Also when there is no list: that of a partitioned table is empty. */
	for (int i = 0; i < nrows; i++)
		(void) meet_arm(call, &state->indexes[first + i]);
	foreach(lc, rel->indexlist)
	{
		IndexOptInfo *info = lfirst_node(IndexOptInfo, lc);

		if (is_hidden(call, info->indexoid, &state->indexes[first], nrows))
			rel->indexlist = foreach_delete_current(rel->indexlist, lc);
	}
}

static void
hidden_get_relation_info(PlannerInfo *root, Oid relid, bool inhparent, RelOptInfo *rel)
{
	if (prev_get_relation_info)
		prev_get_relation_info(root, relid, inhparent, rel);
	if (unlikely(current_call != NULL))
		hide_indexes_of(current_call, relid, rel);
}

static bool
have_common(const List *some, const List *others)
{
	ListCell   *lc;

	foreach(lc, some)
	{
		if (list_member_oid(others, lfirst_oid(lc)))
			return true;
	}
	return false;
}

static void
note_arms(const PlannerCall *call, PlannedStmt *plan)
{
	List	   *used = NIL;
	bool		walked = false;
	ListCell   *lc;

	foreach(lc, call->arms)
	{
		const ArmMet *met = lfirst(lc);
		HoneArm		arm = {met->trial, met->visible, false};

		if (met->indexes != NIL)
		{
			if (!walked)
				used = hone_whatif_plan_indexes(plan);
			walked = true;
			arm.used = have_common(met->indexes, used);
		}
		hone_arm_attach(plan, arm);
	}
}

static PlannedStmt *
call_planner(Query *parse, const char *query_string, int cursor_options,
			 ParamListInfo params)
{
	if (prev_planner)
		return prev_planner(parse, query_string, cursor_options, params);
	return standard_planner(parse, query_string, cursor_options, params);
}

static pg_noinline PlannedStmt *
plan_attentively(Query *parse, const char *query_string, int cursor_options,
				 ParamListInfo params)
{
	PlannerCall call = {0};
	PlannedStmt *volatile plan = NULL;
	bool		up_to_date = changes == changes_read || reload();

	/* Within a call that hides something, one that does not must say so. */
	if (up_to_date && newest == NULL && current_call == NULL)
		return call_planner(parse, query_string, cursor_options, params);

	call.outer = current_call;
	call.state = newest;
	call.asking = hone_whatif_is_asking();
	call.context = CurrentMemoryContext;
	if (newest != NULL)
		newest->users++;
	current_call = &call;
	PG_TRY();
	{
		plan = call_planner(parse, query_string, cursor_options, params);
	}
	PG_FINALLY();
	{
		current_call = call.outer;
		leave_state(call.state);
	}
	PG_END_TRY();
	if (call.arms != NIL)
		note_arms(&call, plan);

	/*
	 * The server makes it anew before long. Not one that reads no table: for
	 * PL/pgSQL an expression whose first plan is transient is never simple again.
	 */
	if (!up_to_date && plan->relationOids != NIL)
		plan->transientPlan = true;
	return plan;
}

static PlannedStmt *
hidden_planner(Query *parse, const char *query_string, int cursor_options,
			   ParamListInfo params)
{
	if (likely(newest == NULL && changes == changes_read && current_call == NULL))
		return call_planner(parse, query_string, cursor_options, params);
	return plan_attentively(parse, query_string, cursor_options, params);
}

void
hone_hidden_init(void)
{
	prev_planner = planner_hook;
	planner_hook = hidden_planner;
	prev_get_relation_info = get_relation_info_hook;
	get_relation_info_hook = hidden_get_relation_info;
}
