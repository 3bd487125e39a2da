-- Statements that carry a password in a constant or a value are neither sampled
-- nor logged as they were written; those that only speak of passwords are.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS pg_hone;
DROP SCHEMA IF EXISTS secrets CASCADE;
RESET client_min_messages;
CREATE SCHEMA secrets;
SET search_path = secrets;

CREATE TABLE t (a int, v text, password text, encrypted_password text, j jsonb, l text[]);
CREATE FUNCTION dblink_connect(text) RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT $1';
CREATE FUNCTION crypt(text, text) RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT $1 || $2';
CREATE TABLE cases (id int GENERATED ALWAYS AS IDENTITY, secret bool, condition text, value text);

-- constants
INSERT INTO cases (secret, condition) VALUES
(true,  $$v = dblink_connect('host=h dbname=d password=hunter2')$$),
(true,  $$v = 'host=h PASSWORD = ''hunter 2'' dbname=d'$$),
(true,  $$v = 'passwd=hunter2'$$),
(true,  $$v = E'user=\tu\tsslpassword=hunter2'$$),
(true,  $$v = 'postgresql://u:hunter2@h/d'$$),
(true,  $$v = 'see postgres://u:hunter2@h,h2:5433/d for more'$$),
(true,  $$v = 'amqps://u:hunter2@h'$$),
(true,  $$v = 'postgresql://h/d?user=u&password=hunter2'$$),
(true,  $$v = 'jdbc:postgresql://h/d?user=u&password=hunter2'$$),
(true,  $$v = 'PGPASSWORD=hunter2 psql'$$),
(true,  $$v = 'scram_client_key=hunter2'$$),
(true,  $y$v = $x$host=h password=hunter2$x$$y$),
(true,  $y$v = $x$ SELECT crypt('hunter2', v) $x$$y$),
(true,  $$v = U&'password=hunter2'$$),
(true,  $$password = crypt('hunter2', password)$$),
(true,  $$password = secrets.CRYPT ('hunter2', password)$$),
(true,  $$v IN ('a', 'b', 'password=hunter2')$$),
(true,  $$v = 'it''s' AND v = 'password=hunter2'$$),
(true,  $$v = E'\\' AND v = 'password=hunter2'$$),
(true,  $$"password=x'" = 'password=hunter2'$$),
(false, $$encrypted_password = 'x'$$),
(false, $$password = 'x'$$),
(false, $$"password"='x'$$),
(false, $$password=v$$),
(false, $$v = 'my password is long'$$),
(false, $$v = 'forgot_password=1'$$),
(false, $$v = 'password='$$),
(false, $$v = 'password='''' host=h'$$),
(false, $$v = 'password=&user=u'$$),
(false, $$v = 'WHERE password = $1'$$),
(false, $$v = format('password=%L', password)$$),
(false, $$v = 'postgresql://u@h/d'$$),
(false, $$v = 'postgresql://u:@h/d'$$),
(false, $$v = 'http://h:8080/a@b:c@d'$$),
(false, $$v = 'https://h/?mail=a:b@c'$$),
(false, $$v = 'ssh://git@h:22/r'$$),
(false, $$v = 'key: a:b@c'$$),
(false, $$v = format('postgresql://%s:%s@h', v, v)$$),
(false, $$v = 'passfile=/home/u/.pgpass'$$),
(false, $$v = 'crypt(this)'$$),
(false, $$v = 'x' /* password=1 */ -- password=2
          AND a = 1$$),
(false, $$"password=x'" = 'y'$$),
(false, $$v = 'x''password' AND a = 1$$);
ALTER TABLE t ADD "password=x'" text;

-- values
INSERT INTO cases (secret, condition, value) VALUES
(true,  'v = $1', 'host=h password=hunter2'),
(true,  'v = $1', 'postgresql://u:hunter2@h/d'),
(true,  'v = $1::varchar', 'passwd=hunter2'),
(true,  'l = $1::text[]', '{a,"host=h password=hunter2"}'),
(true,  'j = $1::jsonb', '{"dsn": "password=hunter2"}'),
(true,  'v = $1::json ->> 0', '["postgresql://u:hunter2@h/d"]'),
(true,  'v = convert_from($1::bytea, ''UTF8'')', '\x70617373776f72643d68756e74657232'),
(true,  'password = crypt($1, password)', 'hunter2'),
(false, 'v = $1', 'hunter1'),
(false, 'password = $1', 'hunter1'),
(false, 'v = $1', 'postgresql://u@h/d'),
(false, 'l = $1::text[]', '{password,"= hunter1"}'),
(false, 'j = $1::jsonb', '{"encrypted": "password"}');

CREATE VIEW slow AS
SELECT l.query, l.parameters, l.plan FROM hone.slow_queries l WHERE l.id > current_setting('secrets.start')::bigint;
SELECT set_config('secrets.start', coalesce(max(id), 0)::text, false) IS NOT NULL AS started FROM hone.slow_queries;
SELECT secrets AS secrets_before FROM hone.workload_info \gset

-- Each case is a query of its own, known by the number of + a in it.
CREATE PROCEDURE run_case(id int, condition text, value text) LANGUAGE plpgsql AS $$
DECLARE
    statement text := format('SELECT count(*) FROM secrets.t WHERE (%s) AND 0 < a%s', condition, repeat(' + a', id));
    type text := coalesce(substring(condition from '\$1::(\w+(\[\])?)'), 'text');
    n bigint;
BEGIN
    IF value IS NULL THEN
        EXECUTE statement INTO n;
    ELSE
        EXECUTE format('PREPARE c(%s) AS %s', type, replace(statement, '$1::' || type, '$1'));
        -- the EXECUTE is a statement with the value in it; what it runs is looked at here
        EXECUTE format('EXECUTE c(%L)', value) INTO n;
        DEALLOCATE c;
    END IF;
END $$;
SET pg_hone.slow_query_rate_limit = 0;
SET pg_hone.slow_query_ms = 0;
SET pg_hone.slow_plan_ms = 0;
DO $$
DECLARE c cases;
BEGIN
    FOR c IN SELECT * FROM cases ORDER BY id LOOP
        CALL run_case(c.id, c.condition, c.value);
    END LOOP;
END $$;
SET pg_hone.slow_query_ms = -1;
SELECT secrets - :secrets_before AS found FROM hone.workload_info \gset

-- in other ways: in code, in what fails, in cursors
INSERT INTO t (a, v) VALUES (1, 'x');
CREATE PROCEDURE p(text) LANGUAGE plpgsql AS $$ BEGIN PERFORM $1 FROM secrets.t WHERE v <> $1; END $$;
PREPARE fails(text) AS SELECT 1 / (a - a) FROM t WHERE v <> $1;
SET pg_hone.slow_query_ms = 0;
DO $$ BEGIN PERFORM v FROM secrets.t WHERE v <> 'password=hunter2'; END $$;
CALL p('password=hunter2');
SELECT 1 / (a - a) FROM t WHERE v <> 'password=hunter2';
EXECUTE fails('password=hunter2');
BEGIN;
DECLARE c CURSOR FOR SELECT a FROM t WHERE v <> 'password=hunter2';
FETCH c;
COMMIT;
CREATE TABLE made AS SELECT a FROM t WHERE v <> 'password=hunter2';
EXPLAIN (COSTS OFF) SELECT a FROM t WHERE v <> 'password=hunter2';
CREATE VIEW looks AS SELECT a FROM t WHERE v <> 'password=hunter2';
COPY (SELECT a FROM t WHERE v <> 'password=hunter2') TO STDOUT;
SET pg_hone.slow_query_ms = -1;

-- what is kept and should not be, and the other way round
SELECT c.secret, c.condition, c.value, s.kept AS sampled, l.kept AS logged
FROM cases c
     CROSS JOIN LATERAL (SELECT count(*) > 0 AS kept FROM hone.workload_samples w
                         WHERE w.query LIKE '% AND 0 < a' || repeat(' + a', c.id) AND 't'::regclass = ANY (w.relids)) s
     CROSS JOIN LATERAL (SELECT count(*) > 0 AS kept FROM slow w
                         WHERE w.query LIKE '% AND 0 < a' || repeat(' + a', c.id)) l
WHERE s.kept = c.secret OR l.kept = c.secret ORDER BY c.id;
SELECT count(*) FILTER (WHERE secret) > 25 AS secrets, count(*) FILTER (WHERE NOT secret) > 25 AS others,
       :found = count(*) FILTER (WHERE secret) AS counted
FROM cases;
-- nothing of them anywhere, but that they ran; this file's own statements are among what it looks for
SELECT query, parameters, plan FROM slow
WHERE (query ~ 'hunter2' OR parameters::text ~ 'hunter2|68756e74657232' OR plan::text ~ 'hunter2|68756e74657232')
  AND query !~ '^(INSERT INTO cases|SELECT query, parameters, plan)';
SELECT query FROM hone.workload_samples WHERE query || coalesce(parameters::text, '') ~ 'hunter2|68756e74657232' AND 't'::regclass = ANY (relids);
SELECT query FROM hone.query_stats WHERE query ~ 'secrets.t' AND query ~ 'hunter2';
SELECT count(*) > 20 AS ran FROM slow WHERE query = 'SELECT' AND parameters IS NULL AND plan IS NULL;

-- long ones, in no time
SET statement_timeout = '20s';
SELECT count(*) FROM t WHERE v = repeat('x', 3) \g /dev/null
DO $$
DECLARE n bigint;
BEGIN
    SET LOCAL pg_hone.slow_query_ms = 0;
    SET LOCAL pg_hone.max_sample_length = 1048576;
    EXECUTE 'SELECT count(*) FROM secrets.t WHERE v <> ''' || repeat('p', 300000) || repeat('://', 100000) || '''' INTO n;
    EXECUTE 'SELECT count(*) FROM secrets.t WHERE v < ' || '$' || repeat('a', 30) || '$' || repeat('$' || repeat('a', 29), 10000) || '$' || repeat('a', 30) || '$' INTO n;
    EXECUTE 'SELECT count(*) FROM secrets.t WHERE v > ''' || repeat('password ', 50000) || '''' INTO n;
END $$;
RESET statement_timeout;

SET client_min_messages = warning;
DROP SCHEMA secrets CASCADE;
