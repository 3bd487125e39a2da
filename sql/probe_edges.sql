-- Where capture itself could go wrong: errors and settings at odd moments.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS pg_hone;
RESET client_min_messages;

CREATE TABLE edge_t (a int);
INSERT INTO edge_t SELECT i FROM generate_series(1, 10) i;
CREATE TABLE edge_private (a int);
CREATE TABLE edge_p (k int) PARTITION BY LIST (k);
CREATE TABLE edge_p1 PARTITION OF edge_p FOR VALUES IN (1);
CREATE TABLE edge_p2 PARTITION OF edge_p FOR VALUES IN (2);
CREATE SEQUENCE edge_seq;
CREATE ROLE edge_role;
GRANT SELECT ON edge_t, edge_p TO edge_role;
GRANT USAGE ON SEQUENCE edge_seq TO edge_role;
SELECT hone.reset_query_stats(dbid => (SELECT oid FROM pg_database
                                       WHERE datname = current_database())) >= 0 AS reset;

-- a function that reads the same table, with counting switched off
CREATE FUNCTION edge_uncounted() RETURNS bigint LANGUAGE plpgsql SET track_counts = off
AS 'BEGIN RETURN (SELECT count(*) FROM edge_t); END';
SELECT a, edge_uncounted() FROM edge_t WHERE a < 3;

-- an error that the log never takes, in a statement with more scans than a few
CREATE FUNCTION edge_unlogged() RETURNS int LANGUAGE plpgsql SET log_min_messages = fatal
AS $$ BEGIN RAISE EXCEPTION 'not for the log'; END $$;
SELECT edge_unlogged() FROM edge_t t1, edge_t t2, edge_t t3, edge_t t4, edge_t t5, edge_t t6;

-- functions run while an execution is started (to leave out partitions) are
-- nested; whatever fails in them, it is the statement that failed
CREATE FUNCTION edge_key() RETURNS int STABLE LANGUAGE plpgsql
AS 'BEGIN PERFORM max(a) FROM edge_t; RETURN 1; END';
SELECT count(*) FROM edge_p WHERE k = edge_key();
CREATE FUNCTION edge_bad_key() RETURNS int STABLE LANGUAGE plpgsql AS $$
BEGIN
	IF nextval('edge_seq') <= 2 THEN	-- twice in planning
		RETURN 1;
	END IF;
	BEGIN
		PERFORM min(a) FROM edge_private;
	EXCEPTION WHEN insufficient_privilege THEN
		NULL;
	END;
	RAISE EXCEPTION 'no key';
END $$;
SET ROLE edge_role;
SELECT sum(k) FROM edge_p WHERE k = edge_bad_key();
RESET ROLE;

-- a statement that could not be started, in a savepoint, unknown to the log
SET log_min_messages = panic;
BEGIN;
SAVEPOINT s;
SET ROLE edge_role;
SELECT avg(a) FROM edge_private;
ROLLBACK TO s;
SET log_min_messages = warning;
SELECT edge_missing;
ROLLBACK;
RESET log_min_messages;

-- a cursor that is first read where that is rolled back
DO $$
DECLARE
	c CURSOR FOR SELECT a + 1 FROM edge_t;
	r record;
BEGIN
	OPEN c;
	BEGIN
		FETCH c INTO r;
		RAISE EXCEPTION 'undone';
	EXCEPTION WHEN raise_exception THEN
		NULL;
	END;
	FETCH c INTO r;
	CLOSE c;
END $$;

-- and one of which nothing is left
DO $$
DECLARE
	c refcursor;
	r record;
BEGIN
	OPEN c FOR SELECT a + 2 + 0 FROM edge_t;
	FETCH c INTO r;
	RAISE EXCEPTION 'undone';
EXCEPTION WHEN raise_exception THEN
	NULL;
END $$;

SELECT q.toplevel, q.calls, q.errors, q.rows, e.sqlstate, e.caught,
       regexp_replace(q.query, '\s+', ' ', 'g') AS query
FROM hone.query_stats q
     LEFT JOIN hone.query_errors e USING (userid, dbid, queryid, toplevel)
WHERE q.datname = current_database() AND q.query ~* '^select.* from edge_'
ORDER BY q.query COLLATE "C", q.toplevel;

-- the plan printed when a cursor was opened is not that of another one
SET pg_hone.slow_query_ms = 0;
SET pg_hone.slow_plan_ms = 0;
SET pg_hone.slow_query_rate_limit = 0;
SET statement_timeout = '50ms';
SELECT pg_sleep(10), count(*) FROM edge_t;
CREATE FUNCTION edge_cursors(close_it bool) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
	c1 refcursor;
	c2 refcursor;
	r record;
BEGIN
	OPEN c1 FOR SELECT a, pg_sleep(10) FROM edge_t;
	OPEN c2 FOR SELECT pg_sleep(10), count(*) FROM edge_t;
	IF close_it THEN
		CLOSE c2;
	END IF;
	FETCH c1 INTO r;
END $$;
SELECT edge_cursors(false);
SELECT edge_cursors(true);
RESET statement_timeout;
SELECT outcome, plan -> 'Plan' ->> 'Node Type' AS plan_of_another
FROM hone.slow_queries
WHERE datname = current_database() AND query ~ '^SELECT a, pg_sleep'
ORDER BY id DESC LIMIT 2;
RESET pg_hone.slow_query_ms;
RESET pg_hone.slow_plan_ms;
RESET pg_hone.slow_query_rate_limit;

DROP FUNCTION edge_cursors, edge_bad_key, edge_key, edge_unlogged, edge_uncounted;
DROP SEQUENCE edge_seq;
DROP TABLE edge_p, edge_private, edge_t;
DROP ROLE edge_role;
