"""Pictures by their first octets."""

from sendryd.message.pictures import picture_type
from sendryd.testing.cases import cases


@cases(
    ("start", "kind"),
    [
        (b"\x89PNG\r\n\x1a\n\0\0", "image/png"),
        (b"GIF89a..", "image/gif"),
        (b"\xff\xd8\xff\xe0", "image/jpeg"),
        (b"RIFF....WEBPVP8 ", "image/webp"),
        (b"\0\0\0\x1cftypavif", "image/avif"),
        (b"BM....", "image/bmp"),
        (b"<svg xmlns=", None),
        (b"\0\0\0\x1cftypisom", None),
        (b"RIFF....WAVE", None),
        (b"<html>", None),
        (b"", None),
    ],
)
def test_only_raster_pictures_are_pictures(start: bytes, kind: str | None) -> None:
    assert picture_type(start) == kind
