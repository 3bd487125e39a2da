# Whatever a client sends, the server lives, what ran is counted, and the next
# statement works. After each case the log has no crash in it, the same session
# (or a new one, where the case ended it) runs a marker query that is counted
# once more, and the statements of the case are in hone.query_stats as often as
# they ran. Who looks is not captured.
use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use HoneWire;
use IPC::Run ();
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init(extra => [ '-E', 'UTF8', '--locale=C' ]);
$node->append_conf('postgresql.conf', q{
shared_preload_libraries = 'pg_hone'
pg_hone.slow_query_ms = 0
pg_hone.slow_plan_ms = 0
pg_hone.slow_query_rate_limit = 0
pg_hone.collect_interval = 3600
max_prepared_transactions = 4
max_parallel_workers_per_gather = 0
min_parallel_table_scan_size = 0
parallel_setup_cost = 0
parallel_tuple_cost = 0
deadlock_timeout = 50ms
restart_after_crash = on
fsync = off
});
$node->start;
my $look = HoneWire->connect($node, options => '-c pg_hone.enabled=off');
my $other = HoneWire->connect($node, options => '-c pg_hone.enabled=off');
$look->value($_) for (split /;;\n/, q{
CREATE EXTENSION pg_hone;;
CREATE TABLE t (a int PRIMARY KEY, b text);;
INSERT INTO t SELECT i, 'b' || i FROM generate_series(1, 1000) i;;
CREATE TABLE big AS SELECT i AS a, i % 10 AS b FROM generate_series(1, 20000) i;;
ANALYZE;;
CREATE TABLE after_row (a int);;
CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM count(*) FROM t; IF NEW.a < 0 THEN RAISE EXCEPTION 'negative'; END IF; RETURN NEW; END $$;;
CREATE TRIGGER after_row AFTER INSERT ON after_row FOR EACH ROW EXECUTE FUNCTION fail();;
CREATE TABLE deferred (a int);;
CREATE CONSTRAINT TRIGGER deferred AFTER INSERT ON deferred DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION fail();;
CREATE TABLE key (a int PRIMARY KEY DEFERRABLE INITIALLY DEFERRED);;
CREATE FUNCTION nest(n int) RETURNS bigint LANGUAGE plpgsql AS $$ BEGIN IF n = 0 THEN RETURN (SELECT count(*) FROM t WHERE a < 10); END IF; RETURN (SELECT nest(n - 1) + 1 FROM t WHERE a = 1); END $$;;
CREATE FUNCTION nest_fail(n int) RETURNS bigint LANGUAGE plpgsql AS $$ BEGIN IF n = 0 THEN RETURN 1 / n; END IF; RETURN (SELECT nest_fail(n - 1) + 1 FROM t WHERE a = 2); END $$;;
CREATE FUNCTION inlined(int) RETURNS SETOF t LANGUAGE sql STABLE AS 'SELECT * FROM t WHERE a = $1';;
CREATE FUNCTION not_inlined(int) RETURNS SETOF t LANGUAGE sql VOLATILE AS 'UPDATE t SET b = b WHERE a = $1 RETURNING *';;
CREATE FUNCTION lazy() RETURNS SETOF int LANGUAGE sql VOLATILE AS 'SELECT a FROM t WHERE a > 5';;
CREATE PROCEDURE commits(n int) LANGUAGE plpgsql AS $$ BEGIN FOR i IN 1..n LOOP INSERT INTO after_row VALUES (i); IF i % 2 = 0 THEN COMMIT; ELSE ROLLBACK; END IF; END LOOP; END $$;;
CREATE PROCEDURE loops(n int) LANGUAGE plpgsql AS $$ DECLARE r record; BEGIN FOR r IN SELECT a FROM t WHERE a <= n LOOP UPDATE t SET b = 'looped' WHERE a = r.a; COMMIT; END LOOP; END $$;;
CREATE TYPE pair AS (x int, y text);;
CREATE DOMAIN positive AS int CHECK (VALUE > 0);;
CREATE TYPE mood AS ENUM ('good', 'bad');;
CREATE ROLE nobody_much LOGIN});

# Each case is a role of its own, so its statements have rows of their own:
# aliases and comments do not tell queries apart.
my $client;
my $case = 0;
$look->value(q{DO $$ BEGIN FOR i IN 0 .. 199 LOOP EXECUTE 'CREATE ROLE case' || i || ' LOGIN SUPERUSER'; END LOOP; END $$});
sub fresh { $client = HoneWire->connect($node, user => "case$case", @_); }

sub counted
{
	my ($like) = @_;
	return $look->value(qq{
SELECT coalesce(sum(calls), 0), coalesce(sum(errors), 0), coalesce(sum(cancels), 0), coalesce(sum(rows), 0)
FROM hone.query_stats WHERE query LIKE '$like' AND username = 'case$case' AND command NOT IN ('DO', 'CALL')});
}

# One case: what it does, and what must then be counted: LIKE pattern =>
# "calls|errors|cancels|rows".
my $log_seen = 0;
sub check
{
	my ($name, $action, %expected) = @_;
	$case++;
	fresh();
	my $problem = eval { $action->(); 1 } ? '' : $@;
	is($problem, '', $name) if $problem;
	my $a = $client->query('ROLLBACK');
	fresh() if $a->{status} eq 'closed';
	my $mark = $client->query("SELECT 'mark' AS marker, 1, true, 2.5");
	my @wrong;
	push @wrong, "the next statement: $mark->{message}" if $mark->{error};
	my $seen = counted('SELECT $1 AS marker, $2, $3, $4');
	push @wrong, "the marker was counted $seen" if $seen ne '1|0|0|1';
	# that nesting is back where it was
	my $top = $look->value("SELECT bool_and(toplevel) FROM hone.query_stats WHERE query LIKE 'SELECT \$1 AS marker, %' AND username = 'case$case'");
	push @wrong, 'the marker was not at top level' if $top ne 't';
	for my $like (sort keys %expected)
	{
		my $got = counted($like);
		push @wrong, "$like: $got, not $expected{$like}" if $got ne $expected{$like};
	}
	my $log = slurp_file($node->logfile, $log_seen);
	$log_seen += length $log;
	push @wrong, "in the log: $1" if $log =~ /^(.*(?:PANIC|TRAP:|terminated by signal|stuck spinlock).*)$/m;
	my $disagree = $look->value(q{
SELECT count(*) FROM hone.query_stats_memory() m
WHERE calls + errors <> (SELECT coalesce(sum(c), 0) FROM unnest(counts) c) OR cancels > errors OR rows < 0});
	push @wrong, "$disagree rows whose histogram does not hold their calls" if $disagree;
	is(join("\n", @wrong), '', $name);
}
sub run
{
	my ($sql, $expected) = @_;
	my $a = $client->query($sql);
	die "got '$a->{error}' ($a->{message}), not '$expected' for: " . substr($sql, 0, 200) . "\n"
	  if $a->{error} ne ($expected // '');
	return $a;
}
sub bound
{
	my ($sql, $values, $expected, %with) = @_;
	my $a = $client->execute($sql, $values, %with);
	die "got '$a->{error}' ($a->{message}), not '$expected' for: " . substr($sql, 0, 200) . "\n"
	  if $a->{error} ne ($expected // '');
	return $a;
}

sub open_portal
{
	my ($name, $sql, @values) = @_;
	$client->send_bytes(HoneWire::parse_message('', $sql) . HoneWire::bind_message($name, '', \@values) . HoneWire::sync());
	my $a = $client->answer;
	die "$a->{message}: $sql" if $a->{error};
}

# --- size ---------------------------------------------------------------------

my $megabyte = 'x' x (1024 * 1024);
check('a statement of 1 MB, with a constant of 1 MB', sub {
	run("SELECT length('$megabyte') AS big_constant") for 1 .. 3;
}, '%AS big_constant%' => '3|0|0|3');
check('a statement of 1 MB, by its comment', sub {
	run("SELECT 1 /* $megabyte */ + 2 AS big_comment") for 1 .. 2;
	run("/* $megabyte */ SELECT 1 AS big_comment_first");
}, 'SELECT $1 /* xxx%' => '2|0|0|2');
check('a statement of 1 MB, of 100,000 constants', sub {
	run('SELECT count(*) FROM t WHERE a IN (' . join(',', 1 .. 150_000) . ') AND a > 0 ') for 1 .. 2;
}, 'SELECT count(*) FROM t WHERE a IN ($1%' => '2|0|0|2');
check('a statement of 1 MB, of 1,600 columns', sub {
	run('SELECT ' . join(', ', map { "a AS \"$_" . 'y' x 600 . '"' } 1 .. 1600) . ' FROM t WHERE a = 7');
}, 'SELECT a AS "1yyyy%' => '1|0|0|1');
check('a statement of 1 MB in a multibyte character', sub {
	run("SELECT '" . "\xE2\x82\xAC" x 400_000 . "' AS euros, a AS \"" . "\xE2\x82\xAC" x 20 . '" FROM t WHERE a = 8');
}, 'SELECT $1 AS euros%' => '1|0|0|1');
check('VALUES of 20,000 rows', sub {
	run('INSERT INTO after_row VALUES ' . join(',', map { "($_)" } 1 .. 2000));
	run('SELECT count(*) FROM (VALUES ' . join(',', map { "($_, 'v')" } 1 .. 20_000) . ') AS many_values(a, b)');
}, 'SELECT count(*) FROM (VALUES%' => '1|0|0|1', 'INSERT INTO after_row VALUES ($1)%' => '1|0|0|2000');
check('a parameter of 1 MB', sub {
	bound('SELECT length($1) AS big_parameter', [$megabyte]) for 1 .. 3;
	bound('SELECT count(*) FROM t WHERE b = $1 AND 1 = 1 /* big */', [$megabyte]);
	bound('SELECT length($1) AS big_bytes', [ '\x' . 'ab' x 500_000 ], '', types => [17]);
}, 'SELECT length($1) AS big_parameter' => '3|0|0|3', 'SELECT length($1) AS big_bytes' => '1|0|0|1');
check('10,000 parameters', sub {
	my $in = join(',', map { "\$$_" } 1 .. 10_000);
	bound("SELECT count(*) AS ten_thousand FROM t WHERE a IN ($in)", [ 1 .. 10_000 ]) for 1 .. 3;
	bound("SELECT count(*) AS texts FROM t WHERE b IN ($in)", [ map { $_ % 3 ? 'y' x 100 : undef } 1 .. 10_000 ]);
	bound("SELECT 1 / (a - a + \$10000::int - 10000) AS in_list FROM t WHERE a IN (" . join(',', map { "\$$_" } 1 .. 9_999) . ')', [ 1 .. 10_000 ], '22012');
}, 'SELECT count(*) AS ten_thousand%' => '3|0|0|3', 'SELECT count(*) AS texts%' => '1|0|0|1', '%AS in_list%' => '0|1|0|0');
check('65,535 parameters, and one too many', sub {
	my $in = join(',', map { "\$$_" } 1 .. 65_535);
	bound("SELECT count(*) AS all_of_them FROM t WHERE a = ANY (ARRAY[$in]::int[])", [ 1 .. 65_535 ]);
	bound('SELECT $1::int AS two', [ 1, 2 ], '08P01');
	bound('SELECT $1::int AS bad_value', ['no number'], '22P02');
}, 'SELECT count(*) AS all_of_them%' => '1|0|0|1', '%AS bad_value%' => '0|0|0|0');
check('10,000 parameters of a prepared statement in SQL', sub {
	run('PREPARE many(' . join(',', ('int') x 1000) . ') AS SELECT count(*) AS prepared_many FROM t WHERE a IN (' . join(',', map { "\$$_" } 1 .. 1000) . ')');
	run('EXECUTE many(' . join(',', 1 .. 1000) . ')') for 1 .. 7;
}, '%AS prepared_many%' => '7|0|0|7');

check('statements of 1 MB, with every limit at its maximum', sub {
	run("SET $_") for ('pg_hone.max_query_length = 1048576', 'pg_hone.max_slow_query_length = 1048576', 'pg_hone.max_sample_length = 1048576',
		'pg_hone.max_plan_length = 16777216', 'pg_hone.max_parameter_length = 16384');
	for my $n (1 .. 12)
	{
		run('SELECT a' . ' + 1' x $n . " AS \"" . substr($megabyte, 0, 60) . "\" FROM t WHERE b <> '$megabyte' AND a = $n");
		bound('SELECT a' . ' - 1' x $n . " /* $megabyte */ FROM t WHERE b <> \$1 AND a = 3", [ substr($megabyte, 0, 1024 * $n) ]);
	}
	run("SELECT count(*) FROM t WHERE b <> '$megabyte' AND 1 / (a - a) > 0", '22012');
	die 'no sums' if $look->value('SELECT sum(length(query)) > 0 FROM hone.slow_queries') ne 't';
	die 'no sums' if $look->value('SELECT sum(length(query)) > 0 FROM hone.query_stats') ne 't';
	die 'no sums' if $look->value('SELECT sum(length(query)) > 0 FROM hone.workload_samples') ne 't';
});
is($look->value("SELECT sum(calls), sum(errors) FROM hone.query_stats WHERE username = 'case$case' AND command = 'SELECT'"), '25|1', 'all of them counted');

# --- nesting --------------------------------------------------------------------

check('200 levels of functions', sub { run('SELECT nest(200) AS nested'); run('SELECT nest(200) AS nested'); },
	'SELECT nest($1) AS nested' => '2|0|0|2', '%nest(n - %' => '400|0|0|400', '%count(*) FROM t WHERE a < %' => '2|0|0|2');
check('200 levels that fail in the last', sub { run('SELECT nest_fail(200) AS nested_fail', '22012'); },
	'SELECT nest_fail($1) AS nested_fail' => '0|1|0|0', '%nest_fail(n - %' => '0|200|0|0');
check('levels until the stack ends', sub { run('SELECT nest_fail(1000000) AS endless', '54001'); },
	'SELECT nest_fail($1) AS endless' => '0|1|0|0');
check('5,000 levels of parentheses and operators', sub {
	run('SELECT ' . '(' x 5000 . '1' . ')' x 5000 . ' AS parentheses');
	run('SELECT a' . ' + 1' x 1000 . ' AS sum_of_many FROM t WHERE a = 1');
	$client->query("SELECT a" . ' + 1' x $_ . ' AS sum_of_too_many FROM t') for map { $_ * 1000 } 2 .. 9;
	my $a = $client->query('SELECT ' . 'abs(' x 20_000 . 'a' . ')' x 20_000 . ' AS too_deep FROM t');
	die "got $a->{error}" if $a->{error} !~ /^(54001|42601)$/;
	$a = $client->query('SELECT ' . 'NOT ' x 20_000 . 'true AS too_deep_not');
}, 'SELECT ((((%' => '1|0|0|1', 'SELECT a + $1%AS sum_of_many%' => '1|0|0|1');
check('100 subqueries in each other', sub {
	run('SELECT * FROM ' . '(SELECT * FROM ' x 100 . 't' . ') x' x 100 . ' WHERE a < 4');
	run('SELECT ' . '(SELECT a + ' x 60 . '0' . ' FROM t WHERE a = 1)' x 60 . ' AS sublinks');
}, 'SELECT * FROM (SELECT * FROM (SELECT%' => '1|0|0|3', '%AS sublinks' => '1|0|0|1');

# --- encodings --------------------------------------------------------------------

check('bytes that are no UTF-8', sub {
	run("SELECT '\xFF\xFE' AS bad_text", '22021');
	run("SELECT 'ok \xC3' AS bad_end", '22021');
	bound('SELECT $1::text AS bad_bytes', ["\xE2\x28\xA1"], '22021');
	bound("SELECT \$1::text AS good, 'a\xC3\xA9'", ["\xC3\xA9"]);
	run("\xFF", '22021');
}, '%AS good%' => '1|0|0|1', '%AS bad_%' => '0|0|0|0');
check('client_encoding LATIN1', sub {
	fresh(client_encoding => 'LATIN1');
	run("SELECT '\xE9\xFF' AS latin, a AS \"\xE4\xF6\xFC\" FROM t WHERE a = 1");
	bound("SELECT \$1::text AS latin_value FROM t WHERE a = 1", ["\xE9\xE8"]);
	run("SET client_encoding = 'SQL_ASCII'");
	my $a = $client->query("SELECT '\xFF' AS unchecked");
}, "SELECT \$1 AS latin, a AS \"\xC3\xA4\xC3\xB6\xC3\xBC\"%" => '1|0|0|1', '%AS latin_value%' => '1|0|0|1');
is($look->value(q{SELECT parameters FROM hone.slow_queries WHERE query LIKE '%latin_value%' AND parameters IS NOT NULL}),
	"{\xC3\xA9\xC3\xA8}", 'a value in the encoding of the database');

# --- parameters of all kinds ----------------------------------------------------------

my @kinds = (
	[ 'int', undef ], [ 'pair', '(1,"two words")' ], [ 'pair', '(,)' ], [ 'pair', undef ],
	[ 'pair[]', '{"(1,a)",NULL,"(2,\"b c\")"}' ], [ 'int[]', '{{1,2},{3,NULL}}' ], [ 'int[]', '{}' ],
	[ 'text[]', '{' . join(',', ('z' x 50) x 2000) . '}' ], [ 'int4range', '[1,9)' ], [ 'int4range', 'empty' ],
	[ 'int4multirange', '{[1,2),[5,9)}' ], [ 'daterange[]', '{"[2020-01-01,)"}' ], [ 'positive', '5' ], [ 'positive[]', '{1,2}' ],
	[ 'mood', 'bad' ], [ 'mood[]', '{good,bad}' ], [ 'jsonb', '{"a": [1, {"b": null}]}' ], [ 'json', '[' x 500 . ']' x 500 ],
	[ 'xid', '7' ], [ 'point', '(1,2)' ], [ 'path', '((0,0),(1,1))' ], [ 'bit(5)', '10101' ], [ 'varbit', '' ],
	[ 'char(3)', 'a' ], [ '"char"', '' ], [ 'name', 'n' x 63 ], [ 'regclass', 't' ], [ 'numeric', '1e2000' ], [ 'numeric', 'NaN' ],
	[ 'float8', '-Infinity' ], [ 'timestamptz', 'infinity' ], [ 'interval', '-178000000 years' ], [ 'money', '1' ], [ 'uuid', '00000000-0000-0000-0000-000000000000' ],
	[ 'bytea', '\x00ff00' ], [ 'tsvector', "'a':1 'b':2" ], [ 'inet', '::1' ], [ 'pg_lsn', '0/0' ], [ 'xml', '<a/>' ], [ 'text', '' ], [ 'oidvector', '1 2 3' ]);
my $ran = 0;
check('parameters of all kinds', sub {
	for my $kind (@kinds)
	{
		my ($type, $value) = @$kind;
		my $a = $client->execute("SELECT \$1::$type IS NULL AS a_kind, a FROM t WHERE a = 1", [$value]);
		# (xml may not be built in)
		die "$type: $a->{message}" if $a->{error} && $a->{error} ne '0A000';
		$ran++ unless $a->{error};
		run("PREPARE k($type) AS SELECT a FROM t WHERE a = 2 AND \$1 IS NOT DISTINCT FROM \$1 OR \$1 IS NULL; DEALLOCATE k")
		  unless $type =~ /^(xid|point|path|json|xml)$/;
	}
	run(q{DO $$
DECLARE p pair := (1, 'x'); r record; n int; ps pair[] := ARRAY[p, NULL]; d positive := 3; t1 t; nul pair;
BEGIN
    SELECT 1 AS c, 'd' AS d INTO r;
    SELECT * INTO t1 FROM t WHERE a = 4;
    SELECT t.a INTO n FROM t WHERE t.a = d AND p IS NOT NULL AND ps IS NOT NULL AND nul IS NULL AND t1.a = 4 AND r.c = 1;
    EXECUTE 'SELECT a FROM t WHERE ($1).x = a AND $2 IS NOT NULL AND $3 IS NOT NULL AND $4 IS NULL' INTO n USING p, r, t1, nul;
END $$});
	die "few ran" if $ran < @kinds - 2;
});
is(counted('%AS a_kind, a FROM t%'), "$ran|0|0|$ran", 'each was counted');
is($look->query('SELECT count(*) FROM hone.slow_queries WHERE parameters IS NOT NULL')->{error}, '', 'and can be read');
is($look->query('SELECT count(*), count(parameters::text) FROM hone.workload_samples')->{error}, '', 'samples, too');

# --- cursors ------------------------------------------------------------------------

check('FETCH in pieces', sub {
	run('BEGIN; DECLARE c SCROLL CURSOR FOR SELECT a FROM t WHERE a <= 10 ORDER BY a /* pieces */');
	run('FETCH 3 FROM c'); run('FETCH 3 FROM c'); run('MOVE BACKWARD ALL IN c'); run('FETCH ALL FROM c');
	run('CLOSE c; COMMIT');
	my $a = bound('SELECT a FROM t WHERE a <= 10 AND a >= $1 /* portal */', [1], '', max => 3, pieces => 4);
	die "suspended $a->{suspended}" if $a->{suspended} != 3 || @{ $a->{rows} } != 10;
	bound('SELECT a FROM t WHERE a <= 10 AND a >= $1 /* portal */', [1], '', max => 3);
}, '%/* portal */' => '2|0|0|13');
check('cursors left open at abort', sub {
	for my $hold ('', ' WITH HOLD')
	{
		run("BEGIN; DECLARE c CURSOR$hold FOR SELECT a FROM t WHERE a < 20; FETCH 2 FROM c; ROLLBACK");
		run("BEGIN; DECLARE c CURSOR$hold FOR SELECT a FROM t WHERE a < 20; FETCH 2 FROM c; SELECT 1 / 0", '22012');
		run('ROLLBACK');
		run("BEGIN; SAVEPOINT s; DECLARE c CURSOR$hold FOR SELECT a FROM t WHERE a < 20; FETCH 2 FROM c; ROLLBACK TO s; SELECT 1; COMMIT");
		run("BEGIN; DECLARE c CURSOR$hold FOR SELECT a FROM t WHERE a < 20; SAVEPOINT s; FETCH 2 FROM c; ROLLBACK TO s; FETCH 2 FROM c; RELEASE s; FETCH 1 FROM c; CLOSE c; COMMIT");
		run("BEGIN; DECLARE c CURSOR$hold FOR SELECT 1 / (5 - a) FROM t WHERE a < 20; FETCH 2 FROM c; FETCH 10 FROM c", '22012');
		run('ROLLBACK');
	}
	run('BEGIN; DECLARE h CURSOR WITH HOLD FOR SELECT a FROM t WHERE a < 30; COMMIT');
	run('FETCH 5 FROM h'); run('FETCH ALL FROM h'); run('CLOSE h');
	# fails while it is made to hold, at COMMIT
	run('BEGIN; DECLARE f CURSOR WITH HOLD FOR SELECT 1 / (25 - a) AS held FROM t; COMMIT', '22012');
});
check('cursors that end with their transaction', sub {
	for my $end ('COMMIT', 'ROLLBACK')
	{
		run("BEGIN");
		run("DO 'DECLARE c refcursor; BEGIN FOR i IN 1..50 LOOP c := NULL; OPEN c FOR SELECT a FROM t WHERE a < 40; FETCH c INTO i; END LOOP; END'");
		run($end);
	}
});
is($look->value(qq{
SELECT sum(calls + errors), sum(rows) FROM hone.query_stats
WHERE query LIKE 'SELECT a FROM t WHERE a < %' AND username = 'case$case'}), '100|100',
	'those of a transaction that commits are counted, and those of one that is rolled back');
check('cursors that end out of order, with frames of others between', sub {
	run('BEGIN');
	run("DECLARE c$_ CURSOR FOR SELECT a AS out_of_order FROM t WHERE a <= 4") for 1 .. 60;
	run("FETCH 1 FROM c$_") for 1 .. 60;
	run("FETCH 9 FROM c$_; CLOSE c$_") for grep { $_ % 2 } 1 .. 60;
	run('SAVEPOINT s'); run("FETCH 1 FROM c$_") for grep { !($_ % 2) } 1 .. 60; run('ROLLBACK TO s');
	run("FETCH 1 FROM c2"); run('COMMIT');
});
check('a portal left open when the client goes away', sub {
	my $c = HoneWire->connect($node);
	$c->query('BEGIN; DECLARE c CURSOR FOR SELECT a FROM t; FETCH 1 FROM c');
	$c->close_now;
	$c = HoneWire->connect($node);
	$c->send_bytes(HoneWire::message('Q', "SELECT a, pg_sleep(0.001) AS gone FROM t WHERE a < 50\0"));
	$c->close_now;
});

# --- errors in every stage -----------------------------------------------------------

check('errors before execution', sub {
	run('SELEC 1', '42601'); run('SELECT nothing FROM t', '42703'); run('SELECT 1 / 0 AS planned', '22012');
	run('SELECT * FROM nothing', '42P01'); run("SELECT 'a'::int AS analysed", '22P02'); run('', ''); run(';;;', '');
	run('SELECT $1', '42P02'); run('COMMIT PREPARED \'nothing\'', '42704'); run('EXECUTE nothing', '26000');
	run('FETCH 1 FROM nothing', '34000'); run('BEGIN; SELECT nothing', '42703'); run('SELECT 1', '25P02'); run('ROLLBACK');
	run('SELECT 1; SELECT nothing; SELECT 2', '42703');
});
check('permission denied', sub {
	fresh(user => 'nobody_much'); run('SELECT count(*) AS denied FROM t', '42501'); run('SET pg_hone.enabled = off', '42501'); run('VACUUM t'); fresh();
});
check('errors in the executor', sub {
	run("SELECT 1 / (a - 3) AS divided FROM t WHERE a < 10", '22012') for 1 .. 3;
	bound('SELECT 1 / (a - $1) AS divided_too FROM t', [4], '22012') for 1 .. 2;
	bound('SELECT 1 / (a - $1) AS pieces_fail FROM generate_series(1, 20) a', [7], '22012', max => 3, pieces => 4);
	run('INSERT INTO t SELECT a FROM t WHERE a = 1 /* duplicate */', '23505');
	run('UPDATE t SET a = a + 1 WHERE a < 5 /* duplicate */', '23505');
}, 'SELECT $1 / (a - $2) AS divided FROM t%' => '0|3|0|0', '%AS divided_too%' => '0|2|0|0', 'INSERT INTO t SELECT%/* duplicate */' => '0|1|0|0',
	'UPDATE t SET%/* duplicate */' => '0|1|0|0', '%AS pieces_fail%' => '0|1|0|6');
check('errors in triggers, after the statement and at COMMIT', sub {
	run('INSERT INTO after_row SELECT -1 /* after */', 'P0001') for 1 .. 2;
	run('INSERT INTO deferred SELECT -1 /* deferred */', 'P0001');
	run('BEGIN; INSERT INTO deferred SELECT -1 /* deferred */'); run('COMMIT', 'P0001');
	run('BEGIN; INSERT INTO key SELECT 1 /* key */; INSERT INTO key SELECT 1 /* key */'); run('COMMIT', '23505');
	run('BEGIN; INSERT INTO deferred SELECT -1 /* deferred */'); run('SET CONSTRAINTS ALL IMMEDIATE', 'P0001'); run('ROLLBACK');
}, '%/* after */' => '0|2|0|2', '%/* deferred */' => '3|0|0|3', '%/* key */' => '2|0|0|2');
check('errors caught in PL/pgSQL', sub {
	run(q{DO $$ BEGIN FOR i IN 1..100 LOOP
	BEGIN PERFORM 1 / (a - a) AS caught FROM t WHERE a = i; EXCEPTION WHEN division_by_zero THEN NULL; END;
	BEGIN INSERT INTO t SELECT i, 'caught'; EXCEPTION WHEN unique_violation THEN PERFORM a AS handled FROM t WHERE a = i; END;
	END LOOP; END $$});
}, '%AS caught FROM t%' => '0|100|0|0', '%AS handled FROM t%' => '100|0|0|100', "INSERT INTO t SELECT i%" => '0|100|0|0');
check('cancelled and timed out', sub {
	run("SET statement_timeout = '40ms'");
	run('SELECT pg_sleep(5) AS timed_out', '57014');
	run('SELECT count(*) AS timed_out_loop FROM generate_series(1, 1000000000)', '57014');
	run("DO 'BEGIN PERFORM pg_sleep(5) AS timed_inside; END'", '57014');
	run(q{DO $$ BEGIN BEGIN PERFORM pg_sleep(5) AS timed_caught; EXCEPTION WHEN query_canceled THEN NULL; END; END $$});
	run('RESET statement_timeout');
	my $c = HoneWire->connect($node, user => "case$case");
	$c->send_bytes(HoneWire::message('Q', "SELECT pg_sleep(50) AS cancelled\0"));
	$look->value("SELECT pg_sleep(0.01)") until $look->value("SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%AS cancelled' AND wait_event = 'PgSleep'");
	$look->value("SELECT pg_cancel_backend($c->{pid})");
	die if $c->answer->{error} ne '57014';
	$other->value('BEGIN; LOCK TABLE t');
	run("SET lock_timeout = '30ms'"); run('SELECT count(*) AS no_lock FROM t', '55P03'); run('RESET lock_timeout');
	$other->value('ROLLBACK');
}, '%AS timed_out_loop%' => '0|1|1|0', '%pg_sleep($1)%' => '0|4|4|0');
check('a backend that is terminated', sub {
	my $c = HoneWire->connect($node, user => "case$case");
	$c->query("SELECT 'before' AS end_of_backend");
	$c->send_bytes(HoneWire::message('Q', "SELECT pg_sleep(50) AS terminated\0"));
	$look->value("SELECT pg_sleep(0.01)") until $look->value("SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%AS terminated' AND wait_event = 'PgSleep'");
	$look->value("SELECT pg_terminate_backend($c->{pid}, 5000)");
	die if $c->answer->{error} ne '57P01';
}, '%AS end_of_backend' => '1|0|0|1');

# --- transactions ---------------------------------------------------------------------

check('savepoints', sub {
	run('BEGIN');
	for my $i (1 .. 100) { run("SAVEPOINT s$i"); run('SELECT a AS in_savepoint FROM t WHERE a = 1'); }
	run('SELECT 1 / (a - a) AS fail_in_savepoint FROM t', '22012'); run('ROLLBACK TO s50');
	run('SELECT a AS in_savepoint FROM t WHERE a = 1'); run('RELEASE s20'); run('COMMIT');
}, '%AS in_savepoint%' => '101|0|0|101', '%AS fail_in_savepoint%' => '0|1|0|0');
check('prepared statements come and go', sub {
	run('PREPARE p(int) AS SELECT b AS p_row FROM t WHERE a = $1');
	run('EXECUTE p(1)') for 1 .. 8;
	run('DEALLOCATE ALL'); run('EXECUTE p(1)', '26000');
	run('PREPARE p(int) AS SELECT b AS p_row FROM t WHERE a = $1'); run('EXECUTE p(2)');
	run('ALTER TABLE t ADD COLUMN new int'); run('EXECUTE p(2)'); run('ALTER TABLE t DROP COLUMN new');
	run('DISCARD ALL'); run('EXECUTE p(1)', '26000');
	$client->send_bytes(HoneWire::parse_message('named', 'SELECT a AS named FROM t WHERE a = $1') . HoneWire::sync());
	$client->answer;
	for (1 .. 7) { $client->send_bytes(HoneWire::bind_message('', 'named', [$_]) . HoneWire::execute_message('') . HoneWire::sync()); $client->answer; }
	# several in one go before a sync: one fails, the rest is skipped
	$client->send_bytes(join('', map { HoneWire::parse_message('', $_) . HoneWire::bind_message('', '', []) . HoneWire::execute_message('') }
			'SELECT 1 AS pipeline', 'SELECT 1 AS pipeline', 'SELECT 1 / (a - a) AS pipeline_fail FROM t', 'SELECT 1 AS pipeline') . HoneWire::sync());
	die if $client->answer->{error} ne '22012';
}, '%SELECT b AS p_row%' => '10|0|0|10', '%AS named FROM t%' => '7|0|0|7', 'SELECT $1 AS pipeline' => '2|0|0|2', '%AS pipeline_fail%' => '0|1|0|0');
check('two-phase commit', sub {
	run("BEGIN; INSERT INTO after_row SELECT 1 /* 2pc */; DECLARE c CURSOR FOR SELECT a FROM t; FETCH 1 FROM c; PREPARE TRANSACTION 'x'");
	run("COMMIT PREPARED 'x'");
	run("BEGIN; INSERT INTO after_row SELECT 2 /* 2pc */; PREPARE TRANSACTION 'y'"); run("ROLLBACK PREPARED 'y'");
	run("BEGIN; INSERT INTO deferred SELECT -1 /* 2pc deferred */; PREPARE TRANSACTION 'z'", 'P0001');
}, '%/* 2pc */' => '2|0|0|2', '%/* 2pc deferred */' => '1|0|0|1');
check('procedures that commit and roll back', sub {
	run('CALL commits(11)'); run("DO 'BEGIN CALL commits(4); COMMIT; CALL commits(3); ROLLBACK; END'");
	run('CALL loops(10)'); run('BEGIN; CALL commits(3)', '2D000'); run('ROLLBACK');
}, 'INSERT INTO after_row VALUES (i)%' => '19|0|0|19', 'UPDATE t SET b = %WHERE a = r.a' => '10|0|0|10');

# --- the rest ---------------------------------------------------------------------------

check('parallel queries', sub {
	run('SET max_parallel_workers_per_gather = 2');
	run('SELECT b, count(*) AS parallel FROM big GROUP BY b') for 1 .. 3;
	run('SELECT sum(1 / (a - 19999)) AS parallel_fail FROM big', '22012');
	run("SET statement_timeout = '30ms'"); run('SELECT count(*) AS parallel_timeout FROM big x, big y WHERE x.a % 7 < y.a % 3', '57014'); run('RESET statement_timeout');
	run('BEGIN; DECLARE c CURSOR FOR SELECT a FROM big WHERE a % 2 = 0; FETCH 5 FROM c; COMMIT');
}, '%AS parallel FROM big%' => '3|0|0|30', '%AS parallel_fail%' => '0|1|0|0', '%AS parallel_timeout%' => '0|1|1|0');
check('COPY', sub {
	$client->{copy_in} = join('', map { "$_\n" } 1 .. 5); run('COPY after_row FROM STDIN');
	$client->{copy_in} = "-1\n"; run('COPY after_row FROM STDIN', 'P0001');
	$client->{copy_in} = "no number\n"; run('COPY after_row FROM STDIN', '22P02');
	die if @{ run('COPY (SELECT a AS copied FROM t WHERE a < 6) TO STDOUT')->{rows} } != 5;
	run('COPY (SELECT 1 / (5 - a) AS copy_fails FROM t WHERE a < 6) TO STDOUT', '22012');
	run('COPY (INSERT INTO after_row SELECT 3 /* copied */ RETURNING a) TO STDOUT');
	# (a command's tag is its text)
}, 'COPY' => '3|3|0|11');
check('LISTEN and NOTIFY, DO, EXPLAIN', sub {
	run('LISTEN x; NOTIFY x, \'y\''); run('UNLISTEN *');
	run("DO 'BEGIN END'"); run("DO 'BEGIN RAISE EXCEPTION ''x''; END'", 'P0001');
	run('EXPLAIN SELECT a AS explained FROM t'); run('EXPLAIN ANALYZE SELECT a AS explained FROM t WHERE a < 3');
	run('EXPLAIN ANALYZE SELECT 1 / (a - a) AS explain_fails FROM t', '22012');
}, 'LISTEN' => '1|0|0|0', 'NOTIFY' => '1|0|0|0');
check('SQL functions, inline and not', sub {
	run('SELECT count(*) AS f FROM inlined(1)'); run('SELECT * FROM not_inlined(3) AS f'); run('SELECT lazy() AS lazy LIMIT 3');
	run('SELECT count(*) AS g FROM t x, LATERAL inlined(x.a) WHERE x.a < 10'); run('SELECT a, (SELECT b FROM not_inlined(a)) AS per_row FROM t WHERE a < 11');
}, 'UPDATE t SET b = b WHERE a = $1 RETURNING *' => '11|0|0|11', '%AS lazy LIMIT%' => '1|0|0|3');
check('many tables made and dropped', sub {
	run("CREATE TEMP TABLE temporary AS SELECT a FROM t WHERE a < 5; SELECT count(*) AS temporary_rows FROM temporary; DROP TABLE temporary") for 1 .. 20;
	run('BEGIN; CREATE TABLE rolled_back AS SELECT a FROM t; SELECT count(*) FROM rolled_back; ROLLBACK');
});

check('switched off and on inside of statements', sub {
	for my $setting ("'pg_hone.enabled', '%s'", "'pg_hone.track', '%s'")
	{
		my ($off, $on) = map { sprintf $setting, $_ } $setting =~ /track/ ? ('none', 'all') : ('off', 'on');
		run("SELECT set_config($off, false), nest(3)"); run("SELECT nest(3), set_config($on, false)");
		run("DO \$\$ BEGIN PERFORM set_config($off, false); PERFORM nest(2); PERFORM set_config($on, false); PERFORM nest(2); END \$\$");
		run('BEGIN'); open_portal('c', 'SELECT a FROM t WHERE a > 1');
		run("FETCH 2 FROM c; SELECT set_config($off, true); FETCH 2 FROM c; CLOSE c; COMMIT; SELECT 1");
		run("SELECT set_config($off, false); BEGIN"); open_portal('c', 'SELECT a FROM t WHERE a < 99');
		run("FETCH 2 FROM c; SELECT set_config($on, false); FETCH 2 FROM c; COMMIT");
		run("SELECT set_config($off, false), 1 / (a - a) FROM t", '22012'); run("SELECT a, 1 / (a - 2), set_config($off, false) FROM t", '22012');
		run("DO \$\$ BEGIN BEGIN PERFORM set_config($off, false), nest_fail(5); EXCEPTION WHEN OTHERS THEN PERFORM set_config($on, false), nest(1); END; END \$\$");
		run("SELECT set_config($on, false)");
	}
	run('SELECT nest(4) + 1 AS switched_back');
}, 'SELECT a FROM t WHERE a > %' => '2|0|0|8', '%AS switched_back' => '1|0|0|1');

# Every setting of ours that a session may change, to its extremes, while four
# clients run: each value with an ordinary, a failing and a nested statement.
my @settings = map { [ split /\|/, $_, -1 ] } split /\n/, $look->value(q{
SELECT name, vartype, coalesce(min_val, ''), coalesce(max_val, ''), coalesce(array_to_string(enumvals, ','), ''), context
FROM pg_settings WHERE name LIKE 'pg\_hone.%' AND context IN ('user', 'superuser') ORDER BY name});
cmp_ok(scalar(@settings), '>', 10, scalar(@settings) . ' settings');
my $load = IPC::Run::start(
	[ 'pgbench', '-n', '-c', '3', '-T', '2', '-M', 'prepared', '-f', '-', '-U', 'case0', '-h', $node->host, '-p', $node->port, 'postgres' ],
	'<', \"SELECT a AS in_the_load FROM t WHERE a = 1;\nSELECT nest(3);\n", '>', \(my $out), '2>', \(my $err));
my $set = 0;
for my $setting (@settings)
{
	my ($name, $type, $min, $max, $enum) = @$setting;
	my @values = $type eq 'bool' ? ('off', 'on') : $type eq 'enum' ? split(/,/, $enum)
	  : $type eq 'string' ? ('', 'x' x 2000, '{', '1,2,3', "a'b") : ($min, $max);
	check("$name: @{[ map { substr($_, 0, 20) } @values ]}", sub {
		for my $value (@values)
		{
			my $a = $client->query("SET $name = '" . ($value =~ s/'/''/gr) . "'");
			# a string may be refused
			die "$value: $a->{message}" if $a->{error} && $type ne 'string';
			$client->query('SELECT count(*), nest(5) AS extreme FROM t WHERE a < 10');
			$client->query("SELECT 'new $set' || b" . ' || 1' x $set++ . ' AS extreme FROM t WHERE a < 3');
			$client->query('SELECT 1 / (a - a) AS extreme FROM t');
			$client->execute('SELECT b AS extreme FROM t WHERE a = $1 AND b <> $2', [ 5, 'z' x 3000 ]);
			$client->query("SET LOCAL $name = DEFAULT; BEGIN; SET LOCAL $name TO DEFAULT; SELECT a AS extreme FROM t WHERE a = 2; ROLLBACK");
			$look->query("SELECT count(*) FROM hone.$_") for ('query_stats', 'slow_queries', 'workload_samples', 'query_stats_info');
		}
		# reset inside a function, with statements of the old setting around
		$client->query("RESET $name");
		$client->query("DO \$\$ BEGIN PERFORM set_config('$name', boot_val, false) FROM pg_settings WHERE name = '$name'; PERFORM a FROM t WHERE a = 6; END \$\$");
		$client->query("RESET $name");
	});
	for my $value (@values)
	{
		next if $type eq 'string';
		my ($past) = $type eq 'integer' || $type eq 'real' ? ($value eq $min ? $min - 1 : $max + 1) : ('nonsense');
		my $a = $client->query("SET $name = '$past'");
		is($a->{error}, '22023', "$name = $past is refused");
	}
}
$load->finish;
my ($transactions) = $out =~ /transactions actually processed: (\d+)/;
my $next_case = $case;
$case = 0;
is(counted('SELECT a AS in_the_load%'), "$transactions|0|0|$transactions", "the load of $transactions transactions was counted");
$case = $next_case;

# Raw protocol: what is no message, at all stages.
for my $garbage ("\0\0\0\0", "\xFF" x 100, pack('N', 8) . 'xx', pack('NN', 8, 80877103), HoneWire::message('Q', 'no terminator'), "Q\xFF\xFF\xFF\xFF", "Q\0\0\0\1")
{
	my $c = HoneWire->connect($node);
	$c->send_bytes($garbage);
	$c->close_now;
}
check('garbage instead of messages', sub { run('SELECT 1'); });

# SQL_ASCII: bytes as they come, and what others see of them.
$look->value(q{CREATE DATABASE ascii TEMPLATE template0 ENCODING 'SQL_ASCII' LOCALE 'C'});
my $ascii = HoneWire->connect($node, dbname => 'ascii', client_encoding => 'SQL_ASCII');
$ascii->value('CREATE EXTENSION pg_hone; CREATE TABLE t AS SELECT 1 AS a');
is($ascii->query("SELECT a, '\xFF\xFE\xC3' AS \"\xE9\xFF\" FROM t")->{error}, '', 'bytes of no encoding');
is($ascii->execute("SELECT a FROM t WHERE \$1 <> '\x80' /* \xFF */", ["\xFF\x80"])->{error}, '', 'in values');
is($ascii->query("SELECT 1 / (a - a), '" . "\xFF" x 100_000 . "' FROM t")->{error}, '22012', 'in a failing one');
is($ascii->query("SET application_name = '\xFF\xFE'; SELECT pg_sleep(0.001) AS named FROM t")->{error}, '', 'in a name');
for my $view ('query_stats', 'slow_queries', 'workload_samples', 'workload', 'query_history')
{
	is($look->query("SELECT count(x::text) FROM hone.$view x")->{error}, '', "hone.$view can be read in a UTF8 database");
	is($ascii->query("SELECT count(x::text) FROM hone.$view x")->{error}, '', "hone.$view can be read in an SQL_ASCII database");
}
is($ascii->query('SELECT hone.collect_query_stats(), hone.collect()')->{error}, '', 'collected');
is($ascii->value('SELECT count(*) FROM hone.collector_status WHERE failures > 0'), 0, 'without failures');
is($look->query('SELECT hone.collect_query_stats(), hone.collect()')->{error}, '', 'the other, too');
is($look->value(q{SELECT string_agg(step || ': ' || last_error, ', ') FROM hone.collector_status WHERE failures > 0}), '', 'without failures');
check('after all that', sub { run('SELECT 1 + 1'); });

$node->stop;
my $log = slurp_file($node->logfile);
unlike($log, qr/PANIC|TRAP:|terminated by signal|stuck spinlock/, 'no crash');
unlike($log, qr/WARNING:.*(leak|reference)/i, 'nothing leaked');
done_testing();
