"""Commands of the program at the price of a fork: a process that loads the program once makes a child for each command.

A Python process that only loads the program costs ten times as much as what most commands do. The child runs `sendryd.__main__` as the interpreter
does for `python -m sendryd`: with its own arguments, environment, working directory and standard streams, to its own exit status.
"""

import atexit
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

CHANGING: Final = ("SENDRYD_", "PYTEST_")  # beginnings of variables that are read after the program is loaded
PROGRAM: Final = "sendryd"
LOADED: Final = ("cli.main", "app.build", "store.sqlite.store")  # modules that most commands need, some of them only when they run
_LENGTH: Final = 10  # digits that say how long a request is


class _Host:
    """A process that has loaded the program, and makes commands of itself until its end of the socket is all that is left."""

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
        """Has a command made, with these files for its standard streams and for the report about it."""
        with self._lock:
            socket.send_fds(self._socket, [b"%*d" % (_LENGTH, len(request))], files)
            self._socket.sendall(request)

    def _close(self) -> None:
        self._socket.close()
        self._process.wait()


def run_command(args: Sequence[str], env: Mapping[str, str], stdin: bytes | None, timeout: float) -> subprocess.CompletedProcess[bytes]:
    """Runs `sendryd` with these arguments. Kills the command and raises `subprocess.TimeoutExpired` when it takes longer than so many seconds."""
    bare = {name: value for name, value in env.items() if not name.startswith(CHANGING)}
    with tempfile.TemporaryFile() as given, tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as errors:
        given.write(stdin or b"")
        given.seek(0)
        read_end, write_end = os.pipe()
        with open(read_end, "rb", buffering=0) as report:
            try:
                request = json.dumps({"args": args, "env": dict(env), "cwd": str(Path.cwd())}).encode()
                _host(tuple(sorted(bare.items()))).ask(request, [given.fileno(), output.fileno(), errors.fileno(), write_end])
            finally:
                os.close(write_end)
            pid = int(report.readline())
            if not select.select([report], [], [], timeout)[0]:
                os.kill(pid, signal.SIGKILL)
                raise subprocess.TimeoutExpired(list(args), timeout)
            status = int(report.readline())
        output.seek(0)
        errors.seek(0)
        return subprocess.CompletedProcess(list(args), status, output.read(), errors.read())


@lru_cache
def _host(env: tuple[tuple[str, str], ...]) -> _Host:
    """The one that has loaded the program with this environment."""
    return _Host(dict(env))


def _be_host(door: socket.socket) -> Mapping[str, Any]:
    """Forks for each request. Gives the request in its child, whose standard streams are in place; the host itself ends here."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for the overseers
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
    """Forks the command, and reports its process id and its exit status. Returns in the command alone."""
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
    request = _be_host(socket.socket(fileno=descriptor))
    os.chdir(request["cwd"])
    os.environ.clear()
    os.environ.update(request["env"])
    sys.argv[1:] = request["args"]
    runpy.run_module(PROGRAM, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    _main(int(sys.argv[1]))
