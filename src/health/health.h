/*
 * health.h
 *	  What is known about the indexes there are.
 *
 * What an index is, and whether another one does all that it does (existing.c);
 * who is in need of it (guards), what it lacks, and which are missing is SQL:
 * health.sql. Needs no preloading and works on a standby.
 */
#ifndef HONE_HEALTH_H
#define HONE_HEALTH_H

#include "nodes/bitmapset.h"
#include "nodes/nodes.h"
#include "nodes/pg_list.h"
#include "utils/relcache.h"

/* A column or expression an index is, or could be, keyed by. */
typedef struct HoneKey
{
	const char *sql;			/* quoted column, or expression in parentheses;
								 * this is its identity */
	const char *label;			/* a word for it in the index's name */
	AttrNumber	attno;			/* 0 for an expression */
	Oid			opclass;		/* InvalidOid: the default one of the type */
	Oid			opfamily;
	Oid			collation;		/* InvalidOid: the key's own */
	bool		desc;
	bool		nulls_first;
	Bitmapset  *columns;		/* attributes it is made of */
} HoneKey;

/* What an existing index is, in a candidate's words. */
typedef struct HoneExisting
{
	Oid			oid;
	Oid			relid;
	Oid			amoid;
	const char *name;
	int			nkeys;
	HoneKey    *keys;
	Bitmapset  *included;
	Bitmapset  *columns;		/* all attributes it depends on */
	bool		expressions;	/* has a key that is not a column */
	const char *predicate;		/* NULL: none */
	const char *options;		/* storage parameters and those of operator classes */
	bool		unique;
	bool		immediate;		/* uniqueness is, not only at the end of a transaction */
	bool		nulls_equal;	/* NULLS NOT DISTINCT */
	bool		exclusion;
	bool		valid;
	bool		droppable;		/* as far as the index itself is concerned */
	List	   *fkeys;			/* of ForeignKeyCacheInfo: those it may support */
	double		pages;
	double		tuples;
	double		selectivity;	/* of its predicate */
	int64		size_bytes;
} HoneExisting;

/*
 * The caller has the table and the index open and locked, and search_path =
 * pg_catalog, pg_temp: so that equal things have equal text.
 */
extern HoneExisting *hone_health_describe(Relation table, Relation index, bool simplify);
extern char *hone_health_expression_sql(Oid relid, Node *expr, bool as_key);

extern bool hone_health_key_equal(const HoneKey *a, const HoneKey *b, bool reversed);
extern bool hone_health_is_prefix(const HoneKey *shorter, int nshorter,
								  const HoneKey *longer, int nlonger);
extern bool hone_health_keys_cover(Oid amoid, const HoneKey *wide, int nwide,
								   const HoneKey *narrow, int nnarrow);
extern bool hone_health_covers(const HoneExisting *wide, const HoneExisting *narrow);
extern bool hone_health_enforces(const HoneExisting *wide, const HoneExisting *narrow);

/* in health.c: pg_hone.unused_index_age, in minutes */
extern int	hone_health_unused_index_age;
extern void hone_health_init(void);

#endif							/* HONE_HEALTH_H */
