#!/usr/bin/env bash
# PID 1 of the node, in mount, cgroup, network and PID namespaces of its own. What it mounts and sets exists only there;
# when it ends, the kernel ends every daemon and container with it.
set -euo pipefail
# shellcheck source=tests/e2e/node/settings.sh
. "$(dirname "$0")/settings.sh"
cd "$NODE"
mount --make-rshared /
umount -R /sys/fs/cgroup
mount -t tmpfs -o mode=755 cgroup /sys/fs/cgroup
for kind in cpu cpuacct cpuset memory devices freezer blkio pids; do
  mkdir -p /sys/fs/cgroup/$kind
  mount -t cgroup -o $kind cgroup /sys/fs/cgroup/$kind
done
mkdir -p /sys/fs/cgroup/systemd
mount -t cgroup -o none,name=systemd cgroup /sys/fs/cgroup/systemd
# The kubelet, containerd and the network plugins write below these, whatever they are told.
mount -t tmpfs -o mode=755 run /run
mount -t tmpfs -o mode=755 varlib /var/lib
mount --bind varlog /var/log
# The kubelet would set these for the whole machine. It is shown what it wants instead.
shown() {
  local file=sysctl/${1//\//_}
  echo "$2" >"$file"
  mount --bind "$file" "/proc/sys/$1"
}
shown vm/overcommit_memory 1
shown vm/panic_on_oom 0
shown kernel/panic 10
shown kernel/panic_on_oops 1
shown kernel/keys/root_maxkeys 1000000
shown kernel/keys/root_maxbytes 25000000

ip link set lo up
until ip link show eth0 >/dev/null 2>&1; do sleep 0.05; done
ip addr add "$NODE_IP/24" dev eth0
ip link set eth0 up
ip route add default via "$HOST_IP"
echo 1 >/proc/sys/net/ipv4/ip_forward
touch "$NODE/ready"
# bash reaps every orphan while it waits here. `wait -n` would wait for one of its own.
set +e
while :; do
  sleep 3600 &
  wait $!
done
