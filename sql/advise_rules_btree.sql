-- Rules for btree candidates, row by row: chosen where it wins, not chosen where
-- it does not. Definitions are asserted, costs never.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS pg_hone;
DROP SCHEMA IF EXISTS advise_rules CASCADE;
RESET client_min_messages;
CREATE SCHEMA advise_rules;
SET search_path = advise_rules, public;

-- wide rows, so that nothing is worth copying into an index
CREATE TABLE item (id bigint PRIMARY KEY, owner int, kind int, flag bool, made timestamptz, seen timestamp,
                   score int, name text, label varchar(40), filler text);
INSERT INTO item
SELECT i, (i * 7919) % 2000, (i * 31) % 40, i % 2 = 0, timestamptz '2026-01-01 00:00+00' + i * interval '1 minute',
       timestamp '2026-01-01' + ((i * 7919) % 40000) * interval '1 minute', (i * 10007) % 5000,
       'Name ' || (i * 7919) % 40000, 'label' || (i % 9000), repeat('f', 300)
FROM generate_series(1, 40000) i;
CREATE TABLE part (item_id bigint, line int, amount int, vendor int, note text, PRIMARY KEY (item_id, line));
INSERT INTO part SELECT i / 3, i % 3, i % 100, (i * 7919) % 6000, repeat('p', 120) FROM generate_series(1, 60000) i;
CREATE TABLE place (country int, city int, code int, note text);
INSERT INTO place SELECT i % 100, i / 100, i, repeat('c', 120) FROM generate_series(0, 29999) i;
CREATE TABLE visit (id bigint PRIMARY KEY, country int, city int, day date, who int, note text);
INSERT INTO visit SELECT i, i % 100, (i * 31) % 300, date '2026-01-01' + i % 365, (i * 7919) % 20000, repeat('v', 120)
FROM generate_series(1, 60000) i;
VACUUM ANALYZE item, part, place, visit;

-- What is recommended, in short; "nothing" when nothing is.
CREATE FUNCTION advice(statement text, parameters text[] DEFAULT NULL) RETURNS text LANGUAGE sql AS $$
    SELECT coalesce(string_agg(regexp_replace(definition, '^CREATE INDEX \S+ ON (?:advise_rules\.)?(\S+) USING', '\1'),
                               '; ' ORDER BY definition), 'nothing')
    FROM hone.advise(statement, parameters)
$$;

-- Equality: the selective column; not one that half of the rows have
SELECT advice('SELECT * FROM item WHERE owner = 5');
SELECT advice('SELECT * FROM item WHERE flag');
SELECT advice('SELECT * FROM item WHERE flag IS NOT NULL AND kind > 1');
-- equality and range: in this order
SELECT advice($$SELECT * FROM item WHERE kind = 5 AND made > '2026-01-27'$$);
SELECT advice($$SELECT * FROM item WHERE made > '2026-01-01'$$);
-- two equalities that only together are selective
SELECT advice('SELECT * FROM visit WHERE country = 5 AND city = 155')
    IN ('visit btree (country, city)', 'visit btree (city, country)', 'visit btree (city)') AS composite;
-- IN
SELECT advice('SELECT * FROM item WHERE owner IN (5, 6, 7)');
SELECT advice('SELECT * FROM item WHERE flag IN (true, false)');
SELECT advice('SELECT * FROM item WHERE owner = ANY ($1)', ARRAY['{5,6}']);

-- Joins: the inner side, whichever it is
SELECT advice('SELECT i.filler, v.note FROM item i JOIN visit v ON v.who = i.owner WHERE i.id = 5');
SELECT advice('SELECT i.filler, v.note FROM visit v JOIN item i ON v.who = i.owner WHERE v.id = 5');
-- each row of a large table with one of a small one: no index
CREATE TABLE country (id int, name text);
INSERT INTO country SELECT i, 'c' || i FROM generate_series(0, 99) i;
ANALYZE country;
SELECT advice('SELECT c.name, v.note FROM country c JOIN visit v ON v.country = c.id');
-- on two columns: both in one index
SELECT advice('SELECT p.note, v.note FROM visit v JOIN place p ON p.country = v.country AND p.city = v.city WHERE v.id = 5')
    IN ('place btree (country, city)', 'place btree (city, country)') AS composite;
-- join and equality
SELECT advice('SELECT i.filler, v.note FROM item i JOIN visit v ON v.who = i.owner AND v.country = 7 WHERE i.id < 20')
    IN ('visit btree (who, country)', 'visit btree (country, who)', 'visit btree (who)') AS join_first;
-- semi and anti join, IN and NOT EXISTS
SELECT advice('SELECT i.filler FROM item i WHERE i.id < 20 AND EXISTS (SELECT FROM visit v WHERE v.who = i.owner)');
SELECT advice('SELECT i.filler FROM item i WHERE i.id < 20 AND NOT EXISTS (SELECT FROM visit v WHERE v.who = i.owner)');
SELECT advice('SELECT i.filler FROM item i WHERE i.id < 20 AND i.owner IN (SELECT v.who FROM visit v)');
SELECT advice('SELECT i.filler FROM item i WHERE i.owner IN (SELECT v.who FROM visit v WHERE v.id = 77)');

-- ORDER BY and LIMIT: direction and nulls as written, or all of them reversed
SELECT advice('SELECT * FROM item ORDER BY score LIMIT 10');
SELECT advice('SELECT * FROM item ORDER BY score DESC LIMIT 10');
SELECT advice('SELECT * FROM item ORDER BY score DESC NULLS LAST LIMIT 10')
    IN ('item btree (score DESC NULLS LAST)', 'item btree (score NULLS FIRST)') AS nulls;
SELECT advice('SELECT * FROM item ORDER BY score DESC, made LIMIT 10')
    IN ('item btree (score DESC, made)', 'item btree (score, made DESC)') AS mixed;
SELECT advice('SELECT * FROM item WHERE owner = 5 ORDER BY score DESC, made LIMIT 3')
    IN ('item btree (owner, score DESC, made)', 'item btree (owner, score, made DESC)') AS mixed;
SELECT advice('SELECT * FROM item WHERE kind = 5 ORDER BY score LIMIT 3');
-- an order that an equality makes void
SELECT advice('SELECT * FROM item WHERE owner = 5 ORDER BY owner LIMIT 3');
-- keyset pagination
SELECT advice('SELECT * FROM item WHERE (score, made) > (500, $$2026-01-02$$) ORDER BY score, made LIMIT 10');
SELECT advice('SELECT * FROM item WHERE (500, timestamptz $$2026-01-02$$) < (score, made) ORDER BY score, made LIMIT 10');
SELECT advice('SELECT * FROM item WHERE score > 500 ORDER BY score LIMIT 10');

-- Groups: an index in their order when few are read
SELECT advice('SELECT owner, max(filler) FROM item GROUP BY owner ORDER BY owner LIMIT 3');
SELECT advice('SELECT DISTINCT ON (owner) * FROM item ORDER BY owner, made DESC LIMIT 3')
    IN ('item btree (owner, made DESC)', 'item btree (owner DESC, made)') AS distinct_on;
SELECT advice('SELECT DISTINCT owner FROM item ORDER BY owner LIMIT 3');
SELECT advice('SELECT *, row_number() OVER (PARTITION BY owner ORDER BY made) FROM item LIMIT 3');
SELECT advice('SELECT *, row_number() OVER (PARTITION BY owner ORDER BY score) FROM item WHERE kind = 5 LIMIT 3');
SELECT advice('SELECT count(filler) FROM item GROUP BY kind');
-- the groups in their order, a few of them; in that of their count LIMIT saves nothing
SELECT advice('SELECT score, count(*) FROM item WHERE owner = 5 GROUP BY score ORDER BY score LIMIT 3');
SELECT advice($$SELECT who, count(note) FROM visit WHERE day = '2026-02-01' GROUP BY who ORDER BY 2 DESC LIMIT 3$$);

-- min and max
SELECT advice('SELECT min(score) FROM item');
SELECT advice('SELECT max(made) FROM item WHERE owner = 5') ~ '^item btree \(owner, made\)' AS both;
SELECT advice('SELECT min(score), max(made) FROM item') ~ 'item btree \(made\).*item btree \(score\)' AS each;
SELECT advice('SELECT min(id) FROM item');

-- LIKE 'x%': in the collation's class, or by bytes
-- not C, and known to every server
CREATE COLLATION other (LC_COLLATE = 'C.UTF-8', LC_CTYPE = 'C.UTF-8');
CREATE TABLE word (id int PRIMARY KEY, c text COLLATE "C", x text COLLATE advise_rules.other, v varchar(60) COLLATE advise_rules.other,
                   b char(20) COLLATE advise_rules.other, filler text);
INSERT INTO word SELECT i, md5(i::text), md5(i::text), md5(i::text), left(md5(i::text), 18), repeat('f', 200)
FROM generate_series(1, 30000) i;
VACUUM ANALYZE word;
SELECT advice($$SELECT * FROM word WHERE c LIKE 'abc1%'$$);
SELECT advice($$SELECT * FROM word WHERE x LIKE 'abc1%'$$);
SELECT advice($$SELECT * FROM word WHERE v LIKE 'abc1%'$$);
SELECT advice($$SELECT * FROM word WHERE b LIKE 'abc1%'$$);
SELECT advice($$SELECT * FROM word WHERE x ~ '^abc1'$$);
SELECT advice($$SELECT * FROM word WHERE starts_with(x, 'abc1')$$);
SELECT advice($$SELECT * FROM word WHERE x ^@ 'abc1'$$);
SELECT advice($$SELECT * FROM word WHERE x LIKE $1$$, '{abc1%}');
SELECT advice($$SELECT * FROM word WHERE x LIKE 'abc1%' OR x LIKE 'def2%'$$);
-- 123 has no other case
SELECT advice($$SELECT * FROM word WHERE x ILIKE '1234%'$$);
SELECT advice($$SELECT * FROM word WHERE x ILIKE 'abc%'$$);
SELECT advice($$SELECT * FROM word WHERE x LIKE '%abc1'$$);
SELECT advice($$SELECT * FROM word WHERE x ~ 'abc1'$$);
SELECT advice($$SELECT * FROM word WHERE lower(x) = 'abc'$$);
SELECT advice($$SELECT * FROM word WHERE lower(v) LIKE 'abc1%'$$);

-- OR: each arm needs one; what an arm combines is in one index
SELECT advice('SELECT * FROM item WHERE owner = 5 OR score = 7');
SELECT advice('SELECT * FROM item WHERE owner = 5 OR filler = $$x$$');
SELECT advice('SELECT * FROM visit WHERE (country, city) IN ((5, 155), (6, 186), (7, 217))')
    ~ '^visit btree \((country, city|city, country|city)\)$' AS in_pairs;
SELECT advice('SELECT i.filler, v.note FROM item i, visit v WHERE i.id = 5 AND (v.who = i.owner OR v.who = i.score)');

-- What there is: no copy, no prefix; a longer one where it is worth it
CREATE INDEX ON item (owner, made);
CREATE INDEX ON item (lower(name));
SELECT advice('SELECT * FROM item WHERE owner = 5');
SELECT advice('SELECT * FROM item WHERE owner = 5 ORDER BY made DESC LIMIT 3');
SELECT advice('SELECT * FROM item WHERE lower(name) = $$name 5$$');
SELECT advice('SELECT * FROM item WHERE made > now()') ~ 'btree \(made\)' AS not_a_prefix;
SELECT advice('SELECT * FROM item WHERE owner = 5 ORDER BY score LIMIT 1') ~ 'btree \(owner, score\)|nothing' AS other_order;

SET client_min_messages = warning;
DROP SCHEMA advise_rules CASCADE;
