-- Use "CREATE EXTENSION pg_hone" to load this file.
\echo Use "CREATE EXTENSION pg_hone" to load this file. \quit

-- Made here, and not adopted: an error if somebody already owns a schema of
-- this name, whose objects ours could be mistaken for.
CREATE SCHEMA hone;
COMMENT ON SCHEMA hone IS 'pg_hone: tunes queries and indexes from inside the server';
GRANT USAGE ON SCHEMA hone TO PUBLIC;
