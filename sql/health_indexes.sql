-- hone.index_health: unused, invalid, missing for foreign keys, blocking HOT; with
-- what must keep an index out of it, and what planning without it says.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS pg_hone;
RESET client_min_messages;
SET pg_hone.enabled = off;
CREATE SCHEMA health_indexes;
SET search_path = health_indexes, public;
CREATE VIEW found AS
    SELECT replace(index_name, 'health_indexes.', '') AS index, replace(table_name, 'health_indexes.', '') AS "table",
           problem, replace(suggestion, 'health_indexes.', '') AS suggestion, safe, evidence
    FROM hone.index_health WHERE table_name ~ '^health_indexes\.';
CREATE FUNCTION age(days int) RETURNS void LANGUAGE sql AS $$
    UPDATE hone.index_use_store SET since = now() - days * interval '1 day'
    WHERE relid IN (SELECT oid FROM pg_class WHERE relnamespace = 'health_indexes'::regnamespace)
$$;

-- Nobody has scanned these. Some have to stay all the same.
CREATE TABLE parent (id int PRIMARY KEY, other int);
CREATE UNIQUE INDEX parent_other ON parent (other);
CREATE TABLE work (id int PRIMARY KEY, parent int REFERENCES parent, other int REFERENCES parent (other),
    a int, b int, c int, d int NOT NULL, e int4range, EXCLUDE USING gist (e WITH &&)) WITH (autovacuum_enabled = off);
INSERT INTO parent SELECT i, i FROM generate_series(1, 100) i;
INSERT INTO work SELECT i, i % 100 + 1, i % 100 + 1, i, i % 10, i % 7, i, int4range(i, i + 1) FROM generate_series(1, 5000) i;
CREATE INDEX work_a ON work (a);
CREATE INDEX work_b ON work (b);
CREATE INDEX work_c ON work (c);
CREATE INDEX work_lower ON work ((a + b)) WHERE c = 1;
CREATE INDEX work_parent ON work (parent);
CREATE INDEX work_parent_c ON work (parent, c);
CREATE UNIQUE INDEX work_d ON work (d);
ALTER TABLE work REPLICA IDENTITY USING INDEX work_d;
ALTER TABLE work CLUSTER ON work_b;
ANALYZE parent, work;
SELECT pg_stat_force_next_flush();
SELECT hone.collect_index_use() > 0 AS collected;
SELECT index, problem FROM found WHERE problem = 'unused' ORDER BY 1;
SELECT age(40);
SELECT index, problem, suggestion FROM found WHERE problem = 'unused' ORDER BY 1;
SELECT regexp_replace(evidence, '[0-9]{4}-[0-9-]+', 'DATE') AS evidence FROM found WHERE index = 'work_a';
SET pg_hone.unused_index_age = '60d';
SELECT index, problem FROM found WHERE problem = 'unused' ORDER BY 1;
RESET pg_hone.unused_index_age;
-- work_parent_c does the work of another, which is used
SELECT index, problem FROM found WHERE index ~ 'parent' ORDER BY 1;
-- a scan, and it is unused no longer; the day and the time are kept
SET enable_seqscan = off;
SELECT count(*) FROM work WHERE a = 5;
RESET enable_seqscan;
SELECT pg_stat_force_next_flush();
SELECT index, problem FROM found WHERE problem = 'unused' ORDER BY 1;
SELECT hone.collect_index_use() > 0 AS collected;
SELECT index, problem FROM found WHERE problem = 'unused' ORDER BY 1;
SELECT index_name, day = current_date AS today, scans FROM hone.index_scan_history WHERE index_name = 'health_indexes.work_a' ORDER BY 1;
SELECT i.relname, u.last_used > now() - interval '1 minute' AS just_now FROM hone.index_use_store u JOIN pg_class i ON i.oid = u.index_oid
WHERE u.last_used IS NOT NULL AND i.oid = 'work_a'::regclass;
-- so is one that a captured query's plan uses, whatever was counted
SET pg_hone.enabled = on;
SELECT count(*) FROM work WHERE c = 3 AND d > 4990;
SELECT * FROM work WHERE a = 17 \g /dev/null
SET pg_hone.enabled = off;
SELECT hone.collect_index_usage() > 0 AS planned;
SELECT index_name, table_name, query, seen_by FROM hone.index_usage WHERE table_name ~ '^health_indexes\.' ORDER BY 1, 3;
SELECT age(40);
UPDATE hone.index_use_store SET scans = pg_stat_get_numscans(index_oid) WHERE relid = 'work'::regclass;
SELECT index, problem FROM found WHERE problem = 'unused' ORDER BY 1;

-- plans in the slow log count too
SET pg_hone.slow_query_ms = 0;
SET pg_hone.slow_plan_ms = 0;
SET pg_hone.enabled = on;
SET enable_seqscan = off;
SELECT id FROM work WHERE c = 4 \g /dev/null
RESET enable_seqscan;
SET pg_hone.enabled = off;
RESET pg_hone.slow_query_ms;
RESET pg_hone.slow_plan_ms;
SELECT hone.collect_slow_queries() >= 0 AS collected;
SELECT hone.collect_index_usage() > 0 AS planned;
SELECT index_name, query, seen_by FROM hone.index_usage WHERE index_name = 'health_indexes.work_c';
CREATE ROLE regress_health_stranger;
SET ROLE regress_health_stranger;
SELECT DISTINCT index_name, query FROM hone.index_usage WHERE table_name ~ '^health_indexes\.' ORDER BY 1;
SELECT index_name, problem FROM hone.index_health WHERE table_name ~ '^health_indexes\.' AND problem = 'unused';
SELECT * FROM hone.index_problems;
SELECT * FROM hone.examine_index(0);
RESET ROLE;
DROP ROLE regress_health_stranger;

-- Safe to drop? Proven by planning without it.
SELECT safe, cardinality(worse) AS worse, statements > 0 AS statements,
       regexp_replace(reason, '-?[0-9]+(\.[0-9]+)?', 'N', 'g') AS reason FROM hone.examine_index('work_a');
SELECT safe, worse, regexp_replace(reason, '[0-9]+', 'N') AS reason FROM hone.examine_index('work_lower');
SELECT safe, worse, regexp_replace(reason, '[0-9]+', 'N') AS reason FROM hone.examine_index('work_pkey');
SELECT index, problem, safe FROM found WHERE index = 'work_lower';
-- with other indexes beside it, it is another question
BEGIN;
CREATE INDEX work_more ON work (e);
SELECT index, problem, safe FROM found WHERE index = 'work_lower';
ROLLBACK;
SELECT index, problem, safe FROM found WHERE index = 'work_lower';
BEGIN;
DROP INDEX work_a;
SELECT index, problem, safe FROM found WHERE index = 'work_lower';
ROLLBACK;
\set VERBOSITY terse
SELECT hone.examine_index('work');
SELECT hone.examine_index('pg_class_oid_index');
SELECT hone.examine_index(NULL);
\set VERBOSITY default
SELECT hone.examine_indexes() >= 0 AS examined;

-- Invalid ones: not built to the end, leftovers, and one that another does the work of.
CREATE TABLE twice (v int, w int);
INSERT INTO twice VALUES (1, 1), (1, 2);
CREATE UNIQUE INDEX CONCURRENTLY twice_v ON twice (v);
CREATE INDEX twice_w ON twice (w);
SELECT index, problem, suggestion, safe, evidence FROM found WHERE "table" = 'twice' ORDER BY 1;
\set VERBOSITY terse
REINDEX INDEX CONCURRENTLY twice_v;
SELECT index, problem, suggestion, safe FROM found WHERE "table" = 'twice' ORDER BY 1;
DROP INDEX twice_v_ccnew;
DELETE FROM twice WHERE w = 2;
REINDEX INDEX CONCURRENTLY twice_v;
SELECT index, problem FROM found WHERE "table" = 'twice';
CREATE TABLE parted (k int, v int) PARTITION BY LIST (k);
CREATE TABLE parted_1 PARTITION OF parted FOR VALUES IN (1);
CREATE TABLE parted_2 PARTITION OF parted FOR VALUES IN (2);
CREATE INDEX parted_v ON ONLY parted (v);
CREATE INDEX parted_1_v ON parted_1 (v);
ALTER INDEX parted_v ATTACH PARTITION parted_1_v;
SELECT index, problem, suggestion, safe, evidence FROM found WHERE "table" = 'parted';
CREATE INDEX parted_2_v ON parted_2 (v);
ALTER INDEX parted_v ATTACH PARTITION parted_2_v;
SELECT index, problem FROM found WHERE "table" ~ 'parted';
-- unused is the whole of it, never one partition
SELECT hone.collect_index_use() > 0 AS collected;
SELECT age(40);
SELECT index, problem, suggestion FROM found WHERE "table" ~ 'parted';
INSERT INTO parted SELECT 2, i FROM generate_series(1, 5000) i;
ANALYZE parted;
SELECT count(*) FROM parted WHERE v = 7;
SELECT pg_stat_force_next_flush();
SELECT hone.collect_index_use() > 0 AS collected;
SELECT index, problem FROM found WHERE "table" ~ 'parted';
SET pg_hone.enabled = on;
SELECT * FROM parted WHERE v = 7 \g /dev/null
SET pg_hone.enabled = off;
SELECT safe, cardinality(worse) > 0 AS worse FROM hone.examine_index('parted_v');
SELECT safe, substring(reason FROM '^[^.]*\.') AS reason FROM hone.examine_index('parted_2_v');

-- Missing for foreign keys: of tables worth it whose parents lose rows.
CREATE TABLE customer (id int, tenant int, PRIMARY KEY (tenant, id));
CREATE TABLE bill (id int PRIMARY KEY, tenant int, customer int, note text,
    CONSTRAINT bill_customer FOREIGN KEY (tenant, customer) REFERENCES customer) WITH (autovacuum_enabled = off);
CREATE TABLE small (tenant int, customer int, FOREIGN KEY (tenant, customer) REFERENCES customer);
INSERT INTO customer SELECT i, i % 2 FROM generate_series(1, 2000) i;
INSERT INTO bill SELECT i, (i % 2000 + 1) % 2, i % 2000 + 1, repeat('n', 50) FROM generate_series(1, 20000) i;
ANALYZE customer, bill, small;
SELECT "table", problem FROM found WHERE problem = 'missing_fk';
INSERT INTO customer VALUES (0, 0);
DELETE FROM customer WHERE id = 0;
SELECT pg_stat_force_next_flush();
SELECT index, "table", problem, suggestion, regexp_replace(evidence, '[0-9]+ kB', 'N kB') AS evidence FROM found WHERE problem = 'missing_fk';
-- the first column alone tells only two tenants apart
CREATE INDEX bill_tenant ON bill (tenant);
SELECT "table", problem FROM found WHERE problem = 'missing_fk';
CREATE INDEX bill_partial ON bill (tenant, customer) WHERE id > 5;
SELECT "table", problem FROM found WHERE problem = 'missing_fk';
CREATE INDEX bill_customer_note ON bill (customer, note);
SELECT "table", problem FROM found WHERE problem = 'missing_fk';
DROP INDEX bill_customer_note;
CREATE INDEX bill_all ON bill (customer, tenant, note);
SELECT "table", problem FROM found WHERE problem = 'missing_fk';

-- An index that keeps updates from being HOT, and is of no use.
CREATE TABLE hot (id int PRIMARY KEY, seen int, used int, filler text) WITH (fillfactor = 50, autovacuum_enabled = off);
INSERT INTO hot SELECT i, i, i, '' FROM generate_series(1, 3000) i;
CREATE INDEX hot_seen ON hot (seen);
CREATE INDEX hot_used ON hot (used);
ANALYZE hot;
SELECT hone.collect_table_writes() >= 0 AS collected, hone.collect_index_use() > 0 AS collected;
SELECT pg_stat_force_next_flush();
SET pg_hone.enabled = on;
UPDATE hot SET seen = seen + 1 WHERE filler = '';
SET pg_hone.enabled = off;
SELECT pg_stat_force_next_flush();
SELECT hone.collect_index_usage() > 0 AS planned;
SELECT index, problem FROM found WHERE problem = 'blocks_hot';
SELECT age(2);
SELECT index, problem, suggestion, regexp_replace(evidence, 'about [0-9]+', 'about N') AS evidence FROM found WHERE problem = 'blocks_hot';
SELECT index_name, write_cost > 0 AS costs FROM hone.index_health WHERE problem = 'blocks_hot' AND table_name ~ '^health_indexes\.';

SET client_min_messages = warning;
DROP SCHEMA health_indexes CASCADE;
