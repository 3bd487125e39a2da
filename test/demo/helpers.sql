-- What the load and the workload share. Nothing here belongs to the user's
-- schema.
CREATE SCHEMA demo;
CREATE FUNCTION demo.metric_name(i int) RETURNS text LANGUAGE sql IMMUTABLE
RETURN (ARRAY['http', 'db', 'cache', 'queue', 'cpu', 'memory', 'disk', 'net'])[1 + i % 8]
    || '.' || (ARRAY['requests', 'latency', 'errors', 'usage', 'size'])[1 + i % 5] || '.' || i;
CREATE FUNCTION demo.event_type(i int) RETURNS text LANGUAGE sql IMMUTABLE
RETURN (ARRAY['page_view', 'api_call', 'login', 'click', 'message_sent', 'order_placed'])[1 + i % 6] || '_' || i;
CREATE FUNCTION demo.email(i int) RETURNS text LANGUAGE sql IMMUTABLE
RETURN CASE WHEN i % 7 = 0 THEN 'User' ELSE 'user' END || '.' || i || '@example.com';
CREATE TABLE demo.arguments (
    n int PRIMARY KEY, metric_name text, metric_names text, event_type text, severity text,
    labels text, deployment text, event_data text, email text, setting text, setting_value text,
    order_status text
);
