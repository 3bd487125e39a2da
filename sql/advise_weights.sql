-- For how many executions a sample stands, and executions with generic plans.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS pg_hone;
DROP SCHEMA IF EXISTS advise_weights CASCADE;
RESET client_min_messages;
CREATE SCHEMA advise_weights;
SET search_path = advise_weights, public;
SELECT coalesce(max(run_id), 0) AS last_run FROM hone.advisor_runs \gset
SET pg_hone.enabled = off;
-- (statements that are this round's only)
SELECT 'nap_' || v AS nap, 'queue_' || v AS queue, 'gone_' || v AS gone
FROM replace(extract(epoch FROM clock_timestamp())::text, '.', '_') v \gset
CREATE TABLE :queue (id bigint PRIMARY KEY, state text, made_at timestamptz, note text);
INSERT INTO :queue SELECT i, CASE WHEN i % 60 = 0 THEN 'open' ELSE 'done' END,
       timestamptz '2026-01-01 00:00+00' + i * interval '1 minute', repeat('q', 60)
FROM generate_series(1, 30000) i;
VACUUM ANALYZE :queue;
SET pg_hone.enabled = on;

-- The slowest are always sampled; they stand for themselves only
SET plan_cache_mode = force_custom_plan;
PREPARE nap(float8) AS SELECT count(*) AS :nap FROM (SELECT pg_sleep($1)) s, :queue WHERE id = 1;
\set ECHO none
\o /dev/null
SELECT format('EXECUTE nap(%s)', i / 1e9) FROM generate_series(1, 98) i
\gexec
EXECUTE nap(0.06);
EXECUTE nap(0.08);
\o
\set ECHO all
SELECT round(sum(calls)) AS calls, count(*) FILTER (WHERE duration_ms > 50) > 0 AS slow_samples,
       count(*) FILTER (WHERE duration_ms < 50) > 1 AS quick_samples,
       sum(calls) FILTER (WHERE duration_ms > 50) < 4 AS rare,
       min(rows_per_call) AS rows_per_call
FROM hone.advisor_workload() WHERE query ~ :'nap';
SELECT (sum(a.calls * a.duration_ms) / sum(a.calls)) / min(q.mean_exec_ms) BETWEEN 0.5 AND 2 AS mean_is_near
FROM hone.advisor_workload() a JOIN hone.query_stats q USING (queryid)
WHERE a.query ~ :'nap' AND q.calls > 0;

-- Executions with a generic plan are planned without values
PREPARE jobs(text, int) AS SELECT id, note FROM :queue WHERE state = $1 ORDER BY made_at LIMIT $2;
SET plan_cache_mode = force_generic_plan;
\set ECHO none
\o /dev/null
SELECT format('EXECUTE jobs(''open'', %s)', i) FROM generate_series(1, 75) i
\gexec
SET plan_cache_mode = force_custom_plan;
SELECT format('EXECUTE jobs(''open'', %s)', i) FROM generate_series(76, 100) i
\gexec
\o
\set ECHO all
RESET plan_cache_mode;
SELECT generic, parameters IS NULL AS without_values, round(sum(calls)) AS calls
FROM hone.advisor_workload() WHERE query ~ (:'queue' || ' WHERE state') GROUP BY 1, 2 ORDER BY 1;
-- to which an index on the value they had is of no use
SELECT regexp_replace(definition, '^.* USING ', '') AS index, queries_helped
FROM hone.recommend() WHERE table_name = 'advise_weights.' || :'queue' AND action = 'create' AND definition !~ 'WHERE';

-- What is left out is said once, however many samples there are of it
CREATE TABLE :gone AS SELECT i AS id FROM generate_series(1, 10) i;
PREPARE of_gone(int) AS SELECT id FROM :gone WHERE id = $1;
\set ECHO none
\o /dev/null
SELECT format('EXECUTE of_gone(%s)', i) FROM generate_series(1, 5) i
\gexec
\o
\set ECHO all
SELECT count(*) > 1 AS several FROM hone.advisor_workload() WHERE query ~ :'gone';
DROP TABLE :gone;
SELECT count(*) >= 0 AS ran FROM hone.recommend();
SELECT count(*) FROM hone.advisor_runs r, jsonb_array_elements(r.skipped) s, hone.workload w
WHERE r.run_id = (SELECT max(run_id) FROM hone.advisor_runs)
  AND w.queryid = (s ->> 'queryid')::bigint AND w.query ~ :'gone';

-- It shows others' statements to nobody who may not see them
SET client_min_messages = warning;
DROP ROLE IF EXISTS regress_advise_weights;
CREATE ROLE regress_advise_weights;
RESET client_min_messages;
SET ROLE regress_advise_weights;
SELECT count(*) FROM hone.advisor_workload();
RESET ROLE;
GRANT EXECUTE ON FUNCTION hone.advisor_workload() TO regress_advise_weights;
SET ROLE regress_advise_weights;
SELECT count(*) FROM hone.advisor_workload() WHERE query ~ :'nap';
RESET ROLE;
DROP OWNED BY regress_advise_weights;
DROP ROLE regress_advise_weights;

DEALLOCATE ALL;
DELETE FROM hone.advisor_run_store WHERE run_id > :last_run;
SET client_min_messages = warning;
DROP SCHEMA advise_weights CASCADE;
