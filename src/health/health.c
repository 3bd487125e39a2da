/*
 * health.c
 *	  What the SQL of this room (health.sql) needs of C: whether one index does
 *	  all that another one does, and the counters of standbys.
 *
 * The view hone.index_health reads our tables as the extension's owner; nothing
 * in its rows is anybody's secret. None of the users' code is run for it: an
 * index's expressions are compared as they were written down, since to simplify
 * them is to call functions they are made of. No lock is waited for (who holds
 * one has the answer NULL for that pair of indexes), and all are let go at once.
 *
 * The relation that pg_hone.standby_index_use names may be a view or a foreign
 * table, so reading it runs code of whoever owns it. It is read as its owner,
 * in a security-restricted operation, as ANALYZE runs an index's expressions:
 * nobody gets to do more than he may do anyway, be the relation replaced by
 * another one of its name or not. What its owner can do is to lie about what
 * the setting (of superusers) says he is to be asked.
 */
#include "postgres.h"

#include <limits.h>

#include "access/relation.h"
#include "access/xlog.h"
#include "catalog/index.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "storage/bufmgr.h"
#include "storage/lmgr.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/syscache.h"
#include "utils/timestamp.h"
#include "utils/varlena.h"

#include "base/compat.h"
#include "base/owner.h"
#include "base/settings.h"
#include "health/health.h"

PG_FUNCTION_INFO_V1(hone_index_covers);
PG_FUNCTION_INFO_V1(hone_leading_columns);
PG_FUNCTION_INFO_V1(hone_unused_index_age);
PG_FUNCTION_INFO_V1(hone_standby_index_use);
PG_FUNCTION_INFO_V1(hone_index_health_rows);
PG_FUNCTION_INFO_V1(hone_relation_bytes);

int			hone_health_unused_index_age = 35 * 24 * 60;

static char *standby_index_use = NULL;

void
hone_health_init(void)
{
	DefineCustomIntVariable("pg_hone.unused_index_age",
							"Sets for how long an index must not have been scanned to be called unused.",
							"Long enough for what runs only at the end of a month.",
							&hone_health_unused_index_age, 35 * 24 * 60, 0, INT_MAX,
							PGC_USERSET, GUC_UNIT_MIN, NULL, NULL, NULL);
	DefineCustomStringVariable("pg_hone.standby_index_use",
							   "Names a table, view or foreign table with the standbys' counts of index scans.",
							   "Qualified; its columns are indexrelid oid, idx_scan bigint and, if there is one, "
							   "last_idx_scan timestamptz. It is read as its owner.",
							   &standby_index_use, "",
							   PGC_SUSET, 0, NULL, NULL, NULL);
}

/* hone.unused_index_age(): known also where the library was not loaded yet. */
Datum
hone_unused_index_age(PG_FUNCTION_ARGS pg_attribute_unused())
{
	Interval   *result = palloc0(sizeof(Interval));

	result->time = (TimeOffset) hone_health_unused_index_age * USECS_PER_MINUTE;
	PG_RETURN_INTERVAL_P(result);
}

/*
 * hone.leading_columns(indkey, nkeys, columns): how many keys of an index, from
 * the first one on, are among these columns.
 */
Datum
hone_leading_columns(PG_FUNCTION_ARGS)
{
	int2vector *keys = (int2vector *) PG_GETARG_POINTER(0);
	int			nkeys = Min(PG_GETARG_INT32(1), keys->dim1);
	ArrayType  *array = PG_GETARG_ARRAYTYPE_P(2);
	Datum	   *columns;
	int			ncolumns;
	int			n;

	if (ARR_ELEMTYPE(array) != INT2OID)
		elog(ERROR, "not an array of column numbers");
	deconstruct_array(array, INT2OID, sizeof(int16), true, TYPALIGN_SHORT, &columns, NULL, &ncolumns);
	for (n = 0; n < nkeys; n++)
	{
		bool		found = false;

		for (int i = 0; i < ncolumns; i++)
			found |= DatumGetInt16(columns[i]) == keys->values[n];
		if (!found)
			break;
	}
	PG_RETURN_INT32(n);
}

/* hone.index_health_rows(): what the views of this room make of it. */
Datum
hone_index_health_rows(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	HoneScope	scope;

	InitMaterializedSRF(fcinfo, 0);
	hone_enter_owner(&scope);
	(void) set_config_option("jit", "off", PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
	SPI_connect();
	if (SPI_execute("SELECT * FROM hone.index_problems", true, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not read the problems of indexes");
	for (uint64 i = 0; i < SPI_processed; i++)
		tuplestore_puttuple(rsinfo->setResult, SPI_tuptable->vals[i]);
	SPI_finish();
	hone_leave(&scope);
	return (Datum) 0;
}

/*
 * hone.relation_bytes(relation): its size; when somebody locks it, as it was when
 * it was last vacuumed or analysed. NULL when there is no such relation.
 */
Datum
hone_relation_bytes(PG_FUNCTION_ARGS)
{
	Oid			relid = PG_GETARG_OID(0);
	HeapTuple	tuple;
	int64		bytes;

	if (ConditionalLockRelationOid(relid, AccessShareLock))
	{
		Relation	rel = try_relation_open(relid, NoLock);

		if (rel == NULL)
		{
			UnlockRelationOid(relid, AccessShareLock);
			PG_RETURN_NULL();
		}
		bytes = !RELKIND_HAS_STORAGE(rel->rd_rel->relkind) ||
			(!RelationIsPermanent(rel) && RecoveryInProgress()) ? 0 :
			(int64) RelationGetNumberOfBlocks(rel) * BLCKSZ;
		relation_close(rel, AccessShareLock);
		PG_RETURN_INT64(bytes);
	}
	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(relid));
	if (!HeapTupleIsValid(tuple))
		PG_RETURN_NULL();
	bytes = (int64) ((Form_pg_class) GETSTRUCT(tuple))->relpages * BLCKSZ;
	ReleaseSysCache(tuple);
	PG_RETURN_INT64(bytes);
}

/* With the table locked; NULL when it is no index, or one that is just locked. */
static Relation
open_index(Oid oid)
{
	Relation	index;

	if (!ConditionalLockRelationOid(oid, AccessShareLock))
		return NULL;
	index = try_relation_open(oid, NoLock);
	if (index == NULL)
		UnlockRelationOid(oid, AccessShareLock);
	else if (index->rd_rel->relkind != RELKIND_INDEX &&
			 index->rd_rel->relkind != RELKIND_PARTITIONED_INDEX)
	{
		relation_close(index, AccessShareLock);
		index = NULL;
	}
	return index;
}

static const char *
compare(Relation table, Oid wide_oid, Oid narrow_oid)
{
	Relation	wide = open_index(wide_oid);
	Relation	narrow = open_index(narrow_oid);
	const char *result = NULL;

	if (wide && narrow)
	{
		HoneExisting *w = hone_health_describe(table, wide, false);
		HoneExisting *n = hone_health_describe(table, narrow, false);

		if (hone_health_covers(w, n) && hone_health_enforces(w, n))
			result = hone_health_covers(n, w) && hone_health_enforces(n, w) ?
				"duplicate" : "redundant";
	}
	if (wide)
		relation_close(wide, AccessShareLock);
	if (narrow)
		relation_close(narrow, AccessShareLock);
	return result;
}

/*
 * hone.index_covers(wide, narrow): 'redundant' when the first one does all that the
 * second one does, 'duplicate' when the reverse is also true, else NULL.
 */
Datum
hone_index_covers(PG_FUNCTION_ARGS)
{
	Oid			wide = PG_GETARG_OID(0);
	Oid			narrow = PG_GETARG_OID(1);
	Oid			relid = IndexGetRelation(wide, true);
	const char *result = NULL;
	Relation	table;
	HoneScope	scope;

	if (wide == narrow || !OidIsValid(relid) || relid != IndexGetRelation(narrow, true) ||
		!ConditionalLockRelationOid(relid, AccessShareLock))
		PG_RETURN_NULL();
	table = try_relation_open(relid, NoLock);
	if (table == NULL)
	{
		UnlockRelationOid(relid, AccessShareLock);
		PG_RETURN_NULL();
	}
	/* no code of his is run, but if it were, it would be as himself */
	hone_enter_role(&scope, table->rd_rel->relowner, NULL);
	hone_settings_be_plain();
	result = compare(table, wide, narrow);
	hone_leave(&scope);
	relation_close(table, AccessShareLock);
	if (result == NULL)
		PG_RETURN_NULL();
	PG_RETURN_TEXT_P(cstring_to_text(result));
}

/* The relation the setting names, locked; InvalidOid when it names none. */
static Oid
named_relation(void)
{
	RangeVar   *name;
	Oid			relid;
	char		relkind;

	if (standby_index_use == NULL || standby_index_use[0] == '\0')
		return InvalidOid;
	name = makeRangeVarFromNameList(textToQualifiedNameList(cstring_to_text(standby_index_use)));
	if (name->schemaname == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("setting \"pg_hone.standby_index_use\" must name a relation with its schema")));
	relid = RangeVarGetRelid(name, AccessShareLock, false);
	relkind = get_rel_relkind(relid);
	if (relkind != RELKIND_RELATION && relkind != RELKIND_VIEW && relkind != RELKIND_MATVIEW &&
		relkind != RELKIND_FOREIGN_TABLE && relkind != RELKIND_PARTITIONED_TABLE)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("\"%s\" is not a table or view", standby_index_use)));
	return relid;
}

/* Several standbys: their scans add up, and the last one counts. */
static char *
standby_query(Oid relid)
{
	return psprintf("SELECT indexrelid::pg_catalog.oid, pg_catalog.sum(idx_scan)::pg_catalog.int8, %s"
					" FROM %s WHERE indexrelid IS NOT NULL GROUP BY 1",
					get_attnum(relid, "last_idx_scan") != InvalidAttrNumber ?
					"pg_catalog.max(last_idx_scan)::pg_catalog.timestamptz" : "NULL::pg_catalog.timestamptz",
					quote_qualified_identifier(get_namespace_name(get_rel_namespace(relid)),
											   get_rel_name(relid)));
}

/* hone.standby_index_use(): its rows; none when the setting is empty. */
Datum
hone_standby_index_use(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	Oid			relid;
	char	   *query;
	HoneScope	scope;

	InitMaterializedSRF(fcinfo, 0);
	relid = named_relation();
	if (!OidIsValid(relid))
		return (Datum) 0;
	query = standby_query(relid);
	hone_enter_role(&scope, hone_relation_owner(relid), NULL);
	SPI_connect();
	if (SPI_execute(query, true, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not read the use of indexes on standbys");
	for (uint64 i = 0; i < SPI_processed; i++)
		tuplestore_puttuple(rsinfo->setResult, SPI_tuptable->vals[i]);
	SPI_finish();
	hone_leave(&scope);
	return (Datum) 0;
}
