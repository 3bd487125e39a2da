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
    objective             float8,
    lower_bound           float8,
    gap                   float8,
    storage_budget_bytes  bigint,
    max_indexes           int,
    cpu_ms                float8,
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
    reason          text NOT NULL,
    cost_without    float8,            -- of the same queries, without this index
    key_roles       text[] NOT NULL DEFAULT '{}',
    risks           text[] NOT NULL DEFAULT '{}',
    needs_index     text               -- of a drop: the index that does its work, if one does;
                                       -- not qualified, not quoted, on the same table
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
    write_cost        float8 NOT NULL DEFAULT 0,
    PRIMARY KEY (recommendation_id, ordinal)
);
COMMENT ON TABLE hone.recommendation_query_store IS 'Queries that a recommended index serves, or costs something';

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

CREATE TABLE hone.advisor_hint_store (
    run_id   bigint NOT NULL REFERENCES hone.advisor_run_store ON DELETE CASCADE,
    ordinal  int NOT NULL,
    queryid  bigint,
    userid   oid,                -- whose statement it is; null: the workload as a whole
    query    text,
    kind     text NOT NULL,
    relid    oid,
    hint     text NOT NULL,
    evidence text,
    example  text,
    PRIMARY KEY (run_id, ordinal)
);
COMMENT ON TABLE hone.advisor_hint_store IS 'What helps instead of an index, or besides';

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

CREATE FUNCTION hone.collect_table_writes() RETURNS bigint
LANGUAGE plpgsql VOLATILE STRICT PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
SET lock_timeout = '5s'
AS $$
DECLARE
    window_start timestamptz := '-infinity';
    changed bigint;
BEGIN
    IF pg_is_in_recovery() THEN
        RETURN 0;
    END IF;
    BEGIN
        SELECT i.reset_at INTO window_start FROM hone.query_stats_info i;
    EXCEPTION WHEN object_not_in_prerequisite_state THEN
        NULL;                           -- not preloaded: no window
    END;

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
    GET DIAGNOSTICS changed = ROW_COUNT;
    RETURN changed;
END
$$;
COMMENT ON FUNCTION hone.collect_table_writes() IS
'Begins to count the writes of tables where that is due; returns of how many there was something new';

-- Rows are for those who asked, for the owner of the table, and for
-- pg_read_all_stats. A reason names no statement; what queries say is in
-- hone.recommendation_queries, and hidden there.
CREATE VIEW hone.recommendations WITH (security_barrier) AS
SELECT r.id, r.run_id, r.created_at, r.status, r.action, r.table_name, r.access_method,
       r.index_name, r.definition, r.undo_definition, r.size_bytes, r.cost_before,
       r.cost_after, r.improvement, r.write_cost, r.queries_helped, r.queries_hurt,
       r.reason, r.dismiss_reason, o.rolname AS requested_by,
       r.cost_without, r.key_roles, r.risks, r.needs_index
FROM hone.recommendation_store r
     LEFT JOIN pg_catalog.pg_roles o ON o.oid OPERATOR(pg_catalog.=) r.requested_by
WHERE pg_catalog.pg_has_role(r.requested_by, 'USAGE')
   OR pg_catalog.pg_has_role('pg_read_all_stats', 'USAGE')
   OR EXISTS (SELECT FROM pg_catalog.pg_class c
              WHERE c.oid OPERATOR(pg_catalog.=) r.relid
                AND pg_catalog.pg_has_role(c.relowner, 'USAGE'));
COMMENT ON VIEW hone.recommendations IS
'Recommended changes with their expected effect, costs in planner units over the queries that use the index; improvement is the share of cost_before saved, write_cost what keeping the index costs the writes of the same workload (negative: what dropping it saves), cost_without what the same queries would cost with all that is recommended but this';

CREATE VIEW hone.recommendation_queries WITH (security_barrier) AS
SELECT q.recommendation_id, q.queryid,
       CASE WHEN s.visible THEN q.query ELSE '<insufficient privilege>' END AS query,
       q.calls, q.cost_before, q.cost_after,
       CASE WHEN s.visible THEN q.plan_before END AS plan_before,
       CASE WHEN s.visible THEN q.plan_after END AS plan_after,
       o.rolname AS username, q.write_cost
FROM hone.recommendation_query_store q
     JOIN hone.recommendations r ON r.id OPERATOR(pg_catalog.=) q.recommendation_id
     LEFT JOIN pg_catalog.pg_roles o ON o.oid OPERATOR(pg_catalog.=) q.userid
     CROSS JOIN LATERAL (SELECT pg_catalog.pg_has_role(q.userid, 'USAGE')
                             OR pg_catalog.pg_has_role('pg_read_all_stats', 'USAGE') AS visible) s;
COMMENT ON VIEW hone.recommendation_queries IS
'For each recommendation the queries whose plans use the index, or that pay for it when they write, with costs of one execution and, for those that gain or lose most, the plan of one sample before and after';

CREATE VIEW hone.rejected_candidates WITH (security_barrier) AS
SELECT c.run_id, c.definition, c.reason, c.improvement, c.size_bytes
FROM hone.rejected_candidate_store c
     JOIN hone.advisor_run_store r ON r.run_id OPERATOR(pg_catalog.=) c.run_id
WHERE pg_catalog.pg_has_role(r.requested_by, 'USAGE')
   OR pg_catalog.pg_has_role('pg_read_all_stats', 'USAGE');
COMMENT ON VIEW hone.rejected_candidates IS
'Why not: candidates that were not recommended, the share of the workload each would save alone, and the reason';

CREATE VIEW hone.advisor_hints WITH (security_barrier) AS
SELECT h.run_id, h.queryid, o.rolname AS username,
       CASE WHEN s.visible THEN h.query ELSE '<insufficient privilege>' END AS query,
       h.kind, h.hint,
       CASE WHEN s.visible THEN h.evidence END AS evidence,
       CASE WHEN s.visible THEN h.example END AS example,
       pg_catalog.quote_ident(n.nspname) OPERATOR(pg_catalog.||) '.'
           OPERATOR(pg_catalog.||) pg_catalog.quote_ident(c.relname) AS table_name
FROM hone.advisor_hint_store h
     JOIN hone.advisor_run_store r ON r.run_id OPERATOR(pg_catalog.=) h.run_id
     LEFT JOIN pg_catalog.pg_roles o ON o.oid OPERATOR(pg_catalog.=) h.userid
     LEFT JOIN (pg_catalog.pg_class c
                JOIN pg_catalog.pg_namespace n ON n.oid OPERATOR(pg_catalog.=) c.relnamespace)
         ON c.oid OPERATOR(pg_catalog.=) h.relid
     CROSS JOIN LATERAL (SELECT h.userid IS NULL OR pg_catalog.pg_has_role(h.userid, 'USAGE')
                             OR pg_catalog.pg_has_role('pg_read_all_stats', 'USAGE') AS visible) s
WHERE pg_catalog.pg_has_role(r.requested_by, 'USAGE')
   OR pg_catalog.pg_has_role('pg_read_all_stats', 'USAGE');
COMMENT ON VIEW hone.advisor_hints IS
'Where a run found that a query should be written otherwise, or that a setting, statistics or vacuum is the cause: what to do and what to check, evidence and an example';

CREATE VIEW hone.advisor_runs WITH (security_barrier) AS
SELECT r.run_id, r.started_at, r.elapsed_ms, r.queries, r.candidates, r.planner_calls,
       r.priced_configurations, r.cost_before, r.cost_after, r.objective,
       r.lower_bound, r.gap,
       r.storage_budget_bytes, r.max_indexes, r.cpu_ms, r.skipped, o.rolname AS requested_by
FROM hone.advisor_run_store r
     LEFT JOIN pg_catalog.pg_roles o ON o.oid OPERATOR(pg_catalog.=) r.requested_by
WHERE pg_catalog.pg_has_role(r.requested_by, 'USAGE')
   OR pg_catalog.pg_has_role('pg_read_all_stats', 'USAGE');
COMMENT ON VIEW hone.advisor_runs IS
'Runs of the advisor; costs are those of the whole workload in planner units; objective adds to the costs of the queries what keeping the indexes costs (writes, size and a price for each), lower_bound is what no set of the candidates could bring it below by the plans that are known, and gap the share of it between the two (null when nothing was proven); skipped lists the queries left out and why';

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
'Indexes that one statement would profit from, and hints (rows without a definition) where something else would help; stores nothing, works on a standby and without preloading';

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

CREATE FUNCTION hone.plan_outline(plan jsonb)
RETURNS text
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
    WITH RECURSIVE node (n, depth, path) AS (
        SELECT plan -> 0 -> 'Plan', 0, ARRAY[1::bigint]
        UNION ALL
        SELECT c.value, p.depth + 1, p.path || c.ordinality
        FROM node p
             CROSS JOIN LATERAL jsonb_array_elements(
                 CASE WHEN jsonb_typeof(p.n -> 'Plans') = 'array' THEN p.n -> 'Plans' END)
                 WITH ORDINALITY AS c
        WHERE p.depth < 30),
    line (at, text) AS (
        SELECT row_number() OVER (ORDER BY path),
               repeat('  ', depth)
               || concat_ws(' ',
                      nullif(n ->> 'Subplan Name', '') || ':',
                      n ->> 'Node Type',
                      'using ' || (n ->> 'Index Name'),
                      'on ' || (n ->> 'Relation Name'))
               || format('  (cost %s, %s rows)',
                      round((n ->> 'Total Cost')::numeric, 2), n ->> 'Plan Rows')
               || coalesce(E'\n' || repeat('  ', depth + 2) || 'Index Cond: ' || left(n ->> 'Index Cond', 200), '')
               || coalesce(E'\n' || repeat('  ', depth + 2) || 'Filter: ' || left(n ->> 'Filter', 200), '')
               || coalesce(E'\n' || repeat('  ', depth + 2) || 'Sort Key: ' || left((
                      SELECT string_agg(k, ', ') FROM jsonb_array_elements_text(
                          CASE WHEN jsonb_typeof(n -> 'Sort Key') = 'array' THEN n -> 'Sort Key' END) k), 200), '')
        FROM node WHERE n ? 'Node Type')
    SELECT string_agg(CASE WHEN at <= 25 THEN text ELSE '...' END, E'\n' ORDER BY at)
    FROM line WHERE at <= 26
$$;
COMMENT ON FUNCTION hone.plan_outline(jsonb) IS
'A plan as EXPLAIN (FORMAT JSON) gives it, in short: one line for each node';

CREATE FUNCTION hone.explain_recommendation(id bigint)
RETURNS text
LANGUAGE plpgsql STABLE STRICT PARALLEL RESTRICTED
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    r hone.recommendations;
    q record;
    story text;
    shown int := 0;
    listed int := 0;
    partitioned bool;           -- its table: as a whole never concurrently
    by_hand text;
BEGIN
    SELECT * INTO r FROM hone.recommendations v WHERE v.id = explain_recommendation.id;
    IF NOT FOUND THEN
        RAISE undefined_object USING
            MESSAGE = format('recommendation %s does not exist', explain_recommendation.id),
            DETAIL = 'Or it is neither yours nor about a table of yours.';
    END IF;
    partitioned := coalesce((SELECT c.relkind FROM pg_class c WHERE c.oid = to_regclass(r.table_name)) = 'p', false);
    story := format(E'Recommendation %s (%s), made at %s\n\n%s;\n\nWhy\n',
                    r.id, r.status || coalesce((SELECT format(', and action %s is %s', a.id,
                                                    CASE a.state WHEN 'trial' THEN 'on trial' ELSE a.state END)
                                                FROM hone.actions a
                                                WHERE a.recommendation_id = r.id
                                                  AND a.state IN ('queued', 'building', 'trial')
                                                ORDER BY a.id DESC LIMIT 1), ''),
                    r.created_at, r.definition);
    IF r.action = 'create' AND r.cost_without IS NOT NULL THEN
        story := story || format(E'  Helps %s and makes %s dearer. The queries whose plans use it are estimated to cost\n'
            || E'  %s now and %s with all that is recommended; with all but this index, %s.\n'
            || E'  It takes about %s. %s\n',
            CASE r.queries_helped WHEN 1 THEN '1 query' ELSE format('%s queries', r.queries_helped) END,
            r.queries_hurt, round(r.cost_before::numeric, 2), round(r.cost_after::numeric, 2),
            round(r.cost_without::numeric, 2), pg_size_pretty(r.size_bytes),
            CASE WHEN r.write_cost > 0
                 THEN format('Keeping it costs the writes of the workload about %s in the same unit.',
                             round(r.write_cost::numeric, 2))
                 ELSE 'No write of the workload touches it.' END);
    ELSE
        story := story || format(E'  %s\n', r.reason);
    END IF;
    IF r.dismiss_reason IS NOT NULL THEN
        story := story || format(E'  Dismissed: %s\n', r.dismiss_reason);
    END IF;

    IF r.key_roles <> '{}' THEN
        story := story || E'\nColumns, in this order\n  ' || array_to_string(r.key_roles, E'\n  ') || E'\n';
    END IF;

    FOR q IN SELECT * FROM hone.recommendation_queries v
             WHERE v.recommendation_id = r.id
             ORDER BY v.calls * (v.cost_before - v.cost_after) DESC, v.write_cost DESC
             LIMIT 20
    LOOP
        IF listed = 0 THEN
            story := story || E'\nQueries (estimated cost of one execution)\n';
        END IF;
        listed := listed + 1;
        story := story || format(E'\n  %s, %s -> %s (%s %%)%s\n    %s\n',
            CASE q.calls WHEN 1 THEN '1 call' ELSE format('%s calls', q.calls) END,
            round(q.cost_before::numeric, 2), round(q.cost_after::numeric, 2),
            CASE WHEN q.cost_before > 0
                 THEN to_char((q.cost_after - q.cost_before) / q.cost_before * 100, 'FMSG999999990.0')
                 ELSE '?' END,
            CASE WHEN q.write_cost > 0
                 THEN format(', and %s for keeping the index', round(q.write_cost::numeric, 4)) ELSE '' END,
            replace(q.query, E'\n', E'\n    '));
        IF q.plan_before IS NOT NULL AND (shown < 3 OR q.cost_after > q.cost_before * 1.01) THEN
            shown := shown + 1;
            story := story || format(E'    before:\n      %s\n    after:\n      %s\n',
                replace(coalesce(hone.plan_outline(q.plan_before), '?'), E'\n', E'\n      '),
                replace(coalesce(hone.plan_outline(q.plan_after), '?'), E'\n', E'\n      '));
        END IF;
    END LOOP;

    listed := 0;
    FOR q IN SELECT c.definition, c.reason, c.size_bytes FROM hone.rejected_candidates c
             WHERE c.run_id = r.run_id
               AND starts_with(c.definition, format('CREATE INDEX ON %s USING ', r.table_name))
             ORDER BY position(quote_ident(r.index_name) IN c.reason) > 0 DESC, c.improvement DESC,
                      c.definition
             LIMIT 3
    LOOP
        IF listed = 0 THEN
            story := story || E'\nAlso considered for this table, and why not\n';
        END IF;
        listed := listed + 1;
        story := story || format(E'  %s%s\n    %s\n', q.definition,
            CASE WHEN q.size_bytes IS NOT NULL THEN format(' (%s)', pg_size_pretty(q.size_bytes)) ELSE '' END,
            q.reason);
    END LOOP;

    listed := 0;
    FOR q IN SELECT DISTINCT h.kind, h.hint FROM hone.advisor_hints h
             WHERE h.run_id = r.run_id AND h.table_name = r.table_name
             ORDER BY h.kind, h.hint LIMIT 3
    LOOP
        IF listed = 0 THEN
            story := story || E'\nBesides, or instead\n';
        END IF;
        listed := listed + 1;
        story := story || format(E'  %s\n', q.hint);
    END LOOP;

    story := story || format(E'\nRisks\n  %s\n', CASE r.risks WHEN '{}'
        THEN 'The figures are estimates of the planner; what was measured afterwards counts.'
        ELSE array_to_string(r.risks, E'\n  ') END);
    IF r.status <> 'applied' THEN
        by_hand := CASE WHEN NOT partitioned
            THEN regexp_replace(r.definition, '^(CREATE|DROP) INDEX ', '\1 INDEX CONCURRENTLY ') || ';'
            WHEN r.action = 'create'
            THEN format(E'CREATE INDEX CONCURRENTLY on each partition, then\n  %s;\n  which takes those over.', r.definition)
            ELSE r.definition || ';' END;
        story := story || format(E'\nTo apply it\n  CALL hone.apply(%s);\n  or by hand: %s\n', r.id, by_hand);
    END IF;
    by_hand := CASE WHEN partitioned THEN r.undo_definition
        ELSE regexp_replace(r.undo_definition, '^(CREATE|DROP) INDEX ', '\1 INDEX CONCURRENTLY ') END;
    story := story || format(E'\nTo undo it\n  CALL hone.revert(%s);\n  or by hand: %s;\n', r.id, by_hand);
    RETURN story;
END
$$;
COMMENT ON FUNCTION hone.explain_recommendation(bigint) IS
'The whole story of a recommendation as text';
