-- Tables, columns and proportions after TPC-H's public specification, filled by a
-- generator of our own (unlike dbgen's, orders come in the order of their dates
-- and some parts are much more popular than others). Scale 1 has 6 million lines.
CREATE TABLE region (r_regionkey int PRIMARY KEY, r_name char(25) NOT NULL, r_comment varchar(152));
CREATE TABLE nation (n_nationkey int PRIMARY KEY, n_name char(25) NOT NULL, n_regionkey int NOT NULL, n_comment varchar(152));
CREATE TABLE supplier (s_suppkey int PRIMARY KEY, s_name char(25) NOT NULL, s_address varchar(40) NOT NULL,
    s_nationkey int NOT NULL, s_phone char(15) NOT NULL, s_acctbal numeric(15,2) NOT NULL, s_comment varchar(101) NOT NULL);
CREATE TABLE customer (c_custkey int PRIMARY KEY, c_name varchar(25) NOT NULL, c_address varchar(40) NOT NULL,
    c_nationkey int NOT NULL, c_phone char(15) NOT NULL, c_acctbal numeric(15,2) NOT NULL, c_mktsegment char(10) NOT NULL,
    c_comment varchar(117) NOT NULL);
CREATE TABLE part (p_partkey int PRIMARY KEY, p_name varchar(55) NOT NULL, p_mfgr char(25) NOT NULL, p_brand char(10) NOT NULL,
    p_type varchar(25) NOT NULL, p_size int NOT NULL, p_container char(10) NOT NULL, p_retailprice numeric(15,2) NOT NULL,
    p_comment varchar(23) NOT NULL);
CREATE TABLE partsupp (ps_partkey int, ps_suppkey int, ps_availqty int NOT NULL, ps_supplycost numeric(15,2) NOT NULL,
    ps_comment varchar(199) NOT NULL, PRIMARY KEY (ps_partkey, ps_suppkey));
CREATE TABLE orders (o_orderkey int PRIMARY KEY, o_custkey int NOT NULL, o_orderstatus char(1) NOT NULL,
    o_totalprice numeric(15,2) NOT NULL, o_orderdate date NOT NULL, o_orderpriority char(15) NOT NULL, o_clerk char(15) NOT NULL,
    o_shippriority int NOT NULL, o_comment varchar(79) NOT NULL);
CREATE TABLE lineitem (l_orderkey int, l_partkey int NOT NULL, l_suppkey int NOT NULL, l_linenumber int,
    l_quantity numeric(15,2) NOT NULL, l_extendedprice numeric(15,2) NOT NULL, l_discount numeric(15,2) NOT NULL,
    l_tax numeric(15,2) NOT NULL, l_returnflag char(1) NOT NULL, l_linestatus char(1) NOT NULL, l_shipdate date NOT NULL,
    l_commitdate date NOT NULL, l_receiptdate date NOT NULL, l_shipinstruct char(25) NOT NULL, l_shipmode char(10) NOT NULL,
    l_comment varchar(44) NOT NULL, PRIMARY KEY (l_orderkey, l_linenumber));

SELECT greatest(100, (10000 * :scale)::int) AS suppliers, greatest(1000, (150000 * :scale)::int) AS customers,
       greatest(1000, (200000 * :scale)::int) AS parts, greatest(10000, (1500000 * :scale)::int) AS orders \gset

INSERT INTO region SELECT i - 1, name, gen.text(i, 1, 31, 115)
FROM unnest(ARRAY['AFRICA', 'AMERICA', 'ASIA', 'EUROPE', 'MIDDLE EAST']) WITH ORDINALITY n (name, i);
INSERT INTO nation SELECT i - 1, name, region, gen.text(i, 2, 31, 114)
FROM unnest(ARRAY['ALGERIA', 'ARGENTINA', 'BRAZIL', 'CANADA', 'EGYPT', 'ETHIOPIA', 'FRANCE', 'GERMANY', 'INDIA', 'INDONESIA', 'IRAN',
                  'IRAQ', 'JAPAN', 'JORDAN', 'KENYA', 'MOROCCO', 'MOZAMBIQUE', 'PERU', 'CHINA', 'ROMANIA', 'SAUDI ARABIA',
                  'VIETNAM', 'RUSSIA', 'UNITED KINGDOM', 'UNITED STATES'],
            ARRAY[0, 1, 1, 1, 4, 0, 3, 3, 2, 2, 4, 4, 2, 4, 0, 0, 0, 1, 2, 3, 4, 2, 3, 3, 1]) WITH ORDINALITY n (name, region, i);
INSERT INTO supplier
SELECT i, 'Supplier#' || lpad(i::text, 9, '0'), gen.text(i, 1, 10, 40), gen.n(i, 2, 0, 24),
       10 + gen.n(i, 2, 0, 24) || '-' || gen.n(i, 3, 100, 999) || '-' || gen.n(i, 4, 100, 999) || '-' || gen.n(i, 5, 1000, 9999),
       gen.money(i, 6, -999, 9999),
       CASE WHEN i % 500 = 7 THEN 'Customer mild Complaints ' ELSE '' END || gen.text(i, 7, 25, 70)
FROM generate_series(1, :suppliers) i;
INSERT INTO customer
SELECT i, 'Customer#' || lpad(i::text, 9, '0'), gen.text(i, 1, 10, 40), gen.n(i, 2, 0, 24),
       10 + gen.n(i, 2, 0, 24) || '-' || gen.n(i, 3, 100, 999) || '-' || gen.n(i, 4, 100, 999) || '-' || gen.n(i, 5, 1000, 9999),
       gen.money(i, 6, -999, 9999),
       gen.pick(i, 7, ARRAY['AUTOMOBILE', 'BUILDING', 'FURNITURE', 'MACHINERY', 'HOUSEHOLD']), gen.text(i, 8, 29, 116)
FROM generate_series(1, :customers) i;
INSERT INTO part
SELECT i, concat_ws(' ', gen.pick(i, 1, c), gen.pick(i, 2, c), gen.pick(i, 3, c), gen.pick(i, 4, c), gen.pick(i, 5, c)),
       'Manufacturer#' || gen.n(i, 6, 1, 5), 'Brand#' || gen.n(i, 6, 1, 5) || gen.n(i, 7, 1, 5),
       gen.pick(i, 8, ARRAY['STANDARD', 'SMALL', 'MEDIUM', 'LARGE', 'ECONOMY', 'PROMO']) || ' ' ||
       gen.pick(i, 9, ARRAY['ANODIZED', 'BURNISHED', 'PLATED', 'POLISHED', 'BRUSHED']) || ' ' ||
       gen.pick(i, 10, ARRAY['TIN', 'NICKEL', 'BRASS', 'STEEL', 'COPPER']),
       gen.n(i, 11, 1, 50),
       gen.pick(i, 12, ARRAY['SM', 'LG', 'MED', 'JUMBO', 'WRAP']) || ' ' ||
       gen.pick(i, 13, ARRAY['CASE', 'BOX', 'BAG', 'JAR', 'PKG', 'PACK', 'CAN', 'DRUM']),
       900 + (i % 1000) * 1.10, gen.text(i, 14, 5, 22)
FROM generate_series(1, :parts) i,
     (SELECT ARRAY['almond', 'azure', 'beige', 'blue', 'brown', 'chocolate', 'cream', 'cyan', 'dark', 'forest', 'ghost', 'green',
                   'indian', 'ivory', 'khaki', 'lemon', 'lime', 'magenta', 'mint', 'navy', 'olive', 'orange', 'peru', 'pink',
                   'plum', 'red', 'rose', 'salmon', 'sky', 'snow', 'tan', 'white'] AS c) colours;
INSERT INTO partsupp
SELECT p, 1 + (p + s * (:suppliers / 4)) % :suppliers, gen.n(p * 4 + s, 1, 1, 9999), gen.money(p * 4 + s, 2, 1, 1000),
       gen.text(p * 4 + s, 3, 49, 198)
FROM generate_series(1, :parts) p, generate_series(0, 3) s;

-- Seven years of orders, more and less in the order of their dates; a third of
-- the customers never ordered.
CREATE UNLOGGED TABLE gen.orders AS
SELECT i, i * 4 - 3 + i % 3 AS orderkey, date '1992-01-01' + least(2405, (i * 2400.0 / :orders + 20 * gen.u(i, 1))::int) AS orderdate,
       gen.n(i, 2, 1, 7) AS lines
FROM generate_series(1, :orders) i;
INSERT INTO lineitem
SELECT l.orderkey, l.part, 1 + (l.part + gen.n(l.id, 2, 0, 3) * (:suppliers / 4)) % :suppliers, l.line,
       l.quantity, round(l.quantity * (900 + (l.part % 1000) * 1.10), 2), gen.n(l.id, 4, 0, 10) / 100.0, gen.n(l.id, 5, 0, 8) / 100.0,
       CASE WHEN receipt > date '1995-06-17' THEN 'N' WHEN gen.u(l.id, 6) < 0.5 THEN 'R' ELSE 'A' END,
       CASE WHEN ship > date '1995-06-17' THEN 'O' ELSE 'F' END,
       ship, l.orderdate + gen.n(l.id, 8, 30, 90), receipt,
       gen.pick(l.id, 10, ARRAY['DELIVER IN PERSON', 'COLLECT COD', 'NONE', 'TAKE BACK RETURN']),
       gen.pick(l.id, 11, ARRAY['REG AIR', 'AIR', 'RAIL', 'SHIP', 'TRUCK', 'MAIL', 'FOB']), gen.text(l.id, 12, 10, 43)
FROM (SELECT o.orderkey, o.orderdate, line, o.i * 8 + line AS id,
             CASE WHEN gen.u(o.i * 8 + line, 13) < 0.7 THEN gen.n(o.i * 8 + line, 1, 1, :parts)
                  ELSE gen.skew(o.i * 8 + line, 1, 1, :parts, 4) END AS part,
             gen.n(o.i * 8 + line, 3, 1, 50)::numeric AS quantity,
             o.orderdate + gen.n(o.i * 8 + line, 7, 1, 121) AS ship,
             o.orderdate + gen.n(o.i * 8 + line, 7, 1, 121) + gen.n(o.i * 8 + line, 9, 1, 30) AS receipt
      FROM gen.orders o, generate_series(1, o.lines) line OFFSET 0) l;
INSERT INTO orders
SELECT o.orderkey, c - (c % 3 = 0)::int, l.status, l.total, o.orderdate,
       gen.pick(o.i, 4, ARRAY['1-URGENT', '2-HIGH', '3-MEDIUM', '4-NOT SPECIFIED', '5-LOW']),
       'Clerk#' || lpad(gen.n(o.i, 5, 1, greatest(10, :suppliers / 10))::text, 9, '0'), 0, gen.text(o.i, 6, 19, 78)
FROM (SELECT *, gen.n(i, 3, 2, :customers) AS c FROM gen.orders OFFSET 0) o
     JOIN (SELECT l_orderkey, sum(round(l_extendedprice * (1 + l_tax) * (1 - l_discount), 2)) AS total,
                  CASE WHEN bool_and(l_linestatus = 'F') THEN 'F' WHEN bool_and(l_linestatus = 'O') THEN 'O' ELSE 'P' END AS status
           FROM lineitem GROUP BY l_orderkey) l ON l.l_orderkey = o.orderkey
ORDER BY o.i;
DROP TABLE gen.orders;
