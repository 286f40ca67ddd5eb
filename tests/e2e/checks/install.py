"""README's installation, and what runs afterwards."""
import re
import time

from report import check, demand, figure, section
from world import (FILES, PAYMENTS, ROOT, SYSTEM, all_ready, guard, helm, install, kubectl, objects, pods,
                   processes, run, wait_for)

section("install")


@check("helm install --wait with the command of README brings Ready pods into a namespace that enforces `restricted`")
def installed():
    levels = {f"pod-security.kubernetes.io/{mode}": "restricted" for mode in ("enforce", "warn", "audit")}
    for name in (PAYMENTS, SYSTEM):
        kubectl("create", "namespace", name)
        kubectl("label", "namespace", name, *(f"{key}={value}" for key, value in levels.items()))
    began = time.monotonic()
    printed = install()
    took = time.monotonic() - began
    figure("helm install --wait", f"{took:.1f} s")
    demand("violate" not in printed and "WARN" not in printed, f"helm prints a warning: {printed}")
    demand(len(pods()) == 2 and all_ready(), "helm is done, and not both pods are Ready")


@check("the commands of step 1 that helm prints succeed as they are, and then the guard is Intact")
def notes_are_true():
    wait_as_notes_say()
    demand(guard()["state"] == "Intact", f"the guard: {guard()}")


def wait_as_notes_say():
    """Runs step 1 of what helm printed."""
    notes = helm("get", "notes", "certcourier")
    commands = re.search(r"^1\. .*\n((?:   .*\n)+)", notes, re.MULTILINE)
    demand(commands, f"helm printed no step 1: {notes}")
    run("sh", "-ec", commands[1], timeout=240)


@check("its processes are uid 65532 without capabilities, behind a seccomp filter, on a root they cannot write to")
def confined():
    found = processes()
    demand(len(found) == 4, f"two pods of two containers, and these processes: {found}")
    for pid in found:
        status = dict(re.findall(r"^(\w+):\s+(.*)$", open(f"/proc/{pid}/status").read(), re.MULTILINE))
        demand(status["Uid"].split() == ["65532"] * 4, f"uid {status['Uid']}")
        demand(int(status["CapEff"], 16) == 0 and int(status["CapBnd"], 16) == 0, f"capabilities {status['CapBnd']}")
        demand(status["NoNewPrivs"] == "1" and status["Seccomp"] == "2", f"seccomp {status['Seccomp']}")
        root = next(line for line in open(f"/proc/{pid}/mountinfo") if line.split()[4] == "/")
        demand(root.split()[5].split(",")[0] == "ro", f"the root is mounted {root}")


@check("pods start without a Warning Event")
def no_warnings():
    events = [event for event in objects("events", SYSTEM, "/api/v1") if event["type"] == "Warning"]
    # The machine's own: that cgroup v1 is old.
    events = [event for event in events if event["involvedObject"]["kind"] == "Pod" and event["reason"] != "CgroupV1"]
    demand(not events, "\n".join(f"{event['reason']} {event.get('count')}x: {event['message']}" for event in events))


@check("a pod is Ready within seconds of its start")
def start_to_ready():
    took = []
    for pod in pods():
        times = {each["type"]: each["lastTransitionTime"] for each in pod["status"]["conditions"]}
        began, ready = (time.mktime(time.strptime(at, "%Y-%m-%dT%H:%M:%SZ")) for at in (pod["status"]["startTime"], times["Ready"]))
        took.append(ready - began)
    figure("pod start to Ready", f"{max(took):.0f} s")
    demand(max(took) <= 30, f"{took} s")


@check("the people of the examples get their roles, and a Certificate made with openssl is Ready")
def people_and_certificates():
    make_certificates()
    kubectl("apply", "-f", str(ROOT / "examples/00-people.yaml"))
    kubectl("apply", "-f", str(ROOT / "examples/00-certificate.yaml"), person="dave")
    wait_for("ccert/api", "Ready", 30, "dave")
    kubectl("-n", PAYMENTS, "create", "serviceaccount", "loader")
    kubectl("-n", PAYMENTS, "create", "rolebinding", "loader", "--clusterrole=certcourier-downloader",
            f"--serviceaccount={PAYMENTS}:loader")


def make_certificates():
    issue("root", "/CN=E2E Root", "basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign,cRLSign\n")
    for name in ("api", "staging"):
        renew(name)


def issue(name, subject, extensions, issuer=None):
    file = f"{FILES}/{name}"
    run("openssl", "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", subject,
        "-keyout", f"{file}.key", "-out", f"{file}.csr")
    (FILES / f"{name}.ext").write_text(extensions)
    signer = ["-CA", f"{FILES}/{issuer}.crt", "-CAkey", f"{FILES}/{issuer}.key", "-CAcreateserial"] if issuer else ["-signkey", f"{file}.key"]
    run("openssl", "x509", "-req", "-in", f"{file}.csr", *signer, "-days", "90" if issuer else "365",
        "-extfile", f"{file}.ext", "-out", f"{file}.crt")


def renew(name):
    """A new key and certificate in the Secret of one environment."""
    issue(name, f"/CN={name}.payments.example", f"subjectAltName=DNS:{name}.payments.example\n", "root")
    manifest = kubectl("-n", PAYMENTS, "create", "secret", "generic", f"{name}-tls", "--type=kubernetes.io/tls",
                       f"--from-file=tls.crt={FILES}/{name}.crt", f"--from-file=tls.key={FILES}/{name}.key",
                       f"--from-file=ca.crt={FILES}/root.crt", "--dry-run=client", "-o", "yaml")
    kubectl("apply", "-f", "-", text=manifest)
