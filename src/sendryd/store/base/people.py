"""People, memberships, sessions, one-time links and the audit. Every change is written with its audit entry, in one transaction."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from sendryd.model.actor import Role
from sendryd.model.ids import AccountId, AuditId, MembershipId, PersonId
from sendryd.model.people import (
    AuditEntry,
    Link,
    LinkPurpose,
    Membership,
    PasskeyUse,
    PersonRecord,
    Session,
    SpentChallenge,
)
from sendryd.store.base.paging import Page


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedIn:
    """A session with the person and the membership in the account that it shows."""

    session: Session
    person: PersonRecord
    membership: Membership
    must_add_factor: bool = False  # the account requires a second factor, and the session began without one that the person could show


class PeopleStore(Protocol):
    """Who may use the dashboard."""

    async def has_owner(self, account_id: AccountId) -> bool:
        """Whether somebody owns the account."""
        ...

    async def find_person(self, email: str) -> PersonRecord | None:
        """The person with an email in its canonical form."""
        ...

    async def get_person(self, person_id: PersonId) -> PersonRecord | None:
        """The person; None if there is none."""
        ...

    async def list_members(self, account_id: AccountId) -> list[Membership]:
        """Members and invitations of an account, oldest first, with name and last sight of those who joined."""
        ...

    async def find_membership(self, account_id: AccountId, person_id: PersonId) -> Membership | None:
        """A person's membership in an account."""
        ...

    async def list_accounts_of(self, person_id: PersonId) -> list[Membership]:
        """A person's memberships, oldest first."""
        ...

    async def add_link(self, link: Link) -> None:
        """Keeps a link; of the same purpose and for the same membership or person, earlier ones end."""
        ...

    async def find_link(self, token_hash: bytes, purpose: LinkPurpose, now: datetime) -> Link | None:
        """A link that can still be used."""
        ...

    async def find_invitation(self, email: str, now: datetime) -> tuple[Membership, Link] | None:
        """The latest invitation of an email, in any account, whose link can still be used."""
        ...

    async def invite(self, membership: Membership, link: Link, audit: AuditEntry) -> None:
        """Adds an invitation, or replaces the earlier one of the same email. Raises `Conflict` if the email's person has joined already."""
        ...

    async def join(self, link: Link, person: PersonRecord, membership: Membership, audit: AuditEntry, now: datetime) -> PersonRecord:
        """Uses a link: the person, who is added unless the email is known, gets the membership; an invitation becomes it.

        Gives the person as stored. Raises `NotFound` if the link was used, has expired or was withdrawn: nothing is stored then.
        """
        ...

    async def set_role(self, account_id: AccountId, membership_id: MembershipId, role: Role, audit: AuditEntry) -> Membership:
        """Changes a role and ends the person's sessions. Raises `NotFound`, and `NotAllowed` if the account would lose its last owner."""
        ...

    async def remove_member(self, account_id: AccountId, membership_id: MembershipId, audit: AuditEntry) -> Membership:
        """Removes a member or withdraws an invitation, and ends the sessions. Who is in no account then has no passkeys any more.

        Raises `NotFound`, and `NotAllowed` for the last owner.
        """
        ...

    async def change_person(self, before: PersonRecord, after: PersonRecord, audit: AuditEntry, *, forgets_passkeys: bool = False) -> None:
        """Changes name, password or second factor; forgets the passkeys, if asked to. Raises `Changed` if the person is not as it was read."""
        ...

    async def reset_password(self, link: Link, before: PersonRecord, after: PersonRecord, audit: AuditEntry, now: datetime) -> None:
        """Uses a link, changes the password, forgets the passkeys and ends the person's sessions.

        Raises `NotFound` if the link was used, has expired or was withdrawn, and `Changed` if the person is not as it was read: nothing is
        stored then.
        """
        ...

    async def replace_recovery_codes(self, person_id: PersonId, hashes: Sequence[bytes]) -> None:
        """Ends all earlier recovery codes."""
        ...

    async def use_recovery_code(self, person_id: PersonId, code_hash: bytes, now: datetime) -> bool:
        """Whether the code was there and unused; it is used now."""
        ...

    async def count_recovery_codes(self, person_id: PersonId) -> int:
        """Unused ones."""
        ...

    async def use_totp_step(self, person_id: PersonId, step: int) -> bool:
        """Whether the step comes after the last one used; it is the last one used now."""
        ...

    async def start_session(
        self,
        session: Session,
        audit: AuditEntry | None,
        *,
        replaces: bytes | None = None,
        spends: SpentChallenge | None = None,
        passkey: PasskeyUse | None = None,
    ) -> None:
        """Adds a session, and ends the one with the id hash `replaces`, if given.

        With `spends` and `passkey` raises `Changed`, and stores nothing, if the challenge was spent before, the passkey is gone, or its counter
        has not grown.
        """
        ...

    async def find_session(self, id_hash: bytes) -> SignedIn | None:
        """A session with its person and membership; None if one of them is gone or the person is disabled."""
        ...

    async def touch_session(self, id_hash: bytes, seen_at: datetime) -> None:
        """Notes that a session is in use."""
        ...

    async def elevate_session(
        self, id_hash: bytes, until: datetime, *, spends: SpentChallenge | None = None, passkey: PasskeyUse | None = None
    ) -> None:
        """The person has just proved again who they are. `spends` and `passkey` are as in `start_session`."""
        ...

    async def list_sessions(self, person_id: PersonId) -> list[Session]:
        """A person's sessions, the latest seen first."""
        ...

    async def end_session(self, id_hash: bytes) -> None:
        """Signs a browser out."""
        ...

    async def end_sessions(self, person_id: PersonId, *, keep: bytes | None = None) -> int:
        """Signs a person out everywhere but in the session `keep`. How many were ended."""
        ...

    async def delete_stale_sessions(self, *, seen_before: datetime, created_before: datetime) -> int:
        """Deletes sessions that were idle or used for too long, links that ended, and spent challenges that expired."""
        ...

    async def add_audit(self, audit: AuditEntry) -> None:
        """Writes an entry for what changes nothing stored here: a sign-in that failed, an export."""
        ...

    async def list_audit(
        self, account_id: AccountId, *, limit: int, before: AuditId | None = None, text: str | None = None
    ) -> Page[AuditEntry]:
        """Entries, newest first; `text` is looked for in actor, action and target."""
        ...
