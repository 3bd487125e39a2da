/*
 * compat.h
 *	  What differs between the supported server versions, and nothing else.
 *
 * This is the only file that may test PG_VERSION_NUM. Callers write for the
 * newest server; the wrappers here take the newest signature and translate
 * for older ones. Supported: 15, 16, 17, 18. 15 is tested.
 */
#ifndef HONE_COMPAT_H
#define HONE_COMPAT_H

#if PG_VERSION_NUM < 150000 || PG_VERSION_NUM >= 190000
#error "pg_hone requires PostgreSQL 15 to 18"
#endif

#include <math.h>

#include "access/amapi.h"
#include "access/attmap.h"
#include "access/stratnum.h"
#include "catalog/pg_namespace.h"
#include "commands/vacuum.h"
#include "executor/executor.h"
#include "executor/instrument.h"
#include "miscadmin.h"
#include "nodes/parsenodes.h"
#include "nodes/pathnodes.h"
#include "optimizer/cost.h"
#include "parser/parse_relation.h"
#include "pgstat.h"
#include "portability/instr_time.h"
#include "storage/proc.h"
#include "storage/smgr.h"
#include "utils/acl.h"
#include "utils/pg_locale.h"
#include "utils/selfuncs.h"
#include "utils/backend_status.h"
#include "utils/rel.h"
#include "utils/guc_tables.h"
#if PG_VERSION_NUM >= 160000
#include "nodes/queryjumble.h"
#else
#include "utils/queryjumble.h"
#endif
#if PG_VERSION_NUM >= 180000
#include "commands/explain_format.h"
#include "commands/explain_state.h"
#endif
#include "commands/explain.h"

/* Index of this backend in arrays of MaxBackends members; -1 before it has one. */
static inline int
hone_backend_index(void)
{
#if PG_VERSION_NUM >= 170000
	return MyProcNumber;
#else
	return MyProc ? MyProc->pgprocno : -1;
#endif
}

/*
 * Has a file of this database no blocks? 16 renamed its address, 17 the number of
 * no backend. The caller's lock keeps the file there.
 */
static inline bool
hone_file_is_empty(Oid tablespace, Oid number)
{
#if PG_VERSION_NUM >= 170000
	RelFileLocator file = {tablespace, MyDatabaseId, number};
	SMgrRelation smgr = smgropen(file, INVALID_PROC_NUMBER);
#elif PG_VERSION_NUM >= 160000
	RelFileLocator file = {tablespace, MyDatabaseId, number};
	SMgrRelation smgr = smgropen(file, InvalidBackendId);
#else
	RelFileNode file = {tablespace, MyDatabaseId, number};
	SMgrRelation smgr = smgropen(file, InvalidBackendId);
#endif

	return smgrnblocks(smgr, MAIN_FORKNUM) == 0;
}

/* How many command tags there are; core does not say any more from 16 on. */
#define PG_CMDTAG(tag, name, event_trigger_ok, rewrite_ok, row_count) + 1
enum
{
	HONE_COMMAND_TAGS = 0
#include "tcop/cmdtaglist.h"
};
#undef PG_CMDTAG

/* The same of the leader of this parallel worker; -1 if it has none. */
static inline int
hone_parallel_leader_index(void)
{
	const PGPROC *leader = MyProc ? MyProc->lockGroupLeader : NULL;

	if (leader == NULL)
		return -1;
#if PG_VERSION_NUM >= 170000
	return GetNumberFromPGProc(leader);
#else
	return leader->pgprocno;
#endif
}

/* instr_time is a plain integer from 16 on. */
static inline uint64
hone_instr_ns(instr_time time)
{
#if PG_VERSION_NUM >= 160000
	return (uint64) INSTR_TIME_GET_NANOSEC(time);
#else
	return (uint64) time.tv_sec * UINT64CONST(1000000000) + (uint64) time.tv_nsec;
#endif
}

/* A monotonic clock in nanoseconds. */
static inline uint64
hone_now_ns(void)
{
	instr_time	now;

	INSTR_TIME_SET_CURRENT(now);
	return hone_instr_ns(now);
}

/*
 * Time this process has spent reading and writing blocks of any kind; counted
 * while track_io_timing is on. 17 counts local blocks apart.
 */
static inline int64
hone_read_ns(void)
{
#if PG_VERSION_NUM >= 170000
	return (int64) (hone_instr_ns(pgBufferUsage.shared_blk_read_time) +
					hone_instr_ns(pgBufferUsage.local_blk_read_time) +
					hone_instr_ns(pgBufferUsage.temp_blk_read_time));
#else
	return (int64) (hone_instr_ns(pgBufferUsage.blk_read_time) +
					hone_instr_ns(pgBufferUsage.temp_blk_read_time));
#endif
}

static inline int64
hone_write_ns(void)
{
#if PG_VERSION_NUM >= 170000
	return (int64) (hone_instr_ns(pgBufferUsage.shared_blk_write_time) +
					hone_instr_ns(pgBufferUsage.local_blk_write_time) +
					hone_instr_ns(pgBufferUsage.temp_blk_write_time));
#else
	return (int64) (hone_instr_ns(pgBufferUsage.blk_write_time) +
					hone_instr_ns(pgBufferUsage.temp_blk_write_time));
#endif
}

/* Rows of a relation that scans of this process returned and fetched so far. */
static inline int64
hone_rows_returned(const PgStat_TableStatus *counts)
{
#if PG_VERSION_NUM >= 160000
	return counts->counts.tuples_returned;
#else
	return counts->t_counts.t_tuples_returned;
#endif
}

static inline int64
hone_rows_fetched(const PgStat_TableStatus *counts)
{
#if PG_VERSION_NUM >= 160000
	return counts->counts.tuples_fetched;
#else
	return counts->t_counts.t_tuples_fetched;
#endif
}

/* All settings; 16 made the array a copy. */
static inline struct config_generic **
hone_guc_variables(int *n)
{
#if PG_VERSION_NUM >= 160000
	return get_guc_variables(n);
#else
	*n = GetNumConfigOptions();
	return get_guc_variables();
#endif
}

/* How many there are; 0: not known, 16 does not tell without making the copy. */
static inline int
hone_guc_count(void)
{
#if PG_VERSION_NUM >= 160000
	return 0;
#else
	return GetNumConfigOptions();
#endif
}

static inline void
hone_free_guc_variables(struct config_generic **all pg_attribute_unused())
{
#if PG_VERSION_NUM >= 160000
	pfree(all);
#endif
}

/*
 * A plan's cost without what the planner adds for a kind of node that enable_*
 * forbids and that it uses all the same; 18 counts such nodes instead. The
 * addition dwarfs every real cost.
 */
static inline double
hone_without_penalty(double cost)
{
#if PG_VERSION_NUM < 180000
	if (cost >= disable_cost &&
		!(enable_seqscan && enable_indexscan && enable_bitmapscan && enable_tidscan &&
		  enable_sort && enable_hashagg && enable_nestloop && enable_mergejoin &&
		  enable_hashjoin))
		return fmod(cost, disable_cost);
#endif
	return cost;
}

/* 18 dropped ExecutorRun's execute_once, in the function and in its hook. */
#if PG_VERSION_NUM >= 180000
#define HONE_EXECUTOR_RUN_PARAMS QueryDesc *queryDesc, ScanDirection direction, uint64 count
#define HONE_EXECUTOR_RUN_ARGS queryDesc, direction, count
#else
#define HONE_EXECUTOR_RUN_PARAMS QueryDesc *queryDesc, ScanDirection direction, uint64 count, bool execute_once
#define HONE_EXECUTOR_RUN_ARGS queryDesc, direction, count, execute_once
#endif

/* 18 dropped PortalRun's run_once. */
#if PG_VERSION_NUM >= 180000
#define hone_portal_run(portal, count, top, dest, altdest, qc) \
	PortalRun(portal, count, top, dest, altdest, qc)
#else
#define hone_portal_run(portal, count, top, dest, altdest, qc) \
	PortalRun(portal, count, top, true, dest, altdest, qc)
#endif

/*
 * For when compute_query_id is off, which JumbleQuery asserts it is not. 16
 * lost its query text.
 */
static inline JumbleState *
hone_jumble_query(Query *query, const char *query_text)
{
	JumbleState *state = NULL;
	int			setting = compute_query_id;

	compute_query_id = COMPUTE_QUERY_ID_ON;
	PG_TRY();
	{
#if PG_VERSION_NUM >= 160000
		(void) query_text;
		state = JumbleQuery(query);
#else
		state = JumbleQuery(query, query_text);
#endif
	}
	PG_FINALLY();
	{
		compute_query_id = setting;
	}
	PG_END_TRY();
	return state;
}

/*
 * Does the core leave the query inside DECLARE CURSOR and CREATE TABLE AS without
 * an id? 18 does not. From 17 on, what fills a materialized view is a query out
 * of the catalog, and that has none in any version.
 */
static inline bool
hone_inner_query_has_no_id(bool materialized_view)
{
#if PG_VERSION_NUM >= 180000
	(void) materialized_view;
	return false;
#elif PG_VERSION_NUM >= 170000
	return !materialized_view;
#else
	(void) materialized_view;
	return true;
#endif
}

/*
 * 18 notes among a query's constants also its external parameters, and a list
 * of constants as a whole. Length of such a list; -1 of a single constant.
 */
static inline bool
hone_location_is_param(const LocationLen *location)
{
#if PG_VERSION_NUM >= 180000
	return location->extern_param;
#else
	(void) location;
	return false;
#endif
}

static inline int
hone_location_list_length(const LocationLen *location)
{
#if PG_VERSION_NUM >= 180000
	return location->squashed ? location->length : -1;
#else
	(void) location;
	return -1;
#endif
}

/*
 * Check the executor's permissions for everything a plan touches, as
 * ExecutorStart would; raises an error when one is missing.
 */
static inline void
hone_check_plan_permissions(PlannedStmt *plan)
{
#if PG_VERSION_NUM >= 160000
	(void) ExecCheckPermissions(plan->rtable, plan->permInfos, true);
#else
	(void) ExecCheckRTPerms(plan->rtable, true);
#endif
}

/* Does the role own the relation (or is a superuser)? */
static inline bool
hone_owns_relation(Oid relid, Oid roleid)
{
#if PG_VERSION_NUM >= 160000
	return object_ownercheck(RelationRelationId, relid, roleid);
#else
	return pg_class_ownercheck(relid, roleid);
#endif
}

/* May the role create objects in the schema? */
static inline bool
hone_may_create_in_schema(Oid schema, Oid roleid)
{
#if PG_VERSION_NUM >= 160000
	return object_aclcheck(NamespaceRelationId, schema, roleid, ACL_CREATE) == ACLCHECK_OK;
#else
	return pg_namespace_aclcheck(schema, roleid, ACL_CREATE) == ACLCHECK_OK;
#endif
}

/* Does the collation sort by bytes? 18 tells it in the locale itself. */
static inline bool
hone_collation_is_c(Oid collation)
{
#if PG_VERSION_NUM >= 180000
	return pg_newlocale_from_collation(collation)->collate_is_c;
#else
	return lc_collate_is_c(collation);
#endif
}

/* 16 gave build_attrmap_by_name a third argument. */
static inline AttrMap *
hone_build_attrmap_by_name(TupleDesc indesc, TupleDesc outdesc)
{
#if PG_VERSION_NUM >= 160000
	return build_attrmap_by_name(indesc, outdesc, false);
#else
	return build_attrmap_by_name(indesc, outdesc);
#endif
}

/* 16 moved permissions out of the range table entry; some are required. */
static inline void
hone_add_rte_permissions(Query *query, RangeTblEntry *rte)
{
#if PG_VERSION_NUM >= 160000
	(void) addRTEPermissionInfo(&query->rteperminfos, rte);
#else
	(void) query;
	(void) rte;
#endif
}

/* 17 moved the statistics target; -1 is the default. */
static inline void
hone_set_statistics_target(VacAttrStats *stats, int target)
{
#if PG_VERSION_NUM >= 170000
	stats->attstattarget = target;
#else
	stats->attr = (Form_pg_attribute) palloc0(ATTRIBUTE_FIXED_PART_SIZE);
	stats->attr->atttypid = stats->attrtypid;
	stats->attr->attstattarget = target;
#endif
}

/* One entry of this process's snapshot of the backend status array, from 1. */
static inline LocalPgBackendStatus *
hone_local_backend_status(int index)
{
#if PG_VERSION_NUM >= 160000
	return pgstat_get_local_beentry_by_index(index);
#else
	return pgstat_fetch_stat_local_beentry(index);
#endif
}

/* 18 replaced the strategy number of a path key by a comparison type. */
static inline bool
hone_pathkey_descending(const PathKey *pathkey)
{
#if PG_VERSION_NUM >= 180000
	return pathkey->pk_cmptype == COMPARE_GT;
#else
	return pathkey->pk_strategy == BTGreaterStrategyNumber;
#endif
}

/* 18 keeps the members of child relations apart from the others. */
static inline List *
hone_ec_members(const EquivalenceClass *ec, Index relid)
{
#if PG_VERSION_NUM >= 180000
	if (ec->ec_childmembers != NULL && (int) relid < ec->ec_childmembers_size &&
		ec->ec_childmembers[relid] != NIL)
		return list_concat_copy(ec->ec_members, ec->ec_childmembers[relid]);
#else
	(void) relid;
#endif
	return ec->ec_members;
}

/* The core's first guess of a merge join's cost, for a join that exists. */
static inline void
hone_initial_cost_mergejoin(PlannerInfo *root, JoinCostWorkspace *workspace,
							const MergePath *join, JoinPathExtraData *extra)
{
	const JoinPath *j = &join->jpath;

#if PG_VERSION_NUM >= 180000
	initial_cost_mergejoin(root, workspace, j->jointype, join->path_mergeclauses,
						   j->outerjoinpath, j->innerjoinpath, join->outersortkeys,
						   join->innersortkeys, join->outer_presorted_keys, extra);
#else
	initial_cost_mergejoin(root, workspace, j->jointype, join->path_mergeclauses,
						   j->outerjoinpath, j->innerjoinpath, join->outersortkeys,
						   join->innersortkeys, extra);
#endif
}

/* The cost of an incremental sort if its input had this cost. */
static inline void
hone_cost_incremental_sort(Path *path, PlannerInfo *root, const IncrementalSortPath *sort,
						   Cost startup, Cost total)
{
	const Path *sub = sort->spath.subpath;

#if PG_VERSION_NUM >= 180000
	cost_incremental_sort(path, root, sort->spath.path.pathkeys, sort->nPresortedCols,
						  sub->disabled_nodes, startup, total, sub->rows,
						  sub->pathtarget->width, 0.0, work_mem, -1.0);
#else
	cost_incremental_sort(path, root, sort->spath.path.pathkeys, sort->nPresortedCols,
						  startup, total, sub->rows, sub->pathtarget->width, 0.0,
						  work_mem, -1.0);
#endif
}

/* INTERSECT and EXCEPT read one path, made of both sides, before 18. */
static inline List *
hone_setop_inputs(const SetOpPath *path)
{
#if PG_VERSION_NUM >= 180000
	return list_make2(path->leftpath, path->rightpath);
#else
	return list_make1(path->subpath);
#endif
}

/* 16 taught GIN's cost function to charge for CPU time. */
static inline bool
hone_gin_charges_cpu(void)
{
	return PG_VERSION_NUM >= 160000;
}

/* 17 looks into statistics for it. */
static inline double
hone_estimate_array_length(PlannerInfo *root, Node *array)
{
#if PG_VERSION_NUM >= 170000
	return estimate_array_length(root, array);
#else
	(void) root;
	return estimate_array_length(array);
#endif
}

/*
 * Does an index of this access method keep updates of its columns from being
 * HOT? From 16 on, one that only summarises blocks (BRIN) does not.
 */
static inline bool
hone_am_blocks_hot(Oid amoid)
{
#if PG_VERSION_NUM >= 160000
	const IndexAmRoutine *am = GetIndexAmRoutineByAmId(amoid, true);

	return am == NULL || !am->amsummarizing;
#else
	(void) amoid;
	return true;
#endif
}

#endif							/* HONE_COMPAT_H */
