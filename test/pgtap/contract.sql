-- The names a user calls and the columns they have. More columns may come; a
-- name listed here may not change.
SET client_min_messages = warning;
SET search_path = public;

CREATE TEMP TABLE wanted (relation text PRIMARY KEY, columns text[]);
INSERT INTO wanted VALUES
('query_stats', '{userid,username,dbid,datname,queryid,toplevel,command,query,calls,errors,cancels,rows,total_exec_ms,mean_exec_ms,min_exec_ms,max_exec_ms,stddev_exec_ms,p50_ms,p95_ms,p99_ms,plans,total_plan_ms,shared_blks_hit,shared_blks_read,temp_blks_written,wal_bytes,first_seen,last_seen,caught_errors,custom_plans,generic_plans,shared_blks_dirtied,shared_blks_written,local_blks_hit,local_blks_read,local_blks_dirtied,local_blks_written,temp_blks_read,blk_read_ms,blk_write_ms,wal_records,wal_fpi,jit_functions,jit_ms}'),
('query_errors', '{userid,username,dbid,datname,queryid,toplevel,query,sqlstate,sqlclass,sqlclass_name,errors,caught,last_seen}'),
('query_tables', '{userid,username,dbid,datname,queryid,query,relid,table_name,executions,target_executions,seq_rows_read,index_rows_read,rows_read,rows_returned,read_to_returned}'),
('nested_queries', '{top_queryid,top_query,queryid,query,userid,username,dbid,datname,calls,errors,rows,total_exec_ms}'),
('table_latency', '{dbid,datname,command,relid,table_name,calls,errors,total_exec_ms,mean_exec_ms,p50_ms,p95_ms,p99_ms}'),
('query_stats_info', '{entries,evictions,error_entries,error_evictions,table_entries,table_evictions,nested_entries,nested_evictions,latency_entries,latency_evictions,trial_entries,trial_evictions}'),
('trial_executions', '{trial,queryid,userid,username,query,block,visible,executions,cancels,used,rows,total_exec_ms,mean_log_ms,var_log_ms,total_blocks,mean_log_blocks,var_log_blocks,wal_bytes}'),
('query_rollup', '{period,bucket_start,username,queryid,query,calls,errors,cancels,rows,total_exec_ms,mean_exec_ms,max_exec_ms,p50_ms,p95_ms,p99_ms,plans,total_plan_ms,shared_blks_hit,shared_blks_read,temp_blks_written,wal_bytes,caught_errors,generic_plans,shared_blks_dirtied,shared_blks_written,temp_blks_read,blk_read_ms,blk_write_ms,jit_ms}'),
('self_account', '{preloaded,enabled,durable,note,fixed_memory_bytes,arena_bytes,entries,evictions,rounds,launcher_cpu_ms,collector_cpu_ms,capture_ms}'),
('slow_queries', '{id,logged_at,username,datname,application_name,client_addr,queryid,query,parameters,duration_ms,plan_ms,rows,plan,shared_blks_hit,shared_blks_read,temp_blks_written,outcome,sqlstate,toplevel,top_queryid,command,plan_kind,jit_ms,blk_read_ms,temp_blks_read,wal_bytes}'),
('slow_queries_info', '{entries,captured,overwritten,overwritten_unstored,rate_limited,lost,plans_lost}'),
('workload', '{queryid,username,query,calls,weight,samples,tables}'),
('workload_samples', '{queryid,query,parameters,duration_ms,captured_at}'),
('recommendations', '{id,run_id,created_at,status,action,table_name,access_method,definition,undo_definition,size_bytes,cost_before,cost_after,improvement,write_cost,queries_helped,queries_hurt,reason,cost_without,key_roles,risks}'),
('recommendation_queries', '{recommendation_id,queryid,query,calls,cost_before,cost_after,plan_before,plan_after,write_cost}'),
('auto_status', '{mode,last_run,next_run,run_id,waiting_for,pending,failures,last_error}'),
('bans', '{id,action,table_name,definition,reverted_at,until,times,active,finding,measured_gain,evidence,lifted_at,lifted_by}'),
('advisor_hints', '{run_id,queryid,username,query,kind,hint,evidence,example}'),
('rejected_candidates', '{run_id,definition,reason,improvement,size_bytes}'),
('advisor_runs', '{run_id,started_at,elapsed_ms,queries,candidates,planner_calls,priced_configurations,cost_before,cost_after,lower_bound,gap,storage_budget_bytes,max_indexes,cpu_ms,skipped}'),
('actions', '{id,recommendation_id,state,index_name,started_at,finished_at,attempts,error,undo_definition,phase,blocks_done,blocks_total,tuples_done,tuples_total,current_locker_pid,waiting_for,retry_at,verdict,trial,automatic,parts_done,parts_total}'),
('hidden_indexes', '{index_name,table_name,kind,trial,arms,turn,hidden_by,hidden_at,size_bytes}'),
('index_health', '{index_name,table_name,problem,size_bytes,scans,last_used,evidence,suggestion,safe,index_oid,relid,write_cost}'),
('index_usage', '{index_name,table_name,queryid,query,username,calls,last_seen}'),
('trials', '{action_id,index_name,table_name,kind,state,started_at,turns,looks,queries,executions_with,executions_without,finding}'),
('trial_queries', '{action_id,queryid,query,username,executions_with,executions_without,mean_ms_with,mean_ms_without,ratio,ratio_low,ratio_high,blocks_with,blocks_without,uses_index,weight,finding}'),
('pool_stats', '{datname,username,application_name,client_addr,total,active,idle,idle_in_transaction,waiting,oldest_transaction_s,oldest_idle_s,peak_total}'),
('pool_summary', '{}'),
('feed_status', '{}'),
('jobs', '{}');

-- Functions: argument names that a caller may write, and the result's columns
-- ({} where the contract does not say).
CREATE TEMP TABLE wanted_function (name text, kind "char", arguments text, columns text[]);
INSERT INTO wanted_function VALUES
('query_latency', 'f', 'queryid bigint', '{le_ms,count}'),
('table_latency_histogram', 'f', 'relation regclass, command text', '{le_ms,count}'),
('reset_query_stats', 'f', 'userid oid, dbid oid, queryid bigint', '{}'),
('recommend', 'f', 'storage_budget_bytes bigint, max_indexes integer',
 '{id,run_id,created_at,status,action,table_name,access_method,definition,undo_definition,size_bytes,cost_before,cost_after,improvement,write_cost,queries_helped,queries_hurt,reason}'),
('recommend_for', 'f', 'statements text[], weights double precision[], storage_budget_bytes bigint, max_indexes integer',
 '{id,run_id,created_at,status,action,table_name,access_method,definition,undo_definition,size_bytes,cost_before,cost_after,improvement,write_cost,queries_helped,queries_hurt,reason}'),
('advise', 'f', 'statement text, parameters text[]', '{}'),
('what_if', 'f', 'statement text, create_indexes text[], hide_indexes regclass[], parameters text[]',
 '{cost_before,cost_after,plan_before,plan_after,indexes_used,size_bytes}'),
('hide_index', 'f', 'index regclass', '{}'),
('show_index', 'f', 'index regclass', '{}'),
('examine_index', 'f', 'index regclass', '{safe,worse}'),
('explain_recommendation', 'f', 'id bigint', '{}'),
('explain_action', 'f', 'id bigint', '{}'),
('apply', 'p', 'id bigint, wait boolean, trial boolean', '{}'),
('apply_all', 'p', NULL, '{}'),
('revert', 'p', 'id bigint', '{}'),
('reindex', 'p', 'index regclass, wait boolean', '{}'),
('dismiss', 'f', 'id bigint, reason text', '{}'),
('export_migration', 'f', 'ids bigint[]', '{}'),
('lift_ban', 'f', 'id bigint', '{}'),
('create_feed', 'f', 'feed name, "window" interval, per_source integer, mode text', '{}'),
('add_feed_source', 'f', 'feed name, relation regclass, type text, time_column name, title text, description text, severity text, filter text, time_zone text', '{}'),
('build_feed', 'f', 'feed name', '{}'),
('refresh_feed', 'f', 'feed name, "full" boolean', '{}'),
('verify_feed', 'f', 'feed name', '{}'),
('drop_feed', 'f', 'feed name', '{}'),
('refresh_recent_activities', 'f', '', '{}'),
('schedule', 'f', NULL, '{}'),
('unschedule', 'f', NULL, '{}');

CREATE TEMP TABLE wanted_setting (name text, boot_val text);
INSERT INTO wanted_setting VALUES
('enabled', 'on'), ('track', NULL), ('max_queries', NULL), ('slow_query_ms', '100'),
('slow_plan_ms', '1000'), ('slow_query_rate_limit', NULL), ('capture_parameters', NULL),
('retention', NULL), ('log_failed', 'on'), ('max_slow_log_size', '256'), ('max_builds', '1'), ('build_window', ''),
('builds_per_day', '0'), ('build_attempts', '5'), ('max_disk_usage', '90'), ('max_transaction_age', '300'),
('auto', 'advise'), ('advise_interval', '86400'), ('auto_runs', '3'), ('auto_builds_per_day', '2'), ('auto_max_trials', '5'), ('auto_size_limit', '10');

SELECT plan((SELECT count(*) FROM wanted)::int + 2 * (SELECT count(*) FROM wanted_function)::int
            + (SELECT count(*) FROM wanted_setting)::int + 1);

SELECT is((SELECT array_agg(w ORDER BY n)::text FROM unnest(columns) WITH ORDINALITY AS u(w, n)
           WHERE NOT EXISTS (SELECT FROM pg_attribute a
                             WHERE a.attrelid = to_regclass('hone.' || relation)
                               AND a.attname = w AND a.attnum > 0 AND NOT a.attisdropped)),
          CASE WHEN to_regclass('hone.' || relation) IS NULL THEN 'the view' END,
          format('hone.%s has its columns', relation))
FROM wanted;

-- The arguments come first and in this order; a function may have more.
CREATE TEMP VIEW found AS
SELECT p.oid, p.proname, p.prokind, p.prorettype, p.prorows,
       (SELECT string_agg(format('%s %s', quote_ident(n), format_type(t, NULL)), ', ' ORDER BY ord)
        FROM unnest(p.proargnames[1:p.pronargs], p.proargtypes::oid[]) WITH ORDINALITY AS a(n, t, ord)) AS arguments,
       CASE WHEN p.proallargtypes IS NULL
            THEN (SELECT array_agg(a.attname::text) FROM pg_type t JOIN pg_attribute a ON a.attrelid = t.typrelid
                  WHERE t.oid = p.prorettype AND a.attnum > 0 AND NOT a.attisdropped)
            ELSE (SELECT array_agg(n) FROM unnest(p.proargnames, p.proargmodes) AS a(n, m) WHERE m IN ('o', 't', 'b'))
       END AS columns
FROM pg_proc p WHERE p.pronamespace = 'hone'::regnamespace;

SELECT ok(EXISTS (SELECT FROM found f WHERE f.proname = w.name AND f.prokind = w.kind
                  AND (w.arguments IS NULL OR coalesce(f.arguments, '') = w.arguments
                       OR starts_with(coalesce(f.arguments, ''), w.arguments || ', '))),
          format('hone.%s(%s) exists', w.name, w.arguments))
FROM wanted_function w;
SELECT ok(EXISTS (SELECT FROM found f WHERE f.proname = w.name AND coalesce(f.columns, '{}') @> w.columns),
          format('hone.%s returns its columns', w.name))
FROM wanted_function w;

SELECT ok(EXISTS (SELECT FROM pg_settings s WHERE s.name = 'pg_hone.' || w.name
                  AND (w.boot_val IS NULL OR s.boot_val = w.boot_val)),
          format('pg_hone.%s exists%s', w.name, ', default ' || w.boot_val))
FROM wanted_setting w;

SELECT is((SELECT string_agg(a.attname, ', ') FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
           WHERE c.relnamespace = 'hone'::regnamespace AND c.relkind = 'v' AND a.attnum > 0
             AND a.atttypid = 'interval'::regtype AND a.attname !~ '_(ms|s)$'
             AND c.relname <> 'feed_status'),
          NULL, 'times in views are numbers with their unit in the name');
SELECT * FROM finish();
