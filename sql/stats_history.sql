-- History by the minute, the hour and the day. Everything is done in
-- transactions that are rolled back, so the collector does not interfere.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS pg_hone;
RESET client_min_messages;
SET timezone = 'UTC';

-- histograms
SELECT hone.histogram_pack('{1,5,600}', '{10,200,3000000000}'), hone.histogram_pack('{600,5,1,5}', '{3000000000,100,10,100}') AS unordered, hone.histogram_pack('{}', '{}') AS empty;
SELECT le_ms, count FROM hone.histogram_buckets(hone.histogram_pack('{0,1,630,631}', '{1,2,3,4}'));
SELECT hone.histogram_quantile(hone.histogram_pack('{1,2,3}', '{1,1,1}'), 0.5) = hone.histogram_quantile(hone.histogram_pack('{2}', '{7}'), 0.99) AS middle,
       hone.histogram_quantile('', 0.5) AS empty,
       hone.histogram_quantile(NULL, 0.5) AS unknown,
       hone.histogram_quantile(hone.histogram_pack('{631}', '{9223372036854775807}'), 0.5) BETWEEN 4e6 AND 5e6 AS longest;
SELECT hone.histogram_sum(hone.histogram_pack(b, c)) = hone.histogram_pack('{1,5,600}', '{10,21,2}') AS sum
FROM (VALUES ('{1,5}'::int[], '{10,20}'::bigint[]), ('{5,600}', '{1,2}'), (NULL, '{}'), ('{}', '{}')) h (b, c);
SELECT hone.histogram_sum(NULL) AS of_nulls, hone.histogram_sum(h) FILTER (WHERE false) AS of_nothing FROM (VALUES (''::bytea)) v (h);
SELECT hone.histogram_difference(hone.histogram_pack('{1,5,7}', '{10,20,3}'), hone.histogram_pack('{1,5,9}', '{4,20,1}')) = hone.histogram_pack('{1,7}', '{6,3}') AS difference;
-- a quantile of a sum is that of all executions together
SELECT count(*) AS wrong
FROM (SELECT hone.histogram_sum(hone.histogram_pack(ARRAY[i % 600], ARRAY[1::bigint])) AS sum,
             hone.histogram_pack(array_agg(i % 600), array_agg(1::bigint)) AS of_all FROM generate_series(1, 3000) i) h,
     unnest('{0.01,0.5,0.95,0.99,1}'::float8[]) q
WHERE hone.histogram_quantile(sum, q) IS DISTINCT FROM hone.histogram_quantile(of_all, q);
-- what cannot be one is refused
CREATE FUNCTION pg_temp.quantile(h bytea) RETURNS text LANGUAGE plpgsql AS $$
BEGIN RETURN round(hone.histogram_quantile(h, 1)::numeric, 6); EXCEPTION WHEN OTHERS THEN RETURN SQLSTATE || ' ' || SQLERRM; END $$;
SELECT h, pg_temp.quantile(h) FROM unnest('{"\\x0501","\\x05","\\x8501","\\x8101","\\xf70401","\\xf80401","\\x05010005","\\xffffffffffffffffff0101","\\x05ffffffffffffffffff01","\\x05ffffffffffffffffffffff01","\\x0500"}'::bytea[]) h;

-- minutes of what ran: exactly what was counted in memory, in two collections
BEGIN;
SELECT FROM hone.query_rollup_progress_store WHERE period = 'minute' FOR UPDATE \g /dev/null
DELETE FROM hone.query_history_store;
DELETE FROM hone.query_rollup_store;
SELECT hone.reset_query_stats() >= 0 AS reset;
SELECT 1 AS history_one, length('history');
SELECT 2 AS history_one, length('history');
SELECT hone.collect_query_stats() > 0 AS collected;
SELECT 3 AS history_one, length('history');
SELECT count(*) AS history_rows FROM generate_series(1, 10);
DO $$ BEGIN PERFORM 1 / 0; EXCEPTION WHEN division_by_zero THEN NULL; END $$;
SET plan_cache_mode = force_generic_plan;
PREPARE history_p(int) AS SELECT $1 AS history_generic;
EXECUTE history_p(1);
DEALLOCATE history_p;
RESET plan_cache_mode;
SET work_mem = '64kB';
SELECT count(*) AS history_temp FROM (SELECT g FROM generate_series(1, 20000) g ORDER BY g DESC OFFSET 1) s;
RESET work_mem;
CREATE TEMP TABLE history_dirty AS SELECT 1 AS a;
SET jit_above_cost = 0;
SELECT sum(relpages) >= 0 AS history_jit FROM pg_class;
RESET jit_above_cost;
SELECT hone.collect_query_stats() > 0 AS collected;
SELECT hone.collect_query_stats() > 0 AS collected;
SELECT query, sum(calls) AS calls, sum(rows) AS rows, max(calls) > 0 AND min(p50_ms) > 0 AND max(p99_ms) <= max(max_exec_ms) AS timed
FROM hone.query_rollup WHERE period = 'minute' AND query LIKE 'SELECT %history\_%' AND query NOT LIKE '%query\_%'
GROUP BY query ORDER BY query COLLATE "C";
SELECT count(*) > 10 AS many,
       count(*) FILTER (WHERE (h.calls, h.errors, h.rows, h.plans, h.histogram, h.wal_bytes, h.caught_errors, h.generic_plans,
                               h.shared_blks_dirtied, h.shared_blks_written, h.temp_blks_read)
                        IS DISTINCT FROM (r.calls, r.errors, r.rows, r.plans, r.histogram, r.wal_bytes, r.caught_errors, r.generic_plans,
                               r.shared_blks_dirtied, r.shared_blks_written, r.temp_blks_read)) AS different,
       count(*) FILTER (WHERE abs(h.total_exec_ms - r.total_exec_ms) > 1e-6 OR h.max_exec_ms < r.max_exec_ms
                        OR h.max_exec_ms > r.max_exec_ms * 1.03 OR abs(h.blk_read_ms - r.blk_read_ms) > 1e-6
                        OR abs(h.blk_write_ms - r.blk_write_ms) > 1e-6 OR abs(h.jit_ms - r.jit_ms) > 1e-6) AS times_different,
       sum(r.caught_errors) > 0 AS caught, sum(r.generic_plans) > 0 AS generic,
       sum(r.shared_blks_dirtied) > 0 AS dirtied, sum(r.temp_blks_read) > 0 AS temp
FROM hone.query_history_store h
FULL JOIN (SELECT queryid, userid, toplevel, sum(calls) AS calls, sum(errors) AS errors, sum(rows) AS rows, sum(plans) AS plans,
                  sum(total_exec_ms) AS total_exec_ms, max(max_exec_ms) AS max_exec_ms, sum(wal_bytes) AS wal_bytes,
                  sum(caught_errors) AS caught_errors, sum(generic_plans) AS generic_plans, sum(shared_blks_dirtied) AS shared_blks_dirtied,
                  sum(shared_blks_written) AS shared_blks_written, sum(temp_blks_read) AS temp_blks_read,
                  sum(blk_read_ms) AS blk_read_ms, sum(blk_write_ms) AS blk_write_ms, sum(jit_ms) AS jit_ms,
                  hone.histogram_sum(histogram) AS histogram
           FROM hone.query_rollup_store WHERE period = 'minute' GROUP BY 1, 2, 3) r USING (queryid, userid, toplevel);
-- nothing is counted twice, and a query forgotten in memory starts anew
SELECT 4 AS history_one, length('history');
SELECT hone.collect_query_stats() > 0 AS collected;
SELECT hone.reset_query_stats() > 0 AS reset;
SELECT 5 AS history_one, length('history');
SELECT hone.collect_query_stats() > 0 AS collected;
SELECT query, sum(calls) AS calls, count(DISTINCT h.first_seen) AS lives FROM hone.query_history h
WHERE query = 'SELECT $1 AS history_one, length($2)' GROUP BY query;
SELECT query, sum(calls) AS calls FROM hone.query_rollup WHERE period = 'minute' AND query = 'SELECT $1 AS history_one, length($2)' GROUP BY query;
-- an hour that is made already (the clock was set back): added there too
UPDATE hone.query_rollup_progress_store SET done_until = clock_timestamp() + interval '1 day';
SELECT 6 AS history_one, length('history');
SELECT hone.collect_query_stats() > 0 AS collected;
SELECT period, sum(calls) AS calls FROM hone.query_rollup WHERE query = 'SELECT $1 AS history_one, length($2)' GROUP BY period ORDER BY period;
-- texts are hidden from who may not see them
CREATE ROLE history_stranger;
GRANT INSERT ON ALL TABLES IN SCHEMA public TO history_stranger;
SET LOCAL ROLE history_stranger;
SELECT count(*) > 10 AS many, bool_and(query = '<insufficient privilege>') AS hidden FROM hone.query_rollup;
RESET ROLE;
ROLLBACK;

-- hours and days, of made-up minutes: three days with one call of each of two
-- queries in each minute, 0.2 and 0.4 ms
BEGIN;
SELECT FROM hone.query_rollup_progress_store WHERE period = 'minute' FOR UPDATE \g /dev/null
DELETE FROM hone.query_rollup_store;
UPDATE hone.query_rollup_progress_store SET done_until = '-infinity' WHERE period <> 'minute';
INSERT INTO hone.query_rollup_store
SELECT 'minute', t, q, 10, true, 1, 0, 0, q, 0.2 * q, 0.2 * q, 1, 0.1, 5, 0, 0, 0, 11, 12, 13, 14, 15, 16 * q, 17 * q, 18 * q, hone.histogram_pack(ARRAY[194 + 18 * q], '{1}')
FROM generate_series(timestamptz '2020-02-28 00:00', '2020-03-01 23:59', '1 minute') t, generate_series(1, 2) q;
SELECT hone.roll_up_query_stats() AS six_at_once;
SELECT period, count(*), min(bucket_start), max(bucket_start), sum(calls) FROM hone.query_rollup_store GROUP BY period ORDER BY min(bucket_start), period;
DO $$ BEGIN WHILE hone.roll_up_query_stats() > 0 LOOP END LOOP; END $$;
SELECT period, count(*), min(bucket_start), max(bucket_start), sum(calls) AS calls, sum(rows) AS rows, round(sum(total_exec_ms)::numeric, 3) AS total_exec_ms,
       sum(plans) AS plans, sum(shared_blks_hit) AS hits,
       hone.histogram_sum(histogram) = hone.histogram_pack('{212,230}', '{4320,4320}') AS histogram
FROM hone.query_rollup_store GROUP BY period ORDER BY period;
-- each figure in its own column, by the minute and by the day
SELECT period, sum(caught_errors) / 11.0 AS caught, sum(generic_plans) / 12.0 AS generic, sum(shared_blks_dirtied) / 13.0 AS dirtied,
       sum(shared_blks_written) / 14.0 AS written, sum(temp_blks_read) / 15.0 AS temp, sum(blk_read_ms) / 16 AS read,
       sum(blk_write_ms) / 17 AS write, sum(jit_ms) / 18 AS jit
FROM hone.query_rollup WHERE period IN ('minute', 'day') GROUP BY period ORDER BY period;
SELECT queryid, bucket_start, calls, round(mean_exec_ms::numeric, 6) AS mean_exec_ms, max_exec_ms, p50_ms = p99_ms AS same FROM hone.query_rollup WHERE period = 'day' ORDER BY bucket_start, queryid;
SELECT period, done_until > now() - interval '26 hours' AS up_to_date FROM hone.query_rollup_progress_store WHERE period <> 'minute' ORDER BY period;
-- the same boundaries in any time zone
SET LOCAL timezone = 'Asia/Kolkata';
DELETE FROM hone.query_rollup_store WHERE period <> 'minute';
UPDATE hone.query_rollup_progress_store SET done_until = '-infinity' WHERE period <> 'minute';
DO $$ BEGIN WHILE hone.roll_up_query_stats() > 0 LOOP END LOOP; END $$;
SET LOCAL timezone = 'UTC';
SELECT period, count(*), min(bucket_start), max(bucket_start), sum(calls) FROM hone.query_rollup_store GROUP BY period ORDER BY period;
ROLLBACK;

-- more queries than have rows of their own: those that took most time do, and
-- the totals are right
BEGIN;
SELECT FROM hone.query_rollup_progress_store WHERE period = 'minute' FOR UPDATE \g /dev/null
DELETE FROM hone.query_rollup_store;
CREATE FUNCTION pg_temp.figures(int, int, float8) RETURNS hone.query_rollup_store[] LANGUAGE sql AS $$
    SELECT array_agg(ROW('minute', now(), q, 10, true, 1, 0, 0, 1, q * $3, q * $3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, hone.histogram_pack(ARRAY[q % 600], '{1}'))::hone.query_rollup_store)
    FROM generate_series($1, $2) q $$;
SELECT hone.add_to_rollup('minute', '2020-01-01', pg_temp.figures(1, 1000, 1));
SELECT queryid = 0 AS other, count(*), sum(calls) AS calls, min(queryid), max(queryid) FROM hone.query_rollup_store GROUP BY 1;
-- those that have rows keep them, the others get none any more
SELECT hone.add_to_rollup('minute', '2020-01-01', pg_temp.figures(701, 1100, 9));
SELECT queryid = 0 AS other, count(*), sum(calls) AS calls, sum(total_exec_ms) AS total_exec_ms, min(queryid), max(queryid) FROM hone.query_rollup_store GROUP BY 1;
SELECT max(count) AS executions FROM hone.histogram_buckets((SELECT hone.histogram_sum(histogram) FROM hone.query_rollup_store));
SELECT queryid, username, toplevel, query, calls, mean_exec_ms > 0 AS mean FROM hone.query_rollup WHERE queryid IS NULL;
-- the other row takes part in hours
UPDATE hone.query_rollup_progress_store SET done_until = '-infinity' WHERE period <> 'minute';
SELECT hone.roll_up_query_stats();
SELECT period, count(*), sum(calls) AS calls, sum(calls) FILTER (WHERE queryid = 0) AS other FROM hone.query_rollup_store GROUP BY period ORDER BY period;
ROLLBACK;

-- expiry: minutes after a day, hours after two weeks, days after the retention;
-- not before they are made part of the longer period, but never later than that
BEGIN;
SELECT FROM hone.query_rollup_progress_store WHERE period = 'minute' FOR UPDATE \g /dev/null
DELETE FROM hone.query_rollup_store;
DELETE FROM hone.query_history_store;
INSERT INTO hone.query_rollup_store
SELECT p, now() - d * interval '1 day', 1, 10, true, 1, 0, 0, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, '\x0101'
FROM unnest('{minute,hour,day}'::text[]) p, unnest('{0.9,1.1,13.9,14.1,29.9,30.1}'::numeric[]) d;
UPDATE hone.query_rollup_progress_store SET done_until = now() - interval '20 days' WHERE period <> 'minute';
SELECT hone.expire_query_history() > 0 AS expired;
SELECT period, array_agg(round(extract(epoch FROM now() - bucket_start) / 86400, 1) ORDER BY bucket_start DESC) AS days FROM hone.query_rollup_store GROUP BY period ORDER BY period;
UPDATE hone.query_rollup_progress_store SET done_until = now() WHERE period <> 'minute';
SELECT hone.expire_query_history() > 0 AS expired;
SELECT period, array_agg(round(extract(epoch FROM now() - bucket_start) / 86400, 1) ORDER BY bucket_start DESC) AS days FROM hone.query_rollup_store GROUP BY period ORDER BY period;
-- in batches
INSERT INTO hone.query_rollup_store
SELECT 'minute', '2020-01-01', q, 10, true, 1, 0, 0, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, '\x0101' FROM generate_series(1, 12000) q;
SELECT hone.expire_query_history(), hone.expire_query_history(), hone.expire_query_history();
-- what is in memory keeps its stored row, which the next difference is taken from
SELECT 7 AS history_kept, reverse('history');
SELECT hone.collect_query_stats() > 0 AS collected;
INSERT INTO hone.query_history_store
SELECT userid, queryid, toplevel, first_seen - interval '40 days', command, query, last_seen - interval '31 days', 1, 0, 0, 1, 1, 1, 1, 0, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, '\x0101'
FROM hone.query_history_store WHERE query = 'SELECT $1 AS history_kept, reverse($2)';
UPDATE hone.query_history_store SET last_seen = last_seen - interval '31 days' WHERE query = 'SELECT $1 AS history_kept, reverse($2)' AND last_seen > now() - interval '1 day';
SELECT hone.expire_query_history() AS one;
SELECT 8 AS history_kept, reverse('history');
SELECT hone.collect_query_stats() > 0 AS collected;
SELECT sum(calls) AS calls FROM hone.query_rollup WHERE period = 'minute' AND query = 'SELECT $1 AS history_kept, reverse($2)';
ROLLBACK;

-- what the library says of itself
SELECT preloaded, enabled, durable, fixed_memory_bytes > 0 AS fixed, arena_bytes > 0 AS arena, entries BETWEEN 1 AND max_entries AS entries,
       evictions >= 0 AS evictions, rounds >= 0 AS rounds, launcher_cpu_ms > 0 AS launcher, collector_cpu_ms >= 0 AS collector
FROM hone.self_account;
SET pg_hone.enabled = off;
SELECT enabled, note FROM hone.self_account;
RESET pg_hone.enabled;
