SET client_min_messages = warning; CREATE EXTENSION IF NOT EXISTS pg_hone; RESET client_min_messages;

-- Without pg_hone.capture_parameters no value is kept, in plans neither.
CREATE TABLE slowlog_parameters_off (v text);
SET pg_hone.slow_query_ms = 0;
SET pg_hone.slow_plan_ms = 0;
SET pg_hone.slow_query_rate_limit = 0;
SET pg_hone.capture_parameters = off;
PREPARE slowlog_parameters_off(text) AS
    SELECT count(*) FROM slowlog_parameters_off WHERE v = $1;
EXECUTE slowlog_parameters_off(md5('hidden by'));
DO $$
DECLARE
    value text := md5('hidden by');
BEGIN
    PERFORM count(*) FROM slowlog_parameters_off WHERE v = value;
END
$$;
SELECT count(*) FROM slowlog_parameters_off WHERE v IS NULL;
SET pg_hone.slow_query_ms = -1;
SELECT count(*) >= 3 AS entries,
       bool_or(plan IS NOT NULL) AS a_plan_without_parameters,
       bool_or((plan::text LIKE '%' || md5('hidden by') || '%') IS TRUE
               OR (parameters::text LIKE '%' || md5('hidden by') || '%') IS TRUE
               OR query LIKE '%' || md5('hidden by') || '%') AS a_value
FROM hone.slow_queries WHERE query LIKE '%FROM slowlog\_parameters\_off WHERE v %';
DEALLOCATE slowlog_parameters_off;
DROP TABLE slowlog_parameters_off;
