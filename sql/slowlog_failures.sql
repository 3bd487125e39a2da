-- Failed statements: where the error was raised and at top level, however short
-- they were; and what each entry says of its place.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS pg_hone;
RESET client_min_messages;

CREATE TABLE slowfail_t (a int PRIMARY KEY);
INSERT INTO slowfail_t SELECT generate_series(1, 10);
SELECT coalesce(max(id), 0) AS start FROM hone.slow_queries \gset
CREATE VIEW slowfail_seen AS
SELECT id, query, outcome, sqlstate, toplevel, command, plan_kind, jit_ms, blk_read_ms, temp_blks_read
FROM hone.slow_queries
WHERE id > :start AND (query LIKE '%slowfail%' OR command IN ('DO', 'CREATE TABLE', 'CALL'))
ORDER BY id;
CREATE FUNCTION slowfail_1(x int) RETURNS int LANGUAGE plpgsql AS $$
BEGIN
    RETURN (SELECT 1 / (a - x) AS slowfail_raised FROM slowfail_t WHERE a = x);
END $$;
CREATE FUNCTION slowfail_2(x int) RETURNS int LANGUAGE plpgsql AS $$
BEGIN
    RETURN (SELECT slowfail_1(a) AS slowfail_between FROM slowfail_t WHERE a = x);
END $$;
CREATE FUNCTION slowfail_3(x int) RETURNS int LANGUAGE plpgsql AS $$
BEGIN
    BEGIN
        PERFORM 1 / (a - 4) AS slowfail_caught FROM slowfail_t WHERE a = 4;
    EXCEPTION WHEN division_by_zero THEN
        NULL;
    END;
    RAISE EXCEPTION 'raised after that';
END $$;

SET pg_hone.slow_query_ms = '1h';
SET pg_hone.slow_query_rate_limit = 0;
SELECT slowfail_2(5) AS slowfail_top;
-- the function's own error, after one that was caught
SELECT slowfail_3(a) AS slowfail_own FROM slowfail_t WHERE a = 5;
DO $$ BEGIN PERFORM slowfail_3(a) AS slowfail_own_nested FROM slowfail_t WHERE a = 5; END $$;
INSERT INTO slowfail_t VALUES (1);
CREATE TABLE slowfail_t (secret_column int);
-- what fails while it is planned is there, what fails before it is a query is not
SELECT 1 / 0 AS slowfail_planned FROM slowfail_t;
SELECT slowfail_nowhere FROM slowfail_t;
-- nor what completes
SELECT count(*) AS slowfail_completed FROM slowfail_t;
SELECT query, outcome, sqlstate, toplevel, command FROM slowfail_seen;
SELECT count(*) AS with_secret FROM hone.slow_queries WHERE id > :start AND query LIKE '%secret\_column%' AND command = 'CREATE TABLE';

-- It can be left to the slow ones, and switched off with the rest.
SELECT max(id) AS last FROM slowfail_seen \gset
SET pg_hone.log_failed = off;
SELECT 1 / (a - 6) AS slowfail_off FROM slowfail_t WHERE a = 6;
SET pg_hone.slow_query_ms = 10;
SELECT pg_sleep(0.02), 1 / (a - 6) AS slowfail_slow FROM slowfail_t WHERE a = 6;
RESET pg_hone.log_failed;
SET pg_hone.slow_query_ms = -1;
SELECT 1 / (a - 6) AS slowfail_none FROM slowfail_t WHERE a = 6;
SELECT query, sqlstate FROM slowfail_seen WHERE id > :last;

-- The rate limit is theirs too.
SELECT rate_limited AS before FROM hone.slow_queries_info \gset
SET pg_hone.slow_query_ms = '1h';
SET pg_hone.slow_query_rate_limit = 2;
DO $$ BEGIN
    FOR i IN 1..8 LOOP
        BEGIN
            PERFORM 1 / (a - 7) AS slowfail_flood FROM slowfail_t WHERE a = 7;
        EXCEPTION WHEN division_by_zero THEN
            NULL;
        END;
    END LOOP;
END $$;
SET pg_hone.slow_query_ms = -1;
-- (a new minute may begin meanwhile)
SELECT count(*) IN (2, 3, 4) AS limited FROM slowfail_seen WHERE query LIKE 'SELECT%slowfail_flood%';
SELECT rate_limited - :before >= 4 AS counted FROM hone.slow_queries_info;

-- The new columns, in memory and in the table.
SET pg_hone.slow_query_ms = 0;
RESET pg_hone.slow_query_rate_limit;
SELECT count(*) AS slowfail_columns FROM slowfail_t;
SET pg_hone.slow_query_ms = -1;
SELECT toplevel, command, jit_ms >= 0 AS jit, blk_read_ms >= 0 AS read, temp_blks_read FROM slowfail_seen WHERE query LIKE '%slowfail_columns%';
SELECT hone.collect_slow_queries() >= 0 AS collected;
SELECT toplevel, command, jit_ms >= 0 AS jit, blk_read_ms >= 0 AS read, temp_blks_read, written_bytes > 0 AS measured
FROM hone.slow_query_store WHERE id > :start AND query LIKE '%slowfail_columns%';

-- no arguments that could break it
SELECT hone.slow_queries_stored(NULL);
SELECT hone.slow_queries_stored(-1);
SELECT count(*) FROM hone.slow_queries_memory(0, NULL);

SET client_min_messages = warning;
DROP VIEW slowfail_seen;
DROP FUNCTION slowfail_1(int), slowfail_2(int), slowfail_3(int);
DROP TABLE slowfail_t;
