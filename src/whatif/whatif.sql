
-- whatif: planning a statement as if other indexes existed.

CREATE FUNCTION hone.what_if(
    statement text,
    create_indexes text[],
    hide_indexes regclass[] DEFAULT NULL,
    parameters text[] DEFAULT NULL,
    OUT cost_before float8,
    OUT cost_after float8,
    OUT plan_before jsonb,
    OUT plan_after jsonb,
    OUT indexes_used text[],
    OUT size_bytes bigint)
RETURNS record
AS 'MODULE_PATHNAME', 'hone_what_if'
LANGUAGE C VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE;
COMMENT ON FUNCTION hone.what_if(text, text[], regclass[], text[]) IS
'plans a statement as the caller, without and with the indexes of create_indexes and without those of hide_indexes; nothing is built or run. '
'parameters are the values of $1..$n as text; NULL plans for any value. '
'size_bytes is the estimated size of all the indexes imagined, indexes_used names those that the plan uses. '
'Planning can be heavy, so EXECUTE is for the administrator to grant';
