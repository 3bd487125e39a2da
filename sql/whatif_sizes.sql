-- Sizes of imagined indexes against those that get built, on data of many
-- shapes: b-tree within 10 %, hash too, the others within a factor of 1.5.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS pg_hone;
SELECT count(*) = 1 AS contrib FROM pg_available_extensions WHERE name = 'pg_trgm' \gset
CREATE SCHEMA whatif_sizes;
SET search_path = whatif_sizes, public;
\if :contrib
CREATE EXTENSION IF NOT EXISTS pg_trgm SCHEMA whatif_sizes;
\endif
RESET client_min_messages;

SELECT setseed(0.25);
CREATE TABLE plain WITH (autovacuum_enabled = off) AS
SELECT i AS id, i % 7 AS few, (random() * random() * 5000)::int AS skewed, (random() * 1e9)::int AS many,
       md5(i::text) AS hex, 'https://example.com/' || (random() * 300)::int || '/' || repeat('a', (random() * 60)::int) AS url,
       'name' || (random() * 2000)::int AS name, md5(random()::text)::uuid AS ref, (random() * 1e6)::numeric(12, 3) AS amount,
       '2025-01-01'::timestamptz + i * interval '1 minute' AS at, '2025-01-01'::date + (random() * 700)::int AS day,
       CASE WHEN random() < 0.4 THEN (random() * 1000)::int END AS holes, CASE WHEN random() < 0.03 THEN i END AS rare,
       random() < 0.9 AS flag, random() AS noise, CASE WHEN random() < 0.1 THEN 'open' ELSE 'done' END AS status
FROM generate_series(1, 100000) i;
CREATE TABLE docs WITH (autovacuum_enabled = off) AS
SELECT i AS id,
       jsonb_build_object('host', 'h' || (random() * 100)::int, 'request', i) AS ids,
       jsonb_build_object('a', jsonb_build_object('b', (random() * 1000)::int, 'c', md5((i % 777)::text)), 'list', jsonb_build_array('x' || (i % 10), 'y' || (i % 1000))) AS nested,
       jsonb_build_object('status', i % 5, 'kind', 'k' || i % 3, 'ok', i % 2 = 0) AS flat,
       ARRAY['t' || i % 20, 'u' || (random() * 1000)::int] AS tags, ARRAY[(random() * random() * 30000)::int, (random() * 50)::int] AS numbers,
       CASE WHEN i % 5 = 0 THEN ARRAY['a' || i % 100] END AS sparse, ARRAY[i, i + 1] AS unique_numbers,
       to_tsvector('simple', 'word' || (random() * random() * 20000)::int || ' foo' || (random() * 30)::int || ' w' || (random() * 1000)::int || ' z' || i) AS words,
       'user' || (random() * 5000)::int || '@example' || (i % 50) || '.com' AS email, md5(i::text) AS hex,
       'the ' || md5((i % 5000)::text) || ' of ' || (i % 365) || ' days' AS body,
       point(random() * 1000, random() * 1000) AS pt, int4range((random() * 1000)::int, 1000 + (random() * 1000)::int) AS wide,
       tstzrange('2025-01-01'::timestamptz + i * interval '1 minute', '2025-01-01'::timestamptz + (i + random() * 60) * interval '1 minute') AS during
FROM generate_series(1, 60000) i;
-- columns that depend on each other, at random and side by side
CREATE TABLE linked WITH (autovacuum_enabled = off) AS
SELECT part, (part * 13 + 250 * (random() * 3)::int) % 1000 AS supplier, i / 4000 AS day, i / 5 % 3000 AS slot, i % 3 AS few
FROM (SELECT i, (random() * 7000)::int AS part FROM generate_series(1, 120000) i OFFSET 0) x;
VACUUM ANALYZE plain, docs, linked;

CREATE FUNCTION ratio(definition text, OUT ratio float8, OUT pages_off float8) LANGUAGE plpgsql AS $$
DECLARE
    real_size float8;
BEGIN
    SELECT size_bytes INTO ratio FROM hone.what_if('SELECT 1', ARRAY['CREATE INDEX ON ' || definition]);
    EXECUTE 'CREATE INDEX the_index ON ' || definition;
    real_size := pg_relation_size('the_index');
    DROP INDEX the_index;
    pages_off := abs(ratio - real_size) / 8192;
    ratio := ratio / real_size;
END
$$;

CREATE TABLE sizes AS
SELECT coalesce(substring(d FROM 'USING (\w+)'), 'btree') AS method, d AS definition, r.*
FROM unnest(ARRAY[
    'plain (id)', 'plain (few)', 'plain (skewed)', 'plain (many)', 'plain (hex)', 'plain (url)', 'plain (name)', 'plain (ref)', 'plain (amount)',
    'plain (at DESC)', 'plain (day)', 'plain (holes)', 'plain (rare)', 'plain (rare) WHERE rare IS NOT NULL', 'plain (flag)', 'plain (noise)',
    'linked (supplier, part)', 'linked (part, supplier, few)', 'linked (day, slot)', 'linked (slot, few)', 'linked (supplier, day)',
    'plain (few, at)', 'plain (name, day)', 'plain (skewed, name, many)', 'plain (holes, rare)', 'plain (name) INCLUDE (id, amount)',
    'plain (many) WHERE status = ''open''', 'plain (name) WHERE status = ''open''', 'plain (lower(hex))', 'plain ((many % 1000))', 'plain (date_trunc(''hour'', at AT TIME ZONE ''UTC''))',
    'plain (many) WITH (fillfactor = 60)', 'plain (name) WITH (deduplicate_items = off)',
    'docs USING gin (ids)', 'docs USING gin (ids jsonb_path_ops)', 'docs USING gin (nested)', 'docs USING gin (nested jsonb_path_ops)', 'docs USING gin (flat)',
    'docs USING gin (tags)', 'docs USING gin (numbers)', 'docs USING gin (sparse)', 'docs USING gin (unique_numbers)', 'docs USING gin (words)',
    'docs USING gin (tags, words)', 'docs USING gin (tags) WHERE id < 10000', 'docs USING gin (to_tsvector(''english'', body))', 'docs USING gin ((nested -> ''list''))',
    'plain USING hash (hex)', 'plain USING hash (name)', 'plain USING hash (few)', 'plain USING hash (holes)', 'plain USING hash (many) WHERE status = ''open''',
    'plain USING brin (at)', 'plain USING brin (at, hex) WITH (pages_per_range = 2)', 'plain USING brin (id int4_minmax_multi_ops) WITH (pages_per_range = 4)',
    'plain USING brin (ref uuid_bloom_ops) WITH (pages_per_range = 16)', 'docs USING brin (during) WITH (pages_per_range = 2)',
    'docs USING gist (pt)', 'docs USING gist (pt) INCLUDE (id)', 'docs USING gist (wide)', 'docs USING gist (during)', 'docs USING gist (words)', 'docs USING gist (circle(pt, 1))', 'docs USING gist (pt) WITH (fillfactor = 60)',
    'docs USING spgist (pt)', 'docs USING spgist (pt kd_point_ops)', 'docs USING spgist (wide)', 'docs USING spgist (email)', 'docs USING spgist (body)', 'docs USING spgist (hex)'] ||
    CASE WHEN :'contrib' THEN ARRAY['docs USING gin (email gin_trgm_ops)', 'docs USING gin (body gin_trgm_ops)', 'docs USING gist (email gist_trgm_ops)', 'docs USING gist (hex gist_trgm_ops (siglen = 32))'] ELSE '{}' END) d, ratio(d) r;
-- a few pages more or less are not an error
CREATE VIEW judged AS
SELECT *, pages_off <= 2 OR ratio BETWEEN 0.667 AND 1.5 AS within_half,
       CASE WHEN method IN ('btree', 'hash') THEN pages_off <= 2 OR ratio BETWEEN 0.909 AND 1.1 END AS within_tenth
FROM sizes;
SELECT method, count(*) >= CASE WHEN method IN ('btree', 'gin') THEN 10 ELSE 5 END AS enough,
       bool_and(within_half) AS within_half, bool_and(within_tenth) AS within_tenth
FROM judged GROUP BY method ORDER BY method;
SELECT definition, round(ratio::numeric, 2) AS ratio FROM judged WHERE NOT within_half OR NOT within_tenth;

SET client_min_messages = warning;
DROP SCHEMA whatif_sizes CASCADE;
