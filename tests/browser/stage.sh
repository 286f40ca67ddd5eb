#!/usr/bin/env bash
# The stage of the demo, and the browser tests on it.
set -uo pipefail
# shellcheck source=demo/stage.sh
. "$(dirname "$0")/../../demo/stage.sh"

# All browsers come from one address.
read -ra server_flags <<<"--rate-per-address 100000 --rate-burst 100000 --rate-lookups 100000 --rate-malformed 100000 \
    --rate-per-person 100000 --rate-person-burst 100000 --rate-connections 100000 ${SERVER_FLAGS:-}"
set_the_stage || exit 1
as dave apply -f "$here/examples/00-certificate.yaml" >/dev/null || exit 1

export STAGE_URL=$url STAGE_CA=$work/ca.crt STAGE_PEOPLE=$people STAGE_NAMESPACE=$namespace STAGE_WORK=$work
export STAGE_PLUGIN=$plugin
export PYTHONDONTWRITEBYTECODE=1
"$PLAYWRIGHT/bin/python" "$here/tests/browser" "$@"
