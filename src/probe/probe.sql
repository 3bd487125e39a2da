-- probe: what capturing takes inside other people's statements

CREATE FUNCTION hone.capture_cost(
    OUT measured_statements bigint, OUT estimated_ms float8)
LANGUAGE C STRICT VOLATILE PARALLEL RESTRICTED
AS 'MODULE_PATHNAME', 'hone_capture_cost';
COMMENT ON FUNCTION hone.capture_cost() IS
'Time that capturing took inside statements since the server started, estimated from one top level statement in 1,024';

