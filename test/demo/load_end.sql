SELECT setval('users_id_seq', 50000), setval('conversations_id_seq', 60000) \g /dev/null
ALTER TABLE orders ADD FOREIGN KEY (user_id) REFERENCES users;
ALTER TABLE conversations ADD FOREIGN KEY (user_id) REFERENCES users;
ALTER TABLE messages ADD FOREIGN KEY (conversation_id) REFERENCES conversations;
GRANT USAGE ON SCHEMA demo TO app;
GRANT SELECT ON demo.arguments TO app;
VACUUM ANALYZE metrics;
VACUUM ANALYZE telemetry_events;
VACUUM ANALYZE users;
VACUUM ANALYZE orders;
VACUUM ANALYZE conversations;
VACUUM ANALYZE messages;
VACUUM ANALYZE settings;
VACUUM ANALYZE demo.arguments;
CHECKPOINT;
