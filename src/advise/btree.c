/*
 * btree.c
 *	  btree candidates from what a statement does with a table.
 *
 * Order of columns: equalities first (those shared with other statements, then
 * the more selective), then at most one of a range or a wanted order, because
 * nothing after it narrows the scan. The same columns are also proposed singly
 * and in pairs: what the whole workload gains from which, the planner says. The
 * most complete ones are also proposed with all that the statement reads
 * (cover.c), and over the rows of a restriction only. Those that would neither
 * narrow the scan nor give an order are left out. The more useful come first,
 * because their number is limited. A pure function of the uses read.
 */
#include "postgres.h"

#include "access/sysattr.h"
#include "catalog/pg_am.h"
#include "common/hashfn.h"
#include "utils/builtins.h"
#include "utils/hsearch.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/selfuncs.h"

#include "advise/internal.h"

#define MAX_PER_KIND 6
#define MAX_PER_RELATION 20		/* plain ones, of a statement */
#define MAX_COVERING 20		/* of those, also covering */
#define WIDE 0.3				/* share of rows that is no narrowing */

/* The uses of one relation, by kind, each key once. */
typedef struct Parts
{
	HoneRun    *run;
	HoneStatement *st;
	HoneRelUse *rel;
	int			made;
	int			ncovering;
	int			nequal;
	HoneUse    *equal[MAX_PER_KIND];
	int			nin;
	HoneUse    *in[MAX_PER_KIND];
	int			nrange;
	HoneUse    *range[MAX_PER_KIND];
	int			njoin;
	HoneUse    *join[MAX_PER_KIND];
	int			narm;
	HoneUse    *arm[MAX_PER_KIND];
} Parts;

/* Keys of a candidate in the making. */
typedef struct Keys
{
	int			n;
	HoneKey		key[HONE_MAX_KEYS];
} Keys;

/* The share of rows that pass both; a lower and an upper limit overlap little. */
static double
together(const HoneUse *a, const HoneUse *b)
{
	double		sum = a->selectivity + b->selectivity;

	if (a->kind == HONE_USE_RANGE && b->kind == HONE_USE_RANGE &&
		a->selectivity == DEFAULT_INEQ_SEL && b->selectivity == DEFAULT_INEQ_SEL)
		return DEFAULT_RANGE_INEQ_SEL;	/* as the planner guesses */
	if (a->kind == HONE_USE_RANGE && b->kind == HONE_USE_RANGE && sum > 1)
		return Max(sum - 1, 1e-6);
	return Min(a->selectivity, b->selectivity);
}

static void
keep(HoneUse **array, int *n, HoneUse *use)
{
	for (int i = 0; i < *n; i++)
		if (strcmp(array[i]->key.sql, use->key.sql) == 0 &&
			array[i]->key.opclass == use->key.opclass)
		{
			array[i]->selectivity = together(array[i], use);
			array[i]->partners = bms_union(array[i]->partners, use->partners);
			return;
		}
	if (*n < MAX_PER_KIND)
		array[(*n)++] = use;
}

static int
by_sharing(const void *a, const void *b)
{
	const HoneUse *x = *(HoneUse *const *) a;
	const HoneUse *y = *(HoneUse *const *) b;

	if (x->shared != y->shared)
		return x->shared > y->shared ? -1 : 1;
	if (x->selectivity != y->selectivity)
		return x->selectivity < y->selectivity ? -1 : 1;
	return strcmp(x->key.sql, y->key.sql);
}

static void
add_key(Keys *keys, const HoneKey *key)
{
	for (int i = 0; i < keys->n; i++)
		if (strcmp(keys->key[i].sql, key->sql) == 0)
			return;
	if (keys->n < HONE_MAX_KEYS)
		keys->key[keys->n++] = *key;
}

static void
add_uses(Keys *keys, HoneUse **uses, int n)
{
	for (int i = 0; i < n; i++)
		add_key(keys, &uses[i]->key);
}

/*
 * Is an order better written the other way round? A btree is read in both
 * directions, and what is compared for equality before it has no direction: so
 * (a, b DESC) is never needed for WHERE a = 1 ORDER BY b DESC. Only a mixed
 * order, or one with NULLS where they are not by default, keeps its words.
 */
static bool
better_reversed(const HoneOrder *order)
{
	int			odd = 0;
	ListCell   *lc;

	foreach(lc, order->uses)
		odd += ((HoneUse *) lfirst(lc))->key.desc ? 1 : -1;
	return odd > 0 || (odd == 0 && ((HoneUse *) linitial(order->uses))->key.desc);
}

/* As far as an index may hold it. */
static void
add_order(Keys *keys, const HoneOrder *order)
{
	bool		reverse = better_reversed(order);
	ListCell   *lc;

	foreach(lc, order->uses)
	{
		HoneUse    *use = lfirst(lc);
		HoneKey		key = use->key;

		if (use->unusable)
			break;
		if (reverse)
		{
			key.desc = !key.desc;
			key.nulls_first = !key.nulls_first;
		}
		add_key(keys, &key);
	}
}

static const HoneUse *
filter_of(HoneUse **uses, int n, const HoneKey *key)
{
	for (int i = 0; i < n; i++)
		if (strcmp(uses[i]->key.sql, key->sql) == 0)
			return uses[i];
	return NULL;
}

/* The share of the rows that a scan by these keys would still see. */
static double
narrowed(Parts *p, const Keys *keys)
{
	double		share = 1;

	for (int i = 0; i < keys->n; i++)
	{
		const HoneUse *use = filter_of(p->equal, p->nequal, &keys->key[i]);

		if (use == NULL)
			use = filter_of(p->in, p->nin, &keys->key[i]);
		if (use == NULL)
			use = filter_of(p->range, p->nrange, &keys->key[i]);
		if (use == NULL && filter_of(p->join, p->njoin, &keys->key[i]) != NULL)
			return 0;
		if (use == NULL)
			use = filter_of(p->arm, p->narm, &keys->key[i]);
		/* of an expression little is known before the index is imagined */
		if (use && use->key.attno == 0)
			share *= Min(use->selectivity, DEFAULT_RANGE_INEQ_SEL);
		else if (use)
			share *= use->selectivity;
	}
	return share;
}

static bool
compares(HoneUse **uses, int n, AttrNumber attno)
{
	for (int i = 0; i < n; i++)
		if (uses[i]->key.attno == attno)
			return true;
	return false;
}

/*
 * Is what the keys have not, of what is read, compared by the statement too? As
 * a further key it does more than in INCLUDE, and that one is proposed anyway.
 */
static bool
rest_is_key(Parts *p, const Keys *keys)
{
	int			col = -1;
	int			nequal = 0;
	int			nother = 0;

	while ((col = bms_next_member(p->rel->read, col)) >= 0)
	{
		AttrNumber	attno = col + FirstLowInvalidHeapAttributeNumber;
		bool		key = false;

		for (int i = 0; i < keys->n; i++)
			key |= keys->key[i].attno == attno;
		if (key)
			continue;
		if (compares(p->equal, p->nequal, attno))
			nequal++;
		else if (compares(p->range, p->nrange, attno) || compares(p->join, p->njoin, attno))
			nother++;
		else
			return false;
	}
	return nother == 0 || (nother == 1 && nequal == 0);
}

/* With all that is read, if there is room; whether the plain one is or not. */
static void
propose_covering(Parts *p, const Keys *keys, HonePredicate *predicate)
{
	HoneCandidate c = {0};

	if (keys->n == 0 || p->ncovering >= MAX_COVERING || rest_is_key(p, keys))
		return;
	c.relid = p->rel->relid;
	c.amoid = BTREE_AM_OID;
	c.nkeys = keys->n;
	memcpy(c.keys, keys->key, keys->n * sizeof(HoneKey));
	c.predicate = predicate;
	p->ncovering++;
	hone_advise_cover(p->run, p->st, p->rel, &c);
}

/* What keys are proposed for */
#define NARROW		0		/* fewer rows */
#define ORDERED		1		/* an order, a join: any share of the rows will do */

static void
propose(Parts *p, const Keys *keys, int purpose)
{
	if (keys->n == 0)
		return;
	propose_covering(p, keys, NULL);
	if (p->made >= MAX_PER_RELATION ||
		(purpose == NARROW && narrowed(p, keys) > WIDE))
		return;
	p->made++;
	hone_advise_note(p->run, p->st,
					 hone_advise_propose_keys(p->run, p->rel->relid, keys->key, keys->n));
}

/* first..., then one more key (which may be NULL) */
static void
propose_with(Parts *p, HoneUse **first, int nfirst, HoneUse *last, int purpose)
{
	Keys		keys = {0};

	add_uses(&keys, first, nfirst);
	if (last)
		add_key(&keys, &last->key);
	propose(p, &keys, purpose);
}

static void
propose_equalities(Parts *p)
{
	/* all equalities, with each of them first: other queries may share that one */
	for (int i = 0; i < p->nequal; i++)
	{
		Keys		keys = {0};

		add_key(&keys, &p->equal[i]->key);
		add_uses(&keys, p->equal, p->nequal);
		propose(p, &keys, NARROW);
	}
	for (int i = 0; i < p->nequal; i++)
		propose_with(p, &p->equal[i], 1, NULL, NARROW);
	for (int i = 0; p->nequal > 2 && i < p->nequal; i++)
		for (int k = i + 1; k < p->nequal; k++)
			propose_with(p, &p->equal[i], 1, p->equal[k], NARROW);
}

static void
propose_ranges(Parts *p)
{
	for (int i = 0; i < p->nrange; i++)
	{
		propose_with(p, p->equal, Min(p->nequal, HONE_MAX_KEYS - 1), p->range[i],
					 NARROW);
		propose_with(p, &p->range[i], 1, NULL, NARROW);
		for (int k = 0; k < p->nequal; k++)
			propose_with(p, &p->equal[k], 1, p->range[i], NARROW);
		for (int k = 0; k < Min(p->nin, 2); k++)
		{
			Keys		keys = {0};

			add_uses(&keys, p->equal, Min(p->nequal, HONE_MAX_KEYS - 2));
			add_key(&keys, &p->in[k]->key);
			add_key(&keys, &p->range[i]->key);
			propose(p, &keys, NARROW);
		}
	}
}

static void
propose_filters(Parts *p)
{
	ListCell   *lc;

	for (int i = 0; i < p->nin; i++)
	{
		propose_with(p, p->equal, Min(p->nequal, HONE_MAX_KEYS - 1), p->in[i],
					 NARROW);
		propose_with(p, &p->in[i], 1, NULL, NARROW);
		if (i > 0)
			propose_with(p, p->in, 2, NULL, NARROW);
	}
	propose_equalities(p);
	propose_ranges(p);
	foreach(lc, p->rel->groups)
	{
		Keys		keys = {0};
		ListCell   *lu;

		foreach(lu, lfirst(lc))
			add_key(&keys, &((HoneUse *) lfirst(lu))->key);
		propose(p, &keys, NARROW);
	}
	for (int i = 0; i < p->narm; i++)
	{
		propose_with(p, &p->arm[i], 1, NULL, ORDERED);
		propose_with(p, p->equal, Min(p->nequal, HONE_MAX_KEYS - 1), p->arm[i], NARROW);
	}
}

static void
propose_order(Parts *p, const HoneOrder *order)
{
	Keys		keys = {0};

	if (((HoneUse *) linitial(order->uses))->unusable)
		return;
	add_uses(&keys, p->equal, Min(p->nequal, HONE_MAX_KEYS - 1));
	add_order(&keys, order);
	propose(p, &keys, ORDERED);

	memset(&keys, 0, sizeof(keys));
	add_order(&keys, order);
	propose(p, &keys, ORDERED);

	for (int i = 0; i < p->nequal; i++)
	{
		memset(&keys, 0, sizeof(keys));
		add_uses(&keys, &p->equal[i], 1);
		add_order(&keys, order);
		propose(p, &keys, ORDERED);
	}
	for (int i = 0; i < Min(p->njoin, 3); i++)
	{
		memset(&keys, 0, sizeof(keys));
		add_uses(&keys, &p->join[i], 1);
		add_order(&keys, order);
		propose(p, &keys, ORDERED);
	}
	if (p->nin > 0)
	{
		memset(&keys, 0, sizeof(keys));
		add_uses(&keys, p->equal, Min(p->nequal, HONE_MAX_KEYS - 2));
		add_key(&keys, &p->in[0]->key);
		add_order(&keys, order);
		propose(p, &keys, ORDERED);
	}
}

static void
propose_joins(Parts *p)
{
	for (int i = 0; i < p->njoin; i++)
	{
		HoneUse    *join = p->join[i];
		Keys		keys = {0};

		/* all columns of a composite join */
		add_key(&keys, &join->key);
		for (int k = 0; k < p->njoin; k++)
			if (k != i && bms_overlap(p->join[k]->partners, join->partners))
				add_key(&keys, &p->join[k]->key);
		if (keys.n > 1)
			propose(p, &keys, ORDERED);

		propose_with(p, &join, 1, NULL, ORDERED);
		if (p->nequal > 0)
		{
			/* both orders with the equalities */
			propose_with(p, p->equal, Min(p->nequal, HONE_MAX_KEYS - 1), join,
						 ORDERED);
			memset(&keys, 0, sizeof(keys));
			add_key(&keys, &join->key);
			add_uses(&keys, p->equal, p->nequal);
			propose(p, &keys, ORDERED);
		}
		/* a range after the join */
		for (int k = 0; k < Min(p->nrange, 2); k++)
			propose_with(p, &join, 1, p->range[k], ORDERED);
	}
}

static bool
is_fixed(const HoneKey *key, const HonePredicate *predicate)
{
	return key->attno != 0 && bms_is_member(key->attno, predicate->fixed);
}

/*
 * Over the rows of a restriction only: by what else narrows or orders them; if
 * there is nothing, by the restricted column itself.
 */
static void
propose_partial(Parts *p, HonePredicate *predicate)
{
	HoneCandidate c = {0};
	Keys		keys = {0};

	for (int i = 0; i < p->nequal; i++)
		if (!is_fixed(&p->equal[i]->key, predicate))
			add_key(&keys, &p->equal[i]->key);
	if (p->rel->orders != NIL)
		add_order(&keys, linitial(p->rel->orders));
	else if (p->nrange > 0 && !is_fixed(&p->range[0]->key, predicate))
		add_key(&keys, &p->range[0]->key);
	else if (p->njoin > 0)
		add_key(&keys, &p->join[0]->key);
	for (int i = 0; keys.n == 0 && i < p->nin; i++)
		if (!is_fixed(&p->in[i]->key, predicate))
			add_key(&keys, &p->in[i]->key);
	if (keys.n == 0)
	{
		int			attno = bms_next_member(predicate->columns, -1);

		if (attno <= 0)
			return;
		keys.n = 1;
		keys.key[0] = hone_advise_column_key(p->rel->relid, attno);
		if (!OidIsValid(keys.key[0].opfamily))
			return;
	}
	c.relid = p->rel->relid;
	c.amoid = BTREE_AM_OID;
	c.nkeys = keys.n;
	memcpy(c.keys, keys.key, keys.n * sizeof(HoneKey));
	c.predicate = predicate;
	hone_advise_note(p->run, p->st, hone_advise_propose(p->run, &c));
	propose_covering(p, &keys, predicate);
}

/*
 * Nothing to look for, but few columns to read: a narrow index instead of the
 * table, whatever its first column.
 */
static void
propose_narrow(Parts *p)
{
	Keys		keys = {0};
	int			col = bms_next_member(p->rel->read, -1);

	if (p->ncovering > 0 || col < 0 || col + FirstLowInvalidHeapAttributeNumber <= 0)
		return;
	keys.n = 1;
	keys.key[0] = hone_advise_column_key(p->rel->relid,
										 col + FirstLowInvalidHeapAttributeNumber);
	if (!OidIsValid(keys.key[0].opfamily))
		return;
	if (bms_membership(p->rel->read) == BMS_SINGLETON)
		propose(p, &keys, ORDERED);
	else
		propose_covering(p, &keys, NULL);
}

static void
sort_uses(Parts *p, HoneRelUse *rel)
{
	ListCell   *lc;

	foreach(lc, rel->uses)
	{
		HoneUse    *use = lfirst(lc);

		if (use->unusable)
			continue;
		switch (use->kind)
		{
			case HONE_USE_EQUAL:
				keep(p->equal, &p->nequal, use);
				break;
			case HONE_USE_IN:
				keep(p->in, &p->nin, use);
				break;
			case HONE_USE_RANGE:
				keep(p->range, &p->nrange, use);
				break;
			case HONE_USE_JOIN:
				keep(p->join, &p->njoin, use);
				break;
			case HONE_USE_ARM:
				keep(p->arm, &p->narm, use);
				break;
			case HONE_USE_CONTAINS:
				break;
		}
	}
	qsort(p->equal, p->nequal, sizeof(HoneUse *), by_sharing);
	qsort(p->range, p->nrange, sizeof(HoneUse *), by_sharing);
}

void
hone_advise_btree(HoneRun *run, HoneStatement *st, HoneRelUse *rel)
{
	Parts		p = {0};
	ListCell   *lc;

	p.run = run;
	p.st = st;
	p.rel = rel;
	sort_uses(&p, rel);
	propose_filters(&p);
	propose_joins(&p);
	foreach(lc, rel->orders)
		propose_order(&p, lfirst(lc));
	foreach(lc, hone_advise_partial_predicates(run, rel))
		propose_partial(&p, lfirst(lc));
	propose_narrow(&p);
}

typedef struct SharingEntry
{
	char	   *key;
	double		weight;
} SharingEntry;

static uint32
sharing_hash(const void *key, Size keysize pg_attribute_unused())
{
	const char *text = *(char *const *) key;

	return DatumGetUInt32(hash_any((const unsigned char *) text, strlen(text)));
}

static int
sharing_match(const void *a, const void *b, Size keysize pg_attribute_unused())
{
	return strcmp(*(char *const *) a, *(char *const *) b);
}

/* For each equality: how much of the workload has the same one. */
void
hone_advise_count_sharing(HoneRun *run)
{
	HASHCTL		ctl = {0};
	HTAB	   *sharing;
	MemoryContext old = MemoryContextSwitchTo(run->memory);

	ctl.keysize = sizeof(char *);
	ctl.entrysize = sizeof(SharingEntry);
	ctl.hash = sharing_hash;
	ctl.match = sharing_match;
	ctl.hcxt = run->memory;
	sharing = hash_create("pg_hone shared equalities", 256, &ctl,
						  HASH_ELEM | HASH_FUNCTION | HASH_COMPARE | HASH_CONTEXT);
	for (int pass = 0; pass < 2; pass++)
		for (int i = 0; i < run->nstatements; i++)
		{
			HoneStatement *st = run->statements[i];
			ListCell   *lr;
			ListCell   *lu;

			foreach(lr, st->rels)
				foreach(lu, ((HoneRelUse *) lfirst(lr))->uses)
			{
				HoneUse    *use = lfirst(lu);
				char	   *key;
				SharingEntry *entry;
				bool		found;

				if (use->kind != HONE_USE_EQUAL && use->kind != HONE_USE_JOIN)
					continue;
				key = psprintf("%u %s", ((HoneRelUse *) lfirst(lr))->relid, use->key.sql);
				entry = hash_search(sharing, &key, HASH_ENTER, &found);
				if (!found)
					entry->weight = 0;
				if (pass == 0)
					entry->weight += st->weight * st->base_cost;
				else
					use->shared = entry->weight;
			}
		}
	hash_destroy(sharing);
	MemoryContextSwitchTo(old);
}
