#!/usr/bin/env python3
"""notices.py FILE TARGET...: the licences of everything that is compiled into the programs, each text once.

Reads `cargo metadata --locked`, and the files that each crate ships. Apache-2.0, MIT, BSD and ISC ask for their text to
go with the binary.
"""
import collections
import json
import pathlib
import re
import subprocess
import sys

NAME = re.compile(r"(licen[cs]e|copying|copyright|notice|unlicense)", re.IGNORECASE)
RULE = "=" * 100


def compiled_in(target):
    """The packages that the binary is made of: normal dependencies, without what runs only while it is built."""
    command = ["cargo", "metadata", "--locked", "--format-version=1", f"--filter-platform={target}"]
    metadata = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
    packages = {package["id"]: package for package in metadata["packages"]}
    nodes = {node["id"]: node for node in metadata["resolve"]["nodes"]}
    macros = {id for id, package in packages.items() if any("proc-macro" in part["kind"] for part in package["targets"])}
    found, waiting = set(), [metadata["resolve"]["root"]]
    while waiting:
        id = waiting.pop()
        if id in found or id in macros:
            continue
        found.add(id)
        waiting += [dep["pkg"] for dep in nodes[id]["deps"] if any(kind["kind"] is None for kind in dep["dep_kinds"])]
    return [packages[id] for id in found if packages[id]["source"]]


def texts(package):
    folder = pathlib.Path(package["manifest_path"]).parent
    return [path for path in sorted(folder.iterdir()) if path.is_file() and NAME.match(path.name) and path.suffix != ".rs"]


def main():
    out, targets = pathlib.Path(sys.argv[1]), sys.argv[2:]
    packages = {(p["name"], p["version"]): p for target in targets for p in compiled_in(target)}
    users, without = collections.defaultdict(set), []
    for (name, version), package in packages.items():
        found = texts(package)
        for path in found:
            text = "\n".join(line.rstrip() for line in path.read_text(errors="replace").splitlines()).strip("\n")
            users[text].add(f"{name} {version}")
        if not found:
            without.append(f"{name} {version}: {package['license']}")
    lines = [
        "certcourier's programs contain the work of others, under the licences below. They also contain the Rust standard",
        "library (MIT or Apache-2.0) and musl (MIT, Copyright Rich Felker, et al.). The list of CAs is Mozilla's (MPL-2.0).",
    ]
    if without:
        lines += ["", "These crates name their licence and ship no text of it:", *sorted(without)]
    for text, names in sorted(users.items(), key=lambda item: sorted(item[1])):
        lines += ["", RULE, ", ".join(sorted(names)), RULE, "", text]
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text("\n".join(lines) + "\n")


main()
