-- What is counted: top level and nested statements, rows, errors, cancels,
-- planning apart from execution, utility statements by command.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS pg_hone;
RESET client_min_messages;

CREATE TABLE stats_t (a int PRIMARY KEY, b text);
CREATE FUNCTION stats_f(n int) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE r bigint;
BEGIN
    SELECT count(*) INTO r FROM stats_t WHERE a < n;
    BEGIN
        INSERT INTO stats_t VALUES (1, 'again');
    EXCEPTION WHEN unique_violation THEN NULL;
    END;
    RETURN r;
END $$;

SELECT hone.reset_query_stats() IS NOT NULL AS reset;
INSERT INTO stats_t SELECT g, 'x' || g FROM generate_series(1, 100) g;
SELECT * FROM stats_t WHERE a = 5;
SELECT * FROM stats_t WHERE a = 6;
SELECT b FROM stats_t WHERE a = -7 AND b <> 'it''s';
SELECT stats_f(11);
SELECT stats_f(12);
SELECT 1 / (a - 1) FROM stats_t WHERE a = 1;
SET statement_timeout = '20ms';
SELECT pg_sleep(10);
RESET statement_timeout;

PREPARE stats_p (int) AS SELECT b FROM stats_t WHERE a > $1 AND b <> 'lit';
EXECUTE stats_p(98);
EXECUTE stats_p(99);
DEALLOCATE stats_p;

-- a cursor read in pieces is one execution of FETCHes; left open at an abort
-- it is not counted twice
BEGIN;
DECLARE stats_c CURSOR FOR SELECT a FROM stats_t ORDER BY a;
FETCH 2 FROM stats_c;
SAVEPOINT s;
DECLARE stats_d CURSOR FOR SELECT b FROM stats_t;
FETCH 1 FROM stats_d;
ROLLBACK TO s;
FETCH 1 FROM stats_c;
ROLLBACK;

SELECT toplevel, command, query, calls, errors, cancels, rows, plans
FROM hone.query_stats
WHERE datname = current_database() AND username = current_user
  AND (query LIKE '%stats\_t%' OR query LIKE '%stats\_f%' OR query LIKE '%pg\_sleep%'
       OR command IN ('FETCH', 'DECLARE CURSOR'))
  AND query NOT LIKE '%query\_stats%'
ORDER BY query COLLATE "C", toplevel;

-- times are consistent with each other
SELECT bool_and(min_exec_ms <= mean_exec_ms AND mean_exec_ms <= max_exec_ms
                AND min_exec_ms <= p50_ms AND p50_ms <= p95_ms
                AND p95_ms <= p99_ms AND p99_ms <= max_exec_ms
                AND total_exec_ms >= max_exec_ms) AS consistent,
       bool_and(first_seen <= last_seen) AS in_order
FROM hone.query_stats WHERE calls > 0 AND query <> '<other>';

-- the cancelled statement took as long as it was let
SELECT mean_exec_ms BETWEEN 19 AND 9000 AS measured
FROM hone.query_stats WHERE query LIKE 'SELECT pg_sleep%' AND cancels = 1;

-- capture can be switched off, for a session or for nested statements
SELECT hone.reset_query_stats() IS NOT NULL AS reset;
SET pg_hone.enabled = off;
SELECT a FROM stats_t WHERE a = 1;
RESET pg_hone.enabled;
SET pg_hone.track = top;
SELECT stats_f(13);
SET pg_hone.track = none;
SELECT a FROM stats_t WHERE a = 2;
RESET pg_hone.track;
SELECT toplevel, query, calls FROM hone.query_stats
WHERE query LIKE '%stats\_%' AND query NOT LIKE '%query\_stats%' AND calls > 0
ORDER BY query COLLATE "C";

-- forgetting some
SELECT stats_f(1), stats_f(2);
SELECT hone.reset_query_stats(queryid => queryid) AS forgotten
FROM hone.query_stats WHERE query LIKE 'SELECT count(*)%stats\_t%' AND NOT toplevel;
SELECT count(*) FROM hone.query_stats
WHERE query LIKE 'SELECT count(*)%stats\_t%' AND NOT toplevel;
SELECT hone.reset_query_stats(0::oid), hone.reset_query_stats(NULL, 0::oid), hone.reset_query_stats(NULL, NULL, 0);

-- the durable copy
SELECT stats_f(3) IS NOT NULL AS called;
SELECT hone.collect_query_stats() > 0 AS written;
SELECT toplevel, query, calls FROM hone.query_history WHERE query = 'SELECT stats_f($1) IS NOT NULL AS called';

DROP FUNCTION stats_f;
DROP TABLE stats_t;
