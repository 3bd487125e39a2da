-- Indexes of partitioned tables: each partition's concurrently, then the whole.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS pg_hone;
RESET client_min_messages;
SET pg_hone.trial = off;                  -- tried they are elsewhere

CREATE SCHEMA apply_parts;
CREATE SCHEMA "apply Parts 2";
SET search_path = apply_parts, public;
-- two levels, other column orders, names that need quotes, dropped columns
CREATE TABLE ev (id int, at date NOT NULL, "Kind" text, tags int[], note text) PARTITION BY RANGE (at);
CREATE TABLE ev_1 PARTITION OF ev FOR VALUES FROM ('2026-01-01') TO ('2026-02-01');
CREATE TABLE "apply Parts 2"."ev ""2" (gone int, note text, tags int[], "Kind" text, gone2 text, at date NOT NULL, id int);
ALTER TABLE "apply Parts 2"."ev ""2" DROP COLUMN gone, DROP COLUMN gone2;
ALTER TABLE ev ATTACH PARTITION "apply Parts 2"."ev ""2" FOR VALUES FROM ('2026-02-01') TO ('2026-03-01');
CREATE TABLE "ev USING 3" (note text, "Kind" text, at date NOT NULL, id int, tags int[]) PARTITION BY LIST (id);
CREATE TABLE ev_3_1 (LIKE "ev USING 3");
ALTER TABLE ev_3_1 DROP COLUMN note, ADD COLUMN note text;
ALTER TABLE "ev USING 3" ATTACH PARTITION ev_3_1 FOR VALUES IN (1);
CREATE TABLE ev_3_rest PARTITION OF "ev USING 3" DEFAULT;
ALTER TABLE ev ATTACH PARTITION "ev USING 3" FOR VALUES FROM ('2026-03-01') TO ('2026-04-01');
INSERT INTO ev SELECT i % 7, date '2026-01-01' + i % 90, 'K' || i % 5, ARRAY[i, i % 3], 'n' || i FROM generate_series(1, 500) i;
CREATE TABLE plain (a int);

INSERT INTO hone.advisor_run_store (run_id, requested_by) OVERRIDING SYSTEM VALUE
SELECT 1000000, oid FROM pg_roles WHERE rolname = current_user;
CREATE FUNCTION recommend(new_id bigint, action text, relation regclass, index_name text,
                          definition text, undo text DEFAULT 'none') RETURNS void
LANGUAGE sql AS $$
    INSERT INTO hone.recommendation_store OVERRIDING SYSTEM VALUE
    SELECT new_id, 1000000, now(), r.oid, 'proposed', NULL, action, relation,
           format('%I.%I', n.nspname, c.relname), 'btree', index_name, definition, undo,
           1, 2, 1, 0.5, 0, 1, 0, 'test'
    FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace, pg_roles r
    WHERE c.oid = relation AND r.rolname = current_user
$$;
CREATE VIEW built AS
SELECT c.relname AS index_name, i.indisvalid AS valid, i.indrelid::regclass AS on_table, h.inhparent::regclass AS part_of
FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid LEFT JOIN pg_inherits h ON h.inhrelid = i.indexrelid
WHERE c.relnamespace IN ('apply_parts'::regnamespace, '"apply Parts 2"'::regnamespace) ORDER BY i.indrelid::regclass::text COLLATE "C", c.relname COLLATE "C";
CREATE VIEW done AS
SELECT a.recommendation_id - 1000000 AS rec, a.state, r.status, a.parts_done, a.parts_total, a.leftover, a.error
FROM hone.actions a JOIN hone.recommendation_store r ON r.id = a.recommendation_id
WHERE a.recommendation_id > 1000000 ORDER BY a.id;
SELECT count(*) AS rest FROM hone.action_part_store \gset before_

-- an expression, options, an included column, a predicate
SELECT recommend(1000001, 'create', 'ev', 'ev "i" ON',
    'CREATE INDEX "ev ""i"" ON" ON apply_parts.ev USING btree ("Kind" DESC NULLS LAST, lower(note) COLLATE "C", id) INCLUDE (at) WITH (fillfactor=''70'') WHERE (id > 2)');
CALL hone.apply(1000001);
TABLE built;
TABLE done;
SELECT regexp_replace(pg_get_indexdef(i.indexrelid), '^.* USING btree', '') AS definition, count(*)
FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
WHERE c.relnamespace IN ('apply_parts'::regnamespace, '"apply Parts 2"'::regnamespace) GROUP BY 1;
-- analyzed for its expression
SELECT count(*) FROM pg_stats s JOIN pg_class c ON c.relname = s.tablename AND c.relkind = 'i'
WHERE s.schemaname IN ('apply_parts', 'apply Parts 2');
-- a new partition has it
CREATE TABLE ev_4 PARTITION OF ev FOR VALUES FROM ('2026-04-01') TO ('2026-05-01');
SELECT index_name, valid FROM built WHERE on_table = 'ev_4'::regclass;
-- it cannot be dropped piecemeal
SELECT recommend(1000002, 'drop', 'ev_1', (SELECT index_name FROM built WHERE on_table = 'ev_1'::regclass), 'none');
CALL hone.apply(1000002);
CALL hone.revert(1000001);
TABLE built;
TABLE done;

-- other access methods and options
SELECT recommend(1000003, 'create', 'ev', 'ev_tags', 'CREATE INDEX ev_tags ON apply_parts.ev USING gin (tags) WITH (fastupdate=''false'')');
SELECT recommend(1000004, 'create', 'ev', 'ev_hash', 'CREATE INDEX ev_hash ON apply_parts.ev USING hash (note)');
SELECT recommend(1000005, 'create', 'ev', 'ev_brin', 'CREATE INDEX ev_brin ON apply_parts.ev USING brin (at date_minmax_multi_ops (values_per_range=''16''), id) WITH (pages_per_range=''8'')');
SELECT recommend(1000006, 'create', 'ev', 'ev_gist', 'CREATE INDEX ev_gist ON apply_parts.ev USING gist (point((id)::double precision, (1)::double precision))');
CALL hone.apply_all();
SELECT a.amname, opc.attoptions, c.reloptions, count(*) FILTER (WHERE i.indisvalid) AS valid
FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_am a ON a.oid = c.relam
JOIN pg_attribute opc ON opc.attrelid = c.oid AND opc.attnum = 1
WHERE c.relnamespace IN ('apply_parts'::regnamespace, '"apply Parts 2"'::regnamespace) AND c.relkind IN ('i', 'I')
GROUP BY 1, 2, 3 ORDER BY 1;
SELECT rec, state, parts_done, parts_total FROM done WHERE rec BETWEEN 3 AND 6;
CALL hone.revert(1000003);
CALL hone.revert(1000004);
CALL hone.revert(1000005);
CALL hone.revert(1000006);
TABLE built;

-- indexes that are there: used if they are just the same, and left where they were
CREATE INDEX mine_1 ON ev_1 (id, note);
CREATE INDEX mine_3 ON "ev USING 3" (id, note);
CREATE INDEX mine_desc ON ev_4 (id DESC, note);
CREATE INDEX mine_2 ON "apply Parts 2"."ev ""2" (id, note) WHERE id > 0;
COMMENT ON INDEX mine_1 IS 'mine';
CREATE TEMP TABLE mine AS SELECT indexrelid, pg_relation_filenode(indexrelid) AS node FROM pg_index
WHERE indexrelid::regclass::text ~ 'mine_' OR indrelid IN ('ev_3_1'::regclass, 'ev_3_rest'::regclass);
SELECT recommend(1000007, 'create', 'ev', 'ev_mine', 'CREATE INDEX ev_mine ON apply_parts.ev USING btree (id, note)');
CALL hone.apply(1000007);
TABLE built;
SELECT p.table_name, p.index_name, p.state, p.was_there FROM hone.action_part_store p JOIN hone.action_store a ON a.id = p.action_id
WHERE a.recommendation_id = 1000007 ORDER BY p.table_name COLLATE "C";
SELECT count(*) = (SELECT count(*) FROM mine) AS all_there
FROM mine m JOIN pg_index i USING (indexrelid) WHERE i.indisvalid AND pg_relation_filenode(indexrelid) IS NOT DISTINCT FROM m.node;
-- rebuilt since, which makes it another one
REINDEX INDEX CONCURRENTLY mine_1;
UPDATE mine SET indexrelid = 'mine_1'::regclass, node = pg_relation_filenode('mine_1')
WHERE NOT EXISTS (SELECT FROM pg_class c WHERE c.oid = indexrelid);
CALL hone.revert(1000007);
TABLE built;
SELECT count(*) = (SELECT count(*) FROM mine) AS all_there, obj_description('mine_1'::regclass)
FROM mine m JOIN pg_index i USING (indexrelid) WHERE i.indisvalid AND pg_relation_filenode(indexrelid) IS NOT DISTINCT FROM m.node;
DROP INDEX mine_1;
DROP INDEX mine_3;
DROP INDEX mine_desc;
DROP INDEX "apply Parts 2".mine_2;

-- one that is a partition of another index cannot be used
CREATE INDEX ev_same ON ev (note);
SELECT recommend(1000008, 'create', 'ev', 'ev_note', 'CREATE INDEX ev_note ON apply_parts.ev USING btree (note)');
CALL hone.apply(1000008);
SELECT count(*), count(*) FILTER (WHERE valid), count(DISTINCT part_of) FROM built;
CALL hone.revert(1000008);
SELECT count(*), count(*) FILTER (WHERE valid), count(DISTINCT part_of) FROM built;

-- a drop, and its revert
SELECT recommend(1000009, 'drop', 'ev', 'ev_same', 'DROP INDEX apply_parts.ev_same');
CALL hone.apply(1000009);
TABLE built;
SELECT undo_definition FROM hone.actions WHERE recommendation_id = 1000009;
CALL hone.revert(1000009);
SELECT count(*), count(*) FILTER (WHERE valid) FROM built;
SELECT rec, state, status FROM done WHERE rec = 9;
DROP INDEX ev_same;

-- a build that fails on one of the partitions leaves nothing
CREATE INDEX mine_1 ON ev_4 ((1 / (id - 6)));
SELECT recommend(1000010, 'create', 'ev', 'ev_fails', 'CREATE INDEX ev_fails ON apply_parts.ev USING btree ((1 / (id - 6)))');
CALL hone.apply(1000010);
TABLE built;
SELECT * FROM done WHERE rec = 10;
DELETE FROM ev WHERE id = 6;
CALL hone.apply(1000010);
SELECT count(*), count(*) FILTER (WHERE valid) FROM built;
SELECT rec, state, parts_done, parts_total FROM done WHERE rec = 10;
-- the user drops it: there is nothing to revert
DROP INDEX ev_fails;
CALL hone.revert(1000010);
TABLE built;

-- without partitions, also of a part of it
CREATE TABLE none (a int) PARTITION BY LIST (a);
SELECT recommend(1000011, 'create', 'none', 'none_a', 'CREATE INDEX none_a ON apply_parts.none USING btree (a)');
CALL hone.apply(1000011);
CREATE TABLE half (a int) PARTITION BY LIST (a);
CREATE TABLE half_1 PARTITION OF half FOR VALUES IN (1) PARTITION BY LIST (a);
CREATE TABLE half_2 PARTITION OF half FOR VALUES IN (2);
SELECT recommend(1000012, 'create', 'half', 'half_a', 'CREATE INDEX half_a ON apply_parts.half USING btree (a)');
CALL hone.apply(1000012);
TABLE built;
-- what was made is removed from a partition that was detached since, too
ALTER TABLE half DETACH PARTITION half_2;
CALL hone.revert(1000012);
CALL hone.revert(1000011);
TABLE built;

-- what is refused
CREATE FOREIGN DATA WRAPPER hone_parts_nothing;
CREATE SERVER hone_parts_nowhere FOREIGN DATA WRAPPER hone_parts_nothing;
CREATE FOREIGN TABLE half_far PARTITION OF half FOR VALUES IN (3) SERVER hone_parts_nowhere;
SELECT recommend(1000013, 'create', 'half', 'half_b', 'CREATE INDEX half_b ON apply_parts.half USING btree (a)');
CALL hone.apply(1000013);
DROP FOREIGN TABLE half_far;
CREATE ROLE hone_parts_owner NOLOGIN;
GRANT ALL ON SCHEMA apply_parts TO hone_parts_owner;
GRANT EXECUTE ON ALL PROCEDURES IN SCHEMA hone TO hone_parts_owner;
ALTER TABLE half OWNER TO hone_parts_owner;
UPDATE hone.recommendation_store SET requested_by = 'hone_parts_owner'::regrole WHERE id = 1000013;
SET ROLE hone_parts_owner;
CALL hone.apply(1000013);
RESET ROLE;
ALTER TABLE half_1 OWNER TO hone_parts_owner;
SET ROLE hone_parts_owner;
CALL hone.apply(1000013);
SELECT state, parts_done, parts_total FROM hone.actions WHERE recommendation_id = 1000013;
CALL hone.revert(1000013);
RESET ROLE;
TABLE built;

-- the name of a partition's index is taken: another one is found
CREATE TABLE half_1_1 PARTITION OF half_1 FOR VALUES IN (1);
CREATE TABLE half_1_1_a_idx (a int);
UPDATE hone.recommendation_store SET requested_by = r.oid FROM pg_roles r WHERE rolname = current_user AND id = 1000013;
SELECT recommend(1000014, 'create', 'half', 'half_a', 'CREATE INDEX half_a ON apply_parts.half USING btree (a)');
CALL hone.apply(1000014);
TABLE built;
CALL hone.revert(1000014);

SET client_min_messages = warning;
DROP FOREIGN DATA WRAPPER hone_parts_nothing CASCADE;
DROP SCHEMA apply_parts, "apply Parts 2" CASCADE;
REVOKE ALL ON ALL PROCEDURES IN SCHEMA hone FROM hone_parts_owner;
DROP ROLE hone_parts_owner;
DELETE FROM hone.advisor_run_store WHERE run_id = 1000000;
DELETE FROM hone.action_store WHERE recommendation_id > 1000000;
SELECT count(*) = :before_rest AS nothing_left FROM hone.action_part_store;
