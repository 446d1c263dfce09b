"""Is it alive, can it take mail, how is it doing. None of these asks for a key."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from sendryd.api.framework.requests import respond
from sendryd.runtime.clock import Clock
from sendryd.runtime.log import get_logger
from sendryd.store.base import UpkeepStore
from sendryd.store.errors import StoreError

READINESS_KEPT: Final = 1.0  # seconds: however often it is asked, the store is tried once in that time
READINESS_PATIENCE: Final = 5.0  # seconds for that try: whoever asks wants to know now

log = get_logger("api")


class Health:
    """The three questions."""

    def __init__(self, store: UpkeepStore, render_metrics: Callable[[], Awaitable[bytes]], clock: Clock) -> None:
        self._store = store
        self._render_metrics = render_metrics
        self._clock = clock
        self._checked = float("-inf")
        self._reason: str | None = None
        self._lock = asyncio.Lock()
        self.is_stopping = False

    async def get_health(self, _request: Request) -> Response:
        """200 while the process lives."""
        return respond({"status": "ok"})

    async def get_readiness(self, _request: Request) -> Response:
        """200 while mail can be accepted, else 503 with the reason."""
        if self.is_stopping:
            return respond({"status": "unavailable", "reason": "shutting down"}, 503)
        async with self._lock:  # whoever asks meanwhile waits for the same try
            if self._clock.monotonic() - self._checked >= READINESS_KEPT:
                await self._check()
        if self._reason:
            return respond({"status": "unavailable", "reason": self._reason}, 503)
        return respond({"status": "ok"})

    async def _check(self) -> None:
        before = self._reason
        try:
            async with asyncio.timeout(READINESS_PATIENCE):
                await self._store.check_writable()
        except StoreError as error:
            self._reason = f"the store cannot be written: {error}"
        except TimeoutError:
            self._reason = f"the store cannot be written: no answer within {READINESS_PATIENCE:g} s"
        else:
            self._reason = None
        self._checked = self._clock.monotonic()
        if self._reason != before:
            log.warning("readiness", is_ready=self._reason is None, reason=self._reason)

    async def get_metrics(self, _request: Request) -> Response:
        """Prometheus text."""
        return PlainTextResponse(await self._render_metrics(), media_type="text/plain; version=0.0.4; charset=utf-8")
