"""cert-manager beside certcourier: a real controller issues and renews, and certcourier follows."""
import json
import os
import time

from life import settled
from report import check, demand, figure, section
from story import review
from world import E2E, PAYMENTS, ROOT, api, install, kubectl, node, plugin, rolled_out, run, until, wait_for

section("cert-manager")
NAMESPACE = "cert-manager"
# Renewals are looked for this often, in place of the chart's 10 minutes.
INTERVAL = 5
DEPLOYMENT = """
apiVersion: v1
kind: ServiceAccount
metadata: {name: cert-manager, namespace: cert-manager}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: cert-manager}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: cluster-admin}
subjects: [{kind: ServiceAccount, name: cert-manager, namespace: cert-manager}]
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: cert-manager, namespace: cert-manager}
spec:
  selector: {matchLabels: {app: cert-manager}}
  template:
    metadata: {labels: {app: cert-manager}}
    spec:
      serviceAccountName: cert-manager
      securityContext: {runAsNonRoot: true, seccompProfile: {type: RuntimeDefault}}
      containers:
      - name: controller
        image: localhost/cert-manager:1
        args: [--cluster-resource-namespace=cert-manager, --leader-elect=false]
        securityContext: {allowPrivilegeEscalation: false, capabilities: {drop: [ALL]}}
"""
ISSUERS = """
apiVersion: cert-manager.io/v1
kind: Issuer
metadata: {name: selfsigned, namespace: payments}
spec: {selfSigned: {}}
---
apiVersion: cert-manager.io/v1
kind: Certificate
metadata: {name: authority, namespace: payments}
spec: {isCA: true, commonName: E2E CA, secretName: authority, issuerRef: {name: selfsigned}, privateKey: {algorithm: ECDSA, size: 256}}
---
apiVersion: cert-manager.io/v1
kind: Issuer
metadata: {name: ca, namespace: payments}
spec: {ca: {secretName: authority}}
---
apiVersion: cert-manager.io/v1
kind: Certificate
metadata: {name: web, namespace: payments}
spec:
  secretName: web-tls
  dnsNames: [web.payments.example]
  issuerRef: {name: ca}
  privateKey: {algorithm: ECDSA, size: 256, rotationPolicy: Always}
"""
POLICY = """
apiVersion: certcourier.io/v1alpha1
kind: CertificatePolicy
metadata: {name: web-keys, namespace: payments}
spec: {certificates: [web], allowKeyExport: WithApproval, approval: {requiredFor: Keys, approvals: 2, pendingTTL: 1h}}
"""


@check("a real cert-manager issues a certificate into a Secret")
def issued():
    image = E2E / "images/cert-manager.tar"
    run(str(ROOT / "tests/e2e/node/image.py"), str(image), "localhost/cert-manager:1",
        f"{os.environ['PROGRAMS']}/bin/cert-manager=/controller")
    node("import", str(image))
    kinds = run("go", "mod", "download", "-json", "github.com/cert-manager/cert-manager",
                directory=ROOT / "tests/e2e/programs/cert-manager")
    folder = json.loads(kinds)["Dir"] + "/deploy/crds"
    for name in os.listdir(folder):
        if name.endswith(".yaml"):
            # They are templates of its chart, in labels alone.
            text = "".join(line for line in open(f"{folder}/{name}") if "{{" not in line)
            kubectl("apply", "--server-side", "-f", "-", text=text)
    kubectl("create", "namespace", NAMESPACE)
    kubectl("apply", "-f", "-", text=DEPLOYMENT)
    rolled_out("cert-manager", NAMESPACE)
    until("the kinds of cert-manager", 60, lambda: kubectl("apply", "-f", "-", text=ISSUERS), every=1)
    wait_for("certificate.cert-manager.io/web", "Ready", 120)


def status():
    found = api("GET", f"/apis/certcourier.io/v1alpha1/namespaces/{PAYMENTS}/certificates/web").get("status", {})
    return next(iter(found.get("environments", [])), {})


@check("adopt makes a Certificate of what cert-manager has issued, and inspect says that cert-manager owns it")
def adopted():
    install("--set", f"controller.extraArgs={{--certificate-interval={INTERVAL}s}}")
    settled()
    said = plugin("adopt", "-n", PAYMENTS, "--from", "certificates.cert-manager.io", person="admin")
    demand("web" in said, said)
    wait_for("certificates.certcourier.io/web", "Ready", 60)
    report = plugin("inspect", "web", "-n", PAYMENTS, person="admin")
    demand("cert-manager, for its Certificate web, issued by Issuer ca" in report, report)


@check("a renewal shows in status within the interval, and voids a review that waits for its second approval")
def renewed():
    kubectl("apply", "-f", "-", text=POLICY, person="dave")
    plugin("request", "web", "--name", "web-key", "--format", "key", "--reason", "INC-4212", person="alice")
    until("the review", 30, lambda: review("web-key").get("digest"))
    plugin("approve", "web-key", "--yes", "--reason", "checked", person="bob")
    before, shown = review("web-key")["digest"], status()["sha256Fingerprint"]
    # As `cmctl renew` does.
    path = f"/apis/cert-manager.io/v1/namespaces/{PAYMENTS}/certificates/web/status"
    condition = {"type": "Issuing", "status": "True", "reason": "ManuallyTriggered", "message": "e2e",
                 "lastTransitionTime": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())}
    api("PATCH", path, [{"op": "add", "path": "/status/conditions/-", "value": condition}], patch="json-patch")

    def revision():
        return api("GET", f"/apis/cert-manager.io/v1/namespaces/{PAYMENTS}/certificates/web")["status"].get("revision", 0) >= 2

    until("cert-manager to renew", 60, revision)
    began = time.monotonic()
    until("the renewal in status", INTERVAL * 3, lambda: status().get("sha256Fingerprint") not in (None, shown))
    took = time.monotonic() - began
    until("another review", 30, lambda: review("web-key").get("digest") not in (None, before))
    figure("a renewal by cert-manager shows in status", f"{took:.1f} s, with an interval of {INTERVAL} s")
    plugin("approve", "web-key", "--yes", "--reason", "checked", person="frank")
    phase = kubectl("-n", PAYMENTS, "get", "dlr", "web-key", "-o", "jsonpath={.status.phase}")
    demand(phase == "AwaitingApproval", f"one vote for what is there now, and the request is {phase}")
    plugin("approve", "web-key", "--yes", "--reason", "checked again", person="bob")
    wait_for("dlr/web-key", "TokenIssued", 30)
