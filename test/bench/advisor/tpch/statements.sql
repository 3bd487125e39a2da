-- h01
SELECT l_linestatus, l_returnflag, sum(l_quantity) AS quantity, sum(l_extendedprice) AS gross,
       sum(l_extendedprice * (1 - l_discount)) AS net, sum(l_extendedprice * (1 - l_discount) * (1 + l_tax)) AS charged,
       avg(l_quantity), avg(l_extendedprice), avg(l_discount), count(*) AS lines
FROM lineitem WHERE l_shipdate < date '1998-12-01' - 84
GROUP BY l_linestatus, l_returnflag ORDER BY l_linestatus, l_returnflag;
-- h02 heavy
SELECT s.s_acctbal, s.s_name, n.n_name, p.p_partkey, p.p_mfgr, s.s_address, s.s_phone, s.s_comment
FROM part p JOIN partsupp ps ON ps.ps_partkey = p.p_partkey JOIN supplier s ON s.s_suppkey = ps.ps_suppkey
     JOIN nation n ON n.n_nationkey = s.s_nationkey JOIN region r ON r.r_regionkey = n.n_regionkey
WHERE p.p_size = 23 AND p.p_type LIKE '%STEEL' AND r.r_name = 'ASIA'
  AND ps.ps_supplycost = (SELECT min(ps2.ps_supplycost) FROM partsupp ps2, supplier s2, nation n2, region r2
                          WHERE ps2.ps_partkey = p.p_partkey AND s2.s_suppkey = ps2.ps_suppkey
                            AND n2.n_nationkey = s2.s_nationkey AND r2.r_regionkey = n2.n_regionkey AND r2.r_name = 'ASIA')
ORDER BY s.s_acctbal DESC, n.n_name, s.s_name, p.p_partkey LIMIT 100;
-- h03
SELECT o_orderkey, sum(l_extendedprice * (1 - l_discount)) AS revenue, o_orderdate, o_shippriority
FROM orders JOIN customer ON c_custkey = o_custkey JOIN lineitem ON l_orderkey = o_orderkey
WHERE c_mktsegment = 'MACHINERY' AND o_orderdate < date '1995-03-22' AND l_shipdate > date '1995-03-22'
GROUP BY o_orderkey, o_orderdate, o_shippriority ORDER BY revenue DESC, o_orderdate LIMIT 10;
-- h04
SELECT o_orderpriority, count(*) FROM orders o
WHERE o_orderdate >= date '1994-10-01' AND o_orderdate < date '1994-10-01' + interval '3 months'
  AND EXISTS (SELECT 1 FROM lineitem l WHERE l.l_orderkey = o.o_orderkey AND l.l_receiptdate > l.l_commitdate)
GROUP BY o_orderpriority ORDER BY o_orderpriority;
-- h05
SELECT n_name, sum(l_extendedprice * (1 - l_discount)) AS revenue
FROM region JOIN nation ON n_regionkey = r_regionkey JOIN customer ON c_nationkey = n_nationkey
     JOIN orders ON o_custkey = c_custkey JOIN lineitem ON l_orderkey = o_orderkey
     JOIN supplier ON s_suppkey = l_suppkey AND s_nationkey = c_nationkey
WHERE r_name = 'EUROPE' AND o_orderdate >= date '1996-01-01' AND o_orderdate < date '1997-01-01'
GROUP BY n_name ORDER BY revenue DESC;
-- h06
SELECT sum(l_extendedprice * l_discount) FROM lineitem
WHERE l_shipdate >= date '1995-01-01' AND l_shipdate < date '1996-01-01' AND l_discount BETWEEN 0.03 AND 0.05 AND l_quantity < 25;
-- h07
SELECT sold.n_name AS seller, bought.n_name AS buyer, extract(year FROM l_shipdate) AS year, sum(l_extendedprice * (1 - l_discount))
FROM lineitem, supplier, orders, customer, nation sold, nation bought
WHERE s_suppkey = l_suppkey AND o_orderkey = l_orderkey AND c_custkey = o_custkey
  AND sold.n_nationkey = s_nationkey AND bought.n_nationkey = c_nationkey
  AND (sold.n_name = 'BRAZIL' AND bought.n_name = 'JAPAN' OR sold.n_name = 'JAPAN' AND bought.n_name = 'BRAZIL')
  AND l_shipdate BETWEEN date '1995-01-01' AND date '1996-12-31'
GROUP BY 1, 2, 3 ORDER BY 1, 2, 3;
-- h08
SELECT year, sum(volume) FILTER (WHERE nation = 'CANADA') / sum(volume) AS share
FROM (SELECT extract(year FROM o_orderdate) AS year, l_extendedprice * (1 - l_discount) AS volume, made.n_name AS nation
      FROM part, supplier, lineitem, orders, customer, nation lives, nation made, region
      WHERE p_partkey = l_partkey AND s_suppkey = l_suppkey AND o_orderkey = l_orderkey AND c_custkey = o_custkey
        AND lives.n_nationkey = c_nationkey AND lives.n_regionkey = r_regionkey AND r_name = 'AMERICA'
        AND made.n_nationkey = s_nationkey AND o_orderdate BETWEEN date '1995-01-01' AND date '1996-12-31'
        AND p_type = 'MEDIUM BRUSHED COPPER') v
GROUP BY year ORDER BY year;
-- h09
SELECT n_name, extract(year FROM o_orderdate) AS year, sum(l_extendedprice * (1 - l_discount) - ps_supplycost * l_quantity) AS profit
FROM part JOIN lineitem ON l_partkey = p_partkey JOIN partsupp ON ps_partkey = l_partkey AND ps_suppkey = l_suppkey
     JOIN supplier ON s_suppkey = l_suppkey JOIN orders ON o_orderkey = l_orderkey JOIN nation ON n_nationkey = s_nationkey
WHERE p_name LIKE '%salmon%' GROUP BY n_name, year ORDER BY n_name, year DESC;
-- h10
SELECT c_custkey, c_name, sum(l_extendedprice * (1 - l_discount)) AS lost, c_acctbal, n_name, c_address, c_phone, c_comment
FROM customer JOIN nation ON n_nationkey = c_nationkey JOIN orders ON o_custkey = c_custkey JOIN lineitem ON l_orderkey = o_orderkey
WHERE o_orderdate >= date '1993-07-01' AND o_orderdate < date '1993-10-01' AND l_returnflag = 'R'
GROUP BY c_custkey, c_name, c_acctbal, c_phone, n_name, c_address, c_comment ORDER BY lost DESC LIMIT 20;
-- h11
SELECT ps_partkey, sum(ps_supplycost * ps_availqty) AS worth
FROM partsupp JOIN supplier ON s_suppkey = ps_suppkey JOIN nation ON n_nationkey = s_nationkey WHERE n_name = 'PERU'
GROUP BY ps_partkey
HAVING sum(ps_supplycost * ps_availqty) > (SELECT sum(ps_supplycost * ps_availqty) * 0.0005
    FROM partsupp JOIN supplier ON s_suppkey = ps_suppkey JOIN nation ON n_nationkey = s_nationkey WHERE n_name = 'PERU')
ORDER BY worth DESC;
-- h12
SELECT l_shipmode, count(*) FILTER (WHERE o_orderpriority IN ('1-URGENT', '2-HIGH')) AS urgent,
       count(*) FILTER (WHERE o_orderpriority NOT IN ('1-URGENT', '2-HIGH')) AS others
FROM lineitem JOIN orders ON o_orderkey = l_orderkey
WHERE l_shipmode IN ('RAIL', 'FOB') AND l_commitdate < l_receiptdate AND l_shipdate < l_commitdate
  AND l_receiptdate >= date '1997-01-01' AND l_receiptdate < date '1998-01-01'
GROUP BY l_shipmode ORDER BY l_shipmode;
-- h13
SELECT orders, count(*) AS customers
FROM (SELECT c_custkey, count(o_orderkey) AS orders FROM customer
           LEFT JOIN orders ON o_custkey = c_custkey AND o_comment NOT LIKE '%express%promise%'
      GROUP BY c_custkey) c
GROUP BY orders ORDER BY customers DESC, orders DESC;
-- h14
SELECT 100 * sum(CASE WHEN p_type LIKE 'PROMO%' THEN l_extendedprice * (1 - l_discount) ELSE 0 END) / sum(l_extendedprice * (1 - l_discount))
FROM lineitem JOIN part ON p_partkey = l_partkey WHERE l_shipdate >= date '1996-04-01' AND l_shipdate < date '1996-05-01';
-- h15
WITH revenue AS (SELECT l_suppkey AS supplier, sum(l_extendedprice * (1 - l_discount)) AS total FROM lineitem
                 WHERE l_shipdate >= date '1997-05-01' AND l_shipdate < date '1997-08-01' GROUP BY l_suppkey)
SELECT s_suppkey, s_name, s_address, s_phone, total FROM supplier JOIN revenue ON supplier = s_suppkey
WHERE total = (SELECT max(total) FROM revenue) ORDER BY s_suppkey;
-- h16
SELECT p_brand, p_type, p_size, count(DISTINCT ps_suppkey) AS suppliers
FROM partsupp JOIN part ON p_partkey = ps_partkey
WHERE p_brand <> 'Brand#34' AND p_type NOT LIKE 'ECONOMY BURNISHED%' AND p_size IN (3, 9, 14, 19, 22, 36, 41, 49)
  AND ps_suppkey NOT IN (SELECT s_suppkey FROM supplier WHERE s_comment LIKE '%Customer%Complaints%')
GROUP BY p_brand, p_type, p_size ORDER BY suppliers DESC, p_brand, p_type, p_size;
-- h17 heavy
SELECT sum(l_extendedprice) / 7.0 FROM lineitem JOIN part ON p_partkey = l_partkey
WHERE p_brand = 'Brand#42' AND p_container = 'JUMBO PACK'
  AND l_quantity < (SELECT 0.2 * avg(i.l_quantity) FROM lineitem i WHERE i.l_partkey = p_partkey);
-- h18
SELECT c_name, c_custkey, o_orderkey, o_orderdate, o_totalprice, sum(l_quantity)
FROM customer JOIN orders ON o_custkey = c_custkey JOIN lineitem ON l_orderkey = o_orderkey
WHERE o_orderkey IN (SELECT l_orderkey FROM lineitem GROUP BY l_orderkey HAVING sum(l_quantity) > 290)
GROUP BY c_name, c_custkey, o_orderkey, o_orderdate, o_totalprice ORDER BY o_totalprice DESC, o_orderdate LIMIT 100;
-- h19
SELECT sum(l_extendedprice * (1 - l_discount)) FROM lineitem, part
WHERE p_partkey = l_partkey AND l_shipinstruct = 'DELIVER IN PERSON' AND l_shipmode IN ('AIR', 'REG AIR')
  AND (p_brand = 'Brand#21' AND p_container IN ('SM CASE', 'SM BOX', 'SM PACK', 'SM PKG') AND l_quantity BETWEEN 4 AND 14 AND p_size BETWEEN 1 AND 5
    OR p_brand = 'Brand#15' AND p_container IN ('MED BAG', 'MED BOX', 'MED PKG', 'MED PACK') AND l_quantity BETWEEN 17 AND 27 AND p_size BETWEEN 1 AND 10
    OR p_brand = 'Brand#44' AND p_container IN ('LG CASE', 'LG BOX', 'LG PACK', 'LG PKG') AND l_quantity BETWEEN 22 AND 32 AND p_size BETWEEN 1 AND 15);
-- h20 heavy
SELECT s_name, s_address FROM supplier JOIN nation ON n_nationkey = s_nationkey
WHERE n_name = 'KENYA' AND s_suppkey IN
      (SELECT ps_suppkey FROM partsupp
       WHERE ps_partkey IN (SELECT p_partkey FROM part WHERE p_name LIKE 'olive%')
         AND ps_availqty > (SELECT 0.5 * sum(l_quantity) FROM lineitem
                            WHERE l_partkey = ps_partkey AND l_suppkey = ps_suppkey
                              AND l_shipdate >= date '1994-01-01' AND l_shipdate < date '1995-01-01'))
ORDER BY s_name;
-- h21
SELECT s_name, count(*) AS waits
FROM supplier JOIN lineitem late ON late.l_suppkey = s_suppkey JOIN orders ON o_orderkey = late.l_orderkey
     JOIN nation ON n_nationkey = s_nationkey
WHERE o_orderstatus = 'F' AND late.l_receiptdate > late.l_commitdate AND n_name = 'ROMANIA'
  AND EXISTS (SELECT 1 FROM lineitem other WHERE other.l_orderkey = late.l_orderkey AND other.l_suppkey <> late.l_suppkey)
  AND NOT EXISTS (SELECT 1 FROM lineitem other WHERE other.l_orderkey = late.l_orderkey AND other.l_suppkey <> late.l_suppkey
                    AND other.l_receiptdate > other.l_commitdate)
GROUP BY s_name ORDER BY waits DESC, s_name LIMIT 100;
-- h22
SELECT code, count(*), sum(balance)
FROM (SELECT left(c_phone, 2) AS code, c_acctbal AS balance FROM customer c
      WHERE left(c_phone, 2) IN ('12', '19', '23', '27', '31', '33', '16')
        AND c_acctbal > (SELECT avg(c_acctbal) FROM customer WHERE c_acctbal > 0
                         AND left(c_phone, 2) IN ('12', '19', '23', '27', '31', '33', '16'))
        AND NOT EXISTS (SELECT 1 FROM orders WHERE o_custkey = c.c_custkey)) c
GROUP BY code ORDER BY code;
