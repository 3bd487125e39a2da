SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS pg_hone;
RESET client_min_messages;

CREATE SCHEMA whatif_errors;
SET search_path = whatif_errors;
\set VERBOSITY sqlstate
CREATE TABLE t (a int PRIMARY KEY, b text, j jsonb, p point);
INSERT INTO t (a, b) SELECT i, i FROM generate_series(1, 10000) i;
ANALYZE t;
CREATE VIEW v AS SELECT * FROM t;
CREATE SEQUENCE s;
CREATE FUNCTION mutable(text) RETURNS text LANGUAGE sql STABLE AS 'SELECT $1 || current_user';

-- arguments
SELECT hone.what_if(NULL, '{CREATE INDEX ON t (b)}');
SELECT hone.what_if('SELECT 1', NULL);
SELECT hone.what_if('SELECT 1', '{}', '{}');
SELECT hone.what_if('SELECT 1', '{NULL}');
SELECT hone.what_if('SELECT 1', '{{a,b},{c,d}}');
SELECT hone.what_if('SELECT 1', NULL, '{NULL}');
SELECT hone.what_if('SELECT 1', NULL, ARRAY[4294967295::oid::regclass]);
SELECT hone.what_if('SELECT 1', NULL, '{t}');
SELECT hone.what_if('SELECT 1', NULL, '{no_such_index}');

-- the statement
SELECT hone.what_if('', '{CREATE INDEX ON t (b)}');
SELECT hone.what_if('SELECT 1; SELECT 2', '{CREATE INDEX ON t (b)}');
SELECT hone.what_if('SELEC 1', '{CREATE INDEX ON t (b)}');
SELECT hone.what_if('DROP TABLE t', '{CREATE INDEX ON t (b)}');
SELECT hone.what_if('ANALYZE t', '{CREATE INDEX ON t (b)}');
SELECT hone.what_if('EXPLAIN ANALYZE DELETE FROM t', '{CREATE INDEX ON t (b)}');
SELECT hone.what_if('CREATE TABLE u AS SELECT 1', '{CREATE INDEX ON t (b)}');
SELECT hone.what_if('SELECT 1 INTO u', '{CREATE INDEX ON t (b)}');
SELECT hone.what_if('SELECT * FROM missing', '{CREATE INDEX ON t (b)}');
SELECT hone.what_if('SELECT missing FROM t', '{CREATE INDEX ON t (b)}');
SELECT hone.what_if('SELECT $1 IS NULL', '{CREATE INDEX ON t (b)}');

-- parameters
SELECT hone.what_if('SELECT * FROM t WHERE a = $1', '{CREATE INDEX ON t (b)}', NULL, '{}');
SELECT hone.what_if('SELECT * FROM t WHERE a = $1', '{CREATE INDEX ON t (b)}', NULL, '{1,2}');
SELECT hone.what_if('SELECT * FROM t WHERE a = $1', '{CREATE INDEX ON t (b)}', NULL, '{x}');
SELECT hone.what_if('SELECT * FROM t WHERE a = $2', '{CREATE INDEX ON t (b)}', NULL, '{1,2}');

-- the index
SELECT hone.what_if('SELECT 1', '{""}');
SELECT hone.what_if('SELECT 1', '{CREATE INDEX}');
SELECT hone.what_if('SELECT 1', '{CREATE TABLE u (a int)}');
SELECT hone.what_if('SELECT 1', '{CREATE INDEX ON t (b); DROP TABLE t}');
SELECT hone.what_if('SELECT 1', '{CREATE UNIQUE INDEX ON t (b)}');
SELECT hone.what_if('SELECT 1', '{CREATE INDEX ON missing (b)}');
SELECT hone.what_if('SELECT 1', '{CREATE INDEX ON missing.t (b)}');
SELECT hone.what_if('SELECT 1', '{CREATE INDEX ON t (missing)}');
SELECT hone.what_if('SELECT 1', '{CREATE INDEX ON t (ctid)}');
SELECT hone.what_if('SELECT 1', '{CREATE INDEX ON t ((ctid::text))}');
SELECT hone.what_if('SELECT 1', '{CREATE INDEX ON v (b)}');
SELECT hone.what_if('SELECT 1', '{CREATE INDEX ON s (last_value)}');
SELECT hone.what_if('SELECT 1', '{CREATE INDEX ON pg_class (relname)}');
SELECT hone.what_if('SELECT 1', '{CREATE INDEX ON t (p)}');
SELECT hone.what_if('SELECT 1', '{CREATE INDEX ON t (b no_such_ops)}');
SELECT hone.what_if('SELECT 1', '{CREATE INDEX ON t (b int4_ops)}');
SELECT hone.what_if('SELECT 1', '{CREATE INDEX ON t (b COLLATE missing)}');
SELECT hone.what_if('SELECT 1', ARRAY['CREATE INDEX ON t (a COLLATE "C")']);
SELECT hone.what_if('SELECT 1', '{CREATE INDEX ON t (mutable(b))}');
SELECT hone.what_if('SELECT 1', '{CREATE INDEX ON t (a) WHERE b < current_user}');
SELECT hone.what_if('SELECT 1', '{CREATE INDEX ON t (a) WHERE a IN (SELECT 1)}');
SELECT hone.what_if('SELECT 1', '{CREATE INDEX ON t (a) INCLUDE (lower(b))}');
SELECT hone.what_if('SELECT 1', '{CREATE INDEX ON t (a) INCLUDE (b DESC)}');
SELECT hone.what_if('SELECT 1', '{CREATE INDEX ON t USING gin (b)}');
SELECT hone.what_if('SELECT 1', '{CREATE INDEX ON t USING gin (j) INCLUDE (b)}');
SELECT hone.what_if('SELECT 1', '{CREATE INDEX ON t USING gin (j DESC)}');
SELECT hone.what_if('SELECT 1', '{CREATE INDEX ON t USING gist (j)}');
SELECT hone.what_if('SELECT 1', '{CREATE INDEX ON t USING gist (p) WITH (buffering = maybe)}');
SELECT hone.what_if('SELECT 1', '{CREATE INDEX ON t USING spgist (b text_ops (siglen = 3))}');
SELECT hone.what_if('SELECT 1', '{"CREATE INDEX ON t USING spgist (b, b)"}');
SELECT hone.what_if('SELECT 1', '{CREATE INDEX ON t USING brin (j)}');
SELECT hone.what_if('SELECT 1', '{CREATE INDEX ON t USING brin (a) WITH (pages_per_range = 0)}');
SELECT hone.what_if('SELECT 1', '{CREATE INDEX ON t USING brin (a) WITH (fillfactor = 90)}');
SELECT hone.what_if('SELECT 1', '{CREATE INDEX ON t USING brin (a) INCLUDE (b)}');
SELECT hone.what_if('SELECT 1', '{CREATE INDEX ON t USING brin (a int4_minmax_multi_ops (values_per_range = 2))}');
SELECT hone.what_if('SELECT 1', '{CREATE INDEX ON t USING brin (a int4_bloom_ops (missing = 2))}');
SELECT hone.what_if('SELECT 1', '{CREATE INDEX ON t USING brin (a int4_bloom_ops) WITH (pages_per_range = 512)}');
SELECT hone.what_if('SELECT 1', '{"CREATE INDEX ON t USING hash (a, b)"}');
SELECT hone.what_if('SELECT 1', '{CREATE INDEX ON t USING hash (a DESC)}');
SELECT hone.what_if('SELECT 1', '{CREATE INDEX ON t USING hash (a) INCLUDE (b)}');
SELECT hone.what_if('SELECT 1', '{CREATE INDEX ON t USING missing (a)}');
-- access methods of extensions have costs that nobody here knows
CREATE ACCESS METHOD whatif_method TYPE INDEX HANDLER bthandler;
SELECT hone.what_if('SELECT 1', '{CREATE INDEX ON t USING whatif_method (a)}');
SELECT hone.what_if('SELECT 1', '{CREATE INDEX ON t (a) WITH (fillfactor = 5)}');
SELECT hone.what_if('SELECT 1', '{CREATE INDEX ON t (a) WITH (missing = 5)}');
SELECT hone.what_if('SELECT 1', '{CREATE INDEX ON t (a) TABLESPACE missing}');
SELECT hone.what_if('SELECT 1', '{CREATE INDEX ON t (a) TABLESPACE pg_global}');
-- as when it is built: an expression that fails on a row
SELECT hone.what_if('SELECT 1', '{CREATE INDEX ON t ((1 / (a - 7)))}');
\set VERBOSITY default
SELECT hone.what_if('SELECT 1', '{CREATE UNIQUE INDEX ON t (b)}');
SELECT hone.what_if('SELECT 1', '{CREATE INDEX ON t USING whatif_method (a)}');
DROP ACCESS METHOD whatif_method;
SELECT hone.what_if('SELECT 1', '{CREATE INDEX ON t USING brin (a int4_minmax_ops (values_per_range = 8))}');
SELECT hone.what_if('SELECT 1; SELECT 2', '{CREATE INDEX ON t (b)}');
-- where it is wrong is shown in the text that is wrong
SELECT hone.what_if('SELECT 1', '{CREATE INDEX ON t (b) WERE a > 1}');
SELECT hone.what_if('SELECT a, missing FROM t', '{CREATE INDEX ON t (b)}');
SELECT hone.what_if('SELECT 1', '{CREATE INDEX ON t (lower(a))}');

-- privileges: not executable unless granted, then only what the caller may read
CREATE ROLE whatif_reader;
CREATE TABLE secret (owner_name text, x int);
INSERT INTO secret SELECT CASE WHEN i % 2000 = 0 THEN 'whatif_reader' ELSE 'other' END, i FROM generate_series(1, 20000) i;
ANALYZE secret;
CREATE VIEW secret_view AS SELECT * FROM secret;
GRANT USAGE ON SCHEMA whatif_errors TO whatif_reader;
GRANT SELECT ON t, secret_view TO whatif_reader;
SET ROLE whatif_reader;
SELECT hone.what_if('SELECT 1', '{CREATE INDEX ON t (b)}');
RESET ROLE;
GRANT EXECUTE ON FUNCTION hone.what_if TO whatif_reader;
SET ROLE whatif_reader;
SELECT indexes_used FROM hone.what_if('SELECT * FROM t WHERE b = ''7''', '{CREATE INDEX ON t (b)}');
SELECT hone.what_if('SELECT 1', '{CREATE INDEX ON secret (x)}');
SELECT hone.what_if('SELECT * FROM secret', '{CREATE INDEX ON t (b)}');
SELECT hone.what_if('DELETE FROM t', '{CREATE INDEX ON t (b)}');
SELECT hone.what_if('SELECT * FROM secret_view', '{CREATE INDEX ON t (b)}') IS NOT NULL AS through_view;
SELECT hone.what_if('SELECT * FROM secret_view', '{CREATE INDEX ON secret (x)}');
RESET ROLE;

-- row security: the policy's condition is planned, and the table is not sampled
GRANT SELECT ON secret TO whatif_reader;
ALTER TABLE secret ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON secret USING (owner_name = current_user::text COLLATE "default");
CREATE FUNCTION witness(x int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS
$$ BEGIN RAISE WARNING 'saw a row'; RETURN x; END $$;
SET ROLE whatif_reader;
SELECT indexes_used, plan_after::text LIKE '%CURRENT_USER%' AS policy
FROM hone.what_if('SELECT * FROM secret WHERE x > 1', '{CREATE INDEX ON secret (owner_name)}');
SELECT size_bytes > 0 AS sized FROM hone.what_if('SELECT 1', '{CREATE INDEX ON secret (witness(x))}');
SELECT size_bytes > 0 AS sized FROM hone.what_if('SELECT 1', '{CREATE INDEX ON secret USING gin ((ARRAY[witness(x)]))}');
RESET ROLE;

-- partitions the caller may only read through their parent
CREATE TABLE parted (a int, b int, tags int[]) PARTITION BY RANGE (a);
CREATE TABLE parted_1 PARTITION OF parted FOR VALUES FROM (0) TO (100000);
INSERT INTO parted SELECT i, i, ARRAY[i] FROM generate_series(1, 20000) i;
ANALYZE parted;
GRANT SELECT ON parted TO whatif_reader;
SET ROLE whatif_reader;
SELECT indexes_used FROM hone.what_if('SELECT * FROM parted WHERE b = 7', '{CREATE INDEX ON parted (b)}');
SELECT size_bytes > 0 AS sized FROM hone.what_if('SELECT 1', '{CREATE INDEX ON parted (witness(b))}');
SELECT indexes_used, size_bytes > 0 AS sized FROM hone.what_if('SELECT * FROM parted WHERE tags @> ARRAY[7]', '{CREATE INDEX ON parted USING gin (tags)}');
SELECT hone.what_if('SELECT * FROM parted_1', '{CREATE INDEX ON parted (b)}');
RESET ROLE;

-- rules that make more than one query, or none
CREATE TABLE logged (a int);
CREATE TABLE log (a int);
CREATE RULE also AS ON INSERT TO logged DO ALSO INSERT INTO log VALUES (new.a);
SELECT hone.what_if('INSERT INTO logged VALUES (1)', '{CREATE INDEX ON t (b)}');
CREATE TABLE ignored (a int);
CREATE RULE nothing AS ON INSERT TO ignored DO INSTEAD NOTHING;
SELECT hone.what_if('INSERT INTO ignored VALUES (1)', '{CREATE INDEX ON t (b)}');

SELECT count(*) FROM t;
SET client_min_messages = warning;
DROP SCHEMA whatif_errors CASCADE;
REVOKE EXECUTE ON FUNCTION hone.what_if FROM whatif_reader;
DROP ROLE whatif_reader;
