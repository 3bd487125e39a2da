-- Short names for the workload's statements, for printing. A statement is
-- known by the beginning of its text.
CREATE TABLE demo.labels (label text PRIMARY KEY, kind text NOT NULL, pattern text NOT NULL);
INSERT INTO demo.labels VALUES
    ('metric, latest of a name',         'read',  'SELECT id, metric_name, value, unit%'),
    ('metric, last 24 h of a name',      'read',  'SELECT value, timestamp FROM metrics%'),
    ('metric, several names (no LIMIT)', 'read',  'SELECT * FROM metrics%ANY%'),
    ('metric, labels @>',                'read',  'SELECT metric_name, value, timestamp FROM metrics WHERE labels @>%'),
    ('metric, labels->>',                'read',  'SELECT metric_name, value, timestamp FROM metrics WHERE labels->>%'),
    ('telemetry, latest of a type',      'read',  'SELECT * FROM telemetry_events WHERE event_type%'),
    ('telemetry, 24 h of a severity',    'read',  'SELECT * FROM telemetry_events WHERE severity%'),
    ('telemetry, latest errors',         'read',  'SELECT id, event_type, severity%'),
    ('telemetry, event_data @>',         'read',  'SELECT event_type, event_data, timestamp FROM telemetry_events%'),
    ('setting by key',                   'read',  'SELECT value FROM settings%'),
    ('setting, value @>',                'read',  'SELECT key, value FROM settings%'),
    ('user by email',                    'read',  'SELECT * FROM users%'),
    ('user by lower(email)',             'read',  'SELECT id, name FROM users%'),
    ('order by status and user',         'read',  'SELECT * FROM orders WHERE status%'),
    ('order, latest of a user',          'read',  'SELECT * FROM orders WHERE user_id%'),
    ('order, oldest pending',            'read',  'SELECT id, user_id, total%'),
    ('conversation, latest of a user',   'read',  'SELECT * FROM conversations WHERE user_id%'),
    ('conversation, open of an agent',   'read',  'SELECT * FROM conversations WHERE assigned%'),
    ('message, latest of a conversation','read',  'SELECT * FROM messages%'),
    ('message, count of a conversation', 'read',  'SELECT count(*) FROM messages%'),
    ('recent activities (UNION ALL)',    'read',  'SELECT * FROM (SELECT%UNION ALL%'),
    ('insert metric',                    'write', 'INSERT INTO metrics%'),
    ('insert telemetry event',           'write', 'INSERT INTO telemetry_events%'),
    ('upsert setting',                   'write', 'INSERT INTO settings%'),
    ('touch conversation',               'write', 'UPDATE conversations SET updated_at%'),
    ('close conversation',               'write', 'UPDATE conversations SET status%'),
    ('insert message',                   'write', 'INSERT INTO messages%'),
    ('insert order',                     'write', 'INSERT INTO orders%'),
    ('update order status',              'write', 'UPDATE orders%');

-- The workload's statements as pg_hone measured them since the last reset.
-- Statements nested in others (foreign key checks) are inside those.
CREATE VIEW demo.measured AS
SELECT l.label, l.kind, s.queryid, s.calls, s.total_exec_ms, s.mean_exec_ms, s.p50_ms, s.p95_ms,
       s.rows::float8 / greatest(s.calls, 1) AS rows_per_call
FROM demo.labels l
JOIN hone.query_stats s ON s.query LIKE l.pattern
WHERE s.datname = current_database() AND s.username = 'app' AND s.toplevel;

CREATE TABLE demo.before AS SELECT * FROM demo.measured WITH NO DATA;
CREATE TABLE demo.after AS SELECT * FROM demo.measured WITH NO DATA;
