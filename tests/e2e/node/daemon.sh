#!/usr/bin/env bash
# daemon.sh NAME: becomes one of the daemons of the node, in whose namespaces it is started.
set -euo pipefail
# shellcheck source=tests/e2e/node/settings.sh
. "$(dirname "$0")/settings.sh"
cd "$NODE"
pki=$NODE/pki
case $1 in
containerd) set -- containerd -c containerd.toml ;;
# A run that is cut off by the machine's own end is not looked at again.
etcd)
  set -- etcd --data-dir etcd --unsafe-no-fsync --listen-client-urls http://127.0.0.1:2379 \
    --advertise-client-urls http://127.0.0.1:2379 --listen-peer-urls http://127.0.0.1:2380
  ;;
kube-apiserver)
  set -- kube-apiserver --etcd-servers=http://127.0.0.1:2379 --secure-port=6443 --bind-address=0.0.0.0 \
    --advertise-address="$NODE_IP" --service-cluster-ip-range="$SERVICES" --allow-privileged=true --cert-dir="$NODE/run" \
    --tls-cert-file="$pki/server.crt" --tls-private-key-file="$pki/server.key" --client-ca-file="$pki/ca.crt" \
    --token-auth-file="$pki/tokens.csv" --service-account-key-file="$pki/sa.pub" --service-account-signing-key-file="$pki/sa.key" \
    --service-account-issuer=https://kubernetes.default.svc \
    --authorization-mode=Node,RBAC --enable-admission-plugins=NodeRestriction \
    --kubelet-client-certificate="$pki/admin.crt" --kubelet-client-key="$pki/admin.key" \
    --kubelet-certificate-authority="$pki/ca.crt" --kubelet-preferred-address-types=InternalIP \
    --audit-policy-file=audit.yaml --audit-log-path="$NODE/log/audit.json"
  ;;
kube-controller-manager)
  set -- kube-controller-manager --kubeconfig="$pki/$1.kubeconfig" --service-account-private-key-file="$pki/sa.key" \
    --root-ca-file="$pki/ca.crt" --cluster-signing-cert-file="$pki/ca.crt" --cluster-signing-key-file="$pki/ca.key" \
    --use-service-account-credentials --flex-volume-plugin-dir="$NODE/volume-plugins" --leader-elect=false \
    --bind-address=127.0.0.1 --cert-dir="$NODE/run"
  ;;
kube-scheduler)
  set -- kube-scheduler --kubeconfig="$pki/$1.kubeconfig" --leader-elect=false --bind-address=127.0.0.1 --cert-dir="$NODE/run"
  ;;
kubelet)
  set -- kubelet --config=kubelet.yaml --kubeconfig="$pki/kubelet.kubeconfig" --root-dir="$NODE/kubelet" \
    --hostname-override=node1 --node-ip="$NODE_IP"
  ;;
kube-proxy)
  export PATH=$PROGRAMS/debian/usr/sbin:$PATH
  LD_LIBRARY_PATH=$(dirname "$(find "$PROGRAMS/debian/usr/lib" -name 'libnftables.so.1')")
  export LD_LIBRARY_PATH
  set -- kube-proxy --config=kube-proxy.yaml
  ;;
*) echo "there is no daemon $1" >&2; exit 2 ;;
esac
exec "$@"
