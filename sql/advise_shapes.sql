-- What is recommended for the shapes of ordinary applications: right columns,
-- right order, no more than needed. Definitions are asserted, costs never.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS pg_hone;
DROP SCHEMA IF EXISTS advise_shapes CASCADE;
RESET client_min_messages;
CREATE SCHEMA advise_shapes;
SET search_path = advise_shapes, public;

CREATE TABLE metrics (id bigint PRIMARY KEY, metric_name text NOT NULL, value float8, unit text,
                      labels jsonb, "timestamp" timestamptz NOT NULL);
INSERT INTO metrics
SELECT i, 'm' || (i % 200), i, 'ms',
       jsonb_build_object('host', 'h' || (i % 500), 'region', 'r' || (i % 5)),
       timestamptz '2026-01-01 00:00+00' + i * interval '1 second'
FROM generate_series(1, 40000) i;

CREATE TABLE telemetry_events (id bigint PRIMARY KEY, event_type text, event_data jsonb,
                               severity text, "timestamp" timestamptz NOT NULL);
INSERT INTO telemetry_events
SELECT i, 'e' || (i % 30), jsonb_build_object('user_id', (i % 5000)::text, 'n', i),
       CASE WHEN i % 50 = 0 THEN 'error' WHEN i % 77 = 0 THEN 'critical'
            WHEN i % 7 = 0 THEN 'warning' ELSE 'info' END,
       timestamptz '2026-01-01 00:00+00' + i * interval '1 second'
FROM generate_series(1, 40000) i;

CREATE TABLE users (id bigint PRIMARY KEY, email text, name text, bio text);
INSERT INTO users SELECT i, 'User' || i || '@example.org', 'n' || i, repeat('x', 50)
FROM generate_series(1, 20000) i;

CREATE TABLE orders (id bigint PRIMARY KEY, user_id bigint, status text, total numeric,
                     note text, created_at timestamptz);
INSERT INTO orders
SELECT i, (i * 7919) % 10000, CASE WHEN i % 40 = 0 THEN 'open' WHEN i % 3 = 0 THEN 'void' ELSE 'paid' END,
       i % 1000, repeat('n', 40), timestamptz '2026-01-01 00:00+00' + i * interval '1 minute'
FROM generate_series(1, 40000) i;

CREATE TABLE conversations (id bigint PRIMARY KEY, user_id bigint, status text,
                            assigned_agent_id bigint, updated_at timestamptz, topic text);
INSERT INTO conversations
SELECT i, (i * 7919) % 100, (array['active', 'waiting', 'assigned', 'closed', 'closed'])[1 + i % 5],
       i % 37, timestamptz '2026-01-01 00:00+00' + (i * 7 % 40000) * interval '1 minute', repeat('t', 30)
FROM generate_series(1, 40000) i;

CREATE TABLE messages (id bigint PRIMARY KEY, conversation_id bigint, body text, created_at timestamptz);
INSERT INTO messages
SELECT i, (i * 7919) % 4000, md5(i::text), timestamptz '2026-01-01 00:00+00' + i * interval '1 second'
FROM generate_series(1, 60000) i;

CREATE TABLE settings (key text PRIMARY KEY, value jsonb);
INSERT INTO settings SELECT 'k' || i, '{"a": 1}' FROM generate_series(1, 30) i;

CREATE TABLE tags (id int PRIMARY KEY, words text[], body tsvector, filler text);
INSERT INTO tags SELECT i, array['w' || (i % 1000), 'w' || (i % 1001 + 1000)],
                        to_tsvector('simple', 'doc' || (i % 900)), repeat('f', 60)
FROM generate_series(1, 20000) i;

VACUUM ANALYZE metrics, telemetry_events, users, orders, conversations, messages, settings, tags;

-- What is recommended, in short; "nothing" when nothing is.
CREATE FUNCTION advice(statement text, parameters text[] DEFAULT NULL) RETURNS text
LANGUAGE sql AS $$
    SELECT coalesce(string_agg(regexp_replace(definition, '^CREATE INDEX \S+ ON advise_shapes\.(\S+) USING', '\1'),
                               '; ' ORDER BY definition), 'nothing')
    FROM hone.advise(statement, parameters)
$$;

-- equality, then the order; no DESC, because a btree is read backwards
SELECT advice($$SELECT * FROM metrics WHERE metric_name = 'm5' ORDER BY "timestamp" DESC LIMIT 20$$);
SELECT advice($$SELECT * FROM metrics WHERE metric_name = $1 ORDER BY "timestamp" DESC LIMIT 20$$, '{m5}');
SELECT advice($$SELECT * FROM metrics WHERE metric_name = $1 ORDER BY "timestamp" DESC LIMIT 20$$);
-- not (user_id, status, updated_at)
SELECT advice($$SELECT * FROM conversations WHERE user_id = 5 ORDER BY updated_at DESC LIMIT 50$$);
-- equality and a range
SELECT advice($$SELECT * FROM orders WHERE user_id = 77 AND created_at >= '2026-01-20'$$);
SELECT advice($$SELECT * FROM metrics WHERE "timestamp" BETWEEN '2026-01-01 05:00+00' AND '2026-01-01 05:01+00'$$);
-- a window of now() is a range, and no predicate of a partial index
SELECT advice($$SELECT * FROM metrics WHERE "timestamp" > now() + interval '100 years'$$);
-- mixed directions and odd nulls are kept
SELECT advice($$SELECT * FROM orders ORDER BY created_at DESC, id LIMIT 10$$) ~ '\((created_at DESC, id|created_at, id DESC)\)' AS mixed;
SELECT advice($$SELECT * FROM orders ORDER BY total DESC NULLS LAST LIMIT 10$$) ~ '\((total DESC NULLS LAST|total NULLS FIRST)\)' AS nulls;
SELECT advice($$SELECT * FROM orders WHERE (created_at, id) < ('2026-01-20', 5) ORDER BY created_at DESC, id DESC LIMIT 10$$);
-- min and max
SELECT advice($$SELECT max("timestamp") FROM metrics$$);
-- derived equality: a = b and b = constant
SELECT advice($$SELECT count(*) FROM messages m JOIN conversations c ON c.id = m.conversation_id WHERE c.id = 5$$);
-- the inner side of a join
SELECT advice($$SELECT m.body FROM conversations c JOIN messages m ON m.conversation_id = c.id WHERE c.id IN (5, 6)$$);
-- EXISTS and a correlated subquery
SELECT advice($$SELECT id FROM users u WHERE id < 50 AND EXISTS (SELECT FROM orders o WHERE o.user_id = u.id)$$);
SELECT advice($$SELECT id, (SELECT count(*) FROM messages m WHERE m.conversation_id = c.id) FROM conversations c WHERE id < 50$$);
-- both arms of UNION ALL, below ORDER BY and LIMIT
SELECT advice($$SELECT * FROM (SELECT metric_name, "timestamp" FROM metrics UNION ALL
                               SELECT event_type, "timestamp" FROM telemetry_events) a
                ORDER BY "timestamp" DESC LIMIT 20$$);
-- through a CTE, a view, a lateral subquery
SELECT advice($$WITH o AS MATERIALIZED (SELECT * FROM orders WHERE user_id = 77) SELECT count(*) FROM o$$);
CREATE VIEW paid AS SELECT * FROM orders WHERE status = 'paid';
SELECT advice($$SELECT * FROM paid WHERE user_id = 77$$);
SELECT advice($$SELECT u.id, l.created_at FROM users u, LATERAL (SELECT created_at FROM orders o WHERE o.user_id = u.id ORDER BY created_at DESC LIMIT 1) l WHERE u.id = 7$$);
-- writes find their rows too
SELECT advice($$UPDATE orders SET note = 'x' WHERE user_id = 77$$);
SELECT advice($$DELETE FROM orders WHERE user_id = 77$$);
SELECT advice($$MERGE INTO orders o USING users u ON o.user_id = u.id AND u.id = 5 WHEN MATCHED THEN UPDATE SET note = 'x'$$);
SELECT advice($$INSERT INTO settings SELECT 'x' || id FROM orders WHERE user_id = 77$$);

-- expressions, with their casts
SELECT advice($$SELECT * FROM users WHERE lower(email) = 'user5@example.org'$$);
SELECT advice($$SELECT * FROM telemetry_events WHERE event_data ->> 'user_id' = '77'$$);
SELECT advice($$SELECT * FROM telemetry_events WHERE (event_data ->> 'n')::int = 77$$);
-- not immutable: no index, and no error
SELECT advice($$SELECT * FROM metrics WHERE date_trunc('day', "timestamp") = '2026-01-01'$$);
-- patterns
SELECT advice($$SELECT * FROM users WHERE email LIKE 'User123%'$$) ~ 'users btree \(email( text_pattern_ops)?\)$' AS prefix;
SELECT advice($$SELECT * FROM users WHERE email LIKE '%123%'$$);
-- GIN by the operators seen; labels->>'k' wants a btree on the expression
SELECT advice($$SELECT * FROM metrics WHERE labels @> '{"host": "h7"}'$$);
SELECT advice($$SELECT * FROM metrics WHERE labels ? 'nothing'$$);
SELECT advice($$SELECT * FROM metrics WHERE labels @@ '$.host == "h7"'$$);
SELECT advice($$SELECT * FROM metrics WHERE labels ->> 'host' = 'h7'$$);
SELECT advice($$SELECT * FROM tags WHERE words && '{w5}'$$);
SELECT advice($$SELECT * FROM tags WHERE words @> '{w5,w1005}'$$);
SELECT advice($$SELECT * FROM tags WHERE body @@ to_tsquery('simple', 'doc5')$$);

-- inside of texts, when pg_trgm is there
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS pg_trgm SCHEMA public;
RESET client_min_messages;
SELECT advice($$SELECT * FROM messages WHERE body LIKE '%abcdef%'$$);
SELECT advice($$SELECT * FROM messages WHERE body ILIKE $1$$, '{%AbCdEf%}');
SET client_min_messages = warning;
DROP EXTENSION pg_trgm;
RESET client_min_messages;
SELECT advice($$SELECT * FROM messages WHERE body LIKE '%abcdef%'$$);

-- either side of an OR
SELECT advice($$SELECT * FROM orders WHERE user_id = 77 OR created_at = '2026-01-20'$$);
-- flags and missing values
CREATE TABLE task AS SELECT i AS id, i % 50 = 0 AS urgent, CASE WHEN i % 100 > 0 THEN i END AS done_by, repeat('t', 60) AS note
FROM generate_series(1, 20000) i;
VACUUM ANALYZE task;
SELECT advice($$SELECT * FROM task WHERE urgent ORDER BY id LIMIT 10$$);
SELECT advice($$SELECT * FROM task WHERE done_by IS NULL ORDER BY id$$) ~ 'WHERE \(done_by IS NULL\)' AS partial;
-- another collation than the column's
SELECT advice($$SELECT * FROM users WHERE email COLLATE "C" = 'x'$$);
-- LIMIT 0, no rows of an empty range, contradictions: nothing to gain
SELECT advice($$SELECT * FROM orders WHERE user_id = 5 AND false$$);
-- a list of constants, and one of parameters
SELECT advice($$SELECT * FROM orders WHERE user_id IN (5, 6, 7)$$);
SELECT advice($$SELECT * FROM orders WHERE user_id = ANY ($1)$$, '{"{5,6}"}');

-- partial: few values, literal in the text, a small part of the table
SELECT advice($$SELECT * FROM telemetry_events WHERE severity IN ('error', 'critical') ORDER BY "timestamp" DESC LIMIT 20$$);
SELECT advice($$SELECT * FROM orders WHERE status = 'open' ORDER BY created_at$$) ~ 'WHERE \(status = ''open''::text\)' AS partial;
-- but not for a value of a parameter of one execution, or one of many values
SELECT advice($$SELECT * FROM orders WHERE status = $1 ORDER BY created_at LIMIT 5$$, '{open}') ~ 'WHERE' AS partial;
SELECT advice($$SELECT * FROM orders WHERE user_id = 5$$);

-- the order alone is no help when a filter stands behind it
SELECT advice($$SELECT * FROM telemetry_events WHERE event_data ->> 'user_id' = '77' ORDER BY "timestamp" DESC LIMIT 20$$);
SELECT count(*) = 0 AS no_time_only FROM hone.recommend_for(
    ARRAY[$$SELECT * FROM telemetry_events WHERE event_data ->> 'user_id' = '77' ORDER BY "timestamp" DESC LIMIT 20$$],
    max_indexes => 1) WHERE definition ~ 'btree \("timestamp"\)';

-- columns only to be read, but no second copy of a table
SELECT advice($$SELECT total FROM orders WHERE user_id = 77$$);
SELECT advice($$SELECT * FROM orders WHERE user_id = 77$$);

-- nothing: a small table, a whole table, an index that is there
SELECT advice($$SELECT * FROM settings WHERE value @> '{"a": 1}'$$);
SELECT advice($$SELECT count(*) FROM metrics$$);
SELECT advice($$SELECT * FROM users WHERE id = 5$$);
SELECT advice($$SELECT relname FROM pg_class WHERE reltuples = 5$$);
SELECT advice($$INSERT INTO settings VALUES ('x', '{}')$$);
SELECT advice('SELECT 1');

SET client_min_messages = warning;
DROP SCHEMA advise_shapes CASCADE;
