# Indexes on trial, on a real server under real concurrent sessions: a good one is
# kept, one that lures the planner and a useless one are taken back, a drop that
# hurts is undone and a harmless one done; and what may come between.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->append_conf('postgresql.conf', qq{
shared_preload_libraries = 'pg_hone'
max_worker_processes = 16
fsync = off
autovacuum = off
pg_hone.collect_interval = 1
pg_hone.trial_turn = 1
pg_hone.drop_watch = 24
});
$node->start;
$node->safe_psql('postgres', q{
CREATE EXTENSION pg_hone;
CREATE TABLE good (id int PRIMARY KEY, a int, b int);
INSERT INTO good SELECT i, i % 1000, i FROM generate_series(1, 30000) i;
CREATE TABLE other AS SELECT * FROM good;
-- what is looked for comes last in the order of t
CREATE TABLE trap (id int PRIMARY KEY, kind int, t int);
INSERT INTO trap SELECT i, CASE WHEN i < 600 THEN i % 30 ELSE 100 END, i FROM generate_series(1, 30000) i;
CREATE INDEX trap_kind ON trap (kind);
-- with an index on t alone it is the same trap; with one on (kind, t) beside it, none
CREATE TABLE pair AS SELECT * FROM trap;
CREATE TABLE useless AS SELECT * FROM good;
CREATE TABLE needed AS SELECT * FROM good;
CREATE INDEX needed_a ON needed (a);
CREATE TABLE idle AS SELECT * FROM good;
CREATE INDEX idle_b ON idle (b);
CREATE TABLE nightly AS SELECT * FROM good;
CREATE INDEX nightly_a ON nightly (a);
CREATE TABLE slower AS SELECT * FROM good;
CREATE INDEX slower_a ON slower (a) WITH (fillfactor = 30);
CREATE FUNCTION pass() RETURNS bool VOLATILE LANGUAGE sql AS $$
    SELECT pg_sleep(coalesce(current_setting('test.lag', true), '0')::float8) IS NOT NULL $$;
CREATE TABLE report AS SELECT * FROM trap;
CREATE INDEX report_kind ON report (kind);
CREATE TABLE gone AS SELECT * FROM good;
CREATE TABLE moved AS SELECT * FROM good;
CREATE TABLE seldom AS SELECT * FROM good;
VACUUM ANALYZE;
INSERT INTO hone.advisor_run_store (requested_by) SELECT oid FROM pg_roles WHERE rolname = current_user;
-- of what is known to run on the table, if anything is
CREATE FUNCTION recommend(new_id bigint, action text, relation regclass, index_name text, definition text) RETURNS void LANGUAGE sql AS $$
    INSERT INTO hone.recommendation_store OVERRIDING SYSTEM VALUE
    SELECT new_id, 1, now(), r.oid, 'proposed', NULL, action, relation, 'public.' || relation, 'btree', index_name,
           definition, 'DROP INDEX ' || index_name, 1, 10, 5, 0.5, 0, 1, 0, 'test'
    FROM pg_roles r WHERE r.rolname = current_user;
    INSERT INTO hone.recommendation_query_store (recommendation_id, ordinal, queryid, userid, query, calls, cost_before, cost_after)
    SELECT new_id, row_number() OVER (), s.queryid, s.userid, s.query, 1, 10, 5
    FROM hone.query_stats s
    WHERE action = 'create' AND s.datname = current_database() AND s.query LIKE '%FROM ' || relation || ' WHERE%';
$$;
});

my $load = $node->basedir . '/load.sql';
append_to_file($load, q{
\set a random(1, 900)
SELECT sum(b) FROM good WHERE a = :a;
SELECT sum(b) FROM other WHERE a = :a;
SELECT * FROM trap WHERE kind BETWEEN 0 AND 20 ORDER BY t DESC LIMIT 5;
SELECT * FROM pair WHERE kind = 7 ORDER BY t DESC LIMIT 5;
SELECT id FROM pair WHERE t > 100 ORDER BY t LIMIT 5;
SELECT count(*) FROM useless WHERE b < 0 + :a;
SELECT sum(b) FROM needed WHERE a = :a;
SELECT count(*) FROM idle WHERE a < 10;
UPDATE good SET b = b + 1 WHERE id = :a;
});
my $pgbench;

sub start_load
{
	$pgbench = IPC::Run::start(
		[ 'pgbench', '-n', '-c', '4', '-T', '600', '--rate', '40', '-f', $load, '-d', $node->connstr('postgres') ],
		'>', '/dev/null', '2>', '/dev/null');
}

sub stop_load { $pgbench->signal('TERM'); $pgbench->finish; }

sub wait_for
{
	my ($query, $what) = @_;
	ok($node->poll_query_until('postgres', $query), $what)
	  or diag($node->safe_psql('postgres', 'SELECT hone.explain_action(id) FROM hone.actions; TABLE hone.trials'));
}

sub sql { return $node->safe_psql('postgres', $_[0]); }

sub action_id { return sql("SELECT max(id) FROM hone.actions WHERE recommendation_id = $_[0]"); }

# rule, decision, state of a recommendation's last action, and is its index there?
sub outcome
{
	my ($id) = @_;
	return sql("SELECT concat_ws(' ', verdict ->> 'rule', verdict ->> 'decision', a.state, r.status,
			CASE WHEN to_regclass(a.index_name) IS NULL THEN 'gone' ELSE 'there' END,
			(SELECT 'hidden' FROM hone.hidden_indexes h WHERE h.trial = a.id))
		FROM hone.actions a JOIN hone.recommendations r ON r.id = a.recommendation_id
		WHERE a.recommendation_id = $id ORDER BY a.id DESC LIMIT 1");
}

sub wait_until_over
{
	my ($id, $what) = @_;
	wait_for("SELECT state IN ('kept', 'reverted', 'failed', 'cancelled') FROM hone.actions
		WHERE recommendation_id = $id ORDER BY id DESC LIMIT 1", $what);
}

start_load();
wait_for(q{SELECT count(*) = 8 FROM hone.query_stats WHERE calls > 60 AND command = 'SELECT' AND query LIKE '%$%'}, 'the load is known');

# Several trials at the same time.
sql(q{
SELECT recommend(1, 'create', 'good', 'good_a', 'CREATE INDEX good_a ON public.good (a)');
SELECT recommend(2, 'create', 'trap', 'trap_t', 'CREATE INDEX trap_t ON public.trap (t)');
SELECT recommend(3, 'create', 'useless', 'useless_b', 'CREATE INDEX useless_b ON public.useless (a, id)');
SELECT recommend(4, 'drop', 'needed', 'needed_a', 'DROP INDEX needed_a');
SELECT recommend(5, 'drop', 'idle', 'idle_b', 'DROP INDEX idle_b');
SELECT recommend(16, 'create', 'pair', 'pair_t', 'CREATE INDEX pair_t ON public.pair (t)');
SELECT recommend(17, 'create', 'pair', 'pair_kind_t', 'CREATE INDEX pair_kind_t ON public.pair (kind, t)');
CALL hone.apply(16);
CALL hone.apply(17);
CALL hone.apply(1);
CALL hone.apply(2);
CALL hone.apply(3);
CALL hone.apply(4);
CALL hone.apply(5);
});
is(sql('SELECT count(*) FROM hone.recommendation_query_store'), 7, 'each has its queries');
is(sql("SELECT string_agg(trial, ',' ORDER BY id) FROM hone.actions"), 'create,create,create,create,create,drop,drop', 'all are tried');
wait_until_over(1, 'the good index was judged');
wait_until_over(2, 'the luring index was judged');
wait_until_over(3, 'the useless index was judged');
wait_until_over(4, 'the harmful drop was judged');
wait_until_over(16, 'the first of two was judged');
wait_until_over(17, 'the second of two was judged');
is(outcome(16), 'gain kept kept applied there', 'what hurts only without the one beside it is kept');
is(outcome(17), 'gain kept kept applied there', 'and that one');
is(outcome(1), 'gain kept kept applied there', 'the good index is kept, and seen by all');
is(outcome(2), 'worse reverted reverted reverted gone', 'the luring index is gone');
is(outcome(3), 'unused reverted reverted reverted gone', 'the useless index is gone');
is(outcome(4), 'worse reverted reverted reverted there', 'the needed index is still there, and seen by all');
is(sql(q{SELECT string_agg(format('%s %s %s %s', index_name, uses_index, q.finding, q.executions_with >= 8 AND q.executions_without >= 8),
		E'\n' ORDER BY index_name)
	FROM hone.trial_queries q JOIN hone.trials t USING (action_id)
	WHERE index_name NOT LIKE 'pair%' AND (expected OR uses_index AND t.kind = 'drop')}),
	"good_a t better t\nneeded_a t worse t\ntrap_t t worse t\nuseless_b f open t", 'both arms were executed');
is(sql(q{SELECT count(*) FROM hone.trial_queries q JOIN hone.trials USING (action_id)
	WHERE index_name NOT LIKE 'pair%' AND query LIKE 'SELECT%' AND (expected OR uses_index)}), 4, 'with their texts');
is(sql(q{SELECT verdict -> 'queries' -> 0 -> 'with' ? 'mean_ms' AND (verdict -> 'queries' -> 0 ->> 'ratio')::float8 < 0.9
	FROM hone.actions WHERE recommendation_id = 1}), 't', 'the verdict has the figures');
like(sql('SELECT hone.explain_action(' . action_id(2) . ')'), qr/worse by time.*reverted: a query that takes 2 %/s, 'and can be read');
wait_for('SELECT hidden FROM hone.trial_store WHERE action_id = ' . action_id(5), 'the harmless drop is hidden from all, and watched');
wait_until_over(5, 'the harmless drop was judged');
is(outcome(5), 'harmless kept kept applied gone', 'the unused index is dropped');
sql('CALL hone.revert(5)');
is(sql("SELECT indexdef FROM pg_indexes WHERE indexname = 'idle_b'"), 'CREATE INDEX idle_b ON public.idle USING btree (b)', 'and can be had back');

# What runs seldom is not seen in arms, and misses the index when nobody sees it.
sql('SELECT sum(b) FROM nightly WHERE a = 7') for (1 .. 20);
sql(q{SELECT recommend(6, 'drop', 'nightly', 'nightly_a', 'DROP INDEX nightly_a'); CALL hone.apply(6)});
wait_for("SELECT hidden FROM hone.trial_store WHERE action_id = " . action_id(6), 'the index of a rare query is hidden from all');
sql('SELECT sum(b) FROM nightly WHERE a = 7') for (1 .. 10);
wait_until_over(6, 'the drop was judged');
is(outcome(6), 'worse reverted reverted reverted there', 'and seen again, though there were few executions');

# What is not tried, and says why.
sql(q{
SELECT recommend(10, 'create', 'other', 'other_10', 'CREATE INDEX other_10 ON public.other (b, a)');
SELECT recommend(11, 'create', 'other', 'other_11', 'CREATE INDEX other_11 ON public.other (id, b)');
UPDATE hone.recommendation_query_store SET queryid = NULL WHERE recommendation_id = 11;
SELECT recommend(12, 'create', 'seldom', 'seldom_12', 'CREATE INDEX seldom_12 ON public.seldom (id, b)');
CALL hone.apply(10, trial => false);
CALL hone.apply(11);
CALL hone.apply(12);
});
is(sql(q{SELECT string_agg(state || ' ' || (verdict ->> 'reason'), E'\n' ORDER BY recommendation_id) FROM hone.actions WHERE recommendation_id BETWEEN 10 AND 12}),
	"kept not tried: no trial was asked for, or statements are not captured\n"
	. "kept not tried: it was recommended for statements given by hand, which nobody is known to run\n"
	. "kept not tried: no statement on the table was seen", 'why there is no trial');
sql('CALL hone.revert(10); CALL hone.revert(11); CALL hone.revert(12)');

# A frequent query gains at once; a report that comes regularly uses it, too, and
# has not run yet.
stop_load();
my $report = 'SELECT t, pg_sleep(0.02) FROM report WHERE kind BETWEEN 0 AND 20 ORDER BY t DESC LIMIT 5';
my $frequent = 'DO $$BEGIN FOR i IN 1 .. 5 LOOP PERFORM max(t) FROM report WHERE id > 0; END LOOP; END$$';
sql('SELECT hone.reset_query_stats()');
sql($frequent);
for (1 .. 3) { sleep(8) if $_ > 1; sql($report); }
sql(q{SELECT recommend(13, 'create', 'report', 'report_t', 'CREATE INDEX report_t ON public.report (t)'); CALL hone.apply(13)});
for (1 .. 200)
{
	sql($frequent);
	last if sql('SELECT turns >= 6 AND EXISTS (SELECT FROM hone.trial_queries q WHERE q.action_id = t.action_id AND finding = \'better\')
		FROM hone.trials t WHERE action_id = ' . action_id(13)) eq 't';
}
is(sql("SELECT string_agg(finding, ' ' ORDER BY finding) FROM hone.trial_queries WHERE expected AND action_id = " . action_id(13)), 'better open', 'the frequent query is known to gain');
is(outcome(13), 'trial proposed there hidden', 'and the report is waited for');
for (1 .. 200)
{
	sql($_) for ($frequent, $report);
	last if outcome(13) =~ /kept/;
}
is(outcome(13), 'gain kept kept applied there', 'until it ran often enough');

# In the middle: taken back by hand, dropped by somebody, its table renamed,
# another index of the same table, and a restart.
sql(q{
SELECT count(*) FROM gone WHERE a = 1; SELECT count(*) FROM moved WHERE a = 1; SELECT sum(b) FROM other WHERE a = 1;
SELECT recommend(20, 'create', 'other', 'other_20', 'CREATE INDEX other_20 ON public.other (a)');
SELECT recommend(21, 'create', 'gone', 'gone_21', 'CREATE INDEX gone_21 ON public.gone (a)');
SELECT recommend(22, 'create', 'moved', 'moved_22', 'CREATE INDEX moved_22 ON public.moved (a)');
SELECT recommend(23, 'create', 'other', 'other_23', 'CREATE INDEX other_23 ON public.other (b)');
SELECT recommend(24, 'drop', 'needed', 'needed_a', 'DROP INDEX needed_a');
CALL hone.apply(20);
CALL hone.apply(21);
CALL hone.apply(22);
CALL hone.apply(23);
CALL hone.apply(24);
});
is(sql(q{SELECT count(*) FROM hone.trials WHERE state = 'trial'}), 5, 'five trials, two of them on one table');
my ($rc, $out, $err) = $node->psql('postgres', 'CALL hone.apply(20)');
like($err, qr/is being worked on already/, 'not twice');
sql('CALL hone.revert(23)');
is(outcome(23), 'by hand reverted reverted reverted gone', 'taken back by hand');
sql('CALL hone.revert(24)');
is(outcome(24), 'by hand reverted reverted reverted there', 'a drop too');
sql('DROP INDEX gone_21');
wait_until_over(21, 'an index that somebody dropped');
is(outcome(21), 'cancelled cancelled cancelled proposed gone', 'its trial ends');
sql('ALTER TABLE moved RENAME TO moved_away');
wait_until_over(22, 'a table that somebody renamed');
is(outcome(22), 'cancelled cancelled cancelled proposed there', 'its trial ends, and the index is seen by all');

# A trial that cannot begin: nothing is dropped untried, and what is new is there.
sql(q{
CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RAISE EXCEPTION ''not today''; END';
CREATE TRIGGER refuse BEFORE INSERT ON hone.trial_store EXECUTE FUNCTION refuse();
SELECT recommend(50, 'drop', 'needed', 'needed_a', 'DROP INDEX needed_a');
SELECT recommend(51, 'create', 'needed', 'needed_51', 'CREATE INDEX needed_51 ON public.needed (a, b)');
});
($rc, $out, $err) = $node->psql('postgres', 'CALL hone.apply(50)');
like($err, qr/not today/, 'the trial of a drop could not begin');
is(outcome(50), 'failed proposed there', 'so it is not done');
sql('CALL hone.apply(51)');
is(outcome(51), 'not tried kept kept applied there', 'a new index is kept without one');
sql('DROP TRIGGER refuse ON hone.trial_store; CALL hone.revert(51)');

# A drop that relies on an index on trial waits, and is not done if that one goes.
sql(q{
SELECT count(*) FROM needed WHERE b = 1;
SELECT recommend(26, 'create', 'needed', 'needed_b', 'CREATE INDEX needed_b ON public.needed (b)');
SELECT recommend(27, 'drop', 'needed', 'needed_a', 'DROP INDEX needed_a');
UPDATE hone.recommendation_store SET needs_index = 'needed_b' WHERE id = 27;
CALL hone.apply(26);
});
($rc, $out, $err) = $node->psql('postgres', 'CALL hone.apply(27)');
like($err, qr/NOTICE:  recommendation 27 has to wait for the trial of index "needed_b"/, 'the call says so');
is(sql('SELECT state || waiting_for FROM hone.actions WHERE recommendation_id = 27'), 'queuedthe trial of index "needed_b"', 'a drop waits for a trial');
sql('CALL hone.revert(26)');
wait_until_over(27, 'and for nothing else');
is(outcome(27), 'failed proposed there', 'it is not done without that index');

# By whoever owns the table, for those who may see it.
sql(q{
CREATE ROLE tuner; CREATE ROLE stranger;
GRANT EXECUTE ON ALL PROCEDURES IN SCHEMA hone TO tuner;
GRANT CREATE ON SCHEMA public TO tuner;
CREATE TABLE owned AS SELECT * FROM other;
ALTER TABLE owned OWNER TO tuner;
ANALYZE owned;
});
sql(q{SELECT count(*) FROM owned WHERE a = 1});
sql(q{
SELECT recommend(28, 'create', 'owned', 'owned_28', 'CREATE INDEX owned_28 ON public.owned (a)');
UPDATE hone.recommendation_store SET requested_by = 'tuner'::regrole WHERE id = 28;
});
sql('SET ROLE tuner; CALL hone.apply(28)');
is(sql('SET ROLE tuner; SELECT state FROM hone.trials'), 'trial', 'its owner sees the trial');
is(sql("SET ROLE tuner; SELECT query FROM hone.trial_queries"), '<insufficient privilege>', 'and not the texts of others');
like(sql('SET ROLE tuner; SELECT hone.explain_action(' . action_id(28) . ')'), qr/Not decided yet/, 'can read of it');
is(sql('SET ROLE stranger; SELECT (SELECT count(*) FROM hone.trials) + (SELECT count(*) FROM hone.trial_queries)'), 0, 'a stranger sees nothing');
sql('SET ROLE tuner; CALL hone.revert(28)');
is(outcome(28), 'by hand reverted reverted reverted gone', 'and takes it back');

my $turns = sql("SELECT turns FROM hone.trials WHERE index_name = 'other_20'");
$node->stop('immediate');
$node->start;
start_load();
is(outcome(20), 'trial proposed there hidden', 'after a crash it is on trial still, and hidden from one arm');
wait_until_over(20, 'and goes on');
is(outcome(20), 'gain kept kept applied there', 'to its end');
cmp_ok(sql("SELECT turns FROM hone.trials WHERE index_name = 'other_20'"), '>', $turns, 'with the turns counted on');
stop_load();

# Too few executions for arms: against before.
sql('SELECT count(*) FROM seldom WHERE a = 1') for (1 .. 40);
# everything has become slower since, and the index is a copy of one that is there
sql('SELECT count(*) FROM slower WHERE a = 1 AND pass()') for (1 .. 40);
sql("ALTER DATABASE postgres SET test.lag = '0.002'");
sql(q{
ALTER SYSTEM SET pg_hone.trial_time = 4;
SELECT pg_reload_conf();
SELECT recommend(30, 'create', 'seldom', 'seldom_30', 'CREATE INDEX seldom_30 ON public.seldom (a)');
SELECT recommend(31, 'create', 'useless', 'useless_31', 'CREATE INDEX useless_31 ON public.useless (a)');
SELECT recommend(32, 'create', 'slower', 'slower_32', 'CREATE INDEX slower_32 ON public.slower (a)');
CALL hone.apply(30);
CALL hone.apply(31);
CALL hone.apply(32);
});
for (1 .. 4) { sql("SELECT count(*) FROM $_") for ('seldom WHERE a = 1', 'slower WHERE a = 1 AND pass()') x 2; sleep(1); }
wait_until_over(30, 'too few executions');
is(sql("SELECT verdict ->> 'method' || ' ' || state FROM hone.actions WHERE recommendation_id = 30"), 'before and after kept', 'before and after, and it says so');
wait_until_over(32, 'too few executions, and a slower server');
is(sql('SELECT finding FROM hone.trial_queries WHERE expected AND action_id = ' . action_id(32)), 'open', 'is not what the index did');
wait_until_over(31, 'none at all');
is(outcome(31), 'uncertain inconclusive reverted reverted gone', 'what nobody used goes');

# Without the library in all sessions nothing can be tried any more.
sql(q{
ALTER SYSTEM SET pg_hone.trial_time = '3d';
SELECT pg_reload_conf();
SELECT recommend(40, 'create', 'useless', 'useless_40', 'CREATE INDEX useless_40 ON public.useless (a)');
CALL hone.apply(40);
});
$node->append_conf('postgresql.conf', "shared_preload_libraries = ''");
$node->restart;
is(outcome(40), 'trial proposed there hidden', 'on trial');
sql('SELECT hone.look_at_trials()');
wait_until_over(40, 'it ends');
is(outcome(40), 'uncertain inconclusive reverted reverted gone', 'it was not used');
like(sql("SELECT verdict ->> 'reason' FROM hone.actions WHERE recommendation_id = 40"), qr/not in shared_preload_libraries any more/, 'and says why');
is(sql('SELECT count(*) FROM hone.hidden_indexes'), 0, 'nothing stays hidden');

done_testing();
