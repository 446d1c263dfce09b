"""Signatures of mail from elsewhere, made by another library."""

import base64
import hashlib

import dkim
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from sendryd.message.dkim import generate_key
from sendryd.message.dkimverify import DkimResult, Signature, read_signatures, verify_signature
from sendryd.message.headers import HeaderBlock
from sendryd.testing.cases import cases

PEM, PUBLIC = generate_key()
RECORD = f"v=DKIM1; k=rsa; p={PUBLIC}"
MAIL = b"From: Ada <ada@example.net>\r\nTo: b@example.test\r\nSubject: a  question\r\n of  two lines\r\n\r\nHello  there \r\n\r\nBye\r\n\r\n\r\n"
NOW = 2_000_000_000


def signed(content: bytes = MAIL, form: bytes = b"relaxed/relaxed", **more: object) -> bytes:
    header, _, body = form.partition(b"/")
    field: bytes = dkim.sign(content, b"s", b"example.net", PEM, canonicalize=(header, body), **more)
    return field + content


def result_of(content: bytes, record: str = RECORD) -> DkimResult:
    headers = HeaderBlock.parse(content)
    (found,) = read_signatures(headers, NOW)
    return verify_signature(headers, found, record) if isinstance(found, Signature) else found[1]


@cases("form", (b"relaxed/relaxed", b"simple/simple", b"relaxed/simple", b"simple/relaxed"))
def test_signatures_of_another_library_verify(form: bytes) -> None:
    content = signed(form=form)
    assert result_of(content) is DkimResult.PASS
    assert result_of(content.replace(b"Bye", b"Buy")) is DkimResult.FAIL
    assert result_of(content.replace(b"a  question", b"an answer")) is DkimResult.FAIL


def test_relaxed_forms_bear_what_they_may_and_simple_ones_do_not() -> None:
    assert result_of(signed().replace(b"Hello  there \r\n", b"Hello there\r\n")) is DkimResult.PASS
    assert result_of(signed(form=b"simple/simple").replace(b"Hello  there \r\n", b"Hello there\r\n")) is DkimResult.FAIL


def test_an_empty_body_verifies() -> None:
    for form in (b"relaxed/relaxed", b"simple/simple"):
        assert result_of(signed(b"From: a@example.net\r\n\r\n", form)) is DkimResult.PASS


@cases(
    "record",
    ("", "p=", "v=DKIM1; k=ed25519; p=AAAA", f"v=DKIM2; p={PUBLIC}", f"v=DKIM1; h=sha1; p={PUBLIC}", f"v=DKIM1; s=other; p={PUBLIC}", "p=%%%"),
)  # fmt: skip
def test_a_key_that_is_none_for_the_signature_is_an_error(record: str) -> None:
    assert result_of(signed(), record) is DkimResult.PERMERROR


def test_a_part_of_a_body_and_a_passed_end_are_not_accepted() -> None:
    assert result_of(signed(length=True)) is DkimResult.NEUTRAL
    expired = b"DKIM-Signature: v=1; a=rsa-sha256; d=x.test; s=s; h=from; bh=AAAA; b=AAAA; x=5\r\n" + MAIL
    assert result_of(expired) is DkimResult.FAIL


@cases("change", ((b"a=rsa-sha256", b"a=rsa-sha1"), (b"d=example.net", b"d=a b"), (b"v=1", b"v=2"), (b"h=", b"g=")))
def test_a_signature_that_cannot_be_read_is_an_error(change: tuple[bytes, bytes]) -> None:
    assert result_of(signed().replace(change[0], change[1], 1)) is DkimResult.PERMERROR


def test_ed25519_verifies() -> None:
    key = Ed25519PrivateKey.generate()
    hashed = base64.b64encode(hashlib.sha256(b"Hi\r\n").digest())
    value = b"v=1; a=ed25519-sha256; c=relaxed/relaxed; d=example.net; s=s; h=from; bh=" + hashed + b"; b="
    signed_octets = b"from:a@example.net\r\ndkim-signature:" + value
    signature = base64.b64encode(key.sign(hashlib.sha256(signed_octets).digest()))
    public = base64.b64encode(key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)).decode()
    content = b"DKIM-Signature: " + value + signature + b"\r\nFrom: a@example.net\r\n\r\nHi\r\n"
    assert result_of(content, f"v=DKIM1; k=ed25519; p={public}") is DkimResult.PASS


@given(st.text(max_size=200))
def test_whatever_a_signature_says_is_read(text: str) -> None:
    value = "".join(letter for letter in text if letter.isprintable()).encode()[:900]
    headers = HeaderBlock.parse(b"DKIM-Signature: v=1; a=rsa-sha256; " + value + b"\r\nFrom: a@b.test\r\n\r\nx\r\n")
    for each in read_signatures(headers, NOW):
        if isinstance(each, Signature):
            assert verify_signature(headers, each, RECORD) is not DkimResult.PASS
