"""The limits of the chart's defaults."""
import json
import ssl
import threading
import time

from life import settled
from report import check, demand, figure, section
from world import NODE, PAYMENTS, kubectl, pods, processes, server, serving_ca

section("limits")
KEYS = """{"apiVersion": "certcourier.io/v1alpha1", "kind": "CertificatePolicy", "metadata": {"name": "staging-keys", "namespace": "payments"},
"spec": {"environments": ["staging"], "allowKeyExport": "Always"}}"""


def peaks():
    """The largest resident memory of each program, in MiB, since it began."""
    found = {}
    for pid, line in processes().items():
        words = open(f"/proc/{pid}/status").read()
        high = int(words.split("VmHWM:")[1].split()[0]) // 1024
        program = line.split()[1]
        found[program] = max(high, found.get(program, 0))
    return found


@check("50 PKCS#12 downloads at once stay within the memory of the chart's defaults")
def fifty_bundles():
    settled()
    restarts = restarted()
    kubectl("apply", "-f", "-", text=KEYS, person="dave")
    token, context = (NODE / "pki/alice.token").read_text().strip(), ssl.create_default_context(cadata=serving_ca())
    time.sleep(2)
    done, lock = [], threading.Lock()

    def one():
        began = time.monotonic()
        try:
            status, content = server("POST", f"/api/v1/projects/{PAYMENTS}/certificates/api/downloads", token,
                                     {"format": "pkcs12", "environment": "staging", "reason": "50 at once"}, context, 60)
            saw = f"mint {status} {content[:160].decode()}"
            if status == 201:
                status, content = server("GET", json.loads(content)["url"], context=context, timeout=60)
                saw = f"{status}" if status == 200 else f"download {status} {content[:160].decode(errors='replace')}"
        except Exception as error:
            saw = f"{type(error).__name__} {error}"
        with lock:
            done.append((saw, time.monotonic() - began))

    threads = [threading.Thread(target=one) for _ in range(50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    whole = sum(1 for saw, _ in done if saw == "200")
    times = sorted(took for _, took in done)
    memory = peaks()
    figure("50 PKCS#12 at once", f"{whole} delivered, median {times[25]:.1f} s, slowest {times[-1]:.1f} s; peak RSS {memory} MiB")
    demand(restarted() == restarts, f"a container was restarted: {restarted()}, before {restarts}")
    others = [saw for saw, _ in done if saw != "200"]
    # More at once than it takes is refused with 429 and told when to come again; that is a limit, not a failure.
    demand(all(saw.split()[1] in ("429", "503") for saw in others), f"{others[:4]}")
    return f"{whole} of 50 delivered, {len(others)} told to come again; peak RSS {memory} MiB"


def restarted():
    return sorted((pod["metadata"]["name"], each["name"], each["restartCount"]) for pod in pods()
                  for each in pod["status"]["containerStatuses"])
