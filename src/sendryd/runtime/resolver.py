"""DNS look-ups for delivery and for the verification of domains.

Does: MX, A, AAAA, TXT and TLSA through the configured resolver, over UDP and, for truncated answers, TCP.
Strategy: answers are cached for their TTL within bounds; concurrent questions for one record are asked once. A query first gets
`QUICK.timeout` in one of many slots. A name whose DNS is silent then continues in one of few slow slots, so that many silent names cannot
delay the others.
When things fail: NXDOMAIN is told apart from no such record, and both from "no answer just now" (SERVFAIL, REFUSED, time-out). A failure is
answered from a recently expired record if there is one (RFC 8767), and is queried again after pauses that double.
Standards: RFC 1035, RFC 2308 (negative answers and failures), RFC 6840 (the AD bit), RFC 7505 (null MX), RFC 8767 (stale answers).
"""

import asyncio
import ipaddress
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol

import dns.asyncresolver
import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.rdatatype
import dns.resolver

from sendryd.policy.routing import MxRecord, NullMx
from sendryd.policy.tls import TlsaRecord
from sendryd.runtime.clock import Clock
from sendryd.runtime.faults import LookupFailed

MAX_TTL: Final = 3600.0  # seconds: a longer TTL would delay changes that people wait for
MIN_TTL: Final = 5.0  # seconds: a TTL of 0 must not cause a look-up for every message
NEGATIVE_TTL: Final = 60.0
FAILURE_TTL: Final = 10.0  # seconds until a failure is queried again; each further failure doubles it
MAX_FAILURE_TTL: Final = 80.0  # seconds; RFC 2308 §7.1 allows five minutes; repaired DNS is noticed sooner
MAX_STALE: Final = (
    3600.0  # seconds after its TTL for which an answer may be served; RFC 8767 §5 allows days, mail must not follow an old MX
)
MAX_ENTRIES: Final = 65_536


@dataclass(frozen=True, slots=True)
class Slots:
    """How many queries may be open at once, and for how long."""

    count: int  # each a socket and a datagram
    timeout: float  # seconds for one server; then the next configured server is queried
    lifetime: float  # seconds for a query to all of them


# Most answers take less. Of quick slots there are about as many as the resolver's receive buffer holds datagrams; 700 silent names delay a good one
# by 4.5 s.
QUICK: Final = Slots(256, timeout=0.75, lifetime=1.5)
SLOW: Final = Slots(64, timeout=3.0, lifetime=8.0)

Answer = tuple[Any, ...]


class DnsResolver(Protocol):
    """The resolver's interface for daemons."""

    async def mx(self, domain: str) -> tuple[MxRecord, ...] | NullMx:
        """Mail exchangers; empty: the name exists and has none. Raises `LookupFailed`."""
        ...

    async def addresses(self, host: str) -> tuple[str, ...]:
        """IPv4 and IPv6 addresses; empty: the name exists and has none. Raises `LookupFailed`."""
        ...

    async def txt(self, name: str, *, fresh: bool = False) -> tuple[str, ...]:
        """TXT records, the strings of each joined; empty: the name exists and has none. Raises `LookupFailed`."""
        ...


class RecordResolver(DnsResolver, Protocol):
    """The resolver's interface for the verification of domains."""

    async def lookup(self, name: str, kind: str) -> tuple[str, ...]:
        """Records of a type (A, AAAA, MX, NS, PTR, TLSA, TXT) as texts, past the cache; of MX the hosts, most preferred first. Empty: there are none, also
        where there is no such name. Raises `LookupFailed` if there is no answer now.
        """
        ...


class SecureResolver(Protocol):
    """The resolver's interface for DANE."""

    def is_secure(self, name: str, kind: str) -> bool:
        """Whether the last answer to a query, or to its absence of records, was authenticated by DNSSEC. False if there was none."""
        ...

    async def tlsa(self, name: str) -> tuple[TlsaRecord, ...]:
        """TLSA records, authenticated or not; empty: there are none, also where there is no such name. Raises `LookupFailed` if there is no
        answer now.
        """
        ...


class LookupNotes(Protocol):
    """Receives every new answer to an MX query, not those from the cache."""

    def note_answered(self, domain: str) -> None:
        """The domain has mail exchangers."""
        ...


@dataclass(frozen=True, slots=True)
class _Entry:
    expires: float  # monotonic seconds: when the query is sent again
    answer: Answer
    failure: tuple[str, bool] | None = None  # its sentence, and whether it is temporary
    stale_until: float = 0.0  # monotonic seconds: how long the answer may be served instead of a temporary failure
    failures: int = 0  # temporary ones in a row
    is_secure: bool = False  # a validating resolver has authenticated the answer

    def read(self, *, fresh: bool = False) -> Answer:
        """The answer, a stale one only unless `fresh`. Raises `LookupFailed`, a new one for each reader: a shared exception would collect
        the tracebacks of all of them.
        """
        if self.failure is not None and (fresh or not self.answer):
            sentence, is_temporary = self.failure
            raise LookupFailed(sentence, is_temporary=is_temporary)
        return self.answer


class Resolver:
    """`DnsResolver` on dnspython."""

    def __init__(
        self,
        clock: Clock,
        nameserver: tuple[str, int] | None = None,
        notes: LookupNotes | None = None,
        *,
        quick: Slots = QUICK,
        slow: Slots = SLOW,
        trusts_ad: bool = False,
    ) -> None:
        """Queries the given server, or the system's. `trusts_ad`: its word that an answer is authenticated (the AD bit) counts."""
        self._trusts_ad = trusts_ad
        self._clock = clock
        self._notes = notes
        self._quick = _make_resolver(nameserver, quick, trusts_ad=trusts_ad)
        self._slow = _make_resolver(nameserver, slow, trusts_ad=trusts_ad)
        self._entries: OrderedDict[tuple[str, str], _Entry] = OrderedDict()
        self._asking: dict[tuple[str, str], asyncio.Task[_Entry]] = {}
        self._quick_slots = asyncio.Semaphore(quick.count)
        self._slow_slots = asyncio.Semaphore(slow.count)
        self._asked = 0
        self._failed = 0
        self._stale = 0

    def __repr__(self) -> str:
        return f"<Resolver {len(self._entries)} answers kept, {len(self._asking)} questions open>"

    def statistics(self) -> Mapping[str, float]:
        """For /metrics."""
        return {
            "entries": len(self._entries),
            "open": len(self._asking),
            "asked": self._asked,
            "failed": self._failed,
            "stale_served": self._stale,
        }

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

    async def lookup(self, name: str, kind: str) -> tuple[str, ...]:
        try:
            answer = await self._ask(name.replace("\\", "\\\\"), kind, _READERS[kind], fresh=True)
        except LookupFailed as error:
            if error.is_temporary:
                raise
            return ()
        if kind == "TLSA":
            return tuple(str(record) for record in answer)
        return tuple(record.host for record in sorted(answer, key=lambda record: record.preference)) if kind == "MX" else answer

    def is_secure(self, name: str, kind: str) -> bool:
        entry = self._entries.get(_key(name, kind))
        return entry is not None and entry.is_secure

    async def tlsa(self, name: str) -> tuple[TlsaRecord, ...]:
        try:
            return await self._ask(name, "TLSA", _read_tlsa)
        except LookupFailed as error:
            if error.is_temporary:
                raise
            return ()

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
        return (await asyncio.shield(task)).read(fresh=fresh)

    async def _look_up(self, key: tuple[str, str], read: Callable[[Any], Any]) -> _Entry:
        name, kind = key
        entry: _Entry
        try:
            found = await self._question(key)
            answer: Answer = tuple(read(record) for record in found)
            ttl = max(MIN_TTL, min(MAX_TTL, float(found.rrset.ttl if found.rrset else 0)))
            expires = self._clock.monotonic() + ttl
            entry = _Entry(expires, answer, stale_until=expires + MAX_STALE, is_secure=self._is_authentic(found.response))
        except dns.resolver.NoAnswer as error:
            entry = _Entry(self._clock.monotonic() + NEGATIVE_TTL, (), is_secure=self._is_authentic(error.kwargs["response"]))
        except dns.resolver.NXDOMAIN:
            entry = self._refuse(f"the name {name} does not exist")
        except (dns.name.LabelTooLong, dns.name.NameTooLong, dns.name.EmptyLabel, dns.name.BadEscape, UnicodeError):
            entry = self._refuse(f"{name} is not a name")
        except (dns.exception.DNSException, OSError) as error:
            reason = "no answer in time" if isinstance(error, dns.exception.Timeout) else "the look-up failed"
            entry = self._fail(key, f"{kind} of {name}: {reason}")
        if kind == "MX" and entry.answer and entry.failure is None and self._notes is not None:
            self._notes.note_answered(name)
        self._entries[key] = entry
        self._entries.move_to_end(key)
        while len(self._entries) > MAX_ENTRIES:
            self._entries.popitem(last=False)
        return entry

    async def _question(self, key: tuple[str, str]) -> dns.resolver.Answer:
        """Queries in a quick slot, then, without an answer in time and without a stale one, in a slow slot."""
        name = dns.name.from_text(key[0])
        self._asked += 1
        try:
            async with self._quick_slots:
                return await self._quick.resolve(name, key[1], search=False)
        except dns.exception.Timeout:
            if self._stale_answer(key):
                raise
        async with self._slow_slots:
            return await self._slow.resolve(name, key[1], search=False)

    def _refuse(self, sentence: str) -> _Entry:
        return _Entry(self._clock.monotonic() + NEGATIVE_TTL, (), (sentence, False))

    def _fail(self, key: tuple[str, str], sentence: str) -> _Entry:
        """A temporary failure, with a stale answer if there is one."""
        now = self._clock.monotonic()
        last = self._entries.get(key)
        failures = last.failures if last is not None else 0
        answer = self._stale_answer(key)
        self._failed += 1
        self._stale += bool(answer)
        return _Entry(
            expires=now + min(MAX_FAILURE_TTL, FAILURE_TTL * 2 ** min(failures, 10)),
            answer=answer,
            failure=(sentence, True),
            stale_until=last.stale_until if last is not None else 0.0,
            failures=failures + 1,
            is_secure=bool(answer) and last is not None and last.is_secure,
        )

    def _is_authentic(self, response: dns.message.Message) -> bool:
        return self._trusts_ad and bool(response.flags & dns.flags.AD)

    def _stale_answer(self, key: tuple[str, str]) -> Answer:
        last = self._entries.get(key)
        return last.answer if last is not None and self._clock.monotonic() < last.stale_until else ()


def system_nameservers() -> list[str]:
    """The addresses of the system's name servers; empty if it has none."""
    try:
        return [str(each) for each in dns.resolver.Resolver().nameservers]
    except dns.exception.DNSException:
        return []


def _make_resolver(nameserver: tuple[str, int] | None, slots: Slots, *, trusts_ad: bool) -> dns.asyncresolver.Resolver:
    made = dns.asyncresolver.Resolver(configure=nameserver is None)
    if nameserver is not None:
        made.nameservers = [nameserver[0]]
        made.port = nameserver[1]
    made.timeout = slots.timeout
    made.lifetime = slots.lifetime
    made.cache = None
    if trusts_ad:
        made.flags = dns.flags.RD | dns.flags.AD  # RFC 6840 §5.7: the resolver is to say whether the answer is authenticated
    return made


def _key(name: str, kind: str) -> tuple[str, str]:
    return name.lower().rstrip("."), kind


def _read_mx(record: Any) -> MxRecord:
    return MxRecord(record.preference, record.exchange.to_text(omit_final_dot=True).lower().strip("."))


def _read_text(record: Any) -> str:
    return str(record.address)


def _read_txt(record: Any) -> str:
    return b"".join(record.strings).decode("utf-8", "replace")


def _read_tlsa(record: Any) -> TlsaRecord:
    return TlsaRecord(record.usage, record.selector, record.mtype, bytes(record.cert))


def _read_target(record: Any) -> str:
    return str(record.target.to_text(omit_final_dot=True))


_READERS: Final[Mapping[str, Callable[[Any], Any]]] = {
    "A": _read_text,
    "AAAA": _read_text,
    "MX": _read_mx,
    "NS": _read_target,
    "PTR": _read_target,
    "TLSA": _read_tlsa,
    "TXT": _read_txt,
}


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
