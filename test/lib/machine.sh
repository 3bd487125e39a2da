# machine.sh: the outer half of test/run.sh and test/demo/run.sh.
#
# How it works: the outer half runs as whoever called. It installs the Debian
# packages that are missing, copies the source tree to a private temporary
# directory, and runs the inner half there (the same script, with HONE_WORK
# set, see server.sh beside this file). Called as root, the inner half runs as
# "nobody": PostgreSQL refuses root, and nobody owns no file of the machine's
# own clusters. Called by an ordinary user, it runs as that user.
#
# What must stay true:
# - nothing is written outside the temporary directory, except packages;
# - no cluster of the machine is created, started, stopped or connected to:
#   the inner half gets an empty environment (no PGHOST, PGPORT, PGDATA), its
#   servers listen on a Unix socket inside the temporary directory only;
# - on any exit, Ctrl-C included, every process working inside the temporary
#   directory is ended and the directory removed. (Only kill -9 of this script
#   leaves it behind.)
#
# Settings from the environment: HONE_TMPDIR (where the temporary directory is
# made), HONE_KEEP=1 (do not remove it; for looking at a failure).

hone_die() {
	printf '%s: %s\n' "$(basename "$0")" "$*" >&2
	exit 1
}

# Run a command as root: directly, or through sudo.
hone_as_root() {
	if [ "$(id -u)" = 0 ]; then
		"$@"
	elif command -v sudo >/dev/null; then
		sudo "$@"
	else
		hone_die "needs root or sudo to install packages; as root run: apt-get install ${hone_missing[*]}"
	fi
}

hone_package_installed() {
	[ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
}

hone_apt_install() {
	hone_as_root env DEBIAN_FRONTEND=noninteractive \
		apt-get -q -y -o DPkg::Lock::Timeout=300 -o Dpkg::Use-Pty=0 \
		install --no-install-recommends "$@" </dev/null >"$hone_apt_log" 2>&1 ||
		{ tail -n 30 "$hone_apt_log" >&2; hone_die "could not install $*"; }
}

# Install what is missing of the given packages, and say so.
hone_need_packages() {
	local package no_cluster=/etc/postgresql-common/createcluster.d/pg_hone-no-cluster.conf

	command -v dpkg-query >/dev/null && command -v apt-get >/dev/null ||
		hone_die "installs Debian packages, and this is not a Debian system; needed: $*"

	hone_missing=()
	for package in "$@"; do
		hone_package_installed "$package" || hone_missing+=("$package")
	done
	[ ${#hone_missing[@]} -gt 0 ] || return 0

	echo "installing Debian packages: ${hone_missing[*]}"
	hone_apt_log=$(mktemp)
	hone_as_root apt-get -q -o DPkg::Lock::Timeout=300 update </dev/null >"$hone_apt_log" 2>&1 ||
		echo "apt-get update failed; trying with the package lists as they are" >&2

	# Installing a server package creates and starts a cluster "main" unless
	# told otherwise. Tell it otherwise, for this one installation only.
	if ! hone_package_installed postgresql-15; then
		hone_package_installed postgresql-common || hone_apt_install postgresql-common
		echo "(no cluster is created by this; to have one later: pg_createcluster 15 main)"
		hone_as_root mkdir -p "${no_cluster%/*}"
		trap 'hone_as_root rm -f '"$no_cluster" EXIT
		echo "create_main_cluster = false" | hone_as_root tee "$no_cluster" >/dev/null
		hone_apt_install "${hone_missing[@]}"
		hone_as_root rm -f "$no_cluster"
		hone_as_root rmdir --ignore-fail-on-non-empty "${no_cluster%/*}"
		trap - EXIT
	else
		hone_apt_install "${hone_missing[@]}"
	fi
	rm -f "$hone_apt_log"
}

# Make the temporary directory, in a place where there is room and where
# programs may run. Socket paths are short, so a deep TMPDIR will not do.
hone_make_work() {
	local place free probe="" wanted_mb=$1

	for place in "${HONE_TMPDIR:-}" /tmp /var/tmp; do
		[ -n "$place" ] && [ -d "$place" ] && [ -w "$place" ] && [ ${#place} -le 40 ] || continue
		free=$(df -Pm "$place" | awk 'NR == 2 { print $4 }')
		[ "$free" -ge "$wanted_mb" ] || continue
		HONE_WORK=$(mktemp -d "$place/pg_hone.XXXXXX") || continue
		probe=$HONE_WORK/probe
		printf '#!/bin/sh\n' >"$probe" && chmod +x "$probe"
		if "$probe" 2>/dev/null; then
			rm -f "$probe"
			return 0
		fi
		rm -rf "$HONE_WORK"
	done
	hone_die "found no directory with $wanted_mb MB free where programs may run; set HONE_TMPDIR"
}

# The files of the checkout: what git tracks and what it does not ignore.
hone_copy_tree() {
	local source=$1 target=$2

	mkdir -p "$target"
	if git -c safe.directory='*' -C "$source" rev-parse --is-inside-work-tree >/dev/null 2>&1; then
		(cd "$source" &&
			git -c safe.directory='*' ls-files -z --cached --others --exclude-standard |
			while IFS= read -r -d '' file; do
				[ -e "$file" ] && printf '%s\0' "$file"
			done | tar -cf - --null --no-recursion -T -) | tar -xf - -C "$target"
	else
		tar -C "$source" --exclude=./.git --exclude='*.o' --exclude='*.bc' --exclude='*.d' \
			--exclude='*.so' --exclude=./pg_hone--0.1.sql --exclude=./results \
			--exclude=./tmp_check -cf - . | tar -xf - -C "$target" --no-same-owner
	fi
}

# Ids of the processes whose working directory is in the temporary directory.
hone_our_processes() {
	local link

	for link in /proc/[0-9]*/cwd; do
		case $(readlink "$link" 2>/dev/null) in
			"$HONE_WORK"|"$HONE_WORK"/*)
				link=${link#/proc/}
				[ "${link%/cwd}" = $$ ] || echo "${link%/cwd}" ;;
		esac
	done
}

hone_clean_up() {
	local round signal=QUIT pids		# to a server: stop at once

	trap '' INT TERM HUP
	# First the script that would start the next thing.
	[ -z "${hone_child:-}" ] || kill -KILL "$hone_child" 2>/dev/null
	for round in 1 2 3 4 5 6 7 8 9 10; do
		pids=$(hone_our_processes)
		[ -n "$pids" ] || break
		[ "$round" -lt 7 ] || signal=KILL
		# shellcheck disable=SC2086
		kill -$signal $pids 2>/dev/null
		sleep 0.3
	done
	if [ -n "${HONE_KEEP:-}" ]; then
		echo "kept: $HONE_WORK"
	else
		rm -rf "$HONE_WORK"
	fi
}

# hone_run_inside SCRIPT MEGABYTES ARGUMENT...: copy the tree and run SCRIPT
# (relative to the tree) in the copy as its inner half. Ends the script.
hone_run_inside() {
	local source=$1 script=$2 wanted_mb=$3 status
	local -a step=()
	shift 3

	[ "$(uname -s)" = Linux ] || hone_die "runs on Linux only"
	hone_make_work "$wanted_mb"
	trap 'hone_clean_up' EXIT
	trap 'exit 129' HUP
	trap 'exit 130' INT
	trap 'exit 143' TERM

	hone_copy_tree "$source" "$HONE_WORK/tree" || hone_die "could not copy $source"
	mkdir -p "$HONE_WORK/tmp"
	if [ "$(id -u)" = 0 ]; then
		chown -R nobody:nogroup "$HONE_WORK"
		step=(setpriv --reuid=nobody --regid=nogroup --clear-groups)
	fi
	chmod -R u+rwX,go-rwx "$HONE_WORK"

	# In the background, so that the traps run while it does. A background
	# process has SIGINT ignored; cleaning up ends it.
	(cd "$HONE_WORK/tree" && exec "${step[@]}" env -i \
		PATH=/usr/lib/postgresql/15/bin:/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin \
		HOME="$HONE_WORK" TMPDIR="$HONE_WORK/tmp" LC_ALL=C.UTF-8 LANG=C.UTF-8 TERM=dumb TZ=UTC \
		CI="${CI:-}" HONE_WORK="$HONE_WORK" \
		bash "$script" "$@" </dev/null) &
	hone_child=$!
	wait $hone_child
	status=$?
	hone_child=
	exit $status
}
