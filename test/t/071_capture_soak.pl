# Memory stays flat: one backend runs many mixed statements (shapes, errors
# caught in PL/pgSQL, prepared statements, cursors, subtransactions, temporary
# tables); what its memory contexts and its process take after the first part is
# what they take at the end, but for a small bound. Shared memory stays within
# what was set. HONE_SOAK multiplies the second part.
use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use HoneWire;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $times = $ENV{HONE_SOAK} || 1;
my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->append_conf('postgresql.conf', q{
shared_preload_libraries = 'pg_hone'
pg_hone.max_queries = 500
pg_hone.max_sampled_queries = 100
pg_hone.slow_query_ms = 0
pg_hone.slow_plan_ms = 0
pg_hone.slow_query_rate_limit = 0
pg_hone.slow_log_entries = 500
pg_hone.shared_memory = 8MB
pg_hone.collect_interval = 3600
fsync = off
autovacuum = off
temp_buffers = 800kB
});
$node->start;
my $look = HoneWire->connect($node, options => '-c pg_hone.enabled=off');
my $client = HoneWire->connect($node);
$look->value($_) for (split /;;\n/, q{
CREATE EXTENSION pg_hone;;
CREATE TABLE t (a int PRIMARY KEY, b text);;
INSERT INTO t SELECT i, 'b' || i FROM generate_series(1, 200) i;;
ANALYZE;;
CREATE TABLE w (a int);;
CREATE FUNCTION nest(n int) RETURNS bigint LANGUAGE plpgsql AS $$ BEGIN IF n = 0 THEN RETURN 1; END IF; RETURN (SELECT nest(n - 1) + 1 FROM t WHERE a = 1); END $$;;
CREATE PROCEDURE mixed(first int, n int) LANGUAGE plpgsql AS $$
DECLARE
    e text; x int; r record; c refcursor;
BEGIN
    FOR i IN first .. first + n - 1 LOOP
        -- a query that nobody ran before
        e := '';
        FOR bit IN 0 .. 14 LOOP
            e := e || CASE WHEN (i >> bit) & 1 = 1 THEN ' + a' ELSE ' - a' END;
        END LOOP;
        EXECUTE 'SELECT a' || e || ' FROM t WHERE a = $1 AND b <> $2' USING i % 200, repeat('v', i % 900);
        BEGIN
            EXECUTE 'SELECT 1 / (a - a)' || e || ' FROM t';
        EXCEPTION WHEN division_by_zero THEN NULL;
        END;
        -- queries that run all the time: named variables, failures, loops
        SELECT a INTO x FROM t WHERE a = i % 200;
        BEGIN
            INSERT INTO t SELECT 1, 'again';
        EXCEPTION WHEN unique_violation THEN NULL;
        END;
        FOR r IN SELECT a, b FROM t WHERE a < 5 LOOP
            EXIT WHEN r.a = 2;
        END LOOP;
        c := NULL;
        OPEN c FOR SELECT a FROM t WHERE a > i % 100;
        FETCH c INTO x;
        IF i % 2 = 0 THEN
            CLOSE c;
        END IF;
        IF i % 50 = 0 THEN
            PERFORM nest(30);
            INSERT INTO w VALUES (i);
            COMMIT;
        ELSIF i % 50 = 25 THEN
            ROLLBACK;
        END IF;
    END LOOP;
END $$});

# What comes over the wire, a piece of each kind.
sub over_the_wire
{
	my ($n) = @_;
	$client->query('PREPARE p(int, text) AS SELECT a, b FROM t WHERE a = $1 OR b = $2') if $n % 50 == 0;
	$client->query("EXECUTE p($n, 'b$n')");
	$client->execute('SELECT a FROM t WHERE a < $1 AND b <> $2', [ $n % 200, 'v' x ($n % 2000) ], max => 3, pieces => 2);
	$client->query("BEGIN; DECLARE c CURSOR FOR SELECT * FROM t; FETCH 3 FROM c; SAVEPOINT s; SELECT 1 / (a - a) FROM t");
	$client->query($n % 3 ? 'ROLLBACK' : 'ROLLBACK TO s; FETCH 2 FROM c; COMMIT');
	$client->query("DECLARE h CURSOR WITH HOLD FOR SELECT a FROM t WHERE a < $n; FETCH 3 FROM h; CLOSE h; SELECT nothing FROM t");
	$client->query("CREATE TEMP TABLE tt AS SELECT a FROM t; SELECT count(*) FROM tt; DROP TABLE tt") if $n % 10 == 0;
	$client->query("SELECT $n AS a, '" . ('c' x (10 * ($n % 700))) . "' || b FROM t WHERE a = 1; SELEC; SELECT 2");
	$client->query('DEALLOCATE p') if $n % 50 == 49;
	$client->query('DISCARD ALL') if $n % 200 == 199;
	$client->query("SET pg_hone.max_query_length = " . (64 + $n % 1000)) if $n % 20 == 0;
}

my $shape = 0;
sub part
{
	my ($loops) = @_;
	for (1 .. $loops)
	{
		my $a = $client->query("CALL mixed($shape, 100)");
		die "$a->{message}" if $a->{error};
		$shape += 100;
		over_the_wire($_) for $shape / 100 * 10 .. $shape / 100 * 10 + 9;
		# Readers, too. (Another backend: the results of a few megabytes that a
		# reader sorts leave its heap as large as it once was.)
		$look->query("SELECT count(*) FROM hone.$_") for ('query_stats', 'slow_queries', 'workload', 'slow_queries_info');
	}
}

sub contexts
{
	$client->query('DISCARD ALL');
	return $client->value('SELECT sum(total_bytes) FROM pg_backend_memory_contexts');
}
sub own_context
{
	return $client->value(q{SELECT coalesce(sum(total_bytes), 0) FROM pg_backend_memory_contexts WHERE name LIKE '%hone%'});
}
# Private, unshared memory of the process in kB.
sub process_kb
{
	my $status = -r "/proc/$client->{pid}/status" ? slurp_file("/proc/$client->{pid}/status") : '';
	return $status =~ /^RssAnon:\s+(\d+)/m ? $1 : undef;
}

# (temporary tables' buffers are taken as they are needed, and kept: all of them now)
$client->value("CREATE TEMP TABLE tt AS SELECT repeat('x', 1000) FROM generate_series(1, 2000); DROP TABLE tt");
part(10);
my ($bytes, $kb, $own) = (contexts(), process_kb(), own_context());
my $first = $shape;
part(30 * $times);
my ($more_bytes, $more_kb, $more_own) = (contexts(), process_kb(), own_context());
if ($ENV{HONE_SOAK})
{
	note $client->value('SELECT name, ident, total_bytes, used_bytes FROM pg_backend_memory_contexts ORDER BY total_bytes DESC LIMIT 12');
}
my $statements = $look->value('SELECT sum(calls + errors) FROM hone.query_stats');
note "$statements statements; contexts $bytes, then $more_bytes; process $kb kB, then $more_kb kB; own contexts $own, then $more_own";
cmp_ok($statements, '>', 20_000, 'that were more than 20,000 executions');
cmp_ok($more_bytes - $bytes, '<', 64 * 1024, 'memory contexts grow by less than 64 kB');
cmp_ok($more_own - $own, '<=', 16 * 1024, 'those of ours do not grow');
SKIP:
{
	skip 'no /proc', 1 unless defined $kb && defined $more_kb;
	cmp_ok($more_kb - $kb, '<', 512, 'the process grows by less than 512 kB');
}

is($look->value(q{
SELECT entries <= max_entries, max_entries BETWEEN 500 AND 600, texts <= 5000, evictions > 1000,
       fixed_memory_bytes < 64 * 1024 * 1024, arena_bytes <= 8 * 1024 * 1024
FROM hone.query_stats_info}),
	't|t|t|t|t|t', 'statistics stay within their memory');
is($look->value('SELECT entries <= 500, memory_bytes < 4 * 1024 * 1024 FROM hone.slow_queries_info'), 't|t', 'the slow log does');
is($look->value('SELECT queries <= 128, samples <= 6 * queries, memory_bytes < 4 * 1024 * 1024 FROM hone.workload_info'), 't|t|t', 'samples do');

# What is freed can be used again: after a reset the arena takes as much as at first.
$look->value('SELECT hone.reset_query_stats()');
$client->value("SELECT a + 1 AS after_reset_$_ FROM t WHERE a = $_") for 1 .. 20;
is($look->value(q{SELECT count(*) FROM hone.query_stats WHERE query IS NULL AND queryid <> 0 AND calls > 0}), 0, 'texts find room again');

$node->stop;
unlike(slurp_file($node->logfile), qr/PANIC|TRAP:|terminated by signal|leak:|reference leak/, 'no crash, no leaked reference');
done_testing();
