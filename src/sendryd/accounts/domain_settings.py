"""The settings of a sending domain: which values one can have."""

from collections.abc import Sequence
from dataclasses import replace

from typing_extensions import override

from sendryd.accounts.errors import BadField
from sendryd.message.author import normalise_domain
from sendryd.message.errors import MalformedMessage
from sendryd.model.domain import DomainSettings, SendingDomain
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


def check_settings(domain: SendingDomain, settings: DomainSettings, *, pools: Sequence[str]) -> DomainSettings:
    """New settings of a domain, as they are stored. `pools` are those of the installation; a pool that stays as it is need not be one of them.
    Raises `BadDomainSetting`.
    """
    return_path, way = _return_path(domain, settings.custom_return_path), _way_out(settings.delivery)
    pool = settings.pool if settings.pool == domain.settings.pool else _pool(settings.pool, pools)
    return replace(settings, custom_return_path=return_path, delivery=way, pool=pool)


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
