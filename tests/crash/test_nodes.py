"""The ledger of a cluster: numbered messages into several nodes on one PostgreSQL while nodes are killed and frozen and the server is restarted and frozen.

Nothing that was acknowledged is lost. Duplicates are those of deliveries that were under way.
"""

import itertools
import os
import random
import signal
import smtplib
import ssl
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from sendryd.testing.load import CONNECTIONS, SmtpLoad
from sendryd.testing.postgres import Server, free_port, own_server
from sendryd.testing.process import RelayProcess
from sendryd.testing.waiting import pause
from sendryd.testing.world import World

NODES = int(os.environ.get("SENDRYD_TEST_NODES", "2"))
FAULTS = int(os.environ.get("SENDRYD_TEST_FAULTS", "3"))
MESSAGES = 200 * (FAULTS + 1)
OUTAGE = 3.0  # seconds that the server is away or frozen
TIMEOUT = 240 + 60 * FAULTS  # seconds, on a machine that does other things too

pytestmark = [pytest.mark.sockets, pytest.mark.needs("postgres")]


class ClusterLoad(SmtpLoad):
    """Each client goes to the next node."""

    def __init__(self, world: World, nodes: list[RelayProcess], total: int) -> None:
        super().__init__(world, total)
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


@pytest.fixture
def server() -> Iterator[Server]:
    """A server whose commits reach the disk."""
    with own_server({"fsync": "on", "synchronous_commit": "on", "full_page_writes": "on"}) as made:
        yield made


def kill_node(_server: Server, node: RelayProcess) -> None:
    node.kill()
    node.start()


def freeze_node(_server: Server, node: RelayProcess) -> None:
    node.process.send_signal(signal.SIGSTOP)
    pause(OUTAGE)
    node.process.send_signal(signal.SIGCONT)


def restart_server(server: Server, _node: RelayProcess) -> None:
    server.stop()
    pause(OUTAGE)
    server.start(server.port)


def freeze_server(server: Server, _node: RelayProcess) -> None:
    server.freeze()
    pause(OUTAGE)
    server.thaw()


def address() -> dict[str, str]:
    """One that a node finds free after a restart, too."""
    return {"SENDRYD_SMTP_LISTEN": f"127.0.0.1:{free_port()}"}


DEEDS = (kill_node, restart_server, freeze_server, freeze_node)


@pytest.mark.timeout(TIMEOUT)
def test_the_ledger_of_a_cluster(server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    env = {"SENDRYD_DATABASE_URL": server.url(server.new_database()), "SENDRYD_NODE_NAME": "a", "SENDRYD_LOG_LEVEL": "warning", **address()}
    chance = random.Random(FAULTS)
    with World(tmp_path, env=env) as world, ExitStack() as stack:
        nodes = [world.relay]
        for number in range(2, NODES + 1):
            own = {"SENDRYD_DATA_DIR": str(tmp_path / f"n{number}"), "SENDRYD_NODE_NAME": f"n{number}", **address()}
            nodes.append(stack.enter_context(RelayProcess(tmp_path / f"n{number}", {**world.relay.env, **own})))
        load = ClusterLoad(world, nodes, MESSAGES)
        load.start()
        done = []
        for number in range(1, FAULTS + 1):
            wanted = number * load.total // (FAULTS + 1)
            world.wait_until(lambda wanted=wanted: len(load.acknowledged) >= wanted, timeout=120)  # type: ignore[misc]  # bound now
            deed = DEEDS[(number - 1) % len(DEEDS)]
            deed(server, chance.choice(nodes))
            done.append(deed.__name__)
        load.join()
        assert len(load.acknowledged) == load.total
        # Whatever was under way at several kills in a row waits for minutes, apart from the others; an operator who knows better says retry.
        world.relay.run("queue", "retry", "--domain", "example.org")
        world.wait_until(lambda: set(load.acknowledged) <= set(load.delivered()), timeout=150)
        duplicates = sum(count - 1 for count in load.delivered().values())
        with capsys.disabled():
            print(f"\n{load.total} acknowledged by {NODES} nodes, 0 lost, {duplicates} delivered twice, through {', '.join(done)}")
        assert duplicates <= (FAULTS + 1) * 4 * CONNECTIONS
