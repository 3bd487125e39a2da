-- The documents' feed: telemetry events and metrics of the last 24 hours, as a
-- materialized view that readers know already.
SELECT hone.create_feed('recent_activities', '24 hours', 1000, 'stored') \g /dev/null
SELECT hone.add_feed_source('recent_activities', 'telemetry_events', 'telemetry', 'timestamp',
    title => 'event_type', description => 'event_data->>''path''', severity => 'severity') \g /dev/null
SELECT hone.add_feed_source('recent_activities', 'metrics', 'metric', 'timestamp',
    title => 'metric_name', description => 'value::text || '' '' || unit', severity => '''info''') \g /dev/null
SELECT hone.build_feed('recent_activities') \g /dev/null
INSERT INTO telemetry_events (event_type, event_data, severity)
SELECT 'login', jsonb_build_object('userId', i, 'path', '/api/login'), 'info' FROM generate_series(1, 3) i;
\echo Three logins in one transaction (one time, one title), then a refresh: no duplicate-key failure
SELECT hone.refresh_recent_activities() \g /dev/null
SELECT type, title, description, severity, date_trunc('second', created_at) AS created_at
FROM recent_activities r ORDER BY r.created_at DESC LIMIT 5;
SELECT feed, mode, window_s, per_source, sources, rows, refreshes, failures, round(last_ms) AS last_ms, round(staleness_s::numeric, 1) AS staleness_s
FROM hone.feed_status;
\echo hone.verify_feed: the stored rows against the definition
SELECT * FROM hone.verify_feed('recent_activities');
