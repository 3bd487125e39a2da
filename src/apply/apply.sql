-- apply: what was done about recommendations, and how to do it.

CREATE TABLE hone.action_store (
    id                bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    recommendation_id bigint NOT NULL,  -- no reference: the ledger outlives advice
    after_creates     boolean NOT NULL, -- a drop, only once its run's creates on the table exist
    requested_by      oid NOT NULL,     -- the role the statements run as
    operation         text NOT NULL CHECK (operation IN ('apply', 'revert')),
    action            text NOT NULL CHECK (action IN ('create', 'drop')),
    state             text NOT NULL CHECK (state IN
                      ('queued', 'building', 'kept', 'reverted', 'failed', 'cancelled')),
    relid             oid NOT NULL,
    table_name        text NOT NULL,    -- qualified and quoted
    index_name        text NOT NULL,    -- not qualified, not quoted
    index_oid         oid,              -- what we made, or are to drop
    definition        text NOT NULL,
    undo_definition   text NOT NULL,
    needs_index       text,             -- a drop, only while this index of the table is valid
    queued_at         timestamptz NOT NULL DEFAULT now(),
    started_at        timestamptz,
    finished_at       timestamptz,
    attempts          int NOT NULL DEFAULT 0,
    pid               int,
    error             text,             -- SQLSTATE: message
    leftover          boolean NOT NULL DEFAULT false,
    retry_at          timestamptz       -- of removing the leftover
);
CREATE INDEX ON hone.action_store (recommendation_id);
CREATE INDEX ON hone.action_store (id) WHERE state IN ('queued', 'building') OR leftover;
COMMENT ON TABLE hone.action_store IS 'Actions: attempts to carry out recommendations';

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
       parts.done AS parts_done, parts.total AS parts_total
FROM hone.action_store a
LEFT JOIN LATERAL (
    SELECT pg_catalog.count(*) FILTER (WHERE p.state IN ('built', 'attached'))::int AS done,
           pg_catalog.count(*)::int AS total
    FROM hone.action_part_store p WHERE p.action_id OPERATOR(pg_catalog.=) a.id
    HAVING pg_catalog.count(*) OPERATOR(pg_catalog.>) 0) parts ON true
WHERE pg_catalog.pg_has_role(a.requested_by, 'USAGE')
   OR pg_catalog.pg_has_role('pg_read_all_stats', 'USAGE');
COMMENT ON VIEW hone.actions IS
    'What was done about recommendations: state, undo statement, and which processes hold it up';

CREATE PROCEDURE hone.apply(id bigint, wait boolean DEFAULT true)
LANGUAGE c AS 'MODULE_PATHNAME', 'hone_apply_one';
COMMENT ON PROCEDURE hone.apply(bigint, boolean) IS
    'Carries out a recommendation in a background worker, without blocking anyone';

CREATE PROCEDURE hone.apply_all(max_actions int DEFAULT NULL, wait boolean DEFAULT true)
LANGUAGE c AS 'MODULE_PATHNAME', 'hone_apply_all';
COMMENT ON PROCEDURE hone.apply_all(int, boolean) IS
    'Carries out what is still proposed of the caller''s latest run of the advisor: creates, then drops';

CREATE PROCEDURE hone.revert(id bigint, wait boolean DEFAULT true)
LANGUAGE c AS 'MODULE_PATHNAME', 'hone_apply_revert';
COMMENT ON PROCEDURE hone.revert(bigint, boolean) IS
    'Takes an applied recommendation back: drops the index that was built, or builds the one that was dropped';

CREATE FUNCTION hone.reconcile_actions() RETURNS void
LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'hone_apply_reconcile';
COMMENT ON FUNCTION hone.reconcile_actions() IS
    'Starts a worker for actions that are queued, were interrupted, or left an invalid index behind';
