SET client_min_messages = warning; CREATE EXTENSION IF NOT EXISTS pg_hone; RESET client_min_messages;
CREATE SCHEMA recent_errors;
SET search_path = recent_errors, public;
\set VERBOSITY default
CREATE TABLE src (id int PRIMARY KEY, title text, value int, at timestamptz, zoneless timestamp, note jsonb);
CREATE INDEX ON src (at);
CREATE INDEX src_index ON src (value);

-- hone.create_feed
SELECT hone.create_feed(NULL);
SELECT hone.create_feed('');
SELECT hone.create_feed(repeat('x', 60)::name);
SELECT hone.create_feed('f', NULL);
SELECT hone.create_feed('f', '1 month');
SELECT hone.create_feed('f', '-1 day');
SELECT hone.create_feed('f', '0');
SELECT hone.create_feed('f', '2000000000 days');
SELECT hone.create_feed('f', per_source => 0);
SELECT hone.create_feed('f', mode => NULL);
SELECT hone.create_feed('f', mode => 'fast');
SELECT hone.create_feed('f', schema => NULL);
SELECT hone.create_feed('f', schema => 'nowhere');
SELECT hone.create_feed('f', schema => 'hone');
SELECT hone.create_feed('f', schema => 'pg_catalog');
SELECT count(*) FROM hone.feed_status;
SELECT hone.create_feed('f', schema => 'recent_errors');
SELECT hone.create_feed('f');

-- An unknown, an empty, and a feed that is not built.
SELECT hone.add_feed_source('g', 'src', 't', 'at', 'title');
SELECT hone.build_feed('g');
SELECT hone.build_feed(NULL);
SELECT hone.build_feed('f');
SELECT hone.refresh_feed('f');
SELECT hone.refresh_feed('g');
SELECT hone.refresh_feed('f', NULL);
SELECT hone.verify_feed('f');
SELECT hone.drop_feed('g');
SELECT hone.drop_feed(NULL);
SELECT hone.refresh_recent_activities();

-- hone.add_feed_source
SELECT hone.add_feed_source(NULL, 'src', 't', 'at', 'title');
SELECT hone.add_feed_source('f', NULL, 't', 'at', 'title');
SELECT hone.add_feed_source('f', 'nothing', 't', 'at', 'title');
SELECT hone.add_feed_source('f', 0, 't', 'at', 'title');
SELECT hone.add_feed_source('f', 'src_index', 't', 'at', 'title');
SELECT hone.add_feed_source('f', 'src', NULL, 'at', 'title');
SELECT hone.add_feed_source('f', 'src', '', 'at', 'title');
SELECT hone.add_feed_source('f', 'src', 't', NULL, 'title');
SELECT hone.add_feed_source('f', 'src', 't', 'nothing', 'title');
SELECT hone.add_feed_source('f', 'src', 't', 'ctid', 'title');
SELECT hone.add_feed_source('f', 'src', 't', 'value', 'title');
SELECT hone.add_feed_source('f', 'src', 't', 'zoneless', 'title');
SELECT hone.add_feed_source('f', 'src', 't', 'zoneless', 'title', time_zone => 'Mars');
SELECT hone.add_feed_source('f', 'src', 't', 'at', 'title', time_zone => 'UTC');
SELECT hone.add_feed_source('f', 'src', 't', 'at', NULL);
CREATE TEMP TABLE passing (at timestamptz);
SELECT hone.add_feed_source('f', 'passing', 't', 'at', '1');

-- Expressions: one, scalar, over the source, and nothing else.
SELECT hone.add_feed_source('f', 'src', 't', 'at', '');
SELECT hone.add_feed_source('f', 'src', 't', 'at', 'title title');
SELECT hone.add_feed_source('f', 'src', 't', 'at', 'title AS x');
SELECT hone.add_feed_source('f', 'src', 't', 'at', 'nothing || title');
SELECT hone.add_feed_source('f', 'src', 't', 'at', 'pg_class.relname');
SELECT hone.add_feed_source('f', 'src', 't', 'at', '*');
SELECT hone.add_feed_source('f', 'src', 't', 'at', 'title), (title');
SELECT hone.add_feed_source('f', 'src', 't', 'at', 'rolname) FROM pg_authid WHERE (true');
SELECT hone.add_feed_source('f', 'src', 't', 'at', 'title) UNION ALL (SELECT rolpassword FROM pg_authid');
SELECT hone.add_feed_source('f', 'src', 't', 'at', 'title); DROP TABLE src; SELECT (1');
SELECT hone.add_feed_source('f', 'src', 't', 'at', '(SELECT rolname FROM pg_authid LIMIT 1)');
SELECT hone.add_feed_source('f', 'src', 't', 'at', 'EXISTS (SELECT 1)');
SELECT hone.add_feed_source('f', 'src', 't', 'at', 'max(title)');
SELECT hone.add_feed_source('f', 'src', 't', 'at', 'rank() OVER ()');
SELECT hone.add_feed_source('f', 'src', 't', 'at', 'generate_series(1, 2)');
SELECT hone.add_feed_source('f', 'src', 't', 'at', 'random()');
SELECT hone.add_feed_source('f', 'src', 't', 'at', 'title', description => 'clock_timestamp()');
SELECT hone.add_feed_source('f', 'src', 't', 'at', 'title', severity => '1 +');
SELECT hone.add_feed_source('f', 'src', 't', 'at', 'title', filter => 'value');
SELECT hone.add_feed_source('f', 'src', 't', 'at', 'title', filter => 'true) OR (SELECT true');
SELECT hone.add_feed_source('f', 'src', 't', 'at', 'title', filter => 'value = $1');
-- Nothing was half added.
SELECT count(*) FROM hone.feed_sources;

-- The feed's name is taken: nothing is replaced.
CREATE TABLE f (mine int);
SELECT hone.add_feed_source('f', 'src', 't', 'at', 'title');
SELECT hone.build_feed('f');
DROP TABLE f;
CREATE VIEW f_live AS SELECT 1 AS mine;
SELECT hone.build_feed('f');
SELECT to_regclass('f'), mode FROM hone.feed_status;
SELECT mine FROM f_live;
DROP VIEW f_live;
SELECT hone.drop_feed('f');

-- A view cannot be stored.
CREATE VIEW seen AS SELECT * FROM src;
SELECT hone.create_feed('f', mode => 'stored', schema => 'recent_errors');
SELECT hone.add_feed_source('f', 'seen', 't', 'at', 'title');
SELECT hone.build_feed('f');
SELECT hone.drop_feed('f');

-- An expression that fails at run time leaves nothing behind, and is noted.
INSERT INTO src VALUES (1, 'one', 1, now());
SELECT hone.create_feed('f', mode => 'stored', schema => 'recent_errors');
SELECT hone.add_feed_source('f', 'src', 't', 'at', '1 / (value - 2)');
SELECT count(*) FROM hone.build_feed('f');
UPDATE src SET value = 2;
SELECT hone.refresh_feed('f');
SELECT outcome, rows, error FROM hone.refresh_feeds();
SELECT refreshes, failures, last_error, last_error_at IS NOT NULL AS noted FROM hone.feed_status;
SELECT title FROM f;
SELECT hone.build_feed('f');
SELECT title FROM f;
UPDATE src SET value = 3;
SELECT outcome FROM hone.refresh_feed('f');
SELECT refreshes, failures, last_error FROM hone.feed_status;
SELECT hone.drop_feed('f');

-- Hostile names and texts arrive as they are.
CREATE SCHEMA "we""ird.
'schema";
CREATE TABLE "we""ird.
'schema"."ta""ble; --" ("i d" int PRIMARY KEY, "t""i'tle $$ %s" text, "when" timestamptz);
INSERT INTO "we""ird.
'schema"."ta""ble; --" VALUES (1, 'it''s "quoted" $$ %s \ --', now());
SELECT hone.create_feed('fe"ed; DROP TABLE src; --', mode => 'stored', schema => E'we"ird.\n''schema');
SELECT hone.add_feed_source('fe"ed; DROP TABLE src; --', $$"we""ird.
'schema"."ta""ble; --"$$, E'ty''pe \\ "; DROP TABLE src; --', 'when', $e$"t""i'tle $$ %s" -- a comment$e$,
	$$'%s'' "'$$, $$E'\\n'::text$$, $e$"t""i'tle $$ %s" <> ''$e$);
SELECT count(*) FROM hone.build_feed('fe"ed; DROP TABLE src; --');
SELECT type, title, description, severity, row_key FROM "we""ird.
'schema"."fe""ed; DROP TABLE src; --";
SELECT outcome, rows FROM hone.refresh_feed('fe"ed; DROP TABLE src; --');
SELECT * FROM hone.verify_feed('fe"ed; DROP TABLE src; --');
SELECT hone.drop_feed('fe"ed; DROP TABLE src; --');
SELECT count(*) FROM src;

SET client_min_messages = warning;
DROP SCHEMA recent_errors, "we""ird.
'schema" CASCADE;
