-- One table of test/bench/trial, @T@: what is asked of it, what lures the
-- planner, and what is written.
--
-- Rows whose kind is 'legacy' (2 %) are the oldest and have the smallest
-- amounts. The planner does not know that: with an index on created_at or amount
-- it believes that a walk in its order meets one after fifty rows, and walks
-- nearly all of them. Without, it sorts what the index on kind gives.
CREATE TABLE @T@ (
    id          bigint PRIMARY KEY,
    customer_id int NOT NULL,
    kind        text NOT NULL,
    status      text NOT NULL,
    region      int NOT NULL,
    created_at  timestamptz NOT NULL,
    amount      numeric NOT NULL,
    email       text NOT NULL,
    attributes  jsonb NOT NULL,
    touched     int NOT NULL
) WITH (fillfactor = 80);

INSERT INTO @T@
SELECT i, hashint4(i) & 4095,
       CASE WHEN i <= 800 THEN 'legacy' ELSE (ARRAY['web', 'shop', 'phone'])[1 + i % 3] END,
       CASE WHEN hashint4(i + 7) & 63 = 0 THEN 'open' ELSE 'done' END,
       hashint4(i + 11) & 31,
       timestamptz '2026-01-01' + i * interval '1 minute',
       CASE WHEN i <= 800 THEN i / 1000.0 ELSE 10 + (hashint4(i + 3) & 65535) END,
       'User' || (hashint4(i + 5) & 8191) || '@Example.org',
       jsonb_build_object('tag', hashint4(i + 13) & 2047, 'level', i % 7),
       0
FROM generate_series(1, 40000) i;
CREATE INDEX ON @T@ (kind);
VACUUM ANALYZE @T@;
