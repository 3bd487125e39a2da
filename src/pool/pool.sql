-- pool: sessions, limits and refusals.

CREATE FUNCTION hone.pool_counters(OUT in_use int, OUT refused_connections bigint,
	OUT high_water_mark int, OUT high_water_mark_at timestamptz, OUT pools_lost bigint)
LANGUAGE c VOLATILE STRICT PARALLEL RESTRICTED
AS 'MODULE_PATHNAME', 'hone_pool_counters';
COMMENT ON FUNCTION hone.pool_counters() IS 'sessions now and at most, and refused connections, since the server started';

CREATE FUNCTION hone.pool_peaks(OUT dbid oid, OUT userid oid, OUT application_name text,
	OUT client_addr inet, OUT peak_total int)
RETURNS SETOF record LANGUAGE c VOLATILE STRICT PARALLEL RESTRICTED
AS 'MODULE_PATHNAME', 'hone_pool_peaks';
COMMENT ON FUNCTION hone.pool_peaks() IS 'most sessions at a time per database, role, application and address';

-- pg_stat_activity shows an ordinary role the type of its own sessions only,
-- so it sees its own pools here, and a monitoring role all.
CREATE VIEW hone.pool_stats WITH (security_barrier) AS
SELECT s.datname, s.username, s.application_name, s.client_addr,
	s.total, s.active, s.idle, s.idle_in_transaction, s.waiting,
	s.oldest_transaction_s, s.oldest_idle_s, p.peak_total
FROM (
	SELECT a.datid, a.usesysid, a.datname, a.usename AS username, a.application_name, a.client_addr,
		pg_catalog.count(*) AS total,
		pg_catalog.count(*) FILTER (WHERE a.state IN ('active', 'fastpath function call')) AS active,
		pg_catalog.count(*) FILTER (WHERE a.state = 'idle') AS idle,
		pg_catalog.count(*) FILTER (WHERE a.state IN ('idle in transaction', 'idle in transaction (aborted)')) AS idle_in_transaction,
		pg_catalog.count(*) FILTER (WHERE a.wait_event_type = 'Lock') AS waiting,
		pg_catalog.max(EXTRACT(epoch FROM pg_catalog.clock_timestamp() - a.xact_start))::float8 AS oldest_transaction_s,
		pg_catalog.max(EXTRACT(epoch FROM pg_catalog.clock_timestamp() - a.state_change))
			FILTER (WHERE a.state LIKE 'idle%')::float8 AS oldest_idle_s
	FROM pg_catalog.pg_stat_activity a
	WHERE a.backend_type = 'client backend'
	GROUP BY a.datid, a.usesysid, a.datname, a.usename, a.application_name, a.client_addr
) s
LEFT JOIN hone.pool_peaks() p
	ON p.dbid = s.datid AND p.userid = s.usesysid
	AND p.application_name = s.application_name
	AND p.client_addr IS NOT DISTINCT FROM s.client_addr;
COMMENT ON VIEW hone.pool_stats IS 'sessions per database, role, application and address, now and at most';

CREATE VIEW hone.pool_summary WITH (security_barrier) AS
SELECT l.max_connections, l.reserved, c.in_use,
	GREATEST(l.max_connections - l.reserved - c.in_use, 0) AS available,
	c.refused_connections, c.high_water_mark, c.high_water_mark_at,
	pg_catalog.round(c.in_use::numeric / l.max_connections, 4)::float8 AS utilisation,
	pg_catalog.round(c.high_water_mark::numeric / l.max_connections, 4)::float8 AS peak_utilisation,
	c.pools_lost
FROM hone.pool_counters() c,
	(SELECT pg_catalog.current_setting('max_connections')::int AS max_connections,
		pg_catalog.current_setting('superuser_reserved_connections')::int
		+ COALESCE(pg_catalog.current_setting('reserved_connections', true)::int, 0) AS reserved) l;
COMMENT ON VIEW hone.pool_summary IS 'one row: connection limits, use, high-water mark and refusals since the server started';
