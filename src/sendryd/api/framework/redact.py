"""What of a request and its answer may be kept in the log of API requests. Pure.

Secrets and the bodies of mail never are; of recipients only their number.
"""

import json
import math
from typing import Final

from sendryd.policy.credentials import without_keys
from sendryd.policy.urlguard import origin_of

MAX_KEPT: Final = 4096  # characters of one redacted body: what is longer is a list or an import, and says little
MAX_DEPTH: Final = 12
REDACTED: Final = "[redacted]"
_SECRETS: Final = frozenset({"key", "secret", "token", "password", "apikey", "api_key", "authorization", "smarthost"})
_URLS: Final = frozenset({"url"})  # where events are posted to: their paths and queries are a password of many services
_CONTENTS: Final = frozenset({"html", "text", "content", "variables"})
_RECIPIENTS: Final = frozenset({"to", "cc", "bcc"})


def redact(value: object, depth: int = 0) -> object:
    """A copy of JSON data that may be kept."""
    if depth > MAX_DEPTH:
        return REDACTED
    if isinstance(value, dict):
        return {name: _redact_field(name, each, depth) for name, each in value.items()}
    if isinstance(value, list):
        return [redact(each, depth + 1) for each in value]
    return value


def _redact_field(name: str, value: object, depth: int) -> object:
    word = name.lower()
    if value is None:
        return None
    if word in _SECRETS or word in _CONTENTS:
        return REDACTED
    if word in _URLS and isinstance(value, str):
        return origin_of(value)
    if word in _RECIPIENTS:
        count = len(value) if isinstance(value, list) else 1
        return f"[{count} recipient{'' if count == 1 else 's'}]"
    return redact(value, depth + 1)


def redacted_json(raw: bytes) -> str | None:
    """A body as it is kept; None if there was none, it is not JSON, or it is too long even so."""
    if not raw:
        return None
    try:
        data = json.loads(raw, parse_float=_number, parse_constant=str)
    except (ValueError, RecursionError):
        return None
    if not isinstance(data, dict | list):
        return None
    text = without_keys(json.dumps(redact(data), separators=(",", ":")))
    return text if len(text) <= MAX_KEPT else None


def _number(text: str) -> float | str:
    """A number, or the text of one that is too large: JSON has no word for infinity."""
    number = float(text)
    return number if math.isfinite(number) else text
