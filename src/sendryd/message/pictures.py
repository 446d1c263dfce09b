"""Recognises pictures by their first octets. Pure.

The type that a sender declares is not trusted: a browser gets only what is a raster picture, under the type that it is. SVG is missing: it is a
document of its own.
"""

from typing import Final

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
