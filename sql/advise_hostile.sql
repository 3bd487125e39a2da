SET client_min_messages = warning; CREATE EXTENSION IF NOT EXISTS pg_hone; RESET client_min_messages;

-- A captured statement whose planning runs its role's own slow function leaves
-- the run; the run ends.
CREATE ROLE advise_hostile;
CREATE SCHEMA advise_hostile AUTHORIZATION advise_hostile;
SET ROLE advise_hostile;
CREATE TABLE advise_hostile.t (a int, b int);
INSERT INTO advise_hostile.t SELECT i, i FROM generate_series(1, 20000) i;
CREATE TABLE advise_hostile.slow (seconds float8);
INSERT INTO advise_hostile.slow VALUES (0);
CREATE FUNCTION advise_hostile.one() RETURNS int IMMUTABLE LANGUAGE plpgsql AS
$$ BEGIN PERFORM pg_sleep(s.seconds) FROM advise_hostile.slow s; RETURN 1; END $$;
SELECT count(*) FROM advise_hostile.t WHERE a = advise_hostile.one();
ANALYZE advise_hostile.t;
UPDATE advise_hostile.slow SET seconds = 600;
RESET ROLE;
SET pg_hone.advisor_time_limit = '4s';
SET statement_timeout = '20s';
SELECT count(*) >= 0 AS ended FROM hone.recommend();
SELECT DISTINCT s ->> 'reason' AS reason
FROM hone.advisor_runs r CROSS JOIN jsonb_array_elements(r.skipped) s
WHERE r.run_id = (SELECT max(run_id) FROM hone.advisor_runs)
  AND s ->> 'role' = 'advise_hostile' AND s ->> 'reason' LIKE 'planning%';
RESET statement_timeout;
RESET pg_hone.advisor_time_limit;
SET client_min_messages = warning;
DROP SCHEMA advise_hostile CASCADE;
DROP ROLE advise_hostile;
