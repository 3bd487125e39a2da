-- apply: what automatic mode does on its own, and what it remembers.

-- What a trial took back (a user's own hone.revert is a dismissal: it has no
-- figures, and no end). 30 days, doubled each time, a year at most.
CREATE FUNCTION hone.ban_index(action_id bigint) RETURNS timestamptz
LANGUAGE plpgsql VOLATILE STRICT PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    a hone.action_store;
    part record;
    worst record;
    queries jsonb;
    said text;
    gain float8;
    one jsonb;
    old hone.ban_store;
    ends timestamptz;
BEGIN
    SELECT s.* INTO a FROM hone.action_store s WHERE s.id = action_id;
    IF a.id IS NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'undefined_object',
            MESSAGE = format('action %s does not exist', action_id);
    ELSIF a.action NOT IN ('create', 'drop') THEN
        RAISE EXCEPTION USING ERRCODE = 'object_not_in_prerequisite_state',
            MESSAGE = format('action %s neither creates nor drops an index', action_id);
    END IF;
    SELECT i.* INTO part
    FROM hone.index_identity(CASE a.action WHEN 'create' THEN a.definition ELSE a.undo_definition END) i;

    queries := CASE jsonb_typeof(a.verdict -> 'queries') WHEN 'array' THEN a.verdict -> 'queries' ELSE '[]' END;
    SELECT q.id, q.ms_with, q.ms_without, q.n_with, q.n_without INTO worst
    FROM (SELECT v ->> 'queryid' AS id, (v -> 'with' ->> 'mean_ms')::float8 AS ms_with,
                 (v -> 'without' ->> 'mean_ms')::float8 AS ms_without,
                 (v -> 'with' ->> 'executions')::bigint AS n_with,
                 (v -> 'without' ->> 'executions')::bigint AS n_without
          FROM jsonb_array_elements(queries) v WHERE v ->> 'finding' = 'worse') q
    WHERE q.ms_with IS NOT NULL AND q.ms_without IS NOT NULL
    ORDER BY abs(q.ms_with - q.ms_without) * (q.n_with + q.n_without) DESC, q.id LIMIT 1;
    said := CASE WHEN worst.id IS NOT NULL
        THEN format('measured query %s at %s ms with it and %s ms without (%s and %s executions)',
                    worst.id, round(worst.ms_with::numeric, 3), round(worst.ms_without::numeric, 3),
                    worst.n_with, worst.n_without)
        ELSE coalesce(regexp_replace(a.verdict ->> 'reason', '[.\s]+$', ''), 'measured no gain') END;
    -- The share of its queries' time that the change saved.
    SELECT CASE a.action WHEN 'create' THEN 1 - s.ms_with / nullif(s.ms_without, 0)
                         ELSE 1 - s.ms_without / nullif(s.ms_with, 0) END INTO gain
    FROM (SELECT sum(n * ms_with) AS ms_with, sum(n * ms_without) AS ms_without
          FROM (SELECT coalesce((v -> 'with' ->> 'executions')::float8, 0)
                       + coalesce((v -> 'without' ->> 'executions')::float8, 0) AS n,
                       (v -> 'with' ->> 'mean_ms')::float8 AS ms_with,
                       (v -> 'without' ->> 'mean_ms')::float8 AS ms_without
                FROM jsonb_array_elements(queries) v) q
          WHERE ms_with IS NOT NULL AND ms_without IS NOT NULL) s;
    one := jsonb_build_object('action_id', a.id, 'reverted_at', now(), 'finding', said,
                              'measured_gain', gain, 'queries', queries);

    SELECT b.* INTO old FROM hone.ban_store b
    WHERE b.relid = a.relid AND b.action = a.action AND b.access_method = part.access_method
      AND b.key_columns = part.key_columns AND b.predicate = part.predicate
    FOR UPDATE;
    IF old.evidence @> jsonb_build_array(jsonb_build_object('action_id', a.id)) THEN
        RETURN old.until;
    END IF;

    ends := now() + least(interval '30 days' * 2 ^ least(coalesce(old.times, 0), 10), interval '365 days');
    IF old.id IS NOT NULL THEN
        UPDATE hone.ban_store b
        SET reverted_at = now(), until = ends, times = b.times + 1, finding = said,
            measured_gain = gain, definition = a.definition, table_name = a.table_name,
            lifted_at = NULL, lifted_by = NULL,
            evidence = (SELECT jsonb_agg(e.value ORDER BY e.ordinality)
                        FROM jsonb_array_elements(b.evidence || one) WITH ORDINALITY e
                        WHERE e.ordinality > jsonb_array_length(b.evidence) - 9),
            recommendations = b.recommendations || a.recommendation_id
        WHERE b.id = old.id;
    ELSE
        INSERT INTO hone.ban_store (action, relid, table_name, access_method, key_columns,
            predicate, definition, reverted_at, until, times, finding, measured_gain,
            evidence, recommendations)
        VALUES (a.action, a.relid, a.table_name, part.access_method, part.key_columns,
            part.predicate, a.definition, now(), ends, 1, said, gain,
            jsonb_build_array(one), array_remove(ARRAY[a.recommendation_id], NULL));
    END IF;
    DELETE FROM hone.ban_store b
    WHERE NOT EXISTS (SELECT FROM pg_class c WHERE c.oid = b.relid);
    RETURN ends;
END
$$;
COMMENT ON FUNCTION hone.ban_index(bigint) IS
'Notes that an action''s trial took it back, and what was measured: the change is not proposed again until the time that is returned';
