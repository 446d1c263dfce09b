"""The envelope and the content on the wire."""

import asyncio
from dataclasses import replace

import pytest

from sendryd.delivery.sending import SLICE, OutboundContent
from sendryd.smtp.timeouts import Step

from .scripted import CONTENT, ENVELOPE, ready

pytestmark = pytest.mark.virtual_time


async def test_an_empty_line_after_each_reply_changes_nothing() -> None:
    odd: dict[str, str | list[str]] = dict.fromkeys(("MAIL", "RCPT", "."), "250 ok\r\n")
    for offer in ("250-mx\r\n250 PIPELINING\r\n", "250 mx\r\n"):
        async with ready({"EHLO": offer, **odd, "DATA": "354 go\r\n"}) as (connection, server):
            result = await connection.deliver(ENVELOPE, CONTENT)
            assert {reply.code for reply in result.per_recipient.values()} == {250}
            assert len(server.contents) == 1


async def test_354_without_recipients_gets_no_content() -> None:
    async with ready({"RCPT": "550 5.1.1 unknown", ".": "554 nobody"}) as (connection, server):
        result = await connection.deliver(ENVELOPE, CONTENT)
        assert result.failed_at is Step.RCPT
        assert server.contents == [b""]
        assert connection.is_usable


async def test_a_refusal_in_the_middle_of_a_large_content_is_heard() -> None:
    large = OutboundContent((b"From: a@example.test\r\n\r\n", b"x" * 70 + b"\r\n", (b"y" * 70 + b"\r\n") * (3 * SLICE // 72)))
    async with ready({"DATA": "354 go"}) as (connection, server):
        task = asyncio.create_task(connection.deliver(replace(ENVELOPE, size=large.size), large))
        async with asyncio.timeout(60):
            while "DATA" not in server.said:
                await asyncio.sleep(0)
        server.stream.write(b"552 5.3.4 enough\r\n")
        result = await task
        assert {reply.code for reply in result.per_recipient.values()} == {552}
        assert result.failed_at is Step.FINAL_DOT
        assert not connection.is_usable


def test_a_content_is_of_whole_lines_and_stuffed_once() -> None:
    assert CONTENT.stuffed == (b"DKIM-Signature: x\r\nFrom: a@example.test\r\n\r\n..dot\r\n",)
    assert CONTENT.stuffed is CONTENT.stuffed
    assert CONTENT.is_ascii
    assert not OutboundContent(("ü".encode(),)).is_ascii
    assert repr(CONTENT) == "<OutboundContent 2 parts, 49 octets>"
    with pytest.raises(ValueError, match="must end with CR LF"):
        OutboundContent((b"half", b"line\r\n"))
