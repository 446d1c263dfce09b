"""What receivers and forwarders do to a content: from the door to what arrived."""

import email

import dkim
import pytest

from sendryd.message.dkim import verify

from .engine import AUTHOR, Engine, dkim_key

pytestmark = [pytest.mark.sockets, pytest.mark.virtual_time(sockets=True)]

ATTACHED = (
    f"From: {AUTHOR}\r\nSubject: Fwd\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=o\r\n\r\n"
    "--o\r\nContent-Type: text/plain\r\n\r\nsee\r\n"
    "--o\r\nContent-Type: message/rfc822\r\nContent-Transfer-Encoding: 8bit\r\n\r\n"
    "From: x@y.test\r\nSubject: inner\r\nMIME-Version: 1.0\r\n"
    "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\ngr\u00fc\u00dfe\r\n"
    "--o--\r\n"
).encode()
# Fields of Mailman, Google Groups and forwarders.
ADDED = (
    b"List-Id: <list.example.org>\r\nList-Unsubscribe: <mailto:leave@example.org>\r\nSender: list-bounces@example.org\r\n"
    b"Precedence: list\r\nResent-From: list@example.org\r\nDelivered-To: user@example.org\r\nX-Forwarded-To: b@example.org\r\n"
)


def key_record(name: str) -> str | None:
    """The DKIM record that the sending domain publishes."""
    return f"v=DKIM1; k=rsa; p={dkim_key()[1]}" if name.startswith("sendry._domainkey.example.test") else None


def is_signed(content: bytes) -> bool:
    """By our verification and by one of others."""
    return verify(content, key_record) is None and dkim.verify(
        content, dnsfunc=lambda name, **_: (key_record(name.decode()) or "").encode()
    )


async def test_parts_of_an_attached_message_are_converted_for_a_server_without_8bitmime(engine: Engine) -> None:
    server = await engine.domain("seven.test", extensions=("PIPELINING",))
    await engine.fate("u@seven.test", content=ATTACHED)
    (mail,) = server.mails
    assert mail.content.isascii()
    assert is_signed(mail.content)
    _, _, attached, inner = email.message_from_bytes(mail.content).walk()
    assert attached["Content-Transfer-Encoding"] in {None, "7bit"}
    assert (inner["Subject"], inner.get_payload(decode=True)) == ("inner", "gr\u00fc\u00dfe".encode())


async def test_fields_that_a_list_adds_leave_the_signature_valid(engine: Engine) -> None:
    server = await engine.domain("list.test")
    await engine.fate("u@list.test")
    (mail,) = server.mails
    assert is_signed(mail.content)
    assert is_signed(ADDED + mail.content)
    assert not is_signed(b"Subject: another\r\n" + mail.content)
