-- What trials that are over left hidden is shown again, unless it is still to go.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS pg_hone;
RESET client_min_messages;

-- All in one transaction: a collector in this database does the same.
BEGIN;
CREATE TABLE mend (a int);
CREATE INDEX mend_copy ON mend (a);
CREATE INDEX mend_to_go ON mend (a);
CREATE INDEX mend_kept ON mend (a);

CREATE FUNCTION over(action_id bigint, index_name text, state text, outcome text) RETURNS void LANGUAGE sql AS $$
	INSERT INTO hone.action_store (id, after_creates, requested_by, operation, action, state, relid,
		table_name, index_name, index_oid, definition, trial, finished_at)
	OVERRIDING SYSTEM VALUE
	SELECT action_id, false, r.oid, 'revert', 'create', state, 'mend'::regclass, 'public.mend',
		index_name, index_name::regclass, 'none', 'create', now() - interval '1 day'
	FROM pg_roles r WHERE r.rolname = current_user;
	INSERT INTO hone.trial_store (action_id, kind, index_oid, relid, what_if_gain, server_started, load_ms,
		ended_at, outcome)
	VALUES (action_id, 'create', index_name::regclass, 'mend'::regclass, 0, now(), 0, now(), outcome);
	SELECT hone.hide_for_trial(index_name::regclass, 'trial', action_id, false);
$$;
-- What was reverted is gone; this is a copy that somebody's REINDEX CONCURRENTLY
-- made of it, which is nobody's trial.
SELECT over(1000000001, 'mend_copy', 'reverted', 'revert');
-- its drop failed: it stays hidden, and is to be dropped again
SELECT over(1000000002, 'mend_to_go', 'kept', 'revert');
SELECT over(1000000003, 'mend_kept', 'kept', 'keep');
SELECT hone.mend_trials();
SELECT h.index_name FROM hone.hidden_indexes h WHERE h.table_name LIKE '%mend';
SELECT a.index_name, a.operation, a.state FROM hone.actions a WHERE a.table_name = 'public.mend' ORDER BY a.id;
SELECT hone.mend_trials();
ROLLBACK;
