"""The interface for HTTP requests of daemons, and a client that is loaded with the first request."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, Protocol

ANY_IMAGE: Final = "image/*"  # a media range of `Accept`


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpAnswer:
    """What a server answered."""

    status: int
    headers: Mapping[str, str]  # the present ones of `http.KEPT_HEADERS`; names in lower case
    body_start: bytes  # at most `http.MAX_KEPT` octets, unchanged
    duration: float  # seconds until the status was known

    @property
    def is_success(self) -> bool:
        """Whether the status is 2xx."""
        return 200 <= self.status < 300


class HttpFault(Exception):
    """There was no answer; the message is one sentence."""

    def __init__(self, sentence: str, *, is_refused: bool = False) -> None:
        super().__init__(sentence)
        self.is_refused = is_refused  # by sendryd: the address is forbidden


class HttpClient(Protocol):
    """The interface of the HTTP client."""

    async def post(self, url: str, *, headers: Mapping[str, str], body: bytes) -> HttpAnswer:
        """Sends one request. Raises `HttpFault`."""
        ...


class HttpFetcher(Protocol):
    """The interface of the HTTP client for what is read from other servers."""

    async def fetch(self, url: str, *, max_size: int, accept: str = ANY_IMAGE) -> bytes:
        """The body of a GET request's answer. Raises `HttpFault`, also for any other status than 200 and for more than `max_size` octets."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class WholeAnswer:
    """What a server answered, with its whole body."""

    status: int
    body: bytes


class HttpExchanger(Protocol):
    """The interface of the HTTP client for servers that are spoken with by their protocol."""

    async def exchange(self, method: str, url: str, *, headers: Mapping[str, str], body: bytes | None, max_size: int) -> WholeAnswer:
        """Sends one request and reads the whole answer. Raises `HttpFault`, also for a body of more than `max_size` octets."""
        ...


class ClosableClient(HttpClient, HttpFetcher, HttpExchanger, Protocol):
    """A client with connections of its own."""

    async def aclose(self) -> None:
        """Closes all connections."""
        ...


class LateClient:
    """A client that is loaded with the first request: loading takes a third of the start, and many installations make none."""

    def __init__(self, load: Callable[[], Callable[[], ClosableClient]]) -> None:
        """`load` runs in a thread, so that only the request waits for it; its result makes the client, in the event loop."""
        self._load = load
        self._client: ClosableClient | None = None
        self._loading = asyncio.Lock()

    def __repr__(self) -> str:
        return f"<LateClient {self._client or 'not made yet'}>"

    async def post(self, url: str, *, headers: Mapping[str, str], body: bytes) -> HttpAnswer:
        """Sends one request. Raises `HttpFault`."""
        client = self._client or await self._make()
        return await client.post(url, headers=headers, body=body)

    async def fetch(self, url: str, *, max_size: int, accept: str = ANY_IMAGE) -> bytes:
        """The body of an answer. Raises `HttpFault`."""
        client = self._client or await self._make()
        return await client.fetch(url, max_size=max_size, accept=accept)

    async def exchange(self, method: str, url: str, *, headers: Mapping[str, str], body: bytes | None, max_size: int) -> WholeAnswer:
        """One request and its whole answer. Raises `HttpFault`."""
        client = self._client or await self._make()
        return await client.exchange(method, url, headers=headers, body=body, max_size=max_size)

    async def _make(self) -> ClosableClient:
        async with self._loading:
            if self._client is None:
                try:
                    make = await asyncio.to_thread(self._load)
                except (OSError, RuntimeError) as error:  # no descriptor, no thread
                    raise HttpFault("The request could not be prepared.") from error
                self._client = make()
        return self._client

    async def aclose(self) -> None:
        """Closes all connections."""
        if self._client is not None:
            await self._client.aclose()
