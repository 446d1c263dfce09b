"""The forms of settings' values: durations, sizes, listeners, the smart host's URL. Each parser says what is wrong in one sentence."""

import re
from dataclasses import dataclass
from datetime import timedelta
from ipaddress import ip_network
from typing import Final
from urllib.parse import unquote, urlsplit

from sendryd.policy.routing import Security, SmartHost

_DURATION: Final = re.compile(r"([0-9]{1,9})(ms|s|m|h|d)", re.ASCII)
_DURATION_UNITS: Final = {
    "ms": timedelta(milliseconds=1),
    "s": timedelta(seconds=1),
    "m": timedelta(minutes=1),
    "h": timedelta(hours=1),
    "d": timedelta(days=1),
}
_SIZE: Final = re.compile(r"([0-9]{1,12})(B|KiB|MiB|GiB)?", re.ASCII)
_SIZE_UNITS: Final = {None: 1, "B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}
_RATE: Final = re.compile(r"([0-9]{1,9})/(.+)", re.ASCII)
_HOST: Final = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_.-]{0,252}[A-Za-z0-9_])?", re.ASCII)
_SCHEMES: Final = {
    "smtp": (Security.STARTTLS, 587),
    "smtps": (Security.IMPLICIT_TLS, 465),
    "smtp+notls": (Security.CLEAR_TEXT, 25),
}
MAX_PORT: Final = 65_535


@dataclass(frozen=True, slots=True)
class Address:
    """A host, or an IP address without brackets, and a port."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Rate:
    """So many in so much time."""

    count: int
    period: timedelta


def parse_duration(text: str) -> timedelta:
    """`250ms`, `5s`, `1m`, `2h`, `3d`."""
    match = _DURATION.fullmatch(text.strip())
    if not match:
        raise ValueError("write a duration as 250ms, 5s, 1m, 2h or 3d")
    return int(match[1]) * _DURATION_UNITS[match[2]]


def parse_schedule(text: str) -> tuple[timedelta, ...]:
    """Durations, comma-separated."""
    delays = tuple(parse_duration(part) for part in text.split(","))
    if any(delay <= timedelta(0) for delay in delays):
        raise ValueError("every delay must be longer than nothing")
    return delays


def parse_size(text: str) -> int:
    """`512KiB`, `40MiB`, or a number of octets."""
    match = _SIZE.fullmatch(text.strip())
    if not match:
        raise ValueError("write a size as 512KiB or 40MiB")
    return int(match[1]) * _SIZE_UNITS[match[2]]


def parse_address(text: str) -> Address:
    """`host:port` or `[IPv6 address]:port`."""
    host, separator, port = text.strip().rpartition(":")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
        is_good = ":" in host
    else:
        is_good = bool(_HOST.fullmatch(host))
    if not separator or not is_good or not (port.isascii() and port.isdigit()) or int(port) > MAX_PORT:
        raise ValueError("write an address as host:port, an IPv6 address as [::]:port")
    return Address(host, int(port))


def parse_addresses(text: str) -> tuple[Address, ...]:
    """Several, comma-separated; none for an empty text."""
    return tuple(parse_address(part) for part in text.split(",")) if text.strip() else ()


def parse_networks(text: str) -> tuple[str, ...]:
    """IP addresses or networks, comma-separated."""
    parts = [part.strip() for part in text.split(",") if part.strip()]
    for part in parts:
        ip_network(part, strict=False)
    return tuple(parts)


def parse_rate(text: str) -> Rate | None:
    """`100/10s`; `off` for none."""
    if text.strip().lower() == "off":
        return None
    match = _RATE.fullmatch(text.strip())
    if not match or int(match[1]) == 0:
        raise ValueError("write a rate as 100/10s, or off")
    period = parse_duration(match[2])
    if period <= timedelta(0):
        raise ValueError("the period of a rate must be longer than nothing")
    return Rate(int(match[1]), period)


def parse_smart_host(text: str) -> SmartHost | None:
    """`smtp://user:password@host:port`, `smtps://…`, `smtp+notls://…`; None for an empty text."""
    if not text.strip():
        return None
    try:
        url = urlsplit(text.strip())
        port = url.port
    except ValueError:
        raise ValueError("write a smart host as smtp://user:password@host:port") from None
    if url.scheme not in _SCHEMES or not url.hostname or url.path.strip("/") or url.query or url.fragment:
        raise ValueError("write a smart host as smtp://, smtps:// or smtp+notls:// and user:password@host:port")
    security, default_port = _SCHEMES[url.scheme]
    credentials = (unquote(url.username), unquote(url.password or "")) if url.username else None
    return SmartHost(url.hostname, port or default_port, security, credentials)


def parse_hostname(text: str) -> str:
    """A host name."""
    name = text.strip().rstrip(".")
    if not _HOST.fullmatch(name):
        raise ValueError("write a host name such as mail.example.com")
    return name
