\echo The slow log by query (hone.slow_queries: 100 ms and more, at most 10 runs a minute of each query)
SELECT l.label AS query, count(*) AS slow_runs, round(max(s.duration_ms)::numeric) AS longest_ms,
       round(avg(s.shared_blks_hit + s.shared_blks_read)) AS pages_touched
FROM hone.slow_queries s JOIN demo.labels l ON s.query LIKE l.pattern
WHERE s.datname = current_database() AND s.username = 'app'
GROUP BY l.label ORDER BY count(*) * avg(s.duration_ms) DESC;

\echo The slowest run of three of them: real parameters, and the plan that was executed
\pset expanded on
SELECT s.logged_at, round(s.duration_ms::numeric, 1) AS duration_ms, s.rows, s.query, s.parameters,
       (SELECT string_agg(node #>> '{}', ' < ') FROM jsonb_path_query(s.plan, 'strict $.**."Node Type"') node) AS plan_nodes,
       s.outcome
FROM (SELECT DISTINCT ON (q.queryid) q.* FROM hone.slow_queries q JOIN demo.labels l ON q.query LIKE l.pattern
      WHERE q.datname = current_database() AND q.plan IS NOT NULL AND cardinality(q.parameters) > 0
      ORDER BY q.queryid, q.duration_ms DESC) s
ORDER BY s.duration_ms DESC LIMIT 3;
\pset expanded off

\echo The workload as the advisor sees it (hone.workload, heaviest first)
SELECT coalesce(l.label, left(w.query, 40)) AS query, w.calls, w.samples, round(w.weight::numeric, 3) AS weight, w.tables
FROM hone.workload w LEFT JOIN demo.labels l ON w.query LIKE l.pattern
WHERE w.username = 'app'
ORDER BY w.weight DESC LIMIT 12;
