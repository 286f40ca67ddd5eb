#!/usr/bin/env bash
# Runs every fuzz target for so many seconds (default 30), or only those that are named:
#   fuzz/run.sh 600 material chain_order
# Needs a nightly toolchain and cargo-fuzz (`cargo install cargo-fuzz --locked`). One job, so that it can
# run beside other work. Ends with the first target that finds something.
set -euo pipefail
cd "$(dirname "$0")/.."
seconds=${1:-30}
shift || true
targets=("$@")
[ ${#targets[@]} -gt 0 ] || targets=(material file_names pkcs12_options chain_order)

# Seeds: real files are far from random bytes. Parts of a seed for `material` are separated by a zero byte.
seeds=fuzz/corpus/material
mkdir -p "$seeds"
fixtures=crates/bundle/tests/fixtures
for certificate in "$fixtures"/certificates/*.pem; do
  kind=$(basename "$certificate" .pem)
  for key in "$fixtures"/keys/"$kind".*.pem "$fixtures"/keys/unchecked."$kind".pem; do
    [ -e "$key" ] || continue
    name="$kind-$(basename "$key" .pem)"
    { cat "$certificate"; printf '\0'; cat "$key"; printf '\0'; cat "$certificate"; } >"$seeds/pem-$name"
    # The same as DER: 1, then for each part its label (by number), its length in two bytes, and itself.
    label=1
    case $key in *pkcs1.pem) label=2 ;; *sec1*.pem | *secp256k1.pem) label=3 ;; esac
    if openssl x509 -in "$certificate" -outform DER -out "$seeds/.c" 2>/dev/null &&
      sed -n '/BEGIN.*PRIVATE KEY/,/END.*PRIVATE KEY/p' "$key" | sed '/-----/d' | base64 -d >"$seeds/.k"; then
      part() { printf "\\x$(printf %02x "$1")\\x$(printf %02x $(($3 / 256)))\\x$(printf %02x $(($3 % 256)))"; cat "$2"; }
      { printf '\x01'; part 0 "$seeds/.c" "$(stat -c %s "$seeds/.c")"; part $label "$seeds/.k" "$(stat -c %s "$seeds/.k")"; } >"$seeds/der-$name"
    fi
  done
done
rm -f "$seeds/.c" "$seeds/.k"
cat "$fixtures"/chain/{leaf,lower,middle,upper,root}.pem >"$seeds/chain"

for target in "${targets[@]}"; do
  echo "== $target, $seconds s"
  cargo +nightly fuzz run "$target" -- -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 -max_len=16384 \
    -print_final_stats=1
done
