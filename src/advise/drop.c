/*
 * drop.c
 *	  Existing indexes that could go: because another one does their work, or
 *	  because nothing uses them.
 *
 * Only an index that is nothing but an index (existing.c: no constraint, not
 * unique, not clustered on, not replica identity, of no extension, of no
 * partition tree). It is superfluous when another index of the same access
 * method with the same predicate has its keys first and its included columns
 * too; of two that are equal the one that takes more space goes, or the newer one.
 * For the captured workload also one that nothing used for long and that
 * the writes pay for (evidence.c); given statements are not all there are, so
 * they prove no disuse.
 *
 * That is necessary, not sufficient: it is hidden, and every statement of the
 * run that touches the table is planned again under the chosen set. What a
 * foreign key is checked by stays while the parent's rows go, whoever uses it.
 */
#include "postgres.h"

#include "catalog/pg_am.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

#include "advise/internal.h"

#define MAX_LOSS 1.1			/* of one statement */

static HoneCandidate *
covering_candidate(HoneRun *run, HoneExisting *e)
{
	int			i = -1;

	while ((i = bms_next_member(run->chosen, i)) >= 0)
		if (hone_advise_candidate_covers(run->candidates[i], e))
			return run->candidates[i];
	return NULL;
}

static bool
is_dropped(HoneRun *run, const HoneExisting *e)
{
	ListCell   *lc;

	foreach(lc, run->drops)
		if (((HoneDrop *) lfirst(lc))->existing == e)
			return true;
	return false;
}

/* Of two that do the same work, is the first the one to keep? */
static bool
is_kept(const HoneExisting *e, const HoneExisting *other)
{
	if (!hone_health_covers(other, e) || !other->droppable)
		return true;			/* they are not the same, or the other one stays anyway */
	return e->pages < other->pages || (e->pages == other->pages && e->oid < other->oid);
}

static HoneExisting *
covering_existing(HoneRun *run, HoneExisting *e)
{
	ListCell   *lc;

	foreach(lc, run->existing)
	{
		HoneExisting *other = lfirst(lc);

		if (!is_dropped(run, other) && hone_health_covers(other, e) &&
			(!hone_health_covers(e, other) || is_kept(other, e)))
			return other;
	}
	return NULL;
}

static List *
dropped_oids(HoneRun *run)
{
	List	   *oids = NIL;
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
	List	   *hide = lappend_oid(dropped_oids(run), e->oid);

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

/* Was this drop turned down before? */
static bool
is_refused(HoneRun *run, HoneExisting *e)
{
	HoneDrop	drop = {0};
	char	   *definition;
	ListCell   *lc;

	drop.existing = e;
	definition = hone_advise_drop_definition(&drop);
	foreach(lc, run->refused)
		if (strcmp(lfirst(lc), definition) == 0)
			return true;
	return false;
}

static void
try_drop(HoneRun *run, HoneExisting *e)
{
	HoneCandidate *new_cover = covering_candidate(run, e);
	HoneExisting *old_cover = new_cover ? NULL : covering_existing(run, e);
	double		saving = hone_advise_existing_write_cost(run, e);
	const HoneBan *ban;
	HoneDrop   *drop;

	if (new_cover == NULL && old_cover == NULL &&
		(saving <= 0 || !hone_advise_is_unused(run, e) ||
		 hone_advise_needed_by_fkey(run, e, dropped_oids(run))))
		return;
	if (get_rel_name(e->oid) == NULL || is_refused(run, e) ||
		!hone_advise_may_drop(run, e, &ban))
		return;
	drop = prove(run, e);
	if (drop == NULL)
		return;
	drop->ban = ban;
	drop->new_cover = new_cover;
	drop->old_cover = old_cover;
	drop->write_saving = saving;
	if (new_cover == NULL && old_cover == NULL)
	{
		if (drop->statements > 0)
			return;				/* it is used, if not much */
		drop->evidence = hone_advise_evidence(run, e);
	}
	run->drops = lappend(run->drops, drop);
}

void
hone_advise_find_drops(HoneRun *run)
{
	MemoryContext old = MemoryContextSwitchTo(run->memory);
	ListCell   *lc;

	foreach(lc, run->existing)
	{
		HoneExisting *e = lfirst(lc);

		CHECK_FOR_INTERRUPTS();
		if (e->droppable)
			try_drop(run, e);
	}
	MemoryContextSwitchTo(old);
}

/* The index that does the dropped one's work; NULL: there is none to do. */
const char *
hone_advise_cover_name(const HoneDrop *drop, const char **names)
{
	if (drop->new_cover)
		return names[drop->new_cover->id];
	return drop->old_cover ? drop->old_cover->name : NULL;
}
