-- Indexes that could go: what another one does, and what nothing uses.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS pg_hone;
DROP SCHEMA IF EXISTS advise_drops CASCADE;
RESET client_min_messages;
CREATE SCHEMA advise_drops;
SET search_path = advise_drops, public;
SELECT coalesce(max(run_id), 0) AS last_run FROM hone.advisor_runs \gset
SET pg_hone.enabled = off;
CREATE TABLE item (id int PRIMARY KEY, a int, b int, c text, tags int[], doc jsonb, span int4range, at timestamptz, note text);
INSERT INTO item SELECT i, i % 3000, i % 700, 'c' || i % 900, ARRAY[i % 50, i % 31], jsonb_build_object('k', i % 90),
       int4range(i, i + 5), timestamptz '2026-01-01 00:00+00' + i * interval '1 minute', repeat('n', 40)
FROM generate_series(1, 10000) i;
VACUUM ANALYZE item;

CREATE FUNCTION drops(VARIADIC definitions text[]) RETURNS TABLE (drop_index text, why text) LANGUAGE plpgsql AS $$
DECLARE
    definition text;
BEGIN
    FOREACH definition IN ARRAY definitions LOOP
        EXECUTE 'CREATE ' || definition;
    END LOOP;
    RETURN QUERY SELECT index_name, substring(reason FROM '^[^.]*\.') FROM hone.recommend_for(ARRAY['SELECT * FROM item WHERE id = 5'])
                 WHERE action = 'drop' ORDER BY 1;
    PERFORM 1 FROM (SELECT format('DROP INDEX %s', i.indexrelid::regclass) AS statement
                    FROM pg_index i WHERE i.indrelid = 'item'::regclass AND NOT i.indisprimary) d,
                   LATERAL (SELECT run(d.statement)) r;
END $$;
CREATE FUNCTION run(statement text) RETURNS void LANGUAGE plpgsql AS $$ BEGIN EXECUTE statement; END $$;

-- A prefix, read in either direction; not with another order, class, collation or predicate
SELECT * FROM drops('INDEX one ON item (a)', 'INDEX wide ON item (a, b)');
SELECT * FROM drops('INDEX one ON item (a DESC NULLS FIRST)', 'INDEX wide ON item (a, b)');
SELECT * FROM drops('INDEX one ON item (a NULLS FIRST)', 'INDEX wide ON item (a, b)');
SELECT * FROM drops('INDEX one ON item (b)', 'INDEX wide ON item (a, b)');
SELECT * FROM drops('INDEX one ON item (c text_pattern_ops)', 'INDEX wide ON item (c, b)');
SELECT * FROM drops('INDEX one ON item (c COLLATE "C")', 'INDEX wide ON item (c COLLATE "POSIX", b)');
SELECT * FROM drops('INDEX one ON item (a) WHERE b = 5', 'INDEX wide ON item (a, c)');
SELECT * FROM drops('INDEX one ON item (a)', 'INDEX wide ON item (a, c) WHERE b = 5');
SELECT * FROM drops('INDEX one ON item (a) WHERE b = 5', 'INDEX wide ON item (a, c) WHERE b = 5');
SELECT * FROM drops('INDEX one ON item (lower(c))', 'INDEX wide ON item (lower(c), b)');
-- what it includes must be there as well, as a key or not
SELECT * FROM drops('INDEX one ON item (a) INCLUDE (b)', 'INDEX wide ON item (a, c)');
SELECT * FROM drops('INDEX one ON item (a) INCLUDE (b)', 'INDEX wide ON item (a, b)');
SELECT * FROM drops('INDEX one ON item (a) INCLUDE (b)', 'INDEX wide ON item (a) INCLUDE (c, b)');
-- of equal ones one goes, and never the unique one
SELECT * FROM drops('INDEX one ON item (a)', 'INDEX two ON item (a)', 'INDEX three ON item (a)');
SELECT * FROM drops('UNIQUE INDEX one ON item (id)', 'INDEX two ON item (id)');
SELECT * FROM drops('INDEX one ON item (a) WITH (fillfactor = 20)', 'INDEX two ON item (a)');
-- other access methods
SELECT * FROM drops('INDEX one ON item USING hash (a)', 'INDEX wide ON item (a, b)');
SELECT * FROM drops('INDEX one ON item (a)', 'INDEX two ON item USING hash (a)');
SELECT * FROM drops('INDEX one ON item USING hash (b)', 'INDEX wide ON item (a, b)');
SELECT * FROM drops('INDEX one ON item USING gin (tags)', 'INDEX wide ON item USING gin (doc, tags)');
SELECT * FROM drops('INDEX one ON item USING gin (doc jsonb_path_ops)', 'INDEX wide ON item USING gin (doc)');
SELECT * FROM drops('INDEX one ON item USING gist (span)', 'INDEX two ON item USING gist (span)');
SELECT * FROM drops('INDEX one ON item USING brin (at)', 'INDEX wide ON item USING brin (a, at)');
SELECT * FROM drops('INDEX one ON item USING brin (at) WITH (pages_per_range = 8)', 'INDEX wide ON item USING brin (at, a)');

-- A drop that was turned down is not proposed again
CREATE INDEX one ON item (a);
CREATE INDEX wide ON item (a, b);
SELECT hone.dismiss(id, 'ours') FROM hone.recommend_for(ARRAY['SELECT * FROM item WHERE id = 5']) WHERE index_name = 'one';
SELECT count(*) FROM hone.recommend_for(ARRAY['SELECT * FROM item WHERE id = 5']) WHERE index_name = 'one';
DELETE FROM hone.recommendation_store WHERE index_name = 'one' AND status = 'dismissed';
DROP INDEX one, wide;

-- Nothing uses it, and writes pay for it
CREATE TABLE parent (id int PRIMARY KEY, name text);
INSERT INTO parent SELECT i, 'p' || i FROM generate_series(1, 500) i;
CREATE TABLE work (id int PRIMARY KEY, parent int REFERENCES parent, state int, seen int, used int, note text)
    WITH (autovacuum_enabled = off);
INSERT INTO work SELECT i, i % 500 + 1, i % 7, i % 900, i % 3000, repeat('w', 60) FROM generate_series(1, 20000) i;
CREATE INDEX work_seen ON work (seen);
CREATE INDEX work_used ON work (used);
CREATE INDEX work_parent ON work (parent);
CREATE TABLE quiet AS SELECT * FROM work;
CREATE INDEX quiet_seen ON quiet (seen);
VACUUM ANALYZE parent, work, quiet;
DELETE FROM parent WHERE id = 0;
INSERT INTO parent VALUES (1000, 'gone');
DELETE FROM parent WHERE id = 1000;
SELECT pg_stat_force_next_flush();
SELECT hone.collect_index_use() >= 0 AS collected;

SET pg_hone.enabled = on;
SELECT note FROM work WHERE used = 5 \g /dev/null
SELECT note FROM quiet WHERE id = 5 \g /dev/null
UPDATE work SET seen = seen + 1 WHERE used = 5;
UPDATE work SET seen = seen + 1 WHERE used = 6;
INSERT INTO work SELECT 30000, 1, 1, 1, 1, '';
SET pg_hone.enabled = off;
SELECT pg_stat_force_next_flush();
CREATE FUNCTION unused() RETURNS TABLE (action text, index_name text, saves bool) LANGUAGE sql AS $$
    SELECT action, index_name, write_cost < 0 FROM hone.recommend()
    WHERE table_name ~ '^advise_drops\.' AND action = 'drop' ORDER BY 2
$$;
-- not before it was unused for long
SELECT * FROM unused();
SET pg_hone.unused_index_age = 0;
SELECT * FROM unused();
SELECT regexp_replace(reason, '[0-9.]+', 'N', 'g') AS reason FROM hone.recommendations
WHERE run_id = (SELECT max(run_id) FROM hone.advisor_runs) AND index_name = 'work_seen';
SELECT definition, undo_definition FROM hone.recommendations
WHERE run_id = (SELECT max(run_id) FROM hone.advisor_runs) AND index_name = 'work_seen';
-- the foreign key needs work_parent, as long as there is no other and parents go
CREATE INDEX work_parent_state ON work (parent, state);
SELECT hone.collect_index_use() >= 0 AS collected;
SELECT * FROM unused();
DROP INDEX work_parent;
SELECT * FROM unused();
-- given statements are not all there are
SELECT count(*) FROM hone.recommend_for(ARRAY['UPDATE work SET seen = 1 WHERE used = 5']) WHERE action = 'drop';
-- a scan that no captured statement made is use as well
SET enable_seqscan = off;
SELECT count(*) FROM work WHERE seen = 5 AND note = 'none';
RESET enable_seqscan;
SELECT pg_stat_force_next_flush();
SELECT * FROM unused();
RESET pg_hone.unused_index_age;
SELECT hone.collect_index_use() >= 0 AS collected;
SELECT * FROM unused();

DELETE FROM hone.advisor_run_store WHERE run_id > :last_run;
SET client_min_messages = warning;
DROP SCHEMA advise_drops CASCADE;
