"""Between single values and what a database stores: times, JSON, texts."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any, Final

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_IDS_EPOCH: Final = datetime(2024, 1, 1, tzinfo=UTC)  # as in sendryd.model.ids
_ID_SHIFT: Final = 22  # bits of node and counter
_ABOVE_ALL: Final = 1 << 62
_MILLISECOND: Final = timedelta(milliseconds=1)

_encode: Final = json.JSONEncoder(separators=(",", ":")).encode  # json.dumps would make one for every call


def to_ms(moment: datetime) -> int:
    """A time as stored."""
    return (moment - _EPOCH) // _MILLISECOND


def to_ms_or_none(moment: datetime | None) -> int | None:
    """A time as stored, if there is one."""
    return None if moment is None else (moment - _EPOCH) // _MILLISECOND


def from_ms(value: int) -> datetime:
    """A stored time."""
    return datetime.fromtimestamp(value / 1000, UTC)


def from_ms_or_none(value: int | None) -> datetime | None:
    """A stored time, if there is one."""
    return None if value is None else from_ms(value)


def first_id(moment: datetime) -> int:
    """Identifiers made before this time are smaller than this number."""
    return max(0, (moment - _IDS_EPOCH) // _MILLISECOND) << _ID_SHIFT


def to_json(value: object) -> str:
    """JSON as stored. Lone surrogates, which SQLite cannot hold, come out as escapes."""
    return _encode(value)


def contains(text: str) -> str:
    """The pattern of LIKE that finds a text anywhere; the escape is a backslash."""
    escaped = text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return f"%{escaped}%"


def clean(text: str) -> str:
    """Text without lone surrogates."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode("utf-8")


def clean_or_none(text: str | None) -> str | None:
    """Text without lone surrogates, if there is one."""
    return None if text is None else clean(text)


def read_object(text: str) -> dict[str, Any]:
    """A stored JSON object. Raises `ValueError` for everything else."""
    found = json.loads(text)
    if not isinstance(found, dict):
        raise ValueError("a JSON object was stored, and something else is there")
    return found


def id_below(before: int | None) -> int:
    """The number that the ids of a page stay below: that of the last item of the page before, or one above all ids."""
    return _ABOVE_ALL if before is None else before
