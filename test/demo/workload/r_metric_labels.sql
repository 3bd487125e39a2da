\set n random(1, 1000)
SELECT labels FROM demo.arguments WHERE n = :n \gset
SELECT metric_name, value, timestamp FROM metrics WHERE labels @> :labels ORDER BY timestamp DESC LIMIT 100;
