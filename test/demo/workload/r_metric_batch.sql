\set n random(1, 1000)
SELECT metric_names FROM demo.arguments WHERE n = :n \gset
SELECT * FROM metrics WHERE metric_name = ANY(:metric_names) ORDER BY timestamp DESC;
