
-- whatif: hidden indexes, real ones that the planner does not see.

CREATE TABLE hone.hidden_index_store (
    index_oid oid PRIMARY KEY,
    relid     oid NOT NULL,          -- its table
    kind      text NOT NULL CHECK (kind IN ('manual', 'trial', 'drop')),
    trial     bigint,                -- the action that tries it
    arms      boolean NOT NULL,      -- one half of the sessions sees it; else nobody
    turn      int NOT NULL DEFAULT 0,
    hidden_by oid NOT NULL,
    hidden_at timestamptz NOT NULL DEFAULT now()
) USING heap;                        -- read by the planner, below SQL
COMMENT ON TABLE hone.hidden_index_store IS 'Indexes the planner does not see, or not in every session';

CREATE VIEW hone.hidden_indexes WITH (security_barrier) AS
SELECT pg_catalog.format('%I.%I', n.nspname, i.relname) AS index_name,
       pg_catalog.format('%I.%I', tn.nspname, t.relname) AS table_name,
       h.kind, h.trial, h.arms, h.turn,
       pg_catalog.pg_get_userbyid(h.hidden_by) AS hidden_by,
       h.hidden_at,
       CASE i.relkind WHEN 'I'
            THEN (SELECT pg_catalog.sum(pg_catalog.pg_relation_size(p.relid))::bigint
                  FROM pg_catalog.pg_partition_tree(i.oid) p WHERE p.isleaf)
            ELSE pg_catalog.pg_relation_size(i.oid) END AS size_bytes
FROM hone.hidden_index_store h
     JOIN pg_catalog.pg_index x ON x.indexrelid OPERATOR(pg_catalog.=) h.index_oid
                               AND x.indrelid OPERATOR(pg_catalog.=) h.relid
     JOIN pg_catalog.pg_class i ON i.oid OPERATOR(pg_catalog.=) h.index_oid
     JOIN pg_catalog.pg_namespace n ON n.oid OPERATOR(pg_catalog.=) i.relnamespace
     JOIN pg_catalog.pg_class t ON t.oid OPERATOR(pg_catalog.=) h.relid
     JOIN pg_catalog.pg_namespace tn ON tn.oid OPERATOR(pg_catalog.=) t.relnamespace;
COMMENT ON VIEW hone.hidden_indexes IS
    'Indexes the planner does not see, or on trial only in one half of the sessions; names can be cast to regclass';

CREATE FUNCTION hone.hide_index(index regclass) RETURNS void
LANGUAGE c VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'hone_hide_index';
COMMENT ON FUNCTION hone.hide_index(regclass) IS
    'Hides an index from the planner of all sessions, once the transaction commits; it is still maintained. '
    'For owners of the table. A partitioned index hides its partitions, later ones too';

CREATE FUNCTION hone.show_index(index regclass) RETURNS void
LANGUAGE c VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'hone_show_index';
COMMENT ON FUNCTION hone.show_index(regclass) IS
    'Shows an index again that was hidden by hone.hide_index; nothing happens if it is not hidden';

CREATE FUNCTION hone.hide_for_trial(index regclass, kind text, trial bigint, arms boolean) RETURNS void
LANGUAGE c VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'hone_hide_for_trial';
COMMENT ON FUNCTION hone.hide_for_trial(regclass, text, bigint, boolean) IS
    'Internal: hides an index as a trial does, from one half of the sessions (arms) or from all; kind is trial or drop';

CREATE FUNCTION hone.turn_trial(trial bigint) RETURNS void
LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'hone_turn_trial';
COMMENT ON FUNCTION hone.turn_trial(bigint) IS
    'Internal: all sessions change sides in a trial';

CREATE FUNCTION hone.plan_arms(statement text, OUT trial bigint, OUT visible boolean, OUT used boolean)
RETURNS SETOF record
LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'hone_plan_arms';
COMMENT ON FUNCTION hone.plan_arms(text) IS
    'Plans a statement as this session would: which trials it looked at, whether it saw their index, and whether the plan uses it';
