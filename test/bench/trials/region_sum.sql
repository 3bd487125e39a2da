\set r random(0, 31)
SELECT sum(amount), count(*) FROM @T@ WHERE region = :r;
