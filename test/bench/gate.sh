#!/bin/sh
# Called by pgbench (\setshell) before a slice's first transaction: says that
# the last slice is over, waits for the next, and prints its length in
# transactions. What the server does meanwhile is waiting for its client.
#
#	gate.sh DIRECTORY CLIENT
echo "$2" >"$1/done"
read -r transactions <"$1/go.$2"
echo "$transactions"
