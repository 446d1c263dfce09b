"""DNS look-ups for delivery and for the proof of domains.

Does: MX, A, AAAA and TXT through the configured resolver, over UDP and, for truncated answers, TCP.
Strategy: answers are kept for their TTL within bounds; the same question is asked once however many wait for it; so many at a time.
When things fail: NXDOMAIN is told apart from no such record, and both from "no answer just now" (SERVFAIL, REFUSED, time-out).
Standards: RFC 1035, RFC 2308 (negative answers), RFC 7505 (null MX).
"""

import asyncio
import ipaddress
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Protocol

import dns.asyncresolver
import dns.exception
import dns.name
import dns.rdatatype
import dns.resolver

from sendryd.policy.routing import MxRecord, NullMx
from sendryd.runtime.clock import Clock
from sendryd.runtime.faults import LookupFailed

TIMEOUT: Final = 5.0  # seconds for one question to one server
LIFETIME: Final = 10.0  # seconds for a look-up with its repetitions
MAX_TTL: Final = 3600.0  # seconds: longer ones would outlive a change that people wait for
MIN_TTL: Final = 5.0  # seconds: a TTL of 0 must not make a look-up for every message
NEGATIVE_TTL: Final = 60.0
FAILURE_TTL: Final = 10.0  # seconds for which a failure is not asked again: a resolver that is down must not be flooded
MAX_ENTRIES: Final = 65_536
MAX_PARALLEL: Final = 128

Answer = tuple[Any, ...]


class DnsResolver(Protocol):
    """What daemons know of the resolver."""

    async def mx(self, domain: str) -> tuple[MxRecord, ...] | NullMx:
        """Mail exchangers; empty: the name exists and has none. Raises `LookupFailed`."""
        ...

    async def addresses(self, host: str) -> tuple[str, ...]:
        """IPv4 and IPv6 addresses; empty: the name exists and has none. Raises `LookupFailed`."""
        ...

    async def txt(self, name: str, *, fresh: bool = False) -> tuple[str, ...]:
        """Texts, the strings of each record put together; empty: the name exists and has none. Raises `LookupFailed`."""
        ...


@dataclass(frozen=True, slots=True)
class _Entry:
    expires: float
    answer: Answer
    failure: tuple[str, bool] | None  # its sentence, and whether it is temporary

    def read(self) -> Answer:
        """The answer. Raises a failure of its own for each reader: one that is raised again grows, and keeps what all of them were at."""
        if self.failure is not None:
            sentence, is_temporary = self.failure
            raise LookupFailed(sentence, is_temporary=is_temporary)
        return self.answer


class Resolver:
    """`DnsResolver` on dnspython."""

    def __init__(self, clock: Clock, nameserver: tuple[str, int] | None = None) -> None:
        """Asks the given server, or those that the system is configured with."""
        self._clock = clock
        self._resolver = dns.asyncresolver.Resolver(configure=nameserver is None)
        if nameserver is not None:
            self._resolver.nameservers = [nameserver[0]]
            self._resolver.port = nameserver[1]
        self._resolver.timeout = TIMEOUT
        self._resolver.lifetime = LIFETIME
        self._resolver.cache = None
        self._entries: OrderedDict[tuple[str, str], _Entry] = OrderedDict()
        self._asking: dict[tuple[str, str], asyncio.Task[_Entry]] = {}
        self._slots = asyncio.Semaphore(MAX_PARALLEL)

    def __repr__(self) -> str:
        return f"<Resolver {len(self._entries)} answers kept, {len(self._asking)} questions open>"

    async def mx(self, domain: str) -> tuple[MxRecord, ...] | NullMx:
        records: tuple[MxRecord, ...] = await self._ask(domain, "MX", _read_mx)
        if any(not record.host for record in records):  # RFC 7505 §3
            if len(records) == 1:
                return NullMx()
            records = tuple(record for record in records if record.host)
        return records

    async def addresses(self, host: str) -> tuple[str, ...]:
        if _is_address(host):
            raise LookupFailed(f"{host} is an address where a name should be", is_temporary=False)
        four, six = self._known(_key(host, "A")), self._known(_key(host, "AAAA"))
        if four is not None and six is not None and (four.answer or six.answer):
            return four.answer + six.answer
        answers = await asyncio.gather(self._ask(host, "A", _read_text), self._ask(host, "AAAA", _read_text), return_exceptions=True)
        found = [address for answer in answers if not isinstance(answer, BaseException) for address in answer]
        if found:
            return tuple(found)
        failures = [answer for answer in answers if isinstance(answer, BaseException)]
        for failure in failures:
            if not isinstance(failure, LookupFailed) or failure.is_temporary:
                raise failure
        if failures:
            raise failures[0]
        return ()

    async def txt(self, name: str, *, fresh: bool = False) -> tuple[str, ...]:
        return await self._ask(name, "TXT", _read_txt, fresh=fresh)

    def _known(self, key: tuple[str, str]) -> _Entry | None:
        entry = self._entries.get(key)
        return entry if entry is not None and entry.expires > self._clock.monotonic() else None

    async def _ask(self, name: str, kind: str, read: Callable[[Any], Any], *, fresh: bool = False) -> Answer:
        key = _key(name, kind)
        entry = None if fresh else self._known(key)
        if entry is not None:
            return entry.read()
        task = self._asking.get(key)
        if task is None:
            task = asyncio.get_running_loop().create_task(self._look_up(key, read))
            self._asking[key] = task
            task.add_done_callback(lambda _: self._asking.pop(key, None))
        return (await asyncio.shield(task)).read()

    async def _look_up(self, key: tuple[str, str], read: Callable[[Any], Any]) -> _Entry:
        name, kind = key
        answer: Answer = ()
        failure: tuple[str, bool] | None = None
        ttl = NEGATIVE_TTL
        try:
            async with self._slots:
                found = await self._resolver.resolve(dns.name.from_text(name), kind, search=False)
            answer = tuple(read(record) for record in found)
            ttl = max(MIN_TTL, min(MAX_TTL, float(found.rrset.ttl if found.rrset else 0)))
        except dns.resolver.NoAnswer:
            pass
        except dns.resolver.NXDOMAIN:
            failure = f"the name {name} does not exist", False
        except (dns.name.LabelTooLong, dns.name.NameTooLong, dns.name.EmptyLabel, dns.name.BadEscape, UnicodeError):
            failure = f"{name} is not a name", False
        except (dns.exception.DNSException, OSError) as error:
            reason = "no answer in time" if isinstance(error, dns.exception.Timeout) else "the look-up failed"
            failure = f"{kind} of {name}: {reason}", True
            ttl = FAILURE_TTL
        entry = self._entries[key] = _Entry(self._clock.monotonic() + ttl, answer, failure)
        self._entries.move_to_end(key)
        while len(self._entries) > MAX_ENTRIES:
            self._entries.popitem(last=False)
        return entry


def _key(name: str, kind: str) -> tuple[str, str]:
    return name.lower().rstrip("."), kind


def _read_mx(record: Any) -> MxRecord:
    return MxRecord(record.preference, record.exchange.to_text(omit_final_dot=True).lower().strip("."))


def _read_text(record: Any) -> str:
    return str(record.address)


def _read_txt(record: Any) -> str:
    return b"".join(record.strings).decode("utf-8", "replace")


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
