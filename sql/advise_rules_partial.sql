-- Rules for partial and covering indexes, BRIN, foreign keys, partitions and
-- policies. Definitions are asserted, costs never.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS pg_hone;
DROP SCHEMA IF EXISTS advise_partial CASCADE;
CREATE SCHEMA advise_partial;
SET search_path = advise_partial, public;
RESET client_min_messages;

CREATE TABLE job (id bigint PRIMARY KEY, state text, queue int, prio int, urgent bool, gone timestamptz, seen int,
                  amount int, made timestamptz, filler text);
INSERT INTO job
SELECT i, CASE WHEN i % 100 = 0 THEN 'open' WHEN i % 101 = 0 THEN 'hold' ELSE 'done' END, i % 20, (i * 7919) % 1000, i % 200 = 0,
       CASE WHEN i % 7 < 4 THEN timestamptz '2026-01-01' + (i * 7919) % 40000 * interval '1 minute' END, CASE WHEN i % 300 = 0 THEN i END, i % 10000 - 400,
       timestamptz '2026-01-01 00:00+00' + i * interval '1 minute', repeat('f', 250)
FROM generate_series(1, 40000) i;
CREATE TABLE fact (id bigint PRIMARY KEY, dim int, day date, qty int, price numeric(10, 2), tax numeric(10, 2), disc int,
                   code varchar(10), free text, f1 text, f2 text);
INSERT INTO fact SELECT i, i % 1000, date '2026-01-01' + i / 100, i % 50, i % 99, i % 7, i % 11, 'c' || i % 20, md5(i::text), repeat('x', 150), repeat('y', 150)
FROM generate_series(1, 60000) i;
CREATE TABLE dim (id int PRIMARY KEY, region int, name text, filler text);
INSERT INTO dim SELECT i, i % 50, 'd' || i, repeat('f', 300) FROM generate_series(0, 999) i;
VACUUM ANALYZE job, fact, dim;

CREATE FUNCTION advice(statement text, parameters text[] DEFAULT NULL) RETURNS text LANGUAGE sql AS $$
    SELECT coalesce(string_agg(regexp_replace(definition, '^CREATE INDEX \S+ ON (?:advise_partial\.)?(\S+) USING', '\1'),
                               '; ' ORDER BY definition), 'nothing')
    FROM hone.advise(statement, parameters)
$$;

-- Partial: a rare value that stands in the text, with an order
SELECT advice($$SELECT * FROM job WHERE state = 'open' ORDER BY made LIMIT 10$$);
SELECT advice($$SELECT * FROM job WHERE state IN ('open', 'hold') ORDER BY made LIMIT 10$$);
SELECT advice($$SELECT * FROM job WHERE urgent ORDER BY made LIMIT 10$$);
SELECT advice($$SELECT * FROM job WHERE urgent IS TRUE ORDER BY made LIMIT 10$$);
SELECT advice($$SELECT * FROM job WHERE seen IS NOT NULL ORDER BY made LIMIT 10$$);
SELECT advice($$SELECT * FROM job WHERE state <> 'done' ORDER BY made LIMIT 10$$);
SELECT advice($$SELECT * FROM job WHERE amount < 0 ORDER BY made LIMIT 10$$) ~ 'WHERE \(amount < 0\)' AS partial;
-- not the frequent value, nor what a parameter may make another, nor a time that passes
SELECT advice($$SELECT * FROM job WHERE state = 'done' ORDER BY made LIMIT 10$$) ~ 'WHERE' AS partial;
SELECT advice($$SELECT * FROM job WHERE state = $1 ORDER BY made LIMIT 10$$, '{open}') ~ 'WHERE' AS partial;
SELECT advice($$SELECT * FROM job WHERE made > '2026-01-28' ORDER BY prio LIMIT 10$$) ~ 'WHERE' AS partial;
SELECT advice($$SELECT * FROM job WHERE made > now() - interval '1 day' ORDER BY prio LIMIT 10$$) ~ 'WHERE' AS partial;
SELECT advice($$SELECT * FROM job WHERE prio = 7$$) ~ 'WHERE' AS partial;
SELECT advice($$SELECT * FROM job WHERE amount > 9500 ORDER BY made LIMIT 10$$) ~ 'WHERE' AS partial;
-- two restrictions together
SELECT advice($$SELECT * FROM job WHERE gone IS NULL AND state = 'open' ORDER BY prio LIMIT 10$$) ~ 'btree \(prio\) WHERE' AS partial;
SELECT advice($$SELECT * FROM job WHERE gone IS NULL ORDER BY prio LIMIT 10$$) ~ 'WHERE' AS partial;
-- nothing to order: on the column itself
SELECT advice($$SELECT * FROM job WHERE urgent$$) ~ '^job btree \(urgent\)( WHERE urgent)?$' AS urgent;
SELECT advice($$SELECT * FROM job WHERE urgent IS NOT FALSE$$) ~ 'WHERE \(urgent IS NOT FALSE\)' AS partial;
-- a parameter with the same value in nearly all samples is steady; see advise_workload

-- Covering: wide rows, few columns, many rows
SELECT advice($$SELECT sum(price) FROM fact WHERE day BETWEEN '2026-03-01' AND '2026-06-01'$$);
SELECT advice($$SELECT code, sum(qty), sum(price), sum(tax), sum(disc) FROM fact WHERE day >= '2026-05-01' GROUP BY code$$)
    ~ 'fact btree \(day\) INCLUDE \(qty, price, tax, disc, code\)|fact btree \(code.*\) INCLUDE' AS covering;
-- the inner side of a join
SELECT advice($$SELECT d.name, sum(f.price) FROM dim d JOIN fact f ON f.dim = d.id WHERE d.region = 5 GROUP BY d.name$$)
    ~ 'fact btree \(dim\) INCLUDE \(price\)|fact btree \(dim, price\)' AS covering;
-- nothing to look for: a narrow index instead of a wide table
SELECT advice($$SELECT sum(qty) FROM fact$$);
SELECT advice($$SELECT sum(qty * price) FROM fact$$) ~ 'fact btree \((qty|price)\) INCLUDE \((qty|price)\)' AS narrow;
SELECT advice($$SELECT code, sum(qty) FROM fact GROUP BY code$$) ~ 'fact btree \(code, qty\)' AS narrow;
-- not the whole row, not what is nearly all of it, not values without a limit
SELECT advice($$SELECT * FROM fact WHERE dim = 5$$);
SELECT advice($$SELECT f1, f2, qty FROM fact WHERE dim = 5$$);
SELECT advice($$SELECT ctid, qty FROM fact WHERE dim = 5$$);
SELECT advice($$SELECT fact FROM fact WHERE dim = 5$$);
CREATE TABLE essay (id int PRIMARY KEY, author int, body text, f text);
INSERT INTO essay SELECT i, i % 100, CASE WHEN i % 500 = 0 THEN (SELECT string_agg(md5((i * k)::text), '') FROM generate_series(1, 200) k) ELSE md5(i::text) END, repeat('f', 300)
FROM generate_series(1, 20000) i;
VACUUM ANALYZE essay;
SELECT advice($$SELECT sum(length(body)) FROM essay WHERE author = 5$$) ~ 'INCLUDE' AS may_fail_an_insert;
-- a predicate's column needs no place, unless it is shown
SELECT advice($$SELECT count(*), sum(amount) FROM job WHERE state = 'open'$$) ~ '\(amount\) WHERE|INCLUDE \(amount\)|\(state, amount\)' AS covering;

-- BRIN: where a budget leaves no room for a btree
CREATE TABLE log (at timestamptz, shuffled timestamptz, filler text);
INSERT INTO log SELECT timestamptz '2026-01-01' + i * interval '1 second', timestamptz '2026-01-01' + (i::bigint * 7919 % 60000) * interval '1 second', repeat('f', 200)
FROM generate_series(1, 60000) i;
VACUUM ANALYZE log;
SELECT regexp_replace(definition, '^.* USING', '') FROM hone.recommend_for(
    ARRAY[$$SELECT * FROM log WHERE at BETWEEN '2026-01-01 05:00' AND '2026-01-01 06:00'$$], NULL, 100000);
SELECT count(*) FROM hone.recommend_for(
    ARRAY[$$SELECT * FROM log WHERE shuffled BETWEEN '2026-01-01 05:00' AND '2026-01-01 06:00'$$], NULL, 100000);
-- less orderly: several intervals per range
CREATE TABLE late (at timestamptz, filler text);
INSERT INTO late SELECT timestamptz '2026-01-01' + (CASE WHEN i % 10 = 0 THEN (i::bigint * 7919 % 60000) ELSE i END) * interval '1 second', repeat('f', 200)
FROM generate_series(1, 60000) i;
VACUUM ANALYZE late;
SELECT regexp_replace(definition, '^.* USING', '') FROM hone.recommend_for(
    ARRAY[$$SELECT * FROM late WHERE at BETWEEN '2026-01-01 05:00' AND '2026-01-01 06:00'$$], NULL, 100000);

-- Foreign keys: the referring table is searched for each row deleted, and for
-- each key changed; not for other changes
CREATE TABLE client (id int PRIMARY KEY, name text, filler text);
INSERT INTO client SELECT i, 'c' || i, repeat('f', 100) FROM generate_series(1, 5000) i;
CREATE TABLE contract (id int PRIMARY KEY, client int REFERENCES client, other int, filler text);
INSERT INTO contract SELECT i, 1 + (i * 7919) % 5000, i, repeat('f', 200) FROM generate_series(1, 30000) i;
VACUUM ANALYZE client, contract;
SELECT advice('DELETE FROM client WHERE id = 5');
SELECT advice('UPDATE client SET id = 6000 WHERE id = 5');
SELECT advice($$UPDATE client SET name = 'x' WHERE id = 5$$);
SELECT advice('SELECT c.name, k.filler FROM client c JOIN contract k ON k.client = c.id WHERE c.id = 5');
CREATE INDEX ON contract (client);
SELECT advice('DELETE FROM client WHERE id = 5');

-- Partitioned tables: on the parent
CREATE TABLE event (at timestamptz, kind int, filler text) PARTITION BY RANGE (at);
CREATE TABLE event_1 PARTITION OF event FOR VALUES FROM ('2026-01-01 00:00+00') TO ('2026-01-15 00:00+00');
CREATE TABLE event_2 PARTITION OF event FOR VALUES FROM ('2026-01-15 00:00+00') TO ('2026-02-15 00:00+00');
INSERT INTO event SELECT timestamptz '2026-01-01 00:00+00' + i * interval '1 minute', i % 500, repeat('f', 200) FROM generate_series(1, 40000) i;
VACUUM ANALYZE event;
SELECT advice($$SELECT * FROM event WHERE kind = 5$$);
SELECT advice($$SELECT * FROM event WHERE kind = 5 ORDER BY at DESC LIMIT 5$$);
SELECT advice($$DELETE FROM event WHERE kind = 5$$);
-- of values nearly all different, with statistics of the whole and with none
CREATE TABLE visit (at timestamptz, visitor int, filler text) PARTITION BY RANGE (at);
CREATE TABLE visit_1 PARTITION OF visit FOR VALUES FROM ('2026-01-01 00:00+00') TO ('2026-01-15 00:00+00');
CREATE TABLE visit_2 PARTITION OF visit FOR VALUES FROM ('2026-01-15 00:00+00') TO ('2026-02-15 00:00+00');
INSERT INTO visit SELECT timestamptz '2026-01-01 00:00+00' + i * interval '1 minute', i * 7919 % 20000, repeat('f', 200) FROM generate_series(1, 40000) i;
VACUUM ANALYZE visit_1, visit_2;
SELECT advice($$SELECT * FROM visit WHERE visitor = 5$$);
SELECT advice($$SELECT * FROM visit WHERE visitor = 5 AND at >= '2026-01-16 00:00+00'$$);
VACUUM ANALYZE visit;
SELECT advice($$SELECT * FROM visit WHERE visitor = 5$$);
SELECT advice($$SELECT * FROM visit WHERE visitor = 5 AND at >= '2026-01-16 00:00+00'$$);
-- inheritance: each child for itself
CREATE TABLE base (id int, kind int, filler text);
CREATE TABLE child () INHERITS (base);
INSERT INTO child SELECT i, i % 500, repeat('f', 200) FROM generate_series(1, 20000) i;
VACUUM ANALYZE base, child;
SELECT advice($$SELECT * FROM base WHERE kind = 5$$);

-- A policy's condition counts, and its constants stay unseen
CREATE TABLE secret (id int, tenant text, state text, filler text);
INSERT INTO secret SELECT i, 't' || i % 400, 's' || i % 10, repeat('f', 200) FROM generate_series(1, 20000) i;
VACUUM ANALYZE secret;
SET client_min_messages = warning;
DROP ROLE IF EXISTS hone_rules_reader;
CREATE ROLE hone_rules_reader;
RESET client_min_messages;
GRANT USAGE ON SCHEMA advise_partial TO hone_rules_reader;
GRANT SELECT ON secret TO hone_rules_reader;
GRANT USAGE ON SCHEMA hone TO hone_rules_reader;
GRANT EXECUTE ON FUNCTION hone.advise(text, text[]) TO hone_rules_reader;
ALTER TABLE secret ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON secret USING (tenant = 't7' AND state = 's7');
SET ROLE hone_rules_reader;
SELECT advice('SELECT * FROM secret') ~ 'btree \((state, )?tenant(, state)?\)$' AS policy;
-- ... nor is a table asked about that the role may not read
RESET ROLE;
DROP INDEX contract_client_idx;
GRANT SELECT, DELETE ON client TO hone_rules_reader;
SET ROLE hone_rules_reader;
SELECT advice('DELETE FROM client WHERE id = 5');
RESET ROLE;
SELECT advice('DELETE FROM client WHERE id = 5');
SELECT advice('SELECT * FROM secret');
DROP OWNED BY hone_rules_reader;
DROP ROLE hone_rules_reader;

DELETE FROM hone.advisor_run_store WHERE requested_by = (SELECT oid FROM pg_roles WHERE rolname = current_user);
SET client_min_messages = warning;
DROP SCHEMA advise_partial CASCADE;
