\set n random(1, 1000)
SELECT event_data FROM demo.arguments WHERE n = :n \gset
SELECT event_type, event_data, timestamp FROM telemetry_events WHERE event_data @> :event_data ORDER BY timestamp DESC LIMIT 50;
