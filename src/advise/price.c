/*
 * price.c
 *	  What a statement costs under a set of candidates: asking the planner, and
 *	  what to believe of its answers.
 *
 * Every planner call also teaches the pool (pool.c), which then answers most
 * questions by arithmetic. Answers of the planner itself are kept per statement
 * as (set, used, cost). Because the planner only gains from what it uses, an
 * answer for a set that used only U holds for every set between U and it. When
 * the run's planner calls or its time are spent, the pool alone answers: with
 * the cost of a plan that exists, so never too low.
 *
 * Where the session had forbidden a kind of plan (enable_seqscan = off), what the
 * planner adds to use it nevertheless decides which plan it is, but is no cost.
 *
 * The cost that decisions are made by is not always the planner's. A plan that
 * walks an index in the wanted order and stops at LIMIT, hoping to meet the
 * rows that pass a filter the index knows nothing of, rests on the assumption
 * that they are spread evenly. Such a plan counts between its own cost and
 * that of the plan without the index (their geometric mean), and at least
 * double: an index that serves the filter as well then wins. Where the query was
 * measured, and returns fewer rows than its LIMIT, such a plan never stops early
 * and gains nothing. The other way round, a scan that serves all filters and the
 * order stops after LIMIT rows however many match; the estimate, made for the
 * average value, does not show what that is worth for the frequent ones, so it
 * gets a small bonus.
 */
#include "postgres.h"

#include <math.h>

#include "catalog/pg_am.h"
#include "miscadmin.h"
#include "utils/memutils.h"

#include "advise/internal.h"
#include "advise/pool.h"
#include "advise/solve.h"
#include "base/compat.h"

#define FULL_LIMIT 0.9			/* of the rows a LIMIT allows, on average */

typedef struct Question
{
	int			nsets;
	Bitmapset **sets;
	Bitmapset  *others;			/* learned of, but not seen by the plan */
	List	   *hide;
	const char **summary;
	HonePrice **answers;
} Question;

static bool
has_use(HoneRelUse *rel, const HoneKey *key, bool range)
{
	ListCell   *lc;

	foreach(lc, rel->uses)
	{
		HoneUse    *use = lfirst(lc);

		if (strcmp(use->key.sql, key->sql) == 0 &&
			(range ? use->kind == HONE_USE_RANGE :
			 use->kind != HONE_USE_RANGE && use->kind != HONE_USE_ARM))
			return true;
	}
	return false;
}

/*
 * Would a scan of this candidate in this statement be a guess about LIMIT:
 * does it begin with the wanted order, while filters stay for the rows?
 */
bool
hone_advise_is_guess(HoneStatement *st, HoneCandidate *c)
{
	ListCell   *lr;
	ListCell   *lo;

	if (c->predicate)
		return false;
	foreach(lr, st->rels)
	{
		HoneRelUse *rel = lfirst(lr);
		int			unserved = rel->nfilters;
		bool		ordered = false;

		if (rel->relid != c->relid || !rel->limited)
			continue;
		foreach(lo, rel->orders)
		{
			HoneUse    *first = linitial(((HoneOrder *) lfirst(lo))->uses);

			ordered |= strcmp(first->key.sql, c->keys[0].sql) == 0;
		}
		if (!ordered || has_use(rel, &c->keys[0], false))
			continue;
		foreach(lo, rel->uses)
		{
			HoneUse    *use = lfirst(lo);

			if (use->kind == HONE_USE_RANGE && strcmp(use->key.sql, c->keys[0].sql) == 0)
				unserved--;
		}
		if (unserved > 0 || rel->filtered_elsewhere)
			return true;
	}
	return false;
}

/*
 * Is it known, from what was measured, that the query returns fewer rows than
 * its LIMIT allows? Then no scan in the wanted order stops early: it reads all.
 */
bool
hone_advise_reads_all(const HoneStatement *st)
{
	return st->limit_rows > 0 && st->group->mean_rows >= 0 &&
		st->group->mean_rows < FULL_LIMIT * st->limit_rows;
}

static bool
is_equality(HoneRelUse *rel, const HoneKey *key)
{
	ListCell   *lc;

	foreach(lc, rel->uses)
	{
		HoneUse    *use = lfirst(lc);

		if (use->kind == HONE_USE_EQUAL && strcmp(use->key.sql, key->sql) == 0)
			return true;
	}
	return false;
}

/*
 * Would a scan of this candidate stop after LIMIT rows, whatever the number of
 * rows that match: does it serve every filter, and then the order?
 */
bool
hone_advise_is_bounded(HoneStatement *st, HoneCandidate *c)
{
	ListCell   *lr;
	ListCell   *lo;

	if (c->amoid != BTREE_AM_OID)
		return false;
	foreach(lr, st->rels)
	{
		HoneRelUse *rel = lfirst(lr);
		int			unserved = rel->nfilters - (c->predicate ? c->predicate->nclauses : 0);
		int			at = 0;

		if (rel->relid != c->relid || !rel->limited || rel->filtered_elsewhere)
			continue;
		while (at < c->nkeys && is_equality(rel, &c->keys[at]))
			at++;
		if (at == c->nkeys)
			continue;
		foreach(lo, rel->uses)
		{
			HoneUse    *use = lfirst(lo);

			if (use->kind == HONE_USE_RANGE && strcmp(use->key.sql, c->keys[at].sql) == 0)
				unserved--;
		}
		foreach(lo, rel->orders)
		{
			HoneOrder  *order = lfirst(lo);
			HoneUse    *first = linitial(order->uses);

			if (order->required && unserved <= at &&
				strcmp(first->key.sql, c->keys[at].sql) == 0)
				return true;
		}
	}
	return false;
}

int
hone_advise_id_of(HoneRun *run, const HoneIndex *index)
{
	/* few are shown at once, but there may be thousands */
	for (int i = 0; i < run->nshown; i++)
		if (run->candidates[run->shown[i]]->index == index)
			return run->shown[i];
	return -1;
}

/* The candidates of a set as imagined indexes, which are shown from now on. */
static List *
show(HoneRun *run, Bitmapset *set)
{
	List	   *indexes = NIL;
	int			i = -1;

	while ((i = bms_next_member(set, i)) >= 0)
	{
		indexes = lappend(indexes, run->candidates[i]->index);
		run->shown[run->nshown++] = i;
	}
	return indexes;
}

static Bitmapset *
ids_of(HoneRun *run, List *indexes)
{
	Bitmapset  *ids = NULL;
	ListCell   *lc;

	foreach(lc, indexes)
		ids = bms_add_member(ids, hone_advise_id_of(run, lfirst(lc)));
	return ids;
}

static bool
uses_any(HoneRun *run, HoneStatement *st, Bitmapset *used,
		 bool (*test) (HoneStatement *, HoneCandidate *))
{
	int			i = -1;

	while ((i = bms_next_member(used, i)) >= 0)
		if (test(st, run->candidates[i]))
			return true;
	return false;
}

static HonePrice *
make_price(HoneRun *run, HoneStatement *st, Bitmapset *set, Bitmapset *used, double cost)
{
	MemoryContext old = MemoryContextSwitchTo(run->memory);
	HonePrice  *price = palloc(sizeof(HonePrice));

	price->set = bms_copy(set);
	price->used = bms_copy(used);
	price->planner_cost = cost;
	price->cost = cost;
	if (st->base_cost > 0 && uses_any(run, st, used, hone_advise_is_guess))
		price->cost = hone_advise_reads_all(st) ? Max(cost, st->base_cost) :
			hone_distrust(cost, st->base_cost);
	else if (uses_any(run, st, used, hone_advise_is_bounded))
		price->cost = HONE_BOUNDED_BONUS * cost;
	MemoryContextSwitchTo(old);
	return price;
}

/* Plan all queries of the statement; one that is rewritten into several teaches less. */
static HonePrice *
plan_set(HoneRun *run, HoneStatement *st, List *queries, ParamListInfo params,
		 const Question *question, Bitmapset *set)
{
	HoneConfiguration configuration = {NIL, question->hide};
	HoneLearned *learned = NULL;
	List	   *others;
	Bitmapset  *used = NULL;
	double		cost = 0;
	ListCell   *lc;

	run->shown = palloc((bms_num_members(set) + bms_num_members(question->others) + 1) *
						sizeof(int));
	run->nshown = 0;
	configuration.create = show(run, set);
	others = show(run, question->others);
	foreach(lc, queries)
	{
		Query	   *query = lfirst_node(Query, lc);
		PlannedStmt *plan;

		if (list_length(queries) == 1 && question->hide == NIL)
			plan = hone_whatif_learn(query, st->text, params, &configuration, others, &learned);
		else
			plan = hone_whatif_plan(query, st->text, params, &configuration);
		run->planner_calls++;
		cost += hone_without_penalty(hone_whatif_cost(plan));
		used = bms_add_members(used, ids_of(run, hone_whatif_used(plan, &configuration)));
		if (question->summary && lc == list_head(queries))
			*question->summary = MemoryContextStrdup(run->memory, hone_advise_plan_summary(plan));
	}
	if (learned && learned->total != cost)
		learned = NULL;			/* a kind of plan was forbidden */
	if (question->hide == NIL)
		hone_advise_pool_add(run, st, learned, cost, set, used);
	st->teaches |= learned != NULL;
	return make_price(run, st, set, used, cost);
}

static void
answer(HoneRun *run, HoneStatement *st, List *queries, ParamListInfo params, void *arg)
{
	Question   *question = arg;
	MemoryContext planning = AllocSetContextCreate(CurrentMemoryContext,
												   "pg_hone planning",
												   ALLOCSET_DEFAULT_SIZES);

	for (int i = 0; i < question->nsets; i++)
	{
		MemoryContext old = MemoryContextSwitchTo(planning);

		CHECK_FOR_INTERRUPTS();
		question->answers[i] = plan_set(run, st, queries, params, question,
										question->sets[i]);
		MemoryContextSwitchTo(old);
		MemoryContextReset(planning);
	}
}

static HonePrice *
known(HoneStatement *st, Bitmapset *set)
{
	ListCell   *lc;

	foreach(lc, st->prices)
	{
		HonePrice  *price = lfirst(lc);

		if (bms_is_subset(price->used, set) && bms_is_subset(set, price->set))
			return price;
	}
	return NULL;
}

/* Has the run asked the planner often enough, or for long enough? */
bool
hone_advise_is_spent(HoneRun *run)
{
	instr_time	now;

	if (run->planner_calls >= run->max_planner_calls)
		return true;
	INSTR_TIME_SET_CURRENT(now);
	INSTR_TIME_SUBTRACT(now, run->started);
	return INSTR_TIME_GET_MILLISEC(now) >= hone_advise_time_limit;
}

static bool
ask(HoneRun *run, HoneStatement *st, Question *question)
{
	MemoryContext old;

	if (st->failure)
		return false;
	if (question->nsets == 0 || hone_advise_is_spent(run))
		return true;
	question->answers = palloc0(sizeof(HonePrice *) * question->nsets);
	if (!hone_advise_with_statement(run, st, answer, question))
		return false;
	old = MemoryContextSwitchTo(run->memory);
	for (int i = 0; i < question->nsets; i++)
		st->prices = lcons(question->answers[i], st->prices);
	MemoryContextSwitchTo(old);
	return true;
}

/* Ask the planner about those sets it was not asked about yet. */
bool
hone_advise_prices(HoneRun *run, HoneStatement *st, Bitmapset **sets, int nsets)
{
	Question	question = {0};

	question.sets = palloc(sizeof(Bitmapset *) * (nsets + 1));
	for (int i = 0; i < nsets; i++)
		if (known(st, sets[i]) == NULL)
			question.sets[question.nsets++] = sets[i];
	return ask(run, st, &question);
}

/* Plan with these, and learn what the others would do for each table; NULL: no answer. */
HonePrice *
hone_advise_learn(HoneRun *run, HoneStatement *st, Bitmapset *visible, Bitmapset *others)
{
	Question	question = {0};

	question.nsets = 1;
	question.sets = &visible;
	question.others = others;
	if (!ask(run, st, &question) || question.answers == NULL)
		return NULL;
	return question.answers[0];
}

/* The price under the candidates of the set that matter to the statement. */
HonePrice *
hone_advise_price(HoneRun *run, HoneStatement *st, Bitmapset *set)
{
	Bitmapset  *mine = bms_intersect(set, st->relevant);
	HonePrice  *price = known(st, mine);
	Bitmapset  *used = NULL;
	double		cost;

	run->priced++;
	if (price)
		return price;
	cost = hone_advise_pool_price(run, st, mine, NULL, &used);
	return cost < 0 ? NULL : make_price(run, st, mine, used, cost);
}

/* The planner's price for exactly this set: what it said before, or asked now. */
HonePrice *
hone_advise_confirmed_price(HoneRun *run, HoneStatement *st, Bitmapset *set)
{
	HonePrice  *price = known(st, set);

	return price ? price : hone_advise_final_price(run, st, set, NIL, NULL);
}

/* Plan with exactly this, whatever was known; NULL when the statement fails. */
HonePrice *
hone_advise_final_price(HoneRun *run, HoneStatement *st, Bitmapset *set,
						List *hide, const char **summary)
{
	Question	question = {0};
	HonePrice  *result = NULL;

	question.nsets = 1;
	question.sets = &set;
	question.hide = hide;
	question.summary = summary;
	question.answers = &result;
	if (!hone_advise_with_statement(run, st, answer, &question))
		return NULL;
	if (hide == NIL && result)
	{
		MemoryContext old = MemoryContextSwitchTo(run->memory);

		st->prices = lcons(result, st->prices);
		MemoryContextSwitchTo(old);
	}
	return result;
}
