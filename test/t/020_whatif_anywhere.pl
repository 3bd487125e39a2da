# What-if questions need no preloading, and work on a standby.
use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $primary = PostgreSQL::Test::Cluster->new('primary');
$primary->init(allows_streaming => 1);
$primary->start;
is($primary->safe_psql('postgres', 'SHOW shared_preload_libraries'), '', 'not preloaded');
$primary->safe_psql('postgres', q{
	CREATE EXTENSION pg_hone;
	CREATE TABLE t AS SELECT i AS a, ARRAY[i] AS tags FROM generate_series(1, 20000) i;
	ANALYZE t;
});

my %asked = (
	'read' => 'SELECT * FROM t WHERE a = 7',
	'write' => 'UPDATE t SET a = 8 WHERE a = 7');
my $btree = 'CREATE INDEX ON public.t USING btree (a)';

sub ask
{
	my ($node, $statement, $index) = @_;
	return $node->safe_psql('postgres', qq{
		SELECT indexes_used[1] FROM hone.what_if('$statement', ARRAY['$index'])});
}

is(ask($primary, $asked{$_}, $btree), $btree, "$_, not preloaded") for sort keys %asked;

$primary->backup('backup');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($primary, 'backup', has_streaming => 1);
$standby->start;
$primary->wait_for_catchup($standby, 'replay', $primary->lsn('insert'));

is($standby->safe_psql('postgres', 'SELECT pg_is_in_recovery()'), 't', 'on a standby');
is(ask($standby, $asked{$_}, $btree), $btree, "$_, on a standby") for sort keys %asked;
my $gin = 'CREATE INDEX ON public.t USING gin (tags)';
is(ask($standby, 'SELECT * FROM t WHERE tags @> ARRAY[7]', $gin), $gin, 'gin on a standby');

# In a read-only transaction and at the strictest isolation level as well.
is( $primary->safe_psql('postgres', qq{
		BEGIN ISOLATION LEVEL SERIALIZABLE READ ONLY;
		SELECT indexes_used[1] FROM hone.what_if('$asked{write}', ARRAY['$btree']);
		COMMIT;}),
	$btree, 'in a read-only transaction');

$standby->stop;
$primary->stop;
done_testing();
