-- What test/bench/trial needs in the database: a way to have an index tried
-- that the advisor did not ask for (a run and a recommendation of our own), and
-- the list of what is tried.
CREATE EXTENSION pg_hone;
CREATE SCHEMA bench;

CREATE FUNCTION bench.inject(relation regclass, name text, definition text) RETURNS bigint
LANGUAGE plpgsql AS $$
DECLARE
    run bigint;
    result bigint;
BEGIN
    INSERT INTO hone.advisor_run_store (requested_by) VALUES (current_user::regrole)
    RETURNING run_id INTO run;
    INSERT INTO hone.recommendation_store (run_id, requested_by, action, relid, table_name,
        access_method, index_name, definition, undo_definition, size_bytes, cost_before,
        cost_after, improvement, write_cost, queries_helped, queries_hurt, reason)
    VALUES (run, current_user::regrole, 'create', relation, 'public.' || relation,
        'btree', name, format('CREATE INDEX %I ON public.%s %s', name, relation, definition),
        format('DROP INDEX public.%I', name), 1000000, 100, 50, 0.5, 0, 1, 0, 'injected')
    RETURNING id INTO result;
    RETURN result;
END
$$;

-- good: a query gets faster and none slower. lure: the planner takes it for a
-- plan that is worse. mixed: serves one query and lures a heavier one. writes:
-- serves nothing, and makes updates dearer (no HOT). idle: serves nothing.
CREATE TABLE bench.kinds (kind text PRIMARY KEY, good bool NOT NULL, definition text NOT NULL);
INSERT INTO bench.kinds VALUES
    ('good: equality',     true,  'USING btree (customer_id)'),
    ('good: top n',        true,  'USING btree (created_at) WHERE status = ''open'''),
    ('good: covering',     true,  'USING btree (region) INCLUDE (amount)'),
    ('good: jsonb',        true,  'USING gin (attributes jsonb_path_ops)'),
    ('good: expression',   true,  'USING btree (lower(email))'),
    ('lure: aggregate',    false, 'USING btree (amount)'),
    ('lure: order',        false, 'USING btree (created_at, id)'),
    ('writes only',        false, 'USING btree (touched)'),
    ('idle',               false, 'USING btree (email, amount)');

CREATE TABLE bench.trials (
    place int, round int, kind text, action bigint, recommendation bigint,
    queued_at timestamptz NOT NULL DEFAULT clock_timestamp(), state text, verdict jsonb,
    finished_at timestamptz);

-- Which kind comes when in which place: a shuffle that is the same every time.
CREATE FUNCTION bench.next_kind(place int, round int) RETURNS text LANGUAGE sql AS $$
    SELECT kind FROM (SELECT kind, row_number() OVER (ORDER BY md5(place || kind)) AS n,
                             count(*) OVER () AS kinds FROM bench.kinds) k
    WHERE n = 1 + (round - 1) % kinds
$$;

CREATE VIEW bench.result AS
SELECT t.kind, count(*) AS trials,
       count(*) FILTER (WHERE state = 'kept') AS kept,
       count(*) FILTER (WHERE state = 'reverted') AS reverted,
       count(*) FILTER (WHERE state NOT IN ('kept', 'reverted')) AS other,
       round(percentile_cont(0.5) WITHIN GROUP (ORDER BY extract(epoch FROM finished_at - queued_at))::numeric, 1) AS median_s,
       round(percentile_cont(0.9) WITHIN GROUP (ORDER BY extract(epoch FROM finished_at - queued_at))::numeric, 1) AS p90_s
FROM bench.trials t GROUP BY 1;
