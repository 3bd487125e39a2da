\set n random(1, 1000)
SELECT setting_value FROM demo.arguments WHERE n = :n \gset
SELECT key, value FROM settings WHERE value @> :setting_value;
