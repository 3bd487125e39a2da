
-- workload: queries with weights and samples

CREATE FUNCTION hone.workload_memory(
    after_id bigint, with_text bool,
    OUT id bigint, OUT sample_hash bigint, OUT queryid bigint, OUT userid oid,
    OUT duration_ms float8, OUT captured_at timestamptz,
    OUT query text, OUT parameters text[], OUT param_types oid[],
    OUT search_path text, OUT relids oid[], OUT command text, OUT replannable bool,
    OUT settings jsonb)
RETURNS SETOF record
LANGUAGE C STRICT VOLATILE PARALLEL RESTRICTED
AS 'MODULE_PATHNAME', 'hone_workload_memory';
COMMENT ON FUNCTION hone.workload_memory(bigint, bool) IS
'Samples of this database that are in memory and have a higher id; without text only what identifies them';

CREATE FUNCTION hone.workload_info_row(
    OUT queries bigint, OUT samples bigint, OUT captured bigint, OUT evictions bigint,
    OUT lost bigint, OUT too_long bigint, OUT secrets bigint, OUT memory_bytes bigint)
LANGUAGE C STRICT VOLATILE PARALLEL RESTRICTED
AS 'MODULE_PATHNAME', 'hone_workload_info';
COMMENT ON FUNCTION hone.workload_info_row() IS 'The row of hone.workload_info';

CREATE VIEW hone.workload_info WITH (security_barrier) AS
SELECT * FROM hone.workload_info_row();
COMMENT ON VIEW hone.workload_info IS
'The samples'' own account since the server started: queries and samples in memory, captured, queries evicted, lost for want of memory, statements too long, not kept because of a password, shared memory in bytes';

CREATE TABLE hone.sample_store (
    queryid     bigint NOT NULL,
    userid      oid NOT NULL,
    sample_hash bigint NOT NULL,       -- of text, values and plan settings
    id          bigint NOT NULL,       -- grows; a sample seen again gets a new one
    duration_ms float8 NOT NULL,
    captured_at timestamptz NOT NULL,
    query       text NOT NULL,
    parameters  text[],
    param_types oid[],
    search_path text NOT NULL,
    relids      oid[] NOT NULL,
    command     text NOT NULL,
    replannable bool NOT NULL,
    settings    jsonb NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(settings) = 'object'),
    PRIMARY KEY (queryid, userid, sample_hash)
);
CREATE INDEX ON hone.sample_store (id);
COMMENT ON TABLE hone.sample_store IS 'Durable copy of this database''s samples';

CREATE VIEW hone.workload_samples WITH (security_barrier) AS
WITH memory AS MATERIALIZED (
    SELECT m.* FROM hone.workload_memory(0, true) m
), samples AS (
    SELECT m.queryid, m.userid, m.query, m.parameters, m.duration_ms, m.captured_at,
           m.param_types, m.search_path, m.relids, m.command, m.replannable, m.settings,
           false AS stored
    FROM memory m
    UNION ALL
    SELECT s.queryid, s.userid,
           CASE WHEN v.visible THEN s.query ELSE '<insufficient privilege>' END,
           CASE WHEN v.visible THEN s.parameters END,
           s.duration_ms, s.captured_at,
           CASE WHEN v.visible THEN s.param_types END,
           CASE WHEN v.visible THEN s.search_path END,
           CASE WHEN v.visible THEN s.relids END,
           s.command, s.replannable,
           CASE WHEN v.visible THEN s.settings END, true
    FROM hone.sample_store s
         CROSS JOIN LATERAL (SELECT pg_catalog.pg_has_role(s.userid, 'USAGE')
                                    OR pg_catalog.pg_has_role('pg_read_all_stats', 'USAGE')
                                    AS visible) v
    WHERE NOT EXISTS (SELECT FROM memory m
                      WHERE m.queryid OPERATOR(pg_catalog.=) s.queryid
                        AND m.userid OPERATOR(pg_catalog.=) s.userid
                        AND m.sample_hash OPERATOR(pg_catalog.=) s.sample_hash)
), chosen AS (
    SELECT s.*, pg_catalog.row_number() OVER (PARTITION BY s.queryid, s.userid
                                              ORDER BY s.stored, s.duration_ms DESC) AS place
    FROM samples s
)
SELECT s.queryid, s.query, s.parameters, s.duration_ms, s.captured_at,
       r.rolname::text AS username, s.userid, s.param_types, s.search_path,
       s.command, s.replannable, s.relids, s.settings
FROM chosen s
     JOIN pg_catalog.pg_roles r ON r.oid OPERATOR(pg_catalog.=) s.userid
WHERE s.place OPERATOR(pg_catalog.<=) 6;
COMMENT ON VIEW hone.workload_samples IS
'Real executions of this database''s queries with their parameter values, six of each query and role: those in memory first, then the slowest stored';

CREATE VIEW hone.workload WITH (security_barrier) AS
WITH sampled AS (
    SELECT s.queryid, s.userid, s.username,
           pg_catalog.count(*) AS samples,
           pg_catalog.sum(s.duration_ms) AS sampled_ms,
           pg_catalog.max(s.query) AS query
    FROM hone.workload_samples s
    GROUP BY s.queryid, s.userid, s.username
), measured AS (
    SELECT q.queryid, q.userid, pg_catalog.sum(q.calls)::bigint AS calls,
           pg_catalog.sum(q.total_exec_ms) AS total_exec_ms,
           pg_catalog.max(q.query) AS query
    FROM hone.query_stats q
    WHERE q.datname OPERATOR(pg_catalog.=) pg_catalog.current_database()
    GROUP BY q.queryid, q.userid
), touched AS (
    SELECT s.queryid, s.userid,
           pg_catalog.array_agg(DISTINCT c.oid::pg_catalog.regclass::text
                                ORDER BY c.oid::pg_catalog.regclass::text) AS tables
    FROM hone.workload_samples s
         CROSS JOIN LATERAL pg_catalog.unnest(s.relids) AS u(relid)
         JOIN pg_catalog.pg_class c ON c.oid OPERATOR(pg_catalog.=) u.relid
    WHERE c.relkind OPERATOR(pg_catalog.=) ANY ('{r,p,m,f}'::"char"[])
      AND c.relnamespace OPERATOR(pg_catalog.<>) ALL
          ('{pg_catalog,information_schema,hone}'::pg_catalog.regnamespace[]::pg_catalog.oid[])
    GROUP BY s.queryid, s.userid
)
-- After a restart samples are there before their query has been measured again:
-- they stand for themselves.
SELECT s.queryid, s.username, coalesce(m.query, s.query) AS query,
       coalesce(m.calls, s.samples) AS calls,
       coalesce(m.total_exec_ms, s.sampled_ms) AS weight,
       s.samples, t.tables, s.userid
FROM sampled s
     LEFT JOIN measured m ON m.queryid OPERATOR(pg_catalog.=) s.queryid
                         AND m.userid OPERATOR(pg_catalog.=) s.userid
     LEFT JOIN touched t ON t.queryid OPERATOR(pg_catalog.=) s.queryid
                        AND t.userid OPERATOR(pg_catalog.=) s.userid;
COMMENT ON VIEW hone.workload IS
'This database''s sampled queries; weight is the total time in milliseconds inside the executor';

CREATE FUNCTION hone.collect_samples() RETURNS bigint
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
    DELETE FROM hone.sample_store s
    WHERE NOT EXISTS (SELECT FROM pg_roles r WHERE r.oid = s.userid);

    -- As in collect_slow_queries(): what is above the highest stored id is new,
    -- unless the clock has gone back.
    INSERT INTO hone.sample_store AS s
           (queryid, userid, sample_hash, id, duration_ms, captured_at, query,
            parameters, param_types, search_path, relids, command, replannable, settings)
    SELECT m.queryid, m.userid, m.sample_hash, m.id, m.duration_ms, m.captured_at, m.query,
           m.parameters, m.param_types, m.search_path, m.relids, m.command, m.replannable,
           m.settings
    FROM hone.workload_memory(
             (SELECT coalesce(max(k.id), 0) FROM hone.sample_store k
              WHERE k.id <= (extract(epoch FROM clock_timestamp()
                                     - timestamptz '2000-01-01 00:00:00+00') * 1000000)::bigint),
             true) m
         JOIN pg_roles r ON r.oid = m.userid
    WHERE m.captured_at > now() - kept_for
    ORDER BY m.id
    ON CONFLICT (queryid, userid, sample_hash) DO UPDATE
    SET id = excluded.id, duration_ms = excluded.duration_ms,
        captured_at = excluded.captured_at
    WHERE s.captured_at < excluded.captured_at;
    GET DIAGNOSTICS stored = ROW_COUNT;

    -- Six of each query: those that are in memory, which were chosen to tell
    -- much, then the slowest, then the newest.
    IF stored > 0 THEN
        DELETE FROM hone.sample_store s
        USING (SELECT k.queryid, k.userid, k.sample_hash,
                      row_number() OVER (PARTITION BY k.queryid, k.userid
                                         ORDER BY m.id IS NULL, k.duration_ms DESC, k.id DESC)
                      AS place
               FROM hone.sample_store k
                    LEFT JOIN hone.workload_memory(0, false) m
                           ON (m.queryid, m.userid, m.sample_hash)
                              = (k.queryid, k.userid, k.sample_hash)) p
        WHERE (s.queryid, s.userid, s.sample_hash) = (p.queryid, p.userid, p.sample_hash)
          AND p.place > 6;
    END IF;
    RETURN stored;
END
$$;
COMMENT ON FUNCTION hone.collect_samples() IS
'Makes the samples in memory durable, six of each query and role; returns how many were new';

CREATE FUNCTION hone.expire_captured() RETURNS bigint
LANGUAGE plpgsql VOLATILE STRICT PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
SET lock_timeout = '5s'
AS $$
DECLARE
    kept_for interval := hone.retention();
    gone bigint;
BEGIN
    IF pg_is_in_recovery() THEN
        RETURN 0;
    END IF;
    DELETE FROM hone.sample_store
    WHERE captured_at <= now() - kept_for;
    GET DIAGNOSTICS gone = ROW_COUNT;
    RETURN gone + hone.expire_slow_queries();
END
$$;
COMMENT ON FUNCTION hone.expire_captured() IS
'Deletes stored samples and slow statements older than pg_hone.retention; returns how many';
