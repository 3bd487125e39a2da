# A table that is dropped and made anew, while a run plans other statements, costs
# that statement its advice and nothing else.
use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->append_conf('postgresql.conf', "shared_preload_libraries = 'pg_hone'\nlogging_collector = off\n");
$node->start;
my $make = q{CREATE TABLE fleeting AS SELECT i AS id, i % 1000 AS a, repeat('f', 50) AS f
             FROM generate_series(1, 20000) i; ANALYZE fleeting;};
$node->safe_psql('postgres', qq{
	CREATE EXTENSION pg_hone;
	$make
	CREATE TABLE lasting AS SELECT * FROM fleeting;
	ANALYZE lasting;
	-- folded while planning: each time this statement is planned takes a while
	CREATE FUNCTION slow() RETURNS int IMMUTABLE LANGUAGE plpgsql AS
		'BEGIN PERFORM pg_sleep(0.3); RETURN 7; END';
});
my $wanted = q{SELECT * FROM fleeting WHERE a = 7};
my $other = q{SELECT * FROM lasting WHERE a = slow()};

# The first statement was read when the table goes.
sub while_running
{
	my ($run, $change) = @_;
	my ($out, $err) = ('', '');
	my $session = IPC::Run::start(
		[ 'psql', '-XAtq', '-d', $node->connstr('postgres'), '-c', $run ],
		'<', \undef, '>', \$out, '2>', \$err);
	$node->poll_query_until('postgres',
		q{SELECT count(*) = 1 FROM pg_stat_activity WHERE wait_event = 'PgSleep'})
	  or die 'it does not run';
	$node->safe_psql('postgres', $change);
	$session->finish;
	return ($out, $err);
}

my $anew = "DROP TABLE fleeting; $make";
my $by_hand = "SELECT definition FROM hone.recommend_for(ARRAY[\$\$$wanted\$\$, \$\$$other\$\$])";
my ($out, $err) = while_running($by_hand, $anew);
like($err, qr/a table of the statement was changed meanwhile/, 'by hand: an error says so');
($out, $err) = while_running($by_hand, 'ALTER TABLE fleeting DROP COLUMN f');
like($err, qr/a table of the statement was changed meanwhile/, 'a column less, too');
is($node->safe_psql('postgres', q{SELECT 1}), '1', 'the server runs');

$node->safe_psql('postgres', $anew);
$node->safe_psql('postgres', "$wanted; $other;") for 1 .. 3;
($out, $err) = while_running('SELECT definition FROM hone.recommend()', $anew);
is($err, '', 'captured: the run goes on');
like($out, qr/ON public\.lasting/, 'with what is the same');
# which of the two was read first, and so is advised on or skipped, is not said
($out, $err) = while_running('SELECT definition FROM hone.recommend()', 'DROP TABLE fleeting');
is($err, '', 'dropped for good');
like($out, qr/ON public\.lasting|^$/, 'no harm done');

done_testing();
