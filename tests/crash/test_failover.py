"""The ledger through a failover: two PostgreSQL servers under Patroni, of which the primary is lost while mail comes in.

Runs with `make test-chaos`: it takes a minute, and Patroni, etcd and their elections.
"""

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import asyncpg
import pytest

from sendryd.testing.load import CONNECTIONS, SmtpLoad
from sendryd.testing.loopthread import LoopThread
from sendryd.testing.postgres import USER, as_other_user, find_programs, free_port, make_folder_of_server
from sendryd.testing.process import RelayFailed, RelayProcess
from sendryd.testing.waiting import wait_until
from sendryd.testing.world import World

MESSAGES = 600
ELECTION = 90.0  # seconds: Patroni's shortest time-to-live is 20, and machines that run tests are busy

pytestmark = [
    pytest.mark.sockets,
    pytest.mark.skipif(not os.environ.get("SENDRYD_TEST_FAILOVER"), reason="make test-chaos runs it"),
    pytest.mark.needs("postgres", "patroni", "etcd"),
    pytest.mark.timeout(400),
]

CONFIG = """
scope: mail
name: p{number}
restapi: {{listen: "127.0.0.1:{rest}", connect_address: "127.0.0.1:{rest}"}}
etcd3: {{hosts: "127.0.0.1:{etcd}"}}
bootstrap:
  dcs: {{ttl: 20, loop_wait: 1, retry_timeout: 3, synchronous_mode: true, postgresql: {{parameters: {{max_connections: 200}}}}}}
  initdb: [encoding: UTF8, locale: C.UTF-8]
postgresql:
  listen: "127.0.0.1:{port}"
  connect_address: "127.0.0.1:{port}"
  data_dir: "{folder}/data"
  bin_dir: "{programs}"
  pgpass: "{folder}/pgpass"
  authentication: {{superuser: {{username: {user}, password: secret}}, replication: {{username: replica, password: secret}}}}
  pg_hba: ["local all all trust", "host all all 127.0.0.1/32 trust", "host replication all 127.0.0.1/32 trust"]
  parameters: {{unix_socket_directories: "{folder}"}}
"""


class Pair:
    """A primary and its synchronous replica."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self.folder, self.user = folder, as_other_user()
        self.ports = [free_port(), free_port()]
        self.url = f"postgresql://{USER}:secret@{','.join(f'127.0.0.1:{port}' for port in self.ports)}/mail?target_session_attrs=read-write"
        etcd = free_port()
        self._start(stack, "etcd", etcd_command(folder / "etcd", etcd, free_port()))
        self.processes = [self._start(stack, f"p{number}", self._patroni(number, etcd)) for number in (1, 2)]

    def _patroni(self, number: int, etcd: int) -> list[str]:
        own = self.folder / f"p{number}"
        own.mkdir(0o700)
        if self.user:
            os.chown(own, self.user["user"], self.user["group"])
        config = self.folder / f"p{number}.yml"
        values = {"number": number, "rest": free_port(), "etcd": etcd, "port": self.ports[number - 1], "folder": own, "user": USER}
        config.write_text(CONFIG.format(**values, programs=find_programs()), "utf-8")
        return ["patroni", str(config)]

    def _start(self, stack: ExitStack, name: str, command: list[str]) -> "subprocess.Popen[bytes]":
        with (self.folder / f"{name}.log").open("ab") as log:
            process = subprocess.Popen(command, stdout=log, stderr=log, cwd=self.folder, start_new_session=True, **self.user)
        stack.callback(end_group, process)
        return process

    def primary(self) -> int | None:
        """The place of the server that takes changes."""
        for place, port in enumerate(self.ports):
            if ask(port, "SELECT NOT pg_is_in_recovery()"):
                return place
        return None

    def is_replicated(self) -> bool:
        """Whether commits wait for the replica."""
        place = self.primary()
        return place is not None and bool(ask(self.ports[place], "SELECT count(*) FROM pg_stat_replication WHERE sync_state = 'sync'"))


def etcd_command(folder: Path, port: int, peer: int) -> list[str]:
    urls = [f"http://127.0.0.1:{each}" for each in (port, peer)]
    return [
        *("etcd", "--data-dir", str(folder), "--listen-client-urls", urls[0], "--advertise-client-urls", urls[0]),
        *("--listen-peer-urls", urls[1], "--initial-advertise-peer-urls", urls[1], "--initial-cluster", f"default={urls[1]}"),
    ]


def end_group(process: "subprocess.Popen[bytes]") -> None:
    """As the loss of a machine ends all its processes."""
    for pid in [process.pid, *children(process.pid)]:
        try:
            os.killpg(os.getpgid(pid), signal.SIGKILL)
        except ProcessLookupError:
            continue
    process.wait(10)


def children(pid: int) -> list[int]:
    """The servers that Patroni has started, which have sessions of their own."""
    done = subprocess.run(["pgrep", "-P", str(pid)], capture_output=True, check=False)
    return [int(each) for each in done.stdout.split()]


def ask(port: int, query: str) -> object:
    async def work() -> object:
        connection = await asyncpg.connect(f"postgresql://{USER}:secret@127.0.0.1:{port}/postgres", timeout=2)
        try:
            return await connection.fetchval(query)
        finally:
            await connection.close()

    thread = LoopThread()
    try:
        return thread.run(work())
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, TimeoutError):
        return None
    finally:
        thread.close()


@contextmanager
def pair() -> Iterator[Pair]:
    folder = make_folder_of_server()
    folder.chmod(0o755)
    user = as_other_user()
    if user:
        os.chown(folder, user["user"], user["group"])
    with ExitStack() as stack:
        made = Pair(folder, stack)
        assert wait_until(made.is_replicated, timeout=ELECTION)
        place = made.primary()
        assert place is not None
        ask(made.ports[place], "CREATE DATABASE mail")
        yield made


def test_nothing_acknowledged_is_lost_when_the_primary_is(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pair() as servers:
        env = {"SENDRYD_DATABASE_URL": servers.url, "SENDRYD_NODE_NAME": "a", "SENDRYD_LOG_LEVEL": "warning"}
        made = RelayProcess(tmp_path / "migrating", env)
        assert wait_until(lambda: made.run("migrate", check=False).returncode == 0, timeout=60)
        with World(tmp_path, env=env) as world:
            load = SmtpLoad(world, MESSAGES)
            load.start()
            world.wait_until(lambda: len(load.acknowledged) >= MESSAGES // 3, timeout=120)
            before = servers.primary()
            assert before is not None
            end_group(servers.processes[before])
            world.wait_until(lambda: servers.primary() == 1 - before, timeout=ELECTION)
            load.join()
            world.wait_until(lambda: retried(world), timeout=60)
            world.wait_until(lambda: set(load.acknowledged) <= set(load.delivered()), timeout=150)
            duplicates = sum(count - 1 for count in load.delivered().values())
            with capsys.disabled():
                print(f"\n{MESSAGES} acknowledged, 0 lost, {duplicates} delivered twice, through the loss of the primary")
            assert duplicates <= 8 * CONNECTIONS


def retried(world: World) -> bool:
    """Whether an operator's word went through: a node goes on by itself, and deliveries in doubt wait for minutes otherwise."""
    try:
        world.relay.run("queue", "retry", "--domain", "example.org")
    except RelayFailed:
        return False
    return True
