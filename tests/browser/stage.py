"""The stage from the tests' side: kubectl as people, what is secret, and waiting."""

import base64
import functools
import json
import os
import re
import subprocess
import tempfile
import time
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
OUT = REPOSITORY / "target" / "browser"
URL = os.environ["STAGE_URL"]
CA = os.environ["STAGE_CA"]
PEOPLE = Path(os.environ["STAGE_PEOPLE"])
WORK = Path(os.environ["STAGE_WORK"])
PLUGIN = os.environ["STAGE_PLUGIN"]
KUBECTL = os.environ["KUBECTL"]

# Two people must approve before a key of `payments` is released; in `shop` none, and anyone may ask.
PAYMENTS = "payments"
SHOP = "shop"
# Longer than anything here takes; what hangs is a failure with words.
PATIENCE = 30

# What must be on no page, in no URL and in no log: texts, each with what it is.
secrets: dict[str, str] = {}


def secret(text, what):
    """Remembers what must be nowhere."""
    if len(text) >= 12:
        secrets[text] = what
    return text


def leaks(text):
    """What of all secrets is in a text, by what it is."""
    return sorted({what for secret_text, what in secrets.items() if secret_text in text})


def scrubbed(text):
    """A text without secrets, to be kept."""
    for secret_text, what in secrets.items():
        text = text.replace(secret_text, f"[{what}]")
    return text


def run(*arguments, kubeconfig=None, stdin=None, env=None):
    """Runs a program to its end, and fails with its words."""
    environment = os.environ | ({"KUBECONFIG": str(kubeconfig)} if kubeconfig else {}) | (env or {})
    done = subprocess.run(arguments, input=stdin, env=environment, text=True, capture_output=True, timeout=2 * PATIENCE)
    if done.returncode != 0:
        raise AssertionError(f"{arguments[0]} ended with {done.returncode}: {scrubbed(done.stdout + done.stderr)}")
    return done.stdout


def kubectl(*arguments, person=None, namespace=PAYMENTS, stdin=None):
    """kubectl with all rights, or as one of the people."""
    kubeconfig = person and kubeconfig_of(person)
    return run(KUBECTL, "--namespace", namespace, *arguments, kubeconfig=kubeconfig, stdin=stdin)


def kubeconfig_of(person):
    return PEOPLE / f"{person}.kubeconfig"


def text(value):
    return json.dumps(value)


def apply(value, **more):
    kubectl("apply", "-f", "-", stdin=json.dumps(value), **more)


def create(value, **more):
    """Creates an object: its name."""
    return json.loads(kubectl("create", "-f", "-", "-o", "json", stdin=json.dumps(value), **more))["metadata"]["name"]


def get(kind, name, namespace=PAYMENTS):
    return json.loads(kubectl("get", kind, name, "-o", "json", namespace=namespace))


@functools.cache
def token_of(person):
    """The bearer token of one of the people."""
    path = "jsonpath={.users[0].user.token}"
    text = run(KUBECTL, "config", "view", "--raw", "-o", path, kubeconfig=kubeconfig_of(person))
    return secret(text, f"{person}'s bearer token")


def until(what, look, patience=PATIENCE):
    """Looks until there is something; what it was, or a failure that says what it last saw."""
    end = time.monotonic() + patience
    seen = None
    while time.monotonic() < end:
        seen = look()
        if seen:
            return seen
        time.sleep(0.05)
    raise AssertionError(f"gave up waiting for {what}; last seen: {seen!r}")


def request(person, certificate="api", namespace=PAYMENTS, name=None, **spec):
    """A DownloadRequest: its name."""
    return create(
        {
            "apiVersion": "certcourier.io/v1alpha1",
            "kind": "DownloadRequest",
            "metadata": {"name": name} if name else {"generateName": f"{certificate}-"},
            "spec": {"certificateRef": {"name": certificate}} | spec,
        },
        person=person,
        namespace=namespace,
    )


def phase(name, namespace=PAYMENTS):
    return get("downloadrequest", name, namespace).get("status", {}).get("phase")


def token_in_secret(person, name, namespace=PAYMENTS):
    """The token of a request, from the Secret that its requester alone may read."""
    until("a token", lambda: phase(name, namespace) == "TokenIssued")
    read = kubectl("get", "secret", f"{name}-download-token", "-o", "json", person=person, namespace=namespace)
    token = base64.b64decode(json.loads(read)["data"]["token"]).decode()
    # The rest of it is its address.
    secret(token.rsplit(".", 1)[-1], "a download token")
    return token


def downloaded(token):
    """The file of a token, as curl gets it."""
    here = ["--noproxy", "*", "--cacert", CA, "--user-agent", "curl", "--data-binary", "@-"]
    return run("curl", "-fsS", *here, f"{URL}/api/v1/downloads", stdin=token)


def plugin(person, command, *arguments, namespace=PAYMENTS):
    """The plugin as one of the people."""
    known = {"CERTCOURIER_SERVER": URL, "CERTCOURIER_SERVER_CA": CA}
    return run(PLUGIN, command, "-n", namespace, *arguments, kubeconfig=kubeconfig_of(person), env=known)


def leaf(name="api"):
    """What a full chain must be."""
    return (WORK / f"{name}-chain.crt").read_text()


def log_files():
    return [path for path in WORK.glob("*.log") if path.is_file()]


def receipts_of(namespace, by_whom=None, format=None):
    """Receipts of a namespace, by who asked and in which format."""
    found = json.loads(kubectl("get", "downloadreceipts", "-o", "json", namespace=namespace))["items"]
    found = [receipt["spec"] for receipt in found]
    by = lambda spec: by_whom is None or spec["requestedBy"]["username"] == by_whom
    return [spec for spec in found if by(spec) and format in (None, spec["format"])]


def quickest(route):
    """The milliseconds of the quickest answer 200 of a route, as the server has logged them."""
    line = re.compile(rf"GET {re.escape(route)} answered 200.* duration_ms=(\d+)")
    return min(int(found) for found in line.findall((WORK / "server.log").read_text()))


def opened_pkcs12(content, passphrase):
    """What openssl finds in the file, once it is on a disk."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "bundle.p12"
        path.write_bytes(content)
        opened = ["openssl", "pkcs12", "-in", path, "-nodes", "-passin", "env:P"]
        words = {"P": passphrase, "PATH": "/usr/bin:/bin"}
        return subprocess.run(opened, env=words, capture_output=True, text=True, check=True).stdout
