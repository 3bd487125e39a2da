-- advise: what was built and taken back again, because it was measured to be no
-- gain. apply writes it (hone.ban_index), the advisor reads it (ban.c).

-- What makes two definitions one index to the advisor: INCLUDE and storage
-- parameters aside. The text is cut, not parsed: it must be as the server writes
-- it, which recommended definitions are.
CREATE FUNCTION hone.index_identity(definition text,
    OUT table_name text, OUT access_method text, OUT key_columns text, OUT predicate text,
    OUT body text)
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'hone_index_identity';
COMMENT ON FUNCTION hone.index_identity(text) IS
'The parts of CREATE INDEX that make it what it is: table, access method, keys and predicate (empty: none); body is what follows the table';

CREATE TABLE hone.ban_store (
    id              bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    action          text NOT NULL CHECK (action IN ('create', 'drop')),
    relid           oid NOT NULL,
    table_name      text NOT NULL,     -- as it was then; qualified and quoted
    access_method   text NOT NULL,
    key_columns     text NOT NULL,
    predicate       text NOT NULL,     -- empty: none
    definition      text NOT NULL,     -- the last one that was taken back
    reverted_at     timestamptz NOT NULL,
    until           timestamptz NOT NULL,
    times           int NOT NULL CHECK (times > 0),
    finding         text NOT NULL,     -- what was measured, in words; names no statement
    measured_gain   float8,            -- share of time that it saved; below zero: cost
    evidence        jsonb NOT NULL,    -- an array: what was measured each time
    recommendations bigint[] NOT NULL, -- that it comes from
    lifted_at       timestamptz,
    lifted_by       oid
);
CREATE UNIQUE INDEX ban_store_identity ON hone.ban_store
    (relid, action, access_method, md5(key_columns), md5(predicate));
COMMENT ON TABLE hone.ban_store IS 'Changes that were tried and taken back, and until when they are not proposed again';

CREATE VIEW hone.bans WITH (security_barrier) AS
SELECT b.id, b.action, b.table_name, b.definition, b.reverted_at, b.until, b.times,
       b.until OPERATOR(pg_catalog.>) pg_catalog.now() AS active,
       b.finding, b.measured_gain, b.evidence, b.lifted_at,
       pg_catalog.pg_get_userbyid(b.lifted_by) AS lifted_by
FROM hone.ban_store b
WHERE pg_catalog.pg_has_role('pg_read_all_stats', 'USAGE')
   OR EXISTS (SELECT FROM pg_catalog.pg_class c
              WHERE c.oid OPERATOR(pg_catalog.=) b.relid
                AND pg_catalog.pg_has_role(c.relowner, 'USAGE'));
COMMENT ON VIEW hone.bans IS
'Changes that a trial took back, with what was measured: not proposed again until then, and mistrusted after; for the table''s owner and pg_read_all_stats';

CREATE FUNCTION hone.lift_ban(id bigint) RETURNS void
LANGUAGE C VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'hone_lift_ban';
COMMENT ON FUNCTION hone.lift_ban(bigint) IS
'Ends a ban, so that the advisor may propose the change again; what was measured stays on record';
