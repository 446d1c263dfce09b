"""The forms of settings' values: durations, sizes, listeners. Each parser says what is wrong in one sentence."""

import re
from dataclasses import dataclass
from datetime import timedelta
from ipaddress import IPv6Address, ip_address, ip_network
from typing import Final
from urllib.parse import SplitResult, urlsplit

from sendryd.policy.smarthost import MAX_PORT

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
_NUMBER: Final = re.compile(r"[0-9]{1,9}", re.ASCII)
_RATE: Final = re.compile(r"([0-9]{1,9})/(.+)", re.ASCII)
_LABEL: Final = r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?"  # RFC 1035 §2.3.4, and the underscore that some machines have
_HOST: Final = re.compile(rf"(?=.{{1,253}}\Z){_LABEL}(?:\.{_LABEL})*", re.ASCII)
EVERY_ADDRESS: Final = frozenset({"0.0.0.0", "::"})  # noqa: S104  compared, not bound
MAX_DURATION: Final = timedelta(days=36_500)  # with it no date comes near the end of the calendar


@dataclass(frozen=True, slots=True)
class Address:
    """A host, or an IP address without brackets, and a port."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    def reached_by(self, name: str) -> "Address":
        """What a client connects to: an address that means every one of the machine's is none, so the name stands for it."""
        return Address(name, self.port) if self.host in EVERY_ADDRESS else self


@dataclass(frozen=True, slots=True)
class Rate:
    """A number of things in a stretch of time."""

    count: int
    period: timedelta


def parse_duration(text: str) -> timedelta:
    """`250ms`, `5s`, `1m`, `2h`, `3d`."""
    match = _DURATION.fullmatch(text.strip())
    if not match:
        raise ValueError("write a duration as 250ms, 5s, 1m, 2h or 3d")
    if (duration := int(match[1]) * _DURATION_UNITS[match[2]]) > MAX_DURATION:
        raise ValueError(f"the longest duration is {MAX_DURATION.days}d")
    return duration


def parse_period(text: str) -> timedelta:
    """A duration that is longer than nothing."""
    period = parse_duration(text)
    if not period:
        raise ValueError("write a duration above 0")
    return period


def parse_schedule(text: str) -> tuple[timedelta, ...]:
    """Durations, comma-separated, each longer than nothing."""
    return tuple(parse_period(part) for part in text.split(","))


def parse_size(text: str) -> int:
    """`512KiB`, `40MiB`, or a number of octets; above 0."""
    match = _SIZE.fullmatch(text.strip())
    if not match:
        raise ValueError("write a size as 512KiB or 40MiB")
    if not int(match[1]):
        raise ValueError("write a size above 0")
    return int(match[1]) * _SIZE_UNITS[match[2]]


def parse_number(text: str) -> int:
    """A whole number above 0."""
    if not _NUMBER.fullmatch(text.strip()) or not int(text):
        raise ValueError("write a whole number above 0")
    return int(text)


def parse_port(text: str) -> int:
    """A port that one can connect to."""
    if not _NUMBER.fullmatch(text.strip()) or not 0 < int(text) <= MAX_PORT:
        raise ValueError(f"write a port from 1 to {MAX_PORT}")
    return int(text)


def parse_address(text: str) -> Address:
    """`host:port` or `[IPv6 address]:port`."""
    host, separator, port = text.strip().rpartition(":")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
        is_good = _is_ipv6(host)
    else:
        is_good = _HOST.fullmatch(host) is not None
    if not separator or not is_good or not _NUMBER.fullmatch(port) or int(port) > MAX_PORT:
        raise ValueError("write an address as host:port, an IPv6 address as [::]:port")
    return Address(host, int(port))


def _is_ipv6(text: str) -> bool:
    try:
        IPv6Address(text)
    except ValueError:
        return False
    return True


def parse_addresses(text: str) -> tuple[Address, ...]:
    """Several, comma-separated; none for an empty text."""
    return tuple(parse_address(part) for part in text.split(",")) if text.strip() else ()


def parse_names(text: str) -> tuple[str, ...]:
    """Host names, comma-separated; none for an empty text."""
    return tuple(parse_hostname(part.strip()) for part in text.split(",")) if text.strip() else ()


def is_loopback(host: str) -> bool:
    """Whether a host is this machine alone: a loopback address, or `localhost`."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


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
    return Rate(int(match[1]), parse_period(match[2]))


def host_of_https(url: str) -> str:
    """The host of an https URL; empty for another one and for an IP address, which no name leads to."""
    parts = urlsplit(url)
    host = (parts.hostname or "").rstrip(".")
    is_name = "." in host and ":" not in host and not host.rpartition(".")[2].isdigit()
    return host if parts.scheme == "https" and is_name else ""


def parse_public_url(text: str) -> str:
    """`http://` or `https://`, a host, perhaps a port and a path; without a final slash. Empty for an empty text."""
    if not text.strip():
        return ""
    url = _split(text)
    if url is None or url.scheme not in {"http", "https"} or not _is_host(url.hostname) or url.query or url.fragment or url.username:
        raise ValueError("write a URL as https://mail.example.com")
    return text.strip().rstrip("/")


def parse_origin(text: str) -> str:
    """`http://` or `https://`, a host and perhaps a port. Empty for an empty text."""
    url = parse_public_url(text)
    if urlsplit(url).path:
        raise ValueError("write an origin without a path, as https://content.example.net")
    return url


def parse_issuer(text: str) -> str:
    """The issuer of an identity provider, unchanged: it is compared letter by letter. On this machine alone without TLS. Empty for an empty text."""
    if not text.strip():
        return ""
    url = _split(text)
    if url is None or not _is_host(url.hostname) or url.query or url.fragment or url.username:
        raise ValueError("write the issuer as https://id.example.com")
    if url.scheme != "https" and not (url.scheme == "http" and is_loopback(url.hostname or "")):
        raise ValueError("write the issuer with https://: without TLS others on the way could sign in as anybody")
    return text.strip()


def _split(text: str) -> SplitResult | None:
    """A URL in parts; None if it is none, or its port no port."""
    try:
        url = urlsplit(text.strip())
        _ = url.port
    except ValueError:
        return None
    return url


def _is_host(name: str | None) -> bool:
    return name is not None and (_HOST.fullmatch(name) is not None or _is_ipv6(name))


def parse_hostname(text: str) -> str:
    """A host name."""
    name = text.strip().rstrip(".")
    if not _HOST.fullmatch(name):
        raise ValueError("write a host name such as mail.example.com")
    return name
