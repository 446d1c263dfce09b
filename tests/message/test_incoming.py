"""What a person sees of a mail that came in."""

from hypothesis import given
from hypothesis import strategies as st

from sendryd.message.incoming import MAX_BODY, read_incoming

MAIL = (
    b"From: =?utf-8?q?Ada_=C3=89xample?= <Ada@Example.net>\r\nTo: shop@example.test, Grace <grace@example.test>\r\nCc: joan@example.test\r\n"
    b"Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n"
    b"--b\r\nContent-Type: text/plain\r\n\r\nHello\r\n--b\r\nContent-Type: text/html\r\n\r\n<p>Hello\r\n"
    b"--b\r\nContent-Type: application/pdf; name=a.pdf\r\nContent-Disposition: attachment\r\nContent-ID: <x@y>\r\n"
    b"Content-Transfer-Encoding: base64\r\n\r\nAAAA\r\n--b--\r\n"
)


def test_a_mail_is_read() -> None:
    found = read_incoming(MAIL)
    assert found.author == "Ada@example.net"
    assert (found.to, found.cc) == (["shop@example.test", "grace@example.test"], ["joan@example.test"])
    assert (found.subject, found.text, found.html) == ("Grüße", "Hello", "<p>Hello")
    assert found.attachments == [("a.pdf", "application/pdf", 3, "x@y")]
    assert ("Cc", "joan@example.test") in found.headers


def test_long_texts_are_cut() -> None:
    found = read_incoming(b"From: a@b.test\r\n\r\n" + b"x" * 78 * 10_000)
    assert found.text is not None
    assert len(found.text) == MAX_BODY


@given(st.binary(max_size=300))
def test_whatever_comes_is_read(octets: bytes) -> None:
    read_incoming(octets)
