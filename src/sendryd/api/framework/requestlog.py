"""The account's log of API requests: gathered in memory, stored a few times a second. A crash may lose the last of them; mail it never is."""

import asyncio
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from sendryd.api.framework.redact import redacted_json
from sendryd.model.apikey import ApiKey
from sendryd.model.apirequest import ApiRequest
from sendryd.model.ids import ApiRequestId
from sendryd.policy.credentials import without_keys
from sendryd.runtime.clock import Clock
from sendryd.runtime.idsource import IdSource
from sendryd.runtime.log import get_logger
from sendryd.store.base import ReportStore
from sendryd.store.errors import StoreError

INTERVAL: Final = 0.5  # seconds: who looks at the log after a request finds it there
MAX_WAITING: Final = 5000  # requests in memory; more in half a second are left out and counted
MAX_OCTETS: Final = 16 * 1024 * 1024  # of bodies in memory; requests beyond are noted without theirs
MAX_BODY: Final = 64 * 1024  # octets of a body that is looked at: redacting a larger one would cost more than it tells
MAX_USER_AGENT: Final = 256
MAX_PATH: Final = 512

log = get_logger("api")


@dataclass(frozen=True, slots=True)
class _Seen:
    """What is noted while a request is answered; the rest is made of it later."""

    id: ApiRequestId
    key: ApiKey
    method: str
    path: str
    status: int
    request_body: bytes
    response_body: bytes
    duration: float
    user_agent: str | None
    created_at: datetime


class RequestLog:
    """`add` never waits."""

    def __init__(self, store: ReportStore, clock: Clock, ids: IdSource) -> None:
        self._store = store
        self._clock = clock
        self._ids = ids
        self._waiting: list[_Seen] = []
        self._octets = 0
        self.left_out = 0

    def add(self, key: ApiKey, request: Request, response: Response, raw: bytes, duration: float) -> None:
        """Notes a request that was answered."""
        if len(self._waiting) >= MAX_WAITING:
            self.left_out += 1
            return
        agent = request.headers.get("user-agent")
        body = bytes(response.body) if hasattr(response, "body") else b""
        raw, body = self._keep(raw), self._keep(body)
        self._waiting.append(
            _Seen(
                id=ApiRequestId(self._ids.next()),
                key=key,
                method=request.method,
                path=request.scope["path"][:MAX_PATH],
                status=response.status_code,
                request_body=raw,
                response_body=body,
                duration=duration,
                user_agent=agent[:MAX_USER_AGENT] if agent else None,
                created_at=self._clock.now(),
            )
        )

    def _keep(self, body: bytes) -> bytes:
        if len(body) > MAX_BODY or self._octets + len(body) > MAX_OCTETS:
            return b""
        self._octets += len(body)
        return body

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await self._clock.sleep(INTERVAL)
            try:
                await self.flush()
            except StoreError as error:
                log.error("requests_not_logged", error=repr(error))

    async def stop(self) -> None:
        """Stores what is left, if that can be done."""
        with suppress(StoreError):
            await self.flush()

    async def flush(self) -> None:
        """Stores what was noted. Raises `StoreUnavailable`, and then forgets it: the disk may be full of worse."""
        if self._waiting:
            seen, self._waiting, self._octets = self._waiting, [], 0
            await self._store.add_api_requests(await asyncio.to_thread(_make_all, seen))


def _make_all(seen: list[_Seen]) -> list[ApiRequest]:
    return [_make(each) for each in seen]


def _make(seen: _Seen) -> ApiRequest:
    return ApiRequest(
        id=seen.id,
        account_id=seen.key.account_id,
        api_key_id=seen.key.id,
        method=seen.method,
        path=without_keys(seen.path),
        status_code=seen.status,
        request_body=redacted_json(seen.request_body),
        response_body=redacted_json(seen.response_body),
        duration_ms=round(seen.duration * 1000),
        user_agent=without_keys(seen.user_agent) if seen.user_agent else None,
        created_at=seen.created_at,
    )
