\set n random(1, 1000)
SELECT metric_name FROM demo.arguments WHERE n = :n \gset
SELECT value, timestamp FROM metrics WHERE metric_name = :metric_name AND timestamp > now() - interval '24 hours' ORDER BY timestamp DESC;
