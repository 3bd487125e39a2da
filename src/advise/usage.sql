-- advise: what only the planner knows of the indexes there are, found out for
-- hone.index_health and hone.index_usage.

CREATE FUNCTION hone.plan_captured(limit_ms int) RETURNS int
LANGUAGE C STRICT VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'hone_plan_captured';
COMMENT ON FUNCTION hone.plan_captured(int) IS
'Plans captured queries again, the longest not planned first and for so many milliseconds, and notes which indexes they use and what those cost the writes; returns how many queries';

CREATE FUNCTION hone.plan_without_index(index regclass, also regclass[],
    OUT safe bool, OUT statements int, OUT worse text[], OUT unproven int)
LANGUAGE C VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'hone_plan_without_index';
COMMENT ON FUNCTION hone.plan_without_index(regclass, regclass[]) IS
'Plans all captured statements on the index''s table with it and without it and the others: safe is whether none gets dearer, null where some cannot be planned';

CREATE FUNCTION hone.fresh_index_size(index regclass) RETURNS bigint
LANGUAGE C STRICT VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'hone_fresh_index_size';
COMMENT ON FUNCTION hone.fresh_index_size(regclass) IS
'How large an index would be when built anew, in bytes; null when that cannot be said, or the table is locked';

CREATE FUNCTION hone.examine_index(index regclass,
    OUT safe bool, OUT worse text[], OUT statements int, OUT reason text)
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
SET lock_timeout = '5s'
SET jit = off
AS $$
#variable_conflict use_column
DECLARE
    f record;
    p record;
BEGIN
    IF index IS NULL THEN
        RAISE null_value_not_allowed USING MESSAGE = 'argument "index" must not be null';
    END IF;
    SELECT x.indrelid, x.usable, x.guards,
           -- what is superfluous on the same table may go at the same time
           ARRAY(SELECT o.indexrelid FROM pg_index o
                 WHERE o.indrelid = x.indrelid AND o.indisvalid AND o.indisready AND o.indislive
                 ORDER BY 1) AS indexes,
           ARRAY(SELECT o.indexrelid::regclass FROM hone.index_facts o
                 WHERE o.indrelid = x.indrelid AND o.indexrelid <> x.indexrelid AND o.how IS NOT NULL
                   AND o.guards = '{}' AND x.how IS NOT NULL) AS also
    INTO f FROM hone.index_facts x WHERE x.indexrelid = index;
    IF NOT FOUND THEN
        IF (SELECT c.relkind FROM pg_class c WHERE c.oid = index) IN ('i', 'I') THEN
            RAISE wrong_object_type USING MESSAGE = format('"%s" is no index of a user''s table', index);
        END IF;
        RAISE wrong_object_type USING MESSAGE = format('"%s" is not an index', index);
    END IF;
    SELECT * INTO p FROM hone.plan_without_index(index, f.also);
    safe := p.safe;
    worse := p.worse;
    statements := p.statements;
    reason := CASE
        WHEN cardinality(p.worse) > 0 THEN format('Without it %s would be dearer: %s.',
            CASE cardinality(p.worse) WHEN 1 THEN 'a captured query' ELSE format('%s captured queries', cardinality(p.worse)) END,
            array_to_string(p.worse[1:3], '; '))
        WHEN p.unproven > 0 THEN format('%s captured %s on the table could not be planned without it.',
            p.unproven, CASE p.unproven WHEN 1 THEN 'statement' ELSE 'statements' END)
        ELSE format('None of %s captured %s on the table would be dearer without it.',
            p.statements, CASE p.statements WHEN 1 THEN 'statement' ELSE 'statements' END) END;
    IF NOT pg_is_in_recovery() AND current_setting('transaction_read_only') = 'off' THEN
        INSERT INTO hone.index_examination_store AS e
        VALUES (index, f.indrelid, f.indexes, clock_timestamp(), p.safe, p.statements, p.worse, reason)
        ON CONFLICT (index_oid) DO UPDATE
        SET relid = excluded.relid, indexes = excluded.indexes, examined_at = excluded.examined_at, safe = excluded.safe,
            statements = excluded.statements, worse = excluded.worse, reason = excluded.reason;
    END IF;
    IF f.guards <> '{}' THEN
        safe := false;
        reason := format('It has to stay: %s. ', array_to_string(f.guards, ' and ')) || reason;
    END IF;
END
$$;
COMMENT ON FUNCTION hone.examine_index(regclass) IS
'Whether an index could be dropped without any captured statement getting dearer, and nothing depends on it: plans them all without it, and keeps the answer for hone.index_health';

-- The same for what hone.index_health would have dropped, a few each time.
CREATE FUNCTION hone.examine_indexes() RETURNS int
LANGUAGE plpgsql VOLATILE STRICT PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    age interval := hone.unused_index_age();    -- loads the library, and with it the settings
    limit_before text := current_setting('pg_hone.advisor_time_limit');
    until timestamptz := clock_timestamp() + interval '5 seconds';
    one oid;
    examined int := 0;
BEGIN
    IF pg_is_in_recovery() THEN
        RETURN 0;
    END IF;
    DELETE FROM hone.index_examination_store e
    WHERE NOT EXISTS (SELECT FROM pg_index i WHERE i.indexrelid = e.index_oid);
    PERFORM set_config('pg_hone.advisor_time_limit', '5s', true);
    FOR one IN
        SELECT h.index_oid FROM hone.index_health h
        WHERE h.problem IN ('unused', 'duplicate', 'redundant', 'blocks_hot') AND h.safe IS DISTINCT FROM false
          AND coalesce(h.examined_at, '-infinity') < now() - interval '1 day'
        ORDER BY h.examined_at NULLS FIRST, h.size_bytes DESC, h.index_oid LIMIT 50
    LOOP
        EXIT WHEN clock_timestamp() > until;
        BEGIN
            PERFORM hone.examine_index(one::regclass);
            examined := examined + 1;
        EXCEPTION WHEN undefined_object OR undefined_table OR wrong_object_type OR lock_not_available THEN
            NULL;                       -- it has gone, or is just locked
        END;
    END LOOP;
    PERFORM set_config('pg_hone.advisor_time_limit', limit_before, true);
    RETURN examined;
END
$$;
COMMENT ON FUNCTION hone.examine_indexes() IS
'Examines indexes that hone.index_health would have dropped, for some seconds; returns how many';

CREATE FUNCTION hone.collect_index_usage() RETURNS int
LANGUAGE plpgsql VOLATILE STRICT PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
SET lock_timeout = '5s'
AS $$
DECLARE
    kept_for interval := hone.retention();
    from_id bigint;
    to_id bigint;
BEGIN
    IF pg_is_in_recovery() THEN
        RETURN 0;
    END IF;
    LOCK TABLE hone.index_usage_store IN SHARE ROW EXCLUSIVE MODE;
    DELETE FROM hone.index_usage_store u
    WHERE greatest(u.planned_at, u.logged_at) <= now() - kept_for
       OR NOT EXISTS (SELECT FROM pg_index i WHERE i.indexrelid = u.index_oid);
    DELETE FROM hone.planned_query_store q
    WHERE coalesce(q.planned_at, '-infinity') <= now() - kept_for
      AND NOT EXISTS (SELECT FROM hone.index_usage_store u
                      WHERE u.queryid = q.queryid AND u.userid = q.userid);
    DELETE FROM hone.index_cost_store c
    WHERE c.noted_at <= now() - kept_for
       OR NOT EXISTS (SELECT FROM pg_index i WHERE i.indexrelid = c.index_oid);

    -- Plans in the slow log name an index without its schema: all of that name count.
    SELECT coalesce((SELECT k.read_to FROM hone.slow_plan_store k), 0) INTO from_id;
    SELECT max(p.id) INTO to_id
    FROM (SELECT s.id FROM hone.slow_query_store s WHERE s.id > from_id ORDER BY s.id LIMIT 5000) p;
    IF to_id IS NOT NULL THEN
        WITH logged AS MATERIALIZED (
            SELECT s.queryid, s.userid, s.logged_at, s.query, s.plan
            FROM hone.slow_query_store s
            WHERE s.id > from_id AND s.id <= to_id AND s.plan IS NOT NULL AND s.queryid <> 0
        ), named AS MATERIALIZED (
            SELECT l.queryid, l.userid, c.oid AS index_oid, max(l.logged_at) AS logged_at, max(l.query) AS query
            FROM logged l
                 CROSS JOIN LATERAL jsonb_path_query(l.plan, '$.**."Index Name"') n (name)
                 JOIN pg_class c ON c.relname = n.name #>> '{}' AND c.relkind = 'i' AND c.oid >= 16384
            GROUP BY l.queryid, l.userid, c.oid
        ), queries AS (
            INSERT INTO hone.planned_query_store
            SELECT n.queryid, n.userid, max(n.query), NULL, NULL FROM named n
            GROUP BY n.queryid, n.userid ORDER BY 1, 2
            ON CONFLICT (queryid, userid) DO NOTHING
        )
        INSERT INTO hone.index_usage_store AS u
        SELECT n.index_oid, n.queryid, n.userid, NULL, n.logged_at FROM named n ORDER BY 1, 2, 3
        ON CONFLICT (index_oid, queryid, userid) DO UPDATE
        SET logged_at = greatest(u.logged_at, excluded.logged_at);
        INSERT INTO hone.slow_plan_store VALUES (true, to_id)
        ON CONFLICT (only_row) DO UPDATE SET read_to = excluded.read_to;
    END IF;
    RETURN hone.plan_captured(2000);
END
$$;
COMMENT ON FUNCTION hone.collect_index_usage() IS
'Notes which captured queries use which index, by new plans in the slow log and by planning samples for at most two seconds or so; returns how many queries were planned';

-- Small indexes are not worth it. How large one would be changes slowly.
CREATE FUNCTION hone.collect_index_sizes() RETURNS int
LANGUAGE plpgsql VOLATILE STRICT PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
SET lock_timeout = '2s'
AS $$
DECLARE
    until timestamptz := clock_timestamp() + interval '3 seconds';
    age interval := hone.unused_index_age();    -- loads the library, and with it the settings
    limit_before text := current_setting('pg_hone.advisor_time_limit');
    one record;
    measured int := 0;
BEGIN
    IF pg_is_in_recovery() THEN
        RETURN 0;
    END IF;
    PERFORM set_config('pg_hone.advisor_time_limit', '20s', true);
    DELETE FROM hone.index_size_store z
    WHERE NOT EXISTS (SELECT FROM pg_class c WHERE c.oid = z.index_oid AND c.relfilenode = z.filenode);
    FOR one IN
        SELECT c.oid, c.relfilenode
        FROM pg_class c
             JOIN pg_index i ON i.indexrelid = c.oid
             JOIN pg_class t ON t.oid = i.indrelid
             LEFT JOIN hone.index_size_store z ON z.index_oid = c.oid
        WHERE c.relkind = 'i' AND c.oid >= 16384 AND c.relpersistence <> 't'
          AND i.indisvalid AND i.indisready AND i.indislive
          AND t.relkind IN ('r', 'm') AND t.reltuples >= 0
          AND t.relnamespace NOT IN ('pg_catalog'::regnamespace, 'pg_toast'::regnamespace, 'hone'::regnamespace)
          AND c.relpages >= 1024
          AND coalesce(z.noted_at, '-infinity') < now() - interval '1 day'
        ORDER BY z.noted_at NULLS FIRST, c.relpages DESC, c.oid
    LOOP
        EXIT WHEN clock_timestamp() > until;
        INSERT INTO hone.index_size_store AS z
        VALUES (one.oid, one.relfilenode, clock_timestamp(), coalesce(hone.relation_bytes(one.oid), 0),
                hone.fresh_index_size(one.oid))
        ON CONFLICT (index_oid) DO UPDATE
        SET filenode = excluded.filenode, noted_at = excluded.noted_at,
            size_bytes = excluded.size_bytes, estimated_bytes = excluded.estimated_bytes;
        measured := measured + 1;
    END LOOP;
    PERFORM set_config('pg_hone.advisor_time_limit', limit_before, true);
    RETURN measured;
END
$$;
COMMENT ON FUNCTION hone.collect_index_sizes() IS
'Estimates how large indexes of eight megabytes and more would be when built anew, for some seconds; returns of how many';
