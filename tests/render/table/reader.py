"""Opens files as a Python program does: reader.py PASSPHRASE_FILE, and lines of KIND FILE on standard input.

Certificates, keys and PKCS#12 by `cryptography`, ZIP files by `zipfile`. Prints as the other readers do.
"""

import sys
import zipfile
from hashlib import sha256

from cryptography import x509
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
    pkcs12,
)



def certificate(found):
    # Parsed lazily: only what is asked for is looked at.
    found.serial_number, found.subject, found.issuer, found.public_key(), list(found.extensions)
    return "certificate " + sha256(found.public_bytes(Encoding.DER)).hexdigest()


def key(found):
    der = found.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    return "key " + sha256(der).hexdigest()


def bundle(content, passphrase):
    found = pkcs12.load_pkcs12(content, passphrase)
    for one in [found.cert, *found.additional_certs]:
        yield certificate(one.certificate)
        yield "name " + (one.friendly_name or b"-").decode()
    yield key(found.key)


def archive(path):
    with zipfile.ZipFile(path) as opened:
        damaged = opened.testzip()
        if damaged is not None:
            raise ValueError(damaged)
        for name in opened.namelist():
            yield f"entry {name} {sha256(opened.read(name)).hexdigest()}"


def read(kind, path, passphrase):
    if kind == "zip":
        return list(archive(path))
    with open(path, "rb") as file:
        content = file.read()
    if kind == "der":
        return [certificate(x509.load_der_x509_certificate(content))]
    if kind == "pkcs12":
        return list(bundle(content, passphrase))
    found = []
    if b"CERTIFICATE" in content:
        found += map(certificate, x509.load_pem_x509_certificates(content))
    if b"PRIVATE KEY" in content:
        found.append(key(load_pem_private_key(content, None)))
    return found


def main():
    with open(sys.argv[1], "rb") as file:
        passphrase = file.read().removesuffix(b"\n")
    for line in sys.stdin:
        kind, path = line.rstrip("\n").split(" ", 1)
        print("file", path)
        try:
            print(*read(kind, path, passphrase), sep="\n")
        except Exception as error:
            print("error", type(error).__name__, str(error).replace("\n", " "))


main()
