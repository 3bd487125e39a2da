-- Statements that run while a what-if question is being answered, or after it
-- failed, never see what does not exist.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS pg_hone;
RESET client_min_messages;

CREATE SCHEMA whatif_state;
SET search_path = whatif_state;
CREATE TABLE t (a int, b int);
INSERT INTO t SELECT i, i % 100 FROM generate_series(1, 20000) i;
ANALYZE t;

-- Folded while planning: plans and executes a query on the same table.
CREATE FUNCTION counts(x int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS
$$ DECLARE n int; BEGIN EXECUTE 'SELECT count(*) FROM whatif_state.t WHERE a = ' || x INTO n; RETURN n; END $$;
SELECT indexes_used FROM hone.what_if('SELECT * FROM t WHERE a = counts(7)', '{CREATE INDEX ON t (a)}');
-- the same, catching an error inside
CREATE FUNCTION catches(x int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS
$$ DECLARE n int; BEGIN
   BEGIN
     PERFORM 1 / (SELECT count(*) FROM whatif_state.t WHERE a = -x);
   EXCEPTION WHEN division_by_zero THEN NULL;
   END;
   SELECT count(*) INTO n FROM whatif_state.t WHERE a = x; RETURN n; END $$;
SELECT indexes_used FROM hone.what_if('SELECT * FROM t WHERE a = catches(7)', '{CREATE INDEX ON t (a)}');
-- a question inside a question
CREATE FUNCTION asks(x int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS
$$ DECLARE u text[]; BEGIN
   SELECT indexes_used INTO u FROM hone.what_if('SELECT * FROM whatif_state.t WHERE b = 5 AND a = 3', ARRAY['CREATE INDEX ON whatif_state.t (b, a)']);
   RAISE NOTICE 'inside: %', u; RETURN x; END $$;
SELECT indexes_used FROM hone.what_if('SELECT * FROM t WHERE a = asks(7)', '{CREATE INDEX ON t (a)}');
-- a hidden index is there for the query inside
CREATE INDEX t_a ON t (a);
CREATE FUNCTION sees(x int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS
$$ DECLARE plan text; BEGIN
   SELECT plan_before::text INTO plan FROM hone.what_if('SELECT * FROM whatif_state.t WHERE a = 7', '{CREATE INDEX ON whatif_state.t (b)}');
   RAISE NOTICE 'inside: %', plan LIKE '%t_a%'; RETURN x; END $$;
SELECT plan_after::text LIKE '%t_a%' AS seen FROM hone.what_if('SELECT * FROM t WHERE a = sees(7)', NULL, '{t_a}');
DROP INDEX t_a;

-- Raises after having run queries.
CREATE FUNCTION fails(x int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS
$$ BEGIN PERFORM whatif_state.counts(x); RAISE EXCEPTION 'in the middle'; END $$;
\set VERBOSITY terse
SELECT hone.what_if('SELECT * FROM t WHERE a = fails(7)', '{CREATE INDEX ON t (a)}');
EXPLAIN (COSTS OFF) SELECT * FROM t WHERE a = 7;
SELECT count(*) FROM t WHERE a = 7;
-- inside a transaction, caught by a savepoint
BEGIN;
SAVEPOINT s;
SELECT hone.what_if('SELECT * FROM t WHERE a = fails(7)', '{CREATE INDEX ON t (a)}');
ROLLBACK TO s;
EXPLAIN (COSTS OFF) SELECT * FROM t WHERE a = 7;
SELECT count(*) FROM t WHERE a = 7;
SELECT indexes_used FROM hone.what_if('SELECT * FROM t WHERE a = 7', '{CREATE INDEX ON t (a)}');
COMMIT;
-- caught by PL/pgSQL, whose own work before it stays
CREATE TABLE done (x text);
DO $$
DECLARE line text;
BEGIN
    INSERT INTO whatif_state.done VALUES ('before');
    BEGIN
        INSERT INTO whatif_state.done VALUES ('undone');
        PERFORM hone.what_if('SELECT * FROM whatif_state.t WHERE a = whatif_state.fails(7)', '{CREATE INDEX ON whatif_state.t (a)}');
    EXCEPTION WHEN raise_exception THEN
        INSERT INTO whatif_state.done VALUES ('caught');
    END;
    EXECUTE 'EXPLAIN (COSTS OFF) SELECT * FROM whatif_state.t WHERE a = 7' INTO line;
    RAISE NOTICE '%', line;
END $$;
SELECT * FROM done;

-- Cancelled in the middle.
CREATE FUNCTION waits(x int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS
$$ BEGIN PERFORM pg_sleep(60); RETURN x; END $$;
SET statement_timeout = '200ms';
SELECT hone.what_if('SELECT * FROM t WHERE a = waits(7)', '{CREATE INDEX ON t (a)}');
RESET statement_timeout;
EXPLAIN (COSTS OFF) SELECT * FROM t WHERE a = 7;
SELECT count(*) FROM t WHERE a = 7;

-- A plan made before and one made after are not mixed up with one cached.
PREPARE p(int) AS SELECT count(*) FROM t WHERE a = $1;
EXECUTE p(7);
SELECT indexes_used FROM hone.what_if('SELECT count(*) FROM t WHERE a = $1', '{CREATE INDEX ON t (a)}', NULL, '{7}');
EXECUTE p(7);
EXECUTE p(7);
EXECUTE p(7);
EXECUTE p(7);
EXECUTE p(7);
EXPLAIN (COSTS OFF) EXECUTE p(7);

-- What a function does while the planner runs it is undone; what the caller
-- did, and his settings, are not.
BEGIN;
INSERT INTO done VALUES ('mine');
CREATE FUNCTION meddles(x int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS
$$ BEGIN PERFORM set_config('work_mem', '1MB', false); RETURN x; END $$;
SELECT indexes_used FROM hone.what_if('SELECT * FROM t WHERE a = meddles(7)', '{CREATE INDEX ON t (a)}');
SELECT current_setting('work_mem') = '1MB' AS meddled, current_setting('search_path') AS search_path;
COMMIT;
SELECT * FROM done;

-- Too deep.
CREATE FUNCTION deeper(x int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS
$$ BEGIN PERFORM hone.what_if('SELECT * FROM whatif_state.t WHERE a = whatif_state.deeper(7)', '{CREATE INDEX ON whatif_state.t (a)}'); RETURN x; END $$;
SELECT hone.what_if('SELECT * FROM t WHERE a = deeper(7)', '{CREATE INDEX ON t (a)}');
EXPLAIN (COSTS OFF) SELECT * FROM t WHERE a = 7;
SELECT indexes_used FROM hone.what_if('SELECT * FROM t WHERE a = 7', '{CREATE INDEX ON t (a)}');

SET client_min_messages = warning;
DROP SCHEMA whatif_state CASCADE;
