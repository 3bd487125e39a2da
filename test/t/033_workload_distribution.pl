# What the six samples of a query show of the way its executions are spread:
# what is usual, the slowest, and both modes where there are two.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->append_conf('postgresql.conf', q{
shared_preload_libraries = 'pg_hone'
pg_hone.collect_interval = 0
pg_hone.slow_query_ms = -1
});
$node->start;
$node->safe_psql('postgres', q{
CREATE EXTENSION pg_hone;
CREATE TABLE bimodal AS SELECT 0 AS id;
CREATE TABLE outliers AS SELECT 0 AS id;
CREATE TABLE early AS SELECT 0 AS id;
CREATE TABLE many AS SELECT 0 AS id;
-- each execution's time is its first parameter, in seconds
CREATE PROCEDURE run(query text, durations float8[]) LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE 'PREPARE q(float8, int) AS ' || query;
	FOR i IN 1..array_length(durations, 1) LOOP
		EXECUTE format('EXECUTE q(%s, %s)', durations[i], i);
	END LOOP;
	EXECUTE 'DEALLOCATE q';
END $$;
});

# The samples' nominal durations in ms, and is the slowest execution there?
sub samples
{
	my ($mark) = @_;
	return $node->safe_psql('postgres', qq{
SELECT count(*), count(*) FILTER (WHERE ms < 3) >= 2 AS usual, count(*) FILTER (WHERE ms > 30) AS slow,
       abs(max(duration_ms) - (SELECT max(max_exec_ms) FROM hone.query_stats q WHERE q.queryid = min(s.queryid))) < 0.001 AS slowest
FROM (SELECT *, parameters[1]::float8 * 1000 AS ms FROM hone.workload_samples
      WHERE query LIKE '%FROM $mark WHERE%') s});
}

# 10,000 executions, log-normal about 1 ms, one in a hundred about 50 ms
$node->safe_psql('postgres', q{
SELECT setseed(0.3);
SELECT array_agg(CASE WHEN g % 100 = 57 THEN 0.05 ELSE 0.001 END
                 * exp(0.2 * (random() + random() + random() + random() - 2))) AS durations
FROM generate_series(1, 10000) g \gset
CALL run('SELECT pg_sleep($1) FROM bimodal WHERE id <> $2', :'durations');
});
like(samples('bimodal'), qr/^6\|t\|[1-4]\|t$/, 'two modes: six samples, both modes, the slowest');

# one mode, and outliers that get slower and slower
$node->safe_psql('postgres', q{
SELECT array_agg(CASE WHEN g % 200 = 199 THEN 0.01 + g / 50000.0 ELSE 0.0002 END) AS durations
FROM generate_series(1, 2000) g \gset
CALL run('SELECT pg_sleep($1) FROM outliers WHERE id <> $2', :'durations');
});
like(samples('outliers'), qr/^6\|t\|[1-4]\|t$/, 'outliers do not push out what is usual');

# The slowest comes first, and once
$node->safe_psql('postgres', q{
SELECT array_agg(CASE g WHEN 1 THEN 0.1 ELSE 0 END) AS durations FROM generate_series(1, 3000) g \gset
CALL run('SELECT pg_sleep($1) FROM early WHERE id <> $2', :'durations');
});
like(samples('early'), qr/^6\|t\|1\|t$/, 'the slowest stays, whenever it was');

# several sessions, each with its own idea of when to look again
my $script = $node->basedir . '/script.sql';
append_to_file($script, q{
\set id random(1, 1000000)
\set slow random(1, 100)
SELECT pg_sleep(CASE WHEN :slow = 1 THEN 0.05 ELSE 0 END) FROM many WHERE id <> :id;
});
$node->command_ok([ 'pgbench', '-n', '-M', 'prepared', '-c', '4', '-t', '250', '-f', $script,
		'-h', $node->host, '-p', $node->port, 'postgres' ], 'pgbench');
is($node->safe_psql('postgres', q{
SELECT count(*), count(*) FILTER (WHERE parameters[1] = '1') BETWEEN 1 AND 4,
       count(*) FILTER (WHERE parameters[1] <> '1') >= 2,
       abs(max(duration_ms) - (SELECT max(max_exec_ms) FROM hone.query_stats q WHERE q.queryid = min(s.queryid))) < 0.001
FROM hone.workload_samples s WHERE query LIKE '%FROM many WHERE%'}), '6|t|t|t', 'four sessions at once');

done_testing();
