/*
 * variant.c
 *	  Second round: a candidate that helped, with more columns to be read from
 *	  the index alone (INCLUDE), or with fewer rows (partial).
 *
 * A partial index takes its predicate from a restriction of the statement. Its
 * constants must stand in the text, or be the same in nearly all samples of
 * the query (MIN_SAME), of which there must be some (MIN_SAMPLES); that is
 * decided here once for all samples of a query.
 */
#include "postgres.h"

#include "access/sysattr.h"
#include "catalog/pg_am.h"
#include "utils/lsyscache.h"

#include "advise/internal.h"

#define MIN_SAME 0.95
#define MIN_SAMPLES 4
#define MAX_INCLUDED_BYTES 64	/* of all together */
#define MAX_VARYING_BYTES 32	/* of one of a type without fixed length */

/*
 * Columns the relation needs and the keys have not; false when too many, or
 * when the index would become a second copy of the table.
 */
static bool
columns_to_include(HoneRelUse *rel, HoneCandidate *c)
{
	int			bytes = 0;
	int			col = -1;
	int			all = 0;

	c->nincluded = 0;
	while ((col = bms_next_member(rel->read, col)) >= 0)
	{
		AttrNumber	attno = col + FirstLowInvalidHeapAttributeNumber;
		bool		key = false;
		int			width;

		if (attno <= 0)
			return false;		/* the whole row, or a system column */
		for (int i = 0; i < c->nkeys; i++)
			key |= c->keys[i].attno == attno;
		/* what the predicate says needs no looking up */
		key |= c->predicate && bms_is_member(attno, c->predicate->columns);
		if (key)
			continue;
		if (c->nincluded == HONE_MAX_INCLUDED)
			return false;
		width = get_attavgwidth(rel->relid, attno);
		/* a value too long for a btree would make an INSERT fail */
		if (get_typlen(get_atttype(rel->relid, attno)) < 0 &&
			(width <= 0 || width > MAX_VARYING_BYTES))
			return false;
		if (width <= 0)
			width = get_typavgwidth(get_atttype(rel->relid, attno), -1);
		bytes += width;
		c->included[c->nincluded++] = attno;
	}
	for (AttrNumber attno = 1; get_attname(rel->relid, attno, true) != NULL; attno++)
		all += OidIsValid(get_atttype(rel->relid, attno));	/* not dropped */
	if (all > 2 && c->nincluded + c->nkeys >= all)
		return false;
	return c->nincluded > 0 && bytes <= MAX_INCLUDED_BYTES;
}

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
			bms_is_member(c.keys[i].attno, predicate->columns) &&
			bms_num_members(predicate->columns) == 1)
			remove_key(&c, i);
	hone_advise_note(run, st, hone_advise_propose(run, &c));
	if (c.amoid == BTREE_AM_OID && columns_to_include(rel, &c))
		hone_advise_note(run, st, hone_advise_propose(run, &c));
}

void
hone_advise_variants(HoneRun *run, HoneStatement *st, HoneRelUse *rel,
					 HoneCandidate *base)
{
	ListCell   *lc;

	if (base->predicate || base->nincluded > 0 || base->relid != rel->relid)
		return;
	foreach(lc, rel->predicates)
	{
		HonePredicate *predicate = lfirst(lc);

		if (predicate->usable)
			propose_partial(run, st, rel, base, predicate);
	}
	if (base->amoid == BTREE_AM_OID)
	{
		HoneCandidate c = *base;

		c.seeded = true;
		c.index = NULL;
		c.rejection = NULL;
		if (columns_to_include(rel, &c))
			hone_advise_note(run, st, hone_advise_propose(run, &c));
	}
}

static HonePredicate *
same_predicate(HoneStatement *st, Oid relid, const char *sql)
{
	ListCell   *lr;
	ListCell   *lp;

	foreach(lr, st->rels)
	{
		HoneRelUse *rel = lfirst(lr);

		if (rel->relid != relid)
			continue;
		foreach(lp, rel->predicates)
			if (strcmp(((HonePredicate *) lfirst(lp))->sql, sql) == 0)
				return lfirst(lp);
	}
	return NULL;
}

/* Decide for each predicate whether an index may be built on it. */
void
hone_advise_count_predicates(HoneRun *run)
{
	for (int i = 0; i < run->nstatements; i++)
	{
		HoneStatement *st = run->statements[i];
		ListCell   *lr;
		ListCell   *lp;

		foreach(lr, st->rels)
			foreach(lp, ((HoneRelUse *) lfirst(lr))->predicates)
		{
			HonePredicate *predicate = lfirst(lp);
			double		same = 0;
			double		all = 0;

			for (int k = 0; k < run->nstatements; k++)
			{
				HoneStatement *other = run->statements[k];

				if (other->group != st->group || other->failure)
					continue;
				all += 1;
				if (same_predicate(other, ((HoneRelUse *) lfirst(lr))->relid, predicate->sql))
					same += 1;
			}
			predicate->usable = same >= MIN_SAME * all &&
				(predicate->literal || all >= MIN_SAMPLES);
		}
	}
}
