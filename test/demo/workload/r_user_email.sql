\set n random(1, 1000)
SELECT email FROM demo.arguments WHERE n = :n \gset
SELECT * FROM users WHERE email = :email;
