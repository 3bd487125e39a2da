-- Users, orders, conversations, messages, settings; and the arguments that the
-- workload's scripts draw from (an application knows its names and addresses;
-- pgbench alone can only make numbers).
SELECT setseed(0.44) \g /dev/null
INSERT INTO users (id, email, name, created_at)
SELECT i, demo.email(i), 'User ' || i, now() - interval '2 years' * (1 - i / 50000.0)
FROM generate_series(1, 50000) i;

INSERT INTO orders (user_id, status, total, created_at, updated_at)
SELECT 1 + floor(50000 * power(random(), 1.5))::int,
       CASE WHEN s < 0.88 THEN 'completed' WHEN s < 0.94 THEN 'shipped'
            WHEN s < 0.98 THEN 'pending' ELSE 'cancelled' END,
       round((10 + 500 * power(random(), 3))::numeric, 2), at, at
FROM (SELECT random() AS s, now() - interval '1 year' * (1 - i / 250000.0) AS at
      FROM generate_series(1, 250000) i OFFSET 0) o;

INSERT INTO conversations (id, user_id, status, assigned_agent_id, title, created_at, updated_at)
SELECT i, 1 + floor(50000 * power(random(), 2.5))::int,
       CASE WHEN s < 0.90 THEN 'closed' WHEN s < 0.94 THEN 'active'
            WHEN s < 0.97 THEN 'waiting' ELSE 'assigned' END,
       CASE WHEN s > 0.30 THEN 1 + floor(60 * random())::int END,
       'Conversation ' || i, at, at + interval '3 days' * random()
FROM (SELECT i, random() AS s, now() - interval '180 days' * (1 - i / 60000.0) AS at
      FROM generate_series(1, 60000) i OFFSET 0) c;

INSERT INTO messages (conversation_id, role, content, created_at)
SELECT 1 + floor(60000 * power(random(), 1.8))::int,
       CASE WHEN i % 2 = 0 THEN 'assistant' ELSE 'user' END,
       repeat('the text of a message ', 2 + (random() * 12)::int),
       now() - interval '180 days' * (1 - i / 400000.0)
FROM generate_series(1, 400000) i;

INSERT INTO settings (key, value)
SELECT 'feature.' || i, jsonb_build_object('enabled', i % 3 = 0, 'rollout', i % 100,
                                           'owner', 'team-' || (i % 12))
FROM generate_series(1, 300) i;

-- Names and types are asked for evenly (a dashboard shows every panel).
INSERT INTO demo.arguments
SELECT n, demo.metric_name(floor(400 * random())::int),
       ARRAY[demo.metric_name(floor(400 * random())::int), demo.metric_name(floor(400 * random())::int),
             demo.metric_name(floor(400 * random())::int)]::text,
       demo.event_type(floor(60 * random())::int),
       (ARRAY['info', 'warning', 'error', 'critical'])[1 + floor(4 * random())::int],
       jsonb_build_object('host', 'web-' || lpad((host % 40)::text, 2, '0'),
                          'deployment', 'd-' || lpad(floor(300 * random())::text, 4, '0'))::text,
       'd-' || lpad(floor(300 * random())::text, 4, '0'),
       jsonb_build_object('userId', 1 + floor(50000 * random())::int)::text,
       demo.email(1 + floor(50000 * random())::int),
       'feature.' || (1 + floor(300 * random())::int),
       jsonb_build_object('owner', 'team-' || (n % 12))::text,
       (ARRAY['completed', 'shipped', 'pending', 'cancelled'])[1 + floor(4 * random())::int]
FROM (SELECT n, floor(120 * random())::int AS host FROM generate_series(1, 1000) n OFFSET 0) a;
