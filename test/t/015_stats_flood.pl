# A flood of queries that are all equally rare: nothing is missed, and what runs
# often keeps its row, its text and its samples. What begins to run often in the
# middle of it gets a row. On a full table that is quiet, a new query has its row and
# its text at once.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->append_conf('postgresql.conf', q{
shared_preload_libraries = 'pg_hone'
pg_hone.max_queries = 1000
pg_hone.max_sampled_queries = 64
pg_hone.slow_query_ms = -1
pg_hone.collect_interval = 0
fsync = off
});
$node->start;
my $columns = join ', ', map { "${_}0 int, ${_}1 int" } 'a' .. 'n';
$node->safe_psql('postgres', qq{
CREATE EXTENSION pg_hone;
CREATE TABLE churn (id int, $columns);
CREATE TABLE hot (id int PRIMARY KEY);
INSERT INTO hot SELECT generate_series(1, 100);
-- 16384 shapes; after every hundred of them twenty that run often, and one more
CREATE FUNCTION flood(extra text) RETURNS void LANGUAGE plpgsql AS \$\$
DECLARE list text;
BEGIN
    FOR shape IN 0..16383 LOOP
        SELECT string_agg(chr(97 + b) || ((shape >> b) & 1), ', ') INTO list FROM generate_series(0, 13) b;
        EXECUTE 'SELECT ' || list || ' FROM churn';
        IF shape % 100 = 0 THEN
            FOR n IN 1..20 LOOP
                EXECUTE 'SELECT id' || repeat(' + id', n) || ' AS often FROM hot WHERE id = ' || n;
            END LOOP;
            EXECUTE extra;
        END IF;
    END LOOP;
END \$\$;
});

sub look
{
	local $ENV{PGOPTIONS} = '-c pg_hone.enabled=off';
	return $node->safe_psql('postgres', $_[0]);
}

# 164 times in each flood, and before it as often.
my $often = q{SELECT count(*), min(calls), max(calls) FROM hone.query_stats WHERE query LIKE 'SELECT id%AS often%'};
$node->safe_psql('postgres', q{
DO $$ BEGIN
    FOR i IN 1..164 LOOP
        FOR n IN 1..20 LOOP
            EXECUTE 'SELECT id' || repeat(' + id', n) || ' AS often FROM hot WHERE id = ' || n;
        END LOOP;
    END LOOP;
END $$});
is(look($often), '20|164|164', 'queries that run often');

my $counted = q{
SELECT coalesce(sum(calls) FILTER (WHERE query LIKE '%FROM churn%' OR query = '<other>'), 0) FROM hone.query_stats};
$node->safe_psql('postgres', q{SELECT flood('SELECT 1 FROM hot WHERE id = 7')});
is(look($often), '20|328|328', 'keep their rows and texts through a flood');
# Whatever else ran is in a row or in the sum as well.
cmp_ok(look($counted), '>=', 16384 - 10, 'whose calls are counted, too');
is(look(q{SELECT sum(rows) FROM hone.query_stats WHERE NOT toplevel OR query = '<other>'}) >= 164 * 40 ? 't' : 'f', 't', 'and their rows');
is(look(q{SELECT entries = max_entries, evictions > 14000 FROM hone.query_stats_info}), 't|t', 'the table is full, and turned most away');
is(look(q{SELECT count(DISTINCT queryid) > 15 FROM hone.workload_memory(0, true) WHERE query LIKE 'SELECT id%AS often%'}),
	't', 'what runs often keeps its samples');

# Exactly: all calls, once more.
look('SELECT hone.reset_query_stats()');
$node->safe_psql('postgres', q{SELECT flood('SELECT 2 AS begins FROM hot WHERE id + 0 = 7')});
is(look(q{SELECT sum(calls) FROM hone.query_stats}), 16384 + 16384 + 164 * 21 + 1, 'every call is counted');
is(look(q{SELECT sum(executions) FROM hone.query_tables WHERE true}) > 0 ? 't' : 'f', 't', 'tables are counted');

# One that is new in the middle of a flood.
$node->safe_psql('postgres', q{SELECT flood('SELECT 3 AS becomes, 4 FROM hot WHERE id * 1 = 7')});
is(look(q{SELECT count(*), min(calls) > 20 FROM hone.query_stats WHERE query LIKE 'SELECT $1 AS becomes%'}),
	'1|t', 'what begins to run often in a flood gets a row and a text');

# Now that it is quiet.
sleep 2;
$node->safe_psql('postgres', q{SELECT count(*) AS quiet_one FROM hot});
is(look(q{SELECT count(*), sum(calls) FROM hone.query_stats WHERE query LIKE '%quiet_one%'}),
	'1|1', 'a new query has its row and its text at once');
sleep 5;
is($node->safe_psql('postgres', q{SELECT max(id) AS quiet_two FROM hot}), '100', 'another');
is(look(q{SELECT count(*), sum(calls) FROM hone.query_stats WHERE query LIKE '%quiet_two%'}), '1|1', 'has, too');
is(look(q{SELECT count(*) FROM hone.workload_memory(0, true) WHERE query LIKE '%quiet_two%'}), '1', 'and a sample');
is(look(q{SELECT entries <= max_entries FROM hone.query_stats_info}), 't', 'the table is as full as before');

$node->stop;
done_testing();
