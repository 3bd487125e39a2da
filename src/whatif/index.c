/*
 * index.c
 *	  From the text of a CREATE INDEX to an index that could be built.
 *
 * The text is parsed and checked as CREATE INDEX would, as the current user
 * and with his search_path, but nothing is written and only an AccessShareLock
 * is taken: on the table, and on its partitions. The locks stay until the end
 * of the (sub)transaction. Expressions are treated as the relcache treats those
 * of a real index, because that is what the planner compares quals with.
 *
 * The definition we give back means the same under any search_path that has
 * no objects in front of pg_catalog's.
 */
#include "postgres.h"

#include "access/brin.h"
#include "access/gist_private.h"
#include "access/hash.h"
#include "access/nbtree.h"
#include "access/reloptions.h"
#include "access/spgist_private.h"
#include "access/table.h"
#include "catalog/catalog.h"
#include "catalog/index.h"
#include "catalog/namespace.h"
#include "catalog/pg_am.h"
#include "catalog/pg_collation.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_opclass.h"
#include "catalog/pg_tablespace.h"
#include "commands/defrem.h"
#include "commands/tablespace.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "parser/parse_utilcmd.h"
#include "rewrite/rewriteManip.h"
#include "tcop/tcopprot.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/ruleutils.h"
#include "utils/syscache.h"

#include "base/compat.h"
#include "whatif/details.h"

/*
 * Names for plans: OIDs from the top of their range, where a real object is
 * least likely; reused after as many indexes as a backend never has at once.
 */
#define LAST_FAKE_OID	((Oid) 0xFFFFFF00)
#define FAKE_OIDS		65536

static Oid
next_fake_oid(void)
{
	static uint32 counter = 0;
	Oid			oid;

	do
	{
		oid = LAST_FAKE_OID - (counter++ % FAKE_OIDS);
	} while (SearchSysCacheExists1(RELOID, ObjectIdGetDatum(oid)));
	return oid;
}

static IndexStmt *
parse_create_index(const char *text)
{
	List	   *statements = pg_parse_query(text);
	RawStmt    *raw;
	IndexStmt  *stmt;

	if (list_length(statements) != 1)
		ereport(ERROR,
				(errcode(ERRCODE_SYNTAX_ERROR),
				 errmsg("expected exactly one CREATE INDEX statement, got %d",
						list_length(statements))));
	raw = linitial_node(RawStmt, statements);
	if (!IsA(raw->stmt, IndexStmt))
		ereport(ERROR,
				(errcode(ERRCODE_SYNTAX_ERROR),
				 errmsg("not a CREATE INDEX statement")));
	stmt = castNode(IndexStmt, raw->stmt);
	if (stmt->unique)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("unique indexes cannot be imagined"),
				 errdetail("Whether the data is unique is only known once the index is built."),
				 errhint("Leave out UNIQUE to see the effect of the index on plans.")));
	return stmt;
}

static void
check_relation(Relation rel, const IndexStmt *stmt)
{
	Oid			relid = RelationGetRelid(rel);
	char	   *name = RelationGetRelationName(rel);
	char		relkind = rel->rd_rel->relkind;

	if (relkind != RELKIND_RELATION && relkind != RELKIND_MATVIEW &&
		relkind != RELKIND_PARTITIONED_TABLE)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("cannot create index on relation \"%s\"", name),
				 errdetail_relkind_not_supported(relkind)));
	if (pg_class_aclcheck(relid, GetUserId(), ACL_SELECT) != ACLCHECK_OK)
		aclcheck_error(ACLCHECK_NO_PRIV, get_relkind_objtype(relkind), name);
	if (IsSystemRelation(rel))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("permission denied: \"%s\" is a system catalog", name)));
	if (RELATION_IS_OTHER_TEMP(rel))
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("cannot create indexes on temporary tables of other sessions")));
	if (relkind == RELKIND_PARTITIONED_TABLE && !stmt->relation->inh)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("an index on only the partitioned table \"%s\" cannot be imagined", name),
				 errdetail("It would be invalid until each partition has one.")));
}

/* Key (or included) column i is a plain column or an expression. */
static void
take_column(HoneIndex *index, HoneIndexPlace *place, int i, IndexElem *elem,
			Oid *type, Oid *collation)
{
	HoneIndexDetails *details = index->details;
	Node	   *expr = elem->expr;
	int32		typmod;

	if (elem->name != NULL)
	{
		AttrNumber	attno = get_attnum(index->relid, elem->name);

		if (attno == InvalidAttrNumber)
			ereport(ERROR,
					(errcode(ERRCODE_UNDEFINED_COLUMN),
					 errmsg("column \"%s\" does not exist", elem->name)));
		expr = (Node *) makeVar(1, attno, InvalidOid, -1, InvalidOid, 0);
		place->keys[i] = attno;
		if (attno > 0)
			get_atttypetypmodcoll(index->relid, attno, type, &typmod, collation);
	}
	else
	{
		/* These are not even transformed. */
		if (i >= index->nkeycolumns)
			ereport(ERROR,
					(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
					 errmsg("expressions are not supported in included columns")));
		*type = exprType(expr);
		*collation = exprCollation(expr);
		while (IsA(expr, CollateExpr))
			expr = (Node *) ((CollateExpr *) expr)->arg;
		if (IsA(expr, Var) && ((Var *) expr)->varattno != InvalidAttrNumber)
			place->keys[i] = ((Var *) expr)->varattno;
		else
			details->raw_exprs = lappend(details->raw_exprs, expr);
	}

	if (place->keys[i] < 0)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("index creation on system columns is not supported")));
}

/* Collation, operator class, order of a key column. */
static void
take_key_options(HoneIndex *index, int i, IndexElem *elem, char *amname,
				 Oid type, Oid collation)
{
	HoneIndexDetails *details = index->details;
	Oid			opclass;

	if (elem->collation)
		collation = get_collation_oid(elem->collation, false);
	if (type_is_collatable(type))
	{
		if (!OidIsValid(collation))
			ereport(ERROR,
					(errcode(ERRCODE_INDETERMINATE_COLLATION),
					 errmsg("could not determine which collation to use for index expression"),
					 errhint("Use the COLLATE clause to set the collation explicitly.")));
	}
	else if (OidIsValid(collation))
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("collations are not supported by type %s",
						format_type_be(type))));

	opclass = ResolveOpClass(elem->opclass, type, amname, index->amoid);
	details->collations[i] = collation;
	details->opclasses[i] = opclass;
	details->opfamilies[i] = get_opclass_family(opclass);
	details->opcintypes[i] = get_opclass_input_type(opclass);

	hone_whatif_take_opclass_options(index, i, elem->opclassopts);
	if (!details->am->amcanorder &&
		(elem->ordering != SORTBY_DEFAULT ||
		 elem->nulls_ordering != SORTBY_NULLS_DEFAULT))
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("access method \"%s\" does not support %s options", amname,
						elem->ordering != SORTBY_DEFAULT ?
						"ASC/DESC" : "NULLS FIRST/LAST")));
	details->descending[i] = elem->ordering == SORTBY_DESC;
	details->nulls_first[i] = elem->nulls_ordering == SORTBY_NULLS_DEFAULT ?
		details->descending[i] : elem->nulls_ordering == SORTBY_NULLS_FIRST;
}

static void
check_included(IndexElem *elem)
{
	const char *what = NULL;

	if (elem->collation)
		what = "a collation";
	else if (elem->opclass)
		what = "an operator class";
	else if (elem->ordering != SORTBY_DEFAULT)
		what = "ASC/DESC options";
	else if (elem->nulls_ordering != SORTBY_NULLS_DEFAULT)
		what = "NULLS FIRST/LAST options";
	if (what)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_OBJECT_DEFINITION),
				 errmsg("including column does not support %s", what)));
}

static void
check_immutable(Node *expr, const char *where)
{
	expr = (Node *) expression_planner((Expr *) copyObject(expr));
	if (contain_mutable_functions(expr))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_OBJECT_DEFINITION),
				 errmsg("functions in index %s must be marked IMMUTABLE", where)));
}

static void
check_no_system_columns(Node *expr)
{
	Bitmapset  *columns = NULL;

	pull_varattnos(expr, 1, &columns);
	for (int i = FirstLowInvalidHeapAttributeNumber + 1; i < 0; i++)
	{
		if (bms_is_member(i - FirstLowInvalidHeapAttributeNumber, columns))
			ereport(ERROR,
					(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
					 errmsg("index creation on system columns is not supported")));
	}
}

static void
take_columns(HoneIndex *index, HoneIndexPlace *place, const IndexStmt *stmt)
{
	HoneIndexDetails *details = index->details;
	List	   *elems = list_concat_copy(stmt->indexParams, stmt->indexIncludingParams);
	Oid			types[INDEX_MAX_KEYS];
	ListCell   *lc;
	int			i = 0;

	foreach(lc, elems)
	{
		IndexElem  *elem = lfirst_node(IndexElem, lc);
		Oid			type = InvalidOid;
		Oid			collation = InvalidOid;

		take_column(index, place, i, elem, &type, &collation);
		if (i < index->nkeycolumns)
			take_key_options(index, i, elem, stmt->accessMethod, type, collation);
		else
			check_included(elem);
		types[i++] = type;
	}
	hone_whatif_find_returnable(index, types);

	foreach(lc, details->raw_exprs)
		check_immutable(lfirst(lc), "expression");
	if (stmt->whereClause)
	{
		check_immutable(stmt->whereClause, "predicate");
		details->raw_predicate = stmt->whereClause;
	}
	check_no_system_columns((Node *) details->raw_exprs);
	check_no_system_columns(details->raw_predicate);
}

/* What the relcache does to the stored expressions of a real index. */
static void
prepare_expressions(const HoneIndexDetails *details, HoneIndexPlace *place)
{
	Node	   *exprs = (Node *) copyObject(details->raw_exprs);
	Node	   *predicate = copyObject(details->raw_predicate);

	if (exprs != NULL)
	{
		exprs = eval_const_expressions(NULL, exprs);
		fix_opfuncids(exprs);
		place->exprs = (List *) exprs;
	}
	if (predicate != NULL)
	{
		predicate = eval_const_expressions(NULL, predicate);
		predicate = (Node *) canonicalize_qual((Expr *) predicate, false);
		place->predicate = make_ands_implicit((Expr *) predicate);
		fix_opfuncids((Node *) place->predicate);
	}
}

/* The same index in a partition, whose columns may have other numbers. */
static HoneIndexPlace *
make_partition_place(const HoneIndex *index, const HoneIndexPlace *parent,
					 Relation parent_rel, Relation rel)
{
	HoneIndexPlace *place = palloc0(sizeof(HoneIndexPlace));
	AttrMap    *map = hone_build_attrmap_by_name(RelationGetDescr(rel),
												 RelationGetDescr(parent_rel));
	bool		whole_row;

	place->relid = RelationGetRelid(rel);
	place->keys = palloc(sizeof(int) * index->ncolumns);
	for (int i = 0; i < index->ncolumns; i++)
		place->keys[i] = parent->keys[i] == 0 ? 0 : map->attnums[parent->keys[i] - 1];
	place->exprs = (List *)
		map_variable_attnos((Node *) parent->exprs, 1, 0, map, InvalidOid, &whole_row);
	if (!whole_row)
		place->predicate = (List *)
			map_variable_attnos((Node *) parent->predicate, 1, 0, map, InvalidOid,
								&whole_row);
	if (whole_row)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("cannot use whole-row references in an index on a partitioned table")));
	free_attrmap(map);
	return place;
}

/* One place for a table, one per leaf for a partitioned table. */
static void
make_places(HoneIndex *index, HoneIndexPlace *place, Relation rel)
{
	HoneIndexDetails *details = index->details;
	List	   *leaves;
	ListCell   *lc;

	if (!details->partitioned)
	{
		details->places = list_make1(place);
		return;
	}

	leaves = find_all_inheritors(index->relid, AccessShareLock, NULL);
	foreach(lc, leaves)
	{
		Relation	leaf = table_open(lfirst_oid(lc), NoLock);

		if (leaf->rd_rel->relkind == RELKIND_RELATION &&
			!RELATION_IS_OTHER_TEMP(leaf))
			details->places = lappend(details->places,
									  make_partition_place(index, place, rel, leaf));
		table_close(leaf, NoLock);
	}
}

static bool
can_imagine(Oid amoid)
{
	switch (amoid)
	{
		case BTREE_AM_OID:
		case HASH_AM_OID:
		case GIST_AM_OID:
		case SPGIST_AM_OID:
		case GIN_AM_OID:
		case BRIN_AM_OID:
			return true;
		default:
			return false;		/* of an extension: we do not know its costs */
	}
}

static int
default_fillfactor(Oid amoid)
{
	switch (amoid)
	{
		case HASH_AM_OID:
			return HASH_DEFAULT_FILLFACTOR;
		case GIST_AM_OID:
			return GIST_DEFAULT_FILLFACTOR;
		case SPGIST_AM_OID:
			return SPGIST_DEFAULT_FILLFACTOR;
		default:
			return BTREE_DEFAULT_FILLFACTOR;
	}
}

static void
take_access_method(HoneIndex *index, const IndexStmt *stmt)
{
	const IndexAmRoutine *am;

	index->amoid = get_index_am_oid(stmt->accessMethod, false);
	if (!can_imagine(index->amoid))
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("access method \"%s\" is not supported in imagined indexes",
						stmt->accessMethod),
				 errhint("Supported are btree, hash, gist, spgist, gin and brin.")));

	am = GetIndexAmRoutineByAmId(index->amoid, false);
	index->details->am = unconstify(IndexAmRoutine *, am);
	if (stmt->indexIncludingParams != NIL && !am->amcaninclude)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("access method \"%s\" does not support included columns",
						stmt->accessMethod)));
	if (index->nkeycolumns > 1 && !am->amcanmulticol)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("access method \"%s\" does not support multicolumn indexes",
						stmt->accessMethod)));
	if (index->ncolumns > INDEX_MAX_KEYS)
		ereport(ERROR,
				(errcode(ERRCODE_TOO_MANY_COLUMNS),
				 errmsg("cannot use more than %d columns in an index", INDEX_MAX_KEYS)));
}

static void
take_storage(HoneIndex *index, const IndexStmt *stmt)
{
	HoneIndexDetails *details = index->details;
	Datum		options = transformRelOptions((Datum) 0, stmt->options, NULL, NULL,
											  false, false);
	ListCell   *lc;

	(void) index_reloptions(details->am->amoptions, options, true);
	details->fillfactor = default_fillfactor(index->amoid);
	details->deduplicate = true;
	details->pages_per_range = BRIN_DEFAULT_PAGES_PER_RANGE;
	details->options = options;
	/* checked above; as a definition is printed, a number stands in quotes */
	foreach(lc, stmt->options)
	{
		DefElem    *option = lfirst_node(DefElem, lc);

		if (strcmp(option->defname, "fillfactor") == 0)
			details->fillfactor = pg_strtoint32(defGetString(option));
		else if (strcmp(option->defname, "deduplicate_items") == 0)
			details->deduplicate = defGetBoolean(option);
		else if (strcmp(option->defname, "pages_per_range") == 0)
			details->pages_per_range = pg_strtoint32(defGetString(option));
	}

	if (stmt->tableSpace)
	{
		details->tablespace = get_tablespace_oid(stmt->tableSpace, false);
		if (details->tablespace == GLOBALTABLESPACE_OID)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("only shared relations can be placed in pg_global tablespace")));
		details->tablespace_named = true;
	}
}

static HoneIndex *
allocate_index(const IndexStmt *stmt)
{
	HoneIndex  *index = palloc0(sizeof(HoneIndex));
	HoneIndexDetails *details = palloc0(sizeof(HoneIndexDetails));
	int			nkeys = list_length(stmt->indexParams);

	index->details = details;
	index->nkeycolumns = nkeys;
	index->ncolumns = nkeys + list_length(stmt->indexIncludingParams);
	details->collations = palloc0(sizeof(Oid) * nkeys);
	details->opclasses = palloc0(sizeof(Oid) * nkeys);
	details->opfamilies = palloc0(sizeof(Oid) * nkeys);
	details->opcintypes = palloc0(sizeof(Oid) * nkeys);
	details->descending = palloc0(sizeof(bool) * nkeys);
	details->nulls_first = palloc0(sizeof(bool) * nkeys);
	details->returnable = palloc0(sizeof(bool) * index->ncolumns);
	details->opclass_options = palloc0(sizeof(Datum) * nkeys);
	details->parsed_options = palloc0(sizeof(bytea *) * nkeys);
	return index;
}

HoneIndex *
hone_whatif_index(const char *create_index)
{
	ErrorContextCallback context;
	IndexStmt  *stmt;
	HoneIndex  *index;
	HoneIndexPlace *place = palloc0(sizeof(HoneIndexPlace));
	Relation	rel;

	hone_whatif_push_text(&context, create_index);
	stmt = parse_create_index(create_index);
	index = allocate_index(stmt);
	take_access_method(index, stmt);
	index->relid = RangeVarGetRelid(stmt->relation, AccessShareLock, false);
	rel = table_open(index->relid, NoLock);
	check_relation(rel, stmt);
	index->details->partitioned = rel->rd_rel->relkind == RELKIND_PARTITIONED_TABLE;
	take_storage(index, stmt);

	stmt = transformIndexStmt(index->relid, stmt, create_index);
	place->relid = index->relid;
	place->keys = palloc0(sizeof(int) * index->ncolumns);
	take_columns(index, place, stmt);
	prepare_expressions(index->details, place);
	make_places(index, place, rel);
	table_close(rel, NoLock);

	index->definition = hone_whatif_definition(index, place->keys);
	index->fakeoid = next_fake_oid();
	hone_whatif_estimate_size(index);
	hone_whatif_pop_text(&context);
	return index;
}
