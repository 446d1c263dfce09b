"""What every handler needs of a request: the key, the paging, the answer."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, TypeVar

from starlette.requests import Request
from starlette.responses import Response

from sendryd.api.framework.answers import error_json
from sendryd.api.framework.ratelimits import RateLimits
from sendryd.intake.directory import Directory
from sendryd.model.apikey import ApiKey, Scope
from sendryd.model.ids import API_KEY_PREFIX, format_id, parse_id
from sendryd.policy.credentials import hash_key
from sendryd.policy.refusal import Refusal, RefusalKey
from sendryd.runtime.clock import Clock
from sendryd.runtime.maillog import MailLog

PIECE: Final = 64 * 1024  # characters of a text that are encoded in one go: at most a millisecond
REQUEST_ID_KEY: Final = "sendryd.request_id"  # in the ASGI scope
_BLANKS: Final = " \t"  # RFC 9110 §5.6.3; copied from a page or a file, a key often has some around it
_AUTH_DETAILS: Final = {"expected": "one header, Authorization: Bearer <API key>"}


# Not AUTH_FAILED and KEY_MISSING: `identify` logs them for every operation.
_REFUSED_BEFORE_INTAKE: Final = frozenset(
    {
        RefusalKey.VALIDATION_ERROR,
        RefusalKey.BAD_REQUEST,
        RefusalKey.MESSAGE_TOO_BIG,
        RefusalKey.SCOPE_MISSING,
        RefusalKey.RATE_LIMITED,
        RefusalKey.NOT_FOUND,
        RefusalKey.CONFLICT,
        RefusalKey.IDEMPOTENCY_CONFLICT,
    }
)

Word = TypeVar("Word")
Id = TypeVar("Id", bound=int)


class Refused(Exception):
    """A request that is answered with an error."""

    def __init__(self, refusal: Refusal, *, details: Mapping[str, object] | None = None, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(refusal.sentence)
        self.refusal = refusal
        self.details = details
        self.headers = dict(headers or {})


@dataclass(frozen=True, slots=True)
class Gate:
    """Who may come in, and how often."""

    directory: Directory
    clock: Clock
    limiter: RateLimits | None  # None: no limit
    mail_log: MailLog

    async def identify(self, request: Request) -> ApiKey:
        """The key of a request. Raises `Refused`, with one answer for all keys that are not valid, and another one for a missing key."""
        values = request.headers.getlist("authorization")
        key = await self._find_key(values[0]) if len(values) == 1 else None
        if key is None:
            refusal = Refusal(RefusalKey.AUTH_FAILED if values else RefusalKey.KEY_MISSING)
            client = request.client.host if request.client else None
            self.mail_log.refused(refusal, door="rest", client=client, request_id=request_id(request))
            raise Refused(refusal, details=_AUTH_DETAILS, headers={"WWW-Authenticate": "Bearer"})
        return key

    def check(self, key: ApiKey, needed: Scope, headers: dict[str, str], address: str) -> None:
        """Whether a key may do what it asks for, now. Adds to the headers of the answer how it stands with its limit. Raises `Refused`."""
        if self.limiter is not None:
            standing = self.limiter.take(key.id, self.clock.monotonic())
            headers["RateLimit-Limit"] = str(standing.limit)
            headers["RateLimit-Remaining"] = str(standing.remaining)
            headers["RateLimit-Reset"] = str(standing.reset)
            if standing.wait > 0:
                raise Refused(Refusal(RefusalKey.RATE_LIMITED), headers={"Retry-After": str(standing.wait)})
        if not key.may(needed):
            raise Refused(Refusal(RefusalKey.SCOPE_MISSING, needed.value))
        self.directory.touch(key, address)

    def log_refusal(self, refusal: Refusal, request: Request, caller: ApiKey | None) -> None:
        """A request for mail that is not taken. What intake refuses is not said twice: intake has logged it."""
        if refusal.key in _REFUSED_BEFORE_INTAKE:
            client = request.client.host if request.client else None
            key = format_id(API_KEY_PREFIX, caller.id) if caller else None
            self.mail_log.refused(refusal, door="rest", client=client, key=key, request_id=request_id(request))

    async def _find_key(self, value: str) -> ApiKey | None:
        scheme, _, secret = value.strip(_BLANKS).replace("\t", " ").partition(" ")  # RFC 9110 §11.4: the scheme in any case
        secret_hash = hash_key(secret.strip(_BLANKS)) if scheme.lower() == "bearer" else None
        return await self.directory.find_key(secret_hash) if secret_hash else None


def request_id(request: Request) -> str:
    """The id under which a request stands in the log and in its answer."""
    return str(request.scope.get(REQUEST_ID_KEY, ""))


def encode(body: Mapping[str, object]) -> bytes:
    """JSON text. Lone surrogates, which UTF-8 cannot say, go out as escapes."""
    return _encode_value(body)


def _encode_value(value: object) -> bytes:
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    try:
        return text.encode("utf-8")
    except UnicodeEncodeError:
        return json.dumps(value, separators=(",", ":")).encode("ascii")


def encode_large(body: Mapping[str, object]) -> bytes:
    """The same for an answer with texts of a large message, a piece at a time: one call over all would keep the other threads waiting."""
    pieces = [b"{"]
    for name, value in body.items():
        pieces.append(b"," if len(pieces) > 1 else b"")
        pieces += (_encode_value(name), b":")
        if isinstance(value, str) and len(value) > PIECE:
            pieces.append(b'"')
            pieces += (_encode_value(value[start : start + PIECE])[1:-1] for start in range(0, len(value), PIECE))
            pieces.append(b'"')
        else:
            pieces.append(_encode_value(value))
    return b"".join([*pieces, b"}"])


def respond(body: Mapping[str, object] | bytes, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """A JSON answer, from data or from text made by `encode`."""
    content = body if isinstance(body, bytes) else encode(body)
    return Response(content, status, headers=dict(headers or {}), media_type="application/json")


def refuse(refused: Refused) -> Response:
    """The answer to a refused request."""
    refusal = refused.refusal
    body = error_json(refusal.http_status, refusal.http_code, refusal.sentence, refused.details)
    if refusal.http_status == 429 and "Retry-After" in refused.headers:
        body["error"]["retry_after"] = int(refused.headers["Retry-After"])
    return respond(body, refusal.http_status, refused.headers)


def invalid(field: str, message: str) -> Refused:
    """A 422 that names the field."""
    return Refused(Refusal(RefusalKey.VALIDATION_ERROR, message), details={"field": field})


def not_found(what: str) -> Refused:
    """A 404."""
    return Refused(Refusal(RefusalKey.NOT_FOUND, what))


def live_key_needed() -> Refused:
    """A 403 for a test key that would change what live mail depends on."""
    return Refused(Refusal(RefusalKey.LIVE_KEY_NEEDED, "change what live mail depends on"))


def parse_cursor(text: str | None, make_id: Callable[[int], Id], *prefixes: str) -> Id | None:
    """The id in a `next_cursor`; None if there is none. Raises `Refused`."""
    if not text:
        return None
    number = parse_id(text, *prefixes)
    if number is None:
        raise invalid("cursor", "cursor is the next_cursor of an earlier page")
    return make_id(number)


def read_word(name: str, text: str | None, words: Mapping[str, Word]) -> Word | None:
    """A query parameter that is one of some words; None if it is not given. Raises `Refused`."""
    if text is None:
        return None
    if text not in words:
        raise invalid(name, f"{name} is one of {', '.join(words)}")
    return words[text]
