"""Memory of the real program: idle, for each idle TLS connection, after many messages; and whether a huge message makes others wait.

python benchmarks/memory.py [--messages 100000] [--connections 1000]
"""

import argparse
import asyncio
import resource
import subprocess
import sys
import time
from pathlib import Path

from accept import HERE
from load import Client
from machine import describe

from sendryd.testing.process import RelayProcess
from sendryd.testing.world import World

HUGE = 39 * 1024 * 1024  # octets: just under the limit


def resident(relay: RelayProcess) -> int:
    """Resident memory in KiB."""
    status = Path(f"/proc/{relay.process.pid}/status").read_text(encoding="ascii")
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS"))


async def hold_connections(world: World, count: int) -> int:
    """Opens idle, logged in TLS connections; gives the memory with them."""
    resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
    host, port = world.relay.smtp
    clients = [Client(host, port, world.live_key, str(world.relay.cert), b"") for _ in range(count)]
    for start in range(0, count, 50):
        await asyncio.gather(*(client.open() for client in clients[start : start + 50]))
    memory = resident(world.relay)
    for client in clients:
        client.close()
    return memory


async def wait_beside_a_huge_message(world: World) -> tuple[float, float]:
    """Milliseconds that a small message takes alone, and the longest while a huge one is being taken."""
    host, port = world.relay.smtp
    small = b"From: bench@example.test\r\n\r\nsmall\r\n.\r\n"
    line = b"The quick brown fox jumps over the lazy dog, and so on and so forth......\r\n"
    huge = b"From: bench@example.test\r\n\r\n" + line * (HUGE // len(line)) + b".\r\n"
    quick = Client(host, port, world.live_key, str(world.relay.cert), small)
    slow = Client(host, port, world.live_key, str(world.relay.cert), huge)
    await quick.open()
    await slow.open()

    async def timed() -> float:
        started = time.perf_counter()
        await quick.submit()
        return (time.perf_counter() - started) * 1000

    alone = sorted([await timed() for _ in range(50)])[25]
    task = asyncio.create_task(slow.submit())
    beside = []
    while not task.done():
        beside.append(await timed())
    await task
    return alone, max(beside)


def main() -> None:
    """Prints one line for each figure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--messages", type=int, default=100_000)
    parser.add_argument("--connections", type=int, default=1000)
    options = parser.parse_args()
    print(describe())
    limits = dict.fromkeys(("", "_PER_ADDRESS"), str(options.connections + 100))
    env = {f"SENDRYD_SMTP_MAX_CONNECTIONS{name}": number for name, number in limits.items()}
    with World(env={"SENDRYD_LOG_LEVEL": "error", **env}) as world:
        world.mailhost.does_keep = False
        time.sleep(2)  # what the start left behind is gone
        idle = resident(world.relay)
        print(f"idle: {idle / 1024:.0f} MB")
        held = asyncio.run(hold_connections(world, options.connections))
        print(
            f"idle TLS connections: {(held - idle) / options.connections:.0f} KB each, with {options.connections} of them: {held / 1024:.0f} MB in all"
        )
    with World(env={"SENDRYD_LOG_LEVEL": "error"}, args=("--role", "smtp,http")) as world:
        alone, beside = asyncio.run(wait_beside_a_huge_message(world))
        print(
            f"a small message: {alone:.1f} ms alone, at most {beside:.1f} ms beside one of {HUGE >> 20} MB (client and server on the same cores)"
        )
    with World(env={"SENDRYD_LOG_LEVEL": "error"}, args=("--role", "smtp,http")) as world:
        host, port = world.relay.smtp
        command = [sys.executable, str(HERE / "load.py"), "--host", host, "--port", str(port), "--key", world.live_key]
        command += ["--cert", str(world.relay.cert), "--messages"]
        tenth = options.messages // 10
        for step in range(1, 11):
            subprocess.run([*command, str(tenth)], check=True, capture_output=True)
            if step in {1, 5, 10}:
                print(f"after {step * tenth} messages: {resident(world.relay) / 1024:.0f} MB")


if __name__ == "__main__":
    main()
