"""Runs commands of the program at the price of a fork: a process that has loaded the program forks a child for each command.

Loading the program in a new Python process costs ten times as much as most commands. The child runs `sendryd.__main__` as the interpreter does for
`python -m sendryd`: with its own arguments, environment, working directory, standard streams and exit status.
"""

import atexit
import gc
import importlib
import json
import os
import runpy
import select
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

CHANGING: Final = ("SENDRYD_", "PYTEST_")  # prefixes of variables that the program reads after loading
PROGRAM: Final = "sendryd"
# Modules that most commands need, some of them only when they run, and those of the server.
LOADED: Final = (
    *("cli.main", "cli.serve", "app.build", "app.supervise", "store.sqlite.store", "api.app"),
    *(f"app.roles.{role}" for role in ("dashboard", "delivery", "http", "smtp", "upkeep", "webhooks")),
)
_LENGTH: Final = 10  # digits of a request's length


class _Host:
    """A process that has loaded the program. It forks commands until the other end of its socket is closed."""

    def __init__(self, env: Mapping[str, str]) -> None:
        self._lock = threading.Lock()
        self._socket, theirs = socket.socketpair()
        with theirs:
            command = [sys.executable, "-m", __name__, str(theirs.fileno())]
            self._process = subprocess.Popen(
                command, env=env, pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL
            )
        atexit.register(self._close)

    def ask(self, request: bytes, files: list[int]) -> None:
        """Requests a command with these files for its standard streams and for the report about it."""
        with self._lock:
            socket.send_fds(self._socket, [b"%*d" % (_LENGTH, len(request))], files)
            self._socket.sendall(request)

    def _close(self) -> None:
        self._socket.close()
        self._process.wait()


class ForkedCommand:
    """A running command, with the part of `subprocess.Popen`'s interface that tests use."""

    def __init__(self, args: Sequence[str], report: int) -> None:
        """Raises `OSError` if the command was not started."""
        self.args = list(args)
        self.returncode: int | None = None
        self._report = os.fdopen(report, "rb", buffering=0)
        line = self._report.readline()
        if not line:
            self._report.close()
            raise OSError(f"the process that starts commands has ended: {self.args}")
        self.pid = int(line)

    def __repr__(self) -> str:
        return f"<ForkedCommand {self.args} pid={self.pid} returncode={self.returncode}>"

    def poll(self) -> int | None:
        """The exit status, the negative number of the signal that ended it, or None while it runs."""
        return self._look(0)

    def wait(self, timeout: float | None = None) -> int:
        """Waits for the end of the command. Raises `subprocess.TimeoutExpired` after the timeout."""
        status = self._look(timeout)
        if status is None:
            raise subprocess.TimeoutExpired(self.args, timeout or 0.0)
        return status

    def send_signal(self, number: int) -> None:
        """Sends a signal, unless the command has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        """Sends SIGKILL."""
        self.send_signal(signal.SIGKILL)

    def _look(self, timeout: float | None) -> int | None:
        if self.returncode is None and select.select([self._report], [], [], timeout)[0]:
            with self._report:
                self.returncode = int(self._report.readline())
        return self.returncode


def start_command(args: Sequence[str], env: Mapping[str, str], *, stdin: int, stdout: int, stderr: int) -> ForkedCommand:
    """Starts `sendryd` with these arguments and, as its standard streams, these descriptors."""
    bare = {name: value for name, value in env.items() if not name.startswith(CHANGING)}
    request = json.dumps({"args": list(args), "env": dict(env), "cwd": str(Path.cwd())}).encode()
    read_end, write_end = os.pipe()
    try:
        _host(tuple(sorted(bare.items()))).ask(request, [stdin, stdout, stderr, write_end])
    except BaseException:
        os.close(read_end)
        raise
    finally:
        os.close(write_end)
    return ForkedCommand(args, read_end)


def run_command(args: Sequence[str], env: Mapping[str, str], stdin: bytes | None, timeout: float) -> subprocess.CompletedProcess[bytes]:
    """Runs `sendryd` with these arguments. Kills the command and raises `subprocess.TimeoutExpired` when it takes longer than `timeout` seconds."""
    with tempfile.TemporaryFile() as given, tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as errors:
        given.write(stdin or b"")
        given.seek(0)
        command = start_command(args, env, stdin=given.fileno(), stdout=output.fileno(), stderr=errors.fileno())
        try:
            status = command.wait(timeout)
        except subprocess.TimeoutExpired:
            command.kill()
            command.wait(timeout)
            raise
        output.seek(0)
        errors.seek(0)
        return subprocess.CompletedProcess(list(args), status, output.read(), errors.read())


@lru_cache
def _host(env: tuple[tuple[str, str], ...]) -> _Host:
    """The host process for this environment."""
    return _Host(dict(env))


def _be_host(door: socket.socket) -> Mapping[str, Any]:
    """Forks for each request. Returns the request in the child, whose standard streams are set; the host itself never returns."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the host does not wait for the overseers
    while True:
        length, files, _, _ = socket.recv_fds(door, _LENGTH, 4)
        if not length:
            os._exit(0)
        request: dict[str, Any] = json.loads(door.recv(int(length), socket.MSG_WAITALL))
        if os.fork() == 0:
            door.close()
            *streams, report = files
            _oversee(report)
            for number, file in enumerate(streams):
                os.dup2(file, number)
                os.close(file)
            return request
        for file in files:
            os.close(file)


def _oversee(report: int) -> None:
    """Forks the command, and reports its process id and its exit status. Returns only in the command."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    command = os.fork()
    if command == 0:
        os.close(report)
        return
    os.write(report, b"%d\n" % command)
    status = os.waitstatus_to_exitcode(os.waitpid(command, 0)[1])
    os.write(report, b"%d\n" % status)
    os._exit(0)


def _main(descriptor: int) -> None:
    for module in LOADED:
        importlib.import_module(f"{PROGRAM}.{module}")
    gc.freeze()  # what is loaded is shared with all commands for as long as none of them writes to it
    request = _be_host(socket.socket(fileno=descriptor))
    os.chdir(request["cwd"])
    os.environ.clear()
    os.environ.update(request["env"])
    sys.argv[1:] = request["args"]
    runpy.run_module(PROGRAM, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    _main(int(sys.argv[1]))
