-- Lists of any length are one query, and so are temporary tables of one name.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS pg_hone;
RESET client_min_messages;
CREATE TABLE hone_lists (a int, b text, c numeric, d timestamptz);
CREATE FUNCTION pg_temp.counted(pattern text, OUT query text, OUT calls bigint) RETURNS SETOF record
LANGUAGE sql AS $$
    SELECT s.query, sum(s.calls)::bigint FROM hone.query_stats s
    WHERE s.query ~ pattern AND s.calls > 0 AND s.query !~ 'counted' GROUP BY s.query ORDER BY s.query COLLATE "C"
$$;
-- the core's id, as everybody else sees it
CREATE FUNCTION pg_temp.core_id(statement text) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE line text;
BEGIN
    FOR line IN EXECUTE 'EXPLAIN (VERBOSE) ' || statement LOOP
        IF line ~ 'Query Identifier' THEN RETURN substring(line from '-?[0-9]+$')::bigint; END IF;
    END LOOP;
END $$;
SELECT hone.reset_query_stats() IS NOT NULL AS reset;

-- IN, of two and more
SELECT 1 AS l1 FROM hone_lists WHERE a IN (1);
SELECT 1 AS l1 FROM hone_lists WHERE a IN (1, 2);
SELECT 1 AS l1 FROM hone_lists WHERE a IN (1, 2, 3);
SELECT 1 AS l1 FROM hone_lists WHERE a IN (-1, - -5 , -(3), 4::int, '7', NULL, 5::smallint);
SELECT 1 AS l1 FROM hone_lists WHERE b = 'y' AND a NOT IN (1, /* ) */ 2, 3 -- )
    ) LIMIT 3;
SELECT 1 AS l1 FROM hone_lists WHERE b = 'z' AND a NOT /* , */ IN (1, 2) LIMIT 4;
SELECT 1 AS l1 FROM hone_lists WHERE b IN ('a)', E'b\')', $$c)$$, $x$,$x$, U&'\0028' UESCAPE '!', 'd'
    'e');
SELECT 1 AS l1 FROM hone_lists WHERE b IN ('a', 'b');
SELECT 1 AS l1 FROM hone_lists WHERE lower(b) IN (lower('a'), lower('b'));
SELECT 1 AS l1 FROM hone_lists WHERE lower(b) IN (lower('a'), lower('b'), lower('c'));
SELECT * FROM pg_temp.counted('AS l1');

-- arrays; those with one element, with columns, or not alike, are what they are
SELECT 1 AS l2 FROM hone_lists WHERE a = ANY (ARRAY[1, 2]);
SELECT 1 AS l2 FROM hone_lists WHERE a = ANY (ARRAY[1, 2, 3, 4]);
SELECT 1 AS l2 FROM hone_lists WHERE a = ANY (ARRAY[1]);
SELECT 1 AS l2 FROM hone_lists WHERE a IN (1, 2, length(b));
SELECT 1 AS l2 FROM hone_lists WHERE a IN (1, 2, 3, length(b));
SELECT 1 AS l2 FROM hone_lists WHERE b IN (lower('a'), 'b', 'c');
SELECT 1 AS l2 FROM hone_lists WHERE b IN (lower('a'), 'b');
SELECT 1 AS l2 FROM hone_lists WHERE a NOT BETWEEN SYMMETRIC 1 AND 2;
SELECT 2 AS l2, ARRAY[[1, 2], [3, 4]];
SELECT 2 AS l2, ARRAY[[1, 2, 3], [3, 4, 5], [6, 7, 8]];
SELECT 3 AS l2, json_extract_path('{}', 'a', 'b');
SELECT 3 AS l2, json_extract_path('{}', 'a', 'b', 'c');
SELECT * FROM pg_temp.counted('AS l2');

-- rows
SELECT 1 AS l3 FROM hone_lists WHERE (a, b) IN ((1, 'a'), (2, 'b'));
SELECT 1 AS l3 FROM hone_lists WHERE (a, b) IN ((1, 'a'), (2, 'b'), (3, 'c'), (4, 'd'));
SELECT 1 AS l3 FROM hone_lists WHERE (a, b) NOT IN ((1, 'a'), (2, 'b'));
SELECT 1 AS l3 FROM hone_lists WHERE (a, b) NOT IN ((1, 'a'), (2, 'b'), (3, 'c'));
SELECT 1 AS l3 FROM hone_lists WHERE (a, b) IN ((1, 'a'));
SELECT 1 AS l3 FROM hone_lists WHERE (a, a) IN ((1, 1));
SELECT 1 AS l3 FROM hone_lists WHERE a = 1 OR a = 2 OR a = 3;
SELECT * FROM pg_temp.counted('AS l3');

-- VALUES
INSERT INTO hone_lists VALUES (1, 'a', 1.5), (2, 'b(', 2), (3, ')', DEFAULT) RETURNING 1 AS l4;
INSERT INTO hone_lists VALUES (1, 'a', 1), (2, 'b', 2) RETURNING 1 AS l4;
INSERT INTO hone_lists VALUES (1, 'a', DEFAULT, now()), (2, 'b', 2, now()) RETURNING 2 AS l4;
INSERT INTO hone_lists VALUES (1, 'a', 5, now()), (1, 'a', 5, now()), (1, 'a', 5, now()) RETURNING 2 AS l4;
INSERT INTO hone_lists VALUES (1, 'a', 5, now()), (1, 'a', 5, '2020-01-01') RETURNING 3 AS l4;
INSERT INTO hone_lists VALUES (1, 'a') RETURNING 4 AS l4;
SELECT x AS l4 FROM (VALUES (1), (2), (3.5)) v (x) WHERE x < 0;
SELECT x AS l4 FROM (VALUES (1.5), (2)) v (x) WHERE x < 0;
SELECT x AS l4 FROM (VALUES (1)) v (x) WHERE x < 0;
SELECT x AS l4 FROM (VALUES ((VALUES (1), (2) LIMIT 1)), (3)) v (x) WHERE x < 0;
SELECT x AS l4 FROM (VALUES ((VALUES (1), (2), (3) LIMIT 1)), (3)) v (x) WHERE x < 0;
SELECT * FROM pg_temp.counted('AS l4|\(VALUES');

-- everywhere in a query
WITH w AS (VALUES (1, 2), (3, 4))
SELECT 1 AS l5 FROM w WHERE column1 IN (SELECT a FROM hone_lists WHERE b IN ('p', 'q')) AND EXISTS (SELECT WHERE column2 IN (8, 9))
UNION ALL SELECT CASE WHEN a IN (1, 2) THEN 1 END FROM hone_lists WHERE false GROUP BY a HAVING a IN (5, 6) ORDER BY 1;
WITH w AS (VALUES (1, 2), (3, 4), (5, 6))
SELECT 1 AS l5 FROM w WHERE column1 IN (SELECT a FROM hone_lists WHERE b IN ('p', 'q', 'r')) AND EXISTS (SELECT WHERE column2 IN (8, 9, 10, 11))
UNION ALL SELECT CASE WHEN a IN (1, 2, 3) THEN 1 END FROM hone_lists WHERE false GROUP BY a HAVING a IN (5, 6, 7) ORDER BY 1;
SELECT * FROM pg_temp.counted('AS l5');

-- parameters, and those behind a list
PREPARE l6a (int, int, int) AS SELECT 1 AS l6 FROM hone_lists WHERE a IN ($1, $2) AND b = 'x' LIMIT $3;
PREPARE l6b (int, int, int, int) AS SELECT 1 AS l6 FROM hone_lists WHERE a IN ($1, $2, $3) AND b = 'x' LIMIT $4;
EXECUTE l6a (1, 2, 3);
EXECUTE l6b (1, 2, 3, 4);
DO $$
DECLARE n int; x int := 1; y int := 2; z int := 3;
BEGIN
    FOR i IN 2 .. 5 LOOP
        EXECUTE format('SELECT 2 AS l6 FROM hone_lists WHERE a IN (%s) ORDER BY b',
                       (SELECT string_agg('$' || p, ', ') FROM generate_series(1, i) p)) INTO n USING 1, 2, 3, 4, 5;
    END LOOP;
    SELECT 3 AS l6 INTO n FROM hone_lists WHERE a IN (x, y) ORDER BY c;
    SELECT 3 AS l6 INTO n FROM hone_lists WHERE a IN (z, x, y) ORDER BY c;
END $$;
SELECT * FROM pg_temp.counted('AS l6');
-- one query, but each sample has its own text, which can be planned again
SELECT DISTINCT query, parameters, replannable FROM hone.workload_samples WHERE query ~ '3 AS l6.*hone_lists' ORDER BY 1;

-- long ones
DO $$
DECLARE n int;
BEGIN
    EXECUTE 'SELECT 1 AS l7 FROM hone_lists WHERE a IN (' || (SELECT string_agg(i::text, ',') FROM generate_series(1, 10000) i) || ') AND b = ''last''' INTO n;
    EXECUTE 'SELECT 1 AS l7 FROM hone_lists WHERE a IN (' || (SELECT string_agg(i::text, ',') FROM generate_series(1, 10001) i) || ') AND b = ''last''' INTO n;
    EXECUTE 'INSERT INTO hone_lists /* l7 */ VALUES ' || (SELECT string_agg(format('(%s, %L, -%1$s, now())', i, i), ',') FROM generate_series(1, 1000) i);
    EXECUTE 'INSERT INTO hone_lists /* l7 */ VALUES ' || (SELECT string_agg(format('(%s, %L, -%1$s, now())', i, i), ',') FROM generate_series(1, 1001) i);
    EXECUTE 'SELECT 1 AS l7 FROM hone_lists WHERE (a, b) IN (' || (SELECT string_agg(format('(%s, %L)', i, i), ',') FROM generate_series(1, 1000) i) || ') ORDER BY c' INTO n;
    EXECUTE 'SELECT 1 AS l7 FROM hone_lists WHERE (a, b) IN (' || (SELECT string_agg(format('(%s, %L)', i, i), ',') FROM generate_series(1, 1001) i) || ') ORDER BY c' INTO n;
END $$;
SELECT * FROM pg_temp.counted('l7');

-- the core's id is what it was, and differs by length here
SET compute_query_id = on;
CREATE TEMP TABLE hone_ids AS
SELECT statement, pg_temp.core_id(statement) AS id
FROM (VALUES ('SELECT 1 AS l8 FROM hone_lists WHERE a IN (1, 2) LIMIT 3'),
             ('SELECT 1 AS l8 FROM hone_lists WHERE (a, b) IN ((1, ''a''), (2, ''b''))'),
             ('SELECT x AS l8 FROM (VALUES (1, 2), (3, 4)) v (x, y)'),
             ('SELECT 1 AS l8 FROM hone_lists')) v (statement);
SET pg_hone.enabled = off;
SELECT count(*), count(*) FILTER (WHERE id = pg_temp.core_id(statement)) AS same FROM hone_ids;
RESET pg_hone.enabled;
RESET compute_query_id;

-- temporary tables, made again and again
SELECT hone.reset_query_stats() IS NOT NULL AS reset;
DO $$
DECLARE n int;
BEGIN
    FOR i IN 1 .. 50 LOOP
        CREATE TEMP TABLE hone_temporary (a int, b text);
        EXECUTE 'INSERT INTO hone_temporary VALUES (1, ''x''), (2, ''y'')';
        EXECUTE 'SELECT count(*) AS l9 FROM hone_temporary t JOIN hone_lists USING (a) WHERE t.b = ''x''' INTO n;
        DROP TABLE hone_temporary;
    END LOOP;
END $$;
SELECT query, calls, count(*) FROM hone.query_stats WHERE query ~ '^(SELECT|INSERT).* hone_temporary' GROUP BY 1, 2 ORDER BY 1;
SET pg_hone.merge_temporary_tables = off;
DO $$
DECLARE n int;
BEGIN
    FOR i IN 1 .. 50 LOOP
        CREATE TEMP TABLE hone_temporary (a int, b text);
        EXECUTE 'SELECT count(*) AS l10 FROM hone_temporary' INTO n;
        DROP TABLE hone_temporary;
    END LOOP;
END $$;
SELECT query, calls, count(*) FROM hone.query_stats WHERE query ~ '^SELECT.*l10 FROM hone_temporary' GROUP BY 1, 2;
RESET pg_hone.merge_temporary_tables;

-- literals that the jumble does not know are not kept either
SET compute_query_id = off;
SELECT 1 AS l12 FROM hone_lists WHERE a IN (1, 2) AND b = 'secret1' ORDER BY c;
SELECT 1 AS l12 FROM hone_lists WHERE a IN (1, 2, 3) AND b = 'secret2' ORDER BY c;
RESET compute_query_id;
SELECT * FROM pg_temp.counted('l12');
SELECT count(*) FROM hone.query_stats WHERE query ~ 'secret[0-9]';

DROP TABLE hone_lists, hone_ids;
DROP FUNCTION pg_temp.counted, pg_temp.core_id;
