\set n random(1, 1000)
SELECT metric_name FROM demo.arguments WHERE n = :n \gset
SELECT id, metric_name, value, unit, labels, timestamp FROM metrics WHERE metric_name = :metric_name ORDER BY timestamp DESC LIMIT 100;
