# shellcheck shell=bash
# Where the node keeps things, and its addresses. Sourced by all scripts of the node.
# E2E is the folder of this run, PROGRAMS what programs/build.sh made, CONTROL_PLANE what `make control-plane` made.
: "${E2E:?}" "${PROGRAMS:?}" "${CONTROL_PLANE:?}"
export NODE=$E2E/node NODE_IP=10.88.0.2 HOST_IP=10.88.0.1 PODS=10.244.0.0/24 SERVICES=10.96.0.0/16 LINK=certcourier-e2e
export PATH=$CONTROL_PLANE:$PROGRAMS/bin:$PROGRAMS/debian/usr/bin:$PATH
export KUBECONFIG=$NODE/pki/admin.kubeconfig
unset HTTP_PROXY HTTPS_PROXY http_proxy https_proxy

# inside COMMAND...: in the node's namespaces.
inside() { nsenter --target "$(cat "$NODE/pid")" --mount --cgroup --net --pid "$@"; }

# until_true SECONDS WHAT COMMAND...
until_true() {
  local end=$((SECONDS + $1)) what=$2
  shift 2
  until "$@" >/dev/null 2>&1; do
    if [ "$SECONDS" -ge "$end" ]; then
      echo "e2e: gave up waiting for $what; the logs are in $NODE/log" >&2
      return 1
    fi
    sleep 0.1
  done
}
