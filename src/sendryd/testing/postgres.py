"""A PostgreSQL of our own for tests: made once for each run of tests, with a database for each test that asks.

The server is one of the system's. It runs as another user where the tests run as root, which the server refuses.
"""

import asyncio
import atexit
import ctypes
import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from threading import Thread
from typing import Any, Final

import asyncpg

from sendryd.store.drivers.postgres import Target
from sendryd.store.postgres import migrate
from sendryd.testing.network import Network
from sendryd.testing.stores import quick_folder

USER: Final = "sendryd"
TEMPLATE: Final = "sendryd_template"
# Tests lose nothing that matters: commits need not reach the disk.
FAST: Final = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "max_wal_size": "64MB",
    "min_wal_size": "32MB",
    "autovacuum": "off",
    "max_connections": "300",
    "shared_buffers": "32MB",
}
_DEATH_SIGNAL: Final = 1  # of prctl


@cache
def find_programs() -> Path | None:
    """The folder of the newest server's programs; None if there is none."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[4]) if path.parts[4].isdigit() else 0)
    if found:
        return found[-1].parent
    program = shutil.which("initdb")
    return Path(program).resolve().parent if program else None


def as_other_user() -> dict[str, Any]:
    """Arguments of a subprocess that must not be root."""
    if os.getuid():
        return {}
    found = next((name for name in ("postgres", "nobody") if name in {entry.pw_name for entry in pwd.getpwall()}), "nobody")
    entry = pwd.getpwnam(found)
    return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}


def end_with_parent() -> None:
    """Runs in the server's process: the server of a test run that is killed ends with it."""
    ctypes.CDLL(None).prctl(_DEATH_SIGNAL, signal.SIGQUIT)


class Server:
    """A server in a folder of its own, on a Unix socket and a TCP port of loopback, or of a network's namespace."""

    def __init__(self, folder: Path, settings: dict[str, str] | None = None, network: Network | None = None) -> None:
        programs = find_programs()
        if programs is None:
            raise FileNotFoundError("no PostgreSQL is installed")
        self.folder = folder
        self.data = folder / "data"
        self._programs = programs
        self._settings = {**FAST, **(settings or {})}
        self._process: subprocess.Popen[bytes] | None = None
        self._network = network
        self._host = network.address(0) if network else "127.0.0.1"
        self.port = 0

    def make(self) -> None:
        """Makes an empty cluster."""
        self.folder.mkdir(parents=True, exist_ok=True)
        user = as_other_user()
        if user:
            os.chown(self.folder, user["user"], user["group"])
        command = [
            str(self._programs / "initdb"),
            "-D",
            str(self.data),
            "-U",
            USER,
            "-A",
            "trust",
            "-E",
            "UTF8",
            "--locale=C.UTF-8",
            "--no-sync",
        ]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, cwd=self.folder, **user)
        if self._network:
            with (self.data / "pg_hba.conf").open("a", encoding="utf-8") as rules:
                rules.write("host all all 10.0.0.0/8 trust\n")

    def start(self, port: int) -> None:
        """Starts the server on a port. Returns once it takes connections."""
        self.port = port
        options = [item for name, value in self._settings.items() for item in ("-c", f"{name}={value}")]
        command = [
            str(self._programs / "postgres"),
            "-D",
            str(self.data),
            "-k",
            str(self.folder),
            "-h",
            "*" if self._network else "127.0.0.1",
            "-p",
            str(port),
            *options,
        ]
        user = as_other_user()
        if self._network:
            command = [*self._network.inside(user["user"], user["group"]), *command]
            user = {}
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                command,
                stdout=log,
                stderr=log,
                cwd=self.folder,
                start_new_session=True,
                preexec_fn=end_with_parent,  # noqa: PLW1509  no lock is taken there
                **user,
            )
        ready = [str(self._programs / "pg_isready"), "-q", "-h", self._host, "-p", str(port)]
        for _ in range(600):
            if subprocess.run(ready, check=False).returncode == 0:
                return
            if self._process.poll() is not None:
                break
            self._process_wait(0.05)
        raise RuntimeError((self.folder / "log").read_text("utf-8", "replace")[-2000:])

    def _process_wait(self, seconds: float) -> None:
        assert self._process is not None
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            return

    @property
    def process(self) -> "subprocess.Popen[bytes]":
        """The server's first process."""
        assert self._process is not None
        return self._process

    def stop(self) -> None:
        """Stops the server at once."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGQUIT)  # at once
            self._process.wait(30)

    def kill(self) -> None:
        """Ends all processes of the server where they are."""
        for number in self._processes():
            with suppress(ProcessLookupError):  # a session ends whenever it likes
                os.kill(number, signal.SIGKILL)
        self.process.wait(30)

    def freeze(self) -> None:
        """Stops all processes of the server where they are: connections stay, and nothing answers."""
        for number in self._processes():
            with suppress(ProcessLookupError):  # a session ends whenever it likes
                os.kill(number, signal.SIGSTOP)

    def thaw(self) -> None:
        """Lets the processes go on."""
        for number in self._processes():
            with suppress(ProcessLookupError):  # a session ends whenever it likes
                os.kill(number, signal.SIGCONT)

    def _processes(self) -> list[int]:
        """The first process, then its children."""
        first = self.process.pid
        return [first, *map(int, Path(f"/proc/{first}/task/{first}/children").read_text("ascii").split())]

    def url(self, database: str, link: int = 0) -> str:
        """The address of a database; in a network, by one of its links."""
        host = self._network.address(link) if self._network else self._host
        return f"postgresql://{USER}@{host}:{self.port}/{database}"

    def target(self, database: str) -> Target:
        """The address of a database, for the store."""
        return Target(self.url(database), f"{self._host}:{self.port}/{database}")

    def run(self, script: str, database: str = "postgres") -> None:
        """Runs statements, each by itself."""

        async def work() -> None:
            connection = await asyncpg.connect(self.url(database))
            try:
                await connection.execute(script)
            finally:
                await connection.close()

        _in_new_loop(work)

    def read(self, query: str, database: str) -> Any:
        """The only value that a query finds."""

        async def work() -> Any:
            connection = await asyncpg.connect(self.url(database))
            try:
                return await connection.fetchval(query)
            finally:
                await connection.close()

        return _in_new_loop(work)

    def make_template(self) -> None:
        """Makes the database that those of tests are copies of."""
        self.run(f"CREATE DATABASE {TEMPLATE}")
        _in_new_loop(lambda: migrate.apply(self.target(TEMPLATE)))

    def new_database(self) -> str:
        """Makes a database with our schema. Returns its name."""
        name = f"test_{secrets.token_hex(8)}"
        self.run(f"CREATE DATABASE {name} TEMPLATE {TEMPLATE} STRATEGY FILE_COPY")
        return name

    def drop_database(self, name: str) -> None:
        """Drops a database, whoever uses it."""
        self.run(f"DROP DATABASE {name} WITH (FORCE)")


def _in_new_loop(work: Callable[[], Any]) -> Any:
    """Runs a coroutine although a loop may run in this thread. Raises what it raises."""
    outcome: Future[Any] = Future()

    def run() -> None:
        try:
            outcome.set_result(asyncio.run(work()))
        except Exception as error:
            outcome.set_exception(error)

    thread = Thread(target=run)
    thread.start()
    thread.join()
    return outcome.result()


@cache
def shared_server() -> Server:
    """The server of this process, which ends with it."""
    folder = make_folder_of_server()
    server = Server(folder)
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    atexit.register(server.stop)
    _start_new(server)
    return server


@contextmanager
def own_server(settings: dict[str, str] | None = None, network: Network | None = None) -> Iterator[Server]:
    """A server for tests that stop it."""
    folder = make_folder_of_server()
    server = Server(folder, settings, network)
    try:
        _start_new(server)
        yield server
    finally:
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def standby_of(primary: Server, settings: dict[str, str] | None = None) -> Iterator[Server]:
    """A server that follows another one, which must have `max_wal_senders` and the `wal_level` that this needs."""
    programs = find_programs()
    assert programs is not None
    folder = make_folder_of_server()
    user = as_other_user()
    if user:
        os.chown(folder, user["user"], user["group"])
    made = Server(folder, settings)
    source = ["-h", "127.0.0.1", "-p", str(primary.port), "-U", USER]
    command = [str(programs / "pg_basebackup"), "-D", str(made.data), "-R", *source, "-c", "fast"]
    subprocess.run(command, check=True, cwd=folder, **user)
    try:
        made.start(free_port())
        yield made
    finally:
        made.stop()
        shutil.rmtree(folder, ignore_errors=True)


def _start_new(server: Server) -> None:
    server.make()
    server.start(free_port())
    server.make_template()


def free_port() -> int:
    """A port of loopback that nothing listens at, below those that the system gives to outgoing connections: one of these would take it while a server
    that comes back is away.
    """
    while True:
        port = secrets.randbelow(10_000) + 20_000
        with socket.socket() as free, suppress(OSError):
            free.bind(("127.0.0.1", port))
            return port


def make_folder_of_server() -> Path:
    """A new folder on the fastest disk."""
    return Path(tempfile.mkdtemp(prefix="sendryd-postgres-", dir=quick_folder()))
