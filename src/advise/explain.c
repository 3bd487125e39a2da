/*
 * explain.c
 *	  Why: figures and sentences a person can check.
 *
 * Names no statement and shows no value but those of a partial index's
 * predicate, because a reason is read by owners of tables who may not see the
 * statements. Costs are the planner's, under the set that was chosen: those
 * that decisions were made by may hold discounts (price.c) and are not shown.
 * A query is all its samples, each by its weight. Reads the finished run and
 * allocates in the current memory context; only hone_advise_cost_without asks
 * the planner again.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_am.h"
#include "catalog/pg_class.h"
#include "lib/stringinfo.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/fmgrprotos.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

#include "advise/internal.h"

#define NOTICEABLE 0.01			/* change of a cost that counts */
#define STALE_ROWS 1000

/* What a statement costs under the chosen set. */
static double
final_cost(const HoneStatement *st)
{
	return st->final ? st->final->planner_cost : st->base_cost;
}

static bool
uses_candidate(const HoneStatement *st, const HoneCandidate *c)
{
	return !st->failure && st->final && bms_is_member(c->id, st->final->used);
}

static const char *
plural(int n, const char *one, const char *many)
{
	return n == 1 ? one : many;
}

char *
hone_advise_size_text(double bytes)
{
	if (bytes >= 10 * 1024.0 * 1024 * 1024)
		return psprintf("%.0f GB", bytes / (1024.0 * 1024 * 1024));
	if (bytes >= 10 * 1024 * 1024)
		return psprintf("%.0f MB", bytes / (1024.0 * 1024));
	if (bytes >= 1024 * 1024)
		return psprintf("%.1f MB", bytes / (1024.0 * 1024));
	return psprintf("%.0f kB", bytes / 1024.0);
}

static HoneEffect *
effect_of(List **effects, HoneQueryGroup *group, bool add)
{
	HoneEffect *effect;
	ListCell   *lc;

	/* Samples of a query come one after another. */
	if (*effects != NIL && ((HoneEffect *) llast(*effects))->group == group)
		return llast(*effects);
	foreach(lc, *effects)
		if (((HoneEffect *) lfirst(lc))->group == group)
			return lfirst(lc);
	if (!add)
		return NULL;
	effect = palloc0(sizeof(HoneEffect));
	effect->group = group;
	*effects = lappend(*effects, effect);
	return effect;
}

static int
by_gain(const ListCell *a, const ListCell *b)
{
	const HoneEffect *x = lfirst(a);
	const HoneEffect *y = lfirst(b);
	double		gain_x = x->before - x->after;
	double		gain_y = y->before - y->after;

	return gain_x > gain_y ? -1 : gain_x < gain_y ? 1 : 0;
}

/* What keeping the index costs the writes of one statement. */
static double
write_share(HoneRun *run, HoneStatement *st, HoneCandidate *c)
{
	HoneRun		one = *run;

	if (st->failure || !OidIsValid(st->target) || c->write_cost <= 0 ||
		!list_member_oid(st->relids, c->relid))
		return 0;
	one.statements = &st;
	one.nstatements = 1;
	return hone_advise_write_cost(&one, c);
}

/* The queries of the run whose plans use the index, what gains most first. */
List *
hone_advise_effects(HoneRun *run, HoneCandidate *c)
{
	List	   *effects = NIL;

	for (int i = 0; i < run->nstatements; i++)
		if (uses_candidate(run->statements[i], c))
			(void) effect_of(&effects, run->statements[i]->group, true);
	for (int i = 0; i < run->nstatements; i++)
	{
		HoneStatement *st = run->statements[i];
		HoneEffect *effect = st->failure ? NULL : effect_of(&effects, st->group, false);
		double		gain = st->base_cost - final_cost(st);

		if (effect == NULL)
			continue;
		effect->samples++;
		effect->weight += st->weight;
		effect->before += st->weight * st->base_cost;
		effect->after += st->weight * final_cost(st);
		effect->write_cost += write_share(run, st, c);
		if (!uses_candidate(st, c))
			continue;
		effect->using++;
		if (effect->example == NULL ||
			gain > effect->example->base_cost - final_cost(effect->example))
			effect->example = st;
	}
	list_sort(effects, by_gain);
	return effects;
}

static int
by_write_cost(const ListCell *a, const ListCell *b)
{
	double		x = ((HoneEffect *) lfirst(a))->write_cost;
	double		y = ((HoneEffect *) lfirst(b))->write_cost;

	return x > y ? -1 : x < y ? 1 : 0;
}

/* The queries that only pay for it: they write, and do not read with it. */
List *
hone_advise_paying(HoneRun *run, HoneCandidate *c)
{
	List	   *effects = NIL;
	List	   *readers = NIL;

	for (int i = 0; i < run->nstatements; i++)
		if (uses_candidate(run->statements[i], c))
			readers = list_append_unique_ptr(readers, run->statements[i]->group);
	for (int i = 0; i < run->nstatements; i++)
	{
		HoneStatement *st = run->statements[i];
		double		share = write_share(run, st, c);
		HoneEffect *effect;

		if (share <= 0 || list_member_ptr(readers, st->group))
			continue;
		effect = effect_of(&effects, st->group, true);
		effect->samples++;
		effect->weight += st->weight;
		effect->before += st->weight * final_cost(st);	/* it reads as before */
		effect->after += st->weight * final_cost(st);
		effect->write_cost += share;
		effect->example = st;
	}
	list_sort(effects, by_write_cost);
	return effects;
}

static bool
is_helped(const HoneEffect *effect)
{
	return effect->after < effect->before * (1 - NOTICEABLE);
}

static bool
is_hurt(const HoneEffect *effect)
{
	return effect->after > effect->before * (1 + NOTICEABLE);
}

void
hone_advise_figures(HoneRun *run, HoneCandidate *c, HoneFigures *figures)
{
	List	   *effects = hone_advise_effects(run, c);
	ListCell   *lc;

	memset(figures, 0, sizeof(HoneFigures));
	foreach(lc, effects)
	{
		HoneEffect *effect = lfirst(lc);

		figures->cost_before += effect->before;
		figures->cost_after += effect->after;
		figures->helped += is_helped(effect);
		figures->hurt += is_hurt(effect);
	}
	if (figures->cost_before > 0)
		figures->improvement = Max(0, (figures->cost_before - figures->cost_after) /
								   figures->cost_before);
}

/*
 * What the queries whose plans use the index would cost with all the chosen
 * ones but this: the planner's word for each, as far as the calls allow; then
 * what the search knows.
 */
double
hone_advise_cost_without(HoneRun *run, HoneCandidate *c, int *calls)
{
	List	   *effects = hone_advise_effects(run, c);
	double		cost = 0;
	ListCell   *lc;

	for (int i = 0; i < run->nstatements; i++)
	{
		HoneStatement *st = run->statements[i];
		HonePrice  *price = NULL;
		Bitmapset  *rest;

		if (!uses_candidate(st, c))
			continue;
		rest = bms_del_member(bms_copy(st->final->set), c->id);
		if (!bms_is_empty(rest))
			price = (*calls)-- > 0 ?
				hone_advise_confirmed_price(run, st, rest) :
				hone_advise_price(run, st, rest);
		cost += st->weight * ((price ? price->planner_cost : st->base_cost) - final_cost(st));
	}
	foreach(lc, effects)
		cost += ((HoneEffect *) lfirst(lc))->after;
	return cost;
}

/* In how many queries a key is used how. */
typedef struct Roles
{
	List	   *groups[HONE_USE_CONTAINS + 1];	/* by HoneUseKind */
	List	   *required;		/* ORDER BY */
	List	   *wanted;			/* GROUP BY, DISTINCT, merge joins */
} Roles;

static void
add_roles(Roles *roles, HoneStatement *st, HoneRelUse *rel, const HoneKey *key)
{
	ListCell   *lo;
	ListCell   *lu;

	foreach(lu, rel->uses)
	{
		HoneUse    *use = lfirst(lu);

		if (strcmp(use->key.sql, key->sql) == 0)
			roles->groups[use->kind] = list_append_unique_ptr(roles->groups[use->kind], st->group);
	}
	foreach(lo, rel->orders)
	{
		HoneOrder  *order = lfirst(lo);

		foreach(lu, order->uses)
			if (strcmp(((HoneUse *) lfirst(lu))->key.sql, key->sql) == 0)
			{
				if (order->required)
					roles->required = list_append_unique_ptr(roles->required, st->group);
				else
					roles->wanted = list_append_unique_ptr(roles->wanted, st->group);
			}
	}
}

static void
append_role(StringInfo buf, const char *role, List *groups)
{
	int			n = list_length(groups);

	if (n > 0)
		appendStringInfo(buf, "%s%s in %d %s", buf->len > 0 ? ", " : "", role, n,
						 plural(n, "query", "queries"));
}

/* What the queries that use the index do with one of its keys. */
static char *
role_of(HoneRun *run, HoneCandidate *c, const HoneKey *key)
{
	static const char *const names[] = {"equality", "one of several values", "range",
	"join", "one side of an OR", "contained values"};
	Roles		roles = {{NIL}, NIL, NIL};
	StringInfoData buf;

	for (int i = 0; i < run->nstatements; i++)
	{
		HoneStatement *st = run->statements[i];
		ListCell   *lr;

		if (!uses_candidate(st, c))
			continue;
		foreach(lr, st->rels)
			if (((HoneRelUse *) lfirst(lr))->relid == c->relid)
				add_roles(&roles, st, lfirst(lr), key);
	}
	initStringInfo(&buf);
	for (int i = 0; i < (int) lengthof(names); i++)
		append_role(&buf, names[i], roles.groups[i]);
	append_role(&buf, "order", roles.required);
	append_role(&buf, "grouping", roles.wanted);
	if (buf.len == 0)
		appendStringInfoString(&buf, "only to be read from the index");
	return buf.data;
}

/* One line for each column, in their order: list of char *. */
List *
hone_advise_key_roles(HoneRun *run, HoneCandidate *c)
{
	List	   *roles = NIL;

	for (int i = 0; i < c->nkeys; i++)
		roles = lappend(roles, psprintf("%s%s: %s", c->keys[i].sql,
										c->keys[i].desc ? " DESC" : "",
										role_of(run, c, &c->keys[i])));
	for (int i = 0; i < c->nincluded; i++)
		roles = lappend(roles, psprintf("%s: included, only to be read from the index",
										quote_identifier(get_attname(c->relid, c->included[i], false))));
	if (c->predicate)
		roles = lappend(roles, psprintf("WHERE %s: only these rows, about %.1f %% of the table",
										c->predicate->sql, c->predicate->selectivity * 100));
	return roles;
}

static void
append_columns(StringInfo buf, HoneRun *run, HoneCandidate *c)
{
	ListCell   *lc;
	bool		first = true;

	appendStringInfoString(buf, " Columns: ");
	foreach(lc, hone_advise_key_roles(run, c))
	{
		appendStringInfo(buf, "%s%s", first ? "" : "; ", (char *) lfirst(lc));
		first = false;
	}
	appendStringInfoChar(buf, '.');
	if (c->nkeys > 1)
		appendStringInfoString(buf, " What is compared for equality comes first, "
							   "because nothing after a range or an order narrows the scan.");
}

/* Has any column of the table statistics? */
bool
hone_advise_has_statistics(Oid relid)
{
	HeapTuple	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(relid));
	AttrNumber	natts = 0;

	if (HeapTupleIsValid(tuple))
	{
		natts = ((Form_pg_class) GETSTRUCT(tuple))->relnatts;
		ReleaseSysCache(tuple);
	}
	for (AttrNumber i = 1; i <= natts; i++)
		if (SearchSysCacheExists3(STATRELATTINH, ObjectIdGetDatum(relid),
								  Int16GetDatum(i), BoolGetDatum(false)) ||
			SearchSysCacheExists3(STATRELATTINH, ObjectIdGetDatum(relid),
								  Int16GetDatum(i), BoolGetDatum(true)))
			return true;
	return false;
}

/* Have as many rows changed since the last ANALYZE as it counted? */
static bool
is_stale(Oid relid)
{
	HeapTuple	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(relid));
	int64		changed = DatumGetInt64(DirectFunctionCall1(pg_stat_get_mod_since_analyze,
															ObjectIdGetDatum(relid)));
	double		rows = 0;

	if (HeapTupleIsValid(tuple))
	{
		rows = ((Form_pg_class) GETSTRUCT(tuple))->reltuples;
		ReleaseSysCache(tuple);
	}
	return changed > Max(rows, STALE_ROWS);
}

/* Queries for some of whose samples only the plan uses the index. */
static char *
dependent_on_values(List *effects)
{
	int			queries = 0;
	int			samples = 0;
	int			using = 0;
	ListCell   *lc;

	foreach(lc, effects)
	{
		HoneEffect *effect = lfirst(lc);

		if (effect->using == effect->samples)
			continue;
		queries++;
		samples += effect->samples;
		using += effect->using;
	}
	if (queries == 0)
		return NULL;
	return psprintf("It depends on the parameters' values: of %d %s only %d of %d samples use it.",
					queries, plural(queries, "query", "queries"), using, samples);
}

/* What the promise rests on: list of sentences. */
List *
hone_advise_risks(HoneRun *run, HoneCandidate *c)
{
	List	   *risks = NIL;
	char	   *dependent = dependent_on_values(hone_advise_effects(run, c));
	bool		guess = false;

	if (c->ban)
		risks = lappend(risks, unconstify(char *, hone_advise_ban_risk(c->ban)));
	for (int i = 0; i < run->nstatements; i++)
		guess |= uses_candidate(run->statements[i], c) &&
			hone_advise_is_guess(run->statements[i], c);
	if (guess)
		risks = lappend(risks, "It serves the order, not the filter: the gain rests on the planner's"
						" assumption that matching rows are spread evenly, and was counted with a"
						" discount. Only running the queries with it settles that.");
	if (dependent)
		risks = lappend(risks, dependent);
	if (c->predicate && !c->predicate->literal)
		risks = lappend(risks, "Its predicate's value is a parameter that was the same in nearly all samples:"
						" plans made for unknown values (plan_cache_mode = force_generic_plan) cannot use it.");
	for (int i = 0; i < c->nkeys; i++)
		if (c->keys[i].attno == 0)
		{
			risks = lappend(risks, "The planner knows the values of its expression only when the table has been"
							" analyzed after it was built: hone.apply() does that, by hand run ANALYZE.");
			break;
		}
	if (!hone_advise_has_statistics(c->relid))
		risks = lappend(risks, "The table was never analyzed, so the estimates are guesses: run ANALYZE, and ask again.");
	else if (is_stale(c->relid))
		risks = lappend(risks, "The statistics are old: more rows changed since the last ANALYZE than it counted.");
	return risks;
}

static void
append_effect(StringInfo buf, HoneRun *run, HoneCandidate *c)
{
	List	   *effects = hone_advise_effects(run, c);
	HoneFigures figures;
	HoneStatement *example;
	double		calls = 0;
	ListCell   *lc;

	hone_advise_figures(run, c, &figures);
	foreach(lc, effects)
		calls += ((HoneEffect *) lfirst(lc))->group->calls;
	appendStringInfo(buf, "Helps %d %s (%.0f %s) and makes %d dearer: estimated cost %.2f to %.2f (%+.1f %%).",
					 figures.helped, plural(figures.helped, "query", "queries"), calls,
					 calls == 1 ? "call" : "calls", figures.hurt,
					 figures.cost_before, figures.cost_after,
					 figures.cost_before > 0 ?
					 (figures.cost_after - figures.cost_before) / figures.cost_before * 100 : 0);
	if (effects == NIL)
		return;
	example = ((HoneEffect *) linitial(effects))->example;
	if (example && example->base_plan && example->final_plan)
		appendStringInfo(buf, " The plan \"%s\" becomes \"%s\".",
						 example->base_plan, example->final_plan);
}

static void
append_price(StringInfo buf, HoneRun *run, HoneCandidate *c)
{
	int			paying = list_length(hone_advise_paying(run, c));

	appendStringInfo(buf, " Size about %s; ", hone_advise_size_text(c->index->size_bytes));
	if (c->write_cost <= 0)
		appendStringInfoString(buf, "no write of the workload touches it.");
	else if (paying > 0)
		appendStringInfo(buf, "keeping it costs the writes of the workload, among them %d %s that %s nothing"
						 " from it, about %.2f in the same unit.",
						 paying, plural(paying, "query", "queries"),
						 plural(paying, "has", "have"), c->write_cost);
	else
		appendStringInfo(buf, "keeping it costs the writes of the workload about %.2f in the same unit.",
						 c->write_cost);
}

char *
hone_advise_reason(HoneRun *run, HoneCandidate *c)
{
	StringInfoData buf;
	ListCell   *lc;

	initStringInfo(&buf);
	append_effect(&buf, run, c);
	append_columns(&buf, run, c);
	append_price(&buf, run, c);
	foreach(lc, hone_advise_risks(run, c))
		appendStringInfo(&buf, " Risk: %s", (char *) lfirst(lc));
	if (get_rel_relkind(c->relid) == RELKIND_PARTITIONED_TABLE)
		appendStringInfoString(&buf, " hone.apply() builds it on each partition, one after the other and"
							   " CONCURRENTLY, and then attaches them.");
	return buf.data;
}

/* In which way the other index does its work (see existing.c: what covers what). */
static void
append_cover(StringInfo buf, const HoneDrop *drop, const char *cover_name)
{
	const HoneExisting *e = drop->existing;
	Oid			amoid = drop->new_cover ? drop->new_cover->amoid : drop->old_cover->amoid;
	int			nkeys = drop->new_cover ? drop->new_cover->nkeys : drop->old_cover->nkeys;
	const char *other = psprintf("%s %s", drop->new_cover ? "the recommended index" : "index",
								 quote_identifier(cover_name));

	if (amoid != e->amoid)
		appendStringInfo(buf, "It finds equal values only, and so does %s, whose first key is the same column.",
						 other);
	else if (nkeys == e->nkeys)
		appendStringInfo(buf, "It has the same %s as %s, which does its work too.",
						 plural(nkeys, "key", "keys"), other);
	else if (amoid == BTREE_AM_OID || amoid == GIST_AM_OID)
		appendStringInfo(buf, "Its %s of %s, which does its work too.",
						 plural(e->nkeys, "key is the first key", "keys are the first keys"), other);
	else
		appendStringInfo(buf, "Its %s among those of %s, whose order does not matter: that one does its work too.",
						 plural(e->nkeys, "key is", "keys are"), other);
}

char *
hone_advise_drop_reason(HoneRun *run pg_attribute_unused(), HoneDrop *drop,
						const char *cover_name)
{
	StringInfoData buf;

	initStringInfo(&buf);
	if (drop->evidence)
	{
		appendStringInfo(&buf, "%s Frees %s.", drop->evidence,
						 hone_advise_size_text(drop->existing->size_bytes));
		return buf.data;
	}
	append_cover(&buf, drop, cover_name);
	if (drop->statements > 0)
		appendStringInfo(&buf, " %d %s it; planned again without it, none is dearer by more than 10 %%.",
						 drop->statements, plural(drop->statements, "statement uses", "statements use"));
	else
		appendStringInfoString(&buf, " No statement of the workload uses it.");
	appendStringInfo(&buf, " Frees %s.", hone_advise_size_text(drop->existing->size_bytes));
	if (drop->new_cover)
		appendStringInfo(&buf, " Only after %s was created.", quote_identifier(cover_name));
	return buf.data;
}
