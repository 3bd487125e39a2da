SET client_min_messages = warning; CREATE EXTENSION IF NOT EXISTS pg_hone;
CREATE ROLE regress_pool_other;
RESET client_min_messages;
SET application_name = 'pool one';
SELECT datname, username = current_user AS mine, application_name, total, active, idle, idle_in_transaction, waiting,
	oldest_transaction_s >= 0 AS in_transaction, oldest_idle_s, peak_total
FROM hone.pool_stats WHERE application_name = 'pool one';
-- A peak stays when its sessions go.
SET application_name = 'pool two';
SELECT application_name, peak_total FROM hone.pool_peaks()
WHERE application_name LIKE 'pool %' AND dbid = (SELECT oid FROM pg_database WHERE datname = current_database()) ORDER BY 1;
SELECT max_connections = current_setting('max_connections')::int AS max_connections,
	reserved >= current_setting('superuser_reserved_connections')::int AS reserved,
	in_use >= 1 AS in_use, available = max_connections - reserved - in_use AS available,
	high_water_mark >= in_use AS high_water_mark, high_water_mark_at <= clock_timestamp() AS high_water_mark_at,
	refused_connections >= 0 AS refused, utilisation > 0 AND utilisation < 1 AS utilisation
FROM hone.pool_summary;
-- Others see the limits, and no sessions but their own.
SET ROLE regress_pool_other;
SELECT count(*) FROM hone.pool_stats;
SELECT count(*) FROM hone.pool_peaks();
SELECT in_use >= 1 AS in_use FROM hone.pool_summary;
RESET ROLE;
GRANT pg_read_all_stats TO regress_pool_other;
SET ROLE regress_pool_other;
SELECT count(*) FROM hone.pool_stats WHERE application_name = 'pool two';
RESET ROLE;
DROP ROLE regress_pool_other;
