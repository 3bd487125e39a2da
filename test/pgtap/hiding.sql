-- An ordinary role sees its own texts and values, and nobody else's; a member
-- of pg_read_all_stats sees all. Asked of everything that PUBLIC may read.
SET client_min_messages = warning;
SET search_path = public;
SELECT plan(14);

CREATE ROLE hiding_alice LOGIN;
CREATE ROLE hiding_bob LOGIN;
CREATE ROLE hiding_reader LOGIN IN ROLE pg_read_all_stats;
CREATE TABLE hiding_t (a int, b text);
INSERT INTO hiding_t SELECT i, CASE WHEN i % 100 = 0 THEN 'alice_secret_4' ELSE 'x' || i END FROM generate_series(1, 20000) i;
ANALYZE hiding_t;
GRANT ALL ON hiding_t TO PUBLIC;

-- What alice runs; every statement is slow enough for the slow log. The secret
-- is once a constant of the text, once a parameter, once in a failure.
SET pg_hone.slow_query_ms = 0;
SET pg_hone.slow_plan_ms = 0;
SET SESSION AUTHORIZATION hiding_alice;
SELECT count(*) FROM hiding_t WHERE b = 'alice_secret_1';
PREPARE hiding_p AS SELECT count(*) AS alice_secret_name FROM hiding_t WHERE b = $1 AND a > 10;
EXECUTE hiding_p ('alice_secret_2');
EXECUTE hiding_p ('alice_secret_2');
DEALLOCATE hiding_p;
SET default_text_search_config = 'pg_catalog.danish';
SELECT count(*) FROM hiding_t WHERE b = 'alice_secret_4' AND a > 19000;
RESET default_text_search_config;
\set ON_ERROR_STOP off
\o /dev/null
\set VERBOSITY sqlstate
SELECT a / 0 FROM hiding_t WHERE b <> 'alice_secret_3';
\o
\set VERBOSITY default
\set ON_ERROR_STOP on
RESET SESSION AUTHORIZATION;
RESET pg_hone.slow_query_ms;
RESET pg_hone.slow_plan_ms;
-- Durable too, where there is something to make durable.
SELECT format('SELECT %s', p.oid::regproc) || '()' FROM pg_proc p
WHERE pronamespace = 'hone'::regnamespace AND pronargs = 0 AND proname LIKE 'collect%' \gexec
-- One that came over the network.
INSERT INTO hone.slow_query_store
SELECT (jsonb_populate_record(s, '{"id": 1, "client_addr": "192.0.2.77"}')).*
FROM hone.slow_query_store s WHERE userid = 'hiding_alice'::regrole LIMIT 1;

-- Advice on it, which shows texts, values and plans.
SELECT ok((SELECT count(*) > 0 FROM hone.recommend()), 'there is advice');

-- Everything PUBLIC may read, as queries that count rows with the secret.
CREATE TABLE hiding_reads AS
SELECT c.oid::regclass::text AS name, format('SELECT count(*) FROM %s t WHERE t::text LIKE %L', c.oid::regclass, '%alice_secret%') AS query
FROM pg_class c WHERE c.relnamespace = 'hone'::regnamespace AND c.relkind = 'v'
  AND has_table_privilege('public', c.oid, 'SELECT')
UNION ALL
SELECT p.oid::regproc::text,
       format('SELECT count(*) FROM %s(%s) t WHERE t::text LIKE %L', p.oid::regproc,
              (SELECT string_agg(CASE t WHEN 'bool'::regtype THEN 'true' WHEN 'text'::regtype THEN '''''' ELSE '0' END, ', ')
               FROM unnest(p.proargtypes::oid[]) t), '%alice_secret%')
FROM pg_proc p WHERE p.pronamespace = 'hone'::regnamespace AND p.prokind = 'f'
  AND has_function_privilege('public', p.oid, 'EXECUTE')
  AND (p.pronargs = 0 OR p.proname LIKE '%\_memory');
CREATE TABLE hiding_found (reader text, name text, rows bigint);
GRANT SELECT ON hiding_reads TO PUBLIC;
GRANT INSERT ON hiding_found TO PUBLIC;

SET pg_hone.enabled = off;		-- the questions hold the secret too
SET SESSION AUTHORIZATION hiding_bob;
SELECT format('INSERT INTO hiding_found VALUES (%L, %L, (%s))', 'bob', name, query) FROM hiding_reads \gexec
SELECT count(*) AS bob_others FROM hone.query_stats WHERE username = 'hiding_alice' AND query <> '<insufficient privilege>' \gset
SELECT count(*) > 0 AS bob_hidden FROM hone.query_stats WHERE username = 'hiding_alice' AND query = '<insufficient privilege>' \gset
SELECT count(*) AS bob_params FROM hone.slow_queries WHERE username = 'hiding_alice' AND (parameters IS NOT NULL OR plan IS NOT NULL) \gset
SELECT count(*) AS bob_addresses FROM hone.slow_queries WHERE client_addr IS NOT NULL \gset
SELECT count(*) AS bob_settings FROM hone.workload_samples WHERE username = 'hiding_alice' AND settings IS NOT NULL \gset
CREATE FUNCTION pg_temp.story(id bigint) RETURNS text LANGUAGE plpgsql AS
$$ BEGIN RETURN hone.explain_recommendation(id); EXCEPTION WHEN undefined_object THEN RETURN NULL; END $$;
SELECT count(pg_temp.story(i)) AS bob_stories FROM generate_series(1, 1000) i \gset
DROP FUNCTION pg_temp.story(bigint);
RESET SESSION AUTHORIZATION;
SET SESSION AUTHORIZATION hiding_alice;
SELECT count(*) AS alice_addresses FROM hone.slow_queries WHERE client_addr = '192.0.2.77' \gset
SELECT format('INSERT INTO hiding_found VALUES (%L, %L, (%s))', 'alice', name, query) FROM hiding_reads \gexec
RESET SESSION AUTHORIZATION;
SET SESSION AUTHORIZATION hiding_reader;
SELECT format('INSERT INTO hiding_found VALUES (%L, %L, (%s))', 'reader', name, query) FROM hiding_reads \gexec
RESET SESSION AUTHORIZATION;
RESET pg_hone.enabled;

SELECT cmp_ok((SELECT count(*)::int FROM hiding_reads), '>=', 6, 'there is something to read');
SELECT is((SELECT string_agg(name, ', ' ORDER BY name) FROM hiding_found WHERE reader = 'bob' AND rows > 0),
          NULL, 'bob finds alice''s secrets nowhere');
SELECT is(:bob_others, 0, 'bob sees the text of none of alice''s queries');
SELECT ok(:'bob_hidden'::bool, 'but that they ran');
SELECT is(:bob_params, 0, 'bob sees no parameters and plans of alice''s');
SELECT is(ARRAY[:alice_addresses, :bob_addresses], ARRAY[1, 0], 'nor from where she came');
SELECT is(:bob_settings + :bob_stories, 0, 'nor her settings, nor what was recommended for her queries');
SELECT cmp_ok((SELECT rows FROM hiding_found WHERE reader = 'reader' AND name = 'hone.recommendation_queries'), '>', 0::bigint,
              'a member of pg_read_all_stats finds them in the advice');
SELECT cmp_ok((SELECT rows FROM hiding_found WHERE reader = 'alice' AND name = 'hone.slow_queries'), '>', 0::bigint,
              'alice finds her own in the slow log');
SELECT cmp_ok((SELECT rows FROM hiding_found WHERE reader = 'alice' AND name = 'hone.workload_samples'), '>', 0::bigint,
              'alice finds her own in the samples');
SELECT cmp_ok((SELECT rows FROM hiding_found WHERE reader = 'reader' AND name = 'hone.slow_queries'), '>', 0::bigint,
              'a member of pg_read_all_stats finds them in the slow log');
SELECT cmp_ok((SELECT rows FROM hiding_found WHERE reader = 'reader' AND name = 'hone.query_stats'), '>', 0::bigint,
              'a member of pg_read_all_stats finds her texts in the statistics');
SELECT cmp_ok((SELECT count(*)::int FROM hone.query_stats WHERE username = 'hiding_bob'), '>=', 0, 'a superuser reads');

DELETE FROM hone.slow_query_store WHERE id = 1;
DROP TABLE hiding_t, hiding_reads, hiding_found;
DROP ROLE hiding_alice, hiding_bob, hiding_reader;
SELECT * FROM finish();
