-- Plans: the rows of queries that were slow before, and the plans of those that
-- were cancelled before.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS pg_hone;
RESET client_min_messages;

CREATE TABLE slowplan_t (a int PRIMARY KEY, b int, c text);
INSERT INTO slowplan_t SELECT g, g % 10, 'c' || g FROM generate_series(1, 1000) g;
ANALYZE slowplan_t;
SELECT coalesce(max(id), 0) AS start FROM hone.slow_queries \gset
CREATE VIEW slowplan_seen AS
SELECT id, query, parameters, outcome, toplevel, plan, plan -> 'Plan' AS top,
       coalesce(plan #> '{Plan,Plans,0}', plan -> 'Plan') AS scan
FROM hone.slow_queries
WHERE id > :start AND query LIKE '%slowplan%' AND query NOT LIKE 'CREATE%' ORDER BY id;
SET pg_hone.slow_query_rate_limit = 0;

-- The first slow execution says what the planner thought, the second what was.
SET pg_hone.slow_query_ms = 0;
SET pg_hone.slow_plan_ms = 0;
SELECT count(*) FROM slowplan_t WHERE b = 3;
SELECT count(*) FROM slowplan_t WHERE b = 3;
UPDATE slowplan_t SET b = b WHERE b = 4 AND a < 50;
UPDATE slowplan_t SET b = b WHERE b = 4 AND a < 50;
SET pg_hone.slow_query_ms = -1;
SELECT scan ->> 'Node Type' AS node, scan ->> 'Actual Rows' AS rows, scan ->> 'Actual Loops' AS loops,
       scan ->> 'Rows Removed by Filter' AS removed, plan::text LIKE '%Time"%' AS timed
FROM slowplan_seen;

-- What a user asks of EXPLAIN is as ever, also of a query known to be slow.
SET pg_hone.slow_query_ms = 0;
EXPLAIN (COSTS OFF) SELECT count(*) FROM slowplan_t WHERE b = 3;
EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF, BUFFERS OFF) SELECT count(*) FROM slowplan_t WHERE b = 3;
DO $$
DECLARE l json;
BEGIN
    EXECUTE 'EXPLAIN (ANALYZE, FORMAT json) SELECT count(*) FROM slowplan_t WHERE b = 3' INTO l;
    IF l #>> '{0,Plan,Actual Total Time}' IS NULL OR l #>> '{0,Plan,Actual Rows}' IS NULL THEN
        RAISE EXCEPTION 'not timed: %', l;
    END IF;
END $$;
SET pg_hone.slow_query_ms = -1;

-- Queries that are not slow any more are looked at less and less often: of
-- three, at least one is passed over when it is slow again after 5,000 times.
CREATE FUNCTION slowplan_many(times int) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    FOR i IN 1..times LOOP
        PERFORM count(*) FROM slowplan_t WHERE a = 1 AND 'slowplan_1' <> '';
        PERFORM count(*) FROM slowplan_t WHERE a = 1 AND b = 1 AND 'slowplan_2' <> '';
        PERFORM count(*) FROM slowplan_t WHERE a = 1 AND c = 'c1' AND 'slowplan_3' <> '';
    END LOOP;
END $$;
SET pg_hone.slow_query_ms = 0;
SELECT slowplan_many(2);
SET pg_hone.slow_query_ms = '1h';
SET pg_hone.slow_plan_ms = '1h';
SELECT slowplan_many(5000);
SET pg_hone.slow_query_ms = 0;
SET pg_hone.slow_plan_ms = 0;
SELECT slowplan_many(2);
SET pg_hone.slow_query_ms = -1;
SELECT nth, count(*), count(*) FILTER (WHERE scan ? 'Actual Rows') AS counted,
       count(*) FILTER (WHERE scan ? 'Actual Rows') < 3 AS passed_over
FROM (SELECT scan, row_number() OVER (PARTITION BY query ORDER BY id) AS nth
      FROM slowplan_seen WHERE query LIKE 'SELECT count(*) FROM slowplan_t WHERE a = 1 %') x
WHERE nth <> 3 GROUP BY nth
UNION ALL
SELECT nth, count(*), NULL, count(*) FILTER (WHERE scan ? 'Actual Rows') < 3
FROM (SELECT scan, row_number() OVER (PARTITION BY query ORDER BY id) AS nth
      FROM slowplan_seen WHERE query LIKE 'SELECT count(*) FROM slowplan_t WHERE a = 1 %') x
WHERE nth = 3 GROUP BY nth
ORDER BY nth;

-- Parallel, with subplans, with row security: nothing breaks, all is counted.
SET pg_hone.slow_query_ms = 0;
SET parallel_setup_cost = 0;
SET parallel_tuple_cost = 0;
SET min_parallel_table_scan_size = 0;
SET max_parallel_workers_per_gather = 2;
SELECT count(*) AS slowplan_parallel, min(c) FROM slowplan_t WHERE b = 5;
SELECT count(*) AS slowplan_parallel, min(c) FROM slowplan_t WHERE b = 5;
RESET parallel_setup_cost;
RESET parallel_tuple_cost;
RESET min_parallel_table_scan_size;
RESET max_parallel_workers_per_gather;
SET pg_hone.slow_query_ms = -1;
SELECT plan::text LIKE '%Gather%' AS parallel, plan::text LIKE '%Partial%' AS partial,
       top ->> 'Actual Rows' AS rows
FROM slowplan_seen WHERE query LIKE '%slowplan_parallel%';

CREATE ROLE slowplan_role;
GRANT SELECT ON slowplan_t TO slowplan_role;
ALTER TABLE slowplan_t ENABLE ROW LEVEL SECURITY;
CREATE POLICY slowplan_policy ON slowplan_t USING (b < (SELECT 7));
SET pg_hone.slow_query_ms = 0;
SET ROLE slowplan_role;
SELECT count(*) AS slowplan_policy FROM slowplan_t WHERE c > 'c5';
SELECT count(*) AS slowplan_policy FROM slowplan_t WHERE c > 'c5';
SET statement_timeout = '100ms';
SELECT count(pg_sleep(1)) AS slowplan_policy_cancelled FROM slowplan_t WHERE c > 'c5';
SELECT count(pg_sleep(1)) AS slowplan_policy_cancelled FROM slowplan_t WHERE c > 'c5';
RESET statement_timeout;
RESET ROLE;
SET pg_hone.slow_query_ms = -1;
SELECT top ->> 'Actual Rows' AS rows, plan::text LIKE '%InitPlan%' AS policy, outcome
FROM slowplan_seen WHERE query LIKE '%slowplan_policy%';
DROP POLICY slowplan_policy ON slowplan_t;
ALTER TABLE slowplan_t DISABLE ROW LEVEL SECURITY;

-- Cancelled: the second time the plan is known, as far as it was planned.
SET pg_hone.slow_query_ms = '1h';
SET pg_hone.slow_plan_ms = '1h';
SET statement_timeout = '100ms';
SELECT count(*) AS slowplan_cancelled, pg_sleep(10) FROM slowplan_t WHERE b = 3;
SELECT count(*) AS slowplan_cancelled, pg_sleep(10) FROM slowplan_t WHERE b = 3;
SELECT count(*) AS slowplan_cancelled, pg_sleep(10) FROM slowplan_t WHERE b = 3;
-- in a cursor, and in a function, in a subtransaction
CREATE FUNCTION slowplan_cursor(n int) RETURNS int LANGUAGE plpgsql AS $$
DECLARE c refcursor := 'slowplan_c'; r record;
BEGIN
    OPEN c FOR SELECT CASE WHEN a > 11 THEN pg_sleep(10) END, a FROM slowplan_t WHERE b = n;
    FETCH c INTO r;
    RETURN r.a;
END $$;
BEGIN;
SELECT slowplan_cursor(1);
FETCH 2 FROM slowplan_c;
ROLLBACK;
BEGIN;
SELECT slowplan_cursor(1);
SAVEPOINT s;
FETCH 2 FROM slowplan_c;
ROLLBACK TO s;
SELECT 1 AS alive;
FETCH 2 FROM slowplan_c;
ROLLBACK;
CREATE FUNCTION slowplan_f() RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    PERFORM count(*) AS slowplan_inner, pg_sleep(10) FROM slowplan_t WHERE b = 2;
    RETURN 'completed';
EXCEPTION WHEN query_canceled THEN
    RETURN 'caught';
END $$;
SELECT slowplan_f();
SELECT slowplan_f();
RESET statement_timeout;
SELECT query, outcome, toplevel, scan ->> 'Node Type' AS scan, plan::text LIKE '%Actual%' AS counted
FROM slowplan_seen WHERE outcome = 'cancelled' AND query NOT LIKE '%slowplan_policy%';

-- No value in such a plan that is not to be kept.
PREPARE slowplan_p(text) AS SELECT pg_sleep(10), 'slowplan_hidden' FROM slowplan_t WHERE c = $1;
SET statement_timeout = '100ms';
EXECUTE slowplan_p('c1');
EXECUTE slowplan_p('c1');
SET pg_hone.capture_parameters = off;
EXECUTE slowplan_p('c1');
RESET statement_timeout;
SELECT parameters, plan::text LIKE '%c1%' AS value_in_plan FROM slowplan_seen WHERE query LIKE '%slowplan_hidden%';
RESET pg_hone.capture_parameters;
-- Nor in one that was made before they were switched off.
CREATE FUNCTION slowplan_off(int, text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    PERFORM set_config('pg_hone.capture_parameters', $2, false);
    PERFORM pg_sleep(10);
    RETURN $2;
END $$;
PREPARE slowplan_q(text, text) AS SELECT slowplan_off(a, $2), 'slowplan_late' FROM slowplan_t WHERE c = $1;
SET statement_timeout = '100ms';
EXECUTE slowplan_q('c1', 'on');
EXECUTE slowplan_q('c1', 'off');
EXECUTE slowplan_q('c1', 'on');
RESET statement_timeout;
RESET pg_hone.capture_parameters;
SELECT outcome, parameters IS NULL AS no_values, plan IS NULL AS no_plan FROM slowplan_seen WHERE query LIKE '%slowplan_late%';

-- A plan that is too long is not kept, and counted.
SELECT plans_lost AS before FROM hone.slow_queries_info \gset
SET pg_hone.slow_query_ms = 0;
SET pg_hone.slow_plan_ms = 0;
SET pg_hone.max_plan_length = 10;
SELECT count(*) AS slowplan_long FROM slowplan_t;
SET pg_hone.slow_query_ms = -1;
RESET pg_hone.max_plan_length;
SELECT plan IS NULL AS no_plan FROM slowplan_seen WHERE query LIKE '%slowplan_long%';
SELECT plans_lost - :before AS counted FROM hone.slow_queries_info;
-- the same beforehand
SET pg_hone.slow_query_ms = '1h';
SET pg_hone.max_plan_length = 10;
SET statement_timeout = '100ms';
SELECT pg_sleep(10) AS slowplan_early, max(b) FROM slowplan_t;
SELECT pg_sleep(10) AS slowplan_early, max(b) FROM slowplan_t;
RESET statement_timeout;
RESET pg_hone.max_plan_length;
SELECT plan IS NULL AS no_plan FROM slowplan_seen WHERE query LIKE '%slowplan_early%';
SELECT plans_lost - :before AS counted FROM hone.slow_queries_info;

-- Nor is one that is not JSON: anybody can make a cost infinite.
SET pg_hone.slow_query_ms = 0;
SET pg_hone.slow_plan_ms = 0;
SET cpu_tuple_cost = 1e308;
SELECT count(*) AS slowplan_infinite FROM slowplan_t a, slowplan_t b;
RESET cpu_tuple_cost;
SET pg_hone.slow_query_ms = -1;
SELECT plan IS NULL AS no_plan FROM slowplan_seen WHERE query LIKE '%slowplan_infinite%';
SELECT plans_lost - :before AS counted FROM hone.slow_queries_info;

SET client_min_messages = warning;
DROP VIEW slowplan_seen;
DROP FUNCTION slowplan_f();
DROP FUNCTION slowplan_cursor(int);
DROP FUNCTION slowplan_many(int);
DROP FUNCTION slowplan_off(int, text);
DROP TABLE slowplan_t;
DROP ROLE slowplan_role;
