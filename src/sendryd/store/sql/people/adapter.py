"""`PeopleStore`."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import TypeVar

from sendryd.model.actor import Role
from sendryd.model.ids import AUDIT_PREFIX, AccountId, AuditId, MembershipId, PersonId
from sendryd.model.people import (
    AuditEntry,
    Link,
    LinkPurpose,
    Membership,
    PasskeyUse,
    PersonRecord,
    Session,
    SignInMethod,
    SpentChallenge,
)
from sendryd.store.base import Page
from sendryd.store.base.people import SignedIn
from sendryd.store.codec.people import (
    audit_row,
    link_row,
    membership_row,
    person_row,
    read_audit,
    read_link,
    read_membership,
    read_person,
    read_session,
    session_row,
)
from sendryd.store.codec.reading import Row
from sendryd.store.codec.values import contains, id_below, to_ms
from sendryd.store.drivers.connection import Connection
from sendryd.store.drivers.statements import change, fetch_row, fetch_rows
from sendryd.store.errors import Changed, NotFound
from sendryd.store.rules import check_invitable, check_owner_stays
from sendryd.store.sql.database import Database
from sendryd.store.sql.people.passkeys import spend_challenge, use_passkey
from sendryd.store.sql.people.queries import SQL

Value = TypeVar("Value")


class People:
    """Who may use the dashboard."""

    _database: Database

    async def has_owner(self, account_id: AccountId) -> bool:
        return bool(await self._database.read(lambda connection: fetch_rows(connection, SQL["has_owner"], account_id=account_id)))

    async def find_person(self, email: str) -> PersonRecord | None:
        return await self._database.read(lambda connection: _first(connection, read_person, "find_person", email=email))

    async def get_person(self, person_id: PersonId) -> PersonRecord | None:
        return await self._database.read(lambda connection: _first(connection, read_person, "get_person", id=person_id))

    async def list_members(self, account_id: AccountId) -> list[Membership]:
        rows = await self._database.read(lambda connection: fetch_rows(connection, SQL["list_members"], account_id=account_id))
        return [read_membership(row) for row in rows]

    async def find_membership(self, account_id: AccountId, person_id: PersonId) -> Membership | None:
        return await self._database.read(
            lambda connection: _first(connection, read_membership, "find_membership", account_id=account_id, person_id=person_id)
        )

    async def list_accounts_of(self, person_id: PersonId) -> list[Membership]:
        rows = await self._database.read(lambda connection: fetch_rows(connection, SQL["list_accounts_of"], person_id=person_id))
        return [read_membership(row) for row in rows]

    async def add_link(self, link: Link) -> None:
        await self._write_people(lambda connection: _keep_link(connection, link))

    async def find_link(self, token_hash: bytes, purpose: LinkPurpose, now: datetime) -> Link | None:
        values = {"token_hash": token_hash, "purpose": purpose.value, "now": to_ms(now)}
        return await self._database.read(lambda connection: _first(connection, read_link, "find_link", **values))

    async def find_invitation(self, email: str, now: datetime) -> tuple[Membership, Link] | None:
        def look(connection: Connection) -> tuple[Membership, Link] | None:
            link = _first(connection, read_link, "find_invitation", email=email, now=to_ms(now))
            if link is None:
                return None
            values = {"account_id": link.account_id, "id": link.membership_id}
            membership = _first(connection, read_membership, "get_membership", **values)
            return None if membership is None else (membership, link)

        return await self._database.read(look)

    async def invite(self, membership: Membership, link: Link, audit: AuditEntry) -> None:
        def action(connection: Connection) -> None:
            values = {"account_id": membership.account_id, "email": membership.email}
            before = _first(connection, read_membership, "find_membership_of_email", **values)
            check_invitable(before)
            if before is not None:
                change(connection, SQL["remove_membership"], id=before.id)
            change(connection, SQL["insert_membership"], **membership_row(membership))
            _keep_link(connection, link)
            change(connection, SQL["insert_audit"], **audit_row(audit))

        await self._write_people(action)

    async def join(self, link: Link, person: PersonRecord, membership: Membership, audit: AuditEntry, now: datetime) -> PersonRecord:
        def action(connection: Connection) -> PersonRecord:
            _use_link(connection, link, now)
            stored = _first(connection, read_person, "find_person", email=person.email)
            if stored is None:
                change(connection, SQL["insert_person"], **person_row(person))
                stored = person
            before = _first(
                connection, read_membership, "find_membership_of_email", account_id=membership.account_id, email=membership.email
            )
            filled = {**membership_row(membership), "person_id": stored.id}
            if before is None:
                change(connection, SQL["insert_membership"], **filled)
            else:
                change(connection, SQL["fill_membership"], **{**filled, "id": before.id})
            change(connection, SQL["insert_audit"], **audit_row(audit))
            return stored

        return await self._write_people(action)

    async def set_role(self, account_id: AccountId, membership_id: MembershipId, role: Role, audit: AuditEntry) -> Membership:
        def action(connection: Connection) -> Membership:
            before = _member(connection, account_id, membership_id)
            if role is not Role.OWNER:
                _keep_an_owner(connection, before)
            change(connection, SQL["set_role"], id=membership_id, role=role.value)
            _end_sessions(connection, before)
            change(connection, SQL["insert_audit"], **audit_row(audit))
            return _member(connection, account_id, membership_id)

        return await self._write_people(action)

    async def remove_member(self, account_id: AccountId, membership_id: MembershipId, audit: AuditEntry) -> Membership:
        def action(connection: Connection) -> Membership:
            before = _member(connection, account_id, membership_id)
            _keep_an_owner(connection, before)
            _end_sessions(connection, before)
            change(connection, SQL["remove_membership"], id=membership_id)
            if before.person_id is not None:
                change(connection, SQL["delete_passkeys_of_former_member"], person_id=before.person_id)
            change(connection, SQL["insert_audit"], **audit_row(audit))
            return before

        return await self._write_people(action)

    async def change_person(self, before: PersonRecord, after: PersonRecord, audit: AuditEntry, *, forgets_passkeys: bool = False) -> None:
        def action(connection: Connection) -> None:
            _change_person(connection, before, after, audit)
            if forgets_passkeys:
                change(connection, SQL["delete_passkeys"], person_id=before.id)

        await self._write_people(action)

    async def reset_password(self, link: Link, before: PersonRecord, after: PersonRecord, audit: AuditEntry, now: datetime) -> None:
        def action(connection: Connection) -> None:
            _use_link(connection, link, now)
            _change_person(connection, before, after, audit)
            change(connection, SQL["delete_passkeys"], person_id=before.id)
            change(connection, SQL["end_sessions"], person_id=before.id, keep=None)

        await self._write_people(action)

    async def replace_recovery_codes(self, person_id: PersonId, hashes: Sequence[bytes]) -> None:
        def action(connection: Connection) -> None:
            change(connection, SQL["delete_recovery_codes"], person_id=person_id)
            for code_hash in hashes:
                change(connection, SQL["insert_recovery_code"], person_id=person_id, code_hash=code_hash)

        await self._write_people(action)

    async def use_recovery_code(self, person_id: PersonId, code_hash: bytes, now: datetime) -> bool:
        values = {"person_id": person_id, "code_hash": code_hash, "now": to_ms(now)}
        return await self._write_people(lambda connection: change(connection, SQL["use_recovery_code"], **values) > 0)

    async def count_recovery_codes(self, person_id: PersonId) -> int:
        (row,) = await self._database.read(lambda connection: fetch_rows(connection, SQL["count_recovery_codes"], person_id=person_id))
        return int(row["count"])

    async def use_totp_step(self, person_id: PersonId, step: int) -> bool:
        return await self._write_people(lambda connection: change(connection, SQL["use_totp_step"], person_id=person_id, step=step) > 0)

    async def start_session(
        self,
        session: Session,
        audit: AuditEntry | None,
        *,
        replaces: bytes | None = None,
        spends: SpentChallenge | None = None,
        passkey: PasskeyUse | None = None,
    ) -> None:
        def action(connection: Connection) -> None:
            _prove(connection, spends, passkey)
            if replaces is not None:
                change(connection, SQL["end_session"], id_hash=replaces)
            change(connection, SQL["insert_session"], **session_row(session))
            if audit is not None:
                change(connection, SQL["insert_audit"], **audit_row(audit))

        await self._write_people(action)

    async def find_session(self, id_hash: bytes) -> SignedIn | None:
        def look(connection: Connection) -> SignedIn | None:
            session = _first(connection, read_session, "get_session", id_hash=id_hash)
            person = _first(connection, read_person, "get_person", id=session.person_id) if session else None
            if session is None or person is None or person.disabled_at is not None:
                return None
            values = {"account_id": session.account_id, "person_id": person.id}
            membership = _first(connection, read_membership, "find_membership", **values)
            if membership is None:
                return None
            has_shown = bool(person.totp_secret) or session.method is SignInMethod.PASSKEY
            is_required = not has_shown and bool(fetch_rows(connection, SQL["requires_factor"], id=session.account_id))
            return SignedIn(session=session, person=person, membership=membership, must_add_factor=is_required)

        return await self._database.read(look)

    async def touch_session(self, id_hash: bytes, seen_at: datetime) -> None:
        await self._write_people(lambda connection: change(connection, SQL["touch_session"], id_hash=id_hash, seen_at=to_ms(seen_at)))

    async def elevate_session(
        self, id_hash: bytes, until: datetime, *, spends: SpentChallenge | None = None, passkey: PasskeyUse | None = None
    ) -> None:
        def action(connection: Connection) -> None:
            _prove(connection, spends, passkey)
            change(connection, SQL["elevate_session"], id_hash=id_hash, until=to_ms(until))

        await self._write_people(action)

    async def list_sessions(self, person_id: PersonId) -> list[Session]:
        rows = await self._database.read(lambda connection: fetch_rows(connection, SQL["list_sessions"], person_id=person_id))
        return [read_session(row) for row in rows]

    async def end_session(self, id_hash: bytes) -> None:
        await self._write_people(lambda connection: change(connection, SQL["end_session"], id_hash=id_hash))

    async def end_sessions(self, person_id: PersonId, *, keep: bytes | None = None) -> int:
        return await self._write_people(lambda connection: change(connection, SQL["end_sessions"], person_id=person_id, keep=keep))

    async def delete_stale_sessions(self, *, seen_before: datetime, created_before: datetime) -> int:
        values = {"seen_before": to_ms(seen_before), "created_before": to_ms(created_before)}

        def action(connection: Connection) -> int:
            change(connection, SQL["delete_ended_links"], seen_before=values["seen_before"])
            change(connection, SQL["delete_spent_challenges"], seen_before=values["seen_before"])
            return change(connection, SQL["delete_stale_sessions"], **values)

        return await self._write_people(action)

    async def add_audit(self, audit: AuditEntry) -> None:
        await self._write_people(lambda connection: change(connection, SQL["insert_audit"], **audit_row(audit)))

    async def list_audit(
        self, account_id: AccountId, *, limit: int, before: AuditId | None = None, text: str | None = None
    ) -> Page[AuditEntry]:
        rows = await self._database.search_rows(
            SQL["list_audit"],
            AUDIT_PREFIX,
            account_id=account_id,
            before_id=id_below(before),
            pattern=contains(text) if text else None,
            limit=limit + 1,
        )
        return self._database.unreadable.page(rows, read_audit, limit)

    async def _write_people(self, action: Callable[[Connection], Value]) -> Value:
        return await self._database.write(lambda connection, _batch: action(connection))


def _first(connection: Connection, read: Callable[[Row], Value], name: str, **values: object) -> Value | None:
    row = fetch_row(connection, SQL[name], **values)
    return None if row is None else read(row)


def _use_link(connection: Connection, link: Link, now: datetime) -> None:
    if not change(connection, SQL["use_link"], token_hash=link.token_hash, now=to_ms(now)):
        raise NotFound("the link was used, has expired or was withdrawn")


def _prove(connection: Connection, spends: SpentChallenge | None, passkey: PasskeyUse | None) -> None:
    if spends is not None:
        spend_challenge(connection, spends)
    if passkey is not None:
        use_passkey(connection, passkey)


def _change_person(connection: Connection, before: PersonRecord, after: PersonRecord, audit: AuditEntry) -> None:
    was = {f"was_{name}": value for name, value in person_row(before).items() if name in {"name", "password_hash", "totp_secret"}}
    if not change(connection, SQL["change_person"], **person_row(after), **was):
        raise Changed("the person is not as it was read")
    change(connection, SQL["insert_audit"], **audit_row(audit))


def _keep_link(connection: Connection, link: Link) -> None:
    row = link_row(link)
    change(connection, SQL["end_links_like"], **{name: row[name] for name in ("purpose", "account_id", "membership_id", "person_id")})
    change(connection, SQL["insert_link"], **row)


def _member(connection: Connection, account_id: AccountId, membership_id: MembershipId) -> Membership:
    found = _first(connection, read_membership, "get_membership", account_id=account_id, id=membership_id)
    if found is None:
        raise NotFound("no such member")
    return found


def _keep_an_owner(connection: Connection, membership: Membership) -> None:
    (row,) = fetch_rows(connection, SQL["count_other_owners"], account_id=membership.account_id, id=membership.id)
    check_owner_stays(membership, row["count"])


def _end_sessions(connection: Connection, membership: Membership) -> None:
    if membership.person_id is not None:
        change(connection, SQL["end_sessions_in"], person_id=membership.person_id, account_id=membership.account_id)
