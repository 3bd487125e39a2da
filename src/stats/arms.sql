-- Trials: executions of plans that were made while an index is on trial, by who
-- saw it. Counted in memory; whoever makes the trial keeps what it is worth.

CREATE FUNCTION hone.trial_executions_memory(
    texts bool DEFAULT false,
    OUT trial bigint, OUT queryid bigint, OUT userid oid, OUT block int, OUT visible bool,
    OUT executions bigint, OUT cancels bigint, OUT used bigint, OUT rows bigint,
    OUT total_exec_ms float8, OUT mean_log_ms float8, OUT var_log_ms float8,
    OUT total_blocks bigint, OUT mean_log_blocks float8, OUT var_log_blocks float8,
    OUT wal_bytes bigint, OUT query text)
RETURNS SETOF record
LANGUAGE C STRICT VOLATILE PARALLEL RESTRICTED
AS 'MODULE_PATHNAME', 'hone_trial_executions_memory';
COMMENT ON FUNCTION hone.trial_executions_memory(bool) IS
'The rows of hone.trial_executions, with texts of queries only if they are asked for';

CREATE VIEW hone.trial_executions WITH (security_barrier) AS
SELECT t.trial, t.queryid, t.userid, r.rolname AS username, t.query, t.block, t.visible,
       t.executions, t.cancels, t.used, t.rows,
       t.total_exec_ms, t.mean_log_ms, t.var_log_ms,
       t.total_blocks, t.mean_log_blocks, t.var_log_blocks, t.wal_bytes
FROM hone.trial_executions_memory(texts => true) t
     LEFT JOIN pg_catalog.pg_roles r ON r.oid OPERATOR(pg_catalog.=) t.userid;
COMMENT ON VIEW hone.trial_executions IS
'Executions of this database''s queries while an index is on trial (the number is its action''s), by whether the planner saw it, in blocks of backends; used: how many of their plans read it; logarithms are of milliseconds and of 1 + blocks read or hit, variances those of a sample; cancelled executions count with the time they took, failed ones do not';

CREATE FUNCTION hone.forget_trial(trial bigint) RETURNS void
LANGUAGE C STRICT VOLATILE PARALLEL RESTRICTED
AS 'MODULE_PATHNAME', 'hone_forget_trial';
COMMENT ON FUNCTION hone.forget_trial(bigint) IS
'Forgets at once what was counted for a trial of this database';
