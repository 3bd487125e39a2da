SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS pg_hone;
RESET client_min_messages;

CREATE SCHEMA whatif_gin;
SET search_path = whatif_gin;
CREATE TABLE docs (id int, labels jsonb, tags text[], words tsvector, note text, status text);
INSERT INTO docs
SELECT i, jsonb_build_object('host', 'h' || i % 997, 'request', i),
       ARRAY['t' || i % 20, 'u' || i % 1999],
       to_tsvector('simple', 'word' || i % 1999 || ' common'),
       md5(i::text), CASE WHEN i % 40 = 0 THEN 'open' ELSE 'done' END
FROM generate_series(1, 40000) i;
VACUUM ANALYZE docs;

CREATE FUNCTION ask(statement text, create_indexes text[], parameters text[] DEFAULT NULL,
                    OUT helps boolean, OUT used text)
RETURNS record LANGUAGE sql AS $$
    SELECT cost_after < cost_before, array_to_string(indexes_used, '; ')
    FROM hone.what_if(statement, create_indexes, NULL, parameters)
$$;

SELECT * FROM ask('SELECT * FROM docs WHERE labels @> ''{"host": "h7"}''', '{CREATE INDEX ON docs USING gin (labels)}');
SELECT * FROM ask('SELECT * FROM docs WHERE labels @> $1', '{CREATE INDEX ON docs USING gin (labels jsonb_path_ops)}', ARRAY['{"host": "h7"}']);
SELECT * FROM ask('SELECT * FROM docs WHERE labels @> $1', '{CREATE INDEX ON docs USING gin (labels)}');
SELECT * FROM ask('SELECT * FROM docs WHERE labels ? ''nothing''', '{CREATE INDEX ON docs USING gin (labels), CREATE INDEX ON docs USING gin (labels jsonb_path_ops)}');
SELECT * FROM ask('SELECT * FROM docs WHERE labels -> ''host'' ? ''h7''', '{CREATE INDEX ON docs USING gin ((labels -> ''host''))}');
SELECT * FROM ask('SELECT * FROM docs WHERE tags @> ''{u7}''', '{CREATE INDEX ON docs USING gin (tags)}');
SELECT * FROM ask('SELECT * FROM docs WHERE ''u7'' = ANY (tags)', '{CREATE INDEX ON docs USING gin (tags)}');
SELECT * FROM ask('SELECT * FROM docs WHERE words @@ ''word7''', '{CREATE INDEX ON docs USING gin (words)}');
SELECT * FROM ask('SELECT * FROM docs WHERE to_tsvector(''simple'', note) @@ ''word7''',
                  '{"CREATE INDEX ON docs USING gin (to_tsvector(''simple'', note))"}');
SELECT * FROM ask('SELECT * FROM docs WHERE tags @> ''{u7}'' AND words @@ ''word7''', '{"CREATE INDEX ON docs USING gin (tags, words)"}');
SELECT * FROM ask('SELECT * FROM docs WHERE status = ''open'' AND tags @> ''{t0}''', '{CREATE INDEX ON docs USING gin (tags) WHERE status = ''open''}');
SELECT * FROM ask('UPDATE docs SET note = ''x'' WHERE tags @> ''{u7}''', '{CREATE INDEX ON docs USING gin (tags)}');

-- partitions
CREATE TABLE parted (a int, tags text[]) PARTITION BY RANGE (a);
CREATE TABLE parted_1 PARTITION OF parted FOR VALUES FROM (0) TO (10000);
CREATE TABLE parted_2 PARTITION OF parted FOR VALUES FROM (10000) TO (20000);
INSERT INTO parted SELECT i, ARRAY['u' || i % 1999] FROM generate_series(0, 19999) i;
ANALYZE parted;
SELECT * FROM ask('SELECT * FROM parted WHERE tags @> ''{u7}''', '{CREATE INDEX ON parted USING gin (tags)}');

-- nulls, empty values, an empty table
CREATE TABLE sparse (tags text[]);
SELECT size_bytes > 0 AS sized FROM hone.what_if('SELECT 1', '{CREATE INDEX ON sparse USING gin (tags)}');
INSERT INTO sparse SELECT CASE WHEN i % 2 = 0 THEN '{}'::text[] WHEN i % 3 = 0 THEN ARRAY[NULL]::text[] END FROM generate_series(1, 1000) i;
SELECT size_bytes BETWEEN 16384 AND 65536 AS sized FROM hone.what_if('SELECT 1', '{CREATE INDEX ON sparse USING gin (tags)}');

SET client_min_messages = warning;
DROP SCHEMA whatif_gin CASCADE;
