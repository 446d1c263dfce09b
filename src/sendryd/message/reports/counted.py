"""What a report says, while it is read and as a fence hands it over: plain values, with equal rows counted together and the smallest left out."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

MAX_ROWS: Final = 200  # of one report that are kept, the largest ones
MAX_TEXT: Final = 255  # characters of one value
MAX_NUMBER: Final = 10**12  # messages of a row, so that sums stay within what a database holds


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
        self.good += number if is_good else 0
        self.bad += 0 if is_good else number
        key = is_good, source, tuple(details.items())
        self.numbers[key] = self.numbers.get(key, 0) + number

    def to_json(self) -> dict[str, Any]:
        """The report as a fence hands it over."""
        rows = sorted(self.numbers.items(), key=lambda each: -each[1])[:MAX_ROWS]
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
            "rows": [
                {"number": number, "is_good": is_good, "source": source, "details": dict(details)}
                for (is_good, source, details), number in rows
            ],
        }
