"""Suppression lists that people paste or upload: an address on each line, or CSV with address and reason. Pure."""

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from sendryd.accounts.suppressions import MAX_IMPORT, BadAddress, read_address
from sendryd.model.suppression import SuppressionReason

MAX_FAULTS: Final = 20  # that are named; a list of another kind has one on each line
_REASONS: Final[Mapping[str, SuppressionReason]] = {
    **{reason.value: reason for reason in SuppressionReason},
    **{reason.value.replace("_", " "): reason for reason in SuppressionReason},
    "bounce": SuppressionReason.HARD_BOUNCE,
    "hard": SuppressionReason.HARD_BOUNCE,
    "spam": SuppressionReason.COMPLAINT,
    "": SuppressionReason.MANUAL,
}
_HEADINGS: Final = frozenset({"email", "address", "email address", "recipient"})


@dataclass(frozen=True, slots=True)
class PastedList:
    """The entries of a list, in order, each address once, and what is wrong with its lines, as sentences. A list with faults has no entries."""

    entries: tuple[tuple[str, SuppressionReason], ...]
    faults: tuple[str, ...]


def read_list(text: str) -> PastedList:
    """Read a list. A first line that names columns is passed over; columns after the reason are left out. Never raises."""
    entries: dict[str, SuppressionReason] = {}
    faults: list[str] = []
    for number, line in enumerate(text.lstrip("\ufeff").splitlines(), 1):
        cells = _cells(line)
        if not any(cells) or (number == 1 and cells[0].lower() in _HEADINGS):
            continue
        reason = _REASONS.get(cells[1].lower() if len(cells) > 1 else "")
        try:
            address = read_address(cells[0].removeprefix("'"))
        except BadAddress as error:
            faults.append(f"Line {number}: {error}.")
            continue
        if reason is None:
            faults.append(f"Line {number}: {cells[1]!r} is no reason: write {', '.join(SuppressionReason)}.")
            continue
        entries.setdefault(address, reason)
    if len(entries) > MAX_IMPORT:
        faults.append(f"The list has {len(entries):,} addresses: import at most {MAX_IMPORT:,} at once.")
    if not entries and not faults:
        faults.append("The list is empty: write an address on each line.")
    more = len(faults) - MAX_FAULTS
    if more > 0:
        faults = [*faults[:MAX_FAULTS], f"{more:,} more lines are wrong."]
    return PastedList(() if faults else tuple(entries.items()), tuple(faults))


def _cells(line: str) -> list[str]:
    """The cells of a line; commas, semicolons and tabs separate them."""
    separator = next((each for each in (";", "\t") if each in line and "," not in line), ",")
    try:
        found = next(csv.reader([line], delimiter=separator), [])
    except csv.Error:
        found = [line]
    return [cell.strip() for cell in found] or [""]
