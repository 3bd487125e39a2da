# A build, a drop and a rebuild are stopped at each point that they pass, and then
# cancelled, terminated, killed with the server, or the server is stopped at once.
# Afterwards a round of the collector finishes or cleans up: the action says how it
# ended, there is no invalid index of ours, and what others made is as it was.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->append_conf('postgresql.conf', qq{
shared_preload_libraries = 'pg_hone'
pg_hone.trial = off
max_prepared_transactions = 5
restart_after_crash = on
pg_hone.collect_interval = 1
pg_hone.build_attempts = 1
statement_timeout = '60s'
autovacuum = off
fsync = off
});
$node->start;

# A function in an index waits wherever the build is, if its key is locked.
use constant { ROW => 1, LATE_ROW => 100, BEFORE => 5000 };
$node->safe_psql('postgres', q{
CREATE EXTENSION pg_hone;
CREATE TABLE t (a int, b int);
INSERT INTO t SELECT 1, i FROM generate_series(1, 50) i;
CREATE TABLE elsewhere (a int);
CREATE FUNCTION f(i int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    PERFORM pg_advisory_lock_shared(i), pg_advisory_unlock_shared(i);
    RETURN i;
END $$;
CREATE FUNCTION before_build() RETURNS event_trigger LANGUAGE plpgsql AS
    $$ BEGIN PERFORM pg_advisory_lock_shared(5000), pg_advisory_unlock_shared(5000); END $$;
INSERT INTO hone.advisor_run_store (requested_by) VALUES (10);
CREATE FUNCTION recommend(id bigint, action text, index_name text) RETURNS void LANGUAGE sql AS $$
    INSERT INTO hone.recommendation_store OVERRIDING SYSTEM VALUE
    SELECT id, 1, now(), 10, 'proposed', NULL, action, 't'::regclass, 'public.t', 'btree',
           index_name, CASE action WHEN 'create' THEN 'CREATE INDEX ' || index_name || ' ON public.t (public.f(b))'
                       ELSE 'DROP INDEX public.' || index_name END,
           'none', 1, 2, 1, 0.5, 0, 1, 0, 'test'
$$;
CREATE INDEX theirs ON t (f(b));
CREATE INDEX rebuilt ON t (f(b));
CREATE INDEX rebuilt_ccold ON t (a);
CREATE EVENT TRIGGER before_build ON ddl_command_start WHEN TAG IN ('CREATE INDEX') EXECUTE FUNCTION before_build();
});
# others' failed build, and others' failed rebuild
$node->psql('postgres', 'CREATE UNIQUE INDEX CONCURRENTLY theirs_invalid ON t (a)');
$node->psql('postgres', 'CREATE UNIQUE INDEX CONCURRENTLY rebuilt_ccnew ON t (a)');

sub theirs
{
	return $node->safe_psql('postgres', q{
		SELECT string_agg(concat_ws(' ', c.relname, CASE WHEN c.relname <> 'rebuilt' THEN c.oid END, indisvalid, indisready), E'\n' ORDER BY c.relname)
		FROM pg_index i JOIN pg_class c ON c.oid = indexrelid WHERE indrelid = 't'::regclass});
}
my $theirs = theirs();

sub wait_for
{
	my ($query, $what) = @_;
	$node->poll_query_until('postgres', $query)
	  or fail("$what: " . $node->safe_psql('postgres', 'TABLE hone.actions'));
}

# Sessions that hold something; they end with the server.
my @holders;
sub hold
{
	my ($sql) = @_;
	my $holder = $node->background_psql('postgres');
	$holder->query_safe($sql);
	push @holders, $holder;
}
sub let_go
{
	local $SIG{PIPE} = 'IGNORE';
	for my $holder (splice @holders)
	{
		eval { $holder->quit; };
	}
	$node->safe_psql('postgres', "DO 'BEGIN NULL; END'");
	$node->safe_psql('postgres', "ROLLBACK PREPARED 'writer'")
	  if $node->safe_psql('postgres', "SELECT count(*) FROM pg_prepared_xacts") eq '1';
}

my $mine = '(SELECT * FROM hone.actions ORDER BY queued_at DESC, id DESC LIMIT 1) a';
sub waits_for_key
{
	my ($key) = @_;
	return "EXISTS (SELECT FROM pg_locks l WHERE l.pid = a.pid AND NOT granted AND locktype = 'advisory' AND objid = $key)";
}

# How to stop a build there, and how to tell that it is there.
my @build_points = (
	{ name => 'before the build', hold => [ 'SELECT pg_advisory_lock(' . BEFORE . ')' ],
		there => waits_for_key(BEFORE) },
	{ name => 'waiting for writers', prepare => "BEGIN; INSERT INTO t VALUES (1, 0); PREPARE TRANSACTION 'writer'",
		there => "a.phase = 'waiting for writers before build' AND a.blocked_by = '{0}'" },
	{ name => 'in the scan', hold => [ 'SELECT pg_advisory_lock(' . ROW . ')' ],
		there => "a.phase LIKE 'building index%' AND " . waits_for_key(ROW) },
	{ name => 'in the validation', hold => [ 'SELECT pg_advisory_lock(' . ROW . ')' ],
		between => waits_for_key(ROW), late => 1,
		there => "a.phase LIKE 'index validation%' AND " . waits_for_key(LATE_ROW) },
	{ name => 'waiting for old snapshots', hold => [ 'BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT * FROM elsewhere' ],
		there => "a.phase = 'waiting for old snapshots' AND a.current_locker_pid IS NOT NULL" },
	{ name => 'built, but not recorded', hold => [ 'BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT * FROM elsewhere' ],
		between => "a.phase = 'waiting for old snapshots'", lock_row => 1, succeeds => 1,
		there => "EXISTS (SELECT FROM pg_stat_activity s WHERE s.pid = a.pid AND wait_event = 'transactionid')" },
);

# Start an action, which is to stop at a point; its worker's pid.
sub stop_at
{
	my ($point, $call) = @_;
	$node->safe_psql('postgres', $point->{prepare}) if $point->{prepare};
	hold($_) for @{ $point->{hold} // [] };
	$node->safe_psql('postgres', $call);
	if ($point->{between})
	{
		wait_for("SELECT $point->{between} FROM $mine", "on the way to $point->{name}");
		if ($point->{late})
		{
			# comes after the build's snapshot, and before the index takes rows
			$node->safe_psql('postgres', 'INSERT INTO t SELECT 1, ' . LATE_ROW);
			hold('SELECT pg_advisory_lock(' . LATE_ROW . ')');
		}
		hold('BEGIN; SELECT id FROM hone.action_store ORDER BY queued_at DESC, id DESC LIMIT 1 FOR UPDATE') if $point->{lock_row};
		(shift @holders)->quit;
	}
	wait_for("SELECT $point->{there} FROM $mine", $point->{name});
	return $node->safe_psql('postgres', "SELECT pid FROM $mine");
}

my %strike = (
	cancelled => sub { $node->safe_psql('postgres', "SELECT pg_cancel_backend($_[0])"); },
	terminated => sub { $node->safe_psql('postgres', "SELECT pg_terminate_backend($_[0])"); },
	killed => sub { kill 'KILL', $_[0]; $node->poll_query_until('postgres', "SELECT count(*) = 0 FROM pg_stat_activity WHERE pid = $_[0]"); },
	stopped => sub { $node->stop('immediate'); $node->start; },
);

sub ended
{
	my ($what) = @_;
	wait_for("SELECT a.state NOT IN ('queued', 'building') AND NOT a.leftover FROM $mine", $what);
	return $node->safe_psql('postgres', "SELECT a.state || ' ' || coalesce(left(a.error, 5), '-') FROM $mine");
}

my $id = 0;
for my $how (sort keys %strike)
{
	for my $point (@build_points)
	{
		my $what = "build $how $point->{name}";
		$id++;
		$node->safe_psql('postgres', "SELECT recommend($id, 'create', 'ours_$id')");
		my $pid = stop_at($point, "CALL hone.apply($id, wait => false)");
		$strike{$how}->($pid);
		let_go();
		my $wanted = $point->{succeeds} ? 'kept -' : $how eq 'cancelled' ? 'cancelled 57014' : 'failed 57P01';
		is(ended($what), $wanted, "$what: outcome");
		if ($point->{succeeds})
		{
			is($node->safe_psql('postgres', "SELECT indisvalid FROM pg_index WHERE indexrelid = 'ours_$id'::regclass"), 't', "$what: the index is there");
			$node->safe_psql('postgres', "CALL hone.revert($id)");
		}
		is(theirs(), $theirs, "$what: what others made is there, and nothing else");
		$node->safe_psql('postgres', 'DELETE FROM t WHERE b = ' . LATE_ROW);
	}

	# a drop waits for whoever uses the table
	$id++;
	$node->safe_psql('postgres', "CREATE INDEX old ON t (b)");
	$node->safe_psql('postgres', "SELECT recommend($id, 'drop', 'old')");
	my $pid = stop_at({ name => 'dropping', prepare => "BEGIN; SELECT count(*) FROM t; PREPARE TRANSACTION 'writer'",
		there => "a.phase = 'dropping index' AND a.blocked_by = '{0}' AND NOT (SELECT indisvalid FROM pg_index WHERE indexrelid = 'old'::regclass)" },
		"CALL hone.apply($id, wait => false)");
	$strike{$how}->($pid);
	let_go();
	is(ended("drop $how"), 'kept -', "drop $how: finished");
	is(theirs(), $theirs, "drop $how: it is gone, and nothing else");
}

# The same of a rebuilt index, at the points that it has of its own, terminated or killed.
my $was = $node->safe_psql('postgres', "SELECT 'rebuilt'::regclass::oid");
my @reindex_points = (
	(grep { $_->{name} ne 'before the build' } @build_points),	# event triggers do not see REINDEX on 15
	{ name => 'waiting for readers to remove the old one', prepare => "BEGIN; SELECT count(*) FROM t; PREPARE TRANSACTION 'writer'",
		succeeds => 1, there => "a.phase = 'waiting for readers before marking dead'" });
for my $how ('terminated', 'killed')
{
	for my $point (@reindex_points)
	{
		my $what = "rebuild $how $point->{name}";
		my $pid = stop_at($point, "CALL hone.reindex('rebuilt', wait => false)");
		$strike{$how}->($pid);
		let_go();
		is(ended($what), $point->{succeeds} ? 'kept -' : 'failed 57P01', "$what: outcome");
		is(theirs(), $theirs, "$what: the index is there, and nothing else");
		my $is = $node->safe_psql('postgres', "SELECT 'rebuilt'::regclass::oid");
		is($is ne $was ? 1 : 0, $point->{succeeds} ? 1 : 0, "$what: rebuilt or not");
		$was = $is;
		$node->safe_psql('postgres', 'DELETE FROM t WHERE b = ' . LATE_ROW);
	}
}

# With attempts left, each of these ends well by itself.
$node->append_conf('postgresql.conf', 'pg_hone.build_attempts = 3');
$node->reload;
for my $point (@build_points)
{
	my $what = "build repeated $point->{name}";
	$id++;
	$node->safe_psql('postgres', "SELECT recommend($id, 'create', 'ours_$id')");
	my $pid = stop_at($point, "CALL hone.apply($id, wait => false)");
	$strike{terminated}->($pid);
	let_go();
	if (!$point->{succeeds})
	{
		wait_for("SELECT a.state = 'queued' AND a.error LIKE '57P01%' AND a.retry_at > now() AND NOT a.leftover FROM $mine", $what);
		is(theirs(), $theirs, "$what: clean in between");
		$node->safe_psql('postgres', "UPDATE hone.action_store SET retry_at = now() WHERE state = 'queued'");
	}
	is(ended($what), 'kept -', "$what: built in the end");
	is($node->safe_psql('postgres', "SELECT a.attempts FROM $mine"), $point->{succeeds} ? 1 : 2, "$what: attempts");
	$node->safe_psql('postgres', "CALL hone.revert($id)");
	is(theirs(), $theirs, "$what: and taken back");
	$node->safe_psql('postgres', 'DELETE FROM t WHERE b = ' . LATE_ROW);
}

# Somebody takes the name before the next attempt: it is his.
$id++;
$node->safe_psql('postgres', "SELECT recommend($id, 'create', 'taken')");
my $pid = stop_at($build_points[2], "CALL hone.apply($id, wait => false)");
$strike{terminated}->($pid);
let_go();
wait_for("SELECT a.state = 'queued' AND a.error LIKE '57P01%' FROM $mine", 'to be repeated');
$node->safe_psql('postgres', 'CREATE INDEX taken ON t (f(b))');
my $with_taken = theirs();
$node->safe_psql('postgres', "UPDATE hone.action_store SET retry_at = now() WHERE state = 'queued'");
is(ended('name taken'), 'failed 42P07', 'name taken: an error that does not pass is not repeated');
is(theirs(), $with_taken, 'name taken: the index is as it was');
$node->safe_psql('postgres', 'DROP INDEX taken');

# Somebody renames an index of ours while it is built: of no use, it goes; else it stays.
$id++;
$node->safe_psql('postgres', "SELECT recommend($id, 'create', 'named')");
$pid = stop_at($build_points[4], "CALL hone.apply($id, wait => false)");
$node->safe_psql('postgres', 'ALTER INDEX named RENAME TO renamed');
$strike{cancelled}->($pid);
let_go();
is(ended('renamed'), 'cancelled 57014', 'renamed and cancelled');
is(theirs(), $theirs, 'renamed and cancelled: gone');

$node->stop;
done_testing();
