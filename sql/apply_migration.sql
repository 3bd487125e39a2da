-- Recommendations as a script: run as it is in another database, it makes
-- the same indexes; run again it changes nothing, and it does not take what is
-- there for what is wanted.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS pg_hone;
DROP SCHEMA IF EXISTS apply_migration CASCADE;
DROP DATABASE IF EXISTS regress_migration;
DROP ROLE IF EXISTS regress_migration_other;
CREATE ROLE regress_migration_other;
CREATE DATABASE regress_migration TEMPLATE template0;
RESET client_min_messages;
SELECT current_database() AS home \gset

-- names and texts that would end a quote or a comment
SELECT $schema$
CREATE SCHEMA apply_migration;
CREATE TABLE apply_migration.t (a int, b text, c int);
CREATE TABLE apply_migration."we""ird
table; --" ("co""l" int, "100%s" text);
CREATE TABLE apply_migration.part (id int, owner int, made date NOT NULL) PARTITION BY RANGE (made);
CREATE TABLE apply_migration.part_1 PARTITION OF apply_migration.part FOR VALUES FROM ('2026-01-01') TO ('2026-02-01');
CREATE TABLE apply_migration.part_2 PARTITION OF apply_migration.part FOR VALUES FROM ('2026-02-01') TO ('2026-03-01') PARTITION BY HASH (id);
CREATE TABLE apply_migration.part_2_0 PARTITION OF apply_migration.part_2 FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE apply_migration.part_2_1_with_a_name_as_long_as_any_name_can_be_in_this_server_ PARTITION OF apply_migration.part_2 FOR VALUES WITH (MODULUS 2, REMAINDER 1);
CREATE INDEX t_old ON apply_migration.t (a);
CREATE INDEX t_covered ON apply_migration.t (c) WITH (fillfactor = 70);
$schema$ AS schema \gset
:schema
\c regress_migration
SET client_min_messages = warning;
:schema
\c :home
INSERT INTO apply_migration.t SELECT i, 'x' || i, i % 7 FROM generate_series(1, 100) i;
INSERT INTO hone.advisor_run_store (run_id, requested_by) OVERRIDING SYSTEM VALUE
SELECT 1000000, oid FROM pg_roles WHERE rolname = current_user;
CREATE FUNCTION apply_migration.recommend(new_id bigint, action text, relation text, index_name text,
    definition text, undo text DEFAULT 'none', reason text DEFAULT 'test', needs text DEFAULT NULL) RETURNS void
LANGUAGE sql AS $$
    INSERT INTO hone.recommendation_store (id, run_id, requested_by, action, relid, table_name, access_method, index_name,
        definition, undo_definition, size_bytes, cost_before, cost_after, improvement, write_cost, queries_helped, queries_hurt,
        reason, needs_index)
    OVERRIDING SYSTEM VALUE
    SELECT new_id, 1000000, r.oid, action, relation::regclass, relation, 'btree', index_name, definition, undo,
           1, 2, 1, 0.5, 0, 1, 0, reason, needs
    FROM pg_roles r WHERE r.rolname = current_user
$$;
SELECT apply_migration.recommend(1000003, 'create', 'apply_migration.t', 't_c_b',
    'CREATE INDEX t_c_b ON apply_migration.t USING btree (c, lower(b)) WHERE (c > 2)', 'DROP INDEX apply_migration.t_c_b',
    E'It helps.\nDROP TABLE apply_migration.t; --\r*/ DROP TABLE apply_migration.t; /* $check$ \\! echo bad \n\\q');
SELECT apply_migration.recommend(1000001, 'drop', 'apply_migration.t', 't_old', 'DROP INDEX apply_migration.t_old',
    'CREATE INDEX t_old ON apply_migration.t USING btree (a)', 'unused');
SELECT apply_migration.recommend(1000002, 'drop', 'apply_migration.t', 't_covered', 'DROP INDEX apply_migration.t_covered',
    'CREATE INDEX t_covered ON apply_migration.t USING btree (c) WITH (fillfactor=''70'')', 'covered', 't_c_b');
SELECT apply_migration.recommend(1000004, 'create', E'apply_migration."we""ird\ntable; --"', E'i"d\nx; $$ $check$ :home --',
    E'CREATE INDEX "i""d\nx; $$ $check$ :home --" ON apply_migration."we""ird\ntable; --" USING btree ("co""l", "100%s")');
SELECT apply_migration.recommend(1000005, 'create', 'apply_migration.part', 'part_owner_idx',
    'CREATE INDEX part_owner_idx ON apply_migration.part USING btree (owner) INCLUDE (id)');

-- the script
SET pg_hone.build_lock_timeout = '10min';
SET pg_hone.build_timeout = 0;
\pset format unaligned
SELECT hone.export_migration(ARRAY[1000003, 1000001, 1000002, 1000003]);
SELECT hone.export_migration(ARRAY[1000005]);
\pset format aligned
SELECT hone.export_migration() = hone.export_migration(ARRAY[1000005, 1000004, 1000003, 1000002, 1000001]) AS latest_run;

-- carried out by hone here, and by psql there: the same
CALL hone.apply(1000003, trial => false);
CALL hone.apply(1000004, trial => false);
SELECT hone.export_migration(ARRAY[1000001, 1000002, 1000003, 1000004, 1000005]) AS script \gset
\c regress_migration
INSERT INTO apply_migration.t SELECT i, 'x' || i, i % 7 FROM generate_series(1, 100) i;
\set ON_ERROR_STOP on
SET client_min_messages = warning;
:script
:script
\set ON_ERROR_STOP off
SELECT current_setting('lock_timeout') AS lock_timeout, current_setting('search_path') AS search_path;
SELECT c.relname, i.indisvalid, i.indrelid::regclass AS on_table, pg_get_indexdef(c.oid) AS definition
FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
WHERE c.relnamespace = 'apply_migration'::regnamespace ORDER BY 1;
SELECT count(*) FROM pg_stats WHERE tablename = 't_c_b' AND schemaname = 'apply_migration';
\c :home
SELECT c.relname, pg_get_indexdef(c.oid) AS definition
FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
WHERE c.relnamespace = 'apply_migration'::regnamespace AND c.relname !~ '^t_old|^t_covered' ORDER BY 1;

-- what is something else there is not taken for it
\c regress_migration
SET client_min_messages = warning;
DROP INDEX apply_migration.t_c_b;
CREATE INDEX t_c_b ON apply_migration.t (c);
CREATE INDEX t_old ON apply_migration.t (a, b);
CREATE UNIQUE INDEX t_covered ON apply_migration.t (a, c);
DROP INDEX apply_migration.part_owner_idx;
INSERT INTO apply_migration.part VALUES (1, 1, '2026-01-01'), (1, 1, '2026-01-01');
CREATE TABLE apply_migration.part_3 PARTITION OF apply_migration.part FOR VALUES FROM ('2026-03-01') TO ('2026-04-01');
:script
SELECT c.relname, pg_get_indexdef(c.oid) AS definition, i.indisvalid
FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
WHERE c.relnamespace = 'apply_migration'::regnamespace AND c.relname ~ '^t_|^part_owner' ORDER BY 1;
-- nor a relation that is no index, nor an invalid index
DROP INDEX apply_migration.t_c_b;
CREATE TABLE apply_migration.t_c_b ();
\c :home
SELECT hone.export_migration(ARRAY[1000003]) AS script \gset
SELECT hone.export_migration(ARRAY[1000002]) AS only_drop \gset
\c regress_migration
SET client_min_messages = warning;
:script
DROP TABLE apply_migration.t_c_b;
-- what does the work of a dropped one must be there
DROP INDEX apply_migration.t_covered;
CREATE INDEX t_covered ON apply_migration.t (c) WITH (fillfactor = 70);
:only_drop
SELECT to_regclass('apply_migration.t_covered') AS still_there;
INSERT INTO apply_migration.t VALUES (1, 'x', 3), (1, 'x', 3);
CREATE UNIQUE INDEX CONCURRENTLY t_c_b ON apply_migration.t (c);
:script
SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass('apply_migration.t_c_b');

-- and when that is gone, it can be run
DROP INDEX apply_migration.t_c_b;
:script
SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass('apply_migration.t_c_b');
\c :home
-- how to take it back
SELECT substring(hone.export_migration(ARRAY[1000005, 1000003, 1000002, 1000001]) FROM '-- To take all of it back:.*') AS undo;

-- what cannot be exported
SELECT hone.export_migration('{}');
SELECT hone.export_migration(ARRAY[NULL]::bigint[]);
SELECT hone.export_migration(ARRAY[[1], [2]]);
SELECT hone.export_migration(ARRAY[1000003, -1]);
-- others' are unknown to whoever may not see them
SET ROLE regress_migration_other;
SELECT hone.export_migration(ARRAY[1000003]);
SELECT hone.export_migration();
RESET ROLE;

SET client_min_messages = warning;
DROP DATABASE regress_migration;
DROP SCHEMA apply_migration CASCADE;
DROP ROLE regress_migration_other;
DELETE FROM hone.action_store WHERE recommendation_id > 1000000;
DELETE FROM hone.advisor_run_store WHERE run_id = 1000000;
