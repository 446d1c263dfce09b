"""The shaping rules: what TOML says of providers, and which provider a site is with.

A file has `[default]` with the limits of sites without a rule, and `[provider.NAME]` with those of one provider: by the ends of the names of its mail
servers (`mx`), or by recipient domains (`domains`). `[[provider.NAME.reply]]` says what a reply of its servers brings. An operator's file adds
providers, and overrides single fields of those of the program.
"""

import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Any, Final

from sendryd.policy.shaping.limits import MAX_CONNECTIONS, MAX_MESSAGES, NO_LIMITS, Limits, Rate
from sendryd.smtp.address import AddressError, normalise_domain

_NAME: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,39}", re.ASCII)
_RATE: Final = re.compile(r"([1-9][0-9]{0,6})/([1-9][0-9]{0,5})?(s|m|h|d)", re.ASCII)
_DURATION: Final = re.compile(r"([1-9][0-9]{0,5})(s|m|h|d)", re.ASCII)
_UNITS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_MOST_CONNECTIONS: Final = 500  # attempts at once to all sites
_MAX_PATTERN: Final = 200  # characters
_USUAL_MATCHES: Final = 3
_LIMIT_FIELDS: Final = frozenset({"connections", "connection_rate", "message_rate", "messages_per_connection", "tls"})
_PROVIDER_FIELDS: Final = _LIMIT_FIELDS | {"mx", "domains", "reply"}
_REPLY_FIELDS: Final = frozenset({"match", "matches", "suspend", "connections", "connection_rate", "message_rate", "for"})


class RulesInvalid(ValueError):
    """The rules cannot be used. The message is one sentence that names the field."""


@dataclass(frozen=True, slots=True)
class ReplyRule:
    """What replies bring: a suspension, or limits, for a time."""

    name: str  # `google/2`: its provider, and its place there
    pattern: re.Pattern[str]
    matches: int  # in an hour
    domains: frozenset[str]  # of the provider, by its rule
    suspends: bool
    limits: Limits
    seconds: float


@dataclass(frozen=True, slots=True)
class Provider:
    """One rule."""

    name: str
    mx: tuple[str, ...] = ()  # ends of the names of its mail servers, each with a dot in front
    domains: frozenset[str] = frozenset()
    limits: Limits = NO_LIMITS
    replies: tuple[ReplyRule, ...] = ()

    def has_server(self, host: str) -> bool:
        """Whether a mail server is the provider's."""
        return any(f".{host}".endswith(end) for end in self.mx)


@dataclass(frozen=True, slots=True)
class Rules:
    """All of them."""

    default: Limits
    providers: Mapping[str, Provider]
    merged: Mapping[str, Limits]  # of each provider, with the default

    def provider_of(self, domain: str, hosts: Iterable[str]) -> Provider | None:
        """The provider that names the domain, or has all of its mail servers."""
        names = list(hosts)
        for each in self.providers.values():
            if domain in each.domains:
                return each
        return next((each for each in self.providers.values() if names and all(map(each.has_server, names))), None)

    def limits_of(self, site: str) -> Limits:
        """The limits of a site, by its name, or of a domain that is set apart from it, `a.example@site`."""
        return self.merged.get(site.rpartition("@")[2], self.default)

    def replies_of(self, site: str) -> tuple[ReplyRule, ...]:
        """What its replies bring."""
        provider = self.providers.get(site)
        return provider.replies if provider is not None else ()


EMPTY_RULES: Final = Rules(Limits(connections=MAX_CONNECTIONS, messages_per_connection=MAX_MESSAGES), {}, {})


def site_of(rules: Rules, domain: str, hosts: Iterable[str]) -> str:
    """The name of the site that a domain is with: its provider's, or one that all domains with the same mail servers share: the first server, the
    number of others, their digest. No domain has such a name, so that mail to the name of a mail server is no concern of its site. `hosts` are the
    names of the domain's MX records; none: the domain is its own server and site.

    >>> site_of(EMPTY_RULES, "a.test", ["mx.b.test"]), site_of(EMPTY_RULES, "a.test", [])
    ('mx.b.test+0', 'a.test')
    """
    names = sorted(set(hosts))
    provider = rules.provider_of(domain, names)
    if provider is not None:
        return provider.name
    if len(names) < 2:
        return f"{names[0]}+0" if names else domain
    return f"{names[0]}+{len(names) - 1}-{sha256(' '.join(names).encode()).hexdigest()[:6]}"


def read_rules(text: str, *, over: Rules = EMPTY_RULES) -> Rules:
    """The rules of a text, over others. Raises `RulesInvalid`."""
    try:
        data = tomllib.loads(text)
    except RecursionError:
        raise RulesInvalid("it is not TOML that can be read: its lists or tables are too deep") from None
    except ValueError as error:  # also of numbers of thousands of digits
        raise RulesInvalid(f"it is not TOML: {error}") from None
    _check_names("", data, frozenset({"default", "provider"}))
    default = _table("default", data.get("default", {}))
    _check_names("default", default, _LIMIT_FIELDS)
    providers = dict(over.providers)
    for name, given in _table("provider", data.get("provider", {})).items():
        if not _NAME.fullmatch(name):
            raise RulesInvalid(f"provider.{name}: write a name of 1 to 40 lower-case letters, digits, - and _")
        providers[name] = _read_provider(name, _table(f"provider.{name}", given), providers.get(name))
    usual = _read_limits("default", default).over(over.default)
    return Rules(usual, providers, {name: each.limits.over(usual) for name, each in providers.items()})


def _read_provider(name: str, given: Mapping[str, Any], before: Provider | None) -> Provider:
    path = f"provider.{name}"
    _check_names(path, given, _PROVIDER_FIELDS)
    found = before or Provider(name)
    if "mx" in given:
        found = replace(found, mx=tuple(f".{each.lstrip('.')}" for each in _read_names(f"{path}.mx", given["mx"])))
    if "domains" in given:
        found = replace(found, domains=frozenset(_read_names(f"{path}.domains", given["domains"])))
    if not found.mx and not found.domains:
        raise RulesInvalid(f"{path}: give it mx, the ends of the names of its mail servers, or domains")
    if "reply" in given:
        if not isinstance(given["reply"], list):
            raise RulesInvalid(f"{path}.reply: begin each of its rules with [[{path}.reply]]")
        found = replace(found, replies=tuple(_read_reply(name, number, each) for number, each in enumerate(given["reply"], 1)))
    found = replace(found, replies=tuple(replace(each, domains=found.domains) for each in found.replies))
    return replace(found, limits=_read_limits(path, given).over(found.limits))


def _read_reply(name: str, number: int, given: object) -> ReplyRule:
    path = f"provider.{name}.reply {number}"
    fields = _table(path, given)
    _check_names(path, fields, _REPLY_FIELDS)
    text = fields.get("match")
    if not isinstance(text, str) or not 0 < len(text) <= _MAX_PATTERN:
        raise RulesInvalid(f"{path}.match: write a regular expression of 1 to {_MAX_PATTERN} characters")
    try:
        pattern = re.compile(text, re.IGNORECASE)
    except (re.error, OverflowError, RecursionError) as error:
        raise RulesInvalid(f"{path}.match: it is not a regular expression: {error}") from None
    suspends = fields.get("suspend", False)
    if not isinstance(suspends, bool):
        raise RulesInvalid(f"{path}.suspend: write true or false")
    limits = _read_limits(path, fields)
    if suspends is (limits != NO_LIMITS):
        raise RulesInvalid(f"{path}: give it either suspend = true or limits")
    seconds = _DURATION.fullmatch(fields["for"]) if isinstance(fields.get("for"), str) else None
    if seconds is None:
        raise RulesInvalid(f"{path}.for: write a duration as 90s, 30m or 2h")
    matches = _read_number(f"{path}.matches", fields.get("matches", _USUAL_MATCHES), 1000)
    return ReplyRule(f"{name}/{number}", pattern, matches, frozenset(), suspends, limits, float(int(seconds[1]) * _UNITS[seconds[2]]))


def _read_limits(path: str, given: Mapping[str, Any]) -> Limits:
    tls = given.get("tls")
    if tls is not None and tls not in ("required", "opportunistic"):
        raise RulesInvalid(f"{path}.tls: write required or opportunistic")
    return Limits(
        connections=_read_number(f"{path}.connections", given["connections"], _MOST_CONNECTIONS) if "connections" in given else None,
        connection_rate=_read_rate(f"{path}.connection_rate", given.get("connection_rate")),
        message_rate=_read_rate(f"{path}.message_rate", given.get("message_rate")),
        messages_per_connection=(
            _read_number(f"{path}.messages_per_connection", given["messages_per_connection"], 100_000)
            if "messages_per_connection" in given
            else None
        ),
        is_tls_required=None if tls is None else tls == "required",
    )


def _read_number(path: str, value: object, most: int) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= most:
        raise RulesInvalid(f"{path}: write a whole number from 1 to {most}")
    return value


def _read_rate(path: str, value: object) -> Rate | None:
    if value is None:
        return None
    match = _RATE.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise RulesInvalid(f"{path}: write a rate as 10/1m, 5/s or 100/h")
    return Rate(int(match[1]), float(int(match[2] or 1) * _UNITS[match[3]]))


def _read_names(path: str, value: object) -> tuple[str, ...]:
    if not isinstance(value, list) or not value or not all(isinstance(each, str) and each.strip(".") for each in value):
        raise RulesInvalid(f"{path}: write a list of names in quotes")
    return tuple(_read_name(path, each) for each in value)


def _read_name(path: str, text: str) -> str:
    """A name as deliveries have it: in A-labels and lower case."""
    try:
        return normalise_domain(text.strip(". "))
    except AddressError:
        hint = "; leave the * out, the end of a name is enough" if "*" in text else ""
        raise RulesInvalid(f"{path}: {text!r} is no name of a domain or host{hint}") from None


def _table(path: str, value: object) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise RulesInvalid(f"{path}: write it as a table, [{path}]")
    return value


def _check_names(path: str, given: Mapping[str, Any], known: frozenset[str]) -> None:
    for name in given:
        if name not in known:
            place = f"{path}." if path else ""
            raise RulesInvalid(f"{place}{name}: there is no such field; there are {', '.join(sorted(known))}")
