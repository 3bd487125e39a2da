-- What every function and procedure answers to bad input: an error with a
-- SQLSTATE of its own that names what was wrong, or the harmless result that is
-- written here; nothing is changed by either. A routine that takes arguments
-- and is not in the table fails the first test.
SET client_min_messages = warning;
SET search_path = public;
SET timezone = 'UTC';
SELECT no_plan();

CREATE TABLE bad_t (id int PRIMARY KEY, at timestamptz, name text, n int);
INSERT INTO bad_t SELECT i, now(), i::text, i % 1000 FROM generate_series(1, 10000) i;
ANALYZE bad_t;
SELECT hone.create_feed('bad_feed', '1 hour', 10, 'live') \g /dev/null

-- state NULL: no error, and says is the number of rows.
CREATE TEMP TABLE bad (id serial, call text, state text, says text);
COPY bad (call, state, says) FROM STDIN WITH (DELIMITER '|');
SELECT * FROM hone.query_latency(NULL)|\N|0
SELECT * FROM hone.query_latency(0)|\N|0
SELECT * FROM hone.query_latency(-1)|\N|0
SELECT * FROM hone.query_stats_memory(NULL)|\N|0
SELECT * FROM hone.table_latency_histogram(NULL)|\N|0
SELECT * FROM hone.table_latency_histogram(NULL, NULL)|\N|0
SELECT * FROM hone.table_latency_histogram(0)|\N|0
SELECT * FROM hone.table_latency_histogram(4000000000, 'select')|\N|0
SELECT * FROM hone.table_latency_histogram('nowhere')|42P01|relation "nowhere" does not exist
SELECT * FROM hone.table_latency_histogram('bad_t', '')|22023|argument "command" is not a command tag: ""
SELECT * FROM hone.table_latency_histogram('bad_t', 'SELECT 1')|22023|argument "command" is not a command tag: "SELECT 1"
SELECT * FROM hone.trial_executions_memory(NULL)|\N|0
SELECT hone.forget_trial(NULL)|\N|1
SELECT hone.forget_trial(0)|\N|1
SELECT hone.forget_trial(-1)|\N|1
SELECT hone.forget_trial(9223372036854775807)|\N|1
SELECT hone.reset_query_stats(4294967295, NULL, NULL)|\N|1
SELECT hone.reset_query_stats(NULL, 0, NULL)|\N|1
SELECT hone.reset_query_stats(NULL, NULL, -1)|\N|1
SELECT hone.histogram_pack('{1,2}', '{1}')|2202E|"buckets" and "counts" must have the same length
SELECT hone.histogram_pack('{{1}}', '{1}')|2202E|"buckets" must be a one-dimensional array
SELECT hone.histogram_pack('{1}', '{NULL}')|22004|"counts" must not contain nulls
SELECT hone.histogram_pack('{632}', '{1}')|22003|"buckets" contains 632, which is not the number of a bucket
SELECT hone.histogram_pack('{-1}', '{1}')|22003|"buckets" contains -1, which is not the number of a bucket
SELECT hone.histogram_pack('{1}', '{-1}')|22003|"counts" must not contain negative numbers
SELECT hone.histogram_pack('{1,1,1}', '{9223372036854775807,9223372036854775807,9223372036854775807}')|\N|1
SELECT hone.histogram_pack(NULL, '{}')|\N|1
SELECT hone.histogram_quantile('', 0)|22023|"q" must be greater than 0 and at most 1
SELECT hone.histogram_quantile('', 1.1)|22023|"q" must be greater than 0 and at most 1
SELECT hone.histogram_quantile('', 'nan')|22023|"q" must be greater than 0 and at most 1
SELECT hone.histogram_quantile('', NULL)|\N|1
SELECT hone.histogram_quantile('x', 0.5)|22P03|invalid histogram
SELECT hone.histogram_sum('x')|22P03|invalid histogram
SELECT hone.histogram_sum(NULL)|\N|1
SELECT hone.histogram_buckets('x')|22P03|invalid histogram
SELECT hone.histogram_buckets(NULL)|\N|0
SELECT hone.histogram_difference('', 'x')|22P03|invalid histogram
SELECT hone.histogram_difference('', NULL)|\N|1
SELECT hone.histogram_accumulate(NULL, '')|42883|function hone.histogram_accumulate(unknown, unknown) does not exist
SELECT hone.histogram_finish(NULL)|42883|function hone.histogram_finish(unknown) does not exist
SELECT hone.add_to_rollup('year', now(), ARRAY[ROW('minute', now(), 1, 1, true, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, '')]::hone.query_rollup_store[])|23514|new row for relation "query_rollup_store" violates check constraint "query_rollup_store_period_check"
SELECT hone.add_to_rollup('minute', now(), '{}')|\N|1
SELECT hone.add_to_rollup(NULL, now(), '{}')|\N|1
SELECT hone.collect_step('nonsense')|22023|there is no step "nonsense" of the collector
SELECT hone.collect_step('reset_query_stats')|22023|there is no step "reset_query_stats" of the collector
SELECT hone.collect_step(NULL)|\N|1
SELECT hone.note_step(NULL, now(), NULL)|23502|null value in column "step" of relation "collector_store" violates not-null constraint
SELECT * FROM hone.slow_queries_memory(NULL)|\N|0
SELECT * FROM hone.slow_queries_memory(0, NULL)|\N|0
SELECT hone.slow_queries_stored(NULL)|\N|1
SELECT hone.slow_queries_stored(-1)|\N|1
SELECT * FROM hone.workload_memory(NULL, true)|\N|0
SELECT * FROM hone.workload_memory(0, NULL)|\N|0
SELECT * FROM hone.what_if(NULL, '{}')|22004|"statement" must not be null
SELECT * FROM hone.what_if('SELECT 1', NULL)|22023|"create_indexes" and "hide_indexes" are both empty
SELECT * FROM hone.what_if('SELECT * FROM bad_t WHERE id=1', ARRAY['CREATE INDEX ON nowhere (x)'])|42P01|relation "nowhere" does not exist
SELECT * FROM hone.what_if('SELECT * FROM bad_t WHERE id=1', ARRAY['CREATE INDEX ON bad_t (nope)'])|42703|column "nope" does not exist
SELECT * FROM hone.what_if('SELECT * FROM bad_t WHERE id=1', ARRAY['DROP TABLE bad_t'])|42601|not a CREATE INDEX statement
SELECT * FROM hone.what_if('SELECT * FROM bad_t WHERE id=1', ARRAY['CREATE INDEX ON bad_t (n); DROP TABLE bad_t'])|42601|expected exactly one CREATE INDEX statement, got 2
SELECT * FROM hone.what_if('SELECT * FROM bad_t WHERE id=1', ARRAY[NULL]::text[])|22004|"create_indexes" must not contain nulls
SELECT * FROM hone.what_if('SELECT * FROM bad_t WHERE id=1', ARRAY[''])|42601|expected exactly one CREATE INDEX statement, got 0
SELECT * FROM hone.what_if('SELECT * FROM bad_t WHERE id=1', ARRAY[['CREATE INDEX ON bad_t (n)'],['CREATE INDEX ON bad_t (at)']])|2202E|"create_indexes" must be a one-dimensional array
SELECT * FROM hone.what_if('SELECT * FROM bad_t WHERE id=1', ARRAY['CREATE INDEX ON pg_class (relname)'])|42501|permission denied: "pg_class" is a system catalog
SELECT * FROM hone.what_if('SELECT * FROM bad_t WHERE id=1', '{}', ARRAY[0]::regclass[])|42704|"hide_indexes" names a relation that does not exist
SELECT * FROM hone.what_if('SELECT * FROM bad_t WHERE id=1', '{}', ARRAY['bad_t']::regclass[])|42809|"bad_t" in "hide_indexes" is not an index
SELECT * FROM hone.what_if('SELECT * FROM bad_t WHERE id=1', '{}', ARRAY[4000000000::oid]::regclass[])|42704|"hide_indexes" names a relation that does not exist
SELECT * FROM hone.what_if('SELECT * FROM bad_t WHERE id=1', '{}', ARRAY[NULL]::regclass[])|22004|"hide_indexes" must not contain nulls
SELECT * FROM hone.what_if('SELECT * FROM bad_t WHERE id=1', '{}', '{}')|22023|"create_indexes" and "hide_indexes" are both empty
SELECT * FROM hone.what_if('SELECT * FROM bad_t WHERE id=$1', '{}', NULL, '{}')|22023|"create_indexes" and "hide_indexes" are both empty
SELECT * FROM hone.what_if('', ARRAY['CREATE INDEX ON bad_t (n)'])|42601|expected exactly one statement, got 0
SELECT * FROM hone.what_if('-- c', ARRAY['CREATE INDEX ON bad_t (n)'])|42601|expected exactly one statement, got 0
SELECT * FROM hone.what_if('SELEC 1', ARRAY['CREATE INDEX ON bad_t (n)'])|42601|syntax error at or near "SELEC"
SELECT * FROM hone.what_if('SELECT 1; SELECT 2', ARRAY['CREATE INDEX ON bad_t (n)'])|42601|expected exactly one statement, got 2
SELECT * FROM hone.what_if('SELECT * FROM nowhere', ARRAY['CREATE INDEX ON bad_t (n)'])|42P01|relation "nowhere" does not exist
SELECT * FROM hone.what_if('VACUUM bad_t', ARRAY['CREATE INDEX ON bad_t (n)'])|0A000|utility statements have no plan
SELECT * FROM hone.what_if('CREATE TABLE zz AS SELECT 1', ARRAY['CREATE INDEX ON bad_t (n)'])|0A000|utility statements have no plan
SELECT * FROM hone.what_if('SELECT * FROM bad_t WHERE id=$1', ARRAY['CREATE INDEX ON bad_t (n)'], NULL, ARRAY['x'])|22P02|invalid input syntax for type integer: "x"
SELECT * FROM hone.what_if('SELECT * FROM bad_t WHERE id=$1', ARRAY['CREATE INDEX ON bad_t (n)'], NULL, ARRAY['1','2'])|22023|"parameters" has 2 values, but the statement has 1 parameters
SELECT * FROM hone.what_if('SELECT * FROM bad_t WHERE id=$1', ARRAY['CREATE INDEX ON bad_t (n)'], NULL, '{}')|22023|"parameters" has 0 values, but the statement has 1 parameters
SELECT * FROM hone.what_if('SELECT * FROM bad_t WHERE id=$2', ARRAY['CREATE INDEX ON bad_t (n)'], NULL, ARRAY['1'])|42P18|could not determine data type of parameter $1
SELECT * FROM hone.what_if('SELECT * FROM bad_t WHERE id=$1', ARRAY['CREATE INDEX ON bad_t (n)'], NULL, ARRAY[NULL]::text[])|\N|1
SELECT * FROM hone.what_if('SELECT * FROM bad_t WHERE id=$1000000', ARRAY['CREATE INDEX ON bad_t (n)'])|42P18|could not determine data type of parameter $1
SELECT * FROM hone.what_if('SELECT * FROM bad_t WHERE id=$65535', ARRAY['CREATE INDEX ON bad_t (n)'])|42P18|could not determine data type of parameter $1
SELECT * FROM hone.what_if('SELECT * FROM bad_t WHERE id=$0', ARRAY['CREATE INDEX ON bad_t (n)'])|42P02|there is no parameter $0
SELECT * FROM hone.what_if('SELECT * FROM bad_t WHERE name=$1', ARRAY['CREATE INDEX ON bad_t (n)'], NULL, ARRAY[['a'],['b']])|2202E|"parameters" must be a one-dimensional array
SELECT * FROM hone.what_if('SELECT nextval(''nope'')', ARRAY['CREATE INDEX ON bad_t (n)'])|42P01|relation "nope" does not exist
SELECT * FROM hone.what_if('SELECT 1/0', ARRAY['CREATE INDEX ON bad_t (n)'])|22012|division by zero
SELECT * FROM hone.what_if('SELECT $1', ARRAY['CREATE INDEX ON bad_t (n)'])|\N|1
SELECT * FROM hone.what_if('DELETE FROM hone.nope', ARRAY['CREATE INDEX ON bad_t (n)'])|42P01|relation "hone.nope" does not exist
SELECT * FROM hone.what_if('SELECT 1', ARRAY['CREATE INDEX ON hone.recommendations (id)'])|42809|cannot create index on relation "recommendations"
SELECT * FROM hone.what_if('SELECT 1', ARRAY['CREATE UNIQUE INDEX ON bad_t (n)'])|0A000|unique indexes cannot be imagined
SELECT * FROM hone.what_if('SELECT 1', ARRAY['CREATE INDEX ON bad_t USING brin (n) WITH (pages_per_range = 0)'])|22023|value 0 out of bounds for option "pages_per_range"
SELECT * FROM hone.what_if('SELECT 1', ARRAY['CREATE INDEX ON bad_t USING nope (n)'])|42704|access method "nope" does not exist
SELECT * FROM hone.what_if('SELECT 1', ARRAY['CREATE INDEX ON bad_t USING hash (n, at)'])|0A000|access method "hash" does not support multicolumn indexes
SELECT * FROM hone.what_if('SELECT 1', ARRAY['CREATE INDEX ON bad_t (n) WITH (fillfactor=5)'])|22023|value 5 out of bounds for option "fillfactor"
SELECT * FROM hone.what_if('SELECT 1', ARRAY['CREATE INDEX ON bad_t (n) TABLESPACE nope'])|42704|tablespace "nope" does not exist
SELECT * FROM hone.what_if('SELECT 1', ARRAY['CREATE INDEX ON bad_t ((random()))'])|42P17|functions in index expression must be marked IMMUTABLE
SELECT * FROM hone.what_if('SELECT 1', ARRAY['CREATE INDEX bad_t_pkey ON bad_t (n)'])|\N|1
SELECT * FROM hone.recommend(-1)|22023|argument "storage_budget_bytes" must not be negative
SELECT * FROM hone.recommend(0)|\N|0
SELECT * FROM hone.recommend(NULL, -1)|22023|argument "max_indexes" must not be negative
SELECT * FROM hone.recommend(NULL, 0)|\N|0
SELECT hone.hide_index(NULL)|22004|argument "index" must not be null
SELECT hone.hide_index(0)|42704|index with OID 0 does not exist
SELECT hone.hide_index(4000000000)|42704|index with OID 4000000000 does not exist
SELECT hone.hide_index('nowhere')|42P01|relation "nowhere" does not exist
SELECT hone.hide_index('bad_t')|42809|"bad_t" is not an index
SELECT hone.hide_index('bad_t_pkey')|55000|index "bad_t_pkey" cannot be hidden
SELECT hone.hide_index('pg_class_oid_index')|42501|permission denied: "pg_class" is a system catalog
SELECT hone.show_index(NULL)|22004|argument "index" must not be null
SELECT hone.show_index(0)|42704|index with OID 0 does not exist
SELECT hone.show_index('bad_t')|42809|"bad_t" is not an index
SELECT hone.show_index('bad_t_pkey')|\N|1
SELECT hone.hide_for_trial(NULL, 'trial', 1, true)|22004|argument "index" must not be null
SELECT hone.hide_for_trial('bad_t_pkey', NULL, 1, true)|22004|argument "kind" must not be null
SELECT hone.hide_for_trial('bad_t_pkey', 'trial', NULL, true)|22004|argument "trial" must not be null
SELECT hone.hide_for_trial('bad_t_pkey', 'trial', 1, NULL)|22004|argument "arms" must not be null
SELECT hone.hide_for_trial('bad_t_pkey', 'manual', 1, true)|22023|argument "kind" must be "trial" or "drop"
SELECT hone.hide_for_trial('bad_t_pkey', 'trial', 0, true)|22023|argument "trial" must be positive
SELECT hone.hide_for_trial('bad_t_pkey', 'trial', 1, true)|55000|index "bad_t_pkey" cannot be hidden
SELECT hone.turn_trial(NULL)|\N|1
SELECT hone.turn_trial(-1)|\N|1
SELECT hone.restart_trials_beside(NULL)|\N|1
SELECT hone.restart_trials_beside(-1)|\N|1
SELECT * FROM hone.plan_arms(NULL)|\N|0
SELECT * FROM hone.plan_arms('')|42601|expected exactly one statement, got 0
SELECT * FROM hone.plan_arms('SELECT 1; SELECT 2')|42601|expected exactly one statement, got 2
SELECT * FROM hone.plan_arms('VACUUM bad_t')|0A000|utility statements have no plan
SELECT * FROM hone.plan_arms('SELECT * FROM nowhere')|42P01|relation "nowhere" does not exist
SELECT * FROM hone.recommend_for(NULL)|22004|argument "statements" must not be null
SELECT * FROM hone.recommend_for('{}')|22023|argument "statements" must not be empty
SELECT * FROM hone.recommend_for(ARRAY[NULL]::text[])|22004|argument "statements" must not contain nulls
SELECT * FROM hone.recommend_for(ARRAY[''])|42601|expected exactly one statement, got 0
SELECT * FROM hone.recommend_for(ARRAY['SELEC'])|42601|syntax error at or near "SELEC"
SELECT * FROM hone.recommend_for(ARRAY['SELECT 1; SELECT 2'])|42601|expected exactly one statement, got 2
SELECT * FROM hone.recommend_for(ARRAY['SELECT * FROM nowhere'])|42P01|relation "nowhere" does not exist
SELECT * FROM hone.recommend_for(ARRAY['VACUUM'])|0A000|utility statements have no plan
SELECT * FROM hone.recommend_for(ARRAY['SELECT 1'], ARRAY[1,2])|22023|argument "weights" must have as many elements as "statements"
SELECT * FROM hone.recommend_for(ARRAY['SELECT 1'], '{}')|22023|argument "weights" must have as many elements as "statements"
SELECT * FROM hone.recommend_for(ARRAY['SELECT 1'], ARRAY[-1])|22023|argument "weights" must contain finite numbers of zero or more
SELECT * FROM hone.recommend_for(ARRAY['SELECT 1'], ARRAY['NaN']::float8[])|22023|argument "weights" must contain finite numbers of zero or more
SELECT * FROM hone.recommend_for(ARRAY['SELECT 1'], ARRAY['Infinity']::float8[])|22023|argument "weights" must contain finite numbers of zero or more
SELECT * FROM hone.recommend_for(ARRAY['SELECT 1'], ARRAY[0])|\N|0
SELECT * FROM hone.recommend_for(ARRAY['SELECT 1'], ARRAY[NULL]::float8[])|22023|argument "weights" must contain finite numbers of zero or more
SELECT * FROM hone.recommend_for(ARRAY['SELECT 1'], NULL, -1)|22023|argument "storage_budget_bytes" must not be negative
SELECT * FROM hone.recommend_for(ARRAY['SELECT 1'], NULL, 0, -1)|22023|argument "max_indexes" must not be negative
SELECT * FROM hone.recommend_for(ARRAY['SELECT 1'], NULL, NULL, 0)|\N|0
SELECT * FROM hone.recommend_for(ARRAY[['SELECT 1'],['SELECT 2']])|2202E|argument "statements" must be a one-dimensional array
SELECT * FROM hone.recommend_for(ARRAY['SELECT 1'], ARRAY[[1.0]])|2202E|argument "weights" must be a one-dimensional array
SELECT * FROM hone.advise(NULL)|22004|argument "statement" must not be null
SELECT * FROM hone.advise('')|42601|expected exactly one statement, got 0
SELECT * FROM hone.advise('SELEC')|42601|syntax error at or near "SELEC"
SELECT * FROM hone.advise('SELECT 1; SELECT 2')|42601|expected exactly one statement, got 2
SELECT * FROM hone.advise('SELECT * FROM nowhere')|42P01|relation "nowhere" does not exist
SELECT * FROM hone.advise('VACUUM')|0A000|utility statements have no plan
SELECT * FROM hone.advise('SELECT * FROM bad_t WHERE id=$1', ARRAY['x'])|22P02|invalid input syntax for type integer: "x"
SELECT * FROM hone.advise('SELECT * FROM bad_t WHERE id=$1', '{}')|22023|"parameters" has 0 values, but the statement has 1 parameters
SELECT * FROM hone.advise('SELECT * FROM bad_t WHERE id=$1', ARRAY['1','2'])|22023|"parameters" has 2 values, but the statement has 1 parameters
SELECT * FROM hone.advise('SELECT 1/0')|22012|division by zero
SELECT * FROM hone.advise('SELECT $1')|\N|0
SELECT * FROM hone.advise('CREATE TABLE zz AS SELECT * FROM bad_t WHERE n=1')|0A000|utility statements have no plan
SELECT * FROM hone.advise('EXPLAIN SELECT * FROM bad_t WHERE n=1')|0A000|utility statements have no plan
SELECT * FROM hone.advise('DECLARE c CURSOR FOR SELECT * FROM bad_t WHERE n=1')|0A000|utility statements have no plan
SELECT * FROM hone.advise('SELECT * INTO zz FROM bad_t')|0A000|statements that create a table cannot be planned
SELECT * FROM hone.advise('SELECT * FROM pg_class WHERE relpages = 4')|\N|0
SELECT * FROM hone.advise('SELECT * FROM bad_t WHERE id=$1', ARRAY[['1']])|2202E|argument "parameters" must be a one-dimensional array
SELECT * FROM hone.examine_index(NULL)|22004|argument "index" must not be null
SELECT * FROM hone.examine_index('bad_t')|42809|"public.bad_t" is not an index
SELECT * FROM hone.examine_index('nowhere')|42P01|relation "nowhere" does not exist
SELECT * FROM hone.examine_index('pg_class_oid_index')|42809|"pg_class_oid_index" is no index of a user's table
SELECT * FROM hone.examine_index(0)|42809|"-" is not an index
SELECT * FROM hone.plan_without_index(NULL, NULL)|22004|argument "index" must not be null
SELECT * FROM hone.plan_without_index(1, NULL)|42704|index with OID 1 does not exist
SELECT * FROM hone.plan_without_index('bad_t', NULL)|42809|"bad_t" is not an index
SELECT * FROM hone.plan_without_index('bad_t_pkey', '{bad_t,1,NULL}')|\N|1
SELECT hone.index_covers(0, 1)|\N|1
SELECT hone.index_covers('bad_t'::regclass, 'bad_t_pkey'::regclass)|\N|1
SELECT hone.index_covers(NULL, 1)|\N|1
SELECT hone.leading_columns('1 2', 9, '{2,1}')|\N|1
SELECT hone.leading_columns('1 2', -1, '{}')|\N|1
SELECT hone.leading_columns('1 2', 2, '{NULL}')|22004|null array element not allowed in this context
SELECT hone.relation_bytes(0)|\N|1
SELECT hone.relation_bytes('pg_stat_activity'::regclass)|\N|1
SELECT hone.relation_bytes(NULL)|\N|1
SELECT hone.plan_captured(-1)|22023|argument "limit_ms" must not be negative
SELECT hone.plan_captured(NULL)|\N|1
SELECT hone.fresh_index_size('bad_t')|42809|"bad_t" is not an index
SELECT hone.fresh_index_size(1)|42704|index with OID 1 does not exist
SELECT hone.fresh_index_size(NULL)|\N|1
SELECT * FROM hone.index_costs('{}')|22023|argument "statements" must not be empty
SELECT * FROM hone.index_costs(ARRAY[NULL]::text[])|22004|argument "statements" must not contain nulls
SELECT * FROM hone.index_costs(NULL, '{1}')|22023|argument "weights" needs "statements"
SELECT * FROM hone.index_costs(ARRAY['SELECT 1'], '{1,2}')|22023|argument "weights" must have as many elements as "statements"
SELECT * FROM hone.index_costs(ARRAY['SELECT 1'], '{-1}')|22023|argument "weights" must contain finite numbers of zero or more
SELECT * FROM hone.index_costs(ARRAY['SELECT * FROM nowhere'])|42P01|relation "nowhere" does not exist
SELECT * FROM hone.index_costs(ARRAY['VACUUM'])|0A000|utility statements have no plan
SELECT hone.dismiss(NULL, 'x')|22004|argument "id" must not be null
SELECT hone.dismiss(-1, 'x')|42704|recommendation -1 does not exist
SELECT hone.dismiss(999999, 'x')|42704|recommendation 999999 does not exist
SELECT hone.dismiss(999999, NULL)|42704|recommendation 999999 does not exist
SELECT hone.dismiss(999999, '')|42704|recommendation 999999 does not exist
SELECT hone.plan_outline(NULL)|\N|1
SELECT hone.plan_outline('1')|\N|1
SELECT hone.plan_outline('[{"Plan": {"Plans": 5}}]')|\N|1
SELECT hone.plan_outline('[{"Plan": {"Node Type": "x", "Total Cost": "x"}}]')|22P02|invalid input syntax for type numeric: "x"
SELECT hone.auto_queue(NULL, NULL)|\N|1
SELECT hone.auto_queue(-1, 10)|42704|recommendation -1 does not exist
SELECT hone.auto_queue(999999, 0)|42704|recommendation 999999 does not exist
SELECT hone.auto_note_run(NULL)|\N|1
SELECT hone.auto_identity(-1)|\N|1
SELECT hone.auto_current(-1)|\N|1
SELECT hone.auto_obstacle(NULL, NULL, NULL)|\N|1
SELECT hone.auto_obstacle(-1, 1, 1)|\N|1
SELECT hone.export_migration(NULL)|\N|1
SELECT hone.export_migration('{}')|\N|1
SELECT hone.export_migration(ARRAY[NULL]::bigint[])|22004|argument "ids" must not contain nulls
SELECT hone.export_migration(ARRAY[[1]])|2202E|argument "ids" must be a one-dimensional array
SELECT hone.export_migration(ARRAY[-1])|42704|recommendation -1 does not exist
SELECT hone.export_migration(ARRAY[999999])|42704|recommendation 999999 does not exist
SELECT hone.migration_check(NULL, NULL)|\N|1
SELECT hone.migration_parts('nowhere', 'i', '(a)')|\N|1
SELECT hone.migration_parts(NULL, 'i', '(a)')|\N|1
SELECT hone.migration_part_name('', '')|\N|1
SELECT hone.migration_part_name(NULL, 'a')|\N|1
SELECT hone.lift_ban(NULL)|22004|argument "id" must not be null
SELECT hone.lift_ban(-1)|42704|ban -1 does not exist
SELECT hone.lift_ban(999999)|42704|ban 999999 does not exist
SELECT hone.ban_index(NULL)|\N|1
SELECT hone.ban_index(-1)|42704|action -1 does not exist
SELECT hone.index_identity(NULL)|\N|1
SELECT hone.index_identity('')|22023|argument "definition" is not CREATE INDEX
SELECT hone.index_identity('CREATE INDEX ON')|22023|argument "definition" is not CREATE INDEX
SELECT hone.index_identity('CREATE INDEX ON t (((')|22023|argument "definition" is not CREATE INDEX
SELECT hone.index_identity('CREATE INDEX ON t (a")')|22023|argument "definition" is not CREATE INDEX
SELECT hone.explain_recommendation(NULL)|\N|1
SELECT hone.explain_recommendation(-1)|42704|recommendation -1 does not exist
SELECT hone.explain_recommendation(999999)|42704|recommendation 999999 does not exist
CALL hone.apply(NULL, false)|22004|argument "id" must not be null
CALL hone.apply(-1, false)|42704|recommendation -1 does not exist
CALL hone.apply(999999, false)|42704|recommendation 999999 does not exist
CALL hone.apply(999999, NULL)|22004|argument "wait" must not be null
CALL hone.apply(999999)|25001|cannot wait for an index inside a transaction block or a function
CALL hone.apply_all(-1, false)|22023|argument "max_actions" must be positive
CALL hone.apply_all(0, false)|22023|argument "max_actions" must be positive
CALL hone.apply_all(NULL, NULL)|22004|argument "wait" must not be null
CALL hone.apply_all()|25001|cannot wait for an index inside a transaction block or a function
CALL hone.revert(NULL, false)|22004|argument "id" must not be null
CALL hone.revert(-1, false)|42704|recommendation -1 does not exist
CALL hone.revert(999999, false)|42704|recommendation 999999 does not exist
CALL hone.revert(999999, NULL)|22004|argument "wait" must not be null
CALL hone.reindex(NULL, false)|22004|argument "index" must not be null
CALL hone.reindex('pg_class_oid_index', NULL)|22004|argument "wait" must not be null
CALL hone.reindex(0, false)|42704|index with OID 0 does not exist
CALL hone.reindex('pg_class', false)|42809|"pg_class" is not an index
CALL hone.reindex('pg_class_oid_index', false)|42809|cannot change indexes of pg_catalog.pg_class
CALL hone.reindex('pg_class_oid_index')|25001|cannot wait for an index inside a transaction block or a function
SELECT * FROM hone.action_progress(NULL)|\N|1
SELECT * FROM hone.action_progress(-1)|\N|1
SELECT hone.student_t_tail(1, 0)|22023|argument "df" must be positive
SELECT hone.student_t_tail(1, -1)|22023|argument "df" must be positive
SELECT hone.student_t_tail(1, 'Infinity')|22023|argument "df" must be positive
SELECT hone.student_t_tail('NaN', 3)|\N|1
SELECT hone.student_t_tail(NULL, 3)|\N|1
SELECT hone.student_t_quantile(0, 3)|22023|argument "p" must be between 0 and 1
SELECT hone.student_t_quantile(1, 3)|22023|argument "p" must be between 0 and 1
SELECT hone.student_t_quantile('NaN', 3)|22023|argument "p" must be between 0 and 1
SELECT hone.student_t_quantile(0.5, 0)|22023|argument "df" must be positive
SELECT hone.student_t_quantile(NULL, 3)|\N|1
SELECT hone.compare_arms('{1}', '{1}', '{1}', '{1}', '{1}', '{}')|2202E|the arrays must have the same number of elements
SELECT hone.compare_arms('{-1}', '{1}', '{1}', '{1}', '{1}', '{1}')|22023|figures of block 1 are not those of a sample
SELECT hone.compare_arms('{1}', '{Infinity}', '{1}', '{1}', '{1}', '{1}')|22023|figures of block 1 are not those of a sample
SELECT hone.compare_arms('{1}', '{1}', '{NaN}', '{1}', '{1}', '{1}')|22023|figures of block 1 are not those of a sample
SELECT hone.compare_arms('{1}', '{1}', '{1}', '{1}', '{1}', '{1}', 2)|22023|argument "alpha" must be between 0 and 1
SELECT hone.compare_arms('{NULL}', '{NULL}', '{NULL}', '{NULL}', '{NULL}', '{NULL}')|\N|1
SELECT hone.compare_arms(array_fill(1::bigint, ARRAY[1025]), array_fill(1::float8, ARRAY[1025]), array_fill(1::float8, ARRAY[1025]), array_fill(1::bigint, ARRAY[1025]), array_fill(1::float8, ARRAY[1025]), array_fill(1::float8, ARRAY[1025]))|54000|cannot compare more than 1024 blocks
SELECT hone.compare_arms(NULL, '{}', '{}', '{}', '{}', '{}')|\N|1
SELECT hone.holm(NULL)|\N|1
SELECT hone.holm('{}')|\N|1
SELECT hone.holm('{NaN,NULL,-1,2}')|\N|1
SELECT hone.judge_trial(NULL)|\N|1
SELECT hone.judge_trial('1')|22023|cannot call populate_composite on a scalar
SELECT hone.judge_trial('{"queries": 1}')|22023|cannot call jsonb_to_recordset on a non-array
SELECT hone.judge_trial('{"age_s": "x"}')|22P02|invalid input syntax for type double precision: "x"
SELECT hone.judge_trial('{"queries": [{"weight": "NaN", "finding": "nonsense"}]}')|\N|1
SELECT hone.histogram_logs('x')|22P03|invalid histogram
SELECT hone.histogram_logs(NULL)|\N|1
SELECT hone.histogram_logs('')|\N|1
SELECT hone.trial_hide(0, 'trial', 1, true)|42704|index with OID 0 does not exist
SELECT hone.trial_hide('bad_t_pkey'::regclass, 'nonsense', 1, true)|23514|new row for relation "hidden_index_store" violates check constraint "hidden_index_store_kind_check"
SELECT hone.trial_hide('bad_t_pkey'::regclass, 'trial', -1, true)|22003|trial -1 cannot have arms
SELECT hone.trial_hide(NULL, 'trial', 1, true)|\N|1
SELECT hone.trial_hide_all(-1, true)|\N|1
SELECT hone.trial_hide_all(NULL, true)|\N|1
SELECT hone.trial_show_all(-1)|\N|1
SELECT hone.trial_show_all(NULL)|\N|1
SELECT hone.trial_tables(0)|\N|1
SELECT hone.trial_tables(NULL)|\N|0
SELECT hone.trial_action(-1)|42704|action -1 does not exist
SELECT hone.trial_action(NULL)|\N|1
SELECT hone.trial_row(-1)|42704|trial -1 does not exist
SELECT hone.trial_row(NULL)|\N|1
SELECT hone.why_no_trial(-1)|42704|action -1 does not exist
SELECT hone.why_no_trial(NULL)|\N|1
SELECT hone.prepare_trial(-1, 0)|42704|action -1 does not exist
SELECT hone.prepare_trial(NULL, 0)|\N|1
SELECT hone.note_baseline(-1)|42704|action -1 does not exist
SELECT hone.note_baseline(NULL)|\N|1
SELECT hone.begin_trial(-1, 'create')|42704|action -1 does not exist
SELECT hone.begin_trial(NULL, 'create')|\N|1
SELECT hone.give_up_trial(-1, 'x')|\N|1
SELECT hone.give_up_trial(NULL, 'x')|\N|1
SELECT hone.trial_arms(-1)|\N|0
SELECT hone.trial_arms(NULL)|\N|0
SELECT hone.measure_trial(-1)|42704|trial -1 does not exist
SELECT hone.measure_trial(NULL)|\N|1
SELECT hone.find_in_trial(-1)|\N|1
SELECT hone.find_in_trial(NULL)|\N|1
SELECT hone.trial_before_after(-1)|\N|0
SELECT hone.trial_before_after(NULL)|\N|0
SELECT hone.trial_writes(-1)|\N|1
SELECT hone.trial_writes(NULL)|\N|1
SELECT hone.find_before_after(-1)|\N|1
SELECT hone.find_before_after(NULL)|\N|1
SELECT hone.find_after_hiding(-1)|\N|1
SELECT hone.find_after_hiding(NULL)|\N|1
SELECT hone.trial_figures(-1, false)|\N|1
SELECT hone.trial_waits_for(-1)|\N|1
SELECT hone.trial_waits_for(NULL)|\N|1
SELECT hone.trial_figures(NULL, false)|\N|1
SELECT hone.trial_verdict(-1, 'x', 'x', 'x', NULL)|\N|1
SELECT hone.trial_verdict(NULL, 'x', 'x', 'x', NULL)|\N|1
SELECT hone.end_trial(-1, 'keep', true, 'x', 'x')|42704|trial -1 does not exist
SELECT hone.end_trial(NULL, 'keep', true, 'x', 'x')|\N|1
SELECT hone.stop_trial(-1, 0)|\N|1
SELECT hone.stop_trial(NULL, 0)|\N|1
SELECT hone.trial_obstacle(-1)|42704|action -1 does not exist
SELECT hone.trial_obstacle(NULL)|\N|1
SELECT hone.look_at_trial(-1)|42704|trial -1 does not exist
SELECT hone.look_at_trial(NULL)|\N|1
SELECT hone.watch_drop(-1)|\N|1
SELECT hone.watch_drop(NULL)|\N|1
SELECT hone.explain_action(-1)|42704|action -1 does not exist
SELECT hone.explain_action(NULL)|\N|1
SELECT hone.create_feed(NULL)|22004|feed must not be null
SELECT hone.create_feed('')|42602|feed must not be empty
SELECT hone.create_feed('f', NULL)|22004|window must not be null
SELECT hone.create_feed('f', '-1 hour')|22023|window must be between 1 second and 36500 days
SELECT hone.create_feed('f', '0')|22023|window must be between 1 second and 36500 days
SELECT hone.create_feed('f', '1 hour', 0)|22023|per_source must be at least 1
SELECT hone.create_feed('f', '1 hour', -1)|22023|per_source must be at least 1
SELECT hone.create_feed('f', '1 hour', 10, NULL)|22004|mode must not be null
SELECT hone.create_feed('f', '1 hour', 10, 'x')|22023|mode must be "auto", "live" or "stored"
SELECT hone.create_feed('f', '1 hour', 10, '')|22023|mode must be "auto", "live" or "stored"
SELECT hone.create_feed('f', '1 hour', 10, 'live', NULL)|22004|schema must not be null
SELECT hone.create_feed('f', '1 hour', 10, 'live', 'nowhere')|3F000|schema "nowhere" does not exist
SELECT hone.create_feed('f', '1 hour', 10, 'live', '')|3F000|schema "" does not exist
SELECT hone.create_feed('f', '1 hour', 10, 'live', 'pg_catalog')|3F000|schema "pg_catalog" cannot hold a feed
SELECT hone.create_feed('f', '1 hour', 10, 'live', 'hone')|3F000|schema "hone" cannot hold a feed
SELECT hone.create_feed('f', '100000000 years', 10, 'live')|22023|window must not be given in months or years
SELECT hone.create_feed('f', '290000 years', 10, 'live')|22023|window must not be given in months or years
SELECT hone.create_feed(repeat('x',70)::name, '1 hour', 10, 'live')|42622|feed name "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx" is too long
SELECT hone.create_feed('bad_feed')|42710|feed "bad_feed" already exists
SELECT hone.add_feed_source(NULL, 'bad_t', 't', 'at', 'name')|22004|feed must not be null
SELECT hone.add_feed_source('', 'bad_t', 't', 'at', 'name')|42704|feed "" does not exist
SELECT hone.add_feed_source('nowhere', 'bad_t', 't', 'at', 'name')|42704|feed "nowhere" does not exist
SELECT hone.add_feed_source('bad_feed', NULL, 't', 'at', 'name')|22004|relation must not be null
SELECT hone.add_feed_source('bad_feed', 0::regclass, 't', 'at', 'name')|42P01|relation with OID 0 does not exist
SELECT hone.add_feed_source('bad_feed', 4000000000::oid::regclass, 't', 'at', 'name')|42P01|relation with OID 4000000000 does not exist
SELECT hone.add_feed_source('bad_feed', 'bad_t_pkey', 't', 'at', 'name')|42809|relation "bad_t_pkey" is not a table or view
SELECT hone.add_feed_source('bad_feed', 'bad_t', NULL, 'at', 'name')|22004|type must not be null
SELECT hone.add_feed_source('bad_feed', 'bad_t', '', 'at', 'name')|22023|type must not be empty
SELECT hone.add_feed_source('bad_feed', 'bad_t', 't', NULL, 'name')|22004|time_column must not be null
SELECT hone.add_feed_source('bad_feed', 'bad_t', 't', '', 'name')|42703|time_column "" of relation "bad_t" does not exist
SELECT hone.add_feed_source('bad_feed', 'bad_t', 't', 'nope', 'name')|42703|time_column "nope" of relation "bad_t" does not exist
SELECT hone.add_feed_source('bad_feed', 'bad_t', 't', 'n', 'name')|42804|time_column "n" of relation "bad_t" is of type integer
SELECT hone.add_feed_source('bad_feed', 'bad_t', 't', 'at', NULL)|22004|title must not be null
SELECT hone.add_feed_source('bad_feed', 'bad_t', 't', 'at', '')|22023|title must not be empty
SELECT hone.add_feed_source('bad_feed', 'bad_t', 't', 'at', 'nope')|42703|column "nope" does not exist
SELECT hone.add_feed_source('bad_feed', 'bad_t', 't', 'at', 'name; DROP TABLE bad_t')|42601|syntax error at or near ";"
SELECT hone.add_feed_source('bad_feed', 'bad_t', 't', 'at', 'name) FROM bad_t; --')|42601|syntax error at or near ")"
SELECT hone.add_feed_source('bad_feed', 'bad_t', 't', 'at', 'name', '')|22023|description must not be empty
SELECT hone.add_feed_source('bad_feed', 'bad_t', 't', 'at', 'name', 'count(*)')|42803|description must not contain an aggregate function
SELECT hone.add_feed_source('bad_feed', 'bad_t', 't', 'at', 'name', NULL, '(SELECT 1)')|0A000|severity must not contain a subquery
SELECT hone.add_feed_source('bad_feed', 'bad_t', 't', 'at', 'name', NULL, NULL, 'n')|42804|argument of filter must be type boolean, not type integer
SELECT hone.add_feed_source('bad_feed', 'bad_t', 't', 'at', 'name', NULL, NULL, '')|22023|filter must not be empty
SELECT hone.add_feed_source('bad_feed', 'bad_t', 't', 'at', 'name', NULL, NULL, NULL, 'Mars')|22023|time_zone must be null for time_column "at" of relation "bad_t"
SELECT hone.add_feed_source('bad_feed', 'bad_t', 't', 'at', 'name', NULL, NULL, NULL, '')|22023|time_zone must be null for time_column "at" of relation "bad_t"
SELECT hone.add_feed_source('bad_feed', 'bad_t', 't', 'at', 'name', NULL, NULL, NULL, 'UTC')|22023|time_zone must be null for time_column "at" of relation "bad_t"
SELECT hone.add_feed_source('bad_feed', 'pg_class', 't', 'relname', 'relname')|42804|time_column "relname" of relation "pg_class" is of type name
SELECT hone.build_feed(NULL)|22004|feed must not be null
SELECT hone.build_feed('')|42704|feed "" does not exist
SELECT hone.build_feed('nowhere')|42704|feed "nowhere" does not exist
SELECT hone.build_feed('bad_feed')|55000|feed "bad_feed" has no source
SELECT * FROM hone.refresh_feed(NULL)|22004|feed must not be null
SELECT * FROM hone.refresh_feed('nowhere')|42704|feed "nowhere" does not exist
SELECT * FROM hone.refresh_feed('bad_feed')|55000|feed "bad_feed" has not been built
SELECT * FROM hone.refresh_feed('bad_feed', NULL)|22004|full must not be null
SELECT * FROM hone.refresh_feed('nowhere', NULL)|22004|full must not be null
SELECT * FROM hone.verify_feed(NULL)|22004|feed must not be null
SELECT * FROM hone.verify_feed('nowhere')|42704|feed "nowhere" does not exist
SELECT * FROM hone.verify_feed('bad_feed')|55000|feed "bad_feed" has not been built
SELECT hone.feed_failed(NULL, 'x')|22004|feed must not be null
SELECT hone.feed_failed('nowhere', 'x')|42704|feed "nowhere" does not exist
SELECT * FROM hone.refresh_recent_activities()|42704|feed "recent_activities" does not exist
SELECT hone.drop_feed(NULL)|22004|feed must not be null
SELECT hone.drop_feed('')|42704|feed "" does not exist
SELECT hone.drop_feed('nowhere')|42704|feed "nowhere" does not exist
SELECT hone.cron_job_name(NULL)|\N|1
SELECT hone.cron_job_name('')|\N|1
\.

SELECT is((SELECT string_agg(p.oid::regprocedure::text, ', ' ORDER BY 1) FROM pg_proc p
           WHERE p.pronamespace = 'hone'::regnamespace AND p.pronargs > 0
             AND NOT EXISTS (SELECT FROM bad WHERE position('hone.' || p.proname || '(' IN call) > 0)),
          NULL, 'every routine with arguments is asked');

CREATE FUNCTION pg_temp.answer(call text, OUT state text, OUT says text) LANGUAGE plpgsql AS $$
DECLARE
	n bigint;
BEGIN
	EXECUTE call;
	GET DIAGNOSTICS n = ROW_COUNT;
	says := CASE WHEN call LIKE 'CALL%' THEN 'called' ELSE n::text END;
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS state = RETURNED_SQLSTATE, says = MESSAGE_TEXT;
END $$;

-- All that a call could change: every table of the extension, and the relations.
CREATE FUNCTION pg_temp.everything() RETURNS text LANGUAGE sql AS $$
	SELECT md5(string_agg(c.relname || ':' || c.relfilenode || ':' ||
	           CASE WHEN c.relnamespace = 'hone'::regnamespace AND c.relkind = 'r'
	                THEN query_to_xml(format('SELECT count(*) FROM hone.%I', c.relname), true, false, '')::text
	                ELSE '' END, ',' ORDER BY c.oid))
	FROM pg_class c
	WHERE c.relnamespace IN ('hone'::regnamespace, 'public'::regnamespace)
	  -- what the collector writes meanwhile, and what it numbers
	  AND c.relkind <> 'S'
	  AND c.relname !~ '^(collector|query|sample|slow|workload|round|advisor_run|advisor_hint|run)'
$$;
CREATE TEMP TABLE bad_before AS SELECT pg_temp.everything() AS state;

SELECT is(ARRAY[a.state, a.says], ARRAY[b.state, b.says], b.call)
FROM (SELECT * FROM bad ORDER BY id) b, LATERAL pg_temp.answer(b.call) a;

SELECT is(pg_temp.everything(), (SELECT state FROM bad_before), 'and nothing was changed');
SELECT is((SELECT count(*) FROM bad WHERE state ~ '^XX'), 0::bigint, 'no internal error is expected');

SELECT hone.drop_feed('bad_feed') \g /dev/null
DROP TABLE bad_t;
SELECT * FROM finish();
