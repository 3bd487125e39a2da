/*
 * state.c
 *	  What is known of feeds: hone.feed_store and hone.feed_source_store.
 *
 * Every statement is static, fully qualified, and run as the extension's
 * owner. Who may do what is decided by the callers. Results are copied into
 * the memory context of the caller.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "base/compat.h"
#include "recent/recent.h"

#define MAX_PARAMS 16

/* A statement's parameters, filled one after the other. */
typedef struct Params
{
	int			n;
	Oid			types[MAX_PARAMS];
	Datum		values[MAX_PARAMS];
	char		nulls[MAX_PARAMS];
} Params;

static void
add(Params *params, Oid type, Datum value, bool isnull)
{
	Assert(params->n < MAX_PARAMS);
	params->types[params->n] = type;
	params->values[params->n] = value;
	params->nulls[params->n] = isnull ? 'n' : ' ';
	params->n++;
}

static void
add_text(Params *params, const char *value)
{
	add(params, TEXTOID, value ? CStringGetTextDatum(value) : (Datum) 0,
		value == NULL);
}

static void
add_oid(Params *params, Oid value)
{
	add(params, OIDOID, ObjectIdGetDatum(value), !OidIsValid(value));
}

static void
add_int(Params *params, int value)
{
	add(params, INT4OID, Int32GetDatum(value), false);
}

/* Enter our scope and SPI, and run; undone by finish(). */
static void
run(HoneScope *scope, const char *sql, Params *params, bool read_only)
{
	int			rc;

	hone_enter_owner(scope);
	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	rc = SPI_execute_with_args(sql, params->n, params->types, params->values,
							   params->nulls, read_only, 0);
	if (rc < 0)
		elog(ERROR, "SPI failed: %s", SPI_result_code_string(rc));
}

static void
finish(const HoneScope *scope)
{
	SPI_finish();
	hone_leave(scope);
}

static char *
text_of(MemoryContext context, int row, int column)
{
	char	   *value = SPI_getvalue(SPI_tuptable->vals[row],
									 SPI_tuptable->tupdesc, column);

	return value ? MemoryContextStrdup(context, value) : NULL;
}

static int64
number_of(int row, int column)
{
	bool		isnull;
	Datum		value = SPI_getbinval(SPI_tuptable->vals[row],
									  SPI_tuptable->tupdesc, column, &isnull);

	return isnull ? 0 : DatumGetInt64(value);
}

static void
load_sources(HoneFeed *feed, MemoryContext context)
{
	HoneScope	scope;
	Params		params = {0};

	add_int(&params, feed->feed_id);
	run(&scope,
		"SELECT source_id::bigint, relid::bigint, time_attnum::bigint, type, time_zone,"
		"       title, description, severity, filter,"
		"       title_tree, description_tree, severity_tree, filter_tree,"
		"       tree_version::bigint "
		"FROM hone.feed_source_store WHERE feed_id OPERATOR(pg_catalog.=) $1 "
		"ORDER BY source_id", &params, false);

	for (uint64 i = 0; i < SPI_processed; i++)
	{
		HoneFeedSource *source;
		MemoryContext old;

		source = MemoryContextAllocZero(context, sizeof(HoneFeedSource));
		source->source_id = (int) number_of(i, 1);
		source->relid = (Oid) number_of(i, 2);
		source->time_attnum = (AttrNumber) number_of(i, 3);
		source->type = text_of(context, i, 4);
		source->time_zone = text_of(context, i, 5);
		for (int a = 0; a < HONE_FEED_ARGUMENTS; a++)
		{
			source->text[a] = text_of(context, i, 6 + a);
			source->tree[a] = text_of(context, i, 6 + HONE_FEED_ARGUMENTS + a);
		}
		source->tree_version = (int) number_of(i, 6 + 2 * HONE_FEED_ARGUMENTS);

		old = MemoryContextSwitchTo(context);
		feed->sources = lappend(feed->sources, source);
		MemoryContextSwitchTo(old);
	}
	finish(&scope);
}

#define LOAD_FEED \
	"SELECT f.feed_id::bigint, f.feed::text, n.nspname::text, f.owner::bigint," \
	"  (EXTRACT(epoch FROM f.time_window) OPERATOR(pg_catalog.*) 1000000)::bigint," \
	"  f.per_source::bigint, f.mode, f.built_mode, c.oid::bigint, l.oid::bigint " \
	"FROM hone.feed_store f" \
	"  LEFT JOIN pg_catalog.pg_namespace n ON n.oid OPERATOR(pg_catalog.=) f.schema_oid" \
	"  LEFT JOIN pg_catalog.pg_class c ON c.oid OPERATOR(pg_catalog.=) f.feed_relid" \
	"  LEFT JOIN pg_catalog.pg_class l ON l.oid OPERATOR(pg_catalog.=) f.live_relid " \
	"WHERE f.feed OPERATOR(pg_catalog.=) $1::pg_catalog.name"

/* The feed with its sources, or NULL. */
HoneFeed *
hone_recent_load(const char *name, bool for_update)
{
	MemoryContext context = CurrentMemoryContext;
	HoneScope	scope;
	Params		params = {0};
	HoneFeed   *feed = NULL;

	add_text(&params, name);
	run(&scope, for_update ? LOAD_FEED " FOR UPDATE OF f" : LOAD_FEED,
		&params, false);
	if (SPI_processed == 1)
	{
		feed = MemoryContextAllocZero(context, sizeof(HoneFeed));
		feed->feed_id = (int) number_of(0, 1);
		feed->name = text_of(context, 0, 2);
		feed->schema = text_of(context, 0, 3);
		feed->owner = (Oid) number_of(0, 4);
		feed->window_us = number_of(0, 5);
		feed->per_source = (int) number_of(0, 6);
		feed->mode = text_of(context, 0, 7);
		feed->built_mode = text_of(context, 0, 8);
		feed->feed_relid = (Oid) number_of(0, 9);
		feed->live_relid = (Oid) number_of(0, 10);
	}
	finish(&scope);

	if (feed)
		load_sources(feed, context);
	return feed;
}

bool
hone_recent_exists(const char *name)
{
	return hone_recent_load(name, false) != NULL;
}

void
hone_recent_insert_feed(const char *name, Oid schema, Oid owner,
						int64 window_us, const int *per_source,
						const char *mode)
{
	HoneScope	scope;
	Params		params = {0};
	Interval	interval = {0};

	interval.time = window_us;
	add_text(&params, name);
	add_oid(&params, schema);
	add_oid(&params, owner);
	add(&params, INTERVALOID, IntervalPGetDatum(&interval), false);
	add(&params, INT4OID, per_source ? Int32GetDatum(*per_source) : (Datum) 0,
		per_source == NULL);
	add_text(&params, mode);
	run(&scope,
		"INSERT INTO hone.feed_store"
		" (feed, schema_oid, owner, time_window, per_source, mode)"
		" VALUES ($1::pg_catalog.name, $2, $3, $4, $5, $6)", &params, false);
	finish(&scope);
}

void
hone_recent_insert_source(const HoneFeed *feed, const HoneFeedSource *source)
{
	HoneScope	scope;
	Params		params = {0};

	add_int(&params, feed->feed_id);
	add_int(&params, source->source_id);
	add_oid(&params, source->relid);
	add_int(&params, source->time_attnum);
	add_text(&params, source->type);
	add_text(&params, source->time_zone);
	for (int a = 0; a < HONE_FEED_ARGUMENTS; a++)
		add_text(&params, source->text[a]);
	for (int a = 0; a < HONE_FEED_ARGUMENTS; a++)
		add_text(&params, source->tree[a]);
	add_int(&params, source->tree_version);
	run(&scope,
		"INSERT INTO hone.feed_source_store"
		" (feed_id, source_id, relid, time_attnum, type, time_zone,"
		"  title, description, severity, filter,"
		"  title_tree, description_tree, severity_tree, filter_tree, tree_version)"
		" VALUES ($1, $2, $3, $4::pg_catalog.int2, $5, $6, $7, $8, $9, $10,"
		"  $11, $12, $13, $14, $15)", &params, false);
	finish(&scope);
}

/* What build_feed made; rows and ms count for a stored feed only. */
void
hone_recent_record_build(const HoneFeed *feed, int64 rows, double ms)
{
	HoneScope	scope;
	Params		params = {0};

	add_int(&params, feed->feed_id);
	add_text(&params, feed->built_mode);
	add_oid(&params, feed->feed_relid);
	add_oid(&params, feed->live_relid);
	add(&params, INT8OID, Int64GetDatum(rows), false);
	add(&params, FLOAT8OID, Float8GetDatum(ms), false);
	run(&scope,
		"UPDATE hone.feed_store SET built_mode = $2, feed_relid = $3,"
		"  live_relid = $4, built_at = pg_catalog.now(),"
		"  last_refresh = CASE $2 WHEN 'stored' THEN pg_catalog.now() END,"
		"  rows = CASE $2 WHEN 'stored' THEN $5 END,"
		"  last_ms = CASE $2 WHEN 'stored' THEN $6 END,"
		"  last_error = NULL, last_error_at = NULL "
		"WHERE feed_id OPERATOR(pg_catalog.=) $1", &params, false);
	finish(&scope);
}

void
hone_recent_record_refresh(const HoneFeed *feed, int64 rows, double ms)
{
	HoneScope	scope;
	Params		params = {0};

	add_int(&params, feed->feed_id);
	add(&params, INT8OID, Int64GetDatum(rows), false);
	add(&params, FLOAT8OID, Float8GetDatum(ms), false);
	run(&scope,
		"UPDATE hone.feed_store SET last_refresh = pg_catalog.now(),"
		"  rows = $2, last_ms = $3, refreshes = refreshes OPERATOR(pg_catalog.+) 1,"
		"  last_error = NULL, last_error_at = NULL "
		"WHERE feed_id OPERATOR(pg_catalog.=) $1", &params, false);
	finish(&scope);
}

void
hone_recent_record_failure(const HoneFeed *feed, const char *error)
{
	HoneScope	scope;
	Params		params = {0};

	add_int(&params, feed->feed_id);
	add_text(&params, error);
	run(&scope,
		"UPDATE hone.feed_store SET failures = failures OPERATOR(pg_catalog.+) 1,"
		"  last_error = $2, last_error_at = pg_catalog.clock_timestamp() "
		"WHERE feed_id OPERATOR(pg_catalog.=) $1", &params, false);
	finish(&scope);
}

/* Its sources go with it by the foreign key. */
void
hone_recent_delete(const HoneFeed *feed)
{
	HoneScope	scope;
	Params		params = {0};

	add_int(&params, feed->feed_id);
	run(&scope,
		"DELETE FROM hone.feed_store WHERE feed_id OPERATOR(pg_catalog.=) $1",
		&params, false);
	finish(&scope);
}
