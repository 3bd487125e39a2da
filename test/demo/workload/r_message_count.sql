\set conversation random_exponential(1, 60000, 2)
SELECT count(*) FROM messages WHERE conversation_id = :conversation;
