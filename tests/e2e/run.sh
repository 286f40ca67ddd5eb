#!/usr/bin/env bash
# run.sh possible    fails with 77, and says why, where containers cannot run
# run.sh [TEXT...]   a node of one machine with real containers, the image and the chart on it, and the checks whose sentence
#                    or section has one of the texts, or all. What a node needs is built once, into the account's cache.
#
# `make e2e` builds the rest and names it: HELM, PLUGIN, and IMAGE_ARCHIVE, an OCI archive.
# E2E_PATIENCE=3 waits three times as long where the machine is busy, E2E_RATE=1 mints one file a second instead of four.
# E2E_KEEP=1 leaves the node running, and prints how to use and how to end it.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
cd "$here/../.."
export E2E=$PWD/target/e2e
version=$(sed -n 's/.*k8s.io\/kubernetes v//p' tests/e2e/programs/kubernetes/go.mod | head -n 1)
cache=${XDG_CACHE_HOME:-$HOME/.cache}/certcourier
export PROGRAMS=$cache/node-$version CONTROL_PLANE=$cache/control-plane/$version

skip() {
  echo "e2e: skipped: $*"
  exit 77
}
[ "$(uname -s)-$(uname -m)" = Linux-x86_64 ] || skip "the node is tested on Linux on x86_64 alone"
[ "$(id -u)" = 0 ] || skip "containers need root"
unshare --mount --cgroup --net --pid --fork --mount-proc true 2>/dev/null || skip "namespaces cannot be made here"
[ "$(stat -f -c %T /sys/fs/cgroup)" != cgroup2fs ] || skip "the node is tested with cgroup v1 alone, and this machine has v2"
for kind in cpu cpuacct cpuset memory devices freezer blkio pids; do
  grep -q " cgroup .*\b$kind\b" /proc/mounts || skip "there is no cgroup v1 hierarchy for $kind"
done
# Of a run that was cut off, its own are still there.
[ -e "$E2E/node/pid" ] || [ ! -e /sys/fs/cgroup/cpu/kubepods ] || skip "this machine is a Kubernetes node already"
for program in ip nsenter openssl curl apt-get; do
  command -v $program >/dev/null || skip "$program is missing"
done

[ "${1:-}" != possible ] || exit 0

: "${HELM:?}" "${PLUGIN:?}" "${IMAGE_ARCHIVE:?}"
mkdir -p target
exec 8>target/e2e.lock
flock --nonblock 8 || { echo "e2e: another run is under way" >&2; exit 1; }
# With less the kubelet evicts pods, and checks fail for no fault of theirs.
[ "$(df --output=avail -m target | tail -n 1)" -ge 2000 ] || { echo "e2e: the node needs 2 GB below $PWD/target" >&2; exit 1; }
"$here/programs/build.sh" "$PROGRAMS"
# Of a run that was cut off.
"$here/node/node.sh" end
rm -rf "$E2E"
mkdir -p "$E2E"
"$here/node/image.py" "$E2E/images/pause.tar" localhost/pause:1 "$PROGRAMS/bin/pause=/pause"

finish() {
  local status=$? left
  trap - EXIT
  trap '' INT TERM HUP
  if [ -n "${E2E_KEEP:-}" ]; then
    echo "e2e: the node runs on: KUBECONFIG=$E2E/node/pki/admin.kubeconfig; to end it:" \
      "E2E=$E2E PROGRAMS=$PROGRAMS CONTROL_PLANE=$CONTROL_PLANE tests/e2e/node/node.sh end"
    exit $status
  fi
  "$here/node/node.sh" end || status=1
  if left=$("$here/node/node.sh" leftovers); then
    echo "e2e: nothing is left on the machine"
  else
    echo "e2e: FAIL left on the machine: $left"
    status=1
  fi
  # The logs of a run that failed stay; images and the database are gone in any case.
  if [ $status = 0 ]; then
    rm -rf "$E2E"
  else
    rm -rf "$E2E"/node/{containerd,etcd,kubelet} "$E2E"/images
    echo "e2e: the daemons' logs are in $E2E/node/log"
  fi
  exit $status
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

began=$SECONDS
"$here/node/node.sh" up 8>&-
echo "e2e: the node is Ready after $((SECONDS - began)) s"
"$here/node/node.sh" import "$IMAGE_ARCHIVE"
# shellcheck source=tests/e2e/node/settings.sh
. "$here/node/settings.sh"
# kubectl, curl and the plugin, which the checks call, find the Service by its name, as a machine in its network does.
# shellcheck disable=SC2016 # The inner shell expands it.
unshare --mount sh -c 'mount --bind "$NODE/hosts" /etc/hosts && exec "$@"' - \
  python3 "$here/checks/main.py" "$@" 8>&-
echo "e2e: done in $((SECONDS - began)) s"
