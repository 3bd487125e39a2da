\set n random(1, 1000)
\set value random(1, 10000)
SELECT metric_name, labels FROM demo.arguments WHERE n = :n \gset
INSERT INTO metrics (metric_name, value, unit, labels) VALUES (:metric_name, :value, 'ms', :labels);
