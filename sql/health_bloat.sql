-- hone.index_health: bloated ones, and no alarm about indexes that were just built.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS pg_hone;
RESET client_min_messages;
SET pg_hone.enabled = off;
CREATE SCHEMA health_bloat;
SET search_path = health_bloat, public;
CREATE VIEW found AS
    SELECT replace(index_name, 'health_bloat.', '') AS index, problem, replace(suggestion, 'health_bloat.', '') AS suggestion, safe
    FROM hone.index_health WHERE table_name ~ '^health_bloat\.' AND problem = 'bloated';
CREATE FUNCTION measure() RETURNS bigint LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM hone.index_size_store WHERE index_oid IN (SELECT oid FROM pg_class WHERE relnamespace = 'health_bloat'::regnamespace);
    FOR i IN 1..50 LOOP
        EXIT WHEN hone.collect_index_sizes() = 0;
    END LOOP;
    RETURN (SELECT count(*) FROM hone.index_size_store
            WHERE index_oid IN (SELECT oid FROM pg_class WHERE relnamespace = 'health_bloat'::regnamespace));
END $$;
CREATE TABLE big WITH (autovacuum_enabled = off) AS
SELECT i AS id, md5(i::text) AS m, i % 1000 AS few, (i * 7919::bigint) % 1000003 AS r, repeat('v', i % 50) || i AS v,
       jsonb_build_object('k', i % 1000, 'v', md5(i::text)) AS j, point(i % 1009, i % 907) AS p, int4range(i, i + 9) AS g
FROM generate_series(1, 200000) i;
CREATE INDEX big_m ON big (m);
CREATE INDEX big_multi ON big (few, m);
CREATE INDEX big_inc ON big (r) INCLUDE (m);
CREATE UNIQUE INDEX big_unique ON big (m, id);
CREATE INDEX big_expr ON big (upper(v));
CREATE INDEX big_partial ON big (m) WHERE few < 600;
CREATE INDEX big_loose ON big (m) WITH (fillfactor = 50);
CREATE INDEX big_hash ON big USING hash (few);
CREATE INDEX big_gist ON big USING gist (p);
CREATE INDEX big_spgist ON big USING spgist (p);
CREATE INDEX big_gin ON big USING gin (j);
CREATE INDEX big_id ON big (id);
VACUUM ANALYZE big;
SELECT measure() > 7 AS many;
SELECT * FROM found ORDER BY 1;
-- splits leave pages half full: that is how a btree lives, not bloat
CREATE TABLE grown (m text) WITH (autovacuum_enabled = off);
CREATE INDEX grown_m ON grown (m);
INSERT INTO grown SELECT md5(i::text) FROM generate_series(1, 200000) i;
VACUUM ANALYZE grown;
SELECT measure() > 7 AS many;
SELECT * FROM found ORDER BY 1;
-- most of its rows are gone, its pages are not
DELETE FROM big WHERE few >= 150;
DELETE FROM grown WHERE m >= '3';
VACUUM ANALYZE big, grown;
SELECT measure() > 7 AS many;
SELECT * FROM found WHERE index IN ('big_m', 'big_unique', 'big_gist', 'grown_m', 'big_id') ORDER BY 1;
SELECT regexp_replace(evidence, '[0-9.]+ [kM]B', 'N MB', 'g') AS evidence FROM hone.index_health WHERE index_name = 'health_bloat.big_m' AND problem = 'bloated';
-- built anew it is none any more, at once
REINDEX INDEX big_m;
SELECT * FROM found WHERE index = 'big_m';
-- what cannot be estimated is not complained about
SELECT hone.fresh_index_size('big');
SELECT hone.fresh_index_size(NULL) IS NULL AS nothing;
SELECT hone.fresh_index_size('big_m') BETWEEN 1000000 AND 4000000 AS plausible;

SET client_min_messages = warning;
DROP SCHEMA health_bloat CASCADE;
