-- apply: what a user reads about trials.

CREATE VIEW hone.trials WITH (security_barrier) AS
SELECT t.action_id, a.index_name, a.table_name, t.kind, a.state, t.started_at, t.ended_at,
       t.turns, q.looks, q.queries, q.queries_using,
       t.executions_with, t.executions_without,
       CASE WHEN a.verdict IS NOT NULL THEN a.verdict OPERATOR(pg_catalog.->>) 'decision'
            WHEN t.hidden THEN 'hidden from everybody' ELSE 'open' END AS finding,
       a.verdict OPERATOR(pg_catalog.->>) 'reason' AS reason, t.last_error
FROM hone.trial_store t
     JOIN hone.action_store a ON a.id OPERATOR(pg_catalog.=) t.action_id
     LEFT JOIN LATERAL (
         SELECT pg_catalog.count(*) AS queries,
                pg_catalog.count(*) FILTER (WHERE s.used OPERATOR(pg_catalog.>) 0) AS queries_using,
                coalesce(pg_catalog.sum(s.looks), 0) AS looks
         FROM hone.trial_query_store s
         WHERE s.action_id OPERATOR(pg_catalog.=) t.action_id) q ON true
WHERE pg_catalog.pg_has_role(a.requested_by, 'USAGE')
   OR pg_catalog.pg_has_role('pg_read_all_stats', 'USAGE');
COMMENT ON VIEW hone.trials IS
    'Trials of indexes: how far they are, and what was decided';

CREATE VIEW hone.trial_queries WITH (security_barrier) AS
SELECT q.action_id, q.queryid,
       CASE WHEN pg_catalog.pg_has_role(q.userid, 'USAGE')
                 OR pg_catalog.pg_has_role('pg_read_all_stats', 'USAGE')
            THEN coalesce(
                (SELECT h.query FROM hone.query_history_store h
                 WHERE h.queryid OPERATOR(pg_catalog.=) q.queryid
                   AND h.userid OPERATOR(pg_catalog.=) q.userid AND h.query IS NOT NULL
                 ORDER BY h.first_seen USING OPERATOR(pg_catalog.>) LIMIT 1),
                (SELECT r.query FROM hone.recommendation_query_store r
                 WHERE r.recommendation_id OPERATOR(pg_catalog.=) a.recommendation_id
                   AND r.queryid OPERATOR(pg_catalog.=) q.queryid
                   AND r.userid OPERATOR(pg_catalog.=) q.userid LIMIT 1),
                (SELECT s.query FROM hone.query_stats s
                 WHERE s.queryid OPERATOR(pg_catalog.=) q.queryid
                   AND s.userid OPERATOR(pg_catalog.=) q.userid
                   AND s.datname OPERATOR(pg_catalog.=) pg_catalog.current_database() LIMIT 1))
            ELSE '<insufficient privilege>' END AS query,
       pg_catalog.pg_get_userbyid(q.userid) AS username,
       q.n_with AS executions_with, q.n_without AS executions_without,
       q.ms_with OPERATOR(pg_catalog./) nullif(q.n_with, 0)::pg_catalog.float8 AS mean_ms_with,
       q.ms_without OPERATOR(pg_catalog./) nullif(q.n_without, 0)::pg_catalog.float8 AS mean_ms_without,
       q.ratio, q.low AS ratio_low, q.high AS ratio_high,
       q.blocks_with::pg_catalog.float8 OPERATOR(pg_catalog./) nullif(q.n_with, 0)::pg_catalog.float8
           AS blocks_with,
       q.blocks_without::pg_catalog.float8 OPERATOR(pg_catalog./) nullif(q.n_without, 0)::pg_catalog.float8
           AS blocks_without,
       q.used OPERATOR(pg_catalog.>) 0 AS uses_index,
       q.weight, q.finding, q.found_by, q.gain_ms, q.looks, q.expected,
       q.cancels_with, q.cancels_without
FROM hone.trial_query_store q
     JOIN hone.action_store a ON a.id OPERATOR(pg_catalog.=) q.action_id
WHERE pg_catalog.pg_has_role(a.requested_by, 'USAGE')
   OR pg_catalog.pg_has_role('pg_read_all_stats', 'USAGE');
COMMENT ON VIEW hone.trial_queries IS
    'Queries on the table of an index on trial, as of the last crossover: with (the index was seen) and without; ratio is of the change that is tried, the index being there or, for a drop, being gone';

CREATE FUNCTION hone.explain_action(id bigint) RETURNS text
LANGUAGE plpgsql VOLATILE STRICT PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    a hone.actions;
    t hone.trials;
    story text;
    q record;
BEGIN
    SELECT * INTO a FROM hone.actions v WHERE v.id = explain_action.id;
    IF NOT FOUND THEN
        RAISE EXCEPTION USING ERRCODE = 'undefined_object',
            MESSAGE = format('action %s does not exist', id);
    END IF;
    story := format(E'Action %s: %s\n  state %s%s\n', a.id, a.definition, a.state,
                    coalesce(', ' || a.error, ''))
             || coalesce(E'  takes it back: ' || a.undo_definition || E'\n', '');
    SELECT * INTO t FROM hone.trials v WHERE v.action_id = explain_action.id;
    IF NOT FOUND THEN
        RETURN story || coalesce(E'  ' || (a.verdict ->> 'reason') || E'\n', '');
    END IF;

    story := story || format(
        E'\nOn trial from %s %s: %s turns, %s executions of statements on %s with it, %s without\n',
        to_char(t.started_at, 'YYYY-MM-DD HH24:MI:SS'),
        coalesce('to ' || to_char(t.ended_at, 'YYYY-MM-DD HH24:MI:SS'), '(not ended)'),
        t.turns, t.executions_with, t.table_name, t.executions_without);
    FOR q IN SELECT * FROM hone.trial_queries v
             WHERE v.action_id = explain_action.id AND (v.uses_index OR v.expected)
             ORDER BY abs(v.gain_ms) DESC, v.queryid LIMIT 20
    LOOP
        story := story || format(E'\n  query %s by %s, %s %% of the database''s time\n    %s\n',
            q.queryid, q.username, round((q.weight * 100)::numeric, 1),
            coalesce(left(regexp_replace(q.query, '\s+', ' ', 'g'), 200), '(text not known)'));
        IF NOT q.uses_index THEN
            story := story || CASE
                WHEN q.executions_with = 0 AND q.executions_without = 0 THEN E'    did not run yet\n'
                WHEN q.executions_with = 0 THEN
                    format(E'    did not run yet where the index is seen (%s executions without it)\n',
                           q.executions_without)
                ELSE format(E'    does not use the index (%s executions with it, %s without)\n',
                            q.executions_with, q.executions_without) END;
            CONTINUE;
        END IF;
        story := story || format(
            E'    with the index    %s executions, %s ms, %s blocks\n    without it        %s executions, %s ms, %s blocks\n',
            q.executions_with, coalesce(round(q.mean_ms_with::numeric, 3)::text, '-'),
            coalesce(round(q.blocks_with::numeric, 1)::text, '-'),
            q.executions_without, coalesce(round(q.mean_ms_without::numeric, 3)::text, '-'),
            coalesce(round(q.blocks_without::numeric, 1)::text, '-'));
        story := story || CASE
            WHEN q.ratio IS NULL THEN E'    not looked at yet\n'
            ELSE format(E'    %s%s: %s times as %s as %s, certainly between %s and %s\n',
                        q.finding, coalesce(' by ' || q.found_by, ''), round(q.ratio::numeric, 3),
                        CASE q.found_by WHEN 'blocks' THEN 'many blocks' ELSE 'long' END,
                        CASE t.kind WHEN 'drop' THEN 'with it' ELSE 'without it' END,
                        round(q.ratio_low::numeric, 3),
                        CASE WHEN q.ratio_high < 'Infinity' THEN round(q.ratio_high::numeric, 3)::text
                             ELSE 'any' END) END;
    END LOOP;

    IF a.verdict -> 'writes' -> 'after' ->> 'mean_ms' IS NOT NULL
       AND a.verdict -> 'writes' -> 'before' ->> 'mean_ms' IS NOT NULL THEN
        story := story || format(E'\n  writes before (%s): %s executions, %s ms; since then: %s executions, %s ms\n',
            a.verdict -> 'writes' -> 'before' ->> 'span',
            a.verdict -> 'writes' -> 'before' ->> 'executions',
            a.verdict -> 'writes' -> 'before' ->> 'mean_ms',
            a.verdict -> 'writes' -> 'after' ->> 'executions',
            a.verdict -> 'writes' -> 'after' ->> 'mean_ms');
    END IF;
    IF a.verdict IS NOT NULL THEN
        story := story || format(E'\n%s: %s (rule "%s", method: %s)\n', a.verdict ->> 'decision',
                                 a.verdict ->> 'reason', a.verdict ->> 'rule',
                                 coalesce(a.verdict ->> 'method', 'none'));
    ELSE
        story := story || E'\nNot decided yet.\n';
    END IF;
    RETURN story;
END
$$;
COMMENT ON FUNCTION hone.explain_action(bigint) IS
    'The whole story of an action as text: what was measured in its trial, and why it was decided so';
