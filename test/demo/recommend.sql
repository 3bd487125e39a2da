\pset format unaligned
\pset tuples_only on
SELECT format('%s  %s%s  %s', to_char(id, '99'),
              rpad(CASE action WHEN 'create' THEN format('saves %s %%, helps %s, %s', round((100 * improvement)::numeric, 1), queries_helped,
                                                         pg_size_pretty(size_bytes)) ELSE '' END, 34),
              CASE WHEN queries_hurt > 0 THEN format('(hurts %s) ', queries_hurt) END, definition)
FROM hone.recommend() ORDER BY action, improvement DESC;
\pset format aligned
\pset tuples_only off

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
