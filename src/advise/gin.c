/*
 * gin.c
 *	  Candidates of other access methods than btree: for operators that look
 *	  inside a value (jsonb, arrays, tsvector, trigrams: GIN), for ranges, shapes
 *	  and networks and what is nearest (GiST, SP-GiST), and for equality of
 *	  values that a btree cannot hold (hash).
 *
 * Which operator class knows which operator the catalogue says (opclass.c).
 * When the method has classes for scalars too (btree_gin, btree_gist), the
 * equalities of the statement come first in the key. An access method of some
 * extension that is approximate, or that cannot be imagined, is named as
 * rejected.
 */
#include "postgres.h"

#include "catalog/pg_am.h"
#include "commands/defrem.h"
#include "nodes/nodeFuncs.h"
#include "utils/lsyscache.h"

#include "advise/internal.h"

#define MAX_SCALARS 2			/* before the key */
#define LONG_VALUE 400			/* bytes on average: too long for a btree */

static void
make_inside_candidate(HoneCandidate *c, HoneRelUse *rel, HoneUse *use)
{
	memset(c, 0, sizeof(*c));
	c->relid = rel->relid;
	c->amoid = use->amoid;
	c->nkeys = 1;
	c->keys[0] = use->key;
	c->keys[0].collation = InvalidOid;
	c->rejection = use->unusable;
}

static bool
is_multicolumn(Oid amoid)
{
	return amoid == GIN_AM_OID || amoid == GIST_AM_OID;
}

/* The equalities that the access method has a class for, then the key. */
static void
propose_with_scalars(HoneRun *run, HoneStatement *st, HoneRelUse *rel, HoneUse *use)
{
	HoneCandidate c;
	ListCell   *lc;
	int			n = 0;

	make_inside_candidate(&c, rel, use);
	foreach(lc, rel->uses)
	{
		HoneUse    *scalar = lfirst(lc);
		Oid			opclass;

		if (scalar->kind != HONE_USE_EQUAL || scalar->unusable || n == MAX_SCALARS ||
			OidIsValid(scalar->key.collation))
			continue;
		opclass = GetDefaultOpClass(exprType(scalar->expr), use->amoid);
		if (!OidIsValid(opclass))
			continue;
		memmove(&c.keys[n + 1], &c.keys[n], sizeof(HoneKey));
		c.keys[n] = scalar->key;
		c.keys[n].opclass = InvalidOid;
		c.keys[n].opfamily = get_opclass_family(opclass);
		c.nkeys++;
		n++;
	}
	if (n > 0)
		hone_advise_note(run, st, hone_advise_propose(run, &c));
}

/* Two that one statement asks together, in one index. */
static void
propose_together(HoneRun *run, HoneStatement *st, HoneRelUse *rel, HoneUse *use)
{
	ListCell   *lc;

	foreach(lc, rel->uses)
	{
		HoneUse    *other = lfirst(lc);
		HoneCandidate c;

		if (other == use)
			return;				/* each pair once */
		if (other->kind != HONE_USE_CONTAINS || other->amoid != use->amoid ||
			other->unusable || strcmp(other->key.sql, use->key.sql) == 0)
			continue;
		make_inside_candidate(&c, rel, other);
		c.keys[c.nkeys] = use->key;
		c.keys[c.nkeys++].collation = InvalidOid;
		hone_advise_note(run, st, hone_advise_propose(run, &c));
	}
}

/* = on values too long for a btree. */
static void
propose_hash(HoneRun *run, HoneStatement *st, HoneRelUse *rel, HoneUse *use)
{
	HoneCandidate c = {0};
	Oid			opclass = GetDefaultOpClass(exprType(use->expr), HASH_AM_OID);

	if (use->key.attno <= 0 || !OidIsValid(opclass) ||
		get_attavgwidth(rel->relid, use->key.attno) <= LONG_VALUE)
		return;
	c.relid = rel->relid;
	c.amoid = HASH_AM_OID;
	c.nkeys = 1;
	c.keys[0] = use->key;
	c.keys[0].opclass = InvalidOid;
	c.keys[0].opfamily = get_opclass_family(opclass);
	hone_advise_note(run, st, hone_advise_propose(run, &c));
}

void
hone_advise_gin(HoneRun *run, HoneStatement *st, HoneRelUse *rel)
{
	ListCell   *lc;

	foreach(lc, rel->uses)
	{
		HoneUse    *use = lfirst(lc);
		HoneCandidate c;

		if (use->kind == HONE_USE_EQUAL || use->kind == HONE_USE_JOIN)
			propose_hash(run, st, rel, use);
		if (use->kind != HONE_USE_CONTAINS)
			continue;
		make_inside_candidate(&c, rel, use);
		hone_advise_note(run, st, hone_advise_propose(run, &c));
		if (use->unusable || !is_multicolumn(use->amoid))
			continue;
		propose_with_scalars(run, st, rel, use);
		propose_together(run, st, rel, use);
	}
}
