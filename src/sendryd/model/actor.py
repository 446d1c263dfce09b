"""Actors: an API key, a person, or the system on behalf of an account.

REST, SMTP and the command line pass an actor to `intake` and `accounts`. `may` and `policy.permissions` decide what the actor may do; its `mode`
decides whether its mail has live effects.
"""

from enum import StrEnum
from typing import Final, TypeAlias

from sendryd.model.apikey import ApiKey, KeyMode, Scope, includes
from sendryd.model.ids import AccountId, ApiKeyId, PersonId
from sendryd.valuetype import valuetype


class Role(StrEnum):
    """What a person may do in an account; each role includes the ones above it."""

    VIEWER = "viewer"
    MEMBER = "member"
    ADMIN = "admin"
    OWNER = "owner"


_SCOPES: Final = {
    Role.VIEWER: Scope.READ_ONLY,
    Role.MEMBER: Scope.SENDING_ACCESS,
    Role.ADMIN: Scope.FULL_ACCESS,
    Role.OWNER: Scope.FULL_ACCESS,
}


@valuetype(frozen=True, slots=True)
class Person:
    """A person who is logged in to an account."""

    account_id: AccountId
    id: PersonId
    role: Role

    @property
    def mode(self) -> KeyMode:
        """Live: people send no test mail."""
        return KeyMode.LIVE

    def may(self, needed: Scope) -> bool:
        """Whether the person's role includes the scope."""
        return includes(_SCOPES[self.role], needed)


@valuetype(frozen=True, slots=True)
class System:
    """The program itself, or its operator at the command line. It may do everything in the account."""

    account_id: AccountId

    @property
    def mode(self) -> KeyMode:
        """Live."""
        return KeyMode.LIVE

    def may(self, _needed: Scope) -> bool:
        """True."""
        return True


Actor: TypeAlias = ApiKey | Person | System


def key_id_of(actor: Actor) -> ApiKeyId | None:
    """The id of the API key that acts; None if no key does."""
    return actor.id if isinstance(actor, ApiKey) else None
