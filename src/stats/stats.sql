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
    OUT latency_entries bigint, OUT latency_evictions bigint)
LANGUAGE C STRICT VOLATILE PARALLEL RESTRICTED
AS 'MODULE_PATHNAME', 'hone_query_stats_info';
COMMENT ON FUNCTION hone.query_stats_info_row() IS 'The row of hone.query_stats_info';

CREATE VIEW hone.query_stats_info WITH (security_barrier) AS
SELECT * FROM hone.query_stats_info_row();
COMMENT ON VIEW hone.query_stats_info IS
'The module''s own account: queries kept and evicted, texts kept and lost, shared memory in bytes, last complete reset; rows kept and evicted of hone.query_errors, query_tables, nested_queries and table_latency';

CREATE FUNCTION hone.reset_query_stats(userid oid DEFAULT NULL, dbid oid DEFAULT NULL,
                                       queryid bigint DEFAULT NULL)
RETURNS bigint
LANGUAGE C VOLATILE PARALLEL RESTRICTED
AS 'MODULE_PATHNAME', 'hone_reset_query_stats';
COMMENT ON FUNCTION hone.reset_query_stats(oid, oid, bigint) IS
'Forgets the statistics in memory that match all arguments that are not NULL, their errors, tables and nested queries included (latencies by table go with their database only); returns how many queries that were';

-- Durable copy: one row for each time a query's statistics lived in memory
-- (first_seen tells them apart), brought up to date by the collector. Adding
-- the rows of a query gives its whole history, over evictions and restarts.
CREATE TABLE hone.query_history_store (
    userid            oid NOT NULL,
    queryid           bigint NOT NULL,
    toplevel          bool NOT NULL,
    first_seen        timestamptz NOT NULL,
    last_seen         timestamptz NOT NULL,
    command           text NOT NULL,
    query             text,
    calls             bigint NOT NULL,
    errors            bigint NOT NULL,
    cancels           bigint NOT NULL,
    rows              bigint NOT NULL,
    total_exec_ms     float8 NOT NULL,
    min_exec_ms       float8,
    max_exec_ms       float8,
    stddev_exec_ms    float8,
    p50_ms            float8,
    p95_ms            float8,
    p99_ms            float8,
    plans             bigint NOT NULL,
    total_plan_ms     float8 NOT NULL,
    shared_blks_hit   bigint NOT NULL,
    shared_blks_read  bigint NOT NULL,
    temp_blks_written bigint NOT NULL,
    wal_bytes         bigint NOT NULL,
    buckets           int[] NOT NULL,
    counts            bigint[] NOT NULL,
    PRIMARY KEY (queryid, userid, toplevel, first_seen)
);
CREATE INDEX ON hone.query_history_store (last_seen);
COMMENT ON TABLE hone.query_history_store IS 'Durable copy of this database''s query statistics';

CREATE FUNCTION hone.collect_query_stats() RETURNS bigint
LANGUAGE plpgsql VOLATILE STRICT PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
    written_rows bigint;
BEGIN
    IF pg_is_in_recovery() THEN
        RETURN 0;               -- there is nothing to write to
    END IF;

    WITH current AS (
        SELECT s.* FROM hone.query_stats_memory() s
        WHERE s.dbid = (SELECT oid FROM pg_database WHERE datname = current_database())
    ), written AS (
        INSERT INTO hone.query_history_store AS h
        SELECT userid, queryid, toplevel, first_seen, last_seen, command, query,
               calls, errors, cancels, rows, total_exec_ms, min_exec_ms, max_exec_ms,
               stddev_exec_ms, p50_ms, p95_ms, p99_ms, plans, total_plan_ms,
               shared_blks_hit, shared_blks_read, temp_blks_written, wal_bytes,
               buckets, counts
        FROM current c
        -- A minute's delay is what a crash may lose; writing a busy query's row
        -- more often than that would only cost WAL.
        WHERE NOT EXISTS (SELECT FROM hone.query_history_store k
                          WHERE (k.queryid, k.userid, k.toplevel, k.first_seen)
                                = (c.queryid, c.userid, c.toplevel, c.first_seen)
                            AND (k.last_seen >= c.last_seen
                                 OR k.last_seen > now() - interval '1 minute'))
        ON CONFLICT (queryid, userid, toplevel, first_seen) DO UPDATE
        SET last_seen = excluded.last_seen, query = coalesce(excluded.query, h.query),
            calls = excluded.calls, errors = excluded.errors, cancels = excluded.cancels,
            rows = excluded.rows, total_exec_ms = excluded.total_exec_ms,
            min_exec_ms = excluded.min_exec_ms, max_exec_ms = excluded.max_exec_ms,
            stddev_exec_ms = excluded.stddev_exec_ms, p50_ms = excluded.p50_ms,
            p95_ms = excluded.p95_ms, p99_ms = excluded.p99_ms, plans = excluded.plans,
            total_plan_ms = excluded.total_plan_ms,
            shared_blks_hit = excluded.shared_blks_hit,
            shared_blks_read = excluded.shared_blks_read,
            temp_blks_written = excluded.temp_blks_written,
            wal_bytes = excluded.wal_bytes,
            buckets = excluded.buckets, counts = excluded.counts
        RETURNING 1)
    SELECT count(*) INTO written_rows FROM written;
    RETURN written_rows;
END
$$;
COMMENT ON FUNCTION hone.collect_query_stats() IS
'Makes this database''s query statistics durable; returns the number of rows written';

CREATE VIEW hone.query_history WITH (security_barrier) AS
SELECT h.queryid, r.rolname AS username, h.toplevel, h.command,
       CASE WHEN pg_catalog.pg_has_role(h.userid, 'USAGE')
                 OR pg_catalog.pg_has_role('pg_read_all_stats', 'USAGE')
            THEN h.query ELSE '<insufficient privilege>' END AS query,
       h.first_seen, h.last_seen, h.calls, h.errors, h.cancels, h.rows,
       h.total_exec_ms, h.min_exec_ms, h.max_exec_ms, h.stddev_exec_ms,
       h.p50_ms, h.p95_ms, h.p99_ms, h.plans, h.total_plan_ms,
       h.shared_blks_hit, h.shared_blks_read, h.temp_blks_written, h.wal_bytes
FROM hone.query_history_store h
     LEFT JOIN pg_catalog.pg_roles r ON r.oid OPERATOR(pg_catalog.=) h.userid;
COMMENT ON VIEW hone.query_history IS
'Statistics of this database''s queries that outlive restarts and evictions: one row for each time a query was kept in memory';
