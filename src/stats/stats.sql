-- stats: query statistics

CREATE FUNCTION hone.query_stats_memory(
    histograms bool DEFAULT true,
    OUT userid oid, OUT dbid oid, OUT queryid bigint, OUT toplevel bool,
    OUT command text, OUT query text,
    OUT calls bigint, OUT errors bigint, OUT cancels bigint, OUT rows bigint,
    OUT total_exec_ms float8, OUT mean_exec_ms float8, OUT min_exec_ms float8,
    OUT max_exec_ms float8, OUT stddev_exec_ms float8,
    OUT p50_ms float8, OUT p95_ms float8, OUT p99_ms float8,
    OUT plans bigint, OUT total_plan_ms float8,
    OUT shared_blks_hit bigint, OUT shared_blks_read bigint,
    OUT temp_blks_written bigint, OUT wal_bytes bigint,
    OUT first_seen timestamptz, OUT last_seen timestamptz,
    OUT caught_errors bigint, OUT custom_plans bigint, OUT generic_plans bigint,
    OUT shared_blks_dirtied bigint, OUT shared_blks_written bigint,
    OUT local_blks_hit bigint, OUT local_blks_read bigint,
    OUT local_blks_dirtied bigint, OUT local_blks_written bigint,
    OUT temp_blks_read bigint, OUT blk_read_ms float8, OUT blk_write_ms float8,
    OUT wal_records bigint, OUT wal_fpi bigint,
    OUT jit_functions bigint, OUT jit_ms float8,
    OUT buckets int[], OUT counts bigint[])
RETURNS SETOF record
LANGUAGE C STRICT VOLATILE PARALLEL RESTRICTED
AS 'MODULE_PATHNAME', 'hone_query_stats_memory';
COMMENT ON FUNCTION hone.query_stats_memory(bool) IS
'Statistics of all databases'' queries since the server started, with the non-empty buckets of their latency histograms unless they are not asked for';

CREATE VIEW hone.query_stats WITH (security_barrier) AS
SELECT s.userid, r.rolname AS username, s.dbid, d.datname, s.queryid, s.toplevel,
       s.command, s.query, s.calls, s.errors, s.cancels, s.rows,
       s.total_exec_ms, s.mean_exec_ms, s.min_exec_ms, s.max_exec_ms, s.stddev_exec_ms,
       s.p50_ms, s.p95_ms, s.p99_ms, s.plans, s.total_plan_ms,
       s.shared_blks_hit, s.shared_blks_read, s.temp_blks_written, s.wal_bytes,
       s.first_seen, s.last_seen,
       s.caught_errors, s.custom_plans, s.generic_plans,
       s.shared_blks_dirtied, s.shared_blks_written,
       s.local_blks_hit, s.local_blks_read, s.local_blks_dirtied, s.local_blks_written,
       s.temp_blks_read, s.blk_read_ms, s.blk_write_ms, s.wal_records, s.wal_fpi,
       s.jit_functions, s.jit_ms
FROM hone.query_stats_memory(histograms => false) s
     LEFT JOIN pg_catalog.pg_roles r ON r.oid OPERATOR(pg_catalog.=) s.userid
     LEFT JOIN pg_catalog.pg_database d ON d.oid OPERATOR(pg_catalog.=) s.dbid;
COMMENT ON VIEW hone.query_stats IS
'Statistics of each query of each role and database since the server started; times in milliseconds inside the executor; the row <other> is the sum of evicted ones';

CREATE FUNCTION hone.query_latency(queryid bigint, OUT le_ms float8, OUT count bigint)
RETURNS SETOF record
LANGUAGE C STRICT VOLATILE PARALLEL RESTRICTED
AS 'MODULE_PATHNAME', 'hone_query_latency';
COMMENT ON FUNCTION hone.query_latency(bigint) IS
'Cumulative latency histogram of a query in this database: how many executions took at most le_ms milliseconds';

CREATE FUNCTION hone.query_errors_memory(
    OUT userid oid, OUT dbid oid, OUT queryid bigint, OUT toplevel bool, OUT query text,
    OUT sqlstate text, OUT sqlclass text, OUT sqlclass_name text,
    OUT errors bigint, OUT caught bigint, OUT last_seen timestamptz)
RETURNS SETOF record
LANGUAGE C STRICT VOLATILE PARALLEL RESTRICTED
AS 'MODULE_PATHNAME', 'hone_query_errors_memory';
COMMENT ON FUNCTION hone.query_errors_memory() IS 'The rows of hone.query_errors';

CREATE VIEW hone.query_errors WITH (security_barrier) AS
SELECT e.userid, r.rolname AS username, e.dbid, d.datname, e.queryid, e.toplevel, e.query,
       e.sqlstate, e.sqlclass, e.sqlclass_name, e.errors, e.caught, e.last_seen
FROM hone.query_errors_memory() e
     LEFT JOIN pg_catalog.pg_roles r ON r.oid OPERATOR(pg_catalog.=) e.userid
     LEFT JOIN pg_catalog.pg_database d ON d.oid OPERATOR(pg_catalog.=) e.dbid;
COMMENT ON VIEW hone.query_errors IS
'Errors of each query by SQLSTATE since the server started: errors ended the statement, cancels included; caught is what a function caught, in the statement or around it; what failed before it was a query (syntax, names) has the queryid -1; the row <other> is the sum of evicted ones';

CREATE FUNCTION hone.query_tables_memory(
    OUT userid oid, OUT dbid oid, OUT queryid bigint, OUT query text, OUT relid oid,
    OUT executions bigint, OUT target_executions bigint,
    OUT seq_rows_read bigint, OUT index_rows_read bigint, OUT rows_returned bigint)
RETURNS SETOF record
LANGUAGE C STRICT VOLATILE PARALLEL RESTRICTED
AS 'MODULE_PATHNAME', 'hone_query_tables_memory';
COMMENT ON FUNCTION hone.query_tables_memory() IS 'The rows of hone.query_tables';

-- A name is known only for tables of this database; an OID of another one may be
-- anything here.
CREATE VIEW hone.query_tables WITH (security_barrier) AS
SELECT t.userid, r.rolname AS username, t.dbid, d.datname, t.queryid, t.query, t.relid,
       pg_catalog.quote_ident(n.nspname) OPERATOR(pg_catalog.||) '.'
           OPERATOR(pg_catalog.||) pg_catalog.quote_ident(c.relname) AS table_name,
       t.executions, t.target_executions, t.seq_rows_read, t.index_rows_read,
       t.seq_rows_read OPERATOR(pg_catalog.+) t.index_rows_read AS rows_read,
       t.rows_returned,
       (t.seq_rows_read OPERATOR(pg_catalog.+) t.index_rows_read)::float8
           OPERATOR(pg_catalog./) nullif(t.rows_returned, 0)::float8 AS read_to_returned
FROM hone.query_tables_memory() t
     LEFT JOIN pg_catalog.pg_roles r ON r.oid OPERATOR(pg_catalog.=) t.userid
     LEFT JOIN pg_catalog.pg_database d ON d.oid OPERATOR(pg_catalog.=) t.dbid
     LEFT JOIN (pg_catalog.pg_class c
                JOIN pg_catalog.pg_namespace n ON n.oid OPERATOR(pg_catalog.=) c.relnamespace)
         ON c.oid OPERATOR(pg_catalog.=) t.relid
            AND d.datname OPERATOR(pg_catalog.=) pg_catalog.current_database();
COMMENT ON VIEW hone.query_tables IS
'What each query read of each table since the server started, and the rows it returned (of a statement that changes rows: changed); many rows read for each one returned are the evidence for a missing index; the row <other> is the sum of evicted ones';

CREATE FUNCTION hone.nested_queries_memory(
    OUT top_queryid bigint, OUT top_query text, OUT queryid bigint, OUT query text,
    OUT userid oid, OUT dbid oid,
    OUT calls bigint, OUT errors bigint, OUT rows bigint, OUT total_exec_ms float8)
RETURNS SETOF record
LANGUAGE C STRICT VOLATILE PARALLEL RESTRICTED
AS 'MODULE_PATHNAME', 'hone_nested_queries_memory';
COMMENT ON FUNCTION hone.nested_queries_memory() IS 'The rows of hone.nested_queries';

CREATE VIEW hone.nested_queries WITH (security_barrier) AS
SELECT s.top_queryid, s.top_query, s.queryid, s.query, s.userid, r.rolname AS username,
       s.dbid, d.datname, s.calls, s.errors, s.rows, s.total_exec_ms
FROM hone.nested_queries_memory() s
     LEFT JOIN pg_catalog.pg_roles r ON r.oid OPERATOR(pg_catalog.=) s.userid
     LEFT JOIN pg_catalog.pg_database d ON d.oid OPERATOR(pg_catalog.=) s.dbid;
COMMENT ON VIEW hone.nested_queries IS
'Queries that functions and triggers ran, by the top level statement they ran for, since the server started; the row <other> is the sum of evicted ones';

CREATE FUNCTION hone.table_latency_memory(
    OUT dbid oid, OUT command text, OUT relid oid,
    OUT calls bigint, OUT errors bigint, OUT total_exec_ms float8, OUT mean_exec_ms float8,
    OUT p50_ms float8, OUT p95_ms float8, OUT p99_ms float8)
RETURNS SETOF record
LANGUAGE C STRICT VOLATILE PARALLEL RESTRICTED
AS 'MODULE_PATHNAME', 'hone_table_latency_memory';
COMMENT ON FUNCTION hone.table_latency_memory() IS 'The rows of hone.table_latency';

CREATE VIEW hone.table_latency WITH (security_barrier) AS
SELECT l.dbid, d.datname, l.command, l.relid,
       CASE WHEN l.relid IS NULL THEN '<other>'
            ELSE pg_catalog.quote_ident(n.nspname) OPERATOR(pg_catalog.||) '.'
           OPERATOR(pg_catalog.||) pg_catalog.quote_ident(c.relname) END AS table_name,
       l.calls, l.errors, l.total_exec_ms, l.mean_exec_ms, l.p50_ms, l.p95_ms, l.p99_ms
FROM hone.table_latency_memory() l
     LEFT JOIN pg_catalog.pg_database d ON d.oid OPERATOR(pg_catalog.=) l.dbid
     LEFT JOIN (pg_catalog.pg_class c
                JOIN pg_catalog.pg_namespace n ON n.oid OPERATOR(pg_catalog.=) c.relnamespace)
         ON c.oid OPERATOR(pg_catalog.=) l.relid
            AND d.datname OPERATOR(pg_catalog.=) pg_catalog.current_database();
COMMENT ON VIEW hone.table_latency IS
'How long statements on each table took since the server started, by command; a statement counts under each table it reads, one that changes a table under that alone; the row <other> is the sum of evicted ones';

CREATE FUNCTION hone.table_latency_histogram(relation regclass, command text DEFAULT NULL,
                                             OUT le_ms float8, OUT count bigint)
RETURNS SETOF record
LANGUAGE C VOLATILE PARALLEL RESTRICTED
AS 'MODULE_PATHNAME', 'hone_table_latency_histogram';
COMMENT ON FUNCTION hone.table_latency_histogram(regclass, text) IS
'Cumulative latency histogram of the statements on a table, of one command or (NULL) of all: how many took at most le_ms milliseconds';

CREATE FUNCTION hone.query_stats_info_row(
    OUT entries bigint, OUT max_entries bigint, OUT evictions bigint,
    OUT texts bigint, OUT texts_lost bigint,
    OUT fixed_memory_bytes bigint, OUT arena_bytes bigint, OUT reset_at timestamptz,
    OUT error_entries bigint, OUT error_evictions bigint,
    OUT table_entries bigint, OUT table_evictions bigint,
    OUT nested_entries bigint, OUT nested_evictions bigint,
    OUT latency_entries bigint, OUT latency_evictions bigint,
    OUT trial_entries bigint, OUT trial_evictions bigint)
LANGUAGE C STRICT VOLATILE PARALLEL RESTRICTED
AS 'MODULE_PATHNAME', 'hone_query_stats_info';
COMMENT ON FUNCTION hone.query_stats_info_row() IS 'The row of hone.query_stats_info';

CREATE VIEW hone.query_stats_info WITH (security_barrier) AS
SELECT * FROM hone.query_stats_info_row();
COMMENT ON VIEW hone.query_stats_info IS
'The module''s own account: queries kept and evicted, texts kept and lost, shared memory in bytes, last complete reset; rows kept and evicted of hone.query_errors, query_tables, nested_queries, table_latency and trial_executions';

CREATE FUNCTION hone.reset_query_stats(userid oid DEFAULT NULL, dbid oid DEFAULT NULL,
                                       queryid bigint DEFAULT NULL)
RETURNS bigint
LANGUAGE C VOLATILE PARALLEL RESTRICTED
AS 'MODULE_PATHNAME', 'hone_reset_query_stats';
COMMENT ON FUNCTION hone.reset_query_stats(oid, oid, bigint) IS
'Forgets the statistics in memory that match all arguments that are not NULL, their errors, tables, nested queries and executions in trials included (latencies by table go with their database only); returns how many queries that were';

-- History: kept in tables of this database, brought up to date by the collector.
--
-- query_history_store has one row for each time a query's statistics lived in
-- memory (first_seen tells them apart), with its figures since then. The
-- difference between memory and that row is what happened since the last time;
-- it is added to a minute of query_rollup_store in the same transaction, so
-- that nothing is counted twice or left out, whatever fails. Hours are made of
-- minutes, and days of hours, by addition. Nothing is ever reset in memory.
--
-- What is active is written once a minute. So that this costs little WAL, what
-- changes comes after what does not, pages have room for new versions of their
-- rows, and no index has to be changed.
--
-- Two functions write, one after the other: both first lock the row 'minute' of
-- query_rollup_progress_store.

CREATE TABLE hone.query_history_store (
    userid              oid NOT NULL,
    queryid             bigint NOT NULL,
    toplevel            bool NOT NULL,
    first_seen          timestamptz NOT NULL,
    command             text NOT NULL,
    query               text,
    last_seen           timestamptz NOT NULL,
    calls               bigint NOT NULL,
    errors              bigint NOT NULL,
    cancels             bigint NOT NULL,
    rows                bigint NOT NULL,
    total_exec_ms       float8 NOT NULL,
    min_exec_ms         float8,
    max_exec_ms         float8,
    stddev_exec_ms      float8,
    p50_ms              float8,
    p95_ms              float8,
    p99_ms              float8,
    plans               bigint NOT NULL,
    total_plan_ms       float8 NOT NULL,
    shared_blks_hit     bigint NOT NULL,
    shared_blks_read    bigint NOT NULL,
    temp_blks_written   bigint NOT NULL,
    wal_bytes           bigint NOT NULL,
    caught_errors       bigint NOT NULL,
    generic_plans       bigint NOT NULL,
    shared_blks_dirtied bigint NOT NULL,
    shared_blks_written bigint NOT NULL,
    temp_blks_read      bigint NOT NULL,
    blk_read_ms         float8 NOT NULL,
    blk_write_ms        float8 NOT NULL,
    jit_ms              float8 NOT NULL,
    histogram           bytea NOT NULL,
    PRIMARY KEY (queryid, userid, toplevel, first_seen)
) WITH (fillfactor = 50);
COMMENT ON TABLE hone.query_history_store IS 'Durable copy of this database''s query statistics';

-- A histogram is stored packed, in two or three bytes for each bucket in which
-- an execution fell.
CREATE FUNCTION hone.histogram_pack(buckets int[], counts bigint[]) RETURNS bytea
LANGUAGE C STRICT IMMUTABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'hone_histogram_pack';
COMMENT ON FUNCTION hone.histogram_pack(int[], bigint[]) IS
'A latency histogram, given as numbers of its buckets and how many executions fell in each, as it is stored';

CREATE FUNCTION hone.histogram_quantile(histogram bytea, q float8) RETURNS float8
LANGUAGE C STRICT IMMUTABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'hone_histogram_packed_quantile';
COMMENT ON FUNCTION hone.histogram_quantile(bytea, float8) IS
'Milliseconds that the share q of the executions in a histogram did not exceed, to within 2.7 %';

CREATE FUNCTION hone.histogram_buckets(histogram bytea, OUT le_ms float8, OUT count bigint)
RETURNS SETOF record
LANGUAGE C STRICT IMMUTABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'hone_histogram_buckets';
COMMENT ON FUNCTION hone.histogram_buckets(bytea) IS
'A histogram made cumulative: how many executions took at most le_ms milliseconds';

CREATE FUNCTION hone.histogram_difference(histogram bytea, less bytea) RETURNS bytea
LANGUAGE C STRICT IMMUTABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'hone_histogram_difference';
COMMENT ON FUNCTION hone.histogram_difference(bytea, bytea) IS
'A histogram without what is in another one';

CREATE FUNCTION hone.histogram_accumulate(internal, histogram bytea) RETURNS internal
LANGUAGE C IMMUTABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'hone_histogram_accumulate';
COMMENT ON FUNCTION hone.histogram_accumulate(internal, bytea) IS 'Part of hone.histogram_sum';

CREATE FUNCTION hone.histogram_finish(internal) RETURNS bytea
LANGUAGE C IMMUTABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'hone_histogram_finish';
COMMENT ON FUNCTION hone.histogram_finish(internal) IS 'Part of hone.histogram_sum';

CREATE AGGREGATE hone.histogram_sum(histogram bytea) (
    SFUNC = hone.histogram_accumulate, STYPE = internal, SSPACE = 5200,
    FINALFUNC = hone.histogram_finish, PARALLEL = SAFE);
COMMENT ON AGGREGATE hone.histogram_sum(bytea) IS 'The sum of histograms';

CREATE TABLE hone.query_rollup_store (
    period              text NOT NULL CHECK (period IN ('minute', 'hour', 'day')),
    bucket_start        timestamptz NOT NULL,
    queryid             bigint NOT NULL,     -- 0: all that have no row of their own
    userid              oid NOT NULL,
    toplevel            bool NOT NULL,
    calls               bigint NOT NULL,
    errors              bigint NOT NULL,
    cancels             bigint NOT NULL,
    rows                bigint NOT NULL,
    total_exec_ms       float8 NOT NULL,
    max_exec_ms         float8,              -- NULL: planned, but not executed
    plans               bigint NOT NULL,
    total_plan_ms       float8 NOT NULL,
    shared_blks_hit     bigint NOT NULL,
    shared_blks_read    bigint NOT NULL,
    temp_blks_written   bigint NOT NULL,
    wal_bytes           bigint NOT NULL,
    caught_errors       bigint NOT NULL,
    generic_plans       bigint NOT NULL,
    shared_blks_dirtied bigint NOT NULL,
    shared_blks_written bigint NOT NULL,
    temp_blks_read      bigint NOT NULL,
    blk_read_ms         float8 NOT NULL,
    blk_write_ms        float8 NOT NULL,
    jit_ms              float8 NOT NULL,
    histogram           bytea NOT NULL,
    PRIMARY KEY (period, bucket_start, queryid, userid, toplevel)
);
COMMENT ON TABLE hone.query_rollup_store IS
'What this database''s queries did in each minute, hour and day; hours and days are those of UTC';

CREATE TABLE hone.query_rollup_progress_store (
    period     text PRIMARY KEY CHECK (period IN ('minute', 'hour', 'day')),
    done_until timestamptz NOT NULL
);
COMMENT ON TABLE hone.query_rollup_progress_store IS
'When statistics were collected last (minute), and up to where hours and days were made';
INSERT INTO hone.query_rollup_progress_store
VALUES ('minute', '-infinity'), ('hour', '-infinity'), ('day', '-infinity');

-- The only one that writes to query_rollup_store. At most pg_hone.rollup_queries
-- of a bucket have rows of their own, and all others one together, so that
-- neither a flood of queries nor a long day writes more than that.
CREATE FUNCTION hone.add_to_rollup(period text, bucket_start timestamptz,
                                   figures hone.query_rollup_store[]) RETURNS void
LANGUAGE plpgsql VOLATILE STRICT PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
    free_rows bigint;
BEGIN
    SELECT current_setting('pg_hone.rollup_queries')::bigint - count(*) INTO free_rows
    FROM hone.query_rollup_store r
    WHERE r.period = add_to_rollup.period AND r.bucket_start = add_to_rollup.bucket_start
      AND r.queryid <> 0;

    WITH added AS MATERIALIZED (
        SELECT k.queryid, k.userid, k.toplevel, sum(f.calls) AS calls, sum(f.errors) AS errors,
               sum(f.cancels) AS cancels, sum(f.rows) AS rows,
               sum(f.total_exec_ms) AS total_exec_ms, max(f.max_exec_ms) AS max_exec_ms,
               sum(f.plans) AS plans, sum(f.total_plan_ms) AS total_plan_ms,
               sum(f.shared_blks_hit) AS shared_blks_hit,
               sum(f.shared_blks_read) AS shared_blks_read,
               sum(f.temp_blks_written) AS temp_blks_written, sum(f.wal_bytes) AS wal_bytes,
               sum(f.caught_errors) AS caught_errors, sum(f.generic_plans) AS generic_plans,
               sum(f.shared_blks_dirtied) AS shared_blks_dirtied,
               sum(f.shared_blks_written) AS shared_blks_written,
               sum(f.temp_blks_read) AS temp_blks_read, sum(f.blk_read_ms) AS blk_read_ms,
               sum(f.blk_write_ms) AS blk_write_ms, sum(f.jit_ms) AS jit_ms,
               hone.histogram_sum(f.histogram) AS histogram
        FROM (SELECT f.*, f.has_row
                          OR row_number() OVER (PARTITION BY f.has_row
                                                ORDER BY f.total_exec_ms + f.total_plan_ms DESC,
                                                         f.queryid, f.userid, f.toplevel)
                             <= free_rows AS own_row
              FROM (SELECT f.*, EXISTS (SELECT FROM hone.query_rollup_store r
                                        WHERE r.period = add_to_rollup.period
                                          AND r.bucket_start = add_to_rollup.bucket_start
                                          AND (r.queryid, r.userid, r.toplevel)
                                              = (f.queryid, f.userid, f.toplevel)) AS has_row
                    FROM unnest(figures) f WHERE f.queryid <> 0) f
              UNION ALL
              SELECT f.*, false, false FROM unnest(figures) f WHERE f.queryid = 0) f
             CROSS JOIN LATERAL (SELECT CASE WHEN f.own_row THEN f.queryid ELSE 0 END AS queryid,
                                        CASE WHEN f.own_row THEN f.userid ELSE 0 END AS userid,
                                        f.toplevel OR NOT f.own_row AS toplevel) k
        GROUP BY k.queryid, k.userid, k.toplevel
    ), updated AS (
        -- (Not INSERT ON CONFLICT, which writes half as much again for new rows.)
        UPDATE hone.query_rollup_store r
        SET calls = r.calls + a.calls, errors = r.errors + a.errors,
            cancels = r.cancels + a.cancels, rows = r.rows + a.rows,
            total_exec_ms = r.total_exec_ms + a.total_exec_ms,
            max_exec_ms = greatest(r.max_exec_ms, a.max_exec_ms),
            plans = r.plans + a.plans, total_plan_ms = r.total_plan_ms + a.total_plan_ms,
            shared_blks_hit = r.shared_blks_hit + a.shared_blks_hit,
            shared_blks_read = r.shared_blks_read + a.shared_blks_read,
            temp_blks_written = r.temp_blks_written + a.temp_blks_written,
            wal_bytes = r.wal_bytes + a.wal_bytes,
            caught_errors = r.caught_errors + a.caught_errors,
            generic_plans = r.generic_plans + a.generic_plans,
            shared_blks_dirtied = r.shared_blks_dirtied + a.shared_blks_dirtied,
            shared_blks_written = r.shared_blks_written + a.shared_blks_written,
            temp_blks_read = r.temp_blks_read + a.temp_blks_read,
            blk_read_ms = r.blk_read_ms + a.blk_read_ms,
            blk_write_ms = r.blk_write_ms + a.blk_write_ms, jit_ms = r.jit_ms + a.jit_ms,
            histogram = (SELECT hone.histogram_sum(h.histogram)
                         FROM (VALUES (r.histogram), (a.histogram)) h (histogram))
        FROM added a
        WHERE r.period = add_to_rollup.period AND r.bucket_start = add_to_rollup.bucket_start
          AND (r.queryid, r.userid, r.toplevel) = (a.queryid, a.userid, a.toplevel)
        RETURNING r.queryid, r.userid, r.toplevel
    )
    INSERT INTO hone.query_rollup_store
    SELECT add_to_rollup.period, add_to_rollup.bucket_start, a.*
    FROM added a
    WHERE (a.queryid, a.userid, a.toplevel) NOT IN (SELECT queryid, userid, toplevel FROM updated);
END
$$;
COMMENT ON FUNCTION hone.add_to_rollup(text, timestamptz, hone.query_rollup_store[]) IS
'Adds figures to a minute, an hour or a day of the history';

CREATE FUNCTION hone.collect_query_stats() RETURNS bigint
LANGUAGE plpgsql VOLATILE STRICT PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
SET lock_timeout = '5s'
AS $$
#variable_conflict use_column
DECLARE
    collected timestamptz;
    before timestamptz;
    bucket timestamptz;
    figures hone.query_rollup_store[];
    above record;
BEGIN
    IF pg_is_in_recovery() THEN
        RETURN 0;               -- there is nothing to write to
    END IF;

    -- One after the other, or a difference would be counted twice. The row is
    -- changed, so that a transaction which does not see what was committed
    -- meanwhile (REPEATABLE READ) fails here.
    SELECT p.done_until INTO STRICT before
    FROM hone.query_rollup_progress_store p WHERE p.period = 'minute' FOR UPDATE;
    collected := clock_timestamp();
    UPDATE hone.query_rollup_progress_store SET done_until = collected WHERE period = 'minute';

    -- (Fewer than are stored: the same query was evicted, and came back in the
    -- same microsecond. Then all of it is new.)
    WITH changed AS MATERIALIZED (
        SELECT c.*, hone.histogram_pack(c.buckets, c.counts) AS histogram,
               CASE WHEN c.calls >= k.calls AND c.errors >= k.errors AND c.plans >= k.plans
                    THEN k END AS stored,
               k.queryid IS NULL AS is_new
        FROM hone.query_stats_memory() c
             LEFT JOIN hone.query_history_store k
                    ON (k.queryid, k.userid, k.toplevel, k.first_seen)
                       = (c.queryid, c.userid, c.toplevel, c.first_seen)
        WHERE c.dbid = (SELECT oid FROM pg_database WHERE datname = current_database())
          AND (c.calls, c.errors, c.plans, c.total_exec_ms, c.total_plan_ms)
              IS DISTINCT FROM (k.calls, k.errors, k.plans, k.total_exec_ms, k.total_plan_ms)
    ), updated AS (
        UPDATE hone.query_history_store h
        SET last_seen = c.last_seen, query = coalesce(h.query, c.query),
            calls = c.calls, errors = c.errors, cancels = c.cancels, rows = c.rows,
            total_exec_ms = c.total_exec_ms, min_exec_ms = c.min_exec_ms,
            max_exec_ms = c.max_exec_ms, stddev_exec_ms = c.stddev_exec_ms,
            p50_ms = c.p50_ms, p95_ms = c.p95_ms, p99_ms = c.p99_ms,
            plans = c.plans, total_plan_ms = c.total_plan_ms,
            shared_blks_hit = c.shared_blks_hit, shared_blks_read = c.shared_blks_read,
            temp_blks_written = c.temp_blks_written, wal_bytes = c.wal_bytes,
            caught_errors = c.caught_errors, generic_plans = c.generic_plans,
            shared_blks_dirtied = c.shared_blks_dirtied,
            shared_blks_written = c.shared_blks_written,
            temp_blks_read = c.temp_blks_read, blk_read_ms = c.blk_read_ms,
            blk_write_ms = c.blk_write_ms, jit_ms = c.jit_ms,
            histogram = c.histogram
        FROM changed c
        WHERE NOT c.is_new
          AND (h.queryid, h.userid, h.toplevel, h.first_seen)
              = (c.queryid, c.userid, c.toplevel, c.first_seen)
    ), inserted AS (
        INSERT INTO hone.query_history_store
        SELECT userid, queryid, toplevel, first_seen, command, query, last_seen,
               calls, errors, cancels, rows, total_exec_ms, min_exec_ms, max_exec_ms,
               stddev_exec_ms, p50_ms, p95_ms, p99_ms, plans, total_plan_ms,
               shared_blks_hit, shared_blks_read, temp_blks_written, wal_bytes,
               caught_errors, generic_plans, shared_blks_dirtied, shared_blks_written,
               temp_blks_read, blk_read_ms, blk_write_ms, jit_ms, histogram
        FROM changed
        WHERE is_new
    )
    SELECT array_agg(ROW('minute', collected, c.queryid, c.userid, c.toplevel,
               c.calls - coalesce((c.stored).calls, 0),
               c.errors - coalesce((c.stored).errors, 0),
               c.cancels - coalesce((c.stored).cancels, 0),
               c.rows - coalesce((c.stored).rows, 0),
               greatest(c.total_exec_ms - coalesce((c.stored).total_exec_ms, 0), 0),
               -- A new longest one is known exactly, any other from the histogram.
               CASE WHEN c.max_exec_ms > (c.stored).max_exec_ms OR (c.stored).max_exec_ms IS NULL
                    THEN c.max_exec_ms
                    ELSE least(hone.histogram_quantile(d.histogram, 1), c.max_exec_ms) END,
               c.plans - coalesce((c.stored).plans, 0),
               greatest(c.total_plan_ms - coalesce((c.stored).total_plan_ms, 0), 0),
               c.shared_blks_hit - coalesce((c.stored).shared_blks_hit, 0),
               c.shared_blks_read - coalesce((c.stored).shared_blks_read, 0),
               c.temp_blks_written - coalesce((c.stored).temp_blks_written, 0),
               c.wal_bytes - coalesce((c.stored).wal_bytes, 0),
               c.caught_errors - coalesce((c.stored).caught_errors, 0),
               c.generic_plans - coalesce((c.stored).generic_plans, 0),
               c.shared_blks_dirtied - coalesce((c.stored).shared_blks_dirtied, 0),
               c.shared_blks_written - coalesce((c.stored).shared_blks_written, 0),
               c.temp_blks_read - coalesce((c.stored).temp_blks_read, 0),
               greatest(c.blk_read_ms - coalesce((c.stored).blk_read_ms, 0), 0),
               greatest(c.blk_write_ms - coalesce((c.stored).blk_write_ms, 0), 0),
               greatest(c.jit_ms - coalesce((c.stored).jit_ms, 0), 0),
               d.histogram)::hone.query_rollup_store)
    INTO figures
    FROM changed c
         CROSS JOIN LATERAL hone.histogram_difference(
             c.histogram, coalesce((c.stored).histogram, '')) d (histogram);
    IF figures IS NULL THEN
        RETURN 0;
    END IF;

    -- A round at the beginning of a minute brings what happened in the one
    -- before. After a pause it cannot be told when it happened: then it belongs
    -- to the minute in which it is seen.
    bucket := date_trunc('minute',
                         CASE WHEN before BETWEEN collected - interval '90 seconds' AND collected
                              THEN collected - least((collected - before) / 2, interval '30 seconds')
                              ELSE collected END, 'UTC');
    PERFORM hone.add_to_rollup('minute', bucket, figures);
    -- An hour or a day that is made already: this comes late, or the clock was
    -- set back.
    FOR above IN SELECT p.period FROM hone.query_rollup_progress_store p
                 WHERE p.period <> 'minute' AND p.done_until > bucket
    LOOP
        PERFORM hone.add_to_rollup(above.period, date_trunc(above.period, bucket, 'UTC'), figures);
    END LOOP;
    RETURN cardinality(figures);
END
$$;
COMMENT ON FUNCTION hone.collect_query_stats() IS
'Makes this database''s query statistics durable, and adds what is new to the history by the minute; returns how many queries had something new';

CREATE FUNCTION hone.roll_up_query_stats() RETURNS bigint
LANGUAGE plpgsql VOLATILE STRICT PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
SET lock_timeout = '5s'
AS $$
#variable_conflict use_column
DECLARE
    at_once CONSTANT int := 6;      -- so that it does not take long
    above record;
    done timestamptz;
    finished timestamptz;
    bucket timestamptz;
    figures hone.query_rollup_store[];
    made bigint := 0;
BEGIN
    IF pg_is_in_recovery() THEN
        RETURN 0;
    END IF;
    PERFORM hone.retention();       -- loads the library, and with it the settings
    PERFORM FROM hone.query_rollup_progress_store p WHERE p.period = 'minute' FOR UPDATE;

    FOR above IN SELECT * FROM (VALUES ('hour', 'minute', interval '1 hour'),
                                       ('day', 'hour', interval '24 hours'))
                               v (period, source, length)
    LOOP
        SELECT p.done_until INTO STRICT done
        FROM hone.query_rollup_progress_store p WHERE p.period = above.period;
        -- Hours: when rounds bring hardly anything more. Days: of made hours.
        SELECT date_trunc(above.period,
                          CASE above.period WHEN 'hour' THEN clock_timestamp() - interval '2 minutes'
                                            ELSE p.done_until END, 'UTC') INTO finished
        FROM hone.query_rollup_progress_store p WHERE p.period = 'hour';

        LOOP
            SELECT date_trunc(above.period, min(r.bucket_start), 'UTC') INTO bucket
            FROM hone.query_rollup_store r
            WHERE r.period = above.source AND r.bucket_start >= done AND r.bucket_start < finished;
            IF bucket IS NULL THEN
                done := greatest(done, finished);
                EXIT;
            END IF;
            EXIT WHEN made >= at_once;

            SELECT array_agg(ROW(s.*)::hone.query_rollup_store) INTO figures
            FROM (SELECT above.period, bucket, r.queryid, r.userid, r.toplevel,
                         sum(r.calls), sum(r.errors), sum(r.cancels), sum(r.rows),
                         sum(r.total_exec_ms), max(r.max_exec_ms), sum(r.plans),
                         sum(r.total_plan_ms), sum(r.shared_blks_hit), sum(r.shared_blks_read),
                         sum(r.temp_blks_written), sum(r.wal_bytes), sum(r.caught_errors),
                         sum(r.generic_plans), sum(r.shared_blks_dirtied),
                         sum(r.shared_blks_written), sum(r.temp_blks_read), sum(r.blk_read_ms),
                         sum(r.blk_write_ms), sum(r.jit_ms),
                         hone.histogram_sum(r.histogram)
                  FROM hone.query_rollup_store r
                  WHERE r.period = above.source AND r.bucket_start >= bucket
                    AND r.bucket_start < bucket + above.length
                  GROUP BY r.queryid, r.userid, r.toplevel) s;
            PERFORM hone.add_to_rollup(above.period, bucket, figures);
            done := bucket + above.length;
            made := made + 1;
        END LOOP;
        UPDATE hone.query_rollup_progress_store SET done_until = done
        WHERE period = above.period AND done_until <> done;
    END LOOP;
    RETURN made;
END
$$;
COMMENT ON FUNCTION hone.roll_up_query_stats() IS
'Makes hours of the history of finished minutes, and days of finished hours; returns how many';

CREATE FUNCTION hone.expire_query_history() RETURNS bigint
LANGUAGE plpgsql VOLATILE STRICT PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
SET lock_timeout = '5s'
AS $$
#variable_conflict use_column
DECLARE
    longest CONSTANT interval := hone.retention();
    at_once CONSTANT int := 10000;
    most_lives bigint;
    in_memory timestamptz[];
    gone bigint;
    more bigint;
BEGIN
    IF pg_is_in_recovery() THEN
        RETURN 0;
    END IF;

    -- Minutes stay until their hour is made, and hours until their day is,
    -- unless that takes longer than anything is kept.
    DELETE FROM hone.query_rollup_store
    WHERE ctid = ANY (ARRAY(
        SELECT r.ctid
        FROM (VALUES ('minute', current_setting('pg_hone.minute_retention')::interval, 'hour'),
                     ('hour', current_setting('pg_hone.hour_retention')::interval, 'day'),
                     ('day', longest, NULL)) v (period, kept_for, above)
             LEFT JOIN hone.query_rollup_progress_store p ON p.period = v.above
             JOIN hone.query_rollup_store r
               ON r.period = v.period
              AND r.bucket_start < greatest(now() - longest,
                                            least(now() - v.kept_for, p.done_until))
        LIMIT at_once));
    GET DIAGNOSTICS gone = ROW_COUNT;

    -- What is in memory stays: the next difference is taken from it. (Without
    -- preloading there is no memory, and reading it is an error.)
    BEGIN
        in_memory := ARRAY(SELECT s.first_seen FROM hone.query_stats_memory() s);
    EXCEPTION WHEN object_not_in_prerequisite_state THEN
        in_memory := '{}';
    END;
    most_lives := 10 * coalesce(current_setting('pg_hone.max_queries', true)::bigint, 5000);
    DELETE FROM hone.query_history_store
    WHERE ctid = ANY (ARRAY(
        SELECT h.ctid FROM hone.query_history_store h
        WHERE h.last_seen < greatest(now() - longest,
                                     (SELECT b.last_seen FROM hone.query_history_store b
                                      ORDER BY b.last_seen DESC OFFSET most_lives LIMIT 1))
          AND h.first_seen <> ALL (in_memory)
        ORDER BY h.last_seen
        LIMIT at_once));
    GET DIAGNOSTICS more = ROW_COUNT;
    RETURN gone + more;
END
$$;
COMMENT ON FUNCTION hone.expire_query_history() IS
'Deletes what is old of the stored query statistics, at most 20,000 rows at once; returns how many';

CREATE VIEW hone.query_history WITH (security_barrier) AS
SELECT h.queryid, r.rolname AS username, h.toplevel, h.command,
       CASE WHEN pg_catalog.pg_has_role(h.userid, 'USAGE')
                 OR pg_catalog.pg_has_role('pg_read_all_stats', 'USAGE')
            THEN h.query ELSE '<insufficient privilege>' END AS query,
       h.first_seen, h.last_seen, h.calls, h.errors, h.cancels, h.rows,
       h.total_exec_ms, h.min_exec_ms, h.max_exec_ms, h.stddev_exec_ms,
       h.p50_ms, h.p95_ms, h.p99_ms, h.plans, h.total_plan_ms,
       h.shared_blks_hit, h.shared_blks_read, h.temp_blks_written, h.wal_bytes,
       h.caught_errors, h.generic_plans, h.shared_blks_dirtied, h.shared_blks_written,
       h.temp_blks_read, h.blk_read_ms, h.blk_write_ms, h.jit_ms
FROM hone.query_history_store h
     LEFT JOIN pg_catalog.pg_roles r ON r.oid OPERATOR(pg_catalog.=) h.userid;
COMMENT ON VIEW hone.query_history IS
'Statistics of this database''s queries that outlive restarts and evictions: one row for each time a query was kept in memory';

CREATE VIEW hone.query_rollup WITH (security_barrier) AS
SELECT s.period, s.bucket_start, r.rolname AS username,
       nullif(s.queryid, 0) AS queryid,
       CASE WHEN s.queryid OPERATOR(pg_catalog.<>) 0 THEN s.toplevel END AS toplevel,
       CASE WHEN s.queryid OPERATOR(pg_catalog.=) 0 THEN '<other>'
            WHEN pg_catalog.pg_has_role(s.userid, 'USAGE')
                 OR pg_catalog.pg_has_role('pg_read_all_stats', 'USAGE')
            THEN (SELECT h.query FROM hone.query_history_store h
                  WHERE h.queryid OPERATOR(pg_catalog.=) s.queryid
                    AND h.userid OPERATOR(pg_catalog.=) s.userid
                    AND h.toplevel OPERATOR(pg_catalog.=) s.toplevel
                    AND h.query IS NOT NULL
                  ORDER BY h.first_seen DESC LIMIT 1)
            ELSE '<insufficient privilege>' END AS query,
       s.calls, s.errors, s.cancels, s.rows, s.total_exec_ms,
       s.total_exec_ms OPERATOR(pg_catalog./) nullif(s.calls OPERATOR(pg_catalog.+) s.errors, 0) AS mean_exec_ms,
       s.max_exec_ms,
       least(hone.histogram_quantile(s.histogram, 0.50), s.max_exec_ms) AS p50_ms,
       least(hone.histogram_quantile(s.histogram, 0.95), s.max_exec_ms) AS p95_ms,
       least(hone.histogram_quantile(s.histogram, 0.99), s.max_exec_ms) AS p99_ms,
       s.plans, s.total_plan_ms, s.shared_blks_hit, s.shared_blks_read,
       s.temp_blks_written, s.wal_bytes, s.caught_errors, s.generic_plans,
       s.shared_blks_dirtied, s.shared_blks_written, s.temp_blks_read,
       s.blk_read_ms, s.blk_write_ms, s.jit_ms, s.histogram
FROM hone.query_rollup_store s
     LEFT JOIN pg_catalog.pg_roles r ON r.oid OPERATOR(pg_catalog.=) s.userid;
COMMENT ON VIEW hone.query_rollup IS
'What this database''s queries did in each minute, hour and day of UTC; the row <other> of each is the sum of those that took least time';
