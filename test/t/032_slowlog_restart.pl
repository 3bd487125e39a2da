# What the slow log has in memory outlives a clean restart, exactly once, and no
# file that is not of that very restart is believed; what is stored, and what is
# overwritten before, is told apart; the table keeps within its size.
use strict;
use warnings;
use File::Copy qw(copy);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init(allows_streaming => 1);
$node->append_conf('postgresql.conf', q{
shared_preload_libraries = 'pg_hone'
pg_hone.collect_interval = 0
pg_hone.slow_query_ms = 20
pg_hone.slow_plan_ms = 20
pg_hone.slow_query_rate_limit = 0
restart_after_crash = on
});
$node->start;
# What the test itself does beside is not to be in the log, however slow.
$ENV{PGOPTIONS} = '-c pg_hone.enabled=off';
my $log_on = 'SET pg_hone.enabled = on;';
$node->safe_psql('postgres', q{
CREATE EXTENSION pg_hone;
CREATE TABLE t AS SELECT g AS a, repeat(g::text, 10) AS b FROM generate_series(1, 100) g});
my $file = $node->data_dir . '/pg_stat/pg_hone_slow_log.stat';

sub ask { return $node->safe_psql('postgres', $_[0]) }

sub run_slow
{
	my ($label, $n) = @_;
	$node->safe_psql('postgres', qq{$log_on
PREPARE p(text) AS SELECT '$label', pg_sleep(0.03), b FROM t WHERE a = 7 AND b <> \$1;
EXECUTE p('value of $label');});
	return;
}

# --- a clean restart ---
run_slow('first') for (1 .. 3);
$node->psql('postgres', "$log_on SELECT 1 / (a - 5) FROM t");
my $highest = ask('SELECT max(id) FROM hone.slow_queries');
$node->restart;
ok(!-e $file, 'the file is removed when it was read');
is(ask(q{SELECT count(*), count(DISTINCT id), count(*) FILTER (WHERE parameters::text LIKE '%value of first%'), count(plan)
FROM hone.slow_queries WHERE query LIKE 'PREPARE%'}), '3|3|3|3', 'entries outlive a fast shutdown');
is(ask(q{SELECT outcome, sqlstate, command FROM hone.slow_queries WHERE query LIKE '%(a - 5)%'}),
	'failed|22012|SELECT', 'failed ones too');
run_slow('second');
is(ask("SELECT count(*) FROM hone.slow_queries WHERE id <= $highest AND query LIKE '%second%'"), 0, 'ids go on');
$node->stop('smart');
$node->start;
is(ask(q{SELECT count(*), count(DISTINCT id) FROM hone.slow_queries WHERE query LIKE 'PREPARE%'}), '4|4', 'a smart one, twice');
is(ask('SELECT hone.collect_slow_queries(), (SELECT count(*) FROM hone.slow_query_store)'), '5|0', 'all are stored');
is(ask(q{SELECT count(*), count(DISTINCT id) FROM hone.slow_queries}), '5|5', 'and shown once');
$node->restart;
is(ask(q{SELECT count(*), count(DISTINCT id), (SELECT count(*) FROM hone.slow_queries_memory(0)),
(SELECT count(*) FROM hone.slow_queries_memory(0, true)) FROM hone.slow_queries}), '5|5|5|0', 'what was stored is still known to be');
is(ask('SELECT hone.collect_slow_queries()'), 0, 'and not stored again');

# --- stored is what a transaction committed ---
run_slow('third');
my $unstored = 'SELECT count(*) FROM hone.slow_queries_memory(0, true);';
my $collect = 'SELECT hone.collect_slow_queries();';
is(ask("BEGIN; $collect ROLLBACK; $unstored"), "1\n1", 'not after a rollback');
is(ask("BEGIN; SAVEPOINT s; $collect ROLLBACK TO s; COMMIT; $unstored"), "1\n1", 'nor after one to a savepoint');
is(ask("BEGIN; SAVEPOINT s; $collect RELEASE s; SAVEPOINT r; ROLLBACK TO r; $unstored COMMIT; $unstored"),
	"1\n1\n0", 'but after the commit');

# --- the ring has another size ---
$node->append_conf('postgresql.conf', 'pg_hone.slow_log_entries = 16');
run_slow("many_$_") for (1 .. 20);
$node->restart;
is(ask('SELECT entries, overwritten_unstored FROM hone.slow_queries_info'), '16|4', 'a smaller ring keeps the newest');
is(ask(q{SELECT count(*) FROM hone.slow_queries WHERE query LIKE '%''many_20''%'}), 1, 'among them the last');
run_slow('turning') for (1 .. 3);
is(ask(q{SELECT entries, overwritten_unstored FROM hone.slow_queries_info}), '16|7', 'and goes on turning');
is(ask($collect), 16, 'what was left is stored');
my $before = ask('SELECT overwritten FROM hone.slow_queries_info');
run_slow("over_$_") for (1 .. 3);
is(ask("SELECT overwritten - $before, overwritten_unstored FROM hone.slow_queries_info"), '3|7', 'overwriting what is stored loses nothing');
$node->append_conf('postgresql.conf', 'pg_hone.slow_log_entries = 1000');
$node->restart;
is(ask('SELECT entries FROM hone.slow_queries_info'), 16, 'a larger ring has them all');
run_slow('larger');
is(ask('SELECT entries, overwritten FROM hone.slow_queries_info'), '17|0', 'and goes on');
ask($collect);

# --- what is not of this shutdown ---
run_slow('immediate');
$node->stop('immediate');
ok(!-e $file, 'an immediate shutdown writes no file');
$node->start;
is(ask(q{SELECT count(*) FROM hone.slow_queries WHERE query LIKE '%''immediate''%'}), 0, 'and what was not stored is gone');

run_slow('stale');
$node->stop('fast');
copy($file, "$file.copy") or die;
$node->start;
ask('CREATE TABLE later (a int)');
$node->stop('fast');
copy("$file.copy", $file) or die;
my $log = -s $node->logfile;
$node->start;
like(slurp_file($node->logfile, $log), qr/ignoring file.*\n.*not of this server's last shutdown/, 'an old file is not believed');
is(ask(q{SELECT count(*) FROM hone.slow_queries}), ask('SELECT count(*) FROM hone.slow_query_store'), 'and loads nothing');
run_slow('crash');
copy("$file.copy", $file) or die;
$node->stop('immediate');
$log = -s $node->logfile;
$node->start;
like(slurp_file($node->logfile, $log), qr/ignoring file/, 'nor is one found after a crash');
ok(!-e $file, 'it is removed');

# a backend dies: memory starts empty, and the file is written again at the end
run_slow('killed');
my ($ret, $out, $err) = $node->psql('postgres', q{SELECT pg_backend_pid() AS pid \gset
\setenv PID :pid
\! kill -KILL $PID
SELECT 1});
$node->poll_query_until('postgres', 'SELECT true');
is(ask('SELECT entries FROM hone.slow_queries_info'), 0, 'a crash empties the memory');
run_slow('after_killed');
$node->restart;
is(ask(q{SELECT count(*) FROM hone.slow_queries WHERE query LIKE '%''after_killed''%'}), 1, 'then a clean restart keeps again');

# --- damage ---
run_slow('damage') for (1 .. 3);
$node->stop('fast');
my $good = slurp_file($file);
my $size = length($good);
ok($size > 3000, 'there is something to damage');
is((stat($file))[2] & 07777, 0600, 'nobody else may read it');
# pairs: what, and the bytes in its place
my @damaged = (
	[ 'empty', '' ],
	[ 'one byte', 'x' ],
	[ 'cut in the header', substr($good, 0, 40) ],
	[ 'cut at its end', substr($good, 0, $size - 1) ],
	[ 'cut in the middle', substr($good, 0, $size / 2) ],
	[ 'longer', $good . 'x' ],
	[ 'random', join('', map { chr(int(rand(256))) } 1 .. $size) ],
	[ 'zeros', "\0" x $size ]);
for my $at (0, 9, 45, 70, int($size / 3), int($size / 2), $size - 2)
{
	my $bytes = $good;
	substr($bytes, $at, 1) = chr(ord(substr($bytes, $at, 1)) ^ 4);
	push @damaged, [ "a bit flipped at $at", $bytes ];
}
# Each on the state of that shutdown, so that nothing but the damage is wrong.
for my $damage (@damaged)
{
	my ($what, $bytes) = @$damage;
	open(my $fh, '>', $file) or die;
	binmode $fh;
	print $fh $bytes;
	close $fh;
	copy($node->data_dir . '/global/pg_control', $node->basedir . '/pg_control') or die;
	$log = -s $node->logfile;
	$node->start;
	my $lines = slurp_file($node->logfile, $log);
	my @ignored = $lines =~ /ignoring file/g;
	is(scalar(@ignored) . '|' . ask('SELECT entries FROM hone.slow_queries_info'), '1|0', "ignored: $what");
	$node->stop('fast');
	# the same shutdown again
	copy($node->basedir . '/pg_control', $node->data_dir . '/global/pg_control') or die;
}
open(my $fh, '>', $file) or die;
binmode $fh;
print $fh $good;
close $fh;
$node->start;
is(ask(q{SELECT count(*) FROM hone.slow_queries WHERE query LIKE '%''damage''%'}), 3, 'undamaged it is believed');
# something else in its place
$node->stop('fast');
unlink $file;
mkdir $file;
$node->start;
is(ask('SELECT 1'), 1, 'a directory in its place stops nothing');
$node->stop('fast');
rmdir $file;
$node->start;

# --- a base backup, a standby, its promotion ---
run_slow('primary');
$node->backup('backup');
ok(!-e $node->backup_dir . '/backup/pg_stat/pg_hone_slow_log.stat', 'a base backup has no file');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($node, 'backup', has_streaming => 1);
$standby->start;
is($standby->safe_psql('postgres', "SELECT entries FROM hone.slow_queries_info"), 0, 'and loads nothing');
$standby->safe_psql('postgres', "$log_on SELECT pg_sleep(0.03) AS on_standby");
# what the primary stores later has higher ids
$node->restart;
run_slow('later');
ask($collect);
$node->wait_for_catchup($standby);
$standby->restart;
my $on_standby = q{SELECT count(*) FROM hone.slow_queries WHERE query LIKE '%on_standby'};
is($standby->safe_psql('postgres', $on_standby), 1, 'a standby\'s entries outlive a restart');
$node->stop('fast');
$standby->promote;
is($standby->safe_psql('postgres', "SELECT hone.collect_slow_queries() >= 1;
SELECT count(*) FROM hone.slow_query_store WHERE query LIKE '%on_standby'"), "t\n1", 'and are stored once it is promoted');
$standby->stop;

# --- the table's size ---
$node->append_conf('postgresql.conf', q{
pg_hone.slow_query_ms = 0
pg_hone.slow_query_rate_limit = 0
pg_hone.max_slow_log_size = 1MB
pg_hone.slow_log_entries = 1000
});
$node->start;
for my $round (1 .. 3)
{
	$node->safe_psql('postgres', qq{$log_on DO \$\$ BEGIN FOR i IN 1..200 LOOP
EXECUTE 'SELECT ''' || repeat(md5(i::text || 'r$round'), 100) || ''' AS large_$round'; END LOOP; END \$\$});
	ask($collect);
	my $bytes = ask('SELECT sum(octet_length(query)) FROM hone.slow_query_store');
	ok($bytes > 500000 && $bytes <= 1024 * 1024, "round $round: the limit is kept at once ($bytes)");
}
is(ask(q{SELECT min(query) FILTER (WHERE query LIKE '%large_1%') IS NULL, count(*) FILTER (WHERE query LIKE '%large_3%') = 200
FROM hone.slow_query_store}), 't|t', 'the newest are there, the oldest are not');
is(ask('SELECT hone.expire_slow_queries()'), 0, 'nothing is left to expire');
$node->append_conf('postgresql.conf', 'pg_hone.max_stored_slow_queries = 10');
$node->reload;
ok($node->poll_query_until('postgres', q{SELECT current_setting('pg_hone.max_stored_slow_queries') = '10'}), 'reloaded');
ok(ask('SELECT hone.expire_slow_queries()') > 100, 'fewer');
is(ask('SELECT count(*) FROM hone.slow_query_store'), 10, 'are kept');
$node->append_conf('postgresql.conf', 'pg_hone.max_stored_slow_queries = 0');
$node->reload;
$node->poll_query_until('postgres', q{SELECT current_setting('pg_hone.max_stored_slow_queries') = '0'});
is(ask("SELECT hone.collect_slow_queries() + hone.expire_slow_queries(); SELECT count(*) FROM hone.slow_query_store"),
	"10\n0", 'none at all');

$node->stop;
done_testing();
