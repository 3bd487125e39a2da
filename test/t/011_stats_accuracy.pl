# p50, p95 and p99 against the exact percentiles (nearest rank) of the durations
# that were measured: the slow log records each of them. The histogram's bounds
# are what they say, and histograms of two roles added are that of both.
use strict;
use warnings;
use List::Util qw(sum max min);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $limit = 0.03;
my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->append_conf('postgresql.conf', q{
shared_preload_libraries = 'pg_hone'
pg_hone.slow_log_entries = 30000
pg_hone.slow_query_rate_limit = 0
pg_hone.slow_plan_ms = -1
pg_hone.capture_parameters = off
pg_hone.shared_memory = 64MB
fsync = off
});
$node->start;
$node->safe_psql('postgres', 'CREATE EXTENSION pg_hone; CREATE ROLE merge_a LOGIN; CREATE ROLE merge_b LOGIN;');

sub look
{
	local $ENV{PGOPTIONS} = '-c pg_hone.enabled=off';
	return $node->safe_psql('postgres', $_[0]);
}

# Each distribution is one query, whose durations its two parameters make: rows
# to count and time to sleep. The expression keeps the queries apart.
my %distribution = (
	# microseconds to milliseconds, evenly over the magnitudes
	log_spread => [ 1500, '+ 1', q{(10 ^ (random() * 4))::int}, '0' ],
	# fast, with a slow mode that p95 and p99 fall into
	bimodal => [ 1000, '- 1', '1', q{CASE WHEN random() < 0.08 THEN 0.002 + random() * 0.01 ELSE 0 END} ],
	# a tail of tens of milliseconds
	tail => [ 1200, '* 1', q{(random() * 200)::int}, q{CASE WHEN random() < 0.02 THEN 0.01 + random() ^ 3 * 0.06 ELSE 0 END} ],
	# hardly any spread: many durations in few buckets
	narrow => [ 1000, '/ 1', '3', '0' ],
	# few executions: ranks near the ends
	few => [ 7, '% 7', q{(10 ^ (random() * 3))::int}, '0' ],
);
sub load
{
	my ($name, $role) = @_;
	my ($n, $expression, $count, $sleep) = @{ $distribution{$name} };
	$role //= '';
	return ($role && "SET SESSION AUTHORIZATION $role;") . qq{
DO \$\$
BEGIN
    FOR i IN 1 .. $n LOOP
        EXECUTE 'SELECT count(*) $expression, pg_sleep(\$2) FROM generate_series(1, \$1)' USING $count, ($sleep)::float8;
    END LOOP;
END \$\$;} . ($role && 'RESET SESSION AUTHORIZATION;');
}

# Durations in ns, as they were measured.
sub durations
{
	my ($expression, $role) = @_;
	return sort { $a <=> $b } split /\n/, look(q{
SELECT round(duration_ms::numeric * 1000000) FROM hone.slow_queries_memory(0)
WHERE query LIKE 'SELECT count(*) } . ($expression =~ s/%/\\%/r) . q{,%'} . ($role ? " AND userid = '$role'::regrole" : ''));
}

sub nearest_rank
{
	my ($q, @sorted) = @_;
	my $rank = $q * @sorted;
	$rank = int($rank) + ($rank > int($rank) + 1e-9 ? 1 : 0);
	return $sorted[ $rank - 1 ];
}

$node->safe_psql('postgres', 'SET pg_hone.slow_query_ms = 0;' . join('', map { load($_) } sort keys %distribution));
is(look('SELECT overwritten, lost FROM hone.slow_queries_info'), '0|0', 'the slow log has every execution');

my $worst = 0;
for my $name (sort keys %distribution)
{
	my ($n, $expression) = @{ $distribution{$name} };
	my @ns = durations($expression);
	my ($calls, $total, $minimum, $maximum, $mean, $stddev, $queryid, @percentiles) = split /\|/, look(q{
SELECT calls, total_exec_ms, min_exec_ms, max_exec_ms, mean_exec_ms, stddev_exec_ms, queryid, p50_ms, p95_ms, p99_ms
FROM hone.query_stats WHERE query LIKE 'SELECT count(*) } . ($expression =~ s/\d/\$_/r =~ s/%/\\%/r) . q{, pg_sleep%'});

	is("$calls " . @ns, "$n $n", "$name: each execution counted and recorded");
	my $sum = sum(@ns) / 1e6;
	my $exact_sd = sqrt(max(0, sum(map { ($_ / 1e6) ** 2 } @ns) / @ns - ($sum / @ns) ** 2));
	ok( abs($total - $sum) < 1e-6 * $sum && abs($minimum - $ns[0] / 1e6) < 1e-9 && abs($maximum - $ns[-1] / 1e6) < 1e-6
		  && abs($mean - $sum / @ns) < 1e-6 * $mean && abs($stddev - $exact_sd) < 1e-3 * $exact_sd + 1e-6,
		"$name: total, mean, extremes and deviation are exact");
	for my $q (0.50, 0.95, 0.99)
	{
		my $exact = nearest_rank($q, @ns) / 1e6;
		my $error = abs(shift(@percentiles) / $exact - 1);
		$worst = max($worst, $error);
		cmp_ok($error, '<=', $limit, sprintf('%s: p%d (%.6f ms)', $name, $q * 100, $exact));
	}

	# The cumulative histogram, with bounds as they are said.
	my $wrong = 0;
	my @lines = map { [ split /\|/ ] } split /\n/, look("SELECT round(le_ms::numeric * 1000000, 4), count FROM hone.query_latency($queryid)");
	for my $line (@lines)
	{
		$wrong++ if scalar(grep { $_ < $line->[0] } @ns) != $line->[1];
	}
	is($wrong, 0, "$name: each bound of hone.query_latency counts what is below it (" . @lines . ' bounds)');
}
note sprintf('largest error of a percentile: %.2f %%', 100 * $worst);
cmp_ok(scalar(map { durations($_->[1]) } values %distribution), '>', 4000, 'that were thousands of executions');

# Histograms are merged by adding: two roles, one query, each with its own
# durations; and top level executions with nested ones.
my $start = look('SELECT max(id) FROM hone.slow_queries');
$distribution{other} = [ @{ $distribution{bimodal} } ];
$distribution{other}[1] = '+ 1';
$node->safe_psql('postgres', 'SELECT hone.reset_query_stats(); SET pg_hone.slow_query_ms = 0;'
	  . load('log_spread', 'merge_a') . load('other', 'merge_b') . q{
SET SESSION AUTHORIZATION merge_b;
PREPARE top(int, float8) AS SELECT count(*) + 1, pg_sleep($2) FROM generate_series(1, $1);
EXECUTE top(500, 0.001);});
my ($queryid) = split /\n/, look(q{SELECT DISTINCT queryid FROM hone.query_stats WHERE query LIKE '%SELECT count(*) + %, pg_sleep%' AND command = 'SELECT'});
is(look(qq{SELECT count(*), count(DISTINCT (username, toplevel)), sum(calls) FROM hone.query_stats WHERE queryid = $queryid}),
	'3|3|2501', 'one query of two roles, nested and not');
# A bound at which one of them has none is where the next lower one has some.
my $merged = look(qq{
WITH added AS (
    SELECT b, sum(c) AS c FROM hone.query_stats_memory(), unnest(buckets, counts) AS u(b, c)
    WHERE queryid = $queryid GROUP BY b)
SELECT array_agg(s::bigint ORDER BY b) FROM (SELECT b, sum(c) OVER (ORDER BY b) AS s FROM added) x});
is(look(qq{SELECT array_agg(count ORDER BY le_ms) FROM hone.query_latency($queryid)}), $merged,
	'the latency of a query is the sum of its histograms');
my @all = map { my $r = $_; split /\n/, look(qq{
SELECT round(duration_ms::numeric * 1000000) FROM hone.slow_queries_memory(0)
WHERE id > $start AND queryid = $queryid AND userid = '$r'::regrole}) } ('merge_a', 'merge_b');
@all = sort { $a <=> $b } @all;
my @bounds = map { [ split /\|/ ] } split /\n/, look("SELECT le_ms * 1000000, count FROM hone.query_latency($queryid) ORDER BY le_ms");
for my $q (0.5, 0.95, 0.99)
{
	my $exact = nearest_rank($q, @all);
	my ($bound) = grep { $_->[1] >= $q * @all } @bounds;
	# a bucket is 1/18 of its octave at most as wide as 5.6 % of its lower bound
	ok($exact <= $bound->[0] && $bound->[0] <= $exact * (1 + 1 / 18) + 1,
		sprintf('p%d of all %d is in the bucket below its bound', $q * 100, scalar @all));
}

$node->stop;
done_testing();
