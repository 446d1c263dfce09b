"""Header block, MIME structure, conversions and signatures."""

from contextlib import suppress

from drive import drive

from sendryd.message.dkim import generate_key, load_private_key, sign, verify
from sendryd.message.errors import MalformedMessage
from sendryd.message.headers import HeaderBlock
from sendryd.message.parse import summarise
from sendryd.message.transfer import shorten_lines, to_7bit

PEM, PUBLIC = generate_key()
KEY = load_private_key(PEM)
PIECES = (
    b"From: a@b.test\r\n", b"Content-Type: multipart/mixed; boundary=b\r\n", b"Content-Type: text/plain; charset=utf-8\r\n", b"\r\n", b"--b\r\n", b"--b--\r\n", b" folded\r\n",
    b"Content-Transfer-Encoding: base64\r\n", b"Content-Transfer-Encoding: quoted-printable\r\n", b"x" * 1100, "ä".encode(), b"=\r\n", b"=3D", b"QUJD", b" \r\n", b"\t", b".\r\n",
    b"Content-Type: multipart/signed; boundary=b\r\n", b"Content-Disposition: attachment; filename*=utf-8''x\r\n",
)  # fmt: skip


def test(data: bytes) -> None:
    """With line ends as the door leaves them."""
    content = data.replace(b"\r\n", b"\n").replace(b"\r", b"").replace(b"\n", b"\r\n").replace(b"\0", b"")
    summarise(content)
    with suppress(MalformedMessage):
        headers = HeaderBlock.parse(content)
        assert b"".join(headers.raw(field) for field in headers.fields) == content[: headers.end]
        content += b"" if content.endswith(b"\r\n") else b"\r\n"
        signed = sign(content, headers=HeaderBlock.parse(content), domain="b.test", selector="s", key=KEY, now=1) + content
        assert verify(signed, lambda _: f"p={PUBLIC}") is None
    with suppress(MalformedMessage):
        assert max(map(len, shorten_lines(content).split(b"\r\n"))) <= 998
    with suppress(MalformedMessage):
        to_7bit(content)


if __name__ == "__main__":
    drive(test, PIECES)
