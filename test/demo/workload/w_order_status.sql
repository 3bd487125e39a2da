\set order random(1, 250000)
UPDATE orders SET status = 'shipped', updated_at = now() WHERE id = :order;
