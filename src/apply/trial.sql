-- apply: trials of indexes. How a trial goes is told in trial.c, what is decided
-- in verdict.c, how arms are compared in welch.c; what is measured, here.

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
    turns          int NOT NULL DEFAULT 0,
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

CREATE FUNCTION hone.trial_show(index_oid oid) RETURNS boolean
LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'hone_apply_sql_show';
COMMENT ON FUNCTION hone.trial_show(oid) IS
    'Shows an index that was on trial to everybody';

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

CREATE FUNCTION hone.trial_show_all(trial bigint) RETURNS bigint
LANGUAGE sql VOLATILE STRICT PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT count(hone.trial_show(h.index_oid))
    FROM (SELECT * FROM hone.hidden_index_store h
          WHERE h.trial = trial_show_all.trial ORDER BY h.index_oid OFFSET 0) h
$$;
COMMENT ON FUNCTION hone.trial_show_all(bigint) IS
    'Shows the indexes of a trial to everybody; how many there were';

-- Is the table this one, or one of its partitions?
CREATE FUNCTION hone.trial_tables(relid oid) RETURNS SETOF oid
LANGUAGE sql STABLE STRICT PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT trial_tables.relid
    UNION SELECT p.relid::oid FROM pg_partition_tree(trial_tables.relid) p
$$;
COMMENT ON FUNCTION hone.trial_tables(oid) IS 'A table and its partitions';

CREATE FUNCTION hone.trial_turn(trial bigint) RETURNS void
LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'hone_apply_sql_turn';
COMMENT ON FUNCTION hone.trial_turn(bigint) IS 'Has the arms of a trial change sides';

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

CREATE FUNCTION hone.why_no_trial(action_id bigint) RETURNS text
LANGUAGE plpgsql VOLATILE STRICT PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    a hone.action_store;
BEGIN
    SELECT * INTO STRICT a FROM hone.action_store s WHERE s.id = action_id;
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
    SELECT * INTO STRICT a FROM hone.action_store s WHERE s.id = action_id;
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
    SELECT * INTO STRICT a FROM hone.action_store s WHERE s.id = begin_trial.action_id FOR UPDATE;
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
    SELECT NULL::void FROM hone.trial_show_all(action_id);
$$;
COMMENT ON FUNCTION hone.give_up_trial(bigint, text) IS
    'Shows the index of a trial that cannot begin, and notes why';

-- Measuring

-- Arms of one trial as they are in memory: by query, with the figures of its
-- blocks in arrays, as hone.compare_arms() wants them.
CREATE FUNCTION hone.trial_arms(trial bigint,
    OUT queryid bigint, OUT userid oid, OUT n_with bigint, OUT n_without bigint,
    OUT used bigint, OUT ms_with float8, OUT ms_without float8,
    OUT blocks_with bigint, OUT blocks_without bigint,
    OUT cancels_with bigint, OUT cancels_without bigint,
    OUT logs_with float8, OUT logs_without float8, -- sums of ln ms
    OUT diff_ms float8,                -- of the means, with less without, by block
    OUT n_1 bigint[], OUT time_1 float8[], OUT time_var_1 float8[],
    OUT blocks_1 float8[], OUT blocks_var_1 float8[],
    OUT n_0 bigint[], OUT time_0 float8[], OUT time_var_0 float8[],
    OUT blocks_0 float8[], OUT blocks_var_0 float8[])
RETURNS SETOF record
LANGUAGE sql VOLATILE STRICT PARALLEL RESTRICTED
SET search_path = pg_catalog, pg_temp
AS $$
    WITH arm AS MATERIALIZED (
        SELECT m.* FROM hone.trial_executions_memory() m WHERE m.trial = trial_arms.trial
    ), block AS (
        SELECT queryid, userid, block,
               coalesce(w.executions, 0) AS n_1, coalesce(o.executions, 0) AS n_0,
               w.used, w.total_exec_ms AS ms_1, o.total_exec_ms AS ms_0,
               w.total_blocks AS b_1, o.total_blocks AS b_0,
               w.cancels AS c_1, o.cancels AS c_0,
               coalesce(w.mean_log_ms, 0) AS t_1, coalesce(w.var_log_ms, 0) AS tv_1,
               coalesce(o.mean_log_ms, 0) AS t_0, coalesce(o.var_log_ms, 0) AS tv_0,
               coalesce(w.mean_log_blocks, 0) AS l_1, coalesce(w.var_log_blocks, 0) AS lv_1,
               coalesce(o.mean_log_blocks, 0) AS l_0, coalesce(o.var_log_blocks, 0) AS lv_0
        FROM (SELECT * FROM arm WHERE visible) w
             FULL JOIN (SELECT * FROM arm WHERE NOT visible) o USING (queryid, userid, block)
    )
    SELECT queryid, userid, sum(n_1)::bigint, sum(n_0)::bigint, coalesce(sum(used), 0)::bigint,
           coalesce(sum(ms_1), 0), coalesce(sum(ms_0), 0),
           coalesce(sum(b_1), 0)::bigint, coalesce(sum(b_0), 0)::bigint,
           coalesce(sum(c_1), 0)::bigint, coalesce(sum(c_0), 0)::bigint,
           sum(n_1 * t_1), sum(n_0 * t_0),
           sum((ms_1 / nullif(n_1, 0) - ms_0 / nullif(n_0, 0)) * n_1 * n_0 / nullif(n_1 + n_0, 0))
               / nullif(sum(n_1 * n_0 / nullif((n_1 + n_0)::float8, 0)), 0),
           array_agg(n_1 ORDER BY block), array_agg(t_1 ORDER BY block), array_agg(tv_1 ORDER BY block),
           array_agg(l_1 ORDER BY block), array_agg(lv_1 ORDER BY block),
           array_agg(n_0 ORDER BY block), array_agg(t_0 ORDER BY block), array_agg(tv_0 ORDER BY block),
           array_agg(l_0 ORDER BY block), array_agg(lv_0 ORDER BY block)
    FROM block
    GROUP BY queryid, userid
$$;
COMMENT ON FUNCTION hone.trial_arms(bigint) IS
    'What the arms of a trial did so far, by query';

-- Brings hone.trial_query_store up to date, at the end of a crossover. The alpha
-- of a trial is 0.01, and the k-th look at a query spends a 2^k-th of it: p times
-- 2^k can be compared with alpha whatever was looked at before. Looks are at 30
-- executions in the smaller arm, 60, 120, 240 ... ; the first at 8 already if the
-- arms differ fivefold.
--
-- Executions that follow each other are alike: something else that takes the disk
-- for some seconds meets one arm more than the other if there are few sessions.
-- So the difference of the arms in each crossover is kept too, and if these vary
-- more than the executions explain, that is the error. With less than four blocks
-- of backends nothing is looked at before there were three crossovers, unless the
-- arms differ fivefold.
CREATE FUNCTION hone.measure_trial(action_id bigint) RETURNS void
LANGUAGE plpgsql VOLATILE STRICT PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
    first_look CONSTANT bigint := 30;
    early_look CONSTANT bigint := 8;
    early_ratio CONSTANT float8 := 5;
    at_most CONSTANT int := 100;       -- queries that do not use it
    few_blocks CONSTANT int := 4;
    few_crossovers CONSTANT int := 3;
    some_crossovers CONSTANT int := 5;
    alpha CONSTANT float8 := 0.01;
    t hone.trial_store;
    m record;
    q hone.trial_query_store;
    load_ms float8;
    in_time record;
    in_blocks record;
    diff float8;
    deviation float8;
BEGIN
    SELECT * INTO STRICT t FROM hone.trial_store s WHERE s.action_id = measure_trial.action_id;
    load_ms := hone.trial_load_ms();
    -- After a restart, or when statistics were reset, it begins anew.
    IF t.server_started = pg_postmaster_start_time() AND load_ms >= t.load_ms THEN
        load_ms := load_ms - t.load_ms;
    END IF;

    FOR m IN
        SELECT a.*, sum(a.n_with) OVER () AS all_with, sum(a.n_without) OVER () AS all_without
        FROM (SELECT a.*, row_number() OVER (ORDER BY a.ms_with + a.ms_without DESC) AS place
              FROM hone.trial_arms(measure_trial.action_id) a) a
    LOOP
        SELECT * INTO q FROM hone.trial_query_store s
        WHERE s.action_id = measure_trial.action_id
          AND s.queryid = m.queryid AND s.userid = m.userid;
        CONTINUE WHEN NOT FOUND AND m.used = 0 AND m.place > at_most;
        IF NOT FOUND THEN
            INSERT INTO hone.trial_query_store (action_id, queryid, userid)
            VALUES (measure_trial.action_id, m.queryid, m.userid) RETURNING * INTO q;
        END IF;
        IF m.n_with < q.n_with OR m.n_without < q.n_without THEN    -- lost in a restart
            q.n_with := 0; q.n_without := 0; q.ms_with := 0; q.ms_without := 0;
            q.logs_with := 0; q.logs_without := 0;
            q.next_look := first_look;
        END IF;

        -- What the last crossover adds: its own difference of the mean times.
        diff := (m.ms_with - q.ms_with) / nullif(m.n_with - q.n_with, 0)
                - (m.ms_without - q.ms_without) / nullif(m.n_without - q.n_without, 0);
        IF diff IS NOT NULL THEN
            q.crossovers := q.crossovers + 1;
            deviation := diff - q.mean_diff_ms;
            q.mean_diff_ms := q.mean_diff_ms + deviation / q.crossovers;
            q.square_diff_ms := q.square_diff_ms + deviation * (diff - q.mean_diff_ms);
            diff := (m.logs_with - q.logs_with) / (m.n_with - q.n_with)
                    - (m.logs_without - q.logs_without) / (m.n_without - q.n_without);
            deviation := diff - q.mean_diff_log;
            q.mean_diff_log := q.mean_diff_log + deviation / q.crossovers;
            q.square_diff_log := q.square_diff_log + deviation * (diff - q.mean_diff_log);
        END IF;

        IF least(m.n_with, m.n_without) >= q.next_look
           OR (q.looks = 0 AND least(m.n_with, m.n_without) >= early_look) THEN
            in_time := hone.compare_arms(
                CASE t.kind WHEN 'drop' THEN m.n_0 ELSE m.n_1 END,
                CASE t.kind WHEN 'drop' THEN m.time_0 ELSE m.time_1 END,
                CASE t.kind WHEN 'drop' THEN m.time_var_0 ELSE m.time_var_1 END,
                CASE t.kind WHEN 'drop' THEN m.n_1 ELSE m.n_0 END,
                CASE t.kind WHEN 'drop' THEN m.time_1 ELSE m.time_0 END,
                CASE t.kind WHEN 'drop' THEN m.time_var_1 ELSE m.time_var_0 END,
                alpha / 2 ^ (q.looks + 1));
            IF q.crossovers >= some_crossovers
               OR (in_time.blocks < few_blocks AND q.crossovers >= few_crossovers) THEN
                deviation := sqrt(q.square_diff_log / (q.crossovers - 1) / q.crossovers);
                IF deviation > in_time.error THEN
                    in_time.p_value := hone.student_t_tail(ln(in_time.ratio) / deviation, q.crossovers - 1);
                    diff := deviation * hone.student_t_quantile(alpha / 2 ^ (q.looks + 1), q.crossovers - 1);
                    in_time.low := exp(ln(in_time.ratio) - least(diff, 100));
                    in_time.high := exp(ln(in_time.ratio) + least(diff, 100));
                END IF;
            END IF;
            IF in_time.ratio IS NOT NULL
               AND (in_time.blocks >= few_blocks OR t.turns >= 2 * few_crossovers
                    OR abs(ln(in_time.ratio)) > ln(early_ratio))
               AND (least(m.n_with, m.n_without) >= q.next_look
                    OR abs(ln(in_time.ratio)) > ln(early_ratio)) THEN
                in_blocks := hone.compare_arms(
                    CASE t.kind WHEN 'drop' THEN m.n_0 ELSE m.n_1 END,
                    CASE t.kind WHEN 'drop' THEN m.blocks_0 ELSE m.blocks_1 END,
                    CASE t.kind WHEN 'drop' THEN m.blocks_var_0 ELSE m.blocks_var_1 END,
                    CASE t.kind WHEN 'drop' THEN m.n_1 ELSE m.n_0 END,
                    CASE t.kind WHEN 'drop' THEN m.blocks_1 ELSE m.blocks_0 END,
                    CASE t.kind WHEN 'drop' THEN m.blocks_var_1 ELSE m.blocks_var_0 END,
                    alpha / 2 ^ (q.looks + 1));
                q.looks := q.looks + 1;
                WHILE q.next_look <= least(m.n_with, m.n_without) LOOP
                    q.next_look := q.next_look * 2;
                END LOOP;
                q.time_p := least(in_time.p_value * 2 ^ q.looks, 1);
                q.time_ratio := in_time.ratio;
                q.time_low := in_time.low;
                q.time_high := in_time.high;
                q.blocks_p := least(in_blocks.p_value * 2 ^ q.looks, 1);
                q.blocks_ratio := in_blocks.ratio;
                q.blocks_low := in_blocks.low;
                q.blocks_high := in_blocks.high;
            END IF;
        END IF;

        UPDATE hone.trial_query_store s SET
            n_with = m.n_with, n_without = m.n_without, used = m.used,
            ms_with = m.ms_with, ms_without = m.ms_without,
            blocks_with = m.blocks_with, blocks_without = m.blocks_without,
            cancels_with = m.cancels_with, cancels_without = m.cancels_without,
            logs_with = m.logs_with, logs_without = m.logs_without,
            mean_diff_log = q.mean_diff_log, square_diff_log = q.square_diff_log,
            weight = least((m.ms_with + m.ms_without) / nullif(load_ms, 0), 1),
            gain_ms = coalesce(m.diff_ms, 0) * (m.n_with + m.n_without)
                      * CASE t.kind WHEN 'drop' THEN 1 ELSE -1 END,
            looks = q.looks, next_look = q.next_look,
            time_p = q.time_p, time_ratio = q.time_ratio,
            time_low = q.time_low, time_high = q.time_high,
            blocks_p = q.blocks_p, blocks_ratio = q.blocks_ratio,
            blocks_low = q.blocks_low, blocks_high = q.blocks_high,
            crossovers = q.crossovers, mean_diff_ms = q.mean_diff_ms,
            square_diff_ms = q.square_diff_ms
        WHERE s.action_id = measure_trial.action_id
          AND s.queryid = m.queryid AND s.userid = m.userid;
        t.executions_with := m.all_with;
        t.executions_without := m.all_without;
    END LOOP;

    UPDATE hone.trial_store s SET looked_at = clock_timestamp(), last_error = NULL,
        executions_with = t.executions_with, executions_without = t.executions_without
    WHERE s.action_id = measure_trial.action_id;
    PERFORM hone.find_in_trial(measure_trial.action_id);
END
$$;
COMMENT ON FUNCTION hone.measure_trial(bigint) IS
    'Brings the figures of a trial up to date, and looks at the queries that are due';

-- What the looks say of each query that uses the index. Time is what users feel:
-- it decides if it can. Blocks are steadier, but a plan may touch more of them and
-- be faster: they decide what time leaves open after many executions. Of
-- logarithms most executions decide, and a few very slow ones hide: so where the
-- mean of the times contradicts, nothing is found until the crossovers agree
-- about that mean. Holm's step-down is over all queries and both measures.
CREATE FUNCTION hone.find_in_trial(action_id bigint) RETURNS void
LANGUAGE plpgsql VOLATILE STRICT PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
    alpha CONSTANT float8 := 0.01;
    enough CONSTANT bigint := 240;      -- executions, until blocks decide
    least_crossovers CONSTANT int := 5; -- to know how mean times vary
    sign CONSTANT int := (SELECT CASE t.kind WHEN 'drop' THEN -1 ELSE 1 END FROM hone.trial_store t
                          WHERE t.action_id = find_in_trial.action_id);
    q hone.trial_query_store;
    adjusted float8[];
    place int := 0;
    dearer_ms float8;                  -- of the change, per execution
    error_ms float8;
    reach_ms float8;
    usual_ms float8;
    certain boolean;
BEGIN
    adjusted := hone.holm(ARRAY(
        SELECT p FROM hone.trial_query_store s,
                      LATERAL (VALUES (1, s.time_p), (2, s.blocks_p)) v (measure, p)
        WHERE s.action_id = find_in_trial.action_id AND s.used > 0 AND s.looks > 0
        ORDER BY s.queryid, s.userid, v.measure));

    FOR q IN SELECT * FROM hone.trial_query_store s
             WHERE s.action_id = find_in_trial.action_id AND s.used > 0 AND s.looks > 0
             ORDER BY s.queryid, s.userid
    LOOP
        place := place + 2;
        q.finding := 'open';
        q.found_by := NULL;
        q.ratio := q.time_ratio;
        q.low := q.time_low;
        q.high := q.time_high;

        dearer_ms := q.mean_diff_ms * sign;
        error_ms := CASE WHEN q.crossovers >= least_crossovers
                         THEN sqrt(q.square_diff_ms / (q.crossovers - 1) / q.crossovers) END;
        reach_ms := error_ms * CASE WHEN error_ms IS NOT NULL
                                    THEN hone.student_t_quantile(alpha, q.crossovers - 1) END;
        certain := coalesce(abs(dearer_ms) > reach_ms, false);
        usual_ms := CASE sign WHEN 1 THEN q.ms_without / nullif(q.n_without, 0)
                              ELSE q.ms_with / nullif(q.n_with, 0) END;

        IF adjusted[place - 1] <= alpha THEN
            q.finding := CASE WHEN q.time_ratio < 1 THEN 'better' ELSE 'worse' END;
            q.found_by := 'time';
            IF (q.finding = 'better') <> (q.gain_ms > 0) THEN
                IF certain AND (q.gain_ms > 0) = (dearer_ms < 0) AND usual_ms > 0 THEN
                    q.finding := CASE WHEN q.gain_ms > 0 THEN 'better' ELSE 'worse' END;
                    q.found_by := 'total time';
                    q.ratio := 1 + dearer_ms / usual_ms;
                    q.low := greatest(1 + (dearer_ms - reach_ms) / usual_ms, 0);
                    q.high := 1 + (dearer_ms + reach_ms) / usual_ms;
                ELSIF q.finding = 'better' THEN
                    q.finding := 'open';
                    q.found_by := NULL;
                END IF;
            END IF;
        ELSIF q.time_low > 0.9 AND q.time_high < 1.1 THEN
            q.finding := 'same';
            q.found_by := 'time';
        ELSIF adjusted[place] <= alpha AND least(q.n_with, q.n_without) >= enough
              AND (q.blocks_ratio < 1) = (q.gain_ms > 0) THEN
            q.finding := CASE WHEN q.blocks_ratio < 1 THEN 'better' ELSE 'worse' END;
            q.found_by := 'blocks';
            q.ratio := q.blocks_ratio;
            q.low := q.blocks_low;
            q.high := q.blocks_high;
        END IF;

        UPDATE hone.trial_query_store s
        SET finding = q.finding, found_by = q.found_by,
            ratio = q.ratio, low = q.low, high = q.high,
            -- Worse, and yet not dearer in total so far: what the ratio says.
            gain_ms = CASE WHEN q.finding = 'worse' AND q.gain_ms > 0
                           THEN (q.ms_with + q.ms_without) * 2 * (1 - q.ratio) / (1 + q.ratio)
                           ELSE q.gain_ms END
        WHERE s.action_id = find_in_trial.action_id
          AND s.queryid = q.queryid AND s.userid = q.userid;
    END LOOP;
END
$$;
COMMENT ON FUNCTION hone.find_in_trial(bigint) IS
    'What the looks at a trial''s queries say: better, worse, same or open';

-- Statements before the index was there and since the trial began.
CREATE FUNCTION hone.trial_before_after(action_id bigint,
    OUT queryid bigint, OUT userid oid, OUT role text, OUT span text,
    OUT n_before bigint, OUT ms_before float8, OUT mean_before float8, OUT var_before float8,
    OUT n_after bigint, OUT ms_after float8, OUT mean_after float8, OUT var_after float8)
RETURNS SETOF record
LANGUAGE sql VOLATILE STRICT PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT b.queryid, b.userid, b.role, b.span, b.n, b.ms, b.mean_log, b.var_log,
           g.n, m.total_exec_ms - CASE WHEN m.first_seen = b.first_seen THEN b.start_ms ELSE 0 END,
           g.mean_log, g.var_log
    FROM hone.trial_baseline_store b
         JOIN hone.query_stats_memory() m
           ON m.queryid = b.queryid AND m.userid = b.userid AND m.toplevel = b.toplevel
          AND m.dbid = (SELECT d.oid FROM pg_database d WHERE d.datname = current_database()),
         hone.histogram_pack(m.buckets, m.counts) h,
         hone.histogram_logs(CASE WHEN m.first_seen = b.first_seen
                                  THEN hone.histogram_difference(h, b.start_histogram) ELSE h END) g
    WHERE b.action_id = trial_before_after.action_id AND g.n > 0 AND b.n > 0
$$;
COMMENT ON FUNCTION hone.trial_before_after(bigint) IS
    'How statements were before an index on trial was there, and since then';

-- Writes cannot be told apart by arms: who writes maintains the index whether he
-- sees it or not. So they are compared with before, statement by statement, and
-- what other statements became slower or faster meanwhile is taken off. Still
-- that is less than arms tell: an error of 3 % is added.
CREATE FUNCTION hone.trial_writes(action_id bigint,
    OUT writes_before bigint, OUT mean_ms_before float8, OUT span text,
    OUT writes_after bigint, OUT mean_ms_after float8,
    OUT drift float8, OUT ratio float8, OUT low float8, OUT high float8, OUT loss_ms float8)
LANGUAGE plpgsql VOLATILE STRICT PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
    quantile CONSTANT float8 := 2.576;  -- 1 %, both sides
    more_error CONSTANT float8 := 0.03;
    own record;
    other record;
    change float8;
    reach float8;
BEGIN
    SELECT (c.r).* INTO own
    FROM (SELECT hone.compare_arms(array_agg(b.n_after), array_agg(b.mean_after), array_agg(b.var_after),
                                   array_agg(b.n_before), array_agg(b.mean_before), array_agg(b.var_before)) AS r
          FROM hone.trial_before_after(trial_writes.action_id) b
          WHERE b.role = 'write' AND b.mean_before IS NOT NULL
            -- what finds its rows by the index is judged by its arms
            AND NOT EXISTS (SELECT FROM hone.trial_query_store q
                            WHERE q.action_id = trial_writes.action_id AND q.used > 0
                              AND q.queryid = b.queryid AND q.userid = b.userid)) c;
    SELECT (c.r).* INTO other
    FROM (SELECT hone.compare_arms(array_agg(b.n_after), array_agg(b.mean_after), array_agg(b.var_after),
                                   array_agg(b.n_before), array_agg(b.mean_before), array_agg(b.var_before)) AS r
          FROM hone.trial_before_after(trial_writes.action_id) b
          WHERE b.role = 'other' AND b.mean_before IS NOT NULL) c;

    SELECT coalesce(sum(b.n), 0), sum(b.ms) / nullif(sum(b.n), 0),
           CASE WHEN min(b.span) = max(b.span) THEN min(b.span)
                ELSE 'partly ' || max(b.span) || ', partly ' || min(b.span) END
    INTO writes_before, mean_ms_before, span
    FROM hone.trial_baseline_store b
    WHERE b.action_id = trial_writes.action_id AND b.role = 'write';

    SELECT coalesce(sum(b.n_after), 0), sum(b.ms_after) / nullif(sum(b.n_after), 0),
           coalesce(sum(b.ms_before / b.n_before * b.n_after), 0)
    INTO writes_after, mean_ms_after, loss_ms
    FROM hone.trial_before_after(trial_writes.action_id) b
    WHERE b.role = 'write';

    IF own.ratio IS NULL THEN
        loss_ms := 0;
        RETURN;
    END IF;
    drift := greatest(other.ratio, 1);  -- what became faster elsewhere proves nothing here
    change := ln(own.ratio) - ln(drift);
    reach := quantile * sqrt(own.error ^ 2 + coalesce(other.error, 0) ^ 2 + more_error ^ 2);
    ratio := exp(change);
    low := exp(change - reach);
    high := exp(change + reach);
    loss_ms := CASE WHEN low > 1 THEN loss_ms * drift * (ratio - 1) ELSE 0 END;
END
$$;
COMMENT ON FUNCTION hone.trial_writes(bigint) IS
    'Statements that write to the table of a trial, before the index was there and since then';

-- Too few executions for arms, and the time is up: those with the index against
-- what there was before.
CREATE FUNCTION hone.find_before_after(action_id bigint) RETURNS boolean
LANGUAGE plpgsql VOLATILE STRICT PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
    alpha CONSTANT float8 := 0.01;
    any_found boolean := false;
    q record;
    compared record;
BEGIN
    FOR q IN
        SELECT s.queryid, s.userid, a.n_1, a.time_1, a.time_var_1, a.n_with, a.ms_with,
               array_fill(b.n, ARRAY[1]) AS n_before, b.n, b.ms, b.mean_log, b.var_log
        FROM hone.trial_query_store s
             JOIN hone.trial_arms(find_before_after.action_id) a
               ON a.queryid = s.queryid AND a.userid = s.userid
             JOIN LATERAL (SELECT sum(x.n)::bigint AS n, sum(x.ms) AS ms,
                                  sum(x.n * x.mean_log) / sum(x.n) AS mean_log,
                                  sum(x.n * x.var_log) / sum(x.n) AS var_log
                           FROM hone.trial_baseline_store x
                           WHERE x.action_id = find_before_after.action_id AND x.n > 0
                             AND x.queryid = s.queryid AND x.userid = s.userid) b ON b.n > 0
        WHERE s.action_id = find_before_after.action_id AND s.looks = 0 AND a.used > 0
          AND a.n_with > 1
    LOOP
        -- All its executions, whoever's backend they were in: one block.
        SELECT c.* INTO compared
        FROM (SELECT sum(n)::bigint AS n, sum(n * mean) / sum(n) AS mean,
                     (sum((n - 1) * var) + sum(n * mean * mean) - sum(n * mean) ^ 2 / sum(n))
                         / nullif(sum(n) - 1, 0) AS var
              FROM unnest(q.n_1, q.time_1, q.time_var_1) u (n, mean, var) WHERE n > 0) w,
             hone.compare_arms(ARRAY[w.n], ARRAY[w.mean], ARRAY[greatest(w.var, 0)],
                               ARRAY[q.n], ARRAY[q.mean_log], ARRAY[greatest(q.var_log, 0)], alpha) c;
        CONTINUE WHEN compared.ratio IS NULL;
        any_found := true;
        UPDATE hone.trial_query_store s
        SET found_by = 'before and after', looks = 1,
            ratio = compared.ratio, low = compared.low, high = compared.high,
            finding = CASE WHEN compared.high < 1 THEN 'better' WHEN compared.low > 1 THEN 'worse'
                           WHEN compared.low > 0.9 AND compared.high < 1.1 THEN 'same'
                           ELSE 'open' END,
            gain_ms = (q.ms / q.n - q.ms_with / q.n_with) * q.n_with
        WHERE s.action_id = find_before_after.action_id
          AND s.queryid = q.queryid AND s.userid = q.userid;
    END LOOP;
    RETURN any_found;
END
$$;
COMMENT ON FUNCTION hone.find_before_after(bigint) IS
    'Compares executions with an index on trial with those before, where there are too few to compare arms';

-- A drop whose index is hidden from everybody has no arms any more: statements on
-- the table against before, and only what is half as slow again counts.
CREATE FUNCTION hone.find_after_hiding(action_id bigint) RETURNS void
LANGUAGE plpgsql VOLATILE STRICT PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
    alpha CONSTANT float8 := 0.01;
    enough CONSTANT bigint := 240;
    known CONSTANT bigint := 30;
    much CONSTANT float8 := 1.5;
BEGIN
    INSERT INTO hone.trial_query_store AS s
        (action_id, queryid, userid, n_without, ms_without, used, looks, weight, gain_ms,
         ratio, low, high, finding, found_by)
    WITH b AS MATERIALIZED (
        SELECT * FROM hone.trial_before_after(find_after_hiding.action_id) x
        WHERE x.mean_before IS NOT NULL
    ), drift AS (
        SELECT greatest(c.ratio, 1) AS ratio
        FROM (SELECT hone.compare_arms(array_agg(n_after), array_agg(mean_after), array_agg(var_after),
                                       array_agg(n_before), array_agg(mean_before), array_agg(var_before)) AS r
              FROM b WHERE role = 'other') d,
             LATERAL (SELECT (d.r).ratio) c
    )
    SELECT DISTINCT ON (b.queryid, b.userid)
           find_after_hiding.action_id, b.queryid, b.userid, b.n_after, b.ms_after, 1, 1, 0,
           b.ms_before / b.n_before * b.n_after - b.ms_after,
           c.ratio / d.ratio, c.low / d.ratio, c.high / d.ratio, 'worse', 'before and after'
    FROM b CROSS JOIN drift d,
         hone.compare_arms(ARRAY[b.n_after], ARRAY[b.mean_after], ARRAY[b.var_after],
                           ARRAY[b.n_before], ARRAY[b.mean_before], ARRAY[b.var_before],
                           alpha / (SELECT count(*) FROM b)) c
    WHERE b.role <> 'other' AND b.n_after >= enough
      -- those that saw the index often and did not use it do not miss it
      AND NOT EXISTS (SELECT FROM hone.trial_query_store k
                      WHERE k.action_id = find_after_hiding.action_id AND k.queryid = b.queryid
                        AND k.userid = b.userid AND k.used = 0 AND k.n_with >= known)
      AND c.ratio / d.ratio > much AND c.low / d.ratio > 1.1
      AND b.ms_after / b.n_after > much * d.ratio * b.ms_before / b.n_before
    ON CONFLICT ON CONSTRAINT trial_query_store_pkey DO UPDATE
        SET used = greatest(s.used, 1), looks = s.looks + 1, gain_ms = excluded.gain_ms,
            ratio = excluded.ratio, low = excluded.low, high = excluded.high,
            finding = 'worse', found_by = excluded.found_by;
END
$$;
COMMENT ON FUNCTION hone.find_after_hiding(bigint) IS
    'Which statements became much slower since an index that is to be dropped is hidden from everybody';

-- What the policy is asked (judge_trial).
CREATE FUNCTION hone.trial_figures(action_id bigint, is_over boolean) RETURNS jsonb
LANGUAGE sql VOLATILE STRICT PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT jsonb_build_object(
        'kind', t.kind, 'hidden', t.hidden, 'over', is_over,
        'age_s', extract(epoch FROM clock_timestamp() - t.started_at),
        'limit_s', extract(epoch FROM current_setting(
            CASE t.kind WHEN 'drop' THEN 'pg_hone.drop_watch' ELSE 'pg_hone.trial_time' END)::interval),
        'what_if_gain', t.what_if_gain,
        'executions', least(t.executions_with, t.executions_without),
        'queries', coalesce((
            SELECT jsonb_agg(jsonb_build_object(
                'expected', q.expected, 'affected', q.used > 0, 'weight', q.weight,
                'executions', least(q.n_with, q.n_without), 'looks', q.looks,
                'finding', q.finding, 'ratio', q.ratio, 'low', q.low, 'high', q.high,
                'gain_ms', q.gain_ms,
                'most_gain_ms', (q.ms_with + q.ms_without) * 2 * (1 - coalesce(q.low, 0))
                                / (1 + coalesce(q.low, 0)),
                'total_ms', q.ms_with + q.ms_without))
            FROM hone.trial_query_store q WHERE q.action_id = t.action_id), '[]'))
    FROM hone.trial_store t WHERE t.action_id = trial_figures.action_id
$$;
COMMENT ON FUNCTION hone.trial_figures(bigint, boolean) IS
    'The figures of a trial, without those of writes, as hone.judge_trial() takes them';

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
    SELECT * INTO STRICT t FROM hone.trial_store s WHERE s.action_id = end_trial.action_id;
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
    UPDATE hone.action_store a SET retry_at = NULL
    WHERE a.relid = t.relid AND a.state = 'queued' AND starts_with(a.waiting_for, 'the trial of ');

    -- What was taken back by its figures is not to come again soon.
    IF back AND t.kind = 'create' AND role IS NULL AND to_regprocedure('hone.ban_index(bigint)') IS NOT NULL THEN
        BEGIN
            EXECUTE 'SELECT hone.ban_index($1)' USING action_id;
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
        IF it.action = 'create' AND it.outcome = 'revert' THEN
            CONTINUE WHEN it.state = 'reverted'
                OR it.finished_at > clock_timestamp() - interval '1 minute' * 2 ^ least(it.mended, 6);
            UPDATE hone.trial_store t SET mended = t.mended + 1 WHERE t.action_id = it.id;
            UPDATE hone.action_store a
            SET state = 'queued', operation = 'revert', finished_at = NULL, attempts = 0,
                postponements = 0, retry_at = NULL
            WHERE a.id = it.id;
        ELSE
            PERFORM hone.trial_show(it.index_oid);
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
    SELECT * INTO STRICT a FROM hone.action_store s WHERE s.id = action_id;
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
    SELECT * INTO STRICT t FROM hone.trial_store s WHERE s.action_id = look_at_trial.action_id;
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
        IF clock_timestamp() - t.turned_at < turn THEN
            RETURN false;
        END IF;
        PERFORM hone.trial_turn(action_id);
        UPDATE hone.trial_store s SET turns = s.turns + 1, turned_at = clock_timestamp()
        WHERE s.action_id = look_at_trial.action_id RETURNING s.turns INTO t.turns;
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
    'Turns the arms of a trial when it is time, measures, and decides; true if the trial ended';

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
    FOR id IN SELECT t.action_id FROM hone.trial_store t WHERE t.ended_at IS NULL ORDER BY t.action_id LOOP
        looked := looked + 1;
        BEGIN
            ended := hone.look_at_trial(id) OR ended;
        EXCEPTION WHEN OTHERS THEN      -- the others go on
            UPDATE hone.trial_store t SET last_error = SQLSTATE || ': ' || SQLERRM WHERE t.action_id = id;
        END;
    END LOOP;
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

-- What a user reads

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
                   AND r.queryid OPERATOR(pg_catalog.=) q.queryid LIMIT 1),
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
            story := story || format(E'    does not use the index (%s executions with it, %s without)\n',
                                     q.executions_with, q.executions_without);
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
            ELSE format(E'    %s%s: %s times as long as %s, certainly between %s and %s\n',
                        q.finding, coalesce(' by ' || q.found_by, ''), round(q.ratio::numeric, 3),
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
