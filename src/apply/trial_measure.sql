-- apply: what is measured in the trial of an index, and what that says of each query.

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
    t := hone.trial_row(measure_trial.action_id);
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
               AND (in_time.blocks >= few_blocks OR q.crossovers >= few_crossovers
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
    least_ms CONSTANT float8 := 0.05;   -- that are more than noise, if blocks are the same
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

        -- Some microseconds in the same number of blocks are where pages lie in
        -- memory, above all in new sessions; a copy of an index differs by as much.
        IF q.found_by = 'time' AND q.blocks_ratio BETWEEN 0.95 AND 1.05
           AND abs(q.time_ratio - 1) * exp(q.logs_without / q.n_without) < least_ms THEN
            q.finding := 'same';
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
    now_log float8;                    -- with to without the index, in the trial
    agrees boolean;
BEGIN
    FOR q IN
        SELECT s.queryid, s.userid, a.n_without, a.logs_with, a.logs_without, a.n_1, a.time_1, a.time_var_1, a.n_with, a.ms_with,
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
        -- What changed without the index as well was something else: the cache is
        -- cold, sessions are new, the server has more to do.
        now_log := q.logs_with / q.n_with - q.logs_without / nullif(q.n_without, 0);
        agrees := q.n_without < 2 OR
                  (sign(now_log) = sign(ln(compared.ratio)) AND abs(now_log) >= abs(ln(compared.ratio)) / 2);
        IF NOT agrees THEN
            compared.ratio := exp(now_log);
            compared.low := 0;
            compared.high := 'Infinity';
        END IF;
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
-- the table against before, and only what is half as slow again counts; of what
-- runs seldom, as a report at night, what is five times as slow.
CREATE FUNCTION hone.find_after_hiding(action_id bigint) RETURNS void
LANGUAGE plpgsql VOLATILE STRICT PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
    alpha CONSTANT float8 := 0.01;
    enough CONSTANT bigint := 240;
    few CONSTANT bigint := 4;
    known CONSTANT bigint := 30;
    much CONSTANT float8 := 1.5;
    very_much CONSTANT float8 := 5;
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
                           alpha / (SELECT count(*) FROM b WHERE role <> 'other')) c
    WHERE b.role <> 'other'
      AND (b.n_after >= enough OR (b.n_after >= few AND c.ratio / d.ratio > very_much))
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

-- Is there a query on the table, of weight before, that has not run since, or only
-- without the index? One that is due: it came again and again, and is not missing
-- for long, by its own measure. What ran while the table was loaded does not come
-- back.
CREATE FUNCTION hone.trial_waits_for(action_id bigint) RETURNS boolean
LANGUAGE sql VOLATILE STRICT PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT EXISTS (
        SELECT FROM hone.trial_store t
             JOIN hone.trial_baseline_store b ON b.action_id = t.action_id
             JOIN hone.query_stats_memory(histograms => false) m
               ON m.queryid = b.queryid AND m.userid = b.userid AND m.toplevel = b.toplevel
              AND m.first_seen = b.first_seen
              AND m.dbid = (SELECT d.oid FROM pg_database d WHERE d.datname = current_database())
             LEFT JOIN hone.trial_query_store q
               ON q.action_id = t.action_id AND q.queryid = b.queryid AND q.userid = b.userid
        WHERE t.action_id = trial_waits_for.action_id
          AND t.server_started = pg_postmaster_start_time()
          AND b.role <> 'other' AND b.start_ms >= 0.01 * t.load_ms AND m.calls >= 3
          AND (m.last_seen < t.started_at OR (q.n_with = 0 AND q.n_without > 0))
          AND clock_timestamp() - m.last_seen < 3 * (m.last_seen - m.first_seen) / (m.calls - 1))
$$;
COMMENT ON FUNCTION hone.trial_waits_for(bigint) IS
    'Is a query on the table of a trial due that has not run since it began?';

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
        'to_come', NOT t.hidden AND hone.trial_waits_for(t.action_id),
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
