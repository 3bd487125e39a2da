# What does not allow a build puts it off and says so; several builders never meet
# on a table, and share the server's slots with other databases.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->append_conf('postgresql.conf', qq{
shared_preload_libraries = 'pg_hone'
# so that no step of the collector plans a statement of this test, and waits for a table
pg_hone.enabled = off
pg_hone.trial = off
max_prepared_transactions = 5
max_worker_processes = 16
pg_hone.collect_interval = 1
log_timezone = 'UTC'
statement_timeout = '60s'
autovacuum = off
fsync = off
});
$node->start;
my $setup = q{
CREATE EXTENSION pg_hone;
CREATE FUNCTION f(i int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    PERFORM pg_advisory_lock_shared(i), pg_advisory_unlock_shared(i);
    RETURN i;
END $$;
INSERT INTO hone.advisor_run_store (requested_by) VALUES (10);
CREATE FUNCTION recommend(id bigint, relation regclass, index_name text, keys text DEFAULT '(b)') RETURNS void LANGUAGE sql AS $$
    INSERT INTO hone.recommendation_store OVERRIDING SYSTEM VALUE
    SELECT id, 1, now(), 10, 'proposed', NULL, 'create', relation, 'public.' || relation, 'btree',
           index_name, format('CREATE INDEX %s ON public.%s %s', index_name, relation, keys),
           'none', 1000000, 2, 1, 0.5, 0, 1, 0, 'test'
$$;
CREATE TABLE t (a int, b int);
CREATE TABLE u (a int, b int);
INSERT INTO t VALUES (1, 1);
INSERT INTO u VALUES (1, 2);
};
$node->safe_psql('postgres', $setup);

my $id = 0;
sub recommend
{
	my ($relation, $keys) = @_;
	$id++;
	$node->safe_psql('postgres', "SELECT recommend($id, '$relation', 'i_$id', '" . ($keys // '(b)') . "')");
	return $id;
}

sub set
{
	$node->append_conf('postgresql.conf', $_[0]);
	$node->reload;
	# sessions that begin now read the files; those of the postmaster may be older
	my ($name, $value) = $_[0] =~ /(\S+) = '?([^']*)/;
	$node->poll_query_until('postgres', "SELECT current_setting('$name') = '$value'") or fail("$_[0]");
}

sub field { return $node->safe_psql('postgres', "SELECT $_[1] FROM hone.actions WHERE recommendation_id = $_[0] ORDER BY id DESC LIMIT 1"); }
sub wait_for
{
	my ($number, $condition, $what) = @_;
	ok($node->poll_query_until('postgres',
		"SELECT $condition FROM hone.actions WHERE recommendation_id = $number ORDER BY id DESC LIMIT 1"), $what)
	  or diag($node->safe_psql('postgres', 'TABLE hone.actions'));
}
sub retry { $node->safe_psql('postgres', "UPDATE hone.action_store SET retry_at = now() WHERE state = 'queued'"); }
sub call_in_background
{
	my ($sql, $out) = @_;
	return IPC::Run::start([ 'psql', '-XqAt', '-d', $node->connstr('postgres'), '-c', $sql ], '&>', $out);
}

# Somebody has a lock that the build needs.
my $n = recommend('t');
my $holder = $node->background_psql('postgres');
my $pid = $holder->query_safe('BEGIN; LOCK TABLE t IN SHARE MODE; SELECT pg_backend_pid()');
$node->safe_psql('postgres', "CALL hone.apply($n, wait => false)");
wait_for($n, "waiting_for = 'a lock on table public.t that process $pid holds'", 'lock: put off, naming who has it');
is(field($n, "concat_ws(' ', state, attempts, retry_at > now() + '5 s', retry_at < now() + '11 s', started_at IS NULL)"),
	'queued 0 t t t', 'lock: no attempt was made, the next look is ten seconds later');
is($node->safe_psql('postgres', "SELECT count(*) FROM pg_locks WHERE relation = 't'::regclass AND NOT granted"), '0', 'lock: nobody queues for it');
ok($node->poll_query_until('postgres', "SELECT count(*) = 0 FROM pg_stat_activity WHERE backend_type = 'pg_hone builder'"), 'lock: nobody stays for it');
retry();
wait_for($n, "retry_at > now() + '15 s'", 'lock: the wait is doubled');
$holder->query_safe('COMMIT');
retry();
wait_for($n, "state = 'kept' AND waiting_for IS NULL AND retry_at IS NULL", 'lock: built once it is free');

# The same of a call that waits: it says what for, and goes on by itself.
$n = recommend('t');
$holder->query_safe('BEGIN; LOCK TABLE t IN SHARE MODE');
my $out = '';
my $call = call_in_background("CALL hone.apply($n)", \$out);
wait_for($n, "waiting_for LIKE '%process $pid%'", 'a call that waits: put off');
$holder->query_safe('COMMIT');
retry();
ok($call->finish, 'a call that waits: done');
like($out, qr/NOTICE:  the index has to wait for a lock on table public.t that process $pid holds/, 'a call that waits: told');
is(field($n, 'state'), 'kept', 'a call that waits: built');

# A server that stops meanwhile goes on afterwards.
$n = recommend('t');
$holder->query_safe('BEGIN; LOCK TABLE t IN SHARE MODE');
$node->safe_psql('postgres', "CALL hone.apply($n, wait => false)");
wait_for($n, "waiting_for LIKE '%process $pid%'", 'crash while queued: put off');
$node->stop('immediate');
$node->start;
retry();
wait_for($n, "state = 'kept'", 'crash while queued: built after it');
eval { $holder->quit; };

# What waits need not wait for ever.
$n = recommend('t');
$holder = $node->background_psql('postgres');
$holder->query_safe('BEGIN; LOCK TABLE t IN SHARE MODE');
$node->safe_psql('postgres', "CALL hone.apply($n, wait => false)");
wait_for($n, "waiting_for LIKE 'a lock%'", 'taken back while queued: put off');
$node->safe_psql('postgres', "CALL hone.revert($n)");
is(field($n, "state || ' ' || error"), 'cancelled 57014: taken back before it began', 'taken back while queued');
is($node->safe_psql('postgres', "SELECT status FROM hone.recommendation_store WHERE id = $n"), 'proposed', 'taken back while queued: still proposed');
$holder->query_safe('COMMIT');

# Transactions that are old already.
set("pg_hone.max_transaction_age = '1s'");
$n = recommend('t');
$pid = $holder->query_safe('BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT pg_backend_pid()');
$node->safe_psql('postgres', "BEGIN; SELECT * FROM u; INSERT INTO t VALUES (1, 0); PREPARE TRANSACTION 'it''s'");
$node->safe_psql('postgres', "BEGIN; INSERT INTO u VALUES (1, 0); PREPARE TRANSACTION 'another'");
$node->safe_psql('postgres', 'SELECT pg_sleep(1.1)');
$node->safe_psql('postgres', "CALL hone.apply($n, wait => false)");
wait_for($n, "waiting_for ~ '^process $pid, whose transaction has been open for \\d+ s\$'", 'old snapshot: put off, naming its process');
is(field($n, 'state'), 'queued', 'old snapshot: queued');
$holder->query_safe('COMMIT');
retry();
wait_for($n, "waiting_for ~ '^the prepared transaction ''it''''s'', whose'", 'old writer: put off, naming the prepared transaction');
$node->safe_psql('postgres', "COMMIT PREPARED 'it''s'");
retry();
wait_for($n, "state = 'kept'", 'one that only writes to another table is none');
$node->safe_psql('postgres', "COMMIT PREPARED 'another'");
# in another database it is none either
$node->safe_psql('postgres', 'CREATE DATABASE elsewhere');
my $far = $node->background_psql('elsewhere');
$far->query_safe('BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM pg_class');
$node->safe_psql('postgres', 'SELECT pg_sleep(1.1)');
$n = recommend('t');
$node->safe_psql('postgres', "CALL hone.apply($n)");
is(field($n, 'state'), 'kept', 'old snapshot in another database: no obstacle');
$far->quit;
set("pg_hone.max_transaction_age = '5min'");

# The time of the day, and how many in it.
my $window = $node->safe_psql('postgres', "SELECT to_char(now() AT TIME ZONE 'UTC' + interval '2 h', 'HH24:00-') || to_char(now() AT TIME ZONE 'UTC' + interval '3 h', 'HH24:00')");
set("pg_hone.build_window = '$window'");
$n = recommend('t');
my ($ret, $stdout, $err) = $node->psql('postgres', "CALL hone.apply($n)");
like($err, qr/the index has to wait for the right time: the build window is $window.*HINT:  Use wait => false/s, 'window: an error at once');
is($node->safe_psql('postgres', "SELECT count(*) FROM hone.actions WHERE recommendation_id = $n"), '0', 'window: nothing queued');
$node->safe_psql('postgres', "CALL hone.apply($n, wait => false)");
wait_for($n, "waiting_for LIKE '%build window%' AND state = 'queued'", 'window: put off');
my $done = $n - 1;
$node->safe_psql('postgres', "CALL hone.revert($done)");
is(field($done, 'state'), 'reverted', 'window: taking back does not wait');
$window = $node->safe_psql('postgres', "SELECT to_char(now() AT TIME ZONE 'UTC' - interval '1 h', 'HH24:MI-') || to_char(now() AT TIME ZONE 'UTC' + interval '1 h', 'HH24:MI')");
set("pg_hone.build_window = '$window'");
retry();
wait_for($n, "state = 'kept'", 'window: built inside it');
set("pg_hone.build_window = ''");
my $built = $node->safe_psql('postgres', 'SELECT count(*) FROM hone.action_store WHERE built_at IS NOT NULL');
set("pg_hone.builds_per_day = $built");
$n = recommend('t');
($ret, $stdout, $err) = $node->psql('postgres', "CALL hone.apply($n)");
like($err, qr/the right time: $built indexes, the daily limit, were built in the last 24 hours/, 'daily limit: an error at once');
$node->safe_psql('postgres', "CALL hone.apply($n, wait => false)");
wait_for($n, "waiting_for LIKE '%daily limit%' AND state = 'queued' AND retry_at > now() + '50 min'", 'daily limit: put off');
$node->safe_psql('postgres', "UPDATE hone.action_store SET built_at = built_at - interval '1 day' WHERE id = (SELECT min(id) FROM hone.action_store WHERE built_at IS NOT NULL)");
retry();
wait_for($n, "state = 'kept'", 'daily limit: built when a day is over');
set("pg_hone.builds_per_day = 0");

# Disk space
set("pg_hone.max_disk_usage = 1");
$n = recommend('t');
$node->safe_psql('postgres', "CALL hone.apply($n, wait => false)");
wait_for($n, "waiting_for LIKE 'disk space: with it, more than 1 \%'", 'disk: put off');
set("pg_hone.max_disk_usage = 100");
retry();
wait_for($n, "state = 'kept'", 'disk: built when there is space');
$n = recommend('t');
$node->safe_psql('postgres', "UPDATE hone.recommendation_store SET size_bytes = 1e17 WHERE id = $n");
$node->safe_psql('postgres', "CALL hone.apply($n, wait => false)");
wait_for($n, "waiting_for ~ '^disk space: \\d+ MB are free of the 190734863281 MB'", 'disk: the size counts');
$node->safe_psql('postgres', "CALL hone.revert($n)");
set("pg_hone.max_disk_usage = 90");

# A setting that is none
($ret, $stdout, $err) = $node->psql('postgres', "SET pg_hone.build_window = '$_'") and like($err, qr/invalid value for parameter/, "window \"$_\" is refused")
  for ('22:00', '25:00-06:00', '22:60-06:00', '22:00-22:00', '22:00-06:00x', ' 22:00-06:00', '-1:00-06:00');

# One builder: the second table waits for its turn, and so does another database.
$node->safe_psql('postgres', 'INSERT INTO t SELECT 1, 1');
$node->safe_psql('elsewhere', $setup);
$holder->query_safe('SELECT pg_advisory_lock(1)');
my $first = recommend('t', '(public.f(b))');
my $second = recommend('u');
$node->safe_psql('postgres', "CALL hone.apply($first, wait => false); CALL hone.apply($second, wait => false)");
wait_for($first, "phase LIKE 'building index%'", 'one builder: the first is held up');
wait_for($second, "waiting_for LIKE 'its turn: as many indexes as pg_hone.max_builds%' AND state = 'queued'", 'one builder: the second waits for its turn');
$node->safe_psql('elsewhere', "SELECT recommend(1, 'u', 'far'); CALL hone.apply(1, wait => false)");
ok($node->poll_query_until('elsewhere', "SELECT waiting_for LIKE 'its turn%' AND state = 'queued' FROM hone.actions"), 'one builder: one of another database waits too');

# Several: another table's is built meanwhile, the same table's is not, nor one whose
# snapshot the first would wait for, or the other way around.
set("pg_hone.max_builds = 4");
ok($node->poll_query_until('elsewhere', "SELECT state = 'kept' FROM hone.actions"), 'several builders: that of another database is built');
my $same = recommend('t');
my $expression = recommend('u', '(abs(b))');
$node->safe_psql('postgres', "CALL hone.apply($same, wait => false); CALL hone.apply($expression, wait => false)");
wait_for($expression, "waiting_for LIKE 'another build of this database%' AND state = 'queued'", 'several builders: not beside an index with an expression');
is(field($second, "state || ' ' || coalesce(waiting_for, '-')"), 'queued another build of this database, one of which would wait for the other', 'several builders: the plain one neither');
is(field($same, 'state || attempts'), 'queued0', 'several builders: not on the same table');
$holder->query_safe('SELECT pg_advisory_unlock(1)');
wait_for($_, "state = 'kept'", "several builders: built after it ($_)") for $first, $second, $same, $expression;

# Two plain ones on two tables at the same time
$holder->query_safe('BEGIN; INSERT INTO t VALUES (1, 7)');
my $other = $node->background_psql('postgres');
$other->query_safe('BEGIN; INSERT INTO u VALUES (1, 7)');
($first, $second) = (recommend('t'), recommend('u'));
my $third = recommend('t');
$node->safe_psql('postgres', "CALL hone.apply($first, wait => false); CALL hone.apply($second, wait => false); CALL hone.apply($third, wait => false)");
wait_for($_, "phase = 'waiting for writers before build'", "two at once: $_ is at work") for $first, $second;
is($node->safe_psql('postgres', "SELECT count(DISTINCT pid) FROM hone.actions WHERE state = 'building'"), '2', 'two at once: by two builders');
is(field($third, 'state'), 'queued', 'two at once: not three, as the third is on the first table');
$holder->query_safe('COMMIT');
$other->query_safe('COMMIT');
wait_for($_, "state = 'kept'", "two at once: $_ is built") for $first, $second, $third;

# Many at once on few tables: every one is built, none twice, and nothing is left.
my @many = map { recommend($_ % 2 ? 't' : 'u', $_ % 3 ? '(b)' : '(b) WHERE a > 0') } 1 .. 12;
my @calls = map { call_in_background("CALL hone.apply($_)", \my $ignored) } @many;
ok($_->finish, 'many at once: a call') for @calls;
is($node->safe_psql('postgres', "SELECT string_agg(DISTINCT state || attempts, ',') FROM hone.actions WHERE recommendation_id >= $many[0]"), 'kept1', 'many at once: each in one attempt');
is($node->safe_psql('postgres', "SELECT count(*) FROM pg_index WHERE NOT indisvalid"), '0', 'many at once: no invalid index');
ok($node->poll_query_until('postgres', "SELECT count(*) = 0 FROM pg_stat_activity WHERE backend_type = 'pg_hone builder'"), 'the builders have ended');
is($node->safe_psql('postgres', "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' OR relation IN ('t'::regclass, 'u'::regclass)"), '0', 'and left no lock');

# A table that is dropped while it waits
$n = recommend('u');
$holder->query_safe('BEGIN; LOCK TABLE u IN SHARE MODE');
$node->safe_psql('postgres', "CALL hone.apply($n, wait => false)");
wait_for($n, "waiting_for LIKE 'a lock%'", 'dropped: put off');
$holder->query_safe('DROP TABLE u');
$holder->query_safe('COMMIT');
retry();
wait_for($n, "state = 'failed' AND error LIKE '42P01%'", 'dropped: failed at once');

# A lock timeout is tried again, as often as is set; each time cleaned up.
set("pg_hone.build_lock_timeout = '100ms'");
set("pg_hone.build_attempts = 2");
$n = recommend('t');
$holder->query_safe('BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM pg_class');
$node->safe_psql('postgres', "CALL hone.apply($n, wait => false)");
wait_for($n, "state = 'queued' AND attempts = 1 AND error LIKE '55P03%' AND waiting_for = 'another attempt'", 'attempts: to be repeated');
retry();
wait_for($n, "state = 'failed' AND attempts = 2 AND error LIKE '55P03%'", 'attempts: used up');
is($node->safe_psql('postgres', "SELECT count(*) FROM pg_index WHERE NOT indisvalid"), '0', 'attempts: no invalid index');
$holder->query_safe('COMMIT');

# Builders that are terminated again and again, wherever they are, beside somebody
# who builds and drops by himself: in the end all is built, and nothing else is left.
set("pg_hone.build_lock_timeout = '10min'");
set("pg_hone.build_attempts = 100");
$node->safe_psql('postgres', 'CREATE TABLE u (a int, b int); INSERT INTO u SELECT i, i FROM generate_series(1, 30000) i; INSERT INTO t SELECT i, i FROM generate_series(1, 30000) i');
@many = map { recommend($_ % 2 ? 't' : 'u', $_ % 3 ? '(b)' : '(a, (b + 1))') } 1 .. 10;
$node->safe_psql('postgres', join('', map { "CALL hone.apply($_, wait => false);" } @many));
$holder->query_safe('BEGIN; INSERT INTO u VALUES (0, 0)');	# holds up one at least
my $trouble = "UPDATE hone.action_store SET retry_at = now() WHERE state = 'queued' OR leftover;
	SELECT hone.reconcile_actions(); SELECT pg_sleep(random() * 0.1); SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE backend_type = 'pg_hone builder'";
$out = '';
my $theirs = call_in_background("CREATE INDEX CONCURRENTLY theirs ON t (b, a)", \$out);
for my $round (1 .. 25)
{
	$node->safe_psql('postgres', $trouble);
}
$holder->query_safe('COMMIT');
ok($theirs->finish, "terminated at random: somebody else's build is done") or diag($out);
for my $round (1 .. 600)
{
	retry();
	last if $node->safe_psql('postgres', "SELECT hone.reconcile_actions(); SELECT count(*) FROM hone.actions WHERE state IN ('queued', 'building') OR leftover") =~ /^\s*0$/m;
	select(undef, undef, undef, 0.1);
}
is($node->safe_psql('postgres', "SELECT string_agg(DISTINCT state, ',') FROM hone.actions WHERE recommendation_id >= $many[0]"), 'kept', 'terminated at random: all is built in the end');
is($node->safe_psql('postgres', "SELECT string_agg(indexrelid::regclass::text, ',') FROM pg_index WHERE NOT indisvalid"), '', 'terminated at random: no invalid index');
is($node->safe_psql('postgres', "SELECT count(*) FROM pg_index i WHERE indrelid = 'u'::regclass"), '5', 'terminated at random: none twice');
cmp_ok($node->safe_psql('postgres', "SELECT sum(attempts) FROM hone.actions WHERE recommendation_id >= $many[0]"), '>', 10, 'terminated at random: and some were hit');
is($node->safe_psql('postgres', "SELECT count(*) FROM pg_locks WHERE relation IN ('t'::regclass, 'u'::regclass)"), '0', 'terminated at random: no lock is left');

$holder->quit;
$other->quit;
$node->stop;
done_testing();
