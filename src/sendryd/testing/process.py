"""The real program as a child process, for end-to-end tests.

Synchronous on purpose: a test of the real program shares no event loop with it.
"""

import http.client
import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self, cast

from sendryd.testing.commands import CHANGING, ForkedCommand, run_command, start_command
from sendryd.testing.waiting import TIMEOUT, wait_until

PROGRAM = [sys.executable, "-m", "sendryd"]
FORKS = (
    "SENDRYD_TEST_FORKS"  # a variable; where it is set, servers are forked as commands are (`testing.commands`), which saves their imports
)
DATABASE = "SENDRYD_TEST_DATABASE"  # a variable: `postgres` runs every program on a server's database
START_TIMEOUT = 60.0  # seconds; a start takes under two on an idle machine, and test machines are not idle
STOP_TIMEOUT = 40.0  # seconds; the program itself takes at most 30 to stop
CLI_TIMEOUT = 60.0  # seconds for one command


def _database() -> dict[str, str]:
    """A new database on a server, if the tests run on one."""
    if os.environ.get(DATABASE) != "postgres":
        return {}
    from sendryd.testing.postgres import shared_server

    return {"SENDRYD_DATABASE_URL": shared_server().url(shared_server().new_database())}


class RelayFailed(Exception):
    """The program ended, or did not become ready; the message has the end of its log."""


class RelayProcess:
    """`sendryd serve --json` on free ports of the loopback address."""

    def __init__(self, data_dir: Path, env: Mapping[str, str] | None = None, *, args: tuple[str, ...] = ()) -> None:
        self.data_dir = data_dir
        self.log_path = data_dir.with_name(data_dir.name + ".log")
        self.env = {
            **{name: value for name, value in os.environ.items() if not name.startswith("SENDRYD_")},
            "SENDRYD_DATA_DIR": str(data_dir),
            "SENDRYD_HOSTNAME": "relay.example.test",
            "SENDRYD_SMTP_LISTEN": "127.0.0.1:0",
            "SENDRYD_HTTP_LISTEN": "127.0.0.1:0",
            "SENDRYD_ALLOW_PRIVATE_NETWORKS": "true",
            "SENDRYD_LOG_FORMAT": "json",
            "SENDRYD_API_RATE_LIMIT": "off",
            **_database(),
            **(env or {}),
        }
        self.args = args
        self.program = [sys.executable, "-m", "sendryd"]  # may be changed before the start
        self.keys: dict[str, str] = {}  # printed by the first start
        self.ready: dict[str, Any] = {}
        self._process: subprocess.Popen[bytes] | ForkedCommand | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        if self.is_running:
            self.kill()

    @property
    def process(self) -> subprocess.Popen[bytes] | ForkedCommand:
        """The child. Raises `RelayFailed` if it was never started."""
        if self._process is None:
            raise RelayFailed("the relay was not started")
        return self._process

    @property
    def is_running(self) -> bool:
        """Whether the child is running."""
        return self._process is not None and self._process.poll() is None

    @property
    def worked(self) -> float:
        """Seconds that processors have worked for the child and its threads, without its own children: however busy the machine is."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text("ascii").rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    @property
    def smtp(self) -> tuple[str, int]:
        """Host and port of the submission listener."""
        host, _, port = self.ready["smtp"].rpartition(":")
        return host, int(port)

    @property
    def cert(self) -> Path:
        """The certificate, usable as a CA file."""
        return Path(self.ready["tls_cert"])

    def start(self) -> None:
        """Starts the program and waits until every listener accepts connections."""
        read_end, write_end = os.pipe()
        with open(self.log_path, "ab") as log, open(read_end, "rb") as output:
            self._process = self._run_program(write_end, log.fileno())
            os.close(write_end)
            line = output.readline()
        if not line:
            self._process.wait(START_TIMEOUT)
            raise RelayFailed(f"the relay did not start: {self.log_tail()}")
        self.ready = json.loads(line)
        self.keys = self.ready.get("keys") or self.keys

    def _run_program(self, stdout: int, stderr: int) -> "subprocess.Popen[bytes] | ForkedCommand":
        args = ["serve", "--json", *self.args]
        with open(os.devnull, "rb") as nothing:
            if FORKS in os.environ and self.program == PROGRAM and self._has_usual_environment():
                return start_command(args, self.env, stdin=nothing.fileno(), stdout=stdout, stderr=stderr)
            return subprocess.Popen([*self.program, *args], env=self.env, stdin=nothing, stdout=stdout, stderr=stderr)

    def _has_usual_environment(self) -> bool:
        """Whether the program can be forked from a loaded process: its environment differs only in variables that it reads after loading."""
        mine, usual = ({name: value for name, value in env.items() if not name.startswith(CHANGING)} for env in (self.env, os.environ))
        return mine == usual

    def log_tail(self, octets: int = 2000) -> str:
        """The end of the program's standard error."""
        return self.log_path.read_bytes()[-octets:].decode("utf-8", "replace")

    def stop(self) -> int:
        """Sends SIGTERM; returns the exit status."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(STOP_TIMEOUT)

    def kill(self) -> None:
        """Sends SIGKILL, as a power cut would."""
        self.process.kill()
        self.process.wait(STOP_TIMEOUT)

    def run(self, *args: str, check: bool = True, stdin: bytes | None = None) -> subprocess.CompletedProcess[bytes]:
        """Runs a command of the program on the same data directory. With `check`, raises `RelayFailed` on a bad exit status."""
        done = run_command(args, self.env, stdin, CLI_TIMEOUT)
        if check and done.returncode:
            raise RelayFailed(f"{' '.join(args)}: status {done.returncode}: {done.stderr.decode()[-500:]}")
        return done

    def json(self, *args: str) -> dict[str, Any]:
        """The JSON document that a command with `--json` prints."""
        return cast("dict[str, Any]", json.loads(self.run(*args, "--json").stdout))

    def get(self, path: str, key: str | None = None) -> tuple[int, dict[str, Any]]:
        """A GET of the REST API: status and body."""
        host, _, port = self.ready["http"].rpartition("//")[2].rpartition(":")
        connection = http.client.HTTPConnection(host, int(port), timeout=CLI_TIMEOUT)
        try:
            connection.request("GET", path, headers={"Authorization": f"Bearer {key}"} if key else {})
            response = connection.getresponse()
            return response.status, json.loads(response.read())
        finally:
            connection.close()

    def wait_for_status(self, message_id: str, statuses: set[str], *, key: str, timeout: float = TIMEOUT) -> dict[str, Any]:
        """Polls a message until its status is one of these. Raises `RelayFailed` after the timeout."""
        body: dict[str, Any] = {}

        def is_there() -> bool:
            nonlocal body
            status, body = self.get(f"/v1/emails/{message_id}", key)
            return status == http.client.OK and body["status"] in statuses

        if not wait_until(is_there, timeout):
            raise RelayFailed(f"{message_id} is {body} after {timeout} s: {self.log_tail()}")
        return body

    def add_domain(self, name: str) -> list[dict[str, Any]]:
        """Adds a sending domain; returns the DNS records to publish."""
        return cast("list[dict[str, Any]]", self.json("domains", "add", name)["dns_records"])
