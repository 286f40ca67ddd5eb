#!/usr/bin/env bash
# The browser tests: an OpenID provider, a control plane that trusts it, the operator, and a real browser.
# `make browser` runs it. Arguments are names of tests, as unittest takes them.
set -euo pipefail
cd "$(dirname "$0")/../.."
cluster=${TEST_CLUSTER:-target/debug/test-cluster}
outside=$(mktemp -d "${TMPDIR:-/tmp}/certcourier-browser.XXXXXX")
provider=
finish() {
    local status=$?
    trap - EXIT INT TERM
    [ -z "$provider" ] || kill "$provider" 2>/dev/null || true
    [ "$status" = 0 ] || { echo "the provider said:"; tail -n 20 "$outside/provider.log"; } >&2
    rm -rf "$outside"
    exit "$status"
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

free_ports() {
    python3 -c 'import socket
sockets = [socket.socket() for _ in range(2)]
for s in sockets: s.bind(("127.0.0.1", 0))
print(*(s.getsockname()[1] for s in sockets))'
}
read -r OIDC_PORT SERVER_PORT < <(free_ports)
# An authority and a certificate of its own: what is both is refused by some.
curve=(-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes)
openssl req -x509 "${curve[@]}" -subj /CN=authority -days 2 -keyout "$outside/ca.key" -out "$outside/ca.crt" 2>/dev/null
openssl req "${curve[@]}" -subj /CN=provider -keyout "$outside/provider.key" -out "$outside/provider.csr" 2>/dev/null
openssl x509 -req -in "$outside/provider.csr" -CA "$outside/ca.crt" -CAkey "$outside/ca.key" -days 2 \
    -extfile <(echo "subjectAltName=DNS:localhost") -out "$outside/provider.crt" 2>/dev/null
(umask 077 && openssl rand -hex 32 >"$outside/client-secret")

export OIDC_PORT SERVER_PORT OIDC_CLIENT=certcourier OIDC_CERT=$outside/provider.crt OIDC_CA=$outside/ca.crt OIDC_KEY=$outside/provider.key
export OIDC_SECRET_FILE=$outside/client-secret OIDC_ISSUER=https://localhost:$OIDC_PORT
export OIDC_REDIRECT="https://127.0.0.1:$SERVER_PORT/ui/sign-in/callback"
node tests/browser/provider.mjs >"$outside/provider.log" 2>&1 &
provider=$!
for _ in $(seq 100); do
    curl -fs --noproxy '*' --cacert "$OIDC_CA" "$OIDC_ISSUER/.well-known/openid-configuration" >/dev/null && break
    kill -0 "$provider" || exit 1
    sleep 0.1
done

{
    printf 'apiVersion: apiserver.config.k8s.io/v1beta1\nkind: AuthenticationConfiguration\njwt:\n- issuer:\n'
    printf '    url: %s\n    audiences: [%s]\n    certificateAuthority: |\n' "$OIDC_ISSUER" "$OIDC_CLIENT"
    sed 's/^/      /' "$OIDC_CA"
    printf '  claimMappings:\n    username: {claim: sub, prefix: "oidc:"}\n    groups: {claim: groups, prefix: "oidc:"}\n'
} >"$outside/authentication.yaml"

"$cluster" run --apply crds --authentication-config "$outside/authentication.yaml" -- tests/browser/stage.sh "$@"
