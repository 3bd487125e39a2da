-- Hidden indexes: real, maintained, enforced, and not seen by the planner.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS pg_hone;
RESET client_min_messages;

CREATE SCHEMA whatif_hidden;
SET search_path = whatif_hidden;
SET enable_seqscan = off;
SET enable_bitmapscan = off;
CREATE TABLE t (a int, b int, c text);
INSERT INTO t SELECT i, i % 100, 'c' || i FROM generate_series(1, 2000) i;
CREATE INDEX t_a ON t (a);
CREATE UNIQUE INDEX t_c ON t (c);
ANALYZE t;
-- What of our indexes do plans read?
CREATE FUNCTION reads(statement text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    line text;
    found text;
    result text[];
BEGIN
    FOR line IN EXECUTE 'EXPLAIN (COSTS OFF) ' || statement LOOP
        found := substring(line FROM 'Index (?:Only )?Scan (?:Backward )?(?:using|on) (\w+)');
        IF found IS NOT NULL AND found <> ALL (coalesce(result, '{}')) THEN
            result := result || found;
        END IF;
    END LOOP;
    RETURN coalesce(array_to_string(result, ', '), 'none');
END $$;

-- Hidden at once, in plans that are kept too, and shown again.
PREPARE custom AS SELECT b FROM t WHERE a = $1;
PREPARE generic AS SELECT b FROM t WHERE a = $1;
CREATE FUNCTION from_plpgsql(x int) RETURNS int LANGUAGE plpgsql AS
$$ BEGIN RETURN (SELECT b FROM t WHERE a = x); END $$;
-- which index scans were begun, by the session's own count
CREATE FUNCTION scans() RETURNS bigint LANGUAGE sql AS
$$ SELECT pg_stat_get_xact_numscans('whatif_hidden.t_a'::regclass) $$;
SET plan_cache_mode = force_generic_plan;
EXECUTE generic(7);
RESET plan_cache_mode;
EXECUTE custom(7);
SELECT from_plpgsql(7) FROM generate_series(1, 8);
SELECT hone.hide_index('t_a');
SELECT reads('SELECT * FROM t WHERE a = 7');
SELECT reads('EXECUTE custom(7)');
SET plan_cache_mode = force_generic_plan;
SELECT reads('EXECUTE generic(7)');
RESET plan_cache_mode;
BEGIN;
SELECT scans() AS before \gset
SELECT from_plpgsql(7), scans() - :before AS scans;
COMMIT;
-- still maintained
INSERT INTO t VALUES (5000, 1, 'new');
UPDATE t SET a = 5001 WHERE a = 5000;
SELECT index_name, table_name, kind, trial, arms, turn, hidden_by = current_user AS by_me,
       hidden_at <= now() AS at, size_bytes = pg_relation_size('t_a') AS size
FROM hone.hidden_indexes WHERE table_name LIKE 'whatif_hidden.%';
-- twice is once
SELECT hone.hide_index('t_a');
SELECT count(*) FROM hone.hidden_indexes WHERE table_name LIKE 'whatif_hidden.%';
SELECT hone.show_index('t_a');
SELECT reads('EXECUTE custom(7)');
SET plan_cache_mode = force_generic_plan;
SELECT reads('EXECUTE generic(7)');
RESET plan_cache_mode;
BEGIN;
SELECT scans() AS before \gset
SELECT from_plpgsql(7), scans() - :before AS scans;
COMMIT;
SELECT reads('SELECT * FROM t WHERE a = 5001');
SELECT b FROM t WHERE a = 5001;
SELECT hone.show_index('t_a');
SELECT count(*) FROM hone.hidden_indexes WHERE table_name LIKE 'whatif_hidden.%';

-- A transaction's own hiding counts for its next command, and is undone with it.
BEGIN;
SELECT hone.hide_index('t_a');
SELECT reads('SELECT * FROM t WHERE a = 7');
SAVEPOINT s;
SELECT hone.show_index('t_a');
SELECT reads('SELECT * FROM t WHERE a = 7'), reads('EXECUTE custom(7)');
ROLLBACK TO s;
SELECT reads('SELECT * FROM t WHERE a = 7'), reads('EXECUTE custom(7)');
ROLLBACK;
SELECT reads('SELECT * FROM t WHERE a = 7'), reads('EXECUTE custom(7)');
DO $$
BEGIN
    BEGIN
        PERFORM hone.hide_index('t_a');
        RAISE NOTICE 'hidden: %', reads('SELECT * FROM t WHERE a = 7');
        RAISE division_by_zero;
    EXCEPTION WHEN division_by_zero THEN
        RAISE NOTICE 'undone: %', reads('SELECT * FROM t WHERE a = 7');
    END;
END $$;
-- an old snapshot makes no difference: plans are of now
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT count(*) FROM t;
SELECT hone.hide_index('t_a');
SELECT reads('SELECT * FROM t WHERE a = 7');
ROLLBACK;
BEGIN ISOLATION LEVEL SERIALIZABLE;
SELECT hone.hide_index('t_a');
SELECT reads('SELECT * FROM t WHERE a = 7');
-- reading the list takes no predicate locks
SELECT count(*) FROM pg_locks WHERE mode = 'SIReadLock' AND relation = 'hone.hidden_index_store'::regclass
   AND pid = pg_backend_pid();
COMMIT;
SELECT reads('SELECT * FROM t WHERE a = 7');

-- What is done to the index: it stays hidden.
REINDEX INDEX t_a;
SELECT reads('SELECT * FROM t WHERE a = 7');
REINDEX INDEX CONCURRENTLY t_a;
SELECT reads('SELECT * FROM t WHERE a = 7');
REINDEX TABLE CONCURRENTLY t;
SELECT reads('SELECT * FROM t WHERE a = 7'), reads($$SELECT * FROM t WHERE c = 'c7'$$);
CLUSTER t USING t_a;
VACUUM FULL t;
SELECT reads('SELECT * FROM t WHERE a = 7');
TRUNCATE t;
INSERT INTO t SELECT i, i % 100, 'c' || i FROM generate_series(1, 2000) i;
ANALYZE t;
ALTER INDEX t_a RENAME TO t_a2;
ALTER INDEX t_a2 SET (fillfactor = 50);
SELECT reads('SELECT * FROM t WHERE a = 7');
SELECT index_name FROM hone.hidden_indexes WHERE table_name LIKE 'whatif_hidden.%';
-- one of the same name is another index
DROP INDEX t_a2;
SELECT count(*) FROM hone.hidden_indexes WHERE table_name LIKE 'whatif_hidden.%';
CREATE INDEX t_a ON t (a);
SELECT reads('SELECT * FROM t WHERE a = 7');

-- Results do not change: uniqueness, ON CONFLICT, joins that are left out.
SELECT hone.hide_index('t_c');
SELECT reads($$SELECT * FROM t WHERE c = 'c7'$$);
INSERT INTO t VALUES (1, 1, 'c7');
INSERT INTO t VALUES (1, -7, 'c7') ON CONFLICT (c) DO UPDATE SET b = excluded.b RETURNING a, b, c;
EXPLAIN (COSTS OFF) SELECT x.a FROM t x LEFT JOIN t y ON x.c = y.c WHERE x.a = 7;
SELECT x.a FROM t x LEFT JOIN t y ON x.c = y.c WHERE x.a = 7;
CREATE MATERIALIZED VIEW mv AS SELECT a, c FROM t WHERE a < 10;
CREATE UNIQUE INDEX mv_a ON mv (a);
SELECT hone.hide_index('mv_a');
REFRESH MATERIALIZED VIEW CONCURRENTLY mv;
SELECT count(*) FROM mv;
SELECT hone.show_index('t_c');
EXPLAIN (COSTS OFF) SELECT x.a FROM t x LEFT JOIN t y ON x.c = y.c WHERE x.a = 7;

-- Partitioned: hides every partition, those that come later too.
CREATE TABLE p (k int, v int) PARTITION BY RANGE (k);
CREATE TABLE p1 PARTITION OF p FOR VALUES FROM (0) TO (100);
CREATE TABLE p2 PARTITION OF p FOR VALUES FROM (100) TO (300) PARTITION BY RANGE (k);
CREATE TABLE p21 PARTITION OF p2 FOR VALUES FROM (100) TO (200);
CREATE INDEX p_v ON p (v);
SELECT reads('SELECT * FROM p WHERE v = 7');
SELECT hone.hide_index('p_v');
SELECT reads('SELECT * FROM p WHERE v = 7'), reads('SELECT * FROM p1 WHERE v = 7'), reads('SELECT * FROM p2 WHERE v = 7');
CREATE TABLE p22 PARTITION OF p2 FOR VALUES FROM (200) TO (300);
CREATE TABLE p3 (v int, k int);
CREATE INDEX p3_own ON p3 (v);
SELECT reads('SELECT * FROM p3 WHERE v = 7');
ALTER TABLE p ATTACH PARTITION p3 FOR VALUES FROM (300) TO (400);
SELECT reads('SELECT * FROM p WHERE v = 7'), reads('SELECT * FROM p22 WHERE v = 7'), reads('SELECT * FROM p3 WHERE v = 7');
SELECT index_name, table_name, kind, size_bytes > 0 AS size FROM hone.hidden_indexes WHERE table_name = 'whatif_hidden.p';
-- a partition by itself cannot be shown, but hidden
SELECT hone.show_index('p1_v_idx');
ALTER TABLE p DETACH PARTITION p3;
SELECT reads('SELECT * FROM p3 WHERE v = 7');
ALTER TABLE p DETACH PARTITION p2;
SELECT reads('SELECT * FROM p2 WHERE v = 7'), reads('SELECT * FROM p22 WHERE v = 7'), reads('SELECT * FROM p WHERE v = 7');
ALTER TABLE p ATTACH PARTITION p2 FOR VALUES FROM (100) TO (300);
SELECT reads('SELECT * FROM p2 WHERE v = 7'), reads('SELECT * FROM p22 WHERE v = 7');
PREPARE parts AS SELECT * FROM p WHERE v = $1;
SELECT hone.show_index('p_v');
SELECT reads('EXECUTE parts(7)');
SELECT hone.hide_index('p21_v_idx');
SELECT reads('EXECUTE parts(7)');
SELECT hone.show_index('p21_v_idx');
SELECT reads('EXECUTE parts(7)');

-- A session sees one arm of a trial, changes sides with the turn, and plans say so.
CREATE FUNCTION change_side(number bigint, statement text, wanted bool) RETURNS void LANGUAGE plpgsql AS
$$ BEGIN
    WHILE (SELECT visible FROM hone.plan_arms(statement) WHERE trial = number) <> wanted LOOP
        PERFORM hone.turn_trial(number);
    END LOOP;
END $$;
CREATE TEMP TABLE seen (turn int, plan text, trial bigint, visible bool, used bool);
SELECT hone.hide_for_trial('t_a', 'trial', 42, true);
INSERT INTO seen SELECT 0, reads('SELECT * FROM t WHERE a = 7'), * FROM hone.plan_arms('SELECT * FROM t WHERE a = 7');
SELECT hone.turn_trial(42);
INSERT INTO seen SELECT 1, reads('SELECT * FROM t WHERE a = 7'), * FROM hone.plan_arms('SELECT * FROM t WHERE a = 7');
SELECT plan, trial, visible, used FROM seen ORDER BY visible;
SELECT turn FROM hone.hidden_indexes WHERE trial = 42;
-- seen on one side: looked at and not used, not looked at, twice in a plan
SELECT change_side(42, 'SELECT * FROM t WHERE a = 7', true);
SELECT * FROM hone.plan_arms('SELECT * FROM t WHERE b = 7');
SELECT * FROM hone.plan_arms('SELECT * FROM p WHERE v = 7');
SELECT * FROM hone.plan_arms('SELECT * FROM t x WHERE a = 7 AND EXISTS (SELECT FROM t y WHERE y.a = x.b)');
SELECT * FROM hone.plan_arms('INSERT INTO t VALUES (1, 2, NULL)');
SELECT * FROM hone.plan_arms('UPDATE t SET b = 0 WHERE a = 7');
SELECT * FROM hone.plan_arms('WITH x AS MATERIALIZED (SELECT * FROM t WHERE a = 7) SELECT (SELECT count(*) FROM x)');
SET enable_bitmapscan = on;
SET enable_indexscan = off;
SET enable_indexonlyscan = off;
SELECT * FROM hone.plan_arms('SELECT * FROM t WHERE a = 7');
RESET enable_indexscan;
RESET enable_indexonlyscan;
SET enable_bitmapscan = off;
-- two trials at a time; one that is hidden from all is not a matter of arms
SELECT hone.hide_for_trial('t_c', 'drop', 43, true);
SELECT trial FROM hone.plan_arms('SELECT * FROM t WHERE a = 7') ORDER BY 1;
SELECT hone.hide_for_trial('t_c', 'drop', 43, false);
SELECT trial FROM hone.plan_arms('SELECT * FROM t WHERE a = 7') ORDER BY 1;
SELECT reads($$SELECT * FROM t WHERE c = 'c7'$$);
-- a partitioned index on trial is used where a partition's is
SELECT hone.hide_for_trial('p_v', 'trial', 44, true);
SELECT change_side(44, 'SELECT * FROM p WHERE v = 7', true);
SELECT * FROM hone.plan_arms('SELECT * FROM p WHERE v = 7');
SELECT * FROM hone.plan_arms('SELECT * FROM p22 WHERE v = 7');
SELECT * FROM hone.plan_arms('SELECT * FROM p22 WHERE k = 7');
SELECT change_side(44, 'SELECT * FROM p WHERE v = 7', false);
SELECT * FROM hone.plan_arms('SELECT * FROM p WHERE v = 7');
SELECT reads('SELECT * FROM p22 WHERE v = 7');
-- the indexes of one trial share its fate, and so does a copy that takes their place
SELECT hone.hide_for_trial('p22_v_idx', 'trial', 45, true), hone.hide_for_trial('t_c', 'trial', 45, true);
REINDEX INDEX CONCURRENTLY t_c;
SELECT index_name, kind, arms FROM hone.hidden_indexes WHERE trial = 45 ORDER BY 1;
SELECT hone.turn_trial(45);
SELECT hone.hide_for_trial('p1_v_idx', 'trial', 45, true);
SELECT count(*), count(DISTINCT turn) AS turns FROM hone.hidden_indexes WHERE trial = 45;
SELECT hone.hide_for_trial('p22_v_idx', 'trial', 45, false);
SELECT index_name, kind, arms FROM hone.hidden_indexes WHERE trial = 45 ORDER BY 1;
SELECT reads($$SELECT * FROM t WHERE c = 'c7'$$), reads('SELECT * FROM p22 WHERE v = 7');
SELECT hone.hide_for_trial('t_c', 'drop', 43, false);
SELECT index_name, kind, arms FROM hone.hidden_indexes WHERE trial IN (43, 45) ORDER BY 1;
-- a trial's index is not for people to hide and show
SELECT hone.hide_index('t_a');
SELECT hone.show_index('t_a');
SELECT hone.show_index('t_c');

-- Parallel workers plan what functions run in them, on their leader's side.
CREATE FUNCTION in_worker() RETURNS text LANGUAGE plpgsql PARALLEL SAFE COST 100000 AS
$$ BEGIN RETURN (pg_stat_get_activity(pg_backend_pid())).backend_type || ' ' ||
                whatif_hidden.reads('SELECT * FROM whatif_hidden.t WHERE a = 7'); END $$;
ALTER FUNCTION reads(text) PARALLEL SAFE;
CREATE TABLE few AS SELECT generate_series(1, 100) AS x;
ALTER TABLE few SET (parallel_workers = 2);
ANALYZE few;
SET enable_seqscan = on;
SET parallel_setup_cost = 0;
SET parallel_tuple_cost = 0;
SET min_parallel_table_scan_size = 0;
SET parallel_leader_participation = off;
SELECT change_side(42, 'SELECT * FROM t WHERE a = 7', false);
SELECT DISTINCT in_worker() FROM few;
SELECT change_side(42, 'SELECT * FROM t WHERE a = 7', true);
SELECT DISTINCT in_worker() FROM few;
SET enable_seqscan = off;
RESET parallel_setup_cost;
RESET parallel_tuple_cost;
RESET min_parallel_table_scan_size;
RESET parallel_leader_participation;

-- What-if questions see what is on trial, not what is hidden by hand or to be dropped.
SELECT change_side(42, 'SELECT * FROM t WHERE a = 7', false);
CREATE FUNCTION asked(statement text) RETURNS text LANGUAGE sql AS
$$ SELECT substring(plan_before::text FROM '"Index Name": "(\w+)"')
   FROM hone.what_if(statement, ARRAY['CREATE INDEX ON whatif_hidden.t (b)']) $$;
SELECT reads('SELECT * FROM t WHERE a = 7'), asked('SELECT * FROM t WHERE a = 7') AS trial,
       asked($$SELECT * FROM t WHERE c = 'c7'$$) AS dropped;
CREATE INDEX t_bc ON t (b, c);
SELECT asked('SELECT * FROM t WHERE b = 7 AND c = ''c7''');
SELECT hone.hide_index('t_bc');
SELECT asked('SELECT * FROM t WHERE b = 7 AND c = ''c7''');
-- and the statements of functions run meanwhile see what any does
CREATE FUNCTION inside(x int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS
$$ BEGIN RAISE NOTICE 'inside: %', whatif_hidden.reads('SELECT * FROM whatif_hidden.t WHERE a = 7'); RETURN x; END $$;
SELECT asked('SELECT * FROM t WHERE a = whatif_hidden.inside(7)');

-- Planner calls within planner calls: each has its own list and its own notes.
SELECT change_side(42, 'SELECT * FROM t WHERE a = 7', true);
CREATE FUNCTION other(x int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS
$$ BEGIN RETURN (SELECT count(*) FROM whatif_hidden.p WHERE v = x); END $$;
SELECT * FROM hone.plan_arms('SELECT * FROM t WHERE a = whatif_hidden.other(7)');
CREATE FUNCTION fails(x int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS
$$ BEGIN
   BEGIN PERFORM 1 / (x - x) FROM whatif_hidden.t WHERE a = x; EXCEPTION WHEN division_by_zero THEN NULL; END;
   RETURN (SELECT 1 / (x - x)); END $$;
SELECT * FROM hone.plan_arms('SELECT * FROM t WHERE a = whatif_hidden.fails(7)');
SELECT * FROM hone.plan_arms('SELECT * FROM t WHERE a = 7') WHERE trial = 42;

-- Copies of the list are not left behind, in whatever way a planner call ends.
DO $$
BEGIN
    FOR i IN 1 .. 50 LOOP
        PERFORM hone.turn_trial(42);
        PERFORM whatif_hidden.reads('SELECT * FROM whatif_hidden.t WHERE a = 7');
        BEGIN
            PERFORM whatif_hidden.reads('SELECT * FROM whatif_hidden.t WHERE a = whatif_hidden.fails(7)');
        EXCEPTION WHEN division_by_zero THEN NULL;
        END;
    END LOOP;
END $$;
SELECT count(*) <= 1 AS not_many FROM pg_backend_memory_contexts WHERE name = 'pg_hone hidden indexes';

-- Refused, and nothing changed.
CREATE TABLE needed (id int PRIMARY KEY, u int NOT NULL, x int, EXCLUDE USING btree (x WITH =));
CREATE UNIQUE INDEX needed_u ON needed (u);
CREATE UNIQUE INDEX needed_i ON needed (u, id);
ALTER TABLE needed REPLICA IDENTITY USING INDEX needed_u;
CREATE TABLE refers (u int, id int, FOREIGN KEY (u, id) REFERENCES needed (u, id));
CREATE TEMP TABLE temporary (a int);
CREATE INDEX temporary_a ON temporary (a);
CREATE TABLE q (k int NOT NULL) PARTITION BY RANGE (k);
CREATE TABLE q1 PARTITION OF q FOR VALUES FROM (0) TO (100);
ALTER TABLE q1 ADD UNIQUE (k);
CREATE UNIQUE INDEX q_k ON q (k);
SELECT hone.hide_index(NULL);
SELECT hone.hide_index(0);
SELECT hone.hide_index('nowhere');
SELECT hone.hide_index('t');
SELECT hone.hide_index('needed_pkey');
SELECT hone.hide_index('needed_x_excl');
SELECT hone.hide_index('needed_u');
SELECT hone.hide_index('needed_i');
SELECT hone.hide_index('q_k');
SELECT hone.hide_index('pg_class_oid_index');
SELECT hone.hide_index('temporary_a');
BEGIN READ ONLY;
SELECT hone.hide_index('t_bc');
ROLLBACK;
SELECT hone.show_index(NULL);
SELECT hone.show_index('t');
CREATE ROLE whatif_hidden_other;
CREATE ROLE whatif_hidden_owner;
GRANT USAGE ON SCHEMA whatif_hidden TO whatif_hidden_other, whatif_hidden_owner;
GRANT EXECUTE ON FUNCTION hone.hide_index, hone.show_index TO whatif_hidden_other, whatif_hidden_owner;
ALTER TABLE mv OWNER TO whatif_hidden_owner;
SET ROLE whatif_hidden_other;
SELECT hone.hide_index('mv_a');
SELECT hone.show_index('mv_a');
SELECT count(*) FROM hone.hidden_indexes WHERE table_name = 'whatif_hidden.p22';
SET ROLE whatif_hidden_owner;
SELECT hone.show_index('mv_a');
SELECT hone.hide_index('mv_a');
SELECT hidden_by, index_name FROM hone.hidden_indexes WHERE index_name = 'whatif_hidden.mv_a';
RESET ROLE;
REVOKE EXECUTE ON FUNCTION hone.hide_index, hone.show_index FROM whatif_hidden_other, whatif_hidden_owner;

-- What is gone leaves nothing that counts.
SET client_min_messages = warning;
DROP SCHEMA whatif_hidden CASCADE;
RESET client_min_messages;
SELECT count(*) FROM hone.hidden_indexes WHERE table_name LIKE 'whatif_hidden.%';
CREATE TABLE public.whatif_hidden (a int);
CREATE INDEX whatif_hidden_a ON public.whatif_hidden (a);
SELECT hone.hide_index('public.whatif_hidden_a');
SELECT count(*) FROM hone.hidden_index_store h WHERE NOT EXISTS (SELECT FROM pg_class WHERE oid = h.index_oid);
DROP TABLE public.whatif_hidden;
DROP ROLE whatif_hidden_other, whatif_hidden_owner;
