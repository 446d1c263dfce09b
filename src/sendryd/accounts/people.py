"""People of an account: owner links, invitations, roles, sign-in, sessions. What the dashboard, REST and the command line share.

Every secret is kept as its SHA-256 alone: whoever reads the database can neither sign in nor use a link.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Final

from sendryd.model.actor import Role
from sendryd.model.ids import MEMBERSHIP_PREFIX, AccountId, AuditId, MembershipId, PersonId, format_id
from sendryd.model.people import AuditEntry, Link, LinkPurpose, Membership, PersonRecord, Session
from sendryd.policy.address_key import normalise_address
from sendryd.policy.password import check_password
from sendryd.policy.rights import ROLE_RANKS
from sendryd.policy.signin import SignInThrottle
from sendryd.runtime.clock import Clock
from sendryd.runtime.idsource import IdSource
from sendryd.runtime.passwords import Passwords, common_passwords
from sendryd.runtime.rand import Rand
from sendryd.smtp.address import AddressError, parse_mailbox
from sendryd.store.base import PeopleStore, SignedIn
from sendryd.store.errors import NotAllowed, NotFound

SECRET_LENGTH: Final = 43  # letters and digits: 256 bits
OWNER_LINK_TIME: Final = timedelta(hours=24)
INVITATION_TIME: Final = timedelta(hours=72)
MAX_NAME: Final = 100  # characters
MAX_AGENT: Final = 200  # characters of a User-Agent that are kept
IDLE_TIME: Final = timedelta(days=14)  # a session ends after it
MAX_SESSION: Final = timedelta(days=90)
SEEN_INTERVAL: Final = timedelta(minutes=1)  # between notes that a session is in use: one write a minute for each person
ELEVATION_TIME: Final = timedelta(minutes=15)


class BadPersonField(ValueError):
    """A field that cannot be used as it is; the message says why, for the person."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field


class SignInFailed(Exception):
    """The email or the password is wrong. One text for every cause."""


class SignInThrottled(Exception):
    """Too many failures; `seconds` until the next try is looked at."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"too many failures: {seconds:.0f} s to wait")
        self.seconds = seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Client:
    """Where a change comes from."""

    address: str = ""
    agent: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewSession:
    """A session, and the cookie's value that only the browser gets to know."""

    secret: str
    session: Session


class People:
    """People of accounts."""

    def __init__(self, store: PeopleStore, *, clock: Clock, rand: Rand, ids: IdSource, passwords: Passwords) -> None:
        self._store = store
        self._clock = clock
        self._rand = rand
        self._ids = ids
        self._passwords = passwords
        self._throttle = SignInThrottle()

    async def has_owner(self, account_id: AccountId) -> bool:
        """Whether somebody owns the account."""
        return await self._store.has_owner(account_id)

    async def list(self, account_id: AccountId) -> list[Membership]:
        """Members and invitations, oldest first."""
        return await self._store.list_members(account_id)

    async def make_owner_link(self, account_id: AccountId) -> str:
        """The token of a link that makes an owner, once, within 24 hours. Earlier ones end."""
        token, now = self._rand.secret(SECRET_LENGTH), self._clock.now()
        await self._store.add_link(
            Link(
                token_hash=hash_secret(token),
                purpose=LinkPurpose.OWNER,
                account_id=account_id,
                created_at=now,
                expires_at=now + OWNER_LINK_TIME,
            )
        )
        return token

    async def find_link(self, token: str, purpose: LinkPurpose) -> Link | None:
        """A link that can still be used. Looking does not use it."""
        return await self._store.find_link(hash_secret(token), purpose, self._clock.now())

    async def welcome(self, token: str, *, name: str, email: str, password: str, client: Client) -> NewSession:
        """Makes an owner and signs them in. A known email's person becomes owner again, with the new password.

        Raises `BadPersonField`, `WeakPassword`, `PasswordsBusy`, `NotFound` for a link that cannot be used.
        """
        link = await self._usable(token, LinkPurpose.OWNER)
        return await self._join(link, email=canonical_email(email), name=name, password=password, role=Role.OWNER, client=client)

    async def join(self, token: str, *, name: str, password: str, client: Client) -> NewSession:
        """Takes up an invitation and signs in. Raises as `welcome` does."""
        link = await self._usable(token, LinkPurpose.INVITATION)
        invited = await self.invitation_of(link)
        return await self._join(link, email=invited.email, name=name, password=password, role=invited.role, client=client)

    async def invitation_of(self, link: Link) -> Membership:
        """Who was invited by a link. Raises `NotFound`."""
        for each in await self._store.list_members(link.account_id):
            if each.id == link.membership_id:
                return each
        raise NotFound("the invitation was withdrawn")

    async def invite(
        self, account_id: AccountId, *, email: str, role: Role, by: str, by_role: Role, client: Client
    ) -> tuple[Membership, str]:
        """Invites an email; gives the invitation and the token of its link.

        Raises `BadPersonField`, `NotAllowed` for a role above the inviting person's own rights, `Conflict` for a member.
        """
        _check_rank(by_role, role)
        email, now = canonical_email(email), self._clock.now()
        membership = Membership(
            id=MembershipId(self._ids.next()), account_id=account_id, email=email, role=role, invited_at=now, invited_by=by
        )
        token = self._rand.secret(SECRET_LENGTH)
        link = Link(
            token_hash=hash_secret(token),
            purpose=LinkPurpose.INVITATION,
            account_id=account_id,
            created_at=now,
            expires_at=now + INVITATION_TIME,
            membership_id=membership.id,
        )
        await self._store.invite(membership, link, self._audit(account_id, by, client, "person.invited", email, after={"role": role.value}))
        return membership, token

    async def set_role(self, member: Membership, role: Role, *, by: str, by_role: Role, client: Client) -> Membership:
        """Gives a member another role and ends their sessions. Raises `NotAllowed`, `NotFound`."""
        _check_rank(by_role, member.role)
        _check_rank(by_role, role)
        audit = self._audit(
            member.account_id,
            by,
            client,
            "person.role_changed",
            member.email,
            before={"role": member.role.value},
            after={"role": role.value},
        )
        return await self._store.set_role(member.account_id, member.id, role, audit)

    async def remove(self, member: Membership, *, by: str, by_role: Role, client: Client) -> Membership:
        """Removes a member or withdraws an invitation. Raises `NotAllowed`, `NotFound`."""
        _check_rank(by_role, member.role)
        audit = self._audit(member.account_id, by, client, "person.removed", member.email, before={"role": member.role.value})
        return await self._store.remove_member(member.account_id, member.id, audit)

    async def sign_in(self, email: str, password: str, *, client: Client, is_known_device: bool = False) -> NewSession:
        """Checks a password and starts a session, which is complete unless the person has a second factor.

        Raises `SignInFailed`, `SignInThrottled`, `PasswordsBusy`.
        """
        email, now = normalise_address(email.strip().encode("utf-8", "replace").decode()), self._clock.monotonic()
        wait = self._throttle.wait(client.address, email, now, is_known_device=is_known_device)
        if wait > 0:
            raise SignInThrottled(wait)
        person = await self._store.find_person(email)
        is_right = await self._passwords.verify(person.password_hash if person else "", password)
        memberships = await self._store.list_accounts_of(person.id) if person and is_right else []
        if person is None or not memberships or person.disabled_at is not None:
            self._throttle.fail(client.address, email, now)
            if person is not None:
                for each in await self._store.list_accounts_of(person.id):
                    await self._store.add_audit(self._audit(each.account_id, email, client, "person.sign_in_failed", email))
            raise SignInFailed
        self._throttle.succeed(client.address, email)
        if self._passwords.is_outdated(person.password_hash):
            renewed = replace(person, password_hash=await self._passwords.hash(password))
            await self._store.change_person(
                person, renewed, self._audit(memberships[0].account_id, email, client, "person.password_rehashed", email)
            )
        return await self._start(person, memberships[0].account_id, client, is_complete=not person.totp_secret)

    async def find_session(self, secret: str) -> SignedIn | None:
        """The session of a cookie that still counts; notes once a minute that it is in use."""
        found = await self._store.find_session(hash_secret(secret))
        now = self._clock.now()
        if found is None or now - found.session.seen_at > IDLE_TIME or now - found.session.created_at > MAX_SESSION:
            return None
        if now - found.session.seen_at >= SEEN_INTERVAL:
            await self._store.touch_session(found.session.id_hash, now)
        return found

    async def sign_out(self, secret: str) -> None:
        """Ends the session of a cookie."""
        await self._store.end_session(hash_secret(secret))

    async def elevate(self, signed_in: SignedIn, password: str, *, client: Client) -> None:
        """The person proves again who they are. Raises `SignInFailed`, `SignInThrottled`, `PasswordsBusy`."""
        email, now = signed_in.person.email, self._clock.monotonic()
        wait = self._throttle.wait(client.address, email, now, is_known_device=True)
        if wait > 0:
            raise SignInThrottled(wait)
        if not await self._passwords.verify(signed_in.person.password_hash, password):
            self._throttle.fail(client.address, email, now)
            raise SignInFailed
        await self._store.elevate_session(signed_in.session.id_hash, self._clock.now() + ELEVATION_TIME)

    async def change_password(self, signed_in: SignedIn, old: str, new: str, *, client: Client) -> None:
        """Changes the password and signs the person out elsewhere. Raises `SignInFailed`, `WeakPassword`, `PasswordsBusy`, `Changed`."""
        person = signed_in.person
        if not await self._passwords.verify(person.password_hash, old):
            raise SignInFailed
        check_password(new, person.email, common_passwords())
        changed = replace(person, password_hash=await self._passwords.hash(new))
        audit = self._audit(signed_in.membership.account_id, person.email, client, "person.password_changed", person.email)
        await self._store.change_person(person, changed, audit)
        await self._store.end_sessions(person.id, keep=signed_in.session.id_hash)

    async def delete_stale_sessions(self) -> int:
        """Deletes sessions and links that have ended."""
        now = self._clock.now()
        return await self._store.delete_stale_sessions(seen_before=now - IDLE_TIME, created_before=now - MAX_SESSION)

    async def _usable(self, token: str, purpose: LinkPurpose) -> Link:
        link = await self.find_link(token, purpose)
        if link is None:
            raise NotFound("the link was used, has expired or was withdrawn")
        return link

    async def _join(self, link: Link, *, email: str, name: str, password: str, role: Role, client: Client) -> NewSession:
        name, now = _name(name), self._clock.now()
        known = await self._store.find_person(email)
        if known is not None and link.purpose is LinkPurpose.INVITATION:
            if not await self._passwords.verify(known.password_hash, password):
                raise BadPersonField("password", "This email is known here: enter the password that you have already.")
        else:
            check_password(password, email, common_passwords())
        hashed = await self._passwords.hash(password)
        person = PersonRecord(
            id=PersonId(self._ids.next()),
            email=email,
            name=name,
            password_hash=hashed,
            is_operator=link.purpose is LinkPurpose.OWNER,
            created_at=now,
        )
        membership = Membership(
            id=link.membership_id or MembershipId(self._ids.next()),
            account_id=link.account_id,
            email=email,
            role=role,
            invited_at=now,
            person_id=person.id,
            joined_at=now,
        )
        audit = self._audit(link.account_id, email, client, "person.joined", email, after={"role": role.value, "by": link.purpose.value})
        stored = await self._store.join(link, person, membership, audit, now)
        if stored.id != person.id and link.purpose is LinkPurpose.OWNER:  # the link lets a locked-out owner in, with a new password
            renewed = replace(stored, name=name, password_hash=hashed, totp_secret="", totp_step=0)
            await self._store.change_person(stored, renewed, self._audit(link.account_id, email, client, "person.password_changed", email))
            await self._store.end_sessions(stored.id)
            stored = renewed
        return await self._start(stored, link.account_id, client, is_complete=not stored.totp_secret)

    async def _start(self, person: PersonRecord, account_id: AccountId, client: Client, *, is_complete: bool) -> NewSession:
        secret, now = self._rand.secret(SECRET_LENGTH), self._clock.now()
        session = Session(
            id_hash=hash_secret(secret),
            person_id=person.id,
            account_id=account_id,
            created_at=now,
            seen_at=now,
            address=client.address,
            agent=client.agent[:MAX_AGENT],
            is_complete=is_complete,
            elevated_until=now + ELEVATION_TIME if is_complete else None,
        )
        audit = self._audit(account_id, person.email, client, "person.signed_in", person.email) if is_complete else None
        await self._store.start_session(session, audit)
        return NewSession(secret=secret, session=session)

    def _audit(
        self,
        account_id: AccountId,
        actor: str,
        client: Client,
        action: str,
        target: str,
        *,
        before: Mapping[str, object] | None = None,
        after: Mapping[str, object] | None = None,
    ) -> AuditEntry:
        return AuditEntry(
            id=AuditId(self._ids.next()),
            account_id=account_id,
            actor=actor,
            address=client.address,
            action=action,
            target=target,
            created_at=self._clock.now(),
            before=before or {},
            after=after or {},
        )


def hash_secret(secret: str) -> bytes:
    """SHA-256 of a cookie's or link's secret, which has 256 bits of its own and needs no salt."""
    return hashlib.sha256(secret.encode("utf-8", "replace")).digest()


def canonical_email(text: str) -> str:
    """An email in the form in which it is compared. Raises `BadPersonField`."""
    try:
        parse_mailbox(text.strip())
    except AddressError as error:
        raise BadPersonField("email", f"This is no email address: {error}") from None
    return normalise_address(text.strip())


def member_id(membership: Membership) -> str:
    """The public id."""
    return format_id(MEMBERSHIP_PREFIX, membership.id)


def may_manage(by: Role, role: Role) -> bool:
    """Whether people of a role may invite, change and remove those of another: admins up to admins, owners all."""
    return by is Role.OWNER or (by is Role.ADMIN and ROLE_RANKS[role] <= ROLE_RANKS[Role.ADMIN])


def _check_rank(by: Role, role: Role) -> None:
    if not may_manage(by, role):
        raise NotAllowed(f"{'an' if by is Role.ADMIN else 'a'} {by.value} cannot manage an account's {role.value}s")


def _name(text: str) -> str:
    name = " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())
    if not name:
        raise BadPersonField("name", "Enter your name.")
    if len(name) > MAX_NAME:
        raise BadPersonField("name", f"The name is too long: take at most {MAX_NAME} characters.")
    return name
