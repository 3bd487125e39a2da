-- Who may use what. Nothing is executable by PUBLIC unless it is named here;
-- what is named here only reads, and hides other roles' texts and values by
-- itself. (Functions inside views are checked against whoever reads the view,
-- so the functions under a public view are named too.)
REVOKE ALL ON ALL ROUTINES IN SCHEMA hone FROM PUBLIC;

-- stats
GRANT EXECUTE ON FUNCTION hone.query_stats_memory(bool), hone.query_latency(bigint),
    hone.query_errors_memory(), hone.query_tables_memory(), hone.nested_queries_memory(),
    hone.table_latency_memory(), hone.table_latency_histogram(regclass, text),
    hone.query_stats_info_row() TO PUBLIC;
GRANT SELECT ON hone.query_errors, hone.query_tables, hone.nested_queries,
    hone.table_latency TO PUBLIC;
GRANT SELECT ON hone.query_stats, hone.query_stats_info, hone.query_history TO PUBLIC;
GRANT EXECUTE ON FUNCTION hone.histogram_quantile(bytea, float8),
    hone.histogram_buckets(bytea), hone.histogram_sum(bytea) TO PUBLIC;
GRANT SELECT ON hone.query_rollup TO PUBLIC;

-- slowlog
GRANT EXECUTE ON FUNCTION hone.slow_queries_memory(bigint, bool),
    hone.slow_queries_info_row() TO PUBLIC;
GRANT SELECT ON hone.slow_queries, hone.slow_queries_info TO PUBLIC;

-- workload
GRANT EXECUTE ON FUNCTION hone.workload_memory(bigint, bool),
    hone.workload_info_row() TO PUBLIC;
GRANT SELECT ON hone.workload, hone.workload_samples, hone.workload_info TO PUBLIC;

-- probe
GRANT EXECUTE ON FUNCTION hone.capture_cost() TO PUBLIC;

-- jobs
GRANT SELECT ON hone.collector_status TO PUBLIC;
GRANT EXECUTE ON FUNCTION hone.collector_databases(), hone.collector_cost() TO PUBLIC;

-- whatif

-- pool
GRANT SELECT ON hone.pool_stats, hone.pool_summary TO PUBLIC;
GRANT EXECUTE ON FUNCTION hone.pool_peaks(), hone.pool_counters() TO PUBLIC;

-- advise
GRANT SELECT ON hone.recommendations, hone.recommendation_queries,
    hone.rejected_candidates, hone.advisor_runs, hone.advisor_hints TO PUBLIC;
GRANT EXECUTE ON FUNCTION hone.explain_recommendation(bigint), hone.plan_outline(jsonb) TO PUBLIC;

-- apply
GRANT SELECT ON hone.actions TO PUBLIC;
GRANT EXECUTE ON FUNCTION hone.action_progress(bigint) TO PUBLIC;

-- recent
GRANT SELECT ON hone.feed_status, hone.feed_sources TO PUBLIC;

-- watch
GRANT SELECT ON hone.jobs, hone.self_account TO PUBLIC;
GRANT EXECUTE ON FUNCTION hone.cron_jobs(), hone.cron_job_name(text),
    hone.self_account_row() TO PUBLIC;
