SELECT id, action, definition, pg_size_pretty(size_bytes) AS size,
       round((100 * improvement)::numeric, 1) AS saved_percent, queries_helped AS helped, queries_hurt AS hurt
FROM hone.recommend() ORDER BY improvement DESC;

\echo The run, and one recommendation explained
SELECT run_id, round(elapsed_ms::numeric) AS elapsed_ms, queries, candidates, planner_calls,
       round(cost_before) AS cost_before, round(cost_after) AS cost_after
FROM hone.advisor_runs ORDER BY run_id DESC LIMIT 1;
\pset format unaligned
\pset tuples_only on
SELECT hone.explain_recommendation(id) FROM hone.recommendations
WHERE status = 'proposed' ORDER BY improvement DESC LIMIT 1;
\pset format aligned
\pset tuples_only off
