"""Tar and gzip files whose bytes follow from their content alone: not from who packs, where, when, or with which Python.

Owners are 0, times are the commit's, modes are 0755 and 0644, and entries are sorted. What is left is zlib: another
implementation of it may compress to other bytes of the same content.
"""
import hashlib
import io
import struct
import tarfile
import zlib


def sha256(data):
    return hashlib.sha256(data).hexdigest()


def tar(files, time, folders=True):
    """`files` are {path: (bytes, executable)}; with `folders`, each folder above a file has an entry."""
    entries = {path: (tarfile.REGTYPE, 0o755 if executable else 0o644, data) for path, (data, executable) in files.items()}
    for path in files if folders else ():
        parts = path.split("/")[:-1]
        for depth in range(1, len(parts) + 1):
            entries["/".join(parts[:depth])] = (tarfile.DIRTYPE, 0o755, b"")
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for path in sorted(entries):
            kind, mode, data = entries[path]
            entry = tarfile.TarInfo(path)
            entry.type, entry.mode, entry.size, entry.mtime = kind, mode, len(data), time
            archive.addfile(entry, io.BytesIO(data))
    return out.getvalue()


def gzip(data):
    """The header is our own: Python's changed between versions."""
    deflate = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    body = deflate.compress(data) + deflate.flush()
    header = b"\x1f\x8b\x08\x00" + bytes(4) + b"\x02\xff"
    return header + body + struct.pack("<II", zlib.crc32(data), len(data) & 0xFFFFFFFF)
