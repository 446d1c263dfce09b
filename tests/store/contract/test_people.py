"""People, memberships, links that work once, sessions, the audit."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from sendryd.model.actor import Role
from sendryd.model.ids import AccountId, AuditId, MembershipId, PersonId
from sendryd.model.people import AuditEntry, Link, LinkPurpose, Membership, PersonRecord, Session
from sendryd.store.base import Store
from sendryd.store.errors import Changed, Conflict, NotAllowed, NotFound
from sendryd.testing.samples import ACCOUNT, NOW, Samples

HOUR = timedelta(hours=1)


def person(samples: Samples, email: str = "ann@acme.example", **changes: Any) -> PersonRecord:
    made = PersonRecord(
        id=PersonId(samples.number()), email=email, name="Ann", password_hash="$argon2id$…", is_operator=False, created_at=NOW
    )
    return replace(made, **changes)


def membership(samples: Samples, email: str = "ann@acme.example", role: Role = Role.OWNER, **changes: Any) -> Membership:
    made = Membership(id=MembershipId(samples.number()), account_id=ACCOUNT, email=email, role=role, invited_at=NOW, invited_by="operator")
    return replace(made, **changes)


def link(token: bytes = b"token", purpose: LinkPurpose = LinkPurpose.OWNER, **changes: Any) -> Link:
    return replace(Link(token_hash=token, purpose=purpose, account_id=ACCOUNT, created_at=NOW, expires_at=NOW + HOUR), **changes)


def audit(samples: Samples, action: str = "person.joined", **changes: Any) -> AuditEntry:
    made = AuditEntry(
        id=AuditId(samples.number()),
        account_id=ACCOUNT,
        actor="ann@acme.example",
        address="192.0.2.1",
        action=action,
        target="x",
        created_at=NOW,
    )
    return replace(made, **changes)


def session(of: PersonRecord, secret: bytes = b"secret", **changes: Any) -> Session:
    made = Session(id_hash=secret, person_id=of.id, account_id=ACCOUNT, created_at=NOW, seen_at=NOW, address="192.0.2.1", agent="Firefox")
    return replace(made, **changes)


async def joined(
    store: Store, samples: Samples, email: str = "ann@acme.example", role: Role = Role.OWNER
) -> tuple[PersonRecord, Membership]:
    who, token = person(samples, email), email.encode()
    await store.add_link(link(token))
    of = membership(samples, email, role, person_id=who.id, joined_at=NOW)
    await store.join(link(token), who, of, audit(samples), NOW)
    return who, of


async def test_a_link_works_once_and_makes_an_owner(store: Store, samples: Samples) -> None:
    assert await store.has_owner(ACCOUNT) is False
    await store.add_link(link())
    assert await store.find_link(b"token", LinkPurpose.OWNER, NOW) == link()
    assert await store.find_link(b"token", LinkPurpose.INVITATION, NOW) is None
    who = person(samples)
    of = membership(samples, person_id=who.id, joined_at=NOW)
    assert await store.join(link(), who, of, audit(samples), NOW) == who
    assert await store.has_owner(ACCOUNT) is True
    assert await store.find_person("ann@acme.example") == who
    assert await store.get_person(who.id) == who
    assert await store.find_membership(ACCOUNT, who.id) == replace(of, name="Ann")
    assert await store.find_link(b"token", LinkPurpose.OWNER, NOW) is None
    other = person(samples, "eve@evil.example")
    with pytest.raises(NotFound):
        await store.join(link(), other, membership(samples, other.email, person_id=other.id, joined_at=NOW), audit(samples), NOW)
    assert await store.find_person("eve@evil.example") is None


async def test_a_link_ends_with_its_time_and_with_the_next_one(store: Store, samples: Samples) -> None:
    await store.add_link(link())
    assert await store.find_link(b"token", LinkPurpose.OWNER, NOW + HOUR) is None
    who = person(samples)
    with pytest.raises(NotFound):
        await store.join(link(), who, membership(samples, person_id=who.id, joined_at=NOW), audit(samples), NOW + HOUR)
    await store.add_link(link(b"next"))
    assert await store.find_link(b"token", LinkPurpose.OWNER, NOW) is None
    assert await store.find_link(b"next", LinkPurpose.OWNER, NOW) is not None


async def test_an_invitation_is_replaced_taken_up_and_refused_for_a_member(store: Store, samples: Samples) -> None:
    first, second = membership(samples, role=Role.VIEWER), membership(samples, role=Role.ADMIN)
    await store.invite(first, link(b"1", LinkPurpose.INVITATION, membership_id=first.id), audit(samples))
    await store.invite(second, link(b"2", LinkPurpose.INVITATION, membership_id=second.id), audit(samples))
    assert await store.find_link(b"1", LinkPurpose.INVITATION, NOW) is None
    found = await store.find_invitation(second.email, NOW)
    assert found is not None
    assert (found[0].id, found[1].token_hash) == (second.id, b"2")
    assert [(each.role, each.joined_at) for each in await store.list_members(ACCOUNT)] == [(Role.ADMIN, None)]
    who = person(samples)
    taken = link(b"2", LinkPurpose.INVITATION, membership_id=second.id)
    await store.join(taken, who, replace(second, person_id=who.id, joined_at=NOW), audit(samples), NOW)
    assert await store.find_invitation(second.email, NOW) is None
    (member,) = await store.list_members(ACCOUNT)
    assert (member.id, member.person_id, member.name) == (second.id, who.id, "Ann")
    assert [each.id for each in await store.list_accounts_of(who.id)] == [second.id]
    with pytest.raises(Conflict):
        await store.invite(membership(samples), link(b"3", LinkPurpose.INVITATION), audit(samples))


async def test_the_last_owner_stays_one(store: Store, samples: Samples) -> None:
    _, first = await joined(store, samples)
    for change in (
        store.set_role(ACCOUNT, first.id, Role.ADMIN, audit(samples)),
        store.remove_member(ACCOUNT, first.id, audit(samples)),
    ):
        with pytest.raises(NotAllowed):
            await change
    _, second = await joined(store, samples, "bob@acme.example")
    assert (await store.set_role(ACCOUNT, first.id, Role.VIEWER, audit(samples))).role is Role.VIEWER
    with pytest.raises(NotAllowed):
        await store.remove_member(ACCOUNT, second.id, audit(samples))
    with pytest.raises(NotFound):
        await store.remove_member(AccountId(2), first.id, audit(samples))


async def test_a_change_of_role_and_a_removal_end_the_sessions(store: Store, samples: Samples) -> None:
    await joined(store, samples)
    who, of = await joined(store, samples, "bob@acme.example", Role.ADMIN)
    await store.start_session(session(who), audit(samples))
    found = await store.find_session(b"secret")
    assert found is not None
    assert (found.person, found.membership.role) == (who, Role.ADMIN)
    await store.set_role(ACCOUNT, of.id, Role.MEMBER, audit(samples))
    assert await store.find_session(b"secret") is None
    await store.start_session(session(who, b"again"), None)
    await store.remove_member(ACCOUNT, of.id, audit(samples))
    assert await store.find_session(b"again") is None


async def test_sessions_are_seen_elevated_replaced_and_ended(store: Store, samples: Samples) -> None:
    who, _ = await joined(store, samples)
    for secret in (b"1", b"2", b"3"):
        await store.start_session(session(who, secret), None)
    await store.touch_session(b"2", NOW + HOUR)
    await store.touch_session(b"2", NOW)  # never back
    await store.elevate_session(b"2", NOW + HOUR)
    first, *_ = await store.list_sessions(who.id)
    assert (first.id_hash, first.seen_at, first.elevated_until) == (b"2", NOW + HOUR, NOW + HOUR)
    assert (await store.list_members(ACCOUNT))[0].seen_at == NOW + HOUR
    await store.start_session(session(who, b"4"), None, replaces=b"1")
    await store.end_session(b"3")
    assert {each.id_hash for each in await store.list_sessions(who.id)} == {b"2", b"4"}
    assert await store.end_sessions(who.id, keep=b"4") == 1
    assert await store.end_sessions(who.id) == 1


async def test_stale_sessions_and_links_are_deleted(store: Store, samples: Samples) -> None:
    who, _ = await joined(store, samples)
    await store.start_session(session(who, b"idle", seen_at=NOW - HOUR), None)
    await store.start_session(session(who, b"old", created_at=NOW - 9 * HOUR), None)
    await store.start_session(session(who, b"new"), None)
    assert await store.delete_stale_sessions(seen_before=NOW - HOUR / 2, created_before=NOW - 5 * HOUR) == 2
    assert [each.id_hash for each in await store.list_sessions(who.id)] == [b"new"]


async def test_a_person_is_changed_as_they_were_read(store: Store, samples: Samples) -> None:
    who, _ = await joined(store, samples)
    changed = replace(who, name="Anna", password_hash="new", totp_secret="enc")
    await store.change_person(who, changed, audit(samples))
    assert await store.get_person(who.id) == changed
    with pytest.raises(Changed):
        await store.change_person(who, who, audit(samples))
    await store.start_session(session(who), None)
    await store.change_person(changed, replace(changed, disabled_at=NOW), audit(samples))
    assert await store.find_session(b"secret") is None


async def test_a_code_works_once(store: Store, samples: Samples) -> None:
    who, _ = await joined(store, samples)
    assert [await store.use_totp_step(who.id, step) for step in (7, 7, 6, 8)] == [True, False, False, True]
    await store.replace_recovery_codes(who.id, [b"a", b"b"])
    assert [await store.use_recovery_code(who.id, code, NOW) for code in (b"a", b"a", b"c")] == [True, False, False]
    assert await store.count_recovery_codes(who.id) == 1
    await store.replace_recovery_codes(who.id, [b"d"])
    assert await store.use_recovery_code(who.id, b"b", NOW) is False


async def test_the_audit_is_listed_newest_first_by_pages_and_searched(store: Store, samples: Samples) -> None:
    entries = [audit(samples, action, after={"role": "admin"}) for action in ("key.created", "person.invited", "person.removed")]
    for each in entries:
        await store.add_audit(each)
    await store.add_audit(audit(samples, account_id=AccountId(2)))
    first = await store.list_audit(ACCOUNT, limit=2)
    assert (list(first.items), first.has_more) == ([entries[2], entries[1]], True)
    rest = await store.list_audit(ACCOUNT, limit=2, before=entries[1].id)
    assert (list(rest.items), rest.has_more) == ([entries[0]], False)
    assert [each.action for each in (await store.list_audit(ACCOUNT, limit=9, text="person")).items] == ["person.removed", "person.invited"]
    assert (await store.list_audit(ACCOUNT, limit=9, text="100%")).items == ()


async def test_a_reset_uses_its_link_once_and_ends_the_sessions(store: Store, samples: Samples) -> None:
    who, _ = await joined(store, samples)
    await store.start_session(session(who), None)
    made, changed = link(b"reset", LinkPurpose.RESET, person_id=who.id), replace(who, password_hash="new")
    await store.add_link(made)
    with pytest.raises(Changed):
        await store.reset_password(made, replace(who, name="Other"), changed, audit(samples), NOW)
    await store.reset_password(made, who, changed, audit(samples, "person.password_reset"), NOW)
    assert await store.get_person(who.id) == changed
    assert await store.find_session(b"secret") is None
    with pytest.raises(NotFound):
        await store.reset_password(made, changed, who, audit(samples), NOW)
    assert (await store.list_audit(ACCOUNT, limit=1)).items[0].action == "person.password_reset"


async def test_a_session_says_whether_a_second_factor_is_missing(store: Store, samples: Samples) -> None:
    who, _ = await joined(store, samples)
    await store.start_session(session(who), None)

    async def must_add() -> bool:
        found = await store.find_session(b"secret")
        assert found is not None
        return found.must_add_factor

    assert not await must_add()
    account = await store.get_account(ACCOUNT)
    assert account is not None
    await store.set_account(account, name=account.name, settings=replace(account.settings, requires_factor=True))
    assert await must_add()
    await store.change_person(who, replace(who, totp_secret="enc"), audit(samples))
    assert not await must_add()
