\set n random(1, 1000)
SELECT deployment FROM demo.arguments WHERE n = :n \gset
SELECT metric_name, value, timestamp FROM metrics WHERE labels->>'deployment' = :deployment ORDER BY timestamp DESC LIMIT 100;
