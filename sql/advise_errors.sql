-- Wrong arguments, privileges and hostile names.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS pg_hone;
DROP SCHEMA IF EXISTS advise_errors CASCADE;
DROP SCHEMA IF EXISTS "advise ""q"" %s" CASCADE;
DROP ROLE IF EXISTS regress_advise_a;
DROP ROLE IF EXISTS regress_advise_b;
RESET client_min_messages;
CREATE SCHEMA advise_errors;
SET search_path = advise_errors, public;
CREATE TABLE big AS SELECT i AS id, i % 5000 AS a, i % 7 AS b, 's' || i % 3000 AS c, repeat('f', 60) AS f
FROM generate_series(1, 20000) i;
VACUUM ANALYZE big;
SELECT coalesce(max(run_id), 0) AS last_run FROM hone.advisor_runs \gset

\set SHOW_CONTEXT always
\set VERBOSITY sqlstate
SELECT count(*) FROM hone.advise(NULL);
SELECT count(*) FROM hone.recommend_for(NULL);
SELECT count(*) FROM hone.recommend_for('{}');
SELECT count(*) FROM hone.recommend_for(ARRAY['SELECT 1', NULL]);
SELECT count(*) FROM hone.recommend_for(ARRAY['SELECT 1'], ARRAY[1, 2]::float8[]);
SELECT count(*) FROM hone.recommend_for(ARRAY['SELECT 1'], ARRAY[-1]::float8[]);
SELECT count(*) FROM hone.recommend_for(ARRAY['SELECT 1'], ARRAY['NaN']::float8[]);
SELECT count(*) FROM hone.recommend_for(ARRAY['SELECT 1'], ARRAY[NULL]::float8[]);
SELECT count(*) FROM hone.recommend_for(ARRAY['SELECT 1'], NULL, -1);
SELECT count(*) FROM hone.recommend_for(ARRAY['SELECT 1'], NULL, NULL, -1);
SELECT count(*) FROM hone.recommend(-1);
SELECT count(*) FROM hone.recommend(NULL, -1);
SELECT count(*) FROM hone.recommend_for(ARRAY['SELEC 1']);
SELECT count(*) FROM hone.recommend_for(ARRAY['']);
SELECT count(*) FROM hone.recommend_for(ARRAY['SELECT 1; SELECT 2']);
SELECT count(*) FROM hone.recommend_for(ARRAY['CREATE TABLE x ()']);
SELECT count(*) FROM hone.recommend_for(ARRAY['SELECT * FROM missing']);
SELECT count(*) FROM hone.advise('SELECT * FROM big WHERE a = $1', '{}');
SELECT count(*) FROM hone.advise('SELECT * FROM big WHERE a = $1', '{x}');
SELECT hone.dismiss(NULL, 'x');
SELECT hone.dismiss(-1, 'x');
SELECT hone.explain_recommendation(-1);
BEGIN READ ONLY;
SELECT count(*) FROM hone.recommend_for(ARRAY['SELECT 1']);
ROLLBACK;
-- advice stores nothing, so it may be had anywhere
BEGIN READ ONLY;
SELECT count(*) FROM hone.advise('SELECT * FROM big WHERE a = 5');
ROLLBACK;
\set VERBOSITY default
-- which statement it was, and where in it
SELECT count(*) FROM hone.recommend_for(ARRAY['SELECT 1', 'SELECT * FROM big WHERE nowhere = 5']);
SELECT count(*) FROM hone.recommend_for(ARRAY['SELECT 1'], NULL, -5);
\set SHOW_CONTEXT errors
-- nothing of that was stored
SELECT count(*) FROM hone.advisor_runs WHERE run_id > :last_run;

-- Privileges: what one may not read, one gets no advice on
CREATE ROLE regress_advise_a;
CREATE ROLE regress_advise_b;
GRANT USAGE ON SCHEMA advise_errors TO regress_advise_a, regress_advise_b;
SET ROLE regress_advise_a;
SELECT count(*) FROM hone.advise('SELECT * FROM big WHERE a = 5');
SELECT count(*) FROM hone.recommend();
SELECT count(*) FROM hone.recommendation_store;
SELECT hone.dismiss(1, 'x');
RESET ROLE;
GRANT EXECUTE ON FUNCTION hone.advise, hone.recommend_for, hone.dismiss TO regress_advise_a, regress_advise_b;
SET ROLE regress_advise_a;
SELECT count(*) FROM hone.advise('SELECT * FROM big WHERE a = 5');
RESET ROLE;
GRANT SELECT ON big TO regress_advise_a;
SET ROLE regress_advise_a;
SELECT definition FROM hone.recommend_for(ARRAY['SELECT * FROM big WHERE a = 5']);
SELECT max(id) AS mine FROM hone.recommendations \gset
RESET ROLE;
-- another one neither sees nor touches it; an owner does both, and not the query's text
SET ROLE regress_advise_b;
SELECT count(*) FROM hone.recommendations WHERE id = :mine;
SELECT count(*) FROM hone.recommendation_queries WHERE recommendation_id = :mine;
SELECT count(*) FROM hone.rejected_candidates r WHERE r.run_id > :last_run;
\set VERBOSITY sqlstate
SELECT hone.dismiss(:mine, 'x');
SELECT hone.explain_recommendation(:mine);
\set VERBOSITY default
RESET ROLE;
ALTER TABLE big OWNER TO regress_advise_b;
SET ROLE regress_advise_b;
SELECT count(*) FROM hone.recommendations WHERE id = :mine;
SELECT query, plan_before IS NULL AS hidden FROM hone.recommendation_queries WHERE recommendation_id = :mine;
SELECT hone.explain_recommendation(:mine) ~ 'a = 5' AS leaks;
SELECT hone.dismiss(:mine, 'no');
RESET ROLE;
SELECT status, dismiss_reason, requested_by FROM hone.recommendations WHERE id = :mine;
ALTER TABLE big OWNER TO CURRENT_USER;

-- Code of an ordinary role is not run with more than the caller's rights:
-- planning happens as who calls, index definitions are parsed under a safe path
CREATE FUNCTION whoami(int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS
$$ BEGIN
    IF current_user <> 'regress_advise_a' THEN RAISE 'run as %', current_user; END IF;
    RETURN $1;
END $$;
GRANT SELECT ON big TO regress_advise_a;
SET ROLE regress_advise_a;
SELECT definition FROM hone.advise('SELECT * FROM big WHERE a = whoami(5)');
RESET ROLE;
SELECT count(*) FROM hone.advise('SELECT * FROM big WHERE a = whoami(5)');

-- Names: quotes, percent signs, newlines, letters of all kinds, very long ones
CREATE SCHEMA "advise ""q"" %s";
CREATE TABLE "advise ""q"" %s"."t""; DROP TABLE x --
ünïcode %d" AS SELECT i AS "select", i % 5000 AS "a""b
c%s", repeat('f', 60) AS "über" FROM generate_series(1, 20000) i;
VACUUM ANALYZE "advise ""q"" %s"."t""; DROP TABLE x --
ünïcode %d";
CREATE TEMP TABLE hostile AS
SELECT * FROM hone.recommend_for(ARRAY['SELECT * FROM "advise ""q"" %s"."t""; DROP TABLE x --
ünïcode %d" WHERE "a""b
c%s" = 5 ORDER BY "select" DESC LIMIT 3', 'SELECT * FROM "advise ""q"" %s"."t""; DROP TABLE x --
ünïcode %d" WHERE upper("über") = ''x''']);
SELECT definition, undo_definition, octet_length(index_name) <= 63 AS fits FROM hostile ORDER BY id;
SELECT definition AS d FROM hostile ORDER BY id \gexec
SELECT undo_definition FROM hostile ORDER BY id \gexec
DROP TABLE hostile;

-- a name that is taken gets a number
CREATE VIEW big_a_idx AS SELECT 1;
SELECT index_name FROM hone.recommend_for(ARRAY['SELECT * FROM big WHERE a = 5']);

DELETE FROM hone.advisor_run_store WHERE run_id > :last_run;
SET client_min_messages = warning;
DROP SCHEMA advise_errors CASCADE;
DROP SCHEMA "advise ""q"" %s" CASCADE;
REVOKE EXECUTE ON FUNCTION hone.advise, hone.recommend_for, hone.dismiss FROM regress_advise_a, regress_advise_b;
DROP ROLE regress_advise_a;
DROP ROLE regress_advise_b;
