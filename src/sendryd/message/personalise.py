"""Makes one recipient's copy of a stored message: tracked links, the open pixel, and the List-Unsubscribe fields.

Only HTML that readers show as the message itself is changed, and only if decoding and encoding it returns the same octets. Signed and encrypted
parts (RFC 1847, RFC 8551, RFC 9580), attachments, plain text and calendars stay unchanged. All other octets are those of the stored message.
"""

import binascii
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from sendryd.message.charset import reversible_codec
from sendryd.message.errors import MalformedMessage
from sendryd.message.headers import HeaderBlock
from sendryd.message.links import rewrite_html
from sendryd.message.parse import IDENTITIES, Part, decode_body, walk
from sendryd.message.partheader import guess_charset
from sendryd.message.quoted import base64_lines, quoted_printable
from sendryd.message.transfer import is_too_long, with_encoding

MAX_UNSUBSCRIBE_URL: Final = 900  # octets; it cannot be folded, and has to stay under the 998 of a line with its brackets and name
# Octets of HTML as it stands in a message, in all its texts together: 5 MiB, the most that a request may have, in base64. More is not tracked.
MAX_TRACKED: Final = 8 * 1024 * 1024
MAX_TRACKED_TEXTS: Final = 10  # HTML texts of a message that are tracked; ordinary mail has one
_UNSUBSCRIBE_URL: Final = re.compile(r"[a-z][a-z0-9+.-]*:[!-;=?-~]+", re.IGNORECASE | re.ASCII)
_UNSUBSCRIBE_FIELDS: Final = (b"list-unsubscribe", b"list-unsubscribe-post")
_INLINE_PGP: Final = b"-----BEGIN PGP "  # RFC 9580 §6.2
_BLANKS: Final = b"\t\r\n "
NO_HTML: Final = "it has no HTML text that is not signed or encrypted"
_SHOWN: Final = 60  # characters of a sender's word that are quoted
_ASCII: Final = bytes(range(128))


@dataclass(frozen=True, slots=True, kw_only=True)
class Personal:
    """The values of one recipient's copy."""

    pixel_url: str | None = None  # the open pixel's URL; None: no pixel
    wrap: Callable[[str], str | None] | None = None  # returns the URL that replaces a link's, or None to keep it
    unsubscribe_urls: tuple[str, ...] = ()  # empty: the fields stay unchanged


def personalise(content: bytes, personal: Personal) -> bytes:
    """The copy; the same content if nothing changes. The pixel goes into the first HTML text that can take it.

    A content with an unreadable header block is returned unchanged. Raises `MalformedMessage` for an unsubscribe URL that does not fit into a
    header.
    """
    unsubscribe = _unsubscribe_fields(personal.unsubscribe_urls) if personal.unsubscribe_urls else b""
    try:
        headers = HeaderBlock.parse(content)
        if personal.wrap or personal.pixel_url is not None:
            changed = _rewrite(content, walk(content, headers), personal)
            if changed is not content:
                content, headers = changed, HeaderBlock.parse(changed)
    except MalformedMessage:
        return content
    return _replace_fields(content, headers, unsubscribe) if unsubscribe else content


def _unsubscribe_fields(urls: tuple[str, ...]) -> bytes:
    for url in urls:
        if len(url) > MAX_UNSUBSCRIBE_URL or not _UNSUBSCRIBE_URL.fullmatch(url):
            raise MalformedMessage(
                f"an unsubscribe URL is not 1 to {MAX_UNSUBSCRIBE_URL} ASCII characters with a scheme; percent-encode it"
            )
    fields = "List-Unsubscribe: " + ",\r\n ".join(f"<{url}>" for url in urls) + "\r\n"  # RFC 2369 §3.2
    if any(url.lower().startswith(("https:", "http:")) for url in urls):
        fields += "List-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n"  # RFC 8058 §3.1
    return fields.encode("ascii")


def _replace_fields(content: bytes, headers: HeaderBlock, fields: bytes) -> bytes:
    """The content with these fields at the end of the header; existing fields of the same names are removed."""
    pieces: list[bytes] = []
    position = 0
    for field in headers.fields:
        if field.name in _UNSUBSCRIBE_FIELDS:
            pieces.append(content[position : field.start])
            position = field.end
    pieces += (content[position : headers.end], fields, content[headers.end :])
    return b"".join(pieces)


def _rewrite(content: bytes, parts: list[Part], personal: Personal) -> bytes:
    pieces: list[bytes] = []
    position = 0
    pixel_url = personal.pixel_url
    for part in _tracked_texts(parts):
        text = _read(content, part)
        if text is None:
            continue
        html = rewrite_html(text[0], wrap=personal.wrap, pixel_url=pixel_url)
        leaf = _write(content, part, html, text[1]) if html is not text[0] else None
        if leaf is None:
            continue
        pieces += (content[position : part.header_start], *leaf)
        position = part.body_end
        pixel_url = None
    if not pieces:
        return content
    pieces.append(content[position:])
    return b"".join(pieces)


def why_untracked(content: bytes) -> str | None:
    """Why no text of the message can take a pixel or tracked links; None if one can. Never raises."""
    try:
        parts = walk(content)
    except MalformedMessage as error:
        return error.reason
    texts = _tracked_texts(parts)
    if any(_read(content, part) is not None for part in texts):
        return None
    if not texts:
        return f"its HTML text is larger than {MAX_TRACKED // 1024 // 1024} MiB" if any(map(_is_html_text, parts)) else NO_HTML
    charset, encoding = texts[0].charset[:_SHOWN], texts[0].encoding[:_SHOWN]
    return f'its HTML text, in the charset "{charset}" and the transfer encoding "{encoding}", cannot be read without loss'


def _tracked_texts(parts: list[Part]) -> list[Part]:
    """The first HTML texts, as many as are looked at."""
    found: list[Part] = []
    octets = 0
    for part in filter(_is_html_text, parts):
        octets += part.body_end - part.body_start
        if octets > MAX_TRACKED or len(found) == MAX_TRACKED_TEXTS:
            break
        found.append(part)
    return found


def _is_html_text(part: Part) -> bool:
    return part.content_type == "text/html" and not part.is_protected and part.is_body_text and part.body_end > part.body_start


def _read(content: bytes, part: Part) -> tuple[str, str] | None:
    """A leaf's text, and the codec that encodes it to the same octets; None if the leaf must stay unchanged."""
    if part.encoding not in {*IDENTITIES, "quoted-printable", "base64"}:
        return None
    data = decode_body(content, part)
    if _INLINE_PGP in data:
        return None
    if part.encoding == "base64":
        letters = content[part.body_start : part.body_end].translate(None, _BLANKS)
        if binascii.b2a_base64(data, newline=False).rstrip(b"=") != letters.rstrip(b"="):
            return None  # several in a row, or with other text: readers disagree about them
    codec = reversible_codec(data, part.charset)
    return None if codec is None else (data.decode(codec), codec)


def _write(content: bytes, part: Part, html: str, codec: str) -> tuple[bytes, bytes] | None:
    """A leaf with the new text: its header, changed if the transfer encoding changes, and its body; None if the charset lacks a character."""
    try:
        data = html.encode(codec)
    except UnicodeError:
        return None
    header, old = content[part.header_start : part.body_start], content[part.body_start : part.body_end]
    encoding = part.encoding
    if encoding in IDENTITIES:
        if not is_too_long(data) and (data.isascii() or not old.isascii()):
            return header, data
        encoding = "quoted-printable" if 6 * len(data.translate(None, _ASCII)) <= len(data) else "base64"  # the smaller
        charset = guess_charset(part, data)
        try:
            header = with_encoding(header, part, encoding.encode("ascii"), charset=charset, is_top=part.depth == 0)
        except MalformedMessage:  # readers differ in where the body begins
            return None
    if encoding == "base64":
        body = base64_lines(data)
        return header, body if old.endswith(b"\r\n") else body[:-2]
    body = quoted_printable(data)
    if old.endswith(b"\r\n") and not body.endswith(b"\r\n"):
        body += b"=\r\n"  # as it was: a line end that is none of the text's
    return header, body
