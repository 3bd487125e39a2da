-- health: the view of what is wrong, and of who uses what.
--
-- Cheap to read: catalogs, the server's counters and what was stored; nothing is
-- planned, and an index is looked at closely only where another one on its table
-- begins alike. Nothing in it is anybody's secret: names, sizes and counts are
-- what the catalogs show everybody, queries are named by their queryid only.

CREATE VIEW hone.index_usage WITH (security_barrier) AS
SELECT quote_ident(n.nspname) || '.' || quote_ident(ic.relname) AS index_name,
       quote_ident(tn.nspname) || '.' || quote_ident(tc.relname) AS table_name,
       u.queryid,
       CASE WHEN pg_has_role(u.userid, 'USAGE') OR pg_has_role('pg_read_all_stats', 'USAGE')
            THEN q.query ELSE '<insufficient privilege>' END AS query,
       r.rolname AS username,
       q.calls,
       greatest(u.planned_at, u.logged_at) AS last_seen,
       CASE WHEN u.planned_at IS NULL THEN 'slow log'
            WHEN u.logged_at IS NULL THEN 'planner' ELSE 'both' END AS seen_by,
       u.index_oid
FROM hone.index_usage_store u
     JOIN pg_index i ON i.indexrelid = u.index_oid
     JOIN pg_class ic ON ic.oid = i.indexrelid
     JOIN pg_namespace n ON n.oid = ic.relnamespace
     JOIN pg_class tc ON tc.oid = i.indrelid
     JOIN pg_namespace tn ON tn.oid = tc.relnamespace
     LEFT JOIN hone.planned_query_store q ON q.queryid = u.queryid AND q.userid = u.userid
     LEFT JOIN pg_roles r ON r.oid = u.userid;
COMMENT ON VIEW hone.index_usage IS
'Which captured queries use which index: by the plan that the planner makes for their samples now, or by the plans in the slow log';

CREATE VIEW hone.index_scan_history WITH (security_barrier) AS
SELECT quote_ident(n.nspname) || '.' || quote_ident(ic.relname) AS index_name,
       quote_ident(tn.nspname) || '.' || quote_ident(tc.relname) AS table_name,
       d.day, d.scans, d.index_oid
FROM hone.index_scan_store d
     JOIN pg_index i ON i.indexrelid = d.index_oid
     JOIN pg_class ic ON ic.oid = i.indexrelid
     JOIN pg_namespace n ON n.oid = ic.relnamespace
     JOIN pg_class tc ON tc.oid = i.indrelid
     JOIN pg_namespace tn ON tn.oid = tc.relnamespace;
COMMENT ON VIEW hone.index_scan_history IS
'Scans of each index by day, for 400 days; days without any have no row';

-- One row for each index of a user: what it is, which other one makes it
-- superfluous, and what it must stay for.
CREATE VIEW hone.index_facts WITH (security_barrier) AS
WITH idx AS MATERIALIZED (
    SELECT i.indexrelid, i.indrelid, i.indkey, i.indnkeyatts::int AS nkeys, i.indpred IS NOT NULL AS partial,
           i.indisunique, i.indisprimary, i.indisexclusion, i.indisclustered, i.indisreplident,
           i.indisvalid AND i.indisready AND i.indislive AS usable, i.indisvalid, i.indislive,
           c.relname, c.relnamespace, c.relkind, c.relam, c.relispartition, c.relfilenode,
           t.relname AS table_relname, t.relkind AS table_relkind, t.relpages AS table_pages,
           t.relnamespace = 'pg_toast'::regnamespace AS toast,
           quote_ident(n.nspname) || '.' || quote_ident(c.relname) AS index_name,
           quote_ident(tn.nspname) || '.' || quote_ident(t.relname) AS table_name
    FROM pg_index i
         JOIN pg_class c ON c.oid = i.indexrelid
         JOIN pg_namespace n ON n.oid = c.relnamespace
         JOIN pg_class t ON t.oid = i.indrelid
         JOIN pg_namespace tn ON tn.oid = t.relnamespace
    WHERE i.indrelid >= 16384 AND c.relpersistence <> 't'
      AND t.relnamespace NOT IN ('pg_catalog'::regnamespace, 'information_schema'::regnamespace,
                                 'hone'::regnamespace)
), con AS MATERIALIZED (
    SELECT c.conindid AS indexrelid,
           max(c.conname) FILTER (WHERE c.contype IN ('p', 'u', 'x')) AS own,
           max(c.conname) FILTER (WHERE c.contype = 'f') AS referring
    FROM pg_constraint c
    WHERE c.conindid <> 0
    GROUP BY c.conindid
), fkey AS MATERIALIZED (
    SELECT c.oid, c.conname, c.conrelid, c.confrelid, c.conkey, c.conparentid
    FROM pg_constraint c WHERE c.contype = 'f'
), support AS MATERIALIZED (
    -- by which index the server would look for rows that refer to a key
    SELECT f.oid AS conoid, f.conname, f.conrelid, f.conkey, x.indexrelid, x.relispartition,
           hone.leading_columns(x.indkey, x.nkeys, f.conkey) AS leading, x.nkeys, x.indisunique
    FROM fkey f JOIN idx x ON x.indrelid = f.conrelid
    WHERE x.usable AND NOT x.partial AND x.relam IN (403, 405) AND x.indkey[0] = ANY (f.conkey)
), pair AS MATERIALIZED (
    SELECT n.indexrelid AS narrow, w.indexrelid AS wide, hone.index_covers(w.indexrelid, n.indexrelid) AS how
    FROM idx n JOIN idx w ON w.indrelid = n.indrelid AND w.indexrelid <> n.indexrelid
    WHERE NOT n.relispartition AND NOT n.toast AND NOT n.indisexclusion AND n.indislive
      AND w.usable AND w.nkeys >= n.nkeys AND w.partial = n.partial
      AND (w.relam = n.relam OR n.relam = 405)
      AND (w.indkey[0] = n.indkey[0] OR n.relam NOT IN (403, 405, 783))
), weight AS MATERIALIZED (
    -- of two that do the same, the one to keep comes first
    SELECT x.indexrelid,
           ROW(NOT x.usable, NOT x.indisprimary, k.own IS NULL, NOT x.indisreplident, k.referring IS NULL,
               NOT x.relispartition, NOT x.indisclustered, NOT x.indisunique,
               CASE WHEN x.relkind = 'i' THEN hone.relation_bytes(x.indexrelid) ELSE 0 END, x.indexrelid) AS place
    FROM idx x LEFT JOIN con k ON k.indexrelid = x.indexrelid
    WHERE x.indexrelid IN (SELECT narrow FROM pair WHERE how IS NOT NULL
                           UNION SELECT wide FROM pair WHERE how IS NOT NULL)
), covered AS MATERIALIZED (
    SELECT p.narrow, p.wide, p.how, w.place
    FROM pair p
         JOIN weight n ON n.indexrelid = p.narrow
         JOIN weight w ON w.indexrelid = p.wide
    WHERE p.how = 'redundant' OR (p.how = 'duplicate' AND w.place < n.place)
), superfluous AS MATERIALIZED (
    SELECT DISTINCT ON (c.narrow) c.narrow AS indexrelid, c.wide, c.how
    FROM covered c
    ORDER BY c.narrow, c.wide IN (SELECT narrow FROM covered), c.how, c.place
), extended AS MATERIALIZED (
    SELECT d.objid FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.deptype = 'e'
), supporting AS MATERIALIZED (
    -- the one index of each foreign key that is to stay
    SELECT DISTINCT ON (s.conoid) s.indexrelid, s.conname
    FROM support s LEFT JOIN superfluous x ON x.indexrelid = s.indexrelid
    ORDER BY s.conoid, s.leading DESC, x.indexrelid IS NOT NULL, s.indisunique DESC, s.nkeys, s.indexrelid
)
SELECT x.*, k.own AS constraint_name, s.wide, s.how,
       array_remove(ARRAY[
               CASE WHEN k.own IS NOT NULL THEN format('it backs the constraint %I', k.own) END,
               CASE WHEN k.own IS NULL AND k.referring IS NOT NULL
                    THEN format('the foreign key %I refers to it', k.referring) END,
               CASE WHEN x.indisunique AND x.usable AND k.own IS NULL AND s.how IS NULL
                    THEN 'it keeps values unique' END,
               CASE WHEN x.indisreplident THEN 'it is the replica identity of the table' END,
               CASE WHEN x.indisclustered THEN 'the table is clustered on it' END,
               CASE WHEN x.relispartition THEN 'it is a partition of another index' END,
               CASE WHEN f.conname IS NOT NULL
                    THEN format('the foreign key %I is checked by it', f.conname) END,
               CASE WHEN EXISTS (SELECT FROM extended d WHERE d.objid = x.indexrelid)
                         OR EXISTS (SELECT FROM extended d WHERE d.objid = x.indrelid)
                    THEN 'it belongs to an extension' END], NULL) AS guards
FROM idx x
         LEFT JOIN superfluous s ON s.indexrelid = x.indexrelid
         LEFT JOIN con k ON k.indexrelid = x.indexrelid
         LEFT JOIN (SELECT s.indexrelid, min(s.conname) AS conname FROM supporting s GROUP BY s.indexrelid) f
                ON f.indexrelid = x.indexrelid;
COMMENT ON VIEW hone.index_facts IS
'Each index: what it is, which other one does all that it does, and what it has to stay for';

CREATE VIEW hone.index_problems WITH (security_barrier) AS
WITH idx AS MATERIALIZED (
    SELECT * FROM hone.index_facts
), settings AS MATERIALIZED (
    SELECT hone.unused_index_age() AS age
), standby AS MATERIALIZED (
    SELECT current_setting('pg_hone.standby_index_use', true) AS named,
           r.first_at, r.read_at, r.read_at > now() - interval '1 day' AS fresh
    FROM settings s LEFT JOIN hone.standby_read_store r ON s.age IS NOT NULL
), leaf AS MATERIALIZED (
    SELECT x.indexrelid, x.indexrelid AS leaf FROM idx x WHERE x.relkind = 'i'
    UNION ALL
    SELECT x.indexrelid, t.relid
    FROM idx x CROSS JOIN LATERAL pg_partition_tree(x.indexrelid) t
    WHERE x.relkind = 'I' AND t.isleaf AND t.relid <> x.indexrelid
), used AS MATERIALIZED (
    SELECT l.indexrelid,
           sum(pg_stat_get_numscans(l.leaf))::bigint AS scans,
           max(greatest(u.last_used, b.last_used)) AS last_used,
           max(greatest(u.since, b.since)) AS unused_since,
           min(u.first_seen) AS first_seen,
           sum(coalesce(b.scans, 0))::bigint AS standby_scans,
           bool_and(u.index_oid IS NOT NULL AND u.scans = pg_stat_get_numscans(l.leaf)) AS quiet
    FROM leaf l
         LEFT JOIN hone.index_use_store u ON u.index_oid = l.leaf
         LEFT JOIN hone.standby_use_store b ON b.index_oid = l.leaf
    GROUP BY l.indexrelid
), captured AS MATERIALIZED (
    SELECT l.indexrelid, count(*) AS queries
    FROM hone.index_usage_store u
         JOIN leaf l ON l.leaf = u.index_oid
         CROSS JOIN settings s
    WHERE greatest(u.planned_at, u.logged_at) > now() - greatest(s.age, interval '1 day')
    GROUP BY l.indexrelid
), cost AS MATERIALIZED (
    SELECT l.indexrelid, sum(c.write_cost) AS write_cost, sum(c.entries) AS entries, sum(c.hot_lost) AS hot_lost
    FROM hone.index_cost_store c JOIN leaf l ON l.leaf = c.index_oid
    GROUP BY l.indexrelid
), beside AS MATERIALIZED (
    SELECT x.indrelid, array_agg(x.indexrelid ORDER BY x.indexrelid) FILTER (WHERE x.usable) AS indexes
    FROM idx x GROUP BY x.indrelid
), base AS MATERIALIZED (
    SELECT x.*, w.index_name AS wide_name,
           u.scans, u.last_used, u.unused_since, u.first_seen, u.standby_scans, u.quiet,
           coalesce(q.queries, 0) AS queries, c.write_cost, c.hot_lost, b.indexes
    FROM idx x
         JOIN beside b ON b.indrelid = x.indrelid
         LEFT JOIN idx w ON w.indexrelid = x.wide
         LEFT JOIN used u ON u.indexrelid = x.indexrelid
         LEFT JOIN captured q ON q.indexrelid = x.indexrelid
         LEFT JOIN cost c ON c.indexrelid = x.indexrelid
), needed AS MATERIALIZED (
    -- does the work of others that are used, and are to go because it does
    SELECT DISTINCT x.wide AS indexrelid
    FROM base x CROSS JOIN settings s
    WHERE x.wide IS NOT NULL
      AND (x.queries > 0 OR (x.quiet AND x.unused_since <= now() - s.age) IS NOT TRUE)
), building AS MATERIALIZED (
    SELECT p.relid FROM pg_stat_progress_create_index p
    WHERE p.datid = (SELECT d.oid FROM pg_database d WHERE d.datname = current_database())
), problem AS (
    SELECT x.*, 'unused' AS problem,
           format('The server has counted no scan of it since %s (%s days)%s%s.%s%s',
                  to_char(x.unused_since, 'YYYY-MM-DD'),
                  floor(extract(epoch FROM now() - x.unused_since) / 86400),
                  CASE WHEN x.scans > 0 THEN format(', %s before', x.scans) ELSE '' END,
                  CASE WHEN b.named <> '' AND b.fresh THEN ', nor have the standbys' ELSE '' END,
                  CASE WHEN x.unused_since >= date_trunc('month', now()) THEN ' No end of a month was in that time.' ELSE '' END,
                  CASE WHEN b.named <> '' AND b.fresh IS NOT TRUE
                       THEN ' The counts of the standbys could not be read lately.'
                       WHEN coalesce(b.named, '') = ''
                            AND EXISTS (SELECT FROM pg_stat_get_wal_senders() s (pid))
                       THEN ' There are standbys, whose scans are not counted here: see pg_hone.standby_index_use.'
                       ELSE '' END) AS evidence,
           NULL::text AS suggestion, true AS drops,
           -- what runs at the end of a month, or on a standby, captured statements do not tell
           x.unused_since < date_trunc('month', now())
               AND (coalesce(b.named, '') = '' OR b.fresh IS TRUE) AS known
    FROM base x
         CROSS JOIN settings s
         CROSS JOIN standby b
    WHERE x.usable AND NOT x.toast
      AND x.quiet AND x.unused_since <= now() - s.age
      AND (coalesce(b.named, '') = '' OR coalesce(b.first_at, now()) <= now() - s.age OR b.fresh IS NOT TRUE)
      AND x.guards = '{}'
      AND x.queries = 0
      AND x.indexrelid NOT IN (SELECT n.indexrelid FROM needed n)
      AND x.how IS NULL
    UNION ALL
    SELECT x.*, x.how,
           format(CASE x.how WHEN 'duplicate' THEN '%s (%s) is the same.'
                             ELSE '%s (%s) does all that it does.' END,
                  x.wide_name, pg_get_indexdef(x.wide)),
           CASE WHEN x.constraint_name IS NOT NULL
                THEN format('ALTER TABLE %s DROP CONSTRAINT %I', x.table_name, x.constraint_name) END,
           true, true
    FROM base x
    WHERE x.usable AND x.how IS NOT NULL
    UNION ALL
    SELECT x.*, 'invalid',
           CASE WHEN x.relkind = 'I' THEN format('It is not attached to an index of each partition: of %s not, for example.',
                    coalesce((SELECT t.relid::text FROM pg_partition_tree(x.indrelid) t
                              WHERE t.level = 1 AND NOT EXISTS (
                                  SELECT FROM pg_inherits h JOIN pg_index hi ON hi.indexrelid = h.inhrelid
                                  WHERE h.inhparent = x.indexrelid AND hi.indrelid = t.relid AND hi.indisvalid)
                              ORDER BY 1 LIMIT 1), 'one'))
                WHEN NOT x.indislive THEN 'DROP INDEX CONCURRENTLY was begun and not finished.'
                WHEN x.relname ~ '_ccnew[0-9]*$' THEN 'A leftover of REINDEX CONCURRENTLY that did not finish.'
                WHEN x.relname ~ '_ccold[0-9]*$'
                THEN 'The old version of an index that REINDEX CONCURRENTLY has replaced.'
                ELSE 'CREATE or DROP INDEX CONCURRENTLY, or REINDEX, was begun and not finished.' END
           || CASE WHEN x.relkind = 'I' THEN ' Until then it is no index of the whole table.'
                   ELSE ' Queries do not use it, and writes pay for it'
                        || CASE WHEN x.indisunique
                                THEN '; it may refuse rows, and not be built while there are equal ones.'
                                ELSE '.' END END,
           CASE WHEN x.relkind = 'I' THEN format('ALTER INDEX %s ATTACH PARTITION ...', x.index_name)
                WHEN x.constraint_name IS NULL AND (NOT x.indislive OR x.how IS NOT NULL
                     OR x.relname ~ '_cc(new|old)[0-9]*$')
                THEN format('DROP INDEX CONCURRENTLY %s', x.index_name)
                ELSE format('CALL hone.reindex(%L)', x.index_name) END,
           x.relkind = 'i' AND x.constraint_name IS NULL
               AND (NOT x.indislive OR x.how IS NOT NULL OR x.relname ~ '_cc(new|old)[0-9]*$'), true
    FROM base x
    WHERE NOT x.usable AND x.indrelid NOT IN (SELECT b.relid FROM building b)
    UNION ALL
    SELECT x.*, 'bloated',
           format('It takes %s, and would take about %s when built anew.',
                  pg_size_pretty(z.size_bytes), pg_size_pretty(z.estimated_bytes)),
           format('CALL hone.reindex(%L)', x.index_name), false, true
    FROM base x JOIN hone.index_size_store z ON z.index_oid = x.indexrelid AND z.filenode = x.relfilenode
    WHERE x.usable AND NOT x.toast
      AND z.size_bytes - z.estimated_bytes >= 8 * 1024 * 1024
      AND z.size_bytes >= CASE WHEN x.relam = 403 THEN 1.7 ELSE 2.2 END * z.estimated_bytes
    UNION ALL
    SELECT x.*, 'blocks_hot',
           format('Of %s updates of the table %s were HOT; about %s of the captured ones could not be because of it alone, and nothing was seen to use it.',
                  h.updated, h.hot, round(x.hot_lost)), NULL, true, true
    FROM base x
         CROSS JOIN LATERAL (
             SELECT sum(pg_stat_get_tuples_updated(i.indrelid)) AS updated,
                    sum(pg_stat_get_tuples_hot_updated(i.indrelid)) AS hot
             FROM leaf l JOIN pg_index i ON i.indexrelid = l.leaf WHERE l.indexrelid = x.indexrelid) h
    WHERE x.hot_lost >= 1000 AND x.hot_lost >= 0.1 * h.updated AND h.hot < 0.5 * h.updated
      AND x.usable AND x.guards = '{}'
      AND x.quiet AND x.unused_since <= now() - (SELECT least(s.age, interval '1 day') FROM settings s)
      AND x.queries = 0
      AND x.indexrelid NOT IN (SELECT n.indexrelid FROM needed n)
), fkey AS MATERIALIZED (
    SELECT c.oid, c.conname, c.conrelid, c.confrelid, c.conkey
    FROM pg_constraint c WHERE c.contype = 'f' AND c.conparentid = 0
), missing AS (
    SELECT f.oid, f.conname, f.conrelid, f.confrelid, f.conkey, m.columns, m.bytes, p.deleted, p.moved,
           t.relkind, quote_ident(n.nspname) || '.' || quote_ident(t.relname) AS table_name,
           quote_ident(rn.nspname) || '.' || quote_ident(r.relname) AS parent
    FROM fkey f
         JOIN pg_class t ON t.oid = f.conrelid
         JOIN pg_namespace n ON n.oid = t.relnamespace
         JOIN pg_class r ON r.oid = f.confrelid
         JOIN pg_namespace rn ON rn.oid = r.relnamespace
         CROSS JOIN LATERAL (
             SELECT (SELECT string_agg(quote_ident(a.attname), ', ' ORDER BY k.place)
                     FROM unnest(f.conkey) WITH ORDINALITY k (attnum, place)
                          JOIN pg_attribute a ON a.attrelid = f.conrelid AND a.attnum = k.attnum) AS columns,
                    sum(hone.relation_bytes(e.relid)) AS bytes
             FROM (SELECT f.conrelid WHERE t.relkind <> 'p'
                   UNION ALL
                   SELECT s.relid FROM pg_partition_tree(f.conrelid) s WHERE t.relkind = 'p' AND s.isleaf) e (relid)) m
         CROSS JOIN LATERAL (
             SELECT sum(pg_stat_get_tuples_deleted(e.relid)) AS deleted,
                    sum(pg_stat_get_tuples_updated(e.relid) - pg_stat_get_tuples_hot_updated(e.relid)) AS moved
             FROM (SELECT f.confrelid
                   UNION ALL
                   SELECT s.relid FROM pg_partition_tree(f.confrelid) s WHERE s.isleaf AND s.relid <> f.confrelid)
                  e (relid)) p
    WHERE t.relnamespace <> 'hone'::regnamespace AND t.relpersistence <> 't'
      AND NOT EXISTS (
          SELECT FROM idx x
               CROSS JOIN LATERAL (SELECT hone.leading_columns(x.indkey, x.nkeys, f.conkey) AS leading) l
          WHERE x.indrelid = f.conrelid AND x.usable AND NOT x.partial AND x.relam IN (403, 405) AND l.leading > 0
            AND (l.leading >= cardinality(f.conkey)
                 -- a part of the columns will do where it tells rows apart
                 OR coalesce((SELECT exp(sum(ln(CASE WHEN st.stadistinct > 0 THEN st.stadistinct
                                            WHEN st.stadistinct < 0
                                            THEN greatest(-st.stadistinct * greatest(t.reltuples, 1), 1)
                                            ELSE 1 END)))
                     FROM generate_series(0, l.leading - 1) g (at)
                          JOIN pg_statistic st ON st.starelid = x.indrelid AND st.staattnum = x.indkey[g.at]
                                               AND st.stainherit = (t.relkind = 'p')) * 1000 >= t.reltuples, true)))
)
SELECT x.index_name, x.table_name, x.problem,
       CASE WHEN x.relkind = 'i' THEN hone.relation_bytes(x.indexrelid)
            ELSE (SELECT sum(hone.relation_bytes(l.leaf))::bigint FROM leaf l WHERE l.indexrelid = x.indexrelid)
       END AS size_bytes,
       x.scans, x.last_used,
       x.evidence
       || CASE WHEN x.drops AND x.guards <> '{}'
               THEN format(' But %s.', array_to_string(x.guards, ' and ')) ELSE '' END
       || CASE WHEN x.drops AND x.usable AND e.examined_at IS NOT NULL THEN ' ' || e.reason ELSE '' END AS evidence,
       coalesce(x.suggestion, format('DROP INDEX %s%s', CASE WHEN x.relkind = 'i' THEN 'CONCURRENTLY ' ELSE '' END,
                                     x.index_name)) AS suggestion,
       CASE WHEN NOT x.drops THEN NULL
            WHEN x.guards <> '{}' THEN false
            WHEN NOT x.usable THEN true
            WHEN e.safe AND NOT x.known THEN NULL
            -- who uses it was not captured
            WHEN e.safe AND e.statements = 0 AND x.how = 'redundant'
                 AND (x.quiet AND x.unused_since <= now() - (SELECT s.age FROM settings s)) IS NOT TRUE THEN NULL
            ELSE e.safe END AS safe,
       x.indexrelid AS index_oid, x.indrelid AS relid,
       x.write_cost, x.queries AS captured_queries, x.standby_scans,
       x.first_seen, e.examined_at
FROM problem x
     LEFT JOIN hone.index_examination_store e
            ON e.index_oid = x.indexrelid AND e.relid = x.indrelid AND e.indexes = x.indexes
               AND e.examined_at > now() - interval '7 days'
UNION ALL
SELECT NULL, m.table_name, 'missing_fk', m.bytes::bigint, NULL, NULL,
       format('The foreign key %I (%s) refers to %s, of which %s rows were deleted and %s updated (not HOT); whenever a key goes, the %s of the table are searched without an index.%s',
              m.conname, m.columns, m.parent, m.deleted, m.moved, pg_size_pretty(m.bytes),
              CASE WHEN m.relkind = 'p'
                   THEN ' On a partitioned table this locks out writes: build it on each partition first.' ELSE '' END),
       format('CREATE INDEX %sON %s (%s)', CASE WHEN m.relkind = 'p' THEN '' ELSE 'CONCURRENTLY ' END,
              m.table_name, m.columns),
       NULL, NULL, m.conrelid, NULL, NULL, NULL, NULL, NULL
FROM missing m
WHERE (m.bytes >= 32 * 8192 AND m.deleted > 0) OR m.bytes >= 1024 * 8192;
COMMENT ON VIEW hone.index_problems IS
'What hone.index_health shows';

-- Read as the extension's owner, and without JIT, which would take longer than the
-- rest.
CREATE FUNCTION hone.index_health_rows(
    OUT index_name text, OUT table_name text, OUT problem text, OUT size_bytes bigint, OUT scans bigint,
    OUT last_used timestamptz, OUT evidence text, OUT suggestion text, OUT safe bool,
    OUT index_oid oid, OUT relid oid, OUT write_cost float8, OUT captured_queries bigint,
    OUT standby_scans bigint, OUT first_seen timestamptz, OUT examined_at timestamptz)
RETURNS SETOF record
LANGUAGE C STRICT VOLATILE PARALLEL RESTRICTED
AS 'MODULE_PATHNAME', 'hone_index_health_rows';
COMMENT ON FUNCTION hone.index_health_rows() IS 'The rows of hone.index_health';

CREATE VIEW hone.index_health WITH (security_barrier) AS
SELECT * FROM hone.index_health_rows();
COMMENT ON VIEW hone.index_health IS
'What is wrong with the indexes of this database: unused, duplicate, redundant, invalid, bloated, blocks_hot, missing_fk, with the evidence and what to do; safe says of those to be dropped whether planning all captured statements without it has proven that none gets dearer (null: not examined, or not to be said; false: something would, or depends on it). size_bytes of missing_fk is the table''s; write_cost is what keeping it costs the captured writes in planner units';
