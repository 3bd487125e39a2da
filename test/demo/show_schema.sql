SELECT c.relname AS table_name, c.reltuples::bigint AS rows, pg_size_pretty(pg_table_size(c.oid)) AS size,
       (SELECT string_agg(x.relname, ', ' ORDER BY x.relname)
        FROM pg_index i JOIN pg_class x ON x.oid = i.indexrelid WHERE i.indrelid = c.oid) AS indexes
FROM pg_class c
WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'r' AND c.relowner = 'app'::regrole
ORDER BY c.reltuples DESC;
