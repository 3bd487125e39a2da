
-- slowlog: slow, failed and cancelled statements

CREATE FUNCTION hone.slow_queries_memory(
    after_id bigint, only_unstored bool DEFAULT false,
    OUT id bigint, OUT logged_at timestamptz, OUT userid oid, OUT application_name text,
    OUT client_addr inet, OUT queryid bigint, OUT query text, OUT parameters text[],
    OUT duration_ms float8, OUT plan_ms float8, OUT rows bigint, OUT plan text,
    OUT shared_blks_hit bigint, OUT shared_blks_read bigint,
    OUT temp_blks_written bigint, OUT outcome text, OUT sqlstate text,
    OUT toplevel bool, OUT top_queryid bigint, OUT command text, OUT plan_kind text,
    OUT jit_ms float8, OUT blk_read_ms float8, OUT temp_blks_read bigint,
    OUT wal_bytes bigint)
RETURNS SETOF record
LANGUAGE C STRICT VOLATILE PARALLEL RESTRICTED
AS 'MODULE_PATHNAME', 'hone_slow_queries_memory';
COMMENT ON FUNCTION hone.slow_queries_memory(bigint, bool) IS
'Slow statements of this database that are still in memory and have a higher id; or of these only what is not in the table yet';

CREATE FUNCTION hone.slow_queries_stored(highest_id bigint) RETURNS void
LANGUAGE C STRICT VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'hone_slow_queries_stored';
COMMENT ON FUNCTION hone.slow_queries_stored(bigint) IS
'Marks this database''s slow statements in memory, up to an id, as stored, when the transaction commits';

CREATE FUNCTION hone.slow_queries_info_row(
    OUT entries bigint, OUT captured bigint, OUT overwritten bigint,
    OUT rate_limited bigint, OUT lost bigint, OUT plans_lost bigint,
    OUT memory_bytes bigint, OUT overwritten_unstored bigint)
LANGUAGE C STRICT VOLATILE PARALLEL RESTRICTED
AS 'MODULE_PATHNAME', 'hone_slow_queries_info';
COMMENT ON FUNCTION hone.slow_queries_info_row() IS 'The row of hone.slow_queries_info';

CREATE VIEW hone.slow_queries_info WITH (security_barrier) AS
SELECT * FROM hone.slow_queries_info_row();
COMMENT ON VIEW hone.slow_queries_info IS
'The slow log''s own account since the server started: entries in memory, captured, overwritten by newer ones, dropped by the rate limit, lost for want of memory, plans not kept, shared memory in bytes, and how many of the overwritten were in no table (of databases without the extension none ever is)';

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
    sqlstate          text,
    toplevel          bool NOT NULL,
    top_queryid       bigint,
    command           text NOT NULL,
    plan_kind         text CHECK (plan_kind IN ('custom', 'generic')),
    jit_ms            float8 NOT NULL,
    blk_read_ms       float8 NOT NULL,
    temp_blks_read    bigint NOT NULL,
    wal_bytes         bigint NOT NULL,
    -- Bytes ever written to this table, this row included, so that what it
    -- holds is a difference of two rows and need not be added up.
    written_bytes     bigint NOT NULL
) WITH (autovacuum_vacuum_scale_factor = 0.05, toast.autovacuum_vacuum_scale_factor = 0.05);
CREATE INDEX ON hone.slow_query_store (logged_at);
CREATE INDEX ON hone.slow_query_store (written_bytes);
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
       m.outcome, m.sqlstate, m.toplevel, m.top_queryid, m.command, m.plan_kind,
       m.jit_ms, m.blk_read_ms, m.temp_blks_read, m.wal_bytes
FROM memory m
     LEFT JOIN pg_catalog.pg_roles r ON r.oid OPERATOR(pg_catalog.=) m.userid
UNION ALL
SELECT s.id, s.logged_at, s.username,
       pg_catalog.current_database()::text,
       s.application_name, CASE WHEN v.visible THEN s.client_addr END, s.queryid,
       CASE WHEN v.visible THEN s.query ELSE '<insufficient privilege>' END,
       CASE WHEN v.visible THEN s.parameters END,
       s.duration_ms, s.plan_ms, s.rows,
       CASE WHEN v.visible THEN s.plan END,
       s.shared_blks_hit, s.shared_blks_read, s.temp_blks_written,
       s.outcome, s.sqlstate, s.toplevel, s.top_queryid, s.command, s.plan_kind,
       s.jit_ms, s.blk_read_ms, s.temp_blks_read, s.wal_bytes
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
    written bigint;
    highest bigint;
    stored bigint;
BEGIN
    IF pg_is_in_recovery() OR current_setting('pg_hone.max_stored_slow_queries')::bigint = 0 THEN
        RETURN 0;
    END IF;
    SELECT coalesce(max(s.written_bytes), 0) INTO written FROM hone.slow_query_store s;

    -- Which ones are new, memory knows by itself. An id can only be there
    -- already if two collect at the same time.
    WITH fresh AS MATERIALIZED (
        SELECT m.*, r.rolname,
               256 + octet_length(m.query) + coalesce(octet_length(m.plan), 0)
                   + coalesce(pg_column_size(m.parameters), 0) AS bytes
        FROM hone.slow_queries_memory(0, true) m
             LEFT JOIN pg_roles r ON r.oid = m.userid
    ), added AS (
        INSERT INTO hone.slow_query_store
        SELECT f.id, f.logged_at, f.userid, f.rolname, f.application_name, f.client_addr,
               f.queryid, f.query, f.parameters, f.duration_ms, f.plan_ms, f.rows,
               f.plan::jsonb, f.shared_blks_hit, f.shared_blks_read, f.temp_blks_written,
               f.outcome, f.sqlstate, f.toplevel, f.top_queryid, f.command, f.plan_kind,
               f.jit_ms, f.blk_read_ms, f.temp_blks_read, f.wal_bytes,
               written + sum(f.bytes) OVER (ORDER BY f.id)
        FROM fresh f
        WHERE f.logged_at > now() - kept_for
        ON CONFLICT (id) DO NOTHING
        RETURNING id
    )
    SELECT (SELECT max(id) FROM fresh), (SELECT count(*) FROM added) INTO highest, stored;

    PERFORM hone.slow_queries_stored(highest);
    -- So that a flood does not outgrow the limits until they are looked at next.
    IF stored > 0 THEN
        PERFORM hone.expire_slow_queries();
    END IF;
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
    -- The first limit is calculated before the settings are asked for: that
    -- loads the library, which defines them.
    too_old timestamptz := now() - hone.retention();
    too_many timestamptz;
    too_large bigint;
    until timestamptz := clock_timestamp() + interval '5 seconds';
    gone bigint := 0;
    batch bigint;
    more bigint;
BEGIN
    IF pg_is_in_recovery() THEN
        RETURN 0;
    END IF;
    SELECT s.logged_at INTO too_many FROM hone.slow_query_store s ORDER BY s.logged_at DESC
    OFFSET current_setting('pg_hone.max_stored_slow_queries')::bigint LIMIT 1;
    SELECT max(s.written_bytes) - pg_size_bytes(current_setting('pg_hone.max_slow_log_size'))
    INTO too_large FROM hone.slow_query_store s;

    -- The oldest first, not for long: the next round goes on.
    LOOP
        DELETE FROM hone.slow_query_store WHERE id = ANY (ARRAY(
            SELECT s.id FROM hone.slow_query_store s
            WHERE s.logged_at <= greatest(too_old, too_many)
            ORDER BY s.logged_at LIMIT 10000));
        GET DIAGNOSTICS batch = ROW_COUNT;
        DELETE FROM hone.slow_query_store WHERE id = ANY (ARRAY(
            SELECT s.id FROM hone.slow_query_store s
            WHERE s.written_bytes <= too_large
            ORDER BY s.written_bytes LIMIT 10000));
        GET DIAGNOSTICS more = ROW_COUNT;
        gone := gone + batch + more;
        EXIT WHEN batch + more = 0 OR clock_timestamp() > until;
    END LOOP;
    RETURN gone;
END
$$;
COMMENT ON FUNCTION hone.expire_slow_queries() IS
'Deletes stored slow statements older than pg_hone.retention or beyond pg_hone.max_stored_slow_queries or pg_hone.max_slow_log_size, for at most some seconds; returns how many';
