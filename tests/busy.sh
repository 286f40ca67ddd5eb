#!/usr/bin/env bash
# busy.sh LOOPS CMD...: runs a command beside so many busy loops, and exits as it does.
#
# A test that waits for time instead of for an event passes on a quiet machine and fails here.
set -euo pipefail
loops=$1
shift
running=()
stop() { kill "${running[@]}" 2>/dev/null || true; }
trap stop EXIT
trap 'exit 130' INT TERM
for _ in $(seq "$loops"); do
  (while :; do :; done) &
  running+=($!)
done
"$@"
