# Bind values of the extended protocol are kept as they were sent; samples and
# slow statements outlive a restart and a crash as far as they were collected;
# each database has its own.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->append_conf('postgresql.conf', q{
shared_preload_libraries = 'pg_hone'
restart_after_crash = on
});
$node->start;
$node->safe_psql('postgres', 'CREATE DATABASE other');
for my $db ('postgres', 'other')
{
	$node->safe_psql($db, q{
CREATE EXTENSION pg_hone;
CREATE TABLE bound_extended (id int PRIMARY KEY, name text, at timestamptz);
INSERT INTO bound_extended SELECT g, 'name ' || g, now() FROM generate_series(1, 1000) g;
CREATE TABLE bound_prepared AS SELECT * FROM bound_extended;
});
}
# These are about what a test does, not about when the collector comes by.
my $look = 'SELECT count(*), count(DISTINCT id) FROM hone.slow_queries';

for my $mode ('extended', 'prepared')
{
	my $script = $node->basedir . "/$mode.sql";
	append_to_file($script, qq{
\\set id random(1, 1000)
\\set wait 25000
SELECT name AS $mode FROM bound_$mode WHERE id = :id AND name <> 'it''s';
SELECT pg_sleep(:wait / 1000000.0) AS $mode FROM bound_$mode WHERE id = 7 AND :id > 0;
});
	$node->append_conf('postgresql.conf', "pg_hone.slow_query_ms = 20\npg_hone.slow_plan_ms = 20");
	$node->reload;
	$node->command_ok(
		[ 'pgbench', '-n', '-M', $mode, '-c', '2', '-t', '12', '-f', $script,
			'-h', $node->host, '-p', $node->port, 'postgres' ],
		"pgbench -M $mode");
	is($node->safe_psql('postgres', qq{
SELECT count(*) BETWEEN 3 AND 6, count(DISTINCT parameters) = count(*),
       bool_and(replannable), bool_and(parameters[1]::int BETWEEN 1 AND 1000),
       bool_and(array_length(parameters, 1) = 1),
       bool_and(query = 'SELECT name AS $mode FROM bound_$mode WHERE id = \$1 AND name <> ''it''''s''')
FROM hone.workload_samples WHERE query LIKE 'SELECT name AS $mode %'}),
		't|t|t|t|t|t', "samples have the values bound ($mode)");
	# pgbench sends :wait as text of an integer; $1/1000000.0 makes it numeric
	is($node->safe_psql('postgres', qq{
SELECT count(*) BETWEEN 10 AND 20, bool_and(parameters[1]::int = 25000),
       bool_and(parameters[2]::int BETWEEN 1 AND 1000), count(DISTINCT parameters) > 3,
       bool_and(duration_ms >= 25), bool_and(plan -> 'Plan' ->> 'Node Type' IS NOT NULL),
       bool_and(application_name <> ''), bool_and(outcome = 'completed')
FROM hone.slow_queries WHERE query LIKE 'SELECT pg_sleep(% AS $mode %'}),
		't|t|t|t|t|t|t|t', "slow statements have values and plans ($mode)");
}
ok($node->safe_psql('postgres', 'SELECT rate_limited FROM hone.slow_queries_info') > 0,
	'the rate limit counted what it dropped');
# (what this test itself asks there may be slow on a busy machine)
is($node->safe_psql('other', q{SELECT count(*) FROM hone.slow_queries WHERE query LIKE 'SELECT pg_sleep(%'}),
	0, 'another database has a log of its own');
is($node->safe_psql('other', q{SELECT count(*) FROM hone.workload_samples WHERE query LIKE '%AS prepared%'}),
	0, 'and samples of its own');

# Two collectors at once: each entry once. This test's own statements are not
# captured meanwhile: on a busy machine they may be slow themselves.
$ENV{PGOPTIONS} = '-c pg_hone.enabled=off';
if ($node->can('background_psql'))
{
	my ($one, $two) = map { $node->background_psql('postgres', on_error_stop => 0) } (1, 2);
	$one->query_safe('BEGIN; SELECT hone.collect_slow_queries(), hone.collect_samples()');
	$two->query_until(qr/started/,
		"\\echo started\nSELECT hone.collect_slow_queries(), hone.collect_samples();\n");
	$one->query_safe('COMMIT');
	$_->quit for ($one, $two);
}
my ($slow, $samples) = map { $node->safe_psql('postgres', "SELECT count(*) FROM hone.$_") }
  ('slow_queries', 'workload_samples');
$node->safe_psql('postgres', 'SELECT hone.collect_slow_queries(), hone.collect_samples()');
is($node->safe_psql('postgres', $look), "$slow|$slow", 'what is stored is shown once');
delete $ENV{PGOPTIONS};

$node->safe_psql('postgres', q{
SET enable_hashjoin = off;
SET work_mem = '3MB';
SELECT 'with settings' FROM bound_prepared WHERE id = 4;
SELECT hone.collect_samples()});

# A clean restart, then a crash.
$node->restart;
is($node->safe_psql('postgres', q{
SELECT settings FROM hone.workload_samples WHERE query LIKE 'SELECT ''with settings''%'}),
	'{"work_mem": "3MB", "enable_hashjoin": "off"}', 'settings outlive a restart');
is($node->safe_psql('postgres', q{
SELECT count(*) FROM hone.slow_queries WHERE query LIKE 'SELECT pg_sleep(%'}),
	20, 'slow statements outlive a restart');
is($node->safe_psql('postgres', q{
SELECT count(*) > 5, bool_and(parameters IS NOT NULL) FROM hone.workload_samples
WHERE query LIKE 'SELECT % AS extended %' OR query LIKE 'SELECT % AS prepared %'}),
	't|t', 'samples outlive a restart');
is($node->safe_psql('postgres', q{
SELECT calls > 0, weight > 0, samples > 2, tables FROM hone.workload
WHERE query LIKE 'SELECT name AS prepared %'}), 't|t|t|{bound_prepared}', 'the workload does too');
my $last = $node->safe_psql('postgres', 'SELECT max(id) FROM hone.slow_queries');
$node->safe_psql('postgres', q{SELECT pg_sleep(0.03) AS after_restart});
is($node->safe_psql('postgres', qq{SELECT count(*) FROM hone.slow_queries WHERE id > $last AND query LIKE '%after_restart'}),
	1, 'ids go on growing after a restart');

$node->safe_psql('postgres', 'SELECT hone.collect_slow_queries()');
$node->stop('immediate');
$node->start;
$ENV{PGOPTIONS} = '-c pg_hone.enabled=off';
is($node->safe_psql('postgres', q{SELECT count(*) FROM hone.slow_queries WHERE query LIKE '%after_restart'}),
	1, 'what was collected outlives a crash');
is($node->safe_psql('postgres', 'SELECT entries, captured, lost FROM hone.slow_queries_info'),
	'0|0|0', 'memory starts empty after a crash');
delete $ENV{PGOPTIONS};
$node->safe_psql('postgres', q{SELECT pg_sleep(0.03) AS after_crash});
is($node->safe_psql('postgres', q{SELECT count(*) FROM hone.slow_queries WHERE query LIKE '%after_crash'}),
	1, 'and logs again');

# A standby captures in memory and stores nothing.
$node->append_conf('postgresql.conf', "wal_level = replica\nmax_wal_senders = 4\npg_hone.slow_query_ms = 20");
$node->restart;
$node->backup('backup');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($node, 'backup', has_streaming => 1);
$standby->start;
my $stored = $standby->safe_psql('postgres', 'SELECT count(*) FROM hone.slow_query_store');
$standby->safe_psql('postgres', q{SELECT pg_sleep(0.03) AS on_standby FROM bound_prepared WHERE id = 3});
is($standby->safe_psql('postgres', q{
SELECT (SELECT count(*) FROM hone.slow_queries WHERE query LIKE '%on_standby %' AND plan IS NOT NULL),
       (SELECT count(*) FROM hone.workload_samples WHERE query LIKE '%on_standby %')}),
	'1|1', 'a standby captures in memory');
is($standby->safe_psql('postgres', q{
SELECT hone.collect_slow_queries(), hone.collect_samples(), hone.expire_captured()}), '0|0|0',
	'and stores nothing');
ok($stored > 20, 'but shows what the primary stored');
$standby->stop;

# Little memory, many large texts: bounded, counted, nothing breaks.
$node->append_conf('postgresql.conf', q{
pg_hone.shared_memory = 1MB
pg_hone.max_sampled_queries = 16
pg_hone.slow_log_entries = 16
pg_hone.slow_query_ms = 0
pg_hone.slow_query_rate_limit = 0
});
$node->restart;
$node->safe_psql('postgres', q{
DO $$ BEGIN
    FOR i IN 1..200 LOOP
        EXECUTE 'SELECT ' || repeat('id, ', i) || 'name FROM bound_prepared WHERE name = ''' || repeat('x', i * 300) || ''' AND id = $1' USING i;
    END LOOP;
END $$});
is($node->safe_psql('postgres', q{
SELECT entries BETWEEN 1 AND 16, overwritten + lost > 100, memory_bytes < 2 * 1024 * 1024 FROM hone.slow_queries_info}),
	't|t|t', 'the slow log stays within its memory');
is($node->safe_psql('postgres', q{
SELECT queries <= 16, samples <= 96, evictions > 50, memory_bytes < 2 * 1024 * 1024 FROM hone.workload_info}),
	't|t|t|t', 'samples stay within their memory');

# A flood of queries that run once leaves those that run all the time alone.
$node->append_conf('postgresql.conf', 'pg_hone.slow_query_ms = -1');
$node->restart;
$node->safe_psql('postgres', q{
DO $$ DECLARE n text; BEGIN
    FOR i IN 1..3000 LOOP
        EXECUTE 'SELECT ''hot'' FROM bound_extended WHERE id = $1 AND name IS NOT NULL' INTO n USING i;
    END LOOP;
    FOR i IN 1..100 LOOP
        EXECUTE 'SELECT ' || repeat('id, ', i) || '1 FROM bound_extended WHERE id = 1';
    END LOOP;
END $$});
is($node->safe_psql('postgres', q{
SELECT count(*) BETWEEN 4 AND 6 FROM hone.workload_memory(0, true) WHERE query LIKE 'SELECT ''hot''%'}),
	't', 'what runs all the time keeps its samples');
is($node->safe_psql('postgres', 'SELECT queries <= 16, evictions > 50 FROM hone.workload_info'),
	't|t', 'while others came and went');

# Without preloading, errors that say what to do.
$node->safe_psql('postgres', 'SELECT hone.collect_slow_queries(), hone.collect_samples()');
$node->append_conf('postgresql.conf', "shared_preload_libraries = ''");
$node->restart;
for my $statement ('SELECT * FROM hone.slow_queries', 'SELECT * FROM hone.workload_samples',
	'SELECT * FROM hone.workload', 'SELECT * FROM hone.slow_queries_info',
	'SELECT * FROM hone.workload_info', 'SELECT hone.collect_slow_queries()',
	'SELECT hone.collect_samples()')
{
	my ($rc, $out, $err) = $node->psql('postgres', "\\set VERBOSITY verbose\n$statement");
	like($err, qr/ERROR:  55000: pg_hone must be loaded via "shared_preload_libraries"/, $statement);
}
is($node->safe_psql('postgres', q{SELECT hone.expire_captured(), hone.retention()}),
	'0|720:00:00', 'retention needs no preloading');

$node->stop;
done_testing();
