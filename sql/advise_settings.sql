-- A sample is planned again under the settings of the session that ran it,
-- whatever the session that asks for advice has set.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS pg_hone;
DROP SCHEMA IF EXISTS advise_settings CASCADE;
DROP ROLE IF EXISTS regress_advise_settings;
CREATE ROLE regress_advise_settings;
RESET client_min_messages;
CREATE SCHEMA advise_settings;
GRANT USAGE ON SCHEMA advise_settings TO PUBLIC;
SET search_path = advise_settings, public;
SET pg_hone.enabled = off;
CREATE TABLE item (id int PRIMARY KEY, owner int, day date, lasts interval, note text);
INSERT INTO item SELECT g, (g * 7919) % 3000, date '2026-01-01' + g % 300, g % 7 * interval '-1 day 2 hours', repeat('n', 60)
FROM generate_series(1, 30000) g;
CREATE TABLE other AS SELECT * FROM item;
CREATE TABLE third AS SELECT * FROM item;
VACUUM ANALYZE item, other, third;
GRANT SELECT ON item, other, third TO PUBLIC;
SET pg_hone.enabled = on;

-- pg_regress sets some for each session
CREATE VIEW seen AS
SELECT s.query, s.parameters, s.settings - '{TimeZone,DateStyle,IntervalStyle}'::text[] AS settings, s.settings AS all_settings,
       s.replannable, s.queryid, s.username, s.relids
FROM hone.workload_samples s
WHERE s.relids && ARRAY['item'::regclass, 'other'::regclass, 'third'::regclass]::oid[];
GRANT SELECT ON seen TO PUBLIC;

-- what is kept: settings of the session and of a function that are not the server's
SET ROLE regress_advise_settings;
SELECT * FROM item WHERE owner = 5 \g /dev/null
SET enable_bitmapscan = off;
SET work_mem = '12MB';
SELECT * FROM other WHERE owner = 5 \g /dev/null
SET work_mem TO DEFAULT;
SET enable_bitmapscan = on;
SET DateStyle = 'SQL, DMY';
SET IntervalStyle = sql_standard;
SET TimeZone = 'Asia/Tokyo';
SET enable_sort = off;
SET enable_sort TO DEFAULT;
PREPARE at_day(date, interval, timestamptz, regclass, float8) AS
SELECT note FROM third WHERE day = $1 AND lasts = $2 AND day + lasts > $3 AND $4 IS NOT NULL AND $5 > 0 AND day <> '13/02/2026';
SET extra_float_digits = -10;
EXECUTE at_day('03/02/2026', '-1 2:00:00', '03/02/2020 12:00', 'third', 0.1) \g /dev/null
RESET extra_float_digits;
-- printed alike for everybody
SELECT query, parameters, CASE WHEN query ~ 'third' THEN all_settings ELSE settings END AS settings, replannable FROM seen ORDER BY query COLLATE "C";
RESET DateStyle; RESET IntervalStyle; RESET TimeZone;
SELECT parameters FROM seen WHERE parameters IS NOT NULL;
RESET ROLE;
CREATE FUNCTION counted(wanted int) RETURNS bigint LANGUAGE plpgsql SET enable_hashagg = off SET search_path = advise_settings AS
$$ BEGIN RETURN (SELECT count(*) FROM item WHERE owner = wanted AND id > 3); END $$;
SELECT counted(7);
SELECT query, parameters, settings FROM seen WHERE query LIKE '%id > 3%';

-- the same text and values is a sample of its own where the plan may be another
SELECT note FROM item WHERE id = 1 \g /dev/null
SELECT note FROM item WHERE id = 1 \g /dev/null
SET enable_indexscan = off;
SELECT note FROM item WHERE id = 1 \g /dev/null
RESET enable_indexscan;
SET TimeZone = 'UTC';
SELECT note FROM item WHERE id = 1 \g /dev/null
RESET TimeZone;
SELECT settings FROM seen WHERE query LIKE '%id = 1' ORDER BY 1;

-- advice does not depend on who asks under what settings
CREATE FUNCTION advice() RETURNS TABLE (of regclass, index text, cond text, scan text, plans text) LANGUAGE plpgsql SET search_path = advise_settings, public AS $$
DECLARE latest bigint;
BEGIN
    PERFORM hone.recommend();
    SELECT max(run_id) INTO latest FROM hone.advisor_runs;
    RETURN QUERY
    SELECT to_regclass(r.table_name), regexp_replace(r.definition, '^.* USING ', ''), 
           coalesce(q.plan_after #>> '{0,Plan,Index Cond}', q.plan_after #>> '{0,Plan,Plans,0,Index Cond}'),
           q.plan_after #>> '{0,Plan,Node Type}', q.plan_before::text || q.plan_after::text
    FROM hone.recommendations r JOIN hone.recommendation_queries q ON q.recommendation_id = r.id
    WHERE r.run_id = latest AND r.table_name ~ 'advise_settings' AND q.query !~ 'id > 3'
    ORDER BY 1, 2, 3;
END $$;
SELECT of, index, cond, scan FROM advice();
CREATE TABLE plain_advice AS SELECT * FROM advice();
SET enable_seqscan = off;
SET enable_indexscan = off;
SET enable_bitmapscan = off;
SET random_page_cost = 1000;
SET cpu_tuple_cost = 0;
SET work_mem = '64kB';
SET DateStyle = 'SQL, DMY';
SET IntervalStyle = sql_standard;
SET standard_conforming_strings = off;
SET escape_string_warning = off;
CREATE TABLE odd_advice AS SELECT * FROM advice();
SELECT count(*) > 0 AS advice FROM odd_advice;
(TABLE plain_advice EXCEPT TABLE odd_advice) UNION ALL (TABLE odd_advice EXCEPT TABLE plain_advice);
-- ... and his settings are as they were
SHOW enable_seqscan;
SHOW DateStyle;
SHOW work_mem;
-- ... nor on what the client, or the role, has set for every session of theirs
\c -reuse-previous=on "options='-c enable_seqscan=off -c enable_bitmapscan=off -c cpu_tuple_cost=7 -c datestyle=SQL,DMY'"
SET search_path = advise_settings, public;
SHOW enable_bitmapscan;
TRUNCATE odd_advice;
INSERT INTO odd_advice SELECT * FROM advice();
(TABLE plain_advice EXCEPT TABLE odd_advice) UNION ALL (TABLE odd_advice EXCEPT TABLE plain_advice);
\c -reuse-previous=on "options=''"
SET search_path = advise_settings, public;
-- nothing had to be left out
SELECT s ->> 'reason' AS skipped FROM hone.advisor_runs r, jsonb_array_elements(r.skipped) s
WHERE r.run_id = (SELECT max(run_id) FROM hone.advisor_runs) AND (s ->> 'queryid')::bigint IN (SELECT queryid FROM seen);

-- stored, and restored; a setting that is gone, that this role may not set, that is
-- not about plans or has an impossible value is passed over
SELECT hone.collect_samples() >= 0 AS collected;
SELECT DISTINCT s.settings - '{TimeZone,DateStyle,IntervalStyle}'::text[] AS settings FROM hone.sample_store s WHERE s.queryid IN (SELECT queryid FROM seen WHERE relids[1] = 'other'::regclass);
BEGIN;
UPDATE hone.sample_store s SET query = query || ' AND true', sample_hash = s.sample_hash + 1, queryid = queryid + 1, settings =
'{"enable_no_such_scan": "off", "session_replication_role": "replica", "hone_test.x": "1", "role": "postgres", "search_path": "nowhere",
  "log_min_messages": "panic", "work_mem": "a lot", "enable_bitmapscan": "off", "DateStyle": "", "TimeZone": "nowhere", "random_page_cost": "-7"}'
WHERE s.queryid IN (SELECT queryid FROM seen WHERE query LIKE 'SELECT % FROM item%');
SELECT count(*) > 0 AS advice FROM advice();
SELECT current_setting('hone_test.x', true) AS x, current_setting('session_replication_role') AS role, current_setting('log_min_messages') <> 'panic' AS logging;
SELECT s ->> 'reason' AS skipped FROM hone.advisor_runs r, jsonb_array_elements(r.skipped) s
WHERE r.run_id = (SELECT max(run_id) FROM hone.advisor_runs) AND (s ->> 'queryid')::bigint IN (SELECT queryid FROM seen);
ROLLBACK;
\set VERBOSITY terse
UPDATE hone.sample_store SET settings = '[]' WHERE queryid IN (SELECT queryid FROM seen);

-- hidden like the values
CREATE ROLE regress_advise_stranger;
SET ROLE regress_advise_stranger;
SELECT count(*) AS settings FROM hone.workload_samples WHERE username = 'regress_advise_settings' AND settings IS NOT NULL;
SELECT count(*) AS settings FROM hone.workload_memory(0, true) WHERE pg_get_userbyid(userid) = 'regress_advise_settings' AND settings IS NOT NULL;
RESET ROLE;

SET client_min_messages = warning;
DROP SCHEMA advise_settings CASCADE;
DROP ROLE regress_advise_settings;
DROP ROLE regress_advise_stranger;
