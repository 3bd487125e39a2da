-- What each query reads of each table, for which statement it ran, and how long
-- statements on a table take.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS pg_hone;
RESET client_min_messages;

CREATE TABLE stats_tables_a (a int PRIMARY KEY, b int);
CREATE TABLE stats_tables_b (a int PRIMARY KEY, b int);
INSERT INTO stats_tables_a SELECT g, g % 10 FROM generate_series(1, 1000) g;
INSERT INTO stats_tables_b SELECT g, g % 10 FROM generate_series(1, 1000) g;
VACUUM ANALYZE stats_tables_a, stats_tables_b;
CREATE FUNCTION stats_tables_f(n int) RETURNS bigint LANGUAGE plpgsql AS $$
BEGIN
    RETURN (SELECT count(*) FROM stats_tables_b WHERE b = n);
END $$;
SET enable_bitmapscan = off;
SET enable_indexonlyscan = off;
SET enable_mergejoin = off;
SET enable_nestloop = off;
SET max_parallel_workers_per_gather = 0;

SELECT hone.reset_query_stats() IS NOT NULL AS reset;
SELECT count(*) AS by_index FROM stats_tables_a WHERE a = 1;
SELECT count(*) AS by_index FROM stats_tables_a WHERE a = 2;
SELECT count(*) AS by_scan FROM stats_tables_a WHERE b = 3;
SELECT a FROM stats_tables_b WHERE b = 4 ORDER BY a LIMIT 2;
UPDATE stats_tables_b SET b = stats_tables_a.b FROM stats_tables_a
WHERE stats_tables_a.a = stats_tables_b.a AND stats_tables_a.b = 5;
INSERT INTO stats_tables_a VALUES (1001, 1);
SELECT stats_tables_f(1);
SELECT stats_tables_f(2);
SELECT count(*) AS catalog_only FROM pg_class WHERE relname = 'stats_tables_a';

SELECT query, table_name, executions, target_executions, seq_rows_read, index_rows_read,
       rows_read = seq_rows_read + index_rows_read AS added, rows_returned, read_to_returned
FROM hone.query_tables
WHERE query LIKE '%stats\_tables\_%' AND table_name LIKE 'public.%'
  AND username = current_user AND datname = current_database()
ORDER BY query COLLATE "C", table_name;

SELECT top_query, query, username = current_user AS mine, datname = current_database() AS here,
       calls, errors, rows, total_exec_ms > 0 AS measured
FROM hone.nested_queries WHERE query LIKE '%stats\_tables\_%';

SELECT table_name, command, calls, errors, mean_exec_ms > 0 AS measured,
       p50_ms <= p95_ms AND p95_ms <= p99_ms AND p99_ms <= total_exec_ms AS in_order
FROM hone.table_latency WHERE table_name LIKE 'public.stats\_tables\_%'
ORDER BY table_name, command;
SELECT count(*) AS of_catalogs FROM hone.table_latency WHERE relid < 16384;

-- the histogram: of one command, of all, of a table nobody asked about
SELECT max(count) FROM hone.table_latency_histogram('stats_tables_a', 'SELECT');
SELECT max(count) FROM hone.table_latency_histogram('stats_tables_a', 'select');
SELECT max(count) FROM hone.table_latency_histogram('stats_tables_a');
SELECT count(*) FROM hone.table_latency_histogram('stats_tables_a', 'DELETE');
SELECT count(*) FROM hone.table_latency_histogram('pg_class');

-- a table that is gone has no name, but its figures
DROP TABLE stats_tables_b;
SELECT count(*) > 0 AS kept, count(t.table_name) AS named
FROM hone.query_tables t LEFT JOIN pg_class c ON c.oid = t.relid
WHERE datname = current_database() AND query LIKE '%stats\_tables\_b%' AND c.oid IS NULL;

-- nobody else sees the texts
CREATE ROLE stats_tables_other;
SET ROLE stats_tables_other;
SELECT count(*) FROM hone.query_tables WHERE query LIKE '%stats\_tables\_%';
SELECT count(*) FROM hone.nested_queries WHERE concat(top_query, query) LIKE '%stats\_tables\_%';
SELECT query, sum(executions) > 0 AS counted FROM hone.query_tables
WHERE table_name = 'public.stats_tables_a' GROUP BY query;
RESET ROLE;

-- forgetting a query takes along its tables and what it ran
SELECT count(hone.reset_query_stats(queryid => queryid)) AS forgotten
FROM hone.query_stats WHERE query IN ('SELECT stats_tables_f($1)', 'SELECT count(*) AS by_scan FROM stats_tables_a WHERE b = $1');
SELECT count(*) FROM hone.nested_queries WHERE query LIKE '%stats\_tables\_%';
SELECT DISTINCT query FROM hone.query_tables WHERE query LIKE '%stats\_tables\_a WHERE%' ORDER BY 1;
SELECT hone.reset_query_stats() IS NOT NULL AS reset;
SELECT count(*) FROM hone.table_latency WHERE table_name LIKE 'public.stats\_tables\_%';

DROP ROLE stats_tables_other;
DROP FUNCTION stats_tables_f;
DROP TABLE stats_tables_a;
RESET enable_bitmapscan;
RESET enable_indexonlyscan;
RESET enable_mergejoin;
RESET enable_nestloop;
RESET max_parallel_workers_per_gather;

-- parallel workers report for the statement they work for, also while a function
-- in it runs another one that has workers
CREATE TABLE stats_tables_p AS SELECT i AS a FROM generate_series(1, 100000) i;
CREATE TABLE stats_tables_q AS SELECT i AS a FROM generate_series(1, 20000) i;
CREATE FUNCTION stats_tables_g() RETURNS bigint LANGUAGE plpgsql PARALLEL SAFE AS
$$ BEGIN RETURN (SELECT count(*) FROM stats_tables_q WHERE a > 0); END $$;
SET parallel_setup_cost = 0;
SET parallel_tuple_cost = 0;
SET min_parallel_table_scan_size = 0;
SET max_parallel_workers_per_gather = 2;
SELECT count(*) FROM stats_tables_p WHERE CASE WHEN a % 10000 = 0 THEN stats_tables_g() > 0 ELSE a > 0 END;
RESET parallel_setup_cost;
RESET parallel_tuple_cost;
RESET min_parallel_table_scan_size;
RESET max_parallel_workers_per_gather;
SELECT query LIKE '%stats\_tables\_q%' AS nested, table_name, rows_read
FROM hone.query_tables WHERE table_name IN ('public.stats_tables_p', 'public.stats_tables_q') ORDER BY 1;
DROP FUNCTION stats_tables_g;
DROP TABLE stats_tables_p, stats_tables_q;
