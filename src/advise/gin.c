/*
 * gin.c
 *	  Candidates for operators that look inside a value: jsonb, arrays,
 *	  tsvector, trigrams.
 *
 * Nothing is known here of particular types: the catalogue is asked which GIN
 * operator classes have the operator, so those of extensions (pg_trgm,
 * hstore, intarray) count when they are installed. When several have it, all
 * are proposed, and price and size decide (jsonb_path_ops is smaller,
 * jsonb_ops answers more operators).
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_am.h"
#include "catalog/pg_amop.h"
#include "catalog/pg_opclass.h"
#include "parser/parse_coerce.h"
#include "utils/catcache.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

#include "advise/internal.h"

/* GIN families with the operator; none when a btree has it too: then that is better. */
static List *
gin_families(Oid opno)
{
	CatCList   *list = SearchSysCacheList1(AMOPOPID, ObjectIdGetDatum(opno));
	List	   *families = NIL;

	for (int i = 0; i < list->n_members; i++)
	{
		Form_pg_amop amop = (Form_pg_amop) GETSTRUCT(&list->members[i]->tuple);

		if (amop->amopmethod == BTREE_AM_OID)
		{
			families = NIL;
			break;
		}
		if (amop->amopmethod == GIN_AM_OID && amop->amoppurpose == AMOP_SEARCH)
			families = list_append_unique_oid(families, amop->amopfamily);
	}
	ReleaseSysCacheList(list);
	return families;
}

/* OIDs of the GIN operator classes for the type that have the operator. */
List *
hone_advise_gin_opclasses(Oid opno, Oid type)
{
	List	   *families = gin_families(opno);
	List	   *result = NIL;
	CatCList   *list;

	if (families == NIL)
		return NIL;
	list = SearchSysCacheList1(CLAAMNAMENSP, ObjectIdGetDatum(GIN_AM_OID));
	for (int i = 0; i < list->n_members; i++)
	{
		Form_pg_opclass opclass = (Form_pg_opclass) GETSTRUCT(&list->members[i]->tuple);

		if (list_member_oid(families, opclass->opcfamily) &&
			IsBinaryCoercible(type, opclass->opcintype))
			result = lappend_oid(result, opclass->oid);
	}
	ReleaseSysCacheList(list);
	return result;
}

void
hone_advise_gin(HoneRun *run, HoneStatement *st, HoneRelUse *rel)
{
	ListCell   *lc;

	foreach(lc, rel->uses)
	{
		HoneUse    *use = lfirst(lc);
		HoneCandidate c = {0};

		if (use->kind != HONE_USE_CONTAINS)
			continue;
		c.relid = rel->relid;
		c.amoid = GIN_AM_OID;
		c.nkeys = 1;
		c.keys[0] = use->key;
		c.keys[0].collation = InvalidOid;
		if (rel->pages > 0 && rel->pages < HONE_SMALL_PAGES)
			c.rejection = "the table is small: scanning it is cheap";
		hone_advise_note(run, st, hone_advise_propose(run, &c));
	}
}
