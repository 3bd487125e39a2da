\set aid random(1, 100000 * :scale - 1000)
SELECT sum(a.abalance + b.bbalance) FROM pgbench_accounts a JOIN pgbench_branches b ON b.bid = a.bid WHERE a.aid BETWEEN :aid AND :aid + 999;
