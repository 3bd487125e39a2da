SELECT t.index_name, t.kind, t.state, t.turns, t.queries_using AS queries,
       t.executions_with AS "with", t.executions_without AS "without",
       round(extract(epoch FROM t.ended_at - t.started_at)) AS seconds, t.reason
FROM hone.trials t ORDER BY t.action_id;

\echo One of them as a story
\pset format unaligned
\pset tuples_only on
SELECT hone.explain_action(q.action_id)
FROM hone.trial_queries q WHERE q.finding = 'better' ORDER BY q.gain_ms DESC NULLS LAST LIMIT 1;
\pset format aligned
\pset tuples_only off
