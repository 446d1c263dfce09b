"""A process that runs jobs on clients' input, one at a time, under limits that the kernel enforces. `runtime.fence` starts it.

Run as `python -m sendryd.runtime.fence_process CPU_SECONDS WALL_SECONDS MEMORY NICENESS`. Foreign parsers can take the square of their input's
length in time or memory; here that delays nothing else.

Reads: jobs from its standard input, a socket. Writes: one reply for each. A job is a pickled function with its arguments, made by our own
process; a reply is JSON or octets, so that a process that a parser has corrupted cannot make the other side run code.
When things fail: a job over its processor time ends the process by SIGPROF, one over its wall time by SIGALRM, even if the other side is gone;
one over the memory limit is answered with `COSTLY`, unless the parser ends the process itself. The end of the socket ends the process.
"""

import dataclasses
import json
import os
import pickle
import resource
import signal
import socket
import struct
import sys
from typing import Any, Final

VALUE: Final = 0  # JSON
OCTETS: Final = 1
REFUSED: Final = 2  # the job's own exception: its sentence
COSTLY: Final = 3  # no memory, or too deep
FAULT: Final = 4  # any other exception: its name
LAST: Final = 0x80  # added to the kind by a process that ends after this reply

HEADER: Final = struct.Struct("!BQ")  # kind (0 for jobs), octets that follow
READ_SIZE: Final = 1024 * 1024
BASE_MEMORY: Final = 160 * 1024 * 1024  # octets of address space of the interpreter and the libraries before any job
MAX_RESIDENT: Final = 96 * 1024 * 1024  # octets; a process that holds more after a job ends
_STATM: Final = "/proc/self/statm"  # sizes in pages; `ru_maxrss` would count what the parent had before the program was executed


def read_frame(connection: socket.socket) -> bytes | None:
    """The body of the next job; None at the end of the socket."""
    head = _read(connection, HEADER.size)
    return None if head is None else _read(connection, HEADER.unpack(head)[1])


def _read(connection: socket.socket, size: int) -> bytes | None:
    buffer = bytearray(size)
    view, done = memoryview(buffer), 0
    while done < size:
        count = connection.recv_into(view[done : done + READ_SIZE])
        if not count:
            return None
        done += count
    return bytes(buffer)


def _answer(body: bytes) -> tuple[int, bytes]:
    refusal: type[Exception] | None = None
    try:
        function, arguments, refusal = pickle.loads(body)  # noqa: S301 - made by the process that started this one
        result = function(*arguments)
        if isinstance(result, bytes):
            return OCTETS, result
        return VALUE, json.dumps(result, default=dataclasses.asdict).encode("ascii")
    except (MemoryError, RecursionError):
        return COSTLY, b""
    except Exception as error:
        if refusal is not None and isinstance(error, refusal):
            return REFUSED, json.dumps(str(error)).encode("ascii")
        return FAULT, type(error).__name__.encode("ascii", "replace")


def _limit(memory: int, niceness: int) -> None:
    for kind, most in ((resource.RLIMIT_AS, BASE_MEMORY + memory), (resource.RLIMIT_CORE, 0), (resource.RLIMIT_FSIZE, 0)):
        resource.setrlimit(kind, (most, most))
    os.nice(niceness)


def _set_alarms(cpu: float, wall: float) -> None:
    signal.setitimer(signal.ITIMER_PROF, cpu)
    signal.setitimer(signal.ITIMER_REAL, wall)


def serve(connection: socket.socket, cpu: float, wall: float) -> None:
    """Runs jobs until the other side ends, or until a job has left the process too large."""
    while (body := read_frame(connection)) is not None:
        _set_alarms(cpu, wall)
        kind, reply = _answer(body)
        del body
        _set_alarms(0, 0)
        is_last = _resident() > MAX_RESIDENT + len(reply)
        connection.sendall(HEADER.pack(kind | LAST if is_last else kind, len(reply)))
        connection.sendall(reply)
        if is_last:
            return


def _resident() -> int:
    """Resident octets of this process; 0 where that is not known."""
    try:
        with open(_STATM, encoding="ascii") as file:
            return int(file.read().split()[1]) * resource.getpagesize()
    except OSError:
        return 0


def main(arguments: list[str]) -> None:
    """The program."""
    # A terminal and a service manager signal all processes of a group; this one ends when the other side closes the socket or kills it.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    cpu, wall, memory, niceness = float(arguments[0]), float(arguments[1]), int(arguments[2]), int(arguments[3])
    _limit(memory, niceness)
    try:
        serve(socket.socket(fileno=sys.stdin.fileno()), cpu, wall)
    except ConnectionError:  # the other side was killed
        return


def encode_job(function: Any, arguments: tuple[Any, ...], refusal: type[Exception] | None) -> bytes:
    """A job as it goes over the socket."""
    body = pickle.dumps((function, arguments, refusal), protocol=pickle.HIGHEST_PROTOCOL)
    return HEADER.pack(0, len(body)) + body


if __name__ == "__main__":
    main(sys.argv[1:])
