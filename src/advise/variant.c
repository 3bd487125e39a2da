/*
 * variant.c
 *	  Second round: a candidate that helped, with more columns to be read from
 *	  the index alone (cover.c), or with fewer rows (partial).
 *
 * A partial index takes its predicate from the restrictions of the statement
 * (predicate.c), one of them or two together. A column that the predicate fixes
 * leaves the key.
 */
#include "postgres.h"

#include "catalog/pg_am.h"

#include "advise/internal.h"


static void
remove_key(HoneCandidate *c, int at)
{
	memmove(&c->keys[at], &c->keys[at + 1], (c->nkeys - at - 1) * sizeof(HoneKey));
	c->nkeys--;
}

static void
propose_partial(HoneRun *run, HoneStatement *st, HoneRelUse *rel,
				HoneCandidate *base, HonePredicate *predicate)
{
	HoneCandidate c = *base;

	c.seeded = true;
	c.predicate = predicate;
	c.index = NULL;
	c.rejection = NULL;
	for (int i = c.nkeys - 1; i >= 0; i--)
		if (c.nkeys > 1 && c.keys[i].attno != 0 &&
			bms_is_member(c.keys[i].attno, predicate->fixed))
			remove_key(&c, i);
	hone_advise_note(run, st, hone_advise_propose(run, &c));
	hone_advise_cover(run, st, rel, &c);
}

void
hone_advise_variants(HoneRun *run, HoneStatement *st, HoneRelUse *rel,
					 HoneCandidate *base)
{
	ListCell   *lc;

	if (base->predicate || base->nincluded > 0 || base->seeded || base->relid != rel->relid ||
		base->amoid == BRIN_AM_OID) /* which is small enough */
		return;
	foreach(lc, hone_advise_partial_predicates(run, rel))
		propose_partial(run, st, rel, base, lfirst(lc));
	hone_advise_cover(run, st, rel, base);
}
