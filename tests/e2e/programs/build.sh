#!/usr/bin/env bash
# build.sh FOLDER: the programs of a node, each built once into FOLDER and again only when the versions in its go.mod or
# go.sum change. Prints nothing where all is there.
#
# What runs containers (containerd, runc, the network plugins) and nft, which kube-proxy calls, are Debian's, unpacked into
# FOLDER and not installed.
set -euo pipefail
folder=$1
here=$(cd "$(dirname "$0")" && pwd)
export GOFLAGS="${GOFLAGS:-} -p=2" TZ=UTC LC_ALL=C
mkdir -p "$folder/bin" "$folder/log"
exec 9>"$folder/build.lock"
flock 9

# version_in MODULE PATH: the version that its go.mod requires.
version_in() { grep -oE "$2 v[^ ]+" "$here/$1/go.mod" | head -n 1 | cut -d' ' -f2; }

# build NAME MODULE PACKAGE [LINKER FLAGS] [TAGS]
build() {
  local name=$1 module=$2 package=$3 link=${4:-} tags=${5:-} made_of
  made_of=$(cat "$here/$module"/* | sha256sum | cut -c1-64)
  [ -x "$folder/bin/$name" ] && [ "$(cat "$folder/bin/.$name" 2>/dev/null)" = "$made_of" ] && return
  local began=$SECONDS
  echo "e2e: building $name, once" >&2
  (cd "$here/$module" && nice -n 19 go build -mod=readonly -trimpath -buildvcs=false -tags "$tags" -ldflags "-s -w $link" \
    -o "$folder/bin/$name.unfinished" "$package") >"$folder/log/$name" 2>&1 || {
    echo "e2e: $name cannot be built; the whole output is in $folder/log/$name:" >&2
    tail -n 3 "$folder/log/$name" >&2
    exit 1
  }
  mv "$folder/bin/$name.unfinished" "$folder/bin/$name"
  echo "$made_of" >"$folder/bin/.$name"
  echo "e2e: built $name in $((SECONDS - began)) s" >&2
}

# debian PACKAGE...: unpacked into FOLDER/debian.
debian() {
  [ "$(cat "$folder/debian/.unpacked" 2>/dev/null)" != "$*" ] || return 0
  rm -rf "$folder/debian.new"
  mkdir -p "$folder/debian.new/archives"
  (cd "$folder/debian.new/archives" && apt-get -qq download "$@") >"$folder/log/debian" 2>&1 || {
    echo "e2e: apt-get cannot download $*; its words are in $folder/log/debian" >&2
    exit 1
  }
  for archive in "$folder"/debian.new/archives/*.deb; do dpkg -x "$archive" "$folder/debian.new"; done
  rm -r "$folder/debian.new/archives"
  echo "$*" >"$folder/debian.new/.unpacked"
  rm -rf "$folder/debian"
  mv "$folder/debian.new" "$folder/debian"
}

debian containerd runc containernetworking-plugins nftables libnftables1 libnftnl11 libmnl0 libjansson4 libxtables12 libedit2 libbsd0

export CGO_ENABLED=0
build pause pause .
kubernetes=$(version_in kubernetes k8s.io/kubernetes)
minor=${kubernetes#v1.}
version="-X k8s.io/component-base/version.gitVersion=$kubernetes -X k8s.io/component-base/version.gitMajor=1"
version+=" -X k8s.io/component-base/version.gitMinor=${minor%%.*}"
for name in kubelet kube-scheduler kube-proxy; do
  build "$name" kubernetes "k8s.io/kubernetes/cmd/$name" "$version"
done
build cert-manager cert-manager github.com/cert-manager/cert-manager/cmd/controller
