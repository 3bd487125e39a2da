\set e random(0, 8191)
SELECT id FROM @T@ WHERE lower(email) = 'user' || :e || '@example.org';
