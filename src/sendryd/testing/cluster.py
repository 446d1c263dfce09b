"""Several nodes on one PostgreSQL, each of which can lose its way to the database, its room and its time; and clients that use them in turn."""

import itertools
import json
import os
import random
import smtplib
import ssl
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from sendryd.testing import smalldisk
from sendryd.testing.commands import run_command
from sendryd.testing.load import SmtpLoad
from sendryd.testing.mailhost import Script
from sendryd.testing.network import Network
from sendryd.testing.postgres import Server, as_other_user, free_port, own_server
from sendryd.testing.process import RelayProcess
from sendryd.testing.smalldisk import SmallDisk
from sendryd.testing.wallclock import WallClock
from sendryd.testing.world import World

# A server whose commits reach the disk, and which keeps its statistics: rows by the thousand come while a test runs.
DURABLE: Final = {"fsync": "on", "synchronous_commit": "on", "full_page_writes": "on", "autovacuum": "on", "max_wal_size": "1GB"}
DISK: Final = 64 << 20  # octets of a small disk: a node needs some, a database ten
ENDLESS: Final = 10**9  # messages: until the load is ended
INTERVAL: Final = 0.3  # seconds between two messages of a client: the load lasts as long as the faults


@dataclass(frozen=True, kw_only=True, slots=True)
class Parts:
    """What a cluster is made with, besides its nodes."""

    network: bool = False  # nodes reach the server by links that can be cut
    clocks: bool = False  # each node has a wall clock of its own
    disks: bool = False  # the data of each node, and the database, have small disks


class ClusterLoad(SmtpLoad):
    """Each client goes to the next node."""

    def __init__(self, world: World, nodes: Sequence[RelayProcess]) -> None:
        super().__init__(world, ENDLESS, interval=INTERVAL)
        self._nodes = itertools.cycle(nodes)

    def connect(self) -> smtplib.SMTP:
        with self._lock:
            node = next(self._nodes)
        smtp = smtplib.SMTP(*node.smtp, timeout=30)
        try:
            smtp.starttls(context=ssl.create_default_context(cafile=str(node.cert)))
            smtp.login("sendry", self.world.live_key)
        except BaseException:
            smtp.close()
            raise
        return smtp


class Cluster:
    """The nodes, their server and their world. A context manager; nodes are named by their place in `nodes`."""

    def __init__(self, directory: Path, count: int, parts: Parts, chance: random.Random) -> None:
        self._directory = directory
        self._count = count
        self._parts = parts
        self._chance = chance
        self._stack = ExitStack()
        self.network: Network | None = None
        self.clocks: list[WallClock] = []
        self.disks: list[SmallDisk] = []  # of the nodes
        self.nodes: list[RelayProcess] = []

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            if self._parts.network:
                self.network = stack.enter_context(Network(self._count + 1))
            self.server: Server = stack.enter_context(own_server(DURABLE, self.network))
            self.database = self.server.new_database()
            if self._parts.disks:
                self._give_server_a_small_disk(stack)
            self.world = World(self._directory, env={**self._env(0), "SENDRYD_LOG_LEVEL": "warning"}, script=Script())
            self.nodes.append(self.world.relay)
            for number in range(1, self._count):
                folder = self._directory / f"n{number}"
                self.nodes.append(RelayProcess(folder, {**self.world.relay.env, **self._env(number), "SENDRYD_DATA_DIR": str(folder)}))
            for node in self.nodes:
                self._equip(node, stack)
            stack.enter_context(self.world)
            for node in self.nodes[1:]:
                stack.enter_context(node)
            self.load = ClusterLoad(self.world, self.nodes)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        self._stack.close()

    def _env(self, number: int) -> dict[str, str]:
        name = chr(ord("a") + number)
        return {
            "SENDRYD_DATABASE_URL": self.server.url(self.database, link=number + 1),
            "SENDRYD_NODE_NAME": name,
            "SENDRYD_HOSTNAME": f"{name}.example.test",
            "SENDRYD_SMTP_LISTEN": f"127.0.0.1:{free_port()}",  # one that a node finds free after a restart, too
        }

    def _equip(self, node: RelayProcess, stack: ExitStack) -> None:
        if self._parts.clocks:
            self.clocks.append(WallClock(node.data_dir.with_suffix(".clock"), node.env))
        if self._parts.disks:
            self.disks.append(stack.enter_context(SmallDisk(node.data_dir, DISK)))

    def _give_server_a_small_disk(self, stack: ExitStack) -> None:
        """For the database alone: a server whose log has no room stops."""
        self.disk = stack.enter_context(SmallDisk(self.server.folder / "small", DISK))
        place, user = self.disk.folder / "space", as_other_user()
        place.mkdir(0o700)
        for folder in (self.disk.folder, place):
            os.chown(folder, user["user"], user["group"])
        self.server.run(f"CREATE TABLESPACE small LOCATION '{place}'")
        self.server.run(f"ALTER DATABASE {self.database} SET TABLESPACE small")

    def any_node(self) -> int:
        """One by chance."""
        return self._chance.randrange(self._count)

    def delivering(self) -> int:
        """The node that the newest arrival came from."""
        return ord(self.world.mailhost.mails[-1].helo[0]) - ord("a")

    def states(self) -> list[dict[str, Any]]:
        """What the database knows of the nodes, in their order."""
        env = {**self.nodes[0].env, "SENDRYD_DATABASE_URL": self.server.url(self.database)}
        env.pop("LD_PRELOAD", None)
        done = run_command(("nodes", "list", "--json"), env, None, 60.0)
        return sorted(json.loads(done.stdout)["data"], key=lambda node: str(node["name"])) if not done.returncode else []

    def wait_for_all(self) -> None:
        """Until each node is up and has its share."""
        self.world.wait_until(lambda: [node["state"] for node in self.states() if node["owns"]] == ["up"] * self._count)

    def acknowledge(self, count: int) -> None:
        """Waits until `count` more messages are acknowledged."""
        wanted = len(self.load.acknowledged) + count
        self.world.wait_until(lambda: len(self.load.acknowledged) >= wanted, timeout=180)


def missing_right(parts: Parts) -> str:
    """Why a cluster with these parts cannot be made here; empty if it can."""
    from sendryd.testing import network, wallclock

    if parts.network and not network.is_permitted():
        return "network namespaces are not permitted here"
    if parts.disks and not smalldisk.is_permitted():
        return "mounting a small disk is not permitted here"
    return "libfaketime is not installed" if parts.clocks and wallclock.LIBRARY is None else ""
