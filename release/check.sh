#!/usr/bin/env bash
# check.sh reproducible ARCHITECTURE: builds the image of `make image` a second time, in another folder that has only what
# the Dockerfile lets in, with another cargo home, target folder, umask and time zone. The digests must be the same.
# check.sh archive FILE: a reader and a registry that are not ours (crane's) take the image.
# check.sh release FOLDER: the same for the image in it; helm, krew and sha256sum take the rest.
set -euo pipefail
cd "$(dirname "$0")/.."
work=$(mktemp -d)
registry=
trap '[ -z "$registry" ] || kill "$registry"; chmod -R u+w "$work"; rm -rf "$work"' EXIT

# The files of the commit that the Dockerfile's context has.
context() {
  local root=$1
  mkdir -p "$root"
  git ls-files | python3 -c '
import fnmatch, pathlib, sys
rules = [line for line in pathlib.Path(".dockerignore").read_text().splitlines() if line and line[0] != "#"]
for path in sys.stdin.read().splitlines():
    above = [path, *map(str, pathlib.PurePath(path).parents)]
    let_in = True
    for rule in rules:
        if any(fnmatch.fnmatch(part, rule.lstrip("!")) for part in above):
            let_in = rule.startswith("!")
    if let_in:
        print(path)
' | tar -c --files-from=- | tar -x -C "$root"
}

reproducible() {
  local version first second
  version=$(basename target/image/certcourier-*-linux-"$1".digest)
  version=${version#certcourier-} version=${version%-linux-*}
  first=$(cat "target/image/certcourier-$version-linux-$1.digest")
  context "$work/elsewhere"
  ln -s "${CARGO_HOME:-$HOME/.cargo}" "$work/cargo"
  (
    export REVISION SOURCE_DATE_EPOCH CARGO_HOME=$work/cargo CARGO_TARGET_DIR=$work/target TZ=Pacific/Apia
    REVISION=$(git rev-parse HEAD)
    SOURCE_DATE_EPOCH=$(git log -1 --format=%ct)
    umask 077
    cd "$work/elsewhere"
    release/make.sh archive "$1"
  )
  second=$(cat "$work/elsewhere/target/image/certcourier-$version-linux-$1.digest")
  if [ "$first" != "$second" ]; then
    echo "the second build has another digest: $second instead of $first"
    for root in target/image "$work/elsewhere/target/image"; do (cd "$root/$1/root" && find . -type f -exec sha256sum {} +); done
    exit 1
  fi
  echo "the same digest twice: $first"
}

# A registry on this machine, for as long as this script runs.
serve() {
  "$CRANE" registry serve --address 127.0.0.1:0 >"$work/registry.log" 2>&1 &
  registry=$!
  address=
  for _ in $(seq 100); do
    address=$(sed -n 's/.*serving on port \([0-9]*\).*/127.0.0.1:\1/p' "$work/registry.log")
    [ -z "$address" ] || return 0
    sleep 0.1
  done
  echo "the registry does not start" >&2
  return 1
}

# archive FILE: every digest, size and layer is read again from the registry; the digest there is the one in the file.
archive() {
  local layout=$work/layout pushed digest
  mkdir -p "$layout"
  tar -x -f "$1" -C "$layout"
  digest=$(python3 -c 'import json, sys; print(json.load(open(sys.argv[1]))["manifests"][0]["digest"])' "$layout/index.json")
  pushed=$("$CRANE" push "$layout" "$address/certcourier:check" 2>"$work/log") || { cat "$work/log" >&2; exit 1; }
  [ "$pushed" = "$address/certcourier@$digest" ] || { echo "pushed as $pushed instead of $digest"; exit 1; }
  "$CRANE" validate --remote "$pushed"
  for architecture in $("$CRANE" manifest "$pushed" | python3 -c '
import json, sys
manifest = json.load(sys.stdin)
print(*(one["platform"]["architecture"] for one in manifest.get("manifests", [])))'); do
    "$CRANE" validate --platform "linux/$architecture" --remote "$pushed"
  done
  size=$("$CRANE" manifest --platform linux/amd64 "$pushed" | python3 -c '
import json, sys
print(sum(layer["size"] for layer in json.load(sys.stdin)["layers"]))')
  [ "$size" -le 30000000 ] || { echo "the layer has $size bytes: more than 30 MB"; exit 1; }
  echo "crane: pushed, pulled and validated; $size bytes compressed"
}

release() {
  local folder=$1 chart plugin
  (cd "$folder" && sha256sum --quiet --check SHA256SUMS)
  archive "$folder"/certcourier-*.oci.tar
  chart=$(echo "$folder"/certcourier-*.tgz)
  export HELM_CACHE_HOME=$work/helm HELM_CONFIG_HOME=$work/helm HELM_DATA_HOME=$work/helm
  "$HELM" push --plain-http "$chart" "oci://$address/charts" >"$work/log" 2>&1 || { cat "$work/log" >&2; exit 1; }
  "$HELM" template certcourier "oci://$address/charts/certcourier" --plain-http --set image.repository=r.example.com/c \
    --set scope=cluster >"$work/rendered" 2>"$work/log" || { cat "$work/log" >&2; exit 1; }
  "$HELM" show chart "$chart" | grep -q 'artifacthub.io/images' || { echo "the chart does not name its image"; exit 1; }
  echo "helm: the chart was pushed, pulled and rendered"
  "$KREW/validate-krew-manifest" -manifest "$folder/certcourier.yaml" -skip-install 2>"$work/log" || { cat "$work/log" >&2; exit 1; }
  plugin=$(echo "$folder"/kubectl-certcourier-*-linux-amd64.tar.gz)
  KREW_ROOT=$work/krew "$KREW/krew" install --manifest "$folder/certcourier.yaml" --archive "$plugin" >"$work/log" 2>&1 || {
    cat "$work/log" >&2
    exit 1
  }
  "$work/krew/bin/kubectl-certcourier" version --client
  ls "$work"/krew/store/certcourier/*/LICENSE >/dev/null
  echo "krew: the manifest is valid, and the plugin was installed by it"
}

case ${1:-} in
reproducible) reproducible "$2" ;;
archive | release)
  serve
  "$1" "$2"
  ;;
*)
  sed -n '2,6s/^# //p' "$0" >&2
  exit 2
  ;;
esac
