"""One start of one server for one load, and what all peers have in common."""

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from sidebyside.forms import Credentials, NotMeant, Unavailable
from sidebyside.processes import Processes, on_cores
from sidebyside.scenarios import Scenario

START_TIMEOUT = 180.0  # seconds: three processes begin one after the other, and the machine may be busy
USER, PASSWORD, DOMAIN = "sendry", "sn_live_benchkey0000000000000000", "acme.test"
CACHE = Path(__file__).parents[2] / "build" / "bench"  # the journal, the load source, and Haraka


@dataclass(frozen=True, slots=True)
class Bench:
    """What all measurements share."""

    work: Path
    credentials: Credentials
    processes: Processes
    server_cores: set[int]
    load_cores: set[int]
    mailload: Path  # the program that plays load source and next hop


@dataclass(slots=True)
class Endpoint:
    """Where and as whom to submit."""

    port: int
    user: str = USER
    password: str = PASSWORD
    database: list[int] = field(default_factory=list)  # first processes of a database, whose CPU time is a figure of its own


@dataclass(frozen=True, slots=True)
class Job:
    """One start of one server."""

    bench: Bench
    scenario: Scenario
    folder: Path
    next_hop: int  # its port on 127.0.0.1; refuses connections where mail stays in the queue

    @property
    def log(self) -> Path:
        return self.folder / "server.log"

    @property
    def cores(self) -> set[int] | None:
        """Cores of the server; None: all."""
        return self.bench.server_cores if self.scenario.is_pinned else None

    def start(self, *command: object, env: Mapping[str, str] | None = None, output: Path | None = None) -> "subprocess.Popen[bytes]":
        """Starts a program of the server."""
        with self.log.open("a") as log, (output or self.log).open("a") as out:
            return self.bench.processes.start(on_cores(self.cores, *command), self.folder, env or {}, out, log)

    def wait(self, process: "subprocess.Popen[bytes]", is_ready: Callable[[], bool], log: Path | None = None) -> None:
        """Waits until a program that was started is ready. Raises `Unavailable` with the line of its log that tells why it is not."""
        deadline = time.monotonic() + START_TIMEOUT
        while not is_ready():
            if process.poll() is not None or time.monotonic() > deadline:
                raise Unavailable(f"it did not start: {reason(log or self.log)}")
            time.sleep(0.1)

    def serve(self, *command: object, port: int, env: Mapping[str, str] | None = None, log: Path | None = None) -> Endpoint:
        """Starts a mail server and waits for its greeting."""
        self.wait(self.start(*command, env=env), lambda: greets(port), log)
        return Endpoint(port)


class Peer:
    """A server that is measured."""

    name: str
    programs: tuple[tuple[str, str], ...] = ()  # that it needs, each with its package
    delivers = True
    signs = False  # all that it delivers
    is_root_needed = False
    only = ""  # the one scenario that it has a part in; empty: all

    def check(self, scenario: Scenario) -> None:
        """Raises `Unavailable` where the peer cannot run a scenario."""
        if self.only not in {"", scenario.name}:
            raise NotMeant("it bounds another scenario")
        if scenario.signs and not self.signs:
            raise NotMeant("it does not sign")
        if scenario.delivers and not self.delivers:
            raise NotMeant("it does not deliver")
        for program, package in self.programs:
            find(program, f"Debian package {package}")
        if self.is_root_needed and os.geteuid():
            raise Unavailable("it starts only as root")

    def start(self, job: Job) -> Endpoint:
        """Leaves the server accepting mail. The caller ends its processes."""
        raise NotImplementedError

    def close(self) -> None:
        """Ends what was not started by `Job.start`."""


def find(program: str, advice: str = "") -> str:
    """The path of a program: the one in the environment (`EXIM4=…`), or the system's. Raises `Unavailable`."""
    path = os.environ.get(program.upper()) or shutil.which(program, path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin")
    if path is None:
        raise Unavailable(f"{program} is not installed ({advice})")
    return path


def free_port() -> int:
    """A port of 127.0.0.1 that no program listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def listens(port: int) -> bool:
    """Whether connections to a port are accepted."""
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


def greets(port: int) -> bool:
    """Whether a mail server greets on a port."""
    try:
        with socket.create_connection(("127.0.0.1", port), 5) as client, client.makefile("rb") as replies:
            is_greeting = replies.readline().startswith(b"220")
            client.sendall(b"QUIT\r\n")
            return is_greeting
    except OSError:
        return False


def reason(log: Path) -> str:
    """The last line of a log that speaks of an error; without one, the last."""
    lines = log.read_text("utf-8", "replace").split("\n") if log.exists() else []
    lines = [line for line in lines if line.strip()] or ["it printed nothing"]
    errors = [line for line in lines if any(word in line.lower() for word in ("error", "fatal", "panic", "fail"))]
    return (errors or lines)[-1].strip()[:300]
