-- Who may do what, and that everything says what it is.
SET client_min_messages = warning;
SET search_path = public;
SELECT plan(16);

-- Everything in the schema came with the extension.
CREATE TEMP VIEW routines AS
SELECT p.oid, p.oid::regprocedure::text AS name, p.proname, l.lanname, p.proconfig, p.prosecdef, p.proacl, p.proowner
FROM pg_proc p JOIN pg_language l ON l.oid = p.prolang WHERE p.pronamespace = 'hone'::regnamespace;
CREATE TEMP VIEW relations AS
SELECT c.oid, c.oid::regclass::text AS name, c.relname, c.relkind, c.reloptions, c.relowner
FROM pg_class c WHERE c.relnamespace = 'hone'::regnamespace;

SELECT is((SELECT string_agg(name, ', ' ORDER BY name) FROM routines r
           WHERE NOT EXISTS (SELECT FROM pg_depend WHERE classid = 'pg_proc'::regclass AND objid = r.oid AND deptype = 'e')),
          NULL, 'every routine belongs to the extension');
SELECT is((SELECT string_agg(name, ', ' ORDER BY name) FROM relations r WHERE relkind IN ('r', 'v', 'm')
           AND NOT EXISTS (SELECT FROM pg_depend WHERE classid = 'pg_class'::regclass AND objid = r.oid AND deptype = 'e')),
          NULL, 'every table and view belongs to the extension');

-- What PUBLIC may execute: functions that only read, and hide by themselves
-- what the caller may not see. A name is added here only after that was checked.
CREATE TEMP TABLE public_routine (proname name PRIMARY KEY);
INSERT INTO public_routine VALUES
('query_stats_memory'), ('query_latency'), ('query_stats_info_row'),
('query_errors_memory'), ('query_tables_memory'), ('nested_queries_memory'),
('table_latency_memory'), ('table_latency_histogram'),
('histogram_quantile'), ('histogram_buckets'), ('histogram_sum'),	-- of what the caller gives
('slow_queries_memory'), ('slow_queries_info_row'),
('workload_memory'), ('workload_info_row'),
('pool_counters'), ('pool_peaks'),
('collector_databases'),			-- empty without pg_read_all_stats
('collector_cost'), ('capture_cost'), ('self_account_row'),	-- about the library, nobody's data
('explain_recommendation'),			-- reads hone.recommendations as the caller
('plan_outline'),					-- of what the caller gives
('action_progress'),					-- nulls, unless the caller has the role's privileges
('cron_jobs'), ('cron_job_name');	-- what pg_cron itself shows the caller
SELECT is((SELECT string_agg(name, ', ' ORDER BY name) FROM routines
           WHERE has_function_privilege('public', oid, 'EXECUTE')
             AND proname NOT IN (SELECT proname FROM public_routine)),
          NULL, 'PUBLIC executes nothing but what is listed');
SELECT is((SELECT string_agg(name, ', ' ORDER BY name) FROM routines
           WHERE has_function_privilege('public', oid, 'EXECUTE') AND prosecdef),
          NULL, 'PUBLIC executes no security definer function');
SELECT is((SELECT string_agg(name, ', ' ORDER BY name) FROM relations
           WHERE relkind IN ('r', 'p', 'm') AND has_table_privilege('public', oid,
                 'SELECT, INSERT, UPDATE, DELETE, TRUNCATE, REFERENCES, TRIGGER')),
          NULL, 'PUBLIC may not touch a table');
SELECT is((SELECT string_agg(name, ', ' ORDER BY name) FROM relations
           WHERE relkind IN ('r', 'v', 'm') AND has_any_column_privilege('public', oid, 'INSERT, UPDATE, REFERENCES')),
          NULL, 'PUBLIC may change no column');
SELECT is((SELECT string_agg(name, ', ' ORDER BY name) FROM relations
           WHERE CASE WHEN relkind = 'S' THEN has_sequence_privilege('public', oid, 'USAGE, SELECT, UPDATE') END),
          NULL, 'PUBLIC may not touch a sequence');
SELECT is((SELECT string_agg(name, ', ' ORDER BY name) FROM relations
           WHERE relkind = 'v' AND has_table_privilege('public', oid, 'INSERT, UPDATE, DELETE, TRUNCATE, REFERENCES, TRIGGER')),
          NULL, 'PUBLIC may only read views');
SELECT ok(NOT has_schema_privilege('public', 'hone', 'CREATE') AND has_schema_privilege('public', 'hone', 'USAGE'),
          'PUBLIC may use the schema, and not create in it');

SELECT is((SELECT string_agg(name, ', ' ORDER BY name) FROM routines
           WHERE (lanname IN ('sql', 'plpgsql') OR prosecdef)
             AND NOT coalesce('search_path=pg_catalog, pg_temp' = ANY (proconfig), false)),
          NULL, 'every function in SQL and PL/pgSQL has the search path pinned');

SELECT is((SELECT string_agg(name, ', ' ORDER BY name) FROM relations
           WHERE relkind = 'v' AND NOT coalesce('security_barrier=true' = ANY (reloptions)
                                                OR 'security_barrier=on' = ANY (reloptions), false)),
          NULL, 'every view is a security barrier');
SELECT is((SELECT string_agg(name, ', ' ORDER BY name) FROM routines WHERE obj_description(oid, 'pg_proc') IS NULL),
          NULL, 'every routine says what it does');
SELECT is((SELECT string_agg(name, ', ' ORDER BY name) FROM relations
           WHERE relkind IN ('r', 'v', 'm') AND obj_description(oid, 'pg_class') IS NULL),
          NULL, 'every table and view says what it holds');
SELECT is((SELECT string_agg(name, ', ' ORDER BY name) FROM pg_settings
           WHERE name LIKE 'pg\_hone.%' AND short_desc !~ '^[A-Z][a-z]+s? .*\.$'),
          NULL, 'every setting is described by a sentence');
SELECT is((SELECT string_agg(name, ', ' ORDER BY name) FROM relations r
           WHERE relkind = 'r' AND NOT EXISTS (SELECT FROM pg_index WHERE indrelid = r.oid AND indisprimary)),
          NULL, 'every table has a primary key');

-- What a superuser later acts on must not be somebody else's to write.
SELECT is((SELECT string_agg(name, ', ' ORDER BY name)
           FROM (SELECT name, relowner AS owner FROM relations WHERE relkind IN ('r', 'v', 'S', 'm')
                 UNION ALL SELECT name, proowner FROM routines) o
           WHERE owner <> (SELECT extowner FROM pg_extension WHERE extname = 'pg_hone')),
          NULL, 'everything is owned by the extension''s owner');
SELECT * FROM finish();
