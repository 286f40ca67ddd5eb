#!/usr/bin/env bash
# node.sh up            starts the node, a new one or the one that was ended
# node.sh end           ends it at once, as if its power were cut; its disk stays
# node.sh start NAME    starts a daemon; `stop NAME [SIGNAL]` ends one and waits until it is gone
# node.sh import FILE   takes an image from an archive
# node.sh leftovers     prints what of it is still on the machine, and fails if there is anything
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=tests/e2e/node/settings.sh
. "$here/settings.sh"

start() {
  # shellcheck disable=SC2016 # The inner shell expands it.
  inside setsid bash -c '"$1/daemon.sh" "$2" >>"$NODE/log/$2" 2>&1 </dev/null & echo $! >"$NODE/pids/$2"' - "$here" "$1"
}

stop() {
  local pid
  pid=$(cat "$NODE/pids/$1")
  inside kill "-${2:-TERM}" "$pid"
  until_true 120 "the end of $1" gone "$pid"
}
gone() { ! inside kill -0 "$1"; }

api_is_ready() { [ "$(kubectl get --raw /readyz 2>/dev/null)" = ok ]; }
node_is_ready() { kubectl wait node/node1 --for=condition=Ready --timeout=1s; }
containerd_is_ready() { inside ctr -a "$NODE/containerd.sock" version; }

up() {
  local outer
  [ -e "$NODE/pki" ] || "$here/configure.sh"
  rm -f "$NODE/ready" "$NODE"/pids/*
  setsid unshare --mount --cgroup --net --pid --fork --mount-proc "$here/init.sh" >"$NODE/log/init" 2>&1 </dev/null &
  outer=$!
  until_true 30 "the namespaces" pgrep -P $outer
  pgrep -P $outer >"$NODE/pid"
  until_true 30 "the node's network" other_network
  ip link add "$LINK" type veth peer name eth0 netns "$(cat "$NODE/pid")"
  ip addr add "$HOST_IP/24" dev "$LINK"
  ip link set "$LINK" up
  ip route add "$PODS" via "$NODE_IP"
  ip route add "$SERVICES" via "$NODE_IP"
  until_true 60 "the node's first process" test -e "$NODE/ready"
  start containerd
  start etcd
  start kube-apiserver
  until_true 180 "the API server" api_is_ready
  start kube-controller-manager
  start kube-scheduler
  until_true 120 "containerd" containerd_is_ready
  [ ! -e "$E2E/images/pause.tar" ] || import "$E2E/images/pause.tar"
  start kubelet
  start kube-proxy
  until_true 240 "the node to be Ready" node_is_ready
}
other_network() { [ "$(readlink "/proc/$(cat "$NODE/pid")/ns/net")" != "$(readlink /proc/self/ns/net)" ]; }

import() { inside ctr -a "$NODE/containerd.sock" -n k8s.io images import "$1" >>"$NODE/log/import" 2>&1; }

end() {
  local pid
  [ -e "$NODE/pid" ] || return 0
  pid=$(cat "$NODE/pid")
  rm "$NODE/pid"
  # A number can belong to another process by now.
  if [ -e "/proc/$pid" ] && [ "$(readlink "/proc/$pid/ns/pid")" != "$(readlink /proc/self/ns/pid)" ]; then
    kill -KILL "$pid"
    until_true 30 "the end of the node" test ! -e "/proc/$pid"
  fi
  until_true 10 "the end of the node's network" test ! -e "/sys/class/net/$LINK"
  until_true 10 "the end of the containers' cgroups" remove_cgroups
}

# kubepods is below the caller's cgroup.
cgroups() {
  local line
  while IFS=: read -r _ line path; do
    for mounted in "/sys/fs/cgroup/${line#name=}"; do
      [ ! -d "$mounted${path%/}/kubepods" ] || echo "$mounted${path%/}/kubepods"
    done
  done </proc/self/cgroup
}
remove_cgroups() {
  local folder
  for folder in $(cgroups); do find "$folder" -depth -type d -exec rmdir {} +; done
  [ -z "$(cgroups)" ]
}

leftovers() {
  local found
  found=$(
    cgroups | sed 's/^/cgroup /'
    [ ! -e "/sys/class/net/$LINK" ] || echo "network interface $LINK"
    ip route | grep -F "via $NODE_IP" | sed 's/^/route /'
    grep -F "$NODE/" /proc/mounts | cut -d' ' -f2 | sed 's/^/mount /'
    for folder in /var/lib/kubelet /var/lib/cni /usr/libexec/kubernetes; do
      [ ! -e $folder ] || [ ! $folder -nt "$NODE/pki/ca.key" ] || echo "folder $folder"
    done
    for file in /proc/[0-9]*/cmdline; do
      line=$(tr '\0' ' ' 2>/dev/null <"$file") || continue
      [[ $line != *"$NODE/"* ]] || echo "process $line"
    done
  )
  [ -z "$found" ] || { echo "$found"; return 1; }
}

command=$1
shift
"$command" "$@"
