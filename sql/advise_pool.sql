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
SELECT count(*) AS advised FROM hone.advise(
    'SELECT x, sum(DISTINCT y) FROM item GROUP BY x
     HAVING EXISTS (SELECT FROM owner WHERE sum(DISTINCT item.y) = owner.id)');

-- a function that is folded asks for advice itself, and fails at it
CREATE FUNCTION inner_advice() RETURNS int IMMUTABLE LANGUAGE plpgsql AS $$
BEGIN
    BEGIN
        PERFORM hone.advise('SELECT nowhere');
    EXCEPTION WHEN OTHERS THEN NULL;
    END;
    RETURN 4 + (SELECT count(*) FROM hone.advise('SELECT * FROM advise_pool.owner WHERE note = ''v1'''));
END
$$;
SELECT definition FROM hone.advise('SELECT * FROM item WHERE x = inner_advice() AND name = ''z5''');

-- what a folded function has planned is no part of the statement's plan
CREATE FUNCTION inner_question() RETURNS int IMMUTABLE LANGUAGE plpgsql AS $$
BEGIN
    PERFORM hone.what_if('SELECT * FROM advise_pool.item WHERE x = 5',
                         ARRAY['CREATE INDEX ON advise_pool.owner (note)']);
    RETURN 5;
END
$$;
SELECT count(*) FROM hone.recommend_for(ARRAY['SELECT * FROM item WHERE y > inner_question() - 100']);
SELECT gap FROM hone.advisor_runs ORDER BY run_id DESC LIMIT 1;

-- a constant that is no table's oid
SELECT definition FROM hone.advise('SELECT tableoid, * FROM item WHERE x = 5 AND name = ''z5'' AND tableoid <> 5');

-- A varied workload: what the run says is what hone.what_if() says.
CREATE TEMP TABLE work (id int GENERATED ALWAYS AS IDENTITY, weight float8, statement text);
INSERT INTO work (weight, statement) VALUES
(10, 'SELECT * FROM item WHERE x = 5 AND y > 900 ORDER BY at DESC LIMIT 5'),
(100, 'SELECT o.note, count(*) FROM owner o JOIN item i ON i.y = o.id WHERE o.g = 3 GROUP BY 1'),
(1, 'SELECT * FROM part WHERE v = ''v7'''),
(5, 'SELECT min(at), max(at) FROM item WHERE name = ''z77'''),
(1, 'SELECT * FROM (SELECT * FROM item WHERE x = 9 ORDER BY at LIMIT 3) q JOIN owner o ON o.id = q.y'),
(2, 'SELECT id, (SELECT max(at) FROM item WHERE y = o.id) FROM owner o WHERE g = 1'),
(1, 'SELECT * FROM item WHERE doc @> ''{"s": "v5"}'''),
(3, 'SELECT DISTINCT x, y FROM item WHERE id BETWEEN 100 AND 300'),
(1, 'SELECT * FROM item a JOIN item b ON a.id = b.y WHERE a.name = ''z5'' AND b.x = 3'),
(1, 'SELECT * FROM item WHERE x = 5 OR name = ''z9'''),
(1, 'SELECT * FROM owner WHERE EXISTS (SELECT FROM item WHERE item.id = owner.id AND item.x = 4)'),
(1, 'UPDATE item SET y = y + 1 WHERE id = 77'),
(1, 'DELETE FROM part WHERE id = 5 AND k = 5'),
(0, 'SELECT * FROM owner WHERE note = ''v5''');

CREATE FUNCTION judge(budget bigint, most int, OUT within bool, OUT as_what_if bool, OUT all_used bool,
                      OUT none_dearer bool, OUT bound_holds bool, OUT again_same bool, OUT order_no_matter bool)
LANGUAGE plpgsql AS $$
DECLARE
    definitions text[];
    again text[];
    used text[] = '{}';
    cost float8 = 0;
    r hone.advisor_runs;
    turned hone.advisor_runs;
    w record;
    a record;
BEGIN
    SELECT array_agg(definition ORDER BY id), coalesce(sum(size_bytes), 0) <= coalesce(budget, sum(size_bytes), 0)
           AND count(*) <= coalesce(most, count(*))
    INTO definitions, within
    FROM hone.recommend_for((SELECT array_agg(statement ORDER BY work.id) FROM work),
                            (SELECT array_agg(weight ORDER BY work.id) FROM work), budget, most)
    WHERE action = 'create';
    SELECT * INTO r FROM hone.advisor_runs ORDER BY run_id DESC LIMIT 1;
    none_dearer = true;
    FOR w IN SELECT * FROM work WHERE definitions IS NOT NULL LOOP
        SELECT * INTO a FROM hone.what_if(w.statement, definitions);
        cost = cost + w.weight * a.cost_after;
        used = used || a.indexes_used;
        none_dearer = none_dearer AND (w.weight = 0 OR a.cost_after <= 1.1 * a.cost_before);
    END LOOP;
    as_what_if = abs(CASE WHEN definitions IS NULL THEN r.cost_before ELSE cost END - r.cost_after) <=
                 1e-6 * r.cost_after;
    all_used = (SELECT count(DISTINCT u) FROM unnest(used) u) = cardinality(coalesce(definitions, '{}'));
    bound_holds = r.lower_bound <= r.objective;
    SELECT array_agg(definition ORDER BY id) INTO again
    FROM hone.recommend_for((SELECT array_agg(statement ORDER BY work.id) FROM work),
                            (SELECT array_agg(weight ORDER BY work.id) FROM work), budget, most)
    WHERE action = 'create';
    again_same = again IS NOT DISTINCT FROM definitions;
    PERFORM hone.recommend_for((SELECT array_agg(statement ORDER BY work.id DESC) FROM work),
                               (SELECT array_agg(weight ORDER BY work.id DESC) FROM work), budget, most);
    SELECT * INTO turned FROM hone.advisor_runs ORDER BY run_id DESC LIMIT 1;
    order_no_matter = abs(turned.objective - r.objective) <= 0.01 * r.objective;
END
$$;
SELECT limits, j.*
FROM (VALUES ('none', NULL::bigint, NULL::int), ('500 kB', 500000, NULL), ('2 MB', 2000000, NULL),
             ('nothing', 0, NULL), ('one', NULL, 1), ('three', NULL, 3), ('no index', NULL, 0),
             ('2 MB, two', 2000000, 2), ('2^62', 4611686018427387904, NULL)) l(limits, budget, most),
     LATERAL judge(budget, most) j;

-- weights whose sums would not be finite
SELECT count(*) FROM hone.recommend_for(ARRAY['SELECT 1', 'SELECT 2'], ARRAY[0, 1.7e308]);
SELECT count(*) FROM hone.recommend_for(ARRAY['SELECT * FROM item WHERE x = 5'], ARRAY[1e100], 1000000);

-- with no room for any, the proof is exact
SELECT count(*) FROM hone.recommend_for((SELECT array_agg(statement) FROM work), NULL, NULL, 0);
SELECT gap < 0.001 AS proven FROM hone.advisor_runs ORDER BY run_id DESC LIMIT 1;

RESET search_path;
DROP TABLE work;
SET client_min_messages = warning;
DROP SCHEMA advise_pool CASCADE;
