"""The form in which each receiver gets an 8-bit message."""

from dataclasses import replace

import dkim
import pytest

from sendryd.message.author import decode_text
from sendryd.message.headers import HeaderBlock
from sendryd.testing.mailhost import ReceivedMail
from sendryd.testing.post import Post, signing_key

pytestmark = pytest.mark.sockets

PLAIN = ("PIPELINING", "SIZE 1000000")
WITH_8BIT = (*PLAIN, "8BITMIME")
WITH_UTF8 = (*WITH_8BIT, "SMTPUTF8")
TOP = b"From: a@example.test\r\nMIME-Version: 1.0\r\n"


async def deliver(
    post: Post, content: bytes, extensions: tuple[str, ...], *recipients: str, says_smtputf8: bool = False
) -> list[ReceivedMail]:
    """What the receiver gets. `says_smtputf8` is how earlier versions stored a message with an 8-bit header."""
    post.first.extensions = extensions
    new = post.samples.message(recipients or ("a@one.test",), created_at=post.clock.now(), content=content)
    await post.store.accept(replace(new, message=replace(new.message, is_8bit=not content.isascii(), needs_smtputf8=says_smtputf8)))
    (claim,) = await post.store.claim_deliveries(now=post.clock.now(), lease=post.samples.lease(), limit=9, busy=frozenset(), per_domain=9)
    await post.deliver(claim, content)
    for mail in post.first.mails:
        assert dkim.verify(mail.content, dnsfunc=lambda _name, **_: f"v=DKIM1; k=rsa; p={signing_key()[1]}".encode())
    return post.first.mails


@pytest.mark.parametrize("says_smtputf8", [False, True])
@pytest.mark.parametrize(
    "field", ["Subject: Grüße aus Köln", "To: Jörg <someone@dest.test>", "Cc: a@bücher.test", "From: Ä <a@example.test>"]
)
async def test_an_8_bit_header_needs_no_smtputf8(post: Post, field: str, says_smtputf8: bool) -> None:
    name, _, value = field.partition(": ")
    content = TOP.replace(b"From: a@example.test\r\n", b"") if name == "From" else TOP
    content += field.encode() + b"\r\n\r\nhi\r\n"
    for extensions in (PLAIN, WITH_8BIT):
        (mail,) = await deliver(post, content, extensions, says_smtputf8=says_smtputf8)
        assert mail.content.isascii()
        assert "SMTPUTF8" not in mail.mail_params
        shown = decode_text(HeaderBlock.parse(mail.content).get(name.lower().encode()) or b"")
        assert shown == value.replace("bücher", "xn--bcher-kva")
        post.first.mails.clear()
        await post.pool.aclose()
    (mail,) = await deliver(post, content, WITH_UTF8, says_smtputf8=says_smtputf8)
    assert field.encode() in mail.content
    assert "SMTPUTF8" in mail.mail_params


async def test_a_header_that_is_not_utf_8_is_encoded_for_everybody(post: Post) -> None:
    content = TOP + b"Subject: Gr\xfc\xdfe\r\n\r\n" + "Grüße\r\n".encode()
    (mail,) = await deliver(post, content, WITH_UTF8)
    assert HeaderBlock.parse(mail.content).has_8bit is False
    assert "SMTPUTF8" not in mail.mail_params
    assert "BODY=8BITMIME" in mail.mail_params
    assert decode_text(HeaderBlock.parse(mail.content).get(b"subject") or b"") == "Grüße"
    assert mail.content.endswith("Grüße\r\n".encode())


@pytest.mark.parametrize("extensions", [PLAIN, WITH_8BIT])
async def test_an_8_bit_address_in_the_header_does(post: Post, extensions: tuple[str, ...]) -> None:
    assert await deliver(post, TOP + "Cc: jörg@x.test\r\n\r\nhi\r\n".encode(), extensions) == []
    event = await post.last_event()
    assert event["type"] == "bounced"
    assert event["enhanced_code"] == "5.6.7"
    assert "refused" not in str(event)


async def test_only_the_recipient_whose_address_is_8_bit_is_bounced(post: Post) -> None:
    (mail,) = await deliver(post, TOP + b"\r\nhi\r\n", WITH_8BIT, "jörg@one.test", "b@one.test")
    assert mail.recipients == ["b@one.test"]


async def test_what_cannot_be_converted_is_bounced_with_the_true_reason(post: Post) -> None:
    content = TOP + b"Content-Type: multipart/mixed\r\n\r\n--b\r\n\r\n" + "Grüße\r\n--b--\r\n".encode()
    assert await deliver(post, content, PLAIN) == []
    event = await post.last_event()
    assert event["type"] == "bounced"
    assert "boundary" in str(event)
    await post.pool.aclose()
    (mail,) = await deliver(post, content, WITH_8BIT)
    assert mail.content.endswith(content)
