\set n random(1, 1000)
\set user random_exponential(1, 50000, 2)
SELECT order_status FROM demo.arguments WHERE n = :n \gset
SELECT * FROM orders WHERE status = :order_status AND user_id = :user;
