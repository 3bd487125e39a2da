\set limit 20
\set offset 20 * random(0, 4)
SELECT * FROM (SELECT 'telemetry' AS type, event_type AS title, event_data->>'path' AS description, severity, timestamp AS created_at FROM telemetry_events WHERE timestamp > now() - interval '24 hours' UNION ALL SELECT 'metric' AS type, metric_name AS title, value::text || ' ' || unit AS description, 'info' AS severity, timestamp AS created_at FROM metrics WHERE timestamp > now() - interval '24 hours') activities ORDER BY created_at DESC LIMIT :limit OFFSET :offset;
