/*
 * existing.c
 *	  What an index is, and whether another one does all that it does.
 *
 * Reads the relation cache and the system caches; whoever calls holds a lock on
 * the table and the index, and has search_path = pg_catalog, pg_temp, so that
 * equal things have equal text. Lives in the current memory context; an error
 * leaves nothing behind.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/relation.h"
#include "access/sysattr.h"
#include "access/table.h"
#include "access/transam.h"
#include "access/xlog.h"
#include "catalog/dependency.h"
#include "catalog/index.h"
#include "catalog/pg_am.h"
#include "catalog/pg_class.h"
#include "catalog/pg_constraint.h"
#include "catalog/pg_index.h"
#include "catalog/pg_type.h"
#include "commands/defrem.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "storage/bufmgr.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/relcache.h"
#include "utils/ruleutils.h"
#include "utils/syscache.h"

#include "base/compat.h"
#include "health/health.h"

/* Text of a column or expression, as it stands in CREATE INDEX. */
char *
hone_health_expression_sql(Oid relid, Node *expr, bool as_key)
{
	char	   *text;

	if (as_key && IsA(expr, Var))
		return pstrdup(quote_identifier(get_attname(relid, ((Var *) expr)->varattno, false)));
	text = deparse_expression(expr, deparse_context_for(get_rel_name(relid), relid),
							  false, false);
	return as_key ? psprintf("(%s)", text) : text;
}

static char *
array_text(Datum value)
{
	Oid			output;
	bool		varlena;

	getTypeOutputInfo(TEXTARRAYOID, &output, &varlena);
	return OidOutputFunctionCall(output, value);
}

static void
add_columns(Bitmapset **columns, Node *node)
{
	Bitmapset  *attnos = NULL;
	int			col = -1;

	pull_varattnos(node, 1, &attnos);
	while ((col = bms_next_member(attnos, col)) >= 0)
		if (col + FirstLowInvalidHeapAttributeNumber > 0)
			*columns = bms_add_member(*columns, col + FirstLowInvalidHeapAttributeNumber);
}

/*
 * What storage parameters and those of operator classes make of an index: one
 * with others is not the same. (Those of a btree change no answers.)
 */
static char *
options_of(Relation index, const HoneExisting *e)
{
	HeapTuple	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(RelationGetRelid(index)));
	StringInfoData buf;
	bool		isnull;
	Datum		value;

	initStringInfo(&buf);
	if (!HeapTupleIsValid(tuple))
		return buf.data;
	value = SysCacheGetAttr(RELOID, tuple, Anum_pg_class_reloptions, &isnull);
	if (!isnull)
		appendStringInfoString(&buf, array_text(value));
	ReleaseSysCache(tuple);
	for (int i = 0; i < e->nkeys; i++)
	{
		value = get_attoptions(RelationGetRelid(index), i + 1);
		if (value != (Datum) 0)
			appendStringInfo(&buf, "; %s %s", e->keys[i].sql, array_text(value));
	}
	return buf.data;
}

/* Foreign keys of the table for whose checks the index can be searched. */
static List *
foreign_keys(Relation table, const HoneExisting *e)
{
	List	   *result = NIL;
	ListCell   *lc;

	if ((e->amoid != BTREE_AM_OID && e->amoid != HASH_AM_OID) || e->predicate)
		return NIL;
	foreach(lc, RelationGetFKeyList(table))
	{
		ForeignKeyCacheInfo *fkey = lfirst(lc);

		for (int i = 0; i < fkey->nkeys; i++)
			if (fkey->conkey[i] == e->keys[0].attno)
				result = lappend(result, copyObject(fkey));
	}
	return result;
}

/* As ANALYZE and VACUUM left it; the share of the table's rows if partial. */
static void
count_rows(Relation table, Relation index, HoneExisting *e)
{
	double		rows = Max(0, table->rd_rel->reltuples);

	e->tuples = index->rd_rel->reltuples;
	if (e->tuples <= 0)
		e->tuples = e->predicate ? 0 : rows;
	e->selectivity = e->predicate == NULL ? 1 :
		rows > 0 ? Min(1, e->tuples / rows) : 0.5;
}

/* On a standby there is no file of what is not logged. */
static double
count_pages(Relation index)
{
	if (index->rd_rel->relkind != RELKIND_INDEX ||
		(!RelationIsPermanent(index) && RecoveryInProgress()))
		return 0;
	return RelationGetNumberOfBlocks(index);
}

static Oid
column_collation(Oid relid, AttrNumber attno)
{
	Oid			type;
	int32		typmod;
	Oid			collation;

	get_atttypetypmodcoll(relid, attno, &type, &typmod, &collation);
	return collation;
}

/* One key; expr is what it is made of if it is not a column. */
static void
describe_key(HoneExisting *e, int i, Relation index, AttrNumber attno, Node *expr)
{
	HoneKey    *key = &e->keys[i];

	key->attno = attno;
	key->opfamily = index->rd_opfamily[i];
	if (attno != 0)
	{
		key->sql = pstrdup(quote_identifier(get_attname(e->relid, attno, false)));
		key->columns = bms_make_singleton(attno);
	}
	else
	{
		key->sql = hone_health_expression_sql(e->relid, expr, true);
		add_columns(&key->columns, expr);
	}
	if (index->rd_indcollation[i] !=
		(attno != 0 ? column_collation(e->relid, attno) : exprCollation(expr)))
		key->collation = index->rd_indcollation[i];
	if (e->amoid == BTREE_AM_OID)
	{
		key->desc = (index->rd_indoption[i] & INDOPTION_DESC) != 0;
		key->nulls_first = (index->rd_indoption[i] & INDOPTION_NULLS_FIRST) != 0;
	}
}

/* As CREATE INDEX wrote it down; NULL: nothing. */
static Node *
stored_node(Relation index, AttrNumber attno)
{
	HeapTuple	tuple = SearchSysCache1(INDEXRELID, ObjectIdGetDatum(RelationGetRelid(index)));
	bool		isnull = true;
	Datum		value = (Datum) 0;
	Node	   *node;

	if (!HeapTupleIsValid(tuple))
		return NULL;
	value = SysCacheGetAttr(INDEXRELID, tuple, attno, &isnull);
	node = isnull ? NULL : stringToNode(TextDatumGetCString(value));
	ReleaseSysCache(tuple);
	return node;
}

/*
 * Simplifying expressions may call functions that they are made of: whoever
 * wants that has become a role that may be made to.
 */
HoneExisting *
hone_health_describe(Relation table, Relation index, bool simplify)
{
	HoneExisting *e = palloc0(sizeof(HoneExisting));
	Form_pg_index form = index->rd_index;
	List	   *expressions = simplify ? RelationGetIndexExpressions(index) :
		(List *) stored_node(index, Anum_pg_index_indexprs);
	Node	   *predicate = simplify ? (Node *) RelationGetIndexPredicate(index) :
		stored_node(index, Anum_pg_index_indpred);
	ListCell   *next = list_head(expressions);

	e->oid = RelationGetRelid(index);
	e->relid = RelationGetRelid(table);
	e->amoid = index->rd_rel->relam;
	e->name = pstrdup(RelationGetRelationName(index));
	e->nkeys = form->indnkeyatts;
	e->keys = palloc0(sizeof(HoneKey) * e->nkeys);
	for (int i = 0; i < form->indnatts; i++)
	{
		AttrNumber	attno = form->indkey.values[i];
		Node	   *expr = NULL;

		if (attno != 0)
			e->columns = bms_add_member(e->columns, attno);
		else
		{
			expr = lfirst(next);
			next = lnext(expressions, next);
			add_columns(&e->columns, expr);
			e->expressions = true;
		}
		if (i >= e->nkeys)
		{
			e->included = bms_add_member(e->included, attno);
			continue;
		}
		describe_key(e, i, index, attno, expr);
	}
	if (predicate)
	{
		Node	   *whole = simplify ? (Node *) make_ands_explicit((List *) predicate) : predicate;

		e->predicate = hone_health_expression_sql(e->relid, whole, false);
		add_columns(&e->columns, whole);
	}
	e->unique = form->indisunique;
	e->immediate = form->indimmediate;
	e->nulls_equal = form->indnullsnotdistinct;
	e->exclusion = form->indisexclusion;
	e->valid = form->indisvalid && form->indisready && form->indislive;
	e->pages = count_pages(index);
	e->size_bytes = (int64) e->pages * BLCKSZ;
	e->options = options_of(index, e);
	e->fkeys = foreign_keys(table, e);
	count_rows(table, index, e);
	e->droppable = e->valid && !e->unique && !form->indisprimary &&
		!form->indisexclusion && !form->indisclustered && !form->indisreplident &&
		index->rd_rel->relkind == RELKIND_INDEX && !index->rd_rel->relispartition &&
		e->relid >= FirstNormalObjectId &&
		!RELATION_IS_OTHER_TEMP(table) &&
		!OidIsValid(get_index_constraint(e->oid)) &&
		!OidIsValid(getExtensionOfObject(RelationRelationId, e->oid)) &&
		!OidIsValid(getExtensionOfObject(RelationRelationId, e->relid));
	return e;
}

bool
hone_health_key_equal(const HoneKey *a, const HoneKey *b, bool reversed)
{
	return strcmp(a->sql, b->sql) == 0 && a->opfamily == b->opfamily &&
		a->collation == b->collation &&
		a->desc == (reversed ? !b->desc : b->desc) &&
		a->nulls_first == (reversed ? !b->nulls_first : b->nulls_first);
}

/*
 * Is one list of keys a prefix of the other? A btree is as good read
 * backwards, so all directions may be reversed.
 */
bool
hone_health_is_prefix(const HoneKey *shorter, int nshorter,
					  const HoneKey *longer, int nlonger)
{
	if (nshorter > nlonger)
		return false;
	for (int reversed = 0; reversed <= 1; reversed++)
	{
		int			i;

		for (i = 0; i < nshorter; i++)
			if (!hone_health_key_equal(&shorter[i], &longer[i], reversed))
				break;
		if (i == nshorter)
			return true;
	}
	return false;
}

static bool
has_key(const HoneKey *keys, int nkeys, const HoneKey *wanted)
{
	for (int i = 0; i < nkeys; i++)
		if (hone_health_key_equal(&keys[i], wanted, false))
			return true;
	return false;
}

/*
 * Can one index be searched for all that the other can, by its keys? A btree and
 * a GiST index by their first ones; GIN and BRIN have no order of keys, and
 * SP-GiST and hash have one only.
 */
bool
hone_health_keys_cover(Oid amoid, const HoneKey *wide, int nwide,
					   const HoneKey *narrow, int nnarrow)
{
	if (amoid == BTREE_AM_OID)
		return hone_health_is_prefix(narrow, nnarrow, wide, nwide);
	if (nnarrow > nwide)
		return false;
	for (int i = 0; i < nnarrow; i++)
		if (amoid == GIN_AM_OID || amoid == BRIN_AM_OID ?
			!has_key(wide, nwide, &narrow[i]) :
			!hone_health_key_equal(&wide[i], &narrow[i], false))
			return false;
	return amoid == GIN_AM_OID || amoid == BRIN_AM_OID || amoid == GIST_AM_OID ||
		nwide == nnarrow;
}

/* Equality is all that a hash index knows; a btree on the column first knows it too. */
static bool
serves_hash(const HoneExisting *hash, Oid amoid, const HoneKey *keys)
{
	Oid			type;

	if (hash->amoid != HASH_AM_OID || amoid != BTREE_AM_OID || hash->keys[0].attno == 0 ||
		keys[0].attno != hash->keys[0].attno || keys[0].collation != hash->keys[0].collation)
		return false;
	type = getBaseType(get_atttype(hash->relid, hash->keys[0].attno));
	return keys[0].opfamily == get_opclass_family(GetDefaultOpClass(type, BTREE_AM_OID)) &&
		hash->keys[0].opfamily == get_opclass_family(GetDefaultOpClass(type, HASH_AM_OID));
}

/* Can every column that the index keeps beside its keys be read there too? */
static bool
includes(const HoneExisting *e, const HoneKey *keys, int nkeys, Bitmapset *included)
{
	int			col = -1;

	while ((col = bms_next_member(e->included, col)) >= 0)
	{
		bool		there = bms_is_member(col, included);

		for (int i = 0; i < nkeys; i++)
			there |= keys[i].attno == col;
		if (!there)
			return false;
	}
	return true;
}

/* A full index is no substitute for a partial one: it does not know the filter. */
static bool
equal_predicates(const char *a, const char *b)
{
	return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

/* Does one index answer every question that another one can? */
bool
hone_health_covers(const HoneExisting *wide, const HoneExisting *narrow)
{
	if (wide == narrow || wide->relid != narrow->relid || !wide->valid ||
		!equal_predicates(wide->predicate, narrow->predicate))
		return false;
	if (serves_hash(narrow, wide->amoid, wide->keys))
		return true;
	return wide->amoid == narrow->amoid &&
		(wide->amoid == BTREE_AM_OID || strcmp(wide->options, narrow->options) == 0) &&
		hone_health_keys_cover(wide->amoid, wide->keys, wide->nkeys, narrow->keys, narrow->nkeys) &&
		includes(narrow, wide->keys, wide->nkeys, wide->included);
}

/* And does it refuse every row that the other one, of whose keys it has all, refuses? */
bool
hone_health_enforces(const HoneExisting *wide, const HoneExisting *narrow)
{
	if (narrow->exclusion)
		return false;
	return !narrow->unique ||
		(wide->unique && wide->nkeys == narrow->nkeys &&
		 (wide->immediate || !narrow->immediate) &&
		 (wide->nulls_equal || !narrow->nulls_equal));
}
