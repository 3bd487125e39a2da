-- What holds automatic mode back from a proposal, and which proposals are the same.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS pg_hone;
DROP SCHEMA IF EXISTS apply_auto CASCADE;
DROP ROLE IF EXISTS regress_auto_boss;
DROP ROLE IF EXISTS regress_auto_owner;
RESET client_min_messages;
CREATE ROLE regress_auto_boss;
CREATE ROLE regress_auto_owner;
CREATE SCHEMA apply_auto;
SELECT current_database() AS home, pg_get_userbyid(datdba) AS home_owner FROM pg_database WHERE datname = current_database() \gset
ALTER DATABASE :"home" OWNER TO regress_auto_boss;
CREATE TABLE apply_auto.t (a int, b int);
CREATE TABLE apply_auto.u (a int, b int);
INSERT INTO apply_auto.u SELECT i, i FROM generate_series(1, 10000) i;
ALTER TABLE apply_auto.t OWNER TO regress_auto_owner;
ALTER TABLE apply_auto.u OWNER TO regress_auto_boss;
INSERT INTO hone.advisor_run_store (run_id, requested_by) OVERRIDING SYSTEM VALUE
SELECT i, oid FROM pg_roles, generate_series(1000000, 1000001) i WHERE rolname = 'regress_auto_boss';
CREATE FUNCTION apply_auto.recommend(new_id bigint, action text, relation text, definition text, undo text DEFAULT 'none',
    run bigint DEFAULT 1000000, needs text DEFAULT NULL, bytes bigint DEFAULT 8192) RETURNS void
LANGUAGE sql AS $$
    INSERT INTO hone.recommendation_store (id, run_id, requested_by, action, relid, table_name, access_method, index_name,
        definition, undo_definition, size_bytes, cost_before, cost_after, improvement, write_cost, queries_helped, queries_hurt,
        reason, needs_index)
    OVERRIDING SYSTEM VALUE
    SELECT new_id, run, r.oid, action, relation::regclass, relation, 'btree', 'i' || new_id, definition, undo,
           bytes, 2, 1, 0.5, 0, 1, 0, 'test', needs
    FROM pg_roles r WHERE r.rolname = 'regress_auto_boss'
$$;
CREATE FUNCTION apply_auto.act(new_id bigint, state text, recommendation bigint, automatic bool DEFAULT true,
    queued interval DEFAULT '2 days', finished interval DEFAULT '2 days') RETURNS void
LANGUAGE sql AS $$
    INSERT INTO hone.action_store (id, recommendation_id, after_creates, requested_by, operation, action, state, relid,
        table_name, index_name, definition, undo_definition, size_bytes, automatic, queued_at, finished_at, error)
    OVERRIDING SYSTEM VALUE
    SELECT new_id, r.id, false, r.requested_by, 'apply', r.action, state, r.relid, r.table_name, r.index_name, r.definition,
           r.undo_definition, r.size_bytes, automatic, now() - queued, now() - finished,
           CASE state WHEN 'failed' THEN '53100: no space' END
    FROM hone.recommendation_store r WHERE r.id = recommendation
$$;
SELECT apply_auto.recommend(1000001, 'create', 'apply_auto.t', 'CREATE INDEX i ON apply_auto.t USING btree (a)');
SELECT apply_auto.recommend(1000002, 'create', 'apply_auto.u', 'CREATE INDEX i1000002 ON apply_auto.u USING btree (a) INCLUDE (b)');
SELECT apply_auto.recommend(1000003, 'drop', 'apply_auto.u', 'DROP INDEX apply_auto.x', 'CREATE INDEX x ON apply_auto.u USING btree (b)', needs => 'i1000002');
SET pg_hone.auto_size_limit = 100;

-- seen often enough?
SELECT hone.auto_obstacle(1000002, 2, 3);
SELECT hone.auto_obstacle(1000002, 3, 3) IS NULL AS nothing;
-- whose table it is
SELECT hone.auto_obstacle(1000001, 3, 3);
GRANT regress_auto_owner TO regress_auto_boss;
SELECT hone.auto_obstacle(1000001, 3, 3) IS NULL AS nothing;
-- a drop is left to others where nothing is hidden before
SELECT hone.auto_obstacle(1000003, 3, 3);
-- what is going on on the table, automatic or not
BEGIN;
SELECT apply_auto.act(1000001, 'trial', 1000002, automatic => false);
SELECT hone.auto_obstacle(1000002, 3, 3);
SELECT hone.auto_obstacle(1000003, 3, 3);
SELECT hone.auto_obstacle(1000001, 3, 3) IS NULL AS nothing;
SET pg_hone.auto_max_trials = 1;
SELECT hone.auto_obstacle(1000001, 3, 3);
RESET pg_hone.auto_max_trials;
UPDATE hone.action_store SET state = 'queued' WHERE id = 1000001;
SELECT hone.auto_obstacle(1000002, 3, 3);
DELETE FROM hone.action_store WHERE id = 1000001;
COMMIT;
-- in a day: what others ask for does not count
SET pg_hone.auto_builds_per_day = 1;
SELECT apply_auto.act(1000002, 'kept', 1000002, automatic => false, queued => '1 hour');
SELECT hone.auto_obstacle(1000001, 3, 3) IS NULL AS nothing;
UPDATE hone.action_store SET automatic = true WHERE id = 1000002;
SELECT hone.auto_obstacle(1000001, 3, 3);
UPDATE hone.action_store SET queued_at = now() - interval '25 hours' WHERE id = 1000002;
SELECT hone.auto_obstacle(1000001, 3, 3) IS NULL AS nothing;
-- together: what is there counts as large as it is, what is to be built as estimated
CREATE INDEX i1000002 ON apply_auto.u (a) INCLUDE (b);
UPDATE hone.action_store SET index_oid = 'apply_auto.i1000002'::regclass WHERE id = 1000002;
SET pg_hone.auto_size_limit = 0;
SELECT regexp_replace(hone.auto_obstacle(1000001, 3, 3), '\d+ kB', (pg_relation_size('apply_auto.i1000002') + 8192 > 100000)::text);
SET pg_hone.auto_size_limit = 100;
UPDATE hone.recommendation_store SET size_bytes = pg_database_size(current_database()) WHERE id = 1000001;
SELECT hone.auto_obstacle(1000001, 3, 3) ~ 'all that was built would be .*, more than 100 % of the database' AS too_large;
UPDATE hone.recommendation_store SET size_bytes = 8192 WHERE id = 1000001;
-- failures: a day, two, four; of the same index, whatever its name and what it includes
DELETE FROM hone.action_store WHERE id >= 1000000;
SELECT apply_auto.recommend(1000004, 'create', 'apply_auto.u', 'CREATE INDEX other ON apply_auto.u USING btree (a)', run => 1000001);
SELECT apply_auto.act(1000003, 'failed', 1000004, finished => '12 hours');
SELECT hone.auto_obstacle(1000002, 3, 3), hone.auto_obstacle(1000001, 3, 3) IS NULL AS nothing_else;
UPDATE hone.action_store SET finished_at = now() - interval '36 hours' WHERE id = 1000003;
SELECT hone.auto_obstacle(1000002, 3, 3) IS NULL AS nothing;
SELECT apply_auto.act(1000004, 'cancelled', 1000002, finished => '36 hours');
SELECT hone.auto_obstacle(1000002, 3, 3);
UPDATE hone.action_store SET finished_at = now() - interval '49 hours' WHERE id >= 1000000;
SELECT hone.auto_obstacle(1000002, 3, 3) IS NULL AS nothing;

-- the same proposal of a later run takes its place
SELECT hone.auto_current(1000002);
UPDATE hone.recommendation_store SET status = 'superseded' WHERE id = 1000002;
SELECT hone.auto_current(1000002), hone.auto_current(1000001);
SELECT hone.auto_obstacle(1000002, 3, 3);
UPDATE hone.recommendation_store SET status = 'dismissed' WHERE id = 1000004;
SELECT hone.auto_current(1000002);
SELECT hone.auto_obstacle(1000004, 3, 3);
SELECT action, relid::regclass, access_method, key_columns, predicate FROM hone.auto_identity(1000003);
SELECT hone.auto_obstacle(-1, 3, 3);

-- in how many runs in a row
BEGIN;
UPDATE hone.auto_store SET started_at = now();
DELETE FROM hone.auto_pending_store;
INSERT INTO hone.ban_store (action, relid, table_name, access_method, key_columns, predicate, definition,
    reverted_at, until, times, finding, evidence, recommendations)
VALUES ('create', 'apply_auto.t'::regclass, 'x', 'btree', 'a', '', 'x', now(), now(), 1, 'x', '[]', '{}');
SELECT hone.auto_note_run(1000000);
UPDATE hone.recommendation_store SET run_id = 1000001, status = 'proposed' WHERE id >= 1000000;
SELECT hone.auto_note_run(1000001);
SELECT recommendation_id, seen_runs, wanted_runs FROM hone.auto_pending_store ORDER BY 1;
DELETE FROM hone.recommendation_store WHERE id = 1000001;
SELECT hone.auto_note_run(1000001);
SELECT recommendation_id, seen_runs FROM hone.auto_pending_store ORDER BY 1;
-- queued as the owner of the database, who can only what he may
REVOKE regress_auto_owner FROM regress_auto_boss;
SELECT apply_auto.recommend(1000005, 'create', 'apply_auto.t', 'CREATE INDEX i1000005 ON apply_auto.t USING btree (b)');
SAVEPOINT s;
SELECT hone.auto_queue(1000005, 'regress_auto_boss'::regrole);
ROLLBACK TO s;
DROP INDEX apply_auto.i1000002;
SELECT hone.auto_queue(1000002, 'regress_auto_boss'::regrole) > 0 AS queued;
SELECT pg_get_userbyid(a.requested_by) AS requested_by, automatic, wants_trial, state
FROM hone.action_store a WHERE a.recommendation_id = 1000002 ORDER BY id DESC LIMIT 1;
ROLLBACK;

SET client_min_messages = warning;
ALTER DATABASE :"home" OWNER TO :"home_owner";
DELETE FROM hone.action_store WHERE id >= 1000000;
DELETE FROM hone.advisor_run_store WHERE run_id >= 1000000;
DROP SCHEMA apply_auto CASCADE;
DROP ROLE regress_auto_boss, regress_auto_owner;
