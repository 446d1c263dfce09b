"""What goes into a message comes out of it, in three readers; and nothing gets into a header that does not belong there."""

import email
import email.policy
import email.utils
import itertools
import time
from email.header import decode_header, make_header
from email.message import EmailMessage, Message
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sendryd.intake.prepare import ParsedMessage, parse_message
from sendryd.message.compose import MAX_FILENAME, MAX_HEADER, Attachment, Composition, compose
from sendryd.message.encodedwords import LINE
from sendryd.message.errors import MalformedMessage
from sendryd.message.headers import HeaderBlock
from sendryd.message.mailbox import MAX_NAME, Mailbox, parse_mailbox
from sendryd.message.parse import decode_body, summarise, walk
from sendryd.testing.cases import cases
from sendryd.testing.examples import examples

BOUNDARY = "0123456789abcdefGHIJ"
AUTHOR = Mailbox("Acme", "hello", "acme.com")
BOB = Mailbox("", "bob", "example.org")


def build(**fields: Any) -> bytes:
    return compose(Composition(**{"author": AUTHOR, "to": (BOB,), "subject": "Hello", **fields}), boundary=BOUNDARY)


def modern(content: bytes) -> EmailMessage:
    message = email.message_from_bytes(content, policy=email.policy.default)
    assert isinstance(message, EmailMessage)
    for part in message.walk():
        assert part.defects == []
    return message


def classic(content: bytes) -> Message:
    return email.message_from_bytes(content)


def shape(content: bytes) -> list[str]:
    """The types of all parts, indented, which our own reader sees as the standard library does."""
    parts = walk(content)
    assert [part.content_type for part in parts] == [part.get_content_type() for part in modern(content).walk() if not is_embedded(part)]
    return ["." * part.depth + part.content_type for part in parts]


def is_embedded(part: Message) -> bool:
    return part["X-Embedded"] is not None


def check(content: bytes, *, is_ascii: bool = True) -> ParsedMessage:
    """What holds of every message: legal lines, one header block that all our readers take."""
    lines = content.split(b"\r\n")
    assert max(map(len, lines)) <= 998
    assert content.count(b"\n") == content.count(b"\r") == len(lines) - 1
    assert content.endswith(b"\r\n")
    assert b"\0" not in content
    assert content.isascii() or not is_ascii
    headers = HeaderBlock.parse(content)
    assert not {field.name for field in headers.fields} & {b"date", b"message-id", b"received", b"bcc"}
    for line in content[: headers.end].split(b"\r\n")[:-1]:
        assert line.strip() == line.lstrip(b" ") != b""
    parsed = parse_message(content, None)
    assert isinstance(parsed, ParsedMessage)
    return parsed


def crlf(text: str) -> str:
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    return (text if text.endswith("\n") or not text else text + "\n").replace("\n", "\r\n")


def test_the_bytes_of_a_small_message() -> None:
    content = build(
        text="Hi\nthere", html="<p>Hi</p>", cc=(Mailbox("Doe, J.", "j", "x.test"),), reply_to=(BOB,), headers=(("X-B", "2"), ("X-A", "1"))
    )
    assert content.decode("ascii") == (
        "From: Acme <hello@acme.com>\r\n"
        "To: bob@example.org\r\n"
        'Cc: "Doe, J." <j@x.test>\r\n'
        "Reply-To: bob@example.org\r\n"
        "Subject: Hello\r\n"
        "X-B: 2\r\n"
        "X-A: 1\r\n"
        "MIME-Version: 1.0\r\n"
        "Content-Type: multipart/alternative;\r\n"
        ' boundary="0123456789abcdefGHIJ_2"\r\n'
        "\r\n"
        "--0123456789abcdefGHIJ_2\r\n"
        "Content-Type: text/plain; charset=utf-8\r\n"
        "Content-Transfer-Encoding: 7bit\r\n"
        "\r\n"
        "Hi\r\nthere\r\n"
        "\r\n--0123456789abcdefGHIJ_2\r\n"
        "Content-Type: text/html; charset=utf-8\r\n"
        "Content-Transfer-Encoding: 7bit\r\n"
        "\r\n"
        "<p>Hi</p>\r\n"
        "\r\n--0123456789abcdefGHIJ_2--\r\n"
    )
    check(content)


PNG = Attachment(filename="logo.png", content=b"\x89PNG\r\n", content_type="image/png", content_id="logo@acme")
GIF = Attachment(filename="b.gif", content=b"GIF", content_type="image/gif", content_id="dot@acme")
TXT = Attachment(filename="c.txt", content=b"text", content_type="text/plain")
PDF = Attachment(filename="a.pdf", content=bytes(range(256)) * 9, content_type="application/pdf")


@cases(
    ("fields", "expected"),
    [
        ({}, ["text/plain"]),
        ({"text": "a"}, ["text/plain"]),
        ({"html": "a"}, ["text/html"]),
        ({"text": "a", "html": "b"}, ["multipart/alternative", ".text/plain", ".text/html"]),
        ({"text": "a", "attachments": (PDF,)}, ["multipart/mixed", ".text/plain", ".application/pdf"]),
        ({"attachments": (PDF,)}, ["multipart/mixed", ".text/plain", ".application/pdf"]),
        ({"html": "b", "attachments": (PNG,)}, ["multipart/related", ".text/html", ".image/png"]),
        ({"text": "a", "attachments": (PNG,)}, ["multipart/mixed", ".text/plain", ".image/png"]),
        (
            {"text": "a", "html": "b", "attachments": (PDF, PNG, PDF)},
            ["multipart/mixed", ".multipart/alternative", "..text/plain", "..multipart/related", "...text/html", "...image/png"]
            + [".application/pdf"] * 2,
        ),
    ],
)
def test_which_multiparts_there_are(fields: dict[str, Any], expected: list[str]) -> None:
    content = build(**fields)
    check(content)
    assert shape(content) == expected


def test_what_is_inline_is_found_by_its_id_and_the_rest_is_listed() -> None:
    content = build(html='<img src="cid:logo@acme">', attachments=(PNG, PDF))
    image, pdf = (part for part in modern(content).walk() if part.get_filename())
    assert (image["Content-ID"], image.get_content_disposition(), image.get_content()) == ("<logo@acme>", "inline", PNG.content)
    assert (pdf["Content-ID"], pdf.get_content_disposition(), pdf.get_content()) == (None, "attachment", PDF.content)
    related = next(part for part in modern(content).walk() if part.get_content_type() == "multipart/related")
    assert related.get_param("type") == "text/html"  # RFC 2387 §3.1
    assert [(each.filename, each.content_id) for each in summarise(content).attachments] == [("logo.png", "logo@acme"), ("a.pdf", "")]


@cases("given", [*itertools.permutations((PDF, PNG, TXT, GIF)), (PNG, PDF), (PDF, PNG), (PDF,), (PNG,)])
def test_attachments_are_listed_as_they_were_given(given: tuple[Attachment, ...]) -> None:
    content = build(text="a", html='<img src="cid:logo@acme">', attachments=given)
    check(content)
    assert [each.filename for each in summarise(content).attachments] == [each.filename for each in given]
    is_moved = sorted(each.content_id is None for each in given) != [each.content_id is None for each in given]
    assert (b"x-position" in content) is is_moved


def test_attachments_of_others_are_listed_as_they_stand() -> None:
    part = "--b\r\nContent-Type: image/png; name={name}; x-position={position}\r\nContent-Disposition: attachment\r\n\r\nx\r\n"
    parts = "".join(part.format(name=name, position=position) for name, position in (("a", "x"), ("b", "9" * 9), ("c", "-1"), ("d", "")))
    content = f"From: a@b.test\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n{parts}--b--\r\n".encode()
    assert [each.filename for each in summarise(content).attachments] == ["a", "b", "c", "d"]


def bodies(content: bytes) -> list[tuple[str, str]]:
    found = [(part.get_content_type(), part.get_payload(decode=True)) for part in classic(content).walk() if not part.is_multipart()]
    return [(kind, data.decode()) for kind, data in found if isinstance(data, bytes)]


TEXTS = [
    "", "\n", "plain", "Grüße aus Köln\nund mehr", "日本語の本文です。" * 50, "🎉" * 400, "a\rb\nc\r\nd\n\re", "x" * 998, "x" * 999, "é" * 5000, ".\n..\n",
    "trailing \t\n space ", "nul\0 in it", "From here\n>From", "= =3D =\n", "--" + BOUNDARY[:-1] + "\n--\n", "\ufeffbom",
    "\x0b\x0c\x1b\x85\u2028", "<p>\u00a0</p>",
]  # fmt: skip


@cases("text", TEXTS)
def test_texts_arrive(text: str) -> None:
    check_texts(text)


@settings(max_examples=examples(150), deadline=None)
@given(st.text(max_size=400) | st.text("a é\r\n=.-\0\t", max_size=2000))
def test_any_text_arrives(text: str) -> None:
    check_texts(text)


def check_texts(text: str) -> None:
    content = build(text=text, html=text)
    check(content)
    expected = crlf(text)
    summary = summarise(content)
    assert (summary.text, summary.html) == (expected, expected)
    assert bodies(content) == [("text/plain", expected), ("text/html", expected)]
    shown = modern(content).get_body(("html",))
    assert shown is not None
    assert shown.get_content().replace("\r\n", "\n") == expected.replace("\r\n", "\n")
    alone = build(html=text)
    check(alone)
    assert summarise(alone).html == expected


def test_a_half_of_a_character_in_a_body_is_shown_as_one_that_is_missing() -> None:
    assert summarise(build(text="a\ud83d b", html="\udc00")).text == "a\ufffd b\r\n"


@pytest.mark.parametrize(
    ("text", "encoding"),
    [("a" * 998, "7bit"), ("a" * 999, "quoted-printable"), ("Über uns steht es. " * 9, "quoted-printable"), ("абв", "base64")],
)
def test_the_encoding_that_suits(text: str, encoding: str) -> None:
    assert classic(build(text=text))["Content-Transfer-Encoding"] == encoding


SUBJECTS = [
    "Hello", "", " spaces  in   it ", "x" * 500, "word " * 300, "Ünïcode", "日本語の件名" * 20, "🎉🎊" * 60,
    "=?utf-8?q?already=3F?=", "=?utf-8?b?QUJD?= =?utf-8?b?QUJD?=",
    "a =?b?= c", "=?UTF-8?Q?=0D=0ABcc:_evil@e.test?=", "a" * 901, "a" * 3000, "e\u0301" * 100, "\u202egpj.exe",
    "mostly ascii with one é in it " * 5, "?=", "=?", "_=_?",
    "a" + " " * 1500 + "b", " " * 100, "q\u00a0", 'Re: [x] 50% "off" (today), <b>; \\ @',
]  # fmt: skip


@cases("subject", SUBJECTS)
def test_subjects_arrive(subject: str) -> None:
    check_subject(subject)


HEADER_TEXT = st.text(st.characters(exclude_categories=["Cc", "Cs", "Zl", "Zp"]), max_size=300) | st.text("a =?bQ_é", max_size=200)


@settings(max_examples=examples(200), deadline=None)
@given(HEADER_TEXT)
def test_any_subject_arrives(subject: str) -> None:
    check_subject(subject)


def check_subject(subject: str) -> None:
    content = build(subject=subject, headers=(("X-Copy-Of-The-Subject-With-Quite-A-Long-Name", subject), ("X-C", subject)))
    parsed = check(content)
    assert parsed.subject == subject.strip()
    headers = HeaderBlock.parse(content)
    lines = content[: headers.end].split(b"\r\n")
    assert all(len(line) <= LINE or b"=?utf-8?" not in line for line in lines)
    assert all(len(line) <= LINE or len(line.split()) <= 2 for line in lines)  # only what cannot be folded is longer
    stripped = subject.strip(" ")
    message = classic(content)
    for name in ("Subject", "X-C", "X-Copy-Of-The-Subject-With-Quite-A-Long-Name"):
        value = str(make_header(decode_header(str(message[name]).replace("\r\n", ""))))
        assert value.strip() == stripped.strip()
    if "=?" not in subject or "?=" not in subject:  # the standard library's new reader decodes what only looks like an encoded word
        assert str(modern_subject(content)).strip() == stripped.strip()


def modern_subject(content: bytes) -> str:
    return str(email.message_from_bytes(content, policy=email.policy.default)["Subject"])


NAMES = [
    "",
    "Acme",
    "A. B.",
    'He said "hi" \\o/',
    "Doe, John",
    "Zoë",
    "日本語" * 30,
    "x" * 300,
    "many words " * 20,
    "=?utf-8?q?x?=",
    "ceo@bank.test",
    "🎉" * 100,
    "a;b:c",
    "é" * (MAX_NAME // 2),
]


@cases("name", NAMES)
def test_names_arrive(name: str) -> None:
    check_name(name)


@settings(max_examples=examples(200), deadline=None)
@given(st.text(st.characters(exclude_categories=["Cc", "Cs", "Zl", "Zp"], exclude_characters="<"), max_size=150))
def test_any_name_arrives(name: str) -> None:
    check_name(name)


def check_name(name: str) -> None:
    name = name.strip()
    mailbox = Mailbox(name, "hello", "acme.com")
    content = build(author=mailbox, to=(mailbox, BOB, mailbox), cc=(mailbox,) * 20)
    parsed = check(content)
    assert (parsed.author.display, parsed.author.address) == (name, "hello@acme.com")
    author = classic(content)["From"]
    shown, address = email.utils.parseaddr(str(author).replace("\r\n", ""))
    assert address == "hello@acme.com"
    assert str(make_header(decode_header(shown))).strip() == name or "=?" in name
    addresses = email.message_from_bytes(content, policy=email.policy.default)["To"].addresses
    assert [each.addr_spec for each in addresses] == ["hello@acme.com", "bob@example.org", "hello@acme.com"]
    if "=?" not in name:  # this reader shows a space between two encoded words of a name, and loses some that are not ASCII
        letters = "".join(name.split())
        assert ["".join(each.display_name.split()) for each in addresses] == [letters, "", letters]


def test_addresses_that_need_quotes_or_smtputf8() -> None:
    quoted, utf8 = parse_mailbox('"a, b\\"c"@acme.com'), parse_mailbox("Zoë <zoë@bücher.test>")
    content = build(author=utf8, to=(quoted, utf8))
    parsed = check(content, is_ascii=False)
    assert parsed.author.address == "zoë@xn--bcher-kva.test"
    assert parsed.to == ('"a, b\\"c"@acme.com', "Zoë <zoë@xn--bcher-kva.test>")
    assert b'To: "a, b\\"c"@acme.com, =?utf-8?b?Wm/Dqw==?= <zo\xc3\xab@xn--bcher-kva.test>\r\n' in content


FILENAMES = [
    "a.pdf", "résumé.pdf", "日本語のとても長いファイル名.txt", "x" * MAX_FILENAME, "🎉" * MAX_FILENAME, 'say "hi".txt',
    "back\\slash.txt", "it's 100% (new); a=b.txt",
    "../../etc/passwd",
    "CON", "\u202egpj.exe", "=?utf-8?q?x?=.txt", " spaces .txt ", "a;b,c.txt", "UTF-8''x.txt", "é'\u00a0*%.txt", "a\u0301.txt", "ﷺ" * 100,
]  # fmt: skip


@cases("filename", FILENAMES)
def test_file_names_arrive(filename: str) -> None:
    check_filename(filename)


@settings(max_examples=examples(200), deadline=None)
@given(st.text(st.characters(exclude_categories=["Cc", "Cs", "Zl", "Zp"]), min_size=1, max_size=MAX_FILENAME).filter(str.strip))
def test_any_file_name_arrives(filename: str) -> None:
    check_filename(filename)


def check_filename(filename: str) -> None:
    content = build(attachments=(Attachment(filename=filename, content=b"x"),))
    check(content)
    expected = filename.strip()
    assert summarise(content).attachments[0].filename == expected
    for message in (modern(content), classic(content)):
        part = list(message.walk())[-1]
        # This reader takes quotation marks and angle brackets off once more when they stand around all of a name.
        assert part.get_filename() in {expected, expected[1:-1] if expected[0] in '"<' else expected}
        fallback = part.get_param("name")
        assert isinstance(fallback, str)
        assert fallback.isascii()
    if len(filename) < 80:
        assert max(map(len, content.split(b"\r\n"))) <= 100


def test_the_plain_file_name_of_old_readers() -> None:
    content = build(attachments=(Attachment(filename='Résumé für "Zoë" 日本.pdf', content=b""),))
    assert b'name="Resume fur _Zoe_ __.pdf"' in content


@pytest.mark.parametrize("content", [b"", b"x", bytes(range(256)) * 5, b"\r\n--" + BOUNDARY.encode() + b"_1--\r\n"])
def test_contents_of_attachments_arrive(content: bytes) -> None:
    composed = build(attachments=(Attachment(filename="a.bin", content=content),) * 3)
    check(composed)
    assert [decode_body(composed, part) for part in walk(composed)[2:]] == [content] * 3
    assert [part.get_payload(decode=True) for part in classic(composed).walk()][2:] == [content] * 3


EMBEDDED = b"X-Embedded: yes\r\nFrom: a@b.test\r\nSubject: in it\r\n\r\nbody\r\n"


def test_an_attached_message_that_is_7bit_stays_a_message() -> None:
    content = build(text="see", attachments=(Attachment(filename="mail.eml", content=EMBEDDED, content_type="Message/RFC822"),))
    check(content)
    part = walk(content)[2]
    assert (part.content_type, part.encoding, decode_body(content, part)) == ("message/rfc822", "7bit", EMBEDDED)
    embedded = next(iter(modern(content).iter_attachments()))
    assert embedded.get_content()["Subject"] == "in it"
    assert embedded.get_filename() == "mail.eml"


@pytest.mark.parametrize(
    "body", [EMBEDDED.replace(b"\r\n", b"\n"), EMBEDDED + "ü".encode(), EMBEDDED + b"x" * 999, EMBEDDED + b"\0", EMBEDDED + b"\r"]
)
def test_an_attached_message_that_is_not_7bit_goes_as_a_file(body: bytes) -> None:
    content = build(attachments=(Attachment(filename="mail.eml", content=body, content_type="message/rfc822"),))
    check(content)
    part = walk(content)[2]  # RFC 2046 §5.2.1: no base64 for messages
    assert (part.content_type, part.encoding, part.filename, decode_body(content, part)) == (
        "application/octet-stream",
        "base64",
        "mail.eml",
        body,
    )


@pytest.mark.parametrize(
    ("content_type", "expected"),
    [
        ("TEXT/CSV; charset=utf-8", "text/csv;\r\n charset=utf-8;\r\n name="),
        ('text/calendar;method=REQUEST; charset="utf-8"', 'text/calendar;\r\n method=REQUEST;\r\n charset="utf-8";\r\n name='),
        ("application/pdf; name=evil.exe; name*0*=UTF-8''x; boundary=b", "application/pdf;\r\n name="),
        ("message/delivery-status", "application/octet-stream;\r\n name="),
        ("image/svg+xml", "image/svg+xml;\r\n name="),
    ],
)
def test_content_types(content_type: str, expected: str) -> None:
    content = build(attachments=(Attachment(filename="a", content=b"x", content_type=content_type),))
    check(content)
    assert f"Content-Type: {expected}".encode() in content
    assert summarise(content).attachments[0].filename == "a"


@cases(
    "content_type",
    ["", "pdf", "text/", "/plain", "text/plain/x", "multipart/mixed", "Multipart/X", "text/html; x=\r\nBcc: a@b.test", "text/html\r\nBcc: a@b.test",
     "text/plain; x", "a b/c",
     "text/plain; x=\u00e9", 'text/plain; x="a\0b"', "text/plain;", "a/" + "b" * 128, "text/plain; x=" + "y" * 300, "text/plain; x=\ud800", "te\u0455t/plain"],
)  # fmt: skip
def test_bad_content_types_are_refused_by_index(content_type: str) -> None:
    with pytest.raises(MalformedMessage, match=r"attachments\.1\.content_type"):
        build(attachments=(PDF, Attachment(filename="a", content=b"", content_type=content_type)))


@cases("content_id", ["", "a b", "a>b", "<a@b>", "a\r\nBcc: x@y.test", "é", "x" * 201, "a\0", "\ud800", "a\n"])
def test_bad_content_ids_are_refused_by_index(content_id: str) -> None:
    with pytest.raises(MalformedMessage, match=r"attachments\.0\.content_id"):
        build(html="x", attachments=(Attachment(filename="a", content=b"", content_id=content_id),))


@pytest.mark.parametrize("filename", ["", "  ", "x" * (MAX_FILENAME + 1)])
def test_bad_file_names_are_refused_by_index(filename: str) -> None:
    with pytest.raises(MalformedMessage, match=r"attachments\.0\.filename"):
        build(attachments=(Attachment(filename=filename, content=b""),))


@cases("letter", [*map(chr, range(32)), "\x7f", "\x85", "\x9b", "\u2028", "\u2029", "\ud83d", "\udc00", "\r\nBcc: evil@e.test"])
def test_nothing_that_could_end_a_line_gets_into_a_header(letter: str) -> None:
    hostile = f"a{letter}b"
    attempts: list[tuple[dict[str, Any], str]] = [
        ({"subject": hostile}, "the subject"),
        ({"author": Mailbox(hostile, "a", "b.test")}, "an address in From"),
        ({"author": Mailbox("", hostile, "b.test")}, "an address in From"),
        ({"to": (BOB, Mailbox("", "a", hostile))}, "an address in To"),
        ({"cc": (Mailbox(hostile, "a", "b.test"),)}, "an address in Cc"),
        ({"reply_to": (Mailbox(hostile, "a", "b.test"),)}, "an address in Reply-To"),
        ({"headers": (("X-A", hostile),)}, "the header X-A"),
        ({"headers": ((hostile, "x"),)}, "the name of a header"),
        ({"attachments": (Attachment(filename=hostile, content=b""),)}, r"attachments\.0\.filename"),
    ]
    for fields, thing in attempts:
        with pytest.raises(MalformedMessage, match=f"^{thing}") as caught:
            build(**fields)
        assert caught.value.reason.isprintable()


@cases("name", ["", "X A", "X:A", "X-É", "x" * 77, "From", "to", "BCC", "Reply-To", "subject", "MIME-version", "Content-Type", "content-x"])
def test_names_of_headers_that_are_refused(name: str) -> None:
    with pytest.raises(MalformedMessage):
        build(headers=((name, "x"),))


def test_a_header_that_is_too_large_is_refused() -> None:
    with pytest.raises(MalformedMessage, match="256 KiB"):
        build(subject="x " * (MAX_HEADER // 2))
    check(build(to=(Mailbox("é" * (MAX_NAME // 2), "l" * 64, "d" * 60 + ".test"),) * 50))


@cases("boundary", ["", "short", "x" * 61, "a" * 19 + "-", "a" * 20 + "\n", "é" * 20])
def test_a_boundary_that_is_not_random_text(boundary: str) -> None:
    with pytest.raises(ValueError, match="boundary"):
        compose(Composition(author=AUTHOR, to=(BOB,), subject=""), boundary=boundary)


@pytest.mark.parametrize(
    "fields",
    [
        {"text": BOUNDARY},
        {"html": f"x\n--{BOUNDARY}_2\n"},
        {"attachments": (Attachment(filename="a", content=BOUNDARY.encode(), content_type="message/rfc822"),)},
    ],
)
def test_a_boundary_that_occurs_in_a_part(fields: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="boundary occurs"):
        build(**fields)


@pytest.mark.parametrize("subject", ["é" * 60_000, "x" * 200_000, "a " * 100_000, " " * 200_000 + "x", "=?" * 30_000 + "?="])
def test_large_values_take_linear_time(subject: str) -> None:
    started = time.process_time()
    check(build(subject=subject, text="\r" * 300_000, html="=" * 300_000))
    assert time.process_time() - started < 2
