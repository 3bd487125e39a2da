-- A round runs every step, whatever becomes of the others.
SET client_min_messages = warning;
DROP EXTENSION IF EXISTS pg_hone;
CREATE TABLE jobs_collect AS SELECT clock_timestamp() AS began;
CREATE EXTENSION pg_hone;
RESET client_min_messages;

-- the launcher sees this database, without being told
DO $$ BEGIN
    FOR i IN 1 .. 1000 LOOP
        EXIT WHEN EXISTS (SELECT FROM hone.collector_status, jobs_collect
                          WHERE database = current_database() AND step = 'round' AND last_run > began);
        PERFORM pg_sleep(0.01);
        COMMIT;
    END LOOP;
END $$;
SELECT failures, last_error, duration_ms >= 0 AS timed, last_run > began AS ran
FROM hone.collector_status, jobs_collect WHERE database = current_database() AND step = 'round';

-- the same by hand, as a pg_cron job would
SELECT hone.collect();
CREATE PROCEDURE collect_until(failed boolean) LANGUAGE plpgsql AS $$
BEGIN
    FOR i IN 1 .. 1000 LOOP
        PERFORM hone.collect();
        COMMIT;
        EXIT WHEN EXISTS (SELECT FROM hone.collector_status
                          WHERE database = current_database() AND step = 'reconcile_actions'
                            AND (failures > 1) = failed AND (failures = 0) <> failed);
        PERFORM pg_sleep(0.01);
    END LOOP;
END $$;
CALL collect_until(failed => false);
SELECT step, failures, last_error FROM hone.collector_status
WHERE database = current_database() AND step = 'reconcile_actions';

-- a step that fails is remembered, does not end the round, and counts until it succeeds
ALTER FUNCTION hone.reconcile_actions() RENAME TO reconcile_actions_away;
CREATE FUNCTION hone.reconcile_actions() RETURNS void LANGUAGE plpgsql AS $$
BEGIN RAISE EXCEPTION 'broken' USING ERRCODE = 'data_corrupted'; END $$;
CALL collect_until(failed => true);
SELECT step, failures > 1 AS counted, last_error FROM hone.collector_status
WHERE database = current_database() AND step = 'reconcile_actions';
DROP FUNCTION hone.reconcile_actions();
ALTER FUNCTION hone.reconcile_actions_away() RENAME TO reconcile_actions;
CALL collect_until(failed => false);
SELECT step, failures, last_error FROM hone.collector_status
WHERE database = current_database() AND step = 'reconcile_actions';

DROP PROCEDURE collect_until;
DROP TABLE jobs_collect;
