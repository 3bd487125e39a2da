/*
 * merge.c
 *	  One index for two statements: from a candidate of this statement and one
 *	  of another on the same table, one that serves both.
 *
 *	  (a) and (a, b)					(a, b) with what both INCLUDE
 *	  (a, b) and (b, a, c), a and b	    (b, a, c): equalities have no order of
 *		compared for equality			  their own
 *	  (a, b) and (a, c)				    (a, b, c): the common ones first
 *	  (a) INCLUDE (x), (a) INCLUDE (y)  (a) INCLUDE (x, y)
 *	  (a) WHERE s = 1, (a) WHERE s = 2  (a) WHERE s IN (1, 2)
 *
 * The merged ones are added, the others stay: which are worth their place the
 * search decides. Their number is bounded, for a statement and for a run.
 */
#include "postgres.h"

#include "access/stratnum.h"
#include "catalog/pg_am.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "utils/array.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"

#include "advise/internal.h"
#include "advise/pool.h"
#include "base/owner.h"

#define MAX_PER_STATEMENT 8
#define MAX_PER_RUN 400
#define MIN_GAIN 0.005			/* of a statement's cost: useful */
#define MAX_VALUES 8			/* of an IN */

static bool
has_key(const HoneCandidate *c, const HoneKey *key)
{
	for (int i = 0; i < c->nkeys; i++)
		if (strcmp(c->keys[i].sql, key->sql) == 0)
			return true;
	return false;
}

static bool
same_keys(const HoneCandidate *a, const HoneCandidate *b)
{
	return a->nkeys == b->nkeys &&
		hone_health_is_prefix(a->keys, a->nkeys, b->keys, b->nkeys);
}

static bool
has_attribute(const HoneCandidate *c, AttrNumber attno)
{
	for (int i = 0; i < c->nkeys; i++)
		if (c->keys[i].attno == attno)
			return true;
	for (int i = 0; i < c->nincluded; i++)
		if (c->included[i] == attno)
			return true;
	return false;
}

/* All of both that the keys have not; false when that is too much. */
static bool
include_both(HoneCandidate *merged, const HoneCandidate *a, const HoneCandidate *b)
{
	const HoneCandidate *parts[] = {a, b};

	merged->nincluded = 0;
	for (int p = 0; p < 2; p++)
	{
		for (int i = 0; i < parts[p]->nincluded; i++)
		{
			if (has_attribute(merged, parts[p]->included[i]))
				continue;
			if (merged->nincluded == HONE_MAX_INCLUDED)
				return false;
			merged->included[merged->nincluded++] = parts[p]->included[i];
		}
		/* a key of the one that the merged keys have no room for */
		for (int i = 0; i < parts[p]->nkeys; i++)
			if (!has_key(merged, &parts[p]->keys[i]))
				return false;
	}
	return hone_advise_may_include(merged);
}

/* Does the statement compare the key for equality, wherever it reads the table? */
static bool
is_equality(const HoneStatement *st, const HoneCandidate *c, const HoneKey *key)
{
	ListCell   *lr;
	ListCell   *lu;

	foreach(lr, st->rels)
	{
		HoneRelUse *rel = lfirst(lr);

		if (rel->relid != c->relid)
			continue;
		foreach(lu, rel->uses)
		{
			HoneUse    *use = lfirst(lu);

			if ((use->kind == HONE_USE_EQUAL || use->kind == HONE_USE_JOIN) &&
				strcmp(use->key.sql, key->sql) == 0)
				return true;
		}
	}
	return false;
}

/*
 * Keys that serve both: first what the statement compares for equality and the
 * other begins with, in the other's order, then the rest of the other, if the
 * first covered all of one; false when neither would be served.
 */
static bool
merge_keys(HoneCandidate *merged, const HoneStatement *st, const HoneCandidate *mine,
		   const HoneCandidate *other)
{
	int			common = 0;

	while (common < other->nkeys && has_key(mine, &other->keys[common]) &&
		   is_equality(st, mine, &other->keys[common]))
		common++;
	if (common == 0)
	{
		/* one may still be the beginning of the other */
		if (!hone_health_is_prefix(mine->keys, mine->nkeys, other->keys, other->nkeys))
			return false;
		merged->nkeys = other->nkeys;
		memcpy(merged->keys, other->keys, sizeof(merged->keys));
		return true;
	}
	memcpy(merged->keys, other->keys, sizeof(merged->keys));
	merged->nkeys = common;
	for (int i = 0; i < mine->nkeys; i++)
		if (!has_key(merged, &mine->keys[i]))
		{
			if (merged->nkeys == HONE_MAX_KEYS)
				return false;
			merged->keys[merged->nkeys++] = mine->keys[i];
		}
	for (int i = common; i < other->nkeys; i++)
		if (!has_key(merged, &other->keys[i]))
		{
			if (merged->nkeys == HONE_MAX_KEYS)
				return false;
			merged->keys[merged->nkeys++] = other->keys[i];
		}
	return true;
}

/* The constants of column = constant, or of column = ANY (constants). */
static List *
values_of(Node *clause, Node **column, Oid *eqop, Oid *collation)
{
	List	   *values = NIL;
	Const	   *right;

	if (IsA(clause, OpExpr) && list_length(((OpExpr *) clause)->args) == 2)
	{
		*column = linitial(((OpExpr *) clause)->args);
		*eqop = ((OpExpr *) clause)->opno;
		*collation = ((OpExpr *) clause)->inputcollid;
		right = lsecond(((OpExpr *) clause)->args);
		return IsA(right, Const) && !right->constisnull ? list_make1(right) : NIL;
	}
	if (IsA(clause, ScalarArrayOpExpr) && ((ScalarArrayOpExpr *) clause)->useOr)
	{
		ScalarArrayOpExpr *saop = (ScalarArrayOpExpr *) clause;
		Datum	   *elems;
		bool	   *nulls;
		int			n;
		Oid			type;
		int16		len;
		bool		byval;
		char		align;

		*column = linitial(saop->args);
		*eqop = saop->opno;
		*collation = saop->inputcollid;
		right = lsecond(saop->args);
		if (!IsA(right, Const) || right->constisnull)
			return NIL;
		type = get_element_type(right->consttype);
		if (!OidIsValid(type))
			return NIL;
		get_typlenbyvalalign(type, &len, &byval, &align);
		deconstruct_array(DatumGetArrayTypeP(right->constvalue), type, len, byval, align,
						  &elems, &nulls, &n);
		for (int i = 0; i < n; i++)
			if (!nulls[i])
				values = lappend(values, makeConst(type, -1, right->constcollid, len,
												   elems[i], false, byval));
	}
	return values;
}

/* column IN (all values of both), or NULL. */
static Node *
merge_values(Node *a, Node *b)
{
	Node	   *column;
	Node	   *other_column;
	Oid			eqop;
	Oid			other_op;
	Oid			collation;
	Oid			other_collation;
	List	   *values = values_of(a, &column, &eqop, &collation);
	List	   *others = values_of(b, &other_column, &other_op, &other_collation);
	Const	   *first;
	Datum	   *elems;
	ScalarArrayOpExpr *saop;
	ArrayType  *array;
	ListCell   *lc;
	int16		len;
	bool		byval;
	char		align;
	int			n = 0;

	if (values == NIL || others == NIL || !equal(column, other_column) ||
		eqop != other_op || collation != other_collation ||
		get_mergejoin_opfamilies(eqop) == NIL)
		return NULL;
	first = linitial(values);
	foreach(lc, others)
	{
		if (((Const *) lfirst(lc))->consttype != first->consttype)
			return NULL;
		values = list_append_unique(values, lfirst(lc));
	}
	if (list_length(values) > MAX_VALUES || !OidIsValid(get_array_type(first->consttype)))
		return NULL;
	elems = palloc(sizeof(Datum) * list_length(values));
	foreach(lc, values)
		elems[n++] = ((Const *) lfirst(lc))->constvalue;

	get_typlenbyvalalign(first->consttype, &len, &byval, &align);
	array = construct_array(elems, n, first->consttype, len, byval, align);
	saop = makeNode(ScalarArrayOpExpr);
	saop->opno = eqop;
	saop->useOr = true;
	saop->inputcollid = collation;
	saop->location = -1;
	saop->args = list_make2(column,
							makeConst(get_array_type(first->consttype), -1,
									  first->constcollid, -1, PointerGetDatum(array),
									  false, false));
	return (Node *) saop;
}

static HonePredicate *
merge_predicates(Oid relid, const HonePredicate *a, const HonePredicate *b)
{
	Node	   *clause = merge_values(a->clause, b->clause);
	HonePredicate *merged;

	if (clause == NULL)
		return NULL;
	merged = palloc0(sizeof(HonePredicate));
	*merged = *a;
	merged->clause = clause;
	merged->sql = hone_health_expression_sql(relid, clause, false);
	merged->selectivity = Min(1, a->selectivity + b->selectivity);
	merged->literal = a->literal && b->literal;
	return merged;
}

/* One that serves both, in *merged; false when there is none. */
static bool
merge(HoneCandidate *merged, const HoneStatement *st, const HoneCandidate *mine,
	  const HoneCandidate *other)
{
	memset(merged, 0, sizeof(*merged));
	merged->relid = mine->relid;
	merged->amoid = mine->amoid;
	merged->seeded = true;
	merged->predicate = mine->predicate;
	if ((mine->predicate == NULL) != (other->predicate == NULL))
		return false;
	if (mine->predicate && strcmp(mine->predicate->sql, other->predicate->sql) != 0)
	{
		if (!same_keys(mine, other))
			return false;
		merged->predicate = merge_predicates(mine->relid, mine->predicate, other->predicate);
		if (merged->predicate == NULL)
			return false;
	}
	return merge_keys(merged, st, mine, other) && include_both(merged, mine, other);
}

static bool
may_merge(const HoneCandidate *c)
{
	return c->amoid == BTREE_AM_OID && c->rejection == NULL && !c->merged;
}

/* Candidates of the statement among these, with those that only others have. */
static void
merge_work(HoneRun *run, HoneStatement *st, List *queries pg_attribute_unused(),
		   ParamListInfo params pg_attribute_unused(), void *arg)
{
	Bitmapset  *among = arg;
	Bitmapset  *mine = bms_intersect(among, st->relevant);
	HoneScope	scope;
	int			made = 0;
	int			i = -1;
	MemoryContext old = MemoryContextSwitchTo(run->memory);

	hone_advise_enter_plain(&scope);
	while ((i = bms_next_member(mine, i)) >= 0)
	{
		int			k = -1;

		while ((k = bms_next_member(among, k)) >= 0)
		{
			HoneCandidate *a = run->candidates[i];
			HoneCandidate *b = run->candidates[k];
			HoneCandidate merged;
			HoneCandidate *known;
			int			before = run->ncandidates;

			if (a->relid != b->relid || !may_merge(a) || !may_merge(b) ||
				bms_is_member(k, mine))
				continue;
			if (made >= MAX_PER_STATEMENT || run->nmerged >= MAX_PER_RUN)
				break;
			if (!merge(&merged, st, a, b))
				continue;
			merged.merged = true;
			known = hone_advise_propose_covering(run, &merged);
			if (known && known->id >= before)
			{
				made++;
				run->nmerged++;
			}
		}
	}
	hone_leave(&scope);
	MemoryContextSwitchTo(old);
}

/* What some plan of some statement profits from. */
static Bitmapset *
useful_candidates(HoneRun *run)
{
	Bitmapset  *useful = NULL;

	for (int i = 0; i < run->nstatements; i++)
	{
		HoneStatement *st = run->statements[i];

		if (!st->failure)
			useful = bms_add_members(useful,
									 bms_intersect(hone_advise_pool_useful(run, st, MIN_GAIN * st->base_cost),
												   st->relevant));
	}
	return useful;
}

/*
 * When the pool knows which candidates some plan profits from: merge those of
 * each statement with those of the others. The merged ones are left in
 * run->candidates, for the statements to learn of.
 */
void
hone_advise_merge(HoneRun *run)
{
	Bitmapset  *useful = run->nstatements > 1 ? useful_candidates(run) : NULL;

	for (int i = 0; i < run->nstatements; i++)
		if (bms_overlap(useful, run->statements[i]->relevant))
			(void) hone_advise_with_statement(run, run->statements[i], merge_work, useful);
	bms_free(useful);
}
