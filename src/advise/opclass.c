/*
 * opclass.c
 *	  What the catalogue knows of operator classes.
 *
 * Nothing in this room knows an operator or a type by name: which access
 * methods can search by an operator, or return rows in its order, is what
 * pg_amop says, so extensions (pg_trgm, btree_gist, ltree, intarray, ...) count
 * when they are installed. Reads system caches only; results are in the
 * current memory context.
 */
#include "postgres.h"

#include "access/brin_internal.h"
#include "access/htup_details.h"
#include "catalog/pg_am.h"
#include "catalog/pg_amop.h"
#include "catalog/pg_opclass.h"
#include "commands/defrem.h"
#include "parser/parse_coerce.h"
#include "utils/catcache.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

#include "advise/internal.h"

Oid
hone_advise_opclass_method(Oid opclass)
{
	HeapTuple	tuple = SearchSysCache1(CLAOID, ObjectIdGetDatum(opclass));
	Oid			method;

	if (!HeapTupleIsValid(tuple))
		return InvalidOid;
	method = ((Form_pg_opclass) GETSTRUCT(tuple))->opcmethod;
	ReleaseSysCache(tuple);
	return method;
}

/* OIDs of an access method's operator classes for a type, the default one first. */
List *
hone_advise_opclasses(Oid amoid, Oid type)
{
	List	   *result = NIL;
	Oid			standard = GetDefaultOpClass(type, amoid);
	CatCList   *list = SearchSysCacheList1(CLAAMNAMENSP, ObjectIdGetDatum(amoid));

	for (int i = 0; i < list->n_members; i++)
	{
		Form_pg_opclass opclass = (Form_pg_opclass) GETSTRUCT(&list->members[i]->tuple);

		if (!IsBinaryCoercible(type, opclass->opcintype))
			continue;
		if (opclass->oid == standard)
			result = lcons_oid(opclass->oid, result);
		else
			result = lappend_oid(result, opclass->oid);
	}
	ReleaseSysCacheList(list);
	return result;
}

/* Families of an access method that know the operator; and whether a btree does. */
static List *
families_with(Oid opno, char purpose, Oid amoid, bool *btree)
{
	List	   *families = NIL;
	CatCList   *list = SearchSysCacheList1(AMOPOPID, ObjectIdGetDatum(opno));

	for (int i = 0; i < list->n_members; i++)
	{
		Form_pg_amop amop = (Form_pg_amop) GETSTRUCT(&list->members[i]->tuple);

		*btree |= amop->amopmethod == BTREE_AM_OID;
		if (amop->amopmethod == amoid && amop->amoppurpose == purpose)
			families = list_append_unique_oid(families, amop->amopfamily);
	}
	ReleaseSysCacheList(list);
	return families;
}

/*
 * Operator classes, of other access methods than btree, that can search by the
 * operator (purpose AMOP_SEARCH) or return rows in its order (AMOP_ORDER).
 * None when a btree can: then that is better. Where GIN has it, only GIN's, all
 * of them, because price and size decide (jsonb_path_ops is smaller, jsonb_ops
 * answers more operators); otherwise the first of each other method.
 */
List *
hone_advise_opclasses_with(Oid opno, Oid type, char purpose)
{
	static const Oid methods[] = {GIN_AM_OID, GIST_AM_OID, SPGIST_AM_OID, HASH_AM_OID};
	List	   *result = NIL;
	bool		btree = false;

	for (int i = 0; i < (int) lengthof(methods); i++)
	{
		List	   *families = families_with(opno, purpose, methods[i], &btree);
		ListCell   *lc;

		if (btree)
			return NIL;
		if (families == NIL)
			continue;
		foreach(lc, hone_advise_opclasses(methods[i], type))
		{
			if (!list_member_oid(families, get_opclass_family(lfirst_oid(lc))))
				continue;
			result = lappend_oid(result, lfirst_oid(lc));
			if (methods[i] != GIN_AM_OID)
				break;
		}
		if (methods[i] == GIN_AM_OID && result != NIL)
			break;
	}
	return result;
}

/*
 * An operator class of another access method, one that some extension brought,
 * that returns rows in the operator's order: approximately perhaps, and with
 * settings only a person can choose. InvalidOid: none.
 */
Oid
hone_advise_foreign_order(Oid opno, Oid type)
{
	Oid			result = InvalidOid;
	CatCList   *list = SearchSysCacheList1(AMOPOPID, ObjectIdGetDatum(opno));

	for (int i = 0; i < list->n_members && !OidIsValid(result); i++)
	{
		Form_pg_amop amop = (Form_pg_amop) GETSTRUCT(&list->members[i]->tuple);
		ListCell   *lc;

		if (amop->amoppurpose != AMOP_ORDER)
			continue;
		foreach(lc, hone_advise_opclasses(amop->amopmethod, type))
			if (get_opclass_family(lfirst_oid(lc)) == amop->amopfamily)
				result = lfirst_oid(lc);
	}
	ReleaseSysCacheList(list);
	return result;
}

/* BRIN's class that keeps several intervals per range, for the type; or none. */
Oid
hone_advise_multi_minmax(Oid type)
{
	ListCell   *lc;

	foreach(lc, hone_advise_opclasses(BRIN_AM_OID, type))
	{
		Oid			opclass = lfirst_oid(lc);
		Oid			intype = get_opclass_input_type(opclass);

		if (get_opfamily_proc(get_opclass_family(opclass), intype, intype,
							  BRIN_PROCNUM_OPCINFO) == F_BRIN_MINMAX_MULTI_OPCINFO)
			return opclass;
	}
	return InvalidOid;
}
