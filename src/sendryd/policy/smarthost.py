"""Smart hosts as they are written: `smtp://user:password@host:port`, `smtps://…`, `smtp+notls://…`; and the lanes of those that domains name. Pure.

The lane of a domain's smart host is `host:port~mark`, and is stored as the domain of its deliveries: a name with a colon is no domain. The mark is of the
account, the scheme and the user: what is wrong with the login of one account stops no mail of another one that uses the same host.
"""

import re
from collections.abc import Sequence
from functools import lru_cache
from hashlib import sha256
from ipaddress import IPv6Address
from typing import Final
from urllib.parse import quote, unquote, urlsplit

from sendryd.policy.routing import Security, SmartHost
from sendryd.smtp.address import AddressError, normalise_domain

MAX_PORT: Final = 65_535
MAX_URL: Final = 1000  # characters
# The ports at which mail servers take mail: a tenant must not make this server talk to other services.
MAIL_PORTS: Final = (25, 465, 587, 2525)
FORM: Final = "write a smart host as smtp://, smtps:// or smtp+notls:// and user:password@host:port"
_LABEL: Final = r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?"  # RFC 1035 §2.3.4, and the underscore that some machines have
_HOST: Final = re.compile(rf"(?=.{{1,253}}\Z){_LABEL}(?:\.{_LABEL})*", re.ASCII)
_SCHEMES: Final = {
    "smtp": (Security.STARTTLS, 587),
    "smtps": (Security.IMPLICIT_TLS, 465),
    "smtp+notls": (Security.CLEAR_TEXT, 25),
}
_NAMES: Final = {security: scheme for scheme, (security, _) in _SCHEMES.items()}
_MARK: Final = 16  # characters: a user name with the mark of another account's login is not to be found
_MARKED: Final = re.compile(rf"[0-9a-f]{{{_MARK}}}", re.ASCII)
_CACHED: Final = 1024  # smart hosts of the domains that send at the same time


def parse_smart_host(text: str) -> SmartHost | None:
    """A smart host; None for an empty text. Raises `ValueError`, whose message says what to change and holds no password."""
    if not text.strip():
        return None
    try:
        url = urlsplit(text.strip())
        port = url.port
    except ValueError:
        raise ValueError(FORM) from None
    if url.scheme not in _SCHEMES or not _is_host(url.hostname) or url.path.strip("/") or url.query or url.fragment:
        raise ValueError(FORM)
    if url.password is not None and not url.username:
        raise ValueError("the smart host has a password and no user name")
    security, default_port = _SCHEMES[url.scheme]
    port = default_port if port is None else port
    if not port:
        raise ValueError(f"write the smart host's port as a number from 1 to {MAX_PORT}")
    credentials = (unquote(url.username), unquote(url.password or "")) if url.username else None
    if credentials is not None and not "".join(credentials).isprintable():
        raise ValueError("the user name and the password of the smart host have printable characters only")
    return SmartHost(url.hostname or "", port, security, credentials)


def _is_host(name: str | None) -> bool:
    if name is None:
        return False
    if ":" not in name:
        return _HOST.fullmatch(name) is not None
    try:
        IPv6Address(name)
    except ValueError:
        return False
    return True


def write_smart_host(smart_host: SmartHost, *, with_password: bool = False) -> str:
    """The URL of a smart host; without its password it may be shown."""
    user = ""
    if smart_host.credentials is not None:
        name, password = (quote(each, safe="") for each in smart_host.credentials)
        user = f"{name}:{password}@" if with_password and password else f"{name}@"
    return f"{_NAMES[smart_host.security]}://{user}{_place(smart_host.host, smart_host.port)}"


@lru_cache(_CACHED)
def smart_host_lane(text: str, account_id: int) -> str:
    """The lane of the smart host that a domain of an account names in its setting; empty if it names none. Raises `ValueError`."""
    smart_host = parse_smart_host(text)
    if smart_host is None:
        return ""
    user = smart_host.credentials[0] if smart_host.credentials is not None else ""
    mark = sha256(f"{account_id} {smart_host.security.value} {user}".encode()).hexdigest()[:_MARK]
    return f"{_place(smart_host.host, smart_host.port)}~{mark}"


def lane_of(lane: str) -> str:
    """A delivery's lane if it is that of a smart host, else empty."""
    return lane if ":" in lane else ""


def split_lane(lane: str) -> tuple[str, int]:
    """Host and port of a smart host's lane."""
    host, _, port = lane.partition("~")[0].rpartition(":")
    return host.removeprefix("[").removesuffix("]"), int(port)


def parse_destination(text: str) -> str:
    """A recipient domain, or the lane of a smart host, as deliveries have it. Raises `AddressError`."""
    if ":" not in text:
        return normalise_domain(text)
    place, _, mark = text.lower().partition("~")
    try:
        smart_host = parse_smart_host(f"smtp://{place}")
    except ValueError:
        smart_host = None
    if smart_host is None or _place(smart_host.host, smart_host.port) != place or not _MARKED.fullmatch(mark):
        raise AddressError("it is neither a domain nor the lane of a smart host, host:port~mark")
    return f"{place}~{mark}"


def parse_wanted(text: str) -> str:
    """What `is_toward` takes: a recipient domain, the lane of a smart host, or its host and port alone. Raises `AddressError`."""
    if ":" in text and "~" not in text:
        return parse_destination(f"{text}~{'0' * _MARK}").partition("~")[0]
    return parse_destination(text)


def domain_of(forward_path: str, lane: str | None) -> str:
    """The domain of a delivery as it is stored: the lane of the smart host, else the recipient's domain."""
    if lane:
        return lane
    domain = forward_path.rpartition("@")[2]
    try:
        return normalise_domain(domain)
    except AddressError:
        return domain.lower()


def is_toward(domain: str, forward_path: str, wanted: str) -> bool:
    """Whether a delivery is of a domain or lane, or of a recipient there in the lane of a smart host. A lane may be wanted without its mark."""
    if domain == wanted:
        return True
    return bool(lane_of(domain)) and (forward_path.lower().endswith(f"@{wanted}") or domain.startswith(f"{wanted}~"))


def paused_reply(destination: str) -> str:
    """What is stored with mail in the lane of a smart host while a person has paused the recipient's domain or its site."""
    return f"Mail to {destination} is paused"


def may_name_port(port: int, ports: Sequence[int] = MAIL_PORTS) -> bool:
    """Whether somebody who is not the operator may name it."""
    return port in ports


def _place(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
