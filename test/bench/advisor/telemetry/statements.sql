-- t01 weight 200
SELECT id, metric_name, value, unit, labels, timestamp FROM metrics WHERE metric_name = 'app.metric_017' ORDER BY timestamp DESC LIMIT 100;
-- t02 weight 200
SELECT value, timestamp FROM metrics WHERE metric_name = 'app.metric_003' AND timestamp > now() - interval '24 hours' ORDER BY timestamp DESC;
-- t03 weight 50
SELECT metric_name, value, timestamp FROM metrics WHERE labels @> '{"host": "web-07", "deployment": "d-0211"}' ORDER BY timestamp DESC LIMIT 100;
-- t04 weight 50
SELECT metric_name, value, timestamp FROM metrics WHERE labels ->> 'deployment' = 'd-0123' ORDER BY timestamp DESC LIMIT 100;
-- t05 weight 20
SELECT date_trunc('hour', timestamp) AS hour, metric_name, avg(value), max(value), count(*) FROM metrics
WHERE timestamp >= now() - interval '6 hours' GROUP BY 1, 2 ORDER BY 1, 2;
-- t06 weight 20
SELECT DISTINCT ON (metric_name) metric_name, value, timestamp FROM metrics
WHERE metric_name IN ('app.metric_000', 'app.metric_020', 'app.metric_120', 'app.metric_399') ORDER BY metric_name, timestamp DESC;
-- t07 weight 10
SELECT * FROM metrics WHERE metric_name = ANY (ARRAY['app.metric_311', 'app.metric_045', 'app.metric_202']) ORDER BY timestamp DESC;
-- t08 weight 5
SELECT labels ->> 'service' AS service, count(*), avg(value) FROM metrics
WHERE metric_name = 'app.metric_001' AND labels ->> 'env' = 'prod' AND timestamp > now() - interval '7 days' GROUP BY 1 ORDER BY 2 DESC;
-- t09 weight 50
SELECT event_type, event_data, timestamp FROM telemetry_events WHERE event_data @> '{"userId": 4711}' ORDER BY timestamp DESC LIMIT 50;
-- t10 weight 30
SELECT id, event_type, event_data, timestamp FROM telemetry_events WHERE event_data ->> 'sessionId' = md5('2222') ORDER BY timestamp;
-- t11 weight 100
SELECT id, event_type, severity, timestamp FROM telemetry_events WHERE severity IN ('error', 'critical') ORDER BY timestamp DESC LIMIT 50;
-- t12 weight 40
SELECT * FROM telemetry_events WHERE severity = 'critical' AND timestamp > now() - interval '24 hours' ORDER BY timestamp DESC LIMIT 100;
-- t13 weight 40
SELECT * FROM telemetry_events WHERE event_type = 'event.09' AND id < 150000 ORDER BY id DESC LIMIT 50;
-- t14 weight 10
SELECT count(*) FROM telemetry_events WHERE severity = 'error' AND timestamp >= now() - interval '3 days';
-- t15 weight 5
SELECT event_type, count(*), percentile_cont(0.95) WITHIN GROUP (ORDER BY (event_data ->> 'durationMs')::float8) FROM telemetry_events
WHERE timestamp BETWEEN now() - interval '2 days' AND now() - interval '1 day' AND (event_data ->> 'status')::int = 500 GROUP BY event_type;
-- t16 weight 100
SELECT * FROM (SELECT 'telemetry' AS type, event_type AS title, event_data ->> 'path' AS description, severity, timestamp AS created_at
               FROM telemetry_events WHERE timestamp > now() - interval '24 hours'
               UNION ALL SELECT 'metric', metric_name, value::text || ' ' || unit, 'info', timestamp FROM metrics
               WHERE timestamp > now() - interval '24 hours') activities ORDER BY created_at DESC LIMIT 20 OFFSET 40;
-- t17 weight 300
SELECT * FROM users WHERE lower(email) = lower('user.C4CA4238A0B923820DCC509A6F75849B@example.com');
-- t18 weight 10
SELECT id, name FROM users WHERE email ILIKE '%f75849b@corp%' LIMIT 20;
-- t19 weight 150
SELECT * FROM orders WHERE user_id = 777 ORDER BY created_at DESC LIMIT 20;
-- t20 weight 100
SELECT id, user_id, total, created_at FROM orders WHERE status = 'pending' ORDER BY created_at LIMIT 50;
-- t21 weight 5
SELECT date_trunc('day', created_at) AS day, count(*), sum(total) FROM orders WHERE created_at >= now() - interval '30 days' AND status <> 'cancelled'
GROUP BY day ORDER BY day;
-- t22 weight 20
SELECT u.id, u.name, count(*), sum(o.total) FROM users u JOIN orders o ON o.user_id = u.id
WHERE u.created_at > now() - interval '14 days' AND o.total > 100 GROUP BY u.id, u.name ORDER BY 4 DESC LIMIT 20;
-- t23 weight 80
SELECT * FROM conversations WHERE user_id = 51 ORDER BY updated_at DESC LIMIT 50;
-- t24 weight 80
SELECT * FROM conversations WHERE assigned_agent_id = 17 AND status IN ('active', 'waiting', 'assigned') ORDER BY updated_at DESC LIMIT 50;
-- t25 weight 200
SELECT * FROM messages WHERE conversation_id = 1234 ORDER BY created_at DESC LIMIT 50;
-- t26 weight 1
SELECT c.id, c.title, m.content, m.created_at FROM conversations c
     JOIN LATERAL (SELECT content, created_at FROM messages WHERE conversation_id = c.id ORDER BY created_at DESC LIMIT 1) m ON true
WHERE c.status = 'waiting' ORDER BY c.updated_at DESC LIMIT 20;
-- t27 weight 5
SELECT id, conversation_id, content FROM messages WHERE content ILIKE '%a87ff679%' ORDER BY created_at DESC LIMIT 20;
-- t28 weight 10
SELECT c.id, count(m.id) FROM conversations c LEFT JOIN messages m ON m.conversation_id = c.id AND m.created_at > now() - interval '7 days'
WHERE c.updated_at > now() - interval '7 days' GROUP BY c.id;
-- t29 weight 40
SELECT id, title, created_at FROM incidents WHERE tags @> ARRAY['host-120', 'p1'] ORDER BY created_at DESC LIMIT 20;
-- t30 weight 30
SELECT id, title FROM incidents WHERE search @@ to_tsquery('english', 'case4321 & harbour') ORDER BY ts_rank(search, to_tsquery('english', 'case4321 & harbour')) DESC LIMIT 20;
-- t31 weight 60
SELECT id, title, assignee FROM incidents WHERE open AND assignee = 42 ORDER BY created_at;
-- t32 weight 10
SELECT count(*) FROM incidents WHERE open AND assignee IS NULL;
-- t33 weight 30
SELECT host, during, note FROM maintenance WHERE during && tstzrange(now() - interval '2 hours', now());
-- t34 weight 20
SELECT * FROM maintenance WHERE host = 'web-31' AND during @> now() - interval '100 days';
-- t35 weight 60
SELECT id, user_id, started_at FROM sessions WHERE ended_at IS NULL AND user_id = 99;
-- t36 weight 20
SELECT user_id, started_at FROM sessions WHERE ip <<= inet '10.17.32.0/24' ORDER BY started_at DESC LIMIT 100;
-- t37 weight 10
SELECT device ->> 'os' AS os, count(*) FROM sessions WHERE (device ->> 'build')::int = 377 GROUP BY 1;
-- t38 weight 40
SELECT id, total, created_at FROM orders WHERE (created_at, id) < (now() - interval '40 days', 45000) ORDER BY created_at DESC, id DESC LIMIT 25;
-- t39 weight 30
SELECT max(timestamp) FROM metrics WHERE metric_name = 'app.metric_250';
-- t40 weight 10
SELECT key, value FROM settings WHERE value @> '{"owner": "team-5"}';
-- w01 weight 3000
INSERT INTO metrics (metric_name, value, unit, labels) VALUES ('app.metric_031', 12.5, 'ms', '{"host": "web-01", "service": "api", "region": "eu-west-1", "deployment": "d-0299", "env": "prod"}');
-- w02 weight 2000
INSERT INTO telemetry_events (event_type, event_data) VALUES ('event.05', '{"userId": 17, "path": "/api/users", "status": 200, "durationMs": 17.2, "sessionId": "c81e728d9d4c2f636f067f89cc14862c"}');
-- w03 weight 200
INSERT INTO messages (conversation_id, role, content) VALUES (77, 'user', 'a new message of the usual length, more or less');
-- w04 weight 200
UPDATE conversations SET updated_at = now() WHERE id = 4321;
-- w05 weight 50
UPDATE conversations SET status = 'closed', updated_at = now() WHERE id = 4321;
-- w06 weight 100
INSERT INTO orders (user_id, status, total) VALUES (12, 'pending', 99.90);
-- w07 weight 80
UPDATE orders SET status = 'shipped', updated_at = now() WHERE id = 30000;
-- w08 weight 100
INSERT INTO sessions VALUES (gen_random_uuid(), 12, '10.1.2.3', now(), NULL, '{"os": "linux", "build": 12}');
-- w09 weight 100
UPDATE sessions SET ended_at = now() WHERE id = md5('session1000')::uuid;
-- w10 weight 1
DELETE FROM metrics WHERE timestamp < now() - interval '35 days';
-- w11 weight 1
DELETE FROM telemetry_events WHERE timestamp < now() - interval '35 days' AND severity = 'info';
-- w12 weight 5
UPDATE incidents SET open = false WHERE assignee = 55 AND open;
