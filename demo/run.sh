#!/usr/bin/env bash
# `make demo`: the main story on a real API server. Each step prints one line that says what it does, and one with the
# result. It fails at the first step that does not do what it says.
set -uo pipefail
# shellcheck source=demo/stage.sh
. "$(dirname "$0")/stage.sh"

steps=0
# step WHAT COMMAND...: runs a step; its last line of output is the result.
step() {
    local what=$1 result
    shift
    steps=$((steps + 1))
    printf '%2d. %s\n' "$steps" "$what"
    if ! result=$("$@" 2>&1); then
        printf '    FAILED: %s\n' "$result"
        exit 1
    fi
    printf '    → %s\n' "$(tail -n 1 <<<"$result")"
}

# says TEXT COMMAND...: the command must fail, and its message must hold the text.
says() {
    local text=$1 output
    shift
    if output=$("$@" 2>&1); then
        echo "it went through: $output"
        return 1
    fi
    grep -qF -- "$text" <<<"$output" || { echo "it failed for another reason: $output"; return 1; }
    # `Error from server (Forbidden): …` is one long line; the reason is at its end.
    grep -F -- "$text" <<<"$output" | tail -n 1 | sed 's/^.*denied request: //'
}

secret() { as "$1" get secret "$2-download-token" -o "jsonpath={.data.$3}" | base64 -d; }
certificate_is_ready() {
    as dave wait ccert/api --for=condition=Ready --timeout=20s >/dev/null &&
        as dave get ccert api --no-headers
}
carol_cannot_read_secrets() { says 'cannot get resource "secrets"' as carol get secret api-tls; }
carol_asks() { as carol create -f "$here/examples/01-first-download.yaml"; }
wait_for_token() { as "$1" wait "dlr/$2" --for=condition=TokenIssued --timeout=20s; }
carol_downloads() {
    secret carol api-fullchain 'ca\.crt' >"$work/served-ca.crt"
    curl -fsS --max-time 20 --cacert "$work/served-ca.crt" "$(secret carol api-fullchain url)" -o "$work/fullchain.pem" \
        -w 'HTTP %{http_code}, %{size_download} bytes, %{content_type}\n'
}
openssl_verifies() {
    openssl verify -CAfile "$work/root.crt" -untrusted "$work/fullchain.pem" "$work/fullchain.pem" |
        sed "s#$work/##"
}
again_is_410() {
    local code
    code=$(curl -sS --max-time 20 --cacert "$work/served-ca.crt" "$link" -o "$work/again.json" -w '%{http_code}')
    [ "$code" = 410 ] || { echo "HTTP $code"; return 1; }
    echo "HTTP 410: $(python3 -c 'import json,sys; print(json.load(open(sys.argv[1]))["error_description"])' "$work/again.json")"
}
carol_wants_the_key() { says 'exportkey' as carol create -f "$here/examples/02-key-refused.yaml"; }
policy_refuses_alice() {
    as alice create -f "$here/examples/02-key-refused.yaml" >/dev/null &&
        as alice wait dlr/api-key-early --for=condition=Finished --timeout=20s >/dev/null &&
        as alice get dlr api-key-early -o 'jsonpath={.status.phase}: {.status.conditions[?(@.type=="Finished")].message}' |
        grep -F 'allowKeyExport is Never'
}
dave_allows_keys() { as dave apply -f "$here/examples/05-two-approvals.yaml"; }
alice_asks() { as alice create -f "$here/examples/04-key.yaml"; }
# The plugin shows what is under review and appends bob's vote; --yes, because no one is there to confirm.
bob_approves() {
    KUBECONFIG=$people/bob.kubeconfig timeout 60 "$plugin" approve api-key --namespace "$namespace" --yes \
        --reason "INC-4211, checked with alice"
}
frank_approves() {
    local digest
    digest=$(as frank get dlr api-key -o 'jsonpath={.status.review.digest}') &&
        as frank patch dlr api-key --subresource=status --type=json --patch "[{\"op\": \"add\", \"path\": \"/status/approvals/-\",
            \"value\": {\"username\": \"frank\", \"digest\": \"$digest\", \"decision\": \"Approve\", \"reason\": \"change window is open\"}}]"
}
alice_downloads() (
    umask 077
    curl -fsS --max-time 20 --cacert "$work/served-ca.crt" "$(secret alice api-key url)" -o "$work/key.pem" \
        -w 'HTTP %{http_code}, %{size_download} bytes, %{content_type}\n'
)
key_matches() {
    [ "$(openssl pkey -in "$work/key.pem" -pubout)" = "$(openssl x509 -in "$work/fullchain.pem" -noout -pubkey)" ] &&
        echo "the public key of key.pem is the one in the leaf ($(openssl x509 -in "$work/fullchain.pem" -noout -subject))"
}
finished() { as alice wait dlr/api-fullchain dlr/api-key --for=condition=Finished --timeout=20s; }
the_record() {
    local table
    table=$(as erin get dlr,dlrc) || return 1
    printf '%s\n' "$table" >"$work/record"
    [ "$(grep -c Delivered "$work/record")" = 2 ] || { cat "$work/record"; return 1; }
    echo "two receipts, both Delivered:"
}
the_approvers() {
    local approvers
    approvers=$(as erin get dlrc -o 'jsonpath={range .items[?(@.spec.format=="key")].spec.approvals[*]}, {.username} ({.reason}){end}')
    [[ $approvers == *bob* && $approvers == *frank* ]] || { echo "it says: $approvers"; return 1; }
    echo "approved by${approvers#,}"
}

echo "certcourier demo: $("$KUBECTL" version -o json 2>/dev/null | python3 -c 'import json,sys; print("Kubernetes", json.load(sys.stdin)["serverVersion"]["gitVersion"])'), everything real, everything on loopback"
set_the_stage || exit 1

step "dave, the administrator, registers Certificate api: kubectl apply -f examples/00-certificate.yaml" as dave apply -f "$here/examples/00-certificate.yaml"
step "the operator reads its Secrets and says what they hold" certificate_is_ready
step "carol cannot read Secrets: kubectl get secret api-tls" carol_cannot_read_secrets
step "carol asks for the full chain: kubectl create -f examples/01-first-download.yaml" carol_asks
step "she waits: kubectl wait dlr/api-fullchain --for=condition=TokenIssued" wait_for_token carol api-fullchain
link=$(secret carol api-fullchain url)
step "she downloads: curl --cacert ca.crt \"\$URL\" -o fullchain.pem" carol_downloads
step "openssl verifies fullchain.pem against the root" openssl_verifies
step "the same link again" again_is_410
step "carol asks for the private key: she lacks the right" carol_wants_the_key
step "alice, who may export keys, asks: no policy allows it" policy_refuses_alice
step "dave allows key export once two people approve: kubectl apply -f examples/05-two-approvals.yaml" dave_allows_keys
step "alice asks again: kubectl create -f examples/04-key.yaml" alice_asks
step "bob approves with the plugin: kubectl certcourier approve api-key" bob_approves
step "frank approves with plain kubectl: kubectl patch dlr api-key --subresource=status" frank_approves
step "alice waits for the token" wait_for_token alice api-key
step "she downloads the key: curl --cacert ca.crt \"\$URL\" -o key.pem" alice_downloads
step "openssl compares the key with the leaf" key_matches
step "both requests are finished" finished
step "erin, the auditor, reads the record: kubectl get dlr,dlrc" the_record
sed 's/^/      /' "$work/record"
step "the receipt of the key names both approvers and their reasons" the_approvers
echo "done: $steps steps, all as they say; stopping everything"
