-- A recommendation is carried out in a worker, and taken back.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS pg_hone;
RESET client_min_messages;

SET pg_hone.trial = off;     -- trials have tests of their own
CREATE SCHEMA apply_build;
SET search_path = apply_build, public;
CREATE TABLE t (a int, b text, c int);
INSERT INTO t SELECT i, 'x' || i, i % 7 FROM generate_series(1, 1000) i;
CREATE INDEX t_old ON t (a) WITH (fillfactor = 70);
CREATE TABLE "we""ird
table; --" ("co""l" int, "100%s" text);
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
SELECT c.relname AS index_name, i.indisvalid, i.indrelid::regclass AS on_table
FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
WHERE c.relnamespace = 'apply_build'::regnamespace ORDER BY 1;
CREATE VIEW done AS
SELECT a.recommendation_id - 1000000 AS rec, a.state, r.status, a.attempts, a.error, a.pid,
       a.finished_at >= a.started_at AS finished
FROM hone.actions a JOIN hone.recommendation_store r ON r.id = a.recommendation_id
WHERE a.recommendation_id > 1000000 ORDER BY a.id;

-- create, and revert
SELECT recommend(1000001, 'create', 't', 't_c_b_idx',
    'CREATE INDEX t_c_b_idx ON apply_build.t USING btree (c, lower(b)) WHERE c > 2',
    'DROP INDEX apply_build.t_c_b_idx');
CALL hone.apply(1000001);
TABLE built;
TABLE done;
-- its expression can be planned with
SELECT attname FROM pg_stats WHERE schemaname = 'apply_build' AND tablename = 't_c_b_idx';
CALL hone.apply(1000001);
CALL hone.revert(1000001);
TABLE built;
TABLE done;
CALL hone.revert(1000001);
CALL hone.apply(1000001);

-- drop, and revert: as it was
SELECT recommend(1000002, 'drop', 't', 't_old', 'DROP INDEX apply_build.t_old');
CALL hone.apply(1000002);
TABLE built;
SELECT undo_definition FROM hone.actions WHERE recommendation_id = 1000002;
CALL hone.revert(1000002);
SELECT pg_get_indexdef('t_old'::regclass);
TABLE done;

-- names
SELECT recommend(1000003, 'create', E'"we""ird\ntable; --"', E'i"d\nx; $$%s--',
    E'CREATE INDEX "i""d\nx; $$%s--" ON apply_build."we""ird\ntable; --" USING btree ("co""l", "100%s")');
CALL hone.apply(1000003);
TABLE built;
CALL hone.revert(1000003);

-- what was built is gone already: nothing left to do
SELECT recommend(1000004, 'create', 't', 't_gone', 'CREATE INDEX t_gone ON apply_build.t (b)');
CALL hone.apply(1000004);
DROP INDEX t_gone;
CALL hone.revert(1000004);

-- a build that fails leaves no invalid index, and can be tried again
CREATE FUNCTION half(i int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT 10 / (i - 3)';
SELECT recommend(1000005, 'create', 't', 't_bad', 'CREATE INDEX t_bad ON apply_build.t (apply_build.half(c))');
CALL hone.apply(1000005);
TABLE built;
CREATE OR REPLACE FUNCTION half(i int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT i / 2';
CALL hone.apply(1000005);
TABLE built;
SELECT * FROM done WHERE rec = 5;
CALL hone.revert(1000005);

-- an event trigger in PL/pgSQL sees the statement, and may refuse it
CREATE TABLE seen (tag text, object text);
CREATE FUNCTION see() RETURNS event_trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO apply_build.seen SELECT command_tag, object_identity FROM pg_event_trigger_ddl_commands();
    IF EXISTS (SELECT FROM pg_event_trigger_ddl_commands() WHERE object_identity LIKE '%refused') THEN
        RAISE EXCEPTION 'not this one';
    END IF;
END $$;
CREATE EVENT TRIGGER apply_build_see ON ddl_command_end WHEN TAG IN ('CREATE INDEX') EXECUTE FUNCTION see();
SELECT recommend(1000006, 'create', 't', 't_seen', 'CREATE INDEX t_seen ON apply_build.t (b)');
CALL hone.apply(1000006);
TABLE seen;
SELECT recommend(1000007, 'create', 't', 't_refused', 'CREATE INDEX t_refused ON apply_build.t (b)');
CALL hone.apply(1000007);
DROP EVENT TRIGGER apply_build_see;
TABLE built;
CALL hone.revert(1000006);

-- all of the latest run: creates first, and a drop only if its table's creates succeeded
DELETE FROM hone.recommendation_store WHERE run_id = 1000000 AND status = 'proposed';
CREATE TABLE u (a int, b int);
CREATE INDEX u_old ON u (a);
SELECT recommend(1000011, 'drop', 't', 't_old', 'DROP INDEX apply_build.t_old');
SELECT recommend(1000012, 'create', 't', 't_a_c', 'CREATE INDEX t_a_c ON apply_build.t (a, c)');
SELECT recommend(1000013, 'create', 'u', 'u_a_b', 'CREATE INDEX u_a_b ON apply_build.u (a, (1 / (b - 1)))');
SELECT recommend(1000014, 'drop', 'u', 'u_old', 'DROP INDEX apply_build.u_old');
INSERT INTO u VALUES (1, 1);
CALL hone.apply_all(max_actions => 1);
SELECT rec, state FROM done WHERE rec > 10;
CALL hone.apply_all();
TABLE built;
SELECT rec, state, status, error FROM done WHERE rec > 10;

-- without waiting, also in a transaction block and from a function
DELETE FROM u;
BEGIN;
CALL hone.apply(1000013, wait => false);
SELECT rec, state FROM done WHERE rec = 13;
COMMIT;
DO $$ BEGIN
    WHILE EXISTS (SELECT FROM hone.actions WHERE state IN ('queued', 'building')) LOOP
        PERFORM pg_sleep(0.01), pg_stat_clear_snapshot();
        COMMIT;
    END LOOP;
END $$;
SELECT rec, state, error FROM done WHERE rec = 13;
CALL hone.apply_all();
CALL hone.apply_all();
TABLE built;
BEGIN;
CALL hone.revert(1000013, wait => false);
ROLLBACK;
SELECT rec, state FROM done WHERE rec = 13;

SET client_min_messages = warning;
DROP SCHEMA apply_build CASCADE;
DELETE FROM hone.advisor_run_store WHERE run_id = 1000000;
DELETE FROM hone.action_store WHERE recommendation_id > 1000000;
