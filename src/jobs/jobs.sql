-- jobs: one round of the collector, and how the rounds went.

CREATE TABLE hone.collector_store (
    step        text PRIMARY KEY,
    last_run    timestamptz NOT NULL,
    duration_ms float8 NOT NULL,
    failures    int NOT NULL,          -- in a row
    last_error  text
);
COMMENT ON TABLE hone.collector_store IS 'How the steps of the collector went last';

-- What the launcher has a worker do in each database; a pg_cron job that calls
-- it does the same. The steps belong to other rooms and are looked for by name,
-- so that none of them has to know this one. A step that fails does not stop
-- the others: its error is kept for hone.collector_status.
CREATE FUNCTION hone.collect() RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
SET lock_timeout = '2s'
AS $$
DECLARE
    -- name, and how often at most
    steps CONSTANT text[] := ARRAY[
        ['collect_query_stats',  '0'],
        ['collect_slow_queries', '0'],
        ['collect_samples',      '0'],
        ['reconcile_actions',    '0'],
        ['expire_captured',      '1 hour']];
    job     text[];
    started timestamptz;
    problem text;
BEGIN
    IF pg_is_in_recovery() THEN
        RAISE EXCEPTION USING ERRCODE = 'read_only_sql_transaction',
            MESSAGE = 'cannot collect during recovery';
    END IF;

    PERFORM hone.hold_extension();

    -- One round at a time; if the other one takes long, it does it all. An
    -- advisory lock would let anybody stop the collector.
    BEGIN
        LOCK TABLE hone.collector_store IN SHARE ROW EXCLUSIVE MODE;
    EXCEPTION WHEN lock_not_available THEN
        RETURN;
    END;

    FOREACH job SLICE 1 IN ARRAY steps LOOP
        CONTINUE WHEN to_regprocedure(format('hone.%I()', job[1])) IS NULL;
        started := clock_timestamp();
        CONTINUE WHEN EXISTS (SELECT FROM hone.collector_store s
                              WHERE s.step = job[1] AND s.failures = 0
                                AND s.last_run > started - job[2]::interval);
        problem := NULL;
        BEGIN
            EXECUTE format('SELECT hone.%I()', job[1]);
        EXCEPTION WHEN OTHERS THEN
            problem := SQLSTATE || ': ' || SQLERRM;
        END;
        INSERT INTO hone.collector_store AS s
        VALUES (job[1], started,
                extract(epoch FROM clock_timestamp() - started) * 1000,
                CASE WHEN problem IS NULL THEN 0 ELSE 1 END, problem)
        ON CONFLICT ON CONSTRAINT collector_store_pkey DO UPDATE
            SET last_run = excluded.last_run, duration_ms = excluded.duration_ms,
                failures = CASE WHEN problem IS NULL THEN 0 ELSE s.failures + 1 END,
                last_error = excluded.last_error;
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
