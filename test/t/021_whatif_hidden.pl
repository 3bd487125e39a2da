# Hidden indexes over restarts, crashes, standbys and databases; who has the
# library and who has not; a list that is locked, gone, or not ours; and the two
# sides of a trial.
use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use HoneWire;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $setup = q{
	CREATE TABLE t (a int, b int);
	INSERT INTO t SELECT i, i FROM generate_series(1, 5000) i;
	CREATE INDEX t_a ON t (a);
	CREATE INDEX t_b ON t (b);
	VACUUM ANALYZE t};
my $by_a = 'SELECT * FROM t WHERE a = 7';
my $by_b = 'SELECT * FROM t WHERE b = 7';

# Which index does a session's plan read?
sub index_in
{
	my ($answer) = @_;
	my $plan = join("\n", map { $_->[0] } @{ $answer->{rows} });
	return $plan =~ /Index (?:Only )?Scan (?:using|on) (\w+)/ ? $1 : $answer->{message} || 'none';
}

sub reads
{
	my ($session, $statement) = @_;
	return index_in($session->query("EXPLAIN $statement"));
}

sub session
{
	my ($node, $dbname, @more) = @_;
	my $session = HoneWire->connect($node, dbname => $dbname // 'postgres', @more);
	$session->query('PREPARE kept AS SELECT * FROM t WHERE a = $1; SET plan_cache_mode = force_generic_plan')
	  unless $session->query("SELECT to_regclass('t') IS NULL AS no")->{rows}[0][0] eq 't';
	return $session;
}

my $node = PostgreSQL::Test::Cluster->new('primary');
$node->init(allows_streaming => 1);
$node->append_conf('postgresql.conf', q{
	shared_preload_libraries = 'pg_hone'
	pg_hone.collect_interval = 0
	max_connections = 40
	max_prepared_transactions = 2
	autovacuum = off});
$node->start;
$node->safe_psql('postgres', "$setup; CREATE DATABASE other; CREATE DATABASE fake");
$node->safe_psql($_, $setup) for qw(other fake);

# The extension comes while a session is there that has planned already.
my $early = session($node);
is(reads($early, $by_a), 't_a', 'no extension');
$node->safe_psql('postgres', 'CREATE EXTENSION pg_hone');
$node->safe_psql('postgres', "SELECT hone.hide_index('t_a')");
is(reads($early, $by_a), 'none', 'an extension made by somebody else is noticed');
is(reads($early, 'EXECUTE kept(7)'), 'none', 'and the kept plan made anew');

# Each database has its own.
my $elsewhere = session($node, 'other');
is(reads($elsewhere, $by_a), 't_a', 'not hidden in another database');
$node->safe_psql('other', 'CREATE EXTENSION pg_hone');
is(reads($elsewhere, $by_a), 't_a', 'nor where the extension is');

# Durable.
$node->restart;
is(reads(session($node), $by_a), 'none', 'hidden after a restart');
$node->safe_psql('postgres', "SELECT hone.hide_index('t_b'), hone.show_index('t_a')");
$node->stop('immediate');
$node->start;
my $watcher = session($node);
is(reads($watcher, $by_a), 't_a', 'shown after a crash');
is(reads($watcher, $by_b), 'none', 'hidden after a crash');
$node->safe_psql('postgres', "SELECT hone.show_index('t_b')");

# Two phases.
reads($watcher, 'EXECUTE kept(7)');
$node->safe_psql('postgres', "BEGIN; SELECT hone.hide_index('t_a'); PREPARE TRANSACTION 'hide'");
is(reads($watcher, 'EXECUTE kept(7)'), 't_a', 'prepared is not committed');
$node->safe_psql('postgres', "COMMIT PREPARED 'hide'");
is(reads($watcher, 'EXECUTE kept(7)'), 'none', 'committed by another session');
$node->safe_psql('postgres', "SELECT hone.show_index('t_a')");

# On a standby, in a session that is there already.
$node->backup('backup');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($node, 'backup', has_streaming => 1);
$standby->start;
$node->wait_for_catchup($standby, 'replay', $node->lsn('insert'));
my $reader = session($standby);
is(reads($reader, 'EXECUTE kept(7)'), 't_a', 'on a standby');
$node->safe_psql('postgres', "SELECT hone.hide_index('t_a')");
$node->wait_for_catchup($standby, 'replay', $node->lsn('insert'));
is(reads($reader, 'EXECUTE kept(7)'), 'none', 'a standby follows, kept plans too');
is($reader->query("SELECT hone.show_index('t_a')")->{error}, '25006', 'nothing is changed there');
is($reader->value('SELECT count(*) FROM hone.hidden_indexes'), '1', 'but shown');
$node->safe_psql('postgres', "SELECT hone.show_index('t_a')");
$node->wait_for_catchup($standby, 'replay', $node->lsn('insert'));
is(reads($reader, 'EXECUTE kept(7)'), 't_a', 'and shown again');
$standby->stop;

# Somebody locks the list, and what it is found by: nobody waits.
$node->safe_psql('postgres', "SELECT hone.hide_index('t_b')");
reads($watcher, $by_b);
my $locker = session($node);
for my $table ('hone.hidden_index_store', 'pg_catalog.pg_extension', 'pg_catalog.pg_depend')
{
	$locker->query("BEGIN; LOCK TABLE $table IN ACCESS EXCLUSIVE MODE");
	my $new = session($node, 'postgres', options => '-c lock_timeout=1s');
	like(reads($new, $by_b), qr/^(t_b|none)$/, "a new session does not wait for $table");
	$watcher->query("SET lock_timeout = '1s'");
	is(reads($watcher, $by_b), 'none', 'an old one knows');
	is($watcher->query("SELECT * FROM t WHERE a = 7")->{error}, '', 'nor fails');
	is($new->query('PREPARE early AS SELECT * FROM t WHERE b = $1; SET plan_cache_mode = force_generic_plan; EXPLAIN EXECUTE early(7)')->{error},
		'', 'a plan is kept');
	$locker->query('ROLLBACK');
	# nothing is planned here: a plan made without knowing is not kept for long
	$node->safe_psql('postgres', 'SELECT txid_current()');
	is(reads($new, 'EXECUTE early(7)'), 'none', 'and made anew');
	is(reads($new, $by_b), 'none', 'then it knows');
}

# A list that is not ours hides nothing.
$node->safe_psql('fake', q{
	CREATE SCHEMA hone;
	CREATE TABLE hone.hidden_index_store (index_oid oid, relid oid, kind text, trial bigint, arms bool, turn int);
	INSERT INTO hone.hidden_index_store SELECT 't_a'::regclass, 't'::regclass, 'manual', NULL, false, 0});
is(reads(session($node, 'fake'), $by_a), 't_a', 'a forged list hides nothing');

# Gone with the extension, and there again.
is(reads($watcher, $by_b), 'none', 'hidden');
$node->safe_psql('postgres', 'DROP EXTENSION pg_hone');
is(reads($watcher, $by_b), 't_b', 'all is shown without the extension');
$node->safe_psql('postgres', 'CREATE EXTENSION pg_hone');
is(reads($watcher, $by_b), 't_b', 'a new one has forgotten');
$node->safe_psql('postgres', "SELECT hone.hide_index('t_b')");
is(reads($watcher, $by_b), 'none', 'and hides again');

# A dump has the index, and not that it is hidden.
$node->safe_psql('postgres', 'CREATE DATABASE restored');
my $dump = $node->basedir . '/dump.sql';
$node->command_ok([ 'pg_dump', '-d', $node->connstr('postgres'), '-f', $dump ], 'dumped');
like(slurp_file($dump), qr/CREATE INDEX t_b ON public.t/, 'with its indexes');
$node->command_ok([ 'psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-d', $node->connstr('restored'), '-f', $dump ], 'restored');
$node->safe_psql('restored', 'ANALYZE t');
is(reads(session($node, 'restored'), $by_b), 't_b', 'not hidden there');

# Two sides of a trial: both are taken at a time, all change with the turn, and
# each plan says which it was made on.
$node->safe_psql('postgres', "SELECT hone.show_index('t_b'), hone.hide_for_trial('t_a', 'trial', 5, true)");
my @sessions = map { session($node) } 1 .. 16;
sub sides
{
	return map {
		my $arm = $_->query("SELECT trial, visible, used FROM hone.plan_arms('$by_a')")->{rows}[0];
		my $read = reads($_, 'EXECUTE kept(7)');
		die "plan and note differ: @$arm $read" unless join(' ', @$arm) eq ($read eq 't_a' ? '5 t t' : '5 f f');
		$arm->[1];
	} @sessions;
}
my @first = sides();
my $see = grep { $_ eq 't' } @first;
cmp_ok($see, '>=', 4, 'some of 16 sessions see it');
cmp_ok($see, '<=', 12, 'some do not');
is_deeply([ sides() ], \@first, 'they keep their side');
$node->safe_psql('postgres', 'SELECT hone.turn_trial(5)');
is_deeply([ sides() ], [ map { $_ eq 't' ? 'f' : 't' } @first ], 'all change sides');
$node->safe_psql('postgres', 'SELECT hone.turn_trial(5)');
my @second = sides();
$node->safe_psql('postgres', 'SELECT hone.turn_trial(5)');
is_deeply([ sides() ], [ map { $_ eq 't' ? 'f' : 't' } @second ], 'in each pair of turns');
# All that is tried on a table is there on one side, what is to go on the other.
my $of_all = "SELECT string_agg(trial || ' ' || visible, ', ' ORDER BY trial) FROM hone.plan_arms('SELECT * FROM t')";
$node->safe_psql('postgres', "SELECT hone.hide_for_trial('t_b', 'trial', 6, true)");
my %together = map { $_->value($of_all) => 1 } @sessions;
is(join('; ', sort keys %together), '5 false, 6 false; 5 true, 6 true', 'on one side');
$node->safe_psql('postgres', "SELECT hone.hide_for_trial('t_b', 'drop', 6, true)");
%together = map { $_->value($of_all) => 1 } @sessions;
is(join('; ', sort keys %together), '5 false, 6 true; 5 true, 6 false', 'what is to be dropped, on the other');
# Tables are independent of each other.
my $tables = join(' NATURAL JOIN ', map { "side_$_" } 10 .. 19);
$node->safe_psql('postgres', "CREATE TABLE side_$_ (a int); CREATE INDEX side_${_}_a ON side_$_ (a);
	SELECT hone.hide_for_trial('side_${_}_a', 'trial', $_, true)") for 10 .. 19;
is( $sessions[0]->value("SELECT count(DISTINCT visible) FROM hone.plan_arms('SELECT * FROM $tables')"),
	'2', 'tables take sides by themselves');
$node->safe_psql('postgres', "SELECT hone.hide_for_trial('t_a', 'trial', 5, false)");
is_deeply([ map { reads($_, 'EXECUTE kept(7)') } @sessions ], [ ('none') x 16 ], 'hidden from all at once');
$node->stop;

# Not preloaded: it counts for those who have the library.
my $plain = PostgreSQL::Test::Cluster->new('plain');
$plain->init;
$plain->start;
$plain->safe_psql('postgres', "$setup; CREATE EXTENSION pg_hone");
$plain->safe_psql('postgres', "SELECT hone.hide_index('t_a')");
my $without = session($plain);
is(reads($without, $by_a), 't_a', 'not hidden from those without the library');
$without->query("LOAD 'pg_hone'");
is(reads($without, $by_a), 'none', 'LOAD');
is(reads(session($plain, 'postgres', options => '-c session_preload_libraries=pg_hone'), $by_a),
	'none', 'session_preload_libraries');
is($without->query("SELECT hone.show_index('t_a')")->{error}, '', 'shown');
is(reads($without, $by_a), 't_a', 'without preloading too');
$plain->stop;

done_testing();
