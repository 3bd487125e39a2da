-- Query texts: constants replaced, texts cut, others' texts hidden, secrets
-- never kept.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS pg_hone;
RESET client_min_messages;
SELECT hone.reset_query_stats() IS NOT NULL AS reset;

SELECT 'tag1' AS stats_text, -5, 1.5e3, B'1', X'ff', $q$dollar$q$, E'\n', 'a'
    'b', interval '1 day' IS NULL, NULL::int;
SELECT 'tag2' AS stats_text /* a 'comment' */ , 1 -- another 'one'
    WHERE 1 = -1;
SELECT 'tag3' AS stats_text, now() IS NULL \; SELECT 'tag4' AS stats_text, now() < 'infinity';
SELECT 'tag5' AS stats_text, '日本語', U&'\0041', now() > '-infinity';
SET pg_hone.max_query_length = 64;
SELECT 'tag6' AS stats_text, 'aaaaaaaaaaaaaaaaaaaaaaaaaaa' || 'bbbbbbbbbbbbbbbbbbbbbbbbbbbbbb' AS "日本語日本語日本語日本語" WHERE false;
RESET pg_hone.max_query_length;
SET compute_query_id = off;
SELECT 'tag7' AS stats_text, current_date IS NULL;
SHOW compute_query_id;
RESET compute_query_id;

SELECT query FROM hone.query_stats WHERE query LIKE '%stats\_text%' AND calls > 0
ORDER BY query COLLATE "C";

-- secrets: utility statements are known by their command alone
SELECT 'x' AS stats_text, current_user IS NULL;
CREATE ROLE regress_hone_stats PASSWORD 'secret123';
ALTER ROLE regress_hone_stats PASSWORD 'secret456';
COPY (SELECT a FROM generate_series(1, 3) a) TO PROGRAM 'cat > /dev/null # secret789';
DO $do$ BEGIN EXECUTE 'SELECT 1' ; PERFORM 'secret000' IS NULL; END $do$;
SELECT count(*) FROM hone.query_stats WHERE query LIKE '%secret%' AND query NOT LIKE '%query\_stats%';
SELECT count(*) FROM hone.slow_queries WHERE query ~ 'secret[0-9]{3}';
SELECT query, calls FROM hone.query_stats WHERE command IN ('CREATE ROLE', 'ALTER ROLE') ORDER BY 1;

-- another role sees the figures, not the texts
SET ROLE regress_hone_stats;
SELECT 'mine' AS stats_mine, current_user;
SELECT count(*) FILTER (WHERE query LIKE '%stats\_text%') AS others,
       count(*) FILTER (WHERE query = '<insufficient privilege>') > 0 AS hidden,
       count(*) FILTER (WHERE query = 'SELECT $1 AS stats_mine, current_user') AS own
FROM hone.query_stats;
-- the same query with another alias is another text, and only its own
SELECT 'x' AS stats_alias, current_user IS NULL;
SELECT query FROM hone.query_stats WHERE query LIKE '%current\_user IS NULL%';
-- a leaky function in WHERE sees no more
CREATE FUNCTION pg_temp.leak(q text) RETURNS bool LANGUAGE plpgsql COST 0.0001 AS $$
BEGIN
    IF q LIKE '%stats\_text%' THEN RAISE NOTICE 'leaked'; END IF;
    RETURN true;
END $$;
SELECT count(*) > 0 AS rows FROM hone.query_stats WHERE pg_temp.leak(query);
SELECT hone.reset_query_stats();
SELECT hone.collect_query_stats();
SELECT * FROM hone.query_history_store;
RESET ROLE;
GRANT pg_read_all_stats TO regress_hone_stats;
SET ROLE regress_hone_stats;
SELECT count(*) > 0 AS others FROM hone.query_stats WHERE query LIKE '%stats\_text%';
RESET ROLE;
DROP FUNCTION pg_temp.leak;
DROP ROLE regress_hone_stats;
