"""A message with a template's bodies: its own header fields as they are, its attachments, and nothing of the old text."""

import email
import email.policy
from email.message import EmailMessage

import pytest

from sendryd.intake.rebuild import replace_bodies
from sendryd.message.errors import MalformedMessage
from sendryd.message.headers import HeaderBlock
from sendryd.message.template import Rendered

FIELDS = (
    b"Received: from vm\r\n\tby mail.example.test\r\nFrom: =?utf-8?q?J=C3=BCrgen?=  <a@example.test>\r\nTo: b@example.org,\r\n  c@example.org\r\n"
    b"X-Odd:no space \r\nDate: Thu, 1 Jan 2026 00:00:00 +0000\r\n"
)
PLAIN = FIELDS + b"Subject: old\r\nContent-Type: text/plain\r\n\r\nold text\r\n"
MIXED = (
    FIELDS + b"Subject: old\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\n"
    b"Content-Type: multipart/alternative; boundary=y\r\n\r\n--y\r\nContent-Type: text/plain\r\n\r\nold text\r\n--y\r\n"
    b"Content-Type: text/html\r\n\r\n<p>old html</p>\r\n--y--\r\n--x\r\n"
    b'Content-Type: application/pdf; name="r.pdf"\r\nContent-Disposition: attachment; filename="r.pdf"\r\nContent-Transfer-Encoding: base64\r\n\r\n'
    b"JVBERg==\r\n--x\r\nContent-Type: image/png\r\nContent-ID: <logo@example.test>\r\nContent-Transfer-Encoding: base64\r\n"
    b"Content-Disposition: inline\r\n\r\niVBORw==\r\n--x--\r\n"
)
BOTH = Rendered(subject="Grüße", html="<p>new html ü</p>", text="new text ü")


def rebuild(content: bytes, rendered: Rendered = BOTH) -> tuple[bytes, EmailMessage]:
    made = replace_bodies(content, HeaderBlock.parse(content), rendered, "b" * 20)
    parsed = email.message_from_bytes(made, policy=email.policy.default)
    assert isinstance(parsed, EmailMessage)
    return made, parsed


def body(parsed: EmailMessage, kind: str) -> str | None:
    part = parsed.get_body((kind,))
    return None if part is None else str(part.get_content()).strip()


@pytest.mark.parametrize("content", [PLAIN, MIXED])
def test_its_own_fields_stay_as_they_are_and_what_describes_the_body_is_new(content: bytes) -> None:
    made, parsed = rebuild(content)
    assert made.startswith(FIELDS)
    assert parsed["Subject"] == "Grüße"
    for name in ("Subject", "MIME-Version", "Content-Type", "From", "To", "Date"):
        assert len(parsed.get_all(name, [])) == 1
    assert (body(parsed, "plain"), body(parsed, "html")) == ("new text ü", "<p>new html ü</p>")
    assert b"old" not in made
    assert not parsed.defects


def test_attachments_stay_with_their_names_types_and_octets() -> None:
    _, parsed = rebuild(MIXED)
    kept = {part.get_content_type(): part for part in parsed.walk() if part.get_content_maintype() in {"application", "image"}}
    pdf, logo = kept["application/pdf"], kept["image/png"]
    assert (pdf.get_filename(), pdf.get_payload(decode=True)) == ("r.pdf", b"%PDF")
    assert (logo["Content-ID"], logo.get_payload(decode=True)) == ("<logo@example.test>", b"\x89PNG")


@pytest.mark.parametrize(
    ("rendered", "plain", "html"),
    [
        (Rendered(subject="s", html=None, text="only text"), "only text", None),
        (Rendered(subject="s", html="<p>only html</p>", text=None), None, "<p>only html</p>"),
    ],
)
def test_a_template_with_one_body_replaces_both(rendered: Rendered, plain: str | None, html: str | None) -> None:
    made, parsed = rebuild(MIXED, rendered)
    assert b"old" not in made
    assert body(parsed, "html") == html
    if plain is not None:
        assert body(parsed, "plain") == plain


def test_a_second_text_is_an_attachment() -> None:
    content = FIELDS + (
        b"MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\nContent-Type: text/plain\r\n\r\nfirst\r\n"
        b"--x\r\nContent-Type: text/plain\r\n\r\nsecond\r\n--x--\r\n"
    )
    made, parsed = rebuild(content)
    assert b"first" not in made
    (attached,) = parsed.iter_attachments()
    assert attached.get_filename() == "attachment"
    payload = attached.get_payload(decode=True)
    assert isinstance(payload, bytes)
    assert payload.strip() == b"second"


ATTACHED = [
    b"Content-Type: text/calendar; method=REQUEST; charset=UTF-8\r\nContent-Description: the date\r\n\r\nBEGIN:VCALENDAR\r\nEND:VCALENDAR",
    b"Content-Type: text/csv; charset=iso-8859-1; header=present\r\nContent-Disposition: attachment; filename=a.csv\r\n\r\n\xe4;\xf6",
    b"Content-Type: message/rfc822\r\n\r\nSubject: Gr\xc3\xbc\xc3\x9fe\r\n\r\n" + b"x" * 1500,
    b"Content-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; mx.example.net\r\n\r\nAction: failed\r\nStatus: 5.1.1\r\n",
    b"Content-Type: application/zip; name=a.zip\r\nContent-Transfer-Encoding: x-uuencode\r\n\r\nbegin 644 a\r\n#0V%T\r\nend",
]


@pytest.mark.parametrize(
    "part",
    [
        b"Content-Type: text/plain\r\nContent-Disposition: inline\r\n\r\nsecond",
        b"\r\nsecond",
        b"second",
        b"Content-Type: text/plain\r\nno field\r\nsecond",
    ],
)
def test_a_second_text_of_any_form_is_an_attachment(part: bytes) -> None:
    start = b"MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\n\r\nfirst\r\n--x\r\n"
    _, parsed = rebuild(FIELDS + start + part + b"\r\n--x--\r\n")
    (attached,) = parsed.iter_attachments()
    assert attached.get_filename() == "attachment"
    payload = attached.get_payload(decode=True)
    assert isinstance(payload, bytes)
    assert payload.strip().endswith(b"second")


@pytest.mark.parametrize("part", ATTACHED)
def test_an_attachment_arrives_octet_for_octet(part: bytes) -> None:
    made, parsed = rebuild(
        FIELDS
        + b"MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\nContent-Type: text/plain\r\n\r\nold text\r\n"
        + b"--x\r\n%b\r\n--x--\r\n" % part
    )
    assert b"\r\n" + part + b"\r\n--" in made
    assert body(parsed, "plain") == "new text ü"


def test_a_message_that_is_a_file_becomes_an_attachment() -> None:
    fields = b'Content-Type: application/pdf; name="r.pdf"\r\nContent-Transfer-Encoding: base64\r\nContent-Description: the bill\r\n'
    made, parsed = rebuild(FIELDS + b"MIME-Version: 1.0\r\n" + fields + b"\r\nJVBERg==\r\n")
    assert fields + b"\r\nJVBERg==\r\n" in made
    (attached,) = parsed.iter_attachments()
    assert (attached.get_filename(), attached.get_payload(decode=True)) == ("r.pdf", b"%PDF")


def test_a_message_without_an_author_cannot_be_made_anew() -> None:
    with pytest.raises(MalformedMessage):
        rebuild(b"Subject: x\r\n\r\nold\r\n")
