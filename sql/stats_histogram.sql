-- Latency histograms: quantiles within their promise, cumulative view.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS pg_hone;
RESET client_min_messages;

SELECT hone.reset_query_stats() IS NOT NULL AS reset;
DO $$
BEGIN
    FOR i IN 1..40 LOOP
        PERFORM pg_sleep(CASE WHEN i % 20 = 0 THEN 0.060 WHEN i % 2 = 0 THEN 0.010 ELSE 0.001 END);
    END LOOP;
END $$;
SELECT queryid, query FROM hone.query_stats
WHERE query LIKE 'SELECT pg_sleep(CASE%' AND NOT toplevel \gset
-- sleeping takes at least its time, and the quantile may err by 3 percent
SELECT p50_ms >= 0.97 AND p50_ms <= p95_ms AS p50, p95_ms >= 9.7 AS p95, p99_ms >= 58.2 AS p99,
       p99_ms <= max_exec_ms AS below_max, stddev_exec_ms > 1 AS spread
FROM hone.query_stats WHERE queryid = :queryid;

-- cumulative: ends with all executions, grows with le_ms
SELECT max(count) AS executions, count(*) > 2 AS several_buckets,
       bool_and(grows) AS grows
FROM (SELECT count, count >= lag(count, 1, 0::bigint) OVER (ORDER BY le_ms) AS grows
      FROM hone.query_latency(:queryid)) l;
SELECT count(*) FROM hone.query_latency(0);
SELECT count(*) FROM hone.query_latency(NULL);
-- the two of 60 ms are above 55 ms, whatever the machine adds to the others
SELECT 40 - max(count) >= 2 AS slow FROM hone.query_latency(:queryid) WHERE le_ms <= 55;

-- its own account
SELECT entries > 0 AS entries, entries <= max_entries AS bounded, texts > 0 AS texts,
       fixed_memory_bytes > 0 AS fixed, arena_bytes > 0 AS arena
FROM hone.query_stats_info;
