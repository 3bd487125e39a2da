/*
 * opclass.c
 *	  What the operator classes of an imagined index say: their parameters,
 *	  what they store, and what can be read back from it.
 *
 * Everything is looked up in the catalogs and asked of the operator classes'
 * own support functions, as the access methods would; nothing is known here
 * of single operator classes.
 */
#include "postgres.h"

#include "access/gist.h"
#include "access/htup_details.h"
#include "access/reloptions.h"
#include "access/spgist.h"
#include "catalog/pg_am.h"
#include "catalog/pg_opclass.h"
#include "catalog/pg_type.h"
#include "fmgr.h"
#include "utils/lsyscache.h"
#include "utils/ruleutils.h"
#include "utils/syscache.h"

#include "whatif/details.h"

/* Support function of key column i, or InvalidOid. */
Oid
hone_whatif_support_proc(const HoneIndex *index, int i, int number)
{
	const HoneIndexDetails *details = index->details;

	return get_opfamily_proc(details->opfamilies[i], details->opcintypes[i],
							 details->opcintypes[i], number);
}

/* What the operator class takes: the column's type where it takes many. */
static Oid
input_type(const HoneIndex *index, int i, Oid column_type)
{
	Oid			opcintype = index->details->opcintypes[i];

	return IsPolymorphicType(opcintype) ? column_type : opcintype;
}

/* Type of what key column i stores. */
Oid
hone_whatif_stored_type(const HoneIndex *index, int i, Oid column_type)
{
	Oid			opclass = index->details->opclasses[i];
	HeapTuple	tuple = SearchSysCache1(CLAOID, ObjectIdGetDatum(opclass));
	Oid			result;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for opclass %u", opclass);
	result = ((Form_pg_opclass) GETSTRUCT(tuple))->opckeytype;
	ReleaseSysCache(tuple);

	if (!OidIsValid(result))
		return input_type(index, i, column_type);
	if (result == ANYELEMENTOID)
		return get_base_element_type(column_type);
	return result;
}

/*
 * Parameters of an operator class, column (col opclass (name = value)). The
 * operator class says which there are; their defaults count when none is given.
 */
void
hone_whatif_take_opclass_options(HoneIndex *index, int i, List *options)
{
	HoneIndexDetails *details = index->details;
	int			number = details->am->amoptsprocnum;
	Oid			proc = number != 0 ? hone_whatif_support_proc(index, i, number) : InvalidOid;
	local_relopts known;

	if (options != NIL)
		details->opclass_options[i] =
			transformRelOptions((Datum) 0, options, NULL, NULL, false, false);
	if (!OidIsValid(proc))
	{
		if (options == NIL)
			return;
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("operator class %s has no options",
						generate_opclass_name(details->opclasses[i]))));
	}
	init_local_reloptions(&known, 0);
	(void) OidFunctionCall1(proc, PointerGetDatum(&known));
	details->parsed_options[i] =
		build_local_reloptions(&known, details->opclass_options[i], true);
}

bool
hone_whatif_spgist_config(const HoneIndex *index, Oid column_type, spgConfigOut *config)
{
	spgConfigIn in;
	Oid			proc = hone_whatif_support_proc(index, 0, SPGIST_CONFIG_PROC);

	memset(config, 0, sizeof(*config));
	if (!OidIsValid(proc))
		return false;
	in.attType = input_type(index, 0, column_type);
	(void) OidFunctionCall2Coll(proc, index->details->collations[0],
								PointerGetDatum(&in), PointerGetDatum(config));
	return true;
}

static bool
spgist_returns(const HoneIndex *index, Oid column_type)
{
	spgConfigOut config;

	return hone_whatif_spgist_config(index, column_type, &config) && config.canReturnData;
}

/* What index_can_return() would say of the real index; types are the columns'. */
void
hone_whatif_find_returnable(HoneIndex *index, const Oid *types)
{
	HoneIndexDetails *details = index->details;

	if (details->am->amcanreturn == NULL)
		return;
	for (int i = 0; i < index->ncolumns; i++)
	{
		bool		result = true;	/* included columns are stored as they are */

		if (i < index->nkeycolumns && index->amoid == GIST_AM_OID)
			result = OidIsValid(hone_whatif_support_proc(index, i, GIST_FETCH_PROC)) ||
				!OidIsValid(hone_whatif_support_proc(index, i, GIST_COMPRESS_PROC));
		else if (i < index->nkeycolumns && index->amoid == SPGIST_AM_OID)
			result = spgist_returns(index, types[i]);
		details->returnable[i] = result;
	}
}
