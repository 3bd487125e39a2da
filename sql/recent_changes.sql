SET client_min_messages = warning; CREATE EXTENSION IF NOT EXISTS pg_hone; RESET client_min_messages;
CREATE SCHEMA recent_changes;
SET search_path = recent_changes, public;
CREATE FUNCTION label(text) RETURNS text LANGUAGE sql IMMUTABLE AS $$ SELECT '<' || $1 || '>' $$;
CREATE TABLE a (id int PRIMARY KEY, what text, at timestamptz);
CREATE TABLE b (id int PRIMARY KEY, what text, at timestamptz);
INSERT INTO a VALUES (1, 'one', now());
INSERT INTO b VALUES (1, 'two', now());
SELECT hone.create_feed('f', mode => 'stored', schema => 'recent_changes');
SELECT hone.add_feed_source('f', 'a', 'a', 'at', 'label(what)');
SELECT hone.add_feed_source('f', 'b', 'b', 'at', 'what', filter => 'what <> ''none''');
SELECT count(*) FROM hone.build_feed('f');

-- Renames are followed, by refreshes and by builds.
ALTER TABLE a RENAME TO "A b";
ALTER TABLE "A b" RENAME what TO "why?";
ALTER TABLE "A b" RENAME at TO "When";
ALTER TABLE "A b" RENAME id TO "Id";
ALTER FUNCTION label(text) RENAME TO "Label";
SELECT outcome, rows FROM hone.refresh_feed('f');
SELECT * FROM hone.verify_feed('f');
SELECT source_id, relation, missing_index FROM hone.build_feed('f');
SELECT type, title, row_key FROM f ORDER BY type;
SELECT feed, source_id, relation, time_column FROM hone.feed_sources;
ALTER SCHEMA recent_changes RENAME TO "recent Changes";
SET search_path = "recent Changes", public;
SELECT outcome, rows FROM hone.refresh_feed('f');
SELECT count(*) FROM hone.build_feed('f');
SELECT type, title FROM f_live ORDER BY type;

-- The feed's views may be renamed; a build makes them under the feed's name again.
ALTER MATERIALIZED VIEW f RENAME TO g;
SELECT outcome, rows FROM hone.refresh_feed('f');
SELECT count(*) FROM hone.build_feed('f');
SELECT to_regclass('f') IS NOT NULL AS f, to_regclass('g') IS NOT NULL AS g;

-- A source cannot be dropped from under a feed; CASCADE takes the views.
DROP TABLE b;
ALTER TABLE b DROP COLUMN what;
SET client_min_messages = warning;
DROP TABLE b CASCADE;
RESET client_min_messages;
SELECT hone.refresh_feed('f');
SELECT outcome, rows, error FROM hone.refresh_feeds();
SELECT hone.build_feed('f');
SELECT hone.drop_feed('f');
SELECT count(*) FROM hone.feed_status;
SELECT relname FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace WHERE nspname = 'recent Changes' ORDER BY 1;

-- Changed types between declaration and build are noticed.
CREATE TABLE c (id int, what text, at timestamptz);
SELECT hone.create_feed('f', mode => 'live', schema => 'recent Changes');
SELECT hone.add_feed_source('f', 'c', 'c', 'at', 'upper(what)');
ALTER TABLE c ALTER what TYPE int USING 1;
SELECT hone.build_feed('f');
ALTER TABLE c ALTER what TYPE text;
ALTER TABLE c ALTER at TYPE date;
SELECT hone.build_feed('f');
ALTER TABLE c DROP COLUMN at;
SELECT hone.build_feed('f');
DROP TABLE c;
SELECT hone.build_feed('f');
SELECT hone.drop_feed('f');

-- A view on the feed stops a change that would drop it, and nothing happens.
SELECT hone.create_feed('f', mode => 'live', schema => 'recent Changes');
SELECT hone.add_feed_source('f', '"A b"', 'a', '"When"', '"why?"');
SELECT hone.add_feed_source('f', '"A b"', 'a', 'When', '"why?"');
SELECT count(*) FROM hone.build_feed('f');
CREATE VIEW mine AS SELECT title FROM f;
SELECT hone.drop_feed('f');
SELECT title FROM mine;
SELECT count(*) FROM hone.feed_status;

-- The views do not depend on the extension: they outlive it.
DROP EXTENSION pg_hone;
SELECT title FROM mine;
CREATE EXTENSION pg_hone;
SELECT count(*) FROM hone.feed_status;
SET client_min_messages = warning;
DROP SCHEMA "recent Changes" CASCADE;
