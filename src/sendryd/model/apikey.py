"""API keys with scope and mode. The secret is never part of a value here."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

from sendryd.model.ids import AccountId, ApiKeyId


class Scope(StrEnum):
    """What a key may do; each scope includes the ones below it."""

    FULL_ACCESS = "full_access"
    SENDING_ACCESS = "sending_access"
    READ_ONLY = "read_only"


_RANK: Final = {Scope.READ_ONLY: 1, Scope.SENDING_ACCESS: 2, Scope.FULL_ACCESS: 3}


def includes(scope: Scope, needed: Scope) -> bool:
    """Whether a scope includes another."""
    return _RANK[scope] >= _RANK[needed]


class KeyMode(StrEnum):
    """Live mail is delivered; test mail is captured in the Test Inbox and never leaves the machine."""

    LIVE = "live"
    TEST = "test"


@dataclass(frozen=True, slots=True)
class KeyUse:
    """A use of a key."""

    at: datetime
    address: str  # the client's


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiKey:
    """One API key as stored: everything but its secret."""

    id: ApiKeyId
    account_id: AccountId
    name: str
    scope: Scope
    mode: KeyMode
    prefix: str  # the first 12 characters of the secret, for display
    created_at: datetime
    expires_at: datetime | None = None  # None: never
    revoked_at: datetime | None = None  # in the future during a rotated key's grace period
    last_used_at: datetime | None = None  # None: never used; exact to a minute
    last_used_from: str = ""  # the client's address

    @property
    def has_end(self) -> bool:
        """It is revoked or will expire: whether it is active depends on the time."""
        return self.revoked_at is not None or self.expires_at is not None

    def is_active(self, now: datetime) -> bool:
        """Whether the key is neither revoked nor expired at this time."""
        return (self.revoked_at is None or now < self.revoked_at) and (self.expires_at is None or now < self.expires_at)

    def may(self, needed: Scope) -> bool:
        """Whether the key's scope includes the needed one."""
        return includes(self.scope, needed)
