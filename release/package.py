#!/usr/bin/env python3
"""Packs what a release publishes, each with the bytes that deterministic.py promises.

    package.py archive OUT.tar.gz NAME=FILE...        files in a flat archive; those that are executable stay so
    package.py chart HELM FOLDER IMAGE                the chart, with the image it installs, in FOLDER
    package.py krew OUT.yaml DOWNLOADS ARCHIVE...     krew's manifest of the plugin, for kubectl-certcourier-*.tar.gz
    package.py sums FOLDER                            SHA256SUMS of everything in it

SOURCE_DATE_EPOCH is the time in the archives.
"""
import io
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zlib

from deterministic import gzip, sha256, tar

HERE = pathlib.Path(__file__).parent
TIME = int(os.environ.get("SOURCE_DATE_EPOCH", "0"))
ARCHIVE = re.compile(r"kubectl-certcourier-(?P<version>[^/]+)-(?P<os>[a-z]+)-(?P<architecture>[a-z0-9]+)\.tar\.gz$")


def archive(out, *files):
    named = (item.split("=", 1) for item in files)
    content = {name: (pathlib.Path(path).read_bytes(), os.access(path, os.X_OK)) for name, path in named}
    pathlib.Path(out).write_bytes(gzip(tar(content, TIME)))


def chart(helm, folder, image):
    """helm packs it, and writes its own times: its files are packed again. Artifact Hub reads the licence, and the image's name."""
    with tempfile.TemporaryDirectory() as work:
        source = pathlib.Path(work) / "certcourier"
        shutil.copytree(HERE.parent / "charts/certcourier", source)
        shutil.copy(HERE.parent / "LICENSE", source)
        about = source / "Chart.yaml"
        images = f"annotations:\n  artifacthub.io/images: |\n    - name: certcourier\n      image: {image}\n      platforms: [linux/amd64, linux/arm64]\n"
        about.write_text(about.read_text().replace("annotations:\n", images, 1))
        subprocess.run([helm, "package", str(source), "--destination", work], check=True, stdout=subprocess.DEVNULL)
        (packed,) = pathlib.Path(work).glob("certcourier-*.tgz")
        plain = io.BytesIO(zlib.decompress(packed.read_bytes(), wbits=31))
        with tarfile.open(fileobj=plain) as entries:
            files = {entry.name: (entries.extractfile(entry).read(), False) for entry in entries if entry.isfile()}
        (pathlib.Path(folder) / packed.name).write_bytes(gzip(tar(files, TIME, folders=False)))


def krew(out, downloads, *archives):
    """The template is YAML up to its platforms, which are added as JSON: that is YAML too."""
    platforms, versions = [], set()
    for path in sorted(archives):
        name = ARCHIVE.search(path)
        versions.add(name["version"])
        platforms.append({
            "selector": {"matchLabels": {"os": name["os"], "arch": name["architecture"]}},
            "uri": f"{downloads.rstrip('/')}/{pathlib.Path(path).name}",
            "sha256": sha256(pathlib.Path(path).read_bytes()),
            "bin": "kubectl-certcourier",
        })
    (version,) = versions
    text = (HERE / "krew.yaml").read_text().replace("VERSION", f"v{version}")
    lines = [f"    - {json.dumps(platform)}" for platform in platforms]
    pathlib.Path(out).write_text(text + "  platforms:\n" + "\n".join(lines) + "\n")


def sums(folder):
    paths = sorted(path for path in pathlib.Path(folder).iterdir() if path.name != "SHA256SUMS")
    lines = [f"{sha256(path.read_bytes())}  {path.name}\n" for path in paths]
    (pathlib.Path(folder) / "SHA256SUMS").write_text("".join(lines))


COMMANDS = {"archive": archive, "chart": chart, "krew": krew, "sums": sums}

if __name__ == "__main__":
    COMMANDS[sys.argv[1]](*sys.argv[2:])
