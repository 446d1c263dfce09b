"""The HTTP client for webhooks, for pictures and MTA-STS policies of other servers, and for the identity provider.

Does: sends one POST and keeps the beginning of the answer; or sends one request and keeps the whole of it.
Strategy: `policy.urlguard` reads the URL for every request; every address of its name is checked before any connection is made, and the connected
one again at the socket. No look-up happens in between, so a name that changes its address cannot
slip through. TLS is verified for the name. Connections are kept for a few seconds.
When things fail: `HttpFault` says how in one sentence. Any status is an answer: redirects are not followed. A request that
failed on a kept connection is sent once more; receivers recognise repeats by their identity.
Limits: seconds for the whole request and for connecting, octets read of the answer, which is not decompressed, and interim answers before it. Proxies
of the environment, cookies and netrc are not used.
"""

import asyncio
import errno
import os
import re
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus
from typing import Any, Final, cast

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.client_proto import ResponseHandler
from aiohttp.http import HttpProcessingError, RawResponseMessage
from aiohttp.streams import StreamReader

from sendryd.policy.destinations import is_public
from sendryd.policy.urlguard import UrlRefused, check_url
from sendryd.runtime.clock import Clock
from sendryd.runtime.faults import LookupFailed
from sendryd.runtime.patience import Deadline, patient_timeout
from sendryd.runtime.posting import ANY_IMAGE, HttpAnswer, HttpFault, WholeAnswer
from sendryd.runtime.resolver import DnsResolver
from sendryd.runtime.tls import client_context

TOTAL_TIMEOUT: Final = 15.0  # seconds from the look-up to the status: the recommendation of Standard Webhooks, and documented for receivers
CONNECT_TIMEOUT: Final = 5.0  # seconds for one address: a server that needs longer has other troubles
BODY_TIMEOUT: Final = 3.0  # seconds for the beginning of the body after the status: people read it, nothing depends on it
MAX_READ: Final = 64 * 1024  # octets of the body: the first flights
MAX_KEPT: Final = 8_000  # octets of it that are kept: 2,000 characters of the longest kind
MAX_HEADER: Final = 8 * 1024  # octets of one line of the answer's head
MAX_HEADERS: Final = 100
MAX_INTERIM: Final = 16  # answers of 1xx before the status; honest servers send one or two
RECEIVE_BUFFER: Final = 16 * 1024  # octets of the socket's receive buffer: one flight is read without a pause for other connections
MAX_CONNECTIONS: Final = 256  # at once; callers stay below it
MAX_ADDRESSES: Final = 8  # addresses tried for one name
KEEP_ALIVE: Final = 4.0  # seconds: common servers close after five
KEPT_HEADERS: Final = ("retry-after", "location", "content-type")
MAX_HEADER_VALUE: Final = 500  # characters kept
FETCH_HEADERS: Final = {"Accept-Encoding": "identity", "User-Agent": "sendryd"}
LOOPBACK: Final = ("127.0.0.1", "::1")

SystemLookup = Callable[[str], Awaitable[Sequence[str]]]


class _AddressRefused(OSError):
    """The guard refuses an address. An `OSError`, so that aiohttp passes it through like a failed connection."""


class AiohttpClient:
    """`HttpClient` on aiohttp. Made in a running event loop; close it."""

    def __init__(
        self,
        resolver: DnsResolver,
        clock: Clock,
        *,
        allow_private: bool,
        system_lookup: SystemLookup | None = None,
        tls: ssl.SSLContext | None = None,
        total_timeout: float = TOTAL_TIMEOUT,
        connect_timeout: float = CONNECT_TIMEOUT,
        body_timeout: float = BODY_TIMEOUT,
    ) -> None:
        """`system_lookup` resolves names that are not in DNS, where private addresses are allowed; `tls` is a verifying context, made here by
        default.
        """
        self._clock = clock
        self._allow_private = allow_private
        self._total_timeout = total_timeout
        self._connect_timeout = connect_timeout
        self._body_timeout = body_timeout
        context = tls or client_context(verify=True)
        tracing = aiohttp.TraceConfig()
        tracing.on_connection_reuseconn.append(_note_reuse)
        self._session = aiohttp.ClientSession(
            connector=_Connector(
                ssl=context,
                resolver=_JudgingResolver(resolver, system_lookup, allow_private=allow_private),
                use_dns_cache=False,  # the resolver has one
                socket_factory=self._make_socket,
                limit=MAX_CONNECTIONS,
                keepalive_timeout=KEEP_ALIVE,
            ),
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=connect_timeout),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            trust_env=False,
            max_line_size=MAX_HEADER,
            max_field_size=MAX_HEADER,
            max_headers=MAX_HEADERS,
            read_bufsize=MAX_READ,
            trace_configs=[tracing],
        )

    def __repr__(self) -> str:
        return f"<AiohttpClient {'any address' if self._allow_private else 'public addresses'}{' closed' if self._session.closed else ''}>"

    async def aclose(self) -> None:
        """Closes all connections."""
        await self._session.close()

    async def post(self, url: str, *, headers: Mapping[str, str], body: bytes) -> HttpAnswer:
        checked = self._check(url)
        start = self._clock.monotonic()
        sent = {"Accept": "*/*", "Accept-Encoding": "identity", **headers}
        async with self._faults(), patient_timeout(self._total_timeout) as deadline:
            return await self._post_again(_Request(checked, sent, body, start, deadline))

    async def fetch(self, url: str, *, max_size: int, accept: str = ANY_IMAGE) -> bytes:
        """The whole body of a GET request's answer, within the total time-out. Raises `HttpFault`; no redirect is followed."""
        checked = self._check(url)
        headers = {"Accept": accept, **FETCH_HEADERS}
        request = self._session.get(checked, headers=headers, allow_redirects=False, trace_request_ctx=_Reuse())
        async with self._faults(), patient_timeout(self._total_timeout), request as response:
            if response.status != HTTPStatus.OK:
                raise HttpFault(f"The server answered {response.status}.")
            return await _read_whole(response, max_size)

    async def exchange(self, method: str, url: str, *, headers: Mapping[str, str], body: bytes | None, max_size: int) -> WholeAnswer:
        """One request and its whole answer, within the total time-out. Raises `HttpFault`; no redirect is followed."""
        request = self._session.request(
            method, self._check(url), headers=headers, data=body, allow_redirects=False, trace_request_ctx=_Reuse()
        )
        async with self._faults(), patient_timeout(self._total_timeout), request as response:
            return WholeAnswer(status=response.status, body=await _read_whole(response, max_size))

    def _check(self, url: str) -> str:
        try:
            return check_url(url, allow_private=self._allow_private)
        except UrlRefused as error:
            raise HttpFault(_sentence(str(error)), is_refused=True) from None

    @asynccontextmanager
    async def _faults(self) -> AsyncIterator[None]:
        """Explains every failure as an `HttpFault`."""
        try:
            yield
        except TimeoutError as error:
            if isinstance(error, aiohttp.ConnectionTimeoutError):
                raise HttpFault(f"No connection within {self._connect_timeout:g} seconds.") from None
            raise HttpFault(f"No answer within {self._total_timeout:g} seconds.") from None
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise _explain(error) from error

    async def _post_again(self, request: "_Request") -> HttpAnswer:
        """Sends the request, once more if a kept connection turns out to be closed."""
        reuse = _Reuse()
        try:
            return await self._post(request, reuse)
        except (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError):
            if not reuse.did_happen:
                raise
        return await self._post(request, _Reuse())

    async def _post(self, request: "_Request", reuse: "_Reuse") -> HttpAnswer:
        async with self._session.post(
            request.url, headers=request.headers, data=request.body, allow_redirects=False, trace_request_ctx=reuse
        ) as response:
            request.deadline.lift()  # the body has a deadline of its own
            duration = self._clock.monotonic() - request.start
            kept = {name: response.headers[name][:MAX_HEADER_VALUE] for name in KEPT_HEADERS if name in response.headers}
            body_start = await _read_start(response, self._body_timeout)
            return HttpAnswer(status=response.status, headers=kept, body_start=body_start, duration=duration)

    def _make_socket(self, info: tuple[Any, ...]) -> socket.socket:
        """A socket for the address that is about to be connected to."""
        family, kind, protocol, _, address = info
        if not self._allow_private and not is_public(str(address[0])):
            raise _AddressRefused(_refusal(str(address[0])))
        made = socket.socket(family, kind, protocol)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
        return made


@dataclass(frozen=True, slots=True)
class _Request:
    url: str
    headers: Mapping[str, str]
    body: bytes
    start: float  # monotonic seconds
    deadline: Deadline  # until the status is known


class _Protocol(ResponseHandler):
    """A connection that limits interim 1xx answers: the library would read them without end."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(loop)
        self._interim = 0

    def feed_data(self, data: tuple[RawResponseMessage, StreamReader], size: int = 0) -> None:
        self._interim = self._interim + 1 if data[0].code < 200 else 0
        if self._interim <= MAX_INTERIM:
            super().feed_data(data, size)
        elif self._interim == MAX_INTERIM + 1:
            self.set_exception(HttpProcessingError(message="too many interim answers"))
            if self.transport is not None:
                self.transport.close()


class _Connector(aiohttp.TCPConnector):
    """Makes connections of ours."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._factory = cast("partial[ResponseHandler]", partial(_Protocol, self._loop))


class _Reuse:
    """Whether a request went over a kept connection."""

    __slots__ = ("did_happen",)

    def __init__(self) -> None:
        self.did_happen = False


async def _note_reuse(_session: aiohttp.ClientSession, context: Any, _params: aiohttp.TraceConnectionReuseconnParams) -> None:
    context.trace_request_ctx.did_happen = True


async def _read_whole(response: aiohttp.ClientResponse, max_size: int) -> bytes:
    found = bytearray()
    while chunk := await response.content.readany():
        found += chunk
        if len(found) > max_size:
            response.close()
            raise HttpFault(f"The answer has more than {max_size:,} octets.")
    return bytes(found)


async def _read_start(response: aiohttp.ClientResponse, timeout: float) -> bytes:
    """The beginning of the body. Its faults are ignored: the status decides the outcome."""
    found = bytearray()
    is_whole = False
    with suppress(TimeoutError, aiohttp.ClientError, OSError):
        async with asyncio.timeout(timeout):
            while len(found) < MAX_READ and not is_whole:
                chunk = await response.content.readany()
                found += chunk
                is_whole = not chunk
    if not is_whole:
        response.close()  # the rest is not awaited
    return bytes(found[:MAX_KEPT])


class _JudgingResolver(AbstractResolver):
    """Resolves a name to all its addresses; refuses the name if any of them is forbidden."""

    def __init__(self, resolver: DnsResolver, system_lookup: SystemLookup | None, *, allow_private: bool) -> None:
        self._resolver = resolver
        self._system_lookup = system_lookup
        self._allow_private = allow_private

    async def resolve(self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET) -> list[ResolveResult]:  # noqa: ARG002
        found = await self._look_up(host)
        if not found:
            raise LookupFailed(f"the name {host} has no address", is_temporary=False)
        if not self._allow_private:
            for address in found:
                if not is_public(address):
                    raise _AddressRefused(_refusal(host))
        return [
            ResolveResult(
                hostname=host,
                host=address,
                port=port,
                family=socket.AF_INET6 if ":" in address else socket.AF_INET,
                proto=socket.IPPROTO_TCP,
                flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
            )
            for address in found[:MAX_ADDRESSES]
        ]

    async def _look_up(self, host: str) -> Sequence[str]:
        if host == "localhost" or host.endswith(".localhost"):  # never asked of DNS, which may lie about it
            return LOOPBACK
        found: Sequence[str] = ()
        failure: LookupFailed | None = None
        try:
            found = await self._resolver.addresses(host)
        except LookupFailed as error:
            if error.is_temporary:
                raise
            failure = error
        if not found and self._allow_private and self._system_lookup is not None:
            found = await self._system_lookup(host)
        if not found and failure is not None:
            raise failure
        return found

    async def close(self) -> None:
        """Has nothing to close."""


async def look_up_in_system(host: str) -> Sequence[str]:
    """The system's addresses of a name: from its hosts file, with its search domains. Empty: none."""
    try:
        infos = await asyncio.get_running_loop().getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except OSError:
        return ()
    return tuple(dict.fromkeys(str(info[4][0]) for info in infos))


def _refusal(name: str) -> str:
    """The refusal as a sentence, without the address, which would reveal our network."""
    return f"the host {name} is or leads to an address that is not public: the request was not sent"


def _explain(error: Exception) -> HttpFault:
    """A failure in one sentence, without the library's own words."""
    causes = [error]
    while (cause := causes[-1].__cause__ or causes[-1].__context__) is not None and isinstance(cause, Exception) and cause not in causes:
        causes.append(cause)
    for each in (cause for cause in causes if not isinstance(cause, aiohttp.ClientError)):  # those wrap the others
        if isinstance(each, _AddressRefused):
            return HttpFault(_sentence(str(each)), is_refused=True)
        if isinstance(each, LookupFailed):
            return HttpFault(_sentence(str(each)))
        if isinstance(each, ssl.SSLCertVerificationError):
            return HttpFault(f"The TLS certificate was not accepted: {_clean(each.verify_message)}.")
        if isinstance(each, ssl.SSLError):
            return HttpFault("The TLS handshake failed.")
    match error:
        case aiohttp.ClientConnectorError():
            return HttpFault(f"No connection: {os.strerror(error.os_error.errno or errno.EHOSTUNREACH).lower()}.")
        case aiohttp.ServerDisconnectedError() | aiohttp.ClientOSError() | OSError():
            return HttpFault("The server closed the connection without an answer.")
        case aiohttp.ClientResponseError() | aiohttp.ClientPayloadError():
            return HttpFault("The answer is not valid HTTP.")
        case _:
            return HttpFault("The request failed.")


def _clean(text: str) -> str:
    return re.sub(r"\s*\[[^\]]*\]|[^\x20-\x7e]", "", text).rstrip(". ")


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:].rstrip(".") + "."
