"""The node, its people, and the programs that a check calls."""
import base64
import http.client
import json
import os
import pathlib
import socket
import ssl
import subprocess
import time
import urllib.parse

from report import Failed, demand

ROOT = pathlib.Path(__file__).resolve().parents[3]
E2E = pathlib.Path(os.environ["E2E"])
NODE = E2E / "node"
FILES = E2E / "files"
PLUGIN = os.environ["PLUGIN"]
HELM = os.environ["HELM"]
SYSTEM = "certcourier-system"
PAYMENTS = "payments"
HOST = f"certcourier.{SYSTEM}.svc.cluster.local"
API_SERVER = ("10.88.0.2", 6443)
KIND = "/apis/certcourier.io/v1alpha1/namespaces"
# How much longer than on an idle machine things may take. What the product promises in seconds is not stretched.
PATIENCE = float(os.environ.get("E2E_PATIENCE", "1"))
# README's command. All other values are the chart's defaults.
VALUES = ["--set", "image.repository=localhost/certcourier", "--set", f"watchNamespaces={{{PAYMENTS}}}",
          "--set", f"externalURL=https://{HOST}"]


def run(*command, text=None, timeout=120, fails=False, env=None, directory=None):
    """What the command prints on both streams. It must succeed, or fail where `fails` is set."""
    try:
        done = subprocess.run(command, input=text, env=env, capture_output=True, text=True, timeout=timeout * PATIENCE,
                              cwd=directory)
    except subprocess.TimeoutExpired:
        raise Failed(f"{command[0]} {command[1]} was not done after {timeout} s") from None
    output = done.stdout + done.stderr
    words = " ".join(str(word) for word in command[:8])
    demand((done.returncode != 0) == fails, f"{words} … ended with {done.returncode}: {output.strip()[-1500:]}")
    return output


def kubeconfig(person):
    return str(NODE / "pki" / f"{person}.kubeconfig")


def kubectl(*arguments, person="admin", **more):
    return run("kubectl", "--kubeconfig", kubeconfig(person), *arguments, **more)


def wait_for(what, condition, seconds=30, person="admin", namespace=PAYMENTS):
    kubectl("-n", namespace, "wait", what, f"--for=condition={condition}", f"--timeout={int(seconds * PATIENCE)}s", person=person)


def rolled_out(deployment="certcourier", namespace=SYSTEM):
    kubectl("-n", namespace, "rollout", "status", f"deployment/{deployment}", f"--timeout={int(120 * PATIENCE)}s")


def plugin(*arguments, person, **more):
    return run(PLUGIN, *arguments, env=os.environ | {"KUBECONFIG": kubeconfig(person)}, **more)


def helm(*arguments, **more):
    return run(HELM, *arguments, "--namespace", SYSTEM, "--kubeconfig", kubeconfig("admin"), timeout=300, **more)


WAIT = ("--wait", f"--timeout={int(180 * PATIENCE)}s")


def install(*values):
    printed = helm("upgrade", "--install", "certcourier", str(ROOT / "charts/certcourier"), *VALUES, *values, *WAIT)
    address = api("GET", f"/api/v1/namespaces/{SYSTEM}/services/certcourier")["spec"]["clusterIP"]
    # In place: it is mounted over /etc/hosts.
    (NODE / "hosts").write_text(f"127.0.0.1 localhost\n{address} {HOST}\n")
    return printed


def node(*arguments):
    return run(str(ROOT / "tests/e2e/node/node.sh"), *arguments, timeout=400)


def until(what, seconds, ask, every=0.1):
    """Asks until the answer is true, and returns it. A Failed counts as no."""
    end, last = time.monotonic() + seconds * PATIENCE, None
    while True:
        try:
            answer = ask()
            if answer:
                return answer
        except (Failed, OSError, http.client.HTTPException) as error:
            last = error
        if time.monotonic() >= end:
            raise Failed(f"gave up waiting for {what} after {seconds} s" + (f"; last: {last}" if last else ""))
        time.sleep(every)


# The Kubernetes API, without a process for each call.
def api(method, path, body=None, person="admin", patch="merge-patch"):
    context = ssl.create_default_context(cafile=NODE / "pki/ca.crt")
    context.load_cert_chain(NODE / f"pki/{person}.crt", NODE / f"pki/{person}.key")
    connection = http.client.HTTPSConnection(*API_SERVER, context=context, timeout=15)
    kind = f"application/{patch}+json" if method == "PATCH" else "application/json"
    try:
        connection.request(method, path, json.dumps(body) if body is not None else None, {"Content-Type": kind})
        answer = connection.getresponse()
        text = answer.read()
    finally:
        connection.close()
    demand(answer.status < 300, f"{method} {path}: {answer.status} {text.decode()[-600:]}")
    return json.loads(text)


def objects(resource, namespace=PAYMENTS, group="/apis/certcourier.io/v1alpha1", query=""):
    return api("GET", f"{group}/namespaces/{namespace}/{resource}{query}")["items"]


def pods():
    """certcourier's pods that are not on their way out."""
    found = objects("pods", SYSTEM, "/api/v1", "?labelSelector=app.kubernetes.io/name%3Dcertcourier")
    return [pod for pod in found if "deletionTimestamp" not in pod["metadata"]]


def is_ready(pod):
    return any(each["type"] == "Ready" and each["status"] == "True" for each in pod["status"].get("conditions", []))


def all_ready():
    found = pods()
    return found and all(is_ready(pod) for pod in found) and found


def lease():
    return api("GET", f"/apis/coordination.k8s.io/v1/namespaces/{SYSTEM}/leases/certcourier-controller")["spec"]


def leader():
    return lease().get("holderIdentity") or ""


def guard():
    return api("GET", f"/api/v1/namespaces/{SYSTEM}/configmaps/certcourier-guard")["data"]


def secret(name, key, person):
    data = api("GET", f"/api/v1/namespaces/{PAYMENTS}/secrets/{name}", person=person)["data"]
    return base64.b64decode(data[key]).decode()


# The server, as a client outside sees it: a new connection for each call.
def serving_ca():
    """Written anew for each caller: an installation has a CA of its own."""
    data = api("GET", f"/api/v1/namespaces/{SYSTEM}/configmaps/certcourier-serving-ca").get("data") or {}
    demand(data.get("ca.crt"), "the serving CA is not there yet")
    return data["ca.crt"]


def server(method, path, token=None, body=None, context=None, timeout=30):
    """Status and content. `path` may be a link."""
    context = context or ssl.create_default_context(cadata=serving_ca())
    path = urllib.parse.urlparse(path).path
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    connection = http.client.HTTPSConnection(HOST, 443, context=context, timeout=timeout)
    try:
        connection.request(method, path, json.dumps(body) if body is not None else None, headers)
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def account_token(name):
    return run("kubectl", "--kubeconfig", kubeconfig("admin"), "-n", PAYMENTS, "create", "token", name, "--duration=6h").strip()


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def processes():
    """The certcourier programs in the node's containers, as this machine numbers them: {pid: command line}."""
    found = {}
    for folder in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            line = (folder / "cmdline").read_bytes().split(b"\0")
            if line[0] == b"/certcourier" and os.readlink(folder / "ns/pid") != os.readlink("/proc/self/ns/pid"):
                found[int(folder.name)] = b" ".join(line).decode()
        except OSError:
            continue
    return found
