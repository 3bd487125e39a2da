-- An index is rebuilt in a worker: what may be, what it changes, and who may.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS pg_hone;
RESET client_min_messages;

CREATE ROLE hone_reindex_owner NOLOGIN;
CREATE ROLE hone_reindex_other NOLOGIN;
GRANT EXECUTE ON PROCEDURE hone.reindex TO hone_reindex_owner, hone_reindex_other;
CREATE SCHEMA apply_reindex;
GRANT USAGE ON SCHEMA apply_reindex TO hone_reindex_owner, hone_reindex_other;
SET search_path = apply_reindex, public;
CREATE TABLE t (a int PRIMARY KEY, b int, r int4range, EXCLUDE USING gist (r WITH &&));
CREATE INDEX t_b ON t (b);
CREATE INDEX "we""ird
index" ON t (lower(b::text)) WHERE b > 0;
INSERT INTO t SELECT i, i % 10, int4range(i, i + 1) FROM generate_series(1, 5000) i;
DELETE FROM t WHERE a > 100;
CREATE TABLE refers (a int REFERENCES t (a));
CREATE TABLE p (a int) PARTITION BY LIST (a);
CREATE INDEX p_a ON p (a);
CREATE TABLE p1 PARTITION OF p FOR VALUES IN (1);
CREATE VIEW v AS SELECT 1 AS one;
ALTER TABLE t OWNER TO hone_reindex_owner;
ALTER TABLE t CLUSTER ON t_b;
CREATE TABLE before AS SELECT c.relname, c.oid, pg_relation_size(c.oid) AS size FROM pg_class c
WHERE relnamespace = 'apply_reindex'::regnamespace AND relkind = 'i';
CREATE VIEW rebuilt AS
SELECT b.relname, c.oid <> b.oid AS is_new, pg_relation_size(c.oid) < b.size AS is_smaller, i.indisvalid, i.indisclustered,
       (SELECT string_agg(conname, ', ' ORDER BY conname) FROM pg_constraint WHERE conindid = c.oid) AS constraints
FROM before b LEFT JOIN pg_class c ON c.relname = b.relname AND c.relnamespace = 'apply_reindex'::regnamespace
LEFT JOIN pg_index i ON i.indexrelid = c.oid
ORDER BY b.relname COLLATE "C";

-- as its owner: one that is clustered by, one of a constraint, one with an odd name, a partition's
SET ROLE hone_reindex_owner;
CALL hone.reindex('t_b');
CALL hone.reindex('t_pkey');
CALL hone.reindex(E'"we""ird\nindex"');
RESET ROLE;
CALL hone.reindex('p1_a_idx');
TABLE rebuilt;
SELECT a.recommendation_id, a.operation, a.action, a.state, a.table_name, a.index_name, a.definition, a.undo_definition,
       a.attempts, a.error, a.leftover, a.requested_by IN ('hone_reindex_owner', current_user) AS by_caller
FROM hone.actions a WHERE a.table_name LIKE 'apply\_reindex.%' ORDER BY id;
SELECT count(*) FROM pg_class WHERE relnamespace = 'apply_reindex'::regnamespace AND relname ~ 'ccnew|ccold';

-- an invalid one becomes valid
UPDATE pg_index SET indisvalid = false WHERE indexrelid = 't_b'::regclass;
CALL hone.reindex('t_b');
SELECT indisvalid FROM pg_index WHERE indexrelid = 't_b'::regclass;

-- what cannot be
CALL hone.reindex('t_r_excl');
CALL hone.reindex('p_a');
CALL hone.reindex('v');
CALL hone.reindex('t');
CALL hone.reindex('pg_class_oid_index');
CREATE TEMP TABLE tmp (a int PRIMARY KEY);
\set VERBOSITY sqlstate
CALL hone.reindex('tmp_pkey');
\set VERBOSITY default
CALL hone.reindex(NULL);
CALL hone.reindex('t_b', NULL);
CALL hone.reindex(0);
SET ROLE hone_reindex_other;
CALL hone.reindex('t_b');
RESET ROLE;
BEGIN;
CALL hone.reindex('t_b');
ROLLBACK;

-- queued in a transaction, once
BEGIN;
CALL hone.reindex('t_b', wait => false);
CALL hone.reindex('t_b', wait => false);
ROLLBACK;

-- an error: nothing changes, and nothing is left
CREATE FUNCTION half(i int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT 10 / (i - 200)';
CREATE INDEX t_half ON t (half(a));
INSERT INTO before SELECT 't_half', 't_half'::regclass, 0;
CREATE OR REPLACE FUNCTION half(i int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT 10 / (i - 3)';
CALL hone.reindex('t_half');
SELECT * FROM rebuilt WHERE relname = 't_half';
SELECT count(*) FROM pg_class WHERE relnamespace = 'apply_reindex'::regnamespace AND relname ~ 'ccnew|ccold';

-- what we built and rebuilt since can still be taken back
INSERT INTO hone.advisor_run_store (run_id, requested_by) OVERRIDING SYSTEM VALUE
SELECT 1000000, oid FROM pg_roles WHERE rolname = current_user;
INSERT INTO hone.recommendation_store (id, run_id, requested_by, action, relid, table_name, access_method, index_name, definition,
    undo_definition, size_bytes, cost_before, cost_after, improvement, write_cost, queries_helped, queries_hurt, reason)
OVERRIDING SYSTEM VALUE
SELECT 1000001, 1000000, oid, 'create', 't'::regclass, 'apply_reindex.t', 'btree', 't_ours', 'CREATE INDEX t_ours ON apply_reindex.t (b, a)',
    'DROP INDEX apply_reindex.t_ours', 1, 2, 1, 0.5, 0, 1, 0, 'test' FROM pg_roles WHERE rolname = current_user;
CALL hone.apply(1000001, trial => false);
CALL hone.reindex('t_ours');
CALL hone.revert(1000001);
SELECT to_regclass('t_ours');

SET client_min_messages = warning;
DROP SCHEMA apply_reindex CASCADE;
DELETE FROM hone.action_store WHERE table_name LIKE 'apply\_reindex.%';
DELETE FROM hone.advisor_run_store WHERE run_id = 1000000;
DROP OWNED BY hone_reindex_owner, hone_reindex_other;
DROP ROLE hone_reindex_owner, hone_reindex_other;
