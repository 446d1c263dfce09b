"""A name server on loopback with scripted answers, over UDP and TCP.

The zone is a dictionary that may be changed while it runs: `{("example.test", "MX"): ["10 mx.example.test."]}`. A name that no entry
has, nor one below it, is NXDOMAIN; a name without the type is NODATA.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import Final, Self, cast

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdatatype
import dns.rrset

TTL: Final = 300  # seconds, the default of all answers
UDP_SIZE: Final = 1232  # octets; longer answers are truncated, and had over TCP
CNAME_LIMIT: Final = 8

Zone = dict[tuple[str, str], list[str]]


class NameServer:
    """The server. `servfail`, `dropped` and `truncated` hold names (lower case, no final dot) with that fate; `servfail` also a name with a type,
    as in "example.test MX".
    """

    def __init__(self, zone: Mapping[tuple[str, str], list[str]] | None = None) -> None:
        self.zone: Zone = {}
        self.servfail: set[str] = set()
        self.dropped: set[str] = set()
        self.truncated: set[str] = set()
        self.is_authoritative = True
        self.delay = 0.0  # seconds before every answer
        self.forge: Callable[[bytes], Sequence[bytes]] = lambda _query: ()  # what another one says before each answer over UDP
        self.ttl = TTL
        self.additional: dict[tuple[str, str], list[tuple[str, str, str]]] = {}  # name, type and value of records beside an answer
        self.queries: Counter[tuple[str, str]] = Counter()
        self.host = "127.0.0.1"
        self.port = 0
        self._tcp: asyncio.Server | None = None
        self._udp: asyncio.DatagramTransport | None = None
        for (name, kind), values in (zone or {}).items():
            self.set(name, kind, *values)

    def set(self, name: str, kind: str, *values: str) -> None:
        """Sets all records of one name and type; with no values the name exists without the type."""
        self.zone[name.lower().rstrip("."), kind.upper()] = list(values)

    def remove(self, name: str) -> None:
        """Removes all records of a name."""
        for key in [key for key in self.zone if key[0] == name.lower().rstrip(".")]:
            del self.zone[key]

    def set_text(self, name: str, *texts: str) -> None:
        """Sets TXT records, split into strings of 255 octets."""
        self.set(name, "TXT", *(_quoted(text) for text in texts))

    async def start(self) -> None:
        """Listens on a free port, the same for UDP and TCP."""
        loop = asyncio.get_running_loop()
        self._tcp = await asyncio.start_server(self._serve_tcp, self.host, self.port)
        self.port = self._tcp.sockets[0].getsockname()[1]
        self._udp, _ = await loop.create_datagram_endpoint(lambda: _Udp(self), local_addr=(self.host, self.port))

    async def aclose(self) -> None:
        """Stops."""
        if self._udp:
            self._udp.close()
        self.end_tcp()

    def end_tcp(self) -> None:
        """Answers over UDP alone from now on."""
        if self._tcp:
            self._tcp.close()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        await self.aclose()

    def answer(self, wire: bytes, *, is_udp: bool) -> bytes | None:
        """The response to a query; None: no response."""
        try:
            query = dns.message.from_wire(wire)
        except dns.exception.DNSException:
            return None
        question = query.question[0]
        name = question.name.to_text(omit_final_dot=True).lower()
        kind = dns.rdatatype.to_text(question.rdtype)
        self.queries[name, kind] += 1
        if name in self.dropped:
            return None
        response = dns.message.make_response(query, recursion_available=True)
        response.flags |= dns.flags.AA if self.is_authoritative else 0
        if not self.servfail.isdisjoint({name, f"{name} {kind}"}):
            response.set_rcode(dns.rcode.SERVFAIL)
        elif is_udp and name in self.truncated:
            response.flags |= dns.flags.TC
        else:
            self._fill(response, name, kind)
        wire = response.to_wire()
        if is_udp and len(wire) > UDP_SIZE:
            short = dns.message.make_response(query, recursion_available=True)
            short.flags |= dns.flags.TC
            return short.to_wire()
        return wire

    def _fill(self, response: dns.message.Message, name: str, kind: str) -> None:
        for _ in range(CNAME_LIMIT):
            values = self.zone.get((name, kind))
            if values is not None:
                if values:
                    response.answer.append(dns.rrset.from_text_list(_absolute(name), self.ttl, "IN", kind, values))
                for other, of_kind, value in self.additional.get((name, kind), ()):
                    response.additional.append(dns.rrset.from_text(_absolute(other), self.ttl, "IN", of_kind, value))
                return
            alias = self.zone.get((name, "CNAME"))
            if not alias:
                break
            response.answer.append(dns.rrset.from_text_list(_absolute(name), self.ttl, "IN", "CNAME", alias))
            name = alias[0].lower().rstrip(".")
        if not any(known == name or known.endswith("." + name) for known, _ in self.zone):
            response.set_rcode(dns.rcode.NXDOMAIN)

    async def _serve_tcp(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                length = int.from_bytes(await reader.readexactly(2), "big")
                answer = self.answer(await reader.readexactly(length), is_udp=False)
                if self.delay:
                    await asyncio.sleep(self.delay)  # the delay is what is asked for
                if answer is None:
                    continue
                writer.write(len(answer).to_bytes(2, "big") + answer)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


class _Udp(asyncio.DatagramProtocol):
    def __init__(self, server: NameServer) -> None:
        self._server = server
        self._transport: asyncio.DatagramTransport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, addr: tuple[str | int, int]) -> None:
        for forged in self._server.forge(data):
            self._transport.sendto(forged, addr)
        answer = self._server.answer(data, is_udp=True)
        if answer is not None:
            asyncio.get_running_loop().call_later(self._server.delay, self._transport.sendto, answer, addr)


def _absolute(name: str) -> dns.name.Name:
    return dns.name.from_text(name)


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return " ".join(f'"{escaped[start : start + 250]}"' for start in range(0, len(escaped), 250)) or '""'
