"""MIME structure as byte ranges (RFC 2045, 2046): finds the leaf parts, decodes and changes nothing.

One pass over the lines that begin with two hyphens, with a stack of boundaries: no recursion, linear at any depth, and with limits. Parts beyond
the limits stay one opaque part.
"""

import base64
import binascii
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from sendryd.message.author import decode_text
from sendryd.message.charset import decode, decode_undeclared, one_line
from sendryd.message.errors import MalformedMessage
from sendryd.message.headers import MAX_BLOCK, MAX_FIELDS, MAX_FOLDS, HeaderBlock
from sendryd.message.parameters import read_type, read_word, without_comments
from sendryd.message.quoted import decode_quoted

MAX_DEPTH: Final = 100  # Postfix: mime_nesting_limit
MAX_PARTS: Final = 1000  # twice the limit of Amazon SES
# In all parts together, beyond which the rest is one part: attached messages have some dozens of fields each, and 10 KiB.
MAX_PART_FIELDS: Final = 40_000
MAX_PART_HEADERS: Final = 4 * 1024 * 1024  # octets
MAX_HYPHEN_LINES: Final = 500_000  # lines of the content that begin with two hyphens: half a second, and more than in any SQL dump
MAX_BOUNDARY: Final = 900  # octets; RFC 2046 §5.1.1 allows 70, real programs write more, and a delimiter line has at most 998
UNTOUCHABLE: Final = frozenset({"multipart/signed", "multipart/encrypted"})  # RFC 1847: what is inside is signed as it is
IDENTITIES: Final = frozenset({"7bit", "8bit", "binary", ""})  # transfer encodings that change no octet; empty: missing, or no known word
MESSAGES: Final = frozenset({"message/rfc822", "message/global"})  # their bodies are entities themselves
SLICE: Final = (
    16 * 1024
)  # octets searched or decoded by one call, in less than a tenth of a millisecond: a call keeps all other threads waiting
_SIGNED_LEAVES: Final = frozenset({"application/pkcs7-mime", "application/x-pkcs7-mime", "application/pgp-encrypted"})
_ENCODINGS: Final = frozenset({"7bit", "8bit", "binary", "quoted-printable", "base64"})
_OLD_ENCODINGS: Final = frozenset({"uuencode", "uue"})  # readers undo these two without their x- too
_NO_HEADER: Final = HeaderBlock(b"", (), {}, 0, 0, has_8bit=False)

_NO_BASE64: Final = bytes(set(range(256)) - set(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"))
_HYPHENS: Final = b"\r\n--"
_HYPHEN_LINE: Final = re.compile(rb"\r\n(--[^\r\n]+)")
_FIELD_LINES: Final = re.compile(rb"[!-9;-~]+:[^\r]*(?:\r\n[ \t][^\r]*){0,%d}\r\n" % MAX_FOLDS)


# A parameter of Content-Type in messages that this server composes, where the MIME order is not the one in which attachments were given.
POSITION: Final = "x-position"
MAX_POSITION: Final = 4  # digits


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One entity: its position, and the properties in its header."""

    content_type: str  # lower case, without parameters
    parameters: dict[str, str]
    encoding: str  # Content-Transfer-Encoding, lower case
    disposition: str  # lower case: inline, attachment, or empty
    filename: str  # empty if it has none
    content_id: str
    header_start: int
    body_start: int
    body_end: int  # excludes the line end that belongs to the following boundary
    depth: int
    is_protected: bool  # it is signed or encrypted, or inside an entity that is
    is_multipart: bool
    is_header_clean: bool = True  # False: a line that is no field ended it, and readers differ in where its body begins

    @property
    def charset(self) -> str:
        """As declared; US-ASCII by default."""
        return self.parameters.get("charset", "us-ascii")

    @property
    def is_open_message(self) -> bool:
        """Whether the body is an entity, header included, as RFC 2046 §5.2.1 requires: without a transfer encoding."""
        return self.content_type in MESSAGES and self.encoding in IDENTITIES

    @property
    def is_body_text(self) -> bool:
        """Whether this is a text that readers show as the message itself, if it is the first of its type."""
        return self.content_type in {"text/plain", "text/html"} and self.disposition != "attachment" and not self.filename


@dataclass(frozen=True, slots=True)
class _Open:
    part: Part
    delimiter: bytes


def walk(content: bytes, headers: HeaderBlock | None = None, *, opens_messages: bool = False) -> list[Part]:
    """All entities in order, multiparts before their parts. Raises `MalformedMessage` if the first header block is malformed.

    With `opens_messages` an attached message is followed by its parts; without, it is a leaf.
    """
    root = _read_entity(headers or HeaderBlock.parse(content), 0, len(content), depth=0, is_protected=False)
    return _Walk(content, root, opens_messages=opens_messages).parts


class _Walk:
    """One pass over a content, with the stack of open multiparts."""

    def __init__(self, content: bytes, root: Part, *, opens_messages: bool) -> None:
        self._content = content
        self._opens_messages = opens_messages
        self._stack: list[_Open] = []
        self._delimiters: dict[bytes, tuple[int, bool]] = {}
        self._is_leaf_open = False  # the end of the last part is unknown so far
        self._fields_left = MAX_PART_FIELDS
        self._octets_left = MAX_PART_HEADERS
        self._lines_left = MAX_HYPHEN_LINES
        self.parts: list[Part] = []
        self._add(root)
        self._run()

    def _run(self) -> None:
        position = self.parts[-1].body_start
        while self._stack and len(self.parts) < MAX_PARTS and not self._is_exhausted:
            found = self._next_delimiter(position)
            if found is None:
                break
            line_start, position, level, is_close = found
            if self._is_leaf_open and not (level == len(self._stack) - 1 and self._stack[level].part is self.parts[-1]):
                self._close_leaf(line_start)
            self._is_leaf_open = False
            del self._stack[level + 1 :]
            if is_close:
                self._stack.pop()
                self._list_delimiters()
                continue
            self._list_delimiters()
            self._add(self._read_part(position, self._stack[level].part))
            position = max(self.parts[-1].body_start, position)
        if self._is_exhausted:  # the rest was not scanned, so the last part must stay unchanged
            self.parts[-1] = _with(self.parts[-1], is_header_clean=False)

    @property
    def _is_exhausted(self) -> bool:
        return min(self._fields_left, self._octets_left, self._lines_left) <= 0

    def _add(self, part: Part) -> None:
        self.parts.append(part)
        self._is_leaf_open = True
        while self._opens_messages and part.is_open_message and part.depth < MAX_DEPTH and len(self.parts) < MAX_PARTS:
            part = self._read_part(part.body_start, part)
            self.parts.append(part)
        delimiter = _delimiter(part)
        if delimiter and part.depth < MAX_DEPTH:
            self._stack.append(_Open(part, delimiter))
            self._list_delimiters()

    def _list_delimiters(self) -> None:
        self._delimiters = {}
        for level, each in enumerate(self._stack):  # of two equal boundaries the inner one counts
            self._delimiters[each.delimiter] = (level, False)
            self._delimiters[each.delimiter + b"--"] = (level, True)

    def _next_delimiter(self, position: int) -> tuple[int, int, int, bool] | None:
        """The next delimiter line of an open multipart: its start, its end, the level, and whether it closes the multipart."""
        content, delimiters = self._content, self._delimiters
        position = max(0, position - 2)
        while position < len(content):
            # A slice at a time: a call over a large content would block the other threads.
            start = content.find(_HYPHENS, position, position + SLICE)
            if start < 0:
                position += SLICE - len(_HYPHENS) + 1
                continue
            self._lines_left -= 1
            if self._lines_left <= 0:
                return None
            match = _HYPHEN_LINE.match(content, start, start + SLICE)
            position = match.end() if match else start + len(_HYPHENS)
            found = delimiters.get(match[1].rstrip(b" \t")) if match and position < start + SLICE else None
            if match and found:
                return match.start(1), position + 2 if content.startswith(b"\r\n", position) else position, *found
        return None

    def _close_leaf(self, line_start: int) -> None:
        leaf = self.parts[-1]
        end = line_start - 2 if self._content.endswith(b"\r\n", 0, line_start) else line_start
        self.parts[-1] = _with(leaf, body_end=max(leaf.body_start, end))

    def _read_part(self, start: int, parent: Part) -> Part:
        is_protected = parent.is_protected or parent.content_type in UNTOUCHABLE
        default = "message/rfc822" if parent.content_type == "multipart/digest" else "text/plain"
        block_end, body_start, is_header_clean = self._find_header(start)
        try:
            headers = HeaderBlock.parse_part(self._content[start:block_end])
        except MalformedMessage:
            headers = _NO_HEADER
        part = _read_entity(headers, start, len(self._content), depth=parent.depth + 1, is_protected=is_protected, default=default)
        return _with(part, body_start=body_start, is_header_clean=is_header_clean)

    def _find_header(self, start: int) -> tuple[int, int, bool]:
        """The end of a part's header block, the start of its body, and whether all readers agree on them.

        A line that is no field ends the block as an empty line does. If it is the first line, there is no header.
        """
        content, position, count = self._content, start, 0
        limit = start + MAX_BLOCK
        while position < limit and count < MAX_FIELDS:
            if content.startswith(b"\r\n", position):
                return position, position + 2, True
            match = _FIELD_LINES.match(content, position, limit)
            if content.startswith(b"--", position):
                end = content.find(b"\r\n", position)
                line = content[position : len(content) if end < 0 else end]
                if line.rstrip(b" \t") in self._delimiters:
                    return position, position, True
            if not match:
                return position, position, position in {start, len(content)}
            self._octets_left -= match.end() - position
            self._fields_left -= 1
            position = match.end()
            count += 1
        return position, position, False


def _with(part: Part, **changes: Any) -> Part:
    values = {name: getattr(part, name) for name in Part.__slots__}
    return Part(**{**values, **changes})


def _delimiter(part: Part) -> bytes:
    """The delimiter line of a multipart; empty if it has no usable boundary."""
    boundary = part.parameters.get("boundary", "").encode("utf-8", "replace").rstrip()
    return b"--" + boundary if part.is_multipart and 1 <= len(boundary) <= MAX_BOUNDARY else b""


def _read_entity(
    headers: HeaderBlock,
    start: int,
    end: int,
    *,
    depth: int,
    is_protected: bool,
    default: str = "text/plain",
) -> Part:
    content_type, parameters = read_type(headers.get(b"content-type"), default)
    disposition, more = read_word(headers.get(b"content-disposition"))
    filename = _filename(more, "filename") or _filename(parameters, "name")
    encoding = read_encoding(headers.get(b"content-transfer-encoding"))
    is_multipart = content_type.startswith("multipart/")
    return Part(
        content_type=content_type,
        parameters=parameters,
        encoding=encoding,
        disposition=disposition,
        filename=filename,
        content_id=(headers.get(b"content-id") or b"").decode("utf-8", "replace").strip("<> \t"),
        header_start=start,
        body_start=headers.body_offset,
        body_end=end,
        depth=depth,
        is_protected=is_protected or content_type in UNTOUCHABLE or content_type in _SIGNED_LEAVES,
        is_multipart=is_multipart,
    )


def read_encoding(value: bytes | None) -> str:
    """A Content-Transfer-Encoding: one of RFC 2045 §6.1, an extension as written, or empty for an unknown word.

    Readers do not decode the body under an unknown word such as `7-bit` or `utf-8`.
    """
    if value is None:
        return "7bit"
    word = without_comments(decode_undeclared(value)).strip().lower().partition(";")[0].rstrip()
    return word if word in _ENCODINGS or word in _OLD_ENCODINGS or word.startswith("x-") else ""


def _filename(parameters: dict[str, str], name: str) -> str:
    """A file name for display. Decodes encoded words in quotes, which RFC 2047 forbids and programs write."""
    value = parameters.get(name, "")
    if "=?" in value and f"{name}*" not in parameters:
        return decode_text(value.encode("utf-8", "replace"))
    return one_line(value)


def decode_body(content: bytes, part: Part) -> bytes:
    """A leaf's body without its transfer encoding; an undecodable body is returned unchanged."""
    if part.encoding in {"base64", "quoted-printable"}:
        return b"".join(decode_pieces(content, part))
    return content[part.body_start : part.body_end]


def decode_pieces(content: bytes, part: Part) -> list[bytes]:
    """The result of `decode_body` in pieces: joining tens of megabytes would block all other threads."""
    if part.encoding == "quoted-printable":
        return list(decode_quoted(content, part.body_start, part.body_end))
    try:
        if part.encoding == "base64":
            return list(_decode_base64(content, part.body_start, part.body_end))
    except binascii.Error:
        pass
    return [content[part.body_start : part.body_end]]


def _decode_base64(content: bytes, start: int, end: int) -> Iterator[bytes]:
    """Decodes base64 slice by slice, ignoring other characters. Raises `binascii.Error` for an impossible end."""
    letters = b""
    for position in range(start, end, SLICE):
        letters += content[position : min(position + SLICE, end)].translate(None, _NO_BASE64)
        whole = len(letters) // 4 * 4
        yield base64.b64decode(letters[:whole])
        letters = letters[whole:]
    yield base64.b64decode(letters + b"==")


@dataclass(frozen=True, slots=True)
class Attachment:
    """A leaf that is not the text of the message."""

    filename: str
    content_type: str
    content_id: str
    size: int  # octets, decoded


@dataclass(frozen=True, slots=True)
class Summary:
    """The parts of a message that a person sees."""

    headers: tuple[tuple[str, str], ...]
    text: str | None
    html: str | None
    attachments: tuple[Attachment, ...]


def attachment_parts(parts: Iterable[Part]) -> list[Part]:
    """The parts that are not shown as the message itself, in the order in which the sender gave them."""
    seen: set[str] = set()
    found: list[Part] = []
    for part in parts:
        if part.is_multipart:
            continue
        if part.is_body_text and part.content_type not in seen:
            seen.add(part.content_type)
        else:
            found.append(part)
    return sorted(found, key=_position)


def _position(part: Part) -> int:
    """The position at which an attachment was given, as our own messages record it; 0 if it is not recorded."""
    text = part.parameters.get(POSITION, "")
    return int(text) if text.isascii() and text.isdigit() and len(text) <= MAX_POSITION else 0


def summarise(content: bytes) -> Summary:
    """The first plain and HTML bodies, and the attachments. Never raises."""
    try:
        headers = HeaderBlock.parse(content)
        parts = walk(content, headers)
    except MalformedMessage:
        return Summary((), None, None, ())
    bodies: dict[str, str] = {}
    for part in parts:
        if not part.is_multipart and part.is_body_text and part.content_type not in bodies:
            bodies[part.content_type] = decode(decode_body(content, part), part.charset)
    attachments = [
        Attachment(part.filename, part.content_type, part.content_id, len(decode_body(content, part))) for part in attachment_parts(parts)
    ]
    fields = tuple((headers.raw(field).partition(b":")[0].decode("ascii"), decode_text(headers.value(field))) for field in headers.fields)
    return Summary(fields, bodies.get("text/plain"), bodies.get("text/html"), tuple(attachments))
