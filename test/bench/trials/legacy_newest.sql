\set n random(5, 15)
SELECT id, amount FROM @T@ WHERE kind = 'legacy' ORDER BY created_at DESC LIMIT :n;
