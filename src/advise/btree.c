/*
 * btree.c
 *	  btree candidates from what a statement does with a table.
 *
 * Order of columns: equalities first (those shared with other statements, then
 * the more selective), then at most one of a range or a wanted order, because
 * nothing after it narrows the scan. The same columns are also proposed singly
 * and in pairs: what the whole workload gains from which, the planner says.
 * A pure function of the uses read.
 */
#include "postgres.h"

#include "catalog/pg_am.h"
#include "common/hashfn.h"
#include "utils/builtins.h"
#include "utils/hsearch.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"

#include "advise/internal.h"

#define MAX_PER_KIND 6
#define MAX_PER_RELATION 48

/* The uses of one relation, by kind, each key once. */
typedef struct Parts
{
	HoneRun    *run;
	HoneStatement *st;
	HoneRelUse *rel;
	int			made;
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

static void
keep(HoneUse **array, int *n, HoneUse *use)
{
	for (int i = 0; i < *n; i++)
		if (strcmp(array[i]->key.sql, use->key.sql) == 0 &&
			array[i]->key.opclass == use->key.opclass)
			return;
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

static void
add_order(Keys *keys, const HoneOrder *order)
{
	bool		reverse = better_reversed(order);
	ListCell   *lc;

	foreach(lc, order->uses)
	{
		HoneKey		key = ((HoneUse *) lfirst(lc))->key;

		if (reverse)
		{
			key.desc = !key.desc;
			key.nulls_first = !key.nulls_first;
		}
		add_key(keys, &key);
	}
}

static void
propose(Parts *p, const Keys *keys)
{
	if (keys->n == 0 || p->made++ >= MAX_PER_RELATION)
		return;
	hone_advise_note(p->run, p->st,
					 hone_advise_propose_keys(p->run, p->rel->relid, keys->key, keys->n));
}

/* first..., then one more key (which may be NULL) */
static void
propose_with(Parts *p, HoneUse **first, int nfirst, HoneUse *last)
{
	Keys		keys = {0};

	add_uses(&keys, first, nfirst);
	if (last)
		add_key(&keys, &last->key);
	propose(p, &keys);
}

static void
propose_filters(Parts *p)
{
	for (int i = 0; i < p->nequal; i++)
		propose_with(p, &p->equal[i], 1, NULL);
	/* all equalities, with each of them first: other queries may share that one */
	for (int i = 0; i < p->nequal; i++)
	{
		Keys		keys = {0};

		add_key(&keys, &p->equal[i]->key);
		add_uses(&keys, p->equal, p->nequal);
		propose(p, &keys);
	}
	for (int i = 0; i < p->nin; i++)
	{
		propose_with(p, &p->in[i], 1, NULL);
		propose_with(p, p->equal, Min(p->nequal, HONE_MAX_KEYS - 1), p->in[i]);
	}
	for (int i = 0; i < p->narm; i++)
	{
		propose_with(p, &p->arm[i], 1, NULL);
		propose_with(p, p->equal, Min(p->nequal, HONE_MAX_KEYS - 1), p->arm[i]);
	}
	for (int i = 0; i < p->nrange; i++)
	{
		propose_with(p, &p->range[i], 1, NULL);
		propose_with(p, p->equal, Min(p->nequal, HONE_MAX_KEYS - 1), p->range[i]);
		for (int k = 0; k < p->nequal; k++)
			propose_with(p, &p->equal[k], 1, p->range[i]);
		for (int k = 0; k < Min(p->nin, 2); k++)
		{
			Keys		keys = {0};

			add_uses(&keys, p->equal, Min(p->nequal, HONE_MAX_KEYS - 2));
			add_key(&keys, &p->in[k]->key);
			add_key(&keys, &p->range[i]->key);
			propose(p, &keys);
		}
	}
	for (int i = 0; p->nequal > 2 && i < p->nequal; i++)
		for (int k = i + 1; k < p->nequal; k++)
			propose_with(p, &p->equal[i], 1, p->equal[k]);
}

static void
propose_orders(Parts *p)
{
	ListCell   *lc;

	foreach(lc, p->rel->orders)
	{
		HoneOrder  *order = lfirst(lc);
		Keys		keys = {0};

		add_order(&keys, order);
		propose(p, &keys);

		memset(&keys, 0, sizeof(keys));
		add_uses(&keys, p->equal, Min(p->nequal, HONE_MAX_KEYS - 1));
		add_order(&keys, order);
		propose(p, &keys);

		for (int i = 0; i < p->nequal; i++)
		{
			memset(&keys, 0, sizeof(keys));
			add_uses(&keys, &p->equal[i], 1);
			add_order(&keys, order);
			propose(p, &keys);
		}
		for (int i = 0; i < p->njoin; i++)
		{
			memset(&keys, 0, sizeof(keys));
			add_uses(&keys, &p->join[i], 1);
			add_order(&keys, order);
			propose(p, &keys);
		}
		if (p->nin > 0)
		{
			memset(&keys, 0, sizeof(keys));
			add_uses(&keys, p->equal, Min(p->nequal, HONE_MAX_KEYS - 2));
			add_key(&keys, &p->in[0]->key);
			add_order(&keys, order);
			propose(p, &keys);
		}
	}
}

static void
propose_joins(Parts *p)
{
	for (int i = 0; i < p->njoin; i++)
	{
		HoneUse    *join = p->join[i];
		Keys		keys = {0};

		propose_with(p, &join, 1, NULL);

		/* both orders with the equalities, and a range after the join */
		propose_with(p, p->equal, Min(p->nequal, HONE_MAX_KEYS - 1), join);
		add_key(&keys, &join->key);
		add_uses(&keys, p->equal, p->nequal);
		propose(p, &keys);
		for (int k = 0; k < Min(p->nrange, 2); k++)
			propose_with(p, &join, 1, p->range[k]);

		/* all columns of a composite join */
		memset(&keys, 0, sizeof(keys));
		add_key(&keys, &join->key);
		for (int k = 0; k < p->njoin; k++)
			if (k != i && bms_overlap(p->join[k]->partners, join->partners))
				add_key(&keys, &p->join[k]->key);
		if (keys.n > 1)
			propose(p, &keys);
	}
}

void
hone_advise_btree(HoneRun *run, HoneStatement *st, HoneRelUse *rel)
{
	Parts		p = {0};
	ListCell   *lc;

	p.run = run;
	p.st = st;
	p.rel = rel;
	foreach(lc, rel->uses)
	{
		HoneUse    *use = lfirst(lc);

		switch (use->kind)
		{
			case HONE_USE_EQUAL:
				keep(p.equal, &p.nequal, use);
				break;
			case HONE_USE_IN:
				keep(p.in, &p.nin, use);
				break;
			case HONE_USE_RANGE:
				keep(p.range, &p.nrange, use);
				break;
			case HONE_USE_JOIN:
				keep(p.join, &p.njoin, use);
				break;
			case HONE_USE_ARM:
				keep(p.arm, &p.narm, use);
				break;
			case HONE_USE_CONTAINS:
				break;
		}
	}
	qsort(p.equal, p.nequal, sizeof(HoneUse *), by_sharing);

	if (rel->pages > 0 && rel->pages < HONE_SMALL_PAGES)
	{
		/* Said once, for "why not?" */
		HoneCandidate c = {0};

		if (p.nequal + p.nrange + p.nin == 0)
			return;
		c.relid = rel->relid;
		c.amoid = BTREE_AM_OID;
		c.nkeys = 1;
		c.keys[0] = (p.nequal > 0 ? p.equal[0] : p.nin > 0 ? p.in[0] : p.range[0])->key;
		c.rejection = "the table is small: scanning it is cheap";
		(void) hone_advise_propose(run, &c);
		return;
	}
	propose_filters(&p);
	propose_joins(&p);
	propose_orders(&p);
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
