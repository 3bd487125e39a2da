# The index of a partitioned table, held up and interrupted at each step: the
# next worker goes on where the last one was, or nothing is left. Partitions
# come and go meanwhile. And nobody ever waits for long behind us.
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
fsync = off
autovacuum = off
});
$node->start;
$node->safe_psql('postgres', q{
CREATE EXTENSION pg_hone;
CREATE ROLE builder NOLOGIN;
GRANT CREATE ON SCHEMA public TO builder;
GRANT EXECUTE ON ALL PROCEDURES IN SCHEMA hone TO builder;
SET ROLE builder;
CREATE TABLE p (a int, b int) PARTITION BY LIST (a);
CREATE TABLE p1 PARTITION OF p FOR VALUES IN (1);
CREATE TABLE p2 PARTITION OF p FOR VALUES IN (2) PARTITION BY LIST (b);
CREATE TABLE p21 PARTITION OF p2 FOR VALUES IN (1, 2, 3, 4, 5);
CREATE TABLE p22 PARTITION OF p2 DEFAULT;
CREATE TABLE p3 (b int, a int);
ALTER TABLE p ATTACH PARTITION p3 FOR VALUES IN (3);
INSERT INTO p SELECT 1 + i % 3, i FROM generate_series(1, 300) i;
CREATE INDEX mine ON p1 (b);
RESET ROLE;
INSERT INTO hone.advisor_run_store (requested_by) VALUES ('builder'::regrole);
CREATE FUNCTION recommend(id bigint, action text, index_name text) RETURNS void LANGUAGE sql AS $$
    INSERT INTO hone.recommendation_store OVERRIDING SYSTEM VALUE
    SELECT id, 1, now(), 'builder'::regrole, 'proposed', NULL, action, 'p'::regclass, 'public.p', 'btree',
           index_name, CASE action WHEN 'create' THEN 'CREATE INDEX ' || index_name || ' ON public.p USING btree (b)'
                       ELSE 'DROP INDEX public.' || index_name END,
           'none', 1, 2, 1, 0.5, 0, 1, 0, 'test'
$$;
-- everything on the tables, with what it is a partition of
CREATE VIEW indexes AS SELECT string_agg(concat_ws(' ', i.indexrelid::regclass::text, 'of ' || h.inhparent::regclass::text,
    CASE WHEN NOT i.indisvalid THEN 'INVALID' END), ', ' ORDER BY i.indexrelid::regclass::text COLLATE "C") AS all
FROM pg_index i LEFT JOIN pg_inherits h ON h.inhrelid = i.indexrelid WHERE i.indrelid::regclass::text ~ '^(p[0-9]*|new.*)$';
});

sub query { return $node->safe_psql('postgres', $_[0]); }

sub action
{
	my ($id) = @_;
	return query("SELECT state || ' ' || coalesce(left(error, 5), '-') FROM hone.actions WHERE recommendation_id = $id ORDER BY id DESC LIMIT 1");
}

# The next attempt now, rather than later.
sub hurry { query("UPDATE hone.action_store SET retry_at = now() WHERE state = 'queued'"); }

sub wait_for_next
{
	my ($id, $what) = @_;
	wait_for("SELECT state = 'queued' FROM hone.actions WHERE recommendation_id = $id", "$what: noticed");
	hurry();
}

sub wait_for
{
	my ($query, $what) = @_;
	ok($node->poll_query_until('postgres', $query), $what);
}

# (writing to a partition would lock its parent, too)
sub hold { query("BEGIN; LOCK TABLE $_[0] IN ROW EXCLUSIVE MODE; PREPARE TRANSACTION 'hold'"); }
sub let_go { query("COMMIT PREPARED 'hold'"); }

sub complete
{
	my ($name, @new) = @_;
	(my $parent = $name) =~ s/ .*//;
	return join(', ', sort("$name", "mine of $parent", 'p21_b_idx of p2_b_idx', 'p22_b_idx of p2_b_idx',
		"p2_b_idx of $parent", "p3_b_idx of $parent", @new));
}

# Start a build that waits on a leaf; its worker's pid.
sub start_held
{
	my ($id, $leaf) = @_;
	query("SELECT recommend($id, 'create', 'i$id')");
	hold($leaf);
	query("SET ROLE builder; CALL hone.apply($id, wait => false)");
	wait_for("SELECT count(*) = 1 FROM hone.actions a JOIN pg_locks l USING (pid)
		WHERE a.recommendation_id = $id AND a.state = 'building' AND NOT l.granted
		AND EXISTS (SELECT FROM pg_class WHERE relname = '${leaf}_b_idx')", "$leaf is being built, and held up");
	return query("SELECT pid FROM hone.actions WHERE recommendation_id = $id AND state = 'building'");
}

sub oid_of { return query("SELECT '$_[0]'::regclass::oid"); }

sub revert
{
	my ($id) = @_;
	query("SET ROLE builder; CALL hone.revert($id)");
	is(query("SELECT \"all\" FROM indexes"), 'mine', "$id reverted: nothing left but what was there");
	is(query("SELECT count(*) FROM hone.action_part_store"), '0', "$id reverted: nor rows");
}

my $mine = oid_of('mine');

# cancelled on the last leaf, others done
my $pid = start_held(1, 'p22');
is(query("SELECT parts_done || '/' || parts_total FROM hone.actions WHERE recommendation_id = 1"), '3/5', 'progress');
query("SELECT pg_cancel_backend($pid)");
let_go();
wait_for("SELECT state = 'cancelled' FROM hone.actions WHERE recommendation_id = 1", 'cancelled');
is(query("SELECT \"all\" FROM indexes"), 'mine', 'cancelled: nothing left');
is(action(1), 'cancelled 57014', 'cancelled: recorded');

# terminated: gone on with
$pid = start_held(2, 'p22');
my $done = oid_of('p21_b_idx');
query("SELECT pg_terminate_backend($pid)");
let_go();
wait_for_next(2, 'terminated');
wait_for("SELECT state NOT IN ('building', 'queued') FROM hone.actions WHERE recommendation_id = 2", 'terminated: another worker takes over');
is(action(2), 'kept -', 'terminated: finished');
is(query("SELECT \"all\" FROM indexes"), complete('i2'), 'terminated: complete');
is(oid_of('p21_b_idx'), $done, 'terminated: what was built is used');
is(oid_of('mine'), $mine, 'and what was there');
revert(2);

# killed: the server restarts itself
$pid = start_held(3, 'p21');
$done = oid_of('p3_b_idx');
kill 'KILL', $pid;
wait_for("SELECT true", 'the server is back');
let_go();
wait_for_next(3, 'killed');
wait_for("SELECT state NOT IN ('building', 'queued') FROM hone.actions WHERE recommendation_id = 3", 'killed: another worker takes over');
is(action(3), 'kept -', 'killed: finished');
is(query("SELECT \"all\" FROM indexes"), complete('i3'), 'killed: complete');
is(oid_of('p3_b_idx'), $done, 'killed: what was built is used');
revert(3);

# immediate stop
start_held(4, 'p22');
$done = oid_of('p21_b_idx');
$node->stop('immediate');
$node->start;
let_go();
wait_for_next(4, 'stopped');
wait_for("SELECT state NOT IN ('building', 'queued') FROM hone.actions WHERE recommendation_id = 4", 'stopped: another worker takes over');
is(action(4), 'kept -', 'stopped: finished');
is(query("SELECT \"all\" FROM indexes"), complete('i4'), 'stopped: complete');
is(oid_of('p21_b_idx'), $done, 'stopped: what was built is used');
revert(4);

# killed again and again: given up at last, and cleaned up
query("SELECT recommend(5, 'create', 'i5')");
hold('p3');
query("SET ROLE builder; CALL hone.apply(5, wait => false)");
for my $attempt (1 .. 5)
{
	wait_for("SELECT count(*) = 1 FROM hone.actions a JOIN pg_locks l USING (pid) JOIN pg_stat_activity s USING (pid)
		WHERE a.recommendation_id = 5 AND a.attempts = $attempt AND NOT l.granted AND s.query LIKE '%p3%'", "attempt $attempt");
	query("SELECT pg_terminate_backend(pid) FROM hone.actions WHERE recommendation_id = 5");
	wait_for_next(5, "attempt $attempt") if $attempt < 5;
}
let_go();
wait_for("SELECT state NOT IN ('building', 'queued') FROM hone.actions WHERE recommendation_id = 5", 'given up');
is(action(5), 'failed 57P01', 'given up: recorded');
is(query("SELECT \"all\" FROM indexes"), 'mine', 'given up: nothing left');

# partitions that come and go meanwhile
query("SET ROLE builder; CREATE TABLE p5 PARTITION OF p FOR VALUES IN (5); CREATE TABLE p6 PARTITION OF p FOR VALUES IN (6);
	INSERT INTO p VALUES (5, 1), (6, 1)");
start_held(6, 'p3');
# (there is no lock on the parent in the way)
$node->safe_psql('postgres', "SET lock_timeout = '1s'; SET ROLE builder;
	CREATE TABLE new1 PARTITION OF p FOR VALUES IN (7);
	CREATE TABLE new2 (b int, a int);
	INSERT INTO new2 SELECT i, 8 FROM generate_series(1, 100) i;
	ALTER TABLE p ATTACH PARTITION new2 FOR VALUES IN (8);
	CREATE TABLE new3 (b int, a int) PARTITION BY LIST (b);
	CREATE TABLE new4 PARTITION OF new3 DEFAULT;
	ALTER TABLE p ATTACH PARTITION new3 FOR VALUES IN (9);
	CREATE TABLE new5 PARTITION OF p2 FOR VALUES IN (1006);
	DROP TABLE p5;
	ALTER TABLE p DETACH PARTITION p6;");
let_go();
wait_for("SELECT state <> 'building' FROM hone.actions WHERE recommendation_id = 6", 'finished');
is(action(6), 'kept -', 'finished: kept');
is(query("SELECT \"all\" FROM indexes"), complete('i6', 'new1_b_idx of i6', 'new2_b_idx of i6', 'new3_b_idx of i6',
	'new4_b_idx of new3_b_idx', 'new5_b_idx of p2_b_idx'), 'new partitions have it, the detached one has not');
revert(6);
query("DROP TABLE new1, new2, new3, new5, p6");

# the last partition that is missing goes before it is attached
query("SET ROLE builder; CREATE TABLE p9 PARTITION OF p FOR VALUES IN (9); INSERT INTO p VALUES (9, 1)");
start_held(7, 'p9');
query("BEGIN; SELECT count(*) FROM p9 WHERE b = 5; PREPARE TRANSACTION 'reader'");
let_go();
wait_for("SELECT \"all\" = '" . complete('i7 INVALID', 'p9_b_idx') . "' FROM indexes", 'all others are attached');
my $drop = IPC::Run::start([ 'psql', '-XqAt', '-d', $node->connstr('postgres'), '-c', 'DROP TABLE p9' ]);
wait_for("SELECT count(*) > 0 FROM pg_locks l JOIN pg_stat_activity s USING (pid) WHERE NOT l.granted AND s.query = 'DROP TABLE p9'", 'a drop waits');
query("COMMIT PREPARED 'reader'");
ok($drop->finish, 'dropped');
wait_for("SELECT state <> 'building' FROM hone.actions WHERE recommendation_id = 7", 'dropped: the build ends');
is(action(7), 'kept -', 'dropped: kept');
is(query("SELECT \"all\" FROM indexes"), complete('i7'), 'dropped: complete');
revert(7);

# Nobody waits for long: a session has written through the parent, and its
# transaction is open. Others go on.
sub others_go_on
{
	my ($seconds, $what) = @_;
	my ($out, $err) = ('', '');
	my $loop = q{
DO $$
DECLARE began timestamptz; worst interval := '0'; n int := 0; until timestamptz := clock_timestamp() + interval '} . $seconds . q{ s';
BEGIN
	WHILE clock_timestamp() < until LOOP
		began := clock_timestamp();
		INSERT INTO p VALUES (1, 1), (2, 7), (3, 1);
		PERFORM count(*) FROM p WHERE b = 1;
		COMMIT;
		worst := greatest(worst, clock_timestamp() - began);
		n := n + 1;
		PERFORM pg_sleep(0.005);
		COMMIT;
	END LOOP;
	RAISE NOTICE 'n % worst %', n, extract(epoch FROM worst) * 1000;
END $$};
	$node->psql('postgres', $loop, stdout => \$out, stderr => \$err);
	my ($n, $worst) = $err =~ /n (\d+) worst ([0-9.]+)/;
	ok(defined $n && $n > 10 && $worst < 250, "$what: others go on") or diag($err);
	note("$what: $n statements, the longest $worst ms");
}

query("BEGIN; INSERT INTO p VALUES (1, 0); PREPARE TRANSACTION 'hold'");
query("SELECT recommend(8, 'create', 'i8')");
query("SET ROLE builder; CALL hone.apply(8, wait => false)");
wait_for("SELECT state = 'building' FROM hone.actions WHERE recommendation_id = 8", 'a writer on the parent');
others_go_on(2, 'creating');
is(query("SELECT count(*) FROM pg_class WHERE relname = 'i8'"), '0', 'creating: waits for the writer');
is(action(8), 'building -', 'creating: and does not give up');
query("SELECT pg_terminate_backend(pid) FROM hone.actions WHERE recommendation_id = 8 AND state = 'building'");
wait_for("SELECT state = 'queued' FROM hone.actions WHERE recommendation_id = 8", 'creating: terminated');
let_go();
hurry();
wait_for("SELECT state NOT IN ('building', 'queued') FROM hone.actions WHERE recommendation_id = 8", 'creating: goes on');
is(query("SELECT \"all\" FROM indexes"), complete('i8'), 'creating: complete');

# the same with the drop, that waits for readers of any partition
query("BEGIN; LOCK TABLE p3 IN ACCESS SHARE MODE; PREPARE TRANSACTION 'hold'");
query("SET ROLE builder; CALL hone.revert(8, wait => false)");
wait_for("SELECT state = 'building' FROM hone.actions WHERE recommendation_id = 8", 'a reader of a partition');
others_go_on(2, 'dropping');
is(query("SELECT \"all\" FROM indexes"), complete('i8'), 'dropping: waits for the reader');
let_go();
wait_for("SELECT state = 'reverted' FROM hone.actions WHERE recommendation_id = 8", 'dropping: goes on');
is(query("SELECT \"all\" FROM indexes"), 'mine', 'dropping: done');

# and with attaching, which waits for those who planned on the partition: what
# can be done elsewhere is done
$pid = start_held(9, 'p21');
query("BEGIN; SELECT count(*) FROM p21 WHERE b = 5; PREPARE TRANSACTION 'reader'");
let_go();
wait_for("SELECT indisvalid FROM pg_index WHERE indexrelid = (SELECT oid FROM pg_class WHERE relname = 'p3_b_idx')", 'the other leaves are built');
wait_for("SELECT \"all\" = 'i9 INVALID, mine, p21_b_idx, p22_b_idx of p2_b_idx, p2_b_idx INVALID, p3_b_idx of i9'
	OR \"all\" = 'i9 INVALID, mine of i9, p21_b_idx, p22_b_idx of p2_b_idx, p2_b_idx INVALID, p3_b_idx of i9' FROM indexes", 'and attached');
others_go_on(2, 'attaching');
query("SELECT pg_terminate_backend(pid) FROM hone.actions WHERE recommendation_id = 9 AND state = 'building'");
wait_for_next(9, 'terminated while attaching');
query("COMMIT PREPARED 'reader'");
wait_for("SELECT state NOT IN ('building', 'queued') FROM hone.actions WHERE recommendation_id = 9", 'attaching: goes on');
is(action(9), 'kept -', 'attaching: kept');
is(query("SELECT \"all\" FROM indexes"), complete('i9'), 'attaching: complete');

# no patience: a revert that changes nothing
$node->append_conf('postgresql.conf', "pg_hone.build_lock_timeout = '300ms'\npg_hone.build_attempts = 1");
$node->reload;
query("BEGIN; LOCK TABLE p3 IN ACCESS SHARE MODE; PREPARE TRANSACTION 'hold'");
$node->psql('postgres', "SET ROLE builder; CALL hone.revert(9)");
is(action(9), 'kept 55P03', 'no patience: still there, and why');
is(query("SELECT \"all\" FROM indexes"), complete('i9'), 'no patience: complete');
let_go();
revert(9);

# no patience: what cannot be removed now is removed later
query("SELECT recommend(10, 'create', 'i10')");
hold('p3');
$node->psql('postgres', "SET ROLE builder; CALL hone.apply(10)");
is(action(10), 'failed 55P03', 'left over: failed');
is(query("SELECT leftover FROM hone.actions WHERE recommendation_id = 10"), 't', 'left over: says so');
like(query("SELECT \"all\" FROM indexes"), qr/INVALID/, 'left over');
let_go();
query("UPDATE hone.action_store SET retry_at = now() WHERE leftover");
wait_for("SELECT NOT leftover FROM hone.actions WHERE recommendation_id = 10", 'left over: cleaned up later');
is(query("SELECT \"all\" FROM indexes"), 'mine', 'left over: nothing left');
is(oid_of('mine'), $mine, 'what was there is there');

# terminated while it removes
$node->append_conf('postgresql.conf', "pg_hone.build_lock_timeout = '1min'\npg_hone.build_attempts = 2");
$node->reload;
query("SET ROLE builder; CALL hone.apply(10)");
query("BEGIN; LOCK TABLE p3 IN ACCESS SHARE MODE; PREPARE TRANSACTION 'hold'");
query("SET ROLE builder; CALL hone.revert(10, wait => false)");
wait_for("SELECT state = 'building' FROM hone.actions WHERE recommendation_id = 10 AND operation = 'revert'", 'removing is held up');
query("SELECT pg_terminate_backend(pid) FROM hone.actions WHERE recommendation_id = 10 AND state = 'building'");
wait_for("SELECT count(*) = 1 FROM hone.actions WHERE recommendation_id = 10 AND state = 'queued'", 'terminated: noticed');
is(query("SELECT \"all\" FROM indexes"), complete('i10'), 'terminated: nothing was changed');
let_go();
hurry();
wait_for("SELECT count(*) = 1 FROM hone.actions WHERE recommendation_id = 10 AND state = 'reverted'", 'terminated: tried again');
is(query("SELECT \"all\" FROM indexes"), 'mine', 'terminated: nothing left but what was there');

# a lack of patience that another attempt makes up for
$node->append_conf('postgresql.conf', "pg_hone.build_lock_timeout = '300ms'");
$node->reload;
start_held(11, 'p22');
wait_for_next(11, 'held up for too long');
is(query("SELECT parts_done FROM hone.actions WHERE recommendation_id = 11"), '3', 'what is done is kept');
$done = oid_of('p21_b_idx');
let_go();
hurry();
wait_for("SELECT state NOT IN ('building', 'queued') FROM hone.actions WHERE recommendation_id = 11", 'another attempt');
is(action(11), 'kept -', 'another attempt: kept');
is(oid_of('p21_b_idx'), $done, 'another attempt: goes on');
revert(11);

# what is given up between two attempts is cleaned up, too
start_held(12, 'p22');
wait_for("SELECT state = 'queued' FROM hone.actions WHERE recommendation_id = 12", 'held up for too long');
query("SET ROLE builder; CALL hone.revert(12)");
let_go();
wait_for("SELECT NOT leftover FROM hone.actions WHERE recommendation_id = 12", 'given up: cleaned up');
is(action(12), 'cancelled 57014', 'given up: recorded');
is(query("SELECT \"all\" FROM indexes"), 'mine', 'given up: nothing left but what was there');

$node->stop;
done_testing();
