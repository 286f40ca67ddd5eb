"""What breaks on a node, one thing after another, while people download."""
import os
import signal
import time

from load import Load
from report import check, demand, figure, section
from world import (PATIENCE, SYSTEM, all_ready, api, guard, kubectl, leader, lease, node, objects, pods, processes,
                   rolled_out, until, wait_for)

section("disturbed")


def new_leader(old, seconds):
    began = time.monotonic()
    until("the next leader", seconds, lambda: leader() not in ("", old), every=0.05)
    return time.monotonic() - began


def pod_of(identity):
    return next(pod["metadata"]["name"] for pod in pods() if identity.startswith(pod["metadata"]["name"]))


@check("a rolling restart fails no call")
def rolling_restart():
    with Load() as load:
        kubectl("-n", SYSTEM, "rollout", "restart", "deployment/certcourier")
        rolled_out()
        until("the old pods to be gone", 90, lambda: len(pods()) == 2 and all_ready())
        time.sleep(5)
    figure("rolling restart", load.summary())
    return load.demand_no_failure()


@check("when the leader's pod is deleted, the next one leads within 2 s of its end, and requests that waited go on")
def leader_deleted():
    until("two Ready pods", 60, all_ready)
    old = leader()
    with Load() as load:
        kubectl("-n", SYSTEM, "delete", "pod", pod_of(old), "--wait=false")
        took = new_leader(old, 30)
        until("two Ready pods", 60, lambda: len(pods()) == 2 and all_ready())
    figure("leader's pod deleted", f"next leader {took:.1f} s after the deletion; {load.summary()}")
    words = load.demand_no_failure()
    demand(took <= 2, f"the next one leads {took:.1f} s after the deletion; {words}")
    return f"{took:.1f} s; {words}"


@check("when the leading controller is killed, the next one leads within the Lease's duration and 2 s")
def leader_killed():
    until("two Ready pods", 60, all_ready)
    old, duration = leader(), lease()["leaseDurationSeconds"]
    own = pod_of(old)
    with Load() as load:
        killed = kill(own, "/certcourier controller")
        demand(killed, f"no controller process of {own} was found")
        took = new_leader(old, duration + 30)
    figure("leading controller killed", f"next leader after {took:.1f} s; {load.summary()}")
    words = load.demand_no_failure()
    demand(took <= duration + 2, f"the next one leads after {took:.1f} s, the Lease is for {duration} s; {words}")
    return f"{took:.1f} s of {duration} + 2; {words}"


def kill(pod, program):
    """SIGKILL for the processes of one pod that run a program."""
    number = 0
    for pid, line in processes().items():
        environment = open(f"/proc/{pid}/environ", "rb").read().split(b"\0")
        if line.startswith(program) and f"POD_NAME={pod}".encode() in environment:
            os.kill(pid, signal.SIGKILL)
            number += 1
    return number


@check("when servers are killed, each download that was cut has a receipt that says so, or its link still works")
def servers_killed():
    until("two Ready pods", 90, all_ready)
    with Load() as load:
        for _ in range(2):
            kill(pods()[0]["metadata"]["name"], "/certcourier server")
            time.sleep(8)
            until("two Ready pods", 90, all_ready)
    figure("two servers killed", load.summary())
    # What a killed server leaves open, another one closes a moment later.
    return until("the record", 120, load.account_for_failures, every=5)


@check("when the kubelet is restarted, no call fails")
def kubelet_restarted():
    with Load() as load:
        node("stop", "kubelet")
        time.sleep(5)
        node("start", "kubelet")
        wait_for("node/node1", "Ready", 60)
        time.sleep(5)
    figure("kubelet restarted", load.summary())
    return load.demand_no_failure()


@check("when the API server is restarted, calls are told to try again, nothing is lost, and requests go on when it is back")
def api_server_restarted():
    before = guard()["epoch"]
    with Load() as load:
        node("stop", "kube-apiserver")
        time.sleep(5)
        node("start", "kube-apiserver")
        until("the API server", 60, lambda: api("GET", "/version"))
        back = time.monotonic()
        until("two Ready pods", 90, lambda: len(pods()) == 2 and all_ready())
        until("the guard", 90, lambda: guard()["state"] == "Intact")
        time.sleep(5)
    late = [call for call in load.failed() if call["at"] > back + 15 * PATIENCE]
    figure("API server restarted", load.summary())
    demand(not late, f"{len(late)} calls failed more than 15 s after it was back: {late[0] if late else ''}")
    odd = [call["saw"] for call in load.failed() if not call["saw"].startswith(("HTTP 503", "HTTP 429", "Timeout", "HTTP 504"))]
    demand(not odd, f"{len(odd)} calls saw something else than 503: {odd[:3]}")
    demand(guard()["epoch"] == before, "the guard has another epoch")
    return until("the record", 120, load.account_for_failures, every=5)


@check("when the node is cut off and started again, everything comes back by itself, receipts and epoch too")
def node_rebooted():
    epoch, receipts = guard()["epoch"], {each["metadata"]["name"] for each in objects("downloadreceipts")}
    began = time.monotonic()
    node("end")
    node("up")
    started = time.monotonic()
    # Kubernetes takes the old state for the truth until the kubelet has looked.
    until("new containers", 120, lambda: len(processes()) == 4)
    until("two Ready pods", 120, lambda: len(pods()) == 2 and all_ready())
    ready = time.monotonic()
    demand(receipts <= {each["metadata"]["name"] for each in objects("downloadreceipts")}, "a receipt is gone")
    until("the guard to look again", 120, lambda: guard()["state"] == "Intact" and leader_is_new())
    demand(guard()["epoch"] == epoch, "the guard has another epoch")
    figure("node rebooted", f"the node is Ready after {started - began:.0f} s, both pods {ready - started:.0f} s later")
    with Load() as load:
        time.sleep(8)
    return load.demand_no_failure()


def leader_is_new():
    return any(leader().startswith(pod["metadata"]["name"]) for pod in pods())
