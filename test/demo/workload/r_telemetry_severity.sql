\set n random(1, 1000)
SELECT severity FROM demo.arguments WHERE n = :n \gset
SELECT * FROM telemetry_events WHERE severity = :severity AND timestamp > now() - interval '24 hours' ORDER BY timestamp DESC LIMIT 100;
