\set n random(1, 1000)
SELECT email FROM demo.arguments WHERE n = :n \gset
SELECT id, name FROM users WHERE lower(email) = lower(:email);
