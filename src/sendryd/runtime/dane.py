"""DANE: whether the certificates of a mail server match TLSA records that were authenticated by DNSSEC.

DANE-EE (usage 3) binds the server's own key: names and dates of the certificate do not count. DANE-TA (usage 2) binds an authority: a chain of
certificates leads from the server's to it, with dates that hold and a name of the server.
Standards: RFC 6698, RFC 7671, RFC 7672 §3.1, §3.2.
"""

import hashlib
from collections.abc import Iterable, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Any, Final

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.verification import Criticality, ExtensionPolicy, PolicyBuilder, Store, VerificationError

from sendryd.policy.tls import DANE_EE, DANE_TA, FULL_CERTIFICATE, FULL_DATA, TlsaRecord

MAX_CHAIN: Final = 10  # certificates that are looked at; real chains have two to four


def mismatch(chain: Sequence[bytes], records: Sequence[TlsaRecord], names: Iterable[str], now: datetime) -> str:
    """Why none of the records matches, for the log and for people; empty: one does.

    `chain` are the server's certificates in DER, its own first; `names` are those that a certificate by an authority may have.
    """
    if not chain:
        return "the server showed no certificate"
    try:
        certificates = [x509.load_der_x509_certificate(each) for each in chain[:MAX_CHAIN]]
    except ValueError:
        return "the server's certificate cannot be read"
    if any(each.usage == DANE_EE and _matches(certificates[0], each) for each in records):
        return ""
    authorities = [each for each in records if each.usage == DANE_TA]
    if not authorities:
        return "its key is not the one that its TLSA records name"
    anchors = [each for each in certificates[1:] if any(_matches(each, record) for record in authorities)]
    for record in authorities:
        if (record.selector, record.matching_type) == (FULL_CERTIFICATE, FULL_DATA):
            with suppress(ValueError):
                anchors.append(x509.load_der_x509_certificate(record.data))
    if not anchors:
        return "its TLSA records name neither its key nor an authority that its certificate is by"
    reason = ""
    for name in dict.fromkeys(names):
        reason = _chain_fault(certificates, anchors, name, now)
        if not reason:
            return ""
    return f"its certificate is not one by the authority that its TLSA records name: {reason}"


def _matches(certificate: x509.Certificate, record: TlsaRecord) -> bool:
    """Whether a record is of this certificate, or of its key (RFC 6698 §2.1)."""
    if record.selector == FULL_CERTIFICATE:
        octets = certificate.public_bytes(Encoding.DER)
    else:
        octets = certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    match record.matching_type:
        case 0:
            return octets == record.data
        case 1:
            return hashlib.sha256(octets).digest() == record.data
        case 2:
            return hashlib.sha512(octets).digest() == record.data
        case _:
            return False


def _is_authority(_policy: Any, _certificate: x509.Certificate, extension: x509.BasicConstraints | None) -> None:
    if extension is None or not extension.ca:
        raise ValueError("an issuer is no authority")


# Authorities of their owners' own making often lack what the rules of the web demand of public ones.
_OF_ISSUERS: Final = ExtensionPolicy.permit_all().require_present(x509.BasicConstraints, Criticality.AGNOSTIC, _is_authority)
_OF_SERVERS: Final = ExtensionPolicy.permit_all().require_present(x509.SubjectAlternativeName, Criticality.AGNOSTIC, None)


def _chain_fault(certificates: Sequence[x509.Certificate], anchors: Sequence[x509.Certificate], name: str, now: datetime) -> str:
    """What is wrong with the chain from the server's certificate to an authority; empty if nothing is."""
    try:
        subject = x509.DNSName(name)
        builder = PolicyBuilder().store(Store(list(anchors))).time(now)
        verifier = builder.extension_policies(ca_policy=_OF_ISSUERS, ee_policy=_OF_SERVERS).build_server_verifier(subject)
        verifier.verify(certificates[0], list(certificates[1:]))
    except (VerificationError, ValueError) as error:
        return str(error)
    return ""
