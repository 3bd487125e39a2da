-- The demonstration's tables (test/demo/schema.sql), and three more that have an
-- array, a document to search, and ranges of time. Scale 1 has 1.2 million metrics
-- and 1 million events, in the order of time, the newest of now.
\ir ../../../demo/schema.sql
CREATE TABLE incidents (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    tags       text[] NOT NULL,
    title      text NOT NULL,
    body       text NOT NULL,
    search     tsvector NOT NULL,
    assignee   bigint,
    open       boolean NOT NULL,
    created_at timestamptz NOT NULL
);
CREATE TABLE maintenance (
    id      bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    host    varchar(50) NOT NULL,
    during  tstzrange NOT NULL,
    note    text
);
CREATE TABLE sessions (
    id         uuid PRIMARY KEY,
    user_id    bigint NOT NULL,
    ip         inet NOT NULL,
    started_at timestamptz NOT NULL,
    ended_at   timestamptz,
    device     jsonb NOT NULL
);
SELECT (1200000 * :scale)::int AS metrics, (1000000 * :scale)::int AS events, (50000 * :scale)::int AS users, (250000 * :scale)::int AS orders,
       (60000 * :scale)::int AS conversations, (400000 * :scale)::int AS messages, (60000 * :scale)::int AS incidents,
       (20000 * :scale)::int AS maintenance, (200000 * :scale)::int AS sessions \gset

INSERT INTO metrics (metric_name, value, unit, labels, timestamp)
SELECT 'app.metric_' || lpad(name::text, 3, '0'), gen.money(i, 3, 0, 100), (ARRAY['ms', 'percent', 'bytes', 'count'])[1 + name % 4],
       jsonb_build_object('host', 'web-' || lpad((host % 40)::text, 2, '0'),
                          'service', (ARRAY['api', 'checkout', 'search', 'auth', 'chat', 'billing', 'mailer', 'gateway'])[1 + host % 8],
                          'region', (ARRAY['eu-west-1', 'us-east-1', 'ap-south-1'])[1 + host % 3],
                          'deployment', 'd-' || lpad((i * 300::bigint / :metrics)::text, 4, '0'),
                          'env', CASE WHEN host % 10 = 0 THEN 'staging' ELSE 'prod' END),
       now() - interval '35 days' * (1 - i::float8 / :metrics)
FROM (SELECT i, gen.skew(i, 1, 0, 399, 3) AS name, gen.n(i, 2, 0, 119) AS host FROM generate_series(1, :metrics) i OFFSET 0) s;
INSERT INTO telemetry_events (event_type, event_data, severity, timestamp)
SELECT 'event.' || lpad(type::text, 2, '0'),
       jsonb_build_object('userId', gen.skew(i, 2, 1, :users, 2), 'path', '/api/' || (ARRAY['orders', 'users', 'conversations', 'search', 'settings'])[1 + type % 5],
                          'status', CASE WHEN s < 0.97 THEN 200 ELSE 500 END, 'durationMs', round((5 + 200 * power(gen.u(i, 3), 4))::numeric, 1),
                          'sessionId', md5((i / 12)::text)),
       CASE WHEN s < 0.90 THEN 'info' WHEN s < 0.97 THEN 'warning' WHEN s < 0.995 THEN 'error' ELSE 'critical' END,
       now() - interval '35 days' * (1 - i::float8 / :events)
FROM (SELECT i, gen.skew(i, 1, 0, 59, 2.5) AS type, gen.u(i, 4) AS s FROM generate_series(1, :events) i OFFSET 0) e;
INSERT INTO users (id, email, name, created_at)
SELECT i, 'User.' || md5(i::text) || '@' || gen.pick(i, 1, ARRAY['example.com', 'example.org', 'mail.example', 'corp.example']),
       initcap(gen.text(i, 2, 8, 24)), now() - interval '2 years' * (1 - i::float8 / :users)
FROM generate_series(1, :users) i;
INSERT INTO orders (user_id, status, total, created_at, updated_at)
SELECT gen.skew(i, 1, 1, :users, 1.5), CASE WHEN s < 0.88 THEN 'completed' WHEN s < 0.94 THEN 'shipped' WHEN s < 0.98 THEN 'pending' ELSE 'cancelled' END,
       round((10 + 500 * power(gen.u(i, 3), 3))::numeric, 2), at, at
FROM (SELECT i, gen.u(i, 2) AS s, now() - interval '1 year' * (1 - i::float8 / :orders) AS at FROM generate_series(1, :orders) i OFFSET 0) o;
INSERT INTO conversations (id, user_id, status, assigned_agent_id, title, created_at, updated_at)
SELECT i, gen.skew(i, 1, 1, :users, 2.5), CASE WHEN s < 0.90 THEN 'closed' WHEN s < 0.94 THEN 'active' WHEN s < 0.97 THEN 'waiting' ELSE 'assigned' END,
       CASE WHEN s > 0.30 THEN gen.n(i, 3, 1, 60) END, gen.text(i, 5, 20, 60) || ' ' || i, at, at + interval '3 days' * gen.u(i, 4)
FROM (SELECT i, gen.u(i, 2) AS s, now() - interval '180 days' * (1 - i::float8 / :conversations) AS at FROM generate_series(1, :conversations) i OFFSET 0) c;
INSERT INTO messages (conversation_id, role, content, created_at)
SELECT gen.skew(i, 1, 1, :conversations, 1.8), CASE WHEN i % 2 = 0 THEN 'assistant' ELSE 'user' END, gen.text(i, 2, 40, 300) || ' ' || md5((i / 3)::text),
       now() - interval '180 days' * (1 - i::float8 / :messages)
FROM generate_series(1, :messages) i;
INSERT INTO settings (key, value)
SELECT 'feature.' || i, jsonb_build_object('enabled', i % 3 = 0, 'rollout', i % 100, 'owner', 'team-' || (i % 12)) FROM generate_series(1, 300) i;
INSERT INTO incidents (tags, title, body, search, assignee, open, created_at)
SELECT ARRAY['host-' || gen.skew(i, 1, 1, 200, 2), 'team-' || gen.n(i, 2, 1, 40), gen.pick(i, 3, ARRAY['p1', 'p2', 'p3', 'p3', 'p3', 'p4', 'p4', 'p4', 'p4'])],
       initcap(title), body, to_tsvector('english', title || ' ' || body || ' case' || i % 5000), CASE WHEN gen.u(i, 5) < 0.8 THEN gen.n(i, 6, 1, 300) END,
       gen.u(i, 7) < 0.04, now() - interval '1 year' * (1 - i::float8 / :incidents)
FROM (SELECT i, gen.text(i, 8, 20, 50) AS title, gen.text(i, 9, 60, 200) AS body FROM generate_series(1, :incidents) i OFFSET 0) s;
INSERT INTO maintenance (host, during, note)
SELECT 'web-' || lpad(gen.n(i, 1, 0, 39)::text, 2, '0'), tstzrange(at, at + interval '4 hours' * gen.u(i, 2)), gen.text(i, 3, 20, 80)
FROM (SELECT i, now() - interval '2 years' * (1 - i::float8 / :maintenance) AS at FROM generate_series(1, :maintenance) i OFFSET 0) m;
INSERT INTO sessions
SELECT md5('session' || i)::uuid, gen.skew(i, 1, 1, :users, 1.8), ('10.' || gen.n(i, 2, 0, 40) || '.' || gen.n(i, 3, 0, 255) || '.' || gen.n(i, 4, 1, 254))::inet,
       at, CASE WHEN gen.u(i, 5) < 0.97 THEN at + interval '2 hours' * gen.u(i, 6) END,
       jsonb_build_object('os', gen.pick(i, 7, ARRAY['ios', 'android', 'linux', 'windows', 'macos']), 'build', gen.skew(i, 8, 1, 400, 2))
FROM (SELECT i, now() - interval '90 days' * (1 - i::float8 / :sessions) AS at FROM generate_series(1, :sessions) i OFFSET 0) s;
CREATE EXTENSION IF NOT EXISTS pg_trgm SCHEMA public;
