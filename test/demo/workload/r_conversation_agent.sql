\set agent random(1, 60)
SELECT * FROM conversations WHERE assigned_agent_id = :agent AND status IN ('active', 'waiting', 'assigned') ORDER BY updated_at DESC LIMIT 50;
