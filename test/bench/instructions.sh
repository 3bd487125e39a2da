# instructions.sh: instructions per transaction, user space, of the backend that
# serves it, counted by callgrind.
#
# A whole server runs under valgrind and is asked by pgbench through its socket
# as ever. Each load is run by two sessions, one with few transactions and one
# with many, with the same random numbers; the difference of the two backends'
# totals, divided by the difference in transactions, is what one costs once all
# caches are warm. It is the same from run to run within a few tenths of a
# percent.
#
# Two things would make a server under valgrind behave otherwise than it does at
# its own speed, which is some fifty times higher:
# - Its client would always have sent the next command before it looks, and it
#   would never wait. So the client sleeps before each command.
# - What depends on durations. Thresholds are raised accordingly below.
#
# And one thing is luck: whether the malloc() of the C library, which the
# server's memory contexts ask a few times in a transaction, finds what it wants
# at once. It does in a session that has never run anything else, and pays some
# 500 instructions more per transaction after a few other queries have left holes
# in its heap, so in all real ones. Therefore every session first runs a few such
# queries (loads/lived_in.sql). The holes still differ from one configuration to
# the next, by some hundred instructions; so beside the raw figure there is one
# in which every call of malloc costs what it does in "nothing". That one is
# repeatable, and is held against the limits.

few_transactions() {
	[ "$1" = join ] && echo 50 || echo 500
}

many_transactions() {
	[ "$1" = join ] && echo 250 || echo 1500
}

# instruction_server CONFIGURATION: a server under valgrind.
instruction_server() {
	local config=$1 name=cg-$1 tries=0
	local -a lines=("log_disconnections = on")

	case $config in
		pgss_*) lines+=("auto_explain.log_min_duration = '100s'") ;;
		hone*)
			lines+=("pg_hone.slow_query_ms = '100s'" "pg_hone.slow_plan_ms = '1000s'")
			# A collector fifty times slower holds its snapshots that much
			# longer, and the load pays for versions that could not be pruned.
			lines+=("pg_hone.collect_interval = 0")
			;;
	esac
	make_server "$name" "$config" "${lines[@]}" && hone_server_stop "$name" || return 1
	mkdir -p "$HONE_WORK/$name/callgrind"
	(cd "$HONE_WORK/$name" && exec valgrind --tool=callgrind --vgdb=no --trace-children=yes \
		--log-file="$HONE_WORK/$name/valgrind.log" \
		--callgrind-out-file="$HONE_WORK/$name/callgrind/out.%p" \
		"$hone_bin/postgres" -D "$HONE_WORK/$name/data") >"$hone_logs/server-$name.log" 2>&1 &
	until hone_psql "$name" -q -d bench -c '' 2>/dev/null; do
		tries=$((tries + 1))
		[ $tries -lt 240 ] || { tail -n 20 "$hone_logs/server-$name.log"; return 1; }
		sleep 0.5
	done
	warm_server "$name"
}

# The load, with a sleep of the client before each command, after some other
# queries the first time.
patient_load() {
	echo '\if :lived = 0'
	cat test/bench/loads/lived_in.sql
	echo '\endif'
	echo '\set lived 1'
	awk '!/^\\/ { print "\\sleep 1 ms" } { print }' "$(load_file "$1")"
}

# instruction_session CONFIGURATION LOAD TRANSACTIONS: leaves the backend's
# callgrind output in callgrind/LOAD.TRANSACTIONS of the server's directory.
instruction_session() {
	local config=$1 load=$2 transactions=$3 name=cg-$1 tag=$2.$3 pid tries=0 lines

	lines=$(wc -l <"$hone_logs/server-$name.log")
	patient_load "$load" >"$HONE_WORK/$name/load.sql"
	PGAPPNAME=$tag hone_pgbench "$name" -n -c 1 -t "$transactions" -M "$(load_protocol "$load")" \
		-s $bench_scale -D lived=0 --random-seed=1 -f "$HONE_WORK/$name/load.sql" bench \
		>"$hone_logs/$name-$tag.log" 2>&1 || { tail -n 20 "$hone_logs/$name-$tag.log"; return 1; }
	# pgbench has two connections, and the second does the work. A backend
	# writes its output when it is gone from the server's view.
	while :; do
		pid=$(tail -n +$((lines + 1)) "$hone_logs/server-$name.log" | sed -nE "s/^[^ ]+ [^ ]+ [^ ]+ ([0-9]+) ${tag//./\\.} .*disconnection: .*/\1/p" |
			sed -n 2p)
		[ -z "$pid" ] || [ -d "/proc/$pid" ] || break
		tries=$((tries + 1))
		[ $tries -lt 300 ] || { echo "no end of session $tag on $name"; return 1; }
		sleep 0.1
	done
	mv "$HONE_WORK/$name/callgrind/out.$pid" "$HONE_WORK/$name/callgrind/$tag"
}

# callgrind CONFIGURATION LOAD: the names of its two files, few and many.
instruction_files() {
	echo "$HONE_WORK/cg-$1/callgrind/$2.$(few_transactions "$2")" \
		"$HONE_WORK/cg-$1/callgrind/$2.$(many_transactions "$2")"
}

instruction_count() {
	local load=$2

	# shellcheck disable=SC2046
	perl test/bench/callgrind.pl total $(($(many_transactions "$load") - $(few_transactions "$load"))) \
		$(instruction_files "$1" "$load")
}

# count_configuration CONFIGURATION LOAD...: notes in $results "instructions
# CONFIGURATION LOAD COUNT MALLOC CALLS".
count_configuration() {
	local config=$1 load count
	shift

	instruction_server "$config" || hone_die "no server under valgrind: $config"
	for load in "$@"; do
		# The first session is for warming up.
		instruction_session "$config" "$load" "$(few_transactions "$load")" &&
			instruction_session "$config" "$load" "$(few_transactions "$load")" &&
			instruction_session "$config" "$load" "$(many_transactions "$load")" &&
			count=$(instruction_count "$config" "$load") || hone_die "no count: $config $load"
		echo "instructions $config $load $count" >>"$results"
		hone_say "instructions $config $load ${count%% *}"
	done
	hone_server_stop "cg-$config"
	rm -rf "$HONE_WORK/cg-$config/data"
}

# count_instructions CONFIGURATIONS LOAD..., as many servers at a time as --jobs
# says.
count_instructions() {
	local configs=$1 config
	local -a waiting=()
	shift

	for config in $configs; do
		if [ "$config" = queryid ]; then
			# What is beyond the query id matters in the simple protocol only.
			[[ " $* " == *" select-simple "* ]] || continue
			count_configuration queryid select-simple &
		else
			count_configuration "$config" "$@" &
		fi
		waiting+=($!)
		if [ ${#waiting[@]} -ge "$jobs" ]; then
			wait "${waiting[0]}" || hone_die "counting stopped"
			waiting=("${waiting[@]:1}")
		fi
	done
	for config in "${waiting[@]}"; do
		wait "$config" || hone_die "counting stopped"
	done
}

profile_load() {
	local load=$1 config=${2:-hone} library=pg_hone.so

	[ "$config" = pgss ] && library=pg_stat_statements.so
	echo
	echo "## Profile: $(load_title "$load")"
	echo
	# shellcheck disable=SC2046
	perl test/bench/callgrind.pl profile $(($(many_transactions "$load") - $(few_transactions "$load"))) \
		$(instruction_files "$config" "$load") $(instruction_files nothing "$load") $library
}
