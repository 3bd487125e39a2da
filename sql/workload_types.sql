-- Values of every kind of type are kept as they were passed, and can be passed again.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS pg_hone;
DROP SCHEMA IF EXISTS types CASCADE;
RESET client_min_messages;
CREATE SCHEMA types;
SET search_path = types, public;
SET TimeZone = 'UTC';

CREATE TYPE mood AS ENUM ('sad', 'it''s "ok"', 'happy');
CREATE DOMAIN positive AS numeric CHECK (VALUE > 0);
CREATE DOMAIN words AS text[];
CREATE TYPE textrange AS RANGE (subtype = text, collation = "C");
CREATE TYPE pair AS (a int, b text);
CREATE TABLE one AS SELECT 1 AS id;
CREATE TABLE cases (id int GENERATED ALWAYS AS IDENTITY, type text, value text, kept bool DEFAULT true);
INSERT INTO cases (type, value) VALUES
('bool', 'f'), ('"char"', 'x'), ('smallint', '-32768'), ('int', '2147483647'), ('bigint', '-9223372036854775808'),
('real', '1.1754944e-38'), ('real', 'NaN'), ('float8', '0.1'), ('float8', '-0'), ('float8', '1.7976931348623157e+308'),
('float8', '-Infinity'), ('float8', '5e-324'),
('numeric', '0'), ('numeric', '-1.10'), ('numeric', 'NaN'), ('numeric', 'Infinity'), ('numeric', repeat('9', 900) || '.' || repeat('7', 400)),
('numeric(10,2)', '12345678.90'), ('money', '$12.30'), ('oid', '4294967295'), ('xid8', '18446744073709551615'), ('tid', '(7,8)'), ('pg_lsn', '16/B374D848'),
('text', ''), ('text', 'it''s "{,}\ '), ('text', E'line\nfeed\t'), ('text', 'äöü€😀'), ('varchar(3)', 'abc'), ('char(5)', 'ab'), ('name', 'a name'),
('text', repeat('x', 1000)), ('bytea', '\x00ff5c27'), ('bytea', '\x'), ('bit(5)', '10101'), ('varbit', '1'),
('date', '2026-02-03'), ('date', 'infinity'), ('date', '0044-03-15 BC'), ('time', '24:00:00'), ('timetz', '12:00:00.000001+05:45'),
('timestamp', '2026-02-03 04:05:06.789012'), ('timestamp', '-infinity'), ('timestamptz', '2026-10-25 02:30:00+00'), ('timestamptz', '4713-01-01 00:00:00+00 BC'),
('interval', '-1 years -2 mons +3 days -04:05:06.789'), ('interval', '-00:00:00.000001'),
('uuid', 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'), ('inet', '::ffff:1.2.3.4/96'), ('inet', '10.1.2.3'), ('cidr', '10.0.0.0/8'), ('macaddr', '08:00:2b:01:02:03'), ('macaddr8', '08:00:2b:01:02:03:04:05'),
('json', '{"a": [1, 2.0, null], "a": "\u00e4"}'), ('jsonb', '{"a": [1, 2.0, null], "b": {"c": "x\"y"}}'), ('jsonpath', '$."a"[*]?(@ > 1)'),
('tsvector', '''a'':1A ''b c'':2,3'), ('tsquery', '''a'' & !''b'':*'), ('point', '(1.5,-2)'), ('box', '(2,2),(0,0)'), ('path', '((0,0),(1,1))'), ('circle', '<(1,2),3>'),
('int4range', '[1,10)'), ('int4range', 'empty'), ('numrange', '(,1.5]'), ('tstzrange', '["2026-01-01 00:00:00+00",)'), ('int8multirange', '{[1,3),[5,7)}'), ('textrange', '["a,b",c)'),
('mood', 'it''s "ok"'), ('positive', '1.50'), ('words', '{a,NULL,"b,c"}'), ('mood[]', '{sad,"it''s \"ok\""}'), ('positive[]', '{1.0,2}'),
('int[]', '{}'), ('int[]', '{1,NULL,3}'), ('int[]', '[0:1][2:3]={{1,2},{3,4}}'), ('text[]', '{"","NULL",NULL,"a\\b"}'), ('timestamptz[]', '{"2026-02-03 04:05:06+00"}'),
('regclass', 'types.one'), ('regtype', 'types.mood'), ('regproc', 'now'), ('oidvector', '1 2 3'), ('int2vector', '1 2');
INSERT INTO cases (type, value, kept) VALUES
('pair', '(1,x)', false), ('pair[]', '{"(1,x)"}', false), ('text', repeat('y', 1100), false), ('int[]', '{' || repeat('1,', 400) || '1}', false);

CREATE VIEW taken AS
SELECT s.query, s.parameters, s.param_types, s.replannable, s.duration_ms, substring(s.query from '/\* (\d+) \*/')::int AS id
FROM hone.workload_samples s WHERE 'one'::regclass = ANY (s.relids) AND s.command = 'SELECT' AND s.query LIKE '%/* % */%';

-- by EXECUTE (the extended protocol passes the same list), and each as a NULL too
DO $$
DECLARE c cases;
BEGIN
    FOR c IN SELECT * FROM cases ORDER BY id LOOP
        EXECUTE format('PREPARE p(%1$s) AS SELECT /* %2$s */ count(*) FROM one WHERE ($1 IS NULL OR id > %2$s) %3$s',
                       c.type, c.id, repeat('AND id > 0 ', c.id));
        EXECUTE format('EXECUTE p(%L)', c.value);
        EXECUTE 'EXECUTE p(NULL)';
        DEALLOCATE p;
    END LOOP;
END $$;
-- what was not kept, or not as it was passed
SELECT c.type, left(c.value, 30) AS value, left(t.parameters[1], 30) AS parameter, t.param_types[1]::regtype AS kept_type, t.replannable
FROM cases c LEFT JOIN taken t ON t.id = c.id AND t.parameters[1] IS NOT NULL
WHERE t.parameters[1] IS DISTINCT FROM c.value
   OR t.param_types[1]::regtype IS DISTINCT FROM c.type::regtype OR NOT t.replannable
ORDER BY c.id;
SELECT count(*) = (SELECT count(*) FROM cases) AS nulls FROM taken t WHERE t.parameters[1] IS NULL AND t.replannable;

-- the text is the value: read as its type it is the same bytes
CREATE FUNCTION same(type text, a text, b text) RETURNS bool LANGUAGE plpgsql AS $$
DECLARE result bool;
BEGIN
    EXECUTE format('SELECT row($1::%1$s)::text = row($2::%1$s)::text AND $1::%1$s IS NOT NULL', type) INTO result USING a, b;
    RETURN result;
END $$;
SELECT c.type, c.value FROM cases c JOIN taken t ON t.id = c.id AND t.parameters[1] IS NOT NULL
WHERE c.kept AND same(c.type, c.value, t.parameters[1]) IS NOT TRUE;

-- each can be planned again: nothing is skipped, but what was not kept
SELECT count(*) >= 0 AS recommended FROM hone.recommend();
SELECT s ->> 'reason' AS skipped, count(*) FROM hone.advisor_runs r, jsonb_array_elements(r.skipped) s
WHERE r.run_id = (SELECT max(run_id) FROM hone.advisor_runs)
  AND (s ->> 'queryid')::bigint IN (SELECT w.queryid FROM hone.workload_samples w WHERE 'one'::regclass = ANY (w.relids))
GROUP BY 1;

-- PL/pgSQL: stored out of line, compressed, arrays and rows it has open
CREATE TABLE toasted (id int, external text, compressed text, small text, list int[]);
ALTER TABLE toasted ALTER external SET STORAGE EXTERNAL;
INSERT INTO toasted SELECT 1, string_agg(md5(g::text), ''), repeat('abc', 200), 'small', array_agg(g) FROM generate_series(1, 200) g;
INSERT INTO toasted SELECT 2, NULL, repeat('abc', 200) || string_agg(md5(g::text), ''), repeat('b', 500), '{1}' FROM generate_series(1, 40) g;
SET pg_hone.max_parameter_length = '16kB';
CREATE FUNCTION pass() RETURNS SETOF bigint LANGUAGE plpgsql AS $$
DECLARE
    r toasted; s record; external text; compressed text; list int[] := '{}'; strings text[] := '{}'; p pair; n bigint;
BEGIN
    SELECT * INTO r FROM toasted WHERE id = 1;
    SELECT t.external, t.compressed INTO external, compressed FROM toasted t WHERE t.id = 1;
    SELECT * INTO s FROM toasted WHERE id = 2;
    DELETE FROM toasted WHERE id = 1;
    SELECT /* 1001 */ count(*) INTO n FROM one WHERE length(external) > id; RETURN NEXT n;
    SELECT /* 1002 */ count(*) INTO n FROM one WHERE length(r.external) > id AND id > 0; RETURN NEXT n;
    SELECT /* 1003 */ count(*) INTO n FROM one WHERE compressed <> 'x' AND id > -3; RETURN NEXT n;
    SELECT /* 1004 */ count(*) INTO n FROM one WHERE s.small <> 'x' AND id > s.id - 5; RETURN NEXT n;
    FOR i IN 1..5 LOOP list[i] := i * i; strings[i] := 'e' || i; END LOOP;
    SELECT /* 1005 */ count(*) INTO n FROM one WHERE id = ANY (list); RETURN NEXT n;
    SELECT /* 1006 */ count(*) INTO n FROM one WHERE strings <> '{}' AND id = list[1] AND strings[2] = 'e2'; RETURN NEXT n;
    p := (1, 'x');
    SELECT /* 1007 */ count(*) INTO n FROM one WHERE p IS NOT NULL AND id > -7; RETURN NEXT n;
    SELECT /* 1008 */ count(*) INTO n FROM one WHERE id = p.a AND p.b = 'x'; RETURN NEXT n;
    SELECT /* 1009 */ count(*) INTO n FROM one WHERE s IS NOT NULL AND id > -9; RETURN NEXT n;
    SELECT /* 1010 */ count(*) INTO n FROM one WHERE r.list[1] = id AND cardinality(r.list) > 3; RETURN NEXT n;
END $$;
SELECT array_agg(n) FROM pass() AS n;
VACUUM toasted;
SELECT id, array(SELECT left(p, 20) || CASE WHEN length(p) > 20 THEN '... ' || length(p) ELSE '' END FROM unnest(parameters) AS p) AS parameters, replannable
FROM taken WHERE id > 1000 ORDER BY id;
RESET pg_hone.max_parameter_length;

-- a type that was changed or is gone afterwards
CREATE TYPE short_lived AS ENUM ('a', 'b');
CREATE DOMAIN narrowed AS int;
PREPARE lived(short_lived, narrowed) AS SELECT /* 2001 */ count(*) FROM one WHERE $1 IS NOT NULL AND $2 > id - 2001;
EXECUTE lived('b', 5);
ALTER TYPE short_lived RENAME VALUE 'b' TO 'c';
ALTER DOMAIN narrowed ADD CONSTRAINT small CHECK (VALUE < 3) NOT VALID;
SELECT parameters FROM taken WHERE id = 2001;
DEALLOCATE lived;
DROP TYPE short_lived;
SELECT parameters FROM taken WHERE id = 2001;
SELECT count(*) >= 0 AS recommended FROM hone.recommend();

SET client_min_messages = warning;
DROP SCHEMA types CASCADE;
