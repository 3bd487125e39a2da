/*
 * brin.c
 *	  BRIN candidates: columns whose values follow the order of the rows in the
 *	  table, such as the time of what is only ever appended.
 *
 * Its size and its price for writes are next to nothing, so it is offered
 * beside the btree wherever it could work; which of the two it is, the budget
 * and the writes decide. A less orderly column gets the class that keeps
 * several intervals per range, where the type has one. Nothing to gain on
 * tables of few ranges.
 */
#include "postgres.h"

#include <math.h>

#include "access/htup_details.h"
#include "catalog/pg_am.h"
#include "catalog/pg_statistic.h"
#include "commands/defrem.h"
#include "nodes/nodeFuncs.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

#include "advise/internal.h"

#define MIN_PAGES 1000
#define ORDERLY 0.95			/* correlation of values with positions */
#define LESS_ORDERLY 0.7
#define MAX_SELECTIVITY 0.3

static double
correlation_of(Oid relid, AttrNumber attno)
{
	HeapTuple	tuple = SearchSysCache3(STATRELATTINH, ObjectIdGetDatum(relid),
										Int16GetDatum(attno), BoolGetDatum(false));
	AttStatsSlot slot;
	double		correlation = 0;

	if (!HeapTupleIsValid(tuple))
		return 0;
	if (get_attstatsslot(&slot, tuple, STATISTIC_KIND_CORRELATION, InvalidOid,
						 ATTSTATSSLOT_NUMBERS))
	{
		if (slot.nnumbers == 1)
			correlation = fabs(slot.numbers[0]);
		free_attstatsslot(&slot);
	}
	ReleaseSysCache(tuple);
	return correlation;
}

static int
pages_per_range(BlockNumber pages)
{
	return pages < 65536 ? 32 : pages < 1048576 ? 64 : 128;
}

void
hone_advise_brin(HoneRun *run, HoneStatement *st, HoneRelUse *rel)
{
	ListCell   *lc;

	if (rel->pages < MIN_PAGES)
		return;
	foreach(lc, rel->uses)
	{
		HoneUse    *use = lfirst(lc);
		HoneCandidate c = {0};
		double		correlation;
		Oid			opclass;

		if ((use->kind != HONE_USE_RANGE && use->kind != HONE_USE_EQUAL &&
			 use->kind != HONE_USE_IN && use->kind != HONE_USE_ARM) ||
			use->key.attno == 0 || OidIsValid(use->key.opclass) ||
			OidIsValid(use->key.collation) || use->selectivity > MAX_SELECTIVITY)
			continue;
		correlation = correlation_of(rel->relid, use->key.attno);
		opclass = GetDefaultOpClass(exprType(use->expr), BRIN_AM_OID);
		if (correlation < LESS_ORDERLY || !OidIsValid(opclass))
			continue;
		c.relid = rel->relid;
		c.amoid = BRIN_AM_OID;
		c.nkeys = 1;
		c.keys[0] = use->key;
		if (correlation < ORDERLY)
		{
			opclass = hone_advise_multi_minmax(exprType(use->expr));
			if (!OidIsValid(opclass))
				continue;
			c.keys[0].opclass = opclass;
		}
		c.keys[0].opfamily = get_opclass_family(opclass);
		c.pages_per_range = pages_per_range(rel->pages);
		hone_advise_note(run, st, hone_advise_propose(run, &c));
	}
}
