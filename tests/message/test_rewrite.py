"""What is added and removed on the way in; everything else stays byte for byte."""

from datetime import UTC, datetime

import pytest

from sendryd.message.headers import HeaderBlock
from sendryd.message.rewrite import format_date, prepare_submission
from sendryd.message.trace import received_line
from sendryd.testing.cases import cases

NOW = datetime(2026, 3, 7, 9, 5, 2, 123000, tzinfo=UTC)
RECEIVED = b"Received: here\r\n"


def prepare(content: bytes, dropped: bytes = b"") -> bytes:
    headers = HeaderBlock.parse(content)
    drop = headers.by_name.get(dropped, [])
    return prepare_submission(content, headers, received=RECEIVED, message_id=None, date=None, drop=drop)


def test_nothing_but_a_line_in_front() -> None:
    content = b"From: a@b.test\r\nX-Odd:   kept \r\n\tas it is\r\n\r\nbody\r\n.\r\n"
    assert prepare(content) == RECEIVED + content


def test_fields_are_cut_out_wherever_they_are() -> None:
    content = (
        b"Bcc: x@y.test\r\nFrom: a@b.test\r\nbcc: z@y.test,\r\n w@y.test\r\nSubject: s\r\nBCC: q@y.test\r\n\r\nBcc: in the body stays\r\n"
    )
    assert prepare(content, b"bcc") == RECEIVED + b"From: a@b.test\r\nSubject: s\r\n\r\nBcc: in the body stays\r\n"


@pytest.mark.parametrize(
    ("content", "ending"),
    [
        (b"From: a@b.test\r\n\r\nno end", b"no end\r\n"),
        (b"From: a@b.test\r\n", b"From: a@b.test\r\n\r\n"),
        (b"From: a@b.test\r\n\r\n", b"\r\n\r\n"),
    ],
)
def test_final_line_ends(content: bytes, ending: bytes) -> None:
    assert prepare(content).endswith(ending)


def test_date_and_message_id_are_added() -> None:
    content = b"From: a@b.test\r\n\r\n"
    made = prepare_submission(
        content, HeaderBlock.parse(content), received=RECEIVED, message_id=b"<1@h>", date=format_date(NOW).encode(), drop=()
    )
    assert made == RECEIVED + b"Message-ID: <1@h>\r\nDate: Sat, 7 Mar 2026 09:05:02 +0000\r\n" + content


def received(**changes: object) -> str:
    values: dict[str, object] = {
        "hello": "client.test",
        "address": "192.0.2.1",
        "hostname": "relay.test",
        "queue_id": "em_1",
        "tls": ("TLSv1.3", "TLS_AES"),
        "is_smtputf8": False,
        "hide_client": False,
        "now": NOW,
    }
    return received_line(**(values | changes)).decode()  # type: ignore[arg-type]  # each case changes one of them


def test_received_field() -> None:
    assert " ".join(received().split()) == (
        "Received: from client.test ([192.0.2.1]) by relay.test with ESMTPSA id em_1 (TLSv1.3 TLS_AES); Sat, 7 Mar 2026 09:05:02 +0000"
    )
    assert "UTF8SMTPSA" in received(is_smtputf8=True)
    assert "with ESMTPA id" in received(tls=None)
    assert "([IPv6:2001:db8::1])" in received(address="2001:db8::1")


def test_received_hides_the_client_if_asked() -> None:
    assert "192.0.2.1" not in received(hide_client=True)
    assert "client.test" not in received(hide_client=True)


@cases("hello", ["a\r\nBcc: x@y.test", "a b;c", "\x1b[2J", "<script>", "é" * 300, "()" * 200])
def test_received_is_safe_from_the_clients_name(hello: str) -> None:
    field = received(hello=hello)
    headers = HeaderBlock.parse((field + "From: a@b.test\r\n\r\n").encode())
    assert (headers.count(b"received"), headers.count(b"bcc")) == (1, 0)
    assert all(len(line) <= 998 for line in field.split("\r\n"))
