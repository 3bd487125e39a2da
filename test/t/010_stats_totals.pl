# Whatever is evicted, the totals over all rows equal what was executed, and
# every execution is in a histogram; a crash empties the statistics and nothing
# else. Who looks is not captured, so the sums are exact.
use strict;
use warnings;
use IPC::Run ();
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->append_conf('postgresql.conf', q{
shared_preload_libraries = 'pg_hone'
pg_hone.max_queries = 1000
pg_hone.slow_query_ms = -1
restart_after_crash = on
fsync = off
});
$node->start;
$node->safe_psql('postgres', 'CREATE EXTENSION pg_hone');

sub look
{
	local $ENV{PGOPTIONS} = '-c pg_hone.enabled=off';
	return $node->safe_psql('postgres', $_[0]);
}

# What must hold at any time.
sub histograms_ok
{
	my ($name) = @_;
	is(look(q{
SELECT count(*) FROM hone.query_stats_memory() m
WHERE calls + errors <> (SELECT coalesce(sum(c), 0) FROM unnest(counts) c)
   OR cardinality(buckets) <> cardinality(counts) OR cancels > errors
   OR min_exec_ms > max_exec_ms OR total_exec_ms < max_exec_ms - 1e-6
   OR p50_ms > p95_ms OR p95_ms > p99_ms OR p99_ms > max_exec_ms OR p50_ms < min_exec_ms}),
		0, "$name: each row's histogram holds its calls and errors");
}

# 20000 distinct queries: the bits of n choose the operators. Two clients send
# them, two run them inside a function; each returns (n mod 3) rows, and every
# tenth fails in the executor instead.
my @clients;
my %expected = (calls => 0, errors => 0, rows => 0);

sub shape
{
	my ($n) = @_;
	my $expression = join('', map { ($n >> $_) & 1 ? ' + g' : ' - g' } 0 .. 14);
	return $n % 10 == 0
	  ? "SELECT g$expression / (g - 1) FROM generate_series(1, 1) g"
	  : "SELECT g$expression FROM generate_series(1, @{[ $n % 3 ]}) g";
}
for my $client (0, 1)
{
	my $file = $node->basedir . "/shapes$client.sql";
	append_to_file($file, join('', map { shape($_) . ";\n" }
			$client * 5000 .. $client * 5000 + 4999));
	push @clients, [ 'psql', '-X', '-q', '-o', '/dev/null', '-f', $file, 'postgres' ];
}
for my $client (2, 3)
{
	my $first = $client * 5000;
	push @clients, [ 'psql', '-X', '-q', '-c', qq{
DO \$\$
DECLARE e text;
BEGIN
    FOR n IN $first .. $first + 4999 LOOP
        e := '';
        FOR b IN 0 .. 14 LOOP
            e := e || CASE WHEN (n >> b) & 1 = 1 THEN ' + g' ELSE ' - g' END;
        END LOOP;
        IF n % 10 = 0 THEN
            BEGIN
                EXECUTE 'SELECT g' || e || ' / (g - 1) FROM generate_series(1, 1) g';
            EXCEPTION WHEN division_by_zero THEN NULL;
            END;
        ELSE
            EXECUTE 'SELECT g' || e || ' FROM generate_series(1, ' || n % 3 || ') g';
        END IF;
    END LOOP;
END \$\$}, 'postgres' ];
	$expected{calls}++;
}
for my $n (0 .. 19999)
{
	$n % 10 == 0 ? $expected{errors}++ : $expected{calls}++;
	$expected{rows} += $n % 3 if $n % 10;
}
$ENV{PGHOST} = $node->host;
$ENV{PGPORT} = $node->port;
look('SELECT hone.reset_query_stats()');
my @running = map { IPC::Run::start($_, '<', \undef, '>', \(my $out), '2>', \(my $err)) } @clients;
is(scalar(grep { $_->finish } @running), 4, 'four clients run 20000 distinct queries');

is(look('SELECT sum(calls), sum(errors), sum(cancels), sum(rows) FROM hone.query_stats'),
	"$expected{calls}|$expected{errors}|0|$expected{rows}",
	'every execution, error and row is in a row or in the sum of the evicted');
# (the expressions of the DO blocks are planned, too)
is(look('SELECT sum(plans) BETWEEN 20000 AND 20100 FROM hone.query_stats'), 't',
	'so is every planning');
is(look(q{
SELECT count(*), max(calls) > 15000, max(errors) > 1500, max(rows) > 15000, max(total_exec_ms) > 0
FROM hone.query_stats WHERE query = '<other>'}), '1|t|t|t|t', 'the evicted are one row');
is(look(q{
SELECT entries <= max_entries, max_entries BETWEEN 1000 AND 1100,
       evictions > 18000, evictions + entries >= 20000
FROM hone.query_stats_info}), 't|t|t|t', 'the table is bounded and says so');
histograms_ok('20000 queries');

# A reset forgets the sum of the evicted too.
look('SELECT hone.reset_query_stats()');
is(look('SELECT count(*), coalesce(sum(calls), 0) FROM hone.query_stats'), '0|0', 'a reset empties everything');
is(look('SELECT evictions FROM hone.query_stats_info'), '0', 'the count of evictions too');

# Eight backends at once, one hot query and many rare ones.
my $script = $node->basedir . '/hot.sql';
append_to_file($script, "\\set n random(1, 40)\nSELECT 1 AS hot;\n"
	  . join('', map { "\\if :n = $_\nSELECT 1" . (' + 1' x $_) . " AS rare;\n\\endif\n" } 1 .. 40));
$node->command_ok(
	[ 'pgbench', '-n', '-c', '8', '-t', '500', '-f', $script, 'postgres' ], 'load');
is(look('SELECT sum(calls), sum(rows) FROM hone.query_stats'), '8000|8000',
	'no call of eight backends is lost');
is(look(q{SELECT calls FROM hone.query_stats WHERE query = 'SELECT $1 AS hot'}), 4000,
	'the hot query has a row of its own');
histograms_ok('eight backends');

# Readers, which drain, and resets in between disturb nobody's sum: what was
# reset plus what is there is what ran.
look('SELECT hone.reset_query_stats()');
my $load = IPC::Run::start([ 'pgbench', '-n', '-c', '4', '-t', '2000', '-f', $script, 'postgres' ],
	'<', \undef, '>', \(my $out), '2>', \(my $err));
my $readings = 0;
while ($load->pumpable)
{
	my $sums = look(q{SELECT count(*) FROM hone.query_stats_memory() m
		WHERE calls + errors <> (SELECT coalesce(sum(c), 0) FROM unnest(counts) c)});
	is($sums, 0, 'a reader sees calls and histogram agree') if $sums ne '0' || !$readings;
	$readings++;
	$load->pump_nb;
}
$load->finish;
is(look('SELECT sum(calls), sum(rows) FROM hone.query_stats'), '16000|16000',
	'nor with readers that drain at the same time');

# What roles and databases did that are gone stays in the sums.
$node->safe_psql('postgres', 'CREATE DATABASE gone; CREATE ROLE goner LOGIN');
look('SELECT hone.reset_query_stats()');
$node->safe_psql('gone', 'SELECT 1 AS before_it_goes; SELECT 2 AS before_it_goes', extra_params => [ '-U', 'goner' ]);
is(look('SELECT sum(calls), count(username), count(datname) FROM hone.query_stats'), '2|1|1', 'a role and its database');
look('DROP DATABASE gone');
look('DROP ROLE goner');
is(look('SELECT sum(calls), count(username), count(datname) FROM hone.query_stats'), '2|0|0', 'are gone, and what they did is not');

# A crash: start again empty, and count again.
my $psql = $node->background_psql('postgres');
my $pid = $psql->query('SELECT pg_backend_pid()');
kill 'KILL', $pid;
$node->poll_query_until('postgres', 'SELECT true');
eval { $psql->quit };
$node->safe_psql('postgres', 'SELECT 42 AS after_crash');
is(look(q{SELECT calls FROM hone.query_stats WHERE query = 'SELECT $1 AS after_crash'}), '1',
	'counting goes on after a crash');
is(look(q{SELECT count(*) FROM hone.query_stats WHERE query LIKE 'SELECT $1 AS hot'}), '0',
	'a crash empties the statistics');

$node->stop;
done_testing();
