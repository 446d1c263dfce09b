"""Compares the database with the spool's folder: names, ids and sizes, the header of each file, no content."""

from collections.abc import Sequence
from contextlib import suppress

from sendryd.store.base import SpoolReport
from sendryd.store.codec.reading import Row
from sendryd.store.drivers.sqlite import translated
from sendryd.store.sqlite.engine.segments import SegmentFile, Spool, segment_name


def compare(spool: bytes, rows: Sequence[Row], segments: Spool) -> SpoolReport:
    """Compares files and segments. `spool` is the id of the database's spool; `rows` are its segments."""
    found: dict[int, SegmentFile] = {}
    with translated():
        for number in segments.numbers():
            with suppress(FileNotFoundError):
                found[number] = segments.inspect(number)
    other = [file.number for file in found.values() if file.spool not in {None, spool}]
    missing, foreign, short, affected = [], [], [], 0
    used = [row for row in rows if row["messages"] > 0]
    for row in used:
        number = row["number"]
        file = found.pop(number, None)
        if file is None:
            missing.append(number)
        elif file.size < row["octets"]:
            short.append(number)
        elif file.id != row["id"]:
            foreign.append(number)
        else:
            continue
        affected += row["messages"]
    known = {(row["number"], row["id"]) for row in rows}
    unknown = [file.number for file in found.values() if not file.is_unfinished and (file.number, file.id) not in known]
    return SpoolReport(
        segments=len(used),
        messages=sum(row["messages"] for row in used),
        missing=_names(missing),
        foreign=_names(foreign),
        short=_names(short),
        unknown=_names(unknown),
        other_spool=_names(other),
        affected=affected,
    )


def _names(numbers: Sequence[int]) -> tuple[str, ...]:
    return tuple(map(segment_name, numbers))
