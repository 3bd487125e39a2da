-- What is refused, before anything is done.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS pg_hone;
RESET client_min_messages;

CREATE ROLE hone_apply_owner NOLOGIN;
CREATE ROLE hone_apply_member NOLOGIN IN ROLE hone_apply_owner;
CREATE ROLE hone_apply_other NOLOGIN;
CREATE ROLE hone_apply_reader NOLOGIN IN ROLE pg_read_all_stats;
GRANT EXECUTE ON ALL PROCEDURES IN SCHEMA hone
    TO hone_apply_owner, hone_apply_member, hone_apply_other, hone_apply_reader;
SET pg_hone.trial = off;     -- trials have tests of their own
CREATE SCHEMA apply_refuse;
SET search_path = apply_refuse, public;
GRANT ALL ON SCHEMA apply_refuse TO hone_apply_owner, hone_apply_member, hone_apply_other;
CREATE TABLE t (a int PRIMARY KEY, b int);
CREATE INDEX t_used ON t (b);
CREATE UNIQUE INDEX t_unique ON t (b, a);
ALTER TABLE t OWNER TO hone_apply_owner;
CREATE VIEW p AS SELECT 1 AS a;
CREATE TABLE gone (a int);
INSERT INTO hone.advisor_run_store (run_id, requested_by) OVERRIDING SYSTEM VALUE VALUES (1000000, 'hone_apply_owner'::regrole);
CREATE FUNCTION recommend(new_id bigint, action text, relation regclass, index_name text, definition text)
RETURNS void LANGUAGE sql AS $$
    INSERT INTO hone.recommendation_store OVERRIDING SYSTEM VALUE
    SELECT new_id, 1000000, now(), 'hone_apply_owner'::regrole, 'proposed', NULL, action, relation,
           format('%I.%I', n.nspname, c.relname), 'btree', index_name, definition, 'none',
           1, 2, 1, 0.5, 0, 1, 0, 'test'
    FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace WHERE c.oid = relation
$$;
SELECT recommend(1000001, 'create', 't', 't_b', 'CREATE INDEX t_b ON apply_refuse.t (b)');

-- arguments
CALL hone.apply(NULL);
CALL hone.apply(1000001, NULL);
CALL hone.apply(-1);
CALL hone.apply(1000999);
CALL hone.revert(NULL);
CALL hone.revert(1000999);
CALL hone.apply_all(0);
CALL hone.apply_all(-1);
CALL hone.apply_all(NULL, NULL);

-- somebody who waits while the index waits for him
BEGIN;
CALL hone.apply(1000001);
ROLLBACK;
BEGIN;
CALL hone.apply_all();
ROLLBACK;
CREATE FUNCTION f() RETURNS void LANGUAGE plpgsql AS 'BEGIN CALL hone.apply(1000001); END';
SELECT f();

-- roles
CREATE ROLE hone_apply_nobody NOLOGIN;
SET ROLE hone_apply_nobody;
CALL hone.apply(1000001);
SELECT hone.reconcile_actions();
SELECT hone.collect();
SELECT count(*) FROM hone.actions;
SELECT count(*) FROM hone.collector_status;
SELECT count(*) FROM hone.action_store;
SET ROLE hone_apply_other;
CALL hone.apply(1000001);
SET ROLE hone_apply_reader;
CALL hone.apply(1000001);
SET ROLE hone_apply_member;
CALL hone.apply(1000001);
SELECT state, requested_by FROM hone.actions;
SELECT relowner::regrole FROM pg_class WHERE relname = 't_b';
CALL hone.revert(1000001);
SET ROLE hone_apply_other;
SELECT count(*) FROM hone.actions;
CALL hone.revert(1000001);
CALL hone.apply_all();
RESET ROLE;

-- the table is not what it was
SELECT recommend(1000002, 'create', 'gone', 'gone_a', 'CREATE INDEX gone_a ON apply_refuse.gone (a)');
ALTER TABLE gone RENAME TO renamed;
CALL hone.apply(1000002);
CREATE TABLE gone (a int);
CALL hone.apply(1000002);
DROP TABLE gone, renamed;
CALL hone.apply(1000002);

-- the index cannot be made
SELECT recommend(1000003, 'create', 't', 't_used', 'CREATE INDEX t_used ON apply_refuse.t (b)');
CALL hone.apply(1000003);
SELECT recommend(1000004, 'create', 'p', 'p_a', 'CREATE INDEX p_a ON apply_refuse.p (a)');
CALL hone.apply(1000004);
SELECT recommend(1000005, 'create', 't', 't_b5', 'CREATE INDEX t_b5 ON apply_refuse.u (b)');
CALL hone.apply(1000005);
SELECT recommend(1000006, 'create', 't', 't_b6', 'CREATE INDEX t_b6 ON apply_refuse.t (b); DROP TABLE apply_refuse.t');
CALL hone.apply(1000006);
SELECT recommend(1000007, 'create', 't', 't_b7', 'DROP TABLE apply_refuse.t');
CALL hone.apply(1000007);
SELECT recommend(1000008, 'create', 't', 't_b8', 'CREATE INDEX t_b8 ON apply_refuse.t (nothing)');
CALL hone.apply(1000008);

-- a role's own code in the build has the rights of the table's owner, and no way to more
INSERT INTO t VALUES (1, 1);
CREATE FUNCTION tell(i int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN RAISE EXCEPTION 'session %, current %, superuser %', session_user, current_user, current_setting('is_superuser'); END $$;
CREATE FUNCTION escape(i int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    PERFORM set_config('session_authorization', (SELECT rolname FROM pg_roles WHERE oid = 10), false);
    RETURN i;
END $$;
SELECT recommend(1000009, 'create', 't', 't_tell', 'CREATE INDEX t_tell ON apply_refuse.t (apply_refuse.tell(b))');
SELECT recommend(1000010, 'create', 't', 't_escape', 'CREATE INDEX t_escape ON apply_refuse.t (apply_refuse.escape(b))');
SET ROLE hone_apply_member;
CALL hone.apply(1000009);
CALL hone.apply(1000010);
RESET ROLE;

-- the index cannot be dropped
SELECT recommend(1000011, 'drop', 't', 't_pkey', 'DROP INDEX apply_refuse.t_pkey');
CALL hone.apply(1000011);
SELECT recommend(1000012, 'drop', 't', 't_unique', 'DROP INDEX apply_refuse.t_unique');
CALL hone.apply(1000012);
SELECT recommend(1000013, 'drop', 't', 't_nothing', 'DROP INDEX apply_refuse.t_nothing');
CALL hone.apply(1000013);
CREATE TABLE other (a int);
CREATE INDEX other_a ON other (a);
SELECT recommend(1000014, 'drop', 't', 'other_a', 'DROP INDEX apply_refuse.other_a');
CALL hone.apply(1000014);

-- a drop whose work another index is to do, but does not: it was never built, it
-- is not this table's, it is not valid
SELECT recommend(1000015, 'create', 't', 't_b_a', 'CREATE INDEX t_b_a ON apply_refuse.t (b, nothing)');
SELECT recommend(1000016, 'drop', 't', 't_used', 'DROP INDEX apply_refuse.t_used');
UPDATE hone.recommendation_store SET needs_index = 't_b_a' WHERE id = 1000016;
CALL hone.apply(1000016);
UPDATE hone.recommendation_store SET status = 'superseded' WHERE run_id = 1000000 AND status = 'proposed' AND id NOT IN (1000015, 1000016);
SET ROLE hone_apply_owner;
CALL hone.apply_all();              -- the create fails
RESET ROLE;
SELECT state, error FROM hone.actions WHERE recommendation_id = 1000016;
UPDATE hone.recommendation_store SET status = 'dismissed' WHERE id = 1000015;
SET ROLE hone_apply_owner;
CALL hone.apply_all();              -- the create was turned down
RESET ROLE;
SELECT state, error FROM hone.actions WHERE recommendation_id = 1000016 ORDER BY id;
UPDATE hone.recommendation_store SET needs_index = 'other_a' WHERE id = 1000016;
CALL hone.apply(1000016);
CREATE INDEX t_b_a ON t (b, a);
UPDATE hone.recommendation_store SET needs_index = 't_b_a' WHERE id = 1000016;
UPDATE pg_index SET indisvalid = false WHERE indexrelid = 't_b_a'::regclass;
CALL hone.apply(1000016);
UPDATE pg_index SET indisvalid = true WHERE indexrelid = 't_b_a'::regclass;
CALL hone.apply(1000016);
SELECT status FROM hone.recommendation_store WHERE id = 1000016;
SELECT to_regclass('t_used') IS NULL AS dropped;
CALL hone.revert(1000016);
SELECT to_regclass('t_used') IS NULL AS dropped;
DROP INDEX t_b_a;

-- reverting: only what we built, as we built it
SELECT recommend(1000021, 'create', 't', 't_b21', 'CREATE INDEX t_b21 ON apply_refuse.t (b)');
CALL hone.revert(1000021);
CALL hone.apply(1000021);
DROP INDEX t_b21;
CREATE INDEX t_b21 ON t (b);
CALL hone.revert(1000021);
SELECT 't_b21'::regclass;
SELECT recommend(1000022, 'create', 't', 't_b22', 'CREATE INDEX t_b22 ON apply_refuse.t (b)');
CALL hone.apply(1000022);
ALTER INDEX t_b22 RENAME TO t_mine;
CALL hone.revert(1000022);
SELECT 't_mine'::regclass;

-- the role is gone, or lost its right, before its turn comes
SELECT recommend(1000031, 'create', 't', 't_b31', 'CREATE INDEX t_b31 ON apply_refuse.t (b)');
INSERT INTO hone.action_store (recommendation_id, requested_by, operation, action, state, relid, table_name,
                               index_name, definition, undo_definition, after_creates)
SELECT id, who, 'apply', 'create', 'queued', relid, table_name, index_name, definition, 'none', false
FROM hone.recommendation_store, (VALUES (1::oid), ('hone_apply_other'::regrole)) w(who) WHERE id = 1000031;
SELECT hone.reconcile_actions();
DO $$ BEGIN
    WHILE EXISTS (SELECT FROM hone.actions WHERE state IN ('queued', 'building')) LOOP
        PERFORM pg_sleep(0.01), pg_stat_clear_snapshot();
        COMMIT;
    END LOOP;
END $$;
SELECT state, error FROM hone.action_store WHERE recommendation_id = 1000031 ORDER BY id;

-- nothing was left
SELECT indexrelid::regclass, indisvalid FROM pg_index WHERE indrelid IN ('t'::regclass, 'other'::regclass) ORDER BY indexrelid::regclass::text;

SET client_min_messages = warning;
DROP SCHEMA apply_refuse CASCADE;
DELETE FROM hone.advisor_run_store WHERE run_id = 1000000;
DELETE FROM hone.action_store WHERE recommendation_id > 1000000;
DROP OWNED BY hone_apply_owner, hone_apply_member, hone_apply_other, hone_apply_reader;
DROP ROLE hone_apply_owner, hone_apply_member, hone_apply_other, hone_apply_reader, hone_apply_nobody;
