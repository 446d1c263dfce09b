"""Structured logs on standard error: one event name, then fields. Secrets are removed before rendering.

A slow reader of the log delays nothing: lines that a pipe does not take at once are dropped, and counted in the next line. A reader that is gone
and a full disk do not stop the program either.

Structlog is loaded with the first line, or when the format is set: most commands log nothing, and loading it takes as long as they run.
"""

import io
import logging
import os
import select
import sys
from collections.abc import Callable, Iterable, Mapping, MutableMapping
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, Final, TextIO, cast

from sendryd.policy.credentials import without_keys

if TYPE_CHECKING:
    from types import ModuleType

    import structlog

_SECRET_NAMES: Final = frozenset({"password", "secret", "authorization", "credentials", "private_key"})


_AT_ONCE: Final = select.PIPE_BUF  # octets that a writable pipe takes without blocking


class LogStream(io.TextIOBase):
    """Writes lines to a descriptor; never blocks and never fails."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._poll = select.poll()
        self._poll.register(descriptor, select.POLLOUT)
        self._missing = 0  # lines dropped since the last written one
        self._is_torn = False  # the last line was written in part

    def write(self, text: str) -> int:
        self._put(text.encode("utf-8", "backslashreplace"), 1)
        return len(text)

    def write_lines(self, lines: Iterable[bytes]) -> None:
        """Writes lines, given without line ends, with few system calls: a pipe's atomic size in each."""
        gathered: list[bytes] = []
        size = 0
        for line in lines:
            if gathered and size + len(line) >= _AT_ONCE:
                self._put(b"\n".join(gathered) + b"\n", len(gathered))
                gathered, size = [], 0
            gathered.append(line)
            size += len(line) + 1
        if gathered:
            self._put(b"\n".join(gathered) + b"\n", len(gathered))

    def _put(self, text: bytes, lines: int) -> None:
        if self._missing:
            gap = f"{self._missing} lines of the log are missing here: nobody read them in time\n"
            text = (b"\n" if self._is_torn else b"") + gap.encode("ascii") + text
        for start in range(0, len(text), _AT_ONCE):
            if not self._write(text[start : start + _AT_ONCE]):
                self._missing += lines
                self._is_torn = self._is_torn or start > 0
                return
        self._missing, self._is_torn = 0, False

    def _write(self, piece: bytes) -> bool:
        try:
            return bool(self._poll.poll(0)) and os.write(self._descriptor, piece) == len(piece)
        except OSError:
            return False


@dataclass(frozen=True, slots=True)
class LogOutput:
    """The log's stream, format and level."""

    stream: LogStream | None  # None: standard error is no file of the system, for example under a test runner
    is_json: bool
    level: int  # numbers of `logging`


class Secret(str):
    """A secret text: its representation and its form in logs are stars."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "'***'"


def redact(_logger: object, _method: str, event: MutableMapping[str, object]) -> MutableMapping[str, object]:
    """Removes secrets from an event's fields, by name, by type and by the form of an API key."""
    for name, value in event.items():
        if name in _SECRET_NAMES or isinstance(value, Secret):
            event[name] = "***"
        elif isinstance(value, str):
            event[name] = without_keys(value)
    return event


def leave_out(is_told: Callable[[Mapping[str, object]], bool]) -> None:
    """Leaves lines out from now on of which `is_told` says that another line tells it. Call after `configure`."""
    structlog = _load_structlog()

    def drop(_logger: object, _method: str, event: MutableMapping[str, object]) -> MutableMapping[str, object]:
        if is_told(event):
            raise structlog.DropEvent
        return event

    structlog.configure(processors=[drop, *structlog.get_config()["processors"]])


def does_colour() -> bool:
    """Whether standard error is a terminal whose user has not asked for no colours (no-color.org)."""
    return sys.stderr.isatty() and not os.environ.get("NO_COLOR")


def configure(log_format: str, level: str) -> LogOutput:
    """Sets the format (`text` or `json`) and the lowest level (`debug`, `info`, `warning`, `error`) of all logs of this process."""
    structlog = _load_structlog()
    stream = _standard_error()
    number = logging.getLevelNamesMapping()[level.upper()]
    logging.lastResort = logging.StreamHandler(stream)  # logs of libraries
    logging.lastResort.setLevel(logging.WARNING)
    renderer: Any
    if log_format == "json":
        renderer = structlog.processors.JSONRenderer()
    else:
        renderer = structlog.dev.ConsoleRenderer(colors=does_colour())
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            redact,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.WriteLoggerFactory(file=stream),
        cache_logger_on_first_use=False,
    )
    return LogOutput(stream if isinstance(stream, LogStream) else None, log_format == "json", number)


def _standard_error() -> TextIO:
    try:
        return cast("TextIO", LogStream(sys.stderr.fileno()))
    except (AttributeError, OSError, ValueError):  # closed from the start, or no file of the system
        return sys.stderr or cast("TextIO", LogStream(os.open(os.devnull, os.O_WRONLY)))


class _Logger:
    """A logger with its part of the program. It is created at import, so it loads Structlog only with its first line."""

    def __init__(self, part: str) -> None:
        self._part = part

    def __getattr__(self, name: str) -> Any:
        return getattr(_load_structlog().get_logger(part=self._part), name)


@cache
def _load_structlog() -> Any:
    """Imports Structlog without Rich, which takes half of the loading time and is only for tracebacks that we render as text."""
    rich = sys.modules.get("rich")
    sys.modules["rich"] = cast("ModuleType", None)  # which makes an import of it fail
    try:
        import structlog
    finally:
        sys.modules.pop("rich", None)
        if rich is not None:
            sys.modules["rich"] = rich
    return structlog


def get_logger(name: str) -> "structlog.typing.FilteringBoundLogger":
    """A logger whose lines have its part of the program in the field `part`."""
    return cast("structlog.typing.FilteringBoundLogger", _Logger(name))
