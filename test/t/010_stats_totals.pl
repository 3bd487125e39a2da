# Whatever is evicted, the totals over all rows equal what was executed; a
# crash empties the statistics and nothing else.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->append_conf('postgresql.conf', q{
shared_preload_libraries = 'pg_hone'
pg_hone.max_queries = 100
restart_after_crash = on
});
$node->start;
$node->safe_psql('postgres', 'CREATE EXTENSION pg_hone');

# 3000 distinct queries, each once, of which each returns two rows. The shapes
# differ in the number of columns and in their expressions.
my $shapes = q{
DO $$
BEGIN
    FOR i IN 1..60 LOOP
        FOR j IN 1..50 LOOP
            EXECUTE 'SELECT g' || repeat(', g', i) || repeat(' + g', j)
                    || ' FROM generate_series(1, 2) g';
        END LOOP;
    END LOOP;
END $$};
# Nothing else may run while this is counted: our own launcher is quiet too.
$node->safe_psql('postgres', 'SELECT hone.reset_query_stats()');
$node->safe_psql('postgres', $shapes);
# Beside the shapes: the reset itself, the DO, and one more for each look.
is($node->safe_psql('postgres', 'SELECT sum(calls) FROM hone.query_stats'), 3002,
	'every execution is in a row or in the sum of the evicted');
is($node->safe_psql('postgres', q{
SELECT count(*), max(calls) > 2500, max(rows) > 5000, max(total_exec_ms) > 0
FROM hone.query_stats WHERE query = '<other>'}), '1|t|t|t',
	'the evicted are one row');
is($node->safe_psql('postgres', 'SELECT sum(rows) FROM hone.query_stats'), 6003,
	'rows are not lost either');

is($node->safe_psql('postgres', q{
SELECT entries <= max_entries, evictions > 2500, entries + evictions >= 3000
FROM hone.query_stats_info}), 't|t|t', 'the table is bounded and says so');

# The histogram of the evicted went along: hot queries keep their own row.
$node->safe_psql('postgres', 'SELECT hone.reset_query_stats()');
is($node->safe_psql('postgres', q{SELECT evictions FROM hone.query_stats_info}),
	'0', 'a reset clears the sum too');

# Eight backends at once, one hot query and many rare ones.
my $script = $node->basedir . '/hot.sql';
append_to_file($script, "\\set n random(1, 40)\nSELECT 1 AS hot;\n"
	  . join('', map { "\\if :n = $_\nSELECT 1" . (' + 1' x $_) . " AS rare;\n\\endif\n" } 1 .. 40));
$node->command_ok(
	[ 'pgbench', '-n', '-c', '8', '-t', '500', '-f', $script, 'postgres' ], 'load');
is($node->safe_psql('postgres', 'SELECT sum(calls) FROM hone.query_stats'), 8002,
	'no call of eight backends is lost');
cmp_ok($node->safe_psql('postgres', q{
SELECT sum(calls) FROM hone.query_stats WHERE query = 'SELECT $1 AS hot'}), '>=', 3000,
	'the hot query keeps its row');

# A crash: start again empty, and count again.
my $pid = $node->safe_psql('postgres', q{SELECT pg_backend_pid()});
my $psql = $node->background_psql('postgres');
$pid = $psql->query('SELECT pg_backend_pid()');
kill 'KILL', $pid;
$node->poll_query_until('postgres', 'SELECT true');
eval { $psql->quit };
$node->safe_psql('postgres', 'SELECT 42 AS after_crash');
is($node->safe_psql('postgres', q{
SELECT calls FROM hone.query_stats WHERE query = 'SELECT $1 AS after_crash'}), '1',
	'counting goes on after a crash');
is($node->safe_psql('postgres', q{
SELECT count(*) FROM hone.query_stats WHERE query LIKE 'SELECT $1 AS hot'}), '0',
	'a crash empties the statistics');

$node->stop;
done_testing();
