SET client_min_messages = warning; CREATE EXTENSION IF NOT EXISTS pg_hone;
CREATE SCHEMA recent_privileges;
CREATE ROLE regress_recent_owner;
CREATE ROLE regress_recent_other;
CREATE ROLE regress_recent_member IN ROLE regress_recent_owner;
RESET client_min_messages;
GRANT USAGE ON SCHEMA recent_privileges TO PUBLIC;
SET search_path = recent_privileges, public;
CREATE TABLE src (id int PRIMARY KEY, at timestamptz);
CREATE TABLE secret (id int PRIMARY KEY, at timestamptz);
INSERT INTO src VALUES (1, now());
INSERT INTO secret VALUES (1, now());
GRANT SELECT ON src TO regress_recent_owner;

-- Nobody may call any of it unless it was granted.
SELECT p.oid::regprocedure
FROM pg_proc p JOIN pg_namespace n ON n.oid = pronamespace
WHERE nspname = 'hone' AND proname ~ 'feed|recent' AND has_function_privilege('regress_recent_other', p.oid, 'EXECUTE');
SET ROLE regress_recent_owner;
SELECT hone.create_feed('f');
RESET ROLE;
DO $$
DECLARE
	f regprocedure;
BEGIN
	FOR f IN SELECT p.oid FROM pg_proc p JOIN pg_namespace n ON n.oid = pronamespace
		WHERE nspname = 'hone' AND proname ~ 'feed|recent'
	LOOP
		EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO regress_recent_owner, regress_recent_other', f);
	END LOOP;
END $$;

-- It takes CREATE on the schema and SELECT on the source.
SET ROLE regress_recent_owner;
SELECT hone.create_feed('f', schema => 'recent_privileges');
RESET ROLE;
GRANT CREATE ON SCHEMA recent_privileges TO regress_recent_owner;
SET ROLE regress_recent_owner;
SELECT hone.create_feed('f', mode => 'stored', schema => 'recent_privileges');
SELECT hone.add_feed_source('f', 'secret', 's', 'at', 'id');
SELECT hone.add_feed_source('f', 'src', 's', 'at', 'id');
SELECT count(*) FROM hone.build_feed('f');
SELECT relname, relkind, pg_get_userbyid(relowner) FROM pg_class WHERE relname IN ('f', 'f_live') ORDER BY 1;
SELECT outcome, rows FROM hone.refresh_feed('f');
-- A superuser's call makes and fills it as its owner, too.
RESET ROLE;
CREATE FUNCTION who(int) RETURNS text LANGUAGE sql STABLE AS $$ SELECT current_user::text $$;
SET ROLE regress_recent_owner;
SELECT hone.create_feed('g', mode => 'stored', schema => 'recent_privileges');
SELECT hone.add_feed_source('g', 'src', 's', 'at', 'recent_privileges.who(id)');
RESET ROLE;
SELECT count(*) FROM hone.build_feed('g');
SELECT relname, pg_get_userbyid(relowner) FROM pg_class WHERE relname IN ('g', 'g_live') ORDER BY 1;
SELECT title FROM g;
SELECT outcome FROM hone.refresh_feed('g', true);
SELECT title FROM g;
-- What a superuser may read, the feed's owner may not.
SELECT hone.add_feed_source('g', 'secret', 's', 'at', 'id');
-- One who has the owner's privileges may do what the owner may.
SET ROLE regress_recent_member;
SELECT outcome, rows FROM hone.refresh_feed('f');
SELECT feed, owner FROM hone.feed_status ORDER BY 1;

-- Others may not, and do not see it.
SET ROLE regress_recent_other;
SELECT hone.add_feed_source('f', 'src', 's', 'at', 'id');
SELECT hone.build_feed('f');
SELECT hone.refresh_feed('f');
SELECT hone.verify_feed('f');
SELECT hone.drop_feed('f');
SELECT hone.feed_failed('f', 'x');
SELECT * FROM hone.refresh_feeds();
SELECT count(*) FROM hone.feed_status;
SELECT count(*) FROM hone.feed_sources;
SELECT count(*) FROM hone.feed_store;
SELECT count(*) FROM hone.feed_source_store;
RESET ROLE;
GRANT pg_read_all_stats TO regress_recent_other;
SET ROLE regress_recent_other;
SELECT feed, owner FROM hone.feed_status ORDER BY 1;
SELECT count(*) FROM f;

-- The right to read a source can be taken back.
RESET ROLE;
REVOKE SELECT ON src FROM regress_recent_owner;
SELECT hone.refresh_feed('f');
SELECT hone.build_feed('f');
SET ROLE regress_recent_owner;
SELECT hone.drop_feed('f');
SELECT hone.drop_feed('g');
RESET ROLE;

SET client_min_messages = warning;
DROP SCHEMA recent_privileges CASCADE;
DROP EXTENSION pg_hone;
CREATE EXTENSION pg_hone;
DROP ROLE regress_recent_owner, regress_recent_other, regress_recent_member;
