"""Composes a message from the fields of a request: RFC 5322 and MIME (RFC 2045 to 2047, 2231, 2387), as bytes with CRLF line ends.

The message is 7-bit, except for addresses that need SMTPUTF8 (RFC 6532), so no server on the way has to convert it. Values of header fields are
plain text: this module encodes them, treats encoded words in them as ordinary characters, and refuses control characters. `intake` adds Date,
Message-ID and Received. Linear in the size of the input.
"""

import re
import unicodedata
from dataclasses import dataclass
from typing import Final

from sendryd.message.encodedwords import LINE, MAX_ENCODED_WORD, PHRASE_WORD, encoded_words, fold
from sendryd.message.errors import MalformedMessage
from sendryd.message.mailbox import FORBIDDEN, Mailbox
from sendryd.message.parse import POSITION
from sendryd.message.quoted import base64_lines, quoted_printable
from sendryd.message.transfer import is_too_long

MAX_RUN: Final = 900  # octets without a space that are not encoded: with the field's name they stay under the 998 of a line
MAX_HEADER: Final = 256 * 1024  # octets; a quarter of the header block that we parse, which leaves room for added fields
MAX_FILENAME: Final = 255  # characters: the limit of file systems
MAX_CONTENT_ID: Final = 200  # octets; the longest ones in use are addresses
MAX_CONTENT_TYPE: Final = 250  # octets: RFC 6838 §4.2 allows 127 for each half, and a parameter or two are shorter than that

_BOUNDARY: Final = re.compile(r"[A-Za-z0-9]{20,60}")  # under the 70 of RFC 2046 §5.1.1 with a suffix
_FIELD_NAME: Final = re.compile(r"[!-9;-~]{1,76}")
_OWN_FIELDS: Final = frozenset({"from", "to", "cc", "bcc", "reply-to", "subject", "mime-version"})  # and Content-*
_UNIT: Final = re.compile(r" *[^ ]+")
_ATOMS: Final = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?: [A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*")
_MAX_PHRASE: Final = 60  # characters of a name that is not encoded; longer names need folding, and encoded words can be folded anywhere
_RESTRICTED: Final = r"[A-Za-z0-9!#$&^_.+-]{1,127}"  # RFC 6838 §4.2
_TYPE: Final = re.compile(rf"{_RESTRICTED}/{_RESTRICTED}")
_PARAMETER: Final = re.compile(r' *; *([A-Za-z0-9!#$&^_.+*-]{1,60})=([A-Za-z0-9!#$%&\'*+.^_`{|}~-]+|"[ !#-\[\]-~]*")')
_PLAIN_FILENAME: Final = re.compile(r"[ !#-\[\]-~]+")  # no quotation mark, no backslash: not all readers undo their escapes
_CONTENT_ID: Final = re.compile(r"[!-;=?-~]+")
_SURROGATE: Final = re.compile("[\ud800-\udfff]")

_ATTRIBUTE_SAFE: Final = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789!#$&+-.^_`{|}~")  # RFC 2231 §7
_ATTRIBUTE_OCTETS: Final = tuple(chr(octet) if octet in _ATTRIBUTE_SAFE else f"%{octet:02X}" for octet in range(256))
_ASCII: Final = bytes(range(128))
_SECTION: Final = 56  # characters of one section of a file name: its line stays within 78
_MAX_SECTIONS: Final = 20  # sections that all readers join


@dataclass(frozen=True, slots=True, kw_only=True)
class Attachment:
    """A file attached to the message."""

    filename: str
    content: bytes
    content_type: str = "application/octet-stream"  # may include parameters
    content_id: str | None = None  # the HTML refers to it as `cid:ID`; such a file is shown in the HTML and not listed


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptPart:
    """A part of another message, as it is there: header, empty line, body."""

    content: bytes
    content_id: str | None = None  # as of an `Attachment`


@dataclass(frozen=True, slots=True, kw_only=True)
class Composition:
    """The fields of a message to compose. `parse_mailbox` makes the mailboxes."""

    author: Mailbox
    to: tuple[Mailbox, ...]
    cc: tuple[Mailbox, ...] = ()
    reply_to: tuple[Mailbox, ...] = ()
    subject: str
    html: str | None = None
    text: str | None = None
    headers: tuple[tuple[str, str], ...] = ()  # in the order in which they go out
    attachments: tuple[Attachment | KeptPart, ...] = ()


def compose(what: Composition, *, boundary: str) -> bytes:
    """The message. `boundary` is random text of 20 to 60 letters and digits. A message without any text gets an empty one.

    Lone surrogates in the texts become U+FFFD; in header fields they are refused. Raises `MalformedMessage` with a sentence that names the field
    and its fault, and `ValueError` for a boundary that is not of this form.
    """
    if not _BOUNDARY.fullmatch(boundary):
        raise ValueError("a boundary is 20 to 60 letters and digits")
    header = _header(what).encode()
    if len(header) > MAX_HEADER:
        raise MalformedMessage(
            f"the header fields are longer than {MAX_HEADER // 1024} KiB; shorten the subject, the headers or the lists of addresses",
            field="headers",
        )
    return b"".join([header, *_entity(what, boundary)])


def _header(what: Composition) -> str:
    fields = [_mailboxes("From", (what.author,))]
    for name, mailboxes in (("To", what.to), ("Cc", what.cc), ("Reply-To", what.reply_to)):
        if mailboxes:
            fields.append(_mailboxes(name, mailboxes))
    fields.append(_unstructured("Subject", what.subject, "the subject"))
    for name, value in what.headers:
        _check_name(name)
        fields.append(_unstructured(name, value, f"the header {name}"))
    fields.append("MIME-Version: 1.0\r\n")
    return "".join(fields)


def _check_name(name: str) -> None:
    if not _FIELD_NAME.fullmatch(name):
        raise MalformedMessage("the name of a header is 1 to 76 ASCII characters without spaces and colons; rename it")
    lower = name.lower()
    if lower in _OWN_FIELDS or lower.startswith("content-"):
        raise MalformedMessage(f"the header {name} is written by the server; leave it out")


def _check(text: str, thing: str) -> None:
    found = FORBIDDEN.search(text)
    if found:
        raise MalformedMessage(f"{thing} has a character that must not be in a header (U+{ord(found[0]):04X}); remove it")


def _mailboxes(name: str, mailboxes: tuple[Mailbox, ...]) -> str:
    words: list[str] = []
    for mailbox in mailboxes:
        address = mailbox.address
        _check(f"{mailbox.name}{address}", f"an address in {name}")
        if mailbox.name:
            words += _phrase(mailbox.name)
            words.append(f" <{address}>,")
        else:
            words.append(f" {address},")
    words[-1] = words[-1][:-1]
    return fold(name, words)


def _phrase(name: str) -> list[str]:
    """A name to write before an angle bracket, in pieces; the line may be folded between them."""
    if name.isascii() and len(name) <= _MAX_PHRASE and not _looks_encoded(name):
        if _ATOMS.fullmatch(name):
            return [f" {name}"]
        quoted = name.replace("\\", "\\\\").replace('"', '\\"')
        return [f' "{quoted}"']
    return encoded_words(name, PHRASE_WORD, PHRASE_WORD)


def _unstructured(name: str, value: str, thing: str) -> str:
    """A field whose value is text for people (RFC 5322 §2.2.1)."""
    _check(value, thing)
    value = value.strip(" ")
    if value.isascii() and not _looks_encoded(value):
        if value and len(name) + len(value) + 2 <= LINE:
            return f"{name}: {value}\r\n"
        units = _UNIT.findall(f" {value}")
        if max(map(len, units), default=0) <= MAX_RUN:
            return fold(name, units)
    room = LINE - len(name) - 2
    return fold(name, encoded_words(value, room if room >= LINE // 2 else MAX_ENCODED_WORD, MAX_ENCODED_WORD))


def _looks_encoded(text: str) -> bool:
    """Whether a reader could take part of the text for an encoded word."""
    return "=?" in text and "?=" in text


def _entity(what: Composition, boundary: str) -> list[bytes]:
    """The Content-* fields of the message, the empty line, and the body."""
    related: list[list[bytes]] = []
    mixed: list[list[bytes]] = []
    is_related = [attachment.content_id is not None and what.html is not None for attachment in what.attachments]
    is_moved = (
        sorted(is_related, reverse=True) != is_related
    )  # images of the HTML stand before the files, in whatever order they were given
    for index, attachment in enumerate(what.attachments):
        part = _attachment(attachment, f"attachments.{index}", boundary, position=index if is_moved else None)
        (related if is_related[index] else mixed).append(part)
    alternatives: list[list[bytes]] = []
    if what.text is not None or what.html is None:
        alternatives.append(_text(what.text or "", "plain", boundary))
    if what.html is not None:
        html = _text(what.html, "html", boundary)
        alternatives.append(_multipart("related", f"{boundary}_3", [html, *related], '; type="text/html"') if related else html)
    body = _multipart("alternative", f"{boundary}_2", alternatives) if len(alternatives) > 1 else alternatives[0]
    return _multipart("mixed", f"{boundary}_1", [body, *mixed]) if mixed else body


def _multipart(subtype: str, boundary: str, parts: list[list[bytes]], parameters: str = "") -> list[bytes]:
    delimiter = f"\r\n--{boundary}\r\n".encode("ascii")
    pieces = [f'Content-Type: multipart/{subtype}{parameters};\r\n boundary="{boundary}"\r\n'.encode("ascii")]
    for part in parts:
        pieces.append(delimiter)
        pieces += part
    pieces.append(f"\r\n--{boundary}--\r\n".encode("ascii"))
    return pieces


def _text(text: str, subtype: str, boundary: str) -> list[bytes]:
    """A text as an entity, with a final line end."""
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    if text and not text.endswith("\n"):
        text += "\n"
    text = text.replace("\n", "\r\n")
    try:
        body = text.encode()
    except UnicodeEncodeError:
        body = _SURROGATE.sub("\ufffd", text).encode()
    encoding = "7bit"
    if not body.isascii() or b"\0" in body or is_too_long(body):
        others = len(body.translate(None, _ASCII))
        # Quoted-printable needs two octets more for each that is not ASCII, base64 a third more for all.
        body, encoding = (quoted_printable(body), "quoted-printable") if 6 * others <= len(body) else (base64_lines(body), "base64")
    _check_boundary(body, boundary)
    head = f"Content-Type: text/{subtype}; charset=utf-8\r\nContent-Transfer-Encoding: {encoding}\r\n\r\n"
    return [head.encode("ascii"), body]


def _check_boundary(body: bytes, boundary: str) -> None:
    if boundary.encode("ascii") in body:
        raise ValueError("the boundary occurs in a part")


def _attachment(attachment: Attachment | KeptPart, thing: str, boundary: str, *, position: int | None = None) -> list[bytes]:
    if isinstance(attachment, KeptPart):
        _check_boundary(attachment.content, boundary)
        return [attachment.content]
    filename = attachment.filename.strip()
    _check(filename, f"{thing}.filename")
    if not 1 <= len(filename) <= MAX_FILENAME:
        raise MalformedMessage(f"{thing}.filename has {len(filename)} characters; give 1 to {MAX_FILENAME}", field=f"{thing}.filename")
    content_type, parameters = _content_type(attachment.content_type, thing)
    body, encoding = attachment.content, "base64"
    if content_type.startswith("message/"):  # RFC 2046 §5.2: base64 is not for messages; one that is not 7-bit goes as a file like others
        if content_type == "message/rfc822" and _is_7bit(body):
            encoding = "7bit"
            _check_boundary(body, boundary)
        else:
            content_type, parameters = "application/octet-stream", ""
    if encoding == "base64":
        body = base64_lines(body)
    if position is not None:
        parameters += f";\r\n {POSITION}={position}"
    fallback, extended = _filename(filename)
    disposition = "attachment" if attachment.content_id is None else "inline"
    head = (
        f'Content-Type: {content_type}{parameters};\r\n name="{fallback}"\r\n'
        f"Content-Disposition: {disposition};{extended}\r\n"
        f"Content-Transfer-Encoding: {encoding}\r\n"
    )
    if attachment.content_id is not None:
        if len(attachment.content_id) > MAX_CONTENT_ID or not _CONTENT_ID.fullmatch(attachment.content_id):
            raise MalformedMessage(
                f"{thing}.content_id is not 1 to {MAX_CONTENT_ID} ASCII characters without spaces and angle brackets",
                field=f"{thing}.content_id",
            )
        head += f"Content-ID: <{attachment.content_id}>\r\n"
    return [head.encode("ascii"), b"\r\n", body]


def _is_7bit(body: bytes) -> bool:
    ends = body.count(b"\r\n")
    return body.isascii() and b"\0" not in body and body.count(b"\r") == body.count(b"\n") == ends and not is_too_long(body)


def _content_type(text: str, thing: str) -> tuple[str, str]:
    """The type in lower case, and its parameters, folded, without the parameters that only the server may set."""
    field = f"{thing}.content_type"
    match = _TYPE.match(text) if len(text) <= MAX_CONTENT_TYPE else None
    if not match:
        raise MalformedMessage(f"{field} is not a media type; write it as application/pdf", field=field)
    content_type = match[0].lower()
    if content_type.startswith("multipart/"):
        raise MalformedMessage(f"{field} is a multipart type; give the type of a single file", field=field)
    position, parameters = match.end(), ""
    while position < len(text):
        parameter = _PARAMETER.match(text, position)
        if not parameter:
            raise MalformedMessage(f"{field} has a parameter that cannot be read; write it as text/csv; charset=utf-8", field=field)
        if parameter[1].lower().partition("*")[0] not in {"name", "boundary"}:
            parameters += f";\r\n {parameter[1]}={parameter[2]}"
        position = parameter.end()
    return content_type, parameters


def _filename(filename: str) -> tuple[str, str]:
    """A plain ASCII name for old readers, and the parameter of Content-Disposition (RFC 2183, RFC 2231).

    The two are in different fields: of two parameters of one field, some readers use the first and some the second.
    """
    if _PLAIN_FILENAME.fullmatch(filename) and not _looks_encoded(filename):
        return filename, f'\r\n filename="{filename}"'
    stripped = "".join(letter for letter in unicodedata.normalize("NFKD", filename) if not unicodedata.combining(letter))
    fallback = "".join(letter if _PLAIN_FILENAME.fullmatch(letter) and letter not in "=?" else "_" for letter in stripped)[:MAX_FILENAME]
    letters = ["".join([_ATTRIBUTE_OCTETS[octet] for octet in letter.encode()]) for letter in filename]
    size = max(_SECTION, sum(map(len, letters)) // (_MAX_SECTIONS - 1) + 12)  # a letter has up to 12
    sections = ["UTF-8''"]
    for letter in letters:
        if len(sections[-1]) + len(letter) > size:
            sections.append("")
        sections[-1] += letter
    if len(sections) == 1:
        return fallback, f"\r\n filename*={sections[0]}"
    return fallback, ";".join(f"\r\n filename*{number}*={section}" for number, section in enumerate(sections))
