"""A recipient's own copy: links and pixel in HTML, in every charset and encoding, and unsubscribe fields."""

from contextlib import suppress

from drive import drive

from sendryd.message.errors import MalformedMessage
from sendryd.message.headers import HeaderBlock
from sendryd.message.links import rewrite_html
from sendryd.message.personalise import Personal, personalise
from sendryd.message.plaintext import html_to_text

PIXEL = "https://t.test/o/x"
OWN = Personal(
    pixel_url=PIXEL,
    wrap=lambda url: "https://t.test/c/" + "y" * (len(url) % 50),
    unsubscribe_urls=("https://t.test/u/z", "mailto:u@a.test"),
)
TOP = b"From: a@b.test\r\nMIME-Version: 1.0\r\n"
SEEDS = [
    TOP + b'Content-Type: text/html; charset=utf-8\r\n\r\n<html><body><a href="http://x.test/?a&amp;b">x</a></body></html>\r\n',
    TOP + b"Content-Type: text/html\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n<a href=3D'http://x.test/'>=C3=A4=\r\n</a>\r\n",
    TOP + b"Content-Type: text/html\r\nContent-Transfer-Encoding: base64\r\n\r\nPGEgaHJlZj0iaHR0cDovL3gudGVzdC8iPng8L2E+\r\n",
    TOP
    + b"Content-Type: multipart/alternative; boundary=b\r\n\r\n--b\r\n\r\ntext\r\n--b\r\nContent-Type: text/html\r\n\r\n<p>hi\r\n--b--\r\n",
]
PIECES = [
    *SEEDS, b"<a href=", b"http://x.test/", b'"', b"'", b">", b"<", b"<!--", b"-->", b"</body>", b"<script>", b"</script>", b"<style>", b"&amp;", b"&#0;", b"=\r\n",
    b"=3D", b"\r\n", b"\r\n\r\n", b"--b\r\n", b"--b--\r\n", "ä".encode(), b"\xff", b"List-Unsubscribe: <http://x.test/>\r\n", b"Content-Type: text/html; charset=",
    b"utf-7", b"iso-8859-1", b"shift_jis", b"iso-2022-jp", b"\x1b$B", b"x" * 1000, b"-----BEGIN PGP ", b"Content-Type: multipart/signed; boundary=b\r\n",
]  # fmt: skip


def test(data: bytes) -> None:
    """With line ends as the door leaves them."""
    content = data.replace(b"\r\n", b"\n").replace(b"\r", b"").replace(b"\n", b"\r\n").replace(b"\0", b"")
    copy = personalise(content, OWN)
    assert copy.count(b"\r") == copy.count(b"\n") == copy.count(b"\r\n")
    assert copy.count(PIXEL.encode()) <= content.count(PIXEL.encode()) + 1
    if content.isascii():
        assert copy.isascii()
    if copy != content:
        with suppress(MalformedMessage):
            before = HeaderBlock.parse(content)
            after = HeaderBlock.parse(copy)
            assert [after.raw(field) for field in after.by_name.get(b"from", ())] == [
                before.raw(field) for field in before.by_name.get(b"from", ())
            ]
            assert after.count(b"list-unsubscribe") == after.count(b"list-unsubscribe-post") == 1
    html = data.decode("utf-8", "replace")
    assert rewrite_html(html, wrap=lambda _: None, pixel_url=None) == html
    html_to_text(html)


if __name__ == "__main__":
    drive(test, PIECES, seeds=SEEDS)
