# Scans that only a standby sees: its counters, as a relation the administrator
# names shows them, keep an index from being called unused. Read as its owner,
# never as the extension's. And the view itself on a standby.
use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $primary = PostgreSQL::Test::Cluster->new('primary');
$primary->init(allows_streaming => 1);
$primary->append_conf('postgresql.conf', q{
shared_preload_libraries = 'pg_hone'
pg_hone.collect_interval = 0
});
$primary->start;
$primary->safe_psql('postgres', q{
	CREATE EXTENSION pg_hone;
	CREATE ROLE plain;
	CREATE SCHEMA ops AUTHORIZATION plain;
	CREATE TABLE work AS SELECT i AS a, i AS b FROM generate_series(1, 20000) i;
	CREATE INDEX work_a ON work (a);
	CREATE INDEX work_b ON work (b);
	CREATE INDEX work_b_again ON work (b);
	ANALYZE work;
});
$primary->backup('backup');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($primary, 'backup', has_streaming => 1);
$standby->start;

sub on_primary { return $primary->safe_psql('postgres', $_[0]) }

sub unused
{
	return on_primary(q{
		SELECT coalesce(string_agg(index_name, ',' ORDER BY index_name), '-') FROM hone.index_health
		WHERE problem = 'unused' AND table_name = 'public.work'});
}

sub age
{
	on_primary(q{
		UPDATE hone.index_use_store SET since = now() - interval '40 days';
		UPDATE hone.standby_use_store SET since = now() - interval '40 days';
		UPDATE hone.standby_read_store SET first_at = now() - interval '40 days'});
}

# What the standbys scan, as the administrator brings it here: each night, say.
sub bring
{
	my $rows = $standby->safe_psql('postgres', q{
		SELECT pg_stat_force_next_flush();
		SELECT string_agg(format('(%s, %s)', indexrelid, idx_scan), ', ') FROM pg_stat_user_indexes
		WHERE relname = 'work'});
	$rows =~ s/^\s*//;
	on_primary("TRUNCATE ops.standby_scans; INSERT INTO ops.standby_scans VALUES $rows");
}

on_primary('SELECT hone.collect_index_use()');
age();
is(unused(), 'public.work_a,public.work_b', 'by the primary nobody uses them');
like(on_primary(q{SELECT evidence FROM hone.index_health WHERE index_name = 'public.work_a'}),
	qr/There are standbys, whose scans are not counted here/, 'which says what it does not know');

on_primary(q{
	SET ROLE plain;
	CREATE TABLE ops.standby_scans (indexrelid oid, idx_scan bigint)});
bring();
$primary->append_conf('postgresql.conf', "pg_hone.standby_index_use = 'ops.standby_scans'");
$primary->reload;
ok($primary->poll_query_until('postgres', q{SELECT current_setting('pg_hone.standby_index_use') <> ''}), 'configured');
is(on_primary(q{SELECT coalesce(bool_or(safe), false) FROM hone.index_health WHERE problem = 'unused'}), 'f',
	'nothing is safe before the counts were read');
on_primary('SELECT hone.collect_standby_index_use()');
is(unused(), '-', 'not known for long enough');
age();
is(unused(), 'public.work_a,public.work_b', 'unused there too');
like(on_primary(q{SELECT evidence FROM hone.index_health WHERE index_name = 'public.work_a'}),
	qr/nor have the standbys/, 'which is said');
on_primary(q{SELECT * FROM hone.examine_index('work_a')});
is(on_primary(q{SELECT safe FROM hone.index_health WHERE index_name = 'public.work_a'}), 't', 'and it is safe to drop');

# A scan that the primary knows nothing of.
$standby->safe_psql('postgres', 'SELECT * FROM work WHERE a = 77');
$standby->poll_query_until('postgres', q{SELECT idx_scan > 0 FROM pg_stat_user_indexes WHERE indexrelname = 'work_a'});
bring();
on_primary('SELECT hone.collect_standby_index_use()');
is(unused(), 'public.work_b', 'used on the standby');
is(on_primary(q{SELECT pg_stat_get_numscans('work_a'::regclass), scans FROM hone.standby_use_store WHERE index_oid = 'work_a'::regclass}),
	'0|1', 'and only there');

# Counts that are not read any more are no proof of anything.
on_primary(q{UPDATE hone.standby_read_store SET read_at = now() - interval '3 days'});
is(on_primary(q{SELECT bool_or(safe) IS NULL FROM hone.index_health WHERE problem = 'unused'}), 't', 'nothing is safe on old counts');

# Whatever the relation is, it is read as its owner.
on_primary(q{
	DROP TABLE ops.standby_scans;
	SET ROLE plain;
	CREATE FUNCTION ops.spy() RETURNS bigint LANGUAGE plpgsql AS $$
	BEGIN
		IF current_user <> 'plain' THEN RAISE EXCEPTION 'ran as %', current_user; END IF;
		RETURN 4711;
	END $$;
	CREATE VIEW ops.standby_scans AS SELECT 'public.work_b'::regclass::oid AS indexrelid, ops.spy() AS idx_scan, now() AS last_idx_scan});
on_primary('SELECT hone.collect_standby_index_use()');
is(on_primary(q{SELECT scans, last_used > now() - interval '1 minute' FROM hone.standby_use_store WHERE index_oid = 'work_b'::regclass}), '4711|t', 'a view is read as its owner');
on_primary(q{
	SET ROLE plain;
	CREATE OR REPLACE FUNCTION ops.spy() RETURNS bigint LANGUAGE plpgsql AS $$
	BEGIN
		SET ROLE postgres; RETURN 1;
	END $$});
my ($rc, $out, $err) = $primary->psql('postgres', 'SELECT hone.collect_standby_index_use()');
like($err, qr/cannot set parameter "role" within security-/, 'who cannot become another role');

for my $case (['nowhere.at_all', qr/schema "nowhere" does not exist|relation "nowhere.at_all" does not exist/],
	['standby_scans', qr/must name a relation with its schema/],
	['public.work_a', qr/"public.work_a" is not a table or view/],
	['public.work', qr/column "indexrelid" does not exist/],
	['a.b.c.d', qr/improper/])
{
	($rc, $out, $err) = $primary->psql('postgres',
		"SET pg_hone.standby_index_use = '$case->[0]'; SELECT hone.collect_standby_index_use()");
	like($err, $case->[1], "relation $case->[0]");
}
($rc, $out, $err) = $primary->psql('postgres', q{
	SET ROLE plain;
	SET pg_hone.standby_index_use = 'ops.mine'});
like($err, qr/permission denied to set parameter/, 'only superusers name it');
on_primary(q{SET pg_hone.standby_index_use = ''; SELECT hone.collect_standby_index_use()});
is(on_primary('SELECT count(*) FROM hone.standby_use_store'), '0', 'switched off, it is forgotten');

# What is not logged has no file there.
on_primary(q{
	CREATE UNLOGGED TABLE unlogged (a int);
	CREATE INDEX unlogged_a ON unlogged (a);
	CREATE INDEX unlogged_a_again ON unlogged (a)});
# The view on the standby: what the primary stored, and this server's own counts.
$primary->wait_for_catchup($standby);
is($standby->safe_psql('postgres', q{
	SELECT string_agg(problem || ':' || index_name, ',' ORDER BY index_name) FROM hone.index_health WHERE problem = 'duplicate'}),
	'duplicate:public.unlogged_a_again,duplicate:public.work_b_again', 'the view works on a standby');
is($standby->safe_psql('postgres', 'SELECT count(*) FROM hone.index_usage'), '0', 'and that of the use');
is($standby->safe_psql('postgres', q{SELECT safe FROM hone.examine_index('work_b_again')}), 't', 'and examining, which keeps nothing');

$standby->stop;
$primary->stop;
done_testing();
