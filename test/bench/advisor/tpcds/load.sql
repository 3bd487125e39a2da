-- Tables and columns after TPC-DS's public specification, filled by a generator
-- of our own. Scale 1 has 2.9 million lines of store sales. Dates of sales are
-- in 1998 to 2002, most of them late in the year; customers and items are skewed;
-- foreign keys of facts are NULL now and then; all rows come in the order of time.
CREATE TABLE date_dim (d_date_sk int PRIMARY KEY, d_date_id char(16) NOT NULL, d_date date, d_month_seq int, d_week_seq int,
    d_quarter_seq int, d_year int, d_dow int, d_moy int, d_dom int, d_qoy int, d_fy_year int, d_fy_quarter_seq int,
    d_fy_week_seq int, d_day_name char(9), d_quarter_name char(6), d_holiday char(1), d_weekend char(1),
    d_following_holiday char(1), d_first_dom int, d_last_dom int, d_same_day_ly int, d_same_day_lq int, d_current_day char(1),
    d_current_week char(1), d_current_month char(1), d_current_quarter char(1), d_current_year char(1));
CREATE TABLE time_dim (t_time_sk int PRIMARY KEY, t_time_id char(16) NOT NULL, t_time int, t_hour int, t_minute int, t_second int,
    t_am_pm char(2), t_shift char(20), t_sub_shift char(20), t_meal_time char(20));
CREATE TABLE item (i_item_sk int PRIMARY KEY, i_item_id char(16) NOT NULL, i_rec_start_date date, i_rec_end_date date,
    i_item_desc varchar(200), i_current_price numeric(7,2), i_wholesale_cost numeric(7,2), i_brand_id int, i_brand char(50),
    i_class_id int, i_class char(50), i_category_id int, i_category char(50), i_manufact_id int, i_manufact char(50),
    i_size char(20), i_formulation char(20), i_color char(20), i_units char(10), i_container char(10), i_manager_id int,
    i_product_name char(50));
CREATE TABLE customer (c_customer_sk int PRIMARY KEY, c_customer_id char(16) NOT NULL, c_current_cdemo_sk int,
    c_current_hdemo_sk int, c_current_addr_sk int, c_first_shipto_date_sk int, c_first_sales_date_sk int, c_salutation char(10),
    c_first_name char(20), c_last_name char(30), c_preferred_cust_flag char(1), c_birth_day int, c_birth_month int,
    c_birth_year int, c_birth_country varchar(20), c_login char(13), c_email_address char(50), c_last_review_date_sk int);
CREATE TABLE customer_address (ca_address_sk int PRIMARY KEY, ca_address_id char(16) NOT NULL, ca_street_number char(10),
    ca_street_name varchar(60), ca_street_type char(15), ca_suite_number char(10), ca_city varchar(60), ca_county varchar(30),
    ca_state char(2), ca_zip char(10), ca_country varchar(20), ca_gmt_offset numeric(5,2), ca_location_type char(20));
CREATE TABLE customer_demographics (cd_demo_sk int PRIMARY KEY, cd_gender char(1), cd_marital_status char(1),
    cd_education_status char(20), cd_purchase_estimate int, cd_credit_rating char(10), cd_dep_count int,
    cd_dep_employed_count int, cd_dep_college_count int);
CREATE TABLE income_band (ib_income_band_sk int PRIMARY KEY, ib_lower_bound int, ib_upper_bound int);
CREATE TABLE household_demographics (hd_demo_sk int PRIMARY KEY, hd_income_band_sk int, hd_buy_potential char(15),
    hd_dep_count int, hd_vehicle_count int);
CREATE TABLE store (s_store_sk int PRIMARY KEY, s_store_id char(16) NOT NULL, s_rec_start_date date, s_rec_end_date date,
    s_closed_date_sk int, s_store_name varchar(50), s_number_employees int, s_floor_space int, s_hours char(20),
    s_manager varchar(40), s_market_id int, s_geography_class varchar(100), s_market_desc varchar(100), s_market_manager varchar(40),
    s_division_id int, s_division_name varchar(50), s_company_id int, s_company_name varchar(50), s_street_number varchar(10),
    s_street_name varchar(60), s_street_type char(15), s_suite_number char(10), s_city varchar(60), s_county varchar(30),
    s_state char(2), s_zip char(10), s_country varchar(20), s_gmt_offset numeric(5,2), s_tax_precentage numeric(5,2));
CREATE TABLE call_center (cc_call_center_sk int PRIMARY KEY, cc_call_center_id char(16) NOT NULL, cc_name varchar(50),
    cc_class varchar(50), cc_employees int, cc_hours char(20), cc_manager varchar(40), cc_mkt_id int, cc_county varchar(30),
    cc_state char(2), cc_gmt_offset numeric(5,2));
CREATE TABLE catalog_page (cp_catalog_page_sk int PRIMARY KEY, cp_catalog_page_id char(16) NOT NULL, cp_start_date_sk int,
    cp_end_date_sk int, cp_department varchar(50), cp_catalog_number int, cp_catalog_page_number int, cp_description varchar(100),
    cp_type varchar(100));
CREATE TABLE web_site (web_site_sk int PRIMARY KEY, web_site_id char(16) NOT NULL, web_name varchar(50), web_manager varchar(40),
    web_mkt_id int, web_company_id int, web_company_name char(50), web_county varchar(30), web_state char(2));
CREATE TABLE web_page (wp_web_page_sk int PRIMARY KEY, wp_web_page_id char(16) NOT NULL, wp_creation_date_sk int,
    wp_autogen_flag char(1), wp_customer_sk int, wp_url varchar(100), wp_type char(50), wp_char_count int, wp_link_count int);
CREATE TABLE promotion (p_promo_sk int PRIMARY KEY, p_promo_id char(16) NOT NULL, p_start_date_sk int, p_end_date_sk int,
    p_item_sk int, p_cost numeric(15,2), p_promo_name char(50), p_channel_dmail char(1), p_channel_email char(1),
    p_channel_catalog char(1), p_channel_tv char(1), p_channel_radio char(1), p_channel_event char(1), p_purpose char(15),
    p_discount_active char(1));
CREATE TABLE warehouse (w_warehouse_sk int PRIMARY KEY, w_warehouse_id char(16) NOT NULL, w_warehouse_name varchar(20),
    w_warehouse_sq_ft int, w_city varchar(60), w_county varchar(30), w_state char(2), w_country varchar(20));
CREATE TABLE ship_mode (sm_ship_mode_sk int PRIMARY KEY, sm_ship_mode_id char(16) NOT NULL, sm_type char(30), sm_code char(10),
    sm_carrier char(20), sm_contract char(20));
CREATE TABLE reason (r_reason_sk int PRIMARY KEY, r_reason_id char(16) NOT NULL, r_reason_desc char(100));
CREATE TABLE inventory (inv_date_sk int, inv_item_sk int, inv_warehouse_sk int, inv_quantity_on_hand int,
    PRIMARY KEY (inv_date_sk, inv_item_sk, inv_warehouse_sk));
CREATE TABLE store_sales (ss_sold_date_sk int, ss_sold_time_sk int, ss_item_sk int, ss_customer_sk int, ss_cdemo_sk int,
    ss_hdemo_sk int, ss_addr_sk int, ss_store_sk int, ss_promo_sk int, ss_ticket_number int, ss_quantity int,
    ss_wholesale_cost numeric(7,2), ss_list_price numeric(7,2), ss_sales_price numeric(7,2), ss_ext_discount_amt numeric(7,2),
    ss_ext_sales_price numeric(7,2), ss_ext_wholesale_cost numeric(7,2), ss_ext_list_price numeric(7,2), ss_ext_tax numeric(7,2),
    ss_coupon_amt numeric(7,2), ss_net_paid numeric(7,2), ss_net_paid_inc_tax numeric(7,2), ss_net_profit numeric(7,2),
    PRIMARY KEY (ss_item_sk, ss_ticket_number));
CREATE TABLE store_returns (sr_returned_date_sk int, sr_return_time_sk int, sr_item_sk int, sr_customer_sk int, sr_cdemo_sk int,
    sr_hdemo_sk int, sr_addr_sk int, sr_store_sk int, sr_reason_sk int, sr_ticket_number int, sr_return_quantity int,
    sr_return_amt numeric(7,2), sr_return_tax numeric(7,2), sr_return_amt_inc_tax numeric(7,2), sr_fee numeric(7,2),
    sr_return_ship_cost numeric(7,2), sr_refunded_cash numeric(7,2), sr_reversed_charge numeric(7,2), sr_store_credit numeric(7,2),
    sr_net_loss numeric(7,2), PRIMARY KEY (sr_item_sk, sr_ticket_number));
CREATE TABLE catalog_sales (cs_sold_date_sk int, cs_sold_time_sk int, cs_ship_date_sk int, cs_bill_customer_sk int,
    cs_bill_cdemo_sk int, cs_bill_hdemo_sk int, cs_bill_addr_sk int, cs_ship_customer_sk int, cs_ship_cdemo_sk int,
    cs_ship_hdemo_sk int, cs_ship_addr_sk int, cs_call_center_sk int, cs_catalog_page_sk int, cs_ship_mode_sk int,
    cs_warehouse_sk int, cs_item_sk int, cs_promo_sk int, cs_order_number int, cs_quantity int, cs_wholesale_cost numeric(7,2),
    cs_list_price numeric(7,2), cs_sales_price numeric(7,2), cs_ext_discount_amt numeric(7,2), cs_ext_sales_price numeric(7,2),
    cs_ext_wholesale_cost numeric(7,2), cs_ext_list_price numeric(7,2), cs_ext_tax numeric(7,2), cs_coupon_amt numeric(7,2),
    cs_ext_ship_cost numeric(7,2), cs_net_paid numeric(7,2), cs_net_paid_inc_tax numeric(7,2), cs_net_paid_inc_ship numeric(7,2),
    cs_net_paid_inc_ship_tax numeric(7,2), cs_net_profit numeric(7,2), PRIMARY KEY (cs_item_sk, cs_order_number));
CREATE TABLE catalog_returns (cr_returned_date_sk int, cr_returned_time_sk int, cr_item_sk int, cr_refunded_customer_sk int,
    cr_refunded_cdemo_sk int, cr_refunded_hdemo_sk int, cr_refunded_addr_sk int, cr_returning_customer_sk int,
    cr_returning_cdemo_sk int, cr_returning_hdemo_sk int, cr_returning_addr_sk int, cr_call_center_sk int, cr_catalog_page_sk int,
    cr_ship_mode_sk int, cr_warehouse_sk int, cr_reason_sk int, cr_order_number int, cr_return_quantity int,
    cr_return_amount numeric(7,2), cr_return_tax numeric(7,2), cr_return_amt_inc_tax numeric(7,2), cr_fee numeric(7,2),
    cr_return_ship_cost numeric(7,2), cr_refunded_cash numeric(7,2), cr_reversed_charge numeric(7,2), cr_store_credit numeric(7,2),
    cr_net_loss numeric(7,2), PRIMARY KEY (cr_item_sk, cr_order_number));
CREATE TABLE web_sales (ws_sold_date_sk int, ws_sold_time_sk int, ws_ship_date_sk int, ws_item_sk int, ws_bill_customer_sk int,
    ws_bill_cdemo_sk int, ws_bill_hdemo_sk int, ws_bill_addr_sk int, ws_ship_customer_sk int, ws_ship_cdemo_sk int,
    ws_ship_hdemo_sk int, ws_ship_addr_sk int, ws_web_page_sk int, ws_web_site_sk int, ws_ship_mode_sk int, ws_warehouse_sk int,
    ws_promo_sk int, ws_order_number int, ws_quantity int, ws_wholesale_cost numeric(7,2), ws_list_price numeric(7,2),
    ws_sales_price numeric(7,2), ws_ext_discount_amt numeric(7,2), ws_ext_sales_price numeric(7,2), ws_ext_wholesale_cost numeric(7,2),
    ws_ext_list_price numeric(7,2), ws_ext_tax numeric(7,2), ws_coupon_amt numeric(7,2), ws_ext_ship_cost numeric(7,2),
    ws_net_paid numeric(7,2), ws_net_paid_inc_tax numeric(7,2), ws_net_paid_inc_ship numeric(7,2),
    ws_net_paid_inc_ship_tax numeric(7,2), ws_net_profit numeric(7,2), PRIMARY KEY (ws_item_sk, ws_order_number));
CREATE TABLE web_returns (wr_returned_date_sk int, wr_returned_time_sk int, wr_item_sk int, wr_refunded_customer_sk int,
    wr_refunded_cdemo_sk int, wr_refunded_hdemo_sk int, wr_refunded_addr_sk int, wr_returning_customer_sk int,
    wr_returning_cdemo_sk int, wr_returning_hdemo_sk int, wr_returning_addr_sk int, wr_web_page_sk int, wr_reason_sk int,
    wr_order_number int, wr_return_quantity int, wr_return_amt numeric(7,2), wr_return_tax numeric(7,2),
    wr_return_amt_inc_tax numeric(7,2), wr_fee numeric(7,2), wr_return_ship_cost numeric(7,2), wr_refunded_cash numeric(7,2),
    wr_reversed_charge numeric(7,2), wr_account_credit numeric(7,2), wr_net_loss numeric(7,2),
    PRIMARY KEY (wr_item_sk, wr_order_number));

SELECT greatest(1000, (18000 * sqrt(:scale))::int) AS items, greatest(2000, (100000 * :scale)::int) AS customers,
       greatest(1000, (50000 * :scale)::int) AS addresses, greatest(19208, (1920800 * least(1, :scale))::int) AS cdemos,
       greatest(10000, (240000 * :scale)::int) AS tickets, greatest(6000, (160000 * :scale)::int) AS catalog_orders,
       greatest(3000, (60000 * :scale)::int) AS web_orders, greatest(4, (12 * sqrt(:scale))::int) AS stores,
       greatest(500, (11700 * sqrt(:scale))::int) AS pages, greatest(100, (300 * sqrt(:scale))::int) AS promotions \gset

CREATE FUNCTION gen.id(i bigint) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE
AS $$ SELECT 'AAAAAAAA' || upper(lpad(to_hex($1), 8, '0')) $$;

-- a key of a dimension, or NULL for one row in 25
CREATE FUNCTION gen.fk(key bigint, salt int, rows int) RETURNS int LANGUAGE sql IMMUTABLE PARALLEL SAFE
AS 'SELECT CASE WHEN gen.u($1, $2 + 300) >= 0.04 THEN gen.n($1, $2, 1, $3) END';

-- the day of sale of the i-th of so many sales: 1998-01-02 to 2002-12-31, twice as
-- many in November and December
CREATE FUNCTION gen.day(i bigint, sales int) RETURNS int LANGUAGE sql IMMUTABLE PARALLEL SAFE
AS $$ SELECT 2450816 + 365 * (y / 14) + CASE WHEN y % 14 < 10 THEN (y % 14) * 30 ELSE 300 + (y % 14 - 10) * 15 END
             + floor(gen.u($1, 800) * CASE WHEN y % 14 < 10 THEN 30 ELSE 16 END)::int
      FROM (SELECT (($1 - 1) * 70 / $2)::int AS y OFFSET 0) s $$;

INSERT INTO date_dim
SELECT 2415022 + i, gen.id(2415022 + i), d, (extract(year FROM d) - 1900) * 12 + extract(month FROM d) - 1, 1 + (i + 1) / 7,
       (extract(year FROM d) - 1900) * 4 + extract(quarter FROM d), extract(year FROM d), extract(dow FROM d), extract(month FROM d),
       extract(day FROM d), extract(quarter FROM d), extract(year FROM d),
       (extract(year FROM d) - 1900) * 4 + extract(quarter FROM d), 1 + (i + 1) / 7, to_char(d, 'FMDay'), to_char(d, 'YYYY"Q"Q'),
       CASE WHEN extract(doy FROM d) IN (1, 185, 359, 360) THEN 'Y' ELSE 'N' END,
       CASE WHEN extract(dow FROM d) IN (0, 6) THEN 'Y' ELSE 'N' END, 'N', 2415022 + i - extract(day FROM d)::int + 1,
       2415022 + i - extract(day FROM d)::int + 28, 2415022 + i - 365, 2415022 + i - 91, 'N', 'N', 'N', 'N', 'N'
FROM (SELECT i, date '1900-01-02' + i AS d FROM generate_series(0, 73048) i OFFSET 0) d;
INSERT INTO time_dim
SELECT i, gen.id(i), i, i / 3600, i / 60 % 60, i % 60, CASE WHEN i < 43200 THEN 'AM' ELSE 'PM' END,
       (ARRAY['third', 'first', 'second'])[1 + i / 28800], (ARRAY['night', 'morning', 'afternoon', 'evening'])[1 + i / 21600],
       CASE WHEN i / 3600 IN (6, 7, 8) THEN 'breakfast' WHEN i / 3600 IN (11, 12, 13) THEN 'lunch' WHEN i / 3600 IN (17, 18, 19) THEN 'dinner' END
FROM generate_series(0, 86399) i;
INSERT INTO item
SELECT i, gen.id(i / 2 * 2), date '1997-10-27' + (i % 3) * 700, CASE WHEN i % 2 = 0 THEN date '1997-10-27' + (i % 3) * 700 + 699 END,
       gen.text(i, 1, 30, 200), round((0.09 + 99 * power(gen.u(i, 2), 3))::numeric, 2), round((0.02 + 60 * power(gen.u(i, 2), 3))::numeric, 2),
       category * 1000000 + class * 1000 + gen.n(i, 5, 1, 12), 'brand' || category || '-' || class || ' #' || gen.n(i, 5, 1, 12),
       class, (ARRAY['accent', 'classical', 'fragrances', 'infants', 'mens', 'pop', 'self-help', 'tables', 'travel', 'womens',
                     'athletic', 'diamonds', 'football', 'kids', 'portable', 'romance'])[class],
       category, (ARRAY['Women', 'Men', 'Children', 'Shoes', 'Music', 'Jewelry', 'Home', 'Sports', 'Books', 'Electronics'])[category],
       gen.skew(i, 6, 1, 1000, 1.3), 'manufacturer' || gen.skew(i, 6, 1, 1000, 1.3),
       gen.pick(i, 7, ARRAY['small', 'medium', 'large', 'extra large', 'petite', 'economy', 'N/A']), gen.text(i, 8, 15, 20),
       gen.pick(i, 9, ARRAY['almond', 'azure', 'beige', 'black', 'blue', 'brown', 'coral', 'cream', 'cyan', 'dark', 'forest', 'ghost',
                            'green', 'grey', 'indian', 'ivory', 'khaki', 'lace', 'lawn', 'lime', 'maroon', 'mint', 'navy', 'olive',
                            'orchid', 'peru', 'pink', 'plum', 'red', 'rosy', 'sienna', 'sky', 'snow', 'tan', 'white']),
       gen.pick(i, 10, ARRAY['Bunch', 'Bundle', 'Box', 'Carton', 'Case', 'Cup', 'Dozen', 'Dram', 'Each', 'Gram', 'Gross', 'Lb', 'Oz',
                             'Pallet', 'Pound', 'Ton', 'Tsp', 'Unknown']), 'Unknown', gen.skew(i, 11, 1, 100, 1.2), 'product ' || i
FROM (SELECT i, gen.n(i, 3, 1, 10) AS category, gen.n(i, 4, 1, 16) AS class FROM generate_series(1, :items) i OFFSET 0) s;
INSERT INTO income_band SELECT i, (i - 1) * 10000 + (i > 1)::int, i * 10000 FROM generate_series(1, 20) i;
INSERT INTO household_demographics
SELECT i, 1 + i % 20, (ARRAY['0-500', '501-1000', '1001-5000', '5001-10000', '>10000', 'Unknown'])[1 + i / 20 % 6], i / 120 % 10, i / 1200 % 6 - 1
FROM generate_series(1, 7200) i;
INSERT INTO customer_demographics
SELECT i, (ARRAY['M', 'F'])[1 + i % 2], (ARRAY['M', 'S', 'D', 'W', 'U'])[1 + i / 2 % 5],
       (ARRAY['Primary', 'Secondary', 'College', '2 yr Degree', '4 yr Degree', 'Advanced Degree', 'Unknown'])[1 + i / 10 % 7],
       500 * (1 + i / 70 % 20), (ARRAY['Good', 'Low Risk', 'High Risk', 'Unknown'])[1 + i / 1400 % 4], i / 5600 % 7, i / 39200 % 7, i / 274400 % 7
FROM generate_series(1, :cdemos) i;
INSERT INTO customer_address
SELECT i, gen.id(i), gen.n(i, 1, 1, 999), initcap(gen.text(i, 2, 5, 20)), gen.pick(i, 3, ARRAY['Street', 'Ave', 'Blvd', 'Lane', 'Ct.']),
       'Suite ' || gen.n(i, 4, 0, 99), 'City ' || gen.skew(i, 5, 1, 300, 2), 'County ' || gen.skew(i, 6, 1, 400, 1.5),
       gen.pick(i, 7, ARRAY['TX', 'TX', 'TX', 'GA', 'GA', 'VA', 'KY', 'MO', 'KS', 'NC', 'IL', 'IA', 'CA', 'CA', 'OH', 'NE', 'TN', 'MN',
                            'WI', 'AL', 'IN', 'MI', 'MS', 'LA', 'OK', 'AR', 'SD', 'NY', 'FL', 'WV', 'PA', 'ND', 'MT', 'CO', 'WA', 'OR']),
       lpad(gen.skew(i, 8, 10000, 99999, 1.2)::text, 5, '0'), 'United States', -10 + gen.n(i, 9, 0, 5),
       gen.pick(i, 10, ARRAY['apartment', 'condo', 'single family'])
FROM generate_series(1, :addresses) i;
INSERT INTO customer
SELECT i, gen.id(i), gen.fk(i, 1, :cdemos), gen.fk(i, 2, 7200), gen.n(i, 3, 1, :addresses), 2450000 + gen.n(i, 4, 0, 2600),
       2450000 + gen.n(i, 4, 0, 2600) - 30, gen.pick(i, 5, ARRAY['Mr.', 'Mrs.', 'Ms.', 'Dr.', 'Miss', 'Sir']),
       initcap(gen.pick(i, 6, f)), initcap(gen.pick(i, 7, f) || gen.pick(i, 8, f)), CASE WHEN gen.u(i, 9) < 0.5 THEN 'Y' ELSE 'N' END,
       gen.n(i, 10, 1, 28), gen.n(i, 11, 1, 12), gen.n(i, 12, 1924, 1992),
       gen.pick(i, 13, ARRAY['TOGO', 'JAPAN', 'CHILE', 'FRANCE', 'NORWAY', 'PERU', 'GHANA', 'NEPAL', 'INDIA', 'ITALY', 'CHAD', 'FIJI']),
       NULL, 'c' || i || '@mail.example', 2452283 + gen.n(i, 14, 0, 365)
FROM generate_series(1, :customers) i,
     (SELECT ARRAY['an', 'ber', 'cor', 'del', 'es', 'fri', 'gil', 'hen', 'ida', 'jon', 'kar', 'lou', 'mar', 'nor', 'ott', 'pia', 'rob',
                   'sam', 'tim', 'una', 'vic', 'wal', 'yan', 'zoe'] AS f) names;
INSERT INTO store
SELECT i, gen.id(i / 2 * 2), '1997-03-13', NULL, NULL, (ARRAY['ought', 'able', 'ese', 'anti', 'cally', 'eing', 'bar', 'pri'])[1 + i % 8], 200 + i * 7,
       5000000 + i * 30000, '8AM-8AM', 'Manager ' || i, 1 + i % 10, 'Unknown', gen.text(i, 1, 30, 99), 'Head ' || i, 1, 'Unknown', 1, 'Unknown',
       i::text, 'Main', 'Street', 'Suite 1', 'City ' || (1 + i % 5), 'County ' || (1 + i % 6), (ARRAY['TX', 'TX', 'GA', 'TN', 'SD', 'AL'])[1 + i % 6],
       10000 + i * 613, 'United States', -5 - i % 2, 0.01 * (i % 11)
FROM generate_series(1, :stores) i;
INSERT INTO call_center
SELECT i, gen.id(i), 'Center ' || i, (ARRAY['small', 'medium', 'large'])[1 + i % 3], i * 50, '8AM-4PM', 'Manager ' || i, 1 + i % 6,
       'County ' || (1 + i % 4), 'TN', -5 FROM generate_series(1, 6) i;
INSERT INTO catalog_page
SELECT i, gen.id(i), 2450815 + i / 108 * 90, 2450815 + i / 108 * 90 + 89, 'DEPARTMENT', 1 + i / 108, 1 + i % 108, gen.text(i, 1, 30, 99),
       gen.pick(i, 2, ARRAY['bi-annual', 'quarterly', 'monthly']) FROM generate_series(1, :pages) i;
INSERT INTO web_site
SELECT i, gen.id(i), 'site_' || i / 6, 'Manager ' || i, 1 + i % 6, 1 + i % 6, (ARRAY['pri', 'able', 'ought', 'ation', 'cally', 'ese'])[1 + i % 6],
       'County 1', 'TN' FROM generate_series(1, 30) i;
INSERT INTO web_page
SELECT i, gen.id(i), 2450800 + i, CASE WHEN i % 3 = 0 THEN 'Y' ELSE 'N' END, NULL, 'http://www.example.com',
       gen.pick(i, 1, ARRAY['order', 'general', 'feedback', 'welcome', 'dynamic', 'ad', 'protected']), gen.n(i, 2, 500, 8000), gen.n(i, 3, 2, 25)
FROM generate_series(1, 60) i;
INSERT INTO promotion
SELECT i, gen.id(i), 2450100 + i * 3, 2450130 + i * 3, gen.n(i, 1, 1, :items), 1000, 'promotion ' || i % 10, f[1 + i % 2], f[1 + i % 50 / 49], 'N',
       f[1 + i % 50 / 49], 'N', f[1 + i % 30 / 29], 'Unknown', 'N' FROM generate_series(1, :promotions) i, (SELECT ARRAY['N', 'Y'] AS f) f;
INSERT INTO warehouse SELECT i, gen.id(i), 'Warehouse ' || i, 100000 * i, 'City 1', 'County 1', (ARRAY['TN', 'TX', 'GA', 'AL', 'SD'])[i], 'United States'
FROM generate_series(1, 5) i;
INSERT INTO ship_mode
SELECT i, gen.id(i), (ARRAY['EXPRESS', 'NEXT DAY', 'OVERNIGHT', 'TWO DAY', 'LIBRARY', 'REGULAR'])[1 + i % 6], (ARRAY['AIR', 'SURFACE', 'SEA'])[1 + i % 3],
       'Carrier ' || i, 'contract ' || i FROM generate_series(1, 20) i;
INSERT INTO reason SELECT i, gen.id(i), 'reason ' || i FROM generate_series(1, 35) i;
INSERT INTO inventory
SELECT 2450815 + week * 7, i, w, CASE WHEN gen.u(week * 100000 + i * 5 + w, 1) >= 0.05 THEN gen.n(week * 100000 + i * 5 + w, 2, 0, 1000) END
FROM generate_series(0, 260, CASE WHEN :scale < 0.5 THEN 5 ELSE 1 END) week, generate_series(1, :items, 2) i, generate_series(1, 5) w;

-- Tickets and orders of several lines; those of one are of the same day and customer.
INSERT INTO store_sales
SELECT sold, gen.skew(t, 2, 28800, 75599, 0.8), item, customer, gen.fk(t, 4, :cdemos), gen.fk(t, 5, 7200), gen.fk(t, 6, :addresses), store,
       gen.fk(l, 8, :promotions), t, quantity, cost, list, sale, CASE WHEN gen.u(l, 9) < 0.2 THEN round(sale * quantity * 0.3, 2) ELSE 0 END,
       sale * quantity, cost * quantity, list * quantity, round(sale * quantity * 0.05, 2),
       CASE WHEN gen.u(l, 9) < 0.2 THEN round(sale * quantity * 0.3, 2) ELSE 0 END, sale * quantity, round(sale * quantity * 1.05, 2), (sale - cost) * quantity
FROM (SELECT t, t * 32 + line AS l, CASE WHEN gen.u(t, 1) >= 0.02 THEN gen.day(t, :tickets) END AS sold,
             CASE WHEN gen.u(t, 3) >= 0.03 THEN gen.skew(t, 303, 1, :customers, 1.6) END AS customer, gen.fk(t, 7, :stores) AS store,
             1 + (gen.skew(t, 10, 0, :items - 1, 1.4) + line * 37) % :items AS item, gen.n(t * 32 + line, 11, 1, 100) AS quantity,
             gen.money(t * 32 + line, 12, 1, 100) AS cost, round(gen.money(t * 32 + line, 12, 1, 100) * (1 + gen.u(t * 32 + line, 13))::numeric, 2) AS list,
             round(gen.money(t * 32 + line, 12, 1, 100) * (1 + gen.u(t * 32 + line, 13) * gen.u(t * 32 + line, 14))::numeric, 2) AS sale
      FROM generate_series(1, :tickets) t, generate_series(1, gen.n(t, 15, 4, 20)) line OFFSET 0) s;
INSERT INTO store_returns
SELECT ss_sold_date_sk + gen.n(l, 1, 1, 90), gen.n(l, 2, 28800, 61199), ss_item_sk, ss_customer_sk, ss_cdemo_sk, ss_hdemo_sk, ss_addr_sk, ss_store_sk,
       gen.fk(l, 3, 35), ss_ticket_number, q, ss_sales_price * q, round(ss_sales_price * q * 0.05, 2), round(ss_sales_price * q * 1.05, 2),
       gen.money(l, 5, 1, 100), gen.money(l, 6, 0, 50), ss_sales_price * q, 0, 0, gen.money(l, 7, 1, 1000)
FROM (SELECT *, ss_ticket_number * 65536::bigint + ss_item_sk AS l, 1 + ss_quantity / 3 AS q FROM store_sales OFFSET 0) s WHERE gen.u(l, 100) < 0.1;
INSERT INTO catalog_sales
SELECT sold, gen.n(o, 2, 0, 86399), sold + gen.n(l, 3, 2, 120), customer, gen.fk(o, 4, :cdemos), gen.fk(o, 5, 7200), address,
       CASE WHEN gen.u(o, 7) < 0.85 THEN customer ELSE gen.fk(o, 8, :customers) END, gen.fk(o, 4, :cdemos), gen.fk(o, 5, 7200),
       CASE WHEN gen.u(o, 7) < 0.85 THEN address ELSE gen.fk(o, 8, :addresses) END, gen.fk(o, 9, 6), gen.fk(l, 10, :pages), gen.fk(l, 11, 20),
       gen.fk(l, 12, 5), item, gen.fk(l, 13, :promotions), o, quantity, cost, list, sale, (list - sale) * quantity, sale * quantity, cost * quantity,
       list * quantity, round(sale * quantity * 0.05, 2), 0, round(list * quantity * 0.1, 2), sale * quantity, round(sale * quantity * 1.05, 2),
       round(sale * quantity * 1.1, 2), round(sale * quantity * 1.15, 2), (sale - cost) * quantity
FROM (SELECT o, o * 32 + line AS l, CASE WHEN gen.u(o, 1) >= 0.005 THEN gen.day(o, :catalog_orders) END AS sold,
             gen.skew(o, 303, 1, :customers, 1.4) AS customer, gen.fk(o, 6, :addresses) AS address,
             1 + (gen.skew(o, 14, 0, :items - 1, 1.3) + line * 41) % :items AS item, gen.n(o * 32 + line, 15, 1, 100) AS quantity,
             gen.money(o * 32 + line, 16, 1, 100) AS cost, round(gen.money(o * 32 + line, 16, 1, 100) * (1 + 2 * gen.u(o * 32 + line, 17))::numeric, 2) AS list,
             round(gen.money(o * 32 + line, 16, 1, 100) * (1 + 2 * gen.u(o * 32 + line, 17) * gen.u(o * 32 + line, 18))::numeric, 2) AS sale
      FROM generate_series(1, :catalog_orders) o, generate_series(1, gen.n(o, 19, 4, 14)) line OFFSET 0) s;
INSERT INTO catalog_returns
SELECT cs_sold_date_sk + gen.n(l, 1, 3, 150), gen.n(l, 2, 0, 86399), cs_item_sk, cs_bill_customer_sk, cs_bill_cdemo_sk, cs_bill_hdemo_sk,
       cs_bill_addr_sk, cs_ship_customer_sk, cs_ship_cdemo_sk, cs_ship_hdemo_sk, cs_ship_addr_sk, cs_call_center_sk, cs_catalog_page_sk,
       gen.fk(l, 3, 20), gen.fk(l, 4, 5), gen.fk(l, 5, 35), cs_order_number, q, cs_sales_price * q, round(cs_sales_price * q * 0.05, 2),
       round(cs_sales_price * q * 1.05, 2), gen.money(l, 6, 1, 100), gen.money(l, 7, 0, 50), cs_sales_price * q, 0, 0, gen.money(l, 8, 1, 1000)
FROM (SELECT *, cs_order_number * 65536::bigint + cs_item_sk AS l, 1 + cs_quantity / 3 AS q FROM catalog_sales OFFSET 0) s WHERE gen.u(l, 100) < 0.1;
INSERT INTO web_sales
SELECT sold, gen.n(o, 2, 0, 86399), sold + gen.n(l, 3, 1, 120), item, customer, gen.fk(o, 4, :cdemos), gen.fk(o, 5, 7200), address,
       CASE WHEN gen.u(o, 7) < 0.85 THEN customer ELSE gen.fk(o, 8, :customers) END, gen.fk(o, 4, :cdemos), gen.fk(o, 5, 7200),
       CASE WHEN gen.u(o, 7) < 0.85 THEN address ELSE gen.fk(o, 8, :addresses) END, gen.fk(l, 9, 60), gen.fk(o, 10, 30), gen.fk(l, 11, 20),
       gen.fk(l, 12, 5), gen.fk(l, 13, :promotions), o, quantity, cost, list, sale, (list - sale) * quantity, sale * quantity, cost * quantity,
       list * quantity, round(sale * quantity * 0.05, 2), 0, round(list * quantity * 0.1, 2), sale * quantity, round(sale * quantity * 1.05, 2),
       round(sale * quantity * 1.1, 2), round(sale * quantity * 1.15, 2), (sale - cost) * quantity
FROM (SELECT o, o * 32 + line AS l, CASE WHEN gen.u(o, 1) >= 0.001 THEN gen.day(o, :web_orders) END AS sold,
             gen.skew(o, 303, 1, :customers, 1.5) AS customer, gen.fk(o, 6, :addresses) AS address,
             1 + (gen.skew(o, 14, 0, :items - 1, 1.3) + line * 43) % :items AS item, gen.n(o * 32 + line, 15, 1, 100) AS quantity,
             gen.money(o * 32 + line, 16, 1, 100) AS cost, round(gen.money(o * 32 + line, 16, 1, 100) * (1 + 2 * gen.u(o * 32 + line, 17))::numeric, 2) AS list,
             round(gen.money(o * 32 + line, 16, 1, 100) * (1 + 2 * gen.u(o * 32 + line, 17) * gen.u(o * 32 + line, 18))::numeric, 2) AS sale
      FROM generate_series(1, :web_orders) o, generate_series(1, gen.n(o, 19, 8, 16)) line OFFSET 0) s;
INSERT INTO web_returns
SELECT ws_sold_date_sk + gen.n(l, 1, 3, 150), gen.n(l, 2, 0, 86399), ws_item_sk, ws_bill_customer_sk, ws_bill_cdemo_sk, ws_bill_hdemo_sk,
       ws_bill_addr_sk, ws_ship_customer_sk, ws_ship_cdemo_sk, ws_ship_hdemo_sk, ws_ship_addr_sk, ws_web_page_sk, gen.fk(l, 5, 35), ws_order_number,
       q, ws_sales_price * q, round(ws_sales_price * q * 0.05, 2), round(ws_sales_price * q * 1.05, 2), gen.money(l, 6, 1, 100),
       gen.money(l, 7, 0, 50), ws_sales_price * q, 0, 0, gen.money(l, 8, 1, 1000)
FROM (SELECT *, ws_order_number * 65536::bigint + ws_item_sk AS l, 1 + ws_quantity / 3 AS q FROM web_sales OFFSET 0) s WHERE gen.u(l, 100) < 0.1;
