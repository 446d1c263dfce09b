"""Signatures, judged by dkimpy."""

import base64

import dkim
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given, settings
from hypothesis import strategies as st

from sendryd.message.dkim import OVERSIGNED_FIELDS, SLICE, body_hash, generate_key, load_private_key, sign, verify
from sendryd.message.headers import HeaderBlock
from sendryd.testing.cases import cases
from sendryd.testing.examples import examples

PEM, PUBLIC = generate_key()
KEY = load_private_key(PEM)
RECORD = f"v=DKIM1; k=rsa; p={PUBLIC}"


def signed(content: bytes) -> bytes:
    headers = HeaderBlock.parse(content)
    return sign(content, headers=headers, domain="example.test", selector="sendry", key=KEY, now=1_700_000_000) + content


def judge(content: bytes) -> bool:
    return bool(dkim.verify(content, dnsfunc=lambda name, **_: RECORD.encode() if name == b"sendry._domainkey.example.test." else b""))


def own(content: bytes) -> str | None:
    return verify(content, lambda name: RECORD if name == "sendry._domainkey.example.test" else None)


BASE = b"From: a@example.test\r\nTo: b@example.org\r\nSubject: Hello\r\nDate: Thu, 1 Jan 2026 00:00:00 +0000\r\n\r\n"


@cases(
    "body",
    [
        b"", b"\r\n", b"\r\n\r\n\r\n", b"x", b"x\r\n", b"x\r\n\r\n\r\n", b" \t \r\n", b"a  b\t\tc \r\n", b"a\r\n \r\n\t\r\n", b"\r\na\r\n",
        b".\r\n..\r\n", bytes(range(32, 256)) + b"\r\n", b"x " * 100_000 + b"\r\n", (b"line of text  \r\n" * 100_000) + b"\r\n\r\n",
        b"y" * (SLICE + 10) + b" \r\nz",
    ],
    ids=lambda body: repr(body[:12]),
)  # fmt: skip
def test_bodies(body: bytes) -> None:
    content = signed(BASE + body)
    assert own(content) is None
    assert judge(content)


HEADER = st.from_regex(rb"[ !-~\t\x80-\xff]{0,20}(\r\n[ \t]+[!-~]{1,10}[ \t]*){0,2}", fullmatch=True)
BODY = st.lists(st.sampled_from([b"a", b" ", b"\t", b"\r\n", b"word", b"  ", b"\xff", b".", b"\r\n\r\n"]), max_size=25).map(b"".join)


@settings(max_examples=examples(60), deadline=None)
@given(HEADER, HEADER, BODY, st.booleans())
def test_generated_messages(subject: bytes, reply_to: bytes, body: bytes, is_doubled: bool) -> None:
    body += b"\r\n" if body else b""  # what is stored always ends so
    extra = b"Reply-To: c@example.test\r\n" if is_doubled else b""
    content = signed(b"from:a@example.test\r\nSubject:" + subject + b"\r\nReply-To:" + reply_to + b"\r\n" + extra + b"\r\n" + body)
    assert own(content) is None
    assert judge(content)


@cases(
    ("before", "after"),
    [
        (b"Hello", b"Hullo"),
        (b"body", b"bodi"),
        (b"Subject: Hello\r\n", b"Subject: Hello\r\nSubject: Other\r\n"),
        (b"From: a@example.test\r\n", b"From: evil@example.test\r\nFrom: a@example.test\r\n"),
        (b"\r\n\r\nbody", b"\r\nReply-To: evil@example.test\r\n\r\nbody"),
        (b"body", b"body\r\nmore"),
        (b"t=1700000000", b"t=1700000001"),
    ],
)
def test_tampering_is_found(before: bytes, after: bytes) -> None:
    content = signed(BASE + b"body\r\n").replace(before, after, 1)
    assert own(content) is not None
    assert not judge(content)


def test_harmless_changes_on_the_way_are_not() -> None:
    content = signed(BASE + b"body\r\n")
    content = b"Received: by relay\r\n" + content.replace(b"Subject: Hello", b"SUBJECT:   Hello  ").replace(b"body\r\n", b"body  \r\n\r\n")
    assert own(content) is None
    assert judge(content)


ADDED_BY_LISTS = (
    b"List-Id: <team.example.org>",
    b"Sender: team-owner@example.org",
    b"List-Unsubscribe: <mailto:leave@example.org>",
    b"List-Unsubscribe-Post: List-Unsubscribe=One-Click",
    b"Auto-Submitted: auto-forwarded",
    b"Feedback-ID: 1:list:example",
    b"Message-ID: <1@list.example.org>",
    b"References: <1@list.example.org>",
    b"List-Post: <mailto:team@example.org>",
    b"Resent-From: team@example.org",
)


@cases("field", ADDED_BY_LISTS, ids=lambda field: field.partition(b":")[0].decode())
def test_a_list_may_add_its_fields(field: bytes) -> None:
    content = field + b"\r\n" + signed(BASE + b"body\r\n")
    assert own(content) is None
    assert judge(content)


@cases("field", ADDED_BY_LISTS[:-1], ids=lambda field: field.partition(b":")[0].decode())
def test_a_field_of_a_list_that_the_message_has_is_signed(field: bytes) -> None:
    content = signed(field + b"\r\n" + BASE + b"body\r\n").replace(field, field + b"x")
    assert own(content) is not None
    assert not judge(content)


@cases("name", OVERSIGNED_FIELDS)
def test_nobody_may_add_a_field_that_readers_show(name: bytes) -> None:
    content = name + b": x\r\n" + signed(BASE + b"body\r\n")
    assert own(content) is not None
    assert not judge(content)


def test_a_wrong_or_missing_key_is_told() -> None:
    content = signed(BASE + b"body\r\n")
    assert verify(content, lambda _: None) == "no key is published"
    assert verify(content, lambda _: f"v=DKIM1; p={generate_key()[1]}") is not None
    assert verify(BASE, lambda _: RECORD) == "there is no DKIM-Signature field"


def test_lines_of_the_signature_are_short() -> None:
    field = signed(BASE)[: -len(BASE)]
    assert max(map(len, field.split(b"\r\n"))) <= 78
    assert b"; l=" not in field
    assert b"x=" not in field.partition(b"b=")[0].replace(b"rsa-sha256", b"")


def test_the_body_hash_of_an_empty_body() -> None:
    # RFC 6376 §3.4.4: an empty body has the hash of nothing in relaxed form.
    assert body_hash(BASE, len(BASE)).hex().startswith("e3b0c442")


def test_other_keys_are_refused() -> None:
    with pytest.raises(ValueError, match="."):
        load_private_key(b"-----BEGIN PRIVATE KEY-----\nnonsense\n-----END PRIVATE KEY-----\n")


def test_what_is_no_rsa_key_signs_nothing() -> None:
    other = ec.generate_private_key(ec.SECP256R1())
    pem = other.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    with pytest.raises(ValueError, match="not an RSA key"):
        load_private_key(pem)


def test_a_signature_that_does_not_verify_says_why() -> None:
    content = signed(BASE + b"x\r\n")
    elliptic = ec.generate_private_key(ec.SECP256R1()).public_key()
    der = elliptic.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    assert verify(b"From a@example.test\r\n\r\n", lambda _: RECORD) not in {None, "there is no DKIM-Signature field"}
    assert verify(BASE, lambda _: RECORD) == "there is no DKIM-Signature field"
    assert verify(content.replace(b"rsa-sha256", b"rsa-sha1"), lambda _: RECORD) == "the signature is of a kind that is not checked here"
    assert verify(content + b"y\r\n", lambda _: RECORD) == "the body has been changed"
    assert verify(content, lambda _: None) == "no key is published"
    assert verify(content.replace(b"Hello", b"Bye"), lambda _: RECORD) == (
        "a signed header field has been changed, or the published key is another one"
    )
    assert verify(content, lambda _: f"p={base64.b64encode(der).decode()}") == "the published key is not an RSA key"


@pytest.mark.parametrize("record", ["p=", "p=A", "p=AAAA", "v=DKIM1"])
def test_a_key_that_cannot_be_read_verifies_nothing(record: str) -> None:
    assert verify(signed(BASE + b"x\r\n"), lambda _: record) == "the signature or the published key cannot be read"
