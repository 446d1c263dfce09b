"""Takes the reports out of a mail: the parts that may be one, unpacked within limits (gzip, zip). Pure."""

import io
import zipfile
import zlib
from collections.abc import Iterator
from typing import Final

from sendryd.message.errors import MalformedMessage
from sendryd.message.parse import Part, decode_body, walk

MAX_UNPACKED: Final = 8 * 1024 * 1024  # octets of one report: honest ones of large receivers have some hundred KiB
MAX_REPORTS: Final = 4  # parts of one mail that are read; RFC 7489 §7.2.1.1 has one in each mail
_TYPES: Final = frozenset(
    {
        "application/gzip",
        "application/x-gzip",
        "application/zip",
        "application/x-zip-compressed",
        "application/xml",
        "text/xml",
        "application/tlsrpt+gzip",
        "application/tlsrpt+json",
        "application/json",
        "application/octet-stream",
    }
)
_GZIP, _ZIP = b"\x1f\x8b", b"PK\x03\x04"
_GZIP_WINDOW: Final = 16 + zlib.MAX_WBITS


def report_texts(content: bytes) -> Iterator[bytes]:
    """The unpacked octets of each part that may be a report. What is no archive, damaged or too large is left out."""
    try:
        parts = walk(content)
    except MalformedMessage:
        return
    found = 0
    for part in parts:
        if not _may_be_report(part):
            continue
        octets = unpack(decode_body(content, part))
        if octets is not None:
            yield octets
            found += 1
        if found == MAX_REPORTS:
            return


def _may_be_report(part: Part) -> bool:
    return not part.is_multipart and (part.content_type in _TYPES or part.filename.lower().endswith((".gz", ".zip", ".xml", ".json")))


def unpack(octets: bytes) -> bytes | None:
    """The octets without their compression; None if that is damaged, has several files, or more than `MAX_UNPACKED` come out of it."""
    try:
        if octets.startswith(_GZIP):
            unpacker = zlib.decompressobj(_GZIP_WINDOW)
            text = unpacker.decompress(octets, MAX_UNPACKED + 1)
            return text if unpacker.eof and len(text) <= MAX_UNPACKED else None
        if octets.startswith(_ZIP):
            return _unzip(octets)
    except (zlib.error, zipfile.BadZipFile, NotImplementedError, RuntimeError, OSError, EOFError, ValueError):
        return None  # what zipfile raises for damaged, encrypted (RuntimeError) and foreign archives: strangers write these files
    return octets if len(octets) <= MAX_UNPACKED else None


def _unzip(octets: bytes) -> bytes | None:
    with zipfile.ZipFile(io.BytesIO(octets)) as archive:
        files = [each for each in archive.infolist() if not each.is_dir()]
        if len(files) != 1 or files[0].compress_type not in {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}:
            return None
        with archive.open(files[0]) as file:
            text = file.read(MAX_UNPACKED + 1)  # the size in the archive's list may lie
    return text if len(text) <= MAX_UNPACKED else None
