-- Errors are counted by query and SQLSTATE, apart from the calls that completed.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS pg_hone;
RESET client_min_messages;

CREATE TABLE stats_errors_t (a int PRIMARY KEY);
INSERT INTO stats_errors_t VALUES (0), (1);
CREATE FUNCTION stats_errors_raise(state text) RETURNS int LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'made up' USING ERRCODE = state;
END $$;

SELECT hone.reset_query_stats() IS NOT NULL AS reset;
SELECT 1 / a AS divided FROM stats_errors_t;
SELECT 1 / a AS divided FROM stats_errors_t;
SELECT 1 / a AS divided FROM stats_errors_t WHERE a = 1;
INSERT INTO stats_errors_t VALUES (1);
SELECT stats_errors_raise('ZQ001');
SELECT stats_errors_raise('40001');
SET statement_timeout = '20ms';
SELECT pg_sleep(10);
RESET statement_timeout;

CREATE VIEW stats_errors_seen AS
SELECT toplevel, query, sqlstate, sqlclass, sqlclass_name, errors, caught,
       last_seen BETWEEN now() - interval '1 hour' AND clock_timestamp() AS seen
FROM hone.query_errors
WHERE userid = current_user::regrole AND username = current_user
  AND datname = current_database()
  AND (query LIKE '%stats\_errors\_%' OR query LIKE '%pg\_sleep%');
SELECT * FROM stats_errors_seen ORDER BY sqlstate, query COLLATE "C";

-- the same errors by query
SELECT s.query, s.calls, s.errors, sum(e.errors) AS by_state
FROM hone.query_stats s JOIN hone.query_errors e USING (userid, dbid, queryid, toplevel)
WHERE s.query LIKE '%stats\_errors\_%'
GROUP BY s.query, s.calls, s.errors ORDER BY s.query COLLATE "C";

-- what advice undoes is no error that was caught
SELECT count(*) AS advised FROM hone.advise('SELECT a FROM stats_errors_t WHERE a = 1');
SELECT count(*) AS answered FROM hone.what_if('SELECT a FROM stats_errors_t WHERE a = 1', '{CREATE INDEX ON stats_errors_t (a)}');
SELECT count(*) FROM hone.query_errors WHERE query LIKE '%hone.advise(%' OR query LIKE '%hone.what\_if(%';

-- nobody else sees the text
CREATE ROLE stats_errors_other;
GRANT SELECT ON stats_errors_seen TO stats_errors_other;
SET ROLE stats_errors_other;
SELECT count(*) FROM hone.query_errors WHERE query LIKE '%stats\_errors\_t%';
SELECT DISTINCT query FROM hone.query_errors WHERE sqlstate = '22012' AND datname = current_database();
RESET ROLE;

-- they are forgotten with their query, and only they
SELECT count(hone.reset_query_stats(queryid => queryid)) AS forgotten
FROM hone.query_stats WHERE query LIKE 'SELECT $1 / a AS divided FROM stats\_errors\_t';
SELECT sqlstate, errors FROM stats_errors_seen ORDER BY sqlstate;
SELECT hone.reset_query_stats() IS NOT NULL AS reset;
SELECT count(*) FROM stats_errors_seen;

DROP VIEW stats_errors_seen;
DROP ROLE stats_errors_other;
DROP FUNCTION stats_errors_raise;
DROP TABLE stats_errors_t;

-- what fails at commit is COMMIT's error, and what comes after is at top level again
CREATE TABLE stats_deferred (a int UNIQUE DEFERRABLE INITIALLY DEFERRED);
SELECT hone.reset_query_stats() > 0 AS reset;
BEGIN;
INSERT INTO stats_deferred VALUES (1), (1);
COMMIT;
SELECT count(*) AS after_commit FROM stats_deferred;
BEGIN;
SELECT 1 / 0 AS stats_aborts FROM stats_deferred;
INSERT INTO stats_deferred VALUES (2);
COMMIT;
SELECT stats_nowhere;
SELECT query, toplevel, errors FROM hone.query_stats WHERE query = 'COMMIT' OR query LIKE '%after\_commit%' ORDER BY query COLLATE "C";
SELECT query, sqlstate, errors FROM hone.query_errors WHERE sqlstate IN ('23505', '42703') ORDER BY 2;
DROP TABLE stats_deferred;
