"""Limits of the listeners, for clients with many addresses."""

import asyncio
from typing import cast

from sendryd.runtime.budget import ContentBudget
from sendryd.runtime.memory import MemoryStream, memory_streams
from sendryd.runtime.stream import Peer
from sendryd.runtime.tcp import TcpStream
from sendryd.submission.listener import ConnectionLimits, Listener
from sendryd.testing.door import Door


async def test_the_addresses_of_one_ipv6_network_share_their_limit() -> None:
    door = await Door().open()
    context = door.session_context(ContentBudget(1000))
    listener = Listener(context, ConnectionLimits(unauthenticated_per_address=2))
    clients: list[MemoryStream] = []

    async def connect(address: str) -> bytes:
        near, far = memory_streams()
        near.peer = Peer(address, 40000)
        clients.append(far)
        listener._start(cast("TcpStream", near), is_implicit_tls=False)
        return await far.read(5)

    greetings = [await connect(f"2001:db8:0:1::{number:x}") for number in range(3)]
    assert [greeting[:3] for greeting in greetings] == [b"220", b"220", b"421"]
    assert (await connect("2001:db8:0:2::1"))[:3] == b"220"
    for client in clients[:2]:
        await client.aclose()
    async with asyncio.timeout(60):
        while (await connect("2001:db8:0:1::9"))[:3] != b"220":
            await asyncio.sleep(0)
    await listener.aclose(1.0)
