-- hone.index_health: what is the same as another index, or does nothing that
-- another one does not do; and which of them stays.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS pg_hone;
RESET client_min_messages;
CREATE SCHEMA health_duplicates;
SET search_path = health_duplicates, public;
CREATE VIEW found AS
    SELECT replace(index_name, 'health_duplicates.', '') AS index, problem,
           replace(suggestion, 'health_duplicates.', '') AS suggestion,
           replace(regexp_replace(evidence, ' None of .* dearer without it\.', ''), 'health_duplicates.', '') AS evidence
    FROM hone.index_health WHERE table_name ~ '^health_duplicates\.' AND problem IN ('duplicate', 'redundant');
CREATE FUNCTION lower_of(text) RETURNS text IMMUTABLE LANGUAGE sql RETURN lower($1);

-- the same, whatever it is called and whichever way it is read
CREATE TABLE same (a int, b text, c int[], d int4range, e point, f jsonb);
CREATE INDEX same_1 ON same (a, b);
CREATE INDEX same_2 ON same (a, b);
CREATE INDEX same_3 ON same (a DESC NULLS FIRST, b DESC NULLS FIRST);
CREATE INDEX same_hash_1 ON same USING hash (b);
CREATE INDEX same_hash_2 ON same USING hash (b);
CREATE INDEX same_gin_1 ON same USING gin (c, f);
CREATE INDEX same_gin_2 ON same USING gin (f, c);
CREATE INDEX same_gist_1 ON same USING gist (d);
CREATE INDEX same_gist_2 ON same USING gist (d);
CREATE INDEX same_spgist_1 ON same USING spgist (e);
CREATE INDEX same_spgist_2 ON same USING spgist (e);
CREATE INDEX same_brin_1 ON same USING brin (a, b);
CREATE INDEX same_brin_2 ON same USING brin (b, a);
CREATE INDEX same_expr_1 ON same (lower_of(b)) WHERE a > 1;
CREATE INDEX same_expr_2 ON same (lower_of(b)) WHERE a > 1;
SELECT index, problem, suggestion, evidence FROM found ORDER BY index COLLATE "C";

-- not the same
CREATE TABLE other (a int, b text, c int, f jsonb, t varchar);
CREATE INDEX other_collation ON other (b COLLATE "C");
CREATE INDEX other_default ON other (b);
CREATE INDEX other_opclass ON other (b text_pattern_ops);
CREATE INDEX other_direction ON other (a, c DESC);
CREATE INDEX other_straight ON other (a, c);
CREATE INDEX other_nulls ON other (a NULLS FIRST, c);
CREATE INDEX other_order ON other (c, a);
CREATE INDEX other_predicate ON other (a, c) WHERE a > 5;
CREATE INDEX other_predicate_2 ON other (a, c) WHERE a > 6;
CREATE INDEX other_gin ON other USING gin (f);
CREATE INDEX other_gin_path ON other USING gin (f jsonb_path_ops);
CREATE INDEX other_brin ON other USING brin (a);
CREATE INDEX other_brin_2 ON other USING brin (a) WITH (pages_per_range = 8);
CREATE INDEX other_expr ON other (lower(t));
CREATE INDEX other_expr_2 ON other (upper(t));
CREATE INDEX other_hash ON other USING hash (t);
CREATE UNIQUE INDEX other_unique ON other (a, b);
CREATE INDEX other_unique_more ON other (a, b, c);
CREATE UNIQUE INDEX other_nulls_equal ON other (a, b) NULLS NOT DISTINCT;
SELECT index, problem, evidence FROM found WHERE index ~ '^other' ORDER BY 1;

-- what another one does as well
CREATE TABLE more (a int, b text, c int, d int);
CREATE INDEX more_a ON more (a);
CREATE INDEX more_ab ON more (a, b);
CREATE INDEX more_abc ON more (a, b, c);
CREATE INDEX more_inc ON more (c) INCLUDE (d);
CREATE INDEX more_inc_less ON more (c);
CREATE INDEX more_inc_other ON more (c) INCLUDE (a);
CREATE INDEX more_inc_key ON more (d) INCLUDE (a);
CREATE INDEX more_inc_as_key ON more (d, a);
CREATE INDEX more_hash ON more USING hash (c);
CREATE INDEX more_brin ON more USING brin (a);
CREATE INDEX more_brin_2 ON more USING brin (d, a);
CREATE INDEX more_partial ON more (b) WHERE a = 1;
CREATE INDEX more_partial_d ON more (b, d) WHERE a = 1;
SELECT index, problem, evidence FROM found WHERE index ~ '^more' ORDER BY 1;

-- which one stays: what backs a constraint, the replica identity, what foreign keys
-- refer to, a unique one, the smaller one
CREATE TABLE keep (id int PRIMARY KEY, b int NOT NULL, c int, d int, e int, f int UNIQUE);
CREATE INDEX keep_0_id ON keep (id);
CREATE UNIQUE INDEX keep_0_unique_id ON keep (id);
ALTER TABLE keep ADD CONSTRAINT keep_again UNIQUE (id);
CREATE UNIQUE INDEX keep_0_b ON keep (b);
CREATE UNIQUE INDEX keep_1_b ON keep (b);
ALTER TABLE keep REPLICA IDENTITY USING INDEX keep_1_b;
CREATE UNIQUE INDEX keep_0_c ON keep (c);
CREATE UNIQUE INDEX keep_1_c ON keep (c);
CREATE TABLE child (c int REFERENCES keep (c));
CREATE INDEX keep_0_e ON keep (e);
INSERT INTO keep SELECT i, i, i, i, (i * 7919) % 5000, i FROM generate_series(1, 5000) i;
CREATE INDEX keep_1_e ON keep (e);
CREATE UNIQUE INDEX keep_f_id ON keep (f, id);
ALTER TABLE keep ADD CONSTRAINT keep_deferred UNIQUE (d) DEFERRABLE;
CREATE UNIQUE INDEX keep_d ON keep (d);
SELECT index, problem, suggestion, evidence FROM found WHERE index ~ '^keep' ORDER BY 1;
SELECT replace(index_name, 'health_duplicates.', '') AS index, safe FROM hone.index_health
WHERE index_name ~ '^health_duplicates.keep_again';

-- of a partitioned table: the whole of it, and what a partition has beside
CREATE TABLE parted (k int, v int) PARTITION BY LIST (k);
CREATE TABLE parted_1 PARTITION OF parted FOR VALUES IN (1);
CREATE INDEX parted_v ON parted (v);
CREATE INDEX parted_v_k ON parted (v, k);
CREATE INDEX parted_1_own ON parted_1 (v);
SELECT index, problem, suggestion, evidence FROM found WHERE index ~ '^parted' ORDER BY 1;

-- to look runs no function of an index: it could do, or refuse, anything
CREATE ROLE regress_health_owner;
GRANT ALL ON SCHEMA health_duplicates TO regress_health_owner;
SET SESSION AUTHORIZATION regress_health_owner;
CREATE TABLE spied (a int);
CREATE FUNCTION spy(int) RETURNS int IMMUTABLE LANGUAGE plpgsql AS $$ BEGIN RETURN $1; END $$;
CREATE INDEX spied_1 ON spied ((a + spy(1))) WHERE a > 1 AND a < spy(9);
CREATE INDEX spied_2 ON spied ((a + spy(1))) WHERE a > 1 AND a < spy(9);
CREATE INDEX spied_3 ON spied ((a + spy(2))) WHERE a > 1 AND a < spy(9);
CREATE INDEX spied_4 ON spied ((a + spy(1))) WHERE a > 1 AND a < spy(8);
CREATE OR REPLACE FUNCTION spy(int) RETURNS int IMMUTABLE LANGUAGE plpgsql AS $$ BEGIN RAISE 'ran as %', current_user; END $$;
RESET SESSION AUTHORIZATION;
\c -
SET search_path = health_duplicates, public;
SELECT index, problem FROM found WHERE index ~ '^spied';
-- what has to run some does so as its owner, and not for long
SELECT hone.fresh_index_size('spied_1') IS NULL AS refused;
SET SESSION AUTHORIZATION regress_health_owner;
CREATE OR REPLACE FUNCTION spy(int) RETURNS int IMMUTABLE LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(60); RETURN $1; END $$;
RESET SESSION AUTHORIZATION;
\c -
SET search_path = health_duplicates, public;
SET pg_hone.advisor_time_limit = 1000;
SELECT hone.fresh_index_size('spied_1') IS NULL AS too_slow;

SET client_min_messages = warning;
DROP SCHEMA health_duplicates CASCADE;
DROP ROLE regress_health_owner;
