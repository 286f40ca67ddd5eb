#!/usr/bin/env bash
# The controller with what a busy cluster keeps: run.sh CERTIFICATES FINISHED. Prints its memory before and after, how long a
# new leader takes until it is ready, and how long a new request then waits for its token.
set -uo pipefail
if [ "${SCALE:-}" != inside ]; then
    here=$(cd "$(dirname "$0")/../.." && pwd)
    SCALE=inside exec "$here/target/debug/test-cluster" run --apply "$here/crds" -- "$0" "$@"
fi
# shellcheck source=../../demo/stage.sh
. "$(dirname "$0")/../../demo/stage.sh"
certificates=${1:-10000} finished=${2:-100000}

directory=$(python3 -c 'import json, sys; print(json.load(open(sys.argv[1]))["directory"])' "$CERTCOURIER_TEST_CLUSTER")
ETCD=$(tr '\0' '\n' < <(cat /proc/[0-9]*/cmdline 2>/dev/null) | grep -A1 -Fx -- "--data-dir=$directory/etcd" | sed -n 's/--listen-client-urls=//p' | head -1)
export ETCD
memory() { awk '/VmRSS|VmHWM/ {printf "%s %d MiB  ", $1, $2 / 1024}' "/proc/$1/status"; }
now() { date +%s.%N; }
since() { python3 -c 'import sys, time; print(f"{time.time() - float(sys.argv[1]):.1f} s")' "$1"; }

set_the_stage || exit 1
controller=${children[0]} server=${children[1]}
# As the stage has chosen it.
controller_port=$(tr '\0' '\n' <"/proc/$controller/cmdline" | grep -A1 -Fx -- --metrics-address | tail -1 | cut -d: -f2)
echo "empty:                controller $(memory "$controller")server $(memory "$server")"
python3 "$here/benches/scale/fill.py" "$certificates" "$finished" "$namespace" || exit 1
begun=$(now)
until_true 300 "the watch" bash -c "curl -fsS --noproxy '*' http://127.0.0.1:$controller_port/metrics | grep '^certcourier_requests{phase=.consumed' | grep -q ' $finished\$'"
echo "seen by the watch after $(since "$begun")"
sleep 5
echo "as they came:         controller $(memory "$controller")server $(memory "$server")"
kill "$controller"; wait "$controller" 2>/dev/null
begun=$(now)
"$certcourier" controller --kubeconfig "$work/controller.kubeconfig" --namespace "$system" \
    --watch-namespaces "$watched" --metrics-address "127.0.0.1:$controller_port" \
    --server-user "system:serviceaccount:$system:server" --external-url "$url" --external-ca "$work/ca.crt" \
    "${controller_flags[@]}" >>"$work/controller.log" 2>&1 &
children[0]=$!
as dave apply -f "$here/examples/00-certificate.yaml" >/dev/null
as carol create -f "$here/examples/01-first-download.yaml" >/dev/null
until_true 120 "readiness" curl -fsS --max-time 2 "http://127.0.0.1:$controller_port/readyz"
echo "a new leader is ready after $(since "$begun"): controller $(memory "${children[0]}")"
until_true 120 "the token" bash -c "'$KUBECTL' -n $namespace get dlr -o jsonpath='{.items[?(@.status.phase==\"TokenIssued\")].metadata.name}' --field-selector metadata.name=api-fullchain | grep -q ."
echo "a request that waited for it has its token $(since "$begun") after the start"
begun=$(now)
sed 's/name: api-fullchain/name: second-download/' "$here/examples/01-first-download.yaml" | as carol create -f - >/dev/null
until_true 120 "the token" bash -c "'$KUBECTL' -n $namespace get dlr second-download -o jsonpath='{.status.phase}' | grep -q TokenIssued"
echo "another one has its token after $(since "$begun")"
sleep 20
echo "later:                controller $(memory "${children[0]}")server $(memory "$server")"
