-- A trial begins with nothing counted: after DROP EXTENSION and CREATE EXTENSION
-- actions are numbered from one again, and the server's memory has the old ones.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS pg_hone;
RESET client_min_messages;

CREATE TABLE numbered (a int, b int);
INSERT INTO numbered SELECT i, i FROM generate_series(1, 100) i;
CREATE INDEX numbered_old ON numbered (a);
INSERT INTO hone.advisor_run_store (requested_by)
SELECT r.oid FROM pg_roles r WHERE r.rolname = current_user RETURNING run_id AS run_id \gset
INSERT INTO hone.recommendation_store (run_id, requested_by, action, relid, table_name,
	access_method, index_name, definition, undo_definition, size_bytes, cost_before, cost_after,
	improvement, write_cost, queries_helped, queries_hurt, reason)
SELECT :run_id, r.oid, 'create', 'numbered'::regclass, 'public.numbered', 'btree', 'numbered_new',
	'CREATE INDEX numbered_new ON public.numbered (b)', 'DROP INDEX numbered_new', 1, 10, 5, 0.5, 0, 1, 0, 'test'
FROM pg_roles r WHERE r.rolname = current_user RETURNING id AS recommendation \gset

-- what an older trial of the next action's number left
SELECT nextval(pg_get_serial_sequence('hone.action_store', 'id')) + 1 AS next_id \gset
SELECT hone.hide_for_trial('numbered_old', 'trial', :next_id, true);
SELECT count(*) FROM numbered WHERE a = 1;
SELECT hone.trial_show_all(:next_id);
SELECT sum(executions) AS old_executions FROM hone.trial_executions WHERE trial = :next_id;

CALL hone.apply(:recommendation, trial => true);
SELECT a.id = :next_id AS same_number, a.state FROM hone.actions a WHERE a.index_name = 'numbered_new';
SELECT sum(executions) AS executions FROM hone.trial_executions WHERE trial = :next_id;

CALL hone.revert(:recommendation);
DELETE FROM hone.advisor_run_store WHERE run_id = :run_id;
DROP TABLE numbered;
