"""Passkeys of people. Every change is written with its audit entry, in one transaction."""

from typing import Protocol

from sendryd.model.ids import PersonId
from sendryd.model.people import AuditEntry, Passkey, SpentChallenge


class PasskeyStore(Protocol):
    """WebAuthn credentials; `PeopleStore.start_session` notes their use."""

    async def list_passkeys(self, person_id: PersonId) -> list[Passkey]:
        """A person's passkeys, oldest first."""
        ...

    async def find_passkey(self, credential_id: bytes) -> Passkey | None:
        """The passkey with a credential id."""
        ...

    async def add_passkey(self, passkey: Passkey, spends: SpentChallenge, audit: AuditEntry, *, limit: int) -> None:
        """Adds a passkey.

        Raises `Conflict` for a credential id that is known, `Changed` for a challenge that was spent before, and `LimitReached` if the person has
        `limit` passkeys: nothing is stored then.
        """
        ...

    async def remove_passkey(self, person_id: PersonId, credential_id: bytes, audit: AuditEntry) -> None:
        """Forgets a passkey. Raises `NotFound` if the person has none with this credential id."""
        ...
