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
    DELETE FROM hone.ban_store d
    WHERE d.id = ANY (ARRAY(SELECT b.id FROM hone.ban_store b
                            WHERE NOT EXISTS (SELECT FROM pg_class c WHERE c.oid = b.relid)
                            FOR UPDATE SKIP LOCKED));
    RETURN ends;
END
$$;
COMMENT ON FUNCTION hone.ban_index(bigint) IS
'Notes that an action''s trial took it back, and what was measured: the change is not proposed again until the time that is returned';

-- Automatic mode. One row: this database's.
CREATE TABLE hone.auto_store (
    only_row    bool PRIMARY KEY DEFAULT true CHECK (only_row),
    since       timestamptz NOT NULL DEFAULT now(),  -- the first run is due an interval later
    last_run    timestamptz,           -- when the last one that succeeded began
    run_id      bigint,
    started_at  timestamptz,           -- of the last attempt
    retry_at    timestamptz,           -- after a failure: not before
    failures    int NOT NULL DEFAULT 0,    -- in a row; counted when an attempt begins
    last_error  text,
    waiting_for text                   -- due, and why it is not done
);
INSERT INTO hone.auto_store DEFAULT VALUES;
COMMENT ON TABLE hone.auto_store IS 'The automatic runs of the advisor in this database';

-- What the last automatic run proposed, and in how many of them in a row it was.
CREATE TABLE hone.auto_pending_store (
    recommendation_id bigint PRIMARY KEY,
    action            text NOT NULL,
    relid             oid NOT NULL,
    access_method     text NOT NULL,
    key_columns       text NOT NULL,
    predicate         text NOT NULL,
    seen_runs         int NOT NULL,
    wanted_runs       int NOT NULL,
    held_back_by      text
);
COMMENT ON TABLE hone.auto_pending_store IS 'What automatic mode is about to carry out, or would';

CREATE FUNCTION hone.auto_mode() RETURNS text
LANGUAGE c STABLE STRICT PARALLEL RESTRICTED
AS 'MODULE_PATHNAME', 'hone_auto_mode';
COMMENT ON FUNCTION hone.auto_mode() IS
'pg_hone.auto as it is set for this database or the server, whatever the role or the session has';

CREATE FUNCTION hone.start_advisor() RETURNS void
LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'hone_auto_start';
COMMENT ON FUNCTION hone.start_advisor() IS
'Starts the worker of an automatic run of the advisor when the transaction commits';

CREATE FUNCTION hone.auto_queue(recommendation_id bigint, role oid) RETURNS bigint
LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'hone_auto_queue';
COMMENT ON FUNCTION hone.auto_queue(bigint, oid) IS
'Queues a recommendation as if that role had asked for it, with a trial; returns the action';

-- A proposal and what identifies it. A drop is known by what it drops.
CREATE FUNCTION hone.auto_identity(recommendation_id bigint,
    OUT action text, OUT relid oid, OUT access_method text, OUT key_columns text, OUT predicate text)
LANGUAGE sql STABLE STRICT PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT r.action, r.relid, i.access_method, i.key_columns, i.predicate
    FROM hone.recommendation_store r
         CROSS JOIN LATERAL hone.index_identity(
             CASE r.action WHEN 'create' THEN r.definition ELSE r.undo_definition END) i
    WHERE r.id = recommendation_id
$$;
COMMENT ON FUNCTION hone.auto_identity(bigint) IS 'What makes a recommendation the same as one of another run';

CREATE FUNCTION hone.auto_owner() RETURNS oid
LANGUAGE sql STABLE STRICT PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$ SELECT d.datdba FROM pg_database d WHERE d.datname = current_database() $$;
COMMENT ON FUNCTION hone.auto_owner() IS 'The owner of this database';

-- When the next run is due.
CREATE FUNCTION hone.auto_next_run() RETURNS timestamptz
LANGUAGE sql STABLE STRICT PARALLEL RESTRICTED
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT greatest(coalesce(s.last_run, s.since) + current_setting('pg_hone.advise_interval', true)::interval,
                    s.retry_at)
    FROM hone.auto_store s
$$;
COMMENT ON FUNCTION hone.auto_next_run() IS 'When the next automatic run of the advisor is due';

-- The worker's first step. What it notes stands if the worker does not come to
-- note the outcome. NULL: not due any more.
CREATE FUNCTION hone.auto_begin() RETURNS oid
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF hone.auto_mode() = 'off' OR now() < hone.auto_next_run() THEN
        RETURN NULL;
    END IF;
    UPDATE hone.auto_store s
    SET started_at = now(), failures = s.failures + 1, waiting_for = NULL,
        last_error = '57P01: the worker ended before the run did',
        retry_at = now() + least(interval '1 minute' * 2 ^ least(s.failures, 20), interval '1 day');
    RETURN hone.auto_owner();
END
$$;
COMMENT ON FUNCTION hone.auto_begin() IS
'Notes that an automatic run begins; returns the role that it is made as, or null if none is due';

-- The worker's last step, in the transaction of the run.
CREATE FUNCTION hone.auto_note_run(run_id bigint) RETURNS void
LANGUAGE sql VOLATILE STRICT PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
    UPDATE hone.auto_store s
    SET last_run = s.started_at, run_id = auto_note_run.run_id, retry_at = NULL, failures = 0, last_error = NULL;
    WITH before AS (
        DELETE FROM hone.auto_pending_store RETURNING *
    ), proposed AS (
        SELECT r.id, i.*
        FROM hone.recommendation_store r CROSS JOIN LATERAL hone.auto_identity(r.id) i
        WHERE r.run_id = auto_note_run.run_id AND r.status = 'proposed'
    )
    INSERT INTO hone.auto_pending_store
        (recommendation_id, action, relid, access_method, key_columns, predicate, seen_runs, wanted_runs)
    SELECT p.id, p.action, p.relid, p.access_method, p.key_columns, p.predicate,
           1 + coalesce((SELECT max(b.seen_runs) FROM before b
                         WHERE (b.action, b.relid, b.access_method, b.key_columns, b.predicate)
                             = (p.action, p.relid, p.access_method, p.key_columns, p.predicate)), 0),
           current_setting('pg_hone.auto_runs')::int
           * CASE WHEN EXISTS (SELECT FROM hone.ban_store b
                               WHERE (b.action, b.relid, b.access_method, b.key_columns, b.predicate)
                                   = (p.action, p.relid, p.access_method, p.key_columns, p.predicate))
                  THEN 2 ELSE 1 END
    FROM proposed p
$$;
COMMENT ON FUNCTION hone.auto_note_run(bigint) IS
'Notes the outcome of an automatic run, and in how many runs in a row each proposal was made';

-- Why a proposal is not carried out now; NULL: it can be. Asked anew for each, as
-- those before it count.
CREATE FUNCTION hone.auto_obstacle(recommendation_id bigint, seen_runs int, wanted_runs int) RETURNS text
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    owner CONSTANT oid := hone.auto_owner();
    r hone.recommendation_store;
    part record;
    other record;
    n bigint;
    most bigint;
    bytes numeric;
    percent CONSTANT int := current_setting('pg_hone.auto_size_limit')::int;
BEGIN
    SELECT s.* INTO r FROM hone.recommendation_store s WHERE s.id = recommendation_id;
    SELECT a.id, a.state INTO other FROM hone.action_store a
    WHERE a.relid = r.relid AND a.state IN ('queued', 'building', 'trial') ORDER BY a.id LIMIT 1;
    IF other.id IS NOT NULL THEN
        RETURN format('action %s on the table is %s', other.id,
                      CASE other.state WHEN 'trial' THEN 'on trial' ELSE other.state END);
    ELSIF r.id IS NULL OR r.status <> 'proposed' THEN
        RETURN format('it is %s', coalesce(r.status, 'not recommended any more'));
    ELSIF seen_runs < wanted_runs THEN
        RETURN format('proposed in %s of %s runs in a row', seen_runs, wanted_runs);
    ELSIF NOT EXISTS (SELECT FROM pg_class c WHERE c.oid = r.relid) THEN
        RETURN 'the table does not exist any more';
    ELSIF NOT EXISTS (SELECT FROM pg_class c WHERE c.oid = r.relid AND pg_has_role(owner, c.relowner, 'USAGE')) THEN
        RETURN format('the owner of the database, %s, is not a member of the table''s owner', pg_get_userbyid(owner));
    ELSIF r.action = 'drop' AND r.needs_index IS NOT NULL THEN
        RETURN 'another index does its work: dropping it is left to you';
    END IF;

    SELECT count(*), max(a.finished_at) AS at, (array_agg(a.error ORDER BY a.id DESC))[1] AS error INTO other
    FROM hone.action_store a
         CROSS JOIN LATERAL hone.auto_identity(r.id) i
         CROSS JOIN LATERAL hone.index_identity(CASE a.action WHEN 'create' THEN a.definition ELSE a.undo_definition END) d
    WHERE a.automatic AND a.state IN ('failed', 'cancelled') AND a.relid = i.relid AND a.action = i.action
      AND d.access_method = i.access_method AND d.key_columns = i.key_columns AND d.predicate = i.predicate;
    IF other.at + least(interval '1 day' * 2 ^ least(other.count - 1, 10), interval '32 days') > now() THEN
        RETURN format('it failed %s times, last with %s', other.count, coalesce(other.error, 'no error'));
    END IF;

    SELECT count(*), current_setting('pg_hone.auto_max_trials')::bigint INTO n, most FROM hone.action_store a
    WHERE a.state = 'trial' OR a.automatic AND a.state IN ('queued', 'building');
    IF n >= most THEN
        RETURN format('%s trials are at work (pg_hone.auto_max_trials)', n);
    ELSIF r.action = 'drop' THEN
        RETURN NULL;
    END IF;

    SELECT count(*), current_setting('pg_hone.auto_builds_per_day')::bigint INTO n, most FROM hone.action_store a
    WHERE a.automatic AND a.action = 'create' AND a.queued_at > now() - interval '1 day';
    IF n >= most THEN
        RETURN format('%s were built or taken back in the last 24 hours (pg_hone.auto_builds_per_day)', n);
    END IF;
    SELECT r.size_bytes + coalesce(sum(coalesce(hone.relation_bytes(c.oid), CASE WHEN a.state IN ('queued', 'building')
                                                THEN a.size_bytes END)), 0) INTO bytes
    FROM hone.action_store a
         LEFT JOIN pg_class c ON c.oid = a.index_oid AND c.relname = a.index_name
    WHERE a.automatic AND a.action = 'create' AND a.state IN ('queued', 'building', 'trial', 'kept');
    IF bytes > percent / 100.0 * pg_database_size(current_database()) THEN
        RETURN format('all that was built would be %s, more than %s %% of the database (pg_hone.auto_size_limit)',
                      pg_size_pretty(bytes), percent);
    END IF;
    RETURN NULL;
END
$$;
COMMENT ON FUNCTION hone.auto_obstacle(bigint, int, int) IS
'Why automatic mode does not carry out a recommendation now, or null';

-- Another run of the same role meanwhile may have proposed the same again, under
-- another number.
CREATE FUNCTION hone.auto_current(recommendation_id bigint) RETURNS bigint
LANGUAGE sql STABLE STRICT PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT coalesce((SELECT max(r.id)
                     FROM hone.recommendation_store old
                          JOIN hone.recommendation_store r ON r.requested_by = old.requested_by AND r.relid = old.relid
                     WHERE old.id = recommendation_id AND old.status = 'superseded' AND r.status = 'proposed'
                       AND hone.auto_identity(r.id) = hone.auto_identity(old.id)), recommendation_id)
$$;
COMMENT ON FUNCTION hone.auto_current(bigint) IS
'The recommendation that took the place of one that was superseded, or the same';

-- What was proposed often enough is queued, what gains most first.
CREATE FUNCTION hone.auto_apply() RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    p record;
    obstacle text;
BEGIN
    FOR p IN
        SELECT s.recommendation_id AS id, hone.auto_current(s.recommendation_id) AS now_id,
               s.seen_runs, s.wanted_runs, s.held_back_by
        FROM hone.auto_pending_store s
             LEFT JOIN hone.recommendation_store r ON r.id = s.recommendation_id
        ORDER BY s.action, r.cost_before - r.cost_after DESC, s.recommendation_id
    LOOP
        obstacle := hone.auto_obstacle(p.now_id, p.seen_runs, p.wanted_runs);
        IF obstacle IS NULL THEN
            BEGIN
                obstacle := format('queued as action %s', hone.auto_queue(p.now_id, hone.auto_owner()));
            EXCEPTION WHEN OTHERS THEN
                obstacle := SQLERRM;
            END;
        END IF;
        IF obstacle IS DISTINCT FROM p.held_back_by THEN
            UPDATE hone.auto_pending_store s SET held_back_by = obstacle WHERE s.recommendation_id = p.id;
        END IF;
    END LOOP;
END
$$;
COMMENT ON FUNCTION hone.auto_apply() IS
'Queues what automatic mode has to carry out, within its limits';

-- The collector's step.
CREATE FUNCTION hone.auto_tune() RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    mode text;
    s hone.auto_store;
    wait text;
BEGIN
    IF pg_is_in_recovery() OR NOT (SELECT c.preloaded FROM hone.collector_cost() c) THEN
        RETURN;
    END IF;
    mode := hone.auto_mode();
    IF mode = 'off' THEN
        DELETE FROM hone.auto_pending_store;    -- runs in a row begin anew
        RETURN;
    END IF;
    IF mode = 'apply' THEN
        PERFORM hone.auto_apply();
    END IF;

    IF now() < hone.auto_next_run() OR EXISTS (
        SELECT FROM pg_stat_activity w JOIN pg_database d ON d.oid = w.datid
        WHERE w.backend_type = 'pg_hone advisor' AND d.datname = current_database()) THEN
        RETURN;
    END IF;
    SELECT a.* INTO s FROM hone.auto_store a;
    IF s.last_run IS NULL OR EXISTS (
        SELECT FROM hone.query_stats_memory(false) q JOIN pg_database d ON d.oid = q.dbid
        WHERE d.datname = current_database() AND q.last_seen > s.last_run) THEN
        PERFORM hone.start_advisor();
        wait := 'a background worker';
    ELSE
        wait := 'statements: nothing was captured since the last run';
    END IF;
    IF wait IS DISTINCT FROM s.waiting_for THEN
        UPDATE hone.auto_store SET waiting_for = wait;
    END IF;
END
$$;
COMMENT ON FUNCTION hone.auto_tune() IS
'What automatic mode has to do now: start a run of the advisor that is due, queue what was proposed often enough';

CREATE VIEW hone.auto_status WITH (security_barrier) AS
SELECT m.mode, s.last_run,
       CASE WHEN m.mode OPERATOR(pg_catalog.<>) 'off' THEN greatest(
           coalesce(s.last_run, s.since) OPERATOR(pg_catalog.+)
               pg_catalog.current_setting('pg_hone.advise_interval', true)::pg_catalog.interval,
           s.retry_at) END AS next_run,
       s.run_id, s.waiting_for, p.pending,
       CASE WHEN v.visible THEN s.failures END AS failures,
       CASE WHEN v.visible THEN s.last_error END AS last_error
FROM hone.auto_store s
     CROSS JOIN LATERAL (SELECT hone.auto_mode() AS mode) m
     CROSS JOIN LATERAL (
         SELECT coalesce(pg_catalog.jsonb_agg(pg_catalog.jsonb_build_object(
                    'recommendation_id', q.recommendation_id, 'definition', r.definition,
                    'seen_runs', q.seen_runs, 'wanted_runs', q.wanted_runs,
                    'held_back_by', CASE m.mode WHEN 'apply' THEN q.held_back_by
                                    ELSE 'pg_hone.auto is ' OPERATOR(pg_catalog.||) m.mode END)
                    ORDER BY q.recommendation_id), '[]') AS pending
         FROM hone.auto_pending_store q
              JOIN hone.recommendations r ON r.id OPERATOR(pg_catalog.=) q.recommendation_id) p
     CROSS JOIN LATERAL (
         SELECT pg_catalog.pg_has_role('pg_read_all_stats', 'USAGE')
             OR pg_catalog.pg_has_role(d.datdba, 'USAGE') AS visible
         FROM pg_catalog.pg_database d
         WHERE d.datname OPERATOR(pg_catalog.=) pg_catalog.current_database()) v;
COMMENT ON VIEW hone.auto_status IS
'Automatic mode in this database: what is set, its runs of the advisor, and of what was proposed (as far as you may see it) in how many runs in a row it was, in how many it must be, and what holds it back';
