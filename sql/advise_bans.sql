-- What a trial took back is not proposed again soon, and mistrusted later.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS pg_hone;
DROP SCHEMA IF EXISTS advise_bans CASCADE;
DROP ROLE IF EXISTS regress_bans_owner;
DROP ROLE IF EXISTS regress_bans_other;
RESET client_min_messages;
CREATE SCHEMA advise_bans;
CREATE ROLE regress_bans_owner;
CREATE ROLE regress_bans_other;
GRANT USAGE ON SCHEMA advise_bans TO PUBLIC;
GRANT EXECUTE ON FUNCTION hone.lift_ban TO regress_bans_owner, regress_bans_other;
SET search_path = advise_bans, public;
SET pg_hone.enabled = off;
CREATE TABLE item (id int, owner int, state text, note text);
INSERT INTO item SELECT i, i % 3000, CASE WHEN i % 50 = 0 THEN 'open' ELSE 'done' END, repeat('n', 60)
FROM generate_series(1, 30000) i;
VACUUM ANALYZE item;
ALTER TABLE item OWNER TO regress_bans_owner;
DELETE FROM hone.ban_store;

-- what identifies an index
SELECT definition, i.* FROM (VALUES
    ('CREATE INDEX a ON s.t USING btree (b, c DESC) INCLUDE (d) WITH (fillfactor=''70'') WHERE (b > 3)'),
    ('CREATE UNIQUE INDEX CONCURRENTLY "i on" ON ONLY s."t using (" USING gin (b s.ops (n='')''), lower((c)::text))'),
    ('CREATE INDEX ON t (a) WHERE (b = '' where ''''(''::text)'),
    ('ON s.t USING brin (made_at) WITH (pages_per_range=''32'')')) AS d (definition), hone.index_identity(definition) i;
SELECT hone.index_identity('DROP INDEX a');
SELECT hone.index_identity('CREATE INDEX a ON t');
SELECT hone.index_identity('CREATE INDEX a ON t (b');
SELECT hone.index_identity('');

-- a proposal, taken back after a trial
CREATE FUNCTION advice() RETURNS TABLE (definition text, risks text) LANGUAGE sql AS $$
    SELECT regexp_replace(r.definition, '^.* ON ', ''), array_to_string(r.risks, ' ')
    FROM hone.recommend_for(ARRAY['SELECT note FROM advise_bans.item WHERE owner = 5']) r
    WHERE r.action = 'create'
$$;
CREATE FUNCTION undated(text) RETURNS text LANGUAGE sql AS $$
    SELECT replace(replace(replace($1, to_char(now(), 'YYYY-MM-DD'), '<today>'),
           to_char(now() + interval '30 days', 'YYYY-MM-DD'), '<in 30 days>'),
           to_char(now() + interval '60 days', 'YYYY-MM-DD'), '<in 60 days>')
$$;
CREATE FUNCTION take_back(new_id bigint, verdict jsonb) RETURNS void LANGUAGE sql AS $$
    INSERT INTO hone.action_store (id, recommendation_id, after_creates, requested_by, operation, action, state,
        relid, table_name, index_name, definition, undo_definition, trial, verdict)
    OVERRIDING SYSTEM VALUE
    SELECT new_id, r.id, false, r.requested_by, 'revert', r.action, 'trial', r.relid, r.table_name,
           r.index_name, r.definition, r.undo_definition, r.action, verdict
    FROM hone.recommendation_store r ORDER BY r.id DESC LIMIT 1;
    UPDATE hone.recommendation_store SET status = 'reverted'
    WHERE id = (SELECT recommendation_id FROM hone.action_store WHERE id = new_id)
$$;
SELECT * FROM advice();
SELECT take_back(1000001, '{"decision": "revert", "reason": "a query got slower.", "queries": [
    {"queryid": 11, "with": {"executions": 60, "mean_ms": 8}, "without": {"executions": 60, "mean_ms": 10}, "ratio": 0.8, "finding": "better"},
    {"queryid": 22, "with": {"executions": 90, "mean_ms": 45.25}, "without": {"executions": 80, "mean_ms": 5}, "ratio": 9.05, "finding": "worse"},
    {"queryid": 33, "with": {"executions": 30, "mean_ms": 2}, "without": {"executions": 30, "mean_ms": 1}, "ratio": 2, "finding": "worse"},
    {"queryid": 44, "with": {"executions": 0, "mean_ms": null}, "without": {"executions": 3, "mean_ms": 1}, "finding": "open"}]}');
SELECT hone.ban_index(1000001) = now() + interval '30 days' AS for_30_days;
-- said twice, it counts once
SELECT hone.ban_index(1000001) < now() + interval '30 days' AS already;
SELECT action, table_name, definition, until - reverted_at AS lasts, times, active, finding, round(measured_gain::numeric, 2) AS measured_gain,
       jsonb_array_length(evidence) AS times_measured, evidence #>> '{0,queries,1,ratio}' AS ratio, lifted_at, lifted_by
FROM hone.bans;

-- not proposed, whatever is included; and the reason is told
SELECT * FROM advice();
SELECT regexp_replace(definition, '^.* USING ', '') AS definition, undated(reason) AS reason FROM hone.rejected_candidates
WHERE run_id = (SELECT max(run_id) FROM hone.advisor_runs) AND reason ~ 'taken back' ORDER BY 1;
-- another predicate, another table or a longer key is another index
SELECT count(*) > 0 AS proposed FROM hone.recommend_for(ARRAY['SELECT note FROM advise_bans.item WHERE owner = 5 AND id = 7 ']) r;
CREATE TABLE other AS TABLE item;
VACUUM ANALYZE other;
SELECT regexp_replace(r.definition, '^.* ON ', '') AS definition
FROM hone.recommend_for(ARRAY['SELECT note FROM advise_bans.other WHERE owner = 5']) r;

-- who sees it, and who may lift it
SET ROLE regress_bans_other;
SELECT count(*) FROM hone.bans;
SELECT hone.lift_ban(id) FROM (VALUES (0::bigint)) v (id);
RESET ROLE;
SELECT id AS ban FROM hone.bans \gset
SET ROLE regress_bans_other;
\set VERBOSITY sqlstate
SELECT hone.lift_ban(:ban);
\set VERBOSITY default
SET ROLE regress_bans_owner;
SELECT count(*) FROM hone.bans;
SELECT hone.lift_ban(NULL);
SELECT hone.lift_ban(:ban);
\set VERBOSITY sqlstate
SELECT hone.lift_ban(:ban);
\set VERBOSITY default
RESET ROLE;
SELECT active, times, lifted_by, lifted_at = until AS lifted FROM hone.bans;

-- afterwards it is proposed again, with what was measured as a risk
SELECT definition, undated(risks) AS risks FROM advice();
-- taken back once more: twice as long
SELECT take_back(1000002, '{"decision": "revert", "reason": "No query got faster.", "queries": []}');
SELECT hone.ban_index(1000002) = now() + interval '60 days' AS for_60_days;
SELECT until - reverted_at AS lasts, times, active, finding, measured_gain, jsonb_array_length(evidence) AS times_measured, lifted_at FROM hone.bans;
SELECT * FROM advice();
-- it does not grow over all bounds, and neither does its evidence
SELECT take_back(1000010 + i, NULL) FROM generate_series(1, 12) i;
SELECT count(hone.ban_index(1000010 + i)) FROM generate_series(1, 12) i;
SELECT until - reverted_at AS lasts, times, finding, jsonb_array_length(evidence) AS times_measured FROM hone.bans;

-- what a user takes back himself has no end, and is no ban
DELETE FROM hone.ban_store;
DELETE FROM hone.action_store WHERE id > 1000000;
SELECT count(*) FROM advice();
SELECT DISTINCT reason FROM hone.rejected_candidates
WHERE run_id = (SELECT max(run_id) FROM hone.advisor_runs) AND reason ~ 'before' ORDER BY 1;
DELETE FROM hone.recommendation_store WHERE status = 'reverted';

-- a drop that did harm
CREATE INDEX item_owner ON item (owner);
CREATE INDEX item_owner_id ON item (owner, id);
SET pg_hone.unused_index_age = 0;
CREATE FUNCTION drops() RETURNS TABLE (definition text, risks text) LANGUAGE sql AS $$
    SELECT r.definition, array_to_string(r.risks, ' ')
    FROM hone.recommend_for(ARRAY['SELECT note FROM advise_bans.item WHERE owner = 5 AND id = 3']) r WHERE r.action = 'drop'
$$;
SELECT * FROM drops();
SELECT take_back(1000003, '{"decision": "revert", "reason": "a query got slower", "queries": [
    {"queryid": 55, "with": {"executions": 60, "mean_ms": 1}, "without": {"executions": 60, "mean_ms": 10}, "finding": "worse"}]}');
SELECT hone.ban_index(1000003) > now() AS banned;
SELECT action, definition, finding, measured_gain FROM hone.bans;
SELECT * FROM drops();
SELECT hone.lift_ban(id) FROM hone.bans;
SELECT definition, undated(risks) AS risks FROM drops();

-- nothing to go by
SELECT hone.ban_index(NULL);
SELECT hone.ban_index(-1);
INSERT INTO hone.action_store (id, after_creates, requested_by, operation, action, state, relid, table_name, index_name, definition)
OVERRIDING SYSTEM VALUE SELECT 1000004, false, 10, 'reindex', 'reindex', 'kept', 'item'::regclass, 'advise_bans.item', 'x', 'REINDEX';
SELECT hone.ban_index(1000004);
DELETE FROM hone.action_store WHERE id > 1000000;
DELETE FROM hone.ban_store;

SET client_min_messages = warning;
DROP SCHEMA advise_bans CASCADE;
REVOKE EXECUTE ON FUNCTION hone.lift_ban FROM regress_bans_owner, regress_bans_other;
DROP ROLE regress_bans_owner, regress_bans_other;
