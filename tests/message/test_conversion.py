"""What the converter makes, judged by Python's own reader and by dkimpy: 7-bit, lines within 998 octets, the same leaf contents.

`SENDRYD_TEST_CONVERSIONS` is the number of generated messages.
"""

import base64
import email
import email.message
import email.policy
import os
from dataclasses import dataclass

import dkim
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from sendryd.message.asciiheader import EightBitAddress, to_ascii_header
from sendryd.message.dkim import generate_key, load_private_key, sign
from sendryd.message.errors import MalformedMessage
from sendryd.message.headers import HeaderBlock
from sendryd.message.quoted import quoted_printable
from sendryd.message.transfer import shorten_lines, to_7bit
from sendryd.testing.cases import cases

EXAMPLES = int(os.environ.get("SENDRYD_TEST_CONVERSIONS", "200"))
MAX_LINE = 998
PEM, PUBLIC = generate_key()
KEY = load_private_key(PEM)
RECORD = f"v=DKIM1; k=rsa; p={PUBLIC}".encode()
TOP = b"From: a@b.test\r\nSubject: s\r\nMIME-Version: 1.0\r\n"
LONG = b"word " * 300


def leaves(content: bytes) -> list[bytes]:
    """Decoded leaf contents by the standard library, line ends at their ends left out: those belong to the delimiters."""
    message: email.message.Message = email.message_from_bytes(content)
    payloads = [part.get_payload(decode=True) for part in message.walk() if not part.is_multipart()]
    return [payload.rstrip(b"\r\n") for payload in payloads if isinstance(payload, bytes)]


def encodings(content: bytes) -> list[tuple[str, str]]:
    message: email.message.Message = email.message_from_bytes(content)
    return [(part.get_content_type(), str(part.get("content-transfer-encoding", "7bit"))) for part in message.walk()]


def check_goes_anywhere(content: bytes) -> None:
    assert content.isascii()
    assert max(map(len, content.split(b"\r\n"))) <= MAX_LINE
    for kind, encoding in encodings(content):
        if kind.startswith(("multipart/", "message/")):
            assert encoding.split()[0] in {"7bit", "8bit", "binary"}
    signed = sign(content, headers=HeaderBlock.parse(content), domain="b.test", selector="s", key=KEY, now=1_700_000_000) + content
    assert dkim.verify(signed, dnsfunc=lambda *_, **__: RECORD)


# Generated messages. The generator knows the leaves, so that only the result has to be read.


@dataclass(frozen=True)
class Entity:
    """An entity as it is submitted, and the leaf contents that a reader finds in it."""

    header: bytes
    body: bytes
    leaves: tuple[bytes, ...]

    @property
    def content(self) -> bytes:
        return self.header + b"\r\n" + self.body


PIECES = [
    b"a",
    b" ",
    b"\t",
    b"=",
    b"=3D",
    "ü".encode(),
    b"\xff",
    b"\r\n",
    b"\r\n.\r\n",
    b"From ",
    b"--",
    b"\x1b$B",
    LONG,
    b"x" * 1100,
    "日本".encode() * 400,
]
TEXTS = st.lists(st.sampled_from(PIECES), max_size=12).map(lambda pieces: b"".join(pieces).rstrip(b"\r\n"))
NAMES = st.sampled_from(["", "a.txt", "Überblick.pdf", "日本 語.txt", "n" * 1050, 'a "b".txt'])
LABELS = st.sampled_from(
    [b"", b"7bit", b"8bit", b"binary", b"7-bit", b"8-bit", b"utf-8", b"8bit (as it is)", b"quoted-printable", b"base64"]
)
TYPES = st.sampled_from([b"text/plain", b"text/html", b"text/csv", b"application/pdf", b"image/png", b"text"])
CHARSETS = st.sampled_from([b"", b"; charset=utf-8", b'; charset=""', b"; charset=iso-8859-1", b"; charset=x-unknown"])


@st.composite
def leaf(draw: st.DrawFn) -> Entity:
    kind, charset, label, text, name = draw(TYPES), draw(CHARSETS), draw(LABELS), draw(TEXTS), draw(NAMES)
    body = text
    if label == b"quoted-printable":
        body = draw(
            st.sampled_from([quoted_printable(text), quoted_printable(text).replace(b"=C3=BC", "ü".encode()).replace(b"=\r\n", b"")])
        )
        (text,) = leaves(b"Content-Transfer-Encoding: quoted-printable\r\n\r\n" + body)
    elif label == b"base64":
        encoded = base64.b64encode(text)
        body = draw(st.sampled_from([encoded, b"\r\n".join(encoded[start : start + 76] for start in range(0, len(encoded), 76))]))
    header = b"Content-Type: " + kind + charset + b"\r\n" if draw(st.booleans()) or charset else b""
    if label:
        header += b"Content-Transfer-Encoding: " + label + b"\r\n"
    if name:
        quoted = name.replace('"', '\\"').encode()
        header += b'Content-Disposition: attachment; filename="' + quoted + b'"\r\n'
    if draw(st.booleans()):
        header += b"Content-Description: " + draw(st.sampled_from([b"plain", "Überblick über alles".encode(), b"Gr\xfc\xdfe"])) + b"\r\n"
    return Entity(header, body, (text.rstrip(b"\r\n"),))


@st.composite
def message(draw: st.DrawFn, inner: st.SearchStrategy[Entity]) -> Entity:
    entity = draw(inner)
    label = draw(st.sampled_from([b"", b"Content-Transfer-Encoding: 8bit\r\n", b"Content-Transfer-Encoding: 7bit (of course)\r\n"]))
    subject = draw(st.sampled_from([b"inner", "Grüße".encode(), b"Gr\xfc\xdfe", b"long " * 250]))
    header = b"From: c@d.test\r\nSubject: " + subject + b"\r\n" + entity.header
    return Entity(b"Content-Type: message/rfc822\r\n" + label, header + b"\r\n" + entity.body, entity.leaves)


BOUNDARY_FORMS = [
    b"multipart/mixed; boundary=%b", b'multipart/mixed;\r\n boundary="%b"', b"multipart/mixed (a); (b) boundary=%b", b'multipart/mixed boundary="%b"',
    b"multipart/*; boundary=%b", b"multipart/mixed; boundary*=us-ascii''%b", b'multipart/mixed; boundary="%b"; boundary=other',
    b"Multipart/Mixed; charset=x; boundary = %b ;", b"multipart; boundary=%b", b'multipart/related; type="text/html (; boundary=x)"; boundary="%b"',
]  # fmt: skip


@st.composite
def multipart(draw: st.DrawFn, inner: st.SearchStrategy[Entity]) -> Entity:
    boundary = f"b{draw(st.integers(0, 10**9))}".encode() * draw(st.sampled_from([1, 1, 12]))
    parts = draw(st.lists(inner, min_size=1, max_size=3))
    assume(all(boundary not in part.content for part in parts))
    around = st.sampled_from([b"", b"plain", "Präambel".encode(), LONG])
    form = draw(st.sampled_from(BOUNDARY_FORMS))
    header = (
        b"Content-Type: " + form.replace(b"%b", boundary) + b"\r\n" + draw(st.sampled_from([b"", b"Content-Transfer-Encoding: 8bit\r\n"]))
    )
    pieces = [draw(around)]
    pieces += [b"\r\n--" + boundary + draw(st.sampled_from([b"", b" "])) + b"\r\n" + part.content for part in parts]
    pieces.append(b"\r\n--" + boundary + b"--\r\n" + draw(around))
    return Entity(header, b"".join(pieces), tuple(leaf for part in parts for leaf in part.leaves))


ENTITIES = st.recursive(leaf(), lambda inner: multipart(inner) | message(inner), max_leaves=6)
FIELDS = st.sampled_from(
    [
        b"",
        "Subject: Grüße aus Köln\r\n".encode(),
        b"Subject: Gr\xfc\xdfe\r\n",
        'To: Jörg <j@x.test>, "Ö, P." <o@x.test> (Büro)\r\n'.encode(),
        "To: a@bücher.test\r\n".encode(),
        "Message-ID: <ü@x.test>\r\n".encode(),
        "X-Note: =?utf-8?q?a?= ü\r\n".encode(),
    ]
)


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
@given(ENTITIES, FIELDS)
def test_what_goes_to_a_host_without_8bitmime(entity: Entity, fields: bytes) -> None:
    assume(max(map(len, entity.header.split(b"\r\n"))) <= MAX_LINE)  # else it is refused at the door
    submitted = b"From: a@b.test\r\nMIME-Version: 1.0\r\n" + fields + entity.content + b"\r\n"
    stored = shorten_lines(submitted)  # as the door does
    content = to_7bit(stored)
    check_goes_anywhere(content)
    if not (stored is submitted and submitted.isascii()):
        assert [each.replace(b"\r\n", b"\n") for each in leaves(content)] == [each.replace(b"\r\n", b"\n") for each in entity.leaves]


FRAGMENTS = [
    b"--b",
    b"\r\n",
    b"--",
    b"\xc3\xbc",
    b"\xfc",
    b"Content-Type: ",
    b"multipart/mixed; boundary=b",
    b"message/rfc822",
    b"x" * 999,
    b":",
    b" ",
]


@settings(max_examples=EXAMPLES, deadline=None)
@given(st.lists(st.sampled_from(FRAGMENTS), max_size=25))
def test_whatever_comes_is_converted_or_refused(pieces: list[bytes]) -> None:
    content = TOP + b"Content-Type: multipart/mixed; boundary=b\r\n\r\n" + b"".join(pieces) + b"\r\n"
    try:
        check_goes_anywhere(to_7bit(shorten_lines(content)))
    except MalformedMessage as error:
        assert error.reason


# Kinds that were seen to fail, one message for each.


def mixed(content_type: bytes, text: bytes = LONG) -> bytes:
    start = TOP + b"Content-Type: " + content_type + b"\r\n\r\n--bbcc\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n"
    return start + text + b"\r\n--bbcc\r\nContent-Type: text/csv; name=a.csv\r\n\r\n1,2\r\n--bbcc--\r\n"


@cases("text", [LONG.rstrip(), "Grüße".encode()])
@cases(
    "content_type",
    [
        b"multipart/mixed (a); (b) boundary=bbcc", b'multipart/mixed boundary="bbcc"', b"multipart/mixed; boundary*=us-ascii''bbcc",
        b'multipart/mixed; boundary*0="bb"; boundary*1="cc"', b"multipart/*; boundary=bbcc", b"multipart; boundary=bbcc", b'multipart/mixed; boundary="bbcc',
        b"multipart/mixed; foo=(; boundary=bbcc", b"multipart/x.y+z; boundary=bbcc; boundary=dd",
    ],
)  # fmt: skip
def test_boundaries_are_read_as_they_are_written_in_the_field(content_type: bytes, text: bytes) -> None:
    content = to_7bit(shorten_lines(mixed(content_type, text)))
    check_goes_anywhere(content)
    assert leaves(content) == [text, b"1,2"]


@pytest.mark.parametrize("length", [71, 75, 200, 800])
def test_long_boundaries(length: int) -> None:
    boundary = b"x" * length
    content = to_7bit(shorten_lines(mixed(b'multipart/mixed;\r\n boundary="bbcc"').replace(b"bbcc", boundary)))
    check_goes_anywhere(content)
    assert leaves(content) == [LONG, b"1,2"]


@pytest.mark.parametrize(
    "content_type",
    [b"multipart/mixed", b"multipart/mixed; boundary=", b"multipart/mixed; boundary=dd", b"Multipart", b"multipart/mixed; bound=bbcc"],
)
def test_a_multipart_whose_parts_cannot_be_found_is_never_encoded(content_type: bytes) -> None:
    with pytest.raises(MalformedMessage, match="boundary"):
        shorten_lines(mixed(content_type))
    with pytest.raises(MalformedMessage, match="multipart has 8-bit octets.*boundary"):
        to_7bit(mixed(content_type, "Grüße".encode()))
    assert shorten_lines(mixed(content_type, b"short")) == mixed(content_type, b"short")
    inside = TOP + b"Content-Type: multipart/mixed; boundary=o\r\n\r\n--o\r\n" + mixed(content_type)[len(TOP) :] + b"--o--\r\n"
    with pytest.raises(MalformedMessage, match="boundary"):
        shorten_lines(inside)


def attached(inner: bytes, kind: bytes = b"message/rfc822") -> bytes:
    start = TOP + b"Content-Type: multipart/mixed; boundary=o\r\n\r\n--o\r\n\r\nsee\r\n--o\r\nContent-Type: " + kind
    return start + b"\r\nContent-Transfer-Encoding: 8bit\r\n\r\n" + inner + b"\r\n--o--\r\n"


@pytest.mark.parametrize(
    ("inner", "found"),
    [
        (
            b"From: a@x.test\r\nSubject: inner\r\nContent-Type: text/html; charset=utf-8\r\n\r\n" + "<p>Grüße</p>".encode(),
            "<p>Grüße</p>".encode(),
        ),
        (b"From: a@x.test\r\nSubject: " + "Grüße".encode() + b"\r\n\r\n" + LONG, LONG),
        (b"Content-Type: message/rfc822\r\n\r\nSubject: x\r\n\r\n" + LONG, LONG),
        (b"Content-Type: application/pdf\r\nContent-Transfer-Encoding: base64\r\n\r\n" + b"QUJD" * 400, b"ABC" * 400),
    ],
)
def test_the_parts_of_an_attached_message_are_converted_not_itself(inner: bytes, found: bytes) -> None:
    content = to_7bit(shorten_lines(attached(inner)))
    check_goes_anywhere(content)
    assert leaves(content) == [b"see", found]


@pytest.mark.parametrize("kind", [b"message/delivery-status", b"message/partial; id=1", b"message/x-own", b"message"])
def test_other_messages_are_never_encoded(kind: bytes) -> None:
    with pytest.raises(MalformedMessage, match="allows no encoding"):
        shorten_lines(attached(LONG, kind))
    with pytest.raises(MalformedMessage, match="allows no encoding"):
        to_7bit(attached("Grüße".encode(), kind))


@cases("body", [LONG, "Grüße".encode()])
@cases("label", [b"7-bit", b"7bit (ascii)", b"8-bit", b"8bit; x=y", b"utf-8", b"none", b"", b"BINARY", b"(c) 8bit"])
def test_a_transfer_encoding_that_is_no_known_word_changes_nothing(label: bytes, body: bytes) -> None:
    content = TOP + b"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: " + label + b"\r\n\r\n" + body + b"\r\n"
    converted = to_7bit(shorten_lines(content))
    check_goes_anywhere(converted)
    assert leaves(converted) == [body]


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ("Grüße".encode(), "Grüße".encode()),
        (b"a=3Db " * 400, b"a=b " * 400),
        ("é=C3=A9 ".encode() * 300 + b"=\r\nend", "éé ".encode() * 300 + b"end"),
        (b"x" * 1200 + b"=\r\n" + b"y" * 1200, b"x" * 1200 + b"y" * 1200),
    ],
)
def test_quoted_printable_that_is_not_quite_is_mended(body: bytes, text: bytes) -> None:
    content = TOP + b"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n" + body + b"\r\n"
    converted = to_7bit(shorten_lines(content))
    check_goes_anywhere(converted)
    assert [each.rstrip(b" ") for each in leaves(converted)] == [text.rstrip(b" ")]


@pytest.mark.parametrize(
    ("header", "body", "reason"),
    [
        (b"Content-Transfer-Encoding: x-uuencode\r\n", LONG, "x-uuencode is not known"),
        (b"Content-Transfer-Encoding: base64\r\n", "Grüße".encode(), "says that it is base64"),
        (b"Content-Type: text/plain\r\nContent-Type: text/html\r\n", "Grüße".encode(), "several Content-Type"),
        (b"X: y\r\nno field\r\n", "Grüße".encode(), "no header field"),
    ],
)
def test_what_readers_differ_in_is_refused_with_the_reason(header: bytes, body: bytes, reason: str) -> None:
    content = TOP + b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n" + header + b"\r\n" + body + b"\r\n--b--\r\n"
    with pytest.raises(MalformedMessage, match=reason):
        to_7bit(shorten_lines(content))


def test_names_in_part_headers_become_7_bit() -> None:
    names = ["Überblick.pdf", "日本.pdf", "n" * 1050 + ".pdf"]
    parts = [
        b'--b\r\nContent-Type: application/pdf;\r\n name="%b"\r\nContent-Disposition: attachment; filename="%b"\r\n\r\nx\r\n'
        % (name.encode(), name.encode())
        for name in names
    ]
    latin = b'--b\r\nContent-Disposition: attachment; filename="Gr\xfc\xdfe.pdf"\r\n\r\nx\r\n'
    content = to_7bit(shorten_lines(TOP + b"Content-Type: multipart/mixed; boundary=b\r\n\r\n" + b"".join(parts) + latin + b"--b--\r\n"))
    check_goes_anywhere(content)
    found = [part.get_filename() for part in email.message_from_bytes(content).walk() if not part.is_multipart()]
    assert found == [*names, "Grüße.pdf"]


@cases(
    ("field", "name"),
    [
        ("attachment; filename=résumé final.pdf".encode(), "résumé final.pdf"),
        (b"attachment; filename=Gr\xfc\xdfe an alle.pdf; size=3", "Grüße an alle.pdf"),
        ("attachment; filename = à la carte 2.pdf size=3".encode(), "à la carte 2.pdf"),
        ("attachment; filename=très\r\n long nom.pdf".encode(), "très long nom.pdf"),
        ('attachment; filename="à la carte" not the name; size=3'.encode(), "à la carte"),
    ],
)
def test_a_name_with_spaces_that_forgot_its_quotes_stays_whole(field: bytes, name: str) -> None:
    part = b"--b\r\nContent-Disposition: " + field + b"\r\n\r\nx\r\n--b--\r\n"
    content = to_7bit(shorten_lines(TOP + b"Content-Type: multipart/mixed; boundary=b\r\n\r\n" + part))
    check_goes_anywhere(content)
    (found,) = (part for part in email.message_from_bytes(content).walk() if not part.is_multipart())
    assert found.get_filename() == name
    assert found.get_param("size", header="content-disposition") == ("3" if b"size" in field else None)


@cases(
    ("header", "body", "charset"),
    [
        (b"", "Grüße".encode(), "utf-8"),
        (b"", b"Gr\xfc\xdfe", "windows-1252"),
        (b"Content-Type: text/html\r\n", "Grüße".encode(), "utf-8"),
        (b'Content-Type: text/plain; charset=""\r\n', "Grüße".encode(), "utf-8"),
        (b"Content-Type: text/plain; charset=iso-8859-1; format=flowed\r\n", b"Gr\xfc\xdfe", "iso-8859-1"),
        (b"", b"\x81\xfc", "unknown-8bit"),
    ],
)
def test_a_charset_is_declared_with_an_encoding(header: bytes, body: bytes, charset: str) -> None:
    for content in (
        b"From: a@b.test\r\n" + header + b"\r\n" + body + b"\r\n",
        b"From: a@b.test\r\n" + header + b"\r\n" + body + b"\r\n" + LONG + b"\r\n",
    ):
        converted = to_7bit(shorten_lines(content))
        check_goes_anywhere(converted)
        message = email.message_from_bytes(converted)
        assert message.get_content_charset() == charset
        assert message["MIME-Version"] == "1.0"
        assert leaves(converted) == leaves(content)


def test_a_part_without_an_empty_line_is_a_text() -> None:
    converted = to_7bit(
        TOP + b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nhello " + "ü\r\n--b\r\n\r\nnext\r\n--b--\r\n".encode()
    )
    check_goes_anywhere(converted)
    assert leaves(converted) == ["hello ü".encode(), b"next"]


@cases(
    ("field", "name", "address"),
    [
        ("To: Jörg@Büro <u@example.org>", "Jörg@Büro", "u@example.org"),
        ("To: Jörg @ home <u@example.org>", "Jörg @ home", "u@example.org"),
    ],
)
def test_a_name_that_looks_like_an_address_is_a_name(field: str, name: str, address: str) -> None:
    converted = to_7bit(f"{field}\r\n".encode() + TOP + b"\r\nx\r\n")
    (found,) = email.message_from_bytes(converted, policy=email.policy.default)["To"].addresses
    assert (found.display_name, found.addr_spec) == (name, address)


def test_the_id_of_a_list_is_no_address() -> None:
    converted = to_7bit("List-Id: Größe <jörg@liste.example.org>\r\n".encode() + TOP + b"\r\nx\r\n")
    assert b" <j%C3%B6rg@liste.example.org>\r\n" in converted


def test_an_address_that_is_not_utf_8_becomes_it_for_a_receiver_that_takes_such_addresses() -> None:
    content = b"To: j\xf6rg@example.org\r\nSubject: Gr\xfc\xdfe\r\n" + TOP + b"\r\nx\r\n"
    converted = to_ascii_header(content, HeaderBlock.parse(content), keeps_utf_8=True)
    assert converted.startswith("To: jörg@example.org\r\nSubject: =?".encode())
    with pytest.raises(EightBitAddress):
        to_ascii_header(content, HeaderBlock.parse(content))
