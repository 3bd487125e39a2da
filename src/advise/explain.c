/*
 * explain.c
 *	  Why: sentences a person can check.
 *
 * Names no statement and shows no value but those of a partial index's
 * predicate, because a reason is read by owners of tables who may not see the
 * statements. Figures are the planner's, under the set that was chosen.
 */
#include "postgres.h"

#include "catalog/pg_class.h"
#include "lib/stringinfo.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

#include "advise/internal.h"

#define NOTICEABLE 0.01			/* change of a cost that counts */

static bool
uses_candidate(HoneStatement *st, HoneCandidate *c)
{
	return st->final && bms_is_member(c->id, st->final->used);
}

/* What the statements that use the index do with one of its keys. */
static const char *
role_of(HoneRun *run, HoneCandidate *c, const HoneKey *key)
{
	static const char *const names[] = {"equality", "one of several values", "range",
	"join", "one side of an OR", "contained values"};
	bool		seen[lengthof(names)] = {false};
	bool		order = false;
	StringInfoData buf;

	for (int i = 0; i < run->nstatements; i++)
	{
		HoneStatement *st = run->statements[i];
		ListCell   *lr;
		ListCell   *lu;
		ListCell   *lo;

		if (!uses_candidate(st, c))
			continue;
		foreach(lr, st->rels)
		{
			HoneRelUse *rel = lfirst(lr);

			if (rel->relid != c->relid)
				continue;
			foreach(lu, rel->uses)
			{
				HoneUse    *use = lfirst(lu);

				if (strcmp(use->key.sql, key->sql) == 0)
					seen[use->kind] = true;
			}
			foreach(lo, rel->orders)
				foreach(lu, ((HoneOrder *) lfirst(lo))->uses)
				order |= strcmp(((HoneUse *) lfirst(lu))->key.sql, key->sql) == 0;
		}
	}
	initStringInfo(&buf);
	for (int i = 0; i < (int) lengthof(names); i++)
		if (seen[i])
			appendStringInfo(&buf, "%s%s", buf.len > 0 ? ", " : "", names[i]);
	if (order)
		appendStringInfo(&buf, "%sorder", buf.len > 0 ? ", " : "");
	if (buf.len == 0)
		appendStringInfoString(&buf, "narrows the scan");
	return buf.data;
}

static void
append_columns(StringInfo buf, HoneRun *run, HoneCandidate *c)
{
	appendStringInfoString(buf, " Columns: ");
	for (int i = 0; i < c->nkeys; i++)
		appendStringInfo(buf, "%s%s (%s)", i > 0 ? ", " : "", c->keys[i].sql,
						 role_of(run, c, &c->keys[i]));
	if (c->nkeys > 1)
		appendStringInfoString(buf, "; what is compared for equality comes first, "
							   "because nothing after a range or an order narrows the scan");
	for (int i = 0; i < c->nincluded; i++)
		appendStringInfo(buf, "%s%s", i > 0 ? ", " : "; only to be read from the index: ",
						 quote_identifier(get_attname(c->relid, c->included[i], false)));
	appendStringInfoChar(buf, '.');
}

static void
append_risks(StringInfo buf, HoneRun *run, HoneCandidate *c)
{
	bool		guess = false;

	for (int i = 0; i < run->nstatements; i++)
		guess |= uses_candidate(run->statements[i], c) &&
			hone_advise_is_guess(run->statements[i], c);
	if (c->predicate)
		appendStringInfo(buf, " Holds only rows with %s, about %.1f %% of the table.%s",
						 c->predicate->sql, c->predicate->selectivity * 100,
						 c->predicate->literal ? "" :
						 " The value is a parameter that was the same in nearly all samples: "
						 "plans made for unknown values (plan_cache_mode = force_generic_plan) cannot use it.");
	if (guess)
		appendStringInfoString(buf, " Risk: it serves the order, not the filter; the gain rests on the "
							   "planner's assumption that matching rows are spread evenly, and was counted with a discount.");
}

typedef struct Tally
{
	int			helped;
	int			hurt;
	double		calls;
	double		before;
	double		after;
	HoneStatement *example;
} Tally;

/* Over the queries (not samples) whose plans use the candidate. */
static Tally
tally(HoneRun *run, HoneCandidate *c)
{
	Tally		t = {0};
	ListCell   *lc;
	double		best = 0;

	foreach(lc, run->groups)
	{
		HoneQueryGroup *group = lfirst(lc);
		double		before = 0;
		double		after = 0;
		bool		uses = false;

		for (int i = 0; i < run->nstatements; i++)
		{
			HoneStatement *st = run->statements[i];

			if (st->group != group || st->failure || !st->final)
				continue;
			before += st->weight * st->base_cost;
			after += st->weight * st->final->planner_cost;
			if (!uses_candidate(st, c))
				continue;
			uses = true;
			if (t.example == NULL ||
				st->weight * (st->base_cost - st->final->planner_cost) > best)
			{
				best = st->weight * (st->base_cost - st->final->planner_cost);
				t.example = st;
			}
		}
		if (!uses)
			continue;
		t.before += before;
		t.after += after;
		t.calls += group->calls;
		if (after < before * (1 - NOTICEABLE))
			t.helped++;
		else if (after > before * (1 + NOTICEABLE))
			t.hurt++;
	}
	return t;
}

static const char *
plural(int n, const char *one, const char *many)
{
	return n == 1 ? one : many;
}

static void
append_size(StringInfo buf, int64 bytes)
{
	if (bytes >= 10 * 1024 * 1024)
		appendStringInfo(buf, "%.0f MB", bytes / (1024.0 * 1024));
	else if (bytes >= 1024 * 1024)
		appendStringInfo(buf, "%.1f MB", bytes / (1024.0 * 1024));
	else
		appendStringInfo(buf, "%.0f kB", bytes / 1024.0);
}

void
hone_advise_figures(HoneRun *run, HoneCandidate *c, HoneFigures *figures)
{
	Tally		t = tally(run, c);

	figures->cost_before = t.before;
	figures->cost_after = t.after;
	figures->improvement = t.before > 0 ? Max(0, (t.before - t.after) / t.before) : 0;
	figures->helped = t.helped;
	figures->hurt = t.hurt;
}

char *
hone_advise_reason(HoneRun *run, HoneCandidate *c)
{
	StringInfoData buf;
	Tally		t = tally(run, c);

	initStringInfo(&buf);
	appendStringInfo(&buf, "Helps %d %s (%.0f %s) and makes %d dearer: estimated cost %.2f to %.2f (%+.1f %%).",
					 t.helped, plural(t.helped, "query", "queries"), t.calls,
					 t.calls == 1 ? "call" : "calls", t.hurt, t.before, t.after,
					 t.before > 0 ? (t.after - t.before) / t.before * 100 : 0);
	if (t.example && t.example->base_plan && t.example->final_plan)
		appendStringInfo(&buf, " The plan \"%s\" becomes \"%s\".",
						 t.example->base_plan, t.example->final_plan);
	append_columns(&buf, run, c);
	append_risks(&buf, run, c);
	appendStringInfoString(&buf, " Size about ");
	append_size(&buf, c->index->size_bytes);
	if (c->write_cost > 0)
		appendStringInfo(&buf, "; it costs the writes of the workload about %.2f in the same unit", c->write_cost);
	else
		appendStringInfoString(&buf, "; no write of the workload touches it");
	appendStringInfoChar(&buf, '.');
	if (get_rel_relkind(c->relid) == RELKIND_PARTITIONED_TABLE)
		appendStringInfoString(&buf, " To be built by hand, as hone.apply_all() passes over partitioned tables:"
							   " CONCURRENTLY on each partition, then on the parent, which takes them over.");
	return buf.data;
}

char *
hone_advise_drop_reason(HoneRun *run pg_attribute_unused(), HoneDrop *drop,
						const char *cover_name)
{
	StringInfoData buf;

	initStringInfo(&buf);
	if (drop->evidence)
	{
		appendStringInfo(&buf, "%s Frees ", drop->evidence);
		append_size(&buf, drop->existing->size_bytes);
		appendStringInfoChar(&buf, '.');
		return buf.data;
	}
	appendStringInfo(&buf, "Its keys are the first keys of %s %s, which does its work too.",
					 drop->new_cover ? "the recommended index" : "index",
					 quote_identifier(cover_name));
	if (drop->statements > 0)
		appendStringInfo(&buf, " %d %s it; planned again without it, none is dearer by more than 10 %%.",
						 drop->statements, plural(drop->statements, "statement uses", "statements use"));
	else
		appendStringInfoString(&buf, " No statement of the workload uses it.");
	appendStringInfoString(&buf, " Frees ");
	append_size(&buf, drop->existing->size_bytes);
	appendStringInfoChar(&buf, '.');
	if (drop->new_cover)
		appendStringInfo(&buf, " Only after %s was created.", quote_identifier(cover_name));
	return buf.data;
}

/* Why a candidate was not chosen. */
const char *
hone_advise_rejection(HoneRun *run, HoneCandidate *c)
{
	int64		used = 0;
	int			i = -1;

	if (c->rejection)
		return c->rejection;
	if (c->best_gain <= 0)
		return "no plan gets cheaper with it";
	if (c->best_gain <= c->write_cost)
		return "what it costs the writes exceeds its gain";
	if (c->best_gain <= 0.001 * run->improvable)
		return "its gain is below 0.1 % of what indexes could save in this workload";
	if (run->max_indexes >= 0 && bms_num_members(run->chosen) >= run->max_indexes)
		return "max_indexes was reached by better ones";
	while ((i = bms_next_member(run->chosen, i)) >= 0)
		used += run->candidates[i]->index->size_bytes;
	if (run->budget >= 0 && used + c->index->size_bytes > run->budget)
		return "it does not fit in what better ones leave of the storage budget";
	return "the chosen indexes already serve these queries, or serve them better";
}
