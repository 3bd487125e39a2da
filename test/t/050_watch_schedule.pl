# hone.schedule() with a real pg_cron: the jobs are there once, one of them
# runs, its end is seen in hone.jobs, and hone.unschedule() takes them off.
# Without pg_cron, and from another database, the error says what to do.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $share = `pg_config --sharedir`;
chomp $share;
plan skip_all => 'pg_cron is not installed' unless -f "$share/extension/pg_cron.control";

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->append_conf('postgresql.conf', q{
shared_preload_libraries = 'pg_cron,pg_hone'
cron.database_name = 'postgres'
cron.use_background_workers = on
});
$node->start;
$node->safe_psql('postgres', 'CREATE EXTENSION pg_hone');
$node->safe_psql('postgres', q{CREATE DATABASE "it's"});
$node->safe_psql(q{it's}, 'CREATE EXTENSION pg_hone');

sub fails
{
	my ($database, $sql, $pattern, $name) = @_;
	my ($status, $out, $err) = $node->psql($database, "\\set VERBOSITY verbose\n$sql");
	isnt($status, 0, "$name: fails");
	like($err, $pattern, "$name: says why");
}

is($node->safe_psql('postgres', 'SELECT count(*) FROM hone.jobs'), 0,
	'no jobs where there is no pg_cron');
fails('postgres', 'SELECT hone.schedule()',
	qr/55000.*"pg_cron" is not installed.*CREATE EXTENSION pg_cron/s, 'not installed');

$node->safe_psql('postgres', 'CREATE EXTENSION pg_cron');
fails(q{it's}, 'SELECT hone.schedule()',
	qr/55000.*pg_cron lives in database "postgres".*cron\.schedule_in_database\('pg_hone it''s feeds'.*'it''s'\)/s,
	'another database');

# What the hint says works, and is not shown as this database's.
my ($status, $out, $err) = $node->psql(q{it's}, 'SELECT hone.schedule()');
my ($commands) = $err =~ /Run there: (.*?;)\n/s;
$node->safe_psql('postgres', $commands);
like($node->safe_psql('postgres', q{SELECT string_agg(command, ',') FROM cron.job WHERE database = 'it''s'}),
	qr/SELECT hone\.refresh_feeds\(\)/, 'the hint can be run as it is');
is($node->safe_psql('postgres', 'SELECT count(*) FROM hone.jobs'), 0,
	'jobs of another database are not ours');

# A stored feed for the job to refresh.
$node->safe_psql('postgres', q{
	CREATE TABLE src (id int PRIMARY KEY, at timestamptz);
	SELECT hone.create_feed(mode => 'stored');
	SELECT hone.add_feed_source('recent_activities', 'src', 's', 'at', 'id');
	SELECT hone.build_feed();
	INSERT INTO src VALUES (1, now());
});
my $jobs = $node->safe_psql('postgres', 'SELECT count(*) FROM hone.schedule()');
cmp_ok($jobs, '>=', 2, 'jobs are scheduled');
is($node->safe_psql('postgres', 'SELECT count(*) FROM hone.schedule()'), $jobs, 'again');
is($node->safe_psql('postgres', 'SELECT count(*) FROM hone.jobs WHERE active'), $jobs,
	'each is there once');
is($node->safe_psql('postgres', q{SELECT schedule, command FROM hone.jobs WHERE jobname = 'pg_hone postgres feeds'}),
	'*/5 * * * *|SELECT hone.refresh_feeds()', 'the feeds, each five minutes');

# Each minute instead, not to wait for five.
$node->safe_psql('postgres', q{
	SELECT cron.alter_job(jobid, schedule => '* * * * *')
	FROM cron.job WHERE jobname = 'pg_hone postgres feeds'});
my $ran = 0;
for (1 .. 75)
{
	last if $ran = $node->safe_psql('postgres', q{
		SELECT last_status = 'succeeded' FROM hone.jobs WHERE jobname = 'pg_hone postgres feeds'}) eq 't';
	sleep 1;
}
ok($ran, 'pg_cron ran it');
is($node->safe_psql('postgres', 'SELECT count(*) FROM recent_activities'), 1, 'and the feed was refreshed');
is($node->safe_psql('postgres', q{
	SELECT last_run_age_s BETWEEN 0 AND 120 FROM hone.jobs WHERE jobname = 'pg_hone postgres feeds'}), 't',
	'its age is shown');

# A role without rights on pg_cron sees nothing and changes nothing.
$node->safe_psql('postgres', 'CREATE ROLE other; GRANT EXECUTE ON FUNCTION hone.schedule(), hone.require_pg_cron() TO other');
is($node->safe_psql('postgres', 'SET ROLE other; SELECT count(*) FROM hone.jobs'), 0, 'others see no job');
fails('postgres', 'SET ROLE other; SELECT hone.schedule()', qr/42501.*schema cron/s, 'no right');

# Old runs are deleted, and only ours.
$node->safe_psql('postgres', q{
	UPDATE cron.job_run_details SET end_time = now() - interval '8 days';
	INSERT INTO cron.job_run_details (jobid, runid, end_time, username) VALUES (-1, -1, now() - interval '8 days', current_user)});
cmp_ok($node->safe_psql('postgres', 'SELECT hone.expire_cron_history()'), '>=', 1, 'old runs are deleted');
is($node->safe_psql('postgres', 'SELECT count(*) FROM cron.job_run_details WHERE runid = -1'), 1, 'but not those of others');

is($node->safe_psql('postgres', 'SELECT hone.unschedule()'), $jobs, 'all are taken off');
is($node->safe_psql('postgres', q{SELECT count(*) FROM cron.job WHERE database = 'postgres'}), 0, 'none is left');

# Not even loaded.
$node->append_conf('postgresql.conf', q{shared_preload_libraries = 'pg_hone'});
$node->restart;
fails(q{it's}, 'SELECT hone.schedule()', qr/55000.*pg_cron is not loaded.*shared_preload_libraries/s, 'not loaded');

$node->stop;
done_testing();
