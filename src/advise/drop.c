/*
 * drop.c
 *	  Existing indexes that a wider one makes superfluous.
 *
 * Only a plain index (no constraint, not unique, not clustered on, not replica
 * identity, of no extension, of no partition tree) whose keys are the first
 * keys of another btree on the same table with the same predicate. That is
 * necessary, not sufficient: it is hidden, and every statement of the run that
 * touches the table is planned again under the chosen set.
 */
#include "postgres.h"

#include "catalog/pg_am.h"
#include "miscadmin.h"

#include "advise/internal.h"

#define MAX_LOSS 1.1			/* of one statement */

static bool
covers_included(const HoneExisting *e, const HoneKey *keys, int nkeys,
				Bitmapset *included)
{
	int			col = -1;

	while ((col = bms_next_member(e->included, col)) >= 0)
	{
		bool		there = bms_is_member(col, included);

		for (int i = 0; i < nkeys; i++)
			there |= keys[i].attno == col;
		if (!there)
			return false;
	}
	return true;
}

static HoneCandidate *
covering_candidate(HoneRun *run, HoneExisting *e)
{
	int			i = -1;

	while ((i = bms_next_member(run->chosen, i)) >= 0)
	{
		HoneCandidate *c = run->candidates[i];
		Bitmapset  *included = NULL;

		for (int k = 0; k < c->nincluded; k++)
			included = bms_add_member(included, c->included[k]);
		if (c->relid == e->relid && c->amoid == BTREE_AM_OID &&
			(c->predicate == NULL ||
			 (e->predicate && strcmp(c->predicate->sql, e->predicate) == 0)) &&
			hone_advise_is_prefix(e->keys, e->nkeys, c->keys, c->nkeys) &&
			covers_included(e, c->keys, c->nkeys, included))
			return c;
	}
	return NULL;
}

static HoneExisting *
covering_existing(HoneRun *run, HoneExisting *e)
{
	ListCell   *lc;

	foreach(lc, run->existing)
	{
		HoneExisting *other = lfirst(lc);
		bool		dropped = false;
		ListCell   *ld;

		if (other == e || other->relid != e->relid || !other->valid ||
			other->amoid != BTREE_AM_OID)
			continue;
		foreach(ld, run->drops)
			dropped |= ((HoneDrop *) lfirst(ld))->existing == other;
		if (dropped)
			continue;
		if (other->predicate &&
			(e->predicate == NULL || strcmp(other->predicate, e->predicate) != 0))
			continue;
		if (!hone_advise_is_prefix(e->keys, e->nkeys, other->keys, other->nkeys) ||
			!covers_included(e, other->keys, other->nkeys, other->included))
			continue;
		return other;
	}
	return NULL;
}

static List *
hidden(HoneRun *run, HoneExisting *e)
{
	List	   *oids = list_make1_oid(e->oid);
	ListCell   *lc;

	foreach(lc, run->drops)
		oids = lappend_oid(oids, ((HoneDrop *) lfirst(lc))->existing->oid);
	return oids;
}

/* Replan everything that touches the table without the index. */
static HoneDrop *
prove(HoneRun *run, HoneExisting *e)
{
	HoneDrop   *drop = palloc0(sizeof(HoneDrop));
	List	   *hide = hidden(run, e);

	drop->existing = e;
	for (int i = 0; i < run->nstatements; i++)
	{
		HoneStatement *st = run->statements[i];
		Bitmapset  *mine = NULL;
		HonePrice  *price;
		double		before;
		int			c = -1;

		if (!list_member_oid(st->relids, e->relid))
			continue;
		if (st->failure)
			return NULL;		/* it may need the index, and cannot be asked */
		while ((c = bms_next_member(run->chosen, c)) >= 0)
			if (list_member_oid(st->relids, run->candidates[c]->relid))
				mine = bms_add_member(mine, c);
		before = st->final ? st->final->planner_cost : st->base_cost;
		price = hone_advise_final_price(run, st, mine, hide, NULL);
		if (price == NULL || price->planner_cost > MAX_LOSS * before ||
			price->planner_cost > MAX_LOSS * st->base_cost)
			return NULL;
		if (list_member_oid(st->real, e->oid))
		{
			drop->statements++;
			drop->cost_before += st->weight * st->base_cost;
			drop->cost_after += st->weight * price->planner_cost;
		}
	}
	return drop;
}

void
hone_advise_find_drops(HoneRun *run)
{
	MemoryContext old = MemoryContextSwitchTo(run->memory);
	ListCell   *lc;

	foreach(lc, run->existing)
	{
		HoneExisting *e = lfirst(lc);
		HoneCandidate *new_cover;
		HoneExisting *old_cover = NULL;
		HoneDrop   *drop;

		CHECK_FOR_INTERRUPTS();
		if (!e->droppable || e->amoid != BTREE_AM_OID)
			continue;
		new_cover = covering_candidate(run, e);
		if (new_cover == NULL)
			old_cover = covering_existing(run, e);
		if (new_cover == NULL && old_cover == NULL)
			continue;
		drop = prove(run, e);
		if (drop == NULL)
			continue;
		drop->new_cover = new_cover;
		drop->old_cover = old_cover;
		drop->write_saving = hone_advise_existing_write_cost(run, e);
		run->drops = lappend(run->drops, drop);
	}
	MemoryContextSwitchTo(old);
}
