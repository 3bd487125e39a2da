/*
 * check.c
 *	  May it be done, and is it still what was decided?
 *
 * Asked twice: when an action is queued, as the caller, so that he gets the
 * error; and by the worker with the table locked, because time has passed.
 * Between the worker's check and the statement's own look at names only a
 * rename of the schema can intervene (no lock prevents that); the statement
 * then runs with the role's own rights, and the outcome is judged by OIDs.
 *
 * Objects are looked up by OID. Names are compared, never trusted: the table's
 * must still be what the recommendation said, the index's must be free.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/catalog.h"
#include "catalog/dependency.h"
#include "catalog/pg_class.h"
#include "catalog/pg_index.h"
#include "catalog/pg_inherits.h"
#include "miscadmin.h"
#include "nodes/parsenodes.h"
#include "parser/parser.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

#include "apply/internal.h"
#include "base/compat.h"

char *
hone_apply_qualified_name(Oid relid)
{
	char	   *name = get_rel_name(relid);
	char	   *schema = name ? get_namespace_name(get_rel_namespace(relid)) : NULL;

	return schema ? quote_qualified_identifier(schema, name) : NULL;
}

static bool
check_kind(Oid relid, const char *table_name, int elevel)
{
	char		kind = get_rel_relkind(relid);

	if ((kind != RELKIND_RELATION && kind != RELKIND_MATVIEW &&
		 kind != RELKIND_PARTITIONED_TABLE) ||
		get_rel_persistence(relid) == RELPERSISTENCE_TEMP ||
		IsCatalogRelationOid(relid))
	{
		ereport(elevel,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("cannot change indexes of %s", table_name),
				 errdetail("It is not an ordinary table or materialized view.")));
		return false;
	}
	return true;
}

bool
hone_apply_check_table(Oid relid, const char *table_name, Oid roleid, int elevel)
{
	char	   *name = hone_apply_qualified_name(relid);

	if (name == NULL)
	{
		ereport(elevel,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("table %s does not exist any more", table_name)));
		return false;
	}
	if (!hone_owns_relation(relid, roleid))
	{
		ereport(elevel,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("must be owner of table %s", table_name)));
		return false;
	}
	if (strcmp(name, table_name) != 0)
	{
		ereport(elevel,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("table %s has been renamed since the recommendation was made", table_name),
				 errdetail("It is now called %s.", name),
				 errhint("Ask for advice again.")));
		return false;
	}
	return check_kind(relid, table_name, elevel);
}

/*
 * Parsing raises what a syntax error raises: definitions come from our own
 * table, and no caller can do better.
 */
IndexStmt *
hone_apply_parse_index(const char *definition)
{
	List	   *parsed = raw_parser(definition, RAW_PARSE_DEFAULT);
	Node	   *statement;

	if (list_length(parsed) != 1)
		return NULL;
	statement = linitial_node(RawStmt, parsed)->stmt;
	return IsA(statement, IndexStmt) ? (IndexStmt *) statement : NULL;
}

static bool
makes_index(const HoneAction *action)
{
	IndexStmt  *statement = hone_apply_parse_index(action->definition);

	if (statement == NULL)
		return false;
	return statement->idxname != NULL && !statement->if_not_exists &&
		strcmp(statement->idxname, action->index_name) == 0 &&
		statement->relation->schemaname != NULL &&
		strcmp(quote_qualified_identifier(statement->relation->schemaname,
										  statement->relation->relname),
			   action->table_name) == 0;
}

/*
 * Each partition must be the role's to build on, since it is built on as that
 * role. And a foreign table's can never be attached: the server then calls an
 * index valid only when it makes it all at once, with everything locked.
 */
static bool
check_partitions(const HoneAction *action, int elevel)
{
	Oid			roleid = OidIsValid(action->requested_by) ? action->requested_by : GetUserId();
	ListCell   *lc;

	if (get_rel_relkind(action->relid) != RELKIND_PARTITIONED_TABLE)
		return true;
	foreach(lc, find_all_inheritors(action->relid, NoLock, NULL))
	{
		Oid			relid = lfirst_oid(lc);
		char	   *name = hone_apply_qualified_name(relid);

		if (name == NULL)
			continue;
		if (!hone_owns_relation(relid, roleid))
		{
			ereport(elevel,
					(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
					 errmsg("must be owner of table %s", name),
					 errdetail("It is a partition of table %s.", action->table_name)));
			return false;
		}
		if (get_rel_relkind(relid) == RELKIND_FOREIGN_TABLE)
		{
			ereport(elevel,
					(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
					 errmsg("cannot build an index of partitioned table %s without blocking writes",
							action->table_name),
					 errdetail("Its partition %s is a foreign table.", name),
					 errhint("Create the index CONCURRENTLY on each partition that is not, "
							 "then the one of the parent, which will take them over.")));
			return false;
		}
	}
	return true;
}

bool
hone_apply_check_create(const HoneAction *action, int elevel)
{
	Oid			same_name;

	if (!makes_index(action))
	{
		ereport(elevel,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("the definition does not make index \"%s\" on table %s",
						action->index_name, action->table_name),
				 errdetail("The definition is: %s", action->definition)));
		return false;
	}
	same_name = get_relname_relid(action->index_name, get_rel_namespace(action->relid));
	if (OidIsValid(same_name) &&
		!(same_name == action->index_oid &&
		  hone_apply_index_state(action) == HONE_INDEX_INVALID))
	{
		ereport(elevel,
				(errcode(ERRCODE_DUPLICATE_TABLE),
				 errmsg("relation \"%s\" already exists", action->index_name),
				 errhint("Rename or drop it, or ask for advice again.")));
		return false;
	}
	return check_partitions(action, elevel);
}

/* NULL if it may be dropped; otherwise why not. */
static const char *
needed_for(Form_pg_index index)
{
	if (OidIsValid(get_index_constraint(index->indexrelid)))
		return "It belongs to a constraint.";
	if (index->indisunique)
		return "It enforces uniqueness.";
	if (index->indisreplident)
		return "It is the table's replica identity.";
	if (get_rel_relispartition(index->indexrelid))
		return "It is a partition of another index.";
	return NULL;
}

Oid
hone_apply_check_drop(const HoneAction *action, int elevel)
{
	Oid			index_oid = OidIsValid(action->index_oid) ? action->index_oid :
		get_relname_relid(action->index_name, get_rel_namespace(action->relid));
	HeapTuple	tuple = SearchSysCache1(INDEXRELID, ObjectIdGetDatum(index_oid));
	const char *reason = NULL;
	bool		found;

	found = HeapTupleIsValid(tuple) &&
		((Form_pg_index) GETSTRUCT(tuple))->indrelid == action->relid &&
		strcmp(get_rel_name(index_oid), action->index_name) == 0;
	if (found)
		reason = needed_for((Form_pg_index) GETSTRUCT(tuple));
	if (HeapTupleIsValid(tuple))
		ReleaseSysCache(tuple);

	if (!found)
	{
		ereport(elevel,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("index \"%s\" on table %s does not exist any more",
						action->index_name, action->table_name)));
		return InvalidOid;
	}
	if (reason)
	{
		ereport(elevel,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("index \"%s\" cannot be dropped", action->index_name),
				 errdetail_internal("%s", reason)));
		return InvalidOid;
	}
	return index_oid;
}

/*
 * A dropped index's work may be another one's to do. By name, because that one
 * may be built by hand, as recommended; the builder asks again with the table
 * locked, when what was queued before has had its turn.
 */
bool
hone_apply_check_cover(const HoneAction *action, int elevel)
{
	HeapTuple	tuple = NULL;
	bool		valid = false;

	if (action->needs_index == NULL)
		return true;
	tuple = SearchSysCache1(INDEXRELID, ObjectIdGetDatum(
												 get_relname_relid(action->needs_index,
																   get_rel_namespace(action->relid))));
	if (HeapTupleIsValid(tuple))
	{
		Form_pg_index index = (Form_pg_index) GETSTRUCT(tuple);

		valid = index->indrelid == action->relid && index->indisvalid &&
			index->indisready && index->indislive;
		ReleaseSysCache(tuple);
	}
	if (!valid)
		ereport(elevel,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("index \"%s\" cannot be dropped without a valid index \"%s\"",
						action->index_name, action->needs_index),
				 errdetail("That index is to do its work."),
				 errhint("If it is recommended, apply that first; otherwise ask for advice again.")));
	return valid;
}

HoneIndexState
hone_apply_index_state(const HoneAction *action)
{
	HeapTuple	tuple;
	Form_pg_index index;
	HoneIndexState state;

	if (!OidIsValid(action->index_oid))
		return HONE_INDEX_ABSENT;
	tuple = SearchSysCache1(INDEXRELID, ObjectIdGetDatum(action->index_oid));
	if (!HeapTupleIsValid(tuple))
		return HONE_INDEX_ABSENT;

	index = (Form_pg_index) GETSTRUCT(tuple);

	/*
	 * A valid index that somebody gave another name is his. One of no use is
	 * ours whatever it is called, since we noted it when we made it.
	 */
	if (index->indrelid != action->relid ||
		(strcmp(get_rel_name(action->index_oid), action->index_name) != 0 &&
		 (index->indisvalid || !action->makes_index)))
		state = HONE_INDEX_FOREIGN;
	else if (index->indisvalid && index->indisready && index->indislive)
		state = HONE_INDEX_VALID;
	else
		state = HONE_INDEX_INVALID;
	ReleaseSysCache(tuple);
	return state;
}

/*
 * An index with an expression or a predicate may call functions, which may read
 * tables: its build is a snapshot that others must wait for.
 */
bool
hone_apply_keeps_snapshot(const HoneAction *action)
{
	IndexStmt  *statement;
	ListCell   *lc;

	if (!action->makes_index)
		return false;
	if (action->is_reindex)
		return hone_apply_index_has_expressions(action->index_oid);
	statement = hone_apply_parse_index(action->definition);
	if (statement == NULL)
		return false;
	foreach(lc, statement->indexParams)
		if (lfirst_node(IndexElem, lc)->expr != NULL)
			return true;
	return statement->whereClause != NULL;
}

char *
hone_apply_concurrently(const char *definition)
{
	static const char *const starts[] = {"CREATE INDEX ", "CREATE UNIQUE INDEX "};
	static const char concurrently[] = "CONCURRENTLY ";

	for (int i = 0; i < (int) lengthof(starts); i++)
	{
		size_t		length = strlen(starts[i]);

		if (pg_strncasecmp(definition, starts[i], length) != 0)
			continue;
		/* A reserved word: it cannot be a name without quotes. */
		if (pg_strncasecmp(definition + length, concurrently,
						   strlen(concurrently)) == 0)
			return pstrdup(definition);
		return psprintf("%s%s%s", starts[i], concurrently, definition + length);
	}
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("the definition is not CREATE INDEX"),
			 errdetail("The definition is: %s", definition)));
	return NULL;				/* keep compiler quiet */
}

char *
hone_apply_drop_statement(Oid index_oid)
{
	char	   *name = hone_apply_qualified_name(index_oid);

	if (name == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("index with OID %u does not exist any more", index_oid)));
	return psprintf("DROP INDEX %s%s",
					get_rel_relkind(index_oid) == RELKIND_PARTITIONED_INDEX ? "" : "CONCURRENTLY ",
					name);
}

/* Until then the planner knows nothing of an expression's values. */
char *
hone_apply_analyze_statement(const HoneAction *action)
{
	HeapTuple	tuple = SearchSysCache1(INDEXRELID, ObjectIdGetDatum(action->index_oid));
	bool		expressions;

	if (!HeapTupleIsValid(tuple))
		return NULL;
	expressions = ((Form_pg_index) GETSTRUCT(tuple))->indisvalid &&
		!heap_attisnull(tuple, Anum_pg_index_indexprs, NULL);
	ReleaseSysCache(tuple);
	return expressions && hone_apply_index_state(action) == HONE_INDEX_VALID ?
		psprintf("ANALYZE %s", action->table_name) : NULL;
}
