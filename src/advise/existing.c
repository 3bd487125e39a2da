/*
 * existing.c
 *	  The indexes that the tables of a run have, and what of them and the
 *	  candidates makes what superfluous (health knows what an index is).
 *
 * Reads the relation cache under AccessShareLock, kept to the end of the
 * surrounding subtransaction. Names are made under search_path pg_catalog,
 * pg_temp, as those of candidates are, so that equal things have equal text.
 */
#include "postgres.h"

#include "access/relation.h"
#include "utils/rel.h"
#include "utils/relcache.h"

#include "advise/internal.h"

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
		run->existing = lappend(run->existing, hone_health_describe(table, index, true));
		relation_close(index, NoLock);
	}
	MemoryContextSwitchTo(old);
	relation_close(table, NoLock);
}

/* Would the candidate, once built, do all that the existing index does? */
bool
hone_advise_candidate_covers(const HoneCandidate *c, const HoneExisting *e)
{
	HoneKey		keys[HONE_MAX_KEYS];
	HoneExisting built = {0};

	memcpy(keys, c->keys, sizeof(keys));
	built.relid = c->relid;
	built.amoid = c->amoid;
	built.nkeys = c->nkeys;
	built.keys = keys;
	for (int i = 0; i < c->nincluded; i++)
		built.included = bms_add_member(built.included, c->included[i]);
	built.predicate = c->predicate ? c->predicate->sql : NULL;
	built.options = "";
	built.valid = true;
	return hone_health_covers(&built, e);
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
			!same_predicate(c, e) ||
			!hone_health_keys_cover(c->amoid, e->keys, e->nkeys, c->keys, c->nkeys))
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
