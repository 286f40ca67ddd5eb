#!/usr/bin/env python3
"""Writes charts/certcourier/README.md: each value with the comment above it in values.yaml.

Reads the file line by line rather than as YAML, because it is the comments that are wanted; needs nothing but Python.
A key without a comment takes its meaning from its name, and is listed all the same. A parent is listed for its comment.
"""
import pathlib
import re

CHART = pathlib.Path(__file__).parent / "certcourier"
KEY = re.compile(r"^( *)([A-Za-z][\w.]*):(?: (.*))?$")

HEAD = """# certcourier

Takes certificates out of a Kubernetes cluster under policy, with approval, through a single-use link, on the record. This page is also in the packaged chart, and needs no other. `make generate` writes it from values.yaml.

## Install
You need Kubernetes 1.33 or later, helm (tested with 4.3), an image (there is no public one yet: build it in the repository with `make image`, or from its `Dockerfile`, and push it to your registry), and the namespaces whose certificates people may download. Create the namespaces first: where one is missing, helm stops half-way. `CHART` is the folder of the chart, or the package (`certcourier-0.1.0.tgz`).

    kubectl create namespace payments
    helm upgrade --install certcourier CHART --namespace certcourier-system --create-namespace \\
      --set image.repository=registry.example.com/certcourier \\
      --set watchNamespaces='{payments}' --set externalURL=https://certs.example.com

helm then prints how to wait for it, create the first Certificate and download it. `helm upgrade --install` works the first time and again, also after an installation that failed half-way. One cluster holds one installation.

## Upgrade
The same command with the new chart and your values (`--values FILE`; without it helm goes back to the defaults). Certificates, policies, requests and receipts stay as they are, and the kinds are brought up to date.

## Uninstall
    helm uninstall certcourier --namespace certcourier-system

The four kinds stay, and with them every Certificate, policy, request and **receipt**. While it is uninstalled, no admission policy protects them. To remove the record as well:

    kubectl delete crd certificates.certcourier.io certificatepolicies.certcourier.io downloadrequests.certcourier.io downloadreceipts.certcourier.io

## Values
`values.schema.json` refuses a value that is not listed here, or that has the wrong type. If values contradict each other, or a required one is missing, the chart refuses them all at once, with messages that say what to write instead.

| value | default | meaning |
|---|---|---|
"""


def cell(text):
    return text.replace("|", "\\|").strip()


def rows(lines):
    path, comment = [], []
    pending = None  # A key that may turn out to be a parent.
    for line in lines:
        text = line.rstrip("\n")
        if text.lstrip().startswith("#"):
            comment.append(text.lstrip()[1:].strip())
            continue
        match = KEY.match(text)
        if not match:
            comment = []
            continue
        depth, key, default = len(match[1]) // 2, match[2], match[3]
        if pending and (depth <= pending[0] or pending[3]):
            yield pending[1:]
        pending = None
        path = path[:depth] + [key]
        if default is None:
            pending = (depth, ".".join(path), "", " ".join(comment))
        else:
            yield ".".join(path), default, " ".join(comment)
        comment = []


def main():
    lines = (CHART / "values.yaml").read_text().splitlines()
    table = [f"| `{name}` | {f'`{cell(default)}`' if default else ''} | {cell(meaning)} |" for name, default, meaning in rows(lines)]
    (CHART / "README.md").write_text(HEAD + "\n".join(table) + "\n")


main()
