"""Admission: whether an actor may send with this reverse-path and this header From."""

from collections.abc import Iterator, Sequence

from sendryd.model.actor import Actor
from sendryd.model.apikey import KeyMode, Scope
from sendryd.model.domain import DomainStatus, SendingDomain
from sendryd.policy.refusal import Refusal, RefusalKey
from sendryd.policy.wayout import is_captured


def check_sender(actor: Actor) -> Refusal | None:
    """Whether an actor may send. For a key its scope decides; the caller has checked that the key is active."""
    if actor.may(Scope.SENDING_ACCESS):
        return None
    return Refusal(RefusalKey.SCOPE_MISSING, Scope.SENDING_ACCESS.value)


def covering_names(name: str) -> Iterator[str]:
    """The domain itself, then each domain above it that has at least two labels."""
    yield name
    while name.count(".") > 1:
        name = name.partition(".")[2]
        yield name


def admit_reverse_path(actor: Actor, name: str, covering: Sequence[SendingDomain]) -> Refusal | None:
    """Whether a reverse-path of this domain may be used: the domain, or one above it, is verified in the actor's account.

    `covering` are the account's sending domains among `covering_names(name)`. An empty name is the null reverse-path; then the header
    From decides. So it does for a domain whose mail is captured: `admit_reverse_path_of_live_mail` asks again once the message has come.
    """
    return None if is_captured(covering) else admit_reverse_path_of_live_mail(actor, name, covering)


def admit_reverse_path_of_live_mail(actor: Actor, name: str, covering: Sequence[SendingDomain]) -> Refusal | None:
    """Whether a message that leaves may have a reverse-path of this domain."""
    if actor.mode is KeyMode.TEST or not name:
        return None
    for domain in covering:
        if domain.status is DomainStatus.VERIFIED:
            return None
    return Refusal(RefusalKey.DOMAIN_NOT_VERIFIED, name)


def admit_author(actor: Actor, name: str, covering: Sequence[SendingDomain]) -> SendingDomain | Refusal | None:
    """Whether a header From of this domain may be used, and the sending domain that signs for it; None: a test key, nothing is signed.

    The domain itself must be verified, or one above it that is set to include its subdomains.
    """
    if actor.mode is KeyMode.TEST:
        return None
    for domain in covering:
        is_covered = domain.name == name or domain.settings.include_subdomains
        if is_covered and domain.status is DomainStatus.VERIFIED:
            return domain
    return Refusal(RefusalKey.DOMAIN_NOT_VERIFIED, name)
