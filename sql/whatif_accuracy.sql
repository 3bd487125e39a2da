-- Costs with imagined indexes against the costs once they are built. What is
-- printed is whether the limits hold; the pairs outside them are shown as warnings.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS pg_hone;
SELECT count(*) = 2 AS contrib FROM pg_available_extensions WHERE name IN ('pg_trgm', 'btree_gist') \gset
CREATE SCHEMA whatif_accuracy;
SET search_path = whatif_accuracy, public;
\if :contrib
CREATE EXTENSION IF NOT EXISTS pg_trgm SCHEMA whatif_accuracy;
CREATE EXTENSION IF NOT EXISTS btree_gist SCHEMA whatif_accuracy;
\endif
RESET client_min_messages;

-- events in time order
CREATE TABLE ev WITH (autovacuum_enabled = off) AS
SELECT i AS id, 'm' || (sin(i) * sin(i) * cos(i * 7.3) * 50)::int AS name, (i * 7919) % 150001 AS scattered,
       CASE WHEN i % 5 > 0 THEN (i * 31) % 307 END AS owner,
       CASE WHEN i % 10 = 0 THEN i END AS mostly_null,
       '2025-01-01'::timestamptz + i * interval '1 second' AS ts,
       CASE WHEN i % 23 = 0 THEN 'open' ELSE 'done' END AS status,
       md5(i::text) AS note, ((i * 7919) % 100003 / 100.0)::numeric(10, 2) AS price,
       md5(i::text)::uuid AS ref, i % 4 = 0 AS flag, (i * 0.37) AS val,
       ((i * 7919) % 150001)::float8 / 150001 AS noise,
       ('10.' || i % 4 || '.' || (i * 31) % 251 || '.' || (i * 17) % 253)::inet AS addr,
       repeat('x', i % 200) || i AS wide
FROM generate_series(1, 150000) i;

-- documents in no order
CREATE TABLE doc WITH (autovacuum_enabled = off) AS
SELECT i AS id,
       jsonb_build_object('host', 'h' || (i * 31) % 101, 'request', i, 'level', CASE WHEN i % 50 = 0 THEN 'error' ELSE 'info' END) AS labels,
       ARRAY['t' || i % 20, 'u' || (i * 7919) % 1009] AS tags,
       ARRAY[(i * 7919) % 5003, i % 50] AS numbers,
       to_tsvector('simple', 'word' || (i * 7919) % 1009 || ' foo' || i % 31 || ' bar' || i % 7) AS words,
       'user' || (i * 7919) % 5003 || '@example' || i % 50 || '.com' AS email,
       'the word' || (i * 7919) % 1009 || ' of day ' || i % 365 AS body
FROM generate_series(1, 60000) i;

-- places and spans
CREATE TABLE geo WITH (autovacuum_enabled = off) AS
SELECT i AS id, point((i * 7919) % 100003 / 100.0, (i * 12343) % 100003 / 100.0) AS pt,
       box(point(i % 1000, i / 100), point(i % 1000 + 5, i / 100 + 5)) AS bx,
       circle(point((i * 7919) % 100003 / 100.0, (i * 12343) % 100003 / 100.0), i % 7) AS ci,
       int4range((i * 7919) % 100003, (i * 7919) % 100003 + i % 100) AS span,
       tstzrange('2025-01-01'::timestamptz + i * interval '1 minute', '2025-01-01'::timestamptz + (i + i % 90) * interval '1 minute') AS during,
       (i * 7919) % 5003 AS room, 'name' || (i * 7919) % 5003 AS name
FROM generate_series(1, 60000) i;

-- a join
CREATE TABLE customers WITH (autovacuum_enabled = off) AS
SELECT i AS customer, 'c' || i AS name, i % 25 AS nation FROM generate_series(1, 10000) i;
CREATE TABLE orders WITH (autovacuum_enabled = off) AS
SELECT i AS id, (i * 7919) % 10007 AS customer, '2020-01-01'::date + i / 100 AS day, (i * 31) % 1009 AS total, CASE WHEN i % 100 = 0 THEN 'late' ELSE 'ok' END AS state
FROM generate_series(1, 100000) i;
CREATE TABLE lines WITH (autovacuum_enabled = off) AS
SELECT (i * 6007) % 100003 AS order_id, i % 7 AS line, (i * 4099) % 20011 AS part, i % 50 AS quantity FROM generate_series(1, 300000) i;

-- partitions
CREATE TABLE parted (id int, day date, kind text, tags text[], pt point) PARTITION BY RANGE (day);
CREATE TABLE parted_1 PARTITION OF parted FOR VALUES FROM ('2025-01-01') TO ('2025-04-01') WITH (autovacuum_enabled = off);
CREATE TABLE parted_2 PARTITION OF parted FOR VALUES FROM ('2025-04-01') TO ('2025-07-01') WITH (autovacuum_enabled = off);
CREATE TABLE parted_3 PARTITION OF parted FOR VALUES FROM ('2025-07-01') TO ('2026-01-01') WITH (autovacuum_enabled = off);
INSERT INTO parted SELECT i, '2025-01-01'::date + i / 300, 'k' || abs(hashint4(i)) % 500, ARRAY['t' || (i * 31) % 997], point(i % 1000, i % 777) FROM generate_series(1, 100000) i;

-- for expressions, whose statistics are only there after ANALYZE: of all rows,
-- so that ANALYZE changes nothing else
CREATE TABLE ex WITH (autovacuum_enabled = off) AS
SELECT id, note, jsonb_build_object('host', 'h' || (id * 31) % 101, 'n', id % 1000) AS labels, ts, wide, scattered,
       'the word' || scattered % 1009 || ' of day ' || id % 365 AS body
FROM ev WHERE id <= 50000;

VACUUM ANALYZE ev, doc, geo, customers, orders, lines, parted;
SET default_statistics_target = 170;
VACUUM ANALYZE ex;

CREATE TABLE pairs (n serial, method text, definitions text[], statement text, needs text, cost float8, real_cost float8, size float8, real_size float8, shape text, real_shape text);

-- needs: what must be installed, or 'analyze' where statistics are only there after that
INSERT INTO pairs (definitions, statement, needs)
SELECT string_to_array(d, ';'), q, n FROM (VALUES
-- b-tree
('ev (id)', 'SELECT * FROM ev WHERE id < 500', NULL),
('ev (id)', 'SELECT count(*) FROM ev WHERE id BETWEEN 1000 AND 60000', NULL),
('ev (id)', 'SELECT max(id) FROM ev', NULL),
('ev (scattered)', 'SELECT * FROM ev WHERE scattered < 500', NULL),
('ev (scattered)', 'SELECT * FROM ev WHERE scattered BETWEEN 10000 AND 30000', NULL),
('ev (scattered)', 'SELECT * FROM ev WHERE scattered IN (1, 7, 77, 777)', NULL),
('ev (scattered)', 'SELECT * FROM ev ORDER BY scattered LIMIT 50', NULL),
('ev (name)', 'SELECT count(*) FROM ev WHERE name = ''m2''', NULL),
('ev (name)', 'SELECT name, count(*) FROM ev GROUP BY name', NULL),
('ev (owner)', 'SELECT * FROM ev WHERE owner = 7', NULL),
('ev (owner)', 'SELECT count(*) FROM ev WHERE owner IS NULL', NULL),
('ev (owner DESC NULLS LAST)', 'SELECT * FROM ev ORDER BY owner DESC NULLS LAST LIMIT 30', NULL),
('ev (flag)', 'SELECT count(*) FROM ev WHERE flag', NULL),
('ev (price)', 'SELECT * FROM ev WHERE price < 2', NULL),
('ev (ref)', 'SELECT * FROM ev WHERE ref = ''c4ca4238a0b923820dcc509a6f75849b''', NULL),
('ev (note)', 'SELECT * FROM ev WHERE note < ''01''', NULL),
('ev (note COLLATE "C")', 'SELECT * FROM ev WHERE note COLLATE "C" LIKE ''abc%''', NULL),
('ev (wide)', 'SELECT * FROM ev ORDER BY wide LIMIT 100', NULL),
('ev (ts DESC)', 'SELECT * FROM ev ORDER BY ts DESC LIMIT 20', NULL),
('ev (name, ts DESC)', 'SELECT * FROM ev WHERE name = ''m2'' ORDER BY ts DESC LIMIT 20', NULL),
('ev (owner, status)', 'SELECT * FROM ev WHERE owner = 7 AND status = ''open''', NULL),
('ev (owner, mostly_null)', 'SELECT * FROM ev WHERE owner = 7 AND mostly_null > 50000', NULL),
('ev (owner, scattered)', 'SELECT owner, scattered FROM ev WHERE owner = 9', NULL),
('ev (mostly_null) WHERE mostly_null IS NOT NULL', 'SELECT * FROM ev WHERE mostly_null < 1000', NULL),
('ev (status, ts) WHERE status = ''open''', 'SELECT * FROM ev WHERE status = ''open'' ORDER BY ts LIMIT 100', NULL),
('ev (ts) WHERE status = ''open''', 'SELECT count(*) FROM ev WHERE status = ''open''', NULL),
('ev (name) WHERE status = ''open''', 'SELECT * FROM ev WHERE status = ''open'' AND name = ''m7''', NULL),
('ev (ts) INCLUDE (status, val)', 'SELECT sum(val) FROM ev WHERE ts < ''2025-01-01 10:00'' AND status = ''open''', NULL),
('ev (owner) INCLUDE (price, noise)', 'SELECT avg(price), max(noise) FROM ev WHERE owner BETWEEN 20 AND 60', NULL),
('ev (noise) WITH (fillfactor = 60)', 'SELECT count(*) FROM ev WHERE noise < 0.2', NULL),
('ev (owner);ev (scattered)', 'SELECT * FROM ev WHERE owner = 7 AND scattered < 3000', NULL),
('ev (owner);ev (name)', 'SELECT * FROM ev WHERE owner = 7 OR name = ''m20''', NULL),
('ev (owner)', 'UPDATE ev SET val = 0 WHERE owner = 7', NULL),
('ev (id)', 'DELETE FROM ev WHERE id IN (5, 6)', NULL),
-- joins
('lines (order_id)', 'SELECT * FROM orders o JOIN lines l ON l.order_id = o.id WHERE o.day = ''2020-02-01''', NULL),
('lines (order_id) INCLUDE (quantity)', 'SELECT o.id, sum(quantity) FROM orders o JOIN lines l ON l.order_id = o.id WHERE o.customer = 77 GROUP BY o.id', NULL),
('orders (customer)', 'SELECT * FROM customers c JOIN orders o USING (customer) WHERE c.name = ''c99''', NULL),
('orders (customer);lines (order_id)', 'SELECT * FROM customers c JOIN orders o USING (customer) JOIN lines l ON l.order_id = o.id WHERE c.name = ''c99''', NULL),
('orders (id)', 'SELECT * FROM lines l JOIN orders o ON l.order_id = o.id WHERE l.part = 77', NULL),
('lines (part, quantity)', 'SELECT part, quantity FROM lines ORDER BY part, quantity LIMIT 1000', NULL),
('orders (id);lines (order_id)', 'SELECT count(*) FROM orders o JOIN lines l ON l.order_id = o.id', NULL),
('orders (customer)', 'SELECT * FROM customers c WHERE c.nation = 3 AND EXISTS (SELECT 1 FROM orders o WHERE o.customer = c.customer AND o.state = ''late'')', NULL),
('orders USING hash (id)', 'SELECT * FROM lines l JOIN orders o ON l.order_id = o.id WHERE l.part = 78', NULL),
-- partitions
('parted (kind)', 'SELECT * FROM parted WHERE kind = ''k77''', NULL),
('parted (day, kind)', 'SELECT * FROM parted WHERE day = ''2025-05-05'' AND kind = ''k7''', NULL),
('parted (id)', 'SELECT * FROM parted ORDER BY id LIMIT 10', NULL),
('parted USING gin (tags)', 'SELECT * FROM parted WHERE tags @> ''{t7}''', NULL),
('parted USING brin (id) WITH (pages_per_range = 8)', 'SELECT * FROM parted WHERE id < 300', NULL),
('parted USING hash (kind)', 'SELECT * FROM parted WHERE kind = ''k78''', NULL),
('parted USING gist (pt)', 'SELECT * FROM parted ORDER BY pt <-> ''(5,5)'' LIMIT 5', NULL),
('parted USING spgist (pt)', 'SELECT * FROM parted WHERE pt <@ box ''((1,1),(30,30))''', NULL),
-- hash
('ev USING hash (note)', 'SELECT * FROM ev WHERE note = ''x''', NULL),
('ev USING hash (owner)', 'SELECT * FROM ev WHERE owner = 7', NULL),
('ev USING hash (ref) WHERE status = ''open''', 'SELECT * FROM ev WHERE status = ''open'' AND ref = ''c4ca4238a0b923820dcc509a6f75849b''', NULL),
('ev USING hash (scattered) WITH (fillfactor = 95)', 'SELECT * FROM ev WHERE scattered = 77', NULL),
-- BRIN
('ev USING brin (ts)', 'SELECT * FROM ev WHERE ts < ''2025-01-01 02:00''', NULL),
('ev USING brin (ts) WITH (pages_per_range = 4)', 'SELECT * FROM ev WHERE ts BETWEEN ''2025-01-01 02:00'' AND ''2025-01-01 02:10''', NULL),
('ev USING brin (id, val) WITH (pages_per_range = 16)', 'SELECT * FROM ev WHERE id < 2000 AND val < 50', NULL),
('ev USING brin (id) WHERE status = ''open''', 'SELECT * FROM ev WHERE status = ''open'' AND id < 1000', NULL),
('ev USING brin (ts timestamptz_minmax_multi_ops (values_per_range = 16)) WITH (pages_per_range = 32)', 'SELECT * FROM ev WHERE ts < ''2025-01-01 01:00''', NULL),
('ev USING brin (ref uuid_bloom_ops) WITH (pages_per_range = 64)', 'SELECT * FROM ev WHERE ref = ''c4ca4238a0b923820dcc509a6f75849b''', NULL),
('ev USING brin (id int4_bloom_ops (n_distinct_per_range = 500))', 'SELECT * FROM ev WHERE id = 77', NULL),
('geo USING brin (during) WITH (pages_per_range = 8)', 'SELECT * FROM geo WHERE during && ''[2025-01-03,2025-01-04)''', NULL),
('ev USING brin (addr inet_inclusion_ops) WITH (pages_per_range = 16)', 'SELECT * FROM ev WHERE addr << ''10.2.0.0/16''', NULL),
-- GIN
('doc USING gin (labels)', 'SELECT * FROM doc WHERE labels @> ''{"host": "h7"}''', NULL),
('doc USING gin (labels)', 'SELECT * FROM doc WHERE labels @> ''{"host": "h7", "level": "error"}''', NULL),
('doc USING gin (labels)', 'SELECT * FROM doc WHERE labels ?| ''{nothing,never}''', NULL),
('doc USING gin (labels jsonb_path_ops)', 'SELECT * FROM doc WHERE labels @> ''{"request": 77}''', NULL),
('doc USING gin (tags)', 'SELECT * FROM doc WHERE tags @> ''{u7}''', NULL),
('doc USING gin (tags)', 'SELECT * FROM doc WHERE tags && ''{u7,u8,u9}''', NULL),
('doc USING gin (numbers)', 'SELECT * FROM doc WHERE numbers @> ''{77}''', NULL),
('doc USING gin (words)', 'SELECT * FROM doc WHERE words @@ ''word7 & foo3''', NULL),
('doc USING gin (words)', 'SELECT count(*) FROM doc WHERE words @@ ''word77:*''', NULL),
('doc USING gin (tags, words)', 'SELECT * FROM doc WHERE tags @> ''{u7}'' AND words @@ ''word7''', NULL),
('doc USING gin (tags) WHERE id < 20000', 'SELECT * FROM doc WHERE id < 20000 AND tags @> ''{u7}''', NULL),
('doc USING gin (email gin_trgm_ops)', 'SELECT * FROM doc WHERE email LIKE ''%r77@%''', 'contrib'),
('doc USING gin (email gin_trgm_ops)', 'SELECT * FROM doc WHERE email ~ ''user[12]3@''', 'contrib'),
-- GiST
('geo USING gist (pt)', 'SELECT * FROM geo WHERE pt <@ box ''((100,100),(130,130))''', NULL),
('geo USING gist (pt)', 'SELECT * FROM geo ORDER BY pt <-> ''(500,500)'' LIMIT 10', NULL),
('geo USING gist (pt) INCLUDE (room)', 'SELECT pt, room FROM geo WHERE pt <@ box ''((100,100),(130,130))''', NULL),
('geo USING gist (bx)', 'SELECT * FROM geo WHERE bx && ''((100,100),(130,130))''', NULL),
('geo USING gist (ci)', 'SELECT * FROM geo ORDER BY ci <-> ''(500,500)''::point LIMIT 10', NULL),
('geo USING gist (span)', 'SELECT * FROM geo WHERE span @> 777', NULL),
('geo USING gist (during)', 'SELECT count(*) FROM geo WHERE during && ''[2025-01-03,2025-01-04)''', NULL),
('geo USING gist (during) WHERE room < 100', 'SELECT * FROM geo WHERE room < 100 AND during && ''[2025-01-03,2025-01-13)''', NULL),
('ev USING gist (addr inet_ops)', 'SELECT * FROM ev WHERE addr << ''10.2.3.0/24''', NULL),
('doc USING gist (words)', 'SELECT * FROM doc WHERE words @@ ''word7''', NULL),
('doc USING gist (email gist_trgm_ops)', 'SELECT * FROM doc ORDER BY email <-> ''user77@example7.com'' LIMIT 5', 'contrib'),
('doc USING gist (email gist_trgm_ops (siglen = 32))', 'SELECT * FROM doc WHERE email LIKE ''%r77@%''', 'contrib'),
('geo USING gist (room, during)', 'SELECT * FROM geo WHERE room = 77 AND during @> ''2025-01-03''::timestamptz', 'contrib'),
('ev USING gist (scattered)', 'SELECT * FROM ev ORDER BY scattered <-> 777 LIMIT 10', 'contrib'),
-- SP-GiST
('geo USING spgist (pt)', 'SELECT * FROM geo WHERE pt <@ box ''((100,100),(130,130))''', NULL),
('geo USING spgist (pt kd_point_ops)', 'SELECT * FROM geo ORDER BY pt <-> ''(500,500)'' LIMIT 10', NULL),
('geo USING spgist (span)', 'SELECT count(*) FROM geo WHERE span && ''[100,200)''', NULL),
('geo USING spgist (bx)', 'SELECT * FROM geo WHERE bx <@ ''((100,100),(130,130))''', NULL),
('geo USING spgist (name)', 'SELECT * FROM geo WHERE name = ''name77''', NULL),
('ev USING spgist (addr)', 'SELECT * FROM ev WHERE addr << ''10.2.3.0/24''', NULL),
('ev USING spgist (note)', 'SELECT note FROM ev WHERE note ^@ ''ab''', NULL),
-- expressions
('ex (lower(note))', 'SELECT * FROM ex WHERE lower(note) < ''08''', 'analyze'),
('ex (lower(note))', 'SELECT * FROM ex ORDER BY lower(note) LIMIT 10', 'analyze'),
('ex ((labels ->> ''host''))', 'SELECT * FROM ex WHERE labels ->> ''host'' = ''h7''', 'analyze'),
('ex (((labels ->> ''n'')::int))', 'SELECT * FROM ex WHERE (labels ->> ''n'')::int < 20', 'analyze'),
('ex (date_trunc(''hour'', ts AT TIME ZONE ''UTC''))', 'SELECT * FROM ex WHERE date_trunc(''hour'', ts AT TIME ZONE ''UTC'') = ''2025-01-01 03:00''', 'analyze'),
('ex ((scattered % 1009), ts)', 'SELECT * FROM ex WHERE scattered % 1009 = 5 ORDER BY ts LIMIT 10', 'analyze'),
('ex USING hash ((labels ->> ''host''))', 'SELECT * FROM ex WHERE labels ->> ''host'' = ''h8''', 'analyze'),
('ex USING gin (to_tsvector(''english'', body))', 'SELECT * FROM ex WHERE to_tsvector(''english'', body) @@ ''word7''', 'analyze'),
('ex USING gin (string_to_array(body, '' ''))', 'SELECT * FROM ex WHERE string_to_array(body, '' '') @> ''{word8}''', 'analyze'),
('ex USING gist (int4range(scattered, scattered + 10))', 'SELECT * FROM ex WHERE int4range(scattered, scattered + 10) @> 777', 'analyze')
) v(d, q, n);
\if :contrib
\else
DELETE FROM pairs WHERE needs = 'contrib';
\endif

CREATE FUNCTION shape(plan jsonb) RETURNS text LANGUAGE sql AS $$
    SELECT string_agg(node ->> 'Node Type' || ' ' || coalesce(node ->> 'Relation Name', '') || ' ' ||
                      coalesce(node ->> 'Index Cond', '') || coalesce(node ->> 'Order By', '') ||
                      coalesce(node ->> 'Sort Key', '') || coalesce(node ->> 'Scan Direction', ''), ' > ')
    FROM jsonb_path_query(plan, '$.**{1 to last} ? (exists (@."Node Type"))') node
    WHERE jsonb_typeof(node) = 'object'
$$;

-- First every question about these indexes, then they are built.
CREATE PROCEDURE compare(these text[]) LANGUAGE plpgsql AS $$
DECLARE
    pair pairs;
    plan jsonb;
    total float8 := 0;
BEGIN
    UPDATE pairs p
    SET cost = w.cost_after, size = w.size_bytes, shape = shape(w.plan_after),
        method = coalesce(substring(these[1] FROM 'USING (\w+)'), 'btree')
    FROM (SELECT n, (hone.what_if(statement, ARRAY(SELECT 'CREATE INDEX ON ' || d FROM unnest(these) d))).*
          FROM pairs WHERE definitions = these OFFSET 0) w
    WHERE p.n = w.n;

    FOR i IN 1 .. cardinality(these) LOOP
        EXECUTE format('CREATE INDEX built_%s ON %s', i, these[i]);
        total := total + pg_relation_size('built_' || i) +
            (SELECT coalesce(sum(pg_relation_size(inhrelid)), 0) FROM pg_inherits WHERE inhparent = ('built_' || i)::regclass);
    END LOOP;
    FOR pair IN SELECT * FROM pairs WHERE definitions = these LOOP
        IF pair.needs = 'analyze' THEN
            ANALYZE ex;
        END IF;
        EXECUTE 'EXPLAIN (FORMAT JSON) ' || pair.statement INTO plan;
        UPDATE pairs p SET real_cost = (plan #>> '{0,Plan,Total Cost}')::float8, real_size = total, real_shape = shape(plan)
        WHERE p.n = pair.n;
    END LOOP;
    FOR i IN 1 .. cardinality(these) LOOP
        EXECUTE format('DROP INDEX built_%s', i);
    END LOOP;
END
$$;

DO $$
DECLARE these text[];
BEGIN
    FOR these IN SELECT definitions FROM pairs GROUP BY definitions ORDER BY min(n) LOOP
        CALL compare(these);
    END LOOP;
END
$$;

CREATE VIEW errors AS
SELECT *, abs(cost / real_cost - 1) AS error,
       CASE WHEN abs(size - real_size) <= 2 * 8192 THEN 1 ELSE greatest(size / real_size, real_size / size) END AS size_error,
       CASE WHEN method IN ('btree', 'hash') THEN 1.12 WHEN method = 'spgist' THEN 1.6 ELSE 1.5 END AS size_limit
FROM pairs;

SELECT count(*) >= 60 AS enough_pairs, count(DISTINCT method) = 6 AS all_methods,
       percentile_cont(0.5) WITHIN GROUP (ORDER BY error) <= 0.02 AS median_within_2_percent,
       percentile_cont(0.95) WITHIN GROUP (ORDER BY error) <= 0.10 AS p95_within_10_percent,
       avg((shape = real_shape)::int) >= 0.9 AS shapes_agree
FROM errors;
SELECT method, bool_and(size_error <= size_limit) AS sizes_ok FROM errors GROUP BY method ORDER BY method;

-- the offenders
DO $$
DECLARE
    e record;
    bad boolean := (SELECT percentile_cont(0.95) WITHIN GROUP (ORDER BY error) > 0.10 OR
                           percentile_cont(0.5) WITHIN GROUP (ORDER BY error) > 0.02 OR
                           avg((shape = real_shape)::int) < 0.9 FROM errors);
BEGIN
    FOR e IN SELECT * FROM errors WHERE size_error > size_limit OR bad AND (error > 0.02 OR shape <> real_shape)
             ORDER BY error DESC LOOP
        RAISE WARNING '% for %: cost % against %, size % against %, plan % against %', e.definitions, e.statement,
            e.cost, e.real_cost, e.size, e.real_size, e.shape, e.real_shape;
    END LOOP;
END
$$;

SET client_min_messages = warning;
DROP SCHEMA whatif_accuracy CASCADE;
