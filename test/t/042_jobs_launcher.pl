# The launcher is in nobody's way: databases can be dropped, the extension made
# and dropped under it, a standby runs it, and it comes back when terminated.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('primary');
$node->init(allows_streaming => 1);
$node->append_conf('postgresql.conf', qq{
shared_preload_libraries = 'pg_hone'
pg_hone.collect_interval = 1
fsync = off
});
$node->start;

sub wait_for
{
	my ($query, $what, $database) = @_;
	ok($node->poll_query_until($database // 'postgres', $query), $what);
}
my $launcher = "SELECT count(*) = 1 FROM pg_stat_activity WHERE backend_type = 'pg_hone launcher' AND datid IS NULL";
wait_for($launcher, 'there is a launcher, in no database');

# created and dropped, each with rounds going on
$node->safe_psql('postgres', 'CREATE DATABASE d');
for my $i (1 .. 2)
{
	$node->safe_psql('d', 'CREATE EXTENSION pg_hone');
	wait_for("SELECT count(*) = 1 FROM hone.collector_status WHERE database = 'd' AND step = 'reconcile_actions'",
		"extension made ($i): collected", 'd');
	$node->safe_psql('d', 'SELECT hone.wake_collector()');
	$node->safe_psql('d', 'DROP EXTENSION pg_hone');
}
$node->safe_psql('d', 'CREATE EXTENSION pg_hone; SELECT hone.wake_collector()');
$node->safe_psql('postgres', 'DROP DATABASE d');
$node->safe_psql('postgres', 'CREATE EXTENSION pg_hone');
wait_for("SELECT count(*) = 0 FROM hone.collector_databases() c WHERE NOT EXISTS (SELECT FROM pg_database WHERE oid = dbid)
	AND (SELECT count(*) > 0 FROM hone.collector_status WHERE step = 'round' AND last_run IS NOT NULL)", 'the dropped database is forgotten');

# a round that fails is remembered, and the next one is not soon
$node->safe_psql('postgres', q{ALTER FUNCTION hone.collector_steps() RENAME TO collector_steps_away; SELECT hone.wake_collector()});
wait_for("SELECT failures > 0 AND last_error LIKE 'function hone.collector_steps() does not exist%'
	FROM hone.collector_status WHERE database = 'postgres' AND step = 'round'", 'a failed round is remembered');
$node->safe_psql('postgres', q{ALTER FUNCTION hone.collector_steps_away() RENAME TO collector_steps; SELECT hone.wake_collector()});
wait_for("SELECT failures = 0 AND last_error IS NULL FROM hone.collector_status WHERE database = 'postgres' AND step = 'round'",
	'and forgotten after one that does not');

# nobody can stop the collector by locking the extension, as anybody may
$node->safe_psql('postgres', 'CREATE ROLE mallory');
my $steps = $node->safe_psql('postgres', q{
	BEGIN;
	SET LOCAL ROLE mallory;
	CREATE FUNCTION pg_temp.f() RETURNS int LANGUAGE sql AS 'SELECT 1';
	ALTER FUNCTION pg_temp.f() DEPENDS ON EXTENSION pg_hone;
	RESET ROLE;
	DO $$
	BEGIN
		FOR i IN 1 .. 300 LOOP
			PERFORM pg_sleep(0.1);
			EXIT WHEN (SELECT count(*) FROM hone.collector_status
				WHERE step IN ('collect_slow_queries', 'reconcile_actions') AND last_run > now() AND failures = 0) = 2;
		END LOOP;
	END
	$$;
	SELECT count(*) FROM hone.collector_status
	WHERE step IN ('collect_slow_queries', 'reconcile_actions') AND last_run > now() AND failures = 0;
	ROLLBACK;
});
is($steps, 2, 'a lock on the extension does not stop the collector');
$node->safe_psql('postgres', 'DROP ROLE mallory');

# a database in which nothing happens is left alone: rounds are no workload.
# (But once the minute is over, there is one to collect its statistics.)
sleep 12 if (localtime)[0] > 48;
my $quiet = "SELECT last_run FROM hone.collector_databases() WHERE dbid = (SELECT oid FROM pg_database WHERE datname = 'quiet')";
$node->safe_psql('postgres', 'CREATE DATABASE quiet');
$node->safe_psql('quiet', 'CREATE EXTENSION pg_hone');
sleep 3;
my $before = $node->safe_psql('postgres', $quiet);
isnt($before, '', 'a quiet database was looked at');
sleep 2;
is($node->safe_psql('postgres', $quiet), $before, 'and is left alone');

# standby
$node->backup('b');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($node, 'b', has_streaming => 1);
$standby->start;
ok($standby->poll_query_until('postgres', $launcher), 'the launcher runs on a standby');
my ($ret, $out, $err) = $standby->psql('postgres', 'CALL hone.apply(1)', on_error_stop => 0, extra_params => ['-v', 'VERBOSITY=sqlstate']);
like($err, qr/25006/, 'apply is refused there');
($ret, $out, $err) = $standby->psql('postgres', 'SELECT hone.collect()', extra_params => ['-v', 'VERBOSITY=sqlstate']);
like($err, qr/25006/, 'so is a round');
($ret, $out, $err) = $standby->psql('postgres', 'SELECT hone.reconcile_actions()', extra_params => ['-v', 'VERBOSITY=sqlstate']);
like($err, qr/25006/, 'so is looking after actions');
is($standby->safe_psql('postgres', "SELECT count(*) FROM hone.collector_databases() WHERE last_run IS NOT NULL"), '0', 'no rounds');
$standby->promote;
ok($standby->poll_query_until('postgres', "SELECT count(*) > 0 FROM hone.collector_databases() WHERE last_run IS NOT NULL"), 'rounds after promotion');
$standby->stop;

# terminated: exits, and is started again
$node->safe_psql('postgres', "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE backend_type = 'pg_hone launcher'");
wait_for("SELECT count(*) = 0 FROM pg_stat_activity WHERE backend_type = 'pg_hone launcher'", 'terminated');
wait_for($launcher, 'started again');

$node->stop('fast');
unlike(slurp_file($node->logfile), qr/PANIC|was terminated by signal/, 'nothing crashed');
done_testing();
