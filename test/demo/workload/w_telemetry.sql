\set n random(1, 1000)
SELECT event_type, event_data FROM demo.arguments WHERE n = :n \gset
INSERT INTO telemetry_events (event_type, event_data) VALUES (:event_type, :event_data);
