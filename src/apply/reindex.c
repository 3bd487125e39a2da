/*
 * reindex.c
 *	  Rebuilding an index: REINDEX INDEX CONCURRENTLY in the worker.
 *
 * The server makes a new index beside the old one ("..._ccnew"), has it take over
 * the old one's name, constraints and statistics in one transaction, and removes
 * the old one ("..._ccold" by then). So of the two OIDs, exactly one is the index
 * at any time: the one that has its name. What an interrupted rebuild leaves is
 * the other one, which is INVALID. Both OIDs are known: the old one is noted when
 * the action is queued, the new one in the transaction that makes it. Nothing else
 * is ever removed, whatever it is called.
 *
 * What may be rebuilt: any index of an ordinary table or materialized view but
 * those of exclusion constraints, which the server cannot do concurrently. An
 * INVALID one becomes valid by it.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/relation.h"
#include "catalog/pg_class.h"
#include "catalog/pg_index.h"
#include "miscadmin.h"
#include "storage/bufmgr.h"
#include "storage/lmgr.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/syscache.h"

#include "apply/internal.h"
#include "base/compat.h"

/* The row of pg_index if the index is on that table; NULL otherwise. */
static HeapTuple
index_tuple(Oid index_oid, Oid relid)
{
	HeapTuple	tuple = SearchSysCache1(INDEXRELID, ObjectIdGetDatum(index_oid));

	if (HeapTupleIsValid(tuple) && OidIsValid(relid) &&
		((Form_pg_index) GETSTRUCT(tuple))->indrelid != relid)
	{
		ReleaseSysCache(tuple);
		tuple = NULL;
	}
	return tuple;
}

Oid
hone_apply_index_tablespace(Oid index_oid)
{
	return get_rel_tablespace(index_oid);
}

int64
hone_apply_index_size(Oid index_oid)
{
	Relation	index = try_relation_open(index_oid, AccessShareLock);
	int64		size = 0;

	if (index == NULL)
		return 0;
	if (index->rd_rel->relkind == RELKIND_INDEX)
		size = (int64) RelationGetNumberOfBlocks(index) * BLCKSZ;
	relation_close(index, AccessShareLock);
	return size;
}

bool
hone_apply_index_has_expressions(Oid index_oid)
{
	HeapTuple	tuple = index_tuple(index_oid, InvalidOid);
	bool		has = false;

	if (HeapTupleIsValid(tuple))
	{
		has = !heap_attisnull(tuple, Anum_pg_index_indexprs, NULL) ||
			!heap_attisnull(tuple, Anum_pg_index_indpred, NULL);
		ReleaseSysCache(tuple);
	}
	return has;
}

/* The table of what may be rebuilt; raises an error if it may not. */
static Oid
check_index(Oid index_oid)
{
	HeapTuple	tuple;
	Form_pg_index index;
	Oid			relid;
	bool		exclusion;

	if (get_rel_relkind(index_oid) == RELKIND_PARTITIONED_INDEX)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("cannot rebuild partitioned index \"%s\"", get_rel_name(index_oid)),
				 errhint("Rebuild the indexes of its partitions one by one.")));
	tuple = index_tuple(index_oid, InvalidOid);
	if (!HeapTupleIsValid(tuple))
	{
		const char *name = get_rel_name(index_oid);

		ereport(ERROR,
				(errcode(name ? ERRCODE_WRONG_OBJECT_TYPE : ERRCODE_UNDEFINED_OBJECT),
				 name ? errmsg("\"%s\" is not an index", name) :
				 errmsg("index with OID %u does not exist", index_oid)));
	}
	index = (Form_pg_index) GETSTRUCT(tuple);
	relid = index->indrelid;
	exclusion = index->indisexclusion;
	ReleaseSysCache(tuple);

	(void) hone_apply_check_table(relid, hone_apply_qualified_name(relid), GetUserId(), ERROR);
	if (exclusion)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("cannot rebuild index \"%s\"", get_rel_name(index_oid)),
				 errdetail("Indexes of exclusion constraints cannot be rebuilt concurrently.")));
	return relid;
}

int64
hone_apply_queue_reindex(Oid index_oid, char **index_name)
{
	HoneAction	action = {0};

	action.relid = check_index(index_oid);
	if (hone_apply_index_is_busy(index_oid))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("index \"%s\" is being worked on already, or on trial",
						get_rel_name(index_oid))));
	action.requested_by = GetUserId();
	action.table_name = hone_apply_qualified_name(action.relid);
	action.index_name = get_rel_name(index_oid);
	action.index_oid = index_oid;
	action.definition = psprintf("REINDEX INDEX CONCURRENTLY %s", hone_apply_qualified_name(index_oid));
	action.size_bytes = hone_apply_index_size(index_oid);
	*index_name = action.index_name;
	return hone_apply_insert_reindex(&action);
}

/* With the table locked. */
char *
hone_apply_reindex_statement(const HoneAction *action)
{
	HeapTuple	tuple = index_tuple(action->index_oid, action->relid);

	if (!HeapTupleIsValid(tuple) ||
		strcmp(get_rel_name(action->index_oid), action->index_name) != 0)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("index \"%s\" on table %s does not exist any more",
						action->index_name, action->table_name)));
	ReleaseSysCache(tuple);
	return psprintf("REINDEX INDEX CONCURRENTLY %s", hone_apply_qualified_name(action->index_oid));
}

bool
hone_apply_reindex_state(const HoneAction *action, Oid *remains)
{
	HeapTuple	tuple;
	bool		valid;

	*remains = InvalidOid;
	if (!OidIsValid(action->new_index_oid))
		return false;
	tuple = index_tuple(action->new_index_oid, action->relid);
	if (!HeapTupleIsValid(tuple))
		return false;
	valid = ((Form_pg_index) GETSTRUCT(tuple))->indisvalid;
	ReleaseSysCache(tuple);

	/* It is made valid by taking over; its name may have changed since. */
	if (!valid)
	{
		*remains = action->new_index_oid;
		return false;
	}
	tuple = index_tuple(action->index_oid, action->relid);
	if (HeapTupleIsValid(tuple))
	{
		if (!((Form_pg_index) GETSTRUCT(tuple))->indisvalid)
			*remains = action->index_oid;
		ReleaseSysCache(tuple);
	}
	return true;
}
