SET client_min_messages = warning; CREATE EXTENSION IF NOT EXISTS pg_hone; RESET client_min_messages;

-- Under row security the size of a partial index does not tell how often a
-- value occurs in rows that the caller may not see.
CREATE ROLE whatif_policies_reader;
GRANT USAGE ON SCHEMA hone TO whatif_policies_reader;
GRANT EXECUTE ON FUNCTION hone.what_if(text, text[], regclass[], text[]) TO whatif_policies_reader;
CREATE TABLE whatif_policies (id int, code int, keeper name);
INSERT INTO whatif_policies
SELECT i, CASE WHEN i % 3 = 0 THEN 42 ELSE i END, 'somebody' FROM generate_series(1, 20000) i;
ANALYZE whatif_policies;
ALTER TABLE whatif_policies ENABLE ROW LEVEL SECURITY;
CREATE POLICY keeper ON whatif_policies USING (keeper = current_user);
GRANT SELECT ON whatif_policies TO whatif_policies_reader;

CREATE FUNCTION whatif_policies_size(predicate text) RETURNS bigint LANGUAGE sql AS
$$ SELECT size_bytes FROM hone.what_if('SELECT 1',
   ARRAY['CREATE INDEX ON whatif_policies (id) WHERE ' || predicate]) $$;

SELECT whatif_policies_size('code = 42') > 5 * whatif_policies_size('code = 43') AS owner_is_told;
SET ROLE whatif_policies_reader;
SELECT whatif_policies_size('code = 42') = whatif_policies_size('code = 43') AS equality_is_not_told,
       whatif_policies_size('code < 100') = whatif_policies_size('code < 10000') AS range_is_not_told;
RESET ROLE;

DROP FUNCTION whatif_policies_size(text);
DROP TABLE whatif_policies;
REVOKE ALL ON FUNCTION hone.what_if(text, text[], regclass[], text[]) FROM whatif_policies_reader;
REVOKE ALL ON SCHEMA hone FROM whatif_policies_reader;
DROP ROLE whatif_policies_reader;
