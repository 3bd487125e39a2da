-- recent: feeds of recent activities.

CREATE TABLE hone.feed_store (
	feed_id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	feed name NOT NULL UNIQUE,
	schema_oid oid NOT NULL,
	owner oid NOT NULL,
	time_window interval NOT NULL,
	per_source int,
	mode text NOT NULL CHECK (mode IN ('auto', 'live', 'stored')),
	built_mode text CHECK (built_mode IN ('live', 'stored')),
	feed_relid oid,
	live_relid oid,
	built_at timestamptz,
	last_refresh timestamptz,
	last_ms float8,
	rows bigint,
	refreshes bigint NOT NULL DEFAULT 0,
	failures bigint NOT NULL DEFAULT 0,
	last_error text,
	last_error_at timestamptz
);
COMMENT ON TABLE hone.feed_store IS 'feeds: what was declared, what was built, and how the last refresh went';

CREATE TABLE hone.feed_source_store (
	feed_id int NOT NULL REFERENCES hone.feed_store ON DELETE CASCADE,
	source_id int NOT NULL,
	relid oid NOT NULL,
	time_attnum int2 NOT NULL,
	type text NOT NULL,
	time_zone text,
	title text NOT NULL,
	description text,
	severity text,
	filter text,
	title_tree text NOT NULL,
	description_tree text,
	severity_tree text,
	filter_tree text,
	tree_version int NOT NULL,
	PRIMARY KEY (feed_id, source_id)
);
COMMENT ON TABLE hone.feed_source_store IS 'sources of feeds; each expression as qualified text and as a tree that follows renames';

CREATE FUNCTION hone.create_feed(feed name DEFAULT 'recent_activities',
	"window" interval DEFAULT '24 hours', per_source int DEFAULT 1000,
	mode text DEFAULT 'auto', schema name DEFAULT 'public')
RETURNS void LANGUAGE c VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'hone_recent_create_feed';
COMMENT ON FUNCTION hone.create_feed(name, interval, int, text, name) IS 'declares a feed of the newest rows of a time window';

CREATE FUNCTION hone.add_feed_source(feed name, relation regclass, type text,
	time_column name, title text, description text DEFAULT NULL,
	severity text DEFAULT NULL, filter text DEFAULT NULL, time_zone text DEFAULT NULL)
RETURNS void LANGUAGE c VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'hone_recent_add_feed_source';
COMMENT ON FUNCTION hone.add_feed_source(name, regclass, text, name, text, text, text, text, text) IS 'adds a table or view to a feed; title, description, severity and filter are scalar expressions over it';

CREATE FUNCTION hone.build_feed(feed name DEFAULT 'recent_activities')
RETURNS TABLE (source_id int, relation text, mode text, missing_index text)
LANGUAGE c VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'hone_recent_build_feed';
COMMENT ON FUNCTION hone.build_feed(name) IS 'makes the views of a feed, and names the index that a source lacks';

CREATE FUNCTION hone.refresh_feed(feed name DEFAULT 'recent_activities', "full" bool DEFAULT false,
	OUT outcome text, OUT rows bigint, OUT ms float8)
LANGUAGE c VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'hone_recent_refresh_feed';
COMMENT ON FUNCTION hone.refresh_feed(name, bool) IS 'renews a stored feed; skips when another refresh runs';

CREATE FUNCTION hone.verify_feed(feed name DEFAULT 'recent_activities',
	OUT missing bigint, OUT extra bigint)
LANGUAGE c VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'hone_recent_verify_feed';
COMMENT ON FUNCTION hone.verify_feed(name) IS 'compares a feed with its definition in one snapshot';

CREATE FUNCTION hone.drop_feed(feed name)
RETURNS void LANGUAGE c VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'hone_recent_drop_feed';
COMMENT ON FUNCTION hone.drop_feed(name) IS 'drops a feed and its views';

CREATE FUNCTION hone.feed_failed(feed name, error text)
RETURNS void LANGUAGE c VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'hone_recent_feed_failed';
COMMENT ON FUNCTION hone.feed_failed(name, text) IS 'notes a failed refresh; used by hone.refresh_feeds()';

CREATE VIEW hone.feed_status WITH (security_barrier) AS
SELECT f.feed,
	n.nspname AS schema,
	pg_catalog.pg_get_userbyid(f.owner) AS owner,
	f.mode AS declared_mode,
	f.built_mode AS mode,
	EXTRACT(epoch FROM f.time_window)::float8 AS window_s,
	f.per_source,
	(SELECT pg_catalog.count(*) FROM hone.feed_source_store s WHERE s.feed_id = f.feed_id) AS sources,
	f.built_at,
	f.last_refresh,
	CASE f.built_mode WHEN 'live' THEN 0
		ELSE EXTRACT(epoch FROM pg_catalog.clock_timestamp() - f.last_refresh)::float8 END AS staleness_s,
	f.last_ms,
	f.rows,
	f.refreshes,
	f.failures,
	f.last_error,
	f.last_error_at
FROM hone.feed_store f
	LEFT JOIN pg_catalog.pg_namespace n ON n.oid = f.schema_oid
WHERE pg_catalog.pg_has_role(f.owner, 'USAGE')
	OR pg_catalog.pg_has_role('pg_read_all_stats', 'USAGE');
COMMENT ON VIEW hone.feed_status IS 'feeds and how they are: mode, age, last refresh, failures';

CREATE VIEW hone.feed_sources WITH (security_barrier) AS
SELECT f.feed, s.source_id, s.relid::pg_catalog.regclass AS relation, s.type,
	a.attname AS time_column, s.time_zone, s.title, s.description, s.severity, s.filter
FROM hone.feed_source_store s
	JOIN hone.feed_store f ON f.feed_id = s.feed_id
	LEFT JOIN pg_catalog.pg_attribute a ON a.attrelid = s.relid AND a.attnum = s.time_attnum
WHERE pg_catalog.pg_has_role(f.owner, 'USAGE')
	OR pg_catalog.pg_has_role('pg_read_all_stats', 'USAGE');
COMMENT ON VIEW hone.feed_sources IS 'sources of feeds as they were declared';

-- One feed that fails must not stop the others, and its error is kept.
CREATE FUNCTION hone.refresh_feeds(
	OUT feed name, OUT outcome text, OUT rows bigint, OUT ms float8, OUT error text)
RETURNS SETOF record LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
BEGIN
	-- Noting the failure of each feed would fail, and hide why.
	IF pg_is_in_recovery() THEN
		RAISE EXCEPTION USING ERRCODE = 'read_only_sql_transaction',
			MESSAGE = 'cannot execute hone.refresh_feeds() during recovery';
	END IF;
	FOR feed IN
		SELECT s.feed FROM hone.feed_status s
		WHERE s.mode = 'stored' AND pg_has_role(s.owner, 'USAGE')
		ORDER BY s.last_refresh NULLS FIRST, s.feed
	LOOP
		error := NULL;
		BEGIN
			SELECT r.outcome, r.rows, r.ms INTO outcome, rows, ms
			FROM hone.refresh_feed(feed) r;
		EXCEPTION WHEN OTHERS THEN
			outcome := 'failed';
			rows := NULL;
			ms := NULL;
			error := SQLERRM;
			PERFORM hone.feed_failed(feed, error);
		END;
		RETURN NEXT;
	END LOOP;
END
$$;
COMMENT ON FUNCTION hone.refresh_feeds() IS 'renews every stored feed that the caller may refresh';

CREATE FUNCTION hone.refresh_recent_activities(OUT outcome text, OUT rows bigint, OUT ms float8)
LANGUAGE sql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$ SELECT outcome, rows, ms FROM hone.refresh_feed('recent_activities') $$;
COMMENT ON FUNCTION hone.refresh_recent_activities() IS 'renews the feed recent_activities';
