#!/usr/bin/env bash
# configure.sh: the keys and the configuration files of a new node.
set -euo pipefail
# shellcheck source=tests/e2e/node/settings.sh
. "$(dirname "$0")/settings.sh"
umask 077
mkdir -p "$NODE"/{pki,log,pids,run,cni,sysctl,varlog}
cd "$NODE/pki"

# issue NAME SUBJECT [EXTENSIONS]: a certificate of the cluster's authority. Version 3, as kubeadm's are.
issue() {
  openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$1.key" -out "$1.csr" -subj "$2" 2>/dev/null
  openssl x509 -req -in "$1.csr" -CA ca.crt -CAkey ca.key -set_serial "0x$(openssl rand -hex 8)" -days 10 -out "$1.crt" \
    -extfile <(printf '%s\n' "basicConstraints=CA:FALSE" "${3:-extendedKeyUsage=clientAuth}") 2>/dev/null
}
# user NAME SUBJECT: a kubeconfig with a client certificate.
user() {
  issue "$1" "$2"
  cat >"$1.kubeconfig" <<YAML
apiVersion: v1
kind: Config
clusters: [{name: e2e, cluster: {server: "https://$NODE_IP:6443", certificate-authority: $NODE/pki/ca.crt}}]
users: [{name: $1, user: {client-certificate: $NODE/pki/$1.crt, client-key: $NODE/pki/$1.key}}]
contexts: [{name: $1, context: {cluster: e2e, user: $1, namespace: payments}}]
current-context: $1
YAML
}
openssl genrsa -out sa.key 2048 2>/dev/null
openssl rsa -in sa.key -pubout -out sa.pub 2>/dev/null
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout ca.key -out ca.crt -subj /CN=e2e -days 10 \
  -addext keyUsage=critical,keyCertSign,cRLSign 2>/dev/null
name=DNS:kubernetes.default
issue server /CN=kube-apiserver \
  "subjectAltName=DNS:kubernetes,$name,$name.svc,$name.svc.cluster.local,IP:127.0.0.1,IP:$NODE_IP,IP:10.96.0.1"
issue kubelet-server /CN=node1 "subjectAltName=DNS:node1,IP:$NODE_IP"
user admin /O=system:masters/CN=admin
user kubelet /O=system:nodes/CN=system:node:node1
for name in kube-controller-manager kube-scheduler kube-proxy; do user $name /CN=system:$name; done
# People have a client certificate and a bearer token, as from an identity provider.
for name in alice bob carol dave erin frank; do
  user $name "/O=people/CN=$name"
  openssl rand -hex 20 >$name.token
  echo "$(cat $name.token),$name,$name,people" >>tokens.csv
done

cd "$NODE"
cat >containerd.toml <<TOML
version = 2
root = "$NODE/containerd"
state = "/run/containerd"
disabled_plugins = ["io.containerd.snapshotter.v1.aufs","io.containerd.snapshotter.v1.btrfs","io.containerd.snapshotter.v1.devmapper","io.containerd.snapshotter.v1.zfs"]
[grpc]
  address = "$NODE/containerd.sock"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "localhost/pause:1"
  # Without CAP_SYS_RESOURCE no sandbox starts otherwise.
  restrict_oom_score_adj = true
  disable_apparmor = true
  [plugins."io.containerd.grpc.v1.cri".containerd]
    default_runtime_name = "runc"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"
      [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
        BinaryName = "$PROGRAMS/debian/usr/sbin/runc"
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "$PROGRAMS/debian/usr/lib/cni"
    conf_dir = "$NODE/cni"
TOML
cat >cni/10-bridge.conflist <<JSON
{"cniVersion": "1.0.0", "name": "e2e", "plugins": [
 {"type": "bridge", "bridge": "cni0", "isGateway": true, "hairpinMode": true, "ipMasq": false,
  "ipam": {"type": "host-local", "dataDir": "/run/cni", "ranges": [[{"subnet": "$PODS"}]], "routes": [{"dst": "0.0.0.0/0"}]}}]}
JSON
# There is no DNS in the cluster: no pod looks a name up. The checks find the Service in `hosts`.
printf '127.0.0.1 localhost\n' >hosts
printf 'nameserver %s\n' "$NODE_IP" >resolv.conf
cat >kubelet.yaml <<YAML
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
authentication: {anonymous: {enabled: false}, webhook: {enabled: true}, x509: {clientCAFile: $NODE/pki/ca.crt}}
authorization: {mode: Webhook}
tlsCertFile: $NODE/pki/kubelet-server.crt
tlsPrivateKeyFile: $NODE/pki/kubelet-server.key
containerRuntimeEndpoint: unix://$NODE/containerd.sock
cgroupDriver: cgroupfs
failCgroupV1: false
failSwapOn: false
resolvConf: $NODE/resolv.conf
volumePluginDir: $NODE/volume-plugins
clusterDNS: [$NODE_IP]
clusterDomain: cluster.local
# There is no registry: an image that was collected would be gone.
imageGCHighThresholdPercent: 100
imageGCLowThresholdPercent: 99
# A share of a large disk is more than a node of this size needs.
evictionHard: {memory.available: 100Mi, nodefs.available: 200Mi, imagefs.available: 200Mi, nodefs.inodesFree: 1%}
YAML
cat >kube-proxy.yaml <<YAML
apiVersion: kubeproxy.config.k8s.io/v1alpha1
kind: KubeProxyConfiguration
mode: nftables
hostnameOverride: node1
clusterCIDR: $PODS
clientConnection: {kubeconfig: $NODE/pki/kube-proxy.kubeconfig}
# Those limits belong to the machine.
conntrack: {maxPerCore: 0, min: 0}
metricsBindAddress: 127.0.0.1:10249
YAML
cat >audit.yaml <<YAML
apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules: [{level: Metadata}]
YAML
