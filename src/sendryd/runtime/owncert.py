"""The self-signed certificate of an installation, and the remains of an interrupted creation.

The key is written before the certificate, each whole or not at all. A start that was killed between the two leaves a key alone; versions that
wrote in place could leave an empty or cut file. Only such remains, and self-signed certificates of sendryd, are ever replaced: an operator's
files stay, even if they cannot be used.
"""

import re
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from sendryd.files import make_folder, write_whole
from sendryd.runtime.clock import Clock
from sendryd.runtime.tls import SELF_SIGNED_DAYS, generate_key, make_self_signed

BEGIN: Final = b"-----BEGIN "
END: Final = re.compile(rb"-----END [A-Z ]+-----")
KEY_MODE: Final = 0o600
CERT_MODE: Final = 0o644  # clients on the same machine may use it as a CA file


def write_self_signed(cert: Path, key: Path, hostname: str, clock: Clock) -> None:
    """Makes the pair of files. The key is readable by its owner alone from the moment it exists. Raises `OSError`."""
    new_key = generate_key()
    make_folder(key.parent)
    make_folder(cert.parent)
    write_whole(key, _pem_of(new_key), mode=KEY_MODE)
    write_whole(cert, make_self_signed(hostname, clock, new_key), mode=CERT_MODE)


def ensure_own_certificate(cert: Path, key: Path, hostname: str, clock: Clock) -> str:
    """Makes the pair, or completes it, unless both files exist or one is an operator's. Returns what was wrong with an existing pair, or an empty string.

    Raises `OSError`.
    """
    cert_pem, key_pem = _read(cert), _read(key)
    if not cert_pem and not key_pem:
        write_self_signed(cert, key, hostname, clock)
        return ""
    found_key = _load_key(key_pem)
    certificate = _load_certificate(cert_pem)
    if certificate is not None and found_key is not None and certificate.public_key() == found_key.public_key():
        return ""
    is_ours = _is_cut(cert_pem) if certificate is None else _is_own(certificate)
    if not is_ours:
        return ""
    if found_key is not None:
        write_whole(cert, make_self_signed(hostname, clock, found_key), mode=CERT_MODE)
        return "" if not cert_pem else f"{cert} did not belong to {key}"
    if not _is_cut(key_pem):
        return ""
    write_self_signed(cert, key, hostname, clock)
    return f"{key} was missing or incomplete"


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return b""


def _is_cut(pem: bytes) -> bool:
    """Whether a file is empty, the beginning of a PEM text, or zeros, which file systems can leave after a power failure."""
    return not pem.strip(b"\0") or BEGIN.startswith(pem) or (pem.startswith(BEGIN) and END.search(pem) is None)


def _load_key(pem: bytes) -> ec.EllipticCurvePrivateKey | None:
    try:
        key = serialization.load_pem_private_key(pem, None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        return None
    return key if isinstance(key, ec.EllipticCurvePrivateKey) else None


def _load_certificate(pem: bytes) -> x509.Certificate | None:
    try:
        return x509.load_pem_x509_certificate(pem)
    except ValueError:
        return None


def _is_own(certificate: x509.Certificate) -> bool:
    """Whether it has the form that `make_self_signed` gives."""
    names = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    life = certificate.not_valid_after_utc - certificate.not_valid_before_utc
    return (
        certificate.subject == certificate.issuer
        and len(certificate.subject) == len(names) == 1
        and life.days == SELF_SIGNED_DAYS
        and not life.seconds
    )


def _pem_of(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
