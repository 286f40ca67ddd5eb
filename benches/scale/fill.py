#!/usr/bin/env python3
"""fill.py CERTIFICATES FINISHED: puts so many Certificates, finished requests and receipts into the etcd of a test cluster,
as the API server stores them, by its JSON gateway: the API server would take many minutes for as many."""

import base64
import hashlib
import http.client
import json
import os
import sys
import urllib.parse
import uuid

GROUP = "certcourier.io"
NOW, LATER = "2026-11-01T12:00:00Z", "2036-11-01T12:00:00Z"
# As many fields as kubectl and the operator leave behind.
MANAGED = [
    {"manager": manager, "operation": "Update", "apiVersion": f"{GROUP}/v1alpha1", "time": NOW, "fieldsType": "FieldsV1",
     "fieldsV1": {"f:status": {f"f:field{number}": {} for number in range(12)}}}
    for manager in ("kubectl-create", "certcourier")
]


def metadata(name, namespace):
    return {"name": name, "namespace": namespace, "uid": str(uuid.uuid4()), "generation": 1, "creationTimestamp": NOW,
            "managedFields": MANAGED}


def condition(kind, status, reason, message):
    return {"type": kind, "status": status, "reason": reason, "message": message, "lastTransitionTime": NOW,
            "observedGeneration": 1}


def certificate(number, namespace):
    environment = {
        "name": "production", "subject": f"CN=service-{number:05}.example.com", "issuer": "CN=Demo Intermediate",
        "serialNumber": "5f" * 16, "dnsNames": [f"service-{number:05}.example.com"], "notBefore": NOW, "notAfter": LATER,
        "sha256Fingerprint": "ab" * 32, "keyAlgorithm": "ECDSA P-256", "chainLength": 1, "ca": False, "keyMatches": True,
    }
    return {
        "apiVersion": f"{GROUP}/v1alpha1", "kind": "Certificate", "metadata": metadata(f"service-{number:05}", namespace),
        "spec": {"environments": [{"name": "production", "secretRef": {"name": "api-tls"}}]},
        "status": {"environments": [environment], "earliestNotAfter": LATER,
                   "conditions": [condition("Ready", "True", "Usable", "every environment can be delivered")]},
    }


def finished(number, namespace, certificates):
    """A request that was used, and its receipt."""
    about, person = metadata(f"request-{number:06}", namespace), f"person-{number % 400}@example.com"
    receipt = "r-" + hashlib.sha256(about["uid"].encode()).hexdigest()[:40]
    by = {"username": person, "groups": ["oidc:platform", "oidc:everyone", "system:authenticated"]}
    name = {"name": f"service-{number % certificates:05}"}
    request = {
        "apiVersion": f"{GROUP}/v1alpha1", "kind": "DownloadRequest", "metadata": about,
        "spec": {"certificateRef": name, "format": "fullchain", "delivery": "Secret", "requestedBy": by,
                 "reason": f"CHG-{number}: renewal on the web servers"},
        "status": {
            "observedGeneration": 1, "phase": "Consumed", "receiptRef": {"name": receipt},
            "token": {"generation": 1, "round": 1, "previous": [{"hash": "cd" * 32, "ended": NOW, "why": "Used"}]},
            "review": {"digest": "ef" * 32, "round": 1, "openedAt": NOW, "fingerprints": ["ab" * 32], "policies": [],
                       "approvals": {"required": 0, "given": 0, "by": [], "summary": "none needed"}},
            "conditions": [condition("Approved", "True", "NotRequired", "no approval is required"),
                           condition("TokenIssued", "False", "Closed", "the token was used"),
                           condition("Finished", "True", "Delivered", f"delivered (1599 bytes sent); receipt {receipt}")],
        },
    }
    record = {
        "apiVersion": f"{GROUP}/v1alpha1", "kind": "DownloadReceipt", "metadata": metadata(receipt, namespace),
        "spec": {"requestRef": {"name": about["name"], "uid": about["uid"]}, "certificateRef": name, "environment": "production",
                 "format": "fullchain", "requestedBy": by, "clientIP": "10.0.0.7", "userAgent": "curl/8.5.0",
                 "attemptId": str(uuid.uuid4()), "artifact": {"sha256": "12" * 32, "bytes": 1599}, "fingerprints": ["ab" * 32],
                 "tokenIssuedAt": NOW, "tokenExpiresAt": NOW, "consumedAt": NOW, "retainUntil": LATER},
        "status": {"outcome": "Delivered", "bytesSent": 1599, "finishedAt": NOW},
    }
    return request, record


def etcd():
    """Where the test cluster's etcd listens: its description says so."""
    with open(os.environ["CERTCOURIER_TEST_CLUSTER"]) as file:
        text = file.read()
    found = os.environ.get("ETCD") or json.loads(text)["etcd"]
    return http.client.HTTPConnection(urllib.parse.urlparse(found).netloc, timeout=60)


def main():
    certificates, count = int(sys.argv[1]), int(sys.argv[2])
    namespaces = (sys.argv[3:] or ["payments"])
    connection = etcd()

    def put(plural, value):
        about = value["metadata"]
        key = f"/registry/{GROUP}/{plural}/{about['namespace']}/{about['name']}"
        key, encoded = (base64.b64encode(text.encode()).decode() for text in (key, json.dumps(value)))
        # One at a time, as the API server writes: each has a revision of its own.
        connection.request("POST", "/v3/kv/put", json.dumps({"key": key, "value": encoded}))
        answer = connection.getresponse()
        body = answer.read()
        if answer.status != 200:
            sys.exit(f"etcd answers {answer.status}: {body[:300]}")

    for number in range(certificates):
        put("certificates", certificate(number, namespaces[number % len(namespaces)]))
    for number in range(count):
        request, record = finished(number, namespaces[number % len(namespaces)], max(certificates, 1))
        put("downloadrequests", request)
        put("downloadreceipts", record)
    print(f"{certificates} Certificates, {count} finished requests and as many receipts")


main()
