"""People of an account: owner links, invitations, roles. What the dashboard, REST and the command line share; `signin` has sessions.

Of a link's secret only the SHA-256 is stored: whoever reads the database cannot use it.
"""

from dataclasses import replace
from datetime import timedelta
from typing import Final

from sendryd.accounts.audit import Audit, Client
from sendryd.accounts.signin import SECRET_LENGTH, NewSession, SignIn, hash_secret
from sendryd.model.actor import Role
from sendryd.model.ids import MEMBERSHIP_PREFIX, AccountId, MembershipId, PersonId, format_id
from sendryd.model.people import Link, LinkPurpose, Membership, PersonRecord, SignInMethod
from sendryd.policy.address_key import normalise_address
from sendryd.policy.password import check_password
from sendryd.policy.rights import ROLE_RANKS
from sendryd.runtime.clock import Clock
from sendryd.runtime.idsource import IdSource
from sendryd.runtime.passwords import common_passwords
from sendryd.runtime.rand import Rand
from sendryd.smtp.address import AddressError, parse_mailbox
from sendryd.store.base import PeopleStore, SignedIn
from sendryd.store.errors import NotAllowed, NotFound

OWNER_LINK_TIME: Final = timedelta(hours=24)
INVITATION_TIME: Final = timedelta(hours=72)
RESET_TIME: Final = timedelta(hours=24)
MAX_NAME: Final = 100  # characters


class BadPersonField(ValueError):
    """A field that cannot be used as it is; the message says why, for the person."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field


class People:
    """People of accounts."""

    def __init__(self, store: PeopleStore, *, clock: Clock, rand: Rand, ids: IdSource, signin: SignIn, audit: Audit) -> None:
        self._store = store
        self._clock = clock
        self._rand = rand
        self._ids = ids
        self._signin = signin
        self._audit = audit

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

    async def join_by_provider(self, email: str, name: str, *, client: Client) -> tuple[PersonRecord, AccountId]:
        """Takes up the invitation of an email that an identity provider has verified; the person has no password. Raises `NotFound`."""
        now = self._clock.now()
        found = await self._store.find_invitation(email, now)
        if found is None:
            raise NotFound("the email is not invited")
        invited, link = found
        person = PersonRecord(
            id=PersonId(self._ids.next()),
            email=email,
            name=_name_or(name, email),
            password_hash="",
            is_operator=False,
            created_at=now,
        )
        membership = replace(invited, person_id=person.id, joined_at=now)
        after = {"role": invited.role.value, "by": SignInMethod.PROVIDER.value}
        audit = self._audit.entry(link.account_id, email, client, "person.joined", email, after=after)
        return await self._store.join(link, person, membership, audit, now), link.account_id

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
        await self._store.invite(
            membership, link, self._audit.entry(account_id, by, client, "person.invited", email, after={"role": role.value})
        )
        return membership, token

    async def set_role(self, member: Membership, role: Role, *, by: str, by_role: Role, client: Client) -> Membership:
        """Gives a member another role and ends their sessions. Raises `NotAllowed`, `NotFound`."""
        _check_rank(by_role, member.role)
        _check_rank(by_role, role)
        audit = self._audit.entry(
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
        audit = self._audit.entry(member.account_id, by, client, "person.removed", member.email, before={"role": member.role.value})
        return await self._store.remove_member(member.account_id, member.id, audit)

    async def end_sessions(self, member: Membership, *, by: str, by_role: Role, client: Client) -> int:
        """Signs a member out everywhere; gives the number of sessions. Raises `NotAllowed`."""
        _check_rank(by_role, member.role)
        if member.person_id is None:
            return 0
        ended = await self._store.end_sessions(member.person_id)
        await self._audit.add(member.account_id, by, client, "person.sessions_ended", member.email, after={"sessions": ended})
        return ended

    async def make_reset_link(self, member: Membership, *, by: SignedIn, client: Client) -> str:
        """The token of a link by which a member chooses a new password, once, within 24 hours. Earlier ones end; codes of an app stay, passkeys do not.

        Raises `NotFound` for an invitation, and `NotAllowed` for a person who may do more than `by` may, here or in another account.
        """
        person = await self._manageable(member, by)
        token, now = self._rand.secret(SECRET_LENGTH), self._clock.now()
        await self._store.add_link(
            Link(
                token_hash=hash_secret(token),
                purpose=LinkPurpose.RESET,
                account_id=member.account_id,
                created_at=now,
                expires_at=now + RESET_TIME,
                person_id=person.id,
            )
        )
        await self._audit.add(member.account_id, by.person.email, client, "person.reset_link_made", member.email)
        return token

    async def person_of(self, link: Link) -> PersonRecord:
        """Whose password a link resets. Raises `NotFound`."""
        person = await self._store.get_person(link.person_id) if link.person_id is not None else None
        if person is None or person.disabled_at is not None:
            raise NotFound("the person is gone")
        return person

    async def reset(self, token: str, *, password: str, client: Client) -> NewSession:
        """Sets the password of the person whom a link is for, forgets their passkeys, signs them out everywhere, and in here; a code is asked for
        next.

        Raises `WeakPassword`, `PasswordsBusy`, `Changed`, `NotFound` for a link that cannot be used.
        """
        link = await self._usable(token, LinkPurpose.RESET)
        person = await self.person_of(link)
        check_password(password, person.email, common_passwords())
        renewed = replace(person, password_hash=await self._signin.passwords.hash(password))
        entry = self._audit.entry(link.account_id, person.email, client, "person.password_reset", person.email)
        await self._store.reset_password(link, person, renewed, entry, self._clock.now())
        return await self._signin.start(renewed, link.account_id, client)

    async def set_disabled(self, member: Membership, *, disabled: bool, by: SignedIn, client: Client) -> None:
        """Keeps a member from signing in and ends their sessions, or lets them in again.

        Raises as `make_reset_link` does, `NotAllowed` also for oneself and for owners, and `Changed`.
        """
        person = await self._manageable(member, by)
        if person.id == by.person.id or member.role is Role.OWNER:
            raise NotAllowed("owners, and people themselves, are not disabled: give the person another role first")
        action = "person.disabled" if disabled else "person.enabled"
        entry = self._audit.entry(member.account_id, by.person.email, client, action, member.email)
        await self._store.change_person(person, replace(person, disabled_at=self._clock.now() if disabled else None), entry)
        await self._store.end_sessions(person.id)

    async def _manageable(self, member: Membership, by: SignedIn) -> PersonRecord:
        """The person of a member. Raises `NotFound`, `NotAllowed`."""
        _check_rank(by.membership.role, member.role)
        person = await self._store.get_person(member.person_id) if member.person_id is not None else None
        if person is None:
            raise NotFound("the invitation is not taken up yet")
        if person.is_operator and not by.person.is_operator:
            raise NotAllowed("only an operator manages another")
        if any(each.account_id != member.account_id for each in await self._store.list_accounts_of(person.id)):
            raise NotAllowed("the person belongs to another account, too")
        return person

    async def rename(self, signed_in: SignedIn, name: str, *, client: Client) -> None:
        """Changes the person's own name. Raises `BadPersonField`, `Changed`."""
        person, name = signed_in.person, _name(name)
        if name == person.name:
            return
        entry = self._audit.entry(
            signed_in.membership.account_id,
            person.email,
            client,
            "person.renamed",
            person.email,
            before={"name": person.name},
            after={"name": name},
        )
        await self._store.change_person(person, replace(person, name=name), entry)

    async def _usable(self, token: str, purpose: LinkPurpose) -> Link:
        link = await self.find_link(token, purpose)
        if link is None:
            raise NotFound("the link was used, has expired or was withdrawn")
        return link

    async def _join(self, link: Link, *, email: str, name: str, password: str, role: Role, client: Client) -> NewSession:
        name, now = _name(name), self._clock.now()
        known = await self._store.find_person(email)
        if known is not None and link.purpose is LinkPurpose.INVITATION:
            if not await self._signin.passwords.verify(known.password_hash, password):
                raise BadPersonField("password", "This email is known here: enter the password that you have already.")
        else:
            check_password(password, email, common_passwords())
        hashed = await self._signin.passwords.hash(password)
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
        audit = self._audit.entry(
            link.account_id, email, client, "person.joined", email, after={"role": role.value, "by": link.purpose.value}
        )
        stored = await self._store.join(link, person, membership, audit, now)
        if stored.id != person.id and link.purpose is LinkPurpose.OWNER:  # the link lets a locked-out owner in, with a new password
            renewed = replace(stored, name=name, password_hash=hashed, totp_secret="", totp_step=0)
            entry = self._audit.entry(link.account_id, email, client, "person.password_changed", email)
            await self._store.change_person(stored, renewed, entry, forgets_passkeys=True)
            await self._store.end_sessions(stored.id)
            stored = renewed
        return await self._signin.start(stored, link.account_id, client)


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


def _name_or(text: str, email: str) -> str:
    """A name that somebody else has chosen, or what precedes the @."""
    try:
        return _name(text)
    except BadPersonField:
        return email.partition("@")[0][:MAX_NAME]


def _name(text: str) -> str:
    name = " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())
    if not name:
        raise BadPersonField("name", "Enter your name.")
    if len(name) > MAX_NAME:
        raise BadPersonField("name", f"The name is too long: take at most {MAX_NAME} characters.")
    return name
