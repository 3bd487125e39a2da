\set n random(1, 1000)
SELECT setting, setting_value FROM demo.arguments WHERE n = :n \gset
INSERT INTO settings (key, value) VALUES (:setting, :setting_value) ON CONFLICT (key) DO UPDATE SET value = EXCLUDED.value, updated_at = now();
