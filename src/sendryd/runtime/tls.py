"""TLS contexts for both sides, and the certificate of this installation."""

import ipaddress
import ssl
import warnings
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from sendryd.runtime.clock import Clock
from sendryd.runtime.stream import TlsInfo

SELF_SIGNED_DAYS = 825  # the longest validity that strict client libraries accept
BACKDATE = timedelta(hours=1)  # clients with a slow clock accept a new certificate
WEAK_CIPHERS = "ALL:+ADH:+AECDH:@SECLEVEL=0"  # strong ones first, anonymous ones last; DH of 1,024 bits and SHA-1 too
OP_LEGACY_SERVER_CONNECT = 0x4  # servers without RFC 5746; `ssl` has the name since Python 3.12

_KEY_USAGE = x509.KeyUsage(  # of a server and of a CA, because clients use the one certificate as both
    digital_signature=True,
    key_cert_sign=True,
    crl_sign=False,
    content_commitment=False,
    key_encipherment=False,
    data_encipherment=False,
    key_agreement=False,
    encipher_only=False,
    decipher_only=False,
)


def server_context(cert: Path, key: Path) -> ssl.SSLContext:
    """A context for accepted connections: TLS 1.2 and newer, no renegotiation, session tickets on.

    Raises `OSError` or `ssl.SSLError` if the files cannot be read or do not belong together.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2  # RFC 8996
    context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_COMPRESSION | ssl.OP_CIPHER_SERVER_PREFERENCE
    context.load_cert_chain(cert, key)
    return context


def weak_client_context() -> ssl.SSLContext:
    """A context that also accepts TLS 1.0, short keys and old ciphers, for receiving servers without modern TLS.

    Weak encryption is better than none where nothing is verified (RFC 7435 §3); Postfix does the same. Never for verified connections.
    """
    context = client_context(verify=False)
    context.set_ciphers(WEAK_CIPHERS)
    with warnings.catch_warnings(action="ignore", category=DeprecationWarning):
        context.minimum_version = ssl.TLSVersion.TLSv1
    context.options |= OP_LEGACY_SERVER_CONNECT
    return context


def client_context(*, verify: bool, ca_file: Path | None = None) -> ssl.SSLContext:
    """A context for connections to other hosts. Making one takes tens of milliseconds: keep it.

    Without verification it accepts any certificate: opportunistic encryption (RFC 7435). `ca_file` has the authorities that are trusted, as PEM, in
    place of the system's. Raises `OSError` or `ssl.SSLError` if it cannot be read.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_COMPRESSION
    if verify:
        context.hostname_checks_common_name = False  # RFC 8461 §4.2: names are those of subjectAltName
        if ca_file is not None:
            context.load_verify_locations(ca_file)
        else:
            context.load_default_certs()
    else:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def describe_session(tls: ssl.SSLObject) -> TlsInfo:
    """The parameters of a session after its handshake."""

    def certificates() -> tuple[bytes, ...]:
        chain: Any = tls._sslobj.get_unverified_chain()  # type: ignore[attr-defined]  # a public method of `tls` itself since Python 3.13
        return tuple(ssl.PEM_cert_to_DER_cert(each.public_bytes()) for each in chain or ())

    cipher = tls.cipher()
    return TlsInfo(tls.version() or "unknown", cipher[0] if cipher else "unknown", certificates)


def generate_key() -> ec.EllipticCurvePrivateKey:
    """A new key for a certificate: ECDSA P-256."""
    return ec.generate_private_key(ec.SECP256R1())


def make_self_signed(hostname: str, clock: Clock, key: ec.EllipticCurvePrivateKey) -> bytes:
    """A certificate for a key, as PEM: for the host name, `localhost` and the loopback addresses, usable as a CA file."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, hostname[:64])])
    names: list[x509.GeneralName] = [x509.DNSName(each) for each in dict.fromkeys((hostname, "localhost"))]
    names += [x509.IPAddress(ipaddress.ip_address(each)) for each in ("127.0.0.1", "::1")]
    now = clock.now()
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - BACKDATE)
        .not_valid_after(now - BACKDATE + timedelta(days=SELF_SIGNED_DAYS))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(_KEY_USAGE, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    return certificate.public_bytes(serialization.Encoding.PEM)


@dataclass(frozen=True, slots=True)
class _Fingerprint:
    cert: tuple[int, int, int]
    key: tuple[int, int, int]


class ServerCertificate:
    """The certificate in use, reloaded when its files change. A broken pair of files leaves the old one in use."""

    def __init__(self, cert: Path, key: Path) -> None:
        self.cert = cert
        self.key = key
        self.context = server_context(cert, key)
        self._fingerprint = self._read_fingerprint()

    def _read_fingerprint(self) -> _Fingerprint:
        def identify(path: Path) -> tuple[int, int, int]:
            status = path.stat()
            return status.st_mtime_ns, status.st_ino, status.st_size

        return _Fingerprint(identify(self.cert), identify(self.key))

    def reload_if_changed(self) -> bool:
        """Loads the files again if they changed; new connections get the new pair. True if it did.

        Raises `OSError` or `ssl.SSLError` once per change if the new files are not usable; the old pair stays.
        """
        fingerprint = self._read_fingerprint()
        if fingerprint == self._fingerprint:
            return False
        self._fingerprint = fingerprint
        self.context = server_context(self.cert, self.key)
        return True
