# server.sh: the inner half of test/run.sh and test/demo/run.sh: a private copy
# of PostgreSQL and servers of it.
#
# PostgreSQL finds its share and lib directories relative to its programs, so
# a copy below another root is complete: $HONE_WORK/root/usr/lib/postgresql/15
# and $HONE_WORK/root/usr/share/postgresql/15, with usr/include linked to the
# real one. The extension is installed there by an ordinary "make install", and
# the machine's PostgreSQL never sees it.
#
# Expects HONE_WORK (see machine.sh), an ordinary user, and the source tree as
# the working directory. Everything made here is below HONE_WORK; whoever made
# that directory ends the servers and removes it.

set -u -o pipefail

hone_root=$HONE_WORK/root
hone_bin=$hone_root/usr/lib/postgresql/15/bin
hone_pgxs=$hone_root/usr/lib/postgresql/15/lib/pgxs
hone_logs=$HONE_WORK/logs
hone_start=$SECONDS
hone_jobs=$(nproc)
mkdir -p "$hone_logs"

# One progress line, with the time since the start.
hone_say() {
	printf '[%3ds] %s\n' $((SECONDS - hone_start)) "$*"
}

hone_die() {
	printf '%s\n' "$*" >&2
	exit 1
}

hone_relocate_postgres() {
	[ -x /usr/lib/postgresql/15/bin/postgres ] || hone_die "PostgreSQL 15 is not in /usr/lib/postgresql/15"
	mkdir -p "$hone_root/usr/lib/postgresql" "$hone_root/usr/share/postgresql"
	cp -R --preserve=mode,timestamps,links /usr/lib/postgresql/15 "$hone_root/usr/lib/postgresql/" &&
		cp -R --preserve=mode,timestamps,links /usr/share/postgresql/15 "$hone_root/usr/share/postgresql/" &&
		ln -s /usr/include "$hone_root/usr/include" ||
		hone_die "could not copy PostgreSQL"
	chmod -R u+w "$hone_root"
	# One that the machine may have installed is not the one to test.
	find "$hone_root/usr" -name 'pg_hone*' -prune -exec rm -rf {} +
	PATH=$hone_bin:$PATH
	export PATH
}

# hone_make LOG TARGET... [VARIABLE=VALUE...]
hone_make() {
	local log=$hone_logs/$1

	shift
	make -j"$hone_jobs" PG_CONFIG="$hone_bin/pg_config" "$@" >"$log" 2>&1
}

# hone_server_start NAME [CONFIGURATION-FILE...]: a new server on a socket in
# $HONE_WORK/NAME, superuser "postgres", running and ready when this returns.
hone_server_start() {
	local name=$1 dir=$HONE_WORK/$1 file
	shift

	mkdir -p "$dir"
	"$hone_bin/initdb" -D "$dir/data" -U postgres -A trust -E UTF8 --locale=C.UTF-8 --no-sync \
		>"$hone_logs/initdb-$name.log" 2>&1 || { cat "$hone_logs/initdb-$name.log"; return 1; }
	{
		echo "listen_addresses = ''"
		echo "unix_socket_directories = '$dir'"
		echo "unix_socket_permissions = 0700"
		for file in "$@"; do
			cat "$file"
		done
	} >>"$dir/data/postgresql.conf"
	"$hone_bin/pg_ctl" -D "$dir/data" -l "$hone_logs/server-$name.log" -t 60 -w start >/dev/null ||
		{ tail -n 40 "$hone_logs/server-$name.log"; return 1; }
}

hone_server_stop() {
	"$hone_bin/pg_ctl" -D "$HONE_WORK/$1/data" -m "${2:-fast}" -w stop >/dev/null
}

# hone_psql NAME ARGUMENT...: psql on that server as its superuser.
hone_psql() {
	local name=$1
	shift
	"$hone_bin/psql" -X -h "$HONE_WORK/$name" -p 5432 -U postgres -v ON_ERROR_STOP=1 "$@"
}
