"""A steady load: mints and downloads over HTTP, and requests that the controller decides on, while things happen."""
import json
import os
import ssl
import threading
import time

from report import demand
from world import KIND, PAYMENTS, account_token, api, objects, server, serving_ca


# Calls a second. A slow machine, or a debug build, takes fewer.
RATE = float(os.environ.get("E2E_RATE", "4"))


class Load:
    """`with Load() as load:` runs until the block ends. Then `load.calls` has each cycle, `load.waits` each request's wait."""

    def __init__(self, per_second=RATE, requests_per_second=RATE / 4):
        self.token = account_token("loader")
        self.pauses = {self.cycle: 1 / per_second, self.request: 1 / requests_per_second}
        self.over = threading.Event()
        self.calls, self.waits, self.threads = [], [], []

    def __enter__(self):
        self.context = ssl.create_default_context(cadata=serving_ca())
        for work, pause in self.pauses.items():
            self.start(self.repeat, work, pause)
        # Nothing is disturbed before it runs.
        time.sleep(2)
        return self

    def __exit__(self, kind, *_):
        self.over.set()
        for thread in self.threads:
            thread.join(120)

    def start(self, *work):
        thread = threading.Thread(target=work[0], args=work[1:], daemon=True)
        self.threads.append(thread)
        thread.start()

    def repeat(self, work, pause):
        number, began = 0, time.monotonic()
        while not self.over.wait(max(0, began + number * pause - time.monotonic())):
            number += 1
            self.start(work, number)

    def cycle(self, _):
        call = {"at": time.monotonic(), "stage": "mint"}
        try:
            status, content = server("POST", f"/api/v1/projects/{PAYMENTS}/certificates/api/downloads", self.token,
                                     {"format": "fullchain", "reason": "load"}, self.context)
            call["saw"] = f"HTTP {status} {content[:200].decode()}" if status != 201 else ""
            if status == 201:
                minted = json.loads(content)
                call |= {"stage": "download", "request": minted["request"], "link": minted["url"]}
                status, content = server("GET", minted["url"], context=self.context)
                whole = status == 200 and content.startswith(b"-----BEGIN CERTIFICATE")
                call["saw"] = "" if whole else f"HTTP {status} {content[:200].decode()}"
        except Exception as error:  # Refused, cut, late: each is a failure of this call and of no other.
            call["saw"] = f"{type(error).__name__} {error}"
        call["took"] = time.monotonic() - call["at"]
        self.calls.append(call)

    def request(self, number):
        """As carol, by the Kubernetes API, until the controller has issued the token."""
        began = time.monotonic()
        name = f"load-{int(time.time())}-{number}"
        body = {"apiVersion": "certcourier.io/v1alpha1", "kind": "DownloadRequest", "metadata": {"name": name},
                "spec": {"certificateRef": {"name": "api"}, "format": "fullchain", "tokenTTL": "20s", "reason": "load"}}
        made, path = False, f"{KIND}/{PAYMENTS}/downloadrequests"
        while time.monotonic() < began + 100:
            try:
                if not made:
                    api("POST", path, body, person="carol")
                    made, began = True, time.monotonic()
                found = api("GET", f"{path}/{name}", person="carol").get("status", {})
                if found.get("phase") == "TokenIssued":
                    break
            except Exception as error:
                # The API server may be gone, too; created is created.
                made = made or "AlreadyExists" in str(error)
            time.sleep(0.1)
        self.waits.append(time.monotonic() - began)

    def failed(self):
        return [call for call in self.calls if call["saw"]]

    def summary(self):
        slowest = max((call["took"] for call in self.calls), default=0)
        return (f"{len(self.failed())} of {len(self.calls)} calls failed, the slowest took {slowest:.1f} s; "
                f"{len(self.waits)} requests waited up to {max(self.waits, default=0):.1f} s for their token")

    def demand_no_failure(self, but=0):
        """`but`: how many calls may be refused before anything was used up."""
        failed = self.failed()
        words = "\n".join(f"{call['stage']}: {call['saw']}" for call in failed[:5])
        demand(len(self.calls) >= 10, f"{len(self.calls)} calls are no load")
        demand(len(failed) <= but, f"{self.summary()}\n{words}")
        return self.summary()

    def account_for_failures(self):
        """Each download that failed left a receipt that does not say Delivered, or a link that still works."""
        receipts = {each["spec"]["requestRef"]["name"]: each.get("status", {}).get("outcome") for each in objects("downloadreceipts")}
        kinds = {}
        for call in self.failed():
            kind = call["stage"]
            if kind == "download":
                outcome = receipts.get(call["request"])
                if call["request"] in receipts:
                    kind = f"download, with a receipt that says {outcome}"
                else:
                    status, _ = server("GET", call["link"], context=self.context)
                    kind = f"download, and the link still {'works' if status == 200 else f'answers {status}'}"
            kinds[kind] = kinds.get(kind, 0) + 1
        wrong = [kind for kind in kinds if kind.endswith(("says Delivered", "says None")) or "answers" in kind]
        demand(not wrong, f"{kinds}")
        return f"{self.summary()}: {kinds}"
