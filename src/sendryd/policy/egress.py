"""Egress: the addresses that mail leaves from, in pools, and the order in which a message tries those of its pool. Pure.

Form of the setting: entries separated by commas, one for each address, `POOL ADDRESS NAME [weight=N] [warmup_from=DATE]`. NAME is what EHLO says
from this address; its A or AAAA record and the address's PTR record should name one another (RFC 5321 §4.1.1.1, RFC 1912 §2.1).
"""

import math
import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import date
from hashlib import blake2b
from ipaddress import ip_address
from typing import Final

from typing_extensions import override

from sendryd.smtp.address import AddressError, normalise_domain
from sendryd.valuetype import valuetype

DEFAULT_POOL: Final = "default"  # mail of domains that name no pool leaves from it, if there is one
FORM: Final = "write POOL ADDRESS NAME [weight=N] [warmup_from=DATE], as in default 192.0.2.1 out1.example.com weight=2"
MAX_SOURCES: Final = 256  # of all pools: each attempt ranks those of one
MAX_WEIGHT: Final = 1000
_POOL: Final = re.compile(r"[a-z0-9](?:[a-z0-9_-]{0,61}[a-z0-9])?", re.ASCII)
_WEIGHT: Final = re.compile(r"[0-9]{1,4}", re.ASCII)


class BadEgress(ValueError):
    """The text lists no pools; the message says what to change."""


@valuetype(frozen=True, slots=True)
class Source:
    """An address of this machine that mail leaves from."""

    address: str  # an IP address in its shortest form
    hello_name: str  # lower case
    weight: int = 1  # its share of the pool's mail
    warmup_from: date | None = None  # the first day of its ramp; None: it takes any amount

    @property
    def family(self) -> int:
        """4 or 6."""
        return family_of(self.address)

    def __str__(self) -> str:
        return self.address


Pools = Mapping[str, tuple[Source, ...]]  # by name, in the order of the setting


class PoolsInForce(Pools):
    """The pools that a running process sends by. Whoever holds it sees those that take their place."""

    def __init__(self, pools: Pools) -> None:
        self._pools = pools

    def __repr__(self) -> str:
        return f"<PoolsInForce {write_pools(self._pools)}>"

    def use(self, pools: Pools) -> bool:
        """Takes other pools. False if they are the same."""
        is_new = dict(self._pools) != dict(pools)
        self._pools = pools
        return is_new

    @override
    def __getitem__(self, name: str) -> tuple[Source, ...]:
        return self._pools[name]

    @override
    def __iter__(self) -> Iterator[str]:
        return iter(self._pools)

    @override
    def __len__(self) -> int:
        return len(self._pools)


def family_of(address: str) -> int:
    """4 or 6, of an IP address."""
    return 6 if ":" in address else 4


def parse_pools(text: str) -> dict[str, tuple[Source, ...]]:
    """Reads the setting. Raises `BadEgress`."""
    pools: dict[str, tuple[Source, ...]] = {}
    known: dict[str, Source] = {}
    for entry in filter(None, (part.strip() for part in text.split(","))):
        pool, source = _parse_entry(entry)
        if any(each.address == source.address for each in pools.get(pool, ())):
            raise BadEgress(f"the pool {pool} has {source.address} twice; leave one out")
        other = known.setdefault(source.address, source)
        if (other.hello_name, other.warmup_from) != (source.hello_name, source.warmup_from):
            raise BadEgress(f"{source.address} is in two pools and must have the same name and warmup_from in both")
        pools[pool] = (*pools.get(pool, ()), source)
    if len(known) > MAX_SOURCES:
        raise BadEgress(f"there are {len(known)} addresses; list at most {MAX_SOURCES}")
    return pools


def _parse_entry(entry: str) -> tuple[str, Source]:
    words = entry.split()
    if len(words) < 3:
        raise BadEgress(f"{entry!r} is no address of a pool; {FORM}")
    pool, address, name, *options = words
    if not _POOL.fullmatch(pool):
        raise BadEgress(f"{pool!r} is no name of a pool: use lower case letters, digits, hyphens and underscores")
    try:
        parsed = ip_address(address)
    except ValueError:
        raise BadEgress(f"{address!r} is no IP address; {FORM}") from None
    if parsed.is_unspecified or parsed.is_multicast:
        raise BadEgress(f"mail cannot leave from {address}; name one address of this machine")
    try:
        hello_name = normalise_domain(name)
    except AddressError:
        raise BadEgress(f"{name!r} is no host name; {FORM}") from None
    weight, warmup_from = 1, None
    for option in options:
        key, _, value = option.partition("=")
        match key:
            case "weight":
                weight = _parse_weight(value)
            case "warmup_from":
                warmup_from = _parse_date(value)
            case _:
                raise BadEgress(f"{option!r} is neither weight=N nor warmup_from=DATE")
    return pool, Source(str(parsed), hello_name, weight, warmup_from)


def _parse_weight(text: str) -> int:
    if not _WEIGHT.fullmatch(text) or not 1 <= int(text) <= MAX_WEIGHT:
        raise BadEgress(f"weight is a number from 1 to {MAX_WEIGHT}, not {text!r}")
    return int(text)


def _parse_date(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise BadEgress(f"warmup_from is a date as 2027-03-01, not {text!r}") from None


def write_pools(pools: Pools) -> str:
    """The setting that `parse_pools` reads."""
    return ", ".join(f"{pool} {_write(source)}" for pool, sources in pools.items() for source in sources)


def _write(source: Source) -> str:
    weight = f" weight={source.weight}" if source.weight != 1 else ""
    warmup = f" warmup_from={source.warmup_from}" if source.warmup_from is not None else ""
    return f"{source.address} {source.hello_name}{weight}{warmup}"


def pool_of(domain_pool: str, pools: Pools) -> str:
    """The pool of a domain's mail: the one that it names, else the default; empty: the system chooses the address."""
    return domain_pool or (DEFAULT_POOL if DEFAULT_POOL in pools else "")


def pools_with(address: str, pools: Pools) -> list[str]:
    """The names of the pools that an address is in."""
    return [pool for pool, sources in pools.items() if any(each.address == address for each in sources)]


def waiting_words(pool: str) -> str:
    """How the sentence begins that says why mail of a pool waits. `queue resume` finds that mail by it."""
    return f"The address pool {pool}"


def rank(sources: Iterable[Source], *, message: int, account: int) -> list[Source]:
    """The sources in the order in which a message tries them, by weighted rendezvous hashing.

    The same message always gets the same order, so a greylisting receiver sees its retries from one address; without one of the sources the
    others keep their order. Each comes first for its weight's share of all messages.
    """
    return sorted(sources, key=lambda source: _score(source, message, account), reverse=True)


def _score(source: Source, message: int, account: int) -> float:
    digest = blake2b(f"{source.address} {account} {message}".encode("ascii"), digest_size=8).digest()
    share = (int.from_bytes(digest) + 1) / (2**64 + 1)  # above 0 and below 1
    return -source.weight / math.log(share) if share < 1 else math.inf
