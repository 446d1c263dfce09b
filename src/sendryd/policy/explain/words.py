"""The parts of an explanation, and how it names times, counts and receivers."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Final


class Tone(StrEnum):
    """How a page marks the explanation: shape and colour."""

    OK = "ok"  # delivered
    GO = "go"  # under way, nothing is wrong
    SLOW = "slow"  # put off; another attempt follows
    BAD = "bad"  # failed
    HOLD = "hold"  # a person or the program stopped it
    ABUSE = "abuse"  # reported as spam
    OFF = "off"  # not sent on purpose


class Action(StrEnum):
    """What the reader can do; the value is the button's text."""

    OPEN_QUEUE = "Open its queue"
    CHANGE_TIME = "Change"
    SEND_NOW = "Send now"
    CANCEL = "Cancel"
    RELEASE = "Release"
    RESUME = "Go on"
    CHECK = "Check"
    SHOW_RULE = "Rule"
    LIFT = "Lift"
    CONTENT_CHECKS = "Checks"
    HEALTH = "Health"
    SHOW_EDIT = "Show the edit"
    SEND_AGAIN = "Send again"
    SEND_TO_OTHER = "Send to the other"
    SHOW_CAUSE = "That mail"
    COPY_PROOF = "Copy the proof"
    REPORT = "Report"
    TRY_NOW = "Try now"
    OPEN_TEST = "Open there"
    VERIFY = "Verify it"
    SMTP_LOG = "SMTP log"


@dataclass(frozen=True, slots=True)
class Explanation:
    """What a person reads about a delivery."""

    tone: Tone
    sentence: str  # what happens, and who acted
    advice: str = ""  # what the reader should do; empty if nothing needs doing
    actions: tuple[Action, ...] = ()
    detail: str = ""  # the receiver's own words

    @property
    def text(self) -> str:
        """Sentence and advice in one line, for the command line and the log."""
        return f"{self.sentence} {self.advice}".rstrip()


_PROVIDERS: Final = {
    "gmail.com": "Gmail",
    "googlemail.com": "Gmail",
    "outlook.com": "Outlook",
    "hotmail.com": "Outlook",
    "live.com": "Outlook",
    "msn.com": "Outlook",
    "yahoo.com": "Yahoo",
    "ymail.com": "Yahoo",
    "aol.com": "AOL",
    "icloud.com": "iCloud",
    "me.com": "iCloud",
    "gmx.de": "GMX",
    "gmx.net": "GMX",
    "web.de": "WEB.DE",
}
_SHORT: Final = timedelta(minutes=2)
_LONG: Final = timedelta(hours=2)
_DAYS: Final = timedelta(days=2)
_WEEK: Final = timedelta(days=6)


def receiver(domain: str) -> str:
    """The receiver as people call it: `Gmail` for gmail.com, else the domain itself."""
    return _PROVIDERS.get(domain, domain)


def span(duration: timedelta) -> str:
    """A duration in its largest fitting unit: `40 s`, `10 min`, `16 h`, `3 days`. Negative ones count as zero."""
    seconds = max(0, round(duration.total_seconds()))
    if duration < _SHORT:
        return f"{seconds} s"
    if duration < _LONG:
        return f"{seconds // 60} min"
    if duration < _DAYS:
        return f"{seconds // 3600} h"
    return f"{seconds // 86400} days"


def clock(moment: datetime, now: datetime) -> str:
    """A time in UTC, as short as it is clear beside now: `14:05 UTC`, `Tuesday 09:00 UTC`, `3 May 09:00 UTC`."""
    moment = moment.astimezone(UTC)
    time = f"{moment:%H:%M} UTC"
    if moment.date() == now.astimezone(UTC).date():
        return time
    if abs(moment - now) < _WEEK:
        return f"{moment:%A} {time}"
    return f"{moment.day} {moment:%B} {time}"


def day(moment: datetime, now: datetime) -> str:
    """A day in UTC: `3 May`, with the year if it is another than now's."""
    moment = moment.astimezone(UTC)
    text = f"{moment.day} {moment:%B}"
    return text if moment.year == now.astimezone(UTC).year else f"{text} {moment.year}"


def count(number: int, one: str, many: str) -> str:
    """`1 try`, `1,204 tries`."""
    return f"{number:,} {one if number == 1 else many}"


def listing(names: tuple[str, ...]) -> str:
    """`mx1`, `mx1 and mx2`, `mx1, mx2 and 3 more`."""
    if len(names) > 2:
        return f"{names[0]}, {names[1]} and {len(names) - 2} more"
    return " and ".join(names)
