SET client_min_messages = warning; CREATE EXTENSION IF NOT EXISTS pg_hone; RESET client_min_messages;
CREATE SCHEMA recent_feed;
SET search_path = recent_feed, public;
-- The user's tables, their time indexed; and three more kinds of time.
CREATE TABLE metrics (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, metric_name varchar(50), value numeric, "timestamp" timestamptz);
CREATE TABLE telemetry_events (event_type varchar(50), event_data jsonb, severity varchar(20), "timestamp" timestamptz);
BEGIN;
INSERT INTO metrics (metric_name, value, "timestamp")
	SELECT 'm' || i % 10, i, now() - i * interval '1 second' FROM generate_series(1, 100000) i;
INSERT INTO telemetry_events
	SELECT 'e' || i % 10, '{"message": "hello"}', 'info', now() - i * interval '1 second' FROM generate_series(1, 100000) i;
COMMIT;
CREATE INDEX ON metrics ("timestamp");
CREATE INDEX ON telemetry_events ("timestamp" DESC);
ANALYZE metrics;
ANALYZE telemetry_events;

-- Node types of a plan from the top, and whether it read at most n buffers.
CREATE FUNCTION plan_of(query text, n int, OUT merge_append bool, OUT sort_on_top bool, OUT few_buffers bool)
LANGUAGE plpgsql AS $$
DECLARE
	plan jsonb;
BEGIN
	EXECUTE 'EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) ' || query INTO plan;
	plan := plan->0->'Plan';
	merge_append := jsonb_path_exists(plan, '$.**."Node Type" ? (@ == "Merge Append")');
	sort_on_top := plan->>'Node Type' ~ 'Sort' OR plan->'Plans'->0->>'Node Type' ~ 'Sort';
	few_buffers := (plan->>'Shared Hit Blocks')::int + (plan->>'Shared Read Blocks')::int <= n;
END $$;

-- Live, because both sources have their index.
SELECT hone.create_feed(schema => 'recent_feed');
SELECT hone.add_feed_source('recent_activities', 'metrics', 'metric', 'timestamp',
	title => $$metric_name || ' = ' || value$$, severity => $$'info'$$);
SELECT hone.add_feed_source('recent_activities', 'telemetry_events', 'telemetry', 'timestamp',
	title => 'event_type', description => $$event_data->>'message'$$, severity => 'severity',
	filter => $$severity IN ('info', 'error')$$);
SELECT source_id, relation, mode, missing_index FROM hone.build_feed();
SELECT count(*), count(DISTINCT type), min(created_at) > now() - interval '1 hour' AS newest FROM recent_activities;
SELECT type, title, description, severity FROM recent_activities ORDER BY created_at DESC, type LIMIT 4;
SELECT * FROM plan_of('SELECT * FROM recent_activities ORDER BY created_at DESC LIMIT 20', 40);
SELECT * FROM plan_of('SELECT * FROM recent_activities_live ORDER BY created_at DESC LIMIT 20', 40);
-- The document's form, for comparison: it reads everything.
SELECT few_buffers FROM plan_of($$SELECT * FROM (
	SELECT metric_name AS title, "timestamp" AS created_at FROM metrics WHERE "timestamp" > now() - interval '24 hours'
	UNION ALL SELECT event_type, "timestamp" FROM telemetry_events WHERE "timestamp" > now() - interval '24 hours') u
	ORDER BY created_at DESC LIMIT 20$$, 400);
SELECT * FROM hone.verify_feed();
SELECT outcome, rows FROM hone.refresh_feed();
-- Always fresh.
INSERT INTO metrics (metric_name, value, "timestamp") VALUES ('fresh', 1, now());
SELECT title FROM recent_activities ORDER BY created_at DESC LIMIT 1;
-- Grants outlive a build, and so does the name in a reader's query.
GRANT SELECT ON recent_activities TO PUBLIC;
SELECT count(*) FROM hone.build_feed();
SELECT has_table_privilege('pg_monitor', 'recent_activities', 'SELECT');
SELECT feed, schema, declared_mode, mode, window_s, per_source, sources, staleness_s FROM hone.feed_status;
SELECT hone.drop_feed('recent_activities');
SELECT to_regclass('recent_activities'), to_regclass('recent_activities_live');

-- Without an index on one of them: stored.
DROP INDEX metrics_timestamp_idx;
SELECT hone.create_feed('acts', per_source => 100, schema => 'recent_feed');
SELECT hone.add_feed_source('acts', 'metrics', 'metric', 'timestamp', 'metric_name');
SELECT hone.add_feed_source('acts', 'telemetry_events', 'telemetry', 'timestamp', 'event_type');
SELECT source_id, relation, mode, missing_index FROM hone.build_feed('acts');
SELECT relkind FROM pg_class WHERE oid = 'acts'::regclass;
SELECT count(*) FROM acts;
SELECT * FROM hone.verify_feed('acts');
-- What made the document's refresh fail for ever: two events of one type and title in one transaction.
BEGIN;
INSERT INTO telemetry_events VALUES ('login', NULL, 'info', now()), ('login', NULL, 'info', now());
INSERT INTO metrics (metric_name, value, "timestamp") VALUES ('login', 1, now()), ('login', 1, now()), ('never', 1, NULL);
COMMIT;
SELECT * FROM hone.verify_feed('acts');
SELECT outcome, rows, ms > 0 AS took FROM hone.refresh_feed('acts');
SELECT * FROM hone.verify_feed('acts');
SELECT type, title, count(*) FROM acts WHERE title IN ('login', 'never') GROUP BY 1, 2 ORDER BY 1, 2;
-- Deletes and updates come through as well.
DELETE FROM metrics WHERE metric_name = 'login';
UPDATE telemetry_events SET event_type = 'logout' WHERE event_type = 'login';
SELECT outcome, rows FROM hone.refresh_feed('acts', "full" => true);
SELECT type, title, count(*) FROM acts WHERE title LIKE 'log%' GROUP BY 1, 2 ORDER BY 1, 2;
-- Users may refresh it as any materialized view.
REFRESH MATERIALIZED VIEW CONCURRENTLY acts;
REFRESH MATERIALIZED VIEW acts WITH NO DATA;
SELECT outcome, rows FROM hone.refresh_feed('acts');
SELECT feed, outcome, rows, error FROM hone.refresh_feeds();
SELECT mode, refreshes, failures, rows, last_ms > 0 AS took, staleness_s >= 0 AS aged FROM hone.feed_status WHERE feed = 'acts';
-- Given the index, it becomes live.
CREATE INDEX ON metrics ("timestamp" DESC);
SELECT source_id, mode, missing_index FROM hone.build_feed('acts');
SELECT relkind FROM pg_class WHERE oid = 'acts'::regclass;
SELECT hone.drop_feed('acts');

-- Times of every kind in one feed, in the zone that was declared.
CREATE TABLE zoned (n int PRIMARY KEY, at timestamptz);
CREATE TABLE zoneless (a text, b int, at timestamp, PRIMARY KEY (a, b));
CREATE TABLE dated (n int, at date);
CREATE TABLE parts (n int, at timestamptz, PRIMARY KEY (n, at)) PARTITION BY RANGE (at);
CREATE TABLE parts_now PARTITION OF parts DEFAULT;
CREATE VIEW seen AS SELECT n, at FROM zoned;
INSERT INTO zoned VALUES (1, now() - interval '1 hour'), (2, now() - interval '49 hours'), (3, NULL);
INSERT INTO zoneless VALUES ('x', 1, (now() - interval '1 hour') AT TIME ZONE 'Asia/Tokyo'),
	('x', 2, (now() - interval '49 hours') AT TIME ZONE 'Asia/Tokyo');
INSERT INTO dated VALUES (1, (now() AT TIME ZONE 'America/New_York')::date), (2, (now() AT TIME ZONE 'America/New_York')::date - 3);
INSERT INTO parts VALUES (1, now() - interval '1 hour'), (2, now() - interval '49 hours');
SELECT hone.create_feed('times', '2 days', NULL, 'stored', 'recent_feed');
SELECT hone.add_feed_source('times', 'zoned', 'zoned', 'at', 'n::text');
SELECT hone.add_feed_source('times', 'zoneless', 'zoneless', 'at', 'a || b', time_zone => 'Asia/Tokyo');
SELECT hone.add_feed_source('times', 'dated', 'dated', 'at', 'n', time_zone => 'America/New_York');
SELECT hone.add_feed_source('times', 'parts', 'parts', 'at', 'n');
SELECT * FROM hone.build_feed('times');
SET TimeZone = 'Pacific/Auckland';
SELECT type, title, description, severity, created_at > now() - interval '48 hours' AS inside,
	CASE WHEN type IN ('zoned', 'zoneless') THEN row_key END AS row_key
FROM times ORDER BY type;
SELECT * FROM hone.verify_feed('times');
SELECT outcome, rows FROM hone.refresh_feed('times');
SELECT * FROM hone.verify_feed('times');
RESET TimeZone;
-- One kind of row twice in one feed cannot collide either.
SELECT hone.add_feed_source('times', 'zoned', 'zoned', 'at', 'n::text');
SELECT count(*) FROM hone.build_feed('times');
SELECT count(*) FROM times WHERE type = 'zoned';
SELECT hone.drop_feed('times');

-- The index that a zone-less time needs is found when it is there.
CREATE INDEX ON zoned (at);
CREATE INDEX ON zoneless ((at AT TIME ZONE 'Asia/Tokyo') DESC);
SELECT hone.create_feed('indexed', schema => 'recent_feed');
SELECT hone.add_feed_source('indexed', 'zoned', 'zoned', 'at', 'n::text');
SELECT hone.add_feed_source('indexed', 'zoneless', 'zoneless', 'at', 'a', time_zone => 'Asia/Tokyo');
SELECT hone.add_feed_source('indexed', 'seen', 'view', 'at', 'n::text');
-- A view makes it live.
SELECT source_id, relation, mode, missing_index FROM hone.build_feed('indexed');
SELECT type, title FROM indexed ORDER BY type;
SELECT hone.drop_feed('indexed');

SET client_min_messages = warning;
RESET client_min_messages;

-- An index on the bare zone-less column at least bounds what is read.
CREATE TABLE local_times (id int PRIMARY KEY, at timestamp);
CREATE INDEX ON local_times (at);
INSERT INTO local_times SELECT i, (now() AT TIME ZONE 'Asia/Tokyo') - i * interval '1 hour' + interval '5 minutes'
FROM generate_series(0, 20000) i;
ANALYZE local_times;
SELECT hone.create_feed('bounded', schema => 'recent_feed', mode => 'live');
SELECT hone.add_feed_source('bounded', 'local_times', 'l', 'at', 'id', time_zone => 'Asia/Tokyo');
SELECT mode, missing_index FROM hone.build_feed('bounded');
SELECT count(*), min(title::int), max(title::int) FROM bounded;
SELECT few_buffers FROM plan_of('SELECT * FROM bounded', 20);
SELECT hone.drop_feed('bounded');

-- A partial index serves the source whose filter implies it, and no other.
CREATE TABLE filtered (id int PRIMARY KEY, kind varchar(10), n int, at timestamptz);
CREATE INDEX ON filtered (at DESC) WHERE kind IN ('error', 'critical') AND n > 5;
SELECT hone.create_feed('partial', schema => 'recent_feed', mode => 'live');
SELECT hone.add_feed_source('partial', 'filtered', 'p', 'at', 'kind', filter => $$n > 10 AND kind = 'error'$$);
SELECT hone.add_feed_source('partial', 'filtered', 'p', 'at', 'kind', filter => $$n > 4 AND kind = 'error'$$);
SELECT hone.add_feed_source('partial', 'filtered', 'p', 'at', 'kind');
SELECT source_id, missing_index FROM hone.build_feed('partial');
SELECT hone.drop_feed('partial');

-- Rows of inheritance children are told apart from their parent's.
CREATE TABLE parent (id int PRIMARY KEY, at timestamptz);
CREATE TABLE child () INHERITS (parent);
BEGIN;
INSERT INTO parent VALUES (1, now());
INSERT INTO child VALUES (1, now());
COMMIT;
SELECT hone.create_feed('family', schema => 'recent_feed', mode => 'stored');
SELECT hone.add_feed_source('family', 'parent', 'p', 'at', 'id');
SELECT count(*) FROM hone.build_feed('family');
SELECT outcome, rows FROM hone.refresh_feed('family');
SELECT hone.drop_feed('family');

-- As many sources as there may be, and one more.
SELECT hone.create_feed('many', schema => 'recent_feed');
SELECT count(hone.add_feed_source('many', 'metrics', 'metric ' || i, 'timestamp', 'metric_name'))
FROM generate_series(1, 64) i;
SELECT hone.add_feed_source('many', 'metrics', 'metric', 'timestamp', 'metric_name');
SELECT count(*), min(mode) FROM hone.build_feed('many');
SELECT merge_append, sort_on_top FROM plan_of('SELECT * FROM many ORDER BY created_at DESC LIMIT 20', 0);
SELECT * FROM hone.verify_feed('many');
SELECT hone.drop_feed('many');

SET client_min_messages = warning;
DROP SCHEMA recent_feed CASCADE;
