-- 1 million telemetry events of 60 types, 35 days in time order; severities
-- 90 / 7 / 2.5 / 0.5 percent.
SELECT setseed(0.43) \g /dev/null
INSERT INTO telemetry_events (event_type, event_data, severity, timestamp)
SELECT demo.event_type(type),
       jsonb_build_object('userId', 1 + floor(50000 * power(u, 2))::int,
                          'path', '/api/' || (ARRAY['orders', 'users', 'conversations', 'search', 'settings'])[1 + type % 5],
                          'status', CASE WHEN s < 0.97 THEN 200 ELSE 500 END,
                          'durationMs', round((5 + 200 * power(u, 4))::numeric, 1),
                          'sessionId', md5((i / 12)::text)),
       CASE WHEN s < 0.90 THEN 'info' WHEN s < 0.97 THEN 'warning'
            WHEN s < 0.995 THEN 'error' ELSE 'critical' END,
       now() - interval '35 days' * (1 - i / 1000000.0)
FROM (SELECT i, floor(60 * power(random(), 2.5))::int AS type, random() AS u, random() AS s
      FROM generate_series(1, 1000000) i OFFSET 0) e;
