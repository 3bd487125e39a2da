# Executions under the arms of a trial: sessions on both sides at once, what
# restarts and crashes leave, that a standby counts its own, and that there is a
# bound.
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
max_parallel_workers_per_gather = 0
autovacuum = off
pg_hone.collect_interval = 0
max_connections = 30
enable_bitmapscan = off
});
$node->start;
$node->safe_psql('postgres', q{
CREATE EXTENSION pg_hone;
CREATE TABLE t (a int, b int);
INSERT INTO t SELECT g, g FROM generate_series(1, 20000) g;
CREATE INDEX t_a ON t (a);
VACUUM ANALYZE t;
SELECT hone.hide_for_trial('t_a', 'trial', 77, arms => true);
-- runs a statement of a shape of its own for each pair
CREATE FUNCTION many(n int, m int) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    FOR i IN 1..n LOOP
        FOR j IN 1..m LOOP
            EXECUTE 'SELECT a' || repeat(', a', i) || repeat(' + a', j) || ' FROM t WHERE false';
        END LOOP;
    END LOOP;
END $$;
});

my $by_arm = q{
SELECT visible, sum(executions), sum(used) FROM hone.trial_executions
WHERE trial = 77 AND query LIKE 'SELECT b FROM t WHERE a = %' GROUP BY visible ORDER BY visible};

# Twelve sessions, at once on both sides; then each on the other one.
my @sessions = map { $node->background_psql('postgres') } 1 .. 12;
$_->query_safe('SELECT b FROM t WHERE a = 3') for @sessions;
my $before = $node->safe_psql('postgres', $by_arm);
like($before, qr/^f\|(\d+)\|0\nt\|(\d+)\|\2$/, 'both sides at once, and those who see the index use it');
my ($without, $with) = $before =~ /^f\|(\d+)\|0\nt\|(\d+)/;
is($without + $with, 12, 'every session on one of them');
$node->safe_psql('postgres', 'SELECT hone.turn_trial(77)');
$_->query_safe('SELECT b FROM t WHERE a = 4') for @sessions;
is($node->safe_psql('postgres', $by_arm), "f|12|0\nt|12|12", 'a turn later each has been on both');
is($node->safe_psql('postgres', q{
SELECT count(DISTINCT block) > 1, bool_and(arms = 2 AND balanced) FROM
(SELECT block, count(DISTINCT visible) AS arms,
        sum(executions) FILTER (WHERE visible) = sum(executions) FILTER (WHERE NOT visible) AS balanced
 FROM hone.trial_executions WHERE trial = 77 AND query LIKE 'SELECT b FROM t WHERE a = %' GROUP BY block) b}),
	't|t', 'and each block has as many of the one as of the other');
is($node->safe_psql('postgres', q{
SELECT sum(total_blocks) FILTER (WHERE visible) < sum(total_blocks) FILTER (WHERE NOT visible) / 10
FROM hone.trial_executions WHERE trial = 77}), 't', 'the index spares blocks');
$_->quit for @sessions;
is($node->safe_psql('postgres', $by_arm), "f|12|0\nt|12|12", 'figures outlive their sessions');

# Sessions that count at the same time lose nothing.
my $script = $node->basedir . '/arms.sql';
append_to_file($script, "\\set n random(1, 20000)\nSELECT sum(b) FROM t WHERE a = :n;\n");
$node->command_ok([ 'pgbench', '-n', '-c', '8', '-t', '250', '-f', $script, 'postgres' ], 'load');
is($node->safe_psql('postgres', q{
SELECT sum(executions), sum(rows), count(DISTINCT visible) FROM hone.trial_executions
WHERE trial = 77 AND query LIKE 'SELECT sum(b)%'}), '2000|2000|2', 'eight sessions lose nothing');

# Another database's trial of the same number is not ours.
$node->safe_psql('postgres', 'CREATE DATABASE elsewhere');
$node->safe_psql('elsewhere', 'CREATE EXTENSION pg_hone');
is($node->safe_psql('elsewhere', 'SELECT count(*) FROM hone.trial_executions'), '0', 'not shown elsewhere');
$node->safe_psql('elsewhere', 'SELECT hone.forget_trial(77)');
is($node->safe_psql('postgres', $by_arm), "f|12|0\nt|12|12", 'nor forgotten from there');

# More queries than there are rows.
$node->safe_psql('postgres', 'SELECT hone.reset_query_stats()');
$node->safe_psql('postgres', 'SELECT many(70, 80)');
is($node->safe_psql('postgres', q{
SELECT trial_entries <= 4096, trial_entries > 3000, trial_entries + trial_evictions,
       (SELECT sum(executions) = trial_entries FROM hone.trial_executions WHERE trial = 77)
FROM hone.query_stats_info}), 't|t|5600|t', 'the table is bounded and says so');
$node->safe_psql('postgres', 'SELECT hone.reset_query_stats()');
is($node->safe_psql('postgres', 'SELECT trial_entries, trial_evictions FROM hone.query_stats_info'),
	'0|0', 'a reset forgets all');

# A standby counts its own.
$node->backup('backup');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($node, 'backup', has_streaming => 1);
$standby->start;
$standby->safe_psql('postgres', 'SELECT b FROM t WHERE a = 3') for 1 .. 3;
is($standby->safe_psql('postgres', 'SELECT sum(executions) FROM hone.trial_executions WHERE trial = 77'), '3', 'a standby counts');
$standby->safe_psql('postgres', 'SELECT hone.forget_trial(77)');
is($standby->safe_psql('postgres', 'SELECT count(*) FROM hone.trial_executions'), '0', 'and forgets');
$standby->stop;

# A restart and a crash begin anew.
$node->safe_psql('postgres', 'SELECT b FROM t WHERE a = 3');
is($node->safe_psql('postgres', 'SELECT sum(executions) FROM hone.trial_executions'), '1', 'counted before the restart');
$node->restart;
is($node->safe_psql('postgres', 'SELECT count(*) FROM hone.trial_executions'), '0', 'a restart forgets');
$node->safe_psql('postgres', 'SELECT hone.forget_trial(77)');
$node->safe_psql('postgres', 'SELECT b FROM t WHERE a = 3');
my $pid = $node->safe_psql('postgres', q{SELECT pid FROM pg_stat_activity WHERE backend_type = 'background writer'});
kill 'KILL', $pid;
$node->poll_query_until('postgres', q{SELECT count(*) = 0 FROM hone.trial_executions});
is($node->safe_psql('postgres', 'SELECT trial_entries, trial_evictions FROM hone.query_stats_info'), '0|0', 'a crash does, too');
$node->safe_psql('postgres', 'SELECT hone.forget_trial(77)');
$node->safe_psql('postgres', 'SELECT b FROM t WHERE a = 3');
is($node->safe_psql('postgres', 'SELECT sum(executions) FROM hone.trial_executions WHERE trial = 77'), '1', 'and it goes on');
$node->stop;
done_testing();
