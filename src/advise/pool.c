/*
 * pool.c
 *	  What is known of a statement's cost under any set of candidates.
 *
 * Each planner call leaves two things here: how each table of the statement
 * could be read with each candidate, and the plan, taken apart into leaves
 * (whatif/learn.h). The price of a set is the least that any known plan costs
 * with the cheapest readings that the set allows. Such a plan exists, so a price
 * is never below what the planner would find; it is above where no plan of the
 * right shape was seen yet. More calls, more plans; those that make decisions
 * are confirmed by the planner.
 *
 * Where parts of a statement were not taken apart (a subplan run once per row),
 * their cost is mixed into the readings of the call they were seen in: such a
 * plan keeps its own readings, and counts only with the indexes those parts use.
 *
 * An index on an expression brings statistics with it, which change how many rows
 * the planner expects wherever they are visible. So plans made with such a
 * candidate in sight keep their own readings, too, and a table that was read by
 * one is read by such ones only; other plans do not take them.
 *
 * Lives in the run's memory.
 */
#include "postgres.h"

#include <math.h>

#include "utils/float.h"
#include "utils/memutils.h"

#include "advise/internal.h"
#include "advise/pool.h"

#define MAX_PLANS 24			/* of one statement */

typedef struct Table
{
	uint64		key;
	Oid			relid;
	List	   *readings;		/* of HoneReading * */
} Table;						/* grows only */

/* The ids of the candidates that were imagined. */
static bool
item_ids(HoneRun *run, List *imagined, int *n, int *items)
{
	ListCell   *lc;

	*n = 0;
	foreach(lc, imagined)
	{
		int			id = hone_advise_id_of(run, lfirst(lc));

		if (id < 0 || *n >= HONE_READING_ITEMS)
			return false;
		items[(*n)++] = id;
	}
	return true;
}

static HoneRequirement
copy_requirement(const HoneRequirement *from)
{
	HoneRequirement to = *from;

	to.outer = bms_copy(from->outer);
	if (from->norder > 0)
	{
		to.order = palloc(from->norder * sizeof(uint32));
		memcpy(to.order, from->order, from->norder * sizeof(uint32));
	}
	return to;
}

static Table *
find_table(List **tables, uint64 key, Oid relid)
{
	Table	   *table;
	ListCell   *lc;

	foreach(lc, *tables)
	{
		table = lfirst(lc);
		if (table->key == key)
			return table;
	}
	table = palloc0(sizeof(Table));
	table->key = key;
	table->relid = relid;
	*tables = lappend(*tables, table);
	return table;
}

static bool
same_requirement(const HoneRequirement *a, const HoneRequirement *b)
{
	return hone_requirement_met(a, b) && a->norder == b->norder;
}

static void
add_reading(Table *table, const HoneReading *reading)
{
	HoneReading *kept;
	ListCell   *lc;

	foreach(lc, table->readings)
	{
		kept = lfirst(lc);
		if (kept->nitems == reading->nitems &&
			memcmp(kept->items, reading->items, reading->nitems * sizeof(int)) == 0 &&
			same_requirement(&kept->delivers, &reading->delivers))
		{
			/* two ways with the same promise: plain, bitmap, another index */
			if (kept->startup == reading->startup && kept->total == reading->total)
				return;
		}
	}
	kept = palloc(sizeof(HoneReading));
	*kept = *reading;
	kept->delivers = copy_requirement(&reading->delivers);
	table->readings = lappend(table->readings, kept);
}

/*
 * A reading with the candidates all of it needs is known to the pool; without
 * any, it needs existing indexes only, which are there.
 */
static void
take_accesses(HoneRun *run, List **tables, const HoneLearned *learned)
{
	ListCell   *lc;

	foreach(lc, learned->accesses)
	{
		HoneAccess *access = lfirst(lc);
		HoneReading reading = {0};

		if (!item_ids(run, access->imagined, &reading.nitems, reading.items))
			continue;
		reading.delivers = access->delivers;
		reading.startup = access->startup;
		reading.total = access->total;
		for (int i = 0; i < reading.nitems; i++)
			reading.expression |= hone_advise_has_expression(run->candidates[reading.items[i]]);
		add_reading(find_table(tables, learned->rels[access->rel],
							   learned->relids[access->rel]), &reading);
	}
}

bool
hone_advise_has_expression(const HoneCandidate *c)
{
	for (int i = 0; i < c->nkeys; i++)
		if (c->keys[i].attno == 0)
			return true;
	return false;
}

static bool
uses_expression(HoneRun *run, const HoneAccess *access)
{
	ListCell   *lc;

	foreach(lc, access->imagined)
	{
		int			id = hone_advise_id_of(run, lfirst(lc));

		if (id >= 0 && hone_advise_has_expression(run->candidates[id]))
			return true;
	}
	return false;
}

static HonePlan *
make_plan(HoneRun *run, const HoneLearned *learned, List **tables)
{
	HonePlan   *plan = palloc0(sizeof(HonePlan));
	ListCell   *lc;

	plan->rest = learned->rest;
	plan->nleaves = list_length(learned->leaves);
	plan->leaves = palloc0(plan->nleaves * sizeof(HonePlanLeaf));
	foreach(lc, learned->leaves)
	{
		HonePlanPart   *leaf = lfirst(lc);
		HonePlanLeaf *to = &plan->leaves[foreach_current_index(lc)];

		to->key = learned->rels[leaf->rel];
		to->table = find_table(tables, learned->rels[leaf->rel], learned->relids[leaf->rel]);
		to->needs = copy_requirement(&leaf->needs);
		to->per_startup = leaf->per_startup;
		to->per_run = leaf->per_run;
		to->fraction = leaf->fraction;
		to->by_expression = uses_expression(run, leaf->access);
	}
	foreach(lc, learned->fixed_imagined)
	{
		int			id = hone_advise_id_of(run, lfirst(lc));

		if (id >= 0)
			plan->fixed = bms_add_member(plan->fixed, id);
	}
	return plan;
}

/* A plan of which nothing is known but what it costs and what it uses. */
static HonePlan *
make_whole_plan(double cost, Bitmapset *used)
{
	HonePlan   *plan = palloc0(sizeof(HonePlan));

	plan->rest = cost;
	plan->fixed = bms_copy(used);
	return plan;
}

static bool
same_plan(const HonePlan *a, const HonePlan *b)
{
	if (a->nleaves != b->nleaves || a->own != b->own ||
		fabs(a->rest - b->rest) > 1e-6 * fabs(a->rest) ||
		!bms_equal(a->fixed, b->fixed))
		return false;
	for (int i = 0; i < a->nleaves; i++)
	{
		if (a->leaves[i].key != b->leaves[i].key ||
			a->leaves[i].per_startup != b->leaves[i].per_startup ||
			a->leaves[i].per_run != b->leaves[i].per_run ||
			!same_requirement(&a->leaves[i].needs, &b->leaves[i].needs))
			return false;
	}
	return true;
}

/* The same plan was seen with other candidates in sight: it takes their readings too. */
static void
merge_readings(HonePlan *plan, const HonePlan *other)
{
	ListCell   *lc;

	for (int i = 0; i < plan->nleaves && plan->own; i++)
		foreach(lc, ((Table *) other->leaves[i].table)->readings)
			add_reading(plan->leaves[i].table, lfirst(lc));
}

/* Keep what a planner call taught; learned may be NULL. In the run's memory. */
void
hone_advise_pool_add(HoneRun *run, HoneStatement *st, const HoneLearned *learned,
					 double cost, Bitmapset *visible, Bitmapset *used)
{
	MemoryContext old = MemoryContextSwitchTo(run->memory);
	HonePlan   *plan;
	List	   *own = NIL;
	bool		expression = false;
	int			i = -1;
	ListCell   *lc;

	while ((i = bms_next_member(visible, i)) >= 0)
		expression |= hone_advise_has_expression(run->candidates[i]);
	st->pool_changed = true;
	if (learned == NULL)
		plan = make_whole_plan(cost, used);
	else
	{
		bool		shared = learned->whole && !expression;

		take_accesses(run, &st->tables, learned);
		if (!shared)
			take_accesses(run, &own, learned);
		plan = make_plan(run, learned, shared ? &st->tables : &own);
		plan->own = !shared;
		st->opaque |= !learned->whole;
		st->saw_expression |= expression;
	}
	foreach(lc, st->plans)
		if (same_plan(lfirst(lc), plan))
			break;
	st->taught = lc == NULL;
	if (lc != NULL)
		merge_readings(lfirst(lc), plan);
	else if (list_length(st->plans) < MAX_PLANS)
		st->plans = lappend(st->plans, plan);
	MemoryContextSwitchTo(old);
}

static int
by_value(const void *a, const void *b)
{
	const HoneOption *x = a;
	const HoneOption *y = b;

	if (x->value != y->value)
		return x->value < y->value ? -1 : 1;
	return x->reading->nitems - y->reading->nitems;
}

static bool
items_equal(const HoneReading *a, const HoneReading *b)
{
	return a->nitems == b->nitems &&
		memcmp(a->items, b->items, a->nitems * sizeof(int)) == 0;
}

/*
 * Of the readings that workers share, the planner keeps the cheapest of an order,
 * whatever the number of workers, and does not look at what that would be worth
 * further up (add_partial_path). So one that costs more than what is always there
 * with other workers cannot be had.
 */
static bool
is_never_kept(const Table *table, const HoneReading *reading)
{
	ListCell   *lc;

	if (reading->delivers.workers == 0)
		return false;
	foreach(lc, table->readings)
	{
		HoneReading *other = lfirst(lc);

		if (other->nitems == 0 && other->delivers.workers > 0 &&
			other->delivers.workers != reading->delivers.workers &&
			other->delivers.norder >= reading->delivers.norder &&
			other->total <= reading->total)
			return true;
	}
	return false;
}

/* Cheapest first; nothing after the first that is always possible. */
static void
sort_options(HonePlanLeaf *leaf, bool with_expressions)
{
	Table	   *table = leaf->table;
	ListCell   *lc;
	int			n = 0;

	if (leaf->options && leaf->nreadings == list_length(table->readings) &&
		leaf->with_expressions == with_expressions)
		return;					/* nothing new */
	leaf->nreadings = list_length(table->readings);
	leaf->with_expressions = with_expressions;
	if (leaf->options)
		pfree(leaf->options);
	leaf->options = palloc(Max(list_length(table->readings), 1) * sizeof(HoneOption));
	foreach(lc, table->readings)
	{
		HoneReading *reading = lfirst(lc);

		if (!hone_requirement_met(&leaf->needs, &reading->delivers) ||
			(reading->expression ? !with_expressions : leaf->by_expression) ||
			is_never_kept(table, reading))
			continue;
		leaf->options[n].reading = reading;
		leaf->options[n++].value = leaf->per_startup * reading->startup +
			leaf->per_run * (reading->total - reading->startup);
	}
	qsort(leaf->options, n, sizeof(HoneOption), by_value);
	leaf->noptions = 0;
	for (int i = 0; i < n; i++)
	{
		bool		seen = false;

		for (int k = 0; k < leaf->noptions; k++)
			seen |= items_equal(leaf->options[k].reading, leaf->options[i].reading);
		if (seen)
			continue;
		leaf->options[leaf->noptions++] = leaf->options[i];
		if (leaf->options[i].reading->nitems == 0)
			break;
	}
}

/* Before prices are asked for, when something was learned. */
static void
prepare(HoneRun *run, HoneStatement *st)
{
	MemoryContext old;
	ListCell   *lc;

	if (!st->pool_changed)
		return;
	old = MemoryContextSwitchTo(run->memory);
	foreach(lc, st->plans)
	{
		HonePlan   *plan = lfirst(lc);

		for (int i = 0; i < plan->nleaves; i++)
			sort_options(&plan->leaves[i], plan->own || !st->saw_expression);
	}
	st->pool_changed = false;
	MemoryContextSwitchTo(old);
}

static bool
is_possible(const HoneReading *reading, const Bitmapset *set, const Bitmapset *banned)
{
	for (int i = 0; i < reading->nitems; i++)
		if (!bms_is_member(reading->items[i], set) ||
			bms_is_member(reading->items[i], banned))
			return false;
	return true;
}

static double
price_plan(const HonePlan *plan, const Bitmapset *set, const Bitmapset *banned,
		   Bitmapset **used)
{
	double		cost = plan->rest;

	if (!bms_is_subset(plan->fixed, set) || bms_overlap(plan->fixed, banned))
		return -1;
	if (used)
		*used = bms_copy(plan->fixed);
	for (int i = 0; i < plan->nleaves; i++)
	{
		const HonePlanLeaf *leaf = &plan->leaves[i];
		int			k = 0;

		while (k < leaf->noptions && !is_possible(leaf->options[k].reading, set, banned))
			k++;
		if (k == leaf->noptions)
			return -1;
		cost += leaf->options[k].value;
		for (int j = 0; used && j < leaf->options[k].reading->nitems; j++)
			*used = bms_add_member(*used, leaf->options[k].reading->items[j]);
	}
	return cost;
}

/* The least any known plan costs; used is filled unless NULL. -1: none is known. */
double
hone_advise_pool_price(HoneRun *run, HoneStatement *st, const Bitmapset *set,
					   const Bitmapset *banned, Bitmapset **used)
{
	double		best = -1;
	const HonePlan *of = NULL;
	ListCell   *lc;

	prepare(run, st);
	foreach(lc, st->plans)
	{
		double		cost = price_plan(lfirst(lc), set, banned, NULL);

		if (cost >= 0 && (best < 0 || cost < best))
		{
			best = cost;
			of = lfirst(lc);
		}
	}
	if (used && of)
		(void) price_plan(of, set, banned, used);
	return best;
}

/*
 * Candidates with which some table of some known plan could be read for less
 * than without any, by at least this much of the plan's cost.
 */
Bitmapset *
hone_advise_pool_useful(HoneRun *run, HoneStatement *st, double least)
{
	Bitmapset  *useful = NULL;
	ListCell   *lc;

	prepare(run, st);
	foreach(lc, st->plans)
	{
		HonePlan   *plan = lfirst(lc);

		useful = bms_add_members(useful, plan->fixed);
		for (int i = 0; i < plan->nleaves; i++)
		{
			HonePlanLeaf *leaf = &plan->leaves[i];
			const HoneOption *last = leaf->noptions > 0 ?
				&leaf->options[leaf->noptions - 1] : NULL;
			double		limit = last && last->reading->nitems == 0 ?
				last->value - least : get_float8_infinity();

			for (int k = 0; k < leaf->noptions; k++)
				for (int j = 0; j < leaf->options[k].reading->nitems; j++)
					if (leaf->options[k].value <= limit)
						useful = bms_add_member(useful, leaf->options[k].reading->items[j]);
		}
	}
	return useful;
}

static bool
is_cheaper(const HoneReading *a, const HoneReading *b)
{
	return a->total < 0.98 * b->total || a->startup < 0.5 * b->startup;
}

/*
 * Candidates that give a table an order, a driver, or a cost that it has not
 * without any: worth to be shown to the planner. What is not is of no use to
 * this statement, whatever its plan.
 */
Bitmapset *
hone_advise_pool_promising(HoneStatement *st)
{
	Bitmapset  *promising = NULL;
	ListCell   *lt;
	ListCell   *lc;
	ListCell   *lb;

	foreach(lt, st->tables)
	{
		Table	   *table = lfirst(lt);

		foreach(lc, table->readings)
		{
			HoneReading *reading = lfirst(lc);
			bool		better = true;

			if (reading->nitems != 1 || bms_is_member(reading->items[0], promising))
				continue;
			foreach(lb, table->readings)
			{
				HoneReading *plain = lfirst(lb);

				if (plain->nitems == 0 &&
					hone_requirement_met(&reading->delivers, &plain->delivers) &&
					!is_cheaper(reading, plain))
					better = false;
			}
			if (better)
				promising = bms_add_member(promising, reading->items[0]);
		}
	}
	return promising;
}
