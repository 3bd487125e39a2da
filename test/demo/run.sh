#!/usr/bin/env bash
# The main job of pg_hone, on the tables and queries it was made for: capture a
# workload, look at its slow statements, let pg_hone recommend indexes and build
# them, try each against the workload as it runs, keep what helps, run the same
# workload again and compare; then the recent-activities feed, the pool views and
# the scheduled jobs.
#
# Builds pg_hone, runs it on a private throw-away server, leaves nothing behind;
# installs missing Debian packages (saying which); works as root and as an
# ordinary user with sudo, from any directory. See test/lib/machine.sh.
# Takes about five minutes on two cores.

if [ -z "${HONE_WORK:-}" ]; then
	here=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd) || exit 1
	. "$here/lib/machine.sh"
	hone_need_packages build-essential postgresql-15 postgresql-server-dev-15 postgresql-15-cron
	hone_run_inside "${here%/test}" test/demo/run.sh 4000 "$@"
fi

. test/lib/server.sh

# The number of transactions of a run, the same before and after.
clients=4
transactions=600		# of each client
trial_limit=150			# seconds, for all trials together

title() {
	echo
	hone_say "== $*"
}

sql() {
	hone_psql demo -q -d shop -P border=1 -P footer=off -P pager=off -P null='' "$@"
}

# Each step prints what it finds; a step that fails ends the demo.
step() {
	"$@" || { tail -n 30 "$hone_logs/server-demo.log"; hone_die "the demo stopped: $*"; }
}

build() {
	hone_make make.log install with_llvm=no COPT="-Wall -Wextra" || { tail -n 40 "$hone_logs/make.log"; return 1; }
}

load() {
	local job failed=0
	local -a jobs=()

	hone_psql demo -q -d postgres -c 'CREATE ROLE app LOGIN' -c 'CREATE DATABASE shop OWNER app' &&
		sql -c 'CREATE EXTENSION pg_hone' -c 'CREATE EXTENSION pg_cron' \
			-c 'GRANT CREATE ON SCHEMA public TO app' -f test/demo/helpers.sql \
			-c 'SET ROLE app' -f test/demo/schema.sql || return 1
	for job in metrics telemetry rest; do
		sql -c 'SET pg_hone.enabled = off' -f "test/demo/load_$job.sql" &
		jobs+=($!)
	done
	for job in "${jobs[@]}"; do
		wait "$job" || failed=1
	done
	[ $failed = 0 ] || return 1
	sql -c 'SET pg_hone.enabled = off' -f test/demo/load_end.sql
}

# The workload: every script of test/demo/workload, chosen by weight. Reads and
# writes are in the ratio of the documents' application: three to two.
weights="r_metric_latest=8 r_metric_window=6 r_metric_batch=3 r_metric_labels=3 r_metric_deployment=3
	r_telemetry_type=6 r_telemetry_severity=4 r_telemetry_errors=4 r_telemetry_data=3
	r_setting=8 r_setting_value=2 r_user_email=6 r_user_email_lower=3
	r_order_status_user=4 r_order_user=5 r_order_pending=3
	r_conversation_user=6 r_conversation_agent=4 r_message_list=8 r_message_count=5
	r_recent_activities=4
	w_metric=20 w_telemetry=12 w_setting=3 w_conversation_touch=8 w_conversation_close=3
	w_message=8 w_order=5 w_order_status=5"

run_workload() {
	local weight
	local -a files=()

	for weight in $weights; do
		files+=(-f "test/demo/workload/${weight%=*}.sql@${weight#*=}")
	done
	PGOPTIONS='' "$hone_bin/pgbench" -h "$HONE_WORK/demo" -p 5432 -U app -n -M extended \
		-c $clients -j 2 -t $transactions --random-seed=42 -P 5 "${files[@]}" shop \
		2>&1 >"$hone_logs/pgbench-$1.log" |
		sed -uE 's/^progress: ([0-9.]+) s, ([0-9.]+) tps.*/        \1 s: \2 transactions a second/'
	if ! grep -q "number of transactions actually processed: $((clients * transactions))/" "$hone_logs/pgbench-$1.log"; then
		cat "$hone_logs/pgbench-$1.log"
		return 1
	fi
}

# The workload goes on until every index that was built has its verdict.
run_trials() {
	local weight load open second
	local -a files=()

	for weight in $weights; do
		files+=(-f "test/demo/workload/${weight%=*}.sql@${weight#*=}")
	done
	PGOPTIONS='' "$hone_bin/pgbench" -h "$HONE_WORK/demo" -p 5432 -U app -n -M extended \
		-c $clients -j 2 -T $trial_limit --random-seed=43 "${files[@]}" shop >"$hone_logs/pgbench-trial.log" 2>&1 &
	load=$!
	for second in $(seq $trial_limit); do
		sleep 1
		open=$(sql -At -c "SELECT count(*) FROM hone.actions WHERE state IN ('queued', 'building', 'trial')") || return 1
		[ "$open" != 0 ] || break
		[ $((second % 10)) != 0 ] || echo "        $second s: $open open"
	done
	kill $load 2>/dev/null
	wait $load 2>/dev/null
	return 0
}

# Both runs start with empty statistics and just after a checkpoint, so that
# the first write of each page costs the same in both.
start_measuring() {
	sql -c 'CHECKPOINT' -c 'SELECT hone.reset_query_stats()' -o /dev/null
}

# The writes without the reads beside them, as a client sees them: one
# connection, capture off, no waiting for the disk; the fastest of several
# rounds, because other programs on the machine only ever add time. Writes
# lines "script microseconds".
time_writes() {
	local round file

	sql -c 'CHECKPOINT'
	for round in 1 2 3 4 5; do
		for file in test/demo/workload/w_*.sql; do
			PGOPTIONS='-c pg_hone.enabled=off -c synchronous_commit=off' "$hone_bin/pgbench" \
				-h "$HONE_WORK/demo" -p 5432 -U postgres -n -M extended -c 1 -t 300 \
				--random-seed=$round -r -f "$file" shop 2>/dev/null |
				awk -v file="$(basename "$file" .sql)" '/ (INSERT|UPDATE) / { print file, int(1000 * $1) }'
		done
	done | sort -k1,1 -k2,2n | awk '!seen[$1]++' >"$HONE_WORK/writes-$1"
}

compare_writes() {
	echo "The writes alone, without the reads beside them (microseconds a statement, one client, capture off)"
	join "$HONE_WORK/writes-before" "$HONE_WORK/writes-after" | awk '
		{ printf "  %-22s %6d -> %6d  %+.0f %%\n", $1, $2, $3, 100 * ($3 / $2 - 1); b += $2; a += $3 }
		END { printf "  %-22s %6d -> %6d  %+.0f %%\n", "all, each counted once", b / NR, a / NR, 100 * (a / b - 1) }'
	echo "  (a write to a table that got no index shows how much of this is the machine's own unrest)"
}

title "build and start a private server"
hone_relocate_postgres
step build
step hone_server_start demo test/demo/demo.conf
title "load: 1.2 million metrics, 1 million telemetry events, 400,000 messages, 250,000 orders, ..."
step load
step sql -f test/demo/show_schema.sql

title "the workload, before: $((clients * transactions)) transactions of $clients clients, extended protocol"
step sql -f test/demo/labels.sql
step time_writes before
step start_measuring
step run_workload before
step sql -c 'INSERT INTO demo.before SELECT * FROM demo.measured'

title "slow statements, with their real parameters and plans"
step sql -f test/demo/slow.sql

title "hone.recommend()"
step sql -f test/demo/recommend.sql

title "CALL hone.apply_all(): built concurrently by background workers"
step sql -f test/demo/apply.sql

title "the trials: each index is seen by one half of the sessions, while the workload goes on"
step run_trials
step sql -f test/demo/trials.sql

title "the same workload, after"
step start_measuring
step run_workload after
step sql -c 'INSERT INTO demo.after SELECT * FROM demo.measured'
step time_writes after
step sql -f test/demo/report.sql
step compare_writes

title "the recent-activities feed"
step sql -f test/demo/feed.sql

title "pools and queries, while the application is connected"
run_workload views >/dev/null &
sleep 2
step sql -f test/demo/views.sql
wait

title "pg_cron jobs"
step sql -f test/demo/jobs.sql

hone_server_stop demo
echo
hone_say "done; the server and its files are removed"
