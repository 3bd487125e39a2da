\set c random(0, 4095)
SELECT id, amount FROM @T@ WHERE customer_id = :c;
