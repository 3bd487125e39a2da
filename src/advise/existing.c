/*
 * existing.c
 *	  The indexes a table has, in the words candidates are described in, and
 *	  what they make superfluous.
 *
 * Reads the relation cache under AccessShareLock, kept to the end of the
 * surrounding subtransaction. Names are made under search_path pg_catalog,
 * pg_temp, as those of candidates are, so that equal things have equal text.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/relation.h"
#include "access/sysattr.h"
#include "access/table.h"
#include "catalog/dependency.h"
#include "catalog/index.h"
#include "catalog/pg_am.h"
#include "catalog/pg_class.h"
#include "catalog/pg_constraint.h"
#include "catalog/pg_index.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "storage/bufmgr.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/relcache.h"

#include "advise/internal.h"
#include "base/compat.h"

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

static HoneExisting *
describe(Relation table, Relation index)
{
	HoneExisting *e = palloc0(sizeof(HoneExisting));
	Form_pg_index form = index->rd_index;
	List	   *expressions = RelationGetIndexExpressions(index);
	List	   *predicate = RelationGetIndexPredicate(index);
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
		e->keys[i].attno = attno;
		e->keys[i].opfamily = index->rd_opfamily[i];
		if (attno != 0)
		{
			Oid			own = get_typcollation(get_atttype(e->relid, attno));
			int32		typmod;
			Oid			type;

			get_atttypetypmodcoll(e->relid, attno, &type, &typmod, &own);
			e->keys[i].sql = pstrdup(quote_identifier(get_attname(e->relid, attno, false)));
			if (index->rd_indcollation[i] != own)
				e->keys[i].collation = index->rd_indcollation[i];
		}
		else
		{
			e->keys[i].sql = hone_advise_expression_sql(e->relid, expr, true);
			if (index->rd_indcollation[i] != exprCollation(expr))
				e->keys[i].collation = index->rd_indcollation[i];
		}
		if (e->amoid == BTREE_AM_OID)
		{
			e->keys[i].desc = (index->rd_indoption[i] & INDOPTION_DESC) != 0;
			e->keys[i].nulls_first = (index->rd_indoption[i] & INDOPTION_NULLS_FIRST) != 0;
		}
	}
	if (predicate)
	{
		e->predicate = hone_advise_expression_sql(e->relid,
												  (Node *) make_ands_explicit(predicate), false);
		add_columns(&e->columns, (Node *) predicate);
	}
	e->unique = form->indisunique;
	e->valid = form->indisvalid && form->indisready && form->indislive;
	e->pages = index->rd_rel->relkind == RELKIND_INDEX ? RelationGetNumberOfBlocks(index) : 0;
	e->size_bytes = (int64) e->pages * BLCKSZ;
	e->droppable = e->valid && !e->unique && !form->indisprimary &&
		!form->indisexclusion && !form->indisclustered && !form->indisreplident &&
		index->rd_rel->relkind == RELKIND_INDEX && !index->rd_rel->relispartition &&
		!OidIsValid(get_index_constraint(e->oid)) &&
		!OidIsValid(getExtensionOfObject(RelationRelationId, e->oid));
	return e;
}

/* Remember the indexes of a table, once. */
void
hone_advise_read_existing(HoneRun *run, Oid relid)
{
	MemoryContext old;
	Relation	table;
	ListCell   *lc;

	if (list_member_oid(run->existing_of, relid))
		return;
	table = try_relation_open(relid, AccessShareLock);
	if (table == NULL)
		return;
	old = MemoryContextSwitchTo(run->memory);
	run->existing_of = lappend_oid(run->existing_of, relid);
	foreach(lc, RelationGetIndexList(table))
	{
		Relation	index = try_relation_open(lfirst_oid(lc), AccessShareLock);

		if (index == NULL)
			continue;
		run->existing = lappend(run->existing, describe(table, index));
		relation_close(index, NoLock);
	}
	MemoryContextSwitchTo(old);
	relation_close(table, NoLock);
}

bool
hone_advise_key_equal(const HoneKey *a, const HoneKey *b, bool reversed)
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
hone_advise_is_prefix(const HoneKey *shorter, int nshorter,
					  const HoneKey *longer, int nlonger)
{
	if (nshorter > nlonger)
		return false;
	for (int reversed = 0; reversed <= 1; reversed++)
	{
		int			i;

		for (i = 0; i < nshorter; i++)
			if (!hone_advise_key_equal(&shorter[i], &longer[i], reversed))
				break;
		if (i == nshorter)
			return true;
	}
	return false;
}

static bool
same_predicate(const HoneCandidate *c, const HoneExisting *e)
{
	if (e->predicate == NULL)
		return true;
	return c->predicate && strcmp(c->predicate->sql, e->predicate) == 0;
}

/* The existing index that already does what the candidate would do. */
HoneExisting *
hone_advise_covered_by(HoneRun *run, const HoneCandidate *c)
{
	ListCell   *lc;

	foreach(lc, run->existing)
	{
		HoneExisting *e = lfirst(lc);
		bool		included = true;

		if (e->relid != c->relid || e->amoid != c->amoid || !e->valid ||
			!same_predicate(c, e))
			continue;
		if (c->amoid == BTREE_AM_OID ?
			!hone_advise_is_prefix(c->keys, c->nkeys, e->keys, e->nkeys) :
			!(e->nkeys == c->nkeys && hone_advise_key_equal(&c->keys[0], &e->keys[0], false)))
			continue;
		for (int i = 0; i < c->nincluded; i++)
		{
			bool		key = false;

			for (int k = 0; k < e->nkeys; k++)
				key |= e->keys[k].attno == c->included[i];
			included &= key || bms_is_member(c->included[i], e->included);
		}
		if (included)
			return e;
	}
	return NULL;
}
