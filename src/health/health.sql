-- health: what is known about the indexes there are, and what is wrong with them.

-- Since when is an index not scanned, as far as can be known? Since its count of
-- scans last changed, or since it was first seen.
CREATE TABLE hone.index_use_store (
    index_oid  oid PRIMARY KEY,
    relid      oid NOT NULL,
    since      timestamptz NOT NULL,
    scans      bigint NOT NULL,
    first_seen timestamptz NOT NULL DEFAULT now(),
    last_used  timestamptz                 -- null: not while we looked
) WITH (fillfactor = 80);
COMMENT ON TABLE hone.index_use_store IS 'Since when the count of scans of each index has not changed';

CREATE TABLE hone.index_scan_store (
    index_oid oid NOT NULL,
    day       date NOT NULL,
    scans     bigint NOT NULL,
    PRIMARY KEY (index_oid, day)
) WITH (fillfactor = 80);
COMMENT ON TABLE hone.index_scan_store IS 'Scans of each index by day, of days that saw some';

-- The same of standbys, added up, as pg_hone.standby_index_use shows it.
CREATE TABLE hone.standby_use_store (
    index_oid oid PRIMARY KEY,
    since     timestamptz NOT NULL,
    scans     bigint NOT NULL,
    last_used timestamptz
) WITH (fillfactor = 80);
COMMENT ON TABLE hone.standby_use_store IS 'Since when the standbys'' count of scans of each index has not changed';

CREATE TABLE hone.standby_read_store (
    only_row bool PRIMARY KEY DEFAULT true CHECK (only_row),
    first_at timestamptz NOT NULL,
    read_at  timestamptz NOT NULL,
    indexes  bigint NOT NULL
);
COMMENT ON TABLE hone.standby_read_store IS 'When the standbys'' counts were read, first and last';

-- What the advisor's room finds out by asking the planner, and this one shows.

CREATE TABLE hone.planned_query_store (
    queryid    bigint NOT NULL,
    userid     oid NOT NULL,
    query      text,
    calls      float8,
    planned_at timestamptz,                -- null: known from the slow log only
    PRIMARY KEY (queryid, userid)
) WITH (fillfactor = 80);
COMMENT ON TABLE hone.planned_query_store IS 'Captured queries whose plans were looked at for the indexes they use';

CREATE TABLE hone.index_usage_store (
    index_oid  oid NOT NULL,
    queryid    bigint NOT NULL,
    userid     oid NOT NULL,
    planned_at timestamptz,                -- when the planner last chose it
    logged_at  timestamptz,                -- in the last logged plan
    PRIMARY KEY (index_oid, queryid, userid)
) WITH (fillfactor = 80);
COMMENT ON TABLE hone.index_usage_store IS 'Which captured queries use which index';

CREATE TABLE hone.slow_plan_store (
    only_row bool PRIMARY KEY DEFAULT true CHECK (only_row),
    read_to  bigint NOT NULL
);
COMMENT ON TABLE hone.slow_plan_store IS 'Up to which entry the slow log''s plans were looked at';

CREATE TABLE hone.index_cost_store (
    index_oid   oid PRIMARY KEY,
    noted_at    timestamptz NOT NULL,
    write_cost  float8 NOT NULL,
    entries     float8 NOT NULL,
    hot_lost    float8 NOT NULL
) WITH (fillfactor = 80);
COMMENT ON TABLE hone.index_cost_store IS 'What keeping each index costs the captured writes, in planner units';

CREATE TABLE hone.index_size_store (
    index_oid       oid PRIMARY KEY,
    filenode        oid NOT NULL,          -- an index built anew has another one
    noted_at        timestamptz NOT NULL,
    size_bytes      bigint NOT NULL,
    estimated_bytes bigint                 -- freshly built; null: not to be said
) WITH (fillfactor = 80);
COMMENT ON TABLE hone.index_size_store IS 'How large indexes are, and would be when built anew';

CREATE TABLE hone.index_examination_store (
    index_oid   oid PRIMARY KEY,
    relid       oid NOT NULL,
    indexes     oid[] NOT NULL,            -- of the table, then: with others it is another question
    examined_at timestamptz NOT NULL,
    safe        bool,
    statements  int NOT NULL,
    worse       text[] NOT NULL,
    reason      text NOT NULL
) WITH (fillfactor = 80);
COMMENT ON TABLE hone.index_examination_store IS 'What planning without an index has shown';

CREATE FUNCTION hone.unused_index_age() RETURNS interval
LANGUAGE C STRICT STABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'hone_unused_index_age';
COMMENT ON FUNCTION hone.unused_index_age() IS
'pg_hone.unused_index_age, known also where the library was not loaded yet';

CREATE FUNCTION hone.index_covers(wide oid, narrow oid) RETURNS text
LANGUAGE C STRICT STABLE PARALLEL RESTRICTED
AS 'MODULE_PATHNAME', 'hone_index_covers';
COMMENT ON FUNCTION hone.index_covers(oid, oid) IS
'"redundant" when the first index does all that the second one does, "duplicate" when the reverse is also true; null otherwise, or when one of them is locked';

CREATE FUNCTION hone.relation_bytes(relation oid) RETURNS bigint
LANGUAGE C STRICT VOLATILE PARALLEL RESTRICTED
AS 'MODULE_PATHNAME', 'hone_relation_bytes';
COMMENT ON FUNCTION hone.relation_bytes(oid) IS
'The size of a relation without waiting for who locks it';

CREATE FUNCTION hone.leading_columns(indkey int2vector, nkeys int, columns int2[]) RETURNS int
LANGUAGE C STRICT IMMUTABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'hone_leading_columns';
COMMENT ON FUNCTION hone.leading_columns(int2vector, int, int2[]) IS
'How many keys of an index, from the first one on, are among these columns';

CREATE FUNCTION hone.standby_index_use(OUT index_oid oid, OUT scans bigint, OUT last_used timestamptz)
RETURNS SETOF record
LANGUAGE C STRICT VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'hone_standby_index_use';
COMMENT ON FUNCTION hone.standby_index_use() IS
'The standbys'' counts of scans, from the relation that pg_hone.standby_index_use names';

CREATE FUNCTION hone.collect_index_use() RETURNS bigint
LANGUAGE plpgsql VOLATILE STRICT PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
SET lock_timeout = '5s'
AS $$
DECLARE
    -- 16 and later say when the last scan was; 15 only that there was one.
    last_scan text := CASE WHEN to_regprocedure('pg_catalog.pg_stat_get_lastscan(oid)') IS NOT NULL
                           THEN 'pg_stat_get_lastscan(i.indexrelid)'
                           ELSE 'NULL::timestamptz' END;
    changed bigint;
BEGIN
    IF pg_is_in_recovery() THEN
        RETURN 0;
    END IF;
    DELETE FROM hone.index_use_store u
    WHERE NOT EXISTS (SELECT FROM pg_index i WHERE i.indexrelid = u.index_oid AND i.indrelid = u.relid);
    DELETE FROM hone.index_scan_store d
    WHERE d.day < current_date - 400
       OR NOT EXISTS (SELECT FROM hone.index_use_store u WHERE u.index_oid = d.index_oid);

    -- A count that went back was reset: what is there now came after that. When
    -- the last scan was before that nobody knows, so it may have been just then.
    EXECUTE format($sql$
    WITH now_is AS MATERIALIZED (
        SELECT i.indexrelid, i.indrelid, pg_stat_get_numscans(i.indexrelid) AS scans, %s AS last_scan
        FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid
        WHERE c.oid >= 16384 AND c.relkind IN ('r', 'm') AND c.relpersistence <> 't'
          AND c.relnamespace <> 'hone'::regnamespace
    ), more AS (
        SELECT n.indexrelid, CASE WHEN n.scans >= u.scans THEN n.scans - u.scans ELSE n.scans END AS scans
        FROM now_is n JOIN hone.index_use_store u ON u.index_oid = n.indexrelid
        WHERE n.scans <> u.scans AND n.scans > 0
    ), counted AS (
        INSERT INTO hone.index_scan_store AS d
        SELECT m.indexrelid, current_date, m.scans FROM more m WHERE m.scans > 0
        ORDER BY m.indexrelid
        ON CONFLICT (index_oid, day) DO UPDATE SET scans = d.scans + excluded.scans
    )
    INSERT INTO hone.index_use_store AS u (index_oid, relid, since, scans, first_seen, last_used)
    SELECT n.indexrelid, n.indrelid, clock_timestamp(), n.scans, clock_timestamp(), n.last_scan
    FROM now_is n
    ORDER BY n.indexrelid
    ON CONFLICT (index_oid) DO UPDATE
    SET since = excluded.since, scans = excluded.scans,
        last_used = CASE WHEN excluded.scans = 0 THEN u.last_used
                         ELSE coalesce(excluded.last_used, excluded.since) END
    WHERE u.scans <> excluded.scans$sql$, last_scan);
    GET DIAGNOSTICS changed = ROW_COUNT;
    RETURN changed;
END
$$;
COMMENT ON FUNCTION hone.collect_index_use() IS
'Notes which indexes were scanned; returns for how many that was new';

CREATE FUNCTION hone.collect_standby_index_use() RETURNS bigint
LANGUAGE plpgsql VOLATILE STRICT PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
SET lock_timeout = '5s'
AS $$
DECLARE
    age interval := hone.unused_index_age();    -- loads the library, and with it the setting
    at timestamptz := clock_timestamp();
    changed bigint;
    seen bigint;
BEGIN
    IF pg_is_in_recovery() THEN
        RETURN 0;
    END IF;
    IF current_setting('pg_hone.standby_index_use') = '' THEN
        DELETE FROM hone.standby_use_store;
        DELETE FROM hone.standby_read_store;
        RETURN 0;
    END IF;
    WITH now_is AS MATERIALIZED (
        SELECT s.index_oid, coalesce(s.scans, 0) AS scans, s.last_used
        FROM hone.standby_index_use() s
             JOIN pg_index i ON i.indexrelid = s.index_oid
        WHERE s.index_oid >= 16384
    ), stored AS (
        INSERT INTO hone.standby_use_store AS u
        SELECT n.index_oid, at, n.scans, n.last_used FROM now_is n
        ORDER BY n.index_oid
        ON CONFLICT (index_oid) DO UPDATE
        SET since = excluded.since, scans = excluded.scans,
            last_used = CASE WHEN excluded.scans = 0 THEN u.last_used
                             ELSE coalesce(excluded.last_used, excluded.since) END
        WHERE u.scans <> excluded.scans
        RETURNING 1
    )
    SELECT (SELECT count(*) FROM stored), (SELECT count(*) FROM now_is) INTO changed, seen;
    DELETE FROM hone.standby_use_store u
    WHERE NOT EXISTS (SELECT FROM pg_index i WHERE i.indexrelid = u.index_oid);
    INSERT INTO hone.standby_read_store AS r VALUES (true, at, at, seen)
    ON CONFLICT (only_row) DO UPDATE SET read_at = excluded.read_at, indexes = excluded.indexes;
    RETURN changed;
END
$$;
COMMENT ON FUNCTION hone.collect_standby_index_use() IS
'Reads the standbys'' counts of index scans; returns for how many indexes they were new';
