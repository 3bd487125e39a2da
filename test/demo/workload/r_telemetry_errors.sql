SELECT id, event_type, severity, timestamp FROM telemetry_events WHERE severity IN ('error', 'critical') ORDER BY timestamp DESC LIMIT 50;
