"""Alerts reach owners and operators by mail, and a URL by POST."""

import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import cast

import pytest

from sendryd.accounts.attention import Attention
from sendryd.intake.notices import Notice, Notices
from sendryd.model.account import AccountSettings, AlertRecipients, AlertScope, AlertSettings
from sendryd.model.actor import Role
from sendryd.model.ids import AccountId, AuditId, MembershipId, PersonId
from sendryd.model.people import AuditEntry, Link, LinkPurpose, Membership, PersonRecord
from sendryd.policy.health import Check, Finding, Verdict
from sendryd.policy.health.history import FindingSpan
from sendryd.runtime.posting import HttpAnswer, HttpFault
from sendryd.store.base import Store
from sendryd.testing.clock import ManualClock
from sendryd.testing.samples import ACCOUNT, Samples
from sendryd.testing.stores import open_new_store
from sendryd.upkeep.alerts import AlertKeeper

FULL = Finding(check=Check.DISK, verdict=Verdict.WRONG, sentence="The disk is full.", fix="Free some space.")


class Post:
    """What was mailed and posted."""

    def __init__(self) -> None:
        self.mails: list[Notice] = []
        self.bodies: list[dict[str, object]] = []
        self.fault: HttpFault | None = None

    async def send(self, _account_id: AccountId, notice: Notice) -> bool:
        self.mails.append(notice)
        return True

    async def post(self, _url: str, *, headers: Mapping[str, str], body: bytes) -> HttpAnswer:
        if self.fault:
            raise self.fault
        assert headers == {"content-type": "application/json"}
        self.bodies.append(json.loads(body))
        return HttpAnswer(status=200, headers={}, body_start=b"", duration=0.1)


class World:
    """An account with an owner, an operator and a member."""

    def __init__(self, store: Store, clock: ManualClock) -> None:
        self.store, self.clock, self.post = store, clock, Post()
        attention = Attention(store, queue_lifetime=timedelta(hours=72), is_private=False)
        self.keeper = AlertKeeper(
            store,
            attention,
            cast("Notices", self.post),
            self.post,
            account_id=ACCOUNT,
            public_url="https://relay.example",
            clock=clock,
        )

    async def set(self, settings: AlertSettings) -> None:
        account = await self.store.get_account(ACCOUNT)
        assert account is not None
        await self.store.set_account(account, name=account.name, settings=replace(AccountSettings(), alerts=settings))

    async def find(self, finding: Finding | None) -> None:
        now = self.clock.now()
        present = await self.store.list_finding_spans()
        ended = [replace(each, ended_at=now) for each in present]
        begun = [FindingSpan(finding=finding, began_at=now)] if finding else []
        await self.store.save_finding_spans([*ended, *begun], keep_since=now - timedelta(days=1))

    async def rounds(self, minutes: int = 1) -> list[Notice]:
        """The mails of rounds a minute apart."""
        self.post.mails.clear()
        for _ in range(minutes + 1):
            await self.keeper.run_once()
            self.clock.advance(timedelta(minutes=1))
        return list(self.post.mails)


async def join(
    store: Store, number: int, email: str, role: Role, clock: ManualClock, *, is_operator: bool = False, account_id: AccountId = ACCOUNT
) -> None:
    now, token = clock.now(), email.encode()
    person = PersonRecord(
        id=PersonId(number), email=email, name=email[:3], password_hash="$argon2id$…", is_operator=is_operator, created_at=now
    )
    link = Link(token_hash=token, purpose=LinkPurpose.OWNER, account_id=account_id, created_at=now, expires_at=now + timedelta(hours=1))
    await store.add_link(link)
    membership = Membership(
        id=MembershipId(number + 100), account_id=account_id, email=email, role=role, invited_at=now, person_id=person.id, joined_at=now
    )
    audit = AuditEntry(
        id=AuditId(number + 200), account_id=account_id, actor=email, address="", action="person.joined", target=email, created_at=now
    )
    await store.join(link, person, membership, audit, now)


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    store, clock = open_new_store(tmp_path), ManualClock()
    await store.ensure_account(ACCOUNT, "Acme", clock.now())
    await join(store, 1, "ann@acme.example", Role.OWNER, clock)
    await join(store, 2, "bob@acme.example", Role.MEMBER, clock)
    await join(store, 3, "ops@acme.example", Role.VIEWER, clock, is_operator=True)
    yield World(store, clock)
    await store.aclose()


async def test_owners_and_operators_are_told_once_of_the_beginning_and_of_the_end(world: World) -> None:
    await world.find(FULL)
    begun = await world.rounds()
    assert sorted(each.to for each in begun) == ["ann@acme.example", "ops@acme.example"]
    assert begun[0].subject == "sendryd: The disk is full"
    assert "Free some space.\nhttps://relay.example/health#disk" in begun[0].text
    await world.find(replace(FULL, verdict=Verdict.RIGHT, sentence="There is room."))
    over = await world.rounds(90)
    assert {each.subject for each in over} == {"sendryd: over: The disk is full"}
    assert len(over) == 2


async def test_the_people_of_each_account_are_told_of_their_own(world: World) -> None:
    other = AccountId(2)
    await world.store.ensure_account(other, "Other", world.clock.now())
    await join(world.store, 4, "olga@other.example", Role.OWNER, world.clock, account_id=other)
    account = await world.store.get_account(other)
    assert account is not None
    settings = AlertSettings(scope=AlertScope.EVERYTHING)
    await world.store.set_account(account, name=account.name, settings=replace(AccountSettings(), alerts=settings))
    await world.store.add_domain(Samples().domain("other.example", other))
    await world.find(FULL)
    told = {(each.to, each.subject) for each in await world.rounds()}
    assert told == {
        ("ann@acme.example", "sendryd: The disk is full"),
        ("ops@acme.example", "sendryd: The disk is full"),
        ("olga@other.example", "sendryd: other.example is not verified yet"),
    }


async def test_a_url_is_told_too(world: World) -> None:
    await world.set(AlertSettings(recipients=AlertRecipients.NOBODY, url="https://hooks.example/x"))
    await world.find(FULL)
    assert await world.rounds() == []
    (body,) = world.post.bodies
    assert body["type"] == "attention"
    assert body["begun"] == [
        {
            "name": "health:disk",
            "kind": "health",
            "tone": "bad",
            "title": "The disk is full",
            "why": "Free some space.",
            "path": "/health#disk",
        }
    ]
    world.post.fault = HttpFault("The connection was refused.")
    await world.find(None)
    assert await world.rounds(90) == []


async def test_people_choose_who_is_told_of_what(world: World) -> None:
    await world.set(AlertSettings(recipients=AlertRecipients.OWNERS))
    await world.find(replace(FULL, verdict=Verdict.ADVISED, has_deadline=True))
    assert await world.rounds() == []
    await world.set(AlertSettings(recipients=AlertRecipients.OPERATORS, scope=AlertScope.EVERYTHING))
    assert [each.to for each in await world.rounds()] == ["ops@acme.example"]
