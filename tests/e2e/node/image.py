#!/usr/bin/env python3
"""image.py OUT NAME:TAG FILE=PATH...: an image in the format of `docker save`; the first file is what it runs, as 65532."""
import json
import pathlib
import sys

sys.path.append(str(pathlib.Path(__file__).parents[3] / "release"))
from deterministic import sha256, tar

out, name, *files = sys.argv[1:]
files = dict(reversed(file.split("=")) for file in files)
layer = tar({path.lstrip("/"): (pathlib.Path(source).read_bytes(), True) for path, source in files.items()}, 0)
digest = sha256(layer)
config = json.dumps({
    "architecture": "amd64", "os": "linux", "created": "1970-01-01T00:00:00Z",
    "config": {"Entrypoint": [next(iter(files))], "User": "65532:65532", "WorkingDir": "/"},
    "rootfs": {"type": "layers", "diff_ids": [f"sha256:{digest}"]},
    "history": [{"created": "1970-01-01T00:00:00Z"}],
}).encode()
parts = {f"{sha256(config)}.json": config, f"{digest}.tar": layer}
parts["manifest.json"] = json.dumps([{"Config": f"{sha256(config)}.json", "RepoTags": [name], "Layers": [f"{digest}.tar"]}]).encode()
pathlib.Path(out).parent.mkdir(parents=True, exist_ok=True)
pathlib.Path(out).write_bytes(tar({path: (data, False) for path, data in parts.items()}, 0, folders=False))
