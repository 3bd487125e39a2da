\set conversation random_exponential(1, 60000, 2)
SELECT * FROM messages WHERE conversation_id = :conversation ORDER BY created_at DESC LIMIT 50;
