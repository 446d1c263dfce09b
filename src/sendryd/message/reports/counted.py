"""What a report says, while it is read and as a fence hands it over: plain values, with equal rows counted together and the smallest left out.

A report of a few kilobytes unpacks to megabytes, so its rows have a bound in octets besides that in number.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

MAX_ROWS: Final = 200  # of one report that are kept, the largest ones
MAX_OCTETS: Final = 64 * 1024  # of the kept rows of one report, as JSON in UTF-8: 200 ordinary rows take about 50 KiB
MAX_TEXT: Final = 255  # characters of a value about the whole report: a name of a domain
MAX_VALUE: Final = 100  # characters of a value in a row
MAX_NUMBER: Final = 10**12  # messages of a report: sums of all that are kept stay within what a database holds


def plain(text: str) -> str:
    """A stranger's value on one line, cut."""
    return "".join(letter if letter.isprintable() else " " for letter in text.strip()[:MAX_TEXT]).strip()


@dataclass(slots=True)
class Counted:
    """A report on its way. Times are in seconds since 1970."""

    topic: str = ""
    domain: str = ""
    reporter: str = ""
    report_key: str = ""
    begins_at: int = 0
    ends_at: int = 0
    policy: str = ""
    good: int = 0
    bad: int = 0
    numbers: dict[tuple[bool, str, tuple[tuple[str, str], ...]], int] = field(default_factory=dict)

    def add(self, number: int, *, is_good: bool, source: str, details: Mapping[str, str]) -> None:
        """Counts messages or sessions."""
        number = min(number, MAX_NUMBER)
        self.good = min(self.good + (number if is_good else 0), MAX_NUMBER)
        self.bad = min(self.bad + (0 if is_good else number), MAX_NUMBER)
        key = is_good, source[:MAX_VALUE], tuple((name, text[:MAX_VALUE]) for name, text in details.items())
        self.numbers[key] = min(self.numbers.get(key, 0) + number, MAX_NUMBER)

    def to_json(self, octets: int = MAX_OCTETS) -> dict[str, Any]:
        """The report as a fence hands it over, with as many rows as `octets` hold."""
        return {
            "topic": self.topic,
            "domain": self.domain,
            "reporter": self.reporter,
            "report_key": self.report_key,
            "begins_at": self.begins_at,
            "ends_at": self.ends_at,
            "policy": self.policy,
            "good": self.good,
            "bad": self.bad,
            "rows": self._rows(octets),
        }

    def _rows(self, octets: int) -> list[dict[str, Any]]:
        """The largest rows."""
        kept: list[dict[str, Any]] = []
        for (is_good, source, details), number in sorted(self.numbers.items(), key=lambda each: -each[1])[:MAX_ROWS]:
            row = {"number": number, "is_good": is_good, "source": source, "details": dict(details)}
            octets -= len(json.dumps(row, ensure_ascii=False, separators=(",", ":")).encode()) + len(",")
            if octets < 0:
                break
            kept.append(row)
        return kept
