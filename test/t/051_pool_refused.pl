# Connections that the server refuses are counted, whatever limit they hit, and
# so are peaks that nobody was there to see.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->append_conf('postgresql.conf', q{
shared_preload_libraries = 'pg_hone'
max_connections = 8
superuser_reserved_connections = 2
restart_after_crash = on
max_wal_senders = 0
});
$node->start;
$node->safe_psql('postgres', q{
	CREATE EXTENSION pg_hone;
	CREATE ROLE app LOGIN;
	CREATE ROLE narrow LOGIN CONNECTION LIMIT 0;
});

sub refused { return $node->safe_psql('postgres', 'SELECT refused_connections FROM hone.pool_summary'); }

is(refused(), 0, 'none yet');
isnt($node->psql('postgres', 'SELECT 1', extra_params => [ '-U', 'narrow' ]), 0, 'a role over its limit');
is(refused(), 1, 'is counted');

# Fill all slots that ordinary roles may have.
my @held;
for (1 .. 6)
{
	my ($in, $out, $err) = ('', '', '');
	my $h = IPC::Run::start(
		[ 'psql', '-XAtq', '-U', 'app', '-d', $node->connstr('postgres') . " application_name=crowd" ],
		'<', \$in, '>', \$out, '2>', \$err);
	$in .= "SELECT 1;\n";
	$h->pump until $out =~ /1/ || $err ne '';
	push @held, [ $h, \$in ];
}
is($node->safe_psql('postgres', q{SELECT total, peak_total FROM hone.pool_stats WHERE application_name = 'crowd'}),
	'6|6', 'the crowd is seen');
isnt($node->psql('postgres', 'SELECT 1', extra_params => [ '-U', 'app' ]), 0, 'one more is refused');
is(refused(), 2, 'and counted');
is($node->safe_psql('postgres', q{SELECT in_use, available, high_water_mark, utilisation FROM hone.pool_summary}),
	'7|0|7|0.875', 'the server is as full as it gets');

for my $held (@held)
{
	${ $held->[1] } .= "\\q\n";
	$held->[0]->finish;
}
is($node->safe_psql('postgres', q{SELECT peak_total FROM hone.pool_peaks() WHERE application_name = 'crowd'}), 6,
	'the peak stays');
is($node->safe_psql('postgres', q{SELECT high_water_mark FROM hone.pool_summary}), 7, 'so does the high-water mark');

# Nobody looks while these are here: the launcher does, each second.
{
	my ($in, $out, $err) = ('', '', '');
	my $h = IPC::Run::start(
		[ 'psql', '-XAtq', '-d', $node->connstr('postgres') . " application_name=unseen" ],
		'<', \$in, '>', \$out, '2>', \$err);
	$in .= "SELECT pg_sleep(3);\n\\q\n";
	$h->finish;
}
is($node->safe_psql('postgres', q{SELECT peak_total FROM hone.pool_peaks() WHERE application_name = 'unseen'}), 1,
	'peaks are seen without a reader');

# A failed login is something else.
$node->psql('postgres', 'SELECT 1', extra_params => [ '-U', 'nobody_of_this_name' ]);
is(refused(), 2, 'other failures are not counted');

# Without preloading there is nothing to know of the past.
$node->append_conf('postgresql.conf', q{shared_preload_libraries = ''});
$node->restart;
is($node->safe_psql('postgres', q{
	SELECT in_use, refused_connections IS NULL, high_water_mark IS NULL, utilisation FROM hone.pool_summary}),
	'1|t|t|0.125', 'not preloaded: the present only');
is($node->safe_psql('postgres', q{SELECT count(*), bool_and(peak_total IS NULL) FROM hone.pool_stats}), '1|t',
	'and no peaks');

$node->stop;
done_testing();
