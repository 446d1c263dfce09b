"""Permissions beside the scope: test keys change nothing that live mail depends on, and few actors see secrets. Pure.

Objects made by a test key are for test mail alone, and every key of the account may change them; only live keys change objects made by live keys.
"""

from sendryd.model.actor import Actor, Person, key_id_of
from sendryd.model.apikey import KeyMode, Scope
from sendryd.model.message import Message
from sendryd.policy.rights import Right, has_right


class LiveKeyNeeded(Exception):
    """A test key tried to change something that live mail depends on."""


class NotForLiveMail(Exception):
    """Live mail would use an object made by a test key; the message says what to change."""


def check_change(by: Actor, made_by: KeyMode) -> None:
    """Checks that an actor may make, change, use or remove objects of a mode. Raises `LiveKeyNeeded`."""
    if by.mode is KeyMode.TEST and made_by is KeyMode.LIVE:
        raise LiveKeyNeeded


def may_find(actor: Actor, message: Message) -> bool:
    """Whether an actor finds a message by its id among its emails: one of its mode, or one that it sent itself and that was captured."""
    return message.mode is actor.mode or (message.api_key_id is not None and message.api_key_id == key_id_of(actor))


def may_see_captured(actor: Actor, message: Message) -> bool:
    """Whether an actor finds a message in the Test Inbox: a test key sees what it sent itself, others all of it."""
    return message.mode is KeyMode.TEST and (actor.mode is KeyMode.LIVE or message.api_key_id == key_id_of(actor))


def may_see_bodies(actor: Actor, asked_in: KeyMode) -> bool:
    """Whether an actor sees the bodies of API requests that were made in a mode. Answers to live keys may hold what leads to live mail, such
    as the link to a shared message.
    """
    return actor.mode is KeyMode.LIVE or asked_in is KeyMode.TEST


def may_see_url(actor: Actor, made_by: KeyMode) -> bool:
    """Whether an actor sees the whole URL of a webhook or of inbound forwarding, whose path and query are a password of many services.

    Actors that may change the URL see it; others see its host.
    """
    if isinstance(actor, Person):
        return has_right(actor.role, Right.WORK)
    return actor.may(Scope.FULL_ACCESS) and (actor.mode is KeyMode.LIVE or made_by is KeyMode.TEST)


def may_see_secrets(actor: Actor) -> bool:
    """Whether an actor sees stored signing secrets, after the answer that created them."""
    return actor.mode is KeyMode.LIVE and actor.may(Scope.FULL_ACCESS)
