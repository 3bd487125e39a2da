-- Texts, values and plans are for the role that ran them, those who have its
-- privileges and members of pg_read_all_stats; in memory and in the table.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS pg_hone;
CREATE ROLE keepers_a;
CREATE ROLE keepers_b;
CREATE ROLE keepers_dba IN ROLE pg_read_all_stats;
RESET client_min_messages;

CREATE FUNCTION keepers_leak(text) RETURNS bool LANGUAGE plpgsql COST 0.0001 AS
$$ BEGIN IF $1 LIKE '%secret%' THEN RAISE WARNING 'leaked %', $1; END IF; RETURN true; END $$;
CREATE TABLE keepers_t (a int);
GRANT SELECT ON keepers_t TO PUBLIC;
SELECT coalesce(max(id), 0) AS start FROM hone.slow_queries \gset
SET pg_hone.slow_query_ms = 0;
SET pg_hone.slow_plan_ms = 0;
SET pg_hone.slow_query_rate_limit = 0;
SET ROLE keepers_a;
PREPARE keepers_p(text) AS SELECT count(*) FROM keepers_t WHERE 'secret text' <> $1;
EXECUTE keepers_p('secret value');
RESET ROLE;
SET pg_hone.slow_query_ms = -1;

CREATE VIEW keepers_look AS
SELECT 'slow' AS source, query, parameters::text, plan IS NOT NULL AS more FROM hone.slow_queries
WHERE username = 'keepers_a' AND id > current_setting('keepers.start')::bigint
UNION ALL
SELECT 'sample', query, parameters::text, relids IS NOT NULL FROM hone.workload_samples WHERE username = 'keepers_a'
UNION ALL
SELECT 'workload', query, NULL, tables IS NOT NULL FROM hone.workload WHERE username = 'keepers_a'
UNION ALL
SELECT 'memory', query, parameters::text, plan IS NOT NULL FROM hone.slow_queries_memory(0)
WHERE pg_get_userbyid(userid) = 'keepers_a' AND id > current_setting('keepers.start')::bigint
UNION ALL
SELECT 'samples in memory', query, parameters::text, search_path IS NOT NULL FROM hone.workload_memory(0, true)
WHERE pg_get_userbyid(userid) = 'keepers_a';
SELECT set_config('keepers.start', :'start', false) IS NOT NULL AS started;
GRANT SELECT ON keepers_look TO PUBLIC;

SELECT * FROM keepers_look ORDER BY 1, 2;
SET ROLE keepers_a;
SELECT * FROM keepers_look ORDER BY 1, 2;
SET ROLE keepers_dba;
SELECT * FROM keepers_look ORDER BY 1, 2;
SET ROLE keepers_b;
SELECT * FROM keepers_look ORDER BY 1, 2;
-- a function in WHERE must not see what is hidden
SELECT count(*) > 0 AS looked FROM hone.slow_queries
WHERE keepers_leak(query) AND keepers_leak(parameters::text) AND keepers_leak(plan::text);
SELECT count(*) > 0 AS looked FROM hone.workload_samples WHERE keepers_leak(query) AND keepers_leak(parameters::text);
RESET ROLE;

-- the same from the tables: as if this server had been restarted
SELECT hone.collect_slow_queries() >= 0 AS stored, hone.collect_samples() >= 0 AS stored;
BEGIN;
UPDATE hone.slow_query_store SET id = id + 1000000000000000, query = query || ' stored' WHERE username = 'keepers_a';
UPDATE hone.sample_store SET sample_hash = 1, query = query || ' stored' WHERE pg_get_userbyid(userid) = 'keepers_a';
SET ROLE keepers_b;
SELECT DISTINCT query, parameters FROM hone.slow_queries WHERE username = 'keepers_a';
SELECT DISTINCT query, parameters, param_types, search_path, relids, settings FROM hone.workload_samples WHERE username = 'keepers_a';
SELECT count(*) > 0 AS looked FROM hone.slow_queries WHERE keepers_leak(query) AND keepers_leak(parameters::text);
SELECT count(*) > 0 AS looked FROM hone.workload_samples WHERE keepers_leak(query) AND keepers_leak(parameters::text);
SET ROLE keepers_dba;
SELECT count(*) > 0 AS seen FROM hone.slow_queries WHERE query LIKE '%secret text% stored';
SELECT count(*) > 0 AS seen FROM hone.workload_samples WHERE query LIKE '%secret text% stored';
ROLLBACK;

-- not for everybody
SET ROLE keepers_b;
SELECT hone.collect_slow_queries();
SELECT hone.collect_samples();
SELECT hone.expire_slow_queries();
SELECT hone.expire_captured();
SELECT count(*) FROM hone.slow_query_store;
SELECT count(*) FROM hone.sample_store;
SET pg_hone.slow_query_ms = 0;
SET pg_hone.capture_parameters = on;
RESET ROLE;

-- samples of a role that is gone go with it
DROP VIEW keepers_look;
DROP TABLE keepers_t;
DROP FUNCTION keepers_leak(text);
DROP ROLE keepers_a;
DROP ROLE keepers_b;
DROP ROLE keepers_dba;
SELECT count(*) FROM hone.workload_samples WHERE query LIKE '%secret text%';
SELECT hone.collect_samples() >= 0 AS collected;
SELECT count(*) FROM hone.sample_store WHERE query LIKE '%secret text%';
