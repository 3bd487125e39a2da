-- Answers that can be checked: what a recommendation helps and costs, what it
-- would be without it, why the other index lost; and that nothing stays behind
-- when planning fails in the middle.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS pg_hone;
DROP SCHEMA IF EXISTS advise_answers CASCADE;
DROP ROLE IF EXISTS regress_answers_owner;
RESET client_min_messages;
CREATE SCHEMA advise_answers;
SET search_path = advise_answers, public;
SET pg_hone.enabled = off;
CREATE TABLE event (id int PRIMARY KEY, account int, kind text, at timestamp, amount int, note text);
INSERT INTO event SELECT i, i % 1000, 'k' || i % 20, timestamp '2026-01-01' + i * interval '1 minute', i % 997, repeat('n', 60)
FROM generate_series(1, 40000) i;
CREATE TABLE tiny AS SELECT i AS id FROM generate_series(1, 20) i;
VACUUM ANALYZE event, tiny;
CREATE FUNCTION last_run() RETURNS bigint LANGUAGE sql STABLE AS 'SELECT max(run_id) FROM hone.advisor_runs';

-- Two readers and two writers of one table
CREATE TEMP TABLE made AS SELECT * FROM hone.recommend_for(ARRAY[
    'SELECT * FROM event WHERE account = 5 ORDER BY at DESC LIMIT 10',
    'SELECT count(*) FROM event WHERE account = 7',
    'INSERT INTO event VALUES (0, 1, ''k1'', now(), 1, '''')',
    'UPDATE event SET at = now() WHERE id = 5'], ARRAY[100, 50, 20, 10]);
SELECT regexp_replace(definition, '^.* USING ', '') AS index, queries_helped, queries_hurt,
       cost_after < cost_before AS better, cost_without > cost_after AS missed,
       cost_without <= cost_before * 1.01 AS not_worse_than_nothing, write_cost > 0 AS paid_for, key_roles, risks
FROM made;
-- cost_without is what the planner says of the others, here of none
SELECT round(m.cost_without::numeric) = round((100 * a.cost_before + 50 * b.cost_before)::numeric) AS without_is_before,
       round(m.cost_after::numeric) = round((100 * a.cost_after + 50 * b.cost_after)::numeric) AS after_is_what_if
FROM made m, hone.what_if('SELECT * FROM event WHERE account = 5 ORDER BY at DESC LIMIT 10', ARRAY[m.definition]) a,
     hone.what_if('SELECT count(*) FROM event WHERE account = 7', ARRAY[m.definition]) b;
-- all queries: those that use it with both plans, those that only pay with what they pay
SELECT left(q.query, 30) AS query, q.calls, q.cost_after < q.cost_before AS cheaper, q.write_cost > 0 AS pays,
       q.plan_before #>> '{0,Plan,Node Type}' AS before, q.plan_after #>> '{0,Plan,Node Type}' AS after,
       (q.plan_after #>> '{0,Plan,Total Cost}')::numeric = round(q.cost_after::numeric, 2) AS same_cost
FROM hone.recommendation_queries q JOIN made m ON m.id = q.recommendation_id ORDER BY 1;
-- the story has its parts, in order
SELECT string_agg(line, ' | ' ORDER BY n) AS parts
FROM made, regexp_split_to_table(hone.explain_recommendation(id), '\n') WITH ORDINALITY t(line, n)
WHERE line ~ '^[A-Z]' AND line !~ '^(Recommendation|CREATE)';
SELECT regexp_replace(line, '[0-9.]+', 'N', 'g') AS line
FROM made, regexp_split_to_table(hone.explain_recommendation(id), '\n') WITH ORDINALITY t(line, n)
WHERE line ~ 'Seq Scan|Index Scan using|CALL' ORDER BY n;
DROP TABLE made;

-- A plan in short
SELECT hone.plan_outline('[{"Plan": {"Node Type": "Limit", "Total Cost": 9.5, "Plan Rows": 1, "Plans": [
    {"Node Type": "Sort", "Total Cost": 9.1, "Plan Rows": 5, "Sort Key": ["a", "b DESC"], "Plans": [
        {"Node Type": "Index Scan", "Index Name": "i", "Relation Name": "t", "Total Cost": 8, "Plan Rows": 5,
         "Index Cond": "(a = 1)", "Filter": "(b > 2)"}]}]}}]');

-- Why not: the recommended index is named, with figures
CREATE FUNCTION why(index text) RETURNS TABLE (reason text, gains bool, sized bool) LANGUAGE sql AS $$
    SELECT regexp_replace(c.reason, '\d+(\.\d+)?', 'N', 'g'), c.improvement > 0, c.size_bytes > 0
    FROM hone.rejected_candidates c WHERE c.run_id = last_run() AND right(c.definition, length(index)) = index
$$;
SELECT count(*) AS made FROM hone.recommend_for(ARRAY['SELECT * FROM event WHERE account = 5 AND kind = ''k5'' ORDER BY at LIMIT 3',
                                                      'SELECT count(*) FROM event WHERE account = 7']);
SELECT * FROM why('btree (account)');
-- no more rows than are worth reading, and the gaining ones first
SELECT count(*) <= 200 AS bounded, bool_and(reason <> '') AS explained FROM hone.rejected_candidates WHERE run_id = last_run();
-- what it costs the writes
SELECT count(*) AS made FROM hone.recommend_for(ARRAY['SELECT id FROM event ORDER BY at DESC LIMIT 5',
    'UPDATE event SET at = now() WHERE id = 5'], ARRAY[1, 100000]);
SELECT * FROM why('btree (at)');
-- the storage budget: alone too large, or what is left of it
SELECT count(*) AS made FROM hone.recommend_for(ARRAY['SELECT * FROM event WHERE account = 5'], NULL, 8192);
SELECT * FROM why('btree (account)');
SELECT count(*) AS made FROM hone.recommend_for(ARRAY['SELECT * FROM event WHERE account = 5', 'SELECT * FROM event WHERE amount = 5'],
    ARRAY[100, 1], 500000);
SELECT * FROM why('btree (amount)');
-- the number of indexes
SELECT count(*) AS made FROM hone.recommend_for(ARRAY['SELECT * FROM event WHERE account = 5', 'SELECT * FROM event WHERE amount = 5'],
    ARRAY[100, 1], NULL, 1);
SELECT * FROM why('btree (amount)');
SELECT max_indexes, storage_budget_bytes, cpu_ms >= 0 AS cpu FROM hone.advisor_runs WHERE run_id = last_run();
-- nothing proven is null, never zero
SELECT (lower_bound IS NULL) = (gap IS NULL) AS together,
       coalesce(lower_bound > 0 AND lower_bound <= objective * 1.0001 AND gap BETWEEN 0 AND 1, true) AS sound
FROM hone.advisor_runs WHERE run_id = last_run();
-- existing ones, and those turned down
CREATE INDEX event_account ON event (account);
SELECT count(*) AS made FROM hone.recommend_for(ARRAY['SELECT * FROM event WHERE account = 5']);
SELECT * FROM why('btree (account)');
DROP INDEX event_account;
SELECT hone.dismiss(r.id, 'no') FROM hone.recommend_for(ARRAY['SELECT * FROM event WHERE account = 5']) r
WHERE r.definition ~ 'btree \(account\)$';
SELECT count(*) AS made FROM hone.recommend_for(ARRAY['SELECT * FROM event WHERE account = 5']) WHERE definition ~ 'btree \(account\)$';
SELECT * FROM why('btree (account)');
UPDATE hone.recommendation_store SET status = 'superseded' WHERE status = 'dismissed' AND dismiss_reason = 'no';

-- What the owner of the table may read says nothing of the statements
CREATE ROLE regress_answers_owner;
GRANT USAGE ON SCHEMA advise_answers TO regress_answers_owner;
SELECT max(id) AS id FROM hone.recommend_for(ARRAY['SELECT note FROM event WHERE account = 987 AND note <> ''hushhush''']) \gset
ALTER TABLE event OWNER TO regress_answers_owner;
SET ROLE regress_answers_owner;
SELECT count(*) AS rows, bool_or(r::text ~ 'hush') AS told FROM hone.recommendations r WHERE id = :id;
SELECT query, plan_before, plan_after FROM hone.recommendation_queries WHERE recommendation_id = :id;
SELECT hone.explain_recommendation(:id) ~ 'hush' AS told, hone.explain_recommendation(:id) ~ 'insufficient privilege' AS hidden;
SELECT count(*) FROM hone.rejected_candidates;
RESET ROLE;
ALTER TABLE event OWNER TO CURRENT_USER;

-- An error in the middle leaves nothing behind: no imagined index, no setting, no user
CREATE FUNCTION fails(int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    PERFORM set_config('enable_seqscan', 'off', false);
    RAISE division_by_zero USING MESSAGE = 'in the middle';
END $$;
CREATE FUNCTION state() RETURNS TABLE (scan text, myself bool, path text, seqscan text, captures text) LANGUAGE plpgsql AS $$
DECLARE
    line text;
BEGIN
    FOR line IN EXECUTE 'EXPLAIN (COSTS OFF) SELECT * FROM advise_answers.event WHERE account = 5' LOOP
        scan := coalesce(scan, line);
    END LOOP;
    RETURN QUERY SELECT scan, current_user = session_user, current_setting('search_path'),
                        current_setting('enable_seqscan'), current_setting('pg_hone.enabled');
END $$;
SELECT * FROM state();
\set VERBOSITY terse
SELECT count(*) FROM hone.advise('SELECT * FROM event WHERE account = fails(5)');
SELECT * FROM state();
SELECT count(*) FROM hone.recommend_for(ARRAY['SELECT * FROM event WHERE account = 5', 'SELECT * FROM event WHERE amount = fails(5)']);
SELECT * FROM state();
BEGIN;
SAVEPOINT s;
SELECT count(*) FROM hone.recommend_for(ARRAY['SELECT * FROM event WHERE account = 5', 'SELECT * FROM event WHERE amount = fails(5)']);
ROLLBACK TO s;
SELECT * FROM state();
SELECT count(*) AS still_advises FROM hone.advise('SELECT * FROM event WHERE account = 5');
SELECT * FROM state();
COMMIT;
-- caught by the caller's own code
DO $$ BEGIN
    PERFORM hone.advise('SELECT * FROM advise_answers.event WHERE account = advise_answers.fails(5)');
EXCEPTION WHEN division_by_zero THEN NULL; END $$;
SELECT * FROM state();
-- cancelled while it folds
CREATE FUNCTION sleeps(int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN PERFORM pg_sleep(60); RETURN 5; END $$;
SET statement_timeout = '300ms';
SELECT count(*) FROM hone.advise('SELECT * FROM event WHERE account = sleeps(5)');
RESET statement_timeout;
SELECT * FROM state();
-- and capture goes on
SET pg_hone.enabled = on;
SELECT count(*) AS captured_now FROM event WHERE account = 77;
SELECT calls FROM hone.query_stats WHERE query LIKE 'SELECT count(*) AS captured_now FROM event%';
SELECT hone.reset_query_stats(queryid => queryid) IS NULL AS forgotten FROM hone.query_stats
WHERE query LIKE 'SELECT count(*) AS captured_now FROM event%';
SET pg_hone.enabled = off;
\set VERBOSITY default

-- Queries that cannot be planned are named with the reason, and the run goes on
SET client_min_messages = warning;
DROP DATABASE IF EXISTS regress_answers WITH (FORCE);
RESET client_min_messages;
CREATE DATABASE regress_answers TEMPLATE template0;
SELECT current_database() AS home \gset
\c regress_answers
SET client_min_messages = warning;
CREATE EXTENSION pg_hone;
RESET client_min_messages;
SET pg_hone.enabled = off;
CREATE TABLE stays AS SELECT i AS id, i % 2000 AS a, i % 50 AS b, i % 50 AS c, md5(i::text) AS note FROM generate_series(1, 60000) i;
CREATE TABLE dropped AS TABLE stays;
CREATE TABLE renamed AS TABLE stays;
CREATE TABLE changed AS TABLE stays;
CREATE TABLE skew AS SELECT i AS id, CASE WHEN i % 100 = 0 THEN 'rare' || i % 7 ELSE 'common' END AS state,
    md5(i::text) AS u, md5(i::text) AS v, md5(i::text) AS w, md5(i::text) AS x FROM generate_series(1, 40000) i;
CREATE TABLE cached AS SELECT i AS id, repeat('c', 200) AS c FROM generate_series(1, 20000) i;
CREATE DOMAIN tag AS int;
VACUUM ANALYZE;
SET work_mem = '256kB';
SET pg_hone.enabled = on;
SELECT count(note) FROM stays WHERE a = 5;
SELECT count(*) FROM dropped WHERE a = 5;
SELECT count(*) FROM changed WHERE b = 7 AND c = 7;
SELECT count(*) FROM renamed WHERE a = 5::tag;
-- it sorts in files, and expects few rows where there are many
SELECT note || g FROM stays, generate_series(1, 2) g ORDER BY note || g \g /dev/null
SELECT format('SELECT * FROM stays WHERE b = %s AND c = %s', i, i) FROM generate_series(1, 40) i
\o /dev/null
\gexec
\o
-- a value that is rare, and one that is not
PREPARE skewed(text) AS SELECT * FROM skew WHERE state = $1;
EXECUTE skewed('rare1') \g /dev/null
EXECUTE skewed('common') \g /dev/null
EXECUTE skewed('rare3') \g /dev/null
SET pg_hone.enabled = off;
DROP TABLE dropped;
ALTER TABLE changed DROP COLUMN c;
DROP DOMAIN tag;
SELECT count(*) >= 1 AS advice FROM hone.recommend();
SELECT s ->> 'reason' AS reason FROM hone.advisor_runs r, jsonb_array_elements(r.skipped) s
WHERE r.run_id = (SELECT max(run_id) FROM hone.advisor_runs) ORDER BY 1;
SELECT left(query, 25) AS query, kind, regexp_replace(example, 'ROLE .* SET work_mem = ''.*''', 'ROLE ... SET work_mem') AS example
FROM hone.advisor_hints WHERE run_id = (SELECT max(run_id) FROM hone.advisor_runs) AND kind <> 'random_page_cost' ORDER BY 1, 2;
SELECT regexp_replace(definition, '^.* ON ', '') AS index, array_to_string(risks, ' ') AS risks
FROM hone.recommendations WHERE table_name = 'public.skew' ORDER BY id LIMIT 1;
SELECT q.query, q.calls, q.cost_after < q.cost_before AS cheaper
FROM hone.recommendation_queries q JOIN hone.recommendations r ON r.id = q.recommendation_id
WHERE r.table_name = 'public.skew' ORDER BY r.id LIMIT 1;
-- what extended statistics tell is not asked for, and memory that is enough neither
CREATE STATISTICS b_and_c ON b, c FROM stays;
ANALYZE stays;
SELECT count(*) >= 1 AS advice FROM hone.recommend();
SELECT left(query, 25) AS query, kind FROM hone.advisor_hints
WHERE run_id = (SELECT max(run_id) FROM hone.advisor_runs) AND kind <> 'random_page_cost' ORDER BY 1, 2;
-- blocks that are all in memory
SET pg_hone.enabled = on;
SET max_parallel_workers_per_gather = 0;
DO $$ BEGIN FOR i IN 1 .. 400 LOOP PERFORM count(*) FROM cached; END LOOP; END $$;
SET pg_hone.enabled = off;
SELECT count(*) >= 0 AS ran FROM hone.recommend();
SELECT queryid, query, username, hint ~ 'random_page_cost' AS says, example FROM hone.advisor_hints
WHERE run_id = (SELECT max(run_id) FROM hone.advisor_runs) AND kind = 'random_page_cost';
SET random_page_cost = 1.5;
SELECT count(*) >= 0 AS ran FROM hone.recommend();
SELECT count(*) FROM hone.advisor_hints
WHERE run_id = (SELECT max(run_id) FROM hone.advisor_runs) AND kind = 'random_page_cost';
\c :home
SET client_min_messages = warning;
DROP DATABASE regress_answers WITH (FORCE);
SET search_path = advise_answers, public;
DROP SCHEMA advise_answers CASCADE;
DROP ROLE regress_answers_owner;
