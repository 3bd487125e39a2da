/*
 * recent.h
 *	  Feeds: recent activities, a union of sources ordered by time, newest
 *	  first; live (a view) or stored (a materialized view).
 *
 * recent.c   declares: the functions that a user calls to make and drop feeds
 * state.c    keeps: our two tables
 * expr.c     reads: a user's scalar expression over one source
 * build.c    makes: view texts, index checks and the feed's objects
 * refresh.c  renews and compares a stored feed
 */
#ifndef HONE_RECENT_H
#define HONE_RECENT_H

#include "base/owner.h"
#include "nodes/pg_list.h"
#include "utils/relcache.h"

#define HONE_FEED_MAX_SOURCES 64
#define HONE_FEED_LIVE_SUFFIX "_live"

/* The scalar expressions a source is declared with. */
typedef enum HoneFeedArgument
{
	HONE_FEED_TITLE,
	HONE_FEED_DESCRIPTION,
	HONE_FEED_SEVERITY,
	HONE_FEED_FILTER
} HoneFeedArgument;
#define HONE_FEED_ARGUMENTS (HONE_FEED_FILTER + 1)

typedef struct HoneFeedSource
{
	int			source_id;		/* 1.. within the feed */
	Oid			relid;
	AttrNumber	time_attnum;
	char	   *type;
	char	   *time_zone;		/* NULL for timestamp with time zone */

	/* Each as fully qualified text, and as a node tree that follows renames;
	 * NULL where not given. */
	char	   *text[HONE_FEED_ARGUMENTS];
	char	   *tree[HONE_FEED_ARGUMENTS];
	int			tree_version;	/* major version that wrote the trees */
} HoneFeedSource;

typedef struct HoneFeed
{
	int			feed_id;
	char	   *name;
	char	   *schema;			/* NULL when it was dropped */
	Oid			owner;
	int64		window_us;
	int			per_source;		/* 0: no cap */
	char	   *mode;			/* as asked for: auto, live, stored */
	char	   *built_mode;		/* live or stored; NULL before build_feed */
	Oid			feed_relid;		/* the built objects, or InvalidOid */
	Oid			live_relid;
	List	   *sources;		/* of HoneFeedSource *, by source_id */
} HoneFeed;

extern void hone_recent_init(void);

/* state.c */
extern HoneFeed *hone_recent_load(const char *name, bool for_update);
extern bool hone_recent_exists(const char *name);
extern void hone_recent_insert_feed(const char *name, Oid schema, Oid owner,
									int64 window_us, const int *per_source,
									const char *mode);
extern void hone_recent_insert_source(const HoneFeed *feed,
									  const HoneFeedSource *source);
extern void hone_recent_record_build(const HoneFeed *feed, int64 rows, double ms);
extern void hone_recent_record_refresh(const HoneFeed *feed, int64 rows, double ms);
extern void hone_recent_record_failure(const HoneFeed *feed, const char *error);
extern void hone_recent_delete(const HoneFeed *feed);

/* expr.c */
extern const char *hone_recent_argument_name(HoneFeedArgument argument);
extern Node *hone_recent_parse(Relation rel, const char *text,
							   const char *argument, Oid target_type);
extern char *hone_recent_deparse(Node *expr, Relation rel, const char *alias);

/* recent.c */
extern HoneFeed *hone_recent_open(const char *name, bool for_update);
extern void hone_recent_enter_feed_owner(HoneScope *scope, const HoneFeed *feed);
extern char *hone_recent_qualified_name(Oid relid);
extern void hone_recent_drop_relation(Oid relid);

/* refresh.c */
extern int64 hone_recent_count_rows(const HoneFeed *feed);

#endif							/* HONE_RECENT_H */
