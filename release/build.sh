#!/usr/bin/env bash
# build.sh ARCHITECTURE FOLDER PROGRAM...: static programs, the same bytes wherever and whenever they are built.
# Architectures have the names that images use: amd64, arm64. RELEASE_PYTHON has what requirements.txt lists.
#
# - The toolchain is rust-toolchain.toml's rustc, with the musl and the linker that come with it; the only C there is,
#   aws-lc's, is compiled by a pinned clang. Nothing of the machine gets in.
# - --target keeps these flags away from procedural macros and build scripts, which cannot be static.
# - Every path that could be compiled in is replaced: this checkout's, cargo's home's, and that of the registry's mirror.
set -euo pipefail
architecture=$1 folder=$2
shift 2
case $architecture in
  amd64) machine=x86_64 ;;
  arm64) machine=aarch64 ;;
  *) echo "there is no recipe for $architecture: amd64 and arm64 have one" >&2; exit 2 ;;
esac
target=$machine-unknown-linux-musl
cd "$(dirname "$0")/.."
: "${RELEASE_PYTHON:?names a Python that has what release/requirements.txt lists}"

rustup target list --installed | grep -qx "$target" || rustup target add "$target"
cargo fetch --locked --quiet --target "$target"

home=${CARGO_HOME:-$HOME/.cargo}
flags=(-Clinker=rust-lld -Ctarget-feature=+crt-static)
# Both names of a folder, if it is reached through a link. What comes later counts.
prefixes=()
replaced() {
  prefixes+=("$1=$2")
  [ "$(realpath "$1")" = "$1" ] || prefixes+=("$(realpath "$1")=$2")
}
replaced "$PWD" /certcourier
replaced "$home" /cargo
for registry in "$home"/registry/src/*/; do
  replaced "${registry%/}" /registry
done
c_flags=
for prefix in "${prefixes[@]}"; do
  flags+=("--remap-path-prefix=$prefix")
  c_flags+=" -ffile-prefix-map=$prefix"
done
unset RUSTFLAGS
CARGO_ENCODED_RUSTFLAGS=$(IFS=$'\x1f'; echo "${flags[*]}")
under_target=${target//-/_}
export CARGO_ENCODED_RUSTFLAGS RELEASE_PYTHON ZIG_TARGET=$machine-linux-musl
export "CC_$under_target=$PWD/release/cc.sh" "AR_$under_target=$PWD/release/ar.sh" "CFLAGS_$under_target=$c_flags"

bins=()
for program in "$@"; do bins+=(--bin "$program"); done
cargo build --release --locked --target "$target" "${bins[@]}"
mkdir -p "$folder"
for program in "$@"; do
  install -m 755 "${CARGO_TARGET_DIR:-target}/$target/release/$program" "$folder/$program"
done
