#!/usr/bin/env bash
# The C compiler that build.sh names to cargo: `zig cc` for the target in $ZIG_TARGET. Cargo's name of the target, which
# zig does not know, is left out. The sanitizer and the debug information that zig adds on its own are off.
set -euo pipefail
arguments=()
for argument in "$@"; do
  case $argument in --target=*) ;; *) arguments+=("$argument") ;; esac
done
exec "$RELEASE_PYTHON" -m ziglang cc -target "$ZIG_TARGET" -fno-sanitize=all -g0 "${arguments[@]}"
