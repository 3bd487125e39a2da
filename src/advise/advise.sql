-- advise: what was recommended, and why. The contract between deciding
-- (advise) and acting (apply) is these tables, not a C call.

CREATE TABLE hone.advisor_run_store (
    run_id                bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    requested_by          oid NOT NULL,
    started_at            timestamptz NOT NULL DEFAULT now(),
    elapsed_ms            float8,
    queries               int,
    candidates            int,
    planner_calls         bigint,
    priced_configurations bigint,
    cost_before           float8,
    cost_after            float8,
    storage_budget_bytes  bigint,
    skipped               jsonb NOT NULL DEFAULT '[]'
);
COMMENT ON TABLE hone.advisor_run_store IS 'Runs of the advisor';

CREATE TABLE hone.recommendation_store (
    id              bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    run_id          bigint NOT NULL REFERENCES hone.advisor_run_store ON DELETE CASCADE,
    created_at      timestamptz NOT NULL DEFAULT now(),
    requested_by    oid NOT NULL,
    status          text NOT NULL DEFAULT 'proposed'
                    CHECK (status IN ('proposed', 'applied', 'reverted', 'dismissed', 'superseded')),
    dismiss_reason  text,
    action          text NOT NULL CHECK (action IN ('create', 'drop')),
    relid           oid NOT NULL,      -- the table, as it was when this was decided
    table_name      text NOT NULL,     -- qualified and quoted
    access_method   text NOT NULL,
    index_name      text NOT NULL,     -- not qualified, not quoted; chosen free
    definition      text NOT NULL,     -- CREATE INDEX index_name ON ... or DROP INDEX ...
    undo_definition text NOT NULL,
    size_bytes      bigint NOT NULL,
    cost_before     float8 NOT NULL,
    cost_after      float8 NOT NULL,
    improvement     float8 NOT NULL,   -- share of cost_before saved, 0 to 1
    write_cost      float8 NOT NULL,
    queries_helped  int NOT NULL,
    queries_hurt    int NOT NULL,
    reason          text NOT NULL
);
CREATE INDEX ON hone.recommendation_store (run_id);
COMMENT ON TABLE hone.recommendation_store IS 'Recommended changes';
