-- Where something else than an index is the cause: said when it is, and only then.
-- What is measured is in advise_answers.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS pg_hone;
DROP SCHEMA IF EXISTS advise_hints CASCADE;
DROP ROLE IF EXISTS regress_hints_a;
RESET client_min_messages;
CREATE SCHEMA advise_hints;
SET search_path = advise_hints, public;
SET timezone = 'UTC';

CREATE TABLE event (
    id int PRIMARY KEY, account int NOT NULL, code varchar(20) NOT NULL, name text,
    at timestamp NOT NULL, at_tz timestamptz NOT NULL, amount numeric, state text,
    tags text[], labels jsonb, other jsonb, note text, uid uuid);
INSERT INTO event
SELECT i, i % 2000, 'c' || i % 1500, 'n' || i % 3000, timestamp '2024-01-01' + i * interval '30 minutes',
       timestamptz '2024-01-01 00:00+00' + i * interval '30 minutes', i / 7.0,
       CASE WHEN i % 900 = 0 THEN NULL ELSE 's' || i % 1000 END,
       ARRAY['t' || i % 1000, 'u' || i % 700], jsonb_build_object('k', 'v' || i % 2000, 'n', i % 500),
       jsonb_build_object('k', 'v' || i % 2000), 'note ' || md5(i::text) || ' about ' || i,
       md5(i::text)::uuid
FROM generate_series(1, 60000) i;
CREATE INDEX event_at ON event (at);
CREATE INDEX event_at_tz ON event (at_tz);
CREATE INDEX event_account ON event (account);
CREATE INDEX event_code ON event (code varchar_pattern_ops);
CREATE INDEX event_name ON event (name);
CREATE INDEX event_state ON event (state);
CREATE INDEX event_uid ON event (uid);
CREATE INDEX event_labels ON event USING gin (labels);
CREATE INDEX event_tags ON event USING gin (tags);
CREATE TABLE bare AS SELECT id, account, at, at_tz, code, note FROM event;
CREATE TABLE owner (id int PRIMARY KEY, name text NOT NULL, region int);
INSERT INTO owner SELECT i, 'o' || i, i % 400 FROM generate_series(1, 20000) i;
CREATE INDEX owner_region ON owner (region);
CREATE TABLE reference (id int PRIMARY KEY, account text, figure numeric);
INSERT INTO reference SELECT i, i % 2000, i % 2000 FROM generate_series(1, 20000) i;
CREATE TABLE tiny AS SELECT i AS id, 'x' || i AS code, now() AS at FROM generate_series(1, 50) i;
CREATE INDEX ON tiny (at);
CREATE INDEX ON tiny (code);
CREATE VIEW recent AS SELECT id, at, at_tz, account FROM event;
VACUUM ANALYZE event, bare, owner, reference, tiny;

CREATE FUNCTION hints(statement text, parameters text[] DEFAULT NULL) RETURNS text LANGUAGE sql AS $$
    SELECT string_agg(DISTINCT kind, ', ' ORDER BY kind)
    FROM hone.advise(statement, parameters) a,
         LATERAL (SELECT CASE
             WHEN a.reason LIKE 'OFFSET reads%' THEN 'offset'
             WHEN a.reason LIKE 'Several values of%' THEN 'in_list_order_limit'
             WHEN a.reason LIKE 'ORDER BY random()%' THEN 'order_by_random'
             WHEN a.reason LIKE 'Counting all rows%' THEN 'count_all'
             WHEN a.reason LIKE 'UNION removes%' THEN 'union_distinct'
             WHEN a.reason LIKE 'DISTINCT removes%' THEN 'distinct_join'
             WHEN a.reason LIKE 'The join converts%' THEN CASE WHEN a.reason ~ 'to text' THEN 'cast_on_column' ELSE 'type_mismatch' END
             WHEN a.reason LIKE '%is converted to%' OR a.reason LIKE '%is compared as%' THEN 'type_mismatch'
             WHEN a.reason LIKE 'The day of%' OR a.reason LIKE '%is cast to%' THEN 'cast_on_column'
             WHEN a.reason ~ '^(Every time in|The year of|The first characters)' OR a.reason ~ '^\w+\(\) of the column' THEN 'function_on_column'
             WHEN a.reason LIKE '%is computed with%' THEN 'arithmetic_on_column'
             WHEN a.reason LIKE 'COALESCE hides%' THEN 'coalesce_on_column'
             WHEN a.reason LIKE 'A key of%' THEN 'jsonb_key'
             WHEN a.reason LIKE '= ANY of the array%' THEN 'any_array_column'
             WHEN a.reason LIKE 'A pattern%' THEN 'pattern'
             WHEN a.reason LIKE 'A list of very many%' THEN 'long_in_list'
             WHEN a.reason LIKE 'NOT IN%' THEN 'not_in'
             WHEN a.reason LIKE 'OR between%' THEN 'or_across_tables'
             WHEN a.reason LIKE '%is volatile%' OR a.reason LIKE '%may differ from row%' THEN 'volatile_function'
             WHEN a.reason LIKE '%by another collation%' THEN 'collation_mismatch'
             WHEN a.reason LIKE '%never analyzed%' OR a.reason LIKE 'The statistics of%' THEN 'statistics'
             WHEN a.reason LIKE 'An index holds all%' THEN 'vacuum'
             WHEN a.reason LIKE 'It is planned with%' THEN 'setting'
             ELSE a.reason END) k(kind)
    WHERE a.action = 'hint'
$$;
CREATE TABLE asked (n int GENERATED ALWAYS AS IDENTITY, statement text, parameters text[], wanted text);
INSERT INTO asked (wanted, statement, parameters) VALUES
-- OFFSET
('offset', 'SELECT * FROM event ORDER BY at DESC, id DESC LIMIT 20 OFFSET 40000', NULL),
('offset', 'SELECT * FROM event ORDER BY at LIMIT $1 OFFSET $2', '{20,5000}'),
('offset', 'SELECT * FROM event LIMIT 20 OFFSET 5000', NULL),
(NULL, 'SELECT * FROM event ORDER BY at LIMIT $1 OFFSET $2', '{20,40}'),
(NULL, 'SELECT * FROM event ORDER BY at LIMIT $1 OFFSET $2', NULL),
-- IN with ORDER BY and LIMIT
('in_list_order_limit', 'SELECT * FROM event WHERE account = ANY (''{' || (SELECT string_agg(i::text, ',') FROM generate_series(1, 80) i) || '}'') ORDER BY note DESC LIMIT 50', NULL),
('in_list_order_limit', 'SELECT * FROM event WHERE account = ANY ($1) ORDER BY note LIMIT $2', ARRAY['{' || (SELECT string_agg(i::text, ',') FROM generate_series(1, 80) i) || '}', '50']),
(NULL, 'SELECT * FROM event WHERE account = ANY (''{' || (SELECT string_agg(i::text, ',') FROM generate_series(1, 80) i) || '}'') ORDER BY note DESC', NULL),
(NULL, 'SELECT * FROM bare WHERE account = ANY (''{1}'') ORDER BY at DESC LIMIT 5', NULL),
(NULL, 'SELECT * FROM bare WHERE account IN (1, 2) ORDER BY account LIMIT 5', NULL),
-- random order
('order_by_random', 'SELECT * FROM event ORDER BY random() LIMIT 5', NULL),
(NULL, 'SELECT * FROM event WHERE account = 5 ORDER BY random() LIMIT 5', NULL),
(NULL, 'SELECT * FROM event ORDER BY random()', NULL),
-- counting
('count_all', 'SELECT count(*) FROM event', NULL),
(NULL, 'SELECT count(*) FROM event WHERE account = 5', NULL),
(NULL, 'SELECT count(*) FROM owner', NULL),
(NULL, 'SELECT count(*) FILTER (WHERE account = 5) FROM event', NULL),
-- UNION
('union_distinct', 'SELECT ''a'' AS kind, id FROM event WHERE id < 5000 UNION SELECT ''b'', id FROM owner WHERE id < 5000', NULL),
(NULL, 'SELECT ''a'' AS kind, id FROM event WHERE id < 5 UNION SELECT ''b'', id FROM owner WHERE id < 5', NULL),
(NULL, 'SELECT ''a'' AS kind, id FROM event WHERE id < 5000 UNION ALL SELECT ''b'', id FROM owner WHERE id < 5000', NULL),
(NULL, 'SELECT ''a'' AS kind, id FROM event WHERE id < 5000 UNION SELECT ''a'', id FROM owner WHERE id < 5000', NULL),
(NULL, 'SELECT id FROM event WHERE id < 5000 UNION SELECT id FROM owner WHERE id < 5000', NULL),
-- DISTINCT over a join
('distinct_join', 'SELECT DISTINCT o.id, o.name FROM owner o JOIN event e ON e.account = o.id WHERE o.region = 7', NULL),
(NULL, 'SELECT DISTINCT o.name FROM owner o JOIN event e ON e.account = o.id WHERE o.region = 7', NULL),
(NULL, 'SELECT DISTINCT o.id, e.state FROM owner o JOIN event e ON e.account = o.id WHERE o.region = 7', NULL),
(NULL, 'SELECT DISTINCT id, name FROM owner WHERE region = 7', NULL),
-- types
('type_mismatch', 'SELECT * FROM event WHERE account = 5.0', NULL),
('type_mismatch', 'SELECT * FROM event WHERE account = $1::numeric', '{5}'),
('type_mismatch', 'SELECT * FROM event WHERE 5.0 = account', NULL),
(NULL, 'SELECT * FROM event WHERE account = 5::bigint', NULL),
(NULL, 'SELECT * FROM event WHERE code = ''c5''', NULL),
(NULL, 'SELECT * FROM event WHERE code = ''c5''::text', NULL),
(NULL, 'SELECT * FROM event WHERE at > ''2027-01-01''::timestamptz', NULL),
(NULL, 'SELECT * FROM tiny WHERE id = 5.0', NULL),
-- casts
('cast_on_column', 'SELECT * FROM event WHERE at::date = ''2025-03-04''', NULL),
('cast_on_column', 'SELECT * FROM event WHERE date(at) = ''2025-03-04''', NULL),
('cast_on_column', 'SELECT * FROM event WHERE at_tz::date = ''2025-03-04''', NULL),
('cast_on_column', 'SELECT * FROM bare WHERE at_tz::date = ''2025-03-04''', NULL),
('cast_on_column', 'SELECT * FROM recent WHERE at::date = ''2025-03-04''', NULL),
('cast_on_column', 'SELECT * FROM (SELECT id, at FROM event) s WHERE s.at::date = ''2025-03-04''', NULL),
('cast_on_column', 'SELECT * FROM event WHERE account::text = ''77''', NULL),
('cast_on_column', 'SELECT * FROM event WHERE uid::text = $1', '{c4ca4238-a0b9-2382-0dcc-509a6f75849b}'),
(NULL, 'SELECT * FROM event WHERE at >= ''2025-03-04'' AND at < ''2025-03-05''', NULL),
(NULL, 'SELECT * FROM bare WHERE at::date = ''2025-03-04''', NULL),
(NULL, 'SELECT * FROM tiny WHERE at::date = ''2025-03-04''', NULL),
(NULL, 'SELECT at::date FROM event WHERE id = 5', NULL),
(NULL, 'SELECT * FROM event WHERE amount::int = 5', NULL),
(NULL, 'SELECT * FROM event WHERE at::date > ''2024-01-01''', NULL),
-- in lists and joins
('type_mismatch', 'SELECT * FROM event WHERE account IN (5.0, 6.0)', NULL),
('cast_on_column', 'SELECT * FROM event WHERE account::text IN (''77'', ''78'')', NULL),
(NULL, 'SELECT * FROM event WHERE account IN (5, 6)', NULL),
('cast_on_column', 'SELECT e.id FROM reference r JOIN event e ON e.account::text = r.account WHERE r.id = 5', NULL),
('cast_on_column', 'SELECT e.id FROM reference r, event e WHERE r.account = e.account::text AND r.id = 5', NULL),
('type_mismatch', 'SELECT e.id FROM reference r JOIN event e ON e.account = r.figure WHERE r.id = 5', NULL),
(NULL, 'SELECT e.id FROM reference r JOIN event e ON e.account::text = r.account', NULL),
(NULL, 'SELECT e.id FROM reference r JOIN event e ON e.account = r.account::int WHERE r.id = 5', NULL),
(NULL, 'SELECT e.id FROM reference r JOIN event e ON e.account = r.id WHERE r.id = 5', NULL),
-- functions
('function_on_column', 'SELECT * FROM event WHERE date_trunc(''day'', at) = ''2025-03-04''', NULL),
('function_on_column', 'SELECT * FROM event WHERE extract(year FROM at) = 2025', NULL),
('function_on_column', 'SELECT * FROM event WHERE date_part(''year'', at) = 2025', NULL),
('function_on_column', 'SELECT * FROM event WHERE left(code, 4) = ''c123''', NULL),
('function_on_column', 'SELECT * FROM bare WHERE to_char(at_tz, ''YYYY-MM-DD'') = ''2025-03-04''', NULL),
(NULL, 'SELECT * FROM event WHERE left(code, 4) = ''c12''', NULL),
(NULL, 'SELECT * FROM event WHERE lower(name) = ''n55''', NULL),
(NULL, 'SELECT * FROM bare WHERE lower(code) = ''c55''', NULL),
(NULL, 'SELECT * FROM event WHERE extract(dow FROM at) = 3 AND account = 5', NULL),
-- arithmetic, COALESCE
('arithmetic_on_column', 'SELECT * FROM event WHERE account + 1 = 5', NULL),
('arithmetic_on_column', 'SELECT * FROM event WHERE at - interval ''1 day'' = ''2025-03-04''', NULL),
('arithmetic_on_column', 'SELECT * FROM event WHERE at_tz + interval ''1 hour'' BETWEEN ''2027-06-01'' AND ''2027-06-02''', NULL),
(NULL, 'SELECT * FROM event WHERE account = 5 - 1', NULL),
(NULL, 'SELECT * FROM event WHERE account * 2 = 10', NULL),
(NULL, 'SELECT * FROM event WHERE account + account = 10', NULL),
(NULL, 'SELECT * FROM event WHERE at - at = ''0''', NULL),
('coalesce_on_column', 'SELECT * FROM event WHERE coalesce(state, ''none'') = ''s77''', NULL),
('coalesce_on_column', 'SELECT * FROM event WHERE coalesce(state, ''none'') = ''none''', NULL),
(NULL, 'SELECT coalesce(state, ''none'') FROM event WHERE id = 5', NULL),
-- jsonb
('jsonb_key', 'SELECT * FROM event WHERE labels->>''k'' = ''v77''', NULL),
('jsonb_key', 'SELECT * FROM event WHERE labels->>''k'' = $1', '{v77}'),
('jsonb_key', 'SELECT * FROM event WHERE labels->>''k'' IN (''v77'', ''v78'')', NULL),
('jsonb_key', 'SELECT * FROM event WHERE labels->''n'' = ''77''', NULL),
(NULL, 'SELECT * FROM event WHERE other->>''k'' = ''v77''', NULL),
(NULL, 'SELECT * FROM event WHERE labels @> ''{"k": "v77"}''', NULL),
-- arrays
('any_array_column', 'SELECT * FROM event WHERE ''t77'' = ANY (tags)', NULL),
('any_array_column', 'SELECT * FROM event WHERE $1 = ANY (tags)', '{t77}'),
(NULL, 'SELECT * FROM event WHERE tags @> ARRAY[''t77'']', NULL),
(NULL, 'SELECT * FROM event WHERE account = ANY (''{5,6}'')', NULL),
(NULL, 'SELECT * FROM event WHERE ''t77'' = ANY (tags) AND id = 5', NULL),
-- patterns
('pattern', 'SELECT * FROM event WHERE note LIKE ''%about 77%''', NULL),
('pattern', 'SELECT * FROM event WHERE note ILIKE ''note abcd%''', NULL),
('pattern', 'SELECT * FROM event WHERE note ~ ''about 77$''', NULL),
(NULL, 'SELECT * FROM event WHERE note LIKE ''note abcd%''', NULL),
(NULL, 'SELECT * FROM event WHERE note LIKE ''%ab%''', NULL),
(NULL, 'SELECT * FROM event WHERE note LIKE $1', NULL),
(NULL, 'SELECT * FROM tiny WHERE code LIKE ''%x77%''', NULL),
-- lists, NOT IN, OR
('long_in_list', 'SELECT * FROM event WHERE account IN (' || (SELECT string_agg(i::text, ', ') FROM generate_series(1, 1200) i) || ')', NULL),
(NULL, 'SELECT * FROM event WHERE account IN (1, 2, 3)', NULL),
('not_in', 'SELECT * FROM owner WHERE region = 7 AND id NOT IN (SELECT account FROM event e WHERE e.state > owner.name)', NULL),
('not_in', 'SELECT * FROM owner WHERE id NOT IN (SELECT e.id + b.id FROM event e, bare b WHERE e.account = b.account)', NULL),
(NULL, 'SELECT * FROM owner WHERE id NOT IN (SELECT region FROM owner WHERE id < 50)', NULL),
(NULL, 'SELECT * FROM owner o WHERE NOT EXISTS (SELECT FROM event e WHERE e.account = o.id)', NULL),
(NULL, 'SELECT * FROM owner WHERE id IN (SELECT account FROM event WHERE state = ''s7'')', NULL),
('or_across_tables', 'SELECT e.id, o.id FROM event e JOIN owner o ON o.id = e.account WHERE e.state = ''s7'' OR o.region = 7', NULL),
(NULL, 'SELECT * FROM event WHERE account = 7 OR code = ''c7''', NULL),
(NULL, 'SELECT e.id FROM event e JOIN owner o ON o.id = e.account WHERE e.id = 7 AND (e.state = ''s7'' OR o.region = 7)', NULL),
-- statements that change rows are read as well
('cast_on_column', 'UPDATE event SET note = ''x'' WHERE at::date = ''2025-03-04''', NULL),
('cast_on_column', 'WITH gone AS (DELETE FROM event WHERE at::date = ''2025-03-04'' RETURNING id) SELECT * FROM gone', NULL),
-- wherever they stand
('cast_on_column', 'SELECT (SELECT count(*) FROM event WHERE at::date = ''2025-03-04'') FROM owner o WHERE EXISTS (SELECT FROM event e WHERE e.account = o.id)', NULL),
('cast_on_column', 'INSERT INTO tiny (id) SELECT id FROM event WHERE at::date = ''2025-03-04''', NULL),
('cast_on_column', 'MERGE INTO event USING owner o ON event.id = o.id AND event.at::date = ''2025-03-04'' WHEN MATCHED THEN UPDATE SET note = o.name', NULL),
(NULL, 'WITH RECURSIVE r AS (SELECT 1 AS x UNION SELECT x + 1 FROM r WHERE x < 10) SELECT * FROM r WHERE x::text = ''5''', NULL),
(NULL, 'SELECT * FROM generate_series(now(), now(), ''1 day'') g(at) WHERE at::date = current_date', NULL),
-- nothing to say
(NULL, 'SELECT 1', NULL),
(NULL, 'SELECT * FROM event WHERE id = 5', NULL),
(NULL, 'SELECT * FROM pg_class WHERE relname::text = ''x''', NULL);
SELECT count(*) AS asked, count(wanted) AS wanted FROM asked;
-- what was said otherwise than wanted: nothing
SELECT wanted, got, left(statement, 100) AS statement
FROM asked, LATERAL (SELECT hints(statement, parameters) AS got) h
WHERE got IS DISTINCT FROM wanted ORDER BY n;

-- each says what to do, what to check, and shows how
SELECT regexp_replace(reason, '[0-9]+ rows are scanned for about [0-9]+', 'N rows are scanned for about N') AS reason
FROM hone.advise('SELECT * FROM event WHERE at::date = ''2025-03-04''') WHERE action = 'hint';
SELECT substring(reason FROM 'For example: (.*)') AS example FROM unnest(ARRAY[
    'SELECT * FROM event ORDER BY at DESC, id DESC LIMIT 20 OFFSET 40000',
    'SELECT * FROM event ORDER BY at DESC, id LIMIT 20 OFFSET 40000',
    'SELECT * FROM event WHERE at::date = ''2025-03-04''',
    'SELECT * FROM event WHERE at_tz::date BETWEEN ''2025-03-04'' AND ''2025-03-05''',
    'SELECT * FROM event WHERE account = 5.0',
    'SELECT * FROM event WHERE account::text = ''77''',
    'SELECT * FROM event WHERE date_trunc(''month'', at) = ''2025-03-01''',
    'SELECT * FROM event WHERE extract(year FROM at) = 2025',
    'SELECT * FROM event WHERE left(code, 4) = ''c123''',
    'SELECT * FROM event WHERE at - interval ''1 day'' = ''2025-03-04''',
    'SELECT * FROM event WHERE 5 = 1 + account',
    'SELECT * FROM event WHERE coalesce(state, ''none'') = ''none''',
    'SELECT * FROM event WHERE labels->>''k'' = ''v77''',
    'SELECT * FROM event WHERE ''t77'' = ANY (tags)']) WITH ORDINALITY AS q(statement, n),
    LATERAL hone.advise(statement) a
WHERE action = 'hint' ORDER BY n, 1;

-- the rewrites return the same and use the indexes
CREATE FUNCTION same(a text, b text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    differ bigint;
    plan text;
    line text;
BEGIN
    EXECUTE format('WITH x AS (SELECT id FROM event WHERE %s), y AS (SELECT id FROM event WHERE %s)
                    SELECT count(*) FROM ((TABLE x EXCEPT ALL TABLE y) UNION ALL (TABLE y EXCEPT ALL TABLE x)) d', a, b)
        INTO differ;
    FOR line IN EXECUTE format('EXPLAIN (COSTS OFF) SELECT * FROM event WHERE %s', b) LOOP
        plan := concat(plan, line);
    END LOOP;
    RETURN format('%s differ, %s', differ, CASE WHEN plan ~ 'Seq Scan' THEN 'scanned' ELSE 'indexed' END);
END $$;
SELECT condition, same(condition, substring(a.reason FROM 'For example: (.*)')) AS rewritten
FROM unnest(ARRAY['at::date = ''2025-03-04''', 'at_tz::date = ''2025-03-04''', 'account = 5.0', 'account::text = ''77''',
    'date_trunc(''day'', at) = ''2025-03-04''', 'extract(year FROM at) = 2026', 'left(code, 4) = ''c123''',
    'at - interval ''1 day'' = ''2025-03-04''', 'account + 1 = 5', '1 + account = 5', 'coalesce(state, ''none'') = ''none''',
    'coalesce(state, ''none'') = ''s77''', 'labels->>''k'' = ''v77''', 'labels->>''k'' IN (''v77'', ''v78'')',
    'labels->''n'' = ''77''', '''t77'' = ANY (tags)']) WITH ORDINALITY c(condition, n),
    LATERAL hone.advise(format('SELECT * FROM event WHERE %s', condition)) a
WHERE a.action = 'hint' ORDER BY n;

-- an index on the expression is an answer too: then nothing is said
CREATE INDEX event_day ON event ((at::date));
ANALYZE event;
SELECT hints('SELECT * FROM event WHERE at::date = ''2025-03-04''');
DROP INDEX event_day;
-- a trigram index is proposed where it can be: then the extension is not asked for
CREATE EXTENSION pg_trgm;
SELECT hints('SELECT * FROM event WHERE note LIKE ''%about 77%''');
DROP EXTENSION pg_trgm;

-- functions that are volatile for no reason
CREATE FUNCTION current_account() RETURNS int LANGUAGE plpgsql AS $$ BEGIN RETURN 5; END $$;
SELECT hints('SELECT * FROM event WHERE account = current_account()');
SELECT hints('SELECT * FROM event WHERE account = (SELECT current_account())');
ALTER FUNCTION current_account() STABLE;
SELECT hints('SELECT * FROM event WHERE account = current_account()');
SELECT hints('SELECT * FROM event WHERE at_tz = clock_timestamp()');
SELECT hints('SELECT * FROM event WHERE at_tz = now()');
SELECT hints('SELECT * FROM event WHERE account = (random() * 10)::int');

-- collations
SELECT hints('SELECT * FROM event WHERE name COLLATE "C" = ''n5''');
SELECT hints('SELECT * FROM event WHERE name COLLATE "default" = ''n5''');
CREATE INDEX event_name_c ON event (name COLLATE "C");
SELECT hints('SELECT * FROM event WHERE name COLLATE "C" = ''n5''');
DROP INDEX event_name_c;

-- settings
SET enable_nestloop = off;
SET enable_sort = off;
SELECT table_name, reason FROM hone.advise('SELECT 1') WHERE action = 'hint';
RESET enable_nestloop;
RESET enable_sort;

-- statistics: none, and far from the truth
CREATE TABLE fresh WITH (autovacuum_enabled = off) AS SELECT i AS id, i % 100 AS a FROM generate_series(1, 20000) i;
SELECT hints('SELECT * FROM fresh WHERE a = 5');
ANALYZE fresh;
SELECT hints('SELECT * FROM fresh WHERE a = 5');
SELECT hints('SELECT * FROM event WHERE account = 5');
CREATE TABLE parted (id int, a int) PARTITION BY RANGE (id);
CREATE TABLE parted_1 PARTITION OF parted FOR VALUES FROM (0) TO (20000);
INSERT INTO parted SELECT i, i % 100 FROM generate_series(1, 19999) i;
ANALYZE parted_1;
SELECT reason LIKE 'The partitioned table parted as a whole%' AS whole
FROM hone.advise('SELECT * FROM parted WHERE a = 5') WHERE action = 'hint';
ANALYZE parted;
SELECT hints('SELECT * FROM parted WHERE a = 5');

CREATE TABLE grown WITH (autovacuum_enabled = off) AS SELECT i AS id, i % 100 AS a FROM generate_series(1, 1000) i;
ANALYZE grown;
INSERT INTO grown SELECT i, i % 100 FROM generate_series(1, 30000) i;
SELECT pg_stat_force_next_flush() \g /dev/null
SELECT substring(reason FROM '^The statistics of \w+ are old') AS says FROM hone.advise('SELECT * FROM grown WHERE a = 5')
WHERE action = 'hint';

-- a table that was never vacuumed: index-only scans look up every row
CREATE TABLE unseen WITH (autovacuum_enabled = off) AS SELECT i AS id, i % 200 AS a, repeat('u', 100) AS u FROM generate_series(1, 20000) i;
CREATE INDEX unseen_a ON unseen (a, id);
ANALYZE unseen;
SELECT hints('SELECT a, id FROM unseen WHERE a < 20');
-- (twice: a collector's snapshot may have kept pages from being all-visible)
VACUUM unseen;
DO $$ BEGIN PERFORM pg_sleep(0.5); END $$;
VACUUM unseen;
SELECT hints('SELECT a, id FROM unseen WHERE a < 20');
SELECT hints('SELECT a, id, u FROM unseen WHERE a < 20');

-- A run stores them; not of what is a trifle of the workload
SELECT coalesce(max(run_id), 0) AS last_run FROM hone.advisor_runs \gset
SELECT count(*) >= 0 AS ran FROM hone.recommend_for(ARRAY[
    'SELECT * FROM event WHERE at::date = ''2025-03-04''',
    'SELECT * FROM event WHERE account::text = ''77''',
    'SELECT * FROM event ORDER BY at LIMIT 1 OFFSET 2000'], ARRAY[100, 0.1, 1000]);
SELECT username = current_user AS mine, query, kind, table_name, evidence IS NOT NULL AS evidence, example
FROM hone.advisor_hints WHERE run_id > :last_run ORDER BY kind;
-- and the story of a recommendation for the same table tells of them
SELECT bool_and(hone.explain_recommendation(id) ~ 'Besides, or instead\n  The day of event.at is compared') AS told
FROM hone.recommendations WHERE run_id > :last_run AND table_name = 'advise_hints.event' AND definition ~ 'date';
-- what others asked is not to be seen
CREATE ROLE regress_hints_a;
SET ROLE regress_hints_a;
SELECT count(*) FROM hone.advisor_hints WHERE run_id > :last_run;
RESET ROLE;
GRANT pg_read_all_stats TO regress_hints_a;
SET ROLE regress_hints_a;
SELECT count(*) FROM hone.advisor_hints WHERE run_id > :last_run;
RESET ROLE;

-- Looking never fails a run: what is folded may raise
SELECT action FROM hone.advise('SELECT * FROM event WHERE account = CASE WHEN id > 0 THEN 5 ELSE 1 / (id - id) END');
SELECT action FROM hone.advise('SELECT * FROM event ORDER BY at LIMIT 5 OFFSET (SELECT 5000)');

SET client_min_messages = warning;
DROP SCHEMA advise_hints CASCADE;
DROP ROLE regress_hints_a;
