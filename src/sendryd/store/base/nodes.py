"""The processes of a cluster, and which of them serves which destinations.

Destinations are dealt to `SHARDS` shards by the name of their site. Each shard is leased to one process, which alone connects to its sites, so that
limits for a destination are kept although many processes deliver. All times are the database's own.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from hashlib import md5
from typing import Final, Protocol

from sendryd.store.base.leases import Owner

SHARDS: Final = 256
ALIVE: Final = timedelta(seconds=5)  # a process that runs has shown within this time that it does
SILENCE: Final = timedelta(seconds=30)  # of a process that is taken for dead, and the length of its leases of shards


def shard_of(name: str) -> int:
    """The shard of a site, or of a domain whose site is not known. The database computes the same for a domain.

    A domain that is set apart (`evil.example@google`) stays in the shard of its provider: others do not know that it is.
    """
    return md5(name.rpartition("@")[2].encode("utf-8", "surrogatepass"), usedforsecurity=False).digest()[0]


class NodeState(StrEnum):
    """What a process does."""

    UP = "up"
    DRAINING = "draining"  # it was asked to hand over and finishes what is under way
    DRAINED = "drained"  # it owns nothing and takes nothing
    GONE = "gone"  # it stopped, or was silent for too long


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """A process of the cluster."""

    name: str
    roles: tuple[str, ...]
    since: datetime
    last_seen: datetime
    owns: int  # shards
    state: NodeState


@dataclass(frozen=True, slots=True, kw_only=True)
class Beat:
    """What a process says of itself."""

    owner: Owner
    place: str  # the folder that one process at a time may use: an earlier one of the same place has ended
    roles: tuple[str, ...]
    serves: bool  # it delivers, and takes shards
    kept: frozenset[int] = frozenset()  # shards that it may begin sessions in, or has some in: they are not handed over yet
    is_idle: bool = True  # nothing is under way any more
    sessions: int = 0  # with the smart host for all mail that it has, or may have before its next beat
    machine: str = ""  # the machine, since its last start, and the folder on it: two processes of one place and machine do not run at once


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """What the database answers."""

    shards: frozenset[int]  # leased to this process for `SILENCE` from now on, and its own to begin sessions in
    is_asked_to_drain: bool
    is_first: bool  # of those with the duties of upkeep, it is the one that does what only one may do
    servers: int  # processes that deliver, this one included
    rank: int = 0  # of this process among them, from 0
    others: int = 0  # sessions with the smart host for all mail that other processes have or may have
    is_known: bool = True  # all others that deliver have beaten since this process came
    dead: frozenset[int] = field(default_factory=frozenset)  # boots that are gone and still hold leases: these are to be returned


class NameTaken(Exception):
    """Another process of this name is alive."""


class PlaceTaken(Exception):
    """Another process with the same place is alive: its folder was copied to where it runs, or from there."""


class Line(Protocol):
    """A connection by which the processes of a cluster call one another."""

    async def ring(self, kinds: Iterable[str]) -> None:
        """Says at all other processes that there is work of these kinds. None: makes sure that the connection is there. Raises `StoreUnavailable`."""
        ...

    def close(self) -> None:
        """Ends the connection at once."""
        ...


class NodeStore(Protocol):
    """The operations of a cluster."""

    def watch_faults(self, tell: Callable[[Exception | None], bool]) -> None:
        """Calls `tell` with each fault by which the database cannot be used, and after faults with None for what it answers, as long as `tell` returns True.
        In any thread.
        """
        ...

    async def read_time(self) -> datetime:
        """The time of the server's clock, which the processes share."""
        ...

    async def beat(self, beat: Beat) -> Share:
        """Notes that a process is alive; takes its share of the shards and hands over what is too much. Ends what silent processes held.

        Raises `NameTaken` if a process of another place has this name and is alive, and `PlaceTaken` if one of the same place has come since the
        process's first beat.
        """
        ...

    async def seen_at(self, place: str, machine: str) -> datetime | None:
        """When a process of this place was last seen that was alive `ALIVE` ago and is not on this machine. None: there is none."""
        ...

    async def leave(self, owner: Owner) -> None:
        """Ends a process: its shards are free, its name may be used again."""
        ...

    async def move_domains(self, shards: dict[str, int]) -> None:
        """Notes the shards of domains whose sites are in others than their names say, and moves their waiting mail there."""
        ...

    async def list_nodes(self) -> list[Node]:
        """All processes that are alive, or were within a day, by name."""
        ...

    async def ask_to_drain(self, name: str) -> bool:
        """Asks a process to hand over. False if none of this name is alive."""
        ...

    async def open_line(self, heard: Callable[[str], None], ended: Callable[[], None]) -> Line | None:
        """Calls `heard` with each kind of work that another process rings for, and `ended` once the connection is lost.

        None if nothing can be heard through what lies between this process and the server. Raises `StoreUnavailable`.
        """
        ...
