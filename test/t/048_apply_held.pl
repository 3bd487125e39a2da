# A role that may use the functions and leaves a transaction open holds up its own
# affairs, and nobody else's: not the builders, which all share a few slots of the
# server, and not who hides indexes.
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
max_worker_processes = 16
pg_hone.collect_interval = 1
autovacuum = off
fsync = off
});
$node->start;
$node->safe_psql('postgres', q{
CREATE EXTENSION pg_hone;
CREATE ROLE mallory;
CREATE ROLE victim;
GRANT USAGE ON SCHEMA hone TO mallory, victim;
GRANT CREATE ON SCHEMA public TO mallory, victim;
GRANT EXECUTE ON PROCEDURE hone.apply, hone.apply_all, hone.revert, hone.reindex TO mallory, victim;
GRANT EXECUTE ON FUNCTION hone.dismiss, hone.hide_index, hone.show_index TO mallory, victim;
CREATE FUNCTION f(i int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    PERFORM pg_advisory_lock_shared(i), pg_advisory_unlock_shared(i);
    RETURN i;
END $$;
CREATE FUNCTION recommend(id bigint, whose regrole, relation regclass, keys text DEFAULT '(b)') RETURNS void LANGUAGE sql AS $$
    INSERT INTO hone.advisor_run_store (run_id, requested_by) OVERRIDING SYSTEM VALUE VALUES (id, whose);
    INSERT INTO hone.recommendation_store OVERRIDING SYSTEM VALUE
    SELECT id, id, now(), whose, 'proposed', NULL, 'create', relation, 'public.' || relation, 'btree',
           'i_' || id, format('CREATE INDEX i_%s ON public.%s %s', id, relation, keys),
           'none', 1000000, 2, 1, 0.5, 0, 1, 0, 'test'
$$;
CREATE TABLE m (a int, b int);
CREATE TABLE v (a int, b int);
INSERT INTO m VALUES (1, 1);
INSERT INTO v VALUES (1, 2);
ALTER TABLE m OWNER TO mallory;
ALTER TABLE v OWNER TO victim;
});

my $id = 0;
sub recommend
{
	my ($whose, $relation, $keys) = @_;
	$id++;
	$node->safe_psql('postgres', "SELECT recommend($id, '$whose', '$relation', '" . ($keys // '(b)') . "')");
	return $id;
}

sub wait_for
{
	my ($number, $condition, $what) = @_;
	ok($node->poll_query_until('postgres',
		"SELECT $condition FROM hone.actions WHERE recommendation_id = $number ORDER BY id DESC LIMIT 1"), $what)
	  or diag($node->safe_psql('postgres', 'TABLE hone.actions'));
}

sub no_builder
{
	$node->poll_query_until('postgres', "SELECT count(*) = 0 FROM pg_stat_activity WHERE backend_type = 'pg_hone builder'");
}

sub victims_turn
{
	my ($what) = @_;
	my $n = recommend('victim', 'v');
	my ($rc, $out, $err) = $node->psql('postgres', "SET ROLE victim; SET statement_timeout = '40s'; CALL hone.apply($n)");
	is($rc, 0, "$what: another role's index is built") or diag($err, $node->safe_psql('postgres', 'TABLE hone.actions'));
	$node->safe_psql('postgres', "DROP INDEX IF EXISTS i_$n");
}

my $mallory = $node->background_psql('postgres', on_error_stop => 0);
$mallory->query_safe('SET ROLE mallory');
my $locker = $node->background_psql('postgres');

# The row of a queued action: taking it back, in a transaction that is left open.
my $n = recommend('mallory', 'm');
$locker->query_safe('BEGIN; LOCK TABLE m IN SHARE MODE');
$mallory->query_safe("CALL hone.apply($n, wait => false)");
wait_for($n, "waiting_for LIKE 'a lock%'", 'a queued action: put off');
no_builder();
$mallory->query_safe("BEGIN; CALL hone.revert($n, wait => false)");
$locker->query_safe('COMMIT');
$node->safe_psql('postgres', "SET lock_timeout = 0; UPDATE hone.action_store SET retry_at = now() WHERE state = 'queued' AND recommendation_id <> $n");
$node->safe_psql('postgres', "SELECT pg_sleep(greatest(extract(epoch FROM retry_at - now()) + 0.5, 0)) FROM hone.actions WHERE recommendation_id = $n");
victims_turn('a queued action taken back');
$mallory->query_safe('COMMIT');
wait_for($n, "state = 'cancelled'", 'a queued action: taken back in the end');

# The row of the recommendation of one that is being built.
for my $hold ("SELECT hone.dismiss(%s, 'mine')", 'CALL hone.apply_all(wait => false)')
{
	no_builder();
	$n = recommend('mallory', 'm', '(public.f(b))');
	$locker->query_safe('SELECT pg_advisory_lock(1)');
	$mallory->query_safe("CALL hone.apply($n, wait => false)");
	wait_for($n, "state = 'building'", 'being built');
	$mallory->query('BEGIN');
	$mallory->query(sprintf($hold, $n));
	$locker->query_safe('SELECT pg_advisory_unlock(1)');
	victims_turn("being built, $hold");
	$mallory->query('COMMIT');
	$mallory->{stderr} = '';
	wait_for($n, "state = 'kept'", "being built, $hold: kept");
	is($node->safe_psql('postgres', "SELECT status FROM hone.recommendation_store WHERE id = $n"), 'applied', 'and applied');
	is($node->safe_psql('postgres', "SELECT count(*) FROM pg_class WHERE relname = 'i_$n'"), '1', 'once');
	$node->safe_psql('postgres', "DROP INDEX i_$n");
}

# What is left of indexes that are gone.
$node->safe_psql('postgres', q{
CREATE TABLE gone (a int); CREATE INDEX gone_a ON gone (a); ALTER TABLE gone OWNER TO mallory;
CREATE INDEX m_a ON m (a); CREATE INDEX v_a ON v (a)});
$mallory->query_safe("SELECT hone.hide_index('gone_a'); DROP TABLE gone");
$mallory->query_safe("BEGIN; SELECT hone.hide_index('m_a')");
my ($rc, $out, $err) = $node->psql('postgres', "SET ROLE victim; SET lock_timeout = '3s'; SELECT hone.hide_index('v_a')");
is($rc, 0, 'rows of indexes that are gone: another role hides its own') or diag($err);
($rc, $out, $err) = $node->psql('postgres', "SET lock_timeout = '3s'; SELECT hone.trial_forget_gone()");
is($rc, 0, 'rows of indexes that are gone: nor does the collector wait') or diag($err);
$mallory->query_safe('COMMIT');
$node->safe_psql('postgres', "SELECT hone.trial_forget_gone()");
is($node->safe_psql('postgres', 'SELECT count(*) FROM hone.hidden_index_store'), '2', 'rows of indexes that are gone: forgotten');

$mallory->quit;
$locker->quit;
$node->stop;
done_testing();
