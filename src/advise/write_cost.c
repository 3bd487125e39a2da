/*
 * write_cost.c
 *	  What an index costs the writes of a run, in planner cost units, over the
 *	  same executions the gains are counted over (writes.c says how many rows).
 *
 * Each INSERT makes an entry in every index whose predicate it meets, each
 * UPDATE that is not HOT too. An UPDATE that could be HOT stops being it when
 * an index depends on a column it changes (of summarising indexes such as BRIN:
 * before 16 only), and then also writes to all other indexes of the table; that
 * is charged to an index which is the only one in the way. What share of the
 * updates that nothing stands in the way of is HOT was counted by the server.
 * An entry costs
 * - the descent: comparisons on the way, pages of the way, a read where the
 *	 index is larger than the cache;
 * - WAL: its record, and the image of each page it is the first to change after
 *	 a checkpoint;
 * - writing back the pages it changed. How many those are depends on where
 *	 entries go: behind each other where the key grows with the table, behind
 *	 each other for each of its values where the key has few, else anywhere
 *	 (Cardenas' formula, for each checkpoint of the window);
 * - vacuum, when its row version is dead: a pass over the index for so many dead
 *	 rows as autovacuum waits for, and the pages changed by it.
 * What an access method does for an entry, compared with btree, are constants
 * that test/bench/write_cost measures.
 */
#include "postgres.h"

#include <math.h>

#include "access/htup_details.h"
#include "access/xlog.h"
#include "catalog/pg_am.h"
#include "catalog/pg_class.h"
#include "catalog/pg_collation.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_statistic.h"
#include "catalog/pg_type.h"
#include "commands/defrem.h"
#include "optimizer/cost.h"
#include "optimizer/optimizer.h"
#include "pgstat.h"
#include "postmaster/autovacuum.h"
#include "postmaster/bgwriter.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

#include "advise/internal.h"
#include "base/compat.h"

#define DEFAULT_HOT 0.9			/* of updates that may be, without counters */
#define MIN_UPDATES 100			/* counted, for a share of them to mean much */
#define PAGE_WORK 20			/* comparisons that a page on the way is worth */
#define ENTRY_WORK 100			/* and what is done at the end of it: locks, WAL */
#define FAR_WORK 400			/* more, the less of it fits in the CPU's caches */
#define NEAR_PAGES 300			/* of which half does */
#define BYTE_WORK 2.5			/* for each byte of the entry */
#define TEXT_WORK 8				/* of comparing by a collation */
#define EXPRESSION_WORK 150		/* to make ready, and evaluate, an expression */
#define OPEN_WORK 50			/* of each statement, whatever it writes */
#define USED_PAGES 1.3			/* of an index in use, to those of a new one */
#define RECORD_BYTES 60			/* of WAL beside the entry */
#define IMAGE_SHARE 0.7			/* of a page that is in its image */
#define ORDERED 0.95			/* correlation of a key that grows with the table */

double		hone_advise_write_cost_factor = 1.0;

/* What of an index the writes notice. */
typedef struct Shape
{
	Oid			relid;
	Oid			amoid;
	Oid			except;			/* the index itself, if it exists */
	const HoneKey *keys;
	int			nkeys;
	int			nexpressions;	/* the predicate is one */
	Bitmapset  *columns;
	double		selectivity;
	double		pages;
	double		tuples;
	int			height;
} Shape;

/* What statistics say of a shape's keys. */
typedef struct Places
{
	double		elements;		/* entries per row */
	double		places;			/* where inserted entries go; 0: anywhere */
} Places;

/* How often what happens to it. */
typedef struct Load
{
	double		inserts;		/* entries of new rows */
	double		updates;		/* entries of new versions of rows */
	double		lost;			/* updates that are not HOT because of it */
	double		dead;			/* entries that vacuum removes */
	double		dead_rows;		/* of the table */
	double		opened;			/* executions that made the index ready */
} Load;

/* An access method's work for an entry, compared with btree. */
typedef struct Method
{
	Oid			amoid;
	double		cpu;
	double		wal;
	double		pages;
} Method;

static const Method methods[] = {
	{BTREE_AM_OID, 1, 1, 1},
	{HASH_AM_OID, 0.6, 1.2, 1},
	{GIST_AM_OID, 1.7, 1.5, 1.3},
	{SPGIST_AM_OID, 1, 1.5, 1.3},
	{GIN_AM_OID, 0.14, 0.7, 1}, /* of one element */
	{BRIN_AM_OID, 0.02, 0.02, 0.02},
};

static const Method *
method_of(Oid amoid)
{
	for (int i = 0; i < (int) lengthof(methods); i++)
		if (methods[i].amoid == amoid)
			return &methods[i];
	return &methods[0];
}

/* Attribute statistics of a key that is a column. */
static HeapTuple
statistics_of(Oid relid, AttrNumber attno)
{
	HeapTuple	tuple;

	if (attno <= 0)
		return NULL;
	tuple = SearchSysCache3(STATRELATTINH, ObjectIdGetDatum(relid), Int16GetDatum(attno),
							BoolGetDatum(false));
	if (!HeapTupleIsValid(tuple))
		tuple = SearchSysCache3(STATRELATTINH, ObjectIdGetDatum(relid), Int16GetDatum(attno),
								BoolGetDatum(true));
	return HeapTupleIsValid(tuple) ? tuple : NULL;
}

/* The last number of a statistics slot; fallback when there is none. */
static double
last_number(HeapTuple tuple, int kind, double fallback)
{
	AttStatsSlot slot;
	double		result = fallback;

	if (tuple == NULL ||
		!get_attstatsslot(&slot, tuple, kind, InvalidOid, ATTSTATSSLOT_NUMBERS))
		return fallback;
	if (slot.nnumbers > 0)
		result = slot.numbers[slot.nnumbers - 1];
	free_attstatsslot(&slot);
	return result;
}

/*
 * Entries of one row in a GIN index: for arrays and tsvector ANALYZE counts
 * them; of other types we know how wide they are. A key or a value of a jsonb
 * takes some twelve bytes, of which jsonb_path_ops has values only, and a
 * trigram begins at each character.
 */
static double
elements_of(const HoneKey *key, Oid relid, HeapTuple tuple)
{
	Oid			type = key->attno > 0 ? getBaseType(get_atttype(relid, key->attno)) : InvalidOid;
	double		width = tuple ? ((Form_pg_statistic) GETSTRUCT(tuple))->stawidth : 32;

	switch (type)
	{
		case TEXTOID:
		case VARCHAROID:
		case BPCHAROID:
			return Max(1, width);
		case JSONBOID:
			return Max(1, key->opfamily ==
					   get_opclass_family(GetDefaultOpClass(JSONBOID, GIN_AM_OID)) ?
					   width / 12 : width / 25);
		case INT2OID:
		case INT4OID:
		case INT8OID:
		case DATEOID:
		case TIMESTAMPOID:
		case TIMESTAMPTZOID:
		case UUIDOID:
			return 1;
		default:
			return Max(1, last_number(tuple, STATISTIC_KIND_DECHIST, width / 10));
	}
}

static Places
places_of(const Shape *shape)
{
	Places		result = {0, 1};
	bool		done = false;

	for (int i = 0; i < shape->nkeys; i++)
	{
		HeapTuple	tuple = statistics_of(shape->relid, shape->keys[i].attno);

		if (shape->amoid == GIN_AM_OID)
			result.elements += elements_of(&shape->keys[i], shape->relid, tuple);
		else if (!done && tuple == NULL)
		{
			result.places = 0;
			done = true;
		}
		else if (!done && last_number(tuple, STATISTIC_KIND_CORRELATION, 0) >= ORDERED)
			done = true;		/* behind the last of those equal before it */
		else if (!done)
		{
			double		distinct = ((Form_pg_statistic) GETSTRUCT(tuple))->stadistinct;

			result.places *= distinct > 0 ? distinct :
				distinct < 0 ? -distinct * Max(shape->tuples, 1) : 200;
		}
		if (tuple)
			ReleaseSysCache(tuple);
	}
	if (shape->amoid != BTREE_AM_OID)
		result.places = 0;
	result.elements = Max(result.elements, 1);
	return result;
}

/* Tables with storage whose counters speak of this one. */
static List *
storage_of(Oid relid)
{
	if (get_rel_relkind(relid) != RELKIND_PARTITIONED_TABLE)
		return list_make1_oid(relid);
	return find_all_inheritors(relid, NoLock, NULL);
}

static bool
blocks_hot(Bitmapset *columns, Oid amoid, Bitmapset *changed)
{
	return bms_overlap(columns, changed) && hone_am_blocks_hot(amoid);
}

/* Is an existing index in the way of HOT already? */
static bool
is_blocked(HoneRun *run, Oid relid, Bitmapset *changed, Oid except)
{
	ListCell   *lc;

	foreach(lc, run->existing)
	{
		HoneExisting *e = lfirst(lc);

		if (e->relid == relid && e->oid != except && blocks_hot(e->columns, e->amoid, changed))
			return true;
	}
	return false;
}

/* Columns that an update changes, as numbers of the shape's table. */
static Bitmapset *
changed_of(const HoneWrite *write, Oid relid)
{
	return hone_advise_map_columns(write->changed, write->relid, relid);
}

/*
 * The share of updates that nothing stands in the way of which is HOT: the
 * server counts HOT ones among all, of which those in the way are none.
 */
static double
hot_share(HoneRun *run, Oid relid)
{
	double		updated = 0;
	double		hot = 0;
	double		rows = 0;
	double		blocked = 0;
	ListCell   *lc;

	foreach(lc, storage_of(relid))
	{
		PgStat_StatTabEntry *stat = pgstat_fetch_stat_tabentry(lfirst_oid(lc));

		if (stat)
		{
			updated += stat->tuples_updated;
			hot += stat->tuples_hot_updated;
		}
	}
	if (updated < MIN_UPDATES)
		return DEFAULT_HOT;
	foreach(lc, hone_advise_writes(run))
	{
		HoneWrite  *write = lfirst(lc);
		double		mine;

		if (write->command != CMD_UPDATE || !write->known)
			continue;
		mine = write->rows * hone_advise_write_share(write->relid, relid);
		rows += mine;
		if (is_blocked(run, relid, changed_of(write, relid), InvalidOid))
			blocked += mine;
	}
	if (blocked > 0.95 * rows)
		return DEFAULT_HOT;		/* hardly any could be */
	return Min(1, hot / updated / (1 - blocked / Max(rows, 1)));
}

/* One kind of update, known by the columns it changes. */
static void
add_update(HoneRun *run, const Shape *shape, Load *load, double rows, Bitmapset *changed,
		   double hot)
{
	double		moved;

	if (is_blocked(run, shape->relid, changed, shape->except))
		moved = rows;
	else if (blocks_hot(shape->columns, shape->amoid, changed))
	{
		moved = rows;
		load->lost += rows * hot;
	}
	else
		moved = rows * (1 - hot);
	load->updates += moved * shape->selectivity;
	load->dead += moved * shape->selectivity;
	load->dead_rows += moved;
}

static Load
load_of(HoneRun *run, const Shape *shape)
{
	Load		load = {0};
	double		known = 0;
	double		unknown = 0;
	double		scale;
	double		hot;
	ListCell   *lc;

	foreach(lc, hone_advise_writes(run))
	{
		HoneWrite  *write = lfirst(lc);
		double		rows = write->rows * hone_advise_write_share(write->relid, shape->relid);

		if (rows <= 0)
			continue;
		if (write->command != CMD_DELETE)
			load.opened += write->calls;
		if (write->command == CMD_INSERT)
			load.inserts += rows * shape->selectivity;
		else if (write->command == CMD_DELETE)
		{
			load.dead += rows * shape->selectivity;
			load.dead_rows += rows;
		}
		else if (write->known)
			known += rows;
		else
			unknown += rows;
	}
	if (known + unknown <= 0)
		return load;
	hot = hot_share(run, shape->relid);
	/* Updates that change nobody knows what are like the others. */
	scale = known > 0 ? (known + unknown) / known : 1;
	foreach(lc, hone_advise_writes(run))
	{
		HoneWrite  *write = lfirst(lc);

		if (write->command == CMD_UPDATE && write->known)
			add_update(run, shape, &load,
					   scale * write->rows * hone_advise_write_share(write->relid, shape->relid),
					   changed_of(write, shape->relid), hot);
	}
	if (known == 0)
		add_update(run, shape, &load, unknown, NULL, hot);
	return load;
}

/* Pages changed by n entries that go anywhere, or to a number of places. */
static double
cardenas(double pages, double n)
{
	return pages * (1 - exp(-n / pages));
}

/* How many checkpoints the writes were spread over. */
static double
checkpoints(HoneRun *run)
{
	return Max(1, run->window_s / Max(CheckPointTimeout, 1));
}

static double
entry_bytes(const Shape *shape)
{
	return Min(shape->tuples > 0 ? shape->pages * BLCKSZ / shape->tuples : 16, 2000);
}

/* Operators that finding an entry's place takes. */
static double
comparisons(const Shape *shape)
{
	double		each = 0;

	if (shape->amoid != BTREE_AM_OID)
		return log2(Max(shape->tuples, 2));
	for (int i = 0; i < shape->nkeys; i++)
	{
		Oid			type;
		int32		typmod;
		Oid			collation = shape->keys[i].collation;

		if (!OidIsValid(collation) && shape->keys[i].attno > 0)
			get_atttypetypmodcoll(shape->relid, shape->keys[i].attno, &type, &typmod, &collation);
		each += OidIsValid(collation) && collation != C_COLLATION_OID ? TEXT_WORK : 1;
	}
	return each * log2(Max(shape->tuples, 2));
}

/* Vacuums that so many dead rows bring about. */
static double
vacuums(const Shape *shape, double dead_rows)
{
	double		rows = Max(hone_advise_rows_of(shape->relid), 1);

	return dead_rows / (autovacuum_vac_thresh + Max(autovacuum_vac_scale, 0.01) * rows);
}

static HoneWriteCost
cost_of_load(HoneRun *run, const Shape *shape, const Load *load)
{
	HoneWriteCost cost = {0};
	const Method *method = method_of(shape->amoid);
	Places		where = places_of(shape);
	double		pages = Max(shape->pages, 1);
	double		miss = pages > effective_cache_size ? 1 - effective_cache_size / pages : 0;
	double		times = checkpoints(run);
	double		anywhere = load->updates;
	double		n = load->inserts + load->updates;
	double		per_entry;
	double		images;
	double		passes;
	double		bytes = entry_bytes(shape) / where.elements;

	cost.entries = n;
	cost.hot_lost = load->lost;
	n *= where.elements;
	anywhere *= where.elements;

	if (where.places > 0 && where.places < pages)
	{
		cost.pages_dirtied = times * cardenas(where.places, load->inserts / times) +
			load->inserts * bytes / BLCKSZ;
		cost.pages_dirtied = Min(cost.pages_dirtied, load->inserts);
	}
	else
		anywhere += load->inserts * where.elements;
	cost.pages_dirtied += times * cardenas(pages, anywhere * method->pages / times);
	images = fullPageWrites ? cost.pages_dirtied : 0;

	per_entry = cpu_index_tuple_cost + cpu_operator_cost *
		(comparisons(shape) + PAGE_WORK * (shape->height + 1) + ENTRY_WORK +
		 FAR_WORK * pages / (pages + NEAR_PAGES) + BYTE_WORK * bytes);
	cost.cpu = n * method->cpu * per_entry + anywhere * method->pages * miss * random_page_cost +
		load->lost * cpu_tuple_cost +
		cpu_operator_cost * (OPEN_WORK * load->opened +
							 EXPRESSION_WORK * shape->nexpressions * cost.entries /
							 Max(shape->selectivity, 0.001));
	cost.wal_bytes = n * method->wal * (RECORD_BYTES + bytes) + images * BLCKSZ * IMAGE_SHARE;

	passes = vacuums(shape, load->dead_rows);
	cost.vacuum = load->dead * where.elements * cpu_index_tuple_cost +
		seq_page_cost * (passes * pages +
						 2 * Max(passes, 1) * cardenas(pages, load->dead * where.elements /
													   Max(passes, 1)));
	if (shape->amoid == BRIN_AM_OID)
		cost.vacuum = passes * pages * seq_page_cost;
	cost.total = cost.cpu + cost.vacuum +
		seq_page_cost * (cost.wal_bytes / BLCKSZ + cost.pages_dirtied);
	return cost;
}

static Shape
shape_of_existing(const HoneExisting *e)
{
	Shape		shape = {0};

	shape.relid = e->relid;
	shape.amoid = e->amoid;
	shape.except = e->oid;
	shape.keys = e->keys;
	shape.nkeys = e->nkeys;
	shape.nexpressions = e->expressions + (e->predicate != NULL);
	shape.columns = e->columns;
	shape.selectivity = e->selectivity;
	shape.pages = e->pages;
	shape.tuples = e->tuples;
	shape.height = e->pages <= 1 ? 0 : (int) ceil(log(e->pages) / log(300));
	return shape;
}

/*
 * What updates that are not HOT cost one other index, beside what it has to bear
 * anyway; already: it has to bear them now.
 */
static void
add_lost_updates(HoneRun *run, const HoneExisting *e, double lost, bool already,
				 HoneWriteCost *sum)
{
	Shape		shape = shape_of_existing(e);
	Load		with = load_of(run, &shape);
	Load		without = with;
	HoneWriteCost dearer;
	HoneWriteCost cheaper;

	if (already)
	{
		without.updates = Max(0, without.updates - lost * e->selectivity);
		without.dead = Max(0, without.dead - lost * e->selectivity);
		without.dead_rows = Max(0, without.dead_rows - lost);
	}
	else
	{
		with.updates += lost * e->selectivity;
		with.dead += lost * e->selectivity;
		with.dead_rows += lost;
	}
	dearer = cost_of_load(run, &shape, &with);
	cheaper = cost_of_load(run, &shape, &without);
	sum->cpu += dearer.cpu - cheaper.cpu;
	sum->wal_bytes += dearer.wal_bytes - cheaper.wal_bytes;
	sum->pages_dirtied += dearer.pages_dirtied - cheaper.pages_dirtied;
	sum->vacuum += dearer.vacuum - cheaper.vacuum;
	sum->total += dearer.total - cheaper.total;
}

static HoneWriteCost
cost_of(HoneRun *run, const Shape *shape)
{
	Load		load = load_of(run, shape);
	HoneWriteCost cost = cost_of_load(run, shape, &load);
	ListCell   *lc;

	/* Updates that are no longer HOT write to all the others as well. */
	foreach(lc, run->existing)
	{
		HoneExisting *e = lfirst(lc);

		if (load.lost > 0 && e->relid == shape->relid && e->oid != shape->except)
			add_lost_updates(run, e, load.lost, OidIsValid(shape->except), &cost);
	}
	cost.total *= hone_advise_write_cost_factor;
	return cost;
}

double
hone_advise_write_cost(HoneRun *run, const HoneCandidate *c)
{
	Shape		shape = {0};

	shape.relid = c->relid;
	shape.amoid = c->amoid;
	shape.keys = c->keys;
	shape.nkeys = c->nkeys;
	shape.nexpressions = c->predicate != NULL;
	for (int i = 0; i < c->nkeys; i++)
		shape.nexpressions += c->keys[i].attno == 0;
	shape.columns = hone_advise_candidate_columns(c);
	shape.selectivity = c->predicate ? c->predicate->selectivity : 1.0;
	shape.pages = c->index->pages * (c->amoid == BTREE_AM_OID ? USED_PAGES : 1);
	shape.tuples = c->index->tuples;
	shape.height = Max(c->index->tree_height, 0);
	return cost_of(run, &shape).total;
}

HoneWriteCost
hone_advise_existing_write_costs(HoneRun *run, const HoneExisting *e)
{
	Shape		shape = shape_of_existing(e);

	return cost_of(run, &shape);
}

double
hone_advise_existing_write_cost(HoneRun *run, const HoneExisting *e)
{
	return hone_advise_existing_write_costs(run, e).total;
}
