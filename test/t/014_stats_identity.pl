# A statement prepared long ago is still counted with those of its kind, when
# its session has forgotten who it is; a crash loses nothing but the counts; on
# a standby lists are one query as well.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init(allows_streaming => 1);
$node->append_conf('postgresql.conf', q{
shared_preload_libraries = 'pg_hone'
restart_after_crash = on
});
$node->start;
$node->safe_psql('postgres', q{
CREATE EXTENSION pg_hone;
CREATE TABLE lists (} . join(', ', map { "c$_ int" } 1 .. 12) . q{)});

# Twelve queries with lists, prepared in two lengths each; then more queries
# than a session remembers; then they are executed.
my $prepare = join('', map {
		"PREPARE short$_ AS SELECT c$_ FROM lists WHERE c$_ IN (1, 2);\n"
	  . "PREPARE long$_ AS SELECT c$_ FROM lists WHERE c$_ IN (1, 2, 3, 4);\n" } 1 .. 12);
my $shapes = q{
DO $$
BEGIN
    FOR i IN 1..60 LOOP
        FOR j IN 1..100 LOOP
            EXECUTE 'SELECT g' || repeat(', g', i) || repeat(' + g', j)
                    || ' FROM generate_series(1, 2) g';
        END LOOP;
    END LOOP;
END $$;
};
my $execute = join('', map { "EXECUTE short$_;\nEXECUTE long$_;\n" } 1 .. 12);
my $count = q{
SELECT count(*), count(DISTINCT queryid), min(calls), max(calls)
FROM hone.query_stats WHERE query LIKE '%FROM lists WHERE%' AND calls > 0};

$node->safe_psql('postgres', $prepare . $shapes . $execute);
is($node->safe_psql('postgres', $count), '12|12|2|2',
	'statements prepared long ago keep their identity');

# A crash: what was known is gone with those who prepared it.
my $pid = $node->safe_psql('postgres', 'SELECT pid FROM pg_stat_activity WHERE backend_type = \'checkpointer\'');
kill 9, $pid;
$node->poll_query_until('postgres', q{SELECT count(*) = 0 FROM hone.query_stats WHERE query LIKE '%FROM lists WHERE%'})
  or die 'the server did not come back';
$node->safe_psql('postgres', $prepare . $execute);
is($node->safe_psql('postgres', $count), '12|12|2|2', 'after a crash');

# A standby.
$node->backup('backup');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($node, 'backup', has_streaming => 1);
$standby->start;
$node->wait_for_catchup($standby);
$standby->safe_psql('postgres', $prepare . $shapes . $execute);
is($standby->safe_psql('postgres', $count), '12|12|2|2', 'on a standby');

# Eight sessions teach and ask the shared map at once.
my $script = $node->basedir . '/lists.sql';
append_to_file($script, join('',
		"\\set n random(1, 12)\n",
		map { "\\if :n = $_\nSELECT c$_ + 0 FROM lists WHERE c$_ IN ("
			  . join(', ', 1 .. $_ + 1) . ");\n"
			  . "SELECT c$_ + 0 FROM lists WHERE c$_ IN ("
			  . join(', ', 1 .. $_ + 2) . ");\n\\endif\n" } 1 .. 12));
$node->safe_psql('postgres', 'SELECT hone.reset_query_stats()');
$node->command_ok(
	[ 'pgbench', '-n', '-c', '8', '-t', '100', '-C', '-f', $script, 'postgres' ], 'load');
is($node->safe_psql('postgres', q{
SELECT count(*) <= 12, sum(calls), count(*) FILTER (WHERE calls % 2 = 1)
FROM hone.query_stats WHERE query LIKE '%FROM lists WHERE%'}), 't|1600|0',
	'each pair of lengths is one query, whoever runs it');

done_testing();
