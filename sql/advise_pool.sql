-- What the pool of known plans promises is what the planner then finds: costs
-- agree with hone.what_if(), limits are kept, nothing idle is recommended.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS pg_hone;
DROP SCHEMA IF EXISTS advise_pool CASCADE;
RESET client_min_messages;
CREATE SCHEMA advise_pool;
SET search_path = advise_pool, public;

CREATE TABLE item (id int, x int, y int, name text, at timestamptz, doc jsonb);
INSERT INTO item
SELECT i, i % 100, i % 1000, 'z' || i % 5000, timestamptz '2026-01-01 00:00+00' + i * interval '1 minute',
       jsonb_build_object('k', i % 50, 's', 'v' || i % 300)
FROM generate_series(1, 20000) i;
CREATE TABLE owner (id int, x int, g int, note text);
INSERT INTO owner SELECT i, i % 100, i % 7, 'v' || i % 50 FROM generate_series(1, 600) i;
CREATE TABLE part (id int, k int, v text) PARTITION BY LIST (k);
SELECT format('CREATE TABLE part%s PARTITION OF part FOR VALUES IN (%s)', i, i)
FROM generate_series(0, 9) i \gexec
INSERT INTO part SELECT i, i % 10, 'v' || i % 900 FROM generate_series(1, 20000) i;
VACUUM ANALYZE item, owner, part;

-- A level of its own that orders and limits: without the order its scan would
-- not stop early, whoever reads it. A cheap way that is none would hide the gain.
SELECT definition FROM hone.advise(
    'SELECT * FROM owner o, LATERAL (SELECT * FROM item WHERE x = o.x ORDER BY at DESC LIMIT 2) i WHERE o.g = 2');
SELECT definition FROM hone.recommend_for(ARRAY[
    'SELECT * FROM owner o, LATERAL (SELECT * FROM item WHERE x = o.x ORDER BY at DESC LIMIT 2) i WHERE o.g = 2',
    'SELECT * FROM item WHERE y = 7', 'SELECT * FROM item WHERE name = ''z5''',
    'SELECT * FROM item WHERE id = 7'], ARRAY[1, 1, 1, 1]::float8[], NULL, 1);

-- an aggregate of the level above
SELECT definition FROM hone.advise(
    'SELECT x, sum(DISTINCT y) FROM item GROUP BY x
     HAVING EXISTS (SELECT FROM owner WHERE sum(DISTINCT item.y) = owner.id)');
