"""Mails whose every field is hostile, or larger and deeper than any honest one: all parts of the page read, and nothing in them is markup."""

import re
import time
from html import unescape

import pytest

from sendryd.dashboard.mailparts import MAX_NODES
from sendryd.message.framing import MAX_NESTING
from sendryd.testing.clients import submit
from sendryd.testing.world import RECIPIENT_DOMAIN, SENDING_DOMAIN, World

from .conftest import Browser
from .test_frame import frame_path

pytestmark = pytest.mark.sockets

SCRIPT = '"><script>alert(1)</script><img src=x onerror=alert(1)>'
TRICK = f"{SCRIPT}\u202egpj.exe\u2066\u200f{{{{7*7}}}}\u2028"
PARTS = ("preview", "text", "source", "headers", "attachments", "timeline")
MARKUP = re.compile(r"<script>alert|<img src=x|onerror=alert[^&]*>")
SLOW = 30.0  # seconds that one page may take on a busy machine


def send(world: World, content: bytes, *, key: str = "") -> str:
    """Sends a whole message; gives its id."""
    to = f"ann@{RECIPIENT_DOMAIN}"
    code, reply = submit(world.relay, key or world.live_key, f"hello@{SENDING_DOMAIN}", [to], content)
    assert code == 250, reply
    return reply.rpartition(" ")[2]


def head(subject: str, *more: str) -> bytes:
    fields = (f"From: hello@{SENDING_DOMAIN}", f"To: ann@{RECIPIENT_DOMAIN}", f"Subject: {subject}", "MIME-Version: 1.0", *more)
    return "".join(f"{field}\r\n" for field in fields).encode()


def read(browser: Browser, path: str) -> str:
    started = time.monotonic()
    answer = browser.get(path)
    assert (answer.status, time.monotonic() - started < SLOW) == (200, True), path
    return answer.text


def test_hostile_fields_are_text_in_every_part(reader: Browser, mails: World) -> None:
    files = "".join(
        f"--x\r\nContent-Type: text/{SCRIPT.replace(' ', '')}\r\nContent-Disposition: attachment; filename*=UTF-8''{name}\r\n\r\nx\r\n"
        for name in ("%22%3E%3Cscript%3Ealert(1)%3C%2Fscript%3E", "%E2%80%AEgpj.exe", "..%2F..%2Fx", "%00", "a%0D%0ABcc%3A%20x")
    )
    content = (
        head(TRICK, f"X-<script>alert(1)</script>: {TRICK}", "X-{{7*7}}: {{7*7}}", "Content-Type: multipart/mixed; boundary=x")
        + f"\r\n--x\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n{TRICK}\r\n".encode()
        + f"--x\r\nContent-Type: text/html; charset=utf-8\r\n\r\n<p>{TRICK}</p>\r\n{files}--x--\r\n".encode()
    )
    live, test = send(mails, content), send(mails, content, key=mails.test_key)
    own = test.replace("em_", "te_", 1)
    for path in (
        *(f"/emails/{live}?part={part}" for part in PARTS),
        *(f"/test?open={own}&part={part}" for part in PARTS),
        f"/test?q={own}",
    ):
        shown = read(reader, path)
        assert not MARKUP.search(shown), path
        assert "49" not in re.findall(r"<dd[^>]*><bdi>(.*?)</bdi>", shown), path
    names = unescape(read(reader, f"/emails/{live}?part=attachments"))
    assert "\u202egpj.exe" in names
    for number in range(5):
        got = reader.get(f"/emails/{live}/attachments/{number}")
        assert got.headers["content-disposition"].startswith("attachment; filename*=UTF-8''"), number
        assert got.headers["content-type"] == "application/octet-stream"
    assert not MARKUP.search(read(reader, "/test"))


def test_a_thousand_attachments_are_listed(reader: Browser, mails: World) -> None:
    files = "".join(f"--x\r\nContent-Type: text/plain\r\nContent-Disposition: attachment; filename=f{n}\r\n\r\n{n}\r\n" for n in range(990))
    email_id = send(mails, head("Thousand", "Content-Type: multipart/mixed; boundary=x") + f"\r\n{files}--x--\r\n".encode())
    shown = read(reader, f"/emails/{email_id}?part=attachments")
    assert len(re.findall(r"/attachments/\d+", shown)) == 990
    assert shown.count('<li class="in-') == MAX_NODES
    assert "More parts follow." in shown
    assert reader.get(f"/emails/{email_id}/attachments/989").text == "989"


def test_ten_megabytes_of_html_are_framed_only_when_somebody_asks(reader: Browser, mails: World) -> None:
    line = f"<p>{'words of a long mail ' * 40}</p>\r\n"
    html = "<b>Ten</b>\r\n" + line * (10 * 1024 * 1024 // len(line))
    email_id = send(mails, head("Ten megabytes", "Content-Type: text/html") + f"\r\n{html}".encode())
    page = read(reader, f"/emails/{email_id}?part=preview")
    assert "too large" in read(reader, frame_path(reader.get(f"/emails/{email_id}?part=preview")))
    anyway = re.search(r'href="([^"]*)">Show anyway<', page)
    assert anyway
    whole = reader.get(unescape(anyway[1]))
    assert "<b>Ten</b>" in read(reader, frame_path(whole))


def test_deep_nesting_is_cut(reader: Browser, mails: World) -> None:
    html = "".join(f"{'<div>' * 100}\r\n" for _ in range(30)) + "deep"
    email_id = send(mails, head("Deep", "Content-Type: text/html") + f"\r\n{html}\r\n".encode())
    framed = read(reader, frame_path(reader.get(f"/emails/{email_id}?part=preview")))
    assert (framed.count("<div>"), "deep" in framed) == (MAX_NESTING, True)
    parts = "".join(f"--b{n}\r\nContent-Type: multipart/mixed; boundary=b{n + 1}\r\n\r\n" for n in range(300))
    nested = send(mails, head("Parts", "Content-Type: multipart/mixed; boundary=b0") + f"\r\n{parts}--b300\r\n\r\nx\r\n".encode())
    for part in PARTS:
        read(reader, f"/emails/{nested}?part={part}")
