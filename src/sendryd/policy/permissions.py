"""What an actor may do beside its scope: test keys change nothing that live mail depends on, and few actors see a secret. Pure.

What a test key makes is for test mail alone, and every key of its account may change it; what a live key made is left to live keys.
"""

from sendryd.model.actor import Actor, key_id_of
from sendryd.model.apikey import KeyMode, Scope
from sendryd.model.message import Message


class LiveKeyNeeded(Exception):
    """A test key would change what live mail depends on."""


class NotForLiveMail(Exception):
    """Live mail would use what a test key made; the message says what to change."""


def check_change(by: Actor, made_by: KeyMode) -> None:
    """Whether an actor may make, change, use or remove what belongs to a mode. Raises `LiveKeyNeeded`."""
    if by.mode is KeyMode.TEST and made_by is KeyMode.LIVE:
        raise LiveKeyNeeded


def may_see_captured(actor: Actor, message: Message) -> bool:
    """Whether an actor finds a message in the Test Inbox: a test key sees what it sent itself, others what all test keys sent."""
    return message.mode is KeyMode.TEST and (actor.mode is KeyMode.LIVE or message.api_key_id == key_id_of(actor))


def may_see_bodies(actor: Actor, asked_in: KeyMode) -> bool:
    """Whether an actor sees the bodies of API requests that were made in a mode. Answers to live keys may hold what leads to live mail, such
    as the link to a shared message.
    """
    return actor.mode is KeyMode.LIVE or asked_in is KeyMode.TEST


def may_see_url(actor: Actor, made_by: KeyMode) -> bool:
    """Whether an actor is shown the whole URL that events or mail are posted to: its path and query are a password of many services. An
    actor that may change the URL sees it; the others see its host.
    """
    return actor.may(Scope.FULL_ACCESS) and (actor.mode is KeyMode.LIVE or made_by is KeyMode.TEST)


def may_see_secrets(actor: Actor) -> bool:
    """Whether an actor is told the signing secrets that an account keeps, after the answer that made them."""
    return actor.mode is KeyMode.LIVE and actor.may(Scope.FULL_ACCESS)
