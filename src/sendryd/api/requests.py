"""What every handler needs of a request: the key, the paging, the answer."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response

from sendryd.api.wire import Json, error_json
from sendryd.intake.directory import Directory
from sendryd.model.apikey import ApiKey, Scope
from sendryd.model.ids import parse_id
from sendryd.policy.credentials import hash_key
from sendryd.policy.ratelimit import RateLimiter
from sendryd.policy.refusal import Refusal, RefusalKey
from sendryd.runtime.clock import Clock
from sendryd.runtime.log import get_logger

DEFAULT_LIMIT: Final = 50
MAX_LIMIT: Final = 100
MAX_TEXT: Final = 320  # characters that are looked for: an address has no more
REQUEST_ID_KEY: Final = "sendryd.request_id"  # in the ASGI scope
_NUMBER: Final = re.compile(r"[0-9]{1,6}", re.ASCII)
_DATE: Final = re.compile(r"[0-9]{4}-?[0-9]{2}-?[0-9]{2}", re.ASCII)
_LOST_PLUS: Final = re.compile(r"(:[0-9.]+) ([0-9:]+)\Z", re.ASCII)
_AUTH_DETAILS: Final = {"expected": "one header, Authorization: Bearer <API key>"}

log = get_logger("api")


class Refused(Exception):
    """A request that is answered with an error."""

    def __init__(self, refusal: Refusal, *, details: Mapping[str, Any] | None = None, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(refusal.sentence)
        self.refusal = refusal
        self.details = details
        self.headers = dict(headers or {})


@dataclass(frozen=True, slots=True)
class Gate:
    """Who may come in, and how often."""

    directory: Directory
    clock: Clock
    limiter: RateLimiter | None  # None: no limit

    async def admit(self, request: Request, needed: Scope = Scope.READ_ONLY) -> ApiKey:
        """The key of a request. Raises `Refused`: with one and the same answer for every key that is not good, and for none at all."""
        values = request.headers.getlist("authorization")
        key = await self._find_key(values[0]) if len(values) == 1 else None
        if key is None:
            log.info("authentication_failed", client=request.client.host if request.client else None, request_id=request_id(request))
            raise Refused(Refusal(RefusalKey.AUTH_FAILED), details=_AUTH_DETAILS, headers={"WWW-Authenticate": "Bearer"})
        if self.limiter is not None:
            wait = self.limiter.take(key.id, self.clock.monotonic())
            if wait > 0:
                raise Refused(Refusal(RefusalKey.RATE_LIMITED), headers={"Retry-After": str(wait)})
        if not key.may(needed):
            raise Refused(Refusal(RefusalKey.SCOPE_MISSING, needed.value))
        self.directory.touch(key)
        return key

    async def _find_key(self, value: str) -> ApiKey | None:
        scheme, _, secret = value.partition(" ")  # RFC 9110 §11.4: the scheme in any case
        secret_hash = hash_key(secret.strip(" ")) if scheme.lower() == "bearer" else None
        return await self.directory.find_key(secret_hash) if secret_hash else None


def request_id(request: Request) -> str:
    """The id under which a request stands in the log and in its answer."""
    return str(request.scope.get(REQUEST_ID_KEY, ""))


def encode(body: Json) -> bytes:
    """JSON text. Lone surrogates, which UTF-8 cannot say, go out as escapes."""
    text = json.dumps(body, ensure_ascii=False, separators=(",", ":"))
    try:
        return text.encode("utf-8")
    except UnicodeEncodeError:
        return json.dumps(body, separators=(",", ":")).encode("ascii")


def respond(body: Json | bytes, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """A JSON answer, from data or from text made by `encode`."""
    content = body if isinstance(body, bytes) else encode(body)
    return Response(content, status, headers=dict(headers or {}), media_type="application/json")


def refuse(refused: Refused) -> Response:
    """The answer to a refused request."""
    refusal = refused.refusal
    body = error_json(refusal.http_status, refusal.http_code, refusal.sentence, refused.details)
    if refusal.key is RefusalKey.RATE_LIMITED and "Retry-After" in refused.headers:
        body["error"]["retry_after"] = int(refused.headers["Retry-After"])
    return respond(body, refusal.http_status, refused.headers)


def invalid(field: str, message: str) -> Refused:
    """A 422 that names the field."""
    return Refused(Refusal(RefusalKey.VALIDATION_ERROR, message), details={"field": field})


def not_found(what: str) -> Refused:
    """A 404."""
    return Refused(Refusal(RefusalKey.NOT_FOUND, what))


def read_limit(request: Request) -> int:
    """`limit`, 1 to 100."""
    text = request.query_params.get("limit")
    if text is None:
        return DEFAULT_LIMIT
    if not _NUMBER.fullmatch(text) or not 1 <= int(text) <= MAX_LIMIT:
        raise invalid("limit", f"limit is a number from 1 to {MAX_LIMIT}")
    return int(text)


def read_cursor(request: Request, *prefixes: str) -> int | None:
    """`cursor`: the id of the last row of the page before."""
    text = request.query_params.get("cursor")
    if not text:
        return None
    number = parse_id(text, *prefixes)
    if number is None:
        raise invalid("cursor", "cursor is the next_cursor of an earlier page")
    return number


def read_word(request: Request, name: str, words: Mapping[str, Any]) -> Any:
    """A query parameter that is one of some words; None if it is not given."""
    text = request.query_params.get(name)
    if not text:
        return None
    if text not in words:
        raise invalid(name, f"{name} is one of {', '.join(words)}")
    return words[text]


def read_text(request: Request, name: str) -> str | None:
    """A query parameter that is looked for; None if it is not given."""
    text = request.query_params.get(name)
    if text and len(text) > MAX_TEXT:
        raise invalid(name, f"{name} has at most {MAX_TEXT} characters")
    return text or None


def read_moment(request: Request, name: str, *, is_end: bool = False) -> datetime | None:
    """A query parameter that is a date or a time in ISO 8601; without a zone it is UTC. A date alone is its beginning, or its end."""
    text = request.query_params.get(name)
    if not text:
        return None
    try:
        # A plus sign that a client did not encode has become a space.
        moment = datetime.fromisoformat(_LOST_PLUS.sub(r"\1+\2", text))
        moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        if is_end and _DATE.fullmatch(text):
            moment += timedelta(days=1, milliseconds=-1)
    except (ValueError, OverflowError):
        raise invalid(name, f"{name} is a date or time in ISO 8601, as 2026-05-31 or 2026-05-31T14:22:01Z") from None
    return moment
