"""Structured logs on standard error: one event name, then fields. Secrets are taken out before anything is rendered.

Whoever reads the log can hold nobody up: what a pipe does not take at once is left out, and counted where the log goes on. A reader that is
gone, and a disk that is full, are no reason to stop either.

Structlog is loaded with the first line, or when the form is set: most commands log nothing, and it takes as long to load as they take to run.
"""

import io
import logging
import os
import select
import sys
from collections.abc import Iterable, MutableMapping
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, Final, TextIO, cast

from sendryd.policy.credentials import without_keys

if TYPE_CHECKING:
    from types import ModuleType

    import structlog

_SECRET_NAMES: Final = frozenset({"password", "secret", "authorization", "credentials", "private_key"})


_AT_ONCE: Final = select.PIPE_BUF  # octets that a pipe takes without waiting if it says that it takes any


class LogStream(io.TextIOBase):
    """Lines to a descriptor, without ever waiting for it and without failing."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._poll = select.poll()
        self._poll.register(descriptor, select.POLLOUT)
        self._missing = 0  # lines, since the last one that was written
        self._is_torn = False  # the last line that was written has no end

    def write(self, text: str) -> int:
        self._put(text.encode("utf-8", "backslashreplace"), 1)
        return len(text)

    def write_lines(self, lines: Iterable[bytes]) -> None:
        """Writes lines, given without their ends, as many in one system call as a pipe takes at once."""
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
    """Where the log goes, in which form, and from which level."""

    stream: LogStream | None  # None: standard error is none of the system's, as under a test runner
    is_json: bool
    level: int  # as `logging` counts


class Secret(str):
    """A text that must not be shown: its representation and its form in logs are stars."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "'***'"


def redact(_logger: object, _method: str, event: MutableMapping[str, object]) -> MutableMapping[str, object]:
    """Takes secrets out of an event's fields, by name, by type and by the form of an API key."""
    for name, value in event.items():
        if name in _SECRET_NAMES or isinstance(value, Secret):
            event[name] = "***"
        elif isinstance(value, str):
            event[name] = without_keys(value)
    return event


def does_colour() -> bool:
    """Whether standard error is a terminal whose user has not asked for no colours (no-color.org)."""
    return sys.stderr.isatty() and not os.environ.get("NO_COLOR")


def configure(log_format: str, level: str) -> LogOutput:
    """Sets the form (`text` or `json`) and the least level (`debug`, `info`, `warning`, `error`) of all logs of this process."""
    structlog = _load_structlog()
    stream = _standard_error()
    number = logging.getLevelNamesMapping()[level.upper()]
    logging.lastResort = logging.StreamHandler(stream)  # what libraries say
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
    except (AttributeError, OSError, ValueError):  # closed from the start, or not of the system
        return sys.stderr or cast("TextIO", LogStream(os.open(os.devnull, os.O_WRONLY)))


class _Logger:
    """A logger that names its part of the program. It is asked for at import, so it loads Structlog only for its first line."""

    def __init__(self, part: str) -> None:
        self._part = part

    def __getattr__(self, name: str) -> Any:
        return getattr(_load_structlog().get_logger(part=self._part), name)


@cache
def _load_structlog() -> Any:
    """Structlog without Rich, which would take half of the time: it draws tracebacks, and ours are text before they are drawn."""
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
    """A logger that names its part of the program in the field `part`."""
    return cast("structlog.typing.FilteringBoundLogger", _Logger(name))
