#!/usr/bin/env python3
"""Makes an OCI image without Docker: what is in it, what it says of itself, and the archive around both.

    image.py root FOLDER --program FILE --notices FILE       the files of the image, as the Dockerfile copies them
    image.py archive FILE --name NAME --version V --revision R --time T --root ARCHITECTURE=FOLDER...

The archive is an OCI image layout in a tar file: `ctr images import`, `skopeo copy oci-archive:`, `docker load` (25 and
later) and, unpacked, `crane push` read it. With two architectures it holds an index of both. The same files, version,
revision and time give the same bytes. Nothing but Python is needed, except for the list of CAs: package certifi.
"""
import argparse
import datetime
import json
import pathlib
import shutil

from deterministic import gzip, sha256, tar

HERE = pathlib.Path(__file__).parent
USER = "65532:65532"
ENTRYPOINT = ["/certcourier"]
# There is no public repository yet; `source` will be its address.
LABELS = {
    "org.opencontainers.image.title": "certcourier",
    "org.opencontainers.image.description": "Takes certificates out of a Kubernetes cluster under policy, with approval, through a single-use link, on the record.",
    "org.opencontainers.image.licenses": "Apache-2.0",
    "org.opencontainers.image.url": "https://certcourier.io",
    "org.opencontainers.image.source": "https://certcourier.io",
}


def labels(version, revision, created):
    image = "org.opencontainers.image."
    return LABELS | {image + "version": version, image + "revision": revision, image + "created": created}


def make_root(folder, program, notices):
    import certifi

    files = {
        "certcourier": program,
        # For --audit-sink over HTTPS with a public CA; the API server is known by the CA of the pod's service account.
        "etc/ssl/certs/ca-certificates.crt": pathlib.Path(certifi.where()),
        "licenses/LICENSE": HERE.parent / "LICENSE",
        "licenses/THIRD-PARTY.txt": notices,
    }
    shutil.rmtree(folder, ignore_errors=True)
    for path, source in files.items():
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(source.read_bytes())
        target.chmod(0o755 if path == "certcourier" else 0o644)
    for path in [folder, *(path for path in folder.rglob("*") if path.is_dir())]:
        path.chmod(0o755)


class Layout:
    """The blobs of an OCI image layout."""

    def __init__(self):
        self.blobs = {}

    def add(self, kind, data, **more):
        digest = sha256(data)
        self.blobs[f"blobs/sha256/{digest}"] = (data, False)
        return {"mediaType": f"application/vnd.oci.image.{kind}", "digest": f"sha256:{digest}", "size": len(data)} | more

    def add_json(self, kind, value, **more):
        return self.add(kind, json.dumps(value, sort_keys=True, separators=(",", ":")).encode(), **more)

    def add_image(self, root, architecture, about, time):
        paths = sorted(path for path in root.rglob("*") if path.is_file())
        files = {path.relative_to(root).as_posix(): (path.read_bytes(), path.name == "certcourier") for path in paths}
        layer = tar(files, time)
        created = about["org.opencontainers.image.created"]
        platform = {"architecture": architecture, "os": "linux"}
        config = platform | {
            "created": created,
            "config": {"Entrypoint": ENTRYPOINT, "Labels": about, "User": USER, "WorkingDir": "/"},
            "history": [{"created": created, "created_by": "release/image.py"}],
            "rootfs": {"type": "layers", "diff_ids": [f"sha256:{sha256(layer)}"]},
        }
        manifest = {
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": self.add_json("config.v1+json", config),
            "layers": [self.add("layer.v1.tar+gzip", gzip(layer))],
            "annotations": about,
        }
        return self.add_json("manifest.v1+json", manifest, platform=platform)


def make_archive(out, name, version, revision, time, roots):
    created = datetime.datetime.fromtimestamp(time, datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
    about = labels(version, revision, created)
    layout = Layout()
    images = [layout.add_image(root, architecture, about, time) for architecture, root in sorted(roots.items())]
    top = images[0]
    if len(images) > 1:
        kind = "index.v1+json"
        index = {"schemaVersion": 2, "mediaType": f"application/vnd.oci.image.{kind}", "manifests": images, "annotations": about}
        top = layout.add_json(kind, index)
    # The name is beside the image, not in it: another registry gives the same digest.
    names = {"io.containerd.image.name": f"{name}:{version}", "org.opencontainers.image.ref.name": version}
    index = {
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.index.v1+json",
        "manifests": [top | {"annotations": names}],
    }
    files = layout.blobs | {
        "oci-layout": (b'{"imageLayoutVersion":"1.0.0"}', False),
        "index.json": (json.dumps(index, sort_keys=True, separators=(",", ":")).encode(), False),
    }
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_bytes(tar(files, time))
    return top["digest"]


def main():
    parser = argparse.ArgumentParser()
    commands = parser.add_subparsers(dest="command", required=True)
    root = commands.add_parser("root")
    root.add_argument("folder", type=pathlib.Path)
    root.add_argument("--program", type=pathlib.Path, required=True)
    root.add_argument("--notices", type=pathlib.Path, required=True)
    archive = commands.add_parser("archive")
    archive.add_argument("file", type=pathlib.Path)
    archive.add_argument("--name", required=True)
    archive.add_argument("--version", required=True)
    archive.add_argument("--revision", required=True)
    archive.add_argument("--time", type=int, required=True, help="of the commit, in seconds since 1970")
    archive.add_argument("--root", action="append", required=True, help="ARCHITECTURE=FOLDER")
    options = parser.parse_args()
    if options.command == "root":
        make_root(options.folder, options.program, options.notices)
        return
    roots = {name: pathlib.Path(folder) for name, folder in (root.split("=", 1) for root in options.root)}
    print(make_archive(options.file, options.name, options.version, options.revision, options.time, roots))


main()
