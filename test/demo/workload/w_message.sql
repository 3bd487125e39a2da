\set conversation random_exponential(1, 60000, 2)
INSERT INTO messages (conversation_id, role, content) VALUES (:conversation, 'user', 'a new message of the usual length, more or less');
