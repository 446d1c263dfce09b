"""Addresses that a person has shut out of the submission door."""

from datetime import timedelta
from typing import cast

import pytest

from sendryd.model.blockedaddress import BlockedAddress
from sendryd.runtime.clock import Clock
from sendryd.runtime.memory import MemoryStream, memory_streams
from sendryd.runtime.stream import Peer
from sendryd.runtime.tcp import TcpStream
from sendryd.store.base import RefusalStore
from sendryd.store.errors import StoreUnavailable
from sendryd.submission.blocklist import Blocklist
from sendryd.submission.listener import ConnectionLimits, Listener
from sendryd.testing.clock import ManualClock
from sendryd.testing.door import Door


class Blocked:
    """A store that has only this."""

    def __init__(self) -> None:
        self.found: list[BlockedAddress] = []
        self.is_away = False

    async def list_blocked_addresses(self) -> list[BlockedAddress]:
        if self.is_away:
            raise StoreUnavailable("away")
        return self.found


@pytest.fixture
def store() -> Blocked:
    return Blocked()


def block(clock: Clock, network: str, hours: int | None = None) -> BlockedAddress:
    until = clock.now() + timedelta(hours=hours) if hours else None
    return BlockedAddress(network=network, by="Mara", reason="", since=clock.now(), until=until)


async def test_a_block_holds_for_its_time_and_for_the_network_of_an_ipv6_address(store: Blocked) -> None:
    clock = ManualClock()
    blocklist = Blocklist(cast("RefusalStore", store), clock)
    store.found = [block(clock, "192.0.2.7", hours=1), block(clock, "2001:db8::/64")]
    assert await blocklist.refresh()
    asked = ("192.0.2.7", "::ffff:192.0.2.7", "192.0.2.8", "2001:db8::9", "2001:db8:0:1::9")
    assert [blocklist.holds(each) for each in asked] == [True, True, False, True, False]
    clock.advance(timedelta(hours=1))
    assert [blocklist.holds(each) for each in asked] == [False, False, False, True, False]
    assert not await blocklist.refresh()
    store.is_away = True
    with pytest.raises(StoreUnavailable):
        await blocklist.refresh()
    assert blocklist.holds("2001:db8::9")


async def test_a_blocked_address_gets_554_for_a_greeting_and_its_open_sessions_end(store: Blocked) -> None:
    door = await Door().open()
    context = door.session_context()
    context.blocklist._store = cast("RefusalStore", store)
    listener = Listener(context, ConnectionLimits())

    async def connect(address: str, *, is_implicit_tls: bool = False) -> MemoryStream:
        near, far = memory_streams()
        near.peer = Peer(address, 40000)
        listener._start(cast("TcpStream", near), is_implicit_tls=is_implicit_tls)
        return far

    early = await connect("192.0.2.7")
    assert (await early.read(1000)).startswith(b"220 ")
    store.found = [block(door.clock, "192.0.2.7")]
    await context.blocklist.refresh()
    late = await connect("192.0.2.7")
    assert await late.read(1000) == b"554 5.7.1 Connections from your address are blocked here: ask the operator of this server\r\n"
    assert await late.read(1000) == b""
    assert await (await connect("192.0.2.7", is_implicit_tls=True)).read(1000) == b""
    assert (await (await connect("192.0.2.8")).read(1000)).startswith(b"220 ")
    listener.end_blocked()
    assert (await early.read(1000)).startswith(b"421 ")
    refusals, more = door.refusals.take()
    assert {(each.address, each.step, each.reply[:9]) for each in refusals} == {("192.0.2.7", "connection", "554 5.7.1")}
    assert len(refusals) + sum(more.values()) == 2
    await listener.aclose(1.0)
