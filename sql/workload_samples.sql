-- What is sampled: real executions with their parameters, up to six of each
-- query, the slowest always; what is not.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS pg_hone;
RESET client_min_messages;

CREATE TABLE work_t (a int PRIMARY KEY, b text, c timestamptz DEFAULT now());
CREATE TABLE work_u (a int REFERENCES work_t);
CREATE TEMP TABLE work_temp (a int);
INSERT INTO work_t SELECT g, 'x' || g FROM generate_series(1, 100) g;
CREATE VIEW work_view AS SELECT t.a, t.b FROM work_t t JOIN work_u u USING (a);
-- statements on this run's tables, which have never been there before
CREATE VIEW work_seen AS
SELECT s.query, s.parameters, s.param_types::regtype[] AS types, s.search_path, s.command,
       s.replannable, s.queryid, s.duration_ms
FROM hone.workload_samples s
WHERE 'work_t'::regclass = ANY (s.relids) OR 'work_u'::regclass = ANY (s.relids)
   OR to_regclass('work_temp') = ANY (s.relids);
CREATE VIEW work_queries AS
SELECT w.* FROM hone.workload w WHERE w.queryid IN (SELECT queryid FROM work_seen);

-- every kind of optimisable statement, and its own part of the text only
SELECT 'one' AS tag FROM work_t WHERE a = 5 \; SELECT 'two' AS tag FROM work_t WHERE a = 6;
INSERT INTO work_u VALUES (1), (2);
UPDATE work_t SET b = 'y' WHERE a = 5;
DELETE FROM work_t WHERE a = 50;
MERGE INTO work_t t USING (VALUES (7, 'z')) v(a, b) ON t.a = v.a WHEN MATCHED THEN UPDATE SET b = v.b;
WITH w AS (SELECT a FROM work_t WHERE a < 3) SELECT count(*) FROM w;
/* comment */ -- another
  (SELECT 'paren' FROM work_t WHERE a = 1) UNION ALL SELECT 'x' FROM work_t WHERE a = 2;
SELECT count(*) FROM work_view WHERE a = 1;
SELECT command, query, parameters, replannable FROM work_seen
WHERE query NOT LIKE '%ONLY%' AND query NOT LIKE 'INSERT INTO work_t%' ORDER BY query COLLATE "C";

-- prepared: the statement inside, with its values, again and again
PREPARE "work p; as"(int, text, int[], timestamptz) AS SELECT a FROM work_t
    WHERE a = $1 AND b <> $2 AND a <> ALL ($3) AND c > $4;
SET search_path = public, pg_temp;
EXECUTE "work p; as"(1, 'it''s', '{2,NULL}', '2020-02-03 04:05:06+00');
EXECUTE "work p; as"(2, NULL, '{}', NULL);
SELECT query, parameters[1:3], parameters[4]::timestamptz = '2020-02-03 04:05:06+00' AS t, types, search_path, replannable
FROM work_seen WHERE query LIKE '%<> ALL%' ORDER BY 2;
RESET search_path;

-- six of a query, its slowest among them
PREPARE work_many(int, float8) AS SELECT pg_sleep($2) FROM work_t WHERE a = $1;
DO $$ BEGIN
    FOR i IN 1..40 LOOP
        EXECUTE 'EXECUTE work_many(' || i || ', ' || CASE i WHEN 17 THEN 0.05 ELSE 0 END || ')';
    END LOOP;
END $$;
SELECT count(*), count(DISTINCT parameters), max(parameters[1]) FILTER (WHERE duration_ms > 49) AS slowest
FROM work_seen WHERE query LIKE 'SELECT pg_sleep(%';
SELECT calls, samples, tables, weight > 49 AS weight, query FROM work_queries WHERE query LIKE '%pg_sleep(%';
-- the same again adds nothing
EXECUTE work_many(100, 0);
EXECUTE work_many(100, 0);
SELECT count(*) <= 6 AS bounded, count(*) = count(DISTINCT parameters) AS different
FROM work_seen WHERE query LIKE 'SELECT pg_sleep(%';

-- PL/pgSQL: values of the variables used, whose names become $n
CREATE FUNCTION work_f(x int) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE n bigint; r work_t; unused text := repeat('never', 1);
BEGIN
    SELECT * INTO r FROM work_t WHERE a = x;
    SELECT count(*) INTO n FROM work_t WHERE b = r.b AND a > x - 1;
    EXECUTE format('SELECT count(*) FROM %I WHERE a = $1 AND b = $2', 'work_t') INTO n USING x, r.b;
    RETURN n;
END $$;
SELECT work_f(9);
SELECT query, parameters, replannable FROM work_seen
WHERE query ~ 'a = \$1$|b = \$\d AND a > |a = \$1 AND b = \$2' AND 'x9' = ANY(parameters) OR query ~ 'SELECT \*        FROM work_t'
ORDER BY query COLLATE "C";

-- values that are not kept
CREATE TYPE work_composite AS (a int, b text);
PREPARE work_types(work_composite, text) AS SELECT count(*) FROM work_t WHERE $1 IS NOT NULL AND b <> $2;
EXECUTE work_types((1, 'x'), repeat('x', 3000));
SELECT parameters, replannable FROM work_seen WHERE query LIKE '%$1 IS NOT NULL%';
SET pg_hone.capture_parameters = off;
EXECUTE work_types((2, 'y'), 'short');
RESET pg_hone.capture_parameters;
SELECT parameters, replannable FROM work_seen WHERE query LIKE '%$1 IS NOT NULL%' ORDER BY 1;

-- not sampled: too long, not a statement by itself, nothing to advise on
SELECT too_long AS before FROM hone.workload_info \gset
DO $$ BEGIN
    EXECUTE 'SELECT a FROM work_t WHERE b = ''long' || repeat('y', 1000000) || '''';
END $$;
SELECT too_long - :before AS too_long FROM hone.workload_info;
EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF) SELECT 'explained' FROM work_u WHERE a < 0;
CREATE TABLE work_v AS SELECT 'created' AS x FROM work_u;
SELECT count(*) > 0 AS catalog FROM pg_class;
SELECT count(*) >= 0 AS own FROM hone.slow_query_store;
SELECT 1 AS nothing;
SELECT count(*) FROM work_seen WHERE query ~ 'explained|long';
SELECT query, replannable FROM work_seen WHERE query ~ 'created';
SELECT count(*) FROM hone.workload WHERE tables::text ~ 'pg_class|hone\.' OR query LIKE 'SELECT _1 AS nothing';
-- a temporary table is nobody else's
SELECT 'temp' FROM work_temp;
SELECT replannable FROM work_seen WHERE query LIKE '%temp%work_temp';

-- durable, once, and bounded
SELECT count(*) AS before FROM work_seen \gset
SELECT hone.collect_samples() >= 0 AS collected;
SELECT hone.collect_samples() AS nothing_new;
SELECT count(*) = :before AS once FROM work_seen;
SELECT count(*) = :before AS stored FROM hone.sample_store s WHERE EXISTS (SELECT FROM work_seen w WHERE w.queryid = s.queryid);
INSERT INTO hone.sample_store
SELECT s.queryid, s.userid, g, 0, 0.001, now() - interval '40 days', 'old', NULL, NULL, '', s.relids, 'SELECT', true
FROM (SELECT * FROM hone.workload_samples WHERE query LIKE 'SELECT pg_sleep(%$2) FROM work_t%'
      AND 'work_t'::regclass = ANY (relids) LIMIT 1) s, generate_series(1, 10) g;
SELECT count(*) FROM hone.sample_store WHERE query = 'old';
DO $$ BEGIN EXECUTE format('SELECT ''fresh'' FROM %I WHERE a = 3', 'work_t'); END $$;
SELECT hone.collect_samples() > 0 AS collected;
SELECT count(*) <= 6 AS bounded FROM hone.sample_store s WHERE s.queryid = (SELECT queryid FROM work_seen WHERE query LIKE 'SELECT pg_sleep(%' LIMIT 1);
SELECT hone.expire_captured() >= 0 AS expired;
SELECT count(*) FROM hone.sample_store WHERE query = 'old';

SELECT queries > 0 AS queries, samples >= queries AS samples, captured >= samples AS captured,
       memory_bytes > 0 AS memory FROM hone.workload_info;
SELECT count(*) FROM hone.workload_memory(NULL, true);
SELECT count(*) FROM hone.workload_memory(9223372036854775807, true);

SET client_min_messages = warning;
DROP FUNCTION work_f(int);
DROP TABLE work_v;
DROP TABLE work_t, work_u CASCADE;
DROP VIEW IF EXISTS work_queries, work_seen;
DROP TYPE work_composite;
