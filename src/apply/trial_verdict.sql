-- apply: what becomes of an index on trial: the collector's look at it, and its end.

-- The figures that a verdict keeps: no texts of queries, which are not for
-- everybody who may see the action.
CREATE FUNCTION hone.trial_verdict(action_id bigint, decision text, rule text, reason text,
                                   writes jsonb) RETURNS jsonb
LANGUAGE sql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT jsonb_strip_nulls(jsonb_build_object(
        'decision', decision, 'rule', rule, 'reason', reason,
        'method', CASE WHEN EXISTS (SELECT FROM hone.trial_query_store q
                                    WHERE q.action_id = t.action_id AND q.found_by = 'before and after')
                       THEN 'before and after' ELSE 'arms' END,
        'started_at', t.started_at, 'ended_at', clock_timestamp(), 'turns', t.turns,
        'looks', (SELECT coalesce(sum(q.looks), 0) FROM hone.trial_query_store q
                  WHERE q.action_id = t.action_id),
        'net_gain_ms', (SELECT round(sum(q.gain_ms)::numeric, 3) FROM hone.trial_query_store q
                        WHERE q.action_id = t.action_id AND q.used > 0
                          AND q.finding IN ('better', 'worse')),
        'writes', writes,
        'queries', (SELECT jsonb_agg(jsonb_build_object(
                        'queryid', q.queryid, 'finding', q.finding, 'found_by', q.found_by,
                        'uses_index', q.used > 0, 'expected', q.expected,
                        'weight', round(q.weight::numeric, 4), 'looks', q.looks,
                        'ratio', round(q.ratio::numeric, 4), 'low', round(q.low::numeric, 4),
                        'high', CASE WHEN q.high < 'Infinity' THEN round(q.high::numeric, 4) END,
                        'gain_ms', round(q.gain_ms::numeric, 3),
                        'with', jsonb_build_object('executions', q.n_with,
                            'mean_ms', round((q.ms_with / nullif(q.n_with, 0))::numeric, 4),
                            'blocks', round((q.blocks_with / nullif(q.n_with, 0)::float8)::numeric, 1),
                            'cancels', nullif(q.cancels_with, 0)),
                        'without', jsonb_build_object('executions', q.n_without,
                            'mean_ms', round((q.ms_without / nullif(q.n_without, 0))::numeric, 4),
                            'blocks', round((q.blocks_without / nullif(q.n_without, 0)::float8)::numeric, 1),
                            'cancels', nullif(q.cancels_without, 0)))
                        ORDER BY q.used > 0 DESC, abs(q.gain_ms) DESC, q.queryid)
                    FROM (SELECT * FROM hone.trial_query_store q
                          WHERE q.action_id = t.action_id AND (q.n_with + q.n_without > 0 OR q.expected)
                          ORDER BY q.used > 0 DESC, abs(q.gain_ms) DESC LIMIT 50) q)))
    FROM hone.trial_store t WHERE t.action_id = trial_verdict.action_id
$$;
COMMENT ON FUNCTION hone.trial_verdict(bigint, text, text, text, jsonb) IS
    'What hone.actions.verdict says of a trial';

-- Ending. Everything about it in one transaction: whoever sees the verdict sees
-- the index as the verdict says.
CREATE FUNCTION hone.end_trial(action_id bigint, decision text, conclusive boolean, rule text,
                               reason text, writes jsonb DEFAULT NULL, role oid DEFAULT NULL)
RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
    t hone.trial_store;
    told jsonb;
    back boolean := decision = 'revert';
BEGIN
    t := hone.trial_row(end_trial.action_id);
    told := hone.trial_verdict(action_id,
        CASE WHEN decision = 'cancel' THEN 'cancelled' WHEN NOT conclusive THEN 'inconclusive'
             WHEN back THEN 'reverted' ELSE 'kept' END, rule, reason, writes);
    UPDATE hone.trial_store s SET ended_at = clock_timestamp(), outcome = end_trial.decision
    WHERE s.action_id = end_trial.action_id;
    DELETE FROM hone.trial_baseline_store b WHERE b.action_id = end_trial.action_id;

    IF decision = 'cancel' THEN
        PERFORM hone.trial_show_all(action_id);
        UPDATE hone.action_store a
        SET state = 'cancelled', finished_at = clock_timestamp(), verdict = told,
            error = '55000: ' || reason
        WHERE a.id = end_trial.action_id;
    ELSIF t.kind = 'drop' AND back THEN
        PERFORM hone.trial_show_all(action_id);
        UPDATE hone.action_store a
        SET state = 'reverted', finished_at = clock_timestamp(), verdict = told
        WHERE a.id = end_trial.action_id;
        UPDATE hone.recommendation_store r SET status = 'reverted'
        FROM hone.action_store a
        WHERE a.id = end_trial.action_id AND r.id = a.recommendation_id;
    ELSIF back THEN
        -- The builder drops it; from now on nobody sees it.
        PERFORM hone.trial_hide_all(action_id, false);
        UPDATE hone.action_store a
        SET state = 'queued', operation = 'revert', verdict = told,
            requested_by = coalesce(role, a.requested_by),
            queued_at = clock_timestamp(), attempts = 0, postponements = 0, retry_at = NULL, error = NULL
        WHERE a.id = end_trial.action_id;
    ELSIF t.kind = 'drop' THEN
        UPDATE hone.action_store a
        SET state = 'queued', verdict = told,
            queued_at = clock_timestamp(), attempts = 0, postponements = 0, retry_at = NULL, error = NULL
        WHERE a.id = end_trial.action_id;
    ELSE
        PERFORM hone.trial_show_all(action_id);
        UPDATE hone.action_store a
        SET state = 'kept', finished_at = clock_timestamp(), verdict = told
        WHERE a.id = end_trial.action_id;
        UPDATE hone.recommendation_store r SET status = 'applied'
        FROM hone.action_store a
        WHERE a.id = end_trial.action_id AND r.id = a.recommendation_id;
    END IF;
    IF (SELECT c.preloaded FROM hone.collector_cost() c) THEN
        PERFORM hone.forget_trial(action_id);
    END IF;
    UPDATE hone.action_store q SET retry_at = NULL
    WHERE q.id = ANY (ARRAY(SELECT a.id FROM hone.action_store a
                            WHERE a.relid = t.relid AND a.state = 'queued'
                              AND starts_with(a.waiting_for, 'the trial of ')
                            FOR NO KEY UPDATE SKIP LOCKED));

    -- What was taken back by its figures is not to come again soon.
    IF back AND role IS NULL AND (SELECT c.preloaded FROM hone.collector_cost() c) THEN
        BEGIN
            PERFORM hone.ban_index(action_id);
        EXCEPTION WHEN OTHERS THEN
            UPDATE hone.trial_store s SET last_error = SQLSTATE || ': ' || SQLERRM
            WHERE s.action_id = end_trial.action_id;
        END;
    END IF;
END
$$;
COMMENT ON FUNCTION hone.end_trial(bigint, text, boolean, text, text, jsonb, oid) IS
    'Ends a trial: keeps or reverts what is tried, and records the verdict';

-- hone.revert() of something on trial: its action, or null if it is not on trial.
CREATE FUNCTION hone.stop_trial(recommendation_id bigint, role oid) RETURNS bigint
LANGUAGE plpgsql VOLATILE STRICT PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    action_id bigint;
BEGIN
    SELECT a.id INTO action_id FROM hone.action_store a
    WHERE a.recommendation_id = stop_trial.recommendation_id AND a.state = 'trial' FOR UPDATE;
    IF FOUND THEN
        PERFORM hone.end_trial(action_id, 'revert', true, 'by hand', 'it was reverted by hand',
                               NULL, role);
    END IF;
    RETURN action_id;
END
$$;
COMMENT ON FUNCTION hone.stop_trial(bigint, oid) IS
    'Ends the trial of a recommendation because somebody reverts it';

-- What a verdict began and the builder could not finish: a revert that failed is
-- queued again, and what is not on trial any more is not hidden for one.
CREATE FUNCTION hone.mend_trials() RETURNS bigint
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    it record;
    mended bigint := 0;
BEGIN
    FOR it IN
        SELECT h.index_oid, a.id, a.action, a.state, t.outcome, t.mended, a.finished_at,
               EXISTS (SELECT FROM pg_index i WHERE i.indexrelid = h.index_oid) AS is_there
        FROM hone.hidden_index_store h
             JOIN hone.action_store a ON a.id = h.trial
             LEFT JOIN hone.trial_store t ON t.action_id = a.id
        WHERE h.kind IN ('trial', 'drop')
          AND a.state IN ('kept', 'reverted', 'failed', 'cancelled')
        FOR UPDATE OF a SKIP LOCKED
    LOOP
        CONTINUE WHEN NOT it.is_there;
        -- Reverted: the index is gone, and this is a copy that somebody made of it.
        IF it.action = 'create' AND it.outcome = 'revert' AND it.state <> 'reverted' THEN
            CONTINUE WHEN it.finished_at > clock_timestamp() - interval '1 minute' * 2 ^ least(it.mended, 6);
            UPDATE hone.trial_store t SET mended = t.mended + 1 WHERE t.action_id = it.id;
            UPDATE hone.action_store a
            SET state = 'queued', operation = 'revert', finished_at = NULL, attempts = 0,
                postponements = 0, retry_at = NULL
            WHERE a.id = it.id;
        ELSE
            PERFORM hone.trial_show_all(it.id);
        END IF;
        mended := mended + 1;
    END LOOP;
    RETURN mended;
END
$$;
COMMENT ON FUNCTION hone.mend_trials() IS
    'Queues again what a verdict asked for and could not be done, and shows what is hidden for no trial';

-- Is the index still what is tried? Why not, or null.
CREATE FUNCTION hone.trial_obstacle(action_id bigint) RETURNS text
LANGUAGE plpgsql VOLATILE STRICT PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    a hone.action_store;
    it record;
BEGIN
    a := hone.trial_action(action_id);
    SELECT c.relname, i.indrelid, i.indisvalid, x.oid AS table_oid,
           quote_ident(n.nspname) || '.' || quote_ident(x.relname) AS table_name
    INTO it
    FROM pg_class c
         LEFT JOIN pg_index i ON i.indexrelid = c.oid
         LEFT JOIN pg_class x ON x.oid = i.indrelid
         LEFT JOIN pg_namespace n ON n.oid = x.relnamespace
    WHERE c.oid = a.index_oid;
    IF NOT FOUND THEN
        RETURN CASE WHEN EXISTS (SELECT FROM pg_class c WHERE c.oid = a.relid)
                    THEN 'somebody dropped the index while it was on trial'
                    ELSE 'somebody dropped the table while its index was on trial' END;
    ELSIF it.relname <> a.index_name OR it.indrelid IS DISTINCT FROM a.relid THEN
        RETURN 'somebody renamed the index while it was on trial';
    ELSIF it.table_name <> a.table_name THEN
        RETURN 'somebody renamed or moved the table while its index was on trial';
    ELSIF NOT it.indisvalid THEN
        RETURN 'the index became invalid while it was on trial';
    ELSIF NOT EXISTS (SELECT FROM hone.hidden_index_store h
                      WHERE h.trial = a.id) THEN
        RETURN 'the index is not hidden any more';
    END IF;
    RETURN NULL;
END
$$;
COMMENT ON FUNCTION hone.trial_obstacle(bigint) IS
    'Why an action''s trial cannot go on, because its index is not what it was; null if it can';

-- The collector's look at one trial; true if it ended.
CREATE FUNCTION hone.look_at_trial(action_id bigint) RETURNS boolean
LANGUAGE plpgsql VOLATILE STRICT PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
    turn CONSTANT interval := current_setting('pg_hone.trial_turn')::interval;
    rarely CONSTANT int := 12;          -- turns between two looks at writes
    t hone.trial_store;
    state text;
    obstacle text;
    is_over boolean := false;
    figures jsonb;
    w record;
    writes jsonb;
    v record;
BEGIN
    -- Somebody who is about to end it goes first.
    SELECT a.state INTO state FROM hone.action_store a
    WHERE a.id = look_at_trial.action_id FOR UPDATE SKIP LOCKED;
    IF NOT FOUND AND EXISTS (SELECT FROM hone.action_store a WHERE a.id = look_at_trial.action_id) THEN
        RETURN false;
    END IF;
    t := hone.trial_row(look_at_trial.action_id);
    IF t.ended_at IS NOT NULL OR state IS DISTINCT FROM 'trial' THEN
        UPDATE hone.trial_store s SET ended_at = coalesce(ended_at, clock_timestamp())
        WHERE s.action_id = look_at_trial.action_id;
        RETURN true;
    END IF;
    obstacle := hone.trial_obstacle(action_id);
    IF obstacle IS NOT NULL THEN
        PERFORM hone.end_trial(action_id, 'cancel', false, 'cancelled', obstacle);
        RETURN true;
    END IF;

    IF NOT (SELECT c.preloaded FROM hone.collector_cost() c) THEN
        is_over := true;                -- sessions without the library see the index
    ELSIF t.hidden THEN
        IF clock_timestamp() - t.looked_at < greatest(turn,
               current_setting('pg_hone.drop_watch')::interval / 1000) THEN
            RETURN false;
        END IF;
        UPDATE hone.trial_store s SET looked_at = clock_timestamp()
        WHERE s.action_id = look_at_trial.action_id;
        PERFORM hone.find_after_hiding(action_id);
    ELSE
        IF t.looked_at >= t.turned_at OR t.turns = 0 THEN
            RETURN false;               -- as it was at the last look
        END IF;
        UPDATE hone.trial_store s SET looked_at = clock_timestamp()
        WHERE s.action_id = look_at_trial.action_id;
        IF t.turns % 2 <> 0 THEN
            RETURN false;               -- one side of the crossover only
        END IF;
        PERFORM hone.measure_trial(action_id);
    END IF;

    figures := hone.trial_figures(action_id, is_over);
    v := hone.judge_trial(figures);
    IF NOT is_over AND t.kind = 'create' AND NOT v.conclusive AND v.decision <> 'go on'
       AND hone.find_before_after(action_id) THEN
        figures := hone.trial_figures(action_id, is_over);
        v := hone.judge_trial(figures);
    END IF;
    IF NOT is_over AND t.kind = 'create' AND (v.decision <> 'go on' OR t.turns % rarely = 0) THEN
        w := hone.trial_writes(action_id);
        figures := figures || jsonb_build_object(
            'writes_expected', w.writes_before >= 30, 'writes', w.writes_after,
            'writes_low', w.low, 'writes_loss_ms', w.loss_ms);
        writes := jsonb_build_object(
            'before', jsonb_build_object('executions', w.writes_before,
                'mean_ms', round(w.mean_ms_before::numeric, 4), 'span', w.span),
            'after', jsonb_build_object('executions', w.writes_after,
                'mean_ms', round(w.mean_ms_after::numeric, 4)),
            'ratio', round(w.ratio::numeric, 4), 'low', round(w.low::numeric, 4),
            'high', round(w.high::numeric, 4), 'others_ratio', round(w.drift::numeric, 4),
            'loss_ms', round(w.loss_ms::numeric, 3));
        v := hone.judge_trial(figures);
    END IF;

    IF v.decision = 'go on' THEN
        RETURN false;
    ELSIF v.decision = 'hide' THEN
        PERFORM hone.trial_hide_all(action_id, false);
        PERFORM hone.watch_drop(action_id);
        RETURN false;
    END IF;
    IF is_over THEN
        v.reason := 'pg_hone is not in shared_preload_libraries any more; ' || v.reason;
    END IF;
    PERFORM hone.end_trial(action_id, v.decision, v.conclusive, v.rule, v.reason, writes);
    RETURN true;
END
$$;
COMMENT ON FUNCTION hone.look_at_trial(bigint) IS
    'Measures what a trial has shown since it was turned, and decides; true if the trial ended';

-- From here on "after" is: hidden from everybody.
CREATE FUNCTION hone.watch_drop(action_id bigint) RETURNS void
LANGUAGE sql VOLATILE STRICT PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
    UPDATE hone.trial_store t SET hidden = true, looked_at = clock_timestamp()
    WHERE t.action_id = watch_drop.action_id;
    UPDATE hone.trial_baseline_store b
    SET start_histogram = hone.histogram_pack(m.buckets, m.counts), start_ms = m.total_exec_ms,
        first_seen = m.first_seen
    FROM hone.query_stats_memory() m
    WHERE b.action_id = watch_drop.action_id
      AND m.queryid = b.queryid AND m.userid = b.userid AND m.toplevel = b.toplevel
      AND m.dbid = (SELECT d.oid FROM pg_database d WHERE d.datname = current_database())
$$;
COMMENT ON FUNCTION hone.watch_drop(bigint) IS
    'Notes that an index that is to be dropped is hidden from everybody from now on';

-- All trials turn together: on one table they have to, to be on one side.
CREATE FUNCTION hone.turn_trials() RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    at timestamptz := clock_timestamp();
BEGIN
    IF EXISTS (SELECT FROM hone.trial_store t WHERE t.ended_at IS NULL AND NOT t.hidden
               HAVING at - max(t.turned_at) >= current_setting('pg_hone.trial_turn')::interval
                   OR at < max(t.turned_at)) THEN       -- the clock was set back
        PERFORM hone.turn_trial(t.action_id)
        FROM hone.trial_store t WHERE t.ended_at IS NULL AND NOT t.hidden;
        UPDATE hone.trial_store t SET turns = t.turns + 1, turned_at = at
        WHERE t.ended_at IS NULL AND NOT t.hidden;
    END IF;
END
$$;
COMMENT ON FUNCTION hone.turn_trials() IS
    'Has all sessions change sides, in all trials, when it is time';

-- What is tried on the same table is seen by the same half of the sessions. When
-- another index joins it there, or was taken back for what it did, then what was
-- measured until now is of something else. Looks that were taken stay taken.
CREATE FUNCTION hone.restart_trials_beside(action_id bigint) RETURNS void
LANGUAGE plpgsql VOLATILE STRICT PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    id bigint;
BEGIN
    FOR id IN
        SELECT o.action_id
        FROM hone.trial_store o
             JOIN hone.trial_store t ON t.action_id = restart_trials_beside.action_id
                  AND coalesce(pg_partition_root(t.relid), t.relid)
                      = coalesce(pg_partition_root(o.relid), o.relid)
        WHERE o.action_id <> t.action_id AND o.ended_at IS NULL AND NOT o.hidden
    LOOP
        PERFORM hone.forget_trial(id);
        UPDATE hone.trial_query_store q
        SET n_with = 0, n_without = 0, used = 0, ms_with = 0, ms_without = 0,
            blocks_with = 0, blocks_without = 0, cancels_with = 0, cancels_without = 0,
            gain_ms = 0, next_look = 30, time_p = NULL, time_ratio = NULL, time_low = NULL,
            time_high = NULL, blocks_p = NULL, blocks_ratio = NULL, blocks_low = NULL,
            blocks_high = NULL, ratio = NULL, low = NULL, high = NULL, finding = 'open',
            found_by = NULL, crossovers = 0, mean_diff_ms = 0, square_diff_ms = 0,
            logs_with = 0, logs_without = 0, mean_diff_log = 0, square_diff_log = 0
        WHERE q.action_id = id;
        UPDATE hone.trial_store t SET looked_at = clock_timestamp() WHERE t.action_id = id;
    END LOOP;
END
$$;
COMMENT ON FUNCTION hone.restart_trials_beside(bigint) IS
    'Has the other trials on the table of a trial begin to measure anew';

CREATE FUNCTION hone.look_at_trials() RETURNS bigint
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
SET lock_timeout = '2s'
AS $$
DECLARE
    looked bigint := 0;
    ended boolean := false;
    id bigint;
BEGIN
    IF pg_is_in_recovery() THEN
        RETURN 0;
    END IF;
    PERFORM hone.turn_trials();
    FOR id IN
        SELECT t.action_id FROM hone.trial_store t WHERE t.ended_at IS NULL
        ORDER BY (SELECT least(sum(q.gain_ms), 0) FROM hone.trial_query_store q
                  WHERE q.action_id = t.action_id AND q.finding = 'worse'), t.action_id
    LOOP
        looked := looked + 1;
        -- A query may use several of them. One at a time is taken back, the worst
        -- first; what the others are without it is to be seen.
        CONTINUE WHEN EXISTS (
            SELECT FROM hone.trial_store o JOIN hone.trial_store t ON t.action_id = id
                 AND coalesce(pg_partition_root(t.relid), t.relid)
                     = coalesce(pg_partition_root(o.relid), o.relid)
            WHERE o.ended_at >= now() AND o.outcome = 'revert');
        BEGIN
            ended := hone.look_at_trial(id) OR ended;
        EXCEPTION WHEN OTHERS THEN      -- the others go on
            UPDATE hone.trial_store t SET last_error = SQLSTATE || ': ' || SQLERRM WHERE t.action_id = id;
        END;
    END LOOP;
    -- Only now: all were to be looked at as they were together.
    PERFORM hone.restart_trials_beside(t.action_id)
    FROM hone.trial_store t
    WHERE t.ended_at >= now() AND t.outcome <> 'keep';
    IF EXISTS (SELECT FROM hone.hidden_index_store h WHERE h.kind <> 'manual') THEN
        BEGIN
            ended := hone.mend_trials() > 0 OR ended;
        EXCEPTION WHEN OTHERS THEN      -- the looks stay done
            RAISE WARNING USING ERRCODE = SQLSTATE, MESSAGE = SQLERRM;
        END;
    END IF;
    IF EXISTS (SELECT FROM hone.hidden_index_store h
               WHERE NOT EXISTS (SELECT FROM pg_class c WHERE c.oid = h.index_oid)) THEN
        PERFORM hone.trial_forget_gone();
    END IF;
    IF ended THEN
        PERFORM hone.reconcile_actions();
    END IF;
    RETURN looked;
END
$$;
COMMENT ON FUNCTION hone.look_at_trials() IS
    'Looks at all trials of this database, and ends those that are decided; returns how many there were';
