"""The certificate of our own making: what a kill has left of it is finished, and what is an operator's is left alone."""

import ssl
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID
from hypothesis import given
from hypothesis import strategies as st

from sendryd.runtime.clock import SystemClock
from sendryd.runtime.owncert import ensure_own_certificate, write_self_signed
from sendryd.runtime.tls import generate_key, make_self_signed, server_context

Pair = tuple[Path, Path]


@pytest.fixture
def pair(tmp_path: Path) -> Pair:
    return tmp_path / "tls" / "cert.pem", tmp_path / "tls" / "key.pem"


def ensure(pair: Pair) -> str:
    return ensure_own_certificate(*pair, "relay.example.test", SystemClock())


def test_a_pair_is_made_once(pair: Pair) -> None:
    assert ensure(pair) == ""
    server_context(*pair)
    assert pair[1].stat().st_mode & 0o777 == 0o600
    assert [path.name for path in sorted(pair[0].parent.iterdir())] == ["cert.pem", "key.pem"]
    before = [path.read_bytes() for path in pair]
    assert ensure(pair) == ""
    assert [path.read_bytes() for path in pair] == before


def empty(path: Path) -> None:
    path.write_bytes(b"")


def halve(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def zero(path: Path) -> None:
    path.write_bytes(bytes(path.stat().st_size))


def remove(path: Path) -> None:
    path.unlink()


DAMAGES = [empty, halve, zero, remove]


@pytest.mark.parametrize("damage", DAMAGES)
def test_half_a_certificate_is_made_whole_with_the_key_that_is_there(pair: Pair, damage: Callable[[Path], None]) -> None:
    ensure(pair)
    key = pair[1].read_bytes()
    damage(pair[0])
    ensure(pair)
    server_context(*pair)
    assert pair[1].read_bytes() == key


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("other", [*DAMAGES, lambda _: None])
def test_a_damaged_key_replaces_key_and_certificate(pair: Pair, damage: Callable[[Path], None], other: Callable[[Path], None]) -> None:
    ensure(pair)
    damage(pair[1])
    other(pair[0])
    ensure(pair)
    server_context(*pair)
    assert pair[1].stat().st_mode & 0o777 == 0o600


def test_a_certificate_of_our_own_for_another_key_is_replaced(pair: Pair) -> None:
    ensure(pair)
    pair[0].write_bytes(make_self_signed("relay.example.test", SystemClock(), generate_key()))
    assert "did not belong" in ensure(pair)
    server_context(*pair)


@given(at=st.integers(0, 2000), which=st.sampled_from([0, 1]))
def test_wherever_writing_was_cut_off_the_next_start_has_a_pair(tmp_path_factory: pytest.TempPathFactory, at: int, which: int) -> None:
    """As versions before wrote: the key in its place, then the certificate."""
    folder = tmp_path_factory.mktemp("tls")
    pair = folder / "cert.pem", folder / "key.pem"
    write_self_signed(*pair, "relay.example.test", SystemClock())
    pair[which].write_bytes(pair[which].read_bytes()[:at])
    if which == 1:
        pair[0].unlink()
    ensure(pair)
    server_context(*pair)


def theirs(pair: Pair, days: int = 365) -> None:
    """A pair as `openssl req -x509` makes it."""
    key = rsa.generate_private_key(65537, 2048)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "mail.example.org")])
    now = SystemClock().now()
    made = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    made = made.serial_number(x509.random_serial_number()).not_valid_before(now).not_valid_after(now + timedelta(days=days))
    pair[0].parent.mkdir()
    pair[0].write_bytes(made.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))
    encoding = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    pair[1].write_bytes(key.private_bytes(*encoding))


@pytest.mark.parametrize(
    "change",
    [
        lambda _: None,
        lambda pair: pair[1].unlink(),
        lambda pair: pair[1].write_bytes(b""),
        lambda pair: pair[0].unlink(),
        lambda pair: pair[0].write_bytes(b"\x30\x82\x01\x0a" + bytes(range(200))),  # DER
        lambda pair: pair[1].write_bytes(b"-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n"),
    ],
)
def test_what_an_operator_has_put_there_is_never_written_over(pair: Pair, change: Callable[[Pair], None]) -> None:
    theirs(pair)
    change(pair)
    before = {path: path.read_bytes() for path in pair if path.exists()}
    ensure(pair)
    assert {path: path.read_bytes() for path in pair if path.exists()} == before


def test_a_foreign_certificate_without_key_is_not_replaced(pair: Pair) -> None:
    theirs(pair)
    pair[1].write_bytes(b"")
    ensure(pair)
    with pytest.raises(ssl.SSLError):
        server_context(*pair)
