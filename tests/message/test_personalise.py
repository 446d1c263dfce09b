"""Each recipient's copy differs in links, pixel and unsubscribe fields, and in nothing else."""

import base64
import email
import email.policy
from collections.abc import Callable
from email.message import EmailMessage

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from sendryd.message.compose import Attachment, Composition, compose
from sendryd.message.errors import MalformedMessage
from sendryd.message.headers import HeaderBlock
from sendryd.message.mailbox import Mailbox
from sendryd.message.parse import summarise
from sendryd.message.personalise import MAX_TRACKED, MAX_UNSUBSCRIBE_URL, Personal, personalise, why_untracked
from sendryd.message.quoted import base64_lines, quoted_printable
from sendryd.testing.cases import cases
from sendryd.testing.examples import examples

PIXEL_URL = "https://t.test/o/1"
PIXEL = '<img src="https://t.test/o/1" width="1" height="1" alt="" style="display:none">'
TOP = b"Received: here\r\nFrom: a@b.test\r\nSubject: s\r\nMIME-Version: 1.0\r\n"
HTML = '<body><p>Grüße</p><a href="https://x.test/">x</a></body>\r\n'
TRACKED = f'<body><p>Grüße</p><a href="https://t.test/c/1">x</a>{PIXEL}</body>\r\n'


def wrap(url: str) -> str | None:
    return "https://t.test/c/1" if "x.test" in url else None


ALL = Personal(pixel_url=PIXEL_URL, wrap=wrap)


def html_of(content: bytes) -> list[str]:
    """The HTML texts as the standard library reads them."""
    message = email.message_from_bytes(content, policy=email.policy.default)
    assert isinstance(message, EmailMessage)
    found = []
    for part in message.walk():
        assert part.defects == []
        data = part.get_payload(decode=True)
        if part.get_content_type() == "text/html" and isinstance(data, bytes):
            found.append(data.decode(part.get_content_charset() or "ascii"))
    return found


def leaf(body: bytes, charset: str = "utf-8", encoding: str = "8bit") -> bytes:
    return (
        f"Content-Type: text/html; charset={charset}\r\nX-Kept:  as it is \r\nContent-Transfer-Encoding: {encoding}\r\n\r\n".encode() + body
    )


@cases("charset", ["utf-8", "UTF8", '"iso-8859-1"', "windows-1252", "iso-8859-15", "gb18030"])
@cases("encoding", ["8bit", "BINARY", "quoted-printable", "Base64"])
def test_a_leaf_keeps_its_charset_and_encoding(charset: str, encoding: str) -> None:
    write: dict[str, Callable[[bytes], bytes]] = {"quoted-printable": quoted_printable, "Base64": base64_lines}
    body, tracked = (write.get(encoding, bytes)(text.encode(charset.strip('"'))) for text in (HTML, TRACKED))
    for before, after in ((TOP, b""), (TOP + b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n", b"\r\n--b--\r\n")):
        content = before + leaf(body, charset, encoding) + after
        assert personalise(content, ALL) == before + leaf(tracked, charset, encoding) + after
        assert html_of(personalise(content, ALL)) == [TRACKED]


def test_everything_around_a_leaf_stays_octet_for_octet() -> None:
    before = (
        TOP + b'Content-Type: multipart/mixed; boundary="b"\r\n\r\npre <a href="https://x.test/">\r\n'
        b'--b\r\nContent-Type: multipart/alternative; boundary="b2"\r\n\r\n--b2\r\n\r\n<a href="https://x.test/"></body>\r\n'
        b'--b2\r\nContent-Type: text/calendar\r\n\r\n<a href="https://x.test/">\r\n--b2\r\n'
    )
    after = (
        b'\r\n--b2-- \r\nepilogue\r\n--b\r\nContent-Type: text/html\r\nContent-Disposition: attachment\r\n\r\n<a href="https://x.test/">\r\n'
        b'--b\r\nContent-Type: text/html; name="x.html"\r\n\r\n<a href="https://x.test/">\r\n'
        b'--b\r\nContent-Type: message/rfc822\r\n\r\nContent-Type: text/html\r\n\r\n<a href="https://x.test/">\r\n--b--\r\n<a href="https://x.test/">'
    )
    assert personalise(before + leaf(HTML.encode()) + after, ALL) == before + leaf(TRACKED.encode()) + after


def test_the_pixel_is_in_the_first_html_only() -> None:
    parts = b"".join(
        b"--b\r\n" + leaf(body) + b"\r\n" for body in (b"\xff<p>", b'<a href="https://x.test/">1', b'<a href="https://x.test/">2')
    )
    content = personalise(TOP + b"Content-Type: multipart/mixed; boundary=b\r\n\r\n" + parts + b"--b--\r\n", ALL)
    assert content.count(PIXEL.encode()) == 1
    assert content.index(b'<a href="https://t.test/c/1">1' + PIXEL.encode()) < content.index(b'<a href="https://t.test/c/1">2\r\n')


SIGNED = [
    b'Content-Type: multipart/signed; protocol="application/pgp-signature"; boundary=b\r\n\r\n--b\r\n%b\r\n--b\r\n\r\nx\r\n--b--\r\n',
    b"Content-Type: multipart/mixed; boundary=c\r\n\r\n--c\r\nContent-Type: multipart/signed; boundary=b\r\n\r\n--b\r\n%b\r\n--b--\r\n--c--\r\n",
    b"Content-Type: multipart/signed; boundary=c\r\n\r\n--c\r\nContent-Type: multipart/alternative; boundary=b\r\n\r\n--b\r\n%b\r\n--b--\r\n--c--\r\n",
    b"Content-Type: multipart/encrypted; boundary=b\r\n\r\n--b\r\n%b\r\n--b--\r\n",
    b"Content-Type: application/pkcs7-mime; x=y\r\n\r\n%b",
]  # fmt: skip


@pytest.mark.parametrize("template", SIGNED, ids=range(len(SIGNED)))
def test_what_is_signed_or_encrypted_is_the_same_object(template: bytes) -> None:
    content = TOP + template % leaf(HTML.encode())
    assert personalise(content, ALL) is content
    with_fields = personalise(content, Personal(wrap=wrap, unsubscribe_urls=("https://t.test/u",)))
    assert with_fields[HeaderBlock.parse(with_fields).body_offset :] == content[HeaderBlock.parse(content).body_offset :]


@cases(
    "entity",
    [
        b"Content-Type: text/plain\r\n\r\n<a href='https://x.test/'></body>\r\n",
        b"\r\n<a href='https://x.test/'></body>\r\n",
        leaf(b"\xc3<p>"), leaf(HTML.encode("latin-1")), leaf(HTML.encode(), "x-unknown"), leaf(HTML.encode(), "zlib_codec"), leaf(HTML.encode(), "utf-7"),
        leaf(b"\x1b$B\x1b(B<p>", "iso-2022-jp"), leaf(HTML.encode(), encoding="x-uuencode"),
        leaf(base64.b64encode(b"<p> ") + b"\r\n" + base64.b64encode(b"<p>x"), encoding="base64"), leaf(b"!PHA+\r\n", encoding="base64"),
        leaf(b"-----BEGIN PGP SIGNED MESSAGE-----\r\n<a href='https://x.test/'>\r\n"), leaf(b""),
        b"Content-Type: text/html\r\nContent-Disposition: attachment\r\n\r\n<p>",
    ],
)  # fmt: skip
def test_what_cannot_be_rewritten_safely_is_left_alone(entity: bytes) -> None:
    content = TOP + entity
    assert personalise(content, ALL) is content


def test_nothing_to_do_gives_the_same_object() -> None:
    content = TOP + leaf(HTML.encode())
    assert personalise(content, Personal()) is content
    assert personalise(content, Personal(wrap=lambda _: None)) is content
    assert personalise(b"no header\r\n", ALL) == b"no header\r\n"


def test_undeclared_utf_8_is_read_as_such() -> None:
    content = TOP + b"Content-Type: text/html\r\n\r\n"
    assert personalise(content + HTML.encode(), ALL) == content + TRACKED.encode()


def test_a_letter_that_the_charset_lacks_leaves_the_leaf_alone() -> None:
    for charset in ("iso-8859-1", "us-ascii"):
        content = TOP + leaf(b'<a href="https://x.test/">x</a>\r\n', charset)
        assert personalise(content, Personal(wrap=lambda _: "https://t.test/日")) is content


@pytest.mark.parametrize(("letter", "encoding"), [("x", b"quoted-printable"), ("é", b"quoted-printable"), ("日", b"base64")])
def test_a_line_that_gets_too_long_changes_the_encoding(letter: str, encoding: bytes) -> None:
    filler = letter if letter == "é" else letter * 250
    html = f'<p>{filler}</p><a href="https://x.test/">x</a>\r\n' * 3
    long = Personal(wrap=lambda _: "https://t.test/" + ("y" * 980 if letter != "日" else "y" * 400))
    for field in (b"Content-Transfer-Encoding: 8bit\r\n", b"content-transfer-encoding:\r\n 8bit\r\n", b""):
        content = TOP + b"X: 1\r\n" + field + b"Content-Type: text/html; charset=utf-8\r\n\r\n" + html.encode()
        changed = personalise(content, long)
        assert max(map(len, changed.split(b"\r\n"))) <= 998
        headers = HeaderBlock.parse(changed)
        assert headers.all(b"content-transfer-encoding") == [encoding]
        assert html_of(changed) == [html.replace("https://x.test/", long.wrap("") or "")]  # type: ignore[misc]
        assert b"".join(headers.raw(each) for each in headers.fields if each.name != b"content-transfer-encoding").startswith(
            TOP + b"X: 1\r\n"
        )


@pytest.mark.parametrize("end", ["", "\r\n"])
def test_the_end_of_the_message_stays_a_line_end(end: str) -> None:
    html = f'<p>Grüße</p><a href="https://x.test/">{end}'
    for body, encoding in (
        (quoted_printable(html.encode()) + b"=\r\n" * (not end), "quoted-printable"),
        (base64_lines(html.encode()), "base64"),
    ):
        changed = personalise(TOP + leaf(body, encoding=encoding), Personal(wrap=wrap))
        assert changed.endswith(b"\r\n")
        assert html_of(changed) == [html.replace("https://x.test/", "https://t.test/c/1")]


def test_line_ends_that_are_none_survive_quoted_printable() -> None:
    html = 'a\nb\rc\r\n<a href="https://x.test/">'
    changed = personalise(TOP + leaf(quoted_printable(html.encode()), encoding="quoted-printable"), Personal(wrap=wrap))
    assert html_of(changed) == [html.replace("https://x.test/", "https://t.test/c/1")]


def test_unsubscribe_fields_replace_those_that_are_there() -> None:
    content = (
        b"Received: here\r\nList-Unsubscribe: <mailto:old@x.test>,\r\n <https://old.test>\r\nFrom: a@b.test\r\n"
        b"LIST-Unsubscribe-Post: x\r\nList-Id: <l.x.test>\r\nlist-unsubscribe: again\r\n\r\nList-Unsubscribe: body\r\n"
    )
    personal = Personal(unsubscribe_urls=("https://t.test/u/1?a=b&c=d", "mailto:u@t.test"))
    changed = personalise(content, personal)
    assert changed == (
        b"Received: here\r\nFrom: a@b.test\r\nList-Id: <l.x.test>\r\n"
        b"List-Unsubscribe: <https://t.test/u/1?a=b&c=d>,\r\n <mailto:u@t.test>\r\nList-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n"
        b"\r\nList-Unsubscribe: body\r\n"
    )
    assert personalise(changed, personal) == changed


def test_one_click_needs_a_url_to_post_to() -> None:
    changed = personalise(TOP + b"\r\n", Personal(unsubscribe_urls=("mailto:u@t.test",)))
    assert changed == TOP + b"List-Unsubscribe: <mailto:u@t.test>\r\n\r\n"


@cases(
    "url",
    [
        "",
        "x",
        "https://t.test/>",
        "https://t.test/ x",
        "https://t.test/\r\nBcc: x",
        "https://t.test/é",
        "https:" + "x" * MAX_UNSUBSCRIBE_URL,
    ],
)
def test_unsubscribe_urls_that_do_not_fit_a_header(url: str) -> None:
    with pytest.raises(MalformedMessage, match="unsubscribe URL"):
        personalise(TOP + b"\r\n", Personal(unsubscribe_urls=("https://t.test/", url)))


def test_fields_and_a_changed_encoding_in_one_header() -> None:
    content = TOP + b"List-Unsubscribe: <x:y>\r\nContent-Type: text/html\r\n\r\n<a href='https://x.test/'>\r\n"
    changed = personalise(content, Personal(wrap=lambda _: "https://t.test/" + "y" * 990, unsubscribe_urls=("https://t.test/u",)))
    headers = HeaderBlock.parse(changed)
    assert headers.all(b"list-unsubscribe") == [b"<https://t.test/u>"]
    assert headers.all(b"content-transfer-encoding") == [b"quoted-printable"]
    assert "y" * 990 in html_of(changed)[0]


HTML_TEXT = st.lists(
    st.sampled_from(['<a href="https://x.test/">', "é", "日本", "\n", "x" * 300, " ", "=", "</body>", "<p>", "\0", ".\n"]), max_size=20
).map("".join)


@settings(max_examples=examples(200), deadline=None)
@given(HTML_TEXT, HTML_TEXT)
def test_composed_messages_get_links_and_pixel(html: str, text: str) -> None:
    attached = Attachment(filename="a.html", content=html.encode(), content_type="text/html")
    author = Mailbox("", "a", "b.test")
    what = Composition(author=author, to=(author,), subject="s", html=html, text=text, attachments=(attached,))
    content = compose(what, boundary="0123456789abcdefghij")
    changed = personalise(content, ALL)
    before, after = summarise(content), summarise(changed)
    assert before.html is not None
    assert after.html is not None
    assert after.html.replace(PIXEL, "") == before.html.replace("https://x.test/", "https://t.test/c/1")
    assert (after.text, after.attachments) == (before.text, before.attachments)
    assert max(map(len, changed.split(b"\r\n"))) <= 998


@settings(max_examples=examples(200), deadline=None)
@given(
    st.binary(max_size=200),
    st.sampled_from(["utf-8", "iso-2022-jp", "shift_jis", "big5", "euc-kr", "us-ascii", "windows-1252"]),
    st.sampled_from(["8bit", "base64", "quoted-printable"]),
)
@example(b"x ", "utf-8", "quoted-printable")
def test_any_octets_are_copied_or_changed_without_loss(body: bytes, charset: str, encoding: str) -> None:
    if encoding == "quoted-printable":
        body = body.rstrip(b" \t")  # white space at the end of a line is none of it: RFC 2045 §6.7
    content = TOP + leaf(body, charset, encoding)
    changed = personalise(content, Personal(pixel_url=PIXEL_URL))
    if changed is not content and b"\n" not in body and b"\r" not in body:
        before, after = (email.message_from_bytes(each).get_payload(decode=True) for each in (content, changed))
        assert isinstance(after, bytes)
        assert after.replace(PIXEL.encode(), b"") == before


def test_html_that_no_mail_program_shows_is_not_tracked() -> None:
    content = b"From: a@b.test\r\nContent-Type: text/html\r\n\r\n" + b"<p>x</p>\r\n" * (MAX_TRACKED // 10 + 1)
    assert why_untracked(content) == "its HTML text is larger than 8 MiB"
    assert personalise(content, Personal(pixel_url="https://p.test/")) is content
