-- Queries inside DECLARE CURSOR, CREATE TABLE AS, SELECT INTO and CREATE
-- MATERIALIZED VIEW: each is a query with its own text, wherever it runs.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS pg_hone;
RESET client_min_messages;

CREATE TABLE stats_cur (a int PRIMARY KEY, b text);
INSERT INTO stats_cur SELECT g, 'b' || g FROM generate_series(1, 1000) g;
VACUUM ANALYZE stats_cur;
CREATE VIEW stats_cur_seen AS
SELECT s.query, s.command, s.toplevel, s.calls, s.errors, s.rows, s.plans,
       (SELECT sum(t.rows_read) FROM hone.query_tables t
        WHERE t.queryid = s.queryid AND t.userid = s.userid AND t.dbid = s.dbid
          AND t.table_name = 'public.stats_cur') AS rows_read
FROM hone.query_stats s
WHERE s.query ~ 'stats_cur' AND s.query !~ 'seen' AND s.username = current_user
  AND s.datname = current_database()
ORDER BY s.query COLLATE "C", s.toplevel;
CREATE VIEW stats_cur_samples AS
SELECT w.query, w.parameters, w.replannable FROM hone.workload_samples w
WHERE 'stats_cur'::regclass = ANY (w.relids) AND w.query !~ '^INSERT'
ORDER BY w.query COLLATE "C", w.parameters::text COLLATE "C";
SELECT coalesce(max(id), 0) AS start FROM hone.slow_queries \gset
SET enable_seqscan = off;
SET enable_bitmapscan = off;
SET enable_indexonlyscan = off;
SET pg_hone.slow_query_ms = 0;
SET pg_hone.slow_query_rate_limit = 0;
SET pg_hone.slow_plan_ms = 0;

-- A cursor read in pieces is the query that it is without a cursor.
SELECT hone.reset_query_stats() IS NOT NULL AS reset;
BEGIN;
DECLARE "for" NO SCROLL CURSOR WITHOUT HOLD FOR -- the query
    SELECT a, b FROM stats_cur WHERE a > 10;
FETCH 2 FROM "for";
FETCH 1 FROM "for";
COMMIT;
SELECT a, b FROM stats_cur WHERE a > 998;
SELECT * FROM stats_cur_seen;
SELECT count(DISTINCT queryid) AS seen FROM hone.query_stats WHERE query = 'SELECT a, b FROM stats_cur WHERE a > $1';
-- declared and never read; held; one that fails
BEGIN;
DECLARE c CURSOR FOR SELECT 'never' FROM stats_cur;
COMMIT;
DECLARE c NO SCROLL CURSOR WITH HOLD FOR SELECT 'held', substring(b for 2) FROM stats_cur WHERE a < 3;
FETCH ALL FROM c;
CLOSE c;
BEGIN;
DECLARE c CURSOR FOR SELECT 1 / (a - 2), 'failing' FROM stats_cur;
FETCH 1 FROM c;
FETCH 1 FROM c;
ROLLBACK;
-- with parameters, in a function
DO $$
DECLARE r record; c refcursor := 'c'; wanted int := 5;
BEGIN
    EXECUTE 'DECLARE c CURSOR FOR SELECT b, ''by number'' FROM stats_cur WHERE a = $1' USING 7;
    FETCH c INTO r;
    CLOSE c;
    CREATE TEMP TABLE stats_temp AS SELECT a, 'by name' FROM stats_cur WHERE a < wanted;
    DROP TABLE stats_temp;
END $$;
SELECT * FROM stats_cur_seen WHERE query !~ 'a, b FROM';

-- Tables and materialized views made of queries.
SELECT hone.reset_query_stats() IS NOT NULL AS reset;
CREATE TABLE stats_made_1 AS SELECT a FROM stats_cur WHERE a < 4;
CREATE TEMP TABLE stats_made_2 (c, "as") WITH (fillfactor = 50) ON COMMIT PRESERVE ROWS
    AS (SELECT a, 'x;y' FROM stats_cur WHERE a IN (1, 2, 3)) WITH DATA;
CREATE TABLE IF NOT EXISTS stats_made_3 AS
    WITH data AS (SELECT a FROM stats_cur WHERE a < 3) TABLE data WITH NO DATA;
CREATE TABLE stats_made_4 AS VALUES (1), (2);
PREPARE p AS SELECT a, 'prepared' FROM stats_cur WHERE a < 6;
CREATE TABLE stats_made_5 AS EXECUTE p;
SELECT 1 AS into, a INTO UNLOGGED TABLE stats_made_6 FROM stats_cur WHERE a < 7;
WITH w AS (SELECT a FROM stats_cur WHERE a < 8) (SELECT a, 'into x' AS s INTO temp FROM w);
SELECT (SELECT count(*) FROM stats_cur WHERE a < 9) INTO pg_temp . "stats made ""8";
CREATE MATERIALIZED VIEW stats_made_9 AS SELECT b FROM stats_cur WHERE a < 10 WITH DATA;
REFRESH MATERIALIZED VIEW stats_made_9;
SELECT * FROM stats_cur_seen;
SELECT command, calls, rows FROM hone.query_stats
WHERE command ~ '^(CREATE|REFRESH) MAT' AND username = current_user AND datname = current_database()
ORDER BY command;

-- Among other statements of a message, and explained; nobody's text but its own.
SELECT hone.reset_query_stats() IS NOT NULL AS reset;
BEGIN \; DECLARE c CURSOR FOR SELECT 'several' FROM stats_cur \; FETCH 1 FROM c \; COMMIT;
SELECT 1 AS one \; CREATE TABLE stats_made_10 AS SELECT a, 'several' FROM stats_cur WHERE a = 1 \; SELECT 2 AS two;
EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF)
    CREATE TABLE stats_made_11 AS SELECT a, 'explained' FROM stats_cur WHERE a = 1;
BEGIN;
EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF)
    DECLARE c CURSOR FOR SELECT 'explained' FROM stats_cur WHERE a = 1;
COMMIT;
SELECT 1 AS one \; EXPLAIN (COSTS OFF) DECLARE c CURSOR FOR SELECT 'twice' FROM stats_cur
    \; EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF) SELECT 2 FROM stats_cur WHERE a < 2 \; SELECT 2 AS two;
SELECT * FROM stats_cur_seen;
RESET pg_hone.slow_query_ms;
RESET pg_hone.slow_plan_ms;

-- What the slow log has of all these: the query, as it was written.
SELECT query, parameters, outcome, plan #>> '{Plan,Node Type}' AS plan FROM hone.slow_queries
WHERE id > :start AND command = 'SELECT' AND query ~ 'stats_cur' AND query !~ 'seen'
ORDER BY query COLLATE "C";
-- Samples are queries that can be planned again.
SELECT * FROM stats_cur_samples;
SELECT count(*) AS planned
FROM stats_cur_samples s, hone.what_if(s.query, '{CREATE INDEX ON stats_cur (b)}', NULL, s.parameters) w WHERE w.cost_before > 0;

SET client_min_messages = warning;
DROP MATERIALIZED VIEW stats_made_9;
DROP TABLE stats_made_1, stats_made_2, stats_made_3, stats_made_4, stats_made_5, stats_made_6,
    temp, "stats made ""8", stats_made_10, stats_made_11;
DROP VIEW stats_cur_seen, stats_cur_samples;
DROP TABLE stats_cur;
DEALLOCATE p;
