# What every function, procedure and view answers where it cannot work: not
# preloaded, asked by a role that was granted nothing, on a standby. By SQLSTATE;
# 00000 is an answer, as the README says, and - is not asked.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my @rows = map { chomp; [ split /\|/, $_, 4 ] } <DATA>;

sub ask
{
	my ($node, $where, $column, $prelude) = @_;

	for my $row (@rows)
	{
		my ($expected, $call) = @$row[ $column, 3 ];
		my ($rc, $out, $err);

		next if $expected eq '-';
		($rc, $out, $err) = $node->psql('postgres', "\\set VERBOSITY sqlstate\n$prelude$call");
		is(($err // '') =~ /ERROR:\s+(\S{5})/ ? $1 : '00000', $expected, "$where: $call");
	}
}

my $primary = PostgreSQL::Test::Cluster->new('primary');
$primary->init(allows_streaming => 1);
$primary->start;
$primary->safe_psql('postgres', q{
	CREATE EXTENSION pg_hone;
	CREATE TABLE t AS SELECT i AS a, now() AS at, repeat('f', 50) AS f FROM generate_series(1, 20000) i;
	ANALYZE t;
	CREATE ROLE ungranted LOGIN;
	GRANT ALL ON t TO ungranted;
	SELECT hone.create_feed('f', mode => 'stored');
	SELECT hone.add_feed_source('f', 't', 't', 'at', 'f');
	SELECT hone.build_feed('f');
	SELECT hone.recommend_for(ARRAY['SELECT * FROM t WHERE a = 1']);
});
ask($primary, 'not preloaded', 0, '');

$primary->append_conf('postgresql.conf', "shared_preload_libraries = 'pg_hone'");
$primary->restart;
my $before = $primary->safe_psql('postgres',
	'SELECT (SELECT count(*) FROM hone.recommendations), (SELECT count(*) FROM hone.feed_status), (SELECT count(*) FROM hone.actions)');
ask($primary, 'granted nothing', 1, "SET SESSION AUTHORIZATION ungranted;\n");
is( $primary->safe_psql('postgres',
		'SELECT (SELECT count(*) FROM hone.recommendations), (SELECT count(*) FROM hone.feed_status), (SELECT count(*) FROM hone.actions)'),
	$before, 'granted nothing, nothing changed');

$primary->backup('backup');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($primary, 'backup', has_streaming => 1);
$standby->start;
ask($standby, 'standby', 2, '');
$standby->stop;
$primary->stop;
done_testing();

__DATA__
55000|00000|00000|SELECT * FROM hone.query_stats
00000|00000|00000|SELECT * FROM hone.query_history
00000|00000|00000|SELECT * FROM hone.query_rollup
00000|00000|00000|SELECT hone.histogram_quantile('', 0.5)
00000|00000|00000|SELECT hone.histogram_sum('')
00000|00000|00000|SELECT * FROM hone.histogram_buckets('')
00000|42501|00000|SELECT hone.roll_up_query_stats()
00000|42501|00000|SELECT hone.expire_query_history()
00000|00000|00000|SELECT * FROM hone.self_account
55000|00000|00000|SELECT * FROM hone.query_latency(1)
55000|00000|00000|SELECT * FROM hone.query_stats_info
55000|00000|00000|SELECT * FROM hone.query_errors
55000|00000|00000|SELECT * FROM hone.query_tables
55000|00000|00000|SELECT * FROM hone.nested_queries
55000|00000|00000|SELECT * FROM hone.table_latency
55000|00000|00000|SELECT * FROM hone.table_latency_histogram('pg_class', 'SELECT')
55000|42501|00000|SELECT hone.reset_query_stats()
55000|42501|00000|SELECT hone.collect_query_stats()
55000|00000|00000|SELECT * FROM hone.slow_queries
55000|00000|00000|SELECT * FROM hone.slow_queries_info
00000|42501|00000|SELECT hone.retention()
55000|42501|00000|SELECT hone.collect_slow_queries()
00000|42501|00000|SELECT hone.expire_slow_queries()
55000|00000|00000|SELECT * FROM hone.workload
55000|00000|00000|SELECT * FROM hone.workload_samples
55000|00000|00000|SELECT * FROM hone.workload_info
55000|42501|00000|SELECT hone.collect_samples()
00000|42501|00000|SELECT hone.expire_captured()
00000|42501|25006|SELECT hone.collect()
00000|42501|25006|SELECT hone.collect_step('collect_samples')
00000|42501|00000|SELECT * FROM hone.collector_steps()
00000|00000|00000|SELECT * FROM hone.collector_cost()
00000|00000|00000|SELECT * FROM hone.capture_cost()
00000|00000|00000|SELECT * FROM hone.collector_status
00000|42501|00000|SELECT hone.wake_collector()
00000|42501|00000|SELECT cost_after FROM hone.what_if('SELECT * FROM t WHERE a=1', ARRAY['CREATE INDEX ON t (a)'])
00000|00000|00000|SELECT * FROM hone.pool_stats
00000|00000|00000|SELECT * FROM hone.pool_summary
55000|42501|25006|SELECT definition FROM hone.recommend()
00000|42501|25006|SELECT definition FROM hone.recommend_for(ARRAY['SELECT * FROM t WHERE a=1'])
00000|42501|00000|SELECT definition FROM hone.advise('SELECT * FROM t WHERE a=1')
55000|42501|00000|SELECT * FROM hone.index_costs()
00000|42501|00000|SELECT * FROM hone.index_costs(ARRAY['SELECT * FROM t WHERE a=1'])
55000|42501|00000|SELECT * FROM hone.advisor_workload()
00000|42501|00000|SELECT hone.collect_index_use()
00000|42704|00000|SELECT hone.explain_recommendation(1)
00000|00000|00000|SELECT * FROM hone.recommendations
00000|00000|00000|SELECT * FROM hone.advisor_runs
-|42501|25006|CALL hone.apply(1, false)
-|42501|25006|CALL hone.apply(1)
-|42501|25006|CALL hone.apply_all(1, false)
-|42501|25006|CALL hone.apply_all()
-|42501|25006|CALL hone.revert(1, false)
-|42501|25006|CALL hone.reindex('pg_class_oid_index', false)
00000|00000|00000|SELECT * FROM hone.action_progress(1)
-|42501|25006|SELECT hone.dismiss(1, 'x')
00000|42501|25006|SELECT hone.reconcile_actions()
00000|00000|00000|SELECT * FROM hone.actions
-|42501|25006|SELECT hone.create_feed('g')
-|42501|25006|SELECT hone.add_feed_source('f','t','t','at','f')
00000|42501|25006|SELECT hone.build_feed('f')
00000|42501|25006|SELECT * FROM hone.refresh_feed('f')
00000|42501|00000|SELECT * FROM hone.verify_feed('f')
-|42501|25006|SELECT hone.feed_failed('f', 'x')
00000|42501|25006|SELECT * FROM hone.refresh_feeds()
-|42501|25006|SELECT * FROM hone.refresh_recent_activities()
-|42501|25006|SELECT hone.drop_feed('nosuch')
00000|00000|00000|SELECT * FROM hone.feed_status
00000|42501|00000|SELECT * FROM hone.cron_commands()
00000|00000|00000|SELECT * FROM hone.jobs
