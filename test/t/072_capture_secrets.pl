# Passwords and connection strings are kept nowhere: each statement below carries
# one, alone, beside others in one message, inside functions, failing and
# cancelled; afterwards everything that a superuser can read in the schema hone,
# in memory, in tables and in files, is searched for each of them. Parameter
# values are for the role that ran them and members of pg_read_all_stats, and
# pg_hone.capture_parameters = off leaves none at all.
use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use File::Find ();
use HoneWire;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->append_conf('postgresql.conf', q{
shared_preload_libraries = 'pg_hone'
pg_hone.slow_query_ms = 0
pg_hone.slow_plan_ms = 0
pg_hone.slow_query_rate_limit = 0
pg_hone.slow_log_entries = 20000
pg_hone.shared_memory = 64MB
pg_hone.collect_interval = 3600
fsync = off
});
$node->start;
my $run = HoneWire->connect($node);
my $look = HoneWire->connect($node, options => '-c pg_hone.enabled=off');
my $other = HoneWire->connect($node, options => '-c pg_hone.enabled=off');

$look->value($_) for (split /;\n/, q{
CREATE EXTENSION pg_hone;
CREATE TABLE t (a int, b text);
INSERT INTO t SELECT i, 'b' || i FROM generate_series(1, 100) i;
CREATE TABLE ruled (a int); CREATE TABLE rule_log (a int);
CREATE RULE also AS ON INSERT TO ruled DO ALSO INSERT INTO rule_log VALUES (NEW.a);
CREATE TABLE triggered (a int);
CREATE FUNCTION trg() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM count(*) FROM t; RETURN NEW; END';
CREATE TRIGGER trg AFTER INSERT ON triggered FOR EACH ROW EXECUTE FUNCTION trg();
CREATE VIEW v AS SELECT * FROM t WHERE a < 50;
CREATE MATERIALIZED VIEW mv AS SELECT * FROM t;
CREATE FUNCTION inlined(int) RETURNS SETOF t LANGUAGE sql STABLE AS 'SELECT * FROM t WHERE a = $1';
CREATE FUNCTION atomic(int) RETURNS bigint LANGUAGE sql VOLATILE BEGIN ATOMIC INSERT INTO rule_log VALUES ($1); SELECT count(*) FROM t; END;
CREATE FUNCTION plain(int) RETURNS bigint LANGUAGE plpgsql AS 'BEGIN RETURN (SELECT count(*) FROM t WHERE a = $1); END';
CREATE PROCEDURE proc() LANGUAGE plpgsql AS 'BEGIN PERFORM count(*) FROM t; END';
CREATE ROLE r;
CREATE FOREIGN DATA WRAPPER w;
CREATE SERVER s FOREIGN DATA WRAPPER w;
CREATE FOREIGN TABLE ft (a int) SERVER s;
CREATE USER MAPPING FOR PUBLIC SERVER s;
CREATE SUBSCRIPTION sub CONNECTION 'dbname=nowhere' PUBLICATION p WITH (connect = false, slot_name = NONE);
CREATE ROLE owner_role LOGIN;
CREATE ROLE stranger LOGIN;
CREATE ROLE reader LOGIN IN ROLE pg_read_all_stats;
GRANT SELECT ON t TO PUBLIC;
GRANT USAGE ON SCHEMA hone TO PUBLIC;
CREATE PUBLICATION pub});

# "SECRET" is replaced by a word of its own in each.
my $set_password = q{ALTER ROLE r PASSWORD 'SECRET'};
my @statements = (
	# alone
	$set_password,
	q{ALTER USER r ENCRYPTED PASSWORD 'SECRET'},
	q{CREATE ROLE r_new PASSWORD 'SECRET'},
	q{CREATE USER u_new PASSWORD 'SECRET'},
	q{/* hint */ -- comment
	  aLtEr RoLe r WITH LOGIN PASSWORD $x$SECRET$x$},
	q{ALTER ROLE r PASSWORD E'\x53ECRET' VALID UNTIL 'SECRET'},
	q{CREATE FOREIGN DATA WRAPPER w2 OPTIONS (password 'SECRET')},
	q{ALTER FOREIGN DATA WRAPPER w OPTIONS (ADD password 'SECRET')},
	q{CREATE SERVER s2 FOREIGN DATA WRAPPER w OPTIONS (host 'SECRET')},
	q{ALTER SERVER s OPTIONS (ADD password 'SECRET')},
	q{CREATE USER MAPPING FOR r SERVER s OPTIONS (password 'SECRET')},
	q{ALTER USER MAPPING FOR r SERVER s OPTIONS (SET password 'SECRET')},
	q{CREATE FOREIGN TABLE ft2 (a int OPTIONS (key 'SECRET')) SERVER s OPTIONS (password 'SECRET')},
	q{ALTER FOREIGN TABLE ft OPTIONS (ADD password 'SECRET')},
	q{ALTER FOREIGN TABLE ft ALTER COLUMN a OPTIONS (ADD key 'SECRET')},
	q{ALTER TABLE ft OPTIONS (ADD other 'SECRET')},
	q{IMPORT FOREIGN SCHEMA x FROM SERVER s INTO public OPTIONS (password 'SECRET')},
	q{CREATE SUBSCRIPTION sub2 CONNECTION 'dbname=x password=SECRET' PUBLICATION p WITH (connect = false, slot_name = NONE)},
	q{CREATE SUBSCRIPTION sub3 CONNECTION 'host=/nowhere password=SECRET' PUBLICATION p},
	q{ALTER SUBSCRIPTION sub CONNECTION 'dbname=x password=SECRET'},
	q{COPY t TO PROGRAM 'cat >/dev/null # SECRET'},
	q{COPY (SELECT a FROM t) TO PROGRAM 'cat >/dev/null # SECRET'},
	q{COPY t FROM PROGRAM 'false # SECRET'},
	q{SET app.password = 'SECRET'},
	q{SET LOCAL app.password = 'SECRET'},
	q{ALTER ROLE r SET app.password = 'SECRET'},
	q{ALTER DATABASE postgres SET app.password = 'SECRET'},
	q{ALTER SYSTEM SET primary_conninfo = 'password=SECRET'},
	q{SECURITY LABEL FOR nobody ON TABLE t IS 'SECRET'},
	q{NOTIFY channel, 'SECRET'},
	q{DO $$ BEGIN ALTER ROLE r PASSWORD 'SECRET'; END $$},
	q{DO $$ BEGIN EXECUTE 'ALTER ROLE r PASSWORD ''SECRET'''; END $$},
	q{DO $$ BEGIN EXECUTE format('ALTER ROLE r PASSWORD %L', 'SECRET'); END $$},
	q{DO $$ BEGIN EXECUTE 'SELECT 1; ALTER ROLE r PASSWORD ''SECRET''; SELECT 2'; END $$},
	q{DO $$ BEGIN BEGIN ALTER ROLE nobody PASSWORD 'SECRET'; EXCEPTION WHEN OTHERS THEN NULL; END; END $$},
	q{CREATE FUNCTION set_password() RETURNS void LANGUAGE plpgsql AS $$ BEGIN ALTER ROLE r PASSWORD 'SECRET'; END $$},
	q{CREATE FUNCTION set_password_sql() RETURNS bigint LANGUAGE sql AS $$ SELECT count(*) FROM t; ALTER ROLE r PASSWORD 'SECRET'; SELECT count(*) + 1 FROM t; $$},
	q{CREATE PROCEDURE set_password_proc() LANGUAGE plpgsql AS $$ BEGIN ALTER ROLE r PASSWORD 'SECRET'; COMMIT; PERFORM count(*) FROM t; END $$},
	q{SELECT set_password() /* runs a secret */},
	q{SELECT set_password_sql() /* runs a secret */},
	q{CALL set_password_proc()},
	q{CREATE EVENT TRIGGER e ON ddl_command_start EXECUTE FUNCTION SECRET()},
	# failing in every stage
	q{ALTER ROLE nobody PASSWORD 'SECRET'},
	q{ALTER ROLE r PASWORD 'SECRET'},
	q{ALTER ROLE r PASSWORD 'SECRET},
	q{ALTER USER MAPPING FOR nobody SERVER s OPTIONS (SET password 'SECRET')},
	q{CREATE SERVER s FOREIGN DATA WRAPPER w OPTIONS (password 'SECRET')},
	q{CREATE SUBSCRIPTION sub CONNECTION 'password=SECRET' PUBLICATION p WITH (connect = false)},
	q{COPY nothing TO PROGRAM 'true # SECRET'},
	q{COPY (SELECT 1 / (a - a) FROM t) TO PROGRAM 'cat >/dev/null # SECRET'},
	q{COPY (SELECT nothing FROM t) TO PROGRAM 'cat >/dev/null # SECRET'},
);

# Beside a secret in the same message: first, last, and in a transaction.
for my $beside (
	q{SELECT count(*) FROM t}, q{SELECT 1 / (a - a) FROM t}, q{SELECT nothing FROM t}, q{SELEC},
	q{SELECT 1 / 0}, q{SELECT * FROM v}, q{SELECT * FROM inlined(3)}, q{SELECT atomic(4)}, q{SELECT plain(4)},
	q{VALUES (1, 2)}, q{TABLE t}, q{WITH x AS (SELECT 1) SELECT * FROM x, t},
	q{INSERT INTO ruled VALUES (1)}, q{INSERT INTO triggered VALUES (2)}, q{UPDATE t SET b = 'x' WHERE a = 1},
	q{DELETE FROM t WHERE a = 2}, q{MERGE INTO t USING (SELECT 3 AS a) s ON t.a = s.a WHEN MATCHED THEN UPDATE SET b = 'y'},
	q{CREATE TABLE made AS SELECT * FROM t; DROP TABLE made}, q{SELECT * INTO made FROM t; DROP TABLE made},
	q{CREATE TEMP TABLE made AS EXECUTE earlier; DROP TABLE made},
	q{CREATE MATERIALIZED VIEW made AS SELECT * FROM t; REFRESH MATERIALIZED VIEW made; DROP MATERIALIZED VIEW made},
	q{REFRESH MATERIALIZED VIEW mv},
	q{CREATE VIEW made AS SELECT * FROM t; SELECT * FROM made; DROP VIEW made},
	q{BEGIN; DECLARE c CURSOR FOR SELECT * FROM t; FETCH 5 FROM c; MOVE 5 IN c; CLOSE c; COMMIT},
	q{DECLARE c CURSOR WITH HOLD FOR SELECT * FROM t; FETCH ALL FROM c; CLOSE c},
	q{EXPLAIN SELECT * FROM t}, q{EXPLAIN ANALYZE SELECT * FROM t}, q{EXPLAIN (ANALYZE, FORMAT json) INSERT INTO ruled VALUES (2)},
	q{EXPLAIN ANALYZE CREATE TABLE made AS SELECT * FROM t; DROP TABLE made}, q{EXPLAIN ANALYZE EXECUTE earlier},
	q{COPY (SELECT * FROM t) TO STDOUT}, q{COPY t TO STDOUT}, q{COPY t FROM STDIN},
	q{PREPARE made AS SELECT count(*) FROM t; EXECUTE made; DEALLOCATE made}, q{EXECUTE earlier},
	q{PREPARE made AS INSERT INTO ruled VALUES (3); EXECUTE made; DEALLOCATE made},
	q{CALL proc()}, q{DO 'BEGIN PERFORM count(*) FROM t; END'},
	q{CREATE INDEX ON t ((length(b)))}, q{ALTER TABLE t ADD COLUMN c int DEFAULT 5; ALTER TABLE t DROP COLUMN c},
	q{ALTER TABLE t ALTER a TYPE bigint USING a + 1; ALTER TABLE t ALTER a TYPE int}, q{ANALYZE t}, q{TRUNCATE rule_log},
	q{CREATE SCHEMA made CREATE TABLE x (a int) CREATE VIEW y AS SELECT * FROM x; DROP SCHEMA made CASCADE},
	q{LOCK TABLE t}, q{SAVEPOINT s; ROLLBACK TO s}, q{SELECT pg_sleep(5)})
{
	push @statements, "$set_password; $beside", "$beside; $set_password";
}
push @statements, "SELECT 1; $set_password; SELECT 2", "$set_password;;; SELECT 3;;",
  "BEGIN; SELECT 4; $set_password; SELECT 5 / (5 - 5)", 'ROLLBACK',
  "CREATE TABLE made AS SELECT * FROM t; $set_password; EXPLAIN ANALYZE SELECT * FROM made; DROP TABLE made";

# prepared beside a secret, run alone
push @statements, "PREPARE later AS INSERT INTO ruled VALUES (4); $set_password", 'EXECUTE later',
  "$set_password; PREPARE later2 AS SELECT count(*) + 2 FROM t", 'EXECUTE later2';

# That the table did what it says: so many of it did not fail.
my $succeeded = 0;
my @secrets;
$look->value("CREATE ROLE u$_ SUPERUSER") for 0 .. 2 * @statements;
sub send_secret
{
	my ($client, $statement, $how) = @_;
	my $secret = sprintf('Sk%dqz', scalar @secrets);
	push @secrets, [ $secret, "$how: $statement" ];
	$statement =~ s/SECRET/$secret/g;
	# A role of its own, whose texts are not known yet.
	$client->value("SET ROLE u$#secrets");
	my $answer = $how eq 'extended' ? $client->execute($statement) : $client->query($statement);
	$succeeded++ if !$answer->{error};
	$client->query('ROLLBACK') if $answer->{status} ne 'I';
	return $answer;
}
$run->value('PREPARE earlier AS SELECT count(*) FROM t');
$run->value("SET statement_timeout = '300ms'");
for my $statement (@statements)
{
	my $answer = send_secret($run, $statement, 'simple');
	die "connection lost: $statement" if $answer->{status} eq 'closed';
}
cmp_ok($succeeded, '>=', @statements * 0.7, "$succeeded of " . @statements . ' messages with a secret succeed');
for my $statement (grep { !/; / } @statements)
{
	send_secret($run, $statement, 'extended');
}
# cancelled while it waits
$other->value('BEGIN; LOCK TABLE pg_authid IN EXCLUSIVE MODE; LOCK TABLE pg_user_mapping IN EXCLUSIVE MODE');
for my $statement ($set_password, q{ALTER USER MAPPING FOR PUBLIC SERVER s OPTIONS (ADD password 'SECRET')},
	"CREATE TABLE made AS SELECT 1; $set_password",
	q{DO $$ BEGIN EXECUTE 'SELECT 1; ALTER ROLE r PASSWORD ''SECRET'''; END $$})
{
	is(send_secret($run, $statement, 'cancelled')->{error}, '57014', "cancelled: $statement");
}
$other->value('ROLLBACK');
$run->value('RESET statement_timeout');

# Everything there is to read, as text.
sub everything
{
	my ($client) = @_;
	my %where;

	for my $relation (split /\n/, $look->value(q{
SELECT oid::regclass FROM pg_class WHERE relnamespace = 'hone'::regnamespace AND relkind IN ('r', 'v', 'm')}))
	{
		my $answer = $client->query("SELECT x::text FROM $relation x");
		$where{$relation} = join("\n", map { $_->[0] } @{ $answer->{rows} }) if !$answer->{error};
	}
	for my $call (split /\n/, $look->value(q{
SELECT DISTINCT format('%s(%s)', p.oid::regproc, (SELECT string_agg(CASE t WHEN 'bool'::regtype THEN yes ELSE '0' END, ', ')
                                                  FROM unnest(p.proargtypes) t))
FROM pg_proc p, (VALUES ('true'), ('false')) AS v(yes) WHERE pronamespace = 'hone'::regnamespace AND proname ~ '(_memory|_row|_info|_databases)$'
  AND NOT EXISTS (SELECT FROM unnest(p.proargtypes) t WHERE t NOT IN ('int8'::regtype, 'bool'::regtype))}))
	{
		my $answer = $client->query("SELECT x::text FROM $call x");
		$where{$call} = join("\n", map { $_->[0] } @{ $answer->{rows} }) if !$answer->{error};
	}
	return \%where;
}

sub leaks
{
	my ($where, @words) = @_;
	my @found;
	for my $place (sort keys %$where)
	{
		push @found, map { [ $_, $place ] } grep { index($where->{$place}, $_) >= 0 } @words;
	}
	return @found;
}

is($look->value('SELECT overwritten, lost FROM hone.slow_queries_info'), '0|0', 'the slow log kept all');
$look->value('SELECT hone.collect_query_stats(), hone.collect()');
my $where = everything($look);
cmp_ok(scalar(keys %$where), '>', 15, 'places searched: ' . scalar(keys %$where));
# The search finds what is there to be found: each place that must have it.
for my $place ('hone.slow_queries', 'hone.slow_query_store', 'hone.query_stats', 'hone.query_history_store',
	'hone.workload_samples', 'hone.sample_store', 'hone.slow_queries_memory(', 'hone.workload_memory(', 'hone.query_stats_memory(')
{
	like(join('', map { $where->{$_} } grep { index($_, $place) == 0 } keys %$where), qr/FROM t/, "$place has ordinary statements");
}
like($where->{'hone.slow_queries'}, qr/ALTER ROLE.*failed/, 'a failed one is logged by its tag');
like($where->{'hone.slow_queries'}, qr/ALTER ROLE.*cancelled/, 'a cancelled one too');
my %leaks;
for my $leak (leaks($where, map { $_->[0] } @secrets))
{
	push @{ $leaks{ $leak->[0] } }, $leak->[1];
}
for my $secret (@secrets)
{
	ok(!$leaks{ $secret->[0] }, "hidden ($secret->[1])")
	  or diag("$secret->[0] in @{ $leaks{$secret->[0]} }");
}

# Values of parameters, by every way in which they come, of an ordinary role.
sub send_values
{
	my ($n, $options) = @_;
	my $client = HoneWire->connect($node, user => 'owner_role', options => $options);
	my @words = map { "Val${n}x$_" } 1 .. 9;
	$client->execute("SELECT a FROM t WHERE b = \$1 AND b <> 'way one'", [ $words[0] ]);
	$client->value('PREPARE p(text) AS SELECT a FROM t WHERE b = $1 AND a > 2');
	$client->value("SET plan_cache_mode = $_; EXECUTE p('$words[1]')") for ('force_custom_plan', 'force_generic_plan');
	$client->value(qq{DO \$\$
DECLARE v text := '$words[2]'; w text; c CURSOR (x text) FOR SELECT a FROM t WHERE b = x AND a > 4; n int;
BEGIN
    SELECT a INTO n FROM t WHERE b = v AND a > 3;
    w := '$words[3]';
    EXECUTE 'SELECT a FROM t WHERE b = \$1 AND a > 5' USING w;
    w := '$words[4]'; OPEN c(w); FETCH c INTO n; CLOSE c;
    w := '$words[5]';
    BEGIN PERFORM 1 / (a - a) FROM t WHERE b <> w; EXCEPTION WHEN division_by_zero THEN NULL; END;
    PERFORM set_config('statement_timeout', '0', false), a FROM t WHERE b = ANY (ARRAY[w, '1']) AND a > 7;
END \$\$});
	$client->execute("SELECT a FROM t WHERE b <> \$1 AND pg_sleep(0) IS NULL AND 1 / (a - a) = 1", [ $words[6] ]);
	$client->execute('BEGIN');
	$client->execute("DECLARE c CURSOR FOR SELECT a FROM t WHERE b <> \$1 AND a > 8", [ $words[7] ]);
	$client->value('FETCH 1 FROM c; ROLLBACK');
	$client->execute('SELECT plain(length($1)) FROM t LIMIT 1', [ $words[8] ]);
	$client->close;
	# (1 and 2 of these words are in texts of the simple protocol as well)
	return @words;
}
my @shown = send_values(1, '');
my @stored = send_values(2, '');
$look->value('SELECT hone.collect_query_stats(), hone.collect()');
$look->value("ALTER ROLE owner_role SET pg_hone.capture_parameters = off");
my @off = send_values(3, '');

my %found = map { $_->[0] => 1 } leaks(everything($look), @shown);
# DO's text and EXECUTE p('...') of the simple protocol are kept as tags or not at all
cmp_ok(scalar(grep { $found{$_} } @shown), '>=', 7, 'values are kept: ' . join(' ', sort keys %found));
my %owner = map { $_->[0] => 1 } leaks(everything(HoneWire->connect($node, user => 'owner_role')), @shown);
is_deeply([ sort keys %owner ], [ sort keys %found ], 'the role that ran them sees as much');
my %reader = map { $_->[0] => 1 } leaks(everything(HoneWire->connect($node, user => 'reader')), @shown);
is_deeply([ sort keys %reader ], [ sort keys %found ], 'so does a member of pg_read_all_stats');
my $strange = everything(HoneWire->connect($node, user => 'stranger'));
like($strange->{'hone.slow_queries'}, qr/insufficient privilege/, 'a stranger sees that there was something');
is_deeply([ leaks($strange, @shown, @stored) ], [], 'and none of the values');
is_deeply([ leaks(everything($look), @off) ], [], 'without pg_hone.capture_parameters there are none anywhere');

# What a clean stop leaves in files: server files with names of ours, statistics.
$_->close for ($run, $look, $other);
$node->stop;
my @leaked_files;
File::Find::find({ no_chdir => 1, wanted => sub {
	my $name = $_;
	return if !-f $name || $name =~ m{/(base|global|pg_wal|log)/|\.conf$};
	my $content = slurp_file($name);
	push @leaked_files, $name if grep { index($content, $_) >= 0 } (map { $_->[0] } @secrets), @off;
} }, $node->data_dir);
is_deeply(\@leaked_files, [], 'no file outside of tables and WAL has one');

my $log = slurp_file($node->logfile);
unlike($log, qr/PANIC|TRAP:|terminated by signal/, 'no crash');
done_testing();
