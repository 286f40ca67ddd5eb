#!/usr/bin/env bash
# make.sh image ARCHITECTURE   an OCI archive for one architecture, and its SBOM, in target/image
# make.sh release              everything that a release publishes, in target/release-VERSION
# make.sh archive ARCHITECTURE the archive without the SBOM
# make.sh root ARCHITECTURE    only the files of the image, for the Dockerfile
#
# The Makefile names the tools: RELEASE_PYTHON, CARGO_CYCLONEDX, HELM. Version, revision and time come from Cargo.toml and
# the commit; REVISION and SOURCE_DATE_EPOCH replace the commit's where there is no repository. IMAGE is the name that the
# image will have in a registry, DOWNLOADS the address below which the plugin's archives will be.
set -euo pipefail
cd "$(dirname "$0")/.."
umask 022
export TZ=UTC LC_ALL=C
version=$(sed -n '/^\[workspace.package\]/,/^\[/s/^version = "\(.*\)"$/\1/p' Cargo.toml)
image=${IMAGE:-localhost/certcourier}
downloads=${DOWNLOADS:-https://downloads.example.com/v$version}

target() { case $1 in amd64) echo x86_64-unknown-linux-musl ;; arm64) echo aarch64-unknown-linux-musl ;; esac; }

# Without a repository, as in the Dockerfile's context, REVISION must be given.
of_the_commit() {
  if [ -z "${REVISION:-}" ]; then
    REVISION=$(git rev-parse HEAD)
    [ -z "$(git status --porcelain)" ] || REVISION=$REVISION-dirty
  fi
  export SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct)}
}

# programs ARCHITECTURE PROGRAM...: built, and the files of the image beside them.
programs() {
  local folder=target/image/$1
  release/build.sh "$1" "$folder" "${@:2}"
  release/notices.py "$folder/THIRD-PARTY.txt" "$(target "$1")"
  "$RELEASE_PYTHON" release/image.py root "$folder/root" --program "$folder/certcourier" --notices "$folder/THIRD-PARTY.txt"
}

# archive FILE ARCHITECTURE...: prints the digest of the image in it.
archive() {
  local roots=() architecture
  for architecture in "${@:2}"; do roots+=(--root "$architecture=target/image/$architecture/root"); done
  python3 release/image.py archive "$1" --name "$image" --version "$version" --revision "$REVISION" \
    --time "$SOURCE_DATE_EPOCH" "${roots[@]}"
}

# sbom FILE ARCHITECTURE: cargo-cyclonedx writes one beside each manifest; the root crate's, which has both programs, is
# the one that counts.
sbom() {
  "$CARGO_CYCLONEDX" cyclonedx --quiet --format json --spec-version 1.5 --target "$(target "$2")" --override-filename sbom
  release/sbom.py sbom.json "$1"
  rm -f sbom.json crates/*/sbom.json tests/*/sbom.json
}

case ${1:-} in
root) programs "$2" certcourier ;;
archive | image)
  of_the_commit
  out=target/image/certcourier-$version-linux-$2
  programs "$2" certcourier
  digest=$(archive "$out.oci.tar" "$2")
  echo "$digest" >"$out.digest"
  [ "$1" = archive ] || sbom "$out.cdx.json" "$2"
  echo "image:   $out.oci.tar"
  echo "digest:  $digest"
  echo "size:    $(stat -c %s "$out.oci.tar") bytes"
  [ "$1" = archive ] || echo "sbom:    $out.cdx.json"
  ;;
release)
  of_the_commit
  out=target/release-$version
  rm -rf "$out"
  mkdir -p "$out"
  for architecture in amd64 arm64; do
    programs "$architecture" certcourier kubectl-certcourier
    folder=target/image/$architecture
    for program in certcourier kubectl-certcourier; do
      release/package.py archive "$out/$program-$version-linux-$architecture.tar.gz" \
        "$program=$folder/$program" LICENSE=LICENSE "THIRD-PARTY.txt=$folder/THIRD-PARTY.txt"
    done
    sbom "$out/certcourier-$version-linux-$architecture.cdx.json" "$architecture"
  done
  digest=$(archive "$out/certcourier-$version.oci.tar" amd64 arm64)
  release/package.py chart "$HELM" "$out" "$image:$version"
  release/package.py krew "$out/certcourier.yaml" "$downloads" "$out"/kubectl-certcourier-*.tar.gz
  release/package.py sums "$out"
  (cd "$out" && stat -c '%9s  %n' ./*)
  echo "image:   $image:$version@$digest"
  echo "in:      $out"
  ;;
*)
  sed -n '2,5s/^# //p' "$0" >&2
  exit 2
  ;;
esac
