#!/usr/bin/env bash
# The stage of the demo, and the browser tests on it.
set -uo pipefail
# In `payments` and `ledger` keys need two approvals, in `shop` none; `many` has a thousand certificates.
export WATCHED=payments,ledger,shop,many
# shellcheck source=demo/stage.sh
. "$(dirname "$0")/../../demo/stage.sh"

# All browsers come from one address.
read -ra server_flags <<<"--rate-per-address 100000 --rate-burst 100000 --rate-lookups 100000 --rate-malformed 100000 \
    --rate-per-person 100000 --rate-person-burst 100000 --rate-connections 100000 --external-url https://127.0.0.1:$SERVER_PORT \
    --oidc-issuer $OIDC_ISSUER --oidc-client-id $OIDC_CLIENT --oidc-client-secret-file $OIDC_SECRET_FILE \
    --oidc-ca-file $OIDC_CA"
set_the_stage || exit 1
for each in ledger shop many; do
    sed "s/namespace: payments/namespace: $each/" "$here/examples/00-people.yaml" | k apply -f - >/dev/null || exit 1
    for name in api staging; do
        k --namespace payments get secret "$name-tls" -o json |
            python3 -c 'import json, sys; s = json.load(sys.stdin); s["metadata"] = {"name": s["metadata"]["name"]}; json.dump(s, sys.stdout)' |
            k --namespace "$each" create -f - >/dev/null || exit 1
    done
done
for each in payments ledger shop; do
    sed "s/namespace: payments/namespace: $each/" "$here/examples/00-certificate.yaml" |
        "$KUBECTL" --kubeconfig "$people/dave.kubeconfig" apply -f - >/dev/null || exit 1
done
for each in payments ledger; do
    k --namespace "$each" apply -f - >/dev/null <<'YAML' || exit 1
apiVersion: certcourier.io/v1alpha1
kind: CertificatePolicy
metadata: {name: two-approvals}
spec:
  allowKeyExport: WithApproval
  approval: {requiredFor: Keys, approvals: 2, contacts: "#platform-security"}
YAML
done
k apply -f - >/dev/null <<'YAML' || exit 1
apiVersion: certcourier.io/v1alpha1
kind: CertificatePolicy
metadata: {name: keys-allowed, namespace: shop}
spec: {allowKeyExport: Always}
YAML

# A thousand certificates that share a Secret; while the first tests run, by four hands.
certificates() {
    python3 - "$1" "$2" <<'PY'
import json, sys
def certificate(number):
    return {"apiVersion": "certcourier.io/v1alpha1", "kind": "Certificate",
            "metadata": {"name": f"service-{number:04}", "namespace": "many"},
            "spec": {"environments": [{"name": "production", "secretRef": {"name": "api-tls"}}]}}
items = [certificate(number) for number in range(int(sys.argv[1]), int(sys.argv[2]))]
print(json.dumps({"apiVersion": "v1", "kind": "List", "items": items}))
PY
}
for part in 0 250 500 750; do
    certificates "$part" $((part + 250)) | timeout 150 "$KUBECTL" create -f - >/dev/null 2>"$work/many-$part.log" &
    children+=($!)
done

export STAGE_URL=$url STAGE_CA=$work/ca.crt STAGE_PEOPLE=$people STAGE_NAMESPACE=$namespace STAGE_WORK=$work
export STAGE_PLUGIN=$plugin
export PYTHONDONTWRITEBYTECODE=1
"$PLAYWRIGHT/bin/python" "$here/tests/browser" "$@"
