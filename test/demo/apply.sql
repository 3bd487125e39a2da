CALL hone.apply_all();
SELECT a.id, a.state, a.index_name, r.table_name,
       round(extract(epoch FROM a.finished_at - a.started_at)::numeric, 1) AS seconds, a.attempts, a.error
FROM hone.actions a JOIN hone.recommendations r ON r.id = a.recommendation_id ORDER BY a.id;
