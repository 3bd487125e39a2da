
-- slowlog: slow, failed and cancelled statements

CREATE FUNCTION hone.slow_queries_memory(
    after_id bigint,
    OUT id bigint, OUT logged_at timestamptz, OUT userid oid, OUT application_name text,
    OUT client_addr inet, OUT queryid bigint, OUT query text, OUT parameters text[],
    OUT duration_ms float8, OUT plan_ms float8, OUT rows bigint, OUT plan text,
    OUT shared_blks_hit bigint, OUT shared_blks_read bigint,
    OUT temp_blks_written bigint, OUT outcome text, OUT sqlstate text)
RETURNS SETOF record
LANGUAGE C STRICT VOLATILE PARALLEL RESTRICTED
AS 'MODULE_PATHNAME', 'hone_slow_queries_memory';
COMMENT ON FUNCTION hone.slow_queries_memory(bigint) IS
'Slow statements of this database that are still in memory and have a higher id';

CREATE FUNCTION hone.slow_queries_info_row(
    OUT entries bigint, OUT captured bigint, OUT overwritten bigint,
    OUT rate_limited bigint, OUT lost bigint, OUT plans_lost bigint,
    OUT memory_bytes bigint)
LANGUAGE C STRICT VOLATILE PARALLEL RESTRICTED
AS 'MODULE_PATHNAME', 'hone_slow_queries_info';
COMMENT ON FUNCTION hone.slow_queries_info_row() IS 'The row of hone.slow_queries_info';

CREATE VIEW hone.slow_queries_info WITH (security_barrier) AS
SELECT * FROM hone.slow_queries_info_row();
COMMENT ON VIEW hone.slow_queries_info IS
'The slow log''s own account since the server started: entries in memory, captured, overwritten by newer ones, dropped by the rate limit, lost for want of memory, plans not kept, shared memory in bytes';

CREATE TABLE hone.slow_query_store (
    id                bigint PRIMARY KEY,
    logged_at         timestamptz NOT NULL,
    userid            oid NOT NULL,
    username          text,            -- outlives the role
    application_name  text,
    client_addr       inet,
    queryid           bigint NOT NULL,
    query             text NOT NULL,
    parameters        text[],
    duration_ms       float8 NOT NULL,
    plan_ms           float8 NOT NULL,
    rows              bigint NOT NULL,
    plan              jsonb,
    shared_blks_hit   bigint NOT NULL,
    shared_blks_read  bigint NOT NULL,
    temp_blks_written bigint NOT NULL,
    outcome           text NOT NULL CHECK (outcome IN ('completed', 'failed', 'cancelled')),
    sqlstate          text
);
CREATE INDEX ON hone.slow_query_store (logged_at);
COMMENT ON TABLE hone.slow_query_store IS 'Durable copy of this database''s slow statements';

-- Memory first, then what is only in the table: an entry that is being stored
-- meanwhile is still in memory.
CREATE VIEW hone.slow_queries WITH (security_barrier) AS
WITH memory AS MATERIALIZED (
    SELECT m.* FROM hone.slow_queries_memory(0) m
)
SELECT m.id, m.logged_at, r.rolname::text AS username,
       pg_catalog.current_database()::text AS datname,
       m.application_name, m.client_addr, m.queryid, m.query, m.parameters,
       m.duration_ms, m.plan_ms, m.rows, m.plan::jsonb AS plan,
       m.shared_blks_hit, m.shared_blks_read, m.temp_blks_written,
       m.outcome, m.sqlstate
FROM memory m
     LEFT JOIN pg_catalog.pg_roles r ON r.oid OPERATOR(pg_catalog.=) m.userid
UNION ALL
SELECT s.id, s.logged_at, s.username,
       pg_catalog.current_database()::text,
       s.application_name, s.client_addr, s.queryid,
       CASE WHEN v.visible THEN s.query ELSE '<insufficient privilege>' END,
       CASE WHEN v.visible THEN s.parameters END,
       s.duration_ms, s.plan_ms, s.rows,
       CASE WHEN v.visible THEN s.plan END,
       s.shared_blks_hit, s.shared_blks_read, s.temp_blks_written,
       s.outcome, s.sqlstate
FROM hone.slow_query_store s
     CROSS JOIN LATERAL (SELECT pg_catalog.pg_has_role(s.userid, 'USAGE')
                                OR pg_catalog.pg_has_role('pg_read_all_stats', 'USAGE')
                                AS visible) v
WHERE NOT EXISTS (SELECT FROM memory m WHERE m.id OPERATOR(pg_catalog.=) s.id);
COMMENT ON VIEW hone.slow_queries IS
'Slow, failed and cancelled statements of this database with their parameters and plans; times in milliseconds';

CREATE FUNCTION hone.retention() RETURNS interval
LANGUAGE C STRICT STABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'hone_retention';
COMMENT ON FUNCTION hone.retention() IS 'pg_hone.retention, known also where the library was not loaded yet';

CREATE FUNCTION hone.collect_slow_queries() RETURNS bigint
LANGUAGE plpgsql VOLATILE STRICT PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
SET lock_timeout = '5s'
AS $$
DECLARE
    kept_for interval := hone.retention();
    stored bigint;
BEGIN
    IF pg_is_in_recovery() THEN
        RETURN 0;
    END IF;
    -- Ids only grow, so what is above the highest stored one is new. Should the
    -- clock have gone back over a restart, ids in the table can be higher than
    -- those in memory: then everything is looked at.
    INSERT INTO hone.slow_query_store
    SELECT m.id, m.logged_at, m.userid, r.rolname, m.application_name, m.client_addr,
           m.queryid, m.query, m.parameters, m.duration_ms, m.plan_ms, m.rows,
           m.plan::jsonb, m.shared_blks_hit, m.shared_blks_read, m.temp_blks_written,
           m.outcome, m.sqlstate
    FROM hone.slow_queries_memory(
             (SELECT coalesce(max(s.id), 0) FROM hone.slow_query_store s
              WHERE s.id <= (extract(epoch FROM clock_timestamp()
                                     - timestamptz '2000-01-01 00:00:00+00') * 1000000)::bigint)) m
         LEFT JOIN pg_roles r ON r.oid = m.userid
    WHERE m.logged_at > now() - kept_for
    ON CONFLICT (id) DO NOTHING;
    GET DIAGNOSTICS stored = ROW_COUNT;
    RETURN stored;
END
$$;
COMMENT ON FUNCTION hone.collect_slow_queries() IS
'Makes the slow statements in memory durable; returns how many were new';

CREATE FUNCTION hone.expire_slow_queries() RETURNS bigint
LANGUAGE plpgsql VOLATILE STRICT PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
SET lock_timeout = '5s'
AS $$
DECLARE
    kept_for interval := hone.retention();
    gone bigint;
    more bigint;
BEGIN
    IF pg_is_in_recovery() THEN
        RETURN 0;
    END IF;
    DELETE FROM hone.slow_query_store
    WHERE logged_at <= now() - kept_for;
    GET DIAGNOSTICS gone = ROW_COUNT;
    DELETE FROM hone.slow_query_store
    WHERE id <= (SELECT s.id FROM hone.slow_query_store s ORDER BY s.id DESC
                 OFFSET current_setting('pg_hone.max_stored_slow_queries')::bigint LIMIT 1);
    GET DIAGNOSTICS more = ROW_COUNT;
    RETURN gone + more;
END
$$;
COMMENT ON FUNCTION hone.expire_slow_queries() IS
'Deletes stored slow statements older than pg_hone.retention or beyond pg_hone.max_stored_slow_queries; returns how many';
