"""Parses send times: ISO 8601, or one of the phrases of the public contract. Pure.

"in 2 hours", "tomorrow morning", "next Monday at 14:30", "Friday at 9am EST", "noon Europe/Berlin". It has its own grammar: general
libraries for dates in prose guess, and a message must not be sent at a guessed time.

A zone by its letters (ET, PT) follows daylight saving. A local time that a zone skips becomes the time an hour later; of one that occurs twice, the
first is meant.
"""

import re
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from typing import Final
from zoneinfo import ZoneInfo

MAX_AHEAD: Final = timedelta(days=30)  # the contract
TOLERANCE: Final = timedelta(minutes=5)  # a past time this close counts as now: clocks differ, and requests take time
MAX_LENGTH: Final = 100  # characters: longer than any phrase

_FORMS: Final = (
    "write a time in ISO 8601 such as 2026-05-31T14:00:00Z, or a phrase such as 'in 2 hours', 'tomorrow at 9am' or 'Friday at 3pm ET'"
)
_ISO: Final = re.compile(
    r"\d{4}-\d{2}-\d{2}(?:[T ]\d{2}:\d{2}(?::\d{2}(?:[.,]\d{1,9})?)?\s?(?:Z|[+-]\d{2}(?::?\d{2})?)?)?", re.ASCII | re.IGNORECASE
)
_IN: Final = re.compile(
    r"in (?:(an?|\d{1,5}) )(seconds?|secs?|minutes?|mins?|hours?|hrs?|days?|weeks?)(?: and (an?|\d{1,5}) (minutes?|mins?|hours?|hrs?))?",
    re.ASCII,
)
_CLOCK: Final = re.compile(r"(\d{1,2})(?::(\d{2}))?(?::(\d{2}))? ?(am|pm|a\.m\.|p\.m\.)?", re.ASCII)
_OFFSET: Final = re.compile(r"(?:utc|gmt)?([+-])(\d{1,2})(?::?(\d{2}))?", re.ASCII)
_ZONE_NAME: Final = re.compile(r"[A-Za-z]+(?:/[A-Za-z_+-]+){1,2}", re.ASCII)
_UNITS: Final = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_DAYS: Final = {
    name: number
    for number, names in enumerate(
        ("monday mon", "tuesday tue tues", "wednesday wed", "thursday thu thur thurs", "friday fri", "saturday sat", "sunday sun")
    )
    for name in names.split()
}
_TIMES: Final = {
    "morning": (9, 0),
    "noon": (12, 0),
    "midday": (12, 0),
    "afternoon": (14, 0),
    "evening": (18, 0),
    "night": (20, 0),
    "midnight": (0, 0),
}
_ABBREVIATIONS: Final = {
    **dict.fromkeys(("utc", "gmt", "z"), "UTC"),
    **dict.fromkeys(("et", "eastern"), "America/New_York"),
    **dict.fromkeys(("ct", "central"), "America/Chicago"),
    **dict.fromkeys(("mt", "mountain"), "America/Denver"),
    **dict.fromkeys(("pt", "pacific"), "America/Los_Angeles"),
}
_FIXED: Final = {
    "est": -300,
    "edt": -240,
    "cst": -360,
    "cdt": -300,
    "mst": -420,
    "mdt": -360,
    "pst": -480,
    "pdt": -420,
    "akst": -540,
    "hst": -600,
    "wet": 0,
    "west": 60,
    "bst": 60,
    "cet": 60,
    "cest": 120,
    "eet": 120,
    "eest": 180,
    "msk": 180,
    "ist": 330,
    "sgt": 480,
    "jst": 540,
    "kst": 540,
    "aest": 600,
    "aedt": 660,
    "nzst": 720,
    "nzdt": 780,
}  # minutes east of UTC
_DEFAULT_TIME: Final = (9, 0)  # hour and minute for a day without a time


class ScheduleError(ValueError):
    """A send time is invalid; the message is a sentence that says what to write."""


def parse_scheduled_at(text: str, now: datetime, *, zone: str | None = None) -> datetime:
    """The send time of a text, aware UTC, not before now. `zone`, an IANA name, applies where the text has none; default UTC.

    Raises `ScheduleError` for an unknown phrase, a past time, and one more than 30 days ahead.
    """
    if len(text) > MAX_LENGTH:
        raise ScheduleError(_FORMS)
    words = " ".join(text.replace("\u00a0", " ").split())
    try:
        moment = _read_iso(words, _named_zone(zone)) if _ISO.fullmatch(words) else _read_phrase(words, now, _named_zone(zone))
        moment = moment.astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise error if isinstance(error, ScheduleError) else ScheduleError(_FORMS) from None
    if moment < now - TOLERANCE:
        raise ScheduleError("the time is past: give one that lies ahead")
    if moment > now + MAX_AHEAD:
        raise ScheduleError(f"the time is more than {MAX_AHEAD.days} days ahead: give an earlier one")
    return max(moment, now)


def _named_zone(name: str | None) -> tzinfo:
    if name is None:
        return UTC
    try:
        return ZoneInfo(name)
    except (KeyError, OSError, ValueError):  # an unknown name, or a path
        raise ScheduleError(f"there is no time zone {name!r}: write one such as Europe/Berlin") from None


def _read_iso(text: str, zone: tzinfo) -> datetime:
    moment = datetime.fromisoformat(re.sub(r"(?<=\d) (?=[+-Zz])", "", text.replace(" ", "T", 1) if len(text) > 10 else text).upper())
    return moment if moment.tzinfo is not None else _settle(moment, zone)


def _settle(moment: datetime, zone: tzinfo) -> datetime:
    """A local time in its zone; a skipped time is moved on by the length of the gap."""
    local = moment.replace(tzinfo=zone, fold=0)
    return local.astimezone(UTC)


def _read_phrase(text: str, now: datetime, zone: tzinfo) -> datetime:
    words = text.lower()
    if words in {"now", "immediately"}:
        return now
    relative = _IN.fullmatch(words)
    if relative:
        return now + _length(relative[1], relative[2]) + (_length(relative[3], relative[4]) if relative[3] else timedelta(0))
    words, zone = _take_zone(text, zone)
    local = now.astimezone(zone)
    day, rest, is_weekday = _take_day(words, local)
    time = _read_time(rest)
    if day is None:
        if time is None:
            raise ScheduleError(_FORMS)
        day = local
        if _settle(_at(day, time), zone) <= now:
            day += timedelta(days=1)
    moment = _settle(_at(day, time or _DEFAULT_TIME), zone)
    if is_weekday and moment <= now:
        moment = _settle(_at(day + timedelta(days=7), time or _DEFAULT_TIME), zone)
    return moment


def _length(number: str, unit: str) -> timedelta:
    return timedelta(**{_UNITS[unit[0]]: 1 if number in {"a", "an"} else int(number)})


def _at(day: datetime, time: tuple[int, int]) -> datetime:
    return day.replace(hour=time[0], minute=time[1], second=0, microsecond=0, tzinfo=None)


def _take_zone(text: str, zone: tzinfo) -> tuple[str, tzinfo]:
    """The phrase, lower case, without the zone at its end, and that zone."""
    head, _, last = text.rpartition(" ")
    last = last.strip("()")
    word = last.lower()
    if word in _ABBREVIATIONS:
        return head.lower(), ZoneInfo(_ABBREVIATIONS[word])
    if word in _FIXED:
        return head.lower(), timezone(timedelta(minutes=_FIXED[word]))
    if _ZONE_NAME.fullmatch(last):
        return head.lower(), _named_zone(last)
    offset = _OFFSET.fullmatch(word)
    if offset and head:
        minutes = int(offset[2]) * 60 + int(offset[3] or 0)
        return head.lower(), timezone(timedelta(minutes=minutes if offset[1] == "+" else -minutes))
    return text.lower(), zone


def _take_day(words: str, local: datetime) -> tuple[datetime | None, str, bool]:
    """The day at the beginning of a phrase, the rest of the phrase, and whether the day is a day of the week."""
    first, _, rest = words.removeprefix("on ").partition(" ")
    first = first.rstrip(",")
    if first == "today":
        return local, rest, False
    if first == "tonight":
        return local, rest or "night", False
    if first == "tomorrow":
        return local + timedelta(days=1), rest, False
    is_next = first in {"next", "this"}
    name, _, behind = rest.partition(" ") if is_next else (first, "", rest)
    name = name.rstrip(",")
    if first == "next" and name == "week":
        return local + timedelta(days=7), behind, False
    if name in _DAYS:
        ahead = (_DAYS[name] - local.weekday()) % 7
        return local + timedelta(days=ahead or (7 if first == "next" else 0)), behind, True
    return None, words, False


def _read_time(words: str) -> tuple[int, int] | None:
    """The time of day of a phrase; None if it has none."""
    words = words.strip()
    for lead in ("at ", "in the ", "by "):
        words = words.removeprefix(lead)
    if not words:
        return None
    if words in _TIMES:
        return _TIMES[words]
    match = _CLOCK.fullmatch(words)
    if not match or (match[2] is None and match[4] is None):
        raise ScheduleError(_FORMS)
    hour, minute, half = int(match[1]), int(match[2] or 0), (match[4] or "").replace(".", "")
    if half:
        if not 1 <= hour <= 12:
            raise ScheduleError(_FORMS)
        hour = hour % 12 + (12 if half == "pm" else 0)
    if hour > 23 or minute > 59:
        raise ScheduleError(_FORMS)
    return hour, minute
