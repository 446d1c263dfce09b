"""The settings of a sending domain: which values one can have."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from ipaddress import ip_address

from typing_extensions import override

from sendryd.accounts.errors import BadField
from sendryd.message.author import normalise_domain
from sendryd.message.errors import MalformedMessage
from sendryd.model.domain import DomainSettings, SendingDomain
from sendryd.policy.destinations import is_public
from sendryd.policy.routing import SmartHost
from sendryd.policy.smarthost import MAIL_PORTS, MAX_URL, may_name_port, parse_smart_host, write_smart_host
from sendryd.policy.wayout import BadWayOut, parse_way_out


class BadDomainName(BadField):
    """The name cannot be a sending domain; the message says why."""


class BadDomainSetting(BadField):
    """The domain cannot have this setting; the message says why."""

    @property
    @override
    def sentence(self) -> str:
        """The message, which names the field itself."""
        return str(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckedSettings:
    """Settings as they are stored, and the password of the smart host."""

    settings: DomainSettings
    smarthost_password: str | None = field(repr=False)  # None: it stays as it is


def check_settings(domain: SendingDomain, settings: DomainSettings, *, pools: Sequence[str], is_operator: bool) -> CheckedSettings:
    """New settings of a domain, as they are stored. `pools` are those of the installation; a pool that stays as it is need not be one of them.
    Of the smart host's URL the password is taken out. Raises `BadDomainSetting`.
    """
    settings, password = _smart_host(domain, settings, is_operator=is_operator)
    return_path, way = _return_path(domain, settings.custom_return_path), _way_out(settings.delivery)
    pool = settings.pool if settings.pool == domain.settings.pool else _pool(settings.pool, pools)
    return CheckedSettings(settings=replace(settings, custom_return_path=return_path, delivery=way, pool=pool), smarthost_password=password)


def _smart_host(domain: SendingDomain, settings: DomainSettings, *, is_operator: bool) -> tuple[DomainSettings, str | None]:
    """The settings with the smart host's URL as it may be shown, and the password. Raises `BadDomainSetting`."""
    present = domain.settings
    if settings.smarthost == present.smarthost:
        return settings, None
    try:
        checked = check_smart_host(
            settings.smarthost, present.smarthost, is_operator=is_operator, may_be_private=present.smarthost_may_be_private
        )
    except ValueError as error:
        raise BadDomainSetting("smarthost", f"smarthost: {error}") from None
    return replace(settings, smarthost=checked.url, smarthost_may_be_private=checked.may_be_private), checked.password


@dataclass(frozen=True, slots=True)
class CheckedSmartHost:
    """A smart host as it is stored."""

    url: str  # without the password; empty: none
    may_be_private: bool
    password: str | None = field(repr=False)  # None: it stays as it is


def check_smart_host(url: str, present: str, *, is_operator: bool, may_be_private: bool) -> CheckedSmartHost:
    """A new smart host in place of the present one, which `may_be_private`. A URL without a password keeps the password of the same smart host. Raises
    `ValueError`, whose message says what to change.
    """
    if len(url) > MAX_URL:
        raise ValueError(f"the URL has more than {MAX_URL} characters")
    smart_host = parse_smart_host(url)
    if smart_host is None:
        return CheckedSmartHost("", False, "")
    if not is_operator:
        _check_foreign(smart_host)
    shown = write_smart_host(smart_host)
    password = smart_host.credentials[1] if smart_host.credentials is not None else ""
    keeps = shown == present and not password
    return CheckedSmartHost(shown, is_operator or (keeps and may_be_private), None if keeps else password)


def _check_foreign(smart_host: SmartHost) -> None:
    """What somebody who is not the operator may name: mail ports, and no address inside (a name is looked at again before each connection)."""
    if not may_name_port(smart_host.port):
        ports = ", ".join(map(str, MAIL_PORTS))
        raise ValueError(f"the port is one of {ports}; only an operator may set another one")
    try:
        address = str(ip_address(smart_host.host))
    except ValueError:
        return
    if not is_public(address):
        raise ValueError(f"{address} is a private or reserved address, which only an operator may set")


def parse_name(text: str) -> str:
    """A domain name as it is stored. Raises `BadDomainName`."""
    try:
        return normalise_domain(text.strip().removesuffix("."))
    except MalformedMessage:
        raise BadDomainName("name", f"{text!r} is not a domain name such as example.com") from None


def _way_out(text: str) -> str:
    """A way out as it is stored. Raises `BadDomainSetting`."""
    try:
        return str(parse_way_out(text))
    except BadWayOut as error:
        raise BadDomainSetting("delivery", f"delivery: {error}") from None


def _pool(name: str, pools: Sequence[str]) -> str:
    """A pool that the installation has; empty for none. Raises `BadDomainSetting`."""
    if name and name not in pools:
        known = f"the pools are {', '.join(pools)}" if pools else "this installation has none: list addresses in SENDRYD_EGRESS"
        raise BadDomainSetting("pool", f"pool: there is no address pool {name!r}; {known}")
    return name


def _return_path(domain: SendingDomain, name: str | None) -> str | None:
    """A return path of a domain's own, normalised. Raises `BadDomainSetting`."""
    if name is None:
        return None
    try:
        parsed = parse_name(name)
    except BadDomainName as error:
        raise BadDomainSetting("custom_return_path", f"custom_return_path: {error}") from None
    if not parsed.endswith(f".{domain.name}"):
        raise BadDomainSetting("custom_return_path", f"custom_return_path is a subdomain of {domain.name}, as bounces.{domain.name}")
    return parsed
