"""What is observed of the machine: disk, clock, certificate, versions."""

import ctypes
import hashlib
import os
import ssl
import sys
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from sendryd.policy.health.machine import Certificate, Disk
from sendryd.policy.tls import DANE_EE, PUBLIC_KEY, SHA_256, TlsaRecord

_TIME_ERROR: Final = 5  # adjtimex(2): the clock is not synchronised
_TIMEX_OCTETS: Final = 512  # more than any version of `struct timex` has
SAN: Final = x509.SubjectAlternativeName


def observe_disk(folder: Path) -> Disk:
    """The file system of a folder. Raises `OSError`."""
    found = os.statvfs(folder)
    return Disk(folder=str(folder), free=found.f_bavail * found.f_frsize, inodes=found.f_favail, has_inodes=found.f_files > 0)


def is_clock_synchronised() -> bool | None:
    """What the kernel says of the clock; None where it cannot be asked."""
    try:
        adjtimex = ctypes.CDLL(None, use_errno=True).adjtimex
    except (OSError, AttributeError):
        return None
    state = int(adjtimex(ctypes.create_string_buffer(_TIMEX_OCTETS)))  # a zeroed request changes nothing and reads the state
    return None if state < 0 else state != _TIME_ERROR


def observe_certificate(path: Path, *, is_own: bool) -> Certificate:
    """The first certificate of a file. Raises `OSError`, `ValueError` if there is none."""
    found = x509.load_pem_x509_certificate(path.read_bytes())
    try:
        alternatives = found.extensions.get_extension_for_class(SAN).value
        names = [*alternatives.get_values_for_type(x509.DNSName), *map(str, alternatives.get_values_for_type(x509.IPAddress))]
    except x509.ExtensionNotFound:
        names = []
    return Certificate(path=str(path), expires=found.not_valid_after_utc, names=frozenset(names), is_own=is_own)


def certificate_tlsa(path: Path) -> str:
    """The TLSA record of the key of a file's first certificate: DANE-EE, its public key, SHA-256 (RFC 7672 §3.1.1). Empty if it cannot be read."""
    try:
        key = x509.load_pem_x509_certificate(path.read_bytes()).public_key()
    except (OSError, ValueError):
        return ""
    digest = hashlib.sha256(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).digest()
    return str(TlsaRecord(DANE_EE, PUBLIC_KEY, SHA_256, digest))


def python_version() -> tuple[int, int]:
    """Major and minor version."""
    return sys.version_info[:2]


def openssl_version() -> tuple[int, int]:
    """Major and minor version of the library that Python uses."""
    return ssl.OPENSSL_VERSION_INFO[:2]
