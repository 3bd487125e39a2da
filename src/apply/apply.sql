-- apply: what was done about recommendations, and how to do it.

CREATE TABLE hone.action_store (
    id                bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    recommendation_id bigint,           -- no reference: the ledger outlives advice; null: reindex
    after_creates     boolean NOT NULL, -- a drop, only once its run's creates on the table exist
    requested_by      oid NOT NULL,     -- the role the statements run as
    operation         text NOT NULL CHECK (operation IN ('apply', 'revert', 'reindex')),
    action            text NOT NULL CHECK (action IN ('create', 'drop', 'reindex')),
    state             text NOT NULL CHECK (state IN
                      ('queued', 'building', 'trial', 'kept', 'reverted', 'failed', 'cancelled')),
    relid             oid NOT NULL,
    table_name        text NOT NULL,    -- qualified and quoted
    index_name        text NOT NULL,    -- not qualified, not quoted
    index_oid         oid,              -- what we made, are to drop, or to rebuild
    new_index_oid     oid,              -- reindex: what is to take its place
    definition        text NOT NULL,
    undo_definition   text,             -- null: reindex
    needs_index       text,             -- a drop, only while this index of the table is valid
    size_bytes        bigint NOT NULL DEFAULT 0, -- estimated, of what is to be built
    wants_trial       boolean,          -- null: reindex
    automatic         boolean NOT NULL DEFAULT false, -- nobody asked for it
    queued_at         timestamptz NOT NULL DEFAULT now(),
    started_at        timestamptz,
    finished_at       timestamptz,
    attempts          int NOT NULL DEFAULT 0,
    postponements     int NOT NULL DEFAULT 0, -- in a row
    waiting_for       text,             -- queued: why it does not start
    looked_at         timestamptz,      -- when a builder last looked whether it may start
    built_at          timestamptz,
    pid               int,
    error             text,             -- SQLSTATE: message
    leftover          boolean NOT NULL DEFAULT false,
    retry_at          timestamptz,      -- queued: not before; or of removing the leftover
    trial             text CHECK (trial IN ('create', 'drop')), -- the kind of its trial
    verdict           jsonb             -- of its trial, or why there was none
);
CREATE INDEX ON hone.action_store (recommendation_id);
CREATE INDEX ON hone.action_store (id) WHERE state IN ('queued', 'building', 'trial') OR leftover;
COMMENT ON TABLE hone.action_store IS 'Actions: attempts to carry out recommendations, and rebuilt indexes';

CREATE FUNCTION hone.action_progress(action_id bigint,
    OUT phase text, OUT blocks_done bigint, OUT blocks_total bigint,
    OUT tuples_done bigint, OUT tuples_total bigint, OUT current_locker_pid bigint)
LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'hone_apply_action_progress';
COMMENT ON FUNCTION hone.action_progress(bigint) IS
    'How far the building of an action''s index is; nulls when it is not being built, or not yours to see';

CREATE TABLE hone.action_part_store (  -- when an action is about a partitioned table
    action_id  bigint NOT NULL REFERENCES hone.action_store ON DELETE CASCADE,
    relid      oid NOT NULL,        -- the partition, itself partitioned or not
    table_name text NOT NULL,       -- qualified and quoted, as it was called then
    index_name text,                -- not qualified, not quoted; before it is made
    index_oid  oid,                 -- written in the transaction that makes it
    state      text NOT NULL DEFAULT 'waiting'
               CHECK (state IN ('waiting', 'building', 'built', 'attached')),
    was_there  boolean NOT NULL DEFAULT false,  -- somebody else's: attached, never dropped
    PRIMARY KEY (action_id, relid)
);
COMMENT ON TABLE hone.action_part_store IS
    'Indexes that actions on partitioned tables made, or found, on the partitions';

CREATE VIEW hone.actions WITH (security_barrier) AS
SELECT a.id, a.recommendation_id, a.state, a.index_name, a.started_at, a.finished_at,
       a.attempts, a.error, a.undo_definition,
       a.definition, a.table_name, a.action, a.operation,
       pg_catalog.pg_get_userbyid(a.requested_by) AS requested_by,
       a.queued_at, a.pid,
       CASE WHEN a.state OPERATOR(pg_catalog.=) 'building'
            THEN pg_catalog.pg_blocking_pids(a.pid) END AS blocked_by,
       a.leftover,
       p.phase, p.blocks_done, p.blocks_total, p.tuples_done, p.tuples_total,
       p.current_locker_pid,
       a.waiting_for, a.retry_at, a.verdict, a.trial, a.automatic,
       parts.done AS parts_done, parts.total AS parts_total
FROM hone.action_store a
LEFT JOIN LATERAL hone.action_progress(a.id) p ON a.state OPERATOR(pg_catalog.=) 'building'
LEFT JOIN LATERAL (
    SELECT pg_catalog.count(*) FILTER (WHERE s.state IN ('built', 'attached'))::int AS done,
           pg_catalog.count(*)::int AS total
    FROM hone.action_part_store s WHERE s.action_id OPERATOR(pg_catalog.=) a.id
    HAVING pg_catalog.count(*) OPERATOR(pg_catalog.>) 0) parts ON true
WHERE pg_catalog.pg_has_role(a.requested_by, 'USAGE')
   OR pg_catalog.pg_has_role('pg_read_all_stats', 'USAGE');
COMMENT ON VIEW hone.actions IS
    'What was done about recommendations: state, progress, what it waits for, and undo statement';

CREATE PROCEDURE hone.apply(id bigint, wait boolean DEFAULT true, trial boolean DEFAULT NULL)
LANGUAGE c AS 'MODULE_PATHNAME', 'hone_apply_one';
COMMENT ON PROCEDURE hone.apply(bigint, boolean, boolean) IS
    'Carries out a recommendation in a background worker, without blocking anyone';

CREATE PROCEDURE hone.apply_all(max_actions int DEFAULT NULL, wait boolean DEFAULT true,
                                trial boolean DEFAULT NULL)
LANGUAGE c AS 'MODULE_PATHNAME', 'hone_apply_all';
COMMENT ON PROCEDURE hone.apply_all(int, boolean, boolean) IS
    'Carries out what is still proposed of the caller''s latest run of the advisor: creates, then drops';

CREATE PROCEDURE hone.revert(id bigint, wait boolean DEFAULT true)
LANGUAGE c AS 'MODULE_PATHNAME', 'hone_apply_revert';
COMMENT ON PROCEDURE hone.revert(bigint, boolean) IS
    'Takes an applied recommendation back: drops the index that was built, or builds the one that was dropped';

CREATE PROCEDURE hone.reindex(index regclass, wait boolean DEFAULT true)
LANGUAGE c AS 'MODULE_PATHNAME', 'hone_apply_reindex';
COMMENT ON PROCEDURE hone.reindex(regclass, boolean) IS
    'Rebuilds an index in a background worker, without blocking anyone';

CREATE FUNCTION hone.reconcile_actions() RETURNS void
LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'hone_apply_reconcile';
COMMENT ON FUNCTION hone.reconcile_actions() IS
    'Starts a worker for actions that are queued, were interrupted, or left an invalid index behind';
