-- What executions used: blocks of each kind, WAL, time to read, just-in-time
-- compilation; plans made for values or for any; errors caught inside.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS pg_hone;
RESET client_min_messages;
SET temp_buffers = '800kB';
SET track_io_timing = on;
SET max_parallel_workers_per_gather = 0;
SET jit = off;

CREATE TABLE stats_usage_t (a int, b text);
CREATE TEMP TABLE stats_usage_l (a int, b text);
INSERT INTO stats_usage_t SELECT g, 'x' FROM generate_series(1, 100) g;
CREATE FUNCTION stats_usage_f() RETURNS int LANGUAGE plpgsql AS $$
BEGIN
    FOR i IN 1..3 LOOP
        BEGIN
            PERFORM 1 / (a - 1) FROM stats_usage_t WHERE a = 1;
        EXCEPTION WHEN division_by_zero THEN NULL;
        END;
    END LOOP;
    RETURN 1;
END $$;
SELECT hone.reset_query_stats() IS NOT NULL AS reset;

-- pages and WAL
INSERT INTO stats_usage_t SELECT g, repeat('x', 100) FROM generate_series(1, 1000) g;
CHECKPOINT;
UPDATE stats_usage_t SET b = 'y' WHERE a <= 100;
SELECT query, shared_blks_hit > 0 AS hit, shared_blks_dirtied > 0 AS dirtied,
       shared_blks_written >= 0 AS written, wal_records >= 100 AS wal_records,
       wal_bytes > wal_records AS wal_bytes,
       CASE WHEN query LIKE 'UPDATE%' THEN (wal_fpi > 0) = current_setting('full_page_writes')::bool END AS wal_fpi
FROM hone.query_stats WHERE query LIKE '%INTO stats\_usage\_t%' OR query LIKE 'UPDATE stats\_usage\_t%'
ORDER BY query COLLATE "C";

-- temporary tables and files
INSERT INTO stats_usage_l SELECT g, repeat('x', 100) FROM generate_series(1, 20000) g;
SELECT count(*) AS read_again FROM stats_usage_l;
SET work_mem = '64kB';
SELECT count(*) AS sorted FROM (SELECT b FROM stats_usage_l ORDER BY b DESC, a OFFSET 0) AS s;
RESET work_mem;
SELECT query, local_blks_hit > 0 AS local_hit, local_blks_dirtied > 0 AS local_dirtied,
       local_blks_written > 0 AS local_written
FROM hone.query_stats WHERE query LIKE 'INSERT INTO stats\_usage\_l%';
SELECT query, local_blks_read > 0 AS local_read, blk_read_ms > 0 AS timed, blk_write_ms >= 0 AS write_timed,
       temp_blks_read > 0 AS temp_read, temp_blks_written > 0 AS temp_written
FROM hone.query_stats WHERE query LIKE 'SELECT count(*) AS %stats\_usage\_l%'
ORDER BY query COLLATE "C";

-- plans
PREPARE stats_usage_p (int) AS SELECT count(*) AS planned FROM stats_usage_t WHERE a = $1;
SET plan_cache_mode = force_custom_plan;
EXECUTE stats_usage_p (1);
EXECUTE stats_usage_p (1);
SET plan_cache_mode = force_generic_plan;
EXECUTE stats_usage_p (1);
EXECUTE stats_usage_p (1);
EXECUTE stats_usage_p (1);
RESET plan_cache_mode;
SELECT count(*) AS unplanned FROM stats_usage_t WHERE a = 1;
SELECT calls, custom_plans, generic_plans, custom_plans + generic_plans <= calls AS known
FROM hone.query_stats WHERE query LIKE '%AS planned FROM%' OR query LIKE 'SELECT count(*) AS unplanned%'
ORDER BY calls;

-- errors that the statement survived
SELECT stats_usage_f();
SELECT calls, errors, caught_errors FROM hone.query_stats WHERE query = 'SELECT stats_usage_f()';
SELECT s.toplevel, e.sqlstate, e.errors, e.caught
FROM hone.query_errors e JOIN hone.query_stats s USING (userid, dbid, queryid, toplevel)
WHERE s.query LIKE '%stats\_usage\_t WHERE a = %' AND e.sqlstate = '22012';

-- just-in-time compilation, where there is any
SET jit = on;
SET jit_above_cost = 0;
SELECT count(*) AS compiled FROM stats_usage_t WHERE a > 1000000;
RESET jit_above_cost;
SELECT (jit_functions > 0) = pg_jit_available() AS functions, (jit_ms > 0) = pg_jit_available() AS time
FROM hone.query_stats WHERE query LIKE '%AS compiled FROM%' AND calls = 1;

DEALLOCATE stats_usage_p;
DROP FUNCTION stats_usage_f;
DROP TABLE stats_usage_t, stats_usage_l;
RESET jit;
RESET max_parallel_workers_per_gather;
RESET track_io_timing;
RESET temp_buffers;
