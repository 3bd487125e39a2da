SELECT * FROM hone.pool_summary \gx
SELECT username, application_name, total, active, idle, idle_in_transaction, waiting, peak_total
FROM hone.pool_stats ORDER BY total DESC LIMIT 5;
SELECT l.label AS query, s.calls, s.rows, round(s.mean_exec_ms::numeric, 3) AS mean_ms,
       round(s.p50_ms::numeric, 3) AS p50_ms, round(s.p95_ms::numeric, 3) AS p95_ms, round(s.p99_ms::numeric, 3) AS p99_ms,
       s.shared_blks_hit, s.wal_bytes
FROM hone.query_stats s JOIN demo.labels l ON s.query LIKE l.pattern
WHERE s.username = 'app' ORDER BY s.total_exec_ms DESC LIMIT 8;
SELECT * FROM hone.query_stats_info;
