-- Which indexes: under a budget, against writes, beside what exists already.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS pg_hone;
DROP SCHEMA IF EXISTS advise_choice CASCADE;
RESET client_min_messages;
CREATE SCHEMA advise_choice;
SELECT coalesce(max(run_id), 0) AS last_run FROM hone.advisor_runs \gset
SET search_path = advise_choice, public;

CREATE TABLE event (id bigint PRIMARY KEY, account int, kind text, state text, priority int,
                    made_at timestamptz, changed_at timestamptz, note text);
INSERT INTO event
SELECT i, (i * 7919) % 2000, 'k' || (i % 40), CASE WHEN i % 100 = 0 THEN 'open' ELSE 'done' END,
       i % 10, timestamptz '2026-01-01 00:00+00' + i * interval '1 minute',
       timestamptz '2026-01-01 00:00+00' + i * interval '1 minute', repeat('n', 60)
FROM generate_series(1, 40000) i;
CREATE TABLE account (id int PRIMARY KEY, region int, name text, filler text);
INSERT INTO account SELECT i, i % 400, 'a' || i, repeat('f', 80) FROM generate_series(0, 19999) i;
VACUUM ANALYZE event, account;

CREATE FUNCTION short(definition text) RETURNS text LANGUAGE sql AS $$
    SELECT regexp_replace(definition, '^CREATE INDEX \S+ ON advise_choice\.(\S+) USING', '\1')
$$;

-- One index for three queries, and none for what it serves already
SELECT action, short(definition), queries_helped, queries_hurt
FROM hone.recommend_for(ARRAY[
    'SELECT * FROM event WHERE account = 5',
    'SELECT * FROM event WHERE account = 5 AND made_at > ''2026-01-20''',
    'SELECT * FROM event WHERE account = 5 ORDER BY made_at DESC LIMIT 5']);

-- A budget is kept, and used
SELECT sum(size_bytes) <= 1000000 AS within, count(*) > 0 AS some
FROM hone.recommend_for(ARRAY[
    'SELECT * FROM event WHERE account = 5 AND kind = ''k3''',
    'SELECT * FROM event WHERE kind = ''k7'' AND priority = 3 ORDER BY made_at',
    'SELECT * FROM account WHERE name = ''a5'''], NULL, 1000000);
SELECT count(*) FROM hone.recommend_for(ARRAY['SELECT * FROM event WHERE account = 5'], NULL, 0);
SELECT count(*) FROM hone.recommend_for(ARRAY['SELECT * FROM event WHERE account = 5'], NULL, NULL, 0);
SELECT count(*) FROM hone.recommend_for(ARRAY['SELECT * FROM event WHERE account = 5',
    'SELECT * FROM account WHERE name = ''a5''', 'SELECT * FROM account WHERE region = 5'],
    NULL, NULL, 2);
-- and the heavier query gets the one that is allowed
SELECT short(definition) FROM hone.recommend_for(ARRAY['SELECT * FROM event WHERE account = 5',
    'SELECT * FROM account WHERE name = ''a5'''], ARRAY[1, 100], NULL, 1);

-- A query that weighs nothing gets nothing
SELECT count(*) FROM hone.recommend_for(ARRAY['SELECT * FROM event WHERE account = 5'], ARRAY[0]);

-- Two indexes that only help together
SELECT short(definition) FROM hone.recommend_for(ARRAY[
    'SELECT e.note, a.filler FROM account a JOIN event e ON e.account = a.id WHERE a.name = ''a5'''])
ORDER BY 1;

-- Against the writes: read often, or written often
SELECT short(definition), write_cost > 0 AS priced FROM hone.recommend_for(ARRAY[
    'SELECT id FROM event ORDER BY changed_at DESC LIMIT 5',
    'UPDATE event SET changed_at = now() WHERE id = 5'], ARRAY[1000, 10]);
SELECT count(*) FROM hone.recommend_for(ARRAY[
    'SELECT id FROM event ORDER BY changed_at DESC LIMIT 5',
    'UPDATE event SET changed_at = now() WHERE id = 5'], ARRAY[1, 1000000]);
SELECT DISTINCT regexp_replace(reason, '[0-9.]+', 'N', 'g') AS reason FROM hone.rejected_candidates
WHERE run_id = (SELECT max(run_id) FROM hone.advisor_runs) AND reason ~ 'writes';
-- an update of other columns stays HOT: no reason to refuse
SELECT short(definition), write_cost FROM hone.recommend_for(ARRAY[
    'SELECT id FROM event WHERE account = 5 ORDER BY made_at LIMIT 5',
    'UPDATE event SET note = ''x'' WHERE id = 5'], ARRAY[1000, 1])
WHERE write_cost > 100;

-- What exists counts: no copy, no prefix; a wider one makes the narrow one superfluous
CREATE INDEX event_account ON event (account);
SELECT count(*) FROM hone.recommend_for(ARRAY['SELECT * FROM event WHERE account = 5']);
CREATE TEMP TABLE made AS
SELECT * FROM hone.recommend_for(ARRAY['SELECT * FROM event WHERE account = 5 ORDER BY made_at DESC LIMIT 2',
                                       'SELECT * FROM event WHERE account = 7']);
SELECT action, index_name, CASE action WHEN 'drop' THEN definition ELSE short(definition) END AS definition,
       regexp_replace(undo_definition, 'advise_choice\.', '') AS undo, size_bytes > 0 AS sized,
       CASE action WHEN 'drop' THEN reason END AS reason
FROM made ORDER BY action;
DROP TABLE made;
-- but never one that a constraint needs, or that is unique, clustered on, or identifies rows
DROP INDEX event_account;
CREATE UNIQUE INDEX event_unique ON event (account, id);
CREATE INDEX event_cluster ON event (account);
ALTER TABLE event CLUSTER ON event_cluster;
SELECT count(*) FROM hone.recommend_for(ARRAY['SELECT * FROM event WHERE account = 5']);
ALTER TABLE event SET WITHOUT CLUSTER;
SELECT action, definition FROM hone.recommend_for(ARRAY['SELECT * FROM event WHERE account = 5']);
DROP INDEX event_unique, event_cluster;
-- nor when its predicate, operator class or included columns are its own
CREATE INDEX event_partial ON event (account) WHERE kind = 'k1';
CREATE INDEX event_including ON event (account) INCLUDE (priority);
CREATE INDEX event_wide ON event (account, kind);
SELECT count(*) FROM hone.recommend_for(ARRAY['SELECT * FROM event WHERE account = 5 AND kind = ''k2'''])
WHERE action = 'drop' AND index_name = 'event_including';
DROP INDEX event_partial, event_including, event_wide;

-- Near the best: every subset of a few candidates, priced through what_if
CREATE TEMP TABLE query (n int, q text, weight float8);
INSERT INTO query VALUES
    (1, 'SELECT * FROM event WHERE account = 5 AND kind = ''k3''', 5),
    (2, 'SELECT * FROM event WHERE kind = ''k7'' AND priority = 3 AND account < 100', 3),
    (3, 'SELECT * FROM account WHERE name = ''a5''', 1),
    (4, 'SELECT a.name, e.kind FROM account a JOIN event e ON e.account = a.id WHERE a.region = 3', 2);
CREATE TEMP TABLE candidate (n int, definition text);
INSERT INTO candidate VALUES
    (0, 'CREATE INDEX ON advise_choice.event (account)'),
    (1, 'CREATE INDEX ON advise_choice.event (account, kind)'),
    (2, 'CREATE INDEX ON advise_choice.event (kind, account)'),
    (3, 'CREATE INDEX ON advise_choice.event (kind, priority, account)'),
    (4, 'CREATE INDEX ON advise_choice.account (name)'),
    (5, 'CREATE INDEX ON advise_choice.account (region)'),
    (6, 'CREATE INDEX ON advise_choice.account (region) INCLUDE (id, name)');
CREATE FUNCTION workload_cost(indexes text[]) RETURNS float8 LANGUAGE sql AS $$
    SELECT sum(q.weight * CASE indexes WHEN '{}' THEN w.cost_before ELSE w.cost_after END)
    FROM query q, hone.what_if(q.q, CASE indexes WHEN '{}' THEN
        ARRAY['CREATE INDEX ON advise_choice.account (filler)'] ELSE indexes END) w
$$;
CREATE TEMP TABLE subset AS
SELECT s, coalesce((SELECT array_agg(definition ORDER BY n) FROM candidate WHERE s & (1 << n) <> 0), '{}') AS indexes
FROM generate_series(0, 127) s;
CREATE TEMP TABLE priced AS
SELECT s, workload_cost(indexes) AS cost,
       coalesce((SELECT sum((SELECT w.size_bytes FROM hone.what_if('SELECT 1 FROM advise_choice.event', ARRAY[d]) w))
                 FROM unnest(indexes) d), 0) AS bytes
FROM subset;
SELECT budget,
       workload_cost(coalesce((SELECT array_agg(r.definition) FROM hone.recommend_for(
           (SELECT array_agg(q ORDER BY n) FROM query), (SELECT array_agg(weight ORDER BY n) FROM query), budget) r
           WHERE r.action = 'create'), '{}'))
       <= 1.005 * (SELECT min(cost) FROM priced WHERE budget IS NULL OR bytes <= budget) AS within_half_percent
FROM unnest(ARRAY[NULL, 400000, 800000, 1500000, 3000000, 5000000]) budget;

-- A run supersedes what its requester was told before
SELECT count(*) FROM hone.recommend_for(ARRAY['SELECT * FROM event WHERE account = 5']);
SELECT status, count(*) > 0 AS some FROM hone.recommendations
WHERE run_id >= (SELECT max(run_id) - 1 FROM hone.advisor_runs) GROUP BY status ORDER BY status;
-- What was turned down is not proposed again
SELECT hone.dismiss(max(id), 'not now') FROM hone.recommendations WHERE status = 'proposed';
SELECT count(*) FROM hone.recommend_for(ARRAY['SELECT * FROM event WHERE account = 5'])
WHERE definition ~ '\(account\)$';
SELECT reason FROM hone.rejected_candidates
WHERE run_id = (SELECT max(run_id) FROM hone.advisor_runs) AND definition ~ '\(account\)$';
SELECT dismiss_reason FROM hone.recommendations WHERE status = 'dismissed' ORDER BY id DESC LIMIT 1;

-- The whole story
CREATE TEMP TABLE told AS
SELECT id FROM hone.recommend_for(ARRAY['SELECT * FROM account WHERE name = ''a5''']);
SELECT line FROM told, regexp_split_to_table(hone.explain_recommendation(id), '\n') WITH ORDINALITY t(line, n)
WHERE line ~ '^(CREATE|  or by hand: DROP|    SELECT)' ORDER BY n;
SELECT q.query, q.calls, q.cost_after < q.cost_before AS cheaper,
       q.plan_before::text ~ 'Seq Scan' AS scanned, q.plan_after::text ~ 'Index Scan' AS indexed
FROM told JOIN hone.recommendation_queries q ON q.recommendation_id = told.id;

DELETE FROM hone.advisor_run_store WHERE run_id > :last_run;
SET client_min_messages = warning;
DROP SCHEMA advise_choice CASCADE;
