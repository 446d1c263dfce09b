"""Service extensions that a peer offers in its EHLO reply (RFC 5321 §4.1.1.1)."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True, kw_only=True)
class Extensions:
    """What a peer offers."""

    pipelining: bool = False  # RFC 2920
    size: int | None = None  # RFC 1870: the limit in octets, 0 if it has none or does not say; None: no SIZE at all
    eightbitmime: bool = False  # RFC 6152
    smtputf8: bool = False  # RFC 6531
    dsn: bool = False  # RFC 3461
    starttls: bool = False  # RFC 3207
    enhancedstatuscodes: bool = False  # RFC 2034
    chunking: bool = False  # RFC 3030
    requiretls: bool = False  # RFC 8689
    auth: frozenset[str] = frozenset()  # RFC 4954: mechanisms in upper case


NO_EXTENSIONS: Final = Extensions()
MAX_SIZE_DIGITS: Final = 20  # RFC 1870 §4


def parse_extensions(lines: Iterable[str]) -> Extensions:
    """Parses the texts of an EHLO reply's lines; the first is the peer's name. Ignores unknown extensions."""
    offered: dict[str, str] = {}
    for number, line in enumerate(lines):
        if number:
            keyword, _, parameters = line.strip().partition(" ")
            # Old servers write AUTH=LOGIN for clients that are older still.
            keyword, equals, mechanisms = keyword.partition("=")
            keyword = keyword.upper()
            parameters = f"{mechanisms} {parameters}" if equals else parameters
            offered[keyword] = f"{offered.get(keyword, '')} {parameters}".strip()
    size = offered.get("SIZE")
    return Extensions(
        pipelining="PIPELINING" in offered,
        size=None if size is None else int(size) if _is_size(size) else 0,
        eightbitmime="8BITMIME" in offered,
        smtputf8="SMTPUTF8" in offered,
        dsn="DSN" in offered,
        starttls="STARTTLS" in offered,
        enhancedstatuscodes="ENHANCEDSTATUSCODES" in offered,
        chunking="CHUNKING" in offered,
        requiretls="REQUIRETLS" in offered,
        auth=frozenset(offered.get("AUTH", "").upper().split()),
    )


def _is_size(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= MAX_SIZE_DIGITS
