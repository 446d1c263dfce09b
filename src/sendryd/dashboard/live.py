"""Live pages: parts of a page that follow the store, sent as server-sent events.

A page becomes live by `Page(..., live=Source(...))`. Each distinct question (page, address, account, rights) is asked once for all who look;
what changed is rendered once and sent to each of them as htmx partials. Standard: HTML §9.2 (server-sent events).
"""

import asyncio
import hashlib
import re
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from typing import Final
from urllib.parse import parse_qsl, urlencode

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from sendryd.dashboard.navigation import places
from sendryd.dashboard.visit import Visit, headers
from sendryd.policy.rights import Right
from sendryd.runtime.answers import ABORT
from sendryd.runtime.clock import Clock
from sendryd.runtime.log import get_logger

MAX_STREAMS: Final = 200  # each takes about 20 KB, and one of the server's 1,000 requests
BUFFER: Final = 8  # messages that a browser may lag; then it is cut off, and comes back for the whole
BEAT_EVERY: Final = 15.0  # seconds: proxies close a silent connection after 30 to 60; pages take 40 s of silence for a dead one
BEAT: Final = b"event: beat\ndata:\n\n"
SHARE: Final = 10  # a question is asked again no sooner than this many times what the answer took
PAUSE: Final = 5.0  # seconds after a fault, before browsers may come back
PLACE: Final = "at."  # prefix of the parameters that stand for parts of the path
_LINES: Final = re.compile(r"\r\n|\r|\n")

log = get_logger("dashboard")


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """The live parts of a page. `read` may depend on the address, the account and the rights of a visit, not on the person."""

    page: str  # `data-page`
    read: Callable[[Visit], Awaitable[Mapping[str, object]]]  # the values for the templates
    parts: Mapping[str, str]  # the `id` of an element of the page, and the template of its content
    interval: float = 1.0  # seconds between two questions


def live_address(source: Source, request: Request) -> str:
    """The address of the stream for a page as it was asked for."""
    places = [(PLACE + name, str(value)) for name, value in request.path_params.items()]
    return "/live?" + urlencode([("page", source.page), *places, *request.query_params.multi_items()])


def as_of_page(visit: Visit) -> Visit:
    """The visit of the page that a stream belongs to."""
    pairs = [(name, value) for name, value in parse_qsl(visit.request.url.query, keep_blank_values=True) if name != "page"]
    scope = {
        **visit.request.scope,
        "path_params": {name.removeprefix(PLACE): value for name, value in pairs if name.startswith(PLACE)},
        "query_string": urlencode([pair for pair in pairs if not pair[0].startswith(PLACE)]).encode("ascii"),
    }
    return replace(visit, request=Request(scope))


class Streams:
    """All open streams of the process."""

    def __init__(self, clock: Clock, placeholder: str) -> None:
        self._clock = clock
        self._placeholder = placeholder  # stands for the form's token in what is rendered for all; not to be guessed
        self._topics: dict[tuple[object, ...], _Topic] = {}
        self._count = 0
        self._is_stopping = False

    def statistics(self) -> Mapping[str, float]:
        """For /metrics."""
        return {"streams": self._count, "questions": len(self._topics)}

    def open(self, source: Source, visit: Visit, is_allowed: Callable[[], Awaitable[bool]]) -> Response:
        """The answer to a request for a stream; `is_allowed` is asked again as long as it is open."""
        if self._is_stopping or self._count >= MAX_STREAMS:
            return Response("There are too many live pages: this one is not live.\n", 503, {**headers(), "Retry-After": "30"}, "text/plain")
        seen = visit.request.headers.get("last-event-id", "")
        return _EventStream(self, source, _Stream(visit, self._placeholder, seen), is_allowed)

    async def stop(self) -> None:
        """Ends all streams, which would else hold up the stop of the server."""
        self._is_stopping = True
        for topic in list(self._topics.values()):
            topic.end()

    def enter(self, source: Source, stream: "_Stream") -> None:
        """A stream begins."""
        self._count += 1
        key = stream.key(source)
        if key not in self._topics:
            self._topics[key] = _Topic(source, stream.visit, self._clock, self._placeholder)
        self._topics[key].add(stream)
        if self._is_stopping:
            stream.end()

    async def leave(self, source: Source, stream: "_Stream") -> None:
        """A stream is over."""
        self._count -= 1
        key = stream.key(source)
        topic = self._topics[key]
        topic.remove(stream)
        if topic.is_deserted:
            del self._topics[key]
            await topic.close()


class _Topic:
    """One question, and the streams that want its answer."""

    def __init__(self, source: Source, visit: Visit, clock: Clock, placeholder: str) -> None:
        self._source = source
        self._visit = visit
        self._clock = clock
        self._placeholder = placeholder
        self._streams: set[_Stream] = set()
        self._sent: dict[str, str] = {}
        self._version = ""
        self._task: asyncio.Task[None] | None = None

    @property
    def is_deserted(self) -> bool:
        return not self._streams

    def add(self, stream: "_Stream") -> None:
        self._streams.add(stream)
        if self._version and stream.seen != self._version:
            stream.offer(self._version, self._sent)
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._run())

    def remove(self, stream: "_Stream") -> None:
        self._streams.discard(stream)

    async def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def end(self) -> None:
        for stream in list(self._streams):
            stream.end()

    async def _run(self) -> None:
        try:
            while self._streams:
                began = self._clock.monotonic()
                self._tell(await self._read())
                cost = self._clock.monotonic() - began
                await self._clock.sleep(max(self._source.interval - cost, SHARE * cost))
        except Exception as error:
            log.error("live_failed", page=self._source.page, exc_info=error)
            await self._clock.sleep(PAUSE)
        finally:
            self._task = None
            self.end()

    async def _read(self) -> dict[str, str]:
        visit, needs = self._visit, self._visit.needs
        side = {"places": places(self._source.page, needs.paths, await needs.counts.of(visit.me.view))}
        values = await self._source.read(visit)
        parts = {target: visit.render_part(template, values, self._placeholder) for target, template in self._source.parts.items()}
        return {**parts, "places": visit.render_part("places.html", side, self._placeholder)}

    def _tell(self, parts: dict[str, str]) -> None:
        changed = {target: text for target, text in parts.items() if self._sent.get(target) != text}
        if not changed:
            return
        is_first = not self._version
        self._sent = parts
        self._version = hashlib.sha256("\0".join(parts.values()).encode("utf-8", "replace")).hexdigest()[:16]
        for stream in list(self._streams):
            if not is_first or stream.seen != self._version:
                stream.offer(self._version, changed)


class _Stream:
    """What one browser has still to get."""

    def __init__(self, visit: Visit, placeholder: str, seen: str) -> None:
        self.visit = visit
        self.seen = seen  # the version that it had before it came back
        self.is_over = False
        self.abort: Callable[[], None] | None = None  # set while something is being written
        self._placeholder = placeholder
        self._messages: deque[bytes] = deque()
        self._wake = asyncio.Event()

    def key(self, source: Source) -> tuple[object, ...]:
        """What distinguishes the question from others."""
        request, me = self.visit.request, self.visit.me
        rights = frozenset(right for right in Right if me.may(right))
        places = tuple(sorted(request.path_params.items()))
        return (source.page, self.visit.account_id, places, tuple(sorted(request.query_params.multi_items())), rights)

    def offer(self, version: str, parts: Mapping[str, str]) -> None:
        """Puts a message in line. A browser that lags is cut off."""
        if len(self._messages) >= BUFFER:
            self.end()
            return
        token = self.visit.token()
        html = "".join(
            f'<hx-partial hx-target="#{target}" hx-swap="innerMorph">{text.replace(self._placeholder, token)}</hx-partial>'
            for target, text in parts.items()
        )
        data = "".join(f"data: {line}\n" for line in _LINES.split(html))
        self._messages.append(f"id: {version}\n{data}\n".encode("utf-8", "replace"))
        self._wake.set()

    def end(self) -> None:
        """No more messages. A connection whose browser does not read is closed at once."""
        self.is_over = True
        self._wake.set()
        if self.abort is not None:
            self.abort()

    async def next(self) -> bytes | None:
        """The next message; empty after a while without one; None when it is over."""
        try:
            async with asyncio.timeout(BEAT_EVERY):
                while not self._messages and not self.is_over:
                    self._wake.clear()
                    await self._wake.wait()
        except TimeoutError:
            return b""
        return None if self.is_over else self._messages.popleft()


class _EventStream(Response):
    """The answer that carries a stream."""

    media_type = "text/event-stream"

    def __init__(self, streams: Streams, source: Source, stream: _Stream, is_allowed: Callable[[], Awaitable[bool]]) -> None:
        super().__init__(None, 200, {**headers(), "X-Accel-Buffering": "no"})
        del self.headers["content-length"]
        self._streams = streams
        self._source = source
        self._stream = stream
        self._is_allowed = is_allowed

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        stream = self._stream
        abort = scope.get("state", {}).get(ABORT)

        async def write(content: bytes, *, more: bool = True) -> None:
            stream.abort = abort
            await send({"type": "http.response.body", "body": content, "more_body": more})
            stream.abort = None

        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        if scope["method"] == "HEAD":
            await write(b"", more=False)
            return
        self._streams.enter(self._source, stream)
        watch = asyncio.get_running_loop().create_task(_until_gone(receive, stream))
        try:
            await write(b": sendryd\n\n")
            while (message := await stream.next()) is not None:
                if not message and not await self._is_allowed():
                    break
                await write(message or BEAT)
            await write(b"", more=False)
        finally:
            watch.cancel()
            await asyncio.gather(watch, self._streams.leave(self._source, stream), return_exceptions=True)


async def _until_gone(receive: Receive, stream: _Stream) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    stream.end()
