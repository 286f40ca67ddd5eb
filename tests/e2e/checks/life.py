"""From upgrade to uninstall and back, while people download."""
import json
import time

from install import wait_as_notes_say
from load import Load
from report import check, demand, figure, section
from story import key_by_plugin
from world import PAYMENTS, SYSTEM, WAIT, all_ready, api, guard, helm, install, kubectl, leader, objects, pods, until

section("life")
SEPARATE = ("--set", "placement=separate")


def settled(number=2):
    until(f"{number} Ready pods and no other", 120, lambda: len(pods()) == number and all_ready())


def guard_has_looked(since):
    """A look that began after `since`, a time of the guard's own writing."""
    until("the guard", 90, lambda: guard()["state"] == "Intact" and guard()["probedAt"] > since)


def now():
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


@check("helm upgrade to other resources fails no call and keeps the epoch")
def upgrade():
    settled()
    epoch = guard()["epoch"]
    with Load() as load:
        began = time.monotonic()
        install("--set", "server.resources.requests.cpu=60m", "--set", "logs.filter=debug")
        figure("helm upgrade --wait under load", f"{time.monotonic() - began:.1f} s")
        settled()
        time.sleep(5)
    figure("helm upgrade", load.summary())
    words = load.demand_no_failure()
    demand(guard()["epoch"] == epoch, "the guard has another epoch")
    return words


@check("helm rollback fails no call and keeps the epoch")
def rollback():
    settled()
    epoch = guard()["epoch"]
    with Load() as load:
        helm("rollback", "certcourier", "1", *WAIT)
        settled()
        time.sleep(5)
    figure("helm rollback", load.summary())
    words = load.demand_no_failure()
    demand(guard()["epoch"] == epoch, "the guard has another epoch")
    return words


@check("after a change that begins a new epoch, a request for a key that is created right after NOTES' wait stays open")
def notes_wait_for_the_new_epoch():
    # The wait that helm prints, and nothing else, between the upgrade and the request.
    since = now()
    install(*SEPARATE)
    wait_as_notes_say()
    kubectl("create", "-f", "-", person="alice", text=request("after-notes", "pkcs12"))
    until("the review", 60, lambda: api("GET", f"/apis/certcourier.io/v1alpha1/namespaces/{PAYMENTS}/downloadrequests/after-notes")
          .get("status", {}).get("review"))
    guard_has_looked(since)
    time.sleep(12)
    status = api("GET", f"/apis/certcourier.io/v1alpha1/namespaces/{PAYMENTS}/downloadrequests/after-notes")["status"]
    kubectl("-n", PAYMENTS, "delete", "dlr", "after-notes", "--wait=false")
    demand(status["phase"] == "AwaitingApproval", f"it is {status['phase']}: {status.get('conditions')}")


def request(name, form):
    return json.dumps({"apiVersion": "certcourier.io/v1alpha1", "kind": "DownloadRequest",
                       "metadata": {"name": name, "namespace": PAYMENTS},
                       "spec": {"certificateRef": {"name": "api"}, "format": form, "delivery": "Claim", "reason": "INC-4211"}})


@check("with placement `separate` the plugin takes a key, and the server's account may not create Secrets")
def separate():
    settled(4)
    key_by_plugin("when-separate", "robot")
    account = f"--as=system:serviceaccount:{SYSTEM}:certcourier-server"
    may = kubectl("auth", "can-i", "create", "secrets", "-n", PAYMENTS, account, fails=True)
    demand("no" in may, may)


@check("a change of placement has a leader again within 2 s, and fails no call")
def placement():
    old = leader()
    with Load() as load:
        began = time.monotonic()
        install()
        took = until_led(old, began)
        settled()
        time.sleep(5)
    figure("placement separate to sidecar", f"leaderless up to {took:.1f} s; {load.summary()}")
    words = load.demand_no_failure()
    longest = max(load.waits, default=0)
    demand(longest <= 4, f"a request waited {longest:.1f} s; {words}")
    return words


def until_led(old, began):
    until("the next leader", 60, lambda: leader() not in ("", old), every=0.05)
    return time.monotonic() - began


@check("after uninstall and a new installation every receipt is there, the guard is Intact, and downloads go on")
def reinstall():
    receipts = {each["metadata"]["name"] for each in objects("downloadreceipts")}
    since = now()
    helm("uninstall", "certcourier", *WAIT)
    until("the pods to be gone", 90, lambda: not pods())
    demand(receipts == {each["metadata"]["name"] for each in objects("downloadreceipts")}, "receipts are gone with the operator")
    install()
    guard_has_looked(since)
    demand(receipts <= {each["metadata"]["name"] for each in objects("downloadreceipts")}, "old receipts are gone")
    with Load() as load:
        time.sleep(5)
    return load.demand_no_failure()
