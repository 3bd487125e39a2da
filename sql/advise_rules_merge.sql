-- One index for several statements, where that is what a limit leaves room for;
-- and not, where each is better with its own. Definitions are asserted.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS pg_hone;
DROP SCHEMA IF EXISTS advise_merge CASCADE;
CREATE SCHEMA advise_merge;
SET search_path = advise_merge, public;
RESET client_min_messages;
CREATE TABLE sale (id bigint PRIMARY KEY, shop int, item int, day int, qty int, price int, tax int, state text, f1 text, f2 text);
INSERT INTO sale SELECT i, (i * 7919) % 400, (i * 31) % 300, i % 365, i % 50, i % 99, i % 7,
       CASE WHEN i % 100 = 0 THEN 'open' WHEN i % 101 = 0 THEN 'hold' ELSE 'done' END, repeat('x', 150), repeat('y', 150)
FROM generate_series(1, 40000) i;
VACUUM ANALYZE sale;
CREATE FUNCTION advice(statements text[], max_indexes int DEFAULT NULL, bytes bigint DEFAULT NULL) RETURNS text LANGUAGE sql AS $$
    SELECT coalesce(string_agg(regexp_replace(definition, '^CREATE INDEX \S+ ON (?:advise_merge\.)?(\S+) USING', '\1'),
                               '; ' ORDER BY definition), 'nothing')
    FROM hone.recommend_for(statements, NULL, bytes, max_indexes)
$$;

-- the union of what is read
SELECT advice(ARRAY['SELECT sum(qty) FROM sale WHERE shop BETWEEN 5 AND 80',
                    'SELECT sum(price) FROM sale WHERE shop BETWEEN 7 AND 90'], 1)
    ~ '^sale btree \(shop(, (qty|price))*\)( INCLUDE \((qty|price)(, (qty|price))?\))?$' AS both;
SELECT advice(ARRAY['SELECT sum(qty) FROM sale WHERE shop BETWEEN 5 AND 80',
                    'SELECT sum(price), sum(tax) FROM sale WHERE shop BETWEEN 7 AND 90',
                    'SELECT sum(tax) FROM sale WHERE shop BETWEEN 7 AND 90']) ~ ';' AS several;
-- what repeats itself is stored once, unless it is in INCLUDE
SELECT advice(ARRAY['SELECT sum(qty) FROM sale WHERE shop BETWEEN 5 AND 80']);
SELECT advice(ARRAY['SELECT sum(id) FROM sale WHERE shop BETWEEN 5 AND 80']);
SELECT advice(ARRAY['SELECT max(length(f1)) FROM sale WHERE shop BETWEEN 5 AND 80']) ~ ', f1' AS long_key;
-- a prefix of the other
SELECT advice(ARRAY['SELECT * FROM sale WHERE shop = 5', 'SELECT * FROM sale WHERE shop = 5 AND day = 7'], 1)
    ~ '^sale btree \(shop(, day)?\)$' AS prefix;
-- equalities in the order that the other needs
SELECT advice(ARRAY['SELECT * FROM sale WHERE shop = 5 AND item = 7',
                    'SELECT * FROM sale WHERE item = 5 ORDER BY day LIMIT 5'], 1) ~ '^sale btree \(item, ' AS item_first;
-- partial: the values of both
SELECT advice(ARRAY['SELECT * FROM sale WHERE state = ''open'' ORDER BY day LIMIT 50',
                    'SELECT * FROM sale WHERE state = ''hold'' ORDER BY day LIMIT 50'], 1, 100000);
-- nothing in common: each its own
SELECT advice(ARRAY['SELECT * FROM sale WHERE shop = 5', 'SELECT * FROM sale WHERE item = 7']);

-- a small table: not to look into it once, but once for each row of another
CREATE TABLE tiny AS SELECT i AS id, i % 500 AS k, repeat('x', 60) AS f FROM generate_series(1, 1500) i;
VACUUM ANALYZE tiny;
SELECT advice(ARRAY['SELECT * FROM tiny WHERE k = 5']);
SELECT advice(ARRAY['SELECT * FROM tiny WHERE k = 5', 'SELECT id, (SELECT count(*) FROM tiny t WHERE t.k = sale.day) FROM sale']);

-- Their number is bounded
CREATE FUNCTION statements(n int) RETURNS text[] LANGUAGE sql AS $$
    SELECT array_agg(format('SELECT sum(%s) FROM sale s JOIN sale t USING (%s) WHERE s.%s = %s AND t.%s > %s GROUP BY s.%s',
        (ARRAY['qty', 'price', 'tax'])[1 + i % 3] , (ARRAY['shop', 'item', 'day'])[1 + i % 3],
        (ARRAY['item', 'day', 'shop'])[1 + i % 3], i, (ARRAY['qty', 'price'])[1 + i % 2], i,
        (ARRAY['day', 'shop', 'item'])[1 + i % 3]))
    FROM generate_series(1, n) i
$$;
CREATE FUNCTION unambiguous(t text) RETURNS text LANGUAGE sql AS $$ SELECT replace(t, 'sum(', 'sum(s.') $$;
SELECT count(*) > 0 AS some FROM hone.recommend_for((SELECT array_agg(unambiguous(s)) FROM unnest(statements(6)) s));
SELECT candidates < 6 * 2 * 30 AS bounded FROM hone.advisor_runs ORDER BY run_id DESC LIMIT 1;

-- of one statement with many tables, too
SELECT count(*) > 0 AS some FROM hone.recommend_for((SELECT ARRAY[
    'SELECT a1.day, sum(a1.qty), max(a4.price) FROM sale a1 ' ||
    string_agg(format('JOIN sale a%s ON a%1$s.shop = a1.shop AND a%1$s.item = a1.item AND a%1$s.qty = %1$s AND a%1$s.state = ''open''', i), ' ') ||
    ' WHERE a1.price = 5 AND a1.tax BETWEEN 1 AND 3 GROUP BY a1.day ORDER BY a1.day LIMIT 5'] FROM generate_series(2, 4) i));
SELECT candidates < 4 * 30 AS bounded FROM hone.advisor_runs ORDER BY run_id DESC LIMIT 1;

DELETE FROM hone.advisor_run_store WHERE requested_by = (SELECT oid FROM pg_roles WHERE rolname = current_user);
SET client_min_messages = warning;
DROP SCHEMA advise_merge CASCADE;
