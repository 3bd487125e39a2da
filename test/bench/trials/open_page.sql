\set d random(0, 20000)
SELECT id, customer_id FROM @T@ WHERE status = 'open' AND created_at > timestamptz '2026-01-01' + :d * interval '1 minute' ORDER BY created_at LIMIT 20;
