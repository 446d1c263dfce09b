"""What reads hostile header fields and texts takes time in proportion to them."""

import time
from collections.abc import Callable
from typing import Final

from sendryd.intake.prepare import parse_message
from sendryd.message.asciiheader import to_ascii_header
from sendryd.message.author import address_list, decode_text
from sendryd.message.errors import MalformedMessage
from sendryd.message.headers import HeaderBlock
from sendryd.message.links import rewrite_html
from sendryd.message.parameters import read_type
from sendryd.message.parse import summarise
from sendryd.message.templatesource import TemplateError, read_source
from sendryd.policy.credentials import without_keys
from sendryd.testing.cases import cases

SMALL: Final = 12 * 1024  # octets
FACTOR: Final = 4
MAX_GROWTH: Final = 12  # for that factor: 4 where the work is linear, 16 where it is quadratic
FLOOR: Final = 0.1  # seconds of CPU: what is quicker holds up nobody, whatever the growth


def folded(name: bytes, unit: bytes, size: int) -> bytes:
    """A header block with one field of lines of such units, and a letter that is no ASCII."""
    line = b"\r\n " + (unit * 900)[:900]
    return b"From: a@b.test\r\n" + name + b": \xc3\xa9" + line * (size // len(line)) + b"\r\n\r\n"


def to_ascii(name: bytes) -> Callable[[bytes, int], object]:
    def call(unit: bytes, size: int) -> object:
        content = folded(name, unit, size)
        return to_ascii_header(content, HeaderBlock.parse(content))

    return call


def text(unit: bytes, size: int) -> str:
    return (unit * size)[:size].decode("ascii")


READERS: Final[dict[str, Callable[[bytes, int], object]]] = {
    "ascii Subject": to_ascii(b"Subject"),
    "ascii To": to_ascii(b"To"),
    "ascii Content-Type": to_ascii(b"Content-Type"),
    "parse To": lambda unit, size: parse_message(folded(b"To", unit, size), None),
    "parse Authentication-Results": lambda unit, size: parse_message(folded(b"Authentication-Results", unit, size), None),
    "summary": lambda unit, size: summarise(folded(b"Content-Disposition", unit, size)),
    "type": lambda unit, size: read_type(b"text/plain; " + text(unit, size).encode()),
    "addresses": lambda unit, size: address_list(text(unit, size).encode() + b","),
    "text": lambda unit, size: decode_text(text(unit, size).encode()),
    "html": lambda unit, size: rewrite_html(text(unit, size), wrap=lambda _: None, pixel_url="https://a.test/"),
    "tag": lambda unit, size: rewrite_html(f"<a {text(unit, size)}", wrap=lambda _: None, pixel_url="https://a.test/"),
    "template": lambda unit, size: read_source("{{ " + text(unit, size)),
    "keys": lambda unit, size: without_keys("sn_live_" + text(unit, size)),
}
UNITS: Final = (
    b" ",
    b"a",
    b"a ",
    b'"',
    b'\\"',
    b'"\\',
    b"(",
    b"()",
    b"<",
    b"<a ",
    b"a@",
    b"=?",
    b"=?utf-8?q?a",
    b"a=",
    b'a="',
    b";",
    b"; ",
    b",",
    b"-1",
    b"{{",
)


def seconds(read: Callable[[bytes, int], object], unit: bytes, size: int) -> float:
    best = float("inf")
    for _ in range(3):
        started = time.process_time()
        try:
            read(unit, size)
        except (MalformedMessage, TemplateError):
            pass
        best = min(best, time.process_time() - started)
        if best < FLOOR / 10:
            break
    return best


@cases("name", READERS)
def test_four_times_the_octets_take_about_four_times_as_long(name: str) -> None:
    read = READERS[name]

    def grows_too_fast(unit: bytes) -> bool:
        large = seconds(read, unit, FACTOR * SMALL)
        return large > FLOOR and large > MAX_GROWTH * seconds(read, unit, SMALL)

    assert [unit for unit in UNITS if grows_too_fast(unit) and grows_too_fast(unit)] == []
