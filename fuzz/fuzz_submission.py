"""The header block at the door: whose message it is, control headers, and what is taken out."""

from datetime import UTC, datetime

from drive import drive

from sendryd.intake.prepare import ParsedMessage, finish, parse_message
from sendryd.message.headers import HeaderBlock

NOW = datetime(2026, 1, 1, tzinfo=UTC)
RECEIVED = b"Received: by r.test id 1;\r\n\tThu, 1 Jan 2026 00:00:00 +0000\r\n"
SEEDS = [
    b"From: a@b.test\r\nBcc: c@d.test\r\nX-Sendry-Tag: a=b\r\nX-Sendry-Track: opens, clicks\r\nSubject: s\r\n\r\nbody\r\n",
    b'From: A <a@b.test>\r\nx-SENDRY-template-id: tpl_1\r\nX-Sendry-Variables: {"a":\r\n [1]}\r\nReturn-Path: <x@y.test>\r\n\r\nbody\r\n',
    b"From: a@b.test\r\nX-Sendry-Scheduled-At: in 1 hour\r\nX-Sendry-Idempotency-Key: k\r\nX-Sendry-Unsubscribe-Url: https://x.test/\r\n\r\n",
    b"Sender: c@b.test\r\nResent-From: d@b.test\r\nResent-Bcc: e@b.test\r\nFrom: =?utf-8?q?A?= <a@b.test> (c)\r\nTo: x, y;\r\n\r\n",
]
PIECES = [
    b"From: ", b"from:", b"FROM:\t", b"a@b.test", b"<", b">", b",", b";", b":", b"(", b")", b'"', b"\\", b"\r\n", b"\r\n ", b"\r\n\t", b"=?utf-8?q?", b"=?utf-8?b?", b"?=",
    b"=0d=0a", b"Bcc: ", b"bcc :", b"X-Sendry-Tag: ", b"x-sendry-", b"X-Sendry-Variables: ", b"[" * 500, b"{", b"}", b"1e999", b"NaN", b"Sender: ", b"Resent-Bcc:",
    b"Message-ID: ", b"Date: ", b"\x80", "ä".encode(), "\u2028".encode(), b"\x0b", b"Received: x\r\n" * 9, b"\r\n\r\n",
]  # fmt: skip


def test(data: bytes) -> None:
    """With line ends as the door leaves them."""
    content = data.replace(b"\r\n", b"\n").replace(b"\r", b"").replace(b"\n", b"\r\n").replace(b"\0", b"")
    parsed = parse_message(content, None)
    if not isinstance(parsed, ParsedMessage):
        assert "\n" not in parsed.sentence
        assert not parsed.smtp.is_positive
        return
    for shown in (parsed.author_text, parsed.author.display, parsed.subject, *parsed.to, *parsed.cc):
        assert not set(shown) & set("\r\n\0\u2028\u2029")
    final = finish(parsed, content, received=RECEIVED, message_id="<1@r.test>", now=NOW)
    assert final.endswith(b"\r\n")
    headers = HeaderBlock.parse(final)
    assert headers.count(b"from") == 1
    assert headers.count(b"message-id") == 1
    assert headers.count(b"date") == 1
    assert not [name for name in headers.by_name if name.startswith(b"x-sendry-") or name in {b"bcc", b"resent-bcc", b"return-path"}]
    again = parse_message(final, None)
    assert isinstance(again, ParsedMessage), again
    assert again.author == parsed.author


if __name__ == "__main__":
    drive(test, PIECES, seeds=SEEDS)
