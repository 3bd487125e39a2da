#!/usr/bin/env bash
# Builds pg_hone with warnings as errors and runs every test on private servers.
#
#	test/run.sh [PART [NAME...]]
#
# Without arguments all parts run; PART selects one, NAMEs select inside it:
#	library		both compilers, exported symbols
#	regress		sql/NAME.sql, by "make installcheck", twice on one server
#	isolation	test/isolation/specs/NAME.spec
#	tap			test/t/NAME*.pl
#	pgtap		test/pgtap/NAME.sql
#
# What is counted in the last line: each compiler's build, the check of the
# symbols, each regression file (and the second round as one), each isolation
# spec, each single assertion of TAP and pgTAP files (a file that dies or does
# not finish its plan counts as one more failure), and that no server crashed.
#
# Installs missing Debian packages (saying which), works as root and as an
# ordinary user with sudo, from any directory, and leaves nothing running: see
# test/lib/machine.sh.

if [ -z "${HONE_WORK:-}" ]; then
	here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd) || exit 1
	. "$here/lib/machine.sh"
	hone_need_packages build-essential clang postgresql-15 postgresql-server-dev-15 \
		postgresql-15-cron postgresql-15-pgtap libipc-run-perl
	hone_run_inside "${here%/test}" test/run.sh 1500 "$@"
fi

. test/lib/server.sh

passed=0
failed=0
failures=()

ok() {
	passed=$((passed + ${2:-1}))
}

not_ok() {
	failed=$((failed + ${2:-1}))
	failures+=("$1")
	hone_say "FAILED: $1"
}

# The end of a file, marked as a quotation.
quote() {
	echo "--- $(basename "$1"), last ${2:-60} lines"
	tail -n "${2:-60}" "$1" | sed 's/^/    /'
}

# --- library -----------------------------------------------------------------

build_with_gcc() {
	if hone_make make-gcc.log all CC=gcc COPT="-Wall -Wextra -Werror" &&
		hone_make make-install.log install CC=gcc COPT="-Wall -Wextra -Werror"; then
		ok "gcc"
	else
		not_ok "build with gcc"
		grep -hE -A5 'error:|warning:|\*\*\*' "$hone_logs"/make-gcc.log "$hone_logs"/make-install.log | head -n 60
		finish
	fi
}

# In a copy of its own, so that both compilers' objects never mix.
build_with_clang() {
	mkdir -p "$HONE_WORK/clang"
	cp -R Makefile pg_hone.control src "$HONE_WORK/clang/"
	find "$HONE_WORK/clang" \( -name '*.o' -o -name '*.bc' -o -name '*.d' \) -delete
	if hone_make make-clang.log -C "$HONE_WORK/clang" all CC=clang with_llvm=no \
		COPT="-Wall -Wextra -Werror"; then
		ok "clang"
	else
		not_ok "build with clang"
		grep -hE -A5 'error:|warning:|\*\*\*' "$hone_logs/make-clang.log" | head -n 60
	fi
}

# PostgreSQL loads libraries with RTLD_GLOBAL: a name that is not ours by its
# prefix can collide with another extension's.
check_symbols() {
	local strangers

	strangers=$(nm -D --defined-only pg_hone.so | awk '{ print $NF }' |
		grep -vE '^(hone_[a-z0-9_]+|pg_finfo_hone_[a-z0-9_]+|Pg_magic_func|_PG_init)$')
	if [ -z "$strangers" ]; then
		ok "symbols"
	else
		not_ok "exported symbols"
		echo "$strangers"
	fi
}

# --- regress -----------------------------------------------------------------

# Counts the result lines of pg_regress and pg_isolation_regress.
count_regress() {
	local kind=$1 log=$2 status=$3 before=$failed
	local good bad name

	good=$(grep -cE '^test .* \.\.\. ok ' "$log")
	ok "$kind" "$good"
	while read -r name; do
		not_ok "$kind $name"
	done < <(sed -nE 's/^test ([^ ]+) +\.\.\. FAILED.*/\1/p' "$log")
	if [ "$status" != 0 ] && [ "$failed" = "$before" ]; then
		not_ok "$kind: did not run to its end"
		quote "$log"
	fi
}

part_regress() {
	local tests="$*" status diffs

	[ -n "$tests" ] || tests=$(cd sql 2>/dev/null && ls -- *.sql 2>/dev/null | sed 's/\.sql$//' | tr '\n' ' ')
	[ -n "${tests// /}" ] || { hone_say "regress: there are no tests"; return; }
	hone_server_start regress test/hone.conf || { not_ok "regress: server"; return; }

	regress_once "$tests" regress-1.log
	status=$?
	count_regress regress "$hone_logs/regress-1.log" $status
	if [ $status != 0 ]; then
		diffs=regression.diffs
		[ ! -s "$diffs" ] || quote "$diffs" 300
		quote "$hone_logs/server-regress.log" 40
	else
		# What a test leaves behind in the server must not disturb the next.
		if regress_once "$tests" regress-2.log; then
			ok "again"
		else
			not_ok "regress, a second time on the same server"
			[ ! -s regression.diffs ] || quote regression.diffs 150
		fi
	fi
	hone_server_stop regress || not_ok "regress: server did not stop"
}

regress_once() {
	PGHOST=$HONE_WORK/regress PGPORT=5432 PGUSER=postgres \
		make PG_CONFIG="$hone_bin/pg_config" REGRESS="$1" installcheck >"$hone_logs/$2" 2>&1
}

# --- isolation ---------------------------------------------------------------

part_isolation() {
	local specs="$*" status out=$HONE_WORK/isolation_out

	[ -n "$specs" ] || specs=$(cd test/isolation/specs 2>/dev/null && ls -- *.spec 2>/dev/null | sed 's/\.spec$//' | tr '\n' ' ')
	[ -n "${specs// /}" ] || { hone_say "isolation: there are no specs"; return; }
	hone_server_start isolation test/hone.conf || { not_ok "isolation: server"; return; }
	mkdir -p "$out"
	# shellcheck disable=SC2086
	PGUSER=postgres "$hone_pgxs/src/test/isolation/pg_isolation_regress" --bindir="$hone_bin" \
		--host="$HONE_WORK/isolation" --port=5432 --user=postgres --dbname=isolation_regression \
		--load-extension=pg_hone --inputdir=test/isolation --outputdir="$out" \
		$specs >"$hone_logs/isolation.log" 2>&1
	status=$?
	count_regress isolation "$hone_logs/isolation.log" $status
	if [ $status != 0 ]; then
		[ ! -s "$out/regression.diffs" ] || quote "$out/regression.diffs" 200
		quote "$hone_logs/server-isolation.log" 40
	fi
	hone_server_stop isolation || not_ok "isolation: server did not stop"
}

# --- TAP and pgTAP -----------------------------------------------------------

# Reads one file's TAP: counts assertions, and checks that it ended as planned.
count_tap() {
	local name=$1 log=$2 status=$3
	local good bad plan before=$failed

	good=$(grep -cE '^ok ' "$log")
	bad=$(grep -E '^not ok ' "$log" | grep -cvE '# TODO')
	plan=$(sed -nE 's/^1\.\.([0-9]+).*/\1/p' "$log" | tail -n 1)
	ok "$name" "$good"
	[ "$bad" = 0 ] || not_ok "$name" "$bad"
	if [ -z "$plan" ]; then
		not_ok "$name: died before its end (status $status)"
	elif [ "$plan" -gt $((good + bad)) ] && ! grep -qE '^1\.\.0 # SKIP' "$log"; then
		not_ok "$name: planned $plan, ran $((good + bad)) (status $status)"
	elif [ "$status" != 0 ] && [ "$bad" = 0 ]; then
		not_ok "$name: status $status"
	fi
	[ "$failed" = "$before" ]
}

part_tap() {
	local file name began

	export PG_REGRESS=$hone_pgxs/src/test/regress/pg_regress
	while read -r file; do
		name=$(basename "$file" .pl)
		began=$SECONDS
		mkdir -p "$HONE_WORK/tap/$name"
		TESTDIR=$HONE_WORK/tap/$name HONE_TREE=$PWD timeout --foreground --kill-after=20 600 \
			perl -I "$hone_pgxs/src/test/perl" -I test/t "$file" \
			>"$hone_logs/tap-$name.log" 2>"$hone_logs/tap-$name.err"
		if count_tap "tap $name" "$hone_logs/tap-$name.log" $?; then
			hone_say "  $name ($((SECONDS - began)) s)"
		else
			grep -E '^not ok' "$hone_logs/tap-$name.log" | head -n 20
			quote "$hone_logs/tap-$name.err" 40
			for log in "$HONE_WORK/tap/$name"/tmp_check/log/*.log; do
				[ ! -s "$log" ] || quote "$log" 30
			done
		fi
	done < <(select_files test/t .pl "$@")
}

part_pgtap() {
	local file name

	[ -n "$(select_files test/pgtap .sql "$@")" ] || { hone_say "pgtap: there are no tests"; return; }
	hone_server_start pgtap test/hone.conf &&
		hone_psql pgtap -q -d postgres -c 'CREATE DATABASE pgtap' &&
		hone_psql pgtap -q -d pgtap -c 'CREATE EXTENSION pg_hone; CREATE EXTENSION pgtap;' ||
		{ not_ok "pgtap: server"; return; }
	while read -r file; do
		name=$(basename "$file" .sql)
		hone_psql pgtap -q -t -A -d pgtap -f "$file" \
			>"$hone_logs/pgtap-$name.log" 2>"$hone_logs/pgtap-$name.err"
		if ! count_tap "pgtap $name" "$hone_logs/pgtap-$name.log" $?; then
			grep -E -A4 '^not ok' "$hone_logs/pgtap-$name.log" | grep -v '^ok' | head -n 100
			quote "$hone_logs/pgtap-$name.err" 20
		fi
	done < <(select_files test/pgtap .sql "$@")
	hone_server_stop pgtap || not_ok "pgtap: server did not stop"
}

# select_files DIRECTORY SUFFIX [NAME...]: all, or those that begin with a NAME.
select_files() {
	local dir=$1 suffix=$2 name
	shift 2
	if [ $# = 0 ]; then
		set -- ""
	fi
	for name in "$@"; do
		ls -- "$dir/$name"*"$suffix" 2>/dev/null
	done
}

# --- all ---------------------------------------------------------------------

# A backend that dies takes its server down and up again; tests may not notice.
check_no_crash() {
	local log crashed=""

	for log in "$hone_logs"/server-*.log; do
		[ -e "$log" ] || continue
		if grep -qE 'was terminated by signal|PANIC:|TRAP:|server process .* exited with exit code [^01]' "$log"; then
			crashed="$crashed $(basename "$log")"
			grep -hE -B3 'was terminated by signal|PANIC:|TRAP:' "$log" | head -n 40
		fi
	done
	[ -z "$crashed" ] && ok "no crash" || not_ok "a server crashed:$crashed"
}

finish() {
	local failure

	for failure in "${failures[@]}"; do
		echo "failed: $failure"
	done
	echo "$passed passed, $failed failed"
	[ "$failed" = 0 ] && [ "$passed" -gt 0 ]
	exit
}

run_part() {
	local part=$1 began=$SECONDS p=$passed f=$failed
	shift
	"part_$part" "$@"
	hone_say "$part: $((passed - p)) passed, $((failed - f)) failed, $((SECONDS - began)) s"
}

part_library() {
	build_with_clang
	check_symbols
}

case ${1:-all} in
	all|library|regress|isolation|tap|pgtap) ;;
	*) hone_die "unknown part \"$1\": library, regress, isolation, tap or pgtap" ;;
esac

hone_say "PostgreSQL is copied to $HONE_WORK"
hone_relocate_postgres
hone_say "build ($(pg_config --version), $hone_jobs at a time)"
build_with_gcc
if [ $# = 0 ] || [ "$1" = all ]; then
	for part in library regress isolation pgtap tap; do
		run_part $part
	done
else
	run_part "$@"
fi
check_no_crash
finish
