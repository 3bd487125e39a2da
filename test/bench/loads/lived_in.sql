SELECT count(*) FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid JOIN pg_type t ON t.oid = a.atttypid WHERE c.relname LIKE 'pg_st%';
SELECT count(*) FROM information_schema.columns WHERE table_name LIKE 'pgbench%';
SELECT count(*) FROM (SELECT md5(i::text) m, array_agg(i) FROM generate_series(1, 300) i GROUP BY 1 ORDER BY 1) s;
SELECT count(*) FROM pg_stat_user_tables;
SELECT length(string_agg(proname, ',')) FROM (SELECT proname FROM pg_proc ORDER BY oid LIMIT 500) s;
