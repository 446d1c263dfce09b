"""MIME structure as byte ranges (RFC 2045, 2046): where the leaf parts are, nothing decoded, nothing changed.

One pass over the lines that begin with two hyphens, with a stack of boundaries: no recursion, linear however deep it goes, and with caps.
What is deeper or more than the caps is left as one opaque part.
"""

import base64
import binascii
import re
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice
from typing import Final

from sendryd.message.author import decode_text
from sendryd.message.charset import decode, one_line
from sendryd.message.errors import MalformedMessage
from sendryd.message.headers import HeaderBlock

MAX_DEPTH: Final = 100  # Postfix: mime_nesting_limit
MAX_PARTS: Final = 1000  # twice what Amazon SES takes
MAX_BOUNDARY: Final = 70  # RFC 2046 §5.1.1
MAX_PARAMETERS: Final = 200  # of one field; real ones have a few, and long file names in many languages some dozens
UNTOUCHABLE: Final = frozenset({"multipart/signed", "multipart/encrypted"})  # RFC 1847: what is inside is signed as it is
_SIGNED_LEAVES: Final = frozenset({"application/pkcs7-mime", "application/x-pkcs7-mime", "application/pgp-encrypted"})

_HYPHENS: Final = re.compile(rb"\r\n(--[^\r\n]+)")
_TYPE: Final = re.compile(r"\s*([A-Za-z0-9!#$&^_.+-]{1,127}/[A-Za-z0-9!#$&^_.+-]{1,127})")
_PARAMETER: Final = re.compile(r';\s*([A-Za-z0-9!#$%&\'*+.^_`|~-]{1,60})\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s;"]*))', re.DOTALL)


# A parameter of Content-Type in messages that this server composes, where the MIME order is not the one in which attachments were given.
POSITION: Final = "x-position"
MAX_POSITION: Final = 4  # digits


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One entity: where it is, and what its header says of it."""

    content_type: str  # lower case, without parameters
    parameters: dict[str, str]
    encoding: str  # Content-Transfer-Encoding, lower case
    disposition: str  # lower case: inline, attachment, or empty
    filename: str  # empty if it has none
    content_id: str
    header_start: int
    body_start: int
    body_end: int  # without the line end that belongs to the boundary behind it
    depth: int
    is_protected: bool  # it lies in something signed or encrypted, or is that itself
    is_multipart: bool

    @property
    def charset(self) -> str:
        """As declared; US-ASCII by default."""
        return self.parameters.get("charset", "us-ascii")

    @property
    def is_body_text(self) -> bool:
        """Whether it is a text that is shown as the message itself, if it is the first of its type."""
        return self.content_type in {"text/plain", "text/html"} and self.disposition != "attachment" and not self.filename


@dataclass(frozen=True, slots=True)
class _Open:
    part: Part
    delimiter: bytes


def walk(content: bytes, headers: HeaderBlock | None = None) -> list[Part]:
    """All entities in order, the multiparts before what they contain. Raises `MalformedMessage` if the first header block is bad."""
    root = _read_entity(headers or HeaderBlock.parse(content), 0, len(content), depth=0, is_protected=False)
    parts = [root]
    stack = [_Open(root, _delimiter(root))] if _delimiter(root) else []
    position = root.body_start
    start: int | None = None  # of the entity that is open at the top of the stack
    while stack and len(parts) < MAX_PARTS:
        found = _next_delimiter(content, position, stack)
        if found is None:
            break
        line_start, line_end, level, is_close = found
        if start is not None:
            _close_leaf(parts, content, line_start)
            start = None
        del stack[level + 1 :]
        position = line_end
        if is_close:
            stack.pop()
            continue
        parent = stack[level].part
        part = _read_part(content, line_end, parent)
        parts.append(part)
        start = part.header_start
        position = max(part.body_start, line_end)
        delimiter = _delimiter(part)
        if delimiter and part.depth < MAX_DEPTH:
            stack.append(_Open(part, delimiter))
            start = None
    return parts


def _close_leaf(parts: list[Part], content: bytes, line_start: int) -> None:
    leaf = parts[-1]
    end = line_start - 2 if content.endswith(b"\r\n", 0, line_start) else line_start
    parts[-1] = _with_end(leaf, max(leaf.body_start, end))


def _with_end(part: Part, end: int) -> Part:
    values = {name: getattr(part, name) for name in Part.__slots__}
    return Part(**{**values, "body_end": end})


def _next_delimiter(content: bytes, position: int, stack: list[_Open]) -> tuple[int, int, int, bool] | None:
    """The next line that is a delimiter of an open multipart: its start, its end, the level, and whether it closes."""
    delimiters: dict[bytes, tuple[int, bool]] = {}
    for level, each in enumerate(stack):  # of two that are alike the inner one counts
        delimiters[each.delimiter] = (level, False)
        delimiters[each.delimiter + b"--"] = (level, True)
    for match in _HYPHENS.finditer(content, max(0, position - 2)):
        found = delimiters.get(match[1].rstrip())
        if found:
            end = match.end()
            return match.start(1), end + 2 if content.startswith(b"\r\n", end) else end, *found
    return None


def _delimiter(part: Part) -> bytes:
    """The delimiter line of a multipart; empty if it has none that can be used."""
    boundary = part.parameters.get("boundary", "")
    if not part.is_multipart or not 1 <= len(boundary) <= MAX_BOUNDARY:
        return b""
    return b"--" + boundary.encode("utf-8", "replace").rstrip()


def _read_part(content: bytes, start: int, parent: Part) -> Part:
    is_protected = parent.is_protected or parent.content_type in UNTOUCHABLE
    default = "message/rfc822" if parent.content_type == "multipart/digest" else "text/plain"
    if content.startswith(b"\r\n", start):
        block_end = start
        body_start = start + 2
    else:
        blank = content.find(b"\r\n\r\n", start)
        block_end = len(content) if blank < 0 else blank + 2
        body_start = len(content) if blank < 0 else blank + 4
    try:
        headers = HeaderBlock.parse(content[start:block_end])
    except MalformedMessage:
        headers = HeaderBlock(b"", (), {}, 0, 0, has_8bit=False)
    part = _read_entity(headers, start, len(content), depth=parent.depth + 1, is_protected=is_protected, default=default)
    return _moved(part, start, body_start)


def _moved(part: Part, start: int, body_start: int) -> Part:
    values = {name: getattr(part, name) for name in Part.__slots__}
    return Part(**{**values, "header_start": start, "body_start": body_start})


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
    disposition, more = _read_disposition(headers.get(b"content-disposition"))
    filename = _filename(more, "filename") or _filename(parameters, "name")
    encoding = (headers.get(b"content-transfer-encoding") or b"7bit").decode("ascii", "replace").strip().lower()
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


def read_type(value: bytes | None, default: str = "text/plain") -> tuple[str, dict[str, str]]:
    """Type and parameters of a Content-Type field; the default for a missing or broken one."""
    if value is None:
        return default, {}
    text = decode(value, "utf-8")
    match = _TYPE.match(text)
    if not match:
        return default, {}
    return match[1].lower(), _read_parameters(text[match.end() :])


def _read_disposition(value: bytes | None) -> tuple[str, dict[str, str]]:
    if value is None:
        return "", {}
    text = decode(value, "utf-8")
    return text.partition(";")[0].strip().lower(), _read_parameters(text)


def _read_parameters(text: str) -> dict[str, str]:
    parameters: dict[str, str] = {}
    for match in islice(_PARAMETER.finditer(text), MAX_PARAMETERS):
        value = re.sub(r"\\(.)", r"\1", match[2]) if match[2] is not None else match[3]
        parameters.setdefault(match[1].lower(), value)
    return parameters


def _filename(parameters: dict[str, str], name: str) -> str:
    """A file name, in one of the three ways in which they are written: plain, RFC 2047 in quotes, RFC 2231."""
    if not any(each.startswith(name) for each in parameters):
        return ""
    extended = parameters.get(f"{name}*") or "".join(
        parameters.get(f"{name}*{number}*", parameters.get(f"{name}*{number}", "")) for number in range(20)
    )
    if extended and extended.count("'") >= 2:
        charset, _, rest = extended.partition("'")
        return one_line(decode(_unpercent(rest.partition("'")[2]), charset))
    return decode_text((extended or parameters.get(name, "")).encode("utf-8"))


def _unpercent(text: str) -> bytes:
    return re.sub(rb"%([0-9A-Fa-f]{2})", lambda match: bytes([int(match[1], 16)]), text.encode("utf-8"))


def decode_body(content: bytes, part: Part) -> bytes:
    """A leaf's body without its transfer encoding; what cannot be decoded is given as it is."""
    body = content[part.body_start : part.body_end]
    if part.encoding == "base64":
        try:
            return base64.b64decode(re.sub(rb"[^A-Za-z0-9+/]", b"", body) + b"==")
        except binascii.Error:
            return body
    if part.encoding == "quoted-printable":
        return binascii.a2b_qp(body)
    return body


@dataclass(frozen=True, slots=True)
class Attachment:
    """A leaf that is not the text of the message."""

    filename: str
    content_type: str
    content_id: str
    size: int  # octets, decoded


@dataclass(frozen=True, slots=True)
class Summary:
    """What a person sees of a message."""

    headers: tuple[tuple[str, str], ...]
    text: str | None
    html: str | None
    attachments: tuple[Attachment, ...]


def attachment_parts(parts: Iterable[Part]) -> list[Part]:
    """The parts that are not shown as the message itself, in the order in which they were given."""
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
    """Where a message of our own says that it was given; else as it stands."""
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
