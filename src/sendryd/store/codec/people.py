"""People, memberships, sessions, links, saved views, the audit: rows by column name."""

from typing import Any

from sendryd.model.actor import Role
from sendryd.model.ids import (
    AUDIT_PREFIX,
    MEMBERSHIP_PREFIX,
    PERSON_PREFIX,
    SAVED_VIEW_PREFIX,
    AccountId,
    AuditId,
    MembershipId,
    PersonId,
    SavedViewId,
)
from sendryd.model.people import AuditEntry, Link, LinkPurpose, Membership, Passkey, PersonRecord, Session, SignInMethod
from sendryd.model.savedview import SavedView
from sendryd.store.codec.reading import Row, row_of
from sendryd.store.codec.values import from_ms, from_ms_or_none, read_object, to_json, to_ms, to_ms_or_none


def person_row(person: PersonRecord) -> dict[str, Any]:
    """A person as stored."""
    return {
        "id": person.id,
        "email": person.email,
        "name": person.name,
        "password_hash": person.password_hash,
        "totp_secret": person.totp_secret,
        "totp_step": person.totp_step,
        "is_operator": int(person.is_operator),
        "created_at": to_ms(person.created_at),
        "disabled_at": to_ms_or_none(person.disabled_at),
    }


@row_of(PERSON_PREFIX)
def read_person(row: Row) -> PersonRecord:
    """A person from the columns of `person`."""
    return PersonRecord(
        id=PersonId(row["id"]),
        email=row["email"],
        name=row["name"],
        password_hash=row["password_hash"],
        totp_secret=row["totp_secret"],
        totp_step=row["totp_step"],
        is_operator=bool(row["is_operator"]),
        created_at=from_ms(row["created_at"]),
        disabled_at=from_ms_or_none(row["disabled_at"]),
    )


def membership_row(membership: Membership) -> dict[str, Any]:
    """A membership as stored."""
    return {
        "id": membership.id,
        "account_id": membership.account_id,
        "person_id": membership.person_id,
        "email": membership.email,
        "role": membership.role.value,
        "invited_by": membership.invited_by,
        "invited_at": to_ms(membership.invited_at),
        "joined_at": to_ms_or_none(membership.joined_at),
    }


@row_of(MEMBERSHIP_PREFIX)
def read_membership(row: Row) -> Membership:
    """A membership from the columns of `membership`, with `name`, `seen_at`, `has_factor`, `has_password` and `is_disabled` of its person."""
    return Membership(
        id=MembershipId(row["id"]),
        account_id=AccountId(row["account_id"]),
        person_id=None if row["person_id"] is None else PersonId(row["person_id"]),
        email=row["email"],
        role=Role(row["role"]),
        invited_by=row["invited_by"],
        invited_at=from_ms(row["invited_at"]),
        joined_at=from_ms_or_none(row["joined_at"]),
        name=row["name"] or "",
        seen_at=from_ms_or_none(row["seen_at"]),
        has_factor=bool(row["has_factor"]),
        has_password=row["has_password"] is None or bool(row["has_password"]),
        is_disabled=bool(row["is_disabled"]),
    )


def session_row(session: Session) -> dict[str, Any]:
    """A session as stored."""
    return {
        "id_hash": session.id_hash,
        "person_id": session.person_id,
        "account_id": session.account_id,
        "created_at": to_ms(session.created_at),
        "seen_at": to_ms(session.seen_at),
        "address": session.address,
        "agent": session.agent,
        "is_complete": int(session.is_complete),
        "elevated_until": to_ms_or_none(session.elevated_until),
        "method": session.method.value,
    }


def read_session(row: Row) -> Session:
    """A session from the columns of `session`."""
    return Session(
        id_hash=row["id_hash"],
        person_id=PersonId(row["person_id"]),
        account_id=AccountId(row["account_id"]),
        created_at=from_ms(row["created_at"]),
        seen_at=from_ms(row["seen_at"]),
        address=row["address"],
        agent=row["agent"],
        is_complete=bool(row["is_complete"]),
        elevated_until=from_ms_or_none(row["elevated_until"]),
        method=SignInMethod(row["method"]),
    )


def passkey_row(passkey: Passkey) -> dict[str, Any]:
    """A passkey as stored."""
    return {
        "credential_id": passkey.credential_id,
        "person_id": passkey.person_id,
        "public_key": passkey.public_key,
        "sign_count": passkey.sign_count,
        "name": passkey.name,
        "created_at": to_ms(passkey.created_at),
        "used_at": to_ms_or_none(passkey.used_at),
    }


def read_passkey(row: Row) -> Passkey:
    """A passkey from the columns of `passkey`."""
    return Passkey(
        credential_id=row["credential_id"],
        person_id=PersonId(row["person_id"]),
        public_key=row["public_key"],
        sign_count=row["sign_count"],
        name=row["name"],
        created_at=from_ms(row["created_at"]),
        used_at=from_ms_or_none(row["used_at"]),
    )


def link_row(link: Link) -> dict[str, Any]:
    """A link as stored."""
    return {
        "token_hash": link.token_hash,
        "purpose": link.purpose.value,
        "account_id": link.account_id,
        "membership_id": link.membership_id,
        "person_id": link.person_id,
        "created_at": to_ms(link.created_at),
        "expires_at": to_ms(link.expires_at),
    }


def read_link(row: Row) -> Link:
    """A link from the columns of `link`."""
    return Link(
        token_hash=row["token_hash"],
        purpose=LinkPurpose(row["purpose"]),
        account_id=AccountId(row["account_id"]),
        membership_id=None if row["membership_id"] is None else MembershipId(row["membership_id"]),
        person_id=None if row["person_id"] is None else PersonId(row["person_id"]),
        created_at=from_ms(row["created_at"]),
        expires_at=from_ms(row["expires_at"]),
        used_at=from_ms_or_none(row["used_at"]),
    )


def audit_row(audit: AuditEntry) -> dict[str, Any]:
    """An entry of the audit as stored."""
    return {
        "id": audit.id,
        "account_id": audit.account_id,
        "actor": audit.actor,
        "address": audit.address,
        "action": audit.action,
        "target": audit.target,
        "before": to_json(dict(audit.before)),
        "after": to_json(dict(audit.after)),
        "created_at": to_ms(audit.created_at),
    }


@row_of(AUDIT_PREFIX)
def read_audit(row: Row) -> AuditEntry:
    """An entry from the columns of `audit`."""
    return AuditEntry(
        id=AuditId(row["id"]),
        account_id=AccountId(row["account_id"]),
        actor=row["actor"],
        address=row["address"],
        action=row["action"],
        target=row["target"],
        before=read_object(row["before"]),
        after=read_object(row["after"]),
        created_at=from_ms(row["created_at"]),
    )


def saved_view_row(view: SavedView) -> dict[str, Any]:
    """A saved view as stored."""
    return {
        "id": view.id,
        "account_id": view.account_id,
        "person_id": view.person_id,
        "name": view.name,
        "query": view.query,
        "made_by": view.made_by,
        "created_at": to_ms(view.created_at),
    }


@row_of(SAVED_VIEW_PREFIX)
def read_saved_view(row: Row) -> SavedView:
    """A saved view from the columns of `saved_view`."""
    return SavedView(
        id=SavedViewId(row["id"]),
        account_id=AccountId(row["account_id"]),
        person_id=None if row["person_id"] is None else PersonId(row["person_id"]),
        name=row["name"],
        query=row["query"],
        made_by=row["made_by"],
        created_at=from_ms(row["created_at"]),
    )
