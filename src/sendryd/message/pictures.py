"""Pictures in messages, recognised by their first octets. Pure.

The type that a sender declares is not trusted: a browser gets only what is a raster picture, under the type that it is. SVG is missing: it is a
document of its own.
"""

from typing import Final

from sendryd.message.errors import MalformedMessage
from sendryd.message.parse import Summary, attachment_parts, decode_pieces, walk

_BEGINNINGS: Final = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"BM", "image/bmp"),
)
_BRANDS: Final = {b"avif", b"avis"}  # of an ISO base media file


def picture_type(start: bytes) -> str | None:
    """The media type of a picture that begins with these octets; None: it is none that browsers are given."""
    for beginning, kind in _BEGINNINGS:
        if start.startswith(beginning):
            return kind
    if start.startswith(b"RIFF") and start[8:12] == b"WEBP":
        return "image/webp"
    return "image/avif" if start[4:8] == b"ftyp" and start[8:12] in _BRANDS else None


def inline_numbers(summary: Summary) -> dict[str, int]:
    """The numbers of the parts that a message's HTML can name, by Content-ID."""
    return {each.content_id: number for number, each in enumerate(summary.attachments) if each.content_id}


def picture_part(content: bytes, number: int) -> tuple[str, list[bytes]] | None:
    """Type and octets of an attachment that is a picture, counted as `summarise` lists them. Never raises."""
    try:
        parts = attachment_parts(walk(content))
    except MalformedMessage:
        return None
    pieces = decode_pieces(content, parts[number]) if 0 <= number < len(parts) else []
    kind = picture_type(pieces[0] if pieces else b"")
    return None if kind is None else (kind, pieces)
