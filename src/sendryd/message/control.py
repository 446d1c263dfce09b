"""Control headers: instructions to this server in header fields, for programs that can only speak SMTP.

An invalid value is refused, and so is an unknown name: no instruction is silently ignored.
"""

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import urlsplit

from sendryd.message.author import decode_text
from sendryd.message.headers import HeaderBlock

PREFIX: Final = b"x-sendry-"
ORIGINAL_TO: Final = b"x-sendry-original-to"  # no instruction: a redirected message that comes in again has it
MAX_KEY: Final = 256  # characters of an idempotency key: the contract
MAX_URL: Final = 900  # octets: with it the List-Unsubscribe field stays within a line
_TAG: Final = re.compile(r"[A-Za-z0-9_.@-]{1,256}=[A-Za-z0-9_.@-]{1,256}")  # the characters that the REST API allows in tags
_TRACKED: Final = frozenset({"opens", "clicks"})
_PRINTABLE: Final = re.compile(r"[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?")
_HTTP_URL: Final = re.compile(r"https?://[\x21-\x7e]+", re.IGNORECASE)
PRIORITIES: Final = ("otp", "transactional", "bulk")  # the contract
_SHOWN: Final = 60  # characters of an unknown name that are quoted


class BadControlHeader(ValueError):
    """A control header that cannot be obeyed. The message is its name, followed by the fault in brackets."""

    def __init__(self, name: bytes, reason: str = "") -> None:
        shown = "-".join(word.capitalize() for word in name.decode("ascii", "replace")[:_SHOWN].split("-"))
        super().__init__(f"{shown} ({reason})" if reason else shown)


@dataclass(frozen=True, slots=True, kw_only=True)
class Orders:
    """The instructions in a message's control headers."""

    track_opens: bool | None = None  # None: the domain's setting applies
    track_clicks: bool | None = None
    tags: tuple[tuple[str, str], ...] = ()
    template_id: str | None = None
    variables: Mapping[str, Any] = field(default_factory=dict)
    scheduled_at: str | None = None  # in the formats of the REST API
    idempotency_key: str | None = None
    unsubscribe_url: str | None = None
    priority: str | None = None  # a word of PRIORITIES


NO_ORDERS: Final = Orders()


def read_orders(headers: HeaderBlock) -> Orders:
    """Reads the instructions in a header block. Raises `BadControlHeader`."""
    found: dict[bytes, str] = {}
    tags: list[tuple[str, str]] = []
    for each in headers.fields:
        if not each.name.startswith(PREFIX) or each.name == ORIGINAL_TO:
            continue
        value = decode_text(headers.value(each))
        if each.name == b"x-sendry-tag":
            tags.append(_read_tag(each.name, value))
        elif each.name in found:
            raise BadControlHeader(each.name, "give it once")
        elif each.name not in _KNOWN:
            raise BadControlHeader(each.name, _UNAVAILABLE.get(each.name, ""))
        else:
            found[each.name] = value
    if not found and not tags:
        return NO_ORDERS
    opens, clicks = _read_tracking(found.get(b"x-sendry-track"))
    variables = found.get(b"x-sendry-variables")
    if variables is not None and b"x-sendry-template-id" not in found:
        raise BadControlHeader(b"x-sendry-variables", "it belongs to X-Sendry-Template-Id")
    return Orders(
        track_opens=opens,
        track_clicks=clicks,
        tags=tuple(tags),
        template_id=found.get(b"x-sendry-template-id"),
        variables=_read_variables(variables) if variables is not None else {},
        scheduled_at=found.get(b"x-sendry-scheduled-at"),
        idempotency_key=_read_key(found.get(b"x-sendry-idempotency-key")),
        unsubscribe_url=_read_url(found.get(b"x-sendry-unsubscribe-url")),
        priority=_read_priority(found.get(b"x-sendry-priority")),
    )


_KNOWN: Final = frozenset(
    {
        b"x-sendry-track",
        b"x-sendry-template-id",
        b"x-sendry-variables",
        b"x-sendry-scheduled-at",
        b"x-sendry-idempotency-key",
        b"x-sendry-unsubscribe-url",
        b"x-sendry-priority",
    }
)
_UNAVAILABLE: Final = {b"x-sendry-topic-id": "there are no topics yet"}


def _read_tag(name: bytes, value: str) -> tuple[str, str]:
    if not _TAG.fullmatch(value):
        raise BadControlHeader(name, "write name=value in letters, digits and _ - . @")
    tag, _, content = value.partition("=")
    return tag, content


def _read_tracking(value: str | None) -> tuple[bool | None, bool | None]:
    if value is None:
        return None, None
    words = {word.strip().lower() for word in value.split(",")}
    if words == {"none"}:
        return False, False
    if not words or words - _TRACKED:
        raise BadControlHeader(b"x-sendry-track", "write opens, clicks, both with a comma, or none")
    return "opens" in words, "clicks" in words


def _read_variables(value: str) -> Mapping[str, Any]:
    try:
        variables = json.loads(value, parse_constant=_read_number, parse_float=_read_number)
        json.dumps(variables, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise BadControlHeader(b"x-sendry-variables", "write no halves of characters, as \\ud800 is") from None
    except OverflowError:
        raise BadControlHeader(b"x-sendry-variables", "write only numbers that JSON can say") from None
    except (ValueError, RecursionError):
        variables = None
    if not isinstance(variables, dict):
        raise BadControlHeader(b"x-sendry-variables", "write a JSON object")
    return variables


def _read_number(text: str) -> float:
    """Parses a JSON number. Refuses NaN and Infinity, which Python accepts and which 1e999 becomes."""
    number = float(text)
    if not math.isfinite(number):
        raise OverflowError(f"{text} is no number that JSON can say")
    return number


def _read_key(value: str | None) -> str | None:
    if value is not None and (len(value) > MAX_KEY or not _PRINTABLE.fullmatch(value)):
        raise BadControlHeader(b"x-sendry-idempotency-key", f"write 1 to {MAX_KEY} printable ASCII characters")
    return value


def is_http_url(text: str) -> bool:
    """Whether a text is an http or https URL with a host, in printable ASCII (RFC 3986 §3)."""
    try:
        return _HTTP_URL.fullmatch(text) is not None and bool(urlsplit(text).hostname)
    except ValueError:  # of brackets without an address
        return False


def _read_url(value: str | None) -> str | None:
    if value is not None and (len(value) > MAX_URL or not is_http_url(value)):
        raise BadControlHeader(b"x-sendry-unsubscribe-url", "write an http or https URL")
    return value


def _read_priority(value: str | None) -> str | None:
    word = value.strip().lower() if value is not None else None
    if word is not None and word not in PRIORITIES:
        raise BadControlHeader(b"x-sendry-priority", "write otp, transactional or bulk")
    return word
