"""What a repeat is."""

import base64

import pytest

from sendryd.intake.fingerprint import fingerprint
from sendryd.testing.door import Door

TEXT = "Ihre Rechnung über 40 €"


def made(
    *, boundary: str = "b1", date: str = "Mon, 2 Mar 2026 12:00:00 +0000", is_base64: bool = False, text: str = TEXT, more: str = ""
) -> bytes:
    body = base64.b64encode(text.encode()).decode() if is_base64 else text
    encoding = "base64" if is_base64 else "8bit"
    return (
        f"From: Shop <shop@example.test>\r\nSubject: =?utf-8?q?Rechnung_=E2=82=AC?=\r\nDate: {date}\r\nMessage-ID: <{boundary}@shop>\r\n{more}"
        f"X-Sendry-Idempotency-Key: k\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary={boundary}\r\n\r\n"
        f"--{boundary}\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: {encoding}\r\n\r\n{body}\r\n"
        f"--{boundary}\r\nContent-Type: application/pdf; name=a.pdf\r\nContent-Transfer-Encoding: base64\r\n\r\nJVBERi0=\r\n--{boundary}--\r\n"
    ).encode()


@pytest.fixture
async def door() -> Door:
    return await Door().open()


async def test_a_message_that_is_made_anew_is_the_same(door: Door) -> None:
    first = fingerprint(door.submission(made()))
    again = made(boundary="another", date="Mon, 2 Mar 2026 12:05:00 +0000", is_base64=True)
    assert fingerprint(door.submission(again)) == first


@pytest.mark.parametrize(
    "other",
    [
        made(text="Ihre Rechnung über 41 €"),
        made(more="X-Sendry-Scheduled-At: in 1 hour\r\n"),
        made(more="X-Sendry-Tag: a=b\r\n"),
        made().replace(b"a.pdf", b"b.pdf"),
        made().replace(b"JVBERi0=", b"JVBERi4="),
        made().replace(b"=?utf-8?q?Rechnung_=E2=82=AC?=", b"Rechnung"),
        made().replace(b"Shop <", b"Laden <"),
    ],
)
async def test_what_says_or_asks_for_something_else_is_another(door: Door, other: bytes) -> None:
    assert fingerprint(door.submission(other)) != fingerprint(door.submission(made()))


async def test_recipients_tell_whatever_their_order(door: Door) -> None:
    both = fingerprint(door.submission(made(), recipients=("a@example.org", "b@example.org")))
    assert fingerprint(door.submission(made(), recipients=("b@example.org", "a@example.org"))) == both
    assert fingerprint(door.submission(made(), recipients=("a@example.org",))) != both
