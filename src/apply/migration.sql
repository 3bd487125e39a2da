-- apply: recommendations as a script, for those who ship indexes as migrations.
--
-- Plain SQL: no psql commands, nothing but statements that can be run one after
-- the other outside of a transaction block, in another database with the same
-- tables. It can be run again after it stopped half-way: IF NOT EXISTS alone would
-- take an INVALID index, or another one of that name, for the one that is wanted,
-- so a check before each statement raises an error then.
--
-- Everything that comes from tables is quoted by the server's functions; in
-- comments each line gets its own mark, so that no name or reason can end one.
--
-- Who runs it may not stop at an error (psql does not by itself). After a failed
-- check creating does nothing, as something of that name is there. An index that is
-- to be dropped is named without its schema, and it is the check that sets the
-- search_path to find it by.

-- Before an index is made (is what is there the same?), or dropped (is it the one
-- that was meant, and is the one there that does its work?).
CREATE FUNCTION hone.migration_check(index_name text, definition text, needs text DEFAULT NULL, path text DEFAULT NULL)
RETURNS text
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    tag text := '$check$';
    body text := format(
'DECLARE
    found text := (SELECT CASE WHEN i.indexrelid IS NULL THEN ''no index at all''
                               WHEN c.relkind = ''i'' AND NOT (i.indisvalid AND i.indisready AND i.indislive)
                               THEN ''INVALID, '' || pg_get_indexdef(c.oid)
                               ELSE pg_get_indexdef(c.oid) END
                   FROM pg_class c LEFT JOIN pg_index i ON i.indexrelid = c.oid
                   WHERE c.oid = to_regclass(%s));
BEGIN
    IF found <> %s THEN
        RAISE EXCEPTION USING MESSAGE = %s || found, HINT = %s;
    END IF;', quote_literal(index_name), quote_literal(definition),
              quote_literal(index_name || ' is there, and is not what it should be: '),
              quote_literal('What a failed build left INVALID is to be dropped first: DROP INDEX CONCURRENTLY '
                            || index_name));
BEGIN
    IF needs IS NOT NULL THEN
        body := body || format('
    IF found IS NOT NULL AND NOT EXISTS (
        SELECT FROM pg_index i WHERE i.indexrelid = to_regclass(%s) AND i.indisvalid AND i.indisready) THEN
        RAISE EXCEPTION USING MESSAGE = ''the index that is to do its work is missing: '' || %1$s;
    END IF;', quote_literal(needs));
    END IF;
    IF path IS NOT NULL THEN
        body := body || format('
    PERFORM set_config(''search_path'', %L, false);', path);
    END IF;
    WHILE strpos(body, tag) > 0 LOOP
        tag := format('$check%s$', length(tag));
    END LOOP;
    RETURN format(E'DO %s\n%s\nEND\n%1$s;\n', tag, body);
END
$$;
COMMENT ON FUNCTION hone.migration_check(text, text, text, text) IS
'A DO statement that fails unless an index is either missing or as defined; with needs also unless that index is there; otherwise it sets the search_path, if one is given';

-- A partition's index takes its name from both, and a number that tells apart
-- what is alike when it is cut.
CREATE FUNCTION hone.migration_part_name(index_name text, partition text) RETURNS text
LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    name text := partition || '_' || index_name;
    cut int := length(name);
BEGIN
    IF octet_length(name) < 64 THEN
        RETURN name;
    END IF;
    WHILE octet_length(left(name, cut)) > 54 LOOP
        cut := cut - 1;
    END LOOP;
    RETURN left(name, cut) || '_' || left(md5(name), 8);
END
$$;
COMMENT ON FUNCTION hone.migration_part_name(text, text) IS
'The name a partition''s index gets in a migration';

-- On each partition concurrently, then on the parents alone, which the partitions'
-- indexes are attached to, from the leaves up: locks of an instant.
CREATE FUNCTION hone.migration_parts(table_name text, index_name text, body text) RETURNS text
LANGUAGE plpgsql STABLE STRICT PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    part record;
    script text := '';
    attach text := '';
BEGIN
    FOR part IN
        SELECT format('%I.%I', n.nspname, c.relname) AS name, c.relkind, t.level,
               i.name AS index, format('%I.%I', n.nspname, i.name) AS full_index,
               CASE WHEN t.level > 0 THEN format('%I.%I', pn.nspname, CASE WHEN t.level = 1 THEN index_name
                   ELSE hone.migration_part_name(index_name, p.relname) END) END AS parent_index
        FROM pg_partition_tree(to_regclass(table_name)) t
             JOIN pg_class c ON c.oid = t.relid
             JOIN pg_namespace n ON n.oid = c.relnamespace
             LEFT JOIN pg_class p ON p.oid = t.parentrelid
             LEFT JOIN pg_namespace pn ON pn.oid = p.relnamespace
             CROSS JOIN LATERAL (SELECT CASE WHEN t.level = 0 THEN index_name
                 ELSE hone.migration_part_name(index_name, c.relname) END) i (name)
        ORDER BY t.level DESC, n.nspname, c.relname
    LOOP
        IF part.relkind = 'r' THEN
            script := script
                || hone.migration_check(part.full_index, format('CREATE INDEX %I ON %s %s', part.index, part.name, body))
                || format(E'CREATE INDEX CONCURRENTLY IF NOT EXISTS %I ON %s %s;\n', part.index, part.name, body);
        ELSIF part.relkind = 'p' THEN
            attach := hone.migration_check(part.full_index, format('CREATE INDEX %I ON ONLY %s %s', part.index, part.name, body))
                || format(E'CREATE INDEX IF NOT EXISTS %I ON ONLY %s %s;\n', part.index, part.name, body)
                || attach;
        ELSE
            CONTINUE;               -- a foreign table has no indexes
        END IF;
        IF part.level > 0 THEN
            attach := attach || format(E'ALTER INDEX %s ATTACH PARTITION %s;\n', part.parent_index, part.full_index);
        END IF;
    END LOOP;
    RETURN script || E'SET lock_timeout = ''5s'';\n' || attach;
END
$$;
COMMENT ON FUNCTION hone.migration_parts(text, text, text) IS
'Statements that make an index of a partitioned table, as it is partitioned here';

CREATE FUNCTION hone.export_migration(ids bigint[] DEFAULT NULL) RETURNS text
LANGUAGE plpgsql STABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    lock_timeout text := format(E'SET lock_timeout = %L;\n',
                                coalesce(current_setting('pg_hone.build_lock_timeout', true), '10min'));
    statement_timeout text := format(E'SET statement_timeout = %L;\n',
                                     coalesce(current_setting('pg_hone.build_timeout', true), '0'));
    path CONSTANT text := E'SET search_path = pg_catalog, pg_temp;\n';
    name text[];
    wanted bigint[] := ids;
    missing bigint;
    r record;
    script text := '';
    undo text := '';
    n int := 0;
BEGIN
    IF array_ndims(ids) > 1 THEN
        RAISE EXCEPTION USING ERRCODE = 'array_subscript_error',
            MESSAGE = 'argument "ids" must be a one-dimensional array';
    ELSIF array_position(ids, NULL) IS NOT NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'null_value_not_allowed',
            MESSAGE = 'argument "ids" must not contain nulls';
    END IF;
    SELECT min(w.id) INTO missing FROM unnest(ids) w (id)
    WHERE NOT EXISTS (SELECT FROM hone.recommendations v WHERE v.id = w.id);
    IF missing IS NOT NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'undefined_object',
            MESSAGE = format('recommendation %s does not exist', missing),
            DETAIL = 'Or it is neither yours nor about a table of yours.';
    END IF;
    IF ids IS NULL THEN
        wanted := ARRAY(SELECT v.id FROM hone.recommendations v
                        WHERE v.status = 'proposed' AND v.run_id =
                              (SELECT max(u.run_id) FROM hone.advisor_runs u WHERE u.requested_by = current_user));
    END IF;

    FOR r IN
        SELECT v.*, to_regclass(v.table_name) AS relation, c.relkind = 'p' AS partitioned,
               CASE v.action WHEN 'create' THEN format('%I.%I', (parse_ident(v.table_name))[1], v.index_name)
                    ELSE regexp_replace(v.definition, '^DROP INDEX ', '') END AS full_index,
               CASE WHEN v.needs_index IS NOT NULL
                    THEN format('%I.%I', (parse_ident(v.table_name))[1], v.needs_index) END AS full_needs,
               i.key_columns, CASE WHEN i.body ~* '^using\y' THEN i.body ELSE 'USING btree ' || i.body END AS body
        FROM hone.recommendations v
             LEFT JOIN pg_class c ON c.oid = to_regclass(v.table_name)
             CROSS JOIN LATERAL hone.index_identity(CASE v.action WHEN 'create' THEN v.definition END) i
        WHERE v.id = ANY (wanted)
        ORDER BY v.action, v.id     -- creates first
    LOOP
        n := n + 1;
        script := script || E'\n-- ' || regexp_replace(
            format('%s. Recommendation %s (%s): %s', n, r.id, r.status, r.reason), '[\n\r]+', E'\n-- ', 'g') || E'\n';
        IF r.action = 'create' AND r.partitioned THEN
            script := script || hone.migration_parts(r.table_name, r.index_name, r.body)
                || format(E'DO %L;\n', format(
'BEGIN
    IF NOT (SELECT i.indisvalid FROM pg_index i WHERE i.indexrelid = %L::regclass) THEN
        RAISE EXCEPTION ''a partition has no such index: make it CONCURRENTLY, and ATTACH it'';
    END IF;
END', r.full_index)) || lock_timeout;
            undo := format(E'DROP INDEX %s;\n', r.full_index) || undo;
        ELSIF r.action = 'create' THEN
            script := script
                || hone.migration_check(r.full_index, format('CREATE INDEX %I ON %s %s', r.index_name, r.table_name, r.body))
                || format(E'CREATE INDEX CONCURRENTLY IF NOT EXISTS %I ON %s %s;\n', r.index_name, r.table_name, r.body);
            undo := format(E'DROP INDEX CONCURRENTLY %s;\n', r.full_index) || undo;
        ELSE
            name := parse_ident(r.full_index);
            script := script || path || hone.migration_check(r.full_index, r.undo_definition, r.full_needs,
                                                             quote_ident(name[1]) || ', pg_temp')
                || format(E'DROP INDEX %sIF EXISTS %I;\n', CASE WHEN r.partitioned THEN '' ELSE 'CONCURRENTLY ' END, name[2]);
            undo := regexp_replace(r.undo_definition, '^CREATE (UNIQUE )?INDEX ',
                                   'CREATE \1INDEX ' || CASE WHEN r.partitioned THEN '' ELSE 'CONCURRENTLY ' END)
                || E';\n' || undo;
        END IF;
        -- Until then the planner knows nothing of an expression's values.
        IF r.key_columns ~ '\(' THEN
            script := script || format(E'ANALYZE %s;\n', r.table_name);
        END IF;
    END LOOP;
    IF n = 0 THEN
        RETURN E'-- Nothing to do: there are no such recommendations.\n';
    END IF;
    RETURN format('-- Indexes as recommended by pg_hone. Not to be run in a transaction block; reads and
-- writes go on meanwhile. When it fails, remove the cause, and run it again.
%s%s%s%s
RESET lock_timeout;
RESET statement_timeout;
RESET search_path;

-- To take all of it back:
-- %s
', lock_timeout, statement_timeout, path, script, regexp_replace(rtrim(undo, E'\n'), '[\n\r]+', E'\n-- ', 'g'));
END
$$;
COMMENT ON FUNCTION hone.export_migration(bigint[]) IS
'Recommendations that you may see as a script of plain SQL, to be run in another database; without ids what the caller''s latest run left proposed';
