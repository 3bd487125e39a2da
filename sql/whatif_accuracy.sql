-- An imagined index against the real one: size within 15 % (b-tree) or a
-- factor of 1.5 (GIN), cost of the same query within 15 % or a factor of 1.5.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS pg_hone;
SELECT count(*) > 0 AS trgm_installed FROM pg_available_extensions WHERE name = 'pg_trgm' \gset
RESET client_min_messages;

CREATE SCHEMA whatif_accuracy;
SET search_path = whatif_accuracy, public;
SELECT setseed(0.5);
CREATE TABLE ev AS
SELECT i AS id, 'm' || (random() * random() * 50)::int AS name, random() AS val,
       CASE WHEN i % 5 > 0 THEN (random() * 300)::int END AS owner,
       CASE WHEN i % 10 = 0 THEN i END AS mostly_null,
       jsonb_build_object('host', 'h' || (random() * 100)::int, 'request', i) AS labels,
       ARRAY['t' || i % 20, 'u' || (random() * 1000)::int] AS tags,
       '2025-01-01'::timestamptz + i * interval '1 second' AS ts,
       CASE WHEN random() < .95 THEN 'done' ELSE 'open' END AS status,
       to_tsvector('simple', 'word' || (random() * 1000)::int || ' foo' || (random() * 30)::int) AS words,
       md5(i::text) AS note, (random() * 1000)::numeric(10,2) AS price,
       gen_random_uuid() AS ref
FROM generate_series(1, 60000) i;
VACUUM ANALYZE ev;
SET max_parallel_workers_per_gather = 0;

CREATE FUNCTION compare(definition text, statement text,
                        OUT size_ok boolean, OUT cost_ok boolean, OUT used boolean)
LANGUAGE plpgsql AS $$
DECLARE
    imagined record;
    real_size bigint;
    real_cost float8;
    limits float8 := CASE WHEN definition LIKE '%gin%' THEN 1.5 ELSE 1.15 END;
    plan json;
BEGIN
    SELECT * INTO imagined FROM hone.what_if(statement, ARRAY[definition]);
    EXECUTE replace(definition, 'INDEX ON', 'INDEX the_index ON');
    real_size := pg_relation_size('the_index');
    EXECUTE 'EXPLAIN (FORMAT JSON) ' || statement INTO plan;
    real_cost := plan #>> '{0,Plan,Total Cost}';
    DROP INDEX the_index;
    size_ok := imagined.size_bytes BETWEEN real_size / limits AND real_size * limits;
    cost_ok := imagined.cost_after BETWEEN real_cost / limits AND real_cost * limits;
    used := imagined.indexes_used <> '{}' AND plan::text LIKE '%the_index%';
    IF NOT (size_ok AND cost_ok) THEN
        RAISE WARNING '%: size % against %, cost % against %', definition,
            imagined.size_bytes, real_size, imagined.cost_after, real_cost;
    END IF;
END
$$;

SELECT d AS definition, c.*
FROM (VALUES
    ('CREATE INDEX ON ev (id)', 'SELECT * FROM ev WHERE id < 500'),
    ('CREATE INDEX ON ev (name)', 'SELECT count(*) FROM ev WHERE name = ''m2'''),
    ('CREATE INDEX ON ev (owner)', 'SELECT * FROM ev WHERE owner = 7'),
    ('CREATE INDEX ON ev (owner)', 'SELECT count(*) FROM ev WHERE owner IS NULL'),
    ('CREATE INDEX ON ev (val)', 'SELECT * FROM ev WHERE val < 0.001'),
    ('CREATE INDEX ON ev (price)', 'SELECT * FROM ev WHERE price < 2'),
    ('CREATE INDEX ON ev (ref)', 'SELECT * FROM ev ORDER BY ref LIMIT 5'),
    ('CREATE INDEX ON ev (ts DESC)', 'SELECT * FROM ev ORDER BY ts DESC LIMIT 20'),
    ('CREATE INDEX ON ev (name, ts DESC)', 'SELECT * FROM ev WHERE name = ''m2'' ORDER BY ts DESC LIMIT 20'),
    ('CREATE INDEX ON ev (owner, status)', 'SELECT * FROM ev WHERE owner = 7 AND status = ''open'''),
    ('CREATE INDEX ON ev (owner, val)', 'SELECT * FROM ev WHERE owner = 7 AND val < 0.1'),
    ('CREATE INDEX ON ev (owner, mostly_null)', 'SELECT * FROM ev WHERE owner = 7 AND mostly_null > 50000'),
    ('CREATE INDEX ON ev (mostly_null) WHERE mostly_null IS NOT NULL', 'SELECT * FROM ev WHERE mostly_null < 1000'),
    ('CREATE INDEX ON ev (status, ts) WHERE status = ''open''', 'SELECT * FROM ev WHERE status = ''open'' ORDER BY ts LIMIT 100'),
    ('CREATE INDEX ON ev (ts) INCLUDE (status, val)', 'SELECT val FROM ev WHERE ts < ''2025-01-01 01:00'' AND status = ''open'''),
    ('CREATE INDEX ON ev (ts) WHERE status = ''open''', 'SELECT * FROM ev WHERE status = ''open'' ORDER BY ts LIMIT 100'),
    ('CREATE INDEX ON ev (name) WHERE status = ''open''', 'SELECT * FROM ev WHERE status = ''open'' AND name = ''m7'''),
    ('CREATE INDEX ON ev (note)', 'SELECT * FROM ev WHERE note < ''01'''),
    ('CREATE INDEX ON ev (lower(note))', 'SELECT * FROM ev ORDER BY lower(note) LIMIT 10'),
    ('CREATE INDEX ON ev ((labels ->> ''host''))', 'SELECT id FROM ev ORDER BY labels ->> ''host'' LIMIT 10'),
    ('CREATE INDEX ON ev (id) WITH (fillfactor = 50)', 'SELECT * FROM ev WHERE id < 500'),
    ('CREATE INDEX ON ev USING gin (labels)', 'SELECT * FROM ev WHERE labels @> ''{"host": "h7"}'''),
    ('CREATE INDEX ON ev USING gin (labels jsonb_path_ops)', 'SELECT * FROM ev WHERE labels @> ''{"host": "h7"}'''),
    ('CREATE INDEX ON ev USING gin (tags)', 'SELECT * FROM ev WHERE tags @> ''{u7}'''),
    ('CREATE INDEX ON ev USING gin (tags, words)', 'SELECT * FROM ev WHERE tags @> ''{u7}'' AND words @@ ''word7'''),
    ('CREATE INDEX ON ev USING gin (words)', 'SELECT * FROM ev WHERE words @@ ''word7'''),
    ('CREATE INDEX ON ev USING gin (tags) WHERE status = ''open''', 'SELECT * FROM ev WHERE status = ''open'' AND tags @> ''{u7}''')
) v(d, q), compare(d, q) c;

-- The expression's statistics: as good as after CREATE INDEX and ANALYZE.
CREATE TEMP TABLE imagined AS
SELECT * FROM hone.what_if('SELECT * FROM ev WHERE labels ->> ''host'' = ''h7''', '{CREATE INDEX ON ev ((labels ->> ''host''))}');
CREATE INDEX ev_host ON ev ((labels ->> 'host'));
ANALYZE ev;
SELECT (i.plan_after #>> '{0,Plan,Plan Rows}')::float8 / (w.plan_before #>> '{0,Plan,Plan Rows}')::float8 BETWEEN 0.7 AND 1.4 AS rows_ok,
       i.cost_after / w.cost_before BETWEEN 0.7 AND 1.4 AS cost_ok
FROM imagined i, hone.what_if('SELECT * FROM ev WHERE labels ->> ''host'' = ''h7''', NULL, '{pg_class_oid_index}') w;
DROP INDEX ev_host;

-- Trigrams, where they are installed.
\if :trgm_installed
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS pg_trgm SCHEMA whatif_accuracy;
RESET client_min_messages;
SELECT * FROM compare('CREATE INDEX ON ev USING gin (note gin_trgm_ops)', 'SELECT * FROM ev WHERE note LIKE ''%abcdef%''');
\else
SELECT true AS size_ok, true AS cost_ok, true AS used;
\endif

SET client_min_messages = warning;
DROP SCHEMA whatif_accuracy CASCADE;
