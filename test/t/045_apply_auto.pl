# Automatic mode: advice on schedule and nothing else by default; what is proposed
# again and again is built where the database's setting says so, within limits and
# as the database's owner. And what was recommended runs through psql elsewhere.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init(allows_streaming => 1);
$node->append_conf('postgresql.conf', qq{
shared_preload_libraries = 'pg_hone'
max_worker_processes = 16
fsync = off
pg_hone.collect_interval = 1
pg_hone.auto_runs = 2
pg_hone.auto_builds_per_day = 1
pg_hone.auto_size_limit = 100
});
$node->start;
$node->safe_psql('postgres', 'CREATE ROLE boss; CREATE ROLE stranger; CREATE DATABASE shop OWNER boss');
$node->safe_psql('shop', q{
GRANT CREATE ON SCHEMA public TO boss, stranger;
SET pg_hone.enabled = off;
CREATE EXTENSION pg_hone;
CREATE TABLE item (id int, owner int, note text);
INSERT INTO item SELECT i, i % 3000, repeat('n', 60) FROM generate_series(1, 30000) i;
CREATE TABLE bill AS SELECT id, owner AS payer, note FROM item WHERE id <= 20000;
CREATE TABLE theirs AS SELECT id, owner AS whose, note FROM item;
CREATE TABLE unseen AS SELECT id, owner AS whom, note FROM item;
VACUUM ANALYZE item, bill, theirs, unseen;
ALTER TABLE item OWNER TO boss;
ALTER TABLE bill OWNER TO boss;
ALTER TABLE theirs OWNER TO stranger;
GRANT SELECT ON theirs TO boss;
});

sub workload
{
	$node->safe_psql('shop', q{
	SET ROLE boss;
	DO $$ BEGIN FOR i IN 1 .. 60 LOOP
		EXECUTE 'SELECT note FROM item WHERE owner = $1' USING i;
		IF i <= 30 THEN EXECUTE 'SELECT note FROM bill WHERE payer = $1' USING i; END IF;
		IF i <= 10 THEN EXECUTE 'SELECT note FROM theirs WHERE whose = $1' USING i; END IF;
	END LOOP; END $$;
	RESET ROLE;
	DO $$ BEGIN FOR i IN 1 .. 100 LOOP
		EXECUTE 'SELECT note FROM unseen WHERE whom = $1' USING i;
	END LOOP; END $$});
}

# Looking must not be work for the next run.
sub look
{
	my ($query) = @_;
	local $ENV{PGOPTIONS} = '-c pg_hone.enabled=off';
	return $node->safe_psql('shop', $query);
}

sub wait_for
{
	my ($query, $what) = @_;
	local $ENV{PGOPTIONS} = '-c pg_hone.enabled=off';
	ok($node->poll_query_until('shop', $query), $what) or diag(look('SELECT * FROM hone.auto_status'));
}

# Have the step done in the next round, rather than in the next minute.
sub make_due
{
	look(q{UPDATE hone.collector_store SET last_run = last_run - interval '2 minutes' WHERE step = 'auto_tune';
		SELECT hone.wake_collector()});
}

sub step
{
	my $before = look(q{SELECT coalesce(max(last_run), '-infinity') FROM hone.collector_store WHERE step = 'auto_tune'});
	make_due();
	wait_for("SELECT last_run > '$before' FROM hone.collector_store WHERE step = 'auto_tune'", 'a round of the collector');
	is(look("SELECT last_error FROM hone.collector_store WHERE step = 'auto_tune'"), '', 'without an error');
}

# Runs are a day apart, unless one is wanted here.
sub often { look("ALTER DATABASE shop SET pg_hone.advise_interval = '1s'"); }
sub seldom { look("ALTER DATABASE shop SET pg_hone.advise_interval = '1d'"); }

sub run_again
{
	my $before = look(q{SELECT coalesce(last_run, '-infinity') FROM hone.auto_store});
	workload();
	sleep 1;
	often();
	make_due();
	wait_for("SELECT last_run > '$before' FROM hone.auto_status", 'an automatic run');
	seldom();
}

sub pending
{
	my ($table, $what) = @_;
	return look("SELECT coalesce(p ->> '$what', '-') FROM hone.auto_status, jsonb_array_elements(pending) p
		WHERE p ->> 'definition' LIKE '% public.$table %' AND p ->> 'definition' LIKE 'CREATE%'");
}

sub actions { return look('SELECT count(*) FROM hone.actions'); }

# By default: advice, as the owner of the database, of what he may see.
is(look('SELECT mode FROM hone.auto_status'), 'advise', 'advice is the default');
run_again() for 1 .. 3;
is(look("SELECT string_agg(DISTINCT requested_by::text, ',') FROM hone.advisor_runs"), 'boss', 'runs are the owner\'s');
is(pending('item', 'seen_runs'), '3', 'proposed in three runs');
is(pending('item', 'held_back_by'), 'pg_hone.auto is advise', 'and why nothing happens');
is(pending('unseen', 'seen_runs'), '', 'what others ran is not seen');
step();
is(actions(), '0', 'nothing is done');

# What is set for a role or a session does not count: not for the worker, which is
# connected as that role, and not for who calls the step.
$node->safe_psql('shop', 'ALTER ROLE postgres SET pg_hone.auto = apply')
  if $node->safe_psql('shop', "SELECT count(*) FROM pg_roles WHERE rolname = 'postgres'");
my $super = $node->safe_psql('postgres', 'SELECT rolname FROM pg_roles WHERE oid = 10');
$node->safe_psql('postgres', qq{ALTER ROLE "$super" SET pg_hone.auto = apply});
$node->safe_psql('postgres', qq{ALTER ROLE "$super" IN DATABASE shop SET pg_hone.auto = apply});
is(look('SHOW pg_hone.auto'), 'apply', 'a role has its own setting');
is(look('SELECT hone.auto_mode()'), 'advise', 'which does not count');
look('SET pg_hone.auto = apply; SELECT hone.auto_tune()');
step();
is(actions(), '0', 'still nothing is done');
look(qq{ALTER ROLE "$super" RESET ALL; ALTER ROLE "$super" IN DATABASE shop RESET ALL});

# The owner of the database says so.
look('SET ROLE boss; ALTER DATABASE shop SET pg_hone.auto = APPLY');
is(look('SET pg_hone.auto = off; SELECT hone.auto_mode()'), 'apply', 'the database\'s setting counts');
step();
is(actions(), '1', 'one index, which is the limit');
is(look("SELECT table_name, action, automatic, requested_by FROM hone.actions"), 'public.item|create|t|boss', 'the one that gains most');
wait_for("SELECT count(*) = 1 FROM hone.actions WHERE state IN ('trial', 'kept')", 'it is built');
is(look("SELECT count(*) FROM pg_index WHERE indrelid = 'item'::regclass AND indisvalid"), '1', 'and valid');
is(look("SELECT wants_trial FROM hone.action_store"), 't', 'with a trial');
step();
is(pending('bill', 'held_back_by'), '1 were built or taken back in the last 24 hours (pg_hone.auto_builds_per_day)', 'the limit of a day');
is(pending('theirs', 'held_back_by'), "the owner of the database, boss, is not a member of the table's owner", 'a table of somebody else');

# Other limits
$node->append_conf('postgresql.conf', "pg_hone.auto_builds_per_day = 10\npg_hone.auto_size_limit = 0");
$node->reload;
step();
like(pending('bill', 'held_back_by'), qr/more than 0 % of the database/, 'the limit of size');
$node->append_conf('postgresql.conf', "pg_hone.auto_size_limit = 100\npg_hone.auto_max_trials = 0");
$node->reload;
step();
like(pending('bill', 'held_back_by'), qr/trials are at work/, 'the limit of trials');

# What a trial took back is to be seen twice as often; a failure waits.
look(q{INSERT INTO hone.ban_store (action, relid, table_name, access_method, key_columns, predicate, definition,
	reverted_at, until, times, finding, evidence, recommendations)
	VALUES ('create', 'bill'::regclass, 'public.bill', 'btree', 'payer', '', 'x', now(), now(), 1, 'was slower', '[]', '{}')});
run_again();
step();
is(pending('bill', 'wanted_runs'), '4', 'twice as many runs after a ban');
like(look("SELECT array_to_string(risks, ' ') FROM hone.recommendations WHERE id = " . pending('bill', 'recommendation_id')),
	qr/taken back on .*: was slower/, 'and the risk is told');
look('DELETE FROM hone.ban_store');
look(q{INSERT INTO hone.action_store (recommendation_id, after_creates, requested_by, operation, action, state, relid,
	table_name, index_name, definition, undo_definition, automatic, finished_at, queued_at, error)
	SELECT id, false, requested_by, 'apply', 'create', 'failed', relid, table_name, index_name, definition, undo_definition,
		true, now(), now() - interval '2 days', '53100: no space'
	FROM hone.recommendation_store WHERE id = } . pending('bill', 'recommendation_id'));
run_again();
step();
is(pending('bill', 'held_back_by'), 'it failed 1 times, last with 53100: no space', 'a failure is not repeated at once');
look("UPDATE hone.action_store SET finished_at = now() - interval '25 hours' WHERE state = 'failed'");
$node->append_conf('postgresql.conf', "pg_hone.auto_max_trials = 5");
$node->reload;

# Somebody asks for advice as the same role meanwhile: it is the same proposal.
$node->safe_psql('shop', 'GRANT EXECUTE ON FUNCTION hone.recommend TO boss');
look('SET ROLE boss; SELECT count(*) FROM hone.recommend()');
step();
wait_for("SELECT count(*) = 1 FROM hone.actions WHERE table_name = 'public.bill' AND state IN ('trial', 'kept')", 'built a day later');

# A member of the table's owner
look('GRANT stranger TO boss');
step();
wait_for("SELECT count(*) = 1 FROM hone.actions WHERE table_name = 'public.theirs' AND state IN ('trial', 'kept')", 'a table of which he is a member of the owner');

# Who sees what
is(look('SET ROLE stranger; SELECT mode, jsonb_array_length(pending) > 0, failures, last_error FROM hone.auto_status'),
	'apply|t||', 'others see proposals about their tables');
look('CREATE ROLE passer_by');
is(look('SET ROLE passer_by; SELECT mode, pending FROM hone.auto_status'), 'apply|[]', 'or none');

# Nothing captured, nothing done
run_again();
often();
sleep 2;
my $runs = look('SELECT count(*) FROM hone.advisor_runs');
step();
step();
is(look('SELECT count(*) FROM hone.advisor_runs'), $runs, 'no run without work');
is(look('SELECT waiting_for FROM hone.auto_status'), 'statements: nothing was captured since the last run', 'and why');

# A run that fails is noted, and not repeated at once
run_again();
my $lock = $node->background_psql('shop');
$lock->query_safe('BEGIN; LOCK TABLE hone.advisor_run_store IN ACCESS EXCLUSIVE MODE');
workload();
sleep 1;
often();
make_due();
wait_for("SELECT failures = 1 AND last_error LIKE '55P03: %' FROM hone.auto_store", 'a run that failed');
$lock->query_safe('COMMIT');
$lock->quit;
is(look("SELECT next_run > now() + interval '30 seconds' FROM hone.auto_status"), 't', 'the next one is later');
seldom();
look('UPDATE hone.auto_store SET retry_at = NULL');
run_again();
is(look('SELECT failures, last_error FROM hone.auto_status'), '0|', 'and succeeds');

# A worker that is killed counts as one that failed
look('UPDATE hone.auto_store SET failures = 2');
often();
sleep 1;
is(look('SELECT pg_get_userbyid(hone.auto_begin())'), 'boss', 'begun');
is(look("SELECT failures, last_error, next_run > now() + interval '3 minutes' FROM hone.auto_status"),
	'3|57P01: the worker ended before the run did|t', 'what stands if it does not end');
is(look('SELECT hone.auto_begin() IS NULL'), 't', 'it is not due now');
look('UPDATE hone.auto_store SET retry_at = NULL, failures = 0');

# Off: nothing, whatever the file says; and the file counts where nothing is set.
$node->append_conf('postgresql.conf', "pg_hone.auto = apply");
$node->reload;
look('SET ROLE boss; ALTER DATABASE shop SET pg_hone.auto = off');
workload();
sleep 1;
step();
step();
is(look('SELECT mode, next_run, pending FROM hone.auto_status'), 'off||[]', 'off');
is(look('SELECT failures FROM hone.auto_store'), '0', 'nothing was begun');
look('ALTER DATABASE shop RESET pg_hone.auto');
is(look('SET pg_hone.auto = off; SELECT hone.auto_mode()'), 'apply', 'the configuration file counts, whatever the session has');
look("ALTER ROLE ALL SET pg_hone.auto = off");
is(look('SELECT hone.auto_mode()'), 'off', 'what is set for all roles counts more');
look("ALTER ROLE ALL RESET pg_hone.auto");

# The script of what was recommended, by psql in another database
$node->safe_psql('postgres', 'CREATE DATABASE other');
$node->safe_psql('other', q{CREATE TABLE item (id int, owner int, note text);
	CREATE TABLE bill (id int, payer int, note text); CREATE TABLE theirs (id int, whose int, note text)});
my $script = $node->basedir . '/migration.sql';
append_to_file($script, look("SELECT hone.export_migration(ARRAY(SELECT recommendation_id FROM hone.actions WHERE state IN ('trial', 'kept')))"));
for my $time ('once', 'again')
{
	command_ok([ 'psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-d', $node->connstr('other'), '-f', $script ], "the script runs $time");
}
my $definitions = q{SELECT string_agg(pg_get_indexdef(indexrelid), E'\n' ORDER BY pg_get_indexdef(indexrelid)) FROM
	(SELECT i.indexrelid FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid WHERE c.relnamespace = 'public'::regnamespace) i};
is($node->safe_psql('other', $definitions), look($definitions), 'and makes the same indexes');

# On a standby there is nothing to do.
$node->backup('base');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($node, 'base', has_streaming => 1);
$standby->start;
$node->wait_for_catchup($standby);
is($standby->safe_psql('shop', 'SELECT hone.auto_tune(), hone.start_advisor(); SELECT mode, last_run IS NOT NULL FROM hone.auto_status'),
	"|\napply|t", 'on a standby nothing is done, and everything can be read');
my ($status, $out, $err) = $standby->psql('shop', 'SELECT hone.lift_ban(1)');
like($err, qr/cannot execute hone\.lift_ban\(\) during recovery/, 'nor a ban lifted');
is($standby->safe_psql('shop', "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'pg_hone advisor'"), '0', 'nobody is at work');
$standby->stop;
$node->stop;

# Without preloading there is nothing to do.
$node = PostgreSQL::Test::Cluster->new('plain');
$node->init;
$node->start;
$node->safe_psql('postgres', 'CREATE DATABASE shop');
$node->safe_psql('shop', 'CREATE EXTENSION pg_hone');
is($node->safe_psql('shop', 'SELECT hone.auto_tune(); SELECT mode, last_run, waiting_for FROM hone.auto_status'), "\nadvise||",
	'without preloading nothing is done');
$node->stop;
done_testing();
