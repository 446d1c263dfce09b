"""The way out of a domain: where its live mail goes once it is accepted. Pure."""

from collections.abc import Sequence
from enum import StrEnum
from functools import lru_cache
from typing import Final

from sendryd.model.domain import LIVE, DomainStatus, SendingDomain
from sendryd.smtp.address import AddressError, ForwardPath, parse_forward_path
from sendryd.valuetype import valuetype

MAX_ADDRESSES: Final = 10  # each is one more delivery for every message of the domain
FORM: Final = "write live, capture, redirect:ADDRESS or copy:ADDRESS"
_CACHED: Final = 1024  # the ways of the domains that send at the same time


class WayKind(StrEnum):
    """What becomes of a domain's mail."""

    LIVE = "live"  # it goes to its recipients
    CAPTURE = "capture"  # it stays in the Test Inbox
    REDIRECT = "redirect"  # it goes to other addresses, and to no recipient
    COPY = "copy"  # it goes to its recipients, and a copy to other addresses


class BadWayOut(ValueError):
    """The text is no way out; the message says what to change."""


@valuetype(frozen=True, slots=True)
class WayOut:
    """A way out with the addresses that it names."""

    kind: WayKind
    addresses: tuple[ForwardPath, ...] = ()  # only of REDIRECT and COPY, and then at least one

    def __str__(self) -> str:
        return f"{self.kind.value}:{','.join(path.text for path in self.addresses)}" if self.addresses else self.kind.value


STRAIGHT: Final = WayOut(WayKind.LIVE)


@lru_cache(_CACHED)
def parse_way_out(text: str) -> WayOut:
    """Reads `live`, `capture`, `redirect:ADDRESS` or `copy:ADDRESS`; several addresses are separated by commas. Raises `BadWayOut`."""
    word, colon, rest = text.strip().partition(":")
    try:
        kind = WayKind(word.strip().lower())
    except ValueError:
        raise BadWayOut(FORM) from None
    if kind in {WayKind.LIVE, WayKind.CAPTURE}:
        if colon:
            raise BadWayOut(f"{kind.value} takes no address; {FORM}")
        return WayOut(kind)
    paths: dict[str, ForwardPath] = {}
    for each in filter(None, (part.strip() for part in rest.split(","))):
        try:
            path = parse_forward_path(each)
        except AddressError as error:
            raise BadWayOut(f"{each!r} is no address: {error}") from None
        if not path.text.isascii():
            raise BadWayOut(f"{each!r} has letters outside ASCII, which not every mail server takes; name another address")
        paths.setdefault(path.text, path)
    if not paths:
        raise BadWayOut(f"{kind.value} needs an address, as in {kind.value}:team@example.com")
    if len(paths) > MAX_ADDRESSES:
        raise BadWayOut(f"{kind.value} takes at most {MAX_ADDRESSES} addresses; name a mailing list instead")
    return WayOut(kind, tuple(paths.values()))


def way_out(name: str, covering: Sequence[SendingDomain]) -> WayOut:
    """The way of mail whose header From is of the domain `name`. `covering` are the account's domains that equal it or are above it, nearest
    first.

    The verified domain that signs the mail decides. A nearer domain that is not verified counts too, unless it is live: a staging domain
    without DNS records must not fall back to the domain above it.
    """
    for domain in covering:
        if domain.name != name and not domain.settings.include_subdomains:
            continue
        if domain.settings.delivery != LIVE:
            return parse_way_out(domain.settings.delivery)
        if domain.status is DomainStatus.VERIFIED:
            return STRAIGHT
    return STRAIGHT


def is_captured(covering: Sequence[SendingDomain]) -> bool:
    """Whether mail of one of these domains stays in the Test Inbox: its reverse-path is never used."""
    return WayKind.CAPTURE in [domain.settings.delivery for domain in covering]
