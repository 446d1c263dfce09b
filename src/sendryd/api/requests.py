"""What every handler needs of a request: the key, the paging, the answer."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
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

DEFAULT_LIMIT: Final = 50
MAX_LIMIT: Final = 100
_NUMBER: Final = re.compile(r"[0-9]{1,6}", re.ASCII)


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
        """The key of a request. Raises `Refused`."""
        values = request.headers.getlist("authorization")
        scheme, _, secret = values[0].partition(" ") if len(values) == 1 else ("", "", "")
        secret_hash = hash_key(secret.strip()) if scheme.lower() == "bearer" else None
        key = await self.directory.find_key(secret_hash) if secret_hash else None
        if key is None:
            refusal = Refusal(RefusalKey.AUTH_FAILED if values else RefusalKey.AUTH_REQUIRED)
            raise Refused(refusal, headers={"WWW-Authenticate": "Bearer"})
        if not key.may(needed):
            raise Refused(Refusal(RefusalKey.SCOPE_MISSING, needed.value))
        if self.limiter is not None:
            wait = self.limiter.take(key.id, self.clock.monotonic())
            if wait > 0:
                raise Refused(Refusal(RefusalKey.RATE_LIMITED), headers={"Retry-After": str(wait)})
        self.directory.touch(key)
        return key


def respond(body: Json | list[Any], status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """A JSON answer. Lone surrogates, which UTF-8 cannot say, go out as escapes."""
    text = json.dumps(body, ensure_ascii=False, separators=(",", ":"))
    try:
        content = text.encode("utf-8")
    except UnicodeEncodeError:
        content = json.dumps(body, separators=(",", ":")).encode("ascii")
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


def read_moment(request: Request, name: str) -> datetime | None:
    """A query parameter that is a date or a time in ISO 8601; without a zone it is UTC."""
    text = request.query_params.get(name)
    if not text:
        return None
    try:
        moment = datetime.fromisoformat(text.replace(" ", "+"))
    except ValueError:
        raise invalid(name, f"{name} is a date or time in ISO 8601") from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
