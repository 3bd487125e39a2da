-- Advice on what was captured: as the roles that ran it, whatever became of them.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS pg_hone;
DROP SCHEMA IF EXISTS advise_workload CASCADE;
DROP ROLE IF EXISTS regress_advise_app;
DROP ROLE IF EXISTS regress_advise_gone;
DROP ROLE IF EXISTS regress_advise_reader;
RESET client_min_messages;
CREATE SCHEMA advise_workload;
CREATE ROLE regress_advise_app;
CREATE ROLE regress_advise_gone;
CREATE ROLE regress_advise_reader;
GRANT USAGE ON SCHEMA advise_workload TO PUBLIC;
SET search_path = advise_workload, public;
SELECT coalesce(max(run_id), 0) AS last_run FROM hone.advisor_runs \gset

-- the load is not part of the workload
SET pg_hone.enabled = off;
CREATE TABLE item (id bigint PRIMARY KEY, tenant int, owner int, state text, made_at timestamptz, note text);
INSERT INTO item
SELECT i, i % 400, (i * 7919) % 3000, CASE WHEN i % 50 = 0 THEN 'open' ELSE 'done' END,
       timestamptz '2026-01-01 00:00+00' + i * interval '1 minute', repeat('n', 60)
FROM generate_series(1, 30000) i;
CREATE TABLE secret AS SELECT i AS id, i % 3000 AS owner, repeat('s', 80) AS note FROM generate_series(1, 20000) i;
CREATE TABLE part (id bigint, owner int, made_at timestamptz NOT NULL, note text) PARTITION BY RANGE (made_at);
CREATE TABLE part_1 PARTITION OF part FOR VALUES FROM ('2025-12-01') TO ('2026-02-01');
CREATE TABLE part_2 (note text, made_at timestamptz NOT NULL, id bigint, owner int);
ALTER TABLE part ATTACH PARTITION part_2 FOR VALUES FROM ('2026-02-01') TO ('2026-03-01');
INSERT INTO part SELECT i, i % 3000, timestamptz '2026-01-01 00:00+00' + i * interval '2 minutes', repeat('p', 60)
FROM generate_series(1, 30000) i;
CREATE TABLE queue (id bigint PRIMARY KEY, state text, made_at timestamptz, note text);
INSERT INTO queue SELECT i, CASE WHEN i % 60 = 0 THEN 'open' ELSE 'done' END,
       timestamptz '2026-01-01 00:00+00' + i * interval '1 minute', repeat('q', 60)
FROM generate_series(1, 30000) i;
VACUUM ANALYZE item, secret, part, queue;
GRANT SELECT ON item, secret, part, queue TO regress_advise_app, regress_advise_gone;
ALTER TABLE item ENABLE ROW LEVEL SECURITY;
CREATE POLICY mine ON item USING (tenant = current_setting('advise.tenant')::int);

SET pg_hone.enabled = on;

-- an application with row security, parameters and its own search_path
SET ROLE regress_advise_app;
SET search_path = advise_workload;
SET advise.tenant = 7;
PREPARE mine(timestamptz) AS SELECT id, note FROM item WHERE made_at > $1;
EXECUTE mine('2026-01-20') \g /dev/null
EXECUTE mine('2026-01-19') \g /dev/null
SELECT note FROM part WHERE owner = 5 \g /dev/null
SELECT note FROM secret WHERE owner = 7 \g /dev/null
-- always the same value: it may become a predicate; always another one: not
PREPARE jobs(text, int) AS SELECT id, note FROM queue WHERE state = $1 ORDER BY made_at LIMIT $2;
SELECT format('EXECUTE jobs(''open'', %s)', i) FROM generate_series(1, 100) i
\o /dev/null
\gexec
\o
RESET ROLE;
-- statements that cannot be planned again
CREATE TABLE gone AS SELECT 1 AS a;
SELECT * FROM gone WHERE a = 5;
DROP TABLE gone;
SET ROLE regress_advise_gone;
SELECT note FROM advise_workload.secret WHERE id = 77 \g /dev/null
RESET ROLE;
SET search_path = advise_workload, public;
RESET advise.tenant;
REVOKE SELECT ON secret FROM regress_advise_app, regress_advise_gone;
REVOKE ALL ON item, part, queue, secret FROM regress_advise_gone;
DROP ROLE regress_advise_gone;

-- The planner evaluates the policy; this session's setting stands in for the application's
SET advise.tenant = 7;
CREATE TEMP TABLE made AS SELECT * FROM hone.recommend() WHERE table_name ~ '^advise_workload\.';
-- (whether what is only read goes into the index depends on times measured)
SELECT table_name, regexp_replace(regexp_replace(definition, '^.* USING ', ''), ' INCLUDE \([^)]*\)', '') AS index,
       queries_helped > 0 AS helps
FROM made WHERE action = 'create' ORDER BY definition;
SELECT reason ~ 'force_generic_plan' AS warned FROM made WHERE table_name = 'advise_workload.queue';
-- what was left out, and why: the run went on
SELECT s ->> 'role' = current_user AS mine, s ->> 'reason' AS reason
FROM hone.advisor_runs r, jsonb_array_elements(r.skipped) s
WHERE r.run_id = (SELECT max(run_id) FROM hone.advisor_runs)
  AND s ->> 'reason' IN ('relation "gone" does not exist', 'permission denied for table secret')
GROUP BY 1, 2 ORDER BY 2;
SELECT run.queries > 0 AS queries, run.candidates > 0 AS candidates, run.planner_calls > 0 AS calls,
       run.cost_after < run.cost_before AS better, run.elapsed_ms > 0 AS timed
FROM hone.advisor_runs run WHERE run_id = (SELECT max(run_id) FROM hone.advisor_runs);
SELECT DISTINCT username FROM hone.recommendation_queries q JOIN made ON made.id = q.recommendation_id
WHERE made.table_name = 'advise_workload.part';

-- How a table was loaded is not how it is used
CREATE TABLE loaded (id int, owner int, note text);
INSERT INTO loaded SELECT i, i % 5000, repeat('l', 60) FROM generate_series(1, 30000) i;
VACUUM ANALYZE loaded;
SELECT count(note) FROM loaded WHERE owner = 5;
SELECT definition, write_cost FROM hone.recommend() WHERE table_name = 'advise_workload.loaded';

-- Who may not see others' statements gets advice on his own only
GRANT EXECUTE ON FUNCTION hone.recommend TO regress_advise_reader;
SET ROLE regress_advise_reader;
SELECT count(*) FROM hone.recommend();
SELECT queries FROM hone.advisor_runs;
RESET ROLE;
GRANT pg_read_all_stats TO regress_advise_reader;
SET ROLE regress_advise_reader;
SELECT count(*) > 0 AS some FROM hone.recommend() WHERE table_name = 'advise_workload.part';
RESET ROLE;

-- Nothing of a role runs as the one who asks for advice
CREATE FUNCTION canary(int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS
$$ BEGIN
    IF current_user <> 'regress_advise_app' THEN RAISE 'run as %', current_user; END IF;
    RETURN $1;
END $$;
SET ROLE regress_advise_app;
SELECT note FROM part WHERE id = canary(5) \g /dev/null
RESET ROLE;
SELECT count(*) FROM hone.recommend() WHERE definition ~ 'advise_workload.part USING btree \(id\)';
SELECT current_user = session_user AS myself, current_setting('search_path') AS path;
SELECT count(*) FROM hone.advisor_runs r, jsonb_array_elements(r.skipped) s
WHERE r.run_id = (SELECT max(run_id) FROM hone.advisor_runs) AND s ->> 'reason' ~ 'run as';

-- A function's statements are advised on, although they name their parameters
CREATE TABLE visit (id int, owner int, note text);
INSERT INTO visit SELECT i, i % 5000, repeat('v', 60) FROM generate_series(1, 30000) i;
VACUUM ANALYZE visit;
CREATE FUNCTION visits_of(wanted int, "other One" int) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE n bigint; one record;
BEGIN
    SELECT count(note) INTO n FROM visit WHERE owner = wanted OR owner = visits_of."other One";
    FOR one IN SELECT wanted + i AS who FROM generate_series(1, 3) i LOOP
        SELECT count(note) + n INTO n FROM visit WHERE owner = one.who;
    END LOOP;
    RETURN n;
END $$;
CREATE FUNCTION latest_visit(who int) RETURNS SETOF visit LANGUAGE sql VOLATILE AS $$
    -- the newest
    SELECT * FROM visit WHERE owner = latest_visit.who ORDER BY id DESC LIMIT 1;
$$;
SELECT visits_of(i, i + 1) > 0 AS counted FROM generate_series(1, 20) i GROUP BY 1;
SELECT count(*) FROM latest_visit(7);
SELECT query, param_types::regtype[] AS types, replannable FROM hone.workload_samples
WHERE query LIKE '%FROM visit WHERE%' GROUP BY 1, 2, 3 ORDER BY query COLLATE "C";
SELECT parameters FROM hone.workload_samples WHERE query LIKE 'SELECT * FROM visit%';
SELECT regexp_replace(definition, '^.* USING ', '') AS index FROM hone.recommend()
WHERE table_name = 'advise_workload.visit';

-- A statement that cannot be planned again is not passed over in silence
PREPARE by_note (text) AS SELECT count(id) FROM visit WHERE note = $1;
EXECUTE by_note(repeat('long', 10000));
SELECT count(*) >= 0 AS advised FROM hone.recommend();
SELECT s ->> 'role' = current_user AS mine, s ->> 'reason' AS reason
FROM hone.advisor_runs r, jsonb_array_elements(r.skipped) s, hone.workload w
WHERE r.run_id = (SELECT max(run_id) FROM hone.advisor_runs)
  AND w.queryid = (s ->> 'queryid')::bigint AND w.query LIKE '%FROM visit WHERE note%';
DEALLOCATE by_note;

-- An index of a partitioned table says how it is built, and is
DELETE FROM hone.recommendation_store WHERE run_id > :last_run;
CREATE TABLE parted (a int, at timestamptz, note text) PARTITION BY RANGE (at);
CREATE TABLE parted_1 PARTITION OF parted DEFAULT;
INSERT INTO parted SELECT i % 5000, now(), repeat('p', 60) FROM generate_series(1, 30000) i;
CREATE TABLE whole AS SELECT * FROM parted;
VACUUM ANALYZE parted, whole;
SELECT table_name, reason LIKE '%on each partition%' AS of_partitions
FROM hone.recommend_for(ARRAY['SELECT note FROM parted WHERE a = 5', 'SELECT note FROM whole WHERE a = 5'])
ORDER BY 1;
SELECT regexp_replace(hone.explain_recommendation(id), '.*(To apply it)', '\1') ~ 'CREATE INDEX CONCURRENTLY on each partition' AS by_hand
FROM hone.recommendations WHERE run_id > :last_run AND table_name = 'advise_workload.parted';
CALL hone.apply_all();
SELECT table_name, status FROM hone.recommendations WHERE run_id > :last_run AND status <> 'superseded' ORDER BY 1;

DROP TABLE made;
DELETE FROM hone.action_store WHERE table_name LIKE 'advise\_workload.%';
DELETE FROM hone.advisor_run_store WHERE run_id > :last_run;
SET client_min_messages = warning;
DROP SCHEMA advise_workload CASCADE;
DROP OWNED BY regress_advise_reader, regress_advise_app;
DROP ROLE regress_advise_reader;
DROP ROLE regress_advise_app;
