\set user random_exponential(1, 50000, 2)
SELECT * FROM orders WHERE user_id = :user ORDER BY created_at DESC LIMIT 20;
