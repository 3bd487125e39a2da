# Errors, tables read, nested queries and latencies by table are bounded: what
# does not fit is in the row of the evicted, and the totals are what happened. A
# crash empties them; a standby has its own.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init(allows_streaming => 1);
$node->append_conf('postgresql.conf', q{
shared_preload_libraries = 'pg_hone'
pg_hone.max_queries = 100
restart_after_crash = on
max_parallel_workers_per_gather = 0
});
$node->start;
$node->safe_psql('postgres', q{
CREATE EXTENSION pg_hone;
CREATE TABLE t (a int);
INSERT INTO t VALUES (0), (1);
-- runs a statement of a shape of its own for each pair, nested
CREATE FUNCTION many(n int, m int, extra text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    FOR i IN 1..n LOOP
        FOR j IN 1..m LOOP
            EXECUTE 'SELECT a' || repeat(', a', i) || repeat(' + a', j) || ' FROM t' || extra;
        END LOOP;
    END LOOP;
END $$;
CREATE FUNCTION tables(n int, prefix text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    FOR i IN 1..n LOOP
        EXECUTE format('CREATE TABLE %s%s (a int)', prefix, i);
        EXECUTE format('INSERT INTO %s%s VALUES (1)', prefix, i);
        EXECUTE format('SELECT a FROM %s%s', prefix, i);
    END LOOP;
END $$;
});

# 700 failing queries of different shapes.
$node->safe_psql('postgres', 'SELECT hone.reset_query_stats()');
my $failing = join('', map { my $i = $_; map { "SELECT 1 / a" . ', a' x $i . ' + a' x $_ . " FROM t;\n" } 1 .. 28 } 1 .. 25);
$node->psql('postgres', $failing, on_error_stop => 0);
is($node->safe_psql('postgres', q{SELECT sum(errors) FROM hone.query_errors WHERE sqlstate = '22012' OR query = '<other>'}),
	'700', 'every error is in a row or in the sum of the evicted');
is($node->safe_psql('postgres', q{
SELECT errors > 300, userid IS NULL AND sqlstate IS NULL AND queryid IS NULL,
       last_seen > now() - interval '1 hour' AND last_seen <= clock_timestamp()
FROM hone.query_errors WHERE query = '<other>'}),
	't|t|t', 'the evicted are one row, with the last of their times');
is($node->safe_psql('postgres', q{
SELECT error_entries <= 256, error_entries + error_evictions
FROM hone.query_stats_info}), 't|700', 'the table is bounded and says so');
is($node->safe_psql('postgres', q{
SELECT sum(errors) FROM hone.query_stats}), '700', 'as many as the queries have');

# 1200 nested queries that read two rows of one table each.
$node->safe_psql('postgres', 'SELECT hone.reset_query_stats()');
$node->safe_psql('postgres', q{SELECT many(30, 40, '')});
is($node->safe_psql('postgres', q{SELECT sum(calls), sum(rows) FROM hone.nested_queries}),
	'1200|2400', 'every nested query is counted for its statement');
is($node->safe_psql('postgres', q{
SELECT sum(executions), sum(seq_rows_read), sum(rows_read), sum(rows_returned)
FROM hone.query_tables WHERE table_name = 'public.t' OR query = '<other>'}),
	'1200|2400|2400|2400', 'and what it read of the table');
is($node->safe_psql('postgres', q{
SELECT nested_entries <= 128, nested_evictions > 1000, table_entries <= 256, table_evictions > 900
FROM hone.query_stats_info}), 't|t|t|t', 'both are bounded');
is($node->safe_psql('postgres', q{
SELECT calls, errors FROM hone.table_latency WHERE table_name = 'public.t' AND command = 'SELECT'}),
	'1200|0', 'the table has its latency, whatever became of its queries');
is($node->safe_psql('postgres', q{
SELECT max(count) FROM hone.table_latency_histogram('t', 'SELECT')}), '1200', 'and its histogram');

# The same by eight backends at once, each evicting the others' rows.
$node->safe_psql('postgres', q{
CREATE FUNCTION one(n int) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE 'SELECT a' || repeat(', a', n / 20) || repeat(' + a', n % 20) || ' FROM t';
    BEGIN
        EXECUTE 'SELECT 1 / a' || repeat(', a', n / 20) || repeat(' + a', n % 20) || ' FROM t';
    EXCEPTION WHEN division_by_zero THEN NULL;
    END;
END $$;
SELECT hone.reset_query_stats()});
my $script = $node->basedir . '/many.sql';
append_to_file($script, "\\set n random(0, 599)\nSELECT one(:n);\n");
$node->command_ok([ 'pgbench', '-n', '-c', '8', '-t', '250', '-f', $script, 'postgres' ], 'load');
is($node->safe_psql('postgres', q{
SELECT (SELECT (sum(calls), sum(errors)) FROM hone.nested_queries),
       (SELECT sum(executions) FROM hone.query_tables WHERE table_name = 'public.t' OR query = '<other>'),
       (SELECT (sum(calls), sum(errors)) FROM hone.table_latency WHERE table_name = 'public.t'),
       (SELECT sum(errors) FROM hone.query_errors WHERE sqlstate = '22012' OR query = '<other>')}),
	'(2000,2000)|4000|(2000,2000)|2000', 'nothing is lost between eight backends');
is($node->safe_psql('postgres', q{
SELECT error_evictions > 0 AND nested_evictions > 0 AND table_evictions > 0
FROM hone.query_stats_info}), 't', 'while all were evicting');

# More tables than have a latency of their own.
$node->safe_psql('postgres', 'SELECT hone.reset_query_stats()');
$node->safe_psql('postgres', q{SELECT tables(400, 'many')});
is($node->safe_psql('postgres', q{
SELECT sum(calls) FROM hone.table_latency WHERE command IS NULL OR table_name LIKE 'public.many%'}),
	'800', 'two statements on each of 400 tables are counted');
is($node->safe_psql('postgres', q{
SELECT table_name, calls > 100, p50_ms > 0 AND p50_ms <= p99_ms, total_exec_ms >= p99_ms
FROM hone.table_latency WHERE relid IS NULL}), '<other>|t|t|t', 'the evicted are one row');
is($node->safe_psql('postgres', q{
SELECT latency_entries <= 512, latency_entries + latency_evictions >= 800
FROM hone.query_stats_info}), 't|t', 'they are bounded too');

# What is forgotten, and what stays.
$node->safe_psql('postgres', 'CREATE DATABASE elsewhere');
$node->safe_psql('elsewhere', 'CREATE EXTENSION pg_hone; CREATE TABLE e (a int); INSERT INTO e VALUES (1); SELECT * FROM e');
is($node->safe_psql('postgres', q{
SELECT count(*) > 0, count(table_name) FROM hone.table_latency WHERE datname = 'elsewhere'}),
	't|0', 'tables of another database have no name here');
is($node->safe_psql('elsewhere', q{
SELECT DISTINCT table_name FROM hone.table_latency WHERE datname = 'elsewhere' AND table_name = 'public.e'}),
	'public.e', 'but there');
$node->safe_psql('postgres', q{SELECT hone.reset_query_stats(dbid => (SELECT oid FROM pg_database WHERE datname = 'elsewhere'))});
is($node->safe_psql('postgres', q{
SELECT (SELECT count(*) FROM hone.table_latency WHERE datname = 'elsewhere')
     + (SELECT count(*) FROM hone.query_tables WHERE datname = 'elsewhere'),
       (SELECT count(*) > 0 FROM hone.table_latency WHERE datname = 'postgres')}),
	'0|t', 'a database is forgotten, the others stay');
$node->safe_psql('postgres', 'SELECT hone.reset_query_stats()');
is($node->safe_psql('postgres', q{
SELECT error_entries, error_evictions, nested_evictions, latency_evictions
FROM hone.query_stats_info}), '0|0|0|0', 'a reset clears the sums too');

# A standby counts for itself; a crash loses what was counted, and no more.
$node->safe_psql('postgres', 'SELECT a FROM t');
$node->backup('backup');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($node, 'backup', has_streaming => 1);
$standby->start;
$standby->psql('postgres', 'SELECT 1 / a FROM t');
is($standby->safe_psql('postgres', q{
SELECT (SELECT sum(errors) FROM hone.query_errors WHERE sqlstate = '22012'),
       (SELECT sum(executions) FROM hone.query_tables WHERE table_name = 'public.t')}),
	'1|1', 'a standby counts its own');
$standby->stop;

my $psql = $node->background_psql('postgres');
my $pid = $psql->query('SELECT pg_backend_pid()');
kill 'KILL', $pid;
eval { $psql->quit };
$node->poll_query_until('postgres', 'SELECT true');
$node->psql('postgres', 'SELECT 1 / a FROM t');
is($node->safe_psql('postgres', q{
SELECT (SELECT sum(errors) FROM hone.query_errors WHERE sqlstate = '22012'),
       (SELECT sum(executions) FROM hone.query_tables WHERE table_name = 'public.t')}),
	'1|1', 'counting goes on after a crash, from nothing');

$node->stop;
done_testing();
