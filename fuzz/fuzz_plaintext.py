"""The text of HTML, and what is said of a message: whatever the HTML, within a time that grows with its length alone."""

import time

from drive import drive

from sendryd.message.insights import examine
from sendryd.message.plaintext import html_to_text

HEADER = b"From: a@b.test\r\nSubject: s\r\nMIME-Version: 1.0\r\nContent-Type: text/html\r\n\r\n"
REPEATED = 65_536  # octets that an input is repeated to: what is quadratic takes seconds for them
SECONDS = 2.0  # for both; a few milliseconds are usual
SEEDS = [
    b"<p>Hello <a href='https://x.test'>here</a></p><img src=a.png alt='A'><ul><li>one<li>two</ul>",
    b"<table><tr><td>a<td>b</tr></table><!-- c --><div style='display: none'>x</div>",
    b"<div>" * 501 + b"deep",
]
PIECES = [
    b"<",
    b">",
    b"</",
    b"<!--",
    b"-->",
    b"<img ",
    b"<img alt=' '>",
    b"alt ",
    b"href ",
    b"=",
    b"'",
    b'"',
    b" ",
    b"\n",
    b"<br>",
    b"<p>",
    b"<div>",
    b"<td></td>",
    b"<a href='http://x'>",
    b"<script>",
    b"display ",
    b"&lt;",
    b"\x00",
    b"\x01",
    b"<div>" * 501,
]


def test(data: bytes) -> None:
    """The input, and the input again and again."""
    for html in (data, data * (REPEATED // max(1, len(data)))):
        started = time.process_time()
        html_to_text(html.decode("utf-8", "replace"))
        assert examine(HEADER + html, is_marketing=True)
        assert time.process_time() - started < SECONDS


if __name__ == "__main__":
    drive(test, PIECES, seeds=SEEDS)
