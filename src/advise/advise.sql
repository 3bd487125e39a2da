-- advise: what was recommended, and why. The contract between deciding
-- (advise) and acting (apply) is these tables, not a C call.

CREATE TABLE hone.advisor_run_store (
    run_id                bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    requested_by          oid NOT NULL,
    started_at            timestamptz NOT NULL DEFAULT now(),
    elapsed_ms            float8,
    queries               int,
    candidates            int,
    planner_calls         bigint,
    priced_configurations bigint,
    cost_before           float8,
    cost_after            float8,
    storage_budget_bytes  bigint,
    skipped               jsonb NOT NULL DEFAULT '[]'
);
COMMENT ON TABLE hone.advisor_run_store IS 'Runs of the advisor';

CREATE TABLE hone.recommendation_store (
    id              bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    run_id          bigint NOT NULL REFERENCES hone.advisor_run_store ON DELETE CASCADE,
    created_at      timestamptz NOT NULL DEFAULT now(),
    requested_by    oid NOT NULL,
    status          text NOT NULL DEFAULT 'proposed'
                    CHECK (status IN ('proposed', 'applied', 'reverted', 'dismissed', 'superseded')),
    dismiss_reason  text,
    action          text NOT NULL CHECK (action IN ('create', 'drop')),
    relid           oid NOT NULL,      -- the table, as it was when this was decided
    table_name      text NOT NULL,     -- qualified and quoted
    access_method   text NOT NULL,
    index_name      text NOT NULL,     -- not qualified, not quoted; chosen free
    definition      text NOT NULL,     -- CREATE INDEX index_name ON ... or DROP INDEX ...
    undo_definition text NOT NULL,
    size_bytes      bigint NOT NULL,
    cost_before     float8 NOT NULL,
    cost_after      float8 NOT NULL,
    improvement     float8 NOT NULL,   -- share of cost_before saved, 0 to 1
    write_cost      float8 NOT NULL,
    queries_helped  int NOT NULL,
    queries_hurt    int NOT NULL,
    reason          text NOT NULL
);
CREATE INDEX ON hone.recommendation_store (run_id);
COMMENT ON TABLE hone.recommendation_store IS 'Recommended changes';

CREATE TABLE hone.recommendation_query_store (
    recommendation_id bigint NOT NULL REFERENCES hone.recommendation_store ON DELETE CASCADE,
    ordinal           int NOT NULL,
    queryid           bigint,
    userid            oid NOT NULL,     -- whose statement it is
    query             text NOT NULL,
    calls             float8 NOT NULL,
    cost_before       float8 NOT NULL,
    cost_after        float8 NOT NULL,
    plan_before       jsonb,
    plan_after        jsonb,
    PRIMARY KEY (recommendation_id, ordinal)
);
COMMENT ON TABLE hone.recommendation_query_store IS 'Queries that a recommended index serves';

CREATE TABLE hone.rejected_candidate_store (
    run_id      bigint NOT NULL REFERENCES hone.advisor_run_store ON DELETE CASCADE,
    ordinal     int NOT NULL,
    definition  text NOT NULL,
    reason      text NOT NULL,
    improvement float8 NOT NULL,
    size_bytes  bigint,
    PRIMARY KEY (run_id, ordinal)
);
COMMENT ON TABLE hone.rejected_candidate_store IS 'Candidates of a run that were not recommended';

-- Since when is an index not scanned, as far as can be known? Since its count of
-- scans last changed, or since it was first seen.
CREATE TABLE hone.index_use_store (
    index_oid oid PRIMARY KEY,
    relid     oid NOT NULL,
    since     timestamptz NOT NULL,
    scans     bigint NOT NULL
) WITH (fillfactor = 80);
COMMENT ON TABLE hone.index_use_store IS 'Since when the count of scans of each index has not changed';

-- What the server counted for a table when the window of the query statistics
-- began, or when the table was first seen; and, to tell loads from use, how many
-- rows came in at once.
CREATE TABLE hone.table_writes_store (
    relid         oid PRIMARY KEY,
    since         timestamptz NOT NULL,
    inserted      bigint NOT NULL,
    updated       bigint NOT NULL,
    deleted       bigint NOT NULL,
    seen_inserted bigint NOT NULL,     -- in the last round of the collector
    most_inserted bigint NOT NULL      -- between two rounds
) WITH (fillfactor = 80);
COMMENT ON TABLE hone.table_writes_store IS
'Counters of each table''s writes when the query statistics began';

CREATE FUNCTION hone.collect_index_use() RETURNS bigint
LANGUAGE plpgsql VOLATILE STRICT PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
SET lock_timeout = '5s'
AS $$
DECLARE
    window_start timestamptz := '-infinity';
    changed bigint;
    more bigint;
BEGIN
    IF pg_is_in_recovery() THEN
        RETURN 0;
    END IF;
    BEGIN
        SELECT i.reset_at INTO window_start FROM hone.query_stats_info i;
    EXCEPTION WHEN object_not_in_prerequisite_state THEN
        NULL;                           -- not preloaded: no window
    END;

    DELETE FROM hone.index_use_store u
    WHERE NOT EXISTS (SELECT FROM pg_index i WHERE i.indexrelid = u.index_oid AND i.indrelid = u.relid);
    INSERT INTO hone.index_use_store AS u
    SELECT i.indexrelid, i.indrelid, clock_timestamp(), pg_stat_get_numscans(i.indexrelid)
    FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid
    WHERE c.oid >= 16384 AND c.relkind IN ('r', 'm') AND c.relpersistence <> 't'
      AND c.relnamespace <> 'hone'::regnamespace
    ORDER BY i.indexrelid
    ON CONFLICT (index_oid) DO UPDATE SET since = excluded.since, scans = excluded.scans
    WHERE u.scans <> excluded.scans;
    GET DIAGNOSTICS changed = ROW_COUNT;

    DELETE FROM hone.table_writes_store t
    WHERE NOT EXISTS (SELECT FROM pg_class c WHERE c.oid = t.relid AND c.relkind = 'r');
    -- Counters that went back were reset: then it begins anew.
    INSERT INTO hone.table_writes_store AS t
    SELECT c.oid, clock_timestamp(), s.inserted, s.updated, s.deleted, s.inserted, 0
    FROM pg_class c
         CROSS JOIN LATERAL (SELECT pg_stat_get_tuples_inserted(c.oid) AS inserted,
                                    pg_stat_get_tuples_updated(c.oid) AS updated,
                                    pg_stat_get_tuples_deleted(c.oid) AS deleted) s
    WHERE c.oid >= 16384 AND c.relkind = 'r' AND c.relpersistence <> 't'
      AND c.relnamespace <> 'hone'::regnamespace
    ORDER BY c.oid
    ON CONFLICT (relid) DO UPDATE
    SET (since, inserted, updated, deleted, seen_inserted, most_inserted) = (
        SELECT CASE WHEN f.anew THEN excluded.since ELSE t.since END,
               CASE WHEN f.anew THEN excluded.inserted ELSE t.inserted END,
               CASE WHEN f.anew THEN excluded.updated ELSE t.updated END,
               CASE WHEN f.anew THEN excluded.deleted ELSE t.deleted END,
               excluded.inserted,
               CASE WHEN f.anew THEN 0
                    ELSE greatest(t.most_inserted, excluded.inserted - t.seen_inserted) END
        FROM (SELECT t.since < window_start OR excluded.inserted < t.seen_inserted
                  OR excluded.updated < t.updated OR excluded.deleted < t.deleted) f (anew))
    WHERE t.seen_inserted <> excluded.inserted OR t.since < window_start
       OR excluded.updated < t.updated OR excluded.deleted < t.deleted;
    GET DIAGNOSTICS more = ROW_COUNT;
    RETURN changed + more;
END
$$;
COMMENT ON FUNCTION hone.collect_index_use() IS
'Notes which indexes were scanned, and begins to count the writes of tables where that is due; returns how many had something new';

-- Rows are for those who asked, for the owner of the table, and for
-- pg_read_all_stats. A reason names no statement; what queries say is in
-- hone.recommendation_queries, and hidden there.
CREATE VIEW hone.recommendations WITH (security_barrier) AS
SELECT r.id, r.run_id, r.created_at, r.status, r.action, r.table_name, r.access_method,
       r.index_name, r.definition, r.undo_definition, r.size_bytes, r.cost_before,
       r.cost_after, r.improvement, r.write_cost, r.queries_helped, r.queries_hurt,
       r.reason, r.dismiss_reason, o.rolname AS requested_by
FROM hone.recommendation_store r
     LEFT JOIN pg_catalog.pg_roles o ON o.oid OPERATOR(pg_catalog.=) r.requested_by
WHERE pg_catalog.pg_has_role(r.requested_by, 'USAGE')
   OR pg_catalog.pg_has_role('pg_read_all_stats', 'USAGE')
   OR EXISTS (SELECT FROM pg_catalog.pg_class c
              WHERE c.oid OPERATOR(pg_catalog.=) r.relid
                AND pg_catalog.pg_has_role(c.relowner, 'USAGE'));
COMMENT ON VIEW hone.recommendations IS
'Recommended changes with their expected effect, costs in planner units over the queries that use the index; improvement is the share of cost_before saved, write_cost what keeping the index costs the writes of the same workload (negative: what dropping it saves)';

CREATE VIEW hone.recommendation_queries WITH (security_barrier) AS
SELECT q.recommendation_id, q.queryid,
       CASE WHEN s.visible THEN q.query ELSE '<insufficient privilege>' END AS query,
       q.calls, q.cost_before, q.cost_after,
       CASE WHEN s.visible THEN q.plan_before END AS plan_before,
       CASE WHEN s.visible THEN q.plan_after END AS plan_after,
       o.rolname AS username
FROM hone.recommendation_query_store q
     JOIN hone.recommendations r ON r.id OPERATOR(pg_catalog.=) q.recommendation_id
     LEFT JOIN pg_catalog.pg_roles o ON o.oid OPERATOR(pg_catalog.=) q.userid
     CROSS JOIN LATERAL (SELECT pg_catalog.pg_has_role(q.userid, 'USAGE')
                             OR pg_catalog.pg_has_role('pg_read_all_stats', 'USAGE') AS visible) s;
COMMENT ON VIEW hone.recommendation_queries IS
'For each recommendation the queries whose plans use the index, with costs of one execution and plans before and after';

CREATE VIEW hone.rejected_candidates WITH (security_barrier) AS
SELECT c.run_id, c.definition, c.reason, c.improvement, c.size_bytes
FROM hone.rejected_candidate_store c
     JOIN hone.advisor_run_store r ON r.run_id OPERATOR(pg_catalog.=) c.run_id
WHERE pg_catalog.pg_has_role(r.requested_by, 'USAGE')
   OR pg_catalog.pg_has_role('pg_read_all_stats', 'USAGE');
COMMENT ON VIEW hone.rejected_candidates IS
'Why not: candidates that were not recommended, the share of the workload each would save alone, and the reason';

CREATE VIEW hone.advisor_runs WITH (security_barrier) AS
SELECT r.run_id, r.started_at, r.elapsed_ms, r.queries, r.candidates, r.planner_calls,
       r.priced_configurations, r.cost_before, r.cost_after, r.storage_budget_bytes,
       r.skipped, o.rolname AS requested_by
FROM hone.advisor_run_store r
     LEFT JOIN pg_catalog.pg_roles o ON o.oid OPERATOR(pg_catalog.=) r.requested_by
WHERE pg_catalog.pg_has_role(r.requested_by, 'USAGE')
   OR pg_catalog.pg_has_role('pg_read_all_stats', 'USAGE');
COMMENT ON VIEW hone.advisor_runs IS
'Runs of the advisor; costs are those of the whole workload in planner units, skipped lists the queries left out and why';

CREATE FUNCTION hone.recommend(storage_budget_bytes bigint DEFAULT NULL, max_indexes int DEFAULT NULL)
RETURNS SETOF hone.recommendations
LANGUAGE C VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'hone_recommend';
COMMENT ON FUNCTION hone.recommend(bigint, int) IS
'Recommends indexes for the captured workload of this database as far as the caller may see it, and stores the recommendations';

CREATE FUNCTION hone.recommend_for(statements text[], weights float8[] DEFAULT NULL,
                                   storage_budget_bytes bigint DEFAULT NULL, max_indexes int DEFAULT NULL)
RETURNS SETOF hone.recommendations
LANGUAGE C VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'hone_recommend_for';
COMMENT ON FUNCTION hone.recommend_for(text[], float8[], bigint, int) IS
'Recommends indexes for the given statements, each run as often as its weight says, and stores the recommendations';

CREATE FUNCTION hone.advise(statement text, parameters text[] DEFAULT NULL,
    OUT action text, OUT table_name text, OUT access_method text, OUT definition text,
    OUT size_bytes bigint, OUT cost_before float8, OUT cost_after float8,
    OUT improvement float8, OUT reason text)
RETURNS SETOF record
LANGUAGE C VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'hone_advise';
COMMENT ON FUNCTION hone.advise(text, text[]) IS
'Indexes that one statement would profit from; stores nothing, works on a standby and without preloading';

CREATE FUNCTION hone.index_costs(statements text[] DEFAULT NULL, weights float8[] DEFAULT NULL,
    OUT table_name text, OUT index_name text, OUT access_method text, OUT size_bytes bigint,
    OUT used bool, OUT droppable bool, OUT entries float8, OUT hot_updates_lost float8,
    OUT cpu_cost float8, OUT wal_bytes float8, OUT pages_dirtied float8,
    OUT vacuum_cost float8, OUT write_cost float8)
RETURNS SETOF record
LANGUAGE C VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'hone_index_costs';
COMMENT ON FUNCTION hone.index_costs(text[], float8[]) IS
'What each index of the tables that the captured workload, or the given statements, touch costs the writes, in planner units; used is whether one of their plans uses it';

CREATE FUNCTION hone.advisor_workload(
    OUT queryid bigint, OUT username text, OUT query text, OUT parameters text[],
    OUT generic bool, OUT calls float8, OUT duration_ms float8, OUT rows_per_call float8)
RETURNS SETOF record
LANGUAGE C VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'hone_advisor_workload';
COMMENT ON FUNCTION hone.advisor_workload() IS
'The captured statements as the advisor weighs them: for how many executions each sample stands, by how long they took; generic ones stand for executions with a generic plan';

CREATE FUNCTION hone.dismiss(id bigint, reason text)
RETURNS void
LANGUAGE C VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'hone_dismiss';
COMMENT ON FUNCTION hone.dismiss(bigint, text) IS
'Turns a recommendation down; the same one is not made again for whoever asked for it';

CREATE FUNCTION hone.explain_recommendation(id bigint)
RETURNS text
LANGUAGE plpgsql STABLE STRICT PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    r hone.recommendations;
    q record;
    story text;
BEGIN
    SELECT * INTO r FROM hone.recommendations v WHERE v.id = explain_recommendation.id;
    IF NOT FOUND THEN
        RAISE undefined_object USING
            MESSAGE = format('recommendation %s does not exist', explain_recommendation.id),
            DETAIL = 'Or it is neither yours nor about a table of yours.';
    END IF;
    story := format(E'Recommendation %s (%s), made at %s\n\n%s;\n\n%s\n\nUndo: %s;\n',
                    r.id, r.status, r.created_at, r.definition, r.reason, r.undo_definition);
    IF r.dismiss_reason IS NOT NULL THEN
        story := story || format(E'Dismissed: %s\n', r.dismiss_reason);
    END IF;
    FOR q IN SELECT * FROM hone.recommendation_queries v
             WHERE v.recommendation_id = r.id
             ORDER BY v.calls * (v.cost_before - v.cost_after) DESC
    LOOP
        story := story || format(E'\n%s calls, estimated cost of one %s -> %s (%s %%)\n    %s\n',
            q.calls, round(q.cost_before::numeric, 2), round(q.cost_after::numeric, 2),
            CASE WHEN q.cost_before > 0
                 THEN round(((q.cost_after - q.cost_before) / q.cost_before * 100)::numeric, 1) END,
            replace(q.query, E'\n', E'\n    '));
    END LOOP;
    RETURN story;
END
$$;
COMMENT ON FUNCTION hone.explain_recommendation(bigint) IS
'The whole story of a recommendation as text';
