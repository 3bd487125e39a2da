-- How the arms of a trial are compared.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS pg_hone;
RESET client_min_messages;

-- Student's t, against the tables: t, degrees of freedom, both tails
SELECT df, t, p, round(hone.student_t_tail(t, df)::numeric, 5) AS tail,
       round(hone.student_t_quantile(p, df)::numeric, 3) AS quantile
FROM (VALUES (12.706, 1, 0.05), (63.657, 1, 0.01), (4.303, 2, 0.05), (9.925, 2, 0.01),
             (2.571, 5, 0.05), (6.869, 5, 0.001), (2.228, 10, 0.05), (3.169, 10, 0.01),
             (2.042, 30, 0.05), (3.646, 30, 0.001), (1.980, 120, 0.05), (2.617, 120, 0.01),
             (1.960, 1e7, 0.05), (2.576, 1e7, 0.01)) v (t, df, p);
-- by its closed forms: df 1 is 1 - 2/pi atan t, df 2 is 1 - t / sqrt(2 + t^2); far out too
SELECT t, abs(hone.student_t_tail(t, 1) / ((1 - 2 / pi() * atan(t)) + 1e-300) - 1) < 1e-9 AS one,
       abs(hone.student_t_tail(t, 2) / (2 / (2 + t * t + t * sqrt(2 + t * t))) - 1) < 1e-9 AS two
FROM (VALUES (0.0::float8), (0.001), (0.5), (1), (3), (50), (1000)) v (t);
-- the quantile undoes the tail, from degrees of freedom below one to very many
SELECT bool_and(abs(hone.student_t_tail(hone.student_t_quantile(p, df), df) / p - 1) < 1e-9)
FROM unnest(ARRAY[1e-10, 1e-4, 0.005, 0.3, 0.999]) p, unnest(ARRAY[0.7, 1, 3.3, 29, 1e3, 1e5, 1e6, 1e9]) df;
SELECT hone.student_t_tail('Infinity', 3), hone.student_t_tail('-Infinity', 3), hone.student_t_tail(0, 3),
       hone.student_t_tail('NaN', 3), hone.student_t_tail(NULL, 3);
SELECT hone.student_t_tail(1, 0);
SELECT hone.student_t_tail(1, 'NaN');
SELECT hone.student_t_quantile(0, 3);
SELECT hone.student_t_quantile(1, 3);
SELECT hone.student_t_quantile(0.5, -1);

-- Welch's test of two samples (as any textbook gives them)
SELECT executions_with, executions_without, round(ln(ratio)::numeric, 6) AS difference,
       round(error::numeric, 6) AS error, round(df::numeric, 4) AS df, round(p_value::numeric, 6) AS p,
       round(ln(low)::numeric, 4) AS low, round(ln(high)::numeric, 4) AS high, blocks, blocks_left_out
FROM hone.compare_arms('{15}', '{20.82}', '{2.0}', '{20}', '{19.31}', '{12.0}', 0.05);
-- two blocks: the mean of their differences, by n1 n0 / (n1 + n0); what is between blocks does not count
SELECT round(ln(ratio)::numeric, 6) AS difference, round(error::numeric, 6) AS error, round(df::numeric, 3) AS df, blocks
FROM hone.compare_arms('{30,60}', '{1,101}', '{1,1}', '{30,20}', '{2,101.5}', '{1,1}');
-- blocks with an empty arm are left out and counted; so are those of which no spread is known
SELECT executions_with, executions_without, ratio IS NOT NULL AS known, blocks, blocks_left_out
FROM (VALUES ('{30,5,0}'::bigint[], '{30,0,0}'::bigint[]), ('{30,0}', '{0,30}'), ('{1,1}', '{1,1}'),
             ('{2,1}', '{2,1}'), ('{}', '{}')) v (w, o),
     LATERAL hone.compare_arms(w, (array_fill(1.5, ARRAY[9]))[1:cardinality(w)], (array_fill(1, ARRAY[9]))[1:cardinality(w)],
                               o, (array_fill(1, ARRAY[9]))[1:cardinality(w)], (array_fill(1, ARRAY[9]))[1:cardinality(w)]) c;
-- always the same number of blocks: no spread, and yet a difference in the ninth digit is none
SELECT p_value < 0.01 AS significant
FROM (VALUES (3.000000001), (3.0), (3.01)) v (mean),
     LATERAL hone.compare_arms('{30}', ARRAY[mean], '{0}', '{30}', '{3}', '{0}') c;
SELECT * FROM hone.compare_arms('{1,2}', '{1}', '{1}', '{1}', '{1}', '{1}');
SELECT * FROM hone.compare_arms('{-1}', '{1}', '{1}', '{1}', '{1}', '{1}');
SELECT * FROM hone.compare_arms('{9}', '{NaN}', '{1}', '{9}', '{1}', '{1}');
SELECT * FROM hone.compare_arms('{9}', '{1}', '{-1}', '{9}', '{1}', '{1}');
SELECT * FROM hone.compare_arms('{9}', '{1}', '{1}', '{9}', '{1}', '{1}', 0);

-- Holm
SELECT hone.holm('{0.01,0.04,0.03,0.005}'), hone.holm('{0.5,NULL,0.4}'), hone.holm('{}'), hone.holm('{0.003}');

-- Backends that differ, arms of unequal size, and tails: how often is a difference
-- found where there is none (level 1 %), and where there is one?
CREATE FUNCTION simulate(kind text, effect float8, per_arm int, runs int, seed float8) RETURNS float8
LANGUAGE plpgsql AS $$
DECLARE
    found int := 0;
    c record;
BEGIN
    PERFORM setseed(seed);
    FOR run IN 1 .. runs LOOP
        SELECT x.* INTO c
        FROM (SELECT array_agg(n_1 ORDER BY b) n_1, array_agg(m_1 ORDER BY b) m_1, array_agg(v_1 ORDER BY b) v_1,
                     array_agg(n_0 ORDER BY b) n_0, array_agg(m_0 ORDER BY b) m_0, array_agg(v_0 ORDER BY b) v_0
              FROM (SELECT b, count(*) FILTER (WHERE arm) AS n_1, coalesce(avg(y) FILTER (WHERE arm), 0) AS m_1,
                           coalesce(var_samp(y) FILTER (WHERE arm), 0) AS v_1,
                           count(*) FILTER (WHERE NOT arm) AS n_0, coalesce(avg(y) FILTER (WHERE NOT arm), 0) AS m_0,
                           coalesce(var_samp(y) FILTER (WHERE NOT arm), 0) AS v_0
                    FROM (SELECT b, arm,
                                 2.0 * b + CASE WHEN arm THEN effect ELSE 0 END
                                 + CASE kind
                                   WHEN 'normal' THEN z
                                   WHEN 'exponential' THEN ln(-ln(1 - u))            -- of the times
                                   WHEN 'two plans' THEN 0.3 * z + CASE WHEN u < 0.1 THEN 5 ELSE 0 END
                                   WHEN 'pareto' THEN -ln(1 - u) END AS y
                          FROM (SELECT b, arm, random() AS u,
                                       sqrt(-2 * ln(1 - random())) * cos(2 * pi() * random()) AS z
                                FROM (SELECT i % 8 AS b, random() < CASE WHEN i % 8 < 3 THEN 0.3 ELSE 0.6 END AS arm
                                      FROM generate_series(1, 2 * per_arm) i) e) r) s
                    GROUP BY b) g) a,
             hone.compare_arms(n_1, m_1, v_1, n_0, m_0, v_0) x;
        found := found + (c.p_value < 0.01)::int;
    END LOOP;
    RETURN found::float8 / runs;
END $$;
SELECT kind, n, simulate(kind, 0, n, 500, 0.5) <= 0.03 AS level_is_kept
FROM unnest(ARRAY['normal', 'exponential', 'two plans', 'pareto']) kind, unnest(ARRAY[30, 120]) n;
SELECT kind, simulate(kind, ln(0.5), 120, 100, 0.25) >= 0.9 AS finds_half
FROM unnest(ARRAY['normal', 'exponential', 'pareto']) kind;
SELECT simulate('normal', ln(1.1), 2000, 20, 0.1) >= 0.2 AS finds_ten_percent_in_many;

DROP FUNCTION simulate;
