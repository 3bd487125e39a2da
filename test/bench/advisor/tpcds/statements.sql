-- d01
SELECT d_year, i_brand_id, i_brand, sum(ss_ext_sales_price) AS sold
FROM store_sales JOIN date_dim ON d_date_sk = ss_sold_date_sk JOIN item ON i_item_sk = ss_item_sk
WHERE i_manufact_id = 128 AND d_moy = 11 GROUP BY d_year, i_brand, i_brand_id ORDER BY d_year, sold DESC, i_brand_id LIMIT 100;
-- d02
WITH per_customer AS (SELECT sr_customer_sk AS customer, sr_store_sk AS store, sum(sr_return_amt) AS total
                      FROM store_returns JOIN date_dim ON d_date_sk = sr_returned_date_sk WHERE d_year = 2000
                      GROUP BY sr_customer_sk, sr_store_sk)
SELECT c_customer_id FROM per_customer p JOIN store ON s_store_sk = p.store JOIN customer ON c_customer_sk = p.customer
WHERE s_state = 'TX' AND p.total > (SELECT avg(total) * 1.2 FROM per_customer q WHERE q.store = p.store)
ORDER BY c_customer_id LIMIT 100;
-- d03
SELECT i_item_id, avg(ss_quantity), avg(ss_list_price), avg(ss_coupon_amt), avg(ss_sales_price)
FROM store_sales, customer_demographics, date_dim, item, promotion
WHERE ss_sold_date_sk = d_date_sk AND ss_item_sk = i_item_sk AND ss_cdemo_sk = cd_demo_sk AND ss_promo_sk = p_promo_sk
  AND cd_gender = 'F' AND cd_marital_status = 'W' AND cd_education_status = 'Primary'
  AND (p_channel_email = 'N' OR p_channel_event = 'N') AND d_year = 1998
GROUP BY i_item_id ORDER BY i_item_id LIMIT 100;
-- d04
SELECT a.ca_state, count(*) AS customers
FROM customer_address a, customer c, store_sales s, date_dim d, item i
WHERE a.ca_address_sk = c.c_current_addr_sk AND c.c_customer_sk = s.ss_customer_sk AND s.ss_sold_date_sk = d.d_date_sk
  AND s.ss_item_sk = i.i_item_sk AND d.d_month_seq = (SELECT DISTINCT d_month_seq FROM date_dim WHERE d_year = 2000 AND d_moy = 4)
  AND i.i_current_price > 1.2 * (SELECT avg(j.i_current_price) FROM item j WHERE j.i_category = i.i_category)
GROUP BY a.ca_state HAVING count(*) >= 10 ORDER BY customers, a.ca_state LIMIT 100;
-- d05
WITH channels AS (
  SELECT 'store' AS channel, ss_item_sk AS item, ss_sold_date_sk AS day, ss_ext_sales_price AS amount, ss_net_profit AS profit FROM store_sales
  UNION ALL SELECT 'catalog', cs_item_sk, cs_sold_date_sk, cs_ext_sales_price, cs_net_profit FROM catalog_sales
  UNION ALL SELECT 'web', ws_item_sk, ws_sold_date_sk, ws_ext_sales_price, ws_net_profit FROM web_sales)
SELECT channel, i_category, sum(amount) AS amount, sum(profit) AS profit
FROM channels JOIN date_dim ON d_date_sk = day JOIN item ON i_item_sk = item
WHERE d_date BETWEEN date '2000-08-10' AND date '2000-08-10' + 14
GROUP BY ROLLUP (channel, i_category) ORDER BY channel, i_category LIMIT 100;
-- d06
SELECT s_store_name, sum(ss_net_profit)
FROM store_sales JOIN date_dim ON d_date_sk = ss_sold_date_sk JOIN store ON s_store_sk = ss_store_sk
     JOIN (SELECT ca_zip FROM customer_address, customer WHERE ca_address_sk = c_current_addr_sk AND c_preferred_cust_flag = 'Y'
             AND substr(ca_zip, 1, 2) IN ('10', '13', '24', '35', '41') GROUP BY ca_zip HAVING count(*) > 1) z
       ON substr(s_zip, 1, 2) = substr(z.ca_zip, 1, 2)
WHERE d_qoy = 2 AND d_year = 1999 GROUP BY s_store_name ORDER BY s_store_name LIMIT 100;
-- d07
SELECT CASE WHEN (SELECT count(*) FROM store_sales WHERE ss_quantity BETWEEN 1 AND 20) > 7000
            THEN (SELECT avg(ss_ext_discount_amt) FROM store_sales WHERE ss_quantity BETWEEN 1 AND 20)
            ELSE (SELECT avg(ss_net_paid) FROM store_sales WHERE ss_quantity BETWEEN 1 AND 20) END AS low,
       CASE WHEN (SELECT count(*) FROM store_sales WHERE ss_quantity BETWEEN 21 AND 40) > 5000
            THEN (SELECT avg(ss_ext_discount_amt) FROM store_sales WHERE ss_quantity BETWEEN 21 AND 40)
            ELSE (SELECT avg(ss_net_paid) FROM store_sales WHERE ss_quantity BETWEEN 21 AND 40) END AS high
FROM reason WHERE r_reason_sk = 1;
-- d08 heavy
SELECT cd_gender, cd_marital_status, cd_education_status, count(*)
FROM customer c JOIN customer_address ON ca_address_sk = c.c_current_addr_sk JOIN customer_demographics ON cd_demo_sk = c.c_current_cdemo_sk
WHERE ca_county IN ('County 3', 'County 17', 'County 40', 'County 111', 'County 250')
  AND EXISTS (SELECT 1 FROM store_sales, date_dim WHERE ss_customer_sk = c.c_customer_sk AND ss_sold_date_sk = d_date_sk
                AND d_year = 2001 AND d_moy BETWEEN 2 AND 5)
  AND (EXISTS (SELECT 1 FROM web_sales, date_dim WHERE ws_bill_customer_sk = c.c_customer_sk AND ws_sold_date_sk = d_date_sk
                 AND d_year = 2001 AND d_moy BETWEEN 2 AND 5)
    OR EXISTS (SELECT 1 FROM catalog_sales, date_dim WHERE cs_ship_customer_sk = c.c_customer_sk AND cs_sold_date_sk = d_date_sk
                 AND d_year = 2001 AND d_moy BETWEEN 2 AND 5))
GROUP BY cd_gender, cd_marital_status, cd_education_status ORDER BY 1, 2, 3 LIMIT 100;
-- d09
WITH yearly AS (
  SELECT c_customer_id AS id, c_last_name AS name, d_year AS year, 's' AS kind, sum(ss_ext_list_price - ss_ext_discount_amt) AS total
  FROM customer, store_sales, date_dim WHERE c_customer_sk = ss_customer_sk AND ss_sold_date_sk = d_date_sk AND d_year IN (2001, 2002)
  GROUP BY c_customer_id, c_last_name, d_year
  UNION ALL
  SELECT c_customer_id, c_last_name, d_year, 'w', sum(ws_ext_list_price - ws_ext_discount_amt)
  FROM customer, web_sales, date_dim WHERE c_customer_sk = ws_bill_customer_sk AND ws_sold_date_sk = d_date_sk AND d_year IN (2001, 2002)
  GROUP BY c_customer_id, c_last_name, d_year)
SELECT s2.id, s2.name FROM yearly s1 JOIN yearly s2 ON s2.id = s1.id JOIN yearly w1 ON w1.id = s1.id JOIN yearly w2 ON w2.id = s1.id
WHERE s1.kind = 's' AND s2.kind = 's' AND w1.kind = 'w' AND w2.kind = 'w' AND s1.year = 2001 AND s2.year = 2002 AND w1.year = 2001
  AND w2.year = 2002 AND s1.total > 0 AND w1.total > 0 AND w2.total / w1.total > s2.total / s1.total
ORDER BY s2.id LIMIT 100;
-- d10
SELECT i_item_id, i_item_desc, i_category, i_class, i_current_price, sum(ws_ext_sales_price) AS revenue,
       sum(ws_ext_sales_price) * 100 / sum(sum(ws_ext_sales_price)) OVER (PARTITION BY i_class) AS share
FROM web_sales JOIN item ON i_item_sk = ws_item_sk JOIN date_dim ON d_date_sk = ws_sold_date_sk
WHERE i_category IN ('Sports', 'Books', 'Home') AND d_date BETWEEN date '1999-02-22' AND date '1999-02-22' + 30
GROUP BY i_item_id, i_item_desc, i_category, i_class, i_current_price ORDER BY i_category, i_class, i_item_id, i_item_desc, share LIMIT 100;
-- d11
SELECT avg(ss_quantity), avg(ss_ext_sales_price), avg(ss_ext_wholesale_cost), sum(ss_ext_wholesale_cost)
FROM store_sales, store, customer_demographics, household_demographics, customer_address, date_dim
WHERE s_store_sk = ss_store_sk AND ss_sold_date_sk = d_date_sk AND d_year = 2001 AND ss_hdemo_sk = hd_demo_sk
  AND ss_cdemo_sk = cd_demo_sk AND ss_addr_sk = ca_address_sk AND ca_country = 'United States'
  AND (cd_marital_status = 'M' AND cd_education_status = 'Advanced Degree' AND ss_sales_price BETWEEN 100 AND 150 AND hd_dep_count = 3
    OR cd_marital_status = 'S' AND cd_education_status = 'College' AND ss_sales_price BETWEEN 50 AND 100 AND hd_dep_count = 1
    OR cd_marital_status = 'W' AND cd_education_status = '2 yr Degree' AND ss_sales_price BETWEEN 150 AND 200 AND hd_dep_count = 1)
  AND (ca_state IN ('TX', 'OH') AND ss_net_profit BETWEEN 100 AND 200 OR ca_state IN ('OR', 'NY', 'KY') AND ss_net_profit BETWEEN 150 AND 300
    OR ca_state IN ('VA', 'MS') AND ss_net_profit BETWEEN 50 AND 250);
-- d12
WITH everywhere AS (
  SELECT i_brand_id AS brand, i_class_id AS class, i_category_id AS category FROM store_sales, item, date_dim
  WHERE ss_item_sk = i_item_sk AND ss_sold_date_sk = d_date_sk AND d_year BETWEEN 1999 AND 2001
  INTERSECT SELECT i_brand_id, i_class_id, i_category_id FROM catalog_sales, item, date_dim
  WHERE cs_item_sk = i_item_sk AND cs_sold_date_sk = d_date_sk AND d_year BETWEEN 1999 AND 2001
  INTERSECT SELECT i_brand_id, i_class_id, i_category_id FROM web_sales, item, date_dim
  WHERE ws_item_sk = i_item_sk AND ws_sold_date_sk = d_date_sk AND d_year BETWEEN 1999 AND 2001)
SELECT i_brand_id, i_class_id, i_category_id, sum(ss_quantity * ss_list_price) AS sales, count(*)
FROM store_sales JOIN item ON i_item_sk = ss_item_sk JOIN date_dim ON d_date_sk = ss_sold_date_sk
WHERE (i_brand_id, i_class_id, i_category_id) IN (SELECT brand, class, category FROM everywhere) AND d_year = 2001 AND d_moy = 11
GROUP BY i_brand_id, i_class_id, i_category_id ORDER BY sales DESC LIMIT 100;
-- d13
SELECT ca_zip, sum(cs_sales_price)
FROM catalog_sales, customer, customer_address, date_dim
WHERE cs_bill_customer_sk = c_customer_sk AND c_current_addr_sk = ca_address_sk AND cs_sold_date_sk = d_date_sk
  AND (substr(ca_zip, 1, 3) IN ('856', '853', '881', '119', '146') OR ca_state IN ('CA', 'WA', 'GA') OR cs_sales_price > 250)
  AND d_qoy = 2 AND d_year = 2001 GROUP BY ca_zip ORDER BY ca_zip LIMIT 100;
-- d14
SELECT count(DISTINCT cs_order_number), sum(cs_ext_ship_cost), sum(cs_net_profit)
FROM catalog_sales a, date_dim, customer_address, call_center
WHERE d_date BETWEEN date '2002-02-01' AND date '2002-04-01' AND a.cs_ship_date_sk = d_date_sk AND a.cs_ship_addr_sk = ca_address_sk
  AND ca_state = 'GA' AND a.cs_call_center_sk = cc_call_center_sk AND cc_county = 'County 2'
  AND EXISTS (SELECT 1 FROM catalog_sales b WHERE b.cs_order_number = a.cs_order_number AND b.cs_warehouse_sk <> a.cs_warehouse_sk)
  AND NOT EXISTS (SELECT 1 FROM catalog_returns r WHERE r.cr_order_number = a.cs_order_number);
-- d15
SELECT i_item_id, i_item_desc, s_state, count(ss_quantity), avg(ss_quantity), stddev_samp(sr_return_quantity), count(cs_quantity)
FROM store_sales, store_returns, catalog_sales, date_dim d1, date_dim d2, date_dim d3, store, item
WHERE d1.d_quarter_name = '2001Q1' AND d1.d_date_sk = ss_sold_date_sk AND i_item_sk = ss_item_sk AND s_store_sk = ss_store_sk
  AND ss_customer_sk = sr_customer_sk AND ss_item_sk = sr_item_sk AND ss_ticket_number = sr_ticket_number
  AND sr_returned_date_sk = d2.d_date_sk AND d2.d_quarter_name IN ('2001Q1', '2001Q2', '2001Q3')
  AND sr_customer_sk = cs_bill_customer_sk AND sr_item_sk = cs_item_sk AND cs_sold_date_sk = d3.d_date_sk
  AND d3.d_quarter_name IN ('2001Q1', '2001Q2', '2001Q3')
GROUP BY i_item_id, i_item_desc, s_state ORDER BY 1, 2, 3 LIMIT 100;
-- d16
SELECT i_item_id, ca_country, ca_state, ca_county, avg(cs_quantity), avg(cs_list_price), avg(cs_sales_price), avg(c_birth_year)
FROM catalog_sales, customer_demographics, customer, customer_address, date_dim, item
WHERE cs_sold_date_sk = d_date_sk AND cs_item_sk = i_item_sk AND cs_bill_cdemo_sk = cd_demo_sk AND cs_bill_customer_sk = c_customer_sk
  AND cd_gender = 'F' AND cd_education_status = 'Unknown' AND c_current_addr_sk = ca_address_sk AND d_year = 1998
  AND c_birth_month IN (1, 6, 8, 9, 12, 2) AND ca_state IN ('MS', 'IN', 'ND', 'OK', 'NE', 'VA')
GROUP BY ROLLUP (i_item_id, ca_country, ca_state, ca_county) ORDER BY ca_country, ca_state, ca_county, i_item_id LIMIT 100;
-- d17
SELECT i_brand_id, i_brand, i_manufact_id, sum(ss_ext_sales_price) AS sold
FROM date_dim, store_sales, item, customer, customer_address, store
WHERE d_date_sk = ss_sold_date_sk AND ss_item_sk = i_item_sk AND i_manager_id = 8 AND d_moy = 11 AND d_year = 1998
  AND ss_customer_sk = c_customer_sk AND c_current_addr_sk = ca_address_sk AND substr(ca_zip, 1, 5) <> substr(s_zip, 1, 5)
  AND ss_store_sk = s_store_sk
GROUP BY i_brand, i_brand_id, i_manufact_id ORDER BY sold DESC, i_brand, i_brand_id LIMIT 100;
-- d18
SELECT w_warehouse_name, i_item_id, sum(CASE WHEN d_date < date '2000-03-11' THEN inv_quantity_on_hand ELSE 0 END) AS before,
       sum(CASE WHEN d_date >= date '2000-03-11' THEN inv_quantity_on_hand ELSE 0 END) AS after
FROM inventory, warehouse, item, date_dim
WHERE i_current_price BETWEEN 0.99 AND 1.49 AND i_item_sk = inv_item_sk AND inv_warehouse_sk = w_warehouse_sk AND inv_date_sk = d_date_sk
  AND d_date BETWEEN date '2000-03-11' - 30 AND date '2000-03-11' + 30
GROUP BY w_warehouse_name, i_item_id ORDER BY w_warehouse_name, i_item_id LIMIT 100;
-- d19
SELECT i_product_name, i_brand, i_class, i_category, avg(inv_quantity_on_hand) AS on_hand
FROM inventory JOIN date_dim ON d_date_sk = inv_date_sk JOIN item ON i_item_sk = inv_item_sk
WHERE d_month_seq BETWEEN 1200 AND 1211 GROUP BY ROLLUP (i_product_name, i_brand, i_class, i_category)
ORDER BY on_hand, i_product_name, i_brand, i_class, i_category LIMIT 100;
-- d20
WITH best AS (SELECT c_customer_sk FROM store_sales JOIN customer ON c_customer_sk = ss_customer_sk
              GROUP BY c_customer_sk HAVING sum(ss_quantity * ss_sales_price) >
                (SELECT 0.5 * max(total) FROM (SELECT sum(ss_quantity * ss_sales_price) AS total
                   FROM store_sales, date_dim WHERE ss_sold_date_sk = d_date_sk AND d_year IN (2000, 2001) GROUP BY ss_customer_sk) t))
SELECT sum(sales) FROM (
  SELECT cs_quantity * cs_list_price AS sales FROM catalog_sales, date_dim
  WHERE d_year = 2000 AND d_moy = 2 AND cs_sold_date_sk = d_date_sk AND cs_bill_customer_sk IN (SELECT c_customer_sk FROM best)
  UNION ALL SELECT ws_quantity * ws_list_price FROM web_sales, date_dim
  WHERE d_year = 2000 AND d_moy = 2 AND ws_sold_date_sk = d_date_sk AND ws_bill_customer_sk IN (SELECT c_customer_sk FROM best)) s;
-- d21
WITH paid AS (SELECT c_last_name, c_first_name, s_store_name, i_color, sum(ss_net_paid) AS paid
              FROM store_sales, store_returns, store, item, customer, customer_address
              WHERE ss_ticket_number = sr_ticket_number AND ss_item_sk = sr_item_sk AND ss_customer_sk = c_customer_sk
                AND ss_item_sk = i_item_sk AND ss_store_sk = s_store_sk AND c_current_addr_sk = ca_address_sk AND s_market_id <= 5
              GROUP BY c_last_name, c_first_name, s_store_name, i_color)
SELECT c_last_name, c_first_name, s_store_name, sum(paid) FROM paid WHERE i_color = 'peru'
GROUP BY c_last_name, c_first_name, s_store_name HAVING sum(paid) > (SELECT 0.05 * avg(paid) FROM paid)
ORDER BY c_last_name, c_first_name, s_store_name;
-- d22
SELECT i_item_id, i_item_desc, s_store_id, s_store_name, sum(ss_net_profit), sum(sr_net_loss), sum(cs_net_profit)
FROM store_sales, store_returns, catalog_sales, date_dim d1, date_dim d2, date_dim d3, store, item
WHERE d1.d_moy = 4 AND d1.d_year = 2001 AND d1.d_date_sk = ss_sold_date_sk AND i_item_sk = ss_item_sk AND s_store_sk = ss_store_sk
  AND ss_customer_sk = sr_customer_sk AND ss_item_sk = sr_item_sk AND ss_ticket_number = sr_ticket_number
  AND sr_returned_date_sk = d2.d_date_sk AND d2.d_moy BETWEEN 4 AND 10 AND d2.d_year = 2001
  AND sr_customer_sk = cs_bill_customer_sk AND sr_item_sk = cs_item_sk AND cs_sold_date_sk = d3.d_date_sk AND d3.d_moy BETWEEN 4 AND 10
  AND d3.d_year = 2001
GROUP BY i_item_id, i_item_desc, s_store_id, s_store_name ORDER BY 1, 2, 3, 4 LIMIT 100;
-- d23
SELECT i_item_id, avg(cs_quantity), avg(cs_list_price), avg(cs_coupon_amt), avg(cs_sales_price)
FROM catalog_sales, customer_demographics, date_dim, item, promotion
WHERE cs_sold_date_sk = d_date_sk AND cs_item_sk = i_item_sk AND cs_bill_cdemo_sk = cd_demo_sk AND cs_promo_sk = p_promo_sk
  AND cd_gender = 'M' AND cd_marital_status = 'S' AND cd_education_status = 'College' AND (p_channel_email = 'N' OR p_channel_event = 'N')
  AND d_year = 2000 GROUP BY i_item_id ORDER BY i_item_id LIMIT 100;
-- d24
SELECT i_item_id, s_state, grouping(s_state), avg(ss_quantity), avg(ss_list_price), avg(ss_coupon_amt), avg(ss_sales_price)
FROM store_sales, customer_demographics, date_dim, store, item
WHERE ss_sold_date_sk = d_date_sk AND ss_item_sk = i_item_sk AND ss_store_sk = s_store_sk AND ss_cdemo_sk = cd_demo_sk
  AND cd_gender = 'M' AND cd_marital_status = 'D' AND cd_education_status = '4 yr Degree' AND d_year = 2002 AND s_state IN ('TX', 'GA')
GROUP BY ROLLUP (i_item_id, s_state) ORDER BY i_item_id, s_state LIMIT 100;
-- d25
SELECT * FROM
  (SELECT avg(ss_list_price), count(ss_list_price), count(DISTINCT ss_list_price) FROM store_sales WHERE ss_quantity BETWEEN 0 AND 5
     AND (ss_list_price BETWEEN 8 AND 18 OR ss_coupon_amt BETWEEN 459 AND 1459 OR ss_wholesale_cost BETWEEN 57 AND 77)) b1,
  (SELECT avg(ss_list_price), count(ss_list_price), count(DISTINCT ss_list_price) FROM store_sales WHERE ss_quantity BETWEEN 6 AND 10
     AND (ss_list_price BETWEEN 90 AND 100 OR ss_coupon_amt BETWEEN 2323 AND 3323 OR ss_wholesale_cost BETWEEN 31 AND 51)) b2,
  (SELECT avg(ss_list_price), count(ss_list_price), count(DISTINCT ss_list_price) FROM store_sales WHERE ss_quantity BETWEEN 11 AND 15
     AND (ss_list_price BETWEEN 142 AND 152 OR ss_coupon_amt BETWEEN 1214 AND 2214 OR ss_wholesale_cost BETWEEN 79 AND 99)) b3;
-- d26
WITH returned AS (SELECT wr_returning_customer_sk AS customer, ca_state AS state, sum(wr_return_amt) AS total
                  FROM web_returns, date_dim, customer_address
                  WHERE wr_returned_date_sk = d_date_sk AND d_year = 2002 AND wr_returning_addr_sk = ca_address_sk
                  GROUP BY wr_returning_customer_sk, ca_state)
SELECT c_customer_id, c_salutation, c_first_name, c_last_name, c_birth_year, c_login, c_email_address, total
FROM returned r, customer_address, customer
WHERE r.total > (SELECT avg(total) * 1.2 FROM returned s WHERE s.state = r.state) AND ca_address_sk = c_current_addr_sk
  AND ca_state = 'GA' AND r.customer = c_customer_sk
ORDER BY c_customer_id, total LIMIT 100;
-- d27
WITH ss AS (SELECT ca_county, d_qoy, d_year, sum(ss_ext_sales_price) AS sales FROM store_sales, date_dim, customer_address
            WHERE ss_sold_date_sk = d_date_sk AND ss_addr_sk = ca_address_sk GROUP BY ca_county, d_qoy, d_year),
     ws AS (SELECT ca_county, d_qoy, d_year, sum(ws_ext_sales_price) AS sales FROM web_sales, date_dim, customer_address
            WHERE ws_sold_date_sk = d_date_sk AND ws_bill_addr_sk = ca_address_sk GROUP BY ca_county, d_qoy, d_year)
SELECT s1.ca_county, s1.d_year, w2.sales / w1.sales AS web, s2.sales / s1.sales AS store
FROM ss s1, ss s2, ws w1, ws w2
WHERE s1.d_qoy = 1 AND s1.d_year = 2000 AND s2.ca_county = s1.ca_county AND s2.d_qoy = 2 AND s2.d_year = 2000
  AND w1.ca_county = s1.ca_county AND w1.d_qoy = 1 AND w1.d_year = 2000 AND w2.ca_county = s1.ca_county AND w2.d_qoy = 2
  AND w2.d_year = 2000 AND w1.sales > 0 AND s1.sales > 0 AND w2.sales / w1.sales > s2.sales / s1.sales
ORDER BY s1.ca_county;
-- d28
SELECT sum(cs_ext_discount_amt) FROM catalog_sales, item, date_dim
WHERE i_manufact_id = 77 AND i_item_sk = cs_item_sk AND d_date BETWEEN date '2000-01-27' AND date '2000-01-27' + 90
  AND d_date_sk = cs_sold_date_sk
  AND cs_ext_discount_amt > (SELECT 1.3 * avg(cs_ext_discount_amt) FROM catalog_sales, date_dim
                             WHERE cs_item_sk = i_item_sk AND d_date BETWEEN date '2000-01-27' AND date '2000-01-27' + 90
                               AND d_date_sk = cs_sold_date_sk) LIMIT 100;
-- d29
WITH s AS (SELECT i_manufact_id, sum(ss_ext_sales_price) AS sales FROM store_sales, date_dim, customer_address, item
           WHERE i_manufact_id IN (SELECT i_manufact_id FROM item WHERE i_category = 'Electronics') AND ss_item_sk = i_item_sk
             AND ss_sold_date_sk = d_date_sk AND d_year = 1998 AND d_moy = 5 AND ss_addr_sk = ca_address_sk AND ca_gmt_offset = -5
           GROUP BY i_manufact_id),
     c AS (SELECT i_manufact_id, sum(cs_ext_sales_price) AS sales FROM catalog_sales, date_dim, customer_address, item
           WHERE i_manufact_id IN (SELECT i_manufact_id FROM item WHERE i_category = 'Electronics') AND cs_item_sk = i_item_sk
             AND cs_sold_date_sk = d_date_sk AND d_year = 1998 AND d_moy = 5 AND cs_bill_addr_sk = ca_address_sk AND ca_gmt_offset = -5
           GROUP BY i_manufact_id)
SELECT i_manufact_id, sum(sales) AS total FROM (SELECT * FROM s UNION ALL SELECT * FROM c) x GROUP BY i_manufact_id ORDER BY total LIMIT 100;
-- d30
SELECT c_last_name, c_first_name, c_salutation, c_preferred_cust_flag, ticket, lines
FROM (SELECT ss_ticket_number AS ticket, ss_customer_sk AS customer, count(*) AS lines
      FROM store_sales, date_dim, store, household_demographics
      WHERE ss_sold_date_sk = d_date_sk AND ss_store_sk = s_store_sk AND ss_hdemo_sk = hd_demo_sk
        AND (d_dom BETWEEN 1 AND 3 OR d_dom BETWEEN 25 AND 28) AND hd_buy_potential IN ('>10000', 'Unknown') AND hd_vehicle_count > 0
        AND d_year IN (1999, 2000, 2001) AND s_county IN ('County 2', 'County 3')
      GROUP BY ss_ticket_number, ss_customer_sk) t JOIN customer ON c_customer_sk = t.customer
WHERE lines BETWEEN 15 AND 20 ORDER BY c_last_name, c_first_name, c_salutation, c_preferred_cust_flag DESC, ticket;
-- d31
SELECT i_item_id, i_item_desc, i_current_price FROM item, inventory, date_dim, catalog_sales
WHERE i_current_price BETWEEN 20 AND 50 AND inv_item_sk = i_item_sk AND d_date_sk = inv_date_sk
  AND d_date BETWEEN date '2000-02-01' AND date '2000-02-01' + 60 AND i_manufact_id IN (12, 129, 270, 423)
  AND inv_quantity_on_hand BETWEEN 100 AND 500 AND cs_item_sk = i_item_sk
GROUP BY i_item_id, i_item_desc, i_current_price ORDER BY i_item_id LIMIT 100;
-- d32
SELECT count(*) FROM (
  SELECT DISTINCT c_last_name, c_first_name, d_date FROM store_sales, date_dim, customer
  WHERE ss_sold_date_sk = d_date_sk AND ss_customer_sk = c_customer_sk AND d_month_seq BETWEEN 1188 AND 1199
  INTERSECT SELECT DISTINCT c_last_name, c_first_name, d_date FROM catalog_sales, date_dim, customer
  WHERE cs_sold_date_sk = d_date_sk AND cs_bill_customer_sk = c_customer_sk AND d_month_seq BETWEEN 1188 AND 1199
  EXCEPT SELECT DISTINCT c_last_name, c_first_name, d_date FROM web_sales, date_dim, customer
  WHERE ws_sold_date_sk = d_date_sk AND ws_bill_customer_sk = c_customer_sk AND d_month_seq BETWEEN 1188 AND 1199) x;
-- d33
WITH inv AS (SELECT inv_warehouse_sk AS w, inv_item_sk AS i, d_moy, stddev_samp(inv_quantity_on_hand) AS dev, avg(inv_quantity_on_hand) AS mean
             FROM inventory, date_dim WHERE inv_date_sk = d_date_sk AND d_year = 2001 GROUP BY inv_warehouse_sk, inv_item_sk, d_moy)
SELECT a.w, a.i, a.d_moy, a.mean, b.d_moy, b.mean FROM inv a JOIN inv b ON b.i = a.i AND b.w = a.w
WHERE a.d_moy = 1 AND b.d_moy = 2 AND a.mean > 0 AND a.dev / a.mean > 1 ORDER BY 1, 2, 3 LIMIT 1000;
-- d34
SELECT w_state, i_item_id, sum(CASE WHEN d_date < date '2000-03-20' THEN cs_sales_price - coalesce(cr_refunded_cash, 0) ELSE 0 END) AS before,
       sum(CASE WHEN d_date >= date '2000-03-20' THEN cs_sales_price - coalesce(cr_refunded_cash, 0) ELSE 0 END) AS after
FROM catalog_sales LEFT JOIN catalog_returns ON cr_order_number = cs_order_number AND cr_item_sk = cs_item_sk
     JOIN warehouse ON w_warehouse_sk = cs_warehouse_sk JOIN item ON i_item_sk = cs_item_sk JOIN date_dim ON d_date_sk = cs_sold_date_sk
WHERE i_current_price BETWEEN 0.99 AND 2.49 AND d_date BETWEEN date '2000-03-20' - 30 AND date '2000-03-20' + 30
GROUP BY w_state, i_item_id ORDER BY w_state, i_item_id LIMIT 100;
-- d35 heavy
SELECT DISTINCT i_product_name FROM item a
WHERE i_manufact_id BETWEEN 738 AND 778
  AND (SELECT count(*) FROM item b WHERE b.i_manufact = a.i_manufact
         AND (b.i_category = 'Women' AND b.i_color IN ('grey', 'khaki') AND b.i_size IN ('medium', 'petite')
           OR b.i_category = 'Men' AND b.i_color IN ('navy', 'plum') AND b.i_size IN ('small', 'economy'))) > 0
ORDER BY i_product_name LIMIT 100;
-- d36
SELECT d_year, i_category_id, i_category, sum(ss_ext_sales_price) AS sold FROM date_dim, store_sales, item
WHERE d_date_sk = ss_sold_date_sk AND ss_item_sk = i_item_sk AND i_manager_id = 1 AND d_moy = 12 AND d_year = 2000
GROUP BY d_year, i_category_id, i_category ORDER BY sold DESC, d_year, i_category_id LIMIT 100;
-- d37
SELECT s_store_name, s_store_id, sum(ss_sales_price) FILTER (WHERE d_day_name = 'Sunday') AS sunday,
       sum(ss_sales_price) FILTER (WHERE d_day_name = 'Monday') AS monday, sum(ss_sales_price) FILTER (WHERE d_day_name = 'Friday') AS friday
FROM date_dim, store_sales, store WHERE d_date_sk = ss_sold_date_sk AND s_store_sk = ss_store_sk AND s_gmt_offset = -5 AND d_year = 2000
GROUP BY s_store_name, s_store_id ORDER BY 1, 2 LIMIT 100;
-- d38
SELECT best.rnk, i1.i_product_name AS best, i2.i_product_name AS worst
FROM (SELECT item, rank() OVER (ORDER BY profit DESC) AS rnk FROM (SELECT ss_item_sk AS item, avg(ss_net_profit) AS profit FROM store_sales
        WHERE ss_store_sk = 4 GROUP BY ss_item_sk HAVING avg(ss_net_profit) > 0.9 * (SELECT avg(ss_net_profit) FROM store_sales
          WHERE ss_store_sk = 4 AND ss_addr_sk IS NULL GROUP BY ss_store_sk)) a) best
     JOIN (SELECT item, rank() OVER (ORDER BY profit) AS rnk FROM (SELECT ss_item_sk AS item, avg(ss_net_profit) AS profit FROM store_sales
        WHERE ss_store_sk = 4 GROUP BY ss_item_sk) b) worst ON worst.rnk = best.rnk
     JOIN item i1 ON i1.i_item_sk = best.item JOIN item i2 ON i2.i_item_sk = worst.item
WHERE best.rnk < 11 ORDER BY best.rnk LIMIT 100;
-- d39
SELECT ca_zip, ca_city, sum(ws_sales_price) FROM web_sales, customer, customer_address, date_dim, item
WHERE ws_bill_customer_sk = c_customer_sk AND c_current_addr_sk = ca_address_sk AND ws_item_sk = i_item_sk
  AND (substr(ca_zip, 1, 3) IN ('856', '853', '881', '119') OR i_item_id IN (SELECT i_item_id FROM item WHERE i_item_sk IN (2, 3, 5, 7, 11, 13, 17)))
  AND ws_sold_date_sk = d_date_sk AND d_qoy = 2 AND d_year = 2001 GROUP BY ca_zip, ca_city ORDER BY ca_zip, ca_city LIMIT 100;
-- d40
SELECT c_last_name, c_first_name, ca_city, bought, ticket, amount FROM
  (SELECT ss_ticket_number AS ticket, ss_customer_sk AS customer, ca_city AS bought, sum(ss_coupon_amt) AS amount
   FROM store_sales, date_dim, store, household_demographics, customer_address
   WHERE ss_sold_date_sk = d_date_sk AND ss_store_sk = s_store_sk AND ss_hdemo_sk = hd_demo_sk AND ss_addr_sk = ca_address_sk
     AND (hd_dep_count = 4 OR hd_vehicle_count = 3) AND d_dow IN (6, 0) AND d_year IN (1999, 2000, 2001) AND s_city IN ('City 2', 'City 3')
   GROUP BY ss_ticket_number, ss_customer_sk, ss_addr_sk, ca_city) t, customer, customer_address now
WHERE t.customer = c_customer_sk AND now.ca_address_sk = c_current_addr_sk AND now.ca_city <> bought
ORDER BY c_last_name, c_first_name, ca_city, bought, ticket LIMIT 100;
-- d41
WITH months AS (SELECT i_category, i_brand, s_store_name, d_year, d_moy, sum(ss_sales_price) AS sales,
                       avg(sum(ss_sales_price)) OVER (PARTITION BY i_category, i_brand, s_store_name, d_year) AS average,
                       rank() OVER (PARTITION BY i_category, i_brand, s_store_name ORDER BY d_year, d_moy) AS rn
                FROM item, store_sales, date_dim, store
                WHERE ss_item_sk = i_item_sk AND ss_sold_date_sk = d_date_sk AND ss_store_sk = s_store_sk
                  AND (d_year = 1999 OR d_year = 1998 AND d_moy = 12 OR d_year = 2000 AND d_moy = 1)
                GROUP BY i_category, i_brand, s_store_name, d_year, d_moy)
SELECT m.*, prev.sales, next.sales FROM months m, months prev, months next
WHERE prev.i_category = m.i_category AND prev.i_brand = m.i_brand AND prev.s_store_name = m.s_store_name AND prev.rn = m.rn - 1
  AND next.i_category = m.i_category AND next.i_brand = m.i_brand AND next.s_store_name = m.s_store_name AND next.rn = m.rn + 1
  AND m.d_year = 1999 AND m.average > 0 AND abs(m.sales - m.average) / m.average > 0.1
ORDER BY m.sales - m.average, m.s_store_name LIMIT 100;
-- d42
SELECT sum(ss_quantity) FROM store_sales, store, customer_demographics, customer_address, date_dim
WHERE s_store_sk = ss_store_sk AND ss_sold_date_sk = d_date_sk AND d_year = 2000 AND cd_demo_sk = ss_cdemo_sk
  AND ss_addr_sk = ca_address_sk AND cd_marital_status = 'M' AND cd_education_status = '4 yr Degree'
  AND (ss_sales_price BETWEEN 100 AND 150 AND ca_state IN ('CO', 'OH', 'TX') OR ss_sales_price BETWEEN 50 AND 100 AND ca_state IN ('OR', 'MN', 'KY'));
-- d43
SELECT 'web' AS channel, item, ratio, rnk FROM
  (SELECT item, ratio, rank() OVER (ORDER BY ratio) AS rnk FROM
     (SELECT ws_item_sk AS item, sum(coalesce(wr_return_quantity, 0))::numeric / sum(ws_quantity) AS ratio
      FROM web_sales LEFT JOIN web_returns ON wr_order_number = ws_order_number AND wr_item_sk = ws_item_sk, date_dim
      WHERE wr_return_amt > 1000 AND ws_net_profit > 1 AND ws_net_paid > 0 AND ws_quantity > 0 AND ws_sold_date_sk = d_date_sk
        AND d_year = 2001 AND d_moy = 12 GROUP BY ws_item_sk) a) b WHERE rnk <= 10
UNION
SELECT 'store', item, ratio, rnk FROM
  (SELECT item, ratio, rank() OVER (ORDER BY ratio) AS rnk FROM
     (SELECT ss_item_sk AS item, sum(coalesce(sr_return_quantity, 0))::numeric / sum(ss_quantity) AS ratio
      FROM store_sales LEFT JOIN store_returns ON sr_ticket_number = ss_ticket_number AND sr_item_sk = ss_item_sk, date_dim
      WHERE sr_return_amt > 1000 AND ss_net_profit > 1 AND ss_net_paid > 0 AND ss_quantity > 0 AND ss_sold_date_sk = d_date_sk
        AND d_year = 2001 AND d_moy = 12 GROUP BY ss_item_sk) a) b WHERE rnk <= 10
ORDER BY 1, 4, 2 LIMIT 100;
-- d44
SELECT s_store_name, s_company_id, s_street_name, sum((sr_returned_date_sk - ss_sold_date_sk <= 30)::int) AS within30,
       sum((sr_returned_date_sk - ss_sold_date_sk BETWEEN 31 AND 60)::int) AS within60, sum((sr_returned_date_sk - ss_sold_date_sk > 60)::int) AS later
FROM store_sales, store_returns, store, date_dim d
WHERE d.d_year = 2001 AND d.d_moy = 8 AND ss_ticket_number = sr_ticket_number AND ss_item_sk = sr_item_sk AND sr_returned_date_sk = d.d_date_sk
  AND ss_customer_sk = sr_customer_sk AND ss_store_sk = s_store_sk GROUP BY 1, 2, 3 ORDER BY 1, 2, 3 LIMIT 100;
-- d45
WITH web AS (SELECT ws_item_sk AS item, d_date, sum(sum(ws_sales_price)) OVER (PARTITION BY ws_item_sk ORDER BY d_date) AS total
             FROM web_sales, date_dim WHERE ws_sold_date_sk = d_date_sk AND d_month_seq BETWEEN 1200 AND 1211 GROUP BY ws_item_sk, d_date),
     store AS (SELECT ss_item_sk AS item, d_date, sum(sum(ss_sales_price)) OVER (PARTITION BY ss_item_sk ORDER BY d_date) AS total
               FROM store_sales, date_dim WHERE ss_sold_date_sk = d_date_sk AND d_month_seq BETWEEN 1200 AND 1211 GROUP BY ss_item_sk, d_date)
SELECT item, d_date, w.total, s.total FROM web w FULL JOIN store s USING (item, d_date) WHERE w.total > s.total ORDER BY 1, 2 LIMIT 100;
-- d46
SELECT w_warehouse_name, sm_type, cc_name, sum((cs_ship_date_sk - cs_sold_date_sk <= 30)::int) AS fast, sum((cs_ship_date_sk - cs_sold_date_sk > 90)::int) AS slow
FROM catalog_sales, warehouse, ship_mode, call_center, date_dim
WHERE d_month_seq BETWEEN 1194 AND 1205 AND cs_ship_date_sk = d_date_sk AND cs_warehouse_sk = w_warehouse_sk AND cs_ship_mode_sk = sm_ship_mode_sk
  AND cs_call_center_sk = cc_call_center_sk GROUP BY w_warehouse_name, sm_type, cc_name ORDER BY 1, 2, 3 LIMIT 100;
-- d47
SELECT ca_state, cd_gender, cd_marital_status, cd_dep_count, count(*), max(cd_dep_count), avg(cd_dep_count)
FROM customer c, customer_address ca, customer_demographics
WHERE c.c_current_addr_sk = ca.ca_address_sk AND cd_demo_sk = c.c_current_cdemo_sk
  AND c.c_customer_sk IN (SELECT ss_customer_sk FROM store_sales, date_dim WHERE ss_sold_date_sk = d_date_sk AND d_year = 1999 AND d_qoy < 4)
  AND c.c_customer_sk IN (SELECT ws_bill_customer_sk FROM web_sales, date_dim WHERE ws_sold_date_sk = d_date_sk AND d_year = 1999 AND d_qoy < 4)
GROUP BY ca_state, cd_gender, cd_marital_status, cd_dep_count ORDER BY 1, 2, 3, 4 LIMIT 100;
-- d48
SELECT count(*) FROM store_sales, household_demographics, time_dim, store
WHERE ss_sold_time_sk = t_time_sk AND ss_hdemo_sk = hd_demo_sk AND ss_store_sk = s_store_sk AND t_hour = 20 AND t_minute >= 30
  AND hd_dep_count = 7 AND s_store_name = 'ese';
-- d49
SELECT (SELECT count(*) FROM web_sales, household_demographics, time_dim, web_page
        WHERE ws_sold_time_sk = t_time_sk AND ws_ship_hdemo_sk = hd_demo_sk AND ws_web_page_sk = wp_web_page_sk AND t_hour BETWEEN 8 AND 9
          AND hd_dep_count = 6 AND wp_char_count BETWEEN 5000 AND 5200)::numeric
     / (SELECT nullif(count(*), 0) FROM web_sales, household_demographics, time_dim, web_page
        WHERE ws_sold_time_sk = t_time_sk AND ws_ship_hdemo_sk = hd_demo_sk AND ws_web_page_sk = wp_web_page_sk AND t_hour BETWEEN 19 AND 20
          AND hd_dep_count = 6 AND wp_char_count BETWEEN 5000 AND 5200) AS ratio;
-- d50
SELECT cc_call_center_id, cc_name, cc_manager, sum(cr_net_loss) AS loss
FROM call_center, catalog_returns, date_dim, customer, customer_address, customer_demographics, household_demographics
WHERE cr_call_center_sk = cc_call_center_sk AND cr_returned_date_sk = d_date_sk AND cr_returning_customer_sk = c_customer_sk
  AND cd_demo_sk = c_current_cdemo_sk AND hd_demo_sk = c_current_hdemo_sk AND ca_address_sk = c_current_addr_sk AND d_year = 1998 AND d_moy = 11
  AND (cd_marital_status = 'M' AND cd_education_status = 'Unknown' OR cd_marital_status = 'W' AND cd_education_status = 'Advanced Degree')
  AND hd_buy_potential LIKE 'Unk%' AND ca_gmt_offset = -7
GROUP BY cc_call_center_id, cc_name, cc_manager, cd_marital_status, cd_education_status ORDER BY loss DESC;
-- d51
SELECT i_item_id, i_category, sum(ss_net_paid) FROM store_sales JOIN item ON i_item_sk = ss_item_sk
WHERE ss_sold_date_sk BETWEEN 2451911 AND 2451941 AND i_category = 'Jewelry' AND i_class = 'diamonds'
GROUP BY i_item_id, i_category ORDER BY 3 DESC LIMIT 100;
-- d52
SELECT c_customer_id, c_first_name, c_last_name FROM customer JOIN customer_address ON ca_address_sk = c_current_addr_sk
     JOIN household_demographics ON hd_demo_sk = c_current_hdemo_sk JOIN income_band ON ib_income_band_sk = hd_income_band_sk
     JOIN customer_demographics ON cd_demo_sk = c_current_cdemo_sk JOIN store_returns ON sr_cdemo_sk = cd_demo_sk
WHERE ca_city = 'City 7' AND ib_lower_bound >= 38128 AND ib_upper_bound <= 88128 ORDER BY c_customer_id LIMIT 100;
-- d53
SELECT sum(ss_ext_sales_price) FILTER (WHERE p_channel_dmail = 'Y' OR p_channel_email = 'Y' OR p_channel_tv = 'Y') AS promoted, sum(ss_ext_sales_price) AS total
FROM store_sales LEFT JOIN promotion ON p_promo_sk = ss_promo_sk, store, date_dim, customer, customer_address, item
WHERE ss_sold_date_sk = d_date_sk AND ss_store_sk = s_store_sk AND ss_customer_sk = c_customer_sk AND ca_address_sk = c_current_addr_sk
  AND ss_item_sk = i_item_sk AND ca_gmt_offset = -5 AND i_category = 'Jewelry' AND s_gmt_offset = -5 AND d_year = 1998 AND d_moy = 11;
