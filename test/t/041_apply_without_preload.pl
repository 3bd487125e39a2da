# Without shared_preload_libraries there is no launcher, but actions work: the
# call starts its worker itself, and hone.collect() looks after what is queued.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('plain');
$node->init;
$node->append_conf('postgresql.conf', "fsync = off\nmax_worker_processes = 2\nmax_logical_replication_workers = 0");
$node->start;
$node->safe_psql('postgres', q{
CREATE EXTENSION pg_hone;
CREATE TABLE t (a int, b int);
INSERT INTO hone.advisor_run_store (requested_by) VALUES (10);
INSERT INTO hone.recommendation_store (run_id, requested_by, action, relid, table_name, access_method, index_name,
    definition, undo_definition, size_bytes, cost_before, cost_after, improvement, write_cost, queries_helped, queries_hurt, reason)
SELECT 1, 10, 'create', 't'::regclass, 'public.t', 'btree', 'i' || i, format('CREATE INDEX i%s ON public.t (b)', i), 'none', 1, 2, 1, 0.5, 0, 1, 0, 'test'
FROM generate_series(1, 3) i;
});
$node->safe_psql('postgres', 'CALL hone.apply(1)');
is($node->safe_psql('postgres', "SELECT state FROM hone.actions WHERE recommendation_id = 1"), 'kept', 'built without preload');
is($node->safe_psql('postgres', "SELECT count(*) FROM hone.collector_status WHERE step = 'round'"), '0', 'no rounds');

# queued, and the worker never started: the next round does it
$node->safe_psql('postgres', q{
INSERT INTO hone.action_store (recommendation_id, requested_by, operation, action, state, relid, table_name, index_name, definition, undo_definition, after_creates)
SELECT id, 10, 'apply', 'create', 'queued', relid, table_name, index_name, definition, 'none', false FROM hone.recommendation_store WHERE id = 2});
$node->safe_psql('postgres', 'SELECT hone.collect()');
ok($node->poll_query_until('postgres', "SELECT state = 'kept' FROM hone.actions WHERE recommendation_id = 2"), 'a round by hand starts what is queued');

# no worker slot left
$node->append_conf('postgresql.conf', 'max_worker_processes = 0');
$node->restart;
my ($ret, $out, $err) = $node->psql('postgres', 'CALL hone.apply(3)');
like($err, qr/could not start a background worker/, 'no slot: an error');
is($node->safe_psql('postgres', "SELECT state || ' ' || error FROM hone.actions WHERE recommendation_id = 3"),
	'failed 53400: no free worker slot', 'no slot: recorded');
is($node->safe_psql('postgres', "SELECT status FROM hone.recommendation_store WHERE id = 3"), 'proposed', 'no slot: still proposed');
$node->safe_psql('postgres', 'CALL hone.apply(3, wait => false)');
is($node->safe_psql('postgres', "SELECT state FROM hone.actions WHERE recommendation_id = 3 ORDER BY id DESC LIMIT 1"), 'queued', 'no slot: without waiting, it stays queued');
$node->stop;
done_testing();
