# shellcheck shell=bash
# The stage of `make demo` and `make dev`: certificates, people, and the operator as two processes.
# Sourced inside `test-cluster run`, which sets KUBECONFIG (all rights), KUBECTL and CERTCOURIER_TEST_CLUSTER.

here=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
certcourier=${CERTCOURIER:-$here/target/debug/certcourier}
plugin=$here/target/debug/kubectl-certcourier
people=$(dirname "$CERTCOURIER_TEST_CLUSTER")/people
namespace=payments
# Where the operator works, separated by commas.
watched=${WATCHED:-$namespace}
system="certcourier-system"
work=$(mktemp -d "${TMPDIR:-/tmp}/certcourier-demo.XXXXXX")
children=()
# Flags that `make dev CONTROLLER_FLAGS="…" SERVER_FLAGS="…"` adds.
read -ra controller_flags <<<"${CONTROLLER_FLAGS:-}"
read -ra server_flags <<<"${SERVER_FLAGS:-}"

# Everything that was started is stopped by its own process id, whatever happens. A second signal must not end this:
# one Ctrl-C gives two, of which test-cluster sends one.
strike() {
    local status=${1:-$?}
    trap - EXIT
    trap '' INT TERM HUP
    for child in "${children[@]}"; do kill "$child" 2>/dev/null; done
    for child in "${children[@]}"; do wait "$child" 2>/dev/null; done
    [ "$status" = 0 ] || tail -n 20 "$work"/*.log >&2 2>/dev/null
    rm -rf "$work"
    exit "$status"
}
trap strike EXIT
trap 'trap "" INT TERM HUP; exit 130' INT
trap 'trap "" INT TERM HUP; exit 143' TERM

# What happens meanwhile: `make dev` says it, the demo prints its own story.
say() { :; }

# kubectl with all rights, and as one of the people.
k() { timeout 30 "$KUBECTL" --request-timeout=20s "$@"; }
as() {
    local person=$1
    shift
    timeout 60 "$KUBECTL" --kubeconfig "$people/$person.kubeconfig" --namespace "$namespace" "$@"
}

# until_true SECONDS WHAT COMMAND...: tries until the command succeeds.
until_true() {
    local end=$((SECONDS + $1)) what=$2
    shift 2
    until "$@" >/dev/null 2>&1; do
        if [ "$SECONDS" -ge "$end" ]; then
            echo "gave up waiting for $what" >&2
            return 1
        fi
        sleep 0.1
    done
}

free_port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }

# issue NAME SUBJECT EXTENSIONS [ISSUER]: a key and a certificate, self-signed without an issuer.
issue() {
    local name=$1 subject=$2 extensions=$3 issuer=${4:-} days=90
    # Authorities outlive what they sign, by more than the seconds between two commands.
    case $extensions in *CA:TRUE*) days=365 ;; esac
    openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj "$subject" \
        -keyout "$work/$name.key" -out "$work/$name.csr" 2>/dev/null
    if [ -n "$issuer" ]; then
        openssl x509 -req -in "$work/$name.csr" -CA "$work/$issuer.crt" -CAkey "$work/$issuer.key" -days "$days" \
            -set_serial "0x$(openssl rand -hex 8)" -extfile <(printf '%b' "$extensions") -out "$work/$name.crt" 2>/dev/null
    else
        openssl x509 -req -in "$work/$name.csr" -signkey "$work/$name.key" -days "$days" \
            -extfile <(printf '%b' "$extensions") -out "$work/$name.crt" 2>/dev/null
    fi
}

make_certificates() {
    local ca='basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign,cRLSign\n'
    issue root "/CN=Demo Root" "$ca"
    issue intermediate "/CN=Demo Intermediate" "$ca" root
    issue api "/CN=api.payments.example" \
        'subjectAltName=DNS:api.payments.example\nextendedKeyUsage=serverAuth\n' intermediate
    issue staging "/CN=api.staging.example" \
        'subjectAltName=DNS:api.staging.example\nextendedKeyUsage=serverAuth\n' intermediate
    issue server "/CN=certcourier" 'subjectAltName=IP:127.0.0.1,DNS:localhost\nextendedKeyUsage=serverAuth\n' root
    local name
    for name in api staging; do
        cat "$work/$name.crt" "$work/intermediate.crt" >"$work/$name-chain.crt"
        k --namespace "$namespace" create secret generic "$name-tls" --type kubernetes.io/tls \
            --from-file tls.crt="$work/$name-chain.crt" --from-file tls.key="$work/$name.key" \
            --from-file ca.crt="$work/root.crt" >/dev/null
    done
}

# The operator is two ServiceAccounts with the rights that `certcourier manifests` prints, and no others.
install() {
    k create namespace "$system" >/dev/null
    local each
    for each in ${watched//,/ }; do k create namespace "$each" >/dev/null; done
    k --namespace "$system" create serviceaccount controller >/dev/null
    k --namespace "$system" create serviceaccount server >/dev/null
    "$certcourier" manifests --namespace "$system" --watch-namespaces "$watched" --ui \
        --controller "system:serviceaccount:$system:controller" --server "system:serviceaccount:$system:server" |
        k apply --server-side -f - >/dev/null
    k apply -f "$here/examples/00-people.yaml" >/dev/null
    # A policy takes effect after a second or so: wait until a label that every policy refuses is refused.
    until_true 20 "the admission policies" refuses_a_probe
}

refuses_a_probe() {
    local words
    # kubectl must fail; what counts is the reason.
    words=$(sed 's/^  name: .*/  name: probe\n  labels: {certcourier.io\/guard-probe: "yes"}/' "$here/examples/01-first-download.yaml" |
        k create --dry-run=server -f - 2>&1) || true
    grep -q 'guard probe' <<<"$words"
}

# kubeconfig of one of the operator's ServiceAccounts.
identity() {
    local file=$work/$1.kubeconfig
    "$KUBECTL" config view --raw --minify --flatten >"$file"
    chmod 600 "$file"
    # The token is passed in a file, because everyone can read the arguments of a process.
    k --namespace "$system" create token "$1" --duration 10h >"$work/$1.token"
    python3 - "$file" "$work/$1.token" <<'PY'
import json, subprocess, sys, os
file, token = sys.argv[1], open(sys.argv[2]).read().strip()
config = json.loads(subprocess.check_output([os.environ["KUBECTL"], "config", "view", "--raw", "-o", "json", "--kubeconfig", file]))
config["users"][0]["user"] = {"token": token}
json.dump(config, open(file, "w"))
PY
    rm -f "$work/$1.token"
    echo "$file"
}

start_operator() {
    local port controller_port probe_port
    # A port that is known before, for an address that others must know.
    port=${SERVER_PORT:-$(free_port)} controller_port=$(free_port) probe_port=$(free_port)
    url=https://127.0.0.1:$port
    cp "$work/root.crt" "$work/ca.crt"
    "$certcourier" controller --kubeconfig "$(identity controller)" --namespace "$system" \
        --watch-namespaces "$watched" --metrics-address "127.0.0.1:$controller_port" \
        --server-user "system:serviceaccount:$system:server" --guard-interval 1s --guard-settle 2s \
        --external-url "$url" --external-ca "$work/ca.crt" "${controller_flags[@]}" >"$work/controller.log" 2>&1 &
    children+=($!)
    "$certcourier" server --kubeconfig "$(identity server)" --namespace "$system" \
        --watch-namespaces "$watched" --listen "127.0.0.1:$port" --probe-listen "127.0.0.1:$probe_port" \
        --controller-user "system:serviceaccount:$system:controller" \
        --tls-cert "$work/server.crt" --tls-key "$work/server.key" "${server_flags[@]}" >"$work/server.log" 2>&1 &
    children+=($!)
    until_true 20 "the controller" curl -fsS --max-time 2 "http://127.0.0.1:$controller_port/readyz"
    until_true 20 "the server" curl -fsS --max-time 2 "http://127.0.0.1:$probe_port/readyz"
}

# The guard has verified that the admission policies are in force, and what is created now is younger than that. Before,
# certcourier releases no key.
guard_is_intact() {
    local state since
    read -r state since < <(k --namespace "$system" get configmap certcourier-guard -o 'jsonpath={.data.state} {.data.since}')
    [ "$state" = Intact ] && [[ "$(date -u +%FT%TZ)" > "$since" ]]
}

set_the_stage() {
    say "  installing its kinds, admission policies and roles ..."
    install
    say "  issuing certificates ..."
    make_certificates
    say "  starting controller and server ..."
    start_operator || return 1
    say "  waiting until the guard has verified the admission policies ..."
    until_true 30 "the guard" guard_is_intact
}
