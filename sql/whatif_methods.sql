-- hash, BRIN, GiST, SP-GiST: which plans imagined ones give, and odd tables.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS pg_hone;
RESET client_min_messages;
CREATE SCHEMA whatif_methods;
SET search_path = whatif_methods;

CREATE DOMAIN code AS text CHECK (VALUE <> '');
CREATE TYPE pair AS (a int, b int);
CREATE TABLE t WITH (autovacuum_enabled = off) AS
SELECT i AS id, (i * 7919) % 20011 AS n, md5(i::text) AS note, ('c' || i % 5003)::code AS code,
       point((i * 7919) % 20011, (i * 6007) % 20011) AS pt, int4range(i, i + 10) AS span,
       ('10.0.' || i % 250 || '.' || (i / 250) % 250)::inet AS addr, box(point(i, i), point(i + 1, i + 1)) AS bx
FROM generate_series(1, 20000) i;
ALTER TABLE t ADD COLUMN twice int GENERATED ALWAYS AS (n * 2) STORED;
VACUUM ANALYZE t;

CREATE FUNCTION ask(statement text, VARIADIC create_indexes text[], OUT helps boolean, OUT node text, OUT used text)
RETURNS record LANGUAGE sql AS $$
    SELECT cost_after < cost_before,
           (SELECT string_agg(x #>> '{}', ', ') FROM jsonb_path_query(plan_after, 'strict $.**."Node Type"') x WHERE x #>> '{}' ~ 'Scan'),
           array_to_string(indexes_used, '; ')
    FROM hone.what_if(statement, ARRAY(SELECT 'CREATE INDEX ON ' || d FROM unnest(create_indexes) d))
$$;

-- hash: equality only
SELECT * FROM ask('SELECT * FROM t WHERE note = ''x''', 't USING hash (note)');
SELECT used FROM ask('SELECT * FROM t WHERE note < ''0''', 't USING hash (note)');
SELECT used FROM ask('SELECT note FROM t WHERE note = ''x''', 't USING hash (note)');
SELECT * FROM ask('SELECT * FROM t WHERE code = ''c7''', 't USING hash (code)');
SELECT * FROM ask('SELECT * FROM t WHERE twice = 70', 't USING hash (twice)');
SELECT * FROM ask('SELECT * FROM t WHERE lower(note) = ''x''', 't USING hash (lower(note))');

-- BRIN: smaller ranges read less
SELECT * FROM ask('SELECT * FROM t WHERE id < 100', 't USING brin (id) WITH (pages_per_range = 2)');
SELECT * FROM ask('SELECT * FROM t WHERE id < 100', 't USING brin (id int4_minmax_multi_ops (values_per_range = 8)) WITH (pages_per_range = 4)');
SELECT * FROM ask('SELECT * FROM t WHERE id = 100', 't USING brin (id int4_bloom_ops (false_positive_rate = 0.05)) WITH (pages_per_range = 4)');
SELECT used FROM ask('SELECT * FROM t WHERE n < 100', 't USING brin (n)');
SELECT a.cost_after < b.cost_after AS smaller_is_cheaper, a.size_bytes >= b.size_bytes AS smaller_is_larger
FROM hone.what_if('SELECT * FROM t WHERE id < 100', '{CREATE INDEX ON t USING brin (id) WITH (pages_per_range = 1)}') a,
     hone.what_if('SELECT * FROM t WHERE id < 100', '{CREATE INDEX ON t USING brin (id) WITH (pages_per_range = 64)}') b;

-- GiST: nearest neighbours, index-only scans where values can be fetched
SELECT * FROM ask('SELECT * FROM t ORDER BY pt <-> ''(5,5)'' LIMIT 3', 't USING gist (pt)');
SELECT * FROM ask('SELECT pt FROM t WHERE pt <@ box ''((0,0),(9,9))''', 't USING gist (pt)');
SELECT * FROM ask('SELECT span, id FROM t WHERE span @> 77', 't USING gist (span) INCLUDE (id)');
SELECT * FROM ask('SELECT span, id FROM t WHERE span @> 77', 't USING gist (span)');
SELECT * FROM ask('SELECT circle(pt, 1) FROM t WHERE circle(pt, 1) @> circle ''<(5,5),0>''', 't USING gist (circle(pt, 1))');
SELECT * FROM ask('SELECT addr FROM t WHERE addr << ''10.0.7.0/30''', 't USING gist (addr inet_ops)');
SELECT * FROM ask('SELECT * FROM t WHERE span @> 77 AND n < 10000', 't USING gist (span) WHERE n < 10000');
SELECT * FROM ask('SELECT * FROM t WHERE to_tsvector(''simple'', note) @@ ''x''', 't USING gist (to_tsvector(''simple'', note) tsvector_ops (siglen = 64))');

-- SP-GiST
SELECT * FROM ask('SELECT * FROM t ORDER BY pt <-> ''(5,5)'' LIMIT 3', 't USING spgist (pt)');
SELECT * FROM ask('SELECT pt FROM t WHERE pt <@ box ''((0,0),(9,9))''', 't USING spgist (pt kd_point_ops)');
SELECT * FROM ask('SELECT note FROM t WHERE note ^@ ''abcd''', 't USING spgist (note)');
SELECT * FROM ask('SELECT code FROM t WHERE code = ''c9''', 't USING spgist (code)');
SELECT * FROM ask('SELECT addr, id FROM t WHERE addr << ''10.0.7.0/30''', 't USING spgist (addr) INCLUDE (id)');
SELECT * FROM ask('SELECT bx FROM t WHERE bx <@ ''((0,0),(9,9))''', 't USING spgist (bx)');
SELECT * FROM ask('SELECT polygon(bx) FROM t WHERE polygon(bx) << ''((5,5),(6,6))''', 't USING spgist (polygon(bx))');

-- Tables of any kind: what is not empty has a size, and nothing fails.
CREATE TABLE empty (id int, note text, pt point, span int4range, tags text[]);
CREATE TABLE unknown AS SELECT id, note, pt, span, ARRAY[note] AS tags FROM t;
CREATE TABLE one_page AS SELECT * FROM unknown LIMIT 3;
ANALYZE one_page;
CREATE TABLE no_values AS SELECT NULL::int AS id, NULL::text AS note, NULL::point AS pt, NULL::int4range AS span, NULL::text[] AS tags FROM generate_series(1, 1000);
ANALYZE no_values;
CREATE TEMP TABLE passing AS SELECT * FROM unknown;
CREATE UNLOGGED TABLE unlogged AS SELECT * FROM unknown;
CREATE MATERIALIZED VIEW kept AS SELECT * FROM unknown;
CREATE TABLE parted (LIKE empty) PARTITION BY RANGE (id);
CREATE TABLE parted_1 PARTITION OF parted FOR VALUES FROM (0) TO (10000);
CREATE TABLE parted_2 (tags text[], gone int, span int4range, pt point, note text, id int);
ALTER TABLE parted_2 DROP COLUMN gone;
ALTER TABLE parted ATTACH PARTITION parted_2 FOR VALUES FROM (10000) TO (30000);
CREATE TABLE parted_3 PARTITION OF parted FOR VALUES FROM (30000) TO (40000);
INSERT INTO parted SELECT * FROM unknown;
ANALYZE parted;

CREATE FUNCTION sizes(relation text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    d text;
    real_size bigint;
    imagined bigint;
    result text := '';
    -- the planner, and so we, take an empty table to have ten pages
    slack int := CASE WHEN relation = 'empty' THEN 81920 ELSE 24576 END;
BEGIN
    FOREACH d IN ARRAY ARRAY['USING hash (note)', 'USING brin (id, span) WITH (pages_per_range = 2)', 'USING brin (note text_bloom_ops)',
        'USING gist (pt) INCLUDE (id)', 'USING gist (span, pt)', 'USING spgist (note)', 'USING spgist (span) INCLUDE (id)', 'USING gin (tags)', '(note, id DESC)'] LOOP
        SELECT size_bytes INTO imagined FROM hone.what_if('SELECT 1', ARRAY[format('CREATE INDEX ON %I %s', relation, d)]);
        EXECUTE format('CREATE INDEX the_index ON %I %s', relation, d);
        real_size := pg_relation_size('the_index') +
            (SELECT coalesce(sum(pg_relation_size(inhrelid)), 0) FROM pg_inherits WHERE inhparent = 'the_index'::regclass);
        EXECUTE 'DROP INDEX the_index';
        result := result || CASE WHEN imagined BETWEEN real_size / 1.6 - slack AND real_size * 1.6 + slack THEN '.'
                                 ELSE format(' %s: %s against %s ', d, imagined, real_size) END;
    END LOOP;
    RETURN result;
END
$$;
SELECT r AS relation, sizes(r) FROM unnest(ARRAY['empty', 'unknown', 'one_page', 'no_values', 'passing', 'unlogged', 'kept', 'parted']) r;

-- every partition has its own
SELECT * FROM ask('SELECT * FROM parted WHERE note = ''x''', 'parted USING hash (note)');
SELECT * FROM ask('SELECT * FROM parted WHERE pt <@ box ''((0,0),(9,9))''', 'parted USING gist (pt)');
SELECT * FROM ask('SELECT * FROM parted WHERE span @> 7', 'parted USING spgist (span)');

-- Under row security nothing is sampled, and nothing that was sampled for others is used.
CREATE ROLE whatif_methods_reader;
GRANT USAGE ON SCHEMA whatif_methods TO whatif_methods_reader;
CREATE TABLE guarded AS SELECT * FROM t;
ALTER TABLE guarded ENABLE ROW LEVEL SECURITY;
CREATE POLICY few ON guarded USING (id < 10);
CREATE FUNCTION witness(x int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS
$$ BEGIN IF x = 77 THEN RAISE WARNING 'saw row 77'; END IF; RETURN x % 5; END $$;
GRANT SELECT ON guarded TO whatif_methods_reader;
GRANT EXECUTE ON FUNCTION hone.what_if TO whatif_methods_reader;
ANALYZE guarded;
CREATE FUNCTION rows_expected(definition text) RETURNS boolean LANGUAGE sql AS $$
    SELECT (plan_after #>> '{0,Plan,Plan Rows}')::float8 > 3000
    FROM hone.what_if('SELECT * FROM whatif_methods.guarded WHERE whatif_methods.witness(id) = 3', ARRAY['CREATE INDEX ON whatif_methods.guarded ' || definition])
$$;
BEGIN;
-- read once, whatever the index is
SELECT rows_expected('(witness(id))');
SELECT rows_expected('(witness(id)) WHERE n > 0 OR n IS NULL');
SELECT rows_expected('USING hash (witness(id))');
SET LOCAL ROLE whatif_methods_reader;
SELECT rows_expected('(witness(id))');
SELECT rows_expected('USING hash (witness(id))');
SELECT size_bytes > 0 AS sized FROM hone.what_if('SELECT 1', '{"CREATE INDEX ON guarded USING gist (circle(pt, witness(id)))"}');
SELECT size_bytes > 0 AS sized FROM hone.what_if('SELECT 1', '{CREATE INDEX ON guarded USING spgist (note)}');
RESET ROLE;
SELECT rows_expected('(witness(id))');
-- when the table has grown it is read again
INSERT INTO guarded SELECT * FROM guarded;
SELECT rows_expected('(witness(id))');
-- and after the function has
CREATE OR REPLACE FUNCTION witness(x int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN RETURN x; END $$;
SELECT rows_expected('(witness(id))');
COMMIT;
SELECT rows_expected('(witness(id))');

SET client_min_messages = warning;
REVOKE EXECUTE ON FUNCTION hone.what_if FROM whatif_methods_reader;
DROP SCHEMA whatif_methods CASCADE;
DROP ROLE whatif_methods_reader;
