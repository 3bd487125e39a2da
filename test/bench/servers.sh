# servers.sh: the configurations that test/bench/capture compares, what is run
# on them, and how a server of each is made.
#
# All servers are copies of one data directory, so that they differ in nothing
# but what they preload. fsync and autovacuum are off and checkpoints rare: they
# would be noise of the same size as what is measured.

bench_scale=5			# of pgbench's tables

# What a configuration, known by a short name (report.pl has the long ones), puts
# into postgresql.conf.
config_lines() {
	case $1 in
		queryid) echo "compute_query_id = on" ;;
		pgss) echo "shared_preload_libraries = 'pg_stat_statements'" ;;
		pgss_ae | pgss_analyze)
			echo "shared_preload_libraries = 'pg_stat_statements,auto_explain'"
			echo "auto_explain.log_min_duration = '100ms'"
			[ "$1" = pgss_ae ] || echo "auto_explain.log_analyze = on"
			;;
		hone) echo "shared_preload_libraries = 'pg_hone'" ;;
		hone_off)
			echo "shared_preload_libraries = 'pg_hone'"
			echo "pg_hone.enabled = off"
			;;
	esac
}

config_extension() {
	case $1 in
		pgss*) echo pg_stat_statements ;;
		hone*) echo pg_hone ;;
	esac
}

load_title() {
	case $1 in
		select-prepared) echo "point SELECT, prepared" ;;
		select-simple) echo "point SELECT, simple protocol" ;;
		select1) echo "select 1, prepared" ;;
		tpcb) echo "TPC-B, prepared" ;;
		join) echo "1,000-row join, prepared" ;;
		churn) echo "16,384 query shapes, simple protocol" ;;
		hot) echo "8 clients, one point SELECT, prepared" ;;
		*) return 1 ;;
	esac
}

load_file() {
	case $1 in
		select-* | hot) echo test/bench/loads/point_select.sql ;;
		*) echo "test/bench/loads/$1.sql" ;;
	esac
}

load_protocol() {
	case $1 in
		select-simple | churn) echo simple ;;
		*) echo prepared ;;
	esac
}

load_clients() {
	[ "$1" = hot ] && echo 8 || echo 1
}

# The data directory that all servers are copies of.
make_template() {
	local letter columns=""

	cat >"$HONE_WORK/bench.conf" <<-EOF
		fsync = off
		autovacuum = off
		shared_buffers = 256MB
		max_wal_size = 8GB
		checkpoint_timeout = 1h
		max_connections = 40
		log_line_prefix = '%m %p %a '
		log_checkpoints = off
	EOF
	for letter in a b c d e f g h i j k l m n; do
		columns="$columns, ${letter}0 int DEFAULT 0, ${letter}1 int DEFAULT 1"
	done
	hone_server_start template "$HONE_WORK/bench.conf" &&
		hone_psql template -q -d postgres -c 'CREATE DATABASE bench' &&
		hone_pgbench template -i -q -s $bench_scale bench >"$hone_logs/pgbench-init.log" 2>&1 &&
		hone_psql template -q -d bench -c "CREATE TABLE churn (id int PRIMARY KEY $columns)" \
			-c 'INSERT INTO churn (id) SELECT generate_series(1, 10)' \
			-c 'CREATE EXTENSION pg_prewarm' -c 'VACUUM (FREEZE, ANALYZE)' -c 'CHECKPOINT' &&
		hone_server_stop template || hone_die "could not make the data"
}

# make_server NAME CONFIGURATION [LINE...]: a running copy. The lines go into
# its configuration after the others.
make_server() {
	local name=$1 config=$2 dir=$HONE_WORK/$1 extension
	shift 2

	rm -rf "$dir"
	mkdir -p "$dir"
	cp -R "$HONE_WORK/template/data" "$dir/data" || return 1
	chmod 0700 "$dir/data"
	{
		echo "unix_socket_directories = '$dir'"
		config_lines "$config"
		printf '%s\n' "$@"
	} >>"$dir/data/postgresql.conf"
	start_server "$name" || return 1
	extension=$(config_extension "$config")
	[ -z "$extension" ] || hone_psql "$name" -q -d bench -c "CREATE EXTENSION $extension"
}

start_server() {
	"$hone_bin/pg_ctl" -D "$HONE_WORK/$1/data" -l "$hone_logs/server-$1.log" -t 60 -w start >/dev/null ||
		{ tail -n 40 "$hone_logs/server-$1.log"; return 1; }
}

# Whatever a load may touch, into shared buffers.
warm_server() {
	hone_psql "$1" -q -d bench -o /dev/null -c "SELECT sum(pg_prewarm(oid)) FROM pg_class
		WHERE (relname LIKE 'pgbench%' OR relname LIKE 'churn%') AND relkind IN ('r', 'i')"
}

# hone_pgbench SERVER ARGUMENT...
hone_pgbench() {
	local name=$1
	shift
	"$hone_bin/pgbench" -h "$HONE_WORK/$name" -p 5432 -U postgres "$@"
}
