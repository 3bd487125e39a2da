\set conversation random_exponential(1, 60000, 2)
UPDATE conversations SET updated_at = now() WHERE id = :conversation;
