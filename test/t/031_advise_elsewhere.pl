# Advice by hand needs no preloading and works on a standby; what needs more
# says so and changes nothing.
use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $primary = PostgreSQL::Test::Cluster->new('primary');
$primary->init(allows_streaming => 1);
$primary->start;
$primary->safe_psql('postgres', q{
	CREATE EXTENSION pg_hone;
	CREATE TABLE t AS SELECT i AS a, repeat('f', 50) AS f FROM generate_series(1, 20000) i;
	ANALYZE t;
});

my $advice = q{SELECT definition FROM hone.advise('SELECT * FROM t WHERE a = 7')};
my $index = 'CREATE INDEX t_a_idx ON public.t USING btree (a)';

is($primary->safe_psql('postgres', $advice), $index, 'advice, not preloaded');
is( $primary->safe_psql('postgres',
		q{SELECT definition FROM hone.recommend_for(ARRAY['SELECT * FROM t WHERE a = 7'])}),
	$index, 'recommendation by hand, not preloaded');
my ($rc, $out, $err) = $primary->psql('postgres', 'SELECT * FROM hone.recommend()');
isnt($rc, 0, 'nothing was captured');
like($err, qr/shared_preload_libraries/, 'and it says why');

$primary->backup('backup');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($primary, 'backup', has_streaming => 1);
$standby->start;
$primary->wait_for_catchup($standby, 'replay', $primary->lsn('insert'));
is($standby->safe_psql('postgres', $advice), $index, 'advice on a standby');
is($standby->safe_psql('postgres', 'SELECT definition FROM hone.recommendations'),
	$index, 'recommendations are seen on a standby');
for my $call (
	q{SELECT * FROM hone.recommend()},
	q{SELECT * FROM hone.recommend_for(ARRAY['SELECT 1'])},
	q{SELECT hone.dismiss(1, 'x')})
{
	($rc, $out, $err) = $standby->psql('postgres', "\\set VERBOSITY verbose\n$call");
	like($err, qr/ERROR:  25006/, "$call is refused on a standby");
}
$standby->stop;

# What was captured while it was preloaded is enough to be advised on later.
$primary->append_conf('postgresql.conf', "shared_preload_libraries = 'pg_hone'\n");
$primary->restart;
$primary->safe_psql('postgres', 'SELECT * FROM t WHERE a = 7; SELECT * FROM t WHERE a = 8');
is($primary->safe_psql('postgres', 'SELECT definition FROM hone.recommend()'),
	$index, 'captured and recommended');
$primary->safe_psql('postgres', 'SELECT hone.collect_samples()');
$primary->append_conf('postgresql.conf', "shared_preload_libraries = ''\n");
$primary->restart;
is($primary->safe_psql('postgres', 'SELECT definition FROM hone.recommend()'),
	$index, 'recommended from stored samples');

$primary->stop;
done_testing();
