-- What test/bench/write_cost runs, in one session of a superuser: a load of
-- inserts, updates and deletes on tables that differ in their indexes only;
-- what hone.index_costs() predicts of each, beside what was measured.
--
-- Measured is what the load costs more than on the same table with its primary
-- key only: CPU time of the backend (the kernel's account of it), WAL, and
-- buffers of the table and its indexes that are dirty at the end (there is no
-- checkpoint between). CPU time is measured in ten slices, of each of which the
-- quietest of the repeats counts. Microseconds become planner units by what reads take that
-- are estimated in the same units.
\set ON_ERROR_STOP on
\set QUIET on
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS pg_hone;
CREATE EXTENSION IF NOT EXISTS pg_buffercache;
CREATE EXTENSION IF NOT EXISTS pg_trgm;
DROP SCHEMA IF EXISTS bench CASCADE;
CREATE SCHEMA bench;
SET search_path = bench, public;
SET pg_hone.enabled = off;
SET jit = off;
SET max_parallel_workers_per_gather = 0;
SELECT setseed(0.5) \g /dev/null

CREATE TABLE base AS
SELECT i AS id, (random() * 1e9)::int AS k, (random() * 1e9)::int AS k2, (i % 7) AS state,
       (i * 31) % 500 AS tenant,
       timestamptz '2026-01-01 00:00+00' + i * interval '1 second' AS made_at,
       timestamptz '2026-01-01 00:00+00' + random() * interval '100 days' AS changed_at,
       md5(random()::text) AS name, 0 AS counter,
       ARRAY[(random() * 1000)::int, (random() * 1000)::int, (random() * 1000)::int, (random() * 1000)::int] AS tags,
       jsonb_build_object('user', (random() * 10000)::int, 'kind', 'k' || i % 20, 'ip', md5(i::text)) AS doc,
       point(random(), random()) AS place,
       repeat('f', 80) AS filler
FROM generate_series(1, :rows + 3 * :rounds) i;
ALTER TABLE base ADD PRIMARY KEY (id);
VACUUM ANALYZE base;

CREATE TABLE config (n int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text, indexes text);
INSERT INTO config (name, indexes) VALUES
('primary key only', ''),
('btree (k), random', 'btree (k)'),
('btree (k, k2, name)', 'btree (k, k2, name)'),
('btree (k) include (k2, name)', 'btree (k) INCLUDE (k2, name)'),
('btree (name), 32 letters', 'btree (name)'),
('btree (made_at), in order', 'btree (made_at)'),
('btree (tenant), 500 values', 'btree (tenant)'),
('btree (tenant, made_at)', 'btree (tenant, made_at)'),
('btree (lower(name))', 'btree (lower(name))'),
('btree (k) of a seventh', 'btree (k) WHERE tenant < 71'),
('btree (state), no more HOT', 'btree (state)'),
('btree (changed_at), no more HOT', 'btree (changed_at)'),
('btree (k) where state = 3, no more HOT', 'btree (k) WHERE state = 3'),
('hash (k)', 'hash (k)'),
('gin (tags)', 'gin (tags)'),
('gin (doc jsonb_path_ops)', 'gin (doc jsonb_path_ops)'),
('gin (doc)', 'gin (doc)'),
('gin (name gin_trgm_ops)', 'gin (name gin_trgm_ops)'),
('gist (place)', 'gist (place)'),
('spgist (place)', 'spgist (place)'),
('brin (made_at)', 'brin (made_at)'),
('2 indexes', 'btree (k);btree (k2)'),
('4 indexes', 'btree (k);btree (k2);btree (name);btree (tenant)'),
('8 indexes', 'btree (k);btree (k2);btree (name);btree (tenant);btree (made_at);btree (k2, k);btree (lower(name));btree (tenant)'),
('4 indexes, no more HOT', 'btree (k);btree (k2);btree (name);btree (state)'),
('8 indexes of four kinds, no more HOT', 'btree (k);btree (k2);hash (name);btree (tenant);gin (tags);brin (made_at);btree (changed_at);btree (state)');

CREATE TABLE result (n int, round int, cpu_us float8[], wal_bytes float8, dirty float8);
CREATE TABLE prediction (n int, cpu float8, wal_bytes float8, dirty float8, total float8);

CREATE FUNCTION cpu_us() RETURNS float8 LANGUAGE sql VOLATILE AS
$$ SELECT split_part(pg_read_file('/proc/self/schedstat', 0, 100), ' ', 1)::float8 / 1000 $$;

-- One round: three inserts, three updates of a column that is never indexed, one
-- of two that may be, a delete; one row each, by primary key.
CREATE PROCEDURE load(rows int, first int, last int) LANGUAGE plpgsql AS $$
BEGIN
    FOR i IN first .. last LOOP
        FOR j IN 1 .. 3 LOOP
            INSERT INTO item SELECT * FROM base b WHERE b.id = rows + 3 * i - 3 + j;
            UPDATE item SET counter = counter + 1 WHERE id = 1 + (i * 7919 + j * 104729) % rows;
        END LOOP;
        UPDATE item SET state = (state + 1) % 7, changed_at = changed_at + interval '1 day'
        WHERE id = 1 + (i * 6151) % rows;
        DELETE FROM item WHERE id = 1 + (i * 3571) % rows;
    END LOOP;
END $$;

CREATE FUNCTION clean_gin() RETURNS void LANGUAGE sql VOLATILE AS $$
    SELECT gin_clean_pending_list(i.indexrelid)
    FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_am a ON a.oid = c.relam
    WHERE i.indrelid = to_regclass('bench.item') AND a.amname = 'gin'
$$;

-- The table with the first of a configuration's indexes; row by row into indexes
-- that are there, so that their pages are as full as use leaves them.
CREATE PROCEDURE fill(config int, first int, rows int) LANGUAGE plpgsql AS $$
DECLARE
    definition text;
BEGIN
    DROP TABLE IF EXISTS item;
    CREATE TABLE item (LIKE base INCLUDING ALL) WITH (autovacuum_enabled = off, fillfactor = 80);
    FOR definition IN SELECT d FROM config f, regexp_split_to_table(nullif(f.indexes, ''), ';') WITH ORDINALITY t (d, n)
                      WHERE f.n = config AND t.n <= first ORDER BY t.n LOOP
        EXECUTE 'CREATE INDEX ON item USING ' || definition;
    END LOOP;
    COMMIT;
    INSERT INTO item SELECT * FROM base b WHERE b.id <= rows ORDER BY b.id;
    PERFORM clean_gin();
    COMMIT;
    ANALYZE item;
    COMMIT;
END $$;

-- What the latest index costs, beside those before it.
CREATE PROCEDURE predict(config int, rounds int) LANGUAGE sql AS $$
    INSERT INTO prediction
    SELECT config, s.cpu_cost, s.wal_bytes, s.pages_dirtied, s.write_cost - s.vacuum_cost
    FROM hone.index_costs(ARRAY[
        'INSERT INTO item VALUES (0, 0, 0, 0, 0, now(), now(), ''a'', 0, ''{}'', ''{}'', ''(0,0)'', ''f'')',
        'UPDATE item SET counter = counter + 1 WHERE id = 5',
        'UPDATE item SET state = (state + 1) % 7, changed_at = changed_at + interval ''1 day'' WHERE id = 5',
        'DELETE FROM item WHERE id = 5'], ARRAY[3 * rounds, 3 * rounds, rounds, rounds]) s
    WHERE s.index_name = (SELECT i.indexrelid::regclass::text FROM pg_index i
                          WHERE i.indrelid = to_regclass('bench.item') ORDER BY i.indexrelid DESC LIMIT 1)
$$;

CREATE PROCEDURE measure(config int, rows int, rounds int, round int) LANGUAGE plpgsql AS $$
DECLARE
    r result;
    began float8;
    lsn pg_lsn;
BEGIN
    r.n := config; r.round := round;
    CALL fill(config, 100, rows);
    CHECKPOINT;
    lsn := pg_current_wal_insert_lsn();
    FOR piece IN 0 .. 9 LOOP
        began := cpu_us();
        CALL load(rows, piece * rounds / 10 + 1, (piece + 1) * rounds / 10);
        IF piece = 9 THEN
            PERFORM clean_gin();        -- sooner or later it must be done
        END IF;
        r.cpu_us[piece] := cpu_us() - began;
        COMMIT;
    END LOOP;
    r.wal_bytes := pg_wal_lsn_diff(pg_current_wal_insert_lsn(), lsn);
    SELECT count(*) INTO r.dirty FROM pg_buffercache b
    WHERE b.isdirty AND b.reldatabase = (SELECT oid FROM pg_database WHERE datname = current_database())
      AND b.relfilenode IN (SELECT pg_relation_filenode('item') UNION ALL
                            SELECT pg_relation_filenode(i.indexrelid) FROM pg_index i WHERE i.indrelid = 'item'::regclass);
    INSERT INTO result SELECT r.*;
    COMMIT;
END $$;

-- What a unit is worth: reads of what is cached.
CREATE TABLE reading (name text, us_per_unit float8);
CREATE FUNCTION read_unit(query text) RETURNS float8 LANGUAGE plpgsql AS $$
DECLARE
    plan json;
    began float8;
    best float8;
BEGIN
    EXECUTE 'EXPLAIN (FORMAT JSON) ' || query INTO plan;
    FOR i IN 1 .. 4 LOOP
        began := cpu_us();
        FOR again IN 1 .. 4 LOOP
            EXECUTE query;
        END LOOP;
        best := least(best, (cpu_us() - began) / 4);
    END LOOP;
    RETURN greatest(best, 1) / (plan #>> '{0,Plan,Total Cost}')::float8;
END $$;
INSERT INTO reading VALUES
('scan', read_unit('SELECT count(*) FROM base WHERE k = -1')),
('sort', read_unit('SELECT id FROM base ORDER BY name OFFSET 1000000')),
('join', read_unit('SELECT count(*) FROM base a JOIN base b ON a.id = b.k % 1000')),
('group', read_unit('SELECT name, count(*) FROM base GROUP BY name OFFSET 1000000'));

-- Before that a little of the load runs, so that the server has counted how many
-- updates are HOT. (It does so between two commands of a session only.)
SELECT format('CALL fill(%s, %s, %s)', c.n, place, :rows), format('CALL load(%s, 1, %s)', :rows, :rounds / 10),
       'DO $$BEGIN PERFORM pg_stat_force_next_flush(); END$$', format('CALL predict(%s, %s)', c.n, :rounds)
FROM config c, regexp_split_to_table(nullif(c.indexes, ''), ';') WITH ORDINALITY t (d, place)
ORDER BY c.n, place
\gexec

SELECT format('CALL measure(%s, %s, %s, %s)', c.n, :rows, :rounds, r)
FROM generate_series(1, :repeats) r,
     (SELECT n, n AS place FROM config UNION ALL SELECT 1, place FROM unnest('{9, 18, 99}'::int[]) place) c
ORDER BY r, c.place, c.n DESC
\gexec

CREATE VIEW unit AS SELECT exp(avg(ln(us_per_unit))) AS us_per_unit FROM reading;
CREATE VIEW best AS
SELECT r.n, (SELECT sum(s.least) FROM (SELECT min(c.us) AS least
                                      FROM result q, unnest(q.cpu_us) WITH ORDINALITY c (us, slice)
                                      WHERE q.n = r.n GROUP BY c.slice) s) AS cpu_us, min(r.wal_bytes) AS wal_bytes, min(r.dirty) AS dirty,
       p.cpu AS predicted_cpu, p.wal_bytes AS predicted_wal, p.dirty AS predicted_dirty, p.total AS predicted
FROM result r
     LEFT JOIN (SELECT n, sum(cpu) AS cpu, sum(wal_bytes) AS wal_bytes, sum(dirty) AS dirty, sum(total) AS total
                FROM prediction GROUP BY n) p ON p.n = r.n
GROUP BY r.n, p.cpu, p.wal_bytes, p.dirty, p.total;
CREATE VIEW compared AS
SELECT c.name, c.n, b.cpu_us - z.cpu_us AS cpu_us, b.wal_bytes - z.wal_bytes AS wal_bytes, b.dirty - z.dirty AS dirty,
       (b.cpu_us - z.cpu_us) / u.us_per_unit
           + (b.wal_bytes - z.wal_bytes) / 8192 + (b.dirty - z.dirty) AS measured,
       b.predicted_cpu, b.predicted_wal, b.predicted_dirty, b.predicted, u.us_per_unit
FROM best b JOIN config c ON c.n = b.n JOIN best z ON z.n = 1 CROSS JOIN unit u
WHERE b.n > 1;

\t on
\pset format unaligned
SELECT format('A planner unit is worth %s us of CPU time: %s.', round(u.us_per_unit::numeric, 2),
              (SELECT string_agg(format('%s %s', name, round(us_per_unit::numeric, 2)), ', ') FROM reading))
FROM unit u;
SELECT format('%s rows, %s rounds of three inserts, four updates and a delete; with the primary key only %s ms of CPU time, %s kB of WAL, %s pages.',
              :rows, :rounds, round((cpu_us / 1000)::numeric), round(wal_bytes / 1024), dirty)
FROM best WHERE n = 1;
\echo
\echo '| indexes | CPU ms | predicted | WAL kB | predicted | pages | predicted | units | predicted | ratio |'
\echo '| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |'
SELECT format('| %s | %s | %s | %s | %s | %s | %s | %s | %s | %s |', name, round((cpu_us / 1000)::numeric),
              round((predicted_cpu * us_per_unit / 1000)::numeric), round((wal_bytes / 1024)::numeric),
              round((predicted_wal / 1024)::numeric), dirty, round(predicted_dirty::numeric),
              round(measured::numeric), round(predicted::numeric), round((predicted / nullif(measured, 0))::numeric, 2))
FROM compared ORDER BY n;
\echo
WITH ranked AS (
    SELECT rank() OVER (ORDER BY measured)::float8 AS m, rank() OVER (ORDER BY predicted)::float8 AS p,
           rank() OVER (ORDER BY cpu_us)::float8 AS mc, rank() OVER (ORDER BY predicted_cpu)::float8 AS pc,
           rank() OVER (ORDER BY wal_bytes)::float8 AS mw, rank() OVER (ORDER BY predicted_wal)::float8 AS pw,
           rank() OVER (ORDER BY dirty)::float8 AS md, rank() OVER (ORDER BY predicted_dirty)::float8 AS pd,
           predicted / measured AS ratio
    FROM compared)
SELECT format(E'rank correlation: %s in all, %s CPU, %s WAL, %s pages\npredicted / measured: median %s, least %s, most %s; within 2x: %s of %s',
              round(corr(m, p)::numeric, 3), round(corr(mc, pc)::numeric, 3), round(corr(mw, pw)::numeric, 3),
              round(corr(md, pd)::numeric, 3),
              round(percentile_cont(0.5) WITHIN GROUP (ORDER BY ratio)::numeric, 2), round(min(ratio)::numeric, 2),
              round(max(ratio)::numeric, 2), count(*) FILTER (WHERE ratio BETWEEN 0.5 AND 2), count(*))
FROM ranked;
\if :{?keep}
\else
DROP SCHEMA bench CASCADE;
\endif
