\set n random(1, 1000)
SELECT event_type FROM demo.arguments WHERE n = :n \gset
SELECT * FROM telemetry_events WHERE event_type = :event_type ORDER BY timestamp DESC LIMIT 100;
