\set user random_exponential(1, 50000, 4)
SELECT * FROM conversations WHERE user_id = :user ORDER BY updated_at DESC LIMIT 50;
