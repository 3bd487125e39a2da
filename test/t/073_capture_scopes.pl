# Thresholds by role, by database, by session and inside a function; two
# databases of one server, each with its own log; a standby that captures in
# memory, says no error, and stores what it has once it is promoted.
use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use HoneWire;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init(allows_streaming => 1);
$node->append_conf('postgresql.conf', q{
shared_preload_libraries = 'pg_hone'
pg_hone.slow_query_ms = -1
pg_hone.slow_query_rate_limit = 0
pg_hone.collect_interval = 3600
fsync = off
});
$node->start;
my $off = '-c pg_hone.enabled=off';
my $look = HoneWire->connect($node, options => $off);
$look->value($_) for (split /;\n/, q{
CREATE EXTENSION pg_hone;
CREATE DATABASE other;
CREATE ROLE everything LOGIN;
CREATE ROLE nothing LOGIN;
CREATE ROLE plain LOGIN;
CREATE ROLE mixed LOGIN;
CREATE ROLE admin LOGIN SUPERUSER;
ALTER ROLE everything SET pg_hone.slow_query_ms = 0;
ALTER ROLE nothing SET pg_hone.slow_query_ms = -1;
ALTER ROLE mixed SET pg_hone.slow_query_ms = 0;
ALTER ROLE mixed IN DATABASE other SET pg_hone.slow_query_ms = -1;
ALTER DATABASE other SET pg_hone.slow_query_ms = 0;
CREATE FUNCTION logged(text) RETURNS text LANGUAGE plpgsql SET pg_hone.slow_query_ms = 0 AS $$ BEGIN RETURN (SELECT $1 || count(*) FROM pg_class WHERE relname = 'in_function'); END $$});
my $look_other = HoneWire->connect($node, dbname => 'other', options => $off);
$look_other->value('CREATE EXTENSION pg_hone');

# Which of the words are in a database's log.
sub logged
{
	my ($reader, @words) = @_;
	return join(' ', grep { $reader->value("SELECT count(*) FROM hone.slow_queries WHERE query LIKE '%$_%'") > 0 } @words);
}
my @words;
for my $database ('postgres', 'other')
{
	for my $role ('everything', 'nothing', 'plain', 'mixed')
	{
		my $word = "${role}_in_$database";
		push @words, $word;
		my $client = HoneWire->connect($node, dbname => $database, user => $role);
		$client->value("SELECT 1 AS $word");
		is($client->query('SET pg_hone.slow_query_ms = 0')->{error}, '42501', "$role may not set it") if $database eq 'postgres';
		$client->close;
	}
}
is(logged($look, @words), 'everything_in_postgres mixed_in_postgres', 'by role');
is(logged($look_other, @words), 'everything_in_other plain_in_other', "by database, and by role in a database");
is(logged($look, 'in_other') . logged($look_other, 'in_postgres'), '', 'nothing of other databases in a log');
is($look->value(q{SELECT string_agg(DISTINCT datname, ',') FROM hone.slow_queries})
	  . $look_other->value(q{SELECT string_agg(DISTINCT datname, ',') FROM hone.slow_queries}), 'postgresother', 'each says its own database');

# By session, transaction and function.
my $admin = HoneWire->connect($node, user => 'admin');
$admin->value($_) for ('SELECT 1 AS before_set', 'SET pg_hone.slow_query_ms = 0', 'SELECT 1 AS while_set', 'RESET pg_hone.slow_query_ms',
	'SELECT 1 AS after_reset', 'BEGIN; SET LOCAL pg_hone.slow_query_ms = 0', 'SELECT 1 AS set_local', 'ROLLBACK', 'SELECT 1 AS after_rollback',
	q{SELECT logged('x') AS around_function});
is(logged($look, 'before_set', 'while_set', 'after_reset', 'set_local', 'after_rollback', 'in_function', 'around_function'),
	'while_set set_local in_function', 'by session, transaction and function');
$admin->value('SET pg_hone.slow_query_ms = 30; SET pg_hone.slow_plan_ms = 60');
$admin->value($_) for ('SELECT 1 AS at_once', 'SELECT pg_sleep(0.04) AS slow_only', 'SELECT pg_sleep(0.08) AS slow_with_plan');
is($look->value(q{SELECT query, plan IS NOT NULL FROM hone.slow_queries WHERE query ~ 'at_once|slow_' ORDER BY id}),
	"SELECT pg_sleep(0.04) AS slow_only|f\nSELECT pg_sleep(0.08) AS slow_with_plan|t", 'above the threshold, and with the plan above the other');
# A session of another threshold beside it is not disturbed.
HoneWire->connect($node, user => 'nothing')->value('SELECT pg_sleep(0.04) AS not_for_this_role');
HoneWire->connect($node, user => 'everything')->value('SELECT 1 AS for_this_role');
is(logged($look, 'not_for_this_role', 'for_this_role'), 'for_this_role', 'sessions beside each other');
# A new value from the configuration file reaches those that have none of their own.
my $plain = HoneWire->connect($node, user => 'plain');
$node->append_conf('postgresql.conf', 'pg_hone.slow_query_ms = 0');
$node->reload;
my $tries = 0;
$plain->value('SELECT pg_sleep(0.02)') until $plain->value('SHOW pg_hone.slow_query_ms') eq '0' || $tries++ > 100;
$plain->value('SELECT 1 AS after_reload');
$admin->value('SELECT 1 AS own_after_reload');
is(logged($look, 'after_reload', 'own_after_reload'), 'after_reload', 'by file') or diag(logged($look, 'own_after_reload'));

# --- standby --------------------------------------------------------------------

$look->value('CREATE TABLE s AS SELECT i AS a FROM generate_series(1, 100) i; ANALYZE s');
$look->value('SELECT hone.collect()');
$look_other->value('SELECT hone.collect()');
$node->append_conf('postgresql.conf', 'pg_hone.collect_interval = 1');
$node->backup('backup');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($node, 'backup', has_streaming => 1);
$standby->start;
my $s = HoneWire->connect($standby, options => $off);
my $s_other = HoneWire->connect($standby, dbname => 'other', options => $off);
my $client = HoneWire->connect($standby, user => 'admin');
my $client_other = HoneWire->connect($standby, dbname => 'other', user => 'admin');
$client->execute('SELECT a FROM s WHERE a = $1 /* on standby */', [$_]) for 1 .. 50;
is($client->query('SELECT 1 / (a - a) FROM s /* on standby */')->{error}, '22012', 'a failing statement');
is($client->query('INSERT INTO s VALUES (1) /* on standby */')->{error}, '25006', 'one that writes');
$client->query("SET statement_timeout = '30ms'; SELECT pg_sleep(5) AS on_standby");
$client->query("RESET statement_timeout");
$client_other->value('SELECT 7 AS other_on_standby');
is($s->value(q{SELECT calls, errors, rows, p50_ms IS NOT NULL, username FROM hone.query_stats WHERE query LIKE 'SELECT a FROM s WHERE a = $1%'}),
	'50|0|50|t|admin', 'statistics');
is($s->value(q{SELECT sum(errors), sum(cancels) FROM hone.query_stats WHERE query LIKE 'SELECT % / (a - a) FROM s%' OR query LIKE 'SELECT pg_sleep(%'}),
	'2|1', 'errors and cancels');
my ($samples, $slow) = ($s->value(q{SELECT count(*) FROM hone.workload_samples WHERE query LIKE 'SELECT a FROM s%' AND parameters IS NOT NULL}),
	$s->value(q{SELECT count(*), count(DISTINCT parameters) FROM hone.slow_queries WHERE query LIKE 'SELECT a FROM s%'}));
cmp_ok($samples, '>=', 3, "samples: $samples");
is($slow, '50|50', 'slow log');
is($s_other->value(q{SELECT calls FROM hone.query_stats WHERE query = 'SELECT $1 AS other_on_standby'}), 1, 'in another database');
is($s->value(q{SELECT outcome, sqlstate FROM hone.slow_queries WHERE query LIKE '%AS on_standby'}), 'cancelled|57014', 'a cancelled one is logged');
is($s->value('SELECT count(*) FROM hone.workload') > 0, 1, 'the workload can be read');
is(logged($s, 'while_set', 'for_this_role'), 'while_set for_this_role', 'what the primary had stored is shown');
is($s->value(q{SELECT count(*) FROM hone.slow_query_store WHERE query LIKE 'SELECT a FROM s%'}), 0, 'nothing is stored yet');
sleep 1;
sub errors
{
	return join("\n", grep { /(ERROR|WARNING|FATAL|PANIC|TRAP):/ && !/division by zero|cannot execute INSERT|statement timeout|terminating walreceiver/ }
		split /\n/, slurp_file($standby->logfile));
}
is(errors(), '', 'no errors of our own in the log');

$standby->promote;
is($s->value('SELECT pg_is_in_recovery()'), 'f', 'promoted');
$client->value('SELECT a FROM s WHERE a = 1 AND a < 2');
ok($standby->poll_query_until('postgres', q{
SELECT count(*) >= 50 FROM hone.slow_query_store WHERE query LIKE 'SELECT a FROM s%'}), 'the collector stores the slow log')
  or diag($s->value('TABLE hone.collector_status'));
is($s->value(q{SELECT count(*) FROM hone.sample_store WHERE query LIKE 'SELECT a FROM s%' AND parameters IS NOT NULL}) >= 3, 1, 'samples');
# (the collector does this one once a minute)
$s->value('SELECT hone.collect_query_stats()');
is($s->value(q{SELECT sum(calls) FROM hone.query_history_store WHERE query LIKE 'SELECT a FROM s WHERE a = $1%' AND query NOT LIKE '%AND%'}), 50, 'and statistics');
is($s->value(q{SELECT count(*), count(DISTINCT id) FROM hone.slow_queries WHERE query LIKE 'SELECT a FROM s WHERE a = $1%'}), '50|50',
	'what is in memory and in the table is shown once');
is($s->value(q{SELECT count(*) FROM hone.collector_status WHERE failures > 0}), 0, 'no step failed');
is(errors(), '', 'nor after the promotion');
$standby->stop;
$node->stop;
unlike(slurp_file($node->logfile), qr/PANIC|TRAP:|terminated by signal/, 'no crash on the primary');
done_testing();
