-- watch: what runs by the clock. The commands are fixed strings: no name or
-- text of a user ever gets into one, since pg_cron runs each as its job's owner.

CREATE FUNCTION hone.cron_commands(OUT what text, OUT schedule text, OUT command text)
RETURNS SETOF record LANGUAGE sql STABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
	SELECT c.what, c.schedule, c.command
	FROM (VALUES
		('collect', '* * * * *', 'SELECT hone.collect()', 'hone.collect()'),
		('advise', '7 * * * *', 'SELECT count(*) FROM hone.recommend()', 'hone.recommend(bigint,integer)'),
		('feeds', '*/5 * * * *', 'SELECT hone.refresh_feeds()', 'hone.refresh_feeds()'),
		('expire', '23 3 * * *', 'SELECT hone.expire_captured()', 'hone.expire_captured()'),
		('cron history', '41 3 * * *', 'SELECT hone.expire_cron_history()', 'cron.unschedule(bigint)')
	) AS c (what, schedule, command, function)
	WHERE to_regprocedure(c.function) IS NOT NULL
$$;
COMMENT ON FUNCTION hone.cron_commands() IS 'what hone.schedule() puts on pg_cron';

CREATE FUNCTION hone.cron_job_name(what text) RETURNS text
LANGUAGE sql STABLE STRICT PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$ SELECT 'pg_hone ' || current_database() || ' ' || what $$;
COMMENT ON FUNCTION hone.cron_job_name(text) IS 'name of a pg_cron job of this database';

-- Raises unless pg_cron can be used from here, saying what to do instead.
CREATE FUNCTION hone.require_pg_cron() RETURNS void
LANGUAGE plpgsql STABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	cron_database text;
BEGIN
	-- Not current_setting(), which also knows a name that is only written in
	-- the configuration file, and raises for who may not read it.
	SELECT setting INTO cron_database FROM pg_settings WHERE name = 'cron.database_name';

	IF EXISTS (SELECT FROM pg_extension WHERE extname = 'pg_cron') THEN
		IF NOT has_schema_privilege('cron', 'USAGE') THEN
			RAISE EXCEPTION 'permission denied for schema cron'
				USING ERRCODE = 'insufficient_privilege';
		END IF;
	ELSIF cron_database IS NULL THEN
		RAISE EXCEPTION 'pg_cron is not loaded'
			USING ERRCODE = 'object_not_in_prerequisite_state',
				HINT = 'Add pg_cron to "shared_preload_libraries", restart the server, and use CREATE EXTENSION pg_cron.';
	ELSIF cron_database = current_database() THEN
		RAISE EXCEPTION 'extension "pg_cron" is not installed in this database'
			USING ERRCODE = 'object_not_in_prerequisite_state',
				HINT = 'Use CREATE EXTENSION pg_cron.';
	ELSE
		RAISE EXCEPTION 'pg_cron lives in database "%"', cron_database
			USING ERRCODE = 'object_not_in_prerequisite_state',
				HINT = 'Run there: ' || (
					SELECT string_agg(format('SELECT cron.schedule_in_database(%L, %L, %L, %L);',
						hone.cron_job_name(c.what), c.schedule, c.command, current_database()), ' ')
					FROM hone.cron_commands() c);
	END IF;
END
$$;
COMMENT ON FUNCTION hone.require_pg_cron() IS 'raises an error unless pg_cron can be used from this database';

CREATE FUNCTION hone.schedule(OUT jobname text, OUT schedule text, OUT command text)
RETURNS SETOF record LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
BEGIN
	PERFORM hone.require_pg_cron();
	FOR jobname, schedule, command IN
		SELECT hone.cron_job_name(c.what), c.schedule, c.command FROM hone.cron_commands() c
	LOOP
		EXECUTE 'SELECT cron.schedule($1, $2, $3)' USING jobname, schedule, command;
		RETURN NEXT;
	END LOOP;
END
$$;
COMMENT ON FUNCTION hone.schedule() IS 'puts this database''s jobs on pg_cron: collect, advise, refresh feeds, expire; again changes nothing';

-- Last runs as pg_cron shows them to the caller: its own jobs, or all to a
-- superuser. No row where pg_cron is not to be seen.
CREATE FUNCTION hone.cron_jobs(OUT jobid bigint, OUT jobname text, OUT schedule text,
	OUT command text, OUT username text, OUT active bool, OUT last_run timestamptz,
	OUT last_ms float8, OUT last_status text, OUT last_message text)
RETURNS SETOF record LANGUAGE plpgsql STABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	IF NOT EXISTS (SELECT FROM pg_extension WHERE extname = 'pg_cron')
		OR NOT has_schema_privilege('cron', 'USAGE') THEN
		RETURN;
	END IF;
	RETURN QUERY EXECUTE
		'SELECT j.jobid, j.jobname::text, j.schedule, j.command, j.username, j.active,
			d.start_time, EXTRACT(epoch FROM d.end_time - d.start_time)::float8 * 1000,
			d.status, d.return_message
		FROM cron.job j
		LEFT JOIN LATERAL (SELECT r.* FROM cron.job_run_details r
			WHERE r.jobid = j.jobid ORDER BY r.runid DESC LIMIT 1) d ON true
		WHERE j.database = current_database()
			AND starts_with(j.jobname::text, hone.cron_job_name(''''))
		ORDER BY j.jobname';
END
$$;
COMMENT ON FUNCTION hone.cron_jobs() IS 'pg_cron jobs of this database that hone.schedule() made, with their last run';

CREATE FUNCTION hone.unschedule() RETURNS bigint
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	job bigint;
	n bigint := 0;
BEGIN
	PERFORM hone.require_pg_cron();
	FOR job IN SELECT j.jobid FROM hone.cron_jobs() j LOOP
		EXECUTE 'SELECT cron.unschedule($1)' USING job;
		n := n + 1;
	END LOOP;
	RETURN n;
END
$$;
COMMENT ON FUNCTION hone.unschedule() IS 'takes this database''s jobs off pg_cron and returns their number';

-- pg_cron keeps every run for ever; a job each minute is half a million rows a year.
CREATE FUNCTION hone.expire_cron_history() RETURNS bigint
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	n bigint := 0;
BEGIN
	PERFORM hone.require_pg_cron();
	EXECUTE 'DELETE FROM cron.job_run_details
		WHERE end_time < now() - interval ''7 days''
			AND jobid IN (SELECT j.jobid FROM hone.cron_jobs() j)';
	GET DIAGNOSTICS n = ROW_COUNT;
	RETURN n;
END
$$;
COMMENT ON FUNCTION hone.expire_cron_history() IS 'deletes what pg_cron noted of our jobs'' runs more than 7 days ago';

CREATE VIEW hone.jobs WITH (security_barrier) AS
SELECT j.jobname, j.schedule, j.command, j.username, j.active, j.last_run, j.last_ms,
	j.last_status, j.last_message,
	EXTRACT(epoch FROM pg_catalog.clock_timestamp() - j.last_run)::float8 AS last_run_age_s
FROM hone.cron_jobs() j;
COMMENT ON VIEW hone.jobs IS 'pg_cron jobs of this database, and how their last run went';

-- The library's account of itself. Where it was not preloaded, the functions
-- below raise an error; here that is an answer.
CREATE FUNCTION hone.self_account_row(
	OUT preloaded bool, OUT enabled bool, OUT durable bool, OUT note text,
	OUT fixed_memory_bytes bigint, OUT arena_bytes bigint,
	OUT samples_memory_bytes bigint, OUT slow_log_memory_bytes bigint,
	OUT entries bigint, OUT max_entries bigint, OUT evictions bigint, OUT texts_lost bigint,
	OUT samples_evicted bigint, OUT samples_lost bigint, OUT samples_too_long bigint,
	OUT slow_queries_overwritten bigint, OUT slow_queries_rate_limited bigint,
	OUT slow_queries_lost bigint, OUT plans_lost bigint,
	OUT slow_queries_overwritten_unstored bigint,
	OUT rounds bigint, OUT launcher_cpu_ms float8, OUT collector_cpu_ms float8,
	OUT capture_ms float8)
LANGUAGE plpgsql VOLATILE STRICT PARALLEL RESTRICTED
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	SELECT c.preloaded, c.rounds, c.launcher_cpu_ms, c.collector_cpu_ms
	INTO preloaded, rounds, launcher_cpu_ms, collector_cpu_ms
	FROM hone.collector_cost() c;
	IF NOT preloaded THEN
		enabled := false;
		durable := false;
		note := 'not loaded via "shared_preload_libraries": nothing is captured';
		RETURN;
	END IF;

	enabled := current_setting('pg_hone.enabled')::bool;
	durable := NOT pg_is_in_recovery();
	note := CASE WHEN NOT enabled THEN 'switched off here by "pg_hone.enabled": nothing is captured'
		WHEN NOT durable THEN 'standby: kept in memory only'
		WHEN current_setting('pg_hone.collect_interval')::interval = interval '0'
		THEN 'the collector is off ("pg_hone.collect_interval"): kept in memory until hone.collect() is called'
		END;

	SELECT q.fixed_memory_bytes, q.arena_bytes, q.entries, q.max_entries, q.evictions, q.texts_lost
	INTO fixed_memory_bytes, arena_bytes, entries, max_entries, evictions, texts_lost
	FROM hone.query_stats_info_row() q;
	SELECT w.memory_bytes, w.evictions, w.lost, w.too_long
	INTO samples_memory_bytes, samples_evicted, samples_lost, samples_too_long
	FROM hone.workload_info_row() w;
	SELECT s.memory_bytes, s.overwritten, s.rate_limited, s.lost, s.plans_lost,
		s.overwritten_unstored
	INTO slow_log_memory_bytes, slow_queries_overwritten, slow_queries_rate_limited,
		slow_queries_lost, plans_lost, slow_queries_overwritten_unstored
	FROM hone.slow_queries_info_row() s;
	SELECT c.estimated_ms INTO capture_ms FROM hone.capture_cost() c;
END
$$;
COMMENT ON FUNCTION hone.self_account_row() IS 'The row of hone.self_account';

CREATE VIEW hone.self_account WITH (security_barrier) AS
SELECT * FROM hone.self_account_row();
COMMENT ON VIEW hone.self_account IS
'The library''s account of itself since the server started: whether it captures and where that is kept, shared memory, what it holds and lost, rounds of the collector, CPU time of its own processes, and time inside statements';
