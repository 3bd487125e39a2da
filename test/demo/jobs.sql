SELECT hone.schedule() \g /dev/null
SELECT jobname, schedule, command, active, last_run, round(last_ms) AS last_ms, last_status FROM hone.jobs;
\echo Waiting for the next minute, when pg_cron starts them ...
DO $$
DECLARE
    until timestamptz := clock_timestamp() + interval '75 seconds';
BEGIN
    LOOP
        COMMIT;
        EXIT WHEN (SELECT count(*) FROM cron.job_run_details WHERE status = 'succeeded') > 0
              AND (SELECT count(*) FROM cron.job_run_details WHERE status NOT IN ('succeeded', 'failed')) = 0;
        IF clock_timestamp() > until THEN
            RAISE 'no job ran within 75 seconds';
        END IF;
        PERFORM pg_sleep(0.5);
    END LOOP;
END $$;
SELECT jobname, schedule, command, active, last_run, round(last_ms) AS last_ms, last_status FROM hone.jobs;
