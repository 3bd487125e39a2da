-- apply: trials of indexes: what is kept of them, and how one begins. How a trial
-- goes is told in trial.c, what is decided in verdict.c, how arms are compared in
-- welch.c; measuring is trial_measure.sql, looking and ending trial_verdict.sql.

CREATE TABLE hone.trial_store (
    action_id      bigint PRIMARY KEY,
    kind           text NOT NULL CHECK (kind IN ('create', 'drop')),
    hidden         boolean NOT NULL DEFAULT false, -- a drop: from everybody
    index_oid      oid NOT NULL,
    relid          oid NOT NULL,
    started_at     timestamptz NOT NULL DEFAULT clock_timestamp(),
    what_if_gain   float8 NOT NULL,            -- the advisor's, 0 to 1
    server_started timestamptz NOT NULL,       -- whose statistics these are
    load_ms        float8 NOT NULL,            -- of the database's statements, at the start
    turns          int NOT NULL DEFAULT 0,     -- even: a crossover is complete
    turned_at      timestamptz NOT NULL DEFAULT clock_timestamp(),
    looked_at      timestamptz,
    executions_with    bigint NOT NULL DEFAULT 0, -- of all statements on the table
    executions_without bigint NOT NULL DEFAULT 0,
    ended_at       timestamptz,
    outcome        text CHECK (outcome IN ('keep', 'revert', 'cancel')),
    mended         int NOT NULL DEFAULT 0,     -- times its revert was queued again
    last_error     text                        -- of looking at it
) WITH (fillfactor = 70);
CREATE INDEX ON hone.trial_store (action_id) WHERE ended_at IS NULL;
COMMENT ON TABLE hone.trial_store IS 'Trials of indexes, by their action';

-- Arms: "with" saw the index. Ratio, limits, gain and finding are about the
-- change: for a drop, of those without the index to those with it.
CREATE TABLE hone.trial_query_store (
    action_id      bigint REFERENCES hone.trial_store ON DELETE CASCADE,
    queryid        bigint,
    userid         oid,
    expected       boolean NOT NULL DEFAULT false, -- the advisor promised it something
    n_with         bigint NOT NULL DEFAULT 0,  -- executions
    n_without      bigint NOT NULL DEFAULT 0,
    used           bigint NOT NULL DEFAULT 0,  -- of n_with, those that read the index
    ms_with        float8 NOT NULL DEFAULT 0,  -- in all
    ms_without     float8 NOT NULL DEFAULT 0,
    blocks_with    bigint NOT NULL DEFAULT 0,
    blocks_without bigint NOT NULL DEFAULT 0,
    cancels_with    bigint NOT NULL DEFAULT 0,
    cancels_without bigint NOT NULL DEFAULT 0,
    weight         float8 NOT NULL DEFAULT 0,
    gain_ms        float8 NOT NULL DEFAULT 0,
    looks          int NOT NULL DEFAULT 0,
    next_look      bigint NOT NULL DEFAULT 30, -- executions in the smaller arm
    time_p         float8,                     -- of its last look, for what was spent before
    time_ratio     float8,
    time_low       float8,
    time_high      float8,
    blocks_p       float8,
    blocks_ratio   float8,
    blocks_low     float8,
    blocks_high    float8,
    ratio          float8,                     -- what the finding rests on
    low            float8,
    high           float8,
    finding        text NOT NULL DEFAULT 'open'
                   CHECK (finding IN ('better', 'worse', 'same', 'open')),
    found_by       text,                       -- time, blocks, total time, before and after
    -- Crossovers: the difference of the arms' mean times in each.
    crossovers     int NOT NULL DEFAULT 0,
    mean_diff_ms   float8 NOT NULL DEFAULT 0,
    square_diff_ms float8 NOT NULL DEFAULT 0,  -- sum of squared deviations
    logs_with       float8 NOT NULL DEFAULT 0, -- sum of ln ms, to tell the next one
    logs_without    float8 NOT NULL DEFAULT 0,
    mean_diff_log   float8 NOT NULL DEFAULT 0,
    square_diff_log float8 NOT NULL DEFAULT 0,
    PRIMARY KEY (action_id, queryid, userid)
) WITH (fillfactor = 50);
COMMENT ON TABLE hone.trial_query_store IS 'What was measured of each query in a trial';

-- How statements were before the index: those that write to the table or read
-- it, and for comparison others.
CREATE TABLE hone.trial_baseline_store (
    action_id   bigint REFERENCES hone.trial_store ON DELETE CASCADE,
    queryid     bigint,
    userid      oid,
    toplevel    boolean,
    role        text NOT NULL CHECK (role IN ('write', 'read', 'other')),
    first_seen  timestamptz NOT NULL,
    span        text NOT NULL,                 -- what "before" is
    n           bigint NOT NULL,               -- before
    ms          float8 NOT NULL,
    mean_log    float8,
    var_log     float8,
    start_histogram bytea NOT NULL,            -- in memory, when the trial began
    start_ms    float8 NOT NULL,
    PRIMARY KEY (action_id, queryid, userid, toplevel)
);
COMMENT ON TABLE hone.trial_baseline_store IS
    'How statements were before an index on trial was there; deleted when the trial ends';

-- Statistics (welch.c)

CREATE FUNCTION hone.student_t_tail(t float8, df float8) RETURNS float8
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'hone_apply_sql_student_tail';
COMMENT ON FUNCTION hone.student_t_tail(float8, float8) IS
    'Probability that Student''s t is further from zero than that';

CREATE FUNCTION hone.student_t_quantile(p float8, df float8) RETURNS float8
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'hone_apply_sql_student_quantile';
COMMENT ON FUNCTION hone.student_t_quantile(float8, float8) IS
    'The t that Student''s t is further from zero than with that probability';

CREATE FUNCTION hone.compare_arms(
    n_with bigint[], mean_with float8[], var_with float8[],
    n_without bigint[], mean_without float8[], var_without float8[],
    alpha float8 DEFAULT 0.01,
    OUT executions_with bigint, OUT executions_without bigint,
    OUT ratio float8, OUT low float8, OUT high float8, OUT p_value float8,
    OUT error float8, OUT df float8, OUT blocks int, OUT blocks_left_out int)
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'hone_apply_sql_compare';
COMMENT ON FUNCTION hone.compare_arms(bigint[], float8[], float8[], bigint[], float8[], float8[], float8) IS
    'Compares two arms block by block, given numbers, means and variances of logarithms: the ratio with to without and its limits';

CREATE FUNCTION hone.holm(p float8[]) RETURNS float8[]
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'hone_apply_sql_holm';
COMMENT ON FUNCTION hone.holm(float8[]) IS
    'P values of several tests adjusted by Holm''s step-down';

CREATE FUNCTION hone.judge_trial(figures jsonb,
    OUT decision text, OUT conclusive boolean, OUT rule text, OUT reason text)
LANGUAGE c STABLE STRICT PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'hone_apply_sql_judge';
COMMENT ON FUNCTION hone.judge_trial(jsonb) IS
    'What the policy says about a trial with these figures: go on, keep, revert or hide, and why';

CREATE FUNCTION hone.histogram_logs(histogram bytea,
    OUT n bigint, OUT mean_log float8, OUT var_log float8)
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT coalesce(sum(b.k), 0)::bigint, sum(b.k * b.l) / nullif(sum(b.k), 0),
           greatest(sum(b.k * b.l * b.l) - sum(b.k * b.l) ^ 2 / nullif(sum(b.k), 0), 0)
               / nullif(sum(b.k) - 1, 0)
    FROM (SELECT (h.count - lag(h.count, 1, 0::bigint) OVER o)::float8 AS k,
                 -- the middle of a bucket; the last one has no upper end
                 ln(CASE WHEN h.le_ms = 'Infinity' THEN 2 ^ 42 / 1e6
                         ELSE h.le_ms END) - 0.025 AS l
          FROM hone.histogram_buckets(histogram) h
          WINDOW o AS (ORDER BY h.le_ms)) b
$$;
COMMENT ON FUNCTION hone.histogram_logs(bytea) IS
    'Number, mean and sample variance of the logarithms of the milliseconds in a histogram';

-- Hidden indexes (whatif), for the functions here.

CREATE FUNCTION hone.trial_hide(index_oid oid, kind text, trial bigint, arms boolean) RETURNS boolean
LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'hone_apply_sql_hide';
COMMENT ON FUNCTION hone.trial_hide(oid, text, bigint, boolean) IS
    'Hides an index on trial from one arm, or from everybody';

-- A trial may have several: of a partitioned table those of the partitions that
-- the action built, not what was there before.
CREATE FUNCTION hone.trial_hide_all(trial bigint, arms boolean) RETURNS bigint
LANGUAGE sql VOLATILE STRICT PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT count(hone.trial_hide(h.index_oid, h.kind, h.trial, trial_hide_all.arms))
    FROM (SELECT * FROM hone.hidden_index_store h
          WHERE h.trial = trial_hide_all.trial
            AND EXISTS (SELECT FROM pg_index i WHERE i.indexrelid = h.index_oid)
          ORDER BY h.index_oid OFFSET 0) h
$$;
COMMENT ON FUNCTION hone.trial_hide_all(bigint, boolean) IS
    'Hides the indexes of a trial from one arm, or from everybody; how many there are';

CREATE FUNCTION hone.trial_show_all(trial bigint) RETURNS void
LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'hone_apply_sql_show_all';
COMMENT ON FUNCTION hone.trial_show_all(bigint) IS
    'Shows the indexes of a trial to everybody';

CREATE FUNCTION hone.trial_tables(relid oid) RETURNS SETOF oid
LANGUAGE sql STABLE STRICT PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT trial_tables.relid
    UNION SELECT p.relid::oid FROM pg_partition_tree(trial_tables.relid) p
$$;
COMMENT ON FUNCTION hone.trial_tables(oid) IS 'A table and its partitions';

CREATE FUNCTION hone.trial_forget_gone() RETURNS void
LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'hone_apply_sql_forget_gone';
COMMENT ON FUNCTION hone.trial_forget_gone() IS 'Forgets hidden indexes that are not there any more';

-- The load of this database: what its statements took since the server started.
CREATE FUNCTION hone.trial_load_ms() RETURNS float8
LANGUAGE sql VOLATILE PARALLEL RESTRICTED
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT coalesce(sum(s.total_exec_ms), 0)
    FROM hone.query_stats_memory(histograms => false) s
    WHERE s.toplevel
      AND s.dbid = (SELECT d.oid FROM pg_database d WHERE d.datname = current_database())
$$;
COMMENT ON FUNCTION hone.trial_load_ms() IS
    'What all statements of this database took since the server started, in milliseconds';

-- Beginning

CREATE FUNCTION hone.trial_action(action_id bigint) RETURNS hone.action_store
LANGUAGE plpgsql VOLATILE STRICT PARALLEL RESTRICTED
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    a hone.action_store;
BEGIN
    SELECT * INTO a FROM hone.action_store s WHERE s.id = action_id;
    IF NOT FOUND THEN
        RAISE EXCEPTION USING ERRCODE = 'undefined_object',
            MESSAGE = format('action %s does not exist', action_id);
    END IF;
    RETURN a;
END
$$;
COMMENT ON FUNCTION hone.trial_action(bigint) IS 'An action''s row; an error if there is none';

CREATE FUNCTION hone.trial_row(action_id bigint) RETURNS hone.trial_store
LANGUAGE plpgsql VOLATILE STRICT PARALLEL RESTRICTED
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    t hone.trial_store;
BEGIN
    SELECT * INTO t FROM hone.trial_store s WHERE s.action_id = trial_row.action_id;
    IF NOT FOUND THEN
        RAISE EXCEPTION USING ERRCODE = 'undefined_object',
            MESSAGE = format('trial %s does not exist', action_id);
    END IF;
    RETURN t;
END
$$;
COMMENT ON FUNCTION hone.trial_row(bigint) IS 'A trial''s row; an error if there is none';

CREATE FUNCTION hone.why_no_trial(action_id bigint) RETURNS text
LANGUAGE plpgsql VOLATILE STRICT PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    a hone.action_store;
BEGIN
    a := hone.trial_action(action_id);
    IF a.operation <> 'apply' OR a.action NOT IN ('create', 'drop') THEN
        RETURN 'it is not a new index';
    ELSIF a.wants_trial IS NOT TRUE THEN
        RETURN 'no trial was asked for, or statements are not captured';
    ELSIF a.action = 'drop' AND a.needs_index IS NOT NULL THEN
        RETURN 'another index does all it did';
    ELSIF NOT (SELECT c.preloaded FROM hone.collector_cost() c) THEN
        RETURN 'pg_hone is not in shared_preload_libraries';
    ELSIF a.id >= 1 << 30 THEN
        RETURN 'there were too many actions to number this trial';
    ELSIF a.action = 'drop' THEN
        RETURN NULL;
    ELSIF EXISTS (SELECT FROM hone.recommendation_query_store q
                  WHERE q.recommendation_id = a.recommendation_id) THEN
        IF NOT EXISTS (SELECT FROM hone.recommendation_query_store q
                       WHERE q.recommendation_id = a.recommendation_id AND q.queryid IS NOT NULL) THEN
            RETURN 'it was recommended for statements given by hand, which nobody is known to run';
        END IF;
    ELSIF NOT EXISTS (SELECT FROM hone.query_tables_memory() t
                      WHERE t.relid IN (SELECT hone.trial_tables(a.relid)) AND t.dbid = (SELECT d.oid FROM pg_database d
                                                            WHERE d.datname = current_database())) THEN
        RETURN 'no statement on the table was seen';
    END IF;
    RETURN NULL;
END
$$;
COMMENT ON FUNCTION hone.why_no_trial(bigint) IS
    'Why an action''s index is not tried before it is kept; null if it is';

-- In the transaction that makes the index: nobody shall see it before the trial
-- begins.
CREATE FUNCTION hone.prepare_trial(action_id bigint, index_oid oid) RETURNS void
LANGUAGE plpgsql VOLATILE STRICT PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    why_not text := hone.why_no_trial(action_id);
BEGIN
    IF EXISTS (SELECT FROM pg_class c WHERE c.oid = index_oid AND c.relkind = 'I') THEN
        NULL;                           -- its partitions' are what plans use
    ELSIF why_not IS NULL THEN
        PERFORM hone.trial_hide(index_oid, 'trial', action_id, false);
    END IF;
    UPDATE hone.action_store a      -- but not of a drop that is taken back
    SET trial = CASE WHEN why_not IS NULL THEN 'create' END,
        verdict = CASE WHEN why_not IS NOT NULL
                       THEN jsonb_build_object('decision', 'kept', 'rule', 'not tried',
                                               'reason', 'not tried: ' || why_not) END
    WHERE a.id = action_id AND a.operation = 'apply';
END
$$;
COMMENT ON FUNCTION hone.prepare_trial(bigint, oid) IS
    'Hides an action''s new index until its trial begins, or notes why there is none';

-- What statements did before. All of it is evidence only: without it the trial
-- goes on all the same.
CREATE FUNCTION hone.note_baseline(action_id bigint) RETURNS void
LANGUAGE plpgsql VOLATILE STRICT PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    at_most CONSTANT int := 100;        -- statements of each role
    least CONSTANT int := 30;           -- executions, of the last hour to be enough
    a hone.action_store;
    database oid := (SELECT d.oid FROM pg_database d WHERE d.datname = current_database());
BEGIN
    a := hone.trial_action(action_id);
    INSERT INTO hone.trial_baseline_store
    WITH touching AS (
        SELECT t.queryid, t.userid, bool_or(t.target_executions > 0) AS writes
        FROM hone.query_tables_memory() t
        WHERE t.relid IN (SELECT hone.trial_tables(a.relid)) AND t.dbid = database
        GROUP BY t.queryid, t.userid
    ), memory AS (
        SELECT m.*, CASE WHEN t.writes THEN 'write' WHEN t.queryid IS NOT NULL THEN 'read'
                         ELSE 'other' END AS role
        FROM hone.query_stats_memory() m
             LEFT JOIN touching t ON t.queryid = m.queryid AND t.userid = m.userid
        WHERE m.dbid = database AND m.queryid IS NOT NULL AND m.calls > 0
    ), ranked AS (
        SELECT m.*, row_number() OVER (PARTITION BY m.role ORDER BY m.calls DESC) AS place
        FROM memory m
    ), lately AS (
        SELECT r.queryid, r.userid, r.toplevel, sum(r.calls + r.errors) AS n,
               sum(r.total_exec_ms) AS ms, hone.histogram_sum(r.histogram) AS histogram
        FROM hone.query_rollup_store r
        WHERE r.period = 'minute'
          AND r.bucket_start >= a.started_at - interval '1 hour'
          AND r.bucket_start < date_trunc('minute', a.started_at)
          AND EXISTS (SELECT FROM ranked k
                      WHERE k.queryid = r.queryid AND k.userid = r.userid AND k.place <= at_most)
        GROUP BY r.queryid, r.userid, r.toplevel
    ), chosen AS (
        SELECT k.*, hone.histogram_pack(k.buckets, k.counts) AS histogram,
               l.n >= least AS is_recent, l.ms AS lately_ms, l.histogram AS lately_histogram
        FROM ranked k
             LEFT JOIN lately l ON l.queryid = k.queryid AND l.userid = k.userid
                               AND l.toplevel = k.toplevel
        WHERE k.place <= at_most
    )
    SELECT action_id, c.queryid, c.userid, c.toplevel, c.role, c.first_seen,
           CASE WHEN c.is_recent THEN 'the hour before the build'
                ELSE 'since ' || to_char(c.first_seen, 'YYYY-MM-DD HH24:MI:SS') END,
           g.n, CASE WHEN c.is_recent THEN c.lately_ms ELSE c.total_exec_ms END,
           g.mean_log, g.var_log, c.histogram, c.total_exec_ms
    FROM chosen c,
         hone.histogram_logs(CASE WHEN c.is_recent THEN c.lately_histogram ELSE c.histogram END) g;
END
$$;
COMMENT ON FUNCTION hone.note_baseline(bigint) IS
    'Notes how statements were before an index on trial was there';

CREATE FUNCTION hone.begin_trial(action_id bigint, kind text) RETURNS boolean
LANGUAGE plpgsql VOLATILE STRICT PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
    a hone.action_store;
    gain float8;
    why_not text;
BEGIN
    PERFORM FROM hone.action_store s WHERE s.id = begin_trial.action_id FOR UPDATE;
    a := hone.trial_action(begin_trial.action_id);
    IF a.operation <> 'apply' OR a.verdict IS NOT NULL THEN
        RETURN false;                   -- it was tried, or is not to be
    ELSIF begin_trial.kind = 'drop' THEN
        why_not := hone.why_no_trial(a.id);
        IF why_not IS NOT NULL THEN
            UPDATE hone.action_store s
            SET verdict = jsonb_build_object('decision', 'kept', 'rule', 'not tried',
                                             'reason', 'not tried: ' || why_not)
            WHERE s.id = a.id;
            RETURN false;
        END IF;
    ELSIF a.trial IS DISTINCT FROM 'create' THEN
        RETURN false;
    ELSIF hone.trial_hide_all(a.id, true) = 0 THEN
        PERFORM hone.give_up_trial(a.id, 'all partitions had such an index');
        RETURN false;
    END IF;

    -- Of the queries that it serves, weighted, or as the advisor says for all.
    SELECT 1 - sum(q.calls * q.cost_after) / nullif(sum(q.calls * q.cost_before), 0) INTO gain
    FROM hone.recommendation_query_store q
    WHERE q.recommendation_id = a.recommendation_id AND q.cost_before > q.cost_after;
    IF gain IS NULL THEN
        SELECT 1 - r.cost_after / nullif(r.cost_before, 0) INTO gain
        FROM hone.recommendation_store r WHERE r.id = a.recommendation_id;
    END IF;
    INSERT INTO hone.trial_store (action_id, kind, index_oid, relid, what_if_gain,
                                  server_started, load_ms)
    VALUES (a.id, begin_trial.kind, a.index_oid, a.relid, coalesce(gain, 0),
            pg_postmaster_start_time(), hone.trial_load_ms());
    INSERT INTO hone.trial_query_store (action_id, queryid, userid, expected)
    SELECT DISTINCT a.id, q.queryid, q.userid, true
    FROM hone.recommendation_query_store q
    WHERE q.recommendation_id = a.recommendation_id AND q.queryid IS NOT NULL
      AND begin_trial.kind = 'create' AND q.cost_after < q.cost_before;
    BEGIN
        PERFORM hone.note_baseline(a.id);
    EXCEPTION WHEN OTHERS THEN
        UPDATE hone.trial_store t SET last_error = SQLSTATE || ': ' || SQLERRM WHERE t.action_id = a.id;
    END;
    IF begin_trial.kind = 'drop' THEN
        PERFORM hone.trial_hide(a.index_oid, 'drop', a.id, true);
    END IF;
    PERFORM hone.restart_trials_beside(a.id);
    UPDATE hone.trial_store t
    SET turns = (SELECT max(h.turn) FROM hone.hidden_index_store h WHERE h.trial = a.id) % 2
    WHERE t.action_id = a.id;
    UPDATE hone.action_store s
    SET state = 'trial', trial = begin_trial.kind, pid = NULL, error = NULL
    WHERE s.id = a.id;
    RETURN true;
END
$$;
COMMENT ON FUNCTION hone.begin_trial(bigint, text) IS
    'Begins the trial of an action''s index, if there is to be one: from now on one arm sees it';

-- The trial cannot begin: then the index is as if none had been asked for.
CREATE FUNCTION hone.give_up_trial(action_id bigint, reason text) RETURNS void
LANGUAGE sql VOLATILE STRICT PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
    UPDATE hone.action_store a
    SET trial = NULL, verdict = jsonb_build_object('decision', 'kept', 'rule', 'not tried',
                                                   'reason', 'not tried: ' || give_up_trial.reason)
    WHERE a.id = action_id;
    SELECT hone.trial_show_all(action_id);
$$;
COMMENT ON FUNCTION hone.give_up_trial(bigint, text) IS
    'Shows the index of a trial that cannot begin, and notes why';
