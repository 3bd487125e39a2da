-- Estimates that measurements contradict are not believed.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS pg_hone;
DROP SCHEMA IF EXISTS advise_trust CASCADE;
RESET client_min_messages;
SELECT coalesce(max(run_id), 0) AS last_run FROM hone.advisor_runs \gset
SET pg_hone.enabled = off;
CREATE SCHEMA advise_trust;
SET search_path = advise_trust, public;
CREATE TABLE reading (id bigint PRIMARY KEY, made_at timestamptz, kind int, note text);
INSERT INTO reading
SELECT i, timestamptz '2026-01-01 00:00+00' + i * interval '1 second', i % 7,
       CASE WHEN i % 10000 = 1 THEN 'rare ' ELSE 'common ' END || repeat('n', 100)
FROM generate_series(1, 60000) i;
VACUUM ANALYZE reading;

-- By the estimate alone, a scan in the order of time stops early: part of that is believed
SELECT regexp_replace(definition, '^.* ON ', '') AS definition
FROM hone.recommend_for(ARRAY['SELECT id FROM reading WHERE note || '''' ~ ''rare'' ORDER BY made_at LIMIT 100']);

-- The same query, measured: it returns fewer rows than its LIMIT, so no scan stops early
SET pg_hone.enabled = on;
SELECT id FROM reading WHERE note || '' ~ 'rare' ORDER BY made_at LIMIT 100 \g /dev/null
SELECT id FROM reading WHERE note || '' ~ 'rare' ORDER BY made_at LIMIT 100 \g /dev/null
-- and one that fills its LIMIT
SELECT note FROM reading WHERE note ~ 'common' ORDER BY id + 0, made_at LIMIT 5 \g /dev/null
SELECT note FROM reading WHERE note ~ 'commo.' ORDER BY kind, made_at LIMIT 5 \g /dev/null
SET pg_hone.enabled = off;
SELECT regexp_replace(definition, '^.* ON ', '') AS definition
FROM hone.recommend() WHERE table_name = 'advise_trust.reading' ORDER BY 1;

DELETE FROM hone.advisor_run_store WHERE run_id > :last_run;
DROP SCHEMA advise_trust CASCADE;
