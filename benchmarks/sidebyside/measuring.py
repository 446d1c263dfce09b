"""One measurement: a fresh server, a warm-up, then the load, with CPU time and memory of the server's processes."""

import json
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Collection, Mapping
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

from sidebyside.forms import Unavailable, run_checked
from sidebyside.job import CACHE, DOMAIN, Bench, Endpoint, Job, Peer, find, free_port
from sidebyside.processes import cpu_seconds, machine_seconds, on_cores
from sidebyside.scenarios import Scenario

SAMPLE_INTERVAL = 0.4  # seconds between two readings of memory, which cost the kernel a walk through all pages
SINK_IDLE = 12  # seconds without a message after which the next hop reports: a server that tries again does so sooner

Row = dict[str, Any]


def build_tools() -> Path:
    """Builds the load source, one program with the next hop and the test of the disk. In Python it would be the limit. Raises `Unavailable`."""
    go, program = find("go", "Debian package golang-go; the load source is in Go"), CACHE / "mailload"
    program.parent.mkdir(parents=True, exist_ok=True)
    command = [go, "build", "-buildvcs=false", "-o", program, "."]
    run_checked(command, timeout=900, cwd=Path(__file__).with_name("mailload"), env={**os.environ, "CGO_ENABLED": "0"})  # no C compiler
    return program


def sync_rate(bench: Bench) -> Mapping[str, float]:
    """Appends of 5 KB that the disk syncs in a second, and their latency."""
    found: Mapping[str, float] = json.loads(run_checked([bench.mailload, "syncs", "--folder", bench.work]))
    return found


class Tool:
    """A run of the load source or of the next hop; `options` as on its command line. Ends with the block."""

    def __init__(self, bench: Bench, name: str, output: Path, options: Mapping[str, object], cores: Collection[int] | None = None) -> None:
        self._name, self._output = name, output
        words = [word for option, value in options.items() if option != "password" for word in (f"--{option}", str(value))]
        env = {**os.environ, "MAILLOAD_PASSWORD": str(options.get("password", ""))}
        with output.open("w") as file:
            self._process = subprocess.Popen(
                on_cores(cores, bench.mailload, name, *words), stdin=subprocess.DEVNULL, stdout=file, stderr=file, env=env
            )

    def __enter__(self) -> "Tool":
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()

    def has_ended(self, within: float) -> bool:
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(within)
        return self._process.returncode is not None

    def lines(self) -> list[str]:
        return self._output.read_text("utf-8").splitlines()

    def report(self, within: float) -> Row:
        """What it found, once it has ended. Raises `Unavailable`."""
        if not self.has_ended(within):
            raise Unavailable(f"mailload {self._name} did not end in time")
        last = (self.lines() or [""])[-1]
        if self._process.returncode:
            raise Unavailable(f"mailload {self._name} failed: {last}")
        found: Row = json.loads(last)
        return found


class _Run:
    """The load on one server."""

    def __init__(self, job: Job, endpoint: Endpoint, sink: Tool | None) -> None:
        self._job, self._endpoint, self._sink = job, endpoint, sink

    def _load(self, messages: int, seconds: float, per_connection: int) -> Tool:
        bench, scenario, endpoint = self._job.bench, self._job.scenario, self._endpoint
        options: dict[str, object] = {
            "port": endpoint.port,
            "user": endpoint.user,
            "password": endpoint.password,
            "from": f"hello@{DOMAIN}",
            "rcpt": "user@sink.test",
            "connections": scenario.connections,
            "size": scenario.size,
            "messages": messages,
            "seconds": seconds,
            "per-connection": per_connection,
        }
        return Tool(bench, "load", self._job.folder / "load.out", options, bench.load_cores if scenario.is_pinned else None)

    def warm_up(self) -> None:
        """Sends a few messages over short connections, so that a server with many processes has started them."""
        count = self._job.scenario.warm_up
        with self._load(count, 30, min(self._job.scenario.per_connection or 2, 2)) as load:
            done = load.report(90)
        if done["acked"] < count:
            raise Unavailable(f"it accepted {done['acked']} of the first {count} messages: {done['last_error'] or 'it is too slow'}")
        deadline = time.monotonic() + 60
        while self._sink and not self._sink.lines():
            if self._sink.has_ended(0.05) or time.monotonic() > deadline:
                raise Unavailable(f"it accepted {count} messages, and they did not reach the next hop within a minute")

    def measure(self) -> Row:
        """Sends the load and waits until it has arrived."""
        scenario, servers = self._job.scenario, self._job.bench.processes
        with suppress(subprocess.TimeoutExpired):  # what other servers wrote is not to be synced on the time of this one
            subprocess.run(["sync", "--file-system", self._job.folder], timeout=60, check=False)
        before, began = self._clocks(), time.monotonic()
        with self._load(scenario.messages, scenario.seconds, scenario.per_connection) as source:
            tools, peak = [source, *([self._sink] if self._sink else [])], 0
            deadline = began + scenario.seconds + 90
            while tools and time.monotonic() < deadline:
                peak = max(peak, servers.memory())
                tools = [tool for tool in tools if not tool.has_ended(SAMPLE_INTERVAL)]
            load, wall = source.report(0), time.monotonic() - began
        server, database, own, machine = (after - earlier for after, earlier in zip(self._clocks(), before, strict=True))
        acked = max(1, load["acked"])
        row: Row = {
            **{name: load[name] for name in ("acked", "rate", "ack_ms", "errors", "last_error")},
            "cpu_us": round(server / acked * 1e6, 1),
            "database_cpu_us": round(database / acked * 1e6, 1) if self._endpoint.database else None,
            "peak_mb": round(peak / 1e6, 1),
            "client_cores": round(load["cpu_s"] / load["elapsed_s"], 2),
            "other_cores": round(max(0.0, machine - own) / wall, 2),
        }
        return row | self._arrived(load["started"]) if self._sink else row

    def _clocks(self) -> tuple[float, ...]:
        """CPU seconds of the server, of its database, of all that this program started, of the machine."""
        database = cpu_seconds(*self._endpoint.database) if self._endpoint.database else 0.0
        return self._job.bench.processes.cpu_seconds(), database, cpu_seconds(os.getpid()), machine_seconds()

    def _arrived(self, started: float) -> Row:
        """What the next hop saw. The rate is that of the whole way."""
        assert self._sink
        found = self._sink.report(0)
        seconds = max(found["last"] - started, 0.001)
        return {
            "rate": found["messages"] / seconds,
            "delivered": found["messages"],
            "signed": found["signed"],
            "sink_cores": found["cpu_s"] / seconds,
        }


def measure(bench: Bench, peer: Peer, scenario: Scenario) -> Row:
    """Starts a peer in a folder of its own, loads it, ends it. Raises `Unavailable`."""
    folder = bench.work / f"{scenario.name}-{peer.name}"
    folder.mkdir()
    folder.chmod(0o755)  # for servers that run as other users
    with ExitStack() as stack:
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        refusing = stack.enter_context(socket.socket())
        refusing.bind(("127.0.0.1", 0))  # it never listens, and no other program gets its port
        stack.callback(peer.close)
        stack.callback(bench.processes.end_all)
        port: int = refusing.getsockname()[1]
        sink: Tool | None = None
        if scenario.delivers:
            port = free_port()
            options = {"port": port, "count": scenario.messages, "skip": scenario.warm_up, "idle": SINK_IDLE, "seconds": 600}
            sink = stack.enter_context(Tool(bench, "sink", folder / "sink.out", options))
        job = Job(bench, scenario, folder, port)
        run = _Run(job, peer.start(job), sink)
        run.warm_up()
        return run.measure()
