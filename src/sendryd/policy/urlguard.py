"""Checks webhook URLs. It parses strictly, because differences between URL parsers bypass guards.

The URL is parsed only here, and rebuilt in the form that every parser reads alike: the host in A-labels and lower case, an address in its canonical
notation, no default port. Ambiguous URLs are refused. The address of a name is checked at the connection (`policy.destinations`).

`http` is allowed beside `https`: installations notify programs of their own network, which often have no certificates. The signature then still
proves integrity, but not secrecy.
"""

import ipaddress
import re
from typing import Final
from urllib.parse import quote

import idna

from sendryd.policy.destinations import is_public

MAX_URL: Final = 2048  # characters: the limit of old browsers and most proxies
MAX_HOST: Final = 253  # octets of a name in DNS, without length octets
MAX_PORT: Final = 65535
FIRST_FREE_PORT: Final = 1024  # lower ports are assigned; except 80 and 443, they do not serve HTTP
WEB_PORTS: Final = frozenset({80, 443})
OTHER_PORTS: Final = frozenset(  # databases, caches and queues that would read a request line as a command
    {1433, 1521, 2049, 2375, 2379, 3306, 3389, 5432, 5672, 5900, 6379, 6443, 6667, 9042, 9200, 10250, 11211, 27017}
)
INNER_NAMES: Final = ("localhost", "localdomain", "local", "internal", "home.arpa", "lan", "intranet", "svc")
ADDRESS_NAMES: Final = ("nip.io", "sslip.io", "xip.io")  # every name below them resolves to the address in it
WAY_OUT: Final = "unless SENDRYD_ALLOW_PRIVATE_NETWORKS is set"

# re.ASCII: without it IGNORECASE matches the long s, U+017F, as s.
_URL: Final = re.compile(r"(https?)://([^/?#]*)([^?#]*)(\?[^#]*)?(#.*)?", re.ASCII | re.IGNORECASE)
_LITERAL: Final = re.compile(r"\[([0-9A-Fa-f:.]+)\](?::([0-9]+))?", re.ASCII)
_NAMED: Final = re.compile(r"([^:\[\]]+)(?::([0-9]+))?", re.ASCII)
_LABEL: Final = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?", re.ASCII)  # underscores: container networks use them
_NUMBER: Final = re.compile(r"[0-9]+|0x[0-9a-f]*", re.ASCII)
_DOTTED: Final = re.compile(r"(?<![0-9a-f])([0-9]{1,3})[.-]([0-9]{1,3})[.-]([0-9]{1,3})[.-]([0-9]{1,3})(?![0-9a-f])", re.ASCII)
_HEXADECIMAL: Final = re.compile(r"(?<![0-9a-z])[0-9a-f]{8}(?![0-9a-z])", re.ASCII)
_KEPT: Final = "!$%&'()*+,/:;=?@[]~"  # beside letters, digits and -._: sent unchanged


HIDDEN: Final = "[hidden]"


class UrlRefused(ValueError):
    """A webhook cannot have this URL; the message says what to change."""


def origin_of(url: str) -> str:
    """Scheme, host and port of a URL, with a word in place of path and query, which are a password of many services."""
    match = _URL.match(url)
    if match is None:
        return HIDDEN
    has_more = match[3] not in {"", "/"} or match[4] is not None
    return f"{match[1]}://{match[2].rpartition('@')[2]}/" + (HIDDEN if has_more else "")


def check_url(text: str, *, allow_private: bool) -> str:
    """The URL in its canonical form. Raises `UrlRefused`."""
    if len(text) > MAX_URL:
        raise UrlRefused(f"the URL is too long: it may have {MAX_URL} characters")
    if not text.isprintable() or " " in text or "\\" in text:
        raise UrlRefused("the URL must not contain spaces, backslashes or control characters: percent-encode them")
    match = _URL.fullmatch(text)
    if match is None:
        raise UrlRefused("the URL must begin with https:// or http://")
    if match[5] is not None:
        raise UrlRefused("the URL must not have a fragment: leave out the # and what follows")
    scheme = match[1].lower()
    host, port = _read_authority(match[2], allow_private=allow_private)
    _check_port(port)
    is_usual = port is None or port == (443 if scheme == "https" else 80)
    path, query = quote(match[3], safe=_KEPT), quote(match[4] or "", safe=_KEPT)
    if query and not path:
        path = "/"
    return f"{scheme}://{host}{'' if is_usual else f':{port}'}{path}{query}"


def _read_authority(text: str, *, allow_private: bool) -> tuple[str, int | None]:
    """Host and port of the authority."""
    if "@" in text:
        raise UrlRefused("the URL must not contain a user name or password: the signature tells who sends")
    literal = _LITERAL.fullmatch(text)
    if literal is not None:
        return _check_literal(literal[1], allow_private=allow_private), _read_port(literal[2])
    named = _NAMED.fullmatch(text)
    if named is None:
        raise UrlRefused("the URL has no valid host and port after its two slashes")
    return _check_host(named[1], allow_private=allow_private), _read_port(named[2])


def _read_port(digits: str | None) -> int | None:
    if digits is None:
        return None
    return int(digits) if len(digits) <= len(str(MAX_PORT)) else MAX_PORT + 1


def _check_port(port: int | None) -> None:
    if port is None or port in WEB_PORTS:
        return
    if port > MAX_PORT or port < FIRST_FREE_PORT or port in OTHER_PORTS:
        raise UrlRefused(
            f"port {port} cannot be that of a webhook: use 443, 80, or one from {FIRST_FREE_PORT} to {MAX_PORT}" + _of_others(port)
        )


def _of_others(port: int) -> str:
    return " that no database or other well-known service has" if port in OTHER_PORTS else ""


def _check_literal(text: str, *, allow_private: bool) -> str:
    try:
        address = ipaddress.IPv6Address(text)
    except ValueError:
        raise UrlRefused("the URL's host is not an IPv6 address") from None
    _check_address(str(address), allow_private=allow_private)
    return f"[{address.compressed}]"


def _check_host(text: str, *, allow_private: bool) -> str:
    """A name in A-labels and lower case, or an IPv4 address."""
    host = _to_ascii(text).removesuffix(".")
    labels = host.split(".")
    if len(host) > MAX_HOST or not all(_LABEL.fullmatch(label) for label in labels):
        raise UrlRefused(f"the host {text!r} must be a host name such as example.com")
    if _NUMBER.fullmatch(labels[-1]):
        try:
            address = ipaddress.IPv4Address(host)
        except ValueError:
            raise UrlRefused(
                f"the host {text!r} is neither a name nor an IPv4 address: write an address as four numbers from 0 to 255"
            ) from None
        _check_address(str(address), allow_private=allow_private)
        return str(address)
    if not allow_private:
        _check_name(host)
    return host


def _to_ascii(text: str) -> str:
    try:
        host = text.lower() if text.isascii() else idna.encode(text, uts46=True, std3_rules=True).decode("ascii").lower()
        if "xn--" in host:
            idna.decode(host, strict=True)
    except (idna.IDNAError, UnicodeError):
        raise UrlRefused(f"the host {text!r} is not a valid international name") from None
    return host


def _check_address(address: str, *, allow_private: bool) -> None:
    if not allow_private and not is_public(address):
        raise UrlRefused(f"the address {address} is a private, local or reserved address: a webhook needs a public one, {WAY_OUT}")


def _check_name(host: str) -> None:
    """Refuses names that are not public, whatever they resolve to."""
    if "." not in host or any(host == name or host.endswith("." + name) for name in INNER_NAMES):
        raise UrlRefused(f"the host {host} is a name of inner networks: a webhook needs a public one, {WAY_OUT}")
    if host.endswith(tuple("." + name for name in ADDRESS_NAMES)):
        dotted = [".".join(match.groups()) for match in _DOTTED.finditer(host)]
        packed = [str(ipaddress.IPv4Address(int(match[0], 16))) for match in _HEXADECIMAL.finditer(host)]
        for address in dotted + packed:
            _check_address(address, allow_private=False)
