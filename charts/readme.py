#!/usr/bin/env python3
"""Writes charts/certcourier/README.md: each value with the comment that stands above it in values.yaml.

Reads the file line by line rather than as YAML, because it is the comments that are wanted; needs nothing but Python.
A key without a comment takes its meaning from its name, and is listed all the same.
"""
import pathlib
import re

CHART = pathlib.Path(__file__).parent / "certcourier"
KEY = re.compile(r"^( *)([A-Za-z][\w.]*):(?: (.*))?$")

HEAD = """# certcourier

Every value of the chart; docs/install.md says how to install, upgrade and uninstall. Made by `make generate` from values.yaml.

    kubectl create namespace payments
    helm upgrade --install certcourier charts/certcourier --namespace certcourier-system --create-namespace \\
      --set image.repository=registry.example.com/certcourier \\
      --set watchNamespaces='{payments}' --set externalURL=https://certs.example.com

`values.schema.json` refuses a value that is not listed here, or that cannot work.

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
        if pending and depth <= pending[0]:
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
