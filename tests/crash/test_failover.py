"""The ledger through a failover: two PostgreSQL servers under Patroni, of which the primary is lost while mail comes in.

Runs with `make test-chaos`: it takes a minute, and Patroni, etcd and their elections.
"""

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from http import HTTPStatus
from http.client import HTTPConnection
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
        self._rests = [free_port(), free_port()]
        self.url = f"postgresql://{USER}:secret@{','.join(f'127.0.0.1:{port}' for port in self.ports)}/mail?target_session_attrs=read-write"
        etcd = free_port()
        self._start(stack, "etcd", etcd_command(folder / "etcd", etcd, free_port()))
        self._patronis = [self._start(stack, f"p{number}", self._patroni(number, etcd)) for number in (1, 2)]
        for place in (0, 1):
            stack.callback(self.lose, place)

    def _patroni(self, number: int, etcd: int) -> list[str]:
        own = self.folder / f"p{number}"
        own.mkdir(0o700)
        if self.user:
            os.chown(own, self.user["user"], self.user["group"])
        config = self.folder / f"p{number}.yml"
        values = {
            "number": number,
            "rest": self._rests[number - 1],
            "etcd": etcd,
            "port": self.ports[number - 1],
            "folder": own,
            "user": USER,
        }
        config.write_text(CONFIG.format(**values, programs=find_programs()), "utf-8")
        return ["patroni", str(config)]

    def _start(self, stack: ExitStack, name: str, command: list[str]) -> "subprocess.Popen[bytes]":
        with (self.folder / f"{name}.log").open("ab") as log:
            process = subprocess.Popen(command, stdout=log, stderr=log, cwd=self.folder, start_new_session=True, **self.user)
        stack.callback(end_group, process)
        return process

    def lose(self, place: int) -> None:
        """As the loss of a machine ends all its processes."""
        end_group(self._patronis[place])
        end_server(self.folder / f"p{place + 1}" / "data")

    def primary(self) -> int | None:
        """The place of the server that takes changes."""
        for place, port in enumerate(self.ports):
            if ask(port, "SELECT NOT pg_is_in_recovery()"):
                return place
        return None

    def is_replicated(self) -> bool:
        """Whether commits wait for the replica, and Patroni has noted that it may be promoted, which it does some seconds later."""
        return any(map(is_synchronous, self._rests))


def etcd_command(folder: Path, port: int, peer: int) -> list[str]:
    urls = [f"http://127.0.0.1:{each}" for each in (port, peer)]
    return [
        *("etcd", "--data-dir", str(folder), "--listen-client-urls", urls[0], "--advertise-client-urls", urls[0]),
        *("--listen-peer-urls", urls[1], "--initial-advertise-peer-urls", urls[1], "--initial-cluster", f"default={urls[1]}"),
    ]


def end_group(process: "subprocess.Popen[bytes]") -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait(10)


def end_server(data: Path) -> None:
    """Ends all processes of a PostgreSQL, which Patroni does not keep as children of its own."""
    with suppress(FileNotFoundError, ProcessLookupError):
        first = int((data / "postmaster.pid").read_text("ascii").splitlines()[0])
        others = [int(each) for each in Path(f"/proc/{first}/task/{first}/children").read_text("ascii").split()]
        for pid in (first, *others):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


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


def is_synchronous(port: int) -> bool:
    """Whether Patroni calls its server the synchronous standby, https://patroni.readthedocs.io/en/latest/rest_api.html."""
    connection = HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", "/synchronous")
        return connection.getresponse().status == HTTPStatus.OK
    except OSError:
        return False
    finally:
        connection.close()


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
            servers.lose(before)
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
