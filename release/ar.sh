#!/usr/bin/env bash
# The archiver that belongs to cc.sh.
exec "$RELEASE_PYTHON" -m ziglang ar "$@"
