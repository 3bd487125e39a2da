-- What writes cost an index: of given statements, and as measured.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS pg_hone;
DROP SCHEMA IF EXISTS advise_writes CASCADE;
RESET client_min_messages;
CREATE SCHEMA advise_writes;
SET search_path = advise_writes, public;
SELECT coalesce(max(run_id), 0) AS last_run FROM hone.advisor_runs \gset
SET pg_hone.enabled = off;

CREATE TABLE item (id bigint PRIMARY KEY, owner int, state text, price int, doubled int GENERATED ALWAYS AS (price * 2) STORED,
                   tags int[], made_at timestamptz, note text);
INSERT INTO item (id, owner, state, price, tags, made_at, note)
SELECT i, (i * 7919) % 3000, CASE WHEN i % 50 = 0 THEN 'open' ELSE 'done' END, i % 1000,
       (SELECT array_agg((i * j) % 501) FROM generate_series(1, 12) j), timestamptz '2026-01-01 00:00+00' + i * interval '1 minute', repeat('n', 60)
FROM generate_series(1, 20000) i;
CREATE INDEX item_owner ON item (owner);
CREATE INDEX item_tags ON item USING gin (tags);
CREATE INDEX item_open ON item (made_at) WHERE state = 'open';
CREATE INDEX item_doubled ON item (doubled);
VACUUM ANALYZE item;

-- An insert makes an entry in each index whose predicate it meets
SELECT index_name, round(entries) AS entries, write_cost > 0 AS costs
FROM hone.index_costs(ARRAY['INSERT INTO item (id) VALUES (0)'], ARRAY[1000]) ORDER BY 1;
-- an update of what no index has stays HOT, mostly
SELECT index_name, round(entries) AS entries, hot_updates_lost
FROM hone.index_costs(ARRAY['UPDATE item SET note = $$x$$ WHERE id = 5'], ARRAY[1000]) ORDER BY 1;
-- of what one index has: that index is what keeps it from being HOT, with the predicate
-- and through a generated column too; columns set to themselves do not count
SELECT index_name, round(entries) AS entries, round(hot_updates_lost) AS lost
FROM hone.index_costs(ARRAY['UPDATE item SET owner = owner + 1, tags = tags WHERE id = 5'], ARRAY[1000]) ORDER BY 1;
SELECT index_name, round(entries) AS entries, round(hot_updates_lost) AS lost
FROM hone.index_costs(ARRAY['UPDATE item SET state = $$open$$ WHERE id = 5'], ARRAY[1000]) ORDER BY 1;
SELECT index_name, round(hot_updates_lost) AS lost
FROM hone.index_costs(ARRAY['UPDATE item SET price = price + 1 WHERE id = 5'], ARRAY[1000]) ORDER BY 1;
-- of what two have: neither alone
SELECT index_name, round(hot_updates_lost) AS lost
FROM hone.index_costs(ARRAY['UPDATE item SET price = 1, owner = 1 WHERE id = 5'], ARRAY[1000]) ORDER BY 1;
-- it is dearer to be in the way of HOT, and the more indexes there are
CREATE TEMP TABLE seen AS SELECT 'few' AS what, index_name, write_cost
FROM hone.index_costs(ARRAY['UPDATE item SET owner = owner + 1 WHERE id = 5'], ARRAY[1000]);
CREATE INDEX item_more ON item (note);
CREATE INDEX item_most ON item (note, made_at);
ANALYZE item;
INSERT INTO seen SELECT 'many', index_name, write_cost
FROM hone.index_costs(ARRAY['UPDATE item SET owner = owner + 1 WHERE id = 5'], ARRAY[1000]);
SELECT min(write_cost) FILTER (WHERE index_name = 'item_owner' AND what = 'few')
     > 2 * min(write_cost) FILTER (WHERE index_name = 'item_doubled' AND what = 'few') AS dearer,
       min(write_cost) FILTER (WHERE index_name = 'item_owner' AND what = 'many')
     > 1.2 * min(write_cost) FILTER (WHERE index_name = 'item_owner' AND what = 'few') AS more
FROM seen;
DROP INDEX item_more, item_most;

-- A GIN index has an entry for each element, and costs more
SELECT max(write_cost) FILTER (WHERE index_name = 'item_tags') > max(write_cost) FILTER (WHERE index_name = 'item_owner') AS dearer
FROM hone.index_costs(ARRAY['INSERT INTO item (id) VALUES (0)'], ARRAY[1000]);
-- deletes cost vacuum only
SELECT DISTINCT entries, cpu_cost, vacuum_cost > 0 AS vacuum
FROM hone.index_costs(ARRAY['DELETE FROM item WHERE id = 5'], ARRAY[1000]);
-- reading costs nothing, and what no statement touches is not listed
SELECT DISTINCT write_cost FROM hone.index_costs(ARRAY['SELECT * FROM item WHERE id = 5']);
SELECT count(*) FROM hone.index_costs(ARRAY['SELECT 1']);
-- which plan uses what
SELECT index_name, used, droppable FROM hone.index_costs(ARRAY['SELECT * FROM item WHERE owner = 5']) ORDER BY 1;

-- Writes in WITH, upserts and MERGE count; an update changes no more rows than there are
SELECT round(sum(entries)) AS entries FROM hone.index_costs(ARRAY[
    'WITH gone AS (INSERT INTO item (id) VALUES (0), (-1) RETURNING *) SELECT * FROM gone'], ARRAY[100])
WHERE index_name = 'item_owner';
SELECT round(entries) AS entries, round(hot_updates_lost) AS lost FROM hone.index_costs(ARRAY[
    'INSERT INTO item (id) VALUES (0) ON CONFLICT (id) DO UPDATE SET owner = 7'], ARRAY[100])
WHERE index_name = 'item_owner';
SELECT round(entries) AS entries, round(hot_updates_lost) AS lost FROM hone.index_costs(ARRAY[
    'MERGE INTO item USING (VALUES (1), (2)) v (id) ON v.id = item.id WHEN MATCHED THEN UPDATE SET owner = 7 WHEN NOT MATCHED THEN INSERT (id) VALUES (v.id)'], ARRAY[100])
WHERE index_name = 'item_owner';
SELECT entries <= 20000 AS sane FROM hone.index_costs(ARRAY[
    'UPDATE item SET owner = a.owner FROM item a, item b WHERE a.owner < b.owner'])
WHERE index_name = 'item_owner';

-- The factor
SET pg_hone.write_cost_factor = 10;
CREATE TEMP TABLE ten AS SELECT write_cost FROM hone.index_costs(ARRAY['INSERT INTO item (id) VALUES (0)']) WHERE index_name = 'item_owner';
RESET pg_hone.write_cost_factor;
SELECT round((ten.write_cost / one.write_cost)::numeric, 3) AS ratio
FROM ten, hone.index_costs(ARRAY['INSERT INTO item (id) VALUES (0)']) one WHERE one.index_name = 'item_owner';
SET pg_hone.write_cost_factor = 0;
SELECT count(*) AS advised FROM hone.recommend_for(ARRAY['SELECT note FROM item WHERE price = 5', 'UPDATE item SET price = price + 1 WHERE id = 5'], ARRAY[1000, 2e6]);
RESET pg_hone.write_cost_factor;
SELECT count(*) AS advised FROM hone.recommend_for(ARRAY['SELECT note FROM item WHERE price = 5', 'UPDATE item SET price = price + 1 WHERE id = 5'], ARRAY[1000, 2e6]);

-- Partitions: a statement on the parent writes to the indexes of each by its share
CREATE TABLE part (id int, owner int, at int NOT NULL) PARTITION BY RANGE (at);
CREATE TABLE part_1 PARTITION OF part FOR VALUES FROM (0) TO (75);
CREATE TABLE part_2 (at int NOT NULL, owner int, id int);
ALTER TABLE part ATTACH PARTITION part_2 FOR VALUES FROM (75) TO (100);
INSERT INTO part SELECT i, i % 100, i % 100 FROM generate_series(1, 10000) i;
CREATE INDEX ON part (owner);
VACUUM ANALYZE part;
SELECT index_name, round(entries) AS entries, round(hot_updates_lost) AS lost
FROM hone.index_costs(ARRAY['INSERT INTO part VALUES (1, 1, 1)', 'UPDATE part SET owner = 7 WHERE id = 1',
                            'SELECT * FROM part_1 WHERE id = 5', 'SELECT * FROM part_2 WHERE id = 5'], ARRAY[1000, 1000, 1, 1])
WHERE index_name ~ 'part_. ?_?owner' ORDER BY 1;

-- As measured. (A statement is still one of the workload when its table was dropped
-- and is there again, so tables have new names each time.)
SELECT 'wrong_' || v AS wrong, 'lost_' || v AS lost, 'copied_' || v AS copied
FROM replace(extract(epoch FROM clock_timestamp())::text, '.', '_') v \gset
-- an update that was expected to change one row changed many
CREATE FUNCTION measured(name text) RETURNS TABLE (entries numeric, lost numeric) LANGUAGE sql AS $$
    SELECT round(entries), round(hot_updates_lost) FROM hone.index_costs() WHERE table_name = 'advise_writes.' || name
$$;
CREATE TABLE :wrong (id int, owner int) WITH (autovacuum_enabled = off);
INSERT INTO :wrong SELECT i, i FROM generate_series(1, 1000) i;
CREATE INDEX ON :wrong (owner);
VACUUM ANALYZE :wrong;
SET pg_hone.enabled = on;
UPDATE :wrong SET owner = owner + 1 WHERE id = id + 0 AND id % 2 = 1 AND owner % 2 = 1 AND (id + owner) % 4 = 2;
SET pg_hone.enabled = off;
SELECT entries FROM measured(:'wrong');

-- a statement that cannot be planned again: its values were not kept
CREATE TABLE :lost (id int, owner int, note text) WITH (autovacuum_enabled = off);
INSERT INTO :lost SELECT i, i, 'n' FROM generate_series(1, 1000) i;
CREATE INDEX ON :lost (owner);
VACUUM ANALYZE :lost;
PREPARE long(text) AS UPDATE :lost SET owner = owner + 1 WHERE note <> $1 AND id <= 400;
SET pg_hone.enabled = on;
EXECUTE long(repeat('x', 100000));
SET pg_hone.enabled = off;
SELECT count(*) FROM :lost WHERE id = 5;
SELECT entries FROM measured(:'lost');
SET pg_hone.enabled = on;
SELECT count(*) FROM :lost WHERE id = 5;
SET pg_hone.enabled = off;
SELECT entries FROM measured(:'lost');
DEALLOCATE long;

-- what no statement says (here: while nothing was captured), from the server's own
-- counters; a load is not use
CREATE TABLE :copied (id int, owner int) WITH (autovacuum_enabled = off);
CREATE INDEX ON :copied (owner);
SELECT hone.collect_table_writes() >= 0 AS collected;
CREATE TABLE source AS SELECT i AS id, i AS owner FROM generate_series(1, 5000) i;
INSERT INTO :copied SELECT * FROM source;
SELECT pg_stat_force_next_flush();
SELECT hone.collect_table_writes() >= 0 AS collected;
VACUUM ANALYZE :copied;
SET pg_hone.enabled = on;
SELECT count(*) FROM :copied WHERE id = 5;
SET pg_hone.enabled = off;
SELECT entries FROM measured(:'copied');
INSERT INTO :copied SELECT * FROM source WHERE id <= 700;
SELECT pg_stat_force_next_flush();
SELECT hone.collect_table_writes() >= 0 AS collected;
INSERT INTO :copied SELECT * FROM source WHERE id <= 300;
SELECT pg_stat_force_next_flush();
SELECT entries FROM measured(:'copied');

-- and what is known of a table's writes goes with it
SELECT count(*) FROM hone.table_writes_store WHERE relid = :'copied'::regclass;
CREATE TEMP TABLE was AS SELECT :'copied'::regclass::oid AS relid;
DROP TABLE :copied;
SELECT hone.collect_table_writes() >= 0 AS collected;
SELECT count(*) FROM hone.table_writes_store t JOIN was USING (relid);

-- Bad input
SELECT * FROM hone.index_costs(NULL, ARRAY[1]::float8[]);
SELECT * FROM hone.index_costs('{}');
SELECT * FROM hone.index_costs(ARRAY['SELECT * FROM nowhere']);
SELECT * FROM hone.index_costs(ARRAY['SELECT 1'], ARRAY[-1]::float8[]);
SET pg_hone.write_cost_factor = -1;
SET pg_hone.unused_index_age = -1;

DELETE FROM hone.advisor_run_store WHERE run_id > :last_run;
SET client_min_messages = warning;
DROP SCHEMA advise_writes CASCADE;
