"""Structured logs on standard error: one event name, then fields. Secrets are taken out before anything is rendered."""

import logging
import re
import sys
from collections.abc import MutableMapping
from typing import Final, cast

import structlog

_KEY: Final = re.compile(r"sn_(live|test)_[A-Za-z0-9]+")
_SECRET_NAMES: Final = frozenset({"password", "secret", "authorization", "credentials", "private_key"})


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
        elif isinstance(value, str) and "sn_" in value:
            event[name] = _KEY.sub(r"sn_\1_***", value)
    return event


def configure(log_format: str, level: str) -> None:
    """Sets the form (`text` or `json`) and the least level (`debug`, `info`, `warning`, `error`) of all logs of this process."""
    renderer: structlog.typing.Processor
    if log_format == "json":
        renderer = structlog.processors.JSONRenderer()
    else:
        renderer = structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            redact,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
        logger_factory=structlog.PrintLoggerFactory(file=sys.stderr),
        cache_logger_on_first_use=False,
    )


def get_logger(name: str) -> structlog.typing.FilteringBoundLogger:
    """A logger that names its part of the program in the field `part`."""
    return cast("structlog.typing.FilteringBoundLogger", structlog.get_logger(part=name))
