-- Executions under the arms of a trial: which are counted, in which arm, and
-- what is added up. Which side a session is on when is not said anywhere; so
-- everything is done once before and once after a turn, which changes sides.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS pg_hone;
RESET client_min_messages;

CREATE TABLE stats_arms_t (a int, b int);
INSERT INTO stats_arms_t SELECT g, g / 10 FROM generate_series(0, 9999) g;
CREATE INDEX stats_arms_a ON stats_arms_t (a);
CREATE INDEX stats_arms_b ON stats_arms_t (b);
CREATE TABLE stats_arms_u (a int);
VACUUM ANALYZE stats_arms_t;

-- Trials 1000001 (of the index on b) and 1000002 (on a). A turn has cached plans
-- made anew; one that is written into the table by hand has not.
CREATE PROCEDURE stats_arms_turn() LANGUAGE plpgsql AS $$
BEGIN
    -- to the other turn of its pair
    UPDATE hone.hidden_index_store SET turn = (turn # 1) - 1 WHERE trial > 1000000;
    PERFORM hone.turn_trial(trial) FROM hone.hidden_index_store WHERE trial > 1000000;
END $$;
CREATE PROCEDURE stats_arms_known() LANGUAGE plpgsql AS $$
BEGIN
    ALTER TABLE hone.hidden_index_store RESET (fillfactor);
END $$;
CREATE FUNCTION stats_arms_count(n int) RETURNS bigint LANGUAGE plpgsql AS $$
BEGIN
    RETURN (SELECT count(*) AS by_plpgsql FROM stats_arms_t WHERE b = n);
END $$;
CREATE FUNCTION stats_arms_trigger() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM count(*) AS by_trigger FROM stats_arms_t WHERE b = NEW.a;
    RETURN NULL;
END $$;
CREATE FUNCTION stats_arms_sql(n int) RETURNS bigint LANGUAGE sql VOLATILE AS
$$ DELETE FROM stats_arms_u; SELECT count(*) AS by_sql FROM stats_arms_t WHERE b = n; $$;
CREATE TRIGGER t AFTER INSERT ON stats_arms_u FOR EACH ROW EXECUTE FUNCTION stats_arms_trigger();
CREATE VIEW stats_arms_seen AS
SELECT trial - 1000000 AS trial, query, visible, sum(executions) AS executions,
       sum(cancels) AS cancels, sum(used) AS used, sum(rows) AS rows,
       count(DISTINCT block) AS blocks
FROM hone.trial_executions
WHERE trial > 1000000 AND username = current_user
GROUP BY trial, query, visible ORDER BY trial, query COLLATE "C", visible;
SET enable_bitmapscan = off;
SET enable_indexonlyscan = off;
SET max_parallel_workers_per_gather = 0;

-- Nothing is on trial, nothing is counted.
SELECT count(*) FROM stats_arms_t WHERE b = 1;
SELECT * FROM stats_arms_seen;

SELECT hone.hide_for_trial('stats_arms_b', 'trial', 1000001, arms => true);
SELECT hone.reset_query_stats() IS NOT NULL AS reset;

-- Twice: simple statements, one that was prepared, functions, cursors, EXPLAIN
-- with and without ANALYZE, what changes rows.
PREPARE stats_arms_p AS SELECT a FROM stats_arms_t WHERE b = $1;
SET plan_cache_mode = force_generic_plan;
CREATE PROCEDURE stats_arms_round() LANGUAGE plpgsql AS $$
DECLARE
    r record;
    c CURSOR FOR SELECT a FROM stats_arms_t WHERE b > 10;
BEGIN
    FOR i IN 1..3 LOOP
        EXECUTE 'SELECT count(*) FROM stats_arms_t WHERE b = ' || i;
        PERFORM stats_arms_count(i);
        PERFORM stats_arms_sql(i);
    END LOOP;
    EXECUTE 'EXPLAIN SELECT a, ''explained'' FROM stats_arms_t WHERE b = 1';
    EXECUTE 'EXPLAIN ANALYZE SELECT a, ''analyzed'' FROM stats_arms_t WHERE b = 1';
    OPEN c;
    FETCH c INTO r;
    FETCH c INTO r;
    CLOSE c;
    INSERT INTO stats_arms_u VALUES (5);
    UPDATE stats_arms_t SET a = a WHERE b = 7;
END $$;
CALL stats_arms_round();
SELECT count(*) FROM stats_arms_t WHERE b = 4;
EXECUTE stats_arms_p (1);
EXECUTE stats_arms_p (2);
CALL stats_arms_turn();
CALL stats_arms_round();
SELECT count(*) FROM stats_arms_t WHERE b = 4;
EXECUTE stats_arms_p (1);
EXECUTE stats_arms_p (2);
SELECT query, visible, executions, cancels, used, rows FROM stats_arms_seen;
SELECT count(DISTINCT block) AS of_one_session, count(DISTINCT userid) AS roles,
       bool_and(block BETWEEN 0 AND 7) AS in_range
FROM hone.trial_executions WHERE trial = 1000001;
-- as many as the statistics have
SELECT count(*) AS queries, bool_and(s.calls = t.executions AND s.rows = t.rows) AS as_many,
       bool_and(abs(s.ms - t.ms) < 0.001) AS as_long, bool_and(s.blocks = t.blocks) AS as_much,
       bool_and(s.wal = t.wal) AS as_much_wal, max(s.wal) > 0 AS some_wal
FROM (SELECT queryid, sum(executions) AS executions, sum(rows) AS rows, sum(total_exec_ms) AS ms,
             sum(total_blocks) AS blocks, sum(wal_bytes) AS wal
      FROM hone.trial_executions WHERE trial = 1000001 GROUP BY queryid) t
     JOIN (SELECT queryid, sum(calls) AS calls, sum(rows) AS rows, sum(total_exec_ms) AS ms,
                  sum(shared_blks_hit + shared_blks_read + local_blks_hit + local_blks_read) AS blocks,
                  sum(wal_bytes) AS wal
           FROM hone.query_stats WHERE datname = current_database() GROUP BY queryid) s USING (queryid);

-- The arm is the plan's, wherever the session stands when it runs.
SELECT hone.reset_query_stats() IS NOT NULL AS reset;
EXECUTE stats_arms_p (1);
UPDATE hone.hidden_index_store SET turn = turn # 1 WHERE trial = 1000001;
CALL stats_arms_known();
EXECUTE stats_arms_p (1);
SELECT count(*) FROM stats_arms_t WHERE b = 4;
SELECT count(DISTINCT visible) AS arms, sum(executions) AS executions FROM stats_arms_seen
WHERE query LIKE 'PREPARE%';
SELECT p.visible <> s.visible AS other_side FROM stats_arms_seen p, stats_arms_seen s
WHERE p.query LIKE 'PREPARE%' AND s.query LIKE 'SELECT count%';
DEALLOCATE stats_arms_p;
RESET plan_cache_mode;

-- Cancelled ones count, with their time; failed ones, and what fails or is
-- cancelled before it runs, do not.
SELECT hone.forget_trial(1000001);
SET statement_timeout = '100ms';
SELECT pg_sleep(60) FROM stats_arms_t WHERE b = 4;
RESET statement_timeout;
SELECT 1 / (a - 41) FROM stats_arms_t WHERE b = 4;
DO $$
BEGIN
    PERFORM 1 / (a - 41) FROM stats_arms_t WHERE b = 4;
EXCEPTION WHEN division_by_zero THEN
    PERFORM a AS after_it FROM stats_arms_t WHERE b = 4;
END $$;
BEGIN;
DECLARE c CURSOR FOR SELECT a, 'never read' FROM stats_arms_t;
DECLARE d CURSOR FOR SELECT a, 'aborted' FROM stats_arms_t;
FETCH 1 FROM d;
ROLLBACK;
SELECT query, executions, cancels, rows FROM stats_arms_seen;
SELECT total_exec_ms BETWEEN 50 AND 50000 AS measured FROM hone.trial_executions
WHERE trial = 1000001 AND cancels > 0;

-- What is not captured is not counted.
SELECT hone.forget_trial(1000001);
SET pg_hone.track = 'top';
SELECT stats_arms_count(4);
SELECT count(*) AS top FROM stats_arms_t WHERE b = 4;
SET pg_hone.track = 'none';
SELECT count(*) AS none FROM stats_arms_t WHERE b = 4;
RESET pg_hone.track;
SET pg_hone.enabled = off;
SELECT count(*) AS disabled FROM stats_arms_t WHERE b = 4;
RESET pg_hone.enabled;
SELECT query, executions FROM stats_arms_seen;

-- A parallel plan is one execution, and what its workers read is in it.
SELECT hone.reset_query_stats() IS NOT NULL AS reset;
SET max_parallel_workers_per_gather = 2;
SET parallel_setup_cost = 0;
SET parallel_tuple_cost = 0;
SET min_parallel_table_scan_size = 0;
SET parallel_leader_participation = off;
SELECT count(*) AS in_parallel FROM stats_arms_t WHERE a % 2 = 0;
SELECT t.executions, t.rows, t.total_blocks >= pg_relation_size('stats_arms_t') / 8192 AS all_read
FROM hone.trial_executions t WHERE t.trial = 1000001 AND t.query LIKE '%in_parallel%';
RESET max_parallel_workers_per_gather;
RESET parallel_setup_cost;
RESET parallel_tuple_cost;
RESET min_parallel_table_scan_size;
RESET parallel_leader_participation;
SET max_parallel_workers_per_gather = 0;

-- Logarithms: of one execution, of two (whose sum their mean and variance must
-- give again), of many that read the same.
SELECT hone.reset_query_stats() IS NOT NULL AS reset;
SELECT count(*) AS one FROM stats_arms_t WHERE a + b = 44;
SELECT count(*) AS two FROM stats_arms_t WHERE a - b = 90;
SELECT count(*) AS two FROM stats_arms_t WHERE a - b = 90;
SELECT sum(length(repeat('x', b))) AS blocks FROM stats_arms_t WHERE ctid < '(3,1)';
SELECT sum(length(repeat('x', b))) AS blocks FROM stats_arms_t WHERE ctid < '(30,1)';
DO $$
BEGIN
    FOR i IN 1..200 LOOP
        PERFORM count(*) AS many FROM stats_arms_t WHERE a < 5;
    END LOOP;
END $$;
SELECT substring(query FROM 'AS (one|two|blocks|many) ') AS query, executions,
       CASE executions
           WHEN 1 THEN abs(exp(mean_log_ms) / total_exec_ms - 1) < 1e-5
                       AND abs(mean_log_blocks - ln(1 + total_blocks)) < 1e-6
                       AND var_log_ms IS NULL AND var_log_blocks IS NULL
           WHEN 2 THEN abs((exp(mean_log_ms + sqrt(var_log_ms / 2)) + exp(mean_log_ms - sqrt(var_log_ms / 2)))
                           / total_exec_ms - 1) < 1e-5
                       AND abs((exp(mean_log_blocks + sqrt(var_log_blocks / 2))
                                + exp(mean_log_blocks - sqrt(var_log_blocks / 2)) - 2) / total_blocks - 1) < 1e-5
                       -- the difference of the two is a whole number of 2^-20
                       AND abs(sqrt(2 * var_log_blocks) * 1048576 - round(sqrt(2 * var_log_blocks) * 1048576)) < 0.01
                       AND abs(sqrt(2 * var_log_ms) * 1048576 - round(sqrt(2 * var_log_ms) * 1048576)) < 0.01
           ELSE exp(mean_log_ms) <= total_exec_ms / executions AND var_log_ms > 0
                AND abs(mean_log_blocks - ln(1 + total_blocks::float8 / executions)) < 1e-6
       END AS exact, var_log_blocks > 0 AS blocks_vary
FROM hone.trial_executions WHERE trial = 1000001 ORDER BY query COLLATE "C";

-- Two trials at once are counted each, and are forgotten each.
SELECT hone.hide_for_trial('stats_arms_a', 'trial', 1000002, arms => true);
SELECT hone.reset_query_stats() IS NOT NULL AS reset;
SELECT count(*) FROM stats_arms_t WHERE b = 4 AND a > 0;
CALL stats_arms_turn();
SELECT count(*) FROM stats_arms_t WHERE b = 4 AND a > 0;
SELECT trial, query, executions, visible FROM stats_arms_seen;
SELECT trial_entries, trial_evictions FROM hone.query_stats_info;
SELECT hone.forget_trial(1000001);
SELECT trial, executions FROM stats_arms_seen;
-- a query's, and a role's
SELECT hone.reset_query_stats(queryid => queryid) FROM hone.query_stats
WHERE datname = current_database() AND query LIKE 'SELECT count(*) FROM stats_arms_t%' AND username = current_user;
SELECT count(*) FROM stats_arms_seen;
SELECT count(*) AS again FROM stats_arms_t WHERE b = 4 AND a > 0;
SELECT hone.reset_query_stats(userid => current_user::regrole) > 0 AS reset;
SELECT count(*) FROM stats_arms_seen;

-- Others see that it ran and what it took, and not its text.
SELECT count(*) FROM stats_arms_t WHERE b = 4;
CREATE ROLE stats_arms_other;
SET ROLE stats_arms_other;
SELECT DISTINCT query, executions FROM hone.trial_executions WHERE trial > 1000000;
SELECT hone.forget_trial(1000001);
RESET ROLE;
DROP ROLE stats_arms_other;

-- The trials are over, and nothing more is counted.
DELETE FROM hone.hidden_index_store WHERE trial > 1000000;
CALL stats_arms_known();
SELECT hone.forget_trial(1000001), hone.forget_trial(1000002);
SELECT count(*) FROM stats_arms_t WHERE b = 4;
SELECT * FROM stats_arms_seen;
DROP VIEW stats_arms_seen;
DROP TABLE stats_arms_t, stats_arms_u;
DROP FUNCTION stats_arms_count, stats_arms_sql, stats_arms_trigger;
DROP PROCEDURE stats_arms_known, stats_arms_turn, stats_arms_round;
