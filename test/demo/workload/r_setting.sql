\set n random(1, 1000)
SELECT setting FROM demo.arguments WHERE n = :n \gset
SELECT value FROM settings WHERE key = :setting;
