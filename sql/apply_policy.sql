-- What is decided about an index on trial: every rule, and what it takes for it
-- not to apply.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS pg_hone;
RESET client_min_messages;

-- A query by its finding, with what is to be different.
CREATE FUNCTION pg_temp.q(finding text, other jsonb DEFAULT '{}') RETURNS jsonb LANGUAGE sql AS $$
    SELECT jsonb_build_object('expected', true, 'affected', true, 'weight', 0.1, 'executions', 300,
                              'looks', 3, 'finding', finding, 'total_ms', 3000, 'most_gain_ms', 1000)
           || CASE finding WHEN 'better' THEN '{"ratio": 0.5, "low": 0.4, "high": 0.6, "gain_ms": 1000}'
                           WHEN 'worse' THEN '{"ratio": 1.4, "low": 1.2, "high": 1.6, "gain_ms": -400}'
                           WHEN 'same' THEN '{"ratio": 1, "low": 0.98, "high": 1.02, "gain_ms": 5, "most_gain_ms": 60}'
                           ELSE '{"ratio": 1, "low": 0.6, "high": 1.4, "gain_ms": 0}' END::jsonb
           || other
$$;
CREATE FUNCTION pg_temp.judge(what text, queries jsonb[], other jsonb DEFAULT '{}')
RETURNS TABLE (what text, verdict text, rule text) LANGUAGE sql AS $$
    SELECT what, decision || CASE WHEN conclusive OR decision IN ('go on', 'hide') THEN ''
                                  ELSE ' (inconclusive)' END, rule
    FROM hone.judge_trial('{"age_s": 3600, "limit_s": 259200, "executions": 300, "what_if_gain": 0.5}'
                          || other || jsonb_build_object('queries', to_jsonb(queries)))
$$;

SELECT * FROM pg_temp.judge('nothing known', '{}', '{"executions": 0}');

-- worse: one query that weighs
SELECT * FROM pg_temp.judge('much worse', ARRAY[pg_temp.q('better', '{"gain_ms": 1e6}'), pg_temp.q('worse', '{"ratio": 2}')])
UNION ALL SELECT * FROM pg_temp.judge('of little weight', ARRAY[pg_temp.q('better', '{"gain_ms": 1e6}'), pg_temp.q('worse', '{"ratio": 2, "weight": 0.019}')])
UNION ALL SELECT * FROM pg_temp.judge('less worse', ARRAY[pg_temp.q('better', '{"gain_ms": 1e6}'), pg_temp.q('worse', '{"ratio": 1.49}')])
UNION ALL SELECT * FROM pg_temp.judge('not clearly', ARRAY[pg_temp.q('better', '{"gain_ms": 1e6}'), pg_temp.q('worse', '{"ratio": 2, "low": 1.09}')])
UNION ALL SELECT * FROM pg_temp.judge('not certain', ARRAY[pg_temp.q('better', '{"gain_ms": 1e6}'), pg_temp.q('open', '{"ratio": 2, "low": 0.9, "gain_ms": -1000}')])
UNION ALL SELECT * FROM pg_temp.judge('does not use it', ARRAY[pg_temp.q('better'), pg_temp.q('worse', '{"ratio": 2, "affected": false}')]);

-- losses
SELECT * FROM pg_temp.judge('more than gains', ARRAY[pg_temp.q('better', '{"gain_ms": 399}'), pg_temp.q('worse')])
UNION ALL SELECT * FROM pg_temp.judge('less than gains', ARRAY[pg_temp.q('better', '{"gain_ms": 401}'), pg_temp.q('worse')])
UNION ALL SELECT * FROM pg_temp.judge('may be made up for yet', ARRAY[pg_temp.q('worse'), pg_temp.q('open', '{"gain_ms": 500, "executions": 10, "looks": 0}')])
UNION ALL SELECT * FROM pg_temp.judge('without weight, before enough is known', ARRAY[pg_temp.q('worse', '{"weight": 0.009}'), pg_temp.q('open', '{"executions": 60}')]);

-- writes
SELECT * FROM pg_temp.judge('slower, net loss', ARRAY[pg_temp.q('better')], '{"writes_expected": true, "writes": 100, "writes_low": 1.2, "writes_loss_ms": 1001}')
UNION ALL SELECT * FROM pg_temp.judge('slower, net gain', ARRAY[pg_temp.q('better')], '{"writes_expected": true, "writes": 100, "writes_low": 1.2, "writes_loss_ms": 999}')
UNION ALL SELECT * FROM pg_temp.judge('not clearly slower', ARRAY[pg_temp.q('better', '{"executions": 100}')], '{"writes_expected": true, "writes": 100, "writes_low": 1.05, "writes_loss_ms": 1001}')
UNION ALL SELECT * FROM pg_temp.judge('a query is waited for', ARRAY[pg_temp.q('better'), pg_temp.q('open', '{"looks": 0, "executions": 10}')], '{"writes_expected": true, "writes": 100, "writes_low": 1.2, "writes_loss_ms": 1001}')
UNION ALL SELECT * FROM pg_temp.judge('not known yet', ARRAY[pg_temp.q('better')], '{"age_s": 60, "writes_expected": true, "writes": 29}')
UNION ALL SELECT * FROM pg_temp.judge('not known for long', ARRAY[pg_temp.q('better')], '{"age_s": 601, "writes_expected": true, "writes": 29}');

-- unused
SELECT * FROM pg_temp.judge('expected ones came', ARRAY[pg_temp.q('open', '{"affected": false}')])
UNION ALL SELECT * FROM pg_temp.judge('one did not', ARRAY[pg_temp.q('open', '{"affected": false}'), pg_temp.q('open', '{"affected": false, "executions": 239}')])
UNION ALL SELECT * FROM pg_temp.judge('none expected, enough others', ARRAY[pg_temp.q('open', '{"affected": false, "expected": false, "executions": 2}')])
UNION ALL SELECT * FROM pg_temp.judge('none expected, few others', '{}', '{"executions": 239}')
UNION ALL SELECT * FROM pg_temp.judge('one uses it', ARRAY[pg_temp.q('open', '{"affected": false}'), pg_temp.q('open', '{"executions": 5, "looks": 0}')]);

-- no gain
SELECT * FROM pg_temp.judge('the same', ARRAY[pg_temp.q('same')])
UNION ALL SELECT * FROM pg_temp.judge('could be some', ARRAY[pg_temp.q('open', '{"most_gain_ms": 151}')])
UNION ALL SELECT * FROM pg_temp.judge('could not', ARRAY[pg_temp.q('open', '{"most_gain_ms": 149}')])
UNION ALL SELECT * FROM pg_temp.judge('few executions', ARRAY[pg_temp.q('same', '{"executions": 239}')])
UNION ALL SELECT * FROM pg_temp.judge('few of one without weight', ARRAY[pg_temp.q('same'), pg_temp.q('same', '{"executions": 9, "weight": 0.001, "looks": 0}')])
UNION ALL SELECT * FROM pg_temp.judge('none has weight', ARRAY[pg_temp.q('same', '{"weight": 0.001}'), pg_temp.q('same', '{"executions": 9, "weight": 0.001}')]);

-- no net gain
SELECT * FROM pg_temp.judge('worse but not clearly', ARRAY[pg_temp.q('better', '{"gain_ms": 10}'), pg_temp.q('worse', '{"low": 1.05, "gain_ms": -11}')])
UNION ALL SELECT * FROM pg_temp.judge('before enough is known', ARRAY[pg_temp.q('better', '{"gain_ms": 10, "executions": 200}'), pg_temp.q('worse', '{"low": 1.05, "gain_ms": -11}')]);

-- gain
SELECT * FROM pg_temp.judge('at the first look', ARRAY[pg_temp.q('better', '{"looks": 1, "executions": 30}')])
UNION ALL SELECT * FROM pg_temp.judge('at an early look', ARRAY[pg_temp.q('better', '{"looks": 1, "executions": 8}')])
UNION ALL SELECT * FROM pg_temp.judge('one gains as the other loses', ARRAY[pg_temp.q('better', '{"weight": 0.004, "executions": 30, "gain_ms": 985}'), pg_temp.q('worse', '{"weight": 0.006, "executions": 30, "gain_ms": -947, "low": 34}')])
UNION ALL SELECT * FROM pg_temp.judge('of no weight', ARRAY[pg_temp.q('better', '{"weight": 0.001}')])
UNION ALL SELECT * FROM pg_temp.judge('better, yet dearer in total', ARRAY[pg_temp.q('better', '{"gain_ms": -5}')])
UNION ALL SELECT * FROM pg_temp.judge('one of weight without a look', ARRAY[pg_temp.q('better'), pg_temp.q('open', '{"looks": 0, "executions": 29}')])
UNION ALL SELECT * FROM pg_temp.judge('not longer than a third', ARRAY[pg_temp.q('better'), pg_temp.q('open', '{"looks": 0, "executions": 29}')], '{"age_s": 86400}')
UNION ALL SELECT * FROM pg_temp.judge('one without weight or look', ARRAY[pg_temp.q('better'), pg_temp.q('open', '{"looks": 0, "executions": 29, "weight": 0.009}')])
UNION ALL SELECT * FROM pg_temp.judge('one may be much worse', ARRAY[pg_temp.q('better'), pg_temp.q('open', '{"looks": 1, "executions": 30, "high": 1.6}')])
UNION ALL SELECT * FROM pg_temp.judge('not after enough', ARRAY[pg_temp.q('better'), pg_temp.q('open', '{"looks": 4, "executions": 240, "high": 1.6}')])
UNION ALL SELECT * FROM pg_temp.judge('not, by its limit', ARRAY[pg_temp.q('better'), pg_temp.q('open', '{"looks": 1, "executions": 30, "high": 1.4}')]);

-- gain: what is not certain yet, and what has not come yet
SELECT * FROM pg_temp.judge('one of weight much slower so far', ARRAY[pg_temp.q('better', '{"gain_ms": 999}'), pg_temp.q('open', '{"looks": 0, "executions": 2, "gain_ms": -1000, "total_ms": 1100}')], '{"age_s": 86400}')
UNION ALL SELECT * FROM pg_temp.judge('less than gains', ARRAY[pg_temp.q('better', '{"gain_ms": 1001}'), pg_temp.q('open', '{"looks": 0, "executions": 2, "gain_ms": -1000, "total_ms": 1100}')], '{"age_s": 86400}')
UNION ALL SELECT * FROM pg_temp.judge('a little slower', ARRAY[pg_temp.q('better', '{"gain_ms": 999}'), pg_temp.q('open', '{"gain_ms": -1000, "total_ms": 3000}')])
UNION ALL SELECT * FROM pg_temp.judge('until the time is up', ARRAY[pg_temp.q('better', '{"gain_ms": 999}'), pg_temp.q('open', '{"looks": 0, "executions": 2, "gain_ms": -1000, "total_ms": 1100}')], '{"age_s": 604800}')
UNION ALL SELECT * FROM pg_temp.judge('one is due', ARRAY[pg_temp.q('better')], '{"to_come": true}')
UNION ALL SELECT * FROM pg_temp.judge('not for longer than a third', ARRAY[pg_temp.q('better')], '{"to_come": true, "age_s": 86400}')
UNION ALL SELECT * FROM pg_temp.judge('harm does not wait', ARRAY[pg_temp.q('worse', '{"ratio": 2}')], '{"to_come": true}')
UNION ALL SELECT * FROM pg_temp.judge('a drop does', ARRAY[pg_temp.q('open', '{"affected": false}')], '{"kind": "drop", "to_come": true, "limit_s": 604800}');

-- the time is up
SELECT * FROM pg_temp.judge('used, promised', ARRAY[pg_temp.q('open')], '{"age_s": 259200}')
UNION ALL SELECT * FROM pg_temp.judge('used, little promised', ARRAY[pg_temp.q('open')], '{"age_s": 259200, "what_if_gain": 0.19}')
UNION ALL SELECT * FROM pg_temp.judge('not used', ARRAY[pg_temp.q('open', '{"affected": false, "executions": 30}')], '{"age_s": 259200}')
UNION ALL SELECT * FROM pg_temp.judge('rare', ARRAY[pg_temp.q('open', '{"executions": 29, "looks": 0}')], '{"age_s": 604799}')
UNION ALL SELECT * FROM pg_temp.judge('rare, after a week', ARRAY[pg_temp.q('open', '{"executions": 29, "looks": 0}')], '{"age_s": 604800}')
UNION ALL SELECT * FROM pg_temp.judge('nobody came', ARRAY[pg_temp.q('open', '{"affected": false, "executions": 0, "looks": 0}')], '{"age_s": 604800, "executions": 0}')
UNION ALL SELECT * FROM pg_temp.judge('a loss without weight', ARRAY[pg_temp.q('worse', '{"weight": 0.001}'), pg_temp.q('open', '{"gain_ms": 500}')], '{"age_s": 259200}')
UNION ALL SELECT * FROM pg_temp.judge('it cannot go on', ARRAY[pg_temp.q('open')], '{"over": true}');

-- drops: worse is without the index
SELECT * FROM pg_temp.judge('hurts', ARRAY[pg_temp.q('worse', '{"weight": 0.001}')], '{"kind": "drop"}')
UNION ALL SELECT * FROM pg_temp.judge('not clearly', ARRAY[pg_temp.q('worse', '{"low": 1.05, "executions": 100, "looks": 0}')], '{"kind": "drop"}')
UNION ALL SELECT * FROM pg_temp.judge('used, not worse', ARRAY[pg_temp.q('same')], '{"kind": "drop"}')
UNION ALL SELECT * FROM pg_temp.judge('used, not enough', ARRAY[pg_temp.q('same', '{"executions": 239}')], '{"kind": "drop"}')
UNION ALL SELECT * FROM pg_temp.judge('not used', ARRAY[pg_temp.q('open', '{"affected": false}')], '{"kind": "drop"}')
UNION ALL SELECT * FROM pg_temp.judge('not used, not enough', '{}', '{"kind": "drop", "executions": 9}')
UNION ALL SELECT * FROM pg_temp.judge('for a day', '{}', '{"kind": "drop", "executions": 9, "limit_s": 604800, "age_s": 86400}')
UNION ALL SELECT * FROM pg_temp.judge('used rarely', ARRAY[pg_temp.q('open', '{"executions": 9, "looks": 0}')], '{"kind": "drop", "limit_s": 604800, "age_s": 302399}')
UNION ALL SELECT * FROM pg_temp.judge('for half its time', ARRAY[pg_temp.q('open', '{"executions": 9, "looks": 0}')], '{"kind": "drop", "limit_s": 604800, "age_s": 302400}')
UNION ALL SELECT * FROM pg_temp.judge('hidden', ARRAY[pg_temp.q('open')], '{"kind": "drop", "hidden": true}')
UNION ALL SELECT * FROM pg_temp.judge('hidden, hurts', ARRAY[pg_temp.q('worse')], '{"kind": "drop", "hidden": true}')
UNION ALL SELECT * FROM pg_temp.judge('hidden for its time', ARRAY[pg_temp.q('open')], '{"kind": "drop", "hidden": true, "age_s": 259200}')
UNION ALL SELECT * FROM pg_temp.judge('it cannot go on', ARRAY[pg_temp.q('same')], '{"kind": "drop", "hidden": true, "over": true}');

-- every rule has a reason
SELECT decision, conclusive, rule, reason
FROM unnest(ARRAY['{"queries": [{"affected": true, "finding": "worse", "ratio": 2, "low": 2, "weight": 1}]}',
                  '{"executions": 240}', '{"over": true, "kind": "drop"}', '{}']::jsonb[]) f,
     hone.judge_trial(f);
SELECT * FROM hone.judge_trial(NULL);
