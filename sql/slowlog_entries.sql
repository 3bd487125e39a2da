-- What is logged: slow, failed and cancelled statements, with parameters and
-- plans, within a rate limit, in memory and in the table.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS pg_hone;
RESET client_min_messages;

CREATE TABLE slow_t (a int PRIMARY KEY, b text);
INSERT INTO slow_t SELECT g, 'x' || g FROM generate_series(1, 100) g;
SELECT coalesce(max(id), 0) AS start FROM hone.slow_queries \gset
CREATE VIEW slow_seen AS
SELECT id - :start AS id, query, parameters, rows, outcome, sqlstate,
       plan #>> '{Plan,Node Type}' AS plan, duration_ms
FROM hone.slow_queries
WHERE id > :start AND query LIKE '%slow_t%' AND query NOT LIKE '%VIEW%' ORDER BY id;

SET pg_hone.slow_query_ms = 20;
SET pg_hone.slow_plan_ms = 40;
PREPARE slow_p(float8, text, int[]) AS
    SELECT pg_sleep($1), b FROM slow_t WHERE b = $2 AND a <> ALL ($3);
EXECUTE slow_p(0.03, 'x5', '{1,2}');
EXECUTE slow_p(0.05, 'x7', '{}');
EXECUTE slow_p(0, 'x8', '{}');
-- failed after 20 ms, failed at once, cancelled
SELECT pg_sleep(0.03), 1 / (a - 5) FROM slow_t WHERE a = 5;
SELECT 1 / (a - 6) FROM slow_t WHERE a = 6;
SET statement_timeout = '10ms';
SELECT pg_sleep(10) FROM slow_t WHERE a = 7;
RESET statement_timeout;
SELECT query, parameters, rows, outcome, sqlstate, plan, duration_ms < 1000 AS soon FROM slow_seen;

-- inside functions, with the names of variables; a failing one keeps no values
CREATE FUNCTION slow_f(x int) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE n bigint; unused text := repeat('never shown', 1);
BEGIN
    SELECT count(*) + count(pg_sleep(0.05)) INTO n FROM slow_t WHERE a = x;
    RETURN n;
END $$;
SELECT slow_f(9);
SELECT parameters, outcome, plan FROM slow_seen WHERE query LIKE '%= x';

-- a cursor that ends with its transaction, also with a failing one
CREATE FUNCTION slow_open(ms float8) RETURNS text LANGUAGE plpgsql AS $$
DECLARE c refcursor; r record;
BEGIN
    OPEN c FOR SELECT pg_sleep(ms / 1000), 'cursor', b FROM slow_t WHERE a IN (10, 11, 12);
    FETCH c INTO r;
    RETURN r.b;
END $$;
BEGIN;
SELECT slow_open(50);
COMMIT;
BEGIN;
SELECT slow_open(51);
ROLLBACK;
SELECT parameters, outcome, plan IS NOT NULL AS plan FROM slow_seen WHERE query LIKE '%cursor%' AND query NOT LIKE '%OPEN%';
-- one savepoint's end does not end its neighbour's statement
DO $$ BEGIN
    BEGIN
        PERFORM pg_sleep(0.05), 'caught', 1 / (a - 1) FROM slow_t WHERE a = 1;
    EXCEPTION WHEN division_by_zero THEN
        PERFORM pg_sleep(0.05), 'after', a FROM slow_t WHERE a = 1;
    END;
END $$;
SELECT outcome, sqlstate, plan IS NOT NULL AS plan FROM slow_seen WHERE query ~ '^SELECT.*(caught|after)';

-- utility statements: the tag alone where the text could carry a secret
CREATE ROLE slow_role;
SET pg_hone.slow_query_ms = 0;
SET pg_hone.slow_query_rate_limit = 0;
ALTER ROLE slow_role PASSWORD 'slow_t secret';
SET pg_hone.slow_query_ms = -1;
SELECT count(*) FROM hone.slow_queries WHERE id > :start AND query LIKE '%secret%';
SELECT count(*) > 0 AS tag FROM hone.slow_queries
WHERE id > :start AND query = 'ALTER ROLE' AND outcome = 'completed';
DROP ROLE slow_role;

-- off is off, for cancelled ones too
SET statement_timeout = '10ms';
SELECT pg_sleep(10), 'off' FROM slow_t WHERE a = 8;
RESET statement_timeout;
SELECT count(*) FROM slow_seen WHERE query LIKE '%off%';

-- the rate limit is one for each query, and counts
SELECT rate_limited AS before FROM hone.slow_queries_info \gset
SET pg_hone.slow_query_ms = 0;
SET pg_hone.slow_query_rate_limit = 2;
DO $$
BEGIN
    FOR i IN 1..6 LOOP
        PERFORM 'flood', a FROM slow_t WHERE a = 1;
    END LOOP;
    PERFORM 'rare', b FROM slow_t WHERE a = 1;
END $$;
SET pg_hone.slow_query_ms = -1;
RESET pg_hone.slow_query_rate_limit;
-- (a new minute may begin meanwhile)
SELECT count(*) FILTER (WHERE query LIKE '%flood%') IN (2, 3, 4) AS flood,
       count(*) FILTER (WHERE query LIKE '%rare%') AS rare
FROM slow_seen WHERE query LIKE 'SELECT %';
SELECT rate_limited - :before >= 2 AS counted FROM hone.slow_queries_info;

-- values can be left out
SET pg_hone.slow_query_ms = 10;
SET pg_hone.capture_parameters = off;
EXECUTE slow_p(0.02, 'x9', '{}');
RESET pg_hone.capture_parameters;
SELECT parameters IS NULL AS left_out FROM slow_seen ORDER BY id DESC LIMIT 1;

-- values and texts of any kind and size
CREATE TYPE slow_composite AS (a int, b text);
CREATE TYPE slow_enum AS ENUM ('little', 'much');
CREATE DOMAIN slow_domain AS slow_enum[];
PREPARE slow_types(slow_composite, slow_enum, slow_domain, int4range, jsonb, numeric, bytea, text) AS
    SELECT pg_sleep(0.02), 'types', $1, $2, $3, $4, $5, $6, $7, length($8) FROM slow_t WHERE a = 1;
EXECUTE slow_types((1, 'x'), 'much', '{little,NULL}', '[1,5)', '{"k": [1]}', 1.50, '\xff', repeat('x', 1000000));
SELECT parameters FROM slow_seen ORDER BY id DESC LIMIT 1;
DO $$ BEGIN
    EXECUTE 'SELECT pg_sleep(0.02), $1, $2 FROM slow_t WHERE ''huge'' <> ''' || repeat('y', 1000000) || ''' AND a = 1'
    USING nullif('a', 'a'), array_fill(1, ARRAY[100]);
END $$;
SELECT length(query), parameters[1] IS NULL AS null_kept, length(parameters[2]) FROM slow_seen
WHERE query LIKE '%huge%' AND query LIKE 'SELECT%' ORDER BY id DESC LIMIT 1;
-- a type that is gone by the time somebody looks
DROP TYPE slow_composite, slow_enum CASCADE;
SELECT parameters FROM slow_seen WHERE query LIKE '%types%' ORDER BY id DESC LIMIT 1;

-- durable: what is in the table is shown once
SET pg_hone.slow_query_ms = -1;
SELECT count(*) AS before FROM slow_seen \gset
SELECT hone.collect_slow_queries() >= 0 AS collected;
SELECT count(*) FROM hone.slow_query_store WHERE id > :start AND query LIKE '%slow_p%' AND parameters IS NOT NULL;
SELECT count(*) = :before AS once FROM slow_seen;
SELECT hone.collect_slow_queries() AS nothing_new;
-- retention by age and by number
SELECT hone.expire_slow_queries() >= 0 AS expired;
BEGIN;
UPDATE hone.slow_query_store SET logged_at = now() - interval '31 days' WHERE id > :start;
SELECT hone.expire_captured() > 0 AS expired;
SELECT count(*) FROM hone.slow_query_store WHERE id > :start;
SELECT count(*) > 0 AS still_in_memory FROM slow_seen;
ROLLBACK;

-- no arguments that could break it
SELECT count(*) FROM hone.slow_queries_memory(NULL);
SELECT count(*) FROM hone.slow_queries_memory(9223372036854775807);
SELECT count(*) > 0 AS some FROM hone.slow_queries_memory(-1);

SET client_min_messages = warning;
DROP VIEW slow_seen;
DROP FUNCTION slow_f(int);
DROP FUNCTION slow_open(float8);
DROP TABLE slow_t;
