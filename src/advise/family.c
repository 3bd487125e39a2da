/*
 * family.c
 *	  All families of candidates, for one relation of a statement.
 *
 * Runs as the statement's role under a safe search_path, inside its
 * subtransaction.
 */
#include "postgres.h"

#include "catalog/pg_am.h"

#include "optimizer/optimizer.h"
#include "utils/memutils.h"

#include "advise/internal.h"

/* Said once, for "why not?" */
static void
reject_small(HoneRun *run, HoneRelUse *rel)
{
	ListCell   *lc;

	foreach(lc, rel->uses)
	{
		HoneUse    *use = lfirst(lc);
		HoneCandidate c = {0};

		if (use->kind == HONE_USE_JOIN || use->kind == HONE_USE_ARM)
			continue;
		c.relid = rel->relid;
		c.amoid = OidIsValid(use->amoid) ? use->amoid : BTREE_AM_OID;
		c.nkeys = 1;
		c.keys[0] = use->key;
		c.rejection = "the table is small: scanning it is cheap";
		(void) hone_advise_propose(run, &c);
		return;
	}
}

#define MANY_SCANS 100			/* that a statement's cost could pay for */

/*
 * Scanning a small table is cheap; scanning it for each row of another, or
 * sorting what it was joined with, need not be.
 */
static bool
may_matter(const HoneStatement *st, const HoneRelUse *rel)
{
	return st->base_cost >
		MANY_SCANS * (rel->pages * seq_page_cost + rel->tuples * cpu_tuple_cost);
}

void
hone_advise_families(HoneRun *run, HoneStatement *st, HoneRelUse *rel)
{
	/* keys made here are part of candidates, which outlive the statement */
	MemoryContext old = MemoryContextSwitchTo(run->memory);

	if (rel->pages > 0 && rel->pages < HONE_SMALL_PAGES)
	{
		if (may_matter(st, rel))
			hone_advise_btree(run, st, rel);
		else
			reject_small(run, rel);
	}
	else
	{
		hone_advise_btree(run, st, rel);
		hone_advise_gin(run, st, rel);
		hone_advise_brin(run, st, rel);
	}
	MemoryContextSwitchTo(old);
}
