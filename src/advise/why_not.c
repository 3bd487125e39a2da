/*
 * why_not.c
 *	  Why a candidate was not chosen, and which of them are worth telling.
 *
 * The obvious other index lost for a reason that can be checked: a chosen index
 * does its work (and what it would still save beside that one), its writes cost
 * more than it gains, it does not fit, it makes a query dearer, or nobody's plan
 * uses it. Statements are named by their queryid or number only. Works on the
 * finished run. Costs with one index alone are those of the search (pool.c: the
 * planner's figures put together); what one would save beside the chosen ones
 * is asked of the planner, in a bounded number of calls.
 */
#include "postgres.h"

#include "utils/builtins.h"

#include "advise/internal.h"
#include "advise/pool.h"

#define MAX_CALLS 200			/* of the planner, for what one would save beside the
								 * chosen ones */
#define LEAST_CHANGE 0.001		/* of a statement's cost */
#define MAX_IDLE 50				/* told of those that no plan wants */
#define FEW_ALIKE 3				/* variants of one idea told first */
#define DEARER 1.1				/* a query may become, at most */
#define LEAST_SHARE 0.001		/* of the yardstick (search.c), an index must gain */

/* The planner's answer for this candidate alone, if it was asked. */
static HonePrice *
asked_alone(HoneStatement *st, HoneCandidate *c)
{
	ListCell   *lc;

	foreach(lc, st->prices)
	{
		HonePrice  *price = lfirst(lc);

		if (bms_is_member(c->id, price->set) &&
			bms_membership(price->set) == BMS_SINGLETON)
			return bms_is_member(c->id, price->used) ? price : NULL;
	}
	return NULL;
}

/* What a statement would cost with this candidate alone; its own cost if it does not help. */
static double
cost_alone(HoneRun *run, HoneStatement *st, HoneCandidate *c)
{
	HonePrice  *price;
	Bitmapset  *set;
	double		cost;

	if (st->failure || !list_member_oid(st->relids, c->relid))
		return st->base_cost;
	price = asked_alone(st, c);
	if (price)
		return price->planner_cost;
	set = bms_make_singleton(c->id);
	cost = hone_advise_pool_price(run, st, set, NULL, NULL);
	bms_free(set);
	return cost < 0 ? st->base_cost : cost;
}

static double
final_cost(const HoneStatement *st)
{
	return st->final ? st->final->planner_cost : st->base_cost;
}

/* How to speak of a statement to somebody who may not see it. */
static char *
name_of(const HoneStatement *st)
{
	if (st->position > 0)
		return psprintf("statement %d", st->position);
	if (st->group->queryid == 0)
		return pstrdup("the statement");
	return psprintf("query " INT64_FORMAT, st->group->queryid);
}

/* What the candidate would do to the statements, alone and as things are. */
typedef struct Rival
{
	int			id;				/* the chosen one that does most of its work; -1 */
	int			helpers;		/* chosen ones that do some of it */
	int			queries;
	double		before;
	double		alone;
	double		with_chosen;
	double		beside;			/* what it would save beside the chosen ones */
} Rival;

/*
 * What it would save beside the chosen ones, in one statement: where the known
 * plans say that it would, the planner is asked.
 */
static double
saves_beside(HoneRun *run, HoneStatement *st, HoneCandidate *c, int *calls_left)
{
	Bitmapset  *mine = st->final ? st->final->set : NULL;
	Bitmapset  *both = bms_add_member(bms_copy(mine), c->id);
	double		before = hone_advise_pool_price(run, st, mine, NULL, NULL);
	double		after = hone_advise_pool_price(run, st, both, NULL, NULL);
	HonePrice  *price = NULL;

	if (before >= 0 && after >= before)
		return 0;
	if ((*calls_left)-- > 0)
		price = hone_advise_final_price(run, st, both, NIL, NULL);
	return price ? Max(0, final_cost(st) - price->planner_cost) : Max(0, before - after);
}

static void
find_rival(HoneRun *run, HoneCandidate *c, int *calls_left, Rival *rival)
{
	double	   *share = palloc0(sizeof(double) * (run->ncandidates + 1));
	List	   *groups = NIL;

	memset(rival, 0, sizeof(Rival));
	rival->id = -1;
	for (int i = 0; i < run->nstatements; i++)
	{
		HoneStatement *st = run->statements[i];
		double		cost = st->failure ? 0 : cost_alone(run, st, c);
		int			k = -1;

		if (st->failure || cost >= st->base_cost * (1 - LEAST_CHANGE))
			continue;
		groups = list_append_unique_ptr(groups, st->group);
		rival->before += st->weight * st->base_cost;
		rival->alone += st->weight * cost;
		rival->with_chosen += st->weight * final_cost(st);
		while (st->final && (k = bms_next_member(st->final->used, k)) >= 0)
			if (run->candidates[k]->relid == c->relid)
				share[k] += st->weight * (st->base_cost - final_cost(st));
		rival->beside += st->weight * saves_beside(run, st, c, calls_left);
	}
	for (int k = 0; k < run->ncandidates; k++)
	{
		rival->helpers += share[k] > 0;
		if (share[k] > 0 && (rival->id < 0 || share[k] > share[rival->id]))
			rival->id = k;
	}
	rival->queries = list_length(groups);
	pfree(share);
}

/* A statement that this index alone makes dearer, because its plan takes it. */
static HoneStatement *
made_dearer(HoneRun *run, HoneCandidate *c, double *ratio)
{
	HoneStatement *worst = NULL;

	if (c->hurts)
	{
		*ratio = c->hurts_ratio;
		return c->hurts;
	}
	for (int i = 0; i < run->nstatements; i++)
	{
		HoneStatement *st = run->statements[i];
		HonePrice  *price = st->failure || st->weight <= 0 ? NULL : asked_alone(st, c);

		if (price == NULL || price->planner_cost <= DEARER * st->base_cost ||
			(worst && price->planner_cost <= *ratio * st->base_cost))
			continue;
		worst = st;
		*ratio = price->planner_cost / st->base_cost;
	}
	return worst;
}

static int64
room_left(HoneRun *run)
{
	int64		used = 0;
	int			i = -1;

	while ((i = bms_next_member(run->chosen, i)) >= 0)
		used += run->candidates[i]->index->size_bytes;
	return run->budget - used;
}

static char *
beaten_by(const Rival *rival, const char **names)
{
	StringInfoData buf;

	initStringInfo(&buf);
	if (rival->helpers > 1)
		appendStringInfo(&buf, "the recommended indexes, above all %s, serve",
						 quote_identifier(names[rival->id]));
	else
		appendStringInfo(&buf, "the recommended index %s serves", quote_identifier(names[rival->id]));
	if (rival->queries == 1)
		appendStringInfoString(&buf, " its query: it costs");
	else
		appendStringInfo(&buf, " its %d queries: they cost", rival->queries);
	appendStringInfo(&buf, " %.2f without an index, %.2f with this one alone, %.2f as recommended",
					 rival->before, rival->alone, rival->with_chosen);
	if (rival->beside < LEAST_CHANGE * rival->with_chosen)
		appendStringInfoString(&buf, "; beside the recommended ones it would save nothing more");
	else
		appendStringInfo(&buf, "; beside the recommended ones it would save another %.2f (%.1f %%)",
						 rival->beside, rival->beside / rival->with_chosen * 100);
	return buf.data;
}

/* Because of limits the caller set; NULL when it is not that. */
static char *
not_allowed(HoneRun *run, HoneCandidate *c)
{
	if (run->max_indexes >= 0 && bms_num_members(run->chosen) >= run->max_indexes)
		return psprintf("max_indexes (%d) was reached by better ones", run->max_indexes);
	if (run->budget >= 0 && c->index && c->index->size_bytes > room_left(run))
		return psprintf("it needs %s, and better ones leave %s of the storage budget",
						hone_advise_size_text(c->index->size_bytes),
						hone_advise_size_text(room_left(run)));
	return NULL;
}

/* Of one that is not out for a reason known before the search. */
static const char *
outdone(HoneRun *run, HoneCandidate *c, const char **names, int *calls_left)
{
	Rival		rival;
	double		ratio = 0;
	HoneStatement *hurt = made_dearer(run, c, &ratio);
	char	   *limit;

	if (hurt)
		return psprintf("it would make %s dearer by %.0f %%", name_of(hurt), (ratio - 1) * 100);
	find_rival(run, c, calls_left, &rival);
	if (rival.queries == 0)
		return c->best_gain > 0 ? "no plan gets cheaper with it by itself" :
			"no plan uses it, or none gets cheaper with it";
	if (rival.before - rival.alone <= c->write_cost)
		return psprintf("what it costs the writes (%.2f) exceeds its gain (%.2f)",
						c->write_cost, rival.before - rival.alone);
	if (c->best_gain <= LEAST_SHARE * run->yardstick)
		return psprintf("its gain (%.2f) is below 0.1 %% of what the workload would cost with all indexes (%.2f)",
						rival.before - rival.alone, run->yardstick);
	if (rival.beside > 0 && rival.beside <= c->write_cost)
		return psprintf("beside the recommended indexes it would save another %.2f, and cost the writes %.2f",
						rival.beside, c->write_cost);
	limit = not_allowed(run, c);
	if (limit && (rival.id < 0 || rival.beside > 0))
		return limit;
	if (rival.id >= 0)
		return beaten_by(&rival, names);
	if (rival.with_chosen < rival.before)
		return "its queries are served by recommended indexes on their other tables";
	return "with its price (0.1 % of what the workload would cost with all indexes, a little for its size,"
		" and what it costs the writes) it does not pay";
}

static const char *
why_not(HoneRun *run, HoneCandidate *c, const char **names, int *calls_left)
{
	if (c->hurts == NULL && c->rejection)
	{
		if (run->budget >= 0 && c->index && c->index->size_bytes > run->budget)
			return psprintf("it alone (%s) is larger than the storage budget of %s",
							hone_advise_size_text(c->index->size_bytes),
							hone_advise_size_text(run->budget));
		return c->rejection;
	}
	return outdone(run, c, names, calls_left);
}

/* What gains something first; then what was out from the start; then the rest. */
static int
interest(const HoneCandidate *c)
{
	return c->best_gain > 0 ? 0 : c->rejection ? 1 : 2;
}

static int
compare_interest(const void *a, const void *b)
{
	const HoneCandidate *x = *(HoneCandidate *const *) a;
	const HoneCandidate *y = *(HoneCandidate *const *) b;

	if (interest(x) != interest(y))
		return interest(x) - interest(y);
	if (x->best_gain != y->best_gain)
		return x->best_gain > y->best_gain ? -1 : 1;
	return x->id - y->id;
}

/* Variants of one idea: on the same table, beginning with the same key. */
static bool
is_alike(const HoneCandidate *a, const HoneCandidate *b)
{
	return a->relid == b->relid && a->amoid == b->amoid &&
		strcmp(a->keys[0].sql, b->keys[0].sql) == 0;
}

/* Put variants behind, in what is sorted: no more than a few of each idea first. */
static void
spread(HoneCandidate **order, int n)
{
	HoneCandidate **late = palloc(sizeof(HoneCandidate *) * (n + 1));
	int			nlate = 0;
	int			kept = 0;

	for (int i = 0; i < n; i++)
	{
		int			alike = 0;

		for (int k = 0; k < kept && alike < FEW_ALIKE; k++)
			alike += is_alike(order[k], order[i]);
		if (alike < FEW_ALIKE && interest(order[i]) == 0)
			order[kept++] = order[i];
		else
			late[nlate++] = order[i];
	}
	memcpy(order + kept, late, nlate * sizeof(HoneCandidate *));
	pfree(late);
}

/*
 * The most interesting ones with their reasons: list of HoneRejected. names are
 * those of the chosen ones, by id.
 */
List *
hone_advise_rejected(HoneRun *run, const char **names, int most)
{
	HoneCandidate **order = palloc(sizeof(HoneCandidate *) * (run->ncandidates + 1));
	List	   *result = NIL;
	int			n = 0;
	int			idle = 0;
	int			calls_left = MAX_CALLS;

	for (int i = 0; i < run->ncandidates; i++)
		if (!run->candidates[i]->chosen && !run->candidates[i]->lost)
			order[n++] = run->candidates[i];
	qsort(order, n, sizeof(HoneCandidate *), compare_interest);
	spread(order, n);
	for (int i = 0; i < n && list_length(result) < most; i++)
	{
		HoneRejected *rejected;

		if (interest(order[i]) == 2 && idle++ >= MAX_IDLE)
			break;
		rejected = palloc(sizeof(HoneRejected));
		rejected->candidate = order[i];
		rejected->reason = why_not(run, order[i], names, &calls_left);
		result = lappend(result, rejected);
	}
	return result;
}
