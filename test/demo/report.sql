-- What the two runs of the same workload say, from hone.query_stats alone.
\echo
\echo Per query, before and after (ms, measured inside the server by pg_hone)
SELECT b.kind, b.label AS query, b.calls AS calls_before, a.calls AS calls_after,
       round(b.p50_ms::numeric, 2) AS p50_before, round(a.p50_ms::numeric, 2) AS p50_after,
       round(b.p95_ms::numeric, 2) AS p95_before, round(a.p95_ms::numeric, 2) AS p95_after,
       round(b.mean_exec_ms::numeric, 3) AS mean_before, round(a.mean_exec_ms::numeric, 3) AS mean_after
FROM demo.before b FULL JOIN demo.after a USING (label)
ORDER BY b.kind, b.total_exec_ms DESC;

CREATE TEMP TABLE result AS
SELECT kind, sum(b.calls) AS calls_before, sum(a.calls) AS calls_after,
       sum(b.total_exec_ms) AS total_before, sum(a.total_exec_ms) AS total_after,
       sum(b.total_exec_ms) / sum(b.calls) AS mean_before,
       sum(a.total_exec_ms) / sum(a.calls) AS mean_after,
       max(b.p95_ms) AS worst_before, max(a.p95_ms) AS worst_after
FROM (SELECT kind, label, sum(calls) AS calls, sum(total_exec_ms) AS total_exec_ms, max(p95_ms) AS p95_ms
      FROM demo.before GROUP BY 1, 2) b
JOIN (SELECT kind, label, sum(calls) AS calls, sum(total_exec_ms) AS total_exec_ms, max(p95_ms) AS p95_ms
      FROM demo.after GROUP BY 1, 2) a USING (kind, label)
GROUP BY kind;

\echo Totals
SELECT kind, calls_before, calls_after,
       round(total_before::numeric) AS total_ms_before, round(total_after::numeric) AS total_ms_after,
       round(mean_before::numeric, 3) AS mean_ms_before, round(mean_after::numeric, 3) AS mean_ms_after,
       round((100 * (mean_after / mean_before - 1))::numeric, 1) AS change_percent
FROM result ORDER BY kind;

-- The three figures to reach, and what stands in the way of those not reached.
\pset format unaligned
\pset tuples_only on
SELECT format('%s  mean time of the reads: %s %% lower (to reach: at least 80 %%)',
              CASE WHEN saved >= 80 THEN 'PASS ' ELSE 'SHORT' END, round(saved::numeric, 1))
FROM (SELECT 100 * (1 - mean_after / mean_before) AS saved FROM result WHERE kind = 'read') r;
SELECT format('       in the way: "%s" takes %s ms on average, %s %% of the reads'' time',
              label, round(mean_exec_ms::numeric, 1),
              round((100 * total_exec_ms / sum)::numeric))
FROM (SELECT label, mean_exec_ms, total_exec_ms, sum(total_exec_ms) OVER () FROM demo.after WHERE kind = 'read') a
WHERE (SELECT mean_after > 0.2 * mean_before FROM result WHERE kind = 'read')
ORDER BY total_exec_ms DESC LIMIT 3;
SELECT format('%s  p95 of every read under 100 ms: the worst is %s ms (before: %s ms)',
              CASE WHEN worst_after < 100 THEN 'PASS ' ELSE 'SHORT' END,
              round(worst_after::numeric, 1), round(worst_before::numeric, 1))
FROM result WHERE kind = 'read';
SELECT format('       in the way: "%s", p95 %s ms; it returns %s rows a call on average%s', label, round(p95_ms::numeric, 1),
              round(rows_per_call::numeric),
              CASE WHEN rows_per_call > 1000 THEN ': reading and sorting those is the work, and no index takes it away' END)
FROM demo.after WHERE kind = 'read' AND p95_ms >= 100 ORDER BY p95_ms DESC;
SELECT format('%s  mean time of the writes: %s %% (to reach: at most +10 %%)',
              CASE WHEN more <= 10 THEN 'PASS ' ELSE 'SHORT' END, to_char(more, 'FMSG999990.0'))
FROM (SELECT 100 * (mean_after / mean_before - 1) AS more FROM result WHERE kind = 'write') w;
SELECT format('       in the way: "%s", mean %s ms, was %s ms', a.label,
              round(a.mean_exec_ms::numeric, 3), round(b.mean_exec_ms::numeric, 3))
FROM demo.after a JOIN demo.before b USING (label)
WHERE a.kind = 'write' AND a.mean_exec_ms > 1.1 * b.mean_exec_ms
  AND (SELECT mean_after > 1.1 * mean_before FROM result WHERE kind = 'write')
ORDER BY a.total_exec_ms - b.total_exec_ms DESC;
\pset format aligned
\pset tuples_only off
