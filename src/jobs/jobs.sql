-- jobs: one round of the collector, and how the rounds went.

CREATE TABLE hone.collector_store (
    step        text PRIMARY KEY,
    last_run    timestamptz NOT NULL,
    duration_ms float8 NOT NULL,
    failures    int NOT NULL,          -- in a row
    last_error  text
);
COMMENT ON TABLE hone.collector_store IS 'How the steps of the collector went last';

-- One round is every step that is due, one after the other: the launcher has a
-- worker do each in a transaction of its own (round.c), hone.collect() does
-- them all in one. The steps belong to other rooms and are looked for by name,
-- so that none of them has to know this one.

CREATE FUNCTION hone.hold_collector() RETURNS void
LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'hone_jobs_hold_collector';
COMMENT ON FUNCTION hone.hold_collector() IS
    'Has other rounds of the collector in this database wait until the transaction ends';

-- In their order. Due is what was not done yet in this minute or hour, or failed
-- the last time.
CREATE FUNCTION hone.collector_steps(OUT step text, OUT every_s int, OUT due bool)
RETURNS SETOF record
LANGUAGE sql VOLATILE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT s.step, s.every_s,
           NOT EXISTS (
               SELECT FROM hone.collector_store c
               WHERE c.step = s.step AND c.failures = 0
                 AND floor(extract(epoch FROM c.last_run) / nullif(s.every_s, 0))
                     = floor(extract(epoch FROM clock_timestamp()) / nullif(s.every_s, 0)))
    FROM (VALUES
        (1, 'collect_query_stats', 60),
        (2, 'roll_up_query_stats', 60),
        (3, 'collect_slow_queries', 0),
        (4, 'collect_samples', 0),
        (5, 'reconcile_actions', 0),
        (6, 'look_at_trials', 0),
        (7, 'expire_captured', 3600),
        (8, 'expire_query_history', 600),
        (9, 'collect_index_use', 600),
        (10, 'collect_table_writes', 600),
        (20, 'auto_tune', 60),
        (30, 'collect_standby_index_use', 600),
        (31, 'collect_index_usage', 3600),
        (32, 'collect_index_sizes', 3600),
        (33, 'examine_indexes', 3600)
    ) AS s (place, step, every_s)
    WHERE to_regprocedure(format('hone.%I()', s.step)) IS NOT NULL
    ORDER BY s.place
$$;
COMMENT ON FUNCTION hone.collector_steps() IS
    'The steps of a round of the collector, how often each is done at most, and whether it is due';

CREATE FUNCTION hone.note_step(step text, started timestamptz, problem text) RETURNS void
LANGUAGE sql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
    INSERT INTO hone.collector_store AS s
    VALUES (step, started, extract(epoch FROM clock_timestamp() - started) * 1000,
            CASE WHEN problem IS NULL THEN 0 ELSE 1 END, problem)
    ON CONFLICT ON CONSTRAINT collector_store_pkey DO UPDATE
        SET last_run = excluded.last_run, duration_ms = excluded.duration_ms,
            failures = CASE WHEN excluded.failures = 0 THEN 0 ELSE s.failures + 1 END,
            last_error = excluded.last_error
$$;
COMMENT ON FUNCTION hone.note_step(text, timestamptz, text) IS
    'Notes for hone.collector_status how a step of the collector went';

-- What a step raises is kept for hone.collector_status, and raised no further.
CREATE FUNCTION hone.collect_step(step text) RETURNS void
LANGUAGE plpgsql VOLATILE STRICT PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    started timestamptz := clock_timestamp();
    problem text;
BEGIN
    IF NOT EXISTS (SELECT FROM hone.collector_steps() s WHERE s.step = collect_step.step) THEN
        RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value',
            MESSAGE = format('there is no step "%s" of the collector', step);
    END IF;
    BEGIN
        EXECUTE format('SELECT hone.%I()', step);
    EXCEPTION WHEN OTHERS THEN
        problem := SQLSTATE || ': ' || SQLERRM;
    END;
    PERFORM hone.note_step(step, started, problem);
END
$$;
COMMENT ON FUNCTION hone.collect_step(text) IS 'Does one step of the collector, and notes how it went';

CREATE FUNCTION hone.collector_cost(
    OUT preloaded bool, OUT launcher_cpu_ms float8, OUT collector_cpu_ms float8,
    OUT rounds bigint)
LANGUAGE c VOLATILE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'hone_jobs_cost';
COMMENT ON FUNCTION hone.collector_cost() IS
    'CPU time of the launcher and of the collector''s workers since the server started, and how many rounds these did';

CREATE FUNCTION hone.collect() RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
SET lock_timeout = '2s'
AS $$
DECLARE
    step text;
BEGIN
    IF pg_is_in_recovery() THEN
        RAISE EXCEPTION USING ERRCODE = 'read_only_sql_transaction',
            MESSAGE = 'cannot collect during recovery';
    END IF;
    IF NOT (SELECT c.preloaded FROM hone.collector_cost() c) THEN
        RAISE WARNING USING ERRCODE = 'object_not_in_prerequisite_state',
            MESSAGE = 'pg_hone was not loaded via "shared_preload_libraries", so there is nothing captured to collect',
            HINT = 'Add pg_hone to "shared_preload_libraries" and restart the server. Unfinished actions are looked after without it.';
    END IF;

    -- If the other round takes long, it does it all.
    BEGIN
        PERFORM hone.hold_collector();
    EXCEPTION WHEN lock_not_available THEN
        RETURN;
    END;

    FOR step IN SELECT s.step FROM hone.collector_steps() s WHERE s.due LOOP
        PERFORM hone.collect_step(step);
    END LOOP;
END
$$;
COMMENT ON FUNCTION hone.collect() IS
    'Makes what was captured durable, expires what is old, and looks after unfinished actions';

CREATE FUNCTION hone.collector_databases(
    OUT dbid oid, OUT last_run timestamptz, OUT duration_ms float8,
    OUT failures int, OUT last_error text) RETURNS SETOF record
LANGUAGE c VOLATILE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'hone_jobs_databases';
COMMENT ON FUNCTION hone.collector_databases() IS
    'Rounds of the collector in each database; empty for those who are not members of pg_read_all_stats';

CREATE VIEW hone.collector_status WITH (security_barrier) AS
SELECT d.datname AS database, c.last_run, c.duration_ms, c.failures, c.last_error,
       'round'::text AS step
FROM hone.collector_databases() c
JOIN pg_catalog.pg_database d ON d.oid OPERATOR(pg_catalog.=) c.dbid
UNION ALL
SELECT pg_catalog.current_database(), s.last_run, s.duration_ms, s.failures, s.last_error, s.step
FROM hone.collector_store s
WHERE pg_catalog.pg_has_role('pg_read_all_stats', 'USAGE');
COMMENT ON VIEW hone.collector_status IS
    'How the collector does: its rounds in all databases, and their steps in this one';

CREATE FUNCTION hone.wake_collector() RETURNS void
LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'hone_jobs_wake';
COMMENT ON FUNCTION hone.wake_collector() IS
    'Has the collector look at this database as soon as the transaction commits';

-- This database is to be collected from now on.
DO $$ BEGIN PERFORM hone.wake_collector(); END $$;
