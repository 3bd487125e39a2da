# An index build that is held up is cancelled, terminated, killed, or its server
# is: the action says so, no invalid index of ours stays, and nobody else's is
# touched. Held up by a prepared transaction, which survives all of that.
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
fsync = off
});
$node->start;
$node->safe_psql('postgres', q{
CREATE EXTENSION pg_hone;
CREATE ROLE builder NOLOGIN;
GRANT CREATE ON SCHEMA public TO builder;
GRANT EXECUTE ON ALL PROCEDURES IN SCHEMA hone TO builder;
CREATE TABLE t (a int, b int);
INSERT INTO t SELECT 1, i FROM generate_series(1, 100) i;
ALTER TABLE t OWNER TO builder;
INSERT INTO hone.advisor_run_store (requested_by) VALUES ('builder'::regrole);
CREATE FUNCTION recommend(id bigint, action text, index_name text) RETURNS void LANGUAGE sql AS $$
    INSERT INTO hone.recommendation_store OVERRIDING SYSTEM VALUE
    SELECT id, 1, now(), 'builder'::regrole, 'proposed', NULL, action, 't'::regclass, 'public.t', 'btree',
           index_name, CASE action WHEN 'create' THEN 'CREATE INDEX ' || index_name || ' ON public.t (b)'
                       ELSE 'DROP INDEX public.' || index_name END,
           'none', 1, 2, 1, 0.5, 0, 1, 0, 'test'
$$;
});
# somebody else's failed build
$node->psql('postgres', 'CREATE UNIQUE INDEX CONCURRENTLY foreign_invalid ON t (a)');

sub invalid_indexes
{
	return $node->safe_psql('postgres',
		"SELECT string_agg(indexrelid::regclass::text, ',' ORDER BY indexrelid::regclass::text) FROM pg_index WHERE NOT indisvalid OR NOT indisready");
}

sub action
{
	my ($id) = @_;
	return $node->safe_psql('postgres',
		"SELECT state || ' ' || coalesce(left(error, 5), '-') FROM hone.actions WHERE recommendation_id = $id ORDER BY id DESC LIMIT 1");
}

sub wait_for
{
	my ($query, $what) = @_;
	ok($node->poll_query_until('postgres', $query), $what);
}

sub hold { $node->safe_psql('postgres', "BEGIN; INSERT INTO t VALUES (1, 0); PREPARE TRANSACTION 'hold'"); }
sub let_go { $node->safe_psql('postgres', "COMMIT PREPARED 'hold'"); }

# Start a build that waits for the prepared transaction; its worker's pid.
sub start_held
{
	my ($id, $name) = @_;
	$node->safe_psql('postgres', "SELECT recommend($id, 'create', '$name')");
	hold();
	$node->safe_psql('postgres', "SET ROLE builder; CALL hone.apply($id, wait => false)");
	wait_for("SELECT count(*) = 1 FROM hone.actions a JOIN pg_locks l USING (pid)
		WHERE a.recommendation_id = $id AND a.state = 'building' AND NOT l.granted
		AND EXISTS (SELECT FROM pg_class WHERE relname = '$name')", "$name is being built, and held up");
	return $node->safe_psql('postgres', "SELECT pid FROM hone.actions WHERE recommendation_id = $id AND state = 'building'");
}

is(invalid_indexes(), 'foreign_invalid', 'a foreign invalid index to start with');

# cancelled
my $pid = start_held(1, 'i_cancelled');
is($node->safe_psql('postgres', "SELECT blocked_by FROM hone.actions WHERE recommendation_id = 1"), '{0}',
	'the view says who is in the way: a prepared transaction');
my $progress = "SELECT concat_ws(' ', phase, blocks_done IS NOT NULL, tuples_total IS NOT NULL) FROM";
is($node->safe_psql('postgres', "SET ROLE builder; $progress hone.actions WHERE recommendation_id = 1"),
	'waiting for writers before build t t', 'and how far it is, to the one who asked for it');
is($node->safe_psql('postgres', "CREATE ROLE stranger; SET ROLE stranger; $progress hone.action_progress(1)"), 'f f', 'to nobody else');
$node->safe_psql('postgres', "SELECT pg_cancel_backend($pid)");
let_go();
wait_for("SELECT state = 'cancelled' FROM hone.actions WHERE recommendation_id = 1", 'cancelled');
is(invalid_indexes(), 'foreign_invalid', 'cancelled: nothing left');
is(action(1), 'cancelled 57014', 'cancelled: recorded');

# terminated
$pid = start_held(2, 'i_terminated');
$node->safe_psql('postgres', "SELECT pg_terminate_backend($pid)");
let_go();
wait_for("SELECT state = 'failed' FROM hone.actions WHERE recommendation_id = 2", 'terminated: found by a later round');
is(invalid_indexes(), 'foreign_invalid', 'terminated: nothing left');
is(action(2), 'failed 57P01', 'terminated: recorded');

# killed: the server restarts itself
$pid = start_held(3, 'i_killed');
kill 'KILL', $pid;
wait_for("SELECT true", 'the server is back');
let_go();
wait_for("SELECT state = 'failed' FROM hone.actions WHERE recommendation_id = 3", 'killed: found after the crash');
is(invalid_indexes(), 'foreign_invalid', 'killed: nothing left');

# immediate stop
start_held(4, 'i_stopped');
$node->stop('immediate');
$node->start;
let_go();
wait_for("SELECT state = 'failed' FROM hone.actions WHERE recommendation_id = 4", 'stopped: found after the restart');
is(invalid_indexes(), 'foreign_invalid', 'stopped: nothing left');

# all of them are still proposed, and can be tried again
is($node->safe_psql('postgres', "SELECT string_agg(status, ',') FROM hone.recommendation_store"),
	'proposed,proposed,proposed,proposed', 'still proposed');
$node->safe_psql('postgres', "SET ROLE builder; CALL hone.apply(4)");
is(action(4), 'kept -', 'tried again');

# a lock timeout, with the transaction still there when cleaning up
$node->append_conf('postgresql.conf', "pg_hone.build_lock_timeout = '300ms'");
$node->reload;
hold();
$node->safe_psql('postgres', "SELECT recommend(5, 'create', 'i_timeout')");
$node->safe_psql('postgres', "SET ROLE builder; CALL hone.apply(5, wait => false)");
wait_for("SELECT count(*) = 1 FROM pg_stat_activity WHERE query LIKE 'DROP INDEX CONCURRENTLY public.i_timeout%' AND wait_event_type = 'Lock'",
	'lock timeout: being cleaned up');
$node->safe_psql('postgres', "SELECT pg_cancel_backend(pid) FROM hone.actions WHERE recommendation_id = 5");
wait_for("SELECT state = 'failed' AND leftover FROM hone.actions WHERE recommendation_id = 5", 'lock timeout: cleaning up failed too');
is(action(5), 'failed 55P03', 'lock timeout: recorded');
is(invalid_indexes(), 'foreign_invalid,i_timeout', 'lock timeout: left over');
let_go();
$node->safe_psql('postgres', "UPDATE hone.action_store SET retry_at = now() WHERE leftover");
wait_for("SELECT NOT leftover FROM hone.actions WHERE recommendation_id = 5", 'lock timeout: cleaned up later');
is(invalid_indexes(), 'foreign_invalid', 'lock timeout: nothing left');
is(action(5), 'failed 55P03', 'lock timeout: still recorded');

# the time limit
$node->append_conf('postgresql.conf', "pg_hone.build_lock_timeout = '1min'\npg_hone.build_timeout = '300ms'");
$node->reload;
hold();
$node->safe_psql('postgres', "SELECT recommend(7, 'create', 'i_slow')");
$node->safe_psql('postgres', "SET ROLE builder; CALL hone.apply(7, wait => false)");
wait_for("SELECT count(*) = 1 FROM pg_stat_activity WHERE query LIKE 'DROP INDEX CONCURRENTLY public.i_slow%'", 'time limit: being cleaned up');
let_go();
wait_for("SELECT state = 'failed' FROM hone.actions WHERE recommendation_id = 7", 'time limit: failed, not cancelled');
is(action(7), 'failed 57014', 'time limit: recorded');
is(invalid_indexes(), 'foreign_invalid', 'time limit: nothing left');

# a drop that is interrupted half-way is finished
$node->append_conf('postgresql.conf', "pg_hone.build_timeout = 0");
$node->reload;
$node->safe_psql('postgres', "SELECT recommend(6, 'drop', 'i_stopped')");
hold();
$node->safe_psql('postgres', "SET ROLE builder; CALL hone.apply(6, wait => false)");
wait_for("SELECT count(*) = 1 FROM pg_index WHERE indexrelid = 'i_stopped'::regclass AND NOT indisvalid", 'drop: half-way');
$pid = $node->safe_psql('postgres', "SELECT pid FROM hone.actions WHERE recommendation_id = 6");
$node->safe_psql('postgres', "SELECT pg_terminate_backend($pid)");
let_go();
wait_for("SELECT state = 'kept' FROM hone.actions WHERE recommendation_id = 6", 'drop: finished');
is(invalid_indexes(), 'foreign_invalid', 'drop: nothing left');
$node->safe_psql('postgres', "SET ROLE builder; CALL hone.revert(6)");
is($node->safe_psql('postgres', "SELECT indisvalid FROM pg_index WHERE indexrelid = 'i_stopped'::regclass"), 't', 'drop: taken back');

# two at once, on one table
$node->safe_psql('postgres', "SELECT recommend(10 + i, 'create', 'i_many_' || i) FROM generate_series(1, 3) i");
my @psql = map {
	IPC::Run::start([ 'psql', '-XqAt', '-d', $node->connstr('postgres'), '-c', "CALL hone.apply(1$_)" ]);
} 1 .. 3;
ok($_->finish, 'one of three calls at once') for @psql;
is($node->safe_psql('postgres', "SELECT count(*) FROM pg_index WHERE indisvalid AND indexrelid::regclass::text LIKE 'i_many_%'"), '3', 'all built');

# a call whose worker is terminated starts another one, which tells it
$node->safe_psql('postgres', "SELECT recommend(20, 'create', 'i_waited')");
hold();
my ($out, $err) = ('', '');
my $call = IPC::Run::start([ 'psql', '-XqAt', '-d', $node->connstr('postgres'), '-c', 'CALL hone.apply(20)' ], '>', \$out, '2>', \$err);
wait_for("SELECT count(*) = 1 FROM pg_class WHERE relname = 'i_waited'", 'a call waits');
$node->safe_psql('postgres', "SELECT pg_terminate_backend(pid) FROM hone.actions WHERE recommendation_id = 20");
let_go();
$call->finish;
like($err, qr/recommendation 20 could not be applied.*57P01/s, 'the call is told');
is(invalid_indexes(), 'foreign_invalid', 'nothing left');

# the extension is dropped under a build: it is finished, if not recorded
start_held(30, 'i_orphan');
$node->safe_psql('postgres', 'DROP FUNCTION recommend; DROP EXTENSION pg_hone; CREATE EXTENSION pg_hone');
let_go();
wait_for("SELECT count(*) = 0 FROM pg_stat_activity WHERE backend_type = 'pg_hone builder'", 'the builder has ended');
is(invalid_indexes(), 'foreign_invalid', 'nothing left');
is($node->safe_psql('postgres', "SELECT indisvalid FROM pg_index WHERE indexrelid = 'i_orphan'::regclass"), 't', 'and the index is there');

$node->stop;
done_testing();
