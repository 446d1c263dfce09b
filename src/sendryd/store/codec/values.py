"""Converts single values to their stored form and back: times, JSON, texts."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any, Final

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_IDS_EPOCH: Final = datetime(2024, 1, 1, tzinfo=UTC)  # as in sendryd.model.ids
_ID_SHIFT: Final = 22  # bits of node and counter
_ABOVE_ALL: Final = 1 << 62
_MILLISECOND: Final = timedelta(milliseconds=1)

_encode: Final = json.JSONEncoder(separators=(",", ":")).encode  # json.dumps would build an encoder in each call
_encode_utf8: Final = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False).encode


def to_ms(moment: datetime) -> int:
    """Milliseconds since 1970-01-01 UTC."""
    return (moment - _EPOCH) // _MILLISECOND


def to_ms_or_none(moment: datetime | None) -> int | None:
    """Milliseconds since 1970-01-01 UTC, or None."""
    return None if moment is None else (moment - _EPOCH) // _MILLISECOND


def from_ms(value: int) -> datetime:
    """The time of a number of milliseconds since 1970-01-01 UTC."""
    return datetime.fromtimestamp(value / 1000, UTC)


def from_ms_or_none(value: int | None) -> datetime | None:
    """The time of a number of milliseconds since 1970-01-01 UTC, or None."""
    return None if value is None else from_ms(value)


def first_id(moment: datetime) -> int:
    """The lowest identifier of this time: all earlier identifiers are smaller."""
    return max(0, (moment - _IDS_EPOCH) // _MILLISECOND) << _ID_SHIFT


def time_of(number: int) -> datetime:
    """The time in an identifier."""
    return _IDS_EPOCH + (number >> _ID_SHIFT) * _MILLISECOND


def to_json(value: object) -> str:
    """JSON as stored. Lone surrogates, which SQLite cannot hold, become escapes."""
    return _encode(value)


def to_utf8_json(value: object) -> str:
    """JSON as stored, with other letters than those of ASCII as they are: of a stranger's text an escape takes up to three times the room. Lone surrogates
    become `?`.
    """
    return clean(_encode_utf8(value))


def contains(text: str) -> str:
    """The LIKE pattern that finds a text anywhere; the escape character is a backslash."""
    escaped = text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return f"%{escaped}%"


def clean(text: str) -> str:
    """The text with lone surrogates replaced by `?`."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode("utf-8")


def clean_or_none(text: str | None) -> str | None:
    """The text with lone surrogates replaced by `?`, or None."""
    return None if text is None else clean(text)


def read_object(text: str) -> dict[str, Any]:
    """A stored JSON object. Raises `ValueError` if the text is another JSON value or not JSON."""
    found = json.loads(text)
    if not isinstance(found, dict):
        raise ValueError("the stored value is not a JSON object")
    return found


def id_below(before: int | None) -> int:
    """The upper bound, exclusive, of a page's ids: the last id of the previous page, or a number above all ids."""
    return _ABOVE_ALL if before is None else before
