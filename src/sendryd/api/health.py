"""Is it alive, can it take mail, how is it doing. None of these asks for a key."""

from collections.abc import Awaitable, Callable
from typing import Final

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from sendryd.api.requests import respond
from sendryd.runtime.clock import Clock
from sendryd.store.base import UpkeepStore
from sendryd.store.errors import StoreError

READINESS_KEPT: Final = 1.0  # seconds: however often it is asked, the store is tried once in that time


class Health:
    """The three questions."""

    def __init__(self, store: UpkeepStore, render_metrics: Callable[[], Awaitable[bytes]], clock: Clock) -> None:
        self._store = store
        self._render_metrics = render_metrics
        self._clock = clock
        self._checked = float("-inf")
        self._reason: str | None = None
        self.is_stopping = False

    async def get_health(self, _request: Request) -> Response:
        """200 while the process lives."""
        return respond({"status": "ok"})

    async def get_readiness(self, _request: Request) -> Response:
        """200 while mail can be accepted, else 503 with the reason."""
        if self.is_stopping:
            return respond({"status": "unavailable", "reason": "shutting down"}, 503)
        now = self._clock.monotonic()
        if now - self._checked >= READINESS_KEPT:
            self._checked = now
            try:
                await self._store.check_writable()
            except StoreError as error:
                self._reason = f"the store cannot be written: {error}"
            else:
                self._reason = None
        if self._reason:
            return respond({"status": "unavailable", "reason": self._reason}, 503)
        return respond({"status": "ok"})

    async def get_metrics(self, _request: Request) -> Response:
        """Prometheus text."""
        return PlainTextResponse(await self._render_metrics(), media_type="text/plain; version=0.0.4; charset=utf-8")
