\set user random_exponential(1, 50000, 2)
\set total random(10, 500)
INSERT INTO orders (user_id, status, total) VALUES (:user, 'pending', :total);
