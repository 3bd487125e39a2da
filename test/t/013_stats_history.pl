# The stored history of query statistics: whatever stops, fails or comes twice,
# nothing is counted twice, and what is lost is the last minute at most. And what
# the library says of itself on a standby and where it was not loaded.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('primary');
$node->init(allows_streaming => 1);
$node->append_conf('postgresql.conf', q{
shared_preload_libraries = 'pg_hone'
pg_hone.collect_interval = 0
pg_hone.track = top
restart_after_crash = on
});
$node->start;
$node->safe_psql('postgres', 'CREATE EXTENSION pg_hone');

# The calls of one query, which only this test makes, so that they are known.
my $executed = 0;
sub execute
{
	my ($times) = @_;
	$node->safe_psql('postgres', "SELECT md5('history') AS counted;\n" x $times);
	$executed += $times;
}
my $text = q{query = 'SELECT md5($1) AS counted'};
sub in_history { $node->safe_psql('postgres', "SELECT sum(calls) FROM hone.query_history WHERE $text") }
sub in_minutes { $node->safe_psql('postgres', "SELECT sum(calls) FROM hone.query_rollup WHERE period = 'minute' AND $text") }
sub collect { $node->safe_psql('postgres', 'SELECT hone.collect_query_stats()') }

execute(3);
collect();
execute(4);
collect();
collect();
is(in_history(), $executed, 'collected');
is(in_minutes(), $executed, 'the minutes have what was counted');

# clean restart, before which all was collected
$node->restart;
collect();
is(in_minutes(), $executed, 'a restart counts nothing twice');
execute(2);
collect();
is(in_history() . ' ' . in_minutes(), "$executed $executed", 'and goes on counting');
is($node->safe_psql('postgres', "SELECT count(*) FROM hone.query_history WHERE $text"), 2, 'one row for each life');

# crash: what was not collected is lost, and nothing else
my $before = $executed;
execute(5);
$node->stop('immediate');
$node->start;
collect();
is(in_history() . ' ' . in_minutes(), "$before $before", 'a crash loses what was not collected');
$executed = $before;
execute(1);
collect();
is(in_history() . ' ' . in_minutes(), "$executed $executed", 'and goes on counting');

# a collection that is rolled back was none
execute(2);
$node->safe_psql('postgres', 'BEGIN; SELECT hone.collect_query_stats(); ROLLBACK');
collect();
is(in_history() . ' ' . in_minutes(), "$executed $executed", 'rolled back, then collected once');

# Two at once: the second waits, and finds nothing new. One that cannot see what
# the first did fails.
execute(3);
{
	my ($one, $two, $blind) = map { $node->background_psql('postgres', on_error_stop => 0) } (1 .. 3);
	$blind->query('BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM hone.query_rollup_store');
	$one->query_safe('BEGIN; SELECT hone.collect_query_stats()');
	$two->query_until(qr/started/, "\\echo started\nSELECT hone.collect_query_stats();\n");
	ok($node->poll_query_until('postgres',
		"SELECT count(*) = 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE 'SELECT hone.collect_query_stats()%'"),
		'the second waits');
	$one->query_safe('COMMIT');
	$two->query_safe('SELECT 1');
	$blind->query('SELECT hone.collect_query_stats()');
	like($blind->{stderr}, qr/could not serialize access/, 'blind for the first, it fails');
	$_->quit for ($one, $two, $blind);
}
is(in_history() . ' ' . in_minutes(), "$executed $executed", 'two at once count once');

# Evicted and back: a life each, and no call twice.
$node->append_conf('postgresql.conf', "pg_hone.max_queries = 100\npg_hone.track = all");
$node->restart;
execute(1);
collect();
$node->safe_psql('postgres', q{
DO $$
BEGIN
    FOR i IN 1..30 LOOP
        FOR j IN 1..50 LOOP
            EXECUTE 'SELECT g' || repeat(', g', i) || repeat(' + g', j) || ' FROM generate_series(1, 2) g';
        END LOOP;
    END LOOP;
END $$});
is($node->safe_psql('postgres', q{SELECT count(*) FROM hone.query_stats WHERE query LIKE '%md5($1) AS counted'}), 0, 'evicted');
collect();
is(in_history() . ' ' . in_minutes(), "$executed $executed", 'evicted: still there');
execute(2);
collect();
is(in_history() . ' ' . in_minutes(), "$executed $executed", 'back: counted once');
is($node->safe_psql('postgres', q{
SELECT (SELECT sum(calls) FROM hone.query_history_store) = (SELECT sum(calls) FROM hone.query_rollup_store WHERE period = 'minute')}), 't',
	'the sum of all minutes is the sum of all lives');

# A bound on rows of their own, and expiry, by the settings.
$node->append_conf('postgresql.conf', "pg_hone.rollup_queries = 3\npg_hone.track = top");
$node->reload;
$node->safe_psql('postgres', 'DELETE FROM hone.query_rollup_store');
$node->safe_psql('postgres', join('', map { 'SELECT 1' . (' + 1' x $_) . ";\n" } 1 .. 20));
collect();
is($node->safe_psql('postgres', q{
SELECT count(*) FILTER (WHERE queryid IS NOT NULL), count(*) FILTER (WHERE query = '<other>' AND calls > 15) FROM hone.query_rollup}),
	'3|1', 'three queries have rows, the rest is one');
$node->safe_psql('postgres', q{
DELETE FROM hone.query_rollup_store WHERE queryid <> 0;
UPDATE hone.query_rollup_store SET bucket_start = now() - interval '2 hours 10 minutes'});
$node->safe_psql('postgres', 'SELECT hone.expire_query_history()');
is($node->safe_psql('postgres', 'SELECT count(*) FROM hone.query_rollup'), 1, 'kept');
$node->append_conf('postgresql.conf', 'pg_hone.minute_retention = 1h');
$node->reload;
$node->safe_psql('postgres', 'SELECT hone.expire_query_history()');
is($node->safe_psql('postgres', 'SELECT count(*) FROM hone.query_rollup'), 1, 'kept until its hour is made');
$node->safe_psql('postgres', 'SELECT hone.roll_up_query_stats(), hone.expire_query_history()');
is($node->safe_psql('postgres', 'SELECT string_agg(period, NULL) FROM hone.query_rollup WHERE period <> $$day$$'), 'hour', 'then not');

# The launcher: rounds of their own accord, the last ones after the load has ended.
$node->append_conf('postgresql.conf', 'pg_hone.collect_interval = 1');
$node->reload;
$node->safe_psql('postgres', 'SELECT hone.wake_collector()');
execute(2);
$ENV{PGOPTIONS} = '-c pg_hone.enabled=off';		# looking does not count as load
my $rounds = q{SELECT rounds > 1 AND launcher_cpu_ms > 0 AND collector_cpu_ms > 0 FROM hone.self_account};
ok($node->poll_query_until('postgres', $rounds), 'rounds, and what they cost');
ok($node->poll_query_until('postgres', "SELECT sum(calls) = $executed FROM hone.query_history WHERE $text"),
	'what ran last is collected when the minute is over, though nothing runs any more');
delete $ENV{PGOPTIONS};

# A step that fails is noted, and stops no other.
my $holder = $node->background_psql('postgres');
$holder->query_safe("BEGIN; LOCK TABLE hone.sample_store");
$node->safe_psql('postgres', 'SELECT hone.wake_collector()');
ok($node->poll_query_until('postgres', q{
SELECT count(*) = 1 FROM hone.collector_status WHERE step = 'collect_samples' AND failures > 0 AND last_error LIKE '55P03: %'}),
	'a step that waits for a lock fails');
ok($node->poll_query_until('postgres', q{
SELECT r.last_run > s.last_run AND r.failures = 0 FROM hone.collector_status r, hone.collector_status s
WHERE r.step = 'reconcile_actions' AND s.step = 'collect_samples'}), 'the next step is done');
$holder->query_safe('ROLLBACK');
$node->safe_psql('postgres', 'SELECT hone.wake_collector()');
ok($node->poll_query_until('postgres', q{
SELECT failures = 0 AND last_error IS NULL FROM hone.collector_status WHERE step = 'collect_samples'}), 'and is well again');

# Cancelled from outside: the transaction ends, and the round goes on. Each step
# is a transaction of its own: while a later one waits, earlier ones are visible.
$holder->query_safe("BEGIN; LOCK TABLE hone.action_store");
$node->safe_psql('postgres', q{
ALTER FUNCTION hone.collect_samples() RENAME TO collect_samples_away;
CREATE FUNCTION hone.collect_samples() RETURNS bigint LANGUAGE sql AS 'SELECT 1 FROM (SELECT pg_sleep(60)) s';
SELECT hone.wake_collector()});
my $sleeping = q{FROM pg_stat_activity WHERE backend_type = 'pg_hone collector' AND query LIKE '%collect_samples%' AND wait_event = 'PgSleep'};
ok($node->poll_query_until('postgres', "SELECT count(*) = 1 $sleeping"), 'a step takes long');
ok($node->safe_psql('postgres', q{SELECT last_run > now() - interval '30 seconds' FROM hone.collector_status WHERE step = 'collect_slow_queries'}) eq 't',
	'what was done before it is committed');
is($node->safe_psql('postgres', 'SELECT hone.collect()'), '', 'a round by hand leaves it to the one that is going on');
is($node->safe_psql('postgres', "SELECT count(*) $sleeping"), 1, 'which is still at it');
$node->safe_psql('postgres', "SELECT pg_cancel_backend(pid) $sleeping");
ok($node->poll_query_until('postgres', q{
SELECT count(*) = 1 FROM hone.collector_status WHERE step = 'collect_samples' AND last_error LIKE '57014: %'}), 'cancelled: noted');
ok($node->poll_query_until('postgres', q{
SELECT count(*) = 1 FROM hone.collector_status WHERE step = 'round' AND database = 'postgres' AND last_error LIKE 'canceling statement%'}),
	'and the round says so');
# terminated, it leaves no lock behind
$holder->query_safe('ROLLBACK');
$node->safe_psql('postgres', 'SELECT hone.wake_collector()');
ok($node->poll_query_until('postgres', "SELECT count(*) = 1 $sleeping"), 'at it again');
$node->safe_psql('postgres', q{
DROP FUNCTION hone.collect_samples();
ALTER FUNCTION hone.collect_samples_away() RENAME TO collect_samples});
$node->safe_psql('postgres', "SELECT pg_terminate_backend(pid) $sleeping");
ok($node->poll_query_until('postgres', q{
SELECT count(*) = 0 FROM pg_locks l JOIN pg_class c ON c.oid = l.classid AND c.relname = 'pg_extension'
WHERE l.mode = 'ShareUpdateExclusiveLock' AND NOT EXISTS (SELECT FROM pg_stat_activity a WHERE a.pid = l.pid)}), 'terminated: no lock is left');
$node->safe_psql('postgres', 'SELECT hone.wake_collector()');
ok($node->poll_query_until('postgres', q{
SELECT count(*) = 1 FROM hone.collector_status WHERE step = 'round' AND database = 'postgres' AND failures = 0}), 'the next round is well');
$holder->quit;

# standby: captures in memory, and says so
$node->backup('b');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($node, 'b', has_streaming => 1);
$standby->start;
is($standby->safe_psql('postgres', 'SELECT preloaded, enabled, durable, note FROM hone.self_account'),
	't|t|f|standby: kept in memory only', 'a standby says that nothing is durable');
is($standby->safe_psql('postgres', 'SELECT hone.collect_query_stats(), hone.roll_up_query_stats(), hone.expire_query_history()'),
	'0|0|0', 'and stores nothing');
is($standby->safe_psql('postgres', "SELECT sum(calls) FROM hone.query_history WHERE $text"), $executed, 'but shows what the primary stored');
$standby->stop;

# not loaded
$node->append_conf('postgresql.conf', "shared_preload_libraries = ''");
$node->restart;
is($node->safe_psql('postgres', 'SELECT preloaded, enabled, durable, note, rounds FROM hone.self_account'),
	'f|f|f|not loaded via "shared_preload_libraries": nothing is captured|', 'not loaded: an answer');
$node->safe_psql('postgres', q{UPDATE hone.collector_store SET last_run = last_run - interval '1 day'});
my ($rc, $out, $err) = $node->psql('postgres', 'SELECT hone.collect()');
like($err, qr/WARNING:  pg_hone was not loaded via "shared_preload_libraries"/, 'a round by hand says so');
is($rc, 0, 'and does what can be done');
is($node->safe_psql('postgres', q{
SELECT string_agg(step, ' ' ORDER BY step) FROM hone.collector_status WHERE last_error LIKE '55000: pg_hone must be loaded%'}),
	'collect_query_stats collect_samples collect_slow_queries', 'the rest is noted');
is($node->safe_psql('postgres', 'SELECT hone.roll_up_query_stats() >= 0, hone.expire_query_history() >= 0'), 't|t', 'the history is looked after');

$node->stop('fast');
unlike(slurp_file($node->logfile), qr/PANIC|was terminated by signal/, 'nothing crashed');
done_testing();
