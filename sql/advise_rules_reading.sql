-- How statements are read: types, casts, collations, odd spellings, odd tables.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS pg_hone;
DROP SCHEMA IF EXISTS advise_reading CASCADE;
CREATE SCHEMA advise_reading;
SET search_path = advise_reading, public;
CREATE EXTENSION IF NOT EXISTS citext SCHEMA advise_reading;
RESET client_min_messages;

CREATE DOMAIN short_text AS varchar(40);
CREATE TYPE mood AS ENUM ('sad', 'ok', 'happy', 'wild');
CREATE TABLE t (id bigint PRIMARY KEY, a int, b int, small smallint, big bigint, num numeric, v varchar(30), d short_text,
                c citext, m mood, flag bool, ts timestamp, tz timestamptz, day date, s text, j jsonb,
                "Odd Name" int, filler text, twice int GENERATED ALWAYS AS (a * 2) STORED);
INSERT INTO t
SELECT i, (i * 7919) % 3000, i % 300, i % 3000, (i * 31) % 3000, i % 3000, 'v' || i % 3000, 'd' || i % 3000, 'C' || i % 3000,
       (CASE WHEN i % 200 = 0 THEN 'wild' ELSE 'ok' END)::mood, i % 200 = 0, timestamp '2026-01-01' + i * interval '1 minute',
       timestamptz '2026-01-01 00:00+00' + i * interval '1 minute', date '2026-01-01' + i / 10, 's' || i % 3000,
       jsonb_build_object('a', i % 3000, 'b', jsonb_build_object('c', 'x' || i % 3000)), i % 3000, repeat('f', 200)
FROM generate_series(1, 30000) i;
CREATE TABLE u (id bigint PRIMARY KEY, big bigint, v text, low text, t_id int, note text);
INSERT INTO u SELECT i, i % 3000, 'v' || i % 3000, 's' || i % 3000, i % 3000, repeat('u', 150) FROM generate_series(1, 30000) i;
VACUUM ANALYZE t, u;

CREATE FUNCTION advice(statement text, parameters text[] DEFAULT NULL) RETURNS text LANGUAGE sql AS $$
    SELECT coalesce(string_agg(regexp_replace(definition, '^CREATE INDEX \S+ ON (?:advise_reading\.)?(\S+) USING', '\1'),
                               '; ' ORDER BY definition), 'nothing')
    FROM hone.advise(statement, parameters)
$$;

-- values of another type
SELECT advice('SELECT * FROM t WHERE a = 5::bigint');
SELECT advice('SELECT * FROM t WHERE small = 5');
SELECT advice('SELECT * FROM t WHERE 5 = big');
SELECT advice('SELECT * FROM t WHERE num = 5');
SELECT advice('SELECT * FROM t WHERE a = $1', '{5}');
-- a cast on the column: only its expression could be looked up
SELECT advice('SELECT * FROM t WHERE a = 5.0');
SELECT advice('SELECT * FROM t WHERE a::text = $$5$$');
-- joins of different types
SELECT advice('SELECT t.filler, u.note FROM t JOIN u ON u.big = t.a WHERE t.id = 5');
SELECT advice('SELECT t.filler, u.note FROM t JOIN u ON u.v = t.v WHERE u.id = 5');
SELECT advice('SELECT t.filler, u.note FROM t JOIN u ON lower(u.low) = t.s WHERE t.id = 5');
SELECT advice('SELECT t.filler, u.note FROM t LEFT JOIN u ON u.t_id = t.a AND u.big = 5 WHERE t.id < 9') ~ '^u btree \((t_id(, big)?|big(, t_id)?)\)$' AS outer_join;
SELECT advice('SELECT t.filler, u.note FROM t FULL JOIN u ON u.t_id = t.a WHERE t.id = 5 AND u.id IS NOT NULL') ~ 'u btree \(t_id\)' AS full_join;
-- types
SELECT advice('SELECT * FROM t WHERE v = $$v5$$');
SELECT advice('SELECT * FROM t WHERE d = $$d5$$');
SELECT advice('SELECT * FROM t WHERE c = $$c5$$');
SELECT advice('SELECT * FROM t WHERE m = $$wild$$') ~ '^t btree \(m\)' AS enum;
SELECT advice('SELECT * FROM t WHERE m > $$happy$$') ~ '^t btree \(m\)' AS enum;
SELECT advice('SELECT * FROM t WHERE flag') ~ '^t btree \(flag\)' AS flag;
SELECT advice('SELECT * FROM t WHERE flag = true') ~ '^t btree \(flag\)' AS flag;
SELECT advice('SELECT * FROM t WHERE flag IS TRUE') ~ '^t btree \(flag\)' AS flag;
SELECT advice('SELECT * FROM t WHERE NOT flag');
SELECT advice('SELECT * FROM t WHERE flag IS NOT TRUE');
SELECT advice('SELECT * FROM t WHERE flag IS UNKNOWN');
SELECT advice('SELECT * FROM t WHERE twice = 6');
SELECT advice('SELECT * FROM t WHERE "Odd Name" = 6');
-- collations
SELECT advice('SELECT * FROM t WHERE s = $$s5$$');
SELECT advice('SELECT * FROM t WHERE s COLLATE "C" > $$s299$$');
SELECT advice('SELECT * FROM t ORDER BY s COLLATE "C" LIMIT 5');
-- spellings of a range
SELECT advice('SELECT * FROM t WHERE a BETWEEN SYMMETRIC 9 AND 5');
SELECT advice('SELECT * FROM t WHERE a > 5 AND a < 9');
SELECT advice('SELECT * FROM t WHERE tz > now() + interval $$100 years$$');
SELECT advice('SELECT * FROM t WHERE tz >= current_date + 100000');
SELECT advice('SELECT * FROM t WHERE NOT a <> 5');
SELECT advice('SELECT * FROM t WHERE NOT (a < 5 OR a > 9)');
SELECT advice('SELECT * FROM t WHERE (a, b) = (5, 6)') ~ '^t btree \((a|a, b|b, a)\)$' AS row_equal;
SELECT advice('SELECT * FROM t WHERE a IN (SELECT generate_series(1, 3))');
SELECT advice('SELECT * FROM t WHERE a = ANY (ARRAY(SELECT 5))');
SELECT advice('SELECT * FROM t WHERE a = (SELECT max(b) FROM u, LATERAL (SELECT 5 AS b) l)');
-- no index: a volatile value, an expression that is not immutable, the whole row, a system column
SELECT advice('SELECT * FROM t WHERE a = (random() * 5)::int');
SELECT advice('SELECT * FROM t WHERE to_char(tz, $$YYYY$$) = $$2026$$');
SELECT advice('SELECT * FROM t WHERE t IS NULL');
SELECT advice('SELECT * FROM t WHERE ctid = $$(5,1)$$');
SELECT advice('SELECT * FROM t WHERE a <> 5');
SELECT advice('SELECT * FROM t WHERE a % 2 = b % 3 AND a = b');
-- expressions
SELECT advice('SELECT * FROM t WHERE date_trunc($$day$$, ts) = $$2026-01-05$$');
SELECT advice('SELECT * FROM t WHERE date_trunc($$day$$, tz) = $$2026-01-05$$');
SELECT advice('SELECT * FROM t WHERE date_trunc($$day$$, tz AT TIME ZONE $$UTC$$) = $$2026-01-05$$');
SELECT advice('SELECT * FROM t WHERE ts::date = $$2026-01-05$$');
SELECT advice('SELECT * FROM t WHERE tz::date = $$2026-01-05$$');
SELECT advice('SELECT * FROM t WHERE extract(doy FROM ts) = 5') ~ 'EXTRACT\(doy FROM ts\)' AS extract;
SELECT advice('SELECT * FROM t WHERE coalesce(a, 0) = 5');
SELECT advice('SELECT * FROM t WHERE upper(v) = $$V5$$');
SELECT advice('SELECT * FROM t WHERE a + b = 7');
SELECT advice('SELECT * FROM t WHERE CASE WHEN flag THEN a END = 5') ~ 'CASE' AS expression;
SELECT advice('SELECT * FROM t WHERE j #>> $${b,c}$$ = $$x5$$');
SELECT advice('SELECT * FROM t WHERE j -> $$b$$ ->> $$c$$ = $$x5$$');
SELECT advice('SELECT * FROM t WHERE (j ->> $$a$$)::bigint = 5');
SELECT advice('SELECT * FROM t WHERE j[$$a$$] = $$5$$') ~ '^t btree \(\(j\[''a''::text\]\)\)$' AS subscript;
SELECT advice('SELECT * FROM t ORDER BY a + b LIMIT 5');
SELECT advice('SELECT * FROM t ORDER BY a + $1 LIMIT 5', '{5}');
-- subqueries, CTEs, set operations, laterals
SELECT advice('WITH x AS (SELECT * FROM t) SELECT * FROM x WHERE a = 5');
SELECT advice('WITH x AS MATERIALIZED (SELECT * FROM t WHERE a = 5) SELECT * FROM x');
SELECT advice('SELECT filler FROM t WHERE a = 5 UNION SELECT note FROM u WHERE big = 5');
SELECT advice('SELECT * FROM (SELECT filler, a FROM t UNION ALL SELECT note, t_id FROM u) x WHERE a = 5');
SELECT advice('SELECT filler FROM t WHERE a = 5 EXCEPT SELECT note FROM u WHERE big = 5');
SELECT advice('WITH RECURSIVE r AS (SELECT 5::bigint AS id UNION ALL SELECT u.big FROM r JOIN u ON u.t_id = r.id) SELECT count(*) FROM r') ~ '^u btree \(t_id' AS recursive;
SELECT advice('SELECT * FROM u, LATERAL (SELECT * FROM t WHERE t.a = u.t_id ORDER BY t.tz DESC LIMIT 1) l WHERE u.id < 9');
-- writes
SELECT advice('UPDATE t SET b = 1 WHERE a = 5');
SELECT advice('UPDATE t SET b = 1 FROM u WHERE u.id = 5 AND t.a = u.t_id');
SELECT advice('DELETE FROM t USING u WHERE u.id = 5 AND t.a = u.t_id');
SELECT advice('MERGE INTO t USING (SELECT 5 AS a) x ON t.a = x.a WHEN MATCHED THEN DELETE');
SELECT advice('INSERT INTO u (id) SELECT id FROM t WHERE a = 5 ON CONFLICT DO NOTHING') ~ '^t btree \(a\)' AS source;
-- odd tables
CREATE MATERIALIZED VIEW mv AS SELECT a, b, filler FROM t;
CREATE VIEW outside WITH (security_barrier) AS SELECT * FROM t WHERE b = 5;
CREATE TEMP TABLE temporary AS SELECT a, filler FROM t;
CREATE UNLOGGED TABLE unlogged AS SELECT a, filler FROM t;
CREATE SCHEMA "advise_Other Schema";
CREATE TABLE "advise_Other Schema"."The ""Table""" AS SELECT a AS "Key, first", filler FROM t;
VACUUM ANALYZE mv, temporary, unlogged, "advise_Other Schema"."The ""Table""";
SELECT advice('SELECT * FROM mv WHERE a = 5');
SELECT advice('SELECT * FROM outside WHERE a = 5') ~ '^t btree \((a|a, b|b, a)\)$' AS barrier;
SELECT advice('SELECT * FROM temporary WHERE a = 5');
SELECT advice('SELECT * FROM unlogged WHERE a = 5');
SELECT regexp_replace(definition, '^CREATE INDEX (".*"|\S+) ON', 'ON') FROM hone.advise('SELECT * FROM "advise_Other Schema"."The ""Table""" WHERE "Key, first" = 5');
SELECT advice('SELECT * FROM generate_series(1, 9) g JOIN (VALUES (5)) v(x) ON g = x');

SET client_min_messages = warning;
DROP SCHEMA advise_reading, "advise_Other Schema" CASCADE;
