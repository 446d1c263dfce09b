"""Fields of reports, read as leniently as they are written: `Name: value` lines in groups, an empty line between groups.

Programs write bare line ends, lines that are no field, folded values and types in any case. Linear in the size of the text.
"""

import re
from collections.abc import Mapping
from typing import Final

from sendryd.message.charset import decode_undeclared, one_line
from sendryd.message.reports.report import MAX_TEXT

MAX_BLOCK: Final = 256 * 1024  # octets of fields that are read: a report on a hundred recipients has some 50 KiB
_FIELD: Final = re.compile(r"([!-9;-~]{1,100}):[ \t]*(.*)", re.DOTALL)
_TYPED: Final = re.compile(r"[A-Za-z0-9.\-]{1,40}[ \t]*;[ \t]*(.*)", re.DOTALL)
_ADDRESS: Final = re.compile(r"[^\s<>()\"',;:\[\]@]{1,256}@[^\s<>()\"',;:\[\]@]{1,255}")

Group = Mapping[str, str]


def read_groups(octets: bytes) -> list[dict[str, str]]:
    """The groups of fields, by lower-case names; of fields of one name the first counts. Never raises."""
    groups: list[dict[str, str]] = []
    fields: dict[str, list[str]] = {}
    last: list[str] | None = None
    for line in [*decode_undeclared(octets[:MAX_BLOCK]).replace("\r\n", "\n").replace("\r", "\n").split("\n"), ""]:
        if not line.strip():
            if fields:
                groups.append({name: one_line(" ".join(parts))[:MAX_TEXT] for name, parts in fields.items()})
            fields, last = {}, None
        elif line[0] in " \t":
            if last is not None:
                last.append(line.strip())
        elif match := _FIELD.fullmatch(line):
            name = match[1].lower()
            last = None if name in fields else fields.setdefault(name, [])
            if last is not None:
                last.append(match[2].strip())
        else:
            last = None
    return groups


def untyped(value: str) -> str:
    """A value without the type in front of it: `smtp; 550 no` (RFC 3464 §2.1.2)."""
    match = _TYPED.fullmatch(value)
    return (match[1] if match else value).strip()


def address_of(value: str) -> str:
    """The address in a typed value; empty if there is none."""
    match = _ADDRESS.search(untyped(value))
    return match[0].strip(".") if match else ""


def addresses_in(text: str) -> list[str]:
    """The addresses in a text, in order."""
    return [match.strip(".") for match in _ADDRESS.findall(text)]
