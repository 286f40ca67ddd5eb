"""README's story against the Service, then keys by the plugin on both of its ways."""
import json

from report import check, demand, section
from world import (FILES, HOST, NODE, PAYMENTS, ROOT, SYSTEM, account_token, guard, kubectl, objects, plugin, run,
                   secret, server, serving_ca, until, wait_for)

section("story")


ROBOTS = """{"apiVersion": "certcourier.io/v1alpha1", "kind": "CertificatePolicy", "metadata": {"name": "robots", "namespace": "payments"},
"spec": {"unattended": {"keyFormats": "WithApproval"}}}"""


def curl(link, out):
    ca = FILES / "served-ca.crt"
    ca.write_text(serving_ca())
    return run("curl", "-sS", "--max-time", "20", "--cacert", str(ca), link, "-o", str(out), "-w", "%{http_code}").strip()


@check("carol, who cannot read Secrets, gets the full chain by a link that works once")
def full_chain():
    refused = kubectl("get", "secret", "api-tls", person="carol", fails=True)
    demand('cannot get resource "secrets"' in refused, refused)
    kubectl("create", "-f", str(ROOT / "examples/01-first-download.yaml"), person="carol")
    wait_for("dlr/api-fullchain", "TokenIssued", 20, "carol")
    link = secret("api-fullchain-download-token", "url", "carol")
    demand(link.startswith(f"https://{HOST}/"), f"the link is {link.split('/api/')[0]}")
    status = curl(link, FILES / "fullchain.pem")
    demand(status == "200", f"HTTP {status}")
    run("openssl", "verify", "-CAfile", str(FILES / "root.crt"), str(FILES / "fullchain.pem"))
    status = curl(link, FILES / "again.json")
    words = json.loads((FILES / "again.json").read_text())
    demand(status == "410" and words["error"] == "token_used", f"the second time: HTTP {status}: {words}")


@check("alice's request for a key waits for bob and frank, and the receipt names both with their reasons")
def key_with_two_approvals():
    early = kubectl("create", "-f", str(ROOT / "examples/02-key-refused.yaml"), person="carol", fails=True)
    demand("exportkey" in early, early)
    kubectl("create", "-f", str(ROOT / "examples/02-key-refused.yaml"), person="alice")
    wait_for("dlr/api-key-early", "Finished", 20, "alice")
    kubectl("apply", "-f", str(ROOT / "examples/05-two-approvals.yaml"), person="dave")
    kubectl("create", "-f", str(ROOT / "examples/04-key.yaml"), person="alice")
    approve("api-key")
    wait_for("dlr/api-key", "TokenIssued", 20, "alice")
    status = curl(secret("api-key-download-token", "url", "alice"), FILES / "key.pem")
    demand(status == "200", f"HTTP {status}")
    of_key = run("openssl", "pkey", "-in", str(FILES / "key.pem"), "-pubout")
    demand(of_key == run("openssl", "x509", "-in", str(FILES / "api.crt"), "-noout", "-pubkey"), "the key is another one's")
    receipt = receipt_of("api-key")
    names = {vote["username"]: vote["reason"] for vote in receipt["spec"]["approvals"]}
    demand(set(names) == {"bob", "frank"} and all(names.values()), f"the receipt names {names}")
    demand("alice" in kubectl("get", "dlrc", person="erin"), "erin cannot read the record")


def approve(request, *people):
    until(f"the review of {request}", 30, lambda: review(request).get("digest"))
    for person in people or ("bob", "frank"):
        plugin("approve", request, "--yes", "--reason", "INC-4211, checked with alice", person=person)


def review(request):
    found = json.loads(kubectl("get", "dlr", request, "-o", "json", "-n", PAYMENTS))
    return found.get("status", {}).get("review", {})


def receipt_of(request, seconds=10):
    def find():
        return next((each for each in objects("downloadreceipts") if each["spec"]["requestRef"]["name"] == request), None)

    return until(f"the receipt of {request}", seconds, find)


@check("the plugin takes a PKCS#12 after two approvals through the kubelet's port-forward, with a client certificate")
def by_port_forward():
    kubectl("-n", SYSTEM, "create", "rolebinding", "alice-port-forward",
            "--role=certcourier-port-forward", "--user=alice")
    key_by_plugin("by-port-forward", "alice", "--port-forward")


@check("the plugin takes a PKCS#12 after two approvals from the external URL, with a ServiceAccount's token")
def by_external_url():
    kubectl("-n", PAYMENTS, "create", "serviceaccount", "robot")
    kubectl("-n", PAYMENTS, "create", "rolebinding", "robot", "--clusterrole=certcourier-operator",
            f"--serviceaccount={PAYMENTS}:robot")
    kubectl("apply", "-f", "-", text=ROBOTS, person="dave")
    robot_kubeconfig()
    key_by_plugin("by-url", "robot")


def robot_kubeconfig():
    text = (NODE / "pki/alice.kubeconfig").read_text()
    before, after = text.split("user: {", 1)
    token = account_token("robot")
    (NODE / "pki/robot.kubeconfig").write_text(before + "user: {token: " + token + "}}]\n" + after.split("}}]\n", 1)[1])


def key_by_plugin(name, person, *flags):
    plugin("request", "api", "--name", name, "--format", "pkcs12", "--reason", "INC-4211 F5 import", person=person)
    approve(name)
    bundle, passphrase = FILES / f"{name}.p12", FILES / f"{name}.txt"
    plugin("download", "--request", name, "--generate", "--passphrase-out", str(passphrase), "-o", str(bundle), *flags, person=person)
    demand(bundle.stat().st_mode & 0o777 == 0o600, "others can read the file")
    holds = run("openssl", "pkcs12", "-in", str(bundle), "-passin", f"file:{passphrase}", "-nodes")
    demand("PRIVATE KEY" in holds and "CN = api.payments.example" in holds, f"openssl reads: {holds[:200]}")
    demand(receipt_of(name)["status"]["outcome"] == "Delivered", "the receipt does not say Delivered")


@check("the name of the Service is in the serving certificate, whose CA is published in the cluster")
def service_name():
    status, _ = server("GET", "/openapi.json")
    demand(status == 200, f"HTTP {status}")


@check("each of the four deliveries has a receipt that says Delivered")
def record():
    found = objects("downloadreceipts")
    demand(len(found) == 4, f"{len(found)} receipts of 4 deliveries")
    demand(all(each["status"].get("outcome") == "Delivered" for each in found), "a receipt does not say Delivered")
    demand(guard()["state"] == "Intact", f"the guard: {guard()}")
