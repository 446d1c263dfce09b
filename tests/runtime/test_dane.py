"""DANE: which certificates match which TLSA records."""

import hashlib
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from trustme import CA

from sendryd.policy.tls import HostDane, TlsaRecord
from sendryd.runtime.dane import mismatch
from sendryd.testing.cases import cases

NOW = datetime(2026, 11, 29, tzinfo=UTC)
NAMES = ("mx.example.org", "example.org")


def der(pem: bytes) -> bytes:
    return x509.load_pem_x509_certificate(pem).public_bytes(Encoding.DER)


def key_of(certificate: bytes) -> bytes:
    found = x509.load_der_x509_certificate(certificate).public_key()
    return found.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


ROOT = CA()
MIDDLE = ROOT.create_child_ca()
LEAF = MIDDLE.issue_cert("mx.example.org")
CHAIN = [*(der(each.bytes()) for each in LEAF.cert_chain_pems), der(ROOT.cert_pem.bytes())]
OTHER = der(CA().cert_pem.bytes())


def digest(octets: bytes, matching_type: int) -> bytes:
    return {0: octets, 1: hashlib.sha256(octets).digest(), 2: hashlib.sha512(octets).digest()}[matching_type]


@cases("usage", [2, 3])
@cases("selector", [0, 1])
@cases("matching_type", [0, 1, 2])
def test_a_record_is_of_a_certificate_or_its_key_whole_or_digested(usage: int, selector: int, matching_type: int) -> None:
    bound = CHAIN[0] if usage == 3 else CHAIN[1]
    data = digest(key_of(bound) if selector else bound, matching_type)
    record = TlsaRecord(usage, selector, matching_type, data)
    assert HostDane((record,)).usable == (record,)
    assert mismatch(CHAIN, [record], NAMES, NOW) == ""
    other = TlsaRecord(usage, selector, matching_type, digest(key_of(OTHER) if selector else OTHER, matching_type))
    assert mismatch(CHAIN, [other], NAMES, NOW)
    assert mismatch(CHAIN, [other, record], NAMES, NOW) == ""


def test_the_servers_own_key_counts_without_names_and_dates() -> None:
    record = TlsaRecord(3, 1, 1, digest(key_of(CHAIN[0]), 1))
    assert mismatch(CHAIN[:1], [record], ["other.test"], NOW - timedelta(days=365 * 50)) == ""


def test_an_authority_vouches_for_names_and_dates_alone() -> None:
    root = TlsaRecord(2, 0, 1, digest(CHAIN[-1], 1))
    assert mismatch(CHAIN, [root], NAMES, NOW) == ""
    assert "authority" in mismatch(CHAIN, [root], ["other.test"], NOW)
    assert "authority" in mismatch(CHAIN, [root], NAMES, NOW - timedelta(days=365 * 50))
    assert "authority" in mismatch(CHAIN[:-1], [root], NAMES, NOW)  # RFC 7672 §3.1.2: the server sends it
    assert mismatch(CHAIN[:-1], [TlsaRecord(2, 0, 0, CHAIN[-1])], NAMES, NOW) == ""  # or DNS has all of it
    of_domain = CA()
    leaf = [der(each.bytes()) for each in of_domain.issue_cert("example.org").cert_chain_pems]
    assert (
        mismatch([*leaf, der(of_domain.cert_pem.bytes())], [TlsaRecord(2, 0, 1, digest(der(of_domain.cert_pem.bytes()), 1))], NAMES, NOW)
        == ""
    )


def test_an_authority_that_did_not_issue_the_certificate_proves_nothing() -> None:
    forger = CA()
    forged = der(forger.issue_cert("mx.example.org").cert_chain_pems[0].bytes())
    root = TlsaRecord(2, 0, 1, digest(CHAIN[-1], 1))
    assert "authority" in mismatch([forged, CHAIN[-1]], [root], NAMES, NOW)
    assert "authority" in mismatch([forged, CHAIN[0], CHAIN[-1]], [TlsaRecord(2, 0, 1, digest(CHAIN[0], 1))], NAMES, NOW)


@pytest.mark.parametrize("chain", [[], [b"no certificate"]])
def test_what_is_no_certificate_matches_nothing(chain: list[bytes]) -> None:
    assert mismatch(chain, [TlsaRecord(3, 1, 1, b"\0" * 32)], NAMES, NOW)


def test_only_records_of_the_domains_own_keys_are_used_and_of_digests_the_strongest() -> None:
    strong, weak = TlsaRecord(3, 1, 2, b"\0" * 64), TlsaRecord(3, 1, 1, b"\0" * 32)
    unusable = [TlsaRecord(1, 1, 1, b"\0" * 32), TlsaRecord(3, 2, 1, b"\0" * 32), TlsaRecord(3, 1, 3, b"\0"), TlsaRecord(3, 1, 1, b"\0")]
    assert HostDane((*unusable, weak, strong, TlsaRecord(3, 0, 0, b""))).usable == (strong,)
    assert HostDane((weak, TlsaRecord(2, 1, 2, b"\0" * 64))).usable == (weak, TlsaRecord(2, 1, 2, b"\0" * 64))
