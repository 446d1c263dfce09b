"""Headers that are just within the limits are sent as well as taken: what the program adds to one has room."""

from collections.abc import Iterator

import pytest

from sendryd.message.headers import MAX_BLOCK, MAX_FIELDS
from sendryd.testing.cases import cases
from sendryd.testing.clients import submit
from sendryd.testing.world import RECIPIENT_DOMAIN, SENDING_DOMAIN, World

AUTHOR = f"a@{SENDING_DOMAIN}"


def header(subject: str, *, fields: int = 3, octets: int = 0, line: bytes = b"y" * 900) -> bytes:
    """A header with a number of fields, or of octets."""
    block = f"From: {AUTHOR}\r\nTo: u@{RECIPIENT_DOMAIN}\r\nSubject: {subject}\r\n".encode()
    block += b"X: v\r\n" * (fields - 3)
    field = b"X-P: " + line + b"\r\n"
    block += field * max(0, (octets - len(block)) // len(field) - 1)
    while octets - len(block) > 900:
        block += b"X-Q: " + b"z" * 500 + b"\r\n"
    return block + (b"X-Q: " + b"z" * (octets - len(block) - 7) + b"\r\n" if octets else b"") + b"\r\n"


@pytest.fixture(scope="module", params=[("8BITMIME", "SMTPUTF8"), ("8BITMIME",), ()], ids=["8-bit", "8-bit body", "7-bit"])
def receiver(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with World(tmp_path_factory.mktemp("headers")) as made:
        made.mailhost.extensions = request.param
        yield made


@cases(
    ("name", "content"),
    [
        ("fields", header("fields", fields=MAX_FIELDS) + b"body\r\n"),
        ("converted", header("converted", fields=MAX_FIELDS) + b"b" * 1200 + b"\r\n"),
        ("octets", header("octets", octets=MAX_BLOCK) + b"body\r\n"),
        ("8 bits", header("8 bits", octets=MAX_BLOCK) + "bödy\r\n".encode()),
        ("scripts", header("scripts", octets=MAX_BLOCK, line="日".encode() * 300) + b"body\r\n"),
    ],
)
def test_what_is_taken_is_sent(receiver: World, name: str, content: bytes) -> None:
    code, reply = submit(receiver.relay, receiver.live_key, AUTHOR, [f"u@{RECIPIENT_DOMAIN}"], content)
    assert code == 250, reply
    receiver.check_signature(receiver.wait_for_mail(name).content)


@cases(
    ("content", "words"),
    [
        (header("more fields", fields=MAX_FIELDS + 1) + b"body\r\n", "more than 2000 header fields"),
        (header("more octets", octets=MAX_BLOCK + 10) + b"body\r\n", "larger than 1 MiB"),
    ],
)
def test_what_is_larger_is_refused(receiver: World, content: bytes, words: str) -> None:
    code, reply = submit(receiver.relay, receiver.live_key, AUTHOR, [f"u@{RECIPIENT_DOMAIN}"], content)
    assert (code, words in reply) == (554, True), reply
