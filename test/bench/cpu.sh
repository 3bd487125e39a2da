# cpu.sh: CPU time that a server's backends spend on a transaction, compared
# between configurations in interleaved slices.
#
# Each configuration has a running server. For a load, each has a pgbench of its
# own, connected once; all wait at their gates (gate.sh). Round after round, in an
# order that rotates, one after the other is let through for a slice of the same
# number of transactions. So at any time one works and the others sleep, all
# backends are equally warm, nothing is in the figures of connecting and leaving,
# and whatever disturbs the machine for longer than a slice disturbs all alike. A
# round's figures are divided by those of "nothing" in the same round.
#
# CPU time is what the kernel says of the serving backends, user and system time
# together: schedstat counts it in nanoseconds; where there is none, clock ticks
# are what is left, and slices should be long. What a backend does between slices,
# such as noticing that it is idle, belongs to its next slice.
#
# Single clients are pinned to one CPU together with their backend.

ticks_ns=$((1000000000 / $(getconf CLK_TCK)))

# cpu_of PID...: nanoseconds, the sum.
cpu_of() {
	local pid ns rest sum=0 stat

	for pid in "$@"; do
		if [ -r "/proc/$pid/schedstat" ]; then
			read -r ns rest <"/proc/$pid/schedstat" || ns=0
		else
			stat=$(cat "/proc/$pid/stat") || stat=") 0 0 0 0 0 0 0 0 0 0 0 0 0"
			# shellcheck disable=SC2086
			set -- ${stat##*) }
			ns=$(((${12} + ${13}) * ticks_ns))
		fi
		sum=$((sum + ns))
	done
	echo $sum
}

now_us() {
	echo "${EPOCHREALTIME/./}"
}

# Configurations of a load. auto_explain with log_analyze instruments every node,
# which is what the join is there to show.
cpu_configs() {
	if [ "$1" = join ]; then
		echo nothing control pgss pgss_ae pgss_analyze hone hone_off
	else
		echo nothing control pgss pgss_ae hone hone_off
	fi
}

# The highest CPU that we may use: interrupts tend to go to the lowest.
pin_cpu() {
	sed -nE 's/^Cpus_allowed_list:.*[^0-9]([0-9]+)$/\1/p' /proc/self/status
}

declare -A backends clients_of gate_fd cpu_before executed

# open_gate CONFIGURATION LOAD: starts its pgbench; returns when all its clients
# wait.
open_gate() {
	local config=$1 load=$2 dir=$HONE_WORK/cpu-$1/gate clients i fd

	clients=$(load_clients "$load")

	rm -rf "$dir"
	mkdir -p "$dir"
	mkfifo "$dir/done"
	for ((i = 0; i < clients; i++)); do
		mkfifo "$dir/go.$i"
	done
	{
		echo '\if :left = 0'
		echo "\\setshell left sh test/bench/gate.sh $dir :client_id"
		echo '\endif'
		echo '\set left :left - 1'
		cat "$(load_file "$load")"
	} >"$dir/load.sql"
	exec {fd}<>"$dir/done"
	gate_fd[$config]=$fd
	# Not through hone_pgbench(): what is to be ended is pgbench, not a shell.
	PGAPPNAME=load "$hone_bin/pgbench" -h "$HONE_WORK/cpu-$config" -p 5432 -U postgres -n \
		-c "$clients" -j "$clients" -t 2000000000 -M "$(load_protocol "$load")" -s $bench_scale \
		--random-seed=1 -D left=0 -f "$dir/load.sql" bench \
		>"$hone_logs/cpu-$config-$load.log" 2>&1 &
	clients_of[$config]=$!
	wait_at_gate "$config" "$clients" || hone_die "pgbench did not start: $(cat "$hone_logs/cpu-$config-$load.log")"
	backends[$config]=$(hone_psql "cpu-$config" -d postgres -A -t -c \
		"SELECT string_agg(pid::text, ' ') FROM pg_stat_activity WHERE application_name = 'load'")
	if [ "$clients" = 1 ]; then
		for i in ${clients_of[$config]} ${backends[$config]}; do
			taskset -a -c -p "$(pin_cpu)" "$i" >/dev/null
		done
	fi
	# shellcheck disable=SC2086
	cpu_before[$config]=$(cpu_of ${backends[$config]})
	executed[$config]=0
}

wait_at_gate() {
	local config=$1 clients=$2 client i

	for ((i = 0; i < clients; i++)); do
		read -r -t 300 -u "${gate_fd[$config]}" client || return 1
	done
}

close_gate() {
	local config=$1 fd=${gate_fd[$1]} go

	kill "${clients_of[$config]}" 2>/dev/null
	wait "${clients_of[$config]}" 2>/dev/null
	# The shells at the gate have nobody left to answer.
	for go in "$HONE_WORK/cpu-$config/gate"/go.*; do
		timeout 5 sh -c 'echo 0 >"$1"' sh "$go"
	done
	exec {fd}<&-
}

# slice CONFIGURATION CLIENTS TRANSACTIONS: sets cpu_ns and wall_us of all of them.
slice() {
	local config=$1 clients=$2 transactions=$3 dir=$HONE_WORK/cpu-$1/gate i began cpu

	began=$(now_us)
	for ((i = 0; i < clients; i++)); do
		echo "$transactions" >"$dir/go.$i"
	done
	wait_at_gate "$config" "$clients" ||
		hone_die "a slice of $config did not end; $(cat "$hone_logs/cpu-$config"-*.log | tail -n 5)"
	wall_us=$(($(now_us) - began))
	# shellcheck disable=SC2086
	cpu=$(cpu_of ${backends[$config]})
	cpu_ns=$((cpu - cpu_before[$config]))
	cpu_before[$config]=$cpu
	executed[$config]=$((executed[$config] + clients * transactions))
}

# --- background --------------------------------------------------------------

# The pg_hone launcher of a server, if it has one.
launcher_of() {
	local pid

	for pid in $(children_of "$1"); do
		case $(tr '\0' ' ' <"/proc/$pid/cmdline" 2>/dev/null) in
			*"pg_hone launcher"*) echo "$pid" ;;
		esac
	done
}

postmaster_of() {
	head -n 1 "$HONE_WORK/cpu-$1/data/postmaster.pid"
}

children_of() {
	cat "/proc/$(postmaster_of "$1")/task"/*/children
}

# CPU time of everything of a server but the serving backends: the processes that
# there are, and those that have been (collector workers).
background_cpu() {
	local config=$1 pid serving=" ${backends[$1]} " stat
	local -a others=("$(postmaster_of "$config")")

	for pid in $(children_of "$config"); do
		case $serving in
			*" $pid "*) ;;
			*) others+=("$pid") ;;
		esac
	done
	stat=$(cat "/proc/${others[0]}/stat")
	# shellcheck disable=SC2086
	set -- ${stat##*) }
	echo $(($(cpu_of "${others[@]}") + (${14} + ${15}) * ticks_ns))
}

# One long slice (half of its time is the client's, roughly), to see what a server's other processes do during it. Notes
# "background CONFIGURATION LOAD LAUNCHER OTHERS SERVING WALL", all in us.
watch_background() {
	local config=$1 load=$2 clients=$3 transactions=$4
	local launcher l0=0 l1=0 b0 b1

	launcher=$(launcher_of "$config")
	[ -z "$launcher" ] || l0=$(cpu_of "$launcher")
	b0=$(background_cpu "$config")
	slice "$config" "$clients" "$transactions"
	[ -z "$launcher" ] || l1=$(cpu_of "$launcher")
	b1=$(background_cpu "$config")
	echo "background $config $load $(((l1 - l0) / 1000)) $(((b1 - b0 - l1 + l0) / 1000)) $((cpu_ns / 1000)) $wall_us" >>"$results"
}

# --- calls accounted for -----------------------------------------------------

# What a tool's view says was called, in the load and (pg_hone, whose row <other>
# does not say whose calls it has) by our own questions.
calls_in_view() {
	case $1 in
		pgss) hone_psql cpu-pgss -d bench -A -t -c \
			"SELECT coalesce(sum(calls), 0) FROM pg_stat_statements WHERE query LIKE '%FROM churn%'" ;;
		hone) hone_psql cpu-hone -d bench -A -t -c "SELECT coalesce(sum(calls), 0) FROM hone.query_stats" ;;
	esac
}

# account CONFIGURATION CALLS-BEFORE QUESTIONS: notes "calls CONFIGURATION
# EXECUTED ACCOUNTED". QUESTIONS are those asked since, which pg_hone has counted.
account() {
	local config=$1 now

	now=$(calls_in_view "$config") || return 1
	[ "$config" = hone ] || set -- "$1" "$2" 0
	echo "calls $config ${executed[$config]} $((now - $2 - $3))" >>"$results"
}

# --- all ---------------------------------------------------------------------

measure_load() {
	local load=$1 clients config transactions round i warm
	local -a configs
	local -A calls
	clients=$(load_clients "$load")
	read -r -a configs <<<"$(cpu_configs "$load")"

	for config in "${configs[@]}"; do
		open_gate "$config" "$load"
	done

	# How many transactions make a slice, by CPU time: the wall clock also counts
	# what others do. Then all are warmed up with one slice, or with so many query
	# shapes that tables of them are full.
	slice nothing "$clients" 100
	slice nothing "$clients" 400
	transactions=$((slice_ms * 1000000 * 400 / cpu_ns + 1))
	warm=$transactions
	[ "$load" != churn ] || warm=57344		# 3.5 times all of them
	[ "$load" = churn ] && for config in pgss hone; do
		calls[$config]=$(calls_in_view $config)
	done
	for config in "${configs[@]}"; do
		slice "$config" "$clients" "$warm"
	done
	[ "$load" = churn ] && for config in pgss hone; do
		account $config "${calls[$config]}" 1
	done

	for ((round = 0; round < rounds; round++)); do
		for ((i = 0; i < ${#configs[@]}; i++)); do
			config=${configs[$(((i + round) % ${#configs[@]}))]}
			slice "$config" "$clients" "$transactions"
			echo "cpu $config $load $round $cpu_ns $wall_us $((clients * transactions))" >>"$results"
		done
	done
	[ "$load" = churn ] && for config in pgss hone; do
		account $config "${calls[$config]}" 2
	done

	if [ "$background_s" -gt 0 ]; then
		for config in nothing pgss hone; do
			watch_background "$config" "$load" "$clients" $((transactions * background_s * 500 / slice_ms))
		done
	fi
	for config in "${configs[@]}"; do
		close_gate "$config"
	done
	hone_say "cpu $load: $rounds rounds of $((clients * transactions)) transactions"
}

# measure_cpu LOAD...: notes "cpu CONFIGURATION LOAD ROUND CPU-NS WALL-US
# TRANSACTIONS" for each slice.
measure_cpu() {
	local load config all=" "

	for load in "$@"; do
		for config in $(cpu_configs "$load"); do
			[ "${all/ $config /}" = "$all" ] || continue
			all="$all$config "
			make_server "cpu-$config" "$config" && warm_server "cpu-$config" ||
				hone_die "no server: $config"
		done
	done
	hone_say "servers:$all"
	for load in "$@"; do
		measure_load "$load"
	done
	for config in $all; do
		hone_server_stop "cpu-$config"
	done
}
