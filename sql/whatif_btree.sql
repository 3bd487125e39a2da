SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS pg_hone;
RESET client_min_messages;

CREATE SCHEMA whatif_btree;
SET search_path = whatif_btree;
CREATE TABLE metrics (
    id serial PRIMARY KEY,
    metric_name text,
    value float8,
    labels jsonb,
    "timestamp" timestamptz,
    status text);
INSERT INTO metrics (metric_name, value, labels, "timestamp", status)
SELECT 'm' || i % 50, i, jsonb_build_object('host', 'h' || i % 997),
       '2025-01-01'::timestamptz + i * interval '1 minute',
       CASE WHEN i % 40 = 0 THEN 'open' ELSE 'done' END
FROM generate_series(1, 40000) i;
VACUUM ANALYZE metrics;

-- What is used, and whether it helps.
CREATE FUNCTION ask(statement text, create_indexes text[], parameters text[] DEFAULT NULL,
                    OUT helps boolean, OUT used text)
RETURNS record LANGUAGE sql AS $$
    SELECT cost_after < cost_before / 2, array_to_string(indexes_used, '; ')
    FROM hone.what_if(statement, create_indexes, NULL, parameters)
$$;

-- one column, several, order, nulls
SELECT * FROM ask('SELECT * FROM metrics WHERE value = 7', '{CREATE INDEX ON metrics (value)}');
SELECT * FROM ask('SELECT * FROM metrics WHERE metric_name = ''m7'' ORDER BY "timestamp" DESC LIMIT 10',
                  '{"CREATE INDEX CONCURRENTLY IF NOT EXISTS some_name ON metrics (metric_name, \"timestamp\" DESC)"}');
SELECT * FROM ask('SELECT * FROM metrics ORDER BY value DESC NULLS LAST LIMIT 10',
                  '{CREATE INDEX ON metrics (value DESC NULLS LAST), CREATE INDEX ON metrics (value)}');
SELECT * FROM ask('SELECT * FROM metrics ORDER BY metric_name, value DESC LIMIT 10',
                  '{"CREATE INDEX ON metrics (metric_name, value)", "CREATE INDEX ON metrics (metric_name, value DESC)"}');
-- INCLUDE: an index-only scan
SELECT plan_after #>> '{0,Plan,Node Type}' AS node, plan_after #>> '{0,Plan,Index Name}' AS name, indexes_used
FROM hone.what_if('SELECT value FROM metrics WHERE "timestamp" < ''2025-01-02''',
                  ARRAY['CREATE INDEX ON metrics ("timestamp") INCLUDE (value)']);
-- partial: with the value known, and not for any value
SELECT * FROM ask('SELECT * FROM metrics WHERE status = ''open'' AND value < 100',
                  '{CREATE INDEX ON metrics (value) WHERE status = ''open''}');
SELECT * FROM ask('SELECT * FROM metrics WHERE status = $1 AND value = $2',
                  '{CREATE INDEX ON metrics (value) WHERE status = ''open''}', '{open,7}');
SELECT * FROM ask('SELECT * FROM metrics WHERE status = $1 AND value = $2',
                  '{CREATE INDEX ON metrics (value) WHERE status = ''open''}');
-- expressions; their statistics come from a sample: about 40 rows of 40000
SELECT * FROM ask('SELECT * FROM metrics WHERE labels ->> ''host'' = ''h7''',
                  '{CREATE INDEX ON metrics ((labels ->> ''host''))}');
SELECT (plan_before #>> '{0,Plan,Plan Rows}')::float8 > 150 AS guessed,
       (plan_after #>> '{0,Plan,Plan Rows}')::float8 BETWEEN 30 AND 55 AS known
FROM hone.what_if('SELECT * FROM metrics WHERE labels ->> ''host'' = $1',
                  '{CREATE INDEX ON metrics ((labels ->> ''host''))}', NULL, '{h7}');
SELECT * FROM ask('SELECT * FROM metrics WHERE lower(metric_name) = $1 AND value = $2',
                  '{"CREATE INDEX ON metrics (lower(metric_name), value)"}');
-- collation, operator class, options
SELECT * FROM ask('SELECT * FROM metrics WHERE metric_name LIKE ''m7%'' AND value = 7',
                  '{"CREATE INDEX ON metrics (value, metric_name COLLATE \"C\" text_pattern_ops) WITH (fillfactor = 70)"}');
-- no values: a generic plan
SELECT * FROM ask('SELECT * FROM metrics WHERE value = $1', '{CREATE INDEX ON metrics (value)}');
-- NULL as a value
SELECT * FROM ask('SELECT * FROM metrics WHERE value = $1', '{CREATE INDEX ON metrics (value)}', '{NULL}');
-- writes
SELECT * FROM ask('UPDATE metrics SET status = ''x'' WHERE value = 7', '{CREATE INDEX ON metrics (value)}');
SELECT * FROM ask('DELETE FROM metrics WHERE value = 7', '{CREATE INDEX ON metrics (value)}');
SELECT * FROM ask('INSERT INTO metrics SELECT * FROM metrics WHERE value = 7', '{CREATE INDEX ON metrics (value)}');
SELECT * FROM ask('MERGE INTO metrics m USING (SELECT 7 AS value) s ON m.value = s.value WHEN MATCHED THEN DELETE',
                  '{CREATE INDEX ON metrics (value)}');
SELECT count(*) FROM metrics;
-- a join, a subquery, a CTE, a view
SELECT * FROM ask('SELECT * FROM metrics a JOIN metrics b ON a.value = b.value WHERE a.id = 7', '{CREATE INDEX ON metrics (value)}');
SELECT * FROM ask('SELECT (SELECT max(value) FROM metrics WHERE metric_name = ''m7'')', '{"CREATE INDEX ON metrics (metric_name, value)"}');
SELECT * FROM ask('WITH c AS MATERIALIZED (SELECT * FROM metrics WHERE value = 7) SELECT count(*) FROM c', '{CREATE INDEX ON metrics (value)}');
CREATE VIEW open_metrics AS SELECT * FROM metrics WHERE status = 'open';
SELECT * FROM ask('SELECT * FROM open_metrics WHERE value = 7', '{CREATE INDEX ON metrics (value) WHERE status = ''open''}');

-- hide a real index, alone and with a better one
SELECT cost_after > cost_before * 10 AS hurts, size_bytes, indexes_used
FROM hone.what_if('SELECT * FROM metrics WHERE id = 7', NULL, '{metrics_pkey}');
SELECT cost_after > cost_before * 10 AS hurts, indexes_used
FROM hone.what_if('SELECT * FROM metrics WHERE id = 7', '{CREATE INDEX ON metrics (id)}', '{metrics_pkey}');
EXPLAIN (COSTS OFF) SELECT * FROM metrics WHERE id = 7;

-- partitions whose columns have other numbers, through the parent and directly
CREATE TABLE parted (a int, b int, c text) PARTITION BY RANGE (a);
CREATE TABLE parted_1 PARTITION OF parted FOR VALUES FROM (0) TO (10000);
CREATE TABLE parted_2 (junk int, c text, b int, a int);
ALTER TABLE parted_2 DROP COLUMN junk;
ALTER TABLE parted ATTACH PARTITION parted_2 FOR VALUES FROM (10000) TO (20000);
INSERT INTO parted SELECT i, i * 7 % 20000, 'C' || i FROM generate_series(0, 19999) i;
ANALYZE parted;
SELECT * FROM ask('SELECT * FROM parted WHERE b = 7', '{CREATE INDEX ON parted (b)}');
SELECT * FROM ask('SELECT * FROM parted WHERE lower(c) = ''c7'' AND a > 5', '{CREATE INDEX ON parted (lower(c)) WHERE a > 5}');
SELECT * FROM ask('SELECT * FROM parted_2 WHERE b = 7', '{CREATE INDEX ON parted (b)}');
SELECT * FROM ask('SELECT * FROM parted WHERE b = 7 AND a < 500', '{CREATE INDEX ON parted_1 (b)}');
CREATE INDEX parted_b ON parted (b);
SELECT cost_after > cost_before * 5 AS hurts
FROM hone.what_if('SELECT * FROM parted WHERE b = 7', NULL, '{parted_b}');

-- tables of the session, materialized views, names that need quotes
CREATE TEMP TABLE tmp AS SELECT i AS x FROM generate_series(1, 20000) i;
ANALYZE tmp;
SELECT * FROM ask('SELECT * FROM tmp WHERE x = 7', '{CREATE INDEX ON tmp (x)}');
CREATE MATERIALIZED VIEW mv AS SELECT * FROM metrics;
ANALYZE mv;
SELECT * FROM ask('SELECT * FROM mv WHERE value = 7', '{CREATE INDEX ON mv (value)}');
CREATE TABLE "odd ""name%s" ("Col;--" int, "select" text);
INSERT INTO "odd ""name%s" SELECT i, i FROM generate_series(1, 20000) i;
ANALYZE "odd ""name%s";
SELECT * FROM ask('SELECT * FROM "odd ""name%s" WHERE "Col;--" = 7',
                  ARRAY['CREATE INDEX ON "odd ""name%s" ("Col;--", ("select" || ''x''))']);
-- a canonical definition is its own canonical definition
SELECT (hone.what_if('SELECT * FROM "odd ""name%s" WHERE "Col;--" = 7', w.indexes_used)).indexes_used = w.indexes_used AS same
FROM hone.what_if('SELECT * FROM "odd ""name%s" WHERE "Col;--" = 7',
                  ARRAY['CREATE INDEX ON "odd ""name%s" ("Col;--", ("select" || ''x''))']) w;
-- an empty table, and one never analysed
CREATE TABLE empty (a int);
SELECT size_bytes > 0 AS sized FROM hone.what_if('SELECT * FROM empty WHERE a = 1', '{CREATE INDEX ON empty (a)}');

-- nothing is left behind
SELECT count(*) FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
WHERE c.relnamespace = 'whatif_btree'::regnamespace AND c.relname NOT LIKE '%b%' AND c.relname <> 'metrics_pkey';
BEGIN;
SELECT * FROM ask('DELETE FROM metrics WHERE value = 7', '{CREATE INDEX ON metrics (value)}');
SELECT count(*) AS locks FROM pg_locks WHERE pid = pg_backend_pid() AND relation = 'metrics'::regclass;
COMMIT;

SET client_min_messages = warning;
DROP SCHEMA whatif_btree CASCADE;
